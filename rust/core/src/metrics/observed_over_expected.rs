//! Observed over expected, by band of the prediction.

use super::bands::BandSums;
use super::{
    Answer, Context, Interval, Metric, Part, Scale, Share, State, Task, Tasks, not_applicable,
    on_scale,
};
use crate::statistics::NotApplicable;

/// Sum of the labels over the sum of the predictions, in each band of the prediction and in all.
///
/// The variance is that of the difference of observed and value times expected. For binary labels it
/// gives the effective rows of Wilson's limits of the observed rate, over the mean prediction; for
/// numbers it is taken on the logarithm.
pub const METRIC: Metric = Metric {
    name: "observed_over_expected",
    definition: "observed_over_expected/{bins}/v1",
    summary: "sum of labels over sum of predictions, by band of the prediction",
    source: "calibration in the large; Wilson (1927); delta method",
    interval: "Wilson's limits over the mean prediction; numbers: delta method on the logarithm",
    tasks: Tasks::Banded,
    part: Part::Bands,
    range: (0.0, f64::INFINITY),
    unit: "ratio",
    higher_is_better: None,
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let rows = state.coverage();
    if rows.infinite > 0 {
        return not_applicable(format!(
            "{} of {} rows hold an infinite label or prediction",
            rows.infinite, rows.used
        ));
    }
    let Some((edges, bands)) = state.bands() else {
        return not_applicable("the state holds no bands");
    };
    let binary = matches!(state.plan().task, Task::Binary { .. });
    let name = |i: usize| {
        let low = i.checked_sub(1).and_then(|i| edges.get(i));
        match (low, edges.get(i)) {
            (None, Some(high)) => format!("below {high}"),
            (Some(low), Some(high)) => format!("[{low}, {high})"),
            (Some(low), None) => format!("{low} and above"),
            (None, None) => "all".into(),
        }
    };
    let mut all = BandSums::default();
    for b in &bands {
        all.rows += b.rows;
        all.amount = all.amount + b.amount;
        all.label += b.label;
        all.prediction += b.prediction;
        for (sum, x) in all.products.iter_mut().zip(b.products) {
            *sum += x;
        }
        for (sum, x) in all.cross.iter_mut().zip(b.cross) {
            *sum += x;
        }
    }
    let mut answers: Vec<Answer> = bands
        .iter()
        .enumerate()
        .map(|(i, b)| ratio(b, binary, context).part(name(i)))
        .collect();
    if !edges.is_empty() {
        answers.push(ratio(&all, binary, context).part("all"));
    }
    Ok(answers)
}

fn ratio(band: &BandSums, binary: bool, context: &Context) -> Answer {
    let effective = band.amount.effective() / context.design_effect;
    let none = |reason: String| Answer {
        part: None,
        outcome: Err(NotApplicable(reason)),
        effective,
        interval: None,
    };
    if band.amount.w <= 0.0 {
        return none("no row falls in the band".into());
    }
    if band.prediction <= 0.0 || band.label < 0.0 {
        return none(format!(
            "labels sum to {} and predictions to {}; the ratio needs predictions above 0",
            band.label, band.prediction
        ));
    }
    let value = band.label / band.prediction;
    // Variance of observed less value times expected, over the weight.
    let spread = band.spread(value, 0.0) * context.design_effect;
    let interval = if binary {
        let p = band.label / band.amount.w;
        let variance = spread / band.amount.w / band.amount.w;
        // Wilson's limits of the rate at the number of rows with that variance.
        let n = if variance > 0.0 && p > 0.0 && p < 1.0 {
            p * (1.0 - p) / variance
        } else {
            effective
        };
        let factor = band.amount.w / band.prediction;
        Some(Interval::Times(
            factor,
            Box::new(Interval::Wilson(Share { p, n })),
        ))
    } else {
        let se = libm::sqrt(spread) / band.prediction;
        on_scale(value, (value, value), se, Scale::Log, METRIC.range)
    };
    Answer::exact(value, band.rows, effective, interval, context)
}
