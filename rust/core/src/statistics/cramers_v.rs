//! Cramer's V.

use super::table::Table;
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join};
use crate::pair::Pair;

/// Bias-corrected association between sample (reference or current) and category.
///
/// `sqrt(max(0, chi2/N - (k-1)/(N-1)) / min(r~ - 1, k~ - 1))`; the plain `sqrt(chi2/N)` is not
/// reported, it grows with the number of categories under no change. Interval: that of the
/// noncentral chi-square.
pub const STATISTIC: Statistic = Statistic {
    name: "cramers_v",
    definition: "cramers_v/bias-corrected/v1",
    summary: "bias-corrected Cramer's V of sample and category",
    source: "Bergsma (2013), equations 7-9",
    notes: "cells of chi_square; p as chi_square; interval: normal approximation of the noncentral chi-square",
    kinds: Kinds::Categorical,
    range: (0.0, 1.0),
    unit: "association",
    null: Some("chi-square-homogeneity"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let table = Table::new(pair, false)?;
    let chi_square = table.chi_square();
    let worth = table.worth();
    let (rows, df) = (worth.0 + worth.1, (table.len() - 1) as f64);
    // min(r - 1, k - 1) after correction, r = 2 samples
    let scale = (1.0 - 1.0 / (rows - 1.0)).min(df - df * df / (rows - 1.0));
    let excess = (chi_square / rows - df / (rows - 1.0)).max(0.0);
    let value = if scale > 0.0 {
        libm::sqrt(excess / scale).min(1.0)
    } else {
        0.0
    };
    let mut outcome = Outcome::exact(value, (table.n, table.m));
    let inflation = table.inflation();
    let null = table.null(inflation, false, super::chi_square::term(&table));
    // The correction is for cells of many rows.
    let left = (null.mean / rows - df / (rows - 1.0)).max(0.0);
    outcome.value_if_no_change = Some(if scale > 0.0 {
        libm::sqrt(left / scale).min(1.0)
    } else {
        0.0
    });
    outcome.pvalue = Some(table.pvalue(chi_square, null));
    outcome.message = join([table.pooled_note()]);
    table.depends(&mut outcome);
    if scale > 0.0 {
        // Before the correction: `rows scale V^2` is the chi-square.
        let unit = inflation / (rows * scale);
        let raw = chi_square / (rows * scale);
        let (n, m) = worth;
        let factor = n / rows * (m / rows) / scale;
        let delta = table.delta_variance(|p, q| {
            let r = (p - q) / (n / rows * p + m / rows * q);
            (
                factor * r * (2.0 - r * n / rows),
                factor * r * (-2.0 - r * m / rows),
            )
        });
        let null = null.scaled(unit / inflation);
        let interval = table.quadratic((raw, raw), null, delta, true, STATISTIC.range);
        outcome = outcome.with_interval(interval, context);
    }
    Ok(outcome)
}
