//! Variance from blocks of rows that belong together: days, customers.
//!
//! The design effect of a metric is its delete-one-block jackknife variance over the variance of
//! independent rows, times the square of Student's over the normal quantile at one degree of freedom
//! less than there are blocks; the metric is then evaluated with it.

use super::{Answer, Context, Fairness, GroupAnswer, Metric, State, not_applicable};
use crate::special::{normal_isf, student_two_sided_isf};
use crate::statistics::NotApplicable;

/// Two-sided level of one standard error.
const ONE_SIGMA: f64 = 0.317_310_507_862_914_1;

/// An answer with the variance of its blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocked {
    /// The number with its interval at the design effect.
    pub answer: Answer,
    /// Factor on the variance of independent rows; 1 where that variance is 0.
    pub design_effect: f64,
    /// Blocks that hold rows.
    pub blocks: usize,
}

/// Evaluates metrics on `whole` with the variance that states of its blocks show: one result for each.
///
/// `blocks` are states of the rows of `whole`, split by block, of one plan; they may count scores in
/// fewer cells. The context's design effect is replaced. Each block is left out once for all metrics.
///
/// # Errors
/// [`NotApplicable`] when fewer than two blocks hold rows.
pub fn evaluate_blocks(
    metrics: &[&Metric],
    whole: &State,
    blocks: &[State],
    context: &Context,
) -> Result<Vec<Result<Vec<Blocked>, NotApplicable>>, NotApplicable> {
    let held: Vec<&State> = blocks
        .iter()
        .filter(|b| b.coverage().used > 0 && b.amount().w > 0.0)
        .collect();
    let Some(first) = held.first().filter(|_| held.len() > 1) else {
        return not_applicable(format!(
            "{} blocks hold rows; their variance needs at least 2",
            held.len()
        ));
    };
    let independent = Context {
        design_effect: 1.0,
        ..context.clone()
    };
    let nothing = State::empty(first.plan().clone()).map_err(failed)?;
    // By metric and block left out, the value of each part.
    let mut without: Vec<Vec<Vec<Option<f64>>>> = vec![Vec::new(); metrics.len()];
    leave_one_out(&held, nothing, State::merge, &mut |rest| {
        for (metric, values) in metrics.iter().zip(&mut without) {
            let value = |a: &Answer| a.outcome.as_ref().map(|o| o.value).ok();
            let answers = metric.evaluate(rest, &independent).unwrap_or_default();
            values.push(answers.iter().map(value).collect());
        }
    })?;
    let of = |(metric, without): (&&Metric, &Vec<Vec<Option<f64>>>)| {
        let base = metric.evaluate(whole, &independent)?;
        let parts = base.into_iter().enumerate();
        let blocked = |(i, answer)| blocked(metric, whole, answer, i, without, context);
        parts.map(blocked).collect()
    };
    Ok(metrics.iter().zip(&without).map(of).collect())
}

/// Part `i` of a metric, evaluated again with the design effect that its values without each block
/// show.
fn blocked(
    metric: &Metric,
    whole: &State,
    answer: Answer,
    i: usize,
    without: &[Vec<Option<f64>>],
    context: &Context,
) -> Result<Blocked, NotApplicable> {
    let values: Vec<f64> = without.iter().filter_map(|v| *v.get(i)?).collect();
    let complete = values.len() == without.len();
    let design_effect = effect(&answer, &values, without.len(), context).unwrap_or(1.0);
    let of_blocks = Context {
        design_effect,
        ..context.clone()
    };
    let told = (!complete && answer.outcome.is_ok())
        .then(|| "no number without one of the blocks: rows taken as independent".into());
    let again = metric.evaluate(whole, &of_blocks)?.swap_remove(i);
    Ok(Blocked {
        answer: again.message(told),
        design_effect,
        blocks: without.len(),
    })
}

/// The design effect that the values without each of `blocks` blocks show; none where one is missing or
/// either variance is 0.
fn effect(answer: &Answer, values: &[f64], blocks: usize, context: &Context) -> Option<f64> {
    let count = blocks as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = |v: &f64| (v - mean) * (v - mean);
    let variance = values.iter().map(square).sum::<f64>() * (count - 1.0) / count;
    let one_sigma = answer.interval.as_ref().map(|i| i.at(ONE_SIGMA));
    let se = one_sigma.map_or(0.0, |(low, high)| 0.5 * (high - low));
    let factor =
        student_two_sided_isf(context.alpha, count - 1.0) / normal_isf(0.5 * context.alpha);
    let ratio = factor * factor * variance / (se * se);
    (values.len() == blocks && ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// The rates of a group, in the order of [`GroupAnswer`].
fn rates(group: &GroupAnswer) -> [&Answer; 4] {
    [
        &group.selection_rate,
        &group.adverse_impact_ratio,
        &group.true_positive_rate,
        &group.equal_opportunity_difference,
    ]
}

/// Evaluates rates of groups with the variance of blocks, and says whether it is that of blocks.
///
/// `blocks` are states of the rows of `whole`, split by block; fewer than two leave rows independent.
///
/// # Errors
/// As [`Fairness::evaluate`].
pub fn evaluate_fairness(
    whole: &Fairness,
    blocks: &[Fairness],
    reference: u32,
    context: &Context,
) -> Result<(Vec<GroupAnswer>, bool), NotApplicable> {
    let independent = Context {
        design_effect: 1.0,
        ..context.clone()
    };
    let base = whole.evaluate(reference, &independent)?;
    if blocks.len() < 2 {
        return Ok((base, false));
    }
    // By block left out, the four rates of each group.
    let mut without: Vec<Vec<[Option<f64>; 4]>> = Vec::with_capacity(blocks.len());
    let held: Vec<&Fairness> = blocks.iter().collect();
    leave_one_out(&held, whole.nothing(), Fairness::merge, &mut |rest| {
        let value = |a: &Answer| a.outcome.as_ref().map(|o| o.value).ok();
        let answers = rest.evaluate(reference, &independent).unwrap_or_default();
        without.push(answers.iter().map(|g| rates(g).map(value)).collect());
    })?;
    let mut out = base.clone();
    for (at, group) in base.iter().enumerate() {
        for (k, answer) in rates(group).into_iter().enumerate() {
            let values = without.iter().filter_map(|w| w.get(at)?[k]);
            let values: Vec<f64> = values.collect();
            let Some(design_effect) = effect(answer, &values, blocks.len(), context) else {
                continue;
            };
            let of_blocks = Context {
                design_effect,
                ..context.clone()
            };
            let again = whole.evaluate(reference, &of_blocks)?.swap_remove(at);
            let slot = &mut out[at];
            match k {
                0 => slot.selection_rate = again.selection_rate,
                1 => slot.adverse_impact_ratio = again.adverse_impact_ratio,
                2 => slot.true_positive_rate = again.true_positive_rate,
                _ => slot.equal_opportunity_difference = again.equal_opportunity_difference,
            }
        }
    }
    Ok((out, true))
}

/// Calls `each` with all blocks but one, by halves: `others` are the blocks not in `blocks`.
fn leave_one_out<T: Clone>(
    blocks: &[&T],
    others: T,
    merge: fn(&mut T, &T) -> crate::Result<()>,
    each: &mut impl FnMut(&T),
) -> Result<(), NotApplicable> {
    if blocks.len() == 1 {
        each(&others);
        return Ok(());
    }
    let (left, right) = blocks.split_at(blocks.len() / 2);
    for (inside, outside) in [(left, right), (right, left)] {
        let mut rest = others.clone();
        for block in outside {
            merge(&mut rest, block).map_err(failed)?;
        }
        leave_one_out(inside, rest, merge, each)?;
    }
    Ok(())
}

fn failed(e: crate::Error) -> NotApplicable {
    NotApplicable(e.to_string())
}
