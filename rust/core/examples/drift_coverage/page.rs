//! What the simulation showed, as a page.

use std::collections::{BTreeMap, BTreeSet};

use crate::parts::Cell;
use crate::study::{CASES, Count, SHIFTS};

/// Coverage that is asked for at a nominal 95 %.
const ASKED: std::ops::RangeInclusive<f64> = 92.5..=97.5;

/// What was found, by cell.
type Found = BTreeMap<Cell, Count>;

/// The page.
pub fn of(found: &Found, date: &str) -> String {
    let judged = Judged::new(found);
    let sections = [
        head(found, date),
        shares(&judged),
        outside(&judged),
        levels(found),
        coverage(found),
        power(found),
    ];
    sections.concat()
}

/// Reasons why a statistic misses, in words; the first that fits a cell.
struct Reason {
    statistics: &'static [&'static str],
    fits: fn(&Seen) -> bool,
    text: &'static str,
}

/// A cell with an interval.
struct Seen {
    name: &'static str,
    case: usize,
    shift: usize,
    n: usize,
    count: Count,
}

impl Seen {
    fn held(&self) -> f64 {
        100.0 * self.count.coverage()
    }
    fn population(&self) -> &'static str {
        CASES[self.case].name
    }
    fn is_wide(&self) -> bool {
        self.held() > *ASKED.end()
    }
}

const REASONS: &[Reason] = &[
    Reason {
        statistics: &["ks", "kuiper"],
        fits: Seen::is_wide,
        text: "too wide by choice: both limits hold for every distribution, those of one shape would be \
               narrower (decision 0015)",
    },
    Reason {
        statistics: &["quantile_shift"],
        fits: |s| s.is_wide() && s.population().contains("ties"),
        text: "too wide: quantiles of tied values move in steps, and most samples have the quantiles of the \
               population",
    },
    Reason {
        statistics: &["quantile_shift"],
        fits: Seen::is_wide,
        text: "too wide: the largest of five that all moved alike is above the true shift, so that the upper \
               limit is hardly ever too low",
    },
    Reason {
        statistics: &["l_infinity", "total_variation", "wasserstein", "energy"],
        fits: |s| s.is_wide() && (s.population().contains("days") || s.population() == "chain"),
        text: "too wide: with blocks a difference may lie in the direction that varies most, and is taken to",
    },
    Reason {
        statistics: &["l_infinity"],
        fits: Seen::is_wide,
        text: "too wide: the largest of many differences is above the true one, so that the upper limit is \
               hardly ever too low",
    },
    Reason {
        statistics: &["jensen_shannon", "hellinger"],
        fits: |s| !s.is_wide() && s.n <= 200,
        text: "too narrow: a few rows a cell and no prior, where the square is no chi-square",
    },
    Reason {
        statistics: &[
            "missing_rate",
            "new_category_mass",
            "vanished_category_mass",
        ],
        fits: Seen::is_wide,
        text: "too wide: counts of a few rows are steps",
    },
    Reason {
        statistics: &[
            "range_violation",
            "new_category_mass",
            "vanished_category_mass",
        ],
        fits: |_| true,
        text: "counts of a few rows are steps, and Wilson's limits swing around the level between them",
    },
];

/// Cells with an interval that says something, by statistic.
struct Judged {
    by: BTreeMap<&'static str, Vec<Seen>>,
    /// Cells whose intervals are nearly all the one value possible.
    vacuous: usize,
}

impl Judged {
    fn new(found: &Found) -> Self {
        let mut judged = Judged {
            by: BTreeMap::new(),
            vacuous: 0,
        };
        for ((case, shift, size, name), count) in found.iter().filter(|c| c.1.made > 0) {
            // Nothing is missing or new in either population, however far it moved; or one cell is left.
            let last = found.get(&(*case, SHIFTS.len() - 1, *size, *name));
            let nothing = last.is_some_and(|c| c.truth == 0.0);
            if nothing || 2 * count.points >= count.made {
                judged.vacuous += 1;
                continue;
            }
            judged.by.entry(name).or_default().push(Seen {
                name,
                case: *case,
                shift: *shift,
                n: CASES[*case].sizes()[*size],
                count: *count,
            });
        }
        judged
    }
}

/// What was drawn.
fn head(found: &Found, date: &str) -> String {
    let mut made: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    for ((case, _, size, name), c) in found {
        if *name == "mean_shift" || *name == "psi" {
            made.entry(CASES[*case].sizes()[*size])
                .or_default()
                .insert(c.made);
        }
    }
    let pairs: Vec<String> = made
        .iter()
        .map(|(n, made)| {
            let most = made.last().copied().unwrap_or_default();
            format!("{most} at {n} rows (standard error {:.1})", error(most))
        })
        .collect();
    format!(
        "# Coverage of the intervals of drift statistics\n\n\
         Made on {date} by `drift_coverage run` and `drift_coverage page` \
         (`rust/core/examples/drift_coverage`).\n\n\
         Share of pairs of samples (n rows a side) whose interval at 95 % holds the value of the populations. \
         Most pairs in a cell (cells that no part reached are blank, some have half as many; few pairs cannot tell \
         97.5 from 100 %), and the simulation's own standard error in points: {}. Each population is a normal \
         number seen through a lens: as it is, its exponential (lognormal), rounded to halves (ties), as one \
         of twelve categories, null above 1.6 (missing). The current one is moved by a share of its standard \
         deviation. Rows are independent; or a chain in which each row has a correlation of .9 with the one \
         before, or days with a correlation of .2 within a day, both with blocks of 100 rows, or of n / 100 \
         where that is more; or they are independent with sampling weights, the next whole number above a \
         lognormal one. `wasserstein_scaled` and `energy_scaled` are `wasserstein` and `energy` divided by a \
         number of the reference, and hold as often; `null_rate`, `nan_rate` and `infinite_rate` are computed \
         as `missing_rate` is.\n\n",
        pairs.join(", ")
    )
}

/// Share of cells inside, by statistic.
fn shares(judged: &Judged) -> String {
    let mut text = String::from("## Cells inside 92.5 to 97.5 %\n\n");
    let (mut inside, mut all, mut near) = (0, 0, 0);
    let mut rows = String::new();
    for (name, cells) in &judged.by {
        let own = cells.iter().filter(|c| ASKED.contains(&c.held())).count();
        let within = cells.iter().filter(|c| is_within(c)).count();
        let held = || cells.iter().map(Seen::held);
        let (least, most) = (
            held().fold(f64::INFINITY, f64::min),
            held().fold(0.0, f64::max),
        );
        (inside, all, near) = (inside + own, all + cells.len(), near + within);
        rows += &format!(
            "| {name} | {own} of {} | {:.0} % | {least:.1} to {most:.1} % |\n",
            cells.len(),
            100.0 * own as f64 / cells.len() as f64,
        );
    }
    text += &format!(
        "{inside} of {all} cells ({:.1} %) are inside; {near} ({:.1} %) are, or are outside by less than two \
         standard errors of the simulation. {} more cells, in which every value is 0 because one cell of the \
         table or nothing missing is there to compare, are left out.\n\n\
         | statistic | inside | share | least to most |\n| --- | --- | --- | --- |\n",
        100.0 * f64::from(inside as u32) / f64::from(all as u32),
        100.0 * f64::from(near as u32) / f64::from(all as u32),
        judged.vacuous,
    );
    text + &rows + "\n"
}

/// Inside, or outside by less than the simulation may be off by.
fn is_within(cell: &Seen) -> bool {
    let slack = 2.0 * error(cell.count.made);
    (ASKED.start() - slack..=ASKED.end() + slack).contains(&cell.held())
}

/// Every cell outside, and why.
fn outside(judged: &Judged) -> String {
    let mut text = String::from(
        "## Outside\n\nEvery cell outside 92.5 to 97.5 %, as coverage (shift, n); those marked ~ by less than two \
         standard errors of the simulation.\n\n",
    );
    for (name, cells) in &judged.by {
        let mut by: BTreeMap<(&str, usize), Vec<String>> = BTreeMap::new();
        for cell in cells.iter().filter(|c| !ASKED.contains(&c.held())) {
            let reason = REASONS
                .iter()
                .find(|r| r.statistics.contains(&cell.name) && (r.fits)(cell))
                .map_or(
                    if cell.is_wide() {
                        "too wide: limits are approximate in samples of this size"
                    } else {
                        "too narrow: limits are approximate in samples of this size"
                    },
                    |r| r.text,
                );
            let mark = if is_within(cell) { "~" } else { "" };
            by.entry((reason, cell.case)).or_default().push(format!(
                "{mark}{:.1} ({}, {})",
                cell.held(),
                short(SHIFTS[cell.shift]),
                count(cell.n)
            ));
        }
        if by.is_empty() {
            continue;
        }
        text += &format!("**{name}**\n\n");
        let mut last = "";
        for ((reason, case), cells) in by {
            if reason != last {
                text += &format!("- {reason}:\n");
                last = reason;
            }
            text += &format!("  - {}: {}\n", CASES[case].name, cells.join(", "));
        }
        text.push('\n');
    }
    text
}

/// Names of what `of` tells about, in their order.
fn names(found: &Found, of: impl Fn(&Count) -> bool) -> BTreeSet<&'static str> {
    let held = found.iter().filter(|c| of(c.1));
    held.map(|c| c.0.3).collect()
}

/// Sizes of both kinds, ascending.
fn sizes() -> Vec<usize> {
    let all: BTreeSet<usize> = CASES.iter().flat_map(|c| c.sizes()).copied().collect();
    all.into_iter().collect()
}

/// A line of a table: what `show` says at every size; none where nothing is there.
fn line(
    found: &Found,
    (case, shift, name): (usize, usize, &'static str),
    show: impl Fn(&Count) -> Option<String>,
) -> Option<String> {
    let cells: Vec<Option<String>> = sizes()
        .iter()
        .map(|n| {
            let size = CASES[case].sizes().iter().position(|x| x == n)?;
            show(found.get(&(case, shift, size, name))?)
        })
        .collect();
    let any = cells.iter().any(Option::is_some);
    let cells: Vec<String> = cells.into_iter().map(Option::unwrap_or_default).collect();
    any.then(|| cells.join(" | "))
}

fn table(text: &mut String, first: &str) {
    let heads: Vec<String> = sizes().iter().map(|n| count(*n)).collect();
    let rule = " --- |".repeat(heads.len() + first.matches('|').count() + 1);
    *text += &format!("| {first} | {} |\n|{rule}\n", heads.join(" | "));
}

/// Rejections at 5 % where nothing changed.
fn levels(found: &Found) -> String {
    let mut text = String::from(
        "## Rejections at 5 % where nothing changed\n\nPer cent of p-values of at most 5 %, by number of rows.\n\n",
    );
    for name in names(found, |c| c.tested > 0) {
        text += &format!("<details><summary>{name}</summary>\n\n");
        table(&mut text, "population");
        for (case, own) in CASES.iter().enumerate() {
            let show = |c: &Count| (c.tested > 0).then(|| format!("{:.1}", 100.0 * c.rejection()));
            if let Some(cells) = line(found, (case, 0, name), show) {
                text += &format!("| {} | {cells} |\n", own.name);
            }
        }
        text += "\n</details>\n";
    }
    text + "\n"
}

/// Coverage of every cell.
fn coverage(found: &Found) -> String {
    let mut text = String::from(
        "## Coverage\n\nPer cent of intervals that hold the value of the populations, by number of rows; at shift 0 \
         all misses of a distance are above, as often as a test at 5 % rejects.\n\n",
    );
    for name in names(found, |c| c.made > 0) {
        text += &format!("<details><summary>{name}</summary>\n\n");
        table(&mut text, "population | shift");
        for (case, own) in CASES.iter().enumerate() {
            for (shift, by) in SHIFTS.iter().enumerate() {
                let show = |c: &Count| (c.made > 0).then(|| format!("{:.1}", 100.0 * c.coverage()));
                if let Some(cells) = line(found, (case, shift, name), show) {
                    text += &format!("| {} | {} | {cells} |\n", own.name, short(*by));
                }
            }
        }
        text += "\n</details>\n";
    }
    text + "\n"
}

/// Rejections where something changed.
fn power(found: &Found) -> String {
    let mut text = String::from(
        "## Rejections at 5 % where something changed\n\nThe same where the current population is moved by a tenth of \
         a standard deviation.\n\n",
    );
    let tenth = SHIFTS.iter().position(|s| *s == 0.1).unwrap_or_default();
    table(&mut text, "statistic | population");
    for name in names(found, |c| c.tested > 0) {
        for (case, own) in CASES.iter().enumerate() {
            let show = |c: &Count| (c.tested > 0).then(|| format!("{:.0}", 100.0 * c.rejection()));
            if let Some(cells) = line(found, (case, tenth, name), show) {
                text += &format!("| {name} | {} | {cells} |\n", own.name);
            }
        }
    }
    text
}

/// A shift without its zero.
fn short(shift: f64) -> String {
    let text = shift.to_string();
    text.strip_prefix("0.")
        .map_or(text.clone(), |t| format!(".{t}"))
}

/// A number of rows.
fn count(n: usize) -> String {
    match n {
        n if n >= 1_000_000 => format!("{}m", n / 1_000_000),
        n if n >= 1_000 => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

/// Standard error, in points, of a coverage of 95 % over so many pairs.
fn error(pairs: u32) -> f64 {
    100.0 * libm::sqrt(0.95 * 0.05 / f64::from(pairs.max(1)))
}
