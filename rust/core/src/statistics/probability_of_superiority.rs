//! Probability of superiority.

use super::superiority::Wins;
use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic};
use crate::pair::Pair;

/// Probability that a current row is larger than a reference row, ties half: the effect size of
/// `mann_whitney`, 1/2 when neither side is larger.
///
/// Interval: Wilson (1927) with the rows that give the standard error by placements (DeLong 1988),
/// never fewer than the smaller sample, which suffices for any two distributions (van Dantzig 1951).
pub const STATISTIC: Statistic = Statistic {
    name: "probability_of_superiority",
    definition: "probability_of_superiority/v1",
    summary: "probability that a current row is larger than a reference row, ties half",
    source: "Mann and Whitney (1947); interval: DeLong et al. (1988) in Wilson's (1927) form",
    notes: "infinities are values; ties count half; p as mann_whitney; interval: Wilson with the rows that \
            give the standard error by placements",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "probability",
    null: Some("normal-limit-tie-corrected"),
    compute,
    default_tolerance: None,
    centre: Some(0.5),
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let wins = Wins::new(pair)?;
    let (n, m) = (wins.rows.0 as f64, wins.rows.1 as f64);
    let pairs = u128::from(wins.rows.0) * u128::from(wins.rows.1);
    let share = |reference: u128| (2 * pairs - reference) as f64 / (2.0 * (n * m));
    let (least, value, most) = wins.reference;
    let mut outcome = Outcome::bounded(
        share(value).min(1.0),
        share(most),
        share(least).min(1.0),
        STATISTIC.range,
        wins.rows,
    );
    outcome.value_if_no_change = Some(0.5);
    outcome.pvalue = Some(wins.pvalue());
    let spread = outcome.value * (1.0 - outcome.value);
    let least_worth = wins.least();
    let effective = if wins.se > 0.0 {
        (spread / (wins.se * wins.se)).max(least_worth)
    } else {
        least_worth
    };
    wins.depends(&mut outcome);
    let interval = Interval::Wilson {
        bounds: (outcome.bound_low, outcome.bound_high),
        rows: effective,
    };
    Ok(outcome.with_interval(wins.clustered(interval), context))
}
