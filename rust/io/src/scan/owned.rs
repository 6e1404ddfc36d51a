//! Values owned by a sink.

use tidegauge_core::value::{Bytes, Slice};

use super::grouped::spread;

/// Values of one column, in the lanes of [`Slice`].
#[derive(Debug, Clone)]
pub(super) enum Owned {
    Bool(Vec<bool>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    Bytes(Vec<u32>, Vec<u8>),
}

/// The same expression for every lane of numbers.
macro_rules! lanes {
    ($of:expr, $v:ident => $numbers:expr, $offsets:ident, $data:ident => $bytes:expr) => {
        match $of {
            Owned::Bool($v) => $numbers,
            Owned::I64($v) => $numbers,
            Owned::U64($v) => $numbers,
            Owned::F32($v) => $numbers,
            Owned::F64($v) => $numbers,
            Owned::I128($v) => $numbers,
            Owned::Bytes($offsets, $data) => $bytes,
        }
    };
}

impl Owned {
    /// The values at some positions.
    pub(super) fn gather(values: Slice<'_>, at: impl ExactSizeIterator<Item = usize>) -> Self {
        match values {
            Slice::Bool(v) => Owned::Bool(at.map(|i| v[i]).collect()),
            Slice::I64(v) => Owned::I64(at.map(|i| v[i]).collect()),
            Slice::U64(v) => Owned::U64(at.map(|i| v[i]).collect()),
            Slice::F32(v) => Owned::F32(at.map(|i| v[i]).collect()),
            Slice::F64(v) => Owned::F64(at.map(|i| v[i]).collect()),
            Slice::I128(v) => Owned::I128(at.map(|i| v[i]).collect()),
            Slice::Bytes(v) => {
                let mut offsets = Vec::with_capacity(at.len() + 1);
                let mut data = Vec::new();
                offsets.push(0);
                for i in at {
                    data.extend_from_slice(v.get(i));
                    offsets.push(data.len() as u32);
                }
                Owned::Bytes(offsets, data)
            }
        }
    }

    /// A copy.
    pub(super) fn all(values: Slice<'_>) -> Self {
        let mut own = Self::empty(values);
        own.extend(values.len(), None, values);
        own
    }

    /// No value, in the lane of `like`.
    pub(super) fn empty(like: Slice<'_>) -> Self {
        match like {
            Slice::Bool(_) => Owned::Bool(Vec::new()),
            Slice::I64(_) => Owned::I64(Vec::new()),
            Slice::U64(_) => Owned::U64(Vec::new()),
            Slice::F32(_) => Owned::F32(Vec::new()),
            Slice::F64(_) => Owned::F64(Vec::new()),
            Slice::I128(_) => Owned::I128(Vec::new()),
            Slice::Bytes(_) => Owned::Bytes(vec![0], Vec::new()),
        }
    }

    /// Whether values are of this lane and fit behind those held.
    pub(super) fn is_like(&self, values: Slice<'_>) -> bool {
        match (self, values) {
            (Owned::Bytes(_, data), Slice::Bytes(v)) => {
                u32::try_from(data.len() + v.data.len()).is_ok()
            }
            (Owned::Bool(_), Slice::Bool(_))
            | (Owned::I64(_), Slice::I64(_))
            | (Owned::U64(_), Slice::U64(_))
            | (Owned::F32(_), Slice::F32(_))
            | (Owned::F64(_), Slice::F64(_))
            | (Owned::I128(_), Slice::I128(_)) => true,
            _ => false,
        }
    }

    /// Appends values of the same lane at the rows they belong to.
    pub(super) fn extend(&mut self, rows: usize, valid: Option<&[bool]>, values: Slice<'_>) {
        match (self, values) {
            (Owned::Bool(own), Slice::Bool(v)) => spread(own, rows, valid, v),
            (Owned::I64(own), Slice::I64(v)) => spread(own, rows, valid, v),
            (Owned::U64(own), Slice::U64(v)) => spread(own, rows, valid, v),
            (Owned::F32(own), Slice::F32(v)) => spread(own, rows, valid, v),
            (Owned::F64(own), Slice::F64(v)) => spread(own, rows, valid, v),
            (Owned::I128(own), Slice::I128(v)) => spread(own, rows, valid, v),
            (Owned::Bytes(offsets, data), Slice::Bytes(v)) => {
                let mut next = 0;
                for i in 0..rows {
                    if valid.is_none_or(|valid| valid[i]) {
                        data.extend_from_slice(v.get(next));
                        next += 1;
                    }
                    offsets.push(data.len() as u32);
                }
            }
            _ => {}
        }
    }

    /// Forgets the values, not their buffers.
    pub(super) fn clear(&mut self) {
        lanes!(self, v => v.clear(), offsets, data => {
            offsets.truncate(1);
            data.clear();
        });
    }

    /// Bytes of the values.
    pub(super) fn bytes(&self) -> usize {
        lanes!(self, v => size_of_val(v.as_slice()), offsets, data => 4 * offsets.len() + data.len())
    }

    /// The values.
    pub(super) fn slice(&self) -> Slice<'_> {
        match self {
            Owned::Bool(v) => Slice::Bool(v),
            Owned::I64(v) => Slice::I64(v),
            Owned::U64(v) => Slice::U64(v),
            Owned::F32(v) => Slice::F32(v),
            Owned::F64(v) => Slice::F64(v),
            Owned::I128(v) => Slice::I128(v),
            Owned::Bytes(offsets, data) => Slice::Bytes(Bytes { offsets, data }),
        }
    }

    /// The values from one position up to another.
    pub(super) fn part(&self, from: usize, to: usize) -> Slice<'_> {
        match self {
            Owned::Bool(v) => Slice::Bool(&v[from..to]),
            Owned::I64(v) => Slice::I64(&v[from..to]),
            Owned::U64(v) => Slice::U64(&v[from..to]),
            Owned::F32(v) => Slice::F32(&v[from..to]),
            Owned::F64(v) => Slice::F64(&v[from..to]),
            Owned::I128(v) => Slice::I128(&v[from..to]),
            Owned::Bytes(offsets, data) => Slice::Bytes(Bytes {
                offsets: &offsets[from..=to],
                data,
            }),
        }
    }
}
