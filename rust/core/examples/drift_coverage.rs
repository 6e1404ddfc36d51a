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

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegauge_core::column::{ColumnPlan, ColumnState, Frozen, Kind, refine};
use tidegauge_core::compare::blocked_pair_of;
use tidegauge_core::kernels::key::mix;
use tidegauge_core::pair::Pair;
use tidegauge_core::profile::{Column, Profile};
use tidegauge_core::special::{normal_isf, normal_sf};
use tidegauge_core::states::grid::Domain;
use tidegauge_core::states::refine::{Step, grid_of, start};
use tidegauge_core::statistics::{Context, Statistic, registry};
use tidegauge_core::value::{Bytes, Logical, Slice};

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
    case("chain", Rows::Chain(0.9), Lens::Normal),
    case("days", Rows::Days(0.2), Lens::Normal),
    case("days, ties", Rows::Days(0.2), Lens::Halves),
    case("days, categories", Rows::Days(0.2), Lens::Categories),
    case("days, missing", Rows::Days(0.2), Lens::Missing),
];

const fn case(name: &'static str, rows: Rows, lens: Lens) -> Case {
    Case { name, rows, lens }
}

/// Rows that belong together: stretches and how many rows lie in each.
type Part = Vec<(usize, u64)>;

impl Case {
    /// Numbers of rows of each side that are drawn.
    pub fn sizes(&self) -> &'static [usize] {
        match self.rows {
            Rows::Independent => &[50, 200, 1_000, 10_000, 100_000, 1_000_000],
            _ => &[2_000, 10_000, 100_000],
        }
    }

    /// One sample: all rows together, or block by block.
    fn draw(&self, random: &mut Random, n: usize, guide: &Guide) -> Vec<Part> {
        let blocks = |random: &mut Random, mut next: Box<dyn FnMut(&mut Random, usize) -> f64>| {
            let part = |at: usize| {
                let mut places: Vec<usize> = (0..BLOCK)
                    .map(|i| guide.place(next(random, at * BLOCK + i)))
                    .collect();
                places.sort_unstable();
                let runs = places.chunk_by(|a, b| a == b);
                runs.map(|run| (run[0], run.len() as u64)).collect()
            };
            (0..n / BLOCK).map(part).collect()
        };
        match self.rows {
            Rows::Independent => {
                let mut counts = vec![0; STRETCHES];
                (0..n).for_each(|_| counts[guide.draw(random)] += 1);
                vec![part(&counts)]
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
                    if i % BLOCK == 0 {
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
fn part(counts: &[u64]) -> Part {
    let held = counts.iter().copied().enumerate();
    held.filter(|(_, n)| *n > 0).collect()
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
        }
    }

    /// Gives the values of a part and how often each occurs to `count`, after the nulls to `nulls`.
    fn show(&self, part: &Part, mut count: impl FnMut(Slice<'_>, &[u64], u64)) {
        let end = part.partition_point(|(j, _)| *j < self.nulls);
        let (held, gone) = part.split_at(end);
        let counts: Vec<u64> = held.iter().map(|(_, n)| *n).collect();
        let nulls = gone.iter().map(|(_, n)| n).sum();
        if self.lens == Lens::Categories {
            let data: Vec<u8> = held.iter().map(|(j, _)| self.categories[*j]).collect();
            let offsets: Vec<u32> = (0..=data.len() as u32).collect();
            let (offsets, data) = (&offsets, &data);
            count(Slice::Bytes(Bytes { offsets, data }), &counts, nulls);
        } else {
            let floats: Vec<f64> = held.iter().map(|(j, _)| self.floats[*j]).collect();
            count(Slice::F64(&floats), &counts, nulls);
        }
    }

    fn count(&self, state: &mut ColumnState, plan: &ColumnPlan, part: &Part) {
        self.show(part, |values, counts, nulls| {
            state.update_nulls(nulls).expect("few rows");
            state
                .update_counted(plan, values, counts)
                .expect("values of the plan's type");
        });
    }

    /// The column of a reference.
    fn freeze(&self, sample: &[Part], blocked: bool) -> Column {
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
                            self.show(part, |values, counts, _| {
                                refine(&mut r, &plan, values, Some(counts)).expect("floats");
                            });
                        }
                        step = r.next();
                    }
                }
            };
            let mean = state.mean_variance(Logical::Float).0;
            let mean = if mean.is_finite() { mean } else { 0.0 };
            grid = Some(grid_of(&segments, Domain::F64, mean, 0));
        }
        let mut column = Profile::frozen_column("x", plan.logical, plan.kind, grid, dictionary);
        column.blocked = blocked;
        column
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
}

fn target(statistic: &Statistic, lens: Lens) -> Target {
    match statistic.name {
        "range_violation" | "new_category_mass" => Target::Given,
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

/// The two samples on their common partition.
fn pair(column: &Column, reference: &ColumnState, current: &ColumnState) -> Pair {
    let label: Option<Arc<str>> = column.blocked.then(|| "block:1d".into());
    blocked_pair_of(column, label.as_ref(), reference, current).expect("one column")
}

/// Draws pairs of samples of `n` rows each and counts intervals and rejections by statistic.
pub fn cover(case: &Case, n: usize, shift: f64, pairs: u64) -> BTreeMap<&'static str, Count> {
    let seen = Seen::new(case.lens);
    let whole = |shift: f64| {
        let rows = |p: &f64| libm::rint(p * POPULATION) as u64;
        vec![part(&shares(shift).iter().map(rows).collect::<Vec<_>>())]
    };
    let (p, q) = (whole(0.0), whole(shift));
    let statistics: Vec<_> = registry()
        .iter()
        .filter(|s| !matches!(s.name, "volume" | "distinct_count"))
        .collect();
    let column = seen.freeze(&p, false);
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
        let mut column = seen.freeze(&a, case.rows != Rows::Independent);
        let [a, b] = [&a, &b].map(|sample| seen.state(&column, false, sample));
        let drawn = pair(&column, &a, &b);
        column.blocked = false;
        let [p, q] = [&p, &q].map(|sample| seen.state(&column, false, sample));
        let (cells, given) = (pair(&column, &p, &q), pair(&column, &a, &q));
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
                Target::Cells => value(s, &cells),
                Target::Given => value(s, &given),
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

fn main() {
    let mut arguments = std::env::args().skip(1);
    let pairs: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(200);
    let only = arguments.next().unwrap_or_default();
    let most: usize = arguments
        .next()
        .and_then(|a| a.parse().ok())
        .unwrap_or(10_000);
    for case in CASES.iter().filter(|c| only.is_empty() || c.name == only) {
        for shift in [0.0, 0.02, 0.1, 0.5] {
            for &n in case.sizes().iter().filter(|n| **n <= most) {
                for (name, c) in cover(case, n, shift, pairs) {
                    if c.made > 0 || c.tested > 0 {
                        println!(
                            "{} shift {shift} n {n} {name}: cover {:.3} above {:.3} below {:.3} width {:.4} truth {:.4} reject {:.3}",
                            case.name,
                            c.coverage(),
                            f64::from(c.above) / f64::from(c.made),
                            f64::from(c.below) / f64::from(c.made),
                            c.width / f64::from(c.made),
                            c.truth / f64::from(c.made),
                            c.rejection()
                        );
                    }
                }
            }
        }
    }
}
