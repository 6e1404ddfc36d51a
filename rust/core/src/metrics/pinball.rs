//! Mean quantile loss.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean quantile loss.
pub const METRIC: Metric = Metric {
    name: "pinball",
    definition: "pinball/{level}/v1",
    summary: "mean quantile loss at a level",
    source: "sklearn.metrics.mean_pinball_loss",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Regression,
    part: Part::Loss(Loss::Pinball),
    range: (0.0, f64::INFINITY),
    unit: "label",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Pinball, false, state, context)
}
