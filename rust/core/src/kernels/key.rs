//! Order-preserving integer keys: `a < b` exactly when `key(a) < key(b)`.

/// Key of a float that is not NaN; -0 gets the key of +0.
#[inline(always)]
pub fn of_f64(x: f64) -> u64 {
    let bits = (x + 0.0).to_bits(); // -0.0 + 0.0 is +0.0
    bits ^ (((bits as i64) >> 63) as u64 | 1 << 63)
}

/// Keys of a block of floats that are not NaN.
#[inline(never)]
pub fn of_block(values: &[f64], keys: &mut [u64]) {
    for (k, x) in keys.iter_mut().zip(values) {
        *k = of_f64(*x);
    }
}

/// The float a key came from.
#[inline(always)]
pub fn to_f64(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key ^ 1 << 63 } else { !key })
}

/// Key of a float rounded to single precision, in the low 32 bits.
#[inline(always)]
pub fn of_f32(x: f32) -> u64 {
    let bits = (x + 0.0).to_bits();
    u64::from(bits ^ (((bits as i32) >> 31) as u32 | 1 << 31))
}

/// The single-precision float a 32-bit key came from.
#[inline(always)]
pub fn to_f32(key: u64) -> f32 {
    let k = key as u32;
    f32::from_bits(if k >> 31 == 1 { k ^ 1 << 31 } else { !k })
}

/// Key of a signed integer.
#[inline(always)]
pub fn of_i64(v: i64) -> u64 {
    v as u64 ^ 1 << 63
}

/// The signed integer a key came from.
#[inline(always)]
pub fn to_i64(key: u64) -> i64 {
    (key ^ 1 << 63) as i64
}

/// A fixed mixing of 64 bits (the finaliser of SplitMix64): equal keys give equal hashes, and the
/// smallest hashes of a set are a uniform sample of it. Stored in profiles: never change it.
#[inline(always)]
pub fn mix(z: u64) -> u64 {
    let z = mix_but_last(z);
    z ^ z >> 31
}

/// [`mix`] before its last step, which leaves the top 31 bits as they are.
#[inline(always)]
pub fn mix_but_last(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_keep_order_and_come_back(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(a < b, of_f64(a) < of_f64(b));
            prop_assert_eq!(to_f64(of_f64(a)), a);
            prop_assert_eq!(to_f32(of_f32(a as f32)), a as f32);
            prop_assert!(a > b || of_f32(a as f32) <= of_f32(b as f32));
        }
    }
    #[test]
    fn zeros_share_a_key() {
        assert_eq!(of_f64(-0.0), of_f64(0.0));
        assert_eq!(of_f32(-0.0), of_f32(0.0));
    }
}
