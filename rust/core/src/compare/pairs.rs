//! The states of two groups, put on their common partition.

use std::sync::Arc;

use super::furthest;
use crate::column::{ColumnState, Kind, Sample as Held, base_domain, scaled, value_of};
use crate::dependence::{Blocked, Layout, Sample, WEIGHTS};
use crate::kernels::key;
use crate::pair::{
    CategoricalPair, CategoryCell, CategoryKey, Cell, Cells, NumericPair, Pair, Part, Side, Weights,
};
use crate::profile::Column;
use crate::states::blocks::Blocks;
use crate::states::categories::Categories;
use crate::states::counts::Counts;
use crate::states::grid::{Domain, Grid, GridCounts};
use crate::states::weighed::Weighed;
use crate::statistics::Reads;
use crate::value::Logical;
use crate::{Error, Result};
use new_values::{Known, new_values};

mod new_values;

/// Counts of one side of a pair.
fn side(state: &ColumnState, logical: Logical) -> Side {
    let c = &state.counts;
    let (mean, variance) = state.mean_variance(logical);
    let weights = state.weighed().map(|w| weights_of(state, w, logical));
    let variance = match weights.filter(|w| !w.equal) {
        // As of so many rows of equal weight.
        Some(w) => {
            let n = c.finite as f64;
            let worth = n * (n / w.squares.2);
            variance * ((n - 1.0) / n) * (worth / (worth - 1.0))
        }
        None => variance,
    };
    let exact = state
        .keys()
        .filter(|k| k.is_exact())
        .map(|k| k.cells.len() as f64);
    let (distinct, distinct_error) = exact.map_or_else(|| state.distinct.estimate(), |n| (n, 0.0));
    Side {
        mean,
        variance,
        distinct,
        distinct_error,
        weights,
        ..counted(c, logical)
    }
}

/// What counts alone say of a side.
fn counted(c: &Counts, logical: Logical) -> Side {
    let (min, max) = c.range.map_or((f64::NAN, f64::NAN), |(a, b)| {
        (value_of(logical, a), value_of(logical, b))
    });
    Side {
        rows: c.rows(),
        nulls: c.nulls,
        nan: c.nan,
        neg_inf: c.neg_inf,
        pos_inf: c.pos_inf,
        finite: c.finite,
        mean: f64::NAN,
        variance: f64::NAN,
        min,
        max,
        distinct: 0.0,
        distinct_error: 0.0,
        overflow: c.below + c.above,
        weights: None,
    }
}

/// Two samples held in memory. For a statistic that reads so much, this is the pair that [`pair_of`] makes of
/// their exact states.
pub fn pair_of_samples(logical: Logical, reference: Held, current: Held, reads: Reads) -> Pair {
    let (mut a, mut b) = (reference, current);
    a.close();
    b.close();
    let single = single_precision(logical, &a.counts, &b.counts);
    let (mut x, mut y) = (counted(&a.counts, logical), counted(&b.counts, logical));
    if reads == Reads::Values {
        let center = a.sort(logical, None);
        b.sort(logical, Some(center));
        for (side, held) in [(&mut x, &a), (&mut y, &b)] {
            (side.mean, side.variance) = held.mean_variance(logical, center);
            side.distinct = held.distinct() as f64;
        }
    }
    if single {
        for keys in [&mut a.keys, &mut b.keys] {
            keys.iter_mut().for_each(|k| *k = to_single(*k));
        }
    }
    let mut pair = NumericPair {
        logical,
        reference: x,
        current: y,
        cells: Cells::default(),
        reference_iqr: 0.0,
        iqr_bounds: (0.0, 0.0),
        near_means: a.near_means(&b, logical),
        reference_range: (x.min, x.max),
        out_of_range: (0, 0),
        note: single.then(|| SINGLE.to_owned()),
        blocked: None,
    };
    if reads == Reads::Furthest {
        let below = (x.neg_inf, y.neg_inf);
        let rows = (x.ordered(), y.ordered());
        let ranges = [a.counts.range, b.counts.range].into_iter().flatten();
        let range = ranges.reduce(|r, s| (r.0.min(s.0), r.1.max(s.1)));
        let round = |k: u64| if single { to_single(k) } else { k };
        if let Some((low, high)) = range {
            let ends = (round(low), round(high));
            pair.cells = furthest::cells(logical, (&a.keys, &b.keys), ends, below, rows).into();
        }
        return Pair::Numeric(pair);
    }
    if let (Some(low), Some(high)) = (a.keys.first(), a.keys.last()) {
        let below = b.keys.partition_point(|k| k < low);
        let upto = b.keys.partition_point(|k| k <= high);
        pair.out_of_range = (below as u64, (b.keys.len() - upto) as u64);
    }
    let quantile = |q: f64| {
        let rank = (q * x.finite as f64).ceil().max(1.0) as usize;
        a.keys.get(rank - 1).map(|k| value_of(logical, *k))
    };
    if let (Some(low), Some(high)) = (quantile(0.25), quantile(0.75)) {
        pair.reference_iqr = (high - low).max(0.0);
        pair.iqr_bounds = (pair.reference_iqr, pair.reference_iqr);
    }
    pair.cells = Cells::of_sorted(logical, a.keys, b.keys);
    Pair::Numeric(pair)
}

/// Note of a comparison in single precision.
const SINGLE: &str = "current values are single precision: compared at that precision";

/// Whether floats of the reference that need double precision meet current ones that do not.
fn single_precision(logical: Logical, reference: &Counts, current: &Counts) -> bool {
    base_domain(logical) == Domain::F64
        && current.not_f32 == 0
        && current.finite > 0
        && reference.not_f32 > 0
}

/// The key of the nearest value of single precision; a finite value stays one.
fn to_single(k: u64) -> u64 {
    let x = (key::to_f64(k) as f32).clamp(f32::MIN, f32::MAX);
    key::of_f64(f64::from(x))
}

/// What weights do to a side; the state counts in units of what divides every weight.
fn weights_of(state: &ColumnState, w: &Weighed, logical: Logical) -> Weights {
    let (rows, cells) = (state.rows(), w.cells.len());
    let missing = if state.categories().is_some() {
        cells.saturating_sub(1)
    } else {
        cells.saturating_sub(3)
    };
    let all = w.squares(0..cells);
    let present = w.squares((0..cells).filter(|i| *i != missing));
    // Rows of one unit each: the squares are the units.
    let equal = all == u128::from(state.counts.rows());
    let finite = w.squares(0..missing) as f64;
    let worth = state.counts.finite as f64 * (state.counts.finite as f64 / finite);
    Weights {
        rows: rows.rows(),
        missing: rows.nulls + rows.nan,
        finite: rows.finite,
        squares: (all as f64, present as f64, finite),
        variance_of_mean: state.variance_of_mean(logical).unwrap_or(f64::NAN) * worth
            / (worth - 1.0),
        // By half a unit of the scale at most, which is one over the common divisor here.
        rounding: 0.5 * w.rounded() as f64 / w.common.max(1) as f64,
        equal,
    }
}

/// Both samples by block, where the reference has at least two.
fn blocked_of(
    column: &Column,
    label: &Arc<str>,
    reference: &ColumnState,
    current: &ColumnState,
) -> Option<Arc<Blocked>> {
    let (a, b) = (reference.blocks()?, current.blocks()?);
    let layout = match (
        reference.grid().map(GridCounts::grid),
        reference.categories(),
    ) {
        (Some(grid), _) => ordered_layout(grid),
        (None, Some(_)) => Layout::Categories(a.cells().saturating_sub(2)),
        _ => return None,
    };
    (a.iter().len() >= 2 && a.cells() == b.cells()).then(|| {
        let sample = |blocks: &Blocks, state: &ColumnState| {
            let side = side(&state.quotient(), column.logical);
            let blocks = match state.weighed() {
                Some(w) => &blocks.quotient(w.common),
                None => blocks,
            };
            let n = side.rows as f64;
            let worth = side.worth(Part::All) / n;
            Sample::new(blocks, scaled(column.logical, 1.0), worth)
        };
        let (a, b) = (sample(a, reference), sample(b, current));
        Arc::new(Blocked::new(Arc::clone(label), layout, a, b))
    })
}

fn ordered_layout(grid: &Grid) -> Layout {
    Layout::Ordered(
        // A nested cell starts one cell behind its edge.
        std::iter::once(0)
            .chain(grid.nested.iter().map(|e| *e as usize + 1))
            .map(|cell| grid.coarse_of(cell))
            .collect(),
    )
}

/// Both samples with every row a cluster of its own, where a side has weights that are not equal.
fn weighed_of(pair: &Pair, reference: &ColumnState, current: &ColumnState) -> Option<Arc<Blocked>> {
    if !pair.is_weighed() {
        return None;
    }
    let layout = match (
        reference.grid().map(GridCounts::grid),
        reference.categories(),
    ) {
        (Some(grid), _) => ordered_layout(grid),
        (None, Some(_)) => Layout::Categories(reference.coarse().counts.len().saturating_sub(2)),
        _ => return None,
    };
    let sample = |state: &ColumnState, side: &Side| {
        let counts = state.coarse().counts;
        let squares = match state.weighed() {
            Some(w) => w.cells.iter().map(|c| c.squares as f64).collect(),
            None => counts.iter().map(|c| *c as f64).collect(),
        };
        Sample::weighed(&counts, squares, side)
    };
    let (r, c) = pair.sides();
    let (a, b) = (sample(reference, r), sample(current, c));
    let fits = a.cells() == b.cells() && a.clusters() >= 2.0;
    fits.then(|| Arc::new(Blocked::new(WEIGHTS.into(), layout, a, b)))
}

/// The two samples of a column on their common partition, and by block where both are so counted;
/// `label` names the blocks.
///
/// # Errors
/// When the states were made against different grids or dictionaries.
pub fn blocked_pair_of(
    column: &Column,
    label: Option<&Arc<str>>,
    reference: &ColumnState,
    current: &ColumnState,
) -> Result<Pair> {
    let mut pair = pair_of(column, reference, current)?;
    if let Some(label) = label
        && let Some(blocked) = blocked_of(column, label, reference, current)
    {
        pair.set_blocked(blocked);
    }
    Ok(pair)
}

/// The two samples of a column on their common partition.
///
/// # Errors
/// When the states were made against different grids or dictionaries.
pub fn pair_of(column: &Column, reference: &ColumnState, current: &ColumnState) -> Result<Pair> {
    let (reference, current) = (&*reference.quotient(), &*current.quotient());
    let mut pair = match column.kind {
        Kind::Numeric => numeric_pair(column.logical, reference, current).map(Pair::Numeric),
        Kind::Categorical => {
            categorical_pair(column.logical, reference, current).map(Pair::Categorical)
        }
    }?;
    if let Some(weighed) = weighed_of(&pair, reference, current) {
        pair.set_blocked(weighed);
    }
    Ok(pair)
}

fn numeric_pair(
    logical: Logical,
    reference: &ColumnState,
    current: &ColumnState,
) -> Result<NumericPair> {
    let (a, b) = (side(reference, logical), side(current, logical));
    let grid = reference.grid().map(|g| g.grid());
    let (keys_a, keys_b) = (
        reference.keys().unwrap_or_default(),
        current.keys().unwrap_or_default(),
    );
    let single_precision = single_precision(logical, &reference.counts, &current.counts);
    let mut note = single_precision.then(|| SINGLE.to_owned());
    let (cells, out_of_range) = if keys_a.is_exact() && keys_b.is_exact() {
        let round = |k: u64| if single_precision { to_single(k) } else { k };
        exact_cells(logical, grid, &keys_a.cells, &keys_b.cells, round)
    } else {
        if single_precision && grid.is_some_and(|g| g.domain == Domain::F64) {
            note = Some(
                "current values are single precision, too coarse for the reference's grid: read the value with that in mind"
                    .to_owned(),
            );
        }
        grid_cells(logical, reference, current, single_precision)?
    };
    let quantile = |q: f64| {
        let target = (q * a.finite as f64).ceil().max(1.0) as u64;
        let mut rows = 0;
        cells.iter().find(|c| {
            rows += c.reference;
            rows >= target
        })
    };
    let (mut reference_iqr, mut iqr_bounds) = (0.0, (0.0, 0.0));
    if let (Some(l), Some(h)) = (quantile(0.25), quantile(0.75))
        && a.finite > 0
    {
        let middle = f64::midpoint(h.low, h.high) - f64::midpoint(l.low, l.high);
        reference_iqr = middle.max(0.0);
        iqr_bounds = ((h.low - l.high).max(0.0), (h.high - l.low).max(0.0));
    }
    Ok(NumericPair {
        logical,
        reference: a,
        current: b,
        cells: cells.into(),
        reference_iqr,
        iqr_bounds,
        near_means: reference.near_means(current, logical),
        reference_range: (a.min, a.max),
        out_of_range,
        note,
        blocked: None,
    })
}

/// One cell per distinct value.
fn exact_cells(
    logical: Logical,
    grid: Option<&Grid>,
    a: &[(u64, u64)],
    b: &[(u64, u64)],
    round: impl Fn(u64) -> u64,
) -> (Vec<Cell>, (u64, u64)) {
    // Rounding keeps the order of keys, so both lists are merged as they are.
    let mut counts: Vec<(u64, (u64, u64))> = Vec::with_capacity(a.len().max(b.len()));
    let (mut a_left, mut b_left) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let from_reference = match (a_left.peek(), b_left.peek()) {
            (None, None) => break,
            (Some(x), Some(y)) => x.0 <= y.0,
            (x, _) => x.is_some(),
        };
        let side = if from_reference {
            &mut a_left
        } else {
            &mut b_left
        };
        let Some((k, n)) = side.next() else { break };
        let k = round(*k);
        if counts.last().is_none_or(|last| last.0 != k) {
            counts.push((k, (0, 0)));
        }
        if let Some((_, rows)) = counts.last_mut() {
            *(if from_reference {
                &mut rows.0
            } else {
                &mut rows.1
            }) += n;
        }
    }
    let range = match (a.first(), a.last()) {
        (Some(l), Some(h)) => Some((round(l.0), round(h.0))),
        _ => None,
    };
    let (mut below, mut above) = (0, 0);
    let cells = counts
        .into_iter()
        .map(|(k, (reference, current))| {
            if range.is_some_and(|r| k < r.0) {
                below += current;
            }
            if range.is_some_and(|r| k > r.1) {
                above += current;
            }
            let x = value_of(logical, k);
            let coarse = grid.map_or(0, |g| g.coarse_of(g.cell_of(g.domain.of_base(k))));
            Cell {
                low: x,
                high: x,
                single: true,
                reference,
                current,
                offset_reference: 0.0,
                offset_current: 0.0,
                offset_error: 0.0,
                coarse,
            }
        })
        .collect();
    (cells, (below, above))
}

/// The cells of the common grid that hold a row of either side.
fn grid_cells(
    logical: Logical,
    reference: &ColumnState,
    current: &ColumnState,
    single_precision: bool,
) -> Result<(Vec<Cell>, (u64, u64))> {
    let (Some(a), Some(b)) = (reference.grid(), current.grid()) else {
        return Err(Error::incompatible(
            "a side has no grid; profile current with like=reference",
        ));
    };
    if a.grid() != b.grid() {
        return Err(Error::incompatible(format!(
            "grids {} and {} differ; profile current with like=reference",
            a.grid().id(),
            b.grid().id()
        )));
    }
    let grid = a.grid();
    let unit = scaled(logical, 1.0);
    let last = grid.cells() - 1;
    let domain = base_domain(logical);
    let ranges = [reference.counts.range, current.counts.range];
    let extreme = |pick: fn(f64, f64) -> f64, at: fn((u64, u64)) -> u64, start: f64| {
        ranges
            .iter()
            .flatten()
            .fold(start, |m, r| pick(m, domain.value(at(*r))))
    };
    let (min, max) = (
        extreme(f64::min, |r| r.0, f64::INFINITY),
        extreme(f64::max, |r| r.1, f64::NEG_INFINITY),
    );
    let mut cells = Vec::new();
    for j in 0..=last {
        let (n, m) = (a.count(j), b.count(j));
        if n == 0 && m == 0 {
            continue;
        }
        let (low, high, single);
        let (offset_a, offset_b, error);
        if j == 0 || j == last {
            (low, high) = match (j == 0, grid.edges.is_empty()) {
                (_, true) => (min, max),
                (true, _) => (min, grid.domain.start(grid.edges[0]).min(max).max(min)),
                (false, _) => (
                    grid.domain.start(grid.edges[last - 1]).max(min).min(max),
                    max,
                ),
            };
            let end = usize::from(j == last && j != 0);
            single = low == high;
            let offset =
                |sum: f64, n: u64| (sum - n as f64 * low).clamp(0.0, n as f64 * (high - low));
            offset_a = offset(a.end_sum(end), n);
            offset_b = offset(b.end_sum(end), m);
            error = (offset_a.abs() + offset_b.abs() + (n.max(m) as f64) * low.abs()) * 1e-15;
        } else if let Some(v) = grid.atom(j).filter(|_| {
            grid.domain != Domain::F32 || (a.is_pure(j) && (b.is_pure(j) || single_precision))
        }) {
            (low, high) = (domain.value(v), domain.value(v));
            (single, offset_a, offset_b, error) = (true, 0.0, 0.0, 0.0);
        } else {
            (low, high) = grid.hull(j);
            single = low == high;
            let ((sa, ea), (sb, eb)) = (a.offset(j), b.offset(j));
            (offset_a, offset_b, error) = (sa, sb, ea.max(eb));
        }
        cells.push(Cell {
            low: low * unit,
            high: high * unit,
            single,
            reference: n,
            current: m,
            offset_reference: offset_a * unit,
            offset_current: offset_b * unit,
            offset_error: error * unit,
            coarse: grid.coarse_of(j),
        });
    }
    let out = if grid.edges.is_empty() {
        (0, 0)
    } else {
        (b.count(0), b.count(last))
    };
    Ok((cells, out))
}

fn categorical_pair(
    logical: Logical,
    reference: &ColumnState,
    current: &ColumnState,
) -> Result<CategoricalPair> {
    let (a, b) = (side(reference, logical), side(current, logical));
    let (
        Some(Categories::Framed {
            dictionary,
            known: ka,
            cells: ca,
            ..
        }),
        Some(Categories::Framed {
            dictionary: other,
            known: kb,
            cells: cb,
            examples,
        }),
    ) = (reference.categories(), current.categories())
    else {
        return Err(Error::incompatible(
            "a side has no dictionary; profile current with like=reference",
        ));
    };
    if dictionary.hashes != other.hashes || ca.len() != cb.len() {
        return Err(Error::incompatible(
            "dictionaries differ; profile current with like=reference",
        ));
    }
    let (ra, rb) = (RowsOf(reference.weighed()), RowsOf(current.weighed()));
    let mut cells: Vec<CategoryCell> = ka
        .iter()
        .zip(kb)
        .enumerate()
        .filter(|(_, (x, y))| x.count > 0 || y.count > 0)
        .map(|(i, (x, y))| CategoryCell {
            key: CategoryKey::Value(if x.count > 0 {
                x.label.clone()
            } else {
                y.label.clone()
            }),
            reference: x.count,
            current: y.count,
            rows: (ra.known(i, x.count), rb.known(i, y.count)),
        })
        .collect();
    cells.sort_by(|x, y| {
        y.reference
            .cmp(&x.reference)
            .then_with(|| label_of(&x.key).cmp(&label_of(&y.key)))
    });
    // Segments hold few of the dictionary's values; a value the segment's reference lacks is not
    // new to the model, so "new" always means new to the dictionary.
    let (mut certain, mut possible, mut new_rows) = (0, 0, 0);
    // Hash cells in which the reference holds nothing.
    let mut free = Vec::new();
    for (i, (x, y)) in ca.iter().zip(cb).enumerate() {
        possible += y;
        if *x == 0 {
            certain += y;
            new_rows += rb.cell(i, *y);
            free.push(*y);
        } else {
            cells.push(CategoryCell {
                key: CategoryKey::HashCell(i as u32),
                reference: *x,
                current: *y,
                rows: (ra.cell(i, *x), rb.cell(i, *y)),
            });
        }
    }
    if certain > 0 {
        cells.push(CategoryCell {
            key: CategoryKey::New,
            reference: 0,
            current: certain,
            rows: (0, new_rows),
        });
    }
    let present = kb.iter().filter(|y| y.count > 0).count() as f64;
    let new_values = new_values(&Known {
        cells: &free,
        distinct: (b.distinct - present, b.distinct_error),
        complete: dictionary.complete && b.weights.is_none(),
    });
    let mut new_examples: Vec<(Vec<u8>, u64)> = examples
        .iter()
        .filter(|(h, _)| ca[crate::states::categories::cell_of(**h, ca.len())] == 0)
        .map(|(h, c)| (c.label.clone(), rb.example(*h, c.count)))
        .collect();
    new_examples.sort_by(|x, y| y.1.cmp(&x.1).then_with(|| x.0.cmp(&y.0)));
    new_examples.truncate(5);
    Ok(CategoricalPair {
        logical,
        reference: a,
        current: b,
        cells,
        new_rows: (certain, possible),
        new_values,
        new_examples,
        note: None,
        blocked: None,
    })
}

/// Rows by category, each counted once; those counted where there are no weights.
struct RowsOf<'a>(Option<&'a Weighed>);

impl RowsOf<'_> {
    fn known(&self, at: usize, counted: u64) -> u64 {
        match self.0.map(|w| &w.categories) {
            Some(Some(Categories::Framed { known, .. })) => known[at].count,
            _ => counted,
        }
    }

    fn cell(&self, at: usize, counted: u64) -> u64 {
        match self.0.map(|w| &w.categories) {
            Some(Some(Categories::Framed { cells, .. })) => cells[at],
            _ => counted,
        }
    }

    fn example(&self, hash: u64, counted: u64) -> u64 {
        match self.0.map(|w| &w.categories) {
            Some(Some(Categories::Framed { examples, .. })) => {
                examples.get(&hash).map_or(0, |c| c.count)
            }
            _ => counted,
        }
    }
}

fn label_of(k: &CategoryKey) -> Option<&[u8]> {
    match k {
        CategoryKey::Value(v) => Some(v),
        _ => None,
    }
}
