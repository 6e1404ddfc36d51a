//! Loops over slices: values in, numbers out, nulls gone before the loop.

pub mod key;
pub mod summary;

/// Values a kernel handles at a time: small enough to stay in the first-level cache, and the most
/// that [`crate::states::exact_sum::add_block`] sums without rounding.
pub const BLOCK: usize = 512;
