//! Weights of rows as integers, so that their sums do not depend on order.
//!
//! A sampling weight is rounded to a multiple of a power of two, the same for every file and thread:
//! [`Exponents`] finds it from the reference, where the weight in the middle gets [`BITS`] bits, and it
//! is frozen there. A state then counts a row as many times as its weight has units. A frequency
//! weight is an integer and counts the row as often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bits of the weight in the middle of the reference.
pub const BITS: i32 = 24;
/// Bits of the largest weight.
const MOST_BITS: u32 = 48;
/// Most units or rows of a column: products of two totals stay within 128 bits.
pub const MOST: u64 = 1 << 62;

/// The sampling weights of a profile: part of its content and frozen in the reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightRule {
    /// Column of the weights.
    pub column: String,
    /// Weights are multiples of 2 to this power.
    pub exponent: i32,
}

/// How many weights there are of each power of two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exponents(BTreeMap<i32, u64>);

impl Exponents {
    /// Counts a weight; those that are not positive and finite are left out.
    pub fn add(&mut self, weight: f64) {
        if weight > 0.0 && weight.is_finite() {
            *self.0.entry(libm::ilogb(weight)).or_default() += 1;
        }
    }

    /// Adds the counts of others.
    pub fn merge(&mut self, other: &Self) {
        for (exponent, n) in &other.0 {
            *self.0.entry(*exponent).or_default() += n;
        }
    }

    /// The power of two whose multiples the weights become; that of weights near 1 without any.
    pub fn unit(&self) -> i32 {
        let all: u64 = self.0.values().sum();
        let mut below = 0;
        let middle = self.0.iter().find(|(_, n)| {
            below += **n;
            2 * u128::from(below) >= u128::from(all)
        });
        middle.map_or(0, |(exponent, _)| *exponent) + 1 - BITS
    }
}

/// Why a row is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// No weight.
    Null,
    /// Not a number.
    Nan,
    /// Infinite.
    Infinite,
    /// Below zero.
    Negative,
    /// More units than a row may have.
    TooLarge,
    /// Above zero and less than half a unit.
    TooSmall,
    /// A frequency that is no integer.
    Fraction,
}

impl Refused {
    /// All reasons, in their order.
    pub const ALL: [Self; 7] = [
        Self::Null,
        Self::Nan,
        Self::Infinite,
        Self::Negative,
        Self::TooLarge,
        Self::TooSmall,
        Self::Fraction,
    ];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Nan => "NaN",
            Self::Infinite => "infinite",
            Self::Negative => "negative",
            Self::TooLarge => "too large",
            Self::TooSmall => "too small",
            Self::Fraction => "not an integer",
        }
    }
}

/// A weight in whole units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Units; 0 only for a weight of 0.
    pub count: u64,
    /// Whether the weight was rounded.
    pub rounded: bool,
}

/// How a weight becomes a number of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Sampling weights in multiples of 2 to this power.
    Sampling(i32),
    /// Integers: rows.
    Frequency,
}

impl Scale {
    /// The units of a weight.
    ///
    /// # Errors
    /// Why the row cannot be counted.
    pub fn units(self, weight: f64) -> Result<Units, Refused> {
        if weight.is_nan() {
            return Err(Refused::Nan);
        }
        if weight.is_infinite() {
            return Err(Refused::Infinite);
        }
        if weight < 0.0 {
            return Err(Refused::Negative);
        }
        match self {
            Scale::Frequency if libm::trunc(weight) != weight => Err(Refused::Fraction),
            Scale::Frequency if weight > (1u64 << MOST_BITS) as f64 => Err(Refused::TooLarge),
            Scale::Frequency => Ok(Units {
                count: weight as u64,
                rounded: false,
            }),
            Scale::Sampling(exponent) => {
                // Two steps, as 2^-exponent alone may lie outside f64.
                let half = exponent / 2;
                let x = libm::scalbn(libm::scalbn(weight, -half), half - exponent);
                if x >= (1u64 << MOST_BITS) as f64 {
                    return Err(Refused::TooLarge);
                }
                let count = libm::rint(x) as u64;
                if count == 0 && weight > 0.0 {
                    return Err(Refused::TooSmall);
                }
                Ok(Units {
                    count,
                    rounded: count as f64 != x,
                })
            }
        }
    }
}

/// Rows of one value, by their units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mass {
    /// Units.
    pub units: u64,
    /// Sum of the squares of the units of each row.
    pub squares: u128,
    /// Rows.
    pub rows: u64,
    /// Rows whose weight was rounded.
    pub rounded: u64,
    /// Greatest common divisor of the units of the rows; 0 without a row.
    pub common: u64,
}

impl Mass {
    /// Adds a row; one of no unit adds nothing.
    pub fn add(&mut self, row: Units) {
        if row.count > 0 {
            self.units = self.units.saturating_add(row.count);
            self.squares += u128::from(row.count) * u128::from(row.count);
            self.rows += 1;
            self.rounded += u64::from(row.rounded);
            self.common = gcd(row.count, self.common);
        }
    }

    /// Adds the rows of another value.
    pub fn merge(&mut self, other: &Self) {
        self.units = self.units.saturating_add(other.units);
        self.squares = self.squares.saturating_add(other.squares);
        self.rows += other.rows;
        self.rounded += other.rounded;
        self.common = gcd(self.common, other.common);
    }
}

/// Greatest common divisor; that of 0 and `b` is `b`.
pub fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_in_the_middle_sets_the_unit() {
        let mut e = Exponents::default();
        for w in [1.0, 1e300, 5e-324, -1.0, f64::NAN, f64::INFINITY, 1.5, 1.9] {
            e.add(w);
        }
        assert_eq!(e.unit(), -23);
        let scale = Scale::Sampling(e.unit());
        let units = |count, rounded| Ok(Units { count, rounded });
        assert_eq!(scale.units(1.0), units(1 << 23, false));
        assert_eq!(scale.units(0.1), units(838_861, true));
        assert_eq!(scale.units(0.0), units(0, false));
        assert_eq!(scale.units(-0.0), units(0, false));
        assert_eq!(scale.units(1e300), Err(Refused::TooLarge));
        assert_eq!(scale.units(5e-324), Err(Refused::TooSmall));
        assert_eq!(scale.units(-1.0), Err(Refused::Negative));
        assert_eq!(scale.units(f64::NAN), Err(Refused::Nan));
        assert_eq!(scale.units(f64::INFINITY), Err(Refused::Infinite));
        assert_eq!(Scale::Frequency.units(3.0), units(3, false));
        assert_eq!(Scale::Frequency.units(2.5), Err(Refused::Fraction));
    }

    #[test]
    fn weights_of_any_magnitude_keep_their_bits() {
        for w in [5e-324, 1e-310, 1e-5, 178_144.0, 1e300, f64::MAX] {
            let mut e = Exponents::default();
            e.add(w);
            let units = Scale::Sampling(e.unit()).units(w).unwrap().count;
            assert!((1 << 23..=1 << 24).contains(&units), "{w}: {units}");
        }
    }

    #[test]
    fn common_divisors() {
        assert_eq!((gcd(0, 6), gcd(6, 0), gcd(12, 18), gcd(7, 3)), (6, 6, 6, 1));
    }
}
