//! Frouros 0.9.0.

use super::{Values, equal_width, jeffreys};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic};

/// Population stability index on ten equal cells of the pooled range.
pub const PSI: Statistic = Statistic {
    name: "frouros.psi",
    definition: "frouros.psi/0.9.0/v1",
    summary: "population stability index as Frouros computes it",
    source: "Frouros 0.9.0, data drift distance PSI, 10 bins",
    notes: "ten equal cells over the range of both samples; zero shares become the smallest normal double, so \
            one emptied cell of 10 % adds 70",
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
    let end = |v: Option<&(f64, u64, u64)>| v.map_or(0.0, |v| v.0);
    let (low, high) = (end(values.each.first()), end(values.each.last()));
    let fill = |p: f64| if p == 0.0 { f64::MIN_POSITIVE } else { p };
    let shares: Vec<(f64, f64)> = values
        .shares(&values.histogram(&equal_width(low, high, 10.0)))
        .into_iter()
        .map(|(p, q)| (fill(p), fill(q)))
        .collect();
    Ok(Outcome::exact(jeffreys(&shares), (values.n, values.m)))
}
