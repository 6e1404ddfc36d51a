//! Distribution functions of the tests, on `libm` alone: the same bits on every platform.
//!
//! Tails keep their relative accuracy (better than 1e-10 down to 1e-290, see
//! `tests/golden/special.json`, made with mpmath); below the range of f64 they are 0.

use core::f64::consts::{FRAC_1_SQRT_2, LN_2, PI, TAU};
use std::cell::Cell;

/// Upper tail of the standard normal distribution.
pub fn normal_sf(x: f64) -> f64 {
    0.5 * libm::erfc(x * FRAC_1_SQRT_2)
}

/// The `x` with `normal_sf(x) == p`: infinite at 0 and 1, NaN outside.
///
/// Wichura (1988), algorithm AS 241 (PPND16), 16 digits over the whole range.
#[expect(clippy::excessive_precision, reason = "coefficients as published")]
pub fn normal_isf(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = 0.5 - p;
    if q.abs() <= 0.425 {
        const NUM: [f64; 8] = [
            2.509_080_928_730_122_672_7e3,
            3.343_057_558_358_812_810_5e4,
            6.726_577_092_700_870_085_3e4,
            4.592_195_393_154_987_145_7e4,
            1.373_169_376_550_946_112_5e4,
            1.971_590_950_306_551_442_7e3,
            1.331_416_678_917_843_774_5e2,
            3.387_132_872_796_366_608_0,
        ];
        const DEN: [f64; 8] = [
            5.226_495_278_852_854_561_0e3,
            2.872_908_573_572_194_267_4e4,
            3.930_789_580_009_271_061_0e4,
            2.121_379_430_158_659_586_7e4,
            5.394_196_021_424_751_107_7e3,
            6.871_870_074_920_579_083_0e2,
            4.231_333_070_160_091_125_2e1,
            1.0,
        ];
        let r = 0.180_625 - q * q;
        return q * horner(&NUM, r) / horner(&DEN, r);
    }
    let tail = if q > 0.0 { p } else { 1.0 - p };
    if tail <= 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = libm::sqrt(-libm::log(tail));
    let x = if r <= 5.0 {
        const NUM: [f64; 8] = [
            7.745_450_142_783_414_076_40e-4,
            2.272_384_498_926_918_458_33e-2,
            2.417_807_251_774_506_117_70e-1,
            1.270_458_252_452_368_382_58,
            3.647_848_324_763_204_605_04,
            5.769_497_221_460_691_405_50,
            4.630_337_846_156_545_295_90,
            1.423_437_110_749_683_577_34,
        ];
        const DEN: [f64; 8] = [
            1.050_750_071_644_416_843_24e-9,
            5.475_938_084_995_344_946_00e-4,
            1.519_866_656_361_645_719_66e-2,
            1.481_039_764_274_800_745_90e-1,
            6.897_673_349_851_000_045_50e-1,
            1.676_384_830_183_803_849_40,
            2.053_191_626_637_758_821_87,
            1.0,
        ];
        horner(&NUM, r - 1.6) / horner(&DEN, r - 1.6)
    } else {
        const NUM: [f64; 8] = [
            2.010_334_399_292_288_132_65e-7,
            2.711_555_568_743_487_578_15e-5,
            1.242_660_947_388_078_438_60e-3,
            2.653_218_952_657_612_309_30e-2,
            2.965_605_718_285_048_912_30e-1,
            1.784_826_539_917_291_335_80,
            5.463_784_911_164_114_369_90,
            6.657_904_643_501_103_777_20,
        ];
        const DEN: [f64; 8] = [
            2.044_263_103_389_939_785_64e-15,
            1.421_511_758_316_445_888_70e-7,
            1.846_318_317_510_054_681_80e-5,
            7.868_691_311_456_132_591_00e-4,
            1.487_536_129_085_061_485_25e-2,
            1.369_298_809_227_358_053_10e-1,
            5.998_322_065_558_879_376_90e-1,
            1.0,
        ];
        horner(&NUM, r - 5.0) / horner(&DEN, r - 5.0)
    };
    x.copysign(q)
}

/// Upper tail of the limit of `sqrt(n m / (n + m)) D` under one continuous distribution.
///
/// Kolmogorov (1933) for large `x`, the theta-function form (Feller 1948) for small `x`.
pub fn kolmogorov_sf(x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    if x < 0.8 {
        let step = -PI * PI / (8.0 * x * x);
        let sum: f64 = [1.0, 9.0, 25.0, 49.0]
            .iter()
            .map(|k| libm::exp(step * k))
            .sum();
        return 1.0 - libm::sqrt(TAU) / x * sum;
    }
    let mut sum = 0.0;
    for k in (1..=6_i32).rev() {
        let term = libm::exp(-2.0 * f64::from(k * k) * x * x);
        sum += if k % 2 == 1 { term } else { -term };
    }
    2.0 * sum
}

/// Upper tail of the limit of `sqrt(n m / (n + m)) V` under one continuous distribution, `V = D+ + D-`.
///
/// Kuiper (1960) for large `x`; for small `x` the same theta function transformed by Poisson's sum.
pub fn kuiper_sf(x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    let x2 = x * x;
    if x < 1.2 {
        let step = -PI * PI / (2.0 * x2);
        let sum: f64 = (1..=4_i32)
            .map(|k| f64::from(k * k) * libm::exp(step * f64::from(k * k)))
            .sum();
        return 1.0 - libm::sqrt(TAU) * PI * PI / (x * x2) * sum;
    }
    let sum: f64 = (1..=6_i32)
        .rev()
        .map(|j| {
            let y = 2.0 * f64::from(j * j) * x2;
            (2.0 * y - 1.0) * libm::exp(-y)
        })
        .sum();
    2.0 * sum
}

/// Upper tail of the limit of the Cramer-von Mises statistic, `sum of z_k^2 / (k pi)^2`.
///
/// Smirnov's (1937) alternating integrals between successive poles: the first one is the tail, so
/// far tails keep their digits.
pub fn cramer_von_mises_sf(x: f64) -> f64 {
    // Below, one minus the tail is less than exp(-1 / (16 x)) < 1e-18.
    smirnov_sf(x, 1.5e-3, 12.0, |k, d, rest, sine| {
        let y = PI * (k + d);
        2.0 * PI * libm::exp(-0.5 * x * y * y) * libm::sqrt(d * rest / (y * sine))
    })
}

/// Upper tail of the limit of the Anderson-Darling statistic, `sum of z_k^2 / (k (k + 1))`; as
/// [`cramer_von_mises_sf`].
pub fn anderson_darling_sf(x: f64) -> f64 {
    // Below, one minus the tail is less than exp(-pi^2 / (8 x)) < 1e-17.
    smirnov_sf(x, 0.03, 5.0, |k, d, rest, sine| {
        let v = k + d;
        let u = v * (v + 1.0);
        (2.0 * v + 1.0) * libm::exp(-0.5 * x * u) * libm::sqrt(PI * d * rest / (u * sine))
    })
}

/// `(1 / pi)` times the alternating sum over odd `k` of the integral of a function with inverse
/// square roots at both ends of `[k, k + 1]`, given with them taken out as `f(k, d, 1 - d, sin pi d)`
/// at `k + d` (Gauss and Chebyshev's rule: it converges geometrically).
fn smirnov_sf(x: f64, least: f64, density: f64, f: impl Fn(f64, f64, f64, f64) -> f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x <= least {
        return 1.0;
    }
    if x > 1e4 {
        return 0.0;
    }
    let points = 24.0 + libm::ceil(density * libm::sqrt(x));
    let (mut total, mut k) = (0.0, 1.0);
    loop {
        let (mut sum, mut i) = (0.0, 0.5);
        while i < points {
            let half = 0.5 * PI * i / points;
            let (sin, cos) = (libm::sin(half), libm::cos(half));
            let (d, rest) = (sin * sin, cos * cos);
            sum += f(k, d, rest, libm::sin(PI * d.min(rest)));
            i += 1.0;
        }
        let term = sum / points;
        total += if k % 4.0 == 1.0 { term } else { -term };
        if term <= 1e-18 * total || k > 400.0 {
            return total.clamp(0.0, 1.0);
        }
        k += 2.0;
    }
}

/// Upper tail of the chi-square distribution with `df` degrees of freedom (`df > 0`).
pub fn chi_square_sf(x: f64, df: f64) -> f64 {
    gamma_q(0.5 * df, 0.5 * x)
}

/// Regularised upper incomplete gamma function `Q(a, x)`.
///
/// Series below `a + 1`, Legendre's continued fraction above (Gil, Segura and Temme 2012, section
/// 2); the prefix is written in `x / a` so that large `a` does not cancel.
pub fn gamma_q(a: f64, x: f64) -> f64 {
    if a.is_nan() || x.is_nan() || a <= 0.0 {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    // x^a e^-x / Gamma(a + 1)
    let prefix = if a < 20.0 {
        libm::exp(a * libm::log(x) - x - libm::lgamma(a + 1.0))
    } else {
        libm::exp(-a * minus_log_excess((x - a) / a) - stirling_error(a)) / libm::sqrt(TAU * a)
    };
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0, 1.0, a);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return (1.0 - prefix * sum).max(0.0);
    }
    if prefix == 0.0 {
        return 0.0;
    }
    // Modified Lentz.
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (f64::MAX, 1.0 / b);
    let mut h = d;
    for i in 1..10_000_000_u64 {
        let k = i as f64;
        let an = -k * (k - a);
        b += 2.0;
        d = 1.0 / nonzero(an * d + b);
        c = nonzero(b + an / c);
        let delta = c * d;
        h *= delta;
        if (delta - 1.0).abs() < 1e-16 {
            break;
        }
    }
    (prefix * a * h).min(1.0)
}

/// Probability that `|T| > |t|` for Student's distribution with `df > 0` degrees of freedom.
pub fn student_two_sided(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if t == 0.0 {
        return 1.0;
    }
    if t.is_infinite() {
        return 0.0;
    }
    let t2 = t * t;
    if df > 5e4 {
        // Hill (1970), algorithm 395: a normal deviate with error O(df^-4).
        let a = df - 0.5;
        let b = 48.0 * a * a;
        let y = a * libm::log1p(t2 / df);
        let correction =
            (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0;
        return 2.0 * normal_sf((correction / b + 1.0) * libm::sqrt(y));
    }
    // I_x(a, 1/2) with x = df / (df + t^2), or its complement where the fraction converges faster.
    let (a, b) = (0.5 * df, 0.5);
    let (x, y) = (df / (df + t2), t2 / (df + t2));
    let front =
        libm::exp(-a * libm::log1p(t2 / df)) * libm::sqrt(y) * gamma_ratio(a) / libm::sqrt(PI);
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, y) / b
    }
}

/// Upper tail of Fisher's F distribution with `a > 0` and `b > 0` degrees of freedom:
/// `I_y(b / 2, a / 2)` at `y = b / (b + a x)` (DLMF 8.17.5); chi-square when `b` is infinite.
pub fn fisher_sf(x: f64, a: f64, b: f64) -> f64 {
    if x.is_nan() || a.is_nan() || b.is_nan() || a <= 0.0 || b <= 0.0 {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    if b > 1e7 {
        return chi_square_sf(a * x, a);
    }
    let (p, q) = (0.5 * b, 0.5 * a);
    let ratio = a * x / b;
    let (log_y, log_rest) = (-libm::log1p(ratio), libm::log(ratio) - libm::log1p(ratio));
    let log_beta = libm::lgamma(p) + libm::lgamma(q) - libm::lgamma(p + q);
    let front = libm::exp(p * log_y + q * log_rest - log_beta);
    let (y, rest) = (1.0 / (1.0 + ratio), ratio / (1.0 + ratio));
    if y < (p + 1.0) / (p + q + 2.0) {
        front * beta_fraction(p, q, y) / p
    } else {
        1.0 - front * beta_fraction(q, p, rest) / q
    }
}

/// Quantiles that a thread remembers, one of those whose arguments share a slot.
const REMEMBERED: usize = 1024;

thread_local! {
    /// Bits of `p` and `df`, and the quantile: the statistics of a column share their degrees of freedom, and
    /// intervals are asked for at few levels.
    static QUANTILES: [Cell<(u64, u64, f64)>; REMEMBERED] =
        const { [const { Cell::new((0, 0, 0.0)) }; REMEMBERED] };
}

/// The `t >= 0` with `student_two_sided(t, df) == p`, for `0 < p <= 1`.
pub fn student_two_sided_isf(p: f64, df: f64) -> f64 {
    if df.is_nan() || df <= 0.0 || !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 {
        return f64::INFINITY;
    }
    let (a, b) = (p.to_bits(), df.to_bits());
    let slot = (a ^ b.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    QUANTILES.with(|quantiles| {
        let found = quantiles.get(slot as usize).map(Cell::get);
        match found {
            Some((x, y, t)) if (x, y) == (a, b) => t,
            _ => {
                let t = find_student_isf(p, df);
                if let Some(cell) = quantiles.get(slot as usize) {
                    cell.set((a, b, t));
                }
                t
            }
        }
    })
}

fn find_student_isf(p: f64, df: f64) -> f64 {
    let mut low = normal_isf(0.5 * p).max(0.0); // tails are heavier than normal
    if low == 0.0 {
        return 0.0;
    }
    let mut high = low;
    while student_two_sided(high, df) > p && high < 1e300 {
        low = high;
        high *= 2.0;
    }
    if low == high {
        return low;
    }
    // Illinois' regula falsi on logarithms, where tails are nearly straight.
    let excess = |t: f64| libm::log(student_two_sided(t, df) / p);
    let (mut x, mut y) = (libm::log(low), libm::log(high));
    let (mut at_x, mut at_y) = (excess(low), excess(high));
    for _ in 0..100 {
        if y - x <= 2.0 * f64::EPSILON * y.abs().max(1.0) || at_x == at_y {
            break;
        }
        let middle = (x * at_y - y * at_x) / (at_y - at_x);
        let middle = if middle > x && middle < y {
            middle
        } else {
            0.5 * (x + y)
        };
        let at = excess(libm::exp(middle));
        if at == 0.0 {
            return libm::exp(middle);
        }
        if at > 0.0 {
            (x, at_x, at_y) = (middle, at, 0.5 * at_y);
        } else {
            (y, at_y, at_x) = (middle, at, 0.5 * at_x);
        }
    }
    libm::exp(0.5 * (x + y))
}

/// Upper tail `P(X >= k)` of a binomial with `n` trials: `I_p(k, n - k + 1)`, summed term by term
/// from the larger end so that far tails keep their digits.
pub fn binomial_sf(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 || p >= 1.0 {
        return 1.0;
    }
    if k > n || p <= 0.0 {
        return 0.0;
    }
    let odds = p / (1.0 - p);
    let (nf, kf) = (n as f64, k as f64);
    let first = if k == n {
        libm::exp(nf * libm::log(p))
    } else {
        // Loader (2000): deviances and Stirling errors instead of differences of log-gammas.
        let rest = nf - kf;
        let deviance = kf * minus_log_excess((nf * p - kf) / kf)
            + rest * minus_log_excess((nf * (1.0 - p) - rest) / rest);
        let error = stirling_error(nf) - stirling_error(kf) - stirling_error(rest);
        libm::exp(error - deviance) * libm::sqrt(nf / (TAU * kf * rest))
    };
    if kf > nf * p {
        let (mut term, mut sum, mut i) = (1.0, 1.0, kf);
        while i < nf && term > sum * 1e-17 {
            term *= (nf - i) / (i + 1.0) * odds;
            sum += term;
            i += 1.0;
        }
        return (first * sum).min(1.0);
    }
    // Lower part: P(X <= k - 1), downwards from k - 1.
    let mut term = kf / ((nf - kf + 1.0) * odds);
    let (mut sum, mut i) = (term, kf - 1.0);
    while i > 0.0 && term > sum * 1e-17 {
        term *= i / ((nf - i + 1.0) * odds);
        sum += term;
        i -= 1.0;
    }
    (1.0 - first * sum).max(0.0)
}

/// Two-sided p-value of Fisher's exact test of the table `[[a, b], [c, d]]`: the probability, given
/// the margins, of all tables that are not more probable (by more than 1e-11, for rounding).
///
/// None beyond 1e12 standard deviations squared of a cell, where the sum is too long; `chi_square`
/// agrees there.
pub fn fisher_two_sided(table: [u64; 4]) -> Option<f64> {
    let [a, b, c, d] = table.map(u128::from);
    let (row, column, all) = (a + b, a + c, a + b + c + d);
    let (low, high) = (
        (row + column).saturating_sub(all),
        row.min(column), // of the first cell
    );
    if low == high {
        return Some(1.0);
    }
    let [rf, cf, nf] = [row, column, all].map(|x| x as f64);
    let variance = rf * (1.0 - rf / nf) * (cf / nf) * (1.0 - cf / nf);
    if variance > 1e12 {
        return None;
    }
    let log_mass = |k: u128| log_hypergeometric([k, row - k, column - k, all + k - row - column]);
    let observed = log_mass(a);
    let limit = observed + 1e-11;
    // Sum of the masses from `k` away from the mode, in units of the mass at `k`.
    let tail = |k: u128, up: bool| {
        let (mut term, mut sum, mut k) = (1.0, 1.0, k);
        while k != (if up { high } else { low }) && term > sum * 1e-17 {
            // Cells that shrink and cells that grow on the way.
            let next = if up { k + 1 } else { k - 1 };
            let (x, y) = if up { (k, next) } else { (next, k) };
            let down = (row - x) as f64 * (column - x) as f64;
            let rise = y as f64 * (all + y - row - column) as f64;
            term *= if up { down / rise } else { rise / down };
            sum += term;
            k = next;
        }
        sum
    };
    // Masses rise to the mode and fall behind it.
    let mode = ((row + 1) * (column + 1) / (all + 2)).clamp(low, high);
    let mut total = 0.0;
    // The last cell at or below the mode, and the first above, that count.
    let (mut left, mut right) = (low, mode);
    if log_mass(low) <= limit {
        while left < right {
            let middle = left + (right - left).div_ceil(2);
            if log_mass(middle) <= limit {
                left = middle;
            } else {
                right = middle - 1;
            }
        }
        total += libm::exp(log_mass(left)) * tail(left, false);
    }
    (left, right) = (mode + 1, high);
    if mode < high && log_mass(high) <= limit {
        while left < right {
            let middle = left + (right - left) / 2;
            if log_mass(middle) <= limit {
                right = middle;
            } else {
                left = middle + 1;
            }
        }
        total += libm::exp(log_mass(left)) * tail(left, true);
    }
    Some(total.min(1.0))
}

/// Logarithm of the probability of a 2 x 2 table given its margins: entropy terms and Stirling
/// errors (Loader 2000) instead of differences of factorials.
fn log_hypergeometric([a, b, c, d]: [u128; 4]) -> f64 {
    let (row, column, all) = (a + b, a + c, a + b + c + d);
    let nf = all as f64;
    // A cell minus its expectation is the same number in all four, up to sign.
    let (up, down) = (a * d, b * c);
    let size = up.abs_diff(down) as f64;
    let shift = if up < down { -size } else { size };
    let entropy = [
        (row, column, 1.0),
        (row, all - column, -1.0),
        (all - row, column, -1.0),
        (all - row, all - column, 1.0),
    ]
    .iter()
    .map(|&(r, c, sign)| {
        let expected = r as f64 * c as f64;
        expected / nf * entropy_term(sign * shift / expected)
    })
    .sum::<f64>();
    let stirling = |x: u128| {
        let x = x as f64;
        if x == 0.0 {
            0.0
        } else {
            0.5 * libm::log(TAU * x) + stirling_error(x)
        }
    };
    stirling(row) + stirling(all - row) + stirling(column) + stirling(all - column)
        - stirling(all)
        - [a, b, c, d].map(stirling).iter().sum::<f64>()
        - entropy
}

/// `(1 + u) ln(1 + u) - u` for `u >= -1`: never negative, without cancellation near 0.
pub(crate) fn entropy_term(u: f64) -> f64 {
    if u <= -1.0 {
        return 1.0;
    }
    if u.abs() > 0.3 {
        return (1.0 + u) * libm::log1p(u) - u;
    }
    (1.0 + u) * minus_log_excess(-u / (1.0 + u))
}

/// `1 + 1/2 + ... + 1/n`.
pub(crate) fn harmonic(n: u64) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    if n < 64 {
        return (1..=n).rev().map(|i| 1.0 / i as f64).sum();
    }
    let x = n as f64;
    let s = 1.0 / (x * x);
    libm::log(x) + EULER + 0.5 / x - s * (1.0 / 12.0 - s * (1.0 / 120.0 - s / 252.0))
}

/// `1 + 1/4 + ... + 1/n^2`.
pub(crate) fn harmonic_squares(n: u64) -> f64 {
    if n < 64 {
        return (1..=n).rev().map(|i| 1.0 / (i as f64 * i as f64)).sum();
    }
    let x = 1.0 / n as f64;
    let s = x * x;
    PI * PI / 6.0 - x * (1.0 - x * (0.5 - x * (1.0 / 6.0 - s * (1.0 / 30.0 - s / 42.0))))
}

/// `ln Gamma(n + 1) - [(n + 1/2) ln n - n + (1/2) ln 2 pi]` for `n > 0`.
fn stirling_error(n: f64) -> f64 {
    if n < 20.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * libm::log(n) + n - 0.5 * libm::log(TAU);
    }
    let s = 1.0 / (n * n);
    (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0)))) / n
}

/// `u - ln(1 + u)` without cancellation near 0.
fn minus_log_excess(u: f64) -> f64 {
    if u.abs() > 0.3 {
        return u - libm::log1p(u);
    }
    // u^2/2 - u^3/3 + ..., in w = u / (2 + u): ln(1 + u) = 2 atanh(w).
    let w = u / (2.0 + u);
    let w2 = w * w;
    let (mut power, mut sum, mut k) = (1.0, 0.0, 3.0);
    loop {
        let term = power / k;
        sum += term;
        if term < 1e-17 {
            break;
        }
        power *= w2;
        k += 2.0;
    }
    // u - 2w = u w
    u * w - 2.0 * w * w2 * sum
}

/// `Gamma(a + 1/2) / Gamma(a)`.
fn gamma_ratio(a: f64) -> f64 {
    if a < 30.0 {
        return libm::tgamma(a + 0.5) / libm::tgamma(a);
    }
    let s = 1.0 / a;
    libm::sqrt(a)
        * (1.0
            + s * (-1.0 / 8.0
                + s * (1.0 / 128.0
                    + s * (5.0 / 1024.0
                        + s * (-21.0 / 32768.0
                            + s * (-399.0 / 262_144.0 + s * 869.0 / 4_194_304.0))))))
}

/// Continued fraction of the incomplete beta function (modified Lentz).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for i in 1..100_000_u32 {
        let m = f64::from(i);
        for coefficient in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / nonzero(1.0 + coefficient * d);
            c = nonzero(1.0 + coefficient / c);
            h *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h
}

fn nonzero(x: f64) -> f64 {
    if x.abs() < 1e-300 { 1e-300 } else { x }
}

fn horner(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

/// `(1/2) [(1 + d) ln(1 + d) + (1 - d) ln(1 - d)]` for `0 <= d <= 1`: what one cell with relative
/// difference `d` adds to the Jensen-Shannon divergence. Never negative, exact at 0 and 1.
pub(crate) fn jensen_term(d: f64) -> f64 {
    if d >= 1.0 {
        return LN_2;
    }
    if d > 0.25 {
        return 0.5 * ((1.0 + d) * libm::log1p(d) + (1.0 - d) * libm::log1p(-d));
    }
    // Sum over j of d^(2j) / (2j (2j - 1)).
    let d2 = d * d;
    let (mut power, mut sum, mut j) = (d2, 0.0, 1.0);
    while power > sum * 1e-18 && power > 0.0 {
        sum += power / (2.0 * j * (2.0 * j - 1.0));
        power *= d2;
        j += 1.0;
    }
    sum
}
