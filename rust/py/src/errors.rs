//! Exceptions of the module, and the one place where Rust errors become them.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use tidegauge_core::Error as Core;
use tidegauge_io::Error as Io;

create_exception!(
    tidegauge._core,
    TidegaugeError,
    PyException,
    "Root of all errors of tidegauge."
);
create_exception!(
    tidegauge._core,
    InputError,
    TidegaugeError,
    "Input data that cannot be read."
);
create_exception!(
    tidegauge._core,
    SchemaError,
    TidegaugeError,
    "A column of another type than the reference's."
);
create_exception!(
    tidegauge._core,
    FormatError,
    TidegaugeError,
    "Bytes that are no profile of a version this build reads."
);
create_exception!(
    tidegauge._core,
    OverlapError,
    TidegaugeError,
    "Rows that would be counted twice."
);
create_exception!(
    tidegauge._core,
    IncompatibleError,
    TidegaugeError,
    "Profiles made against different references."
);

static USAGE: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `UsageError`, which is a `ValueError` too: two bases need Python's own `type`.
fn usage(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    let made = USAGE.get_or_try_init(py, || {
        let bases = PyTuple::new(
            py,
            [
                py.get_type::<TidegaugeError>(),
                py.get_type::<PyValueError>(),
            ],
        )?;
        let body = PyDict::new(py);
        body.set_item("__module__", "tidegauge._core")?;
        body.set_item(
            "__doc__",
            "An argument or option outside its accepted values.",
        )?;
        let made = py.get_type::<PyType>().call1(("UsageError", bases, body))?;
        Ok::<_, PyErr>(made.cast_into::<PyType>()?.unbind())
    })?;
    Ok(made.bind(py))
}

/// A `UsageError` with this message.
pub fn usage_error(py: Python<'_>, message: String) -> PyErr {
    match usage(py) {
        Ok(kind) => PyErr::from_type(kind.clone(), message),
        Err(e) => e,
    }
}

/// The exception of an error of the core.
pub fn from_core(py: Python<'_>, e: Core) -> PyErr {
    let message = e.to_string();
    match e {
        Core::Incompatible(_) => IncompatibleError::new_err(message),
        Core::Corrupt(_) => FormatError::new_err(message),
        Core::InvalidArgument(_) => usage_error(py, message),
        Core::Schema(_) => SchemaError::new_err(message),
        Core::Overlap(_) => OverlapError::new_err(message),
        Core::Overflow(_) => TidegaugeError::new_err(message),
        Core::Interrupted => PyKeyboardInterrupt::new_err(()),
    }
}

/// The exception of an error of a source.
pub fn from_io(py: Python<'_>, e: Io) -> PyErr {
    match e {
        Io::Core(e) => from_core(py, e),
        other => InputError::new_err(other.to_string()),
    }
}

/// Adds the exceptions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add("TidegaugeError", py.get_type::<TidegaugeError>())?;
    m.add("InputError", py.get_type::<InputError>())?;
    m.add("UsageError", usage(py)?)?;
    m.add("SchemaError", py.get_type::<SchemaError>())?;
    m.add("FormatError", py.get_type::<FormatError>())?;
    m.add("OverlapError", py.get_type::<OverlapError>())?;
    m.add("IncompatibleError", py.get_type::<IncompatibleError>())
}
