//! Epps and Singleton's test: empirical characteristic functions at two points.

use super::{Context, Kinds, NotApplicable, Outcome, Statistic, Steps, sum};
use crate::joint::linear::{Symmetric, eigen};
use crate::pair::Pair;
use crate::special::chi_square_sf;

/// `W = N g' S^+ g`: `g` the difference of the means of `cos(t x)`, `sin(t x)` at `t = 0.4, 0.8` over half
/// the pooled interquartile range, `S` their covariance: scipy's, with its correction of small samples.
///
/// Values are taken from the pooled lower quartile on: a shift turns `g` and `S` alike and leaves `W` as it
/// is, and values far from 0 keep their digits. Directions without variance (fewer than five distinct
/// values have some) carry nothing and count no degree of freedom. A cell of several values bounds neither
/// cosine nor sine to any use, so this definition takes cells of one value each.
pub const STATISTIC: Statistic = Statistic {
    name: "epps_singleton",
    definition: "epps_singleton/ecf-0.4-0.8/v1",
    summary: "difference of the characteristic functions at two points: any change of shape, ties or not",
    source: "Epps and Singleton (1986), equation 3; scipy.stats.epps_singleton_2samp(t=(0.4, 0.8))",
    notes: "finite values; covariance with denominator n, directions below 1e-13 of the largest left out; small \
            samples (both below 25) corrected as in Epps and Singleton; exact only: profiles apply where each \
            cell is one value (at most 4,096 distinct ones); p: chi-square with as many degrees of freedom as \
            directions; no interval: the value grows with the rows; 5 values a side or more",
    kinds: Kinds::Numeric,
    range: (0.0, f64::INFINITY),
    unit: "chi-square",
    null: Some("chi-square-rank"),
    compute,
    default_tolerance: None,
    centre: None,
};

/// Points at which the characteristic functions are compared.
const POINTS: [f64; 2] = [0.4, 0.8];
/// Directions with less than this share of the largest variance are rounding.
const NO_VARIANCE: f64 = 1e-13;

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let (n, m) = (steps.n, steps.m);
    let worth = steps.worth();
    if worth.0 < 5.0 || worth.1 < 5.0 {
        return Err(NotApplicable(format!(
            "{n} and {m} values; 5 or more on each side would be accepted"
        )));
    }
    let cells = &steps.pair.cells;
    if cells.iter().any(|c| !c.single) {
        return Err(NotApplicable(
            "cells of several values do not bound a characteristic function; arrays, or at most 4,096 distinct \
             values, would be accepted"
                .into(),
        ));
    }
    let values: Vec<(f64, u64, u64)> = cells
        .iter()
        .map(|c| (c.low, c.reference, c.current))
        .filter(|v| v.1 > 0 || v.2 > 0)
        .collect();
    let quartile = |quarter: u64| match pair.is_weighed() {
        false => quantile(&values, n + m, quarter),
        true => {
            let target = 0.25 * quarter as f64 * (worth.0 + worth.1);
            let mut before = 0.0;
            let found = values.iter().find(|v| {
                before += steps.pool(v.1, v.2);
                before >= target
            });
            found.map_or(f64::NAN, |v| v.0)
        }
    };
    let origin = quartile(1);
    let sigma = 0.5 * (quartile(3) - origin);
    if !(sigma > 0.0 && sigma.is_finite()) {
        return Err(NotApplicable(format!(
            "the middle half of both samples spans {}; a spread above 0 would be accepted",
            2.0 * sigma
        )));
    }
    let angle = |t: f64, x: f64| t / sigma * (x - origin);
    let far = values.iter().flat_map(|v| POINTS.map(|t| angle(t, v.0)));
    if far.into_iter().any(|a| !a.is_finite()) {
        return Err(NotApplicable(format!(
            "values lie beyond the range of double precision in units of half the middle half, {sigma:e}"
        )));
    }
    let waves: Vec<([f64; 4], f64, f64)> = values
        .iter()
        .map(|&(x, a, b)| {
            let [(s1, c1), (s2, c2)] = POINTS.map(|t| libm::sincos(angle(t, x)));
            ([c1, c2, s1, s2], a as f64, b as f64)
        })
        .collect();
    let (x, y) = (
        Waves::new(&waves, n as f64, |w| w.1),
        Waves::new(&waves, m as f64, |w| w.2),
    );
    let (n, m) = worth;
    let total = n + m;
    let covariance = Symmetric::from_fn(4, |i, j| {
        total / n * x.covariance[i][j] + total / m * y.covariance[i][j]
    });
    let (variances, directions) = eigen(covariance);
    let largest = variances.iter().fold(0.0, |a: f64, b| a.max(*b));
    let kept = variances.iter().zip(&directions);
    let kept = kept.filter(|(v, _)| **v > NO_VARIANCE * largest);
    let terms: Vec<f64> = kept
        .map(|(v, d)| {
            let along = sum((0..4).map(|i| (x.mean[i] - y.mean[i]) * d[i]));
            along * along / v
        })
        .collect();
    let rank = terms.len() as f64;
    let mut value = total * sum(terms);
    if n.max(m) < 25.0 {
        let small = 10.1 * (libm::pow(n, -1.7) + libm::pow(m, -1.7));
        value /= 1.0 + libm::pow(total, -0.45) + small;
    }
    let mut outcome = Outcome::exact(value, (steps.n, steps.m));
    outcome.value_if_no_change = Some(rank);
    outcome.pvalue = Some(if rank > 0.0 {
        chi_square_sf(value, rank)
    } else {
        1.0
    });
    outcome.message = steps.left_out();
    Ok(outcome)
}

/// Quartile of both samples, interpolated between ranks as numpy does.
fn quantile(values: &[(f64, u64, u64)], rows: u64, quarter: u64) -> f64 {
    let at = u128::from(rows - 1) * u128::from(quarter);
    let (rank, rest) = ((at / 4) as u64, (at % 4) as f64 / 4.0);
    let value = |rank: u64| {
        let mut before = 0;
        values
            .iter()
            .find(|v| {
                before += v.1 + v.2;
                before > rank
            })
            .map_or(f64::NAN, |v| v.0)
    };
    let low = value(rank);
    if rest > 0.0 {
        low + rest * (value(rank + 1) - low)
    } else {
        low
    }
}

/// Mean and covariance, with denominator n, of cosines and sines of one sample.
struct Waves {
    mean: [f64; 4],
    covariance: [[f64; 4]; 4],
}

impl Waves {
    fn new(
        waves: &[([f64; 4], f64, f64)],
        rows: f64,
        weight: impl Fn(&([f64; 4], f64, f64)) -> f64,
    ) -> Self {
        let mean: [f64; 4] =
            core::array::from_fn(|i| sum(waves.iter().map(|w| w.0[i] * weight(w))) / rows);
        let centred = |w: &([f64; 4], f64, f64), i: usize| w.0[i] - mean[i];
        let covariance = core::array::from_fn(|i| {
            core::array::from_fn(|j| {
                let products = waves
                    .iter()
                    .map(|w| centred(w, i) * centred(w, j) * weight(w));
                sum(products) / rows
            })
        });
        Waves { mean, covariance }
    }
}
