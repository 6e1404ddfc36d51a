//! What each cell adds to a statistic.

use super::table::Table;
use super::wasserstein::rectangle;
use super::{NotApplicable, Steps, cross, share, sum};
use crate::pair::{CategoryKey, NumericPair, Pair, Part};
use crate::special::{entropy_term, jensen_term};

/// Statistics whose value is a sum over cells.
pub const CONTRIBUTING: [&str; 8] = [
    "chi_square",
    "hellinger",
    "jensen_shannon",
    "kullback_leibler",
    "ks",
    "psi",
    "total_variation",
    "wasserstein",
];

/// One cell, what both samples hold of it, and what it adds to the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The value, or the range in words.
    pub label: String,
    /// `range`, `value`, `hash`, `new`, `missing`, `-inf`, `+inf`, or `rare` for values that too few rows
    /// hold to be named.
    pub kind: &'static str,
    /// Lower end of a range; none where it is open.
    pub low: Option<f64>,
    /// Upper end of a range; none where it is open.
    pub high: Option<f64>,
    /// Reference rows.
    pub reference: u64,
    /// Current rows.
    pub current: u64,
    /// Share of the reference rows.
    pub share_reference: f64,
    /// Share of the current rows.
    pub share_current: f64,
    /// What the cell adds to the value; negative where it takes away.
    pub contribution: f64,
}

/// The contributions of all cells, which add up to the value of the statistic up to rounding.
///
/// Ordered columns have the coarse cells of `psi`. `ks` is the sum of the differences of shares up to the
/// value where it is attained, signed so that the sum is the distance; `wasserstein` the area between
/// the distribution functions over each cell and up to the next. The square roots (`jensen_shannon`,
/// `hellinger`) are shared out in proportion to the squares. Categories that fewer than `min_count`
/// rows hold on either side are one cell, and so are the ends of the range left open.
///
/// # Errors
/// Where the statistic is no sum over cells, or does not apply to the pair.
pub fn contributions(
    pair: &Pair,
    name: &str,
    min_count: u64,
) -> Result<Vec<Contribution>, NotApplicable> {
    let cells = match name {
        "ks" => ks(pair),
        "wasserstein" => wasserstein(pair),
        _ => table(pair, name),
    }?;
    // Rows, not units of weight, decide what may be named.
    let (r, c) = pair.sides();
    let rows = (r.rows_of(Part::All) as f64, c.rows_of(Part::All) as f64);
    let cells: Vec<Contribution> = cells
        .into_iter()
        .map(|cell| match pair.is_weighed() {
            false => cell,
            true => Contribution {
                reference: libm::floor(cell.share_reference * rows.0) as u64,
                current: libm::floor(cell.share_current * rows.1) as u64,
                ..cell
            },
        })
        .collect();
    let (rare, mut named): (Vec<_>, Vec<_>) = cells
        .into_iter()
        .partition(|c| c.kind == "value" && c.reference.max(c.current) < min_count);
    if !rare.is_empty() {
        named.push(Contribution {
            label: format!("{} rare values", rare.len()),
            kind: "rare",
            low: None,
            high: None,
            reference: rare.iter().map(|c| c.reference).sum(),
            current: rare.iter().map(|c| c.current).sum(),
            share_reference: sum(rare.iter().map(|c| c.share_reference)),
            share_current: sum(rare.iter().map(|c| c.share_current)),
            contribution: sum(rare.iter().map(|c| c.contribution)),
        });
    }
    Ok(named)
}

/// Cells of the table that hold a row, without shares and contributions; in the order of [`Table::new`].
fn described(pair: &Pair, missing: bool) -> Vec<Contribution> {
    let cell = |label: String, kind, low, high, reference, current| Contribution {
        label,
        kind,
        low,
        high,
        reference,
        current,
        share_reference: 0.0,
        share_current: 0.0,
        contribution: 0.0,
    };
    let special = |kind: &'static str, reference, current| {
        cell(kind.to_owned(), kind, None, None, reference, current)
    };
    let mut cells = match pair {
        Pair::Numeric(p) => {
            let mut cells = coarse(p);
            cells.push(special("-inf", p.reference.neg_inf, p.current.neg_inf));
            cells.push(special("+inf", p.reference.pos_inf, p.current.pos_inf));
            cells
        }
        Pair::Categorical(p) => p
            .cells
            .iter()
            .map(|c| {
                let (label, kind) = match &c.key {
                    CategoryKey::Value(bytes) => {
                        (String::from_utf8_lossy(bytes).into_owned(), "value")
                    }
                    CategoryKey::HashCell(i) => (format!("hash cell {i}"), "hash"),
                    CategoryKey::New => ("new values".into(), "new"),
                };
                cell(label, kind, None, None, c.reference, c.current)
            })
            .collect(),
    };
    if missing {
        let (r, c) = pair.sides();
        cells.push(special("missing", r.missing(), c.missing()));
    }
    cells.retain(|c| c.reference > 0 || c.current > 0);
    cells
}

/// The coarse cells of an ordered column. An end that is no single value is open: its extreme may be the
/// value of one row.
fn coarse(pair: &NumericPair) -> Vec<Contribution> {
    let groups: Vec<_> = pair.cells.chunk_by(|a, b| a.coarse == b.coarse).collect();
    let last = groups.len().saturating_sub(1);
    let add = |x: u64, y: u64| x.saturating_add(y);
    let ends = |i: usize| {
        let group: &[_] = groups[i];
        let (first, end) = (&group[0], &group[group.len() - 1]);
        let single = group.len() == 1 && first.single;
        let low = (i > 0 || single).then_some(first.low);
        let high = (i < last || single).then_some(end.high);
        (low, high)
    };
    (0..groups.len())
        .map(|i| {
            let (low, high) = ends(i);
            let label = match (low, high) {
                (Some(l), Some(h)) if l == h => digits(l),
                (Some(l), Some(h)) => format!("{} to {}", digits(l), digits(h)),
                (None, Some(h)) => format!("up to {}", digits(h)),
                (Some(l), None) => format!("{} and above", digits(l)),
                (None, None) => "all".into(),
            };
            Contribution {
                label,
                kind: "range",
                low,
                high,
                reference: groups[i].iter().map(|c| c.reference).fold(0, add),
                current: groups[i].iter().map(|c| c.current).fold(0, add),
                share_reference: 0.0,
                share_current: 0.0,
                contribution: 0.0,
            }
        })
        .collect()
}

fn digits(x: f64) -> String {
    let rounded = format!("{x:.4e}").parse::<f64>().unwrap_or(x);
    format!("{rounded}")
}

fn table(pair: &Pair, name: &str) -> Result<Vec<Contribution>, NotApplicable> {
    let missing = match name {
        "chi_square" => false,
        "total_variation" => matches!(pair, Pair::Numeric(_)),
        "psi" | "jensen_shannon" | "kullback_leibler" | "hellinger" => true,
        _ => {
            return Err(NotApplicable(format!(
                "{name} is no sum over cells; accepted are {}",
                CONTRIBUTING.join(", ")
            )));
        }
    };
    let table = Table::new(pair, missing)?;
    let mut cells = described(pair, missing);
    let k = table.len() as u64;
    let totals = (
        2 * u128::from(table.n) + u128::from(k),
        2 * u128::from(table.m) + u128::from(k),
    );
    let terms: Vec<f64> = table
        .cells
        .iter()
        .map(|c| {
            let (p, q) = table.shares(c);
            let difference = table.difference(c);
            // Cross products of the counts with their prior, twice.
            let x = (2 * u128::from(c.reference) + 1) * totals.1;
            let y = (2 * u128::from(c.current) + 1) * totals.0;
            let gap = x.abs_diff(y) as f64;
            match name {
                "chi_square" => {
                    let d = difference as f64;
                    let rows = c.reference as f64 + c.current as f64;
                    (d / table.n as f64) * (d / table.m as f64) / rows
                }
                "total_variation" => 0.5 * share(difference, table.n, table.m),
                "psi" => {
                    let shares = gap / (totals.0 as f64 * totals.1 as f64);
                    shares * libm::log1p(gap / x.min(y) as f64)
                }
                "kullback_leibler" => {
                    let relative = if x < y { -1.0 } else { 1.0 } * gap / y as f64;
                    let b = 2.0 * c.current as f64 + 1.0;
                    b / totals.1 as f64 * entropy_term(relative)
                }
                "jensen_shannon" => 0.5 * (p + q) * jensen_term(table.relative_difference(c)),
                _ => {
                    let root =
                        share(difference, table.n, table.m) / (libm::sqrt(p) + libm::sqrt(q));
                    0.5 * root * root
                }
            }
        })
        .collect();
    let root = matches!(name, "jensen_shannon" | "hellinger");
    let scale = if root {
        libm::sqrt(sum(terms.iter().copied()))
    } else {
        1.0
    };
    for ((cell, of), term) in cells.iter_mut().zip(&table.cells).zip(terms) {
        (cell.share_reference, cell.share_current) = table.shares(of);
        cell.contribution = if scale > 0.0 { term / scale } else { 0.0 };
    }
    Ok(cells)
}

fn ks(pair: &Pair) -> Result<Vec<Contribution>, NotApplicable> {
    let steps = Steps::new(pair, true)?;
    let (n, m) = (steps.n, steps.m);
    let mut cells = described(pair, false);
    // -inf comes first in order.
    cells.sort_by_key(|c| c.kind != "-inf");
    let (mut at, mut most) = (0, 0);
    let mut seen = (steps.pair.reference.neg_inf, steps.pair.current.neg_inf);
    let mut take = |position: usize, seen: (u64, u64)| {
        let gap = cross(seen.0, n, seen.1, m);
        if gap > most {
            (at, most) = (position, gap);
        }
    };
    take(0, seen);
    for (i, step) in steps.iter().enumerate() {
        seen = step.right;
        take(i + 1, seen);
    }
    // Counts up to the attained cell, by coarse cell.
    let up_to: Vec<_> = steps.pair.cells[..at.min(steps.pair.cells.len())].to_vec();
    let sign = {
        let below: (u64, u64) = up_to.iter().fold(
            (steps.pair.reference.neg_inf, steps.pair.current.neg_inf),
            |s, c| (s.0 + c.reference, s.1 + c.current),
        );
        steps.gap(below.0, below.1).signum()
    };
    let mut counted = up_to.chunk_by(|a, b| a.coarse == b.coarse);
    for cell in &mut cells {
        cell.share_reference = cell.reference as f64 / n as f64;
        cell.share_current = cell.current as f64 / m as f64;
        let (a, b) = match cell.kind {
            "-inf" => (cell.reference, cell.current),
            "range" => counted.next().map_or((0, 0), |group| {
                let add =
                    |s: (u64, u64), c: &crate::pair::Cell| (s.0 + c.reference, s.1 + c.current);
                group.iter().fold((0, 0), add)
            }),
            _ => (0, 0),
        };
        cell.contribution = sign * steps.gap(a, b);
    }
    Ok(cells)
}

fn wasserstein(pair: &Pair) -> Result<Vec<Contribution>, NotApplicable> {
    let steps = Steps::new(pair, false)?;
    let (n, m) = (steps.n as f64, steps.m as f64);
    let mut cells = coarse(steps.pair);
    let mut areas = vec![0.0; cells.len()];
    let (mut group, mut coarse_of, mut previous) = (0, None, None);
    for step in steps.iter() {
        let cell = step.cell;
        if let Some(end) = previous {
            // The stretch up to a cell belongs to the one before.
            areas[group] += rectangle(end, cell.low, steps.gap(step.left.0, step.left.1).abs());
        }
        if coarse_of.is_some_and(|c| c != cell.coarse) {
            group += 1;
        }
        (coarse_of, previous) = (Some(cell.coarse), Some(cell.high));
        let width = cell.high - cell.low;
        if width > 0.0 {
            // As in the value, what is certain: less the error of the sums within the cell.
            let end = steps.gap(step.right.0, step.right.1);
            let offsets = (cell.offset_reference / n, cell.offset_current / m);
            let slack = cell.offset_error.abs() * (1.0 / n + 1.0 / m)
                + 8.0 * f64::EPSILON * (width * end.abs() + offsets.0.abs() + offsets.1.abs());
            let area = (width * end - (offsets.0 - offsets.1)).abs() - slack;
            areas[group] += if area.is_finite() { area.max(0.0) } else { 0.0 };
        }
    }
    for (cell, area) in cells.iter_mut().zip(areas) {
        cell.share_reference = cell.reference as f64 / n;
        cell.share_current = cell.current as f64 / m;
        cell.contribution = area;
    }
    Ok(cells)
}
