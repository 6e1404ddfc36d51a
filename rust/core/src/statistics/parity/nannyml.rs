//! NannyML 0.13.1: its univariate drift methods, one chunk against the reference.

use super::{
    Shares, Values, categories, equal_width, hellinger_squared, jensen, largest_difference,
};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic, sum};
use core::f64::consts::LN_2;

/// Jensen-Shannon distance, base 2, on Doane's bins of the reference.
pub const JENSEN_SHANNON: Statistic = Statistic {
    name: "nannyml.jensen_shannon",
    definition: "nannyml.jensen_shannon/0.13.1/v1",
    summary: "Jensen-Shannon distance as NannyML computes it",
    source: "NannyML 0.13.1, univariate drift method jensen_shannon",
    notes: "numbers: Doane's bins of the reference, everything outside in one cell; categories: values, unseen \
            ones in one cell; the distance (square root), base 2",
    kinds: Kinds::Any,
    range: (0.0, 1.0),
    unit: "sqrt bits",
    null: None,
    compute: jensen_shannon,
    default_tolerance: None,
    centre: None,
};

/// Hellinger distance on the same cells.
pub const HELLINGER: Statistic = Statistic {
    name: "nannyml.hellinger",
    definition: "nannyml.hellinger/0.13.1/v1",
    summary: "Hellinger distance as NannyML computes it",
    source: "NannyML 0.13.1, univariate drift method hellinger",
    notes: "cells of nannyml.jensen_shannon",
    unit: "distance",
    compute: hellinger,
    ..JENSEN_SHANNON
};

/// Largest difference of the shares of one category.
pub const L_INFINITY: Statistic = Statistic {
    name: "nannyml.l_infinity",
    definition: "nannyml.l_infinity/0.13.1/v1",
    summary: "largest difference of the shares of one category as NannyML computes it",
    source: "NannyML 0.13.1, univariate drift method l_infinity",
    notes: "unseen categories one by one",
    kinds: Kinds::Categorical,
    unit: "share",
    compute: largest_difference,
    ..JENSEN_SHANNON
};

/// `numpy.histogram_bin_edges(reference, "doane")`.
fn doane(values: &Values) -> Vec<f64> {
    let n = values.n as f64;
    let of = |f: &dyn Fn(f64) -> f64| sum(values.reference().map(|(v, k)| f(v) * (k as f64 / n)));
    let mean = of(&|v| v);
    let sigma = libm::sqrt(of(&|v| (v - mean) * (v - mean)));
    let low = values.reference().next().map_or(0.0, |v| v.0);
    let high = values.reference().last().map_or(0.0, |v| v.0);
    if values.n <= 2 || sigma <= 0.0 || sigma.is_nan() {
        return equal_width(low, high, 1.0);
    }
    let skew = of(&|v| {
        let z = (v - mean) / sigma;
        z * z * z
    });
    let scale = libm::sqrt(6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0)));
    let cells = 1.0 + libm::log2(n) + libm::log2(1.0 + skew.abs() / scale);
    let width = (high - low) / cells;
    equal_width(low, high, libm::ceil((high - low) / width))
}

/// Shares on the cells, the last one for what the reference does not hold.
fn binned(pair: &Pair) -> Result<(Shares, (u64, u64)), NotApplicable> {
    let (mut counts, n, m) = if let Pair::Categorical(_) = pair {
        let (counts, n, m) = categories(pair)?;
        let known: Vec<_> = counts.into_iter().filter(|c| c.0 > 0).collect();
        (known, n, m)
    } else {
        let values = Values::new(pair)?;
        (values.histogram(&doane(&values)), values.n, values.m)
    };
    let inside: u64 = counts.iter().map(|c| c.1).sum();
    counts.push((0, m - inside));
    Ok((super::shares(&counts, n, m), (n, m)))
}

fn jensen_shannon(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (shares, rows) = binned(pair)?;
    let value = libm::sqrt(jensen(&shares).max(0.0) / LN_2).min(1.0);
    Ok(Outcome::exact(value, rows))
}

fn hellinger(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (shares, rows) = binned(pair)?;
    let value = libm::sqrt(hellinger_squared(&shares)).min(1.0);
    Ok(Outcome::exact(value, rows))
}
