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
use crate::kernels::key;
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
pub struct Locator {
    map: Map,
    /// First candidate cell of each slot.
    first: Vec<u16>,
}

/// Two monotone maps from values to slots; the one with the shorter expected walk is taken.
#[derive(Debug, Clone, Copy)]
enum Map {
    /// Top bits of the grid key.
    Bits { base: u64, shift: u32 },
    /// A uniform cut of the values.
    Uniform { low: f64, scale: f64 },
}

const SLOTS: usize = 1 << 13;

impl Locator {
    /// Builds the table of a grid. `value` below is the float given to [`Locator::locate`].
    pub fn new(grid: &Grid) -> Self {
        let (Some(first), Some(last)) = (grid.edges.first(), grid.edges.last()) else {
            return Self {
                map: Map::Bits { base: 0, shift: 63 },
                first: vec![0; SLOTS + 1],
            };
        };
        let need = 64 - (last - first).leading_zeros();
        let shift = need.saturating_sub(SLOTS.trailing_zeros());
        let bits = Map::Bits {
            base: first >> shift,
            shift,
        };
        let (low, high) = (grid.domain.value(*first), grid.domain.value(*last));
        let scale = (SLOTS - 2) as f64 / (high - low);
        let candidates = [
            Some(bits),
            (scale.is_finite() && scale > 0.0).then_some(Map::Uniform { low, scale }),
        ];
        let tables = candidates.into_iter().flatten().map(|map| {
            // Slot of each edge; a value in slot s has at least the edges of lower slots behind it.
            let slots: Vec<usize> = grid
                .edges
                .iter()
                .map(|e| slot(map, *e, grid.domain.value(*e)))
                .collect();
            let mut first = Vec::with_capacity(SLOTS + 1);
            for s in 0..=SLOTS {
                first.push(slots.partition_point(|e| *e < s) as u16);
            }
            // Edges stand for equal masses: the walk is the mean number of edges in an edge's slot.
            let walk: u64 = slots
                .chunk_by(|a, b| a == b)
                .map(|c| (c.len() * c.len()) as u64)
                .sum();
            (walk, Self { map, first })
        });
        match tables.min_by_key(|t| t.0) {
            Some((_, locator)) => locator,
            None => Self {
                map: bits,
                first: vec![0; SLOTS + 1],
            },
        }
    }

    /// Cells of grid keys and their values.
    #[inline]
    pub fn locate(&self, grid: &Grid, keys: &[u64], values: &[f64], cells: &mut [u32]) {
        match self.map {
            Map::Bits { base, shift } => {
                for (cell, k) in cells.iter_mut().zip(keys) {
                    let s = (k >> shift).saturating_sub(base).min(SLOTS as u64) as usize;
                    *cell = walk(&grid.edges, self.first[s], *k);
                }
            }
            Map::Uniform { low, scale } => {
                for ((cell, k), x) in cells.iter_mut().zip(keys).zip(values) {
                    let s = uniform_slot(*x, low, scale);
                    *cell = walk(&grid.edges, self.first[s], *k);
                }
            }
        }
    }
}

/// Monotone in `x`. Float-to-integer casts saturate, so values outside land in the end slots.
#[inline(always)]
fn uniform_slot(x: f64, low: f64, scale: f64) -> usize {
    (((x - low) * scale) as i32).clamp(0, SLOTS as i32) as usize
}

fn slot(map: Map, k: u64, x: f64) -> usize {
    match map {
        Map::Bits { base, shift } => (k >> shift).saturating_sub(base).min(SLOTS as u64) as usize,
        Map::Uniform { low, scale } => uniform_slot(x, low, scale),
    }
}

/// First cell from `from` on whose upper edge lies above `k`.
#[inline(always)]
fn walk(edges: &[u64], from: u16, k: u64) -> u32 {
    let mut j = from as usize;
    while edges.get(j).is_some_and(|e| *e <= k) {
        j += 1;
    }
    j as u32
}

/// A grid with everything its counts need, shared by all states on it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The frozen partition.
    pub grid: Grid,
    locator: Locator,
    /// Where offsets of a cell start, and units of 2^-32 of the cell in one unit of value.
    anchors: Vec<(f64, f64)>,
}

impl Frame {
    /// Prepares a grid for counting.
    pub fn new(grid: Grid) -> Arc<Self> {
        let locator = Locator::new(&grid);
        let anchors = (0..grid.cells()).map(|cell| grid.anchor(cell)).collect();
        Arc::new(Self {
            grid,
            locator,
            anchors,
        })
    }
}

const UNIT: f64 = 4_294_967_296.0;

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

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    count: u64,
    /// Sum of offsets in units of 2^-32 of the cell, since the last carry.
    sum: u64,
    low: f64,
    scale: f64,
}

/// Counts and offset sums in the cells of a grid.
///
/// In a cell of one value the offset is the distance to that value, so its sum is 0 exactly when
/// every value counted there is that value.
#[derive(Debug, Clone)]
pub struct GridCounts {
    frame: Arc<Frame>,
    cells: Vec<Cell>,
    carried: Vec<u128>,
    /// Values added since the last carry; each adds at most 2^32 to a 64-bit sum.
    pending: u64,
    /// Exact sums of the values in the two open cells.
    ends: [Sum; 2],
}

impl GridCounts {
    /// No value.
    pub fn new(frame: Arc<Frame>) -> Self {
        let cells = frame
            .anchors
            .iter()
            .map(|(low, scale)| Cell {
                low: *low,
                scale: *scale,
                ..Cell::default()
            })
            .collect::<Vec<_>>();
        let carried = vec![0; cells.len()];
        Self {
            frame,
            cells,
            carried,
            pending: 0,
            ends: Default::default(),
        }
    }

    /// The grid counted on.
    pub fn grid(&self) -> &Grid {
        &self.frame.grid
    }

    /// Adds a block of at most [`crate::kernels::BLOCK`] values given as grid keys and floats.
    /// Integers pass their base keys, from which offsets are taken exactly.
    pub fn update(&mut self, keys: &[u64], values: &[f64]) {
        self.reserve(keys.len() as u64);
        let mut at = [0u32; crate::kernels::BLOCK];
        let at = &mut at[..keys.len()];
        let frame = Arc::clone(&self.frame);
        frame.locator.locate(&frame.grid, keys, values, at);
        let last = self.cells.len() as u32 - 1;
        let mut open = false;
        match frame.grid.domain {
            Domain::F32 | Domain::F64 => {
                for (j, x) in at.iter().zip(values) {
                    let cell = &mut self.cells[*j as usize];
                    cell.count += 1;
                    cell.sum += ((x - cell.low).abs() * cell.scale).min(UNIT) as u64;
                    open |= *j == 0 || *j == last;
                }
            }
            _ => {
                for (j, k) in at.iter().zip(keys) {
                    let cell = &mut self.cells[*j as usize];
                    cell.count += 1;
                    let low = frame
                        .grid
                        .edges
                        .get((*j as usize).wrapping_sub(1))
                        .copied()
                        .unwrap_or(0);
                    cell.sum += ((k - low) as f64 * cell.scale).min(UNIT) as u64;
                    open |= *j == 0 || *j == last;
                }
            }
        }
        if open {
            for ((j, k), x) in at.iter().zip(keys).zip(values) {
                if *j == 0 || *j == last {
                    self.add_open(usize::from(*j == last), *k, *x, 1);
                }
            }
        }
    }

    /// Adds one value `count` times.
    pub fn add(&mut self, k: u64, x: f64, count: u64) {
        let frame = Arc::clone(&self.frame);
        let j = frame.grid.cell_of(k);
        let last = self.cells.len() - 1;
        let cell = &mut self.cells[j];
        cell.count += count;
        let offset = match frame.grid.domain {
            Domain::F32 | Domain::F64 => (x - cell.low).abs(),
            _ => {
                (k - frame
                    .grid
                    .edges
                    .get(j.wrapping_sub(1))
                    .copied()
                    .unwrap_or(0)) as f64
            }
        };
        let units = (offset * cell.scale).min(UNIT) as u64;
        self.carried[j] += u128::from(units) * u128::from(count);
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

    fn reserve(&mut self, more: u64) {
        if self.pending + more >= 1 << 31 {
            self.carry();
        }
        self.pending += more;
    }

    fn carry(&mut self) {
        for (cell, carried) in self.cells.iter_mut().zip(&mut self.carried) {
            *carried += u128::from(cell.sum);
            cell.sum = 0;
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
        for (j, (a, b)) in self.cells.iter_mut().zip(&other.cells).enumerate() {
            a.count = a
                .count
                .checked_add(b.count)
                .ok_or(Error::Overflow("a grid cell"))?;
            self.carried[j] += other.carried[j] + u128::from(b.sum);
        }
        for (a, b) in self.ends.iter_mut().zip(&other.ends) {
            a.merge(b);
        }
        Ok(())
    }

    /// Rows of a cell.
    pub fn count(&self, cell: usize) -> u64 {
        self.cells[cell].count
    }

    /// Rows of every cell.
    pub fn counts(&self) -> Vec<u64> {
        self.cells.iter().map(|c| c.count).collect()
    }

    /// Whether every value counted in an atom's cell is that atom.
    pub fn is_pure(&self, cell: usize) -> bool {
        self.units(cell) == 0
    }

    fn units(&self, cell: usize) -> u128 {
        self.carried[cell] + u128::from(self.cells[cell].sum)
    }

    /// Sum of `x - low` over an inner cell with hull `[low, high]`, and a bound on its error. For an
    /// atom's cell that is not pure the sum is only known to lie between 0 and `count * width`.
    pub fn offset(&self, cell: usize) -> (f64, f64) {
        let count = self.cells[cell].count as f64;
        let (low, high) = self.grid().hull(cell);
        let width = high - low;
        if self.cells[cell].scale == 0.0 || self.grid().atom(cell).is_some() {
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
        (0..self.cells.len()).all(|j| {
            let heavy = u128::from(self.count(j)) * u128::from(self.grid().bound) > u128::from(n);
            !heavy || (self.grid().atom(j).is_some() && self.is_pure(j))
        })
    }

    /// Writes the state without its grid.
    pub fn encode(&self, w: &mut Writer) {
        for (j, c) in self.cells.iter().enumerate() {
            w.varint(c.count);
            if c.count > 0 {
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
        for j in 0..s.cells.len() {
            s.cells[j].count = r.varint()?;
            if s.cells[j].count > 0 {
                s.carried[j] = r.varint128()?;
                if s.carried[j] >> 33 > u128::from(s.cells[j].count) {
                    return Err(Error::corrupt("offsets beyond their cell"));
                }
            }
        }
        s.ends = [Sum::decode(r)?, Sum::decode(r)?];
        Ok(s)
    }
}
