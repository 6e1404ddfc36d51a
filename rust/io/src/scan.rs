//! The scan: units to states, on scoped threads, column chunk by column chunk.
//!
//! Threads share nothing but a counter; their states are merged at the end, in any order, since
//! states are canonical. A unit that cannot be read is set aside and the scan is run again without
//! it, so that no half-read unit is ever counted; a column whose values do not fit its type becomes
//! a problem of its own and leaves the others alone.

mod cuts;
mod grouped;
mod keys;
mod owned;
mod performance;
mod runs;
mod sample;
mod weights;
mod windows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tidegauge_core::column::{
    ColumnPlan, ColumnState, Frozen, Kind, base_domain, default_kind, name_of, refine,
};
use tidegauge_core::profile::{
    BlockRule, Column, GroupKey, KeySet, Metadata, Problem, Profile, States, infer_role, is_time,
};
use tidegauge_core::states::blocks::MISSING as MISSING_BLOCK;
use tidegauge_core::states::categories::Dictionary;
use tidegauge_core::states::refine::{Refinement, Step, grid_of, start};
use tidegauge_core::value::{Logical, Slice};
use tidegauge_core::weights::{Exponents, Scale};

use crate::meter::{Meter, Metered, Progress};
use crate::source::{PageData, PageSink, Source};
use crate::{Error, Result};
use cuts::{
    BlockBy, Cuts, Grouping, MAX_VALUES, Registry, TimeColumn, TimeOf, crossed, labels,
    too_many_values,
};
use grouped::{Grouped, Pool};
use keys::KeyScan;
use owned::Owned;
pub use performance::performance;
use runs::Runs;
pub use sample::samples;
use weights::{RowUnits, WeighedKeys, Weigher};
use windows::parse_window;

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
    /// Columns whose categories are kept by hash and whose extremes are not kept; those of a reference too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<String>,
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
    /// What makes rows dependent: a length of time, a column, or `none`; days when absent and a time
    /// is known.
    pub block: Option<String>,
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

/// Counts positions in a dictionary, each of them in range.
///
/// The values of small dictionaries follow each other closely, and each addition to a counter waits for
/// the last one to it: four counters take turns.
fn tally(counts: &mut [u64], at: &[u32]) {
    const SMALL: usize = 256;
    let (mut four_each, mut rest) = ([[0u32; SMALL]; 4], at);
    if counts.len() <= SMALL && at.len() >= SMALL {
        let (fours, few) = at.as_chunks::<4>();
        for four in fours {
            for (counts, i) in four_each.iter_mut().zip(four) {
                counts[*i as usize % SMALL] += 1;
            }
        }
        for (i, count) in counts.iter_mut().enumerate() {
            *count += four_each.iter().map(|c| u64::from(c[i])).sum::<u64>();
        }
        rest = few;
    }
    for i in rest {
        if let Some(count) = counts.get_mut(*i as usize) {
            *count += 1;
        }
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
                tally(&mut self.counts, at);
                at.len()
            }
        };
        Ok(self.target.nulls((rows - n) as u64)?)
    }
}

fn invalid(message: String) -> Error {
    Error::Core(tidegauge_core::Error::InvalidArgument(message))
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

/// Rows of one unit: by group, and their weights.
struct UnitRows {
    groupings: Vec<Grouping>,
    units: Option<RowUnits>,
}

/// Groups the rows of a unit.
type Group<'a> = dyn Fn(&Scan<'_>, usize, Option<&RowUnits>) -> Result<Vec<Grouping>> + Sync + 'a;

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
    /// Weights of the rows, where they have any.
    weigher: Option<&'a Weigher>,
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

    /// States of all rows, one per task; `keys` sees the same rows.
    fn whole(&self, tasks: &[Task], mut keys: Option<&mut KeyScan<'_>>) -> Result<States> {
        let mut total: States = tasks.iter().map(|t| t.plan.empty()).collect();
        if self.weigher.is_some() {
            let plans: Vec<ColumnPlan> = tasks.iter().map(|t| t.plan.clone()).collect();
            let group = |_: &Scan<'_>, _, rows: Option<&RowUnits>| {
                Ok(vec![Grouping::whole(rows.map_or(0, RowUnits::len))])
            };
            for (total, found) in total
                .iter_mut()
                .zip(self.pooled(tasks, &plans, &group, keys)?)
            {
                if let Some(Some(found)) = found.into_iter().next() {
                    *total = *found;
                }
            }
            return Ok(total);
        }
        self.parts(&mut |scan| {
            scan.whole_part(tasks, &mut total)?;
            keys.as_mut().map_or(Ok(()), |k| k.part(scan))
        })?;
        Ok(total)
    }

    /// Units of the rows of a unit, where they have weights.
    fn units_of(&self, unit: usize) -> Result<Option<RowUnits>> {
        let read = |w: &Weigher| w.units(self.source, unit, self.before + unit);
        let found = self.weigher.map(read).transpose();
        self.spot(unit, found)
    }

    /// The power of two of the weights of a reference: a pass over their column.
    fn exponent(&self, weigher: &Weigher) -> Result<i32> {
        let mut all = Exponents::default();
        self.expect([weigher.at()]);
        self.parts(&mut |scan| {
            let found = run(
                scan.threads,
                scan.units.len(),
                scan.meter,
                Exponents::default,
                |u, mine| {
                    let unit = scan.units[u];
                    scan.spot(unit, weigher.exponents(scan.source, unit, mine))
                },
            )?;
            found.iter().for_each(|e| all.merge(e));
            Ok(())
        })?;
        Ok(all.unit())
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

    /// States of every group; of all rows where nothing is cut.
    fn grouped(
        &self,
        tasks: &[Task],
        compact: &[ColumnPlan],
        cuts: &Cuts,
        keys: Option<&mut KeyScan<'_>>,
    ) -> Result<BTreeMap<GroupKey, States>> {
        if cuts.is_trivial() {
            let states = self.whole(tasks, keys)?;
            return Ok(BTreeMap::from([(GroupKey::default(), states)]));
        }
        let registry = Registry::default();
        let group = |scan: &Scan<'_>, unit, rows: Option<&RowUnits>| {
            cuts.groupings(scan.source, unit, &registry, rows.is_some())
        };
        let mut columns = self.pooled(tasks, compact, &group, keys)?;
        let states = |(key, group): (GroupKey, u32)| {
            let segment = key.segment.is_some();
            let states = columns
                .iter_mut()
                .zip(tasks)
                .zip(compact)
                .map(|((c, t), compact)| {
                    let plan = if segment { compact } else { &t.plan };
                    let found = c.get_mut(group as usize).and_then(Option::take);
                    found.map_or_else(|| plan.empty(), |state| *state)
                });
            (key, states.collect())
        };
        Ok(registry.into_keys().map(states).collect())
    }

    /// States of each column, by number of the group.
    fn pooled(
        &self,
        tasks: &[Task],
        compact: &[ColumnPlan],
        group: &Group<'_>,
        mut keys: Option<&mut KeyScan<'_>>,
    ) -> Result<Vec<grouped::States>> {
        let mut pools: Vec<Pool> = Vec::new();
        pools.resize_with(tasks.len(), Pool::default);
        self.parts(&mut |scan| {
            scan.grouped_part(tasks, compact, group, &pools)?;
            keys.as_mut().map_or(Ok(()), |k| k.part(scan))
        })?;
        Ok(pools.into_iter().map(Pool::into_states).collect())
    }

    /// Threads share the order of a unit's rows and go on from column to column.
    fn grouped_part(
        &self,
        tasks: &[Task],
        compact: &[ColumnPlan],
        group: &Group<'_>,
        pools: &[Pool],
    ) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        // By unit, until its last column is done: its rows, and columns still to do.
        let mut orders = Vec::with_capacity(self.units.len());
        orders.resize_with(self.units.len(), || {
            Mutex::new((None::<Arc<UnitRows>>, tasks.len()))
        });
        let order = |u: usize| orders[u].lock().unwrap_or_else(|p| p.into_inner());
        let rows = |u: usize| -> Result<Arc<UnitRows>> {
            let mut slot = order(u);
            if let Some(found) = &slot.0 {
                return Ok(Arc::clone(found));
            }
            let unit = self.units[u];
            let units = self.units_of(unit)?;
            let groupings = self.spot(unit, group(self, unit, units.as_ref()))?;
            let found = Arc::new(UnitRows { groupings, units });
            slot.0 = Some(Arc::clone(&found));
            Ok(found)
        };
        // Before the columns of a unit come the rows of the next one, so that no thread waits for them.
        let steps = tasks.len() + 1;
        run(
            self.threads,
            self.units.len() * steps,
            self.meter,
            || (),
            |i, ()| {
                let (u, step) = (i / steps, i % steps);
                let Some(t) = step.checked_sub(1) else {
                    if self.threads > 1 && u + 1 < self.units.len() {
                        rows(u + 1)?;
                    }
                    return Ok(());
                };
                let (unit, rows) = (self.units[u], rows(u)?);
                let (groupings, units) = (&rows.groupings, rows.units.as_ref());
                if !self.failed(t) {
                    let mut states = pools[t].take();
                    let plans = [&tasks[t].plan, &compact[t]];
                    let read = if groupings.iter().all(|g| g.order.is_empty()) {
                        let mut sink = Runs::new(groupings, plans, &mut states);
                        let read = self.source.read(unit, tasks[t].at, &mut sink);
                        read.and_then(|()| sink.flush())
                    } else {
                        let mut sink = Grouped::new(groupings, plans, &mut states, units);
                        let read = self.source.read(unit, tasks[t].at, &mut sink);
                        read.and_then(|()| sink.flush())
                    };
                    pools[t].give(states)?;
                    self.guard(t, unit, read)?;
                }
                let mut slot = order(u);
                slot.1 -= 1;
                if slot.1 == 0 {
                    slot.0 = None;
                }
                Ok(())
            },
        )?;
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
        // By unit, until its last column is done: its weights, and columns still to do.
        let mut slots = Vec::with_capacity(self.units.len());
        slots.resize_with(self.units.len(), || {
            Mutex::new((None::<Arc<RowUnits>>, list.len()))
        });
        let units = |u: usize| -> Result<Option<Arc<RowUnits>>> {
            let mut slot = slots[u].lock().unwrap_or_else(|p| p.into_inner());
            if slot.0.is_none() {
                slot.0 = self.units_of(self.units[u])?.map(Arc::new);
            }
            slot.1 -= 1;
            Ok(match slot.1 {
                0 => slot.0.take(),
                _ => slot.0.clone(),
            })
        };
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
                let units = units(i / list.len())?;
                let Some(refinement) = mine.get_mut(&t).filter(|_| !self.failed(t)) else {
                    return Ok(());
                };
                if let Some(units) = units {
                    let mut sink = WeighedKeys::new(&tasks[t].plan, refinement, &units);
                    let read = self.source.read(unit, tasks[t].at, &mut sink);
                    return self.guard(t, unit, read.and_then(|()| sink.flush()));
                }
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

    /// Grids and dictionaries of a reference; and for columns whose cells in single precision hold too much if
    /// the counts say so, the same in double precision.
    fn freeze(&self, tasks: &[Task]) -> Result<(Vec<Column>, BTreeMap<usize, Column>)> {
        let keys = self.whole(tasks, None)?;
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
                            keys[t].worth(),
                        )),
                        None,
                    )
                }
            };
            Profile::frozen_column(&plan.name, plan.logical, plan.kind, frozen.0, frozen.1)
        };
        let mut columns: Vec<Column> = (0..tasks.len()).map(|t| column(t, 0)).collect();
        // Rounding to single precision may put too much into a cell, which only counts tell: those of the
        // keys where they are exact, else those of the rows.
        let floats: Vec<usize> = (0..tasks.len())
            .filter(|t| {
                tasks[*t].plan.logical == Logical::Float && tasks[*t].plan.kind == Kind::Numeric
            })
            .filter(|t| keys[*t].counts.not_f32 > 0)
            .collect();
        let mut doubts = BTreeMap::new();
        for t in floats {
            let Some(k) = keys[t].keys().filter(|k| k.is_exact()) else {
                doubts.insert(t, column(t, 1));
                continue;
            };
            let mut s = columns[t].plan(tasks[t].plan.source, false).empty();
            k.cells
                .iter()
                .for_each(|(key, n)| s.add_base(*key, *n, base_domain(Logical::Float)));
            if s.grid().is_some_and(|g| !g.keeps_bound(s.counts.finite)) {
                columns[t] = column(t, 1);
            }
        }
        Ok((columns, doubts))
    }

    /// [`Scan::grouped`] for a subset of the columns: their failures are known already.
    fn grouped_again(
        &self,
        tasks: &[Task],
        compact: &[ColumnPlan],
        cuts: &Cuts,
    ) -> Result<BTreeMap<GroupKey, States>> {
        let failures = Mutex::default();
        let inner = Scan {
            units: self.units.clone(),
            failures: &failures,
            ..*self
        };
        inner.expect(tasks.iter().map(|t| t.at).chain(cuts.columns()));
        inner.grouped(tasks, compact, cuts, None)
    }
}

/// Roles of columns that nothing is read by: the data may come without them where the reference has them, and a
/// column that is missing is a row of the schema.
const MAY_BE_MISSING: [&str; 4] = ["feature", "label", "prediction", "score"];

fn resolve_columns(
    source: &dyn Source,
    options: &ScanOptions,
    like: Option<&Profile>,
) -> Result<Vec<usize>> {
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
        .chain(options.roles.iter().filter_map(|(name, role)| {
            let known = like.is_some_and(|like| like.column(name).is_some());
            (!known || !MAY_BE_MISSING.contains(&role.as_str())).then_some(name)
        }))
        .chain(options.by.iter().flat_map(Cut::columns))
        .chain(&options.model_version);
    for name in asked {
        if !names.contains(&name.as_str()) {
            return Err(unknown_column(name, &names));
        }
    }
    Ok((0..names.len())
        .filter(|i| options.columns.is_empty() || options.columns.iter().any(|c| c == names[*i]))
        .filter(|i| !options.exclude.iter().any(|c| c == names[*i]))
        .collect())
}

/// The error of a column that does not exist: the name nearest to it, and what there is.
fn unknown_column(name: &str, names: &[&str]) -> Error {
    let held = names
        .iter()
        .take(12)
        .map(|n| format!("{n:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let more = match names.len().saturating_sub(12) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let alike = |n: &&&str| strsim::jaro_winkler(name, n);
    let near = names
        .iter()
        .filter(|n| alike(n) > 0.8)
        .max_by(|a, b| alike(a).total_cmp(&alike(b)))
        .map_or_else(String::new, |n| format!("; did you mean {n:?}?"));
    invalid(format!(
        "column {name:?} does not exist{near} (the data has {held}{more})"
    ))
}

fn parse_zone(name: Option<&str>) -> Result<chrono_tz::Tz> {
    name.map_or(Ok(chrono_tz::UTC), |z| {
        z.parse().map_err(|_| {
            invalid(format!(
                "time zone {z:?}; an IANA name such as \"Europe/Berlin\" would be accepted"
            ))
        })
    })
}

/// Fewest blocks of a reference that blocks are kept for unless they were asked for.
const FEWEST_BLOCKS: usize = 20;

/// The rule of blocks: that of the reference; else the one asked for; else days where a time is
/// known. The message says why the rule of a reference cannot be kept.
fn resolve_block(
    source: &dyn Source,
    options: &ScanOptions,
    roles: &BTreeMap<String, String>,
    like: Option<&Profile>,
) -> Result<(Option<BlockRule>, Option<String>)> {
    let has = |name: &str| source.columns().iter().any(|c| c.name == name);
    if let Some(like) = like {
        let column = match &like.block {
            None => return Ok((None, None)),
            Some(BlockRule::Time { column, .. } | BlockRule::Key { column }) => column,
        };
        if has(column) {
            return Ok((like.block.clone(), None));
        }
        let message = format!(
            "column {column:?} gives the blocks of the reference and is not here: rows are taken as independent"
        );
        return Ok((None, Some(message)));
    }
    let time = roles.iter().find(|(_, r)| *r == "time").map(|(n, _)| n);
    let days = |column: &String, length: &str| BlockRule::Time {
        column: column.clone(),
        length: length.to_owned(),
        zone: options.time_zone.clone().unwrap_or_else(|| "UTC".into()),
    };
    match (options.block.as_deref(), time) {
        (Some("none"), _) => Ok((None, None)),
        (None, time) => Ok((time.map(|t| days(t, "1d")), None)),
        (Some(key), _) if has(key) => Ok((
            Some(BlockRule::Key {
                column: key.to_owned(),
            }),
            None,
        )),
        (Some(length), Some(time)) if parse_window(length).is_ok() => {
            Ok((Some(days(time, length)), None))
        }
        (Some(length), None) if parse_window(length).is_ok() => Err(invalid(format!(
            "block {length:?} needs a column with the role time; name one with time="
        ))),
        (Some(other), _) => Err(invalid(format!(
            "block {other:?}; a length such as \"1d\" (a number and h, d, w or mo), the name of a column, or \"none\" would be accepted"
        ))),
    }
}

/// Columns whose texts and extremes are not kept.
///
/// A name of no column is an error where the data is a reference: a slip of the pen would show the column.
fn sensitive(
    source: &dyn Source,
    options: &ScanOptions,
    like: Option<&Profile>,
) -> Result<BTreeSet<String>> {
    let held: Vec<&str> = source.columns().iter().map(|c| c.name.as_str()).collect();
    let unknown = |name: &&String| like.is_none() && !held.contains(&name.as_str());
    if let Some(name) = options.sensitive.iter().find(unknown) {
        return Err(unknown_column(name, &held));
    }
    let frozen = like.and_then(|p| p.metadata.options.get("sensitive"));
    let frozen: Vec<String> = frozen
        .and_then(|names| serde_json::from_value(names.clone()).ok())
        .unwrap_or_default();
    let names: BTreeSet<String> = options.sensitive.iter().cloned().chain(frozen).collect();
    let versions = options.model_version.as_slice();
    let shown = options.by.iter().flat_map(Cut::columns).chain(versions);
    match shown.into_iter().find(|c| names.contains(*c)) {
        Some(column) => Err(invalid(format!(
            "column {column:?} is sensitive, and segments would tell its values; a cut by another column would be accepted"
        ))),
        None => Ok(names),
    }
}

fn resolve_cuts(
    source: &dyn Source,
    options: &ScanOptions,
    roles: &BTreeMap<String, String>,
    block: Option<&BlockRule>,
    like: Option<&Profile>,
) -> Result<Cuts> {
    let position = |name: &str| source.columns().iter().position(|c| c.name == name);
    let readable = |at: usize| {
        let column = &source.columns()[at];
        let why = column.logical.as_ref().err();
        why.map_or(Ok(()), |why| {
            let name = &column.name;
            Err(invalid(format!(
                "column {name:?} cannot cut the rows: {why}"
            )))
        })
    };
    let window = options.window.as_deref().map(parse_window).transpose()?;
    let zone = parse_zone(options.time_zone.as_deref())?;
    let mut time = None;
    if window.is_some() || matches!(block, Some(BlockRule::Time { .. })) {
        let name = match block {
            Some(BlockRule::Time { column, .. }) if window.is_none() => Some(column),
            _ => roles.iter().find(|(_, r)| *r == "time").map(|(n, _)| n),
        };
        let name = name.ok_or_else(|| {
            invalid("a window needs a column with the role time; name one with time=".into())
        })?;
        let at = position(name)
            .ok_or_else(|| invalid(format!("time column {name:?} does not exist")))?;
        let unit = match &source.columns()[at].logical {
            Ok(Logical::Timestamp { unit, .. }) => TimeOf::PerSecond(unit.per_second()),
            Ok(Logical::Date) => TimeOf::Days,
            other => {
                return Err(invalid(format!(
                    "time column {name:?} is {}; a timestamp or date would be accepted",
                    match other {
                        Ok(l) => tidegauge_core::column::name_of(*l),
                        Err(why) => why.clone(),
                    }
                )));
            }
        };
        time = Some(TimeColumn { at, unit });
    }
    let block_by = match block {
        Some(BlockRule::Time { length, zone, .. }) => Some(BlockBy::Time(
            parse_window(length)?,
            parse_zone(Some(zone))?,
        )),
        Some(BlockRule::Key { column }) => {
            let at = position(column);
            at.iter().try_for_each(|c| readable(*c))?;
            at.map(BlockBy::Key)
        }
        None => None,
    };
    let mut by = Vec::new();
    let mut kept = Vec::new();
    for cut in &options.by {
        let columns: Vec<usize> = cut.columns().iter().filter_map(|c| position(c)).collect();
        if columns.is_empty() {
            return Err(invalid("a cut without a column; name at least one".into()));
        }
        columns.iter().try_for_each(|c| readable(*c))?;
        let name = crossed(cut.columns());
        let groups = like.iter().flat_map(|p| p.groups.keys());
        let segments = groups.filter_map(|k| k.segment.as_ref());
        kept.push(
            segments
                .filter(|s| s.0 == name)
                .map(|s| s.1.clone())
                .collect(),
        );
        by.push((name, columns));
    }
    let model_version = options.model_version.as_deref().and_then(position);
    model_version.iter().try_for_each(|c| readable(*c))?;
    Ok(Cuts {
        time,
        window,
        zone,
        by,
        model_version,
        block: block_by,
        kept,
    })
}

/// The largest segments of each cut, ties by name: a pass over the key columns alone.
fn largest_segments(scan: &Scan<'_>, cuts: &mut Cuts) -> Result<()> {
    for i in 0..cuts.by.len() {
        let columns = &cuts.by[i].1;
        let mut total: HashMap<String, u64> = HashMap::new();
        scan.expect(columns.iter().copied());
        scan.parts(&mut |scan| {
            let found = run(
                scan.threads,
                scan.units.len(),
                scan.meter,
                HashMap::<String, u64>::new,
                |u, counts| {
                    let unit = scan.units[u];
                    let labels = scan.spot(unit, labels(scan.source, unit, columns))?;
                    let units = scan.units_of(unit)?;
                    let mut rows = vec![0u64; labels.texts.len()];
                    for (row, id) in labels.ids.iter().enumerate() {
                        let n = units.as_ref().map_or(1, |u| u.of(row).count);
                        rows[*id as usize] = rows[*id as usize].saturating_add(n);
                    }
                    // A text that no row has, of a dictionary or of (missing), is no segment.
                    let texts = labels.texts.into_iter().zip(rows).filter(|(_, n)| *n > 0);
                    add_counts(counts, texts)
                },
            )?;
            found
                .into_iter()
                .try_for_each(|counts| add_counts(&mut total, counts))
        })?;
        let mut sorted: Vec<(String, u64)> = total.into_iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sorted.truncate(MAX_SEGMENTS);
        cuts.kept[i] = sorted.into_iter().map(|s| s.0).collect();
    }
    Ok(())
}

fn add_counts(
    total: &mut HashMap<String, u64>,
    counts: impl IntoIterator<Item = (String, u64)>,
) -> Result<()> {
    for (text, n) in counts {
        let slot = total.entry(text).or_default();
        *slot = slot.saturating_add(n);
        if total.len() > MAX_VALUES {
            return Err(too_many_values());
        }
    }
    Ok(())
}

/// Columns of the key, ascending: those of the reference, else those given the role `id`.
fn key_columns(options: &ScanOptions, like: Option<&Profile>) -> Vec<String> {
    match like {
        Some(like) => like
            .keys
            .as_ref()
            .map_or_else(Vec::new, |k| k.columns.clone()),
        None => {
            let ids = options.roles.iter().filter(|(_, role)| *role == "id");
            ids.map(|(name, _)| name.clone()).collect()
        }
    }
}

/// Blocks that hold a row of the whole.
fn count_blocks(groups: &BTreeMap<GroupKey, States>) -> usize {
    let whole = groups.iter().filter(|(k, _)| k.segment.is_none());
    let keys: BTreeSet<i64> = whole
        .filter_map(|(_, s)| s.first()?.blocks())
        .flat_map(|b| b.iter().map(|(key, _)| *key))
        .filter(|key| *key != MISSING_BLOCK)
        .collect();
    keys.len()
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
    let veiled = sensitive(source, options, like)?;
    let meter = Meter::new(progress);
    let metered = Metered::weighed(source, &meter);
    let failures = Failures::default();
    let (mut weigher, unweighed) = weights::resolve(source, &options.roles, like)?;
    let scan = Scan {
        source: &metered,
        units,
        before: 0,
        threads,
        meter: &meter,
        failures: &failures,
        weigher: None,
        bad: found,
    };
    if let (Some(w), None) = (&mut weigher, like)
        && w.scale != Scale::Frequency
    {
        w.scale = Scale::Sampling(scan.exponent(w)?);
    }
    let scan = Scan {
        weigher: weigher.as_ref(),
        ..scan
    };
    let weight = weigher.as_ref().and_then(|w| w.rule(like));
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
    let weighs = weigher.as_ref().map(Weigher::at);
    for at in resolve_columns(source, options, like)? {
        if weighs == Some(at) {
            continue;
        }
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
                blocked: false,
                weighed: false,
            },
            Some(p) => match p.column(&c.name) {
                None => {
                    problems.push(problem(
                        "extra",
                        format!(
                            "column {:?} ({}) is not in the reference",
                            c.name,
                            name_of(logical)
                        ),
                    ));
                    continue;
                }
                Some(i) => {
                    let plan = p.columns[i].plan(logical, false);
                    if let Err(e) = plan.check_types() {
                        problems.push(problem("inexact", e.to_string()));
                        continue;
                    }
                    if plan.logical != logical {
                        problems.push(problem(
                            "type",
                            format!(
                                "column {:?} is {} here and {} in the reference; every value converts exactly",
                                c.name,
                                name_of(logical),
                                name_of(plan.logical)
                            ),
                        ));
                    }
                    columns.push(p.columns[i].clone());
                    plan
                }
            },
        };
        tasks.push(Task { at, plan });
    }

    let profiled: Vec<usize> = tasks.iter().map(|t| t.at).chain(weighs).collect();
    source.profiled(&profiled);

    // Roles first: windows need the time column.
    let mut timely = None;
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
    // A time is known by its type and name before anything is read.
    if like.is_none() && !roles.values().any(|r| r == "time") {
        let named =
            |t: &&Task| !roles.contains_key(&t.plan.name) && is_time(&t.plan.name, t.plan.logical);
        if let Some(name) = tasks.iter().find(named).map(|t| t.plan.name.clone()) {
            timely = Some(name);
        }
    }
    let mut known = roles.clone();
    known.extend(timely.map(|name| (name, "time".to_owned())));
    let (mut block, unblocked) = resolve_block(source, options, &known, like)?;
    let unusual = [("block", unblocked), ("weight", unweighed)];
    for (name, message) in unusual {
        problems.extend(message.map(|message| Problem {
            kind: "schema".into(),
            name: name.into(),
            message,
            rows: None,
        }));
    }
    let mut cuts = resolve_cuts(source, options, &roles, block.as_ref(), like)?;
    columns
        .iter_mut()
        .for_each(|c| (c.blocked, c.weighed) = (block.is_some(), weight.is_some()));
    for t in &mut tasks {
        (t.plan.blocked, t.plan.weighed) = (block.is_some(), weight.is_some());
    }
    // Passes known from the start: keys of a reference, and counts.
    (0..1 + usize::from(like.is_none())).for_each(|_| scan.expect(tasks.iter().map(|t| t.at)));
    scan.expect(cuts.columns());
    let mut doubts = BTreeMap::new();
    if like.is_none() {
        (columns, doubts) = scan.freeze(&tasks)?;
        largest_segments(&scan, &mut cuts)?;
        columns
            .iter_mut()
            .chain(doubts.values_mut())
            .for_each(|c| (c.blocked, c.weighed) = (block.is_some(), weight.is_some()));
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
    let mut named = key_columns(options, like);
    if !named.is_empty()
        && weigher
            .as_ref()
            .is_some_and(|w| w.scale == Scale::Frequency)
    {
        problems.push(Problem {
            kind: "schema".into(),
            name: "id".into(),
            message: "duplicate keys are not counted where rows have frequencies".into(),
            rows: None,
        });
        named.clear();
    }
    let found = named.iter().filter_map(|name| {
        let task = tasks.iter().find(|t| t.plan.name == *name)?;
        Some((task.at, task.plan.clone()))
    });
    let found: Vec<_> = found.collect();
    // Without one of its columns there is no key; the column is told as missing.
    let mut keys =
        (!named.is_empty() && found.len() == named.len()).then(|| KeyScan::new(found, &cuts));
    scan.expect(keys.iter().flat_map(KeyScan::reads));
    let mut groups = scan.grouped(&tasks, &compact, &cuts, keys.as_mut())?;
    doubts.retain(|t, _| !scan.failed(*t));
    let mut again = Vec::new();
    for (t, doubles) in doubts {
        let mut total = tasks[t].plan.empty();
        for (_, states) in groups.iter().filter(|(k, _)| k.segment.is_none()) {
            total.merge(&states[t])?;
        }
        if total
            .grid()
            .is_some_and(|g| !g.keeps_bound(total.counts.finite))
        {
            columns[t] = doubles;
            again.push(t);
        }
    }
    if !again.is_empty() {
        let plan = |t: usize, compact: bool| ColumnPlan {
            exact: options.exact && !compact,
            ..columns[t].plan(tasks[t].plan.source, compact)
        };
        let subset: Vec<Task> = again
            .iter()
            .map(|t| Task {
                at: tasks[*t].at,
                plan: plan(*t, false),
            })
            .collect();
        let compact: Vec<ColumnPlan> = again.iter().map(|t| plan(*t, true)).collect();
        for (key, states) in scan.grouped_again(&subset, &compact, &cuts)? {
            if let Some(held) = groups.get_mut(&key) {
                for (t, state) in again.iter().zip(states) {
                    held[*t] = state;
                }
            }
        }
    }
    let keys = keys.and_then(KeyScan::finish).map(|groups| KeySet {
        columns: named,
        groups,
    });
    // Columns that failed leave; the rest goes into the order of names.
    meter.finish();
    problems.extend(weigher.as_ref().and_then(Weigher::problem));
    let failures = std::mem::take(&mut *failures.lock().unwrap_or_else(|p| p.into_inner()));
    for (t, (_, message)) in &failures {
        // What does not convert has another type than the reference, and is no longer converted.
        let name = &tasks[*t].plan.name;
        problems.retain(|p| p.kind != "type" || p.name != *name);
        let kind = if like.is_some() { "inexact" } else { "column" };
        let role = |p: &BTreeMap<String, String>| p.get(name).is_some_and(|r| r == "protected");
        let protected = role(&options.roles) || like.is_some_and(|p| role(&p.metadata.roles));
        let message = if veiled.contains(name) || protected {
            let (source, logical) = (tasks[*t].plan.source, tasks[*t].plan.logical);
            format!(
                "column {name:?}: a value ({}), which is not told, is not exactly a value of the reference's type {}",
                name_of(source),
                name_of(logical)
            )
        } else {
            message.clone()
        };
        problems.push(Problem {
            kind: kind.into(),
            name: tasks[*t].plan.name.clone(),
            message,
            rows: None,
        });
    }
    let mut keep: Vec<usize> = (0..tasks.len())
        .filter(|t| !failures.contains_key(t))
        .collect();
    keep.sort_by(|a, b| tasks[*a].plan.name.cmp(&tasks[*b].plan.name));
    let mut columns: Vec<Column> = keep.iter().map(|t| columns[*t].clone()).collect();
    let mut groups: BTreeMap<GroupKey, States> = groups
        .into_iter()
        .map(|(k, states)| {
            let mut slots: Vec<Option<ColumnState>> = states.into_iter().map(Some).collect();
            (k, keep.iter().filter_map(|t| slots[*t].take()).collect())
        })
        .collect();

    if like.is_none()
        && options.block.is_none()
        && block.is_some()
        && count_blocks(&groups) < FEWEST_BLOCKS
    {
        block = None;
        columns.iter_mut().for_each(|c| c.blocked = false);
        groups
            .values_mut()
            .flatten()
            .for_each(ColumnState::forget_blocks);
    }
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
    if weigher.is_some() {
        // A group whose rows have no weight is none.
        let held = |s: &States| s.is_empty() || s.iter().any(|s| s.counts.rows() > 0);
        groups.retain(|k, s| *k == GroupKey::default() || held(s));
    }
    let mut profile = Profile {
        columns,
        block,
        weight,
        groups,
        keys,
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
    problems.extend(source.notes().into_iter().map(|(name, message)| Problem {
        kind: "schema".into(),
        name,
        message,
        rows: None,
    }));
    problems.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    profile.metadata = Metadata {
        order,
        roles,
        inferred,
        coverage: scan.units.iter().map(|u| source.unit_id(*u)).collect(),
        sources: Vec::new(),
        problems,
        times,
        options: serde_json::to_value(ScanOptions {
            sensitive: veiled.iter().cloned().collect(),
            ..options.clone()
        })
        .unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    profile.veil(&veiled);
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::tally;

    #[test]
    fn positions_are_counted_like_one_by_one() {
        for size in [1usize, 3, 255, 256, 257, 5000] {
            for n in [0, 7, 255, 256, 1001, 8192] {
                let at: Vec<u32> = (0..n).map(|i| (i * i % 7919 % size) as u32).collect();
                let mut counts: Vec<u64> = (0..size as u64).collect();
                let mut expected = counts.clone();
                at.iter().for_each(|i| expected[*i as usize] += 1);
                tally(&mut counts, &at);
                assert_eq!(counts, expected, "{size} {n}");
            }
        }
    }
}
