//! Byte codec of profiles: little-endian, LEB128 counts, no self-description.
//!
//! Decoding never trusts a length: every read is checked against the bytes that are left, and a
//! collection is only reserved after its smallest possible encoding is known to fit.

use crate::{Error, Result};

/// Appends values to a byte vector.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }
    /// The bytes written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
    /// One byte.
    pub fn u8(&mut self, v: u8) {
        self.bytes.push(v);
    }
    /// Unsigned LEB128.
    pub fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.bytes.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.bytes.push(v as u8);
    }
    /// Unsigned 128-bit LEB128.
    pub fn varint128(&mut self, mut v: u128) {
        while v >= 0x80 {
            self.bytes.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.bytes.push(v as u8);
    }
    /// Eight little-endian bytes.
    pub fn u64(&mut self, v: u64) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }
    /// The bits of a float.
    pub fn f64(&mut self, v: f64) {
        self.u64(v.to_bits());
    }
    /// A length and that many bytes.
    pub fn bytes(&mut self, v: &[u8]) {
        self.varint(v.len() as u64);
        self.bytes.extend_from_slice(v);
    }
    /// Strictly ascending numbers, as a count, the first and the gaps.
    pub fn ascending(&mut self, values: impl ExactSizeIterator<Item = u64>) {
        self.varint(values.len() as u64);
        let mut previous = None;
        for v in values {
            self.varint(match previous {
                None => v,
                Some(p) => v.wrapping_sub(p).wrapping_sub(1),
            });
            previous = Some(v);
        }
    }
}

/// Reads what [`Writer`] wrote.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }
    /// Fails unless every byte has been read.
    pub fn finish(&self) -> Result<()> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Error::corrupt(format!(
                "{} bytes left over",
                self.bytes.len()
            )))
        }
    }
    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        if n > self.bytes.len() {
            return Err(Error::corrupt(format!(
                "{n} bytes wanted, {} left",
                self.bytes.len()
            )));
        }
        let (head, tail) = self.bytes.split_at(n);
        self.bytes = tail;
        Ok(head)
    }
    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }
    /// Unsigned LEB128 in its shortest form.
    pub fn varint(&mut self) -> Result<u64> {
        u64::try_from(self.varint128()?).map_err(|_| Error::corrupt("number beyond 64 bits"))
    }
    /// Unsigned 128-bit LEB128 in its shortest form.
    pub fn varint128(&mut self) -> Result<u128> {
        let mut v = 0u128;
        for shift in (0..128).step_by(7) {
            let byte = self.u8()?;
            let part = u128::from(byte & 0x7f);
            if shift > 121 && part >> (128 - shift) != 0 {
                return Err(Error::corrupt("number beyond 128 bits"));
            }
            v |= part << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Error::corrupt("number not in its shortest form"));
                }
                return Ok(v);
            }
        }
        Err(Error::corrupt("number beyond 128 bits"))
    }
    /// Eight little-endian bytes.
    pub fn u64(&mut self) -> Result<u64> {
        let mut b = [0; 8];
        b.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(b))
    }
    /// The bits of a float.
    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.u64()?))
    }
    /// A length and that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.len(1)?;
        self.take(n)
    }
    /// A length and so many bytes of UTF-8.
    pub fn text(&mut self) -> Result<String> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_owned)
            .map_err(|_| Error::corrupt("text that is not UTF-8"))
    }
    /// A count of items that take at least `least` bytes each.
    pub fn len(&mut self, least: usize) -> Result<usize> {
        let n = self.varint()?;
        let room = self.bytes.len() / least.max(1);
        match usize::try_from(n) {
            Ok(n) if n <= room => Ok(n),
            _ => Err(Error::corrupt(format!(
                "{n} items announced, room for {room}"
            ))),
        }
    }
    /// Strictly ascending numbers.
    pub fn ascending(&mut self) -> Result<Vec<u64>> {
        let n = self.len(1)?;
        let mut out: Vec<u64> = Vec::with_capacity(n);
        for _ in 0..n {
            let gap = self.varint()?;
            let v = match out.last() {
                None => gap,
                Some(p) => p
                    .checked_add(gap)
                    .and_then(|v| v.checked_add(1))
                    .ok_or_else(|| Error::corrupt("numbers do not ascend"))?,
            };
            out.push(v);
        }
        Ok(out)
    }
}
