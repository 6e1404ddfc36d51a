//! Sampling weights as integers, so that their sums do not depend on order.
//!
//! A weight is taken relative to a declared power of two and rounded to a multiple of `2^-88` of it:
//! exact for every f64 down to `2^-35` of the largest weight. What the rounding drops is below half
//! of `2^-88` of the largest weight a row. Squares, which enter variances alone, keep 44 bits.

use crate::codec::{Reader, Writer};
use crate::{Error, Result};

/// Bits of a weight below the declared power of two.
const BITS: i32 = 88;
/// Bits dropped from a weight before it is squared.
const DROPPED: u32 = 44;

/// How rows are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weighting {
    /// Every row counts once.
    #[default]
    None,
    /// Sampling weights of at most `2^exponent`: only their ratios matter.
    Sampling {
        /// The declared power of two.
        exponent: i32,
    },
}

impl Weighting {
    /// The weighting with the least power of two that holds every weight.
    ///
    /// # Errors
    /// When a weight is negative or not finite; the message names it and its row.
    pub fn of(weights: &[f64]) -> Result<Self> {
        let mut largest = 0.0_f64;
        for (row, &w) in weights.iter().enumerate() {
            if !(w >= 0.0 && w.is_finite()) {
                return Err(Error::invalid(format!(
                    "weight {w} in row {row}; weights are finite and not negative"
                )));
            }
            largest = largest.max(w);
        }
        let (fraction, exponent) = libm::frexp(largest);
        Ok(Weighting::Sampling {
            // An exact power of two needs no bit more.
            exponent: if fraction == 0.5 {
                exponent - 1
            } else {
                exponent
            },
        })
    }

    /// Whether rows carry weights.
    pub fn is_weighted(self) -> bool {
        self != Weighting::None
    }

    /// A weight relative to the declared power of two, rounded; 1 without weights.
    pub(super) fn relative(self, weight: f64, row: usize) -> Result<f64> {
        let Weighting::Sampling { exponent } = self else {
            return Ok(1.0);
        };
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(Error::invalid(format!(
                "weight {weight} in row {row}; weights are finite and not negative"
            )));
        }
        // Two steps, as 2^-exponent alone may lie outside f64.
        let half = exponent / 2;
        let x = libm::ldexp(libm::ldexp(weight, -half), half - exponent);
        if x > 1.0 {
            return Err(Error::invalid(format!(
                "weight {weight} in row {row} exceeds the declared largest weight of 2^{exponent}"
            )));
        }
        Ok(libm::ldexp(libm::rint(libm::ldexp(x, BITS)), -BITS))
    }

    pub(super) fn encode(self, w: &mut Writer) {
        match self {
            Weighting::None => w.u8(0),
            Weighting::Sampling { exponent } => {
                w.u8(1);
                w.u64(i64::from(exponent) as u64);
            }
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self> {
        match r.u8()? {
            0 => Ok(Weighting::None),
            1 => match i32::try_from(r.u64()? as i64) {
                Ok(exponent) if (-1100..=1100).contains(&exponent) => {
                    Ok(Weighting::Sampling { exponent })
                }
                _ => Err(Error::corrupt("exponent of weights")),
            },
            k => Err(Error::corrupt(format!("weighting {k}; 0 or 1"))),
        }
    }
}

/// The weight of a set of rows and the sum of its squares, in integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mass {
    sum: u128,
    squares: u128,
}

impl Mass {
    /// Adds one row of a relative weight.
    pub(super) fn add(&mut self, weighting: Weighting, relative: f64) -> Result<()> {
        let row = match weighting {
            Weighting::None => Mass { sum: 1, squares: 1 },
            Weighting::Sampling { .. } => {
                let sum = libm::ldexp(relative, BITS) as u128;
                let short = sum >> DROPPED;
                Mass {
                    sum,
                    squares: short * short,
                }
            }
        };
        self.merge(&row)
    }

    /// Adds the rows of another set.
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        let add = |a: u128, b: u128| a.checked_add(b).ok_or(Error::Overflow("weights"));
        *self = Mass {
            sum: add(self.sum, other.sum)?,
            squares: add(self.squares, other.squares)?,
        };
        Ok(())
    }

    /// Both sums as floats, relative to the declared power of two.
    pub(super) fn amount(&self, weighting: Weighting) -> Amount {
        match weighting {
            Weighting::None => Amount {
                w: self.sum as f64,
                w2: self.sum as f64,
            },
            Weighting::Sampling { .. } => Amount {
                w: libm::ldexp(self.sum as f64, -BITS),
                w2: libm::ldexp(self.squares as f64, 2 * (DROPPED as i32 - BITS)),
            },
        }
    }

    pub(super) fn encode(&self, weighting: Weighting, w: &mut Writer) {
        w.varint128(self.sum);
        if weighting.is_weighted() {
            w.varint128(self.squares);
        }
    }

    pub(super) fn decode(weighting: Weighting, r: &mut Reader<'_>) -> Result<Self> {
        let sum = r.varint128()?;
        let squares = if weighting.is_weighted() {
            r.varint128()?
        } else {
            sum
        };
        Ok(Mass { sum, squares })
    }
}

/// Sum of weights and of their squares.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Amount {
    pub w: f64,
    pub w2: f64,
}

impl Amount {
    /// Kish's (1965) effective number of rows.
    pub fn effective(self) -> f64 {
        if self.w2 > 0.0 {
            self.w * (self.w / self.w2)
        } else {
            0.0
        }
    }
}

impl std::ops::Add for Amount {
    type Output = Amount;
    fn add(self, other: Amount) -> Amount {
        Amount {
            w: self.w + other.w,
            w2: self.w2 + other.w2,
        }
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(rows: I) -> Amount {
        rows.fold(Amount::default(), |a, b| a + b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_f64_keep_their_value() {
        let weights = [0.1, 3.7, 1e-9, 0.0, 4.0];
        let weighting = Weighting::of(&weights).unwrap();
        assert_eq!(weighting, Weighting::Sampling { exponent: 2 });
        for w in weights {
            assert_eq!(4.0 * weighting.relative(w, 0).unwrap(), w);
        }
        assert!(weighting.relative(5.0, 7).is_err());
        assert!(Weighting::of(&[1.0, f64::NAN]).is_err());
        for extreme in [1e308, 5e-324] {
            let weighting = Weighting::of(&[extreme]).unwrap();
            let x = weighting.relative(extreme, 0).unwrap();
            assert!(x > 0.5 && x <= 1.0, "{extreme} became {x}");
        }
    }

    #[test]
    fn kish_effective_rows() {
        let mut mass = Mass::default();
        let weighting = Weighting::of(&[1.0, 2.0, 3.0]).unwrap();
        for w in [1.0, 2.0, 3.0] {
            mass.add(weighting, weighting.relative(w, 0).unwrap())
                .unwrap();
        }
        let effective = mass.amount(weighting).effective();
        assert!((effective - 36.0 / 14.0).abs() < 1e-12);
    }
}
