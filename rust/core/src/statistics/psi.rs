//! Population stability index.

use super::table::{Counted, Table};
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, sum};
use crate::pair::Pair;

/// `sum (q - p) ln(q / p)` in nats over 10 near-equal-mass cells of the reference (or categories,
/// hash cells and new values), missing, -inf and +inf; cells empty on both sides are left out, and
/// 1/2 is added to every count kept.
///
/// The number is defined on its partition, so it is exact. Under no change it is `(1/n + 1/m)`
/// times a chi-square with `k - 1` degrees of freedom. Interval: `[psi - bias - z se, psi + z se]`
/// with `bias = (k - 1)(1/n + 1/m)` and `se^2 = 2 (k - 1)(1/n + 1/m)^2 +` the delta-method variance.
pub const STATISTIC: Statistic = Statistic {
    name: "psi",
    definition: "psi/10q-special-prior.5/v1",
    summary: "population stability index (Jeffreys divergence) on 10 cells of the reference, or on categories",
    source: "Jeffreys (1946); null from Yurdakul (2018), theorem 3.1",
    notes: "10 near-equal-mass cells of the reference (fewer below 50 rows a cell) or categories; missing and \
            infinities are cells, cells empty on both sides left out, prior 1/2 on every cell kept; p: psi over \
            1/n + 1/m is chi-square with k - 1 degrees of freedom, or, where a cell is expected to hold fewer than 8 \
            rows of a side, Pearson's type III with the moments over all splits of the rows; interval: delta method, bias taken off; alias \
            csi",
    kinds: Kinds::Any,
    range: (0.0, f64::INFINITY),
    unit: "nats",
    null: Some("yurdakul-chi-square"),
    compute,
    default_tolerance: Some((0.10, 0.25)),
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let table = Table::new(pair, true)?;
    let k = table.len() as u64;
    // Twice the counts with their prior, so that everything stays integer.
    let totals = (
        2 * u128::from(table.n) + u128::from(k),
        2 * u128::from(table.m) + u128::from(k),
    );
    let exact = |cell: &Counted| {
        let (a, b) = (
            2 * u128::from(cell.reference) + 1,
            2 * u128::from(cell.current) + 1,
        );
        let (x, y) = (a * totals.1, b * totals.0);
        let difference = x.abs_diff(y) as f64;
        // |q - p| ln(larger / smaller)
        difference / (totals.0 as f64 * totals.1 as f64) * libm::log1p(difference / x.min(y) as f64)
    };
    let (n, m) = table.worth();
    let smooth = |p: f64, q: f64| {
        (
            (p * n + 0.5) / (n + 0.5 * k as f64),
            (q * m + 0.5) / (m + 0.5 * k as f64),
        )
    };
    let weighed = table.scale != (1.0, 1.0);
    let value = sum(table.cells.iter().map(|cell| {
        if !weighed {
            return exact(cell);
        }
        let (p, q) = table.shares(cell);
        let (p, q) = smooth(p, q);
        let difference = (p - q).abs();
        difference * libm::log1p(difference / p.min(q))
    }));
    let null = table.null(table.inverse_rows(), true, |a, b, k| {
        let (p, q) = ((a + 0.5) / (n + 0.5 * k), (b + 0.5) / (m + 0.5 * k));
        let difference = (p - q).abs();
        difference * libm::log1p(difference / p.min(q))
    });
    let gradient = |p: f64, q: f64| {
        let (p, q) = smooth(p, q);
        let log = libm::log(p / q);
        (log - q / p, -log - p / q)
    };
    let delta = table.delta_variance(gradient);
    // What the prior takes off where a side holds few rows: the value with a tenth of it.
    let less = sum(table.cells.iter().map(|cell| {
        let (p, q) = table.shares(cell);
        let share = |p: f64, rows: f64| (p * rows + 0.05) / (rows + 0.05 * k as f64);
        let (p, q) = (share(p, n), share(q, m));
        (p - q) * libm::log(p / q)
    }));
    let null = null.opened(less - value);
    let mut outcome = Outcome::exact(value, (table.n, table.m));
    let sides = pair.sides();
    if weighed || sides.0.rounding() + sides.1.rounding() > 0.0 {
        outcome.loosen(table.moved(pair, gradient), STATISTIC.range);
    }
    outcome.value_if_no_change = Some(null.mean);
    outcome.pvalue = Some(table.pvalue(value, null));
    let mismatch = table.support_mismatch();
    outcome.support_mismatch = mismatch.is_some();
    outcome.message = join([mismatch, table.pooled_note()]);
    table.depends(&mut outcome);
    let bounds = (outcome.bound_low, outcome.bound_high);
    let interval = table.quadratic(bounds, null, delta, false, STATISTIC.range);
    Ok(outcome.with_interval(interval, context))
}
