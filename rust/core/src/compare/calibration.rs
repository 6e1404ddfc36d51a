//! Distances of each reference window from the other reference windows.

use std::collections::{BTreeMap, BTreeSet};

use super::baselines::merge;
use super::columns::kind_of;
use super::{CompareOptions, pair_of};
use crate::column::ColumnState;
use crate::decide::{Calibration, CalibrationKey};
use crate::decide::{FalseAlarms, Policy, is_judged};
use crate::profile::{Column, Profile, States};
use crate::statistics::{self, Context, fold};
use crate::{Error, Result};

/// States of the windows of one segment.
type Windows<'a> = BTreeMap<(i64, i64), Vec<&'a States>>;

/// Calibrates every deciding statistic of the reference on its own windows.
///
/// Of `new_category_mass` nothing is calibrated: the dictionary holds the values of the left-out window too.
pub(super) fn calibrate(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
    policy: &Policy,
    rates: FalseAlarms,
) -> Result<Calibration> {
    let mut segments: BTreeMap<_, Windows<'_>> = BTreeMap::new();
    for (key, states) in &reference.groups {
        if let Some(window) = key.window {
            let windows = segments.entry(key.segment.clone()).or_default();
            windows.entry(window).or_default().push(states);
        }
    }
    if segments.is_empty() {
        return Err(Error::invalid(
            "calibrated thresholds rest on the windows of the reference, which has none; profile it with window=",
        ));
    }
    for option in ["window", "time_zone"] {
        let (a, b) = (
            &reference.metadata.options[option],
            &current.metadata.options[option],
        );
        if a != b {
            return Err(Error::invalid(format!(
                "calibrated thresholds need windows of one length and zone; {option} is {a} in the reference and {b} in the current data"
            )));
        }
    }
    let mut distances = BTreeMap::new();
    for (segment, windows) in &segments {
        let merged: Vec<_> = windows.values().map(|s| merge(s)).collect::<Result<_>>()?;
        for (i, column) in reference.columns.iter().enumerate() {
            let role = options
                .roles
                .get(&column.name)
                .or_else(|| reference.metadata.roles.get(&column.name))
                .map(String::as_str);
            if !is_judged(role) {
                continue;
            }
            let states: Vec<&ColumnState> = merged.iter().map(|states| &states[i]).collect();
            let kind = kind_of(column, states[0]);
            let names: BTreeSet<&str> = policy
                .deciding(&column.name, Some(kind))
                .into_iter()
                .filter(|name| *name != "new_category_mass")
                .collect();
            for (name, mut found) in left_out(column, &states, &names)? {
                found.sort_by(f64::total_cmp);
                let key: CalibrationKey = (segment.clone(), column.name.clone(), name.to_owned());
                distances.insert(key, found);
            }
        }
    }
    Ok(Calibration {
        warn: rates.warn,
        fail: rates.fail,
        distances,
    })
}

/// Distances of each state from the merge of the others, by statistic; two merges a state.
fn left_out<'n>(
    column: &Column,
    states: &[&ColumnState],
    names: &BTreeSet<&'n str>,
) -> Result<BTreeMap<&'n str, Vec<f64>>> {
    let mut found: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut after: Vec<Option<ColumnState>> = vec![None; states.len()];
    for i in (1..states.len()).rev() {
        let mut state = states[i].clone();
        if let Some(rest) = &after[i] {
            state.merge(rest)?;
        }
        after[i - 1] = Some(state);
    }
    let mut before: Option<ColumnState> = None;
    for (&state, after) in states.iter().zip(after) {
        let mut rest = before.clone().or_else(|| after.clone());
        if let (Some(rest), true, Some(after)) = (&mut rest, before.is_some(), &after) {
            rest.merge(after)?;
        }
        if let Some(rest) = &rest {
            let pair = pair_of(column, rest, state)?;
            for &name in names {
                let Some(statistic) = statistics::find(name) else {
                    continue;
                };
                if let Ok(outcome) = statistic.evaluate(&pair, &Context::default()) {
                    let distance = fold((outcome.value, outcome.value), statistic.centre).0;
                    if distance.is_finite() {
                        found.entry(name).or_default().push(distance);
                    }
                }
            }
        }
        match &mut before {
            Some(all) => all.merge(state)?,
            none => *none = Some(state.clone()),
        }
    }
    Ok(found)
}
