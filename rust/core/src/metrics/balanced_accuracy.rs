//! Mean over classes of the share that is found.

use super::{Answer, Context, Interval, Metric, Part, Share, State, Tasks, not_applicable, table};
use crate::statistics::NotApplicable;

/// Mean over classes of the share that is found.
pub const METRIC: Metric = Metric {
    name: "balanced_accuracy",
    definition: "balanced_accuracy/v1",
    summary: "mean over the classes of the share that is found",
    source: "sklearn.metrics.balanced_accuracy_score; interval: Zou and Donner (2008)",
    interval: "square-and-add of Wilson's limits (MOVER)",
    tasks: Tasks::Classes,
    part: Part::Confusion,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let table = table(state)?;
    let recalls: Vec<Share> = (0..table.k)
        .filter_map(|k| {
            let [found, _, missed, _] = table.one_against_rest(k);
            Share::of(found, missed, context.design_effect)
        })
        .collect();
    if recalls.is_empty() {
        return not_applicable("no row has weight");
    }
    let c = 1.0 / recalls.len() as f64;
    let value = recalls.iter().map(|r| r.p).sum::<f64>() * c;
    let absent = table.k - recalls.len();
    let told = (absent > 0).then(|| format!("{absent} classes have no rows and are left out"));
    let effective = table.total().effective() / context.design_effect;
    let interval = Interval::Mover(recalls.into_iter().map(|r| (c, r)).collect());
    let rows = state.coverage().used;
    Ok(vec![
        Answer::exact(value, rows, effective, Some(interval), context).message(told),
    ])
}
