//! Distribution functions and quantiles for reports, read off the frozen grid.

use crate::column::{ColumnState, scaled};
use crate::compare::pairs::pair_of;
use crate::pair::{Cell, Pair};
use crate::profile::Column;
use crate::states::grid::Domain;
use crate::statistics::MIN_COUNT;

/// A cell of a curve holds about this share of the rows, half of them reference and half current.
const CELL: f64 = 1.0 / 50.0;

/// Quantiles drawn over time, in hundredths.
pub(super) const QUANTILES: [u64; 5] = [5, 25, 50, 75, 95];

/// Counts of every sample in shared cells, by which differences of distribution functions are exact
/// at the edges and bounded between them.
#[derive(Debug, PartialEq)]
pub(super) struct Curve {
    /// Ascending, in the unit of the column. The first cell lies below the first edge and holds
    /// negative infinities, the last one from the last edge on, with the positive ones.
    pub edges: Vec<f64>,
    /// Cells of one single value, where a distribution function jumps and takes no value between.
    pub points: Vec<usize>,
    /// By sample, by cell.
    pub counts: Vec<Vec<u64>>,
}

/// The curve of a numeric column; the first sample is the reference. `None` where there is no grid, or
/// no edge with enough rows on both sides to be shown.
pub(super) fn curve(column: &Column, samples: &[&ColumnState]) -> Option<Curve> {
    let grid = samples[0].grid()?.grid();
    let fine: Option<Vec<Vec<u64>>> = samples
        .iter()
        .map(|s| s.grid().map(|g| g.counts()))
        .collect();
    let fine = fine?;
    let cuts = cuts(&fine);
    if cuts.is_empty() {
        return None;
    }
    let last = cuts.len();
    let bounds = |j: usize| {
        let start = if j == 0 { 0 } else { cuts[j - 1] };
        (start, cuts.get(j).copied().unwrap_or(grid.cells()))
    };
    let counts = samples
        .iter()
        .zip(&fine)
        .map(|(s, fine)| {
            let mut out: Vec<u64> = (0..=last)
                .map(|j| fine[bounds(j).0..bounds(j).1].iter().sum())
                .collect();
            out[0] += s.counts.neg_inf;
            out[last] += s.counts.pos_inf;
            out
        })
        .collect();
    let pure = |cell: usize| {
        let rounded = grid.domain == Domain::F32;
        grid.atom(cell).is_some()
            && (!rounded
                || samples
                    .iter()
                    .all(|s| s.grid().is_some_and(|g| g.is_pure(cell))))
    };
    let points = (1..last)
        .filter(|j| bounds(*j).1 - bounds(*j).0 == 1 && pure(bounds(*j).0))
        .collect();
    let edges = cuts
        .iter()
        .map(|cell| scaled(column.logical, grid.domain.start(grid.edges[cell - 1])))
        .collect();
    Some(Curve {
        edges,
        points,
        counts,
    })
}

/// Cells of the grid in front of which a cell of the curve starts.
fn cuts(fine: &[Vec<u64>]) -> Vec<usize> {
    let totals: Vec<f64> = fine
        .iter()
        .map(|counts| counts.iter().sum::<u64>() as f64)
        .collect();
    let windows = totals[1..].iter().filter(|n| **n > 0.0).count().max(1) as f64;
    let weight = |cell: usize| {
        let share = |i: usize| {
            if totals[i] > 0.0 {
                fine[i][cell] as f64 / totals[i]
            } else {
                0.0
            }
        };
        0.5 * share(0) + 0.5 * (1..fine.len()).map(share).sum::<f64>() / windows
    };
    let rows = |cell: usize| fine.iter().map(|counts| counts[cell]).sum::<u64>();
    let cells = fine[0].len();
    let (mut out, mut held, mut since) = (Vec::new(), 0u64, 0.0);
    for cell in 0..cells {
        let own = weight(cell);
        // A heavy cell stands alone, so that a jump is drawn as one.
        if cell > 0 && held >= MIN_COUNT && (since >= CELL || own >= CELL) {
            out.push(cell);
            (held, since) = (0, 0.0);
        }
        held += rows(cell);
        since += own;
    }
    if held < MIN_COUNT {
        out.pop();
    }
    out
}

/// The quantiles of both sides, reference first: the smallest value that at least this share of the
/// finite rows does not exceed, interpolated by rank in a cell of several values.
///
/// Beyond the grid, where only the extremes bound a cell, it is the mean of the rows there. One with
/// fewer than ten rows on either side is `None`.
pub(super) fn quantiles(
    column: &Column,
    reference: &ColumnState,
    current: &ColumnState,
) -> [[Option<f64>; 5]; 2] {
    let Ok(Pair::Numeric(pair)) = pair_of(column, reference, current) else {
        return [[None; 5]; 2];
    };
    let of = |count: fn(&Cell) -> u64, offset: fn(&Cell) -> f64, rows: u64| {
        QUANTILES.map(|q| quantile(&pair.cells, count, offset, rows, q))
    };
    let (r, c) = (reference.rows().finite, current.rows().finite);
    [
        of(|c| c.reference, |c| c.offset_reference, r),
        of(|c| c.current, |c| c.offset_current, c),
    ]
}

fn quantile(
    cells: &[Cell],
    count: fn(&Cell) -> u64,
    offset: fn(&Cell) -> f64,
    rows: u64,
    hundredths: u64,
) -> Option<f64> {
    let beyond = (u128::from(rows) * u128::from(hundredths.min(100 - hundredths))) / 100;
    if beyond < u128::from(MIN_COUNT) {
        return None;
    }
    let total: u64 = cells.iter().map(count).sum();
    let rank = (u128::from(total) * u128::from(hundredths)).div_ceil(100);
    let mut end = 0u128;
    let at = cells.iter().position(|cell| {
        end += u128::from(count(cell));
        end >= rank
    })?;
    let cell = &cells[at];
    let held = count(cell) as f64;
    let open = !cell.single && (at == 0 || at == cells.len() - 1);
    let value = if open {
        cell.low + offset(cell) / held
    } else {
        let share = (held - (end - rank) as f64 - 0.5) / held;
        cell.low * (1.0 - share) + cell.high * share
    };
    Some(value.clamp(cell.low, cell.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(low: f64, high: f64, current: u64) -> Cell {
        Cell {
            low,
            high,
            single: low == high,
            reference: 0,
            current,
            offset_reference: 0.0,
            offset_current: current as f64 * (high - low) / 4.0,
            offset_error: 0.0,
            coarse: 0,
        }
    }

    fn of(cells: &[Cell], rows: u64, hundredths: u64) -> Option<f64> {
        quantile(cells, |c| c.current, |c| c.offset_current, rows, hundredths)
    }

    #[test]
    fn quantiles_by_rank() {
        let values: Vec<Cell> = (1..=400)
            .map(|x| cell(f64::from(x), f64::from(x), 1))
            .collect();
        for (q, x) in [(5, 20.0), (25, 100.0), (50, 200.0), (95, 380.0)] {
            assert_eq!(of(&values, 400, q), Some(x));
        }
        // Nine of 180 rows lie below the 5 % quantile: too few to be named.
        assert_eq!(of(&values[..180], 180, 5), None);
        assert_eq!(of(&values[..200], 200, 5), Some(10.0));
        assert_eq!(of(&[], 0, 50), None);
    }

    #[test]
    fn quantiles_within_cells() {
        let cells = [
            cell(0.0, 4.0, 100),
            cell(4.0, 6.0, 100),
            cell(6.0, 6.0, 100),
            cell(6.0, 10.0, 100),
        ];
        // Rank 148 is the 48th of a hundred: its middle lies at 0.475 of the cell.
        let found = of(&cells, 400, 37).expect("enough rows");
        assert!((found - (4.0 + 2.0 * 0.475)).abs() < 1e-12, "{found}");
        assert_eq!(of(&cells, 400, 75), Some(6.0));
        // The ends are open: the mean of what lies there.
        assert_eq!(of(&cells, 400, 5), Some(1.0));
        assert_eq!(of(&cells, 400, 95), Some(7.0));
    }

    #[test]
    fn cuts_have_rows_and_leave_heavy_cells_alone() {
        let even = vec![10u64; 1000];
        let found = cuts(&[even.clone(), even.clone()]);
        assert!((49..=51).contains(&found.len()), "{}", found.len());
        let mut heavy = even.clone();
        heavy[500] = 5000;
        let found = cuts(&[heavy.clone(), even.clone()]);
        assert!(found.contains(&500) && found.contains(&501));
        // Few rows: no cell, the ends included, with fewer than ten.
        let sparse = vec![1u64; 100];
        let found = cuts(&[sparse.clone(), vec![0; 100]]);
        for (a, b) in [0].iter().chain(&found).zip(found.iter().chain(&[100])) {
            assert!(b - a >= 10, "{found:?}");
        }
        assert!(cuts(&[vec![1; 9], vec![0; 9]]).is_empty());
    }
}
