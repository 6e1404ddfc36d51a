//! Contributions of cells, for every group and baseline.

use serde::{Deserialize, Serialize};

use super::baselines::{Baseline, Baselines, Found};
use super::columns::kind_of;
use super::{CompareOptions, pair_of};
use crate::decide::Policy;
use crate::profile::{GroupKey, Profile};
use crate::statistics::{self, Context};
use crate::{Error, Result};

/// What one cell adds to a statistic of one group against one baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContributionRow {
    /// Version of the model.
    pub model_version: Option<String>,
    /// Start of the window, RFC 3339.
    pub window_start: Option<String>,
    /// End of the window (exclusive), RFC 3339.
    pub window_end: Option<String>,
    /// What the current sample is compared with.
    pub baseline: String,
    /// Columns of the cut.
    pub segment_by: Option<String>,
    /// Segment of the cut.
    pub segment_value: Option<String>,
    /// Column.
    pub feature: String,
    /// Name of the statistic.
    pub statistic: String,
    /// Versioned definition of the statistic.
    pub definition: String,
    /// Value of the statistic, which the contributions add up to.
    pub value: f64,
    /// Position of the cell, 1 first.
    pub cell: u64,
    /// What the cell holds.
    pub label: String,
    /// Kind of the cell.
    pub kind: String,
    /// Lower end of a range; none where it is open.
    pub low: Option<f64>,
    /// Upper end of a range; none where it is open.
    pub high: Option<f64>,
    /// Reference rows in the cell.
    pub n_reference: u64,
    /// Current rows in the cell.
    pub n_current: u64,
    /// Share of the reference rows.
    pub share_reference: f64,
    /// Share of the current rows.
    pub share_current: f64,
    /// What the cell adds to the value.
    pub contribution: f64,
}

/// A window, as rows tell it; both none for rows without one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Beginning, as RFC 3339.
    pub window_start: Option<String>,
    /// End, as RFC 3339.
    pub window_end: Option<String>,
}

/// The contributions to one statistic of one column (default: the main one), in every group, against
/// every baseline of the options, or in the groups of one window. Groups without a baseline or a value have no
/// rows.
///
/// # Errors
/// When the column is in neither profile, or the statistic is no sum over cells.
pub fn contributions(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
    feature: &str,
    statistic: Option<&str>,
    min_count: u64,
    window: Option<&Place>,
) -> Result<Vec<ContributionRow>> {
    let (Some(i), Some(at)) = (reference.column(feature), current.column(feature)) else {
        let names: Vec<_> = reference.columns.iter().map(|c| c.name.as_str()).collect();
        return Err(Error::invalid(format!(
            "column {feature:?}; accepted are columns of both profiles, of {}",
            names.join(", ")
        )));
    };
    // The other columns are left where they are: a report asks for column after column.
    let (reference, current) = (&reference.only(i), &current.only(at));
    let column = &reference.columns[0];
    let policy = Policy {
        statistics: options.statistics.clone(),
        ..Policy::default()
    };
    let kind = kind_of(column, &reference.total()?[0]);
    let name = statistic.unwrap_or_else(|| policy.main_statistic(feature, Some(kind)));
    let known = statistics::find(name).filter(|s| statistics::CONTRIBUTING.contains(&s.name));
    let Some(statistic) = known else {
        return Err(Error::invalid(format!(
            "{name:?} is no sum over cells; accepted are {}",
            statistics::CONTRIBUTING.join(", ")
        )));
    };
    let mut baselines = Baselines::new(reference, current)?;
    let mut rows = Vec::new();
    let mut asked: Vec<(&String, Baseline)> = Vec::new();
    for name in &options.baselines {
        let baseline = name.parse()?;
        baselines.check(name, &baseline)?;
        asked.push((name, baseline));
    }
    let keeps = asked.iter().any(|b| b.1 == Baseline::Expanding);
    let context = Context {
        alpha: options.alpha,
    };
    let told = |group: &GroupKey| {
        let [start, end] = match group.window {
            Some(w) => [Some(current.time(w.0)), Some(current.time(w.1))],
            None => [None, None],
        };
        window.is_none_or(|at| (&at.window_start, &at.window_end) == (&start, &end))
    };
    for (group, states) in &current.groups {
        for (name, baseline) in asked.iter().filter(|_| told(group)) {
            if !options.compares(name, baseline, group) {
                continue;
            }
            let Found::States(other) = baselines.find(baseline, group)? else {
                continue;
            };
            let pair = pair_of(column, &other[0], &states[0])?;
            if !statistic.kinds.accepts(&pair) {
                return Err(Error::invalid(format!(
                    "{} of column {feature:?}; accepted are statistics of {kind} columns",
                    statistic.name
                )));
            }
            let Ok(outcome) = statistic.evaluate(&pair, &context) else {
                continue;
            };
            let cells = statistics::contributions(&pair, statistic.name, min_count);
            let cells = cells.map_err(|e| Error::invalid(e.to_string()))?;
            rows.extend(
                cells
                    .into_iter()
                    .enumerate()
                    .map(|(place, c)| ContributionRow {
                        model_version: group.model_version.clone(),
                        window_start: group.window.map(|w| current.time(w.0)),
                        window_end: group.window.map(|w| current.time(w.1)),
                        baseline: (*name).clone(),
                        segment_by: group.segment.as_ref().map(|s| s.0.clone()),
                        segment_value: group.segment.as_ref().map(|s| s.1.clone()),
                        feature: feature.into(),
                        statistic: statistic.name.into(),
                        definition: statistic.definition.into(),
                        value: outcome.value,
                        cell: place as u64 + 1,
                        label: c.label,
                        kind: c.kind.into(),
                        low: c.low,
                        high: c.high,
                        n_reference: c.reference,
                        n_current: c.current,
                        share_reference: c.share_reference,
                        share_current: c.share_current,
                        contribution: c.contribution,
                    }),
            );
        }
        if keeps {
            baselines.done(group, states)?;
        }
    }
    Ok(rows)
}
