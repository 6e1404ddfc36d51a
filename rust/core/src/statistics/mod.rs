//! The registry: one definition, one number.
//!
//! Every statistic is one file with a `STATISTIC` constant: its versioned definition, what it
//! applies to, and a function from a [`Pair`] to an [`Outcome`]. To add one, write the file and add
//! its two lines below; binding, comparison, documents and tests read the registry.
//!
//! Numbers are computed from integer counts. Bounds hold always: they are equal to the value when
//! it is exact, and rounded outward otherwise. Statistics never panic: what they cannot answer is a
//! [`NotApplicable`] with the reason.

mod contributions;
mod curve;
mod folded;
mod interval;
mod parity;
mod superiority;
mod table;
mod weighing;

mod anderson_darling;
mod brown_forsythe;
mod chi_square;
mod constant;
mod cramer_von_mises;
mod cramers_v;
mod distinct_count;
mod duplicate_keys;
mod energy;
mod energy_scaled;
mod epps_singleton;
mod fisher_exact;
mod g_test;
mod hellinger;
mod infinite_rate;
mod jensen_shannon;
mod ks;
mod kuiper;
mod kullback_leibler;
mod l_infinity;
mod mann_whitney;
mod mean_shift;
mod missing_rate;
mod nan_rate;
mod new_category_mass;
mod null_rate;
mod probability_of_superiority;
mod psi;
mod quantile_shift;
mod range_violation;
mod sparse;
mod total_variation;
mod vanished_category_mass;
mod volume;
mod wasserstein;
mod wasserstein_scaled;
mod welch_t;

pub use contributions::{CONTRIBUTING, Contribution, contributions};
pub(crate) use interval::fold;
pub use interval::{Difference, Interval, NODES, Noise};
pub use parity::parity;
pub use weighing::weights;

use crate::column::Kind;
use crate::dependence::{Blocked, Design};
use crate::pair::{NumericPair, Pair, Part};
use crate::row::Exactness;
use crate::value::Logical;

/// Every statistic, by name.
const REGISTRY: &[&Statistic] = &[
    &anderson_darling::STATISTIC,
    &brown_forsythe::STATISTIC,
    &chi_square::STATISTIC,
    &constant::STATISTIC,
    &cramer_von_mises::STATISTIC,
    &cramers_v::STATISTIC,
    &distinct_count::STATISTIC,
    &duplicate_keys::STATISTIC,
    &energy::STATISTIC,
    &energy_scaled::STATISTIC,
    &epps_singleton::STATISTIC,
    &fisher_exact::STATISTIC,
    &g_test::STATISTIC,
    &hellinger::STATISTIC,
    &infinite_rate::STATISTIC,
    &jensen_shannon::STATISTIC,
    &ks::STATISTIC,
    &kuiper::STATISTIC,
    &kullback_leibler::STATISTIC,
    &l_infinity::STATISTIC,
    &mann_whitney::STATISTIC,
    &mean_shift::STATISTIC,
    &missing_rate::STATISTIC,
    &nan_rate::STATISTIC,
    &new_category_mass::STATISTIC,
    &null_rate::STATISTIC,
    &probability_of_superiority::STATISTIC,
    &psi::STATISTIC,
    &quantile_shift::STATISTIC,
    &range_violation::STATISTIC,
    &total_variation::STATISTIC,
    &vanished_category_mass::STATISTIC,
    &volume::STATISTIC,
    &wasserstein::STATISTIC,
    &wasserstein_scaled::STATISTIC,
    &welch_t::STATISTIC,
];

/// Every statistic, in ascending order of name.
pub fn registry() -> &'static [&'static Statistic] {
    REGISTRY
}

/// The statistic of that name.
pub fn find(name: &str) -> Option<&'static Statistic> {
    REGISTRY.iter().find(|s| s.name == name).copied()
}

/// Second names of statistics, as other fields call them.
const ALIASES: &[(&str, &str)] = &[("csi", "psi")];

/// The statistic or parity definition of that name or alias: what may be asked of two samples, though
/// only what [`find`] knows takes part in a comparison.
pub fn lookup(name: &str) -> Option<&'static Statistic> {
    let alias = ALIASES.iter().find(|alias| alias.0 == name);
    let name = alias.map_or(name, |alias| alias.1);
    find(name).or_else(|| parity().iter().find(|s| s.name == name).copied())
}

/// Kinds of columns a statistic applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// Ordered values.
    Numeric,
    /// Categories.
    Categorical,
    /// Both.
    Any,
}

impl Kinds {
    /// Whether a pair is of these kinds.
    pub fn accepts(self, pair: &Pair) -> bool {
        match self {
            Kinds::Any => true,
            Kinds::Numeric => matches!(pair, Pair::Numeric(_)),
            Kinds::Categorical => matches!(pair, Pair::Categorical(_)),
        }
    }
    /// Whether a column of a kind is one of these.
    pub fn includes(self, kind: Kind) -> bool {
        match self {
            Kinds::Any => true,
            Kinds::Numeric => kind == Kind::Numeric,
            Kinds::Categorical => kind == Kind::Categorical,
        }
    }
    /// `numeric`, `categorical` or `any`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kinds::Numeric => "numeric",
            Kinds::Categorical => "categorical",
            Kinds::Any => "any",
        }
    }
}

/// One statistic: what it means and how it is computed.
#[derive(Debug)]
pub struct Statistic {
    /// Name, as scipy spells it where scipy has one.
    pub name: &'static str,
    /// Versioned definition; any change of a number changes it.
    pub definition: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Paper and equation.
    pub source: &'static str,
    /// What the definition decides: ties, missing and infinite values, prior, p-value, interval.
    pub notes: &'static str,
    /// What it applies to.
    pub kinds: Kinds,
    /// Smallest and largest value possible.
    pub range: (f64, f64),
    /// Unit of the value; `value` is the unit of the column.
    pub unit: &'static str,
    /// Name of the null and method of the p-value; none where no method is known.
    pub null: Option<&'static str>,
    /// The computation.
    pub compute: fn(&Pair, &Context) -> Result<Outcome, NotApplicable>,
    /// Conventional (warn, fail) tolerances.
    pub default_tolerance: Option<(f64, f64)>,
    /// Tolerances apply to the distance from this value (signed statistics); none: to the value.
    pub centre: Option<f64>,
}

/// What a statistic reads of two ordered samples of independent rows of equal weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Coarse cells, hence a grid.
    CoarseCells,
    /// The values, and moments of either side.
    Values,
    /// Where the distribution functions are furthest apart, up and down.
    Furthest,
}

impl Statistic {
    /// What it reads of two ordered samples.
    pub fn reads(&self) -> Reads {
        match self.name {
            "chi_square" | "cramers_v" | "g_test" | "hellinger" | "jensen_shannon"
            | "kullback_leibler" | "l_infinity" | "psi" | "total_variation" => Reads::CoarseCells,
            "ks" | "kuiper" => Reads::Furthest,
            _ => Reads::Values,
        }
    }

    /// Computes the statistic.
    ///
    /// # Errors
    /// [`NotApplicable`] when the pair is of another kind or a side holds nothing to compare.
    pub fn evaluate(&self, pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
        if !self.kinds.accepts(pair) {
            return Err(NotApplicable(format!(
                "{} applies to {} columns only",
                self.name,
                self.kinds.as_str()
            )));
        }
        if !(context.alpha > 0.0 && context.alpha < 1.0) {
            return Err(NotApplicable(format!(
                "alpha is {}; it must lie between 0 and 1",
                context.alpha
            )));
        }
        let mut outcome = (self.compute)(pair, context)?;
        if let Some(blocked) = pair.blocked().filter(|_| outcome.dependence.is_none()) {
            outcome.inflate(blocked, pair, self.null.is_some(), context);
        }
        weighing::settle(self, pair, &mut outcome, context);
        Ok(outcome)
    }
}

/// What a computation is asked for beside the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Context {
    /// One minus the confidence level of intervals.
    pub alpha: f64,
}

impl Default for Context {
    fn default() -> Self {
        Context { alpha: 0.05 }
    }
}

/// Why a statistic has no value here, in plain words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotApplicable(pub String);

/// The answer of a statistic.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The number.
    pub value: f64,
    /// The true number on the data is never below this.
    pub bound_low: f64,
    /// The true number on the data is never above this.
    pub bound_high: f64,
    /// How far `value` can be trusted.
    pub exactness: Exactness,
    /// Interval at the context's level; covers sampling and certificate.
    pub ci: Option<(f64, f64)>,
    /// The interval at any level.
    pub interval: Option<Interval>,
    /// Value expected when nothing changed, at these numbers of rows.
    pub value_if_no_change: Option<f64>,
    /// Largest p-value over the certificate.
    pub pvalue: Option<f64>,
    /// Smallest shift that can be told from none at the context's level: the distance from the
    /// certified lower bound to the lower limit of the interval.
    pub minimum_detectable: Option<f64>,
    /// Rows used on each side (reference, current).
    pub rows: (u64, u64),
    /// A cell is empty on one side only, so that the value depends on the number of rows under any
    /// prior; such a value never decides alone.
    pub support_mismatch: bool,
    /// What a reader must know, in plain words.
    pub message: Option<String>,
    /// How dependence of rows entered interval and p-value; none: rows taken as independent.
    pub dependence: Option<Dependence>,
}

/// How dependence of rows entered an outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependence {
    /// `block:` and the length of a block or its key.
    pub variance: String,
    /// Independent rows that both samples are worth.
    pub rows: (f64, f64),
    /// Null and method of the p-value, where it replaces that of the definition.
    pub null: Option<&'static str>,
}

impl Outcome {
    /// An exact value without interval, p-value or message.
    fn exact(value: f64, rows: (u64, u64)) -> Self {
        Outcome {
            value,
            bound_low: value,
            bound_high: value,
            exactness: Exactness::Exact,
            ci: None,
            interval: None,
            value_if_no_change: None,
            pvalue: None,
            minimum_detectable: None,
            rows,
            support_mismatch: false,
            message: None,
            dependence: None,
        }
    }

    /// A value between bounds: exact when they meet, else certified with bounds rounded outward.
    fn bounded(value: f64, low: f64, high: f64, range: (f64, f64), rows: (u64, u64)) -> Self {
        let mut outcome = Outcome::exact(value, rows);
        if low != value || high != value {
            outcome.exactness = Exactness::Certified;
            outcome.bound_low = outward(low, -1.0).clamp(range.0, range.1).min(value);
            outcome.bound_high = outward(high, 1.0).clamp(range.0, range.1).max(value);
        }
        outcome
    }

    /// Dependence for statistics without a rule of their own: intervals as wide as the design effect
    /// of the distribution function (or of the table) asks, and the p-value of the test of
    /// homogeneity. Under weights that p-value stands for one that needs counts of rows.
    fn inflate(&mut self, blocked: &Blocked, pair: &Pair, tests: bool, context: &Context) {
        let homogeneity = blocked.homogeneity(false);
        let design = blocked.distribution().or(homogeneity);
        let asked = self.interval.is_some() || self.pvalue.is_some() || pair.is_weighed();
        let Some(design) = design.filter(|_| asked) else {
            return;
        };
        let tests = self.pvalue.is_some() || (tests && pair.is_weighed());
        let pvalue = homogeneity.filter(|_| tests).map(|d| d.pvalue);
        self.pvalue = pvalue.or(self.pvalue);
        if let Some(inner) = self.interval.take() {
            let ((n, m), (s, t)) = (self.rows, weighing::scale_of(pair, self.rows));
            let interval = Interval::Clustered {
                inner: Box::new(inner),
                df: design.df,
                inflation: design.inverse_rows(self.rows)
                    / (1.0 / (n as f64 * s) + 1.0 / (m as f64 * t)),
            };
            self.ci = Some(interval.at(context.alpha));
            self.minimum_detectable = Some(interval.margin(context.alpha));
            self.interval = Some(interval);
        }
        self.depends(
            blocked,
            design.effective(self.rows),
            pvalue.map(|_| RAO_SCOTT),
        );
    }

    /// Notes how dependence entered, with the rows that both samples are worth.
    fn depends(&mut self, blocked: &Blocked, rows: (f64, f64), null: Option<&'static str>) {
        self.dependence = Some(Dependence {
            variance: blocked.label.to_string(),
            rows,
            null,
        });
        if blocked.is_borrowed() {
            self.message = join([
                self.message.take(),
                Some("one block: its error is that of a block of the reference".into()),
            ]);
        }
    }

    /// Attaches an interval, and with it `ci` and `minimum_detectable` at the context's level.
    fn with_interval(mut self, interval: Interval, context: &Context) -> Self {
        self.ci = Some(interval.at(context.alpha));
        self.minimum_detectable = Some(interval.margin(context.alpha));
        self.interval = Some(interval);
        self
    }
}

/// `x` moved 8 ulp up (`sign` 1) or down (-1): room for a handful of rounded operations.
fn outward(x: f64, sign: f64) -> f64 {
    if x.is_infinite() {
        return x;
    }
    x + sign * 8.0 * f64::EPSILON * x.abs()
}

/// Values held by fewer rows are counted but not named.
pub const MIN_COUNT: u64 = 10;

/// Joins the parts of a message.
fn join(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Sum with error compensation (Neumaier 1974).
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    total: f64,
    lost: f64,
}

impl Total {
    /// Adds a term.
    #[inline]
    fn add(&mut self, x: f64) {
        let next = self.total + x;
        if next.is_finite() {
            self.lost += if self.total.abs() >= x.abs() {
                (self.total - next) + x
            } else {
                (x - next) + self.total
            };
        }
        self.total = next;
    }

    /// The sum so far.
    fn get(self) -> f64 {
        self.total + self.lost
    }
}

/// Sum with error compensation, of all terms.
pub(crate) fn sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    let mut total = Total::default();
    terms.into_iter().for_each(|x| total.add(x));
    total.get()
}

/// Mean of the absolute value of a standard normal, `sqrt(2 / pi)`.
const NORMAL_MEAN_ABS: f64 = 0.797_884_560_802_865_4;

/// Counts above this are refused, so that products of two totals stay within 128 bits.
const MAX_ROWS: u64 = 1 << 62;

/// A total of counts, or why it cannot be used: nothing there, or beyond [`MAX_ROWS`].
fn total(
    counts: impl IntoIterator<Item = u64>,
    side: &str,
    what: &str,
) -> Result<u64, NotApplicable> {
    let mut sum = 0_u64;
    for count in counts {
        sum = sum.saturating_add(count);
    }
    match sum {
        0 => Err(NotApplicable(format!("the {side} has no {what}"))),
        n if n > MAX_ROWS => Err(NotApplicable(format!("the {side} has more than 2^62 rows"))),
        n => Ok(n),
    }
}

/// `|a / n - b / m|` as an integer over `n m`.
fn cross(a: u64, n: u64, b: u64, m: u64) -> u128 {
    (u128::from(a) * u128::from(m)).abs_diff(u128::from(b) * u128::from(n))
}

/// `x / (n m)`, correctly rounded but for the last place or two.
fn share(x: u128, n: u64, m: u64) -> f64 {
    x as f64 / (u128::from(n) * u128::from(m)) as f64
}

/// Running counts of both sides of an ordered pair, before and after each cell of finite values.
struct Steps<'a> {
    pair: &'a NumericPair,
    with_infinities: bool,
    n: u64,
    m: u64,
    /// Rows of equal weight that a unit of either side is worth; 1 without weights.
    scale: (f64, f64),
    /// `n m` where 64 bits hold it: arithmetic on twice as many costs several times as much.
    pairs: Option<f64>,
}

/// Ordered values that may be one or several, infinities included, by the counts around them.
struct Block {
    /// Rows of either side below the block.
    left: (u64, u64),
    /// Rows of either side up to its end.
    right: (u64, u64),
    /// Holds one value.
    single: bool,
}

impl Block {
    /// Rows of either side in the block.
    fn rows(&self) -> (u64, u64) {
        (self.right.0 - self.left.0, self.right.1 - self.left.1)
    }
}

/// One cell with the counts below it (`left`) and up to its end (`right`).
struct Step {
    cell: crate::pair::Cell,
    left: (u64, u64),
    right: (u64, u64),
}

impl<'a> Steps<'a> {
    fn new(pair: &'a Pair, with_infinities: bool) -> Result<Self, NotApplicable> {
        let Pair::Numeric(pair) = pair else {
            return Err(NotApplicable("the column is not ordered".into()));
        };
        let (r, c) = (&pair.reference, &pair.current);
        let what = if with_infinities {
            "ordered value"
        } else {
            "finite value"
        };
        let rows = pair.cells.rows();
        let tails = |inf: [u64; 2]| if with_infinities { inf } else { [0, 0] };
        let all = |rows, inf| tails(inf).into_iter().chain([rows]);
        let n = total(all(rows.0, [r.neg_inf, r.pos_inf]), "reference", what)?;
        let m = total(all(rows.1, [c.neg_inf, c.pos_inf]), "current sample", what)?;
        let part = if with_infinities {
            Part::Present
        } else {
            Part::Finite
        };
        Ok(Steps {
            pair,
            with_infinities,
            n,
            m,
            scale: (weighing::scale(r, part), weighing::scale(c, part)),
            pairs: n.checked_mul(m).map(|pairs| pairs as f64),
        })
    }

    /// Rows of equal weight that both sides are worth.
    fn worth(&self) -> (f64, f64) {
        (self.n as f64 * self.scale.0, self.m as f64 * self.scale.1)
    }

    /// `1 / n + 1 / m` of them.
    fn inverse_rows(&self) -> f64 {
        let (n, m) = self.worth();
        1.0 / n + 1.0 / m
    }

    /// Units of both sides together, as rows of equal weight.
    fn pool(&self, reference: u64, current: u64) -> f64 {
        reference as f64 * self.scale.0 + current as f64 * self.scale.1
    }

    /// Design of the distribution function, where blocks are known.
    fn design(&self) -> Option<(&'a Blocked, Design)> {
        let blocked = self.pair.blocked.as_deref()?;
        Some((blocked, blocked.distribution()?))
    }

    fn iter(&self) -> impl Iterator<Item = Step> + use<'a> {
        let start = if self.with_infinities {
            (self.pair.reference.neg_inf, self.pair.current.neg_inf)
        } else {
            (0, 0)
        };
        self.pair.cells.each().scan(start, |at, cell| {
            let left = *at;
            *at = (at.0 + cell.reference, at.1 + cell.current);
            Some(Step {
                cell,
                left,
                right: *at,
            })
        })
    }

    /// Bound on the error that a difference of two values has because values are floats: none for
    /// floats themselves, one rounding each for integers beyond 2^53, times and decimals.
    fn rounding(&self) -> f64 {
        let (low, high) = self.pair.cells.ends().unwrap_or_default();
        let largest = low.abs().max(high.abs());
        match self.pair.logical {
            Logical::Float => 0.0,
            Logical::Decimal { .. } => 2.0 * f64::EPSILON * largest,
            _ if largest < (1_u64 << 53) as f64 => 0.0,
            _ => f64::EPSILON * largest,
        }
    }

    /// Cells and infinities that hold a row, in ascending order (with infinities only).
    fn blocks(&self) -> impl Iterator<Item = Block> {
        let (r, c) = (&self.pair.reference, &self.pair.current);
        let below = Block {
            left: (0, 0),
            right: (r.neg_inf, c.neg_inf),
            single: true,
        };
        let above = Block {
            left: (self.n - r.pos_inf, self.m - c.pos_inf),
            right: (self.n, self.m),
            single: true,
        };
        let inner = self.iter().map(|step| Block {
            left: step.left,
            right: step.right,
            single: step.cell.single,
        });
        core::iter::once(below)
            .chain(inner)
            .chain(core::iter::once(above))
            .filter(|block| block.left != block.right)
    }

    /// `F - G` between counts of the reference and of the current sample, rounded once.
    #[inline]
    fn gap(&self, reference: u64, current: u64) -> f64 {
        if let Some(all) = self.pairs {
            // The same integers, which fit: no count is above its total.
            let (a, b) = (reference * self.m, current * self.n);
            let size = a.abs_diff(b) as f64 / all;
            return if a < b { -size } else { size };
        }
        let size = share(cross(reference, self.n, current, self.m), self.n, self.m);
        let negative =
            u128::from(reference) * u128::from(self.m) < u128::from(current) * u128::from(self.n);
        if negative { -size } else { size }
    }

    /// Range of `F - G` over the values of a block: reference rows first or current rows first.
    fn gaps(&self, left: (u64, u64), right: (u64, u64)) -> (f64, f64) {
        (self.gap(left.0, right.1), self.gap(right.0, left.1))
    }

    /// Says how many infinite values a statistic of finite values left out.
    fn left_out(&self) -> Option<String> {
        let (r, c) = (&self.pair.reference, &self.pair.current);
        let (r, c) = (
            r.neg_inf.saturating_add(r.pos_inf),
            c.neg_inf.saturating_add(c.pos_inf),
        );
        (r > 0 || c > 0).then(|| {
            format!("infinite values left out: {r} in the reference, {c} in the current sample")
        })
    }
}

/// Rao and Scott's test of homogeneity on coarse cells, as the `null` of a row.
const RAO_SCOTT: &str = "rao-scott-f";

/// An interval whose errors were estimated: with the quantiles of Student's distribution.
fn clustered(interval: Interval, design: Option<&Design>) -> Interval {
    match design {
        Some(d) => Interval::Clustered {
            inner: Box::new(interval),
            df: d.df,
            inflation: 1.0,
        },
        None => interval,
    }
}

/// An interval whose errors were estimated from variances of either side with so many degrees of freedom each:
/// with the quantiles of Student's distribution (Welch and Satterthwaite).
fn estimated(interval: Interval, reference: (f64, f64), current: (f64, f64)) -> Interval {
    let (v, w) = (reference.0, current.0);
    let squares = v * v / reference.1.max(1.0) + w * w / current.1.max(1.0);
    let df = (v + w) * (v + w) / squares;
    if !df.is_finite() {
        return interval;
    }
    Interval::Clustered {
        inner: Box::new(interval),
        df: df.max(1.0),
        inflation: 1.0,
    }
}

/// Pieces shared by the rates: `|b / m - a / n|` with Newcombe's interval. With blocks, rows are
/// divided by the design effect of the share that `design` names.
fn rate(
    pair: &Pair,
    counts: (u64, u64),
    rows: (u64, u64),
    design: fn(&Blocked) -> Option<Design>,
    context: &Context,
) -> Result<Outcome, NotApplicable> {
    let (a, b) = counts;
    let n = total([rows.0], "reference", "row")?;
    let m = total([rows.1], "current sample", "row")?;
    if a > n || b > m {
        return Err(NotApplicable("counts exceed the number of rows".into()));
    }
    let difference = cross(a, n, b, m);
    let value = share(difference, n, m);
    let (s, t) = weighing::scale_of(pair, (n, m));
    let pooled = (a as f64 * s + b as f64 * t) / (n as f64 * s + m as f64 * t);
    let design = pair.blocked().and_then(|b| Some((b, design(b)?)));
    let effect = design.map_or((1.0 / s, 1.0 / t), |d| d.1.effect);
    let variance = pooled * (1.0 - pooled) * (effect.0 / n as f64 + effect.1 / m as f64);
    let mut outcome = Outcome::exact(value, (n, m));
    outcome.value_if_no_change = Some(NORMAL_MEAN_ABS * libm::sqrt(variance));
    let z = value / libm::sqrt(variance);
    outcome.pvalue = Some(match design {
        _ if difference == 0 => 1.0,
        None => 2.0 * crate::special::normal_sf(z),
        Some((_, d)) => crate::special::student_two_sided(z, d.df),
    });
    outcome.message = Some(if pair.is_weighed() {
        format!(
            "{:.4e} of the weight of the reference, {:.4e} of the current sample",
            a as f64 / n as f64,
            b as f64 / m as f64
        )
    } else {
        format!("{a} of {n} reference rows, {b} of {m} current rows")
    });
    if let Some((blocked, d)) = design {
        outcome.depends(blocked, d.effective((n, m)), Some("two-proportion-block-t"));
    } else if let Some(blocked) = pair.blocked() {
        // Nothing missing, or nothing else, on both sides: blocks say no more than rows.
        outcome.depends(blocked, (n as f64 * s, m as f64 * t), None);
    }
    let side = |x: u64, n: u64, effect: f64| (x as f64 / effect, n as f64 / effect);
    let interval = Interval::AbsoluteDifference {
        reference: side(a, n, effect.0),
        current: side(b, m, effect.1),
    };
    Ok(outcome.with_interval(clustered(interval, design.as_ref().map(|d| &d.1)), context))
}
