//! Losses that are sums over rows, as functions of a label and the margins of a model.

use std::sync::OnceLock;

use crate::{Error, Result};

/// From the margins of a model to its prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    /// The margin is the prediction.
    Identity,
    /// `1 / (1 + exp(-scale * margin))`, the probability of the second class.
    Logistic(f64),
    /// The same for each class alone.
    OneVersusAll(f64),
    /// `exp(margin_k)` over their sum, the probability of class k.
    Softmax,
    /// The margin is a probability: of the second class, or of each class.
    Probability,
    /// `exp(margin)`.
    Exp,
    /// `sign(margin) * margin^2`.
    SignedSquare,
}

impl Link {
    /// Fails unless the link takes this number of outputs.
    pub fn check(self, outputs: usize) -> Result<()> {
        let fits = match self {
            Link::Softmax | Link::OneVersusAll(_) => outputs > 1,
            Link::Probability => true,
            _ => outputs == 1,
        };
        match self {
            Link::Logistic(s) | Link::OneVersusAll(s) if !(s.is_finite() && s > 0.0) => Err(
                Error::corrupt(format!("a sigmoid of slope {s}; positive is accepted")),
            ),
            _ if !fits => Err(Error::corrupt(format!(
                "{outputs} outputs under the link {self:?}"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether predictions are probabilities of classes.
    pub fn classifies(self) -> bool {
        use Link::{Logistic, OneVersusAll, Probability, Softmax};
        matches!(self, Logistic(_) | OneVersusAll(_) | Softmax | Probability)
    }

    /// Predictions in place of margins.
    pub fn apply(self, margins: &mut [f64]) {
        match self {
            Link::Identity | Link::Probability => {}
            Link::Logistic(s) | Link::OneVersusAll(s) => {
                margins.iter_mut().for_each(|m| *m = sigmoid(s * *m));
            }
            Link::Softmax => {
                let top = margins.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
                margins.iter_mut().for_each(|m| *m = libm::exp(*m - top));
                let total: f64 = margins.iter().sum();
                margins.iter_mut().for_each(|m| *m /= total);
            }
            Link::Exp => margins.iter_mut().for_each(|m| *m = libm::exp(*m)),
            Link::SignedSquare => margins.iter_mut().for_each(|m| *m *= m.abs()),
        }
    }

    /// The prediction of a single margin; `apply` for links of one output.
    #[inline]
    pub fn of(self, m: f64) -> f64 {
        match self {
            Link::Logistic(s) | Link::OneVersusAll(s) => sigmoid(s * m),
            Link::Exp => libm::exp(m),
            Link::SignedSquare => m * m.abs(),
            Link::Identity | Link::Probability | Link::Softmax => m,
        }
    }
}

/// A loss that is a mean over rows. Labels of classes are their indices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Minus the logarithm of the probability of the label, at most `-ln(2^-52)` from probabilities.
    LogLoss,
    /// Squared distance of the probabilities from the label: of the second class for two classes, summed
    /// over classes for more.
    Brier,
    /// 1 where the most probable class, the first of equals, is not the label.
    ZeroOne,
    /// `(y - p)^2`.
    Squared,
    /// `|y - p|`.
    Absolute,
    /// `max(a (y - p), (a - 1) (y - p))`.
    Pinball(f64),
    /// `2 (y ln(y / p) - y + p)`.
    PoissonDeviance,
    /// `2 (ln(p / y) + y / p - 1)`.
    GammaDeviance,
}

impl Loss {
    /// The loss of this name; `level` is the level of `pinball`.
    pub fn named(name: &str, level: f64) -> Result<Self> {
        Ok(match name {
            "log_loss" => Loss::LogLoss,
            "brier" => Loss::Brier,
            "zero_one" => Loss::ZeroOne,
            "squared" => Loss::Squared,
            "absolute" => Loss::Absolute,
            "pinball" if level > 0.0 && level < 1.0 => Loss::Pinball(level),
            "pinball" => {
                return Err(Error::invalid(format!(
                    "pinball level {level}; accepted is between 0 and 1"
                )));
            }
            "poisson_deviance" => Loss::PoissonDeviance,
            "gamma_deviance" => Loss::GammaDeviance,
            other => {
                return Err(Error::invalid(format!(
                    "loss {other:?}; accepted are log_loss, brier, zero_one, squared, absolute, pinball, \
                     poisson_deviance, gamma_deviance"
                )));
            }
        })
    }

    /// Whether labels are classes.
    pub fn classifies(self) -> bool {
        matches!(self, Loss::LogLoss | Loss::Brier | Loss::ZeroOne)
    }
}

/// A loss of the predictions behind a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// From margins to predictions.
    pub link: Link,
    /// Of predictions and label.
    pub loss: Loss,
}

impl Objective {
    /// A loss for a model of this link and number of outputs.
    ///
    /// # Errors
    /// When one speaks of classes and the other does not.
    pub fn new(loss: Loss, link: Link, outputs: usize) -> Result<Self> {
        if loss.classifies() && !link.classifies() {
            return Err(Error::invalid(format!(
                "{loss:?} needs probabilities; the model predicts numbers ({link:?})"
            )));
        }
        if !loss.classifies() && outputs > 1 {
            return Err(Error::invalid(format!(
                "{loss:?} needs one prediction a row; the model has {outputs}"
            )));
        }
        Ok(Self { link, loss })
    }

    /// Fails with the first label that the loss does not accept.
    pub fn check_labels(&self, labels: &[f64], outputs: usize) -> Result<()> {
        let classes = outputs.max(2) as f64;
        let (fits, accepted): (fn(f64, f64) -> bool, String) = match self.loss {
            l if l.classifies() => (
                |y, classes| y >= 0.0 && y < classes && y.trunc() == y,
                format!("class indices below {classes}"),
            ),
            Loss::PoissonDeviance => (
                |y, _| y >= 0.0 && y.is_finite(),
                "finite numbers from 0".into(),
            ),
            Loss::GammaDeviance => (
                |y, _| y > 0.0 && y.is_finite(),
                "finite numbers above 0".into(),
            ),
            _ => (|y, _| y.is_finite(), "finite numbers".into()),
        };
        match labels.iter().position(|y| !fits(*y, classes)) {
            None => Ok(()),
            Some(row) => Err(Error::invalid(format!(
                "label {} in row {row}; {:?} accepts {accepted}",
                labels[row], self.loss
            ))),
        }
    }

    /// Loss of a model of one output; NaN where it is not defined.
    #[inline]
    pub fn of_one(&self, y: f64, m: f64) -> f64 {
        match (self.loss, self.link) {
            (Loss::LogLoss, Link::Logistic(s)) => softplus(if y > 0.5 { -s * m } else { s * m }),
            (Loss::LogLoss, _) => minus_log(if y > 0.5 { m } else { 1.0 - m }),
            (Loss::Brier, link) => square(link.of(m) - y),
            (Loss::ZeroOne, link) => {
                let threshold = if link == Link::Probability { 0.5 } else { 0.0 };
                f64::from((m > threshold) != (y > 0.5))
            }
            (Loss::Squared, link) => square(y - link.of(m)),
            (Loss::Absolute, link) => (y - link.of(m)).abs(),
            (Loss::Pinball(a), link) => {
                let e = y - link.of(m);
                (a * e).max((a - 1.0) * e)
            }
            (Loss::PoissonDeviance, link) => {
                let p = link.of(m);
                let log = if y == 0.0 { 0.0 } else { y * libm::log(y / p) };
                positive(p, 2.0 * (log - y + p))
            }
            (Loss::GammaDeviance, link) => {
                let p = link.of(m);
                positive(p, 2.0 * (libm::log(p / y) + y / p - 1.0))
            }
        }
    }

    /// Loss of a model of several outputs, which are overwritten.
    pub fn of_many(&self, y: f64, margins: &mut [f64]) -> f64 {
        let label = (y as usize).min(margins.len() - 1);
        if self.loss == Loss::ZeroOne {
            let mut best = 0;
            for k in 1..margins.len() {
                if margins[k] > margins[best] {
                    best = k;
                }
            }
            return f64::from(best != label);
        }
        if self.loss == Loss::LogLoss && self.link == Link::Softmax {
            let top = margins.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
            let total: f64 = margins.iter().map(|m| libm::exp(m - top)).sum();
            return libm::log(total) + (top - margins[label]);
        }
        self.link.apply(margins);
        if self.loss == Loss::LogLoss {
            return minus_log(margins[label]);
        }
        let hit = |k: usize| f64::from(k == label);
        margins
            .iter()
            .enumerate()
            .map(|(k, p)| square(p - hit(k)))
            .sum()
    }

    /// An upper bound of the loss over labels and margins in these ranges; margins of all outputs.
    pub fn bound(&self, labels: (f64, f64), margins: (f64, f64), outputs: usize) -> f64 {
        match (self.loss, self.link) {
            // Nothing keeps leaves that call themselves probabilities between 0 and 1.
            (Loss::Brier, Link::Probability) => {
                outputs as f64 * square(1.0 + margins.0.abs().max(margins.1.abs()))
            }
            (Loss::Brier, _) if outputs == 1 => 1.0,
            (Loss::Brier, _) => outputs as f64,
            (Loss::ZeroOne, _) => 1.0,
            (Loss::LogLoss, Link::Softmax) => margins.1 - margins.0 + outputs as f64,
            (Loss::LogLoss, Link::Logistic(s)) => s * margins.0.abs().max(margins.1.abs()) + 1.0,
            (Loss::LogLoss, _) => 64.0,
            // Convex in the margin and in the label, hence largest in a corner; an undefined corner of
            // the deviances is caught where it is met.
            _ => [labels.0, labels.1]
                .iter()
                .flat_map(|y| [(*y, margins.0), (*y, margins.1)])
                .map(|(y, m)| self.of_one(y, m))
                .filter(|l| !l.is_nan())
                .fold(0.0, f64::max),
        }
    }
}

#[inline]
fn square(x: f64) -> f64 {
    x * x
}

#[inline]
fn positive(p: f64, value: f64) -> f64 {
    if p > 0.0 { value.max(0.0) } else { f64::NAN }
}

/// Minus the logarithm of a probability kept `2^-52` away from 0 and 1, as scikit-learn does.
#[inline]
fn minus_log(p: f64) -> f64 {
    -libm::log(p.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
}

#[inline]
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// Taylor coefficients of `ln(1 + exp(-t))` about the middles of cells of width 1/16 below 40.
///
/// The nearest singularity is pi away, so 8 terms leave less than 1e-17 of the value; a cell is one
/// cache line. A value takes a multiplication and an addition a term instead of two library calls.
static SOFTPLUS: OnceLock<Vec<[f64; 8]>> = OnceLock::new();
const CELLS: f64 = 16.0;
const END: f64 = 40.0;

/// The table that [`softplus_with`] reads.
pub fn softplus_table() -> &'static [[f64; 8]] {
    SOFTPLUS.get_or_init(|| {
        (0..(END * CELLS) as usize)
            .map(|i| {
                let e = libm::exp(-(i as f64 + 0.5) / CELLS);
                let s = e / (1.0 + e);
                // The k-th derivative is a polynomial in s: f' = -s and s' = -s (1 - s).
                let mut row = [libm::log1p(e), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
                let mut p = [0.0f64; 9];
                p[1] = -1.0;
                let mut factorial = 1.0;
                for (k, slot) in row.iter_mut().enumerate().skip(1) {
                    factorial *= k as f64;
                    *slot = p.iter().rev().fold(0.0, |a, c| a * s + c) / factorial;
                    let mut next = [0.0f64; 9];
                    for (d, c) in p.iter().enumerate().skip(1) {
                        next[d] -= d as f64 * c;
                        if d + 1 < next.len() {
                            next[d + 1] += d as f64 * c;
                        }
                    }
                    p = next;
                }
                row
            })
            .collect()
    })
}

/// `ln(1 + exp(x))` within 4 ulp.
#[inline]
pub fn softplus_with(table: &[[f64; 8]], x: f64) -> f64 {
    let t = x.abs();
    let cell = (t * CELLS) as usize;
    let tail = match table.get(cell) {
        Some(c) => {
            let r = t - (cell as f64 + 0.5) / CELLS;
            let r2 = r * r;
            let r4 = r2 * r2;
            (c[0] + c[1] * r)
                + (c[2] + c[3] * r) * r2
                + ((c[4] + c[5] * r) + (c[6] + c[7] * r) * r2) * r4
        }
        None => libm::exp(-t),
    };
    tail + if x > 0.0 { x } else { 0.0 }
}

/// `ln(1 + exp(x))` within 4 ulp.
#[inline]
pub fn softplus(x: f64) -> f64 {
    softplus_with(softplus_table(), x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn softplus_is_right_to_the_last_digits(x in prop_oneof![-45.0..45.0f64, -1.0..1.0f64, -1e3..1e3f64]) {
            let naive = if x > 0.0 { x + libm::log1p(libm::exp(-x)) } else { libm::log1p(libm::exp(x)) };
            prop_assert!((softplus(x) - naive).abs() <= 4.0 * f64::EPSILON * naive, "{x} {} {naive}", softplus(x));
        }
    }

    #[test]
    fn several_outputs_equal_one() {
        let one = Objective::new(Loss::LogLoss, Link::Logistic(1.0), 1).unwrap();
        let two = Objective::new(Loss::LogLoss, Link::Softmax, 2).unwrap();
        for m in [-30.0, -1.0, 0.0, 0.3, 12.0] {
            for y in [0.0, 1.0] {
                let (a, b) = (one.of_one(y, m), two.of_many(y, &mut [0.0, m]));
                assert!((a - b).abs() < 1e-13, "{m} {y} {a} {b}");
            }
        }
    }

    #[test]
    fn bounds_hold() {
        for loss in [
            Loss::Squared,
            Loss::Absolute,
            Loss::Pinball(0.2),
            Loss::PoissonDeviance,
            Loss::GammaDeviance,
        ] {
            let o = Objective::new(loss, Link::Exp, 1).unwrap();
            let bound = o.bound((0.5, 4.0), (-2.0, 1.5), 1);
            for i in 0..=20 {
                for j in 0..=20 {
                    let l = o.of_one(
                        0.5 + 3.5 * f64::from(i) / 20.0,
                        -2.0 + 3.5 * f64::from(j) / 20.0,
                    );
                    assert!(l <= bound * (1.0 + 1e-12), "{loss:?} {l} {bound}");
                }
            }
        }
    }
}
