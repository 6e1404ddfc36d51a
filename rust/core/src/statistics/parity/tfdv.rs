//! TensorFlow Data Validation 1.21.

use super::{Values, categories, equal_width, jensen, largest_difference, shares};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic};
use core::f64::consts::LN_2;

/// Jensen-Shannon divergence in bits.
pub const JENSEN_SHANNON: Statistic = Statistic {
    name: "tfdv.jensen_shannon",
    definition: "tfdv.jensen_shannon/1.21-categorical/v1",
    summary: "Jensen-Shannon divergence of categories as TensorFlow Data Validation computes it",
    source: "TensorFlow Data Validation 1.21, jensen_shannon_divergence of value counts",
    notes: "the divergence, not its root; base 2; values one by one; of numbers: tfdv.jensen_shannon_numeric",
    kinds: Kinds::Categorical,
    range: (0.0, 1.0),
    unit: "bits",
    null: None,
    compute: jensen_shannon,
    default_tolerance: None,
    centre: None,
};

/// Jensen-Shannon divergence in bits of two histograms with cells of their own.
pub const JENSEN_SHANNON_NUMERIC: Statistic = Statistic {
    name: "tfdv.jensen_shannon_numeric",
    definition: "tfdv.jensen_shannon_numeric/1.21-formula/v1",
    summary: "Jensen-Shannon divergence of numbers by the formula of TensorFlow Data Validation",
    source: "TensorFlow Data Validation 1.21, jensen_shannon_divergence of standard histograms (by formula; not run here)",
    notes: "ten equal cells over the range of each sample on its own, cut at the edges of both as if values lay \
            evenly within a cell; exact counts, where it takes approximate quantiles; its cells of NaN, which differ \
            from themselves, left out; two values a side or more",
    kinds: Kinds::Numeric,
    compute: jensen_shannon_numeric,
    ..JENSEN_SHANNON
};

/// Largest difference of the shares of one category.
pub const L_INFINITY: Statistic = Statistic {
    name: "tfdv.l_infinity",
    definition: "tfdv.l_infinity/1.21/v1",
    summary: "largest difference of the shares of one category as TensorFlow Data Validation computes it",
    source: "TensorFlow Data Validation 1.21, infinity_norm of value counts",
    notes: "values one by one",
    unit: "share",
    compute: largest_difference,
    ..JENSEN_SHANNON
};

fn jensen_shannon(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let value = (jensen(&shares(&counts, n, m)) / LN_2).clamp(0.0, 1.0);
    Ok(Outcome::exact(value, (n, m)))
}

fn jensen_shannon_numeric(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let values = Values::new(pair)?;
    // Edges and shares of one sample.
    let histogram = |count: fn(&(f64, u64, u64)) -> u64, rows: u64| {
        let mut held = values.each.iter().filter(|v| count(v) > 0).map(|v| v.0);
        let low = held.next().unwrap_or(0.0);
        let high = held.next_back().ok_or_else(|| {
            NotApplicable("a sample holds one value; two values a side would be accepted".into())
        })?;
        let edges = equal_width(low, high, 10.0);
        let mut cells = [0_u64; 10];
        for v in &values.each {
            let at = edges.partition_point(|e| *e <= v.0).clamp(1, 10);
            cells[at - 1] += count(v);
        }
        Ok((edges, cells.map(|c| c as f64 / rows as f64)))
    };
    let x = histogram(|v| v.1, values.n)?;
    let y = histogram(|v| v.2, values.m)?;
    let mut edges: Vec<f64> = x.0.iter().chain(&y.0).copied().collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let mass = |of: &(Vec<f64>, [f64; 10]), low: f64, high: f64| {
        let cell = of.0.partition_point(|e| *e <= low);
        match cell.checked_sub(1).and_then(|i| Some((of.1.get(i)?, i))) {
            Some((share, i)) => share * ((high - low) / (of.0[i + 1] - of.0[i])),
            None => 0.0,
        }
    };
    let cut: Vec<(f64, f64)> = edges
        .windows(2)
        .map(|w| (mass(&x, w[0], w[1]), mass(&y, w[0], w[1])))
        .collect();
    let value = (jensen(&cut) / LN_2).clamp(0.0, 1.0);
    Ok(Outcome::exact(value, (values.n, values.m)))
}
