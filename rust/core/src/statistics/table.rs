//! The coarse table behind PSI, the divergences, and the tests of categories.

use super::folded::{self, Piece};
use super::sparse::{self, Held, Limit, Moments};
use super::{
    Interval, MIN_COUNT, NotApplicable, Outcome, RAO_SCOTT, clustered, cross, estimated, total,
};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::dependence::{Blocked, Design};
use crate::pair::{CategoryKey, Pair};
use crate::special::{chi_square_sf, normal_sf};

/// Rows of the smaller side below which a distance is not taken to vary as one of many rows does.
const FEW_ROWS: f64 = 20.0;

/// What rows a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Those of one value, or of a range of values.
    Values,
    /// Those of unknown values: finer cells could differ more.
    Several,
    /// Those of values that the reference never held.
    New,
    /// Missing ones.
    Missing,
}

/// Counts of both sides in one cell.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// What the cell holds, for messages.
    pub label: String,
    /// Reference rows.
    pub reference: u64,
    /// Current rows.
    pub current: u64,
    /// What rows it holds.
    holds: Holds,
    /// The coarse cell of an ordered column.
    pub coarse: Option<u32>,
}

impl Counted {
    /// Holds unknown values: finer cells could differ more.
    pub fn is_pooled(&self) -> bool {
        self.holds == Holds::Several
    }
}

/// Cells that hold at least one row, and the totals of both sides.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Cells in a fixed order: coarse cells or categories, then missing, -inf, +inf.
    pub cells: Vec<Counted>,
    /// Reference rows.
    pub n: u64,
    /// Current rows.
    pub m: u64,
    /// Rows of equal weight that a unit of either side is worth; 1 without weights.
    pub scale: (f64, f64),
    /// Both samples by block and the design of the test of homogeneity on the same kind of cells.
    design: Option<(Arc<Blocked>, Design)>,
    /// Whether missing rows are a cell.
    missing: bool,
    /// Rows of either side in the cells, those of new values by value: that one side has none of them
    /// is how their one cell was made.
    fine: Vec<Fine>,
    /// Standard error of the number of new values.
    uncertain: f64,
    /// All finite values, which are not one, lie in one cell.
    blind: bool,
    /// See [`Table::few`], for each of the `fine`.
    few: OnceLock<Vec<Option<f64>>>,
}

/// Cells that hold the same rows.
#[derive(Debug, Clone, Copy)]
struct Fine {
    /// Reference rows.
    reference: u64,
    /// Current rows.
    current: u64,
    /// How many such cells.
    cells: f64,
    /// Whether it is a cell because the reference holds a row of it.
    made: bool,
}

/// Distribution of a value when nothing changed: a chi-square over its degrees of freedom, times its mean; or
/// the gamma distribution with these and a skewness of its own (Pearson's type III).
#[derive(Debug, Clone, Copy)]
pub(super) struct Null {
    /// Mean of the value.
    pub mean: f64,
    /// Twice the squared mean over the variance, for independent rows.
    pub df: f64,
    /// Skewness where it is not that of the chi-square.
    skewness: Option<f64>,
    /// Part of the mean that is there whether or not the samples differ.
    open: f64,
}

impl Null {
    /// The distribution of the value times a factor.
    pub fn scaled(self, factor: f64) -> Self {
        Null {
            mean: self.mean * factor,
            open: self.open * factor,
            ..self
        }
    }

    /// The same where a true value may lie further above the observed one.
    pub fn opened(self, further: f64) -> Self {
        Null {
            open: self.open + further.max(0.0),
            ..self
        }
    }

    /// Upper tail.
    fn tail(self, value: f64) -> f64 {
        let Some(skewness) = self.skewness else {
            return chi_square_sf(value * self.df / self.mean, self.df);
        };
        let z = (value / self.mean - 1.0) * libm::sqrt(0.5 * self.df);
        // Nearly no skewness, or to the left, where the normal tail is above.
        if skewness < 1e-3 {
            return normal_sf(z);
        }
        let df = 8.0 / (skewness * skewness);
        chi_square_sf(df + z * libm::sqrt(2.0 * df), df)
    }
}

/// Twice the squared mean over the variance, at most: values that do not vary but for rounding.
const MOST_DF: f64 = 1e9;

impl Table {
    /// The partition of the divergences: coarse cells, -inf and +inf of ordered columns; values,
    /// hash cells and new of categories; missing too when asked. Cells empty on both sides are
    /// left out.
    pub fn new(pair: &Pair, missing: bool) -> Result<Self, NotApplicable> {
        let mut cells: Vec<Counted> = Vec::new();
        let mut new = 0_u64;
        let blind = match pair {
            Pair::Numeric(p) => match (p.cells.first(), p.cells.last()) {
                (Some(first), Some(last)) => first.coarse == last.coarse && first.low < last.high,
                _ => false,
            },
            Pair::Categorical(_) => false,
        };
        let mut push = |label: String, reference: u64, current: u64, holds, coarse| {
            if reference > 0 || current > 0 {
                cells.push(Counted {
                    label,
                    reference,
                    current,
                    holds,
                    coarse,
                });
            }
        };
        match pair {
            Pair::Numeric(p) => {
                for group in p.cells.chunk_by(|a, b| a.coarse == b.coarse) {
                    let add = |x: u64, y: u64| x.saturating_add(y);
                    push(
                        format!("cell {}", u64::from(group[0].coarse) + 1),
                        group.iter().map(|c| c.reference).fold(0, add),
                        group.iter().map(|c| c.current).fold(0, add),
                        Holds::Values,
                        Some(group[0].coarse),
                    );
                }
                let (r, c) = (&p.reference, &p.current);
                push("-inf".into(), r.neg_inf, c.neg_inf, Holds::Values, None);
                push("+inf".into(), r.pos_inf, c.pos_inf, Holds::Values, None);
            }
            Pair::Categorical(p) => {
                for cell in &p.cells {
                    new += if cell.key == CategoryKey::New {
                        cell.current
                    } else {
                        0
                    };
                    let rare = cell.rows.0.max(cell.rows.1) < MIN_COUNT;
                    let label = match &cell.key {
                        CategoryKey::Value(_) if rare => "a rare value".into(),
                        CategoryKey::Value(bytes) => {
                            format!("'{}'", String::from_utf8_lossy(bytes))
                        }
                        CategoryKey::HashCell(i) => format!("hash cell {i}"),
                        CategoryKey::New => "new values".into(),
                    };
                    let holds = match cell.key {
                        CategoryKey::Value(_) => Holds::Values,
                        CategoryKey::HashCell(_) => Holds::Several,
                        CategoryKey::New => Holds::New,
                    };
                    push(label, cell.reference, cell.current, holds, None);
                }
            }
        }
        if missing {
            let (r, c) = pair.sides();
            push(
                "missing".into(),
                r.missing(),
                c.missing(),
                Holds::Missing,
                None,
            );
        }
        let n = total(cells.iter().map(|c| c.reference), "reference", "value")?;
        let m = total(cells.iter().map(|c| c.current), "current sample", "value")?;
        let apart = match pair {
            Pair::Categorical(p) => p.new_values.by_rows.as_slice(),
            Pair::Numeric(_) => &[],
        };
        let rows: f64 = apart.iter().map(|(rows, cells)| *rows as f64 * cells).sum();
        let known = new > 0 && (rows - new as f64).abs() <= 1e-6 * new as f64;
        let apart = if known { apart } else { &[] };
        // A dictionary of more values than this reference holds is not made from it.
        let values = |c: &&Counted| !known || c.holds != Holds::New;
        let made = matches!(pair, Pair::Categorical(_))
            && cells
                .iter()
                .filter(values)
                .all(|c| c.reference > 0 || c.holds == Holds::Missing);
        let fine = (cells.iter().filter(values))
            .map(|c| Fine {
                reference: c.reference,
                current: c.current,
                cells: 1.0,
                made: made && c.holds != Holds::Missing,
            })
            .chain(apart.iter().map(|&(current, cells)| Fine {
                reference: 0,
                current,
                cells,
                made,
            }))
            .collect();
        let uncertain = match pair {
            Pair::Categorical(p) if known => p.new_values.error,
            _ => 0.0,
        };
        let blocked = match pair {
            Pair::Numeric(p) => p.blocked.as_ref(),
            Pair::Categorical(p) => p.blocked.as_ref(),
        };
        let design = blocked.and_then(|b| Some((Arc::clone(b), b.homogeneity(missing)?)));
        Ok(Table {
            cells,
            n,
            m,
            scale: super::weighing::scale_of(pair, (n, m)),
            design,
            missing,
            fine,
            uncertain,
            blind,
            few: OnceLock::new(),
        })
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Rows of equal weight that both sides are worth.
    pub fn worth(&self) -> (f64, f64) {
        (self.n as f64 * self.scale.0, self.m as f64 * self.scale.1)
    }

    /// Units of a cell on both sides together, as rows of equal weight.
    pub fn pool(&self, cell: &Counted) -> f64 {
        cell.reference as f64 * self.scale.0 + cell.current as f64 * self.scale.1
    }

    /// Design effects of both sides; 1 for independent rows.
    pub fn effect(&self) -> (f64, f64) {
        let own = (1.0 / self.scale.0, 1.0 / self.scale.1);
        self.design.as_ref().map_or(own, |d| d.1.effect)
    }

    /// `1 / n + 1 / m` of independent rows.
    fn own_inverse_rows(&self) -> f64 {
        let (n, m) = self.worth();
        1.0 / n + 1.0 / m
    }

    /// `1 / n + 1 / m` of the rows both sides are worth.
    pub fn inverse_rows(&self) -> f64 {
        self.design
            .as_ref()
            .map_or(self.own_inverse_rows(), |(_, d)| {
                d.inverse_rows((self.n, self.m))
            })
    }

    /// What `unit` times a chi-square with one degree of freedom less than there are cells is.
    pub fn chi_square_null(&self, unit: f64) -> Null {
        let df = (self.len() - 1) as f64;
        Null {
            mean: df * unit,
            df,
            skewness: None,
            open: 0.0,
        }
    }

    /// The same for a sum of `term(a, b, k)` over cells, of the counts of both sides and the number of cells,
    /// that is such a chi-square where every cell holds many rows: where one holds a few, the moments over
    /// all splits of the rows between the sides. `prior`: the term is no line in the rows of new values.
    pub fn null(&self, unit: f64, prior: bool, term: impl Fn(f64, f64, f64) -> f64) -> Null {
        if !self.is_sparse() {
            return self.chi_square_null(unit);
        }
        let found = self.moments(prior, None, term);
        let inflation = self.inflation();
        let squared = found.mean * found.mean;
        Null {
            mean: found.mean * inflation,
            df: (2.0 * squared / found.variance).min(MOST_DF),
            skewness: Some(found.skewness),
            open: found.open * inflation,
        }
    }

    /// Moments of a sum of terms over all splits of the rows between the sides.
    fn moments(
        &self,
        prior: bool,
        limit: Limit<'_>,
        term: impl Fn(f64, f64, f64) -> f64,
    ) -> Moments {
        let held = sparse::grouped(self.fine.iter().map(|f| Held {
            rows: f.reference.saturating_add(f.current),
            made: f.made,
            cells: f.cells,
        }));
        sparse::Sum {
            held: &held,
            uncertain: self.uncertain,
            rows: (self.n, self.m),
            term,
            prior,
            limit,
        }
        .moments()
    }

    /// Upper tail of a value that has this distribution when nothing changed; with blocks, that of the
    /// test of homogeneity, or this one where cells hold few rows and it is larger.
    pub fn pvalue(&self, value: f64, null: Null) -> f64 {
        let own = || null.tail(value);
        match &self.design {
            _ if null.df == 0.0 => 1.0,
            None => own(),
            Some((_, d)) if self.is_sparse() => d.pvalue.max(own()),
            Some((_, d)) => d.pvalue,
        }
    }

    /// Rao and Scott's test of homogeneity of the table, where blocks are known.
    pub fn homogeneity(&self) -> Option<f64> {
        self.design.as_ref().map(|d| d.1.pvalue)
    }

    /// How many times larger the sampling error of both sides is than that of independent rows.
    pub fn inflation(&self) -> f64 {
        self.inverse_rows() / self.own_inverse_rows()
    }

    /// Interval of a value (squared when `root`) that has this distribution when nothing changed, and the
    /// variance `delta` by the delta method; with Student's quantiles where errors were estimated from
    /// blocks.
    pub fn quadratic(
        &self,
        bounds: (f64, f64),
        null: Null,
        delta: f64,
        root: bool,
        range: (f64, f64),
    ) -> Interval {
        // Satterthwaite: as many degrees of freedom as give the mean and the variance.
        let spread = self.spread();
        let df = null.df * spread;
        let bias = null.mean;
        // What moved may have moved in the direction that varies most.
        let largest = spread * self.largest();
        self.clustered(Interval::Quadratic {
            bounds,
            bias,
            df,
            ratio: (delta / (4.0 * bias / df * bounds.0)).max(largest),
            open: null.open,
            root,
            range,
        })
    }

    /// Degrees of freedom of that chi-square (Satterthwaite) over those of independent rows.
    fn spread(&self) -> f64 {
        self.design.as_ref().map_or(1.0, |(_, d)| d.spread.min(1.0))
    }

    /// How much larger the variance may be in one direction than in the mean: with one eigenvalue above
    /// equal others, as much as gives these degrees of freedom.
    pub fn largest(&self) -> f64 {
        let others = (self.len() as f64 - 2.0).max(0.0);
        1.0 + libm::sqrt(others * (1.0 / self.spread() - 1.0))
    }

    /// Notes on an outcome how dependence entered.
    pub fn depends(&self, outcome: &mut Outcome) {
        if let Some((blocked, d)) = &self.design {
            let null = outcome.pvalue.map(|_| RAO_SCOTT);
            outcome.depends(blocked, d.effective((self.n, self.m)), null);
        }
    }

    /// The interval, with Student's quantiles where errors were estimated from blocks, or from few rows.
    pub fn clustered(&self, interval: Interval) -> Interval {
        match &self.design {
            Some((_, d)) => clustered(interval, Some(d)),
            None if self.n.min(self.m) < FEW_ROWS as u64 => {
                let (n, m) = (self.n as f64, self.m as f64);
                estimated(interval, (1.0 / n, n - 1.0), (1.0 / m, m - 1.0))
            }
            None => interval,
        }
    }

    /// Shares of one cell.
    pub fn shares(&self, cell: &Counted) -> (f64, f64) {
        (
            cell.reference as f64 / self.n as f64,
            cell.current as f64 / self.m as f64,
        )
    }

    /// `|p - q|` of one cell as an integer over `n m`.
    pub fn difference(&self, cell: &Counted) -> u128 {
        cross(cell.reference, self.n, cell.current, self.m)
    }

    /// `|p - q| / (p + q)` of one cell.
    pub fn relative_difference(&self, cell: &Counted) -> f64 {
        let sum = u128::from(cell.reference) * u128::from(self.m)
            + u128::from(cell.current) * u128::from(self.n);
        self.difference(cell) as f64 / sum as f64
    }

    /// Delta-method variance from derivatives of the statistic by each share (own side's terms): that
    /// of the scores of the blocks where those are known.
    pub fn delta_variance(&self, gradient: impl Fn(f64, f64) -> (f64, f64)) -> f64 {
        if let Some((blocked, _)) = &self.design {
            let finite = |g: f64| if g.is_finite() { g } else { 0.0 };
            let v = blocked.linear(self.missing, |_, p, q| {
                let (a, b) = gradient(p, q);
                (finite(a), finite(b))
            });
            return v.reference + v.current;
        }
        let (mut a, mut a2, mut b, mut b2) = (0.0, 0.0, 0.0, 0.0);
        for cell in &self.cells {
            let (p, q) = self.shares(cell);
            let (gp, gq) = gradient(p, q);
            if p > 0.0 {
                a += p * gp;
                a2 += p * gp * gp;
            }
            if q > 0.0 {
                b += q * gq;
                b2 += q * gq * gq;
            }
        }
        let (n, m) = self.worth();
        (a2 - a * a).max(0.0) / n + (b2 - b * b).max(0.0) / m
    }

    /// Bound on what rounding, of weights and of shares as floats, moves a statistic of these shares
    /// by, from its derivatives: monotone in each share, so largest at a corner.
    pub fn moved(&self, pair: &Pair, gradient: impl Fn(f64, f64) -> (f64, f64)) -> f64 {
        let (r, c) = pair.sides();
        let (d, e) = (r.rounding() + 4e-16, c.rounding() + 4e-16);
        let (mut by_p, mut by_q) = (0.0_f64, 0.0_f64);
        for cell in &self.cells {
            let (p, q) = self.shares(cell);
            for (p, q) in [(p - d, q + e), (p + d, q - e)] {
                let (gp, gq) = gradient(p.clamp(0.0, 1.0), q.clamp(0.0, 1.0));
                (by_p, by_q) = (by_p.max(gp.abs()), by_q.max(gq.abs()));
            }
        }
        // Shares move by twice the mass that moves; as much again for what the prior moves.
        4.0 * (by_p * d + by_q * e)
    }

    /// Interval of `(1/2) sum |p - q|`.
    pub fn folded(&self, bounds: (f64, f64), range: (f64, f64)) -> Interval {
        let pieces: Vec<Piece> = (self.fine.iter().zip(self.few()))
            .map(|(f, few)| {
                let (p, q) = (
                    f.reference as f64 / self.n as f64,
                    f.current as f64 / self.m as f64,
                );
                // A folded normal with the mean that the splits of a few rows have.
                let few =
                    few.map(|mean| mean * libm::sqrt(self.inflation()) / super::NORMAL_MEAN_ABS);
                Piece {
                    weight: 0.5 * f.cells,
                    difference: (p - q).abs(),
                    deviation: few.unwrap_or_else(|| self.deviation(p, q)),
                    most: few.map_or(p + q, |_| f64::INFINITY),
                }
            })
            .collect();
        let linear = self.delta_variance(|p, q| {
            let sign = 0.5 * (p - q).signum();
            (sign, -sign)
        });
        let null = self.null_variance();
        // Signs that chance gave may hide the direction that varies most.
        let linear = linear.max(null / folded::FOLDED);
        let interval = folded::interval(bounds, &pieces, null, linear, None, range);
        clustered(interval, self.design.as_ref().map(|d| &d.1))
    }

    /// Mean, when nothing changed, of the absolute difference of the shares of each of the fine cells of which
    /// the smaller side is expected to hold a few rows; none of other cells, and of weights.
    fn few(&self) -> &[Option<f64>] {
        self.few.get_or_init(|| {
            let mut known = BTreeMap::new();
            let mut of = |rows: u64| {
                let mean = known.entry(rows);
                *mean.or_insert_with(|| sparse::split_mean(rows, self.n, self.m))
            };
            (self.fine.iter())
                .map(|f| self.holds_few(f).then(|| of(f.reference + f.current)))
                .collect()
        })
    }

    fn holds_few(&self, f: &Fine) -> bool {
        let rows = self.n as f64 + self.m as f64;
        let share = (f.reference as f64 + f.current as f64) / rows;
        self.scale == (1.0, 1.0) && self.n.min(self.m) as f64 * share < sparse::FEW
    }

    /// Whether a cell is expected to hold a few rows of a side.
    pub fn is_sparse(&self) -> bool {
        self.len() > 1 && self.fine.iter().any(|f| self.holds_few(f))
    }

    /// Variance of `(1/2) sum |p - q|` when nothing changed, with pooled shares `h`: the covariance of two
    /// absolute normals is at most `1 - 2/pi` of their squared correlation, times both deviations; where cells
    /// hold few rows, the variance over all splits. Blocks correlate the cells further, by as much as they take
    /// degrees of freedom from the chi-square.
    ///
    /// Of a few rows the sum is far from normal: then at least what differences of `1 / n` and `1 / m` by
    /// each row allow (McDiarmid 1989).
    fn null_variance(&self) -> f64 {
        let (n, m) = self.worth();
        let unit = folded::FOLDED * self.inverse_rows();
        if self.is_sparse() {
            let limit = |rows: u64| {
                let h = rows as f64 / (n + m);
                let own = 0.25 * h * (1.0 - h) * self.own_inverse_rows();
                let variance = folded::FOLDED * own;
                let third = folded::SKEWNESS * variance * libm::sqrt(variance);
                (super::NORMAL_MEAN_ABS * libm::sqrt(own), variance, third)
            };
            let found = self.moments(false, Some(&limit), |a, b, _| 0.5 * (a / n - b / m).abs());
            // Sums of single rows do not vary but for rounding.
            let least = found.mean * found.mean / MOST_DF;
            let variance = found.variance.max(least) * self.inflation() / self.spread();
            return if n.min(m) < FEW_ROWS {
                variance.max(0.25 * self.inverse_rows())
            } else {
                variance
            };
        }
        let (mut own, mut first, mut second) = (0.0, 0.0, 0.0);
        for f in &self.fine {
            let h = (f.reference as f64 * self.scale.0 + f.current as f64 * self.scale.1) / (n + m);
            if h < 1.0 {
                own += unit * h * (1.0 - h);
                first += h * libm::sqrt(h / (1.0 - h));
                second += h * h * h / (1.0 - h);
            }
        }
        let both = unit * (first * first - second).max(0.0);
        0.25 * (own + both) / self.spread()
    }

    /// Standard deviation of the difference of shares of one cell.
    pub fn deviation(&self, p: f64, q: f64) -> f64 {
        let (e, f) = self.effect();
        libm::sqrt(e * p * (1.0 - p) / self.n as f64 + f * q * (1.0 - q) / self.m as f64)
    }

    /// The same with blocks: of a coarse cell its own, of any other what it may be where it lies in the
    /// direction that varies most.
    pub fn own_deviation(&self, cell: &Counted) -> f64 {
        let (p, q) = self.shares(cell);
        // As if both sides held one row more inside and one outside: that a few rows leave a cell empty, or
        // fill it, does not make it certain (Agresti and Caffo 2000).
        let wide = |p: f64, rows: u64| (p * rows as f64 + 1.0) / (rows as f64 + 2.0);
        let deviation = self.deviation(wide(p, self.n), wide(q, self.m));
        let bound = || deviation * libm::sqrt(self.largest());
        // That the reference holds none of the new values is how they were told: as many as it would miss of these
        // rows in any split are no surprise.
        if cell.holds == Holds::New {
            return libm::hypot(bound(), self.unseen());
        }
        let own = self.design.as_ref().zip(cell.coarse);
        let own = own.and_then(|((blocked, _), coarse)| blocked.coarse(self.missing, coarse));
        own.map_or_else(bound, libm::sqrt)
    }

    /// Share of the current rows that the reference would hold no row of, were the rows split anew.
    fn unseen(&self) -> f64 {
        let made = self.fine.iter().filter(|f| f.made);
        let rows = made.map(|f| {
            let rows = f.reference + f.current;
            f.cells * rows as f64 * sparse::unseen(rows, self.n, self.m)
        });
        (super::sum(rows) / self.m as f64).min(1.0)
    }

    /// The mean of `(1/2) sum |p - q|` under no change, with pooled shares.
    pub fn total_variation_if_no_change(&self) -> f64 {
        let (n, m) = self.worth();
        let means = self.fine.iter().zip(self.few()).map(|(f, few)| {
            let h = (f.reference as f64 * self.scale.0 + f.current as f64 * self.scale.1) / (n + m);
            let normal = libm::sqrt((h * (1.0 - h)).max(0.0) * self.inverse_rows());
            f.cells
                * match few {
                    Some(mean) => (mean * libm::sqrt(self.inflation())).min(1.0),
                    None => super::NORMAL_MEAN_ABS * normal,
                }
        });
        (0.5 * super::sum(means)).min(1.0)
    }

    /// Names the heaviest cell that is empty on one side only, and the number of such cells.
    pub fn support_mismatch(&self) -> Option<String> {
        let one_sided = |c: &&Counted| (c.reference == 0) != (c.current == 0);
        let count = self.cells.iter().filter(one_sided).count();
        let mass = |c: &Counted| {
            let (p, q) = self.shares(c);
            p.max(q)
        };
        let worst = self
            .cells
            .iter()
            .filter(one_sided)
            .max_by(|a, b| mass(a).total_cmp(&mass(b)))?;
        let (holder, other) = if worst.current == 0 {
            ("reference", "current sample")
        } else {
            ("current sample", "reference")
        };
        let more = if count > 1 {
            format!(" ({} more such cells)", count - 1)
        } else {
            String::new()
        };
        Some(format!(
            "support_mismatch: {} holds {:.3e} of the {holder} and nothing of the {other}{more}",
            worst.label,
            mass(worst)
        ))
    }

    /// Says how many cells hold several values, and where one holds all of them.
    pub fn pooled_note(&self) -> Option<String> {
        if self.blind {
            return Some(
                "all finite values lie in one cell, in which nothing can differ: fewer than 100 reference rows, or \
                 one value that holds nearly all, have no more"
                    .into(),
            );
        }
        let pooled = self.cells.iter().filter(|c| c.is_pooled()).count();
        (pooled > 0).then(|| format!("{pooled} hash cells counted as cells"))
    }

    /// Two-sample chi-square of homogeneity on the table.
    pub fn chi_square(&self) -> f64 {
        // sum (a m - b n)^2 / (n m (a + b)), written as nm-free factors that cannot overflow.
        let terms = self.cells.iter().map(|c| {
            let d = self.difference(c) as f64;
            let (n, m) = (self.n as f64, self.m as f64);
            (d / n) * (d / m) * (self.scale.0 * self.scale.1) / self.pool(c)
        });
        super::sum(terms)
    }
}
