//! What a comparison is asked for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Baseline, JointRow};
use crate::decide::{FalseAlarms, MinimumN, OverTime};
use crate::profile::GroupKey;
use crate::{Error, Result};

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
    /// Whether segments are compared at all.
    pub segments: bool,
    /// Baselines that segments are compared with beside those that decide.
    pub segment_baselines: Vec<String>,
    /// Instant of the comparison, RFC 3339: how old the newest row is is told as of then.
    pub as_of: Option<String>,
    /// What samples of rows gave.
    pub joint_rows: Vec<JointRow>,
    /// Limits of the joint statistics that decide.
    pub joint_tolerances: BTreeMap<String, ToleranceOption>,
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
    /// Rows of all windows, where the current profile holds some of them.
    pub rows: Option<u64>,
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
            segments: true,
            segment_baselines: Vec::new(),
            as_of: None,
            joint_rows: Vec::new(),
            joint_tolerances: BTreeMap::new(),
            checks: Vec::new(),
            model: None,
            model_version: None,
            run_id: None,
            roles: BTreeMap::new(),
            rows: None,
        }
    }
}

impl CompareOptions {
    /// Whether a group is compared with this baseline: a segment only with those that decide, those that
    /// were asked for, and those that speak of segments alone.
    pub(super) fn compares(&self, name: &str, baseline: &Baseline, group: &GroupKey) -> bool {
        let meant = || {
            matches!(baseline, Baseline::Rest | Baseline::Segment(..))
                || self.segment_baselines.iter().any(|b| b == name)
                || self.deciding_baselines().iter().any(|b| b == name)
        };
        group.segment.is_none() || (self.segments && meant())
    }

    /// Refuses deciding baselines and baselines of segments that are not asked for.
    pub(super) fn check_baselines(&self) -> Result<()> {
        let lists = [
            ("decided_by", &self.decided_by),
            ("segment_baselines", &self.segment_baselines),
        ];
        for (option, names) in lists {
            if let Some(name) = names.iter().find(|name| !self.baselines.contains(name)) {
                return Err(Error::invalid(format!(
                    "{option} {name:?} is no baseline that is asked for; accepted are {}",
                    self.baselines.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Microseconds since 1970 of the instant of the comparison.
    pub(super) fn as_of(&self) -> Result<Option<i64>> {
        let Some(text) = &self.as_of else {
            return Ok(None);
        };
        super::instant(text).map(Some).ok_or_else(|| {
            Error::invalid(format!(
                "as_of {text:?}; an instant such as 2014-01-01T00:00:00Z would be accepted"
            ))
        })
    }

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
