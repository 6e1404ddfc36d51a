//! Profiles in parts at the boundary: units of files, windows, tables.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use pyo3::prelude::*;
use pyo3_arrow::PyRecordBatch;
use serde_json::{Value, json};
use tidegauge_core::column::name_of;
use tidegauge_core::profile::{GroupKey, Profile as CoreProfile};
use tidegauge_core::tables;
use tidegauge_io::evidence::Evidence;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::parts::{Parts, finished};
use tidegauge_io::paths::resolve;
use tidegauge_io::rows::Rows;
use tidegauge_io::source::Source;

use crate::errors::from_io;
use crate::{Caller, Profile};

/// Columns, cells, categories.
pub type ArrowTables = (PyRecordBatch, PyRecordBatch, PyRecordBatch);

/// Start, end and profile of each window, the times as RFC 3339.
pub fn split(profile: &CoreProfile) -> Vec<(Option<String>, Option<String>, Profile)> {
    let parts = profile.split().into_iter();
    let time = |us: i64| profile.time(us);
    parts
        .map(|(window, inner)| {
            let (start, end) = window.map(|w| (time(w.0), time(w.1))).unzip();
            (start, end, Profile::of(inner))
        })
        .collect()
}

type Field = (&'static str, ArrayRef);

fn batch(fields: Vec<Field>) -> Result<PyRecordBatch, String> {
    // Every field may be null: the schema is that of the columns, not of the rows that happen to be there.
    let fields = fields.into_iter().map(|(name, array)| (name, array, true));
    let made = RecordBatch::try_from_iter_with_nullable(fields);
    made.map(PyRecordBatch::new).map_err(|e| e.to_string())
}

fn array<A: arrow_array::Array + 'static>(values: A) -> ArrayRef {
    Arc::new(values)
}

/// Window, model version and segment of the groups of rows.
fn group_fields<'a>(
    keys: &[&GroupKey],
    rows: impl Iterator<Item = &'a usize> + Clone,
) -> Vec<Field> {
    let keys = || rows.clone().map(|i| keys[*i]);
    let time = |of: fn((i64, i64)) -> i64| {
        let values = keys().map(|k| k.window.map(of));
        array(
            values
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        )
    };
    let text = |of: fn(&GroupKey) -> Option<&str>| array(keys().map(of).collect::<StringArray>());
    vec![
        ("window_start", time(|w| w.0)),
        ("window_end", time(|w| w.1)),
        ("model_version", text(|k| k.model_version.as_deref())),
        ("segment_by", text(|k| Some(k.segment.as_ref()?.0.as_str()))),
        (
            "segment_value",
            text(|k| Some(k.segment.as_ref()?.1.as_str())),
        ),
    ]
}

/// A profile as three Arrow tables.
pub fn tables(profile: &CoreProfile) -> Result<ArrowTables, String> {
    let found = tables::tables(profile);
    let keys: Vec<&GroupKey> = tables::groups(profile).collect();
    macro_rules! field {
        ($rows:expr, $kind:ty, $name:literal, $of:expr) => {
            ($name, array($rows.iter().map($of).collect::<$kind>()))
        };
    }
    let c = &found.columns;
    let mut columns = group_fields(&keys, c.iter().map(|r| &r.group));
    columns.extend([
        field!(c, StringArray, "feature", |r| Some(r.feature.as_str())),
        field!(c, StringArray, "kind", |r| Some(r.kind)),
        field!(c, StringArray, "logical", |r| Some(r.logical.as_str())),
        field!(c, StringArray, "role", |r| r.role.as_deref()),
        field!(c, UInt64Array, "rows", |r| Some(r.rows)),
        field!(c, UInt64Array, "nulls", |r| Some(r.nulls)),
        field!(c, UInt64Array, "nan", |r| Some(r.nan)),
        field!(c, UInt64Array, "neg_inf", |r| Some(r.neg_inf)),
        field!(c, UInt64Array, "pos_inf", |r| Some(r.pos_inf)),
        field!(c, UInt64Array, "finite", |r| Some(r.finite)),
        field!(c, Float64Array, "mean", |r| r.mean),
        field!(c, Float64Array, "variance", |r| r.variance),
        field!(c, Float64Array, "min", |r| r.min),
        field!(c, Float64Array, "max", |r| r.max),
        field!(c, Float64Array, "distinct", |r| Some(r.distinct)),
        field!(c, StringArray, "grid_id", |r| Some(r.grid_id.as_str())),
    ]);
    let c = &found.cells;
    let mut cells = group_fields(&keys, c.iter().map(|r| &r.group));
    cells.extend([
        field!(c, StringArray, "feature", |r| Some(r.feature.as_str())),
        field!(c, UInt32Array, "cell", |r| Some(r.cell)),
        field!(c, UInt32Array, "coarse", |r| Some(r.coarse)),
        field!(c, Float64Array, "low", |r| r.low),
        field!(c, Float64Array, "high", |r| r.high),
        field!(c, UInt64Array, "count", |r| Some(r.count)),
    ]);
    let c = &found.categories;
    let mut categories = group_fields(&keys, c.iter().map(|r| &r.group));
    categories.extend([
        field!(c, StringArray, "feature", |r| Some(r.feature.as_str())),
        field!(c, StringArray, "value", |r| r.value.as_deref()),
        field!(c, UInt64Array, "hash", |r| r.hash),
        field!(c, UInt32Array, "hash_cell", |r| r.hash_cell),
        field!(c, UInt64Array, "count", |r| Some(r.count)),
    ]);
    Ok((batch(columns)?, batch(cells)?, batch(categories)?))
}

/// Profiles some units, or all, of local Parquet files against a reference, part by part from where `begun`
/// ended, and hands the bytes of the profile so far to `keep` every so many seconds, or more rarely, so that
/// it takes at most a share of the time.
#[pyfunction]
#[pyo3(signature = (paths, options, like, progress, keep, every, share, begun, only))]
#[allow(
    clippy::too_many_arguments,
    reason = "the signature of the Python function"
)]
pub fn profile_parts(
    py: Python<'_>,
    paths: Vec<String>,
    options: &str,
    like: PyRef<'_, Profile>,
    progress: Option<Py<PyAny>>,
    keep: Py<PyAny>,
    every: f64,
    share: f64,
    begun: Option<PyRef<'_, Profile>>,
    only: Option<Vec<String>>,
) -> PyResult<Profile> {
    let (options, own) = crate::scan_options(py, options)?;
    let digests = crate::asks_digests(&own);
    let only: Option<BTreeSet<String>> = only.map(|units| units.into_iter().collect());
    let opened = py.detach(|| {
        let mut files = resolve(&paths)?;
        if let Some(units) = &only {
            let wanted: BTreeSet<&str> = units
                .iter()
                .filter_map(|unit| Some(unit.rsplit_once('#')?.0))
                .collect();
            files.retain(|f| wanted.contains(f.path.to_string_lossy().as_ref()));
        }
        let quarantine = options.max_bad_units > 0;
        let parquet = ParquetOptions {
            quarantine,
            digests,
            ..ParquetOptions::default()
        };
        ParquetSource::open(&files, parquet)
    });
    let source = opened.map_err(|e| from_io(py, e))?;
    crate::check_failures(&source, options.max_bad_units)?;
    let caller = Caller::new(progress);
    let rows = Rows::new(&source);
    let scanned: &dyn Source = if digests { &rows } else { &source };
    let begun = begun.map(|p| p.inner.clone()).filter(|p| {
        // Without the digests of what was read before, nothing is gone on from.
        !digests || take_over(p, &source, &rows).is_some()
    });
    let parts = Parts {
        only,
        begun,
        every: Duration::try_from_secs_f64(every).unwrap_or(Duration::MAX),
        share,
        keep: &|made| {
            if !digests {
                return caller.hand(&keep, made);
            }
            let taken = Evidence::of(&source, &rows, &finished(made));
            let taken = serde_json::to_value(taken).into_iter().collect();
            let sources = std::mem::replace(&mut made.metadata.sources, taken);
            let handed = caller.hand(&keep, made);
            made.metadata.sources = sources;
            handed
        },
    };
    let like = &like.inner;
    let made = py.detach(|| {
        let tick = |done, all| caller.tick(done, all);
        tidegauge_io::parts::profile_parts(scanned, &options, like, &tick, parts)
    });
    let inner = caller.settle(py, made)?;
    crate::finished(py, &caller, &source, digests.then_some(&rows), inner)
}

/// Hands the digests in a checkpoint to the source they were taken of; none where there are none.
fn take_over(begun: &CoreProfile, source: &ParquetSource, rows: &Rows<'_>) -> Option<()> {
    let [taken] = begun.metadata.sources.as_slice() else {
        return None;
    };
    let taken: Evidence = serde_json::from_value(taken.clone()).ok()?;
    taken.hand_over(source, rows).ok()
}

/// The local Parquet files behind paths as JSON, without reading them.
#[pyfunction]
pub fn list_files(py: Python<'_>, paths: Vec<String>) -> PyResult<String> {
    let files = py.detach(|| resolve(&paths)).map_err(|e| from_io(py, e))?;
    let files: Vec<Value> = files
        .iter()
        .map(|f| json!({"path": f.path.to_string_lossy(), "name": f.display, "bytes": f.bytes}))
        .collect();
    Ok(json!(files).to_string())
}

/// Units and columns of one local Parquet file as JSON.
#[pyfunction]
pub fn list_units(py: Python<'_>, path: String) -> PyResult<String> {
    let source = py
        .detach(|| crate::open(&[path], 0, None, false))
        .map_err(|e| from_io(py, e))?;
    let columns = source.columns().iter().map(|c| {
        let logical = c
            .logical
            .as_ref()
            .map_or_else(Clone::clone, |l| name_of(*l));
        json!([c.name, logical])
    });
    let units = (0..source.units())
        .map(|unit| json!({"id": source.unit_id(unit), "rows": source.unit_rows(unit)}));
    let (columns, units): (Vec<Value>, Vec<Value>) = (columns.collect(), units.collect());
    Ok(json!({"columns": columns, "units": units}).to_string())
}
