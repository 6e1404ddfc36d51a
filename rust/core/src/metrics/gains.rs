//! Share of the positive rows among the highest scores.

use super::{Answer, Context, Metric, Part, State, Tasks, ranking::Ranking};
use crate::statistics::NotApplicable;

/// Share of the positive rows among the highest scores.
pub const METRIC: Metric = Metric {
    name: "gains",
    definition: "gains/top-{share}/v1",
    summary: "share of all positive rows found in a share of the rows with the highest scores, ties split evenly",
    source: "cumulative gains; interval: delta method with the lift at the cut",
    interval: "delta method on the logit",
    tasks: Tasks::Binary,
    part: Part::Scores,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let ranking = Ranking::of(state)?;
    Ok(vec![ranking.gains(context, state, 1.0)])
}
