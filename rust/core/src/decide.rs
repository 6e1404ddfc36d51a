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
//!
//! Besides, by request: fewest rows, failures in several windows in a row, thresholds from the reference's
//! own windows ([`Calibration`]), and errors that are held over all windows ([`OverTime`]). Each is a
//! function of this window and those before, so a verdict once given stands.

use std::collections::{BTreeMap, BTreeSet};

mod again;
mod calibrated;
mod over_time;

pub use again::{Again, Disagreement, again};
pub use calibrated::{Calibration, Key as CalibrationKey};
pub use over_time::OverTime;
use over_time::{Evidence, OnlineFdr, e_select, window_pvalue};

use crate::compare::instant;
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

/// Fewest rows for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MinimumN {
    /// Rows of the reference.
    pub reference: u64,
    /// Rows of the current sample.
    pub current: u64,
}

/// Shares of windows without drift that may warn and fail.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FalseAlarms {
    /// Share that may warn.
    pub warn: f64,
    /// Share that may fail.
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
    /// Rows with fewer rows of data are not evaluated.
    pub minimum_n: MinimumN,
    /// A feature fails when it failed in so many windows in a row, and warns before.
    pub consecutive: u32,
    /// Thresholds of the rows against the reference, in place of tolerances.
    pub calibration: Option<Calibration>,
    /// How errors add up over windows.
    pub over_time: OverTime,
    /// Rows of one window that can decide against the reference, for sequential tests.
    pub hypotheses: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            alpha: 0.05,
            tolerances: BTreeMap::new(),
            statistic_tolerances: BTreeMap::new(),
            statistics: BTreeMap::new(),
            decided_by: Vec::new(),
            minimum_n: MinimumN::default(),
            consecutive: 1,
            calibration: None,
            over_time: OverTime::Window,
            hypotheses: 1,
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
    let mut families: BTreeMap<(Stream, Option<i64>, Option<String>), Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if entry.row.decides && entry.row.verdict.is_none() {
            let row = &entry.row;
            let stream = (
                policy.context(&row.baseline),
                row.model.clone(),
                row.model_version.clone(),
            );
            let family = (stream, began(row), row.window_end.clone());
            families.entry(family).or_default().push(i);
        }
    }
    let mut history = History::default();
    let mut of = None;
    for ((stream, ..), members) in &families {
        if of != Some(stream) {
            (history, of) = (History::default(), Some(stream));
        }
        judge_window(&mut entries, members, policy, &mut history);
    }
    adjust_calibrated(&mut entries);

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
    hold_back(&mut cuts, policy.consecutive);
    rows.extend(cuts.into_values().flat_map(ranked));
    rows.sort_by(|a, b| order(a).cmp(&order(b)));
    rows
}

/// Verdict rows of one cut, worst first, and the share of its features that drifted.
fn ranked(mut judged: Vec<Judged>) -> Vec<Row> {
    judged.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| a.row.feature.cmp(&b.row.feature))
    });
    for (position, feature) in judged.iter_mut().enumerate() {
        feature.row.rank = Some(position as u64 + 1);
    }
    let mut rows: Vec<Row> = share_drifted(&judged).into_iter().collect();
    rows.extend(judged.into_iter().map(|j| j.row));
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
        row.decides = (is_judged(row.role.as_deref())
            && (policy
                .deciding(&row.feature, kind)
                .contains(&row.statistic.as_str())
                || (row.statistic == default_statistic(kind)
                    && assisted.contains(&(cut(row), row.feature.clone())))
                || (kind == Some(crate::performance::KIND)
                    && policy
                        .statistic_tolerances
                        .contains_key(&(row.feature.clone(), row.statistic.clone())))))
            || (row.role.as_deref() == Some("time") && row.statistic == "missing_rate");
        if !row.decides {
            continue;
        }
        if entry.not_applicable || row.value.is_none_or(f64::is_nan) {
            row.verdict = Some(Verdict::NotEvaluated);
        } else if let Some(why) = too_few(row, policy.minimum_n) {
            row.verdict = Some(Verdict::NotEvaluated);
            row.message = Some(why);
        } else if let Some(calibration) = &policy.calibration
            && row.baseline == "reference"
            && calibration.judge(row, centre(row))
        {
            continue;
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

/// Which side has fewer rows than are asked for.
fn too_few(row: &Row, least: MinimumN) -> Option<String> {
    let sides = [
        ("reference", row.n_reference, least.reference),
        ("current", row.n_current, least.current),
    ];
    let short = sides
        .into_iter()
        .find(|(_, n, least)| n.is_some_and(|n| n < *least));
    short.map(|(side, n, least)| {
        format!(
            "{} {side} rows, at least {least} are asked for",
            n.unwrap_or(0)
        )
    })
}

/// When the window of a row began.
fn began(row: &Row) -> Option<i64> {
    row.window_start.as_deref().and_then(instant)
}

/// What earlier windows of a stream leave behind: nothing of a later one.
#[derive(Default)]
struct History {
    online: OnlineFdr,
    /// Evidence beyond the warning and the failing tolerance of each row.
    evidence: BTreeMap<EvidenceKey, [Evidence; 2]>,
}

/// Segment, feature and statistic.
type EvidenceKey = (Option<String>, Option<String>, String, String);

/// Judges one window, with what the ones before left.
fn judge_window(entries: &mut [Entry], members: &[usize], policy: &Policy, history: &mut History) {
    match policy.over_time {
        OverTime::Window => {
            judge(entries, members, policy.alpha);
        }
        OverTime::OnlineFdr => {
            let level = history.online.level(policy.alpha, members.len());
            history.online.select(judge(entries, members, level));
        }
        OverTime::Sequential => {
            judge(entries, members, policy.alpha);
            // Any other baseline has another error in each window, and rows of windows before.
            let fixed = |i: &usize| entries[*i].row.baseline == "reference";
            let fixed: Vec<usize> = members.iter().copied().filter(fixed).collect();
            add_evidence(entries, &fixed, policy, history);
        }
    }
}

/// Replaces warnings and failures of one window by those of the evidence so far. Half of the level is
/// spent on the reference's band, simultaneous over all rows, and half on the windows.
fn add_evidence(entries: &mut [Entry], members: &[usize], policy: &Policy, history: &mut History) {
    let hypotheses = policy.hypotheses.max(1);
    let band = 0.5 * policy.alpha / hypotheses as f64;
    let mut evalues = [Vec::new(), Vec::new()];
    let mut windows = Vec::new();
    for &i in members {
        let entry = &entries[i];
        let row = &entry.row;
        let key = (
            row.segment_by.clone(),
            row.segment_value.clone(),
            row.feature.clone(),
            row.statistic.clone(),
        );
        let evidence = history.evidence.entry(key).or_insert([Evidence::new(); 2]);
        for (evidence, limit) in evidence.iter_mut().zip([row.warn_at, row.fail_at]) {
            let bounds = row.bound_low.zip(row.bound_high);
            let rows = row.n_eff_reference.zip(row.n_eff_current);
            let pvalue = match (&entry.interval, bounds, rows, limit) {
                (Some(interval), Some(bounds), Some(rows), Some(limit)) => {
                    window_pvalue(interval, bounds, rows, centre(row), limit, band)
                }
                // A number without sampling error is beyond its limit or is not.
                (None, Some(_), _, Some(limit)) => entry.tolerance_pvalue(limit),
                _ => 1.0,
            };
            evidence.update(pvalue);
        }
        for (all, evidence) in evalues.iter_mut().zip(evidence.iter()) {
            all.push(evidence.value());
        }
        windows.push(evidence[0].windows());
    }
    let selected = |k: usize| e_select(&evalues[k], hypotheses, 0.5 * policy.alpha);
    let (warns, fails) = (selected(0), selected(1));
    for (at, &i) in members.iter().enumerate() {
        let row = &mut entries[i].row;
        let verdict = match row.verdict {
            _ if fails[at] => Verdict::Fail,
            _ if warns[at] => Verdict::Warn,
            Some(Verdict::Ok) => Verdict::Ok,
            _ => Verdict::Inconclusive,
        };
        row.verdict = Some(verdict);
        let told = format!(
            "e-values {} beyond the {} that warns and {} beyond the {} that fails, from {} window{}",
            digits(evalues[0][at]),
            digits(row.warn_at.unwrap_or(f64::NAN)),
            digits(evalues[1][at]),
            digits(row.fail_at.unwrap_or(f64::NAN)),
            windows[at],
            if windows[at] == 1 { "" } else { "s" },
        );
        row.message = Some(match row.message.take() {
            Some(message) => format!("{told}; {message}"),
            None => told,
        });
    }
}

/// q-values of the calibrated rows of each window.
fn adjust_calibrated(entries: &mut [Entry]) {
    let mut families: BTreeMap<Family, Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if entry.row.threshold_source.as_deref() == Some("calibrated") {
            families.entry(family(&entry.row)).or_default().push(i);
        }
    }
    for members in families.values() {
        let pvalues: Vec<f64> = members
            .iter()
            .filter_map(|&i| entries[i].row.pvalue)
            .collect();
        let segmented = |&i: &usize| entries[i].row.segment_by.is_some();
        let mixed = members.iter().any(segmented) && !members.iter().all(segmented);
        let dependence = if mixed { harmonic(pvalues.len()) } else { 1.0 };
        for (&i, q) in members.iter().zip(adjusted(&pvalues, dependence)) {
            entries[i].row.qvalue = Some(q);
        }
    }
}

/// Turns a failure into a warning until it was raised in so many windows in a row. Windows that hold no
/// row of the cut are passed over; a finding without a number, such as a missing column, fails at once.
fn hold_back(cuts: &mut BTreeMap<Cut, Vec<Judged>>, consecutive: u32) {
    if consecutive <= 1 {
        return;
    }
    let mut order: Vec<&mut Judged> = cuts.values_mut().flatten().collect();
    order.sort_by_key(|j| began(&j.row));
    let mut runs: BTreeMap<(Cut, String), u32> = BTreeMap::new();
    for judged in order {
        let row = &mut judged.row;
        let mut of = cut(row);
        (of.0[2], of.0[3]) = (None, None);
        let run = runs.entry((of, row.feature.clone())).or_default();
        *run = if row.verdict == Some(Verdict::Fail) {
            *run + 1
        } else {
            0
        };
        if *run > 0 && *run < consecutive && judged.measured {
            row.verdict = Some(Verdict::Warn);
            let said = row.message.take().unwrap_or_default();
            row.message = Some(format!(
                "{said}; raised in {run} of the {consecutive} windows in a row that fail"
            ));
        }
    }
}

/// Adjusts and judges one family; `members` have tolerances and values. Returns how many rows exceed
/// their warning tolerance.
fn judge(entries: &mut [Entry], members: &[usize], alpha: f64) -> usize {
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
        row.verdict = Some(verdict_between(low, high, warn, fail));
    }
    selected
}

/// The verdict on an interval.
fn verdict_between(low: f64, high: f64, warn: f64, fail: f64) -> Verdict {
    if low > fail {
        Verdict::Fail
    } else if low > warn {
        Verdict::Warn
    } else if high < fail {
        Verdict::Ok
    } else {
        Verdict::Inconclusive
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
    /// Whether the verdict rests on a number and its tolerance.
    measured: bool,
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
    let measured = worst.value.is_some() && worst.fail_at.is_some();
    Some(Judged {
        row,
        score,
        measured,
    })
}

/// The `share_drifted` row of one cut: features that warn or fail over those judged; bounds count
/// the undecided ones as unchanged and as drifted.
fn share_drifted(judged: &[Judged]) -> Option<Row> {
    // Checks of the whole set, of keys or of the time are no features.
    let judged = judged.iter().filter(|j| is_judged(j.row.role.as_deref()));
    let judged: Vec<&Judged> = judged.collect();
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
    let beyond = |low: Option<f64>, limit: Option<f64>| low.zip(limit).is_some_and(|(l, t)| l > t);
    match row.verdict {
        None | Some(Verdict::NotEvaluated) => format!("not evaluated: {}", because()),
        Some(Verdict::Error) => because(),
        _ if row.threshold_source.as_deref() == Some("calibrated") => {
            format!("{name} is {}: {}", show(row.value), because())
        }
        _ if row.value.is_none() || row.fail_at.is_none() => because(),
        // Raised by the evidence of several windows, not by the interval of this one.
        Some(Verdict::Fail) if !beyond(low, row.fail_at) => {
            format!("{name} is {}: {}", show(row.value), because())
        }
        Some(Verdict::Warn) if !beyond(low, row.warn_at) => {
            format!("{name} is {}: {}", show(row.value), because())
        }
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

/// Baseline where it is context, model and version: what windows follow each other in.
type Stream = (Option<String>, Option<String>, Option<String>);

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
