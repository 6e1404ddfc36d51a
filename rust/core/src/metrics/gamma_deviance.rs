//! Mean deviance of positive amounts.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean deviance of positive amounts.
pub const METRIC: Metric = Metric {
    name: "gamma_deviance",
    definition: "gamma_deviance/v1",
    summary: "mean unit deviance of the gamma distribution",
    source: "sklearn.metrics.mean_gamma_deviance",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Regression,
    part: Part::Loss(Loss::Gamma),
    range: (0.0, f64::INFINITY),
    unit: "deviance",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Gamma, false, state, context)
}
