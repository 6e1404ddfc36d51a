//! Every Arrow array delivers the values a reader of it would see, nulls apart, sliced or not.

mod common;

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, Schema};
use common::{Cell, Collect, column};
use tidegauge_core::value::{Logical, TimeUnit};
use tidegauge_io::arrow::ArrowSource;
use tidegauge_io::source::Source;

fn source(array: ArrayRef) -> ArrowSource {
    let schema = Arc::new(Schema::new(vec![Field::new(
        "a",
        array.data_type().clone(),
        true,
    )]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
    ArrowSource::new(&schema, vec![batch]).unwrap()
}

/// Reads `array`, all of it and without its ends, in pages of several sizes.
fn check(array: impl Array + 'static, logical: Logical, expected: &[Cell]) {
    let array: ArrayRef = Arc::new(array);
    for (from, to) in [(0, array.len()), (1, array.len() - 1), (1, array.len())] {
        for rows in [1, 3, 100] {
            let source = source(array.slice(from, to - from)).with_batch_rows(rows);
            assert_eq!(source.columns()[0].logical, Ok(logical));
            let found = column(&source, 0).unwrap_or_else(|e| panic!("{}: {e}", array.data_type()));
            assert_eq!(
                found,
                expected[from..to],
                "{} rows {from}..{to}",
                array.data_type()
            );
            let mut sink = Collect::default();
            (0..source.units()).for_each(|unit| source.read(unit, 0, &mut sink).unwrap());
            assert!(sink.largest <= rows);
        }
    }
}

fn i(v: i64) -> Cell {
    Cell::I64(v)
}

fn u(v: u64) -> Cell {
    Cell::U64(v)
}

fn d(v: i128) -> Cell {
    Cell::I128(v)
}

fn b(v: &str) -> Cell {
    Cell::Bytes(v.as_bytes().to_vec())
}

#[test]
fn numbers_widen() {
    let null = Cell::Null;
    let signed = [i(-3), null.clone(), i(5), i(5), i(127), null.clone()];
    check(
        Int8Array::from(vec![Some(-3), None, Some(5), Some(5), Some(127), None]),
        Logical::Int,
        &signed,
    );
    check(
        Int16Array::from(vec![Some(-3), None, Some(5), Some(5), Some(127), None]),
        Logical::Int,
        &signed,
    );
    check(
        Int32Array::from(vec![Some(-3), None, Some(5), Some(5), Some(127), None]),
        Logical::Int,
        &signed,
    );
    check(
        Int64Array::from(vec![Some(-3), None, Some(5), Some(5), Some(127), None]),
        Logical::Int,
        &signed,
    );
    check(
        Int64Array::from(vec![i64::MIN, 2, i64::MAX]),
        Logical::Int,
        &[i(i64::MIN), i(2), i(i64::MAX)],
    );
    let unsigned = [u(3), null.clone(), u(200)];
    check(
        UInt8Array::from(vec![Some(3), None, Some(200)]),
        Logical::UInt,
        &unsigned,
    );
    check(
        UInt16Array::from(vec![Some(3), None, Some(200)]),
        Logical::UInt,
        &unsigned,
    );
    check(
        UInt32Array::from(vec![Some(3), None, Some(200)]),
        Logical::UInt,
        &unsigned,
    );
    check(
        UInt64Array::from(vec![Some(3), None, Some(200)]),
        Logical::UInt,
        &unsigned,
    );
    check(
        UInt64Array::from(vec![0, u64::MAX]),
        Logical::UInt,
        &[u(0), u(u64::MAX)],
    );
    let f = |v: f32| Cell::F32(v.to_bits());
    check(
        Float32Array::from(vec![Some(1.5), None, Some(-0.0)]),
        Logical::Float,
        &[f(1.5), null.clone(), f(-0.0)],
    );
    let half = |v: u16| <Float16Type as ArrowPrimitiveType>::Native::from_bits(v);
    let halves = Float16Array::from(vec![Some(half(0x3e00)), None, Some(half(0xc000))]);
    check(halves, Logical::Float, &[f(1.5), null.clone(), f(-2.0)]);
    let f = |v: f64| Cell::F64(v.to_bits());
    let doubles = vec![Some(f64::NAN), None, Some(1e308), Some(5e-324)];
    check(
        Float64Array::from(doubles),
        Logical::Float,
        &[f(f64::NAN), null.clone(), f(1e308), f(5e-324)],
    );
    let flags = BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]);
    check(
        flags,
        Logical::Bool,
        &[Cell::Bool(true), null, Cell::Bool(false), Cell::Bool(true)],
    );
}

#[test]
fn decimals_of_every_width() {
    let (null, logical) = (Cell::Null, Logical::Decimal { scale: 2 });
    let expected = [d(-3), null, d(500)];
    let of = |v: &[Option<i64>]| v.to_vec();
    let rows = of(&[Some(-3), None, Some(500)]);
    let narrow: Vec<Option<i32>> = rows.iter().map(|v| v.map(|v| v as i32)).collect();
    check(
        Decimal32Array::from(narrow)
            .with_precision_and_scale(9, 2)
            .unwrap(),
        logical,
        &expected,
    );
    check(
        Decimal64Array::from(rows.clone())
            .with_precision_and_scale(18, 2)
            .unwrap(),
        logical,
        &expected,
    );
    let wide: Vec<Option<i128>> = rows.iter().map(|v| v.map(i128::from)).collect();
    check(
        Decimal128Array::from(wide.clone())
            .with_precision_and_scale(38, 2)
            .unwrap(),
        logical,
        &expected,
    );
    let wider: Vec<Option<i256>> = wide.iter().map(|v| v.map(i256::from_i128)).collect();
    check(
        Decimal256Array::from(wider.clone())
            .with_precision_and_scale(38, 2)
            .unwrap(),
        logical,
        &expected,
    );
    let source = source(Arc::new(
        Decimal256Array::from(wider)
            .with_precision_and_scale(70, 2)
            .unwrap(),
    ));
    assert_eq!(
        source.columns()[0].logical,
        Err("decimals of 70 digits are not supported, at most 38 are".into())
    );
}

#[test]
fn dates_times_and_durations() {
    let rows = || vec![Some(-3), None, Some(7)];
    let expected = [i(-3), Cell::Null, i(7)];
    let (ms, us, ns) = (TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns);
    // Seconds are milliseconds, as they are in Parquet.
    let thousands = [i(-3000), Cell::Null, i(7000)];
    check(
        Date32Array::from(vec![Some(-3), None, Some(7)]),
        Logical::Date,
        &expected,
    );
    check(
        Date64Array::from(vec![Some(-3 * 86_400_000), None, Some(7 * 86_400_000)]),
        Logical::Date,
        &expected,
    );
    check(
        Time32SecondArray::from(vec![Some(-3), None, Some(7)]),
        Logical::Time { unit: ms },
        &thousands,
    );
    check(
        Time32MillisecondArray::from(vec![Some(-3), None, Some(7)]),
        Logical::Time { unit: ms },
        &expected,
    );
    check(
        Time64MicrosecondArray::from(rows()),
        Logical::Time { unit: us },
        &expected,
    );
    check(
        Time64NanosecondArray::from(rows()),
        Logical::Time { unit: ns },
        &expected,
    );
    let naive = |unit| Logical::Timestamp { unit, zoned: false };
    check(TimestampSecondArray::from(rows()), naive(ms), &thousands);
    check(
        TimestampMillisecondArray::from(rows()),
        naive(ms),
        &expected,
    );
    check(
        TimestampMicrosecondArray::from(rows()),
        naive(us),
        &expected,
    );
    check(TimestampNanosecondArray::from(rows()), naive(ns), &expected);
    let zoned = Logical::Timestamp {
        unit: us,
        zoned: true,
    };
    check(
        TimestampMicrosecondArray::from(rows()).with_timezone("Europe/Paris"),
        zoned,
        &expected,
    );
    check(
        DurationSecondArray::from(rows()),
        Logical::Duration { unit: ms },
        &thousands,
    );
    check(
        DurationNanosecondArray::from(rows()),
        Logical::Duration { unit: ns },
        &expected,
    );
    let error = source(Arc::new(TimestampSecondArray::from(vec![i64::MAX])))
        .read(0, 0, &mut Collect::default())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("seconds do not fit 64 bits of milliseconds")
    );
    let error = source(Arc::new(Date64Array::from(vec![1])))
        .read(0, 0, &mut Collect::default())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "arrow#0: column \"a\": date of 1 milliseconds, which is not a whole day"
    );
}

#[test]
fn strings_of_every_layout() {
    let rows = vec![
        Some("a"),
        None,
        Some(""),
        Some("a string of more than twelve bytes"),
        Some("é"),
    ];
    let expected: Vec<Cell> = rows.iter().map(|v| v.map_or(Cell::Null, b)).collect();
    check(StringArray::from(rows.clone()), Logical::String, &expected);
    check(
        LargeStringArray::from(rows.clone()),
        Logical::String,
        &expected,
    );
    check(
        StringViewArray::from(rows.clone()),
        Logical::String,
        &expected,
    );
    let bytes: Vec<Option<&[u8]>> = rows.iter().map(|v| v.map(str::as_bytes)).collect();
    check(BinaryArray::from(bytes.clone()), Logical::Binary, &expected);
    check(
        LargeBinaryArray::from(bytes.clone()),
        Logical::Binary,
        &expected,
    );
    check(BinaryViewArray::from(bytes), Logical::Binary, &expected);
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        [Some("ab"), None, Some("cd")].into_iter(),
        2,
    );
    check(
        fixed.unwrap(),
        Logical::Binary,
        &[b("ab"), Cell::Null, b("cd")],
    );
    // A null slot may hold bytes.
    let hidden = StringArray::new(
        OffsetBuffer::new(ScalarBuffer::from(vec![0, 1, 3, 4])),
        Buffer::from(b"abbc"),
        Some(NullBuffer::from(vec![true, false, true])),
    );
    check(hidden, Logical::String, &[b("a"), Cell::Null, b("c")]);
    check(NullArray::new(5), Logical::String, &vec![Cell::Null; 5]);
}

#[test]
fn dictionaries_of_strings_and_numbers() {
    let values = StringArray::from(vec![Some("x"), None, Some("unused"), Some("y")]);
    let keys = Int8Array::from(vec![Some(3), Some(0), None, Some(1), Some(3), Some(0)]);
    let expected = [b("y"), b("x"), Cell::Null, Cell::Null, b("y"), b("x")];
    let array = DictionaryArray::new(keys, Arc::new(values));
    check(array.clone(), Logical::String, &expected);
    let mut sink = Collect::default();
    source(Arc::new(array)).read(0, 0, &mut sink).unwrap();
    assert_eq!(sink.dictionary, [b("x"), b("y")]);
    assert_eq!((sink.dictionaries, sink.index_pages), (1, 1));
    let numbers = DictionaryArray::new(
        UInt64Array::from(vec![1, 0, 1]),
        Arc::new(Float32Array::from(vec![0.5, 2.0])),
    );
    let f = |v: f32| Cell::F32(v.to_bits());
    check(numbers, Logical::Float, &[f(2.0), f(0.5), f(2.0)]);
    let views = DictionaryArray::new(
        UInt32Array::from(vec![1, 0, 1]),
        Arc::new(StringViewArray::from(vec!["p", "q"])),
    );
    check(views, Logical::String, &[b("q"), b("p"), b("q")]);
    let empty = DictionaryArray::new(
        Int32Array::from(vec![None::<i32>; 3]),
        Arc::new(StringArray::from(Vec::<&str>::new())),
    );
    check(empty, Logical::String, &vec![Cell::Null; 3]);
}

#[test]
fn runs_are_read_as_runs() {
    let values = StringArray::from(vec![Some("x"), None, Some("y")]);
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2, 3, 6]), &values).unwrap();
    check(
        runs,
        Logical::String,
        &[b("x"), b("x"), Cell::Null, b("y"), b("y"), b("y")],
    );
    let runs = RunArray::<Int16Type>::try_new(
        &Int16Array::from(vec![1, 4]),
        &Int8Array::from(vec![7, -1]),
    )
    .unwrap();
    check(runs, Logical::Int, &[i(7), i(-1), i(-1), i(-1)]);
}

#[test]
fn nested_types_and_same_names_say_why() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let list = source(Arc::new(list));
    assert_eq!(
        list.columns()[0].logical,
        Err("nested columns are not profiled".into())
    );
    assert!(
        list.read(0, 0, &mut Collect::default())
            .unwrap_err()
            .to_string()
            .contains("nested")
    );
    let months = source(Arc::new(IntervalYearMonthArray::from(vec![1])));
    assert!(
        months.columns()[0]
            .logical
            .as_ref()
            .unwrap_err()
            .contains("intervals")
    );
    let field = Field::new("a", DataType::Int32, false);
    let schema = Arc::new(Schema::new(vec![field.clone(), field]));
    let twice = ArrowSource::new(&schema, Vec::new()).unwrap();
    assert!(
        twice
            .columns()
            .iter()
            .all(|c| c.logical == Err("another column has the same name".into()))
    );
}

#[test]
fn batches_agree_and_large_ones_are_split() {
    let of = |array: ArrayRef| RecordBatch::try_from_iter([("a", array)]).unwrap();
    let ints = of(Arc::new(Int32Array::from_iter_values(0..(1 << 20) + 5)));
    let none = of(Arc::new(Int32Array::from(Vec::<i32>::new())));
    let source = ArrowSource::new(&ints.schema(), vec![ints.clone(), none])
        .unwrap()
        .with_id("frame");
    assert_eq!(
        (source.units(), source.unit_rows(0), source.unit_rows(1)),
        (2, 1 << 20, 5)
    );
    assert_eq!(source.unit_id(1), "frame#1");
    let mut sink = Collect::default();
    source.read(1, 0, &mut sink).unwrap();
    assert_eq!(
        sink.cells,
        (0..5).map(|n| i((1 << 20) + n)).collect::<Vec<_>>()
    );
    let text = of(Arc::new(StringArray::from(vec!["x"])));
    let error = ArrowSource::new(&ints.schema(), vec![ints.clone(), text])
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with(
            "record batch 1: other columns than the schema: column \"a\" is Utf8, not"
        ),
        "{error}"
    );
}
