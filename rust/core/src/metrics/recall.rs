//! Share of a class that is found.

use super::{Answer, Context, Metric, Part, Ratio, State, Tasks};
use crate::statistics::NotApplicable;

/// Share of a class that is found.
pub const METRIC: Metric = Metric {
    name: "recall",
    definition: "recall/{average}/v1",
    summary: "share of the class that is predicted as such",
    source: "sklearn.metrics.recall_score; interval: Wilson (1927)",
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
        parts: [1.0, 0.0, 1.0],
        nothing: "no row has a positive label, so that there is nothing to find",
    }
    .evaluate(state, context)
}
