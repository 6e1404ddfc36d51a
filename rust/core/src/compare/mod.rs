//! Two profiles in, rows out.

use std::collections::BTreeMap;

use crate::decide::{Entry, Policy, Tolerance, decide};
use crate::profile::{GroupKey, Profile, States};
use crate::row::{Row, Verdict};
use crate::statistics::registry;
use crate::{Error, Result};

mod columns;
mod histograms;
mod options;
mod pairs;

use columns::group_rows;
pub use histograms::histograms;
pub use options::{CompareOptions, ToleranceOption};
pub use pairs::pair_of;

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
