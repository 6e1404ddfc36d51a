//! What a scan reads: units of rows, column by column, page by page.

use tidegauge_core::value::{Logical, Slice};

use crate::Result;
use crate::meter::Meter;

/// One column of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceColumn {
    /// Name as stored.
    pub name: String,
    /// Logical type, or why the column is not profiled (nested, unsupported).
    pub logical: Result<Logical, String>,
    /// Physical type in words, for messages and `inspect` ("int32", "dictionary<string>").
    pub physical: String,
}

/// One page of values; only non-null values, in row order.
#[derive(Debug, Clone, Copy)]
pub enum PageData<'a> {
    /// The values themselves.
    Values(Slice<'a>),
    /// Positions in the dictionary last given to [`PageSink::dictionary`], each in range.
    Indices(&'a [u32]),
}

/// Receives the pages of one column of one unit.
pub trait PageSink {
    /// Whether [`PageSink::page`] needs the flags of `valid` (grouped scans do).
    fn needs_validity(&self) -> bool;
    /// The dictionary that later `Indices` pages point into; replaces the one before.
    fn dictionary(&mut self, values: Slice<'_>) -> Result<()>;
    /// `rows` rows, `data` holding the non-null ones. `valid` has one flag a row; it is `None` when
    /// no row is null or when the sink does not need it.
    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()>;
}

/// A table that can be scanned any number of times.
pub trait Source: Sync {
    /// Columns in order.
    fn columns(&self) -> &[SourceColumn];
    /// Number of units (file x row group, or record batch).
    fn units(&self) -> usize;
    /// Rows of a unit.
    fn unit_rows(&self, unit: usize) -> u64;
    /// Identity of a unit for coverage: path and row group, or the id of the call.
    fn unit_id(&self, unit: usize) -> String;
    /// Feeds every page of one column of one unit to `sink`; the rows add up to `unit_rows`.
    fn read(&self, unit: usize, column: usize, sink: &mut dyn PageSink) -> Result<()>;
    /// What was met while reading that is no error and must not pass in silence: column and message.
    fn notes(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// Bytes that [`Source::read`] goes through, stored or held; for progress.
    fn weight(&self, unit: usize, column: usize) -> u64;
    /// Told which columns a scan profiles, before it reads them.
    fn profiled(&self, _columns: &[usize]) {}
    /// The rows as a stream, when they do not lie in units; there are no units then.
    fn stream(&self) -> Option<&dyn Stream> {
        None
    }
}

/// Rows that arrive in parts and are not kept.
pub trait Stream: Sync {
    /// Hands over every row once, part by part, each with the columns of the source.
    ///
    /// # Errors
    /// Rows that cannot be read or are no longer those of the pass before; those of `each`.
    fn pass(
        &self,
        meter: &Meter<'_>,
        each: &mut dyn FnMut(&dyn Source) -> Result<()>,
    ) -> Result<()>;
}
