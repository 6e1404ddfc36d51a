//! Two-sample chi-square test of homogeneity.

use super::table::Table;
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join};
use crate::pair::Pair;

/// Pearson's statistic of the 2 x k table of both samples, without continuity correction: the
/// reference is a sample too. New values are one cell, hash cells are cells, missing is left out.
pub const STATISTIC: Statistic = Statistic {
    name: "chi_square",
    definition: "chi_square/2xk-homogeneity/v1",
    summary: "Pearson's chi-square of homogeneity of both samples over categories",
    source: "Pearson (1911); scipy.stats.chi2_contingency(correction=False)",
    notes: "new values one cell, hash cells are cells, missing left out, no continuity correction; p: chi-square \
            with k - 1 degrees of freedom, or, where a cell is expected to hold fewer than 8 rows of a side, Pearson's \
            type III with the moments over all splits of the rows, new values apart; no interval: the value grows \
            with the rows, total_variation is the effect size",
    kinds: Kinds::Categorical,
    range: (0.0, f64::INFINITY),
    unit: "chi-square",
    null: Some("chi-square-homogeneity"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let table = Table::new(pair, false)?;
    let value = table.chi_square();
    let df = (table.len() - 1) as f64;
    let null = table.null(table.inflation(), false, term(&table));
    let mut outcome = Outcome::exact(value, (table.n, table.m));
    outcome.value_if_no_change = Some(null.mean);
    outcome.pvalue = Some(table.pvalue(value, null));
    outcome.message = join([
        Some(format!("{df} degrees of freedom")),
        table.pooled_note(),
    ]);
    table.depends(&mut outcome);
    Ok(outcome)
}

/// What a cell adds to Pearson's statistic.
pub(super) fn term(table: &Table) -> impl Fn(f64, f64, f64) -> f64 + use<> {
    let (n, m) = (table.n as f64, table.m as f64);
    move |a, b, _| {
        let d = a / n - b / m;
        d * d * (n * (m / (a + b)))
    }
}
