//! alibi-detect 0.13.0, one feature.

use super::{Values, categories};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic, cross, share, sum};

/// Kolmogorov-Smirnov distance.
pub const KS: Statistic = Statistic {
    name: "alibi_detect.ks",
    definition: "alibi_detect.ks/0.13.0/v1",
    summary: "Kolmogorov-Smirnov distance as alibi-detect computes it",
    source: "alibi-detect 0.13.0, KSDrift",
    notes: "the distance, which it keeps in single precision; finite values (one NaN makes its p NaN and drift false)",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "share",
    null: None,
    compute: ks,
    default_tolerance: None,
    centre: None,
};

/// Chi-square of the table of both samples.
pub const CHI_SQUARE: Statistic = Statistic {
    name: "alibi_detect.chi_square",
    definition: "alibi_detect.chi_square/0.13.0/v1",
    summary: "chi-square of the table of both samples as alibi-detect computes it",
    source: "alibi-detect 0.13.0, ChiSquareDrift",
    notes: "values of both samples one by one; Yates' correction for two values, as scipy.stats.chi2_contingency",
    kinds: Kinds::Categorical,
    range: (0.0, f64::INFINITY),
    unit: "chi-square",
    compute: chi_square,
    ..KS
};

fn ks(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let values = Values::new(pair)?;
    let (n, m) = (values.n, values.m);
    let (mut a, mut b, mut most) = (0, 0, 0);
    for v in &values.each {
        (a, b) = (a + v.1, b + v.2);
        most = most.max(cross(a, n, b, m));
    }
    Ok(Outcome::exact(share(most, n, m), (n, m)))
}

fn chi_square(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let table: Vec<_> = counts.iter().map(|c| (c.0 as f64, c.1 as f64)).collect();
    Ok(Outcome::exact(contingency(&table), (n, m)))
}

/// Chi-square of a table of two rows, with Yates' correction where it has two columns.
pub(super) fn contingency(counts: &[(f64, f64)]) -> f64 {
    let (n, m) = (
        sum(counts.iter().map(|c| c.0)),
        sum(counts.iter().map(|c| c.1)),
    );
    let expected = |c: &(f64, f64), rows: f64| (c.0 + c.1) * (rows / (n + m));
    let term = |observed: f64, expected: f64| {
        let off = (observed - expected).abs();
        let off = if counts.len() == 2 {
            (off - 0.5).max(0.0)
        } else {
            off
        };
        off * off / expected
    };
    sum(counts
        .iter()
        .flat_map(|c| [term(c.0, expected(c, n)), term(c.1, expected(c, m))]))
}
