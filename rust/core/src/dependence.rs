//! Sampling error of dependent rows, from blocks taken as independent units.
//!
//! Logged rows resemble their neighbours in time, so `n` rows are worth far fewer. Shares are ratio
//! estimators over blocks (Cochran 1977, section 11.7): with `r_b = y_b - p n_b`, the covariance of
//! the shares of a sample of `B` blocks is `B / (B - 1) sum_b r_b r_b' / n^2`. Chi-square statistics
//! are corrected to second order (Rao and Scott 1981; Thomas and Rao 1987): the mean design effect
//! scales the statistic, Satterthwaite's degrees of freedom and those of the blocks give an F
//! distribution. A current sample of fewer than two blocks has no error of its own to estimate: it
//! takes that of one reference block, as the reference blocks left out in turn would show.
//!
//! Rows with sampling weights are blocks of one row each: with sums of squared weights by cell, the
//! same covariance is `sum_j S_j (1_j - p)(1_j - p)' / (sum w)^2`, whatever the number of rows.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::pair::{Part, Side};
use crate::special::fisher_sf;
use crate::states::blocks::Blocks;

/// Label of samples whose rows are independent, but weigh differently.
pub const WEIGHTS: &str = "weights";

/// Rows of one sample by block and cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Blocks, each with its rows by cell.
    blocks: Vec<Vec<f64>>,
    /// How often the square of each block counts; once each where empty.
    times: Vec<f64>,
    /// Rows by cell.
    totals: Vec<f64>,
    /// Blocks that the errors come from: their number, or the rows of equal weight they are worth.
    clusters: f64,
    /// Sum of the finite values of each block about a centre common to both samples.
    sums: Vec<f64>,
    /// Variance of the mean where it is known beside the blocks.
    variance_of_mean: Option<f64>,
    /// Rows of equal weight that a row counted here is worth.
    worth: f64,
}

impl Sample {
    /// From the state; `unit` turns sums into the unit of the column, and a row counted is worth
    /// `worth` rows of equal weight.
    pub fn new(blocks: &Blocks, unit: f64, worth: f64) -> Self {
        let counts = |c: &Vec<u64>| c.iter().map(|c| *c as f64).collect();
        Self::of(
            blocks.iter().map(|(_, b)| counts(&b.counts)).collect(),
            blocks.iter().map(|(_, b)| b.sum.to_f64() * unit).collect(),
            worth,
        )
    }

    fn of(blocks: Vec<Vec<f64>>, sums: Vec<f64>, worth: f64) -> Self {
        let mut totals = vec![0.0; blocks.first().map_or(0, Vec::len)];
        for block in &blocks {
            totals.iter_mut().zip(block).for_each(|(t, c)| *t += c);
        }
        Sample {
            clusters: blocks.len() as f64,
            blocks,
            times: Vec::new(),
            totals,
            sums,
            variance_of_mean: None,
            worth,
        }
    }

    /// Rows of unequal weights, each a block of its own, from units and squared units by cell.
    pub fn weighed(units: &[u64], squares: Vec<f64>, side: &Side) -> Self {
        let cell = |i: usize| {
            (0..units.len())
                .map(|j| f64::from(u8::from(i == j)))
                .collect()
        };
        Sample {
            blocks: (0..units.len()).map(cell).collect(),
            times: squares,
            totals: units.iter().map(|n| *n as f64).collect(),
            clusters: side.worth(Part::All),
            sums: Vec::new(),
            variance_of_mean: Some(side.variance_of_mean()),
            worth: side.worth(Part::All) / side.rows as f64,
        }
    }

    /// Number of blocks, or rows of equal weight that as many blocks of one row are worth.
    pub fn clusters(&self) -> f64 {
        self.clusters
    }

    /// Cells of a block.
    pub fn cells(&self) -> usize {
        self.totals.len()
    }

    /// How often the square of a block counts.
    fn times(&self, block: usize) -> f64 {
        self.times.get(block).copied().unwrap_or(1.0)
    }

    /// Weighted sum of squares over the blocks.
    fn squares(&self, residuals: impl Iterator<Item = f64>) -> f64 {
        crate::statistics::sum(residuals.enumerate().map(|(b, r)| self.times(b) * (r * r)))
    }

    /// `B / (B - 1) / n^2`.
    fn scale(&self, n: f64) -> f64 {
        let b = self.clusters;
        b / (b - 1.0) / (n * n)
    }

    /// Totals of a quantity of each block.
    fn each(&self, of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        self.blocks.iter().map(|b| of(b)).collect()
    }
}

/// What the cells of a block are.
#[derive(Debug, Clone, PartialEq)]
pub enum Layout {
    /// Ordered cells, each with its coarse cell; then missing, -inf and +inf.
    Ordered(Vec<u32>),
    /// This many cells of known categories; then all other values, and missing.
    Categories(usize),
}

impl Layout {
    fn values(&self) -> usize {
        match self {
            Layout::Ordered(coarse) => coarse.len(),
            Layout::Categories(n) => *n,
        }
    }

    /// Cells that hold a missing row.
    fn missing(&self) -> usize {
        match self {
            Layout::Ordered(coarse) => coarse.len(),
            Layout::Categories(n) => n + 1,
        }
    }
}

/// Both samples of a column by block.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocked {
    /// `block:` and the length of a block or the key.
    pub label: Arc<str>,
    /// What the cells are.
    pub layout: Layout,
    /// The reference; at least two blocks.
    pub reference: Sample,
    /// The current sample.
    pub current: Sample,
    designs: Designs,
}

/// What several statistics of one pair ask for, found once.
#[derive(Debug, Clone, PartialEq, Default)]
struct Designs {
    distribution: OnceLock<Option<Design>>,
    /// Without and with missing rows as a cell.
    homogeneity: [OnceLock<Option<Design>>; 2],
}

/// What dependence does to an estimate of both samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// Variance over that of as many independent rows: reference, current.
    pub effect: (f64, f64),
    /// Degrees of freedom of the variance (Welch and Satterthwaite over both samples).
    pub df: f64,
    /// Satterthwaite's degrees of freedom of a quadratic form, over those of its rank.
    pub spread: f64,
    /// p-value of the test of homogeneity; 1 for designs of a single share.
    pub pvalue: f64,
}

/// Variance of an estimate of each side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variances {
    /// Of the reference.
    pub reference: f64,
    /// Of the current sample.
    pub current: f64,
    /// Degrees of freedom of their sum.
    pub df: f64,
}

/// Cells below this share of both samples are pooled before a test of homogeneity, unless nothing
/// would be left to compare: what is met in few blocks has no covariance to speak of.
const RARE: f64 = 0.01;

impl Blocked {
    /// Both samples on one layout; the reference has at least two blocks.
    pub fn new(label: Arc<str>, layout: Layout, reference: Sample, current: Sample) -> Self {
        Self {
            label,
            layout,
            reference,
            current,
            designs: Designs::default(),
        }
    }

    /// Whether the current sample has too few blocks for an error of its own.
    pub fn is_borrowed(&self) -> bool {
        self.current.clusters < 2.0
    }

    /// Welch and Satterthwaite's degrees of freedom of the sum of two variances.
    fn df(&self, reference: f64, current: f64) -> f64 {
        let own = self.reference.clusters - 1.0;
        if self.is_borrowed() {
            return own;
        }
        let (r, c) = (reference.max(0.0), current.max(0.0));
        let sum = r + c;
        if sum <= 0.0 {
            return own;
        }
        let (r, c) = (r / sum, c / sum);
        1.0 / (r * r / own + c * c / (self.current.clusters - 1.0))
    }

    /// Sums of squared residuals of `y - p n` over the blocks of each side, scaled to variances of
    /// the share `p`.
    fn variances(&self, part: impl Fn(&[f64]) -> f64, whole: impl Fn(&[f64]) -> f64) -> Variances {
        let of = |s: &Sample| {
            let (y, n) = (s.each(&part), s.each(&whole));
            let all = whole(&s.totals);
            let p = part(&s.totals) / all;
            s.scale(all) * s.squares(y.iter().zip(&n).map(|(y, n)| y - p * n))
        };
        self.combine(of)
    }

    fn combine(&self, of: impl Fn(&Sample) -> f64) -> Variances {
        let reference = of(&self.reference);
        let current = if self.is_borrowed() {
            reference * self.borrowed()
        } else {
            of(&self.current)
        };
        Variances {
            reference,
            current,
            df: self.df(reference, current),
        }
    }

    /// Variance of the current sample's single block in units of the reference's.
    fn borrowed(&self) -> f64 {
        self.reference.clusters / self.current.clusters.max(1.0)
    }

    /// Design of a share: rows of the cells `part` among the cells `whole` (all rows by default).
    /// None where neither sample has any or both have nothing else.
    fn share(&self, part: impl Fn(usize) -> bool, whole: impl Fn(usize) -> bool) -> Option<Design> {
        let sum = |of: &dyn Fn(usize) -> bool, b: &[f64]| {
            b.iter()
                .enumerate()
                .filter(|(i, _)| of(*i))
                .map(|(_, c)| *c)
                .sum::<f64>()
        };
        let v = self.variances(|b| sum(&part, b), |b| sum(&whole, b));
        let rows = |s: &Sample| (sum(&part, &s.totals), sum(&whole, &s.totals));
        let ((y, n), (z, m)) = (rows(&self.reference), rows(&self.current));
        let independent = |y: f64, n: f64| {
            let p = y / n;
            p * (1.0 - p) / n
        };
        // Where a side has none (or nothing else), the effect is that of the other side.
        let own = |v: f64, i: f64| (i > 0.0 && v > 0.0).then(|| v / i);
        let reference = own(v.reference, independent(y, n));
        let current = match self.is_borrowed() {
            true => own(v.reference * self.borrowed(), independent(y, n) * n / m),
            false => own(v.current, independent(z, m)),
        };
        let effect = match (reference, current) {
            (Some(r), Some(c)) => (r, c),
            (Some(r), None) => (r, r),
            (None, Some(c)) => (c, c),
            (None, None) => return None,
        };
        Some(Design {
            effect,
            df: v.df,
            spread: 1.0,
            pvalue: 1.0,
        })
    }

    /// Design of the share of missing rows.
    pub fn missing(&self) -> Option<Design> {
        let at = self.layout.missing();
        self.share(|i| i == at, |_| true)
    }

    /// Design of the share of infinite rows.
    pub fn infinite(&self) -> Option<Design> {
        let missing = self.layout.missing();
        match self.layout {
            Layout::Ordered(_) => self.share(|i| i > missing, |_| true),
            Layout::Categories(_) => None,
        }
    }

    /// Design of the share of values outside the dictionary, or outside the reference's range.
    pub fn outside(&self) -> Option<Design> {
        let missing = self.layout.missing();
        match &self.layout {
            Layout::Categories(n) => self.share(|i| i == *n, |i| i != missing),
            Layout::Ordered(coarse) => {
                let last = coarse.len().saturating_sub(1);
                let held = |i: usize| self.reference.totals.get(i).is_some_and(|t| *t > 0.0);
                let infinite = |i: usize| i > missing && !held(i);
                self.share(|i| i == 0 || i == last || infinite(i), |i| i != missing)
            }
        }
    }

    /// Variances of a statistic linear in the shares of the coarse cells or categories: each side's rows
    /// score what `gradient` gives for the coarse cell, where it is one, and the shares of their cell
    /// (reference, current).
    pub fn linear(
        &self,
        missing: bool,
        gradient: impl Fn(Option<u32>, f64, f64) -> (f64, f64),
    ) -> Variances {
        let at = self.layout.missing();
        let kept = |i: usize| missing || i != at;
        let key = |i: usize| match &self.layout {
            Layout::Ordered(coarse) if i < coarse.len() => coarse[i] as usize,
            // Behind every coarse cell.
            _ => usize::MAX / 2 + i,
        };
        let mut totals: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        let (mut n, mut m) = (0.0, 0.0);
        for i in (0..self.reference.cells()).filter(|i| kept(*i)) {
            let (a, b) = (self.reference.totals[i], self.current.totals[i]);
            let total = totals.entry(key(i)).or_default();
            *total = (total.0 + a, total.1 + b);
            (n, m) = (n + a, m + b);
        }
        let scores: Vec<(f64, f64)> = (0..self.reference.cells())
            .map(|i| {
                let (a, b) = totals.get(&key(i)).copied().unwrap_or_default();
                if kept(i) && a + b > 0.0 {
                    let coarse = match &self.layout {
                        Layout::Ordered(coarse) => coarse.get(i).copied(),
                        Layout::Categories(_) => None,
                    };
                    gradient(coarse, a / n, b / m)
                } else {
                    (0.0, 0.0)
                }
            })
            .collect();
        let of = |s: &Sample, score: &dyn Fn(usize) -> f64| {
            let rows = |b: &[f64]| {
                let held = b.iter().enumerate().filter(|(i, _)| kept(*i));
                held.map(|(_, c)| *c).sum::<f64>()
            };
            let sum = |b: &[f64]| {
                let held = b.iter().enumerate().filter(|(_, c)| **c > 0.0);
                held.map(|(i, c)| score(i) * c).sum::<f64>()
            };
            let all = rows(&s.totals);
            let mean = sum(&s.totals) / all;
            let residuals = s.blocks.iter().map(|b| sum(b) - mean * rows(b));
            s.scale(all) * s.squares(residuals)
        };
        let reference = of(&self.reference, &|i| scores[i].0);
        let current = if self.is_borrowed() {
            // The current side's scores over the reference's blocks.
            of(&self.reference, &|i| scores[i].1) * self.borrowed()
        } else {
            of(&self.current, &|i| scores[i].1)
        };
        Variances {
            reference,
            current,
            df: self.df(reference, current),
        }
    }

    /// Variance of the difference of the shares of one coarse cell; none of categories.
    pub fn coarse(&self, missing: bool, cell: u32) -> Option<f64> {
        if !matches!(self.layout, Layout::Ordered(_)) {
            return None;
        }
        let v = self.linear(missing, |own, _, _| {
            let score = f64::from(u8::from(own == Some(cell)));
            (score, score)
        });
        Some(v.reference + v.current)
    }

    /// Design effects of the mean score of ordered rows, each of which scores what its coarse cell does.
    /// None where the scores do not vary.
    pub fn effect(&self, score: impl Fn(u32) -> f64) -> Option<(f64, f64)> {
        let Layout::Ordered(coarse) = &self.layout else {
            return None;
        };
        let v = self.linear(false, |cell, _, _| {
            let score = cell.map_or(0.0, &score);
            (score, score)
        });
        let independent = |s: &Sample| {
            let (mut n, mut first, mut second) = (0.0, 0.0, 0.0);
            for (rows, cell) in s.totals.iter().zip(coarse) {
                let a = score(*cell);
                n += rows;
                first += rows * a;
                second += rows * a * a;
            }
            (second / n - (first / n) * (first / n)) / n
        };
        let (a, b) = (independent(&self.reference), independent(&self.current));
        // Rows of a single coarse cell have one score, and what is left is rounding.
        let scores = coarse.iter().map(|cell| score(*cell).abs());
        let largest = scores.fold(0.0, f64::max);
        let varies = |s: &Sample, v: f64| {
            let n: f64 = s.totals.iter().take(coarse.len()).sum();
            v * n > 1e-9 * largest * largest
        };
        let both = varies(&self.reference, a) && varies(&self.current, b);
        both.then(|| (v.reference / a, v.current / b))
    }

    /// Variances of both means of finite values.
    pub fn means(&self) -> Variances {
        let values = self.layout.values();
        self.combine(|s| {
            if let Some(variance) = s.variance_of_mean {
                return variance;
            }
            let n = s.each(|b| b[..values].iter().sum());
            let all = n.iter().sum::<f64>();
            let mean = s.sums.iter().sum::<f64>() / all;
            s.scale(all) * s.squares(s.sums.iter().zip(&n).map(|(y, n)| y - mean * n))
        })
    }

    /// Design of the distribution function: the effects where the variance of the difference is
    /// largest, against that of independent rows where theirs is (a quarter).
    pub fn distribution(&self) -> Option<Design> {
        let found = &self.designs.distribution;
        *found.get_or_init(|| self.find_distribution())
    }

    fn find_distribution(&self) -> Option<Design> {
        let Layout::Ordered(coarse) = &self.layout else {
            return None;
        };
        let k = coarse.len();
        // -inf, the cells, +inf.
        let ordered = |b: &[f64]| b.iter().sum::<f64>() - b[k];
        let (n, m) = (
            ordered(&self.reference.totals),
            ordered(&self.current.totals),
        );
        // Variance of the share of rows below each edge.
        let variances = |s: &Sample| -> Vec<f64> {
            let rows = s.each(ordered);
            let total = ordered(&s.totals);
            let scale = s.scale(total);
            let mut below = s.each(|b| b[k + 1]);
            let mut all = s.totals[k + 1];
            let mut at = |edge: usize| {
                if edge > 0 {
                    all += s.totals[edge - 1];
                    for (sum, b) in below.iter_mut().zip(&s.blocks) {
                        *sum += b[edge - 1];
                    }
                }
                let p = all / total;
                let squares = below.iter().zip(&rows).enumerate().map(|(b, (y, n))| {
                    let r = y - p * n;
                    s.times(b) * (r * r)
                });
                scale * squares.sum::<f64>()
            };
            (0..=k).map(&mut at).collect()
        };
        let reference = variances(&self.reference);
        let current = if self.is_borrowed() {
            reference.iter().map(|v| v * self.borrowed()).collect()
        } else {
            variances(&self.current)
        };
        let mut worst: Option<Variances> = None;
        for (reference, current) in reference.into_iter().zip(current) {
            if worst.is_none_or(|w| reference + current > w.reference + w.current) {
                worst = Some(Variances {
                    reference,
                    current,
                    df: self.df(reference, current),
                });
            }
        }
        let w = worst.filter(|w| w.reference + w.current > 0.0)?;
        Some(Design {
            effect: (4.0 * w.reference * n, 4.0 * w.current * m),
            df: w.df,
            spread: 1.0,
            pvalue: 1.0,
        })
    }

    /// Design of a test of homogeneity on the coarse cells or categories, with or without missing
    /// rows as a cell; rare cells are pooled. None where the samples have fewer than two cells.
    pub fn homogeneity(&self, missing: bool) -> Option<Design> {
        let found = &self.designs.homogeneity[usize::from(missing)];
        *found.get_or_init(|| self.find_homogeneity(missing))
    }

    fn find_homogeneity(&self, missing: bool) -> Option<Design> {
        let (k, groups) = self.groups(missing);
        if k < 2 {
            return None;
        }
        let grouped = |b: &[f64]| -> Vec<f64> {
            let mut row = vec![0.0; k];
            for (c, g) in b.iter().zip(&groups) {
                if let Some(g) = g {
                    row[*g] += *c;
                }
            }
            row
        };
        let (ta, tb) = (
            grouped(&self.reference.totals),
            grouped(&self.current.totals),
        );
        let (n, m): (f64, f64) = (ta.iter().sum(), tb.iter().sum());
        let (u, v) = (self.reference.worth, self.current.worth);
        let pooled: Vec<f64> = ta
            .iter()
            .zip(&tb)
            .map(|(x, y)| (u * x + v * y) / (u * n + v * m))
            .collect();
        let covariance = |s: &Sample, total: &[f64], n: f64| -> Vec<f64> {
            let scale = s.scale(n);
            let mut out = vec![0.0; k * k];
            let mut residual = vec![0.0; k];
            for (at, block) in s.blocks.iter().enumerate() {
                let (row, scale) = (grouped(block), scale * s.times(at));
                let size: f64 = row.iter().sum();
                for j in 0..k {
                    // In units where independent rows have the identity (up to rank one).
                    residual[j] = (row[j] - total[j] / n * size) / libm::sqrt(pooled[j]);
                }
                for i in 0..k {
                    for j in 0..k {
                        out[i * k + j] += residual[i] * residual[j] * scale;
                    }
                }
            }
            out
        };
        let va = covariance(&self.reference, &ta, n);
        let vb = if self.is_borrowed() {
            va.iter().map(|v| v * self.borrowed()).collect()
        } else {
            covariance(&self.current, &tb, m)
        };
        let trace = |v: &[f64]| (0..k).map(|j| v[j * k + j]).sum::<f64>();
        let (sa, sb) = (trace(&va), trace(&vb));
        let squares: f64 = va.iter().zip(&vb).map(|(x, y)| (x + y) * (x + y)).sum();
        if !(sa + sb > 0.0 && squares > 0.0) {
            return None;
        }
        let rank = (k - 1) as f64;
        // Pearson's statistic over 1/n + 1/m: its mean is the trace, whatever the dependence.
        let distance = crate::statistics::sum((0..k).map(|j| {
            let d = ta[j] / n - tb[j] / m;
            d * d / pooled[j]
        }));
        let df = self.df(sa, sb);
        let own = (sa + sb) * (sa + sb) / squares;
        Some(Design {
            effect: (sa * n / rank, sb * m / rank),
            df,
            spread: own / rank,
            pvalue: fisher_sf(distance / (sa + sb), own, own * df),
        })
    }

    /// Groups of cells of a test of homogeneity: their number, and the group of each cell.
    fn groups(&self, missing: bool) -> (usize, Vec<Option<usize>>) {
        let width = self.reference.cells();
        let mut rows = vec![0.0; width];
        for s in [&self.reference, &self.current] {
            for (r, c) in rows.iter_mut().zip(&s.totals) {
                *r += s.worth * c;
            }
        }
        let at = self.layout.missing();
        if !missing && at < width {
            rows[at] = 0.0;
        }
        // First by coarse cell, then everything rare into one.
        let key = |i: usize| match &self.layout {
            Layout::Ordered(coarse) if i < coarse.len() => coarse[i] as usize,
            _ => width + i,
        };
        let mut mass = BTreeMap::new();
        for (i, r) in rows.iter().enumerate().filter(|(_, r)| **r > 0.0) {
            *mass.entry(key(i)).or_insert(0.0) += r;
        }
        let all: f64 = mass.values().sum();
        let common = mass.values().filter(|r| **r >= RARE * all).count();
        let pooling = common >= 2;
        let mut numbers = BTreeMap::new();
        let mut next = 0;
        let mut rare = None;
        for (key, rows) in &mass {
            let number = if pooling && *rows < RARE * all {
                *rare.get_or_insert_with(|| {
                    next += 1;
                    next - 1
                })
            } else {
                next += 1;
                next - 1
            };
            numbers.insert(*key, number);
        }
        let groups = (0..width)
            .map(|i| {
                (rows[i] > 0.0)
                    .then(|| numbers.get(&key(i)).copied())
                    .flatten()
            })
            .collect();
        (next, groups)
    }
}

impl Design {
    /// Rows each sample is worth.
    pub fn effective(&self, rows: (u64, u64)) -> (f64, f64) {
        (rows.0 as f64 / self.effect.0, rows.1 as f64 / self.effect.1)
    }

    /// Sum of the reciprocal effective rows.
    pub fn inverse_rows(&self, rows: (u64, u64)) -> f64 {
        self.effect.0 / rows.0 as f64 + self.effect.1 / rows.1 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(blocks: &[[u64; 4]]) -> Sample {
        Sample::of(
            blocks
                .iter()
                .map(|b| b.map(|c| c as f64).to_vec())
                .collect(),
            blocks.iter().map(|b| b[1] as f64 - b[0] as f64).collect(),
            1.0,
        )
    }

    fn two(reference: &[[u64; 4]], current: &[[u64; 4]]) -> Blocked {
        // Two categories, others, missing.
        let layout = Layout::Categories(2);
        Blocked::new(
            "block:1d".into(),
            layout,
            sample(reference),
            sample(current),
        )
    }

    #[test]
    fn duplicating_every_row_doubles_the_effect() {
        let one = [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]];
        let twice = one.map(|b| b.map(|c| 2 * c));
        let (a, b) = (two(&one, &one), two(&twice, &twice));
        let (a, b) = (a.homogeneity(false).unwrap(), b.homogeneity(false).unwrap());
        // Single rows: the effect is B / (B - 1).
        assert!((a.effect.0 - 4.0 / 3.0).abs() < 1e-12);
        assert!((b.effect.0 - 8.0 / 3.0).abs() < 1e-12);
        assert!((a.spread - 1.0).abs() < 1e-12);
        assert!((a.df - 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_single_block_takes_the_error_of_the_reference() {
        let one = [[3, 1, 0, 0], [1, 3, 0, 0], [2, 2, 0, 0], [4, 0, 0, 0]];
        let b = two(&one, &one[..1]);
        let d = b.homogeneity(false).unwrap();
        // A block of the mean size has the same variance per row.
        assert!((d.effect.0 - d.effect.1).abs() < 1e-12);
        assert_eq!(d.df, 3.0);
    }

    #[test]
    fn scores_that_do_not_vary_have_no_effect() {
        let rows = [[3, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0]];
        let layout = Layout::Ordered(vec![0]);
        let one = Blocked::new("block:1d".into(), layout, sample(&rows), sample(&rows));
        // A third is not a float, so that its variance is rounding, and not 0.
        assert_eq!(one.effect(|_| 1.0 / 3.0), None);
    }

    #[test]
    fn nothing_missing_anywhere_has_no_design() {
        let one = [[3, 1, 0, 0], [1, 3, 0, 0]];
        assert_eq!(two(&one, &one).missing(), None);
        let some = [[3, 1, 0, 1], [1, 3, 0, 0]];
        assert!(two(&one, &some).missing().is_some());
    }
}
