//! Gini coefficient of a ranking.

use super::{Answer, Context, Metric, Part, State, Tasks};
use crate::statistics::NotApplicable;

/// Gini coefficient of a ranking.
pub const METRIC: Metric = Metric {
    name: "gini",
    definition: "gini/v1",
    summary: "2 roc_auc - 1",
    source: "Somers (1962); 2 sklearn.metrics.roc_auc_score - 1",
    interval: "as roc_auc, mapped",
    tasks: Tasks::Binary,
    part: Part::Scores,
    range: (-1.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    super::roc_auc::area(state, context, true)
}
