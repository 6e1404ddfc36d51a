//! Share of current values outside the range of the reference.

use super::{Context, Interval, Kinds, MIN_COUNT, NotApplicable, Outcome, Statistic, total};
use crate::pair::{Cell, NumericPair, Pair};
use crate::value::Logical;

/// Current values below the smallest or above the largest finite reference value, over the ordered current
/// values (null and NaN left out), with Wilson's interval. An infinity is inside where the reference holds it.
///
/// Of a continuous column that did not change, 2 / (n + 1) of the values are expected outside.
pub const STATISTIC: Statistic = Statistic {
    name: "range_violation",
    definition: "range_violation/v2",
    summary: "share of current values outside the range of the reference",
    source: "Wilson (1927); expectation from exchangeability",
    notes: "ordered values against the smallest and the largest finite value of the reference; an infinity is \
            inside where the reference holds it; interval: Wilson, of the share for this reference; no p-value",
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
    let infinite = |held: u64, now: u64| if held == 0 { now } else { 0 };
    let below = p
        .out_of_range
        .0
        .saturating_add(infinite(p.reference.neg_inf, p.current.neg_inf));
    let above = p
        .out_of_range
        .1
        .saturating_add(infinite(p.reference.pos_inf, p.current.pos_inf));
    let outside = below.saturating_add(above).min(m);
    // Current values between the end of the reference and the end of its last cell look inside.
    let side = |passes: bool, end: Option<&Cell>| match end {
        Some(cell) if passes && !cell.single => cell.current,
        _ => 0,
    };
    // Beyond 2^53 different integers are one float.
    let tied = |x: f64, end: f64| {
        x == end && p.logical != Logical::Float && x.abs() >= (1_u64 << 53) as f64
    };
    let (least, largest) = (p.current.min, p.current.max);
    let (low, high) = p.reference_range;
    let held = |c: &&Cell| c.reference > 0;
    let hidden =
        side(least < low || tied(least, low), p.cells.iter().find(held)).saturating_add(side(
            largest > high || tied(largest, high),
            p.cells.iter().rfind(held),
        ));
    let most = outside.saturating_add(hidden).min(m);
    let of_current = |x: u64| x as f64 / m as f64;
    let value = of_current(outside);
    let mut outcome = Outcome::bounded(value, value, of_current(most), STATISTIC.range, (n, m));
    if most > outside {
        outcome.bound_low = super::outward(value, -1.0);
    }
    let (s, t) = super::weighing::scale_of(pair, (n, m));
    outcome.value_if_no_change = Some(2.0 / (n as f64 * s + 1.0));
    outcome.message = (outside > 0).then(|| {
        let (low, high) = (example(p, |x| x < low), example(p, |x| x > high));
        if pair.is_weighed() {
            let (below, above) = (of_current(below), of_current(above));
            return format!("{below:.4e} below{low}, {above:.4e} above{high}");
        }
        format!("{below} values below{low}, {above} above{high}")
    });
    let design = p.blocked.as_deref().and_then(|b| Some((b, b.outside()?)));
    let effect = design.map_or(1.0 / t, |d| d.1.effect.1);
    if let Some((blocked, d)) = design {
        outcome.depends(blocked, d.effective((n, m)), None);
    }
    let interval = Interval::Share {
        successes: (outside as f64 / effect, most as f64 / effect),
        rows: m as f64 / effect,
        expected: None,
    };
    Ok(outcome.with_interval(
        super::clustered(interval, design.as_ref().map(|d| &d.1)),
        context,
    ))
}

/// The value outside that most rows hold, where enough do to name it.
fn example(pair: &NumericPair, outside: impl Fn(f64) -> bool) -> String {
    // Units of weight do not tell how many rows hold a value.
    let numbers = !pair.logical.is_temporal() && pair.current.unequal().is_none();
    let cells = pair
        .cells
        .iter()
        .filter(|c| numbers && c.single && c.current >= MIN_COUNT && outside(c.low));
    cells
        .max_by_key(|c| c.current)
        .map_or_else(String::new, |c| {
            format!(" ({} in {} rows)", c.low + 0.0, c.current)
        })
}
