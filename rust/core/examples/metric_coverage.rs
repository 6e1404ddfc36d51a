//! How often the intervals of metrics hold the value of the population.
//!
//! ```text
//! cargo run --profile ci -p tidegauge-core --example metric_coverage -- 2000 2026-11-23 > docs/calibration/metrics.md
//! ```
//! takes the number of samples and the date to print. The tests run a few hundred samples of the
//! same code.

use std::collections::BTreeMap;

use tidegauge_core::kernels::key::mix;
use tidegauge_core::metrics::{
    Answer, Average, Batch, Context, Fairness, Label, Plan, Prediction, State, Task, Weighting,
    evaluate_blocks, find, one_vs_rest, rows,
};

/// Rows of the sample that stands for the population.
const POPULATION: usize = 2_000_000;
/// Weights of the weighted case stay below `2^6`.
const WEIGHTS: Weighting = Weighting::Sampling { exponent: 6 };

/// SplitMix64 with the few distributions needed.
pub struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(mix(seed))
    }
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((mix(self.0) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        radius * libm::cos(core::f64::consts::TAU * self.uniform())
    }
    /// Gamma distribution with shape 2.
    fn gamma(&mut self, scale: f64) -> f64 {
        -scale * libm::log(self.uniform() * self.uniform())
    }
}

/// Rows of one sample.
#[derive(Default)]
pub struct Sample {
    class: Vec<u32>,
    value: Vec<f64>,
    score: Vec<f64>,
    probability: [Vec<f64>; 3],
    group: Vec<u32>,
    weight: Vec<f64>,
    /// Rows of a block, where rows come in blocks one after another.
    block_rows: usize,
}

/// A population, and the design effect of its samples.
pub struct Case {
    /// Name of the population.
    pub name: &'static str,
    task: Task,
    design_effect: f64,
    draw: fn(&mut Random, usize) -> Sample,
}

impl Case {
    /// The same population, with another design effect taken.
    #[allow(dead_code, reason = "for the tests that include this file")]
    pub fn with_design_effect(&self, design_effect: f64) -> Self {
        Case {
            name: self.name,
            task: self.task,
            design_effect,
            draw: self.draw,
        }
    }
}

fn binary(random: &mut Random, n: usize, rate: f64) -> Sample {
    let mut sample = Sample::default();
    for _ in 0..n {
        let y = u32::from(random.uniform() < rate);
        let x = 1.4 * f64::from(y) + random.normal();
        // The posterior logit, shrunk and shifted: calibration is off.
        let logit = 0.7 * (1.4 * x - 0.98 + libm::log(rate / (1.0 - rate))) + 0.3;
        let group = u32::from(random.uniform() < 0.3);
        let factor = if group == 1 { 0.85 } else { 1.0 };
        sample.class.push(y);
        sample.score.push(factor / (1.0 + libm::exp(-logit)));
        sample.group.push(group);
    }
    sample
}

fn weighted(random: &mut Random, n: usize) -> Sample {
    let mut sample = binary(random, n, 0.3);
    let weight = |f: &f64| (random.gamma(1.0) * (0.5 + f)).min(64.0);
    sample.weight = sample.score.iter().map(weight).collect();
    sample
}

fn repeated(random: &mut Random, n: usize) -> Sample {
    let once = binary(random, n / 4, 0.4);
    let mut sample = Sample::default();
    for i in 0..once.class.len() {
        for _ in 0..4 {
            sample.class.push(once.class[i]);
            sample.score.push(once.score[i]);
            sample.group.push(once.group[i]);
        }
    }
    sample
}

/// Forty blocks; each has a rate and a shift of the scores of its own.
fn blocks(random: &mut Random, n: usize) -> Sample {
    let mut sample = Sample {
        block_rows: if n < POPULATION / 10 { n / 40 } else { 100 },
        ..Sample::default()
    };
    let (mut rate, mut shift) = (0.0, 0.0);
    for i in 0..n {
        if i % sample.block_rows == 0 {
            rate = 1.0 / (1.0 + libm::exp(0.4 - 0.5 * random.normal()));
            shift = 0.5 * random.normal();
        }
        let y = u32::from(random.uniform() < rate);
        let logit = 1.4 * f64::from(y) - 1.1 + shift + random.normal();
        sample.class.push(y);
        sample.score.push(1.0 / (1.0 + libm::exp(-logit)));
    }
    sample
}

fn several(random: &mut Random, n: usize) -> Sample {
    let mut sample = Sample::default();
    for _ in 0..n {
        let u = random.uniform();
        let y = u32::from(u > 0.6) + u32::from(u > 0.9);
        let mut p = [0.0; 3];
        for (class, p) in (0_u32..).zip(&mut p) {
            let signal = if class == y { 1.2 } else { 0.0 };
            *p = libm::exp(signal + random.normal());
        }
        let total: f64 = p.iter().sum();
        sample.class.push(y);
        for (column, p) in sample.probability.iter_mut().zip(p) {
            column.push(p / total);
        }
    }
    sample
}

fn normal(random: &mut Random, n: usize) -> Sample {
    let mut sample = Sample::default();
    for _ in 0..n {
        let f = 5.0 + random.normal();
        sample.score.push(f);
        sample.value.push(f + 0.1 + 0.5 * random.normal());
    }
    sample
}

fn amounts(random: &mut Random, n: usize) -> Sample {
    let mut sample = Sample::default();
    for _ in 0..n {
        let y = random.gamma(3.0);
        sample.value.push(y);
        sample
            .score
            .push(0.9 * y * libm::exp(0.3 * random.normal()));
    }
    sample
}

const BINARY: Task = Task::Binary { threshold: 0.4 };
const NUMBERS: Task = Task::Regression {
    level: 0.9,
    center: 5.0,
};

/// The populations.
pub const CASES: &[Case] = &[
    Case {
        name: "binary labels, 40 % positive",
        task: BINARY,
        design_effect: 1.0,
        draw: |random, n| binary(random, n, 0.4),
    },
    Case {
        name: "binary labels, 8 % positive",
        task: BINARY,
        design_effect: 1.0,
        draw: |random, n| binary(random, n, 0.08),
    },
    Case {
        name: "binary labels, gamma weights that go with the score",
        task: BINARY,
        design_effect: 1.0,
        draw: weighted,
    },
    Case {
        name: "binary labels, each row four times, design effect 4",
        task: BINARY,
        design_effect: 4.0,
        draw: repeated,
    },
    Case {
        name: "binary labels in 40 blocks with effects of their own, block variance",
        task: BINARY,
        design_effect: 1.0,
        draw: blocks,
    },
    Case {
        name: "three classes of 60, 30 and 10 %",
        task: Task::Multiclass { classes: 3 },
        design_effect: 1.0,
        draw: several,
    },
    Case {
        name: "numbers, normal errors",
        task: NUMBERS,
        design_effect: 1.0,
        draw: normal,
    },
    Case {
        name: "gamma amounts, lognormal errors",
        task: NUMBERS,
        design_effect: 1.0,
        draw: amounts,
    },
];

/// The metrics of the case with blocks.
const OF_BLOCKS: [&str; 8] = [
    "accuracy",
    "average_precision",
    "brier",
    "f1",
    "gains",
    "log_loss",
    "mcc",
    "roc_auc",
];

/// Every number of a sample of the case with blocks, whose variance is that of the blocks.
fn blocked(case: &Case, sample: &Sample) -> BTreeMap<String, Answer> {
    let plan = Plan::full(case.task, Weighting::None, u32::MAX);
    let state = |from: usize, to: usize| {
        let mut state = State::empty(plan.clone()).expect("a plan of its task");
        let batch = Batch {
            label: Label::Class(&sample.class[from..to]),
            prediction: Prediction::Score(&sample.score[from..to]),
            weight: None,
        };
        state.update(&batch).expect("rows of the plan");
        state.finish().expect("counts in range");
        state
    };
    let n = sample.class.len();
    let parts: Vec<State> = (0..n)
        .step_by(sample.block_rows)
        .map(|from| state(from, n.min(from + sample.block_rows)))
        .collect();
    let whole = state(0, n);
    let context = Context::default();
    let mut found = BTreeMap::new();
    let metrics = OF_BLOCKS.map(|name| find(name).expect("a metric of the registry"));
    let all = evaluate_blocks(&metrics, &whole, &parts, &context).unwrap_or_default();
    for (name, answers) in OF_BLOCKS.iter().zip(all) {
        if let Some(one) = answers.ok().and_then(|mut a| a.pop()) {
            found.insert((*name).to_owned(), one.answer);
        }
    }
    found
}

/// Every number of a sample, by name.
fn answers(case: &Case, sample: &Sample) -> BTreeMap<String, Answer> {
    if sample.block_rows > 0 && sample.class.len() < POPULATION / 10 {
        return blocked(case, sample);
    }
    let is_weighted = !sample.weight.is_empty();
    let weighting = if is_weighted {
        WEIGHTS
    } else {
        Weighting::None
    };
    let weight = is_weighted.then_some(sample.weight.as_slice());
    let mut plan = Plan::full(case.task, weighting, u32::MAX);
    if case.task == NUMBERS {
        plan.bands = Some(Vec::new());
    }
    let probabilities = sample.probability.each_ref().map(Vec::as_slice);
    let several = matches!(case.task, Task::Multiclass { .. });
    let mut state = State::empty(plan).expect("a plan of its task");
    let batch = Batch {
        label: match case.task {
            Task::Regression { .. } => Label::Value(&sample.value),
            _ => Label::Class(&sample.class),
        },
        prediction: if several {
            Prediction::Probabilities(&probabilities)
        } else {
            Prediction::Score(&sample.score)
        },
        weight,
    };
    state.update(&batch).expect("rows of the plan");
    let mut context = Context {
        design_effect: case.design_effect,
        costs: if several {
            Vec::new()
        } else {
            vec![0.0, 1.0, 5.0, 0.0]
        },
        ..Context::default()
    };
    let mut found = BTreeMap::new();
    for row in rows(&state, &context) {
        let counts = row.metric == "confusion_matrix";
        if !counts && row.answer.part.as_deref().is_none_or(|p| p == "all") {
            found.insert(row.metric.to_owned(), row.answer);
        }
    }
    if several {
        for average in [Average::Macro, Average::Weighted] {
            context.average = average;
            let area = one_vs_rest(&sample.class, &probabilities, weight, weighting, &context);
            if let Ok(answer) = area {
                found.insert(format!("roc_auc {}", average.as_str()), answer);
            }
        }
    }
    if !sample.group.is_empty() {
        let mut groups = Fairness::empty(2, weighting).expect("two groups");
        let chosen: Vec<u32> = sample.score.iter().map(|s| u32::from(*s >= 0.4)).collect();
        groups
            .update(&sample.group, &sample.class, &chosen, weight)
            .expect("codes of two groups");
        if let Ok(mut of_groups) = groups.evaluate(0, &context)
            && let Some(group) = of_groups.pop()
        {
            found.insert("group: selection_rate".into(), group.selection_rate);
            found.insert(
                "group: adverse_impact_ratio".into(),
                group.adverse_impact_ratio,
            );
            found.insert("group: true_positive_rate".into(), group.true_positive_rate);
            let difference = group.equal_opportunity_difference;
            found.insert("group: equal_opportunity_difference".into(), difference);
        }
    }
    found
}

/// What became of the intervals of one metric.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// Samples that gave an interval.
    pub made: u32,
    /// Intervals below the value of the population.
    pub below: u32,
    /// Intervals above it.
    pub above: u32,
}

impl Count {
    /// Share of the intervals that hold the value.
    pub fn coverage(self) -> f64 {
        f64::from(self.made - self.below - self.above) / f64::from(self.made)
    }
}

/// Values of the population.
pub fn truth(case: &Case, rows: usize) -> BTreeMap<String, f64> {
    let sample = (case.draw)(&mut Random::new(1), rows);
    let value = |a: &Answer| a.outcome.as_ref().map(|o| o.value).ok();
    let found = answers(case, &sample);
    let mut values: BTreeMap<String, f64> = found
        .iter()
        .filter_map(|(k, a)| Some((k.clone(), value(a)?)))
        .collect();
    if sample.block_rows > 0 {
        values.retain(|name, _| OF_BLOCKS.contains(&name.as_str()));
    }
    values
}

/// Draws samples of `n` rows and counts intervals by metric.
pub fn cover(
    case: &Case,
    truth: &BTreeMap<String, f64>,
    n: usize,
    samples: u64,
) -> BTreeMap<String, Count> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for seed in 0..samples {
        let sample = (case.draw)(&mut Random::new((seed + 2) << 20 | n as u64), n);
        let found = answers(case, &sample);
        for (name, value) in truth {
            let count = counts.entry(name.clone()).or_default();
            let outcome = found.get(name).and_then(|a| a.outcome.as_ref().ok());
            if let Some((low, high)) = outcome.and_then(|o| o.ci) {
                count.made += 1;
                count.above += u32::from(low > *value);
                count.below += u32::from(high < *value);
            }
        }
    }
    counts
}

#[allow(
    dead_code,
    reason = "the tests include this file for its simulation alone"
)]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let samples: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(200);
    let date = arguments.next().unwrap_or_else(|| "no date".into());
    let only = arguments.next().unwrap_or_default();
    let sizes = [200, 1000, 4000];
    let error = 100.0 * libm::sqrt(0.95 * 0.05 / samples as f64);
    println!("# Coverage of the intervals of metrics\n");
    println!(
        "Made on {date} by `cargo run --profile ci -p tidegauge-core --example metric_coverage -- {samples} {date}`.\n"
    );
    println!(
        "Share of {samples} samples of n rows whose interval at 95 % holds the value of the population, which is that \
         of one sample of {POPULATION} rows. In brackets the shares of intervals that lie wholly above and below \
         it, and the number of samples without an interval. The simulation's own standard error is {error:.1} points.\n"
    );
    println!(
        "Wider by design are `score_ks` (inequalities of Massart and McDiarmid hold for every distribution) and \
         `calibration_error` (the lower limit gives up the largest bias of binning). Squared errors of heavy-tailed \
         amounts need more rows than a few hundred: their samples seldom hold the errors that make the mean.\n"
    );
    let mut outside = Vec::new();
    for case in CASES.iter().filter(|c| c.name.contains(&only)) {
        let truth = truth(case, POPULATION);
        let found = sizes.map(|n| cover(case, &truth, n, samples));
        println!("## {}\n", case.name);
        println!("| metric | population | n = 200 | n = 1000 | n = 4000 |");
        println!("| --- | --- | --- | --- | --- |");
        for (name, value) in &truth {
            let cells = found.each_ref().map(|counts| {
                let c = counts[name];
                if c.made == 0 {
                    return "-".to_owned();
                }
                let share = |k: u32| 100.0 * f64::from(k) / f64::from(c.made);
                let without = samples - u64::from(c.made);
                let without = match without {
                    0 => String::new(),
                    n => format!("; {n} without"),
                };
                format!(
                    "{:.1} % ({:.1}, {:.1}{without})",
                    100.0 * c.coverage(),
                    share(c.above),
                    share(c.below),
                )
            });
            println!("| {name} | {value:.4} | {} |", cells.join(" | "));
            for (n, counts) in sizes.iter().zip(&found) {
                let share = 100.0 * counts[name].coverage();
                if !(92.5..=97.5).contains(&share) {
                    outside.push(format!("| {} | {name} | {n} | {share:.1} % |", case.name));
                }
            }
        }
        println!();
    }
    println!(
        "## Outside 92.5 to 97.5 %\n\n| population | metric | n | coverage |\n| --- | --- | --- | --- |"
    );
    for line in outside {
        println!("{line}");
    }
}
