//! Performance of a model: one pass over labels and predictions of a source.

use std::collections::BTreeSet;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::input::AnyRecordBatch;
use tidegauge_core::compare::CompareOptions;
use tidegauge_core::performance::{Measure, Performance as Core, rows};
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

    /// What :meth:`to_bytes` wrote.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let read = py.detach(|| Core::from_bytes(data));
        let inner = read.map_err(|e| from_core(py, e))?;
        Ok(Self { inner })
    }

    /// Canonical bytes with a checksum.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let made = py.detach(|| self.inner.to_bytes());
        Ok(PyBytes::new(py, &made.map_err(|e| from_core(py, e))?))
    }

    /// These rows and those of others of the same measure.
    fn join(&self, py: Python<'_>, others: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let others: Vec<&Core> = others.iter().map(|o| &o.inner).collect();
        let made = py.detach(|| {
            let mut total = self.inner.clone();
            for other in others {
                total.join(other.clone())?;
            }
            Ok::<_, tidegauge_core::Error>(total)
        });
        let inner = made.map_err(|e| from_core(py, e))?;
        Ok(Self { inner })
    }

    /// Rows, and those among them that metrics are taken over.
    #[getter]
    fn rows(&self) -> (u64, u64) {
        self.inner.rows()
    }

    /// Start (microseconds since 1970) and states of each window.
    fn split(&self, py: Python<'_>) -> PyResult<Vec<(Option<i64>, Self)>> {
        let made = py.detach(|| self.inner.split());
        let parts = made.map_err(|e| from_core(py, e))?.into_iter();
        let of =
            |(window, inner): (Option<(i64, i64)>, Core)| (window.map(|w| w.0), Self { inner });
        Ok(parts.map(of).collect())
    }
}

/// What a record tells of performance beside its rows, as JSON.
#[pyfunction]
#[pyo3(signature = (reference, current, options, performance, performance_reference=None))]
fn performance_details(
    py: Python<'_>,
    reference: PyRef<'_, Profile>,
    current: PyRef<'_, Profile>,
    options: &str,
    performance: PyRef<'_, Performance>,
    performance_reference: Option<PyRef<'_, Performance>>,
) -> PyResult<String> {
    let options: CompareOptions = crate::parse(py, options)?;
    let profiles = (&reference.inner, &current.inner);
    let (now, before) = (&performance.inner, performance_reference.as_ref());
    let before = before.map(|p| &p.inner);
    let made = py.detach(|| rows(profiles, before, now, &options));
    made.map(|(_, told)| told.to_string())
        .map_err(|e| from_core(py, e))
}

/// Measures what `source` gives: paths of local Parquet, a table in memory, or a function that gives an Arrow
/// stream of the same rows at every call. `only` names the units that are read.
#[pyfunction]
#[pyo3(signature = (kind, source, options, measure, like, current, progress=None, only=None))]
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
    only: Option<BTreeSet<String>>,
) -> PyResult<Performance> {
    let (options, own) = scan_options(py, options)?;
    let measure: Measure = crate::parse(py, measure)?;
    let problems = current.inner.metadata.problems.iter();
    let skip: BTreeSet<String> = problems
        .filter(|p| p.kind == "unit")
        .map(|p| p.name.clone())
        .collect();
    let caller = Caller::new(progress);
    let wanted =
        |unit: &str| !skip.contains(unit) && only.as_ref().is_none_or(|o| o.contains(unit));
    let like = &like.inner;
    let run = |source: &dyn Source| {
        let made = py.detach(|| {
            let tick = |done, all| caller.tick(done, all);
            performance(source, &options, measure.clone(), like, &wanted, &tick)
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
    m.add_function(wrap_pyfunction!(performance_details, m)?)?;
    m.add_function(wrap_pyfunction!(measure_performance, m)?)
}
