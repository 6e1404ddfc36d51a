//! Protocol buffers as far as ONNX files need them: fields in order, every length checked.

use crate::{Error, Result};

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    /// A number in base 128.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Bytes, text, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32([u8; 4]),
}

fn bad(message: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("protocol buffer: {message}"))
}

/// A message: its fields by number, in the order of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let found = self.field();
        if found.is_err() {
            // Nothing behind a damaged field can be found.
            self.0 = &[];
        }
        Some(found)
    }
}

impl<'a> Message<'a> {
    fn field(&mut self) -> Result<(u64, Field<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Field::Varint(varint(&mut self.0)?),
            1 => Field::Fixed64(array(take(&mut self.0, 8)?)),
            2 => {
                let n = varint(&mut self.0)?;
                let n = usize::try_from(n).unwrap_or(usize::MAX);
                Field::Bytes(take(&mut self.0, n)?)
            }
            5 => Field::Fixed32(array(take(&mut self.0, 4)?)),
            other => return Err(bad(format_args!("wire type {other}"))),
        };
        Ok((key >> 3, value))
    }
}

impl<'a> Field<'a> {
    /// Bytes or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Field::Bytes(b) => Ok(b),
            other => Err(bad(format_args!("{other:?} where bytes are expected"))),
        }
    }

    /// Text.
    pub(super) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| bad("text that is not UTF-8"))
    }

    /// A signed number.
    pub(super) fn integer(self) -> Result<i64> {
        match self {
            Field::Varint(v) => Ok(v as i64),
            other => Err(bad(format_args!("{other:?} where a number is expected"))),
        }
    }

    /// Appends one signed number, or packed ones.
    pub(super) fn integers(self, into: &mut Vec<i64>) -> Result<()> {
        let mut rest = match self {
            Field::Bytes(b) => b,
            one => {
                into.push(one.integer()?);
                return Ok(());
            }
        };
        while !rest.is_empty() {
            into.push(varint(&mut rest)? as i64);
        }
        Ok(())
    }

    /// Appends one number of single precision, or packed ones.
    pub(super) fn floats(self, into: &mut Vec<f64>) -> Result<()> {
        match self {
            Field::Fixed32(b) => into.push(f64::from(f32::from_le_bytes(b))),
            Field::Bytes(b) => into.extend(singles(b)?),
            other => return Err(bad(format_args!("{other:?} where floats are expected"))),
        }
        Ok(())
    }

    /// Appends one number of double precision, or packed ones.
    pub(super) fn doubles(self, into: &mut Vec<f64>) -> Result<()> {
        match self {
            Field::Fixed64(b) => into.push(f64::from_le_bytes(b)),
            Field::Bytes(b) => into.extend(doubles(b)?),
            other => return Err(bad(format_args!("{other:?} where doubles are expected"))),
        }
        Ok(())
    }
}

/// Numbers of single precision, little-endian.
pub(super) fn singles(bytes: &[u8]) -> Result<impl Iterator<Item = f64> + '_> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(bad(format_args!("{} bytes of floats", bytes.len())));
    }
    Ok(chunks.iter().map(|c| f64::from(f32::from_le_bytes(*c))))
}

/// Numbers of double precision, little-endian.
pub(super) fn doubles(bytes: &[u8]) -> Result<impl Iterator<Item = f64> + '_> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(bad(format_args!("{} bytes of doubles", bytes.len())));
    }
    Ok(chunks.iter().map(|c| f64::from_le_bytes(*c)))
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
    let (head, tail) = rest
        .split_at_checked(n)
        .ok_or_else(|| bad(format_args!("{n} bytes wanted, {} left", rest.len())))?;
    *rest = tail;
    Ok(head)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

/// Writers may use more bytes than are needed, but not more than ten.
fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut v = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = take(rest, 1)?[0];
        v |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(v);
        }
    }
    Err(bad("a number of more than ten bytes"))
}
