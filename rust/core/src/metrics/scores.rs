//! Joint histogram of score and binary label, on order-preserving keys of the score.
//!
//! The cells are those of [`crate::states::key_histogram`]: keys shifted right by the least level at
//! which at most `cap` cells are occupied, so the state is a function of the multiset of rows alone.
//! At level 0 every cell is one score and everything read off it is exact.

use std::borrow::Cow;

use super::weight::{Amount, Mass, Weighting};
use crate::codec::{Reader, Writer};
use crate::kernels::key;
use crate::{Error, Result};

/// Rows held back at least before they are sorted into the cells.
const PENDING: usize = 1 << 16;

/// Rows of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    /// `key >> level`.
    cell: u64,
    rows: u64,
    /// Weights of the negative and the positive class.
    mass: [Mass; 2],
}

/// The state. Compare two of them after [`Scores::settle`].
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    cap: u32,
    level: u32,
    /// Ascending by cell.
    cells: Vec<Cell>,
    /// Keys with the weight, whose sign bit is set for the negative class.
    pending: Vec<(u64, f64)>,
}

/// A cell in floats, for the metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Every row of the cell has the same score.
    pub single: bool,
    pub negative: Amount,
    pub positive: Amount,
    /// Smallest and largest score the cell may hold.
    pub range: (f64, f64),
}

impl Scores {
    /// No rows; at most `cap` cells, and at least 2.
    pub(super) fn empty(cap: u32) -> Self {
        Self {
            cap: cap.max(2),
            level: 0,
            cells: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Adds rows: a score that is not NaN, whether the label is positive, a relative weight.
    pub(super) fn update(
        &mut self,
        rows: impl Iterator<Item = (f64, bool, f64)>,
        weighting: Weighting,
    ) -> Result<()> {
        for (score, positive, weight) in rows {
            let signed = if positive { weight } else { -weight };
            self.pending.push((key::of_f64(score), signed));
            if self.pending.len() >= PENDING.max(self.cells.len()) {
                self.settle(weighting)?;
            }
        }
        Ok(())
    }

    /// Adds the rows of another state of the same cap.
    pub(super) fn merge(&mut self, other: &Self, weighting: Weighting) -> Result<()> {
        self.settle(weighting)?;
        let other = other.settled(weighting)?;
        let level = self.level.max(other.level);
        let mine = shifted(std::mem::take(&mut self.cells), level - self.level)?;
        let theirs = shifted(other.cells.clone(), level - other.level)?;
        self.level = level;
        self.cells = union(mine, theirs)?;
        self.coarsen()
    }

    /// Sorts pending rows into the cells.
    pub(super) fn settle(&mut self, weighting: Weighting) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.pending);
        rows.sort_unstable_by_key(|r| r.0);
        let mut fresh: Vec<Cell> = Vec::new();
        for (key, weight) in rows.iter().copied() {
            let cell = key >> self.level;
            if fresh.last().is_none_or(|c| c.cell != cell) {
                fresh.push(Cell {
                    cell,
                    rows: 0,
                    mass: [Mass::default(); 2],
                });
            }
            if let Some(last) = fresh.last_mut() {
                last.rows += 1;
                last.mass[usize::from(weight.is_sign_positive())].add(weighting, weight.abs())?;
            }
        }
        rows.clear();
        self.pending = rows;
        self.cells = if self.cells.is_empty() {
            fresh
        } else {
            union(std::mem::take(&mut self.cells), fresh)?
        };
        self.coarsen()
    }

    /// This state without pending rows.
    fn settled(&self, weighting: Weighting) -> Result<Cow<'_, Self>> {
        if self.pending.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut settled = self.clone();
        settled.settle(weighting)?;
        Ok(Cow::Owned(settled))
    }

    /// Raises the level to the least one with at most `cap` occupied cells.
    fn coarsen(&mut self) -> Result<()> {
        let cap = self.cap as usize;
        if self.cells.len() <= cap {
            return Ok(());
        }
        // Two neighbours share a cell from the level above their highest differing bit on.
        let mut merged_at = [0_usize; 65];
        for w in self.cells.windows(2) {
            merged_at[64 - (w[0].cell ^ w[1].cell).leading_zeros() as usize] += 1;
        }
        let (mut occupied, mut by) = (self.cells.len(), 0);
        while occupied > cap && by < 63 - self.level {
            by += 1;
            occupied -= merged_at[by as usize];
        }
        self.cells = shifted(std::mem::take(&mut self.cells), by)?;
        self.level += by;
        Ok(())
    }

    /// The cells, ascending by score.
    pub(super) fn steps(&self, weighting: Weighting) -> Result<Vec<Step>> {
        let settled = self.settled(weighting)?;
        let level = settled.level;
        Ok(settled
            .cells
            .iter()
            .map(|c| {
                let low = c.cell << level;
                let high = low | ((1_u64 << level) - 1);
                Step {
                    single: level == 0 || c.rows == 1,
                    negative: c.mass[0].amount(weighting),
                    positive: c.mass[1].amount(weighting),
                    range: (ordered(low), ordered(high)),
                }
            })
            .collect())
    }

    pub(super) fn encode(&self, weighting: Weighting, w: &mut Writer) -> Result<()> {
        let settled = self.settled(weighting)?;
        w.u8(settled.level as u8);
        w.ascending(settled.cells.iter().map(|c| c.cell));
        for c in &settled.cells {
            if weighting.is_weighted() {
                w.varint(c.rows);
            }
            c.mass.iter().for_each(|m| m.encode(weighting, w));
        }
        Ok(())
    }

    pub(super) fn decode(cap: u32, weighting: Weighting, r: &mut Reader<'_>) -> Result<Self> {
        let level = u32::from(r.u8()?);
        let keys = r.ascending()?;
        if level > 63
            || keys.len() > cap as usize
            || keys.last().is_some_and(|k| k.leading_zeros() < level)
        {
            return Err(Error::corrupt("score histogram out of its range"));
        }
        let mut cells = Vec::with_capacity(keys.len());
        for cell in keys {
            let rows = if weighting.is_weighted() {
                r.varint()?
            } else {
                0
            };
            let mass = [Mass::decode(weighting, r)?, Mass::decode(weighting, r)?];
            let rows = if weighting.is_weighted() {
                rows
            } else {
                let [a, b] = mass.map(|m| m.amount(weighting).w as u64);
                a.saturating_add(b)
            };
            if rows == 0 {
                return Err(Error::corrupt("score histogram with an empty cell"));
            }
            cells.push(Cell { cell, rows, mass });
        }
        Ok(Self {
            cap,
            level,
            cells,
            pending: Vec::new(),
        })
    }
}

/// The float of a key; keys beyond the infinities, which no score has, are the infinities.
fn ordered(key: u64) -> f64 {
    let (low, high) = (key::of_f64(f64::NEG_INFINITY), key::of_f64(f64::INFINITY));
    key::to_f64(key.clamp(low, high))
}

/// Cells at a level higher by `by`.
fn shifted(mut cells: Vec<Cell>, by: u32) -> Result<Vec<Cell>> {
    if by == 0 {
        return Ok(cells);
    }
    cells.iter_mut().for_each(|c| c.cell >>= by);
    merged(cells.into_iter())
}

/// Joins neighbours that are the same cell.
fn merged(cells: impl Iterator<Item = Cell>) -> Result<Vec<Cell>> {
    let mut out: Vec<Cell> = Vec::with_capacity(cells.size_hint().0);
    for c in cells {
        match out.last_mut() {
            Some(last) if last.cell == c.cell => {
                last.rows = last
                    .rows
                    .checked_add(c.rows)
                    .ok_or(Error::Overflow("rows"))?;
                last.mass[0].merge(&c.mass[0])?;
                last.mass[1].merge(&c.mass[1])?;
            }
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// Cells of two sets of one level.
fn union(a: Vec<Cell>, b: Vec<Cell>) -> Result<Vec<Cell>> {
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    let ascending = std::iter::from_fn(|| match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x.cell > y.cell => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    });
    merged(ascending)
}
