//! Mean and variance of what a cell of few rows adds to a distance when nothing changed.

/// Rows that a cell is expected to hold on its smaller side from which on the limits for many rows serve:
/// the variance of the root of a Poisson number of mean 8 is 5 % above that limit.
pub(super) const FEW: f64 = 8.0;

/// Chance below which a count is left out.
const NEGLIGIBLE: f64 = 1e-9;

/// Mean and variance of `term(a / n, b / m)`, where a and b are binomial numbers of n and m rows with the
/// chance `h`.
pub(super) fn moments(h: f64, (n, m): (f64, f64), term: &impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let (first, second) = (shares(h, n), shares(h, m));
    let (mut mean, mut square) = (0.0, 0.0);
    for &(p, a) in &first {
        for &(q, b) in &second {
            let value = term(p, q);
            mean += a * b * value;
            square += a * b * value * value;
        }
    }
    (mean, (square - mean * mean).max(0.0))
}

/// Shares of so many rows and their chances: all that are likely, or, where many rows are expected, the
/// three points that have the first five moments of a normal number.
fn shares(h: f64, rows: f64) -> Vec<(f64, f64)> {
    let rows = libm::round(rows).max(1.0);
    let expected = rows * h;
    if expected >= FEW {
        let step = libm::sqrt(3.0 * h * (1.0 - h) / rows);
        return [(h - step, 1.0), (h, 4.0), (h + step, 1.0)]
            .map(|(share, weight)| (share.clamp(0.0, 1.0), weight / 6.0))
            .to_vec();
    }
    let odds = h / (1.0 - h);
    let mut chance = libm::exp(rows * libm::log1p(-h));
    let mut found = Vec::new();
    let mut count = 0.0;
    while count <= rows && (count <= expected || chance > NEGLIGIBLE) {
        found.push((count / rows, chance));
        chance *= (rows - count) / (count + 1.0) * odds;
        count += 1.0;
    }
    found
}

/// Mean and variance of `|a / n - b / m|` over all ways in which the `a + b = held` rows of a cell may fall
/// to sides of n and m rows: the hypergeometric distribution, without what is less likely than
/// [`NEGLIGIBLE`] of the likeliest.
pub(super) fn split_moments(held: u64, n: u64, m: u64) -> (f64, f64) {
    let (least, most) = (held.saturating_sub(n), held.min(m));
    let (t, rows, current) = (held as f64, n as f64, m as f64);
    let mode = libm::floor((t + 1.0) * ((current + 1.0) / (rows + current + 2.0))) as u64;
    let mode = mode.clamp(least, most);
    // Weights of k + 1 over k rows on the current side.
    let ratio = |k: u64| {
        let k = k as f64;
        (t - k) * (current - k) / ((k + 1.0) * (rows - t + k + 1.0))
    };
    let (mut all, mut first, mut second) = (0.0, 0.0, 0.0);
    let mut add = |k: u64, weight: f64| {
        let b = k as f64;
        let value = ((t - b) / rows - b / current).abs();
        all += weight;
        first += weight * value;
        second += weight * value * value;
    };
    let (mut k, mut weight) = (mode, 1.0);
    while weight > NEGLIGIBLE {
        add(k, weight);
        if k == most {
            break;
        }
        weight *= ratio(k);
        k += 1;
    }
    (k, weight) = (mode, 1.0);
    while k > least {
        k -= 1;
        weight /= ratio(k);
        if weight <= NEGLIGIBLE {
            break;
        }
        add(k, weight);
    }
    let mean = first / all;
    (mean, (second / all - mean * mean).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_all_pairs_of_counts() {
        // 3 rows against 2 with a chance of one quarter, by hand: binomial weights over 64 and 16.
        let (a, b) = ([27.0, 27.0, 9.0, 1.0], [9.0, 6.0, 1.0]);
        let term = |p: f64, q: f64| (p - q) * (p - q);
        let (mut mean, mut square) = (0.0, 0.0);
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                let value = term(i as f64 / 3.0, j as f64 / 2.0);
                mean += x * y / 1024.0 * value;
                square += x * y / 1024.0 * value * value;
            }
        }
        let (first, second) = moments(0.25, (3.0, 2.0), &term);
        assert!((first - mean).abs() < 1e-15);
        assert!((second - (square - mean * mean)).abs() < 1e-15);
        // h (1 - h) (1 / n + 1 / m) for any rows.
        assert!((mean - 0.1875 * (1.0 / 3.0 + 0.5)).abs() < 1e-15);
    }

    #[test]
    fn splits_of_a_cell_are_hypergeometric() {
        // Every way to choose the 3 current rows of 8, of which 4 lie in the cell.
        let values: Vec<f64> = (0_u32..256)
            .filter(|chosen| chosen.count_ones() == 3)
            .map(|chosen| {
                let b = f64::from((chosen & 0b1111).count_ones());
                ((4.0 - b) / 5.0 - b / 3.0).abs()
            })
            .collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        let found = split_moments(4, 5, 3);
        assert!((found.0 - mean).abs() < 1e-12 && (found.1 - variance).abs() < 1e-12);
        // One current row against any number of rows.
        let (mean, variance) = split_moments(500, 1000, 1);
        let p = 500.0 / 1001.0;
        let (out, inside) = (0.5, 1.0 - 0.499);
        assert!((mean - ((1.0 - p) * out + p * inside)).abs() < 1e-12);
        assert!(variance < 1e-6);
        for (held, n, m) in [(0, 5, 5), (10, 5, 5), (3, u64::MAX >> 3, 7), (1, 1, 1)] {
            let (mean, variance) = split_moments(held, n, m);
            assert!((0.0..=1.0).contains(&mean) && (0.0..=1.0).contains(&variance));
        }
    }

    #[test]
    fn many_rows_of_one_side_are_three_points() {
        let term = |p: f64, q: f64| (p - q) * (p - q);
        let (n, m, h) = (40.0, 1e9, 0.05);
        let (mean, _) = moments(h, (n, m), &term);
        assert!((mean / (h * (1.0 - h) * (1.0 / n + 1.0 / m)) - 1.0).abs() < 1e-6);
        let all: f64 = shares(h, n).iter().map(|s| s.1).sum();
        assert!((all - 1.0).abs() < 1e-8);
    }
}
