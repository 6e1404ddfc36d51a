//! Rows of mixed columns as points: numbers on one scale, categories by equality.

use std::collections::BTreeMap;

use crate::kernels::key::mix;
use crate::{Error, Result};

/// Code of a missing category.
pub const MISSING: u32 = u32::MAX;

/// One column of both samples, the reference first.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Numbers; NaN is missing.
    Numbers(Vec<f64>),
    /// Codes of categories; [`MISSING`] is missing.
    Codes(Vec<u32>),
}

impl Column {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Numbers(v) => v.len(),
            Column::Codes(v) => v.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Both samples, the reference first, with the blocks of their rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Columns by name.
    pub columns: Vec<(String, Column)>,
    /// Rows of the reference; the rest is current.
    pub n: usize,
    /// Rows of the current sample.
    pub m: usize,
    /// Block of each row, if rows belong together.
    pub blocks: Option<Vec<u32>>,
}

impl Samples {
    /// Checks lengths.
    ///
    /// # Errors
    /// Columns or blocks of another length, no column, fewer than two rows a side, or a block in both samples.
    pub fn new(columns: Vec<(String, Column)>, n: usize, blocks: Option<Vec<u32>>) -> Result<Self> {
        let Some(rows) = columns.first().map(|c| c.1.len()) else {
            return Err(Error::invalid("no column; 1 or more would be accepted"));
        };
        if let Some((name, column)) = columns.iter().find(|c| c.1.len() != rows) {
            let found = column.len();
            return Err(Error::invalid(format!(
                "column {name:?} has {found} rows where others have {rows}"
            )));
        }
        let m = rows.saturating_sub(n);
        if n < 2 || m < 2 {
            return Err(Error::invalid(format!(
                "{n} reference rows and {m} current rows; 2 or more on each side would be accepted"
            )));
        }
        if let Some(blocks) = &blocks {
            if blocks.len() != rows {
                return Err(Error::invalid(format!(
                    "{} blocks for {rows} rows",
                    blocks.len()
                )));
            }
            let of_reference: std::collections::BTreeSet<u32> =
                blocks[..n].iter().copied().collect();
            if blocks[n..].iter().any(|b| of_reference.contains(b)) {
                return Err(Error::invalid(
                    "a block has rows in both samples; blocks that belong to one sample would be accepted",
                ));
            }
        }
        Ok(Samples {
            columns,
            n,
            m,
            blocks,
        })
    }

    /// Rows of both samples.
    pub fn rows(&self) -> usize {
        self.n + self.m
    }
}

/// How numbers are brought to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// Minus the pooled median, over the pooled interquartile range of a normal of variance 1.
    #[default]
    Robust,
    /// As they are.
    None,
}

/// Interquartile range of a standard normal.
const NORMAL_IQR: f64 = 1.348_979_500_392_163_4;

/// Squared distance between rows of different categories: that of two draws of variance 1, on average.
pub const UNEQUAL: f64 = 2.0;

/// Points: dense numbers and codes, row by row. A function of the pooled rows, whatever sample they are from.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// Names of the dense columns.
    pub number_names: Vec<String>,
    /// Names of the coded columns.
    pub code_names: Vec<String>,
    /// Dense values, row by row.
    pub numbers: Vec<f64>,
    /// Codes, row by row.
    pub codes: Vec<u32>,
    /// Number of rows.
    pub rows: usize,
    /// What a reader must know.
    pub message: Option<String>,
}

impl Points {
    /// Places the rows of both samples.
    ///
    /// A number that is missing or infinite lies at the median and has a code of its own beside it (0
    /// finite, 1 missing, 2 and 3 infinite); columns of one value add nothing and are named.
    pub fn new(samples: &Samples, scaling: Scaling) -> Self {
        let rows = samples.rows();
        let (mut numbers, mut codes): (Vec<Vec<f64>>, Vec<Vec<u32>>) = Default::default();
        let (mut number_names, mut code_names, mut constant) = (vec![], vec![], vec![]);
        for (name, column) in &samples.columns {
            let held = (numbers.len(), codes.len());
            match column {
                Column::Codes(v) => {
                    if v.iter().any(|c| *c != v[0]) {
                        codes.push(v.clone());
                        code_names.push(name.clone());
                    }
                }
                Column::Numbers(v) => {
                    let mut finite: Vec<f64> =
                        v.iter().copied().filter(|x| x.is_finite()).collect();
                    finite.sort_by(f64::total_cmp);
                    if finite.len() < v.len() {
                        let kind = |x: &f64| match *x {
                            x if x.is_finite() => 0,
                            x if x.is_nan() => 1,
                            x if x > 0.0 => 2,
                            _ => 3,
                        };
                        let kinds: Vec<u32> = v.iter().map(kind).collect();
                        if kinds.iter().any(|k| *k != kinds[0]) {
                            codes.push(kinds);
                            code_names.push(format!("{name} is finite"));
                        }
                    }
                    let (centre, scale) = scale_of(&finite, scaling);
                    if scale > 0.0 {
                        let place = |x: &f64| {
                            if x.is_finite() {
                                (x - centre) / scale
                            } else {
                                (quantile(&finite, 0.5) - centre) / scale
                            }
                        };
                        numbers.push(v.iter().map(place).collect());
                        number_names.push(name.clone());
                    }
                }
            }
            if held == (numbers.len(), codes.len()) {
                constant.push(format!("{name:?}"));
            }
        }
        Points {
            numbers: by_row(&numbers, rows),
            codes: by_row(&codes, rows),
            number_names,
            code_names,
            rows,
            message: (!constant.is_empty())
                .then(|| format!("one value in both samples: {}", constant.join(", "))),
        }
    }

    /// Dense values of a row.
    pub fn numbers_of(&self, row: usize) -> &[f64] {
        let k = self.number_names.len();
        &self.numbers[row * k..(row + 1) * k]
    }

    /// Codes of a row.
    pub fn codes_of(&self, row: usize) -> &[u32] {
        let k = self.code_names.len();
        &self.codes[row * k..(row + 1) * k]
    }

    /// Squared distance of two rows.
    pub fn squared_distance(&self, i: usize, j: usize) -> f64 {
        let numbers = self.numbers_of(i).iter().zip(self.numbers_of(j));
        let codes = self.codes_of(i).iter().zip(self.codes_of(j));
        let unequal = codes.filter(|(a, b)| a != b).count();
        numbers.map(|(a, b)| (a - b) * (a - b)).sum::<f64>() + UNEQUAL * unequal as f64
    }

    /// A hash of a row's content under a seed.
    pub fn hash(&self, row: usize, seed: u64) -> u64 {
        let mut h = mix(seed ^ 0x7469_6465);
        for x in self.numbers_of(row) {
            h = mix(h ^ (x + 0.0).to_bits());
        }
        for c in self.codes_of(row) {
            h = mix(h ^ u64::from(*c));
        }
        h
    }

    /// At most `wanted` rows, those with the smallest hashes of content: the same values whatever the order
    /// of rows and the sample each is from.
    pub fn choose(&self, wanted: usize, seed: u64) -> Vec<usize> {
        let mut all: Vec<(u64, usize)> = (0..self.rows).map(|r| (self.hash(r, seed), r)).collect();
        all.sort_unstable();
        all.truncate(wanted);
        all.into_iter().map(|x| x.1).collect()
    }
}

fn by_row<T: Copy>(columns: &[Vec<T>], rows: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(columns.len() * rows);
    for row in 0..rows {
        out.extend(columns.iter().map(|c| c[row]));
    }
    out
}

/// Centre and scale of sorted finite values; scale 0 where they are one value or none.
fn scale_of(sorted: &[f64], scaling: Scaling) -> (f64, f64) {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return (0.0, 0.0);
    };
    if first == last {
        return (0.0, 0.0);
    }
    if scaling == Scaling::None {
        return (0.0, 1.0);
    }
    let centre = quantile(sorted, 0.5);
    let iqr = quantile(sorted, 0.75) - quantile(sorted, 0.25);
    if iqr > 0.0 {
        return (centre, iqr / NORMAL_IQR);
    }
    let n = sorted.len() as f64;
    let mean = crate::statistics::sum(sorted.iter().map(|x| x / n));
    let squares = sorted.iter().map(|x| (x - mean) * (x - mean) / n);
    (centre, libm::sqrt(crate::statistics::sum(squares)))
}

/// Quantile between ranks, as numpy's.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let at = p * last as f64;
    let low = at as usize;
    let rest = at - low as f64;
    let (a, b) = (sorted[low], sorted[(low + 1).min(last)]);
    // No overflow of b - a: both halves.
    a * (1.0 - rest) + b * rest
}

/// Units that a permutation moves whole: blocks, or rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// Unit of each row.
    pub of_row: Vec<usize>,
    /// Units of the reference and of the current sample; the units of the reference come first.
    pub count: (usize, usize),
    /// Whether units are blocks.
    pub are_blocks: bool,
}

impl Units {
    /// Units of both samples.
    ///
    /// # Errors
    /// Fewer than two blocks on a side.
    pub fn new(samples: &Samples) -> Result<Self> {
        let Some(blocks) = &samples.blocks else {
            return Ok(Units {
                of_row: (0..samples.rows()).collect(),
                count: (samples.n, samples.m),
                are_blocks: false,
            });
        };
        let mut number: BTreeMap<u32, usize> = BTreeMap::new();
        let mut of_row = Vec::with_capacity(blocks.len());
        let mut first = 0;
        for (row, b) in blocks.iter().enumerate() {
            if row == samples.n {
                first = number.len();
            }
            let next = number.len();
            of_row.push(*number.entry(*b).or_insert(next));
        }
        let count = (first, number.len() - first);
        if count.0 < 2 || count.1 < 2 {
            return Err(Error::invalid(format!(
                "{} blocks in the reference and {} in the current sample; 2 or more on each side would be accepted",
                count.0, count.1
            )));
        }
        Ok(Units {
            of_row,
            count,
            are_blocks: true,
        })
    }

    /// `block` or `iid`, as rows name their variance.
    pub fn variance(&self) -> &'static str {
        if self.are_blocks { "block" } else { "iid" }
    }
}
