//! Whether importances changed between two sets of rows, and how far donors and rows account for it.
//!
//! The importance of a feature in each set is a U-statistic with a standard error of its own; the sets
//! share no rows, so the variance of the difference is the sum of both, and at least what it is when rows
//! (or blocks of rows) of both vary alike (pooled). Differences are tested at zero with Student's
//! distribution (Welch's degrees of freedom), adjusted over the features by Benjamini and Hochberg (1995);
//! intervals are taken at the level of the selected ones (Benjamini and Yekutieli 2005), so an interval
//! leaves out 0 exactly where the q-value is at most `alpha`.
//!
//! # Rows and donors
//! Write `T(A, B)` for the mean change of loss when rows of A take the feature from donors of B. Then
//! `T(W, W) - T(R, R)` is the mean over both orders of exchanging the donors first or the rows first
//! (Shapley's value of two players). A model that sees the feature through cells needs for all four
//! only what each set holds: donors by cell, and the change of loss by donor cell.

use crate::decide::adjusted;
use crate::special::{normal_sf, student_two_sided, student_two_sided_isf};
use crate::{Error, Result};

/// What a set of rows says about one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// Loss with the feature taken from another row, less the loss as it is.
    pub value: f64,
    /// Its standard error; 0 where nothing was estimated, NaN where none is known.
    pub standard_error: f64,
    /// Donors and changes of loss by cell, where the model sees the feature through cells.
    pub response: Option<Response>,
}

/// How rows respond to donors of each cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Rows of the set by cell.
    pub counts: Vec<u64>,
    /// Mean change of loss over the rows of the set under a donor of the cell; NaN where not computed.
    pub change: Vec<f64>,
}

/// Importances of all features on one set of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// Rows of the set.
    pub rows: u64,
    /// Blocks, where standard errors are theirs.
    pub blocks: Option<Blocks>,
    /// Features, in one order for both sides.
    pub features: Vec<Importance>,
}

/// Blocks of rows, each of which hangs together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blocks {
    /// How many.
    pub count: u64,
    /// Degrees of freedom of a standard error over them.
    pub freedom: f64,
}

impl Side {
    /// Independent units, and the degrees of freedom of a standard error.
    fn units(&self) -> (f64, f64) {
        match self.blocks {
            Some(blocks) => (blocks.count as f64, blocks.freedom),
            None => (self.rows as f64, self.rows as f64 - 1.0),
        }
    }
}

/// Change of the importance of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Importance in the window less that in the reference.
    pub value: f64,
    /// Standard error of the change, the larger of Welch's and the pooled one; NaN where none is known.
    pub standard_error: f64,
    /// Limits at level `1 - alpha R / m` with R of m features selected; none where nothing was tested.
    pub interval: Option<(f64, f64)>,
    /// Two-sided, against no change.
    pub pvalue: Option<f64>,
    /// Benjamini-Hochberg over the features that were tested.
    pub qvalue: Option<f64>,
    /// Importance in the window over that in the reference; none over an importance of 0.
    pub ratio: Option<f64>,
    /// Fieller's limits of the ratio at level `1 - alpha`; none where the reference may be 0.
    pub ratio_interval: Option<(f64, f64)>,
    /// Change of the share of the sum of positive importances.
    pub share: Option<f64>,
    /// Ranks in reference and window, 1 for the most important.
    pub ranks: (u64, u64),
    /// Limits of the change of rank, jointly over all features at level `1 - alpha`.
    pub rank_interval: Option<(i64, i64)>,
    /// What donors and rows account for.
    pub split: Option<Split>,
}

/// A change of importance in two parts that add up to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// From other donors: the feature's own distribution, as the model sees it.
    pub donors: f64,
    /// From other rows: the other features, the labels, and the feature's own place among them.
    pub rows: f64,
    /// Two-sided, against donors of one distribution over the cells.
    pub pvalue: Option<f64>,
}

/// Changes of all features, and the numbers that other tools look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// In the order of the features.
    pub features: Vec<Change>,
    /// Normalised discounted cumulative gain of the window's order, with the reference's importances as
    /// gains (negative ones count 0); none without a positive one. It does not see a change of scale.
    pub ndcg: Option<f64>,
    /// Spearman's correlation of the importances; none where one side has a single value.
    pub rank_correlation: Option<f64>,
}

/// Compares the importances of two sets of rows that share no row.
///
/// # Errors
/// When the sides hold different numbers of features or cells, fewer than 2 rows, or `alpha` is not
/// between 0 and 1.
pub fn drift(reference: &Side, window: &Side, alpha: f64) -> Result<Drift> {
    check(reference, window, alpha)?;
    let (n, m) = (reference.rows, window.rows);
    let by_block = reference.blocks.or(window.blocks).is_some();
    let pairs = || reference.features.iter().zip(&window.features);
    let tests: Vec<Test> = pairs()
        .map(|(a, b)| Test::new((a, reference), (b, window)))
        .collect();
    let tested: Vec<usize> = (0..tests.len())
        .filter(|&j| tests[j].pvalue.is_some())
        .collect();
    let pvalues: Vec<f64> = tests.iter().filter_map(|t| t.pvalue).collect();
    let mut qvalues = vec![None; tests.len()];
    for (&j, q) in tested.iter().zip(adjusted(&pvalues, 1.0)) {
        qvalues[j] = Some(q);
    }
    let selected = qvalues.iter().flatten().filter(|q| **q <= alpha).count();
    let level = alpha * selected.max(1) as f64 / tested.len().max(1) as f64;

    let values = |side: &Side| side.features.iter().map(|f| f.value).collect::<Vec<_>>();
    let (before, after) = (values(reference), values(window));
    let shares = |v: &[f64]| {
        let sum: f64 = v.iter().map(|x| x.max(0.0)).sum();
        (sum > 0.0).then_some(sum)
    };
    let sums = shares(&before).zip(shares(&after));
    // Both sides of every feature at once.
    let joint = alpha / (2 * tests.len().max(1)) as f64;
    let ranges = rank_ranges(reference, joint).zip(rank_ranges(window, joint));
    let place = |v: &[f64], j: usize| 1 + v.iter().filter(|x| **x > v[j]).count() as u64;

    let features = pairs()
        .zip(&tests)
        .enumerate()
        .map(|(j, ((a, b), test))| Change {
            value: test.value,
            standard_error: test.variance.sqrt(),
            interval: test.pvalue.map(|_| test.limits(level)),
            pvalue: test.pvalue,
            qvalue: qvalues[j],
            ratio: (a.value != 0.0).then(|| b.value / a.value),
            ratio_interval: test
                .pvalue
                .and_then(|_| fieller(a, b, test.quantile(alpha))),
            share: sums.map(|(r, w)| after[j].max(0.0) / w - before[j].max(0.0) / r),
            ranks: (place(&before, j), place(&after, j)),
            rank_interval: ranges.as_ref().map(|(r, w)| {
                let ((r_low, r_high), (w_low, w_high)) = (r[j], w[j]);
                (w_low - r_high, w_high - r_low)
            }),
            split: split(a, b, n, m, test.value).map(|s| Split {
                // Its variance is that of donors drawn one by one.
                pvalue: s.pvalue.filter(|_| !by_block),
                ..s
            }),
        })
        .collect();
    Ok(Drift {
        features,
        ndcg: ndcg(&before, &after),
        rank_correlation: spearman(&before, &after),
    })
}

fn check(reference: &Side, window: &Side, alpha: f64) -> Result<()> {
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(Error::invalid(format!(
            "alpha {alpha}; accepted is between 0 and 1"
        )));
    }
    if let Some(rows) = [reference.rows, window.rows].into_iter().find(|n| *n < 2) {
        return Err(Error::invalid(format!(
            "{rows} rows; at least 2 are needed on either side"
        )));
    }
    if reference.features.len() != window.features.len() {
        return Err(Error::incompatible(format!(
            "{} features in the reference, {} in the window",
            reference.features.len(),
            window.features.len()
        )));
    }
    for (j, (a, b)) in reference.features.iter().zip(&window.features).enumerate() {
        let shape = |f: &Importance| {
            let cells = f.response.as_ref();
            cells.map(|r| (r.counts.len(), r.change.len()))
        };
        let odd = |s: Option<(usize, usize)>| s.is_some_and(|(n, c)| n != c);
        let (a, b) = (shape(a), shape(b));
        if odd(a) || odd(b) || a.zip(b).is_some_and(|(a, b)| a != b) {
            return Err(Error::incompatible(format!(
                "cells of feature {j} differ: {a:?} and {b:?}"
            )));
        }
    }
    Ok(())
}

/// Difference of two independent estimates.
struct Test {
    value: f64,
    variance: f64,
    freedom: f64,
    pvalue: Option<f64>,
}

impl Test {
    fn new((a, reference): (&Importance, &Side), (b, window): (&Importance, &Side)) -> Self {
        let value = b.value - a.value;
        let (va, vb) = (a.standard_error.powi(2), b.standard_error.powi(2));
        let ((x, of_a), (y, of_b)) = (reference.units(), window.units());
        let (variance, freedom) = if y < 2.0 && window.blocks.is_some() {
            // One block says nothing about how blocks vary; those of the reference do, or vary more where
            // they hold more rows.
            let rows = reference.rows as f64 / x / window.rows as f64;
            (va + x * va * rows.max(1.0), of_a)
        } else {
            let own = va + vb;
            // Shares of the variance: their squares do not leave the range of f64.
            let part = |v: f64, freedom: f64| (v / own).powi(2) / freedom;
            // Importances are skewed: a small set that happens to have a small one has a small error too.
            let of_unit = ((x - 1.0) * (x * va) + (y - 1.0) * (y * vb)) / (x + y - 2.0);
            let pooled = of_unit * (1.0 / x + 1.0 / y);
            (own.max(pooled), 1.0 / (part(va, of_a) + part(vb, of_b)))
        };
        let testable = variance > 0.0 && variance.is_finite() && value.is_finite() && freedom > 0.0;
        Self {
            value,
            variance,
            freedom,
            pvalue: testable.then(|| student_two_sided(value / variance.sqrt(), freedom)),
        }
    }

    fn quantile(&self, alpha: f64) -> f64 {
        student_two_sided_isf(alpha, self.freedom)
    }

    fn limits(&self, alpha: f64) -> (f64, f64) {
        let reach = self.quantile(alpha) * self.variance.sqrt();
        (self.value - reach, self.value + reach)
    }
}

/// All ratios r with `|b - r a| <= t se(b - r a)` (Fieller 1954), where they are an interval.
fn fieller(a: &Importance, b: &Importance, t: f64) -> Option<(f64, f64)> {
    let reach = |f: &Importance| (t * f.standard_error).powi(2);
    let (lead, last) = (a.value.powi(2) - reach(a), b.value.powi(2) - reach(b));
    if lead <= 0.0 || !lead.is_finite() {
        return None;
    }
    let middle = a.value * b.value;
    let root = (middle * middle - lead * last).max(0.0).sqrt();
    Some(((middle - root) / lead, (middle + root) / lead))
}

/// Ranks that intervals of all features at level `1 - alpha` allow: those certainly more important come
/// before, those certainly less important after (Klein, Wright and Wieczorek 2020).
fn rank_ranges(side: &Side, alpha: f64) -> Option<Vec<(i64, i64)>> {
    let reach = student_two_sided_isf(alpha, side.units().1);
    let limits: Vec<(f64, f64)> = side
        .features
        .iter()
        .map(|f| {
            let reach = reach * f.standard_error;
            (f.value - reach, f.value + reach)
        })
        .collect();
    if limits.iter().any(|(low, high)| (high - low).is_nan()) {
        return None;
    }
    let all = limits.len() as i64;
    let range = |(low, high): &(f64, f64)| {
        let above = limits.iter().filter(|(l, _)| l > high).count() as i64;
        let below = limits.iter().filter(|(_, h)| h < low).count() as i64;
        (1 + above, all - below)
    };
    Some(limits.iter().map(range).collect())
}

/// Parts of the change from donors and from rows; none without cells on both sides.
fn split(a: &Importance, b: &Importance, n: u64, m: u64, total: f64) -> Option<Split> {
    let (r, w) = (a.response.as_ref()?, b.response.as_ref()?);
    let mean = |donors: &Response, count: u64, change: &Response| -> Option<f64> {
        let terms = donors.counts.iter().zip(&change.change);
        let sum: f64 = terms
            .filter(|(n, _)| **n > 0)
            .map(|(n, c)| *n as f64 * c)
            .sum();
        (!sum.is_nan()).then(|| sum / count as f64)
    };
    // T(rows, donors) of different sets: no pair is a row with itself.
    let (window_rows, reference_rows) = (mean(r, n, w)?, mean(w, m, r)?);
    let donors = 0.5 * ((reference_rows - a.value) + (b.value - window_rows));
    // What a donor does on average; under one distribution of donors only their draw is random.
    let effect = |cell: usize| 0.5 * (r.change[cell] + w.change[cell]);
    let variance = |side: &Response, count: u64| {
        let own = || side.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        let centre = own().map(|(i, n)| *n as f64 * effect(i)).sum::<f64>() / count as f64;
        let squares: f64 = own()
            .map(|(i, n)| *n as f64 * (effect(i) - centre).powi(2))
            .sum();
        squares / (count - 1) as f64 / count as f64
    };
    let variance = variance(r, n) + variance(w, m);
    Some(Split {
        donors,
        rows: total - donors,
        pvalue: (variance > 0.0).then(|| 2.0 * normal_sf(donors.abs() / variance.sqrt())),
    })
}

/// With the features in the window's order and the reference's importances as gains.
fn ndcg(reference: &[f64], window: &[f64]) -> Option<f64> {
    let gain = |by: &[f64]| {
        let mut order: Vec<usize> = (0..by.len()).collect();
        order.sort_by(|&i, &j| by[j].total_cmp(&by[i]));
        let discounted =
            |(at, j): (usize, &usize)| reference[*j].max(0.0) / ((at + 2) as f64).log2();
        order.iter().enumerate().map(discounted).sum::<f64>()
    };
    let best = gain(reference);
    (best > 0.0 && best.is_finite()).then(|| gain(window) / best)
}

/// Correlation of the ranks, ties at their mean.
fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    let ranks = |v: &[f64]| -> Vec<f64> {
        let twice = |a: &f64| {
            let (below, equal) = v.iter().fold((0, 0), |(below, equal), b| {
                (below + usize::from(b < a), equal + usize::from(b == a))
            });
            (2 * below + equal) as f64 - v.len() as f64
        };
        v.iter().map(twice).collect()
    };
    let (a, b) = (ranks(x), ranks(y));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let size = (dot(&a, &a) * dot(&b, &b)).sqrt();
    (size > 0.0).then(|| dot(&a, &b) / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(rows: u64, features: &[(f64, f64)]) -> Side {
        let features = features
            .iter()
            .map(|(value, standard_error)| Importance {
                value: *value,
                standard_error: *standard_error,
                response: None,
            })
            .collect();
        Side {
            rows,
            blocks: None,
            features,
        }
    }

    #[test]
    fn a_common_factor_is_a_change_that_order_does_not_show() {
        let before = side(1000, &[(1.0, 0.02), (0.5, 0.02), (0.2, 0.01), (0.0, 0.0)]);
        let after = side(
            1000,
            &[(0.1, 0.002), (0.05, 0.002), (0.02, 0.001), (0.0, 0.0)],
        );
        let found = drift(&before, &after, 0.05).unwrap();
        assert_eq!(found.ndcg, Some(1.0));
        assert!((found.rank_correlation.unwrap() - 1.0).abs() < 1e-15);
        for change in &found.features[..3] {
            assert!(change.qvalue.unwrap() < 1e-6);
            let (low, high) = change.ratio_interval.unwrap();
            assert!(low < 0.1 && 0.1 < high, "{low} {high}");
            assert!(change.share.unwrap().abs() < 1e-15);
        }
        // What the model does not use is not part of the family.
        assert_eq!(found.features[3].pvalue, None);
        assert_eq!(found.features[3].ratio, None);
    }

    #[test]
    fn an_interval_leaves_out_zero_where_the_feature_is_selected() {
        let values = [(0.0, 1.0), (0.5, 1.0), (3.0, 1.0), (3.6, 1.0), (2.9, 1.0)];
        let before = side(500, &[(0.0, 0.5); 5]);
        let found = drift(&before, &side(700, &values), 0.05).unwrap();
        for change in &found.features {
            let (low, high) = change.interval.unwrap();
            assert_eq!(low > 0.0 || high < 0.0, change.qvalue.unwrap() <= 0.05);
        }
        assert!(found.features.iter().any(|c| c.qvalue.unwrap() <= 0.05));
    }

    #[test]
    fn ranks_that_are_not_certain_have_wide_limits() {
        let before = side(1000, &[(3.0, 0.01), (2.0, 0.01), (1.0, 0.01)]);
        let after = side(1000, &[(1.0, 0.01), (2.0, 5.0), (3.0, 0.01)]);
        let found = drift(&before, &after, 0.05).unwrap();
        assert_eq!(found.features[0].ranks, (1, 3));
        assert_eq!(found.features[0].rank_interval, Some((1, 2)));
        assert_eq!(found.features[1].rank_interval, Some((-1, 1)));
        assert_eq!(found.features[2].rank_interval, Some((-2, -1)));
    }

    #[test]
    fn without_a_standard_error_nothing_is_tested() {
        let before = side(1000, &[(1.0, f64::NAN), (2.0, 0.1)]);
        let found = drift(&before, &before, 0.05).unwrap();
        assert_eq!(found.features[0].pvalue, None);
        assert_eq!(found.features[0].rank_interval, None);
        assert_eq!(found.features[1].pvalue, Some(1.0));
    }

    #[test]
    fn blocks_are_the_units_and_one_block_borrows_the_variance_of_the_others() {
        let of = |count: u64, rows: u64, value: f64, error: f64| Side {
            blocks: Some(Blocks {
                count,
                freedom: count as f64 - 1.0,
            }),
            ..side(rows, &[(value, error)])
        };
        let reference = of(25, 2500, 1.0, 0.2);
        let found = drift(&reference, &of(25, 2500, 2.0, 0.2), 0.05).unwrap();
        let plain = side(25, &[(1.0, 0.2)]);
        let as_rows = drift(&plain, &side(25, &[(2.0, 0.2)]), 0.05).unwrap();
        assert_eq!(found.features[0].pvalue, as_rows.features[0].pvalue);
        // A day's importance varies by .2 times 5, and the reference's by .2.
        let one = drift(&reference, &of(1, 100, 2.0, f64::NAN), 0.05).unwrap();
        assert!((one.features[0].standard_error - 1.04f64.sqrt()).abs() < 1e-12);
        let small = drift(&reference, &of(1, 25, 2.0, f64::NAN), 0.05).unwrap();
        assert!((small.features[0].standard_error - 4.04f64.sqrt()).abs() < 1e-12);
        let alone = drift(&of(1, 100, 1.0, f64::NAN), &reference, 0.05).unwrap();
        assert_eq!(alone.features[0].pvalue, None);
    }

    #[test]
    fn sides_of_other_shapes_are_refused() {
        let one = side(10, &[(1.0, 0.1)]);
        let two = side(10, &[(1.0, 0.1), (1.0, 0.1)]);
        assert!(drift(&one, &two, 0.05).is_err());
        assert!(drift(&one, &side(1, &[(1.0, 0.1)]), 0.05).is_err());
        assert!(drift(&one, &one, f64::NAN).is_err());
        let with = |cells: usize| {
            let mut s = one.clone();
            s.features[0].response = Some(Response {
                counts: vec![5; cells],
                change: vec![0.0; cells],
            });
            s
        };
        assert!(drift(&with(2), &with(3), 0.05).is_err());
        assert!(
            drift(&with(2), &one, 0.05).unwrap().features[0]
                .split
                .is_none()
        );
    }
}
