//! Joint statistics: a table of both samples in, JSON out.

use std::collections::BTreeMap;

use arrow_array::RecordBatchReader;
use arrow_array::types::{Float64Type, UInt32Type};
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegauge_core::Error;
use tidegauge_core::joint::{
    Answer, Column, MISSING, Samples, Scaling, definitions, energy::energy, mmd,
    pca::pca_reconstruction,
};
use tidegauge_io::sample::{SampleOptions, sample};
use tidegauge_io::source::Source;

use crate::errors::{InputError, from_io, usage_error};
use crate::metrics::collect;
use crate::{Caller, finite};

/// Options of a joint statistic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    n: usize,
    #[serde(default)]
    block: bool,
    #[serde(default)]
    scale: Option<String>,
    #[serde(default)]
    permutations: usize,
    #[serde(default)]
    features: usize,
    #[serde(default)]
    bandwidth: Option<f64>,
    #[serde(default)]
    explained: f64,
    #[serde(default)]
    components: Option<usize>,
    #[serde(default)]
    alpha: f64,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    threads: usize,
}

/// Most allocations of a permutation test.
const MAX_PERMUTATIONS: usize = 100_000;

impl Options {
    fn scaling(&self) -> Result<Scaling, Error> {
        match self.scale.as_deref() {
            None | Some("robust") => Ok(Scaling::Robust),
            Some("none") => Ok(Scaling::None),
            Some(other) => Err(Error::invalid(format!(
                "scale {other:?}; \"robust\" or \"none\" would be accepted"
            ))),
        }
    }
}

/// One joint statistic of a table that holds the reference first; the last column is the block where there is one.
#[pyfunction]
pub fn joint(py: Python<'_>, name: &str, data: AnyRecordBatch, options: &str) -> PyResult<String> {
    let options: Options = crate::parse(py, options)?;
    let reader = data.into_reader()?;
    let schema = reader.schema();
    let batches = py
        .detach(|| reader.collect::<Result<Vec<_>, _>>())
        .map_err(|e| InputError::new_err(format!("arrow stream: {e}")))?;
    let mut columns = Vec::new();
    for (i, field) in schema.fields().iter().enumerate() {
        let arrays: Vec<_> = batches.iter().map(|b| b.column(i)).collect();
        let column = if let Some(codes) = collect::<UInt32Type>(&arrays, MISSING) {
            Column::Codes(codes)
        } else if let Some(numbers) = collect::<Float64Type>(&arrays, f64::NAN) {
            Column::Numbers(numbers)
        } else {
            return Err(InputError::new_err(format!(
                "column {:?} of type {}; codes (u32) and floats are accepted",
                field.name(),
                field.data_type()
            )));
        };
        columns.push((field.name().clone(), column));
    }
    let blocks = match options.block.then(|| columns.pop()).flatten() {
        Some((_, Column::Codes(codes))) => Some(codes),
        Some((name, _)) => {
            return Err(usage_error(py, format!("block {name:?} holds no codes")));
        }
        None => None,
    };
    let caller = Caller::new(None);
    let answered = py.detach(|| {
        let samples = Samples::new(columns, options.n, blocks)?;
        answer(name, &samples, &options, &|| !caller.tick(0, 0))
    });
    let made = caller.settle(py, answered.map_err(Into::into))?;
    Ok(told(&made).to_string())
}

fn answer(
    name: &str,
    samples: &Samples,
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Answer, Error> {
    let scaling = options.scaling()?;
    if options.permutations > MAX_PERMUTATIONS {
        return Err(Error::invalid(format!(
            "{} permutations; at most {MAX_PERMUTATIONS} would be accepted",
            options.permutations
        )));
    }
    match name {
        "mmd" => {
            let own = mmd::Options {
                features: options.features,
                bandwidth: options.bandwidth,
                permutations: options.permutations,
                scaling,
                seed: options.seed,
                threads: options.threads,
            };
            mmd::mmd(samples, &own, stop)
        }
        "energy_multivariate" => {
            let own = (options.permutations, scaling, options.seed);
            energy(samples, own, options.threads, stop)
        }
        "pca_reconstruction" => {
            let (share, components) = (options.explained, options.components);
            let own = (share, components, options.alpha, options.seed);
            pca_reconstruction(samples, own, stop)
        }
        other => Err(Error::invalid(format!(
            "joint statistic {other:?} does not exist"
        ))),
    }
}

fn told(a: &Answer) -> Value {
    let details: serde_json::Map<String, Value> = a
        .details
        .iter()
        .map(|(name, x)| ((*name).to_owned(), finite(*x)))
        .collect();
    json!({
        "statistic": finite(a.value),
        "pvalue": a.pvalue.map_or(Value::Null, finite),
        "ci_low": a.ci.map_or(Value::Null, |c| finite(c.0)),
        "ci_high": a.ci.map_or(Value::Null, |c| finite(c.1)),
        "value_if_no_change": a.value_if_no_change.map_or(Value::Null, finite),
        "variance": a.variance,
        "n_reference": a.rows.0,
        "n_current": a.rows.1,
        "units_reference": a.units.0,
        "units_current": a.units.1,
        "message": a.message,
        "details": details,
    })
}

/// The definitions of joint statistics as JSON.
#[pyfunction]
pub fn joint_registry() -> String {
    let all: Vec<Value> = definitions()
        .iter()
        .map(|d| {
            json!({
                "name": d.name,
                "definition": d.definition,
                "summary": d.summary,
                "reference": d.source,
                "notes": d.notes,
                "range": [finite(d.range.0), finite(d.range.1)],
                "unit": d.unit,
                "null": d.null,
            })
        })
        .collect();
    json!(all).to_string()
}

/// Options of a row sample.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sampled {
    k: usize,
    row_key: Vec<String>,
    exclude: Vec<String>,
    seed: u64,
    threads: usize,
}

/// Most distinct rows of a sample.
const MAX_SAMPLE: usize = 10_000_000;

fn draw(py: Python<'_>, source: &dyn Source, options: &str) -> PyResult<Value> {
    let options: Sampled = crate::parse(py, options)?;
    if options.k == 0 || options.k > MAX_SAMPLE {
        return Err(usage_error(
            py,
            format!("k is {}; 1 to {MAX_SAMPLE} would be accepted", options.k),
        ));
    }
    let options = SampleOptions {
        k: options.k,
        row_key: options.row_key,
        exclude: options.exclude,
        seed: options.seed,
        threads: options.threads,
    };
    let caller = Caller::new(None);
    let made = py.detach(|| sample(source, &options, &|done, all| !caller.tick(done, all)));
    let found = caller.settle(py, made)?;
    let places: Vec<(u64, u64)> = found.places().map(|p| (p.row, p.count)).collect();
    Ok(json!({"rows": found.rows, "places": places}))
}

/// Places and multiplicities of a sample of the rows of local Parquet files, and the files with their rows.
#[pyfunction]
pub fn row_sample_paths(py: Python<'_>, paths: Vec<String>, options: &str) -> PyResult<String> {
    let source = py
        .detach(|| crate::open(&paths, 0, None, false))
        .map_err(|e| from_io(py, e))?;
    let mut found = draw(py, &source, options)?;
    let mut rows = vec![0; source.files().count()];
    for unit in 0..source.units() {
        rows[source.unit_file(unit)] += source.unit_rows(unit);
    }
    let files: Vec<Value> = source
        .files()
        .zip(rows)
        .map(|(f, rows)| json!([f.path, rows]))
        .collect();
    found["files"] = json!(files);
    Ok(found.to_string())
}

/// Places and multiplicities of a sample of the rows of a table in memory.
#[pyfunction]
pub fn row_sample_batches(py: Python<'_>, data: AnyRecordBatch, options: &str) -> PyResult<String> {
    let source = crate::arrow_source(py, data, &BTreeMap::new())?;
    Ok(draw(py, &source, options)?.to_string())
}

/// Registers this part of the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(joint, m)?)?;
    m.add_function(wrap_pyfunction!(joint_registry, m)?)?;
    m.add_function(wrap_pyfunction!(row_sample_paths, m)?)?;
    m.add_function(wrap_pyfunction!(row_sample_batches, m)?)
}
