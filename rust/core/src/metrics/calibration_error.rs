//! Distance of scores from the observed rates of the positive class, over bins of the score.

use super::bands::BandSums;
use super::{
    Accurate, Answer, Context, Interval, Metric, Part, Scale, State, Tasks, not_applicable,
};
use crate::statistics::NotApplicable;

/// Weighted mean over bins of `|mean label - mean score|`.
///
/// Bins are the bands of the plan, a tenth each by default, `[0, .1)` to `[.9, 1]`; or bins of equal
/// mass, where each score belongs to the bin in which the middle of its rows falls, so that equal
/// scores stay together. The value is above 0 even for perfect calibration: `value_if_no_change` is
/// what is expected then, and the lower limit of the interval takes the largest such excess off.
pub const METRIC: Metric = Metric {
    name: "calibration_error",
    definition: "calibration_error/{bins}/v1",
    summary: "mean over bins of the score of |observed rate - mean score|",
    source: "Naeini, Cooper and Hauskrecht (2015)",
    interval: "delta method; the lower limit less the mean excess under perfect calibration",
    tasks: Tasks::Binary,
    part: Part::Bands,
    range: (0.0, 1.0),
    unit: "probability",
    higher_is_better: Some(false),
    compute,
};

/// Mean of the absolute value of a standard normal.
const NORMAL_MEAN_ABS: f64 = 0.797_884_560_802_865_4;

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let rows = state.coverage();
    if let Some((low, high)) = rows.range
        && !(low >= 0.0 && high <= 1.0)
    {
        return not_applicable(format!(
            "scores range from {low} to {high}; probabilities between 0 and 1 are accepted"
        ));
    }
    let bins = match context.equal_mass {
        Some(n) => equal_mass(state, n)?,
        None => match state.bands() {
            Some((_, bands)) => bands,
            None => return not_applicable("the state holds no bands"),
        },
    };
    let total = state.amount().w;
    let (mut value, mut excess, mut expected, mut variance) = (Accurate::default(), 0.0, 0.0, 0.0);
    for b in bins.iter().filter(|b| b.amount.w > 0.0) {
        let gap = (b.label - b.prediction) / b.amount.w;
        value.add((b.label - b.prediction).abs() / total);
        let spread = b.spread(1.0, gap);
        variance += spread;
        excess += libm::sqrt(spread);
        // Under calibration the variance of y given f is f (1 - f).
        expected += libm::sqrt((b.cross[1] - b.products[2]).max(0.0));
    }
    let value = value.value();
    let deff = libm::sqrt(context.design_effect);
    let se = deff * libm::sqrt(variance) / total;
    let interval = Interval::Scaled {
        bounds: (value, value),
        bias: NORMAL_MEAN_ABS * deff * excess / total,
        se,
        df: None,
        scale: Scale::Identity,
        range: METRIC.range,
    };
    let effective = state.amount().effective() / context.design_effect;
    let mut answer = Answer::exact(value, rows.used, effective, Some(interval), context);
    if let Ok(outcome) = &mut answer.outcome {
        outcome.value_if_no_change = Some(NORMAL_MEAN_ABS * deff * expected / total);
    }
    Ok(vec![answer])
}

/// Sums in `n` bins of equal mass; they need every score.
fn equal_mass(state: &State, n: u32) -> Result<Vec<BandSums>, NotApplicable> {
    if n == 0 {
        return not_applicable("0 bins; 1 or more are accepted");
    }
    let Some(scores) = state.scores() else {
        return not_applicable("bins of equal mass need the histogram of scores");
    };
    let weighting = state.plan().weighting;
    let steps = scores
        .steps(weighting)
        .map_err(|e| NotApplicable(e.to_string()))?;
    if !steps.iter().all(|s| s.range.0 == s.range.1) {
        return not_applicable(
            "bins of equal mass need every score, and the histogram holds cells of several; \
             bins of equal width are accepted",
        );
    }
    let total = state.amount().w;
    let mut bins: Vec<BandSums> = Vec::new();
    let mut current = None;
    let mut below = Accurate::default();
    for s in &steps {
        let (cell, p) = (s.positive + s.negative, s.range.0);
        let at = (below.value() + 0.5 * cell.w) / total * f64::from(n);
        below.add(cell.w);
        let at = (at as u32).min(n - 1);
        if current != Some(at) {
            current = Some(at);
            bins.push(BandSums::default());
        }
        if let Some(b) = bins.last_mut() {
            b.amount = b.amount + cell;
            b.label += s.positive.w;
            b.prediction += cell.w * p;
            b.products[0] += s.positive.w2;
            b.products[1] += s.positive.w2 * p;
            b.products[2] += cell.w2 * p * p;
            b.cross[0] += s.positive.w2;
            b.cross[1] += cell.w2 * p;
        }
    }
    Ok(bins)
}
