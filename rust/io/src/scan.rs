//! The scan: units to states, on scoped threads, column chunk by column chunk.
//!
//! Threads share nothing but a counter; their states are merged at the end, in any order, since
//! states are canonical. A unit that cannot be read is set aside and the scan is run again without
//! it, so that no half-read unit is ever counted; a column whose values do not fit its type becomes
//! a problem of its own and leaves the others alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use tidegauge_core::column::{
    ColumnPlan, ColumnState, Frozen, Kind, base_domain, default_kind, refine,
};
use tidegauge_core::profile::{Column, GroupKey, Metadata, Problem, Profile, States, infer_role};
use tidegauge_core::states::categories::Dictionary;
use tidegauge_core::states::refine::{Refinement, Step, grid_of, start};
use tidegauge_core::value::{Bytes, Logical, Slice};

use crate::meter::{Meter, Metered, Progress};
use crate::source::{PageData, PageSink, Source};
use crate::{Error, Result};

/// Most segments of one cut that keep states of their own; the rest is `(other)`.
pub const MAX_SEGMENTS: usize = 512;
/// Name of the segment of all segments without states of their own.
pub const OTHER: &str = "(other)";
/// Name of the segment of rows without a value.
pub const MISSING: &str = "(missing)";

/// What a scan is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanOptions {
    /// Columns to profile; all when empty.
    pub columns: Vec<String>,
    /// Columns to leave out.
    pub exclude: Vec<String>,
    /// Columns compared by value though their type has an order.
    pub categorical: Vec<String>,
    /// Roles that are given.
    pub roles: BTreeMap<String, String>,
    /// Length of a window: a number and `h`, `d`, `w` or `mo`.
    pub window: Option<String>,
    /// Zone in which days, weeks and months begin; UTC when absent.
    pub time_zone: Option<String>,
    /// Cuts: each one column or several crossed ones.
    pub by: Vec<Cut>,
    /// Column with the version of the model.
    pub model_version: Option<String>,
    /// Threads; all cores when 0.
    pub threads: usize,
    /// Units that may be set aside before the scan fails.
    pub max_bad_units: usize,
    /// Never coarsen keys: exact statistics of arrays in memory.
    pub exact: bool,
}

/// One cut of the rows into segments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cut {
    /// By one column.
    One(String),
    /// By several crossed columns.
    Crossed(Vec<String>),
}

impl Cut {
    fn columns(&self) -> &[String] {
        match self {
            Cut::One(c) => std::slice::from_ref(c),
            Cut::Crossed(c) => c,
        }
    }
}

/// Values owned by a sink.
#[derive(Debug, Clone)]
enum Owned {
    Bool(Vec<bool>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    Bytes(Vec<u32>, Vec<u8>),
}

impl Owned {
    fn gather(values: Slice<'_>, at: impl ExactSizeIterator<Item = usize>) -> Self {
        match values {
            Slice::Bool(v) => Owned::Bool(at.map(|i| v[i]).collect()),
            Slice::I64(v) => Owned::I64(at.map(|i| v[i]).collect()),
            Slice::U64(v) => Owned::U64(at.map(|i| v[i]).collect()),
            Slice::F32(v) => Owned::F32(at.map(|i| v[i]).collect()),
            Slice::F64(v) => Owned::F64(at.map(|i| v[i]).collect()),
            Slice::I128(v) => Owned::I128(at.map(|i| v[i]).collect()),
            Slice::Bytes(v) => {
                let mut offsets = Vec::with_capacity(at.len() + 1);
                let mut data = Vec::new();
                offsets.push(0);
                for i in at {
                    data.extend_from_slice(v.get(i));
                    offsets.push(data.len() as u32);
                }
                Owned::Bytes(offsets, data)
            }
        }
    }

    fn all(values: Slice<'_>) -> Self {
        match values {
            Slice::Bool(v) => Owned::Bool(v.to_vec()),
            Slice::I64(v) => Owned::I64(v.to_vec()),
            Slice::U64(v) => Owned::U64(v.to_vec()),
            Slice::F32(v) => Owned::F32(v.to_vec()),
            Slice::F64(v) => Owned::F64(v.to_vec()),
            Slice::I128(v) => Owned::I128(v.to_vec()),
            Slice::Bytes(_) => Self::gather(values, 0..values.len()),
        }
    }

    fn slice(&self) -> Slice<'_> {
        match self {
            Owned::Bool(v) => Slice::Bool(v),
            Owned::I64(v) => Slice::I64(v),
            Owned::U64(v) => Slice::U64(v),
            Owned::F32(v) => Slice::F32(v),
            Owned::F64(v) => Slice::F64(v),
            Owned::I128(v) => Slice::I128(v),
            Owned::Bytes(offsets, data) => Slice::Bytes(Bytes { offsets, data }),
        }
    }
}

/// What a page's values go into.
trait Target {
    fn nulls(&mut self, n: u64) -> tidegauge_core::Result<()>;
    fn values(&mut self, values: Slice<'_>, counts: Option<&[u64]>) -> tidegauge_core::Result<()>;
}

struct ToState<'a> {
    plan: &'a ColumnPlan,
    state: &'a mut ColumnState,
}

impl Target for ToState<'_> {
    fn nulls(&mut self, n: u64) -> tidegauge_core::Result<()> {
        self.state.update_nulls(n)
    }
    fn values(&mut self, values: Slice<'_>, counts: Option<&[u64]>) -> tidegauge_core::Result<()> {
        match counts {
            None => self.state.update(self.plan, values),
            Some(n) => self.state.update_counted(self.plan, values, n),
        }
    }
}

struct ToRefinement<'a> {
    plan: &'a ColumnPlan,
    refinement: &'a mut Refinement,
}

impl Target for ToRefinement<'_> {
    fn nulls(&mut self, _: u64) -> tidegauge_core::Result<()> {
        Ok(())
    }
    fn values(&mut self, values: Slice<'_>, counts: Option<&[u64]>) -> tidegauge_core::Result<()> {
        refine(self.refinement, self.plan, values, counts)
    }
}

/// Counts the indices of a dictionary and hands each of its values over once.
struct Whole<T> {
    target: T,
    dictionary: Option<Owned>,
    counts: Vec<u64>,
}

impl<T: Target> Whole<T> {
    fn new(target: T) -> Self {
        Self {
            target,
            dictionary: None,
            counts: Vec::new(),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(d) = self.dictionary.take() {
            self.target.values(d.slice(), Some(&self.counts))?;
        }
        Ok(())
    }
}

impl<T: Target> PageSink for Whole<T> {
    fn needs_validity(&self) -> bool {
        false
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.flush()?;
        self.counts.clear();
        self.counts.resize(values.len(), 0);
        self.dictionary = Some(Owned::all(values));
        Ok(())
    }

    fn page(&mut self, rows: usize, _: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let n = match data {
            PageData::Values(v) => {
                self.target.values(v, None)?;
                v.len()
            }
            PageData::Indices(at) => {
                for i in at {
                    if let Some(c) = self.counts.get_mut(*i as usize) {
                        *c += 1;
                    }
                }
                at.len()
            }
        };
        Ok(self.target.nulls((rows - n) as u64)?)
    }
}

/// Rows of one unit cut into groups: the id of each row's group and the keys of the ids.
struct Grouping {
    ids: Vec<u32>,
    keys: Vec<GroupKey>,
}

/// States of the groups that a thread has met.
type Groups = HashMap<GroupKey, Vec<Option<ColumnState>>>;

/// Sends the rows of a page to the states of their groups.
struct Grouped<'a> {
    groupings: &'a [Grouping],
    plans: [&'a ColumnPlan; 2],
    /// States of this column by grouping and group id.
    states: Vec<Vec<ColumnState>>,
    dictionary: Option<Owned>,
    row: usize,
}

impl PageSink for Grouped<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.dictionary = Some(Owned::all(values));
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        for (grouping, states) in self.groupings.iter().zip(&mut self.states) {
            let ids = &grouping.ids[self.row..self.row + rows];
            // Positions of the page's values by group.
            let mut at: BTreeMap<u32, (Vec<u32>, u64)> = BTreeMap::new();
            let mut dense = 0;
            let mut last = (u32::MAX, 0usize, 0u64);
            let mut runs: Vec<(u32, usize, usize, u64)> = Vec::new();
            for (i, id) in ids.iter().enumerate() {
                let ok = valid.is_none_or(|v| v[i]);
                if *id != last.0 {
                    if last.0 != u32::MAX {
                        runs.push((last.0, last.1, dense, last.2));
                    }
                    last = (*id, dense, 0);
                }
                if ok { dense += 1 } else { last.2 += 1 }
            }
            if last.0 != u32::MAX {
                runs.push((last.0, last.1, dense, last.2));
            }
            for (id, from, to, nulls) in runs {
                let entry = at.entry(id).or_default();
                entry.0.extend(from as u32..to as u32);
                entry.1 += nulls;
            }
            for (id, (positions, nulls)) in at {
                let state = &mut states[id as usize];
                let plan = self.plans[usize::from(grouping.keys[id as usize].segment.is_some())];
                state.update_nulls(nulls)?;
                match data {
                    PageData::Values(v) => {
                        let own = Owned::gather(v, positions.iter().map(|p| *p as usize));
                        state.update(plan, own.slice())?;
                    }
                    PageData::Indices(indices) => {
                        let Some(dictionary) = &self.dictionary else {
                            continue;
                        };
                        let mut used: Vec<u32> =
                            positions.iter().map(|p| indices[*p as usize]).collect();
                        used.sort_unstable();
                        let counts: Vec<u64> = used
                            .chunk_by(|a, b| a == b)
                            .map(|c| c.len() as u64)
                            .collect();
                        used.dedup();
                        let own =
                            Owned::gather(dictionary.slice(), used.iter().map(|i| *i as usize));
                        state.update_counted(plan, own.slice(), &counts)?;
                    }
                }
            }
        }
        self.row += rows;
        Ok(())
    }
}

/// Collects a key column: an id per row and the text of each id.
#[derive(Default)]
struct Labels {
    ids: Vec<u32>,
    texts: Vec<String>,
    known: HashMap<String, u32>,
    dictionary: Vec<u32>,
}

impl Labels {
    fn id(&mut self, text: String) -> u32 {
        let next = self.texts.len() as u32;
        let id = *self.known.entry(text.clone()).or_insert(next);
        if id == next {
            self.texts.push(text);
        }
        id
    }

    fn text(values: Slice<'_>, i: usize) -> String {
        match values {
            Slice::Bool(v) => v[i].to_string(),
            Slice::I64(v) => v[i].to_string(),
            Slice::U64(v) => v[i].to_string(),
            Slice::F32(v) => v[i].to_string(),
            Slice::F64(v) => v[i].to_string(),
            Slice::I128(v) => v[i].to_string(),
            Slice::Bytes(v) => String::from_utf8_lossy(v.get(i)).into_owned(),
        }
    }
}

impl PageSink for Labels {
    fn needs_validity(&self) -> bool {
        true
    }
    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.dictionary = (0..values.len())
            .map(|i| self.id(Self::text(values, i)))
            .collect();
        Ok(())
    }
    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let missing = self.id(MISSING.into());
        let mut next = 0;
        for i in 0..rows {
            let id = if valid.is_none_or(|v| v[i]) {
                next += 1;
                match data {
                    PageData::Values(v) => self.id(Self::text(v, next - 1)),
                    PageData::Indices(at) => self
                        .dictionary
                        .get(at[next - 1] as usize)
                        .copied()
                        .unwrap_or(missing),
                }
            } else {
                missing
            };
            self.ids.push(id);
        }
        Ok(())
    }
}

/// Collects a time column.
#[derive(Default)]
struct Times {
    values: Vec<Option<i64>>,
    dictionary: Vec<i64>,
}

impl PageSink for Times {
    fn needs_validity(&self) -> bool {
        true
    }
    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        if let Slice::I64(v) = values {
            self.dictionary = v.to_vec();
        }
        Ok(())
    }
    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let mut next = 0;
        for i in 0..rows {
            self.values.push(if valid.is_none_or(|v| v[i]) {
                next += 1;
                match data {
                    PageData::Values(Slice::I64(v)) => Some(v[next - 1]),
                    PageData::Indices(at) => self.dictionary.get(at[next - 1] as usize).copied(),
                    PageData::Values(_) => None,
                }
            } else {
                None
            });
        }
        Ok(())
    }
}

/// A calendar window.
#[derive(Debug, Clone, Copy)]
enum Window {
    Hours(i64),
    Days(i64),
    Months(i64),
}

fn invalid(message: String) -> Error {
    Error::Core(tidegauge_core::Error::InvalidArgument(message))
}

fn parse_window(text: &str) -> Result<Window> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let n: i64 = if number.is_empty() {
        1
    } else {
        number.parse().unwrap_or(0)
    };
    match unit {
        "h" if n > 0 && n <= 24 && 24 % n == 0 => Ok(Window::Hours(n)),
        "d" if n > 0 && n <= 366 => Ok(Window::Days(n)),
        "w" if n > 0 && n <= 52 => Ok(Window::Days(7 * n)),
        "mo" if n > 0 && n <= 12 && 12 % n == 0 => Ok(Window::Months(n)),
        _ => Err(invalid(format!(
            "window {text:?}; a number and h, d, w or mo would be accepted (hours dividing a day, months dividing a year), such as \"1d\" or \"1mo\""
        ))),
    }
}

/// Start and end of the window that holds an instant.
fn window_of(us: i64, window: Window, zone: chrono_tz::Tz) -> Option<(i64, i64)> {
    let local = zone
        .from_utc_datetime(&DateTime::<Utc>::from_timestamp_micros(us)?.naive_utc())
        .naive_local();
    let midnight = |d: NaiveDate| d.and_time(NaiveTime::MIN);
    let (start, end): (NaiveDateTime, NaiveDateTime) = match window {
        Window::Hours(n) => {
            let day = midnight(local.date());
            let at = (local - day).num_hours() / n * n;
            (day + Duration::hours(at), day + Duration::hours(at + n))
        }
        Window::Days(n) => {
            // Weeks begin on Monday; 1969-12-29 was one.
            let epoch = NaiveDate::from_ymd_opt(1969, 12, 29)?;
            let at = (local.date() - epoch).num_days().div_euclid(n) * n;
            (
                midnight(epoch + Duration::days(at)),
                midnight(epoch + Duration::days(at + n)),
            )
        }
        Window::Months(n) => {
            let month = i64::from(local.year()) * 12 + i64::from(local.month0());
            let first = |m: i64| {
                NaiveDate::from_ymd_opt(
                    i32::try_from(m.div_euclid(12)).ok()?,
                    m.rem_euclid(12) as u32 + 1,
                    1,
                )
            };
            let at = month.div_euclid(n) * n;
            (midnight(first(at)?), midnight(first(at + n)?))
        }
    };
    let utc = |t: NaiveDateTime| {
        let at = zone.from_local_datetime(&t).earliest().or_else(|| {
            zone.from_local_datetime(&(t + Duration::hours(1)))
                .earliest()
        });
        at.map(|t| t.timestamp_micros())
    };
    Some((utc(start)?, utc(end)?))
}

/// How rows are cut, resolved against a source.
struct Cuts {
    time: Option<(usize, i64)>,
    date: bool,
    window: Option<Window>,
    zone: chrono_tz::Tz,
    by: Vec<(String, Vec<usize>)>,
    model_version: Option<usize>,
    /// Segments with states of their own, by cut; all others are `(other)`.
    kept: Vec<Option<BTreeSet<String>>>,
}

impl Cuts {
    fn is_trivial(&self) -> bool {
        self.window.is_none() && self.by.is_empty() && self.model_version.is_none()
    }

    /// Columns that are read to cut rows, once per use.
    fn columns(&self) -> impl Iterator<Item = usize> {
        let segments = self.by.iter().flat_map(|(_, columns)| columns);
        let time = self.window.and(self.time).map(|(column, _)| column);
        segments.copied().chain(time).chain(self.model_version)
    }

    fn groupings(&self, source: &dyn Source, unit: usize) -> Result<Vec<Grouping>> {
        let rows = source.unit_rows(unit) as usize;
        let mut windows: Vec<Option<(i64, i64)>> = vec![None; rows];
        if let (Some(w), Some((column, per_second))) = (self.window, self.time) {
            let mut times = Times::default();
            source.read(unit, column, &mut times)?;
            let mut last: Option<(i64, i64)> = None;
            for (slot, t) in windows.iter_mut().zip(&times.values) {
                let Some(t) = t else { continue };
                let us = if self.date {
                    t.saturating_mul(86_400_000_000)
                } else if per_second > 1_000_000 {
                    t.div_euclid(per_second / 1_000_000)
                } else {
                    t.saturating_mul(1_000_000 / per_second)
                };
                if last.is_none_or(|(a, b)| us < a || us >= b) {
                    last = window_of(us, w, self.zone);
                }
                *slot = last;
            }
        }
        let label = |column: usize| -> Result<Labels> {
            let mut l = Labels::default();
            source.read(unit, column, &mut l)?;
            Ok(l)
        };
        let versions = self.model_version.map(&label).transpose()?;
        let mut out = vec![self.number(rows, &windows, versions.as_ref(), None, |_| None)];
        for ((by, columns), kept) in self.by.iter().zip(&self.kept) {
            let labels: Vec<Labels> = columns.iter().map(|c| label(*c)).collect::<Result<_>>()?;
            let segment = |i: usize| {
                let parts: Vec<&str> = labels
                    .iter()
                    .map(|l| l.texts[l.ids[i] as usize].as_str())
                    .collect();
                Some(parts.join(", "))
            };
            let _ = by;
            out.push(self.number(rows, &windows, versions.as_ref(), Some((by, kept)), segment));
        }
        Ok(out)
    }

    fn number(
        &self,
        rows: usize,
        windows: &[Option<(i64, i64)>],
        versions: Option<&Labels>,
        by: Option<(&String, &Option<BTreeSet<String>>)>,
        segment: impl Fn(usize) -> Option<String>,
    ) -> Grouping {
        let mut ids = Vec::with_capacity(rows);
        let mut keys: Vec<GroupKey> = Vec::new();
        let mut known: HashMap<GroupKey, u32> = HashMap::new();
        for (i, window) in windows.iter().enumerate() {
            let segment = by.and_then(|(name, kept)| {
                let value = segment(i)?;
                let value = match kept {
                    Some(k) if !k.contains(&value) => OTHER.to_owned(),
                    _ => value,
                };
                Some((name.clone(), value))
            });
            let key = GroupKey {
                window: *window,
                model_version: versions.map(|v| v.texts[v.ids[i] as usize].clone()),
                segment,
            };
            let id = match keys.last().zip(ids.last()) {
                Some((_, last)) if keys[*last as usize] == key => *last,
                _ => *known.entry(key).or_insert_with_key(|k| {
                    keys.push(k.clone());
                    keys.len() as u32 - 1
                }),
            };
            ids.push(id);
        }
        Grouping { ids, keys }
    }
}

/// One column to be scanned.
struct Task {
    /// Position in the source.
    at: usize,
    plan: ColumnPlan,
}

/// Takes one off a count when dropped, by a panic too, and wakes who waits for it.
struct Leave<'a>(&'a AtomicUsize, &'a std::thread::Thread);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
        self.1.unpark();
    }
}

/// Runs `work` over the items on threads; stops at the first error and when the meter says so.
///
/// The calling thread alone looks for signals: between pages while it works, and while it waits.
fn run<S: Send>(
    threads: usize,
    items: usize,
    meter: &Meter<'_>,
    empty: impl Fn() -> S + Sync,
    work: impl Fn(usize, &mut S) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let worker = &|| {
        let mut state = empty();
        while !stop.load(Ordering::Relaxed) {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= items {
                break;
            }
            if let Err(e) = work(i, &mut state).and_then(|()| meter.check()) {
                stop.store(true, Ordering::Relaxed);
                let mut slot = failed.lock().unwrap_or_else(|p| p.into_inner());
                if slot.as_ref().is_none_or(|(at, _)| i < *at) {
                    *slot = Some((i, e));
                }
            }
        }
        state
    };
    let helpers = threads.min(items).max(1) - 1;
    let (working, caller) = (AtomicUsize::new(helpers), std::thread::current());
    let (working, caller) = (&working, &caller);
    let states = std::thread::scope(|scope| {
        let others: Vec<_> = (0..helpers)
            .map(|_| {
                scope.spawn(move || {
                    let _leave = Leave(working, caller);
                    worker()
                })
            })
            .collect();
        let mut states = vec![worker()];
        while working.load(Ordering::Acquire) > 0 {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
            // The others meet the same answer at their next page.
            let _ = meter.check();
        }
        let mut panicked = false;
        for handle in others {
            match handle.join() {
                Ok(s) => states.push(s),
                Err(_) => panicked = true,
            }
        }
        if panicked {
            Err(invalid(
                "a scanning thread stopped; please report this".into(),
            ))
        } else {
            Ok(states)
        }
    })?;
    meter.check()?;
    match failed.into_inner().unwrap_or_else(|p| p.into_inner()) {
        Some((_, e)) => Err(e),
        None => Ok(states),
    }
}

/// Problems of columns by position among the tasks; the one of the first unit is kept.
type Failures = Mutex<BTreeMap<usize, (usize, String)>>;

struct Scan<'a> {
    source: &'a dyn Source,
    units: Vec<usize>,
    /// Units in the parts of a stream before this one.
    before: usize,
    threads: usize,
    meter: &'a Meter<'a>,
    failures: &'a Failures,
    /// The lowest unit found unreadable.
    bad: &'a Mutex<Option<usize>>,
}

impl Scan<'_> {
    /// Calls `each` with what one pass reads: everything at once, or a stream's parts in turn.
    fn parts(&self, each: &mut dyn FnMut(&Scan<'_>) -> Result<()>) -> Result<()> {
        let Some(stream) = self.source.stream() else {
            return each(self);
        };
        let mut before = 0;
        stream.pass(self.meter, &mut |part| {
            let part = Metered::checked(part, self.meter);
            let units: Vec<usize> = (0..part.units()).collect();
            let (from, n) = (before, units.len());
            before += n;
            each(&Scan {
                source: &part,
                units,
                before: from,
                ..*self
            })
        })
    }

    /// Bytes of columns in all units; counted once more for each pass over them.
    fn expect(&self, columns: impl IntoIterator<Item = usize>) {
        let bytes = columns
            .into_iter()
            .flat_map(|c| self.units.iter().map(move |u| (*u, c)))
            .map(|(u, c)| self.source.weight(u, c))
            .sum();
        self.meter.expect(bytes);
    }

    fn failed(&self, task: usize) -> bool {
        self.failures
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .contains_key(&task)
    }

    /// Keeps errors of values as problems of the column; errors of bytes pass.
    fn guard(&self, task: usize, unit: usize, result: Result<()>) -> Result<()> {
        match result {
            Err(Error::Core(tidegauge_core::Error::Schema(message))) => {
                let mut all = self.failures.lock().unwrap_or_else(|p| p.into_inner());
                let unit = self.before + unit;
                let slot = all.entry(task).or_insert((unit, message.clone()));
                if unit < slot.0 {
                    *slot = (unit, message);
                }
                Ok(())
            }
            other => self.spot(unit, other),
        }
    }

    /// Notes the unit of an error of bytes.
    fn spot<T>(&self, unit: usize, result: Result<T>) -> Result<T> {
        if let Err(Error::Corrupt { .. }) = &result {
            let mut bad = self.bad.lock().unwrap_or_else(|p| p.into_inner());
            *bad = Some(bad.map_or(unit, |b| b.min(unit)));
        }
        result
    }

    /// States of all rows, one per task.
    fn whole(&self, tasks: &[Task]) -> Result<States> {
        let mut total: States = tasks.iter().map(|t| t.plan.empty()).collect();
        self.parts(&mut |scan| scan.whole_part(tasks, &mut total))?;
        Ok(total)
    }

    fn whole_part(&self, tasks: &[Task], total: &mut States) -> Result<()> {
        let found = run(
            self.threads,
            self.units.len() * tasks.len(),
            self.meter,
            || vec![None::<ColumnState>; tasks.len()],
            |i, states| {
                let (unit, t) = (self.units[i / tasks.len()], i % tasks.len());
                if self.failed(t) {
                    return Ok(());
                }
                let plan = &tasks[t].plan;
                let state = states[t].get_or_insert_with(|| plan.empty());
                let mut sink = Whole::new(ToState { plan, state });
                let read = self
                    .source
                    .read(unit, tasks[t].at, &mut sink)
                    .and_then(|()| sink.flush());
                self.guard(t, unit, read)
            },
        )?;
        for states in found {
            for (a, b) in total.iter_mut().zip(states) {
                if let Some(b) = b {
                    a.merge(&b)?;
                }
            }
        }
        Ok(())
    }

    /// States of every group.
    fn grouped(
        &self,
        tasks: &[Task],
        compact: &[ColumnPlan],
        cuts: &Cuts,
    ) -> Result<BTreeMap<GroupKey, States>> {
        let mut total = BTreeMap::new();
        self.parts(&mut |scan| scan.grouped_part(tasks, compact, cuts, &mut total))?;
        Ok(total)
    }

    fn grouped_part(
        &self,
        tasks: &[Task],
        compact: &[ColumnPlan],
        cuts: &Cuts,
        total: &mut BTreeMap<GroupKey, States>,
    ) -> Result<()> {
        let found = run(
            self.threads,
            self.units.len(),
            self.meter,
            Groups::new,
            |i, groups| {
                let unit = self.units[i];
                let groupings = self.spot(unit, cuts.groupings(self.source, unit))?;
                for (t, task) in tasks.iter().enumerate() {
                    if self.failed(t) {
                        continue;
                    }
                    let plans = [&task.plan, &compact[t]];
                    let states = groupings
                        .iter()
                        .map(|g| {
                            g.keys
                                .iter()
                                .map(|k| {
                                    let slots = groups
                                        .entry(k.clone())
                                        .or_insert_with(|| vec![None; tasks.len()]);
                                    slots[t].take().unwrap_or_else(|| {
                                        plans[usize::from(k.segment.is_some())].empty()
                                    })
                                })
                                .collect()
                        })
                        .collect();
                    let mut sink = Grouped {
                        groupings: &groupings,
                        plans,
                        states,
                        dictionary: None,
                        row: 0,
                    };
                    let read = self.source.read(unit, task.at, &mut sink);
                    for (g, states) in groupings.iter().zip(sink.states) {
                        for (k, s) in g.keys.iter().zip(states) {
                            if let Some(slots) = groups.get_mut(k) {
                                slots[t] = Some(s);
                            }
                        }
                    }
                    self.guard(t, unit, read)?;
                }
                Ok(())
            },
        )?;
        for groups in found {
            for (key, slots) in groups {
                let segment = key.segment.is_some();
                let states = total.entry(key).or_insert_with(|| {
                    tasks
                        .iter()
                        .zip(compact)
                        .map(|(t, c)| if segment { c.empty() } else { t.plan.empty() })
                        .collect()
                });
                for (a, b) in states.iter_mut().zip(slots) {
                    if let Some(b) = b {
                        a.merge(&b)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One more look at the columns whose cells are too heavy.
    fn refined(
        &self,
        tasks: &[Task],
        open: BTreeMap<usize, Refinement>,
    ) -> Result<BTreeMap<usize, Refinement>> {
        self.expect(open.keys().map(|t| tasks[*t].at));
        let mut total = open;
        self.parts(&mut |scan| scan.refined_part(tasks, &mut total))?;
        Ok(total)
    }

    fn refined_part(&self, tasks: &[Task], total: &mut BTreeMap<usize, Refinement>) -> Result<()> {
        let list: Vec<usize> = total.keys().copied().collect();
        let empty: BTreeMap<usize, Refinement> =
            total.iter().map(|(t, r)| (*t, r.empty())).collect();
        let found = run(
            self.threads,
            self.units.len() * list.len(),
            self.meter,
            || {
                empty
                    .iter()
                    .map(|(t, r)| (*t, r.empty()))
                    .collect::<BTreeMap<_, _>>()
            },
            |i, mine| {
                let (unit, t) = (self.units[i / list.len()], list[i % list.len()]);
                let Some(refinement) = mine.get_mut(&t).filter(|_| !self.failed(t)) else {
                    return Ok(());
                };
                let mut sink = Whole::new(ToRefinement {
                    plan: &tasks[t].plan,
                    refinement,
                });
                let read = self
                    .source
                    .read(unit, tasks[t].at, &mut sink)
                    .and_then(|()| sink.flush());
                self.guard(t, unit, read)
            },
        )?;
        for mine in found {
            for (t, r) in mine {
                if let Some(a) = total.get_mut(&t) {
                    a.merge(&r);
                }
            }
        }
        Ok(())
    }

    /// Grids and dictionaries of a reference.
    fn freeze(&self, tasks: &[Task]) -> Result<Vec<Column>> {
        let keys = self.whole(tasks)?;
        let mut open = BTreeMap::new();
        let mut segments = BTreeMap::new();
        let mut dictionaries = BTreeMap::new();
        let mut take = |t: usize, step: Step, open: &mut BTreeMap<usize, Refinement>| match step {
            Step::Done(s) => {
                segments.insert(t, s);
            }
            Step::Refine(r) => {
                open.insert(t, r);
            }
        };
        for (t, state) in keys.iter().enumerate() {
            match state.categories().map(|c| c.complete()) {
                Some(Some(d)) => {
                    dictionaries.insert(t, d);
                }
                _ => take(t, start(&state.keys().unwrap_or_default()), &mut open),
            }
        }
        while !open.is_empty() {
            for (t, r) in self.refined(tasks, std::mem::take(&mut open))? {
                take(t, r.next(), &mut open);
            }
        }
        let column = |t: usize, attempt: usize| {
            let plan = &tasks[t].plan;
            let frozen = match (segments.get(&t), dictionaries.get(&t)) {
                (_, Some(d)) => (None, Some(std::sync::Arc::clone(d))),
                (Some(s), _) if plan.kind == Kind::Categorical => {
                    let hashes = s
                        .iter()
                        .filter(|s| s.low == s.high)
                        .map(|s| s.low)
                        .collect();
                    (None, Some(Dictionary::new(hashes, false)))
                }
                (s, _) => {
                    let mean = keys[t].mean_variance(Logical::Float).0;
                    let mean = if mean.is_finite() { mean } else { 0.0 };
                    let none = Vec::new();
                    (
                        Some(grid_of(
                            s.unwrap_or(&none),
                            base_domain(plan.logical),
                            mean,
                            attempt,
                        )),
                        None,
                    )
                }
            };
            Profile::frozen_column(&plan.name, plan.logical, plan.kind, frozen.0, frozen.1)
        };
        let mut columns: Vec<Column> = (0..tasks.len()).map(|t| column(t, 0)).collect();
        // Rounding to single precision may put too much into a cell: count, and take doubles there.
        let floats: Vec<usize> = (0..tasks.len())
            .filter(|t| {
                tasks[*t].plan.logical == Logical::Float && tasks[*t].plan.kind == Kind::Numeric
            })
            .filter(|t| keys[*t].counts.not_f32 > 0)
            .collect();
        let trial: Vec<Task> = floats
            .iter()
            .map(|t| Task {
                at: tasks[*t].at,
                plan: columns[*t].plan(tasks[*t].plan.source, false),
            })
            .collect();
        let exact = |t: usize| keys[t].keys().filter(|k| k.is_exact());
        let needs_scan: Vec<usize> = (0..trial.len())
            .filter(|i| exact(floats[*i]).is_none())
            .collect();
        let scanned: Vec<Task> = needs_scan
            .iter()
            .map(|i| Task {
                at: trial[*i].at,
                plan: trial[*i].plan.clone(),
            })
            .collect();
        let mut counted: BTreeMap<usize, ColumnState> = needs_scan
            .iter()
            .copied()
            .zip(if scanned.is_empty() {
                Vec::new()
            } else {
                self.whole_quiet(&scanned)?
            })
            .collect();
        for (i, t) in floats.iter().enumerate() {
            if let Some(k) = exact(*t) {
                let mut s = trial[i].plan.empty();
                k.cells
                    .iter()
                    .for_each(|(key, n)| s.add_base(*key, *n, base_domain(Logical::Float)));
                counted.insert(i, s);
            }
        }
        for (i, s) in counted {
            if s.grid().is_some_and(|g| !g.keeps_bound(s.counts.finite)) {
                columns[floats[i]] = column(floats[i], 1);
            }
        }
        Ok(columns)
    }

    /// [`Scan::whole`] for a subset of the columns: their failures are known already.
    fn whole_quiet(&self, tasks: &[Task]) -> Result<States> {
        let failures = Mutex::default();
        let inner = Scan {
            units: self.units.clone(),
            failures: &failures,
            ..*self
        };
        inner.expect(tasks.iter().map(|t| t.at));
        inner.whole(tasks)
    }
}

fn resolve_columns(source: &dyn Source, options: &ScanOptions) -> Result<Vec<usize>> {
    let names: Vec<&str> = source.columns().iter().map(|c| c.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|n| !seen.insert(**n)) {
        return Err(invalid(format!(
            "column {twice:?} occurs twice; names must differ"
        )));
    }
    let asked = options
        .columns
        .iter()
        .chain(&options.exclude)
        .chain(&options.categorical)
        .chain(options.roles.keys())
        .chain(options.by.iter().flat_map(Cut::columns))
        .chain(&options.model_version);
    for name in asked {
        if !names.contains(&name.as_str()) {
            let close = names
                .iter()
                .take(12)
                .map(|n| format!("{n:?}"))
                .collect::<Vec<_>>()
                .join(", ");
            let more = if names.len() > 12 {
                format!(" and {} more", names.len() - 12)
            } else {
                String::new()
            };
            return Err(invalid(format!(
                "column {name:?} does not exist; the data has {close}{more}"
            )));
        }
    }
    Ok((0..names.len())
        .filter(|i| options.columns.is_empty() || options.columns.iter().any(|c| c == names[*i]))
        .filter(|i| !options.exclude.iter().any(|c| c == names[*i]))
        .collect())
}

fn resolve_cuts(
    source: &dyn Source,
    options: &ScanOptions,
    roles: &BTreeMap<String, String>,
    like: Option<&Profile>,
) -> Result<Cuts> {
    let position = |name: &str| source.columns().iter().position(|c| c.name == name);
    let window = options.window.as_deref().map(parse_window).transpose()?;
    let zone = match &options.time_zone {
        None => chrono_tz::UTC,
        Some(z) => z.parse().map_err(|_| {
            invalid(format!(
                "time zone {z:?}; an IANA name such as \"Europe/Berlin\" would be accepted"
            ))
        })?,
    };
    let time_name = roles
        .iter()
        .find(|(_, r)| *r == "time")
        .map(|(n, _)| n.clone());
    let mut time = None;
    let mut date = false;
    if window.is_some() {
        let Some(name) = time_name else {
            return Err(invalid(
                "a window needs a column with the role time; name one with time=".into(),
            ));
        };
        let at = position(&name)
            .ok_or_else(|| invalid(format!("time column {name:?} does not exist")))?;
        time = Some((
            at,
            match &source.columns()[at].logical {
                Ok(Logical::Timestamp { unit, .. }) => unit.per_second(),
                Ok(Logical::Date) => {
                    date = true;
                    1
                }
                other => {
                    return Err(invalid(format!(
                        "time column {name:?} is {}; a timestamp or date would be accepted",
                        match other {
                            Ok(l) => tidegauge_core::column::name_of(*l),
                            Err(why) => why.clone(),
                        }
                    )));
                }
            },
        ));
    }
    let mut by = Vec::new();
    let mut kept = Vec::new();
    for cut in &options.by {
        let columns: Vec<usize> = cut.columns().iter().filter_map(|c| position(c)).collect();
        let name = cut.columns().join(", ");
        kept.push(like.map(|p| {
            p.groups
                .keys()
                .filter_map(|k| k.segment.as_ref())
                .filter(|s| s.0 == name)
                .map(|s| s.1.clone())
                .collect()
        }));
        by.push((name, columns));
    }
    let model_version = options.model_version.as_deref().and_then(position);
    Ok(Cuts {
        time,
        date,
        window,
        zone,
        by,
        model_version,
        kept,
    })
}

/// The largest segments of each cut, ties by name: a pass over the key columns alone.
fn largest_segments(scan: &Scan<'_>, cuts: &mut Cuts) -> Result<()> {
    for i in 0..cuts.by.len() {
        let (name, columns) = cuts.by[i].clone();
        let alone = Cuts {
            time: None,
            date: false,
            window: None,
            zone: cuts.zone,
            by: vec![(name, columns)],
            model_version: None,
            kept: vec![None],
        };
        let mut total: BTreeMap<String, u64> = BTreeMap::new();
        scan.expect(alone.columns());
        scan.parts(&mut |scan| {
            let found = run(
                scan.threads,
                scan.units.len(),
                scan.meter,
                BTreeMap::<String, u64>::new,
                |u, counts| {
                    let unit = scan.units[u];
                    let groupings = scan.spot(unit, alone.groupings(scan.source, unit))?;
                    let g = &groupings[1];
                    for id in &g.ids {
                        if let Some((_, value)) = &g.keys[*id as usize].segment {
                            match counts.get_mut(value) {
                                Some(c) => *c += 1,
                                None => {
                                    counts.insert(value.clone(), 1);
                                }
                            }
                        }
                    }
                    Ok(())
                },
            )?;
            for counts in found {
                for (k, n) in counts {
                    *total.entry(k).or_default() += n;
                }
            }
            Ok(())
        })?;
        let mut sorted: Vec<(String, u64)> = total.into_iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sorted.truncate(MAX_SEGMENTS);
        cuts.kept[i] = Some(sorted.into_iter().map(|s| s.0).collect());
    }
    Ok(())
}

/// Profiles a source: a reference when `like` is absent, else against the grids of `like`.
///
/// # Errors
/// Options that do not fit the source; more unreadable units than allowed; an interrupt.
pub fn profile(
    source: &dyn Source,
    options: &ScanOptions,
    like: Option<&Profile>,
    progress: Progress<'_>,
) -> Result<Profile> {
    let mut bad: BTreeMap<usize, String> = BTreeMap::new();
    loop {
        let found = Mutex::new(None);
        let error = match attempt(source, options, like, progress, &bad, &found) {
            Err(e @ Error::Corrupt { .. }) => e,
            other => return other,
        };
        match found.into_inner().unwrap_or_else(|p| p.into_inner()) {
            Some(unit) if bad.len() < options.max_bad_units => bad.insert(unit, error.to_string()),
            _ => return Err(error),
        };
    }
}

fn attempt(
    source: &dyn Source,
    options: &ScanOptions,
    like: Option<&Profile>,
    progress: Progress<'_>,
    bad: &BTreeMap<usize, String>,
    found: &Mutex<Option<usize>>,
) -> Result<Profile> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n.min(256),
    };
    let units: Vec<usize> = (0..source.units())
        .filter(|u| !bad.contains_key(u))
        .collect();
    let meter = Meter::new(progress);
    let metered = Metered::weighed(source, &meter);
    let failures = Failures::default();
    let scan = Scan {
        source: &metered,
        units,
        before: 0,
        threads,
        meter: &meter,
        failures: &failures,
        bad: found,
    };
    let mut problems: Vec<Problem> = bad
        .iter()
        .map(|(u, message)| Problem {
            kind: "unit".into(),
            name: source.unit_id(*u),
            message: message.clone(),
            rows: Some(source.unit_rows(*u)),
        })
        .collect();

    let mut tasks: Vec<Task> = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    let mut order = Vec::new();
    for at in resolve_columns(source, options)? {
        let c = &source.columns()[at];
        order.push(c.name.clone());
        let problem = |kind: &str, message: String| Problem {
            kind: kind.into(),
            name: c.name.clone(),
            message,
            rows: None,
        };
        let logical = match &c.logical {
            Ok(l) => *l,
            Err(why) => {
                problems.push(problem(
                    "column",
                    format!("column {:?} ({}): {why}", c.name, c.physical),
                ));
                continue;
            }
        };
        let plan = match like {
            None => ColumnPlan {
                name: c.name.clone(),
                logical,
                source: logical,
                kind: if options.categorical.contains(&c.name) {
                    Kind::Categorical
                } else {
                    default_kind(logical)
                },
                frozen: Frozen::Nothing,
                compact: false,
                exact: false,
            },
            Some(p) => match p.column(&c.name) {
                None => {
                    problems.push(problem(
                        "schema",
                        format!("column {:?} is not in the reference", c.name),
                    ));
                    continue;
                }
                Some(i) => {
                    let plan = p.columns[i].plan(logical, false);
                    if let Err(e) = plan.check_types() {
                        problems.push(problem("column", e.to_string()));
                        continue;
                    }
                    columns.push(p.columns[i].clone());
                    plan
                }
            },
        };
        tasks.push(Task { at, plan });
    }

    // Roles first: windows need the time column.
    let mut roles = like.map(|p| p.metadata.roles.clone()).unwrap_or_default();
    roles.extend(options.roles.clone());
    if !roles.values().any(|r| r == "time") {
        let times: Vec<&str> = tasks
            .iter()
            .filter(|t| {
                matches!(t.plan.logical, Logical::Timestamp { .. })
                    && !roles.contains_key(&t.plan.name)
            })
            .map(|t| t.plan.name.as_str())
            .collect();
        if let ([one], true) = (times.as_slice(), options.window.is_some()) {
            roles.insert((*one).to_owned(), "time".into());
        }
    }
    let mut cuts = resolve_cuts(source, options, &roles, like)?;
    // Passes known from the start: keys of a reference, and counts.
    (0..1 + usize::from(like.is_none())).for_each(|_| scan.expect(tasks.iter().map(|t| t.at)));
    scan.expect(cuts.columns());
    if like.is_none() {
        columns = scan.freeze(&tasks)?;
        largest_segments(&scan, &mut cuts)?;
        for (t, c) in tasks.iter_mut().zip(&columns) {
            t.plan = c.plan(t.plan.source, false);
        }
    }
    tasks.iter_mut().for_each(|t| t.plan.exact = options.exact);
    let compact: Vec<ColumnPlan> = tasks
        .iter()
        .zip(&columns)
        .map(|(t, c)| c.plan(t.plan.source, true))
        .collect();
    let groups = if cuts.is_trivial() {
        BTreeMap::from([(GroupKey::default(), scan.whole(&tasks)?)])
    } else {
        scan.grouped(&tasks, &compact, &cuts)?
    };
    // Columns that failed leave; the rest goes into the order of names.
    meter.finish();
    let failures = std::mem::take(&mut *failures.lock().unwrap_or_else(|p| p.into_inner()));
    for (t, (_, message)) in &failures {
        problems.push(Problem {
            kind: "column".into(),
            name: tasks[*t].plan.name.clone(),
            message: message.clone(),
            rows: None,
        });
    }
    let mut keep: Vec<usize> = (0..tasks.len())
        .filter(|t| !failures.contains_key(t))
        .collect();
    keep.sort_by(|a, b| tasks[*a].plan.name.cmp(&tasks[*b].plan.name));
    let columns: Vec<Column> = keep.iter().map(|t| columns[*t].clone()).collect();
    let groups: BTreeMap<GroupKey, States> = groups
        .into_iter()
        .map(|(k, states)| {
            let mut slots: Vec<Option<ColumnState>> = states.into_iter().map(Some).collect();
            (k, keep.iter().filter_map(|t| slots[*t].take()).collect())
        })
        .collect();

    let borders = groups
        .keys()
        .filter_map(|k| k.window)
        .flat_map(|w| [w.0, w.1]);
    let times = borders
        .filter_map(|us| {
            let at = DateTime::<Utc>::from_timestamp_micros(us)?.with_timezone(&cuts.zone);
            Some((us, at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
        })
        .collect();
    let mut profile = Profile {
        columns,
        groups,
        metadata: Metadata::default(),
    };
    let mut inferred = BTreeSet::new();
    if like.is_none() {
        let total = profile.total()?;
        for (c, s) in profile.columns.iter().zip(&total) {
            if !roles.contains_key(&c.name) {
                roles.insert(c.name.clone(), infer_role(&c.name, c.logical, s).into());
                inferred.insert(c.name.clone());
            }
        }
    }
    problems.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    profile.metadata = Metadata {
        order,
        roles,
        inferred,
        coverage: scan.units.iter().map(|u| source.unit_id(*u)).collect(),
        sources: Vec::new(),
        problems,
        times,
        options: serde_json::to_value(options).unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    Ok(profile)
}
