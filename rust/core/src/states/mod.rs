//! States: canonical commutative monoids, one per question and column.

pub mod counts;
pub mod distinct;
pub mod exact_sum;
pub mod key_histogram;
pub mod moments;
