//! Difference of the share of null rows.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, rate};
use crate::dependence::Blocked;
use crate::pair::Pair;

/// Absolute difference of the share of null rows between current and reference rows.
///
/// Interval: Newcombe's hybrid score interval of the difference, folded at 0. The p-value is that of
/// the two-proportion z test with pooled variance.
pub const STATISTIC: Statistic = Statistic {
    name: "null_rate",
    definition: "null_rate/absolute-difference/v1",
    summary: "absolute difference of the share of null rows",
    source: "Newcombe (1998), method 10; two-proportion z test",
    notes: "null only; p: two-proportion z, two-sided; interval: Newcombe's method 10, folded at 0",
    kinds: Kinds::Any,
    range: (0.0, 1.0),
    unit: "share",
    null: Some("two-proportion-z"),
    compute,
    default_tolerance: Some((0.01, 0.05)),
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let (r, c) = pair.sides();
    rate(
        pair,
        (r.nulls, c.nulls),
        (r.rows, c.rows),
        Blocked::missing,
        context,
    )
}
