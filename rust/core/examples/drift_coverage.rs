//! How often the intervals of drift statistics hold the value of the population, and how often their
//! p-values reject when nothing changed.
//!
//! ```text
//! cargo run --profile ci -p tidegauge-core --example drift_coverage -- 4000 2026-11-23 > docs/calibration/drift.md
//! ```
//! takes the number of pairs of samples and the date to print. The tests run a few hundred pairs of
//! the same code.
//!
//! Every population is a normal number seen through one of several lenses (as it is, its exponential,
//! rounded to halves, cut into categories, missing above a threshold); the current one is moved by a
//! share of a standard deviation. Both are laid on the same few thousand values, so the value of a
//! statistic in the population is that statistic of the populations' shares, taken 2^40 times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidegauge_core::column::{ColumnPlan, ColumnState, Frozen, Kind, refine};
use tidegauge_core::compare::blocked_pair_of;
use tidegauge_core::kernels::key::{self, mix};
use tidegauge_core::pair::{Cell, NumericPair, Pair, Side};
use tidegauge_core::profile::{Column, Profile};
use tidegauge_core::special::{normal_isf, normal_sf};
use tidegauge_core::states::grid::Domain;
use tidegauge_core::states::refine::{Step, grid_of, start};
use tidegauge_core::statistics::{Context, Statistic, find, registry};
use tidegauge_core::value::{Bytes, Logical, Slice};
use tidegauge_core::weights::{Mass, Units};

/// Equally likely stretches of a standard normal number.
const STRETCHES: usize = 1 << 13;
/// Rows of the samples that stand for the populations.
const POPULATION: f64 = (1_u64 << 40) as f64;
/// Rows of a block.
const BLOCK: usize = 100;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// A stream of its own for every seed.
    pub fn new(seed: u64) -> Self {
        Random(mix(seed))
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        radius * libm::cos(core::f64::consts::TAU * self.uniform())
    }
}

/// How the rows of a sample depend on each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rows {
    /// Not at all.
    Independent,
    /// Each on the one before, with this correlation.
    Chain(f64),
    /// Those of one block, with this correlation.
    Days(f64),
    /// Not at all, but with weights: the next whole number above a lognormal one.
    Weighted,
}

/// What the normal number becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lens {
    /// Itself.
    Normal,
    /// Its exponential.
    Lognormal,
    /// The nearest half.
    Halves,
    /// One of twelve categories.
    Categories,
    /// Null above 1.6, else itself.
    Missing,
}

/// A population and its samples.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Name.
    pub name: &'static str,
    /// Dependence of the rows.
    pub rows: Rows,
    /// What is seen of them.
    pub lens: Lens,
}

/// The populations.
pub const CASES: &[Case] = &[
    case("normal", Rows::Independent, Lens::Normal),
    case("lognormal", Rows::Independent, Lens::Lognormal),
    case("ties", Rows::Independent, Lens::Halves),
    case("categories", Rows::Independent, Lens::Categories),
    case("missing", Rows::Independent, Lens::Missing),
    case("weights", Rows::Weighted, Lens::Normal),
    case("weights, ties", Rows::Weighted, Lens::Halves),
    case("weights, categories", Rows::Weighted, Lens::Categories),
    case("weights, missing", Rows::Weighted, Lens::Missing),
    case("chain", Rows::Chain(0.9), Lens::Normal),
    case("days", Rows::Days(0.2), Lens::Normal),
    case("days, ties", Rows::Days(0.2), Lens::Halves),
    case("days, categories", Rows::Days(0.2), Lens::Categories),
    case("days, missing", Rows::Days(0.2), Lens::Missing),
];

const fn case(name: &'static str, rows: Rows, lens: Lens) -> Case {
    Case { name, rows, lens }
}

/// Rows that belong together: stretches and the rows that lie in each.
type Part = Vec<(usize, Mass)>;

/// So many rows of weight 1.
fn rows(n: u64) -> Mass {
    Mass {
        units: n,
        squares: n.into(),
        rows: n,
        rounded: 0,
        common: u64::from(n > 0),
    }
}

/// The next number of a sample, by its position.
type Next = Box<dyn FnMut(&mut Random, usize) -> f64>;

impl Case {
    /// Numbers of rows of each side that are drawn.
    pub fn sizes(&self) -> &'static [usize] {
        match self.rows {
            Rows::Independent => &[50, 200, 1_000, 10_000, 100_000, 1_000_000],
            Rows::Weighted => &[200, 1_000, 10_000],
            _ => &[2_000, 10_000, 100_000],
        }
    }

    /// One sample: all rows together, or block by block.
    fn draw(&self, random: &mut Random, n: usize, guide: &Guide) -> Vec<Part> {
        let blocks = |random: &mut Random, mut next: Next| {
            let part = |at: usize| {
                let mut places: Vec<usize> = (0..BLOCK)
                    .map(|i| guide.place(next(random, at * BLOCK + i)))
                    .collect();
                places.sort_unstable();
                let runs = places.chunk_by(|a, b| a == b);
                runs.map(|run| (run[0], rows(run.len() as u64))).collect()
            };
            (0..n / BLOCK).map(part).collect()
        };
        match self.rows {
            Rows::Independent => {
                let mut counts = vec![0; STRETCHES];
                (0..n).for_each(|_| counts[guide.draw(random)] += 1);
                vec![part(counts.into_iter().map(rows))]
            }
            Rows::Weighted => {
                let mut masses = vec![Mass::default(); STRETCHES];
                for _ in 0..n {
                    let at = guide.draw(random);
                    let count = libm::ceil(libm::exp(random.normal())) as u64;
                    let rounded = false;
                    masses[at].add(Units { count, rounded });
                }
                vec![part(masses.into_iter())]
            }
            Rows::Chain(r) => {
                let (mut z, fresh) = (random.normal(), libm::sqrt(1.0 - r * r));
                let step = move |random: &mut Random, _: usize| {
                    z = r * z + fresh * random.normal();
                    z
                };
                blocks(random, Box::new(step))
            }
            Rows::Days(r) => {
                let mut day = 0.0;
                let step = move |random: &mut Random, i: usize| {
                    if i.is_multiple_of(BLOCK) {
                        day = libm::sqrt(r) * random.normal();
                    }
                    day + libm::sqrt(1.0 - r) * random.normal()
                };
                blocks(random, Box::new(step))
            }
        }
    }
}

/// The stretches that hold rows.
fn part(masses: impl Iterator<Item = Mass>) -> Part {
    masses.enumerate().filter(|(_, m)| m.units > 0).collect()
}

/// Share of each stretch among standard normal numbers moved by `shift`.
fn shares(shift: f64) -> Vec<f64> {
    let below = |j: usize| match j {
        0 => 0.0,
        STRETCHES => 1.0,
        _ => 1.0 - normal_sf(edge(j) - shift),
    };
    (0..STRETCHES).map(|j| below(j + 1) - below(j)).collect()
}

/// Start of a stretch.
fn edge(j: usize) -> f64 {
    -normal_isf(j as f64 / STRETCHES as f64)
}

/// Draws stretches by their shares: the alias method (Walker 1977).
struct Guide {
    shift: f64,
    stay: Vec<f64>,
    other: Vec<usize>,
}

impl Guide {
    fn new(shift: f64) -> Self {
        let mut stay: Vec<f64> = shares(shift).iter().map(|p| p * STRETCHES as f64).collect();
        let mut other: Vec<usize> = (0..STRETCHES).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..STRETCHES).partition(|j| stay[*j] < 1.0);
        while let (Some(s), Some(l)) = (small.pop(), large.last().copied()) {
            other[s] = l;
            stay[l] -= 1.0 - stay[s];
            if stay[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        small.into_iter().chain(large).for_each(|j| stay[j] = 1.0);
        Guide { shift, stay, other }
    }

    /// The stretch of a number that is standard normal before it is moved.
    fn place(&self, z: f64) -> usize {
        let u = 1.0 - normal_sf(z + self.shift);
        ((u * STRETCHES as f64) as usize).min(STRETCHES - 1)
    }

    fn draw(&self, random: &mut Random) -> usize {
        let bits = random.next();
        let at = (bits >> 51) as usize;
        let u = (bits & ((1 << 51) - 1)) as f64 / (1_u64 << 51) as f64;
        if u < self.stay[at] {
            at
        } else {
            self.other[at]
        }
    }
}

/// The stretches as a lens shows them.
pub struct Seen {
    lens: Lens,
    floats: Vec<f64>,
    categories: Vec<u8>,
    /// Stretches from here on are null.
    nulls: usize,
}

impl Seen {
    /// Looks at every stretch.
    pub fn new(lens: Lens) -> Self {
        let middle = |j: usize| -normal_isf((j as f64 + 0.5) / STRETCHES as f64);
        // Single precision, so that the grid's edges are of that kind at once.
        let single = |x: f64| f64::from(x as f32);
        let floats = (0..STRETCHES)
            .map(|j| match lens {
                Lens::Lognormal => single(libm::exp(middle(j))),
                Lens::Halves => libm::rint(2.0 * middle(j)) / 2.0,
                _ => single(middle(j)),
            })
            .collect();
        // Shares of the categories go from 1/3 down to a twentieth.
        let category = |j: usize| {
            let u = (j as f64 + 0.5) / STRETCHES as f64;
            b'a' + (12.0 * u * u) as u8
        };
        let nulls = if lens == Lens::Missing {
            ((1.0 - normal_sf(1.6)) * STRETCHES as f64) as usize
        } else {
            STRETCHES
        };
        Seen {
            lens,
            floats,
            categories: (0..STRETCHES).map(category).collect(),
            nulls,
        }
    }

    fn plan(&self, frozen: Frozen) -> ColumnPlan {
        let (logical, kind) = match self.lens {
            Lens::Categories => (Logical::String, Kind::Categorical),
            _ => (Logical::Float, Kind::Numeric),
        };
        ColumnPlan {
            name: "x".into(),
            logical,
            source: logical,
            kind,
            frozen,
            compact: false,
            exact: false,
            blocked: false,
            weighed: false,
        }
    }

    /// Gives the values of a part and how often each occurs to `count`, after the nulls to `nulls`.
    fn show(&self, part: &Part, mut count: impl FnMut(Slice<'_>, &[Mass], Mass)) {
        let end = part.partition_point(|(j, _)| *j < self.nulls);
        let (held, gone) = part.split_at(end);
        let masses: Vec<Mass> = held.iter().map(|(_, m)| *m).collect();
        let mut nulls = Mass::default();
        gone.iter().for_each(|(_, m)| nulls.merge(m));
        if self.lens == Lens::Categories {
            let data: Vec<u8> = held.iter().map(|(j, _)| self.categories[*j]).collect();
            let offsets: Vec<u32> = (0..=data.len() as u32).collect();
            let (offsets, data) = (&offsets, &data);
            count(Slice::Bytes(Bytes { offsets, data }), &masses, nulls);
        } else {
            let floats: Vec<f64> = held.iter().map(|(j, _)| self.floats[*j]).collect();
            count(Slice::F64(&floats), &masses, nulls);
        }
    }

    fn count(&self, state: &mut ColumnState, plan: &ColumnPlan, part: &Part) {
        self.show(part, |values, masses, nulls| {
            let of_plan = if plan.weighed {
                state
                    .update_null_mass(plan, &nulls)
                    .and_then(|()| state.update_masses(plan, values, masses))
            } else {
                state
                    .update_nulls(nulls.units)
                    .and_then(|()| state.update_counted(plan, values, &units(masses)))
            };
            of_plan.expect("values of the plan's type");
        });
    }

    /// The column of a reference.
    fn freeze(&self, sample: &[Part], blocked: bool, weighed: bool) -> Column {
        let plan = self.plan(Frozen::Nothing);
        let mut state = plan.empty();
        for part in sample {
            self.count(&mut state, &plan, part);
        }
        let (mut grid, mut dictionary) = (None, None);
        if let Some(categories) = state.categories() {
            dictionary = categories.complete();
        } else {
            let mut step = start(&state.keys().unwrap_or_default());
            let segments = loop {
                match step {
                    Step::Done(segments) => break segments,
                    Step::Refine(mut r) => {
                        for part in sample {
                            self.show(part, |values, masses, _| {
                                let counts = units(masses);
                                refine(&mut r, &plan, values, Some(&counts)).expect("floats");
                            });
                        }
                        step = r.next();
                    }
                }
            };
            let mean = state.mean_variance(Logical::Float).0;
            let mean = if mean.is_finite() { mean } else { 0.0 };
            let mut all = Mass::default();
            sample.iter().flatten().for_each(|(_, m)| all.merge(m));
            let worth = (all.units as f64 * (all.units as f64 / all.squares as f64)) as u64;
            grid = Some(grid_of(&segments, Domain::F64, mean, 0, worth));
        }
        let mut column = Profile::frozen_column("x", plan.logical, plan.kind, grid, dictionary);
        (column.blocked, column.weighed) = (blocked, weighed);
        column
    }

    /// Both populations on the coarse cells of a reference; none of categories, whose cells are fixed.
    fn cells(&self, column: &Column, p: &[Part], q: &[Part]) -> Option<Pair> {
        let Frozen::Grid(frame) = &column.frozen else {
            return None;
        };
        let grid = &frame.grid;
        let coarse = |x: f64| grid.coarse_of(grid.cell_of(grid.domain.of_base(key::of_f64(x))));
        let (mut cells, mut from) = (Vec::new(), 0);
        let rows = |part: &Part, from: usize, to: usize| {
            let (a, b) = (
                part.partition_point(|r| r.0 < from),
                part.partition_point(|r| r.0 < to),
            );
            part[a..b].iter().map(|r| r.1.units).sum()
        };
        let held = &self.floats[..self.nulls];
        while from < held.len() {
            let own = coarse(held[from]);
            let to = from + held[from..].partition_point(|x| coarse(*x) == own);
            cells.push(Cell {
                low: held[from],
                high: held[to - 1],
                single: false,
                reference: rows(&p[0], from, to),
                current: rows(&q[0], from, to),
                offset_reference: 0.0,
                offset_current: 0.0,
                offset_error: 0.0,
                coarse: own,
            });
            from = to;
        }
        let side = |part: &Part| {
            let (finite, nulls) = (rows(part, 0, self.nulls), rows(part, self.nulls, STRETCHES));
            Side {
                rows: finite + nulls,
                nulls,
                finite,
                ..Side::default()
            }
        };
        Some(Pair::Numeric(NumericPair {
            logical: Logical::Float,
            reference: side(&p[0]),
            current: side(&q[0]),
            cells,
            reference_iqr: 0.0,
            reference_range: (0.0, 0.0),
            out_of_range: (0, 0),
            note: None,
            blocked: None,
        }))
    }

    /// Share of a population's values beyond a sample's range, or in none of its categories.
    fn outside(&self, sample: &[Part], population: &[Part]) -> f64 {
        let mut seen = BTreeSet::new();
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let held = |part: &Part| {
            let end = part.partition_point(|r| r.0 < self.nulls);
            part[..end].to_vec()
        };
        for (j, _) in sample.iter().flat_map(held) {
            seen.insert(self.categories[j]);
            (low, high) = (low.min(self.floats[j]), high.max(self.floats[j]));
        }
        let (mut beyond, mut all) = (0, 0);
        for (j, mass) in population.iter().flat_map(held) {
            let new = match self.lens {
                Lens::Categories => !seen.contains(&self.categories[j]),
                _ => self.floats[j] < low || self.floats[j] > high,
            };
            beyond += if new { mass.units } else { 0 };
            all += mass.units;
        }
        beyond as f64 / all as f64
    }

    fn state(&self, column: &Column, exact: bool, sample: &[Part]) -> ColumnState {
        let plan = ColumnPlan {
            exact,
            ..column.plan(column.logical, false)
        };
        let mut state = plan.empty();
        for (block, part) in sample.iter().enumerate() {
            let before = state.open_block();
            self.count(&mut state, &plan, part);
            if let Some(before) = before {
                state.close_block(block as i64, &before);
            }
        }
        state
    }
}

/// Which populations give the value an interval is meant to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    /// Both, on their own values.
    Both,
    /// Both, on the cells of the reference.
    Cells,
    /// The current one, against the reference as it was drawn.
    Given,
    /// As `Both`, in units of the spread of the reference as it was drawn.
    Scaled(&'static str),
}

fn target(statistic: &Statistic, lens: Lens) -> Target {
    match statistic.name {
        "range_violation" | "new_category_mass" => Target::Given,
        "wasserstein_scaled" => Target::Scaled("wasserstein"),
        "energy_scaled" => Target::Scaled("energy"),
        "psi" | "total_variation" | "jensen_shannon" | "kullback_leibler" | "hellinger"
        | "l_infinity" | "cramers_v"
            if lens != Lens::Categories =>
        {
            Target::Cells
        }
        _ => Target::Both,
    }
}

/// What became of one statistic.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// Pairs of samples that gave an interval.
    pub made: u32,
    /// Intervals below the value of the populations.
    pub below: u32,
    /// Intervals above it.
    pub above: u32,
    /// Pairs of samples that gave a p-value.
    pub tested: u32,
    /// p-values of at most 5 %.
    pub rejected: u32,
    /// Sum of the widths, and of the values of the populations.
    pub width: f64,
    /// Sum of the values of the populations.
    pub truth: f64,
}

impl Count {
    /// Share of the intervals that hold the value.
    pub fn coverage(self) -> f64 {
        1.0 - f64::from(self.below + self.above) / f64::from(self.made)
    }
    /// Share of the p-values that reject.
    pub fn rejection(self) -> f64 {
        f64::from(self.rejected) / f64::from(self.tested)
    }
}

fn value(statistic: &Statistic, pair: &Pair) -> Option<f64> {
    let outcome = statistic.evaluate(pair, &Context::default());
    outcome.ok().map(|o| o.value).filter(|v| v.is_finite())
}

fn units(masses: &[Mass]) -> Vec<u64> {
    masses.iter().map(|m| m.units).collect()
}

/// The two samples on their common partition.
fn pair(column: &Column, reference: &ColumnState, current: &ColumnState) -> Pair {
    let label: Option<Arc<str>> = column.blocked.then(|| "block:1d".into());
    blocked_pair_of(column, label.as_ref(), reference, current).expect("one column")
}

/// Draws pairs of samples of `n` rows each and counts intervals and rejections by statistic.
pub fn cover(case: &Case, n: usize, shift: f64, pairs: u64) -> BTreeMap<&'static str, Count> {
    let blocked = matches!(case.rows, Rows::Chain(_) | Rows::Days(_));
    count(case, n, shift, pairs, blocked)
}

/// The same with dependent rows taken as independent.
#[allow(dead_code, reason = "for the tests")]
pub fn cover_unblocked(
    case: &Case,
    n: usize,
    shift: f64,
    pairs: u64,
) -> BTreeMap<&'static str, Count> {
    count(case, n, shift, pairs, false)
}

fn count(
    case: &Case,
    n: usize,
    shift: f64,
    pairs: u64,
    blocked: bool,
) -> BTreeMap<&'static str, Count> {
    let seen = Seen::new(case.lens);
    let whole = |shift: f64| {
        let share = |p: f64| rows(libm::rint(p * POPULATION) as u64);
        vec![part(shares(shift).into_iter().map(share))]
    };
    let (p, q) = (whole(0.0), whole(shift));
    let statistics: Vec<_> = registry()
        .iter()
        .filter(|s| !matches!(s.name, "volume" | "distinct_count" | "duplicate_keys"))
        .collect();
    let column = seen.freeze(&p, false, false);
    let [x, y] = [&p, &q].map(|sample| seen.state(&column, true, sample));
    let both = pair(&column, &x, &y);
    let fixed: BTreeMap<_, _> = statistics
        .iter()
        .filter(|s| target(s, case.lens) == Target::Both)
        .filter_map(|s| Some((s.name, value(s, &both)?)))
        .collect();
    let guides = [0.0, shift].map(Guide::new);

    let mut counts: BTreeMap<&'static str, Count> = BTreeMap::new();
    for seed in 0..pairs {
        let mut random = Random::new(seed << 24 | n as u64);
        let [a, b] = [0, 1].map(|side| case.draw(&mut random, n, &guides[side]));
        let column = seen.freeze(&a, blocked, case.rows == Rows::Weighted);
        let outside = seen.outside(&a, &q);
        let [a, b] = [&a, &b].map(|sample| seen.state(&column, false, sample));
        let drawn = pair(&column, &a, &b);
        let cells = seen.cells(&column, &p, &q);
        for s in statistics.iter().filter(|s| s.kinds.accepts(&drawn)) {
            let Ok(outcome) = s.evaluate(&drawn, &Context::default()) else {
                continue;
            };
            let count = counts.entry(s.name).or_default();
            if let Some(pvalue) = outcome.pvalue {
                count.tested += 1;
                count.rejected += u32::from(pvalue <= 0.05);
            }
            let truth = match target(s, case.lens) {
                Target::Both => fixed.get(s.name).copied(),
                Target::Cells => cells.as_ref().and_then(|cells| value(s, cells)),
                Target::Given => Some(outside),
                Target::Scaled(name) => fixed.get(name).and_then(|truth| {
                    let raw = value(find(name)?, &drawn).filter(|v| *v > 0.0)?;
                    Some(truth * outcome.value / raw)
                }),
            };
            if let (Some((low, high)), Some(truth)) = (outcome.ci, truth) {
                // The value of the populations is itself rounded.
                let slack = 1e-9 * truth.abs() + 1e-12;
                count.made += 1;
                count.above += u32::from(low > truth + slack);
                count.below += u32::from(high < truth - slack);
                count.width += high - low;
                count.truth += truth;
            }
        }
    }
    counts
}

/// Shifts of the current population, in standard deviations.
pub const SHIFTS: [f64; 4] = [0.0, 0.02, 0.1, 0.5];

/// A task of the simulation, and what came of it.
type Task = (usize, usize, usize);
type Found = BTreeMap<Task, BTreeMap<&'static str, Count>>;

/// Every case, shift and size, on as many threads as there are cores.
fn simulate(cases: &[Case], pairs: u64, most: usize) -> Found {
    let mut tasks = Vec::new();
    for (c, case) in cases.iter().enumerate() {
        let sizes = case.sizes().iter().enumerate();
        for (n, _) in sizes.filter(|(_, n)| **n <= most) {
            tasks.extend((0..SHIFTS.len()).map(|s| (c, s, n)));
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Found::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (case, n) = (&cases[task.0], cases[task.0].sizes()[task.2]);
                    let counts = cover(case, n, SHIFTS[task.1], runs(n, pairs));
                    eprintln!("{} {} {n}", case.name, SHIFTS[task.1]);
                    found.lock().expect("no panic").insert(task, counts);
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

/// Pairs of samples of a size: large samples are drawn less often.
fn runs(n: usize, pairs: u64) -> u64 {
    match n {
        0..=2_000 => pairs,
        2_001..=10_000 => pairs.div_ceil(4),
        _ => pairs.div_ceil(20),
    }
}

#[allow(
    dead_code,
    reason = "the tests include this file for its simulation alone"
)]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let pairs: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(200);
    let date = arguments.next().unwrap_or_else(|| "no date".into());
    let most = arguments.next().and_then(|a| a.parse().ok());
    let most = most.unwrap_or(1_000_000);
    let found = simulate(CASES, pairs, most);
    println!("# Coverage of the intervals of drift statistics\n");
    println!(
        "Made on {date} by `cargo run --profile ci -p tidegauge-core --example drift_coverage -- {pairs} {date}`.\n"
    );
    println!(
        "Share of pairs of samples (n rows a side; {pairs} pairs, {} at 10,000 rows, {} at 100,000 and {} at a million) \
         whose interval at 95 % holds the value of the populations. In brackets the shares of intervals wholly above and \
         below it. The simulation's own standard error is {:.1} points ({:.1}, {:.1} and {:.1} for the large samples). \
         Each population is a normal number seen through a lens: as it is, its exponential (lognormal), rounded to halves \
         (ties), as one of twelve categories, null above 1.6 (missing). The current one is moved by a share of its \
         standard deviation. Rows are independent, or a chain in which each row has a correlation of .9 with the one \
         before, or days of {BLOCK} rows with a correlation of .2 within a day; both with blocks of {BLOCK} rows; or they \
         are independent with sampling weights, the next whole number above a lognormal one.\n",
        runs(10_000, pairs),
        runs(100_000, pairs),
        runs(1_000_000, pairs),
        error(pairs),
        error(runs(10_000, pairs)),
        error(runs(100_000, pairs)),
        error(runs(1_000_000, pairs)),
    );
    println!(
        "The misses belong to the lower limit where nothing changed: at shift 0 an interval of a distance leaves 0 out as \
         often as a test at 5 % rejects.\n"
    );
    let mut outside: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (c, case) in CASES.iter().enumerate() {
        let sizes: Vec<usize> = (0..case.sizes().len())
            .filter(|n| found.contains_key(&(c, 0, *n)))
            .collect();
        println!("## {}\n", case.name);
        let heads: Vec<_> = sizes
            .iter()
            .map(|n| format!("n = {}", case.sizes()[*n]))
            .collect();
        println!("| statistic | shift | value | {} |", heads.join(" | "));
        println!("|{}", " --- |".repeat(3 + sizes.len()));
        let names: BTreeSet<&str> = found
            .iter()
            .filter(|(t, _)| t.0 == c)
            .flat_map(|(_, counts)| counts.iter().filter(|x| x.1.made > 0).map(|x| *x.0))
            .collect();
        for name in &names {
            for (s, shift) in SHIFTS.iter().enumerate() {
                let mut truth = None;
                let cells: Vec<_> = sizes
                    .iter()
                    .map(|n| {
                        let count = found.get(&(c, s, *n)).and_then(|f| f.get(name));
                        let Some(x) = count.filter(|x| x.made > 0) else {
                            return "-".to_owned();
                        };
                        truth = Some(x.truth / f64::from(x.made));
                        let share = |k: u32| 100.0 * f64::from(k) / f64::from(x.made);
                        let held = 100.0 * x.coverage();
                        // Beyond what the simulation itself may be off by.
                        let slack = 2.0 * error(u64::from(x.made));
                        // Nothing was missing or new in either population, however far it moved.
                        let last = found.get(&(c, SHIFTS.len() - 1, *n));
                        let vacant = last
                            .and_then(|f| f.get(name))
                            .is_some_and(|x| x.truth == 0.0);
                        if x.width > 0.0
                            && !vacant
                            && !(92.5 - slack..=97.5 + slack).contains(&held)
                        {
                            let cell = format!("{held:.1} % ({shift}, {})", case.sizes()[*n]);
                            outside.entry((name, case.name)).or_default().push(cell);
                        }
                        format!("{held:.1} % ({:.1}, {:.1})", share(x.above), share(x.below))
                    })
                    .collect();
                let truth = truth.map_or_else(|| "-".into(), |t| format!("{t:.4}"));
                println!("| {name} | {shift} | {truth} | {} |", cells.join(" | "));
            }
        }
        println!(
            "\nShare of p-values of at most 5 %: the level at shift 0, the power elsewhere.\n"
        );
        println!("| statistic | shift | {} |", heads.join(" | "));
        println!("|{}", " --- |".repeat(2 + sizes.len()));
        let names: BTreeSet<&str> = found
            .iter()
            .filter(|(t, _)| t.0 == c)
            .flat_map(|(_, counts)| counts.iter().filter(|x| x.1.tested > 0).map(|x| *x.0))
            .collect();
        for name in &names {
            for (s, shift) in SHIFTS.iter().enumerate() {
                let cells = sizes.iter().map(|n| {
                    let count = found.get(&(c, s, *n)).and_then(|f| f.get(name));
                    count.filter(|x| x.tested > 0).map_or_else(
                        || "-".to_owned(),
                        |x| format!("{:.1} %", 100.0 * x.rejection()),
                    )
                });
                let cells: Vec<_> = cells.collect();
                println!("| {name} | {shift} | {} |", cells.join(" | "));
            }
        }
        println!();
    }
    println!(
        "## Outside 92.5 to 97.5 %\n\nBy more than two standard errors of the simulation; in brackets shift and n.\n"
    );
    println!("| statistic | population | coverage |\n| --- | --- | --- |");
    for ((name, case), cells) in outside {
        println!("| {name} | {case} | {} |", cells.join(", "));
    }
}

/// Standard error, in points, of a coverage of 95 % over so many pairs.
fn error(pairs: u64) -> f64 {
    100.0 * libm::sqrt(0.95 * 0.05 / pairs as f64)
}
