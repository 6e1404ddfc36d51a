//! Ratio of rows.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, total};
use crate::pair::{Pair, Part};

/// Current rows over reference rows, missing ones included. Rows are counted, not sampled, so there
/// is no interval; a tolerance applies to the distance from 1.
pub const STATISTIC: Statistic = Statistic {
    name: "volume",
    definition: "volume/ratio/v1",
    summary: "current rows over reference rows",
    source: "ratio of counts",
    notes: "every row counts; no interval, no p-value",
    kinds: Kinds::Any,
    range: (0.0, f64::INFINITY),
    unit: "ratio",
    null: None,
    compute,
    default_tolerance: None,
    centre: Some(1.0),
};

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (r, c) = pair.sides();
    let n = total([r.rows], "reference", "row")?;
    // A row is one whatever its weight.
    let (a, b) = (r.rows_of(Part::All), c.rows_of(Part::All));
    let mut outcome = Outcome::exact(b as f64 / a as f64, (n, c.rows));
    outcome.message = Some(format!("{a} reference rows, {b} current rows"));
    Ok(outcome)
}
