//! How many rows each new value holds, as far as the states tell.
//!
//! Values that the reference never held are counted by hash cell, of which two may share one. Their number is
//! known from the distinct values of the current sample, exactly below [`crate::states::distinct::K`], and
//! from how many cells are empty (linear counting, Whang, Vander-Zanden and Taylor 1990). Values beyond the
//! number of cells that hold a row are split off as single rows, from cells that hold several: most values
//! that the other sample lacks are rare, and rows and values add up to what is known.

use std::collections::BTreeMap;

use crate::pair::NewValues;

/// What is known of the new values of a current sample.
pub(super) struct Known<'a> {
    /// Rows in the hash cells in which the reference holds nothing.
    pub cells: &'a [u64],
    /// Distinct values of the current sample outside the dictionary, and their standard error.
    pub distinct: (f64, f64),
    /// Whether every value of the reference is in the dictionary: otherwise hash cells are what is compared.
    pub complete: bool,
}

/// Rows of new values.
pub(super) fn new_values(known: &Known<'_>) -> NewValues {
    let mut by_rows: BTreeMap<u64, f64> = BTreeMap::new();
    let (mut held, mut rows) = (0.0, 0.0);
    for &y in known.cells.iter().filter(|y| **y > 0) {
        *by_rows.entry(y).or_default() += 1.0;
        held += 1.0;
        rows += y as f64;
    }
    let (values, error) = if known.complete {
        number(known, held, rows)
    } else {
        (held, 0.0)
    };
    let mut extra = values - held;
    while extra > 1e-9 {
        let several: f64 = by_rows.range(2..).map(|(_, cells)| cells).sum();
        if several < 1e-9 {
            break;
        }
        // As many rows of every cell at once as all of them have beside one: there may be a billion values.
        let least = by_rows.range(2..).next().map_or(2, |(t, _)| *t);
        let steps = ((extra / several) as u64).clamp(1, least - 1);
        let share = (extra / several).min(1.0);
        extra -= share * several * steps as f64;
        for (t, cells) in by_rows.clone().range(2..) {
            let moved = share * cells;
            *by_rows.entry(*t).or_default() -= moved;
            *by_rows.entry(1).or_default() += moved * steps as f64;
            *by_rows.entry(t - steps).or_default() += moved;
        }
        by_rows.retain(|_, cells| *cells > 1e-9);
    }
    NewValues {
        by_rows: by_rows.into_iter().collect(),
        error,
    }
}

/// Number of new values and its standard error, from `held` cells with `rows` rows.
fn number(known: &Known<'_>, held: f64, rows: f64) -> (f64, f64) {
    let (distinct, error) = known.distinct;
    if held == rows {
        return (held, 0.0);
    }
    if error == 0.0 && distinct >= held && distinct <= rows {
        return (distinct, 0.0);
    }
    let cells = known.cells.len() as f64;
    // An occupied cell less than there are, where there is no empty one to count.
    let full = held.min(cells - 1.0).max(0.0);
    let load = -libm::log1p(-full / cells);
    let counted = (
        cells * load,
        libm::sqrt(cells * (libm::exp(load) - load - 1.0)).max(1e-9),
    );
    let (values, error) = if error > 0.0 && distinct + 4.0 * error >= held {
        let (v, w) = (error * error, counted.1 * counted.1);
        (
            (distinct * w + counted.0 * v) / (v + w),
            libm::sqrt(v * w / (v + w)),
        )
    } else {
        counted
    };
    (values.clamp(held, rows), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cells: &[u64], distinct: (f64, f64), complete: bool) -> NewValues {
        new_values(&Known {
            cells,
            distinct,
            complete,
        })
    }

    fn totals(found: &NewValues) -> (f64, f64) {
        let rows = found.by_rows.iter().map(|(t, c)| *t as f64 * c).sum();
        (found.by_rows.iter().map(|(_, c)| c).sum(), rows)
    }

    /// Step by step it would be a million steps over a thousand sizes of cells.
    #[test]
    fn a_billion_values_are_split_off_at_once() {
        let cells: Vec<u64> = (0..1024).map(|j| 1_000_000 + 37 * j).collect();
        let all: u64 = cells.iter().sum();
        let found = of(&cells, (all as f64 * 0.9, 0.0), true);
        let (values, rows) = totals(&found);
        assert!((values / (all as f64 * 0.9) - 1.0).abs() < 1e-9);
        assert!((rows / all as f64 - 1.0).abs() < 1e-9);
        // One row at a time, in small, is what it stands for.
        let small = of(&[9, 5, 4, 1, 0], (12.0, 0.0), true);
        let (values, rows) = totals(&small);
        assert!((values - 12.0).abs() < 1e-9 && (rows - 19.0).abs() < 1e-9);
        assert_eq!(
            small.by_rows.iter().map(|r| r.0).collect::<Vec<_>>(),
            [1, 2, 3, 6, 7]
        );
    }

    #[test]
    fn rows_and_values_add_up() {
        let cells = [3, 0, 1, 7, 2, 0, 1, 1];
        let found = of(&cells, (9.0, 0.0), true);
        let (values, rows) = totals(&found);
        assert!((values - 9.0).abs() < 1e-6 && (rows - 15.0).abs() < 1e-6);
        // As many values as cells: cells are values.
        let found = of(&cells, (6.0, 0.0), true);
        assert_eq!(found.by_rows, [(1, 3.0), (2, 1.0), (3, 1.0), (7, 1.0)]);
        assert_eq!(found.error, 0.0);
        // All of them single.
        let found = of(&cells, (15.0, 0.0), true);
        assert_eq!(found.by_rows.len(), 1);
        assert!((found.by_rows[0].1 - 15.0).abs() < 1e-6);
        // Hash cells are compared as they are.
        assert_eq!(totals(&of(&cells, (15.0, 0.0), false)).0, 6.0);
        assert_eq!(of(&[], (0.0, 0.0), true).by_rows, []);
        assert_eq!(of(&[0, 0], (0.0, 0.0), true).by_rows, []);
    }

    #[test]
    fn a_number_that_cannot_be_is_counted_by_empty_cells() {
        // 1,000 values thrown at 1,024 cells: a multiplicative sequence fills them as a random one would.
        let mut cells = [0_u64; 1024];
        let mut state = 9_u64;
        for _ in 0..1000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            cells[(state >> 54) as usize] += 1;
        }
        let found = of(&cells, (0.0, 0.0), true);
        let (values, rows) = totals(&found);
        assert!((rows - 1000.0).abs() < 1e-6);
        assert!((values - 1000.0).abs() < 5.0 * found.error, "{values}");
        // Beside an estimate, the error is below that of either.
        let both = of(&cells, (980.0, 31.0), true);
        assert!(both.error < 31.0 && both.error <= found.error);
        // Every cell holds a row: no number is told by empty ones.
        assert!(totals(&of(&[2; 64], (90.0, 3.0), true)).0 >= 64.0);
    }
}
