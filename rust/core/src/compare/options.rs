//! What a comparison is asked for.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::decide::{FalseAlarms, MinimumN, OverTime};

/// Warning and failing level as written in a configuration.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ToleranceOption {
    /// Warns above this.
    pub warn: f64,
    /// Fails above this.
    pub fail: f64,
}

/// Rules of decision beside tolerances; see [`Policy`](crate::decide::Policy).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decisions {
    /// Fewest rows for a verdict.
    pub minimum_n: MinimumN,
    /// Windows in a row in which a feature has to fail.
    pub consecutive: u32,
    /// Thresholds from the reference's own windows, with these rates.
    pub calibrated: Option<FalseAlarms>,
    /// How errors add up over windows.
    pub over_time: OverTime,
}

impl Default for Decisions {
    fn default() -> Self {
        Decisions {
            minimum_n: MinimumN::default(),
            consecutive: 1,
            calibrated: None,
            over_time: OverTime::Window,
        }
    }
}

/// What [`compare`] is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct CompareOptions {
    /// Level of the multiplicity family.
    pub alpha: f64,
    /// Tolerances by column.
    pub tolerances: BTreeMap<String, ToleranceOption>,
    /// Tolerances by column and statistic, stronger than those by column.
    pub statistic_tolerances: BTreeMap<String, BTreeMap<String, ToleranceOption>>,
    /// Deciding statistic by column.
    pub statistics: BTreeMap<String, String>,
    /// What each group is compared with, as [`Baseline`](super::Baseline) reads it.
    pub baselines: Vec<String>,
    /// Baselines that decide together; the others are context. Empty: see
    /// [`deciding_baselines`](Self::deciding_baselines).
    pub decided_by: Vec<String>,
    /// Rules beside tolerances.
    pub decisions: Decisions,
    /// Limits on any number of the comparison.
    pub checks: Vec<crate::checks::Check>,
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
            statistic_tolerances: BTreeMap::new(),
            decisions: Decisions::default(),
            statistics: BTreeMap::new(),
            baselines: vec!["reference".into()],
            decided_by: Vec::new(),
            checks: Vec::new(),
            model: None,
            model_version: None,
            run_id: None,
            roles: BTreeMap::new(),
        }
    }
}

impl CompareOptions {
    /// The baselines that decide: those that were named, else the reference, else all.
    pub fn deciding_baselines(&self) -> Vec<String> {
        let reference = || self.baselines.iter().filter(|b| *b == "reference");
        if !self.decided_by.is_empty() {
            self.decided_by.clone()
        } else if reference().next().is_some() {
            reference().cloned().collect()
        } else {
            self.baselines.clone()
        }
    }
}
