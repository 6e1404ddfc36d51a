//! From the reference's keys to its grid: heavy cells are looked into until each is light or one
//! value, then neighbours are joined into cells.

use crate::states::grid::{Domain, Grid};
use crate::states::key_histogram::{KeyHistogram, runs};

/// A stretch of keys and the reference rows in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First key.
    pub low: u64,
    /// Last key.
    pub high: u64,
    /// Rows.
    pub count: u64,
}

/// Default of [`Grid::bound`].
pub const BOUND: u32 = 1024;

/// Passes after which a cell that is still heavy stays so (64 bits at 6 or more bits a pass).
const MAX_PASSES: usize = 11;

/// The next pass over a column whose keys are too coarse: finer counts inside the heavy segments.
#[derive(Debug, Clone)]
pub struct Refinement {
    segments: Vec<Segment>,
    /// Position in `segments` and the counts inside, ascending.
    parts: Vec<(usize, KeyHistogram)>,
    pass: usize,
    /// Keys and counts not yet in their parts: sorting many at a time is what finds them.
    fresh: Vec<u64>,
    repeated: Vec<(u64, u64)>,
}

/// Most keys held back.
const HELD: usize = 1 << 15;

/// What is known after a pass.
#[derive(Debug, Clone)]
pub enum Step {
    /// Every segment is light or one key.
    Done(Vec<Segment>),
    /// Another pass is needed.
    Refine(Refinement),
}

fn is_heavy(s: &Segment, total: u64) -> bool {
    s.low < s.high && u128::from(s.count) * u128::from(BOUND) > u128::from(total)
}

/// Starts from the keys of the whole column.
pub fn start(keys: &KeyHistogram) -> Step {
    let segments = segments_of(keys);
    step(segments, 0)
}

fn segments_of(keys: &KeyHistogram) -> Vec<Segment> {
    keys.cells
        .iter()
        .map(|(cell, count)| {
            let (low, high) = keys.range(*cell);
            Segment {
                low,
                high,
                count: *count,
            }
        })
        .collect()
}

fn step(segments: Vec<Segment>, pass: usize) -> Step {
    let total: u64 = segments.iter().map(|s| s.count).sum();
    let parts: Vec<_> = segments
        .iter()
        .enumerate()
        .filter(|(_, s)| is_heavy(s, total))
        .map(|(i, s)| {
            // Cells in proportion to mass: at most 128 * bound over all parts.
            let share = u128::from(s.count) * u128::from(BOUND) * 64 / u128::from(total.max(1));
            let part = KeyHistogram {
                cap: 64 + share as u32,
                ..KeyHistogram::default()
            };
            (i, part)
        })
        .collect();
    if parts.is_empty() || pass >= MAX_PASSES {
        Step::Done(segments)
    } else {
        Step::Refine(Refinement {
            segments,
            parts,
            pass: pass + 1,
            fresh: Vec::new(),
            repeated: Vec::new(),
        })
    }
}

impl Refinement {
    /// The same pass without counts, for another thread.
    pub fn empty(&self) -> Self {
        let part = |(i, part): &(usize, KeyHistogram)| {
            let empty = KeyHistogram {
                cap: part.cap,
                ..KeyHistogram::default()
            };
            (*i, empty)
        };
        Self {
            segments: self.segments.clone(),
            parts: self.parts.iter().map(part).collect(),
            pass: self.pass,
            fresh: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// Counts one key `count` times, where it is of interest.
    pub fn add(&mut self, k: u64, count: u64) {
        if count == 1 {
            self.fresh.push(k);
        } else if count > 0 {
            self.repeated.push((k, count));
        }
        if self.fresh.len() + self.repeated.len() >= HELD {
            self.settle();
        }
    }

    /// Moves the keys held back into their parts.
    fn settle(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        let mut repeated = std::mem::take(&mut self.repeated);
        repeated.sort_unstable();
        self.share_out(runs(&mut fresh));
        self.share_out(repeated.iter().copied());
        fresh.clear();
        repeated.clear();
        (self.fresh, self.repeated) = (fresh, repeated);
    }

    /// Gives each part its stretch of ascending keys.
    fn share_out(&mut self, run: impl Iterator<Item = (u64, u64)>) {
        let mut run = run.peekable();
        for (i, part) in &mut self.parts {
            let Segment { low, high, .. } = self.segments[*i];
            while run.next_if(|(k, _)| *k < low).is_some() {}
            if run.peek().is_some_and(|(k, _)| *k <= high) {
                part.absorb(std::iter::from_fn(|| run.next_if(|(k, _)| *k <= high)));
            }
        }
    }

    /// Adds the counts of another thread.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.settle();
        self.settle();
        for ((_, a), (_, b)) in self.parts.iter_mut().zip(&other.parts) {
            a.merge(b);
        }
    }

    /// What is known now.
    pub fn next(mut self) -> Step {
        self.settle();
        let mut segments = Vec::new();
        let mut parts = self.parts.into_iter().peekable();
        for (i, s) in self.segments.into_iter().enumerate() {
            match parts.next_if(|(at, _)| *at == i) {
                Some((_, part)) => {
                    segments.extend(segments_of(&part).into_iter().map(|p| Segment {
                        low: p.low.max(s.low),
                        high: p.high.min(s.high),
                        ..p
                    }))
                }
                None => segments.push(s),
            }
        }
        step(segments, self.pass)
    }
}

/// Builds the grid from rows worth `worth` rows of equal weight: float columns on single-precision keys when `single` and that merges no cells.
pub fn build(segments: &[Segment], domain: Domain, center: f64, worth: u64) -> Option<Grid> {
    let total: u64 = segments.iter().map(|s| s.count).sum();
    let heavy = |count: u64| u128::from(count) * u128::from(BOUND) > u128::from(total);
    // A little below the bound: rounding to single precision moves rows across edges.
    let full = |count: u64| u128::from(count) * u128::from(BOUND) * 16 > u128::from(total) * 15;
    let mut edges: Vec<u64> = Vec::new();
    let mut atoms: Vec<(u32, u64)> = Vec::new();
    // Rows before each edge.
    let mut before: Vec<u64> = Vec::new();
    let mut rows = 0u64;
    let mut acc = 0u64;
    let mut after_atom = false;
    for s in segments {
        let k = domain.of_base(s.low);
        if heavy(s.count) && s.low == s.high {
            match edges.last() {
                Some(last) if *last > k => return None,
                Some(last) if *last == k && !after_atom => return None,
                Some(last) if *last == k => {}
                _ => {
                    edges.push(k);
                    before.push(rows);
                }
            }
            atoms.push((edges.len() as u32, s.low));
            rows += s.count;
            // The largest integer key has no key after it: its cell is the last one.
            if let Some(next) = k.checked_add(1) {
                edges.push(next);
                before.push(rows);
            }
            (acc, after_atom) = (0, true);
            continue;
        }
        let joins = after_atom || (acc > 0 && !full(acc + s.count));
        if after_atom {
            // The stretch after an atom starts right behind it and was opened with it.
            if edges.last().is_some_and(|last| k < *last) {
                return None;
            }
        } else if !joins {
            if edges.last().is_some_and(|last| k <= *last) {
                return None;
            }
            edges.push(k);
            before.push(rows);
            acc = 0;
        }
        acc += s.count;
        rows += s.count;
        after_atom = false;
    }
    if let (Some(last), false) = (segments.last(), after_atom) {
        // Behind the last value; an exact upper end keeps out-of-range rows apart.
        if let Some(end) = domain.of_base(last.high).checked_add(1) {
            edges.push(end);
            before.push(rows);
        }
    }
    if edges.windows(2).any(|w| w[0] >= w[1]) || edges.len() > 60_000 {
        return None;
    }
    // An atom whose upper edge does not exist sits in the open cell and is not one.
    atoms.retain(|a| (a.0 as usize) < edges.len());
    let mut coarse = boundaries(&before, total, (worth / 50).clamp(1, 10));
    // An end cell whose reference rows are all one value ends at that value, so that what lies
    // beyond it falls into a cell of its own.
    if let (Some((1, _)), Some(rows)) = (atoms.first(), before.get(1))
        && coarse.first().map_or(total, |i| before[*i as usize]) == *rows
    {
        coarse.insert(0, 0);
    }
    if let Some((cell, _)) = atoms.last()
        && before.get(*cell as usize) == Some(&total)
        && coarse.last().map_or(0, |i| before[*i as usize]) == before[*cell as usize - 1]
    {
        coarse.push(*cell);
    }
    let mut nested = boundaries(&before, total, 48);
    nested.extend(&coarse);
    nested.extend([0, edges.len().saturating_sub(1) as u32]);
    nested.sort_unstable();
    nested.dedup();
    nested.retain(|i| (*i as usize) < edges.len());
    Some(Grid {
        domain,
        edges,
        atoms,
        center,
        coarse,
        nested,
        bound: BOUND,
    })
}

/// Edges nearest to the quantiles that cut the reference into `parts` near-equal masses; fewer
/// where one value holds several.
fn boundaries(before: &[u64], total: u64, parts: u64) -> Vec<u32> {
    let mut out: Vec<u32> = Vec::new();
    for b in 1..parts {
        let target = u128::from(b) * u128::from(total);
        let distance = |rows: u64| (u128::from(rows) * u128::from(parts)).abs_diff(target);
        let best = before
            .iter()
            .enumerate()
            .filter(|(_, rows)| **rows > 0 && **rows < total)
            .min_by_key(|(i, rows)| (distance(**rows), *i));
        if let Some((i, rows)) = best
            && out.last().is_none_or(|last| before[*last as usize] < *rows)
        {
            out.push(i as u32);
        }
    }
    out
}

/// The grid of a column from the segments of its base keys. `attempt` 0 tries single-precision
/// keys for floats, 1 takes double precision; `worth` is the number of rows, or under weights that of
/// rows of equal weight they are worth.
pub fn grid_of(segments: &[Segment], base: Domain, mean: f64, attempt: usize, worth: u64) -> Grid {
    let center = if base == Domain::F64 && mean.abs() < 1e290 {
        mean
    } else {
        0.0
    };
    let single = base == Domain::F64 && attempt == 0;
    single
        .then(|| build(segments, Domain::F32, center, worth))
        .flatten()
        .or_else(|| build(segments, base, center, worth))
        .unwrap_or_else(|| Grid {
            domain: base,
            edges: Vec::new(),
            atoms: Vec::new(),
            center,
            coarse: Vec::new(),
            nested: Vec::new(),
            bound: BOUND,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::key;
    use crate::states::grid::{Frame, GridCounts};
    use crate::states::key_histogram::KeyHistogramBuilder;

    fn grid_for(values: &[f64]) -> (Grid, GridCounts) {
        let keys: Vec<u64> = values.iter().map(|x| key::of_f64(*x)).collect();
        let mut b = KeyHistogramBuilder::new(4096);
        keys.chunks(512).for_each(|c| b.update(c));
        let mut s = start(&b.finish());
        let segments = loop {
            match s {
                Step::Done(segments) => break segments,
                Step::Refine(mut r) => {
                    keys.iter().for_each(|k| r.add(*k, 1));
                    s = r.next();
                }
            }
        };
        assert_eq!(
            segments.iter().map(|s| s.count).sum::<u64>(),
            values.len() as u64
        );
        for attempt in 0..2 {
            let grid = grid_of(&segments, Domain::F64, 0.0, attempt, values.len() as u64);
            let mut counts = GridCounts::new(Frame::new(grid.clone()));
            for block in values.chunks(512) {
                let bases: Vec<u64> = block.iter().map(|x| key::of_f64(*x)).collect();
                let low = block.iter().copied().fold(f64::INFINITY, f64::min);
                let high = block.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                counts.update_floats(&bases, block, (low, high));
            }
            let mut slow = GridCounts::new(Frame::new(grid.clone()));
            values
                .iter()
                .for_each(|x| slow.add(grid.domain.of_base(key::of_f64(*x)), *x, 1));
            let bytes = |c: &GridCounts| {
                let mut w = crate::codec::Writer::new();
                c.encode(&mut w);
                w.into_bytes()
            };
            assert_eq!(bytes(&counts), bytes(&slow), "fast and slow kernels");
            if counts.keeps_bound(values.len() as u64) {
                return (grid, counts);
            }
        }
        panic!("no grid keeps the bound");
    }

    fn uniform(n: usize) -> impl Iterator<Item = f64> {
        (0..n).map(|i| (key::mix(i as u64) >> 11) as f64 / (1u64 << 53) as f64)
    }

    #[test]
    fn the_bound_holds_on_hard_shapes() {
        let n = 40_000;
        let shapes: Vec<(&str, Vec<f64>, Domain)> = vec![
            ("uniform", uniform(n).collect(), Domain::F32),
            (
                "scores",
                uniform(n).map(|u| 1.0 - u.powi(10) * 0.5).collect(),
                Domain::F64,
            ),
            (
                "offset",
                uniform(n).map(|u| 1e6 + 1e-3 * u).collect(),
                Domain::F64,
            ),
            (
                "atoms",
                uniform(n)
                    .map(|u| if u < 0.6 { 0.0 } else { u * 10.0 })
                    .collect(),
                Domain::F32,
            ),
            (
                "counts",
                uniform(n).map(|u| (u * 12.0).floor()).collect(),
                Domain::F32,
            ),
            (
                "money",
                uniform(n).map(|u| (u * 1e4).round() / 100.0).collect(),
                Domain::F32,
            ),
            ("constant", vec![0.1; n], Domain::F32),
            ("few", vec![1.5, 2.5, 2.5], Domain::F32),
            ("none", vec![], Domain::F32),
            (
                "tails",
                uniform(n).map(|u| (1.0 / (u + 1e-12)).powi(20)).collect(),
                Domain::F32,
            ),
        ];
        for (name, values, domain) in shapes {
            let (grid, counts) = grid_for(&values);
            if !values.is_empty() && name != "tails" {
                assert_eq!(grid.domain, domain, "{name}");
            }
            assert!(
                grid.cells() < 4 * BOUND as usize,
                "{name}: {} cells",
                grid.cells()
            );
            assert_eq!(
                (counts.count(0), counts.count(grid.cells() - 1)),
                (0, 0),
                "{name}"
            );
            let mut w = crate::codec::Writer::new();
            grid.encode(&mut w);
            let bytes = w.into_bytes();
            assert_eq!(
                Grid::decode(&mut crate::codec::Reader::new(&bytes)).unwrap(),
                grid
            );
        }
    }

    #[test]
    fn single_and_double_precision_rows_share_cells() {
        let values: Vec<f64> = uniform(20_000)
            .map(|u| (u * 300.0).round() / 10.0 + 0.02)
            .collect();
        let (grid, counts) = grid_for(&values);
        let mut cast = GridCounts::new(Frame::new(grid.clone()));
        for x in &values {
            let x = f64::from(*x as f32);
            cast.add(grid.domain.of_base(key::of_f64(x)), x, 1);
        }
        assert_eq!(counts.counts(), cast.counts());
    }
}
