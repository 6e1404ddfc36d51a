//! From numbers to verdicts: deciding statistics, multiplicity, one verdict per feature, ranks.
//!
//! The family is the deciding rows of one model and one window against the baselines that decide;
//! rows against another baseline are context, a family of their own, and change no verdict. Each is tested against its warning
//! tolerance (the p-value is the smallest level at which its interval stays above it); Benjamini
//! and Hochberg (1995) select, Benjamini and Yekutieli (2001) where totals and segments are both in
//! the family. With `R` of `m` selected, intervals are taken at level `alpha R / m` (Benjamini and
//! Yekutieli 2005), so a row is selected exactly when its lower limit exceeds the tolerance, and the
//! verdict is read off that interval: *fail* when the lower limit exceeds `fail_at`; else *warn*
//! when it exceeds `warn_at`; else *ok* when the upper limit is below `fail_at`; else
//! *inconclusive*.

use std::collections::{BTreeMap, BTreeSet};

use crate::pair::Pair;
use crate::row::{Exactness, Row, Verdict};
use crate::statistics::{self, Context, Interval, NotApplicable, Outcome, Statistic, fold};

/// Warning and failing level of one statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// A lower limit above this warns.
    pub warn: f64,
    /// A lower limit above this fails.
    pub fail: f64,
}

/// How rows are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Level of the family.
    pub alpha: f64,
    /// Tolerances of a column's main statistic (the chosen one, else that of its kind).
    pub tolerances: BTreeMap<String, Tolerance>,
    /// Tolerances of one statistic of one column, `(column, statistic)`; stronger than the above.
    pub statistic_tolerances: BTreeMap<(String, String), Tolerance>,
    /// Main statistic chosen for a column.
    pub statistics: BTreeMap<String, String>,
    /// Baselines that decide, as one family; any other is context. Empty: all decide.
    pub decided_by: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            alpha: 0.05,
            tolerances: BTreeMap::new(),
            statistic_tolerances: BTreeMap::new(),
            statistics: BTreeMap::new(),
            decided_by: Vec::new(),
        }
    }
}

impl Policy {
    /// The main statistic of a column of that kind: the one chosen for it, else `total_variation`
    /// for `categorical` and `bool`, else `ks`.
    pub fn main_statistic(&self, column: &str, kind: Option<&str>) -> &str {
        self.statistics
            .get(column)
            .map_or_else(|| default_statistic(kind), String::as_str)
    }

    /// Names of the statistics that decide for a column of that kind.
    pub fn deciding(&self, column: &str, kind: Option<&str>) -> Vec<&str> {
        let mut names = vec![self.main_statistic(column, kind), "missing_rate"];
        if is_categorical(kind) {
            names.push("new_category_mass");
        }
        names
    }

    /// The baseline where it is context; none where it decides.
    fn context(&self, baseline: &str) -> Option<String> {
        let decides = self.decided_by.is_empty() || self.decided_by.iter().any(|b| b == baseline);
        (!decides).then(|| baseline.to_owned())
    }

    /// Tolerance of a row and where it comes from; none where neither exists.
    ///
    /// The conventional tolerance of `new_category_mass` is laid on top of the share expected
    /// without any change, which is large where a column has many rare values.
    fn tolerance(&self, row: &Row) -> Option<(Tolerance, &'static str)> {
        let own = self
            .statistic_tolerances
            .get(&(row.feature.clone(), row.statistic.clone()));
        let main = (self.main_statistic(&row.feature, row.kind.as_deref()) == row.statistic)
            .then(|| self.tolerances.get(&row.feature))
            .flatten();
        if let Some(&tolerance) = own.or(main) {
            return Some((tolerance, "configuration"));
        }
        let (warn, fail) = statistics::find(&row.statistic)?.default_tolerance?;
        let base = if row.statistic == "new_category_mass" {
            row.value_if_no_change.unwrap_or(0.0)
        } else {
            0.0
        };
        Some((
            Tolerance {
                warn: base + warn,
                fail: base + fail,
            },
            "convention",
        ))
    }
}

/// A row on its way to a verdict, with what is needed to give its interval at any level.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The row. A verdict that is already set (error and schema rows) is kept and counted.
    pub row: Row,
    /// Interval of the value at any level; without one the certified bounds judge.
    pub interval: Option<Interval>,
    /// The value depends on the number of rows and never decides alone.
    pub support_mismatch: bool,
    /// The row could not be computed; the reason is its message.
    pub not_applicable: bool,
}

impl Entry {
    /// A row made elsewhere, such as a `schema` or error row with its verdict.
    pub fn given(row: Row) -> Self {
        Entry {
            row,
            interval: None,
            support_mismatch: false,
            not_applicable: false,
        }
    }

    /// Computes one statistic of a pair; `base` carries identity, feature, role and kind.
    pub fn compute(statistic: &Statistic, pair: &Pair, base: &Row, context: &Context) -> Self {
        let outcome = statistic.evaluate(pair, context);
        let mut entry = Entry::from_outcome(statistic, outcome, base);
        let note = match pair {
            Pair::Numeric(p) => &p.note,
            Pair::Categorical(p) => &p.note,
        };
        if let Some(note) = note {
            entry.row.message = Some(match entry.row.message.take() {
                Some(message) => format!("{message}; {note}"),
                None => note.clone(),
            });
        }
        entry
    }

    /// The row of an outcome.
    pub fn from_outcome(
        statistic: &Statistic,
        outcome: Result<Outcome, NotApplicable>,
        base: &Row,
    ) -> Self {
        let mut row = Row {
            statistic: statistic.name.into(),
            definition: statistic.definition.into(),
            unit: Some(statistic.unit.into()),
            ..base.clone()
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(reason) => {
                row.message = Some(reason.0);
                return Entry {
                    not_applicable: true,
                    ..Entry::given(row)
                };
            }
        };
        row.value = Some(outcome.value);
        row.bound_low = Some(outcome.bound_low);
        row.bound_high = Some(outcome.bound_high);
        row.exactness = Some(outcome.exactness);
        (row.ci_low, row.ci_high) = outcome.ci.unzip();
        let dependence = outcome.dependence;
        row.variance = (outcome.ci.is_some() || outcome.pvalue.is_some()).then(|| {
            dependence
                .as_ref()
                .map_or_else(|| "iid".into(), |d| d.variance.clone())
        });
        row.value_if_no_change = outcome.value_if_no_change;
        let null = dependence.as_ref().and_then(|d| d.null).or(statistic.null);
        row.null = outcome.pvalue.and(null).map(Into::into);
        row.pvalue = outcome.pvalue;
        row.n_reference = Some(outcome.rows.0);
        row.n_current = Some(outcome.rows.1);
        let worth = dependence.map_or((outcome.rows.0 as f64, outcome.rows.1 as f64), |d| d.rows);
        row.n_eff_reference = Some(worth.0).filter(|n| n.is_finite());
        row.n_eff_current = Some(worth.1).filter(|n| n.is_finite());
        row.minimum_detectable = outcome.minimum_detectable;
        row.message = outcome.message;
        Entry {
            row,
            interval: outcome.interval,
            support_mismatch: outcome.support_mismatch,
            not_applicable: false,
        }
    }

    /// Interval of the distance that tolerances apply to.
    fn limits(&self, alpha: f64) -> (f64, f64) {
        fold(self.raw_limits(alpha), centre(&self.row))
    }

    fn raw_limits(&self, alpha: f64) -> (f64, f64) {
        match &self.interval {
            Some(interval) => interval.at(alpha),
            None => (
                self.row.bound_low.unwrap_or(f64::NEG_INFINITY),
                self.row.bound_high.unwrap_or(f64::INFINITY),
            ),
        }
    }

    /// p-value of the test of "not above `threshold`".
    fn tolerance_pvalue(&self, threshold: f64) -> f64 {
        match &self.interval {
            Some(interval) => interval.tolerance_pvalue(threshold, centre(&self.row)),
            None if self.limits(1.0).0 > threshold => 0.0,
            None => 1.0,
        }
    }
}

/// Whether columns of this role are judged; a column without a role is a feature.
pub fn is_judged(role: Option<&str>) -> bool {
    matches!(
        role,
        None | Some("feature" | "prediction" | "score" | "label")
    )
}

/// Judges all rows of one model: sets tolerances, adjusted intervals, q-values and verdicts of the
/// deciding rows, and adds one `verdict` row per feature, window, segment and baseline, and one
/// `share_drifted` row (feature `*`) per window, segment and baseline.
///
/// Rows come back ordered by window, baseline, segment, feature and statistic.
pub fn decide(entries: Vec<Entry>, policy: &Policy) -> Vec<Row> {
    let mut entries = entries;
    choose(&mut entries, policy);
    let mut families: BTreeMap<(Family, Option<String>), Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if entry.row.decides && entry.row.verdict.is_none() {
            let context = policy.context(&entry.row.baseline);
            let family = families.entry((family(&entry.row), context));
            family.or_default().push(i);
        }
    }
    for members in families.values() {
        judge(&mut entries, members, policy.alpha);
    }

    let mut features: BTreeMap<(Cut, String), Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if entry.row.decides {
            features
                .entry((cut(&entry.row), entry.row.feature.clone()))
                .or_default()
                .push(i);
        }
    }
    let mut cuts: BTreeMap<Cut, Vec<Judged>> = BTreeMap::new();
    for ((cut, _), members) in features {
        never_alone(&mut entries, &members);
        let rows: Vec<&Row> = members.iter().map(|&i| &entries[i].row).collect();
        if let Some(judged) = feature_verdict(&rows) {
            cuts.entry(cut).or_default().push(judged);
        }
    }
    let mut rows: Vec<Row> = entries.into_iter().map(|e| e.row).collect();
    for mut judged in cuts.into_values() {
        judged.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| a.row.feature.cmp(&b.row.feature))
        });
        for (position, feature) in judged.iter_mut().enumerate() {
            feature.row.rank = Some(position as u64 + 1);
        }
        rows.extend(share_drifted(&judged));
        rows.extend(judged.into_iter().map(|j| j.row));
    }
    rows.sort_by(|a, b| order(a).cmp(&order(b)));
    rows
}

/// Marks the deciding rows and sets their tolerances.
fn choose(entries: &mut [Entry], policy: &Policy) {
    // Where a chosen statistic cannot decide alone, the one of the kind decides with it.
    let assisted: BTreeSet<(Cut, String)> = entries
        .iter()
        .filter(|e| {
            e.support_mismatch
                && policy.main_statistic(&e.row.feature, e.row.kind.as_deref()) == e.row.statistic
        })
        .map(|e| (cut(&e.row), e.row.feature.clone()))
        .collect();
    for entry in entries {
        let row = &mut entry.row;
        if row.verdict.is_some() {
            continue;
        }
        let kind = row.kind.as_deref();
        row.decides = is_judged(row.role.as_deref())
            && (policy
                .deciding(&row.feature, kind)
                .contains(&row.statistic.as_str())
                || (row.statistic == default_statistic(kind)
                    && assisted.contains(&(cut(row), row.feature.clone()))));
        if !row.decides {
            continue;
        }
        if entry.not_applicable || row.value.is_none_or(f64::is_nan) {
            row.verdict = Some(Verdict::NotEvaluated);
        }
        match policy.tolerance(row) {
            Some((tolerance, source)) => {
                row.warn_at = Some(tolerance.warn);
                row.fail_at = Some(tolerance.fail);
                row.threshold_source = Some(source.into());
            }
            None => {
                row.verdict = Some(Verdict::NotEvaluated);
                row.message = Some(format!(
                    "{} of '{}' has no tolerance; set tolerance = {{ warn, fail }}",
                    row.statistic, row.feature
                ));
            }
        }
    }
}

/// Adjusts and judges one family; `members` have tolerances and values.
fn judge(entries: &mut [Entry], members: &[usize], alpha: f64) {
    let segmented = members.iter().any(|&i| entries[i].row.segment_by.is_some());
    let totals = members.iter().any(|&i| entries[i].row.segment_by.is_none());
    let dependence = if segmented && totals {
        harmonic(members.len())
    } else {
        1.0
    };

    let with_pvalue: Vec<usize> = members
        .iter()
        .copied()
        .filter(|&i| entries[i].row.pvalue.is_some_and(|p| !p.is_nan()))
        .collect();
    let pvalues: Vec<f64> = with_pvalue
        .iter()
        .filter_map(|&i| entries[i].row.pvalue)
        .collect();
    let own = if segmented && totals {
        harmonic(pvalues.len())
    } else {
        1.0
    };
    for (&i, q) in with_pvalue.iter().zip(adjusted(&pvalues, own)) {
        entries[i].row.qvalue = Some(q);
    }

    let tolerance: Vec<f64> = members
        .iter()
        .map(|&i| entries[i].tolerance_pvalue(entries[i].row.warn_at.unwrap_or(f64::INFINITY)))
        .collect();
    let selected = adjusted(&tolerance, dependence)
        .iter()
        .filter(|&&q| q <= alpha)
        .count();
    let level = alpha * selected.max(1) as f64 / (members.len() as f64 * dependence);
    for &i in members {
        let (low, high) = entries[i].limits(level);
        let raw = entries[i].raw_limits(level);
        let margin = entries[i]
            .interval
            .as_ref()
            .map(|interval| interval.margin(level));
        let row = &mut entries[i].row;
        if margin.is_some() {
            (row.ci_low, row.ci_high) = (Some(raw.0), Some(raw.1));
            row.minimum_detectable = margin;
        }
        let (warn, fail) = (
            row.warn_at.unwrap_or(f64::INFINITY),
            row.fail_at.unwrap_or(f64::INFINITY),
        );
        row.verdict = Some(if low > fail {
            Verdict::Fail
        } else if low > warn {
            Verdict::Warn
        } else if high < fail {
            Verdict::Ok
        } else {
            Verdict::Inconclusive
        });
    }
}

/// Takes back a warning or failure that rests on a value with `support_mismatch` alone.
fn never_alone(entries: &mut [Entry], members: &[usize]) {
    let raised = |e: &Entry| matches!(e.row.verdict, Some(Verdict::Warn | Verdict::Fail));
    if members
        .iter()
        .any(|&i| !entries[i].support_mismatch && raised(&entries[i]))
    {
        return;
    }
    for &i in members {
        if entries[i].support_mismatch && raised(&entries[i]) {
            entries[i].row.verdict = Some(Verdict::Inconclusive);
        }
    }
}

/// False-discovery adjusted p-values (step-up); `dependence` is 1 for Benjamini-Hochberg and the
/// harmonic number for Benjamini-Yekutieli.
pub fn adjusted(pvalues: &[f64], dependence: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..pvalues.len()).collect();
    order.sort_by(|&a, &b| pvalues[b].total_cmp(&pvalues[a]));
    let mut result = vec![1.0; pvalues.len()];
    let mut least = 1.0_f64;
    for (position, &i) in order.iter().enumerate() {
        let rank = (pvalues.len() - position) as f64;
        least = least.min(pvalues[i] * pvalues.len() as f64 * dependence / rank);
        result[i] = least;
    }
    result
}

/// `1 + 1/2 + ... + 1/m`.
fn harmonic(m: usize) -> f64 {
    (1..=m).rev().map(|i| 1.0 / i as f64).sum::<f64>().max(1.0)
}

/// A feature's verdict row and what it is ranked by.
struct Judged {
    row: Row,
    score: f64,
}

/// Distance of a deciding row over its failing tolerance; infinite where it fails without a number.
fn score(row: &Row) -> f64 {
    let raised = matches!(row.verdict, Some(Verdict::Fail | Verdict::Error));
    match (row.value, row.fail_at) {
        (Some(value), Some(fail)) if !value.is_nan() => {
            let distance = centre(row).map_or(value, |c| (value - c).abs());
            if fail > 0.0 {
                distance / fail
            } else if distance > 0.0 {
                f64::INFINITY
            } else {
                0.0
            }
        }
        _ if raised => f64::INFINITY,
        _ => f64::NEG_INFINITY,
    }
}

/// The verdict row of one feature from its deciding rows.
fn feature_verdict(rows: &[&Row]) -> Option<Judged> {
    let worst = rows.iter().copied().max_by(|a, b| {
        a.verdict
            .cmp(&b.verdict)
            .then_with(|| score(a).total_cmp(&score(b)))
    })?;
    let score = rows
        .iter()
        .map(|r| score(r))
        .fold(f64::NEG_INFINITY, f64::max);
    let value = rows
        .iter()
        .filter(|r| r.value.is_some() && r.fail_at.is_some())
        .map(|r| self::score(r))
        .filter(|x| *x > f64::NEG_INFINITY)
        .reduce(f64::max);
    let row = Row {
        statistic: "verdict".into(),
        definition: "verdict/v1".into(),
        decides: false,
        value,
        unit: Some("fail tolerances".into()),
        n_reference: rows.iter().filter_map(|r| r.n_reference).max(),
        n_current: rows.iter().filter_map(|r| r.n_current).max(),
        verdict: worst.verdict,
        message: Some(explain(worst)),
        ..identity(worst)
    };
    Some(Judged { row, score })
}

/// The `share_drifted` row of one cut: features that warn or fail over those judged; bounds count
/// the undecided ones as unchanged and as drifted.
fn share_drifted(judged: &[Judged]) -> Option<Row> {
    let first = judged.first()?;
    let count = |verdict| {
        judged
            .iter()
            .filter(|j| j.row.verdict == Some(verdict))
            .count()
    };
    let (fail, warn, ok) = (
        count(Verdict::Fail),
        count(Verdict::Warn),
        count(Verdict::Ok),
    );
    let open = judged.len() - fail - warn - ok;
    let of_all = |x: usize| x as f64 / judged.len() as f64;
    let undecided = if open > 0 {
        format!(", {open} undecided")
    } else {
        String::new()
    };
    let plural = if judged.len() == 1 {
        "feature"
    } else {
        "features"
    };
    Some(Row {
        role: None,
        feature: "*".into(),
        kind: None,
        statistic: "share_drifted".into(),
        definition: "share_drifted/v1".into(),
        value: Some(of_all(fail + warn)),
        unit: Some("share".into()),
        bound_low: Some(of_all(fail + warn)),
        bound_high: Some(of_all(fail + warn + open)),
        exactness: Some(if open > 0 {
            Exactness::Certified
        } else {
            Exactness::Exact
        }),
        message: Some(format!(
            "{} of {} {plural} drifted ({fail} fail, {warn} warn{undecided})",
            fail + warn,
            judged.len()
        )),
        ..identity(&first.row)
    })
}

/// A new row with the identity of another.
fn identity(row: &Row) -> Row {
    Row {
        run_id: row.run_id.clone(),
        model: row.model.clone(),
        model_version: row.model_version.clone(),
        window_start: row.window_start.clone(),
        window_end: row.window_end.clone(),
        as_of: row.as_of.clone(),
        baseline: row.baseline.clone(),
        segment_by: row.segment_by.clone(),
        segment_value: row.segment_value.clone(),
        role: row.role.clone(),
        feature: row.feature.clone(),
        kind: row.kind.clone(),
        ..Row::default()
    }
}

/// A deciding row in plain words.
fn explain(row: &Row) -> String {
    let unit = row.unit.as_deref().unwrap_or("");
    let show = |x: Option<f64>| x.map_or_else(|| "unknown".into(), |x| quantity(x, unit));
    let name = &row.statistic;
    // Of a signed statistic, the limits of its distance from the centre.
    let low_high = row
        .ci_low
        .or(row.bound_low)
        .zip(row.ci_high.or(row.bound_high));
    let (low, high) = low_high.map(|x| fold(x, centre(row))).unzip();
    let because = || {
        row.message
            .clone()
            .unwrap_or_else(|| format!("{name} has no value"))
    };
    match row.verdict {
        None | Some(Verdict::NotEvaluated) => format!("not evaluated: {}", because()),
        Some(Verdict::Error) => because(),
        _ if row.value.is_none() || row.fail_at.is_none() => because(),
        Some(Verdict::Fail) => format!(
            "{name} is {}, at least {}: more than the {} that fails",
            show(row.value),
            show(low),
            show(row.fail_at)
        ),
        Some(Verdict::Warn) => format!(
            "{name} is {}, at least {}: more than the {} that warns, not yet the {} that fails",
            show(row.value),
            show(low),
            show(row.warn_at),
            show(row.fail_at)
        ),
        Some(Verdict::Ok) => format!(
            "{name} is {}, at most {}: less than the {} that fails",
            show(row.value),
            show(high),
            show(row.fail_at)
        ),
        Some(Verdict::Inconclusive) => format!(
            "{name} is {}, between {} and {}: too few rows ({} reference, {} current) to rule out \
             the {} that fails; a shift of {} could have been seen",
            show(row.value),
            show(low),
            show(high),
            row.n_reference.unwrap_or(0),
            row.n_current.unwrap_or(0),
            show(row.fail_at),
            show(row.minimum_detectable)
        ),
    }
}

/// Three significant digits; shares in per cent.
fn quantity(x: f64, unit: &str) -> String {
    if unit == "share" {
        format!("{} %", digits(100.0 * x))
    } else {
        digits(x)
    }
}

fn digits(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 || !x.is_finite() {
        format!("{}", x + 0.0)
    } else if (1e-3..1e6).contains(&size) {
        let decimals = (2.0 - libm::floor(libm::log10(size))).clamp(0.0, 5.0) as usize;
        format!("{x:.decimals$}")
    } else {
        format!("{x:.2e}")
    }
}

fn centre(row: &Row) -> Option<f64> {
    statistics::find(&row.statistic).and_then(|s| s.centre)
}

fn is_categorical(kind: Option<&str>) -> bool {
    matches!(kind, Some("categorical" | "bool"))
}

fn default_statistic(kind: Option<&str>) -> &'static str {
    if is_categorical(kind) {
        "total_variation"
    } else {
        "ks"
    }
}

/// Model, version and window.
type Family = [Option<String>; 4];

/// Family, baseline and segment.
type Cut = (Family, String, Option<String>, Option<String>);

fn family(row: &Row) -> Family {
    [
        row.model.clone(),
        row.model_version.clone(),
        row.window_start.clone(),
        row.window_end.clone(),
    ]
}

fn cut(row: &Row) -> Cut {
    (
        family(row),
        row.baseline.clone(),
        row.segment_by.clone(),
        row.segment_value.clone(),
    )
}

/// Totals of a cut first, then features by name, each with its verdict first.
fn order(row: &Row) -> ([Option<&str>; 7], bool, &str, bool, &str) {
    let cut = [
        row.model.as_deref(),
        row.model_version.as_deref(),
        row.window_start.as_deref(),
        row.window_end.as_deref(),
        Some(row.baseline.as_str()),
        row.segment_by.as_deref(),
        row.segment_value.as_deref(),
    ];
    (
        cut,
        row.feature != "*",
        &row.feature,
        row.statistic != "verdict",
        &row.statistic,
    )
}
