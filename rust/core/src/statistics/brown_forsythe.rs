//! Brown and Forsythe's test of equal spread.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, Steps, join, outward, sum};
use crate::pair::{Cell, Pair, Side};
use crate::row::Exactness;
use crate::special::student_two_sided;

/// Levene's `W` about the medians: the F statistic of `z = |x - median|` of both samples.
///
/// Finite values only; the median of an even number of rows is the middle of the two in the middle.
/// Two sides without spread of `z` are 0 with p = 1 when its means are equal and infinite with p = 0
/// when not. In certified mode the moments are exact and the cell of the median bounds it, the sum of
/// `z` and its squares; the p-value is that of the lower bound.
pub const STATISTIC: Statistic = Statistic {
    name: "brown_forsythe",
    definition: "brown_forsythe/levene-median/v1",
    summary: "Levene's W about the medians: whether both samples spread alike",
    source: "Brown and Forsythe (1974); scipy.stats.levene(center='median')",
    notes: "finite values; p: F with 1 and n + m - 2 degrees of freedom; no interval: the value grows with the \
            rows; 3 values or more",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "F",
    null: Some("f-1-and-n-2"),
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let (n, m) = steps.worth();
    let df = n + m - 2.0;
    if df < 1.0 {
        return Err(NotApplicable(
            "one value on each side; 3 or more together would be accepted".into(),
        ));
    }
    let cells = &steps.pair.cells;
    // W has no unit: far from 1, values are taken in one that keeps their squares in range.
    let largest = cells
        .iter()
        .filter(|c| c.reference > 0 || c.current > 0)
        .fold(0.0_f64, |most, c| most.max(c.low.abs()).max(c.high.abs()));
    let exponent = match libm::ilogb(largest.max(f64::MIN_POSITIVE)) {
        e if largest == 0.0 || e.abs() < 300 => 0,
        e => -e,
    };
    let x = Spread::new(
        cells,
        (exponent, steps.rounding(), steps.scale.0),
        |c| (c.reference, c.offset_reference),
        steps.n,
        &steps.pair.reference,
    );
    let y = Spread::new(
        cells,
        (exponent, steps.rounding(), steps.scale.1),
        |c| (c.current, c.offset_current),
        steps.m,
        &steps.pair.current,
    );
    let scale = df * (n * (m / (n + m)));
    let w = |difference: f64, squares: f64| {
        if difference == 0.0 {
            0.0
        } else {
            // Divided first: squares of large numbers may overflow, the ratio does not.
            scale * (difference / squares) * difference
        }
    };
    let value = w((x.mean.1 - y.mean.1).abs(), x.squares.1 + y.squares.1);
    let nearest = (x.mean.0 - y.mean.2).max(y.mean.0 - x.mean.2).max(0.0);
    let furthest = (x.mean.2 - y.mean.0).max(y.mean.2 - x.mean.0);
    let low = w(nearest, x.squares.2 + y.squares.2);
    let high = w(furthest, x.squares.0 + y.squares.0);
    let widest = x.squares.2 + y.squares.2;
    if !widest.is_finite() || value.is_nan() || low.is_nan() || high.is_nan() {
        return Err(NotApplicable(
            "the spread is beyond the range of double precision".into(),
        ));
    }
    let mut outcome = Outcome::exact(value, (steps.n, steps.m));
    if !(x.exact && y.exact) {
        outcome.exactness = Exactness::Certified;
        outcome.bound_low = outward(low, -64.0).max(0.0).min(value);
        outcome.bound_high = outward(high, 64.0).max(value);
    }
    outcome.value_if_no_change = (df > 2.0).then(|| df / (df - 2.0));
    outcome.pvalue = Some(student_two_sided(libm::sqrt(outcome.bound_low), df));
    outcome.message = join([
        Some(format!(
            "mean distance from the median {:.4e} in the reference, {:.4e} in the current sample",
            x.shown(exponent),
            y.shown(exponent)
        )),
        steps.left_out(),
    ]);
    Ok(outcome)
}

/// Distances of one side from its median.
struct Spread {
    /// Their mean: bound below, value, bound above.
    mean: (f64, f64, f64),
    /// Sum of squares about the mean, likewise.
    squares: (f64, f64, f64),
    /// In the unit of `compute`, else that of the column.
    scaled: bool,
    /// Bounds meet.
    exact: bool,
}

impl Spread {
    /// The mean in the unit of the column.
    fn shown(&self, exponent: i32) -> f64 {
        libm::scalbn(self.mean.1, if self.scaled { -exponent } else { 0 })
    }

    fn new(
        cells: &[Cell],
        (exponent, rounding, scale): (i32, f64, f64),
        of: impl Fn(&Cell) -> (u64, f64),
        rows: u64,
        side: &Side,
    ) -> Self {
        let held: Vec<(&Cell, u64, f64)> = cells
            .iter()
            .map(|c| {
                let (count, offset) = of(c);
                (c, count, offset)
            })
            .filter(|(_, count, _)| *count > 0)
            .collect();
        // Cells of the two ranks in the middle; equal for an odd number of rows.
        let mut end = 0;
        let (mut first, mut second) = (None, None);
        for (i, (_, count, _)) in held.iter().enumerate() {
            end += count;
            if first.is_none() && end >= rows.div_ceil(2) {
                first = Some((i, end));
            }
            if second.is_none() && end > rows / 2 {
                second = Some(i);
            }
        }
        let last = held.len() - 1;
        let (at, upto) = first.unwrap_or((last, rows));
        let other = second.unwrap_or(last);
        let n = rows as f64;
        let all_single = cells.iter().all(|c| c.single);
        if all_single {
            let at_scale = |x: f64| libm::scalbn(x, exponent);
            // About the lower middle value, so that a large offset costs no digits.
            let pivot = at_scale(held[at].0.low);
            let median = 0.5 * (at_scale(held[other].0.low) - pivot);
            let z = |c: &Cell| ((at_scale(c.low) - pivot) - median).abs();
            let mean = sum(held.iter().map(|(c, k, _)| z(c) * (*k as f64 / n)));
            let squares = sum(held.iter().map(|(c, k, _)| {
                let d = z(c) - mean;
                d * d * *k as f64 * scale
            }));
            // Each distance is off by a rounding or two where values are not floats.
            let off = 2.0 * at_scale(rounding);
            let near = (libm::sqrt(squares) - libm::sqrt(n * scale) * off).max(0.0);
            let far = libm::sqrt(squares) + libm::sqrt(n * scale) * off;
            return Spread {
                mean: (mean - off, mean, mean + off),
                squares: if off > 0.0 {
                    (near * near, squares, far * far)
                } else {
                    (squares, squares, squares)
                },
                scaled: true,
                exact: off == 0.0,
            };
        }
        let (cell, count, inside) = held[at];
        let pivot = cell.low;
        let (mut below, mut above, mut error) = (Vec::new(), Vec::new(), n * rounding);
        for (i, (c, k, offset)) in held.iter().enumerate() {
            let from_pivot = (c.low - pivot) * *k as f64 + offset;
            error += c.offset_error.abs() + 4.0 * f64::EPSILON * from_pivot.abs();
            match i.cmp(&at) {
                core::cmp::Ordering::Less => below.push(-from_pivot),
                core::cmp::Ordering::Equal => {}
                core::cmp::Ordering::Greater => above.push(from_pivot),
            }
        }
        let outside = sum(below) + sum(above);
        let (k, width) = (count as f64, cell.high - cell.low);
        // Rows below the cell minus rows above it.
        let balance = (upto - count) as f64 - (rows - upto) as f64;
        let inside = inside.clamp(0.0, k * width);
        // The sum of distances is least at the median: any place bounds it above, chords inside.
        let most = outside + inside.min((balance + k) * width - inside) + error;
        let at_place = |t: f64| outside + balance * t + (inside - k * t).abs();
        let least = at_place(0.0).min(at_place(width)).min(at_place(inside / k)) - error;
        let (least, most) = (least.max(0.0).min(most), most);
        let between = 0.5 * least + 0.5 * most;
        // The median, by rank within its cell or between two cells.
        let (low, high) = if other == at {
            (cell.low, cell.high)
        } else {
            let next = held[other].0;
            (
                0.5 * cell.low + 0.5 * next.low,
                0.5 * cell.high + 0.5 * next.high,
            )
        };
        let place = ((0.5 * n - (upto - count) as f64) / k).clamp(0.0, 1.0);
        let median = if other == at {
            low + place * (high - low)
        } else {
            0.5 * low + 0.5 * high
        };
        let central = if rows > 1 {
            (n * scale - 1.0) * side.variance / scale
        } else {
            0.0
        };
        let about = |median: f64| {
            let d = side.mean - median;
            central + n * d * d
        };
        let nearest = about(side.mean.clamp(low, high));
        let furthest = about(low).max(about(high));
        let less = |squares: f64, total: f64| {
            if squares.is_finite() {
                (squares - total * (total / n)).max(0.0) * scale
            } else {
                f64::INFINITY
            }
        };
        let bounds = (less(nearest, most), less(furthest, least));
        Spread {
            mean: (least / n, between / n, most / n),
            squares: (
                bounds.0,
                less(about(median), between).max(bounds.0).min(bounds.1),
                bounds.1,
            ),
            scaled: false,
            exact: false,
        }
    }
}
