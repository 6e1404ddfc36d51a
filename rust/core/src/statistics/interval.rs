//! Intervals that can be recomputed at any level, as multiplicity adjustment needs.

use crate::special::{kuiper_sf, normal_isf, normal_sf, student_two_sided, student_two_sided_isf};

/// What is needed to give an interval at any level. Every form covers sampling and certificate.
#[derive(Debug, Clone, PartialEq)]
pub enum Interval {
    /// Distances that are a largest difference of shares over sets, clipped to `[0, 1]`:
    /// `[low - w, high + u]`.
    ///
    /// Lower limit: the value exceeds the true distance by no more than the same distance of the noise
    /// alone, whose tail is largest when both distributions agree: `w` is a quantile of that tail.
    /// Upper limit: the true distance is attained on one fixed set, where the observed difference of
    /// shares is at most the value and has variance at most `(1/n + 1/m) / 4`; so
    /// `u = z sqrt(1/n + 1/m) / 2` plus a continuity correction `(1/n + 1/m) / 2`, and never more
    /// than Hoeffding's `sqrt((1/n + 1/m) ln(2/alpha) / 2)`.
    BoundedDifference {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// What the noise is.
        noise: Noise,
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
    /// Distances that are quadratic near 0: over `bias / df` the value is a chi-square with `df`
    /// degrees of freedom and a noncentrality, which the limits invert (Sankaran 1963, whose normal
    /// deviates are scaled to the delta method's variance). The share `alpha` of misses belongs to the
    /// lower limit where nothing changed, so that 0 is left out exactly when a test at that level
    /// rejects, and in halves to both limits from two standard deviations on.
    Quadratic {
        /// Certified bounds of the value, squared when `root`.
        bounds: (f64, f64),
        /// Mean of the value when nothing changed.
        bias: f64,
        /// Degrees of freedom: twice the squared mean over the variance, when nothing changed.
        df: f64,
        /// Variance by the delta method over that of the chi-square, off the null.
        ratio: f64,
        /// Part of the mean that may be there where the samples differ as much: not taken off above.
        open: f64,
        /// Limits are square roots.
        root: bool,
        /// Range of the statistic.
        range: (f64, f64),
    },
    /// The largest of five absolute differences, whose limits are known at several normal quantiles.
    /// Limits as for `LargestShare`.
    Largest {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// The differences.
        differences: Box<[Difference; 5]>,
    },
    /// The largest of several absolute differences of shares, normal with known deviations.
    ///
    /// Above, the true largest belongs to one of them, so that no limit of a single one is exceeded more
    /// often. Below, a true value is left out where the chances of all differences to get as far as
    /// the observed largest add up to less than the level (Bonferroni), with true differences in
    /// proportion to those observed: where nothing changed all of them count, far off only the largest.
    /// Misses belong to the limits as for `Quadratic`.
    LargestShare {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// Absolute differences and their standard deviations.
        cells: Box<[(f64, f64)]>,
    },
    /// Sums of absolute differences (see `folded`): at a true value the sum has the mean and standard
    /// deviation interpolated between points, and about the distribution of a chi. Misses belong to the
    /// limits as for `Quadratic`.
    Folded {
        /// Certified bounds of the value.
        bounds: (f64, f64),
        /// True value, mean and standard deviation, ascending from 0; from the last one on the mean
        /// grows with the true value.
        points: [[f64; 3]; 5],
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
                noise,
                inverse_rows,
            } => {
                let normal = 0.5 * (two_sided(alpha) * libm::sqrt(inverse_rows) + inverse_rows);
                let up = normal.min(mcdiarmid(inverse_rows, alpha));
                (
                    (bounds.0 - noise.quantile(inverse_rows, alpha)).max(0.0),
                    (bounds.1 + up).min(1.0),
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
            Interval::Quadratic {
                bounds,
                bias,
                df,
                ratio,
                open,
                root,
                range,
            } => {
                let (low, high) = match Noncentral::new(bias, df, ratio) {
                    None => bounds,
                    Some(n) => (
                        n.lower(bounds.0, alpha).min(bounds.0),
                        n.along().upper(bounds.1 + open, alpha).max(bounds.1),
                    ),
                };
                let (low, high) = if root {
                    (libm::sqrt(low.max(0.0)), libm::sqrt(high.max(0.0)))
                } else {
                    (low, high)
                };
                (low.max(range.0), high.min(range.1))
            }
            Interval::Largest {
                bounds,
                ref differences,
            } => {
                let z = two_sided(alpha);
                let high = differences.iter().map(|d| fold(d.at(z), Some(0.0)).1);
                (
                    Tails::of_differences(&differences[..]).lower(bounds.0, alpha),
                    high.fold(bounds.1, f64::max),
                )
            }
            Interval::LargestShare { bounds, ref cells } => {
                let z = two_sided(alpha);
                let high = cells.iter().map(|c| c.0 + spread(z, c.1));
                (
                    Tails::of_shares(cells).lower(bounds.0, alpha),
                    high.fold(bounds.1, f64::max).min(1.0),
                )
            }
            Interval::Folded {
                bounds,
                points,
                range,
            } => {
                let f = Folded(points);
                let low = f.lower(bounds.0, alpha).min(bounds.0);
                let high = f.upper(bounds.1, alpha).max(bounds.1);
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
            | Interval::Folded { bounds, .. }
            | Interval::Student { bounds, .. }
            | Interval::LargestShare { bounds, .. }
            | Interval::Wilson { bounds, .. } => {
                *bounds = (bounds.0 - error, bounds.1 + error);
            }
            Interval::Normal { bounds, root, .. } | Interval::Quadratic { bounds, root, .. } => {
                let own = if *root {
                    // The square of what lies within the error of the root.
                    error * (2.0 * libm::sqrt(bounds.1) + error)
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
            Interval::Largest {
                bounds,
                differences,
            } => {
                *bounds = (bounds.0 - error, bounds.1 + error);
                for difference in differences.iter_mut() {
                    difference.low -= error;
                    difference.high += error;
                }
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
                noise,
                inverse_rows,
            } => (bounds.1 - bounds.0 + noise.quantile(inverse_rows, alpha)).min(1.0),
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
            Interval::Quadratic {
                bounds,
                bias,
                df,
                ratio,
                root,
                ..
            } => {
                let own = Noncentral::new(bias, df, ratio).map_or(0.0, |n| n.least(alpha));
                let squared = bounds.1 - bounds.0 + own;
                if root { libm::sqrt(squared) } else { squared }
            }
            Interval::Largest {
                bounds,
                ref differences,
            } => bounds.1 - bounds.0 + Tails::of_differences(&differences[..]).least(alpha),
            Interval::LargestShare { bounds, ref cells } => {
                (bounds.1 - bounds.0 + Tails::of_shares(cells).least(alpha)).min(1.0)
            }
            Interval::Folded { bounds, points, .. } => {
                bounds.1 - bounds.0 + Folded(points).least(alpha)
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
        if let Interval::Quadratic {
            bounds,
            bias,
            df,
            ratio,
            root,
            ..
        } = *self
            && let Some(n) = Noncentral::new(bias, df, ratio)
        {
            let threshold = if root {
                threshold * threshold.abs()
            } else {
                threshold
            };
            return n.tolerance_pvalue(bounds.0, threshold);
        }
        if let Interval::BoundedDifference {
            bounds,
            noise,
            inverse_rows,
        } = *self
            && centre.is_none()
        {
            return if threshold < 0.0 {
                0.0
            } else {
                noise.tail((bounds.0 - threshold) / libm::sqrt(inverse_rows))
            };
        }
        if let (Interval::LargestShare { bounds, cells }, None) = (self, centre) {
            return Tails::of_shares(cells).tolerance_pvalue(bounds.0, threshold);
        }
        if let Interval::Folded { bounds, points, .. } = *self {
            return Folded(points).tolerance_pvalue(bounds.0, threshold);
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

/// A multiple of a noncentral chi-square whose noncentrality is asked for.
#[derive(Clone, Copy)]
struct Noncentral {
    scale: f64,
    df: f64,
    ratio: f64,
}

impl Noncentral {
    /// None where the value does not vary.
    fn new(bias: f64, df: f64, ratio: f64) -> Option<Self> {
        let scale = bias / df;
        let ratio = if ratio.is_finite() && ratio > 0.0 {
            ratio
        } else {
            1.0
        };
        (scale > 0.0 && scale.is_finite() && df.is_finite()).then_some(Noncentral {
            scale,
            df,
            ratio,
        })
    }

    /// Where the value varies more in the direction it moved than elsewhere, the chi-square of that
    /// direction: with its scale, and as many degrees of freedom as keep the mean.
    fn along(self) -> Self {
        if self.ratio <= 1.0 {
            return self;
        }
        Noncentral {
            scale: self.scale * self.ratio,
            df: self.df / self.ratio,
            ratio: 1.0,
        }
    }

    /// Normal deviate of the value `x` (in units of the scale): Sankaran (1963), his second form.
    fn deviate(self, x: f64, noncentrality: f64) -> f64 {
        let (r, l) = (self.df, noncentrality);
        let second = r + 2.0 * l;
        let h = 1.0 - 2.0 * (r + l) * (r + 3.0 * l) / (3.0 * second * second);
        let p = second / ((r + l) * (r + l));
        let m = (h - 1.0) * (1.0 - 3.0 * h);
        let mean = 1.0 + h * p * (h - 1.0 - 0.5 * (2.0 - h) * m * p);
        let deviation = h * libm::sqrt(2.0 * p) * (1.0 + 0.5 * m * p);
        let z = (libm::pow(x.max(0.0) / (r + l), h) - mean) / deviation;
        z * libm::sqrt((r + 2.0 * l) / (r + 2.0 * l * self.ratio))
    }

    /// Share of the misses that belongs to the upper limit.
    fn above(self, noncentrality: f64) -> f64 {
        0.5 * (noncentrality / libm::sqrt(8.0 * self.df)).min(1.0)
    }

    /// The smallest value that is not surprisingly large for it.
    fn lower(self, value: f64, alpha: f64) -> f64 {
        let x = value / self.scale;
        let fits = |l: f64| normal_sf(self.deviate(x, l)) >= alpha * (1.0 - self.above(l));
        self.scale * cross_over(x, fits)
    }

    /// The largest value that is not surprisingly small for it.
    fn upper(self, value: f64, alpha: f64) -> f64 {
        let x = value / self.scale;
        let fails = |l: f64| normal_sf(-self.deviate(x, l)) < alpha * self.above(l);
        self.scale * cross_over(x.max(self.df), fails)
    }

    /// The smallest value whose lower limit is not 0.
    fn least(self, alpha: f64) -> f64 {
        self.scale * cross_over(self.df, |x| normal_sf(self.deviate(x, 0.0)) < alpha)
    }

    /// The level at which the lower limit is `threshold`.
    fn tolerance_pvalue(self, value: f64, threshold: f64) -> f64 {
        if threshold < 0.0 {
            return 0.0;
        }
        let l = threshold / self.scale;
        let tail = normal_sf(self.deviate(value / self.scale, l));
        (tail / (1.0 - self.above(l))).min(1.0)
    }
}

/// Mean and standard deviation of a sum of absolute differences by its true value.
#[derive(Clone, Copy)]
struct Folded([[f64; 3]; 5]);

impl Folded {
    fn moments(self, truth: f64) -> (f64, f64) {
        let [_, .., last] = self.0;
        if truth >= last[0] {
            return (last[1] + (truth - last[0]), last[2]);
        }
        let at = self.0.partition_point(|p| p[0] <= truth).clamp(1, 4);
        let ([a, b, c], [d, e, f]) = (self.0[at - 1], self.0[at]);
        let share = (truth - a) / (d - a);
        (b + share * (e - b), c + share * (f - c))
    }

    /// Normal deviate of a value: its square taken as a multiple of a chi-square (Wilson and Hilferty
    /// 1931) with the degrees of freedom that give this mean and deviation.
    fn deviate(self, value: f64, truth: f64) -> f64 {
        let (mean, sd) = self.moments(truth);
        if sd <= 0.0 {
            let far = value - mean;
            return if far.abs() <= 1e-12 * mean {
                0.0
            } else {
                far * f64::INFINITY
            };
        }
        let k = (mean / sd) * (mean / sd);
        // Mean squared over variance of a chi is about (v - 1/2 + 1/8v) / (1/2 - 1/8v).
        let b = 0.5 * (k + 1.0);
        let v = 0.5 * (b + libm::sqrt((b * b - 0.5 * (k + 1.0)).max(0.0)));
        let v = v.max(0.5);
        let scale = mean * mean / (v - 0.5 + 0.125 / v);
        let spread = 2.0 / (9.0 * v);
        (libm::cbrt(value.max(0.0) * value.max(0.0) / (scale * v)) - (1.0 - spread))
            / libm::sqrt(spread)
    }

    /// Share of the misses that belongs to the upper limit.
    fn above(self, truth: f64) -> f64 {
        let [_, mean, sd] = self.0[0];
        let moved = self.moments(truth).0 - mean;
        if sd > 0.0 {
            0.5 * (moved / (2.0 * sd)).clamp(0.0, 1.0)
        } else {
            0.5
        }
    }

    fn lower(self, value: f64, alpha: f64) -> f64 {
        cross_over(value, |t| {
            normal_sf(self.deviate(value, t)) >= alpha * (1.0 - self.above(t))
        })
    }

    fn upper(self, value: f64, alpha: f64) -> f64 {
        cross_over(value, |t| {
            normal_sf(-self.deviate(value, t)) < alpha * self.above(t)
        })
    }

    fn least(self, alpha: f64) -> f64 {
        let start = self.0[0][1];
        cross_over(start, |x| normal_sf(self.deviate(x, 0.0)) < alpha)
    }

    fn tolerance_pvalue(self, value: f64, threshold: f64) -> f64 {
        if threshold < 0.0 {
            return 0.0;
        }
        let tail = normal_sf(self.deviate(value, threshold));
        (tail / (1.0 - self.above(threshold))).min(1.0)
    }
}

/// Absolute differences, of which the largest is observed: how far each is, and the normal deviates of
/// going further by a distance, outward and back through 0.
struct Tails<'a> {
    differences: Vec<(f64, Deviate<'a>)>,
}

enum Deviate<'a> {
    /// Standard deviation.
    Normal(f64),
    /// Limits of a difference, and whether it is negative.
    Limits(&'a Difference, bool),
}

impl Deviate<'_> {
    /// Upper tail at a distance outward, or on the other side of 0.
    fn tail(&self, distance: f64, outward: bool) -> f64 {
        match *self {
            Deviate::Normal(deviation) if deviation > 0.0 => normal_sf(distance / deviation),
            Deviate::Normal(_) => f64::from(u8::from(distance <= 0.0)),
            Deviate::Limits(d, negative) => normal_sf(d.deviate(distance, outward != negative)),
        }
    }

    /// One standard deviation.
    fn deviation(&self) -> f64 {
        match *self {
            Deviate::Normal(deviation) => deviation,
            // The second node is 1.
            Deviate::Limits(d, negative) if negative => d.reach[1].1,
            Deviate::Limits(d, _) => d.reach[1].0,
        }
    }
}

impl<'a> Tails<'a> {
    fn of_shares(cells: &[(f64, f64)]) -> Self {
        let differences = cells.iter().map(|c| (c.0, Deviate::Normal(c.1)));
        Tails {
            differences: differences.collect(),
        }
    }

    fn of_differences(differences: &'a [Difference]) -> Self {
        let of = |d: &'a Difference| {
            let middle = d.low.midpoint(d.high);
            (middle.abs(), Deviate::Limits(d, middle < 0.0))
        };
        Tails {
            differences: differences.iter().map(of).collect(),
        }
    }

    /// Chance, at most, that the largest is at least `value` where the true one is `truth`.
    fn tail(&self, value: f64, truth: f64) -> f64 {
        let largest = self.differences.iter().map(|d| d.0).fold(0.0, f64::max);
        let share = if largest > 0.0 { truth / largest } else { 0.0 };
        let tails = self.differences.iter().map(|(size, deviate)| {
            let own = share * size;
            deviate.tail(value - own, true) + deviate.tail(value + own, false)
        });
        tails.sum::<f64>().min(1.0)
    }

    /// Share of the misses that belongs to the upper limit.
    fn above(&self, truth: f64) -> f64 {
        let deviations = self.differences.iter().map(|d| d.1.deviation());
        let deviation = deviations.fold(0.0, f64::max);
        if deviation > 0.0 {
            0.5 * (truth / (2.0 * deviation)).min(1.0)
        } else {
            0.5
        }
    }

    fn lower(&self, value: f64, alpha: f64) -> f64 {
        if value <= 0.0 {
            return 0.0;
        }
        let fits = |t: f64| self.tail(value, t) >= alpha * (1.0 - self.above(t));
        cross_over(value, fits).min(value)
    }

    fn least(&self, alpha: f64) -> f64 {
        let start = self.differences.iter().map(|d| d.1.deviation());
        cross_over(start.fold(0.0, f64::max), |x| self.tail(x, 0.0) < alpha)
    }

    fn tolerance_pvalue(&self, value: f64, threshold: f64) -> f64 {
        if threshold < 0.0 {
            return 0.0;
        }
        if threshold >= value {
            return 1.0;
        }
        (self.tail(value, threshold) / (1.0 - self.above(threshold))).min(1.0)
    }
}

/// The place from 0 on where `holds` becomes true, looked for on the scale of `start`.
fn cross_over(start: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if holds(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, if start > 0.0 { start } else { 1.0 });
    while !holds(high) && high < 1e300 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..48 {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
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

/// Normal quantiles at which the limits of a [`Difference`] are known.
pub const NODES: [f64; 10] = [0.5, 1.0, 1.5, 2.0, 2.4, 2.8, 3.2, 4.0, 5.0, 7.0];

/// A signed difference with its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Certified lower bound.
    pub low: f64,
    /// Certified upper bound.
    pub high: f64,
    /// Distances to the limits below and above, by [`NODES`].
    pub reach: [(f64, f64); NODES.len()],
}

impl Difference {
    /// Whether bounds and limits are finite.
    pub fn is_finite(&self) -> bool {
        let reach = self
            .reach
            .iter()
            .all(|r| r.0.is_finite() && r.1.is_finite());
        reach && self.low.is_finite() && self.high.is_finite()
    }

    /// The normal quantile at which the limit below (`down`) or above is as far away as `distance`.
    fn deviate(&self, distance: f64, down: bool) -> f64 {
        let reach = |i: usize| {
            let r = self.reach[i];
            if down { r.0 } else { r.1 }
        };
        let next = (0..NODES.len()).find(|i| reach(*i) >= distance);
        let (from, to, near, far) = match next {
            Some(0) => (0.0, NODES[0], 0.0, reach(0)),
            Some(i) => (NODES[i - 1], NODES[i], reach(i - 1), reach(i)),
            None => {
                let last = NODES.len() - 1;
                let far = reach(last);
                return if far > 0.0 {
                    NODES[last] * (distance / far)
                } else {
                    f64::INFINITY
                };
            }
        };
        if distance <= near {
            from
        } else {
            from + (to - from) * ((distance - near) / (far - near))
        }
    }

    /// Limits at the next node, or beyond the last in proportion.
    fn at(&self, z: f64) -> (f64, f64) {
        let node = NODES.partition_point(|n| *n < z);
        let last = NODES.len() - 1;
        let (down, up) = self.reach[node.min(last)];
        let factor = if node > last { z / NODES[last] } else { 1.0 };
        (self.low - factor * down, self.high + factor * up)
    }
}

/// Distance of two empirical distribution functions of one distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Kolmogorov's: Massart's (1990) constant for the difference of two empirical processes, by the
    /// inequality of McDiarmid (1989).
    Kolmogorov,
    /// Kuiper's limit.
    Kuiper,
}

impl Noise {
    /// Upper tail at `x` times the root of the reciprocal rows.
    fn tail(self, x: f64) -> f64 {
        match self {
            _ if x <= 0.0 => 1.0,
            Noise::Kolmogorov => (2.0 * libm::exp(-2.0 * x * x)).min(1.0),
            Noise::Kuiper => kuiper_sf(x),
        }
    }

    /// The distance whose upper tail is `alpha`.
    fn quantile(self, inverse_rows: f64, alpha: f64) -> f64 {
        match self {
            Noise::Kolmogorov => mcdiarmid(inverse_rows, alpha),
            Noise::Kuiper => libm::sqrt(inverse_rows) * cross_over(1.0, |x| self.tail(x) <= alpha),
        }
    }
}

/// Half-width of McDiarmid's interval at level `alpha`, two-sided.
pub(crate) fn mcdiarmid(inverse_rows: f64, alpha: f64) -> f64 {
    libm::sqrt(0.5 * inverse_rows * libm::log(2.0 / alpha))
}

/// The level whose normal quantile is Student's at `alpha`, times the inflated deviation.
fn clustered_level(alpha: f64, df: f64, inflation: f64) -> f64 {
    let quantile = student_two_sided_isf(alpha, df) * libm::sqrt(inflation);
    // Levels below the smallest normal double have no quantile.
    (2.0 * normal_sf(quantile)).max(f64::MIN_POSITIVE)
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
    fn the_largest_of_equal_shares_is_bonferroni_and_one_alone_is_normal() {
        let of = |cells: &[(f64, f64)]| Interval::LargestShare {
            bounds: (cells[0].0, cells[0].0),
            cells: cells.into(),
        };
        // Nothing is left out until two tails of each of the ten add up to 5 %.
        let z = normal_isf(0.05 / 20.0);
        let some = |x: f64| of(&[(x, 0.01); 10]);
        assert_eq!(some(0.01 * z - 1e-9).at(0.05).0, 0.0);
        assert!(some(0.01 * z + 1e-9).at(0.05).0 > 0.0);
        assert!((some(0.01).margin(0.05) - 0.01 * z).abs() < 1e-12);
        // Far off the others are nowhere near, and the limits are those of one normal number.
        let one = of(&[(0.5, 0.01), (0.1, 0.01), (0.0, 0.0)]);
        let (low, high) = one.at(0.05);
        let half = 0.01 * two_sided(0.05);
        assert!((low - (0.5 - half)).abs() < 1e-9 && (high - (0.5 + half)).abs() < 1e-9);
        let p = one.tolerance_pvalue(0.49, None);
        assert!((one.at(p).0 - 0.49).abs() < 1e-9);
        assert_eq!(one.tolerance_pvalue(0.6, None), 1.0);
    }

    #[test]
    fn deviates_of_a_difference_are_where_its_limits_are() {
        let mut d = Difference {
            low: 1.0,
            high: 1.0,
            reach: NODES.map(|z| (2.0 * z, 3.0 * z)),
        };
        for z in [0.2, 1.0, 1.7, 3.0, 6.9, 8.0] {
            assert!((d.deviate(2.0 * z, true) - z).abs() < 1e-12);
            assert!((d.deviate(3.0 * z, false) - z).abs() < 1e-12);
        }
        // A step: everything up to it is reached there.
        d.reach = NODES.map(|z| if z < 2.0 { (0.0, 0.0) } else { (0.5, 0.5) });
        assert!((d.deviate(0.5, true) - 2.0).abs() < 1e-12);
        assert_eq!(d.deviate(0.6, true), NODES[9] * 1.2);
    }

    #[test]
    fn tolerance_pvalue_inverts_the_interval() {
        let interval = Interval::BoundedDifference {
            bounds: (0.3, 0.31),
            noise: Noise::Kolmogorov,
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
