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

/// Interval of a sum between certified `bounds`, from the variances of the sum when nothing changed and
/// when every sign is certain.
pub(super) fn interval(
    bounds: (f64, f64),
    pieces: &[Piece],
    null_variance: f64,
    linear_variance: f64,
    range: (f64, f64),
) -> Interval {
    let observed = sum(pieces.iter().map(|p| p.weight * p.difference));
    let (null, linear) = (null_variance.max(0.0), linear_variance.max(0.0));
    let reach = libm::sqrt(null.max(linear));
    let places = [
        0.0,
        0.5 * observed,
        observed,
        observed + 2.0 * reach,
        observed + 5.0 * reach,
    ];
    let points = places.map(|truth| {
        if observed <= 0.0 {
            return [truth, mean(pieces, 0.0).0 + truth, libm::sqrt(null)];
        }
        let (mean, resolved) = mean(pieces, truth / observed);
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
