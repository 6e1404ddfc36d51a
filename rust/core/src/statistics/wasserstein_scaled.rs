//! Wasserstein distance in units of the reference's spread.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, outward, wasserstein};
use crate::pair::Pair;
use crate::row::Exactness;

/// `wasserstein` divided by the reference's interquartile range; by its standard deviation when the
/// middle half of the reference is one value; 0 or infinite when the reference is constant. In a profile the
/// range is known up to the cells of its ends, which the bounds and the interval include.
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
    scaled(pair, context, wasserstein::distance, "wasserstein", 1.0)
}

/// A distance in units of the reference's spread, from one that takes the scale and divides by a power of it.
pub(super) fn scaled(
    pair: &Pair,
    context: &Context,
    distance: fn(&Pair, f64, &Context) -> Result<Outcome, NotApplicable>,
    name: &str,
    power: f64,
) -> Result<Outcome, NotApplicable> {
    let Pair::Numeric(p) = pair else {
        return Err(NotApplicable("the column is not ordered".into()));
    };
    let usable = |x: f64| x > 0.0 && x.is_finite();
    if usable(p.reference_iqr) {
        let mut outcome = distance(pair, p.reference_iqr, context)?;
        let (least, most) = p.iqr_bounds;
        if least == p.reference_iqr && most == least {
            return Ok(outcome);
        }
        // The range is known between bounds, which multiply into those of the distance.
        let by = |range: f64| libm::pow(p.reference_iqr / range, power);
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = outward(outcome.bound_low * by(most), -1.0).max(0.0);
        outcome.bound_high = match least > 0.0 {
            true => outward(outcome.bound_high * by(least), 1.0),
            false => f64::INFINITY,
        };
        let closer = distance(pair, most, context)?;
        outcome.ci = match (closer.ci, outcome.ci) {
            (Some(low), Some(high)) if least > 0.0 => Some((low.0, high.1 * by(least))),
            (Some(low), Some(_)) => Some((low.0, f64::INFINITY)),
            _ => None,
        };
        // Decisions are by the range that makes the distance smallest.
        outcome.interval = closer.interval;
        return Ok(outcome);
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
