//! What a distance over cells is when nothing changed, where cells hold a few rows.
//!
//! When nothing changed every split of the rows between both samples is as likely as any other, so that the
//! rows which a cell holds on one side are hypergeometric. A distance is a sum over cells of a term of both
//! counts, hence its mean is known; its variance follows from what each term says of the cell's count (a line,
//! whose sums over cells have an exact variance), of the square of that, and of the rest: counts of two cells
//! are correlated by `r = -sqrt(s t / ((N - s) (N - t)))`, their squares by `r^2`, and what is left hardly
//! (Lancaster 1958; Haldane 1940 for chi-square).

use std::collections::BTreeMap;

/// Rows that a cell is expected to hold on its smaller side from which on the limits for many rows serve:
/// the variance of the root of a Poisson number of mean 8 is 5 % above that limit.
pub(super) const FEW: f64 = 8.0;

/// Rows of the smaller side from which on five points stand for all likely counts.
const MANY: f64 = 64.0;

/// Chance, over that of the likeliest count, below which a count is left out.
const NEGLIGIBLE: f64 = 1e-9;

/// Points and weights that have the first nine moments of a standard normal.
const POINTS: [(f64, f64); 5] = [
    (-2.856_970_013_872_806, 0.011_257_411_327_720_69),
    (-1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (0.0, 0.533_333_333_333_333_3),
    (1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (2.856_970_013_872_806, 0.011_257_411_327_720_69),
];

/// Cells that hold equally many rows, of both sides together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    /// Rows of both sides in each of them.
    pub rows: u64,
    /// Whether one is a cell of its own only where the reference holds a row of it; otherwise its rows
    /// are counted in the one cell of new values.
    pub made: bool,
    /// How many there are.
    pub cells: f64,
}

/// What a sum over cells is when nothing changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
    /// Third central moment over the cube of the standard deviation.
    pub skewness: f64,
    /// Part of the mean that comes from cells which one side may not hold at all: such a cell adds that
    /// much whether or not the two sides differ there.
    pub open: f64,
}

/// Moments of a term of many rows, where they are known beside the counts: mean, variance, third moment.
pub(super) type Limit<'a> = Option<&'a dyn Fn(u64) -> (f64, f64, f64)>;

/// One group of cells: the weights of its counts, and what the term is there.
struct Group {
    rows: f64,
    cells: f64,
    made: bool,
    /// Count of the current side, and its chance.
    counts: Vec<(f64, f64)>,
    /// Moments that stand for the counts.
    limit: Option<(f64, f64, f64)>,
}

/// A sum over cells of `term(a, b, k)`, of the counts of both sides in a cell and the number of cells.
pub(super) struct Sum<'a, F> {
    /// The cells.
    pub held: &'a [Held],
    /// Standard error of the number of cells of one new row, each of which a larger cell holds less.
    pub uncertain: f64,
    /// Rows of both sides.
    pub rows: (u64, u64),
    /// The term.
    pub term: F,
    /// Whether the term depends on the number of cells, and is no line where the reference holds nothing.
    pub prior: bool,
    /// Stands for the counts of cells of [`FEW`] rows or more.
    pub limit: Limit<'a>,
}

impl<F: Fn(f64, f64, f64) -> f64> Sum<'_, F> {
    /// Mean, variance and skewness when nothing changed.
    pub fn moments(&self) -> Moments {
        let groups: Vec<Group> = self.held.iter().map(|h| self.group(*h)).collect();
        let pooled = Pooled::new(&groups, self);
        let all = self.rows.0 as f64 + self.rows.1 as f64;
        let mut mean = pooled.shift;
        let (mut open, mut single) = (0.0, 0.0);
        // Sums over cells: slope^2 rows and slope rows; variances of what is not a line.
        let (mut steep, mut along, mut rest) = (0.0, 0.0, 0.0);
        let (mut square, mut squares) = (0.0, 0.0);
        let mut terms = Vec::new();
        for g in &groups {
            let odds = if g.rows < all {
                g.rows / (all - g.rows)
            } else {
                0.0
            };
            if let Some((own, variance, third)) = g.limit {
                mean += g.cells * own;
                rest += g.cells * variance;
                let second = libm::sqrt(variance) * odds;
                square += g.cells * second;
                squares += g.cells * second * second;
                terms.push((g, Vec::new(), own, third));
                continue;
            }
            let values: Vec<f64> = (g.counts.iter())
                .map(|&(b, _)| pooled.value(self, g, b))
                .collect();
            let expect = |f: &dyn Fn(f64, f64) -> f64| {
                let each = g.counts.iter().zip(&values);
                each.map(|(&(b, w), v)| w * f(b, *v)).sum::<f64>()
            };
            let (middle, own) = (expect(&|b, _| b), expect(&|_, v| v));
            let spread = expect(&|b, _| (b - middle) * (b - middle));
            let slope = if spread > 0.0 {
                expect(&|b, v| (v - own) * (b - middle)) / spread
            } else {
                0.0
            };
            let left = |b: f64, v: f64| v - own - slope * (b - middle);
            let variance = expect(&|b, v| left(b, v) * left(b, v));
            // The square of the count, less its own mean and line.
            let bend = expect(&|b, _| (b - middle) * (b - middle) * (b - middle));
            let bent = |b: f64| {
                let d = b - middle;
                d * d - spread - if spread > 0.0 { bend / spread * d } else { 0.0 }
            };
            let norm = expect(&|b, _| bent(b) * bent(b));
            if norm > 1e-12 * spread * spread {
                let second = expect(&|b, v| left(b, v) * bent(b)) / libm::sqrt(norm) * odds;
                square += g.cells * second;
                squares += g.cells * second * second;
            }
            mean += g.cells * own;
            rest += g.cells * variance;
            steep += g.cells * slope * slope * g.rows;
            along += g.cells * slope * g.rows;
            open += g.cells * expect(&|b, v| if b <= 0.0 || b >= g.rows { v } else { 0.0 });
            if g.rows <= 1.0 {
                single = own;
            }
            terms.push((g, values, own, 0.0));
        }
        let (n, m) = (self.rows.0 as f64, self.rows.1 as f64);
        let unit = n / all * (m / (all - 1.0).max(1.0));
        let line = unit * (steep - along / all * along).max(0.0);
        let apart = line + rest;
        let mut variance = (apart + square * square - squares).max(0.0);
        // The third moment of the sum of the cells apart, about the line that all of them share.
        let slope = along / all;
        let (mut second, mut third) = (0.0, 0.0);
        for (g, values, own, limit) in &terms {
            third += g.cells * limit;
            second += g.cells * g.limit.map_or(0.0, |l| l.1);
            let middle: f64 = g.counts.iter().map(|(b, w)| b * w).sum();
            for (&(b, w), v) in g.counts.iter().zip(values) {
                let d = v - own - slope * (b - middle);
                second += g.cells * w * d * d;
                third += g.cells * w * d * d * d;
            }
        }
        if second > 0.0 {
            third *= variance / second;
        }
        let error = self.uncertain * single;
        variance += error * error;
        Moments {
            mean,
            variance,
            skewness: if variance > 0.0 {
                third / (variance * libm::sqrt(variance))
            } else {
                0.0
            },
            open: open.clamp(0.0, mean.max(0.0)),
        }
    }

    fn group(&self, held: Held) -> Group {
        let (n, m) = self.rows;
        let all = n as f64 + m as f64;
        let expected = n.min(m) as f64 * (held.rows as f64 / all);
        let limit = self
            .limit
            .filter(|_| expected >= FEW)
            .map(|of| of(held.rows));
        Group {
            rows: held.rows as f64,
            cells: held.cells,
            made: held.made && expected < MANY,
            counts: match limit {
                Some(_) => Vec::new(),
                None => splits(held.rows, n, m),
            },
            limit,
        }
    }
}

/// How the one cell of new values enters a sum whose term is no line there: its rows are a sum over the values
/// that the reference may not hold, about whose mean the term is taken for a line; so is the number of cells.
struct Pooled {
    /// Cells that are expected.
    cells: f64,
    /// What one cell more adds.
    each: f64,
    /// What a row in the cell of new values adds.
    slope: f64,
    /// What is added beside.
    shift: f64,
}

impl Pooled {
    fn new<F: Fn(f64, f64, f64) -> f64>(groups: &[Group], sum: &Sum<'_, F>) -> Self {
        let (mut cells, mut mean, mut variance) = (0.0, 0.0, 0.0);
        for g in groups {
            let lost = if g.made {
                chance(&g.counts, g.rows)
            } else {
                0.0
            };
            cells += g.cells * (1.0 - lost);
            mean += g.cells * lost * g.rows;
            variance += g.cells * lost * (1.0 - lost) * g.rows * g.rows;
        }
        let mut found = Pooled {
            cells,
            each: 0.0,
            slope: 0.0,
            shift: 0.0,
        };
        if !sum.prior {
            return found;
        }
        let some = 1.0 - libm::exp(-mean);
        found.cells += some;
        let new = |rows: f64, k: f64| (sum.term)(0.0, rows, k);
        if mean > 0.0 {
            let h = 1e-3 * mean.max(1.0);
            let (below, at, above) = (
                new((mean - h).max(0.0), found.cells),
                new(mean, found.cells),
                new(mean + h, found.cells),
            );
            let width = h + mean.min(h);
            found.slope = (above - below) / width;
            let bend = (above - 2.0 * at + below) / (h * h);
            let bend = if mean > h { bend } else { 0.0 };
            found.shift = at - found.slope * mean + 0.5 * bend * variance;
        }
        let total = |k: f64| {
            let known = groups.iter().map(|g| {
                let own = g.counts.iter().filter(|c| !g.made || c.0 < g.rows);
                g.cells
                    * own
                        .map(|&(b, w)| w * (sum.term)(g.rows - b, b, k))
                        .sum::<f64>()
            });
            let pool = if mean > 0.0 { new(mean, k) } else { 0.0 };
            known.sum::<f64>() + pool
        };
        let h = 1.0_f64.min(0.5 * found.cells);
        found.each = (total(found.cells + h) - total(found.cells - h)) / (2.0 * h);
        found.shift -= found.each * cells;
        found
    }

    /// What a cell adds with `b` rows of the current side.
    fn value<F: Fn(f64, f64, f64) -> f64>(&self, sum: &Sum<'_, F>, g: &Group, b: f64) -> f64 {
        if !sum.prior {
            return (sum.term)(g.rows - b, b, self.cells);
        }
        if g.made && b >= g.rows {
            return self.slope * b;
        }
        (sum.term)(g.rows - b, b, self.cells) + self.each
    }
}

/// Chance of one count.
fn chance(counts: &[(f64, f64)], count: f64) -> f64 {
    counts.iter().filter(|c| c.0 >= count).map(|c| c.1).sum()
}

/// Groups cells by the rows they hold; those without a row are left out.
pub(super) fn grouped(cells: impl Iterator<Item = Held>) -> Vec<Held> {
    let mut groups: BTreeMap<(u64, bool), f64> = BTreeMap::new();
    for c in cells.filter(|c| c.rows > 0 && c.cells > 0.0) {
        *groups.entry((c.rows, c.made)).or_default() += c.cells;
    }
    (groups.into_iter())
        .map(|((rows, made), cells)| Held { rows, made, cells })
        .collect()
}

/// Counts of the current side among the `held` rows of a cell, when these may fall in any way to sides of n
/// and m rows, and their chances: the hypergeometric distribution without what is less likely than
/// [`NEGLIGIBLE`] of the likeliest, or five points where that is near a normal one.
fn splits(held: u64, n: u64, m: u64) -> Vec<(f64, f64)> {
    let (t, rows, current) = (held as f64, n as f64, m as f64);
    let all = rows + current;
    if rows.min(current) * (t / all) >= MANY {
        let deviation = libm::sqrt(t * (rows / all) * (current / all) * ((all - t) / (all - 1.0)));
        let middle = t * (current / all);
        return POINTS
            .map(|(z, weight)| (middle + z * deviation, weight))
            .to_vec();
    }
    let (least, most) = (held.saturating_sub(n), held.min(m));
    let mode = libm::floor((t + 1.0) * ((current + 1.0) / (rows + current + 2.0))) as u64;
    let mode = mode.clamp(least, most);
    // Weights of k + 1 over k rows on the current side.
    let ratio = |k: u64| {
        let k = k as f64;
        (t - k) * (current - k) / ((k + 1.0) * (rows - t + k + 1.0))
    };
    let mut found = Vec::new();
    let (mut k, mut weight) = (mode, 1.0);
    while weight > NEGLIGIBLE {
        found.push((k as f64, weight));
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
        found.push((k as f64, weight));
    }
    let whole: f64 = found.iter().map(|c| c.1).sum();
    found.iter_mut().for_each(|c| c.1 /= whole);
    found
}

/// Chance that all `held` rows of a cell are the current side's.
pub(super) fn unseen(held: u64, n: u64, m: u64) -> f64 {
    chance(&splits(held, n, m), held as f64)
}

/// Mean of `|a / n - b / m|` over all ways in which the `a + b = held` rows of a cell may fall to sides of n
/// and m rows.
pub(super) fn split_mean(held: u64, n: u64, m: u64) -> f64 {
    let (t, rows, current) = (held as f64, n as f64, m as f64);
    let each = splits(held, n, m);
    each.iter()
        .map(|(b, w)| w * ((t - b) / rows - b / current).abs())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to choose the current rows, each of which lies in a cell: what the sum is.
    fn all_splits(cells: &[u32], m: u32, of: impl Fn(&[(f64, f64)]) -> f64) -> Vec<f64> {
        let at: Vec<usize> = (0..cells.len())
            .flat_map(|i| std::iter::repeat_n(i, cells[i] as usize))
            .collect();
        (0_u32..1 << at.len())
            .filter(|chosen| chosen.count_ones() == m)
            .map(|chosen| {
                let mut counts: Vec<(f64, f64)> = vec![(0.0, 0.0); cells.len()];
                for (row, cell) in at.iter().enumerate() {
                    if chosen >> row & 1 == 1 {
                        counts[*cell].1 += 1.0;
                    } else {
                        counts[*cell].0 += 1.0;
                    }
                }
                of(&counts)
            })
            .collect()
    }

    fn moments(values: &[f64]) -> (f64, f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let central = |k: i32| values.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
        let variance = central(2);
        (mean, variance, central(3) / variance.powf(1.5))
    }

    fn held(cells: &[u32], made: bool) -> Vec<Held> {
        let of = |rows: &u32| Held {
            rows: u64::from(*rows),
            made,
            cells: 1.0,
        };
        grouped(cells.iter().map(of))
    }

    #[test]
    fn means_are_those_of_all_splits_and_variances_nearly() {
        type Term = fn(f64, f64, f64, f64) -> f64;
        let terms: [Term; 3] = [
            |a, b, n, m| (a * m - b * n) * (a * m - b * n) / (n * m * (a + b)),
            |a, b, n, m| {
                let root = (a / n).sqrt() - (b / m).sqrt();
                0.5 * root * root
            },
            |a, b, n, m| 0.5 * (a / n - b / m).abs(),
        ];
        let cases: [(&[u32], u32); 5] = [
            (&[5, 4, 3, 2, 1, 1], 8),
            (&[3, 3, 3, 3, 2, 2], 5),
            (&[2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1], 4),
            (&[9, 3, 1, 1, 1, 1], 8),
            (&[8, 8], 7),
        ];
        for (cells, m) in cases {
            let n = cells.iter().sum::<u32>() - m;
            let (a, b) = (f64::from(n), f64::from(m));
            let held = held(cells, false);
            for term in terms {
                let found = Sum {
                    held: &held,
                    uncertain: 0.0,
                    rows: (n.into(), m.into()),
                    term: |x, y, _| term(x, y, a, b),
                    prior: false,
                    limit: None,
                }
                .moments();
                let sums = all_splits(cells, m, |counts| {
                    counts.iter().map(|(x, y)| term(*x, *y, a, b)).sum()
                });
                let (mean, variance, skewness) = moments(&sums);
                assert!((found.mean - mean).abs() < 1e-12, "{} {mean}", found.mean);
                // The line and the square are what cells share, but for 16 rows.
                let ratio = found.variance / variance;
                assert!((0.85..1.25).contains(&ratio), "{cells:?} {ratio}");
                // Two cells give a sum of a few values.
                let near = (found.skewness - skewness).abs() < 0.9;
                assert!(near || cells.len() == 2, "{cells:?}");
            }
        }
    }

    #[test]
    fn sums_of_single_rows_do_not_vary() {
        // Whatever rows fall where, n of them are the reference's.
        let held = held(&[1; 12], false);
        let found = Sum {
            held: &held,
            uncertain: 0.0,
            rows: (8, 4),
            term: |a: f64, b: f64, _| (a * 4.0 - b * 8.0) * (a * 4.0 - b * 8.0) / (32.0 * (a + b)),
            prior: false,
            limit: None,
        }
        .moments();
        assert!((found.mean - 12.0).abs() < 1e-12 && found.variance < 1e-20);
        assert!((found.open - 12.0).abs() < 1e-12);
    }

    #[test]
    fn the_cell_of_new_values_is_made_again_in_every_split() {
        let cells = [4, 3, 2, 2, 1, 1, 1, 1];
        let (n, m) = (8_u32, 7_u32);
        let term = |a: f64, b: f64, k: f64| {
            let p = (a + 0.5) / (f64::from(n) + 0.5 * k);
            let q = (b + 0.5) / (f64::from(m) + 0.5 * k);
            (q - p) * (q / p).ln()
        };
        let sums = all_splits(&cells, m, |counts| {
            let new: f64 = counts.iter().filter(|c| c.0 == 0.0).map(|c| c.1).sum();
            let known = counts.iter().filter(|c| c.0 > 0.0);
            let k = known.clone().count() as f64 + f64::from(u8::from(new > 0.0));
            let pool = if new > 0.0 { term(0.0, new, k) } else { 0.0 };
            known.map(|c| term(c.0, c.1, k)).sum::<f64>() + pool
        });
        let (mean, variance, _) = moments(&sums);
        let held = held(&cells, true);
        let found = Sum {
            held: &held,
            uncertain: 0.0,
            rows: (n.into(), m.into()),
            term,
            prior: true,
            limit: None,
        }
        .moments();
        // A line stands for the cell of new values and for the number of cells.
        assert!(
            (found.mean / mean - 1.0).abs() < 0.05,
            "{} {mean}",
            found.mean
        );
        let ratio = found.variance / variance;
        assert!((0.7..1.4).contains(&ratio), "{ratio}");
    }

    #[test]
    fn chi_square_has_the_moments_of_haldane() {
        // Exact variance of chi-square of an r x k table, Haldane (1940), as Dawson (1954) writes it.
        let cells = [40_u64, 25, 10, 4, 3, 2, 1, 1, 1];
        let (n, m) = (52_u64, 35_u64);
        let held = grouped(cells.iter().map(|&rows| Held {
            rows,
            made: false,
            cells: 1.0,
        }));
        let (a, b) = (n as f64, m as f64);
        let all = a + b;
        let found = Sum {
            held: &held,
            uncertain: 0.0,
            rows: (n, m),
            term: |x: f64, y: f64, _| {
                let d = x * b - y * a;
                d * d / (a * b * (x + y))
            },
            prior: false,
            limit: None,
        }
        .moments();
        let k = cells.len() as f64;
        assert!((found.mean - all / (all - 1.0) * (k - 1.0)).abs() < 1e-6);
        let inverse: f64 = cells.iter().map(|t| 1.0 / *t as f64).sum();
        let (p, q) = (1.0 / a + 1.0 / b, inverse);
        let (r, c) = (2.0, k);
        // mu2 = 2 N / (N - 3) (v1 - w1) (v2 - w2) + N^2 / (N - 1) w1 w2, over the margins.
        let v = |k: f64| (k - 1.0) * (all - k) / (all - 1.0);
        let w = |sum: f64, k: f64| (all * sum - k * k) / (all - 2.0);
        let (v1, v2, w1, w2) = (v(r), v(c), w(p, r), w(q, c));
        let want =
            2.0 * all / (all - 3.0) * (v1 - w1) * (v2 - w2) + all * all / (all - 1.0) * w1 * w2;
        let ratio = found.variance / want;
        assert!((0.97..1.03).contains(&ratio), "{} {want}", found.variance);
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
        assert!((split_mean(4, 5, 3) - moments(&values).0).abs() < 1e-12);
        // One current row against any number of rows.
        let p = 500.0 / 1001.0;
        let (out, inside) = (0.5, 1.0 - 0.499);
        assert!((split_mean(500, 1000, 1) - ((1.0 - p) * out + p * inside)).abs() < 1e-12);
        for (held, n, m) in [(0, 5, 5), (10, 5, 5), (3, u64::MAX >> 3, 7), (1, 1, 1)] {
            assert!((0.0..=1.0).contains(&split_mean(held, n, m)));
        }
    }

    #[test]
    fn five_points_stand_for_many_rows() {
        let (n, m, t) = (900_u64, 700_u64, 150_u64);
        let exact = |held: u64| -> f64 {
            // All counts, whatever is expected: the recurrence from the mode.
            let small = splits(held, n, m);
            small.iter().map(|(b, w)| w * b * b).sum()
        };
        let (a, b, held) = (n as f64, m as f64, t as f64);
        let p = b / (a + b);
        let variance = held * p * (1.0 - p) * (a + b - held) / (a + b - 1.0);
        assert!((exact(t) / (held * p * held * p + variance) - 1.0).abs() < 1e-9);
        assert_eq!(splits(t, n, m).len(), 5);
        assert!(splits(100, n, m).len() > 20);
        assert!(
            (exact(100) / (100.0 * p * 100.0 * p + 100.0 * p * (1.0 - p) * 1500.0 / 1599.0) - 1.0)
                .abs()
                < 1e-6
        );
    }
}
