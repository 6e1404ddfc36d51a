//! Models of other libraries as [`super::trees::Ensemble`]; nothing in a file is trusted.

use serde_json::Value;

use crate::{Error, Result};

pub mod arrays;
pub mod catboost;
mod json;
pub mod lightgbm;
pub mod onnx;
mod protobuf;
pub mod ubjson;
pub mod xgboost;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// LightGBM's text.
    LightGbm,
    /// XGBoost's JSON or UBJSON.
    XgBoost,
    /// CatBoost's JSON.
    CatBoost,
    /// An ONNX graph.
    Onnx,
    /// Coefficients of a linear model in JSON.
    Linear,
}

impl Kind {
    /// Tells by the content, not by a name.
    ///
    /// # Errors
    /// When the bytes begin like none of these, or JSON has none of their keys.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let unknown = |what: &str| {
            Error::corrupt(format!(
                "model file of {what}; accepted are LightGBM text, XGBoost JSON or UBJSON, CatBoost JSON, ONNX, \
                 and JSON of a linear model"
            ))
        };
        let start = bytes.iter().position(|b| !b.is_ascii_whitespace());
        match start.map(|i| bytes[i]) {
            Some(b'{') if is_json(&bytes[start.unwrap_or(0)..]) => {
                let root: Value = serde_json::from_slice(bytes)
                    .map_err(|e| Error::corrupt(format!("model file of JSON: {e}")))?;
                let has = |key| root.get(key).is_some();
                let keys = [
                    ("learner", Kind::XgBoost),
                    ("oblivious_trees", Kind::CatBoost),
                    ("features_info", Kind::CatBoost),
                    ("coefficients", Kind::Linear),
                ];
                let found = keys.iter().find(|(key, _)| has(key)).map(|(_, kind)| *kind);
                found.ok_or_else(|| {
                    let named: Vec<&str> = root
                        .as_object()
                        .map(|o| o.keys().take(5).map(String::as_str).collect())
                        .unwrap_or_default();
                    unknown(&format!("JSON with the keys {}", named.join(", ")))
                })
            }
            Some(b'{') => Ok(Kind::XgBoost),
            // Field 1 of a message, a number: the version of the format.
            Some(0x08) => Ok(Kind::Onnx),
            Some(_) if bytes.starts_with(b"tree") => Ok(Kind::LightGbm),
            None => Err(unknown("no content")),
            Some(_) => Err(unknown("none of these forms")),
        }
    }
}

/// An object in JSON goes on with a quote or space, in UBJSON with a marker.
fn is_json(bytes: &[u8]) -> bool {
    matches!(
        bytes.get(1),
        Some(b'"' | b'}' | b' ' | b'\n' | b'\r' | b'\t')
    )
}
