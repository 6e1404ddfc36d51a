//! Fisher's exact test.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, total};
use crate::pair::{CategoryKey, Pair};
use crate::special::fisher_two_sided;

/// Odds ratio and exact p-value of the 2 x 2 table of both samples over two categories.
///
/// Categories in the order of their bytes (false before true, new values last): the value is the odds
/// of the second in the current sample over its odds in the reference, scipy's ratio of
/// `[[x1, x2], [y1, y2]]`. Missing is left out. Two-sided p-value: all tables with the same margins that
/// are not more probable, by more than 1e-11 for rounding.
pub const STATISTIC: Statistic = Statistic {
    name: "fisher_exact",
    definition: "fisher_exact/2x2-odds-ratio/v1",
    summary: "odds of the second of two categories in the current sample over its odds in the reference",
    source: "Fisher (1935); scipy.stats.fisher_exact([[x1, x2], [y1, y2]])",
    notes: "two categories in the order of their bytes, new values last, missing left out; p: exact, two-sided, \
            all tables not more probable; none beyond 1e12 for the variance of a cell; no interval: \
            total_variation is the effect size",
    kinds: Kinds::Categorical,
    range: (0.0, f64::INFINITY),
    unit: "odds ratio",
    null: Some("hypergeometric-exact"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let Pair::Categorical(pair) = pair else {
        return Err(NotApplicable("the column holds no categories".into()));
    };
    let mut cells: Vec<_> = pair
        .cells
        .iter()
        .filter(|c| c.reference > 0 || c.current > 0)
        .collect();
    let n = total(cells.iter().map(|c| c.reference), "reference", "value")?;
    let m = total(cells.iter().map(|c| c.current), "current sample", "value")?;
    if cells.len() != 2 {
        return Err(NotApplicable(format!(
            "{} categories; exactly 2 would be accepted, see chi_square",
            cells.len()
        )));
    }
    if cells
        .iter()
        .any(|c| matches!(c.key, CategoryKey::HashCell(_)))
    {
        return Err(NotApplicable(
            "more than 2 categories; exactly 2 would be accepted, see chi_square".into(),
        ));
    }
    cells.sort_by(|a, b| match (&a.key, &b.key) {
        (CategoryKey::Value(a), CategoryKey::Value(b)) => a.cmp(b),
        (a, b) => (*a == CategoryKey::New).cmp(&(*b == CategoryKey::New)),
    });
    let table = [
        cells[0].reference,
        cells[1].reference,
        cells[0].current,
        cells[1].current,
    ];
    let [x1, x2, y1, y2] = table.map(u128::from);
    let mut outcome = Outcome::exact((x1 * y2) as f64 / (x2 * y1) as f64, (n, m));
    outcome.value_if_no_change = Some(1.0);
    outcome.pvalue = fisher_two_sided(table);
    if outcome.pvalue.is_none() {
        outcome.message =
            Some("the exact sum is too long for so many rows: see chi_square for a p-value".into());
    }
    Ok(outcome)
}
