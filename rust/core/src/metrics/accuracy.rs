//! Share of rows with the right class.

use super::{Answer, Context, Metric, Part, State, Tasks, share, table};
use crate::statistics::NotApplicable;

/// Share of rows with the right class.
pub const METRIC: Metric = Metric {
    name: "accuracy",
    definition: "accuracy/v1",
    summary: "share of rows whose predicted class is the label",
    source: "sklearn.metrics.accuracy_score; interval: Wilson (1927)",
    interval: "Wilson's score limits at the effective number of rows",
    tasks: Tasks::Classes,
    part: Part::Confusion,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let table = table(state)?;
    let right = table.right();
    let all = table.total();
    let wrong = super::Amount {
        w: (all.w - right.w).max(0.0),
        w2: (all.w2 - right.w2).max(0.0),
    };
    share(right, wrong, "no row has weight", state, context)
}
