//! Jensen-Shannon distance.

use super::table::Table;
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, sum};
use crate::pair::Pair;
use crate::special::jensen_term;
use core::f64::consts::LN_2;

/// Square root of the Jensen-Shannon divergence in nats: `scipy.spatial.distance.jensenshannon`
/// with its natural logarithm, on the cells of `psi` without a prior.
///
/// Eight times the divergence behaves like PSI for small changes, which gives null and interval. A
/// hash cell may hide disjoint values, which is the upper bound.
pub const STATISTIC: Statistic = Statistic {
    name: "jensen_shannon",
    definition: "jensen_shannon/distance-nats-10q-special/v1",
    summary: "Jensen-Shannon distance (natural logarithm) on the cells of psi",
    source: "Lin (1991); Endres and Schindelin (2003); null as for psi, PSI ~ 8 JSD",
    notes: "cells of psi, no prior; p: 8 JSD over 1/n + 1/m is chi-square with k - 1 degrees of freedom, or, where a cell is \
            expected to hold fewer than 8 rows of a side, Pearson's type III with the moments over all splits of the \
            rows; interval: delta method",
    kinds: Kinds::Any,
    range: (0.0, 0.832_554_611_157_697_8),
    unit: "sqrt nats",
    null: Some("yurdakul-chi-square"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let table = Table::new(pair, true)?;
    let divergence = |worst: bool| {
        let terms = table.cells.iter().map(|cell| {
            let (p, q) = table.shares(cell);
            let term = if worst && cell.is_pooled() {
                LN_2
            } else {
                jensen_term(table.relative_difference(cell))
            };
            0.5 * (p + q) * term
        });
        sum(terms).clamp(0.0, LN_2)
    };
    let (low, high) = (divergence(false), divergence(true));
    let (value, bound) = (
        libm::sqrt(low).min(STATISTIC.range.1),
        libm::sqrt(high).min(STATISTIC.range.1),
    );
    let mut outcome = Outcome::bounded(value, value, bound, STATISTIC.range, (table.n, table.m));
    let (n, m) = (table.n as f64, table.m as f64);
    let null = table.null(table.inverse_rows() / 8.0, false, |a, b, _| {
        let (p, q) = (a / n, b / m);
        let both = p + q;
        if both > 0.0 {
            0.5 * both * jensen_term((p - q).abs() / both)
        } else {
            0.0
        }
    });
    let delta = table.delta_variance(|p, q| {
        let middle = 0.5 * (p + q);
        (0.5 * libm::log(p / middle), 0.5 * libm::log(q / middle))
    });
    outcome.value_if_no_change = Some(libm::sqrt(null.mean).min(STATISTIC.range.1));
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
