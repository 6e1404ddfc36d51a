//! First Wasserstein distance.

use super::curve::Curve;
use super::folded::{self, Piece};
use super::{Context, Kinds, NORMAL_MEAN_ABS, NotApplicable, Outcome, Statistic, Steps, Total};
use crate::pair::Pair;
use crate::row::Exactness;

/// The area between the two distribution functions, in the unit of the column.
///
/// Finite values only. Inside a cell the signed area follows from the sum of offsets; the unsigned
/// one is at least its absolute value, and at most the chord of `|h|` over the range of
/// `h = F - G` there. The value is the lower sum. When nothing changed `|h|` is a folded normal
/// everywhere, so the area has their mean `sqrt(2/pi) * integral of sqrt(H(1-H)(1/n + 1/m))` and, by the
/// squared correlations, their variance; far off, the variance is that of the influence function, the
/// integral of the sign of `h` from the row on. The interval goes from the one to the other along the
/// ray of the observed `h`; beyond it, where chance may have hidden that all of `h` has one sign, to the
/// variance of the difference of the means.
pub const STATISTIC: Statistic = Statistic {
    name: "wasserstein",
    definition: "wasserstein/v1",
    summary: "area between the distribution functions: how far an average row moved",
    source: "Vallender (1974); interval: folded normals (Leone, Nelson and Nottingham 1961)",
    notes: "finite values, ties exact; interval: folded normals along the ray of the observed difference; no p-value",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "value",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    distance(pair, 1.0, context)
}

/// The distance divided by `scale` (positive and finite).
pub(super) fn distance(
    pair: &Pair,
    scale: f64,
    context: &Context,
) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let (n, m) = (steps.n as f64, steps.m as f64);
    let worth = steps.worth();
    // F - G as an integer over n m, rounded once.
    let gap = |x: (u64, u64), y: (u64, u64)| steps.gap(x.0, y.1);
    let design = steps.design().map(|(_, d)| d);
    let effect = design.map_or((1.0 / steps.scale.0, 1.0 / steps.scale.1), |d| d.effect);
    let deviation = |at: (u64, u64)| {
        let (f, g) = (at.0 as f64 / n, at.1 as f64 / m);
        libm::sqrt(effect.0 * f * (1.0 - f) / n + effect.1 * g * (1.0 - g) / m)
    };
    let pooled = |at: (u64, u64)| {
        let h = steps.pool(at.0, at.1) / (worth.0 + worth.1);
        libm::sqrt(h * (1.0 - h) * (effect.0 / n + effect.1 / m))
    };
    let (mut low, mut high, mut null) = (Total::default(), Total::default(), Total::default());
    let mut pieces = Pieces::new(steps.pair.cells.each().count());
    let mut curve = Curve::default();
    let kernel = |at: (u64, u64)| {
        let h = steps.pool(at.0, at.1) / (worth.0 + worth.1);
        let root = libm::sqrt(h * (1.0 - h));
        if root > 0.0 {
            (h * h / root, (1.0 - h) * (1.0 - h) / root)
        } else {
            (0.0, 0.0)
        }
    };
    let mut exact = true;
    let mut previous: Option<f64> = None;
    for step in steps.iter() {
        let cell = step.cell;
        if let Some(end) = previous {
            // Between cells both functions are constant.
            let area = rectangle(end, cell.low, gap(step.left, step.left).abs());
            low.add(area);
            high.add(area);
            let h = gap(step.left, step.left);
            let width = (cell.low - end) / scale;
            pieces.add(width, h.abs(), deviation(step.left));
            curve.add(width, kernel(step.left), signum(h), (0.0, 0.0), cell.coarse);
            null.add(rectangle(end, cell.low, pooled(step.left)));
        }
        previous = Some(cell.high);
        let width = cell.high - cell.low;
        let rows = (cell.reference as f64 / n, cell.current as f64 / m);
        if width <= 0.0 || width.is_nan() {
            curve.add(0.0, (0.0, 0.0), 0.0, rows, cell.coarse);
            continue;
        }
        exact = false;
        let across = |height| rectangle(cell.low, cell.high, height);
        null.add(across(pooled(step.left).max(pooled(step.right))));
        // Range of h = F - G inside the cell, and h at its end.
        let (least, most) = (gap(step.left, step.right), gap(step.right, step.left));
        let end = gap(step.right, step.right);
        let offsets = (cell.offset_reference / n, cell.offset_current / m);
        let slack = cell.offset_error.abs() * (1.0 / n + 1.0 / m)
            + 8.0 * f64::EPSILON * (width * end.abs() + offsets.0.abs() + offsets.1.abs());
        let area = width * end - (offsets.0 - offsets.1);
        let at = deviation(step.left).max(deviation(step.right));
        pieces.add(width / scale, (area / width).abs(), at);
        let middle = (
            step.left.0.midpoint(step.right.0),
            step.left.1.midpoint(step.right.1),
        );
        curve.add(
            width / scale,
            kernel(middle),
            signum(area),
            rows,
            cell.coarse,
        );
        if area.is_finite() && slack.is_finite() {
            low.add((area.abs() - slack).max(0.0));
            high.add(width * chord(area / width, most.max(0.0), -least.min(0.0)) + slack);
        } else {
            // Offsets beyond f64: what the range of h alone says.
            low.add(across(least.max(-most).max(0.0)));
            high.add(across(most.abs().max(least.abs())));
        }
    }
    let rounding = steps.rounding();
    let value = low.get() / scale;
    let mut outcome = Outcome::exact(value, (steps.n, steps.m));
    if !exact || rounding > 0.0 {
        let range = STATISTIC.range;
        outcome = Outcome::bounded(
            value,
            (value - rounding / scale).max(0.0),
            (high.get() / scale).max(value) + rounding / scale,
            range,
            (steps.n, steps.m),
        );
        outcome.bound_low = super::outward(value - rounding / scale, -1.0).max(0.0);
        outcome.exactness = Exactness::Certified;
        if outcome.bound_high == value {
            outcome.bound_high = super::outward(value, 1.0);
        }
    }
    outcome.value_if_no_change = Some(NORMAL_MEAN_ABS * null.get() / scale);
    outcome.message = steps.left_out();
    if let Some((blocked, d)) = steps.design() {
        outcome.depends(blocked, d.effective((steps.n, steps.m)), None);
    }
    let blocked = steps.pair.blocked.as_deref();
    // Blocks correlate places further, by as much as they take degrees of freedom from the coarse cells.
    let spread = blocked.and_then(|b| b.homogeneity(false));
    let spread = spread.map_or(1.0, |d| d.spread.min(1.0));
    let unit = effect.0 / n + effect.1 / m;
    let null = 2.0 * folded::FOLDED * unit * curve.kernel() / spread;
    let own = blocked.and_then(|b| b.effect(|coarse| curve.score(coarse)));
    let own = own.unwrap_or(effect);
    // Signs that chance gave may hide the direction that varies most.
    let linear = curve
        .variance((own.0 / n, own.1 / m))
        .max(null / folded::FOLDED);
    let bounds = (outcome.bound_low, outcome.bound_high);
    // One row has no variance.
    if linear.is_finite() && bounds.1.is_finite() && n.min(m) >= 2.0 {
        // No signs vary the area more than equal ones, which make it the difference of the means.
        let (r, c) = (&steps.pair.reference, &steps.pair.current);
        let independent = r.variance / n + c.variance / m;
        let means = blocked.map_or(independent, |b| {
            let v = b.means();
            v.reference + v.current
        });
        let most = Some(means / (scale * scale)).filter(|v| v.is_finite());
        let pieces = pieces.finish();
        let interval = folded::interval(bounds, &pieces, null, linear, most, STATISTIC.range);
        let interval = match &design {
            Some(design) => super::clustered(interval, Some(design)),
            // Estimated from the rows themselves.
            None => super::estimated(
                interval,
                (r.variance / n, n - 1.0),
                (c.variance / m, m - 1.0),
            ),
        };
        outcome = outcome.with_interval(interval, context);
    }
    Ok(outcome)
}

/// Sign of a number, 0 of 0.
fn signum(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// Stretches between values, joined until few are left: each folded normal costs an exponential.
struct Pieces {
    joined: usize,
    open: usize,
    sum: (f64, f64, f64),
    pieces: Vec<Piece>,
}

impl Pieces {
    fn new(cells: usize) -> Self {
        Pieces {
            joined: (2 * cells).div_ceil(128).max(1),
            open: 0,
            sum: (0.0, 0.0, 0.0),
            pieces: Vec::new(),
        }
    }

    fn add(&mut self, width: f64, difference: f64, deviation: f64) {
        self.sum.0 += width;
        self.sum.1 += width * difference;
        self.sum.2 += width * deviation;
        self.open += 1;
        if self.open == self.joined {
            self.close();
        }
    }

    fn close(&mut self) {
        let (width, difference, deviation) = std::mem::take(&mut self.sum);
        if width > 0.0 {
            self.pieces.push(Piece {
                weight: width,
                difference: difference / width,
                deviation: deviation / width,
                most: 1.0,
            });
        }
        self.open = 0;
    }

    fn finish(mut self) -> Vec<Piece> {
        self.close();
        self.pieces
    }
}

/// `(to - from) * height` without overflow of the width.
pub(super) fn rectangle(from: f64, to: f64, height: f64) -> f64 {
    let width = to - from;
    if width.is_finite() {
        width.max(0.0) * height
    } else {
        2.0 * ((0.5 * to - 0.5 * from) * height)
    }
}

/// Largest mean of `|h|` for `h` in `[-down, up]` with mean `mean`: the chord of a convex function.
fn chord(mean: f64, up: f64, down: f64) -> f64 {
    if up <= 0.0 || down <= 0.0 {
        return mean.abs();
    }
    let mean = mean.clamp(-down, up);
    ((2.0 * up * down + mean * (up - down)) / (up + down)).max(mean.abs())
}
