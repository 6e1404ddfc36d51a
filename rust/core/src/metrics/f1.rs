//! Harmonic mean of precision and recall.

use super::{Answer, Context, Metric, Part, Ratio, State, Tasks};
use crate::statistics::NotApplicable;

/// Harmonic mean of precision and recall.
pub const METRIC: Metric = Metric {
    name: "f1",
    definition: "f1/{average}/v1",
    summary: "harmonic mean of precision and recall",
    source: "sklearn.metrics.f1_score; interval: Hand, Christen and Kirielle (2021), Wilson (1927)",
    interval: "Wilson's limits of F*, mapped; averages: delta method on the logit",
    tasks: Tasks::Classes,
    part: Part::Confusion,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    Ratio {
        parts: [2.0, 1.0, 1.0],
        nothing: "no row has a positive label or is predicted positive, so that f1 is 0 over 0",
    }
    .evaluate(state, context)
}
