//! Exact importance of one term of a multinomial model: margins of several classes that are linear in the
//! features, behind a softmax.
//!
//! The loss of row i under donor k is a function of the row's margins without the term and of the donor's
//! values. Of one feature these are one number v, and every smooth loss is an analytic function of v: it is
//! read at Chebyshev nodes, whose weights are the sums of the interpolating polynomials over the donors (a
//! quadrature that knows the sample), and the sums over rows at the nodes are a series for the donors. The
//! class that wins along a line does so on one interval, so errors of classes are counts of sorted donors.
//! Features that are exchanged together, and those of few values, have their different values in place of
//! nodes.

use std::collections::BTreeMap;

use super::additive::{Found, Series, Totals, weights_of};
use super::losses::{Link, Loss, Objective};
use crate::{Error, Result};

/// Largest number of nodes: of margins that move by about 200 from one end of a feature to the other.
const MAX_NODES: usize = 1024;
/// Most different donors of features that are exchanged together.
const MAX_DONORS: usize = 1024;
/// Up to so many different values are their own nodes.
const FEW: usize = 32;
/// What the last coefficients may be of the largest.
const TAIL: f64 = 1e-13;

/// The model's margins and the features of a term.
#[derive(Debug, Clone, Copy)]
pub struct Term<'a> {
    /// Margins of each row, class by class: rows times classes.
    pub margins: &'a [f64],
    /// Values of each feature of the term, by row.
    pub values: &'a [&'a [f64]],
    /// What each feature adds to the margin of each class, for one unit of it.
    pub slopes: &'a [&'a [f64]],
}

/// Importance of the term; `blocks` says which block each row belongs to, `weights` weigh rows and donors.
///
/// # Errors
/// When lengths differ, a number is not finite, labels are not accepted, or the loss has no such form.
pub fn importance(
    loss: Loss,
    term: &Term,
    labels: &[f64],
    blocks: Option<&[u32]>,
    weights: Option<&[f64]>,
) -> Result<Found> {
    let n = labels.len();
    let classes = term.margins.len().checked_div(n).unwrap_or(0);
    if n < 2
        || classes < 2
        || term.margins.len() != n * classes
        || term.values.iter().any(|v| v.len() != n)
        || term.slopes.len() != term.values.len()
        || term.slopes.iter().any(|s| s.len() != classes)
    {
        return Err(Error::invalid(format!(
            "{n} labels, {} margins and {} features with {} slopes; at least 2 rows and 2 classes are needed",
            term.margins.len(),
            term.values.len(),
            term.slopes.len()
        )));
    }
    let objective = Objective::new(loss, Link::Softmax, classes)?;
    objective.check_labels(labels, classes)?;
    let all = term
        .margins
        .iter()
        .chain(term.values.iter().copied().flatten());
    if let Some(x) = all
        .chain(term.slopes.iter().copied().flatten())
        .find(|x| !x.is_finite())
    {
        return Err(Error::invalid(format!("a margin, value or slope of {x}")));
    }
    let w = &*weights_of(n, blocks, weights)?;
    let rows = Rows {
        objective,
        term,
        labels,
        classes,
        w,
    };
    let mut own = Vec::with_capacity(n);
    let mut buffer = vec![0.0; classes];
    for (y, margins) in labels.iter().zip(term.margins.chunks_exact(classes)) {
        buffer.copy_from_slice(margins);
        own.push(objective.of_many(*y, &mut buffer));
    }
    let (donors, of_donor) = different(term.values, n);
    if donors.len() == 1 {
        return Ok(Found::unused(blocks.is_some()));
    }
    let (totals, error) = if donors.len() <= FEW
        || (term.values.len() > 1 && donors.len() <= MAX_DONORS)
    {
        (rows.of_donors(&donors, &of_donor), 0.0)
    } else if term.values.len() > 1 {
        return Err(Error::invalid(format!(
            "{} different donors of {} features that are exchanged together; at most {MAX_DONORS} have an exact form \
             in a multinomial model",
            donors.len(),
            term.values.len()
        )));
    } else if loss == Loss::ZeroOne {
        (rows.wins(), 0.0)
    } else {
        rows.smooth()?
    };
    totals.found(&own, error, blocks, weights, w)
}

/// Different donors, and which of them each row is.
fn different(values: &[&[f64]], n: usize) -> (Vec<Vec<f64>>, Vec<usize>) {
    let mut held = BTreeMap::<Vec<u64>, usize>::new();
    let mut donors = Vec::new();
    let of_donor = (0..n)
        .map(|i| {
            // -0 is 0.
            let row: Vec<f64> = values.iter().map(|v| v[i] + 0.0).collect();
            let next = held.len();
            *held
                .entry(row.iter().map(|x| x.to_bits()).collect())
                .or_insert_with(|| {
                    donors.push(row);
                    next
                })
        })
        .collect();
    (donors, of_donor)
}

struct Rows<'a> {
    objective: Objective,
    term: &'a Term<'a>,
    labels: &'a [f64],
    classes: usize,
    w: &'a [f64],
}

impl Rows<'_> {
    /// The margins of a row without the term.
    fn rest(&self, i: usize, into: &mut [f64]) {
        into.copy_from_slice(&self.term.margins[i * self.classes..(i + 1) * self.classes]);
        for (values, slopes) in self.term.values.iter().zip(self.term.slopes) {
            for (m, s) in into.iter_mut().zip(*slopes) {
                *m -= s * values[i];
            }
        }
    }

    /// The loss of a row with each of these terms, by class, in place of its own.
    fn losses(
        &self,
        i: usize,
        terms: &[Vec<f64>],
        rest: &mut [f64],
        buffer: &mut [f64],
        into: &mut [f64],
    ) {
        self.rest(i, rest);
        for (term, loss) in terms.iter().zip(into) {
            for ((m, u), t) in buffer.iter_mut().zip(&*rest).zip(term) {
                *m = u + t;
            }
            *loss = self.objective.of_many(self.labels[i], buffer);
        }
    }

    /// What features of these values add to each class.
    fn added(&self, values: &[f64]) -> Vec<f64> {
        (0..self.classes)
            .map(|c| {
                values
                    .iter()
                    .zip(self.term.slopes)
                    .map(|(v, s)| v * s[c])
                    .sum()
            })
            .collect()
    }

    /// Every row under every different donor.
    fn of_donors(&self, donors: &[Vec<f64>], of_donor: &[usize]) -> Totals {
        let terms: Vec<Vec<f64>> = donors.iter().map(|d| self.added(d)).collect();
        let mut weight = vec![0.0; donors.len()];
        for (d, w) in of_donor.iter().zip(self.w) {
            weight[*d] += w;
        }
        let (rows, columns) = self.sums(&terms, &weight, |_| {});
        Totals {
            rows,
            donors: of_donor.iter().map(|d| columns[*d]).collect(),
        }
    }

    /// For each row the weighted sum over terms, for each term that over rows; every row's losses are shown.
    fn sums(
        &self,
        terms: &[Vec<f64>],
        weight: &[f64],
        mut shown: impl FnMut(&[f64]),
    ) -> (Vec<f64>, Vec<f64>) {
        let (mut rest, mut buffer) = (vec![0.0; self.classes], vec![0.0; self.classes]);
        let mut losses = vec![0.0; terms.len()];
        let mut columns = vec![0.0; terms.len()];
        let rows = (0..self.labels.len())
            .map(|i| {
                self.losses(i, terms, &mut rest, &mut buffer, &mut losses);
                shown(&losses);
                for (sum, l) in columns.iter_mut().zip(&losses) {
                    *sum += self.w[i] * l;
                }
                losses.iter().zip(weight).map(|(l, w)| l * w).sum()
            })
            .collect();
        (rows, columns)
    }

    /// One feature and a smooth loss.
    fn smooth(&self) -> Result<(Totals, f64)> {
        let values = self.term.values[0];
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
                (a.min(*x), b.max(*x))
            });
        let (centre, half) = (0.5 * (low + high), 0.5 * (high - low));
        let mut nodes = 16;
        loop {
            let step = std::f64::consts::PI / nodes as f64;
            // The angle is reduced in integers: r (2 j + 1) modulo 4 n.
            let cosine: Vec<f64> = (0..4 * nodes)
                .map(|a| libm::cos(a as f64 * 0.5 * step))
                .collect();
            let at = |r: usize, j: usize| cosine[r * (2 * j + 1) % (4 * nodes)];
            // Sums of the polynomials over the donors.
            let mut moments = vec![0.0; nodes];
            for (v, w) in values.iter().zip(self.w) {
                let t = (v - centre) / half;
                let (mut before, mut here) = (1.0, t);
                moments[0] += w;
                for moment in &mut moments[1..] {
                    *moment += w * here;
                    (before, here) = (here, 2.0 * t * here - before);
                }
            }
            let weight: Vec<f64> = (0..nodes)
                .map(|j| {
                    let sum: f64 = (1..nodes).map(|r| at(r, j) * moments[r]).sum();
                    (moments[0] + 2.0 * sum) / nodes as f64
                })
                .collect();
            let terms: Vec<Vec<f64>> = (0..nodes)
                .map(|j| self.added(&[centre + half * at(1, j)]))
                .collect();
            let (mut tail, mut fits) = (0.0f64, true);
            let (rows, columns) = self.sums(&terms, &weight, |losses| {
                if !fits {
                    return;
                }
                let size = losses.iter().fold(0.0f64, |a, l| a.max(l.abs()));
                let last: f64 = (nodes - nodes / 8..nodes)
                    .map(|r| {
                        let c: f64 = losses.iter().enumerate().map(|(j, l)| l * at(r, j)).sum();
                        c.abs() * 2.0 / nodes as f64
                    })
                    .sum();
                fits = last <= TAIL * (1.0 + size);
                tail = tail.max(last);
            });
            if fits {
                let coefficients = (0..nodes)
                    .map(|r| {
                        let sum: f64 = columns.iter().enumerate().map(|(j, c)| c * at(r, j)).sum();
                        sum * if r == 0 { 1.0 } else { 2.0 } / nodes as f64
                    })
                    .collect();
                let series = Series {
                    centre,
                    half,
                    coefficients,
                    error: 0.0,
                };
                let donors = values.iter().map(|v| series.at(*v)).collect();
                return Ok((Totals { rows, donors }, 2.0 * tail));
            }
            if nodes >= MAX_NODES {
                return Err(Error::invalid(format!(
                    "a feature from {low} to {high} that moves margins too far for {MAX_NODES} nodes; use \
                     method=\"permutation\""
                )));
            }
            nodes *= 2;
        }
    }

    /// One feature and errors of classes: the label wins on an interval of the feature.
    fn wins(&self) -> Totals {
        let (values, slopes) = (self.term.values[0], self.term.slopes[0]);
        let n = values.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut sums = vec![0.0];
        for i in &order {
            sums.push(sums[sums.len() - 1] + self.w[*i]);
        }
        let (mut rest, mut buffer) = (vec![0.0; self.classes], vec![0.0; self.classes]);
        // Where, in the order of donors, the label begins and ceases to win, by weight of the row.
        let mut changes = vec![0.0; n + 1];
        let total = sums[n];
        let rows = (0..n)
            .map(|i| {
                self.rest(i, &mut rest);
                let label = self.labels[i] as usize;
                let mut right = |k: usize| {
                    for (c, m) in buffer.iter_mut().enumerate() {
                        *m = rest[c] + slopes[c] * values[order[k]];
                    }
                    self.objective.of_many(self.labels[i], &mut buffer) == 0.0
                };
                let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
                let mut never = false;
                for c in (0..self.classes).filter(|c| *c != label) {
                    // The label's lead is `a + b v`.
                    let (a, b) = (rest[label] - rest[c], slopes[label] - slopes[c]);
                    if b > 0.0 {
                        low = low.max(-a / b);
                    } else if b < 0.0 {
                        high = high.min(-a / b);
                    } else {
                        never |= a < 0.0 || (a == 0.0 && c < label);
                    }
                }
                if never || low > high {
                    return total;
                }
                let mut from = order.partition_point(|k| values[*k] < low);
                let mut to = order.partition_point(|k| values[*k] <= high);
                // Ends are where two classes tie, but for rounding: the loss itself decides there.
                while from > 0 && right(from - 1) {
                    from -= 1;
                }
                while from < to && !right(from) {
                    from += 1;
                }
                to = to.max(from);
                while to < n && right(to) {
                    to += 1;
                }
                while to > from && !right(to - 1) {
                    to -= 1;
                }
                changes[from] += self.w[i];
                changes[to] -= self.w[i];
                total - (sums[to] - sums[from])
            })
            .collect();
        let mut donors = vec![0.0; n];
        let mut right = 0.0;
        for (place, change) in order.iter().zip(&changes) {
            right += change;
            donors[*place] = total - right;
        }
        Totals { rows, donors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn equals_all_pairs(
            rows in prop::collection::vec((prop::collection::vec(-4.0..4.0f64, 3), -2.0..2.0f64, 0usize..3, 0.1..5.0f64), 40..70),
            slopes in prop::collection::vec(prop::collection::vec(-3.0..3.0f64, 3), 2),
            which in 0usize..3,
            shape in 0usize..3,
        ) {
            let loss = [Loss::LogLoss, Loss::Brier, Loss::ZeroOne][which];
            let n = rows.len();
            // One feature, one of few values, or two together.
            let first: Vec<f64> = rows.iter().map(|r| if shape == 1 { r.1.round() } else { r.1 }).collect();
            let second: Vec<f64> = (0..n).map(|i| f64::from((i % 7) as u32)).collect();
            let values: Vec<&[f64]> = if shape == 2 { vec![&first, &second] } else { vec![&first] };
            let slopes: Vec<&[f64]> = slopes.iter().take(values.len()).map(|s| s.as_slice()).collect();
            let added = |k: usize, c: usize| values.iter().zip(&slopes).map(|(v, s)| v[k] * s[c]).sum::<f64>();
            let rest: Vec<&Vec<f64>> = rows.iter().map(|r| &r.0).collect();
            let margins: Vec<f64> = (0..n).flat_map(|i| (0..3).map(move |c| (i, c))).map(|(i, c)| rest[i][c] + added(i, c)).collect();
            let labels: Vec<f64> = rows.iter().map(|r| r.2 as f64).collect();
            prop_assume!(first.iter().any(|v| *v != first[0]));
            let objective = Objective::new(loss, Link::Softmax, 3).unwrap();
            let of = |i: usize, k: usize| {
                let mut m: Vec<f64> = (0..3).map(|c| rest[i][c] + added(k, c)).collect();
                objective.of_many(labels[i], &mut m)
            };
            let w: Vec<f64> = rows.iter().map(|r| r.3).collect();
            let mean_without = |out: Option<usize>| {
                let (mut sum, mut all) = (0.0, 0.0);
                for i in (0..n).filter(|i| Some(*i) != out) {
                    for k in (0..n).filter(|k| Some(*k) != out && *k != i) {
                        sum += w[i] * w[k] * (of(i, k) - of(i, i));
                        all += w[i] * w[k];
                    }
                }
                sum / all
            };
            let value = mean_without(None);
            let term = Term { margins: &margins, values: &values, slopes: &slopes };
            let found = importance(loss, &term, &labels, None, Some(&w)).unwrap();
            prop_assert!((found.by_row.value - value).abs() < 1e-11, "{} {value} {:?} {shape}", found.by_row.value, loss);
            prop_assert!(found.error < 1e-10, "{}", found.error);
            if n < 45 {
                let moved: f64 = (0..n).map(|i| (mean_without(Some(i)) - value).powi(2)).sum();
                let error = ((n - 1) as f64 / n as f64 * moved).sqrt();
                prop_assert!((found.by_row.standard_error - error).abs() < 1e-9, "{} {error}", found.by_row.standard_error);
            }
        }
    }

    #[test]
    fn refuses_what_has_no_form() {
        let values: Vec<f64> = (0..2000).map(f64::from).collect();
        let other: Vec<f64> = values.iter().map(|v| (v * 0.7).sin()).collect();
        let margins = vec![0.0; 4000];
        let labels = vec![1.0; 2000];
        let slopes = [0.5, -0.5];
        let term = Term {
            margins: &margins,
            values: &[&values, &other],
            slopes: &[&slopes, &slopes],
        };
        let told = importance(Loss::LogLoss, &term, &labels, None, None)
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("2000 different donors of 2 features"),
            "{told}"
        );
        // Steeper than any series within the limit.
        let one = Term {
            margins: &margins,
            values: &[&values],
            slopes: &[&slopes],
        };
        let told = importance(Loss::LogLoss, &one, &labels, None, None)
            .unwrap_err()
            .to_string();
        assert!(told.contains("too far for 1024 nodes"), "{told}");
        // Errors of classes need no series.
        assert!(importance(Loss::ZeroOne, &one, &labels, None, None).is_ok());
    }
}
