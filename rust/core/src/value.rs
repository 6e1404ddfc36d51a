//! Logical types and the slices of values that kernels read.

use serde::{Deserialize, Serialize};

/// Unit of a time, timestamp or duration column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    /// Units in one second.
    pub const fn per_second(self) -> i64 {
        match self {
            TimeUnit::S => 1,
            TimeUnit::Ms => 1_000,
            TimeUnit::Us => 1_000_000,
            TimeUnit::Ns => 1_000_000_000,
        }
    }
}

/// What a column means; physical width, dictionary and view encodings do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Logical {
    /// True or false.
    Bool,
    /// Signed integers of any width.
    Int,
    /// Unsigned integers of any width.
    UInt,
    /// Floats of any width; f16 and f32 widen exactly.
    Float,
    /// Integers scaled by `10^-scale`.
    Decimal {
        /// Digits after the point.
        scale: i8,
    },
    /// Days since 1970-01-01.
    Date,
    /// Time of day.
    Time {
        /// Unit of the stored integer.
        unit: TimeUnit,
    },
    /// Instant since 1970-01-01; `zoned` instants are in UTC whatever zone they display in.
    Timestamp {
        /// Unit of the stored integer.
        unit: TimeUnit,
        /// Whether the column names a time zone.
        zoned: bool,
    },
    /// Length of time.
    Duration {
        /// Unit of the stored integer.
        unit: TimeUnit,
    },
    /// UTF-8 text; invalid bytes are counted and kept.
    String,
    /// Bytes.
    Binary,
}

impl Logical {
    /// Whether values are times: stored as numbers that tell a reader nothing.
    pub fn is_temporal(self) -> bool {
        matches!(
            self,
            Logical::Date
                | Logical::Time { .. }
                | Logical::Timestamp { .. }
                | Logical::Duration { .. }
        )
    }
}

/// Byte strings laid end to end: value `i` is `data[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    /// Ascending offsets, one more than there are values.
    pub offsets: &'a [u32],
    /// The bytes of all values.
    pub data: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }
    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Value `i`.
    pub fn get(&self, i: usize) -> &'a [u8] {
        &self.data[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
}

/// Dense, non-null values of one run of rows.
///
/// Integers, dates and times arrive as `I64` whatever their width (`U64` for unsigned, `I128` for
/// decimals); f16 arrives as `F32`.
#[derive(Debug, Clone, Copy)]
pub enum Slice<'a> {
    /// Booleans.
    Bool(&'a [bool]),
    /// Signed integers, dates, times, timestamps, durations.
    I64(&'a [i64]),
    /// Unsigned integers.
    U64(&'a [u64]),
    /// Single-precision floats.
    F32(&'a [f32]),
    /// Double-precision floats.
    F64(&'a [f64]),
    /// Unscaled decimals.
    I128(&'a [i128]),
    /// Strings or binary.
    Bytes(Bytes<'a>),
}

impl<'a> Slice<'a> {
    /// The values at these positions; none where there are fewer values.
    pub fn range(self, at: std::ops::Range<usize>) -> Option<Slice<'a>> {
        Some(match self {
            Slice::Bool(v) => Slice::Bool(v.get(at)?),
            Slice::I64(v) => Slice::I64(v.get(at)?),
            Slice::U64(v) => Slice::U64(v.get(at)?),
            Slice::F32(v) => Slice::F32(v.get(at)?),
            Slice::F64(v) => Slice::F64(v.get(at)?),
            Slice::I128(v) => Slice::I128(v.get(at)?),
            Slice::Bytes(v) => Slice::Bytes(Bytes {
                offsets: v.offsets.get(at.start..=at.end)?,
                data: v.data,
            }),
        })
    }
}

impl Slice<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Slice::Bool(v) => v.len(),
            Slice::I64(v) => v.len(),
            Slice::U64(v) => v.len(),
            Slice::F32(v) => v.len(),
            Slice::F64(v) => v.len(),
            Slice::I128(v) => v.len(),
            Slice::Bytes(v) => v.len(),
        }
    }
    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
