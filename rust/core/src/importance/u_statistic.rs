//! Importance as a U-statistic: its value and its jackknife standard error from sums.
//!
//! With `d(i, k)` the change of row i's loss under donor k, the importance is the mean of d over pairs
//! i != k: a U-statistic of order two with the symmetric kernel `(d(i, k) + d(k, i)) / 2`. Its
//! variance has a part from the rows and a part from the donors; the jackknife over rows that are both
//! (Arvesen 1969) holds the two.
//!
//! # Intervals
//! Importances are skewed, and what their standard error misses goes with them: an interval that is
//! symmetric covers a strong feature of heavy tails far too seldom. The sum of both parts of each row
//! (its influence) has a skewness and a kurtosis of its own; Hall's monotone cubic (1992, JRSS B 54:221)
//! takes the first out of the studentised importance, and Student's distribution with the degrees of
//! freedom that a variance of such a kurtosis has, 2 n / (kurtosis - 1), stands for the second.
//!
//! # Blocks
//! Of rows that hang together within a block, the influences of a block are added up and the block is
//! what is left out; degrees of freedom are also at most one less than the blocks, counted by the
//! squares of their rows where those differ (Carter, Schnepel and Steigerwald 2017).

use crate::special::{student_two_sided, student_two_sided_isf};

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

/// Bits that a mean change of loss keeps in sums of its third and fourth power.
const COARSE_BITS: u32 = 30;

/// Sums of higher powers of the mean changes of loss of rows: integers, in coarser units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Powers {
    /// Sum of squares and of cubes, by own cell.
    cells: Vec<(i128, i128)>,
    /// Sum of fourth powers.
    fourth: Square,
    /// Bits that the units are coarser by than those of the loss.
    shift: u32,
}

impl Powers {
    /// No rows yet, of losses below `2^bits` units.
    pub fn new(cells: usize, bits: u32) -> Self {
        Self {
            cells: vec![(0, 0); cells],
            fourth: Square::default(),
            shift: bits.saturating_sub(COARSE_BITS),
        }
    }

    /// Adds a row of a cell, whose changes over `n` donors add up to `sum`.
    #[inline]
    pub fn add(&mut self, cell: u32, sum: i128, n: u64) {
        if sum == 0 {
            return;
        }
        let mean = (sum as f64 / n as f64 / (1u64 << self.shift) as f64).round() as i64;
        let square = i128::from(mean) * i128::from(mean);
        let (squares, cubes) = &mut self.cells[cell as usize];
        *squares += square;
        *cubes += square * i128::from(mean);
        self.fourth.carry((square * square) as u128, 0);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.cells.iter_mut().zip(&other.cells) {
            a.0 += b.0;
            a.1 += b.1;
        }
        self.fourth.merge(&other.fourth);
    }

    /// Calls `feed` with the bytes of the sums.
    pub fn bytes(&self, feed: &mut impl FnMut(&[u8])) {
        for (squares, cubes) in &self.cells {
            feed(&squares.to_le_bytes());
            feed(&cubes.to_le_bytes());
        }
        feed(&self.fourth.to_le_bytes());
    }
}

/// How a sum of influences is distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Independent influences: rows, or blocks.
    pub units: f64,
    /// Third standardised moment of the influences.
    pub skewness: f64,
    /// Degrees of freedom of the standard error.
    pub freedom: f64,
    /// What they would be of influences without heavy tails.
    pub most: f64,
}

impl Shape {
    /// From central moments of the influences; degrees of freedom are at most `most`.
    pub fn new(units: f64, [second, third, fourth]: [f64; 3], most: f64) -> Self {
        let skewness = third / second.powf(1.5);
        let kurtosis = fourth / (second * second);
        // Rounding of the higher moments must not make a distribution that cannot be.
        let (skewness, kurtosis) = if kurtosis.is_finite() && kurtosis >= 1.0 + skewness * skewness
        {
            (skewness, kurtosis)
        } else {
            (0.0, 3.0)
        };
        Self {
            units,
            skewness,
            freedom: (2.0 * units / (kurtosis - 1.0).max(f64::MIN_POSITIVE)).min(most),
            most,
        }
    }

    /// Hall's cubic: what makes the skewed, studentised mean symmetric.
    fn straighten(&self, t: f64) -> f64 {
        let g = self.skewness / self.units.sqrt();
        t + g / 3.0 * t * t + g * g / 27.0 * t * t * t + g / 6.0
    }

    /// The inverse of the cubic.
    fn bend(&self, x: f64) -> f64 {
        let g = self.skewness / self.units.sqrt();
        let (a, x) = (g / 3.0, x - g / 6.0);
        if (a * x).abs() < 1e-6 {
            return x - a * x * x;
        }
        (libm::cbrt(1.0 + 3.0 * a * x) - 1.0) / a
    }
}

/// The importance of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// `e_switch - e_orig` over pairs of different rows.
    pub value: f64,
    /// Jackknife standard error; NaN below 3 rows.
    pub standard_error: f64,
    /// Of the influences.
    pub shape: Shape,
    /// Whether some split of the model uses the feature; without one the importance is 0, not estimated.
    pub used: bool,
}

impl Estimate {
    /// Of a feature that no split uses.
    pub const UNUSED: Self = Self {
        value: 0.0,
        standard_error: 0.0,
        shape: Shape {
            units: 0.0,
            skewness: 0.0,
            freedom: 0.0,
            most: 0.0,
        },
        used: false,
    };

    /// From donors by cell, changes of loss by donor cell (summed over rows) and by row cell (summed over
    /// donors), and the sums over rows of powers of the mean change; integers in units of `quantum`.
    pub fn new(
        n: u64,
        counts: &[u64],
        columns: &[i128],
        rows: &[i128],
        (square, powers): (&Square, &Powers),
        quantum: f64,
    ) -> Self {
        let pairs: i128 = counts
            .iter()
            .zip(columns)
            .map(|(n, c)| i128::from(*n) * c)
            .sum();
        let (n, others) = (n as f64, (n - 1) as f64);
        let value = pairs as f64 / n / others;
        // Sums of powers of row part plus donor part, whose mean is twice the value.
        let unit = (1u64 << powers.shift) as f64;
        let mut total = square.to_f64();
        let (mut third, mut fourth) = (0.0, powers.fourth.to_f64() * unit.powi(4));
        let cells = counts.iter().zip(columns).zip(rows).zip(&powers.cells);
        for (((count, column), row), (squares, cubes)) in cells {
            let (k, c) = (*count as f64, *column as f64 / others);
            let first = *row as f64 / others;
            let (second, cubed) = (*squares as f64 * unit.powi(2), *cubes as f64 * unit.powi(3));
            total += c * (k * c + 2.0 * first);
            third += cubed + c * (3.0 * second + c * (3.0 * first + c * k));
            fourth += c * (4.0 * cubed + c * (6.0 * second + c * (4.0 * first + c * k)));
        }
        let mean = 2.0 * value;
        let spread = (total - n * mean * mean).max(0.0);
        let (m2, m3, m4) = (total / n, third / n, fourth / n);
        let moments = [
            spread / n,
            m3 - mean * (3.0 * m2 - 2.0 * mean * mean),
            m4 - mean * (4.0 * m3 - mean * (6.0 * m2 - 3.0 * mean * mean)),
        ];
        Self {
            value: value * quantum,
            standard_error: jackknife(n, spread) * quantum,
            shape: Shape::new(n, moments, n - 1.0),
            used: true,
        }
    }

    /// From the change of loss of each row summed over the other rows as donors, and of each donor summed
    /// over the other rows.
    pub fn from_parts(rows: &[f64], donors: &[f64]) -> Self {
        let n = rows.len() as f64;
        let others = n - 1.0;
        let value = rows.iter().sum::<f64>() / n / others;
        let mut powers = [0.0; 3];
        for (r, d) in rows.iter().zip(donors) {
            let p = (r + d) / others - 2.0 * value;
            powers[0] += p * p;
            powers[1] += p * p * p;
            powers[2] += p * p * p * p;
        }
        Self {
            value,
            standard_error: jackknife(n, powers[0]),
            shape: Shape::new(n, powers.map(|p| p / n), n - 1.0),
            used: true,
        }
    }

    /// The same importance with a standard error by blocks, from the sum of the influences of each block
    /// (row part plus donor part, not centred) and its rows; NaN below 2 blocks.
    pub fn by_block(&self, blocks: &[(f64, u64)]) -> Self {
        let held: Vec<(f64, f64)> = blocks.iter().map(|(sum, n)| (*sum, *n as f64)).collect();
        self.by_weighted_block(&held)
    }

    /// The same from the sum of the influences and the weight of each block.
    pub fn by_weighted_block(&self, blocks: &[(f64, f64)]) -> Self {
        let held: Vec<(f64, f64)> = blocks.iter().copied().filter(|b| b.1 > 0.0).collect();
        let units = held.len() as f64;
        let n: f64 = held.iter().map(|b| b.1).sum();
        let centred = |(sum, k): &(f64, f64)| sum - 2.0 * k * self.value;
        let (mut spread, mut powers) = (0.0, [0.0; 3]);
        for block in &held {
            let p = centred(block);
            // The importance without the block's rows and donors, less the importance.
            let moved = n * p / ((n - block.1) * (n - block.1));
            spread += moved * moved;
            powers[0] += p * p;
            powers[1] += p * p * p;
            powers[2] += p * p * p * p;
        }
        let square = |k: f64| k * k;
        let squares: f64 = held.iter().map(|b| square(b.1)).sum();
        let fourth: f64 = held.iter().map(|b| square(square(b.1))).sum();
        let effective = squares * squares / fourth;
        let standard_error = if self.used && units >= 2.0 {
            ((units - 1.0) / units * spread).sqrt()
        } else if self.used {
            f64::NAN
        } else {
            0.0
        };
        Self {
            value: self.value,
            standard_error,
            shape: Shape::new(units, powers.map(|p| p / units), effective - 1.0),
            used: self.used,
        }
    }

    /// Limits of the two-sided interval of level `1 - alpha`.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        if self.standard_error == 0.0 {
            return (self.value, self.value);
        }
        let reach = student_two_sided_isf(alpha, self.shape.freedom);
        (
            self.value - self.standard_error * self.shape.bend(reach),
            self.value - self.standard_error * self.shape.bend(-reach),
        )
    }

    /// Against the hypothesis that the importance is at most 0; none for a feature that is not used.
    pub fn pvalue(&self) -> Option<f64> {
        (self.standard_error > 0.0).then(|| {
            let t = self.shape.straighten(self.value / self.standard_error);
            let both = student_two_sided(t, self.shape.freedom);
            if t > 0.0 {
                0.5 * both
            } else {
                1.0 - 0.5 * both
            }
        })
    }
}

/// From the sum of squares of what leaving each of n rows out moves; NaN below 3 rows.
pub(super) fn jackknife_of(n: f64, moved: f64) -> f64 {
    if n > 2.0 {
        ((n - 1.0) / n * moved).sqrt()
    } else {
        f64::NAN
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cubic_and_its_inverse() {
        for skewness in [-20.0, -1.0, -1e-9, 0.0, 1e-4, 3.0, 50.0] {
            let shape = Shape {
                units: 40.0,
                skewness,
                freedom: 39.0,
                most: 39.0,
            };
            for t in [-6.0, -1.0, 0.0, 0.3, 5.0] {
                let back = shape.bend(shape.straighten(t));
                assert!((back - t).abs() < 1e-6, "{skewness} {t} {back}");
            }
        }
    }

    #[test]
    fn an_interval_leaves_out_zero_where_the_test_rejects() {
        let rows: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17) - 5.0).collect();
        let e = Estimate::from_parts(&rows, &rows);
        for alpha in [0.01, 0.1, 0.3, 0.6] {
            let (low, high) = e.interval(alpha);
            assert!(low < e.value && e.value < high);
            assert_eq!(low > 0.0, e.pvalue().unwrap() < alpha / 2.0);
        }
    }

    #[test]
    fn blocks_of_one_row_are_rows() {
        let rows: Vec<f64> = (0..60).map(|i| f64::from(i * 7 % 23) - 4.0).collect();
        let donors: Vec<f64> = (0..60).map(|i| f64::from(i * 5 % 19) - 2.0).collect();
        let sum: f64 = rows.iter().sum::<f64>() - donors.iter().sum::<f64>();
        let donors: Vec<f64> = donors.iter().map(|d| d + sum / 60.0).collect();
        let e = Estimate::from_parts(&rows, &donors);
        let blocks: Vec<(f64, u64)> = rows
            .iter()
            .zip(&donors)
            .map(|(r, d)| ((r + d) / 59.0, 1))
            .collect();
        let of_blocks = e.by_block(&blocks);
        assert!((of_blocks.standard_error / e.standard_error - 1.0).abs() < 0.001);
        assert!((of_blocks.shape.skewness - e.shape.skewness).abs() < 1e-9);
        assert!((of_blocks.shape.freedom - e.shape.freedom).abs() < 1e-6);
        // One large block among small ones leaves few degrees of freedom.
        let uneven: Vec<(f64, u64)> = (0..10)
            .map(|i| (1.0, if i == 0 { 100 } else { 10 }))
            .collect();
        assert!(e.by_block(&uneven).shape.freedom < 1.0);
        assert!(e.by_block(&[(1.0, 60)]).standard_error.is_nan());
    }
}
