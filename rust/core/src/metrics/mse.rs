//! Mean squared error.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean squared error.
pub const METRIC: Metric = Metric {
    name: "mse",
    definition: "mse/v1",
    summary: "mean of (label - prediction) squared",
    source: "sklearn.metrics.mean_squared_error",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Regression,
    part: Part::Loss(Loss::Squared),
    range: (0.0, f64::INFINITY),
    unit: "label^2",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Squared, false, state, context)
}
