//! An order-free digest of rows: equal for the same rows in any order, split, file or encoding.
//!
//! A value is hashed under a seed of its column (its name and what kind of value it holds), the hashes of a
//! row are added modulo 2^128 and hashed again, which binds them to one row, and the hashes of rows are added
//! modulo 2^128. Sums of parts add up to the sum of the whole.
//!
//! It tells that a table that was compacted, sorted or written by another engine holds the same rows. It is
//! no signature: who may choose rows can find others with the same sum (Wagner 2002); the digests of the
//! files' bytes are what a forger cannot match.

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::value::{Logical, Slice};

/// Hashes the values of one column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnHash {
    seed: u64,
    null: u128,
    /// Factor that brings stored integers to nanoseconds; 1 for what is no time.
    factor: i128,
}

impl ColumnHash {
    /// The hash of a column of this name and type: width, unit and encoding do not matter, integers of
    /// either sign are one kind.
    pub fn new(name: &str, logical: Logical) -> Self {
        let (kind, factor) = match logical {
            Logical::Bool => ("bool".to_owned(), 1),
            Logical::Int | Logical::UInt => ("integer".into(), 1),
            Logical::Float => ("float".into(), 1),
            Logical::Decimal { scale } => (format!("decimal {scale}"), 1),
            Logical::Date => ("date".into(), 1),
            Logical::Time { unit } => ("time".into(), 1_000_000_000 / unit.per_second()),
            Logical::Timestamp { unit, zoned: true } => {
                ("instant".into(), 1_000_000_000 / unit.per_second())
            }
            Logical::Timestamp { unit, zoned: false } => {
                ("timestamp".into(), 1_000_000_000 / unit.per_second())
            }
            Logical::Duration { unit } => ("duration".into(), 1_000_000_000 / unit.per_second()),
            Logical::String => ("string".into(), 1),
            Logical::Binary => ("binary".into(), 1),
        };
        let hash = blake3::hash(format!("tidegauge.rows/1\0{kind}\0{name}").as_bytes());
        let seed = hash.as_bytes()[..8]
            .iter()
            .rev()
            .fold(0u64, |seed, byte| seed << 8 | u64::from(*byte));
        Self {
            seed,
            null: xxh3_128_with_seed(b"", !seed),
            factor: i128::from(factor),
        }
    }

    /// The hash of a missing value.
    pub fn null(&self) -> u128 {
        self.null
    }

    /// Appends the hashes of values.
    pub fn extend(&self, values: Slice<'_>, into: &mut Vec<u128>) {
        let seed = self.seed;
        let integer = |v: i128| xxh3_128_with_seed(&v.to_le_bytes(), seed);
        let float = |v: f64| {
            // One NaN, and no negative zero.
            let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
            xxh3_128_with_seed(&v.to_bits().to_le_bytes(), seed)
        };
        match values {
            Slice::Bool(v) => {
                into.extend(v.iter().map(|v| xxh3_128_with_seed(&[u8::from(*v)], seed)));
            }
            Slice::I64(v) => into.extend(v.iter().map(|v| integer(i128::from(*v) * self.factor))),
            Slice::U64(v) => into.extend(v.iter().map(|v| integer(i128::from(*v)))),
            Slice::I128(v) => into.extend(v.iter().map(|v| integer(*v))),
            Slice::F32(v) => into.extend(v.iter().map(|v| float(f64::from(*v)))),
            Slice::F64(v) => into.extend(v.iter().map(|v| float(*v))),
            Slice::Bytes(v) => {
                into.extend((0..v.len()).map(|i| xxh3_128_with_seed(v.get(i), seed)));
            }
        }
    }
}

/// The hash of a row from the sum of the hashes of its values.
pub fn row(values: u128) -> u128 {
    xxh3_128(&values.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Bytes, TimeUnit};

    fn hashes(name: &str, logical: Logical, values: Slice<'_>) -> Vec<u128> {
        let mut into = Vec::new();
        ColumnHash::new(name, logical).extend(values, &mut into);
        into
    }

    #[test]
    fn width_unit_and_sign_do_not_matter() {
        let x = |v| hashes("x", Logical::Float, v);
        assert_eq!(x(Slice::F32(&[0.5, -0.0])), x(Slice::F64(&[0.5, 0.0])));
        let nan = f64::from_bits(0xfff8_0000_0000_0001);
        assert_eq!(x(Slice::F64(&[nan])), x(Slice::F64(&[f64::NAN])));
        let n = hashes("n", Logical::Int, Slice::I64(&[7]));
        assert_eq!(n, hashes("n", Logical::UInt, Slice::U64(&[7])));
        let t = |unit, v: i64| {
            let logical = Logical::Timestamp { unit, zoned: true };
            hashes("t", logical, Slice::I64(&[v]))
        };
        assert_eq!(t(TimeUnit::Ms, 5), t(TimeUnit::Ns, 5_000_000));
    }

    #[test]
    fn names_kinds_nulls_and_rows_matter() {
        let empty = Slice::Bytes(Bytes {
            offsets: &[0, 0],
            data: &[],
        });
        let text = hashes("s", Logical::String, empty);
        assert_ne!(text, hashes("t", Logical::String, empty));
        assert_ne!(text, hashes("s", Logical::Binary, empty));
        assert_ne!(text[0], ColumnHash::new("s", Logical::String).null());
        let one = hashes("n", Logical::Int, Slice::I64(&[1]))[0];
        let float = hashes("n", Logical::Float, Slice::F64(&[1.0]))[0];
        assert_ne!(one, float);
        // The same values in other rows are other rows.
        let a = hashes("a", Logical::Int, Slice::I64(&[1, 2]));
        let b = hashes("b", Logical::Int, Slice::I64(&[3, 4]));
        let sum = |x: [(u128, u128); 2]| {
            x.iter()
                .map(|(a, b)| row(a.wrapping_add(*b)))
                .fold(0u128, u128::wrapping_add)
        };
        assert_ne!(
            sum([(a[0], b[0]), (a[1], b[1])]),
            sum([(a[0], b[1]), (a[1], b[0])])
        );
    }
}
