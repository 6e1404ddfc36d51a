//! Pairs in which one sample wins: shared by `mann_whitney` and `probability_of_superiority`.

use super::{NotApplicable, Steps, sum};
use crate::pair::Pair;
use crate::special::normal_sf;

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
}

impl Wins {
    /// Counts the pairs; infinities are values.
    pub fn new(pair: &Pair) -> Result<Self, NotApplicable> {
        let steps = Steps::new(pair, true)?;
        let (n, m) = (steps.n as f64, steps.m as f64);
        let worth = steps.worth();
        let rows = worth.0 + worth.1;
        let (mut won, mut undecided) = (0_u128, 0_u128);
        let mut ties = Vec::new();
        // Placements of each side among the other, as shares, with their undecided half-widths.
        let (mut x, mut y) = (Placements::default(), Placements::default());
        for block in steps.blocks() {
            let (a, b) = block.rows();
            let inside = u128::from(a) * u128::from(b);
            won += 2 * u128::from(a) * u128::from(block.left.1) + inside;
            if block.single {
                let t = steps.pool(a, b);
                ties.push(t / rows * ((t - 1.0) / (rows - 1.0)) * ((t + 1.0) / (rows + 1.0)));
            } else {
                undecided += inside;
            }
            let loose = if block.single { 0.0 } else { 1.0 };
            let middle = |left: u64, right: u64| left as f64 + 0.5 * (right - left) as f64;
            x.add(
                a as f64 / n,
                middle(block.left.1, block.right.1) / m,
                loose * 0.5 * b as f64 / m,
            );
            y.add(
                b as f64 / m,
                middle(block.left.0, block.right.0) / n,
                loose * 0.5 * a as f64 / n,
            );
        }
        let (sx, sy) = (x.deviation(), y.deviation());
        Ok(Wins {
            rows: (steps.n, steps.m),
            reference: (won - undecided, won, won + undecided),
            ties: sum(ties).min(1.0),
            se: libm::sqrt(sx * sx / worth.0 + sy * sy / worth.1),
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
    pub fn pvalue(&self) -> f64 {
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

/// Moments of placements.
#[derive(Default)]
struct Placements {
    places: Vec<(f64, f64)>,
    loose: f64,
}

impl Placements {
    fn add(&mut self, share: f64, place: f64, loose: f64) {
        self.places.push((share, place));
        self.loose += share * loose * loose;
    }

    /// Standard deviation, at most: that of the places plus that of their half-widths.
    fn deviation(&self) -> f64 {
        let mean = sum(self.places.iter().map(|(share, place)| share * place));
        let variance = sum(self
            .places
            .iter()
            .map(|(share, place)| share * (place - mean) * (place - mean)));
        libm::sqrt(variance.max(0.0)) + libm::sqrt(self.loose)
    }
}
