//! Parts of JSON documents that hold models, and the errors that name what they lack.

use serde_json::Value;

use crate::{Error, Result};

/// The library that a document is read for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Library(pub(super) &'static str);

impl Library {
    /// The bytes are no complete model.
    pub(super) fn bad(self, message: impl std::fmt::Display) -> Error {
        Error::corrupt(format!("{} model: {message}", self.0))
    }

    /// A model that this crate has no exact form of.
    pub(super) fn unsupported(self, what: impl std::fmt::Display) -> Error {
        Error::invalid(format!(
            "{} {what} has no exact form here; use method=\"permutation\"",
            self.0
        ))
    }

    /// The value of a key.
    pub(super) fn get<'a>(self, value: &'a Value, key: &str) -> Result<&'a Value> {
        value
            .get(key)
            .ok_or_else(|| self.bad(format_args!("{key} is missing")))
    }

    /// A list.
    pub(super) fn list<'a>(self, value: &'a Value, what: &str) -> Result<&'a [Value]> {
        value
            .as_array()
            .map(Vec::as_slice)
            .ok_or_else(|| self.bad(format_args!("{what} is no list")))
    }

    /// Text.
    pub(super) fn text<'a>(self, value: &'a Value, what: &str) -> Result<&'a str> {
        value
            .as_str()
            .ok_or_else(|| self.bad(format_args!("{what} is no text")))
    }

    /// A whole number from 0 to `most`, which may be written as text.
    pub(super) fn count(self, value: &Value, what: &str, most: usize) -> Result<usize> {
        let found = match value {
            Value::String(s) => s.parse().ok(),
            v => v.as_u64().and_then(|n| usize::try_from(n).ok()),
        };
        found.filter(|n| *n <= most).ok_or_else(|| {
            self.bad(format_args!(
                "{what} is {value}; at most {most} is accepted"
            ))
        })
    }

    /// A number.
    pub(super) fn float(self, value: &Value, what: &str) -> Result<f64> {
        value.as_f64().ok_or_else(|| {
            self.bad(format_args!(
                "{what} has the value {value}, which is no number"
            ))
        })
    }
}
