//! Correlation of label and predicted class.

use super::{
    Answer, Context, Metric, Part, Scale, State, Tasks, confusion::Table, not_applicable, on_scale,
    table,
};
use crate::statistics::NotApplicable;

/// Correlation of label and predicted class.
pub const METRIC: Metric = Metric {
    name: "mcc",
    definition: "mcc/v1",
    summary: "Matthews correlation of label and predicted class",
    source: "sklearn.metrics.matthews_corrcoef; Gorodkin (2004); interval: delta method, Fisher (1921)",
    interval: "delta method on atanh; half a row added to each cell where one is empty",
    tasks: Tasks::Classes,
    part: Part::Confusion,
    range: (-1.0, 1.0),
    unit: "correlation",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let table = table(state)?;
    let Some((value, _)) = correlation(&table) else {
        return not_applicable(
            "labels or predictions are all of one class, so that mcc is 0 over 0",
        );
    };
    let empty = (0..table.k).any(|i| (0..table.k).any(|j| table.at(i, j).w <= 0.0));
    let read = if empty {
        table.smoothed()
    } else {
        table.clone()
    };
    let mut interval = None;
    if let Some((centre, gradient)) = correlation(&read) {
        let variance = read.variance(|i, j| gradient[i * read.k + j]);
        let se = libm::sqrt(variance * context.design_effect);
        interval = on_scale(centre, (centre, centre), se, Scale::Atanh, (-1.0, 1.0));
    }
    let effective = table.total().effective() / context.design_effect;
    let rows = state.coverage().used;
    Ok(vec![Answer::exact(
        value, rows, effective, interval, context,
    )])
}

/// The correlation and its gradient in the cells; none where a margin is a single class.
fn correlation(table: &Table) -> Option<(f64, Vec<f64>)> {
    let k = table.k;
    let s = table.total().w;
    // Shares keep the products in range.
    let at = |i: usize, j: usize| table.at(i, j).w / s;
    let label: Vec<f64> = (0..k).map(|i| table.label(i).w / s).collect();
    let predicted: Vec<f64> = (0..k).map(|j| table.predicted(j).w / s).collect();
    let c: f64 = (0..k).map(|i| at(i, i)).sum();
    // Sums of p (1 - p) and covariances as differences of products lose digits; these do not where
    // there are two classes.
    let spread = |p: &[f64]| -> f64 {
        if k == 2 {
            2.0 * p[0] * p[1]
        } else {
            1.0 - p.iter().map(|x| x * x).sum::<f64>()
        }
    };
    let (d1, d2) = (spread(&predicted), spread(&label));
    if !(d1 > 1e-15 && d2 > 1e-15) {
        return None;
    }
    let n = if k == 2 {
        2.0 * (at(0, 0) * at(1, 1) - at(0, 1) * at(1, 0))
    } else {
        c - label
            .iter()
            .zip(&predicted)
            .map(|(a, b)| a * b)
            .sum::<f64>()
    };
    let root = libm::sqrt(d1 * d2);
    let value = (n / root).clamp(-1.0, 1.0);
    let gradient = (0..k * k)
        .map(|cell| {
            let (i, j) = (cell / k, cell % k);
            let dn = if i == j { 1.0 } else { 0.0 } + c - label[j] - predicted[i];
            let change = dn / root
                - 0.5 * value * ((2.0 - 2.0 * predicted[j]) / d1 + (2.0 - 2.0 * label[i]) / d2);
            change / s
        })
        .collect();
    Some((value, gradient))
}
