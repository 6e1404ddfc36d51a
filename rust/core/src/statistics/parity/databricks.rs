//! Databricks Lakehouse Monitoring: the distances of its drift table that their names define.

use super::{categories, largest_difference};
use crate::pair::Pair;
use crate::statistics::{Context, Kinds, NotApplicable, Outcome, Statistic, sum};

/// Total variation distance of categories.
pub const TV_DISTANCE: Statistic = Statistic {
    name: "databricks.tv_distance",
    definition: "databricks.tv_distance/2025-drift-table/v1",
    summary: "total variation distance of categories, column tv_distance of Databricks' drift table",
    source: "Databricks Lakehouse Monitoring, drift metrics table (documentation; not run here)",
    notes: "values one by one; its numeric distances have no documented bins and are not reproduced",
    kinds: Kinds::Categorical,
    range: (0.0, 1.0),
    unit: "share",
    null: None,
    compute: tv_distance,
    default_tolerance: None,
    centre: None,
};

/// Largest difference of the shares of one category.
pub const L_INFINITY_DISTANCE: Statistic = Statistic {
    name: "databricks.l_infinity_distance",
    definition: "databricks.l_infinity_distance/2025-drift-table/v1",
    summary: "largest difference of the shares of one category, column l_infinity_distance of Databricks' drift table",
    notes: "values one by one",
    compute: largest_difference,
    ..TV_DISTANCE
};

fn tv_distance(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let shares = super::shares(&counts, n, m);
    let value = 0.5 * sum(shares.iter().map(|(p, q)| (p - q).abs()));
    Ok(Outcome::exact(value.min(1.0), (n, m)))
}
