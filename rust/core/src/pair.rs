//! What a statistic reads: two samples counted on one partition.
//!
//! The partition is exact (every cell holds one value) when both sides are small or given as
//! arrays, and the reference's grid otherwise. A statistic does not care: cells that hold one value
//! add nothing to its bounds, so one definition serves the exact and the certified mode.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::column::{base_domain, unit_of};
use crate::dependence::Blocked;
use crate::states::grid::Domain;
use crate::value::Logical;

/// Counts of one side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Side {
    /// Rows, missing ones included.
    pub rows: u64,
    /// Null rows.
    pub nulls: u64,
    /// NaN rows (floats only).
    pub nan: u64,
    /// Rows holding minus infinity.
    pub neg_inf: u64,
    /// Rows holding plus infinity.
    pub pos_inf: u64,
    /// Finite values (numeric), or values that are not null (categorical).
    pub finite: u64,
    /// Mean of the finite values; NaN when there is none.
    pub mean: f64,
    /// Variance of the finite values with denominator n - 1; NaN below two values.
    pub variance: f64,
    /// Smallest finite value; NaN when there is none.
    pub min: f64,
    /// Largest finite value; NaN when there is none.
    pub max: f64,
    /// Distinct values, and the standard error of that number (0 when exact).
    pub distinct: f64,
    /// Standard error of `distinct`.
    pub distinct_error: f64,
    /// Values outside the decimal or integer range that keys can order (see `Counts`).
    pub overflow: u64,
    /// Sampling weights; then every count here is one of their units.
    pub weights: Option<Weights>,
}

/// What sampling weights do to a side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weights {
    /// Rows, each counted once.
    pub rows: u64,
    /// Rows that are null or NaN, each counted once.
    pub missing: u64,
    /// Finite values, each counted once.
    pub finite: u64,
    /// Sums of squared units: all rows, rows that are not missing, finite values.
    pub squares: (f64, f64, f64),
    /// Linearised variance of the mean.
    pub variance_of_mean: f64,
    /// Units by which rounding the weights may have moved rows, in all.
    pub rounding: f64,
    /// Whether all weights are equal: nothing but rounding remains of them.
    pub equal: bool,
}

/// Which rows of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All.
    All,
    /// Those that are not missing.
    Present,
    /// Those with a finite value.
    Finite,
}

impl Side {
    /// Rows that are null or NaN.
    pub fn missing(&self) -> u64 {
        self.nulls + self.nan
    }
    /// Weights that are not equal.
    pub fn unequal(&self) -> Option<&Weights> {
        self.weights.as_ref().filter(|w| !w.equal)
    }

    /// Units or rows of a part.
    pub fn count(&self, part: Part) -> u64 {
        match part {
            Part::All => self.rows,
            Part::Present => self.rows - self.missing(),
            Part::Finite => self.finite,
        }
    }

    /// Rows of equal weight that a part is worth (Kish 1965); its rows without weights.
    pub fn worth(&self, part: Part) -> f64 {
        let n = self.count(part) as f64;
        let Some(w) = self.unequal() else { return n };
        let squares = match part {
            Part::All => w.squares.0,
            Part::Present => w.squares.1,
            Part::Finite => w.squares.2,
        };
        if n > 0.0 { n * (n / squares) } else { 0.0 }
    }

    /// Rows of a part, each counted once.
    pub fn rows_of(&self, part: Part) -> u64 {
        match (&self.weights, part) {
            (None, part) => self.count(part),
            (Some(w), Part::All) => w.rows,
            (Some(w), Part::Present) => w.rows - w.missing,
            (Some(w), Part::Finite) => w.finite,
        }
    }

    /// Variance of the mean of the finite values, of independent rows.
    pub fn variance_of_mean(&self) -> f64 {
        self.unequal()
            .map_or(self.variance / self.finite as f64, |w| w.variance_of_mean)
    }

    /// Bound on the share of rows that rounding the weights moved.
    pub fn rounding(&self) -> f64 {
        self.weights.map_or(0.0, |w| {
            let n = self.rows as f64;
            if n > w.rounding {
                w.rounding / (n - w.rounding)
            } else {
                1.0
            }
        })
    }

    /// Values that can be ordered: finite and infinite.
    pub fn ordered(&self) -> u64 {
        self.finite + self.neg_inf + self.pos_inf
    }
}

/// One cell of the common partition of finite values, in ascending order of value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// No value counted here is below this (finite).
    pub low: f64,
    /// No value counted here is above this (finite); cells may touch (`high == next.low`).
    pub high: f64,
    /// Whether every value counted here, on both sides, is the same one.
    pub single: bool,
    /// Reference rows.
    pub reference: u64,
    /// Current rows.
    pub current: u64,
    /// Sum of `x - low` over the reference rows of the cell.
    pub offset_reference: f64,
    /// Sum of `x - low` over the current rows of the cell.
    pub offset_current: f64,
    /// Bound on the absolute error of each offset sum (0 when exact up to rounding).
    pub offset_error: f64,
    /// Position of the coarse cell (PSI and the divergences) this cell belongs to; ascending from 0.
    pub coarse: u32,
}

/// The common partition of the finite values of two samples.
///
/// A slice of cells; those of two samples held in memory are their sorted keys, and become a list of
/// one cell a value only where a statistic asks for one. [`Cells::each`] goes through them without.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    sorted: Option<SortedKeys>,
    listed: OnceLock<Vec<Cell>>,
}

/// Base keys of the finite values of both samples, each ascending.
#[derive(Debug, Clone)]
struct SortedKeys {
    logical: Logical,
    reference: Vec<u64>,
    current: Vec<u64>,
}

impl Cells {
    /// One cell for each distinct value of two samples, given by ascending base keys. The cells lie in
    /// one coarse cell: statistics on coarse cells need a grid.
    pub fn of_sorted(logical: Logical, reference: Vec<u64>, current: Vec<u64>) -> Self {
        debug_assert!(reference.is_sorted() && current.is_sorted());
        Cells {
            sorted: Some(SortedKeys {
                logical,
                reference,
                current,
            }),
            listed: OnceLock::new(),
        }
    }

    /// The cells one after the other.
    pub fn each(&self) -> EachCell<'_> {
        match (&self.sorted, self.listed.get()) {
            (Some(keys), None) => EachCell::Sorted(keys.each()),
            (_, listed) => EachCell::Listed(listed.map_or(&[][..], Vec::as_slice).iter()),
        }
    }

    /// Rows of the reference and of the current sample in all cells, at most `u64::MAX`.
    pub fn rows(&self) -> (u64, u64) {
        match &self.sorted {
            Some(keys) => (keys.reference.len() as u64, keys.current.len() as u64),
            None => self.iter().fold((0, 0), |rows: (u64, u64), c| {
                (
                    rows.0.saturating_add(c.reference),
                    rows.1.saturating_add(c.current),
                )
            }),
        }
    }

    /// The lowest and the highest value between which all cells lie.
    pub fn ends(&self) -> Option<(f64, f64)> {
        let Some(keys) = &self.sorted else {
            return Some((self.first()?.low, self.last()?.high));
        };
        let (a, b) = (&keys.reference, &keys.current);
        let first = a.first().into_iter().chain(b.first()).min()?;
        let last = a.last().into_iter().chain(b.last()).max()?;
        let value = keys.value();
        Some((value(*first), value(*last)))
    }
}

impl SortedKeys {
    fn value(&self) -> impl Fn(u64) -> f64 + use<> {
        let (domain, unit) = (base_domain(self.logical), unit_of(self.logical));
        move |key| domain.value(key) / unit
    }

    fn each(&self) -> SortedCells<'_> {
        SortedCells::new(self.logical, &self.reference, &self.current)
    }
}

impl Deref for Cells {
    type Target = [Cell];

    fn deref(&self) -> &[Cell] {
        self.listed.get_or_init(|| {
            let keys = self.sorted.as_ref();
            keys.map_or_else(Vec::new, |keys| keys.each().collect())
        })
    }
}

impl From<Vec<Cell>> for Cells {
    fn from(cells: Vec<Cell>) -> Self {
        Cells {
            sorted: None,
            listed: OnceLock::from(cells),
        }
    }
}

impl PartialEq for Cells {
    fn eq(&self, other: &Self) -> bool {
        self.each().eq(other.each())
    }
}

/// Goes through [`Cells`].
pub enum EachCell<'a> {
    /// Cells that are listed.
    Listed(std::slice::Iter<'a, Cell>),
    /// Cells of sorted keys.
    Sorted(SortedCells<'a>),
}

impl Iterator for EachCell<'_> {
    type Item = Cell;

    #[inline]
    fn next(&mut self) -> Option<Cell> {
        match self {
            EachCell::Listed(cells) => cells.next().copied(),
            EachCell::Sorted(cells) => cells.next(),
        }
    }
}

/// Cells of two ascending lists of base keys, one for each value.
pub struct SortedCells<'a> {
    reference: &'a [u64],
    current: &'a [u64],
    domain: Domain,
    unit: f64,
}

impl<'a> SortedCells<'a> {
    /// Cells of base keys, each list ascending.
    pub fn new(logical: Logical, reference: &'a [u64], current: &'a [u64]) -> Self {
        SortedCells {
            reference,
            current,
            domain: base_domain(logical),
            unit: unit_of(logical),
        }
    }
}

impl Iterator for SortedCells<'_> {
    type Item = Cell;

    #[inline]
    fn next(&mut self) -> Option<Cell> {
        let key = match (self.reference.first(), self.current.first()) {
            (Some(a), Some(b)) => *a.min(b),
            (a, b) => *a.or(b)?,
        };
        let take = |keys: &mut &[u64]| {
            let n = keys.iter().take_while(|k| **k == key).count();
            *keys = &keys[n..];
            n as u64
        };
        let x = self.domain.value(key) / self.unit;
        Some(Cell {
            low: x,
            high: x,
            single: true,
            reference: take(&mut self.reference),
            current: take(&mut self.current),
            offset_reference: 0.0,
            offset_current: 0.0,
            offset_error: 0.0,
            coarse: 0,
        })
    }
}

/// Two samples of an ordered column.
#[derive(Debug, Clone, PartialEq)]
pub struct NumericPair {
    /// Logical type of the column.
    pub logical: Logical,
    /// Counts of the reference.
    pub reference: Side,
    /// Counts of the current sample.
    pub current: Side,
    /// Common partition of the finite values; empty when neither side has one.
    pub cells: Cells,
    /// Interquartile range of the reference, 0 when its middle half is one value.
    pub reference_iqr: f64,
    /// What that range is at least and at most, where its ends lie in cells of several values.
    pub iqr_bounds: (f64, f64),
    /// Means of the finite values of both sides less one number near them: their difference is that of the
    /// means, which cancels no digits.
    pub near_means: (f64, f64),
    /// Lowest and highest value allowed: the range of the reference (finite values).
    pub reference_range: (f64, f64),
    /// Current values below / above the reference range.
    pub out_of_range: (u64, u64),
    /// Set when the comparison had to use a coarser precision or partition; goes into the row.
    pub note: Option<String>,
    /// Both samples by block, where rows are known to depend on each other.
    pub blocked: Option<Arc<Blocked>>,
}

/// What a categorical cell stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CategoryKey {
    /// One value, as bytes.
    Value(Vec<u8>),
    /// All values whose hash falls in one cell, none of them in the dictionary.
    HashCell(u32),
    /// All values that the reference never held.
    New,
}

/// One cell of the common partition of categories.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryCell {
    /// What it stands for.
    pub key: CategoryKey,
    /// Reference rows.
    pub reference: u64,
    /// Current rows.
    pub current: u64,
    /// Rows of both sides, each counted once whatever its weight.
    pub rows: (u64, u64),
}

/// How many new values hold how many rows, as far as it is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewValues {
    /// Rows of a value, ascending, and how many values hold as many: whole numbers, or estimates.
    pub by_rows: Vec<(u64, f64)>,
    /// Standard error of the number of values.
    pub error: f64,
}

/// Two samples of a categorical column.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalPair {
    /// Logical type of the column.
    pub logical: Logical,
    /// Counts of the reference.
    pub reference: Side,
    /// Counts of the current sample.
    pub current: Side,
    /// Common partition of the non-null values.
    pub cells: Vec<CategoryCell>,
    /// Bounds on the number of current rows holding a value the reference never held (equal when
    /// the dictionary is complete).
    pub new_rows: (u64, u64),
    /// Rows of the cell of new values by value; by hash cell where the dictionary is not complete.
    pub new_values: NewValues,
    /// A few new values with their counts, most frequent first, for messages.
    pub new_examples: Vec<(Vec<u8>, u64)>,
    /// Set when the comparison had to use a coarser partition; goes into the row.
    pub note: Option<String>,
    /// Both samples by block, where rows are known to depend on each other.
    pub blocked: Option<Arc<Blocked>>,
}

/// The two samples a statistic compares.
#[derive(Debug, Clone, PartialEq)]
pub enum Pair {
    /// Ordered values.
    Numeric(NumericPair),
    /// Categories.
    Categorical(CategoricalPair),
}

impl Pair {
    /// Both samples by block.
    pub fn blocked(&self) -> Option<&Blocked> {
        match self {
            Pair::Numeric(p) => p.blocked.as_deref(),
            Pair::Categorical(p) => p.blocked.as_deref(),
        }
    }

    /// Sets how rows depend on each other, or weigh.
    pub fn set_blocked(&mut self, blocked: Arc<Blocked>) {
        match self {
            Pair::Numeric(p) => p.blocked = Some(blocked),
            Pair::Categorical(p) => p.blocked = Some(blocked),
        }
    }

    /// Whether a side has weights that are not equal.
    pub fn is_weighed(&self) -> bool {
        let (r, c) = self.sides();
        r.unequal().is_some() || c.unequal().is_some()
    }

    /// Counts of the reference and of the current sample.
    pub fn sides(&self) -> (&Side, &Side) {
        match self {
            Pair::Numeric(p) => (&p.reference, &p.current),
            Pair::Categorical(p) => (&p.reference, &p.current),
        }
    }
}
