//! Counts of categories: exact while few, then a dictionary of the heavy ones plus hash cells.
//!
//! A category is its 64-bit hash (xxHash 3) with the first bytes of its text. Without a dictionary
//! the state is the exact map up to [`LIMIT`] distinct values and a histogram of hashes beyond.
//! With the reference's dictionary, every value in it is counted exactly, all others fall into hash
//! cells, and the smallest hashes among them keep exact counts as examples.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Reader, Writer};
use crate::states::key_histogram::{KeyHistogram, KeyHistogramBuilder, KeyMap};
use crate::{Error, Result};

/// Distinct values counted exactly before a dictionary exists.
pub const LIMIT: usize = 16_384;
/// Values outside the dictionary that keep counts of their own.
const EXAMPLES: usize = 64;
/// Bytes of text kept of a value.
const LABEL: usize = 256;

/// Hash of a category.
#[inline]
pub fn hash(value: &[u8]) -> u64 {
    xxh3_64(value)
}

fn label(value: &[u8]) -> Vec<u8> {
    value[..value.len().min(LABEL)].to_vec()
}

/// The frozen categories of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dictionary {
    /// Ascending hashes.
    pub hashes: Vec<u64>,
    /// Whether these are all values of the reference.
    pub complete: bool,
    index: KeyMap<u32>,
}

impl Dictionary {
    /// A dictionary of these hashes, ascending.
    pub fn new(hashes: Vec<u64>, complete: bool) -> Arc<Self> {
        let index = hashes
            .iter()
            .enumerate()
            .map(|(i, h)| (*h, i as u32))
            .collect();
        Arc::new(Self {
            hashes,
            complete,
            index,
        })
    }

    /// Position of the category with this hash.
    pub fn position(&self, hash: u64) -> Option<usize> {
        self.index.get(&hash).map(|i| *i as usize)
    }

    /// Content hash.
    pub fn id(&self) -> String {
        let mut w = Writer::new();
        self.encode(&mut w);
        blake3::hash(&w.into_bytes()).to_hex()[..16].to_owned()
    }

    /// Writes the dictionary.
    pub fn encode(&self, w: &mut Writer) {
        w.u8(u8::from(self.complete));
        w.ascending(self.hashes.iter().copied());
    }

    /// Reads what [`Dictionary::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Arc<Self>> {
        let complete = match r.u8()? {
            0 => false,
            1 => true,
            b => return Err(Error::corrupt(format!("dictionary flag {b}; 0 or 1"))),
        };
        Ok(Self::new(r.ascending()?, complete))
    }
}

/// Exact count and text of one value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Rows.
    pub count: u64,
    /// First bytes of the value.
    pub label: Vec<u8>,
}

impl Counted {
    fn add(&mut self, count: u64, value: &[u8]) -> Result<()> {
        self.count = self
            .count
            .checked_add(count)
            .ok_or(Error::Overflow("a category"))?;
        if self.label.as_slice() != &value[..value.len().min(LABEL)]
            && (self.label.is_empty() || value < self.label.as_slice())
        {
            // Only a hash collision gets here; the smaller text wins whatever the order.
            self.label = label(value);
        }
        Ok(())
    }
}

/// The state.
#[derive(Debug, Clone)]
pub enum Categories {
    /// Before a dictionary exists.
    Free {
        /// Every value, until there are more than [`LIMIT`].
        exact: Option<KeyMap<Counted>>,
        /// Histogram of hashes.
        keys: KeyHistogramBuilder,
    },
    /// On a dictionary.
    Framed {
        /// The reference's categories.
        dictionary: Arc<Dictionary>,
        /// Counts in the dictionary's order.
        known: Vec<Counted>,
        /// Counts of other values by the top bits of their hash.
        cells: Vec<u64>,
        /// The smallest hashes among the other values.
        examples: BTreeMap<u64, Counted>,
    },
}

impl Categories {
    /// An empty state without a dictionary.
    pub fn free() -> Self {
        Self::Free {
            exact: Some(KeyMap::default()),
            keys: KeyHistogramBuilder::new(4096),
        }
    }

    /// An empty state on a dictionary with `cells` (a power of two) hash cells.
    pub fn framed(dictionary: Arc<Dictionary>, cells: usize) -> Self {
        let known = vec![Counted::default(); dictionary.hashes.len()];
        Self::Framed {
            dictionary,
            known,
            cells: vec![0; cells],
            examples: BTreeMap::new(),
        }
    }

    /// Counts a value `count` times; `h` is its [`hash`].
    pub fn add(&mut self, h: u64, value: &[u8], count: u64) -> Result<()> {
        match self {
            Self::Free { exact, keys } => {
                keys.add(h, count);
                if let Some(map) = exact {
                    match map.entry(h) {
                        Entry::Occupied(mut e) => e.get_mut().add(count, value)?,
                        Entry::Vacant(e) => {
                            e.insert(Counted {
                                count,
                                label: label(value),
                            });
                        }
                    }
                    if map.len() > LIMIT {
                        *exact = None;
                    }
                }
            }
            Self::Framed {
                dictionary,
                known,
                cells,
                examples,
            } => {
                if let Some(i) = dictionary.index.get(&h) {
                    return known[*i as usize].add(count, value);
                }
                let cell = cell_of(h, cells.len());
                cells[cell] = cells[cell]
                    .checked_add(count)
                    .ok_or(Error::Overflow("a category"))?;
                // A hash that stays among the smallest was there from its first row on.
                if examples.len() < EXAMPLES
                    || examples.last_key_value().is_some_and(|(k, _)| h <= *k)
                {
                    examples.entry(h).or_default().add(count, value)?;
                    if examples.len() > EXAMPLES {
                        examples.pop_last();
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds another state of the same kind.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        match (self, other) {
            (
                Self::Free { exact, keys },
                Self::Free {
                    exact: other_exact,
                    keys: other_keys,
                },
            ) => {
                keys.merge(&other_keys.finish());
                match (exact.as_mut(), other_exact) {
                    (Some(map), Some(other)) => {
                        for (h, c) in other {
                            map.entry(*h).or_default().add(c.count, &c.label)?;
                        }
                        if map.len() > LIMIT {
                            *exact = None;
                        }
                    }
                    _ => *exact = None,
                }
                Ok(())
            }
            (
                Self::Framed {
                    dictionary,
                    known,
                    cells,
                    examples,
                },
                Self::Framed {
                    dictionary: d,
                    known: k,
                    cells: c,
                    examples: e,
                },
            ) if dictionary.hashes == d.hashes && cells.len() == c.len() => {
                for (a, b) in known.iter_mut().zip(k).filter(|(_, b)| b.count > 0) {
                    a.add(b.count, &b.label)?;
                }
                for (a, b) in cells.iter_mut().zip(c) {
                    *a = a.checked_add(*b).ok_or(Error::Overflow("a category"))?;
                }
                for (h, b) in e {
                    examples.entry(*h).or_default().add(b.count, &b.label)?;
                }
                while examples.len() > EXAMPLES {
                    examples.pop_last();
                }
                Ok(())
            }
            _ => Err(Error::incompatible(
                "category dictionaries differ; profile both against one reference",
            )),
        }
    }

    /// Puts the hash of every value in the place of its text.
    pub fn veil(&mut self) {
        if let Self::Framed {
            dictionary,
            known,
            examples,
            ..
        } = self
        {
            let values = dictionary.hashes.iter().zip(known);
            let held = values.filter(|(_, c)| c.count > 0);
            for (hash, counted) in held.chain(examples.iter_mut()) {
                counted.label = format!("#{hash:016x}").into_bytes();
            }
        }
    }

    /// Every count divided by what divides them all.
    pub fn quotient(&self, by: u64) -> Self {
        let mut out = self.clone();
        if let Self::Framed {
            known,
            cells,
            examples,
            ..
        } = &mut out
        {
            let labelled = known.iter_mut().chain(examples.values_mut());
            labelled.for_each(|c| c.count /= by.max(1));
            cells.iter_mut().for_each(|c| *c /= by.max(1));
        }
        out
    }

    /// The histogram of hashes of a state without a dictionary.
    pub fn keys(&self) -> Option<KeyHistogram> {
        match self {
            Self::Free { keys, .. } => Some(keys.finish()),
            Self::Framed { .. } => None,
        }
    }

    /// The complete dictionary, while every value is counted exactly.
    pub fn complete(&self) -> Option<Arc<Dictionary>> {
        match self {
            Self::Free {
                exact: Some(map), ..
            } => {
                let mut hashes: Vec<u64> = map.keys().copied().collect();
                hashes.sort_unstable();
                Some(Dictionary::new(hashes, true))
            }
            _ => None,
        }
    }

    /// Rows of a state on a dictionary; none beyond 2^64 or before there is one.
    pub fn rows(&self) -> Option<u64> {
        let Self::Framed { known, cells, .. } = self else {
            return None;
        };
        let known = known.iter().map(|k| k.count);
        known
            .chain(cells.iter().copied())
            .try_fold(0u64, u64::checked_add)
    }

    /// Writes the state without its dictionary; only framed states are stored.
    pub fn encode(&self, w: &mut Writer) {
        let Self::Framed {
            known,
            cells,
            examples,
            ..
        } = self
        else {
            return;
        };
        for c in known {
            w.varint(c.count);
            if c.count > 0 {
                w.bytes(&c.label);
            }
        }
        w.varint(cells.len() as u64);
        let occupied: Vec<_> = cells.iter().enumerate().filter(|(_, c)| **c > 0).collect();
        w.ascending(occupied.iter().map(|(i, _)| *i as u64));
        for (_, c) in occupied {
            w.varint(*c);
        }
        w.ascending(examples.keys().copied().collect::<Vec<_>>().into_iter());
        for c in examples.values() {
            w.varint(c.count);
            w.bytes(&c.label);
        }
    }

    /// Reads what [`Categories::encode`] wrote for this dictionary.
    pub fn decode(r: &mut Reader<'_>, dictionary: Arc<Dictionary>, cells: usize) -> Result<Self> {
        let expected = cells;
        let text = |r: &mut Reader<'_>| -> Result<Vec<u8>> {
            let b = r.bytes()?;
            if b.len() > LABEL {
                Err(Error::corrupt("category text too long"))
            } else {
                Ok(b.to_vec())
            }
        };
        let mut known = Vec::with_capacity(dictionary.hashes.len());
        for _ in 0..dictionary.hashes.len() {
            let count = r.varint()?;
            let label = if count > 0 { text(r)? } else { Vec::new() };
            known.push(Counted { count, label });
        }
        let n = r.varint()? as usize;
        if n != expected {
            return Err(Error::corrupt("number of hash cells"));
        }
        let mut cells = vec![0; n];
        for i in r.ascending()? {
            let slot = cells
                .get_mut(i as usize)
                .ok_or_else(|| Error::corrupt("hash cell out of range"))?;
            *slot = r.varint()?;
            if *slot == 0 {
                return Err(Error::corrupt("an empty hash cell"));
            }
        }
        let mut examples = BTreeMap::new();
        let hashes = r.ascending()?;
        if hashes.len() > EXAMPLES {
            return Err(Error::corrupt("too many examples"));
        }
        for h in hashes {
            let count = r.varint()?;
            examples.insert(
                h,
                Counted {
                    count,
                    label: text(r)?,
                },
            );
        }
        Ok(Self::Framed {
            dictionary,
            known,
            cells,
            examples,
        })
    }
}

/// The hash cell of a hash.
pub fn cell_of(h: u64, cells: usize) -> usize {
    ((u128::from(h) * cells as u128) >> 64) as usize
}
