//! Profiles in parts: cut by window, joined again after a scan that was interrupted.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::profile::{Column, GroupKey, KeySet, Metadata, Problem, Profile, States};

type Groups = BTreeMap<GroupKey, States>;

/// Start and end of a window, microseconds since 1970-01-01 UTC.
pub type Window = (i64, i64);

impl Profile {
    /// One profile a window, without a window first.
    ///
    /// Rows of one unit may lie in several windows, so that each part's coverage says which: the window's start
    /// after the unit. The same window of the same unit still cannot be merged twice. Units that could not be
    /// read belong to no window, and to no part.
    pub fn split(&self) -> Vec<(Option<Window>, Profile)> {
        let windows: BTreeSet<Option<Window>> = self.groups.keys().map(|k| k.window).collect();
        let of = |window: Option<Window>| {
            let groups = self.groups.iter().filter(|(k, _)| k.window == window);
            let mut part = Profile {
                columns: self.columns.clone(),
                block: self.block.clone(),
                weight: self.weight.clone(),
                groups: groups.map(|(k, s)| (k.clone(), s.clone())).collect(),
                keys: self.keys.as_ref().map(|keys| KeySet {
                    columns: keys.columns.clone(),
                    groups: keys
                        .groups
                        .iter()
                        .filter(|(k, _)| k.window == window)
                        .map(|(k, keys)| (k.clone(), keys.clone()))
                        .collect(),
                }),
                metadata: self.metadata.clone(),
            };
            let name = window.map_or_else(|| "none".into(), |w| self.time(w.0));
            let covered = self.metadata.coverage.iter();
            part.metadata.coverage = covered.map(|unit| format!("{unit} @ {name}")).collect();
            part.metadata.sources = Vec::new();
            part.metadata.problems.retain(|p| p.kind != "unit");
            part.metadata.times = window
                .iter()
                .flat_map(|w| [w.0, w.1])
                .map(|us| (us, self.time(us)))
                .collect();
            (window, part)
        };
        windows.into_iter().map(of).collect()
    }

    /// Drops the columns that are not in both, as a scan of all rows drops a column that fails in one unit,
    /// and adds the rows of `other`.
    ///
    /// Notes that both make are kept once.
    ///
    /// # Errors
    /// As [`Profile::merge`].
    pub fn join(&mut self, mut other: Profile) -> Result<()> {
        let names = |p: &Profile| -> BTreeSet<String> {
            p.columns.iter().map(|c| c.name.clone()).collect()
        };
        let both: BTreeSet<String> = names(self).intersection(&names(&other)).cloned().collect();
        self.keep_columns(&both);
        other.keep_columns(&both);
        let mut problems = std::mem::take(&mut self.metadata.problems);
        problems.append(&mut other.metadata.problems);
        // Most groups of two stretches of a table are in one of them alone: they move.
        let groups = std::mem::take(&mut other.groups);
        let (moved, shared): (Groups, Groups) = groups
            .into_iter()
            .partition(|(key, _)| !self.groups.contains_key(key));
        other.groups = shared;
        self.merge(&other)?;
        self.groups.extend(moved);
        self.metadata.problems = told_once(problems);
        Ok(())
    }

    /// Some of the states, spread over groups and columns, at most `most` of either; and the share of all that
    /// they are.
    ///
    /// What is measured of them tells of the whole what would be too much to measure.
    pub fn some(&self, most: usize) -> (Profile, f64) {
        let spread = |n: usize| n.div_ceil(most.max(1)).max(1);
        let (by_group, by_column) = (spread(self.groups.len()), spread(self.columns.len()));
        let groups: Groups = self
            .groups
            .iter()
            .step_by(by_group)
            .map(|(key, states)| {
                let states = states.iter().step_by(by_column).cloned().collect();
                (key.clone(), states)
            })
            .collect();
        let columns: Vec<Column> = self.columns.iter().step_by(by_column).cloned().collect();
        let states = groups.len() * columns.len();
        let all = self.groups.len() * self.columns.len();
        let keys = self.keys.as_ref().map(|keys| KeySet {
            columns: keys.columns.clone(),
            groups: keys
                .groups
                .iter()
                .filter(|(key, _)| groups.contains_key(key))
                .map(|(key, keys)| (key.clone(), keys.clone()))
                .collect(),
        });
        let some = Profile {
            columns,
            block: self.block.clone(),
            weight: self.weight.clone(),
            groups,
            keys,
            metadata: Metadata::default(),
        };
        (some, states.max(1) as f64 / all.max(1) as f64)
    }

    /// Takes texts and extremes of columns away ([`crate::column::ColumnState::veil`]).
    pub fn veil(&mut self, names: &BTreeSet<String>) {
        for states in self.groups.values_mut() {
            let named = self.columns.iter().zip(states);
            for (_, state) in named.filter(|(c, _)| names.contains(&c.name)) {
                state.veil();
            }
        }
    }

    /// Drops every column that is not named.
    pub fn keep_columns(&mut self, names: &BTreeSet<String>) {
        let keep: Vec<bool> = self
            .columns
            .iter()
            .map(|c| names.contains(&c.name))
            .collect();
        if keep.iter().all(|k| *k) {
            return;
        }
        let mut flags = keep.iter();
        self.columns.retain(|_| flags.next() == Some(&true));
        for states in self.groups.values_mut() {
            let mut flags = keep.iter();
            states.retain(|_| flags.next() == Some(&true));
        }
    }
}

/// Problems of two scans of one table as one scan tells them: each once, the first of a column that does
/// not convert, the last note on a column; a column that failed has no other type any more.
fn told_once(problems: Vec<Problem>) -> Vec<Problem> {
    let mut units = Vec::new();
    let mut others: BTreeMap<(String, String), Problem> = BTreeMap::new();
    for problem in problems {
        if problem.kind == "unit" {
            if !units.contains(&problem) {
                units.push(problem);
            }
            continue;
        }
        let of = (problem.kind.clone(), problem.name.clone());
        if problem.kind == "schema" || !others.contains_key(&of) {
            others.insert(of, problem);
        }
    }
    let failed: BTreeSet<String> = others
        .values()
        .filter(|p| p.kind == "inexact")
        .map(|p| p.name.clone())
        .collect();
    let mut all: Vec<Problem> = others
        .into_values()
        .filter(|p| !(p.kind == "type" && failed.contains(&p.name)))
        .chain(units)
        .collect();
    all.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    all
}
