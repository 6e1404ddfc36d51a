//! States, grids, statistics and decisions of tidegauge; no Python, no files.

pub mod error;
pub mod pair;
pub mod value;

pub use error::{Error, Result};
