//! Total variation distance.

use super::table::Table;
use super::{Context, Kinds, NotApplicable, Outcome, Statistic, join, share};
use crate::pair::Pair;

/// `(1/2) sum |p - q|`: at least this share of rows changed cell.
///
/// Categories: values, hash cells and new values, missing left to `missing_rate`; a hash cell can
/// hide at most the smaller of its two masses, which is the upper bound. Ordered columns: coarse
/// cells, missing, -inf and +inf. When nothing changed the differences are normal, so that their
/// absolute sum has the moments of folded normals; it is taken for a chi with these. Cells of which a side is
/// expected to hold fewer than 8 rows have the moments of all splits of their rows (hypergeometric), new
/// values by hash cell. With blocks, p is that of Rao and Scott's test of homogeneity, or this one where
/// cells hold few rows and it is larger.
pub const STATISTIC: Statistic = Statistic {
    name: "total_variation",
    definition: "total_variation/v1",
    summary: "half the sum of differences of shares: at least this share of rows changed cell",
    source: "Levin, Peres, Wilmer (2017), section 4.1; null from Leone, Nelson and Nottingham (1961)",
    notes: "categories without missing, hash cells bounded, or the cells of psi; p: mean and variance of \
            folded normals, as a chi, and of all splits of the rows of a cell that holds a few; interval: the same, along the ray of the observed differences",
    kinds: Kinds::Any,
    range: (0.0, 1.0),
    unit: "share",
    null: Some("folded-normal-moments"),
    compute,
    default_tolerance: Some((0.05, 0.10)),
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let table = Table::new(pair, matches!(pair, Pair::Numeric(_)))?;
    let (n, m) = (table.n, table.m);
    let twice: u128 = table.cells.iter().map(|c| table.difference(c)).sum();
    let hidden: u128 = table
        .cells
        .iter()
        .filter(|c| c.is_pooled())
        .map(|c| {
            (u128::from(c.reference) * u128::from(m)).min(u128::from(c.current) * u128::from(n))
        })
        .sum();
    let value = 0.5 * share(twice, n, m);
    let high = value + share(hidden, n, m);
    let mut outcome = Outcome::bounded(value, value, high, STATISTIC.range, (n, m));
    if hidden > 0 {
        outcome.bound_low = super::outward(value, -1.0);
    }
    outcome.value_if_no_change = Some(table.total_variation_if_no_change());
    let bounds = (outcome.bound_low, outcome.bound_high);
    let interval = table.folded(bounds, STATISTIC.range);
    let own = interval.tolerance_pvalue(0.0, None);
    outcome.pvalue = Some(match table.homogeneity() {
        // That test knows no cells of few rows.
        Some(p) if table.is_sparse() => p.max(own),
        Some(p) => p,
        None => own,
    });
    outcome.message = join([table.pooled_note()]);
    table.depends(&mut outcome);
    Ok(outcome.with_interval(interval, context))
}
