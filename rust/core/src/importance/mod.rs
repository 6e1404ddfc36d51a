//! Exact permutation importance of tree ensembles: every pair of row and donor, in one pass.

pub mod additive;
pub mod cells;
pub mod drift;
pub mod exact;
pub mod joint;
pub mod losses;
pub mod multinomial;
pub mod permutation;
pub mod permuted;
pub mod race;
pub mod readers;
pub mod support;
pub mod trees;
pub mod u_statistic;
pub mod weight;
