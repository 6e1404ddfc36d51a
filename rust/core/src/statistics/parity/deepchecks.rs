//! deepchecks 0.19.1: the drift scores of its feature drift check.

use super::alibi_detect::{KS as ALIBI_KS, contingency};
use super::{Counts, Values, categories, jeffreys};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic, sum};

/// Population stability index with a floor of 1 %.
pub const PSI: Statistic = Statistic {
    name: "deepchecks.psi",
    definition: "deepchecks.psi/0.19.1/v1",
    summary: "population stability index of categories as deepchecks computes it",
    source: "deepchecks 0.19.1, feature drift, categorical method PSI",
    notes: "values below 1 % of the reference, new ones too, in one cell, left out where it is at most 1 % of \
            both samples; shares below 1 % become 1 %",
    kinds: Kinds::Categorical,
    range: (0.0, f64::INFINITY),
    unit: "nats",
    null: None,
    compute: psi,
    default_tolerance: None,
    centre: None,
};

/// Bias-corrected Cramer's V after scaling to the smaller sample.
pub const CRAMERS_V: Statistic = Statistic {
    name: "deepchecks.cramers_v",
    definition: "deepchecks.cramers_v/0.19.1/v1",
    summary: "bias-corrected Cramer's V as deepchecks computes it",
    source: "deepchecks 0.19.1, feature drift, categorical method cramers_v; Bergsma (2013)",
    notes: "cells of deepchecks.psi; counts of the larger sample scaled to the smaller and rounded; Yates' correction \
            for two cells",
    range: (0.0, 1.0),
    unit: "association",
    compute: cramers_v,
    ..PSI
};

/// First Wasserstein distance without margins, over the pooled range.
pub const EARTH_MOVERS_DISTANCE: Statistic = Statistic {
    name: "deepchecks.earth_movers_distance",
    definition: "deepchecks.earth_movers_distance/0.19.1/v1",
    summary: "earth mover's distance as deepchecks computes it",
    source: "deepchecks 0.19.1, feature drift, numerical method EMD",
    notes: "values of each sample outside its own 2.5 % and 97.5 % quantiles cut off, then over the range of the rest \
            of both",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "share of range",
    compute: earth_movers_distance,
    ..PSI
};

/// Kolmogorov-Smirnov distance.
pub const KS: Statistic = Statistic {
    name: "deepchecks.ks",
    definition: "deepchecks.ks/0.19.1/v1",
    summary: "Kolmogorov-Smirnov distance as deepchecks computes it",
    source: "deepchecks 0.19.1, feature drift, numerical method KS",
    notes: "the exact distance",
    ..ALIBI_KS
};

/// Categories of at least 1 % of the reference; the rest in one cell, or left out where it is at most 1 % of both.
fn merged(pair: &Pair) -> Result<(Counts, u64, u64), NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let (mut kept, rare): (Counts, Counts) = counts
        .into_iter()
        .partition(|c| u128::from(c.0) * 100 >= u128::from(n));
    let rest = rare.iter().fold((0, 0), |s, c| (s.0 + c.0, s.1 + c.1));
    let more = |c: u64, rows: u64| u128::from(c) * 100 > u128::from(rows);
    if more(rest.0, n) || more(rest.1, m) {
        kept.push(rest);
        return Ok((kept, n, m));
    }
    let (n, m) = (n - rest.0, m - rest.1);
    if m == 0 {
        return Err(NotApplicable(
            "the current sample holds no value of 1 % of the reference".into(),
        ));
    }
    Ok((kept, n, m))
}

fn psi(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = merged(pair)?;
    let shares = super::shares(&counts, n, m);
    let floored: Vec<_> = shares
        .iter()
        .map(|(p, q)| (p.max(0.01), q.max(0.01)))
        .collect();
    Ok(Outcome::exact(jeffreys(&floored), (n, m)))
}

fn cramers_v(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = merged(pair)?;
    let least = n.min(m) as f64;
    let scaled = |c: u64, rows: u64| libm::rint(c as f64 * (least / rows as f64));
    let table: Vec<(f64, f64)> = counts
        .iter()
        .map(|c| (scaled(c.0, n), scaled(c.1, m)))
        .filter(|c| c.0 + c.1 > 0.0)
        .collect();
    if table.len() < 2 {
        return Ok(Outcome::exact(0.0, (n, m)));
    }
    let rows = sum(table.iter().map(|c| c.0 + c.1));
    let columns = table.len() as f64;
    let phi = (contingency(&table) / rows - (columns - 1.0) / (rows - 1.0)).max(0.0);
    // Bergsma's corrected numbers of columns and of the two rows.
    let corrected = |k: f64| k - (k - 1.0) * (k - 1.0) / (rows - 1.0);
    let least = corrected(columns).min(corrected(2.0)) - 1.0;
    let value = if least > 0.0 {
        libm::sqrt(phi / least).min(1.0)
    } else {
        0.0
    };
    Ok(Outcome::exact(value, (n, m)))
}

fn earth_movers_distance(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let values = Values::new(pair)?;
    let first: Vec<(f64, u64)> = values.each.iter().map(|v| (v.0, v.1)).collect();
    let second: Vec<(f64, u64)> = values.each.iter().map(|v| (v.0, v.2)).collect();
    let (x, y) = (trimmed(&first, values.n), trimmed(&second, values.m));
    let (n, m) = (total(&x), total(&y));
    let kept = || (0..x.len()).filter(|i| x[*i].1 > 0 || y[*i].1 > 0);
    let (Some(low), Some(high)) = (kept().next(), kept().next_back()) else {
        return Err(NotApplicable("no value lies within the quantiles".into()));
    };
    let range = x[high].0 - x[low].0;
    if range <= 0.0 {
        return Ok(Outcome::exact(0.0, (values.n, values.m)));
    }
    let (mut a, mut b) = (0, 0);
    let area = sum((low..high).map(|i| {
        (a, b) = (a + x[i].1, b + y[i].1);
        (a as f64 / n - b as f64 / m).abs() * ((x[i + 1].0 - x[i].0) / range)
    }));
    Ok(Outcome::exact(area, (values.n, values.m)))
}

fn total(sample: &[(f64, u64)]) -> f64 {
    sample.iter().map(|v| v.1).sum::<u64>() as f64
}

/// Counts of a sample with those outside its 2.5 % and 97.5 % quantiles, as numpy's, set to 0.
fn trimmed(sample: &[(f64, u64)], rows: u64) -> Vec<(f64, u64)> {
    let (low, high) = (
        super::quantile(sample.iter().copied(), rows, (25, 1000)),
        super::quantile(sample.iter().copied(), rows, (975, 1000)),
    );
    sample
        .iter()
        .map(|&(v, c)| (v, if v >= low && v <= high { c } else { 0 }))
        .collect()
}
