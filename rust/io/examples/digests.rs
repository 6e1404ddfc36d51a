//! Digests of the shipped logs: states of every group, and the rows of a comparison.
//!
//! `make levels` runs this in builds of every level of processor and optimisation, and compares what they
//! print. The same lines are expected on any machine.

use std::path::Path;

use tidegauge_core::compare::{CompareOptions, compare};
use tidegauge_core::profile::Profile;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::paths::resolve;
use tidegauge_io::scan::{Cut, ScanOptions, profile};

/// Folder, window and cut of each log.
const LOGS: [(&str, &str, Option<&str>); 2] = [
    ("nycflights13", "1mo", Some("origin")),
    ("bike_2011", "1w", None),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (log, window, by) in LOGS {
        for threads in [1, 2] {
            let options = ScanOptions {
                threads,
                window: Some(window.into()),
                by: by.into_iter().map(|c| Cut::One(c.into())).collect(),
                ..ScanOptions::default()
            };
            let scan = |name: &str, like: Option<&Profile>| -> Result<Profile, _> {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
                let path = root.join(log).join(name);
                let files = resolve(&[path.to_string_lossy().into_owned()])?;
                let source = ParquetSource::open(&files, ParquetOptions::default())?;
                profile(&source, &options, like, &|_, _| true)
            };
            let reference = scan("reference.parquet", None)?;
            let current = scan("current.parquet", Some(&reference))?;
            let rows = compare(&reference, &current, &CompareOptions::default())?;
            let rows = serde_json::to_string(&rows)?;
            println!("{log} {threads} reference {}", reference.digest());
            println!("{log} {threads} current {}", current.digest());
            println!("{log} {threads} rows {}", blake3::hash(rows.as_bytes()));
        }
    }
    Ok(())
}
