//! Keys that come more than once: the `k` smallest hashes of keys, each with its exact number of rows.
//!
//! A hash that stays among the k smallest was counted from its first row on, whatever the order, so the
//! state is a function of the multiset of keys (Cohen and Kaplan 2007). Exact while every key is held;
//! beyond, the keys held are a uniform sample of all keys, and the number of rows is known: with `m` the
//! mean rows of a key, `N (1 - 1 / m)` rows repeat a key, a ratio estimate (Cochran 1977, chapter 6).

use std::collections::hash_map::Entry;

use crate::codec::{Reader, Writer};
use crate::states::key_histogram::KeyMap;
use crate::{Error, Result};

/// Keys held for all rows.
pub const K: usize = 16_384;
/// Keys held for a segment.
pub const K_SEGMENT: usize = 1024;
/// Stands for a row without a key; no key has this hash.
pub const NO_KEY: u64 = 0;

/// The state.
#[derive(Debug, Clone)]
pub struct Keys {
    k: usize,
    /// Rows with a key.
    rows: u64,
    /// Rows without one.
    missing: u64,
    held: KeyMap<u64>,
    /// Hashes above this are not among the k smallest.
    threshold: u64,
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        let of = |s: &Self| (s.k, s.rows, s.missing, s.finish());
        of(self) == of(other)
    }
}

impl Keys {
    /// No row; at most `k` keys will be held.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            rows: 0,
            missing: 0,
            held: KeyMap::default(),
            threshold: u64::MAX,
        }
    }

    /// Counts rows by the hashes of their keys, [`NO_KEY`] where there is none.
    ///
    /// # Errors
    /// More rows than 64 bits count.
    pub fn update(&mut self, hashes: impl IntoIterator<Item = u64>) -> Result<()> {
        for h in hashes {
            if h == NO_KEY {
                self.missing = self.missing.checked_add(1).ok_or(Error::Overflow("rows"))?;
            } else {
                self.rows = self.rows.checked_add(1).ok_or(Error::Overflow("rows"))?;
                self.add(h, 1)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, h: u64, count: u64) -> Result<()> {
        if h > self.threshold {
            return Ok(());
        }
        match self.held.entry(h) {
            Entry::Occupied(mut e) => {
                *e.get_mut() = e.get().checked_add(count).ok_or(Error::Overflow("a key"))?;
            }
            Entry::Vacant(e) => {
                e.insert(count);
                if self.held.len() >= 2 * self.k {
                    self.compact();
                }
            }
        }
        Ok(())
    }

    fn compact(&mut self) {
        if self.held.len() <= self.k {
            return;
        }
        let mut hashes: Vec<u64> = self.held.keys().copied().collect();
        let (_, last, _) = hashes.select_nth_unstable(self.k - 1);
        self.threshold = *last;
        let threshold = self.threshold;
        self.held.retain(|h, _| *h <= threshold);
    }

    /// Adds another state that holds as many keys.
    ///
    /// # Errors
    /// States of another size; more rows than 64 bits count.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.k != other.k {
            return Err(Error::incompatible("keys held in another number"));
        }
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or(Error::Overflow("rows"));
        self.rows = sum(self.rows, other.rows)?;
        self.missing = sum(self.missing, other.missing)?;
        // What the other side forgot lies above its threshold, and can be none of the smallest of both.
        self.threshold = self.threshold.min(other.threshold);
        let threshold = self.threshold;
        self.held.retain(|h, _| *h <= threshold);
        for (h, count) in &other.held {
            self.add(*h, *count)?;
        }
        Ok(())
    }

    /// Rows with a key, and without.
    pub fn rows(&self) -> (u64, u64) {
        (self.rows, self.missing)
    }

    /// The smallest hashes with their rows, ascending.
    pub fn finish(&self) -> Vec<(u64, u64)> {
        let mut all: Vec<(u64, u64)> = self.held.iter().map(|(h, n)| (*h, *n)).collect();
        all.sort_unstable();
        all.truncate(self.k);
        all
    }

    /// Rows of a key after its first, and the standard error of that number (0 when exact).
    pub fn repeated(&self) -> (f64, f64) {
        let held = self.finish();
        let (keys, rows) = (
            held.len() as f64,
            held.iter().map(|h| h.1 as f64).sum::<f64>(),
        );
        if held.iter().fold(0, |n: u64, h| n.saturating_add(h.1)) == self.rows {
            return ((self.rows - held.len() as u64) as f64, 0.0);
        }
        let mean = rows / keys;
        let squares = held
            .iter()
            .map(|h| (h.1 as f64 - mean) * (h.1 as f64 - mean));
        // Had one key of the sample come twice, this would be the variance: no sample shows that none did.
        let variance = (squares.sum::<f64>() / (keys - 1.0).max(1.0)).max(1.0 / keys);
        let n = self.rows as f64;
        let se = n * libm::sqrt(variance / keys) / (mean * mean);
        (n * (1.0 - 1.0 / mean), se)
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        let held = self.finish();
        w.varint(self.rows);
        w.varint(self.missing);
        w.ascending(held.iter().map(|h| h.0));
        held.iter().for_each(|h| w.varint(h.1));
    }

    /// Reads what [`Keys::encode`] wrote for a state of `k` keys.
    ///
    /// # Errors
    /// Bytes that no state writes.
    pub fn decode(r: &mut Reader<'_>, k: usize) -> Result<Self> {
        let mut s = Self::new(k);
        s.rows = r.varint()?;
        s.missing = r.varint()?;
        let hashes = r.ascending()?;
        let full = hashes.len() == k;
        if hashes.len() > k || hashes.first() == Some(&NO_KEY) {
            return Err(Error::corrupt("keys that no state holds"));
        }
        let mut total = 0_u64;
        let last = hashes.last().copied();
        for h in hashes {
            let count = r.varint()?;
            let sum = total
                .checked_add(count)
                .filter(|t| count > 0 && *t <= s.rows);
            total = sum.ok_or_else(|| Error::corrupt("rows of keys and rows disagree"))?;
            s.held.insert(h, count);
        }
        if !full && total != s.rows {
            return Err(Error::corrupt("rows of keys and rows disagree"));
        }
        if let Some(last) = last.filter(|_| full) {
            s.threshold = last;
        }
        Ok(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::key::mix;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn bytes(s: &Keys) -> Vec<u8> {
        let mut w = Writer::new();
        s.encode(&mut w);
        w.into_bytes()
    }

    proptest! {
        #[test]
        fn any_split_and_order_gives_the_same_bytes(
            keys in prop::collection::vec(0..60u64, 0..300),
            cuts in prop::collection::vec(0..300usize, 0..4),
        ) {
            let hash = |k: &u64| if *k == 7 { NO_KEY } else { mix(*k) };
            let state = |part: &[u64]| {
                let mut s = Keys::new(16);
                s.update(part.iter().map(hash)).unwrap();
                s
            };
            let whole = state(&keys);
            let mut parts = vec![];
            let mut rest = keys.as_slice();
            for cut in cuts {
                let (a, b) = rest.split_at(cut.min(rest.len()));
                parts.push(state(a));
                rest = b;
            }
            parts.push(state(rest));
            parts.reverse();
            let mut merged = Keys::new(16);
            for part in &parts {
                merged.merge(part).unwrap();
            }
            prop_assert_eq!(bytes(&merged), bytes(&whole));
            let encoded = bytes(&whole);
            let mut r = Reader::new(&encoded);
            let decoded = Keys::decode(&mut r, 16).unwrap();
            r.finish().unwrap();
            prop_assert_eq!(bytes(&decoded), encoded);
            let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
            for h in keys.iter().map(hash).filter(|h| *h != NO_KEY) {
                *counts.entry(h).or_default() += 1;
            }
            let truth: u64 = counts.values().map(|n| n - 1).sum();
            if counts.len() <= 16 {
                prop_assert_eq!(whole.repeated(), (truth as f64, 0.0));
            } else {
                let want: Vec<_> = counts.into_iter().take(16).collect();
                prop_assert_eq!(whole.finish(), want);
            }
            // A decoded state goes on like the one it was.
            let mut on = decoded;
            on.merge(&whole).unwrap();
            let mut twice = whole.clone();
            twice.merge(&whole).unwrap();
            prop_assert_eq!(bytes(&on), bytes(&twice));
        }
    }

    #[test]
    fn an_estimate_is_near_and_says_how_near() {
        // 200,000 keys, each tenth three times.
        let mut s = Keys::new(K);
        s.update((0..200_000).map(mix)).unwrap();
        s.update(
            (0..200_000)
                .filter(|i| i % 10 == 0)
                .flat_map(|i| [mix(i); 2]),
        )
        .unwrap();
        let (n, se) = s.repeated();
        assert!(
            se > 0.0 && se < 1000.0 && (n - 40_000.0).abs() < 4.0 * se,
            "{n} +- {se}"
        );
        // None in the sample: no claim that there is none at all.
        let mut unique = Keys::new(K);
        unique.update((0..200_000).map(mix)).unwrap();
        let (n, se) = unique.repeated();
        assert!(n == 0.0 && se > 0.0);
    }
}
