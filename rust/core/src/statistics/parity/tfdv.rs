//! TensorFlow Data Validation 1.21, categorical features.

use super::{categories, jensen, largest_difference, shares};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic};
use core::f64::consts::LN_2;

/// Jensen-Shannon divergence in bits.
pub const JENSEN_SHANNON: Statistic = Statistic {
    name: "tfdv.jensen_shannon",
    definition: "tfdv.jensen_shannon/1.21-categorical/v1",
    summary: "Jensen-Shannon divergence of categories as TensorFlow Data Validation computes it",
    source: "TensorFlow Data Validation 1.21, jensen_shannon_divergence of value counts",
    notes: "the divergence, not its root; base 2; values one by one; numbers, which it cuts at the union of two \
            sets of bins, are not reproduced",
    kinds: Kinds::Categorical,
    range: (0.0, 1.0),
    unit: "bits",
    null: None,
    compute: jensen_shannon,
    default_tolerance: None,
    centre: None,
};

/// Largest difference of the shares of one category.
pub const L_INFINITY: Statistic = Statistic {
    name: "tfdv.l_infinity",
    definition: "tfdv.l_infinity/1.21/v1",
    summary: "largest difference of the shares of one category as TensorFlow Data Validation computes it",
    source: "TensorFlow Data Validation 1.21, infinity_norm of value counts",
    notes: "values one by one",
    unit: "share",
    compute: largest_difference,
    ..JENSEN_SHANNON
};

fn jensen_shannon(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let value = (jensen(&shares(&counts, n, m)) / LN_2).clamp(0.0, 1.0);
    Ok(Outcome::exact(value, (n, m)))
}
