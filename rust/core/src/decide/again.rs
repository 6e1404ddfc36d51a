//! Verdicts again, from the numbers of the rows alone: what a record claims follows from what it shows.

use std::collections::BTreeMap;

use super::{
    Cut, Family, Judged, OverTime, adjusted, centre, cut, family, feature_verdict, harmonic,
    hold_back, ranked, verdict_between,
};
use crate::checks::Check;
use crate::compare::CompareOptions;
use crate::row::{Row, Verdict};
use crate::statistics::fold;

/// Where a row says something else than what follows from the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// Position of the row.
    pub row: usize,
    /// Column of the row.
    pub field: &'static str,
    /// What the row says.
    pub recorded: String,
    /// What follows.
    pub found: String,
}

/// What was decided again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Again {
    /// Rows whose verdict was decided again from their own numbers, and verdicts of features.
    pub decided: usize,
    /// Deciding rows whose verdict rests on more than their numbers: other types, missing columns, errors,
    /// evidence of earlier windows.
    pub given: usize,
    /// Rows that say something else, in their order.
    pub disagreements: Vec<Disagreement>,
}

/// Decides the rows again under the same rules.
pub fn again(rows: &[Row], options: &CompareOptions) -> Again {
    let mut all = Again::default();
    // Whether all units were read is told beside the features.
    let deciding: Vec<usize> = (0..rows.len())
        .filter(|&i| rows[i].decides && rows[i].statistic != "coverage")
        .collect();
    let mut features: BTreeMap<(Cut, String), Vec<usize>> = BTreeMap::new();
    for &i in &deciding {
        let feature = (cut(&rows[i]), rows[i].feature.clone());
        features.entry(feature).or_default().push(i);
    }
    for members in features.values() {
        for &i in members {
            match one(&rows[i], options) {
                Some(found) if agrees(rows, members, i, found) => all.decided += 1,
                Some(found) => all.differ(i, "verdict", say(rows[i].verdict), say(Some(found))),
                None => all.given += 1,
            }
        }
    }
    qvalues(rows, &deciding, options, &mut all);
    summaries(rows, &features, options, &mut all);
    all.disagreements.sort_by_key(|d| d.row);
    all
}

impl Again {
    fn differ(&mut self, row: usize, field: &'static str, recorded: String, found: String) {
        self.disagreements.push(Disagreement {
            row,
            field,
            recorded,
            found,
        });
    }
}

/// The verdict that follows from a row's own numbers; none where it rests on more.
fn one(row: &Row, options: &CompareOptions) -> Option<Verdict> {
    if row.statistic == "check" {
        let of = |c: &&Check| {
            c.feature == row.feature && row.definition == format!("check/{}/v1", c.statistic)
        };
        let mut found = options.checks.iter().filter(of);
        // Two checks of one number are told apart by their messages alone.
        return match (found.next(), found.next()) {
            (Some(check), None) => Some(check.verdict(row)),
            _ => None,
        };
    }
    if matches!(row.verdict, None | Some(Verdict::Error)) {
        return None;
    }
    let bounds = row.bound_low.zip(row.bound_high);
    if row.threshold_source.as_deref() == Some("calibrated") {
        let (low, high) = fold(bounds?, centre(row));
        return Some(match (row.warn_at, row.fail_at) {
            (None, _) => Verdict::Inconclusive,
            (Some(_), Some(fail)) if low > fail => Verdict::Fail,
            (Some(warn), _) if low > warn => Verdict::Warn,
            (_, Some(fail)) if high > fail => Verdict::Inconclusive,
            _ => Verdict::Ok,
        });
    }
    let limits = row.warn_at.zip(row.fail_at)?;
    let least = options.decisions.minimum_n;
    let short = |n: Option<u64>, least: u64| n.is_some_and(|n| n < least);
    if row.value.is_none_or(f64::is_nan)
        || short(row.n_reference, least.reference)
        || short(row.n_current, least.current)
    {
        return Some(Verdict::NotEvaluated);
    }
    if options.decisions.over_time == OverTime::Sequential && row.baseline == "reference" {
        return None;
    }
    let interval = row.ci_low.zip(row.ci_high).or(bounds)?;
    let (low, high) = fold(interval, centre(row));
    Some(verdict_between(low, high, limits.0, limits.1))
}

/// Whether a row's verdict is the one found. A value that depends on the number of rows never decides alone:
/// its warning or failure is taken back where no other row of the feature raised one.
fn agrees(rows: &[Row], members: &[usize], i: usize, found: Verdict) -> bool {
    let raised = |v: Option<Verdict>| matches!(v, Some(Verdict::Warn | Verdict::Fail));
    let alone = || {
        members
            .iter()
            .all(|&other| other == i || !raised(rows[other].verdict))
    };
    rows[i].verdict == Some(found)
        || (raised(Some(found)) && rows[i].verdict == Some(Verdict::Inconclusive) && alone())
}

/// q-values from p-values, family by family.
fn qvalues(rows: &[Row], deciding: &[usize], options: &CompareOptions, all: &mut Again) {
    let context = options.deciding_baselines();
    let mut families: BTreeMap<(Family, Option<String>, bool), Vec<usize>> = BTreeMap::new();
    for &i in deciding {
        let row = &rows[i];
        let calibrated = row.threshold_source.as_deref() == Some("calibrated");
        let member = calibrated
            || (row.fail_at.is_some()
                && !matches!(row.verdict, None | Some(Verdict::NotEvaluated)));
        // Joint statistics share their level among themselves.
        if !member || row.kind.as_deref() == Some("joint") {
            continue;
        }
        let decides = context.is_empty() || context.contains(&row.baseline);
        let stream = (!decides && !calibrated).then(|| row.baseline.clone());
        let family = (family(row), stream, calibrated);
        families.entry(family).or_default().push(i);
    }
    for members in families.values() {
        let segmented = |&i: &usize| rows[i].segment_by.is_some();
        let mixed = members.iter().any(segmented) && !members.iter().all(segmented);
        let with: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&i| rows[i].pvalue.is_some_and(|p| !p.is_nan()))
            .collect();
        let pvalues: Vec<f64> = with.iter().filter_map(|&i| rows[i].pvalue).collect();
        let dependence = if mixed { harmonic(pvalues.len()) } else { 1.0 };
        for (&i, q) in with.iter().zip(adjusted(&pvalues, dependence)) {
            if rows[i].qvalue != Some(q) {
                all.differ(i, "qvalue", text(rows[i].qvalue), text(Some(q)));
            }
        }
    }
}

/// Verdicts of features, their ranks and the shares that drifted.
fn summaries(
    rows: &[Row],
    features: &BTreeMap<(Cut, String), Vec<usize>>,
    options: &CompareOptions,
    all: &mut Again,
) {
    let mut cuts: BTreeMap<Cut, Vec<Judged>> = BTreeMap::new();
    for ((cut, _), members) in features {
        let of: Vec<&Row> = members.iter().map(|&i| &rows[i]).collect();
        if let Some(judged) = feature_verdict(&of) {
            cuts.entry(cut.clone()).or_default().push(judged);
        }
    }
    hold_back(&mut cuts, options.decisions.consecutive.max(1));
    let mut made: BTreeMap<(Cut, String, String), Row> = BTreeMap::new();
    for (cut, judged) in cuts {
        for row in ranked(judged) {
            let key = (cut.clone(), row.feature.clone(), row.statistic.clone());
            made.insert(key, row);
        }
    }
    for (i, row) in rows.iter().enumerate() {
        if !matches!(row.statistic.as_str(), "verdict" | "share_drifted") {
            continue;
        }
        let key = (cut(row), row.feature.clone(), row.statistic.clone());
        let Some(found) = made.remove(&key) else {
            all.differ(
                i,
                "statistic",
                row.statistic.clone(),
                "no row decides".into(),
            );
            continue;
        };
        all.decided += 1;
        if row.verdict != found.verdict {
            all.differ(i, "verdict", say(row.verdict), say(found.verdict));
        } else if row.value != found.value {
            all.differ(i, "value", text(row.value), text(found.value));
        } else if row.rank != found.rank {
            all.differ(i, "rank", text(row.rank), text(found.rank));
        } else if row.message != found.message {
            let told = |m: &Option<String>| m.clone().unwrap_or_default();
            all.differ(i, "message", told(&row.message), told(&found.message));
        }
    }
    if let Some(((_, feature, statistic), _)) = made.into_iter().next() {
        let missing = format!("{statistic} of {feature:?}");
        all.differ(rows.len(), "statistic", "no such row".into(), missing);
    }
}

fn text(value: Option<impl std::fmt::Debug>) -> String {
    value.map_or_else(|| "none".into(), |x| format!("{x:?}"))
}

fn say(verdict: Option<Verdict>) -> String {
    let text = |v| match v {
        Verdict::Ok => "ok",
        Verdict::NotEvaluated => "not_evaluated",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
        Verdict::Error => "error",
    };
    verdict.map_or("none", text).to_owned()
}
