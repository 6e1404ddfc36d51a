//! Digests of files: column chunks as the scan reads them, what it did not read in one look afterwards.
//!
//! Each byte of a file lies in a named part: a column chunk, the footer (with its length and the magic
//! number), or a gap between these. A part is an offset, a length and a BLAKE3, so that it can be checked
//! without decoding anything, by this program or another. The digest of the file is the BLAKE3 of its parts
//! in the order of their offsets, each as offset and length (8 bytes each, little-endian) and 32 bytes of
//! digest.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::page::read_exact_at;
use super::{Chunk, ParquetSource};
use crate::meter::Meter;
use crate::{Error, Result};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// A stretch of a file and the digest of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
    /// BLAKE3 of its bytes.
    pub digest: blake3::Hash,
}

/// The parts of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Digest of all parts.
    pub digest: blake3::Hash,
    /// Names of the leaf columns, in the order of the chunks.
    pub columns: Vec<String>,
    /// Column chunks by row group; none where the footer points outside the file.
    pub chunks: Vec<Vec<Option<Part>>>,
    /// Metadata, their length, and the magic number.
    pub footer: Part,
    /// What lies between: magic number, indexes, filters, padding.
    pub gaps: Vec<Part>,
}

/// What digests cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Bytes hashed while the scan read them.
    pub while_reading: u64,
    /// Bytes read for their digest alone.
    pub besides: u64,
    /// Time spent on hashing, over all threads, and on reading what the scan did not.
    pub seconds: f64,
}

/// Digests of chunks that have been read, by file, row group and leaf.
#[derive(Debug, Default)]
pub(super) struct Taken {
    chunks: Mutex<HashMap<(usize, usize, usize), blake3::Hash>>,
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Taken {
    /// Whether a chunk has no digest yet.
    pub(super) fn lacks(&self, at: (usize, usize, usize)) -> bool {
        let chunks = self.chunks.lock().unwrap_or_else(|p| p.into_inner());
        !chunks.contains_key(&at)
    }

    /// Keeps the digest of a chunk that was read to its end.
    pub(super) fn add(&self, at: (usize, usize, usize), hashing: &Hashing, length: u64) {
        let mut chunks = self.chunks.lock().unwrap_or_else(|p| p.into_inner());
        chunks.insert(at, hashing.hasher.finalize());
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.nanoseconds
            .fetch_add(hashing.nanoseconds, Ordering::Relaxed);
    }

    /// Keeps the digest that an earlier scan took of a chunk.
    fn insert(&self, at: (usize, usize, usize), digest: blake3::Hash) {
        let mut chunks = self.chunks.lock().unwrap_or_else(|p| p.into_inner());
        chunks.insert(at, digest);
    }

    fn get(&self, at: (usize, usize, usize)) -> Option<blake3::Hash> {
        let chunks = self.chunks.lock().unwrap_or_else(|p| p.into_inner());
        chunks.get(&at).copied()
    }
}

/// The digest of bytes as they come in.
#[derive(Debug, Default)]
pub(super) struct Hashing {
    hasher: blake3::Hasher,
    nanoseconds: u64,
}

impl Hashing {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let start = Instant::now();
        self.hasher.update(bytes);
        self.nanoseconds += start.elapsed().as_nanos() as u64;
    }
}

impl Chunk {
    /// Offset and length where they lie inside a file of that size.
    fn range(&self, bytes: u64) -> Option<(u64, u64)> {
        let (offset, length) = u64::try_from(self.offset)
            .ok()
            .zip(u64::try_from(self.length).ok())?;
        (offset.checked_add(length)? <= bytes).then_some((offset, length))
    }
}

impl ParquetSource {
    /// Digests of all files: of the chunks that were read since the source was opened with
    /// [`super::ParquetOptions::digests`], and of everything else, which is read now.
    ///
    /// # Errors
    /// A file that cannot be read or was changed since it was opened; an interrupt.
    pub fn digests(&self, meter: &Meter<'_>) -> Result<(Vec<FileDigest>, Cost)> {
        let mut cost = Cost::default();
        if let Some(taken) = &self.taken {
            cost.while_reading = taken.bytes.load(Ordering::Relaxed);
            cost.seconds = taken.nanoseconds.load(Ordering::Relaxed) as f64 * 1e-9;
        }
        let start = Instant::now();
        let files = (0..self.members.len())
            .map(|file| self.digest(file, meter, &mut cost.besides))
            .collect::<Result<_>>()?;
        cost.seconds += start.elapsed().as_secs_f64();
        Ok((files, cost))
    }

    /// Digests of the chunks of a unit that were read, by leaf.
    pub(crate) fn taken(&self, unit: usize) -> Vec<Option<blake3::Hash>> {
        let of = &self.units[unit];
        let get = |leaf| self.taken.as_ref()?.get((of.file, of.row_group, leaf));
        (0..of.chunks.len()).map(get).collect()
    }

    /// Takes over digests of the chunks of a unit that an earlier scan read.
    ///
    /// # Errors
    /// Another number of chunks than the unit has.
    pub(crate) fn take_over(
        &self,
        unit: usize,
        digests: &[Option<blake3::Hash>],
    ) -> Result<(), String> {
        let of = &self.units[unit];
        if digests.len() != of.chunks.len() {
            let (found, has) = (digests.len(), of.chunks.len());
            return Err(format!(
                "{found} digests of a row group of {has} column chunks"
            ));
        }
        if let Some(taken) = &self.taken {
            let known = digests.iter().enumerate();
            for (leaf, digest) in known.filter_map(|(leaf, d)| Some((leaf, (*d)?))) {
                taken.insert((of.file, of.row_group, leaf), digest);
            }
        }
        Ok(())
    }

    fn digest(&self, at: usize, meter: &Meter<'_>, besides: &mut u64) -> Result<FileDigest> {
        let member = &self.members[at];
        let fail = |message: String| Error::Unreadable {
            path: member.file.display.clone(),
            message,
        };
        let file = File::open(&member.file.path).map_err(|e| fail(e.to_string()))?;
        let found = file.metadata().map_err(|e| fail(e.to_string()))?;
        if found.len() != member.file.bytes || found.modified().ok() != member.modified {
            return Err(fail(
                "the file was changed while it was read; run again when it is whole".into(),
            ));
        }
        let bytes = member.file.bytes;
        let mut hash = |offset: u64, length: u64| -> Result<Part> {
            let digest = hash_range(&file, offset, length, meter)?.map_err(fail)?;
            *besides += length;
            Ok(Part {
                offset,
                length,
                digest,
            })
        };
        let footer_at = footer(&file, bytes).map_err(fail)?;
        let mut chunks = Vec::new();
        for unit in self.units.iter().filter(|u| u.file == at) {
            let mut row_group = Vec::with_capacity(unit.chunks.len());
            for (leaf, chunk) in unit.chunks.iter().enumerate() {
                let Some((offset, length)) = chunk.range(bytes) else {
                    row_group.push(None);
                    continue;
                };
                let taken = self.taken.as_ref();
                let known = taken.and_then(|t| t.get((at, unit.row_group, leaf)));
                row_group.push(Some(match known {
                    Some(digest) => Part {
                        offset,
                        length,
                        digest,
                    },
                    None => hash(offset, length)?,
                }));
            }
            chunks.push(row_group);
        }
        let footer = hash(footer_at, bytes - footer_at)?;
        let mut parts: Vec<Part> = chunks.iter().flatten().flatten().copied().collect();
        parts.push(footer);
        parts.sort_by_key(|p| (p.offset, p.length));
        let (mut gaps, mut end) = (Vec::new(), 0);
        for part in &parts {
            if part.offset > end {
                gaps.push(hash(end, part.offset - end)?);
            }
            end = end.max(part.offset + part.length);
        }
        parts.extend(&gaps);
        parts.sort_by_key(|p| (p.offset, p.length));
        let mut all = blake3::Hasher::new();
        for part in &parts {
            all.update(&part.offset.to_le_bytes());
            all.update(&part.length.to_le_bytes());
            all.update(part.digest.as_bytes());
        }
        Ok(FileDigest {
            digest: all.finalize(),
            columns: member.leaves.clone(),
            chunks,
            footer,
            gaps,
        })
    }
}

/// Where the metadata begins.
fn footer(file: &File, bytes: u64) -> Result<u64, String> {
    let mut tail = [0; 8];
    let at = bytes.checked_sub(8).ok_or("file of less than 8 bytes")?;
    read_exact_at(file, &mut tail, at).map_err(|e| e.to_string())?;
    let [a, b, c, d, ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    at.checked_sub(length)
        .ok_or_else(|| format!("footer of {length} bytes in a file of {bytes}"))
}

/// BLAKE3 of a stretch of a file; the inner error is one of reading.
fn hash_range(
    file: &File,
    offset: u64,
    length: u64,
    meter: &Meter<'_>,
) -> Result<Result<blake3::Hash, String>> {
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK.min(length as usize)];
    let mut at = offset;
    let end = offset + length;
    while at < end {
        meter.check()?;
        let n = block.len().min((end - at) as usize);
        let bytes = &mut block[..n];
        if let Err(e) = read_exact_at(file, bytes, at) {
            return Ok(Err(format!("reading {n} bytes at {at}: {e}")));
        }
        hasher.update(bytes);
        at += n as u64;
    }
    Ok(Ok(hasher.finalize()))
}

/// BLAKE3 of stretches of a file, `(offset, length)` each; none where the file ends before the stretch does.
///
/// # Errors
/// A file that cannot be read; an interrupt.
pub fn hash_parts(
    path: &str,
    parts: &[(u64, u64)],
    meter: &Meter<'_>,
) -> Result<Vec<Option<blake3::Hash>>> {
    let fail = |message: String| Error::Unreadable {
        path: path.to_owned(),
        message,
    };
    let file = File::open(path).map_err(|e| fail(e.to_string()))?;
    let bytes = file.metadata().map_err(|e| fail(e.to_string()))?.len();
    let hash = |(offset, length): &(u64, u64)| {
        if offset.checked_add(*length).is_none_or(|end| end > bytes) {
            return Ok(None);
        }
        hash_range(&file, *offset, *length, meter)?
            .map(Some)
            .map_err(fail)
    };
    parts.iter().map(hash).collect()
}
