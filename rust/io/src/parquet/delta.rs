//! Delta encodings, streamed: no count that a page claims is allocated.
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC>.

use crate::rle::{Result, bits, uvarint};

/// Reader of `DELTA_BINARY_PACKED` integers.
#[derive(Debug, Clone)]
pub struct DeltaInts<'a> {
    data: &'a [u8],
    /// Values of one mini-block.
    mini: usize,
    minis: usize,
    /// Values not yet returned, the one in `last` included.
    left: usize,
    last: i64,
    min_delta: i64,
    /// Bit widths of the mini-blocks of this block that are still to come.
    widths: &'a [u8],
    packed: &'a [u8],
    width: u32,
    /// Position in the current mini-block.
    at: usize,
}

impl<'a> DeltaInts<'a> {
    /// Reads the header of `data`, which must announce `count` values.
    pub fn new(mut data: &'a [u8], count: usize) -> Result<Self> {
        let block = uvarint(&mut data)?;
        let minis = uvarint(&mut data)?;
        let total = uvarint(&mut data)?;
        let last = zigzag(uvarint(&mut data)?);
        if total != count as u64 {
            return Err(format!(
                "delta header announces {total} values, the page {count}"
            ));
        }
        if block == 0
            || minis == 0
            || block % minis != 0
            || (block / minis) % 8 != 0
            || block > 1 << 31
        {
            return Err(format!(
                "delta header with blocks of {block} values in {minis} parts"
            ));
        }
        let (mini, minis) = ((block / minis) as usize, minis as usize);
        Ok(Self {
            data,
            mini,
            minis,
            left: count,
            last,
            min_delta: 0,
            widths: &[],
            packed: &[],
            width: 0,
            at: mini,
        })
    }

    /// The next value.
    pub fn next(&mut self) -> Result<i64> {
        let Some(left) = self.left.checked_sub(1) else {
            return Err("delta stream ends before the last value of the page".into());
        };
        let value = self.last;
        self.left = left;
        if left > 0 {
            if self.at == self.mini {
                self.next_mini()?;
            }
            let delta = bits(self.packed, self.at * self.width as usize, self.width);
            self.at += 1;
            self.last = value
                .wrapping_add(self.min_delta)
                .wrapping_add(delta as i64);
        }
        Ok(value)
    }

    fn next_mini(&mut self) -> Result<()> {
        if self.widths.is_empty() {
            self.min_delta = zigzag(uvarint(&mut self.data)?);
            self.widths = self.take(self.minis)?;
        }
        let Some((&width, widths)) = self.widths.split_first() else {
            return Err("delta block without parts".into());
        };
        if width > 64 {
            return Err(format!(
                "bit width {width} of a delta block, at most 64 is possible"
            ));
        }
        (self.widths, self.width, self.at) = (widths, width.into(), 0);
        // The last part may be cut after its last value.
        let whole = self.mini.saturating_mul(width.into()) / 8;
        let needed = self
            .left
            .min(self.mini)
            .saturating_mul(width.into())
            .div_ceil(8);
        if needed > self.data.len() {
            return Err("delta stream ends inside a block".into());
        }
        self.packed = self.take(whole.min(self.data.len()))?;
        Ok(())
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .data
            .split_at_checked(n)
            .ok_or("delta stream ends inside a block")?;
        self.data = rest;
        Ok(head)
    }

    /// What follows the stream, without reading its values.
    fn rest(&self) -> Result<&'a [u8]> {
        let mut reader = self.clone();
        reader.left = self.left.saturating_sub(1);
        while reader.left > 0 {
            reader.next_mini()?;
            reader.left -= reader.left.min(reader.mini);
        }
        Ok(reader.data)
    }
}

/// Reader of `DELTA_LENGTH_BYTE_ARRAY` strings.
#[derive(Debug, Clone)]
pub struct DeltaLengths<'a> {
    lengths: DeltaInts<'a>,
    data: &'a [u8],
}

impl<'a> DeltaLengths<'a> {
    /// Reads the header of `data`, which must announce `count` strings.
    pub fn new(data: &'a [u8], count: usize) -> Result<Self> {
        let lengths = DeltaInts::new(data, count)?;
        Ok(Self {
            data: lengths.rest()?,
            lengths,
        })
    }

    /// The next string.
    pub fn next(&mut self) -> Result<&'a [u8]> {
        let length = self.lengths.next()?;
        let split = usize::try_from(length)
            .ok()
            .and_then(|n| self.data.split_at_checked(n));
        let Some((value, rest)) = split else {
            return Err(format!(
                "string of {length} bytes where {} are left",
                self.data.len()
            ));
        };
        self.data = rest;
        Ok(value)
    }
}

/// Reader of `DELTA_BYTE_ARRAY` strings: a prefix of the string before, then a suffix.
#[derive(Debug, Clone)]
pub struct DeltaStrings<'a> {
    prefixes: DeltaInts<'a>,
    suffixes: DeltaLengths<'a>,
    last: Vec<u8>,
}

impl<'a> DeltaStrings<'a> {
    /// Reads the headers of `data`, which must announce `count` strings.
    pub fn new(data: &'a [u8], count: usize) -> Result<Self> {
        let prefixes = DeltaInts::new(data, count)?;
        let suffixes = DeltaLengths::new(prefixes.rest()?, count)?;
        Ok(Self {
            prefixes,
            suffixes,
            last: Vec::new(),
        })
    }

    /// The next string.
    pub fn next(&mut self) -> Result<&[u8]> {
        let (prefix, suffix) = (self.prefixes.next()?, self.suffixes.next()?);
        match usize::try_from(prefix) {
            Ok(n) if n <= self.last.len() => self.last.truncate(n),
            _ => {
                return Err(format!(
                    "prefix of {prefix} bytes of a string of {}",
                    self.last.len()
                ));
            }
        }
        self.last.extend_from_slice(suffix);
        Ok(&self.last)
    }
}

fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}
