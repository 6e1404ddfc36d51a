//! The table of label by predicted class.

use super::{Answer, Context, Metric, Part, State, Tasks, table, weight::Weighting};
use crate::statistics::NotApplicable;

/// The table of label by predicted class, one answer a cell; the part is `label|predicted` by code.
pub const METRIC: Metric = Metric {
    name: "confusion_matrix",
    definition: "confusion_matrix/v1",
    summary: "rows, or their weight, by label and predicted class",
    source: "sklearn.metrics.confusion_matrix",
    interval: "none: counts",
    tasks: Tasks::Classes,
    part: Part::Confusion,
    range: (0.0, f64::INFINITY),
    unit: "rows",
    higher_is_better: None,
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let table = table(state)?;
    let unit = match state.plan().weighting {
        Weighting::None => 0,
        Weighting::Sampling { exponent } => exponent,
    };
    let rows = state.coverage().used;
    let cell = |i: usize, j: usize| {
        let cell = table.at(i, j);
        let value = libm::ldexp(cell.w, unit);
        Answer::exact(value, rows, cell.effective(), None, context).part(format!("{i}|{j}"))
    };
    Ok((0..table.k)
        .flat_map(|i| (0..table.k).map(move |j| (i, j)))
        .map(|(i, j)| cell(i, j))
        .collect())
}
