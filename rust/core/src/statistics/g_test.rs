//! Two-sample likelihood-ratio test of homogeneity.

use super::table::Table;
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, sum};
use crate::pair::Pair;
use crate::special::entropy_term;

/// `G = 2 sum O ln(O / E)` of the 2 x k table of both samples: the reference is a sample too.
///
/// Summed as `2 sum E f(O / E - 1)` with `f(u) = (1 + u) ln(1 + u) - u >= 0`, so nothing cancels. New
/// values are one cell, hash cells are cells, missing is left out.
pub const STATISTIC: Statistic = Statistic {
    name: "g_test",
    definition: "g_test/2xk-homogeneity/v1",
    summary: "likelihood-ratio test (G) of homogeneity of both samples over categories",
    source: "Wilks (1938); scipy.stats.chi2_contingency(lambda_='log-likelihood', correction=False)",
    notes: "new values one cell, missing left out, no continuity correction; p: as chi_square; no interval: the value grows with the rows, total_variation is the effect size",
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
    let (n, m) = (table.n as f64, table.m as f64);
    let worth = table.worth();
    let value = 2.0
        * sum(table.cells.iter().flat_map(|cell| {
            let both = table.pool(cell);
            // (a m - b n) over n (a + b) and m (a + b): O / E - 1 of either side, up to sign.
            let size = table.difference(cell) as f64;
            let more = u128::from(cell.reference) * u128::from(table.m)
                >= u128::from(cell.current) * u128::from(table.n);
            let shift = if more { size } else { -size };
            let (s, t) = table.scale;
            let sides = [
                (cell.reference, n, shift * t, worth.0),
                (cell.current, m, -shift * s, worth.1),
            ];
            sides.map(|(count, units, shift, rows)| {
                // An empty cell is exactly -1.
                let relative = if count == 0 {
                    -1.0
                } else {
                    shift / units / both
                };
                rows / (worth.0 + worth.1) * both * entropy_term(relative)
            })
        }));
    let df = (table.len() - 1) as f64;
    let null = table.null(table.inflation(), false, |a, b, _| {
        let both = (a + b) / (n + m);
        // Both sides of the sum above, in counts.
        let side = |count: f64, rows: f64| {
            let expected = rows * both;
            expected * entropy_term((count - expected) / expected)
        };
        2.0 * (side(a, n) + side(b, m))
    });
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
