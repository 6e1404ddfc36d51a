//! Rows on whole rows: joint statistics, which samples of rows gave and no profile could.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{CompareOptions, ToleranceOption, main_baseline};
use crate::decide::Entry;
use crate::joint::definitions;
use crate::row::{Exactness, Row, Verdict};
use crate::{Error, Result};

/// One joint statistic of one window, as the caller found it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointRow {
    /// Name of the statistic.
    pub statistic: String,
    /// Version of the model.
    #[serde(default)]
    pub model_version: Option<String>,
    /// Start of the window as the rows of the comparison write it.
    #[serde(default)]
    pub window_start: Option<String>,
    /// End of the window.
    #[serde(default)]
    pub window_end: Option<String>,
    /// The number; none where there is none, and the message says why.
    #[serde(default)]
    pub value: Option<f64>,
    /// Interval at the level of [`level`].
    #[serde(default)]
    pub ci_low: Option<f64>,
    /// Upper limit.
    #[serde(default)]
    pub ci_high: Option<f64>,
    /// `iid` or the label of the blocks.
    #[serde(default)]
    pub variance: Option<String>,
    /// Value expected without change.
    #[serde(default)]
    pub value_if_no_change: Option<f64>,
    /// p-value under the definition's null.
    #[serde(default)]
    pub pvalue: Option<f64>,
    /// Rows of the reference's sample.
    #[serde(default)]
    pub n_reference: Option<u64>,
    /// Rows of the current sample.
    #[serde(default)]
    pub n_current: Option<u64>,
    /// Independent units of the reference's sample: rows or blocks.
    #[serde(default)]
    pub n_eff_reference: Option<f64>,
    /// Independent units of the current sample.
    #[serde(default)]
    pub n_eff_current: Option<f64>,
    /// What a reader must know.
    #[serde(default)]
    pub message: Option<String>,
}

/// Level of the interval and of the test of a joint statistic: those that decide share that of the comparison.
fn level(alpha: f64, deciding: usize) -> f64 {
    alpha / deciding.max(1) as f64
}

/// Adds the rows; those with a tolerance decide.
///
/// # Errors
/// A statistic that does not exist, or limits out of order.
pub(super) fn joint_rows(options: &CompareOptions, entries: &mut Vec<Entry>) -> Result<()> {
    let known: BTreeMap<_, _> = definitions().into_iter().map(|d| (d.name, d)).collect();
    let unknown = |name: &str| {
        let names: Vec<_> = known.keys().copied().collect();
        Error::invalid(format!(
            "joint statistic {name:?}; one of {} would be accepted",
            names.join(", ")
        ))
    };
    let tolerances = &options.joint_tolerances;
    for (name, limits) in tolerances {
        if !known.contains_key(name.as_str()) {
            return Err(unknown(name));
        }
        if limits.warn.is_nan() || limits.fail.is_nan() || limits.warn > limits.fail {
            return Err(Error::invalid(format!(
                "tolerance of {name:?}: warn {}, fail {}; warn <= fail would be accepted",
                limits.warn, limits.fail
            )));
        }
    }
    let level = level(options.alpha, tolerances.len());
    for found in &options.joint_rows {
        let name = found.statistic.as_str();
        let definition = known.get(name).ok_or_else(|| unknown(name))?;
        let tolerance = tolerances.get(name);
        let row = Row {
            run_id: options.run_id.clone(),
            model: options.model.clone(),
            model_version: found
                .model_version
                .clone()
                .or_else(|| options.model_version.clone()),
            window_start: found.window_start.clone(),
            window_end: found.window_end.clone(),
            as_of: options.as_of()?.map(super::rfc3339),
            baseline: main_baseline(options),
            role: Some("ignore".into()),
            feature: "*".into(),
            kind: Some("joint".into()),
            statistic: name.into(),
            definition: definition.definition.into(),
            decides: tolerance.is_some(),
            value: found.value,
            unit: Some(definition.unit.into()),
            exactness: found.value.map(|_| Exactness::Estimated),
            ci_low: found.ci_low,
            ci_high: found.ci_high,
            variance: found.variance.clone(),
            value_if_no_change: found.value_if_no_change,
            null: found.pvalue.map(|_| definition.null.into()),
            pvalue: found.pvalue,
            n_reference: found.n_reference,
            n_current: found.n_current,
            n_eff_reference: found.n_eff_reference,
            n_eff_current: found.n_eff_current,
            warn_at: tolerance.map(|t| t.warn),
            fail_at: tolerance.map(|t| t.fail),
            threshold_source: tolerance.map(|_| "configuration".into()),
            verdict: tolerance.map(|t| judge(found, t, level)),
            message: found.message.clone(),
            ..Row::default()
        };
        entries.push(Entry::given(row));
    }
    Ok(())
}

/// The verdict by the interval; of a statistic without one by its value, which counts against a limit only
/// where the p-value tells it from no change.
fn judge(found: &JointRow, limits: &ToleranceOption, level: f64) -> Verdict {
    let Some(value) = found.value.filter(|v| !v.is_nan()) else {
        return Verdict::NotEvaluated;
    };
    let told = found.pvalue.is_some_and(|p| p <= level);
    let (low, high) = match (found.ci_low, found.ci_high) {
        (Some(low), Some(high)) => (low, high),
        _ if told => (value, value),
        _ if value <= limits.fail => (f64::NEG_INFINITY, value),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    if low > limits.fail {
        Verdict::Fail
    } else if low > limits.warn {
        Verdict::Warn
    } else if high <= limits.fail {
        Verdict::Ok
    } else {
        Verdict::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: f64, ci: Option<(f64, f64)>, pvalue: f64) -> JointRow {
        JointRow {
            statistic: "mmd".into(),
            model_version: None,
            window_start: None,
            window_end: None,
            value: Some(value),
            ci_low: ci.map(|c| c.0),
            ci_high: ci.map(|c| c.1),
            variance: None,
            value_if_no_change: None,
            pvalue: Some(pvalue),
            n_reference: None,
            n_current: None,
            n_eff_reference: None,
            n_eff_current: None,
            message: None,
        }
    }

    #[test]
    fn intervals_judge_and_without_one_the_test() {
        let limits = ToleranceOption {
            warn: 0.1,
            fail: 0.2,
        };
        let verdict = |value, ci, p| judge(&found(value, ci, p), &limits, 0.05);
        assert_eq!(verdict(0.3, Some((0.21, 0.4)), 0.9), Verdict::Fail);
        assert_eq!(verdict(0.3, Some((0.15, 0.4)), 0.0), Verdict::Warn);
        assert_eq!(verdict(0.1, Some((0.05, 0.15)), 0.0), Verdict::Ok);
        assert_eq!(
            verdict(0.15, Some((0.05, 0.25)), 0.0),
            Verdict::Inconclusive
        );
        assert_eq!(verdict(0.3, None, 0.01), Verdict::Fail);
        assert_eq!(verdict(0.15, None, 0.01), Verdict::Warn);
        assert_eq!(verdict(0.05, None, 0.01), Verdict::Ok);
        assert_eq!(verdict(0.3, None, 0.2), Verdict::Inconclusive);
        assert_eq!(verdict(0.15, None, 0.2), Verdict::Ok);
        assert_eq!(verdict(f64::NAN, None, 0.0), Verdict::NotEvaluated);
    }
}
