//! Variance from blocks of rows that belong together: days, customers.
//!
//! The design effect of a metric is its delete-one-block jackknife variance over the variance of
//! independent rows, times the square of Student's over the normal quantile at one degree of freedom
//! less than there are blocks; the metric is then evaluated with it.

use super::{Answer, Context, Metric, State, not_applicable};
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
    leave_one_out(&held, nothing, &mut |rest| {
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
    let count = without.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = |v: &f64| (v - mean) * (v - mean);
    let variance = values.iter().map(square).sum::<f64>() * (count - 1.0) / count;
    let one_sigma = answer.interval.as_ref().map(|i| i.at(ONE_SIGMA));
    let se = one_sigma.map_or(0.0, |(low, high)| 0.5 * (high - low));
    let factor =
        student_two_sided_isf(context.alpha, count - 1.0) / normal_isf(0.5 * context.alpha);
    let ratio = factor * factor * variance / (se * se);
    let complete = values.len() == without.len();
    let design_effect = if complete && ratio.is_finite() && ratio > 0.0 {
        ratio
    } else {
        1.0
    };
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

/// Calls `each` with all blocks but one, by halves: `others` are the blocks not in `blocks`.
fn leave_one_out(
    blocks: &[&State],
    others: State,
    each: &mut impl FnMut(&State),
) -> Result<(), NotApplicable> {
    if blocks.len() == 1 {
        each(&others);
        return Ok(());
    }
    let (left, right) = blocks.split_at(blocks.len() / 2);
    for (inside, outside) in [(left, right), (right, left)] {
        let mut rest = others.clone();
        for block in outside {
            rest.merge(block).map_err(failed)?;
        }
        leave_one_out(inside, rest, each)?;
    }
    Ok(())
}

fn failed(e: crate::Error) -> NotApplicable {
    NotApplicable(e.to_string())
}
