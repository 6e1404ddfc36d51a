//! The extension module `tidegauge._core`: arguments in, JSON and profiles out, the GIL released
//! around all work.

mod errors;
mod evidence;
mod importance;
mod joint;
mod metrics;
mod parts;
mod performance;
mod segments;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use arrow_array::RecordBatchReader;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::input::AnyRecordBatch;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegauge_core::column::{Kind, name_of, value_of};
use tidegauge_core::compare::{self as comparison, CompareOptions, pair_of, pair_of_samples};
use tidegauge_core::decide::again;
use tidegauge_core::pair::Pair;
use tidegauge_core::profile::{Problem, Profile as CoreProfile};
use tidegauge_core::row::Row;
use tidegauge_core::states::categories::Categories;
use tidegauge_core::statistics::{self, Context, Reads};
use tidegauge_io::arrow::ArrowSource;
use tidegauge_io::meter::Meter;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::paths::resolve;
use tidegauge_io::rows::Rows;
use tidegauge_io::scan::{ScanOptions, profile, samples};
use tidegauge_io::source::Source;
use tidegauge_io::stream::{Reader, Spool, StreamSource};

use crate::errors::{from_core, from_io, usage_error};

/// States of every column and group of a data set, and what its reference froze.
#[pyclass(frozen, module = "tidegauge._core")]
struct Profile {
    inner: CoreProfile,
    /// What its digests cost; null where none were asked for.
    cost: Value,
}

#[pymethods]
impl Profile {
    /// Hash of the content: equal rows, equal digest.
    #[getter]
    fn digest(&self, py: Python<'_>) -> String {
        py.detach(|| self.inner.digest())
    }

    /// Rows counted.
    #[getter]
    fn rows(&self) -> u64 {
        self.inner.rows()
    }

    /// Reads the bytes of a profile file.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let data = data.to_vec();
        let inner = py
            .detach(|| CoreProfile::from_bytes(&data))
            .map_err(|e| from_core(py, e))?;
        Ok(Self::of(inner))
    }

    /// The bytes of a profile file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| self.inner.to_bytes());
        PyBytes::new(py, &bytes)
    }

    /// This profile with the rows of others against the same reference.
    fn merge(&self, py: Python<'_>, others: Vec<PyRef<'_, Profile>>) -> PyResult<Self> {
        let others: Vec<&CoreProfile> = others.iter().map(|o| &o.inner).collect();
        let merged = py.detach(|| {
            let mut merged = self.inner.clone();
            for o in others {
                merged.merge(o)?;
            }
            Ok(merged)
        });
        merged.map(Self::of).map_err(|e| from_core(py, e))
    }

    /// This profile with the rows of others, of the columns that all have, each note told once.
    fn join(&self, py: Python<'_>, others: Vec<PyRef<'_, Profile>>) -> PyResult<Self> {
        let others: Vec<&CoreProfile> = others.iter().map(|o| &o.inner).collect();
        let joined = py.detach(|| {
            let mut joined = self.inner.clone();
            for o in others {
                joined.join(o.clone())?;
            }
            Ok(joined)
        });
        joined.map(Self::of).map_err(|e| from_core(py, e))
    }

    /// Start, end and profile of each window.
    fn split(&self, py: Python<'_>) -> Vec<(Option<String>, Option<String>, Profile)> {
        py.detach(|| parts::split(&self.inner))
    }

    /// Columns, cells and categories of every group as Arrow tables.
    fn tables(&self, py: Python<'_>) -> PyResult<parts::ArrowTables> {
        py.detach(|| parts::tables(&self.inner))
            .map_err(|e| usage_error(py, e))
    }

    /// What the digests of a scan cost, as JSON; `null` where none were asked for.
    fn cost_json(&self) -> String {
        self.cost.to_string()
    }

    /// Schema, summaries, groups, coverage and problems as JSON.
    fn info_json(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| info(&self.inner))
            .map(|v| v.to_string())
            .map_err(|e| from_core(py, e))
    }
}

impl Profile {
    fn of(inner: CoreProfile) -> Self {
        let cost = Value::Null;
        Self { inner, cost }
    }
}

fn finite(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}

fn info(p: &CoreProfile) -> tidegauge_core::Result<Value> {
    let total = p.total()?;
    let columns: Vec<Value> = p
        .columns
        .iter()
        .zip(&total)
        .map(|(c, s)| {
            let n = s.rows();
            let (mean, variance) = s.mean_variance(c.logical);
            let exact = s
                .keys()
                .filter(|k| k.is_exact())
                .map(|k| k.cells.len() as f64);
            let (distinct, error) = exact.map_or_else(|| s.distinct.estimate(), |n| (n, 0.0));
            let mut w = tidegauge_core::codec::Writer::new();
            s.encode(&mut w);
            let numeric = c.kind == Kind::Numeric;
            let range = n.range.filter(|_| numeric);
            let held = s.held_at_ends().filter(|_| numeric);
            json!({
                "name": c.name,
                "logical": name_of(c.logical),
                "kind": c.kind,
                "role": p.metadata.roles.get(&c.name),
                "role_inferred": p.metadata.inferred.contains(&c.name),
                "rows": n.rows(),
                "nulls": n.nulls,
                "nan": n.nan,
                "neg_inf": n.neg_inf,
                "pos_inf": n.pos_inf,
                "zeros": n.zeros,
                "negatives": if numeric { json!(n.negatives) } else { Value::Null },
                "invalid_utf8": if numeric { Value::Null } else { json!(n.negatives) },
                "min": range.map_or(Value::Null, |r| finite(value_of(c.logical, r.0))),
                "max": range.map_or(Value::Null, |r| finite(value_of(c.logical, r.1))),
                "min_rows": held.map(|h| h.0),
                "max_rows": held.map(|h| h.1),
                "mean": finite(mean),
                "variance": finite(variance),
                "distinct": distinct,
                "distinct_error": error,
                "grid_id": c.frozen_id(),
                "cells": match (s.grid(), s.categories()) {
                    (Some(g), _) => g.grid().cells(),
                    (_, Some(Categories::Framed { dictionary, .. })) => dictionary.hashes.len(),
                    _ => 0,
                },
                "state_bytes": w.into_bytes().len(),
            })
        })
        .collect();
    let groups: Vec<Value> = p
        .groups
        .iter()
        .map(|(k, s)| {
            json!({
                "window_start": k.window.map(|w| p.time(w.0)),
                "window_end": k.window.map(|w| p.time(w.1)),
                "model_version": k.model_version,
                "segment_by": k.segment.as_ref().map(|s| &s.0),
                "segment_value": k.segment.as_ref().map(|s| &s.1),
                "rows": s.first().map_or(0, |s| s.rows().rows()),
            })
        })
        .collect();
    let m = &p.metadata;
    Ok(json!({
        "digest": p.digest(),
        "rows": p.rows(),
        "order": m.order,
        "columns": columns,
        "groups": groups,
        "roles": m.roles,
        "block": p.block,
        "weight": p.weight,
        "coverage": m.coverage,
        "sources": m.sources,
        "problems": m.problems,
        "options": m.options,
        "version": m.version,
    }))
}

fn parse<T: DeserializeOwned>(py: Python<'_>, text: &str) -> PyResult<T> {
    serde_json::from_str(text).map_err(|e| usage_error(py, format!("options: {e}")))
}

/// Splits options that only the boundary knows from those of the scan.
fn scan_options(py: Python<'_>, text: &str) -> PyResult<(ScanOptions, BTreeMap<String, Value>)> {
    let mut all: BTreeMap<String, Value> = parse(py, text)?;
    let mut own = BTreeMap::new();
    for key in [
        "source_id",
        "column_errors",
        "batch_rows",
        "name",
        "once",
        "digests",
        "alpha",
        "tolerances",
        "statistics",
        "baselines",
    ] {
        if let Some(v) = all.remove(key) {
            own.insert(key.to_owned(), v);
        }
    }
    all.retain(|_, v| !v.is_null());
    let options =
        serde_json::from_value(json!(all)).map_err(|e| usage_error(py, format!("options: {e}")))?;
    Ok((options, own))
}

/// How often signals are looked at; progress is told as often and left to be thinned out there.
const SIGNALS: Duration = Duration::from_millis(20);

/// Python's side of a scan: signals and progress, and the exception that either raised.
struct Caller {
    progress: Option<Py<PyAny>>,
    last: Mutex<Instant>,
    raised: Mutex<Option<PyErr>>,
}

impl Caller {
    fn new(progress: Option<Py<PyAny>>) -> Self {
        Self {
            progress,
            last: Mutex::new(Instant::now()),
            raised: Mutex::default(),
        }
    }

    /// Keeps the first exception: what follows it came of stopping.
    fn raise(&self, error: PyErr) {
        let mut raised = self.raised.lock().unwrap_or_else(|p| p.into_inner());
        raised.get_or_insert(error);
    }

    fn tick(&self, done: u64, all: u64) -> bool {
        let mut last = self.last.lock().unwrap_or_else(|p| p.into_inner());
        if last.elapsed() < SIGNALS && (done < all || all == 0) {
            return true;
        }
        *last = Instant::now();
        if self
            .raised
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .is_some()
        {
            return false;
        }
        Python::attach(|py| {
            let called = py.check_signals().and_then(|()| match &self.progress {
                Some(f) => f.call1(py, (done, all)).map(|_| ()),
                None => Ok(()),
            });
            called.map_err(|e| self.raise(e)).is_ok()
        })
    }

    /// The exception that was raised on the way, else what came of it.
    fn settle<T>(&self, py: Python<'_>, made: tidegauge_io::Result<T>) -> PyResult<T> {
        match self.raised.lock().unwrap_or_else(|p| p.into_inner()).take() {
            Some(e) => Err(e),
            None => made.map_err(|e| from_io(py, e)),
        }
    }

    /// Gives the bytes of a profile to a function; what it raises ends the scan.
    fn hand(&self, to: &Py<PyAny>, made: &CoreProfile) -> tidegauge_io::Result<()> {
        let bytes = made.to_bytes();
        Python::attach(|py| to.call1(py, (PyBytes::new(py, &bytes),)).map(|_| ())).map_err(|e| {
            self.raise(e);
            tidegauge_core::Error::Interrupted.into()
        })
    }

    /// Scans with the GIL released.
    fn scan(
        &self,
        py: Python<'_>,
        source: &dyn Source,
        options: &ScanOptions,
        like: Option<&CoreProfile>,
    ) -> PyResult<CoreProfile> {
        let made = py.detach(|| profile(source, options, like, &|done, all| self.tick(done, all)));
        self.settle(py, made)
    }
}

fn open(
    paths: &[String],
    max_bad: usize,
    batch_rows: Option<usize>,
    digests: bool,
) -> tidegauge_io::Result<ParquetSource> {
    let files = resolve(paths)?;
    let mut options = ParquetOptions {
        quarantine: max_bad > 0,
        digests,
        ..ParquetOptions::default()
    };
    if let Some(n) = batch_rows {
        options.batch_rows = n.max(1);
    }
    ParquetSource::open(&files, options)
}

fn batch_rows(own: &BTreeMap<String, Value>) -> Option<usize> {
    own.get("batch_rows")
        .and_then(Value::as_u64)
        .map(|n| n as usize)
}

/// Profiles local Parquet files.
#[pyfunction]
#[pyo3(signature = (paths, options, like, progress=None))]
fn profile_paths(
    py: Python<'_>,
    paths: Vec<String>,
    options: &str,
    like: Option<PyRef<'_, Profile>>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Profile> {
    let (options, own) = scan_options(py, options)?;
    let like = like.as_ref().map(|l| &l.inner);
    let digests = asks_digests(&own);
    let source = py
        .detach(|| open(&paths, options.max_bad_units, batch_rows(&own), digests))
        .map_err(|e| from_io(py, e))?;
    check_failures(&source, options.max_bad_units)?;
    let caller = Caller::new(progress);
    let rows = Rows::new(&source);
    let scanned: &dyn Source = if digests { &rows } else { &source };
    let inner = caller.scan(py, scanned, &options, like)?;
    let rows = digests.then_some(&rows);
    finished(py, &caller, &source, rows, inner)
}

/// Refuses more files that cannot be opened than are allowed.
fn check_failures(source: &ParquetSource, allowed: usize) -> PyResult<()> {
    let failures = source.failures();
    match failures.first().filter(|_| failures.len() > allowed) {
        Some((_, error)) => Err(errors::InputError::new_err(error.to_string())),
        None => Ok(()),
    }
}

/// A scan of files with what is told of them: sizes, digests where `rows` were hashed, files set aside.
fn finished(
    py: Python<'_>,
    caller: &Caller,
    source: &ParquetSource,
    rows: Option<&Rows<'_>>,
    mut inner: CoreProfile,
) -> PyResult<Profile> {
    inner.metadata.sources = files(source, &inner.metadata.problems);
    let mut cost = Value::Null;
    if let Some(rows) = rows {
        let made = py.detach(|| {
            let tick = |done, all| caller.tick(done, all);
            source.digests(&Meter::new(&tick))
        });
        let (found, spent) = caller.settle(py, made)?;
        evidence::add_files(&mut inner.metadata.sources, &found);
        evidence::add_rows(&mut inner.metadata.sources, source, rows);
        cost = evidence::cost(spent, rows.seconds());
    }
    for (path, error) in source.failures() {
        let reason = error.to_string();
        inner.metadata.sources.push(
            json!({"path": path, "bytes": null, "row_groups": null, "rows": null,
            "rejected": [{"row_group": null, "rows": null, "reason": reason}]}),
        );
        inner.metadata.problems.push(Problem {
            kind: "unit".into(),
            name: path.clone(),
            message: reason,
            rows: None,
        });
    }
    Ok(Profile { inner, cost })
}

fn asks_digests(own: &BTreeMap<String, Value>) -> bool {
    own.get("digests") == Some(&Value::Bool(true))
}

/// Files with rows and row groups as their footers say, and the row groups that were set aside.
fn files(source: &ParquetSource, problems: &[Problem]) -> Vec<Value> {
    let mut rows: Vec<(u64, u64, Vec<Value>)> = vec![Default::default(); source.files().count()];
    let set_aside: BTreeMap<&str, &Problem> = problems
        .iter()
        .filter(|p| p.kind == "unit")
        .map(|p| (p.name.as_str(), p))
        .collect();
    for unit in 0..source.units() {
        let of = &mut rows[source.unit_file(unit)];
        of.0 += 1;
        of.1 += source.unit_rows(unit);
        if let Some(p) = set_aside.get(source.unit_id(unit).as_str()) {
            of.2.push(json!({"row_group": of.0 - 1, "rows": p.rows, "reason": p.message}));
        }
    }
    let all = source.files().zip(rows);
    all.map(|(f, (row_groups, rows, rejected))| {
        let mut file =
            json!({"path": f.display, "bytes": f.bytes, "row_groups": row_groups, "rows": rows});
        if !rejected.is_empty() {
            file["rejected"] = json!(rejected);
        }
        file
    })
    .collect()
}

/// Profiles a table in memory, or, with the option `once`, a stream that can be read once.
///
/// Such a stream is held up to `once` bytes, and beyond that only as long as its part is scanned; where a
/// second pass is needed the rest lies in a temporary file meanwhile.
#[pyfunction]
#[pyo3(signature = (data, options, like, progress=None))]
fn profile_batches(
    py: Python<'_>,
    data: AnyRecordBatch,
    options: &str,
    like: Option<PyRef<'_, Profile>>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Profile> {
    let (options, own) = scan_options(py, options)?;
    let like = like.as_ref().map(|l| &l.inner);
    let caller = Caller::new(progress);
    let Some(hold) = own.get("once").and_then(Value::as_u64) else {
        let source = arrow_source(py, data, &own)?;
        let inner = caller.scan(py, &source, &options, like)?;
        return Ok(described(inner, &own));
    };
    let name = stream_name(&own);
    let reader: Reader = data.into_reader()?;
    let pages = batch_rows(&own);
    if like.is_some() {
        let source = StreamSource::once(name, reader).map_err(|e| from_io(py, e))?;
        let source = source.with_batch_rows(pages);
        let inner = caller.scan(py, &source, &options, like)?;
        return Ok(described(inner, &own));
    }
    let made = py.detach(|| {
        Spool::new(
            name,
            reader,
            hold as usize,
            &mut |rows| match caller.tick(rows, 0) {
                true => Ok(()),
                false => Err(tidegauge_core::Error::Interrupted.into()),
            },
        )
    });
    let spool = caller.settle(py, made)?;
    let inner = if let Some((schema, batches)) = spool.in_memory() {
        let mut source = ArrowSource::new(schema, batches.to_vec()).map_err(|e| from_io(py, e))?;
        if let Some(n) = pages {
            source = source.with_batch_rows(n.max(1));
        }
        caller.scan(py, &source, &options, like)?
    } else {
        let source = StreamSource::new(name, Box::new(|| spool.open()));
        let source = source.map_err(|e| from_io(py, e))?.with_batch_rows(pages);
        caller.scan(py, &source, &options, like)?
    };
    Ok(described(inner, &own))
}

/// Profiles what `source` gives, an Arrow stream of the same rows at every call; one part is held at a time.
#[pyfunction]
#[pyo3(signature = (source, options, like, progress=None))]
fn profile_stream(
    py: Python<'_>,
    source: Py<PyAny>,
    options: &str,
    like: Option<PyRef<'_, Profile>>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Profile> {
    let (options, own) = scan_options(py, options)?;
    let like = like.as_ref().map(|l| &l.inner);
    let caller = Caller::new(progress);
    let name = stream_name(&own);
    let begin = || -> tidegauge_io::Result<Reader> {
        Python::attach(|py| {
            let stream: AnyRecordBatch = source.call0(py)?.extract(py)?;
            stream.into_reader()
        })
        .map_err(|e: PyErr| {
            caller.raise(e);
            tidegauge_core::Error::Interrupted.into()
        })
    };
    let opened = py.detach(|| StreamSource::new(name, Box::new(begin)));
    let opened = caller.settle(py, opened)?.with_batch_rows(batch_rows(&own));
    if !asks_digests(&own) {
        return Ok(described(caller.scan(py, &opened, &options, like)?, &own));
    }
    let rows = Rows::new(&opened);
    let mut made = described(caller.scan(py, &rows, &options, like)?, &own);
    if let Some(entry) = made.inner.metadata.sources.first_mut() {
        evidence::add_streamed(entry, &rows);
    }
    made.cost = evidence::cost(Default::default(), rows.seconds());
    Ok(made)
}

fn stream_name(own: &BTreeMap<String, Value>) -> &str {
    let name = own.get("name").and_then(Value::as_str);
    name.unwrap_or("the table")
}

/// What the boundary knows of a table beside its rows: its name in the coverage, columns left behind.
fn described(mut inner: CoreProfile, own: &BTreeMap<String, Value>) -> Profile {
    let id = own.get("source_id").and_then(Value::as_str);
    if let Some(id) = id {
        inner.metadata.coverage = [id.to_owned()].into();
    }
    inner.metadata.sources = vec![json!({"stream": id, "rows": inner.rows()})];
    let errors = own.get("column_errors").and_then(Value::as_object);
    for (name, message) in errors.into_iter().flatten() {
        inner.metadata.problems.push(Problem {
            kind: "column".into(),
            name: name.clone(),
            message: message.as_str().unwrap_or_default().to_owned(),
            rows: None,
        });
    }
    Profile::of(inner)
}

fn arrow_source(
    py: Python<'_>,
    data: AnyRecordBatch,
    own: &BTreeMap<String, Value>,
) -> PyResult<ArrowSource> {
    let reader = data.into_reader()?;
    let schema = reader.schema();
    // The producer may need the GIL on threads of its own.
    let batches = py
        .detach(|| reader.collect::<Result<Vec<_>, _>>())
        .map_err(|e| errors::InputError::new_err(format!("arrow stream: {e}")))?;
    let mut source = ArrowSource::new(&schema, batches).map_err(|e| from_io(py, e))?;
    if let Some(n) = batch_rows(own) {
        source = source.with_batch_rows(n.max(1));
    }
    Ok(source)
}

/// Rows of a comparison as JSON; those of performance with it, where it was measured.
#[pyfunction]
#[pyo3(signature = (reference, current, options, performance=None, performance_reference=None))]
fn compare(
    py: Python<'_>,
    reference: PyRef<'_, Profile>,
    current: PyRef<'_, Profile>,
    options: &str,
    performance: Option<PyRef<'_, performance::Performance>>,
    performance_reference: Option<PyRef<'_, performance::Performance>>,
) -> PyResult<String> {
    let options: CompareOptions = parse(py, options)?;
    let (reference, current) = (&reference.inner, &current.inner);
    let measured = performance.as_ref().map(|p| &p.inner);
    let before = performance_reference.as_ref().map(|p| &p.inner);
    let made = py.detach(|| {
        let (others, told) = match measured {
            Some(now) => {
                tidegauge_core::performance::rows((reference, current), before, now, &options)?
            }
            None => (Vec::new(), Value::Null),
        };
        let rows = comparison::compare_with(reference, current, &options, others)?;
        Ok::<_, tidegauge_core::Error>(json!({ "rows": rows, "performance": told }))
    });
    let answer = made.map_err(|e| from_core(py, e))?;
    serde_json::to_string(&answer).map_err(|e| usage_error(py, e.to_string()))
}

/// Verdicts again from rows whose floats are texts, under the same options: what was decided, and where a
/// row says something else, as JSON.
#[pyfunction]
fn decide_again(py: Python<'_>, rows: &str, options: &str) -> PyResult<String> {
    let options: CompareOptions = parse(py, options)?;
    let rows: Vec<Row> =
        serde_json::from_str(rows).map_err(|e| usage_error(py, format!("rows: {e}")))?;
    let found = py.detach(|| again(&rows, &options));
    let differ = found
        .disagreements
        .iter()
        .map(|d| json!({"row": d.row, "field": d.field, "recorded": d.recorded, "found": d.found}));
    Ok(json!({
        "decided": found.decided,
        "given": found.given,
        "disagreements": differ.collect::<Vec<_>>(),
    })
    .to_string())
}

/// What each cell adds to a statistic of one column, as JSON rows.
#[pyfunction]
#[pyo3(signature = (reference, current, feature, statistic, min_count, options, window=None))]
#[expect(clippy::too_many_arguments, reason = "as Python passes them")]
fn contributions(
    py: Python<'_>,
    reference: PyRef<'_, Profile>,
    current: PyRef<'_, Profile>,
    feature: &str,
    statistic: Option<&str>,
    min_count: u64,
    options: &str,
    window: Option<&str>,
) -> PyResult<String> {
    let options: CompareOptions = parse(py, options)?;
    let window: Option<comparison::Place> = window.map(|w| parse(py, w)).transpose()?;
    let (reference, current) = (&reference.inner, &current.inner);
    let made = py.detach(|| {
        comparison::contributions(
            reference,
            current,
            &options,
            feature,
            statistic,
            min_count,
            window.as_ref(),
        )
    });
    let rows = made.map_err(|e| from_core(py, e))?;
    serde_json::to_string(&rows).map_err(|e| usage_error(py, e.to_string()))
}

/// Histograms for reports as JSON.
#[pyfunction]
fn histograms(
    py: Python<'_>,
    reference: PyRef<'_, Profile>,
    current: PyRef<'_, Profile>,
    options: &str,
) -> PyResult<String> {
    let _: BTreeMap<String, Value> = parse(py, options)?;
    let (reference, current) = (&reference.inner, &current.inner);
    let made = py.detach(|| comparison::histograms(reference, current));
    made.map(|v| v.to_string()).map_err(|e| from_core(py, e))
}

/// Two tables of one column as exact samples: by their sorted values where those are all that is read,
/// else by states on the grid or the dictionary of the first.
fn pair_of_arrays(
    py: Python<'_>,
    statistic: &statistics::Statistic,
    (a, b): (&ArrowSource, &ArrowSource),
    options: &ScanOptions,
) -> PyResult<Pair> {
    let caller = Caller::new(None);
    let plain = options.roles.is_empty() && options.categorical.is_empty();
    let reads = statistic.reads();
    if plain && reads != Reads::CoarseCells {
        let held = py.detach(|| {
            let found = samples(a, b, &|| caller.tick(0, 0))?;
            Ok(found.map(|(logical, x, y)| pair_of_samples(logical, x, y, reads)))
        });
        if let Some(pair) = caller.settle(py, held)? {
            return Ok(pair);
        }
    }
    let reference = caller.scan(py, a, options, None)?;
    let current = caller.scan(py, b, options, Some(&reference))?;
    let problems = [&reference, &current].map(|p| p.metadata.problems.first());
    if let Some(p) = problems.into_iter().flatten().next() {
        return Err(errors::SchemaError::new_err(p.message.clone()));
    }
    py.detach(|| {
        // Totals of plans are coarsened; the exact states are those of the only group.
        let exact = |p: &CoreProfile| p.groups.values().next().map(|g| g[0].clone());
        let (r, c) = match (exact(&reference), exact(&current)) {
            (Some(r), Some(c)) => (r, c),
            _ => (reference.total()?[0].clone(), current.total()?[0].clone()),
        };
        pair_of(&reference.columns[0], &r, &c)
    })
    .map_err(|e| from_core(py, e))
}

/// One statistic of two arrays, each a table of one column named `x`.
#[pyfunction]
fn statistic(
    py: Python<'_>,
    name: &str,
    x: AnyRecordBatch,
    y: AnyRecordBatch,
    options: &str,
) -> PyResult<String> {
    let mut all: BTreeMap<String, Value> = parse(py, options)?;
    let alpha = match all.remove("alpha") {
        None => 0.05,
        Some(given) => given.as_f64().ok_or_else(|| {
            let message = format!("alpha is {given}; a number between 0 and 1 would be accepted");
            usage_error(py, message)
        })?,
    };
    let options = ScanOptions {
        exact: true,
        threads: 1,
        categorical: match all.remove("categorical") {
            Some(Value::Bool(true)) => vec!["x".into()],
            _ => Vec::new(),
        },
        ..ScanOptions::default()
    };
    let weights = all.remove("weights") == Some(Value::Bool(true));
    let options = ScanOptions {
        roles: weights
            .then(|| ("w".into(), "weight".into()))
            .into_iter()
            .collect(),
        ..options
    };
    if let Some(unknown) = all.keys().next() {
        return Err(usage_error(
            py,
            format!("option {unknown:?}; alpha, categorical and weights would be accepted"),
        ));
    }
    let Some(found) = statistics::lookup(name) else {
        return Err(usage_error(
            py,
            format!("statistic {name:?} does not exist"),
        ));
    };
    let none = BTreeMap::new();
    let (a, b) = (arrow_source(py, x, &none)?, arrow_source(py, y, &none)?);
    let pair = pair_of_arrays(py, found, (&a, &b), &options)?;
    let outcome = py
        .detach(|| found.evaluate(&pair, &Context { alpha }))
        .map_err(|e| usage_error(py, format!("{name}: {e}")))?;
    let note = match &pair {
        Pair::Numeric(p) => p.note.clone(),
        Pair::Categorical(p) => p.note.clone(),
    };
    let number = |x: f64| -> Value {
        if x.is_finite() {
            json!(x)
        } else {
            json!(if x.is_nan() {
                "NaN"
            } else if x > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        }
    };
    let some = |x: Option<f64>| x.map_or(Value::Null, number);
    let dependence = outcome.dependence.as_ref();
    let rows = (outcome.rows.0 as f64, outcome.rows.1 as f64);
    let worth = dependence.map_or(rows, |d| d.rows);
    Ok(json!({
        "statistic": number(outcome.value),
        "pvalue": some(outcome.pvalue),
        "bound_low": number(outcome.bound_low),
        "bound_high": number(outcome.bound_high),
        "exactness": outcome.exactness,
        "ci_low": some(outcome.ci.map(|c| c.0)),
        "ci_high": some(outcome.ci.map(|c| c.1)),
        "value_if_no_change": some(outcome.value_if_no_change),
        "minimum_detectable": some(outcome.minimum_detectable),
        "n_reference": outcome.rows.0,
        "n_current": outcome.rows.1,
        "n_eff_reference": number(worth.0),
        "n_eff_current": number(worth.1),
        "variance": dependence.map_or("iid", |d| d.variance.as_str()),
        "definition": found.definition,
        "unit": found.unit,
        "null": dependence.and_then(|d| d.null).or(found.null),
        "message": match (note, outcome.message) {
            (Some(note), Some(message)) => Some(format!("{note}; {message}")),
            (note, message) => note.or(message),
        },
    })
    .to_string())
}

/// The registry of statistics as JSON.
#[pyfunction]
fn registry() -> String {
    listed(statistics::registry())
}

/// Statistics of whole sets of rows, which only a comparison of profiles gives, as JSON.
#[pyfunction]
fn set_statistics() -> String {
    let all = comparison::of_sets().iter().map(|s| {
        json!({
            "name": s.name,
            "definition": s.definition,
            "summary": s.summary,
            "notes": s.notes,
            "unit": s.unit,
        })
    });
    json!(all.collect::<Vec<_>>()).to_string()
}

/// The definitions that reproduce other tools as JSON.
#[pyfunction]
fn parity() -> String {
    listed(statistics::parity())
}

fn listed(all: &[&statistics::Statistic]) -> String {
    let all: Vec<Value> = all
        .iter()
        .map(|s| {
            json!({
                "name": s.name,
                "definition": s.definition,
                "summary": s.summary,
                "reference": s.source,
                "notes": s.notes,
                "weights": statistics::weights(s.name),
                "kinds": s.kinds.as_str(),
                "range": [finite(s.range.0), finite(s.range.1)],
                "unit": s.unit,
                "null": s.null,
                "default_tolerance": s.default_tolerance,
            })
        })
        .collect();
    json!(all).to_string()
}

/// Files, row groups, rows and columns of local Parquet files as JSON.
#[pyfunction]
fn plan_paths(py: Python<'_>, paths: Vec<String>, options: &str) -> PyResult<String> {
    let (options, _) = scan_options(py, options)?;
    let source = py
        .detach(|| open(&paths, options.max_bad_units, None, false))
        .map_err(|e| from_io(py, e))?;
    let units = source.units();
    let files: Vec<Value> = source
        .files()
        .map(|f| json!({"path": f.display, "bytes": f.bytes}))
        .collect();
    let columns: Vec<Value> = source
        .columns()
        .iter()
        .enumerate()
        .map(|(i, c)| {
            json!({
                "name": c.name,
                "physical": c.physical,
                "logical": c.logical.as_ref().ok().map(|l| name_of(*l)),
                "not_profiled": c.logical.as_ref().err(),
                "bytes": (0..units).map(|u| source.stored_bytes(u, i)).sum::<u64>(),
            })
        })
        .collect();
    Ok(json!({
        "files": files,
        "row_groups": units,
        "rows": (0..units).map(|u| source.unit_rows(u)).fold(0, u64::saturating_add),
        "columns": columns,
    })
    .to_string())
}

/// Bytes in memory that a state of so many rows takes, rounded up: of a segment or not, with so many known values.
#[pyfunction]
fn state_bytes(kind: &str, segment: bool, rows: u64, values: u64) -> u64 {
    let kind = match kind {
        "categorical" => Kind::Categorical,
        _ => Kind::Numeric,
    };
    tidegauge_core::column::most_bytes(kind, segment, rows, values)
}

/// BLAKE3 of bytes as `b3:` and 64 hexadecimal digits.
#[pyfunction]
#[pyo3(name = "blake3")]
fn hash_bytes(py: Python<'_>, data: &[u8]) -> String {
    let data = data.to_vec();
    py.detach(|| format!("b3:{}", ::blake3::hash(&data).to_hex()))
}

#[pymodule(gil_used = false)]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    errors::register(m)?;
    evidence::register(m)?;
    importance::register(m)?;
    joint::register(m)?;
    segments::register(m)?;
    m.add_class::<Profile>()?;
    m.add_function(wrap_pyfunction!(profile_paths, m)?)?;
    m.add_function(wrap_pyfunction!(state_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(profile_batches, m)?)?;
    m.add_function(wrap_pyfunction!(profile_stream, m)?)?;
    m.add_function(wrap_pyfunction!(compare, m)?)?;
    m.add_function(wrap_pyfunction!(contributions, m)?)?;
    m.add_function(wrap_pyfunction!(decide_again, m)?)?;
    m.add_function(wrap_pyfunction!(histograms, m)?)?;
    m.add_function(wrap_pyfunction!(statistic, m)?)?;
    m.add_function(wrap_pyfunction!(registry, m)?)?;
    m.add_function(wrap_pyfunction!(set_statistics, m)?)?;
    m.add_function(wrap_pyfunction!(parity, m)?)?;
    metrics::register(m)?;
    performance::register(m)?;
    m.add_function(wrap_pyfunction!(plan_paths, m)?)?;
    m.add_function(wrap_pyfunction!(parts::list_files, m)?)?;
    m.add_function(wrap_pyfunction!(parts::list_units, m)?)?;
    m.add_function(wrap_pyfunction!(parts::profile_parts, m)?)?;
    m.add_function(wrap_pyfunction!(hash_bytes, m)?)?;
    Ok(())
}
