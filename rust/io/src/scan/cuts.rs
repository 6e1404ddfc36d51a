//! From key columns to groups: windows, model versions and segments of the rows of a unit.
//!
//! What a footer claims is never allocated: ids grow with the rows that were really read, and a
//! unit whose key columns have other rows than its footer says is corrupt.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Mutex;

use tidegauge_core::profile::GroupKey;
use tidegauge_core::states::blocks::{KEY_BLOCKS, MISSING as MISSING_BLOCK};
use tidegauge_core::states::categories::hash;
use tidegauge_core::value::Slice;

use super::windows::{Window, window_of};
use super::{MISSING, OTHER, invalid};
use crate::source::{PageData, PageSink, Source};
use crate::{Error, Result};

/// Most rows of a unit that is cut into groups: a page of a few bytes may hold billions of equal keys.
const MAX_ROWS: u64 = 1 << 27;
/// Most values of a key column, so that an id column named by mistake does not fill the memory.
pub(super) const MAX_VALUES: usize = 1 << 20;
/// Most windows; hours of a year are 8,784.
const MAX_WINDOWS: usize = 1 << 14;
/// Most groups of a scan.
const MAX_GROUPS: usize = 1 << 16;
/// Largest table of pairs of ids; more pairs are kept in a map.
const PAIR_TABLE: usize = 1 << 18;

/// Groups by what they stand for, numbered as they are met.
#[derive(Default)]
pub(super) struct Registry {
    known: Mutex<HashMap<GroupKey, u32>>,
}

impl Registry {
    fn number(&self, key: GroupKey) -> Result<u32> {
        let mut known = self.known.lock().unwrap_or_else(|p| p.into_inner());
        let next = known.len();
        let id = *known.entry(key).or_insert(next as u32);
        if known.len() > MAX_GROUPS {
            return Err(invalid(format!(
                "the cuts make more than {MAX_GROUPS} groups; longer windows or fewer segments would be accepted"
            )));
        }
        Ok(id)
    }

    /// Every group met, with its number.
    pub(super) fn into_keys(self) -> impl Iterator<Item = (GroupKey, u32)> {
        let known = self.known.into_inner().unwrap_or_else(|p| p.into_inner());
        known.into_iter()
    }
}

/// Rows of one unit in the order of their groups and blocks.
pub(super) struct Grouping {
    /// Number of each group in the scan.
    pub(super) groups: Vec<u32>,
    /// Block of each group; a group of several blocks is here once for each.
    pub(super) blocks: Vec<i64>,
    /// Whether the groups are segments, whose states are compact.
    pub(super) segment: bool,
    /// Rows, group by group, ascending in each.
    pub(super) order: Vec<u32>,
    /// Where each group begins in `order`, and the end.
    pub(super) starts: Vec<u32>,
    /// Instead of an order, where all groupings of the unit have few: consecutive rows of one group,
    /// as the group and the number of rows.
    pub(super) runs: Vec<(u32, u32)>,
}

/// Fewest rows of a run, on average, for rows to be taken as they come.
const RUN: usize = 256;

/// An id for each row, as stretches of rows with the same one.
#[derive(Debug, Default)]
struct Stretches {
    runs: Vec<(u32, u32)>,
    rows: usize,
}

impl Stretches {
    fn push(&mut self, id: u32, rows: usize) {
        self.rows += rows;
        // Units have at most MAX_ROWS rows.
        let rows = rows as u32;
        match self.runs.last_mut() {
            Some((last, n)) if *last == id => *n += rows,
            _ if rows > 0 => self.runs.push((id, rows)),
            _ => {}
        }
    }

    /// The stretches, where there are few.
    fn long(&self) -> Option<&[(u32, u32)]> {
        (self.runs.len() <= self.rows / RUN + 1).then_some(self.runs.as_slice())
    }

    /// The id of each row.
    fn ids(&self) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.rows);
        for (id, rows) in &self.runs {
            ids.extend(std::iter::repeat_n(*id, *rows as usize));
        }
        ids
    }
}

/// Stretches of rows that have both the same id in `a` and the same one in `b`.
fn both(a: &[(u32, u32)], b: &[(u32, u32)]) -> Vec<((u32, u32), u32)> {
    let (mut a, mut b) = (a.iter().copied(), b.iter().copied());
    let (mut x, mut y) = (a.next(), b.next());
    let mut out = Vec::new();
    while let (Some((i, n)), Some((j, m))) = (x, y) {
        let rows = n.min(m);
        out.push(((i, j), rows));
        x = if n > rows {
            Some((i, n - rows))
        } else {
            a.next()
        };
        y = if m > rows {
            Some((j, m - rows))
        } else {
            b.next()
        };
    }
    out
}

/// Rows of one unit, each with its group, not yet in an order.
struct Numbered {
    ids: Vec<u32>,
    groups: Vec<u32>,
    blocks: Vec<i64>,
    segment: bool,
}

impl Numbered {
    /// Consecutive rows of one group; none where they are short.
    fn runs(&self) -> Option<Vec<(u32, u32)>> {
        let chunks = self.ids.chunk_by(|a, b| a == b);
        let most = self.ids.len() / RUN + 1;
        let runs: Vec<_> = chunks
            .take(most + 1)
            .map(|c| (c[0], c.len() as u32))
            .collect();
        (runs.len() <= most).then_some(runs)
    }

    fn taken_as_they_come(self, runs: Vec<(u32, u32)>) -> Grouping {
        Grouping {
            groups: self.groups,
            blocks: self.blocks,
            segment: self.segment,
            order: Vec::new(),
            starts: Vec::new(),
            runs,
        }
    }

    fn ordered(self) -> Grouping {
        Grouping::new(&self.ids, self.groups, self.blocks, self.segment)
    }
}

impl Grouping {
    /// All rows in one group, the first of the scan.
    pub(super) fn whole(rows: usize) -> Self {
        Self {
            groups: vec![0],
            blocks: vec![MISSING_BLOCK],
            segment: false,
            order: (0..rows as u32).collect(),
            starts: vec![0, rows as u32],
            runs: Vec::new(),
        }
    }

    /// Orders rows by group: a counting sort.
    fn new(ids: &[u32], groups: Vec<u32>, blocks: Vec<i64>, segment: bool) -> Self {
        let mut starts = vec![0u32; groups.len() + 1];
        for id in ids {
            starts[*id as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut order = vec![0; ids.len()];
        for (row, id) in ids.iter().enumerate() {
            let slot = &mut next[*id as usize];
            order[*slot as usize] = row as u32;
            *slot += 1;
        }
        Self {
            groups,
            blocks,
            segment,
            order,
            starts,
            runs: Vec::new(),
        }
    }
}

/// A key column of a unit: an id per row and the text of each id.
#[derive(Default)]
pub(super) struct Labels {
    pub(super) ids: Vec<u32>,
    pub(super) texts: Vec<String>,
    known: HashMap<String, u32>,
    dictionary: Vec<u32>,
    buffer: String,
}

impl Labels {
    fn id(&mut self, text: &str) -> Result<u32> {
        if let Some(id) = self.known.get(text) {
            return Ok(*id);
        }
        if self.texts.len() >= MAX_VALUES {
            return Err(too_many_values());
        }
        let id = self.texts.len() as u32;
        self.known.insert(text.to_owned(), id);
        self.texts.push(text.to_owned());
        Ok(id)
    }

    fn id_of(&mut self, values: Slice<'_>, i: usize) -> Result<u32> {
        use std::fmt::Write;
        let mut text = std::mem::take(&mut self.buffer);
        text.clear();
        // Writing to a String cannot fail.
        let _ = match values {
            Slice::Bool(v) => write!(text, "{}", v[i]),
            Slice::I64(v) => write!(text, "{}", v[i]),
            Slice::U64(v) => write!(text, "{}", v[i]),
            Slice::F32(v) => write!(text, "{}", v[i]),
            Slice::F64(v) => write!(text, "{}", v[i]),
            Slice::I128(v) => write!(text, "{}", v[i]),
            Slice::Bytes(v) => {
                text.push_str(&String::from_utf8_lossy(v.get(i)));
                // A value that reads like one of our names is told from it.
                if matches!(text.trim_start_matches('\\'), MISSING | OTHER) {
                    text.insert(0, '\\');
                }
                Ok(())
            }
        };
        let id = self.id(&text);
        self.buffer = text;
        id
    }
}

/// The error of a key column with too many values.
pub(super) fn too_many_values() -> Error {
    invalid(format!(
        "a cut has more than {MAX_VALUES} different values; columns with fewer would be accepted"
    ))
}

impl PageSink for Labels {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.dictionary = (0..values.len())
            .map(|i| self.id_of(values, i))
            .collect::<Result<_>>()?;
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let missing = self.id(MISSING)?;
        let mut next = 0;
        for i in 0..rows {
            let id = if valid.is_none_or(|v| v[i]) {
                next += 1;
                match data {
                    PageData::Values(v) => self.id_of(v, next - 1)?,
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

/// Collects the windows of a time column: an id per row and the window of each id.
struct Windows {
    window: Window,
    zone: chrono_tz::Tz,
    unit: TimeOf,
    ids: Stretches,
    found: Vec<Option<(i64, i64)>>,
    known: HashMap<(i64, i64), u32>,
    /// Times, as stored, of the window last met: most logs are in the order of time.
    last: Range<i64>,
    last_id: u32,
    dictionary: Vec<u32>,
}

/// Id of rows without an instant.
const NO_WINDOW: u32 = 0;

impl Windows {
    fn read(
        source: &dyn Source,
        unit: usize,
        time: TimeColumn,
        window: Window,
        zone: chrono_tz::Tz,
    ) -> Result<Self> {
        let mut windows = Windows {
            window,
            zone,
            unit: time.unit,
            ids: Stretches::default(),
            found: vec![None],
            known: HashMap::new(),
            last: 0..0,
            last_id: NO_WINDOW,
            dictionary: Vec::new(),
        };
        read(source, unit, time.at, &mut windows)?;
        counted(source, unit, time.at, windows.ids.rows)?;
        Ok(windows)
    }

    fn id(&mut self, time: i64) -> Result<u32> {
        if self.last.contains(&time) {
            return Ok(self.last_id);
        }
        let us = self.unit.micros(time);
        let Some(window) = window_of(us, self.window, self.zone) else {
            return Ok(NO_WINDOW);
        };
        let next = self.found.len() as u32;
        let id = *self.known.entry(window).or_insert(next);
        if id == next {
            self.found.push(Some(window));
            if self.found.len() > MAX_WINDOWS {
                return Err(invalid(format!(
                    "the time column spans more than {MAX_WINDOWS} windows; longer ones would be accepted"
                )));
            }
        }
        (self.last, self.last_id) = (self.unit.times(window), id);
        Ok(id)
    }
}

impl PageSink for Windows {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        if let Slice::I64(v) = values {
            self.dictionary = v.iter().map(|t| self.id(*t)).collect::<Result<_>>()?;
        }
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        if let (None, PageData::Values(Slice::I64(mut times))) = (valid, data) {
            while let Some(time) = times.first() {
                let id = self.id(*time)?;
                let same = times.iter().take_while(|t| self.last.contains(t)).count();
                // One row where its time is in no window.
                let (head, rest) = times.split_at(same.max(1));
                self.ids.push(id, head.len());
                times = rest;
            }
            return Ok(());
        }
        let mut next = 0;
        for i in 0..rows {
            let id = if valid.is_none_or(|v| v[i]) {
                next += 1;
                match data {
                    PageData::Values(Slice::I64(v)) => self.id(v[next - 1])?,
                    PageData::Indices(at) => self
                        .dictionary
                        .get(at[next - 1] as usize)
                        .copied()
                        .unwrap_or(NO_WINDOW),
                    PageData::Values(_) => NO_WINDOW,
                }
            } else {
                NO_WINDOW
            };
            self.ids.push(id, 1);
        }
        Ok(())
    }
}

/// What the integers of a time column count.
#[derive(Debug, Clone, Copy)]
pub(super) enum TimeOf {
    Days,
    PerSecond(i64),
}

impl TimeOf {
    /// Microseconds since 1970.
    fn micros(self, time: i64) -> i64 {
        match self {
            TimeOf::Days => time.saturating_mul(86_400_000_000),
            TimeOf::PerSecond(n) if n > 1_000_000 => time.div_euclid(n / 1_000_000),
            TimeOf::PerSecond(n) => time.saturating_mul(1_000_000 / n),
        }
    }

    /// Times whose microseconds lie between two others: a part of them where a bound leaves the range.
    fn times(self, (from, to): (i64, i64)) -> Range<i64> {
        let up = |us: i64, by: i64| us.div_euclid(by) + i64::from(us.rem_euclid(by) > 0);
        match self {
            TimeOf::Days => up(from, 86_400_000_000)..up(to, 86_400_000_000),
            TimeOf::PerSecond(n) if n > 1_000_000 => {
                let by = n / 1_000_000;
                from.saturating_mul(by)..to.saturating_mul(by)
            }
            TimeOf::PerSecond(n) => up(from, 1_000_000 / n)..up(to, 1_000_000 / n),
        }
    }
}

/// A time column of a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeColumn {
    pub(super) at: usize,
    pub(super) unit: TimeOf,
}

/// Which block a row belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum BlockBy {
    /// The stretch of time.
    Time(Window, chrono_tz::Tz),
    /// The hash of a column's value.
    Key(usize),
}

/// The blocks of the rows of a unit: an id per row and the block of each id.
struct BlockIds {
    ids: Ids,
    keys: Vec<i64>,
}

/// An id per row.
enum Ids {
    Rows(Vec<u32>),
    Stretches(Stretches),
}

impl Ids {
    fn rows(&mut self) -> &[u32] {
        if let Ids::Stretches(s) = self {
            *self = Ids::Rows(s.ids());
        }
        match self {
            Ids::Rows(ids) => ids,
            Ids::Stretches(_) => &[],
        }
    }
}

/// How rows are cut, resolved against a source.
pub(super) struct Cuts {
    pub(super) time: Option<TimeColumn>,
    pub(super) window: Option<Window>,
    pub(super) zone: chrono_tz::Tz,
    pub(super) by: Vec<(String, Vec<usize>)>,
    pub(super) model_version: Option<usize>,
    pub(super) block: Option<BlockBy>,
    /// Segments with states of their own, by cut; all others are `(other)`.
    pub(super) kept: Vec<BTreeSet<String>>,
}

impl Cuts {
    pub(super) fn is_trivial(&self) -> bool {
        self.window.is_none()
            && self.by.is_empty()
            && self.model_version.is_none()
            && self.block.is_none()
    }

    /// Columns that are read to cut rows, once per use.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let segments = self.by.iter().flat_map(|(_, columns)| columns);
        let time = self.window.and(self.time).map(|t| t.at);
        let block = match self.block {
            Some(BlockBy::Time(..)) => self.time.map(|t| t.at),
            Some(BlockBy::Key(column)) => Some(column),
            None => None,
        };
        segments
            .copied()
            .chain(time)
            .chain(self.model_version)
            .chain(block)
    }

    fn blocks(&self, source: &dyn Source, unit: usize) -> Result<Option<BlockIds>> {
        Ok(match (self.block, self.time) {
            (Some(BlockBy::Time(length, zone)), Some(time)) => {
                let found = Windows::read(source, unit, time, length, zone)?;
                let start = |w: Option<(i64, i64)>| w.map_or(MISSING_BLOCK, |w| w.0);
                Some(BlockIds {
                    ids: Ids::Stretches(found.ids),
                    keys: found.found.into_iter().map(start).collect(),
                })
            }
            (Some(BlockBy::Key(column)), _) => {
                let found = labels(source, unit, &[column])?;
                let hashed = |text: &String| match text.as_str() {
                    MISSING => MISSING_BLOCK,
                    text => (hash(text.as_bytes()) % KEY_BLOCKS) as i64,
                };
                Some(BlockIds {
                    keys: found.texts.iter().map(hashed).collect(),
                    ids: Ids::Rows(found.ids),
                })
            }
            _ => None,
        })
    }

    /// The rows of a unit by group: without segments first, then by cut. `ordered` where rows must not
    /// be taken as they come.
    pub(super) fn groupings(
        &self,
        source: &dyn Source,
        unit: usize,
        registry: &Registry,
        ordered: bool,
    ) -> Result<Vec<Grouping>> {
        let windows = match (self.window, self.time) {
            (Some(window), Some(time)) => {
                Some(Windows::read(source, unit, time, window, self.zone)?)
            }
            _ => None,
        };
        let mut blocks = self.blocks(source, unit)?;
        if !ordered
            && self.by.is_empty()
            && self.model_version.is_none()
            && let Some(found) = by_time(windows.as_ref(), blocks.as_ref(), registry)?
        {
            return Ok(vec![found]);
        }
        // Ids of rows and, by id, the window and version they stand for.
        let (mut base, mut parts) = (None::<Vec<u32>>, vec![(None, None::<String>)]);
        if let Some(windows) = windows {
            base = Some(windows.ids.ids());
            parts = windows.found.into_iter().map(|w| (w, None)).collect();
        }
        if let Some(column) = self.model_version {
            let labels = labels(source, unit, &[column])?;
            let text = |id: u32| Some(labels.texts[id as usize].clone());
            (base, parts) = match base {
                None => {
                    let parts = (0..labels.texts.len() as u32).map(|id| (None, text(id)));
                    (Some(labels.ids.clone()), parts.collect())
                }
                Some(mut ids) => {
                    let pairs = cross(&mut ids, parts.len(), &labels.ids, labels.texts.len());
                    let of = pairs.iter().map(|(a, b)| (parts[*a as usize].0, text(*b)));
                    (Some(ids), of.collect())
                }
            };
        }
        let key = |part: usize, segment: Option<(String, String)>| GroupKey {
            window: parts[part].0,
            model_version: parts[part].1.clone(),
            segment,
        };
        let blocks = blocks.as_mut().map(|b| (b.ids.rows(), b.keys.as_slice()));
        let number = |ids: &[u32], count, segment, key: &dyn Fn(usize) -> GroupKey| {
            number(ids, count, segment, registry, blocks, key)
        };
        let mut out = Vec::with_capacity(1 + self.by.len());
        match (&base, &blocks) {
            (Some(ids), _) => out.push(number(ids, parts.len(), false, &|id| key(id, None))?),
            (None, Some((of, _))) => {
                let ids = vec![0; of.len()];
                out.push(number(&ids, 1, false, &|id| key(id, None))?);
            }
            (None, None) => {}
        }
        for ((name, columns), kept) in self.by.iter().zip(&self.kept) {
            let mut labels = labels(source, unit, columns)?;
            let of_segment = |id: u32| {
                let text = labels.texts[id as usize].as_str();
                let text = if kept.contains(text) { text } else { OTHER };
                Some((name.clone(), text.to_owned()))
            };
            let values = labels.texts.len();
            if base.is_none() && out.is_empty() {
                let ids = vec![0; labels.ids.len()];
                out.push(number(&ids, 1, false, &|id| key(id, None))?);
            }
            out.push(match &base {
                None => number(&labels.ids, values, true, &|id| {
                    key(0, of_segment(id as u32))
                })?,
                Some(ids) => {
                    let mut crossed = std::mem::take(&mut labels.ids);
                    let pairs = cross(&mut crossed, values, ids, parts.len());
                    number(&crossed, pairs.len(), true, &|id| {
                        let (segment, part) = pairs[id];
                        key(part as usize, of_segment(segment))
                    })?
                }
            });
        }
        let runs: Option<Vec<_>> = match ordered {
            true => None,
            false => out.iter().map(Numbered::runs).collect(),
        };
        Ok(match runs {
            Some(runs) => {
                let both = out.into_iter().zip(runs);
                both.map(|(n, runs)| n.taken_as_they_come(runs)).collect()
            }
            None => out.into_iter().map(Numbered::ordered).collect(),
        })
    }
}

/// The rows of a unit as they come, where windows and blocks of time change seldom.
fn by_time(
    windows: Option<&Windows>,
    blocks: Option<&BlockIds>,
    registry: &Registry,
) -> Result<Option<Grouping>> {
    let of_windows = windows.map(|w| &w.ids);
    let of_blocks = match blocks.map(|b| &b.ids) {
        Some(Ids::Stretches(s)) => Some(s),
        Some(Ids::Rows(_)) => return Ok(None),
        None => None,
    };
    let Some(rows) = of_windows.or(of_blocks).map(|s| s.rows) else {
        return Ok(None);
    };
    let whole = [(0, rows as u32)];
    let (Some(a), Some(b)) = (
        of_windows.map_or(Some(&whole[..]), Stretches::long),
        of_blocks.map_or(Some(&whole[..]), Stretches::long),
    ) else {
        return Ok(None);
    };
    let mut known: HashMap<(u32, u32), u32> = HashMap::new();
    let (mut groups, mut of_blocks, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for ((window, block), rows) in both(a, b) {
        let local = match known.entry((window, block)) {
            Entry::Occupied(slot) => *slot.get(),
            Entry::Vacant(slot) => {
                let key = GroupKey {
                    window: windows.and_then(|w| w.found[window as usize]),
                    ..GroupKey::default()
                };
                groups.push(registry.number(key)?);
                of_blocks.push(blocks.map_or(MISSING_BLOCK, |b| b.keys[block as usize]));
                *slot.insert(groups.len() as u32 - 1)
            }
        };
        runs.push((local, rows));
    }
    Ok(Some(Grouping {
        groups,
        blocks: of_blocks,
        segment: false,
        order: Vec::new(),
        starts: Vec::new(),
        runs,
    }))
}

/// Replaces the ids of a unit, which may be unused or mean the same, by its groups and blocks.
fn number(
    ids: &[u32],
    count: usize,
    segment: bool,
    registry: &Registry,
    blocks: Option<(&[u32], &[i64])>,
    key: &dyn Fn(usize) -> GroupKey,
) -> Result<Numbered> {
    let mut crossed = ids.to_vec();
    let pairs = match blocks {
        Some((ids, keys)) => cross(&mut crossed, count, ids, keys.len()),
        None => (0..count as u32).map(|id| (id, 0)).collect(),
    };
    let mut used = vec![false; pairs.len()];
    crossed.iter().for_each(|id| used[*id as usize] = true);
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let (mut local, mut groups, mut of_blocks) = (vec![0u32; pairs.len()], Vec::new(), Vec::new());
    let mut known: HashMap<(u32, i64), u32> = HashMap::new();
    for id in (0..pairs.len()).filter(|id| used[*id]) {
        let (part, block) = pairs[id];
        let group = match numbers.get(&part) {
            Some(group) => *group,
            None => {
                let group = registry.number(key(part as usize))?;
                numbers.insert(part, group);
                group
            }
        };
        let block = blocks.map_or(MISSING_BLOCK, |(_, keys)| keys[block as usize]);
        local[id] = *known.entry((group, block)).or_insert_with(|| {
            groups.push(group);
            of_blocks.push(block);
            groups.len() as u32 - 1
        });
    }
    crossed.iter_mut().for_each(|id| *id = local[*id as usize]);
    Ok(Numbered {
        ids: crossed,
        groups,
        blocks: of_blocks,
        segment,
    })
}

/// Names or values of crossed columns in one text: different ones give different texts.
pub(super) fn crossed(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        several => several
            .iter()
            .map(|p| escaped(p))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A backslash before each comma and backslash.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(',', "\\,")
}

/// The values of one or several crossed columns of a unit, row by row.
pub(super) fn labels(source: &dyn Source, unit: usize, columns: &[usize]) -> Result<Labels> {
    let mut all: Option<Labels> = None;
    for column in columns {
        let mut one = Labels::default();
        read(source, unit, *column, &mut one)?;
        counted(source, unit, *column, one.ids.len())?;
        if columns.len() > 1 {
            one.texts.iter_mut().for_each(|t| *t = escaped(t));
        }
        all = Some(match all {
            None => one,
            Some(mut before) => {
                let (a, b) = (before.texts.len(), one.texts.len());
                let pairs = cross(&mut before.ids, a, &one.ids, b);
                if pairs.len() > MAX_VALUES {
                    return Err(too_many_values());
                }
                let text = |(a, b): &(u32, u32)| {
                    format!("{}, {}", before.texts[*a as usize], one.texts[*b as usize])
                };
                before.texts = pairs.iter().map(text).collect();
                before
            }
        });
    }
    Ok(all.unwrap_or_default())
}

/// Reads a key column of a unit that is not too long.
pub(super) fn read(
    source: &dyn Source,
    unit: usize,
    column: usize,
    sink: &mut dyn PageSink,
) -> Result<()> {
    let rows = source.unit_rows(unit);
    if rows > MAX_ROWS {
        return Err(corrupt(
            source,
            unit,
            column,
            format!(
                "{rows} rows in one row group, at most {MAX_ROWS} are accepted where rows are cut into groups"
            ),
        ));
    }
    source.read(unit, column, sink)
}

/// Checks that a key column has as many rows as its unit.
pub(super) fn counted(source: &dyn Source, unit: usize, column: usize, found: usize) -> Result<()> {
    let rows = source.unit_rows(unit);
    if found as u64 == rows {
        return Ok(());
    }
    Err(corrupt(
        source,
        unit,
        column,
        format!("{found} rows where the footer says {rows}"),
    ))
}

fn corrupt(source: &dyn Source, unit: usize, column: usize, message: String) -> Error {
    Error::Corrupt {
        unit: source.unit_id(unit),
        column: source.columns()[column].name.clone(),
        message,
    }
}

/// Replaces ids by ids of pairs with `other`, and says which pair each is.
fn cross(ids: &mut [u32], count: usize, other: &[u32], others: usize) -> Vec<(u32, u32)> {
    let mut pairs = Vec::new();
    let mut number = |slot: &mut u32, a: u32, b: u32| {
        if *slot == u32::MAX {
            *slot = pairs.len() as u32;
            pairs.push((a, b));
        }
        *slot
    };
    if count.saturating_mul(others) <= PAIR_TABLE {
        let mut table = vec![u32::MAX; count * others];
        for (id, b) in ids.iter_mut().zip(other) {
            *id = number(&mut table[*id as usize * others + *b as usize], *id, *b);
        }
    } else {
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        for (id, b) in ids.iter_mut().zip(other) {
            let slot = known.entry((*id, *b)).or_insert(u32::MAX);
            *id = number(slot, *id, *b);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counting_sort_keeps_rows_ascending_in_each_group() {
        let g = Grouping::new(&[2, 0, 2, 1, 0], vec![7, 8, 9], vec![0; 3], false);
        assert_eq!(g.order, [1, 4, 3, 0, 2]);
        assert_eq!(g.starts, [0, 2, 3, 5]);
    }

    #[test]
    fn crossed_texts_tell_different_tuples_apart() {
        let text =
            |parts: &[&str]| crossed(&parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(text(&["a, b"]), "a, b");
        assert_eq!(text(&["a", "b"]), "a, b");
        let tuples = [
            ["a, b", "c"],
            ["a", "b, c"],
            ["a\\", "b"],
            ["a\\,", "b"],
            ["a,", " b"],
            ["", ", "],
        ];
        let texts: BTreeSet<String> = tuples.iter().map(|t| text(t)).collect();
        assert_eq!(texts.len(), tuples.len());
    }

    #[test]
    fn times_of_a_window_are_those_whose_microseconds_lie_in_it() {
        let units = [
            TimeOf::Days,
            TimeOf::PerSecond(1),
            TimeOf::PerSecond(1_000),
            TimeOf::PerSecond(1_000_000),
            TimeOf::PerSecond(1_000_000_000),
        ];
        let bounds = [
            -86_400_000_001,
            -3_600_000_000,
            -1,
            0,
            7,
            86_400_000_000,
            1_700_000_000_000_123,
        ];
        for unit in units {
            for (i, from) in bounds.iter().enumerate() {
                for to in &bounds[i + 1..] {
                    let times = unit.times((*from, *to));
                    for near in [times.start, times.end, 0] {
                        for time in near - 3..near + 3 {
                            let inside = (*from..*to).contains(&unit.micros(time));
                            assert_eq!(
                                times.contains(&time),
                                inside,
                                "{unit:?} {from} {to} {time}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn stretches_that_agree_are_those_of_the_rows() {
        let stretches = |ids: &[u32]| {
            let mut s = Stretches::default();
            ids.iter().for_each(|id| s.push(*id, 1));
            assert_eq!((s.ids().as_slice(), s.rows), (ids, ids.len()));
            s.runs
        };
        let a: Vec<u32> = (0..1000).map(|i| i * i / 3000 % 5).collect();
        let b: Vec<u32> = (0..1000).map(|i| i / 70 % 3).collect();
        let mut rows = Vec::new();
        for (pair, n) in both(&stretches(&a), &stretches(&b)) {
            assert!(n > 0);
            rows.extend(std::iter::repeat_n(pair, n as usize));
        }
        assert_eq!(rows, a.into_iter().zip(b).collect::<Vec<_>>());
    }

    #[test]
    fn pairs_are_the_same_by_table_and_by_map() {
        let other: Vec<u32> = (0..1000).map(|i| i * i % 7).collect();
        let mut a: Vec<u32> = (0..1000).map(|i| i % 5).collect();
        let mut b = a.clone();
        let small = cross(&mut a, 5, &other, 7);
        let large = cross(&mut b, 1 << 20, &other, 1 << 20);
        assert_eq!((a, small), (b, large));
    }
}
