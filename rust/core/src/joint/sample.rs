//! A sample of rows that no order, split or number of threads changes.
//!
//! Rows have priorities: a keyed hash of the columns that identify them, else of their whole content. The
//! `k` distinct rows with the smallest priorities are kept, with their multiplicities. A row that is kept in
//! the end has been kept since it was first met, since the largest priority kept only falls; so one pass
//! counts exactly, and merging samples of parts gives the sample of the whole.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::kernels::key::mix;
use crate::value::{Logical, Slice, TimeUnit};

/// 128 bits of hash: two different rows agree with a chance of 1e-29 among 1e5.
pub type Hash = u128;

/// Seeds that keep kinds of values apart.
mod kind {
    pub const INTEGER: u64 = 1;
    pub const FLOAT: u64 = 2;
    pub const DECIMAL: u64 = 3;
    pub const BOOL: u64 = 4;
    pub const BYTES: u64 = 5;
    pub const DATE: u64 = 6;
    pub const TIME: u64 = 7;
    pub const TIMESTAMP: u64 = 8;
    pub const DURATION: u64 = 9;
}

/// Hash of a null.
pub const NULL: Hash = 0;

fn integer(v: i128) -> Hash {
    xxh3_128_with_seed(&v.to_le_bytes(), kind::INTEGER)
}

/// Whole numbers hash as integers, whatever their type; all NaN are one, -0 is 0.
fn float(x: f64) -> Hash {
    if x.is_finite() && libm::trunc(x) == x && x.abs() < 1e38 {
        return integer(x as i128);
    }
    let bits = if x.is_nan() { f64::NAN } else { x }.to_bits();
    xxh3_128_with_seed(&bits.to_le_bytes(), kind::FLOAT)
}

fn decimal(mut v: i128, mut scale: i32) -> Hash {
    while scale > 0 && v % 10 == 0 {
        (v, scale) = (v / 10, scale - 1);
    }
    let whole = 10_i128
        .checked_pow(u32::try_from(-scale).unwrap_or(0))
        .and_then(|p| v.checked_mul(p));
    match whole {
        Some(whole) if scale <= 0 => integer(whole),
        _ => {
            let mut bytes = [0; 20];
            bytes[..16].copy_from_slice(&v.to_le_bytes());
            bytes[16..].copy_from_slice(&scale.to_le_bytes());
            xxh3_128_with_seed(&bytes, kind::DECIMAL)
        }
    }
}

/// Times hash as nanoseconds, whatever their unit.
fn time(v: i64, unit: TimeUnit, kind: u64) -> Hash {
    let nanoseconds = i128::from(v) * i128::from(1_000_000_000 / unit.per_second());
    xxh3_128_with_seed(&nanoseconds.to_le_bytes(), kind)
}

/// Hash of one value of a column of this type; equal values have equal hashes in every width and encoding.
pub fn hash(logical: Logical, values: Slice<'_>, at: usize) -> Hash {
    match (logical, values) {
        (_, Slice::Bool(v)) => xxh3_128_with_seed(&[u8::from(v[at])], kind::BOOL),
        (Logical::Date, Slice::I64(v)) => xxh3_128_with_seed(&v[at].to_le_bytes(), kind::DATE),
        (Logical::Time { unit }, Slice::I64(v)) => time(v[at], unit, kind::TIME),
        (Logical::Timestamp { unit, .. }, Slice::I64(v)) => time(v[at], unit, kind::TIMESTAMP),
        (Logical::Duration { unit }, Slice::I64(v)) => time(v[at], unit, kind::DURATION),
        (_, Slice::I64(v)) => integer(i128::from(v[at])),
        (_, Slice::U64(v)) => integer(i128::from(v[at])),
        (_, Slice::F32(v)) => float(f64::from(v[at])),
        (_, Slice::F64(v)) => float(v[at]),
        (Logical::Decimal { scale }, Slice::I128(v)) => decimal(v[at], i32::from(scale)),
        (_, Slice::I128(v)) => integer(v[at]),
        (_, Slice::Bytes(v)) => xxh3_128_with_seed(v.get(at), kind::BYTES),
    }
}

/// A row's hash with one more column; columns are taken in the order of their names.
pub fn combine(row: Hash, value: Hash) -> Hash {
    let low = mix(row as u64 ^ value as u64);
    let high = mix((row >> 64) as u64 ^ (value >> 64) as u64 ^ low.rotate_left(23));
    u128::from(mix(low ^ high.rotate_left(41))) | u128::from(high) << 64
}

/// Priority of a hash under a seed.
pub fn priority(of: Hash, seed: u64) -> Hash {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&of.to_le_bytes());
    bytes[16..].copy_from_slice(&seed.to_le_bytes());
    xxh3_128(&bytes)
}

/// Where one of a row's copies is, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the row in the source.
    pub row: u64,
    /// Rows with this content.
    pub count: u64,
}

/// The distinct rows with the smallest priorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSample {
    k: usize,
    /// Rows offered.
    pub rows: u64,
    entries: BTreeMap<(Hash, Hash), Place>,
}

impl RowSample {
    /// The empty sample of at most `k` distinct rows.
    pub fn new(k: usize) -> Self {
        RowSample {
            k,
            rows: 0,
            entries: BTreeMap::new(),
        }
    }

    /// Offers a row.
    pub fn offer(&mut self, priority: Hash, content: Hash, row: u64) {
        self.rows += 1;
        self.add((priority, content), Place { row, count: 1 });
    }

    fn add(&mut self, key: (Hash, Hash), place: Place) {
        let full = self.entries.len() >= self.k;
        if full
            && self
                .entries
                .last_key_value()
                .is_none_or(|(last, _)| key > *last)
        {
            return;
        }
        self.entries
            .entry(key)
            .and_modify(|held| {
                held.count = held.count.saturating_add(place.count);
                held.row = held.row.min(place.row);
            })
            .or_insert(place);
        if self.entries.len() > self.k {
            self.entries.pop_last();
        }
    }

    /// Adds the sample of other rows under the same seed.
    pub fn merge(&mut self, other: &RowSample) {
        self.rows = self.rows.saturating_add(other.rows);
        for (key, place) in &other.entries {
            self.add(*key, *place);
        }
    }

    /// The rows kept, in ascending order of priority.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.entries.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(sample: &RowSample) -> Vec<((Hash, Hash), u64)> {
        sample.entries.iter().map(|(k, p)| (*k, p.count)).collect()
    }

    #[test]
    fn any_split_and_order_gives_the_same_rows_and_counts() {
        let rows: Vec<Hash> = (0..5000_u64)
            .map(|i| integer(i128::from(mix(i) % 700)))
            .collect();
        let of = |rows: &[Hash]| {
            let mut s = RowSample::new(40);
            rows.iter().for_each(|h| s.offer(priority(*h, 3), *h, 0));
            s
        };
        let whole = of(&rows);
        assert_eq!(whole.entries.len(), 40);
        for (key, place) in &whole.entries {
            let held = rows.iter().filter(|h| **h == key.1).count() as u64;
            assert_eq!(place.count, held);
        }
        let reversed: Vec<Hash> = rows.iter().rev().copied().collect();
        assert_eq!(keys(&of(&reversed)), keys(&whole));
        for parts in [2, 7, 1000] {
            let mut merged = RowSample::new(40);
            for part in rows.chunks(rows.len() / parts) {
                let mut other = of(part);
                other.merge(&merged);
                merged = other;
            }
            assert_eq!(keys(&merged), keys(&whole));
            assert_eq!(merged.rows, 5000);
        }
    }

    #[test]
    fn equal_values_have_equal_hashes() {
        assert_eq!(float(5.0), integer(5));
        assert_eq!(float(-0.0), integer(0));
        assert_eq!(decimal(500, 2), integer(5));
        assert_eq!(decimal(5, -2), integer(500));
        assert_eq!(decimal(250, 2), decimal(25, 1));
        assert_eq!(float(f64::NAN), float(-f64::NAN));
        assert_eq!(
            time(3, TimeUnit::Ms, kind::TIMESTAMP),
            time(3000, TimeUnit::Us, kind::TIMESTAMP)
        );
        assert_ne!(float(0.5), decimal(5, 1));
        assert_ne!(integer(1), xxh3_128_with_seed(&[1], kind::BOOL));
        assert_ne!(
            combine(combine(0, integer(1)), NULL),
            combine(combine(0, NULL), integer(1))
        );
    }
}
