//! Rows of performance: metrics of each window and segment, and their change against the reference.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Group, Performance};
use crate::compare::CompareOptions;
use crate::decide::Entry;
use crate::metrics::{
    self, Answer, Average, Context, GroupAnswer, Metric, change, evaluate_blocks, evaluate_fairness,
};
use crate::profile::{GroupKey, Profile};
use crate::row::{Exactness, Row};
use crate::statistics::NotApplicable;
use crate::{Error, Result};

/// Kind of the rows of performance.
pub const KIND: &str = "performance";
/// End of the name of a change for the worse, which tolerances judge.
pub const WORSENING: &str = "_worsening";

/// A metric of a group.
struct Measured {
    metric: &'static Metric,
    definition: String,
    answer: Answer,
    /// Of blocks, own or those of the reference.
    design_effect: Option<f64>,
    variance: String,
}

/// Rows of `current` beside `reference`, and what a record keeps beside them.
///
/// # Errors
/// States of other plans, or a metric without a better side that has a tolerance.
pub fn rows(
    profiles: (&Profile, &Profile),
    reference: Option<&Performance>,
    current: &Performance,
    options: &CompareOptions,
) -> Result<(Vec<Entry>, Value)> {
    let digest = current.digest()?;
    let current = &*current.beside(reference)?;
    let context = Context {
        alpha: options.alpha,
        average: match current.measure.task.as_str() {
            "multiclass" => Average::Macro,
            _ => Average::Binary,
        },
        ..Context::default()
    };
    let feature = current.measure.predicted()?.to_owned();
    let tolerances = options.statistic_tolerances.get(&feature);
    for name in tolerances.iter().flat_map(|t| t.keys()) {
        if let Some(metric) = name.strip_suffix(WORSENING).and_then(metrics::find)
            && metric.higher_is_better.is_none()
        {
            return Err(Error::invalid(format!(
                "tolerance of {name:?}: {} has no better side; a check with min and max would be accepted",
                metric.name
            )));
        }
    }
    // The reference as a whole, by segment.
    let mut totals: BTreeMap<Option<(String, String)>, Group> = BTreeMap::new();
    for (key, group) in reference.iter().flat_map(|r| &r.groups) {
        match totals.entry(key.segment.clone()) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(group.clone());
            }
            std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut().merge(group)?,
        }
    }
    let mut before: BTreeMap<Option<(String, String)>, Vec<Measured>> = BTreeMap::new();
    if let Some(reference) = reference {
        for (segment, group) in &totals {
            before.insert(segment.clone(), measured(reference, group, None, &context)?);
        }
    }
    let against_reference = options.baselines.iter().any(|b| b == "reference");
    let against_previous = options.baselines.iter().any(|b| b == "previous");
    // The last window of each model version, of all rows: groups come in the order of time.
    let mut earlier: BTreeMap<Option<String>, Vec<Measured>> = BTreeMap::new();
    let role = match current.measure.score {
        Some(_) => "score",
        None => "prediction",
    };
    let deciding = options.deciding_baselines();
    let mut entries = Vec::new();
    let mut reliability = Vec::new();
    if let (Some(reference), Some(group)) = (reference, totals.get(&None)) {
        reliability.extend(bins(reference, group, &context)?.map(|found| {
            json!({"side": "reference", "window_start": null, "window_end": null, "bins": found})
        }));
    }
    for (key, group) in &current.groups {
        let base = Row {
            run_id: options.run_id.clone(),
            model: options.model.clone(),
            model_version: key
                .model_version
                .clone()
                .or_else(|| options.model_version.clone()),
            window_start: key.window.map(|w| profiles.1.time(w.0)),
            window_end: key.window.map(|w| profiles.1.time(w.1)),
            baseline: deciding.first().cloned().unwrap_or_default(),
            segment_by: key.segment.as_ref().map(|s| s.0.clone()),
            segment_value: key.segment.as_ref().map(|s| s.1.clone()),
            role: Some(role.into()),
            feature: feature.clone(),
            kind: Some(KIND.into()),
            ..Row::default()
        };
        entries.push(coverage(current, group, &base));
        let of_reference = before.get(&key.segment);
        let found = measured(current, group, of_reference.map(Vec::as_slice), &context)?;
        for (i, now) in found.iter().enumerate() {
            entries.push(entry(
                now.metric.name,
                &now.definition,
                now.metric.unit,
                &now.answer,
                &now.variance,
                &base,
            ));
            if !against_reference {
                continue;
            }
            let then = of_reference.and_then(|r| r.get(i));
            let base = Row {
                baseline: "reference".into(),
                ..base.clone()
            };
            if reference.is_some() {
                entries.push(changed(then, now, false, &context, &base));
            }
            let name = format!("{}{WORSENING}", now.metric.name);
            if tolerances.is_some_and(|t| t.contains_key(&name)) {
                entries.push(changed(then, now, true, &context, &base));
            }
        }
        if against_previous && key.segment.is_none() && key.window.is_some() {
            let base = Row {
                baseline: "previous".into(),
                ..base.clone()
            };
            if let Some(then) = earlier.get(&key.model_version) {
                for (then, now) in then.iter().zip(&found) {
                    entries.push(changed(Some(then), now, false, &context, &base));
                }
            }
            earlier.insert(key.model_version.clone(), found);
        }
        if key.segment.is_none() {
            let then = reference.zip(totals.get(&None));
            entries.extend(fairness(current, then, group, &base, &context)?);
            reliability.extend(bins(current, group, &context)?.map(|found| {
                json!({
                    "side": "current", "window_start": base.window_start, "window_end": base.window_end,
                    "bins": found,
                })
            }));
        }
    }
    let told = |measured: &Measured, segment: &Option<(String, String)>| {
        let outcome = measured.answer.outcome.as_ref();
        let value = |x: Option<f64>| x.filter(|x| x.is_finite());
        json!({
            "segment_by": segment.as_ref().map(|s| &s.0),
            "segment_value": segment.as_ref().map(|s| &s.1),
            "statistic": measured.metric.name,
            "definition": measured.definition,
            "value": value(outcome.ok().map(|o| o.value)),
            "ci_low": value(outcome.ok().and_then(|o| o.ci).map(|c| c.0)),
            "ci_high": value(outcome.ok().and_then(|o| o.ci).map(|c| c.1)),
            "n": outcome.ok().map(|o| o.rows.1),
            "variance": measured.variance,
            "message": match outcome { Ok(o) => o.message.clone(), Err(e) => Some(e.0.clone()) },
        })
    };
    let of_reference: Vec<Value> = before
        .iter()
        .flat_map(|(segment, all)| all.iter().map(move |m| told(m, segment)))
        .collect();
    let details = json!({
        "measure": current.measure,
        "block": current.block,
        "digests": {
            "reference": reference.map(Performance::digest).transpose()?,
            "current": digest,
        },
        "coverage": counts(reference, &totals, current, profiles.1),
        "reference": of_reference,
        "reliability": reliability,
    });
    Ok((entries, details))
}

/// Rows with and without a label of the whole of each side and window.
fn counts(
    reference: Option<&Performance>,
    totals: &BTreeMap<Option<(String, String)>, Group>,
    current: &Performance,
    profile: &Profile,
) -> Vec<Value> {
    let told = |side: &str, key: &GroupKey, group: &Group| {
        let c = group.whole.coverage();
        json!({
            "side": side,
            "window_start": key.window.map(|w| profile.time(w.0)),
            "window_end": key.window.map(|w| profile.time(w.1)),
            "model_version": key.model_version,
            "rows": c.rows,
            "unlabelled": c.unlabelled,
            "unpredicted": c.unpredicted,
            "used": c.used,
        })
    };
    let whole = totals.get(&None).filter(|_| reference.is_some());
    let first = whole.map(|g| told("reference", &GroupKey::default(), g));
    let windows = current.groups.iter().filter(|(k, _)| k.segment.is_none());
    first
        .into_iter()
        .chain(windows.map(|(k, g)| told("current", k, g)))
        .collect()
}

/// Every metric of a group, with the variance of its blocks, else the design effects of the reference.
fn measured(
    of: &Performance,
    group: &Group,
    reference: Option<&[Measured]>,
    context: &Context,
) -> Result<Vec<Measured>> {
    let metrics = of.measure.metrics()?;
    let label = of.block.as_deref().unwrap_or("iid");
    if let (n, Some(first)) = &group.strange {
        let reason = format!(
            "{n} rows have a label that is none of the classes, such as {first}; rows of the classes alone \
             would be accepted"
        );
        return Ok(metrics
            .into_iter()
            .map(|metric| Measured {
                definition: metric.definition(&group.whole, context),
                answer: nothing(NotApplicable(reason.clone())),
                metric,
                design_effect: None,
                variance: "iid".into(),
            })
            .collect());
    }
    let blocks: Vec<_> = group.blocks.values().cloned().collect();
    let blocked = match blocks.is_empty() {
        true => None,
        false => evaluate_blocks(&metrics, &group.whole, &blocks, context).ok(),
    };
    let mut out = Vec::with_capacity(metrics.len());
    for (i, metric) in metrics.into_iter().enumerate() {
        let definition = metric.definition(&group.whole, context);
        let own = blocked.as_ref().and_then(|all| all.get(i));
        let (answer, design_effect, variance) = match own {
            Some(Ok(parts)) => {
                let at = headline(parts.iter().map(|b| &b.answer));
                match parts.get(at) {
                    Some(b) => (b.answer.clone(), Some(b.design_effect), label.to_owned()),
                    None => (
                        nothing(NotApplicable("no number".into())),
                        None,
                        "iid".into(),
                    ),
                }
            }
            Some(Err(reason)) => (nothing(reason.clone()), None, label.to_owned()),
            None => {
                // Too few blocks for a variance of their own: the reference's design effect stands in.
                let of_reference = reference.and_then(|r| r.get(i)?.design_effect);
                let effect = of_reference.filter(|_| !blocks.is_empty());
                let context = Context {
                    design_effect: effect.unwrap_or(1.0),
                    ..context.clone()
                };
                let variance = match effect {
                    Some(_) => format!("{label} of the reference"),
                    None => "iid".into(),
                };
                match metric.evaluate(&group.whole, &context) {
                    Ok(mut parts) => {
                        let at = headline(parts.iter());
                        match at < parts.len() {
                            true => (parts.swap_remove(at), effect, variance),
                            false => (nothing(NotApplicable("no number".into())), None, variance),
                        }
                    }
                    Err(reason) => (nothing(reason), None, variance),
                }
            }
        };
        out.push(Measured {
            metric,
            definition,
            answer,
            design_effect,
            variance,
        });
    }
    Ok(out)
}

/// Which part of a table stands for all rows.
fn headline<'a>(mut parts: impl Iterator<Item = &'a Answer>) -> usize {
    parts
        .position(|a| a.part.as_deref() == Some("all"))
        .unwrap_or(0)
}

fn nothing(reason: NotApplicable) -> Answer {
    Answer {
        part: None,
        outcome: Err(reason),
        effective: 0.0,
        interval: None,
    }
}

/// The share of rows with a label.
fn coverage(of: &Performance, group: &Group, base: &Row) -> Entry {
    let c = group.whole.coverage();
    let share = c.label_coverage();
    let missing = c.unlabelled;
    let message = match missing {
        0 => "every row has a label".into(),
        n if n == c.rows => format!("none of {n} rows has a label"),
        n => format!("{n} of {} rows have no label", c.rows),
    };
    let value = Some(share).filter(|x| !x.is_nan());
    Entry::given(Row {
        feature: of.measure.label.clone(),
        role: Some("label".into()),
        statistic: "label_coverage".into(),
        definition: "label_coverage/v1".into(),
        value,
        unit: Some("share".into()),
        bound_low: value,
        bound_high: value,
        exactness: Some(Exactness::Exact),
        n_current: Some(c.rows),
        message: Some(message),
        ..base.clone()
    })
}

/// The row of an answer; one without a number says why.
fn entry(
    statistic: &str,
    definition: &str,
    unit: &str,
    answer: &Answer,
    variance: &str,
    base: &Row,
) -> Entry {
    let mut row = Row {
        statistic: statistic.into(),
        definition: definition.into(),
        unit: Some(unit.into()),
        ..base.clone()
    };
    match &answer.outcome {
        Err(reason) => {
            row.message = Some(reason.0.clone());
            Entry {
                not_applicable: true,
                ..Entry::given(row)
            }
        }
        Ok(outcome) => {
            row.value = Some(outcome.value);
            row.bound_low = Some(outcome.bound_low);
            row.bound_high = Some(outcome.bound_high);
            row.exactness = Some(outcome.exactness);
            (row.ci_low, row.ci_high) = outcome.ci.unzip();
            row.variance = outcome.ci.map(|_| variance.to_owned());
            row.value_if_no_change = outcome.value_if_no_change;
            row.n_reference = Some(outcome.rows.0).filter(|n| *n > 0);
            row.n_current = Some(outcome.rows.1);
            row.n_eff_current = Some(answer.effective).filter(|n| n.is_finite());
            row.message.clone_from(&outcome.message);
            Entry {
                interval: outcome.interval.clone(),
                ..Entry::given(row)
            }
        }
    }
}

/// The change of a metric against the reference, or by how much it is worse.
fn changed(
    reference: Option<&Measured>,
    now: &Measured,
    worsening: bool,
    context: &Context,
    base: &Row,
) -> Entry {
    let absent = nothing(NotApplicable("the reference has no such rows".into()));
    let then = reference.map_or(&absent, |r| &r.answer);
    let turned = worsening && now.metric.higher_is_better == Some(true);
    // Of a metric that is better when higher, the worse is the reference less the current value.
    let made = match turned {
        false => change(then, &now.answer, context),
        true => change(&now.answer, then, context),
    };
    let end = if worsening { WORSENING } else { "_change" };
    let answer = made.unwrap_or_else(nothing);
    let mut entry = entry(
        &format!("{}{end}", now.metric.name),
        &format!("{}/{}", &end[1..], now.definition),
        now.metric.unit,
        &answer,
        &now.variance,
        base,
    );
    let row = &mut entry.row;
    if let (Ok(a), Ok(b)) = (&then.outcome, &now.answer.outcome) {
        row.n_reference = Some(a.rows.1);
        row.n_current = Some(b.rows.1);
        row.n_eff_reference = Some(then.effective).filter(|n| n.is_finite());
        row.n_eff_current = Some(now.answer.effective).filter(|n| n.is_finite());
        row.minimum_detectable = answer
            .outcome
            .as_ref()
            .ok()
            .and_then(|o| o.minimum_detectable);
        row.value_if_no_change = Some(0.0);
    }
    entry
}

/// Rates of the groups of protected columns: those that have rows here or in the reference, whatever others
/// lie beside.
fn fairness(
    of: &Performance,
    reference: Option<(&Performance, &Group)>,
    group: &Group,
    base: &Row,
    context: &Context,
) -> Result<Vec<Entry>> {
    let mut out = Vec::new();
    let all = group.fairness.iter().zip(&of.measure.protected);
    for (at, (((whole, blocks), column), names)) in all.zip(&of.protected).enumerate() {
        if names.is_empty() {
            continue;
        }
        // Rows of a group in the reference.
        let known = |name: &String| {
            let (of, group) = reference?;
            let code = of.protected.get(at)?.iter().position(|n| n == name)?;
            Some(group.fairness.get(at)?.0.rows(code))
        };
        let blocks: Vec<_> = blocks.values().cloned().collect();
        let highest = whole.highest().unwrap_or(0);
        let (answers, blocked) = evaluate_fairness(whole, &blocks, highest, context)
            .map_err(|e| Error::invalid(e.to_string()))?;
        let variance = match (&of.block, blocked) {
            (Some(label), true) => label.as_str(),
            _ => "iid",
        };
        let against = names.get(highest as usize).map_or("", String::as_str);
        for (found, name) in answers.iter().zip(names) {
            let GroupAnswer { rows, .. } = found;
            let before = known(name);
            if rows.0 == 0 && before.is_none() {
                continue;
            }
            let base = Row {
                kind: Some("fairness".into()),
                segment_by: Some(column.clone()),
                segment_value: Some(name.clone()),
                ..base.clone()
            };
            let rates = [
                ("selection_rate", "share", &found.selection_rate, false),
                (
                    "adverse_impact_ratio",
                    "ratio",
                    &found.adverse_impact_ratio,
                    true,
                ),
                (
                    "true_positive_rate",
                    "share",
                    &found.true_positive_rate,
                    false,
                ),
                (
                    "equal_opportunity_difference",
                    "share",
                    &found.equal_opportunity_difference,
                    true,
                ),
            ];
            for (statistic, unit, answer, compared) in rates {
                let definition = metrics::Fairness::DEFINITION;
                let mut entry = entry(statistic, definition, unit, answer, variance, &base);
                entry.row.n_reference = before;
                let told = match compared {
                    true => format!(
                        "against {column} {against}, the group most often predicted positive"
                    ),
                    false => format!("{} rows of the group, {} without a label", rows.0, rows.1),
                };
                entry.row.message = Some(match entry.row.message.take() {
                    Some(message) => format!("{message}; {told}"),
                    None => told,
                });
                out.push(entry);
            }
        }
    }
    Ok(out)
}

/// Bins of the score with their observed rates, where the measure has bands.
fn bins(of: &Performance, group: &Group, context: &Context) -> Result<Option<Vec<Value>>> {
    let binary = of.measure.task == "binary" && of.measure.score.is_some();
    if !binary || group.whole.plan().bands.is_none() || group.strange.0 > 0 {
        return Ok(None);
    }
    let Some(metric) = metrics::find("observed_over_expected") else {
        return Ok(None);
    };
    let blocks: Vec<_> = group.blocks.values().cloned().collect();
    let blocked = evaluate_blocks(&[metric], &group.whole, &blocks, context)
        .ok()
        .and_then(|all| all.into_iter().next()?.ok())
        .map(|parts| parts.into_iter().map(|b| b.answer).collect::<Vec<_>>());
    let answers = match blocked {
        Some(found) => found,
        None => metric.evaluate(&group.whole, context).unwrap_or_default(),
    };
    let bands = metrics::reliability(&group.whole);
    let made = bands.iter().zip(&answers).map(|(band, answer)| {
        let ci = answer.outcome.as_ref().ok().and_then(|o| o.ci);
        let limit = |x: Option<f64>| x.map(|x| (x * band.mean_score).clamp(0.0, 1.0));
        json!({
            "low": band.low,
            "high": band.high,
            "rows": band.rows,
            "mean_score": Some(band.mean_score).filter(|x| x.is_finite()),
            "observed": Some(band.observed).filter(|x| x.is_finite()),
            "ci_low": limit(ci.map(|c| c.0)).filter(|x| x.is_finite()),
            "ci_high": limit(ci.map(|c| c.1)).filter(|x| x.is_finite()),
        })
    });
    Ok(Some(made.collect()))
}
