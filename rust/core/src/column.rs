//! The states of one column of one group, and how values become keys.

mod placed;
mod sample;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::{Reader, Writer};
use crate::kernels::summary::{self, Summary};
use crate::kernels::{BLOCK, key};
use crate::states::blocks::{Block, Blocks, MAX_CELLS};
use crate::states::categories::{self, Categories, Dictionary};
use crate::states::counts::Counts;
use crate::states::distinct::Distinct;
use crate::states::exact_sum::Sum;
use crate::states::grid::{Domain, Frame, GridCounts};
use crate::states::key_histogram::{KeyHistogram, KeyHistogramBuilder};
use crate::states::moments::{Center, Moments};
use crate::states::refine::Refinement;
use crate::states::weighed::Weighed;
use crate::value::{Logical, Slice};
use crate::weights::{MOST, Mass};
use crate::{Error, Result};
pub use placed::Placed;
pub use sample::Sample;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By order: grid, quantiles, distances.
    Numeric,
    /// By value: shares of categories.
    Categorical,
}

impl Kind {
    /// `numeric` or `categorical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Numeric => "numeric",
            Kind::Categorical => "categorical",
        }
    }
}

/// The kind of a logical type unless the caller says otherwise.
pub fn default_kind(logical: Logical) -> Kind {
    match logical {
        Logical::Bool | Logical::String | Logical::Binary => Kind::Categorical,
        _ => Kind::Numeric,
    }
}

/// The base domain of a numeric column: floats by double, integers signed or not.
pub fn base_domain(logical: Logical) -> Domain {
    match logical {
        Logical::Float => Domain::F64,
        Logical::UInt => Domain::Unsigned,
        _ => Domain::Signed,
    }
}

/// A base key as a float in the unit of the column (decimals scaled).
pub fn value_of(logical: Logical, base: u64) -> f64 {
    scaled(logical, base_domain(logical).value(base))
}

/// Applies the scale of a decimal.
pub fn scaled(logical: Logical, x: f64) -> f64 {
    x / unit_of(logical)
}

/// Units of the last digit in 1: 1 but for decimals.
pub fn unit_of(logical: Logical) -> f64 {
    match logical {
        Logical::Decimal { scale } => libm::pow(10.0, f64::from(scale)),
        _ => 1.0,
    }
}

/// Means of two exact sums less a number near the first mean, in the unit of the column: of floats the centre
/// both are about. NaN where undefined.
pub(crate) fn near_means(logical: Logical, a: (&Moments, u64), b: (&Moments, u64)) -> (f64, f64) {
    let ((a, n), (b, m)) = (a, b);
    let whole = |x: i128, rows: u64, k: i128| {
        let rest = x.checked_sub(k.checked_mul(i128::from(rows))?)?;
        Some(rest as f64 / rows as f64)
    };
    let integers = || {
        let (x, y) = (a.integer_sum()?, b.integer_sum()?);
        let k = x.checked_div_euclid(i128::from(n))?;
        (m > 0).then_some(())?;
        Some((whole(x, n, k)?, whole(y, m, k)?))
    };
    let (a, b) = match base_domain(logical) {
        Domain::F64 | Domain::F32 => (a.mean(n, 0.0), b.mean(m, 0.0)),
        _ => integers().unwrap_or((f64::NAN, f64::NAN)),
    };
    (scaled(logical, a), scaled(logical, b))
}

/// Bytes in memory that a state of so many rows takes, rounded up: of a group that is a segment (`compact`) or
/// not, with `values` in the dictionary of a categorical column, without blocks.
///
/// Counts, sums and what was added last in the cells of the grid; the first keys of a column, which are kept as
/// they come, and their histogram; the smallest hashes; exact sums.
pub fn most_bytes(kind: Kind, compact: bool, rows: u64, values: u64) -> u64 {
    const FIXED: u64 = 4 << 10;
    const GRID_CELL: u64 = 32;
    const HASH: u64 = 16;
    const CATEGORY: u64 = 72;
    let distinct = HASH * rows.min(crate::states::distinct::K as u64);
    let own = match kind {
        Kind::Numeric => {
            let cells = if compact { 256 } else { 1040 };
            GRID_CELL * cells + HASH * rows.min(crate::states::key_histogram::FIRST as u64)
        }
        Kind::Categorical => {
            let others = if compact { 64 } else { 1024 };
            CATEGORY * values + 8 * others
        }
    };
    FIXED + distinct + own
}

/// What the reference froze for a column.
#[derive(Debug, Clone)]
pub enum Frozen {
    /// Nothing yet: the first pass over the reference.
    Nothing,
    /// A grid.
    Grid(Arc<Frame>),
    /// A dictionary.
    Dictionary(Arc<Dictionary>),
}

/// Everything about a column that its states share.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    /// Name, for messages.
    pub name: String,
    /// Logical type of the profile.
    pub logical: Logical,
    /// Logical type of the source; its values are converted where each is exact.
    pub source: Logical,
    /// Kind.
    pub kind: Kind,
    /// Grid or dictionary.
    pub frozen: Frozen,
    /// Whether this is the compact form for groups.
    pub compact: bool,
    /// Whether keys are never coarsened: memory grows with distinct values. For arrays in memory.
    pub exact: bool,
    /// Whether rows are also counted by block; needs a grid or dictionary.
    pub blocked: bool,
    /// Whether rows have sampling weights.
    pub weighed: bool,
}

impl ColumnPlan {
    /// Most cells of the key histogram.
    fn cap(&self) -> u32 {
        match (self.exact, self.compact) {
            (true, _) => u32::MAX,
            (false, true) => 512,
            (false, false) => 4096,
        }
    }

    /// Cells for the hashes of categories outside the dictionary.
    fn hash_cells(&self) -> usize {
        if self.compact { 64 } else { 1024 }
    }

    /// Cells of a block: coarse cells or categories, then rows that are missing, and for ordered
    /// columns -inf and +inf. None where the plan keeps no blocks.
    pub fn block_cells(&self) -> Option<usize> {
        let frozen = !matches!(self.frozen, Frozen::Nothing);
        (self.blocked && frozen).then(|| self.coarse_cells())
    }

    /// Coarse cells, as those of a block; one for all values where nothing is frozen yet.
    fn coarse_cells(&self) -> usize {
        match (&self.frozen, self.kind) {
            (Frozen::Grid(f), _) => f.grid.nested.len() + 4,
            (Frozen::Dictionary(d), _) => block_categories(d) + 2,
            (Frozen::Nothing, Kind::Numeric) => 4,
            (Frozen::Nothing, Kind::Categorical) => 2,
        }
    }

    /// The coarse cell of missing rows; -inf and +inf follow it.
    fn missing_cell(&self) -> usize {
        match self.kind {
            Kind::Numeric => self.coarse_cells() - 3,
            Kind::Categorical => self.coarse_cells() - 1,
        }
    }

    /// An empty state.
    pub fn empty(&self) -> ColumnState {
        let body = match (&self.kind, &self.frozen) {
            (Kind::Numeric, frozen) => Body::Numeric {
                moments: Moments::default(),
                keys: KeyHistogramBuilder::new(self.cap()),
                grid: match frozen {
                    Frozen::Grid(f) => Some(GridCounts::new(Arc::clone(f))),
                    _ => None,
                },
            },
            (Kind::Categorical, Frozen::Dictionary(d)) => {
                Body::Categorical(Categories::framed(Arc::clone(d), self.hash_cells()))
            }
            (Kind::Categorical, _) => Body::Categorical(Categories::free()),
        };
        let weighed = self.weighed.then(|| {
            let categories = match (&self.frozen, self.kind) {
                (Frozen::Dictionary(d), Kind::Categorical) => {
                    Some(Categories::framed(Arc::clone(d), self.hash_cells()))
                }
                _ => None,
            };
            Box::new(Weighed::new(self.coarse_cells(), categories))
        });
        ColumnState {
            counts: Counts::default(),
            distinct: Distinct::new(),
            body,
            blocks: self.block_cells().map(Blocks::new),
            weighed,
        }
    }

    /// Whether a source of this type can be counted here at all.
    pub fn check_types(&self) -> Result<()> {
        use Logical::*;
        let fits = match (self.logical, self.source) {
            (a, b) if a == b => true,
            (Float | Int | UInt | Decimal { .. }, Float | Int | UInt | Decimal { .. }) => true,
            (Bool, Int | UInt | Float) => true,
            (Date, Timestamp { zoned: false, .. }) | (Timestamp { zoned: false, .. }, Date) => true,
            (Timestamp { zoned: a, .. }, Timestamp { zoned: b, .. }) => a == b,
            (Time { .. }, Time { .. }) | (Duration { .. }, Duration { .. }) => true,
            (String, Binary) | (Binary, String) => true,
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(Error::schema(format!(
                "column {:?} is {} here and {} in the reference; a type whose values convert exactly would be accepted",
                self.name,
                name_of(self.source),
                name_of(self.logical)
            )))
        }
    }

    fn inexact(&self, value: impl std::fmt::Display) -> Error {
        Error::schema(format!(
            "column {:?}: {value} ({}) is not exactly a value of the reference's type {}",
            self.name,
            name_of(self.source),
            name_of(self.logical)
        ))
    }
}

/// Cells of a block that hold categories of the dictionary: one each, or several in turn.
fn block_categories(dictionary: &Dictionary) -> usize {
    dictionary.hashes.len().min(MAX_CELLS - 2)
}

/// A logical type in words.
pub fn name_of(logical: Logical) -> String {
    use Logical::*;
    let unit = |u| match u {
        crate::value::TimeUnit::S => "s",
        crate::value::TimeUnit::Ms => "ms",
        crate::value::TimeUnit::Us => "us",
        crate::value::TimeUnit::Ns => "ns",
    };
    match logical {
        Bool => "bool".into(),
        Int => "int".into(),
        UInt => "uint".into(),
        Float => "float".into(),
        Decimal { scale } => format!("decimal({scale})"),
        Date => "date".into(),
        Time { unit: u } => format!("time({})", unit(u)),
        Timestamp { unit: u, zoned } => {
            format!("timestamp({}{})", unit(u), if zoned { ", utc" } else { "" })
        }
        Duration { unit: u } => format!("duration({})", unit(u)),
        String => "string".into(),
        Binary => "binary".into(),
    }
}

// A state is one of the two for life; boxing would cost an indirection per block.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
enum Body {
    Numeric {
        moments: Moments,
        keys: KeyHistogramBuilder,
        grid: Option<GridCounts>,
    },
    Categorical(Categories),
}

/// The states of one column of one group.
#[derive(Debug, Clone)]
pub struct ColumnState {
    /// Rows by kind.
    pub counts: Counts,
    /// Distinct values.
    pub distinct: Distinct,
    body: Body,
    blocks: Option<Blocks>,
    weighed: Option<Box<Weighed>>,
}

/// How often each value of a slice is counted.
#[derive(Clone, Copy)]
enum Times<'a> {
    Once,
    Counts(&'a [u64]),
    Masses(&'a [Mass]),
}

impl Times<'_> {
    fn of(self, i: usize) -> u64 {
        match self {
            Times::Once => 1,
            Times::Counts(n) => n[i],
            Times::Masses(m) => m[i].units,
        }
    }

    fn mass(self, i: usize) -> Mass {
        match self {
            Times::Masses(m) => m[i],
            _ => Mass::default(),
        }
    }
}

/// Room for the keys of a block.
type Keys = [u64; BLOCK];

/// Values in the lane of their base domain.
enum Lane<'a> {
    Floats(std::borrow::Cow<'a, [f64]>),
    /// Keys and the positions they came from, where special values were counted and left out.
    Gaps(Vec<(u64, usize)>, Domain),
    Signed(std::borrow::Cow<'a, [i64]>),
    Unsigned(std::borrow::Cow<'a, [u64]>),
}

impl ColumnState {
    /// Counts null rows.
    pub fn update_nulls(&mut self, n: u64) -> Result<()> {
        self.counts.nulls = self
            .counts
            .nulls
            .checked_add(n)
            .ok_or(Error::Overflow("rows"))?;
        Ok(())
    }

    /// Counts each value once.
    pub fn update(&mut self, plan: &ColumnPlan, values: Slice<'_>) -> Result<()> {
        if plan.kind == Kind::Categorical {
            return self.update_categories(plan, values, Times::Once);
        }
        let keys = &mut [0; BLOCK];
        match lane(plan, values, &mut self.counts, None)? {
            Lane::Floats(v) => v.chunks(BLOCK).for_each(|b| self.block_f64(b, keys)),
            Lane::Signed(v) => v.chunks(BLOCK).for_each(|b| self.block_i64(b, keys)),
            Lane::Gaps(v, domain) => v.iter().for_each(|(k, _)| self.add_base(*k, 1, domain)),
            Lane::Unsigned(v) => v.chunks(BLOCK).for_each(|b| self.block_u64(b, keys)),
        }
        Ok(())
    }

    /// Runs updates whose rows belong to one block; without blocks in the plan they are updates like
    /// any other.
    ///
    /// # Errors
    /// Those of `updates`; the block then misses its rows, and the state is to be thrown away.
    pub fn in_block(
        &mut self,
        block: i64,
        updates: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if self.blocks.is_none() {
            return updates(self);
        }
        let before = self.coarse();
        updates(self)?;
        self.close_block(block, &before);
        Ok(())
    }

    /// Begins rows of one block, which [`ColumnState::close_block`] ends; none without blocks.
    pub fn open_block(&self) -> Option<Block> {
        self.blocks.as_ref().map(|_| self.coarse())
    }

    /// Ends rows of one block: what the state holds now and did not hold `before`.
    pub fn close_block(&mut self, block: i64, before: &Block) {
        let after = self.coarse();
        if let Some(blocks) = &mut self.blocks
            && before.counts != after.counts
        {
            blocks.add(block, before, &after);
        }
    }

    /// Rows on the cells of a block, and the sum, over all rows.
    pub fn coarse(&self) -> Block {
        let mut counts = Vec::with_capacity(MAX_CELLS + 16);
        let c = &self.counts;
        let mut sum = Sum::default();
        match &self.body {
            Body::Numeric { moments, grid, .. } => {
                if let Some(g) = grid {
                    g.nested_counts(&mut counts);
                }
                sum = moments.sum().clone();
                counts.extend([c.nulls + c.nan, c.neg_inf + c.below, c.pos_inf + c.above]);
            }
            Body::Categorical(Categories::Framed {
                dictionary,
                known,
                cells,
                ..
            }) => {
                let n = block_categories(dictionary);
                counts.resize(n, 0);
                for (i, k) in known.iter().enumerate() {
                    counts[i % n] += k.count;
                }
                counts.extend([cells.iter().sum(), c.nulls + c.nan]);
            }
            Body::Categorical(Categories::Free { .. }) => {}
        }
        Block { counts, sum }
    }

    /// Rows by block.
    pub fn blocks(&self) -> Option<&Blocks> {
        self.blocks.as_ref()
    }

    /// Sampling weights, where rows have them.
    pub fn weighed(&self) -> Option<&Weighed> {
        self.weighed.as_deref()
    }

    /// Rows by kind, each counted once whatever its weight.
    pub fn rows(&self) -> &Counts {
        self.weighed.as_ref().map_or(&self.counts, |w| &w.rows)
    }

    /// Rows of equal weight that the finite values are worth (Kish 1965).
    pub fn worth(&self) -> u64 {
        let n = self.counts.finite;
        let Some(w) = &self.weighed else { return n };
        let values = w.cells.len() - if self.categories().is_some() { 1 } else { 3 };
        let squares = w.squares(0..values).max(1);
        (u128::from(n) * u128::from(n) / squares) as u64
    }

    /// Linearised variance of the mean of finite values in the unit of the column, under weights.
    pub fn variance_of_mean(&self, logical: Logical) -> Option<f64> {
        let (Some(w), Body::Numeric { moments, .. }) = (&self.weighed, &self.body) else {
            return None;
        };
        let n = self.counts.finite;
        let values = w.cells.len().saturating_sub(3);
        let unit = scaled(logical, 1.0);
        let mean = moments.mean(n, 0.0);
        Some(w.variance_of_mean(n, mean, w.squares(0..values)) * unit * unit)
    }

    /// The state in units of what divides every weight: as without weights where all are equal.
    pub fn quotient(&self) -> std::borrow::Cow<'_, Self> {
        let Some(weighed) = &self.weighed else {
            return std::borrow::Cow::Borrowed(self);
        };
        let by = weighed.common;
        let body = match &self.body {
            Body::Numeric {
                moments,
                keys,
                grid,
            } => {
                let finished = keys.finish();
                let mut keys = KeyHistogramBuilder::new(finished.cap);
                keys.merge(&finished.quotient(by));
                Body::Numeric {
                    moments: moments.quotient(by),
                    keys,
                    grid: grid.as_ref().map(|g| g.quotient(by)),
                }
            }
            Body::Categorical(c) => Body::Categorical(c.quotient(by)),
        };
        std::borrow::Cow::Owned(Self {
            counts: self.counts.quotient(by),
            distinct: self.distinct.clone(),
            body,
            blocks: self.blocks.as_ref().map(|b| b.quotient(by)),
            weighed: Some(Box::new(weighed.quotient())),
        })
    }

    /// Drops the counts by block.
    pub fn forget_blocks(&mut self) {
        self.blocks = None;
    }

    /// Counts value `i` `counts[i]` times.
    pub fn update_counted(
        &mut self,
        plan: &ColumnPlan,
        values: Slice<'_>,
        counts: &[u64],
    ) -> Result<()> {
        if plan.kind == Kind::Categorical {
            return self.update_categories(plan, values, Times::Counts(counts));
        }
        match lane(plan, values, &mut self.counts, Some(counts))? {
            Lane::Floats(v) => {
                self.few_and_many(&v, counts, Self::block_f64, |state, x, n| {
                    if x.is_finite() {
                        state.add_base(key::of_f64(x), n, Domain::F64);
                    } else {
                        special(&mut state.counts, x, n);
                    }
                });
            }
            Lane::Signed(v) => self.few_and_many(&v, counts, Self::block_i64, |state, v, n| {
                state.add_base(key::of_i64(v), n, Domain::Signed);
            }),
            Lane::Unsigned(v) => self.few_and_many(&v, counts, Self::block_u64, |state, v, n| {
                state.add_base(v, n, Domain::Unsigned);
            }),
            Lane::Gaps(v, domain) => {
                for (k, i) in v.into_iter().filter(|(_, i)| counts[*i] > 0) {
                    self.add_base(k, counts[i], domain);
                }
            }
        }
        Ok(())
    }

    /// Counts the units of null rows.
    pub fn update_null_mass(&mut self, plan: &ColumnPlan, mass: &Mass) -> Result<()> {
        self.make_room([mass])?;
        self.update_nulls(mass.units)?;
        if let Some(weighed) = &mut self.weighed {
            weighed.rows.nulls += mass.rows;
            weighed.add(plan.missing_cell(), mass)?;
        }
        Ok(())
    }

    /// Counts value `i` as often as `masses[i]` has units, and its rows beside.
    pub fn update_masses(
        &mut self,
        plan: &ColumnPlan,
        values: Slice<'_>,
        masses: &[Mass],
    ) -> Result<()> {
        self.make_room(masses)?;
        if plan.kind == Kind::Categorical {
            return self.update_categories(plan, values, Times::Masses(masses));
        }
        let units: Vec<u64> = masses.iter().map(|m| m.units).collect();
        self.update_counted(plan, values, &units)?;
        self.weigh(plan, values, masses)
    }

    /// Refuses units beyond what products of two totals can hold.
    fn make_room<'m>(&self, masses: impl IntoIterator<Item = &'m Mass>) -> Result<()> {
        let rows = masses
            .into_iter()
            .try_fold(self.counts.rows(), |sum, m| sum.checked_add(m.units));
        match rows {
            Some(n) if n <= MOST => Ok(()),
            _ => Err(Error::Overflow("weights")),
        }
    }

    /// Rows, squares and moments of numeric values.
    fn weigh(&mut self, plan: &ColumnPlan, values: Slice<'_>, masses: &[Mass]) -> Result<()> {
        let (Some(weighed), Body::Numeric { grid, .. }) = (&mut self.weighed, &self.body) else {
            return Ok(());
        };
        let nested: Option<(Domain, Vec<u64>)> = grid.as_ref().map(|g| {
            let grid = g.grid();
            let edges = grid.nested.iter().map(|i| grid.edges[*i as usize]);
            (grid.domain, edges.collect())
        });
        let center = center_of(grid);
        let domain = base_domain(plan.logical);
        let missing = plan.missing_cell();
        let mut value = |base: u64, mass: &Mass| -> Result<()> {
            if mass.rows == 0 {
                return Ok(());
            }
            let x = domain.value(base);
            let rows = &mut weighed.rows;
            rows.finite += mass.rows;
            rows.extend(base, base);
            let (zero, negative) = match domain {
                Domain::Unsigned => (base == 0, false),
                _ => (x == 0.0, x < 0.0),
            };
            rows.zeros += if zero { mass.rows } else { 0 };
            rows.negatives += if negative { mass.rows } else { 0 };
            if domain == Domain::F64 && f64::from(x as f32) != x {
                rows.not_f32 += mass.rows;
            }
            let Some((of, edges)) = &nested else {
                return weighed.add(0, mass);
            };
            let k = of.of_base(base);
            weighed.add(edges.partition_point(|e| *e <= k), mass)?;
            match domain {
                Domain::F64 | Domain::F32 => weighed.add_f64(x, mass, center),
                Domain::Signed => {
                    let v = key::to_i64(base);
                    weighed.add_integer(v < 0, v.unsigned_abs(), mass);
                }
                Domain::Unsigned => weighed.add_integer(false, base, mass),
            }
            Ok(())
        };
        let mut bases: Vec<Option<u64>> = vec![None; values.len()];
        match lane(plan, values, &mut Counts::default(), None)? {
            Lane::Floats(v) => {
                for (base, x) in bases.iter_mut().zip(v.iter()) {
                    *base = x.is_finite().then(|| key::of_f64(*x));
                }
            }
            Lane::Signed(v) => {
                for (base, v) in bases.iter_mut().zip(v.iter()) {
                    *base = Some(key::of_i64(*v));
                }
            }
            Lane::Unsigned(v) => {
                for (base, v) in bases.iter_mut().zip(v.iter()) {
                    *base = Some(*v);
                }
            }
            Lane::Gaps(v, _) => v.into_iter().for_each(|(k, i)| bases[i] = Some(k)),
        }
        for (base, mass) in bases.iter().zip(masses) {
            if let Some(base) = base {
                value(*base, mass)?;
            }
        }
        for (i, mass) in masses
            .iter()
            .enumerate()
            .filter(|(i, _)| bases[*i].is_none())
        {
            let n = mass.rows;
            let rows = &mut weighed.rows;
            let cell = match values {
                Slice::F32(v) => special_cell(rows, f64::from(v[i]), n),
                Slice::F64(v) => special_cell(rows, v[i], n),
                // Beyond the keys of integers.
                Slice::I128(v) if v[i] < 0 => {
                    rows.below += n;
                    1
                }
                _ => {
                    rows.above += n;
                    2
                }
            };
            weighed.add(missing + cell, mass)?;
        }
        Ok(())
    }

    /// Values that occur a few times go through a block as often, which is faster than one by one:
    /// dictionaries of columns that hardly repeat consist of them.
    fn few_and_many<T: Copy>(
        &mut self,
        values: &[T],
        counts: &[u64],
        block: fn(&mut Self, &[T], &mut Keys),
        add: fn(&mut Self, T, u64),
    ) {
        const FEW: u64 = 4;
        let keys = &mut [0; BLOCK];
        let mut few = Vec::with_capacity(BLOCK + FEW as usize);
        for (x, n) in values.iter().zip(counts) {
            if *n <= FEW {
                few.extend((0..*n).map(|_| *x));
                if few.len() >= BLOCK {
                    block(self, &few[..BLOCK], keys);
                    few.drain(..BLOCK);
                }
            } else {
                add(self, *x, *n);
            }
        }
        if !few.is_empty() {
            block(self, &few, keys);
        }
    }

    /// Counts one finite value, given by its base key, `count` times: the obvious twin of the
    /// block kernels.
    pub fn add_base(&mut self, base: u64, count: u64, domain: Domain) {
        let x = domain.value(base);
        let c = &mut self.counts;
        c.finite += count;
        c.extend(base, base);
        let (zero, negative) = match domain {
            Domain::Unsigned => (base == 0, false),
            _ => (x == 0.0, x < 0.0),
        };
        c.zeros += if zero { count } else { 0 };
        c.negatives += if negative { count } else { 0 };
        if domain == Domain::F64 && f64::from(x as f32) != x {
            c.not_f32 += count;
        }
        self.distinct.update([key::mix(base)]);
        let Body::Numeric {
            moments,
            keys,
            grid,
        } = &mut self.body
        else {
            return;
        };
        keys.add(base, count);
        let center = center_of(grid);
        match domain {
            Domain::F64 | Domain::F32 => moments.add_f64(x, count, center),
            Domain::Signed => {
                let v = key::to_i64(base);
                moments.add_integer(v < 0, v.unsigned_abs(), count);
            }
            Domain::Unsigned => moments.add_integer(false, base, count),
        }
        if let Some(g) = grid {
            let k = g.grid().domain.of_base(base);
            g.add(k, x, count);
        }
    }

    fn block_f64(&mut self, values: &[f64], keys: &mut Keys) {
        let found = summary::of(values);
        if found.finite {
            return self.finite_block(values, found, keys);
        }
        let mut finite = [0.0; BLOCK];
        let mut n = 0;
        for x in values {
            if x.is_finite() {
                finite[n] = *x;
                n += 1;
            } else {
                special(&mut self.counts, *x, 1);
            }
        }
        let finite = &finite[..n];
        self.finite_block(finite, summary::of(finite), keys);
    }

    fn finite_block(&mut self, values: &[f64], found: Summary, keys: &mut Keys) {
        if values.is_empty() {
            return;
        }
        let Summary { low, high, .. } = found;
        let c = &mut self.counts;
        c.finite += values.len() as u64;
        c.zeros += found.zeros;
        c.negatives += found.negatives;
        c.not_f32 += found.not_f32;
        c.extend(key::of_f64(low), key::of_f64(high));

        let bases = &mut keys[..values.len()];
        key::of_block(values, bases);
        self.distinct.update_keys(bases);
        let Body::Numeric {
            moments,
            keys,
            grid,
        } = &mut self.body
        else {
            return;
        };
        keys.update(bases);
        moments.update_f64(values, (low, high), center_of(grid));
        if let Some(g) = grid {
            g.update_floats(bases, values, (low, high));
        }
    }

    fn block_i64(&mut self, values: &[i64], keys: &mut Keys) {
        let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) else {
            return;
        };
        let c = &mut self.counts;
        c.finite += values.len() as u64;
        if low <= 0 {
            c.zeros += values.iter().filter(|v| **v == 0).count() as u64;
            c.negatives += values.iter().filter(|v| **v < 0).count() as u64;
        }
        let range = (key::of_i64(low), key::of_i64(high));
        c.extend(range.0, range.1);
        let bases = &mut keys[..values.len()];
        for (k, v) in bases.iter_mut().zip(values) {
            *k = key::of_i64(*v);
        }
        self.distinct.update_keys(bases);
        let Body::Numeric {
            moments,
            keys,
            grid,
        } = &mut self.body
        else {
            return;
        };
        keys.update_block(bases, range);
        moments.update_i64(values, (low, high));
        if let Some(g) = grid {
            g.update_integers(bases, range);
        }
    }

    fn block_u64(&mut self, values: &[u64], _: &mut Keys) {
        let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) else {
            return;
        };
        let c = &mut self.counts;
        c.finite += values.len() as u64;
        if low == 0 {
            c.zeros += values.iter().filter(|v| **v == 0).count() as u64;
        }
        c.extend(low, high);
        self.distinct.update_keys(values);
        let Body::Numeric {
            moments,
            keys,
            grid,
        } = &mut self.body
        else {
            return;
        };
        keys.update_block(values, (low, high));
        moments.update_u64(values, (low, high));
        if let Some(g) = grid {
            g.update_integers(values, (low, high));
        }
    }

    fn update_categories(
        &mut self,
        plan: &ColumnPlan,
        values: Slice<'_>,
        times: Times<'_>,
    ) -> Result<()> {
        let n_of = |i: usize| times.of(i);
        let mut text = String::new();
        match values {
            Slice::Bytes(v) => {
                for i in 0..v.len() {
                    if n_of(i) > 0 {
                        self.add_category(plan, v.get(i), n_of(i), || times.mass(i))?;
                    }
                }
            }
            Slice::Bool(v) if plan.logical == Logical::Bool || plan.logical == plan.source => {
                let mut totals = [0u64; 2];
                let mut masses = [Mass::default(); 2];
                for (i, b) in v.iter().enumerate() {
                    totals[usize::from(*b)] += n_of(i);
                    if let Times::Masses(m) = times {
                        masses[usize::from(*b)].merge(&m[i]);
                    }
                }
                for (b, n) in totals.into_iter().enumerate().filter(|(_, n)| *n > 0) {
                    self.add_category(plan, [&b"false"[..], b"true"][b], n, || masses[b])?;
                }
            }
            Slice::Bool(_) => return Err(plan.inexact("bool")),
            _ => {
                use std::fmt::Write;
                for i in 0..values.len() {
                    let n = n_of(i);
                    if n == 0 {
                        continue;
                    }
                    text.clear();
                    // Writing to a String cannot fail.
                    let _ = match values {
                        Slice::I64(v) => write!(text, "{}", v[i]),
                        Slice::U64(v) => write!(text, "{}", v[i]),
                        Slice::I128(v) => write!(text, "{}", v[i]),
                        Slice::F32(v) if v[i].is_nan() => {
                            self.add_nan_category(plan, n, || times.mass(i))?;
                            continue;
                        }
                        Slice::F64(v) if v[i].is_nan() => {
                            self.add_nan_category(plan, n, || times.mass(i))?;
                            continue;
                        }
                        Slice::F32(v) => write!(text, "{}", f64::from(v[i]) + 0.0),
                        Slice::F64(v) => write!(text, "{}", v[i] + 0.0),
                        Slice::Bool(_) | Slice::Bytes(_) => Ok(()),
                    };
                    let value = match (plan.logical, text.as_str()) {
                        (Logical::Bool, "0") => "false",
                        (Logical::Bool, "1") => "true",
                        (Logical::Bool, other) => return Err(plan.inexact(other)),
                        (_, other) => other,
                    };
                    self.add_category(plan, value.as_bytes(), n, || times.mass(i))?;
                }
            }
        }
        Ok(())
    }

    fn add_nan_category(
        &mut self,
        plan: &ColumnPlan,
        n: u64,
        mass: impl Fn() -> Mass,
    ) -> Result<()> {
        self.counts.nan += n;
        if let Some(weighed) = &mut self.weighed {
            let mass = mass();
            weighed.rows.nan += mass.rows;
            weighed.add(plan.missing_cell(), &mass)?;
        }
        Ok(())
    }

    fn add_category(
        &mut self,
        plan: &ColumnPlan,
        value: &[u8],
        n: u64,
        mass: impl Fn() -> Mass,
    ) -> Result<()> {
        let (empty, invalid) = (
            value.is_empty(),
            plan.logical == Logical::String && std::str::from_utf8(value).is_err(),
        );
        let count = |c: &mut Counts, n: u64| {
            c.finite += n;
            c.zeros += if empty { n } else { 0 };
            c.negatives += if invalid { n } else { 0 };
        };
        count(&mut self.counts, n);
        let h = categories::hash(value);
        self.distinct.update([h]);
        if let Some(weighed) = &mut self.weighed {
            let mass = mass();
            count(&mut weighed.rows, mass.rows);
            if let Some(c) = &mut weighed.categories {
                c.add(h, value, mass.rows)?;
            }
            let known = match &self.body {
                Body::Categorical(Categories::Framed { dictionary, .. }) => {
                    let n = block_categories(dictionary);
                    dictionary.position(h).map_or(n, |i| i % n)
                }
                _ => 0,
            };
            weighed.add(known, &mass)?;
        }
        match &mut self.body {
            Body::Categorical(c) => c.add(h, value, n),
            Body::Numeric { .. } => Ok(()),
        }
    }

    /// Adds another state on the same plan.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.counts.merge(&other.counts)?;
        self.distinct.merge(&other.distinct);
        match (&mut self.blocks, &other.blocks) {
            (Some(a), Some(b)) => a.merge(b)?,
            (None, None) => {}
            _ => return Err(Error::incompatible("a state with blocks and one without")),
        }
        match (&mut self.weighed, &other.weighed) {
            (Some(a), Some(b)) => {
                a.merge(b)?;
                self.make_room([])?;
            }
            (None, None) => {}
            _ => return Err(Error::incompatible("a state with weights and one without")),
        }
        match (&mut self.body, &other.body) {
            (
                Body::Numeric {
                    moments,
                    keys,
                    grid,
                },
                Body::Numeric {
                    moments: m,
                    keys: k,
                    grid: g,
                },
            ) => {
                moments.merge(m);
                keys.merge(&k.finish());
                match (grid, g) {
                    (Some(a), Some(b)) => a.merge(b),
                    (None, None) => Ok(()),
                    _ => Err(Error::incompatible("a state with a grid and one without")),
                }
            }
            (Body::Categorical(a), Body::Categorical(b)) => a.merge(b),
            _ => Err(Error::incompatible("a numeric and a categorical state")),
        }
    }

    /// Keys of the ordered values (numeric) or of the hashes (categorical, before a dictionary).
    pub fn keys(&self) -> Option<KeyHistogram> {
        match &self.body {
            Body::Numeric { keys, .. } => Some(keys.finish()),
            Body::Categorical(c) => c.keys(),
        }
    }

    /// Takes the texts and the extremes away: categories go by the hash of their value, and no smallest and
    /// largest value is known.
    pub fn veil(&mut self) {
        self.counts.range = None;
        if let Body::Categorical(c) = &mut self.body {
            c.veil();
        }
        if let Some(weighed) = &mut self.weighed {
            weighed.rows.range = None;
            if let Some(c) = &mut weighed.categories {
                c.veil();
            }
        }
    }

    /// Rows that hold the smallest and the largest value; none where that is not known, as between the cells
    /// of keys that were coarsened and under weights.
    pub fn held_at_ends(&self) -> Option<(u64, u64)> {
        let keys = self.keys().filter(|k| k.is_exact())?;
        let ends = keys.cells.first().zip(keys.cells.last())?;
        (self.weighed.is_none() && self.counts.range.is_some()).then_some((ends.0.1, ends.1.1))
    }

    /// Counts on the grid.
    pub fn grid(&self) -> Option<&GridCounts> {
        match &self.body {
            Body::Numeric { grid, .. } => grid.as_ref(),
            Body::Categorical(_) => None,
        }
    }

    /// Counts of categories.
    pub fn categories(&self) -> Option<&Categories> {
        match &self.body {
            Body::Categorical(c) => Some(c),
            Body::Numeric { .. } => None,
        }
    }

    /// [`near_means`] of two states on one grid.
    pub(crate) fn near_means(&self, other: &Self, logical: Logical) -> (f64, f64) {
        match (&self.body, &other.body) {
            (Body::Numeric { moments: a, .. }, Body::Numeric { moments: b, .. }) => {
                let rows = (self.counts.finite, other.counts.finite);
                near_means(logical, (a, rows.0), (b, rows.1))
            }
            _ => (f64::NAN, f64::NAN),
        }
    }

    /// Mean and variance of the finite values in the unit of the column; NaN where undefined.
    pub fn mean_variance(&self, logical: Logical) -> (f64, f64) {
        let Body::Numeric { moments, grid, .. } = &self.body else {
            return (f64::NAN, f64::NAN);
        };
        let center = grid.as_ref().map_or(0.0, |g| g.grid().center);
        let n = self.counts.finite;
        let unit = scaled(logical, 1.0);
        (
            scaled(logical, moments.mean(n, center)),
            moments.variance(n) * unit * unit,
        )
    }

    /// Writes the state without what the plan holds.
    pub fn encode(&self, w: &mut Writer) {
        self.counts.encode(w);
        self.distinct.encode(w);
        match &self.body {
            Body::Numeric {
                moments,
                keys,
                grid,
            } => {
                moments.encode(w);
                keys.finish().encode(w);
                if let Some(g) = grid {
                    g.encode(w);
                }
            }
            Body::Categorical(c) => c.encode(w),
        }
        if let Some(b) = &self.blocks {
            b.encode(w);
        }
        if let Some(own) = &self.weighed {
            own.encode(w);
        }
    }

    /// Reads what [`ColumnState::encode`] wrote for this plan.
    pub fn decode(r: &mut Reader<'_>, plan: &ColumnPlan) -> Result<Self> {
        let mut s = plan.empty();
        s.counts = Counts::decode(r)?;
        s.distinct = Distinct::decode(r)?;
        match (&mut s.body, &plan.frozen) {
            (
                Body::Numeric {
                    moments,
                    keys,
                    grid,
                },
                frozen,
            ) => {
                *moments = Moments::decode(r)?;
                let decoded = KeyHistogram::decode(r)?;
                if decoded.cap != plan.cap() {
                    return Err(Error::corrupt("key histogram of another size"));
                }
                if decoded.total() != s.counts.finite {
                    return Err(Error::corrupt("key histogram and counts disagree"));
                }
                let ends = decoded.cells.first().zip(decoded.cells.last());
                let hull = s
                    .counts
                    .range
                    .map(|(a, b)| (a >> decoded.level, b >> decoded.level));
                // Sensitive columns have no range.
                if hull.is_some() && ends.map(|(a, b)| (a.0, b.0)) != hull {
                    return Err(Error::corrupt("key histogram and range disagree"));
                }
                let finite = |k| base_domain(plan.logical).value(k).is_finite();
                if s.counts
                    .range
                    .is_some_and(|(a, b)| !finite(a) || !finite(b))
                {
                    return Err(Error::corrupt("a range that is not finite"));
                }
                keys.merge(&decoded);
                if let Frozen::Grid(frame) = frozen {
                    let g = GridCounts::decode(r, Arc::clone(frame))?;
                    let total = g.counts().iter().try_fold(0u64, |a, b| a.checked_add(*b));
                    if total != Some(s.counts.finite) {
                        return Err(Error::corrupt("grid and counts disagree"));
                    }
                    *grid = Some(g);
                }
            }
            (Body::Categorical(c), Frozen::Dictionary(d)) => {
                *c = Categories::decode(r, Arc::clone(d), plan.hash_cells())?;
                if c.rows() != Some(s.counts.finite) {
                    return Err(Error::corrupt("categories and counts disagree"));
                }
            }
            _ => return Err(Error::corrupt("a state without its dictionary")),
        }
        if let Some(blocks) = &mut s.blocks {
            *blocks = Blocks::decode(r, blocks.cells())?;
            if blocks.total() != Some(s.coarse().counts) {
                return Err(Error::corrupt("blocks and counts disagree"));
            }
        }
        if let Some(own) = s.weighed.take() {
            s.weighed = Some(Box::new(own.decode(r, &s.counts)?));
        }
        Ok(s)
    }
}

fn center_of(grid: &Option<GridCounts>) -> Center {
    grid.as_ref()
        .map_or(Center::None, |g| Center::At(g.grid().center))
}

fn special(c: &mut Counts, x: f64, n: u64) {
    if x.is_nan() {
        c.nan += n;
    } else if x > 0.0 {
        c.pos_inf += n;
    } else {
        c.neg_inf += n;
    }
}

/// Counts a value that is not finite, and says how far behind the cell of missing rows its own is.
fn special_cell(c: &mut Counts, x: f64, n: u64) -> usize {
    special(c, x, n);
    match x {
        _ if x.is_nan() => 0,
        _ if x < 0.0 => 1,
        _ => 2,
    }
}

/// Feeds the keys of a page to a refinement pass.
pub fn refine(
    refinement: &mut Refinement,
    plan: &ColumnPlan,
    values: Slice<'_>,
    counts: Option<&[u64]>,
) -> Result<()> {
    let n_of = |i: usize| counts.map_or(1, |c| c[i]);
    if plan.kind == Kind::Categorical {
        if let Slice::Bytes(v) = values {
            for i in (0..v.len()).filter(|i| n_of(*i) > 0) {
                refinement.add(categories::hash(v.get(i)), n_of(i));
            }
        }
        return Ok(());
    }
    let mut ignored = Counts::default();
    match lane(plan, values, &mut ignored, None)? {
        Lane::Floats(v) => v
            .iter()
            .enumerate()
            .filter(|(_, x)| x.is_finite())
            .for_each(|(i, x)| {
                refinement.add(key::of_f64(*x), n_of(i));
            }),
        Lane::Signed(v) => v
            .iter()
            .enumerate()
            .for_each(|(i, x)| refinement.add(key::of_i64(*x), n_of(i))),
        Lane::Gaps(v, _) => v.into_iter().for_each(|(k, i)| refinement.add(k, n_of(i))),
        Lane::Unsigned(v) => v
            .iter()
            .enumerate()
            .for_each(|(i, x)| refinement.add(*x, n_of(i))),
    }
    Ok(())
}

/// Converts values to the logical type of the profile, where each is exact. Special values of
/// floats that go to integers, and decimals beyond 64 bits, are counted here and become gaps.
fn lane<'a>(
    plan: &ColumnPlan,
    values: Slice<'a>,
    c: &mut Counts,
    counts: Option<&[u64]>,
) -> Result<Lane<'a>> {
    use std::borrow::Cow;
    let pow = |s: i8| libm::pow(10.0, f64::from(s));
    let n_of = |i: usize| counts.map_or(1, |c| c[i]);
    match (plan.logical, values) {
        (Logical::Float, Slice::F64(v)) => Ok(Lane::Floats(Cow::Borrowed(v))),
        (Logical::Float, Slice::F32(v)) => Ok(Lane::Floats(Cow::Owned(
            v.iter().map(|x| f64::from(*x)).collect(),
        ))),
        (Logical::Float, Slice::I64(v)) => {
            if let Some(bad) = v.iter().find(|x| (**x as f64) as i128 != i128::from(**x)) {
                return Err(plan.inexact(bad));
            }
            Ok(Lane::Floats(Cow::Owned(
                v.iter().map(|x| *x as f64).collect(),
            )))
        }
        (Logical::Float, Slice::U64(v)) => {
            if let Some(bad) = v.iter().find(|x| (**x as f64) as u128 != u128::from(**x)) {
                return Err(plan.inexact(bad));
            }
            Ok(Lane::Floats(Cow::Owned(
                v.iter().map(|x| *x as f64).collect(),
            )))
        }
        (Logical::Float, Slice::I128(v)) => {
            // Integers up to 2^53 over powers up to 10^22 divide to the nearest double, which
            // reads back as the same decimal.
            let Logical::Decimal { scale } = plan.source else {
                return Err(plan.inexact("decimal"));
            };
            if let Some(bad) = v
                .iter()
                .find(|x| x.unsigned_abs() > 1 << 53 || scale.unsigned_abs() > 22)
            {
                return Err(plan.inexact(bad));
            }
            Ok(Lane::Floats(Cow::Owned(
                v.iter().map(|x| *x as f64 / pow(scale)).collect(),
            )))
        }
        (Logical::UInt, Slice::U64(v)) => Ok(Lane::Unsigned(Cow::Borrowed(v))),
        (logical, Slice::I64(v)) if logical == plan.source => Ok(Lane::Signed(Cow::Borrowed(v))),
        (logical, values) => {
            // Exact integers in units of the target, with the positions they came from.
            let mut out: Vec<(i128, usize)> = Vec::with_capacity(values.len());
            let (up, down) = ratio(plan.source, logical);
            for i in 0..values.len() {
                let float = match values {
                    Slice::F32(v) => Some(f64::from(v[i])),
                    Slice::F64(v) => Some(v[i]),
                    _ => None,
                };
                if let Some(x) = float {
                    if !x.is_finite() {
                        special(c, x, n_of(i));
                        continue;
                    }
                    // Decimals: the nearest integer that reads back as the same double.
                    let y = libm::round(x * up as f64);
                    if y.abs() > 1e37 || y / up as f64 != x {
                        return Err(plan.inexact(x));
                    }
                    out.push((y as i128, i));
                    continue;
                }
                let x = match values {
                    Slice::I64(v) => i128::from(v[i]),
                    Slice::U64(v) => i128::from(v[i]),
                    Slice::I128(v) => v[i],
                    Slice::Bool(v) => i128::from(v[i]),
                    _ => return Err(plan.inexact("bytes")),
                };
                let y = x.checked_mul(up).ok_or_else(|| plan.inexact(x))?;
                if y % down != 0 {
                    return Err(plan.inexact(x));
                }
                out.push((y / down, i));
            }
            let unsigned = logical == Logical::UInt;
            let mut keys = Vec::with_capacity(out.len());
            for (v, i) in out {
                let k = if unsigned {
                    u64::try_from(v).ok()
                } else {
                    i64::try_from(v).ok().map(key::of_i64)
                };
                match k {
                    Some(k) => keys.push((k, i)),
                    None if !matches!(logical, Logical::Decimal { .. }) => {
                        return Err(plan.inexact(v));
                    }
                    None if v < 0 => c.below += n_of(i),
                    None => c.above += n_of(i),
                }
            }
            if unsigned {
                Ok(Lane::Gaps(keys, Domain::Unsigned))
            } else if keys.len() < values.len() {
                Ok(Lane::Gaps(keys, Domain::Signed))
            } else {
                let signed = keys.into_iter().map(|(k, _)| key::to_i64(k)).collect();
                Ok(Lane::Signed(Cow::Owned(signed)))
            }
        }
    }
}

/// Hashes of values as keys of rows: equal for equal values of the plan's type, whatever type the source
/// has, and [`NO_KEY`](crate::states::keys::NO_KEY) for values that are no key (NaN, beyond the type).
///
/// # Errors
/// [`Error::Schema`] when a value does not convert exactly.
pub fn key_hashes(plan: &ColumnPlan, values: Slice<'_>) -> Result<Vec<u64>> {
    use crate::states::keys::NO_KEY;
    let of = |base: u64| key::mix(base).max(NO_KEY + 1);
    if let Slice::Bytes(v) = values {
        let hashes = (0..v.len()).map(|i| categories::hash(v.get(i)).max(NO_KEY + 1));
        return Ok(hashes.collect());
    }
    let mut unused = Counts::default();
    Ok(match lane(plan, values, &mut unused, None)? {
        Lane::Floats(v) => v
            .iter()
            .map(|x| {
                if x.is_nan() {
                    NO_KEY
                } else {
                    of(key::of_f64(*x))
                }
            })
            .collect(),
        Lane::Signed(v) => v.iter().map(|x| of(key::of_i64(*x))).collect(),
        Lane::Unsigned(v) => v.iter().map(|x| of(*x)).collect(),
        Lane::Gaps(keys, _) => {
            let mut hashes = vec![NO_KEY; values.len()];
            for (k, i) in keys {
                hashes[i] = of(k);
            }
            hashes
        }
    })
}

/// Target units in a source unit, as a fraction of integers.
fn ratio(source: Logical, target: Logical) -> (i128, i128) {
    let ten = |n: i32| 10i128.checked_pow(n.unsigned_abs()).unwrap_or(i128::MAX);
    let scale = |l: Logical| match l {
        Logical::Decimal { scale } => i32::from(scale),
        _ => 0,
    };
    let per_second = |l: Logical| match l {
        Logical::Time { unit } | Logical::Timestamp { unit, .. } | Logical::Duration { unit } => {
            Some(i128::from(unit.per_second()))
        }
        _ => None,
    };
    match (source, target) {
        (Logical::Date, t) => match per_second(t) {
            Some(p) => (86_400 * p, 1),
            None => (1, 1),
        },
        (s, Logical::Date) => (1, per_second(s).map_or(1, |p| p * 86_400)),
        (s, t) => match (per_second(s), per_second(t)) {
            (Some(a), Some(b)) => (b, a),
            _ => {
                let by = scale(t) - scale(s);
                if by >= 0 { (ten(by), 1) } else { (1, ten(by)) }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states::grid::Grid;
    use proptest::prelude::*;

    fn bytes(state: &ColumnState) -> Vec<u8> {
        let mut w = Writer::new();
        state.encode(&mut w);
        w.into_bytes()
    }

    /// One value after the other, the obvious way.
    fn single(plan: &ColumnPlan, keys: &[u64], domain: Domain) -> ColumnState {
        let mut state = plan.empty();
        keys.iter().for_each(|k| state.add_base(*k, 1, domain));
        state
    }

    fn plan(logical: Logical, domain: Domain, edges: Vec<u64>) -> ColumnPlan {
        let grid = Grid {
            domain,
            edges,
            atoms: Vec::new(),
            center: 0.5,
            coarse: Vec::new(),
            nested: Vec::new(),
            bound: 1024,
        };
        ColumnPlan {
            name: "x".into(),
            logical,
            source: logical,
            kind: Kind::Numeric,
            frozen: Frozen::Grid(Frame::new(grid)),
            compact: false,
            exact: false,
            blocked: false,
            weighed: false,
        }
    }

    proptest! {
        #[test]
        fn blocks_equal_single_values(
            small in prop::collection::vec(0..60u64, 1..1500),
            wide in prop::collection::vec(any::<u64>(), 1..700),
            repeats in 0..12u64,
        ) {
            for values in [small, wide] {
                // Unsigned and signed integers, and floats made of them, plain and counted.
                let edges = vec![0, 7, 20, 33, 1 << 40, u64::MAX - 5];
                let counts: Vec<u64> = (0..values.len() as u64).map(|i| i % (repeats + 1)).collect();
                let repeated = |keys: &[u64]| -> Vec<u64> {
                    let all = keys.iter().zip(&counts);
                    all.flat_map(|(k, n)| std::iter::repeat_n(*k, *n as usize)).collect()
                };
                let signed: Vec<i64> = values.iter().map(|v| key::to_i64(*v)).collect();
                let floats: Vec<f64> = values.iter().map(|v| *v as f64 - 30.0).collect();
                let float_keys: Vec<u64> = floats.iter().map(|x| key::of_f64(*x)).collect();
                let float_edges = vec![key::of_f64(-20.0), key::of_f64(-3.5), key::of_f64(0.0), key::of_f64(1e18)];
                let cases = [
                    (plan(Logical::UInt, Domain::Unsigned, edges.clone()), Slice::U64(&values), &values, Domain::Unsigned),
                    (plan(Logical::Int, Domain::Signed, edges), Slice::I64(&signed), &values, Domain::Signed),
                    (plan(Logical::Float, Domain::F64, float_edges), Slice::F64(&floats), &float_keys, Domain::F64),
                ];
                for (plan, slice, keys, domain) in cases {
                    let mut state = plan.empty();
                    state.update(&plan, slice).unwrap();
                    prop_assert_eq!(bytes(&state), bytes(&single(&plan, keys, domain)));
                    let mut state = plan.empty();
                    state.update_counted(&plan, slice, &counts).unwrap();
                    prop_assert_eq!(bytes(&state), bytes(&single(&plan, &repeated(keys), domain)));
                }
            }
        }
    }
}
