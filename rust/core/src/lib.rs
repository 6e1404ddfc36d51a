//! States, grids, statistics and decisions of tidegauge; no Python, no files.

pub mod checks;
pub mod codec;
pub mod column;
pub mod compare;
pub mod decide;
pub mod dependence;
pub mod error;
pub mod importance;
pub mod joint;
pub mod kernels;
pub mod metrics;
pub mod pair;
pub mod parts;
pub mod performance;
pub mod profile;
pub mod row;
pub mod row_digest;
pub mod segments;
pub mod special;
pub mod states;
pub mod statistics;
pub mod tables;
pub mod value;
pub mod weights;

pub use error::{Error, Result};
