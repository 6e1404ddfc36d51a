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

/// Widest dense window: 2^19 counters of 4 bytes, of which only the occupied lines are touched.
const WINDOW: u64 = 1 << 19;

/// A dense stretch of cells at the current level.
#[derive(Debug, Clone)]
struct Window {
    /// Cell of the first counter.
    base: u64,
    counts: Vec<u32>,
    /// Keys added since the last flush; bounds every counter.
    pending: u32,
}

/// Accumulates a [`KeyHistogram`].
#[derive(Debug, Clone)]
pub struct KeyHistogramBuilder {
    cap: usize,
    level: u32,
    cells: KeyMap<u64>,
    window: Option<Window>,
    /// Keys seen in hash mode since a window was last considered.
    since: u32,
}

impl KeyHistogramBuilder {
    /// An empty state of at most `cap` cells.
    pub fn new(cap: u32) -> Self {
        Self {
            cap: cap as usize,
            level: 0,
            cells: KeyMap::default(),
            window: None,
            since: 0,
        }
    }

    /// Counts each key once.
    pub fn update(&mut self, keys: &[u64]) {
        if self.window.is_none() {
            self.since = self.since.saturating_add(keys.len() as u32);
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
        let (level, base) = (self.level, window.base);
        let counts = window.counts.as_mut_slice();
        let mut outside = 0u32;
        for &k in keys {
            let at = (k >> level).wrapping_sub(base);
            match counts.get_mut(at as usize) {
                Some(c) => *c += 1,
                None => outside += 1,
            }
        }
        if outside > 0 {
            // Rare: keys beyond the window go the slow way, then a wider window is tried.
            let length = counts.len() as u64;
            let far: Vec<u64> = keys
                .iter()
                .copied()
                .filter(|k| (k >> level).wrapping_sub(base) >= length)
                .collect();
            for k in far {
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
        flushed.flush();
        let mut cells: Vec<_> = flushed.cells.into_iter().collect();
        cells.sort_unstable();
        KeyHistogram {
            cap: self.cap as u32,
            level: flushed.level,
            cells,
        }
    }

    /// Moves the window's counts into the cells.
    fn flush(&mut self) {
        let Some(window) = self.window.take() else {
            return;
        };
        let level = self.level;
        for (i, c) in window.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            *self.cells.entry(window.base + i as u64).or_insert(0) += u64::from(*c);
        }
        debug_assert_eq!(level, self.level);
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
        let span = high - low + 1;
        // A quarter of slack on both sides for values still to come. Few cells stay in the map: it
        // is smaller than a window and as fast.
        let slack = span / 4;
        let width = span + 2 * slack;
        if width > WINDOW || (self.cells.len() < 64 && width > 4096) || self.cap < 4096 {
            return;
        }
        let base = low.saturating_sub(slack);
        self.window = Some(Window {
            base,
            counts: vec![0; width as usize],
            pending: 0,
        });
    }

    /// Raises the level to the least one with at most `cap` occupied cells.
    fn coarsen(&mut self) {
        let mut keys: Vec<u64> = self.cells.keys().copied().collect();
        keys.sort_unstable();
        // Two neighbours share a cell from the level above their highest differing bit on.
        let mut merged_at = [0usize; 65];
        for w in keys.windows(2) {
            merged_at[64 - (w[0] ^ w[1]).leading_zeros() as usize] += 1;
        }
        let mut occupied = keys.len();
        let mut by = 0;
        while occupied > self.cap.max(1) && by < 63 - self.level {
            by += 1;
            occupied -= merged_at[by as usize];
        }
        self.coarsen_to(self.level + by);
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
            for (i, c) in window.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
                *self
                    .cells
                    .entry((window.base + i as u64) >> by)
                    .or_insert(0) += u64::from(*c);
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
