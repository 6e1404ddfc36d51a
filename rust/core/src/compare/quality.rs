//! Rows about the rows of a group as a whole: schema, rows over time, freshness, gaps.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::column::{ColumnState, name_of};
use crate::decide::{Entry, is_judged};
use crate::kernels::key;
use crate::pair::{CategoricalPair, NewValues, Pair, Side};
use crate::profile::{BlockRule, Problem, Profile, States};
use crate::row::{Exactness, Row, Verdict};
use crate::special::student_two_sided_isf;
use crate::states::blocks::MISSING;
use crate::states::keys::Keys;
use crate::statistics::{Context, find};
use crate::value::Logical;

use super::columns::{Compared, kind_of};
use super::{CompareOptions, instant, rfc3339};

/// A statistic of a whole set of rows: it needs the profile, not two samples of one column.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// Name.
    pub name: &'static str,
    /// Versioned definition; any change of a number changes it.
    pub definition: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What the definition decides.
    pub notes: &'static str,
    /// Unit of the value.
    pub unit: &'static str,
}

/// Empty blocks of time.
const EMPTY_BLOCKS: Described = Described {
    name: "empty_blocks",
    definition: "empty_blocks/v1",
    summary: "blocks of time of the window without a row",
    notes: "blocks of the reference's rule, such as days; those of the window, or, without a window, from \
            the first to the last that holds a row; exact; months are not counted",
    unit: "blocks",
};
/// Age of the last row.
const FRESHNESS: Described = Described {
    name: "freshness",
    definition: "freshness/v2",
    summary: "time from the last row to the end of the window, or to as_of where that is earlier",
    notes: "largest value of the time column, cut to microseconds; a date lasts until its day ends; exact; \
            negative where a row lies beyond as_of; without windows, with as_of alone",
    unit: "s",
};
/// Longest stretch without a row.
const LONGEST_GAP: Described = Described {
    name: "longest_gap",
    definition: "longest_gap/v1",
    summary: "longest stretch of time without a row",
    notes: "between rows, and from the window's start to the first and from the last to its end, or to \
            as_of; a date covers its day; from the key histogram of the time column: exact up to 4,096 distinct times, else \
            the longest stretch that is empty for certain, with bounds as wide as two cells of the histogram",
    unit: "s",
};
/// Columns that came, went or changed.
const SCHEMA: Described = Described {
    name: "schema",
    definition: "schema/v2",
    summary: "columns that are missing, new, or of another type",
    notes: "a row a column, and one of the whole set with their number; fails: a missing feature, prediction or \
            score, a type some value of which does not convert exactly; not evaluated: a missing label; notes: new columns, types that convert exactly; \
            the order of columns and their physical width do not matter",
    unit: "columns",
};
/// Rows per block of time.
const VOLUME_RATE: Described = Described {
    name: "volume_rate",
    definition: "volume_rate/blocks/v1",
    summary: "rows per block of time over those of the reference",
    notes: "blocks of the reference's rule, empty ones included, those of the window or from the first to the \
            last that holds a row; 0 in a stretch without a row between two windows that is longer than any \
            of the reference; interval: of the logarithm of the ratio, by the variance of rows between \
            blocks, with Student's quantiles (Welch); a single block takes the reference's variance; no p-value",
    unit: "ratio",
};

/// Statistics of whole sets of rows, in ascending order of name.
pub fn of_sets() -> &'static [Described] {
    &[EMPTY_BLOCKS, FRESHNESS, LONGEST_GAP, SCHEMA, VOLUME_RATE]
}

/// Most names in a message.
const NAMED: usize = 5;
const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;

fn of(described: &Described, base: &Row, feature: &str) -> Row {
    Row {
        feature: feature.into(),
        statistic: described.name.into(),
        definition: described.definition.into(),
        unit: Some(described.unit.into()),
        ..base.clone()
    }
}

/// Fills in a value known exactly.
fn exact(row: Row, value: f64) -> Row {
    Row {
        value: Some(value),
        bound_low: Some(value),
        bound_high: Some(value),
        exactness: Some(Exactness::Exact),
        ..row
    }
}

// --- schema ------------------------------------------------------------------------------------------

/// Rows on the columns of the current data against those of the reference.
pub(super) fn schema_rows(compared: Compared<'_>, base: &Row, entries: &mut Vec<Entry>) {
    let Compared {
        reference, current, ..
    } = compared;
    let about = |kind: &str| -> Vec<&Problem> {
        let mut seen = BTreeSet::new();
        let problems = current.metadata.problems.iter().filter(|p| p.kind == kind);
        problems
            .filter(|p| seen.insert((&p.name, &p.message)))
            .collect()
    };
    let (failed, inexact) = (about("column"), about("inexact"));
    let (converted, extra) = (about("type"), about("extra"));
    let mut missing = Vec::new();
    let mut changed: BTreeSet<&str> = converted.iter().map(|p| p.name.as_str()).collect();
    for (i, column) in reference.columns.iter().enumerate() {
        if current.column(&column.name).is_some() {
            continue;
        }
        let role = compared.role(&column.name);
        let of_column = |problems: &[&Problem]| {
            let found = problems.iter().find(|p| p.name == column.name);
            found.map(|p| p.message.clone())
        };
        let (verdict, message) = match (of_column(&inexact), of_column(&failed)) {
            (Some(message), _) => {
                changed.insert(&column.name);
                (Verdict::Fail, message)
            }
            (None, Some(message)) => (Verdict::Error, message),
            (None, None) => {
                missing.push(column.name.as_str());
                let message = format!(
                    "column {:?} ({}) is missing from the current data",
                    column.name,
                    name_of(column.logical)
                );
                match role {
                    // Labels come late: without them there is nothing to judge yet.
                    "label" => (
                        Verdict::NotEvaluated,
                        format!("{message}: labels may come later"),
                    ),
                    _ => (Verdict::Fail, message),
                }
            }
        };
        if is_judged(Some(role)) {
            let row = of(&SCHEMA, base, &column.name);
            entries.push(Entry::given(Row {
                role: Some(role.into()),
                kind: compared.before(i).map(|s| kind_of(column, s).into()),
                decides: true,
                verdict: Some(verdict),
                message: Some(message),
                ..exact(row, 1.0)
            }));
        }
    }
    let note = |p: &Problem, differs: bool, message: String, verdict| {
        let row = Row {
            role: Some("ignore".into()),
            message: Some(message),
            verdict,
            ..of(&SCHEMA, base, &p.name)
        };
        Entry::given(if differs { exact(row, 1.0) } else { row })
    };
    for p in extra.iter().chain(&converted) {
        entries.push(note(p, true, p.message.clone(), None));
    }
    for p in about("schema").into_iter().chain(about("weight")) {
        entries.push(note(p, false, p.message.clone(), None));
    }
    for p in reference
        .metadata
        .problems
        .iter()
        .filter(|p| p.kind == "column" || p.kind == "weight")
    {
        let message = format!("in the reference: {}", p.message);
        entries.push(note(p, false, message, Some(Verdict::NotEvaluated)));
    }
    let failed: Vec<&str> = failed.iter().map(|p| p.name.as_str()).collect();
    let extra: Vec<&str> = extra.iter().map(|p| p.name.as_str()).collect();
    let changed: Vec<&str> = changed.into_iter().collect();
    let parts = [
        ("missing", &missing),
        ("new", &extra),
        ("of another type", &changed),
        ("could not be read", &failed),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", listed(names)))
        .collect();
    let whole = Row {
        role: Some("ignore".into()),
        message: Some(match told.is_empty() {
            true => format!(
                "the {} columns of the reference, and no other",
                reference.columns.len()
            ),
            false => told.join("; "),
        }),
        ..of(&SCHEMA, base, "*")
    };
    let differing: usize = parts.iter().map(|(_, names)| names.len()).sum();
    entries.push(Entry::given(exact(whole, differing as f64)));
}

/// A few names, and how many more.
fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|n| format!("{n:?}")).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

// --- time --------------------------------------------------------------------------------------------

/// Rows on how the rows of a group lie in time.
pub(super) fn time_rows(compared: Compared<'_>, base: &Row, entries: &mut Vec<Entry>) {
    let as_of = base.as_of.as_deref().and_then(instant);
    let Compared {
        reference,
        current,
        other,
        states,
        group,
        options,
        ..
    } = compared;
    let first = |s: &States| s.first().map_or(0, |s| s.counts.rows());
    let base = Row {
        role: Some("ignore".into()),
        n_reference: Some(first(other)),
        n_current: Some(first(states)),
        ..base.clone()
    };
    if let Some(BlockRule::Time { length, .. }) = &reference.block
        && let Some(length) = micros(length)
    {
        let window = group
            .window
            .map(|w| (w.0, as_of.map_or(w.1, |now| now.clamp(w.0, w.1))));
        let open = group
            .window
            .zip(window)
            .is_some_and(|(all, now)| now.1 < all.1);
        let blocks = PerBlock::of(states.first(), length, window, open);
        let before = PerBlock::of(other.first(), length, None, false);
        if let (Some(blocks), Some(before)) = (&blocks, &before)
            && let Some(row) = volume_rate(before, blocks, &reference.block, options.alpha)
        {
            entries.push(Entry::given(Row {
                ..row_of(row, of(&VOLUME_RATE, &base, "*"))
            }));
        }
        if let Some(blocks) = blocks.filter(|_| is_main(&base, options)) {
            let message = blocks
                .hole
                .map(|at| format!("the first after {}", rfc3339(at)));
            let row = Row {
                message,
                ..of(&EMPTY_BLOCKS, &base, "*")
            };
            entries.push(Entry::given(exact(row, blocks.empty as f64)));
        }
    }
    if !is_main(&base, options) {
        return;
    }
    let mut columns = reference.columns.iter().enumerate();
    let Some((at, column)) = columns.find(|(_, c)| compared.role(&c.name) == "time") else {
        return;
    };
    let Some(unit) = Unit::of(column.logical) else {
        return;
    };
    let Some(now) = current.column(&column.name).map(|i| &states[i]) else {
        return;
    };
    let base = Row {
        role: Some("time".into()),
        kind: Some("datetime".into()),
        ..base
    };
    let Some((from, to)) = now.counts.range.map(|r| (unit.start(r.0), unit.end(r.1))) else {
        return;
    };
    // The stretch of time that is judged ends with the window, or now.
    let end = match (group.window.map(|w| w.1), as_of) {
        (Some(end), Some(now)) => Some(end.min(now)),
        (end, now) => end.or(now),
    };
    if let Some(end) = end {
        let age = i128::from(end) - to;
        let when = match as_of {
            Some(now) if now == end => format!("as of {}", rfc3339(now)),
            _ => "the window ends".into(),
        };
        let message = match (age < 0, as_of == Some(end)) {
            (false, false) => format!("the last row is {} before {when}", words(age)),
            (false, true) => format!("the last row is {} old {when}", words(age)),
            (true, _) => format!("the last row is {} ahead, {when}", words(-age)),
        };
        let row = Row {
            message: Some(message),
            ..of(&FRESHNESS, &base, &column.name)
        };
        entries.push(Entry::given(exact(row, seconds(age))));
    }
    let Some(gap) = Gap::longest(now, unit) else {
        return;
    };
    let gap = match group.window {
        Some((start, _)) => gap.or(i128::from(start), from),
        None => gap,
    };
    let gap = end.map_or(gap, |end| gap.or(to, i128::from(end)));
    let usual = compared.before(at).and_then(|s| Gap::longest(s, unit));
    let usual = usual.map(|g| format!("in the reference {}", words(g.low)));
    let place =
        (gap.low > 0).then(|| format!("{} from {}", words(gap.low), rfc3339(gap.at as i64)));
    let row = Row {
        message: Some(
            [place, usual]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; "),
        )
        .filter(|m| !m.is_empty()),
        ..exact(of(&LONGEST_GAP, &base, &column.name), seconds(gap.low))
    };
    entries.push(Entry::given(match gap.high > gap.low {
        true => Row {
            bound_high: Some(seconds(gap.high)),
            exactness: Some(Exactness::Certified),
            ..row
        },
        false => row,
    }));
}

/// Place of the column that holds the time of a row.
fn time_column(reference: &Profile, options: &CompareOptions) -> Option<usize> {
    let asked = |name: &str| options.roles.get(name);
    let role = |name: &str| asked(name).or_else(|| reference.metadata.roles.get(name));
    let mut columns = reference.columns.iter();
    columns.position(|c| role(&c.name).is_some_and(|r| r == "time"))
}

/// The row that decides on rows without a time, where the current data has any: no window holds them, and whoever
/// loses the times of rows loses their windows. One row for all windows and versions.
pub(super) fn timeless_rows(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
    base: &Row,
    entries: &mut Vec<Entry>,
) {
    let Some(at) = time_column(reference, options) else {
        return;
    };
    let column = &reference.columns[at];
    let (Some(statistic), Some(now)) = (find("missing_rate"), current.column(&column.name)) else {
        return;
    };
    let side = |profile: &Profile, at: usize| {
        let whole = profile.groups.iter().filter(|(k, _)| k.segment.is_none());
        let (rows, nulls) = whole.fold((0_u64, 0_u64), |(rows, nulls), (_, states)| {
            let counts = &states[at].counts;
            (
                rows.saturating_add(counts.rows()),
                nulls.saturating_add(counts.nulls),
            )
        });
        Side {
            rows,
            nulls,
            finite: rows - nulls,
            ..Side::default()
        }
    };
    let mut found = side(current, now);
    if found.nulls == 0 {
        return;
    }
    if let Some(rows) = options.rows {
        found.rows = rows.max(found.rows);
        found.finite = found.rows - found.nulls;
    }
    let told = format!(
        "{} of {} rows have no time, and belong to no window",
        found.nulls, found.rows
    );
    let pair = Pair::Categorical(CategoricalPair {
        logical: Logical::Binary,
        reference: side(reference, at),
        current: found,
        cells: Vec::new(),
        new_rows: (0, 0),
        new_values: NewValues::default(),
        new_examples: Vec::new(),
        note: Some(told),
        blocked: None,
    });
    let row = Row {
        feature: column.name.clone(),
        role: Some("time".into()),
        kind: Some("datetime".into()),
        ..base.clone()
    };
    let context = Context {
        alpha: options.alpha,
    };
    entries.push(Entry::compute(statistic, &pair, &row, &context));
}

/// Two rows for each stretch of time between two windows that holds no row at all, since no group stands for it:
/// its `volume`, and its `volume_rate` where it is longer than any stretch without a row in the reference.
pub(super) fn empty_windows(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
    base: &Row,
    entries: &mut Vec<Entry>,
) {
    let Some(volume) = find("volume") else {
        return;
    };
    let usual = time_column(reference, options).and_then(|at| {
        let unit = Unit::of(reference.columns[at].logical)?;
        let total = reference.total().ok()?;
        Gap::longest(&total[at], unit).map(|gap| gap.low)
    });
    let mut last: BTreeMap<&Option<String>, i64> = BTreeMap::new();
    let whole = current.groups.keys().filter(|k| k.segment.is_none());
    for (version, (start, end)) in whole.filter_map(|k| Some((&k.model_version, k.window?))) {
        let before = last.insert(version, end);
        let Some(before) = before.filter(|before| *before < start) else {
            continue;
        };
        let row = Row {
            model_version: version.clone().or_else(|| base.model_version.clone()),
            window_start: Some(current.time(before)),
            window_end: Some(current.time(start)),
            role: Some("ignore".into()),
            feature: "*".into(),
            statistic: volume.name.into(),
            definition: volume.definition.into(),
            unit: Some(volume.unit.into()),
            n_current: Some(0),
            message: Some("no row between the window before and the one after".into()),
            ..base.clone()
        };
        let length = i128::from(start) - i128::from(before);
        if usual.is_none_or(|usual| length > usual) {
            let rate = Row {
                message: Some(format!(
                    "no row in {}{}",
                    words(length),
                    usual.map_or(String::new(), |usual| format!(
                        "; the longest stretch without one in the reference is {}",
                        words(usual)
                    ))
                )),
                value_if_no_change: Some(1.0),
                ..of(&VOLUME_RATE, &row, "*")
            };
            entries.push(Entry::given(exact(rate, 0.0)));
        }
        entries.push(Entry::given(exact(row, 0.0)));
    }
}

/// The row on keys that come more than once.
///
/// # Errors
/// More rows than 64 bits count.
pub(super) fn key_rows(compared: Compared<'_>, base: &Row, entries: &mut Vec<Entry>) -> Result<()> {
    let (reference, group) = (compared.reference, compared.group);
    let (Some(before), Some(now)) = (&reference.keys, &compared.current.keys) else {
        return Ok(());
    };
    let (Some(statistic), Some(keys)) = (find("duplicate_keys"), now.groups.get(group)) else {
        return Ok(());
    };
    if !is_main(base, compared.options) {
        return Ok(());
    }
    let side = |keys: &Keys| {
        let ((rows, missing), (repeated, error)) = (keys.rows(), keys.repeated());
        Side {
            rows: rows.saturating_add(missing),
            nulls: missing,
            finite: rows,
            distinct: rows as f64 - repeated,
            distinct_error: error,
            ..Side::default()
        }
    };
    let pair = Pair::Categorical(CategoricalPair {
        logical: Logical::Binary,
        reference: side(&before.total(group.segment.as_ref())?),
        current: side(keys),
        cells: Vec::new(),
        new_rows: (0, 0),
        new_values: NewValues::default(),
        new_examples: Vec::new(),
        note: None,
        blocked: None,
    });
    let row = Row {
        feature: now.name(),
        role: Some("id".into()),
        kind: Some("key".into()),
        ..base.clone()
    };
    let context = Context {
        alpha: compared.options.alpha,
    };
    entries.push(Entry::compute(statistic, &pair, &row, &context));
    Ok(())
}

/// Whether this baseline carries what does not depend on a baseline.
pub(super) fn is_main(base: &Row, options: &CompareOptions) -> bool {
    options
        .baselines
        .first()
        .is_none_or(|b| *b == base.baseline)
}

fn seconds(us: i128) -> f64 {
    us as f64 / SECOND as f64
}

/// A length of time in words.
fn words(us: i128) -> String {
    match us {
        us if us >= 2 * DAY => format!("{:.1} days", us as f64 / DAY as f64),
        us if us >= 2 * 3600 * SECOND => format!("{:.1} h", us as f64 / (3600 * SECOND) as f64),
        us if us >= 120 * SECOND => format!("{:.1} min", us as f64 / (60 * SECOND) as f64),
        us => format!("{} s", seconds(us)),
    }
}

/// A fixed length of blocks in microseconds; months have none.
fn micros(length: &str) -> Option<i128> {
    let digits = length.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = length.split_at(digits);
    let n: i128 = if number.is_empty() {
        1
    } else {
        number.parse().ok()?
    };
    let unit = match unit {
        "h" => 3600 * SECOND,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    n.checked_mul(unit).filter(|n| *n > 0)
}

/// Rows of each block of a stretch of time.
struct PerBlock {
    /// Rows of the blocks that hold any.
    rows: Vec<u64>,
    /// Blocks without a row.
    empty: u64,
    /// End of the first block before an empty one.
    hole: Option<i64>,
}

impl PerBlock {
    /// The blocks of a window, or those from the first to the last with a row. None where the window
    /// is no longer than a block. Of an open window, which goes on, the last block counts where it has
    /// ended or holds a row.
    fn of(
        state: Option<&ColumnState>,
        length: i128,
        window: Option<(i64, i64)>,
        open: bool,
    ) -> Option<Self> {
        // Blocks begin at local midnight: an hour more or less where clocks change.
        let between = |a: i64, b: i64| {
            let span = i128::from(b) - i128::from(a);
            u64::try_from((span + length / 2).div_euclid(length)).ok()
        };
        let blocks = state?.blocks()?;
        let (mut rows, mut keys) = (Vec::new(), Vec::new());
        for (key, block) in blocks.iter().filter(|(key, _)| **key != MISSING) {
            keys.push(*key);
            rows.push(
                block
                    .counts
                    .iter()
                    .fold(0, |a: u64, b| a.saturating_add(*b)),
            );
        }
        let (first, last) = (*keys.first()?, *keys.last()?);
        let span = match window {
            Some((a, b)) if i128::from(b) - i128::from(a) < length => return None,
            Some((a, b)) if open => {
                let ended = (i128::from(b) - i128::from(a)).div_euclid(length);
                u64::try_from(ended)
                    .ok()?
                    .max(between(a, last)?.checked_add(1)?)
            }
            Some((a, b)) => between(a, b)?,
            None => between(first, last)?.checked_add(1)?,
        };
        let after = |key: i64| i64::try_from(i128::from(key) + length).ok();
        let start = window
            .map(|w| w.0)
            .filter(|a| between(*a, first).is_some_and(|n| n > 0));
        let inner = keys
            .windows(2)
            .find(|w| between(w[0], w[1]).is_some_and(|n| n > 1));
        let end = window
            .filter(|w| between(last, w.1).is_some_and(|n| n > 1))
            .map(|_| last);
        let hole = start.or_else(|| inner.map(|w| w[0]).or(end).and_then(after));
        Some(Self {
            empty: span.checked_sub(rows.len() as u64)?,
            rows,
            hole,
        })
    }

    fn len(&self) -> f64 {
        (self.rows.len() as u64 + self.empty) as f64
    }

    /// Mean rows of a block, and their variance between blocks (none below two).
    fn mean_variance(&self) -> (f64, Option<f64>) {
        let n = self.len();
        let mean = self.rows.iter().map(|r| *r as f64).sum::<f64>() / n;
        let squares = self
            .rows
            .iter()
            .map(|r| (*r as f64 - mean) * (*r as f64 - mean));
        let squares = crate::statistics::sum(squares) + self.empty as f64 * mean * mean;
        (mean, (n >= 2.0).then(|| squares / (n - 1.0)))
    }
}

struct Rate {
    value: f64,
    ci: Option<(f64, f64)>,
    variance: String,
    message: String,
}

fn row_of(rate: Rate, row: Row) -> Row {
    Row {
        ci_low: rate.ci.map(|c| c.0),
        ci_high: rate.ci.map(|c| c.1),
        variance: rate.ci.map(|_| rate.variance),
        value_if_no_change: Some(1.0),
        message: Some(rate.message),
        ..exact(row, rate.value)
    }
}

fn volume_rate(
    reference: &PerBlock,
    current: &PerBlock,
    rule: &Option<BlockRule>,
    alpha: f64,
) -> Option<Rate> {
    let ((a, var_a), (b, var_b)) = (reference.mean_variance(), current.mean_variance());
    if a <= 0.0 || b <= 0.0 {
        return None;
    }
    // Relative variances of both means; a single block takes that of a block of the reference.
    let relative = |mean: f64, variance: f64, n: f64| variance / (mean * mean) / n;
    let ci = var_a.and_then(|v| {
        let (n, m) = (reference.len(), current.len());
        let r = relative(a, v, n);
        let c = match var_b {
            Some(v) => relative(b, v, m),
            None => relative(a, v, m),
        };
        if r + c <= 0.0 {
            return Some((b / a, b / a));
        }
        let own = var_b.map_or(f64::INFINITY, |_| m - 1.0);
        let df = (r + c) * (r + c) / (r * r / (n - 1.0) + c * c / own);
        let df = if var_b.is_none() { n - 1.0 } else { df };
        let width = student_two_sided_isf(alpha, df) * libm::sqrt(r + c);
        width
            .is_finite()
            .then(|| (b / a * libm::exp(-width), b / a * libm::exp(width)))
    });
    Some(Rate {
        value: b / a,
        ci,
        variance: rule.as_ref().map(BlockRule::label).unwrap_or_default(),
        message: format!(
            "{a:.4} rows a block over {} blocks of the reference, {b:.4} over {} now",
            reference.len(),
            current.len()
        ),
    })
}

/// What the integers of a time column count.
#[derive(Clone, Copy)]
enum Unit {
    Days,
    PerSecond(i128),
}

impl Unit {
    fn of(logical: Logical) -> Option<Self> {
        match logical {
            Logical::Date => Some(Self::Days),
            Logical::Timestamp { unit, .. } => Some(Self::PerSecond(unit.per_second().into())),
            _ => None,
        }
    }

    fn micros(self, units: i128) -> i128 {
        match self {
            Self::Days => units * DAY,
            Self::PerSecond(n) => (units * SECOND).div_euclid(n),
        }
    }

    /// When a value begins, by its key.
    fn start(self, base: u64) -> i128 {
        self.micros(key::to_i64(base).into())
    }

    /// When a value ends: instants at once, days with the day.
    fn end(self, base: u64) -> i128 {
        let lasts = i128::from(matches!(self, Self::Days));
        self.micros(i128::from(key::to_i64(base)) + lasts)
    }
}

/// A stretch without a row: its length lies between bounds, in microseconds.
#[derive(Clone, Copy)]
struct Gap {
    low: i128,
    high: i128,
    /// When the stretch that is empty for certain begins.
    at: i128,
}

impl Gap {
    /// The longest stretch between two rows.
    fn longest(state: &ColumnState, unit: Unit) -> Option<Self> {
        let keys = state.keys()?;
        let (least, largest) = state.counts.range?;
        let mut gap = Gap {
            low: 0,
            high: 0,
            at: unit.end(least),
        };
        let width = (1_u128 << keys.level) - 1;
        // First and last base key of a cell, within the range.
        let ends = |cell: u64| {
            let low = u128::from(cell) << keys.level;
            let clamp = |k: u128| (k as u64).clamp(least, largest);
            (clamp(low), clamp(low + width))
        };
        let mut last: Option<(u64, u64)> = None;
        for (cell, rows) in &keys.cells {
            let here = ends(*cell);
            if *rows > 1 {
                gap.high = gap.high.max(unit.start(here.1) - unit.end(here.0));
            }
            if let Some(before) = last {
                gap = gap.or(unit.end(before.1), unit.start(here.0));
                gap.high = gap.high.max(unit.start(here.1) - unit.end(before.0));
            }
            last = Some(here);
        }
        Some(gap)
    }

    /// The longer of this and an empty stretch.
    fn or(self, from: i128, to: i128) -> Self {
        let length = to - from;
        if length > self.low {
            Gap {
                low: length,
                high: self.high.max(length),
                at: from,
            }
        } else {
            self
        }
    }
}
