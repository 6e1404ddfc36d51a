//! Sampling weights of importances: integers, so that sums do not depend on the order of the rows.
//!
//! With weights w the importance is the mean over pairs of different rows by the product of their weights,
//! `sum over i != k of w_i w_k d(i, k)` over the sum of `w_i w_k`. Leaving row i out in turn (the
//! jackknife) moves it by `w_i (R_i + C_i - 2 theta (W - w_i)) / B_i`, where R and C are the weighted sums
//! of its changes as a row and as a donor, W the sum of the weights and B_i what is left of the sum of
//! products. R is known when a row is scored, C of its cell afterwards: the square is expanded, and its
//! parts are summed by cell.

use super::u_statistic::{Estimate, Shape, jackknife_of};
use crate::{Error, Result};

/// Most units of all rows together, as a power of two.
const TOTAL_BITS: i32 = 62;
/// Most units of one row, as a power of two.
const ROW_BITS: i32 = 48;
/// Bits behind the point of sums of parts of squares: 2^34 rows of at most 1 stay within 128 bits.
const PART_BITS: i32 = 92;

/// Weights are multiples of 2 to this power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit(i32);

impl Unit {
    /// The unit of weights of at most `largest`, of so many rows: the largest weight keeps 48 bits of up to
    /// 2^14 rows, and one less for every doubling of these.
    ///
    /// # Errors
    /// When the largest weight is not positive and finite.
    pub fn of(largest: f64, rows: u64) -> Result<Self> {
        if !(largest > 0.0 && largest.is_finite()) {
            return Err(Error::invalid(format!(
                "a largest weight of {largest}; weights are finite and not negative, and one is above 0"
            )));
        }
        let above = u64::BITS - rows.max(1).leading_zeros();
        let bits = ROW_BITS.min(TOTAL_BITS - above as i32);
        Ok(Self(libm::frexp(largest).1 - bits))
    }

    /// The unit of this exponent.
    pub fn from_exponent(exponent: i32) -> Self {
        Self(exponent)
    }

    /// The exponent.
    pub fn exponent(self) -> i32 {
        self.0
    }

    /// A weight in units, rounded.
    ///
    /// # Errors
    /// When it is negative, not finite, or larger than the unit was made for.
    pub fn units(self, weight: f64, row: usize) -> Result<u64> {
        // Two steps, as 2^-exponent alone may lie outside f64.
        let half = self.0 / 2;
        let units = libm::rint(libm::ldexp(libm::ldexp(weight, -half), half - self.0));
        if weight >= 0.0 && units <= (1u64 << ROW_BITS) as f64 {
            Ok(units as u64)
        } else {
            Err(Error::invalid(format!(
                "weight {weight} in row {row}; weights are finite and not negative"
            )))
        }
    }
}

/// Sums over the rows with weight, known before the changes are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Rows with weight.
    pub rows: u64,
    /// Sum of the weights.
    pub all: u64,
    /// Sum of their squares.
    pub squares: u128,
    /// The largest.
    pub largest: u64,
}

impl Totals {
    /// Adds a row.
    pub fn add(&mut self, weight: u64) {
        self.rows += u64::from(weight > 0);
        self.all += weight;
        self.squares += u128::from(weight) * u128::from(weight);
        self.largest = self.largest.max(weight);
    }

    /// Adds the rows of another part.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.all += other.all;
        self.squares += other.squares;
        self.largest = self.largest.max(other.largest);
    }

    /// The sum of products over pairs of different rows.
    pub fn pairs(&self) -> u128 {
        (u128::from(self.all) * u128::from(self.all)).saturating_sub(self.squares)
    }

    /// Rows of equal weight that would have as many pairs: Kish's effective number.
    pub fn effective(&self) -> f64 {
        self.all as f64 * self.all as f64 / self.squares as f64
    }

    /// `w W` over what is left of the pairs without a row of weight w; 0 where nothing is left.
    fn share(&self, weight: u64) -> f64 {
        let (w, all) = (u128::from(weight), u128::from(self.all));
        let left = self.pairs().saturating_sub(2 * w * (all - w.min(all)));
        if left == 0 {
            0.0
        } else {
            (w * all) as f64 / left as f64
        }
    }

    /// What a sum over donors is divided by before it is multiplied by a weight, as bits: so that the sum of
    /// the products stays within 128 bits.
    pub fn shift(&self) -> u32 {
        u64::BITS - self.all.leading_zeros()
    }
}

/// Parts of powers of what leaving a row out moves, summed over rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parts {
    cells: Vec<[i128; 10]>,
    all: [i128; 5],
}

impl Parts {
    /// No rows yet.
    pub fn new(cells: usize) -> Self {
        Self {
            cells: vec![[0; 10]; cells],
            ..Self::default()
        }
    }

    /// Adds a row of a cell: its weight, and its changes summed over donors by weight, in units of which a
    /// change has at most `2^bits`.
    pub fn add(&mut self, cell: u32, weight: u64, sum: i128, totals: &Totals, bits: i32) {
        if weight == 0 {
            return;
        }
        let all = totals.all as f64;
        let a = totals.share(weight) / totals.share(totals.largest).max(f64::MIN_POSITIVE);
        let r = libm::ldexp(sum as f64 / all, -bits);
        let g = 1.0 - weight as f64 / all;
        let (a2, a3) = (a * a, a * a * a);
        let a4 = a2 * a2;
        let (r2, r3) = (r * r, r * r * r);
        let own = [
            a2,
            a2 * r,
            a2 * g,
            a3,
            a3 * r,
            a3 * r2,
            a4,
            a4 * r,
            a4 * r2,
            a4 * r3,
        ];
        for (s, x) in self.cells[cell as usize].iter_mut().zip(own) {
            *s += fixed(x);
        }
        let all = [a2 * r2, a2 * r * g, a2 * g * g, a3 * r3, a4 * r2 * r2];
        for (s, x) in self.all.iter_mut().zip(all) {
            *s += fixed(x);
        }
    }

    /// Adds the sums of another part.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.cells.iter_mut().zip(&other.cells) {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        }
        self.all
            .iter_mut()
            .zip(other.all)
            .for_each(|(a, b)| *a += b);
    }

    /// Calls `feed` with the bytes of the sums.
    pub fn bytes(&self, feed: &mut impl FnMut(&[u8])) {
        for s in self.cells.iter().flatten().chain(&self.all) {
            feed(&s.to_le_bytes());
        }
    }

    /// The importance, from donors' weights by cell and changes summed by weight over rows, by donor cell.
    pub fn finish(
        &self,
        totals: &Totals,
        counts: &[u64],
        columns: &[i128],
        quantum: f64,
        bits: i32,
    ) -> Estimate {
        let pairs = totals.pairs() as f64;
        let sum: f64 = counts
            .iter()
            .zip(columns)
            .map(|(n, c)| *n as f64 * (*c as f64 / pairs))
            .sum();
        let (n, all) = (totals.rows as f64, totals.all as f64);
        // In units of 2^bits of the loss from here on.
        let theta = libm::ldexp(sum, -bits);
        let [second, cross, squares, third, fourth] = self.all.map(parts);
        let mut moments = [
            second + 4.0 * theta * (theta * squares - cross),
            third,
            fourth,
        ];
        // The mean of 1 - w / W, which third and fourth moments take for all.
        let mean = 2.0 * theta * pairs / all / all;
        for (cell, column) in self.cells.iter().zip(columns) {
            let s = cell.map(parts);
            let c = libm::ldexp(*column as f64 / all, -bits);
            moments[0] += c * (2.0 * s[1] + c * s[0]) - 4.0 * theta * c * s[2];
            let e = c - mean;
            moments[1] += e * (3.0 * s[5] + e * (3.0 * s[4] + e * s[3]));
            moments[2] += e * (4.0 * s[9] + e * (6.0 * s[8] + e * (4.0 * s[7] + e * s[6])));
        }
        let spread = moments[0].max(0.0);
        let share = totals.share(totals.largest);
        let standard_error = if n > 2.0 && share > 0.0 {
            ((n - 1.0) / n * spread).sqrt() * share * libm::ldexp(quantum, bits)
        } else {
            f64::NAN
        };
        Estimate {
            value: sum * quantum,
            standard_error,
            shape: Shape::new(n, moments.map(|m| m / n), n - 1.0),
            used: true,
        }
    }
}

/// A number of at most 1 in fixed point.
fn fixed(x: f64) -> i128 {
    libm::ldexp(x, PART_BITS) as i128
}

fn parts(sum: i128) -> f64 {
    libm::ldexp(sum as f64, -PART_BITS)
}

/// The importance from the changes of each row summed by weight over donors, and of each donor over rows.
pub fn from_parts(rows: &[f64], donors: &[f64], weights: &[f64]) -> Estimate {
    let all: f64 = weights.iter().sum();
    let pairs = all * all - weights.iter().map(|w| w * w).sum::<f64>();
    let n = weights.iter().filter(|w| **w > 0.0).count() as f64;
    let value = rows.iter().zip(weights).map(|(r, w)| w * r).sum::<f64>() / pairs;
    let mut powers = [0.0; 3];
    for ((r, d), w) in rows.iter().zip(donors).zip(weights) {
        let left = pairs - 2.0 * w * (all - w);
        let p = w * (r + d - 2.0 * value * (all - w)) / left;
        powers[0] += p * p;
        powers[1] += p * p * p;
        powers[2] += p * p * p * p;
    }
    Estimate {
        value,
        standard_error: jackknife_of(n, powers[0]),
        shape: Shape::new(n, powers.map(|p| p / n), n - 1.0),
        used: true,
    }
}
