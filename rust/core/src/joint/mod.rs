//! Questions about rows as a whole: whether the joint distribution changed.
//!
//! These take arrays, frames or row samples, never profiles: marginal states cannot answer them. Rows are
//! exchangeable units of the tests, or blocks of rows are, where rows depend on each other.

pub mod energy;
pub mod linear;
pub mod mmd;
pub mod pca;
mod permute;
pub(crate) mod random;
pub mod sample;
mod table;

pub use table::{Column, MISSING, Samples, Scaling};

use permute::Found;
use table::Units;

/// What a joint statistic means; its computation has arguments of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Name.
    pub name: &'static str,
    /// Versioned definition; any change of a number changes it.
    pub definition: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Paper and equation.
    pub source: &'static str,
    /// What the definition decides.
    pub notes: &'static str,
    /// Smallest and largest value possible.
    pub range: (f64, f64),
    /// Unit of the value.
    pub unit: &'static str,
    /// Name of the null and method of the p-value.
    pub null: &'static str,
}

/// Out-of-fold test of a classifier: it is trained by a library, outside.
pub const CLASSIFIER_TEST: Definition = Definition {
    name: "classifier_test",
    definition: "classifier_test/progressive-auc/v1",
    summary: "area under the ROC curve of a classifier that tells current rows from those of the reference",
    source: "Lopez-Paz and Oquab (2017); progressive folds: Blum, Kalai and Langford (1999)",
    notes: "rows, or whole blocks, are shuffled by a keyed generator into folds, each sample on its own; every fold \
            but the first is scored by a model trained on the folds before it, so that no row was seen by the model \
            that scores it and, without change, no fold's area depends on its own labels: cross-validation, where \
            each fold also trains the models of the others, rejects 13 to 18 % at 5 %; value: mean of the folds' \
            areas, weighted by pairs of rows; interval: DeLong's variance of each fold (of blocks where given) and \
            Student's quantile; p: one-sided, by the variance of ranks without change, ties included, or by \
            the blocks",
    range: (0.0, 1.0),
    unit: "share",
    null: "rank-sum-by-fold",
};

/// Every joint statistic, in ascending order of name.
pub fn definitions() -> [&'static Definition; 4] {
    [
        &CLASSIFIER_TEST,
        &energy::DEFINITION,
        &mmd::DEFINITION,
        &pca::DEFINITION,
    ]
}

/// The answer of a joint statistic.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The number.
    pub value: f64,
    /// p-value under the definition's null.
    pub pvalue: Option<f64>,
    /// Interval.
    pub ci: Option<(f64, f64)>,
    /// Value expected without change.
    pub value_if_no_change: Option<f64>,
    /// `iid`, or `block` where blocks were given.
    pub variance: &'static str,
    /// Rows of reference and current sample.
    pub rows: (usize, usize),
    /// Independent units on each side: rows, or blocks.
    pub units: (usize, usize),
    /// What a reader must know.
    pub message: Option<String>,
    /// Numbers that belong to the computation, by name.
    pub details: Vec<(&'static str, f64)>,
}

impl Answer {
    fn of_permutations(
        found: Found,
        samples: &Samples,
        units: &Units,
        message: Option<String>,
        details: Vec<(&'static str, f64)>,
    ) -> Self {
        Answer {
            value: found.value,
            pvalue: found.pvalue,
            ci: None,
            value_if_no_change: found.expected,
            variance: units.variance(),
            rows: (samples.n, samples.m),
            units: units.count,
            message,
            details,
        }
    }
}
