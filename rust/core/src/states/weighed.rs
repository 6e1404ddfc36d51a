//! What a state knows of its rows beside their weighted counts: the rows themselves, and the sums of
//! squared weights that sampling errors are made of.
//!
//! With weights `w`, the shares `p` of coarse cells are ratio estimators whose linearised covariance,
//! every row a cluster of its own, is `sum w^2 (1_j - p_j)(1_k - p_k) / (sum w)^2`: sums of squares by
//! cell say all of it, and those of `w^2 x` and `w^2 x^2` the variance of the mean. All are exact
//! integers, so the state is a function of the multiset of (weight, value).

use crate::codec::{Reader, Writer};
use crate::states::categories::Categories;
use crate::states::counts::Counts;
use crate::states::moments::{Center, Moments};
use crate::weights::{Mass, gcd};
use crate::{Error, Result};

/// Rows of one coarse cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Sum of squared units.
    pub squares: u128,
    /// Rows whose weight was rounded.
    pub rounded: u64,
}

/// The state.
#[derive(Debug, Clone)]
pub struct Weighed {
    /// Rows, each counted once.
    pub rows: Counts,
    /// Rows by category, each counted once.
    pub categories: Option<Categories>,
    /// Greatest common divisor of the units of all rows; 0 without a row.
    pub common: u64,
    /// By coarse cell, those of blocks.
    pub cells: Vec<Cell>,
    /// Sums of the finite values and their squares, each as often as its squared units.
    moments: Moments,
}

impl Weighed {
    /// No row; `categories` is an empty state of the column's own.
    pub fn new(cells: usize, categories: Option<Categories>) -> Self {
        Self {
            rows: Counts::default(),
            categories,
            common: 0,
            cells: vec![Cell::default(); cells],
            moments: Moments::default(),
        }
    }

    /// Adds rows to a coarse cell.
    pub fn add(&mut self, cell: usize, mass: &Mass) -> Result<()> {
        self.common = gcd(self.common, mass.common);
        let slot = &mut self.cells[cell];
        slot.squares = slot
            .squares
            .checked_add(mass.squares)
            .ok_or(Error::Overflow("squared weights"))?;
        slot.rounded += mass.rounded;
        Ok(())
    }

    /// Adds rows of a finite float to the sums.
    pub fn add_f64(&mut self, x: f64, mass: &Mass, center: Center) {
        self.moments.add_f64_times(x, mass.squares, center);
    }

    /// Adds rows of an integer to the sums.
    pub fn add_integer(&mut self, negative: bool, magnitude: u64, mass: &Mass) {
        self.moments
            .add_integer_times(negative, magnitude, mass.squares);
    }

    /// Sum of squared units over some cells.
    pub fn squares(&self, cells: impl IntoIterator<Item = usize>) -> u128 {
        let of = cells
            .into_iter()
            .filter_map(|i| self.cells.get(i).map(|c| c.squares));
        of.fold(0, u128::saturating_add)
    }

    /// Linearised variance of the mean of finite values: `n` units with that mean about the centre, and
    /// the sum of their squares.
    pub fn variance_of_mean(&self, n: u64, mean: f64, squares: u128) -> f64 {
        if n == 0 || squares == 0 {
            return f64::NAN;
        }
        let (within, own) = self.moments.central(squares);
        let d = own - mean;
        let n = n as f64;
        (within + d * d * squares as f64) / n / n
    }

    /// The same in units of what divides every weight, which `common` still tells.
    pub fn quotient(&self) -> Self {
        let by = self.common.max(1);
        let mut out = self.clone();
        for cell in &mut out.cells {
            cell.squares = cell.squares / u128::from(by) / u128::from(by);
        }
        out.moments = self.moments.quotient(by).quotient(by);
        out
    }

    /// Rows whose weight was rounded.
    pub fn rounded(&self) -> u64 {
        self.cells.iter().map(|c| c.rounded).sum()
    }

    /// Adds another state of the same column.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.cells.len() != other.cells.len() {
            return Err(Error::incompatible("weights on different cells"));
        }
        self.rows.merge(&other.rows)?;
        if let (Some(a), Some(b)) = (&mut self.categories, &other.categories) {
            a.merge(b)?;
        }
        self.common = gcd(self.common, other.common);
        for (a, b) in self.cells.iter_mut().zip(&other.cells) {
            a.squares = a
                .squares
                .checked_add(b.squares)
                .ok_or(Error::Overflow("squared weights"))?;
            a.rounded += b.rounded;
        }
        self.moments.merge(&other.moments);
        Ok(())
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        self.rows.encode(w);
        if let Some(c) = &self.categories {
            c.encode(w);
        }
        w.varint(self.common);
        for cell in &self.cells {
            w.varint128(cell.squares);
            w.varint(cell.rounded);
        }
        self.moments.encode(w);
    }

    /// Reads into an empty state what [`Weighed::encode`] wrote; `weighted` holds the weighted counts.
    pub fn decode(mut self, r: &mut Reader<'_>, weighted: &Counts) -> Result<Self> {
        self.rows = Counts::decode(r)?;
        if let Some(Categories::Framed {
            dictionary, cells, ..
        }) = &self.categories
        {
            let found = Categories::decode(r, dictionary.clone(), cells.len())?;
            if found.rows() != Some(self.rows.finite) {
                return Err(Error::corrupt("categories and rows disagree"));
            }
            self.categories = Some(found);
        }
        self.common = r.varint()?;
        let mut rounded = 0u64;
        let mut squares = 0u128;
        for cell in &mut self.cells {
            *cell = Cell {
                squares: r.varint128()?,
                rounded: r.varint()?,
            };
            rounded = rounded.saturating_add(cell.rounded);
            squares = squares.saturating_add(cell.squares);
        }
        self.moments = Moments::decode(r)?;
        let (rows, units) = (self.rows.rows(), weighted.rows());
        let (n, all) = (u128::from(rows), u128::from(units));
        let wrong = !self.rows.fits(weighted)
            || units > crate::weights::MOST
            || rounded > rows
            || (self.common == 0) != (rows == 0)
            || (rows > 0 && (units % self.common != 0 || all < n * u128::from(self.common)))
            // Between equal weights and one row that holds everything.
            || squares > all * all
            || squares.saturating_mul(n) < all * all;
        if wrong {
            return Err(Error::corrupt("weights that contradict the counts"));
        }
        Ok(self)
    }
}
