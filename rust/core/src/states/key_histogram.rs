//! Counts on order-preserving keys, coarsened uniformly until at most `cap` cells are occupied.
//!
//! The level is the least `L` at which the keys, shifted right by `L`, take at most `cap` values.
//! Occupancy only grows with more rows, so the level of a union is at least the level of each part,
//! and coarsening is exact: the state is a function of the multiset alone. Level 0 is the exact
//! multiset. (Uniform collapse as in UDDSketch, Epicoco et al. 2020, on float bits.)

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::codec::{Reader, Writer};
use crate::kernels::key::mix;
use crate::{Error, Result};

/// The canonical state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyHistogram {
    /// Most cells that may be occupied.
    pub cap: u32,
    /// Bits dropped from the keys.
    pub level: u32,
    /// Cell (`key >> level`) and count, ascending by cell.
    pub cells: Vec<(u64, u64)>,
}

impl KeyHistogram {
    /// Whether the cells are the values themselves.
    pub fn is_exact(&self) -> bool {
        self.level == 0
    }

    /// Rows counted.
    pub fn total(&self) -> u64 {
        self.cells.iter().map(|c| c.1).sum()
    }

    /// First and last key of a cell.
    pub fn range(&self, cell: u64) -> (u64, u64) {
        let low = cell << self.level;
        (low, low | ((1u64 << self.level) - 1))
    }

    /// Adds keys, ascending, with their counts.
    pub fn absorb(&mut self, run: impl Iterator<Item = (u64, u64)>) {
        let level = self.level;
        let mut held = std::mem::take(&mut self.cells).into_iter().peekable();
        let mut all: Vec<(u64, u64)> = Vec::with_capacity(held.len() + run.size_hint().0);
        for (key, count) in run {
            let cell = key >> level;
            while let Some(h) = held.next_if(|h| h.0 <= cell) {
                push(&mut all, h);
            }
            push(&mut all, (cell, count));
        }
        all.extend(held);
        self.cells = all;
        self.coarsen_to(level + excess(&self.cells, self.cap as usize, level));
    }

    /// Every count divided by what divides them all.
    pub fn quotient(mut self, by: u64) -> Self {
        self.cells.iter_mut().for_each(|c| c.1 /= by.max(1));
        self
    }

    /// Adds another state of the same cap.
    pub fn merge(&mut self, other: &Self) {
        self.coarsen_to(other.level.max(self.level));
        self.absorb(other.cells.iter().map(|c| (c.0 << other.level, c.1)));
    }

    fn coarsen_to(&mut self, level: u32) {
        let by = level - self.level;
        if by == 0 {
            return;
        }
        let mut coarse = Vec::with_capacity(self.cells.len());
        for (cell, count) in &self.cells {
            push(&mut coarse, (cell >> by, *count));
        }
        (self.cells, self.level) = (coarse, level);
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        w.varint(u64::from(self.cap));
        w.u8(self.level as u8);
        w.ascending(self.cells.iter().map(|c| c.0));
        for c in &self.cells {
            w.varint(c.1);
        }
    }

    /// Reads what [`KeyHistogram::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let cap = u32::try_from(r.varint()?).map_err(|_| Error::corrupt("histogram cap"))?;
        let level = u32::from(r.u8()?);
        let keys = r.ascending()?;
        if level > 63
            || keys.len() > cap as usize
            || keys.last().is_some_and(|k| k.leading_zeros() < level)
        {
            return Err(Error::corrupt("key histogram out of its range"));
        }
        let mut cells = Vec::with_capacity(keys.len());
        for k in keys {
            cells.push((k, r.varint()?));
        }
        if cells.iter().any(|c| c.1 == 0) {
            return Err(Error::corrupt("key histogram with an empty cell"));
        }
        Ok(Self { cap, level, cells })
    }
}

/// Appends a cell that does not lie below the last one.
fn push(cells: &mut Vec<(u64, u64)>, (cell, count): (u64, u64)) {
    match cells.last_mut() {
        Some(last) if last.0 == cell => last.1 += count,
        _ => cells.push((cell, count)),
    }
}

/// Levels by which to coarsen ascending `cells` at `level` until at most `cap` are occupied.
fn excess(cells: &[(u64, u64)], cap: usize, level: u32) -> u32 {
    let mut occupied = cells.len();
    if occupied <= cap.max(1) {
        return 0;
    }
    // Two neighbours share a cell from the level above their highest differing bit on.
    let mut merged_at = [0usize; 65];
    for w in cells.windows(2) {
        merged_at[64 - (w[0].0 ^ w[1].0).leading_zeros() as usize] += 1;
    }
    let mut by = 0;
    while occupied > cap.max(1) && by < 63 - level {
        by += 1;
        occupied -= merged_at[by as usize];
    }
    by
}

/// Sorts keys and yields each with the number of its repeats.
pub(crate) fn runs(keys: &mut [u64]) -> impl Iterator<Item = (u64, u64)> {
    keys.sort_unstable();
    keys.chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len() as u64))
}

/// Hashes one u64 by multiplication: the keys are ours, and cells are bounded by the cap.
#[derive(Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = mix(self.0 ^ u64::from(*b));
        }
    }
    fn write_u64(&mut self, v: u64) {
        self.0 = mix(v);
    }
}

/// Map from keys to counts.
pub type KeyMap<V> = HashMap<u64, V, BuildHasherDefault<KeyHasher>>;

/// Cells of a page.
const PAGE: u64 = 64;
/// Widest window: 2^22 cells, a directory of 2^16 pages.
const WINDOW: u64 = 1 << 22;
/// Most counters in the pages of a window, 1 MB.
const COUNTERS: usize = 1 << 18;

/// A stretch of cells at the current level, counted in pages that exist where there are keys.
#[derive(Debug, Clone)]
struct Window {
    /// First cell; a multiple of [`PAGE`].
    base: u64,
    /// Where in `counts` the page of each [`PAGE`] cells starts; 0 where there is none yet.
    directory: Vec<u32>,
    /// The page at 0 belongs to no cells.
    counts: Vec<u32>,
    /// Keys added since the last flush; bounds every counter.
    pending: u32,
}

impl Window {
    /// A window on the cells from `low` to `high`.
    fn new(low: u64, high: u64) -> Self {
        let base = low - low % PAGE;
        Self {
            base,
            directory: vec![0; ((high - base) / PAGE) as usize + 1],
            counts: vec![0; PAGE as usize],
            pending: 0,
        }
    }

    /// Counts the keys, and returns those outside the window or beyond its last page.
    #[inline(never)]
    fn update(&mut self, keys: &[u64], level: u32) -> Vec<u64> {
        let base = self.base;
        let (directory, counts) = (self.directory.as_slice(), self.counts.as_mut_slice());
        let mut least = u32::MAX;
        for k in keys {
            let at = (k >> level).wrapping_sub(base);
            let page = directory.get((at / PAGE) as usize).map_or(0, |page| *page);
            least = least.min(page);
            if let Some(count) = counts.get_mut((page + (at % PAGE) as u32) as usize) {
                *count += 1;
            }
        }
        if least > 0 {
            return Vec::new();
        }
        // Rare: some went to the page that belongs to no cells. Which ones is found again.
        self.counts[..PAGE as usize].fill(0);
        let first_new = self.counts.len() as u32;
        let mut outside = Vec::new();
        for k in keys {
            let at = (k >> level).wrapping_sub(base);
            match self.directory.get_mut((at / PAGE) as usize) {
                Some(page) if *page == 0 && self.counts.len() < COUNTERS => {
                    *page = self.counts.len() as u32;
                    self.counts.extend([0; PAGE as usize]);
                    self.counts[*page as usize + (at % PAGE) as usize] += 1;
                }
                Some(page) if *page >= first_new => {
                    self.counts[*page as usize + (at % PAGE) as usize] += 1;
                }
                Some(page) if *page > 0 => {}
                _ => outside.push(*k),
            }
        }
        outside
    }

    /// Occupied cells and their counts, ascending.
    fn cells(&self) -> impl Iterator<Item = (u64, u64)> {
        let stretches = self.directory.iter().enumerate().filter(|(_, p)| **p > 0);
        stretches.flat_map(|(i, page)| {
            let first = self.base + i as u64 * PAGE;
            let counts = self.counts[*page as usize..].iter().take(PAGE as usize);
            let occupied = counts.zip(first..).filter(|(n, _)| **n > 0);
            occupied.map(|(n, cell)| (cell, u64::from(*n)))
        })
    }
}

/// Accumulates a [`KeyHistogram`].
#[derive(Debug, Clone)]
pub struct KeyHistogramBuilder {
    cap: usize,
    level: u32,
    cells: KeyMap<u64>,
    window: Option<Window>,
    /// The first keys of a long column: sorted once there are [`FIRST`] of them, since its level is
    /// found in one step then rather than in dozens.
    first: Vec<u64>,
    /// Keys seen in hash mode since a window was last considered.
    since: u32,
}

/// Most keys that are kept as they come.
pub const FIRST: usize = 1 << 14;

impl KeyHistogramBuilder {
    /// An empty state of at most `cap` cells.
    pub fn new(cap: u32) -> Self {
        Self {
            cap: cap as usize,
            level: 0,
            cells: KeyMap::default(),
            window: None,
            first: Vec::new(),
            since: 0,
        }
    }

    /// Counts each key of a block once; `low` and `high` are its extremes.
    pub fn update_block(&mut self, keys: &[u64], (low, high): (u64, u64)) {
        if low >> self.level == high >> self.level && self.window.is_some() {
            // One cell for all, as in a sorted column.
            return self.add(low, keys.len() as u64);
        }
        self.update(keys);
    }

    /// Counts each key once.
    pub fn update(&mut self, keys: &[u64]) {
        if self.window.is_none() {
            self.since = self.since.saturating_add(keys.len() as u32);
            if self.first.len() + keys.len() <= FIRST && self.cells.is_empty() {
                return self.first.extend_from_slice(keys);
            }
            self.settle();
            if self.since >= 1 << 14 {
                self.open_window();
            }
        }
        let Some(window) = &mut self.window else {
            return self.update_sparse(keys);
        };
        if window.pending.checked_add(keys.len() as u32).is_none() {
            self.flush();
            return self.update(keys);
        }
        window.pending += keys.len() as u32;
        let outside = window.update(keys, self.level);
        if !outside.is_empty() {
            // Rare: they go the slow way, then a wider window is tried.
            for k in outside {
                self.add(k, 1);
            }
            if self.cells.len() > 64 {
                self.flush();
            }
        }
    }

    fn update_sparse(&mut self, keys: &[u64]) {
        // Runs of one value are common in sorted and constant columns.
        let mut i = 0;
        while i < keys.len() {
            let k = keys[i];
            let mut j = i + 1;
            while j < keys.len() && keys[j] == k {
                j += 1;
            }
            self.add(k, (j - i) as u64);
            i = j;
        }
    }

    /// Counts one key `count` times.
    pub fn add(&mut self, key: u64, count: u64) {
        let full = self.cells.len() >= self.cap;
        match self.cells.entry(key >> self.level) {
            Entry::Occupied(mut e) => *e.get_mut() += count,
            Entry::Vacant(e) => {
                e.insert(count);
                if full {
                    self.coarsen();
                }
            }
        }
    }

    /// Adds a finished state.
    pub fn merge(&mut self, other: &KeyHistogram) {
        self.settle();
        self.flush();
        if other.level > self.level {
            self.coarsen_to(other.level);
        }
        for (cell, count) in &other.cells {
            self.add(cell << other.level, *count);
        }
    }

    /// The canonical state of everything counted so far.
    pub fn finish(&self) -> KeyHistogram {
        let mut flushed = self.clone();
        flushed.settle();
        flushed.flush();
        KeyHistogram {
            cap: self.cap as u32,
            level: flushed.level,
            cells: flushed.sorted(),
        }
    }

    /// Moves the window's counts into the cells.
    fn flush(&mut self) {
        let Some(window) = self.window.take() else {
            return;
        };
        for (cell, count) in window.cells() {
            *self.cells.entry(cell).or_insert(0) += count;
        }
        if self.cells.len() > self.cap {
            self.coarsen();
        }
        self.since = 1 << 14;
    }

    /// Opens a dense window around the cells seen so far, when they lie close enough.
    fn open_window(&mut self) {
        self.since = 0;
        let (Some(low), Some(high)) = (self.cells.keys().min(), self.cells.keys().max()) else {
            return;
        };
        let span = (high - low).saturating_add(1);
        // A quarter of slack on both sides for values still to come. Few cells stay in the map: it
        // is smaller than a window and as fast.
        let slack = span / 4;
        let width = span.saturating_add(2 * slack);
        if width > WINDOW || (self.cells.len() < 64 && width > 4096) || self.cap < 4096 {
            return;
        }
        let (low, high) = (low.saturating_sub(slack), high.saturating_add(slack));
        self.window = Some(Window::new(low, high));
    }

    /// Moves the first keys into the cells.
    fn settle(&mut self) {
        if self.first.is_empty() {
            return;
        }
        let mut found = KeyHistogram {
            cap: self.cap as u32,
            level: self.level,
            cells: self.sorted(),
        };
        found.absorb(runs(&mut std::mem::take(&mut self.first)));
        self.level = found.level;
        self.cells = found.cells.into_iter().collect();
    }

    fn sorted(&self) -> Vec<(u64, u64)> {
        let mut cells: Vec<_> = self.cells.iter().map(|(k, n)| (*k, *n)).collect();
        cells.sort_unstable();
        cells
    }

    /// Raises the level to the least one with at most `cap` occupied cells.
    fn coarsen(&mut self) {
        self.coarsen_to(self.level + excess(&self.sorted(), self.cap, self.level));
    }

    fn coarsen_to(&mut self, level: u32) {
        let by = level - self.level;
        if by == 0 {
            return;
        }
        let old = std::mem::take(&mut self.cells);
        for (cell, count) in old {
            *self.cells.entry(cell >> by).or_insert(0) += count;
        }
        self.level = level;
        // The window's counts belong to the old level; there is none, as callers flush first.
        if let Some(window) = self.window.take() {
            for (cell, count) in window.cells() {
                *self.cells.entry(cell >> by).or_insert(0) += count;
            }
            if self.cells.len() > self.cap {
                self.coarsen();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::key;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The definition, read aloud.
    fn naive(keys: &[u64], cap: u32) -> KeyHistogram {
        for level in 0..64 {
            let mut cells = BTreeMap::new();
            for k in keys {
                *cells.entry(k >> level).or_insert(0u64) += 1;
            }
            if cells.len() <= cap as usize {
                return KeyHistogram {
                    cap,
                    level,
                    cells: cells.into_iter().collect(),
                };
            }
        }
        unreachable!("two cells at level 63, and every cap is at least 2")
    }

    fn keys() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![
            any::<u64>(),
            (-3.0..3.0f64).prop_map(key::of_f64),
            (0..40i64).prop_map(key::of_i64),
            (0..9u64).prop_map(|v| key::of_f64(v as f64)),
        ];
        prop::collection::vec(value, 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_split_and_order_gives_the_naive_state(keys in keys(), cap in 2u32..64, cut in 0usize..400, batch in 1usize..40) {
            let expected = naive(&keys, cap);
            let cut = cut.min(keys.len());
            let mut left = KeyHistogramBuilder::new(cap);
            keys[..cut].chunks(batch).for_each(|c| left.update(c));
            let mut right = KeyHistogramBuilder::new(cap);
            keys[cut..].chunks(batch).rev().for_each(|c| right.update(c));
            right.merge(&left.finish());
            prop_assert_eq!(&right.finish(), &expected);
            let mut sorted = [KeyHistogram { cap, ..KeyHistogram::default() }, KeyHistogram { cap, ..KeyHistogram::default() }];
            for (i, batch) in keys.chunks(batch).enumerate() {
                sorted[i % 2].absorb(runs(&mut batch.to_vec()));
            }
            let [mut one, other] = sorted;
            one.merge(&other);
            prop_assert_eq!(&one, &expected);
            let mut w = Writer::new();
            expected.encode(&mut w);
            let bytes = w.into_bytes();
            prop_assert_eq!(KeyHistogram::decode(&mut Reader::new(&bytes)).unwrap(), expected);
        }
    }

    #[test]
    fn windows_change_nothing() {
        let mut state = 1u64;
        let keys: Vec<u64> = (0..300_000)
            .map(|i| {
                state = key::mix(state);
                let u = (state >> 11) as f64 / (1u64 << 53) as f64;
                key::of_f64(match i % 50 {
                    0 => -1e300 * u,
                    1 => 0.0,
                    _ => 100.0 + u,
                })
            })
            .collect();
        let mut built = KeyHistogramBuilder::new(4096);
        keys.chunks(512).for_each(|c| built.update(c));
        assert_eq!(built.finish(), naive(&keys, 4096));
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        let mut built = KeyHistogramBuilder::new(4096);
        for block in keys.chunks(512).chain(sorted.chunks(512)) {
            let range = (*block.iter().min().unwrap(), *block.iter().max().unwrap());
            built.update_block(block, range);
        }
        sorted.extend(&keys);
        assert_eq!(built.finish(), naive(&sorted, 4096));
        let narrow: Vec<u64> = keys
            .iter()
            .copied()
            .filter(|k| key::to_f64(*k) > 1.0)
            .collect();
        let mut built = KeyHistogramBuilder::new(4096);
        narrow.chunks(512).for_each(|c| built.update(c));
        assert!(built.window.is_some());
        assert_eq!(built.finish(), naive(&narrow, 4096));
    }
}
