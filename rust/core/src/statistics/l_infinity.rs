//! Largest difference of shares.

use super::table::{Counted, Table};
use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic, join, share};
use crate::pair::Pair;

/// `max |p - q|` over the coarse cells (or categories, new values as one cell) and missing, -inf,
/// +inf. A hash cell can hold one value with all its mass on one side, which is the upper bound.
pub const STATISTIC: Statistic = Statistic {
    name: "l_infinity",
    definition: "l_infinity/v1",
    summary: "largest difference of the shares of one cell",
    source: "Chebyshev distance of the cell shares; interval: normal, Bonferroni along the observed differences",
    notes: "cells of psi: missing is a cell; interval: normal with a row more in and out of each cell, Bonferroni over \
            the cells in proportion to the observed differences; no p-value",
    kinds: Kinds::Any,
    range: (0.0, 1.0),
    unit: "share",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let table = Table::new(pair, true)?;
    let (n, m) = (table.n, table.m);
    let largest = |cells: &mut dyn Iterator<Item = &Counted>| {
        cells
            .max_by_key(|c| table.difference(c))
            .map(|c| (table.difference(c), c.label.clone()))
    };
    let (difference, label) =
        largest(&mut table.cells.iter().filter(|c| !c.is_pooled())).unwrap_or((0, String::new()));
    let value = share(difference, n, m);
    let high = table
        .cells
        .iter()
        .filter(|c| c.is_pooled())
        .map(|c| {
            let (p, q) = table.shares(c);
            p.max(q)
        })
        .fold(value, f64::max);
    // New values are one cell; those that share a hash cell with known ones belong to it too.
    let new = match pair {
        Pair::Categorical(p) if p.new_rows.1 > p.new_rows.0 => p.new_rows.1.min(m),
        _ => 0,
    };
    let high = high.max(share(u128::from(new) * u128::from(n), n, m));
    let mut outcome = Outcome::bounded(value, value, high, STATISTIC.range, (n, m));
    let at = (difference > 0).then(|| format!("largest at {label}"));
    outcome.message = join([at, table.pooled_note()]);
    table.depends(&mut outcome);
    let cell = |c: &Counted| {
        let (p, q) = table.shares(c);
        ((p - q).abs(), table.own_deviation(c))
    };
    let interval = Interval::LargestShare {
        bounds: (outcome.bound_low, outcome.bound_high),
        cells: table.cells.iter().map(cell).collect(),
    };
    Ok(outcome.with_interval(table.clustered(interval), context))
}
