//! Root of the mean squared error.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Root of the mean squared error.
pub const METRIC: Metric = Metric {
    name: "rmse",
    definition: "rmse/v1",
    summary: "square root of the mean squared error",
    source: "sklearn.metrics.root_mean_squared_error",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Regression,
    part: Part::Loss(Loss::Squared),
    range: (0.0, f64::INFINITY),
    unit: "label",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Squared, true, state, context)
}
