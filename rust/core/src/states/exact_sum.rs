//! Exact sums of floats and integers: one wide two's-complement integer, rounded once at the end.
//!
//! The sum of any multiset of f64 is a multiple of 2^-1074 below 2^1088, the sum of their squares a
//! multiple of 2^-2148 below 2^2112; both fit a fixed array of 64-bit limbs. Addition of integers is
//! associative and commutative, so the state is a function of the multiset alone (Neal 2015,
//! "Fast exact summation using small and large superaccumulators").

use crate::codec::{Reader, Writer};
use crate::{Error, Result};

/// Sum of values: bit 0 of limb 0 weighs 2^-1088.
pub type Sum = ExactSum<35>;
/// Sum of squares: bit 0 of limb 0 weighs 2^-2176.
pub type SumOfSquares = ExactSum<70>;

/// A fixed-point integer of `N` 64-bit limbs whose point lies in the middle of its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactSum<const N: usize> {
    limbs: [u64; N],
}

impl<const N: usize> Default for ExactSum<N> {
    fn default() -> Self {
        Self { limbs: [0; N] }
    }
}

impl<const N: usize> ExactSum<N> {
    /// Weight of bit 0, as a power of two: 17 limbs below the point for sums, 34 for squares.
    const BASE: i32 = -64 * ((N as i32 - 1) / 2);

    /// Zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `magnitude * 2^exponent`, negated when `negative`.
    ///
    /// The lowest bit must not lie below the base, nor the result above the top limb: true for every
    /// finite f64 (or square of one) and fewer than 2^63 additions.
    #[inline]
    pub fn add_scaled(&mut self, negative: bool, magnitude: u128, exponent: i32) {
        if magnitude == 0 {
            return;
        }
        let position = exponent - Self::BASE;
        debug_assert!(position >= 0, "below the base");
        let (limb, shift) = ((position / 64) as usize, (position % 64) as u32);
        // 128 bits shifted by up to 63 span three limbs.
        let low = magnitude << shift;
        let high = if shift == 0 {
            0
        } else {
            (magnitude >> (128 - shift)) as u64
        };
        let parts = [low as u64, (low >> 64) as u64, high];
        if negative {
            self.subtract(limb, parts);
        } else {
            self.add(limb, parts);
        }
    }

    fn add(&mut self, limb: usize, parts: [u64; 3]) {
        let mut carry = false;
        for (i, slot) in self.limbs.iter_mut().skip(limb).enumerate() {
            let part = parts.get(i).copied().unwrap_or(0);
            if i >= 3 && !carry {
                break;
            }
            let (a, c1) = slot.overflowing_add(part);
            let (b, c2) = a.overflowing_add(u64::from(carry));
            *slot = b;
            carry = c1 | c2;
        }
    }

    fn subtract(&mut self, limb: usize, parts: [u64; 3]) {
        let mut borrow = false;
        for (i, slot) in self.limbs.iter_mut().skip(limb).enumerate() {
            let part = parts.get(i).copied().unwrap_or(0);
            if i >= 3 && !borrow {
                break;
            }
            let (a, c1) = slot.overflowing_sub(part);
            let (b, c2) = a.overflowing_sub(u64::from(borrow));
            *slot = b;
            borrow = c1 | c2;
        }
    }

    /// Adds a finite float `count` times.
    #[inline]
    pub fn add_f64(&mut self, x: f64, count: u64) {
        let (negative, mantissa, exponent) = decompose(x);
        self.add_scaled(negative, u128::from(mantissa) * u128::from(count), exponent);
    }

    /// Adds an integer.
    pub fn add_i128(&mut self, v: i128) {
        self.add_scaled(v < 0, v.unsigned_abs(), 0);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        let mut carry = false;
        for (a, b) in self.limbs.iter_mut().zip(&other.limbs) {
            let (s, c1) = a.overflowing_add(*b);
            let (s, c2) = s.overflowing_add(u64::from(carry));
            *a = s;
            carry = c1 | c2;
        }
    }

    /// Takes another sum away.
    pub fn subtract_sum(&mut self, other: &Self) {
        let mut borrow = false;
        for (a, b) in self.limbs.iter_mut().zip(&other.limbs) {
            let (s, c1) = a.overflowing_sub(*b);
            let (s, c2) = s.overflowing_sub(u64::from(borrow));
            *a = s;
            borrow = c1 | c2;
        }
    }

    /// Whether the sum is below zero.
    pub fn is_negative(&self) -> bool {
        self.limbs[N - 1] >> 63 == 1
    }

    /// Sign and magnitude.
    fn magnitude(&self) -> (bool, [u64; N]) {
        let mut limbs = self.limbs;
        let negative = self.is_negative();
        if negative {
            let mut carry = true;
            for l in &mut limbs {
                let (v, c) = (!*l).overflowing_add(u64::from(carry));
                *l = v;
                carry = c;
            }
        }
        (negative, limbs)
    }

    /// The sum rounded to the nearest f64, ties to even.
    pub fn to_f64(&self) -> f64 {
        let (negative, limbs) = self.magnitude();
        let v = round(&limbs, Self::BASE);
        if negative { -v } else { v }
    }

    /// The sum divided by `n`, rounded once; NaN when `n` is 0. The sum itself may lie beyond f64.
    pub fn divided_by(&self, n: u64) -> f64 {
        if n == 0 {
            return f64::NAN;
        }
        let (negative, mut limbs) = self.magnitude();
        let mut rest = 0u128;
        for l in limbs.iter_mut().rev() {
            let v = rest << 64 | u128::from(*l);
            *l = (v / u128::from(n)) as u64;
            rest = v % u128::from(n);
        }
        // What is left decides ties only; the lowest bit lies far below the smallest f64.
        limbs[0] |= u64::from(rest != 0);
        let v = round(&limbs, Self::BASE);
        if negative { -v } else { v }
    }

    /// The sum divided by `n` without the rest; unchanged when `n` is 0.
    pub fn quotient(&self, n: u64) -> Self {
        let (negative, mut limbs) = self.magnitude();
        let mut rest = 0u128;
        for l in limbs.iter_mut().rev() {
            let v = rest << 64 | u128::from(*l);
            *l = (v / u128::from(n.max(1))) as u64;
            rest = v % u128::from(n.max(1));
        }
        let all = Self { limbs };
        let mut out = Self::new();
        if negative {
            out.subtract_sum(&all);
            return out;
        }
        all
    }

    /// The sum as an integer, when it is one that fits.
    pub fn to_i128(&self) -> Option<i128> {
        let point = (-Self::BASE / 64) as usize;
        let (negative, limbs) = self.magnitude();
        if limbs[..point].iter().any(|l| *l != 0) || limbs[point + 2..].iter().any(|l| *l != 0) {
            return None;
        }
        let v = u128::from(limbs[point]) | u128::from(limbs[point + 1]) << 64;
        let v = i128::try_from(v).ok()?;
        Some(if negative { -v } else { v })
    }

    /// Sign, index of the lowest limb that is not zero, and the limbs from there up.
    pub fn encode(&self, w: &mut Writer) {
        let (negative, limbs) = self.magnitude();
        let used = |l: &u64| *l != 0;
        let Some(low) = limbs.iter().position(used) else {
            w.u8(0);
            return;
        };
        let high = limbs.iter().rposition(used).unwrap_or(low);
        w.u8(if negative { 2 } else { 1 });
        w.u8(low as u8);
        w.u8((high - low) as u8);
        for l in &limbs[low..=high] {
            w.u64(*l);
        }
    }

    /// Reads what [`ExactSum::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let mut sum = Self::new();
        let sign = r.u8()?;
        match sign {
            0 => return Ok(sum),
            1 | 2 => {}
            s => return Err(Error::corrupt(format!("sign {s} of a sum; 0, 1 or 2"))),
        }
        let (low, len) = (r.u8()? as usize, r.u8()? as usize + 1);
        if low + len > N {
            return Err(Error::corrupt("a sum with more limbs than its kind has"));
        }
        for slot in &mut sum.limbs[low..low + len] {
            *slot = r.u64()?;
        }
        if sum.limbs[low] == 0 || sum.limbs[low + len - 1] == 0 || sum.is_negative() {
            return Err(Error::corrupt("a sum not in its shortest form"));
        }
        if sign == 2 {
            let (mut carry, limbs) = (true, &mut sum.limbs);
            for l in limbs.iter_mut() {
                let (v, c) = (!*l).overflowing_add(u64::from(carry));
                *l = v;
                carry = c;
            }
        }
        Ok(sum)
    }
}

/// Sign, mantissa and exponent of a finite float: `x = ±mantissa * 2^exponent`.
#[inline]
pub fn decompose(x: f64) -> (bool, u64, i32) {
    let bits = x.to_bits();
    let biased = (bits >> 52) as i32 & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    (bits >> 63 == 1, mantissa, exponent)
}

/// Rounds the magnitude held in `limbs` (bit 0 weighs `2^base`) to the nearest f64, ties to even.
fn round(limbs: &[u64], base: i32) -> f64 {
    let Some(top) = limbs.iter().rposition(|l| *l != 0) else {
        return 0.0;
    };
    let bit = |i: i64| -> u64 {
        if i < 0 {
            0
        } else {
            limbs[(i / 64) as usize] >> (i % 64) & 1
        }
    };
    let high = top as i64 * 64 + 63 - i64::from(limbs[top].leading_zeros());
    // 53 significant bits, fewer where the result is subnormal.
    let lowest = (high - 52).max(i64::from(-1074 - base));
    let mut mantissa = 0u64;
    for i in (lowest..=high).rev() {
        mantissa = mantissa << 1 | bit(i);
    }
    let half = bit(lowest - 1) == 1;
    let sticky = (0..(lowest - 1).max(0)).any(|i| bit(i) == 1);
    if half && (sticky || mantissa & 1 == 1) {
        mantissa += 1;
    }
    libm::ldexp(mantissa as f64, lowest as i32 + base)
}

/// `n * squares - sum^2` divided by `n (n - 1)`, computed in integers and rounded at the end: the
/// variance with denominator n - 1, right however far the values lie from zero. NaN below two values.
pub fn variance(sum: &Sum, squares: &SumOfSquares, n: u64) -> f64 {
    if n < 2 {
        return f64::NAN;
    }
    scatter(sum, squares, n.into()) / (n as f64) / ((n - 1) as f64)
}

/// `n * squares - sum^2`, computed in integers and rounded once; 0 where bytes say less.
pub fn scatter(sum: &Sum, squares: &SumOfSquares, n: u128) -> f64 {
    let (_, s) = sum.magnitude();
    let (_, q) = squares.magnitude();
    // Two limbs more than the sum of squares for the factor n; the square of the sum is no larger.
    let mut left = [0u64; 72];
    for (shift, factor) in [n as u64, (n >> 64) as u64].into_iter().enumerate() {
        let mut carry = 0u128;
        let limbs = q.iter().chain([0, 0].iter());
        for (slot, limb) in left.iter_mut().skip(shift).zip(limbs) {
            let v = u128::from(*limb) * u128::from(factor) + u128::from(*slot) + carry;
            *slot = v as u64;
            carry = v >> 64;
        }
    }
    let mut right = [0u64; 72];
    for (i, a) in s.iter().enumerate().filter(|(_, a)| **a != 0) {
        let mut carry = 0u128;
        for (j, slot) in right.iter_mut().skip(i).enumerate() {
            let b = s.get(j).copied().unwrap_or(0);
            let v = u128::from(*a) * u128::from(b) + u128::from(*slot) + carry;
            *slot = v as u64;
            carry = v >> 64;
        }
    }
    // Cauchy-Schwarz makes the difference non-negative for true sums; rounded squares (about a
    // centre) may fall an ulp below, and decoded bytes may hold anything.
    let mut borrow = false;
    for (a, b) in left.iter_mut().zip(&right) {
        let (v, b1) = a.overflowing_sub(*b);
        let (v, b2) = v.overflowing_sub(u64::from(borrow));
        *a = v;
        borrow = b1 | b2;
    }
    if borrow {
        return 0.0;
    }
    round(&left, SumOfSquares::BASE)
}

/// Adds the exact sum of `values` (finite, at most 512) to `sum`.
///
/// Each value is split against anchors 42 bits apart; the parts are sums of at most 512 multiples
/// of one power of two that stay below 2^53 of it, so plain float additions are exact and vectorise
/// (Demmel and Hida 2004). Blocks whose values span more than three parts take the slow way.
pub fn add_block<const N: usize>(sum: &mut ExactSum<N>, values: &[f64]) {
    debug_assert!(values.len() <= 512);
    let max = max_abs(values);
    if max == 0.0 {
        return;
    }
    let (_, mantissa, exponent) = decompose(max);
    let e = exponent + 63 - mantissa.leading_zeros() as i32; // |x| < 2^(e+1)
    if !(-800..=1000).contains(&e) {
        return slow_block(sum, values);
    }
    let anchor = |unit: i32| 1.5 * libm::ldexp(1.0, unit + 52);
    let (m1, m2, m3) = (anchor(e - 41), anchor(e - 83), anchor(e - 125));
    const L: usize = 8;
    let (mut s1, mut s2, mut s3, mut rest) = ([0.0; L], [0.0; L], [0.0; L], [0.0f64; L]);
    let chunks = values.chunks_exact(L);
    let mut tail = [0.0; L];
    tail[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    let tail = [tail];
    let lanes = chunks
        .map(|c| <[f64; L]>::try_from(c).unwrap_or([0.0; L]))
        .chain(tail);
    for x in lanes {
        for i in 0..L {
            let h1 = (x[i] + m1) - m1;
            let r1 = x[i] - h1;
            let h2 = (r1 + m2) - m2;
            let r2 = r1 - h2;
            let h3 = (r2 + m3) - m3;
            let r3 = r2 - h3;
            s1[i] += h1;
            s2[i] += h2;
            s3[i] += h3;
            rest[i] = if r3.abs() > rest[i] {
                r3.abs()
            } else {
                rest[i]
            };
        }
    }
    if rest.iter().any(|r| *r != 0.0) {
        return slow_block(sum, values);
    }
    for part in [s1, s2, s3] {
        sum.add_f64(part.iter().sum(), 1);
    }
}

/// The obvious twin of [`add_block`].
pub fn slow_block<const N: usize>(sum: &mut ExactSum<N>, values: &[f64]) {
    for x in values {
        sum.add_f64(*x, 1);
    }
}

/// Largest absolute value, 0 of an empty slice.
#[inline]
fn max_abs(values: &[f64]) -> f64 {
    let mut m = [0.0f64; 8];
    let chunks = values.chunks_exact(8);
    for (i, x) in chunks.remainder().iter().enumerate() {
        m[i] = x.abs();
    }
    for c in chunks {
        for i in 0..8 {
            let a = c[i].abs();
            m[i] = if a > m[i] { a } else { m[i] };
        }
    }
    m.iter().fold(0.0, |a, b| if *b > a { *b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>()
                .prop_map(f64::from_bits)
                .prop_filter("finite", |x| x.is_finite()),
            -1e3..1e3f64,
            Just(1e308),
            Just(-1e308),
            Just(5e-324),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn blocks_equal_the_slow_twin(values in prop::collection::vec(finite(), 0..64)) {
            let (mut fast, mut slow) = (Sum::new(), Sum::new());
            add_block(&mut fast, &values);
            slow_block(&mut slow, &values);
            prop_assert_eq!(&fast, &slow);
            let mut w = Writer::new();
            fast.encode(&mut w);
            let bytes = w.into_bytes();
            prop_assert_eq!(Sum::decode(&mut Reader::new(&bytes)).unwrap(), slow);
        }

        #[test]
        fn similar_magnitudes_equal_the_slow_twin(values in prop::collection::vec(-5.0..5.0f64, 0..512)) {
            let (mut fast, mut slow) = (Sum::new(), Sum::new());
            add_block(&mut fast, &values);
            slow_block(&mut slow, &values);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn integers_sum_like_integers(values in prop::collection::vec(any::<i64>(), 0..50)) {
            let mut sum = Sum::new();
            values.iter().for_each(|v| sum.add_i128(i128::from(*v)));
            prop_assert_eq!(sum.to_i128(), Some(values.iter().map(|v| i128::from(*v)).sum()));
        }

        #[test]
        fn one_value_comes_back(x in finite()) {
            let mut sum = Sum::new();
            sum.add_f64(x, 1);
            prop_assert_eq!(sum.to_f64(), x);
        }
    }

    #[test]
    fn cancellation_is_exact() {
        let mut sum = Sum::new();
        add_block(&mut sum, &[1e308, 1.0, -1e308]);
        assert_eq!(sum.to_f64(), 1.0);
    }

    #[test]
    fn variance_far_from_zero_is_exact() {
        let (mut sum, mut squares) = (Sum::new(), SumOfSquares::new());
        for x in [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0] {
            let (neg, m, e) = decompose(x);
            sum.add_scaled(neg, u128::from(m), e);
            squares.add_scaled(false, u128::from(m) * u128::from(m), 2 * e);
        }
        assert_eq!(variance(&sum, &squares, 4), 30.0);
    }
}
