//! Two profiles in, rows out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use crate::column::{ColumnState, Kind, base_domain, name_of, scaled, value_of};
use crate::decide::{Entry, Policy, Tolerance, decide, is_judged};
use crate::dependence::{Blocked, Layout, Sample};
use crate::kernels::key;
use crate::pair::{CategoricalPair, CategoryCell, CategoryKey, Cell, NumericPair, Pair, Side};
use crate::profile::{Column, GroupKey, Profile, States};
use crate::row::{Row, Verdict};
use crate::states::categories::Categories;
use crate::states::grid::{Domain, Grid, GridCounts};
use crate::statistics::{Context, Kinds, registry};
use crate::value::Logical;
use crate::{Error, Result};

/// Warning and failing level as written in a configuration.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ToleranceOption {
    /// Warns above this.
    pub warn: f64,
    /// Fails above this.
    pub fail: f64,
}

/// What [`compare`] is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct CompareOptions {
    /// Level of the multiplicity family.
    pub alpha: f64,
    /// Tolerances by column.
    pub tolerances: BTreeMap<String, ToleranceOption>,
    /// Deciding statistic by column.
    pub statistics: BTreeMap<String, String>,
    /// `reference`, `previous`.
    pub baselines: Vec<String>,
    /// Name of the model, for the rows.
    pub model: Option<String>,
    /// Version of the model, for the rows.
    pub model_version: Option<String>,
    /// Identity of the run, for the rows.
    pub run_id: Option<String>,
    /// Roles that override those of the reference.
    pub roles: BTreeMap<String, String>,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            tolerances: BTreeMap::new(),
            statistics: BTreeMap::new(),
            baselines: vec!["reference".into()],
            model: None,
            model_version: None,
            run_id: None,
            roles: BTreeMap::new(),
        }
    }
}

/// Counts of one side of a pair.
fn side(state: &ColumnState, logical: Logical) -> Side {
    let c = &state.counts;
    let (mean, variance) = state.mean_variance(logical);
    let (min, max) = c.range.map_or((f64::NAN, f64::NAN), |(a, b)| {
        (value_of(logical, a), value_of(logical, b))
    });
    let exact = state
        .keys()
        .filter(|k| k.is_exact())
        .map(|k| k.cells.len() as f64);
    let (distinct, distinct_error) = exact.map_or_else(|| state.distinct.estimate(), |n| (n, 0.0));
    Side {
        rows: c.rows(),
        nulls: c.nulls,
        nan: c.nan,
        neg_inf: c.neg_inf,
        pos_inf: c.pos_inf,
        finite: c.finite,
        mean,
        variance,
        min,
        max,
        distinct,
        distinct_error,
        overflow: c.below + c.above,
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
        (Some(grid), _) => Layout::Ordered(
            // A nested cell starts one cell behind its edge.
            std::iter::once(0)
                .chain(grid.nested.iter().map(|e| *e as usize + 1))
                .map(|cell| grid.coarse_of(cell))
                .collect(),
        ),
        (None, Some(_)) => Layout::Categories(a.cells().saturating_sub(2)),
        _ => return None,
    };
    (a.iter().len() >= 2 && a.cells() == b.cells()).then(|| {
        let unit = scaled(column.logical, 1.0);
        let (a, b) = (Sample::new(a, unit), Sample::new(b, unit));
        Arc::new(Blocked::new(Arc::clone(label), layout, a, b))
    })
}

/// The two samples of a column on their common partition.
pub fn pair_of(column: &Column, reference: &ColumnState, current: &ColumnState) -> Result<Pair> {
    match column.kind {
        Kind::Numeric => numeric_pair(column.logical, reference, current).map(Pair::Numeric),
        Kind::Categorical => {
            categorical_pair(column.logical, reference, current).map(Pair::Categorical)
        }
    }
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
    let single_precision = base_domain(logical) == Domain::F64
        && current.counts.not_f32 == 0
        && current.counts.finite > 0
        && reference.counts.not_f32 > 0;
    let mut note = None;
    if single_precision {
        note = Some("current values are single precision: compared at that precision".to_owned());
    }
    let (cells, out_of_range) = if keys_a.is_exact() && keys_b.is_exact() {
        let round = |k: u64| {
            if single_precision {
                // A finite value stays one.
                let x = (key::to_f64(k) as f32).clamp(f32::MIN, f32::MAX);
                key::of_f64(f64::from(x))
            } else {
                k
            }
        };
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
    let reference_iqr = match (quantile(0.25), quantile(0.75)) {
        (Some(l), Some(h)) if a.finite > 0 => {
            (f64::midpoint(h.low, h.high) - f64::midpoint(l.low, l.high)).max(0.0)
        }
        _ => 0.0,
    };
    Ok(NumericPair {
        logical,
        reference: a,
        current: b,
        cells,
        reference_iqr,
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
    let mut counts: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (k, n) in a {
        counts.entry(round(*k)).or_default().0 += n;
    }
    for (k, n) in b {
        counts.entry(round(*k)).or_default().1 += n;
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
    let mut cells: Vec<CategoryCell> = ka
        .iter()
        .zip(kb)
        .filter(|(x, y)| x.count > 0 || y.count > 0)
        .map(|(x, y)| CategoryCell {
            key: CategoryKey::Value(if x.count > 0 {
                x.label.clone()
            } else {
                y.label.clone()
            }),
            reference: x.count,
            current: y.count,
        })
        .collect();
    cells.sort_by(|x, y| {
        y.reference
            .cmp(&x.reference)
            .then_with(|| label_of(&x.key).cmp(&label_of(&y.key)))
    });
    // Segments hold few of the dictionary's values; a value the segment's reference lacks is not
    // new to the model, so "new" always means new to the dictionary.
    let (mut certain, mut possible) = (0, 0);
    for (i, (x, y)) in ca.iter().zip(cb).enumerate() {
        possible += y;
        if *x == 0 {
            certain += y;
        } else {
            cells.push(CategoryCell {
                key: CategoryKey::HashCell(i as u32),
                reference: *x,
                current: *y,
            });
        }
    }
    if certain > 0 {
        cells.push(CategoryCell {
            key: CategoryKey::New,
            reference: 0,
            current: certain,
        });
    }
    let mut new_examples: Vec<(Vec<u8>, u64)> = examples
        .iter()
        .filter(|(h, _)| ca[crate::states::categories::cell_of(**h, ca.len())] == 0)
        .map(|(_, c)| (c.label.clone(), c.count))
        .collect();
    new_examples.sort_by(|x, y| y.1.cmp(&x.1).then_with(|| x.0.cmp(&y.0)));
    new_examples.truncate(5);
    Ok(CategoricalPair {
        logical,
        reference: a,
        current: b,
        cells,
        new_rows: (certain, possible),
        new_examples,
        note: None,
        blocked: None,
    })
}

fn label_of(k: &CategoryKey) -> Option<&[u8]> {
    match k {
        CategoryKey::Value(v) => Some(v),
        _ => None,
    }
}

/// The kind of a column in a row.
fn kind_of(column: &Column, reference: &ColumnState) -> &'static str {
    match (column.kind, column.logical) {
        (Kind::Categorical, Logical::Bool) => "bool",
        (Kind::Categorical, _) => "categorical",
        (_, Logical::Date | Logical::Timestamp { .. }) => "datetime",
        (_, Logical::Int | Logical::UInt)
            if reference
                .keys()
                .is_some_and(|k| k.is_exact() && k.cells.len() <= 20) =>
        {
            "ordinal"
        }
        _ => "numeric",
    }
}

/// RFC 3339 of microseconds since 1970 in UTC (civil-from-days, Hinnant).
pub fn rfc3339(us: i64) -> String {
    let (days, rest) = (us.div_euclid(86_400_000_000), us.rem_euclid(86_400_000_000));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (
        doy - (153 * mp + 2) / 5 + 1,
        if mp < 10 { mp + 3 } else { mp - 9 },
    );
    let y = yoe + era * 400 + i64::from(m <= 2);
    let s = rest / 1_000_000;
    format!(
        "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}Z",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

/// Statistics of segments besides a chosen main statistic: those that decide, and the customary one.
const OF_SEGMENTS: [&str; 5] = [
    "ks",
    "total_variation",
    "missing_rate",
    "new_category_mass",
    "psi",
];

/// Compares every group of `current` with its baselines and judges the rows.
///
/// # Errors
/// When the profiles share no grid for a column, or an option is out of range.
pub fn compare(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
) -> Result<Vec<Row>> {
    if !(options.alpha > 0.0 && options.alpha < 1.0) {
        return Err(Error::invalid(format!(
            "alpha is {}; a number between 0 and 1 would be accepted",
            options.alpha
        )));
    }
    for b in &options.baselines {
        if b != "reference" && b != "previous" {
            return Err(Error::invalid(format!(
                "baseline {b:?}; \"reference\" and \"previous\" would be accepted"
            )));
        }
    }
    for (column, name) in &options.statistics {
        if crate::statistics::find(name).is_none() {
            let names: Vec<_> = registry().iter().map(|s| s.name).collect();
            return Err(Error::invalid(format!(
                "statistic {name:?} of column {column:?}; one of {} would be accepted",
                names.join(", ")
            )));
        }
    }
    let total_reference = reference.total()?;
    let mut entries = Vec::new();
    let mut previous: BTreeMap<GroupKey, States> = BTreeMap::new();
    for (group, states) in &current.groups {
        let base = Row {
            run_id: options.run_id.clone(),
            model: options.model.clone(),
            model_version: group
                .model_version
                .clone()
                .or_else(|| options.model_version.clone()),
            window_start: group.window.map(|w| current.time(w.0)),
            window_end: group.window.map(|w| current.time(w.1)),
            segment_by: group.segment.as_ref().map(|s| s.0.clone()),
            segment_value: group.segment.as_ref().map(|s| s.1.clone()),
            ..Row::default()
        };
        let before = previous.insert(
            GroupKey {
                window: None,
                ..group.clone()
            },
            states.clone(),
        );
        for baseline in &options.baselines {
            let base = Row {
                baseline: baseline.clone(),
                ..base.clone()
            };
            let other = match (baseline.as_str(), &group.segment) {
                ("reference", None) => Some(&total_reference),
                ("reference", Some(_)) => {
                    let key = GroupKey {
                        segment: group.segment.clone(),
                        ..GroupKey::default()
                    };
                    reference.groups.get(&key)
                }
                (_, None) => before.as_ref(),
                (_, Some(_)) => continue,
            };
            let Some(other) = other else {
                let message = match baseline.as_str() {
                    "reference" => "this segment is not in the reference",
                    _ => "there is no window before this one",
                };
                if baseline == "reference" {
                    entries.push(Entry::given(Row {
                        feature: "*".into(),
                        statistic: "coverage".into(),
                        definition: "coverage/v1".into(),
                        verdict: Some(Verdict::NotEvaluated),
                        message: Some(message.into()),
                        ..base
                    }));
                }
                continue;
            };
            group_rows(
                reference,
                current,
                other,
                states,
                &base,
                options,
                &mut entries,
            )?;
        }
    }
    let policy = Policy {
        alpha: options.alpha,
        tolerances: options
            .tolerances
            .iter()
            .map(|(k, t)| {
                (
                    k.clone(),
                    Tolerance {
                        warn: t.warn,
                        fail: t.fail,
                    },
                )
            })
            .collect(),
        statistics: options.statistics.clone(),
        ..Policy::default()
    };
    Ok(decide(entries, &policy))
}

fn group_rows(
    reference: &Profile,
    current: &Profile,
    other: &States,
    states: &States,
    base: &Row,
    options: &CompareOptions,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let context = Context {
        alpha: options.alpha,
    };
    let segment = base.segment_by.is_some();
    let label: Option<Arc<str>> = reference.block.as_ref().map(|b| b.label().into());
    let mut volume = false;
    for (i, column) in reference.columns.iter().enumerate() {
        let role = options
            .roles
            .get(&column.name)
            .or_else(|| reference.metadata.roles.get(&column.name))
            .map_or("feature", String::as_str);
        if !is_judged(Some(role)) {
            continue;
        }
        let kind = kind_of(column, &other[i]);
        let base = Row {
            feature: column.name.clone(),
            role: Some(role.into()),
            kind: Some(kind.into()),
            ..base.clone()
        };
        let Some(at) = current.column(&column.name) else {
            if !segment {
                let problem = current
                    .metadata
                    .problems
                    .iter()
                    .find(|p| p.kind == "column" && p.name == column.name);
                let given = Row {
                    statistic: "schema".into(),
                    definition: "schema/v1".into(),
                    decides: true,
                    ..base
                };
                entries.push(Entry::given(match problem {
                    Some(p) => Row {
                        verdict: Some(Verdict::Error),
                        message: Some(p.message.clone()),
                        ..given
                    },
                    None => Row {
                        verdict: Some(Verdict::Fail),
                        message: Some(format!(
                            "column {:?} ({}) is missing from the current data",
                            column.name,
                            name_of(column.logical)
                        )),
                        ..given
                    },
                }));
            }
            continue;
        };
        let mut pair = pair_of(column, &other[i], &states[at])
            .map_err(|e| Error::incompatible(format!("column {:?}: {e}", column.name)))?;
        if let Some(label) = &label {
            let blocked = blocked_of(column, label, &other[i], &states[at]);
            match &mut pair {
                Pair::Numeric(p) => p.blocked = blocked,
                Pair::Categorical(p) => p.blocked = blocked,
            }
        }
        for s in registry() {
            if !s.kinds.accepts(&pair) || (segment && !OF_SEGMENTS.contains(&s.name)) {
                continue;
            }
            if s.name == "volume" {
                if !volume {
                    volume = true;
                    let whole = Row {
                        feature: "*".into(),
                        role: Some("ignore".into()),
                        kind: None,
                        ..base.clone()
                    };
                    entries.push(Entry::compute(s, &pair, &whole, &context));
                }
                continue;
            }
            let entry = Entry::compute(s, &pair, &base, &context);
            // A statistic that has nothing to say here is left out, unless it decides.
            if entry.row.value.is_some() || s.kinds == Kinds::Any || s.default_tolerance.is_some() {
                entries.push(entry);
            }
        }
    }
    if !segment {
        for p in reference
            .metadata
            .problems
            .iter()
            .filter(|p| p.kind == "column")
        {
            entries.push(Entry::given(Row {
                feature: p.name.clone(),
                statistic: "schema".into(),
                definition: "schema/v1".into(),
                message: Some(format!("in the reference: {}", p.message)),
                verdict: Some(Verdict::NotEvaluated),
                role: Some("ignore".into()),
                ..base.clone()
            }));
        }
        for p in current
            .metadata
            .problems
            .iter()
            .filter(|p| p.kind == "schema")
        {
            entries.push(Entry::given(Row {
                feature: p.name.clone(),
                statistic: "schema".into(),
                definition: "schema/v1".into(),
                message: Some(p.message.clone()),
                role: Some("ignore".into()),
                ..base.clone()
            }));
        }
    }
    Ok(())
}

const DRAWN: usize = 20;
/// Categories held by fewer rows are not named in anything rendered.
const MIN_COUNT: u64 = 10;

/// Histograms for reports: at most 20 drawn cells a feature, special cells apart, categories held
/// by fewer than ten rows merged into the others.
///
/// # Errors
/// When the profiles share no grid.
pub fn histograms(reference: &Profile, current: &Profile) -> Result<serde_json::Value> {
    let total = reference.total()?;
    let windows: Vec<_> = current
        .groups
        .iter()
        .filter(|(k, _)| k.segment.is_none())
        .collect();
    let mut features = Vec::new();
    for (i, column) in reference.columns.iter().enumerate() {
        let role = reference
            .metadata
            .roles
            .get(&column.name)
            .map_or("feature", String::as_str);
        let Some(at) = current
            .column(&column.name)
            .filter(|_| is_judged(Some(role)))
        else {
            continue;
        };
        let samples: Vec<&ColumnState> = std::iter::once(&total[i])
            .chain(windows.iter().map(|(_, s)| &s[at]))
            .collect();
        let drawn = match column.kind {
            Kind::Numeric => draw_numeric(column, &samples),
            Kind::Categorical => draw_categories(&samples),
        };
        let Some((mut cells, mut counts)) = drawn else {
            continue;
        };
        type Special = (&'static str, &'static str, fn(&ColumnState) -> u64);
        let special: [Special; 3] = [
            ("missing", "missing", |s| s.counts.nulls + s.counts.nan),
            ("-inf", "neg_inf", |s| s.counts.neg_inf),
            ("+inf", "pos_inf", |s| s.counts.pos_inf),
        ];
        for (label, kind, of) in special {
            if samples.iter().any(|s| of(s) > 0) {
                cells.push(json!({"label": label, "kind": kind, "low": null, "high": null}));
                for (c, s) in counts.iter_mut().zip(&samples) {
                    c.push(of(s));
                }
            }
        }
        let mut counts = counts.into_iter();
        let first = counts.next();
        let windows: Vec<_> = windows
            .iter()
            .zip(counts)
            .map(|((k, _), c)| {
                json!({
                    "window_start": k.window.map(|w| current.time(w.0)),
                    "window_end": k.window.map(|w| current.time(w.1)),
                    "counts": c,
                })
            })
            .collect();
        features.push(json!({
            "feature": column.name,
            "kind": kind_of(column, &total[i]),
            "role": role,
            "cells": cells,
            "reference": first,
            "windows": windows,
        }));
    }
    Ok(json!({ "features": features }))
}

type Drawn = (Vec<serde_json::Value>, Vec<Vec<u64>>);

fn number(x: f64) -> String {
    let digits = format!("{x:.4e}").parse::<f64>().unwrap_or(x);
    format!("{digits}")
}

fn draw_numeric(column: &Column, samples: &[&ColumnState]) -> Option<Drawn> {
    let exact: Option<Vec<_>> = samples
        .iter()
        .map(|s| s.keys().filter(|k| k.is_exact()))
        .collect();
    if let Some(keys) = exact {
        let mut values: Vec<u64> = keys
            .iter()
            .flat_map(|k| k.cells.iter().map(|c| c.0))
            .collect();
        values.sort_unstable();
        values.dedup();
        if values.len() <= DRAWN {
            let cells = values
                .iter()
                .map(|k| {
                    let x = value_of(column.logical, *k);
                    json!({"label": number(x), "kind": "value", "low": x, "high": x})
                })
                .collect();
            let counts = keys
                .iter()
                .map(|k| {
                    let of = |v: &u64| {
                        k.cells
                            .binary_search_by_key(v, |c| c.0)
                            .map_or(0, |i| k.cells[i].1)
                    };
                    values.iter().map(of).collect()
                })
                .collect();
            return Some((cells, counts));
        }
    }
    let grid = samples[0].grid()?.grid();
    let inner: Vec<usize> = grid.nested.iter().map(|i| *i as usize).collect();
    if inner.is_empty() {
        return None;
    }
    // Near-equal masses of the reference: every k-th nested edge, and the two ends.
    let step = inner.len().div_ceil(DRAWN - 1);
    let mut edges: Vec<usize> = inner.iter().copied().step_by(step).collect();
    if edges.last() != inner.last() {
        edges.extend(inner.last());
    }
    let value = |i: usize| scaled(column.logical, grid.domain.value(grid.edges[i]));
    let mut cells = Vec::new();
    for j in 0..=edges.len() {
        let low = (j > 0).then(|| value(edges[j - 1]));
        let high = edges.get(j).map(|e| value(*e));
        let label = match (low, high) {
            (None, Some(h)) => format!("below {}", number(h)),
            (Some(l), Some(h)) => format!("{} to {}", number(l), number(h)),
            (Some(l), None) => format!("{} and above", number(l)),
            (None, None) => "all".into(),
        };
        cells.push(json!({"label": label, "kind": "range", "low": low, "high": high}));
    }
    let counts = samples
        .iter()
        .map(|s| {
            let mut out = vec![0u64; edges.len() + 1];
            if let Some(g) = s.grid() {
                for (cell, n) in g.counts().into_iter().enumerate() {
                    // Cell `c` lies behind edge `c - 1`.
                    out[edges.partition_point(|e| *e < cell)] += n;
                }
            }
            out
        })
        .collect();
    Some((cells, counts))
}

fn draw_categories(samples: &[&ColumnState]) -> Option<Drawn> {
    let framed: Option<Vec<_>> = samples
        .iter()
        .map(|s| match s.categories() {
            Some(Categories::Framed {
                known,
                cells,
                dictionary,
                ..
            }) => Some((known, cells, dictionary)),
            _ => None,
        })
        .collect();
    let framed = framed?;
    let most = |i: usize| framed.iter().map(|(k, ..)| k[i].count).max().unwrap_or(0);
    let mut shown: Vec<usize> = (0..framed[0].0.len())
        .filter(|i| most(*i) >= MIN_COUNT)
        .collect();
    shown.sort_by_key(|i| std::cmp::Reverse(framed[0].0[*i].count));
    shown.truncate(DRAWN);
    let mut cells: Vec<_> = shown
        .iter()
        .map(|i| {
            let label = framed
                .iter()
                .map(|(k, ..)| &k[*i].label)
                .find(|l| !l.is_empty());
            let label = label.map_or_else(|| "(empty)".into(), |l| String::from_utf8_lossy(l));
            json!({"label": label, "kind": "value", "low": null, "high": null})
        })
        .collect();
    cells.push(json!({"label": "other", "kind": "other", "low": null, "high": null}));
    cells.push(json!({"label": "new", "kind": "new", "low": null, "high": null}));
    let reference = framed[0].1;
    let counts = framed
        .iter()
        .map(|(known, hash_cells, _)| {
            let mut out: Vec<u64> = shown.iter().map(|i| known[*i].count).collect();
            let all: u64 = known.iter().map(|k| k.count).sum();
            let new: u64 = hash_cells
                .iter()
                .zip(reference)
                .filter(|(_, r)| **r == 0)
                .map(|(c, _)| c)
                .sum();
            let hashed: u64 = hash_cells.iter().sum();
            out.push(all - out.iter().sum::<u64>() + (hashed - new));
            out.push(new);
            out
        })
        .collect();
    Some((cells, counts))
}
