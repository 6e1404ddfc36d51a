//! The extension module `tidegauge._core`.
use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(_m: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
