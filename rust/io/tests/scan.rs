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
