//! Evidently 0.7.23 (with numpy 2): the drift scores of its `stattests`.

use super::{Counts, Shares, Values, categories, equal_width, hellinger_squared, jeffreys, jensen};
use crate::pair::Pair;
use crate::special::entropy_term;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic, sum, wasserstein};

/// Population stability index, of shares where zeros are replaced and nothing is renormalised.
pub const PSI: Statistic = Statistic {
    name: "evidently.psi",
    definition: "evidently.psi/0.7.23-numpy2/v1",
    summary: "population stability index as Evidently computes it",
    source: "Evidently 0.7.23, stattest psi",
    notes: "numbers with more than 20 reference values: Sturges bins of the pooled sample (one outlier moves \
            them), else values; zero shares become 1e-4, or a millionth of the smallest where that is 1e-4 or \
            less; not renormalised",
    kinds: Kinds::Any,
    range: (0.0, f64::INFINITY),
    unit: "nats",
    null: None,
    compute: psi,
    default_tolerance: None,
    centre: None,
};

/// Kullback-Leibler divergence, reference first, of the same shares renormalised.
pub const KL_DIV: Statistic = Statistic {
    name: "evidently.kl_div",
    definition: "evidently.kl_div/0.7.23-numpy2/v1",
    summary: "Kullback-Leibler divergence as Evidently computes it",
    source: "Evidently 0.7.23, stattest kl_div",
    notes: "scipy.stats.entropy(reference, current) of the filled shares of evidently.psi, renormalised; nats",
    compute: kl_div,
    ..PSI
};

/// Jensen-Shannon distance in natural logarithms, of shares without a fill.
pub const JENSENSHANNON: Statistic = Statistic {
    name: "evidently.jensenshannon",
    definition: "evidently.jensenshannon/0.7.23-numpy2/v1",
    summary: "Jensen-Shannon distance as Evidently computes it",
    source: "Evidently 0.7.23, stattest jensenshannon",
    notes: "bins of evidently.psi, zeros kept; the distance (square root), natural logarithm",
    range: (0.0, 0.832_554_611_157_697_8),
    unit: "sqrt nats",
    compute: jensenshannon,
    ..PSI
};

/// Hellinger distance; numbers on Sturges bins of the distinct values.
pub const HELLINGER: Statistic = Statistic {
    name: "evidently.hellinger",
    definition: "evidently.hellinger/0.7.23-numpy2/v1",
    summary: "Hellinger distance as Evidently computes it",
    source: "Evidently 0.7.23, stattest hellinger",
    notes: "numbers: Sturges bins of the distinct values of both samples; categories: values",
    range: (0.0, 1.0),
    unit: "distance",
    compute: hellinger,
    ..PSI
};

/// First Wasserstein distance over the standard deviation of the reference, at least 0.001.
pub const WASSERSTEIN: Statistic = Statistic {
    name: "evidently.wasserstein",
    definition: "evidently.wasserstein/0.7.23-numpy2/v1",
    summary: "normed Wasserstein distance as Evidently computes it",
    source: "Evidently 0.7.23, stattest wasserstein",
    notes: "over the standard deviation of the reference with denominator n, or 0.001 where that is larger",
    kinds: Kinds::Numeric,
    unit: "reference sd",
    compute: normed,
    ..PSI
};

/// `numpy.histogram_bin_edges(values, "sturges")` of so many values between two.
fn sturges(low: f64, high: f64, rows: f64, integers: bool) -> Vec<f64> {
    let mut width = (high - low) / (libm::log2(rows) + 1.0);
    if integers && width < 1.0 {
        width = 1.0;
    }
    let bins = if width > 0.0 {
        libm::ceil((high - low) / width)
    } else {
        1.0
    };
    equal_width(low, high, bins)
}

fn ends(values: &Values) -> (f64, f64) {
    let end = |v: Option<&(f64, u64, u64)>| v.map_or(0.0, |v| v.0);
    (end(values.each.first()), end(values.each.last()))
}

/// Shares of either sample with their rows.
fn binned(pair: &Pair) -> Result<(Shares, (u64, u64)), NotApplicable> {
    if let Pair::Categorical(_) = pair {
        let (counts, n, m) = categories(pair)?;
        return Ok((super::shares(&counts, n, m), (n, m)));
    }
    let values = Values::new(pair)?;
    let counts: Counts = if values.reference().count() > 20 {
        let (low, high) = ends(&values);
        let rows = values.n as f64 + values.m as f64;
        values.histogram(&sturges(low, high, rows, values.integers))
    } else {
        values.each.iter().map(|v| (v.1, v.2)).collect()
    };
    Ok((values.shares(&counts), (values.n, values.m)))
}

/// The shares of one sample with zeros replaced.
fn fill(shares: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let least = shares
        .clone()
        .filter(|p| *p > 0.0)
        .fold(f64::INFINITY, f64::min);
    let floor = if least <= 1e-4 { least / 1e6 } else { 1e-4 };
    shares.map(|p| if p == 0.0 { floor } else { p }).collect()
}

fn filled(pair: &Pair) -> Result<(Shares, (u64, u64)), NotApplicable> {
    let (shares, rows) = binned(pair)?;
    let (p, q) = (
        fill(shares.iter().map(|s| s.0)),
        fill(shares.iter().map(|s| s.1)),
    );
    Ok((p.into_iter().zip(q).collect(), rows))
}

fn psi(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (shares, rows) = filled(pair)?;
    Ok(Outcome::exact(jeffreys(&shares), rows))
}

fn kl_div(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (shares, rows) = filled(pair)?;
    let (p, q) = (
        sum(shares.iter().map(|s| s.0)),
        sum(shares.iter().map(|s| s.1)),
    );
    let value = sum(shares.iter().map(|s| {
        let (a, b) = (s.0 / p, s.1 / q);
        b * entropy_term((a - b) / b)
    }));
    Ok(Outcome::exact(value, rows))
}

fn jensenshannon(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (shares, rows) = binned(pair)?;
    let value = libm::sqrt(jensen(&shares).max(0.0)).min(JENSENSHANNON.range.1);
    Ok(Outcome::exact(value, rows))
}

fn hellinger(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (shares, rows) = if let Pair::Categorical(_) = pair {
        binned(pair)?
    } else {
        let values = Values::new(pair)?;
        let (low, high) = ends(&values);
        let edges = sturges(low, high, values.each.len() as f64, values.integers);
        (
            values.shares(&values.histogram(&edges)),
            (values.n, values.m),
        )
    };
    let value = libm::sqrt(hellinger_squared(&shares)).min(1.0);
    Ok(Outcome::exact(value, rows))
}

fn normed(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let values = Values::new(pair)?;
    let n = values.n as f64;
    let (reference, _) = pair.sides();
    let variance = if values.n > 1 {
        reference.variance * ((n - 1.0) / n)
    } else {
        0.0
    };
    let distance = wasserstein::distance(pair, libm::sqrt(variance).max(1e-3), context)?;
    Ok(Outcome::exact(distance.value, (values.n, values.m)))
}
