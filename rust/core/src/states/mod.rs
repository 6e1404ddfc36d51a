//! States: canonical commutative monoids, one per question and column.

pub mod blocks;
pub mod categories;
pub mod counts;
pub mod distinct;
pub mod exact_sum;
pub mod grid;
pub mod key_histogram;
pub mod keys;
pub mod moments;
pub mod refine;
pub mod weighed;
