//! Rows whose key was there before.

use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic};
use crate::pair::{Pair, Side};
use crate::row::Exactness;

/// Current rows less the distinct keys they hold: every row of a key after its first.
///
/// In a comparison the key is that of the columns given as `id`, taken together. Exact while every key
/// is held ([`crate::states::keys`]); beyond, the multiplicities of a sample of the keys give the
/// number with its standard error.
pub const STATISTIC: Statistic = Statistic {
    name: "duplicate_keys",
    definition: "duplicate_keys/current/v1",
    summary: "current rows whose value, as a key, was there before",
    source: "Cohen and Kaplan (2007), bottom-k samples; ratio estimate, Cochran (1977), chapter 6",
    notes: "rows of a key after its first; null and NaN are no keys; exact while every key is held, else \
            estimated with a standard error; no p-value",
    kinds: Kinds::Any,
    range: (0.0, f64::INFINITY),
    unit: "rows",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

/// Rows with a key, and those of a key after its first.
fn repeated(side: &Side) -> Option<(u64, f64)> {
    let infinities = u64::from(side.neg_inf > 0) + u64::from(side.pos_inf > 0);
    let keyed = side.rows.saturating_sub(side.missing());
    let known = side.distinct.is_finite() && side.distinct_error.is_finite() && side.overflow == 0;
    // Without a value there is no key; with one there is at least one.
    (known && (side.distinct >= 1.0 || side.finite == 0)).then(|| {
        let more = keyed as f64 - side.distinct - infinities as f64;
        (keyed, more.max(0.0))
    })
}

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let (r, c) = pair.sides();
    let unknown = || NotApplicable("the number of distinct keys is not known".into());
    let (keyed, value) = repeated(c).ok_or_else(unknown)?;
    if c.rows == 0 {
        return Err(NotApplicable("the current sample has no row".into()));
    }
    let mut outcome = Outcome::exact(value, (r.rows, c.rows));
    let estimated = c.distinct_error > 0.0;
    let without = c.missing();
    outcome.message = super::join([
        Some(format!(
            "{}{value:.0} of {keyed} rows repeat a key",
            if estimated { "about " } else { "" }
        )),
        repeated(r).map(|(rows, more)| {
            let about = if r.distinct_error > 0.0 { "about " } else { "" };
            format!("in the reference {about}{more:.0} of {rows}")
        }),
        (without > 0).then(|| format!("{without} rows without a key")),
    ]);
    if estimated {
        outcome.exactness = Exactness::Estimated;
        // An estimate has no certificate but the rows themselves.
        outcome.bound_low = 0.0;
        outcome.bound_high = (keyed as f64).max(value);
        let interval = Interval::Normal {
            bounds: (value, value),
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
