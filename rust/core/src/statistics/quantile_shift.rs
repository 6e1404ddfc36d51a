//! Largest shift of five quantiles.

use super::interval::{Difference, NODES};
use super::{Context, Interval, Kinds, NotApplicable, Outcome, Statistic, Steps, join};
use crate::pair::{Cell, Pair, Side};
use crate::row::Exactness;

/// The largest absolute difference of the 5, 25, 50, 75 and 95 % quantiles (`inverted_cdf`: the
/// smallest value that at least this share of rows does not exceed), finite values only.
///
/// A quantile lies in the cell that holds its rank, which is the certificate; in a cell of several
/// values the value interpolates by rank. Each quantile's limits are order statistics a number of
/// standard deviations of rank away (Woodruff 1952), so that ties are steps; limits of a difference
/// join those of both sides as `hypot` of the distances (Zou and Donner 2008). Below, where the largest of
/// five is asked for, the chances of all five to get that far add up (Bonferroni), with true differences
/// in proportion to those observed.
pub const STATISTIC: Statistic = Statistic {
    name: "quantile_shift",
    definition: "quantile_shift/5-25-50-75-95-inverted-cdf/v1",
    summary: "largest difference of the 5, 25, 50, 75 and 95 % quantiles",
    source: "Hyndman and Fan (1996), definition 1; Woodruff (1952)",
    notes: "finite values; inverted_cdf quantiles; interval: Woodruff, Bonferroni over the five in proportion \
            to the observed shifts, none below 50 rows of a side; no p-value",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "value",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

/// Rows of a side below which there is no interval: the 5 % quantile of fewer is the first or second value, and
/// nothing is known of what lies beyond.
const LEAST_ROWS: u64 = 50;

/// The quantiles in twentieths.
const TWENTIETHS: [u64; 5] = [1, 5, 10, 15, 19];

/// Where a quantile of one side lies.
#[derive(Clone, Copy)]
struct Place {
    low: f64,
    high: f64,
    estimate: f64,
}

/// Ascending counts of one side with the cell each belongs to.
struct Ranks<'a> {
    ends: Vec<(u64, u64, &'a Cell)>,
    rows: u64,
    /// Ranks by which rounding the weights may have moved a quantile.
    slack: u64,
}

impl<'a> Ranks<'a> {
    fn new(cells: &'a [Cell], count: impl Fn(&Cell) -> u64, rows: u64, side: &Side) -> Self {
        let mut end = 0;
        let ends = cells
            .iter()
            .filter(|c| count(c) > 0)
            .map(|c| {
                end += count(c);
                (end, count(c), c)
            })
            .collect();
        Ranks {
            ends,
            rows,
            slack: libm::ceil(2.0 * side.weights.map_or(0.0, |w| w.rounding)) as u64,
        }
    }

    /// The value of rank `rank` (1 to rows). `ends` is not empty: a side without values was refused.
    fn place(&self, rank: u64) -> Place {
        let rank = rank.clamp(1, self.rows);
        let at = self
            .ends
            .partition_point(|e| e.0 < rank)
            .min(self.ends.len() - 1);
        let (end, count, cell) = self.ends[at];
        let position = (count - (end - rank)) as f64 - 0.5;
        let share = position / count as f64;
        let estimate = cell.low * (1.0 - share) + cell.high * share;
        let cell_at = |rank: u64| {
            let rank = rank.clamp(1, self.rows);
            let at = self.ends.partition_point(|e| e.0 < rank);
            self.ends[at.min(self.ends.len() - 1)].2
        };
        Place {
            low: cell_at(rank.saturating_sub(self.slack)).low,
            high: cell_at(rank.saturating_add(self.slack)).high,
            estimate: estimate.max(cell.low).min(cell.high),
        }
    }

    /// Smallest rank with at least `twentieths / 20` of the rows up to it.
    fn rank(&self, twentieths: u64) -> u64 {
        let rank = (u128::from(self.rows) * u128::from(twentieths)).div_ceil(20);
        u64::try_from(rank).unwrap_or(self.rows)
    }

    /// Distances down and up from a quantile to the order statistics `z` standard deviations of rank away,
    /// for rows that are worth `1 / effect` independent ones. Where one lies beyond the rows, at least
    /// the distance to the other.
    fn reach(&self, twentieths: u64, effect: f64, z: f64) -> (f64, f64) {
        let p = twentieths as f64 / 20.0;
        let deviation = z * libm::sqrt(self.rows as f64 * p * (1.0 - p) * effect);
        let deviation = libm::ceil(deviation) as u64;
        let rank = self.rank(twentieths);
        let (low, middle, high) = (
            self.place(rank.saturating_sub(deviation)).estimate,
            self.place(rank).estimate,
            self.place(rank.saturating_add(deviation)).estimate,
        );
        let (down, up) = (middle - low, high - middle);
        (
            if rank <= deviation {
                down.max(up)
            } else {
                down
            },
            if rank.saturating_add(deviation) > self.rows {
                up.max(down)
            } else {
                up
            },
        )
    }
}

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let cells = &steps.pair.cells;
    let reference = Ranks::new(cells, |c| c.reference, steps.n, &steps.pair.reference);
    let current = Ranks::new(cells, |c| c.current, steps.m, &steps.pair.current);
    let design = steps.design();
    // A quantile's error is that of the share below it, here at its largest.
    let effect = design
        .as_ref()
        .map_or((1.0 / steps.scale.0, 1.0 / steps.scale.1), |(_, d)| {
            d.effect
        });
    let rounding = steps.rounding();
    let (mut value, mut low, mut high, mut where_) = (0.0_f64, 0.0_f64, 0.0_f64, 0);
    let differences = TWENTIETHS.map(|q| {
        let (r, c) = (
            reference.place(reference.rank(q)),
            current.place(current.rank(q)),
        );
        let shift = (c.estimate - r.estimate).abs();
        if shift > value {
            (value, where_) = (shift, q);
        }
        let least = ((c.low - r.high).max(r.low - c.high) - rounding).max(0.0);
        let most = (c.high - r.low).max(r.high - c.low) + rounding;
        (low, high) = (low.max(least), high.max(most));
        let mut difference = Difference {
            low: c.low - r.high - rounding,
            high: c.high - r.low + rounding,
            reach: [(0.0, 0.0); NODES.len()],
        };
        for (reach, z) in difference.reach.iter_mut().zip(NODES) {
            let (a, b) = (
                reference.reach(q, effect.0, z),
                current.reach(q, effect.1, z),
            );
            *reach = (libm::hypot(b.0, a.1), libm::hypot(b.1, a.0));
        }
        difference
    });
    let mut outcome = if low == high {
        Outcome::exact(high, (steps.n, steps.m))
    } else {
        let mut outcome = Outcome::bounded(
            value.clamp(low, high),
            low,
            high,
            STATISTIC.range,
            (steps.n, steps.m),
        );
        outcome.exactness = Exactness::Certified;
        outcome
    };
    let at = (where_ > 0).then(|| format!("largest at the {} % quantile", where_ * 5));
    let rows = steps.n.min(steps.m);
    let few = (rows < LEAST_ROWS).then(|| {
        format!("no interval: {rows} rows of a side; the 5 % quantile has one from {LEAST_ROWS} on")
    });
    let told = few.is_some();
    outcome.message = join([at, few, steps.left_out()]);
    if let Some((blocked, d)) = design {
        outcome.depends(blocked, d.effective((steps.n, steps.m)), None);
    }
    if !told && differences.iter().all(Difference::is_finite) {
        let interval = Interval::Largest {
            bounds: (outcome.bound_low, outcome.bound_high),
            differences: Box::new(differences),
        };
        let interval = super::clustered(interval, design.as_ref().map(|d| &d.1));
        outcome = outcome.with_interval(interval, context);
    }
    Ok(outcome)
}
