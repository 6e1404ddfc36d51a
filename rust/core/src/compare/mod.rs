//! Two profiles in, rows out.

use std::collections::{BTreeMap, BTreeSet};

use crate::column::Kind;
use crate::decide::{Entry, OverTime, Policy, Tolerance, decide, is_judged};
use crate::profile::Profile;
use crate::row::{Row, Verdict};
use crate::statistics::registry;
use crate::{Error, Result};

mod baselines;
mod calibration;
mod columns;
mod contributions;
mod curves;
mod furthest;
mod histograms;
mod joint;
mod options;
mod pairs;
mod quality;

pub use baselines::Baseline;
use baselines::{Baselines, Found};
use calibration::calibrate;
use columns::{Compared, group_rows};
pub use contributions::{ContributionRow, Place, contributions};
pub use histograms::histograms;
pub use joint::JointRow;
pub use options::{CompareOptions, Decisions, ToleranceOption};
pub use pairs::{blocked_pair_of, pair_of, pair_of_samples};
pub use quality::{Described, of_sets};

/// Compares every group of `current` with its baselines and judges the rows.
///
/// # Errors
/// When the profiles share no grid for a column, or an option is out of range.
pub fn compare(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
) -> Result<Vec<Row>> {
    compare_with(reference, current, options, Vec::new())
}

/// [`compare`], with entries made elsewhere that checks and tolerances judge too.
///
/// # Errors
/// As [`compare`].
pub fn compare_with(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
    others: Vec<Entry>,
) -> Result<Vec<Row>> {
    if !(options.alpha > 0.0 && options.alpha < 1.0) {
        return Err(Error::invalid(format!(
            "alpha is {}; a number between 0 and 1 would be accepted",
            options.alpha
        )));
    }
    check_statistics(reference, current, options)?;
    options
        .checks
        .iter()
        .try_for_each(crate::checks::Check::validate)?;
    let named = options.baselines.iter();
    let named = named.map(|name| Ok((name.as_str(), name.parse()?)));
    let asked: Vec<(&str, Baseline)> = named.collect::<Result<_>>()?;
    let mut baselines = Baselines::new(reference, current)?;
    for (name, baseline) in &asked {
        baselines.check(name, baseline)?;
    }
    options.check_baselines()?;
    let as_of = options.as_of()?;
    check_decisions(options)?;
    let keeps = asked.iter().any(|b| b.1 == Baseline::Expanding);
    let mut entries = Vec::new();
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
            as_of: as_of.map(rfc3339),
            ..Row::default()
        };
        for (name, baseline) in &asked {
            if !options.compares(name, baseline, group) {
                continue;
            }
            let base = Row {
                baseline: (*name).into(),
                ..base.clone()
            };
            match baselines.find(baseline, group)? {
                Found::NotMeant => {}
                Found::Nothing(why) => entries.push(Entry::given(Row {
                    feature: "*".into(),
                    statistic: "coverage".into(),
                    definition: "coverage/v1".into(),
                    verdict: Some(Verdict::NotEvaluated),
                    message: Some(why),
                    ..base
                })),
                Found::States(other) => {
                    let compared = Compared {
                        reference,
                        current,
                        other: &other,
                        owner: match baseline {
                            Baseline::Reference => reference,
                            _ => current,
                        },
                        states,
                        group,
                        options,
                    };
                    group_rows(compared, &base, &mut entries)?;
                }
            }
        }
        if keeps {
            baselines.done(group, states)?;
        }
    }
    let unwindowed = Row {
        run_id: options.run_id.clone(),
        model: options.model.clone(),
        model_version: options.model_version.clone(),
        baseline: main_baseline(options),
        as_of: as_of.map(rfc3339),
        ..Row::default()
    };
    quality::empty_windows(reference, current, options, &unwindowed, &mut entries);
    quality::timeless_rows(reference, current, options, &unwindowed, &mut entries);
    entries.extend(others);
    joint::joint_rows(options, &mut entries)?;
    crate::checks::apply(&options.checks, &main_baseline(options), &mut entries);
    let statistic_tolerances = statistic_tolerances(options)?;
    let mut policy = Policy {
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
        statistic_tolerances,
        decided_by: options.deciding_baselines(),
        minimum_n: options.decisions.minimum_n,
        consecutive: options.decisions.consecutive.max(1),
        over_time: options.decisions.over_time,
        hypotheses: hypotheses(reference, options),
        calibration: None,
    };
    if let Some(rates) = options.decisions.calibrated {
        policy.calibration = Some(calibrate(reference, current, options, &policy, rates)?);
    }
    Ok(decide(entries, &policy))
}

/// Refuses rules out of range, or that do not go together.
fn check_decisions(options: &CompareOptions) -> Result<()> {
    let decisions = &options.decisions;
    let against_reference = options
        .deciding_baselines()
        .iter()
        .any(|b| b == "reference");
    if let Some(rates) = decisions.calibrated {
        let (warn, fail) = (rates.warn, rates.fail);
        if !(fail > 0.0 && fail <= warn && warn < 1.0) {
            return Err(Error::invalid(format!(
                "calibrated rates warn = {warn} and fail = {fail}; accepted are 0 < fail <= warn < 1"
            )));
        }
        if decisions.over_time != OverTime::Window {
            return Err(Error::invalid(
                "calibrated thresholds hold in each window; over_time = \"window\" would be accepted",
            ));
        }
    }
    let needs = [
        ("calibrated", decisions.calibrated.is_some()),
        (
            "over_time = \"sequential\"",
            decisions.over_time == OverTime::Sequential,
        ),
    ];
    match needs
        .into_iter()
        .find(|(_, asked)| *asked && !against_reference)
    {
        Some((name, _)) => Err(Error::invalid(format!(
            "{name} is told from the reference; accepted with \"reference\" among the deciding baselines"
        ))),
        None => Ok(()),
    }
}

/// Refuses a deciding statistic that does not exist, or does not apply to its column: the column would pass
/// by what is left.
fn check_statistics(
    reference: &Profile,
    current: &Profile,
    options: &CompareOptions,
) -> Result<()> {
    // A column that could not be read is told of as such.
    let known: BTreeSet<&str> = [reference, current]
        .iter()
        .flat_map(|p| {
            let columns = p.columns.iter().map(|c| c.name.as_str());
            columns.chain(p.metadata.problems.iter().map(|p| p.name.as_str()))
        })
        .collect();
    let named = [
        ("statistic", options.statistics.keys().collect::<Vec<_>>()),
        ("tolerance", options.tolerances.keys().collect()),
        ("tolerance", options.statistic_tolerances.keys().collect()),
    ];
    for (what, columns) in named {
        if let Some(unknown) = columns.into_iter().find(|c| !known.contains(c.as_str())) {
            let names: Vec<&str> = reference.columns.iter().map(|c| c.name.as_str()).collect();
            return Err(Error::invalid(format!(
                "{what} of column {unknown:?}, which neither side has; the reference has {}",
                names.join(", ")
            )));
        }
    }
    for (column, name) in &options.statistics {
        let applying = |kind: Option<Kind>| -> Vec<&str> {
            let all = registry().iter().filter(|s| match kind {
                Some(kind) => s.kinds.includes(kind),
                None => true,
            });
            all.map(|s| s.name).collect()
        };
        let refuse = |what: &str, names: Vec<&str>| {
            Err(Error::invalid(format!(
                "statistic {name:?} of column {column:?}{what}; one of {} would be accepted",
                names.join(", ")
            )))
        };
        let Some(statistic) = crate::statistics::find(name) else {
            return refuse("", applying(None));
        };
        let kind = reference
            .column(column)
            .map(|at| reference.columns[at].kind);
        if kind.is_some_and(|kind| !statistic.kinds.includes(kind)) {
            let what = format!(", which is {}", kind.map_or("", Kind::as_str));
            return refuse(&what, applying(kind));
        }
    }
    Ok(())
}

/// Tolerances by column and statistic.
fn statistic_tolerances(options: &CompareOptions) -> Result<BTreeMap<(String, String), Tolerance>> {
    let mut found = BTreeMap::new();
    for (column, limits) in &options.statistic_tolerances {
        let chosen = options.statistics.get(column).map(String::as_str);
        let main = chosen.map_or(vec!["ks", "total_variation"], |name| vec![name]);
        for (name, limit) in limits {
            let decides = [&main[..], &["missing_rate", "new_category_mass"]].concat();
            let metric = name.strip_suffix(crate::performance::WORSENING);
            let metric = metric.and_then(crate::metrics::find);
            if !decides.contains(&name.as_str()) && metric.is_none() {
                return Err(Error::invalid(format!(
                    "tolerance of {name:?} of column {column:?}, which does not decide; accepted are {}, and of a \
                     score the worsening of a metric, such as \"roc_auc_worsening\"",
                    decides.join(", ")
                )));
            }
            let tolerance = Tolerance {
                warn: limit.warn,
                fail: limit.fail,
            };
            found.insert((column.clone(), name.clone()), tolerance);
        }
    }
    Ok(found)
}

/// Rows of one window that can decide against the reference: known before any window is seen.
fn hypotheses(reference: &Profile, options: &CompareOptions) -> usize {
    let cuts: BTreeSet<_> = reference.groups.keys().map(|k| &k.segment).collect();
    let judged = reference.columns.iter().filter(|c| {
        let role = options
            .roles
            .get(&c.name)
            .or_else(|| reference.metadata.roles.get(&c.name));
        is_judged(role.map(String::as_str))
    });
    let rows = judged.map(|c| match c.kind {
        Kind::Numeric => 2,
        Kind::Categorical => 3,
    });
    rows.sum::<usize>() * cuts.len().max(1)
}

/// The baseline that carries what does not depend on a baseline, and the checks.
fn main_baseline(options: &CompareOptions) -> String {
    let deciding = options.deciding_baselines();
    deciding.into_iter().next().unwrap_or_default()
}

/// RFC 3339 of microseconds since 1970 in UTC.
pub fn rfc3339(us: i64) -> String {
    let (at, rest) = (us.div_euclid(86_400_000_000), us.rem_euclid(86_400_000_000));
    let (y, m, d) = civil(at);
    let s = rest / 1_000_000;
    format!(
        "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}Z",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

/// Year, month and day of days since 1970-01-01 (Hinnant's civil-from-days).
fn civil(days: i64) -> (i64, i64, i64) {
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
    (yoe + era * 400 + i64::from(m <= 2), m, d)
}

/// Days since 1970-01-01 of year, month and day (Hinnant's days-from-civil).
fn days(y: i64, m: i64, d: i64) -> i64 {
    let y = y - i64::from(m <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Microseconds by which the clock of an RFC 3339 time is ahead of UTC.
fn offset(time: &str) -> Option<i64> {
    let zone = time.get(time.len().checked_sub(6)?..)?;
    let sign = match zone.as_bytes() {
        [.., b'Z'] => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let (hours, minutes) = (
        zone.get(1..3)?.parse::<i64>(),
        zone.get(4..6)?.parse::<i64>(),
    );
    Some(sign * (hours.ok()? * 60 + minutes.ok()?) * 60_000_000)
}

/// Microseconds since 1970 of an RFC 3339 time of whole seconds.
pub fn instant(time: &str) -> Option<i64> {
    let number = |at: std::ops::Range<usize>| time.get(at)?.parse::<i64>().ok();
    let day = days(number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    Some((day * 86_400 + seconds) * 1_000_000 - offset(time)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for us in [
            -62_135_596_800_000_000,
            -1_000_000,
            0,
            951_782_400_000_000,
            4_102_444_799_000_000,
        ] {
            assert_eq!(instant(&rfc3339(us)), Some(us));
        }
        assert_eq!(
            instant("2013-03-10T00:00:00-05:00"),
            instant("2013-03-10T05:00:00Z")
        );
        assert_eq!(offset("2013-03-10T00:00:00+05:30"), Some(19_800_000_000));
        assert_eq!(instant("2013"), None);
    }
}
