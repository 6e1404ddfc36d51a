//! Energy distance.

use super::wasserstein::rectangle;
use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic, Steps, outward, sum};
use crate::pair::Pair;
use crate::row::Exactness;

/// `sqrt(2 * integral of (F - G)^2)`, in the square root of the column's unit.
///
/// Finite values only. Inside a cell the mean of `h = F - G` follows from the sums of offsets and its
/// range from the counts; the mean of `h^2` is at least the square of the mean, and at most the chord
/// of the square over the range. The value is the lower sum. The distance is a norm, so one row moves
/// it by at most its own: `sqrt(2 * integral of F(1-F)/n + G(1-G)/m)` bounds the mean excess and the
/// standard error (Efron and Stein 1981), and the interval takes both.
pub const STATISTIC: Statistic = Statistic {
    name: "energy",
    definition: "energy/sqrt/v1",
    summary: "energy distance: root of twice the integral of the squared difference of the distribution functions",
    source: "Szekely and Rizzo (2013), equation 2.5; scipy.stats.energy_distance",
    notes: "finite values, ties exact; interval: the norm's own scale, conservative; no p-value: \
            its null depends on the distribution",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "root value",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    distance(pair, 1.0, context)
}

/// The distance of values divided by `scale` (positive and finite).
pub(super) fn distance(
    pair: &Pair,
    scale: f64,
    context: &Context,
) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let (n, m) = (steps.n as f64, steps.m as f64);
    let worth = steps.worth();
    // Largest `F(1-F)/n + G(1-G)/m` between two places, and the same of the pooled sample.
    let spread = |a: (u64, u64), b: (u64, u64)| {
        peak(a.0 as f64 / n, b.0 as f64 / n) / worth.0
            + peak(a.1 as f64 / m, b.1 as f64 / m) / worth.1
    };
    let pooled = |a: (u64, u64), b: (u64, u64)| {
        let h = |x: (u64, u64)| steps.pool(x.0, x.1) / (worth.0 + worth.1);
        peak(h(a), h(b)) * steps.inverse_rows()
    };
    let (mut low, mut high, mut error, mut null) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // A factor keeps sums over the widest and the narrowest columns in range; `root` is its root.
    let low_end = steps.pair.cells.first().map_or(0.0, |c| c.low);
    let high_end = steps.pair.cells.last().map_or(0.0, |c| c.high);
    let reach = high_end - low_end;
    let root = if reach > 1e300 {
        libm::scalbn(1.0, -10)
    } else if reach < 1e-200 {
        libm::scalbn(1.0, 300)
    } else {
        1.0
    };
    let area = |from, to, height: f64| rectangle(from, to, root * root * height);
    let mut exact = true;
    let mut previous: Option<f64> = None;
    for step in steps.iter() {
        let cell = step.cell;
        if let Some(end) = previous {
            let h = steps.gap(step.left.0, step.left.1);
            let square = area(end, cell.low, h * h);
            low.push(square);
            high.push(square);
            error.push(area(end, cell.low, spread(step.left, step.left)));
            null.push(area(end, cell.low, pooled(step.left, step.left)));
        }
        previous = Some(cell.high);
        let width = cell.high - cell.low;
        if width <= 0.0 || width.is_nan() {
            continue;
        }
        exact = false;
        let across = |height| area(cell.low, cell.high, height);
        error.push(across(spread(step.left, step.right)));
        null.push(across(pooled(step.left, step.right)));
        let (least, most) = steps.gaps(step.left, step.right);
        let end = steps.gap(step.right.0, step.right.1);
        let offsets = (cell.offset_reference / n, cell.offset_current / m);
        let slack = (cell.offset_error.abs() * (1.0 / n + 1.0 / m)
            + 8.0 * f64::EPSILON * (width * end.abs() + offsets.0.abs() + offsets.1.abs()))
            / width;
        let mean = end - (offsets.0 - offsets.1) / width;
        if mean.is_finite() && slack.is_finite() {
            let near = (mean.abs() - slack).max(0.0);
            low.push(across(near * near));
            let chord = |x: f64| (least + most) * x - least * most;
            let (a, b) = (
                (mean - slack).clamp(least, most),
                (mean + slack).clamp(least, most),
            );
            high.push(across(chord(a).max(chord(b)).max(near * near)));
        } else {
            let near = least.max(-most).max(0.0);
            low.push(across(near * near));
            high.push(across((least * least).max(most * most)));
        }
    }
    let norm = |area: f64| libm::sqrt(2.0 * (area.max(0.0) / scale)) / root;
    let (low, high) = (sum(low), sum(high));
    let value = norm(low);
    let mut outcome = Outcome::exact(value, (steps.n, steps.m));
    // Places rounded by half of it move the area by their share of the variation of h^2, at most 4.
    let rounding = 2.0 * steps.rounding() * (root * root);
    if !exact || rounding > 0.0 {
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = outward(norm(low - rounding), -1.0).max(0.0);
        outcome.bound_high = outward(norm(high + rounding).max(value), 1.0);
    }
    outcome.value_if_no_change = Some(norm(sum(null)));
    outcome.message = steps.left_out();
    let error = norm(sum(error));
    if error.is_finite() && outcome.bound_high.is_finite() {
        let interval = Interval::Normal {
            bounds: (outcome.bound_low, outcome.bound_high),
            bias: error,
            se: error,
            comparisons: 1,
            root: false,
            range: STATISTIC.range,
        };
        outcome = outcome.with_interval(interval, context);
    }
    Ok(outcome)
}

/// Largest `x (1 - x)` for `x` in `[low, high]`.
fn peak(low: f64, high: f64) -> f64 {
    if low <= 0.5 && high >= 0.5 {
        return 0.25;
    }
    (low * (1.0 - low)).max(high * (1.0 - high))
}
