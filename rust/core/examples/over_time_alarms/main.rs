//! How often does a rule raise any false alarm in a replay of many windows against one fixed reference?
//!
//! ```text
//! over_time_alarms FILE REPLAYS WINDOWS        # adds what is missing
//! over_time_alarms page FILE DATE > docs/calibration/sequential.md
//! ```
//! (`cargo run --profile ci -p tidegauge-core --example over_time_alarms -- ...`.) States of windows are
//! made from rows counted by value, as in `drift_coverage`; statistics and verdicts are the engine's own.
//! A reference is drawn once for each replay, so that its own error is part of every window. Windows
//! lie at a true Kolmogorov-Smirnov distance from the distribution the reference was drawn from: 0, or
//! the failing tolerance, the edge of the null. Rows are independent, or days whose rows have a
//! correlation of .2, with the day as block: the marginal distribution is what may drift.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegauge_core::compare::{pair_of, rfc3339};
use tidegauge_core::decide::{
    Calibration, CalibrationKey, Entry, OverTime, Policy, Tolerance, decide,
};
use tidegauge_core::kernels::key::mix;
use tidegauge_core::profile::Column;
use tidegauge_core::row::{Row, Verdict};
use tidegauge_core::special::{binomial_sf, normal_isf};
use tidegauge_core::statistics::{Context, Statistic, find};

#[allow(dead_code, reason = "shared with drift_coverage")]
#[path = "../drift_coverage/lens.rs"]
mod lens;
#[allow(dead_code, reason = "shared with drift_coverage")]
#[path = "../drift_coverage/samples.rs"]
mod samples;

use lens::{Lens, Seen, pair};
use samples::{Random, Rows, Sample, Source};

/// A replay: days of the reference and of a window, rows a day, tolerance, true distance, and windows
/// where they are fewer than asked for.
struct Case {
    name: &'static str,
    rows: Rows,
    reference_days: usize,
    window_days: usize,
    rows_a_day: usize,
    tolerance: f64,
    distance: f64,
    most: usize,
}

const DAYS: Rows = Rows::Days(0.2);
const CASES: [Case; 8] = [
    case("independent", Rows::Independent, (1, 1, 500), (0.0, 0.0)),
    case("independent", Rows::Independent, (10, 1, 500), (0.05, 0.05)),
    case("days", DAYS, (100, 1, 100), (0.0, 0.0)),
    case("days", DAYS, (280, 7, 100), (0.0, 0.0)),
    case("days", DAYS, (280, 7, 100), (0.05, 0.05)),
    short("independent", Rows::Independent, (10, 1, 500), (0.05, 0.15)),
    short("days", DAYS, (280, 7, 100), (0.05, 0.25)),
    short("days", DAYS, (280, 7, 100), (0.05, 0.35)),
];

const fn case(
    name: &'static str,
    rows: Rows,
    (reference_days, window_days, rows_a_day): (usize, usize, usize),
    (tolerance, distance): (f64, f64),
) -> Case {
    Case {
        name,
        rows,
        reference_days,
        window_days,
        rows_a_day,
        tolerance,
        distance,
        most: usize::MAX,
    }
}

/// A change that is there: what counts is how soon it is found.
const fn short(
    name: &'static str,
    rows: Rows,
    days: (usize, usize, usize),
    distances: (f64, f64),
) -> Case {
    Case {
        most: 50,
        ..case(name, rows, days, distances)
    }
}

const RULES: [&str; 4] = ["window", "online_fdr", "sequential", "calibrated"];

/// First failing window, 0 for none, and number of failing windows, by rule.
type Alarms = [(usize, usize); RULES.len()];

/// One replay.
fn replay(case: &Case, windows: usize, seed: u64) -> Alarms {
    let seen = Seen::new(Lens::Normal);
    // A normal number moved by s lies at the distance 1 - 2 P(x > s / 2).
    let shift = 2.0 * normal_isf(0.5 * (1.0 - case.distance));
    let (unmoved, moved) = (Source::new(case.rows, 0.0), Source::new(case.rows, shift));
    let mut random = Random::new(mix(seed));
    let blocked = case.rows != Rows::Independent;
    let reference = unmoved.days(&mut random, case.reference_days, case.rows_a_day);
    let column = seen.freeze(&reference, blocked, false);
    let before = seen.state(&column, false, &reference);
    let statistics = ["ks", "missing_rate"].map(|name| find(name).expect("in the registry"));
    let mut entries = Vec::new();
    for window in 0..windows {
        let current = moved.days(&mut random, case.window_days, case.rows_a_day);
        let pair = pair(&column, &before, &seen.state(&column, false, &current));
        let day = 86_400_000_000 * case.window_days as i64;
        let base = Row {
            window_start: Some(rfc3339(window as i64 * day)),
            window_end: Some(rfc3339((window as i64 + 1) * day)),
            baseline: "reference".into(),
            role: Some("feature".into()),
            feature: "x".into(),
            kind: Some("numeric".into()),
            ..Row::default()
        };
        let compute = |s: &Statistic| Entry::compute(s, &pair, &base, &Context::default());
        entries.extend(statistics.into_iter().map(compute));
    }
    let (warn, fail) = (case.tolerance, case.tolerance);
    let over_time = [
        OverTime::Window,
        OverTime::OnlineFdr,
        OverTime::Sequential,
        OverTime::Window,
    ];
    let mut alarms = Alarms::default();
    for (i, (over_time, alarm)) in over_time.into_iter().zip(&mut alarms).enumerate() {
        let calibration = (RULES[i] == "calibrated").then(|| Calibration {
            warn: 0.1,
            fail: 0.05,
            distances: left_out(&seen, &column, &reference, case),
        });
        let policy = Policy {
            tolerances: BTreeMap::from([("x".to_owned(), Tolerance { warn, fail })]),
            over_time,
            hypotheses: statistics.len(),
            calibration,
            ..Policy::default()
        };
        let mut judged: Vec<(String, bool)> = decide(entries.clone(), &policy)
            .into_iter()
            .filter(|row| row.statistic == "ks")
            .map(|row| {
                let failed = row.verdict == Some(Verdict::Fail);
                (row.window_start.unwrap_or_default(), failed)
            })
            .collect();
        judged.sort();
        let first = judged.iter().position(|w| w.1).map_or(0, |at| at + 1);
        *alarm = (first, judged.iter().filter(|w| w.1).count());
    }
    alarms
}

/// Distances of the reference's windows, each from the rows of all others.
fn left_out(
    seen: &Seen,
    column: &Column,
    reference: &Sample,
    case: &Case,
) -> BTreeMap<CalibrationKey, Vec<f64>> {
    let ks = find("ks").expect("in the registry");
    let mut column = column.clone();
    column.blocked = false;
    let days = reference.blocks.len() / case.window_days;
    let distance = |window: usize| {
        let own = window * case.window_days..(window + 1) * case.window_days;
        let part = |inside: bool| {
            let days = reference.blocks.iter().enumerate();
            let days = days.filter(|(day, _)| own.contains(day) == inside);
            let sample = Sample::of_blocks(days.map(|(_, rows)| rows.clone()).collect());
            seen.state(&column, false, &sample)
        };
        let pair = pair_of(&column, &part(false), &part(true)).expect("states of one plan");
        let outcome = ks.evaluate(&pair, &Context::default());
        outcome.map(|o| o.value).expect("rows on both sides")
    };
    let mut distances: Vec<f64> = (0..days).map(distance).collect();
    distances.sort_by(f64::total_cmp);
    BTreeMap::from([((None, "x".into(), "ks".into()), distances)])
}

/// Replays that a file holds, by case and seed.
fn read(file: &str) -> BTreeMap<(usize, u64), (usize, Alarms)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let n: Vec<u64> = line
            .split('\t')
            .map(|f| f.parse().ok())
            .collect::<Option<_>>()?;
        let [case, seed, windows, rest @ ..] = &n[..] else {
            return None;
        };
        let mut alarms = Alarms::default();
        for (alarm, pair) in alarms.iter_mut().zip(rest.chunks_exact(2)) {
            *alarm = (pair[0] as usize, pair[1] as usize);
        }
        let whole = rest.len() == 2 * RULES.len();
        whole.then_some(((*case as usize, *seed), (*windows as usize, alarms)))
    };
    text.lines().filter_map(line).collect()
}

/// Makes the replays that are missing.
fn run(file: &str, replays: u64, windows: usize) {
    let done = read(file);
    let tasks: Vec<(u64, usize)> = (0..replays)
        .flat_map(|seed| (0..CASES.len()).map(move |c| (seed, c)))
        .filter(|(seed, c)| !done.contains_key(&(*c, *seed)))
        .collect();
    let (next, out) = (AtomicUsize::new(0), Mutex::new(()));
    let work = || {
        while let Some(&(seed, c)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let windows = windows.min(CASES[c].most);
            let alarms = replay(&CASES[c], windows, seed << 8 | c as u64);
            let numbers: Vec<String> = alarms.iter().map(|a| format!("{}\t{}", a.0, a.1)).collect();
            let text = format!("{c}\t{seed}\t{windows}\t{}\n", numbers.join("\t"));
            let _held = out.lock().expect("no panic");
            let to = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(file);
            let written = to.and_then(|mut to| to.write_all(text.as_bytes()));
            written.expect("a file that can be written");
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
}

/// One-sided Clopper and Pearson (1934) limit at 99 %: where the tail of the binomial is 1 %.
fn lower_bound(alarms: usize, replays: usize) -> f64 {
    let (k, n) = (alarms as u64, replays as u64);
    if k == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let p = 0.5 * (low + high);
        if binomial_sf(k, n, p) < 0.01 {
            low = p;
        } else {
            high = p;
        }
    }
    low
}

/// Replays by case.
fn page(file: &str, date: &str) -> String {
    let mut by: BTreeMap<usize, Vec<(usize, Alarms)>> = BTreeMap::new();
    for ((case, _), found) in read(file) {
        by.entry(case).or_default().push(found);
    }
    let mut text = format!(
        "# Any alarm in a replay of many windows\n\n\
         Made on {date} by `over_time_alarms` (`rust/core/examples/over_time_alarms`): one reference for a whole \
         replay, alpha 5 %, verdicts of `ks`. Days have 100 rows with a correlation of .2 and are the blocks; \
         independent windows have 500 rows. Each cell: share of replays with any failing row (99 % lower \
         confidence bound, Clopper and Pearson), median window of the first; share of windows that fail. Of \
         `window` and `calibrated` the level is that of each window, so that a thousand of them raise some alarm; \
         `calibrated` takes the windows of the reference, at 5 % a window, and knows no tolerance. The level of \
         `online_fdr` is that of false findings among all, of `sequential` that of any alarm, ever. \
         `sequential_by_hand.md` has the same through Python, and evidence that leaves the reference's error \
         out.\n\n\
         | rows | days of reference, window | tolerance | true distance | windows | replays | {} |\n|{}\n",
        RULES.join(" | "),
        " --- |".repeat(6 + RULES.len())
    );
    for (c, found) in by {
        let case = &CASES[c];
        let windows = found.first().map_or(0, |f| f.0);
        let cells: Vec<String> = (0..RULES.len())
            .map(|rule| {
                // Windows of the reference are its days.
                if RULES[rule] == "calibrated" && case.rows == Rows::Independent {
                    return "-".into();
                }
                let mut first: Vec<usize> = found.iter().map(|f| f.1[rule].0).collect();
                first.retain(|at| *at > 0);
                first.sort_unstable();
                let failing: usize = found.iter().map(|f| f.1[rule].1).sum();
                let share = 100.0 * failing as f64 / (windows * found.len()) as f64;
                let median = first
                    .get(first.len() / 2)
                    .map_or_else(String::new, |at| format!(", {at}"));
                format!(
                    "{:.1} % ({:.1} %){median}; {share:.2} %",
                    100.0 * first.len() as f64 / found.len() as f64,
                    100.0 * lower_bound(first.len(), found.len()),
                )
            })
            .collect();
        text += &format!(
            "| {} | {}, {} | {} | {} | {windows} | {} | {} |\n",
            case.name,
            case.reference_days,
            case.window_days,
            case.tolerance,
            case.distance,
            found.len(),
            cells.join(" | ")
        );
    }
    text
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match given[..] {
        ["page", file, date] => print!("{}", page(file, date)),
        [file, replays, windows] => run(
            file,
            replays.parse().expect("a number of replays"),
            windows.parse().expect("a number of windows"),
        ),
        _ => eprintln!("over_time_alarms FILE REPLAYS WINDOWS | page FILE DATE"),
    }
}
