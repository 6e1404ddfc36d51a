//! Sums of absolute differences: what their sampling error does to them.
//!
//! `T = sum w |d|` of differences `d` that vary around the true ones with known variances. Where nothing
//! changed every `|d|` is a folded normal, so `T` has a mean far above 0; where much changed `T` is
//! linear in the differences. In between the true differences are taken along the ray through those
//! observed: at `t` times them the mean of `T` is that of folded normals (Leone, Nelson and Nottingham
//! 1961), and its variance passes from the one to the other as signs become certain.

use super::{Interval, sum};
use crate::special::normal_sf;

/// One absolute difference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Its weight in the sum.
    pub weight: f64,
    /// The difference as observed, without its sign.
    pub difference: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// Its mean when nothing changed is at most this.
    pub most: f64,
}

/// Share of a folded normal's second moment that is variance.
pub(super) const FOLDED: f64 = 1.0 - core::f64::consts::FRAC_2_PI;

/// Skewness of a folded normal about 0.
pub(super) const SKEWNESS: f64 = 0.995_271_746_431_156;

/// Interval of a sum between certified `bounds`, from the variances of the sum when nothing changed and
/// when every sign is certain.
///
/// Where chance may have given the signs, a true sum beyond the observed one need not lie on the ray
/// through it: there the sum has at least its true value as its mean (by convexity), and up to the
/// variance `most`, where that is given; both by the share of it whose sign is not certain.
pub(super) fn interval(
    bounds: (f64, f64),
    pieces: &[Piece],
    null_variance: f64,
    linear_variance: f64,
    most: Option<f64>,
    range: (f64, f64),
) -> Interval {
    let observed = sum(pieces.iter().map(|p| p.weight * p.difference));
    let (null, linear) = (null_variance.max(0.0), linear_variance.max(0.0));
    let widest = most.map_or(linear, |most| linear.max(most));
    let reach = libm::sqrt(null.max(widest));
    let places = [
        0.0,
        0.5 * observed,
        observed,
        observed + 2.0 * reach,
        observed + 5.0 * reach,
    ];
    // All of it until three quarters of the observed sum have a certain sign.
    let hidden = if observed > 0.0 {
        (4.0 * (1.0 - self::mean(pieces, 1.0).1)).min(1.0)
    } else {
        1.0
    };
    let points = places.map(|truth| {
        if observed <= 0.0 {
            return [truth, mean(pieces, 0.0).0 + truth, libm::sqrt(null)];
        }
        let (mean, resolved) = mean(pieces, truth / observed);
        if most.is_some() && truth > observed {
            let own = null + (linear - null) * resolved;
            let variance = own + (widest - own).max(0.0) * hidden;
            return [
                truth,
                truth + (mean.max(truth) - truth) * (1.0 - hidden),
                libm::sqrt(variance),
            ];
        }
        let variance = null + (linear - null) * resolved;
        [truth, mean.max(truth), libm::sqrt(variance)]
    });
    Interval::Folded {
        bounds,
        points,
        range,
    }
}

/// Mean of the sum at `t` times the observed differences, and the share of it whose sign is certain.
fn mean(pieces: &[Piece], t: f64) -> (f64, f64) {
    let (mut mean, mut certain, mut whole) = (0.0, 0.0, 0.0);
    for p in pieces {
        let d = t * p.difference;
        let own = if p.deviation > 0.0 {
            let z = d / p.deviation;
            let sign = 1.0 - 2.0 * normal_sf(z);
            certain += p.weight * d * sign;
            let spread = (super::NORMAL_MEAN_ABS * p.deviation).min(p.most);
            spread * libm::exp(-0.5 * z * z) + d * sign
        } else {
            certain += p.weight * d;
            d
        };
        mean += p.weight * own;
        whole += p.weight * d;
    }
    (mean, if whole > 0.0 { certain / whole } else { 0.0 })
}
