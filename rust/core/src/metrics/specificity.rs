//! Share of the negative class that is left alone.

use super::{Answer, Context, Metric, Part, State, Tasks, share, table};
use crate::statistics::NotApplicable;

/// Share of the negative class that is left alone.
pub const METRIC: Metric = Metric {
    name: "specificity",
    definition: "specificity/v1",
    summary: "share of rows with a negative label that are predicted negative",
    source: "sklearn.metrics.recall_score(pos_label=0); interval: Wilson (1927)",
    interval: "Wilson's score limits at the effective number of rows",
    tasks: Tasks::Binary,
    part: Part::Confusion,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let [_, wrong, _, right] = table(state)?.one_against_rest(1);
    share(right, wrong, "no row has a negative label", state, context)
}
