//! Two-sample Cramer-von Mises test.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, Steps, Total, outward};
use crate::pair::Pair;
use crate::row::Exactness;
use crate::special::cramer_von_mises_sf;

/// `T = n m / (n + m)^2` times the sum of `(F - G)^2` over all pooled rows (Anderson 1962, equation 2).
///
/// Infinities are values. Without ties this is scipy's `T`; with ties scipy's ranks depend on which
/// of equal rows comes first, the distribution functions here do not. The p-value is Smirnov's limit
/// at `1/6 + (T - mean) / sqrt(45 variance)`: the mean of `T` over permutations given the ties, and
/// Anderson's variance times the ratio of the limits with and without these ties; it is 1 at 0.
///
/// In a cell of several values the row of rank `t` sees `F - G` no further out than the counts
/// allow, which is the certificate; the value spreads both sides evenly over the cell, and the p-value
/// is that of the lower bound.
pub const STATISTIC: Statistic = Statistic {
    name: "cramer_von_mises",
    definition: "cramer_von_mises/ecdf-over-pooled-rows/v1",
    summary: "sum of squared differences of the distribution functions over all pooled rows",
    source: "Anderson (1962), equations 2, 14 and 16; scipy.stats.cramervonmises_2samp without ties",
    notes: "infinities are values; ties by the distribution functions, never by midranks; p: Smirnov's \
            limit at the statistic standardised by its mean and variance given the ties; no interval: \
            the value grows with the rows, energy is the distance",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "omega squared",
    null: Some("smirnov-limit-standardised"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, true)?;
    let (n, m) = steps.worth();
    let rows = n + m;
    let (mut low, mut value, mut high) = (Total::default(), Total::default(), Total::default());
    let (mut mean, mut diagonal, mut cross_terms) =
        (Total::default(), Total::default(), Total::default());
    let mut before = 0.0; // sum of share * H^2 over the blocks before
    let weighed = pair.is_weighed();
    let mut exact = true;
    for block in steps.blocks() {
        let (a, b) = block.rows();
        let held = steps.pool(a, b);
        let end = steps.gap(block.right.0, block.right.1);
        // Rows at or below, as a share; both factors from integers.
        let below = steps.pool(block.right.0, block.right.1) / rows;
        let above = steps.pool(steps.n - block.right.0, steps.m - block.right.1) / rows;
        let share = held / rows;
        if block.single {
            low.add(held * end * end);
            value.add(held * end * end);
            high.add(held * end * end);
            mean.add(share * below * above);
        } else {
            exact = false;
            let start = steps.gap(block.left.0, block.left.1);
            let (least, most) = steps.gaps(block.left, block.right);
            let near = least.max(-most).max(0.0);
            // The last value of the cell has at least one row.
            let one = if weighed { 0.0 } else { 1.0 };
            let least_sum = (held - one) * near * near + one * end * end;
            let most_sum = if least >= 0.0 && !weighed {
                bow(most, end, steps.pool(a, 0), steps.pool(0, b))
            } else if most <= 0.0 && !weighed {
                bow(least, end, steps.pool(0, b), steps.pool(a, 0))
            } else {
                held * (least * least).max(most * most)
            };
            low.add(least_sum);
            high.add(most_sum.max(least_sum));
            value.add(line(start, end, held).clamp(least_sum, most_sum.max(least_sum)));
            // Rows one by one: the mean of L (N - L) over the ranks of the cell.
            let middle = below - 0.5 * (held - one) / rows;
            let bend = (held * held - one) / (12.0 * rows * rows);
            mean.add(share * (middle * (1.0 - middle) - bend).max(0.0));
        }
        diagonal.add(share * share * below * below * above * above);
        cross_terms.add(share * above * above * before);
        before += share * below * below;
    }
    let scale = n / rows * (m / rows);
    let mut outcome = Outcome::exact(scale * value.get(), (steps.n, steps.m));
    if !exact {
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = outward(scale * low.get(), -1.0).min(outcome.value);
        outcome.bound_high = outward(scale * high.get(), 1.0).max(outcome.value);
    }
    let mean = mean.get() * rows / (rows - 1.0);
    let inverse = 1.0 / (rows * rows);
    let tied = 2.0 * (diagonal.get() + 2.0 * cross_terms.get());
    let untied = 1.0 / 45.0 + inverse * (1.0 / 18.0 - inverse * 7.0 / 90.0);
    // Anderson's equation 16, with n and m as shares of all rows.
    let anderson = (1.0 + 1.0 / rows)
        * (4.0 * scale
            - (3.0 * (n / rows * (n / rows) + m / rows * (m / rows)) + 2.0 * scale) / rows)
        / (180.0 * scale);
    let variance = anderson * (tied / untied);
    outcome.value_if_no_change = Some(mean);
    let standard = (outcome.bound_low - mean) / libm::sqrt(45.0 * variance);
    outcome.pvalue = Some(if outcome.bound_low > 0.0 && variance > 0.0 {
        cramer_von_mises_sf(1.0 / 6.0 + standard)
    } else {
        1.0
    });
    Ok(outcome)
}

/// Largest sum of squares over the rows of a cell where `F - G` keeps its sign: it goes from `start`
/// to `peak` over `rise` rows, which see the peak itself when tied, then to `end` over `fall` rows.
fn bow(peak: f64, end: f64, rise: f64, fall: f64) -> f64 {
    rise * peak * peak + line(peak, end, fall)
}

/// Sum of squares at `rows` equal steps on the line from `from` (left out) to `to`.
fn line(from: f64, to: f64, rows: f64) -> f64 {
    if rows <= 0.0 {
        return 0.0;
    }
    let step = (to - from) / rows;
    // sum (from + t step)^2, t = 1..rows
    rows * (from * (from + step * (rows + 1.0))
        + step * step * (rows + 1.0) * (2.0 * rows + 1.0) / 6.0)
}
