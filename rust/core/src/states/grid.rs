//! The reference's grid and the counts in its cells.
//!
//! Cells are frozen when the reference is profiled; they depend on its content alone. A cell that is
//! not one value holds at most `1 / bound` of the reference, and heavier values have a cell of their
//! own, so the Kolmogorov-Smirnov distance to *any* current sample is known within
//! `max over cells of min(reference mass, current mass)`.
//!
//! Float cells are cut on values rounded to single precision, so the same rows stored as f32 and as
//! f64 fall into the same cells. Where that would merge what must be told apart (a large offset with
//! a tiny spread), the grid is cut on double-precision keys and marked.

use std::sync::Arc;

use crate::codec::{Reader, Writer};
use crate::kernels::{BLOCK, key};
use crate::states::exact_sum::Sum;
use crate::{Error, Result};

/// Most cells a grid may have; indices fit 16 bits.
const MAX_EDGES: usize = 60_000;

/// Which keys the edges are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Floats rounded to single precision.
    F32,
    /// Floats as they are: the marked case.
    F64,
    /// Signed integers, dates, times, unscaled decimals.
    Signed,
    /// Unsigned integers.
    Unsigned,
}

impl Domain {
    fn tag(self) -> u8 {
        match self {
            Domain::F32 => 0,
            Domain::F64 => 1,
            Domain::Signed => 2,
            Domain::Unsigned => 3,
        }
    }

    fn from_tag(tag: u8) -> Result<Self> {
        match tag {
            0 => Ok(Domain::F32),
            1 => Ok(Domain::F64),
            2 => Ok(Domain::Signed),
            3 => Ok(Domain::Unsigned),
            t => Err(Error::corrupt(format!("grid domain {t}"))),
        }
    }

    /// The grid key of a base key (the key of the double, or of the integer).
    #[inline]
    pub fn of_base(self, base: u64) -> u64 {
        match self {
            Domain::F32 => key::of_f32(key::to_f64(base) as f32),
            _ => base,
        }
    }

    /// The value of a grid key as a float (rounded for integers beyond 2^53).
    pub fn value(self, k: u64) -> f64 {
        match self {
            Domain::F32 => f64::from(key::to_f32(k)),
            Domain::F64 => key::to_f64(k),
            Domain::Signed => key::to_i64(k) as f64,
            Domain::Unsigned => k as f64,
        }
    }

    /// The smallest float whose grid key is `k` or more; infinity when there is none.
    fn least(self, k: u64) -> f64 {
        if self != Domain::F32 {
            return self.value(k);
        }
        if k <= key::of_f32(f32::NEG_INFINITY) {
            return f64::NEG_INFINITY;
        }
        if k > key::of_f32(f32::INFINITY) {
            return f64::INFINITY;
        }
        // No value has the key below that of zero, which would be the one of -0.
        let zero = key::of_f32(0.0);
        let at = if k == zero - 1 { zero } else { k };
        let below = if at == zero { zero - 2 } else { at - 1 };
        let wide = |k: u64| match key::to_f32(k) {
            x if x.is_infinite() => f64::copysign((1u128 << 127) as f64 * 2.0, x.into()),
            x => x.into(),
        };
        // Half way between two singles, exact in double precision, rounds to the even one.
        let half = f64::midpoint(wide(below), wide(at));
        if key::of_f32(half as f32) >= k {
            half
        } else {
            half.next_up()
        }
    }

    /// The smallest value whose grid key is `k` or more, as a float: where a cell starting at `k`
    /// starts. For rounded floats that is half way to the number below.
    pub fn start(self, k: u64) -> f64 {
        match self {
            Domain::F32 => {
                let (below, at) = (key::to_f32(k.saturating_sub(1)), key::to_f32(k));
                if below.is_finite() && at.is_finite() {
                    f64::midpoint(f64::from(below), f64::from(at))
                } else {
                    // Beyond the largest single: anything from 2^128 minus half a step on.
                    f64::from(f32::MAX) * at.signum() as f64
                }
            }
            _ => self.value(k),
        }
    }
}

/// A frozen partition of the ordered values of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Which keys the edges are.
    pub domain: Domain,
    /// Ascending. Cell 0 lies below the first edge, cell `i` from `edges[i - 1]` to below
    /// `edges[i]`, the last cell from the last edge on. Cells 0 and last hold no reference value.
    pub edges: Vec<u64>,
    /// Cells of one single value, with the base key of that value; ascending by cell.
    pub atoms: Vec<(u32, u64)>,
    /// The centre of the moments: the reference mean, 0 for integers.
    pub center: f64,
    /// Edges (positions in `edges`) that bound the at most ten coarse cells of PSI and the
    /// divergences.
    pub coarse: Vec<u32>,
    /// Edges that bound the cells of group states.
    pub nested: Vec<u32>,
    /// The law: a cell that is not one value holds at most `1 / bound` of the reference.
    pub bound: u32,
}

impl Grid {
    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.edges.len() + 1
    }

    /// Content hash: equal grids, equal id.
    pub fn id(&self) -> String {
        let mut w = Writer::new();
        self.encode(&mut w);
        let hash = blake3::hash(&w.into_bytes());
        hash.to_hex()[..16].to_owned()
    }

    /// The coarser grid of group states.
    pub fn nest(&self) -> Grid {
        let edges: Vec<u64> = self
            .nested
            .iter()
            .map(|i| self.edges[*i as usize])
            .collect();
        let position = |e: u64| edges.binary_search(&e).ok();
        // An atom stays one where both of its edges stay.
        let atoms = self
            .atoms
            .iter()
            .filter_map(|(cell, v)| {
                let low = position(self.edges[*cell as usize - 1])?;
                let high = position(*self.edges.get(*cell as usize)?)?;
                (high == low + 1).then_some((high as u32, *v))
            })
            .collect();
        let coarse = self
            .coarse
            .iter()
            .filter_map(|i| position(self.edges[*i as usize]).map(|p| p as u32))
            .collect();
        let nested = (0..edges.len() as u32).collect();
        Grid {
            edges,
            atoms,
            coarse,
            nested,
            ..self.clone()
        }
    }

    /// The base key of a cell's only value, when it has one.
    pub fn atom(&self, cell: usize) -> Option<u64> {
        let at = self
            .atoms
            .binary_search_by_key(&(cell as u32), |a| a.0)
            .ok()?;
        Some(self.atoms[at].1)
    }

    /// The coarse cell that holds `cell`.
    pub fn coarse_of(&self, cell: usize) -> u32 {
        self.coarse.partition_point(|e| (*e as usize) < cell) as u32
    }

    /// The cell of a grid key, by binary search: the slow twin of [`Locator`].
    pub fn cell_of(&self, k: u64) -> usize {
        self.edges.partition_point(|e| *e <= k)
    }

    /// Writes the grid.
    pub fn encode(&self, w: &mut Writer) {
        w.u8(self.domain.tag());
        w.varint(u64::from(self.bound));
        w.f64(self.center);
        w.ascending(self.edges.iter().copied());
        w.ascending(self.atoms.iter().map(|a| u64::from(a.0)));
        for a in &self.atoms {
            w.u64(a.1);
        }
        w.ascending(self.coarse.iter().map(|i| u64::from(*i)));
        w.ascending(self.nested.iter().map(|i| u64::from(*i)));
    }

    /// Reads what [`Grid::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let domain = Domain::from_tag(r.u8()?)?;
        let bound = u32::try_from(r.varint()?).map_err(|_| Error::corrupt("grid bound"))?;
        let center = r.f64()?;
        let edges = r.ascending()?;
        if edges.len() > MAX_EDGES || !center.is_finite() {
            return Err(Error::corrupt("grid out of its range"));
        }
        let limit = match domain {
            Domain::F32 => (
                key::of_f32(f32::NEG_INFINITY),
                key::of_f32(f32::INFINITY) + 1,
            ),
            Domain::F64 => (key::of_f64(f64::NEG_INFINITY), key::of_f64(f64::INFINITY)),
            Domain::Signed | Domain::Unsigned => (0, u64::MAX),
        };
        if edges.first().is_some_and(|e| *e < limit.0) || edges.last().is_some_and(|e| *e > limit.1)
        {
            return Err(Error::corrupt("grid edge that is no value"));
        }
        let positions = |r: &mut Reader<'_>, below: usize| -> Result<Vec<u32>> {
            let v = r.ascending()?;
            if v.last().is_some_and(|l| *l >= below as u64) {
                return Err(Error::corrupt("grid position out of range"));
            }
            Ok(v.into_iter().map(|p| p as u32).collect())
        };
        let cells = positions(r, edges.len())?;
        let mut atoms = Vec::with_capacity(cells.len());
        for cell in cells {
            let v = r.u64()?;
            if cell == 0 || edges[cell as usize - 1] != domain.of_base(v) {
                return Err(Error::corrupt("grid atom outside its cell"));
            }
            atoms.push((cell, v));
        }
        let coarse = positions(r, edges.len())?;
        let nested = positions(r, edges.len())?;
        if nested.len() + 4 > crate::states::blocks::MAX_CELLS {
            return Err(Error::corrupt("more nested cells than a block may have"));
        }
        Ok(Self {
            domain,
            edges,
            atoms,
            center,
            coarse,
            nested,
            bound,
        })
    }
}

/// Finds cells by table: a first guess from the key or the value, then a short walk.
#[derive(Debug, Clone)]
struct Locator {
    map: Map,
    /// First candidate cell of each slot.
    first: Box<[u16; SLOTS]>,
    /// Where the cells of a float column start: [`Domain::least`] of each edge.
    starts: Vec<f64>,
}

/// Monotone maps from values to slots; the one with the shortest expected walk is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Map {
    /// Top bits of the base key.
    Bits { base: u64, shift: u32 },
    /// A uniform cut of the values.
    Uniform { low: f64, scale: f64 },
}

const SLOTS: usize = 1 << 13;

/// Edges left out at both ends when a map is laid: the tails of most columns are long and hold little.
const TRIMS: [usize; 7] = [0, 1, 2, 4, 8, 16, 32];

impl Map {
    #[inline(always)]
    fn bits(base: u64, shift: u32, k: u64) -> usize {
        (k >> shift).saturating_sub(base).min(SLOTS as u64 - 1) as usize
    }

    #[inline(always)]
    fn uniform(low: f64, scale: f64, x: f64) -> usize {
        const TOP: f64 = (SLOTS - 1) as f64;
        // 2^52 + t holds t, rounded to an integer, in its last bits: a cast that vectorises.
        const ROUND: f64 = (1u64 << 52) as f64;
        let t = (x - low) * scale;
        let t = if t > 0.0 { t } else { 0.0 };
        let t = if t < TOP { t } else { TOP };
        (t + ROUND).to_bits() as usize % SLOTS
    }

    /// Slot of a value, monotone in it.
    fn slot(self, base: u64, x: f64) -> usize {
        match self {
            Map::Bits { base: from, shift } => Map::bits(from, shift, base),
            Map::Uniform { low, scale } => Map::uniform(low, scale, x),
        }
    }
}

impl Locator {
    fn new(grid: &Grid) -> Self {
        let float = matches!(grid.domain, Domain::F32 | Domain::F64);
        let starts: Vec<f64> = if float {
            grid.edges.iter().map(|e| grid.domain.least(*e)).collect()
        } else {
            Vec::new()
        };
        // Base key and value of the first value behind each edge.
        let edges: Vec<(u64, f64)> = if float {
            starts.iter().map(|x| (key::of_f64(*x), *x)).collect()
        } else {
            grid.edges.iter().map(|e| (*e, 0.0)).collect()
        };
        let mut best: Option<(u64, Map, Vec<usize>)> = None;
        for trim in TRIMS {
            let Some(inner) = edges.get(trim..edges.len().saturating_sub(trim)) else {
                break;
            };
            let (Some((low_key, low)), Some((high_key, high))) = (inner.first(), inner.last())
            else {
                break;
            };
            let need = 64 - (high_key - low_key).leading_zeros();
            let shift = need.saturating_sub(SLOTS.trailing_zeros());
            let base = low_key >> shift;
            let scale = (SLOTS - 2) as f64 / (high - low);
            let uniform = (float && scale.is_finite() && scale > 0.0)
                .then_some(Map::Uniform { low: *low, scale });
            for map in [Some(Map::Bits { base, shift }), uniform]
                .into_iter()
                .flatten()
            {
                let slots: Vec<usize> = edges.iter().map(|(k, x)| map.slot(*k, *x)).collect();
                // Edges stand for equal masses: steps beyond the first, which costs no branch.
                let walk = slots
                    .chunk_by(|a, b| a == b)
                    .map(|c| (c.len() * (c.len() - 1)) as u64)
                    .sum();
                if best.as_ref().is_none_or(|b| walk < b.0) {
                    best = Some((walk, map, slots));
                }
            }
        }
        let mut first = Box::new([0; SLOTS]);
        let mut map = Map::Bits { base: 0, shift: 63 };
        if let Some((_, chosen, slots)) = best {
            map = chosen;
            // A value in slot s has at least the edges of lower slots behind it.
            for (s, first) in first.iter_mut().enumerate() {
                *first = slots.partition_point(|e| *e < s) as u16;
            }
        }
        Self { map, first, starts }
    }

    /// Cells of finite floats, given with their base keys.
    #[inline(never)]
    fn floats(&self, bases: &[u64], values: &[f64], cells: &mut [u16]) {
        match self.map {
            Map::Bits { base, shift } => {
                for ((cell, k), x) in cells.iter_mut().zip(bases).zip(values) {
                    *cell = walk(&self.starts, self.first[Map::bits(base, shift, *k)], *x);
                }
            }
            Map::Uniform { low, scale } => {
                for (cell, x) in cells.iter_mut().zip(values) {
                    *cell = walk(&self.starts, self.first[Map::uniform(low, scale, *x)], *x);
                }
            }
        }
    }

    /// Cells of the keys of integers.
    #[inline(never)]
    fn integers(&self, grid: &Grid, keys: &[u64], cells: &mut [u16]) {
        for (cell, k) in cells.iter_mut().zip(keys) {
            *cell = walk(&grid.edges, self.first[self.map.slot(*k, 0.0)], *k);
        }
    }
}

/// First cell from `from` on that ends above `x`. Most slots hold one edge at most, so the first
/// step is taken without a branch.
#[inline(always)]
fn walk<T: PartialOrd>(starts: &[T], from: u16, x: T) -> u16 {
    let mut j = usize::from(from);
    match starts.get(j) {
        Some(start) => j += usize::from(x >= *start),
        None => return from,
    }
    while starts.get(j).is_some_and(|start| x >= *start) {
        j += 1;
    }
    j as u16
}

/// A grid with everything its counts need, shared by all states on it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The frozen partition.
    pub grid: Grid,
    locator: Locator,
    /// Key where each cell of integers starts.
    lows: Vec<u64>,
    /// Where offsets of a cell start, and units of 2^-32 of the cell in one unit of value.
    anchors: Vec<(f64, f64)>,
}

impl Frame {
    /// Prepares a grid for counting.
    pub fn new(grid: Grid) -> Arc<Self> {
        let locator = Locator::new(&grid);
        let lows = (0..grid.cells()).map(|cell| grid.low_key(cell)).collect();
        let anchors = (0..grid.cells()).map(|cell| grid.anchor(cell)).collect();
        Arc::new(Self {
            grid,
            locator,
            lows,
            anchors,
        })
    }

    /// Cells of at most [`BLOCK`] values, given by their keys in the domain of the grid, which is not single
    /// precision.
    pub fn locate(&self, keys: &[u64], cells: &mut [u16]) {
        if self.grid.domain != Domain::F64 {
            return self.locator.integers(&self.grid, keys, cells);
        }
        let mut values = [0.0; BLOCK];
        for (x, k) in values.iter_mut().zip(keys) {
            *x = key::to_f64(*k);
        }
        self.locator.floats(keys, &values, cells);
    }
}

const UNIT: f64 = 4_294_967_296.0;

/// Whole units of 2^-32 of a cell, at most all of it.
#[inline(always)]
fn units(offset: f64) -> u64 {
    // Not `f64::min`: the comparison this way round is one instruction, and sends NaN to the end too.
    let offset = if offset < UNIT { offset } else { UNIT };
    offset as i64 as u64
}

/// Adds integers to the cells they lie in.
#[inline(never)]
fn add_integers(frame: &Frame, at: &[u16], keys: &[u64], recent: &mut [u64]) {
    for (j, k) in at.iter().zip(keys) {
        let j = usize::from(*j);
        recent[j] += ONE + units((k - frame.lows[j]) as f64 * frame.anchors[j].1);
    }
}

/// Adds values to the cells they lie in.
#[inline(never)]
fn add_floats(anchors: &[(f64, f64)], at: &[u16], values: &[f64], recent: &mut [u64]) {
    for (j, x) in at.iter().zip(values) {
        let (low, scale) = anchors[usize::from(*j)];
        recent[usize::from(*j)] += ONE + units((x - low).abs() * scale);
    }
}

impl Grid {
    /// Hull of an inner cell as floats: no value counted there lies outside.
    pub fn hull(&self, cell: usize) -> (f64, f64) {
        match self.domain {
            Domain::F32 | Domain::F64 => (
                self.domain.start(self.edges[cell - 1]),
                self.domain.start(self.edges[cell]),
            ),
            _ => (
                self.domain.value(self.edges[cell - 1]),
                self.domain.value(self.edges[cell].saturating_sub(1)),
            ),
        }
    }

    /// Key where a cell of integers starts; 0 for the first one.
    fn low_key(&self, cell: usize) -> u64 {
        let edge = cell.checked_sub(1).and_then(|i| self.edges.get(i));
        edge.copied().unwrap_or(0)
    }

    fn anchor(&self, cell: usize) -> (f64, f64) {
        if cell == 0 || cell >= self.edges.len() {
            return (0.0, 0.0);
        }
        let (low, high) = self.hull(cell);
        let width = high - low;
        let scale = UNIT / width;
        let scale = if scale.is_finite() && width.is_finite() && width > 0.0 {
            scale
        } else {
            0.0
        };
        match (self.atom(cell), self.domain) {
            (Some(v), Domain::F32) => (key::to_f64(v), scale),
            (Some(_), _) => (low, 0.0),
            (None, _) => (low, scale),
        }
    }
}

/// Counts and offset sums in the cells of a grid.
///
/// In a cell of one value the offset is the distance to that value, so its sum is 0 exactly when
/// every value counted there is that value.
#[derive(Debug, Clone)]
pub struct GridCounts {
    frame: Arc<Frame>,
    counts: Vec<u64>,
    /// Sums of offsets in units of 2^-32 of the cell.
    sums: Vec<u128>,
    /// What was added since the last carry: counts in the high 16 bits, sums in the low 48, so that a
    /// value costs one addition.
    recent: Vec<u64>,
    /// Values in `recent`, fewer than 2^16.
    pending: usize,
    /// Exact sums of the values in the two open cells.
    ends: [Sum; 2],
}

const ONE: u64 = 1 << 48;
/// Most values in [`GridCounts::recent`]: their offsets, of at most 2^32 units each, stay below 2^48.
const MOST: usize = (1 << 16) - 1;

impl GridCounts {
    /// No value.
    pub fn new(frame: Arc<Frame>) -> Self {
        let cells = frame.grid.cells();
        Self {
            frame,
            counts: vec![0; cells],
            sums: vec![0; cells],
            recent: vec![0; cells],
            pending: 0,
            ends: Default::default(),
        }
    }

    /// The grid counted on.
    pub fn grid(&self) -> &Grid {
        &self.frame.grid
    }

    /// Adds a block of at most [`BLOCK`] finite floats, given with their base keys and extremes.
    pub fn update_floats(&mut self, bases: &[u64], values: &[f64], (low, high): (f64, f64)) {
        self.reserve(values.len());
        let mut at = [0; BLOCK];
        let at = &mut at[..values.len()];
        let Self {
            frame,
            recent,
            ends,
            ..
        } = self;
        frame.locator.floats(bases, values, at);
        add_floats(&frame.anchors, at, values, recent);
        let starts = &frame.locator.starts;
        let open = |x: &f64| {
            let above = starts.last().is_none_or(|s| x >= s);
            (above || starts.first().is_none_or(|s| x < s)).then_some(usize::from(above))
        };
        if open(&low).is_some() || open(&high).is_some() {
            for x in values {
                if let Some(end) = open(x) {
                    ends[end].add_f64(*x, 1);
                }
            }
        }
    }

    /// Adds a block of at most [`BLOCK`] integers, given by their keys and the extremes of these:
    /// offsets are taken exactly.
    pub fn update_integers(&mut self, keys: &[u64], (low, high): (u64, u64)) {
        self.reserve(keys.len());
        let frame = Arc::clone(&self.frame);
        let mut ends = [0; 2];
        frame.locator.integers(&frame.grid, &[low, high], &mut ends);
        if ends[0] == ends[1] {
            // One cell for all, as in a sorted column: summed without a turn through memory.
            let j = usize::from(ends[0]);
            let (start, scale) = (frame.lows[j], frame.anchors[j].1);
            let sum: u64 = keys.iter().map(|k| units((k - start) as f64 * scale)).sum();
            self.recent[j] += keys.len() as u64 * ONE + sum;
        } else {
            let mut at = [0; BLOCK];
            let at = &mut at[..keys.len()];
            frame.locator.integers(&frame.grid, keys, at);
            add_integers(&frame, at, keys, &mut self.recent);
        }
        let edges = &frame.grid.edges;
        let open = |k: u64| {
            let above = edges.last().is_none_or(|e| k >= *e);
            (above || edges.first().is_none_or(|e| k < *e)).then_some(usize::from(above))
        };
        if open(low).is_some() || open(high).is_some() {
            for k in keys {
                if let Some(end) = open(*k) {
                    self.add_open(end, *k, 0.0, 1);
                }
            }
        }
    }

    /// Adds one value, given by its grid key and as a float, `count` times: the obvious twin of the
    /// blocks.
    pub fn add(&mut self, k: u64, x: f64, count: u64) {
        let grid = &self.frame.grid;
        let j = grid.cell_of(k);
        let last = grid.edges.len();
        let (low, scale) = self.frame.anchors[j];
        let offset = match grid.domain {
            Domain::F32 | Domain::F64 => (x - low).abs(),
            _ => (k - self.frame.lows[j]) as f64,
        };
        self.counts[j] += count;
        self.sums[j] += u128::from(units(offset * scale)) * u128::from(count);
        if j == 0 || j == last {
            self.add_open(usize::from(j == last), k, x, count);
        }
    }

    fn add_open(&mut self, end: usize, k: u64, x: f64, count: u64) {
        match self.frame.grid.domain {
            Domain::F32 | Domain::F64 => self.ends[end].add_f64(x, count),
            Domain::Signed => {
                let v = key::to_i64(k);
                let magnitude = u128::from(v.unsigned_abs()) * u128::from(count);
                self.ends[end].add_scaled(v < 0, magnitude, 0);
            }
            Domain::Unsigned => {
                self.ends[end].add_scaled(false, u128::from(k) * u128::from(count), 0)
            }
        }
    }

    /// Counts in the nested cells, appended to `out`: one more than nested edges.
    pub fn nested_counts(&self, out: &mut Vec<u64>) {
        let count = |cells: std::ops::Range<usize>| -> u64 {
            let old: u64 = self.counts[cells.clone()].iter().sum();
            old + self.recent[cells].iter().map(|r| r / ONE).sum::<u64>()
        };
        let mut from = 0;
        for edge in &self.frame.grid.nested {
            // Cell `c` lies behind edge `c - 1`.
            let to = *edge as usize + 1;
            out.push(count(from..to));
            from = to;
        }
        out.push(count(from..self.counts.len()));
    }

    fn reserve(&mut self, more: usize) {
        if self.pending + more > MOST {
            self.carry();
        }
        self.pending += more;
    }

    fn carry(&mut self) {
        let cells = self.counts.iter_mut().zip(&mut self.sums);
        for (recent, (count, sum)) in self.recent.iter_mut().zip(cells) {
            *count += *recent / ONE;
            *sum += u128::from(*recent % ONE);
            *recent = 0;
        }
        self.pending = 0;
    }

    /// Adds another state on the same grid.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.frame.grid != other.frame.grid {
            return Err(Error::incompatible(format!(
                "grids differ: {} and {}; profile both against one reference",
                self.grid().id(),
                other.grid().id()
            )));
        }
        self.carry();
        for (j, (count, sum)) in self.counts.iter_mut().zip(&mut self.sums).enumerate() {
            *count = count
                .checked_add(other.count(j))
                .ok_or(Error::Overflow("a grid cell"))?;
            *sum += other.units(j);
        }
        for (a, b) in self.ends.iter_mut().zip(&other.ends) {
            a.merge(b);
        }
        Ok(())
    }

    /// Rows of a cell.
    pub fn count(&self, cell: usize) -> u64 {
        self.counts[cell] + self.recent[cell] / ONE
    }

    /// Rows of every cell.
    pub fn counts(&self) -> Vec<u64> {
        (0..self.counts.len()).map(|j| self.count(j)).collect()
    }

    /// Whether every value counted in an atom's cell is that atom.
    pub fn is_pure(&self, cell: usize) -> bool {
        self.units(cell) == 0
    }

    fn units(&self, cell: usize) -> u128 {
        self.sums[cell] + u128::from(self.recent[cell] % ONE)
    }

    /// Sum of `x - low` over an inner cell with hull `[low, high]`, and a bound on its error. For an
    /// atom's cell that is not pure the sum is only known to lie between 0 and `count * width`.
    pub fn offset(&self, cell: usize) -> (f64, f64) {
        let count = self.count(cell) as f64;
        let (low, high) = self.grid().hull(cell);
        let width = high - low;
        if self.frame.anchors[cell].1 == 0.0 || self.grid().atom(cell).is_some() {
            return (count * width / 2.0, count * width / 2.0 * (1.0 + 1e-12));
        }
        let units = self.units(cell) as f64 + count / 2.0;
        (
            units / UNIT * width,
            count * width / UNIT * 0.6 + units / UNIT * width * 1e-15,
        )
    }

    /// Exact sum of the values below the first edge (`end` 0) or from the last edge on (1).
    pub fn end_sum(&self, end: usize) -> f64 {
        self.ends[end].to_f64()
    }

    /// Whether the law of the grid holds for these counts of the reference: no cell that is not one
    /// value holds more than `1 / bound` of the `n` rows.
    pub fn keeps_bound(&self, n: u64) -> bool {
        (0..self.counts.len()).all(|j| {
            let heavy = u128::from(self.count(j)) * u128::from(self.grid().bound) > u128::from(n);
            !heavy || (self.grid().atom(j).is_some() && self.is_pure(j))
        })
    }

    /// Every count and sum divided by what divides them all.
    pub fn quotient(&self, by: u64) -> Self {
        let mut out = self.clone();
        let by = by.max(1);
        out.carry();
        out.counts.iter_mut().for_each(|c| *c /= by);
        out.sums.iter_mut().for_each(|s| *s /= u128::from(by));
        out.ends = out.ends.map(|end| end.quotient(by));
        out
    }

    /// Writes the state without its grid.
    pub fn encode(&self, w: &mut Writer) {
        for j in 0..self.counts.len() {
            w.varint(self.count(j));
            if self.count(j) > 0 {
                w.varint128(self.units(j));
            }
        }
        for end in &self.ends {
            end.encode(w);
        }
    }

    /// Reads what [`GridCounts::encode`] wrote for this grid.
    pub fn decode(r: &mut Reader<'_>, frame: Arc<Frame>) -> Result<Self> {
        let mut s = Self::new(frame);
        for (count, sum) in s.counts.iter_mut().zip(&mut s.sums) {
            *count = r.varint()?;
            if *count > 0 {
                *sum = r.varint128()?;
                if *sum >> 33 > u128::from(*count) {
                    return Err(Error::corrupt("offsets beyond their cell"));
                }
            }
        }
        s.ends = [Sum::decode(r)?, Sum::decode(r)?];
        Ok(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finite_f32() -> impl Strategy<Value = f32> {
        prop_oneof![
            any::<u32>()
                .prop_map(f32::from_bits)
                .prop_filter("finite", |x| x.is_finite()),
            Just(0.0),
            Just(-0.0),
            Just(f32::MAX),
            Just(f32::MIN),
            Just(f32::from_bits(1)),
            Just(-f32::from_bits(1)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn cells_start_at_the_least_value(x in finite_f32(), by in 0..3u64) {
            let k = key::of_f32(x) - by;
            let least = Domain::F32.least(k);
            let grid_key = |x: f64| Domain::F32.of_base(key::of_f64(x));
            prop_assert!(grid_key(least) >= k);
            if least.is_finite() {
                prop_assert!(grid_key(least.next_down()) < k);
            }
        }

        #[test]
        fn blocks_equal_single_values(
            mut edges in prop::collection::btree_set(prop_oneof![-3.0..3.0f32, finite_f32()].prop_map(key::of_f32), 0..40),
            wide in any::<bool>(),
            values in prop::collection::vec(prop_oneof![-3.0..3.0f64, finite_f32().prop_map(f64::from), any::<f64>()], 1..=BLOCK),
            atom in any::<prop::sample::Index>(),
        ) {
            let values: Vec<f64> = values.into_iter().filter(|x| x.is_finite()).collect();
            if wide {
                // Many neighbouring edges: slots with more than one.
                edges.extend((0..300).map(|i| key::of_f32(1.0) + i));
            }
            for domain in [Domain::F32, Domain::F64] {
                let of = |k: &u64| if domain == Domain::F32 { *k } else { key::of_f64(key::to_f32(*k).into()) };
                let edges: Vec<u64> = edges.iter().map(of).collect();
                let mut atoms = Vec::new();
                if !edges.is_empty() {
                    let at = atom.index(edges.len());
                    atoms.push((at as u32 + 1, key::of_f64(domain.value(edges[at]))));
                }
                let grid = Grid { domain, edges, atoms, center: 0.0, coarse: Vec::new(), nested: Vec::new(), bound: 1 };
                let frame = Frame::new(grid);
                let (mut fast, mut slow) = (GridCounts::new(Arc::clone(&frame)), GridCounts::new(frame));
                // Enough rounds for a carry.
                for _ in 0..if wide { 130 } else { 2 } {
                    let bases: Vec<u64> = values.iter().map(|x| key::of_f64(*x)).collect();
                    let range = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
                    if !values.is_empty() {
                        fast.update_floats(&bases, &values, range);
                    }
                    values.iter().zip(&bases).for_each(|(x, k)| slow.add(domain.of_base(*k), *x, 1));
                }
                prop_assert_eq!(bytes(&fast), bytes(&slow));
            }
        }

        #[test]
        fn integer_blocks_equal_single_values(
            edges in prop::collection::btree_set(prop_oneof![any::<u64>(), 1000..1100u64], 0..60),
            keys in prop::collection::vec(prop_oneof![any::<u64>(), 990..1110u64, Just(u64::MAX), Just(0)], 1..=BLOCK),
        ) {
            for domain in [Domain::Signed, Domain::Unsigned] {
                let edges = edges.iter().copied().collect();
                let grid = Grid { domain, edges, atoms: Vec::new(), center: 0.0, coarse: Vec::new(), nested: Vec::new(), bound: 1 };
                let frame = Frame::new(grid);
                let (mut fast, mut slow) = (GridCounts::new(Arc::clone(&frame)), GridCounts::new(frame));
                // As they come, and sorted: blocks in one cell take a way of their own.
                let mut sorted = keys.clone();
                sorted.sort_unstable();
                for block in std::iter::once(&keys[..]).chain(sorted.chunks(7)) {
                    let range = (*block.iter().min().unwrap(), *block.iter().max().unwrap());
                    fast.update_integers(block, range);
                }
                keys.iter().chain(&sorted).for_each(|k| slow.add(*k, domain.value(*k), 1));
                prop_assert_eq!(bytes(&fast), bytes(&slow));
            }
        }
    }

    fn bytes(counts: &GridCounts) -> Vec<u8> {
        let mut w = Writer::new();
        counts.encode(&mut w);
        w.into_bytes()
    }
}
