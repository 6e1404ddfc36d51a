//! Mean absolute error relative to the label.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean absolute error relative to the label.
pub const METRIC: Metric = Metric {
    name: "mape",
    definition: "mape/floor-2^-52/v1",
    summary: "mean of |label - prediction| / max(|label|, 2^-52)",
    source: "sklearn.metrics.mean_absolute_percentage_error",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Regression,
    part: Part::Loss(Loss::Percentage),
    range: (0.0, f64::INFINITY),
    unit: "share",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Percentage, false, state, context)
}
