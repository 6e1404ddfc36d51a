//! A profile as plain tables: what other engines read without knowing states.

use crate::column::{Kind, base_domain, name_of, scaled, value_of};
use crate::profile::{Column, GroupKey, Profile};
use crate::states::categories::Categories;
use crate::states::grid::{Domain, GridCounts};
use crate::statistics::MIN_COUNT;

/// One column of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRow {
    /// Position of the group in the profile.
    pub group: usize,
    /// Name of the column.
    pub feature: String,
    /// `numeric` or `categorical`.
    pub kind: &'static str,
    /// Logical type.
    pub logical: String,
    /// Role, where one is known.
    pub role: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Null rows.
    pub nulls: u64,
    /// NaN rows.
    pub nan: u64,
    /// Rows of minus infinity.
    pub neg_inf: u64,
    /// Rows of plus infinity.
    pub pos_inf: u64,
    /// Finite values, or values that are not null.
    pub finite: u64,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Their variance with denominator n - 1.
    pub variance: Option<f64>,
    /// Their smallest, where [`MIN_COUNT`] rows are known to hold it.
    pub min: Option<f64>,
    /// Their largest, likewise.
    pub max: Option<f64>,
    /// Distinct values, or an estimate of them.
    pub distinct: f64,
    /// Grid or dictionary that cells belong to; the coarser one of a segment has the same.
    pub grid_id: String,
}

/// One cell of an ordered column that holds a row.
#[derive(Debug, Clone, PartialEq)]
pub struct CellRow {
    /// Position of the group in the profile.
    pub group: usize,
    /// Name of the column.
    pub feature: String,
    /// Position of the cell, ascending with the values.
    pub cell: u32,
    /// The cell of `psi` and the divergences that it belongs to, 0 first.
    pub coarse: u32,
    /// No value of the cell is below; none where the cell is open, and where it or the one below holds fewer than
    /// [`MIN_COUNT`] rows of the profile.
    pub low: Option<f64>,
    /// No value of the cell is above; none likewise.
    pub high: Option<f64>,
    /// Rows.
    pub count: u64,
}

/// One category, or one cell of hashes, that holds a row.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryRow {
    /// Position of the group in the profile.
    pub group: usize,
    /// Name of the column.
    pub feature: String,
    /// The value's first 256 bytes; none for a value that fewer than [`MIN_COUNT`] rows of the profile hold, and
    /// for a cell of values outside the dictionary.
    pub value: Option<String>,
    /// Hash of the value.
    pub hash: Option<u64>,
    /// Position among the cells of hashes.
    pub hash_cell: Option<u32>,
    /// Rows.
    pub count: u64,
}

/// All three.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// Columns of groups.
    pub columns: Vec<ColumnRow>,
    /// Cells of ordered columns.
    pub cells: Vec<CellRow>,
    /// Categories.
    pub categories: Vec<CategoryRow>,
}

/// The groups of a profile in the order of [`Tables`].
pub fn groups(profile: &Profile) -> impl Iterator<Item = &GroupKey> {
    profile.groups.keys()
}

/// A profile as tables: the counts that every comparison starts from.
///
/// With sampling weights, counts of cells are in units of the greatest common divisor of the weights, as in
/// every statistic; `rows` counts rows.
pub fn tables(profile: &Profile) -> Tables {
    let mut tables = Tables::default();
    // Over all windows; without it every text is hidden.
    let total = profile.total().unwrap_or_default();
    for (group, states) in profile.groups.values().enumerate() {
        for (at, (column, state)) in profile.columns.iter().zip(states).enumerate() {
            let counts = state.rows();
            let (mean, variance) = state.mean_variance(column.logical);
            let finite = |x: f64| Some(x).filter(|x| x.is_finite());
            let numeric = column.kind == Kind::Numeric;
            let held = state.held_at_ends().filter(|_| numeric);
            let range = state.counts.range.zip(held);
            let shown = |key: u64, rows: u64| {
                let value = (rows >= MIN_COUNT).then(|| value_of(column.logical, key));
                value.and_then(finite)
            };
            let exact = state.keys().filter(|k| k.is_exact());
            tables.columns.push(ColumnRow {
                group,
                feature: column.name.clone(),
                kind: if numeric { "numeric" } else { "categorical" },
                logical: name_of(column.logical),
                role: profile.metadata.roles.get(&column.name).cloned(),
                rows: counts.rows(),
                nulls: counts.nulls,
                nan: counts.nan,
                neg_inf: counts.neg_inf,
                pos_inf: counts.pos_inf,
                finite: counts.finite,
                mean: finite(mean),
                variance: finite(variance),
                min: range.and_then(|(r, held)| shown(r.0, held.0)),
                max: range.and_then(|(r, held)| shown(r.1, held.1)),
                distinct: exact
                    .map_or_else(|| state.distinct.estimate().0, |k| k.cells.len() as f64),
                grid_id: column.frozen_id(),
            });
            let state = state.quotient();
            if let Some(grid) = state.grid() {
                let whole = total.get(at).map(|s| s.quotient());
                let whole = whole.as_ref().and_then(|s| s.grid());
                cells(group, column, grid, whole, &mut tables.cells);
            }
            if let Some(found) = state.categories() {
                let whole = total.get(at).map(|s| s.quotient());
                let whole = whole.as_ref().and_then(|s| s.categories());
                categories(group, &column.name, found, whole, &mut tables.categories);
            }
        }
    }
    tables
}

fn cells(
    group: usize,
    column: &Column,
    counts: &GridCounts,
    whole: Option<&GridCounts>,
    out: &mut Vec<CellRow>,
) {
    let common = |cell: usize| whole.is_some_and(|w| w.count(cell) >= MIN_COUNT);
    let grid = counts.grid();
    let unit = scaled(column.logical, 1.0);
    let domain = base_domain(column.logical);
    let last = grid.cells() - 1;
    for cell in 0..=last {
        let count = counts.count(cell);
        if count == 0 {
            continue;
        }
        let start = |edge: usize| grid.edges.get(edge).map(|e| grid.domain.start(*e) * unit);
        let (low, high) = match cell {
            0 => (None, start(0)),
            _ if cell == last => (start(cell - 1), None),
            _ => match grid
                .atom(cell)
                .filter(|_| grid.domain != Domain::F32 || counts.is_pure(cell))
            {
                Some(v) => (Some(domain.value(v) * unit), Some(domain.value(v) * unit)),
                None => {
                    let (low, high) = grid.hull(cell);
                    (Some(low * unit), Some(high * unit))
                }
            },
        };
        // A border tells of the values on both of its sides.
        let below = common(cell) && (cell == 0 || common(cell - 1));
        let above = common(cell) && (cell == last || common(cell + 1));
        out.push(CellRow {
            group,
            feature: column.name.clone(),
            cell: cell as u32,
            coarse: grid.coarse_of(cell),
            low: low.filter(|_| below),
            high: high.filter(|_| above),
            count,
        });
    }
}

fn categories(
    group: usize,
    feature: &str,
    found: &Categories,
    whole: Option<&Categories>,
    out: &mut Vec<CategoryRow>,
) {
    let common = |at: usize| match whole {
        Some(Categories::Framed { known, .. }) => {
            known.get(at).is_some_and(|k| k.count >= MIN_COUNT)
        }
        _ => false,
    };
    let Categories::Framed {
        dictionary,
        known,
        cells,
        ..
    } = found
    else {
        return;
    };
    let row = |value: Option<&[u8]>, hash, hash_cell, count| CategoryRow {
        group,
        feature: feature.to_owned(),
        value: value.map(|v| String::from_utf8_lossy(v).into_owned()),
        hash,
        hash_cell,
        count,
    };
    let values = dictionary.hashes.iter().zip(known).enumerate();
    out.extend(
        values
            .filter(|(_, (_, k))| k.count > 0)
            .map(|(at, (hash, k))| {
                let label = common(at).then_some(k.label.as_slice());
                row(label, Some(*hash), None, k.count)
            }),
    );
    let others = cells.iter().enumerate().filter(|(_, n)| **n > 0);
    out.extend(others.map(|(i, n)| row(None, None, Some(i as u32), *n)));
}
