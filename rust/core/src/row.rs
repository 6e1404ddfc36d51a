//! The row: one shape for drift, quality, performance and importance.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How far a number can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exactness {
    /// Correctly computed from integers, within 4 ulp.
    Exact,
    /// `bound_low` and `bound_high` hold always.
    Certified,
    /// Has a sampling error of its own.
    Estimated,
}

/// Outcome of judging a row against its tolerances, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The upper limit is below the failing tolerance.
    Ok,
    /// There was nothing to judge.
    NotEvaluated,
    /// Too few effective rows to rule a failing shift out.
    Inconclusive,
    /// The lower limit exceeds the warning tolerance.
    Warn,
    /// The lower limit exceeds the failing tolerance.
    Fail,
    /// The number could not be computed.
    Error,
}

/// One number with everything needed to read it. Column order is part of the format.
///
/// `ci_low` and `ci_high` cover sampling and certificate: at the level of the context for
/// detail rows, at the multiplicity-adjusted level for rows that decide.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Identity of the run.
    pub run_id: Option<String>,
    /// Model the data belongs to.
    pub model: Option<String>,
    /// Version of the model.
    pub model_version: Option<String>,
    /// Start of the window, RFC 3339.
    pub window_start: Option<String>,
    /// End of the window (exclusive), RFC 3339.
    pub window_end: Option<String>,
    /// When the row became known, RFC 3339; a reopened window has a new one.
    pub as_of: Option<String>,
    /// What the current sample is compared with: `reference`, `previous` ...
    pub baseline: String,
    /// Columns of the cut.
    pub segment_by: Option<String>,
    /// Segment of the cut.
    pub segment_value: Option<String>,
    /// Role of the column.
    pub role: Option<String>,
    /// Column, or `*` for the whole set.
    pub feature: String,
    /// Kind of the column: `numeric`, `ordinal`, `datetime`, `categorical`, `bool`.
    pub kind: Option<String>,
    /// Name of the statistic.
    pub statistic: String,
    /// Versioned definition of the statistic.
    pub definition: String,
    /// Whether this row takes part in the verdict of the feature.
    pub decides: bool,
    /// The number.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub value: Option<f64>,
    /// Unit of the number.
    pub unit: Option<String>,
    /// Certified lower bound.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub bound_low: Option<f64>,
    /// Certified upper bound.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub bound_high: Option<f64>,
    /// How far the number can be trusted.
    pub exactness: Option<Exactness>,
    /// Lower limit of the interval.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub ci_low: Option<f64>,
    /// Upper limit of the interval.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub ci_high: Option<f64>,
    /// How the sampling variance was found: `iid`, `block:1d` ...
    pub variance: Option<String>,
    /// Value expected when nothing changed, at these numbers of rows.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub value_if_no_change: Option<f64>,
    /// Null hypothesis and method of the p-value.
    pub null: Option<String>,
    /// Largest p-value over the certificate.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub pvalue: Option<f64>,
    /// False-discovery adjusted p-value within the family of the window.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub qvalue: Option<f64>,
    /// Reference rows used.
    pub n_reference: Option<u64>,
    /// Current rows used.
    pub n_current: Option<u64>,
    /// Independent rows the reference is worth.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub n_eff_reference: Option<f64>,
    /// Independent rows the current sample is worth.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub n_eff_current: Option<f64>,
    /// Smallest shift that could have been told from none at these numbers of rows.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub minimum_detectable: Option<f64>,
    /// Tolerance above which the row warns.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub warn_at: Option<f64>,
    /// Tolerance above which the row fails.
    #[serde(serialize_with = "float", deserialize_with = "text")]
    pub fail_at: Option<f64>,
    /// Where the tolerances come from: `convention`, `configuration` or `calibrated`.
    pub threshold_source: Option<String>,
    /// Verdict of a deciding row, or of the feature on its `verdict` row.
    pub verdict: Option<Verdict>,
    /// Position of the feature in its list, 1 first.
    pub rank: Option<u64>,
    /// Plain words.
    pub message: Option<String>,
}

/// Canonical JSON of rows: columns in their order, shortest digits, non-finite numbers as strings.
///
/// # Errors
/// Never for rows built through this crate; the error is `serde_json`'s.
pub fn to_json(rows: &[Row]) -> serde_json::Result<String> {
    serde_json::to_string(rows)
}

/// A float, -0 as 0 and non-finite numbers as `"NaN"`, `"Infinity"`, `"-Infinity"`.
fn float<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match *value {
        None => serializer.serialize_none(),
        Some(x) if x.is_nan() => serializer.serialize_str("NaN"),
        Some(f64::INFINITY) => serializer.serialize_str("Infinity"),
        Some(f64::NEG_INFINITY) => serializer.serialize_str("-Infinity"),
        Some(x) => serializer.serialize_f64(x + 0.0),
    }
}

/// A float from the text of it: JSON readers round numbers, and verdicts are decided on their last bits.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let number = |t: String| {
        t.parse()
            .map_err(|_| serde::de::Error::custom(format!("{t:?} is no number")))
    };
    text.map(number).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_the_columns_in_order_and_spells_non_finite_numbers() {
        let row = Row {
            feature: "x".into(),
            value: Some(f64::INFINITY),
            bound_low: Some(-0.0),
            qvalue: Some(f64::NAN),
            exactness: Some(Exactness::Certified),
            verdict: Some(Verdict::NotEvaluated),
            ..Row::default()
        };
        let json = to_json(&[row]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let names: Vec<_> = value[0].as_object().unwrap().keys().cloned().collect();
        let expected = "run_id model model_version window_start window_end as_of baseline segment_by \
             segment_value role feature kind statistic definition decides value unit bound_low \
             bound_high exactness ci_low ci_high variance value_if_no_change null pvalue qvalue \
             n_reference n_current n_eff_reference n_eff_current minimum_detectable warn_at fail_at \
             threshold_source verdict rank message";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(value[0]["value"], "Infinity");
        assert_eq!(value[0]["qvalue"], "NaN");
        assert_eq!(value[0]["verdict"], "not_evaluated");
        assert!(json.contains("\"bound_low\":0.0"));
    }
}
