//! Digests of files and rows for the record, and what verifies them.

use pyo3::prelude::*;
use serde_json::{Value, json};
use tidegauge_io::meter::Meter;
use tidegauge_io::parquet::{Cost, FileDigest, ParquetSource, Part, hash_parts};
use tidegauge_io::rows::{Rows, unit_sum};
use tidegauge_io::source::Source;

use crate::errors::{from_io, usage_error};
use crate::{Caller, open};

/// 32 hexadecimal digits of a sum of row hashes.
fn hex(sum: u128) -> String {
    format!("{sum:032x}")
}

fn part(p: &Part) -> Value {
    json!([p.offset, p.length, p.digest.to_hex().as_str()])
}

/// Adds digests of bytes to the entries of files.
pub fn add_files(sources: &mut [Value], files: &[FileDigest]) {
    for (source, file) in sources.iter_mut().zip(files) {
        let chunks = file.chunks.iter().map(|group| {
            let of = |c: &Option<Part>| c.as_ref().map_or(Value::Null, part);
            group.iter().map(of).collect::<Vec<_>>()
        });
        source["digest"] = json!(format!("b3:{}", file.digest.to_hex()));
        source["parts"] = json!({
            "columns": file.columns,
            "row_groups": chunks.collect::<Vec<_>>(),
            "footer": part(&file.footer),
            "gaps": file.gaps.iter().map(part).collect::<Vec<_>>(),
        });
    }
}

/// Adds digests of rows to the entries of files, one a row group.
pub fn add_rows(sources: &mut [Value], source: &ParquetSource, rows: &Rows<'_>) {
    let columns = rows.names();
    for (at, entry) in sources.iter_mut().enumerate() {
        let units = (0..source.units()).filter(|u| source.unit_file(*u) == at);
        let found: Vec<Result<u128, String>> = units.map(|u| rows.unit(u)).collect();
        let text = |r: &Result<u128, String>| r.as_ref().ok().map(|s| hex(*s));
        entry["row_digests"] = json!(found.iter().map(text).collect::<Vec<_>>());
        entry["row_columns"] = json!(columns);
        if let Some(Err(why)) = found.iter().find(|r| r.is_err()) {
            entry["row_digest_missing"] = json!(why);
        }
    }
}

/// Adds the digest of the rows of a stream to its entry.
pub fn add_streamed(entry: &mut Value, rows: &Rows<'_>) {
    entry["row_columns"] = json!(rows.names());
    match rows.streamed() {
        Ok(sum) => entry["row_digests"] = json!([hex(sum)]),
        Err(why) => {
            entry["row_digests"] = json!([null]);
            entry["row_digest_missing"] = json!(why);
        }
    }
}

/// What digests cost, for whoever waits for them.
pub fn cost(files: Cost, rows: f64) -> Value {
    json!({
        "bytes_hashed_while_reading": files.while_reading,
        "bytes_read_besides": files.besides,
        "seconds_bytes": files.seconds,
        "seconds_rows": rows,
    })
}

/// BLAKE3 of stretches of a file, `(offset, length)` each, as hexadecimal digits; none beyond its end.
#[pyfunction]
#[pyo3(signature = (path, parts, progress=None))]
fn digest_parts(
    py: Python<'_>,
    path: &str,
    parts: Vec<(u64, u64)>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<Option<String>>> {
    let caller = Caller::new(progress);
    let made = py.detach(|| {
        let tick = |done, all| caller.tick(done, all);
        hash_parts(path, &parts, &Meter::new(&tick))
    });
    let found = caller.settle(py, made)?;
    let text = |h: blake3::Hash| h.to_hex().as_str().to_owned();
    Ok(found.into_iter().map(|h| h.map(text)).collect())
}

/// Digests of whole local Parquet files as JSON, in a read of their own.
#[pyfunction]
fn digest_files(py: Python<'_>, paths: Vec<String>) -> PyResult<String> {
    let source = py
        .detach(|| open(&paths, 0, None, false))
        .map_err(|e| from_io(py, e))?;
    let caller = Caller::new(None);
    let made = py.detach(|| {
        let tick = |done, all| caller.tick(done, all);
        source.digests(&Meter::new(&tick))
    });
    let (files, spent) = caller.settle(py, made)?;
    let mut entries: Vec<Value> = source
        .files()
        .map(|f| json!({"path": f.display, "bytes": f.bytes}))
        .collect();
    add_files(&mut entries, &files);
    Ok(json!({"files": entries, "cost": cost(spent, 0.0)}).to_string())
}

/// Digest of the rows of one row group of a local Parquet file over these columns, read for it.
#[pyfunction]
fn digest_rows(
    py: Python<'_>,
    path: String,
    row_group: usize,
    columns: Vec<String>,
) -> PyResult<String> {
    let source = py
        .detach(|| open(&[path], 0, None, false))
        .map_err(|e| from_io(py, e))?;
    if row_group >= source.units() {
        let n = source.units();
        return Err(usage_error(
            py,
            format!("row group {row_group}; the file has {n}, counted from 0"),
        ));
    }
    let caller = Caller::new(None);
    let made = py.detach(|| {
        let tick = |done, all| caller.tick(done, all);
        unit_sum(&source, row_group, &columns, &Meter::new(&tick))
    });
    Ok(hex(caller.settle(py, made)?))
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(digest_parts, m)?)?;
    m.add_function(wrap_pyfunction!(digest_files, m)?)?;
    m.add_function(wrap_pyfunction!(digest_rows, m)?)?;
    Ok(())
}
