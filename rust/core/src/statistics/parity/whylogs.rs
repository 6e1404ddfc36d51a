//! whylogs 1.6.4.

use super::{Values, equal_width, hellinger_squared};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic};

/// Hellinger distance on equal cells of the pooled range.
pub const HELLINGER: Statistic = Statistic {
    name: "whylogs.hellinger",
    definition: "whylogs.hellinger/1.6.4-exact/v1",
    summary: "Hellinger distance as whylogs computes it from samples it holds whole",
    source: "whylogs 1.6.4, viz.drift algorithm Hellinger",
    notes: "equal cells over the range of both samples, one for each four rows of both together, at least 2 and at \
            most 30; exact counts, which its sketch gives up to a few hundred rows and draws at random beyond",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "distance",
    null: None,
    compute: hellinger,
    default_tolerance: None,
    centre: None,
};

fn hellinger(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let values = Values::new(pair)?;
    let end = |v: Option<&(f64, u64, u64)>| v.map_or(0.0, |v| v.0);
    let (low, high) = (end(values.each.first()), end(values.each.last()));
    let cells = libm::ceil((values.n as f64 + values.m as f64) / 4.0).clamp(2.0, 30.0);
    let counts = values.histogram(&equal_width(low, high, cells));
    let value = libm::sqrt(hellinger_squared(&values.shares(&counts))).min(1.0);
    Ok(Outcome::exact(value, (values.n, values.m)))
}
