//! What the fuzz targets check, over the files they found and over seeded mutations.
//!
//! `make fuzz` searches with coverage; this replays without it, the same inputs on each run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tidegauge_core::performance::Performance;
use tidegauge_core::profile::Profile;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::paths::resolve;
use tidegauge_io::scan::{Cut, ScanOptions, profile};

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

const PROFILE_MUTATIONS: u64 = 12_000;
const PERFORMANCE_MUTATIONS: u64 = 8_000;
const PARQUET_MUTATIONS: u64 = 8_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of a folder in order of name.
fn files(folder: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(extension))
        .collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths
        .iter()
        .map(|path| (name(path), std::fs::read(path).unwrap()))
        .collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// One to four changes: bits, bytes that matter, bytes copied from elsewhere, inserted and removed.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let at = random.below(bytes.len());
        let n = (1 + random.below(9)).min(bytes.len() - at);
        match random.below(6) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at..at + n].fill(EDGES[random.below(EDGES.len())]),
            3 => {
                let from = random.below(bytes.len() - n + 1);
                bytes.copy_within(from..from + n, at);
            }
            4 => drop(bytes.drain(at..at + n)),
            _ => drop(bytes.splice(at..at, std::iter::repeat_n(random.next() as u8, n))),
        }
    }
}

/// Runs a check; says which input made this project's code panic.
fn survives(check: fn(&[u8]), bytes: &[u8], input: &dyn std::fmt::Display) {
    fuzz::watch_panics();
    let done = catch_unwind(AssertUnwindSafe(|| check(bytes)));
    if let Some(panic) = fuzz::panicked() {
        let path = std::env::temp_dir().join("tidegauge-fuzz-finding");
        std::fs::write(&path, bytes).unwrap();
        eprintln!("{input}: {panic}\nthe input is in {}", path.display());
        std::process::exit(101);
    }
    assert!(done.is_ok(), "{input}");
}

fn scan(path: &Path, options: &ScanOptions) -> Profile {
    let files = resolve(&[path.to_string_lossy().into_owned()]).unwrap();
    let source = ParquetSource::open(&files, ParquetOptions::default()).unwrap();
    profile(&source, options, None, &|_, _| true).unwrap()
}

/// Golden files, and the profiles of the Parquet seeds, whole and by segments.
fn profiles() -> Vec<(String, Vec<u8>)> {
    let mut all = files("tests/format/golden", ".tgp");
    for (name, _) in files("rust/fuzz/seeds", ".parquet") {
        let path = root().join("rust/fuzz/seeds").join(&name);
        all.push((
            name.clone(),
            scan(&path, &ScanOptions::default()).to_bytes(),
        ));
        if name == "plain.parquet" {
            let by = vec![Cut::One("s".into())];
            let options = ScanOptions {
                by,
                ..Default::default()
            };
            all.push((format!("{name} by s"), scan(&path, &options).to_bytes()));
        }
    }
    all
}

#[test]
fn what_was_found_stays_fixed() {
    for (name, bytes) in files("rust/fuzz/found/profile_decode", "") {
        survives(fuzz::profile_decode, &bytes, &name);
    }
    for (name, bytes) in files("rust/fuzz/found/performance_decode", "") {
        survives(fuzz::performance_decode, &bytes, &name);
    }
    for (name, bytes) in files("rust/fuzz/found/parquet_scan", "") {
        survives(fuzz::parquet_scan, &bytes, &name);
    }
    let models = [
        files("rust/fuzz/found/model_read", ""),
        files("rust/fuzz/seeds/models", ""),
    ];
    for (name, bytes) in models.concat() {
        survives(fuzz::model_read, &bytes, &name);
    }
}

#[test]
fn mutated_profiles_with_right_checksums() {
    let seeds = profiles();
    let mut decoded = 0;
    for (name, bytes) in &seeds {
        let parts = fuzz::Parts::split(bytes).unwrap();
        assert_eq!(&parts.join(), bytes, "{name}");
        survives(fuzz::profile_decode, bytes, name);
        for seed in 0..PROFILE_MUTATIONS / seeds.len() as u64 {
            let (mut random, mut changed) = (Random(seed), parts.clone());
            if random.below(8) == 0 {
                mutate(&mut changed.metadata, &mut random);
            } else {
                mutate(&mut changed.content, &mut random);
            }
            let changed = changed.join();
            decoded += u32::from(Profile::from_bytes(&changed).is_ok());
            survives(
                fuzz::profile_decode,
                &changed,
                &format!("{name}, seed {seed}"),
            );
        }
    }
    assert!(decoded > 200, "only {decoded} mutations got past decoding");
}

#[test]
fn mutated_states_of_performance_with_right_checksums() {
    let seeds = files("rust/fuzz/seeds/performance", "");
    assert!(seeds.len() >= 4);
    let mut decoded = 0;
    for (name, bytes) in &seeds {
        assert!(Performance::from_bytes(bytes).is_ok(), "{name}");
        survives(fuzz::performance_decode, bytes, name);
        let content = &bytes[..bytes.len() - 32];
        for seed in 0..PERFORMANCE_MUTATIONS / seeds.len() as u64 {
            let (mut random, mut changed) = (Random(seed), content.to_vec());
            mutate(&mut changed, &mut random);
            let changed = fuzz::seal(changed);
            decoded += u32::from(Performance::from_bytes(&changed).is_ok());
            survives(
                fuzz::performance_decode,
                &changed,
                &format!("{name}, seed {seed}"),
            );
        }
    }
    assert!(decoded > 200, "only {decoded} mutations got past decoding");
}

#[test]
fn mutated_parquet_files() {
    let seeds = files("rust/fuzz/seeds", ".parquet");
    assert!(seeds.len() >= 8);
    for (name, bytes) in &seeds {
        survives(fuzz::parquet_scan, bytes, name);
        for seed in 0..PARQUET_MUTATIONS / seeds.len() as u64 {
            let (mut random, mut changed) = (Random(seed), bytes.clone());
            mutate(&mut changed, &mut random);
            survives(
                fuzz::parquet_scan,
                &changed,
                &format!("{name}, seed {seed}"),
            );
        }
    }
}
