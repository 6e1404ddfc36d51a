//! The joint state of label and prediction: what every metric is read off.

use super::bands::{BandSums, Bands};
use super::confusion::{Confusion, Table};
use super::loss::{Loss, LossSum, log_loss};
use super::scores::Scores;
use super::variation::Variation;
use super::weight::{Amount, Mass, Weighting};
use crate::codec::{Reader, Writer};
use crate::kernels::BLOCK;
use crate::{Error, Result};

/// Code of a label or predicted class that is missing.
pub const MISSING: u32 = u32::MAX;
/// Most classes of a task; a table of them is a million cells.
pub const MAX_CLASSES: u32 = 1024;

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Task {
    /// Label 0 or 1; a score at or above the threshold predicts 1.
    Binary {
        /// Smallest score that predicts the positive class.
        threshold: f64,
    },
    /// One of some classes, coded from 0.
    Multiclass {
        /// Number of classes.
        classes: u32,
    },
    /// A number.
    Regression {
        /// Level of the pinball loss.
        level: f64,
        /// The labels' variation is summed about it: any number near them, the same in all parts.
        center: f64,
    },
}

/// What a state holds. States merge when their plans are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is predicted.
    pub task: Task,
    /// How rows are weighted.
    pub weighting: Weighting,
    /// Keep the table of label x predicted class.
    pub confusion: bool,
    /// Losses to sum, ascending and each once.
    pub losses: Vec<Loss>,
    /// Inner edges of the bands of the prediction, ascending.
    pub bands: Option<Vec<f64>>,
    /// Keep the histogram of score x label in at most so many cells (binary labels).
    pub scores: Option<u32>,
    /// Keep what R2 needs.
    pub variation: bool,
}

impl Plan {
    /// A plan without any part.
    pub fn new(task: Task, weighting: Weighting) -> Self {
        Self {
            task,
            weighting,
            confusion: false,
            losses: Vec::new(),
            bands: None,
            scores: None,
            variation: false,
        }
    }

    /// All parts that a task has, as a profile keeps them: bands of a tenth for probabilities, and
    /// at most `cells` cells of score by label.
    pub fn full(task: Task, weighting: Weighting, cells: u32) -> Self {
        let mut plan = Self::new(task, weighting);
        match task {
            Task::Binary { .. } => {
                plan.confusion = true;
                plan.losses = vec![Loss::Log, Loss::Brier];
                plan.bands = Some(super::equal_width(10));
                plan.scores = Some(cells);
            }
            Task::Multiclass { .. } => {
                plan.confusion = true;
                plan.losses = vec![Loss::Log, Loss::Brier];
            }
            Task::Regression { .. } => {
                plan.losses = Loss::ALL[2..].to_vec();
                plan.variation = true;
            }
        }
        plan
    }

    /// Checks what [`State::empty`] relies on.
    fn check(&self) -> Result<()> {
        let finite = |what: &str, x: f64| {
            if x.is_finite() {
                Ok(())
            } else {
                Err(Error::invalid(format!("{what} is {x}; it must be finite")))
            }
        };
        match self.task {
            Task::Binary { threshold } if threshold.is_nan() => {
                return Err(Error::invalid("threshold is NaN; it must be a number"));
            }
            Task::Multiclass { classes } if !(2..=MAX_CLASSES).contains(&classes) => {
                return Err(Error::invalid(format!(
                    "{classes} classes; 2 to {MAX_CLASSES} are accepted"
                )));
            }
            Task::Regression { level, .. } if !(0.0..=1.0).contains(&level) => {
                return Err(Error::invalid(format!(
                    "pinball level is {level}; it lies between 0 and 1"
                )));
            }
            Task::Regression { center, .. } => finite("centre of the labels", center)?,
            _ => {}
        }
        let binary = matches!(self.task, Task::Binary { .. });
        let regression = matches!(self.task, Task::Regression { .. });
        if (self.scores.is_some() && !binary)
            || (self.bands.is_some() && !binary && !regression)
            || (self.confusion && regression)
            || (self.variation && !regression)
        {
            return Err(Error::invalid("a part that this task does not have"));
        }
        if self.losses.windows(2).any(|l| l[0] >= l[1])
            || self
                .losses
                .iter()
                .any(|l| matches!(l, Loss::Log | Loss::Brier) == regression)
        {
            return Err(Error::invalid("losses that this task does not have"));
        }
        let edges = self.bands.as_deref().unwrap_or_default();
        edges
            .iter()
            .try_for_each(|e| finite("edge of a band", *e))?;
        if edges.len() > 4096 || edges.windows(2).any(|e| e[0] >= e[1]) {
            return Err(Error::invalid(
                "edges of bands do not ascend, or are more than 4096",
            ));
        }
        Ok(())
    }

    fn classes(&self) -> usize {
        match self.task {
            Task::Multiclass { classes } => classes as usize,
            _ => 2,
        }
    }

    fn encode(&self, w: &mut Writer) {
        match self.task {
            Task::Binary { threshold } => {
                w.u8(0);
                w.f64(threshold);
            }
            Task::Multiclass { classes } => {
                w.u8(1);
                w.varint(u64::from(classes));
            }
            Task::Regression { level, center } => {
                w.u8(2);
                w.f64(level);
                w.f64(center);
            }
        }
        self.weighting.encode(w);
        w.u8(u8::from(self.confusion) | u8::from(self.variation) << 1);
        w.u8(self.losses.iter().map(|l| 1 << (*l as u8)).sum());
        w.varint(self.bands.as_ref().map_or(0, |b| b.len() as u64 + 1));
        for e in self.bands.iter().flatten() {
            w.f64(*e);
        }
        w.varint(u64::from(self.scores.unwrap_or(0)));
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let task = match r.u8()? {
            0 => Task::Binary {
                threshold: r.f64()?,
            },
            1 => Task::Multiclass {
                classes: u32::try_from(r.varint()?).unwrap_or(0),
            },
            2 => Task::Regression {
                level: r.f64()?,
                center: r.f64()?,
            },
            k => return Err(Error::corrupt(format!("task {k}; 0 to 2"))),
        };
        let weighting = Weighting::decode(r)?;
        let flags = r.u8()?;
        let losses = r.u8()?;
        let bands = match r.len(8) {
            Ok(0) => None,
            Ok(n) => Some((1..n).map(|_| r.f64()).collect::<Result<_>>()?),
            Err(e) => return Err(e),
        };
        let scores = u32::try_from(r.varint()?).map_err(|_| Error::corrupt("histogram cap"))?;
        let plan = Plan {
            task,
            weighting,
            confusion: flags & 1 == 1,
            losses: Loss::ALL
                .into_iter()
                .filter(|l| losses >> (*l as u8) & 1 == 1)
                .collect(),
            bands,
            scores: (scores > 0).then_some(scores),
            variation: flags >> 1 & 1 == 1,
        };
        if flags > 3 {
            return Err(Error::corrupt("unknown parts of a metric state"));
        }
        plan.check().map_err(|e| Error::corrupt(e.to_string()))?;
        Ok(plan)
    }
}

/// Labels of a batch of rows.
#[derive(Debug, Clone, Copy)]
pub enum Label<'a> {
    /// Codes of classes, [`MISSING`] where there is no label.
    Class(&'a [u32]),
    /// Numbers, NaN where there is no label.
    Value(&'a [f64]),
}

/// Predictions of a batch of rows.
#[derive(Debug, Clone, Copy)]
pub enum Prediction<'a> {
    /// Codes of classes, [`MISSING`] where there is no prediction.
    Class(&'a [u32]),
    /// Scores of the positive class, or predicted numbers; NaN where there is none.
    Score(&'a [f64]),
    /// Probabilities, one slice a class; a row with a NaN has no prediction.
    Probabilities(&'a [&'a [f64]]),
}

/// Rows to add: slices of one length.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Labels.
    pub label: Label<'a>,
    /// Predictions.
    pub prediction: Prediction<'a>,
    /// Sampling weights, where the plan has them.
    pub weight: Option<&'a [f64]>,
}

/// How many rows took part, and why the others did not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Coverage {
    /// Rows added.
    pub rows: u64,
    /// Rows without a label (null or NaN).
    pub unlabelled: u64,
    /// Rows without a prediction (null or NaN).
    pub unpredicted: u64,
    /// Rows with both, which the metrics are taken over.
    pub used: u64,
    /// Rows among them where a number is infinite.
    pub infinite: u64,
    /// Rows among them whose probabilities do not sum to 1 within 1e-5.
    pub unnormalised: u64,
    /// Smallest and largest prediction used.
    pub range: Option<(f64, f64)>,
}

impl Coverage {
    /// Share of rows with a label; NaN without rows.
    pub fn label_coverage(&self) -> f64 {
        (self.rows - self.unlabelled.min(self.rows)) as f64 / self.rows as f64
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        let add = |a: &mut u64, b: u64| {
            *a = a.checked_add(b).ok_or(Error::Overflow("rows"))?;
            Ok::<_, Error>(())
        };
        add(&mut self.rows, other.rows)?;
        add(&mut self.unlabelled, other.unlabelled)?;
        add(&mut self.unpredicted, other.unpredicted)?;
        add(&mut self.used, other.used)?;
        add(&mut self.infinite, other.infinite)?;
        add(&mut self.unnormalised, other.unnormalised)?;
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        Ok(())
    }

    fn see(&mut self, f: f64) {
        let f = f + 0.0; // -0 and +0 are one value
        let (low, high) = self.range.unwrap_or((f, f));
        self.range = Some((low.min(f), high.max(f)));
    }

    fn encode(&self, w: &mut Writer) {
        for n in [
            self.rows,
            self.unlabelled,
            self.unpredicted,
            self.used,
            self.infinite,
            self.unnormalised,
        ] {
            w.varint(n);
        }
        w.u8(u8::from(self.range.is_some()));
        if let Some((low, high)) = self.range {
            w.f64(low);
            w.f64(high);
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let mut n = [0; 6];
        for x in &mut n {
            *x = r.varint()?;
        }
        let [rows, unlabelled, unpredicted, used, infinite, unnormalised] = n;
        let range = match r.u8()? {
            0 => None,
            1 => Some((r.f64()?, r.f64()?)),
            k => return Err(Error::corrupt(format!("range {k}; 0 or 1"))),
        };
        let sums = unlabelled <= rows && unpredicted <= rows && used <= rows - unlabelled;
        if !sums || infinite > used || unnormalised > used {
            return Err(Error::corrupt("coverage of a metric state"));
        }
        if range.is_some_and(|(a, b)| a > b || a.is_nan() || b.is_nan()) {
            return Err(Error::corrupt("range of predictions"));
        }
        Ok(Self {
            rows,
            unlabelled,
            unpredicted,
            used,
            infinite,
            unnormalised,
            range,
        })
    }
}

/// A mergeable summary of rows of label and prediction: a function of their multiset alone.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    plan: Plan,
    coverage: Coverage,
    /// Weight of the rows used.
    mass: Mass,
    confusion: Option<Confusion>,
    losses: Vec<LossSum>,
    bands: Option<Bands>,
    scores: Option<Scores>,
    variation: Option<Variation>,
}

impl State {
    /// No rows.
    ///
    /// # Errors
    /// When the plan asks for what its task does not have.
    pub fn empty(plan: Plan) -> Result<Self> {
        plan.check()?;
        Ok(Self {
            coverage: Coverage::default(),
            mass: Mass::default(),
            confusion: plan.confusion.then(|| Confusion::empty(plan.classes())),
            losses: vec![LossSum::default(); plan.losses.len()],
            bands: plan.bands.as_ref().map(|b| Bands::empty(b.len())),
            scores: plan.scores.map(Scores::empty),
            variation: plan.variation.then(Variation::default),
            plan,
        })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Rows added, used and left out.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When slices differ in length, a code is no class, or a weight is not finite, negative or
    /// beyond the declared largest; the message names the row. The state must then be dropped.
    pub fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        let n = match batch.label {
            Label::Class(x) => x.len(),
            Label::Value(x) => x.len(),
        };
        let lengths = match batch.prediction {
            Prediction::Class(x) => x.len() == n,
            Prediction::Score(x) => x.len() == n,
            Prediction::Probabilities(x) => x.iter().all(|c| c.len() == n),
        };
        if !lengths || batch.weight.is_some_and(|w| w.len() != n) {
            return Err(Error::invalid(
                "labels, predictions and weights differ in length",
            ));
        }
        if batch.weight.is_some() != self.plan.weighting.is_weighted() {
            return Err(Error::invalid(if batch.weight.is_some() {
                "weights given to a state planned without"
            } else {
                "no weights given to a state planned with weights"
            }));
        }
        self.coverage.rows = self
            .coverage
            .rows
            .checked_add(n as u64)
            .ok_or(Error::Overflow("rows"))?;
        for from in (0..n).step_by(BLOCK) {
            self.block(batch, from, n.min(from + BLOCK))?;
        }
        Ok(())
    }

    /// Adds at most [`BLOCK`] rows.
    fn block(&mut self, batch: &Batch<'_>, from: usize, to: usize) -> Result<()> {
        let weighting = self.plan.weighting;
        let mut rows = Vec::with_capacity(to - from);
        for i in from..to {
            let labelled = match batch.label {
                Label::Class(x) => x[i] != MISSING,
                Label::Value(x) => !x[i].is_nan(),
            };
            let predicted = match batch.prediction {
                Prediction::Class(x) => x[i] != MISSING,
                Prediction::Score(x) => !x[i].is_nan(),
                Prediction::Probabilities(x) => x.iter().all(|c| !c[i].is_nan()),
            };
            // A weight is checked even where its row is left out.
            let weight = match batch.weight {
                Some(w) => weighting.relative(w[i], i)?,
                None => 1.0,
            };
            self.coverage.unlabelled += u64::from(!labelled);
            self.coverage.unpredicted += u64::from(!predicted);
            if labelled && predicted {
                self.mass.add(weighting, weight)?;
                rows.push((i, weight));
            }
        }
        self.coverage.used += rows.len() as u64;
        match (batch.label, batch.prediction, self.plan.task) {
            (
                Label::Class(y),
                Prediction::Class(f),
                Task::Binary { .. } | Task::Multiclass { .. },
            ) => self.classes(y, f, &rows),
            (Label::Class(y), Prediction::Score(f), Task::Binary { threshold }) => {
                self.binary(y, f, threshold, &rows)
            }
            (Label::Class(y), Prediction::Probabilities(f), Task::Multiclass { .. })
                if f.len() == self.plan.classes() =>
            {
                self.probabilities(y, f, &rows)
            }
            (Label::Value(y), Prediction::Score(f), Task::Regression { level, center }) => {
                self.regression(y, f, level, center, &rows)
            }
            _ => Err(Error::invalid(
                "labels or predictions of another kind than the task's",
            )),
        }
    }

    fn classes(&mut self, y: &[u32], f: &[u32], rows: &[(usize, f64)]) -> Result<()> {
        if !self.plan.losses.is_empty() || self.plan.scores.is_some() || self.plan.bands.is_some() {
            return Err(Error::invalid(
                "predicted classes, where scores or probabilities are needed",
            ));
        }
        if let Some(confusion) = &mut self.confusion {
            for (i, w) in rows {
                confusion.add(y[*i], f[*i], self.plan.weighting, *w)?;
            }
        }
        Ok(())
    }

    fn binary(
        &mut self,
        y: &[u32],
        f: &[f64],
        threshold: f64,
        rows: &[(usize, f64)],
    ) -> Result<()> {
        let weighting = self.plan.weighting;
        for (i, w) in rows {
            let (y, f) = (y[*i], f[*i]);
            if y > 1 {
                return Err(Error::invalid(format!(
                    "class {y} of a binary label in row {i}"
                )));
            }
            self.coverage.see(f);
            self.coverage.infinite += u64::from(f.is_infinite());
            if let Some(confusion) = &mut self.confusion {
                confusion.add(y, u32::from(f >= threshold), weighting, *w)?;
            }
            if let (Some(bands), Some(edges)) = (&mut self.bands, &self.plan.bands)
                && f.is_finite()
            {
                bands.add(edges, f64::from(y), f, weighting, *w)?;
            }
        }
        if let Some(scores) = &mut self.scores {
            let rows = rows.iter().map(|(i, w)| (f[*i], y[*i] == 1, *w));
            scores.update(rows, weighting)?;
        }
        self.sum_losses(rows, |loss, i| loss.of(f64::from(y[i]), f[i], 0.5));
        Ok(())
    }

    fn probabilities(&mut self, y: &[u32], f: &[&[f64]], rows: &[(usize, f64)]) -> Result<()> {
        let classes = f.len();
        for (i, w) in rows {
            let label = y[*i];
            if label as usize >= classes {
                return Err(Error::invalid(format!(
                    "class {label} of {classes} classes in row {i}"
                )));
            }
            let (mut best, mut total) = (0, 0.0);
            for (class, p) in f.iter().enumerate() {
                self.coverage.see(p[*i]);
                total += p[*i];
                if p[*i] > f[best][*i] {
                    best = class;
                }
            }
            self.coverage.infinite += u64::from(!total.is_finite());
            self.coverage.unnormalised += u64::from((total - 1.0).abs() > 1e-5);
            if let Some(confusion) = &mut self.confusion {
                confusion.add(label, best as u32, self.plan.weighting, *w)?;
            }
        }
        self.sum_losses(rows, |loss, i| {
            if !f.iter().all(|p| (0.0..=1.0).contains(&p[i])) {
                return f64::NAN;
            }
            let label = y[i] as usize;
            match loss {
                Loss::Log => log_loss(f[label][i]),
                _ => f
                    .iter()
                    .enumerate()
                    .map(|(class, p)| {
                        let d = p[i] - if class == label { 1.0 } else { 0.0 };
                        d * d
                    })
                    .sum(),
            }
        });
        Ok(())
    }

    fn regression(
        &mut self,
        y: &[f64],
        f: &[f64],
        level: f64,
        center: f64,
        rows: &[(usize, f64)],
    ) -> Result<()> {
        let weighting = self.plan.weighting;
        for (i, w) in rows {
            let (y, f) = (y[*i], f[*i]);
            self.coverage.see(f);
            if !(y.is_finite() && f.is_finite()) {
                self.coverage.infinite += 1;
                continue;
            }
            if let (Some(bands), Some(edges)) = (&mut self.bands, &self.plan.bands) {
                bands.add(edges, y, f, weighting, *w)?;
            }
            if let Some(variation) = &mut self.variation {
                variation.add(y, f, center, *w);
            }
        }
        self.sum_losses(rows, |loss, i| loss.of(y[i], f[i], level));
        Ok(())
    }

    fn sum_losses(&mut self, rows: &[(usize, f64)], of: impl Fn(Loss, usize) -> f64) {
        if self.losses.is_empty() {
            return;
        }
        let weights: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let mut values = Vec::with_capacity(rows.len());
        for (loss, sum) in self.plan.losses.iter().zip(&mut self.losses) {
            values.clear();
            values.extend(rows.iter().map(|(i, _)| of(*loss, *i)));
            sum.update(&values, &weights, self.plan.weighting);
        }
    }

    /// Adds the rows of another state.
    ///
    /// # Errors
    /// When the plans differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.plan != other.plan {
            return Err(Error::incompatible(
                "metric states of different plans; merge states of one task, weighting and parts",
            ));
        }
        self.coverage.merge(&other.coverage)?;
        self.mass.merge(&other.mass)?;
        if let (Some(a), Some(b)) = (&mut self.confusion, &other.confusion) {
            a.merge(b)?;
        }
        for (a, b) in self.losses.iter_mut().zip(&other.losses) {
            a.merge(b);
        }
        if let (Some(a), Some(b)) = (&mut self.bands, &other.bands) {
            a.merge(b)?;
        }
        if let (Some(a), Some(b)) = (&mut self.scores, &other.scores) {
            a.merge(b, self.plan.weighting)?;
        }
        if let (Some(a), Some(b)) = (&mut self.variation, &other.variation) {
            a.merge(b);
        }
        Ok(())
    }

    /// Brings the state into its canonical form; reading and encoding do so on a copy otherwise.
    ///
    /// # Errors
    /// When counts leave their range.
    pub fn finish(&mut self) -> Result<()> {
        match &mut self.scores {
            Some(scores) => scores.settle(self.plan.weighting),
            None => Ok(()),
        }
    }

    /// Writes plan and state.
    ///
    /// # Errors
    /// When counts leave their range.
    pub fn encode(&self, w: &mut Writer) -> Result<()> {
        let weighting = self.plan.weighting;
        self.plan.encode(w);
        self.coverage.encode(w);
        self.mass.encode(weighting, w);
        if let Some(c) = &self.confusion {
            c.encode(weighting, w);
        }
        self.losses.iter().for_each(|l| l.encode(weighting, w));
        if let Some(b) = &self.bands {
            b.encode(weighting, w);
        }
        if let Some(s) = &self.scores {
            s.encode(weighting, w)?;
        }
        if let Some(v) = &self.variation {
            v.encode(w);
        }
        Ok(())
    }

    /// Reads what [`State::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for anything else.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let plan = Plan::decode(r)?;
        let weighting = plan.weighting;
        let coverage = Coverage::decode(r)?;
        let mass = Mass::decode(weighting, r)?;
        let confusion = match plan.confusion {
            true => Some(Confusion::decode(plan.classes(), weighting, r)?),
            false => None,
        };
        let losses = plan
            .losses
            .iter()
            .map(|_| LossSum::decode(weighting, r))
            .collect::<Result<_>>()?;
        let bands = match &plan.bands {
            Some(edges) => Some(Bands::decode(edges.len(), weighting, r)?),
            None => None,
        };
        let scores = match plan.scores {
            Some(cap) => Some(Scores::decode(cap.max(2), weighting, r)?),
            None => None,
        };
        let variation = match plan.variation {
            true => Some(Variation::decode(r)?),
            false => None,
        };
        Ok(Self {
            plan,
            coverage,
            mass,
            confusion,
            losses,
            bands,
            scores,
            variation,
        })
    }

    pub(super) fn amount(&self) -> Amount {
        self.mass.amount(self.plan.weighting)
    }
    pub(super) fn table(&self) -> Option<Table> {
        let weighting = self.plan.weighting;
        self.confusion.as_ref().map(|c| c.table(weighting))
    }
    pub(super) fn loss(&self, loss: Loss) -> Option<&LossSum> {
        let at = self.plan.losses.iter().position(|l| *l == loss)?;
        self.losses.get(at)
    }
    pub(super) fn bands(&self) -> Option<(&[f64], Vec<BandSums>)> {
        let edges = self.plan.bands.as_deref()?;
        Some((edges, self.bands.as_ref()?.sums(self.plan.weighting)))
    }
    pub(super) fn scores(&self) -> Option<&Scores> {
        self.scores.as_ref()
    }
    pub(super) fn variation(&self) -> Option<&Variation> {
        self.variation.as_ref()
    }
}
