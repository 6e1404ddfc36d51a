//! Intervals of metrics, at any level.
//!
//! Rows are taken as independent draws unless a design effect says otherwise: it divides the
//! effective number of rows, and so multiplies the variance.

use super::weight::Amount;
use crate::special::{normal_isf, student_two_sided_isf};
use crate::statistics::Interval as Difference;

/// Scale on which an estimate is taken as normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The value itself.
    Identity,
    /// `ln x`.
    Log,
    /// `ln (1 - x)`.
    LogComplement,
    /// `ln (x / (1 - x))`.
    Logit,
    /// `atanh x`, Fisher's z.
    Atanh,
}

impl Scale {
    fn to(self, x: f64) -> f64 {
        match self {
            Scale::Identity => x,
            Scale::Log => libm::log(x),
            Scale::LogComplement => -libm::log1p(-x),
            Scale::Logit => libm::log(x) - libm::log1p(-x),
            Scale::Atanh => libm::atanh(x),
        }
    }
    fn from(self, t: f64) -> f64 {
        match self {
            Scale::Identity => t,
            Scale::Log => libm::exp(t),
            Scale::LogComplement => -libm::expm1(-t),
            Scale::Logit => {
                if t > 0.0 {
                    1.0 / (1.0 + libm::exp(-t))
                } else {
                    let e = libm::exp(t);
                    e / (1.0 + e)
                }
            }
            Scale::Atanh => libm::tanh(t),
        }
    }
    /// Derivative of the scale at `x`.
    pub(super) fn slope(self, x: f64) -> f64 {
        match self {
            Scale::Identity => 1.0,
            Scale::Log => 1.0 / x,
            Scale::LogComplement => 1.0 / (1.0 - x),
            Scale::Logit => 1.0 / (x * (1.0 - x)),
            Scale::Atanh => 1.0 / (1.0 - x * x),
        }
    }
}

/// An estimated share with its effective number of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The share.
    pub p: f64,
    /// Effective rows: those of a simple sample with the same variance.
    pub n: f64,
}

impl Share {
    /// Share of `success` in `success + failure`; none without weight.
    pub(super) fn of(success: Amount, failure: Amount, design_effect: f64) -> Option<Self> {
        let total = success + failure;
        if total.w <= 0.0 {
            return None;
        }
        let p = success.w / total.w;
        let q = failure.w / total.w;
        // Linearised variance of a ratio of weighted sums; Kish where it is 0.
        let variance = (success.w2 * q * q + failure.w2 * p * p) / total.w / total.w;
        let n = if variance > 0.0 {
            p * q / variance
        } else {
            total.effective()
        };
        Some(Share {
            p,
            n: n / design_effect,
        })
    }

    /// Wilson (1927) limits, for real numbers of rows.
    pub(super) fn wilson(self, z: f64) -> (f64, f64) {
        let Share { p, n } = self;
        let z2 = z * z;
        if n <= 0.0 || !z2.is_finite() {
            return (0.0, 1.0);
        }
        let centre = p + z2 / (2.0 * n);
        let half = z * libm::sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n));
        let scale = 1.0 + z2 / n;
        (
            if p <= 0.0 {
                0.0
            } else {
                ((centre - half) / scale).min(p).max(0.0)
            },
            if p >= 1.0 {
                1.0
            } else {
                ((centre + half) / scale).max(p).min(1.0)
            },
        )
    }
}

/// What is needed to give a metric's interval at any level.
#[derive(Debug, Clone, PartialEq)]
pub enum Interval {
    /// Wilson's limits of a share.
    Wilson(Share),
    /// F1 as `2 j / (1 + j)` of the share `j` of true positives among all that are not true
    /// negatives, with Wilson's limits of `j` (Hand, Christen and Kirielle 2021: F*).
    WilsonF1(Share),
    /// Sum of `c p` over independent shares: square-and-add limits from Wilson's (Newcombe 1998,
    /// method 10; MOVER, Zou and Donner 2008).
    Mover(Vec<(f64, Share)>),
    /// Ratio of two independent shares from Wilson's limits (MOVER-R, Donner and Zou 2012).
    Ratio {
        /// Share above the line.
        numerator: Share,
        /// Share below the line.
        denominator: Share,
    },
    /// Normal (or Student's) on a scale, about the certified bounds.
    Scaled {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// Expected excess of the value over the true one, taken off the lower limit.
        bias: f64,
        /// Standard error on the scale.
        se: f64,
        /// Degrees of freedom; none: normal.
        df: Option<f64>,
        /// The scale.
        scale: Scale,
        /// Range of the metric.
        range: (f64, f64),
    },
    /// Score limits of an area under the ROC curve (Newcombe 2006, method 5), mapped to
    /// `2 A - 1` for `gini`.
    Area {
        /// Certified bounds of the area.
        bounds: (f64, f64),
        /// Effective rows of the two classes.
        rows: (f64, f64),
        /// Whether the metric is `2 A - 1`.
        gini: bool,
    },
    /// Limits of a largest difference of shares.
    Difference(Difference),
    /// Another interval times a positive number.
    Times(f64, Box<Interval>),
    /// Difference of two independent estimates, current minus reference, from the interval of each:
    /// square-and-add (MOVER, Zou and Donner 2008).
    Change {
        /// Value and interval of the reference.
        reference: (f64, Box<Interval>),
        /// Value and interval of the current sample.
        current: (f64, Box<Interval>),
    },
    /// Another interval, widened to cover certified bounds.
    Covering((f64, f64), Box<Interval>),
}

impl Interval {
    /// Limits at confidence level `1 - alpha`.
    pub fn at(&self, alpha: f64) -> (f64, f64) {
        let z = normal_isf(0.5 * alpha).max(0.0);
        match self {
            Interval::Wilson(share) => share.wilson(z),
            Interval::WilsonF1(share) => {
                let (low, high) = share.wilson(z);
                (2.0 * low / (1.0 + low), 2.0 * high / (1.0 + high))
            }
            Interval::Mover(terms) => {
                let (mut value, mut below, mut above) = (0.0, 0.0, 0.0);
                for (c, share) in terms {
                    let (low, high) = share.wilson(z);
                    let (down, up) = (c * (share.p - low), c * (high - share.p));
                    let (down, up) = if *c < 0.0 { (-up, -down) } else { (down, up) };
                    value += c * share.p;
                    below += down * down;
                    above += up * up;
                }
                (value - libm::sqrt(below), value + libm::sqrt(above))
            }
            Interval::Ratio {
                numerator,
                denominator,
            } => ratio(*numerator, *denominator, z),
            Interval::Scaled {
                bounds,
                bias,
                se,
                df,
                scale,
                range,
            } => {
                let factor = match df {
                    Some(df) => student_two_sided_isf(alpha, *df),
                    None => z,
                };
                let reach = if *se == 0.0 { 0.0 } else { factor * se };
                let (low, high) = (
                    scale.from(scale.to(bounds.0 - bias) - reach),
                    scale.from(scale.to(bounds.1) + reach),
                );
                // A bound at the end of the scale is its own limit.
                let or = |x: f64, own: f64| if x.is_nan() { own } else { x };
                (
                    or(low, bounds.0).min(bounds.0).max(range.0),
                    or(high, bounds.1).max(bounds.1).min(range.1),
                )
            }
            Interval::Area { bounds, rows, gini } => {
                let low = area(bounds.0, *rows, z);
                let high = 1.0 - area(1.0 - bounds.1, *rows, z);
                if *gini {
                    (2.0 * low - 1.0, 2.0 * high - 1.0)
                } else {
                    (low, high)
                }
            }
            Interval::Difference(inner) => inner.at(alpha),
            Interval::Times(factor, inner) => {
                let (low, high) = inner.at(alpha);
                (factor * low, factor * high)
            }
            Interval::Change { reference, current } => {
                let ((x, inner_x), (y, inner_y)) = (reference, current);
                let ((lx, ux), (ly, uy)) = (inner_x.at(alpha), inner_y.at(alpha));
                let difference = y - x;
                (
                    difference - libm::hypot(y - ly, ux - x),
                    difference + libm::hypot(uy - y, x - lx),
                )
            }
            Interval::Covering(bounds, inner) => {
                let (low, high) = inner.at(alpha);
                (low.min(bounds.0), high.max(bounds.1))
            }
        }
    }
}

/// Donner and Zou (2012), Statistical Methods in Medical Research 21, equation 4, for independent
/// estimates with asymmetric limits.
fn ratio(x: Share, y: Share, z: f64) -> (f64, f64) {
    let ((lx, ux), (ly, uy)) = (x.wilson(z), y.wilson(z));
    let root = |p: f64, q: f64, limit: f64, other: f64, sign: f64| {
        // The roots of (p - t q)^2 = (p - limit)^2 + t^2 (q - other)^2 in t.
        let a = 2.0 * other * q - other * other;
        let b = p * q;
        let c = limit * (2.0 * p - limit);
        (b + sign * libm::sqrt((b * b - c * a).max(0.0))) / a
    };
    let low = if x.p <= 0.0 {
        0.0
    } else {
        root(x.p, y.p, lx, uy, -1.0)
    };
    let high = if ly <= 0.0 {
        f64::INFINITY
    } else {
        root(x.p, y.p, ux, ly, 1.0)
    };
    (low.max(0.0), high)
}

/// Lower limit of an area `a`: the smallest `t` with `a - t = z sqrt(V(t))`.
fn area(a: f64, (m, n): (f64, f64), z: f64) -> f64 {
    if a <= 0.0 || m <= 0.0 || n <= 0.0 {
        return 0.0;
    }
    let star = 0.5 * (m + n) - 1.0;
    let excess = |t: f64| {
        let v = t * (1.0 - t) * (1.0 + star * ((1.0 - t) / (2.0 - t) + t / (1.0 + t))) / (m * n);
        a - t - z * libm::sqrt(v.max(0.0))
    };
    // At a itself the excess is not above 0; where it is 0 (a = 1), look below.
    let (mut low, mut high) = (0.0, a - 1e-9 * a);
    if excess(high) > 0.0 {
        return high;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if excess(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mover_is_newcombe_for_a_difference() {
        // Newcombe (1998), table II, (a) 56/70 - 48/80, method 10: 0.0524 to 0.3339.
        let (p, q) = (Share { p: 0.8, n: 70.0 }, Share { p: 0.6, n: 80.0 });
        let (low, high) = Interval::Mover(vec![(1.0, p), (-1.0, q)]).at(0.05);
        assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5);
    }

    #[test]
    fn ratio_inverts_the_difference() {
        // At a limit t of the ratio, 0 is the limit of x - t y.
        let (x, y) = (Share { p: 0.3, n: 90.0 }, Share { p: 0.5, n: 120.0 });
        let (low, high) = Interval::Ratio {
            numerator: x,
            denominator: y,
        }
        .at(0.05);
        assert!(low < 0.6 && high > 0.6);
        for (t, upper) in [(low, false), (high, true)] {
            let limits = Interval::Mover(vec![(1.0, x), (-t, y)]).at(0.05);
            let at = if upper { limits.1 } else { limits.0 };
            assert!(at.abs() < 1e-9, "{t} {limits:?}");
        }
    }

    #[test]
    fn a_perfect_area_has_a_lower_limit() {
        let interval = Interval::Area {
            bounds: (1.0, 1.0),
            rows: (20.0, 20.0),
            gini: false,
        };
        let (low, high) = interval.at(0.05);
        assert!((0.8..0.95).contains(&low) && high == 1.0, "{low} {high}");
    }

    #[test]
    fn scales_come_back() {
        for scale in [
            Scale::Identity,
            Scale::Log,
            Scale::LogComplement,
            Scale::Logit,
            Scale::Atanh,
        ] {
            for x in [0.01, 0.5, 0.99] {
                assert!((scale.from(scale.to(x)) - x).abs() < 1e-14);
                let h = 1e-6;
                let slope = (scale.to(x + h) - scale.to(x - h)) / (2.0 * h);
                assert!((slope / scale.slope(x) - 1.0).abs() < 1e-4, "{scale:?} {x}");
            }
        }
    }
}
