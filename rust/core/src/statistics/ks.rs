//! Two-sample Kolmogorov-Smirnov distance.

use super::table::Table;
use super::{
    Context, Interval, Kinds, Noise, NotApplicable, Outcome, RAO_SCOTT, Statistic, Steps,
    clustered, cross, outward, share,
};
use crate::pair::Pair;
use crate::special::kolmogorov_sf;

/// The largest difference of the two distribution functions: at least this share of rows moved.
///
/// Infinities are ordered as values; null and NaN are left to `missing_rate`. The value is attained
/// at a cell edge. Inside a cell that holds several values, `F - G` is at most `F(right) - G(left)`,
/// so the certificate is never wider than the smaller of the cell's two masses. The p-value is the
/// limit at the attained distance, hence the largest over the certificate. With blocks, rows are
/// divided by the design effect where the variance of `F - G` is largest, and p is that of Rao and
/// Scott's test of homogeneity on the coarse cells.
pub const STATISTIC: Statistic = Statistic {
    name: "ks",
    definition: "ks/v1",
    summary: "largest difference of the distribution functions: at least this share of rows moved",
    source: "Smirnov (1939); interval from Massart (1990) and McDiarmid (1989)",
    notes: "infinities are values; ties exact; p: Kolmogorov's limit, conservative with ties",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "share",
    null: Some("kolmogorov-limit"),
    compute,
    default_tolerance: Some((0.05, 0.10)),
    centre: None,
};

/// Mean of the Kolmogorov distribution, `sqrt(pi / 2) ln 2`.
const KOLMOGOROV_MEAN: f64 = 0.868_730_778_681_592_8;

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, true)?;
    let (n, m) = (steps.n, steps.m);
    let mut attained = cross(
        steps.pair.reference.neg_inf,
        n,
        steps.pair.current.neg_inf,
        m,
    );
    let mut highest = attained;
    for step in steps.iter() {
        attained = attained.max(cross(step.right.0, n, step.right.1, m));
        if !step.cell.single {
            let reference_first = (u128::from(step.right.0) * u128::from(m))
                .saturating_sub(u128::from(step.left.1) * u128::from(n));
            let current_first = (u128::from(step.right.1) * u128::from(n))
                .saturating_sub(u128::from(step.left.0) * u128::from(m));
            highest = highest.max(reference_first).max(current_first);
        }
    }
    let value = share(attained, n, m);
    let high = share(highest.max(attained), n, m);
    let mut outcome = Outcome::bounded(value, value, high, STATISTIC.range, (n, m));
    if highest > attained {
        outcome.bound_low = outward(value, -1.0);
    }
    let design = steps.design();
    let rows = design.map_or(steps.inverse_rows(), |(_, d)| d.inverse_rows((n, m)));
    outcome.value_if_no_change = Some((KOLMOGOROV_MEAN * libm::sqrt(rows)).min(1.0));
    outcome.pvalue = Some(kolmogorov_sf(value / libm::sqrt(rows)));
    if let Some((blocked, d)) = design {
        let homogeneity = Table::new(pair, false)?.homogeneity();
        let null = homogeneity.map(|_| RAO_SCOTT);
        outcome.pvalue = homogeneity.or(outcome.pvalue);
        outcome.depends(blocked, d.effective((n, m)), null);
    }
    let bounds = (outcome.bound_low, outcome.bound_high);
    let interval = Interval::BoundedDifference {
        bounds,
        noise: Noise::Kolmogorov,
        inverse_rows: rows,
    };
    Ok(outcome.with_interval(clustered(interval, design.as_ref().map(|d| &d.1)), context))
}
