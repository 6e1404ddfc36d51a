//! Where the distribution functions of two samples are furthest apart, without sorting the samples.
//!
//! Both samples are counted on cells of keys. A cell can hold the largest difference only where the
//! counts around it allow one beyond all differences at the ends of cells; the keys of these cells alone
//! are sorted. What comes out is a partition on which the largest differences up and down are exact:
//! the bounds of all other cells are at most those attained.

use crate::column::{base_domain, unit_of};
use crate::kernels::BLOCK;
use crate::pair::{Cell, SortedCells};
use crate::states::grid::{Frame, Grid};
use crate::states::refine::BOUND;
use crate::value::Logical;

/// Cells: about as many as slots of the table that finds them.
const CELLS: usize = 1 << 13;

/// Keys of either side whose quantiles cut the cells. Which ones does not matter for the answer.
const SAMPLE: usize = 4 * CELLS;

/// A difference of two distribution functions as a fraction of `n m`, and its negative.
#[derive(Clone, Copy)]
struct Ends {
    rows: (u128, u128),
    up: u128,
    down: u128,
}

impl Ends {
    /// How far the reference may be ahead, and the current sample, if rows of the first come first.
    fn reach(&self, reference: (u64, u64), current: (u64, u64)) -> (u128, u128) {
        let ahead = |a: u64, m: u128, b: u64, n: u128| {
            (u128::from(a) * m).saturating_sub(u128::from(b) * n)
        };
        let (n, m) = self.rows;
        (
            ahead(reference.1, m, current.0, n),
            ahead(current.1, n, reference.0, m),
        )
    }
}

/// Cells of two samples given by base keys in any order, from `ends.0` to `ends.1`. `below` are the rows of
/// either side below all keys and `rows` all their rows, those below and above included.
pub(super) fn cells(
    logical: Logical,
    (reference, current): (&[u64], &[u64]),
    ends: (u64, u64),
    below: (u64, u64),
    rows: (u64, u64),
) -> Vec<Cell> {
    let frame = Frame::new(grid(logical, (reference, current), ends));
    let edges = frame.grid.edges.as_slice();
    let place = |keys: &[u64]| {
        let (mut at, mut counts) = (vec![0_u16; keys.len()], vec![0_u64; edges.len() + 1]);
        for (at, keys) in at.chunks_mut(BLOCK).zip(keys.chunks(BLOCK)) {
            frame.locate(keys, at);
            at.iter().for_each(|j| counts[usize::from(*j)] += 1);
        }
        (at, counts)
    };
    let ((at_reference, reference_counts), (at_current, current_counts)) =
        (place(reference), place(current));
    let cells = || reference_counts.iter().zip(&current_counts);

    // The largest differences at the ends of cells.
    let mut found = Ends {
        rows: (rows.0.into(), rows.1.into()),
        up: 0,
        down: 0,
    };
    let mut at = below;
    let mut take = |at: (u64, u64)| {
        let (up, down) = found.reach((at.0, at.0), (at.1, at.1));
        (found.up, found.down) = (found.up.max(up), found.down.max(down));
    };
    take(at);
    for (a, b) in cells() {
        at = (at.0 + a, at.1 + b);
        take(at);
    }
    let mut at = below;
    let looked_into: Vec<bool> = cells()
        .map(|(a, b)| {
            let left = at;
            at = (at.0 + a, at.1 + b);
            let (up, down) = found.reach((left.0, at.0), (left.1, at.1));
            up > found.up || down > found.down
        })
        .collect();
    let inside = |keys: &[u64], at: &[u16]| {
        let placed = keys.iter().zip(at);
        let held = placed.filter(|(_, j)| looked_into[usize::from(**j)]);
        let mut held: Vec<u64> = held.map(|(k, _)| *k).collect();
        held.sort_unstable();
        held
    };
    let (held_reference, held_current) = (
        inside(reference, &at_reference),
        inside(current, &at_current),
    );

    let (mut a, mut b) = (held_reference.as_slice(), held_current.as_slice());
    let (domain, unit) = (base_domain(logical), unit_of(logical));
    let mut out = Vec::new();
    for (i, (n, m)) in cells().enumerate().filter(|(_, c)| *c.0 + *c.1 > 0) {
        if looked_into[i] {
            let (in_a, in_b);
            (in_a, a) = a.split_at(*n as usize);
            (in_b, b) = b.split_at(*m as usize);
            out.extend(SortedCells::new(logical, in_a, in_b));
            continue;
        }
        // No key lies below the first edge or above the last one.
        let first = edges[i.saturating_sub(1)];
        let last = edges.get(i).map_or(first, |next| next - 1);
        let (low, high) = (domain.value(first) / unit, domain.value(last) / unit);
        out.push(Cell {
            low,
            high,
            single: first == last,
            reference: *n,
            current: *m,
            offset_reference: 0.0,
            offset_current: 0.0,
            // Offsets were not summed.
            offset_error: f64::INFINITY,
            coarse: 0,
        });
    }
    out
}

/// Cells of about equal mass, by the quantiles of a sample of both sides; from the lowest key to the highest.
fn grid(logical: Logical, (reference, current): (&[u64], &[u64]), ends: (u64, u64)) -> Grid {
    let mut sample: Vec<u64> = [reference, current]
        .into_iter()
        .flat_map(|keys| keys.iter().step_by(keys.len().div_ceil(SAMPLE).max(1)))
        .copied()
        .collect();
    sample.sort_unstable();
    let step = sample.len().div_ceil(CELLS).max(1);
    let mut edges: Vec<u64> = sample.into_iter().step_by(step).collect();
    edges.extend([ends.0, ends.1]);
    edges.sort_unstable();
    edges.dedup();
    Grid {
        domain: base_domain(logical),
        edges,
        atoms: Vec::new(),
        center: 0.0,
        coarse: Vec::new(),
        nested: Vec::new(),
        bound: BOUND,
    }
}
