//! Pages of one column chunk: headers checked before anything is allocated, buffers reused.

use std::fs::File;

use super::codec::Codecs;
use super::digest::Hashing;
use crate::rle::{Result, uvarint};

/// Largest page after decompression; writers aim at 1 MiB.
pub const MAX_PAGE: usize = 256 << 20;
/// Largest page header; statistics of long strings make headers long.
const MAX_HEADER: usize = 16 << 20;
/// Read beyond a page, so that the next header needs no call of its own.
const READ_AHEAD: usize = 4 << 10;
/// Bytes behind the last page of a chunk that are read at once for its digest.
const REST: usize = 64 << 10;

/// Encodings of the format, by number.
#[allow(missing_docs)]
pub mod encoding {
    pub const PLAIN: i32 = 0;
    pub const PLAIN_DICTIONARY: i32 = 2;
    pub const RLE: i32 = 3;
    pub const DELTA_BINARY_PACKED: i32 = 5;
    pub const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
    pub const DELTA_BYTE_ARRAY: i32 = 7;
    pub const RLE_DICTIONARY: i32 = 8;
    pub const BYTE_STREAM_SPLIT: i32 = 9;
}

/// What a page is, from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Dictionary of the chunk.
    Dictionary,
    /// Data page, version 1.
    Data,
    /// Data page, version 2: levels stand uncompressed before the values.
    DataV2,
    /// Index or unknown page: skipped.
    Other,
}

impl Kind {
    /// Whether the page has rows.
    pub fn is_data(self) -> bool {
        matches!(self, Kind::Data | Kind::DataV2)
    }
}

/// Header of a page, as far as it is needed.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// What the page is.
    pub kind: Kind,
    /// Values, nulls included.
    pub values: usize,
    /// Encoding of the values, see [`encoding`].
    pub encoding: i32,
    /// Encoding of the definition levels of a version 1 page.
    pub level_encoding: i32,
    /// Bytes of the repetition and of the definition levels of a version 2 page.
    pub levels: (usize, usize),
    /// Whether the page carried a checksum, which then was right.
    pub checksummed: bool,
    uncompressed: usize,
    compressed: usize,
    crc: Option<u32>,
    is_compressed: bool,
}

/// Buffers of one reading thread.
#[derive(Default)]
pub struct Buffers {
    codecs: Codecs,
    /// Bytes of the file; `start..end` are read and not yet used.
    raw: Vec<u8>,
    start: usize,
    end: usize,
    page: Vec<u8>,
}

impl Buffers {
    /// Bytes held.
    pub fn capacity(&self) -> usize {
        self.raw.capacity() + self.page.capacity()
    }
}

/// Reads the pages of a column chunk one after the other.
pub struct Pages<'a> {
    file: &'a File,
    /// Next byte of the file to read, and how many belong to the chunk from there on.
    offset: u64,
    remaining: u64,
    codec: i32,
    buffers: &'a mut Buffers,
    hashing: Option<Hashing>,
}

impl<'a> Pages<'a> {
    /// Pages in `length` bytes at `offset`, compressed with codec number `codec`; `hashing` sees each byte.
    pub fn new(
        file: &'a File,
        offset: u64,
        length: u64,
        codec: i32,
        buffers: &'a mut Buffers,
        hashing: Option<Hashing>,
    ) -> Self {
        (buffers.start, buffers.end) = (0, 0);
        Self {
            file,
            offset,
            remaining: length,
            codec,
            buffers,
            hashing,
        }
    }

    /// Hashes what is left of the chunk and gives the digest back.
    pub fn finish(mut self) -> Result<Option<Hashing>> {
        while self.hashing.is_some() && self.remaining > 0 {
            (self.buffers.start, self.buffers.end) = (0, 0);
            self.fill(REST)?;
        }
        Ok(self.hashing)
    }

    /// The next page, decompressed; `None` at the end of the chunk.
    pub fn next(&mut self) -> Result<Option<(Header, &[u8])>> {
        let Some(mut header) = self.header()? else {
            return Ok(None);
        };
        self.fill(header.compressed)?;
        if self.available() < header.compressed {
            return Err(format!(
                "page of {} bytes where {} are left in the column chunk",
                header.compressed,
                self.available()
            ));
        }
        let Buffers {
            codecs,
            raw,
            start,
            page,
            ..
        } = &mut *self.buffers;
        let body = &raw[*start..*start + header.compressed];
        *start += header.compressed;
        if header.kind == Kind::Other {
            return Ok(Some((header, &[])));
        }
        if let Some(expected) = header.crc {
            let found = crc32fast::hash(body);
            if found != expected {
                return Err(format!(
                    "checksum of a page is {found:08x}, its header says {expected:08x}"
                ));
            }
            header.checksummed = true;
        }
        if self.codec == 0 || !header.is_compressed {
            if body.len() != header.uncompressed {
                return Err(format!(
                    "uncompressed page of {} bytes, its header says {}",
                    body.len(),
                    header.uncompressed
                ));
            }
            return Ok(Some((header, body)));
        }
        // Levels of a version 2 page are never compressed.
        let plain = header.levels.0 + header.levels.1;
        if plain > body.len() || plain > header.uncompressed {
            return Err(format!(
                "levels of {plain} bytes in a page of {}",
                body.len()
            ));
        }
        if page.len() < header.uncompressed {
            page.resize(header.uncompressed, 0);
        }
        let page = &mut page[..header.uncompressed];
        page[..plain].copy_from_slice(&body[..plain]);
        // A page without a non-null value may have nothing to decompress.
        if plain < page.len() {
            codecs.decompress(self.codec, &body[plain..], &mut page[plain..])?;
        }
        Ok(Some((header, page)))
    }

    fn available(&self) -> usize {
        self.buffers.end - self.buffers.start
    }

    fn header(&mut self) -> Result<Option<Header>> {
        let mut wanted = 256;
        loop {
            self.fill(wanted)?;
            let window = &self.buffers.raw[self.buffers.start..self.buffers.end];
            if window.is_empty() {
                return Ok(None);
            }
            let mut rest = window;
            match parse(&mut rest) {
                Ok(header) => {
                    self.buffers.start += window.len() - rest.len();
                    return Ok(Some(header));
                }
                Err(Stop::Wrong(message)) => return Err(message),
                Err(Stop::Short) if self.remaining == 0 => {
                    return Err("column chunk ends inside a page header".into());
                }
                Err(Stop::Short) if wanted >= MAX_HEADER => {
                    return Err(format!("page header of more than {MAX_HEADER} bytes"));
                }
                Err(Stop::Short) => wanted = (window.len() * 4).min(MAX_HEADER),
            }
        }
    }

    /// Makes `n` bytes available, fewer at the end of the chunk.
    fn fill(&mut self, n: usize) -> Result<()> {
        let have = self.available();
        if have >= n || self.remaining == 0 {
            return Ok(());
        }
        let Buffers {
            raw, start, end, ..
        } = &mut *self.buffers;
        raw.copy_within(*start..*end, 0);
        (*start, *end) = (0, have);
        let more = ((n - have + READ_AHEAD) as u64).min(self.remaining) as usize;
        if raw.len() < have + more {
            raw.resize(have + more, 0);
        }
        read_exact_at(self.file, &mut raw[have..have + more], self.offset)
            .map_err(|e| format!("reading {more} bytes at {}: {e}", self.offset))?;
        if let Some(hashing) = &mut self.hashing {
            hashing.update(&raw[have..have + more]);
        }
        *end += more;
        self.offset += more as u64;
        self.remaining -= more as u64;
        Ok(())
    }
}

#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
pub(super) fn read_exact_at(
    file: &File,
    mut buffer: &mut [u8],
    mut offset: u64,
) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[n..];
        offset += n as u64;
    }
    Ok(())
}

/// Why a header was not parsed.
pub(super) enum Stop {
    /// The window ends before the header does.
    Short,
    /// What is wrong.
    Wrong(String),
}

/// Fields of the Thrift compact protocol, in which page headers are written.
pub(super) struct Fields<'b, 'a> {
    /// What follows.
    pub(super) data: &'b mut &'a [u8],
    id: i16,
}

impl<'b, 'a> Fields<'b, 'a> {
    /// The fields of the struct at the front of `data`.
    pub(super) fn new(data: &'b mut &'a [u8]) -> Self {
        Self { data, id: 0 }
    }

    /// Number and type of the next field; `None` at the end of the struct.
    pub(super) fn next(&mut self) -> std::result::Result<Option<(i16, u8)>, Stop> {
        let byte = byte(self.data)?;
        if byte == 0 {
            return Ok(None);
        }
        self.id = match byte >> 4 {
            0 => int(self.data)? as i16,
            delta => self.id.wrapping_add(delta.into()),
        };
        Ok(Some((self.id, byte & 15)))
    }
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

fn byte(data: &mut &[u8]) -> std::result::Result<u8, Stop> {
    let (&first, rest) = data.split_first().ok_or(Stop::Short)?;
    *data = rest;
    Ok(first)
}

fn unsigned(data: &mut &[u8]) -> std::result::Result<u64, Stop> {
    let short = data.len() < 10;
    uvarint(data).map_err(|message| {
        if short {
            Stop::Short
        } else {
            Stop::Wrong(message)
        }
    })
}

/// A signed number.
pub(super) fn int(data: &mut &[u8]) -> std::result::Result<i64, Stop> {
    let n = unsigned(data)?;
    Ok((n >> 1) as i64 ^ -((n & 1) as i64))
}

/// Head of a list: how many elements, and their type.
pub(super) fn list(data: &mut &[u8]) -> std::result::Result<(u64, u8), Stop> {
    let head = byte(data)?;
    let count = match head >> 4 {
        15 => unsigned(data)?,
        n => n.into(),
    };
    Ok((count, head & 15))
}

/// Skips a value of a type; structs and lists may nest a few levels deep.
pub(super) fn skip(data: &mut &[u8], kind: u8, depth: u8) -> std::result::Result<(), Stop> {
    if depth == 0 {
        return Err(Stop::Wrong("page header nests too deep".into()));
    }
    let n = match kind {
        TRUE | FALSE => 0,
        3 => 1,
        4..=6 => {
            unsigned(data)?;
            0
        }
        7 => 8,
        8 => unsigned(data)?,
        9 | 10 => {
            let (count, kind) = list(data)?;
            // Flags in a list take a byte each, unlike flags in a struct.
            let element = if kind <= FALSE { 3 } else { kind };
            for _ in 0..count {
                skip(data, element, depth - 1)?;
            }
            0
        }
        STRUCT => {
            let mut fields = Fields { data, id: 0 };
            while let Some((_, kind)) = fields.next()? {
                skip(fields.data, kind, depth - 1)?;
            }
            0
        }
        _ => {
            return Err(Stop::Wrong(format!(
                "page header with a field of type {kind}"
            )));
        }
    };
    *data = usize::try_from(n)
        .ok()
        .and_then(|n| data.get(n..))
        .ok_or(Stop::Short)?;
    Ok(())
}

/// Parses a page header off the front of `data`.
fn parse(data: &mut &[u8]) -> std::result::Result<Header, Stop> {
    let (mut kind, mut sizes, mut crc) = (None, [None; 2], None);
    // One struct of numbers for each kind of page, by field id.
    let (mut v1, mut dictionary, mut v2) = (None, None, None);
    let mut fields = Fields { data, id: 0 };
    while let Some((id, of)) = fields.next()? {
        match (id, of) {
            (1, I32) => kind = Some(int(fields.data)?),
            (2 | 3, I32) => sizes[id as usize - 2] = Some(int(fields.data)?),
            (4, I32) => crc = Some(int(fields.data)? as u32),
            (5, STRUCT) => v1 = Some(numbers(fields.data)?),
            (7, STRUCT) => dictionary = Some(numbers(fields.data)?),
            (8, STRUCT) => v2 = Some(numbers(fields.data)?),
            _ => skip(fields.data, of, 8)?,
        }
    }
    let size = |n: Option<i64>| n.and_then(|n| usize::try_from(n).ok());
    let (Some(uncompressed), Some(compressed)) = (size(sizes[0]), size(sizes[1])) else {
        return Err(Stop::Wrong("page header without sizes".into()));
    };
    if uncompressed > MAX_PAGE || compressed > MAX_PAGE {
        let size = uncompressed.max(compressed);
        return Err(Stop::Wrong(format!(
            "page of {size} bytes, at most {MAX_PAGE} are accepted"
        )));
    }
    let (kind, numbers) = match (kind, v1, dictionary, v2) {
        (Some(0), Some(n), _, _) => (Kind::Data, n),
        (Some(2), _, Some(n), _) => (Kind::Dictionary, n),
        (Some(3), _, _, Some(n)) => (Kind::DataV2, n),
        (Some(0 | 2 | 3), ..) => return Err(Stop::Wrong("page header without its details".into())),
        (Some(_), ..) => (Kind::Other, [Some(0); 9]),
        (None, ..) => return Err(Stop::Wrong("page header without a type".into())),
    };
    let number = |id: usize| {
        let n = numbers[id].and_then(|n| usize::try_from(n).ok());
        n.filter(|&n| n <= i32::MAX as usize)
            .ok_or_else(|| Stop::Wrong("page header with an impossible number".into()))
    };
    let code = |id: usize| {
        numbers[id]
            .and_then(|n| i32::try_from(n).ok())
            .unwrap_or(-1)
    };
    let v2 = kind == Kind::DataV2;
    Ok(Header {
        kind,
        values: number(1)?,
        encoding: code(if v2 { 4 } else { 2 }),
        level_encoding: code(3),
        levels: if v2 { (number(6)?, number(5)?) } else { (0, 0) },
        checksummed: false,
        uncompressed,
        compressed,
        crc,
        is_compressed: !v2 || numbers[7] != Some(0),
    })
}

/// Numbers and flags of a struct, by field id below 9; the rest is skipped.
fn numbers(data: &mut &[u8]) -> std::result::Result<[Option<i64>; 9], Stop> {
    let mut found = [None; 9];
    let mut fields = Fields { data, id: 0 };
    while let Some((id, of)) = fields.next()? {
        match (
            usize::try_from(id).ok().and_then(|id| found.get_mut(id)),
            of,
        ) {
            (Some(slot), I32) => *slot = Some(int(fields.data)?),
            (Some(slot), TRUE | FALSE) => *slot = Some(i64::from(of == TRUE)),
            _ => skip(fields.data, of, 8)?,
        }
    }
    Ok(found)
}
