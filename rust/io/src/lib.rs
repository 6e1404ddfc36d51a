//! Parquet and Arrow sources of tidegauge: pages in, states out.
#![doc = "\nNothing here knows Python; nothing in the core knows files."]

pub mod arrow;
pub mod error;
pub mod evidence;
pub mod meter;
pub mod parquet;
pub mod parts;
pub mod paths;
pub mod rle;
pub mod rows;
pub mod sample;
pub mod scan;
pub mod source;
pub mod stream;

pub use error::{Error, Result};
