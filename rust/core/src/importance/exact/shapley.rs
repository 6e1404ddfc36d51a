//! Interventional Shapley values of tree ensembles: exact, over all pairs of a row and a background row.
//!
//! The value of a set S of features is the mean margin over background rows z of `f(x_S, z_rest)`. At a
//! leaf only which of its conditions x meets and which z meets matter: if some condition is met by neither
//! the leaf is never reached; else, with `a` conditions met by x alone and `b` by z alone, every feature of
//! the first kind gets `value (a-1)! b! / (a+b)!` and every one of the second loses
//! `value a! (b-1)! / (a+b)!`. So a background is, at each leaf, counts of a few patterns of conditions, and
//! what a row gets from a leaf is a function of its own pattern (Nadel and Wettenstein 2025 do this in
//! tables of all patterns; here only those that occur are made).

use std::collections::BTreeMap;

use super::{BLOCK, Leaf, Model, Rows};
use crate::{Error, Result};

/// Most features on the way to a leaf: the bits of a pattern.
const MAX_PATTERN: usize = 64;
/// Rows that are explained at a time.
const CHUNK: usize = 1 << 13;

/// What a background is at each leaf.
#[derive(Debug, Clone)]
pub struct Background {
    rows: u64,
    /// Patterns of met conditions and how many rows have them, by leaf.
    patterns: Vec<Vec<(u64, u64)>>,
    /// Mean margin, by output.
    expected: Vec<f64>,
}

impl Background {
    /// Rows of the background.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Mean margin of the background, by output: what the Shapley values of a row add to.
    pub fn expected(&self) -> &[f64] {
        &self.expected
    }
}

/// Which rows of a chunk have a feature in a cell below b, 64 rows a word.
struct Words {
    words: Vec<u64>,
    width: usize,
    rows: usize,
}

impl Words {
    fn new(model: &Model, rows: &Rows<'_>, start: usize, end: usize) -> Self {
        let blocks = (end - start).div_ceil(BLOCK);
        let mut words = vec![0; blocks * model.words];
        for u in &model.used {
            for (i, x) in rows.columns[u.feature][start..end].iter().enumerate() {
                let cell = model.cells[u.feature].cell(*x) as usize;
                words[i / BLOCK * model.words + u.offset + cell + 1] |= 1 << (i % BLOCK);
            }
            for block in words.chunks_exact_mut(model.words) {
                let mut any = 0;
                for w in &mut block[u.offset..=u.offset + u.cells] {
                    any |= *w;
                    *w = any;
                }
            }
        }
        Self {
            words,
            width: model.words,
            rows: end - start,
        }
    }

    /// The pattern of every row at a leaf: bit c where condition c is met.
    fn patterns(&self, model: &Model, at: &Place, out: &mut Vec<u64>) {
        out.clear();
        out.resize(self.rows, 0);
        if self.width == 0 {
            return;
        }
        for (rows, block) in out
            .chunks_mut(BLOCK)
            .zip(self.words.chunks_exact(self.width))
        {
            let word = |(low, high): (u32, u32)| block[high as usize] & !block[low as usize];
            let mut run = at.run;
            for (c, condition) in model.conditions[at.conditions.clone()].iter().enumerate() {
                let end = condition.end as usize;
                let more = model.runs[run..end].iter().map(|r| word(*r));
                let holds = more.fold(word(condition.first), |a, b| a | b);
                run = end;
                for (r, pattern) in rows.iter_mut().enumerate() {
                    *pattern |= (holds >> r & 1) << c;
                }
            }
        }
    }
}

/// A leaf's conditions, and where their further runs begin.
struct Place {
    conditions: std::ops::Range<usize>,
    run: usize,
}

/// `(a-1)! b! / (a+b)!`, the share of each of `a` features met by the row alone beside `b` of the background.
fn share(a: u32, b: u32) -> f64 {
    // 1 / (a C(a+b, a)), the product in ascending order so that it stays an integer.
    let mut ways = 1.0;
    for i in 1..=b.min(a) {
        ways = ways * f64::from(a + b + 1 - i) / f64::from(i);
    }
    1.0 / (f64::from(a) * ways)
}

impl Model {
    fn places(&self) -> impl Iterator<Item = (&Leaf, Place)> {
        let (mut condition, mut run) = (0, 0);
        self.leaves.iter().map(move |leaf| {
            let conditions = condition..leaf.end as usize;
            let place = Place {
                conditions: conditions.clone(),
                run,
            };
            condition = leaf.end as usize;
            if let Some(last) = self.conditions[conditions].last() {
                run = last.end as usize;
            }
            (leaf, place)
        })
    }

    /// Counts the patterns of a background.
    ///
    /// # Errors
    /// When there is no row, or a leaf has conditions on more than 64 features.
    pub fn background(&self, rows: &Rows<'_>) -> Result<Background> {
        if rows.is_empty() {
            return Err(Error::invalid("a background without rows"));
        }
        let longest = self.places().map(|(_, at)| at.conditions.len()).max();
        if let Some(longest) = longest.filter(|l| *l > MAX_PATTERN) {
            return Err(Error::invalid(format!(
                "a leaf with conditions on {longest} features; Shapley values take at most {MAX_PATTERN}"
            )));
        }
        let mut held = vec![BTreeMap::<u64, u64>::new(); self.leaves.len()];
        let mut patterns = Vec::new();
        for start in (0..rows.len()).step_by(CHUNK) {
            let words = Words::new(self, rows, start, rows.len().min(start + CHUNK));
            for ((_, at), held) in self.places().zip(&mut held) {
                words.patterns(self, &at, &mut patterns);
                patterns.sort_unstable();
                for same in patterns.chunk_by(|a, b| a == b) {
                    *held.entry(same[0]).or_default() += same.len() as u64;
                }
            }
        }
        let outputs = self.outputs();
        let mut expected = vec![0.0; outputs];
        for row in self.margins(rows).chunks_exact(outputs) {
            expected.iter_mut().zip(row).for_each(|(e, m)| *e += m);
        }
        let n = rows.len() as f64;
        expected.iter_mut().for_each(|e| *e /= n);
        Ok(Background {
            rows: rows.len() as u64,
            patterns: held.into_iter().map(|h| h.into_iter().collect()).collect(),
            expected,
        })
    }

    /// Calls `found` with the Shapley values of chunk after chunk of rows, in units of the margin: by output,
    /// feature of the model, and row of the chunk.
    ///
    /// # Errors
    /// When the background is of another model, or `found` fails.
    pub fn shapley(
        &self,
        background: &Background,
        rows: &Rows<'_>,
        mut found: impl FnMut(&[Vec<Vec<f64>>]) -> Result<()>,
    ) -> Result<()> {
        if background.patterns.len() != self.leaves.len() {
            return Err(Error::incompatible("a background of another model"));
        }
        let features = self.ensemble.features.len();
        let mut of_condition = Vec::with_capacity(self.conditions.len());
        for c in &self.conditions {
            let after = self
                .used
                .partition_point(|u| u.offset <= c.first.0 as usize);
            of_condition.push(self.used[after.saturating_sub(1)].feature);
        }
        let mut patterns = Vec::new();
        for start in (0..rows.len()).step_by(CHUNK) {
            let words = Words::new(self, rows, start, rows.len().min(start + CHUNK));
            let mut values = vec![vec![vec![0.0; words.rows]; features]; self.outputs()];
            for ((leaf, at), held) in self.places().zip(&background.patterns) {
                if at.conditions.is_empty() {
                    continue;
                }
                words.patterns(self, &at, &mut patterns);
                let width = at.conditions.len();
                let value = leaf.value as f64 * self.quantum / background.rows as f64;
                let mut known = Known::new(width);
                let places: Vec<usize> = patterns
                    .iter()
                    .map(|p| known.place(*p, value, held))
                    .collect();
                let features = &of_condition[at.conditions.clone()];
                let into = &mut values[leaf.output as usize];
                for (c, feature) in features.iter().enumerate() {
                    let column = &mut into[*feature];
                    for (v, place) in column.iter_mut().zip(&places) {
                        *v += known.parts[place + c];
                    }
                }
            }
            found(&values)?;
        }
        Ok(())
    }
}

/// Means of Shapley values and of their sizes over rows, by output and feature.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Means {
    rows: u64,
    /// Mean and sum of squares about it, of values and of their sizes.
    held: Vec<Vec<[(f64, f64); 2]>>,
}

/// A mean over rows and its standard error; NaN of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Of another sample of rows, explained against the same background.
    pub standard_error: f64,
}

impl Means {
    /// Adds rows: values by output, feature and row.
    pub fn add(&mut self, values: &[Vec<Vec<f64>>]) {
        let n = values.first().and_then(|v| v.first()).map_or(0, Vec::len);
        self.held.resize_with(values.len(), Vec::new);
        for (held, columns) in self.held.iter_mut().zip(values) {
            held.resize(columns.len(), [(0.0, 0.0); 2]);
            for (held, column) in held.iter_mut().zip(columns) {
                for (count, v) in (self.rows + 1..).zip(column) {
                    // Welford's update, of the value and of its size.
                    for ((mean, squares), x) in held.iter_mut().zip([*v, v.abs()]) {
                        let off = x - *mean;
                        *mean += off / count as f64;
                        *squares += off * (x - *mean);
                    }
                }
            }
        }
        self.rows += n as u64;
    }

    /// Mean value and mean size of every feature, by output.
    pub fn finish(&self) -> Vec<Vec<[Mean; 2]>> {
        let n = self.rows as f64;
        let mean = |(value, squares): (f64, f64)| Mean {
            value,
            standard_error: (squares / (n - 1.0) / n).sqrt(),
        };
        let of = |held: &Vec<[(f64, f64); 2]>| held.iter().map(|h| h.map(mean)).collect();
        self.held.iter().map(of).collect()
    }
}

/// What patterns get from a leaf, each made once.
struct Known {
    width: usize,
    /// Where the parts of a pattern begin: a table of all patterns where there are few.
    table: Vec<usize>,
    sparse: BTreeMap<u64, usize>,
    parts: Vec<f64>,
}

/// Conditions up to which all patterns have a place in a table.
const TABLE: usize = 12;

impl Known {
    fn new(width: usize) -> Self {
        let table = if width <= TABLE { 1 << width } else { 0 };
        Self {
            width,
            table: vec![usize::MAX; table],
            sparse: BTreeMap::new(),
            parts: Vec::new(),
        }
    }

    /// Where the parts of a pattern are.
    fn place(&mut self, pattern: u64, value: f64, background: &[(u64, u64)]) -> usize {
        let next = self.parts.len();
        let place = match self.table.get_mut(pattern as usize) {
            Some(place) => place,
            None => self.sparse.entry(pattern).or_insert(usize::MAX),
        };
        if *place != usize::MAX {
            return *place;
        }
        *place = next;
        self.parts.resize(next + self.width, 0.0);
        let parts = &mut self.parts[next..];
        let all = u64::MAX >> (64 - self.width as u32);
        for (z, count) in background {
            if pattern | z != all {
                continue;
            }
            let (own, theirs) = (pattern & !z, z & !pattern);
            let (a, b) = (own.count_ones(), theirs.count_ones());
            let worth = value * *count as f64;
            let mut add = |mut bits: u64, part: f64| {
                while bits != 0 {
                    parts[bits.trailing_zeros() as usize] += part;
                    bits &= bits - 1;
                }
            };
            if a > 0 {
                add(own, worth * share(a, b));
            }
            if b > 0 {
                add(theirs, -worth * share(b, a));
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{tree, value};
    use super::*;
    use crate::importance::losses::Link;
    use crate::importance::trees::Ensemble;
    use proptest::prelude::*;

    #[test]
    fn means_of_parts_are_those_of_all() {
        let rows: Vec<f64> = (0..7).map(|i| f64::from(i * i % 5) - 1.5).collect();
        let mut means = Means::default();
        for part in [&rows[..3], &rows[3..]] {
            means.add(&[vec![part.to_vec()]]);
        }
        let [value, size] = means.finish()[0][0];
        let known = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / 7.0;
            let squares: f64 = x.iter().map(|v| (v - mean).powi(2)).sum();
            (mean, (squares / 6.0 / 7.0).sqrt())
        };
        let sizes: Vec<f64> = rows.iter().map(|v| v.abs()).collect();
        for (found, known) in [(value, known(&rows)), (size, known(&sizes))] {
            assert!((found.value - known.0).abs() < 1e-15);
            assert!((found.standard_error - known.1).abs() < 1e-15);
        }
    }

    #[test]
    fn shares_are_those_of_orders() {
        // Of all orders of a + b features: those in which one of the a comes last of the a and before every b.
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        for a in 1..12 {
            for b in 0..12 {
                let known = factorial(a - 1) * factorial(b) / factorial(a + b);
                assert!((share(a, b) / known - 1.0).abs() < 1e-13, "{a} {b}");
            }
        }
        assert!((share(32, 32) * 32.0 * 1_832_624_140_942_590_534.0 - 1.0).abs() < 1e-13);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        /// Against the definition: all subsets of three features, all background rows.
        #[test]
        fn equal_the_definition(
            trees in prop::collection::vec(tree(3, 2), 1..6),
            rows in prop::collection::vec((value(), value(), value()), 1..90),
            others in prop::collection::vec((value(), value(), value()), 1..7),
        ) {
            let ensemble = Ensemble {
                features: ["a", "b", "c", "unused"].map(String::from).to_vec(),
                base: vec![0.5, -1.0], trees, link: Link::Softmax, single_precision: false,
            }.validate().unwrap();
            let columns = |rows: &[(f64, f64, f64)]| -> Vec<Vec<f64>> {
                let of = |f: fn(&(f64, f64, f64)) -> f64| rows.iter().map(f).collect();
                vec![of(|r| r.0), of(|r| r.1), of(|r| r.2), of(|r| r.0)]
            };
            let model = Model::new(ensemble.clone()).unwrap();
            let (front, back) = (columns(&rows), columns(&others));
            let slices = |c: &'_ [Vec<f64>]| c.iter().map(|c| c.to_vec()).collect::<Vec<_>>();
            let (front_held, back_held) = (slices(&front), slices(&back));
            let front_slices: Vec<&[f64]> = front_held.iter().map(Vec::as_slice).collect();
            let back_slices: Vec<&[f64]> = back_held.iter().map(Vec::as_slice).collect();
            let (no_front, no_back) = (vec![0.0; rows.len()], vec![0.0; others.len()]);
            let given = Rows::new(&ensemble, &front_slices, &no_front).unwrap();
            let background = model
                .background(&Rows::new(&ensemble, &back_slices, &no_back).unwrap())
                .unwrap();
            let worth = |i: usize, set: usize, k: usize| -> f64 {
                let all = (0..others.len()).map(|z| {
                    let row: Vec<f64> = (0..4)
                        .map(|j| if set >> j & 1 == 1 { front[j][i] } else { back[j][z] })
                        .collect();
                    ensemble.margins(&row)[k]
                });
                all.sum::<f64>() / others.len() as f64
            };
            let mut found: Vec<Vec<Vec<f64>>> = Vec::new();
            model.shapley(&background, &given, |values| { found = values.to_vec(); Ok(()) }).unwrap();
            let at = |k: usize, j: usize, i: usize| found[k][j][i];
            for k in 0..2 {
                prop_assert!((background.expected()[k] - worth(0, 0, k)).abs() < 1e-12);
                for i in 0..rows.len() {
                    let mut total = 0.0;
                    for j in 0..3 {
                        let mut known = 0.0;
                        for set in 0usize..8 {
                            if set >> j & 1 == 1 { continue; }
                            let weight = [1.0 / 3.0, 1.0 / 6.0, 1.0 / 3.0][set.count_ones() as usize];
                            known += weight * (worth(i, set | 1 << j, k) - worth(i, set, k));
                        }
                        prop_assert!((at(k, j, i) - known).abs() < 1e-12, "{} {} {}", k, i, j);
                        total += at(k, j, i);
                    }
                    prop_assert_eq!(at(k, 3, i), 0.0);
                    prop_assert!((total + background.expected()[k] - worth(i, 7, k)).abs() < 1e-12);
                }
            }
        }
    }
}
