//! What the fuzz targets check. `rust/io/tests/fuzz.rs` runs the same functions over seeded mutations.

use std::collections::BTreeSet;
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::sync::{Mutex, Once};

use tidegauge_core::compare::{CompareOptions, compare, histograms};
use tidegauge_core::importance::exact::{Model, Rows};
use tidegauge_core::importance::readers::{Kind, catboost, lightgbm, onnx, xgboost};
use tidegauge_core::importance::trees::{Ensemble, Node};
use tidegauge_core::performance::{self, Performance};
use tidegauge_core::profile::Profile;
use tidegauge_core::value::Logical;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::paths::ResolvedFile;
use tidegauge_io::scan::{Cut, ScanOptions, profile};
use tidegauge_io::source::Source;

const HEADER: usize = 24;
const CHECKSUM: usize = 32;

/// The two parts of a profile file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Magic and version.
    pub magic: [u8; 8],
    /// Canonical content.
    pub content: Vec<u8>,
    /// JSON.
    pub metadata: Vec<u8>,
}

impl Parts {
    /// Takes a file apart; none when its lengths do not add up.
    pub fn split(bytes: &[u8]) -> Option<Self> {
        let length = |at: usize| {
            let eight: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
            usize::try_from(u64::from_le_bytes(eight)).ok()
        };
        let end = HEADER.checked_add(length(8)?)?;
        let stop = end.checked_add(length(16)?)?;
        if stop.checked_add(CHECKSUM)? != bytes.len() {
            return None;
        }
        Some(Self {
            magic: bytes[..8].try_into().ok()?,
            content: bytes[HEADER..end].to_vec(),
            metadata: bytes[end..stop].to_vec(),
        })
    }

    /// The file, with lengths and checksum as they must be.
    pub fn join(&self) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        out.extend((self.content.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        out.extend(&self.content);
        out.extend(&self.metadata);
        out.extend(blake3::hash(&out).as_bytes());
        out
    }
}

/// Bytes as a profile file: an error, or a profile that encodes to the same content, comes back
/// whole, and can be merged and compared.
pub fn profile_decode(bytes: &[u8]) {
    let Ok(read) = Profile::from_bytes(bytes) else {
        return;
    };
    let parts = Parts::split(bytes).expect("what decodes has both parts");
    let written = read.to_bytes();
    let again = Parts::split(&written).expect("what is written has both parts");
    assert_eq!(again.content, parts.content, "content changed");
    round_trip(&read);

    let options = CompareOptions::default();
    compare(&read, &read, &options).expect("a profile compares with itself");
    histograms(&read, &read).expect("a profile draws against itself");

    let mut sum = read.clone();
    if !read.metadata.coverage.is_empty() {
        assert!(sum.merge(&read).is_err(), "counted twice");
        sum = read.clone();
    }
    let mut other = read.clone();
    other.metadata.coverage = BTreeSet::from(["elsewhere".to_owned()]);
    sum.metadata.coverage.remove("elsewhere");
    // Counts may not fit twice: an error, never a wrap.
    if sum.merge(&other).is_ok() {
        assert_eq!(u128::from(sum.rows()), 2 * u128::from(read.rows()));
        round_trip(&sum);
        compare(&read, &sum, &options).expect("a profile compares with its double");
    }
}

/// The profile as it is read back has the same bytes.
fn round_trip(profile: &Profile) {
    let bytes = profile.to_bytes();
    let back = Profile::from_bytes(&bytes).expect("what is written is read");
    assert!(back.to_bytes() == bytes, "bytes changed on the way");
}

/// States of performance as they are written: content and its hash.
pub fn seal(mut content: Vec<u8>) -> Vec<u8> {
    let sum = blake3::hash(&content);
    content.extend(sum.as_bytes());
    content
}

/// Bytes as states of performance: an error, or states that come back whole, are split and joined to
/// themselves, and give rows.
pub fn performance_decode(bytes: &[u8]) {
    let Ok(read) = Performance::from_bytes(bytes) else {
        return;
    };
    let written = read.to_bytes().expect("what is read is written");
    assert!(written == bytes, "bytes changed on the way");
    let mut parts = read.split().expect("what is read is split").into_iter();
    if let Some((_, mut total)) = parts.next() {
        for (_, part) in parts {
            total.join(part).expect("parts of one whole are joined");
        }
        assert_eq!(total.rows(), read.rows(), "rows changed");
    }
    let mut twice = read.clone();
    // Counts may not fit twice: an error, never a wrap.
    let _ = twice.join(read.clone());
    let options = CompareOptions::default();
    let nothing = Profile {
        columns: Vec::new(),
        block: None,
        weight: None,
        groups: Default::default(),
        keys: None,
        metadata: Default::default(),
    };
    let _ = performance::rows((&nothing, &nothing), Some(&read), &read, &options);
}

/// One of four ways to scan a file: whole, in segments, in windows, numbers as categories.
fn scan_options(bytes: &[u8], source: &dyn Source) -> ScanOptions {
    let mut options = ScanOptions {
        threads: 1,
        ..ScanOptions::default()
    };
    let first = source.columns().first().map(|c| c.name.clone());
    let time = source
        .columns()
        .iter()
        .find(|c| matches!(c.logical, Ok(Logical::Timestamp { .. } | Logical::Date)));
    match blake3::hash(bytes).as_bytes()[0] % 4 {
        1 => options.by.extend(first.map(Cut::One)),
        2 => options.categorical.extend(first),
        3 if let Some(time) = time => {
            options.roles.insert(time.name.clone(), "time".into());
            options.window = Some("1d".into());
        }
        _ => {}
    }
    options
}

/// Bytes as a Parquet file: an error, or a profile that does not depend on the size of batches.
pub fn parquet_scan(bytes: &[u8]) {
    let file = Scratch::new(bytes);
    let scan = |batch_rows: usize| {
        let options = ParquetOptions {
            batch_rows,
            ..ParquetOptions::default()
        };
        let source = ParquetSource::open(&[file.resolved(bytes)], options)?;
        let options = scan_options(bytes, &source);
        profile(&source, &options, None, &|_, _| true)
    };
    match (scan(8192), scan(3)) {
        (Ok(made), Ok(again)) => {
            assert_eq!(made.digest(), again.digest(), "batches changed the content");
            profile_decode(&made.to_bytes());
        }
        (Err(_), Err(_)) => {}
        (one, other) => panic!(
            "read in one way only: {:?} and {:?}",
            one.map(|p| p.rows()),
            other.map(|p| p.rows())
        ),
    }
}

/// Bytes as a model of one of the libraries: an error, or trees that the engine predicts from as a walk
/// from node to node does.
pub fn model_read(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let read = [
        lightgbm::read(text),
        xgboost::read(bytes),
        catboost::read(bytes),
    ];
    let _ = Kind::of(bytes);
    let read = read.into_iter().chain([onnx::read(bytes).map(|(e, _)| e)]);
    for ensemble in read.flatten() {
        predicts_as_a_walk(ensemble);
    }
}

fn predicts_as_a_walk(ensemble: Ensemble) {
    // A few columns more than a fuzzer can make, so that a row is no burden.
    if ensemble.features.len() > 4096 || ensemble.trees.len() > 4096 {
        return;
    }
    let Ok(model) = Model::new(ensemble.clone()) else {
        return;
    };
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        3.0,
        1e300,
        -1e300,
        f64::NAN,
        f64::INFINITY,
    ];
    let columns: Vec<Vec<f64>> = (0..ensemble.features.len())
        .map(|j| {
            (0..values.len())
                .map(|r| values[(r * (j % 5 + 1) + j) % values.len()])
                .collect()
        })
        .collect();
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let labels = [0.0; 9];
    let rows = Rows::new(&ensemble, &slices, &labels).expect("as many columns as features");
    let found = model.margins(&rows);
    let leaves = ensemble.trees.iter().map(|t| {
        t.nodes.iter().fold(0.0f64, |a, n| match n {
            Node::Leaf(v) => a.max(v.abs()),
            Node::Split { .. } => a,
        })
    });
    let size = leaves.sum::<f64>() + ensemble.base.iter().fold(0.0, |a, b| a + b.abs());
    for (r, margins) in found.chunks_exact(model.outputs()).enumerate() {
        let row: Vec<f64> = columns.iter().map(|c| c[r]).collect();
        for (ours, walked) in margins.iter().zip(ensemble.margins(&row)) {
            assert!(
                (ours - walked).abs() <= 1e-12 * size,
                "{ours} {walked} of {size}"
            );
        }
    }
}

/// A file that goes away again.
struct Scratch(PathBuf);

impl Scratch {
    fn new(bytes: &[u8]) -> Self {
        let name = format!(
            "tidegauge-fuzz-{}-{:?}.parquet",
            std::process::id(),
            std::thread::current().id()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("a scratch file can be written");
        Self(path)
    }

    fn resolved(&self, bytes: &[u8]) -> ResolvedFile {
        ResolvedFile {
            path: self.0.clone(),
            display: "input".into(),
            bytes: bytes.len() as u64,
            partitions: Vec::new(),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

static OURS: Mutex<Option<String>> = Mutex::new(None);

/// Remembers panics of this project even where they are caught; those of the Parquet crate on
/// hostile footers are caught on purpose.
pub fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
            let place = info.location().map_or("", |l| l.file());
            if ["rust/core/", "rust/io/", "fuzz/src/", "src/lib.rs"]
                .iter()
                .any(|p| place.contains(p))
                && let Ok(mut ours) = OURS.lock()
            {
                eprintln!("{info}");
                ours.get_or_insert_with(|| info.to_string());
            }
        }));
    });
}

/// The first panic of this project since the last call.
pub fn panicked() -> Option<String> {
    OURS.lock().ok()?.take()
}
