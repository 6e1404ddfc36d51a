//! Share of current values outside the range of the reference.

use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic, total};
use crate::pair::Pair;

/// Current values below the smallest or above the largest reference value, over the ordered current
/// values (null and NaN left out), with Wilson's interval.
///
/// Of a continuous column that did not change, 2 / (n + 1) of the values are expected outside.
pub const STATISTIC: Statistic = Statistic {
    name: "range_violation",
    definition: "range_violation/v1",
    summary: "share of current values outside the range of the reference",
    source: "Wilson (1927); expectation from exchangeability",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "share",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let Pair::Numeric(p) = pair else {
        return Err(NotApplicable("the column is not ordered".into()));
    };
    let side = |s: &crate::pair::Side| [s.finite, s.neg_inf, s.pos_inf];
    let n = total(side(&p.reference), "reference", "ordered value")?;
    let m = total(side(&p.current), "current sample", "ordered value")?;
    let (below, above) = p.out_of_range;
    let outside = below.saturating_add(above).min(m);
    let mut outcome = Outcome::exact(outside as f64 / m as f64, (n, m));
    outcome.value_if_no_change = Some(2.0 / (n as f64 + 1.0));
    outcome.message = (outside > 0).then(|| format!("{below} values below, {above} above"));
    Ok(outcome.with_interval(
        Interval::Share {
            successes: (outside, outside),
            rows: m,
            expected: None,
        },
        context,
    ))
}
