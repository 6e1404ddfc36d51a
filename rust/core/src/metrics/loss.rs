//! Sums of a row's loss: exact, with what the variance of their mean needs.

use super::weight::{Amount, Weighting};
use crate::Result;
use crate::codec::{Reader, Writer};
use crate::kernels::BLOCK;
use crate::states::exact_sum::{Sum, SumOfSquares, add_block, decompose, variance};

/// A loss that is a function of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// `-ln p` of the label's class, `p` clipped to `[2^-52, 1 - 2^-52]`.
    Log,
    /// `(p - y)^2`; over several classes the sum of it.
    Brier,
    /// `(y - f)^2`.
    Squared,
    /// `|y - f|`.
    Absolute,
    /// `|y - f| / max(|y|, 2^-52)`.
    Percentage,
    /// `max(t (y - f), (t - 1) (y - f))` for the level `t` of the plan.
    Pinball,
    /// Unit deviance of Poisson, for `y >= 0` and `f > 0`.
    Poisson,
    /// Unit deviance of the gamma distribution, for `y > 0` and `f > 0`.
    Gamma,
}

/// Machine epsilon, as scikit-learn clips.
const EPS: f64 = f64::EPSILON;

impl Loss {
    /// All of them, in the order of their codes.
    pub(super) const ALL: [Loss; 8] = [
        Loss::Log,
        Loss::Brier,
        Loss::Squared,
        Loss::Absolute,
        Loss::Percentage,
        Loss::Pinball,
        Loss::Poisson,
        Loss::Gamma,
    ];

    /// Loss of one row; NaN outside its domain. `y` is 0 or 1 where the label is a class.
    pub fn of(self, y: f64, f: f64, level: f64) -> f64 {
        match self {
            Loss::Log if (0.0..=1.0).contains(&f) => {
                let p = if y > 0.5 { f } else { 1.0 - f };
                log_loss(p)
            }
            Loss::Brier if (0.0..=1.0).contains(&f) => (f - y) * (f - y),
            Loss::Log | Loss::Brier => f64::NAN,
            Loss::Squared => finite((y - f) * (y - f)),
            Loss::Absolute => finite((y - f).abs()),
            Loss::Percentage => finite((y - f).abs() / y.abs().max(EPS)),
            Loss::Pinball => {
                let e = y - f;
                finite((level * e).max((level - 1.0) * e))
            }
            Loss::Poisson if y >= 0.0 && f > 0.0 => {
                let log = if y > 0.0 { y * libm::log(y / f) } else { 0.0 };
                finite((2.0 * (log - y + f)).max(0.0))
            }
            Loss::Gamma if y > 0.0 && f > 0.0 => {
                finite((2.0 * (libm::log(f / y) + y / f - 1.0)).max(0.0))
            }
            Loss::Poisson | Loss::Gamma => f64::NAN,
        }
    }

    /// What the loss takes, for messages.
    pub fn domain(self) -> &'static str {
        match self {
            Loss::Log | Loss::Brier => "probabilities between 0 and 1",
            Loss::Poisson => "labels of at least 0 and predictions above 0, finite",
            Loss::Gamma => "labels and predictions above 0, finite",
            _ => "finite labels and predictions",
        }
    }
}

/// `-ln p`, clipped as scikit-learn clips.
pub(super) fn log_loss(p: f64) -> f64 {
    -libm::log(p.clamp(EPS, 1.0 - EPS))
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { f64::NAN }
}

/// Weighted sums of one loss over rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LossSum {
    /// Sum of `w l`.
    sum: Sum,
    /// Sum of `(w l)^2`.
    squares: SumOfSquares,
    /// Sum of `w (w l)`, where rows are weighted.
    cross: Sum,
    /// Rows outside the domain.
    outside: u64,
}

/// Mean of a loss with its variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mean {
    pub value: f64,
    pub variance: f64,
    pub effective: f64,
}

impl LossSum {
    /// Adds rows: their losses (NaN outside the domain) and relative weights.
    pub(super) fn update(&mut self, losses: &[f64], weights: &[f64], weighting: Weighting) {
        let mut buffer = [0.0; BLOCK];
        for (l, w) in losses.chunks(BLOCK).zip(weights.chunks(BLOCK)) {
            let products = &mut buffer[..l.len()];
            for ((d, l), w) in products.iter_mut().zip(l).zip(w) {
                self.outside += u64::from(l.is_nan());
                *d = if l.is_nan() { 0.0 } else { l * w };
            }
            add_block(&mut self.sum, products);
            add_squares(&mut self.squares, products);
            if weighting.is_weighted() {
                for (d, w) in products.iter_mut().zip(w) {
                    *d *= w;
                }
                add_block(&mut self.cross, products);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.cross.merge(&other.cross);
        self.outside = self.outside.saturating_add(other.outside);
    }

    /// Rows outside the domain of the loss.
    pub(super) fn outside(&self) -> u64 {
        self.outside
    }

    /// The mean over `rows` rows of weight `total`.
    pub(super) fn mean(&self, rows: u64, total: Amount, weighting: Weighting) -> Mean {
        let effective = total.effective();
        if !weighting.is_weighted() {
            return Mean {
                value: self.sum.divided_by(rows),
                variance: variance(&self.sum, &self.squares, rows) / rows as f64,
                effective,
            };
        }
        let value = self.sum.to_f64() / total.w;
        // Linearised: sum of w^2 (l - mean)^2 over W^2.
        let spread =
            self.squares.to_f64() - 2.0 * value * self.cross.to_f64() + value * value * total.w2;
        let scale = effective / (effective - 1.0);
        Mean {
            value,
            variance: if effective > 1.0 {
                scale * (spread.max(0.0) / total.w) / total.w
            } else {
                f64::NAN
            },
            effective,
        }
    }

    pub(super) fn encode(&self, weighting: Weighting, w: &mut Writer) {
        self.sum.encode(w);
        self.squares.encode(w);
        if weighting.is_weighted() {
            self.cross.encode(w);
        }
        w.varint(self.outside);
    }

    pub(super) fn decode(weighting: Weighting, r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            sum: Sum::decode(r)?,
            squares: SumOfSquares::decode(r)?,
            cross: if weighting.is_weighted() {
                Sum::decode(r)?
            } else {
                Sum::new()
            },
            outside: r.varint()?,
        })
    }
}

/// Beyond this a square may overflow, and is taken exactly instead of rounded.
const LARGE: f64 = 1e150;

/// Adds the squares of a block; how each is rounded depends on its value alone.
pub(crate) fn add_squares(squares: &mut SumOfSquares, values: &[f64]) {
    let mut rounded = [0.0; BLOCK];
    let rounded = &mut rounded[..values.len()];
    for (s, d) in rounded.iter_mut().zip(values) {
        if d.abs() <= LARGE {
            *s = d * d;
        } else {
            let (_, m, e) = decompose(*d);
            squares.add_scaled(false, u128::from(m) * u128::from(m), 2 * e);
        }
    }
    add_block(squares, rounded);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_follow_their_definitions() {
        assert_eq!(Loss::Log.of(1.0, 0.0, 0.5), -libm::log(f64::EPSILON));
        assert!(Loss::Log.of(1.0, 1.5, 0.5).is_nan() && Loss::Brier.of(0.0, -0.1, 0.5).is_nan());
        assert_eq!(Loss::Pinball.of(3.0, 1.0, 0.9), 1.8);
        assert!((Loss::Pinball.of(1.0, 3.0, 0.9) - 0.2).abs() < 1e-15);
        assert_eq!(Loss::Poisson.of(0.0, 2.0, 0.5), 4.0);
        assert_eq!(Loss::Gamma.of(2.0, 2.0, 0.5), 0.0);
        assert!(Loss::Gamma.of(0.0, 2.0, 0.5).is_nan());
        assert!(Loss::Squared.of(f64::INFINITY, 2.0, 0.5).is_nan());
    }

    #[test]
    fn squares_of_large_values_do_not_overflow() {
        let mut sum = LossSum::default();
        sum.update(&[1e200, 1.0], &[1.0, 1.0], Weighting::None);
        let mean = sum.mean(2, Amount { w: 2.0, w2: 2.0 }, Weighting::None);
        assert_eq!(mean.value, 5e199);
    }
}
