//! Mean negative log-likelihood of the label.

use super::{Answer, Context, Loss, Metric, Part, State, Tasks, mean_loss};
use crate::statistics::NotApplicable;

/// Mean negative log-likelihood of the label.
pub const METRIC: Metric = Metric {
    name: "log_loss",
    definition: "log_loss/clipped-2^-52/v1",
    summary: "mean of -ln of the probability given to the label",
    source: "sklearn.metrics.log_loss",
    interval: "Student's t on the logarithm (delta method)",
    tasks: Tasks::Classes,
    part: Part::Loss(Loss::Log),
    range: (0.0, f64::INFINITY),
    unit: "nats",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    mean_loss(Loss::Log, false, state, context)
}
