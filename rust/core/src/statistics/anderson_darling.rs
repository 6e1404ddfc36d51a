//! Two-sample Anderson-Darling test.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, Steps, Total, outward};
use crate::pair::Pair;
use crate::row::Exactness;
use crate::special::{anderson_darling_sf, harmonic, harmonic_squares};
use core::f64::consts::PI;

/// The midrank statistic of Scholz and Stephens (1987, equations 3 and 7), `(A2 - 1) / sigma`: scipy's.
///
/// Infinities are values. With `B` rows below the middle of a tie of `l` rows and `h` the difference of
/// the mid-distribution functions, `A2 = (N - 1) n m / N sum l h^2 / (B (N - B) - N l / 4)`: its mean
/// over permutations is 1 whatever the ties. The p-value is the limit law (Anderson and Darling 1954)
/// at `1 + (A2 - 1) sqrt(V / V_ties)`, `V_ties` the variance of the normal limit given the ties; it
/// holds over the whole range.
///
/// In a cell of several values `h` and the weight lie between what the counts allow, which is the
/// certificate; the value takes the cell as one value, and the p-value is that of the lower bound.
pub const STATISTIC: Statistic = Statistic {
    name: "anderson_darling",
    definition: "anderson_darling/scholz-stephens-midrank-standardised/v1",
    summary: "standardised Anderson-Darling statistic: differences of the distribution functions with weight on the tails",
    source: "Scholz and Stephens (1987), equations 3 and 7; scipy.stats.anderson_ksamp(variant='midrank')",
    notes: "infinities are values; ties at midranks; p: limit law of Anderson and Darling (1954) at the \
            statistic standardised by the variance of its limit given the ties, never clipped; no \
            interval: the value grows with the rows; 4 values or more",
    kinds: Kinds::Numeric,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    unit: "standard deviations",
    null: Some("anderson-darling-limit-standardised"),
    compute,
    default_tolerance: None,
    centre: None,
};

/// Variance of the limit, `2 (pi^2 - 9) / 3`.
const LIMIT_VARIANCE: f64 = 2.0 * (PI * PI - 9.0) / 3.0;

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, true)?;
    let total = steps.pool(steps.n, steps.m);
    if total < 4.0 {
        return Err(NotApplicable(format!(
            "{total} values; 4 or more would be accepted"
        )));
    }
    let (n, m) = steps.worth();
    let rows = n + m;
    let (mut low, mut value, mut high) = (Total::default(), Total::default(), Total::default());
    let (mut diagonal, mut cross_terms) = (Total::default(), Total::default());
    let mut before = 0.0; // sum of share * B^2 / weight over the blocks before
    let weighed = pair.is_weighed();
    let mut exact = true;
    for block in steps.blocks() {
        let (a, b) = block.rows();
        let held = steps.pool(a, b);
        let share = held / rows;
        // Shares of rows below the middle and above it, and B (N - B) - N l / 4 over N^2.
        let left = steps.pool(block.left.0, block.left.1);
        let below = (left + 0.5 * held) / rows;
        let rest = steps.pool(steps.n - block.right.0, steps.m - block.right.1);
        let above = (rest + 0.5 * held) / rows;
        let weight = below * above - 0.25 * share;
        let (start, end) = (
            steps.gap(block.left.0, block.left.1),
            steps.gap(block.right.0, block.right.1),
        );
        let h = 0.5 * (start + end);
        // A correlation is at most 1: no row adds more than this.
        let ceiling = held * (rows / n / m);
        if weight <= 0.0 && !block.single {
            // One cell holds everything.
            exact = false;
            high.add(ceiling);
        }
        if weight > 0.0 {
            let middle = share * h * h / weight;
            if block.single {
                low.add(middle);
                value.add(middle);
                high.add(middle);
            } else {
                exact = false;
                let (least, most) = steps.gaps(block.left, block.right);
                let near = least.max(-most).max(0.0);
                let far = (least * least).max(most * most);
                // B (N - B) over N^2 at both ends of the cell.
                let ends = [left, rest].map(|x| x / rows * (1.0 - x / rows));
                let straddles = left < 0.5 * rows && rest < 0.5 * rows;
                let peak = if straddles {
                    0.25
                } else {
                    ends[0].max(ends[1])
                };
                let most_term = if left > 0.0 && rest > 0.0 {
                    // The weight is least at an end or for the whole cell as one tie.
                    share * far / ends[0].min(ends[1]).min(weight)
                } else {
                    match weighed {
                        true => ceiling,
                        false => end_term(a as f64 / n, b as f64 / m, held, n, m),
                    }
                };
                low.add((share * near * near / peak).min(middle));
                value.add(middle);
                high.add(most_term.min(ceiling).max(middle));
            }
            diagonal.add(share * share);
            cross_terms.add(share * above * above / weight * before);
            before += share * below * below / weight;
        }
    }
    let scale = n * (m / rows) * ((rows - 1.0) / rows);
    let sigma = libm::sqrt(variance(libm::round(rows) as u64, n, m));
    let standard = |terms: Total| (scale * terms.get() - 1.0) / sigma;
    let mut outcome = Outcome::exact(standard(value), (steps.n, steps.m));
    if !exact {
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = outward(standard(low) - 2e-15, -1.0).min(outcome.value);
        outcome.bound_high = outward(standard(high) + 2e-15, 1.0).max(outcome.value);
    }
    outcome.value_if_no_change = Some(0.0);
    let tied = 2.0 * (diagonal.get() + 2.0 * cross_terms.get());
    // 1 at the smallest value there is.
    let excess = outcome.bound_low * sigma;
    outcome.pvalue = Some(if tied > 0.0 && 1.0 + excess > 1e-14 {
        anderson_darling_sf(1.0 + excess * libm::sqrt(LIMIT_VARIANCE / tied))
    } else {
        1.0
    });
    Ok(outcome)
}

/// Most that the rows of an end cell of several values can add.
///
/// The row of rank `t` from the end sees at most `h = max(a / n, b / m)`, and `B / min(n, m)`, with
/// `B >= t / 2` rows beyond the middle of its tie and weight at least `B (N / 2 - held)`; so it adds at
/// most the lesser of `h / min(n, m)` and `2 h^2 / t` over `N / 2 - held`, summed by the integral.
fn end_term(a: f64, b: f64, held: f64, n: f64, m: f64) -> f64 {
    let (h, least, half) = (a.max(b), n.min(m), 0.5 * (n + m));
    if held >= half {
        return f64::INFINITY;
    }
    let corner = (2.0 * h * least).min(held);
    let sum = h / least * corner + 2.0 * h * h * libm::log(held / corner);
    sum * (n + m) / (half - held)
}

/// Variance of the statistic without ties, Scholz and Stephens (1987, equation 4) for two samples,
/// with `sum over i < j < N of 1 / ((N - i) j) = H2(N - 1) - 2 H(N - 1) / N`.
fn variance(total: u64, n: f64, m: f64) -> f64 {
    let rows = total as f64;
    let h = harmonic(total - 1);
    let g = harmonic_squares(total - 1) - 2.0 * h / rows;
    let inverse = 1.0 / n + 1.0 / m;
    let a = (4.0 * g - 6.0) + (10.0 - 6.0 * g) * inverse;
    let b = 12.0 * g - 22.0 + 8.0 * h + (2.0 * g - 14.0 * h - 4.0) * inverse;
    let c = 36.0 * h + 4.0 + (2.0 * h - 6.0) * inverse;
    let d = 24.0;
    let at = |x: f64| x / rows;
    (a + at(b + at(c + at(d)))) / ((1.0 - at(1.0)) * (1.0 - at(2.0)) * (1.0 - at(3.0)))
}
