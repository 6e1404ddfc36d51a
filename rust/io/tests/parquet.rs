//! What the Parquet writer of the `parquet` crate writes is what the source delivers.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{Cell, Collect, column};
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray,
    FixedLenByteArrayType, FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tidegauge_core::value::{Logical, TimeUnit};
use tidegauge_io::Error;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::paths::resolve;
use tidegauge_io::source::Source;

/// Writes one column in row groups of at most `group` rows.
fn write<T: DataType>(
    path: &Path,
    of: &str,
    rows: &[Option<T::T>],
    group: usize,
    properties: WriterPropertiesBuilder,
) {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {of}; }}")).unwrap());
    let optional = of.starts_with("optional");
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    for rows in rows.chunks(group) {
        let mut row_group = writer.next_row_group().unwrap();
        let mut column = row_group.next_column().unwrap().unwrap();
        let values: Vec<T::T> = rows.iter().flatten().cloned().collect();
        let levels: Vec<i16> = rows.iter().map(|v| v.is_some().into()).collect();
        column
            .typed::<T>()
            .write_batch(&values, optional.then_some(&levels), None)
            .unwrap();
        column.close().unwrap();
        row_group.close().unwrap();
    }
    writer.close().unwrap();
}

fn open(paths: &[&Path], batch_rows: usize) -> Result<ParquetSource, Error> {
    let inputs: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    ParquetSource::open(
        &resolve(&inputs)?,
        ParquetOptions {
            batch_rows,
            ..ParquetOptions::default()
        },
    )
}

/// Small pages and both page versions; dictionaries, the fall-back from them, and `encoding` without them.
fn properties(version: WriterVersion, encoding: Option<Encoding>) -> WriterPropertiesBuilder {
    let p = WriterProperties::builder()
        .set_writer_version(version)
        .set_data_page_row_count_limit(700)
        .set_write_batch_size(100);
    match encoding {
        Some(encoding) => p.set_dictionary_enabled(false).set_encoding(encoding),
        None => p
            .set_dictionary_enabled(true)
            .set_dictionary_page_size_limit(2000),
    }
}

/// Writes `of` in every way and compares.
fn check<T: DataType>(
    of: &str,
    values: &[T::T],
    cell: impl Fn(&T::T) -> Cell,
    logical: Logical,
    encodings: &[Encoding],
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    for repetition in ["required", "optional"] {
        let rows: Vec<Option<T::T>> = values
            .iter()
            .enumerate()
            // Runs of nulls, scattered nulls, and stretches without any.
            .map(|(i, v)| {
                (repetition == "required" || !((100..190).contains(&i) || (i > 900 && i % 7 == 3)))
                    .then(|| v.clone())
            })
            .collect();
        let expected: Vec<Cell> = rows
            .iter()
            .map(|v| v.as_ref().map_or(Cell::Null, &cell))
            .collect();
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let dictionary = (!of.starts_with("boolean")).then_some(None);
            for encoding in encodings.iter().map(|e| Some(*e)).chain(dictionary) {
                write::<T>(
                    &path,
                    &format!("{repetition} {of}"),
                    &rows,
                    1500,
                    properties(version, encoding),
                );
                for batch in [3, 64, 10_000] {
                    let source = open(&[&path], batch).unwrap();
                    assert_eq!(source.columns()[0].logical, Ok(logical), "{of}");
                    let found = column(&source, 0)
                        .unwrap_or_else(|e| panic!("{of} {version:?} {encoding:?}: {e}"));
                    assert!(found == expected, "{of} {version:?} {encoding:?} {batch}");
                    let mut sink = Collect::default();
                    source.read(0, 0, &mut sink).unwrap();
                    assert!(sink.largest <= batch);
                    // The writer makes no dictionaries of fixed-length strings in version 1.
                    let dictionary = encoding.is_none() && !of.starts_with("fixed");
                    assert!(
                        of.starts_with("fixed") || sink.dictionaries == usize::from(dictionary)
                    );
                    assert!(of.starts_with("fixed") || (sink.index_pages > 0) == dictionary);
                }
            }
        }
    }
}

const N: usize = 4000;
const DELTA: Encoding = Encoding::DELTA_BINARY_PACKED;
const SPLIT: Encoding = Encoding::BYTE_STREAM_SPLIT;
const PLAIN: Encoding = Encoding::PLAIN;

/// Small repeating numbers, then wild ones.
fn numbers() -> Vec<i64> {
    let mut x = 7_u64;
    let wild = (0..N).map(|i| {
        x = x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if i < N / 2 {
            (x >> 60) as i64 - 3
        } else {
            x as i64
        }
    });
    wild.chain([i64::MIN, i64::MAX, 0, -1]).collect()
}

#[test]
fn integers_of_both_signs_and_widths() {
    let n64 = numbers();
    let n32: Vec<i32> = n64.iter().map(|n| *n as i32).collect();
    let int = |v: &i32| Cell::I64((*v).into());
    let all = [PLAIN, DELTA, SPLIT];
    check::<Int32Type>("int32 a", &n32, int, Logical::Int, &all);
    check::<Int32Type>(
        "int32 a (INTEGER(8,true))",
        &n32,
        int,
        Logical::Int,
        &[PLAIN],
    );
    check::<Int32Type>(
        "int32 a (UINT_16)",
        &n32,
        |v| Cell::U64((*v as u32).into()),
        Logical::UInt,
        &all,
    );
    check::<Int64Type>("int64 a", &n64, |v| Cell::I64(*v), Logical::Int, &all);
    check::<Int64Type>(
        "int64 a (INTEGER(64,false))",
        &n64,
        |v| Cell::U64(*v as u64),
        Logical::UInt,
        &all,
    );
}

#[test]
fn dates_times_and_timestamps() {
    use TimeUnit::{Ms, Ns, Us};
    let n64 = numbers();
    let n32: Vec<i32> = n64.iter().map(|n| *n as i32).collect();
    check::<Int32Type>(
        "int32 a (DATE)",
        &n32,
        |v| Cell::I64((*v).into()),
        Logical::Date,
        &[PLAIN],
    );
    check::<Int32Type>(
        "int32 a (TIME_MILLIS)",
        &n32,
        |v| Cell::I64((*v).into()),
        Logical::Time { unit: Ms },
        &[DELTA],
    );
    for (of, logical) in [
        ("int64 a (TIME(NANOS,false))", Logical::Time { unit: Ns }),
        (
            "int64 a (TIMESTAMP_MICROS)",
            Logical::Timestamp {
                unit: Us,
                zoned: true,
            },
        ),
        (
            "int64 a (TIMESTAMP(MILLIS,false))",
            Logical::Timestamp {
                unit: Ms,
                zoned: false,
            },
        ),
    ] {
        check::<Int64Type>(of, &n64, |v| Cell::I64(*v), logical, &[PLAIN]);
    }
    let days: Vec<Int96> = (0..N as u32)
        .map(|i| {
            let mut v = Int96::new();
            v.set_data(i, i / 1000, 2_440_588 - 500 + i % 1000);
            v
        })
        .collect();
    let nanos = |v: &Int96| {
        let d = v.data();
        let day = i64::from(d[2]) - 2_440_588;
        Cell::I64(day * 86_400_000_000_000 + i64::from(d[0]) + (i64::from(d[1]) << 32))
    };
    check::<Int96Type>(
        "int96 a",
        &days,
        nanos,
        Logical::Timestamp {
            unit: Ns,
            zoned: false,
        },
        &[PLAIN],
    );
}

#[test]
fn floats_keep_their_bits() {
    let doubles: Vec<f64> = numbers()
        .iter()
        .map(|n| f64::from_bits(*n as u64))
        .chain([f64::NAN, -0.0, 1e308])
        .collect();
    let singles: Vec<f32> = numbers()
        .iter()
        .map(|n| f32::from_bits(*n as u32))
        .collect();
    check::<DoubleType>(
        "double a",
        &doubles,
        |v| Cell::F64(v.to_bits()),
        Logical::Float,
        &[PLAIN, SPLIT],
    );
    check::<FloatType>(
        "float a",
        &singles,
        |v| Cell::F32(v.to_bits()),
        Logical::Float,
        &[PLAIN, SPLIT],
    );
    // 1.5 and -2 in half precision.
    let halves: Vec<FixedLenByteArray> = (0..N)
        .map(|i| ByteArray::from([0x3e00_u16, 0xc000][i % 2].to_le_bytes().to_vec()).into())
        .collect();
    let half = |v: &FixedLenByteArray| {
        Cell::F32(if v.data()[1] == 0x3e { 1.5_f32 } else { -2.0 }.to_bits())
    };
    let all = [PLAIN, SPLIT, Encoding::DELTA_BYTE_ARRAY];
    check::<FixedLenByteArrayType>(
        "fixed_len_byte_array(2) a (FLOAT16)",
        &halves,
        half,
        Logical::Float,
        &all,
    );
}

#[test]
fn flags_packed_and_run_length() {
    let flags: Vec<bool> = numbers()
        .iter()
        .enumerate()
        .map(|(i, n)| i < 1000 || *n & 1 == 1)
        .collect();
    check::<BoolType>(
        "boolean a",
        &flags,
        |v| Cell::Bool(*v),
        Logical::Bool,
        &[PLAIN, Encoding::RLE],
    );
}

#[test]
fn strings_and_bytes() {
    let strings: Vec<ByteArray> = numbers()
        .iter()
        .enumerate()
        .map(|(i, n)| match i {
            0 => ByteArray::from(""),
            i if i % 97 == 0 => ByteArray::from(vec![0xff; 1 + i % 300]),
            _ => ByteArray::from(format!("name-{n}").as_str()),
        })
        .collect();
    let bytes = |v: &ByteArray| Cell::Bytes(v.data().to_vec());
    let all = [
        PLAIN,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::DELTA_BYTE_ARRAY,
    ];
    check::<ByteArrayType>("binary a (UTF8)", &strings, bytes, Logical::String, &all);
    check::<ByteArrayType>(
        "binary a (ENUM)",
        &strings,
        bytes,
        Logical::String,
        &[PLAIN],
    );
    check::<ByteArrayType>(
        "binary a (JSON)",
        &strings,
        bytes,
        Logical::String,
        &[PLAIN],
    );
    check::<ByteArrayType>("binary a", &strings, bytes, Logical::Binary, &all);
    let fixed: Vec<FixedLenByteArray> = numbers()
        .iter()
        .map(|n| ByteArray::from(n.to_le_bytes().to_vec()).into())
        .collect();
    let bytes = |v: &FixedLenByteArray| Cell::Bytes(v.data().to_vec());
    let all = [PLAIN, SPLIT, Encoding::DELTA_BYTE_ARRAY];
    check::<FixedLenByteArrayType>(
        "fixed_len_byte_array(8) a",
        &fixed,
        bytes,
        Logical::Binary,
        &all,
    );
}

#[test]
fn decimals_of_every_physical_type() {
    let n64 = numbers();
    let logical = Logical::Decimal { scale: 2 };
    let n32: Vec<i32> = n64.iter().map(|n| *n as i32).collect();
    check::<Int32Type>(
        "int32 a (DECIMAL(9,2))",
        &n32,
        |v| Cell::I128((*v).into()),
        logical,
        &[PLAIN, DELTA],
    );
    check::<Int64Type>(
        "int64 a (DECIMAL(18,2))",
        &n64,
        |v| Cell::I128((*v).into()),
        logical,
        &[PLAIN, DELTA],
    );
    let wide: Vec<i128> = n64.iter().map(|n| i128::from(*n) * 1_000_000_007).collect();
    // Fourteen bytes hold these, and the shortest form has one to fourteen.
    let be = |n: &i128, width: usize| ByteArray::from(n.to_be_bytes()[16 - width..].to_vec());
    let shortest = |n: &i128| {
        (1..=14)
            .find(|w| *n << (128 - 8 * w) >> (128 - 8 * w) == *n)
            .unwrap()
    };
    let from_be = |b: &[u8]| {
        let unsigned = b.iter().fold(0_i128, |n, b| n << 8 | i128::from(*b));
        let shift = 128 - 8 * b.len();
        Cell::I128(unsigned << shift >> shift)
    };
    let bytes: Vec<ByteArray> = wide.iter().map(|n| be(n, shortest(n))).collect();
    let all = [
        PLAIN,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::DELTA_BYTE_ARRAY,
    ];
    check::<ByteArrayType>(
        "binary a (DECIMAL(33,2))",
        &bytes,
        |v| from_be(v.data()),
        logical,
        &all,
    );
    let fixed: Vec<FixedLenByteArray> = wide.iter().map(|n| be(n, 14).into()).collect();
    let all = [PLAIN, SPLIT, Encoding::DELTA_BYTE_ARRAY];
    check::<FixedLenByteArrayType>(
        "fixed_len_byte_array(14) a (DECIMAL(33,2))",
        &fixed,
        |v| from_be(v.data()),
        logical,
        &all,
    );
}

#[test]
fn every_codec() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Option<i64>> = numbers()
        .into_iter()
        .enumerate()
        .map(|(i, n)| (i % 5 != 2).then_some(n))
        .collect();
    let expected: Vec<Cell> = rows
        .iter()
        .map(|n| n.map_or(Cell::Null, Cell::I64))
        .collect();
    for (i, codec) in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ]
    .into_iter()
    .enumerate()
    {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let path = folder.path().join(format!("{i}.parquet"));
            write::<Int64Type>(
                &path,
                "optional int64 a",
                &rows,
                1500,
                properties(version, None).set_compression(codec),
            );
            assert!(
                column(&open(&[&path], 1000).unwrap(), 0).unwrap() == expected,
                "{codec:?} {version:?}"
            );
        }
    }
}

#[test]
fn no_rows_all_null_and_one_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let defaults = WriterProperties::builder;
    write::<Int64Type>(&path, "optional int64 a", &[], 10, defaults());
    assert_eq!(open(&[&path], 10).unwrap().units(), 0);
    write::<DoubleType>(&path, "optional double a", &[None; 100], 60, defaults());
    assert_eq!(
        column(&open(&[&path], 7).unwrap(), 0).unwrap(),
        vec![Cell::Null; 100]
    );
    write::<Int64Type>(&path, "required int64 a", &[Some(4); 100], 60, defaults());
    assert_eq!(
        column(&open(&[&path], 7).unwrap(), 0).unwrap(),
        vec![Cell::I64(4); 100]
    );
    let schema = Arc::new(parse_message_type("message m { optional int32 a; }").unwrap());
    let mut writer =
        SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, Arc::default())
            .unwrap();
    let mut group = writer.next_row_group().unwrap();
    group.next_column().unwrap().unwrap().close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let source = open(&[&path], 7).unwrap();
    assert_eq!((source.units(), source.unit_rows(0)), (1, 0));
    assert!(column(&source, 0).unwrap().is_empty());
}

#[test]
fn types_that_are_not_profiled_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let message = "message m {
        required int32 before;
        optional group s { required int32 x; optional double y; }
        repeated int64 r;
        optional group l (LIST) { repeated group list { optional int32 element; } }
        required fixed_len_byte_array(32) d (DECIMAL(70,3));
        optional double after;
        required int32 twice;
        required int64 twice; }";
    let schema = Arc::new(parse_message_type(message).unwrap());
    let writer =
        SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, Arc::default())
            .unwrap();
    writer.close().unwrap();
    let source = open(&[&path], 7).unwrap();
    let nested = Err("nested columns are not profiled".to_owned());
    let logical: Vec<_> = source.columns().iter().map(|c| c.logical.clone()).collect();
    assert_eq!(logical[0], Ok(Logical::Int));
    assert_eq!(logical[1..4], [nested.clone(), nested.clone(), nested]);
    assert_eq!(
        logical[4],
        Err("decimals of 70 digits are not supported, at most 38 are".into())
    );
    assert_eq!(logical[5], Ok(Logical::Float));
    let twice = Err("another column has the same name".to_owned());
    assert_eq!(logical[6..], [twice.clone(), twice]);
}

#[test]
fn leaves_after_nested_columns_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let schema =
        "message m { required group s { required int32 x; required int32 y; } required int32 a; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, Arc::default())
            .unwrap();
    let mut group = writer.next_row_group().unwrap();
    for value in 1..=3 {
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int32Type>()
            .write_batch(&[value; 5], None, None)
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    assert_eq!(
        column(&open(&[&path], 2).unwrap(), 1).unwrap(),
        vec![Cell::I64(3); 5]
    );
    assert!(
        open(&[&path], 2)
            .unwrap()
            .read(0, 0, &mut Collect::default())
            .is_err()
    );
}

#[test]
fn files_of_a_set_agree_or_the_difference_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let defaults = WriterProperties::builder;
    write::<Int64Type>(
        &file("a.parquet"),
        "required int64 a",
        &[Some(1), Some(2)],
        9,
        defaults(),
    );
    // Another width and another repetition are the same logical type.
    write::<Int32Type>(
        &file("b.parquet"),
        "optional int32 a",
        &[None, Some(3)],
        9,
        defaults(),
    );
    let set = open(&[&file("a.parquet"), &file("b.parquet")], 9).unwrap();
    let one = |n| Cell::I64(n);
    assert_eq!(
        column(&set, 0).unwrap(),
        [one(1), one(2), Cell::Null, one(3)]
    );
    assert!(set.unit_id(1).ends_with("b.parquet#0"));
    write::<DoubleType>(
        &file("c.parquet"),
        "required double a",
        &[Some(1.0)],
        9,
        defaults(),
    );
    write::<Int64Type>(
        &file("d.parquet"),
        "required int64 b",
        &[Some(1)],
        9,
        defaults(),
    );
    let message = |name: &str| {
        open(&[&file("a.parquet"), &file(name)], 9)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(
        message("c.parquet").contains("column \"a\" is float (double), not int (int64)"),
        "{}",
        message("c.parquet")
    );
    assert!(message("d.parquet").contains("column \"a\" is missing, column \"b\" is not expected"));
    let files = resolve(&[folder.path().display().to_string()]).unwrap();
    let rest = ParquetSource::open(
        &files,
        ParquetOptions {
            quarantine: true,
            ..Default::default()
        },
    )
    .unwrap();
    assert_eq!((rest.units(), rest.failures().len()), (2, 2));
}

#[test]
fn hive_partitions_are_columns() {
    let folder = tempfile::tempdir().unwrap();
    for (day, site, n) in [("1", "a%20b", 1), ("02", "__HIVE_DEFAULT_PARTITION__", 2)] {
        let path = folder.path().join(format!("day={day}/site={site}"));
        fs::create_dir_all(&path).unwrap();
        write::<Int64Type>(
            &path.join("x.parquet"),
            "required int64 a",
            &vec![Some(7); n],
            9,
            WriterProperties::builder(),
        );
    }
    let pattern = folder.path().join("day=*/*/*.parquet");
    for input in [folder.path(), &pattern] {
        let source = open(&[input], 1).unwrap();
        let names: Vec<_> = source
            .columns()
            .iter()
            .map(|c| (c.name.as_str(), c.logical.clone()))
            .collect();
        assert_eq!(
            names,
            [
                ("a", Ok(Logical::Int)),
                ("day", Ok(Logical::Int)),
                ("site", Ok(Logical::String))
            ]
        );
        assert_eq!(
            column(&source, 1).unwrap(),
            [Cell::I64(2), Cell::I64(2), Cell::I64(1)]
        );
        assert_eq!(
            column(&source, 2).unwrap(),
            [Cell::Null, Cell::Null, Cell::Bytes(b"a b".to_vec())]
        );
    }
}

#[test]
fn damaged_files_give_errors_and_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (
        folder.path().join("whole.parquet"),
        folder.path().join("broken.parquet"),
    );
    let strings: Vec<Option<ByteArray>> = (0..300)
        .map(|i| (i % 11 != 5).then(|| ByteArray::from(format!("v{}", i % 40).as_str())))
        .collect();
    let read_all = |path: &Path| -> Result<(), Error> {
        let source = open(&[path], 50)?;
        for unit in 0..source.units() {
            // Rows that a damaged footer invents would be read without end; the limit is the test's.
            if source.unit_rows(unit) < 1_000_000 {
                source.read(
                    unit,
                    0,
                    &mut Collect {
                        validity: unit % 2 == 0,
                        ..Collect::default()
                    },
                )?;
            }
        }
        Ok(())
    };
    let encodings = [
        None,
        Some(PLAIN),
        Some(Encoding::DELTA_BYTE_ARRAY),
        Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
    ];
    for (version, codec) in [
        (WriterVersion::PARQUET_1_0, Compression::UNCOMPRESSED),
        (WriterVersion::PARQUET_2_0, Compression::SNAPPY),
        (WriterVersion::PARQUET_2_0, Compression::LZ4_RAW),
        (
            WriterVersion::PARQUET_1_0,
            Compression::ZSTD(ZstdLevel::default()),
        ),
    ] {
        for encoding in encodings {
            let p = properties(version, encoding).set_compression(codec);
            write::<ByteArrayType>(&whole, "optional binary a (UTF8)", &strings, 200, p);
            read_all(&whole).unwrap();
            let bytes = fs::read(&whole).unwrap();
            for cut in (0..bytes.len()).step_by(13) {
                fs::write(&broken, &bytes[..cut]).unwrap();
                assert!(
                    read_all(&broken).is_err(),
                    "cut at {cut} of {}",
                    bytes.len()
                );
            }
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= [1, 0x80, 0xff][at % 3];
                fs::write(&broken, &bytes).unwrap();
                let _ = read_all(&broken);
            }
        }
    }
}

#[test]
fn damage_names_file_row_group_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    write::<Int64Type>(
        &path,
        "required int64 amount",
        &[Some(1), Some(2), Some(3)],
        2,
        properties(WriterVersion::PARQUET_1_0, Some(PLAIN)),
    );
    let mut bytes = fs::read(&path).unwrap();
    // The first page header starts behind the magic number.
    bytes[4..12].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let error = open(&[&path], 9)
        .unwrap()
        .read(0, 0, &mut Collect::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("x.parquet: row group 0: column \"amount\": "),
        "{error}"
    );
    fs::write(&path, "a,b\n1,2\n3,4\n").unwrap();
    let error = open(&[&path], 9).err().unwrap().to_string();
    assert!(
        error.contains("x.parquet: not a whole Parquet file"),
        "{error}"
    );
}
