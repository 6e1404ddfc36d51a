//! Mean absolute error.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean absolute error.
pub const METRIC: Metric = Metric {
    name: "mae",
    definition: "mae/v1",
    summary: "mean of |label - prediction|",
    source: "sklearn.metrics.mean_absolute_error",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Regression,
    part: Part::Loss(Loss::Absolute),
    range: (0.0, f64::INFINITY),
    unit: "label",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Absolute, false, state, context)
}
