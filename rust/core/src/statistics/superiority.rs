//! Pairs in which one sample wins: shared by `mann_whitney` and `probability_of_superiority`.

use std::sync::Arc;

use super::{Block, Interval, NotApplicable, Outcome, Steps, Total, weighing};
use crate::dependence::Blocked;
use crate::pair::{NumericPair, Pair, Part};
use crate::special::{normal_sf, student_two_sided};

/// Wins of one sample over the other among all pairs of rows.
pub(super) struct Wins {
    /// Rows of either side.
    pub rows: (u64, u64),
    /// Twice the number of pairs the reference wins, ties half: smallest, with half of the undecided
    /// pairs, largest.
    pub reference: (u128, u128, u128),
    /// `sum (t^3 - t) / (N^3 - N)` over the ties of cells that hold one value.
    pub ties: f64,
    /// Standard error of the share of pairs won, by placements (DeLong 1988); pairs within a cell of
    /// several values enter at their worst.
    pub se: f64,
    /// Rows of equal weight that a unit of either side is worth.
    pub scale: (f64, f64),
    /// Both samples by block, rows that each is worth, and degrees of freedom of `se`.
    blocks: Option<(Arc<Blocked>, (f64, f64), f64)>,
}

impl Wins {
    /// Counts the pairs; infinities are values.
    pub fn new(pair: &Pair) -> Result<Self, NotApplicable> {
        let steps = Steps::new(pair, true)?;
        let (n, m) = (steps.n as f64, steps.m as f64);
        let worth = steps.worth();
        let rows = worth.0 + worth.1;
        let (mut won, mut undecided) = (0_u128, 0_u128);
        let mut ties = Total::default();
        // Placements of each side among the other, as shares, with their undecided half-widths.
        let middle = |left: u64, right: u64| left as f64 + 0.5 * (right - left) as f64;
        let placed = |block: &Block| {
            let (a, b) = block.rows();
            (
                (a as f64 / n, middle(block.left.1, block.right.1) / m),
                (b as f64 / m, middle(block.left.0, block.right.0) / n),
            )
        };
        let (mut x, mut y) = (Placements::default(), Placements::default());
        for block in steps.blocks() {
            let (a, b) = block.rows();
            let inside = u128::from(a) * u128::from(b);
            won += 2 * u128::from(a) * u128::from(block.left.1) + inside;
            if block.single {
                let t = steps.pool(a, b);
                ties.add(t / rows * ((t - 1.0) / (rows - 1.0)) * ((t + 1.0) / (rows + 1.0)));
            } else {
                undecided += inside;
            }
            let loose = if block.single { 0.0 } else { 1.0 };
            let (in_x, in_y) = placed(&block);
            x.add(in_x, loose * 0.5 * b as f64 / m);
            y.add(in_y, loose * 0.5 * a as f64 / n);
        }
        let means = (x.mean.get(), y.mean.get());
        for block in steps.blocks() {
            let (in_x, in_y) = placed(&block);
            x.add_square(in_x, means.0);
            y.add_square(in_y, means.1);
        }
        let (sx, sy) = (x.deviation(), y.deviation());
        // A row's influence is its place among the others: blocks tell how places of one block agree.
        let ordered = steps.pair;
        let design = ordered.blocked.as_ref().and_then(|blocked| {
            let places = places(ordered);
            let own = blocked.distribution()?;
            let score = |coarse: u32| places.get(coarse as usize).copied().unwrap_or(0.5);
            Some((
                Arc::clone(blocked),
                blocked.effect(score).unwrap_or(own.effect),
                own.df,
            ))
        });
        let effect = design
            .as_ref()
            .map_or((1.0 / steps.scale.0, 1.0 / steps.scale.1), |d| d.1);
        Ok(Wins {
            rows: (steps.n, steps.m),
            reference: (won - undecided, won, won + undecided),
            ties: ties.get().min(1.0),
            se: libm::sqrt(effect.0 * sx * sx / n + effect.1 * sy * sy / m),
            blocks: design.map(|(blocked, e, df)| (blocked, (n / e.0, m / e.1), df)),
            scale: steps.scale,
        })
    }
}

impl Wins {
    /// Rows of equal weight that both sides are worth.
    pub fn worth(&self) -> (f64, f64) {
        (
            self.rows.0 as f64 * self.scale.0,
            self.rows.1 as f64 * self.scale.1,
        )
    }

    /// Largest two-sided p-value of the normal limit between the bounds: variance corrected for the
    /// ties that are certain, continuity correction 1/2.
    ///
    /// With blocks, Student's of the distance from one half over its standard error.
    pub fn pvalue(&self) -> f64 {
        if let Some((_, _, df)) = &self.blocks {
            let pairs = 2.0 * self.rows.0 as f64 * self.rows.1 as f64;
            let (low, high) = (
                self.reference.0 as f64 / pairs,
                self.reference.2 as f64 / pairs,
            );
            let near = (low - 0.5).max(0.5 - high).max(0.0);
            return if near > 0.0 {
                student_two_sided(near / self.se, *df)
            } else {
                1.0
            };
        }
        let (n, m) = self.worth();
        let variance = n * m / 12.0 * (n + m + 1.0) * (1.0 - self.ties);
        // Twice the distance of the nearest possible number from its mean.
        let middle = u128::from(self.rows.0) * u128::from(self.rows.1);
        let (low, _, high) = self.reference;
        let near = low.saturating_sub(middle).max(middle.saturating_sub(high));
        if variance > 0.0 {
            let near = near as f64 * self.scale.0 * self.scale.1;
            (2.0 * normal_sf(0.5 * (near - 1.0) / libm::sqrt(variance))).min(1.0)
        } else {
            1.0
        }
    }
}

impl Wins {
    /// Rows that the smaller sample is worth.
    pub fn least(&self) -> f64 {
        let (n, m) = self.blocks.as_ref().map_or_else(|| self.worth(), |b| b.1);
        n.min(m)
    }

    /// Notes how dependence entered.
    pub fn depends(&self, outcome: &mut Outcome) {
        if let Some((blocked, rows, _)) = &self.blocks {
            outcome.depends(blocked, *rows, Some("placements-block-t"));
        }
    }

    /// The interval, with Student's quantiles where its error was estimated from blocks.
    pub fn clustered(&self, interval: Interval) -> Interval {
        match &self.blocks {
            Some((_, _, df)) => Interval::Clustered {
                inner: Box::new(interval),
                df: *df,
                inflation: 1.0,
            },
            None => interval,
        }
    }
}

/// Mean place of the rows of each coarse cell among all rows.
fn places(pair: &NumericPair) -> Vec<f64> {
    let (r, c) = (&pair.reference, &pair.current);
    let scale = (
        weighing::scale(r, Part::Present),
        weighing::scale(c, Part::Present),
    );
    let pool = |a: u64, b: u64| a as f64 * scale.0 + b as f64 * scale.1;
    let all = pool(r.ordered(), c.ordered());
    let mut below = pool(r.neg_inf, c.neg_inf);
    let mut places = Vec::new();
    for cells in pair.cells.chunk_by(|a, b| a.coarse == b.coarse) {
        let rows: f64 = cells.iter().map(|x| pool(x.reference, x.current)).sum();
        places.resize(cells[0].coarse as usize, 0.5);
        places.push((below + 0.5 * rows) / all);
        below += rows;
    }
    places
}

/// Moments of placements.
#[derive(Default)]
struct Placements {
    mean: Total,
    squares: Total,
    loose: f64,
}

impl Placements {
    fn add(&mut self, (share, place): (f64, f64), loose: f64) {
        self.mean.add(share * place);
        self.loose += share * loose * loose;
    }

    /// About the mean of all.
    fn add_square(&mut self, (share, place): (f64, f64), mean: f64) {
        self.squares.add(share * (place - mean) * (place - mean));
    }

    /// Standard deviation, at most: that of the places plus that of their half-widths.
    fn deviation(&self) -> f64 {
        libm::sqrt(self.squares.get().max(0.0)) + libm::sqrt(self.loose)
    }
}
