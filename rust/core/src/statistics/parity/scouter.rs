//! Scouter 0.25.0.

use super::{Values, jeffreys};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic};

/// Population stability index on the deciles of the reference.
pub const PSI: Statistic = Statistic {
    name: "scouter.psi",
    definition: "scouter.psi/0.25.0-deciles/v1",
    summary: "population stability index as Scouter computes it",
    source: "scouter-ml 0.25.0, PSI drift with 10 quantile bins",
    notes: "deciles of the reference by linear interpolation (R-7), cells open on the left and closed on the \
            right, ends open; 1e-10 added to every share",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "nats",
    null: None,
    compute: psi,
    default_tolerance: None,
    centre: None,
};

fn psi(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let values = Values::new(pair)?;
    let edges: Vec<f64> = (1..10)
        .map(|i| super::quantile(values.reference(), values.n, (i, 10)))
        .collect();
    let mut counts = vec![(0, 0); edges.len() + 1];
    for &(value, a, b) in &values.each {
        let cell = &mut counts[edges.partition_point(|e| *e < value)];
        *cell = (cell.0 + a, cell.1 + b);
    }
    let shares: Vec<(f64, f64)> = values
        .shares(&counts)
        .into_iter()
        .map(|(p, q)| (p + 1e-10, q + 1e-10))
        .collect();
    Ok(Outcome::exact(jeffreys(&shares), (values.n, values.m)))
}
