//! Mean deviance of counts.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean deviance of counts.
pub const METRIC: Metric = Metric {
    name: "poisson_deviance",
    definition: "poisson_deviance/v1",
    summary: "mean unit deviance of Poisson",
    source: "sklearn.metrics.mean_poisson_deviance",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Regression,
    part: Part::Loss(Loss::Poisson),
    range: (0.0, f64::INFINITY),
    unit: "deviance",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Poisson, false, state, context)
}
