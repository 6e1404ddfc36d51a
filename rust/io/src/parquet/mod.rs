//! Parquet files as a [`Source`]: the footer through the `parquet` crate, pages through a loop of our own.
//!
//! A column chunk is read page by page with `pread` into buffers that are kept from chunk to chunk, so
//! memory is bounded by one page, whatever the file's length or width. Dictionary pages stay
//! dictionaries and their indices are not expanded. Values are decoded a few thousand rows at a time,
//! while they are in cache for the kernels.

mod codec;
mod decode;
mod delta;
mod digest;
mod footer;
mod hints;
mod page;
mod schema;
mod sinks;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use tidegauge_core::value::{Bytes, Logical, Slice};

use crate::paths::ResolvedFile;
use crate::rle::Hybrid;
use crate::source::{PageData, PageSink, Source, SourceColumn};
use crate::{Error, Result};
use decode::{Stream, Values};
pub use digest::{Cost, FileDigest, Part, hash_parts};
use digest::{Hashing, Taken};
use page::{Buffers, Kind, Pages, encoding};
use schema::FileColumn;
pub(crate) use schema::{NESTED, refuse_same_names};
use sinks::{Scaled, Shadowed};

/// Value of a partition that stands for null in every Hive-like writer.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// Most rows of a row group; positions in it fit 32 bits, and what a footer claims is not counted for ever.
const MAX_GROUP_ROWS: u64 = 1 << 32;
/// Most rows of a page given to a sink.
const MAX_BATCH_ROWS: usize = 1 << 20;
/// Buffers above this size are given back rather than kept for the next chunk.
const KEPT_BUFFERS: usize = 16 << 20;

/// How to open and read.
#[derive(Debug, Clone)]
pub struct ParquetOptions {
    /// Most rows of a page given to a sink.
    pub batch_rows: usize,
    /// Set aside files that cannot be opened or disagree in schema, in [`ParquetSource::failures`],
    /// instead of ending with the first one. With no file left the first error is returned all the same.
    pub quarantine: bool,
    /// Take digests of column chunks while they are read, for [`ParquetSource::digests`].
    pub digests: bool,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            batch_rows: 8192,
            quarantine: false,
            digests: false,
        }
    }
}

/// Where a column chunk lies, as the footer says; checked when it is read.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    offset: i64,
    length: i64,
    codec: i32,
}

#[derive(Debug)]
struct Unit {
    file: usize,
    row_group: usize,
    rows: u64,
    /// By leaf.
    chunks: Vec<Chunk>,
}

/// One file of the set: where its columns are, in the order of the source's columns.
#[derive(Debug)]
struct Member {
    file: ResolvedFile,
    columns: Vec<FileColumn>,
    partitions: Vec<Constant>,
    /// Names of the leaf columns.
    leaves: Vec<String>,
    /// When the file was last written, as it was opened.
    modified: Option<SystemTime>,
}

/// Value of a partition column in one file.
#[derive(Debug, Clone, PartialEq)]
enum Constant {
    Null,
    Int(i64),
    Text(String),
}

/// Parquet files of one schema.
pub struct ParquetSource {
    columns: Vec<SourceColumn>,
    members: Vec<Member>,
    units: Vec<Unit>,
    options: ParquetOptions,
    failures: Vec<(String, Error)>,
    scratch: Mutex<Vec<Scratch>>,
    /// Columns whose values differ from those of the folders, by column and file.
    shadowed: Mutex<BTreeSet<(usize, usize)>>,
    pages: AtomicU64,
    checksummed: AtomicU64,
    taken: Option<Taken>,
}

#[derive(Default)]
struct Scratch {
    buffers: Buffers,
    dictionary: Values,
    values: Values,
    indices: Vec<u32>,
    valid: Vec<bool>,
}

impl ParquetSource {
    /// Reads the footers of `files`; the first one that can be read gives the schema.
    ///
    /// # Errors
    /// A file that is not Parquet, or whose columns differ from the first one's in name or logical type.
    pub fn open(files: &[ResolvedFile], options: ParquetOptions) -> Result<Self> {
        let (mut members, mut units, mut failures) = (Vec::<Member>::new(), Vec::new(), Vec::new());
        for file in files {
            let opened = open(file).and_then(|mut opened| {
                if let Some(first) = members.first() {
                    opened.columns = align(first, file, opened.columns)?;
                }
                Ok(opened)
            });
            match opened {
                Ok(opened) => {
                    let at = members.len();
                    let groups = opened.units.into_iter();
                    units.extend(groups.map(|unit| Unit { file: at, ..unit }));
                    members.push(Member {
                        file: file.clone(),
                        columns: opened.columns,
                        partitions: Vec::new(),
                        leaves: opened.leaves,
                        modified: opened.modified,
                    });
                }
                Err(error) if options.quarantine => failures.push((file.display.clone(), error)),
                Err(error) => return Err(error),
            }
        }
        let Some(first) = members.first() else {
            return Err(match failures.into_iter().next() {
                Some((_, error)) => error,
                None => Error::Unreadable {
                    path: String::new(),
                    message: "no file to read".into(),
                },
            });
        };
        let mut columns: Vec<SourceColumn> =
            first.columns.iter().map(|c| c.column.clone()).collect();
        // A column that is in the files too is read from there, and compared.
        let names: Vec<String> = first
            .file
            .partitions
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        for (i, name) in names.iter().enumerate() {
            if columns.iter().any(|c| c.name == *name) {
                continue;
            }
            let values: Vec<&str> = members
                .iter()
                .map(|m| m.file.partitions[i].1.as_str())
                .collect();
            let (logical, constants) = constants(&values);
            columns.push(SourceColumn {
                name: name.clone(),
                logical: Ok(logical),
                physical: "partition".into(),
            });
            for (member, constant) in members.iter_mut().zip(constants) {
                member.partitions.push(constant);
            }
        }
        Ok(Self {
            columns,
            members,
            units,
            options: ParquetOptions {
                batch_rows: options.batch_rows.clamp(1, MAX_BATCH_ROWS),
                ..options
            },
            failures,
            scratch: Mutex::default(),
            shadowed: Mutex::default(),
            pages: AtomicU64::new(0),
            checksummed: AtomicU64::new(0),
            taken: options.digests.then(Taken::default),
        })
    }

    /// Files set aside, with what is wrong; empty unless [`ParquetOptions::quarantine`] is set.
    pub fn failures(&self) -> &[(String, Error)] {
        &self.failures
    }

    /// Files read.
    pub fn files(&self) -> impl Iterator<Item = &ResolvedFile> {
        self.members.iter().map(|m| &m.file)
    }

    /// Position of a unit's file among [`ParquetSource::files`].
    pub fn unit_file(&self, unit: usize) -> usize {
        self.units[unit].file
    }

    /// Pages read so far, and how many of them carried a checksum (each of which was right).
    pub fn pages_read(&self) -> (u64, u64) {
        (
            self.pages.load(Ordering::Relaxed),
            self.checksummed.load(Ordering::Relaxed),
        )
    }

    /// Stored bytes of a column of a unit; 0 for partition columns.
    pub fn stored_bytes(&self, unit: usize, column: usize) -> u64 {
        let unit = &self.units[unit];
        let leaf = self.members[unit.file].columns.get(column).map(|c| c.leaf);
        let chunk = leaf.and_then(|leaf| unit.chunks.get(leaf));
        chunk.map_or(0, |c| u64::try_from(c.length).unwrap_or(0))
    }

    fn corrupt(&self, unit: &Unit, column: usize, message: String) -> Error {
        Error::Corrupt {
            unit: format!(
                "{}: row group {}",
                self.members[unit.file].file.display, unit.row_group
            ),
            column: self.columns[column].name.clone(),
            message,
        }
    }

    fn read_chunk(
        &self,
        unit: &Unit,
        column: usize,
        scratch: &mut Scratch,
        sink: &mut dyn PageSink,
    ) -> Result<()> {
        let fail = |message: String| self.corrupt(unit, column, message);
        let member = &self.members[unit.file];
        let of = &member.columns[column];
        let chunk = unit
            .chunks
            .get(of.leaf)
            .ok_or_else(|| fail("no column chunk in the footer".into()))?;
        let range = u64::try_from(chunk.offset)
            .ok()
            .zip(u64::try_from(chunk.length).ok());
        let (offset, length) = range
            .filter(|(offset, length)| {
                offset
                    .checked_add(*length)
                    .is_some_and(|end| end <= member.file.bytes)
            })
            .ok_or_else(|| {
                let Chunk { offset, length, .. } = chunk;
                fail(format!(
                    "column chunk of {length} bytes at {offset} in a file of {}",
                    member.file.bytes
                ))
            })?;
        let file = File::open(&member.file.path).map_err(|e| fail(e.to_string()))?;
        let Scratch {
            buffers,
            dictionary,
            values,
            indices,
            valid,
        } = scratch;
        let place = (unit.file, unit.row_group, of.leaf);
        let taken = self.taken.as_ref().filter(|t| t.lacks(place));
        let hashing = taken.map(|_| Hashing::default());
        let mut pages = Pages::new(&file, offset, length, chunk.codec, buffers, hashing);
        let mut size = None;
        let mut left = unit.rows;
        while left > 0 {
            let Some((header, body)) = pages.next().map_err(fail)? else {
                return Err(fail(format!(
                    "column chunk ends with {left} of {} rows missing",
                    unit.rows
                )));
            };
            self.pages.fetch_add(1, Ordering::Relaxed);
            self.checksummed
                .fetch_add(header.checksummed.into(), Ordering::Relaxed);
            match header.kind {
                Kind::Other => continue,
                Kind::Dictionary => {
                    if !matches!(
                        header.encoding,
                        encoding::PLAIN | encoding::PLAIN_DICTIONARY
                    ) {
                        return Err(fail(format!("dictionary in encoding {}", header.encoding)));
                    }
                    Stream::new(body, encoding::PLAIN, header.values, of.read, None)
                        .and_then(|mut stream| stream.values(header.values, of.read, dictionary))
                        .map_err(fail)?;
                    size = Some(header.values);
                    sink.dictionary(dictionary.slice(of.read))?;
                    continue;
                }
                Kind::Data | Kind::DataV2 => {}
            }
            if header.values as u64 > left {
                return Err(fail(format!(
                    "page of {} rows where {left} are left",
                    header.values
                )));
            }
            left -= header.values as u64;
            let (mut levels, body) = levels(&header, body, of.optional).map_err(fail)?;
            let present = match &levels {
                Some(levels) => levels.clone().count_ones(header.values).map_err(fail)?,
                None => header.values,
            };
            if present == header.values {
                levels = None;
            }
            let mut stream =
                Stream::new(body, header.encoding, present, of.read, size).map_err(fail)?;
            let mut rows_left = header.values;
            while rows_left > 0 {
                let rows = rows_left.min(self.options.batch_rows);
                rows_left -= rows;
                let n = match &mut levels {
                    None => rows,
                    Some(levels) if sink.needs_validity() => {
                        valid.resize(rows, false);
                        levels.read_flags(valid).map_err(fail)?
                    }
                    Some(levels) => levels.count_ones(rows).map_err(fail)?,
                };
                let flags = (n < rows && sink.needs_validity()).then_some(valid.as_slice());
                if stream.is_indices() {
                    indices.resize(n, 0);
                    stream.indices(indices).map_err(fail)?;
                    sink.page(rows, flags, PageData::Indices(indices))?;
                } else {
                    stream.values(n, of.read, values).map_err(fail)?;
                    sink.page(rows, flags, PageData::Values(values.slice(of.read)))?;
                }
            }
        }
        // Bytes that are no page may follow, further rows may not.
        match pages.next() {
            Ok(Some((header, _))) if header.values > 0 && header.kind.is_data() => {
                let (more, rows) = (header.values, unit.rows);
                Err(fail(format!(
                    "{more} rows more than the {rows} of the footer"
                )))
            }
            _ => {
                if let (Some(taken), Some(hashing)) = (taken, pages.finish().map_err(fail)?) {
                    taken.add(place, &hashing, length);
                }
                Ok(())
            }
        }
    }

    /// Reads a column chunk; values are scaled, and compared with the name of the folder, where they must be.
    fn read_checked(
        &self,
        unit: &Unit,
        column: usize,
        scratch: &mut Scratch,
        sink: &mut dyn PageSink,
    ) -> Result<()> {
        let member = &self.members[unit.file];
        let of = &member.columns[column];
        if of.factor != 1 {
            return self.read_chunk(unit, column, scratch, &mut Scaled::new(sink, of));
        }
        let mut partitions = member.file.partitions.iter();
        let folder = partitions.find(|(name, _)| *name == of.column.name);
        let (Some((_, text)), Ok(logical)) = (folder, &of.column.logical) else {
            return self.read_chunk(unit, column, scratch, sink);
        };
        let expected = Some(text.as_str()).filter(|text| *text != HIVE_NULL);
        let mut sink = Shadowed::new(sink, expected, *logical);
        self.read_chunk(unit, column, scratch, &mut sink)?;
        if sink.found {
            let mut all = self.shadowed.lock().unwrap_or_else(|p| p.into_inner());
            all.insert((column, unit.file));
        }
        Ok(())
    }

    fn read_constant(
        &self,
        rows: u64,
        constant: &Constant,
        logical: Logical,
        sink: &mut dyn PageSink,
    ) -> Result<()> {
        let offsets = [
            0,
            if let Constant::Text(text) = constant {
                text.len() as u32
            } else {
                0
            },
        ];
        match constant {
            Constant::Int(n) => sink.dictionary(Slice::I64(&[*n]))?,
            Constant::Text(text) => sink.dictionary(Slice::Bytes(Bytes {
                offsets: &offsets,
                data: text.as_bytes(),
            }))?,
            Constant::Null => {}
        }
        let batch = (self.options.batch_rows as u64).min(rows) as usize;
        let (zeros, nulls) = (vec![0; batch], vec![false; batch]);
        let mut left = rows;
        while left > 0 {
            let n = left.min(batch as u64) as usize;
            left -= n as u64;
            let flags = sink.needs_validity().then_some(&nulls[..n]);
            match (constant, logical) {
                (Constant::Null, Logical::Int) => {
                    sink.page(n, flags, PageData::Values(Slice::I64(&[])))?
                }
                (Constant::Null, _) => {
                    let none = Bytes {
                        offsets: &[0],
                        data: &[],
                    };
                    sink.page(n, flags, PageData::Values(Slice::Bytes(none)))?;
                }
                _ => sink.page(n, None, PageData::Indices(&zeros[..n]))?,
            }
        }
        Ok(())
    }
}

impl Source for ParquetSource {
    fn columns(&self) -> &[SourceColumn] {
        &self.columns
    }

    fn units(&self) -> usize {
        self.units.len()
    }

    fn notes(&self) -> Vec<(String, String)> {
        let all = self.shadowed.lock().unwrap_or_else(|p| p.into_inner());
        let mut notes = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            let mut files = all.range((at, 0)..(at + 1, 0)).map(|(_, file)| *file);
            let Some(first) = files.next() else {
                continue;
            };
            let (name, file) = (&column.name, &self.members[first].file);
            let given = file.partitions.iter().find(|(key, _)| key == name);
            let value = given.map_or("", |(_, value)| value.as_str());
            notes.push((
                name.clone(),
                format!(
                    "column {name:?} has other values than the names of the folders in {} files, the first one {} \
                     with {value:?} in its folder; the values in the files are counted",
                    files.count() + 1,
                    file.display
                ),
            ));
        }
        notes
    }

    fn unit_rows(&self, unit: usize) -> u64 {
        self.units[unit].rows
    }

    fn unit_id(&self, unit: usize) -> String {
        let unit = &self.units[unit];
        format!(
            "{}#{}",
            self.members[unit.file].file.path.display(),
            unit.row_group
        )
    }

    fn weight(&self, unit: usize, column: usize) -> u64 {
        self.stored_bytes(unit, column)
    }

    fn read(&self, unit: usize, column: usize, sink: &mut dyn PageSink) -> Result<()> {
        let unit = &self.units[unit];
        let logical = match &self.columns[column].logical {
            Ok(logical) => *logical,
            Err(reason) => return Err(self.corrupt(unit, column, reason.clone())),
        };
        if unit.rows > MAX_GROUP_ROWS {
            let rows = unit.rows;
            return Err(self.corrupt(
                unit,
                column,
                format!("row group of {rows} rows, at most {MAX_GROUP_ROWS} are accepted"),
            ));
        }
        let member = &self.members[unit.file];
        if let Some(constant) = column
            .checked_sub(member.columns.len())
            .and_then(|i| member.partitions.get(i))
        {
            return self.read_constant(unit.rows, constant, logical, sink);
        }
        // A thread that panicked in a sink left its buffers out of the pool, so the pool itself is sound.
        let pool = || {
            self.scratch
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
        };
        let mut scratch = pool().pop().unwrap_or_default();
        let done = self.read_checked(unit, column, &mut scratch, sink);
        if scratch.buffers.capacity() + scratch.values.capacity() + scratch.dictionary.capacity()
            <= KEPT_BUFFERS
        {
            pool().push(scratch);
        }
        done
    }
}

/// Definition levels (one bit each: a value or null) and the values behind them.
fn levels<'a>(
    header: &page::Header,
    body: &'a [u8],
    optional: bool,
) -> crate::rle::Result<(Option<Hybrid<'a>>, &'a [u8])> {
    if header.kind == Kind::DataV2 {
        let (repetition, definition) = header.levels;
        let at = |n: usize| body.get(n..).ok_or("levels longer than their page");
        let levels = at(repetition)?
            .get(..definition)
            .ok_or("levels longer than their page")?;
        let levels = optional.then(|| Hybrid::new(levels, 1)).transpose()?;
        return Ok((levels, at(repetition + definition)?));
    }
    if !optional {
        return Ok((None, body));
    }
    if header.level_encoding != encoding::RLE {
        return Err(format!(
            "definition levels in encoding {}, run-length is supported",
            header.level_encoding
        ));
    }
    let (head, rest) = body
        .split_first_chunk::<4>()
        .ok_or("page without definition levels")?;
    let (levels, values) = rest
        .split_at_checked(u32::from_le_bytes(*head) as usize)
        .ok_or("definition levels longer than their page")?;
    Ok((Some(Hybrid::new(levels, 1)?), values))
}

/// What the footer of one file says.
struct Opened {
    columns: Vec<FileColumn>,
    units: Vec<Unit>,
    leaves: Vec<String>,
    modified: Option<SystemTime>,
}

/// Columns and row groups of one file.
fn open(file: &ResolvedFile) -> Result<Opened> {
    let fail = |message: String| Error::Unreadable {
        path: file.display.clone(),
        message,
    };
    let handle = File::open(&file.path).map_err(|e| fail(e.to_string()))?;
    let modified = handle.metadata().and_then(|m| m.modified()).ok();
    let refuse = |message: String| fail(format!("not a whole Parquet file ({message})"));
    footer::check(&handle, file.bytes).map_err(refuse)?;
    // The crate's readers may panic on hostile footers; a file that does that is unreadable, no more.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        ParquetMetaDataReader::new().parse_and_finish(&handle)
    }));
    let metadata = parsed
        .unwrap_or_else(|_| {
            Err(parquet::errors::ParquetError::General(
                "footer cannot be parsed".into(),
            ))
        })
        .map_err(|e| refuse(e.to_string()))?;
    let descr = metadata.file_metadata().schema_descr();
    let mut columns = schema::columns(descr.root_schema());
    let leaves = descr.columns().iter().map(|c| c.path().string()).collect();
    hints::apply(&mut columns, metadata.file_metadata());
    Ok(Opened {
        columns,
        units: units(&metadata).map_err(fail)?,
        leaves,
        modified,
    })
}

fn units(metadata: &ParquetMetaData) -> Result<Vec<Unit>, String> {
    let group = |(i, group): (usize, &parquet::file::metadata::RowGroupMetaData)| {
        let rows = u64::try_from(group.num_rows());
        let rows = rows.map_err(|_| format!("row group {i} of {} rows", group.num_rows()))?;
        let chunks = group.columns().iter().map(|column| {
            if let Some(path) = column.file_path() {
                return Err(format!("row group {i} lies in another file, {path:?}"));
            }
            let data = column.data_page_offset();
            // Some writers say 0 where there is no dictionary.
            let dictionary = column
                .dictionary_page_offset()
                .filter(|&d| 0 < d && d < data);
            let codec = match column.compression() {
                Compression::UNCOMPRESSED => 0,
                Compression::SNAPPY => 1,
                Compression::GZIP(_) => 2,
                Compression::LZO => 3,
                Compression::BROTLI(_) => 4,
                Compression::LZ4 => 5,
                Compression::ZSTD(_) => 6,
                Compression::LZ4_RAW => 7,
            };
            Ok(Chunk {
                offset: dictionary.unwrap_or(data),
                length: column.compressed_size(),
                codec,
            })
        });
        Ok(Unit {
            file: 0,
            row_group: i,
            rows,
            chunks: chunks.collect::<Result<_, String>>()?,
        })
    };
    metadata
        .row_groups()
        .iter()
        .enumerate()
        .map(group)
        .collect()
}

/// Columns of a further file in the order of the first one's.
fn align(first: &Member, file: &ResolvedFile, columns: Vec<FileColumn>) -> Result<Vec<FileColumn>> {
    let mut differences = Vec::new();
    let describe = |column: &SourceColumn| match column.logical {
        Ok(logical) => format!(
            "{} ({})",
            crate::error::logical_name(logical),
            column.physical
        ),
        Err(_) => column.physical.clone(),
    };
    let mut found: HashMap<&str, &FileColumn> = columns
        .iter()
        .map(|c| (c.column.name.as_str(), c))
        .collect();
    let mut aligned = Vec::with_capacity(first.columns.len());
    for expected in &first.columns {
        let name = &expected.column.name;
        match found.get(name.as_str()) {
            Some(column)
                if column.column.logical.as_ref().ok() == expected.column.logical.as_ref().ok() =>
            {
                aligned.push((*column).clone());
            }
            Some(column) => differences.push(format!(
                "column {name:?} is {}, not {}",
                describe(&column.column),
                describe(&expected.column)
            )),
            None => differences.push(format!("column {name:?} is missing")),
        }
    }
    for expected in &first.columns {
        found.remove(expected.column.name.as_str());
    }
    let mut extra: Vec<&str> = found.into_keys().collect();
    extra.sort_unstable();
    differences.extend(
        extra
            .iter()
            .map(|name| format!("column {name:?} is not expected")),
    );
    let keys = |file: &ResolvedFile| {
        file.partitions
            .iter()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    };
    if keys(file) != keys(&first.file) {
        differences.push(format!(
            "partition folders {:?}, not {:?}",
            keys(file),
            keys(&first.file)
        ));
    }
    if differences.is_empty() {
        return Ok(aligned);
    }
    Err(Error::SchemaMismatch {
        path: file.display.clone(),
        first: first.file.display.clone(),
        differences,
    })
}

/// Values of a partition column: integers where all are, text otherwise.
fn constants(values: &[&str]) -> (Logical, Vec<Constant>) {
    let present = || values.iter().filter(|v| **v != HIVE_NULL);
    let ints = present().next().is_some() && present().all(|v| v.parse::<i64>().is_ok());
    let constant = |value: &&str| match value.parse() {
        _ if *value == HIVE_NULL => Constant::Null,
        Ok(n) if ints => Constant::Int(n),
        _ => Constant::Text((*value).to_owned()),
    };
    (
        if ints { Logical::Int } else { Logical::String },
        values.iter().map(constant).collect(),
    )
}
