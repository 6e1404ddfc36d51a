//! Largest distance of the two classes' score distributions.

use super::{Accurate, Answer, Context, Interval, Metric, Part, State, Tasks, ranking::Ranking};
use crate::statistics::NotApplicable;

/// Largest distance of the two classes' score distributions.
pub const METRIC: Metric = Metric {
    name: "score_ks",
    definition: "score_ks/v1",
    summary: "largest difference of the classes' distribution functions of the score",
    source: "scipy.stats.ks_2samp of the scores by label; interval: Massart (1990), McDiarmid (1989)",
    interval: "Massart's and McDiarmid's inequalities",
    tasks: Tasks::Binary,
    part: Part::Scores,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    let ranking = Ranking::of(state)?;
    let (positive, negative) = (ranking.positive, ranking.negative);
    let (mut p, mut n) = (Accurate::default(), Accurate::default());
    let (mut value, mut high) = (0.0_f64, 0.0_f64);
    for s in &ranking.steps {
        let (p0, n0) = (p.value() / positive.w, n.value() / negative.w);
        p.add(s.positive.w);
        n.add(s.negative.w);
        let (p1, n1) = (p.value() / positive.w, n.value() / negative.w);
        value = value.max((p1 - n1).abs());
        if !s.single {
            // Inside the cell one class may come first.
            high = high.max(p1 - n0).max(n1 - p0);
        }
    }
    let value = value.min(1.0);
    let high = high.max(value).min(1.0);
    let inverse = context.design_effect * (1.0 / positive.effective() + 1.0 / negative.effective());
    let interval = Interval::Difference(crate::statistics::Interval::BoundedDifference {
        bounds: (value, high),
        noise: crate::statistics::Noise::Kolmogorov,
        inverse_rows: inverse,
    });
    let effective = state.amount().effective() / context.design_effect;
    let answer = Answer::exact(value, ranking.rows, effective, Some(interval), context);
    Ok(vec![answer.bounded(value, high, METRIC.range)])
}
