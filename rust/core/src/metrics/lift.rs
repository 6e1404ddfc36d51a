//! Positive rows among the highest scores over their share of all rows.

use super::{Answer, Context, Metric, Part, State, Tasks, ranking::Ranking};
use crate::statistics::NotApplicable;

/// Positive rows among the highest scores over their share of all rows.
pub const METRIC: Metric = Metric {
    name: "lift",
    definition: "lift/top-{share}/v1",
    summary: "gains over the share of rows taken",
    source: "cumulative lift; interval: delta method with the lift at the cut",
    interval: "delta method on the logit of the gains",
    tasks: Tasks::Binary,
    part: Part::Scores,
    range: (0.0, f64::INFINITY),
    unit: "ratio",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let ranking = Ranking::of(state)?;
    Ok(vec![ranking.gains(context, state, 1.0 / context.share)])
}
