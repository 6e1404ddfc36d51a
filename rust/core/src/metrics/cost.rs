//! Mean cost of a row.

use super::{Answer, Context, Interval, Metric, Part, Scale, State, Tasks, not_applicable, table};
use crate::statistics::NotApplicable;

/// Mean cost of a row.
pub const METRIC: Metric = Metric {
    name: "cost",
    definition: "cost/v1",
    summary: "mean cost of a row, from a cost for each pair of label and predicted class",
    source: "Elkan (2001)",
    interval: "Student's t (delta method)",
    tasks: Tasks::Classes,
    part: Part::Confusion,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    unit: "cost",
    higher_is_better: Some(false),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let table = table(state)?;
    let k = table.k;
    if context.costs.len() != k * k || context.costs.iter().any(|c| !c.is_finite()) {
        return not_applicable(format!(
            "{k} classes take {k} x {k} finite costs, labels in rows"
        ));
    }
    let cost = |i: usize, j: usize| context.costs[i * k + j];
    let total = table.total();
    let mut value = super::Accurate::default();
    for i in 0..k {
        for j in 0..k {
            value.add(cost(i, j) * (table.at(i, j).w / total.w));
        }
    }
    let value = value.value();
    let effective = total.effective() / context.design_effect;
    let mut variance = table.variance(|i, j| (cost(i, j) - value) / total.w);
    variance *= context.design_effect * total.effective() / (total.effective() - 1.0);
    let usable = variance.is_finite() && variance > 0.0 && effective > 1.0;
    let interval = usable.then(|| Interval::Scaled {
        bounds: (value, value),
        bias: 0.0,
        se: libm::sqrt(variance),
        df: Some(effective - 1.0),
        scale: Scale::Identity,
        range: METRIC.range,
    });
    let told = (!usable).then(|| "every row has the same cost: no interval".to_owned());
    let rows = state.coverage().used;
    Ok(vec![
        Answer::exact(value, rows, effective, interval, context).message(told),
    ])
}
