//! Variation of the label and of the residual about it: what R2 and its variance need.

use crate::Result;
use crate::codec::{Reader, Writer};
use crate::states::exact_sum::Sum;

/// Powers `(a, b)` of the sums of `w^2 e^(2a) d^b` in [`Variation::mixed`].
const POWERS: [(i32, i32); 9] = [
    (0, 0),
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 4),
    (1, 0),
    (1, 1),
    (1, 2),
    (2, 0),
];

/// Sums over rows of the residual `e = y - f` and of `d = y - c`, the label about the plan's centre.
///
/// Each term is rounded as a function of its row; the sums are exact.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Variation {
    /// `w e^2`, `w d`, `w d^2`.
    plain: [Sum; 3],
    mixed: [Sum; 9],
}

/// R2 in floats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ratio {
    /// Residual and total sum of squares.
    pub residual: f64,
    pub total: f64,
    /// Variance of the logarithm of `residual / total` (delta method).
    pub variance_log: f64,
}

impl Variation {
    /// Adds a row with finite label and prediction and a relative weight.
    pub(super) fn add(&mut self, y: f64, f: f64, center: f64, w: f64) {
        let (e, d) = (y - f, y - center);
        for (sum, x) in self.plain.iter_mut().zip([w * (e * e), w * d, w * (d * d)]) {
            sum.add_f64(
                if x.is_nan() {
                    0.0
                } else {
                    x.clamp(-f64::MAX, f64::MAX)
                },
                1,
            );
        }
        for (sum, (a, b)) in self.mixed.iter_mut().zip(POWERS) {
            let x = power(w * e * e, a) * power(d, b) * power(w, 2 - a);
            sum.add_f64(if x.is_finite() { x } else { 0.0 }, 1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let own = self.plain.iter_mut().chain(&mut self.mixed);
        for (a, b) in own.zip(other.plain.iter().chain(&other.mixed)) {
            a.merge(b);
        }
    }

    /// The sums of squares over rows of weight `total`.
    pub(super) fn ratio(&self, total: f64) -> Ratio {
        let [residual, sum, square] = [0, 1, 2].map(|i| self.plain[i].to_f64());
        let shift = sum / total;
        let variation = (square - sum * shift).max(0.0);
        let m = self.mixed.each_ref().map(Sum::to_f64);
        // d about the mean: d - shift.
        let s = shift;
        let d4 = m[4] - 4.0 * s * m[3] + 6.0 * s * s * m[2] - 4.0 * s * s * s * m[1]
            + s * s * s * s * m[0];
        let ed = m[7] - 2.0 * s * m[6] + s * s * m[5];
        // The influence of a row on ln(SSE / SST) is e^2 / SSE - d^2 / SST.
        let variance_log = m[8] / residual / residual - 2.0 * ed / residual / variation
            + d4 / variation / variation;
        Ratio {
            residual,
            total: variation,
            variance_log: variance_log.max(0.0),
        }
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        self.plain
            .iter()
            .chain(&self.mixed)
            .for_each(|s| s.encode(w));
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let mut state = Self::default();
        for s in state.plain.iter_mut().chain(&mut state.mixed) {
            *s = Sum::decode(r)?;
        }
        Ok(state)
    }
}

fn power(x: f64, n: i32) -> f64 {
    (0..n).fold(1.0, |p, _| p * x)
}
