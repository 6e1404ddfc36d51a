//! Where the values of a dictionary fall in a block, found once for all runs of rows that use it.
//!
//! A page of indices says nothing but how often each value of the dictionary occurs. Where rows change
//! block more often than dictionary, the rows of each block are counted on the block alone, and the
//! whole state sees the dictionary once.

use super::{ColumnPlan, ColumnState, Frozen, Kind, Lane, block_categories, lane};
use crate::states::blocks::Block;
use crate::states::categories;
use crate::states::counts::Counts;
use crate::states::exact_sum::Sum;
use crate::states::moments::Center;
use crate::value::Slice;
use crate::{Result, kernels::key};

/// The cells of the values of a dictionary in a block, and what each adds to the block's sum.
#[derive(Debug)]
pub struct Placed {
    cells: Vec<u8>,
    parts: Parts,
}

/// What a value adds to the sum of its block.
#[derive(Debug)]
enum Parts {
    /// Categories have no sum.
    None,
    /// Offsets from the centre; 0 for values that are not finite.
    Floats(Vec<f64>),
    /// Sign and magnitude.
    Integers(Vec<(bool, u64)>),
}

impl Placed {
    /// Places the values of a dictionary. None where the plan keeps no blocks, where rows have weights,
    /// and for values that reach the states as text or in part.
    ///
    /// # Errors
    /// A value that is not exactly one of the reference's type, as when it is counted.
    pub fn new(plan: &ColumnPlan, values: Slice<'_>) -> Result<Option<Self>> {
        let Some(cells) = plan.block_cells().filter(|_| !plan.weighed) else {
            return Ok(None);
        };
        // At most 64 cells.
        let cell = |i: usize| i.min(cells - 1) as u8;
        let frame = match (&plan.frozen, plan.kind, values) {
            (Frozen::Dictionary(dictionary), Kind::Categorical, Slice::Bytes(v)) => {
                let n = block_categories(dictionary);
                let of = |i| dictionary.position(categories::hash(v.get(i)));
                return Ok(Some(Self {
                    cells: (0..v.len())
                        .map(|i| cell(of(i).map_or(n, |at| at % n)))
                        .collect(),
                    parts: Parts::None,
                }));
            }
            (Frozen::Grid(frame), Kind::Numeric, _) => frame,
            _ => return Ok(None),
        };
        let grid = &frame.grid;
        let edges: Vec<u64> = grid
            .nested
            .iter()
            .map(|i| grid.edges[*i as usize])
            .collect();
        let inner = |base: u64| {
            let k = grid.domain.of_base(base);
            cell(edges.partition_point(|e| *e <= k))
        };
        let missing = plan.missing_cell();
        Ok(match lane(plan, values, &mut Counts::default(), None)? {
            Lane::Floats(v) => {
                let place = |x: &f64| match *x {
                    x if x.is_finite() => {
                        (inner(key::of_f64(x)), Center::At(grid.center).offset(x))
                    }
                    x if x.is_nan() => (cell(missing), 0.0),
                    x if x < 0.0 => (cell(missing + 1), 0.0),
                    _ => (cell(missing + 2), 0.0),
                };
                let (cells, offsets) = v.iter().map(place).unzip();
                Some(Self {
                    cells,
                    parts: Parts::Floats(offsets),
                })
            }
            Lane::Signed(v) => Some(Self {
                cells: v.iter().map(|v| inner(key::of_i64(*v))).collect(),
                parts: Parts::Integers(v.iter().map(|v| (*v < 0, v.unsigned_abs())).collect()),
            }),
            Lane::Unsigned(v) => Some(Self {
                cells: v.iter().map(|v| inner(*v)).collect(),
                parts: Parts::Integers(v.iter().map(|v| (false, *v)).collect()),
            }),
            Lane::Gaps(..) => None,
        })
    }

    /// Rows on the cells of a block, and their sum.
    fn block(&self, cells: usize, counts: &[u64]) -> Block {
        let mut block = Block {
            counts: vec![0; cells],
            sum: Sum::default(),
        };
        let mut add = |i: usize, n: u64| block.counts[usize::from(self.cells[i])] += n;
        let some = counts.iter().enumerate().filter(|(_, n)| **n > 0);
        match &self.parts {
            Parts::None => some.for_each(|(i, n)| add(i, *n)),
            Parts::Floats(offsets) => {
                for (i, n) in some {
                    add(i, *n);
                    block.sum.add_f64(offsets[i], *n);
                }
            }
            Parts::Integers(values) => {
                for (i, n) in some {
                    add(i, *n);
                    let (negative, magnitude) = values[i];
                    let part = u128::from(magnitude) * u128::from(*n);
                    block.sum.add_scaled(negative, part, 0);
                }
            }
        }
        block
    }
}

impl ColumnState {
    /// Counts rows on a block alone: value `i` of the dictionary `counts[i]` times. The same rows are to
    /// reach the state by [`ColumnState::update_counted`] outside any block.
    pub fn add_to_block(&mut self, block: i64, placed: &Placed, counts: &[u64]) {
        let Some(blocks) = &mut self.blocks else {
            return;
        };
        let rows = placed.block(blocks.cells(), counts);
        if rows.counts.iter().any(|n| *n > 0) {
            let before = Block {
                counts: vec![0; blocks.cells()],
                sum: Sum::default(),
            };
            blocks.add(block, &before, &rows);
        }
    }
}
