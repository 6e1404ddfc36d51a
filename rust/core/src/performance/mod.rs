//! Performance of a model by group: states of label and prediction, and their rows.
//!
//! A [`Performance`] is what one pass over label, prediction, weight and the columns that cut rows
//! leaves behind: a function of the multiset of rows alone, whatever the files, their order and the
//! threads. Each group holds a state of all its rows and, where rows have blocks, small states of
//! each block, whose variance every interval takes.

mod codec;
mod parts;
mod rows;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::{
    self, Batch, Fairness, Label, MISSING, Metric, Part, Plan, Prediction, State, Task, Weighting,
    equal_width,
};
use crate::profile::GroupKey;
use crate::{Error, Result};

pub use parts::too_many;
pub use rows::{KIND, WORSENING, rows};

/// Most cells of the histogram of scores: of a group, of a segment, and of a block of either. A window
/// of 32,768 different scores or fewer is exact.
const CELLS: [[u32; 2]; 2] = [[1 << 15, 1 << 10], [1 << 11, 1 << 6]];
/// Most groups of a protected column.
pub const MAX_PROTECTED: usize = 64;

/// A class of the label as the configuration names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Class {
    /// A number; false and true are 0 and 1.
    Number(f64),
    /// Text.
    Text(String),
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// `binary`, `multiclass` or `regression`.
    pub task: String,
    /// Column of the labels.
    pub label: String,
    /// Column of scores of the positive class, or of predicted numbers.
    #[serde(default)]
    pub score: Option<String>,
    /// Column of predicted classes, where there is no score.
    #[serde(default)]
    pub prediction: Option<String>,
    /// The classes in their order; of two the second is positive.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// Smallest score that predicts the positive class.
    #[serde(default)]
    pub threshold: f64,
    /// A number near the labels, about which their variation is summed.
    #[serde(default)]
    pub center: f64,
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// Columns whose groups are compared, of binary labels.
    #[serde(default)]
    pub protected: Vec<String>,
    /// Rows weigh at most 2 to this power; none where they count alike.
    #[serde(default)]
    pub weight_exponent: Option<i32>,
}

impl Measure {
    /// The metrics.
    ///
    /// # Errors
    /// A name that is no metric.
    pub fn metrics(&self) -> Result<Vec<&'static Metric>> {
        let found = self.metrics.iter().map(|name| {
            let accepted = || {
                let all = metrics::registry().iter().filter(|m| alone(m));
                all.map(|m| m.name).collect::<Vec<_>>().join(", ")
            };
            metrics::find(name).filter(|m| alone(m)).ok_or_else(|| {
                Error::invalid(format!(
                    "metric {name:?}; one of {} would be accepted",
                    accepted()
                ))
            })
        });
        found.collect()
    }

    fn task(&self) -> Result<Task> {
        Ok(match self.task.as_str() {
            "binary" => Task::Binary {
                threshold: self.threshold,
            },
            "multiclass" => Task::Multiclass {
                classes: self.classes.len() as u32,
            },
            "regression" => Task::Regression {
                level: 0.5,
                center: self.center,
            },
            other => {
                return Err(Error::invalid(format!(
                    "task {other:?}; binary, multiclass or regression would be accepted"
                )));
            }
        })
    }

    /// How rows are weighted.
    pub fn weighting(&self) -> Weighting {
        match self.weight_exponent {
            Some(exponent) => Weighting::Sampling { exponent },
            None => Weighting::None,
        }
    }

    /// The column of predictions.
    ///
    /// # Errors
    /// Without one.
    pub fn predicted(&self) -> Result<&str> {
        let found = self.score.as_deref().or(self.prediction.as_deref());
        found.ok_or_else(|| Error::invalid("no column has the role score or prediction"))
    }

    /// The plan of a state of a segment or not, of one block or of all rows.
    fn plan(&self, segment: bool, block: bool) -> Result<Plan> {
        let task = self.task()?;
        let mut plan = Plan::new(task, self.weighting());
        let edges = match task {
            Task::Binary { .. } => equal_width(10),
            _ => Vec::new(),
        };
        for metric in self.metrics()? {
            if !metric.tasks.accept(task) {
                return Err(Error::invalid(format!(
                    "metric {:?} of a {} label; it is defined for {} labels",
                    metric.name,
                    self.task,
                    metric.tasks.as_str()
                )));
            }
            if self.score.is_none() && self.task != "regression" && metric.part != Part::Confusion {
                return Err(Error::invalid(format!(
                    "metric {:?} needs scores, and no column has the role score; metrics of predicted classes \
                     such as \"accuracy\" would be accepted",
                    metric.name
                )));
            }
            let cells = CELLS[usize::from(segment)][usize::from(block)];
            metric.part.add_to(&mut plan, cells, &edges);
        }
        Ok(plan)
    }
}

/// Whether a metric is one number of a window, without costs.
fn alone(metric: &Metric) -> bool {
    !matches!(metric.name, "cost" | "confusion_matrix")
}

/// Columns of some rows, in one order.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Classes of the labels, [`MISSING`] where there is none; of classes.
    pub classes: Vec<u32>,
    /// Labels, NaN where there is none; of numbers.
    pub values: Vec<f64>,
    /// Scores or predicted numbers, NaN where there is none.
    pub scores: Vec<f64>,
    /// Predicted classes; where there are no scores.
    pub predicted: Vec<u32>,
    /// Weights, where rows have any.
    pub weights: Option<Vec<f64>>,
    /// Group of each protected column.
    pub protected: Vec<Vec<u32>>,
}

impl Rows {
    /// Some of the rows.
    pub fn take(&self, rows: &[u32]) -> Self {
        fn some<T: Copy>(all: &[T], rows: &[u32]) -> Vec<T> {
            let found = rows.iter().filter_map(|i| all.get(*i as usize).copied());
            found.collect()
        }
        Rows {
            classes: some(&self.classes, rows),
            values: some(&self.values, rows),
            scores: some(&self.scores, rows),
            predicted: some(&self.predicted, rows),
            weights: self.weights.as_ref().map(|w| some(w, rows)),
            protected: self.protected.iter().map(|p| some(p, rows)).collect(),
        }
    }

    fn batch(&self, measure: &Measure) -> Batch<'_> {
        Batch {
            label: match measure.task.as_str() {
                "regression" => Label::Value(&self.values),
                _ => Label::Class(&self.classes),
            },
            prediction: match measure.score.is_some() || measure.task == "regression" {
                true => Prediction::Score(&self.scores),
                false => Prediction::Class(&self.predicted),
            },
            weight: self.weights.as_deref(),
        }
    }
}

/// States of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// All rows.
    pub whole: State,
    /// The rows of each block, by its key.
    pub blocks: BTreeMap<i64, State>,
    /// By protected column: all rows, and the rows of each block.
    pub fairness: Vec<(Fairness, BTreeMap<i64, Fairness>)>,
    /// Labels that are none of the classes: how many, and the first by text.
    pub strange: (u64, Option<String>),
}

impl Group {
    /// Adds the rows of another group.
    ///
    /// # Errors
    /// Of [`State::merge`].
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        use std::collections::btree_map::Entry;
        self.whole.merge(&other.whole)?;
        for (key, state) in &other.blocks {
            match self.blocks.entry(*key) {
                Entry::Vacant(slot) => slot.insert(state.clone()).finish()?,
                Entry::Occupied(slot) => slot.into_mut().merge(state)?,
            }
        }
        for (a, b) in self.fairness.iter_mut().zip(&other.fairness) {
            a.0.merge(&b.0)?;
            for (key, state) in &b.1 {
                match a.1.entry(*key) {
                    Entry::Vacant(slot) => {
                        slot.insert(state.clone());
                    }
                    Entry::Occupied(slot) => slot.into_mut().merge(state)?,
                }
            }
        }
        self.strange.0 = self.strange.0.saturating_add(other.strange.0);
        self.strange.1 = match (self.strange.1.take(), other.strange.1.clone()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(())
    }
}

/// States of every group of one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Performance {
    /// What is measured.
    pub measure: Measure,
    /// Groups of each protected column, in the order of their codes.
    pub protected: Vec<Vec<String>>,
    /// States by group.
    pub groups: BTreeMap<GroupKey, Group>,
    /// What blocks are, where rows have any.
    pub block: Option<String>,
}

impl Performance {
    /// No rows.
    ///
    /// # Errors
    /// When the measure cannot be taken.
    pub fn empty(
        measure: Measure,
        protected: Vec<Vec<String>>,
        block: Option<String>,
    ) -> Result<Self> {
        State::empty(measure.plan(false, false)?)?;
        if measure.task == "multiclass" && measure.score.is_some() {
            return Err(Error::invalid(
                "a label of several classes with one score; the column of predicted classes would be accepted",
            ));
        }
        Ok(Self {
            measure,
            protected,
            groups: BTreeMap::new(),
            block,
        })
    }

    /// No rows of one group.
    ///
    /// # Errors
    /// Of [`State::empty`].
    pub fn group(&self, segment: bool) -> Result<Group> {
        let fair = |names: &Vec<String>| {
            let groups = names.len().max(1) as u32;
            Ok((
                Fairness::empty(groups, self.measure.weighting())?,
                BTreeMap::new(),
            ))
        };
        Ok(Group {
            whole: State::empty(self.measure.plan(segment, false)?)?,
            blocks: BTreeMap::new(),
            fairness: match segment {
                true => Vec::new(),
                false => self.protected.iter().map(fair).collect::<Result<_>>()?,
            },
            strange: (0, None),
        })
    }

    /// Adds rows of one block to a group; `block` is none where rows have no blocks.
    ///
    /// # Errors
    /// Of [`State::update`].
    pub fn update(
        &self,
        group: &mut Group,
        segment: bool,
        block: Option<i64>,
        rows: &Rows,
    ) -> Result<()> {
        let batch = rows.batch(&self.measure);
        group.whole.update(&batch)?;
        if let Some(key) = block {
            let state = match group.blocks.entry(key) {
                std::collections::btree_map::Entry::Occupied(e) => e.into_mut(),
                std::collections::btree_map::Entry::Vacant(e) => {
                    e.insert(State::empty(self.measure.plan(segment, true)?)?)
                }
            };
            state.update(&batch)?;
        }
        let positive: Vec<u32> = match (&group.fairness[..], self.measure.score.is_some()) {
            ([], _) => Vec::new(),
            (_, false) => rows.predicted.clone(),
            (_, true) => {
                let threshold = self.measure.threshold;
                let class = |f: &f64| match f.is_nan() {
                    true => MISSING,
                    false => u32::from(*f >= threshold),
                };
                rows.scores.iter().map(class).collect()
            }
        };
        for ((whole, blocks), codes) in group.fairness.iter_mut().zip(&rows.protected) {
            let weights = rows.weights.as_deref();
            if let Some(key) = block {
                let of = blocks.entry(key).or_insert_with(|| whole.nothing());
                of.update(codes, &rows.classes, &positive, weights)?;
            }
            whole.update(codes, &rows.classes, &positive, weights)?;
        }
        Ok(())
    }

    /// Adds the rows of a group.
    ///
    /// # Errors
    /// Of [`State::merge`].
    pub fn merge(&mut self, key: GroupKey, group: Group) -> Result<()> {
        use std::collections::btree_map::Entry;
        match self.groups.entry(key) {
            Entry::Vacant(slot) => {
                let group = slot.insert(group);
                group.whole.finish()?;
                group.blocks.values_mut().try_for_each(State::finish)
            }
            Entry::Occupied(slot) => slot.into_mut().merge(&group),
        }
    }

    /// Rows of all groups that are not segments, and those among them that metrics are taken over.
    pub fn rows(&self) -> (u64, u64) {
        let totals = self.groups.iter().filter(|(k, _)| k.segment.is_none());
        let coverage = totals.map(|(_, g)| g.whole.coverage());
        coverage.fold((0, 0), |(rows, used), c| {
            (rows.saturating_add(c.rows), used.saturating_add(c.used))
        })
    }
}
