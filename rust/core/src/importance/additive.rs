//! Exact importance of one term of an additive model: linear and logistic regression, splines, boosted
//! terms, whatever adds a function of one feature to the margin.
//!
//! With `v_k` the term of row k and `u_i` the rest of row i's margin, the loss of row i under donor k
//! depends on `u_i + v_k` alone. Squared errors are then sums of moments; steps and kinks (accuracy,
//! absolute error) ranks and prefix sums of the sorted terms; smooth losses are sums over donors of one
//! analytic function of u, read off its Chebyshev series (Trefethen 2019, "Approximation Theory and
//! Approximation Practice", chapters 3 and 8). O(n) or O(n log n) instead of n^2.

use std::borrow::Cow;

use super::losses::{Link, Loss, Objective};
use super::u_statistic::Estimate;
use super::weight;
use crate::{Error, Result};

/// Largest number of Chebyshev nodes; a margin range of 100 needs about 700.
const MAX_NODES: usize = 4096;

/// Importance of a term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// With a standard error by rows.
    pub by_row: Estimate,
    /// With a standard error by blocks, where rows have one.
    pub by_block: Option<Estimate>,
    /// Bound of the numerical error where a series was cut off.
    pub error: f64,
}

/// Importance of the term; `blocks` says which block each row belongs to, `weights` weigh rows and donors.
///
/// # Errors
/// When lengths differ, a number is not finite, labels are not accepted, or the loss has no such form.
pub fn importance(
    objective: &Objective,
    margins: &[f64],
    term: &[f64],
    labels: &[f64],
    blocks: Option<&[u32]>,
    weights: Option<&[f64]>,
) -> Result<Found> {
    let n = labels.len();
    if margins.len() != n || term.len() != n || n < 2 {
        return Err(Error::invalid(format!(
            "{n} labels, {} margins and {} terms; at least 2 of each are needed",
            margins.len(),
            term.len()
        )));
    }
    objective.check_labels(labels, 1)?;
    if let Some(i) = (0..n).find(|i| !(margins[*i].is_finite() && term[*i].is_finite())) {
        return Err(Error::invalid(format!(
            "row {i}: margin {} and term {}",
            margins[i], term[i]
        )));
    }
    let w = &*weights_of(n, blocks, weights)?;
    if term.iter().all(|v| *v == term[0]) {
        // Every donor gives what the row has.
        return Ok(Found::unused(blocks.is_some()));
    }
    let rest: Vec<f64> = margins.iter().zip(term).map(|(m, v)| m - v).collect();
    let (totals, error) = match (objective.loss, objective.link) {
        (Loss::Squared, Link::Identity) => (squared(margins, term, labels, w), 0.0),
        (Loss::Absolute, Link::Identity | Link::Exp) => (
            hinges(objective.link, &rest, term, labels, w, (1.0, 1.0)),
            0.0,
        ),
        (Loss::Pinball(a), Link::Identity | Link::Exp) => (
            hinges(objective.link, &rest, term, labels, w, (a, 1.0 - a)),
            0.0,
        ),
        (Loss::Squared | Loss::PoissonDeviance | Loss::GammaDeviance, Link::Exp) => {
            (products(objective.loss, &rest, term, labels, w), 0.0)
        }
        (Loss::ZeroOne, Link::Logistic(_)) => (steps(&rest, term, labels, w), 0.0),
        (Loss::LogLoss | Loss::Brier, Link::Logistic(_)) => {
            smooth(objective, &rest, term, labels, w)?
        }
        (loss, link) => {
            return Err(Error::invalid(format!(
                "{loss:?} behind {link:?} has no closed form for additive models; use method=\"permutation\""
            )));
        }
    };
    let own: Vec<f64> = (0..n)
        .map(|i| objective.of_one(labels[i], rest[i] + term[i]))
        .collect();
    totals.found(&own, error, blocks, weights, w)
}

/// Weights of the rows, 1 where there are none.
///
/// # Errors
/// Unless there are as many blocks and weights as rows, and at least 2 rows with a weight.
pub(super) fn weights_of<'a>(
    n: usize,
    blocks: Option<&[u32]>,
    weights: Option<&'a [f64]>,
) -> Result<Cow<'a, [f64]>> {
    if let Some(blocks) = blocks.filter(|b| b.len() != n) {
        return Err(Error::invalid(format!(
            "{} blocks for {n} rows",
            blocks.len()
        )));
    }
    let Some(weights) = weights else {
        return Ok(Cow::Owned(vec![1.0; n]));
    };
    let held = weights.iter().filter(|w| **w > 0.0).count();
    if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        return Err(Error::invalid(format!(
            "weight {} in row {row}; weights are finite and not negative",
            weights[row]
        )));
    }
    if weights.len() != n || held < 2 {
        return Err(Error::invalid(format!(
            "{} weights for {n} rows, {held} above 0; at least 2 are needed",
            weights.len()
        )));
    }
    Ok(Cow::Borrowed(weights))
}

/// Sum of the influences and weight of the rows of each block.
fn block_sums(
    parts: impl Iterator<Item = f64>,
    blocks: &[u32],
    weights: &[f64],
) -> Vec<(f64, f64)> {
    let mut held = std::collections::BTreeMap::<u32, (f64, f64)>::new();
    for ((part, block), weight) in parts.zip(blocks).zip(weights) {
        let own = held.entry(*block).or_default();
        own.0 += part;
        own.1 += weight;
    }
    held.into_values().collect()
}

impl Found {
    /// Of a term that is the same in all rows: every donor gives what the row has.
    pub(super) fn unused(blocks: bool) -> Self {
        Self {
            by_row: Estimate::UNUSED,
            by_block: blocks.then_some(Estimate::UNUSED),
            error: 0.0,
        }
    }
}

/// Loss of each row summed over all donors by weight, and of each donor over all rows.
pub(super) struct Totals {
    pub(super) rows: Vec<f64>,
    pub(super) donors: Vec<f64>,
}

impl Totals {
    /// What they say of the importance, with the loss of each row as it is; `w` are the weights, or ones.
    pub(super) fn found(
        &self,
        own: &[f64],
        error: f64,
        blocks: Option<&[u32]>,
        weights: Option<&[f64]>,
        w: &[f64],
    ) -> Result<Found> {
        let n = own.len();
        if let Some(i) = (0..n).find(|i| !(self.rows[*i] + self.donors[*i] + own[*i]).is_finite()) {
            return Err(Error::invalid(format!(
                "the loss of row {i} with the feature from another row is not finite; use method=\"permutation\""
            )));
        }
        let all: f64 = own.iter().zip(w).map(|(l, w)| l * w).sum();
        let count: f64 = w.iter().sum();
        // Totals hold the own pair; what is left over other rows is the change from the loss as it is.
        let rows: Vec<f64> = (0..n).map(|i| self.rows[i] - count * own[i]).collect();
        let donors: Vec<f64> = (0..n).map(|k| self.donors[k] - all).collect();
        let by_row = match weights {
            Some(weights) => weight::from_parts(&rows, &donors, weights),
            None => Estimate::from_parts(&rows, &donors),
        };
        // One less than the rows; of weights what is left of them beside a row, on the average.
        let others = count - w.iter().map(|w| w * w).sum::<f64>() / count;
        let parts = || (0..n).map(|i| w[i] * (rows[i] + donors[i]) / others);
        Ok(Found {
            by_row,
            by_block: blocks.map(|b| by_row.by_weighted_block(&block_sums(parts(), b, w))),
            error,
        })
    }
}

/// Losses behind an exponential that are sums of products of a function of `u_i` and one of `v_k`.
fn products(loss: Loss, rest: &[f64], term: &[f64], labels: &[f64], w: &[f64]) -> Totals {
    let mut totals = Totals {
        rows: vec![0.0; labels.len()],
        donors: vec![0.0; labels.len()],
    };
    let mut add = |of_row: &dyn Fn(f64, f64) -> f64, of_donor: &dyn Fn(f64) -> f64| {
        let a: Vec<f64> = labels
            .iter()
            .zip(rest)
            .map(|(y, u)| of_row(*y, *u))
            .collect();
        let b: Vec<f64> = term.iter().map(|v| of_donor(*v)).collect();
        let sum = |x: &[f64]| x.iter().zip(w).map(|(x, w)| w * x).sum::<f64>();
        let (all_rows, all_donors) = (sum(&a), sum(&b));
        for i in 0..a.len() {
            totals.rows[i] += a[i] * all_donors;
            totals.donors[i] += b[i] * all_rows;
        }
    };
    match loss {
        Loss::PoissonDeviance => {
            // 2 (y ln y - y - y (u + v) + exp(u + v)).
            let own = |y: f64| if y > 0.0 { y * libm::log(y) } else { 0.0 };
            add(&|y, u| 2.0 * (own(y) - y - y * u), &|_| 1.0);
            add(&|y, _| -2.0 * y, &|v| v);
            add(&|_, u| 2.0 * libm::exp(u), &libm::exp);
        }
        Loss::GammaDeviance => {
            // 2 (u + v - ln y - 1 + y exp(-u - v)).
            add(&|y, u| 2.0 * (u - libm::log(y) - 1.0), &|_| 1.0);
            add(&|_, _| 2.0, &|v| v);
            add(&|y, u| 2.0 * y * libm::exp(-u), &|v| libm::exp(-v));
        }
        _ => {
            add(&|y, _| y * y, &|_| 1.0);
            add(&|y, u| -2.0 * y * libm::exp(u), &libm::exp);
            add(&|_, u| libm::exp(2.0 * u), &|v| libm::exp(2.0 * v));
        }
    }
    totals
}

fn squared(margins: &[f64], term: &[f64], labels: &[f64], w: &[f64]) -> Totals {
    let n: f64 = w.iter().sum();
    let mean = term.iter().zip(w).map(|(x, w)| w * x).sum::<f64>() / n;
    let v: Vec<f64> = term.iter().map(|x| x - mean).collect();
    let e: Vec<f64> = labels.iter().zip(margins).map(|(y, m)| y - m).collect();
    // (e_i + v_i - v_k)^2 summed over k, and over i, with sum v = 0.
    let a: Vec<f64> = e.iter().zip(&v).map(|(e, v)| e + v).collect();
    let spread: f64 = v.iter().zip(w).map(|(v, w)| w * v * v).sum();
    let (sum, squares) = a
        .iter()
        .zip(w)
        .fold((0.0, 0.0), |(s, q), (a, w)| (s + w * a, q + w * a * a));
    Totals {
        rows: a.iter().map(|a| n * a * a + spread).collect(),
        donors: v
            .iter()
            .map(|v| squares - 2.0 * v * sum + n * v * v)
            .collect(),
    }
}

/// Sorted values with sums of weights, and of weights times what belongs to them, before each.
struct Sorted {
    values: Vec<f64>,
    sums: Vec<[f64; 3]>,
}

impl Sorted {
    /// Of values, weights, and two numbers each.
    fn new(mut values: Vec<(f64, f64, [f64; 2])>) -> Self {
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut total = [0.0; 3];
        let sums = std::iter::once(total)
            .chain(values.iter().map(|(_, w, [a, b])| {
                total = [total[0] + w, total[1] + w * a, total[2] + w * b];
                total
            }))
            .collect();
        Self {
            values: values.into_iter().map(|v| v.0).collect(),
            sums,
        }
    }

    /// Sums of those at most `x`.
    fn up_to(&self, x: f64) -> [f64; 3] {
        self.sums[self.values.partition_point(|v| *v <= x)]
    }

    /// The weight of those below `x`.
    fn below(&self, x: f64) -> f64 {
        self.sums[self.values.partition_point(|v| *v < x)][0]
    }

    fn all(&self) -> [f64; 3] {
        self.sums[self.values.len()]
    }
}

/// `over (y_i - p_ik)` where that is positive, else `under (p_ik - y_i)`, of predictions `u_i + v_k` or `exp(u_i + v_k)`.
///
/// Both are `y - s_i t_k` for `v_k` up to a point of the row: of sums `s` is 1, `t` is v and the label less u.
fn hinges(
    link: Link,
    rest: &[f64],
    term: &[f64],
    labels: &[f64],
    w: &[f64],
    (over, under): (f64, f64),
) -> Totals {
    let of_row = |(y, u): (&f64, &f64)| match link {
        // No label of 0 or less is above an exponential.
        Link::Exp if *y <= 0.0 => (f64::NEG_INFINITY, *y, libm::exp(*u)),
        Link::Exp => (libm::log(*y) - u, *y, libm::exp(*u)),
        _ => (y - u, y - u, 1.0),
    };
    let row: Vec<(f64, f64, f64)> = labels.iter().zip(rest).map(of_row).collect();
    let donor: Vec<(f64, f64)> = term
        .iter()
        .map(|v| (*v, if link == Link::Exp { libm::exp(*v) } else { *v }))
        .collect();
    let donors = Sorted::new(
        donor
            .iter()
            .zip(w)
            .map(|((v, t), w)| (*v, *w, [*t, 0.0]))
            .collect(),
    );
    let rows = Sorted::new(
        row.iter()
            .zip(w)
            .map(|((c, y, s), w)| (*c, *w, [*y, *s]))
            .collect(),
    );
    let (all_donors, all_rows) = (donors.all(), rows.all());
    let of_row = |(c, y, s): &(f64, f64, f64)| {
        let [n, t, _] = donors.up_to(*c);
        over * (n * y - s * t) + under * (s * (all_donors[1] - t) - (all_donors[0] - n) * y)
    };
    let of_donor = |(v, t): &(f64, f64)| {
        let [_, y, s] = rows.up_to(*v);
        over * ((all_rows[1] - y) - (all_rows[2] - s) * t) + under * (s * t - y)
    };
    Totals {
        rows: row.iter().map(of_row).collect(),
        donors: donor.iter().map(of_donor).collect(),
    }
}

/// 1 where `u_i + v_k > 0` is not what the label says.
fn steps(rest: &[f64], term: &[f64], labels: &[f64], w: &[f64]) -> Totals {
    let plain = |(v, w): (&f64, &f64)| (*v, *w, [0.0; 2]);
    let donors = Sorted::new(term.iter().zip(w).map(plain).collect());
    let [n, ..] = donors.all();
    let class = |wanted: bool| {
        let found = labels
            .iter()
            .zip(rest)
            .zip(w)
            .filter(|((y, _), _)| (**y > 0.5) == wanted);
        Sorted::new(found.map(|((_, u), w)| (-u, *w, [0.0; 2])).collect())
    };
    let (negative, positive) = (class(false), class(true));
    let of_row = |(y, u): (&f64, &f64)| {
        let [not_above, ..] = donors.up_to(-u);
        if *y > 0.5 { not_above } else { n - not_above }
    };
    // Above zero exactly where -u < v.
    let of_donor = |v: &f64| negative.below(*v) + (positive.all()[0] - positive.below(*v));
    Totals {
        rows: labels.iter().zip(rest).map(of_row).collect(),
        donors: term.iter().map(of_donor).collect(),
    }
}

/// Sums of a smooth function of `u_i + v_k` for either label.
fn smooth(
    objective: &Objective,
    rest: &[f64],
    term: &[f64],
    labels: &[f64],
    w: &[f64],
) -> Result<(Totals, f64)> {
    let over_donors = |y: f64| {
        move |u: f64| {
            let terms = term.iter().zip(w);
            terms
                .map(|(v, w)| w * objective.of_one(y, u + v))
                .sum::<f64>()
        }
    };
    let range = |x: &[f64]| {
        x.iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
                (a.min(*x), b.max(*x))
            })
    };
    let mut by_label = Vec::with_capacity(2);
    let mut error = 0.0f64;
    for y in [0.0, 1.0] {
        let series = Series::new(range(rest), &over_donors(y))?;
        error = error.max(series.error);
        by_label.push(series);
    }
    let over_rows = |v: f64| {
        let rows = labels.iter().zip(rest).zip(w);
        rows.map(|((y, u), w)| w * objective.of_one(*y, u + v))
            .sum::<f64>()
    };
    let donors = Series::new(range(term), &over_rows)?;
    let of_row = |(y, u): (&f64, &f64)| by_label[usize::from(*y > 0.5)].at(*u);
    let n: f64 = w.iter().sum();
    Ok((
        Totals {
            rows: labels.iter().zip(rest).map(of_row).collect(),
            donors: term.iter().map(|v| donors.at(*v)).collect(),
        },
        // A total over all donors becomes a mean over those of other rows.
        error / (n - w.iter().fold(0.0f64, |a, w| a.max(*w))),
    ))
}

/// A Chebyshev series on an interval.
pub(super) struct Series {
    pub(super) centre: f64,
    pub(super) half: f64,
    pub(super) coefficients: Vec<f64>,
    /// What the coefficients that were left out may add up to.
    pub(super) error: f64,
}

impl Series {
    /// Doubles the nodes until the last coefficients are lost in rounding.
    fn new((low, high): (f64, f64), f: &dyn Fn(f64) -> f64) -> Result<Self> {
        let (centre, half) = (
            0.5 * (low + high),
            (0.5 * (high - low)).max(f64::MIN_POSITIVE),
        );
        let mut n = 16;
        loop {
            let step = std::f64::consts::PI / n as f64;
            let values: Vec<f64> = (0..n)
                .map(|i| f(centre + half * libm::cos((i as f64 + 0.5) * step)))
                .collect();
            let coefficients: Vec<f64> = (0..n)
                .map(|k| {
                    // The angle is reduced in integers: k (2 i + 1) modulo 4 n.
                    let angle = |i: usize| (k * (2 * i + 1) % (4 * n)) as f64 * 0.5 * step;
                    let sum: f64 = values
                        .iter()
                        .enumerate()
                        .map(|(i, v)| v * libm::cos(angle(i)))
                        .sum();
                    sum * if k == 0 { 1.0 } else { 2.0 } / n as f64
                })
                .collect();
            let size = coefficients.iter().fold(0.0f64, |a, c| a.max(c.abs()));
            let tail: f64 = coefficients[n - n / 8..].iter().map(|c| c.abs()).sum();
            if tail <= 1e-13 * size {
                return Ok(Self {
                    centre,
                    half,
                    coefficients,
                    error: tail + 1e-14 * size,
                });
            }
            if n >= MAX_NODES {
                return Err(Error::invalid(format!(
                    "margins from {low} to {high} need more than {MAX_NODES} nodes; use method=\"permutation\""
                )));
            }
            n *= 2;
        }
    }

    /// Clenshaw's recurrence.
    pub(super) fn at(&self, x: f64) -> f64 {
        let t = (x - self.centre) / self.half;
        let (mut a, mut b) = (0.0, 0.0);
        for c in self.coefficients[1..].iter().rev() {
            (a, b) = (c + 2.0 * t * a - b, a);
        }
        self.coefficients[0] + t * a - b
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]
        #[test]
        fn equals_all_pairs(
            rows in prop::collection::vec((-4.0..4.0f64, prop_oneof![-6.0..6.0f64, (-2i32..3).prop_map(f64::from)], any::<bool>(), -9.0..9.0f64, prop_oneof![4 => 0.1..5.0f64, 1 => Just(0.0)]), 4..60),
            which in 0usize..11,
        ) {
            let (loss, link) = [
                (Loss::Squared, Link::Identity), (Loss::Absolute, Link::Identity), (Loss::Pinball(0.2), Link::Identity),
                (Loss::ZeroOne, Link::Logistic(1.0)), (Loss::LogLoss, Link::Logistic(2.0)), (Loss::Brier, Link::Logistic(1.0)),
                (Loss::Squared, Link::Exp), (Loss::PoissonDeviance, Link::Exp), (Loss::GammaDeviance, Link::Exp),
                (Loss::Absolute, Link::Exp), (Loss::Pinball(0.2), Link::Exp),
            ][which];
            let objective = Objective::new(loss, link, 1).unwrap();
            let term: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let margins: Vec<f64> = rows.iter().map(|r| r.0 + r.1).collect();
            let labels: Vec<f64> = rows.iter().map(|r| match loss {
                l if l.classifies() => f64::from(r.2),
                Loss::PoissonDeviance => r.3.max(0.0),
                Loss::GammaDeviance => r.3.abs() + 1e-3,
                _ => r.3,
            }).collect();
            prop_assume!(term.iter().any(|v| *v != term[0]));
            let n = rows.len();
            let d = |i: usize, k: usize| {
                let u = margins[i] - term[i];
                objective.of_one(labels[i], u + term[k]) - objective.of_one(labels[i], u + term[i])
            };
            let total: f64 = (0..n).flat_map(|i| (0..n).map(move |k| (i, k))).map(|(i, k)| d(i, k)).sum();
            let left_out: Vec<f64> = (0..n)
                .map(|i| (total - (0..n).map(|k| d(i, k) + d(k, i)).sum::<f64>()) / ((n - 1) * (n - 2)) as f64)
                .collect();
            let mean = left_out.iter().sum::<f64>() / n as f64;
            let error = ((n - 1) as f64 / n as f64 * left_out.iter().map(|u| (u - mean) * (u - mean)).sum::<f64>()).sqrt();
            let blocks: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
            let made = importance(&objective, &margins, &term, &labels, Some(&blocks), None).unwrap();
            let found = made.by_row;
            let value = total / (n * (n - 1)) as f64;
            // Behind an exponential differences of large losses may be small.
            let largest = (0..n).map(|i| objective.of_one(labels[i], margins[i])).fold(1.0f64, f64::max);
            let scale = largest.max(value.abs());
            prop_assert!((found.value - value).abs() < 1e-11 * scale, "{} {value}", found.value);
            prop_assert!((found.standard_error - error).abs() < 1e-9 * scale, "{} {error}", found.standard_error);
            // Rows and donors of a block left out, but for the pairs within it, which count as all pairs do.
            let spread: f64 = (0..3)
                .map(|b| {
                    let inside: Vec<usize> = (0..n).filter(|i| i % 3 == b).collect();
                    let sum: f64 = inside.iter().flat_map(|i| (0..n).map(move |k| (*i, k))).map(|(i, k)| d(i, k) + d(k, i)).sum();
                    let (n, k) = (n as f64, inside.len() as f64);
                    let moved = n * (sum / (n - 1.0) - 2.0 * k * value) / ((n - k) * (n - k));
                    moved * moved
                })
                .sum();
            let by_block = made.by_block.unwrap().standard_error;
            prop_assert!((by_block - (2.0 / 3.0 * spread).sqrt()).abs() < 1e-9 * scale, "{by_block} {spread}");
            // Equal weights are none.
            let ones = vec![2.5; n];
            let same = importance(&objective, &margins, &term, &labels, Some(&blocks), Some(&ones)).unwrap();
            prop_assert!((same.by_row.value - found.value).abs() < 1e-11 * scale);
            prop_assert!((same.by_row.standard_error - found.standard_error).abs() < 1e-9 * scale);
            prop_assert!((same.by_block.unwrap().standard_error - by_block).abs() < 1e-9 * scale);
            // Pairs by the product of their weights, and the jackknife as it is defined.
            let w: Vec<f64> = rows.iter().map(|r| r.4).collect();
            let held = w.iter().filter(|w| **w > 0.0).count();
            prop_assume!(held > 2);
            let mean_without = |out: Option<usize>| {
                let (mut sum, mut all) = (0.0, 0.0);
                for i in (0..n).filter(|i| Some(*i) != out) {
                    for k in (0..n).filter(|k| Some(*k) != out && *k != i) {
                        sum += w[i] * w[k] * d(i, k);
                        all += w[i] * w[k];
                    }
                }
                sum / all
            };
            let value = mean_without(None);
            let moved: f64 = (0..n).filter(|i| w[*i] > 0.0).map(|i| (mean_without(Some(i)) - value).powi(2)).sum();
            let error = ((held - 1) as f64 / held as f64 * moved).sqrt();
            let made = importance(&objective, &margins, &term, &labels, None, Some(&w)).unwrap().by_row;
            let scale = scale.max(error);
            prop_assert!((made.value - value).abs() < 1e-10 * scale, "{} {value}", made.value);
            prop_assert!((made.standard_error - error).abs() < 1e-8 * scale, "{} {error}", made.standard_error);
        }
    }
}
