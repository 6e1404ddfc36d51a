//! What stands beside an importance: which features go with one another, and how many permuted rows the
//! data does not hold.
//!
//! # Association
//! Between 0 and 1, and 0 in expectation without any: the size of Spearman's correlation of two numbers
//! (missing values in the middle of the ranks); of a number and a category the root of the adjusted share
//! of the variance of its ranks that the category explains (Ezekiel's correction of the correlation
//! ratio); of two categories Cramer's V as Bergsma (2013) corrects it. Of groups, the largest of two
//! members.
//!
//! # Outside the data
//! A permuted row has the feature from a donor and all else of its own. Features are cut into at most 10
//! cells of about equal mass (categories below half of that mass are one). A pair of cells of two features
//! is *outside* where it holds at most a twentieth of the rows that independence would put there, and
//! independence would put 10 there at least. A permuted row is outside where the pair of its donor's cell
//! with any other feature's own cell is. The share over all pairs of row and donor is a double sum over
//! cells. What a model says there is extrapolation (Hooker, Mentch and Zhou 2021, Statistics and Computing
//! 31:82); the share says how much of an importance may be.

use std::collections::BTreeMap;

use super::permutation::keyed;
use super::permuted::Permuted;
use crate::joint::Column;
use crate::segments::cells;
use crate::{Error, Result};

/// Most cells of a feature, beside those of rare and missing values.
const CELLS: usize = 10;
/// Rows that independence must put into a pair of cells before it can be outside.
const EXPECTED: f64 = 10.0;
/// A pair of cells is outside with this share of the rows that independence puts there.
const SPARSE: f64 = 0.05;
/// Partners of a feature that are looked at: the most associated, where there are more.
const PARTNERS: usize = 128;
/// Permutations of the rows for groups.
const REPEATS: u64 = 8;

/// Share of permuted rows outside the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outside {
    /// Of all pairs of row and donor; NaN where too few rows say nothing.
    pub share: f64,
    /// Of the sample that the share is taken on; 0 where it is all rows and all donors.
    pub standard_error: f64,
}

impl Outside {
    const UNKNOWN: Self = Self {
        share: f64::NAN,
        standard_error: f64::NAN,
    };
}

/// Features that go together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Units by position, ascending.
    pub members: Vec<usize>,
    /// The smallest association of two of them.
    pub association: f64,
    /// Of rows that take all of them from one donor.
    pub outside: Outside,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// For each unit the others with an association of at least the threshold, the closest first.
    pub close: Vec<Vec<(usize, f64)>>,
    /// By unit.
    pub outside: Vec<Outside>,
    /// Units of which any two have at least the threshold: complete linkage, closest pairs first.
    pub groups: Vec<Group>,
}

/// Looks at a sample of `population` rows; `units` are what is permuted together, by column.
///
/// # Errors
/// Columns of different lengths, or a unit of no or an unknown column.
pub fn support(
    columns: &[Column],
    units: &[Vec<usize>],
    population: u64,
    threshold: f64,
) -> Result<Support> {
    let rows = columns.first().map_or(0, Column::len);
    if let Some(j) = columns.iter().position(|c| c.len() != rows) {
        return Err(Error::invalid(format!(
            "column {j} has {} rows, the first {rows}",
            columns[j].len()
        )));
    }
    let known = |u: &Vec<usize>| !u.is_empty() && u.iter().all(|j| *j < columns.len());
    if let Some(unit) = units.iter().find(|u| !known(u)) {
        return Err(Error::invalid(format!(
            "unit {unit:?} of {} columns",
            columns.len()
        )));
    }
    let prepared: Vec<Prepared> = columns.iter().map(Prepared::new).collect();
    let mut table = vec![vec![0.0f64; columns.len()]; columns.len()];
    for i in 0..columns.len() {
        for j in i + 1..columns.len() {
            let r = association(&prepared[i], &prepared[j]);
            (table[i][j], table[j][i]) = (r, r);
        }
    }
    let between = |a: &[usize], b: &[usize]| -> f64 {
        let all = a.iter().flat_map(|i| b.iter().map(move |j| (*i, *j)));
        all.map(|(i, j)| table[i][j]).fold(0.0, f64::max)
    };
    let mut near = vec![vec![0.0; units.len()]; units.len()];
    for (a, x) in units.iter().enumerate() {
        for (b, y) in units.iter().enumerate().skip(a + 1) {
            let r = between(x, y);
            (near[a][b], near[b][a]) = (r, r);
        }
    }
    let close: Vec<Vec<(usize, f64)>> = near
        .iter()
        .map(|row| {
            let mut held: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
            held.retain(|(_, r)| *r >= threshold);
            held.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
            held
        })
        .collect();
    let cut = Cut::new(columns, rows);
    let sample = Sample {
        cut: &cut,
        table: &table,
        rows,
        population,
    };
    let outside = units.iter().map(|u| sample.outside(u)).collect();
    let groups = linked(&near, threshold)
        .into_iter()
        .map(|(members, association)| {
            let all: Vec<usize> = members.iter().flat_map(|m| units[*m].clone()).collect();
            Group {
                association,
                outside: sample.outside(&all),
                members,
            }
        })
        .collect();
    Ok(Support {
        close,
        outside,
        groups,
    })
}

/// Units of which any two are at least as near as the threshold; each in one group, and only groups of two
/// or more.
fn linked(near: &[Vec<f64>], threshold: f64) -> Vec<(Vec<usize>, f64)> {
    let mut pairs: Vec<(usize, usize)> = (0..near.len())
        .flat_map(|a| (a + 1..near.len()).map(move |b| (a, b)))
        .filter(|(a, b)| near[*a][*b] >= threshold)
        .collect();
    pairs.sort_by(|x, y| near[y.0][y.1].total_cmp(&near[x.0][x.1]).then(x.cmp(y)));
    let mut group: Vec<usize> = (0..near.len()).collect();
    let mut members: Vec<Vec<usize>> = (0..near.len()).map(|i| vec![i]).collect();
    // Pairs by falling nearness: two groups are joined at the pair that is their last if all are near.
    for (a, b) in pairs {
        let (x, y) = (group[a].min(group[b]), group[a].max(group[b]));
        if x == y {
            continue;
        }
        let all = members[x]
            .iter()
            .all(|i| members[y].iter().all(|j| near[*i][*j] >= threshold));
        if all {
            let moved = std::mem::take(&mut members[y]);
            moved.iter().for_each(|m| group[*m] = x);
            members[x].extend(moved);
        }
    }
    members
        .into_iter()
        .filter(|m| m.len() > 1)
        .map(|mut m| {
            m.sort_unstable();
            let pairs = m.iter().flat_map(|a| m.iter().map(move |b| (*a, *b)));
            let least = pairs
                .filter(|(a, b)| a != b)
                .map(|(a, b)| near[a][b])
                .fold(1.0, f64::min);
            (m, least)
        })
        .collect()
}

/// A column in the form that associations are taken from.
enum Prepared {
    /// Centred mid-ranks of length 1.
    Ranks(Vec<f64>),
    /// Codes from 0, the missing value one of them, and how many there are.
    Codes(Vec<u32>, usize),
    /// One value.
    Constant,
}

impl Prepared {
    fn new(column: &Column) -> Self {
        match column {
            Column::Numbers(v) => ranks(v).map_or(Self::Constant, Self::Ranks),
            Column::Codes(v) => {
                let mut known: BTreeMap<u32, u32> = v.iter().map(|c| (*c, 0)).collect();
                for (at, held) in known.values_mut().enumerate() {
                    *held = at as u32;
                }
                match known.len() {
                    0 | 1 => Self::Constant,
                    k => Self::Codes(v.iter().map(|c| known[c]).collect(), k),
                }
            }
        }
    }
}

/// Mid-ranks about their mean, of length 1; missing values at the mean. None without two values.
fn ranks(values: &[f64]) -> Option<Vec<f64>> {
    let mut order: Vec<usize> = (0..values.len()).filter(|i| !values[*i].is_nan()).collect();
    // -0 equals 0.
    let key = |i: usize| values[i] + 0.0;
    order.sort_by(|i, j| key(*i).total_cmp(&key(*j)));
    let centre = (order.len() as f64 - 1.0) / 2.0;
    let mut out = vec![0.0; values.len()];
    let mut at = 0;
    while at < order.len() {
        let same = order[at..]
            .iter()
            .take_while(|i| key(**i) == key(order[at]))
            .count();
        let middle = at as f64 + (same as f64 - 1.0) / 2.0 - centre;
        order[at..at + same].iter().for_each(|i| out[*i] = middle);
        at += same;
    }
    let size = out.iter().map(|r| r * r).sum::<f64>().sqrt();
    (size > 0.0).then(|| out.iter().map(|r| r / size).collect())
}

fn association(a: &Prepared, b: &Prepared) -> f64 {
    let found = match (a, b) {
        (Prepared::Ranks(x), Prepared::Ranks(y)) => {
            x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>().abs()
        }
        (Prepared::Ranks(x), Prepared::Codes(c, k))
        | (Prepared::Codes(c, k), Prepared::Ranks(x)) => explained(x, c, *k),
        (Prepared::Codes(x, k), Prepared::Codes(y, l)) => cramers_v(x, *k, y, *l),
        _ => 0.0,
    };
    found.clamp(0.0, 1.0)
}

/// Root of the adjusted share of the variance of `ranks` (mean 0, length 1) between categories.
fn explained(ranks: &[f64], codes: &[u32], categories: usize) -> f64 {
    let mut sums = vec![(0.0, 0.0); categories];
    for (r, c) in ranks.iter().zip(codes) {
        let held = &mut sums[*c as usize];
        held.0 += r;
        held.1 += 1.0;
    }
    let between: f64 = sums.iter().map(|(s, n)| s * s / n).sum();
    let (n, k) = (ranks.len() as f64, categories as f64);
    let within = (1.0 - between) * (n - 1.0) / (n - k);
    if n > k {
        (1.0 - within).max(0.0).sqrt()
    } else {
        0.0
    }
}

/// Cramer's V, corrected for what chance alone makes.
fn cramers_v(x: &[u32], k: usize, y: &[u32], l: usize) -> f64 {
    let (mut rows, mut columns) = (vec![0.0; k], vec![0.0; l]);
    let mut cells = BTreeMap::<(u32, u32), f64>::new();
    for (a, b) in x.iter().zip(y) {
        rows[*a as usize] += 1.0;
        columns[*b as usize] += 1.0;
        *cells.entry((*a, *b)).or_default() += 1.0;
    }
    let (n, k, l) = (x.len() as f64, k as f64, l as f64);
    let square = cells
        .iter()
        .map(|((a, b), c)| c * c / rows[*a as usize] / columns[*b as usize])
        .sum::<f64>()
        - 1.0;
    let phi = (square - (k - 1.0) * (l - 1.0) / (n - 1.0)).max(0.0);
    let size = |k: f64| k - (k - 1.0) * (k - 1.0) / (n - 1.0);
    let least = size(k).min(size(l)) - 1.0;
    if least > 0.0 {
        (phi / least).sqrt()
    } else {
        0.0
    }
}

/// Columns as cells.
struct Cut {
    codes: Vec<Vec<u8>>,
    counts: Vec<Vec<f64>>,
}

impl Cut {
    fn new(columns: &[Column], rows: usize) -> Self {
        // Fewer cells of few rows: independence puts 20 into each pair.
        let wanted = ((rows as f64 / 20.0).sqrt() as usize).clamp(2, CELLS);
        let codes: Vec<Vec<u8>> = columns
            .iter()
            .map(|c| cells(c, wanted, rows / (2 * wanted)))
            .collect();
        let counts = codes
            .iter()
            .map(|codes| {
                let mut counts = vec![0.0; codes.iter().max().map_or(0, |c| usize::from(*c) + 1)];
                codes.iter().for_each(|c| counts[usize::from(*c)] += 1.0);
                counts
            })
            .collect();
        Self { codes, counts }
    }

    /// For each cell of `g`, the cells of `j` that are outside with it.
    fn outside(&self, j: usize, g: usize) -> Vec<u64> {
        let (x, y) = (&self.counts[j], &self.counts[g]);
        let mut held = vec![0.0; x.len() * y.len()];
        for (a, b) in self.codes[j].iter().zip(&self.codes[g]) {
            held[usize::from(*b) * x.len() + usize::from(*a)] += 1.0;
        }
        let n = self.codes[j].len() as f64;
        let of = |b: usize| {
            (0..x.len()).fold(0u64, |mask, a| {
                let expected = x[a] * y[b] / n;
                let sparse = expected >= EXPECTED && held[b * x.len() + a] <= SPARSE * expected;
                mask | u64::from(sparse) << a
            })
        };
        (0..y.len()).map(of).collect()
    }
}

struct Sample<'a> {
    cut: &'a Cut,
    table: &'a [Vec<f64>],
    rows: usize,
    population: u64,
}

impl Sample<'_> {
    /// Of rows that take the columns of a unit from one donor.
    fn outside(&self, unit: &[usize]) -> Outside {
        if self.rows < 80 {
            return Outside::UNKNOWN;
        }
        if let [j] = unit {
            let masks = self.masks(*j, unit);
            return self.all_pairs(&masks, *j);
        }
        // Joint donors: sampled.
        let masks: Vec<Vec<u64>> = unit.iter().map(|j| self.masks(*j, unit)).collect();
        let sampled = || -> Result<Outside> {
            let mut made = Permuted::new(self.rows, None)?;
            for repeat in 0..REPEATS {
                let order = keyed(self.rows as u64, 0, "outside the data", repeat, 0, u64::MAX);
                let hit = |(i, k): (usize, &u64)| {
                    let cell = |j: usize| self.cut.codes[j][*k as usize];
                    let mut of = unit.iter().zip(&masks);
                    f64::from(u8::from(of.any(|(j, m)| m[i] >> cell(*j) & 1 == 1)))
                };
                let hits: Vec<f64> = order.iter().enumerate().map(hit).collect();
                made.add(&hits, &order)?;
            }
            let (e, _) = made.finish()?;
            Ok(Outside {
                share: e.value,
                standard_error: e.standard_error,
            })
        };
        sampled().unwrap_or(Outside::UNKNOWN)
    }

    /// For each row the cells of `j` that are outside with what else it has.
    fn masks(&self, j: usize, unit: &[usize]) -> Vec<u64> {
        let mut partners: Vec<usize> = (0..self.table.len())
            .filter(|g| !unit.contains(g))
            .collect();
        if partners.len() > PARTNERS {
            partners.sort_by(|a, b| {
                self.table[j][*b]
                    .total_cmp(&self.table[j][*a])
                    .then(a.cmp(b))
            });
            partners.truncate(PARTNERS);
        }
        let mut masks = vec![0u64; self.rows];
        for g in partners {
            let outside = self.cut.outside(j, g);
            for (mask, c) in masks.iter_mut().zip(&self.cut.codes[g]) {
                *mask |= outside[usize::from(*c)];
            }
        }
        masks
    }

    fn all_pairs(&self, masks: &[u64], j: usize) -> Outside {
        let counts = &self.cut.counts[j];
        let n = self.rows as f64;
        let bits = |mask: u64| (0..counts.len()).filter(move |a| mask >> a & 1 == 1);
        let mut donors = vec![0.0; counts.len()];
        let of_row: Vec<f64> = masks
            .iter()
            .map(|mask| {
                bits(*mask).for_each(|a| donors[a] += 1.0 / n);
                bits(*mask).map(|a| counts[a]).sum::<f64>() / n
            })
            .collect();
        // An empty sum is -0.
        let share = of_row.iter().sum::<f64>() / n + 0.0;
        let squares: f64 = of_row
            .iter()
            .zip(&self.cut.codes[j])
            .map(|(r, a)| r + donors[usize::from(*a)] - 2.0 * share)
            .map(|p| p * p)
            .sum();
        let unseen = (1.0 - n / (self.population as f64).max(n)).max(0.0);
        Outside {
            share,
            standard_error: (squares / n / n * unseen).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joint::MISSING;
    use crate::joint::random::Stream;

    fn normal(seed: u64, n: usize) -> Vec<f64> {
        let mut random = Stream::new(seed, "support", 0);
        (0..n).map(|_| random.normal()).collect()
    }

    #[test]
    fn independent_features_have_neither() {
        let n = 3000;
        let mut random = Stream::new(9, "support", 1);
        let codes: Vec<u32> = (0..n).map(|_| random.below(6) as u32).collect();
        let columns = [
            Column::Numbers(normal(1, n)),
            Column::Numbers(normal(2, n).iter().map(|x| x.exp()).collect()),
            Column::Codes(codes),
            Column::Codes(
                (0..n as u32)
                    .map(|i| if i % 7 == 0 { MISSING } else { 3 })
                    .collect(),
            ),
            Column::Numbers(vec![2.0; n]),
        ];
        let units: Vec<Vec<usize>> = (0..5).map(|j| vec![j]).collect();
        let found = support(&columns, &units, n as u64, 0.1).unwrap();
        assert!(found.close.iter().all(Vec::is_empty), "{found:?}");
        assert!(found.groups.is_empty());
        assert!(
            found
                .outside
                .iter()
                .all(|o| o.share == 0.0 && o.standard_error == 0.0)
        );
    }

    #[test]
    fn what_goes_together_is_found_whatever_its_kind() {
        let n = 4000;
        let x = normal(3, n);
        let noise = normal(4, n);
        let near: Vec<f64> = x.iter().zip(&noise).map(|(x, e)| x + 0.2 * e).collect();
        let square: Vec<f64> = x
            .iter()
            .zip(&noise)
            .map(|(x, e)| x * x + 0.05 * e)
            .collect();
        let bands: Vec<u32> = x
            .iter()
            .map(|x| (x * 2.0).floor().clamp(-4.0, 3.0) as i32 as u32)
            .collect();
        let other: Vec<u32> = bands.iter().map(|b| b.wrapping_mul(7)).collect();
        let columns = [
            Column::Numbers(x.clone()),
            Column::Numbers(near),
            Column::Numbers(square),
            Column::Codes(bands),
            Column::Codes(other),
        ];
        let units: Vec<Vec<usize>> = (0..5).map(|j| vec![j]).collect();
        let found = support(&columns, &units, n as u64, 0.7).unwrap();
        let with = |j: usize| found.close[j].iter().map(|c| c.0).collect::<Vec<_>>();
        assert_eq!(with(2), [3, 4]);
        assert_eq!(found.close[3][0], (4, 1.0));
        assert_eq!(found.groups.len(), 1);
        assert_eq!(found.groups[0].members, [0, 1, 3, 4]);
        assert!(found.groups[0].association > 0.9);
        // A rank correlation does not see the square; the rows that are not there do.
        assert!(
            found.outside.iter().all(|o| o.share > 0.4),
            "{:?}",
            found.outside
        );
        // Together they leave the data only against the square.
        let group = found.groups[0].outside;
        assert!(
            (group.share - found.outside[2].share).abs() < 0.15,
            "{group:?}"
        );
    }

    #[test]
    fn the_share_is_that_of_all_pairs_counted_one_by_one() {
        let n = 600;
        let x = normal(5, n);
        let y: Vec<f64> = x
            .iter()
            .zip(normal(6, n))
            .map(|(x, e)| x + 0.3 * e)
            .collect();
        let z = normal(7, n);
        let columns = [Column::Numbers(x), Column::Numbers(y), Column::Numbers(z)];
        let units = [vec![0], vec![1], vec![2], vec![0, 1]];
        let found = support(&columns, &units, 10 * n as u64, 0.7).unwrap();
        let cut = Cut::new(&columns, n);
        let sparse = |j: usize, a: u8, g: usize, b: u8| {
            let both = (0..n)
                .filter(|r| cut.codes[j][*r] == a && cut.codes[g][*r] == b)
                .count() as f64;
            let of = |j: usize, a: u8| (0..n).filter(|r| cut.codes[j][*r] == a).count() as f64;
            let expected = of(j, a) * of(g, b) / n as f64;
            expected >= 10.0 && both <= expected / 20.0
        };
        let mut known = BTreeMap::new();
        for (unit, o) in units.iter().zip(&found.outside) {
            let mut hits = 0;
            for i in 0..n {
                for k in 0..n {
                    let hit = unit.iter().any(|j| {
                        (0..3).filter(|g| !unit.contains(g)).any(|g| {
                            let key = (*j, cut.codes[*j][k], g, cut.codes[g][i]);
                            *known
                                .entry(key)
                                .or_insert_with(|| sparse(key.0, key.1, key.2, key.3))
                        })
                    });
                    hits += usize::from(hit);
                }
            }
            let share = hits as f64 / (n * n) as f64;
            let error = if unit.len() == 1 {
                1e-12
            } else {
                5.0 * o.standard_error + 1e-12
            };
            assert!((o.share - share).abs() <= error, "{unit:?} {o:?} {share}");
        }
        assert!(found.outside[0].share > 0.2 && found.outside[2].share == 0.0);
        assert!(found.outside[0].standard_error > 0.0);
    }

    #[test]
    fn bad_shapes_are_refused_and_few_rows_say_nothing() {
        let two = [Column::Numbers(vec![1.0; 5]), Column::Numbers(vec![1.0; 4])];
        assert!(support(&two, &[vec![0]], 5, 0.7).is_err());
        let one = [Column::Numbers((0..20).map(f64::from).collect())];
        assert!(support(&one, &[vec![1]], 5, 0.7).is_err());
        assert!(support(&one, &[vec![]], 5, 0.7).is_err());
        assert!(
            support(&one, &[vec![0]], 5, 0.7).unwrap().outside[0]
                .share
                .is_nan()
        );
        assert!(support(&[], &[], 0, 0.7).unwrap().close.is_empty());
    }
}
