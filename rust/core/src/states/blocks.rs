//! Counts on coarse cells, and exact sums, block by block: what the sampling error of dependent rows
//! is estimated from.
//!
//! Rows of one block (a day, a customer) are dependent in ways nobody knows; blocks are taken as the
//! independent units. A block keeps one count per coarse cell of the column and the exact sum of its
//! finite values about the grid's centre. Both are differences of integers, so the state is a
//! function of the multiset of (block, value) alone.

use std::collections::BTreeMap;

use crate::codec::{Reader, Writer};
use crate::states::exact_sum::Sum;
use crate::{Error, Result};

/// Most cells of a block.
pub const MAX_CELLS: usize = 64;
/// Blocks that an entity key is hashed into.
pub const KEY_BLOCKS: u64 = 1024;
/// Block of the rows without a time or key.
pub const MISSING: i64 = i64::MIN;

/// One block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Block {
    /// Rows by coarse cell.
    pub counts: Vec<u64>,
    /// Exact sum of the finite values about the grid's centre; 0 for categories.
    pub sum: Sum,
}

/// The blocks of one column of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks {
    cells: usize,
    by: BTreeMap<i64, Block>,
}

impl Blocks {
    /// No block; each will have `cells` cells.
    pub fn new(cells: usize) -> Self {
        Self {
            cells,
            by: BTreeMap::new(),
        }
    }

    /// Number of cells of a block.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Blocks in ascending order of their key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&i64, &Block)> {
        self.by.iter()
    }

    /// Adds rows to a block: the counts and sum after them less those before.
    pub(crate) fn add(&mut self, block: i64, before: &Block, after: &Block) {
        let slot = self.by.entry(block).or_insert_with(|| Block {
            counts: vec![0; self.cells],
            sum: Sum::default(),
        });
        for ((c, a), b) in slot
            .counts
            .iter_mut()
            .zip(&after.counts)
            .zip(&before.counts)
        {
            *c += a - b;
        }
        slot.sum.merge(&after.sum);
        slot.sum.subtract_sum(&before.sum);
    }

    /// Adds another state on the same cells.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.cells != other.cells {
            return Err(Error::incompatible("blocks on different cells"));
        }
        for (key, block) in &other.by {
            match self.by.get_mut(key) {
                None => {
                    self.by.insert(*key, block.clone());
                }
                Some(mine) => {
                    for (a, b) in mine.counts.iter_mut().zip(&block.counts) {
                        *a = a.checked_add(*b).ok_or(Error::Overflow("a block"))?;
                    }
                    mine.sum.merge(&block.sum);
                }
            }
        }
        Ok(())
    }

    /// Every count and sum divided by what divides them all.
    pub fn quotient(&self, by: u64) -> Self {
        let mut out = self.clone();
        for block in out.by.values_mut() {
            block.counts.iter_mut().for_each(|c| *c /= by.max(1));
            block.sum = block.sum.quotient(by);
        }
        out
    }

    /// Rows by cell over all blocks; none beyond 2^64.
    pub fn total(&self) -> Option<Vec<u64>> {
        let mut total = vec![0u64; self.cells];
        for block in self.by.values() {
            for (t, c) in total.iter_mut().zip(&block.counts) {
                *t = t.checked_add(*c)?;
            }
        }
        Some(total)
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        // Keys keep their order as unsigned integers.
        w.ascending(self.by.keys().map(|k| (*k as u64) ^ 1 << 63));
        for block in self.by.values() {
            block.counts.iter().for_each(|c| w.varint(*c));
            block.sum.encode(w);
        }
    }

    /// Reads what [`Blocks::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>, cells: usize) -> Result<Self> {
        let keys = r.ascending()?;
        let mut by = BTreeMap::new();
        for key in keys {
            let counts = (0..cells).map(|_| r.varint()).collect::<Result<Vec<_>>>()?;
            let sum = Sum::decode(r)?;
            if counts.iter().all(|c| *c == 0) {
                return Err(Error::corrupt("a block without rows"));
            }
            by.insert((key ^ 1 << 63) as i64, Block { counts, sum });
        }
        Ok(Self { cells, by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(counts: &[u64], sum: i128) -> Block {
        let mut s = Sum::default();
        s.add_i128(sum);
        Block {
            counts: counts.to_vec(),
            sum: s,
        }
    }

    proptest! {
        #[test]
        fn merging_in_any_order_gives_the_same_bytes(
            rows in prop::collection::vec((-3..3i64, 0..4usize, -9..9i128), 1..60),
            cut in 0..60usize,
        ) {
            let state = |rows: &[(i64, usize, i128)]| {
                let mut s = Blocks::new(4);
                for (key, cell, value) in rows {
                    let mut counts = [0; 4];
                    counts[*cell] = 1;
                    s.add(*key, &block(&[0; 4], 0), &block(&counts, *value));
                }
                s
            };
            let cut = cut.min(rows.len());
            let (mut ab, mut ba) = (state(&rows[..cut]), state(&rows[cut..]));
            let (a, b) = (ab.clone(), ba.clone());
            ab.merge(&b).unwrap();
            ba.merge(&a).unwrap();
            let bytes = |s: &Blocks| {
                let mut w = Writer::new();
                s.encode(&mut w);
                w.into_bytes()
            };
            prop_assert_eq!(bytes(&ab), bytes(&ba));
            prop_assert_eq!(bytes(&ab), bytes(&state(&rows)));
            let bytes = bytes(&ab);
            let mut r = Reader::new(&bytes);
            prop_assert_eq!(Blocks::decode(&mut r, 4).unwrap(), ab);
            r.finish().unwrap();
        }
    }
}
