//! Metrics of predictions: one definition, one number.
//!
//! [`State`] is the mergeable summary of rows of label and prediction; every metric is one file with
//! a `METRIC` constant and a function from a state to [`Answer`]s. To add one, write the file and add
//! its two lines below; binding, documents and tests read the registry.
//!
//! Sums are exact and rounded once. What is read off the histogram of scores is exact while every
//! cell is one score, and certified by bounds that hold always otherwise. A metric never panics:
//! what it cannot answer is a [`NotApplicable`] with the reason.

mod bands;
mod blocks;
mod confusion;
mod interval;
mod loss;
pub mod paired;
mod ranking;
mod scores;
mod state;
mod variation;
mod weight;

mod accuracy;
mod average_precision;
mod balanced_accuracy;
mod brier;
mod calibration_error;
mod confusion_matrix;
mod cost;
mod f1;
mod fairness;
mod gains;
mod gamma_deviance;
mod gini;
mod lift;
mod log_loss;
mod mae;
mod mape;
mod mcc;
mod mse;
mod observed_over_expected;
mod pinball;
mod poisson_deviance;
mod precision;
mod r2;
mod recall;
mod rmse;
mod roc_auc;
mod score_ks;
mod specificity;

pub use bands::{Bin, equal_width, reliability};
pub use blocks::{Blocked, evaluate_blocks, evaluate_fairness};
pub use fairness::{Fairness, GroupAnswer};
pub use interval::{Interval, Scale, Share};
pub use loss::Loss;
pub(crate) use loss::add_squares;
pub use roc_auc::one_vs_rest;
pub use state::{Batch, Coverage, Label, MAX_CLASSES, MISSING, Plan, Prediction, State, Task};
pub use weight::Weighting;

use crate::row::Exactness;
use crate::statistics::{self, NotApplicable, Outcome};
use confusion::Table;
use weight::Amount;

/// Every metric, by name.
const REGISTRY: &[&Metric] = &[
    &accuracy::METRIC,
    &average_precision::METRIC,
    &balanced_accuracy::METRIC,
    &brier::METRIC,
    &calibration_error::METRIC,
    &confusion_matrix::METRIC,
    &cost::METRIC,
    &f1::METRIC,
    &gains::METRIC,
    &gamma_deviance::METRIC,
    &gini::METRIC,
    &lift::METRIC,
    &log_loss::METRIC,
    &mae::METRIC,
    &mape::METRIC,
    &mcc::METRIC,
    &mse::METRIC,
    &observed_over_expected::METRIC,
    &pinball::METRIC,
    &poisson_deviance::METRIC,
    &precision::METRIC,
    &r2::METRIC,
    &recall::METRIC,
    &rmse::METRIC,
    &roc_auc::METRIC,
    &score_ks::METRIC,
    &specificity::METRIC,
];

/// Every metric, in ascending order of name.
pub fn registry() -> &'static [&'static Metric] {
    REGISTRY
}

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    REGISTRY.iter().find(|m| m.name == name).copied()
}

/// The part of a state that a metric reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The table of label x predicted class.
    Confusion,
    /// Sums of a loss.
    Loss(Loss),
    /// Sums in bands of the prediction.
    Bands,
    /// The histogram of score x label.
    Scores,
    /// What R2 needs.
    Variation,
}

impl Part {
    /// Adds the part to a plan; `cells` bounds the histogram of scores, `edges` are the bands'.
    pub fn add_to(self, plan: &mut Plan, cells: u32, edges: &[f64]) {
        match self {
            Part::Confusion => plan.confusion = true,
            Part::Loss(loss) => {
                plan.losses.push(loss);
                plan.losses.sort_unstable();
                plan.losses.dedup();
            }
            Part::Bands => plan.bands = Some(edges.to_vec()),
            Part::Scores => plan.scores = Some(cells),
            Part::Variation => plan.variation = true,
        }
    }

    fn is_in(self, plan: &Plan) -> bool {
        match self {
            Part::Confusion => plan.confusion,
            Part::Loss(loss) => plan.losses.contains(&loss),
            Part::Bands => plan.bands.is_some(),
            Part::Scores => plan.scores.is_some(),
            Part::Variation => plan.variation,
        }
    }
}

/// Tasks a metric is defined for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Binary labels.
    Binary,
    /// Binary labels and labels of several classes.
    Classes,
    /// Numbers.
    Regression,
    /// Binary labels and numbers.
    Banded,
}

impl Tasks {
    /// Whether a task is among them.
    pub fn accept(self, task: Task) -> bool {
        match task {
            Task::Binary { .. } => self != Tasks::Regression,
            Task::Multiclass { .. } => self == Tasks::Classes,
            Task::Regression { .. } => matches!(self, Tasks::Regression | Tasks::Banded),
        }
    }
    /// `binary`, `classes`, `regression` or `binary, regression`.
    pub fn as_str(self) -> &'static str {
        match self {
            Tasks::Binary => "binary",
            Tasks::Classes => "binary, multiclass",
            Tasks::Regression => "regression",
            Tasks::Banded => "binary, regression",
        }
    }
}

/// One metric: what it means and how it is computed.
#[derive(Debug)]
pub struct Metric {
    /// Name, as scikit-learn spells it where it has one.
    pub name: &'static str,
    /// Versioned definition; any change of a number changes it. Words in braces are parameters.
    pub definition: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Paper, or function of scikit-learn with the same value.
    pub source: &'static str,
    /// Method of the interval.
    pub interval: &'static str,
    /// What it is defined for.
    pub tasks: Tasks,
    /// What it reads.
    pub part: Part,
    /// Smallest and largest value possible.
    pub range: (f64, f64),
    /// Unit of the value; `label` is the unit of the label.
    pub unit: &'static str,
    /// Whether larger values are better; none where neither is.
    pub higher_is_better: Option<bool>,
    /// The computation.
    compute: fn(&State, &Context) -> Result<Vec<Answer>, NotApplicable>,
}

impl Metric {
    /// Computes the metric: one answer, or one for each part of a table.
    ///
    /// # Errors
    /// [`NotApplicable`] when the state is of another task, does not hold what the metric reads, or
    /// no row of it counts.
    pub fn evaluate(&self, state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
        context.check()?;
        if !self.tasks.accept(state.plan().task) {
            return not_applicable(format!(
                "{} is defined for {} labels",
                self.name,
                self.tasks.as_str()
            ));
        }
        if !self.part.is_in(state.plan()) {
            return not_applicable(format!("the state does not hold what {} reads", self.name));
        }
        let rows = state.coverage();
        if rows.used == 0 {
            return not_applicable(format!(
                "no row has both a label and a prediction: of {} rows, {} have no label and {} no prediction",
                rows.rows, rows.unlabelled, rows.unpredicted
            ));
        }
        if state.amount().w <= 0.0 {
            return not_applicable(format!("all {} rows have weight 0", rows.used));
        }
        (self.compute)(state, context)
    }

    /// The definition with its parameters.
    pub fn definition(&self, state: &State, context: &Context) -> String {
        let level = match state.plan().task {
            Task::Regression { level, .. } => level,
            _ => 0.5,
        };
        let edges = state.plan().bands.as_deref().unwrap_or_default();
        let n = edges.len() as u32 + 1;
        let bins = match context.equal_mass {
            Some(n) => format!("equal-mass-{n}"),
            None if edges == equal_width(n) => format!("equal-width-{n}"),
            None => format!("bands-{n}"),
        };
        self.definition
            .replace("{average}", context.average.as_str())
            .replace("{share}", &format!("{}", context.share))
            .replace("{level}", &format!("{level}"))
            .replace("{bins}", &bins)
    }
}

/// How a metric of one class becomes one of all classes; as scikit-learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Average {
    /// The positive class of a binary label.
    #[default]
    Binary,
    /// Mean over classes that occur as label or prediction.
    Macro,
    /// From the counts summed over classes.
    Micro,
    /// Mean over classes by the weight of their labels.
    Weighted,
}

impl Average {
    /// `binary`, `macro`, `micro` or `weighted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Average::Binary => "binary",
            Average::Macro => "macro",
            Average::Micro => "micro",
            Average::Weighted => "weighted",
        }
    }
}

/// What a computation is asked for beside the state.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// One minus the confidence level of intervals.
    pub alpha: f64,
    /// Factor on every variance: 1 for independent rows.
    pub design_effect: f64,
    /// Average over classes.
    pub average: Average,
    /// Share of rows with the highest scores, for gains and lift.
    pub share: f64,
    /// Number of bins of equal mass for the calibration error; none: the bands.
    pub equal_mass: Option<u32>,
    /// Cost of a row by label x predicted class, labels in rows.
    pub costs: Vec<f64>,
}

impl Default for Context {
    fn default() -> Self {
        Context {
            alpha: 0.05,
            design_effect: 1.0,
            average: Average::Binary,
            share: 0.1,
            equal_mass: None,
            costs: Vec::new(),
        }
    }
}

impl Context {
    fn check(&self) -> Result<(), NotApplicable> {
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return not_applicable(format!(
                "alpha is {}; it must lie between 0 and 1",
                self.alpha
            ));
        }
        if !(self.design_effect > 0.0 && self.design_effect.is_finite()) {
            return not_applicable(format!(
                "the design effect is {}; it must be finite and above 0",
                self.design_effect
            ));
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return not_applicable(format!(
                "the share of rows is {}; it must lie between 0 and 1",
                self.share
            ));
        }
        Ok(())
    }
}

/// One number of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Band, cell or share the number belongs to, where the metric is a table.
    pub part: Option<String>,
    /// The number, or why there is none. Rows of a single sample are the current side.
    pub outcome: Result<Outcome, NotApplicable>,
    /// Effective rows behind the interval.
    pub effective: f64,
    /// The interval at any level.
    pub interval: Option<Interval>,
}

/// One number of a state, as a report's row needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// The metric.
    pub metric: &'static str,
    /// Its definition with parameters.
    pub definition: String,
    /// Unit of the value.
    pub unit: &'static str,
    /// The number.
    pub answer: Answer,
}

/// Every metric of the registry that a state can answer, in the order of the registry. Metrics that
/// need costs are left out where there are none; averages are macro where there are several classes.
pub fn rows(state: &State, context: &Context) -> Vec<MetricRow> {
    let mut context = context.clone();
    if context.average == Average::Binary && matches!(state.plan().task, Task::Multiclass { .. }) {
        context.average = Average::Macro;
    }
    let mut out = Vec::new();
    for metric in registry() {
        let wanted = metric.tasks.accept(state.plan().task)
            && metric.part.is_in(state.plan())
            && (metric.name != cost::METRIC.name || !context.costs.is_empty());
        if !wanted {
            continue;
        }
        let answers = metric.evaluate(state, &context).unwrap_or_else(|reason| {
            vec![Answer {
                part: None,
                outcome: Err(reason),
                effective: 0.0,
                interval: None,
            }]
        });
        out.extend(answers.into_iter().map(|answer| MetricRow {
            metric: metric.name,
            definition: metric.definition(state, &context),
            unit: metric.unit,
            answer,
        }));
    }
    out
}

/// How much a metric changed: current minus reference, of two samples without rows in common.
///
/// # Errors
/// [`NotApplicable`] with the reason of the side that has no number.
pub fn change(
    reference: &Answer,
    current: &Answer,
    context: &Context,
) -> Result<Answer, NotApplicable> {
    context.check()?;
    let of = |answer: &Answer, side: &str| match &answer.outcome {
        Ok(outcome) => Ok(outcome.clone()),
        Err(reason) => not_applicable(format!("the {side} has no number: {reason}")),
    };
    let (r, c) = (of(reference, "reference")?, of(current, "current sample")?);
    let interval = match (&reference.interval, &current.interval) {
        (Some(a), Some(b)) => Some(Interval::Change {
            reference: (r.value, Box::new(a.clone())),
            current: (c.value, Box::new(b.clone())),
        }),
        _ => None,
    };
    let effective = reference.effective.min(current.effective);
    let value = c.value - r.value;
    let mut answer = Answer::exact(value, c.rows.1, effective, interval, context).bounded(
        c.bound_low - r.bound_high,
        c.bound_high - r.bound_low,
        (f64::NEG_INFINITY, f64::INFINITY),
    );
    answer.part = current.part.clone();
    if let Ok(outcome) = &mut answer.outcome {
        outcome.rows = (r.rows.1, c.rows.1);
        outcome.value_if_no_change = Some(0.0);
    }
    Ok(answer)
}

fn not_applicable<T>(reason: impl Into<String>) -> Result<T, NotApplicable> {
    Err(NotApplicable(reason.into()))
}

/// A number without bounds or interval yet.
fn outcome(value: f64, rows: u64) -> Outcome {
    Outcome {
        value,
        bound_low: value,
        bound_high: value,
        exactness: Exactness::Exact,
        ci: None,
        interval: None,
        value_if_no_change: None,
        pvalue: None,
        minimum_detectable: None,
        rows: (0, rows),
        support_mismatch: false,
        message: None,
        dependence: None,
    }
}

impl Answer {
    /// An exact value with its interval.
    fn exact(
        value: f64,
        rows: u64,
        effective: f64,
        interval: Option<Interval>,
        context: &Context,
    ) -> Self {
        let mut outcome = outcome(value, rows);
        if let Some(interval) = &interval {
            let (low, high) = interval.at(context.alpha);
            outcome.ci = Some((low.min(value), high.max(value)));
            outcome.minimum_detectable = Some(0.5 * (high - low));
            outcome.interval = Some(statistics::Interval::Metric(Box::new(interval.clone())));
        }
        Answer {
            part: None,
            outcome: Ok(outcome),
            effective,
            interval,
        }
    }

    /// The same between bounds that hold always; exact where they meet.
    fn bounded(mut self, low: f64, high: f64, range: (f64, f64)) -> Self {
        if let Ok(outcome) = &mut self.outcome
            && low < high
        {
            let outward = |x: f64, sign: f64| x + sign * 16.0 * f64::EPSILON * x.abs().max(1.0);
            outcome.exactness = Exactness::Certified;
            outcome.bound_low = outward(low, -1.0).max(range.0).min(outcome.value);
            outcome.bound_high = outward(high, 1.0).min(range.1).max(outcome.value);
            let bounds = (outcome.bound_low, outcome.bound_high);
            outcome.ci = outcome.ci.map(|c| (c.0.min(bounds.0), c.1.max(bounds.1)));
            self.interval = self
                .interval
                .map(|i| Interval::Covering(bounds, Box::new(i)));
            outcome.interval = self
                .interval
                .clone()
                .map(|i| statistics::Interval::Metric(Box::new(i)));
        }
        self
    }

    fn part(mut self, part: impl Into<String>) -> Self {
        self.part = Some(part.into());
        self
    }

    fn message(mut self, message: Option<String>) -> Self {
        if let (Ok(outcome), Some(new)) = (&mut self.outcome, message) {
            outcome.message = Some(match outcome.message.take() {
                Some(old) => format!("{old}; {new}"),
                None => new,
            });
        }
        self
    }
}

/// The confusion table; every metric that asks has checked that it is there.
fn table(state: &State) -> Result<Table, NotApplicable> {
    state
        .table()
        .ok_or_else(|| NotApplicable("the state holds no confusion table".into()))
}

/// A metric that is a share of rows.
fn share(
    success: Amount,
    failure: Amount,
    nothing: &str,
    state: &State,
    context: &Context,
) -> Result<Vec<Answer>, NotApplicable> {
    let Some(share) = Share::of(success, failure, context.design_effect) else {
        return not_applicable(nothing);
    };
    Ok(vec![Answer::exact(
        share.p,
        state.coverage().used,
        share.n,
        Some(Interval::Wilson(share)),
        context,
    )])
}

/// Precision, recall or F1: shares and averages of shares of one class against the rest.
struct Ratio {
    /// Weight of true positives, false positives and false negatives below the line; above it are
    /// the true positives with the first of them.
    parts: [f64; 3],
    nothing: &'static str,
}

impl Ratio {
    fn evaluate(&self, state: &State, context: &Context) -> Result<Vec<Answer>, NotApplicable> {
        let table = table(state)?;
        let [a, b, c] = self.parts;
        let below = |t: &[Amount; 4]| a * t[0].w + b * t[1].w + c * t[2].w;
        let rows = state.coverage().used;
        if context.average == Average::Binary {
            if table.k != 2 {
                return not_applicable(format!(
                    "the label has {} classes; the average is macro, micro or weighted",
                    table.k
                ));
            }
            let t = table.one_against_rest(1);
            let others = [(b, t[1]), (c, t[2])];
            let failure = others.into_iter().filter(|o| o.0 > 0.0).map(|o| o.1).sum();
            let Some(share) = Share::of(t[0], failure, context.design_effect) else {
                return not_applicable(self.nothing);
            };
            let (value, interval) = if a > 1.0 {
                (a * t[0].w / below(&t), Interval::WilsonF1(share))
            } else {
                (share.p, Interval::Wilson(share))
            };
            return Ok(vec![Answer::exact(
                value,
                rows,
                share.n,
                Some(interval),
                context,
            )]);
        }
        if context.average == Average::Micro {
            // Over all classes false positives and false negatives are the same rows.
            let right = table.right();
            let wrong = Amount {
                w: (table.total().w - right.w).max(0.0),
                w2: (table.total().w2 - right.w2).max(0.0),
            };
            return share(right, wrong, self.nothing, state, context);
        }
        let classes: Vec<_> = (0..table.k).map(|k| table.one_against_rest(k)).collect();
        // scikit-learn averages over the classes that occur; a class with nothing below counts 0.
        let occurs = |t: &[Amount; 4]| t[0].w + t[1].w + t[2].w > 0.0;
        let present = classes.iter().filter(|t| occurs(t)).count() as f64;
        let total = table.total().w;
        let weight = |t: &[Amount; 4]| match context.average {
            Average::Weighted => (t[0].w + t[2].w) / total,
            _ if occurs(t) => 1.0 / present,
            _ => 0.0,
        };
        let of = |t: &[Amount; 4]| {
            if below(t) > 0.0 {
                a * t[0].w / below(t)
            } else {
                0.0
            }
        };
        let value: f64 = classes.iter().map(|t| weight(t) * of(t)).sum();
        let gradient = |i: usize, j: usize| -> f64 {
            let mut g = 0.0;
            for (k, t) in classes.iter().enumerate() {
                let d = below(t);
                if d > 0.0 {
                    let (above, under) = match (i == k, j == k) {
                        (true, true) => (a, a),
                        (false, true) => (0.0, b),
                        (true, false) => (0.0, c),
                        (false, false) => (0.0, 0.0),
                    };
                    g += weight(t) * (above - of(t) * under) / d;
                }
            }
            if context.average == Average::Weighted {
                g += (of(&classes[i]) - value) / total;
            }
            g
        };
        let effective = table.total().effective() / context.design_effect;
        let se = libm::sqrt(table.variance(gradient) * context.design_effect);
        let interval = on_scale(value, (value, value), se, Scale::Logit, (0.0, 1.0));
        let undefined = classes
            .iter()
            .filter(|t| occurs(t) && below(t) <= 0.0)
            .count();
        let told = (undefined > 0)
            .then(|| format!("{undefined} classes with nothing to divide by count as 0"));
        Ok(vec![
            Answer::exact(value, rows, effective, interval, context).message(told),
        ])
    }
}

/// Normal interval on a scale from the standard error of the value; none where it is degenerate.
fn on_scale(
    value: f64,
    bounds: (f64, f64),
    se: f64,
    scale: Scale,
    range: (f64, f64),
) -> Option<Interval> {
    let se = se * scale.slope(value);
    (se.is_finite() && se > 0.0).then_some(Interval::Scaled {
        bounds,
        bias: 0.0,
        se,
        df: None,
        scale,
        range,
    })
}

/// Mean of a loss that is never negative: Student's t on the logarithm (delta method).
fn mean_loss(
    loss: Loss,
    root: bool,
    state: &State,
    context: &Context,
) -> Result<Vec<Answer>, NotApplicable> {
    let Some(sums) = state.loss(loss) else {
        return not_applicable("the state does not hold this loss");
    };
    let rows = state.coverage();
    if sums.outside() > 0 {
        let (low, high) = rows.range.unwrap_or((f64::NAN, f64::NAN));
        return not_applicable(format!(
            "{} of {} rows are outside the domain, {}; predictions range from {low} to {high}",
            sums.outside(),
            rows.used,
            loss.domain(),
        ));
    }
    let mean = sums.mean(rows.used, state.amount(), state.plan().weighting);
    let effective = mean.effective / context.design_effect;
    let (value, factor) = if root {
        (libm::sqrt(mean.value), 0.5)
    } else {
        (mean.value, 1.0)
    };
    let se = factor * libm::sqrt(mean.variance * context.design_effect) / mean.value;
    let usable = se.is_finite() && se > 0.0 && effective > 1.0;
    let interval = usable.then_some(Interval::Scaled {
        bounds: (value, value),
        bias: 0.0,
        se,
        df: Some(effective - 1.0),
        scale: Scale::Log,
        range: (0.0, f64::INFINITY),
    });
    let told = match usable {
        true => None,
        false if effective <= 1.0 => Some("no interval from one effective row".to_owned()),
        false => Some("every row has the same loss: no interval".to_owned()),
    };
    let unnormalised = (rows.unnormalised > 0).then(|| {
        format!(
            "the probabilities of {} rows do not sum to 1 within 1e-5",
            rows.unnormalised
        )
    });
    Ok(vec![
        Answer::exact(value, rows.used, effective, interval, context)
            .message(told)
            .message(unnormalised),
    ])
}

/// Sum with error compensation (Neumaier 1974).
#[derive(Debug, Clone, Copy, Default)]
struct Accurate {
    total: f64,
    lost: f64,
}

impl Accurate {
    fn add(&mut self, x: f64) {
        let next = self.total + x;
        self.lost += if self.total.abs() >= x.abs() {
            (self.total - next) + x
        } else {
            (x - next) + self.total
        };
        self.total = next;
    }
    fn value(self) -> f64 {
        self.total + self.lost
    }
}
