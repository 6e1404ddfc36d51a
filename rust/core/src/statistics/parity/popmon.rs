//! popmon 1.4.11, histograms of categories.

use super::categories;
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic, sum};

/// Population stability index of raw counts.
pub const PSI: Statistic = Statistic {
    name: "popmon.psi",
    definition: "popmon.psi/1.4.11-categorical/v1",
    summary: "population stability index of counts as popmon computes it",
    source: "popmon 1.4.11, comparison psi",
    notes: "counts, not shares: ten times the rows is drift; 1e-5 added within the logarithm",
    kinds: Kinds::Categorical,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    unit: "nats times rows",
    null: None,
    compute: psi,
    default_tolerance: None,
    centre: None,
};

/// Jensen-Shannon divergence of raw counts.
pub const JENSEN_SHANNON: Statistic = Statistic {
    name: "popmon.jensen_shannon",
    definition: "popmon.jensen_shannon/1.4.11-categorical/v1",
    summary: "Jensen-Shannon divergence of counts as popmon computes it",
    source: "popmon 1.4.11, comparison jsd",
    notes: "counts, not shares; the divergence in nats; 1e-5 added to every count of each Kullback-Leibler term",
    compute: jensen_shannon,
    ..PSI
};

const ADDED: f64 = 1e-5;

fn psi(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let value = sum(counts.iter().map(|c| {
        let (p, q) = (c.0 as f64, c.1 as f64);
        (p - q) * libm::log((p + ADDED) / (q + ADDED))
    }));
    Ok(Outcome::exact(value, (n, m)))
}

fn jensen_shannon(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let value = sum(counts.iter().map(|c| {
        let (p, q) = (c.0 as f64, c.1 as f64);
        let middle = 0.5 * (p + q) + ADDED;
        let term = |x: f64| (x + ADDED) * libm::log((x + ADDED) / middle);
        0.5 * (term(p) + term(q))
    }));
    Ok(Outcome::exact(value, (n, m)))
}
