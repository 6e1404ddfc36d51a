//! Exact importance: models, and the states of its two passes. Columns arrive as buffers of float64.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use pyo3_arrow::input::AnyRecordBatch;
use serde_json::json;
use tidegauge_core::importance::additive;
use tidegauge_core::importance::drift::{Blocks, Importance, Response, Side, drift};
use tidegauge_core::importance::exact::moved::{Judge, Judged, Labels, Moved};
use tidegauge_core::importance::exact::ranked::{Bounded, Ranked, Score};
use tidegauge_core::importance::exact::shapley::Means;
use tidegauge_core::importance::exact::{
    BlockDonors, Donors as CoreDonors, Model, Plan, Rows, Sums as CoreSums,
};
use tidegauge_core::importance::joint::{Joined, Joint};
use tidegauge_core::importance::losses::{Link, Loss, Objective};
use tidegauge_core::importance::multinomial;
use tidegauge_core::importance::permutation::keyed;
use tidegauge_core::importance::permuted::Permuted as CorePermuted;
use tidegauge_core::importance::race::{Question, Race as CoreRace};
use tidegauge_core::importance::readers::arrays::Arrays;
use tidegauge_core::importance::readers::{Kind, catboost, lightgbm, onnx, xgboost};
use tidegauge_core::importance::support::{Outside, support as look};
use tidegauge_core::importance::trees::Ensemble;
use tidegauge_core::importance::u_statistic::Estimate;
use tidegauge_core::importance::weight::Unit;

use crate::errors::{from_core, usage_error};
use crate::segments::columns as columns_of;

/// Rows handed over at a time; signals are looked at in between.
const CHUNK: usize = 1 << 17;

type Columns<'py> = Vec<PyBuffer<f64>>;

/// A range of rows, copied: the buffers belong to Python.
struct Chunk {
    columns: Vec<Vec<f64>>,
    labels: Vec<f64>,
}

fn copy(py: Python<'_>, buffer: &PyBuffer<f64>, start: usize, end: usize) -> PyResult<Vec<f64>> {
    buffer
        .as_slice(py)
        .and_then(|s| s.get(start..end))
        .map(|s| s.iter().map(|c| c.get()).collect())
        .ok_or_else(|| {
            usage_error(
                py,
                "columns must be contiguous float64 arrays of equal length".into(),
            )
        })
}

/// Weights of the rows, and the unit that they are counted in.
type Weights<'a> = Option<(Unit, &'a PyBuffer<f64>)>;

/// The unit of rows with weights.
fn weighed<'a>(
    py: Python<'_>,
    unit: Option<Unit>,
    weights: Option<&'a PyBuffer<f64>>,
) -> PyResult<Weights<'a>> {
    match (unit, weights) {
        (Some(unit), Some(weights)) => Ok(Some((unit, weights))),
        (None, None) => Ok(None),
        _ => Err(usage_error(
            py,
            "rows with weights beside rows without".into(),
        )),
    }
}

/// Calls `work` on chunk after chunk, without the GIL.
fn chunks(
    py: Python<'_>,
    model: &Ensemble,
    columns: &Columns<'_>,
    labels: Option<&PyBuffer<f64>>,
    blocks: Option<&PyBuffer<u32>>,
    weights: Weights<'_>,
    mut work: impl FnMut(&Rows<'_>) -> tidegauge_core::Result<()> + Send,
) -> PyResult<()> {
    let n = columns.first().map_or(0, |b| b.item_count());
    let given = columns.iter().chain(labels).chain(weights.map(|(_, w)| w));
    let lengths = given.map(|b| b.item_count());
    if let Some(other) = lengths.into_iter().find(|l| *l != n) {
        return Err(usage_error(py, format!("columns of {n} and {other} rows")));
    }
    let blocks = blocks.map(|b| b.to_vec(py)).transpose()?;
    if let Some(blocks) = blocks.as_ref().filter(|b| b.len() != n) {
        return Err(usage_error(
            py,
            format!("{} blocks for {n} rows", blocks.len()),
        ));
    }
    for start in (0..n).step_by(CHUNK) {
        py.check_signals()?;
        let end = (start + CHUNK).min(n);
        let chunk = Chunk {
            columns: columns
                .iter()
                .map(|c| copy(py, c, start, end))
                .collect::<PyResult<_>>()?,
            labels: match labels {
                Some(y) => copy(py, y, start, end)?,
                None => vec![0.0; end - start],
            },
        };
        let weights = match weights {
            Some((unit, w)) => Some((unit, copy(py, w, start, end)?)),
            None => None,
        };
        py.detach(|| {
            let slices: Vec<&[f64]> = chunk.columns.iter().map(Vec::as_slice).collect();
            let rows = Rows::new(model, &slices, &chunk.labels)?;
            let rows = match &blocks {
                Some(blocks) => rows.in_blocks(&blocks[start..end])?,
                None => rows,
            };
            let Some((unit, weights)) = weights else {
                return work(&rows);
            };
            let units = weights
                .iter()
                .enumerate()
                .map(|(row, w)| unit.units(*w, start + row))
                .collect::<tidegauge_core::Result<Vec<u64>>>()?;
            work(&rows.weighted(&units)?)
        })
        .map_err(|e| from_core(py, e))?;
    }
    Ok(())
}

/// What a model file holds: lightgbm, xgboost, catboost, onnx or linear.
#[pyfunction]
pub fn model_kind(py: Python<'_>, data: &[u8]) -> PyResult<&'static str> {
    match Kind::of(data) {
        Ok(Kind::LightGbm) => Ok("lightgbm"),
        Ok(Kind::XgBoost) => Ok("xgboost"),
        Ok(Kind::CatBoost) => Ok("catboost"),
        Ok(Kind::Onnx) => Ok("onnx"),
        Ok(Kind::Linear) => Ok("linear"),
        Err(error) => Err(from_core(py, error)),
    }
}

/// Arrays of one tree, its output and the factor of its leaves.
#[derive(FromPyObject)]
struct TreeArrays {
    #[pyo3(item)]
    output: u32,
    #[pyo3(item)]
    scale: f64,
    #[pyo3(item)]
    feature: PyBuffer<i64>,
    #[pyo3(item)]
    threshold: PyBuffer<f64>,
    #[pyo3(item)]
    left: PyBuffer<i64>,
    #[pyo3(item)]
    right: PyBuffer<i64>,
    #[pyo3(item)]
    value: PyBuffer<f64>,
    #[pyo3(item)]
    nan_left: PyBuffer<u8>,
    #[pyo3(item)]
    category: PyBuffer<i64>,
    #[pyo3(item)]
    left_sets: PyBuffer<i64>,
    #[pyo3(item)]
    known_sets: PyBuffer<i64>,
}

/// A tree ensemble in one form, whatever library grew it.
#[pyclass(frozen, module = "tidegauge._core")]
pub struct TreeModel {
    inner: Arc<Model>,
}

impl TreeModel {
    fn compile(
        py: Python<'_>,
        read: impl FnOnce() -> tidegauge_core::Result<Ensemble> + Send,
    ) -> PyResult<Self> {
        py.detach(|| Model::new(read()?))
            .map(|m| Self { inner: Arc::new(m) })
            .map_err(|e| from_core(py, e))
    }
}

#[pymethods]
impl TreeModel {
    /// Reads a LightGBM text model.
    #[staticmethod]
    fn from_lightgbm(py: Python<'_>, text: &str) -> PyResult<Self> {
        let text = text.to_owned();
        Self::compile(py, move || lightgbm::read(&text))
    }

    /// Reads an XGBoost model in JSON or UBJSON.
    #[staticmethod]
    fn from_xgboost(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let data = data.to_vec();
        Self::compile(py, move || xgboost::read(&data))
    }

    /// Reads a CatBoost model in JSON.
    #[staticmethod]
    fn from_catboost(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let data = data.to_vec();
        Self::compile(py, move || catboost::read(&data))
    }

    /// Reads a tree ensemble in ONNX; with the labels of its classes, or None of numbers.
    #[staticmethod]
    fn from_onnx<'py>(
        py: Python<'py>,
        data: &[u8],
    ) -> PyResult<(Self, Option<Bound<'py, PyList>>)> {
        let data = data.to_vec();
        let mut classes = None;
        let model = Self::compile(py, || {
            let (ensemble, found) = onnx::read(&data)?;
            classes = found;
            Ok(ensemble)
        })?;
        let labels = match classes {
            None => None,
            Some(onnx::Classes::Numbers(labels)) => Some(PyList::new(py, labels)?),
            Some(onnx::Classes::Texts(labels)) => Some(PyList::new(py, labels)?),
        };
        Ok((model, labels))
    }

    /// Builds a model from the arrays of its trees.
    #[staticmethod]
    fn from_arrays(
        py: Python<'_>,
        features: Vec<String>,
        base: Vec<f64>,
        link: &str,
        single_precision: bool,
        trees: Vec<TreeArrays>,
    ) -> PyResult<Self> {
        let link = match link {
            "identity" => Link::Identity,
            "logistic" => Link::Logistic(1.0),
            "logistic2" => Link::Logistic(2.0),
            "softmax" => Link::Softmax,
            "probability" => Link::Probability,
            "exp" => Link::Exp,
            other => return Err(usage_error(py, format!("link {other:?}"))),
        };
        let trees = trees
            .iter()
            .map(|t| {
                Arrays {
                    feature: &t.feature.to_vec(py)?,
                    threshold: &t.threshold.to_vec(py)?,
                    left: &t.left.to_vec(py)?,
                    right: &t.right.to_vec(py)?,
                    value: &t.value.to_vec(py)?,
                    nan_left: &t.nan_left.to_vec(py)?,
                    category: &t.category.to_vec(py)?,
                    left_sets: &t.left_sets.to_vec(py)?,
                    known_sets: &t.known_sets.to_vec(py)?,
                }
                .tree(t.output, t.scale)
                .map_err(|e| from_core(py, e))
            })
            .collect::<PyResult<_>>()?;
        let ensemble = Ensemble {
            features,
            base,
            trees,
            link,
            single_precision,
        };
        Self::compile(py, move || ensemble.validate())
    }

    /// Names of the features, in the order of the columns.
    #[getter]
    fn features(&self) -> Vec<String> {
        self.inner.ensemble().features.clone()
    }

    /// Which features some split uses.
    #[getter]
    fn used(&self) -> Vec<bool> {
        self.inner.cells().iter().map(|c| c.is_used()).collect()
    }

    /// Number of outputs.
    #[getter]
    fn outputs(&self) -> usize {
        self.inner.outputs()
    }

    /// Whether predictions are probabilities of classes.
    #[getter]
    fn classifies(&self) -> bool {
        self.inner.ensemble().link.classifies()
    }

    /// Hash of the model: equal trees, equal digest.
    #[getter]
    fn digest(&self) -> String {
        self.inner.digest()
    }

    /// Number of trees and of leaves.
    #[getter]
    fn size(&self) -> (usize, usize) {
        (self.inner.ensemble().trees.len(), self.inner.leaves())
    }

    /// Predictions, row by row, as bytes of float64; margins unless `link`.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        link: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        chunks(
            py,
            self.inner.ensemble(),
            &columns,
            None,
            None,
            None,
            |rows| {
                let mut margins = self.inner.margins(rows);
                if link {
                    self.linked(&mut margins);
                }
                out.extend(margins.iter().flat_map(|m| m.to_le_bytes()));
                Ok(())
            },
        )?;
        Ok(PyBytes::new(py, &out))
    }

    /// Predictions of variants of the rows as bytes of float64: a feature, and the row that each row takes
    /// it from (uint64); margins unless `link`.
    fn exchanged<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        variants: Vec<(usize, PyBuffer<u64>)>,
        link: bool,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let model = &self.inner;
        let n = columns.first().map_or(0, |b| b.item_count());
        let mut cells = BTreeMap::new();
        for (feature, donors) in &variants {
            if *feature >= columns.len() || donors.item_count() != n {
                let given = donors.item_count();
                let message = format!("{given} donors for {n} rows of feature {feature}");
                return Err(usage_error(py, message));
            }
            cells
                .entry(*feature)
                .or_insert_with(|| Vec::with_capacity(n));
        }
        chunks(py, model.ensemble(), &columns, None, None, None, |rows| {
            for (feature, all) in &mut cells {
                all.extend(model.cells_of(rows, *feature));
            }
            Ok(())
        })?;
        let moved = variants
            .iter()
            .map(|(feature, donors)| {
                let cells = &cells[feature];
                let one = |d: &u64| {
                    usize::try_from(*d)
                        .ok()
                        .and_then(|d| cells.get(d).copied())
                        .ok_or_else(|| usage_error(py, format!("donor {d} of {n} rows")))
                };
                donors.to_vec(py)?.iter().map(one).collect()
            })
            .collect::<PyResult<Vec<Vec<u32>>>>()?;
        let mut out: Vec<Vec<f64>> = variants
            .iter()
            .map(|_| Vec::with_capacity(n * model.outputs()))
            .collect();
        let mut start = 0;
        chunks(py, model.ensemble(), &columns, None, None, None, |rows| {
            let end = start + rows.len();
            let given: Vec<Moved<'_>> = variants
                .iter()
                .zip(&moved)
                .map(|((feature, _), cells)| Moved {
                    feature: *feature,
                    cells: &cells[start..end],
                })
                .collect();
            start = end;
            model.moved(rows, &given, &mut out)
        })?;
        out.iter_mut()
            .map(|margins| {
                if link {
                    self.linked(margins);
                }
                PyBytes::new_with(py, 8 * margins.len(), |bytes| {
                    for (into, m) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&*margins) {
                        *into = m.to_le_bytes();
                    }
                    Ok(())
                })
            })
            .collect()
    }

    /// Means of interventional Shapley values of rows against a background as JSON, in units of the margin, by
    /// output and feature: mean, its error, mean size, its error. With `values` each row's own as bytes of
    /// float64, by output, feature and row.
    fn shapley<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        background: Columns<'py>,
        values: bool,
    ) -> PyResult<(String, Option<Bound<'py, PyBytes>>)> {
        let all = |columns: &Columns<'py>| -> PyResult<Vec<Vec<f64>>> {
            columns
                .iter()
                .map(|c| copy(py, c, 0, c.item_count()))
                .collect()
        };
        let (columns, background) = (all(&columns)?, all(&background)?);
        let model = &self.inner;
        let (outputs, features) = (model.outputs(), columns.len());
        let n = columns.first().map_or(0, Vec::len);
        let mut means = Means::default();
        let mut kept = vec![
            0u8;
            if values {
                8 * outputs * features * n
            } else {
                0
            }
        ];
        let expected = py
            .detach(|| {
                let slices: Vec<&[f64]> = background.iter().map(Vec::as_slice).collect();
                let none = vec![0.0; slices.first().map_or(0, |c| c.len())];
                let background = model.background(&Rows::new(model.ensemble(), &slices, &none)?)?;
                let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
                let none = vec![0.0; n];
                let rows = Rows::new(model.ensemble(), &slices, &none)?;
                let mut start = 0;
                model.shapley(&background, &rows, |part| {
                    means.add(part);
                    let columns = part.iter().flatten();
                    for (column, into) in columns.zip(kept.chunks_exact_mut(8 * n.max(1))) {
                        let into = into[8 * start..].as_chunks_mut::<8>().0;
                        for (v, bytes) in column.iter().zip(into) {
                            *bytes = v.to_le_bytes();
                        }
                    }
                    start += part.first().and_then(|p| p.first()).map_or(0, Vec::len);
                    Ok(())
                })?;
                Ok(background.expected().to_vec())
            })
            .map_err(|e| from_core(py, e))?;
        let means: Vec<Vec<[f64; 4]>> = means
            .finish()
            .into_iter()
            .map(|of| {
                let told = of
                    .into_iter()
                    .map(|[v, s]| [v.value, v.standard_error, s.value, s.standard_error]);
                told.collect()
            })
            .collect();
        let told = json!({"expected": expected, "means": means}).to_string();
        Ok((told, values.then(|| PyBytes::new(py, &kept))))
    }

    /// Importances of features by keyed permutations as JSON, under several losses: each with its labels, or
    /// against the predictions of the rows as they are. At most about `memory` bytes are held at a time.
    #[pyo3(signature = (columns, units, losses, seed, repeats, alpha, memory, blocks=None))]
    #[allow(clippy::too_many_arguments)] // those of the Python method
    fn permuted<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        units: Vec<(usize, String)>,
        losses: Vec<(String, Option<PyBuffer<f64>>)>,
        seed: u64,
        repeats: u64,
        alpha: f64,
        memory: usize,
        blocks: Option<PyBuffer<u32>>,
    ) -> PyResult<String> {
        let model = &self.inner;
        let n = columns.first().map_or(0, |b| b.item_count());
        if let Some((feature, name)) = units.iter().find(|(f, _)| *f >= columns.len()) {
            let message = format!("unit {name:?} is feature {feature} of {}", columns.len());
            return Err(usage_error(py, message));
        }
        let blocks = blocks.map(|b| b.to_vec(py)).transpose()?;
        let mut labels = Vec::with_capacity(losses.len());
        for (name, given) in &losses {
            let objective = Loss::named(name, 0.5)
                .and_then(|l| Objective::new(l, model.ensemble().link, model.outputs()))
                .map_err(|e| from_core(py, e))?;
            let given = given.as_ref().map(|y| y.to_vec(py)).transpose()?;
            if let Some(wrong) = given.as_ref().filter(|y| y.len() != n) {
                let message = format!("{} labels for {n} rows", wrong.len());
                return Err(usage_error(py, message));
            }
            labels.push((objective, given));
        }
        // Cells of the rows; by repeat donors, their cells and changes by loss; sums by row and donor.
        let repeats_of = usize::try_from(repeats).unwrap_or(usize::MAX);
        let each = n.saturating_mul(
            repeats_of
                .saturating_mul(12 + 8 * losses.len())
                .saturating_add(4 + 24 * losses.len()),
        );
        let together = (memory / each.max(1)).max(1);
        let mut own = vec![0.0; losses.len()];
        let mut told_units = Vec::with_capacity(units.len());
        for (part, group) in units.chunks(together).enumerate() {
            let orders: Vec<Vec<Vec<u64>>> = py.detach(|| {
                group
                    .iter()
                    .map(|(_, name)| {
                        (0..repeats)
                            .map(|r| keyed(n as u64, seed, name, r, 0, u64::MAX))
                            .collect()
                    })
                    .collect()
            });
            let mut cells = vec![Vec::with_capacity(n); group.len()];
            chunks(py, model.ensemble(), &columns, None, None, None, |rows| {
                for ((feature, _), all) in group.iter().zip(&mut cells) {
                    all.extend(model.cells_of(rows, *feature));
                }
                Ok(())
            })?;
            let moved: Vec<(usize, Vec<u32>)> = group
                .iter()
                .zip(&orders)
                .zip(&cells)
                .flat_map(|(((feature, _), orders), cells)| {
                    let exchanged = |order: &Vec<u64>| {
                        let cells = order.iter().filter_map(|k| cells.get(*k as usize).copied());
                        (*feature, cells.collect())
                    };
                    orders.iter().map(exchanged).collect::<Vec<_>>()
                })
                .collect();
            drop(cells);
            let mut judged = vec![Judged::default(); losses.len()];
            let mut start = 0;
            chunks(py, model.ensemble(), &columns, None, None, None, |rows| {
                let end = start + rows.len();
                let variants: Vec<Moved<'_>> = moved
                    .iter()
                    .map(|(feature, cells)| Moved {
                        feature: *feature,
                        cells: &cells[start..end],
                    })
                    .collect();
                let judges: Vec<Judge<'_>> = labels
                    .iter()
                    .map(|(objective, given)| Judge {
                        objective: *objective,
                        labels: match given {
                            Some(y) => Labels::Given(&y[start..end]),
                            None => Labels::Predictions,
                        },
                    })
                    .collect();
                start = end;
                model.judged(rows, &variants, &judges, &mut judged)
            })?;
            if part == 0 {
                for (own, judged) in own.iter_mut().zip(&judged) {
                    *own = judged.own.iter().sum::<f64>() / n as f64;
                }
            }
            for (u, orders) in orders.iter().enumerate() {
                py.check_signals()?;
                let by_loss = judged
                    .iter()
                    .map(|judged| {
                        let mut sums = CorePermuted::new(n, blocks.as_deref())?;
                        let changes = &judged.changes[u * orders.len()..][..orders.len()];
                        let mut means = Vec::with_capacity(orders.len());
                        for (changes, order) in changes.iter().zip(orders) {
                            sums.add(changes, order)?;
                            means.push(changes.iter().sum::<f64>() / n as f64);
                        }
                        let (by_row, by_block) = sums.finish()?;
                        let mut found = told(&by_row, by_block.as_ref(), alpha);
                        found["importances"] = json!(means);
                        Ok(found)
                    })
                    .collect::<tidegauge_core::Result<Vec<_>>>()
                    .map_err(|e| from_core(py, e))?;
                told_units.push(by_loss);
            }
        }
        Ok(json!({"own": own, "units": told_units}).to_string())
    }
}

impl TreeModel {
    fn linked(&self, margins: &mut [f64]) {
        for row in margins.chunks_exact_mut(self.inner.outputs()) {
            self.inner.ensemble().link.apply(row);
        }
    }
}

/// Features of a model that move together: codes of their rows, and the model on codes.
#[pyclass(module = "tidegauge._core")]
pub struct JointFeatures {
    model: Arc<Model>,
    joint: Option<Joint>,
    joined: Option<Joined>,
}

#[pymethods]
impl JointFeatures {
    #[new]
    fn new(
        py: Python<'_>,
        model: &TreeModel,
        names: Vec<String>,
        groups: Vec<Vec<usize>>,
    ) -> PyResult<Self> {
        let model = Arc::clone(&model.inner);
        let joint =
            Joint::new(model.ensemble().clone(), names, groups).map_err(|e| from_core(py, e))?;
        Ok(Self {
            model,
            joint: Some(joint),
            joined: None,
        })
    }

    /// Collects the codes of rows; columns in the order of the model's features.
    fn update(&mut self, py: Python<'_>, columns: Columns<'_>) -> PyResult<()> {
        let Self { model, joint, .. } = self;
        let joint = joint
            .as_mut()
            .ok_or_else(|| usage_error(py, "the model on codes is made already".into()))?;
        chunks(py, model.ensemble(), &columns, None, None, None, |rows| {
            joint.update(rows)
        })
    }

    /// The model with one feature a group; no codes are collected afterwards.
    fn model(&mut self, py: Python<'_>) -> PyResult<TreeModel> {
        if let Some(joint) = self.joint.take() {
            let joined = py.detach(|| joint.finish()).map_err(|e| from_core(py, e))?;
            self.joined = Some(joined);
        }
        let joined = self.made(py)?;
        let ensemble = joined.model.clone();
        TreeModel::compile(py, move || Ok(ensemble))
    }

    /// Codes of rows as bytes of float64, by group; None for a group of one, whose column stays.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
    ) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
        let joined = self.made(py)?;
        let mut out: Vec<Option<Vec<u8>>> = vec![None; joined.model.features.len()];
        chunks(
            py,
            self.model.ensemble(),
            &columns,
            None,
            None,
            None,
            |rows| {
                for (all, part) in out.iter_mut().zip(joined.encode(rows)?) {
                    if let Some(part) = part {
                        let bytes = part.iter().flat_map(|c| c.to_le_bytes());
                        all.get_or_insert_default().extend(bytes);
                    }
                }
                Ok(())
            },
        )?;
        let bytes = |b: Option<Vec<u8>>| b.map(|b| PyBytes::new(py, &b));
        Ok(out.into_iter().map(bytes).collect())
    }
}

impl JointFeatures {
    fn made(&self, py: Python<'_>) -> PyResult<&Joined> {
        self.joined
            .as_ref()
            .ok_or_else(|| usage_error(py, "ask for the model on codes first".into()))
    }
}

/// First pass: how many rows lie in each cell of each feature.
#[pyclass(module = "tidegauge._core")]
pub struct Donors {
    model: Arc<Model>,
    objective: Objective,
    inner: CoreDonors,
}

#[pymethods]
impl Donors {
    #[new]
    #[pyo3(signature = (model, loss, level, unit=None))]
    fn new(
        py: Python<'_>,
        model: &TreeModel,
        loss: &str,
        level: f64,
        unit: Option<i32>,
    ) -> PyResult<Self> {
        let model = Arc::clone(&model.inner);
        let objective = Loss::named(loss, level)
            .and_then(|l| Objective::new(l, model.ensemble().link, model.outputs()))
            .map_err(|e| from_core(py, e))?;
        let inner = CoreDonors::new(model.cells(), unit.map(Unit::from_exponent));
        Ok(Self {
            model,
            objective,
            inner,
        })
    }

    /// Counts rows, with their weights where there is a unit of these.
    #[pyo3(signature = (columns, labels, weights=None))]
    fn update(
        &mut self,
        py: Python<'_>,
        columns: Columns<'_>,
        labels: PyBuffer<f64>,
        weights: Option<PyBuffer<f64>>,
    ) -> PyResult<()> {
        let Self {
            model,
            objective,
            inner,
        } = self;
        let weights = weighed(py, inner.unit(), weights.as_ref())?;
        chunks(
            py,
            model.ensemble(),
            &columns,
            Some(&labels),
            None,
            weights,
            |rows| inner.update(model, objective, rows),
        )
    }

    /// Adds the rows of another part.
    fn merge(&mut self, py: Python<'_>, other: &Self) -> PyResult<()> {
        self.inner.merge(&other.inner).map_err(|e| from_core(py, e))
    }

    /// Rows counted.
    #[getter]
    fn rows(&self) -> u64 {
        self.inner.rows()
    }
}

/// Second pass: sums over rows that the importances are read off.
#[pyclass(module = "tidegauge._core")]
pub struct ImportanceSums {
    plan: Arc<Plan>,
    inner: CoreSums,
    donors: Option<BlockDonors>,
}

#[pymethods]
impl ImportanceSums {
    #[new]
    fn new(py: Python<'_>, donors: &Donors) -> PyResult<Self> {
        let plan = Plan::new(
            Arc::clone(&donors.model),
            donors.objective,
            Arc::new(donors.inner.clone()),
        )
        .map_err(|e| from_core(py, e))?;
        Ok(Self {
            inner: CoreSums::new(&plan),
            plan: Arc::new(plan),
            donors: None,
        })
    }

    /// Sums of the same plan without rows.
    fn empty(&self) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            inner: CoreSums::new(&self.plan),
            donors: None,
        }
    }

    /// Scores rows on this number of threads, 0 for one a processor; blocks are codes from 0.
    #[pyo3(signature = (columns, labels, threads, blocks=None, weights=None))]
    fn update(
        &mut self,
        py: Python<'_>,
        columns: Columns<'_>,
        labels: PyBuffer<f64>,
        threads: usize,
        blocks: Option<PyBuffer<u32>>,
        weights: Option<PyBuffer<f64>>,
    ) -> PyResult<()> {
        let threads = threads_of(threads);
        let Self { plan, inner, .. } = self;
        let (labels, blocks) = (Some(&labels), blocks.as_ref());
        let weights = weighed(py, plan.donors().unit(), weights.as_ref())?;
        chunks(
            py,
            plan.model().ensemble(),
            &columns,
            labels,
            blocks,
            weights,
            |rows| plan.update(inner, rows, threads),
        )
    }

    /// After all rows were scored with their blocks, the same rows as donors.
    #[pyo3(signature = (columns, blocks, weights=None))]
    fn update_donors(
        &mut self,
        py: Python<'_>,
        columns: Columns<'_>,
        blocks: PyBuffer<u32>,
        weights: Option<PyBuffer<f64>>,
    ) -> PyResult<()> {
        let Self {
            plan,
            inner,
            donors,
        } = self;
        let weights = weighed(py, plan.donors().unit(), weights.as_ref())?;
        let held = match donors {
            Some(held) => held,
            None => donors.insert(BlockDonors::new(plan, inner).map_err(|e| from_core(py, e))?),
        };
        chunks(
            py,
            plan.model().ensemble(),
            &columns,
            None,
            Some(&blocks),
            weights,
            |rows| held.update(plan, rows),
        )
    }

    /// Adds the rows of another part.
    fn merge(&mut self, py: Python<'_>, other: &Self) -> PyResult<()> {
        self.inner.merge(&other.inner).map_err(|e| from_core(py, e))
    }

    /// Hash of the sums: equal rows, equal digest.
    #[getter]
    fn digest(&self) -> String {
        self.inner.digest()
    }

    /// Rows scored.
    #[getter]
    fn rows(&self) -> u64 {
        self.inner.rows()
    }

    /// Donors and mean changes of loss by cell, by feature; None of features that no split uses.
    fn responses(&self, py: Python<'_>) -> PyResult<Vec<Option<Cells>>> {
        let found = self
            .plan
            .responses(&self.inner)
            .map_err(|e| from_core(py, e))?;
        Ok(found
            .into_iter()
            .map(|r| r.map(|r| (r.counts, r.change)))
            .collect())
    }

    /// Importances, standard errors, intervals and p-values as JSON; by blocks where donors were counted.
    fn finish(&self, py: Python<'_>, alpha: f64) -> PyResult<String> {
        let rows = self
            .plan
            .finish(&self.inner)
            .map_err(|e| from_core(py, e))?;
        let found = match &self.donors {
            Some(donors) => self
                .plan
                .finish_by_block(&self.inner, donors)
                .map_err(|e| from_core(py, e))?,
            None => rows.clone(),
        };
        let by_block = self.donors.is_some();
        let features: Vec<_> = rows
            .iter()
            .zip(&found)
            .map(|(row, e)| told(row, by_block.then_some(e), alpha))
            .collect();
        let column = |key: &str| features.iter().map(|f| &f[key]).collect::<Vec<_>>();
        Ok(json!({
            "importance": column("importance"),
            "standard_error": column("standard_error"),
            "standard_error_iid": column("standard_error_iid"),
            "low": column("low"),
            "high": column("high"),
            "pvalue": column("pvalue"),
            "freedom": column("freedom"),
            "most_freedom": column("most_freedom"),
            "used": column("used"),
            "baseline": self.plan.baseline(&self.inner),
            "rows": self.inner.rows(),
            "weights": self.plan.donors().unit().map(|_| {
                let t = self.plan.donors().totals();
                json!({"effective": t.effective(), "rows": t.rows})
            }),
            "digest": self.inner.digest(),
        })
        .to_string())
    }
}

/// Scores of two classes that are no means over rows, under donors of their own for every row.
#[pyclass(module = "tidegauge._core")]
pub struct RankedScores {
    plan: Plan,
    inner: Ranked,
}

#[pymethods]
impl RankedScores {
    /// Counts all pairs of the rows, which are the donors.
    #[new]
    #[pyo3(signature = (donors, columns, labels, threads, weights=None))]
    fn new(
        py: Python<'_>,
        donors: &Donors,
        columns: Columns<'_>,
        labels: PyBuffer<f64>,
        threads: usize,
        weights: Option<PyBuffer<f64>>,
    ) -> PyResult<Self> {
        let model = Arc::clone(&donors.model);
        let plan = Plan::new(
            Arc::clone(&model),
            donors.objective,
            Arc::new(donors.inner.clone()),
        )
        .map_err(|e| from_core(py, e))?;
        let threads = threads_of(threads);
        let n = labels.item_count();
        let all: Vec<Vec<f64>> = columns
            .iter()
            .map(|c| copy(py, c, 0, n))
            .collect::<PyResult<_>>()?;
        let zeros = vec![0.0; n];
        let slices: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
        let mut inner = py
            .detach(|| plan.bins(&Rows::new(model.ensemble(), &slices, &zeros)?))
            .map_err(|e| from_core(py, e))?;
        let weights = weighed(py, plan.donors().unit(), weights.as_ref())?;
        chunks(
            py,
            model.ensemble(),
            &columns,
            Some(&labels),
            None,
            weights,
            |rows| plan.rank(&mut inner, rows, threads),
        )?;
        Ok(Self { plan, inner })
    }

    /// The score as it is and with each feature exchanged, as JSON: value, lower and upper bound.
    fn score(&self, py: Python<'_>, name: &str) -> PyResult<String> {
        let score = Score::named(name).map_err(|e| from_core(py, e))?;
        let (own, features) = self.plan.scores(&self.inner, score);
        let told = |b: &Bounded| json!([b.value, b.low, b.high]);
        let features: Vec<_> = features.iter().map(|f| f.as_ref().map(told)).collect();
        Ok(json!({"baseline": told(&own), "features": features}).to_string())
    }
}

fn threads_of(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n,
    }
}

/// The unit of weights of at most `largest`, of so many rows: the exponent of a power of two.
#[pyfunction]
fn weight_unit(py: Python<'_>, largest: f64, rows: u64) -> PyResult<i32> {
    Unit::of(largest, rows)
        .map(Unit::exponent)
        .map_err(|e| from_core(py, e))
}

/// Donors and changes of loss by cell.
type Cells = (Vec<u64>, Vec<f64>);

/// Rows; blocks and their degrees of freedom; values, standard errors and cells by feature.
type Given = (
    u64,
    Option<(u64, f64)>,
    Vec<f64>,
    Vec<f64>,
    Vec<Option<Cells>>,
);

/// Compares importances of two sets of rows.
#[pyfunction]
fn importance_drift(
    py: Python<'_>,
    reference: Given,
    window: Given,
    alpha: f64,
) -> PyResult<String> {
    let side = |(rows, blocks, values, errors, cells): Given| Side {
        rows,
        blocks: blocks.map(|(count, freedom)| Blocks { count, freedom }),
        features: values
            .into_iter()
            .zip(errors)
            .zip(cells)
            .map(|((value, standard_error), cells)| Importance {
                value,
                standard_error,
                response: cells.map(|(counts, change)| Response { counts, change }),
            })
            .collect(),
    };
    let (reference, window) = (side(reference), side(window));
    let found = py
        .detach(|| drift(&reference, &window, alpha))
        .map_err(|e| from_core(py, e))?;
    let features: Vec<_> = found
        .features
        .iter()
        .map(|c| {
            json!({
                "value": c.value,
                "interval": c.interval,
                "pvalue": c.pvalue,
                "qvalue": c.qvalue,
                "ratio": c.ratio,
                "ratio_interval": c.ratio_interval,
                "share": c.share,
                "ranks": c.ranks,
                "rank_interval": c.rank_interval,
                "split": c.split.map(|s| json!({"donors": s.donors, "rows": s.rows, "pvalue": s.pvalue})),
            })
        })
        .collect();
    Ok(json!({
        "features": features,
        "ndcg": found.ndcg,
        "rank_correlation": found.rank_correlation,
    })
    .to_string())
}

/// Importance of one term of an additive model as JSON, with a bound of the error of its series.
#[pyfunction]
#[pyo3(signature = (loss, link, margins, term, labels, alpha, blocks=None, weights=None))]
#[allow(clippy::too_many_arguments)] // those of the Python function
fn additive_importance(
    py: Python<'_>,
    loss: &str,
    link: &str,
    margins: PyBuffer<f64>,
    term: PyBuffer<f64>,
    labels: PyBuffer<f64>,
    alpha: f64,
    blocks: Option<PyBuffer<u32>>,
    weights: Option<PyBuffer<f64>>,
) -> PyResult<String> {
    let link = match link {
        "identity" => Link::Identity,
        "logistic" => Link::Logistic(1.0),
        "log" => Link::Exp,
        other => {
            return Err(usage_error(
                py,
                format!("link {other:?}; accepted are identity, logistic and log"),
            ));
        }
    };
    let objective = Loss::named(loss, 0.5)
        .and_then(|l| Objective::new(l, link, 1))
        .map_err(|e| from_core(py, e))?;
    let (margins, term, labels) = (margins.to_vec(py)?, term.to_vec(py)?, labels.to_vec(py)?);
    let blocks = blocks.map(|b| b.to_vec(py)).transpose()?;
    let weights = weights.map(|w| w.to_vec(py)).transpose()?;
    let found = py
        .detach(|| {
            let (blocks, weights) = (blocks.as_deref(), weights.as_deref());
            additive::importance(&objective, &margins, &term, &labels, blocks, weights)
        })
        .map_err(|e| from_core(py, e))?;
    let mut told = told(&found.by_row, found.by_block.as_ref(), alpha);
    told["error"] = json!(found.error);
    Ok(told.to_string())
}

/// Importance of features of a multinomial model that are exchanged together as JSON, as of
/// `additive_importance`; margins are those of all classes, row by row.
#[pyfunction]
#[pyo3(signature = (loss, margins, values, slopes, labels, alpha, blocks=None, weights=None))]
#[allow(clippy::too_many_arguments)] // those of the Python function
fn multinomial_importance(
    py: Python<'_>,
    loss: &str,
    margins: PyBuffer<f64>,
    values: Vec<PyBuffer<f64>>,
    slopes: Vec<Vec<f64>>,
    labels: PyBuffer<f64>,
    alpha: f64,
    blocks: Option<PyBuffer<u32>>,
    weights: Option<PyBuffer<f64>>,
) -> PyResult<String> {
    let loss = Loss::named(loss, 0.5).map_err(|e| from_core(py, e))?;
    let (margins, labels) = (margins.to_vec(py)?, labels.to_vec(py)?);
    let values: Vec<Vec<f64>> = values
        .iter()
        .map(|v| v.to_vec(py))
        .collect::<PyResult<_>>()?;
    let blocks = blocks.map(|b| b.to_vec(py)).transpose()?;
    let weights = weights.map(|w| w.to_vec(py)).transpose()?;
    let found = py
        .detach(|| {
            let values: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
            let slopes: Vec<&[f64]> = slopes.iter().map(Vec::as_slice).collect();
            let term = multinomial::Term {
                margins: &margins,
                values: &values,
                slopes: &slopes,
            };
            multinomial::importance(loss, &term, &labels, blocks.as_deref(), weights.as_deref())
        })
        .map_err(|e| from_core(py, e))?;
    let mut told = told(&found.by_row, found.by_block.as_ref(), alpha);
    told["error"] = json!(found.error);
    Ok(told.to_string())
}

/// An estimate as JSON: with the standard error of blocks where there are any, and that of rows beside it.
fn told(by_row: &Estimate, by_block: Option<&Estimate>, alpha: f64) -> serde_json::Value {
    let e = by_block.unwrap_or(by_row);
    let (low, high) = e.interval(alpha);
    json!({
        "importance": e.value,
        "standard_error": e.standard_error,
        "standard_error_iid": by_row.standard_error,
        "low": low,
        "high": high,
        "pvalue": e.pvalue(),
        "freedom": e.shape.freedom,
        "most_freedom": e.shape.most,
        "used": e.used,
    })
}

/// Importance of a feature from permutations, one repeat after another.
#[pyclass(module = "tidegauge._core")]
pub struct Permuted {
    inner: CorePermuted,
}

#[pymethods]
impl Permuted {
    #[new]
    #[pyo3(signature = (rows, blocks=None))]
    fn new(py: Python<'_>, rows: usize, blocks: Option<PyBuffer<u32>>) -> PyResult<Self> {
        let blocks = blocks.map(|b| b.to_vec(py)).transpose()?;
        CorePermuted::new(rows, blocks.as_deref())
            .map(|inner| Self { inner })
            .map_err(|e| from_core(py, e))
    }

    /// Adds a repeat: changes of loss and donors (uint64) of all rows.
    fn add(
        &mut self,
        py: Python<'_>,
        changes: PyBuffer<f64>,
        donors: PyBuffer<u64>,
    ) -> PyResult<()> {
        let (changes, donors) = (changes.to_vec(py)?, donors.to_vec(py)?);
        py.detach(|| self.inner.add(&changes, &donors))
            .map_err(|e| from_core(py, e))
    }

    /// Importance, standard error, interval and p-value as JSON.
    fn finish(&self, py: Python<'_>, alpha: f64) -> PyResult<String> {
        let (by_row, by_block) = self.inner.finish().map_err(|e| from_core(py, e))?;
        Ok(told(&by_row, by_block.as_ref(), alpha).to_string())
    }
}

/// Features whose importances are decided as draws come in.
#[pyclass(module = "tidegauge._core")]
pub struct Race {
    inner: CoreRace,
}

#[pymethods]
impl Race {
    /// Which are the `top` largest; else which are above the tolerance.
    #[new]
    #[pyo3(signature = (features, alpha, tolerance, top=None))]
    fn new(
        py: Python<'_>,
        features: usize,
        alpha: f64,
        tolerance: f64,
        top: Option<usize>,
    ) -> PyResult<Self> {
        let question = top.map_or(Question::Above(tolerance), Question::Largest);
        CoreRace::new(features, alpha, question)
            .map(|inner| Self { inner })
            .map_err(|e| from_core(py, e))
    }

    /// Adds changes of loss of a feature that is open.
    fn add(&mut self, py: Python<'_>, feature: usize, changes: PyBuffer<f64>) -> PyResult<()> {
        let changes = changes.to_vec(py)?;
        self.inner
            .add(feature, &changes)
            .map_err(|e| from_core(py, e))
    }

    /// Decides what can be decided; the features that are open.
    fn look(&mut self) -> Vec<usize> {
        self.inner.look();
        let all = self.inner.runners().iter().enumerate();
        all.filter(|(_, r)| r.decision.name() == "open")
            .map(|(j, _)| j)
            .collect()
    }

    /// By feature: mean, limits, draws, draws that changed anything, decision; and the share of pairs that may
    /// change a prediction where no draw did. As JSON; limits that there are none of are null.
    fn told(&self) -> String {
        let features: Vec<_> = self
            .inner
            .runners()
            .iter()
            .enumerate()
            .map(|(j, r)| {
                let (low, high) = self.inner.limits(j);
                json!([r.mean, low, high, r.count, r.changed, r.decision.name()])
            })
            .collect();
        json!({"features": features, "unseen": self.inner.unseen()}).to_string()
    }
}

/// Associations of units of columns of at least `threshold`, shares of permuted rows outside the data, and
/// groups that go together, as JSON; the table is a sample of `population` rows.
#[pyfunction]
fn support(
    py: Python<'_>,
    data: AnyRecordBatch,
    units: Vec<Vec<usize>>,
    population: u64,
    threshold: f64,
) -> PyResult<String> {
    let columns = columns_of(py, data)?;
    let found = py
        .detach(|| look(&columns, &units, population, threshold))
        .map_err(|e| from_core(py, e))?;
    let outside = |o: &Outside| json!([o.share, o.standard_error]);
    let groups: Vec<_> = found
        .groups
        .iter()
        .map(|g| {
            json!({
                "members": g.members,
                "association": g.association,
                "outside": outside(&g.outside),
            })
        })
        .collect();
    Ok(json!({
        "close": found.close,
        "outside": found.outside.iter().map(outside).collect::<Vec<_>>(),
        "groups": groups,
    })
    .to_string())
}

/// Places `start..end` of the permutation of `0..n` that belongs to a seed, a name and a repeat, as bytes of
/// uint64.
#[pyfunction]
#[pyo3(signature = (n, seed, name, repeat, start=0, end=u64::MAX))]
fn permutation<'py>(
    py: Python<'py>,
    n: u64,
    seed: u64,
    name: &str,
    repeat: u64,
    start: u64,
    end: u64,
) -> Bound<'py, PyBytes> {
    let name = name.to_owned();
    let order = py.detach(|| {
        keyed(n, seed, &name, repeat, start, end)
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect::<Vec<u8>>()
    });
    PyBytes::new(py, &order)
}

/// Adds the classes to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(additive_importance, m)?)?;
    m.add_function(wrap_pyfunction!(multinomial_importance, m)?)?;
    m.add_function(wrap_pyfunction!(importance_drift, m)?)?;
    m.add_class::<Permuted>()?;
    m.add_function(wrap_pyfunction!(permutation, m)?)?;
    m.add_function(wrap_pyfunction!(support, m)?)?;
    m.add_class::<JointFeatures>()?;
    m.add_function(wrap_pyfunction!(model_kind, m)?)?;
    m.add_class::<TreeModel>()?;
    m.add_class::<RankedScores>()?;
    m.add_class::<Race>()?;
    m.add_function(wrap_pyfunction!(weight_unit, m)?)?;
    m.add_class::<Donors>()?;
    m.add_class::<ImportanceSums>()
}
