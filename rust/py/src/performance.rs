//! Performance of a model: one pass over labels and predictions of a source.

use std::collections::BTreeSet;

use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use tidegauge_core::performance::{Measure, Performance as Core};
use tidegauge_io::scan::performance;
use tidegauge_io::source::Source;
use tidegauge_io::stream::{Reader, StreamSource};

use crate::errors::{from_core, from_io};
use crate::{Caller, Profile, arrow_source, batch_rows, open, scan_options, stream_name};

/// States of label and prediction of every group of a data set.
#[pyclass(frozen, module = "tidegauge._core")]
pub struct Performance {
    pub inner: Core,
}

#[pymethods]
impl Performance {
    /// Hash of the content: equal rows, equal digest.
    #[getter]
    fn digest(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.inner.digest())
            .map_err(|e| from_core(py, e))
    }
}

/// Measures what `source` gives: paths of local Parquet, a table in memory, or a function that gives an Arrow
/// stream of the same rows at every call.
#[pyfunction]
#[pyo3(signature = (kind, source, options, measure, like, current, progress=None))]
#[allow(clippy::too_many_arguments)]
fn measure_performance(
    py: Python<'_>,
    kind: &str,
    source: Py<PyAny>,
    options: &str,
    measure: &str,
    like: PyRef<'_, Profile>,
    current: PyRef<'_, Profile>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Performance> {
    let (options, own) = scan_options(py, options)?;
    let measure: Measure = crate::parse(py, measure)?;
    let problems = current.inner.metadata.problems.iter();
    let skip: BTreeSet<String> = problems
        .filter(|p| p.kind == "unit")
        .map(|p| p.name.clone())
        .collect();
    let caller = Caller::new(progress);
    let like = &like.inner;
    let run = |source: &dyn Source| {
        let made = py.detach(|| {
            let tick = |done, all| caller.tick(done, all);
            performance(source, &options, measure.clone(), like, &skip, &tick)
        });
        caller.settle(py, made)
    };
    let inner = match kind {
        "paths" => {
            let paths: Vec<String> = source.extract(py)?;
            let source = py
                .detach(|| open(&paths, options.max_bad_units, batch_rows(&own), false))
                .map_err(|e| from_io(py, e))?;
            run(&source)?
        }
        "table" => {
            let data: AnyRecordBatch = source.extract(py)?;
            run(&arrow_source(py, data, &own)?)?
        }
        _ => {
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
            let name = stream_name(&own);
            let opened = py.detach(|| StreamSource::new(name, Box::new(begin)));
            let opened = caller.settle(py, opened)?.with_batch_rows(batch_rows(&own));
            run(&opened)?
        }
    };
    Ok(Performance { inner })
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Performance>()?;
    m.add_function(wrap_pyfunction!(measure_performance, m)?)
}
