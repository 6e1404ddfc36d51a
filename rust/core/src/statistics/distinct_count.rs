//! Number of distinct values.

use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic};
use crate::pair::{Pair, Part};
use crate::row::Exactness;

/// Distinct values of the current sample, that of the reference in the message.
///
/// Exact while every value is held, else estimated with its standard error. Distinct values grow
/// with the rows, so no tolerance is conventional.
pub const STATISTIC: Statistic = Statistic {
    name: "distinct_count",
    definition: "distinct_count/current/v1",
    summary: "distinct values of the current sample",
    source: "Bar-Yossef et al. (2002), bottom-k estimate",
    notes: "null and NaN left out, and infinities of ordered columns; exact while every value is held, else \
            estimated with a standard error; no p-value",
    kinds: Kinds::Any,
    range: (0.0, f64::INFINITY),
    unit: "values",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let (r, c) = pair.sides();
    if !c.distinct.is_finite() || !c.distinct_error.is_finite() || c.distinct < 0.0 {
        return Err(NotApplicable(
            "the number of distinct values is not known".into(),
        ));
    }
    let mut outcome = Outcome::exact(c.distinct, (r.rows, c.rows));
    outcome.message = Some(format!(
        "{:.0} in the reference, {:.0} in the current sample",
        r.distinct, c.distinct
    ));
    if c.distinct_error > 0.0 {
        outcome.exactness = Exactness::Estimated;
        // An estimate has no certificate but the rows themselves.
        outcome.bound_low = if c.rows > c.missing() { 1.0 } else { 0.0 };
        outcome.bound_high = (c.rows_of(Part::All) as f64).max(c.distinct);
        let interval = Interval::Normal {
            bounds: (c.distinct, c.distinct),
            bias: 0.0,
            se: c.distinct_error,
            comparisons: 1,
            root: false,
            range: STATISTIC.range,
        };
        outcome = outcome.with_interval(interval, context);
    }
    Ok(outcome)
}
