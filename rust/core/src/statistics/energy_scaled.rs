//! Energy distance in units of the reference's spread.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, energy, wasserstein_scaled};
use crate::pair::Pair;

/// `energy` of the values divided by the reference's interquartile range, with the same rules as
/// `wasserstein_scaled` where there is no such range.
pub const STATISTIC: Statistic = Statistic {
    name: "energy_scaled",
    definition: "energy_scaled/iqr-or-sd/v1",
    summary: "energy over the root of the reference's interquartile range, free of units",
    source: "Szekely and Rizzo (2013)",
    notes: "as energy; by the standard deviation when the middle half of the reference is one value; 0 or \
            infinite when the reference is constant",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "root reference spread",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    wasserstein_scaled::scaled(pair, context, energy::distance, "energy", 0.5)
}
