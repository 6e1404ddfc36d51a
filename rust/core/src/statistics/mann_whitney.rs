//! Mann-Whitney test.

use super::superiority::Wins;
use super::{Context, Kinds, NotApplicable, Outcome, Statistic};
use crate::pair::Pair;

/// Pairs of a reference and a current row in which the reference row is larger, ties half: scipy's
/// `U` of the first sample.
///
/// Infinities are values. Two-sided p-value of the normal limit with the variance corrected for ties
/// and a continuity correction of 1/2 (scipy's `method="asymptotic"`). Pairs within a cell of several
/// values are undecided: half of them is the value, none and all of them the bounds, and the p-value
/// is the largest between, without ties inside the cell.
pub const STATISTIC: Statistic = Statistic {
    name: "mann_whitney",
    definition: "mann_whitney/u-of-reference/v1",
    summary: "pairs in which the reference row is larger than the current one, ties half",
    source: "Mann and Whitney (1947); Hollander and Wolfe (1973), equation 4.6 for ties; scipy.stats.mannwhitneyu(method='asymptotic')",
    notes: "infinities are values; ties count half; p: two-sided normal limit, variance corrected for ties, \
            continuity correction 1/2; no interval: probability_of_superiority is the effect size",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "pairs",
    null: Some("normal-limit-tie-corrected"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let wins = Wins::new(pair)?;
    let worth = wins.worth();
    let pairs = worth.0 * worth.1;
    let half = |twice: u128| 0.5 * twice as f64 * (wins.scale.0 * wins.scale.1);
    let (low, value, high) = wins.reference;
    let mut outcome = Outcome::bounded(
        half(value),
        half(low),
        half(high),
        STATISTIC.range,
        wins.rows,
    );
    outcome.value_if_no_change = Some(0.5 * pairs);
    outcome.pvalue = Some(wins.pvalue());
    outcome.message = Some(format!(
        "the current row is larger in {:.4} of the pairs, ties half",
        1.0 - outcome.value / pairs
    ));
    wins.depends(&mut outcome);
    Ok(outcome)
}
