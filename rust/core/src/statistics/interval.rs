//! Intervals that can be recomputed at any level, as multiplicity adjustment needs.

use crate::special::{normal_isf, student_two_sided, student_two_sided_isf};

/// What is needed to give an interval at any level. Every form covers sampling and certificate.
#[derive(Debug, Clone, PartialEq)]
pub enum Interval {
    /// Distances that are a largest difference of shares over sets, clipped to `[0, 1]`:
    /// `[low - bias - w, high + u]` with `w = sqrt((1/n + 1/m) ln(2/alpha) / 2)`.
    ///
    /// Upper limit: the true distance is attained on one fixed set, where the observed difference of
    /// shares is at most the value and has variance at most `(1/n + 1/m) / 4`; so
    /// `u = z sqrt(1/n + 1/m) / 2` plus a continuity correction `(1/n + 1/m) / 2`, and never more
    /// than Hoeffding's `w`. Lower limit: changing one row of n moves the distance by at most 1/n, so
    /// it holds by McDiarmid (1989) with `bias` an upper bound on the mean excess of the value. For
    /// `ks`, `bias` is 0: Massart's constant for the difference of two empirical processes, whose
    /// tail is largest when both distributions agree (variance as above, and Piterbarg's constant
    /// by the inequality of Cauchy and Schwarz).
    BoundedDifference {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// Upper bound on the expected excess of the value over the true distance.
        bias: f64,
        /// Sum of the reciprocal (effective) rows of both sides.
        inverse_rows: f64,
    },
    /// `[low - bias - z se, high + z se]` with `z` at level `alpha / comparisons`, clipped; limits
    /// are square roots of it when `root`.
    Normal {
        /// Certified bounds of the value, squared when `root`.
        bounds: (f64, f64),
        /// Expected excess of the value over the true one.
        bias: f64,
        /// Standard error.
        se: f64,
        /// Number of simultaneous statements (Bonferroni).
        comparisons: u32,
        /// Limits are square roots.
        root: bool,
        /// Range of the statistic.
        range: (f64, f64),
    },
    /// `value -+ t se` with Student's distribution.
    Student {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// Standard error.
        se: f64,
        /// Degrees of freedom.
        df: f64,
    },
    /// Absolute difference of two shares: Newcombe (1998), method 10, folded at 0.
    AbsoluteDifference {
        /// Successes and (effective) rows of the reference.
        reference: (f64, f64),
        /// Successes and (effective) rows of the current sample.
        current: (f64, f64),
    },
    /// A probability between certified bounds, as a share of so many (effective) rows: Wilson (1927).
    Wilson {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// Rows whose share would have the same standard error.
        rows: f64,
    },
    /// A share of the current rows, between certified counts, judged beside an expected share:
    /// Newcombe's margins for the difference of both, laid around the share.
    Share {
        /// Certified bounds of the successes.
        successes: (f64, f64),
        /// Current (effective) rows.
        rows: f64,
        /// Successes and rows behind the expected share; none: the share alone (Wilson 1927).
        expected: Option<(f64, f64)>,
    },
    /// Another interval, whose errors are estimated from blocks: its level is the one at which a
    /// normal quantile is Student's, times the root of the inflation.
    Clustered {
        /// The interval as if the errors were known.
        inner: Box<Interval>,
        /// Degrees of freedom of the errors.
        df: f64,
        /// How much larger the variance is than the inner interval takes it to be.
        inflation: f64,
    },
    /// Interval of a metric.
    Metric(Box<crate::metrics::Interval>),
}

impl Interval {
    /// Limits at confidence level `1 - alpha`.
    pub fn at(&self, alpha: f64) -> (f64, f64) {
        match *self {
            Interval::BoundedDifference {
                bounds,
                bias,
                inverse_rows,
            } => {
                let w = mcdiarmid(inverse_rows, alpha);
                let normal = 0.5 * (two_sided(alpha) * libm::sqrt(inverse_rows) + inverse_rows);
                (
                    (bounds.0 - bias - w).max(0.0),
                    (bounds.1 + w.min(normal)).min(1.0),
                )
            }
            Interval::Normal {
                bounds,
                bias,
                se,
                comparisons,
                root,
                range,
            } => {
                let z = two_sided(alpha / f64::from(comparisons.max(1)));
                let (low, high) = (bounds.0 - bias - spread(z, se), bounds.1 + spread(z, se));
                let (low, high) = if root {
                    (libm::sqrt(low.max(0.0)), libm::sqrt(high.max(0.0)))
                } else {
                    (low, high)
                };
                (low.max(range.0), high.min(range.1))
            }
            Interval::Student { bounds, se, df } => {
                let t = student_two_sided_isf(alpha, df);
                (bounds.0 - spread(t, se), bounds.1 + spread(t, se))
            }
            Interval::AbsoluteDifference { reference, current } => {
                let (low, high) = newcombe(reference, current, two_sided(alpha));
                let far = low.abs().max(high.abs()).min(1.0);
                (
                    if low <= 0.0 && high >= 0.0 {
                        0.0
                    } else {
                        low.abs().min(high.abs())
                    },
                    far,
                )
            }
            Interval::Wilson { bounds, rows } => {
                let z = two_sided(alpha);
                (
                    wilson_share(bounds.0, rows, z).0.min(bounds.0),
                    wilson_share(bounds.1, rows, z).1.max(bounds.1),
                )
            }
            Interval::Share {
                successes,
                rows,
                expected,
            } => {
                let z = two_sided(alpha);
                let side = |x: f64| match expected {
                    None => wilson(x, rows, z),
                    Some(base) => {
                        let (low, high) = newcombe(base, (x, rows), z);
                        let p = base.0 / base.1;
                        (p + low, p + high)
                    }
                };
                (
                    side(successes.0).0.clamp(0.0, 1.0),
                    side(successes.1).1.clamp(0.0, 1.0),
                )
            }
            Interval::Metric(ref inner) => inner.at(alpha),
            Interval::Clustered {
                ref inner,
                df,
                inflation,
            } => inner.at(clustered_level(alpha, df, inflation)),
        }
    }

    /// The interval with certified bounds wider by `error`.
    pub(crate) fn loosened(mut self, error: f64) -> Self {
        match &mut self {
            Interval::BoundedDifference { bounds, .. }
            | Interval::Student { bounds, .. }
            | Interval::Wilson { bounds, .. } => {
                *bounds = (bounds.0 - error, bounds.1 + error);
            }
            Interval::Normal { bounds, root, .. } => {
                let own = if *root {
                    // The square of what lies within the error of the root.
                    2.0 * error * libm::sqrt(bounds.1) + error * error
                } else {
                    error
                };
                *bounds = (bounds.0 - own, bounds.1 + own);
            }
            Interval::Share {
                successes, rows, ..
            } => {
                let own = error * *rows;
                *successes = ((successes.0 - own).max(0.0), (successes.1 + own).min(*rows));
            }
            Interval::Clustered { inner, .. } => {
                **inner = (**inner).clone().loosened(error);
            }
            // Newcombe's margins are wider than any rounding of weights.
            Interval::AbsoluteDifference { .. } | Interval::Metric(_) => {}
        }
        self
    }

    /// Smallest shift that can be told from none: the certified width plus the distance that a
    /// value must keep from 0 (or from its centre) for its lower limit to exceed it.
    pub fn margin(&self, alpha: f64) -> f64 {
        match *self {
            Interval::BoundedDifference {
                bounds,
                bias,
                inverse_rows,
            } => (bounds.1 - bounds.0 + bias + mcdiarmid(inverse_rows, alpha)).min(1.0),
            Interval::Normal {
                bounds,
                bias,
                se,
                comparisons,
                root,
                ..
            } => {
                let z = two_sided(alpha / f64::from(comparisons.max(1)));
                let squared = bounds.1 - bounds.0 + bias + spread(z, se);
                if root { libm::sqrt(squared) } else { squared }
            }
            Interval::Student { bounds, se, df } => {
                bounds.1 - bounds.0 + spread(student_two_sided_isf(alpha, df), se)
            }
            Interval::AbsoluteDifference { reference, current } => {
                let (low, high) = newcombe(reference, current, two_sided(alpha));
                0.5 * (high - low)
            }
            Interval::Wilson { .. } | Interval::Share { .. } | Interval::Metric(_) => {
                let (low, high) = self.at(alpha);
                0.5 * (high - low)
            }
            Interval::Clustered {
                ref inner,
                df,
                inflation,
            } => inner.margin(clustered_level(alpha, df, inflation)),
        }
    }

    /// Smallest level at which `|x - centre|` over the interval stays above `threshold`: the
    /// p-value of the test against a tolerance. 1 when no level does.
    pub fn tolerance_pvalue(&self, threshold: f64, centre: Option<f64>) -> f64 {
        if let Interval::Clustered {
            inner,
            df,
            inflation,
        } = self
        {
            // The level of the inner interval, read back as one of Student's distribution.
            let p = inner.tolerance_pvalue(threshold, centre);
            let quantile = normal_isf(0.5 * p) / libm::sqrt(*inflation);
            return if p < 1.0 {
                student_two_sided(quantile, *df)
            } else {
                1.0
            };
        }
        let above = |log_alpha: f64| fold(self.at(libm::exp(log_alpha)), centre).0 > threshold;
        let (mut low, mut high) = (-690.0, 0.0);
        if !above(high) {
            return 1.0;
        }
        if above(low) {
            return libm::exp(low);
        }
        for _ in 0..50 {
            let middle = 0.5 * (low + high);
            if above(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        libm::exp(high)
    }
}

/// Interval of `|x - centre|` from the interval of `x`; unchanged without a centre.
pub(crate) fn fold((low, high): (f64, f64), centre: Option<f64>) -> (f64, f64) {
    let Some(centre) = centre else {
        return (low, high);
    };
    let (a, b) = (low - centre, high - centre);
    let near = if a <= 0.0 && b >= 0.0 {
        0.0
    } else {
        a.abs().min(b.abs())
    };
    (near, a.abs().max(b.abs()))
}

/// Half-width of McDiarmid's interval at level `alpha`, two-sided.
pub(crate) fn mcdiarmid(inverse_rows: f64, alpha: f64) -> f64 {
    libm::sqrt(0.5 * inverse_rows * libm::log(2.0 / alpha))
}

/// The level whose normal quantile is Student's at `alpha`, times the inflated deviation.
fn clustered_level(alpha: f64, df: f64, inflation: f64) -> f64 {
    let quantile = student_two_sided_isf(alpha, df) * libm::sqrt(inflation);
    // Levels below the smallest normal double have no quantile.
    (2.0 * crate::special::normal_sf(quantile)).max(f64::MIN_POSITIVE)
}

/// Two-sided normal quantile.
fn two_sided(alpha: f64) -> f64 {
    normal_isf(0.5 * alpha).max(0.0)
}

/// `z * se`, 0 where there is no spread at all.
fn spread(z: f64, se: f64) -> f64 {
    if se == 0.0 { 0.0 } else { z * se }
}

/// Wilson (1927) limits of a share; the limits at 0 and at all rows are exact.
fn wilson(x: f64, n: f64, z: f64) -> (f64, f64) {
    wilson_share((x / n).min(1.0), n, z)
}

/// The same from a share of `n` rows, whole or not.
fn wilson_share(p: f64, n: f64, z: f64) -> (f64, f64) {
    let z2 = z * z;
    let centre = p + z2 / (2.0 * n);
    let half = z * libm::sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n));
    let scale = 1.0 + z2 / n;
    (
        if p == 0.0 {
            0.0
        } else {
            ((centre - half) / scale).clamp(0.0, p)
        },
        if p >= 1.0 {
            1.0
        } else {
            ((centre + half) / scale).clamp(p, 1.0)
        },
    )
}

/// Newcombe (1998), Statistics in Medicine 17, method 10: limits of current minus reference.
fn newcombe(reference: (f64, f64), current: (f64, f64), z: f64) -> (f64, f64) {
    let p = reference.0 / reference.1;
    let q = current.0 / current.1;
    let (pl, pu) = wilson(reference.0, reference.1, z);
    let (ql, qu) = wilson(current.0, current.1, z);
    let difference = q - p;
    (
        difference - libm::hypot(q - ql, pu - p),
        difference + libm::hypot(qu - q, p - pl),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcombe_matches_the_paper() {
        // Newcombe (1998), table II, (a) 56/70 - 48/80, method 10: 0.0524 to 0.3339.
        let (low, high) = newcombe((48.0, 80.0), (56.0, 70.0), 1.959_963_984_540_054);
        assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5);
    }

    #[test]
    fn tolerance_pvalue_inverts_the_interval() {
        let interval = Interval::BoundedDifference {
            bounds: (0.3, 0.31),
            bias: 0.01,
            inverse_rows: 0.002,
        };
        let p = interval.tolerance_pvalue(0.1, None);
        assert!((interval.at(p).0 - 0.1).abs() < 1e-9);
        assert_eq!(interval.tolerance_pvalue(0.5, None), 1.0);
        let clustered = Interval::Clustered {
            inner: Box::new(interval.clone()),
            df: 12.0,
            inflation: 1.5,
        };
        let p = clustered.tolerance_pvalue(0.1, None);
        assert!((clustered.at(p).0 - 0.1).abs() < 1e-9);
        assert_eq!(clustered.tolerance_pvalue(0.5, None), 1.0);
        let signed = Interval::Student {
            bounds: (-2.0, -2.0),
            se: 0.5,
            df: 40.0,
        };
        let p = signed.tolerance_pvalue(0.0, Some(0.0));
        assert!((p / crate::special::student_two_sided(4.0, 40.0) - 1.0).abs() < 1e-6);
    }
}
