//! Models of other libraries as [`super::trees::Ensemble`]; nothing in a file is trusted.

pub mod arrays;
pub mod catboost;
pub mod lightgbm;
pub mod ubjson;
pub mod xgboost;
