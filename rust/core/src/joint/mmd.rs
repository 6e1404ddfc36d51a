//! Maximum mean discrepancy with a Gaussian kernel, linear in rows.

use std::sync::atomic::{AtomicBool, Ordering};

use super::permute::{Allocations, Found};
use super::random::Stream;
use super::table::{Points, Samples, Scaling, Units};
use super::{Answer, Definition};
use crate::{Error, Result};

/// Unbiased squared discrepancy of random Fourier features.
///
/// With `w_1 .. w_D` drawn from `N(0, I / s^2)`, `k(x, y) = mean of cos(w_i (x - y))` is a kernel whose mean is
/// `exp(-|x - y|^2 / (2 s^2))` (Rahimi and Recht 2007); the value is the unbiased estimate of Gretton et al.
/// (2012, equation 3) for this kernel, whose sums over pairs are squares of sums over rows.
pub const DEFINITION: Definition = Definition {
    name: "mmd",
    definition: "mmd/gaussian-rff-unbiased-squared/v1",
    summary: "squared maximum mean discrepancy with a Gaussian kernel: any difference of the joint distribution",
    source: "Gretton et al. (2012), equation 3; features: Rahimi and Recht (2007); p: Phipson and Smyth (2010)",
    notes: "numbers minus the pooled median over the pooled interquartile range / 1.349 (the standard deviation \
            where it is 0), two different categories as far apart as two draws of variance 1 (root mean square); \
            missing and infinite numbers lie at the median with a category beside them; bandwidth: median \
            distance of the 500 rows with the smallest hashes of their content; random Fourier features from a \
            keyed generator, so that the cost is rows x features x (columns + permutations); p: permutations of \
            rows, or of whole blocks, (b + 1) / (m + 1)",
    range: (-2.0, 2.0),
    unit: "squared kernel distance",
    null: "permutation",
};

/// What may be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Frequencies of the features.
    pub features: usize,
    /// Width `s` of the kernel; none: the median distance.
    pub bandwidth: Option<f64>,
    /// Allocations drawn.
    pub permutations: usize,
    /// How numbers are scaled.
    pub scaling: Scaling,
    /// Key of the generator.
    pub seed: u64,
    /// Threads; the answer does not depend on them.
    pub threads: usize,
}

/// Rows whose distances give the bandwidth.
const MEDIAN_ROWS: usize = 500;
/// Rows whose features are held at a time.
const TILE: usize = 64;

/// Median distance of pairs of rows, of those that differ where most are equal; none where all rows are.
pub fn median_distance(points: &Points, seed: u64) -> Option<f64> {
    let rows = points.choose(MEDIAN_ROWS, seed);
    let mut found: Vec<f64> = Vec::with_capacity(rows.len() * rows.len() / 2);
    for (k, i) in rows.iter().enumerate() {
        found.extend(rows[..k].iter().map(|j| points.squared_distance(*i, *j)));
    }
    found.sort_by(f64::total_cmp);
    let median = found.get(found.len() / 2).copied().unwrap_or(0.0);
    if median > 0.0 {
        return Some(libm::sqrt(median));
    }
    let positive = &found[found.partition_point(|d| *d <= 0.0)..];
    match positive.get(positive.len() / 2) {
        Some(d) => Some(libm::sqrt(*d)),
        // The rows chosen are equal, others may differ.
        None => (1..points.rows)
            .map(|i| points.squared_distance(0, i))
            .find(|d| *d > 0.0)
            .map(libm::sqrt),
    }
}

/// Weights of the features `from..to`: of each dense column, and of each category of each coded one.
struct Frequencies {
    dense: Vec<f64>,
    coded: Vec<std::collections::BTreeMap<u32, Vec<f64>>>,
}

impl Frequencies {
    fn new(
        points: &Points,
        width: f64,
        seed: u64,
        features: usize,
        at: std::ops::Range<usize>,
    ) -> Self {
        let draw = |name: String| -> Vec<f64> {
            let mut stream = Stream::new(seed, &name, 0);
            let all: Vec<f64> = (0..features).map(|_| stream.normal() / width).collect();
            all[at.clone()].to_vec()
        };
        let dense = points
            .number_names
            .iter()
            .flat_map(|name| draw(format!("number {name}")))
            .collect();
        let coded = points
            .code_names
            .iter()
            .enumerate()
            .map(|(j, name)| {
                let k = points.code_names.len();
                let levels: std::collections::BTreeSet<u32> =
                    points.codes.iter().skip(j).step_by(k).copied().collect();
                levels
                    .into_iter()
                    .map(|level| (level, draw(format!("category {level} of {name}"))))
                    .collect()
            })
            .collect();
        Frequencies { dense, coded }
    }

    /// `w x` of one row.
    fn project(&self, points: &Points, row: usize, out: &mut [f64]) {
        out.fill(0.0);
        let width = out.len();
        for (x, w) in points.numbers_of(row).iter().zip(self.dense.chunks(width)) {
            out.iter_mut().zip(w).for_each(|(o, w)| *o += x * w);
        }
        for (code, levels) in points.codes_of(row).iter().zip(&self.coded) {
            if let Some(w) = levels.get(code) {
                out.iter_mut().zip(w).for_each(|(o, w)| *o += w);
            }
        }
    }
}

/// Sums of the features `at`, cosines then sines: of all rows, then of the masked rows of each allocation.
fn sums(
    points: &Points,
    frequencies: &Frequencies,
    features: usize,
    allocations: &Allocations,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Vec<f64>>> {
    let mut totals = vec![vec![0.0; 2 * features]; allocations.count() + 1];
    let mut phases = vec![0.0; features];
    let mut tile = vec![0.0; TILE * 2 * features];
    for (word, from) in (0..points.rows).step_by(TILE).enumerate() {
        if stop() {
            return None;
        }
        let to = (from + TILE).min(points.rows);
        for (row, out) in (from..to).zip(tile.chunks_mut(2 * features)) {
            frequencies.project(points, row, &mut phases);
            let (cosines, sines) = out.split_at_mut(features);
            for ((phase, c), s) in phases.iter().zip(cosines).zip(sines) {
                (*s, *c) = libm::sincos(*phase);
            }
        }
        let rows = to - from;
        let all = if rows == 64 {
            u64::MAX
        } else {
            (1 << rows) - 1
        };
        let (whole, drawn) = totals.split_at_mut(1);
        let masks = (0..allocations.count()).map(|k| allocations.mask(k)[word]);
        let masks = core::iter::once(all).chain(masks);
        for (total, mut mask) in whole.iter_mut().chain(drawn).zip(masks) {
            while mask != 0 {
                let row = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let held = &tile[row * 2 * features..(row + 1) * 2 * features];
                total.iter_mut().zip(held).for_each(|(t, x)| *t += x);
            }
        }
    }
    Some(totals)
}

/// Discrepancy of both samples.
///
/// # Errors
/// Options outside their range, fewer than two blocks a side, or a stop.
pub fn mmd(
    samples: &Samples,
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Answer> {
    if options.features == 0 || options.features > 65_536 {
        return Err(Error::invalid(format!(
            "{} features; 1 to 65536 would be accepted",
            options.features
        )));
    }
    if let Some(s) = options.bandwidth.filter(|s| !(*s > 0.0 && s.is_finite())) {
        return Err(Error::invalid(format!(
            "bandwidth {s}; a finite number above 0 would be accepted"
        )));
    }
    let units = Units::new(samples)?;
    let points = Points::new(samples, options.scaling);
    let median = || median_distance(&points, options.seed);
    let Some(width) = options.bandwidth.or_else(median) else {
        let drawn = options.permutations > 0;
        let same = Found {
            value: 0.0,
            pvalue: drawn.then_some(1.0),
            expected: drawn.then_some(0.0),
        };
        return Ok(Answer::of_permutations(
            same,
            samples,
            &units,
            points.message,
            vec![],
        ));
    };
    let allocations = Allocations::new(&units, options.permutations, options.seed, "mmd");
    let features = options.features;
    let threads = options.threads.clamp(1, features);
    let share = features.div_ceil(threads);
    let halted = AtomicBool::new(false);
    let halt = || {
        if stop() {
            halted.store(true, Ordering::Relaxed);
        }
        halted.load(Ordering::Relaxed)
    };
    // Each thread has features of its own: no sum depends on their number.
    let parts: Vec<Option<Vec<Vec<f64>>>> = std::thread::scope(|scope| {
        let (points, allocations, halt) = (&points, &allocations, &halt);
        let work = move |from: usize| {
            let at = from..(from + share).min(features);
            let own = Frequencies::new(points, width, options.seed, features, at.clone());
            sums(points, &own, at.len(), allocations, halt)
        };
        let rest = (share..features).step_by(share);
        let running: Vec<_> = rest.map(|from| scope.spawn(move || work(from))).collect();
        // Signals reach the thread that was called.
        let first = work(0);
        let others = running.into_iter().map(|r| r.join().ok().flatten());
        core::iter::once(first).chain(others).collect()
    });
    let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else {
        return Err(Error::Interrupted);
    };
    let values: Vec<f64> = (0..allocations.count())
        .map(|k| {
            // Squares of sums over the masked side, over the rest, and their product.
            let (mut own, mut rest, mut both) = (Vec::new(), Vec::new(), Vec::new());
            for part in &parts {
                // By feature, cosine beside sine, so that the order does not depend on the parts.
                let d = part[0].len() / 2;
                for i in 0..d {
                    for j in [i, i + d] {
                        let a = part[k + 1][j];
                        let b = part[0][j] - a;
                        own.push(a * a);
                        rest.push(b * b);
                        both.push(a * b);
                    }
                }
            }
            let d = features as f64;
            let [own, rest, both] = [own, rest, both].map(|v| crate::statistics::sum(v) / d);
            let a = allocations.rows[k] as f64;
            let b = points.rows as f64 - a;
            within(own, a) + within(rest, b) - 2.0 * both / (a * b)
        })
        .collect();
    let found = Found::new(&values, 1.0).ok_or(Error::Interrupted)?;
    let details = vec![
        ("bandwidth", width),
        ("features", features as f64),
        ("permutations", options.permutations as f64),
    ];
    Ok(Answer::of_permutations(
        found,
        samples,
        &units,
        points.message,
        details,
    ))
}

/// Mean of the kernel over pairs of different rows of one side; 0 for one row, which has none.
fn within(squares: f64, rows: f64) -> f64 {
    if rows > 1.0 {
        (squares - rows) / (rows * (rows - 1.0))
    } else {
        0.0
    }
}
