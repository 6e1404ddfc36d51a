//! Importance as a U-statistic: its value and its jackknife standard error from sums.
//!
//! With `d(i, k)` the change of row i's loss under donor k, the importance is the mean of d over pairs
//! i != k: a U-statistic of order two with the symmetric kernel `(d(i, k) + d(k, i)) / 2`. Its
//! variance has a part from the rows and a part from the donors; the jackknife over rows that are both
//! (Arvesen 1969) holds the two.

use crate::special::{normal_isf, normal_sf};

/// A sum of squares in 192 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Square {
    low: u128,
    high: u64,
}

impl Square {
    /// Adds the square of `sum / n`, the quotient rounded to an integer.
    #[inline]
    pub fn add(&mut self, sum: i128, n: u64) {
        if sum == 0 {
            return;
        }
        let mean = (sum as f64 / n as f64).abs() as u128;
        self.carry(mean * mean, 0);
    }

    fn carry(&mut self, low: u128, high: u64) {
        let (low, carry) = self.low.overflowing_add(low);
        self.low = low;
        self.high += high + u64::from(carry);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.carry(other.low, other.high);
    }

    fn to_f64(self) -> f64 {
        self.high as f64 * 2f64.powi(128) + self.low as f64
    }

    /// The bytes of the sum, lowest first.
    pub fn to_le_bytes(self) -> [u8; 24] {
        let mut out = [0; 24];
        out[..16].copy_from_slice(&self.low.to_le_bytes());
        out[16..].copy_from_slice(&self.high.to_le_bytes());
        out
    }
}

/// The importance of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// `e_switch - e_orig` over pairs of different rows.
    pub value: f64,
    /// Jackknife standard error; NaN below 3 rows.
    pub standard_error: f64,
    /// Whether some split of the model uses the feature; without one the importance is 0, not estimated.
    pub used: bool,
}

impl Estimate {
    /// Of a feature that no split uses.
    pub const UNUSED: Self = Self {
        value: 0.0,
        standard_error: 0.0,
        used: false,
    };

    /// From donors by cell, changes of loss by donor cell (summed over rows) and by row cell (summed over
    /// donors), and the sum over rows of the squared mean change; integers in units of `quantum`.
    pub fn new(
        n: u64,
        counts: &[u64],
        columns: &[i128],
        rows: &[i128],
        square: &Square,
        quantum: f64,
    ) -> Self {
        let pairs: i128 = counts
            .iter()
            .zip(columns)
            .map(|(n, c)| i128::from(*n) * c)
            .sum();
        let (n, others) = (n as f64, (n - 1) as f64);
        let value = pairs as f64 / n / others;
        // The sum of squares of row part plus donor part, whose mean is twice the value.
        let mut total = square.to_f64();
        for ((count, column), row) in counts.iter().zip(columns).zip(rows) {
            let donor = *column as f64 / others;
            total += donor * (*count as f64 * donor + 2.0 * (*row as f64 / others));
        }
        let spread = (total - n * 4.0 * value * value).max(0.0);
        Self {
            value: value * quantum,
            standard_error: jackknife(n, spread) * quantum,
            used: true,
        }
    }

    /// From the change of loss of each row summed over the other rows as donors, and of each donor summed
    /// over the other rows.
    pub fn from_parts(rows: &[f64], donors: &[f64]) -> Self {
        let n = rows.len() as f64;
        let others = n - 1.0;
        let value = rows.iter().sum::<f64>() / n / others;
        let part = |(r, d): (&f64, &f64)| (r + d) / others - 2.0 * value;
        let spread: f64 = rows.iter().zip(donors).map(part).map(|p| p * p).sum();
        Self {
            value,
            standard_error: jackknife(n, spread),
            used: true,
        }
    }

    /// Limits of the two-sided interval of level `1 - alpha`.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let reach = normal_isf(alpha / 2.0) * self.standard_error;
        (self.value - reach, self.value + reach)
    }

    /// Against the hypothesis that the importance is at most 0; none for a feature that is not used.
    pub fn pvalue(&self) -> Option<f64> {
        (self.standard_error > 0.0).then(|| normal_sf(self.value / self.standard_error))
    }
}

/// Of a U-statistic, from the sum of squares of row part plus donor part about twice the value; NaN below
/// 3 rows.
fn jackknife(n: f64, spread: f64) -> f64 {
    if n > 2.0 {
        ((n - 1.0) / n * spread).sqrt() / (n - 2.0)
    } else {
        f64::NAN
    }
}
