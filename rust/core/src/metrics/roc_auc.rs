//! Area under the ROC curve.

use super::{
    Accurate, Answer, Average, Context, Interval, Metric, Part, Scale, State, Tasks,
    not_applicable, ranking::Ranking, weight::Weighting,
};
use crate::statistics::NotApplicable;

/// Area under the ROC curve.
pub const METRIC: Metric = Metric {
    name: "roc_auc",
    definition: "roc_auc/v1",
    summary: "probability that a positive row scores above a negative one, ties counted half",
    source: "sklearn.metrics.roc_auc_score; variance: DeLong et al. (1988); perfect order: Newcombe (2006)",
    interval: "DeLong's variance on the logit; Newcombe's method 5 where it is 0",
    tasks: Tasks::Binary,
    part: Part::Scores,
    range: (0.0, 1.0),
    unit: "share",
    higher_is_better: Some(true),
    compute,
};

fn compute(state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
    area(state, context, false)
}

/// The area, or `2 A - 1`.
pub(super) fn area(
    state: &State,
    context: &Context,
    gini: bool,
) -> Result<Vec<Answer>, NotApplicable> {
    let ranking = Ranking::of(state)?;
    let (positive, negative) = (ranking.positive, ranking.negative);
    let mut below = Accurate::default(); // weight of negatives below the cell
    let (mut middle, mut unsure) = (Accurate::default(), Accurate::default());
    for s in &ranking.steps {
        middle.add(s.positive.w * (below.value() + 0.5 * s.negative.w));
        if !s.single {
            unsure.add(0.5 * s.positive.w * s.negative.w);
        }
        below.add(s.negative.w);
    }
    let pairs = positive.w * negative.w;
    let value = middle.value() / pairs;
    let half = unsure.value() / pairs;
    let (low, high) = (value - half, value + half);
    // DeLong, DeLong and Clarke-Pearson (1988), equation 2, on weighted placements.
    let (mut var_positive, mut var_negative) = (0.0, 0.0);
    let (mut seen_negative, mut seen_positive) = (0.0, 0.0);
    for s in &ranking.steps {
        let above = (seen_negative + 0.5 * s.negative.w) / negative.w - value;
        let under = (positive.w - seen_positive - 0.5 * s.positive.w) / positive.w - value;
        var_positive += s.positive.w2 * above * above;
        var_negative += s.negative.w2 * under * under;
        seen_negative += s.negative.w;
        seen_positive += s.positive.w;
    }
    let unbiased = |v: f64, class: super::Amount| {
        let n = class.effective();
        v / class.w / class.w * if n > 1.0 { n / (n - 1.0) } else { f64::NAN }
    };
    let variance = unbiased(var_positive, positive) + unbiased(var_negative, negative);
    let se = libm::sqrt(variance * context.design_effect);
    let rows = (
        positive.effective() / context.design_effect,
        negative.effective() / context.design_effect,
    );
    let edge = !(se > 0.0 && value > 0.0 && value < 1.0);
    let map = |x: f64| if gini { 2.0 * x - 1.0 } else { x };
    let interval = if edge {
        Interval::Area {
            bounds: (low.max(0.0), high.min(1.0)),
            rows,
            gini,
        }
    } else if gini {
        // The logit of the area is twice atanh of the coefficient.
        Interval::Scaled {
            bounds: (map(low), map(high)),
            bias: 0.0,
            se: 0.5 * se * Scale::Logit.slope(value),
            df: None,
            scale: Scale::Atanh,
            range: (-1.0, 1.0),
        }
    } else {
        Interval::Scaled {
            bounds: (low, high),
            bias: 0.0,
            se: se * Scale::Logit.slope(value),
            df: None,
            scale: Scale::Logit,
            range: METRIC.range,
        }
    };
    let range = if gini { (-1.0, 1.0) } else { METRIC.range };
    let effective = state.amount().effective() / context.design_effect;
    let answer = Answer::exact(map(value), ranking.rows, effective, Some(interval), context);
    Ok(vec![if half > 0.0 {
        answer.bounded(map(low), map(high), range)
    } else {
        answer
    }])
}

/// One class against the rest, averaged over the classes; as `sklearn.metrics.roc_auc_score` with
/// `multi_class="ovr"` and `average="macro"` or `"weighted"`.
///
/// The interval is the delta method on the logit: the sum over classes of a row's influences, which
/// takes the classes' covariance with it. Rows without a label or with a NaN are left out.
///
/// # Errors
/// When a class has no row with weight, or the average is none of the two.
pub fn one_vs_rest(
    labels: &[u32],
    probabilities: &[&[f64]],
    weights: Option<&[f64]>,
    weighting: Weighting,
    context: &Context,
) -> Result<Answer, NotApplicable> {
    context.check()?;
    let classes = probabilities.len();
    if probabilities.iter().any(|p| p.len() != labels.len())
        || weights.is_some_and(|w| w.len() != labels.len())
    {
        return not_applicable("labels, probabilities and weights differ in length");
    }
    let mut rows = Vec::new(); // label, position, weight
    for (i, label) in labels.iter().enumerate() {
        if (*label as usize) < classes && probabilities.iter().all(|p| !p[i].is_nan()) {
            let w = match weights {
                Some(w) => weighting
                    .relative(w[i], i)
                    .map_err(|e| NotApplicable(e.to_string()))?,
                None => 1.0,
            };
            rows.push((*label as usize, i, w));
        }
    }
    let total: f64 = rows.iter().map(|r| r.2).sum();
    let mut of_class = vec![0.0; classes];
    for (label, _, w) in &rows {
        of_class[*label] += w;
    }
    if let Some(class) = of_class.iter().position(|w| *w <= 0.0 || *w >= total) {
        return not_applicable(format!(
            "class {class} has no row with weight, or no other class has; each class needs both"
        ));
    }
    let share = |class: usize| match context.average {
        Average::Weighted => of_class[class] / total,
        _ => 1.0 / classes as f64,
    };
    if !matches!(context.average, Average::Macro | Average::Weighted) {
        return not_applicable("the average over classes is macro or weighted");
    }
    let mut influence = vec![0.0; rows.len()];
    let mut areas = Vec::with_capacity(classes);
    for (class, scores) in probabilities.iter().enumerate() {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        // Rows that tie keep one order, so that sums do not depend on the input's.
        let score = |at: &usize| scores[rows[*at].1] + 0.0;
        order.sort_unstable_by(|a, b| score(a).total_cmp(&score(b)));
        let (positive, negative) = (of_class[class], total - of_class[class]);
        let (mut below, mut under) = (Accurate::default(), Accurate::default());
        let mut area = Accurate::default();
        let mut placement = vec![0.0; rows.len()];
        for tie in order.chunk_by(|a, b| score(a) == score(b)) {
            let (mut p, mut n) = (Accurate::default(), Accurate::default());
            for at in tie {
                let (label, _, w) = rows[*at];
                if label == class { &mut p } else { &mut n }.add(w);
            }
            area.add(p.value() * (below.value() + 0.5 * n.value()));
            for at in tie {
                placement[*at] = if rows[*at].0 == class {
                    (below.value() + 0.5 * n.value()) / negative
                } else {
                    1.0 - (under.value() + 0.5 * p.value()) / positive
                };
            }
            below.add(n.value());
            under.add(p.value());
        }
        let area = area.value() / positive / negative;
        for (at, (label, _, w)) in rows.iter().enumerate() {
            let side = if *label == class { positive } else { negative };
            influence[at] += share(class) * w / side * (placement[at] - area);
        }
        areas.push(area);
    }
    let value: f64 = areas.iter().enumerate().map(|(k, a)| share(k) * a).sum();
    if context.average == Average::Weighted {
        for (x, (label, _, w)) in influence.iter_mut().zip(&rows) {
            *x += w / total * (areas[*label] - value);
        }
    }
    let variance: f64 = influence.iter().map(|x| x * x).sum();
    let squares: f64 = rows.iter().map(|r| r.2 * r.2).sum();
    let effective = total * total / squares / context.design_effect;
    let se = libm::sqrt(variance * context.design_effect);
    let interval = super::on_scale(value, (value, value), se, Scale::Logit, METRIC.range);
    let told = interval
        .is_none()
        .then(|| "every class is ranked perfectly: no interval".to_owned());
    Ok(Answer::exact(value, rows.len() as u64, effective, interval, context).message(told))
}
