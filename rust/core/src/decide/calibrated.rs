//! Thresholds from the reference's own windows, each left out in turn.

use std::collections::BTreeMap;

use crate::row::{Row, Verdict};
use crate::statistics::fold;

/// Segment (none: all rows), column and statistic.
pub type Key = (Option<(String, String)>, String, String);

/// Distances of each reference window from the other reference windows, and the rates asked for.
///
/// A window that is no different from those of the reference exceeds all but `k` of `m` of their
/// distances with a chance of at most `k / (m + 1)` (ranks of exchangeable values), so the threshold of a
/// rate is the `k`-th largest with `k = rate (m + 1)` rounded down. The window that is judged is never
/// part of what it is compared with, and neither is a left-out one. The rate is that of one row in one
/// window; `consecutive` lowers it further.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calibration {
    /// Share of windows without drift that may warn.
    pub warn: f64,
    /// Share of windows without drift that may fail.
    pub fail: f64,
    /// Distances by row, in ascending order.
    pub distances: BTreeMap<Key, Vec<f64>>,
}

/// Name of the null in rows.
const NULL: &str = "left-out-windows";

impl Calibration {
    /// Sets thresholds, p-value and verdict of a row; false where no reference window speaks to it.
    pub(super) fn judge(&self, row: &mut Row, centre: Option<f64>) -> bool {
        let segment = row.segment_by.clone().zip(row.segment_value.clone());
        let key = (segment, row.feature.clone(), row.statistic.clone());
        let Some(distances) = self.distances.get(&key).filter(|d| !d.is_empty()) else {
            return false;
        };
        let (Some(low), Some(high)) = (row.bound_low, row.bound_high) else {
            return false;
        };
        let (low, high) = fold((low, high), centre);
        let m = distances.len();
        let at = |rate: f64| {
            let k = (rate * (m as f64 + 1.0) + 1e-9) as usize;
            m.checked_sub(k).and_then(|i| distances.get(i)).copied()
        };
        let (warn, fail) = (at(self.warn), at(self.fail));
        row.threshold_source = Some("calibrated".into());
        (row.warn_at, row.fail_at) = (warn, fail);
        row.null = Some(NULL.into());
        let as_large = distances.iter().filter(|d| **d >= low).count();
        row.pvalue = Some((as_large as f64 + 1.0) / (m as f64 + 1.0));
        let windows = format!("{m} reference windows left out in turn");
        let needed = |rate: f64| libm::ceil(1.0 / rate - 1e-9) - 1.0;
        let too_few = |rate: f64| {
            format!(
                "{windows}; a false-alarm rate of {} % needs {}",
                percent(rate),
                needed(rate)
            )
        };
        let (verdict, why) = match (warn, fail) {
            (None, _) => (Verdict::Inconclusive, too_few(self.warn)),
            (Some(_), Some(fail)) if low > fail => (
                Verdict::Fail,
                format!("more than all but {} % of {windows}", percent(self.fail)),
            ),
            (Some(warn), None) if low > warn => (Verdict::Warn, too_few(self.fail)),
            (Some(warn), _) if low > warn => (
                Verdict::Warn,
                format!("more than all but {} % of {windows}", percent(self.warn)),
            ),
            (_, Some(fail)) if high > fail => (
                Verdict::Inconclusive,
                format!("its certified bounds reach beyond the threshold of {windows}"),
            ),
            _ => (
                Verdict::Ok,
                format!(
                    "no more than {} % of {windows} would be",
                    percent(self.fail)
                ),
            ),
        };
        row.verdict = Some(verdict);
        row.message = Some(match row.message.take() {
            Some(message) => format!("{why}; {message}"),
            None => why,
        });
        true
    }
}

fn percent(rate: f64) -> String {
    let text = format!("{:.4}", 100.0 * rate);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(m: usize, value: f64, warn: f64, fail: f64) -> Row {
        let key = (None, "x".to_owned(), "ks".to_owned());
        let distances = (1..=m).map(|i| i as f64 / 100.0).collect();
        let calibration = Calibration {
            warn,
            fail,
            distances: BTreeMap::from([(key, distances)]),
        };
        let mut row = Row {
            feature: "x".into(),
            statistic: "ks".into(),
            bound_low: Some(value),
            bound_high: Some(value),
            ..Row::default()
        };
        assert!(calibration.judge(&mut row, None));
        row
    }

    #[test]
    fn thresholds_are_ranks() {
        let row = judged(39, 0.375, 0.1, 0.05);
        assert_eq!((row.warn_at, row.fail_at), (Some(0.36), Some(0.38)));
        assert_eq!(row.pvalue, Some(3.0 / 40.0));
        assert_eq!(row.verdict, Some(Verdict::Warn));
        assert_eq!(judged(39, 0.385, 0.1, 0.05).verdict, Some(Verdict::Fail));
        assert_eq!(judged(39, 0.36, 0.1, 0.05).verdict, Some(Verdict::Ok));
    }

    #[test]
    fn too_few_windows_are_no_threshold() {
        let row = judged(10, 9.0, 0.1, 0.05);
        assert_eq!(row.verdict, Some(Verdict::Warn));
        assert!(
            row.message
                .unwrap()
                .contains("a false-alarm rate of 5 % needs 19")
        );
        let row = judged(8, 9.0, 0.1, 0.05);
        assert_eq!(
            (row.verdict, row.fail_at),
            (Some(Verdict::Inconclusive), None)
        );
        assert!(
            row.message
                .unwrap()
                .contains("a false-alarm rate of 10 % needs 9")
        );
        assert_eq!(judged(19, 9.0, 0.1, 0.05).verdict, Some(Verdict::Fail));
    }
}
