//! Welch's t test.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, Steps, join};
use crate::dependence::WEIGHTS;
use crate::pair::Pair;
use crate::row::Exactness;
use crate::special::student_two_sided;

/// `(mean of the reference - mean of the current sample) / sqrt(s_x^2 / n + s_y^2 / m)`, with Welch and
/// Satterthwaite's degrees of freedom: scipy's sign, reference first.
///
/// Finite values only. Two constant sides are 0 with p = 1 when equal and infinite with p = 0 when not.
/// The means are rounded once, which is the certificate where they nearly cancel.
pub const STATISTIC: Statistic = Statistic {
    name: "welch_t",
    definition: "welch_t/reference-minus-current/v1",
    summary: "Welch's t of the means, reference minus current",
    source: "Welch (1947); scipy.stats.ttest_ind(equal_var=False)",
    notes: "finite values; p: Student's t, two-sided, with Satterthwaite's degrees of freedom; no interval: \
            mean_shift is the effect size",
    kinds: Kinds::Numeric,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    unit: "standard errors",
    null: Some("welch-t"),
    compute,
    default_tolerance: None,
    centre: Some(0.0),
};

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let (r, c) = (&steps.pair.reference, &steps.pair.current);
    for (rows, side) in [(steps.n, "reference"), (steps.m, "current sample")] {
        if rows < 2 {
            return Err(NotApplicable(format!(
                "the {side} has {rows} finite value; 2 or more would be accepted"
            )));
        }
    }
    let (n, m) = steps.worth();
    let near = steps.pair.near_means;
    let difference = near.0 - near.1;
    let (vr, vc) = (r.variance_of_mean(), c.variance_of_mean());
    let se = libm::sqrt(vr + vc);
    if !difference.is_finite() || !se.is_finite() {
        return Err(NotApplicable(
            "means or variances are not finite numbers".into(),
        ));
    }
    let mut message = None;
    let (value, p) = if se > 0.0 {
        // Shares of the variance, so that squares cannot overflow.
        let (sr, sc) = (vr / (vr + vc), vc / (vr + vc));
        let df = 1.0 / (sr * sr / (n - 1.0) + sc * sc / (m - 1.0));
        let t = difference / se;
        message = Some(format!("{df:.1} degrees of freedom"));
        (t, student_two_sided(t, df))
    } else if difference == 0.0 {
        (0.0, 1.0)
    } else {
        (f64::INFINITY.copysign(difference), 0.0)
    };
    let mut outcome = Outcome::exact(value, (steps.n, steps.m));
    // The means as in mean_shift, the standard error a few roundings.
    let rounding = f64::EPSILON * ((near.0.abs() + near.1.abs()) / se + 4.0 * value.abs() + 2.0);
    if rounding > 0.0 && rounding.is_finite() {
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = value - rounding;
        outcome.bound_high = value + rounding;
    }
    outcome.value_if_no_change = Some(0.0);
    outcome.pvalue = Some(p);
    outcome.message = join([message, steps.left_out()]);
    if let Some(blocked) = pair.blocked().filter(|b| &*b.label == WEIGHTS) {
        outcome.depends(blocked, (n, m), Some("linearised-t"));
    }
    Ok(outcome)
}
