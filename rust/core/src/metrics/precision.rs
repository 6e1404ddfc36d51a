//! Share of predictions of a class that are right.

use super::{Answer, Context, Metric, Part, Ratio, State, Tasks};
use crate::statistics::NotApplicable;

/// Share of predictions of a class that are right.
pub const METRIC: Metric = Metric {
    name: "precision",
    definition: "precision/{average}/v1",
    summary: "share of the rows predicted as the class that are of it",
    source: "sklearn.metrics.precision_score; interval: Wilson (1927)",
    interval: "Wilson's score limits at the effective number of rows; averages: delta method on the logit",
    tasks: Tasks::Classes,
    part: Part::Confusion,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    Ratio {
        parts: [1.0, 1.0, 0.0],
        nothing: "no row is predicted positive, so that precision is 0 over 0",
    }
    .evaluate(state, context)
}
