//! Wasserstein distance in units of the reference's spread.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, wasserstein};
use crate::pair::Pair;

/// `wasserstein` divided by the reference's interquartile range; by its standard deviation when the
/// middle half of the reference is one value; 0 or infinite when the reference is constant.
pub const STATISTIC: Statistic = Statistic {
    name: "wasserstein_scaled",
    definition: "wasserstein_scaled/iqr-or-sd/v1",
    summary: "wasserstein over the reference's interquartile range, free of units",
    source: "Vallender (1974)",
    notes: "as wasserstein; by the standard deviation when the middle half of the reference is one value; 0 or \
            infinite when the reference is constant",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "reference spread",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    scaled(pair, context, wasserstein::distance, "wasserstein")
}

/// A distance in units of the reference's spread, from one that takes the scale.
pub(super) fn scaled(
    pair: &Pair,
    context: &Context,
    distance: fn(&Pair, f64, &Context) -> Result<Outcome, NotApplicable>,
    name: &str,
) -> Result<Outcome, NotApplicable> {
    let Pair::Numeric(p) = pair else {
        return Err(NotApplicable("the column is not ordered".into()));
    };
    let usable = |x: f64| x > 0.0 && x.is_finite();
    if usable(p.reference_iqr) {
        return distance(pair, p.reference_iqr, context);
    }
    let sd = libm::sqrt(p.reference.variance);
    if usable(sd) {
        let mut outcome = distance(pair, sd, context)?;
        let note = "scaled by the reference's standard deviation: its middle half is one value";
        outcome.message = join([Some(note.into()), outcome.message]);
        return Ok(outcome);
    }
    let raw = distance(pair, 1.0, context)?;
    let value = if raw.bound_high == 0.0 {
        0.0
    } else {
        f64::INFINITY
    };
    let mut outcome = Outcome::exact(value, raw.rows);
    let note = if value == 0.0 {
        "the reference is constant and every current value equals it".into()
    } else {
        format!("the reference has no spread and current values differ from it: see {name}")
    };
    outcome.message = join([Some(note), raw.message]);
    Ok(outcome)
}
