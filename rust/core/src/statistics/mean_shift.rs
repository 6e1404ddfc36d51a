//! Difference of means.

use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic, Steps};
use crate::dependence::WEIGHTS;
use crate::pair::{Pair, Side};
use crate::row::Exactness;
use crate::special::student_two_sided;

/// Mean of the current values minus mean of the reference values, finite values only, with Welch's
/// interval and p-value.
///
/// With blocks, the variance of each mean is that of the sums of its blocks.
///
/// Two constant sides have p = 1 when equal and 0 when not; with fewer than two values on a side
/// there is neither interval nor p.
pub const STATISTIC: Statistic = Statistic {
    name: "mean_shift",
    definition: "mean_shift/welch/v1",
    summary: "difference of means, current minus reference",
    source: "Welch (1947); scipy.stats.ttest_ind(equal_var=False)",
    notes: "finite values; p: Student's t, two-sided, with Satterthwaite's degrees of freedom; interval: Welch",
    kinds: Kinds::Numeric,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    unit: "value",
    null: Some("welch-t"),
    compute,
    default_tolerance: None,
    centre: Some(0.0),
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let (r, c) = (&steps.pair.reference, &steps.pair.current);
    let (n, m) = steps.worth();
    let near = steps.pair.near_means;
    let value = near.1 - near.0;
    if !value.is_finite() {
        return Err(NotApplicable("the means are not finite numbers".into()));
    }
    let mut outcome = Outcome::exact(value, (steps.n, steps.m));
    // A mean is that of offsets from the reference's centre, each rounded once.
    let spread = |side: &Side| {
        let width = 2.0 * (0.5 * side.max - 0.5 * side.min);
        libm::sqrt(side.variance).min(width).max(0.0)
    };
    let rounding =
        f64::EPSILON * (near.0.abs() + near.1.abs() + value.abs() + spread(r) + spread(c));
    if rounding > 0.0 {
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = value - rounding;
        outcome.bound_high = value + rounding;
    }
    outcome.value_if_no_change = Some(0.0);
    outcome.message = steps.left_out();
    let blocks = pair.blocked().map(|b| (b, b.means()));
    let blocks = blocks.filter(|(_, v)| {
        let both = v.reference + v.current;
        both > 0.0 && both.is_finite()
    });
    if let Some((blocked, v)) = blocks {
        let (se, df) = (libm::sqrt(v.reference + v.current), v.df);
        outcome.pvalue = Some(student_two_sided(value / se, df));
        let worth = |variance: f64, of_rows: f64| {
            if of_rows > 0.0 {
                variance / of_rows
            } else {
                f64::NAN
            }
        };
        let rows = (worth(r.variance, v.reference), worth(c.variance, v.current));
        let null = match &*blocked.label {
            WEIGHTS => "linearised-t",
            _ => "block-sums-t",
        };
        outcome.depends(blocked, rows, Some(null));
        let bounds = (outcome.bound_low, outcome.bound_high);
        return Ok(outcome.with_interval(Interval::Student { bounds, se, df }, context));
    }
    let (vr, vc) = (r.variance_of_mean(), c.variance_of_mean());
    let se = libm::sqrt(vr + vc);
    if se == 0.0 {
        outcome.pvalue = Some(if value == 0.0 { 1.0 } else { 0.0 });
    } else if se.is_finite() {
        // Shares of the variance, so that squares cannot overflow.
        let (sr, sc) = (vr / (vr + vc), vc / (vr + vc));
        let df = 1.0 / (sr * sr / (n - 1.0) + sc * sc / (m - 1.0));
        outcome.pvalue = Some(student_two_sided(value / se, df));
        let bounds = (outcome.bound_low, outcome.bound_high);
        outcome = outcome.with_interval(Interval::Student { bounds, se, df }, context);
    }
    Ok(outcome)
}
