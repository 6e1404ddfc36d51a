//! Share of the label's variation that is predicted.

use super::{Answer, Context, Metric, Part, Scale, State, Tasks, not_applicable, on_scale};
use crate::statistics::NotApplicable;

/// Share of the label's variation that is predicted.
pub const METRIC: Metric = Metric {
    name: "r2",
    definition: "r2/v1",
    summary: "1 - residual sum of squares over total sum of squares",
    source: "sklearn.metrics.r2_score; interval: delta method",
    interval: "delta method on the logarithm of 1 - R2",
    tasks: Tasks::Regression,
    part: Part::Variation,
    range: (f64::NEG_INFINITY, 1.0),
    unit: "share",
    higher_is_better: Some(true),
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
    let Some(variation) = state.variation() else {
        return not_applicable("the state does not hold what r2 reads");
    };
    let total = state.amount();
    let ratio = variation.ratio(total.w);
    if rows.used < 2 || ratio.total <= 0.0 {
        return not_applicable("the labels do not vary, so that there is nothing to predict");
    }
    let value = 1.0 - ratio.residual / ratio.total;
    let se = libm::sqrt(ratio.variance_log * context.design_effect) * (1.0 - value);
    let interval = on_scale(
        value,
        (value, value),
        se,
        Scale::LogComplement,
        METRIC.range,
    );
    let effective = total.effective() / context.design_effect;
    let told = interval
        .is_none()
        .then(|| "predictions are exact: no interval".to_owned());
    Ok(vec![
        Answer::exact(value, rows.used, effective, interval, context).message(told),
    ])
}
