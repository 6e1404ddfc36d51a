//! A profile as plain tables: what other engines read without knowing states.

use crate::column::{Kind, base_domain, name_of, scaled, value_of};
use crate::profile::{Column, GroupKey, Profile};
use crate::states::categories::Categories;
use crate::states::grid::{Domain, GridCounts};

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
    /// Their smallest.
    pub min: Option<f64>,
    /// Their largest.
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
    /// No value of the cell is below; none where the cell is open.
    pub low: Option<f64>,
    /// No value of the cell is above; none where the cell is open.
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
    /// The value's first 256 bytes; none for a cell of values outside the dictionary.
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
    for (group, states) in profile.groups.values().enumerate() {
        for (column, state) in profile.columns.iter().zip(states) {
            let counts = state.rows();
            let (mean, variance) = state.mean_variance(column.logical);
            let finite = |x: f64| Some(x).filter(|x| x.is_finite());
            let numeric = column.kind == Kind::Numeric;
            let range = state.counts.range.filter(|_| numeric);
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
                min: range.and_then(|r| finite(value_of(column.logical, r.0))),
                max: range.and_then(|r| finite(value_of(column.logical, r.1))),
                distinct: exact
                    .map_or_else(|| state.distinct.estimate().0, |k| k.cells.len() as f64),
                grid_id: column.frozen_id(),
            });
            let state = state.quotient();
            if let Some(grid) = state.grid() {
                cells(group, column, grid, &mut tables.cells);
            }
            if let Some(found) = state.categories() {
                categories(group, &column.name, found, &mut tables.categories);
            }
        }
    }
    tables
}

fn cells(group: usize, column: &Column, counts: &GridCounts, out: &mut Vec<CellRow>) {
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
        out.push(CellRow {
            group,
            feature: column.name.clone(),
            cell: cell as u32,
            coarse: grid.coarse_of(cell),
            low,
            high,
            count,
        });
    }
}

fn categories(group: usize, feature: &str, found: &Categories, out: &mut Vec<CategoryRow>) {
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
    let values = dictionary.hashes.iter().zip(known);
    out.extend(
        values
            .filter(|(_, k)| k.count > 0)
            .map(|(hash, k)| row(Some(&k.label), Some(*hash), None, k.count)),
    );
    let others = cells.iter().enumerate().filter(|(_, n)| **n > 0);
    out.extend(others.map(|(i, n)| row(None, None, Some(i as u32), *n)));
}
