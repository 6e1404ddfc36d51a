//! Any bytes as a Parquet file through the real scan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{panicked, parquet_scan, watch_panics};

fuzz_target!(|bytes: &[u8]| {
    watch_panics();
    parquet_scan(bytes);
    if let Some(panic) = panicked() {
        eprintln!("{panic}");
        std::process::abort();
    }
});
