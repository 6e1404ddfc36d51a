//! Kullback-Leibler divergence.

use super::table::{Counted, Table};
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, sum};
use crate::pair::Pair;
use crate::special::entropy_term;

/// `sum p ln(p / q)` in nats, `p` the shares of the reference and `q` those of the current sample: the
/// order of `scipy.stats.entropy(p, q)`, on the cells of `psi` with its prior of 1/2.
///
/// Summed as `sum q f(p / q - 1)` with `f(u) = (1 + u) ln(1 + u) - u >= 0`, so nothing cancels. Under no
/// change twice the number behaves as PSI does, which gives null and interval.
pub const STATISTIC: Statistic = Statistic {
    name: "kullback_leibler",
    definition: "kullback_leibler/reference-to-current-nats-10q-special-prior.5/v1",
    summary: "Kullback-Leibler divergence of the current sample from the reference on the cells of psi",
    source: "Kullback and Leibler (1951); scipy.stats.entropy(reference, current); null as for psi, PSI ~ 2 KL",
    notes: "sum of reference ln(reference / current); cells of psi: missing and infinities are cells, prior \
            1/2 on every cell kept; p: 2 KL over 1/n + 1/m is chi-square with k - 1 degrees of freedom, or as psi where cells hold few rows",
    kinds: Kinds::Any,
    range: (0.0, f64::INFINITY),
    unit: "nats",
    null: Some("yurdakul-chi-square"),
    compute,
    default_tolerance: None,
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
        let size = x.abs_diff(y) as f64 / y as f64;
        let relative = if x < y { -size } else { size };
        b as f64 / totals.1 as f64 * entropy_term(relative)
    };
    let (n, m) = table.worth();
    let smooth = |share: f64, rows: f64| (share * rows + 0.5) / (rows + 0.5 * k as f64);
    let weighed = table.scale != (1.0, 1.0);
    let value = sum(table.cells.iter().map(|cell| {
        if !weighed {
            return exact(cell);
        }
        let (p, q) = table.shares(cell);
        let (p, q) = (smooth(p, n), smooth(q, m));
        q * entropy_term((p - q) / q)
    }));
    let null = table.null(0.5 * table.inverse_rows(), true, |a, b, k| {
        let (p, q) = ((a + 0.5) / (n + 0.5 * k), (b + 0.5) / (m + 0.5 * k));
        q * entropy_term((p - q) / q)
    });
    let gradient = |p: f64, q: f64| {
        let (p, q) = (smooth(p, n), smooth(q, m));
        (libm::log(p / q), -p / q)
    };
    let delta = table.delta_variance(gradient);
    // What the prior takes off where a side holds few rows: the value with a tenth of it.
    let less = sum(table.cells.iter().map(|cell| {
        let (p, q) = table.shares(cell);
        let share = |p: f64, rows: f64| (p * rows + 0.05) / (rows + 0.05 * k as f64);
        let (p, q) = (share(p, n), share(q, m));
        q * entropy_term((p - q) / q)
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
