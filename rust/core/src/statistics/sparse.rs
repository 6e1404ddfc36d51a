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
    fn many_rows_of_one_side_are_three_points() {
        let term = |p: f64, q: f64| (p - q) * (p - q);
        let (n, m, h) = (40.0, 1e9, 0.05);
        let (mean, _) = moments(h, (n, m), &term);
        assert!((mean / (h * (1.0 - h) * (1.0 / n + 1.0 / m)) - 1.0).abs() < 1e-6);
        let all: f64 = shares(h, n).iter().map(|s| s.1).sum();
        assert!((all - 1.0).abs() < 1e-8);
    }
}
