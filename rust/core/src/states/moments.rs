//! Exact sums: mean and variance that no order of rows can change.
//!
//! Without a grid the sums are those of the values and of their exact squares. With one, floats are
//! summed about the grid's centre `c`: `d = fl(x - c)` and `fl(d * d)` are functions of each value
//! alone, so their exact sums are canonical too, and cost two rounded operations a value instead of
//! a 106-bit product. Integers are always summed exactly about zero.

use crate::Result;
use crate::codec::{Reader, Writer};
use crate::kernels::BLOCK;
use crate::states::exact_sum::{Sum, SumOfSquares, add_block, decompose, scatter, variance};

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

impl Center {
    /// What a value adds to the sum.
    pub fn offset(self, x: f64) -> f64 {
        match self {
            Center::None => x,
            Center::At(c) => x - c,
        }
    }
}

impl Moments {
    /// Adds a block of at most [`BLOCK`] finite values whose extremes are `range`.
    pub fn update_f64(&mut self, values: &[f64], range: (f64, f64), center: Center) {
        let Center::At(c) = center else {
            add_block(&mut self.sum, values);
            return self.add_squares(values, range);
        };
        // Rounding keeps order, so the extremes of x - c are those of x, less c.
        let reach = (range.0 - c).abs().max((range.1 - c).abs());
        let parts = Splits::new(reach).map(|splits| (splits.sum(values, c), splits));
        let fits = parts.map_or((false, false), |(p, s)| s.exact(p.least));
        if let Some((p, _)) = parts {
            if fits.0 {
                self.sum.add_f64(p.sum.0, 1);
                self.sum.add_f64(p.sum.1, 1);
            }
            if fits.1 {
                self.squares.add_f64(p.squares.0, 1);
                self.squares.add_f64(p.squares.1, 1);
            }
        }
        if fits == (true, true) || reach == 0.0 {
            return;
        }
        let mut buffer = [0.0; BLOCK];
        let d = &mut buffer[..values.len()];
        for (d, x) in d.iter_mut().zip(values) {
            *d = x - c;
        }
        if !fits.0 {
            add_block(&mut self.sum, d);
        }
        if !fits.1 {
            if (reach * reach).is_finite() {
                d.iter_mut().for_each(|d| *d *= *d);
                add_block(&mut self.squares, d);
            } else {
                d.iter().for_each(|d| self.add_rounded_square(*d, 1));
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

    /// Adds one finite value as often as 128 bits count.
    pub fn add_f64_times(&mut self, x: f64, count: u128, center: Center) {
        let d = center.offset(x);
        let square = Some(d * d).filter(|s| center != Center::None && s.is_finite());
        let (negative, m, e) = decompose(d);
        for (part, shift) in [(count as u64, 0), ((count >> 64) as u64, 64)] {
            self.sum
                .add_scaled(negative, u128::from(m) * u128::from(part), e + shift);
            match square.map(decompose) {
                Some((_, m, e)) => {
                    self.squares
                        .add_scaled(false, u128::from(m) * u128::from(part), e + shift)
                }
                None => self.add_square_of(m, 2 * e + shift, part),
            }
        }
    }

    /// Adds one integer as often as 128 bits count.
    pub fn add_integer_times(&mut self, negative: bool, magnitude: u64, count: u128) {
        for (part, shift) in [(count as u64, 0), ((count >> 64) as u64, 64)] {
            self.sum
                .add_scaled(negative, u128::from(magnitude) * u128::from(part), shift);
            self.add_square_of(magnitude, shift, part);
        }
    }

    /// Adds the exact squares of a block: those of one exponent are integers of one unit, of 106 bits,
    /// and 512 of them fit 128.
    fn add_squares(&mut self, values: &[f64], (low, high): (f64, f64)) {
        const BINS: i32 = 64;
        let (_, _, top) = decompose(low.abs().max(high.abs()));
        let mut bins = [0u128; BINS as usize];
        for x in values {
            let (_, m, e) = decompose(*x);
            match bins.get_mut((top - e) as usize) {
                Some(bin) => *bin += u128::from(m) * u128::from(m),
                None => self.add_square(*x, 1),
            }
        }
        for (i, bin) in (0..BINS).zip(bins).filter(|(_, bin)| *bin > 0) {
            self.squares.add_scaled(false, bin, 2 * (top - i));
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

    /// Adds a block of at most [`BLOCK`] signed integers whose extremes are `range`.
    pub fn update_i64(&mut self, values: &[i64], (low, high): (i64, i64)) {
        if high.wrapping_sub(low) as u64 >> 32 == 0 {
            let offsets = values.iter().map(|v| v.wrapping_sub(low) as u64);
            return self.add_near(low.into(), offsets);
        }
        for v in values {
            self.add_integer(*v < 0, v.unsigned_abs(), 1);
        }
    }

    /// Adds a block of at most [`BLOCK`] unsigned integers whose extremes are `range`.
    pub fn update_u64(&mut self, values: &[u64], (low, high): (u64, u64)) {
        if (high - low) >> 32 == 0 {
            return self.add_near(low.into(), values.iter().map(|v| v - low));
        }
        for v in values {
            self.add_integer(false, *v, 1);
        }
    }

    /// Adds integers given by their offsets, below 2^32, from an integer of 64 bits: the squares of
    /// offsets fit 64 bits, and so do the sums of their halves.
    fn add_near(&mut self, low: i128, offsets: impl ExactSizeIterator<Item = u64>) {
        let n = offsets.len() as u64;
        let (mut sum, mut lows, mut highs) = (0, 0, 0);
        for w in offsets {
            let w = w & 0xffff_ffff;
            let square = w * w;
            sum += w;
            lows += square & 0xffff_ffff;
            highs += square >> 32;
        }
        // The sum of (low + w)^2 is n low^2 + 2 low sum(w) + sum(w^2).
        self.sum.add_i128(low * i128::from(n) + i128::from(sum));
        self.add_square_of(low.unsigned_abs() as u64, 0, n);
        self.squares.add_i128(2 * low * i128::from(sum));
        self.squares.add_scaled(false, u128::from(lows), 0);
        self.squares.add_scaled(false, u128::from(highs), 32);
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

    /// The exact sum of the values about their centre.
    pub fn sum(&self) -> &Sum {
        &self.sum
    }

    /// The sums divided by what divides every count of a value.
    pub fn quotient(&self, by: u64) -> Self {
        Self {
            sum: self.sum.quotient(by),
            squares: self.squares.quotient(by),
        }
    }

    /// Sum of squares of `n` values about their mean, and that mean about the centre.
    pub fn central(&self, n: u128) -> (f64, f64) {
        let count = n as f64;
        let squares = scatter(&self.sum, &self.squares, n) / count;
        (squares, self.sum.to_f64() / count)
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

/// Where the offsets of a block from its centre, and their squares, are cut in two: the parts are
/// multiples of one power of two each, and few enough for plain additions of them to be exact and
/// to vectorise (Demmel and Hida 2004).
///
/// With |x| < 2^(e+1) and the cut at 2^(e-42), 512 high parts stay below 2^53 units of the cut, and
/// 512 low parts below 2^(e-34). The low parts are exact multiples of the last place of the smallest
/// offset, 2^-52 of it at the least; as long as that is 2^(e-87) or more their sum fits 53 bits too.
#[derive(Debug, Clone, Copy)]
struct Splits {
    cut: f64,
    square_cut: f64,
    /// Smallest offset, and smallest square of one, that leaves the sums exact.
    least: (f64, f64),
}

/// Sums of the two parts, high and low, of offsets and of squares.
#[derive(Debug, Clone, Copy)]
struct Parts {
    sum: (f64, f64),
    squares: (f64, f64),
    /// Smallest absolute offset that is not zero.
    least: f64,
}

impl Splits {
    /// Cuts for offsets up to `reach`; none where powers of two would leave the range.
    fn new(reach: f64) -> Option<Self> {
        if !(1e-100..1e100).contains(&reach) {
            return None;
        }
        let power = |e: i32| f64::from_bits(((1023 + e) as u64) << 52);
        let exponent = |x: f64| (x.to_bits() >> 52) as i32 - 1023;
        let (e, s) = (exponent(reach), exponent(reach * reach));
        Some(Self {
            // Adding and taking away 1.5 * 2^52 units rounds to whole units.
            cut: 1.5 * power(e - 42 + 52),
            square_cut: 1.5 * power(s - 42 + 52),
            least: (power(e - 35), power(s - 35)),
        })
    }

    /// Whether the sums of offsets, and those of squares, are exact.
    fn exact(&self, least: f64) -> (bool, bool) {
        (least >= self.least.0, least * least >= self.least.1)
    }

    #[inline(never)]
    fn sum(&self, values: &[f64], c: f64) -> Parts {
        let mut lanes = Lanes::default();
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            lanes.add(*chunk, c, self);
        }
        if !rest.is_empty() {
            // Repeats of the centre add nothing, but hide the smallest offset.
            let mut tail = [c; LANES];
            tail[..rest.len()].copy_from_slice(rest);
            lanes.add(tail, c, self);
        }
        let mut least = lanes.least.into_iter().fold(f64::INFINITY, f64::min);
        if least == 0.0 {
            let offsets = values.iter().map(|x| (x - c).abs()).filter(|a| *a > 0.0);
            least = offsets.fold(f64::INFINITY, f64::min);
        }
        let total = |lanes: [f64; LANES]| lanes.iter().sum();
        Parts {
            sum: (total(lanes.high), total(lanes.low)),
            squares: (total(lanes.square_high), total(lanes.square_low)),
            least,
        }
    }
}

const LANES: usize = 4;

#[derive(Clone, Copy)]
struct Lanes {
    high: [f64; LANES],
    low: [f64; LANES],
    square_high: [f64; LANES],
    square_low: [f64; LANES],
    least: [f64; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        let zero = [0.0; LANES];
        Self {
            high: zero,
            low: zero,
            square_high: zero,
            square_low: zero,
            least: [f64::INFINITY; LANES],
        }
    }
}

impl Lanes {
    #[inline(always)]
    fn add(&mut self, values: [f64; LANES], c: f64, at: &Splits) {
        for (i, x) in values.into_iter().enumerate() {
            let d = x - c;
            let h = (d + at.cut) - at.cut;
            self.high[i] += h;
            self.low[i] += d - h;
            let s = d * d;
            let h = (s + at.square_cut) - at.square_cut;
            self.square_high[i] += h;
            self.square_low[i] += s - h;
            let a = d.abs();
            self.least[i] = if a < self.least[i] { a } else { self.least[i] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_equal_their_naive_twin(
            values in prop::collection::vec(prop_oneof![any::<i64>(), -1000..1000i64], 0..600),
            near in prop::collection::vec(0..1i64 << 33, 0..600),
            at in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX - (1 << 33))],
        ) {
            let near: Vec<i64> = near.iter().map(|v| v.saturating_add(at)).collect();
            for values in [values, near] {
                let (mut fast, mut slow) = (Moments::default(), Moments::default());
                for block in values.chunks(BLOCK) {
                    let low = block.iter().copied().min().unwrap();
                    fast.update_i64(block, (low, block.iter().copied().max().unwrap()));
                }
                for v in &values {
                    slow.add_integer(*v < 0, v.unsigned_abs(), 1);
                }
                prop_assert_eq!(&fast, &slow);
                prop_assert_eq!(fast.integer_sum(), Some(values.iter().map(|v| i128::from(*v)).sum()));
            }
        }

        #[test]
        fn unsigned_integers_equal_their_naive_twin(
            far in prop::collection::vec(any::<u64>(), 1..100),
            near in prop::collection::vec(0..1u64 << 33, 1..BLOCK),
            at in prop_oneof![any::<u64>(), Just(u64::MAX - (1 << 32)), Just(0)],
        ) {
            let near: Vec<u64> = near.iter().map(|v| v.saturating_add(at)).collect();
            let close: Vec<u64> = near.iter().map(|v| v / 4).collect();
            for values in [far, near, close] {
                let (mut fast, mut slow) = (Moments::default(), Moments::default());
                let low = values.iter().copied().min().unwrap();
                fast.update_u64(&values, (low, values.iter().copied().max().unwrap()));
                values.iter().for_each(|v| slow.add_integer(false, *v, 1));
                prop_assert_eq!(&fast, &slow);
            }
        }

        #[test]
        fn floats_equal_their_naive_twin(
            near in prop::collection::vec(-1e3..1e3f64, 0..=BLOCK),
            wide in prop::collection::vec(prop_oneof![any::<f64>(), -2.0..2.0f64].prop_filter_map("finite", |x: f64| x.is_finite().then_some(x)), 0..60),
            c in prop_oneof![-5.0..5.0f64, Just(0.0), Just(1.0)],
            scale in prop_oneof![Just(1.0), Just(1e-18), Just(1e-150), Just(1e120)],
        ) {
            // Offsets of every size, exact zeros, and a few tiny ones among large ones.
            let mut mixed = near.clone();
            mixed.iter_mut().step_by(7).for_each(|x| *x = c);
            mixed.iter_mut().step_by(31).for_each(|x| *x = c + *x * scale);
            for values in [near, wide, mixed] {
                let range = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
                for center in [Center::None, Center::At(c)] {
                    let (mut fast, mut slow) = (Moments::default(), Moments::default());
                    if !values.is_empty() {
                        fast.update_f64(&values, range, center);
                    }
                    values.iter().for_each(|x| slow.add_f64(*x, 1, center));
                    prop_assert_eq!(fast, slow);
                }
            }
        }
    }
}
