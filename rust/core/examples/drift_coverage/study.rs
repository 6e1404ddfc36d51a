//! Pairs of samples, and how often the intervals between them hold what they are meant to.

use std::collections::BTreeMap;
use std::ops::Range;

use tidegauge_core::kernels::key::mix;
use tidegauge_core::pair::Pair;
use tidegauge_core::statistics::{Context, Statistic, registry};

use crate::lens::{Below, Lens, Seen, pair};
use crate::samples::{Random, Rows, Sample, Source};

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

/// The populations; those of the same rows follow each other, and are one draw seen through lenses.
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

impl Case {
    /// Numbers of rows of each side that are drawn: blocks need two thousand.
    #[allow(dead_code, reason = "for the study")]
    pub fn sizes(&self) -> &'static [usize] {
        match self.rows {
            Rows::Independent | Rows::Weighted => &[50, 200, 1_000, 10_000, 100_000, 1_000_000],
            _ => &[2_000, 10_000, 100_000, 1_000_000],
        }
    }
}

/// Shifts of the current population, in standard deviations.
#[allow(dead_code, reason = "for the study")]
pub const SHIFTS: [f64; 4] = [0.0, 0.02, 0.1, 0.5];

/// Whether a statistic is simulated: not those without an interval or p-value, those of values that are
/// never drawn (NaN, infinities; a missing row is null here), and those that are another one divided by
/// a number of the reference.
pub fn simulated(statistic: &Statistic) -> bool {
    !matches!(
        statistic.name,
        "volume"
            | "distinct_count"
            | "duplicate_keys"
            | "constant"
            | "nan_rate"
            | "infinite_rate"
            | "null_rate"
            | "wasserstein_scaled"
            | "energy_scaled"
    )
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
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Count {
    /// Pairs of samples that gave an interval.
    pub made: u32,
    /// Intervals below the value of the populations.
    pub below: u32,
    /// Intervals above it.
    pub above: u32,
    /// Intervals that are one point, which is the value of the populations.
    pub points: u32,
    /// Pairs of samples that gave a p-value.
    pub tested: u32,
    /// p-values of at most 5 %.
    pub rejected: u32,
    /// Sum of the widths.
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
    /// Adds other pairs of samples.
    #[allow(dead_code, reason = "for the study")]
    pub fn merge(&mut self, other: &Self) {
        self.made += other.made;
        self.below += other.below;
        self.above += other.above;
        self.points += other.points;
        self.tested += other.tested;
        self.rejected += other.rejected;
        self.width += other.width;
        self.truth += other.truth;
    }
}

fn value(statistic: &Statistic, pair: &Pair) -> Option<f64> {
    let outcome = statistic.evaluate(pair, &Context::default());
    outcome.ok().map(|o| o.value).filter(|v| v.is_finite())
}

/// Counts by lens, shift and statistic.
pub type Counts = BTreeMap<(usize, usize, &'static str), Count>;

/// Samples of one kind of rows, seen through several lenses and moved by several shifts.
pub struct Study {
    rows: Rows,
    shifts: Vec<f64>,
    sources: Vec<Source>,
    populations: Vec<Below>,
    seen: Vec<Seen>,
    /// Values of the populations by lens and shift.
    fixed: Vec<Vec<BTreeMap<&'static str, f64>>>,
}

impl Study {
    /// Finds the values of the populations.
    pub fn new(rows: Rows, lenses: &[Lens], shifts: &[f64]) -> Self {
        let seen: Vec<Seen> = lenses.iter().map(|lens| Seen::new(*lens)).collect();
        let samples = |shift: &f64| Sample::population(*shift);
        let (p, moved) = (
            Sample::population(0.0),
            shifts.iter().map(samples).collect::<Vec<_>>(),
        );
        let fixed = |seen: &Seen| {
            let column = seen.freeze(&p, false, false);
            let x = seen.state(&column, true, &p);
            let of_shift = |q: &Sample| {
                let both = pair(&column, &x, &seen.state(&column, true, q));
                let asked = registry().iter();
                asked
                    .filter(|s| simulated(s) && target(s, seen.lens) == Target::Both)
                    .filter_map(|s| Some((s.name, value(s, &both)?)))
                    .collect()
            };
            moved.iter().map(of_shift).collect()
        };
        Study {
            rows,
            shifts: shifts.to_vec(),
            sources: shifts.iter().map(|s| Source::new(rows, *s)).collect(),
            populations: std::iter::once(&p).chain(&moved).map(Below::new).collect(),
            fixed: seen.iter().map(fixed).collect(),
            seen,
        }
    }

    /// Draws pairs of samples of `n` rows each and counts intervals and rejections. The reference of a
    /// seed is the same for every shift and lens.
    pub fn run(
        &self,
        n: usize,
        seeds: Range<u64>,
        blocked: bool,
        wanted: impl Fn(&Statistic) -> bool,
    ) -> Counts {
        let statistics: Vec<_> = registry()
            .iter()
            .filter(|s| simulated(s) && wanted(s))
            .collect();
        let unmoved = Source::new(self.rows, 0.0);
        let weighed = self.rows == Rows::Weighted;
        let mut counts = Counts::new();
        for seed in seeds {
            let stream = |side: u64| Random::new(mix(seed << 24 | n as u64) ^ side);
            let a = unmoved.draw(&mut stream(0), n);
            let moved: Vec<Sample> = (self.sources.iter().zip(&self.shifts))
                .map(|(source, shift)| source.draw(&mut stream(1 + shift.to_bits()), n))
                .collect();
            for (l, seen) in self.seen.iter().enumerate() {
                let column = seen.freeze(&a, blocked, weighed);
                let reference = seen.state(&column, false, &a);
                for (s, b) in moved.iter().enumerate() {
                    let current = seen.state(&column, false, b);
                    let drawn = pair(&column, &reference, &current);
                    let cells = seen.cells(&column, &self.populations[0], &self.populations[1 + s]);
                    let outside = seen.outside(&a, &self.populations[1 + s]);
                    let fixed = &self.fixed[l][s];
                    let truth = |statistic: &Statistic| match target(statistic, seen.lens) {
                        Target::Both => fixed.get(statistic.name).copied(),
                        Target::Cells => cells.as_ref().and_then(|cells| value(statistic, cells)),
                        Target::Given => Some(outside),
                    };
                    let accepted = statistics.iter().filter(|x| x.kinds.accepts(&drawn));
                    for statistic in accepted {
                        let Ok(outcome) = statistic.evaluate(&drawn, &Context::default()) else {
                            continue;
                        };
                        let count = counts.entry((l, s, statistic.name)).or_default();
                        if let Some(pvalue) = outcome.pvalue {
                            count.tested += 1;
                            count.rejected += u32::from(pvalue <= 0.05);
                        }
                        let Some((low, high)) = outcome.ci else {
                            continue;
                        };
                        let Some(truth) = truth(statistic) else {
                            continue;
                        };
                        // The value of the populations is itself rounded.
                        let slack = 1e-9 * truth.abs() + 1e-12;
                        count.made += 1;
                        count.above += u32::from(low > truth + slack);
                        count.below += u32::from(high < truth - slack);
                        count.points += u32::from(high - low <= slack);
                        count.width += high - low;
                        count.truth += truth;
                    }
                }
            }
        }
        counts
    }
}

/// Draws pairs of samples of `n` rows each and counts intervals and rejections by statistic.
#[allow(dead_code, reason = "for the tests")]
pub fn cover(case: &Case, n: usize, shift: f64, pairs: u64) -> BTreeMap<&'static str, Count> {
    let blocked = matches!(case.rows, Rows::Chain(_) | Rows::Days(_));
    one(case, n, shift, pairs, blocked)
}

/// The same with dependent rows taken as independent.
#[allow(dead_code, reason = "for the tests")]
pub fn cover_unblocked(
    case: &Case,
    n: usize,
    shift: f64,
    pairs: u64,
) -> BTreeMap<&'static str, Count> {
    one(case, n, shift, pairs, false)
}

fn one(
    case: &Case,
    n: usize,
    shift: f64,
    pairs: u64,
    blocked: bool,
) -> BTreeMap<&'static str, Count> {
    let study = Study::new(case.rows, &[case.lens], &[shift]);
    let counts = study.run(n, 0..pairs, blocked, |_| true);
    counts
        .into_iter()
        .map(|((_, _, name), c)| (name, c))
        .collect()
}
