//! Metrics of arrays: a table of label, prediction and weight in, JSON out.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegauge_core::Error;
use tidegauge_core::kernels::key::mix;
use tidegauge_core::metrics::paired::{NAMES, Rows, paired as compare};
use tidegauge_core::metrics::{
    self, Answer, Average, Batch, Context, Coverage, Fairness, Label, MISSING, Metric, Part, Plan,
    Prediction, State, Task, Weighting, equal_width, evaluate_blocks, one_vs_rest,
};
use tidegauge_core::states::exact_sum::Sum;
use tidegauge_core::statistics::NotApplicable;

use crate::errors::{InputError, from_core, usage_error};

/// Options of a metric.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    task: String,
    classes: Option<u32>,
    groups: Option<u32>,
    reference: Option<u32>,
    threshold: Option<f64>,
    level: Option<f64>,
    edges: Option<Vec<f64>>,
    cells: Option<u32>,
    alpha: Option<f64>,
    design_effect: Option<f64>,
    average: Option<String>,
    shares: Option<Vec<f64>>,
    equal_mass: Option<u32>,
    costs: Option<Vec<f64>>,
}

impl Options {
    fn context(&self) -> Result<Context, Error> {
        let own = Context::default();
        Ok(Context {
            alpha: self.alpha.unwrap_or(own.alpha),
            design_effect: self.design_effect.unwrap_or(own.design_effect),
            average: match self.average.as_deref() {
                None | Some("binary") => Average::Binary,
                Some("macro") => Average::Macro,
                Some("micro") => Average::Micro,
                Some("weighted") => Average::Weighted,
                Some(other) => {
                    return Err(Error::invalid(format!(
                        "average {other:?}; binary, macro, micro or weighted are accepted"
                    )));
                }
            },
            share: own.share,
            equal_mass: self.equal_mass,
            costs: self.costs.clone().unwrap_or_default(),
        })
    }

    fn task(&self, columns: &Columns) -> Result<Task, Error> {
        Ok(match self.task.as_str() {
            "binary" => Task::Binary {
                threshold: self.threshold.unwrap_or(0.5),
            },
            "multiclass" => Task::Multiclass {
                classes: self.classes.unwrap_or(0),
            },
            "regression" => Task::Regression {
                level: self.level.unwrap_or(0.5),
                center: columns.center(),
            },
            other => {
                return Err(Error::invalid(format!(
                    "task {other:?}; binary, multiclass or regression are accepted"
                )));
            }
        })
    }
}

/// Most blocks that keep a state of their own.
const MAX_BLOCKS: u32 = 1024;

/// A column of codes or numbers; nulls are missing.
enum Column {
    Codes(Vec<u32>),
    Numbers(Vec<f64>),
}

/// The columns of a call, by name.
struct Columns {
    rows: usize,
    named: Vec<(String, Column)>,
}

impl Columns {
    fn read(py: Python<'_>, data: AnyRecordBatch) -> PyResult<Self> {
        let reader = data.into_reader()?;
        let schema = reader.schema();
        let batches = py
            .detach(|| reader.collect::<Result<Vec<RecordBatch>, _>>())
            .map_err(|e| InputError::new_err(format!("arrow stream: {e}")))?;
        let mut named = Vec::new();
        for (i, field) in schema.fields().iter().enumerate() {
            let arrays: Vec<_> = batches.iter().map(|b| b.column(i)).collect();
            let column = if let Some(codes) = collect::<UInt32Type>(&arrays, MISSING) {
                Column::Codes(codes)
            } else if let Some(numbers) = collect::<Float64Type>(&arrays, f64::NAN) {
                Column::Numbers(numbers)
            } else {
                return Err(InputError::new_err(format!(
                    "column {:?} of type {}; codes (u32) and floats are accepted",
                    field.name(),
                    field.data_type()
                )));
            };
            named.push((field.name().clone(), column));
        }
        Ok(Columns {
            rows: batches.iter().map(RecordBatch::num_rows).sum(),
            named,
        })
    }

    fn get(&self, name: &str) -> Option<&Column> {
        self.named.iter().find(|c| c.0 == name).map(|c| &c.1)
    }

    fn codes(&self, name: &str) -> Result<&[u32], Error> {
        match self.get(name) {
            Some(Column::Codes(codes)) => Ok(codes),
            _ => Err(Error::invalid(format!("no column of codes {name:?}"))),
        }
    }

    fn numbers(&self, name: &str) -> Result<&[f64], Error> {
        match self.get(name) {
            Some(Column::Numbers(numbers)) => Ok(numbers),
            _ => Err(Error::invalid(format!("no column of numbers {name:?}"))),
        }
    }

    fn weights(&self) -> Option<&[f64]> {
        match self.get("weight") {
            Some(Column::Numbers(weights)) => Some(weights),
            _ => None,
        }
    }

    fn weighting(&self) -> Result<Weighting, Error> {
        self.weights().map_or(Ok(Weighting::None), Weighting::of)
    }

    /// The mean of the labels, whatever their order.
    fn center(&self) -> f64 {
        let mut sum = Sum::new();
        let mut n = 0;
        if let Some(Column::Numbers(labels)) = self.get("label") {
            for y in labels.iter().filter(|y| y.is_finite()) {
                sum.add_f64(*y, 1);
                n += 1;
            }
        }
        if n == 0 { 0.0 } else { sum.divided_by(n) }
    }

    /// Probabilities by class, in the order of the columns.
    fn probabilities(&self) -> Vec<&[f64]> {
        self.named
            .iter()
            .filter(|c| !matches!(c.0.as_str(), "label" | "prediction" | "weight"))
            .filter_map(|c| match &c.1 {
                Column::Numbers(values) => Some(values.as_slice()),
                Column::Codes(_) => None,
            })
            .collect()
    }

    /// States of the rows of each block, where there is a column of blocks. Scores are counted in few
    /// cells: only variances are read off them. Blocks beyond [`MAX_BLOCKS`] share a state.
    fn blocks(&self, plan: &Plan, exact: bool) -> Result<Option<Vec<State>>, Error> {
        let Some(Column::Codes(blocks)) = self.get("block") else {
            return Ok(None);
        };
        let mut plan = plan.clone();
        if !exact {
            plan.scores = plan.scores.map(|cells| cells.min(4096));
        }
        let many = blocks.iter().any(|b| *b >= MAX_BLOCKS);
        let of = |code: u32| match many {
            true => (mix(u64::from(code)) % u64::from(MAX_BLOCKS)) as usize,
            false => code as usize,
        };
        let n = blocks.iter().map(|b| of(*b) + 1).max().unwrap_or(0);
        let mut rows = vec![Vec::new(); n];
        for (row, code) in blocks.iter().enumerate() {
            rows[of(*code)].push(row);
        }
        let states = rows
            .iter()
            .map(|rows| self.take(rows).state(plan.clone()))
            .collect::<Result<_, _>>()?;
        Ok(Some(states))
    }

    /// Some of the rows.
    fn take(&self, rows: &[usize]) -> Self {
        let named = self
            .named
            .iter()
            .map(|(name, column)| {
                let taken = match column {
                    Column::Codes(x) => Column::Codes(rows.iter().map(|i| x[*i]).collect()),
                    Column::Numbers(x) => Column::Numbers(rows.iter().map(|i| x[*i]).collect()),
                };
                (name.clone(), taken)
            })
            .collect();
        Columns {
            rows: rows.len(),
            named,
        }
    }

    fn state(&self, plan: Plan) -> Result<State, Error> {
        let mut state = State::empty(plan)?;
        let probabilities = self.probabilities();
        let label = match self.get("label") {
            Some(Column::Codes(codes)) => Label::Class(codes),
            Some(Column::Numbers(values)) => Label::Value(values),
            None => return Err(Error::invalid("no column \"label\"")),
        };
        let prediction = match self.get("prediction") {
            Some(Column::Codes(codes)) => Prediction::Class(codes),
            Some(Column::Numbers(values)) => Prediction::Score(values),
            None => Prediction::Probabilities(&probabilities),
        };
        state.update(&Batch {
            label,
            prediction,
            weight: self.weights(),
        })?;
        state.finish()?;
        Ok(state)
    }
}

/// The values of a column of type `T`, `missing` where null.
/// The values of a column in batches; none where it has another type.
pub fn collect<T: ArrowPrimitiveType>(
    arrays: &[&ArrayRef],
    missing: T::Native,
) -> Option<Vec<T::Native>> {
    let mut out = Vec::new();
    for array in arrays {
        let array = array.as_primitive_opt::<T>()?;
        if array.null_count() == 0 {
            out.extend_from_slice(array.values());
        } else {
            out.extend(array.iter().map(|v| v.unwrap_or(missing)));
        }
    }
    Some(out)
}

/// One metric of a table with the columns `label`, `prediction` (or `p0`, `p1` ...) and `weight`.
#[pyfunction]
pub fn metric(py: Python<'_>, name: &str, data: AnyRecordBatch, options: &str) -> PyResult<String> {
    let options: Options = crate::parse(py, options)?;
    let columns = Columns::read(py, data)?;
    let Some(found) = metrics::find(name) else {
        return Err(usage_error(py, format!("metric {name:?} does not exist")));
    };
    py.detach(|| evaluate(found, &columns, &options))
        .map_err(|e| failed(py, name, e))
}

enum Failure {
    Core(Error),
    Reason(NotApplicable),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Failure::Core(e)
    }
}
impl From<NotApplicable> for Failure {
    fn from(e: NotApplicable) -> Self {
        Failure::Reason(e)
    }
}

fn failed(py: Python<'_>, name: &str, e: Failure) -> PyErr {
    match e {
        Failure::Core(e) => from_core(py, e),
        Failure::Reason(e) => usage_error(py, format!("{name}: {e}")),
    }
}

fn evaluate(found: &Metric, columns: &Columns, options: &Options) -> Result<String, Failure> {
    let context = options.context()?;
    let mut plan = Plan::new(options.task(columns)?, columns.weighting()?);
    let area_of_classes = found.name == "roc_auc" && options.task == "multiclass";
    let edges = options.edges.clone().unwrap_or_else(|| equal_width(10));
    if !area_of_classes {
        let cells = options.cells.unwrap_or(u32::MAX);
        found.part.add_to(&mut plan, cells, &edges);
        if options.equal_mass.is_some() {
            Part::Scores.add_to(&mut plan, cells, &edges);
        }
    }
    let state = columns.state(plan)?;
    let mut context = context;
    let mut variances: Vec<Value> = Vec::new();
    let answers = if area_of_classes {
        if columns.get("block").is_some() {
            return Err(Error::invalid(
                "blocks are not taken for roc_auc of several classes; a design effect is accepted",
            )
            .into());
        }
        vec![one_vs_rest(
            columns.codes("label")?,
            &columns.probabilities(),
            columns.weights(),
            state.plan().weighting,
            &context,
        )?]
    } else {
        let blocks = columns.blocks(state.plan(), context.equal_mass.is_some())?;
        let shares = options.shares.as_deref();
        let mut answers = Vec::new();
        for share in shares.unwrap_or(&[context.share]) {
            context.share = *share;
            let mut of_share = match &blocks {
                None => found.evaluate(&state, &context)?,
                Some(blocks) => evaluate_blocks(&[found], &state, blocks, &context)?
                    .swap_remove(0)?
                    .into_iter()
                    .map(|b| {
                        variances.push(json!([b.blocks, number(b.design_effect)]));
                        b.answer
                    })
                    .collect(),
            };
            if shares.is_some() {
                let part = Some(share.to_string());
                of_share.iter_mut().for_each(|a| a.part.clone_from(&part));
            }
            answers.extend(of_share);
        }
        answers
    };
    let definition = match area_of_classes {
        true => format!("roc_auc/one-vs-rest-{}/v1", context.average.as_str()),
        false => found.definition(&state, &context),
    };
    Ok(json!({
        "definition": definition,
        "unit": found.unit,
        "method": found.interval,
        "answers": answers.iter().map(answer).collect::<Vec<_>>(),
        "blocks": variances,
        "coverage": coverage(state.coverage()),
    })
    .to_string())
}

/// Rates by group of a table with the columns `group`, `label`, `prediction` and `weight`.
#[pyfunction]
pub fn fairness(py: Python<'_>, data: AnyRecordBatch, options: &str) -> PyResult<String> {
    let options: Options = crate::parse(py, options)?;
    let columns = Columns::read(py, data)?;
    let made = || -> Result<String, Failure> {
        let context = options.context()?;
        let groups = options.groups.unwrap_or(0);
        let mut state = Fairness::empty(groups, columns.weighting()?)?;
        state.update(
            columns.codes("group")?,
            columns.codes("label")?,
            columns.codes("prediction")?,
            columns.weights(),
        )?;
        let reference = options.reference.or(state.highest()).unwrap_or(0);
        let answers = state.evaluate(reference, &context)?;
        let groups: Vec<Value> = answers
            .iter()
            .map(|g| {
                json!({
                    "group": g.group,
                    "rows": g.rows.0,
                    "unlabelled": g.rows.1,
                    "unpredicted": g.rows.2,
                    "selection_rate": answer(&g.selection_rate),
                    "adverse_impact_ratio": answer(&g.adverse_impact_ratio),
                    "true_positive_rate": answer(&g.true_positive_rate),
                    "equal_opportunity_difference": answer(&g.equal_opportunity_difference),
                })
            })
            .collect();
        Ok(json!({
            "definition": Fairness::DEFINITION,
            "reference": reference,
            "groups": groups,
            "rows": columns.rows,
            "ungrouped": state.ungrouped(),
        })
        .to_string())
    };
    py.detach(made).map_err(|e| failed(py, "group_fairness", e))
}

/// Options of a paired comparison.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairedOptions {
    metrics: Vec<String>,
    threshold: f64,
    alpha: f64,
}

/// Differences of metrics of two models on a table with the columns `label`, `a`, `b`, `weight` and
/// `block`; rows that lack a label or a prediction are counted, and compared by neither.
#[pyfunction]
pub fn paired(py: Python<'_>, data: AnyRecordBatch, options: &str) -> PyResult<String> {
    let options: PairedOptions = crate::parse(py, options)?;
    let columns = Columns::read(py, data)?;
    let made = || -> Result<String, Failure> {
        let (label, a, b) = (
            columns.numbers("label")?,
            columns.numbers("a")?,
            columns.numbers("b")?,
        );
        let unlabelled = label.iter().filter(|x| x.is_nan()).count();
        let kept: Vec<usize> = (0..columns.rows)
            .filter(|i| !(label[*i].is_nan() || a[*i].is_nan() || b[*i].is_nan()))
            .collect();
        let of = |values: &[f64]| -> Vec<f64> { kept.iter().map(|i| values[*i]).collect() };
        let weight = columns.weights().map(of);
        let block: Option<Vec<u32>> = match columns.get("block") {
            Some(Column::Codes(codes)) => {
                let hashed = codes.iter().any(|c| *c >= MAX_BLOCKS);
                let fold = |c: u32| match hashed {
                    true => (mix(c.into()) % u64::from(MAX_BLOCKS)) as u32,
                    false => c,
                };
                Some(kept.iter().map(|i| fold(codes[*i])).collect())
            }
            _ => None,
        };
        let (label, a, b) = (of(label), of(a), of(b));
        let rows = Rows {
            label: &label,
            a: &a,
            b: &b,
            weight: weight.as_deref(),
            block: block.as_deref(),
        };
        let found: Vec<Value> = options
            .metrics
            .iter()
            .map(|name| {
                let better = metrics::find(name).and_then(|m| m.higher_is_better);
                match compare(name, &rows, options.threshold, options.alpha) {
                    Err(reason) => json!({"metric": name, "message": reason.0}),
                    Ok(p) => json!({
                        "metric": name,
                        "definition": format!("paired_difference/{name}/v1"),
                        "higher_is_better": better,
                        "a": number(p.a),
                        "b": number(p.b),
                        "difference": number(p.difference),
                        "standard_error": number(p.standard_error),
                        "ci_low": number(p.interval.0),
                        "ci_high": number(p.interval.1),
                        "blocks": p.blocks,
                        "method": p.method,
                    }),
                }
            })
            .collect();
        Ok(json!({
            "rows": columns.rows,
            "compared": kept.len(),
            "unlabelled": unlabelled,
            "unpredicted": columns.rows - kept.len() - unlabelled,
            "metrics": found,
        })
        .to_string())
    };
    py.detach(made).map_err(|e| failed(py, "paired", e))
}

/// Names of the metrics whose difference is known for two models on the same rows.
#[pyfunction]
pub fn paired_metrics() -> Vec<&'static str> {
    NAMES.to_vec()
}

/// The registry of metrics as JSON.
#[pyfunction]
pub fn metric_registry() -> String {
    let all: Vec<Value> = metrics::registry()
        .iter()
        .map(|m| {
            json!({
                "name": m.name,
                "definition": m.definition,
                "summary": m.summary,
                "reference": m.source,
                "interval": m.interval,
                "tasks": m.tasks.as_str(),
                "range": [number(m.range.0), number(m.range.1)],
                "unit": m.unit,
                "higher_is_better": m.higher_is_better,
            })
        })
        .collect();
    json!(all).to_string()
}

fn coverage(c: &Coverage) -> Value {
    json!({
        "rows": c.rows,
        "unlabelled": c.unlabelled,
        "unpredicted": c.unpredicted,
        "used": c.used,
        "infinite": c.infinite,
        "label_coverage": number(c.label_coverage()),
    })
}

fn answer(a: &Answer) -> Value {
    match &a.outcome {
        Err(reason) => json!({"part": a.part, "message": reason.0}),
        Ok(o) => json!({
            "part": a.part,
            "value": number(o.value),
            "bound_low": number(o.bound_low),
            "bound_high": number(o.bound_high),
            "exactness": o.exactness,
            "ci_low": some(o.ci.map(|c| c.0)),
            "ci_high": some(o.ci.map(|c| c.1)),
            "value_if_no_change": some(o.value_if_no_change),
            "n": o.rows.1,
            "n_eff": number(a.effective),
            "message": o.message,
        }),
    }
}

fn some(x: Option<f64>) -> Value {
    x.map_or(Value::Null, number)
}

/// A float in JSON; one that is not finite is a string.
fn number(x: f64) -> Value {
    if x.is_finite() {
        json!(x)
    } else if x.is_nan() {
        json!("NaN")
    } else {
        json!(if x > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(metric, m)?)?;
    m.add_function(wrap_pyfunction!(fairness, m)?)?;
    m.add_function(wrap_pyfunction!(paired, m)?)?;
    m.add_function(wrap_pyfunction!(paired_metrics, m)?)?;
    m.add_function(wrap_pyfunction!(metric_registry, m)?)
}
