//! Counts of a column: rows of each special kind, sign, precision and extremes.

use crate::codec::{Reader, Writer};
use crate::{Error, Result};

/// Rows by kind; `min` and `max` are order-preserving keys of the finite values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Null rows.
    pub nulls: u64,
    /// NaN rows, whatever their payload.
    pub nan: u64,
    /// Rows holding minus infinity.
    pub neg_inf: u64,
    /// Rows holding plus infinity.
    pub pos_inf: u64,
    /// Decimals below -2^63 units of their last digit: ordered first, in no sum.
    pub below: u64,
    /// Decimals from 2^63 units of their last digit on: ordered last, in no sum.
    pub above: u64,
    /// Finite values (numeric) or all non-null values (categorical).
    pub finite: u64,
    /// Zeros of either sign; empty strings.
    pub zeros: u64,
    /// Finite values below zero; strings that are not valid UTF-8.
    pub negatives: u64,
    /// Finite values that single precision cannot hold exactly.
    pub not_f32: u64,
    /// Keys of the smallest and the largest finite value.
    pub range: Option<(u64, u64)>,
}

impl Counts {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.nulls + self.nan + self.neg_inf + self.pos_inf + self.below + self.above + self.finite
    }

    /// Every count divided by what divides them all.
    pub fn quotient(&self, by: u64) -> Self {
        let mut out = *self;
        out.fields().into_iter().for_each(|f| *f /= by.max(1));
        out
    }

    /// Whether these are the rows behind weighted counts: none more than weighted, and none where
    /// there is no weight.
    pub fn fits(&self, weighted: &Self) -> bool {
        let (mut a, mut b) = (*self, *weighted);
        let fields = a.fields().into_iter().zip(b.fields());
        let held = fields
            .into_iter()
            .all(|(rows, units)| *rows <= *units && (*rows == 0) == (*units == 0));
        held && self.range == weighted.range
    }

    /// Widens the range.
    #[inline]
    pub fn extend(&mut self, low: u64, high: u64) {
        self.range = Some(match self.range {
            None => (low, high),
            Some((a, b)) => (a.min(low), b.max(high)),
        });
    }

    fn fields(&mut self) -> [&mut u64; 10] {
        [
            &mut self.nulls,
            &mut self.nan,
            &mut self.neg_inf,
            &mut self.pos_inf,
            &mut self.below,
            &mut self.above,
            &mut self.finite,
            &mut self.zeros,
            &mut self.negatives,
            &mut self.not_f32,
        ]
    }

    /// Adds another state.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let mut other = *other;
        if let Some((low, high)) = other.range {
            self.extend(low, high);
        }
        for (a, b) in self.fields().into_iter().zip(other.fields()) {
            *a = a.checked_add(*b).ok_or(Error::Overflow("rows"))?;
        }
        let mut kinds = self.fields().into_iter().take(7).map(|f| *f);
        kinds
            .try_fold(0u64, u64::checked_add)
            .map(|_| ())
            .ok_or(Error::Overflow("rows"))
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        let mut copy = *self;
        for f in copy.fields() {
            w.varint(*f);
        }
        match self.range {
            None => w.u8(0),
            Some((low, high)) => {
                w.u8(1);
                w.u64(low);
                w.u64(high);
            }
        }
    }

    /// Reads what [`Counts::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let mut c = Self::default();
        let mut total = 0u64;
        for (i, f) in c.fields().into_iter().enumerate() {
            *f = r.varint()?;
            if i < 7 {
                total = total
                    .checked_add(*f)
                    .ok_or_else(|| Error::corrupt("more rows than 2^64"))?;
            }
        }
        c.range = match r.u8()? {
            0 => None,
            1 => Some((r.u64()?, r.u64()?)),
            b => return Err(Error::corrupt(format!("range flag {b}; 0 or 1"))),
        };
        let wrong = c.range.is_some_and(|(a, b)| a > b)
            || c.zeros > c.finite
            || c.negatives > c.finite
            || c.not_f32 > c.finite;
        if wrong {
            Err(Error::corrupt("counts that contradict each other"))
        } else {
            Ok(c)
        }
    }
}
