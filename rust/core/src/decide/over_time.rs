//! Error rates over all windows, not over each: online false-discovery control and e-processes.
//!
//! Both look at past windows only, so a later window never changes a verdict.

use crate::statistics::{Interval, fold};

/// How the errors of one window add up with those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverTime {
    /// Each window is a family of its own, at the whole level.
    #[default]
    Window,
    /// False-discovery rate over all windows so far.
    OnlineFdr,
    /// Chance of any false alarm in all windows, with the reference's own error in the null.
    Sequential,
}

/// Levels of windows that are tested one after the other: Batch-PRDS of Zrnic, Jiang, Ramdas and Jordan
/// (2020, algorithm 2), `alpha_t = alpha gamma_t (n_t + R) / n_t` with `R` the rows selected in earlier
/// windows, each window by Benjamini and Hochberg. The false-discovery rate over all windows is at most
/// `alpha` where p-values depend positively within a window and windows are independent.
#[derive(Debug, Clone, Default)]
pub(super) struct OnlineFdr {
    windows: u64,
    selected: u64,
}

impl OnlineFdr {
    /// The level of the next window, with so many rows. Never above `alpha`, which only lowers it.
    pub(super) fn level(&mut self, alpha: f64, rows: usize) -> f64 {
        self.windows += 1;
        // Ramdas, Zrnic, Wainwright and Jordan (2018) spend as t^-1.6, here over zeta(1.6).
        let share = libm::pow(self.windows as f64, -1.6) / 2.285_765_643_698_283;
        let rows = rows.max(1) as f64;
        (alpha * share * (rows + self.selected as f64) / rows).min(alpha)
    }

    /// Notes how many rows of the window were selected.
    pub(super) fn select(&mut self, rows: usize) {
        self.selected += rows as u64;
    }
}

/// Evidence of one row that the distance exceeds a tolerance, over windows.
///
/// Each window has an e-value, its p-value calibrated by `(1 - p + p ln p) / (p ln^2 p)` (the mixture of
/// `k p^(k - 1)` over k, Vovk and Wang 2021). The process is the mixture over the window `j` in which
/// drift began, with weights `1 / (j (j + 1))`, of the products of e-values from there on: Ville's
/// inequality bounds the chance that it ever reaches `1 / alpha` by `alpha`, and a late change is found
/// about as soon as an early one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    windows: u64,
    begun: f64,
}

impl Evidence {
    pub(super) fn new() -> Self {
        Evidence {
            windows: 0,
            begun: 0.0,
        }
    }

    /// Takes in the p-value of the next window.
    pub(super) fn update(&mut self, pvalue: f64) {
        self.windows += 1;
        let j = self.windows as f64;
        let begun = (self.begun + 1.0 / (j * (j + 1.0))) * calibrated(pvalue);
        self.begun = begun.min(f64::MAX);
    }

    /// The e-value so far.
    pub(super) fn value(&self) -> f64 {
        self.begun + 1.0 / (self.windows as f64 + 1.0)
    }

    /// Windows taken in.
    pub(super) fn windows(&self) -> u64 {
        self.windows
    }
}

/// The e-value of a p-value; one half at p = 1.
fn calibrated(pvalue: f64) -> f64 {
    let p = pvalue.clamp(1e-300, 1.0);
    let log = libm::log(p);
    if log > -1e-3 {
        // The series at p = 1, where the quotient loses its digits.
        return 0.5 - log / 6.0;
    }
    (1.0 - p + p * log) / (p * log * log)
}

/// p-value of one window's test of "the distance is at most `threshold`", for a reference that is the same
/// in all windows: the reference's error, bounded once at level `alpha`, is part of the null, and the
/// window brings its own error alone.
///
/// `rows` are the effective rows of reference and current sample; `bounds` certify the value.
pub(super) fn window_pvalue(
    interval: &Interval,
    bounds: (f64, f64),
    rows: (f64, f64),
    centre: Option<f64>,
    threshold: f64,
    alpha: f64,
) -> f64 {
    let inverse = (1.0 / rows.0, 1.0 / rows.1);
    let shares = (
        inverse.0 / (inverse.0 + inverse.1),
        inverse.1 / (inverse.0 + inverse.1),
    );
    let reference = part(interval, shares.0, true);
    let current = part(interval, shares.1, false);
    let near = fold(bounds, centre).0;
    let band = (near - fold(reference.at(alpha), centre).0).max(0.0);
    current.tolerance_pvalue(threshold + band, centre)
}

/// Rows that leave no error worth counting.
const MANY: f64 = 1e12;

/// The interval with the error of one side alone, which has that share of the variance.
fn part(interval: &Interval, share: f64, of_reference: bool) -> Interval {
    let known = |(x, n): (f64, f64), is: bool| if is { (x * MANY, n * MANY) } else { (x, n) };
    let mut part = interval.clone();
    match &mut part {
        Interval::BoundedDifference { inverse_rows, .. } => *inverse_rows *= share,
        Interval::Normal { se, .. } | Interval::Student { se, .. } => *se *= libm::sqrt(share),
        // Mean and degrees of freedom: the one falls with the rows, the other stays.
        Interval::Quadratic { bias, .. } => *bias *= share,
        // What absolute differences have too much adds up to more than that of both sides together.
        Interval::Folded { points, .. } => {
            for [truth, mean, sd] in points {
                *mean = *truth + (*mean - *truth) * libm::sqrt(share);
                *sd *= libm::sqrt(share);
            }
        }
        Interval::Largest { differences, .. } => {
            for reach in differences.iter_mut().flat_map(|d| d.reach.iter_mut()) {
                *reach = (reach.0 * libm::sqrt(share), reach.1 * libm::sqrt(share));
            }
        }
        Interval::LargestShare { cells, .. } => {
            for (_, deviation) in cells {
                *deviation *= libm::sqrt(share);
            }
        }
        Interval::AbsoluteDifference { reference, current } => {
            *reference = known(*reference, !of_reference);
            *current = known(*current, of_reference);
        }
        Interval::Wilson { rows, .. } => {
            if of_reference {
                *rows *= MANY;
            }
        }
        Interval::Share {
            successes,
            rows,
            expected,
        } => {
            if of_reference {
                *successes = (successes.0 * MANY, successes.1 * MANY);
                *rows *= MANY;
            }
            *expected = expected.map(|e| known(e, !of_reference));
        }
        Interval::Clustered { inner, .. } => **inner = self::part(inner, share, of_reference),
        Interval::Metric(_) => {}
    }
    part
}

/// Positions selected from e-values by the e-BH procedure (Wang and Ramdas 2022): the `k` largest, `k` the
/// most such that the smallest of them is at least `hypotheses / (alpha k)`. Valid under any dependence.
pub(super) fn e_select(evalues: &[f64], hypotheses: usize, alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..evalues.len()).collect();
    order.sort_by(|&a, &b| evalues[b].total_cmp(&evalues[a]));
    let needed = |k: usize| hypotheses.max(evalues.len()) as f64 / (alpha * k as f64);
    let most = (1..=order.len())
        .rev()
        .find(|&k| evalues[order[k - 1]] >= needed(k));
    let mut selected = vec![false; evalues.len()];
    for &i in &order[..most.unwrap_or(0)] {
        selected[i] = true;
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Noise;

    #[test]
    fn evalues_have_mean_one_under_the_null() {
        // Midpoints of p on a logarithmic scale: the integral of e(p) over p is 1.
        let steps = 2_000_000;
        let width = 690.0 / f64::from(steps);
        let sum: f64 = (0..steps)
            .map(|i| {
                let p = libm::exp(-(f64::from(i) + 0.5) * width);
                calibrated(p) * p * width
            })
            .sum();
        // The tail below exp(-690) holds 1 / 690.
        assert!((sum + 1.0 / 690.0 - 1.0).abs() < 1e-5, "{sum}");
        assert!((calibrated(1.0 - 1.001e-3) - calibrated(1.0 - 0.999e-3)).abs() < 1e-6);
    }

    #[test]
    fn weights_of_beginnings_add_up_to_one() {
        let mut evidence = Evidence::new();
        assert_eq!(evidence.value(), 1.0);
        for _ in 0..1000 {
            evidence.update(1.0);
        }
        assert!(evidence.value() < 0.01);
        for _ in 0..5 {
            evidence.update(1e-8);
        }
        assert!(evidence.value() > 1e6);
        evidence.update(0.0);
        assert!(evidence.value().is_finite());
    }

    #[test]
    fn levels_of_windows_without_findings_add_up_to_alpha() {
        let mut online = OnlineFdr::default();
        let spent: f64 = (0..100_000).map(|_| online.level(0.05, 20)).sum();
        assert!(spent < 0.05 && spent > 0.0495, "{spent}");
        online.select(1_000_000_000_000);
        assert_eq!(online.level(0.05, 20), 0.05);
    }

    #[test]
    fn the_step_up_of_evalues() {
        assert_eq!(e_select(&[100.0, 1.0, 19.0], 3, 0.05), [true, false, false]);
        assert_eq!(e_select(&[59.0, 31.0, 30.5], 3, 0.05), [true, true, true]);
        assert_eq!(e_select(&[59.0, 1.0, 1.0], 3, 0.05), [false; 3]);
        assert_eq!(e_select(&[], 3, 0.05), [false; 0]);
    }

    #[test]
    fn a_known_side_leaves_the_error_of_the_other() {
        let interval = Interval::BoundedDifference {
            bounds: (0.2, 0.2),
            noise: Noise::Kolmogorov,
            inverse_rows: 1.0 / 400.0 + 1.0 / 100.0,
        };
        let of = |reference| {
            part(&interval, if reference { 0.2 } else { 0.8 }, reference)
                .at(0.05)
                .0
        };
        let w = |n: f64| libm::sqrt(libm::log(2.0 / 0.05) / (2.0 * n));
        assert!((of(true) - (0.2 - w(400.0))).abs() < 1e-12);
        assert!((of(false) - (0.2 - w(100.0))).abs() < 1e-12);
        let difference = Interval::AbsoluteDifference {
            reference: (10.0, 100.0),
            current: (40.0, 100.0),
        };
        let both = difference.at(0.05).0;
        assert!(part(&difference, 0.5, true).at(0.05).0 > both);
        assert!(part(&difference, 0.5, false).at(0.05).0 > both);
    }
}
