//! Difference of the share of infinite rows.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, rate};
use crate::dependence::Blocked;
use crate::pair::{Pair, Side};
use crate::value::Logical;

/// Absolute difference of the share of rows that hold an infinity, like
/// [`super::missing_rate`] in all else.
///
/// Infinities are ordered values: statistics of the distribution count them first and last, those of
/// finite values leave them out and say so.
pub const STATISTIC: Statistic = Statistic {
    name: "infinite_rate",
    definition: "infinite_rate/absolute-difference/v1",
    summary: "absolute difference of the share of rows that are infinite",
    source: "Newcombe (1998), method 10; two-proportion z test",
    notes: "minus and plus infinity, of floats only, over all rows; p: two-proportion z, two-sided; interval: \
            Newcombe's method 10, folded at 0",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "share",
    null: Some("two-proportion-z"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let Pair::Numeric(p) = pair else {
        return Err(NotApplicable("the column is not ordered".into()));
    };
    if p.logical != Logical::Float {
        return Err(NotApplicable("only floats can be infinite".into()));
    }
    let infinite = |s: &Side| s.neg_inf.saturating_add(s.pos_inf);
    let (r, c) = (&p.reference, &p.current);
    let counts = (infinite(r), infinite(c));
    let mut outcome = rate(pair, counts, (r.rows, c.rows), Blocked::infinite, context)?;
    let signs = (counts.1 > 0).then(|| format!("{} of them -inf, {} +inf", c.neg_inf, c.pos_inf));
    outcome.message = join([outcome.message, signs]);
    Ok(outcome)
}
