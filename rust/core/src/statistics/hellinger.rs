//! Hellinger distance.

use super::table::Table;
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, sum};
use crate::pair::Pair;

/// `sqrt((1/2) sum (sqrt p - sqrt q)^2)` on the cells of `psi` without a prior.
///
/// Eight times its square behaves like PSI for small changes, which gives null and interval. A hash
/// cell may hide disjoint values, which is the upper bound.
pub const STATISTIC: Statistic = Statistic {
    name: "hellinger",
    definition: "hellinger/10q-special/v1",
    summary: "Hellinger distance on the cells of psi",
    source: "Hellinger (1909); null as for psi, PSI ~ 8 H^2",
    notes: "cells of psi, no prior; p: 8 H^2 over 1/n + 1/m is chi-square with k - 1 degrees of freedom, or, where a cell is \
            expected to hold fewer than 8 rows of a side, Pearson's type III with the moments over all splits of the \
            rows; interval: delta method",
    kinds: Kinds::Any,
    range: (0.0, 1.0),
    unit: "distance",
    null: Some("yurdakul-chi-square"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let table = Table::new(pair, true)?;
    let squared = |worst: bool| {
        let terms = table.cells.iter().map(|cell| {
            let (p, q) = table.shares(cell);
            if worst && cell.is_pooled() {
                return 0.5 * (p + q);
            }
            // sqrt p - sqrt q = (p - q) / (sqrt p + sqrt q), free of cancellation
            let root = super::share(table.difference(cell), table.n, table.m)
                / (libm::sqrt(p) + libm::sqrt(q));
            0.5 * root * root
        });
        sum(terms).clamp(0.0, 1.0)
    };
    let (low, high) = (squared(false), squared(true));
    let (value, bound) = (libm::sqrt(low), libm::sqrt(high));
    let mut outcome = Outcome::bounded(value, value, bound, STATISTIC.range, (table.n, table.m));
    let (n, m) = (table.n as f64, table.m as f64);
    let null = table.null(table.inverse_rows() / 8.0, false, |a, b, _| {
        let (p, q) = (a / n, b / m);
        let root = libm::sqrt(p) - libm::sqrt(q);
        0.5 * root * root
    });
    let delta = table.delta_variance(|p, q| (-0.5 * libm::sqrt(q / p), -0.5 * libm::sqrt(p / q)));
    outcome.value_if_no_change = Some(libm::sqrt(null.mean).min(1.0));
    outcome.pvalue = Some(table.pvalue(low, null));
    outcome.message = join([table.pooled_note()]);
    table.depends(&mut outcome);
    let interval = table.quadratic(
        (
            outcome.bound_low * outcome.bound_low,
            outcome.bound_high * outcome.bound_high,
        ),
        null,
        delta,
        true,
        STATISTIC.range,
    );
    Ok(outcome.with_interval(interval, context))
}
