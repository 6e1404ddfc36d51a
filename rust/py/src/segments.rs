//! Weak segments: a table of features and losses in, JSON and the halves out.

use arrow_array::RecordBatchReader;
use arrow_array::types::{Float64Type, UInt32Type};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::input::AnyRecordBatch;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegauge_core::Error;
use tidegauge_core::joint::{Column, MISSING};
use tidegauge_core::metrics::Loss;
use tidegauge_core::segments::{
    Bin, DEFINITION, Found, Options, Segment, find, slices as best_slices,
};

use crate::errors::{InputError, usage_error};
use crate::metrics::collect;
use crate::{Caller, finite};

/// Options of a search.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    names: Vec<String>,
    /// Loss of label and prediction; none where the table holds the loss itself.
    loss: Option<String>,
    block: bool,
    depth: usize,
    bins: usize,
    min_rows: usize,
    top: usize,
    alpha: f64,
    penalty: f64,
    seed: u64,
    threads: usize,
}

/// Columns of a table of codes (u32) and floats.
pub fn columns(py: Python<'_>, data: AnyRecordBatch) -> PyResult<Vec<Column>> {
    let reader = data.into_reader()?;
    let width = reader.schema().fields().len();
    let batches = py
        .detach(|| reader.collect::<Result<Vec<_>, _>>())
        .map_err(|e| InputError::new_err(format!("arrow stream: {e}")))?;
    let mut columns = Vec::new();
    for i in 0..width {
        let arrays: Vec<_> = batches.iter().map(|b| b.column(i)).collect();
        let codes = collect::<UInt32Type>(&arrays, MISSING).map(Column::Codes);
        let numbers = || collect::<Float64Type>(&arrays, f64::NAN).map(Column::Numbers);
        columns.push(codes.or_else(numbers).ok_or_else(|| {
            usage_error(
                py,
                format!("column {i}; codes (u32) and floats are accepted"),
            )
        })?);
    }
    Ok(columns)
}

/// Segments of a table: features, then the loss or label and prediction, then the block where there is one.
#[pyfunction]
pub fn segments<'py>(
    py: Python<'py>,
    data: AnyRecordBatch,
    options: &str,
) -> PyResult<(String, Bound<'py, PyBytes>)> {
    let given: Given = crate::parse(py, options)?;
    let columns = columns(py, data)?;
    let caller = Caller::new(None);
    let answered = py.detach(|| answer(columns, &given, &|| !caller.tick(0, 0)));
    let found = caller.settle(py, answered.map_err(Into::into))?;
    let told = json!({
        "definition": DEFINITION,
        "counted": found.counted,
        "segments": found.segments.iter().map(told).collect::<Vec<_>>(),
    });
    let searched: Vec<u8> = found.searched.iter().map(|s| u8::from(*s)).collect();
    Ok((told.to_string(), PyBytes::new(py, &searched)))
}

fn answer(
    mut columns: Vec<Column>,
    given: &Given,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Found, Error> {
    let expected =
        given.names.len() + 1 + usize::from(given.loss.is_some()) + usize::from(given.block);
    if columns.len() != expected {
        return Err(Error::invalid(format!(
            "{} columns; {expected} would be accepted",
            columns.len()
        )));
    }
    let blocks = match given.block.then(|| columns.pop()).flatten() {
        Some(Column::Codes(codes)) => Some(codes),
        Some(_) => return Err(Error::invalid("the block holds no codes")),
        None => None,
    };
    let mut numbers = || match columns.pop() {
        Some(Column::Numbers(v)) => Ok(v),
        _ => Err(Error::invalid("losses, labels and predictions are floats")),
    };
    let last = numbers()?;
    let losses = match given.loss.as_deref() {
        None => last,
        Some(name) => {
            let loss = match name {
                "log_loss" => Loss::Log,
                "squared" => Loss::Squared,
                "absolute" => Loss::Absolute,
                other => return Err(Error::invalid(format!("loss {other:?} does not exist"))),
            };
            let mut made = Vec::with_capacity(last.len());
            for (y, f) in numbers()?.into_iter().zip(last) {
                let l = loss.of(y, f, 0.5);
                if l.is_nan() {
                    return Err(Error::invalid(format!(
                        "{name} of label {y} and prediction {f}; {} are accepted",
                        loss.domain()
                    )));
                }
                made.push(l);
            }
            made
        }
    };
    let features: Vec<(String, Column)> = given.names.iter().cloned().zip(columns).collect();
    let options = Options {
        depth: given.depth,
        bins: given.bins,
        min_rows: given.min_rows,
        top: given.top,
        alpha: given.alpha,
        penalty: given.penalty,
        seed: given.seed,
        threads: match given.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n.min(1024),
        },
    };
    find(&features, &losses, blocks.as_deref(), &options, stop)
}

/// SliceLine's top slices of columns of bins (bytes from 0) as JSON.
#[pyfunction]
pub fn slices(
    py: Python<'_>,
    columns: Vec<Vec<u8>>,
    losses: Vec<f64>,
    score: (usize, f64, u64),
    size: (usize, usize),
) -> PyResult<String> {
    let caller = Caller::new(None);
    let found = py.detach(|| best_slices(columns, &losses, score, size, &|| !caller.tick(0, 0)));
    let (found, counted) = caller.settle(py, found.map_err(Into::into))?;
    let slices: Vec<Value> = found
        .iter()
        .map(|s| {
            json!({
                "conditions": s.conditions,
                "score": s.score,
                "rows": s.rows,
                "mean": s.mean,
            })
        })
        .collect();
    Ok(json!({"slices": slices, "counted": counted}).to_string())
}

fn told(s: &Segment) -> Value {
    let bin = |b: &Bin| match b {
        // An end may be infinite: text, as in rows.
        Bin::Range { low, high } => json!({"low": low.map(number), "high": high.map(number)}),
        Bin::Value(x) => json!({"value": number(*x)}),
        Bin::Code(c) => json!({"code": c}),
        Bin::Rare { values } => json!({"rare": values}),
        Bin::Missing => json!({"missing": true}),
    };
    let conditions: Vec<Value> = s
        .conditions
        .iter()
        .map(|(f, b)| json!([f, bin(b)]))
        .collect();
    json!({
        "conditions": conditions,
        "score": finite(s.score),
        "searched_difference": finite(s.searched_difference),
        "searched_rows": s.searched_rows,
        "rows": s.rows,
        "units": s.units,
        "means": [finite(s.means.0), finite(s.means.1)],
        "value": finite(s.value),
        "ci": s.ci.map(|c| [finite(c.0), finite(c.1)]),
        "pvalue": s.pvalue.map(finite),
    })
}

fn number(x: f64) -> Value {
    if x.is_finite() {
        json!(x)
    } else {
        json!(x.to_string())
    }
}

/// Registers this part of the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(slices, m)?)?;
    m.add_function(wrap_pyfunction!(segments, m)?)
}
