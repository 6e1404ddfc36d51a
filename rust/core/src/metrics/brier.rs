//! Mean squared error of probabilities.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean squared error of probabilities.
pub const METRIC: Metric = Metric {
    name: "brier",
    definition: "brier/v1",
    summary: "mean squared difference of probability and label, summed over classes where there are several",
    source: "sklearn.metrics.brier_score_loss; Brier (1950)",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Classes,
    part: Part::Loss(Loss::Brier),
    range: (0.0, 2.0),
    unit: "squared probability",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Brier, false, state, context)
}
