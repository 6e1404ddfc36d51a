//! Limits that a configuration sets on any number of a comparison.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::compare::of_sets;
use crate::decide::Entry;
use crate::row::{Exactness, Row, Verdict};
use crate::statistics::registry;
use crate::{Error, Result};

/// Smallest and largest value that a statistic of a column may have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The column, or `*` for rows about the whole set.
    pub feature: String,
    /// Name of the statistic.
    pub statistic: String,
    /// Smallest value allowed.
    #[serde(default)]
    pub min: Option<f64>,
    /// Largest value allowed.
    #[serde(default)]
    pub max: Option<f64>,
    /// Rows of segments are checked too.
    #[serde(default)]
    pub segments: bool,
    /// The pattern of columns that the check was written for, where it names several.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Where the number exists nowhere the check is not evaluated, which is no error.
    #[serde(default)]
    pub optional: bool,
}

/// Statistics of performance beside the metrics.
const OF_PERFORMANCE: [&str; 5] = [
    "label_coverage",
    "selection_rate",
    "adverse_impact_ratio",
    "true_positive_rate",
    "equal_opportunity_difference",
];

/// Kinds of rows whose sampling error counts: other checks are of the numbers as they are.
const OF_SAMPLES: [&str; 2] = [crate::performance::KIND, "fairness"];

impl Check {
    /// Refuses a check that nothing could pass or fail.
    ///
    /// # Errors
    /// A statistic that does not exist, no limit, or limits that are not numbers in order.
    pub fn validate(&self) -> Result<()> {
        let Check {
            feature,
            statistic,
            min,
            max,
            ..
        } = self;
        let place = || format!("check of {statistic:?} of {feature:?}");
        let metrics = crate::metrics::registry().iter().map(|m| m.name);
        let sets = of_sets().iter().map(|s| s.name);
        let joint = crate::joint::definitions().into_iter().map(|d| d.name);
        let known: BTreeSet<&str> = registry()
            .iter()
            .map(|s| s.name)
            .chain(sets)
            .chain(metrics)
            .chain(OF_PERFORMANCE)
            .chain(joint)
            .collect();
        let told = |min: Option<f64>, max: Option<f64>| match (min, max) {
            (None, None) => "neither min nor max".to_owned(),
            (Some(min), None) => format!("min {min}"),
            (None, Some(max)) => format!("max {max}"),
            (Some(min), Some(max)) => format!("min {min}, max {max}"),
        };
        let change = statistic.strip_suffix("_change");
        if !known.contains(statistic.as_str()) && change.and_then(crate::metrics::find).is_none() {
            let known: Vec<_> = known.into_iter().collect();
            return Err(Error::invalid(format!(
                "{}: there is no such statistic; one of {} would be accepted",
                place(),
                known.join(", ")
            )));
        }
        let limits = (
            min.unwrap_or(f64::NEG_INFINITY),
            max.unwrap_or(f64::INFINITY),
        );
        if (min.is_none() && max.is_none())
            || limits.0 > limits.1
            || limits.0.is_nan()
            || limits.1.is_nan()
        {
            return Err(Error::invalid(format!(
                "{}: {}; at least one of them, and min <= max, would be accepted",
                place(),
                told(*min, *max)
            )));
        }
        Ok(())
    }

    /// The verdict on a row.
    pub(crate) fn verdict(&self, row: &Row) -> Verdict {
        self.judge(row).0
    }

    /// The verdict on a row, and in words.
    ///
    /// Certain violations fail and certain passes are ok; what lies between, by the bounds of a certified
    /// value, or the interval of an estimate or of a metric of predictions, is inconclusive.
    fn judge(&self, row: &Row) -> (Verdict, String) {
        let name = &self.statistic;
        let Some(value) = row.value.filter(|v| !v.is_nan()) else {
            let why = row.message.as_deref().unwrap_or("it has no value here");
            return (
                Verdict::NotEvaluated,
                format!("{name} cannot be checked: {why}"),
            );
        };
        let interval = row.ci_low.zip(row.ci_high);
        let sampled = OF_SAMPLES.iter().any(|k| row.kind.as_deref() == Some(k));
        let interval = interval.filter(|_| sampled || row.exactness == Some(Exactness::Estimated));
        let (low, high) = interval.unwrap_or((
            row.bound_low.unwrap_or(value),
            row.bound_high.unwrap_or(value),
        ));
        let limits = [self.min, self.max];
        let range = if low < high {
            format!(
                ", between {} and {}",
                short(low, limits),
                short(high, limits)
            )
        } else {
            String::new()
        };
        let value = short(value, limits);
        let told = |verdict, side: &str, limit: f64| {
            (verdict, format!("{name} is {value}{range}: {side} {limit}"))
        };
        let (min, max) = (
            self.min.unwrap_or(f64::NEG_INFINITY),
            self.max.unwrap_or(f64::INFINITY),
        );
        if high < min {
            told(Verdict::Fail, "below the minimum of", min)
        } else if low > max {
            told(Verdict::Fail, "above the maximum of", max)
        } else if low < min {
            told(
                Verdict::Inconclusive,
                "its bounds do not tell on which side of the minimum of",
                min,
            )
        } else if high > max {
            told(
                Verdict::Inconclusive,
                "its bounds do not tell on which side of the maximum of",
                max,
            )
        } else {
            (
                Verdict::Ok,
                format!("{name} is {value}{range}: within its limits"),
            )
        }
    }
}

/// A whole number as it is, any other with four significant digits, or as many more as it takes to lie on its own side of the limits: the
/// row holds it whole.
fn short(x: f64, limits: [Option<f64>; 2]) -> String {
    if x.trunc() == x && x.abs() < 1e15 {
        return x.to_string();
    }
    let of = |x: f64| limits.map(|limit| limit.map(|limit| x.total_cmp(&limit)));
    (3..17)
        .map(|digits| format!("{x:.digits$e}"))
        .filter_map(|text| text.parse::<f64>().ok())
        .find(|y| of(*y) == of(x))
        .unwrap_or(x)
        .to_string()
}

/// Adds a deciding row for each check in each window, on the rows without a segment of one baseline, and
/// where the check says so on those of segments. Rates of protected groups are always checked by group.
///
/// Where the row that a check is about does not exist the check is not evaluated, and says so. A check that is
/// evaluated nowhere is an error, unless it is optional: it could not fail, whatever happened. One written for a pattern of columns needs
/// one that it is evaluated of.
pub(crate) fn apply(checks: &[Check], baseline: &str, entries: &mut Vec<Entry>) {
    let time = |row: &Row| {
        (
            row.model_version.clone(),
            row.window_start.clone(),
            row.window_end.clone(),
        )
    };
    let whole = |row: &Row| row.baseline == baseline && row.segment_by.is_none();
    let mut added: Vec<Row> = Vec::new();
    // What was written as one check, by the places of its rows.
    let mut written: BTreeMap<(&str, &str, bool), Vec<usize>> = BTreeMap::new();
    for check in checks {
        let start = added.len();
        let mut open = BTreeSet::new();
        let mut first = None;
        for entry in entries.iter().filter(|e| whole(&e.row)) {
            first.get_or_insert(&entry.row);
            open.insert(time(&entry.row));
        }
        let asked = |row: &Row| {
            let segments = check.segments || row.kind.as_deref() == Some("fairness");
            row.baseline == baseline && (row.segment_by.is_none() || segments)
        };
        for entry in entries.iter().filter(|e| asked(&e.row)) {
            let row = &entry.row;
            if row.feature == check.feature && row.statistic == check.statistic {
                open.remove(&time(row));
                let (verdict, message) = check.judge(row);
                added.push(Row {
                    decides: true,
                    verdict: Some(verdict),
                    message: Some(message),
                    ..named(check, row.clone())
                });
            }
        }
        for (model_version, window_start, window_end) in open {
            let Some(first) = first else { continue };
            added.push(Row {
                run_id: first.run_id.clone(),
                model: first.model.clone(),
                baseline: first.baseline.clone(),
                model_version,
                window_start,
                window_end,
                role: Some("ignore".into()),
                feature: check.feature.clone(),
                decides: true,
                verdict: Some(Verdict::NotEvaluated),
                message: Some(format!(
                    "{} of {:?} is not among the rows of this comparison",
                    check.statistic, check.feature
                )),
                ..named(check, Row::default())
            });
        }
        let name = check.pattern.as_ref().unwrap_or(&check.feature);
        let places = written
            .entry((name, &check.statistic, check.optional))
            .or_default();
        places.extend(start..added.len());
    }
    for ((.., optional), places) in written {
        let open = |&i: &usize| added[i].verdict == Some(Verdict::NotEvaluated);
        if !optional && places.iter().all(open) {
            for i in places {
                let row = &mut added[i];
                row.verdict = Some(Verdict::Error);
                row.message = row
                    .message
                    .take()
                    .map(|told| format!("{told}; the check is evaluated nowhere"));
            }
        }
    }
    entries.extend(added.into_iter().map(Entry::given));
}

/// A row under the name of its check; what belongs to the test of the row stays there.
fn named(check: &Check, row: Row) -> Row {
    Row {
        statistic: "check".into(),
        definition: format!("check/{}/v1", check.statistic),
        threshold_source: Some("configuration".into()),
        pvalue: None,
        qvalue: None,
        null: None,
        value_if_no_change: None,
        minimum_detectable: None,
        warn_at: None,
        fail_at: None,
        rank: None,
        ..row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, low: f64, high: f64) -> Row {
        Row {
            baseline: "reference".into(),
            feature: "x".into(),
            statistic: "ks".into(),
            value: Some(value),
            bound_low: Some(low),
            bound_high: Some(high),
            exactness: Some(Exactness::Certified),
            ..Row::default()
        }
    }

    fn check(min: Option<f64>, max: Option<f64>) -> Check {
        Check {
            feature: "x".into(),
            statistic: "ks".into(),
            min,
            max,
            segments: false,
            pattern: None,
            optional: false,
        }
    }

    #[test]
    fn bounds_decide_and_an_absent_row_is_told() {
        let verdict = |c: &Check, r: &Row| c.judge(r).0;
        let r = row(0.2, 0.1, 0.3);
        assert_eq!(verdict(&check(None, Some(0.3)), &r), Verdict::Ok);
        assert_eq!(verdict(&check(None, Some(0.25)), &r), Verdict::Inconclusive);
        assert_eq!(verdict(&check(None, Some(0.05)), &r), Verdict::Fail);
        assert_eq!(verdict(&check(Some(0.1), None), &r), Verdict::Ok);
        assert_eq!(verdict(&check(Some(0.31), None), &r), Verdict::Fail);
        assert_eq!(
            verdict(
                &check(Some(0.31), None),
                &Row {
                    value: None,
                    ..r.clone()
                }
            ),
            Verdict::NotEvaluated
        );
        let mut entries = vec![Entry::given(r)];
        let absent = Check {
            statistic: "psi".into(),
            ..check(None, Some(1.0))
        };
        // Of a pattern of columns, one that the check is evaluated of is enough.
        let of_several = |feature: &str| Check {
            feature: feature.into(),
            pattern: Some("*".into()),
            ..check(None, Some(0.05))
        };
        let optional = Check {
            statistic: "kuiper".into(),
            optional: true,
            ..check(None, Some(1.0))
        };
        apply(
            &[of_several("x"), of_several("y"), absent, optional],
            "reference",
            &mut entries,
        );
        let found: Vec<_> = entries
            .iter()
            .map(|e| (e.row.statistic.as_str(), e.row.verdict))
            .collect();
        assert_eq!(
            found,
            [
                ("ks", None),
                ("check", Some(Verdict::Fail)),
                ("check", Some(Verdict::NotEvaluated)),
                ("check", Some(Verdict::Error)),
                ("check", Some(Verdict::NotEvaluated))
            ]
        );
    }

    #[test]
    fn numbers_in_messages_are_short_and_on_their_side() {
        let value = 0.662_721_341_836_326_1;
        let (_, told) = check(Some(0.99), None).judge(&row(value, value, value));
        assert_eq!(told, "ks is 0.6627: below the minimum of 0.99");
        let (verdict, told) = check(Some(0.6628), None).judge(&row(value, value, value));
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(told, "ks is 0.6627: below the minimum of 0.6628");
        let (verdict, told) = check(Some(0.6627), None).judge(&row(value, value, value));
        assert_eq!(verdict, Verdict::Ok);
        assert_eq!(told, "ks is 0.66272: within its limits");
        let large = 1_234_567.0;
        let (_, told) = check(None, Some(1_234_566.0)).judge(&row(large, large, large));
        assert_eq!(told, "ks is 1234567: above the maximum of 1234566");
        assert_eq!(short(1_234.567, [None, Some(1_234.0)]), "1235");
    }

    #[test]
    fn checks_that_say_nothing_are_refused() {
        assert!(check(None, Some(0.1)).validate().is_ok());
        assert!(check(None, None).validate().is_err());
        assert!(check(Some(1.0), Some(0.0)).validate().is_err());
        assert!(check(Some(f64::NAN), None).validate().is_err());
        let unknown = Check {
            statistic: "roc_auk".into(),
            ..check(None, Some(1.0))
        };
        assert!(
            unknown
                .validate()
                .unwrap_err()
                .to_string()
                .contains("roc_auc")
        );
    }
}
