//! The scan on the shipped log: threads, page sizes and splits never change a profile.

use std::path::Path;

use tidegauge_core::compare::{CompareOptions, compare};
use tidegauge_core::profile::Profile;
use tidegauge_core::row::Verdict;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::paths::resolve;
use tidegauge_io::scan::{Cut, ScanOptions, profile};

fn example(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nycflights13");
    root.join(name).to_string_lossy().into_owned()
}

fn scan(name: &str, options: &ScanOptions, batch_rows: usize, like: Option<&Profile>) -> Profile {
    let files = resolve(&[example(name)]).unwrap();
    let options_of = ParquetOptions {
        batch_rows,
        ..ParquetOptions::default()
    };
    let source = ParquetSource::open(&files, options_of).unwrap();
    profile(&source, options, like, &|_, _| true).unwrap()
}

#[test]
fn threads_and_pages_do_not_change_the_digest() {
    let one = scan(
        "reference.parquet",
        &ScanOptions {
            threads: 1,
            ..Default::default()
        },
        8192,
        None,
    );
    let two = scan(
        "reference.parquet",
        &ScanOptions {
            threads: 2,
            ..Default::default()
        },
        777,
        None,
    );
    assert_eq!(one.digest(), two.digest());
    let against_itself = scan(
        "reference.parquet",
        &ScanOptions::default(),
        4096,
        Some(&one),
    );
    assert_eq!(
        one.digest(),
        against_itself.digest(),
        "a reference against its own grids"
    );
    let back = Profile::from_bytes(&one.to_bytes()).unwrap();
    assert_eq!(back.digest(), one.digest());
    assert_eq!(one.rows(), 57_126);
    let mut bytes = one.to_bytes();
    bytes[4000] ^= 1;
    assert!(Profile::from_bytes(&bytes).is_err());
    let mut twice = one.clone();
    assert!(
        twice
            .merge(&one)
            .unwrap_err()
            .to_string()
            .contains("counted twice")
    );
}

#[test]
fn a_log_against_itself_shows_no_drift() {
    let one = scan("reference.parquet", &ScanOptions::default(), 8192, None);
    let rows = compare(&one, &one, &CompareOptions::default()).unwrap();
    for r in rows
        .iter()
        .filter(|r| ["ks", "psi", "wasserstein", "total_variation"].contains(&r.statistic.as_str()))
    {
        assert_eq!(r.bound_low, Some(0.0), "{} {}", r.feature, r.statistic);
    }
    assert!(rows.iter().all(|r| !matches!(
        r.verdict,
        Some(Verdict::Warn | Verdict::Fail | Verdict::Error)
    )));
}

#[test]
fn windows_add_up_to_the_whole() {
    let reference = scan(
        "reference.parquet",
        &ScanOptions {
            by: vec![Cut::One("carrier".into())],
            ..Default::default()
        },
        8192,
        None,
    );
    let whole = scan(
        "current.parquet",
        &ScanOptions::default(),
        8192,
        Some(&reference),
    );
    let options = ScanOptions {
        window: Some("1mo".into()),
        time_zone: Some("America/New_York".into()),
        by: vec![Cut::One("carrier".into())],
        ..Default::default()
    };
    for (threads, batch) in [(1, 8192), (2, 1000)] {
        let cut = scan(
            "current.parquet",
            &ScanOptions {
                threads,
                ..options.clone()
            },
            batch,
            Some(&reference),
        );
        let windows: Vec<_> = cut.groups.keys().filter(|k| k.segment.is_none()).collect();
        assert_eq!(windows.len(), 7, "{windows:?}");
        assert_eq!(cut.rows(), whole.rows());
        let encode = |s: &tidegauge_core::profile::States| {
            let mut w = tidegauge_core::codec::Writer::new();
            s.iter().for_each(|c| c.encode(&mut w));
            w.into_bytes()
        };
        assert!(encode(&cut.total().unwrap()) == encode(&whole.total().unwrap()));
        let rows = compare(
            &reference,
            &cut,
            &CompareOptions {
                baselines: vec!["reference".into(), "previous".into()],
                ..Default::default()
            },
        )
        .unwrap();
        assert!(rows.iter().any(|r| r.feature == "temp"
            && r.statistic == "verdict"
            && r.verdict == Some(Verdict::Fail)));
    }
}

/// The shipped log with another number of rows in the footer of its only row group.
fn forged(folder: &Path, rows: i64) -> String {
    use parquet::file::metadata::{
        ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter,
    };
    let bytes = std::fs::read(example("current.parquet")).unwrap();
    let file = std::fs::File::open(example("current.parquet")).unwrap();
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .unwrap();
    let groups: Vec<_> = metadata
        .row_groups()
        .iter()
        .map(|g| g.clone().into_builder().set_num_rows(rows).build().unwrap())
        .collect();
    let metadata = ParquetMetaDataBuilder::new(metadata.file_metadata().clone())
        .set_row_groups(groups)
        .build();
    let (head, tail) = bytes.split_at(bytes.len() - 8);
    let footer = u32::from_le_bytes(tail[..4].try_into().unwrap()) as usize;
    let mut out = head[..head.len() - footer].to_vec();
    ParquetMetaDataWriter::new(&mut out, &metadata)
        .finish()
        .unwrap();
    let path = folder.join(format!("{rows}.parquet"));
    std::fs::write(&path, out).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn rows_that_only_the_footer_claims_are_not_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let base = ScanOptions::default();
    let cuts = [
        ScanOptions {
            by: vec![Cut::One("carrier".into())],
            ..base.clone()
        },
        ScanOptions {
            by: vec![Cut::Crossed(vec!["carrier".into(), "origin".into()])],
            ..base.clone()
        },
        ScanOptions {
            window: Some("1d".into()),
            ..base.clone()
        },
        ScanOptions {
            model_version: Some("carrier".into()),
            ..base.clone()
        },
        base.clone(),
    ];
    // Absurd, more than cuts take, no more than they take, and too few.
    for rows in [1 << 40, 1 << 58, 1 << 28, 1 << 26, 100] {
        let path = forged(folder.path(), rows);
        let files = resolve(&[path]).unwrap();
        let source = ParquetSource::open(&files, ParquetOptions::default()).unwrap();
        for options in &cuts {
            let error = profile(&source, options, None, &|_, _| true).unwrap_err();
            assert!(
                matches!(error, tidegauge_io::Error::Corrupt { .. }),
                "{rows} {error}"
            );
            let options = ScanOptions {
                max_bad_units: 100,
                ..options.clone()
            };
            let found = profile(&source, &options, None, &|_, _| true).unwrap();
            assert_eq!(found.rows(), 0);
            assert!(
                found
                    .metadata
                    .problems
                    .iter()
                    .all(|p| p.kind == "unit" && p.rows == Some(rows as u64))
            );
        }
    }
}

#[test]
fn hostile_footers_are_refused_before_anything_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let varint = |mut n: u64| {
        let mut out = Vec::new();
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out
    };
    let list = |count: u64| [vec![0xfc], varint(count)].concat();
    // A group named "g" of so many fields: name is field 4, their number field 5.
    let group = |children: u64| [vec![0x48, 1, b'g', 0x15], varint(children * 2), vec![0]].concat();
    let open = |footer: &[u8]| {
        let mut bytes = b"PAR1".to_vec();
        bytes.extend_from_slice(footer);
        bytes.extend_from_slice(&(footer.len() as u32).to_le_bytes());
        bytes.extend_from_slice(b"PAR1");
        std::fs::write(&path, bytes).unwrap();
        let files = resolve(&[path.to_string_lossy().into_owned()]).unwrap();
        match ParquetSource::open(&files, ParquetOptions::default()) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        }
    };
    // Version, then the schema, then row groups.
    let head = [0x15, 2, 0x19];
    let few = [&head[..], &list(1), &group(0)].concat();
    let groups = [&few[..], &[0x16, 0, 0x19], &list(i32::MAX as u64)].concat();
    assert!(open(&groups).contains("footer ends early"));
    let children = [&head[..], &list(1), &group(i32::MAX as u64), &[0]].concat();
    assert!(open(&children).contains("group of 2147483647 fields in a footer of 1"));
    let mut deep = [&head[..], &list(1_000_000)].concat();
    (0..999_999).for_each(|_| deep.extend(group(1)));
    deep.extend([0x15, 2, 0x48, 1, b'x', 0, 0]);
    assert!(open(&deep).contains("nest more than 64 deep"));
}

/// Single precision is too coarse for the first column, which only the counts of its cells tell: they are
/// counted again in double precision, in every group, as if they had been from the start.
#[test]
fn cells_that_single_precision_overfills_are_counted_again() {
    use std::sync::Arc;
    use tidegauge_core::states::grid::Domain;

    let n = 60_000;
    let mut state = 7u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let normal: Vec<f64> = (0..n)
        .map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0)
        .collect();
    let offset: Vec<f64> = normal.iter().map(|x| 1e4 + x).collect();
    let days = (0..n as i64).map(|i| 1_700_000_000_000_000 + i * 60_000_000);
    let columns: Vec<(&str, arrow_array::ArrayRef)> = vec![
        ("normal", Arc::new(arrow_array::Float64Array::from(normal))),
        ("offset", Arc::new(arrow_array::Float64Array::from(offset))),
        (
            "ts",
            Arc::new(arrow_array::TimestampMicrosecondArray::from_iter_values(
                days,
            )),
        ),
        (
            "side",
            Arc::new(arrow_array::StringArray::from_iter_values(
                (0..n).map(|i| if i % 3 == 0 { "left" } else { "right" }),
            )),
        ),
    ];
    let batch = arrow_array::RecordBatch::try_from_iter(columns).unwrap();
    let source = tidegauge_io::arrow::ArrowSource::new(&batch.schema(), vec![batch]).unwrap();
    let plain = ScanOptions {
        block: Some("none".into()),
        ..Default::default()
    };
    let cut = ScanOptions {
        window: Some("1d".into()),
        by: vec![Cut::One("side".into())],
        ..Default::default()
    };
    let [whole, cut] = [plain, cut].map(|o| profile(&source, &o, None, &|_, _| true).unwrap());
    assert!(cut.groups.len() > 80);
    let totals = [whole.total().unwrap(), cut.total().unwrap()];
    for (name, domain) in [("normal", Domain::F32), ("offset", Domain::F64)] {
        let at = whole.column(name).unwrap();
        assert_eq!(
            whole.columns[at].frozen_id(),
            cut.columns[cut.column(name).unwrap()].frozen_id()
        );
        for total in [&totals[0][at], &totals[1][cut.column(name).unwrap()]] {
            let grid = total.grid().unwrap();
            assert_eq!(grid.grid().domain, domain, "{name}");
            assert!(grid.keeps_bound(n as u64), "{name}");
            assert_eq!(
                (0..grid.grid().edges.len() + 1)
                    .map(|j| grid.count(j))
                    .sum::<u64>(),
                n as u64
            );
        }
        // Segments have the same grid, and all rows.
        let at = cut.column(name).unwrap();
        let segments = cut.groups.iter().filter(|(k, _)| k.segment.is_some());
        let rows: u64 = segments.map(|(_, s)| s[at].counts.finite).sum();
        assert_eq!(rows, n as u64, "{name}");
    }
}
