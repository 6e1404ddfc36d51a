//! Two-sample Kuiper distance.

use super::{Context, Interval, Kinds, Noise, NotApplicable, Outcome, Statistic, Steps, share};
use crate::pair::Pair;
use crate::special::kuiper_sf;

/// `V = max(F - G) + max(G - F)`: the largest difference of the shares of an interval of values.
///
/// Infinities are values. Both parts are attained at cell edges; inside a cell of several values they
/// are bounded as in `ks`, so the certificate is at most twice as wide. Interval as `ks`, with the
/// tail of Kuiper's limit.
pub const STATISTIC: Statistic = Statistic {
    name: "kuiper",
    definition: "kuiper/v1",
    summary: "largest difference of the shares of an interval of values, D+ plus D-",
    source: "Kuiper (1960)",
    notes: "infinities are values; ties exact; p: Kuiper's limit, conservative with ties",
    kinds: Kinds::Numeric,
    range: (0.0, 1.0),
    unit: "share",
    null: Some("kuiper-limit"),
    compute,
    default_tolerance: None,
    centre: None,
};

/// Mean of the limit: the range of a Brownian bridge, `sqrt(pi / 2)`.
const KUIPER_MEAN: f64 = 1.253_314_137_315_500_3;

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, true)?;
    let (n, m) = (steps.n, steps.m);
    // a / n - b / m over n m, 0 where it is negative.
    let excess = |a: u64, n: u64, b: u64, m: u64| {
        (u128::from(a) * u128::from(m)).saturating_sub(u128::from(b) * u128::from(n))
    };
    let (mut up, mut down, mut up_most, mut down_most) = (0, 0, 0, 0);
    for block in steps.blocks() {
        let (left, right) = (block.left, block.right);
        up = up.max(excess(right.0, n, right.1, m));
        down = down.max(excess(right.1, m, right.0, n));
        if !block.single {
            up_most = up_most.max(excess(right.0, n, left.1, m));
            down_most = down_most.max(excess(right.1, m, left.0, n));
        }
    }
    let value = share(up + down, n, m).min(1.0);
    let high = share(up.max(up_most) + down.max(down_most), n, m).min(1.0);
    let mut outcome = Outcome::bounded(value, value, high, STATISTIC.range, (n, m));
    if up_most > up || down_most > down {
        outcome.bound_low = super::outward(value, -1.0);
    }
    let rows = steps.inverse_rows();
    let mean = KUIPER_MEAN * libm::sqrt(rows);
    outcome.value_if_no_change = Some(mean.min(1.0));
    outcome.pvalue = Some(kuiper_sf(value / libm::sqrt(rows)));
    let bounds = (outcome.bound_low, outcome.bound_high);
    Ok(outcome.with_interval(
        Interval::BoundedDifference {
            bounds,
            noise: Noise::Kuiper,
            inverse_rows: rows,
        },
        context,
    ))
}
