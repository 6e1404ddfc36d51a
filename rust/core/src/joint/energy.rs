//! Multivariate energy distance, exact.

use super::permute::{Allocations, Found};
use super::table::{Points, Samples, Scaling, Units};
use super::{Answer, Definition};
use crate::{Error, Result};

/// `2 E|X - Y| - E|X - X'| - E|Y - Y'|` over all pairs of rows.
///
/// In one dimension without scaling it is the square of `scipy.stats.energy_distance`.
pub const DEFINITION: Definition = Definition {
    name: "energy_multivariate",
    definition: "energy_multivariate/szekely-rizzo-v-statistic/v1",
    summary: "energy distance of the rows: 0 for equal joint distributions only",
    source: "Szekely and Rizzo (2013), equation 2.1; p: Phipson and Smyth (2010)",
    notes: "points as in mmd; all pairs of rows, each within its own sample too (V-statistic); quadratic, so more \
            than 10,000 rows together are refused by name; p: permutations of rows, or of whole blocks, \
            (b + 1) / (m + 1)",
    range: (0.0, f64::INFINITY),
    unit: "scaled distance",
    null: "permutation",
};

/// Most rows of both samples together.
pub const MAX_ROWS: usize = 10_000;
/// Rows of distances held at a time.
const TILE: usize = 32;

/// Energy distance of both samples.
///
/// # Errors
/// More than [`MAX_ROWS`] rows, fewer than two blocks a side, or a stop.
pub fn energy(
    samples: &Samples,
    (permutations, scaling, seed): (usize, Scaling, u64),
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Answer> {
    let rows = samples.rows();
    if rows > MAX_ROWS {
        return Err(Error::invalid(format!(
            "energy_multivariate compares all pairs of {rows} rows; at most {MAX_ROWS} together are accepted: take \
             a row sample of them, or mmd, which is linear in rows"
        )));
    }
    let units = Units::new(samples)?;
    let points = Points::new(samples, scaling);
    let allocations = Allocations::new(&units, permutations, seed, "energy_multivariate");
    let k = allocations.count();
    // Masks as numbers, a row for each allocation: products of distances with them are sums over a side.
    let masks: Vec<Vec<f64>> = (0..k)
        .map(|a| {
            let mask = allocations.mask(a);
            (0..rows)
                .map(|row| f64::from(u8::from(mask[row / 64] >> (row % 64) & 1 == 1)))
                .collect()
        })
        .collect();
    let tiles: Vec<usize> = (0..rows).step_by(TILE).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    // By tile: sums of distances to all rows, by row; and within the masked side, by allocation.
    type Tile = (usize, Vec<f64>, Vec<f64>);
    let done: Vec<Option<Vec<Tile>>> = std::thread::scope(|scope| {
        let work = || {
            let mut made = Vec::new();
            let mut distances = vec![0.0; rows];
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(from) = tiles.get(at) else {
                    return Some(made);
                };
                if stop() {
                    next.store(tiles.len(), std::sync::atomic::Ordering::Relaxed);
                    return None;
                }
                let (mut by_row, mut inside) = (Vec::new(), vec![0.0; k]);
                for i in *from..(from + TILE).min(rows) {
                    for (j, d) in distances.iter_mut().enumerate() {
                        *d = libm::sqrt(points.squared_distance(i, j));
                    }
                    by_row.push(dot(&distances, None));
                    for (total, mask) in inside.iter_mut().zip(&masks) {
                        if mask[i] > 0.0 {
                            // Each pair once.
                            *total += 2.0 * dot(&distances[..i], Some(&mask[..i]));
                        }
                    }
                }
                made.push((at, by_row, inside));
            }
        };
        let helpers = 1..threads.clamp(1, tiles.len());
        let running: Vec<_> = helpers.map(|_| scope.spawn(work)).collect();
        // Signals reach the thread that was called.
        let first = work();
        let others = running.into_iter().map(|r| r.join().ok().flatten());
        core::iter::once(first).chain(others).collect()
    });
    let Some(done) = done.into_iter().collect::<Option<Vec<_>>>() else {
        return Err(Error::Interrupted);
    };
    let mut done: Vec<Tile> = done.into_iter().flatten().collect();
    done.sort_by_key(|t| t.0);
    let by_row: Vec<f64> = done.iter().flat_map(|t| t.1.iter().copied()).collect();
    let all = crate::statistics::sum(by_row.iter().copied());
    let values: Vec<f64> = (0..k)
        .map(|a| {
            let inside = crate::statistics::sum(done.iter().map(|t| t.2[a]));
            let touching = crate::statistics::sum(by_row.iter().zip(&masks[a]).map(|(d, s)| d * s));
            let between = touching - inside;
            let outside = all - inside - 2.0 * between;
            let n = allocations.rows[a] as f64;
            let m = rows as f64 - n;
            2.0 * between / (n * m) - inside / (n * n) - outside / (m * m)
        })
        .map(|v| v.max(0.0))
        .collect();
    let scale = all / (rows as f64 * rows as f64);
    let found = Found::new(&values, scale).ok_or(Error::Interrupted)?;
    let details = vec![("permutations", permutations as f64)];
    Ok(Answer::of_permutations(
        found,
        samples,
        &units,
        points.message,
        details,
    ))
}

/// Sum of products, in lanes that compilers keep in registers.
fn dot(a: &[f64], mask: Option<&[f64]>) -> f64 {
    let mut lanes = [0.0_f64; 8];
    match mask {
        Some(mask) => {
            for (x, s) in a.chunks(8).zip(mask.chunks(8)) {
                for ((lane, x), s) in lanes.iter_mut().zip(x).zip(s) {
                    *lane += x * s;
                }
            }
        }
        None => {
            for x in a.chunks(8) {
                lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane += x);
            }
        }
    }
    lanes.iter().sum()
}
