//! Energy distance.

use super::curve::Curve;
use super::wasserstein::rectangle;
use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic, Steps, Total, outward};
use crate::pair::Pair;
use crate::row::Exactness;

/// `sqrt(2 * integral of (F - G)^2)`, in the square root of the column's unit.
///
/// Finite values only. Inside a cell the mean of `h = F - G` follows from the sums of offsets and its
/// range from the counts; the mean of `h^2` is at least the square of the mean, and at most the chord
/// of the square over the range. The value is the lower sum. When nothing changed, the squared distance
/// is a weighted sum of chi-squares with mean `2 c * integral of H(1-H)` and variance
/// `16 c^2 * integral over s < t of H(s)^2 (1-H(t))^2`, `c = 1/n + 1/m` and `H` of both samples together;
/// the interval takes the one chi-square of that mean and variance (Satterthwaite), with the variance of
/// its influence function, `4 * integral of h` from the row on, off the null.
pub const STATISTIC: Statistic = Statistic {
    name: "energy",
    definition: "energy/sqrt/v1",
    summary: "energy distance: root of twice the integral of the squared difference of the distribution functions",
    source: "Szekely and Rizzo (2013), equation 2.5; scipy.stats.energy_distance",
    notes: "finite values, ties exact; interval: noncentral chi-square of Satterthwaite's degrees of \
            freedom; no p-value: its null depends on the distribution",
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
    let design = steps.design();
    let unit = design.as_ref().map_or_else(
        || steps.inverse_rows(),
        |(_, d)| d.inverse_rows((steps.n, steps.m)),
    );
    // Both samples together, in the middle between two places.
    let worth = steps.worth();
    let both = |a: (u64, u64), b: (u64, u64)| {
        0.5 * (steps.pool(a.0, a.1) + steps.pool(b.0, b.1)) / (worth.0 + worth.1)
    };
    let (mut low, mut high, mut null) = (Total::default(), Total::default(), Total::default());
    let mut curve = Curve::default();
    // Integral of `H (1 - H)` in reaches of the column.
    let mut mean = 0.0;
    let kernel = |height: f64| (height * height, (1.0 - height) * (1.0 - height));
    // A factor keeps sums over the widest and the narrowest columns in range; `root` is its root.
    let (low_end, high_end) = steps.pair.cells.ends().unwrap_or_default();
    let reach = (high_end - low_end).min(f64::MAX);
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
            low.add(square);
            high.add(square);
            let height = both(step.left, step.left);
            null.add(area(end, cell.low, unit * height * (1.0 - height)));
            let length = cell.low / reach - end / reach;
            mean += length * height * (1.0 - height);
            curve.add(length, kernel(height), h, (0.0, 0.0), cell.coarse);
        }
        previous = Some(cell.high);
        let width = cell.high - cell.low;
        let rows = (cell.reference as f64 / n, cell.current as f64 / m);
        if width <= 0.0 || width.is_nan() {
            curve.add(0.0, (0.0, 0.0), 0.0, rows, cell.coarse);
            continue;
        }
        exact = false;
        let across = |height| area(cell.low, cell.high, height);
        let height = both(step.left, step.right);
        null.add(across(unit * height * (1.0 - height)));
        let middle =
            0.5 * (steps.gap(step.left.0, step.left.1) + steps.gap(step.right.0, step.right.1));
        let length = cell.high / reach - cell.low / reach;
        mean += length * height * (1.0 - height);
        curve.add(length, kernel(height), middle, rows, cell.coarse);
        let (least, most) = steps.gaps(step.left, step.right);
        let end = steps.gap(step.right.0, step.right.1);
        let offsets = (cell.offset_reference / n, cell.offset_current / m);
        let slack = (cell.offset_error.abs() * (1.0 / n + 1.0 / m)
            + 8.0 * f64::EPSILON * (width * end.abs() + offsets.0.abs() + offsets.1.abs()))
            / width;
        let mean = end - (offsets.0 - offsets.1) / width;
        if mean.is_finite() && slack.is_finite() {
            let near = (mean.abs() - slack).max(0.0);
            low.add(across(near * near));
            let chord = |x: f64| (least + most) * x - least * most;
            let (a, b) = (
                (mean - slack).clamp(least, most),
                (mean + slack).clamp(least, most),
            );
            high.add(across(chord(a).max(chord(b)).max(near * near)));
        } else {
            let near = least.max(-most).max(0.0);
            low.add(across(near * near));
            high.add(across((least * least).max(most * most)));
        }
    }
    let norm = |area: f64| libm::sqrt(2.0 * (area.max(0.0) / scale)) / root;
    let (low, high) = (low.get(), high.get());
    let value = norm(low);
    let mut outcome = Outcome::exact(value, (steps.n, steps.m));
    // Places rounded by half of it move the area by their share of the variation of h^2, at most 4.
    let rounding = 2.0 * steps.rounding() * (root * root);
    if !exact || rounding > 0.0 {
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = outward(norm(low - rounding), -1.0).max(0.0);
        outcome.bound_high = outward(norm(high + rounding).max(value), 1.0);
    }
    outcome.value_if_no_change = Some(norm(null.get()));
    outcome.message = steps.left_out();
    if let Some((blocked, d)) = &design {
        outcome.depends(blocked, d.effective((steps.n, steps.m)), None);
    }
    let squares = |x: f64| x * x;
    let bounds = (squares(outcome.bound_low), squares(outcome.bound_high));
    let bias = outcome.value_if_no_change.map_or(0.0, squares);
    if bias.is_finite() && bounds.1.is_finite() {
        let effect = design
            .as_ref()
            .map_or((1.0 / steps.scale.0, 1.0 / steps.scale.1), |(b, d)| {
                b.effect(|coarse| curve.score(coarse)).unwrap_or(d.effect)
            });
        let delta = 16.0 * curve.variance((effect.0 / n, effect.1 / m));
        // Twice the squared mean over the variance, when nothing changed.
        let df = 0.5 * squares(mean) / curve.kernel();
        // Blocks take as much from these degrees of freedom as from those of the coarse cells.
        let blocks = steps
            .pair
            .blocked
            .as_deref()
            .and_then(|b| b.homogeneity(false));
        let df = (df * blocks.map_or(1.0, |d| d.spread)).clamp(1.0, df.max(1.0));
        // The curve's unit is the reach of the column.
        let ratio = delta * df / (4.0 * bias / reach * scale * (value * value / reach * scale));
        let interval = Interval::Quadratic {
            bounds,
            bias,
            df,
            // No eigenvalue is above the root of the sum of their squares.
            ratio: ratio.max(libm::sqrt(df)),
            open: 0.0,
            root: true,
            range: STATISTIC.range,
        };
        let interval = super::clustered(interval, design.as_ref().map(|(_, d)| d));
        outcome = outcome.with_interval(interval, context);
    }
    Ok(outcome)
}
