//! Weak segments: conjunctions of binned features where the mean loss is higher than elsewhere.
//!
//! Segments are searched on one half of the rows and measured on the other, so that intervals and
//! p-values do not know what the search liked. The halves, the bins and every sum are functions of the
//! multiset of rows: losses are integers of 31 bits in the search and exact sums where they are
//! measured, so neither the order of rows nor the number of threads changes a bit.
//!
//! One and two features are counted completely. Three are searched by branch and bound in the manner
//! of SliceLine (Sagadeeva and Boehm 2021), with a bound of this score over rows: [`Rating::bound`].
//! Pairs are taken by falling bound and what is found raises the threshold of those after them; a table of
//! three features that no cell keeps open is not counted, and one that is takes an addition a row.
//! [`slices`] is the same search with SliceLine's own score, of all rows.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{self, AtomicUsize};

use crate::joint::{Column, MISSING};
use crate::kernels::BLOCK;
use crate::kernels::key::mix;
use crate::metrics::add_squares;
use crate::special::{student_two_sided, student_two_sided_isf};
use crate::states::exact_sum::{Sum, SumOfSquares, add_block, variance};
use crate::{Error, Result};

/// Definition of the numbers of a segment; any change of one changes it.
pub const DEFINITION: &str = "mean_loss_difference/held-out/v1";

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Most conditions of a segment: 1 to 3.
    pub depth: usize,
    /// Quantile bins of a number, 2 to 250; a number of no more values has a bin for each.
    pub bins: usize,
    /// Fewest rows of a segment in the half that is searched, and of the rest; at least 2.
    pub min_rows: usize,
    /// Most segments.
    pub top: usize,
    /// Two-sided level of intervals.
    pub alpha: f64,
    /// Standard errors that the score takes off the difference.
    pub penalty: f64,
    /// Key of the split.
    pub seed: u64,
    /// Threads; 0 and 1 are the caller's own.
    pub threads: usize,
}

/// Values of a feature that one condition accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bin {
    /// `low <= x < high`; open where none.
    Range {
        /// Smallest number of the bin.
        low: Option<f64>,
        /// Smallest number above the bin.
        high: Option<f64>,
    },
    /// One number.
    Value(f64),
    /// One category.
    Code(u32),
    /// Categories too rare for a bin of their own.
    Rare {
        /// How many there are.
        values: usize,
    },
    /// Null and NaN.
    Missing,
}

/// A segment, measured on the half that the search did not see.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Features by position, ascending, and the bin of each.
    pub conditions: Vec<(usize, Bin)>,
    /// Difference less `penalty` standard errors, in the half that was searched.
    pub score: f64,
    /// Difference in the half that was searched; selection makes it too large.
    pub searched_difference: f64,
    /// Rows of the segment in that half.
    pub searched_rows: u64,
    /// Held-out rows of the segment and of the rest.
    pub rows: (u64, u64),
    /// Independent units among them: rows, or blocks.
    pub units: (u64, u64),
    /// Mean loss of the segment and of the rest.
    pub means: (f64, f64),
    /// Difference of the means; NaN where a side has no row.
    pub value: f64,
    /// Interval of the difference.
    pub ci: Option<(f64, f64)>,
    /// One-sided, against a mean of at most the rest's.
    pub pvalue: Option<f64>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Highest score first; a segment is there only if it is weak beyond those before it.
    pub segments: Vec<Segment>,
    /// Which rows were searched; the others were held out.
    pub searched: Vec<bool>,
    /// Segments of three conditions that the bound left to count, of those that two features admit.
    pub counted: (u64, u64),
}

/// A feature as bins.
struct Binned {
    codes: Vec<u8>,
    bins: Vec<Bin>,
}

/// Most bins of one feature beside those of rare and of missing values.
const MAX_BINS: usize = 250;
/// Most cells of all pairs of features: 16 bytes each.
const MAX_CELLS: usize = 1 << 26;
/// Candidates kept for each segment wanted; most are other views of one weakness.
const KEPT: usize = 20;

/// Finds the segments of `features` (of equal length) where `losses` (finite) are high.
///
/// Rows of one block (codes from 0) are in one half, and errors are those of whole blocks.
///
/// # Errors
/// Options outside their range, no feature, lengths that differ, a loss that is not finite, too few
/// rows or blocks, bins that do not fit in memory; [`Error::Interrupted`] when `stop` says so.
pub fn find(
    features: &[(String, Column)],
    losses: &[f64],
    blocks: Option<&[u32]>,
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Found> {
    check(features, losses, blocks, options)?;
    let searched = split(features, losses, blocks, options.seed)?;
    let rows: Vec<usize> = (0..losses.len()).filter(|r| searched[*r]).collect();
    let held: Vec<usize> = (0..losses.len()).filter(|r| !searched[*r]).collect();
    if rows.len().min(held.len()) < 2 * options.min_rows {
        return Err(Error::invalid(format!(
            "{} rows to search and {} held out; {} or more of each, twice min_rows, would be accepted",
            rows.len(),
            held.len(),
            2 * options.min_rows
        )));
    }
    if u32::try_from(rows.len()).is_err() {
        return Err(Error::invalid(format!(
            "{} rows to search; at most {} would be accepted",
            rows.len(),
            u32::MAX
        )));
    }
    let binned: Vec<Binned> = features.iter().map(|f| bin(&f.1, options)).collect();
    let unit = Unit::new(losses);
    let half = Half {
        columns: binned
            .iter()
            .map(|b| rows.iter().map(|r| b.codes[*r]).collect())
            .collect(),
        bins: binned.iter().map(|b| b.bins.len()).collect(),
        losses: rows.iter().map(|r| unit.of(losses[*r])).collect(),
    };
    let effect = blocks.map_or(1.0, |all| {
        let own: Vec<u32> = rows.iter().map(|r| all[*r]).collect();
        design_effect(&half.losses, &own)
    });
    let rating = Rating::new(&half.losses, options, effect);
    let sizes = (options.depth, KEPT * options.top, options.threads);
    let (candidates, counted) = search(&half, &rating, sizes, true, stop)?;
    let measure = Measure::new(losses, &held, blocks);
    let segments = choose(&half, &rating, candidates, options.top)
        .into_iter()
        .map(|(c, count, sum)| {
            let inside = |r: usize| c.conditions().all(|(f, b)| binned[f].codes[r] == b);
            Segment {
                conditions: c
                    .conditions()
                    .map(|(f, b)| (f, binned[f].bins[usize::from(b)]))
                    .collect(),
                score: c.score * unit.step,
                searched_difference: rating.difference(count, sum) * unit.step,
                searched_rows: count,
                ..measure.segment(&inside, options.alpha)
            }
        })
        .collect();
    Ok(Found {
        segments,
        searched,
        counted,
    })
}

fn check(
    features: &[(String, Column)],
    losses: &[f64],
    blocks: Option<&[u32]>,
    options: &Options,
) -> Result<()> {
    let within = |name: &str, value: usize, low: usize, high: usize| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{name} is {value}; {low} to {high} would be accepted"
        )))
    };
    within("depth", options.depth, 1, 3)?;
    within("bins", options.bins, 2, MAX_BINS)?;
    within("min_rows", options.min_rows, 2, u32::MAX as usize)?;
    within("top", options.top, 1, 10_000)?;
    if !(options.alpha > 0.0 && options.alpha < 1.0) {
        return Err(Error::invalid(format!(
            "alpha is {}; a number between 0 and 1 would be accepted",
            options.alpha
        )));
    }
    if !(options.penalty >= 0.0 && options.penalty.is_finite()) {
        return Err(Error::invalid(format!(
            "penalty is {}; a number from 0 would be accepted",
            options.penalty
        )));
    }
    if features.is_empty() {
        return Err(Error::invalid("no feature; 1 or more would be accepted"));
    }
    if features.len() > usize::from(u16::MAX) {
        return Err(Error::invalid(format!(
            "{} features; at most {} would be accepted",
            features.len(),
            u16::MAX
        )));
    }
    if let Some((name, column)) = features.iter().find(|f| f.1.len() != losses.len()) {
        return Err(Error::invalid(format!(
            "feature {name:?} has {} rows for {} losses",
            column.len(),
            losses.len()
        )));
    }
    if let Some(blocks) = blocks.filter(|b| b.len() != losses.len()) {
        return Err(Error::invalid(format!(
            "{} blocks for {} rows",
            blocks.len(),
            losses.len()
        )));
    }
    if let Some(row) = losses.iter().position(|l| !l.is_finite()) {
        return Err(Error::invalid(format!(
            "the loss of row {row} is {}; finite numbers are accepted",
            losses[row]
        )));
    }
    Ok(())
}

/// Halves by keyed hash: of a row's content and how often it was met before, so that equal rows fall on
/// both sides and their order does not matter; of blocks, every second one in the order of hashes.
fn split(
    features: &[(String, Column)],
    losses: &[f64],
    blocks: Option<&[u32]>,
    seed: u64,
) -> Result<Vec<bool>> {
    let key = mix(seed ^ 0x7365_676d_656e_7473);
    if let Some(blocks) = blocks {
        let mut order: Vec<u32> = blocks.to_vec();
        order.sort_unstable();
        order.dedup();
        if order.len() < 4 {
            return Err(Error::invalid(format!(
                "{} blocks; 4 or more, of which half are held out, would be accepted",
                order.len()
            )));
        }
        order.sort_by_key(|b| (mix(key ^ u64::from(*b)), *b));
        let mine: BTreeSet<u32> = order.into_iter().step_by(2).collect();
        return Ok(blocks.iter().map(|b| mine.contains(b)).collect());
    }
    let mut hashes: Vec<u64> = losses
        .iter()
        .map(|l| mix(key ^ (l + 0.0).to_bits()))
        .collect();
    for (_, column) in features {
        match column {
            Column::Numbers(v) => {
                for (h, x) in hashes.iter_mut().zip(v) {
                    let x = if x.is_nan() { f64::NAN } else { x + 0.0 };
                    *h = mix(*h ^ x.to_bits());
                }
            }
            Column::Codes(v) => {
                for (h, c) in hashes.iter_mut().zip(v) {
                    *h = mix(*h ^ u64::from(*c));
                }
            }
        }
    }
    let mut met: HashMap<u64, u64> = HashMap::with_capacity(hashes.len());
    let side = |h: u64| {
        let before = met.entry(h).or_insert(0);
        *before += 1;
        mix(h ^ mix(*before)) >> 63 == 0
    };
    Ok(hashes.into_iter().map(side).collect())
}

/// Bins of a feature, cut on all rows: the loss takes no part in it.
fn bin(column: &Column, options: &Options) -> Binned {
    match column {
        Column::Numbers(v) => bin_numbers(v, options.bins),
        Column::Codes(v) => bin_codes(v, 2 * options.min_rows),
    }
}

/// The bin of each value: about `wanted` of equal mass of a number, a category of at least `support` rows its
/// own; rare and missing values have one each.
pub fn cells(column: &Column, wanted: usize, support: usize) -> Vec<u8> {
    match column {
        Column::Numbers(v) => bin_numbers(v, wanted).codes,
        Column::Codes(v) => bin_codes(v, support).codes,
    }
}

fn bin_numbers(values: &[f64], wanted: usize) -> Binned {
    let mut sorted: Vec<f64> = values
        .iter()
        .filter(|x| !x.is_nan())
        .map(|x| x + 0.0)
        .collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let mut distinct: Vec<f64> = Vec::new();
    for x in &sorted {
        if distinct.last() != Some(x) {
            distinct.push(*x);
            if distinct.len() > wanted {
                break;
            }
        }
    }
    // Cuts are the smallest numbers of all bins but the first.
    let (cuts, mut bins): (Vec<f64>, Vec<Bin>) = if distinct.len() <= wanted {
        let bins = distinct.iter().map(|x| Bin::Value(*x)).collect();
        (distinct.into_iter().skip(1).collect(), bins)
    } else {
        let mut cuts: Vec<f64> = Vec::new();
        for k in 1..wanted {
            let cut = sorted[(k as u128 * n as u128 / wanted as u128) as usize];
            if cut > *cuts.last().unwrap_or(&sorted[0]) {
                cuts.push(cut);
            }
        }
        let low = core::iter::once(None).chain(cuts.iter().copied().map(Some));
        let high = cuts.iter().copied().map(Some).chain([None]);
        let bins = low.zip(high).map(|(low, high)| Bin::Range { low, high });
        let bins = bins.collect();
        (cuts, bins)
    };
    let missing = bins.len() as u8;
    if n < values.len() {
        bins.push(Bin::Missing);
    }
    let code = |x: &f64| {
        if x.is_nan() {
            missing
        } else {
            cuts.partition_point(|c| c <= x) as u8
        }
    };
    Binned {
        codes: values.iter().map(code).collect(),
        bins,
    }
}

fn bin_codes(values: &[u32], support: usize) -> Binned {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for c in values {
        *counts.entry(*c).or_default() += 1;
    }
    let missing = counts.remove(&MISSING);
    let mut common: Vec<(u32, usize)> = counts
        .iter()
        .map(|(c, k)| (*c, *k))
        .filter(|c| c.1 >= support)
        .collect();
    common.sort_by_key(|c| (core::cmp::Reverse(c.1), c.0));
    common.truncate(MAX_BINS);
    let mut kept: Vec<u32> = common.into_iter().map(|c| c.0).collect();
    kept.sort_unstable();
    let mut bins: Vec<Bin> = kept.iter().map(|c| Bin::Code(*c)).collect();
    let rare = bins.len() as u8;
    if kept.len() < counts.len() {
        bins.push(Bin::Rare {
            values: counts.len() - kept.len(),
        });
    }
    let nothing = bins.len() as u8;
    if missing.is_some() {
        bins.push(Bin::Missing);
    }
    let code = |c: &u32| match kept.binary_search(c) {
        _ if *c == MISSING => nothing,
        Ok(k) => k as u8,
        Err(_) => rare,
    };
    Binned {
        codes: values.iter().map(code).collect(),
        bins,
    }
}

/// Losses as integers: steps above the smallest, the largest is 2^31.
struct Unit {
    low: f64,
    /// Half the range: the range itself may lie beyond f64.
    half: f64,
    /// Loss of one step.
    step: f64,
}

const STEPS: f64 = (1_u64 << 31) as f64;

impl Unit {
    fn new(losses: &[f64]) -> Self {
        let low = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let high = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let half = 0.5 * high - 0.5 * low;
        Unit {
            low,
            half,
            step: half / STEPS * 2.0,
        }
    }

    fn of(&self, loss: f64) -> u32 {
        if self.half > 0.0 {
            libm::round((0.5 * loss - 0.5 * self.low) / self.half * STEPS) as u32
        } else {
            0
        }
    }
}

/// Variance of the mean loss by whole blocks over that of independent rows; at least 1.
fn design_effect(losses: &[u32], blocks: &[u32]) -> f64 {
    let mut sums: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for (l, b) in losses.iter().zip(blocks) {
        let held = sums.entry(*b).or_default();
        held.0 += 1;
        held.1 += u64::from(*l);
    }
    let n = losses.len() as f64;
    let mean = sums.values().map(|s| s.1).sum::<u64>() as f64 / n;
    let square = |x: f64| x * x;
    let between: f64 = sums
        .values()
        .map(|s| square(s.1 as f64 - s.0 as f64 * mean))
        .sum();
    // In the order of sorted losses: floats are added in an order that the rows' own does not change.
    let mut sorted = losses.to_vec();
    sorted.sort_unstable();
    let within: f64 = sorted.iter().map(|l| square(f64::from(*l) - mean)).sum();
    let count = sums.len() as f64;
    let ratio = between * count / (count - 1.0) / within;
    if ratio.is_finite() {
        ratio.max(1.0)
    } else {
        1.0
    }
}

/// Rows, largest loss and sum of losses of a set of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    count: u32,
    max: u32,
    sum: u64,
}

impl Cell {
    fn add(&mut self, loss: u32) {
        self.count += 1;
        self.max = self.max.max(loss);
        self.sum += u64::from(loss);
    }

    /// What holds for every set of rows that lies in both.
    fn meet(&self, other: &Cell) -> Cell {
        Cell {
            count: self.count.min(other.count),
            max: self.max.min(other.max),
            sum: self.sum.min(other.sum),
        }
    }
}

/// The half that is searched.
struct Half {
    columns: Vec<Vec<u8>>,
    bins: Vec<usize>,
    losses: Vec<u32>,
}

/// The score: difference of the segment's mean from the rest's, less standard errors of it at the
/// variance of all rows.
#[derive(Debug, Clone)]
struct Rating {
    rows: u64,
    total: u64,
    least: u64,
    /// Penalty times the root of (variance of a loss x rows).
    spread: f64,
}

/// Beyond the rounding of score and bound, in steps of 2^-31 of the range of losses.
const SLACK: f64 = 1e-3;

/// What makes a segment better than another.
trait Judge: Sync {
    /// Fewest rows.
    fn least(&self) -> u64;

    /// The score of a segment that is admitted, by rows and sum of losses.
    fn score(&self, count: u64, sum: u64) -> Option<f64>;

    /// No segment whose rows lie in a set with at most these `count`, `sum` and `max` scores more.
    fn bound(&self, of: &Cell) -> f64;

    /// Whether `own` says more than `around`, a shorter segment around it.
    fn extends(&self, own: &Cell, around: &Cell) -> bool;

    /// Whether a segment must score more than the shorter ones around it.
    fn earns(&self) -> bool;
}

impl Rating {
    fn new(losses: &[u32], options: &Options, design_effect: f64) -> Self {
        let n = losses.len() as u128;
        let total: u64 = losses.iter().map(|l| u64::from(*l)).sum();
        let squares: u128 = losses.iter().map(|l| u128::from(*l) * u128::from(*l)).sum();
        // n^2 times the variance: below 2^32 * 2^94, and not negative by Cauchy and Schwarz.
        let scatter = n * squares - u128::from(total) * u128::from(total);
        let spread = libm::sqrt(scatter as f64 / n as f64 * design_effect);
        Rating {
            rows: losses.len() as u64,
            total,
            least: options.min_rows as u64,
            spread: options.penalty * spread,
        }
    }

    /// Mean of the segment less mean of the rest.
    fn difference(&self, count: u64, sum: u64) -> f64 {
        let product = |a: u64, b: u64| i128::from(a) * i128::from(b);
        let above = product(sum, self.rows) - product(count, self.total);
        above as f64 / (count as f64 * (self.rows - count) as f64)
    }
}

impl Judge for Rating {
    fn least(&self) -> u64 {
        self.least
    }

    fn earns(&self) -> bool {
        true
    }

    /// The score of a segment that is admitted: `least` rows, and no more than half of all.
    fn score(&self, count: u64, sum: u64) -> Option<f64> {
        if count < self.least || count > self.rows / 2 {
            return None;
        }
        let places = count as f64 * (self.rows - count) as f64;
        Some(self.difference(count, sum) - self.spread / libm::sqrt(places))
    }

    /// Whether `own` says more than `around`, a shorter segment around it: what the further condition
    /// drops is less than half as weak. Else the best of many refinements by chance would take the place
    /// of the segment that they refine.
    fn extends(&self, own: &Cell, around: &Cell) -> bool {
        let of = |c: u32, sum: u64| self.difference(u64::from(c), sum);
        let dropped = around.count - own.count;
        dropped == 0 || 2.0 * of(dropped, around.sum - own.sum) < of(own.count, own.sum)
    }

    /// No segment whose rows lie in a set with these `count`, `sum` and `max` (or in several sets, each
    /// of at most these) scores more.
    ///
    /// Let n be all rows, M their mean and k the rows of the segment: `least <= k <= h`, where h is the
    /// smaller of `count` and n / 2. Losses are not negative, so its sum is at most min(`sum`, k `max`)
    /// and its score at most d(k) - e(k) with
    /// d(k) = (min(`sum`, k `max`) - k M) n / (k (n - k)) and e(k) = spread / sqrt(k (n - k)).
    ///
    /// 1. e falls on the whole range, since k <= n / 2.
    /// 2. Up to k0 = `sum` / `max`, d(k) = (`max` - M) n / (n - k), which rises if `max` > M and is not
    ///    positive else. There d - e is largest at the right end, or at most 0.
    /// 3. From k0 on, d(k) = (`sum` - k M) n / (k (n - k)). The derivative has the sign of
    ///    -(M k^2 - 2 `sum` k + `sum` n), whose discriminant 4 `sum` (`sum` - M n) is not positive as
    ///    the whole sum is M n: d falls. On a piece [a, b], d - e is at most d(a) - e(b).
    ///
    /// Here n is *rows*: with the number of columns in its place the bound would hold and prune little.
    fn bound(&self, of: &Cell) -> f64 {
        let n = self.rows as f64;
        let (low, high) = (
            self.least as f64,
            u64::from(of.count).min(self.rows / 2) as f64,
        );
        if high < low || of.max == 0 {
            return 0.0;
        }
        let mean = self.total as f64 / n;
        let (sum, max) = (of.sum as f64, f64::from(of.max));
        let error = |k: f64| self.spread / libm::sqrt(k * (n - k));
        let turn = sum / max;
        let mut bound: f64 = 0.0;
        if turn >= low && max > mean {
            let k = turn.min(high);
            bound = bound.max((max - mean) * n / (n - k) - error(k));
        }
        if turn < high {
            const PIECES: i32 = 8;
            let start = turn.max(low);
            let ratio = libm::pow(high / start, 1.0 / f64::from(PIECES));
            let mut a = start;
            for piece in 1..=PIECES {
                let b = if piece == PIECES { high } else { a * ratio };
                let difference = (sum - a * mean) * n / (a * (n - a));
                bound = bound.max(difference - error(b.clamp(a, high)));
                a = b;
            }
        }
        bound + SLACK
    }
}

/// SliceLine's score: `weight (mean / mean of all - 1) - (1 - weight) (rows of all / rows - 1)`.
#[derive(Debug, Clone)]
struct SliceLine {
    rows: f64,
    mean: f64,
    least: u64,
    weight: f64,
}

impl SliceLine {
    fn at(&self, count: f64, sum: f64) -> f64 {
        self.weight * (sum / count / self.mean - 1.0)
            - (1.0 - self.weight) * (self.rows / count - 1.0)
    }
}

impl Judge for SliceLine {
    fn least(&self) -> u64 {
        self.least
    }

    fn earns(&self) -> bool {
        false
    }

    fn score(&self, count: u64, sum: u64) -> Option<f64> {
        (count >= self.least && sum > 0).then(|| self.at(count as f64, sum as f64))
    }

    /// Of k rows the sum is at most min(`sum`, k `max`). Up to k = `sum` / `max` the score then rises with
    /// k; from there on it is (weight `sum` / mean - (1 - weight) n) / k and a constant, whose largest
    /// value is at an end. Here n is *rows*.
    fn bound(&self, of: &Cell) -> f64 {
        let (low, high) = (self.least as f64, f64::from(of.count));
        if high < low || of.max == 0 {
            return 0.0;
        }
        let (sum, max) = (of.sum as f64, f64::from(of.max));
        let at = |k: f64| self.at(k, sum.min(k * max));
        let turn = (sum / max).clamp(low, high);
        let bound = at(low).max(at(turn)).max(at(high));
        bound + 1e-9 * bound.abs().max(1.0)
    }

    fn extends(&self, _: &Cell, _: &Cell) -> bool {
        true
    }
}

/// A segment by feature and bin; smaller is better.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    score: f64,
    depth: usize,
    parts: [(u16, u8); 3],
}

impl Candidate {
    fn new(score: f64, parts: &[(usize, usize)]) -> Self {
        let mut all = [(0, 0); 3];
        for (slot, (f, b)) in all.iter_mut().zip(parts) {
            *slot = (*f as u16, *b as u8);
        }
        Candidate {
            score,
            depth: parts.len(),
            parts: all,
        }
    }

    fn conditions(&self) -> impl Iterator<Item = (usize, u8)> {
        let parts = self.parts;
        (0..self.depth).map(move |i| (usize::from(parts[i].0), parts[i].1))
    }
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let tie = (self.depth, self.parts).cmp(&(other.depth, other.parts));
        other.score.total_cmp(&self.score).then(tie)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best candidates, best first.
struct Best {
    limit: usize,
    held: BTreeSet<Candidate>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Best {
            limit,
            held: BTreeSet::new(),
        }
    }

    /// Keeps a candidate that scores more than every shorter one around it, and more than nothing.
    fn offer(&mut self, score: Option<f64>, above: f64, parts: &[(usize, usize)]) {
        if let Some(score) = score.filter(|s| *s > above.max(0.0)) {
            self.held.insert(Candidate::new(score, parts));
            if self.held.len() > self.limit {
                self.held.pop_last();
            }
        }
    }

    /// What a candidate must score to be kept.
    fn threshold(&self) -> f64 {
        let last = self.held.last().filter(|_| self.held.len() == self.limit);
        last.map_or(0.0, |c| c.score)
    }
}

/// Tables of all pairs of features.
struct Pairs {
    /// Features, in the order of the first, then the second.
    pairs: Vec<(usize, usize)>,
    tables: Vec<Vec<Cell>>,
    /// Where the pairs of a feature begin.
    first: Vec<usize>,
    bins: Vec<usize>,
}

impl Pairs {
    fn new(half: &Half, threads: usize, stop: &(dyn Fn() -> bool + Sync)) -> Result<Self> {
        let features = half.columns.len();
        let pairs: Vec<(usize, usize)> = (0..features)
            .flat_map(|f| (f + 1..features).map(move |g| (f, g)))
            .collect();
        let cells: usize = pairs
            .iter()
            .map(|(f, g)| half.bins[*f] * half.bins[*g])
            .fold(0, usize::saturating_add);
        if cells > MAX_CELLS {
            return Err(Error::invalid(format!(
                "{cells} cells of {} pairs of features; at most {MAX_CELLS} would be accepted: fewer features or bins, or a larger min_rows",
                pairs.len()
            )));
        }
        let tables = parallel(pairs.len(), threads, stop, &|p| {
            let (f, g) = pairs[p];
            let width = half.bins[g];
            let mut cells = vec![Cell::default(); half.bins[f] * width];
            let codes = half.columns[f].iter().zip(&half.columns[g]);
            for ((a, b), l) in codes.zip(&half.losses) {
                cells[usize::from(*a) * width + usize::from(*b)].add(*l);
            }
            cells
        })?;
        Ok(Self {
            pairs,
            tables,
            first: (0..features)
                .map(|f| f * features - f * (f + 1) / 2)
                .collect(),
            bins: half.bins.clone(),
        })
    }

    fn cell(&self, f: usize, a: usize, g: usize, b: usize) -> &Cell {
        &self.tables[self.first[f] + g - f - 1][a * self.bins[g] + b]
    }
}

/// Candidates, and segments of three conditions counted and admitted by their pairs.
///
/// Without `bounded`, every one of them is counted: the slow twin.
fn search<J: Judge>(
    half: &Half,
    judge: &J,
    (depth, limit, threads): (usize, usize, usize),
    bounded: bool,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(BTreeSet<Candidate>, (u64, u64))> {
    let features = half.columns.len();
    let mut best = Best::new(limit);
    let single: Vec<Vec<Cell>> = (0..features)
        .map(|f| {
            let mut cells = vec![Cell::default(); half.bins[f]];
            for (c, l) in half.columns[f].iter().zip(&half.losses) {
                cells[usize::from(*c)].add(*l);
            }
            cells
        })
        .collect();
    let scored = |cell: &Cell| judge.score(u64::from(cell.count), cell.sum);
    // What a longer segment must beat.
    let worth = |cell: &Cell| scored(cell).filter(|_| judge.earns()).unwrap_or(0.0);
    for (f, cells) in single.iter().enumerate() {
        for (b, cell) in cells.iter().enumerate() {
            best.offer(scored(cell), 0.0, &[(f, b)]);
        }
    }
    if depth == 1 || features == 1 {
        return Ok((best.held, (0, 0)));
    }
    let tables = Pairs::new(half, threads, stop)?;
    for (f, g) in &tables.pairs {
        for a in 0..half.bins[*f] {
            for b in 0..half.bins[*g] {
                let around = [&single[*f][a], &single[*g][b]];
                let above = worth(around[0]).max(worth(around[1]));
                let own = tables.cell(*f, a, *g, b);
                let score = scored(own).filter(|_| around.iter().all(|c| judge.extends(own, c)));
                best.offer(score, above, &[(*f, a), (*g, b)]);
            }
        }
    }
    if depth == 2 || features == 2 {
        return Ok((best.held, (0, 0)));
    }
    // The pairs that promise most come first: what they lead to raises the threshold of the others. It is
    // fixed within a round, so that what is counted does not depend on the threads.
    let mut order: Vec<(f64, usize)> = tables
        .tables
        .iter()
        .map(|t| t.iter().map(|c| judge.bound(c)).fold(0.0, f64::max))
        .enumerate()
        .map(|(p, bound)| (bound, p))
        .filter(|(_, p)| tables.pairs[*p].1 < features - 1)
        .collect();
    order.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
    let packed: Vec<u64> = half.losses.iter().map(|l| ONE | u64::from(*l)).collect();
    let (mut counted, mut admitted) = (0, 0);
    let (mut next, mut size) = (0, 4);
    while next < order.len() {
        let round = &order[next..(next + size).min(order.len())];
        let threshold = best.threshold();
        let done = parallel(round.len(), threads, stop, &|i| {
            let pair = tables.pairs[round[i].1];
            let mut found = Best::new(limit);
            let cut = if bounded {
                threshold
            } else {
                f64::NEG_INFINITY
            };
            let visited = triples(
                (half, &packed),
                judge,
                (&single, &tables, pair),
                cut,
                &mut found,
                stop,
            );
            (found.held, visited)
        })?;
        for (found, (some, all)) in done {
            counted += some;
            admitted += all;
            best.held.extend(found);
        }
        while best.held.len() > limit {
            best.held.pop_last();
        }
        next += size;
        size *= 2;
    }
    Ok((best.held, (counted, admitted)))
}

/// A row in the upper bits, its loss in the lower: 65,535 of them do not mix.
const ONE: u64 = 1 << 48;

/// Offers the segments of a pair of features and one after them that may score more than `cut`; how many
/// were counted, and how many the pairs admit.
fn triples<J: Judge>(
    (half, packed): (&Half, &[u64]),
    judge: &J,
    (single, tables, (f, g)): (&[Vec<Cell>], &Pairs, (usize, usize)),
    cut: f64,
    found: &mut Best,
    stop: &(dyn Fn() -> bool + Sync),
) -> (u64, u64) {
    let scored = |cell: &Cell| judge.score(u64::from(cell.count), cell.sum);
    let worth = |cell: &Cell| scored(cell).filter(|_| judge.earns()).unwrap_or(0.0);
    let least = judge.least();
    // Cells of the pair that are worth a look, with what their refinements must beat.
    let mut nodes: Vec<(usize, usize, f64)> = Vec::new();
    let mut place = vec![u32::MAX; half.bins[f] * half.bins[g]];
    let mut closed: Vec<(usize, usize)> = Vec::new();
    for a in 0..half.bins[f] {
        for b in 0..half.bins[g] {
            let node = tables.cell(f, a, g, b);
            if u64::from(node.count) < least {
                continue;
            }
            let above = worth(node)
                .max(worth(&single[f][a]))
                .max(worth(&single[g][b]));
            if cut == f64::NEG_INFINITY || judge.bound(node) > above.max(cut) {
                place[a * half.bins[g] + b] = nodes.len() as u32;
                nodes.push((a, b, above));
            } else {
                closed.push((a, b));
            }
        }
    }
    let mut rows: Option<Vec<(u32, u32)>> = None;
    let (mut counted, mut admitted) = (0, 0);
    for h in g + 1..half.columns.len() {
        if stop() {
            break;
        }
        let width = half.bins[h];
        let meet = |a: usize, b: usize, c: usize| {
            let (fh, gh) = (tables.cell(f, a, h, c), tables.cell(g, b, h, c));
            tables.cell(f, a, g, b).meet(fh).meet(gh)
        };
        let enough = |cell: &Cell| u64::from(cell.count) >= least;
        for (a, b) in &closed {
            admitted += (0..width).filter(|c| enough(&meet(*a, *b, *c))).count() as u64;
        }
        let beaten = |(a, b, above): &(usize, usize, f64), c: usize| {
            [
                tables.cell(f, *a, h, c),
                tables.cell(g, *b, h, c),
                &single[h][c],
            ]
            .into_iter()
            .map(worth)
            .fold(*above, f64::max)
        };
        let (mut here, mut open) = (0, cut == f64::NEG_INFINITY);
        for node in &nodes {
            for c in 0..width {
                let cell = meet(node.0, node.1, c);
                if enough(&cell) {
                    here += 1;
                    open = open || judge.bound(&cell) > beaten(node, c).max(cut);
                }
            }
        }
        admitted += here;
        if !open || here == 0 {
            continue;
        }
        counted += here;
        let rows = rows.get_or_insert_with(|| {
            let codes = half.columns[f].iter().zip(&half.columns[g]).enumerate();
            codes
                .map(|(r, (a, b))| {
                    let pair = usize::from(*a) * half.bins[g] + usize::from(*b);
                    (r as u32, place[pair])
                })
                .filter(|(_, node)| *node != u32::MAX)
                .collect()
        });
        let mut sums = vec![(0u32, 0u64); nodes.len() * width];
        let mut part = vec![0u64; nodes.len() * width];
        for some in rows.chunks(usize::from(u16::MAX)) {
            for (r, node) in some {
                let c = usize::from(half.columns[h][*r as usize]);
                part[*node as usize * width + c] += packed[*r as usize];
            }
            for ((count, sum), held) in sums.iter_mut().zip(&mut part) {
                *count += (*held / ONE) as u32;
                *sum += *held % ONE;
                *held = 0;
            }
        }
        for (node, cells) in nodes.iter().zip(sums.chunks_exact(width)) {
            for (c, (count, sum)) in cells.iter().enumerate() {
                let Some(score) = judge.score(u64::from(*count), *sum) else {
                    continue;
                };
                if score < cut || score < found.threshold() {
                    continue;
                }
                let (a, b, _) = *node;
                let own = Cell {
                    count: *count,
                    max: 0,
                    sum: *sum,
                };
                let around = [
                    tables.cell(f, a, g, b),
                    tables.cell(f, a, h, c),
                    tables.cell(g, b, h, c),
                    &single[f][a],
                    &single[g][b],
                    &single[h][c],
                ];
                if around.iter().all(|c| judge.extends(&own, c)) {
                    found.offer(Some(score), beaten(node, c), &[(f, a), (g, b), (h, c)]);
                }
            }
        }
    }
    (counted, admitted)
}

/// A slice of SliceLine: features and bins, score, rows and sum of losses.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Features by position, ascending, and the bin of each.
    pub conditions: Vec<(usize, u8)>,
    /// SliceLine's score.
    pub score: f64,
    /// Rows.
    pub rows: u64,
    /// Mean loss.
    pub mean: f64,
}

/// The best slices of all rows by SliceLine's score, whichever features they share, and how many of three
/// conditions were counted, of those that two admit.
///
/// `columns` hold bins from 0; `weight` is SliceLine's alpha.
///
/// # Errors
/// Columns of other lengths, a loss that is negative or not finite, no row, or a weight that is not
/// between 0 and 1; [`Error::Interrupted`] when `stop` says so.
pub fn slices(
    columns: Vec<Vec<u8>>,
    losses: &[f64],
    (top, weight, min_rows): (usize, f64, u64),
    (depth, threads): (usize, usize),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(Vec<Slice>, (u64, u64))> {
    if columns.is_empty() || columns.iter().any(|c| c.len() != losses.len()) {
        return Err(Error::invalid(format!(
            "columns of {:?} rows for {} losses",
            columns.iter().map(Vec::len).collect::<Vec<_>>(),
            losses.len()
        )));
    }
    if !(weight > 0.0 && weight <= 1.0 && (1..=3).contains(&depth)) || top == 0 || min_rows == 0 {
        return Err(Error::invalid(format!(
            "alpha {weight}, {depth} levels, {top} slices of at least {min_rows} rows; accepted are alpha above 0 to 1, 1 to 3 levels, 1 or more"
        )));
    }
    if let Some(row) = losses.iter().position(|l| !(*l >= 0.0 && l.is_finite())) {
        return Err(Error::invalid(format!(
            "the loss of row {row} is {}; finite numbers from 0 are accepted",
            losses[row]
        )));
    }
    let largest = losses.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 || u32::try_from(losses.len()).is_err() {
        return Err(Error::invalid(format!(
            "{} losses of at most {largest}; one above 0, and at most {} are accepted",
            losses.len(),
            u32::MAX
        )));
    }
    let whole: Vec<u32> = losses
        .iter()
        .map(|l| libm::round(l / largest * STEPS) as u32)
        .collect();
    let bins = columns
        .iter()
        .map(|c| c.iter().max().map_or(0, |b| usize::from(*b) + 1));
    let half = Half {
        bins: bins.collect(),
        columns,
        losses: whole,
    };
    let total: u64 = half.losses.iter().map(|l| u64::from(*l)).sum();
    let judge = SliceLine {
        rows: losses.len() as f64,
        mean: total as f64 / losses.len() as f64,
        least: min_rows,
        weight,
    };
    let (found, counted) = search(&half, &judge, (depth, top, threads), true, stop)?;
    let slice = |c: Candidate| {
        let mut own = Cell::default();
        for (r, l) in half.losses.iter().enumerate() {
            if c.conditions().all(|(f, b)| half.columns[f][r] == b) {
                own.add(*l);
            }
        }
        Slice {
            conditions: c.conditions().collect(),
            score: c.score,
            rows: u64::from(own.count),
            mean: own.sum as f64 / f64::from(own.count) / STEPS * largest,
        }
    };
    Ok((found.into_iter().map(slice).collect(), counted))
}

/// Answers of `work` by index, whichever thread found them.
fn parallel<T: Send>(
    jobs: usize,
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
    work: &(dyn Fn(usize) -> T + Sync),
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut own = Vec::new();
        loop {
            let job = next.fetch_add(1, atomic::Ordering::Relaxed);
            if job >= jobs || stop() {
                return own;
            }
            own.push((job, work(job)));
        }
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let running: Vec<_> = (1..threads.min(jobs)).map(|_| scope.spawn(run)).collect();
        // Signals reach the thread that was called.
        let mut done = run();
        for thread in running {
            done.extend(thread.join().unwrap_or_default());
        }
        done
    });
    if done.len() < jobs || stop() {
        return Err(Error::Interrupted);
    }
    done.sort_unstable_by_key(|d| d.0);
    Ok(done.into_iter().map(|d| d.1).collect())
}

/// Candidates in order that are weak beyond those chosen before: by their rows outside them, against all
/// rows outside them. With rows and sum of each.
fn choose(
    half: &Half,
    rating: &Rating,
    candidates: BTreeSet<Candidate>,
    top: usize,
) -> Vec<(Candidate, u64, u64)> {
    let mut covered = vec![false; half.losses.len()];
    let mut left = rating.clone();
    let mut chosen = Vec::new();
    for candidate in candidates {
        if chosen.len() == top || left.rows < 2 * left.least {
            break;
        }
        let mut conditions = candidate.conditions();
        let Some((f, b)) = conditions.next() else {
            continue;
        };
        let codes = half.columns[f].iter().enumerate();
        let mut rows: Vec<usize> = codes.filter(|c| *c.1 == b).map(|c| c.0).collect();
        for (f, b) in conditions {
            rows.retain(|r| half.columns[f][*r] == b);
        }
        let (mut all, mut free) = (Cell::default(), Cell::default());
        for r in &rows {
            all.add(half.losses[*r]);
            if !covered[*r] {
                free.add(half.losses[*r]);
            }
        }
        let own = left.score(u64::from(free.count), free.sum);
        if own.is_none_or(|s| s <= 0.0) {
            continue;
        }
        for r in rows {
            covered[r] = true;
        }
        // The spread stays that of all rows, for fewer of them.
        let before = left.rows as f64;
        left.rows -= u64::from(free.count);
        left.total -= free.sum;
        left.spread *= libm::sqrt(left.rows as f64 / before);
        chosen.push((candidate, u64::from(all.count), all.sum));
    }
    chosen
}

/// The half that was held out.
struct Measure<'a> {
    losses: &'a [f64],
    rows: &'a [usize],
    blocks: Option<&'a [u32]>,
    all: Sums,
    by_block: BTreeMap<u32, Sums>,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    count: u64,
    sum: Sum,
    squares: SumOfSquares,
}

impl Sums {
    fn of(values: &[f64]) -> Self {
        let mut made = Sums {
            count: values.len() as u64,
            ..Sums::default()
        };
        for part in values.chunks(BLOCK) {
            add_block(&mut made.sum, part);
            add_squares(&mut made.squares, part);
        }
        made
    }

    fn without(&self, part: &Sums) -> Self {
        let mut rest = self.clone();
        rest.count -= part.count;
        rest.sum.subtract_sum(&part.sum);
        rest.squares.subtract_sum(&part.squares);
        rest
    }

    fn mean(&self) -> f64 {
        self.sum.divided_by(self.count)
    }

    fn variance(&self) -> f64 {
        variance(&self.sum, &self.squares, self.count)
    }

    /// Sum of the deviations from `mean`, the sum itself exact.
    fn deviation(&self, mean: f64) -> f64 {
        let mut exact = self.sum.clone();
        let mut centre = Sum::new();
        centre.add_f64(mean, self.count);
        exact.subtract_sum(&centre);
        exact.to_f64()
    }
}

impl<'a> Measure<'a> {
    fn new(losses: &'a [f64], rows: &'a [usize], blocks: Option<&'a [u32]>) -> Self {
        let mut made = Measure {
            losses,
            rows,
            blocks,
            all: Sums::default(),
            by_block: BTreeMap::new(),
        };
        made.all = made.sums(&|_| true);
        made.by_block = made.blocked(&|_| true);
        made
    }

    fn sums(&self, inside: &dyn Fn(usize) -> bool) -> Sums {
        let rows = self.rows.iter().filter(|r| inside(**r));
        Sums::of(&rows.map(|r| self.losses[*r]).collect::<Vec<_>>())
    }

    fn blocked(&self, inside: &dyn Fn(usize) -> bool) -> BTreeMap<u32, Sums> {
        let Some(blocks) = self.blocks else {
            return BTreeMap::new();
        };
        let mut values: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for r in self.rows.iter().filter(|r| inside(**r)) {
            values.entry(blocks[*r]).or_default().push(self.losses[*r]);
        }
        values.into_iter().map(|(b, v)| (b, Sums::of(&v))).collect()
    }

    /// Means, difference, interval and p of a segment; what the search knows is left empty.
    fn segment(&self, inside: &dyn Fn(usize) -> bool, alpha: f64) -> Segment {
        let own = self.sums(inside);
        let rest = self.all.without(&own);
        let means = (own.mean(), rest.mean());
        let value = means.0 - means.1;
        let (mut variance, mut df) = between_rows(&own, &rest);
        let mut units = (own.count, rest.count);
        if self.blocks.is_some() {
            let (of_blocks, degrees, count) =
                self.between_blocks(&self.blocked(inside), (&own, &rest));
            // Few blocks may agree by chance; they never make rows more than independent.
            variance = variance.max(of_blocks);
            (df, units) = (degrees, count);
        }
        let error = libm::sqrt(variance);
        let known = df >= 1.0 && error > 0.0 && value.is_finite();
        let two_sided = known.then(|| student_two_sided(value / error, df));
        let margin = student_two_sided_isf(alpha, df) * error;
        Segment {
            conditions: Vec::new(),
            score: f64::NAN,
            searched_difference: f64::NAN,
            searched_rows: 0,
            rows: (own.count, rest.count),
            units,
            means,
            value,
            ci: known.then_some((value - margin, value + margin)),
            pvalue: two_sided.map(|p| if value > 0.0 { 0.5 * p } else { 1.0 - 0.5 * p }),
        }
    }

    /// Linearised variance of a difference of means over whole blocks; degrees of freedom are one less
    /// than the blocks on the side with fewer of them, since only those tell how that side varies.
    fn between_blocks(
        &self,
        own: &BTreeMap<u32, Sums>,
        sides: (&Sums, &Sums),
    ) -> (f64, f64, (u64, u64)) {
        let (mean, mean_rest) = (sides.0.mean(), sides.1.mean());
        let (n, n_rest) = (sides.0.count as f64, sides.1.count as f64);
        let nothing = Sums::default();
        let mut outside = 0;
        let mut squares = 0.0;
        for (block, all) in &self.by_block {
            let inner = own.get(block).unwrap_or(&nothing);
            let outer = all.without(inner);
            outside += u64::from(outer.count > 0);
            let move_own = inner.deviation(mean) / n;
            let move_rest = outer.deviation(mean_rest) / n_rest;
            squares += (move_own - move_rest) * (move_own - move_rest);
        }
        let units = (own.len() as u64, outside);
        let count = units.0.min(units.1) as f64;
        (squares * count / (count - 1.0), count - 1.0, units)
    }
}

/// The larger of Welch's variance of the difference and that of one variance for both sides, with its
/// degrees of freedom. Welch's alone is too small where the segment holds, by chance, one value only.
fn between_rows(own: &Sums, rest: &Sums) -> (f64, f64) {
    if own.count < 2 || rest.count < 2 {
        return (f64::NAN, f64::NAN);
    }
    let (n, m) = (own.count as f64, rest.count as f64);
    let (v, w) = (own.variance(), rest.variance());
    let (a, b) = (v / n, w / m);
    let pooled = ((n - 1.0) * v + (m - 1.0) * w) / (n + m - 2.0) * (1.0 / n + 1.0 / m);
    if pooled > a + b {
        (pooled, n + m - 2.0)
    } else {
        let df = (a + b) * (a + b) / (a * a / (n - 1.0) + b * b / (m - 1.0));
        (a + b, df)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joint::random::Stream;

    const NEVER: &(dyn Fn() -> bool + Sync) = &|| false;

    fn options() -> Options {
        Options {
            depth: 3,
            bins: 4,
            min_rows: 5,
            top: 5,
            alpha: 0.05,
            penalty: 1.0,
            seed: 1,
            threads: 1,
        }
    }

    fn random_half(seed: u64, rows: usize, features: usize) -> Half {
        let mut random = Stream::new(seed, "segments", 0);
        let bins: Vec<usize> = (0..features)
            .map(|_| 2 + random.below(3) as usize)
            .collect();
        let columns: Vec<Vec<u8>> = bins
            .iter()
            .map(|b| (0..rows).map(|_| random.below(*b as u64) as u8).collect())
            .collect();
        let skew = seed % 3;
        let losses = (0..rows)
            .map(|r| {
                let weak = columns[0][r] == 0 && columns[features - 1][r] == 1;
                let plain = random.below(1 << 20) as u32;
                match skew {
                    0 => u32::from(random.below(4) == 0 || (weak && random.below(2) == 0)) << 31,
                    1 => plain,
                    _ => plain + u32::from(random.below(60) == 0) * (1 << 30),
                }
            })
            .collect();
        Half {
            columns,
            bins,
            losses,
        }
    }

    /// Every conjunction, row by row: nothing of `search` is used but the score.
    fn exhaustive(half: &Half, rating: &Rating, limit: usize) -> Vec<Candidate> {
        let features = half.columns.len();
        let rows = |parts: &[(usize, usize)]| {
            let (mut count, mut sum) = (0_u64, 0_u64);
            for r in 0..half.losses.len() {
                if parts
                    .iter()
                    .all(|(f, b)| usize::from(half.columns[*f][r]) == *b)
                {
                    count += 1;
                    sum += u64::from(half.losses[r]);
                }
            }
            (count, sum)
        };
        let score = |parts: &[(usize, usize)]| {
            let (count, sum) = rows(parts);
            rating.score(count, sum)
        };
        // Means in floats, of rows and of all other rows.
        let (n, total) = (rating.rows as f64, rating.total as f64);
        let difference = |k: u64, s: u64| s as f64 / k as f64 - (total - s as f64) / (n - k as f64);
        let mut parts: Vec<Vec<(usize, usize)>> = vec![vec![]];
        for f in 0..features {
            for known in parts.clone() {
                for b in 0..half.bins[f] {
                    if known.len() < 3 {
                        parts.push(known.iter().copied().chain([(f, b)]).collect());
                    }
                }
            }
        }
        let mut all = BTreeSet::new();
        for part in parts.iter().filter(|p| !p.is_empty()) {
            let (mut above, mut more): (f64, bool) = (0.0, true);
            let own = rows(part);
            for mask in 1..(1 << part.len()) - 1 {
                let some: Vec<_> = (0..part.len())
                    .filter(|i| mask >> i & 1 == 1)
                    .map(|i| part[i])
                    .collect();
                above = above.max(score(&some).unwrap_or(0.0));
                let around = rows(&some);
                if own.0 > 0 && around.0 > own.0 {
                    let dropped = difference(around.0 - own.0, around.1 - own.1);
                    more &= 2.0 * dropped < difference(own.0, own.1);
                }
            }
            if let Some(s) = score(part).filter(|s| *s > above && more) {
                all.insert(Candidate::new(s, part));
            }
        }
        all.into_iter().take(limit).collect()
    }

    #[test]
    fn the_bounded_search_is_the_exhaustive_one() {
        let (mut counted, mut admitted) = (0, 0);
        for seed in 0..30 {
            let half = random_half(seed, 300, 5);
            for (penalty, top) in [(0.0, 1), (1.0, 1), (2.0, 5)] {
                let own = Options {
                    penalty,
                    top,
                    ..options()
                };
                let rating = Rating::new(&half.losses, &own, 1.0);
                let sizes = (3, KEPT * top, 1);
                let (found, visited) = search(&half, &rating, sizes, true, NEVER).unwrap();
                let expected = exhaustive(&half, &rating, KEPT * top);
                assert_eq!(
                    found.into_iter().collect::<Vec<_>>(),
                    expected,
                    "{seed} {penalty}"
                );
                let (_, all) = search(&half, &rating, sizes, false, NEVER).unwrap();
                assert_eq!((all.0, all.1), (visited.1, visited.1));
                counted += visited.0;
                admitted += visited.1;
            }
        }
        // These halves are small and their bounds weak; it prunes all the same.
        assert!(counted < admitted, "{counted} of {admitted}");
    }

    #[test]
    fn slices_are_the_best_of_the_whole_lattice() {
        let (mut counted, mut admitted) = (0, 0);
        for seed in 0..20 {
            let half = random_half(100 + seed, 400, 6);
            let losses: Vec<f64> = half.losses.iter().map(|l| f64::from(*l)).collect();
            let mean = losses.iter().sum::<f64>() / 400.0;
            for (top, weight) in [(4, 0.95), (1, 0.8), (10, 0.99)] {
                let (found, visited) = slices(
                    half.columns.clone(),
                    &losses,
                    (top, weight, 8),
                    (3, 2),
                    NEVER,
                )
                .unwrap();
                let mut all: Vec<f64> = Vec::new();
                let mut parts: Vec<Vec<(usize, u8)>> = vec![vec![]];
                for f in 0..6 {
                    for known in parts.clone().into_iter().filter(|p| p.len() < 3) {
                        let bins = 0..half.bins[f] as u8;
                        parts.extend(bins.map(|b| [&known[..], &[(f, b)]].concat()));
                    }
                }
                for part in parts.iter().filter(|p| !p.is_empty()) {
                    let rows: Vec<usize> = (0..400)
                        .filter(|r| part.iter().all(|(f, b)| half.columns[*f][*r] == *b))
                        .collect();
                    let sum: f64 = rows.iter().map(|r| losses[*r]).sum();
                    let k = rows.len() as f64;
                    let score =
                        weight * (sum / k / mean - 1.0) - (1.0 - weight) * (400.0 / k - 1.0);
                    if rows.len() >= 8 && score > 0.0 {
                        all.push(score);
                    }
                }
                all.sort_by(|a, b| b.total_cmp(a));
                assert_eq!(found.len(), all.len().min(top));
                for (s, expected) in found.iter().zip(&all) {
                    // Losses are integers of 31 bits.
                    assert!((s.score - expected).abs() < 1e-7, "{seed} {top} {weight}");
                }
                counted += visited.0;
                admitted += visited.1;
            }
        }
        assert!(counted < admitted, "{counted} of {admitted}");
        let one = |losses: &[f64]| slices(vec![vec![0, 1]], losses, (1, 0.5, 1), (1, 1), NEVER);
        assert!(one(&[1.0, -1.0]).is_err());
        assert!(one(&[0.0, 0.0]).is_err());
        assert!(one(&[1.0]).is_err());
    }

    /// Over all sets of rows of one cell, not those that are segments alone: the worst that could be.
    #[test]
    fn no_part_of_a_cell_scores_more_than_its_bound() {
        let mut random = Stream::new(3, "bound", 0);
        for trial in 0..2000 {
            let n = 20 + random.below(60) as usize;
            let top = [1, 100, 1 << 31][trial % 3];
            let mut losses: Vec<u32> = (0..n).map(|_| random.below(top + 1) as u32).collect();
            let own = Options {
                min_rows: 2 + random.below(5) as usize,
                penalty: random.below(4) as f64,
                ..options()
            };
            let rating = Rating::new(&losses, &own, 1.0);
            losses.truncate(1 + random.below(n as u64) as usize);
            let mut cell = Cell::default();
            losses.iter().for_each(|l| cell.add(*l));
            // For each number of rows the largest losses score most.
            losses.sort_unstable_by(|a, b| b.cmp(a));
            let mut sum = 0;
            for (k, l) in losses.iter().enumerate() {
                sum += u64::from(*l);
                if let Some(score) = rating.score(k as u64 + 1, sum) {
                    assert!(score <= rating.bound(&cell), "{trial}: {score} of {cell:?}");
                }
            }
        }
    }

    #[test]
    fn order_and_threads_change_nothing() {
        let n = 2000;
        let mut random = Stream::new(5, "order", 0);
        let x: Vec<f64> = (0..n)
            .map(|_| match random.below(20) {
                0 => f64::NAN,
                1 => 0.0,
                _ => random.normal(),
            })
            .collect();
        let c: Vec<u32> = (0..n).map(|_| random.below(3) as u32).collect();
        let d: Vec<u32> = (0..n).map(|_| random.below(3) as u32).collect();
        let losses: Vec<f64> = (0..n)
            .map(|r| 0.1 * random.normal() + f64::from(u8::from(c[r] == 1 && x[r] > 0.5)))
            .collect();
        let table = |order: &[usize]| {
            let features = vec![
                (
                    "x".into(),
                    Column::Numbers(order.iter().map(|r| x[*r]).collect()),
                ),
                (
                    "c".into(),
                    Column::Codes(order.iter().map(|r| c[*r]).collect()),
                ),
                (
                    "d".into(),
                    Column::Codes(order.iter().map(|r| d[*r]).collect()),
                ),
            ];
            let losses: Vec<f64> = order.iter().map(|r| losses[*r]).collect();
            (features, losses)
        };
        let forward: Vec<usize> = (0..n).collect();
        let backward: Vec<usize> = (0..n).rev().collect();
        let (features, l) = table(&forward);
        let base = find(&features, &l, None, &options(), NEVER).unwrap();
        assert!(base.segments[0].pvalue.unwrap() < 1e-6);
        assert_eq!(base.segments[0].conditions[1], (1, Bin::Code(1)));
        let own = Options {
            threads: 8,
            ..options()
        };
        assert_eq!(find(&features, &l, None, &own, NEVER).unwrap(), base);
        let (features, l) = table(&backward);
        let turned = find(&features, &l, None, &options(), NEVER).unwrap();
        assert_eq!(turned.segments, base.segments);
    }

    #[test]
    fn bins_hold_every_value() {
        let made = bin_numbers(&[0.0, -0.0, f64::NAN, 5.0, f64::INFINITY], 3);
        assert_eq!(made.codes, [0, 0, 3, 1, 2]);
        let tied: Vec<f64> = (0..100).map(|i| f64::from(i.max(60))).collect();
        let made = bin_numbers(&tied, 4);
        let range = |low, high| Bin::Range { low, high };
        assert_eq!(
            made.bins,
            [range(None, Some(75.0)), range(Some(75.0), None)]
        );
        assert_eq!(made.codes[74..76], [0, 1]);
        let made = bin_codes(&[7, 7, 7, 2, MISSING, 3], 2);
        assert_eq!(made.codes, [0, 0, 0, 1, 2, 1]);
        assert_eq!(
            made.bins,
            [Bin::Code(7), Bin::Rare { values: 2 }, Bin::Missing]
        );
    }

    #[test]
    fn losses_of_any_size_have_a_segment_or_none() {
        let codes: Vec<u32> = (0..400).map(|r| r % 4).collect();
        let features = [("c".to_owned(), Column::Codes(codes.clone()))];
        let same = find(&features, &[3.0; 400], None, &options(), NEVER).unwrap();
        assert!(same.segments.is_empty());
        let wide: Vec<f64> = codes
            .iter()
            .map(|c| if *c == 2 { f64::MAX } else { -f64::MAX })
            .collect();
        let found = find(&features, &wide, None, &options(), NEVER).unwrap();
        assert_eq!(found.segments[0].conditions, [(0, Bin::Code(2))]);
        let bad = find(&features, &[f64::INFINITY; 400], None, &options(), NEVER);
        assert!(bad.unwrap_err().to_string().contains("row 0 is inf"));
    }
}
