//! Arrow record batches as a [`Source`], with the logical types and values that the same rows have in Parquet.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, GenericByteArray, PrimitiveArray, RecordBatch,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, IntervalUnit, SchemaRef, TimeUnit as ArrowUnit};
use tidegauge_core::value::{Bytes, Logical, Slice, TimeUnit};

use crate::parquet::{NESTED, refuse_same_names};
use crate::source::{PageData, PageSink, Source, SourceColumn};
use crate::{Error, Result};

/// Rows of a unit at most, so that threads share a single large batch.
const UNIT_ROWS: usize = 1 << 20;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Record batches of one schema, held in memory.
pub struct ArrowSource {
    columns: Vec<SourceColumn>,
    batches: Vec<RecordBatch>,
    units: Vec<Unit>,
    id: String,
    batch_rows: usize,
}

struct Unit {
    batch: usize,
    from: usize,
    rows: usize,
}

impl ArrowSource {
    /// Takes `batches`, whose columns must have the types of `schema`.
    ///
    /// A column of type null is profiled as strings that are all missing, as it is from Parquet.
    ///
    /// # Errors
    /// A batch with other columns.
    pub fn new(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self> {
        let mut columns: Vec<SourceColumn> = schema
            .fields()
            .iter()
            .map(|field| SourceColumn {
                name: field.name().clone(),
                logical: logical(field.data_type()),
                physical: field.data_type().to_string().to_lowercase(),
            })
            .collect();
        refuse_same_names(columns.iter_mut());
        let mut units = Vec::new();
        for (i, batch) in batches.iter().enumerate() {
            agree(schema, i, batch)?;
            let steps = (0..batch.num_rows()).step_by(UNIT_ROWS);
            units.extend(steps.map(|from| Unit {
                batch: i,
                from,
                rows: UNIT_ROWS.min(batch.num_rows() - from),
            }));
        }
        Ok(Self {
            columns,
            batches,
            units,
            id: "arrow".into(),
            batch_rows: 8192,
        })
    }

    /// Names the table in unit identities and messages; `"arrow"` otherwise.
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..self
        }
    }

    /// Sets the most rows of a page given to a sink; 8192 otherwise.
    pub fn with_batch_rows(self, rows: usize) -> Self {
        Self {
            batch_rows: rows.max(1),
            ..self
        }
    }

    fn read_column(
        &self,
        unit: &Unit,
        array: &ArrayRef,
        sink: &mut dyn PageSink,
    ) -> Result<(), Stop> {
        let array = array.slice(unit.from, unit.rows);
        let mut buffers = Buffers::default();
        match array.data_type() {
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let values = dictionary.values();
                let keys = keys(dictionary.keys())?;
                self.read_indexed(values, array.len(), |row| keys[row], &mut buffers, sink)
            }
            DataType::RunEndEncoded(..) => {
                let (values, runs) = runs(&array)?;
                self.read_indexed(
                    &values,
                    array.len(),
                    |row| Some(runs[row]),
                    &mut buffers,
                    sink,
                )
            }
            _ => {
                let mut from = 0;
                while from < array.len() {
                    let rows = self.batch_rows.min(array.len() - from);
                    let page = array.slice(from, rows);
                    from += rows;
                    self.read_plain(&page, &mut buffers, sink)?;
                }
                Ok(())
            }
        }
    }

    /// Values as they stand; halves pages whose strings need more than 32-bit offsets.
    fn read_plain(
        &self,
        page: &ArrayRef,
        buffers: &mut Buffers,
        sink: &mut dyn PageSink,
    ) -> Result<(), Stop> {
        let rows = page.len();
        let nulls = page.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let Some(values) = buffers.values(page, nulls.as_ref())? else {
            if rows <= 1 {
                return Err("string of more than 4 GiB".to_owned().into());
            }
            self.read_plain(&page.slice(0, rows / 2), buffers, sink)?;
            return self.read_plain(&page.slice(rows / 2, rows - rows / 2), buffers, sink);
        };
        let flags: Option<Vec<bool>> = nulls
            .filter(|_| sink.needs_validity())
            .map(|nulls| nulls.iter().collect());
        Ok(sink.page(rows, flags.as_deref(), PageData::Values(values))?)
    }

    /// Rows that point into `values`, by position or not at all.
    fn read_indexed(
        &self,
        values: &ArrayRef,
        rows: usize,
        position: impl Fn(usize) -> Option<usize>,
        buffers: &mut Buffers,
        sink: &mut dyn PageSink,
    ) -> Result<(), Stop> {
        let mut used = vec![false; values.len()];
        for at in (0..rows).filter_map(&position) {
            let size = values.len();
            *used
                .get_mut(at)
                .ok_or_else(|| format!("index {at} where the dictionary has {size} values"))? =
                true;
        }
        let valid = values.logical_nulls();
        // Entries that no row of this unit points to are left out: batches often share one large dictionary.
        let kept = BooleanBuffer::collect_bool(values.len(), |i| {
            used[i] && valid.as_ref().is_none_or(|v| v.is_valid(i))
        });
        let kept = NullBuffer::new(kept);
        let mut next = 0;
        let entries: Vec<Option<u32>> = kept
            .iter()
            .map(|kept| {
                kept.then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let mask = Some(&kept).filter(|kept| kept.null_count() > 0);
        let dictionary = buffers
            .values(values, mask)?
            .ok_or_else(|| "dictionary of more than 4 GiB".to_owned())?;
        sink.dictionary(dictionary)?;
        let (mut indices, mut flags) = (Vec::new(), Vec::new());
        for from in (0..rows).step_by(self.batch_rows) {
            let page = from..rows.min(from + self.batch_rows);
            let entry = |row: usize| position(row).and_then(|at| entries[at]);
            indices.clear();
            indices.extend(page.clone().filter_map(entry));
            let nulls = indices.len() < page.len() && sink.needs_validity();
            if nulls {
                flags.clear();
                flags.extend(page.clone().map(|row| entry(row).is_some()));
            }
            sink.page(
                page.len(),
                nulls.then_some(flags.as_slice()),
                PageData::Indices(&indices),
            )?;
        }
        Ok(())
    }
}

impl Source for ArrowSource {
    fn columns(&self) -> &[SourceColumn] {
        &self.columns
    }

    fn units(&self) -> usize {
        self.units.len()
    }

    fn unit_rows(&self, unit: usize) -> u64 {
        self.units[unit].rows as u64
    }

    fn unit_id(&self, unit: usize) -> String {
        format!("{}#{unit}", self.id)
    }

    fn weight(&self, unit: usize, column: usize) -> u64 {
        let Unit { batch, from, rows } = self.units[unit];
        let array = self.batches[batch].column(column).slice(from, rows);
        let held = array.to_data().get_slice_memory_size();
        // Layouts without a size of their own still take time.
        held.unwrap_or(8 * rows) as u64
    }

    fn read(&self, unit: usize, column: usize, sink: &mut dyn PageSink) -> Result<()> {
        let SourceColumn { name, logical, .. } = &self.columns[column];
        let found = &self.units[unit];
        let done = match logical {
            Ok(_) => self.read_column(found, self.batches[found.batch].column(column), sink),
            Err(reason) => Err(reason.clone().into()),
        };
        done.map_err(|stop| match stop {
            Stop::Sink(error) => error,
            Stop::Wrong(message) => Error::Corrupt {
                unit: self.unit_id(unit),
                column: name.clone(),
                message,
            },
        })
    }
}

/// Why a column was not read to its end.
enum Stop {
    Sink(Error),
    Wrong(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Sink(error)
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Stop::Wrong(message)
    }
}

/// Checks that a batch has the columns of the schema; names of nested fields and metadata may differ.
fn agree(schema: &SchemaRef, index: usize, batch: &RecordBatch) -> Result<()> {
    let found = batch.schema();
    let mut differences = Vec::new();
    if found.fields().len() != schema.fields().len() {
        differences.push(format!(
            "{} columns, not {}",
            found.fields().len(),
            schema.fields().len()
        ));
    }
    for (expected, found) in schema.fields().iter().zip(found.fields()) {
        if expected.name() != found.name()
            || !expected.data_type().equals_datatype(found.data_type())
        {
            let (name, was) = (expected.name(), expected.data_type());
            differences.push(format!(
                "column {:?} is {}, not {name:?} of {was}",
                found.name(),
                found.data_type()
            ));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::SchemaMismatch {
        path: format!("record batch {index}"),
        first: "the schema".into(),
        differences,
    })
}

/// Seconds are milliseconds here, as they are in Parquet, in Polars and in any file either of them wrote.
fn unit(unit: &ArrowUnit) -> TimeUnit {
    match unit {
        ArrowUnit::Second | ArrowUnit::Millisecond => TimeUnit::Ms,
        ArrowUnit::Microsecond => TimeUnit::Us,
        ArrowUnit::Nanosecond => TimeUnit::Ns,
    }
}

/// Logical type of an Arrow type, or why it is not profiled.
fn logical(of: &DataType) -> Result<Logical, String> {
    use DataType::*;
    Ok(match of {
        Boolean => Logical::Bool,
        Int8 | Int16 | Int32 | Int64 => Logical::Int,
        UInt8 | UInt16 | UInt32 | UInt64 => Logical::UInt,
        Float16 | Float32 | Float64 => Logical::Float,
        Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) => {
            Logical::Decimal { scale: *scale }
        }
        Decimal256(precision, scale) if *precision <= 38 => Logical::Decimal { scale: *scale },
        Decimal256(precision, _) => {
            return Err(format!(
                "decimals of {precision} digits are not supported, at most 38 are"
            ));
        }
        Date32 | Date64 => Logical::Date,
        Time32(u) | Time64(u) => Logical::Time { unit: unit(u) },
        Timestamp(u, zone) => Logical::Timestamp {
            unit: unit(u),
            zoned: zone.is_some(),
        },
        Duration(u) => Logical::Duration { unit: unit(u) },
        Utf8 | LargeUtf8 | Utf8View | Null => Logical::String,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Logical::Binary,
        Dictionary(_, values) => flat(values)?,
        RunEndEncoded(_, values) => flat(values.data_type())?,
        Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano) => {
            return Err("intervals have no order and are not profiled".into());
        }
        List(_) | LargeList(_) | ListView(_) | LargeListView(_) | FixedSizeList(..) | Struct(_)
        | Union(..) | Map(..) => {
            return Err(NESTED.into());
        }
    })
}

/// Logical type of the values of an encoded column, which must not be encoded once more.
fn flat(of: &DataType) -> Result<Logical, String> {
    match of {
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) => {
            Err("columns encoded twice are not profiled".into())
        }
        of => logical(of),
    }
}

/// Dictionary positions by row, `None` for null.
fn keys(keys: &dyn Array) -> Result<Vec<Option<usize>>, String> {
    fn of<T: ArrowPrimitiveType>(keys: &dyn Array) -> Vec<Option<usize>> {
        // A negative key becomes a position that no dictionary has.
        keys.as_primitive::<T>()
            .iter()
            .map(|key| key.map(|key| key.to_usize().unwrap_or(usize::MAX)))
            .collect()
    }
    Ok(match keys.data_type() {
        DataType::Int8 => of::<Int8Type>(keys),
        DataType::Int16 => of::<Int16Type>(keys),
        DataType::Int32 => of::<Int32Type>(keys),
        DataType::Int64 => of::<Int64Type>(keys),
        DataType::UInt8 => of::<UInt8Type>(keys),
        DataType::UInt16 => of::<UInt16Type>(keys),
        DataType::UInt32 => of::<UInt32Type>(keys),
        DataType::UInt64 => of::<UInt64Type>(keys),
        other => return Err(format!("dictionary keys of type {other}")),
    })
}

/// Values of a run-end encoded column and the run of each row.
fn runs(array: &ArrayRef) -> Result<(ArrayRef, Vec<usize>), String> {
    fn of<T: RunEndIndexType>(array: &ArrayRef) -> (ArrayRef, Vec<usize>) {
        let runs = array.as_run::<T>();
        let (from, to) = (runs.offset(), runs.offset() + runs.len());
        let mut rows = Vec::with_capacity(runs.len());
        for (run, end) in runs.run_ends().values().iter().enumerate() {
            let end = end.as_usize().clamp(from, to);
            rows.resize((end - from).max(rows.len()), run);
        }
        (Arc::clone(runs.values()), rows)
    }
    let (values, rows) = match array.data_type() {
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => of::<Int16Type>(array),
            DataType::Int32 => of::<Int32Type>(array),
            DataType::Int64 => of::<Int64Type>(array),
            other => return Err(format!("run ends of type {other}")),
        },
        other => return Err(format!("runs of type {other}")),
    };
    if rows.len() < array.len() {
        return Err(format!(
            "run ends cover {} of {} rows",
            rows.len(),
            array.len()
        ));
    }
    Ok((values, rows))
}

/// Values without nulls, widened.
#[derive(Default)]
struct Buffers {
    bool: Vec<bool>,
    i64: Vec<i64>,
    u64: Vec<u64>,
    f32: Vec<f32>,
    f64: Vec<f64>,
    i128: Vec<i128>,
    offsets: Vec<u32>,
    data: Vec<u8>,
}

impl Buffers {
    /// The valid values of `array`, in place where their layout allows it; `None` if their bytes exceed 4 GiB.
    fn values<'a>(
        &'a mut self,
        array: &'a ArrayRef,
        valid: Option<&NullBuffer>,
    ) -> Result<Option<Slice<'a>>, String> {
        use DataType::*;
        macro_rules! widen {
            ($type:ty, $buffer:ident, $slice:ident, $value:expr) => {{
                gather(
                    array.as_primitive::<$type>(),
                    valid,
                    &mut self.$buffer,
                    $value,
                );
                Slice::$slice(&self.$buffer)
            }};
        }
        macro_rules! same {
            ($type:ty, $buffer:ident, $slice:ident) => {
                match valid {
                    None => Slice::$slice(array.as_primitive::<$type>().values()),
                    Some(_) => widen!($type, $buffer, $slice, |v| v),
                }
            };
        }
        macro_rules! seconds {
            ($type:ty) => {{
                gather(array.as_primitive::<$type>(), valid, &mut self.i64, |v| v);
                for value in &mut self.i64 {
                    *value = value.checked_mul(1000).ok_or_else(|| {
                        format!("{value} seconds do not fit 64 bits of milliseconds")
                    })?;
                }
                Slice::I64(&self.i64)
            }};
        }
        Ok(Some(match array.data_type() {
            Boolean => {
                let flags = array.as_boolean().values();
                self.bool.clear();
                ranges(array.len(), valid, |from, to| {
                    self.bool.extend(flags.slice(from, to - from).iter())
                });
                Slice::Bool(&self.bool)
            }
            Int8 => widen!(Int8Type, i64, I64, i64::from),
            Int16 => widen!(Int16Type, i64, I64, i64::from),
            Int32 => widen!(Int32Type, i64, I64, i64::from),
            Int64 => same!(Int64Type, i64, I64),
            UInt8 => widen!(UInt8Type, u64, U64, u64::from),
            UInt16 => widen!(UInt16Type, u64, U64, u64::from),
            UInt32 => widen!(UInt32Type, u64, U64, u64::from),
            UInt64 => same!(UInt64Type, u64, U64),
            Float16 => widen!(Float16Type, f32, F32, |v| v.to_f32()),
            Float32 => same!(Float32Type, f32, F32),
            Float64 => same!(Float64Type, f64, F64),
            Decimal32(..) => widen!(Decimal32Type, i128, I128, i128::from),
            Decimal64(..) => widen!(Decimal64Type, i128, I128, i128::from),
            Decimal128(..) => same!(Decimal128Type, i128, I128),
            Decimal256(..) => {
                let decimals = array.as_primitive::<Decimal256Type>().values();
                self.i128.clear();
                let mut wide = None;
                ranges(array.len(), valid, |from, to| {
                    self.i128.extend(decimals[from..to].iter().map(|v| {
                        v.to_i128().unwrap_or_else(|| {
                            wide = Some(*v);
                            0
                        })
                    }));
                });
                match wide {
                    Some(value) => return Err(format!("decimal {value} does not fit 128 bits")),
                    None => Slice::I128(&self.i128),
                }
            }
            Date32 => widen!(Date32Type, i64, I64, i64::from),
            Date64 => {
                gather(
                    array.as_primitive::<Date64Type>(),
                    valid,
                    &mut self.i64,
                    |v| v,
                );
                for value in &mut self.i64 {
                    if *value % DAY != 0 {
                        return Err(format!(
                            "date of {value} milliseconds, which is not a whole day"
                        ));
                    }
                    *value /= DAY;
                }
                Slice::I64(&self.i64)
            }
            Time32(ArrowUnit::Second) => {
                widen!(Time32SecondType, i64, I64, |v| 1000 * i64::from(v))
            }
            Time32(_) => widen!(Time32MillisecondType, i64, I64, i64::from),
            Time64(ArrowUnit::Microsecond) => same!(Time64MicrosecondType, i64, I64),
            Time64(_) => same!(Time64NanosecondType, i64, I64),
            Timestamp(ArrowUnit::Second, _) => seconds!(TimestampSecondType),
            Timestamp(ArrowUnit::Millisecond, _) => same!(TimestampMillisecondType, i64, I64),
            Timestamp(ArrowUnit::Microsecond, _) => same!(TimestampMicrosecondType, i64, I64),
            Timestamp(ArrowUnit::Nanosecond, _) => same!(TimestampNanosecondType, i64, I64),
            Duration(ArrowUnit::Second) => seconds!(DurationSecondType),
            Duration(ArrowUnit::Millisecond) => same!(DurationMillisecondType, i64, I64),
            Duration(ArrowUnit::Microsecond) => same!(DurationMicrosecondType, i64, I64),
            Duration(ArrowUnit::Nanosecond) => same!(DurationNanosecondType, i64, I64),
            Utf8 => return Ok(self.strings(array.as_string::<i32>(), valid)),
            LargeUtf8 => return Ok(self.strings(array.as_string::<i64>(), valid)),
            Binary => return Ok(self.strings(array.as_binary::<i32>(), valid)),
            LargeBinary => return Ok(self.strings(array.as_binary::<i64>(), valid)),
            // As bytes: invalid UTF-8 is data to count, so it must not pass through `str`.
            Utf8View => {
                let views = array.as_string_view().clone().to_binary_view();
                return Ok(self.collect(array.len(), valid, |i| views.value(i)));
            }
            BinaryView => {
                let views = array.as_binary_view();
                return Ok(self.collect(array.len(), valid, |i| views.value(i)));
            }
            FixedSizeBinary(_) => {
                let fixed = array.as_fixed_size_binary();
                return Ok(self.collect(array.len(), valid, |i| fixed.value(i)));
            }
            Null => Slice::Bytes(Bytes {
                offsets: &[0],
                data: &[],
            }),
            other => return Err(format!("columns of type {other} are not profiled")),
        }))
    }

    fn strings<'a, T: ByteArrayType>(
        &'a mut self,
        array: &'a GenericByteArray<T>,
        valid: Option<&NullBuffer>,
    ) -> Option<Slice<'a>> {
        let (offsets, data) = (array.value_offsets(), array.value_data());
        if valid.is_some() {
            return self.collect(array.len(), valid, |i| {
                &data[offsets[i].as_usize()..offsets[i + 1].as_usize()]
            });
        }
        let (from, to) = (offsets.first()?.as_usize(), offsets.last()?.as_usize());
        u32::try_from(to - from).ok()?;
        self.offsets.clear();
        self.offsets.extend(
            offsets
                .iter()
                .map(|offset| (offset.as_usize() - from) as u32),
        );
        Some(Slice::Bytes(Bytes {
            offsets: &self.offsets,
            data: &data[from..to],
        }))
    }

    fn collect<'v>(
        &mut self,
        rows: usize,
        valid: Option<&NullBuffer>,
        value: impl Fn(usize) -> &'v [u8],
    ) -> Option<Slice<'_>> {
        self.data.clear();
        self.offsets.clear();
        self.offsets.push(0);
        let mut fits = true;
        ranges(rows, valid, |from, to| {
            for i in from..to {
                let value = value(i);
                fits &= self.data.len() + value.len() <= u32::MAX as usize;
                if fits {
                    self.data.extend_from_slice(value);
                    self.offsets.push(self.data.len() as u32);
                }
            }
        });
        fits.then_some(Slice::Bytes(Bytes {
            offsets: &self.offsets,
            data: &self.data,
        }))
    }
}

/// Calls `each` with every run of valid rows.
fn ranges(rows: usize, valid: Option<&NullBuffer>, mut each: impl FnMut(usize, usize)) {
    match valid {
        None => each(0, rows),
        Some(valid) => valid.valid_slices().for_each(|(from, to)| each(from, to)),
    }
}

fn gather<T: ArrowPrimitiveType, V>(
    array: &PrimitiveArray<T>,
    valid: Option<&NullBuffer>,
    out: &mut Vec<V>,
    value: impl Fn(T::Native) -> V + Copy,
) {
    let values = array.values();
    out.clear();
    ranges(array.len(), valid, |from, to| {
        out.extend(values[from..to].iter().map(|v| value(*v)))
    });
}
