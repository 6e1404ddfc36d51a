//! Scores that are no means over rows, under donors of their own for every row: the plug-in importance.
//!
//! For every feature the weight of all pairs of different rows is counted by label and by the margin that
//! the row has with the donor's value, in bins between margins of the rows as they are and at the
//! threshold. A table of predicted classes read off the bins is exact; areas lie between the values that
//! the best and the worst order within bins would give.
//!
//! Two rows of one permutation never have the same donor and here they may: of n rows, two donors drawn
//! apart are distributed as those of a permutation but for a share of `(2 n - 3) / (n (n - 1))`, which is
//! what the expected area over all permutations may differ by. Ratios of expected tables differ from
//! expected ratios by as little in order.

use super::{BLOCK, Block, Plan, Rows, next_row};
use crate::importance::losses::Link;
use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bins that rows as they are make: of n rows spread evenly an area is known to about 1 part in 2^15.
const BINS: usize = 1 << 14;

/// A score of labels of two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// Area under the ROC curve.
    RocAuc,
    /// Mean precision over recall, ties as one.
    AveragePrecision,
    /// Mean of the shares of both classes that are predicted right.
    BalancedAccuracy,
    /// Harmonic mean of precision and recall.
    F1,
    /// Share of predicted positives that are positive.
    Precision,
    /// Share of positives that are predicted.
    Recall,
    /// Matthews' correlation.
    Matthews,
}

impl Score {
    /// The score of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "roc_auc" => Score::RocAuc,
            "average_precision" => Score::AveragePrecision,
            "balanced_accuracy" => Score::BalancedAccuracy,
            "f1" => Score::F1,
            "precision" => Score::Precision,
            "recall" => Score::Recall,
            "matthews_corrcoef" => Score::Matthews,
            other => {
                return Err(Error::invalid(format!(
                    "score {other:?}; accepted are roc_auc, average_precision, balanced_accuracy, f1, precision, \
                     recall, matthews_corrcoef"
                )));
            }
        })
    }
}

/// A score and what it may be within the bins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    /// With rows of one bin tied.
    pub value: f64,
    /// In the worst order within bins.
    pub low: f64,
    /// In the best.
    pub high: f64,
}

/// Weight of pairs by label and bin.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Margins that end a bin, ascending.
    cuts: Arc<Vec<i64>>,
    /// First bin of predicted positives.
    positive: usize,
    /// By used feature, and last of the rows as they are: negatives by bin, then positives.
    counts: Vec<Vec<i128>>,
    /// Whether every bin holds one margin of the rows as they are.
    single: bool,
}

impl Plan {
    /// Bins for the margins of these rows, which are all.
    ///
    /// # Errors
    /// When the model does not predict the probability of the second of two classes.
    pub fn bins(&self, rows: &Rows<'_>) -> Result<Ranked> {
        let threshold = match self.model.ensemble.link {
            Link::Logistic(_) => 0.0,
            Link::Probability if self.model.outputs() == 1 => 0.5,
            other => {
                return Err(Error::invalid(format!(
                    "a model of {} outputs behind {other:?}; scores of two classes need the probability of the second",
                    self.model.outputs()
                )));
            }
        };
        let mut margins = Vec::with_capacity(rows.len());
        let mut block = Block::new(&self.model);
        for start in (0..rows.len()).step_by(BLOCK) {
            block.predict::<false>(&self.model, rows, start);
            margins.extend_from_slice(&block.margins[0][..block.rows]);
        }
        margins.sort_unstable();
        let mut cuts = margins.clone();
        cuts.dedup();
        let single = cuts.len() <= BINS;
        if !single {
            let n = margins.len();
            cuts = (1..=BINS).map(|i| margins[i * (n - 1) / BINS]).collect();
        }
        let threshold = (threshold / self.model.quantum).round() as i64;
        cuts.push(threshold);
        cuts.sort_unstable();
        cuts.dedup();
        let positive = cuts.partition_point(|c| *c <= threshold);
        let bins = cuts.len() + 1;
        Ok(Ranked {
            cuts: Arc::new(cuts),
            positive,
            counts: vec![vec![0; 2 * bins]; self.model.used.len() + 1],
            single,
        })
    }

    /// Counts the pairs of rows, on `threads` threads.
    ///
    /// # Errors
    /// When a label is no class, or rows have weights where donors have none.
    pub fn rank(&self, ranked: &mut Ranked, rows: &Rows<'_>, threads: usize) -> Result<()> {
        if rows.weights.is_some() != self.donors.unit.is_some() {
            return Err(Error::incompatible("rows with weights beside rows without"));
        }
        if let Some(row) = rows.labels.iter().position(|y| *y != 0.0 && *y != 1.0) {
            return Err(Error::invalid(format!(
                "label {} in row {row}; scores of two classes accept 0 and 1",
                rows.labels[row]
            )));
        }
        let blocks = rows.len().div_ceil(BLOCK);
        let next = AtomicUsize::new(0);
        let empty = Ranked {
            counts: ranked.counts.iter().map(|c| vec![0; c.len()]).collect(),
            ..ranked.clone()
        };
        let work = || {
            let mut part = empty.clone();
            let mut block = Block::new(&self.model);
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= blocks {
                    return part;
                }
                part.add(self, &mut block, rows, i * BLOCK);
            }
        };
        let parts = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.clamp(1, blocks.max(1)))
                .map(|_| scope.spawn(work))
                .collect();
            let mut parts = vec![Ok(work())];
            parts.extend(others.into_iter().map(|t| t.join()));
            parts
        });
        for part in parts {
            let part = part.map_err(|_| Error::invalid("a worker stopped; please report this"))?;
            for (a, b) in ranked.counts.iter_mut().zip(&part.counts) {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            }
        }
        Ok(())
    }

    /// The score as it is, and with each feature of the model exchanged; none of features that it does not
    /// use.
    pub fn scores(&self, ranked: &Ranked, score: Score) -> (Bounded, Vec<Option<Bounded>>) {
        let mut out = vec![None; self.model.ensemble.features.len()];
        for (u, counts) in self.model.used.iter().zip(&ranked.counts) {
            out[u.feature] = Some(ranked.score(counts, score, false));
        }
        let own = ranked.counts.last().map_or(&[][..], Vec::as_slice);
        (ranked.score(own, score, ranked.single), out)
    }
}

impl Ranked {
    /// Counts the rows from `start` on.
    fn add(&mut self, plan: &Plan, block: &mut Block, rows: &Rows<'_>, start: usize) {
        let model = &plan.model;
        block.predict::<true>(model, rows, start);
        let bins = self.cuts.len() + 1;
        let bin = |cuts: &[i64], margin: i64| cuts.partition_point(|c| *c < margin);
        let all = i128::from(plan.donors.totals.all);
        let mut own = [0usize; BLOCK];
        let mut weight = [0i128; BLOCK];
        let base = model.used.len();
        for r in 0..block.rows {
            let class = usize::from(rows.labels[start + r] > 0.5) * bins;
            own[r] = class + bin(&self.cuts, block.margins[0][r]);
            weight[r] = i128::from(rows.weight(start + r));
            self.counts[base][own[r]] += weight[r];
        }
        for (f, u) in model.used.iter().enumerate() {
            block.collect(model, u, plan.whole[f]);
            let counts = &mut self.counts[f];
            let mut at = own;
            // A row counts by its weight, divided among its donors by theirs. Of rows without weights each
            // has as many, and pairs are counted.
            let amount = |r: usize, donors: i128| match rows.weights {
                None => donors,
                Some(_) if weight[r] == 0 => 0,
                Some(_) => {
                    (weight[r] as f64 / (all - weight[r]) as f64 * donors as f64).round() as i128
                }
            };
            for r in 0..block.rows {
                // All donors but the row itself, before any of them moves it.
                counts[own[r]] += amount(r, all - weight[r]);
            }
            let mut margins = block.margins[0];
            for b in 0..u.cells {
                let mut bits = std::mem::take(&mut block.touched[b]);
                let donors = i128::from(plan.above[f][b]);
                while bits != 0 {
                    let r = next_row(&mut bits);
                    margins[r] += std::mem::take(&mut block.steps[b][r]);
                    let class = if own[r] >= bins { bins } else { 0 };
                    let to = class + bin(&self.cuts, margins[r]);
                    let moved = amount(r, donors);
                    counts[at[r]] -= moved;
                    counts[to] += moved;
                    at[r] = to;
                }
            }
        }
    }

    fn score(&self, counts: &[i128], score: Score, single: bool) -> Bounded {
        let (negative, positive) = counts.split_at(counts.len() / 2);
        let sum = |part: &[i128]| part.iter().sum::<i128>() as f64;
        let (all_negative, all_positive) = (sum(negative), sum(positive));
        let (fp, tp) = (
            sum(&negative[self.positive..]),
            sum(&positive[self.positive..]),
        );
        let (tn, fnn) = (all_negative - fp, all_positive - tp);
        let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        let known = |value: f64| Bounded {
            value,
            low: value,
            high: value,
        };
        let bins = || {
            let pairs = negative.iter().zip(positive);
            pairs.map(|(n, p)| (*n as f64, *p as f64))
        };
        match score {
            Score::RocAuc => area(bins(), all_negative * all_positive, single),
            Score::AveragePrecision => average_precision(bins().rev(), all_positive, single),
            Score::BalancedAccuracy => {
                known(0.5 * (ratio(tp, all_positive) + ratio(tn, all_negative)))
            }
            Score::F1 => known(ratio(2.0 * tp, 2.0 * tp + fp + fnn)),
            Score::Precision => known(ratio(tp, tp + fp)),
            Score::Recall => known(ratio(tp, all_positive)),
            Score::Matthews => {
                let products =
                    (tp + fp).sqrt() * (tp + fnn).sqrt() * (tn + fp).sqrt() * (tn + fnn).sqrt();
                known(ratio(
                    tp * (tn / products) - fp * (fnn / products),
                    f64::from(products > 0.0),
                ))
            }
        }
    }
}

/// From weights of negatives and positives, ascending.
fn area(bins: impl Iterator<Item = (f64, f64)>, pairs: f64, single: bool) -> Bounded {
    let (mut below, mut middle, mut unsure) = (0.0, 0.0, 0.0);
    for (n, p) in bins {
        middle += p * (below + 0.5 * n);
        unsure += 0.5 * p * n;
        below += n;
    }
    let (value, half) = (middle / pairs, if single { 0.0 } else { unsure / pairs });
    Bounded {
        value,
        low: value - half,
        high: value + half,
    }
}

/// From weights of negatives and positives, descending.
fn average_precision(bins: impl Iterator<Item = (f64, f64)>, all: f64, single: bool) -> Bounded {
    let (mut t, mut f) = (0.0, 0.0);
    let (mut value, mut low, mut high) = (0.0, 0.0, 0.0);
    for (n, p) in bins {
        if p > 0.0 {
            let tied = p * (t + p) / (t + p + f + n);
            value += tied;
            // Every negative first and positives one by one; every positive first and at once.
            let worst = if t + f + n > 0.0 {
                p - (f + n) * libm::log1p(p / (t + f + n))
            } else {
                p
            };
            low += if single { tied } else { worst };
            high += if single {
                tied
            } else {
                p * (t + p) / (t + p + f)
            };
        }
        (t, f) = (t + p, f + n);
    }
    Bounded {
        value: value / all,
        low: low / all,
        high: high / all,
    }
}
