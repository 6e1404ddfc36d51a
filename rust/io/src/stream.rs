//! Rows that arrive as Arrow streams: read again for every pass, or spooled when they come only once.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::sync::Mutex;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, SchemaRef};

use crate::arrow::ArrowSource;
use crate::meter::Meter;
use crate::source::{PageSink, Source, SourceColumn, Stream};
use crate::{Error, Result};

/// A part of a stream is scanned when it has this many rows.
const PART_ROWS: usize = 1 << 18;
/// Or this many bytes.
const PART_BYTES: usize = 32 << 20;

/// Batches of one schema, in turn.
pub type Reader = Box<dyn RecordBatchReader + Send>;
/// Begins the stream anew.
pub type Open<'a> = Box<dyn Fn() -> Result<Reader> + Send + Sync + 'a>;

/// A stream that is opened once per pass, of which one part at a time is held.
pub struct StreamSource<'a> {
    schema: SchemaRef,
    columns: Vec<SourceColumn>,
    /// Opened already, to learn the schema.
    first: Mutex<Option<Reader>>,
    open: Open<'a>,
    /// Rows of the first pass.
    rows: Mutex<Option<u64>>,
    name: String,
    batch_rows: Option<usize>,
}

impl<'a> StreamSource<'a> {
    /// Opens the stream; `open` is called again for every pass but the first, and must give the same rows.
    ///
    /// # Errors
    /// Those of `open`; columns that [`ArrowSource::new`] refuses.
    pub fn new(name: impl Into<String>, open: Open<'a>) -> Result<Self> {
        let first = open()?;
        Self::opened(name.into(), first, open)
    }

    /// Takes a stream that can be read once; a second pass over it is an error.
    ///
    /// # Errors
    /// Columns that [`ArrowSource::new`] refuses.
    pub fn once(name: impl Into<String>, reader: Reader) -> Result<Self> {
        let name = name.into();
        let path = name.clone();
        let again = move || {
            Err(Error::Unreadable {
                path: path.clone(),
                message: "a stream that was read already; accepted is one that can be opened again"
                    .into(),
            })
        };
        Self::opened(name, reader, Box::new(again))
    }

    fn opened(name: String, first: Reader, open: Open<'a>) -> Result<Self> {
        let schema = first.schema();
        let columns = ArrowSource::new(&schema, Vec::new())?.columns().to_vec();
        Ok(Self {
            schema,
            columns,
            first: Mutex::new(Some(first)),
            open,
            rows: Mutex::default(),
            name,
            batch_rows: None,
        })
    }

    /// Sets the most rows of a page given to a sink.
    pub fn with_batch_rows(self, rows: Option<usize>) -> Self {
        Self {
            batch_rows: rows,
            ..self
        }
    }

    fn unreadable(&self, message: String) -> Error {
        Error::Unreadable {
            path: self.name.clone(),
            message,
        }
    }

    fn part(
        &self,
        batches: &mut Vec<RecordBatch>,
        each: &mut dyn FnMut(&dyn Source) -> Result<()>,
    ) -> Result<()> {
        let mut part = ArrowSource::new(&self.schema, std::mem::take(batches))?;
        if let Some(rows) = self.batch_rows {
            part = part.with_batch_rows(rows);
        }
        each(&part).map_err(|e| match e {
            // Parts of a stream cannot be set aside: the next pass may cut them elsewhere.
            Error::Corrupt {
                column, message, ..
            } => self.unreadable(format!("column {column:?}: {message}")),
            other => other,
        })
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Bytes that the rows of a batch take, whatever buffers they share with others.
fn bytes(batch: &RecordBatch) -> usize {
    let size = |c: &ArrayRef| c.to_data().get_slice_memory_size();
    let sizes = batch.columns().iter().map(size);
    sizes.map(|s| s.unwrap_or(8 * batch.num_rows())).sum()
}

impl Stream for StreamSource<'_> {
    fn pass(
        &self,
        meter: &Meter<'_>,
        each: &mut dyn FnMut(&dyn Source) -> Result<()>,
    ) -> Result<()> {
        let opened = lock(&self.first).take();
        let reader = opened.map_or_else(|| (self.open)(), Ok)?;
        if reader.schema().fields() != self.schema.fields() {
            return Err(self.unreadable("other columns than when it was read before".into()));
        }
        let before = *lock(&self.rows);
        meter.expect(before.unwrap_or(0));
        let (mut held, mut rows, mut size, mut all) = (Vec::new(), 0, 0, 0);
        for batch in reader {
            meter.check()?;
            let batch = batch.map_err(|e| self.unreadable(first_line(&e)))?;
            rows += batch.num_rows();
            size += bytes(&batch);
            held.push(batch);
            if rows >= PART_ROWS || size >= PART_BYTES {
                self.part(&mut held, each)?;
                meter.add(rows as u64);
                all += rows as u64;
                (rows, size) = (0, 0);
            }
        }
        self.part(&mut held, each)?;
        meter.add(rows as u64);
        all += rows as u64;
        match before {
            None => meter.expect(all),
            Some(n) if n != all => {
                return Err(self.unreadable(format!(
                    "{n} rows when first read, then {all}; accepted is a source that stays the same"
                )));
            }
            Some(_) => {}
        }
        *lock(&self.rows) = Some(all);
        Ok(())
    }
}

impl Source for StreamSource<'_> {
    fn columns(&self) -> &[SourceColumn] {
        &self.columns
    }

    fn units(&self) -> usize {
        0
    }

    fn unit_rows(&self, _: usize) -> u64 {
        0
    }

    fn unit_id(&self, _: usize) -> String {
        self.name.clone()
    }

    fn weight(&self, _: usize, _: usize) -> u64 {
        0
    }

    fn stream(&self) -> Option<&dyn Stream> {
        Some(self)
    }

    fn read(&self, _: usize, _: usize, _: &mut dyn PageSink) -> Result<()> {
        Ok(())
    }
}

/// A stream that came once, kept: the first batches in memory, the others in a temporary file.
///
/// The file has no name from the moment it is made, so that it goes with the process whatever ends
/// it. It lies in the folder for temporary files (`TMPDIR`).
pub struct Spool {
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    file: Option<File>,
}

impl Spool {
    /// Drains `reader`; batches beyond `hold` bytes go to the file.
    ///
    /// # Errors
    /// Those of the stream and of the file; an interrupt that `check` reports.
    pub fn new(
        name: &str,
        reader: Reader,
        hold: usize,
        check: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Self> {
        let fail = |message: String| Error::Unreadable {
            path: name.into(),
            message,
        };
        let full = |e: &dyn std::fmt::Display| fail(format!("temporary file: {e}"));
        let schema = reader.schema();
        let (mut held, mut size, mut rows) = (Vec::new(), 0, 0);
        let mut writer: Option<StreamWriter<BufWriter<File>>> = None;
        for batch in reader {
            let batch = batch.map_err(|e| fail(first_line(&e)))?;
            rows += batch.num_rows() as u64;
            check(rows)?;
            size += bytes(&batch);
            if size <= hold {
                held.push(batch);
                continue;
            }
            let out = match &mut writer {
                Some(w) => w,
                none => {
                    let file = tempfile::tempfile().map_err(|e| full(&e))?;
                    let made = StreamWriter::try_new_buffered(file, &schema);
                    none.insert(made.map_err(|e| full(&e))?)
                }
            };
            out.write(&compact(&batch).map_err(|e| full(&e))?)
                .map_err(|e| full(&e))?;
        }
        let file = match writer {
            None => None,
            Some(mut w) => {
                w.finish().map_err(|e| full(&e))?;
                let mut buffer = w.into_inner().map_err(|e| full(&e))?;
                buffer.flush().map_err(|e| full(&e))?;
                Some(buffer.into_inner().map_err(|e| full(&e))?)
            }
        };
        Ok(Self { schema, held, file })
    }

    /// The batches, when all of them are in memory.
    pub fn in_memory(&self) -> Option<(&SchemaRef, &[RecordBatch])> {
        self.file.is_none().then_some((&self.schema, &self.held))
    }

    /// The rows again, from the first; one reader at a time.
    ///
    /// # Errors
    /// Those of the file.
    pub fn open(&self) -> Result<Reader> {
        let held: Vec<Result<RecordBatch, ArrowError>> =
            self.held.iter().cloned().map(Ok).collect();
        let Some(file) = &self.file else {
            let batches = RecordBatchIterator::new(held, self.schema.clone());
            return Ok(Box::new(batches));
        };
        let fail = |e: &dyn std::fmt::Display| Error::Unreadable {
            path: "temporary file".into(),
            message: e.to_string(),
        };
        let mut file = file.try_clone().map_err(|e| fail(&e))?;
        file.seek(SeekFrom::Start(0)).map_err(|e| fail(&e))?;
        let rest = StreamReader::try_new(BufReader::new(file), None).map_err(|e| fail(&e))?;
        let all = held.into_iter().chain(rest);
        Ok(Box::new(RecordBatchIterator::new(all, self.schema.clone())))
    }
}

/// Views that keep only the bytes of their rows: written as they are, each slice would carry the whole.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() == 0 {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(|c| -> ArrayRef {
        match c.data_type() {
            DataType::Utf8View => std::sync::Arc::new(c.as_string_view().gc()),
            DataType::BinaryView => std::sync::Arc::new(c.as_binary_view().gc()),
            _ => c.clone(),
        }
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}

/// The message without advice. One on a value of text that says itself what Polars says around it, up to a line's
/// end, stops before that: nothing tells then which column it is of, and none of a sensitive column is told.
fn first_line(error: &ArrowError) -> String {
    const AS_DTYPE: &str = "` as dtype `";
    let text = match error {
        ArrowError::CDataInterface(text) => text.clone(),
        other => other.to_string(),
    };
    let line = text.lines().next().unwrap_or_default();
    let told = if text.matches(AS_DTYPE).count() > 1 {
        line.split(AS_DTYPE).next().unwrap_or_default()
    } else {
        line
    };
    told.to_owned()
}
