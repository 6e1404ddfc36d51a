//! Exact sums: mean and variance that no order of rows can change.
//!
//! Without a grid the sums are those of the values and of their exact squares. With one, floats are
//! summed about the grid's centre `c`: `d = fl(x - c)` and `fl(d * d)` are functions of each value
//! alone, so their exact sums are canonical too, and cost two rounded operations a value instead of
//! a 106-bit product. Integers are always summed exactly about zero.

use crate::Result;
use crate::codec::{Reader, Writer};
use crate::states::exact_sum::{Sum, SumOfSquares, add_block, decompose, variance};

/// Exact sums of the finite values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    sum: Sum,
    squares: SumOfSquares,
}

/// What the sums are taken about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Center {
    /// Zero, with exact squares.
    None,
    /// A frozen centre, with squares rounded per value.
    At(f64),
}

impl Moments {
    /// Adds a block of at most [`crate::kernels::BLOCK`] finite values.
    pub fn update_f64(&mut self, values: &[f64], center: Center) {
        match center {
            Center::None => {
                add_block(&mut self.sum, values);
                for x in values {
                    self.add_square(*x, 1);
                }
            }
            Center::At(c) => {
                let mut buffer = [0.0; crate::kernels::BLOCK];
                let d = &mut buffer[..values.len()];
                for (d, x) in d.iter_mut().zip(values) {
                    *d = x - c;
                }
                add_block(&mut self.sum, d);
                let mut overflow = false;
                let mut squares = [0.0; crate::kernels::BLOCK];
                let s = &mut squares[..values.len()];
                for (s, d) in s.iter_mut().zip(d.iter()) {
                    *s = d * d;
                    overflow |= !s.is_finite();
                }
                if overflow {
                    for d in d.iter() {
                        self.add_rounded_square(*d, 1);
                    }
                } else {
                    add_block(&mut self.squares, s);
                }
            }
        }
    }

    /// Adds one finite value `count` times.
    pub fn add_f64(&mut self, x: f64, count: u64, center: Center) {
        match center {
            Center::None => {
                self.sum.add_f64(x, count);
                self.add_square(x, count);
            }
            Center::At(c) => {
                let d = x - c;
                self.sum.add_f64(d, count);
                self.add_rounded_square(d, count);
            }
        }
    }

    fn add_square(&mut self, x: f64, count: u64) {
        let (_, m, e) = decompose(x);
        self.add_square_of(m, 2 * e, count);
    }

    fn add_rounded_square(&mut self, d: f64, count: u64) {
        let s = d * d;
        if s.is_finite() {
            self.squares.add_f64(s, count);
        } else {
            self.add_square(d, count);
        }
    }

    /// `magnitude^2 * 2^exponent`, `count` times, in two parts that cannot leave 128 bits.
    fn add_square_of(&mut self, magnitude: u64, exponent: i32, count: u64) {
        let square = u128::from(magnitude) * u128::from(magnitude);
        let (low, high) = (square & u128::from(u64::MAX), square >> 64);
        self.squares
            .add_scaled(false, low * u128::from(count), exponent);
        self.squares
            .add_scaled(false, high * u128::from(count), exponent + 64);
    }

    /// Adds integers.
    pub fn update_i64(&mut self, values: &[i64]) {
        let mut sum = 0i128;
        let small = values.iter().fold(0u64, |m, v| m | v.unsigned_abs()) < 1 << 31;
        if small {
            let mut squares = 0u128;
            for block in values.chunks(crate::kernels::BLOCK) {
                sum += i128::from(block.iter().sum::<i64>());
                squares += u128::from(
                    block
                        .iter()
                        .map(|v| (v * v) as u64)
                        .fold(0u64, |a, b| a + (b >> 16)),
                );
                // Two halves keep 512 squares below 2^62 inside 64 bits each.
                let low = block.iter().map(|v| (v * v) as u64 & 0xffff).sum::<u64>();
                self.squares.add_scaled(false, u128::from(low), 0);
            }
            self.squares.add_scaled(false, squares, 16);
        } else {
            for v in values {
                sum += i128::from(*v);
                self.add_square_of(v.unsigned_abs(), 0, 1);
            }
        }
        self.sum.add_i128(sum);
    }

    /// Adds one integer `count` times.
    pub fn add_integer(&mut self, negative: bool, magnitude: u64, count: u64) {
        self.sum
            .add_scaled(negative, u128::from(magnitude) * u128::from(count), 0);
        self.add_square_of(magnitude, 0, count);
    }

    /// Adds another state taken about the same centre.
    pub fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// Mean of `n` values taken about `center`; NaN without a value.
    pub fn mean(&self, n: u64, center: f64) -> f64 {
        center + self.sum.divided_by(n)
    }

    /// Variance with denominator n - 1; NaN below two values.
    pub fn variance(&self, n: u64) -> f64 {
        variance(&self.sum, &self.squares, n)
    }

    /// The exact sum as an integer, when it is one.
    pub fn integer_sum(&self) -> Option<i128> {
        self.sum.to_i128()
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        self.sum.encode(w);
        self.squares.encode(w);
    }

    /// Reads what [`Moments::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            sum: Sum::decode(r)?,
            squares: SumOfSquares::decode(r)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_equal_their_naive_twin(values in prop::collection::vec(prop_oneof![any::<i64>(), -1000..1000i64], 0..600)) {
            let (mut fast, mut slow) = (Moments::default(), Moments::default());
            fast.update_i64(&values);
            for v in &values {
                slow.add_integer(*v < 0, v.unsigned_abs(), 1);
            }
            prop_assert_eq!(&fast, &slow);
            prop_assert_eq!(fast.integer_sum(), Some(values.iter().map(|v| i128::from(*v)).sum()));
        }

        #[test]
        fn floats_equal_their_naive_twin(values in prop::collection::vec(-1e3..1e3f64, 0..512), c in -5.0..5.0f64) {
            for center in [Center::None, Center::At(c)] {
                let (mut fast, mut slow) = (Moments::default(), Moments::default());
                fast.update_f64(&values, center);
                values.iter().for_each(|x| slow.add_f64(*x, 1, center));
                prop_assert_eq!(fast, slow);
            }
        }
    }
}
