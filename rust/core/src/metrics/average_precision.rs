//! Mean of the precision over the positive rows.

use super::{
    Accurate, Answer, Context, Interval, Metric, Part, Scale, Share, State, Tasks, ranking::Ranking,
};
use crate::statistics::NotApplicable;

/// Mean of the precision over the positive rows.
pub const METRIC: Metric = Metric {
    name: "average_precision",
    definition: "average_precision/v1",
    summary: "sum over thresholds of precision times the step in recall",
    source: "sklearn.metrics.average_precision_score; interval: Boyd, Eng and Page (2013)",
    interval: "delta method on the logit; Wilson's limits at the number of positive rows where it is 0 or 1",
    tasks: Tasks::Binary,
    part: Part::Scores,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let ranking = Ranking::of(state)?;
    let total = ranking.positive.w;
    let (mut t, mut f) = (Accurate::default(), Accurate::default());
    let (mut value, mut low, mut high) = (
        Accurate::default(),
        Accurate::default(),
        Accurate::default(),
    );
    // Precision at each cell and, for the variance, its derivatives by true and false positives.
    let mut cells = Vec::with_capacity(ranking.steps.len());
    for s in ranking.steps.iter().rev() {
        let (t0, f0) = (t.value(), f.value());
        t.add(s.positive.w);
        f.add(s.negative.w);
        let (t1, f1) = (t.value(), f.value());
        let all = t1 + f1;
        let precision = if all > 0.0 { t1 / all } else { 0.0 };
        let gain = s.positive.w * precision;
        value.add(gain);
        if s.single {
            low.add(gain);
            high.add(gain);
        } else if s.positive.w > 0.0 {
            // Best: all positives first, at one score. Worst: negatives first, then positives one by
            // one, bounded by the integral of (t0 + x) / (t0 + x + f1).
            high.add(s.positive.w * (t1 / (t1 + f0)));
            let worst = s.positive.w - f1 * libm::log1p(s.positive.w / (t0 + f1));
            low.add(if t0 + f1 > 0.0 { worst } else { s.positive.w });
        }
        cells.push((s, precision, t1, all));
    }
    let value = (value.value() / total).min(1.0);
    let (low, high) = (low.value() / total, (high.value() / total).min(1.0));
    // Influence of a row: a positive one adds its own precision, and each row moves the precision at
    // every threshold below its score.
    let (mut by_true, mut by_false, mut variance) = (0.0, 0.0, 0.0);
    for (s, precision, t, all) in cells.iter().rev() {
        if *all > 0.0 {
            by_true += s.positive.w * (all - t) / (all * all);
            by_false -= s.positive.w * t / (all * all);
        }
        let positive = precision - value + by_true;
        variance += s.positive.w2 * positive * positive + s.negative.w2 * by_false * by_false;
    }
    let se = libm::sqrt(variance * context.design_effect) / total;
    let interval = if se > 0.0 && value > 0.0 && value < 1.0 {
        Interval::Scaled {
            bounds: (low.min(value), high.max(value)),
            bias: 0.0,
            se: se * Scale::Logit.slope(value),
            df: None,
            scale: Scale::Logit,
            range: METRIC.range,
        }
    } else {
        Interval::Wilson(Share {
            p: value,
            n: ranking.positive.effective() / context.design_effect,
        })
    };
    let effective = state.amount().effective() / context.design_effect;
    let exact = ranking.steps.iter().all(|s| s.single);
    let answer = Answer::exact(value, ranking.rows, effective, Some(interval), context);
    Ok(vec![if exact {
        answer
    } else {
        answer.bounded(low, high, METRIC.range)
    }])
}
