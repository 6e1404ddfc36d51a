//! Parts of the simulation in a file, so that it can be stopped, resumed, and renewed where a definition
//! has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use tidegauge_core::statistics::{find, registry};

use crate::lens::Lens;
use crate::samples::Rows;
use crate::study::{self, CASES, Case, Count, SHIFTS, Study};

/// Cell of the simulation: case, shift and size by position, and statistic.
pub type Cell = (usize, usize, usize, &'static str);

/// Pairs of samples of a part.
const PART: u64 = 250;

/// One part: pairs of samples of one size of the cases of the same rows.
struct Part {
    /// Position of the first case.
    first: usize,
    cases: &'static [Case],
    /// Position of the size, and the size.
    size: usize,
    n: usize,
    number: u64,
}

/// All parts of so many pairs, the first thousand of every size before the next; last those of a hundred
/// thousand rows and more that are drawn one by one.
fn parts(pairs: u64) -> Vec<Part> {
    let (mut parts, mut first) = (Vec::new(), 0);
    for cases in CASES.chunk_by(|a, b| a.rows == b.rows) {
        for (size, n) in cases[0].sizes().iter().enumerate() {
            parts.extend((0..pairs.div_ceil(PART)).map(|number| Part {
                first,
                cases,
                size,
                n: *n,
                number,
            }));
        }
        first += cases.len();
    }
    parts.sort_by_key(|p| {
        let one_by_one = p.cases[0].rows != Rows::Independent && p.n >= 100_000;
        (one_by_one, p.number * PART / 1_000, p.n, p.number, p.first)
    });
    parts
}

/// A line of the file: what was asked of a part, or what one cell gave.
enum Line {
    Asked(usize, usize, u64, &'static str),
    Found(Cell, Count),
}

/// None where the line is of another definition or incomplete.
fn line(text: &str) -> Option<Line> {
    let fields: Vec<&str> = text.split('\t').collect();
    let (head, counts) = fields.split_at_checked(6)?;
    let [case, shift, n, part, name, definition] = head else {
        return None;
    };
    let statistic = find(name).filter(|s| s.definition == *definition)?;
    let case = CASES.iter().position(|c| c.name == *case)?;
    let n: usize = n.parse().ok()?;
    let size = CASES[case].sizes().iter().position(|x| *x == n)?;
    let part = part.parse().ok()?;
    if *shift == "asked" {
        return Some(Line::Asked(case, size, part, statistic.name));
    }
    let shift: f64 = shift.parse().ok()?;
    let shift = SHIFTS.iter().position(|s| *s == shift)?;
    let [made, below, above, points, tested, rejected, width, truth] = counts else {
        return None;
    };
    let count = Count {
        made: made.parse().ok()?,
        below: below.parse().ok()?,
        above: above.parse().ok()?,
        points: points.parse().ok()?,
        tested: tested.parse().ok()?,
        rejected: rejected.parse().ok()?,
        width: width.parse().ok()?,
        truth: truth.parse().ok()?,
    };
    Some(Line::Found((case, shift, size, statistic.name), count))
}

fn lines(file: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(line).collect()
}

/// What the file holds, by cell.
pub fn read(file: &str) -> BTreeMap<Cell, Count> {
    let mut found: BTreeMap<Cell, Count> = BTreeMap::new();
    for line in lines(file) {
        if let Line::Found(cell, count) = line {
            found.entry(cell).or_default().merge(&count);
        }
    }
    found
}

/// Adds what is missing of so many pairs, of all statistics or of some.
pub fn run(file: &str, pairs: u64, names: Option<&[&str]>) {
    let mut done = BTreeSet::new();
    for line in lines(file) {
        if let Line::Asked(case, size, part, name) = line {
            done.insert((case, size, part, name));
        }
    }
    let missing = |part: &Part, name: &'static str| {
        names.is_none_or(|n| n.contains(&name))
            && !done.contains(&(part.first, part.size, part.number, name))
    };
    let parts = parts(pairs);
    // Values of the populations take longer than many pairs.
    let studies: BTreeMap<usize, OnceLock<Study>> =
        parts.iter().map(|p| (p.first, OnceLock::new())).collect();
    let (next, out) = (AtomicUsize::new(0), Mutex::new(()));
    let work = || {
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !registry()
                .iter()
                .any(|s| study::simulated(s) && missing(part, s.name))
            {
                continue;
            }
            let clock = Instant::now();
            let study = studies[&part.first].get_or_init(|| {
                let lenses: Vec<Lens> = part.cases.iter().map(|c| c.lens).collect();
                Study::new(part.cases[0].rows, &lenses, &SHIFTS)
            });
            let text = make(part, study, |name| missing(part, name));
            let _held = out.lock().expect("no panic");
            let to = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(file);
            let written = to.and_then(|mut to| to.write_all(text.as_bytes()));
            written.expect("a file that can be written");
            let (name, seconds) = (part.cases[0].name, clock.elapsed().as_secs_f64());
            eprintln!(
                "{name} n = {}, part {}: {seconds:.1} s",
                part.n, part.number
            );
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
}

/// Simulates a part: the lines to add.
fn make(part: &Part, study: &Study, wanted: impl Fn(&'static str) -> bool) -> String {
    let number = part.number;
    let blocked = matches!(part.cases[0].rows, Rows::Chain(_) | Rows::Days(_));
    let seeds = number * PART..(number + 1) * PART;
    let counts = study.run(part.n, seeds, blocked, |s| wanted(s.name));
    let head = |case: usize, shift: &str, name: &str| {
        let (case, definition) = (CASES[case].name, find(name).map_or("", |s| s.definition));
        format!(
            "{case}\t{shift}\t{}\t{number}\t{name}\t{definition}",
            part.n
        )
    };
    let mut text = String::new();
    for ((lens, shift, name), c) in counts {
        text += &format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            head(part.first + lens, &SHIFTS[shift].to_string(), name),
            c.made,
            c.below,
            c.above,
            c.points,
            c.tested,
            c.rejected,
            c.width,
            c.truth,
        );
    }
    // Last, so that what is cut off is made again.
    for s in registry()
        .iter()
        .filter(|s| study::simulated(s) && wanted(s.name))
    {
        text += &(head(part.first, "asked", s.name) + "\n");
    }
    text
}
