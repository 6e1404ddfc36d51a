//! Histograms for reports.

use serde_json::json;

use super::columns::kind_of;
use super::curves;
use crate::Result;
use crate::column::{ColumnState, Kind, scaled, value_of};
use crate::decide::is_judged;
use crate::profile::{Column, Profile};
use crate::states::categories::Categories;
use crate::statistics::MIN_COUNT;

const DRAWN: usize = 20;
/// Histograms for reports: at most 20 drawn cells a feature, special cells apart, categories held
/// by fewer than ten rows merged into the others. Ordered columns with more values than are drawn have
/// a `curve` too, counts in about 50 cells, and all ordered ones `quantiles` of every window.
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
        let numeric = column.kind == Kind::Numeric;
        let ranges = cells.iter().any(|c| c["kind"] == "range");
        let mut curve = ranges.then(|| curves::curve(column, &samples)).flatten();
        let mut counts = counts.into_iter();
        let first = counts.next();
        let mut of_reference = None;
        let windows: Vec<_> = windows
            .iter()
            .zip(counts)
            .enumerate()
            .map(|(w, ((k, s), c))| {
                let mut held = json!({
                    "window_start": k.window.map(|w| current.time(w.0)),
                    "window_end": k.window.map(|w| current.time(w.1)),
                    "counts": c,
                });
                if let Some(curve) = &mut curve {
                    held["curve"] = json!(std::mem::take(&mut curve.counts[w + 1]));
                }
                if numeric {
                    let [r, c] = curves::quantiles(column, &total[i], &s[at]);
                    of_reference = Some(r);
                    held["quantiles"] = json!(c);
                }
                held
            })
            .collect();
        let mut feature = json!({
            "feature": column.name,
            "kind": kind_of(column, &total[i]),
            "role": role,
            "cells": cells,
            "reference": first,
            "windows": windows,
        });
        if let Some(curve) = curve {
            feature["curve"] = json!({
                "edges": curve.edges,
                "points": curve.points,
                "reference": curve.counts[0],
            });
        }
        if let Some(values) = of_reference {
            feature["quantiles"] = json!({"percent": curves::QUANTILES, "reference": values});
        }
        features.push(feature);
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
    // Rows, not their weights, decide what may be named.
    let rows_of = |s: &&ColumnState, i: usize| match s.weighed().map(|w| &w.categories) {
        Some(Some(Categories::Framed { known, .. })) => known[i].count,
        _ => match s.categories() {
            Some(Categories::Framed { known, .. }) => known[i].count,
            _ => 0,
        },
    };
    let most = |i: usize| samples.iter().map(|s| rows_of(s, i)).max().unwrap_or(0);
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
