//! Values of a page, in steps of a few thousand, into reused buffers.

use arrow_array::types::{ArrowPrimitiveType, Float16Type};
use tidegauge_core::value::{Bytes, Slice};

use super::delta::{DeltaInts, DeltaLengths, DeltaStrings};
use super::page::encoding;
use super::schema::Read;
use crate::rle::{Hybrid, Result, unpack_flags};

type F16 = <Float16Type as ArrowPrimitiveType>::Native;

/// Most bytes of the strings of one step; prefixes let a small page claim any number.
const MAX_STEP: usize = 1 << 30;
/// 1970-01-01 as a Julian day.
const JULIAN_EPOCH: i64 = 2_440_588;

/// Decoded values; each way of reading fills one of these.
#[derive(Default)]
pub struct Values {
    bool: Vec<bool>,
    i64: Vec<i64>,
    u64: Vec<u64>,
    f32: Vec<f32>,
    f64: Vec<f64>,
    i128: Vec<i128>,
    offsets: Vec<u32>,
    data: Vec<u8>,
    /// Little-endian bytes of numbers that were not stored as such.
    bytes: Vec<u8>,
}

impl Values {
    /// Bytes held.
    pub fn capacity(&self) -> usize {
        self.bool.capacity()
            + 4 * (self.f32.capacity() + self.offsets.capacity())
            + 8 * (self.i64.capacity() + self.u64.capacity() + self.f64.capacity())
            + 16 * self.i128.capacity()
            + self.data.capacity()
            + self.bytes.capacity()
    }

    /// The values last decoded.
    pub fn slice(&self, read: Read) -> Slice<'_> {
        match read {
            Read::Bool => Slice::Bool(&self.bool),
            Read::Int32 | Read::Int64 | Read::Int96 => Slice::I64(&self.i64),
            Read::UInt32 | Read::UInt64 => Slice::U64(&self.u64),
            Read::Float16 | Read::Float32 => Slice::F32(&self.f32),
            Read::Float64 => Slice::F64(&self.f64),
            Read::Decimal32 | Read::Decimal64 | Read::DecimalBytes | Read::DecimalFixed(_) => {
                Slice::I128(&self.i128)
            }
            Read::Bytes | Read::Fixed(_) => Slice::Bytes(Bytes {
                offsets: &self.offsets,
                data: &self.data,
            }),
            Read::Null => Slice::Bytes(Bytes {
                offsets: &[0],
                data: &[],
            }),
        }
    }

    /// Values stored in a fixed number of bytes each.
    fn fixed(&mut self, read: Read, raw: &[u8]) -> Result<()> {
        match read {
            Read::Int32 => cast(raw, &mut self.i64, |b| i32::from_le_bytes(b).into()),
            Read::UInt32 => cast(raw, &mut self.u64, |b| u32::from_le_bytes(b).into()),
            Read::Int64 => cast(raw, &mut self.i64, i64::from_le_bytes),
            Read::UInt64 => cast(raw, &mut self.u64, u64::from_le_bytes),
            Read::Decimal32 => cast(raw, &mut self.i128, |b| i32::from_le_bytes(b).into()),
            Read::Decimal64 => cast(raw, &mut self.i128, |b| i64::from_le_bytes(b).into()),
            Read::Float16 => cast(raw, &mut self.f32, |b| F16::from_le_bytes(b).to_f32()),
            Read::Float32 => cast(raw, &mut self.f32, f32::from_le_bytes),
            Read::Float64 => cast(raw, &mut self.f64, f64::from_le_bytes),
            Read::Int96 => {
                self.i64.clear();
                for value in raw.as_chunks::<12>().0 {
                    self.i64.push(int96(*value)?);
                }
            }
            Read::Fixed(n) => {
                self.data.clear();
                self.data.extend_from_slice(raw);
                self.offsets.clear();
                // A page holds less than 4 GiB, so every offset fits.
                self.offsets
                    .extend((0..=raw.len() / n).map(|i| (i * n) as u32));
            }
            Read::DecimalFixed(n) => {
                self.i128.clear();
                for value in raw.chunks_exact(n) {
                    self.i128.push(decimal(value)?);
                }
            }
            Read::Null if raw.is_empty() => {}
            Read::Null => return Err("value in a column that can only be null".into()),
            Read::Bool | Read::Bytes | Read::DecimalBytes => {
                return Err("values of no fixed width".into());
            }
        }
        Ok(())
    }

    /// Empties the byte strings.
    fn clear_strings(&mut self) {
        self.data.clear();
        self.offsets.clear();
        self.offsets.push(0);
        self.i128.clear();
    }

    fn push_string(&mut self, read: Read, value: &[u8]) -> Result<()> {
        match read {
            Read::Bytes => self.push_bytes(value)?,
            Read::DecimalBytes | Read::DecimalFixed(_) => self.i128.push(decimal(value)?),
            Read::Fixed(n) if n == value.len() => self.push_bytes(value)?,
            _ => {
                return Err(format!(
                    "string of {} bytes in a column of another type",
                    value.len()
                ));
            }
        }
        Ok(())
    }

    #[inline]
    fn push_bytes(&mut self, value: &[u8]) -> Result<()> {
        self.data.extend_from_slice(value);
        if self.data.len() > MAX_STEP {
            return Err(format!(
                "strings of more than {MAX_STEP} bytes in one step of a page"
            ));
        }
        self.offsets.push(self.data.len() as u32);
        Ok(())
    }
}

fn cast<const N: usize, T>(raw: &[u8], out: &mut Vec<T>, value: impl Fn([u8; N]) -> T) {
    out.clear();
    out.extend(raw.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)));
}

fn int96(bytes: [u8; 12]) -> Result<i64> {
    let [n @ .., a, b, c, d] = bytes;
    let day = i64::from(u32::from_le_bytes([a, b, c, d])) - JULIAN_EPOCH;
    day.checked_mul(86_400_000_000_000)
        .and_then(|ns| ns.checked_add(i64::from_le_bytes(n)))
        .ok_or_else(|| {
            format!("timestamp on day {day} since 1970, out of the range of nanoseconds")
        })
}

/// Big-endian two's complement; longer values must be sign-extended.
fn decimal(bytes: &[u8]) -> Result<i128> {
    let sign = if bytes.first().is_some_and(|b| *b >= 0x80) {
        0xff
    } else {
        0
    };
    let (extension, low) = bytes.split_at(bytes.len().saturating_sub(16));
    let same_sign = low.first().is_none_or(|b| (*b >= 0x80) == (sign == 0xff));
    if extension.iter().any(|b| *b != sign) || (!extension.is_empty() && !same_sign) {
        return Err(format!(
            "decimal of {} bytes does not fit 128 bits",
            bytes.len()
        ));
    }
    let mut be = [sign; 16];
    be[16 - low.len()..].copy_from_slice(low);
    Ok(i128::from_be_bytes(be))
}

/// Position in the values of one page.
pub enum Stream<'a> {
    /// Little-endian values of the same width.
    Plain(&'a [u8]),
    /// Packed flags: bytes, position, end.
    Flags(&'a [u8], usize, usize),
    /// Byte strings, each behind its length.
    Strings(&'a [u8]),
    /// Positions in a dictionary of so many values.
    Indices(Hybrid<'a>, usize),
    /// Run-length flags.
    Runs(Hybrid<'a>),
    /// Delta integers.
    Ints(DeltaInts<'a>),
    /// Strings with delta lengths.
    Lengths(DeltaLengths<'a>),
    /// Strings with common prefixes.
    Prefixes(DeltaStrings<'a>),
    /// First bytes of all values, then all second ones: bytes, values, position.
    Split(&'a [u8], usize, usize),
    /// No value at all.
    Empty,
}

impl<'a> Stream<'a> {
    /// Opens `data`, `count` non-null values in an encoding of the format.
    pub fn new(
        data: &'a [u8],
        of: i32,
        count: usize,
        read: Read,
        dictionary: Option<usize>,
    ) -> Result<Self> {
        if count == 0 {
            return Ok(Stream::Empty);
        }
        let fixed = read.width();
        let unsupported = || Err(format!("encoding {of} is not possible for this type"));
        Ok(match of {
            encoding::PLAIN => match (read, fixed) {
                (Read::Bool, _) => Stream::Flags(need(data, count.div_ceil(8))?, 0, count),
                (_, Some(width)) => Stream::Plain(need(data, count.saturating_mul(width))?),
                _ => Stream::Strings(data),
            },
            encoding::PLAIN_DICTIONARY | encoding::RLE_DICTIONARY => {
                let Some(size) = dictionary else {
                    return Err("dictionary indices before a dictionary".into());
                };
                let (&width, indices) = data
                    .split_first()
                    .ok_or("dictionary indices without their bit width")?;
                Stream::Indices(Hybrid::new(indices, width)?, size)
            }
            encoding::RLE if read == Read::Bool => {
                let (head, rest) = data
                    .split_first_chunk::<4>()
                    .ok_or("run-length flags without their length")?;
                Stream::Runs(Hybrid::new(
                    need(rest, u32::from_le_bytes(*head) as usize)?,
                    1,
                )?)
            }
            encoding::DELTA_BINARY_PACKED => match read {
                Read::Int32
                | Read::UInt32
                | Read::Decimal32
                | Read::Int64
                | Read::UInt64
                | Read::Decimal64 => Stream::Ints(DeltaInts::new(data, count)?),
                _ => return unsupported(),
            },
            encoding::DELTA_LENGTH_BYTE_ARRAY if fixed.is_none() && read != Read::Bool => {
                Stream::Lengths(DeltaLengths::new(data, count)?)
            }
            encoding::DELTA_BYTE_ARRAY => match read {
                Read::Bytes
                | Read::DecimalBytes
                | Read::Fixed(_)
                | Read::DecimalFixed(_)
                | Read::Float16 => Stream::Prefixes(DeltaStrings::new(data, count)?),
                _ => return unsupported(),
            },
            encoding::BYTE_STREAM_SPLIT => match fixed {
                Some(width) => Stream::Split(need(data, count.saturating_mul(width))?, count, 0),
                None => return unsupported(),
            },
            _ => return unsupported(),
        })
    }

    /// Whether [`Stream::indices`] serves this page rather than [`Stream::values`].
    pub fn is_indices(&self) -> bool {
        matches!(self, Stream::Indices(..))
    }

    /// The next dictionary positions, each of them in range.
    pub fn indices(&mut self, out: &mut [u32]) -> Result<()> {
        let Stream::Indices(reader, size) = self else {
            return Err("page without dictionary indices".into());
        };
        reader.read(out)?;
        // The top bit is set where an index, or the last one less it, has it: none where all are in range,
        // since sizes fit 31 bits.
        let last = (*size as u32).wrapping_sub(1);
        let beyond = out.iter().fold(0, |a, i| a | i | last.wrapping_sub(*i));
        if beyond >> 31 == 1 {
            let largest = out.iter().fold(0, |a, &b| a.max(b));
            return Err(format!(
                "dictionary index {largest} where the dictionary has {size} values"
            ));
        }
        Ok(())
    }

    /// Decodes the next `n` values into `out`.
    pub fn values(&mut self, n: usize, read: Read, out: &mut Values) -> Result<()> {
        match self {
            Stream::Plain(data) => {
                let (head, rest) = data
                    .split_at_checked(n * read.width().unwrap_or(1))
                    .ok_or(SHORT)?;
                *data = rest;
                out.fixed(read, head)
            }
            Stream::Flags(data, at, end) => {
                if n > *end - *at {
                    return Err(SHORT.into());
                }
                out.bool.resize(n, false);
                unpack_flags(data, *at, &mut out.bool);
                *at += n;
                Ok(())
            }
            Stream::Strings(data) => {
                out.clear_strings();
                for _ in 0..n {
                    let (head, rest) = data.split_first_chunk::<4>().ok_or(SHORT)?;
                    let length = u32::from_le_bytes(*head) as usize;
                    let Some((value, rest)) = rest.split_at_checked(length) else {
                        return Err(format!(
                            "string of {length} bytes where {} are left",
                            rest.len()
                        ));
                    };
                    *data = rest;
                    out.push_string(read, value)?;
                }
                Ok(())
            }
            Stream::Runs(reader) => {
                out.bool.resize(n, false);
                reader.read_flags(&mut out.bool).map(drop)
            }
            Stream::Ints(reader) => {
                let mut bytes = std::mem::take(&mut out.bytes);
                bytes.clear();
                for _ in 0..n {
                    let value = reader.next()?.to_le_bytes();
                    bytes.extend_from_slice(&value[..read.width().unwrap_or(8)]);
                }
                let done = out.fixed(read, &bytes);
                out.bytes = bytes;
                done
            }
            Stream::Lengths(reader) => {
                out.clear_strings();
                (0..n).try_for_each(|_| out.push_string(read, reader.next()?))
            }
            Stream::Prefixes(reader) if read == Read::Float16 => {
                out.f32.clear();
                for _ in 0..n {
                    let value = reader
                        .next()?
                        .try_into()
                        .map_err(|_| "half-precision float of other than two bytes")?;
                    out.f32.push(F16::from_le_bytes(value).to_f32());
                }
                Ok(())
            }
            Stream::Prefixes(reader) => {
                out.clear_strings();
                (0..n).try_for_each(|_| out.push_string(read, reader.next()?))
            }
            Stream::Split(data, count, at) => {
                let width = read.width().unwrap_or(1);
                if n > *count - *at {
                    return Err(SHORT.into());
                }
                let mut bytes = std::mem::take(&mut out.bytes);
                bytes.resize(n * width, 0);
                for (k, plane) in data.chunks_exact(*count).enumerate() {
                    for (to, from) in bytes
                        .iter_mut()
                        .skip(k)
                        .step_by(width)
                        .zip(&plane[*at..*at + n])
                    {
                        *to = *from;
                    }
                }
                *at += n;
                let done = out.fixed(read, &bytes);
                out.bytes = bytes;
                done
            }
            Stream::Indices(..) => Err("dictionary indices where values are expected".into()),
            Stream::Empty if n == 0 => {
                out.clear_strings();
                match read {
                    Read::Bool => out.bool.clear(),
                    Read::Bytes | Read::DecimalBytes => {}
                    _ => out.fixed(read, &[])?,
                }
                Ok(())
            }
            Stream::Empty => Err(SHORT.into()),
        }
    }
}

const SHORT: &str = "page ends before its last value";

fn need(data: &[u8], n: usize) -> Result<&[u8]> {
    data.get(..n)
        .ok_or_else(|| format!("page with {} bytes of values, {n} are needed", data.len()))
}
