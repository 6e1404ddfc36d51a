//! Exact permutation importance: the loss of every row with every other row's value, in one pass.
//!
//! Write `f_i(b)` for the prediction of row i with its value of feature j moved to cell b, and
//! `D_i(b)` for the change of its loss. The importance over all pairs of different rows,
//! `e_switch - e_orig`, is `sum_b n_b sum_i D_i(b) / (n (n-1))` where `n_b` counts the rows (donors)
//! in cell b: a row's own cell changes nothing. `f_i` is a step function of b with a step only where a
//! leaf becomes reachable by moving x_j alone, so a row costs a few steps a tree and not one
//! prediction a donor.
//!
//! # How the steps are found
//! Rows are taken 64 at a time. A word `W[j][b]` holds which of them have feature j in a cell below b;
//! then the rows that meet all conditions of a leaf on feature j are two loads and an AND-NOT, the rows
//! that reach a leaf the AND over its features, and the rows that would reach it by moving x_j alone
//! the AND over the others without the first: about five word operations a leaf and feature for 64
//! rows (the idea of bit-vector tree traversal, Lucchese et al. 2015, turned from leaves to rows).
//!
//! # Canonical sums
//! Leaf values are integers of one scale, so margins are exact; losses are rounded to integers of
//! another. All sums are integers: the state does not depend on the order or partition of the rows.

pub mod moved;
pub mod ranked;
pub mod shapley;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::cells::{Cells, Runs, intersect};
use super::drift::Response;
use super::losses::{Loss, Objective, softplus_table, softplus_with};
use super::trees::{Ensemble, Node};
use super::u_statistic::{Estimate, Powers, Square};
use super::weight::{Parts, Totals, Unit};
use crate::codec::Writer;
use crate::importance::losses::Link;
use crate::{Error, Result};

/// Bits of a margin in fixed point.
const MARGIN_BITS: i32 = 60;
/// Bits of a loss in fixed point: with 2^34 rows, sums over pairs stay below 2^127.
const LOSS_BITS: i32 = 58;
/// Most rows a state may hold.
const MAX_ROWS: u64 = 1 << 34;
/// Most conditions on leaves, features counted once a leaf: about 100 bytes each.
const MAX_CONDITIONS: usize = 1 << 22;
/// Most cells of a feature times outputs: half a kilobyte each and thread.
const MAX_STEPS: usize = 1 << 19;
/// Rows of a block, the bits of a word.
const BLOCK: usize = 64;
/// Losses beyond this multiple of the observed range are refused, when the model's own bound is farther.
const HEADROOM: f64 = 1024.0;

/// Most blocks of rows: 16 bytes each, feature and thread.
pub const MAX_BLOCKS: usize = 1 << 10;

/// Features by column and labels of the same rows.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    columns: &'a [&'a [f64]],
    labels: &'a [f64],
    blocks: Option<&'a [u32]>,
    /// Weights in units.
    weights: Option<&'a [u64]>,
}

impl<'a> Rows<'a> {
    /// Columns in the order of the model's features; labels as numbers or class indices.
    ///
    /// # Errors
    /// When lengths differ.
    pub fn new(model: &Ensemble, columns: &'a [&'a [f64]], labels: &'a [f64]) -> Result<Self> {
        if columns.len() != model.features.len() {
            return Err(Error::invalid(format!(
                "{} columns; the model has {} features",
                columns.len(),
                model.features.len()
            )));
        }
        if let Some(j) = columns.iter().position(|c| c.len() != labels.len()) {
            return Err(Error::invalid(format!(
                "column {:?} has {} rows, the labels {}",
                model.features[j],
                columns[j].len(),
                labels.len()
            )));
        }
        Ok(Self {
            columns,
            labels,
            blocks: None,
            weights: None,
        })
    }

    /// Gives each row a weight in units.
    ///
    /// # Errors
    /// When lengths differ.
    pub fn weighted(self, weights: &'a [u64]) -> Result<Self> {
        if weights.len() != self.len() {
            return Err(Error::invalid(format!(
                "{} weights for {} rows",
                weights.len(),
                self.len()
            )));
        }
        Ok(Self {
            weights: Some(weights),
            ..self
        })
    }

    /// The weight of a row; 1 without weights.
    #[inline]
    fn weight(&self, row: usize) -> u64 {
        self.weights.map_or(1, |w| w[row])
    }

    /// Says which block each row belongs to.
    ///
    /// # Errors
    /// When lengths differ, or a block is not below [`MAX_BLOCKS`].
    pub fn in_blocks(self, blocks: &'a [u32]) -> Result<Self> {
        if blocks.len() != self.len() {
            return Err(Error::invalid(format!(
                "{} blocks for {} rows",
                blocks.len(),
                self.len()
            )));
        }
        if let Some(b) = blocks.iter().find(|b| **b as usize >= MAX_BLOCKS) {
            return Err(Error::invalid(format!(
                "block {b}; at most {MAX_BLOCKS} blocks, from 0, are accepted"
            )));
        }
        Ok(Self {
            blocks: Some(blocks),
            ..self
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The column of a feature.
    pub(super) fn column(&self, j: usize) -> &'a [f64] {
        self.columns[j]
    }
}

/// What the first pass counts: donors per cell, and the ranges that fix the scale of the loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Donors {
    /// The unit of the weights, where rows have some.
    unit: Option<Unit>,
    totals: Totals,
    /// Weight of the rows in each cell; rows are units without weights.
    counts: Vec<Vec<u64>>,
    labels: Option<(f64, f64)>,
    margins: Option<(f64, f64)>,
}

impl Donors {
    /// No rows yet; with the unit of their weights where they have some.
    pub fn new(cells: &[Cells], unit: Option<Unit>) -> Self {
        Self {
            unit,
            totals: Totals::default(),
            counts: cells.iter().map(|c| vec![0; c.count()]).collect(),
            labels: None,
            margins: None,
        }
    }

    /// Counts rows.
    ///
    /// # Errors
    /// When a label is not accepted by the objective.
    pub fn update(&mut self, model: &Model, objective: &Objective, rows: &Rows<'_>) -> Result<()> {
        objective.check_labels(rows.labels, model.outputs())?;
        if rows.weights.is_some() != self.unit.is_some() {
            return Err(Error::incompatible("rows with weights beside rows without"));
        }
        for row in 0..rows.len() {
            self.totals.add(rows.weight(row));
        }
        for f in &model.used {
            let j = f.feature;
            for (row, x) in rows.columns[j].iter().enumerate() {
                self.counts[j][model.cells[j].cell(*x) as usize] += rows.weight(row);
            }
        }
        for y in rows.labels {
            widen(&mut self.labels, (*y, *y));
        }
        // The bound from the leaves is useless behind an exponential; the margins themselves are seen.
        if objective.link == Link::Exp {
            let mut block = Block::new(model);
            for start in (0..rows.len()).step_by(BLOCK) {
                block.predict::<false>(model, rows, start);
                for m in &block.margins[0][..block.rows] {
                    let m = *m as f64 * model.quantum;
                    widen(&mut self.margins, (m, m));
                }
            }
        }
        Ok(())
    }

    /// Adds the rows of another part.
    ///
    /// # Errors
    /// When the cells differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let shape = |d: &Self| d.counts.iter().map(Vec::len).collect::<Vec<_>>();
        if shape(self) != shape(other) {
            return Err(Error::incompatible(
                "donors counted on the cells of another model",
            ));
        }
        if self.unit != other.unit {
            return Err(Error::incompatible("weights in other units"));
        }
        self.totals.merge(&other.totals);
        for (a, b) in self
            .counts
            .iter_mut()
            .flatten()
            .zip(other.counts.iter().flatten())
        {
            *a += b;
        }
        if let Some(range) = other.labels {
            widen(&mut self.labels, range);
        }
        if let Some(range) = other.margins {
            widen(&mut self.margins, range);
        }
        Ok(())
    }

    /// Rows counted; of weighted ones those with weight.
    pub fn rows(&self) -> u64 {
        self.totals.rows
    }

    /// The unit of the weights.
    pub fn unit(&self) -> Option<Unit> {
        self.unit
    }

    /// Sums over the weights of the rows.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    fn encode(&self, w: &mut Writer) {
        w.varint(self.totals.rows);
        if let Some(unit) = self.unit {
            w.u64(unit.exponent() as u64);
            w.varint(self.totals.all);
            w.varint128(self.totals.squares);
        }
        for counts in &self.counts {
            w.varint(counts.len() as u64);
            counts.iter().for_each(|n| w.varint(*n));
        }
        for range in [self.labels, self.margins] {
            let (low, high) = range.unwrap_or((f64::NAN, f64::NAN));
            w.f64(low);
            w.f64(high);
        }
    }
}

fn widen(range: &mut Option<(f64, f64)>, (low, high): (f64, f64)) {
    *range = Some(range.map_or((low, high), |r| (r.0.min(low), r.1.max(high))));
}

/// A model compiled for the pass over rows.
#[derive(Debug)]
pub struct Model {
    ensemble: Ensemble,
    cells: Vec<Cells>,
    used: Vec<Used>,
    /// Words of `W`, all features.
    words: usize,
    leaves: Vec<Leaf>,
    conditions: Vec<Condition>,
    runs: Vec<(u32, u32)>,
    slots: Vec<Slot>,
    slot_runs: Vec<(u32, u32)>,
    base: Vec<i64>,
    /// What one unit of a fixed-point margin is worth.
    quantum: f64,
    /// Margins lie in this range, whatever the row.
    reach: (f64, f64),
}

/// A feature that some split uses.
#[derive(Debug)]
struct Used {
    feature: usize,
    /// Where its words begin in `W`.
    offset: usize,
    cells: usize,
    /// Its conditions, over all trees, in `slots`.
    slots: std::ops::Range<usize>,
}

#[derive(Debug)]
struct Leaf {
    tree: u32,
    output: u32,
    value: i64,
    /// Its conditions in `conditions`.
    end: u32,
}

/// A leaf's condition on one feature, in the order of leaves.
#[derive(Debug)]
struct Condition {
    slot: u32,
    /// Its first run, as indices into `W`; most have no other.
    first: (u32, u32),
    /// Its other runs in `runs`.
    end: u32,
}

/// The same conditions by feature.
#[derive(Debug)]
struct Slot {
    tree: u32,
    output: u32,
    value: i64,
    /// Its runs, as cells, in `slot_runs`.
    end: u32,
}

impl Model {
    /// Compiles an ensemble.
    ///
    /// # Errors
    /// When the model is too large to be indexed.
    pub fn new(ensemble: Ensemble) -> Result<Self> {
        let cells = Cells::of(&ensemble)?;
        let mut words = 0;
        let mut used = Vec::new();
        let mut local = vec![usize::MAX; cells.len()];
        for (feature, c) in cells.iter().enumerate().filter(|(_, c)| c.is_used()) {
            local[feature] = used.len();
            used.push(Used {
                feature,
                offset: words,
                cells: c.count(),
                slots: 0..0,
            });
            words += c.count() + 1;
        }

        let (quantum, base) = fixed_point(&ensemble)?;
        let reach = reach(&ensemble);
        let widest = used.iter().map(|u| u.cells).max().unwrap_or(0);
        if widest.saturating_mul(ensemble.outputs()) > MAX_STEPS {
            return Err(no_exact_form(format_args!(
                "{widest} cells of a feature and {} outputs",
                ensemble.outputs()
            )));
        }
        let mut paths = Vec::new();
        let mut total = 0;
        for (t, tree) in ensemble.trees.iter().enumerate() {
            leaves_of(&tree.nodes, &cells, &mut |value, conditions| {
                total += conditions.len();
                let fixed = (value / quantum).round() as i64;
                paths.push((t as u32, tree.output, fixed, conditions));
                total <= MAX_CONDITIONS
            });
            if total > MAX_CONDITIONS {
                return Err(no_exact_form(format_args!(
                    "more than {MAX_CONDITIONS} conditions on leaves (forests of deep trees)"
                )));
            }
        }

        // Slots in the order of features, and within one of trees and leaves.
        let mut counts = vec![0usize; used.len()];
        for (_, _, _, conditions) in &paths {
            for (feature, _) in conditions {
                counts[local[*feature as usize]] += 1;
            }
        }
        let mut next = 0;
        for (u, n) in used.iter_mut().zip(&counts) {
            u.slots = next..next + n;
            next += n;
        }
        let too_large = |_| Error::invalid("a model with more than 2^32 conditions on its leaves");
        u32::try_from(next).map_err(too_large)?;
        let mut place: Vec<usize> = used.iter().map(|u| u.slots.start).collect();
        let mut by_slot: Vec<Option<(u32, u32, i64, Runs)>> = vec![None; next];
        let (mut leaves, mut conditions, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        for (tree, output, value, path) in paths {
            for (feature, set) in path {
                let f = local[feature as usize];
                let offset = used[f].offset as u32;
                let mut words = set.iter().map(|(low, high)| (offset + low, offset + high));
                let first = words.next().unwrap_or((offset, offset));
                runs.extend(words);
                conditions.push(Condition {
                    slot: place[f] as u32,
                    first,
                    end: u32::try_from(runs.len()).map_err(too_large)?,
                });
                by_slot[place[f]] = Some((tree, output, value, set));
                place[f] += 1;
            }
            leaves.push(Leaf {
                tree,
                output,
                value,
                end: conditions.len() as u32,
            });
        }
        let (mut slots, mut slot_runs) = (Vec::with_capacity(next), Vec::new());
        for (tree, output, value, set) in by_slot.into_iter().flatten() {
            slot_runs.extend(set);
            slots.push(Slot {
                tree,
                output,
                value,
                end: slot_runs.len() as u32,
            });
        }
        Ok(Self {
            ensemble,
            cells,
            used,
            words,
            leaves,
            conditions,
            runs,
            slots,
            slot_runs,
            base,
            quantum,
            reach,
        })
    }

    /// The model as it was read.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Hash of what the model predicts: equal trees, equal digest.
    pub fn digest(&self) -> String {
        let mut w = Writer::new();
        self.encode(&mut w);
        // Trees without a split have no condition and still count.
        for leaf in &self.leaves {
            w.u64(u64::from(leaf.tree) << 32 | u64::from(leaf.output));
            w.u64(leaf.value as u64);
        }
        format!("b3:{}", blake3::hash(&w.into_bytes()).to_hex())
    }

    /// Cells of every feature.
    pub fn cells(&self) -> &[Cells] {
        &self.cells
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.leaves.len()
    }

    /// Margins, row by row.
    pub fn margins(&self, rows: &Rows<'_>) -> Vec<f64> {
        let mut out = Vec::with_capacity(rows.len() * self.outputs());
        let mut block = Block::new(self);
        for start in (0..rows.len()).step_by(BLOCK) {
            block.predict::<false>(self, rows, start);
            for r in 0..block.rows {
                out.extend((0..self.outputs()).map(|k| block.margins[k][r] as f64 * self.quantum));
            }
        }
        out
    }

    /// The hash that ties states to the model.
    fn encode(&self, w: &mut Writer) {
        w.u8(u8::from(self.ensemble.single_precision));
        w.bytes(format!("{:?}", self.ensemble.link).as_bytes());
        w.f64(self.quantum);
        for name in &self.ensemble.features {
            w.bytes(name.as_bytes());
        }
        for b in &self.base {
            w.u64(*b as u64);
        }
        for c in &self.cells {
            w.varint(c.cuts().len() as u64);
            c.cuts().iter().for_each(|x| w.f64(*x));
        }
        for s in &self.slots {
            w.u64(u64::from(s.tree) << 32 | u64::from(s.output));
            w.u64(s.value as u64);
            w.varint(u64::from(s.end));
        }
        for (low, high) in &self.slot_runs {
            w.varint(u64::from(*low));
            w.varint(u64::from(*high));
        }
    }
}

fn no_exact_form(what: std::fmt::Arguments<'_>) -> Error {
    Error::invalid(format!(
        "a model with {what} has no exact form here; use method=\"permutation\""
    ))
}

/// Calls `visit` with the value of each leaf and its conditions, one a feature, by depth first, until it
/// says no.
fn leaves_of(
    nodes: &[Node],
    cells: &[Cells],
    visit: &mut impl FnMut(f64, Vec<(u32, Runs)>) -> bool,
) {
    let mut stack = vec![(0u32, Vec::<(u32, Runs)>::new())];
    while let Some((at, path)) = stack.pop() {
        match &nodes[at as usize] {
            Node::Leaf(value) => {
                if !visit(*value, path) {
                    return;
                }
            }
            node @ Node::Split {
                feature,
                left,
                right,
                ..
            } => {
                let c = &cells[*feature as usize];
                let goes_left = c.left(node);
                let goes_right = c.others(&goes_left);
                for (child, set) in [(*right, goes_right), (*left, goes_left)] {
                    let mut path = path.clone();
                    match path.iter_mut().find(|(f, _)| f == feature) {
                        Some((_, s)) => *s = intersect(s, &set),
                        None => path.push((*feature, set)),
                    }
                    // A branch that no value can take is not part of the model.
                    if path.iter().all(|(_, s)| !s.is_empty()) {
                        stack.push((child, path));
                    }
                }
            }
        }
    }
}

/// The least and largest margin that leaves allow.
fn reach(model: &Ensemble) -> (f64, f64) {
    let (mut low, mut high) = (model.base.clone(), model.base.clone());
    for tree in &model.trees {
        let values = tree.nodes.iter().filter_map(|n| match n {
            Node::Leaf(v) => Some(*v),
            Node::Split { .. } => None,
        });
        let (a, b) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(v), b.max(v))
        });
        low[tree.output as usize] += a;
        high[tree.output as usize] += b;
    }
    let fold = |v: &[f64], start: f64, f: fn(f64, f64) -> f64| v.iter().copied().fold(start, f);
    (
        fold(&low, f64::INFINITY, f64::min),
        fold(&high, f64::NEG_INFINITY, f64::max),
    )
}

/// The unit of margins, a power of two, and the constants in it.
fn fixed_point(model: &Ensemble) -> Result<(f64, Vec<i64>)> {
    let mut size: Vec<f64> = model.base.iter().map(|b| b.abs()).collect();
    for tree in &model.trees {
        let largest = tree.nodes.iter().fold(0.0f64, |a, n| match n {
            Node::Leaf(v) => a.max(v.abs()),
            Node::Split { .. } => a,
        });
        size[tree.output as usize] += largest;
    }
    let size = size.into_iter().fold(0.0, f64::max);
    if !size.is_finite() {
        return Err(Error::invalid(
            "leaf values whose sum leaves the range of f64",
        ));
    }
    let quantum = libm::ldexp(1.0, exponent_above(size) - MARGIN_BITS);
    let base = model
        .base
        .iter()
        .map(|b| (b / quantum).round() as i64)
        .collect();
    Ok((quantum, base))
}

/// The least e with `x < 2^e`, at least -900 so that units stay normal numbers.
fn exponent_above(x: f64) -> i32 {
    libm::frexp(x).1.max(-900)
}

/// Everything that is frozen before the second pass: model, objective, donors and scale.
#[derive(Debug)]
pub struct Plan {
    model: Arc<Model>,
    objective: Objective,
    donors: Arc<Donors>,
    /// Donors in cells from b on, by used feature.
    above: Vec<Vec<i64>>,
    /// Whether no donor of a used feature is NaN, whose cell then takes no part.
    whole: Vec<bool>,
    /// Losses are multiples of this.
    quantum: f64,
    digest: [u8; 32],
}

impl Plan {
    /// Freezes donors and the scale of the loss.
    ///
    /// # Errors
    /// When there are fewer than 2 or more than 2^34 donors, or no finite bound of the loss.
    pub fn new(model: Arc<Model>, objective: Objective, donors: Arc<Donors>) -> Result<Self> {
        if !(2..=MAX_ROWS).contains(&donors.totals.rows) {
            let weighted = donors.unit.map_or("", |_| " with weight");
            return Err(Error::invalid(format!(
                "{} rows{weighted}; exact importance takes 2 to 2^34",
                donors.totals.rows
            )));
        }
        let labels = donors.labels.unwrap_or((0.0, 0.0));
        let outputs = model.outputs();
        let mut bound = objective.bound(labels, model.reach, outputs);
        if let Some(seen) = donors.margins {
            bound = bound.min(HEADROOM * objective.bound(labels, seen, outputs));
        }
        if !bound.is_finite() {
            return Err(Error::invalid(format!(
                "labels in [{}, {}] and margins in [{}, {}] let {:?} grow beyond f64",
                labels.0, labels.1, model.reach.0, model.reach.1, objective.loss
            )));
        }
        let quantum = libm::ldexp(1.0, exponent_above(bound) - LOSS_BITS);
        let above = model
            .used
            .iter()
            .map(|u| {
                let mut rest = donors.totals.all as i64;
                let step = |n: &u64| {
                    let v = rest;
                    rest -= *n as i64;
                    v
                };
                donors.counts[u.feature].iter().map(step).collect()
            })
            .collect();
        let whole = model
            .used
            .iter()
            .map(|u| donors.counts[u.feature].last() == Some(&0))
            .collect();
        let mut w = Writer::new();
        model.encode(&mut w);
        w.bytes(format!("{objective:?}").as_bytes());
        w.f64(quantum);
        donors.encode(&mut w);
        Ok(Self {
            model,
            objective,
            donors,
            above,
            whole,
            quantum,
            digest: *blake3::hash(&w.into_bytes()).as_bytes(),
        })
    }

    /// Adds rows to `sums`, on `threads` threads.
    ///
    /// # Errors
    /// When a loss is not defined or beyond the bound of the plan.
    pub fn update(&self, sums: &mut Sums, rows: &Rows<'_>, threads: usize) -> Result<()> {
        sums.check(self)?;
        if rows.weights.is_some() != self.donors.unit.is_some() {
            return Err(Error::incompatible("rows with weights beside rows without"));
        }
        self.objective
            .check_labels(rows.labels, self.model.outputs())?;
        // The two losses that most models are trained on get loops of their own.
        match (self.objective.loss, self.objective.link) {
            (Loss::LogLoss, Link::Logistic(s)) => {
                let table = softplus_table();
                self.run(sums, rows, threads, &move |y: f64, m: &mut [f64]| {
                    softplus_with(table, if y > 0.5 { -s * m[0] } else { s * m[0] })
                })
            }
            (Loss::Squared, Link::Identity) => {
                self.run(sums, rows, threads, &|y: f64, m: &mut [f64]| {
                    (y - m[0]) * (y - m[0])
                })
            }
            _ if self.model.outputs() == 1 => {
                self.run(sums, rows, threads, &|y: f64, m: &mut [f64]| {
                    self.objective.of_one(y, m[0])
                })
            }
            _ => self.run(sums, rows, threads, &|y: f64, m: &mut [f64]| {
                self.objective.of_many(y, m)
            }),
        }
    }

    fn run<F>(&self, sums: &mut Sums, rows: &Rows<'_>, threads: usize, loss: &F) -> Result<()>
    where
        F: Fn(f64, &mut [f64]) -> f64 + Sync,
    {
        let blocks = rows.len().div_ceil(BLOCK);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut part = Sums::new(self);
            let mut block = Block::new(&self.model);
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= blocks {
                    return Ok(part);
                }
                block.score(self, rows, i * BLOCK, loss, &mut part)?;
            }
        };
        let parts: Vec<Result<Sums>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.clamp(1, blocks.max(1)))
                .map(|_| scope.spawn(work))
                .collect();
            let mut parts = vec![work()];
            parts.extend(others.into_iter().map(|t| {
                t.join()
                    .unwrap_or_else(|_| Err(Error::invalid("a worker stopped; please report this")))
            }));
            parts
        });
        for part in parts {
            sums.merge(&part?)?;
        }
        Ok(())
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The donors.
    pub fn donors(&self) -> &Donors {
        &self.donors
    }

    /// Rounds a loss to the scale of the plan.
    #[inline]
    fn fix(&self, inverse: f64, loss: f64) -> Result<i64> {
        let units = loss * inverse;
        // One comparison that NaN fails too.
        if units <= (1u64 << LOSS_BITS) as f64 {
            Ok((units + 0.5) as i64)
        } else {
            Err(self.refuse(loss))
        }
    }

    #[cold]
    fn refuse(&self, loss: f64) -> Error {
        if loss.is_nan() {
            Error::invalid(format!(
                "{:?} is not defined for a prediction with a permuted value",
                self.objective.loss
            ))
        } else {
            Error::invalid(format!(
                "a permuted value makes {:?} {loss}, over {HEADROOM} times what labels and predictions span",
                self.objective.loss
            ))
        }
    }

    /// Importances and their standard errors, by feature of the model.
    ///
    /// # Errors
    /// When the rows that were scored are not the donors.
    pub fn finish(&self, sums: &Sums) -> Result<Vec<Estimate>> {
        sums.check(self)?;
        let totals = &self.donors.totals;
        if sums.rows != totals.rows {
            return Err(Error::incompatible(format!(
                "{} rows were scored, {} are donors",
                sums.rows, totals.rows
            )));
        }
        let mut out = vec![Estimate::UNUSED; self.model.ensemble.features.len()];
        for (u, f) in self.model.used.iter().zip(&sums.features) {
            if f.counts != self.donors.counts[u.feature] {
                return Err(Error::incompatible(format!(
                    "the rows that were scored differ from the donors in {:?}",
                    self.model.ensemble.features[u.feature]
                )));
            }
            let mut step = 0i128;
            let columns: Vec<i128> = f
                .steps
                .iter()
                .map(|s| {
                    step += s;
                    step
                })
                .collect();
            out[u.feature] = match &f.parts {
                Some(parts) => parts.finish(totals, &f.counts, &columns, self.quantum, LOSS_BITS),
                None => Estimate::new(
                    sums.rows,
                    &f.counts,
                    &columns,
                    &f.rows,
                    (&f.square, &f.powers),
                    self.quantum,
                ),
            };
        }
        Ok(out)
    }

    /// Importances with standard errors by blocks, from `sums` and from what the rows of each block are as
    /// donors.
    ///
    /// # Errors
    /// When the rows that were scored are not the donors, or some of them had no block.
    pub fn finish_by_block(&self, sums: &Sums, donors: &BlockDonors) -> Result<Vec<Estimate>> {
        let mut out = self.finish(sums)?;
        let totals = &self.donors.totals;
        if donors.rows != sums.blocks.rows || donors.rows.iter().sum::<u64>() != totals.all {
            return Err(Error::incompatible(
                "blocks of other rows than those that were scored",
            ));
        }
        // One less than the rows; of weights what is left of them beside a row, on the average.
        let others = totals.pairs() as f64 / totals.all as f64;
        let unit = if self.donors.unit.is_some() {
            libm::ldexp(self.quantum, totals.shift() as i32)
        } else {
            self.quantum
        };
        let width = self.model.used.len();
        for (f, u) in self.model.used.iter().enumerate() {
            let blocks: Vec<(f64, u64)> = donors
                .rows
                .iter()
                .enumerate()
                .map(|(b, n)| {
                    let at = b * width + f;
                    let sum = sums.blocks.changes[at] as f64 + donors.changes[at] as f64;
                    (sum / others * unit, *n)
                })
                .collect();
            out[u.feature] = out[u.feature].by_block(&blocks);
        }
        Ok(out)
    }

    /// How the rows respond to donors of each cell, by feature of the model; none of features it does not use.
    ///
    /// # Errors
    /// When the sums are of another plan.
    pub fn responses(&self, sums: &Sums) -> Result<Vec<Option<Response>>> {
        sums.check(self)?;
        let mut out = vec![None; self.model.ensemble.features.len()];
        for ((u, f), whole) in self.model.used.iter().zip(&sums.features).zip(&self.whole) {
            let mut step = 0i128;
            let mean = |s: &i128| {
                step += s;
                step as f64 * self.quantum / self.donors.totals.all as f64
            };
            let mut change: Vec<f64> = f.steps.iter().map(mean).collect();
            // Steps at the last cell are left out where no donor is there.
            if let Some(last) = change.last_mut().filter(|_| *whole) {
                *last = f64::NAN;
            }
            out[u.feature] = Some(Response {
                counts: f.counts.clone(),
                change,
            });
        }
        Ok(out)
    }

    /// The mean loss with every value in place.
    pub fn baseline(&self, sums: &Sums) -> f64 {
        sums.loss as f64 * self.quantum / self.donors.totals.all as f64
    }
}

/// What the second pass adds up: integers only.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    plan: [u8; 32],
    rows: u64,
    loss: i128,
    features: Vec<FeatureSums>,
    blocks: BlockSums,
}

/// Rows of each block, and by block and used feature the sum of their changes of loss, summed over donors.
#[derive(Debug, Clone, PartialEq, Default)]
struct BlockSums {
    rows: Vec<u64>,
    changes: Vec<i128>,
}

impl BlockSums {
    fn reserve(&mut self, blocks: usize, features: usize) {
        if self.rows.len() < blocks {
            self.rows.resize(blocks, 0);
            self.changes.resize(blocks * features, 0);
        }
    }

    fn merge(&mut self, other: &Self) {
        if self.rows.len() < other.rows.len() {
            self.rows.resize(other.rows.len(), 0);
            self.changes.resize(other.changes.len(), 0);
        }
        self.rows
            .iter_mut()
            .zip(&other.rows)
            .for_each(|(a, b)| *a += b);
        self.changes
            .iter_mut()
            .zip(&other.changes)
            .for_each(|(a, b)| *a += b);
    }
}

#[derive(Debug, Clone, PartialEq)]
struct FeatureSums {
    /// Rows by own cell.
    counts: Vec<u64>,
    /// Sum over rows of the change of loss in cell b, as difference from cell b - 1.
    steps: Vec<i128>,
    /// Sum over rows in cell b of their change of loss, summed over donors.
    rows: Vec<i128>,
    /// Sum over rows of the square of their mean change of loss.
    square: Square,
    /// Of their higher powers.
    powers: Powers,
    /// In place of the three above where rows have weights.
    parts: Option<Parts>,
}

impl Sums {
    /// No rows yet.
    pub fn new(plan: &Plan) -> Self {
        let features = plan
            .model
            .used
            .iter()
            .map(|u| FeatureSums {
                counts: vec![0; u.cells],
                steps: vec![0; u.cells],
                rows: vec![0; u.cells],
                square: Square::default(),
                powers: Powers::new(u.cells, LOSS_BITS as u32),
                parts: plan.donors.unit.map(|_| Parts::new(u.cells)),
            })
            .collect();
        Self {
            plan: plan.digest,
            rows: 0,
            loss: 0,
            features,
            blocks: BlockSums::default(),
        }
    }

    fn check(&self, plan: &Plan) -> Result<()> {
        if self.plan == plan.digest {
            Ok(())
        } else {
            Err(Error::incompatible("sums of another model, loss or donors"))
        }
    }

    /// Adds the rows of another part.
    ///
    /// # Errors
    /// When its plan is another one.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.plan != other.plan {
            return Err(Error::incompatible("sums of another model, loss or donors"));
        }
        self.rows += other.rows;
        self.loss += other.loss;
        for (a, b) in self.features.iter_mut().zip(&other.features) {
            a.counts
                .iter_mut()
                .zip(&b.counts)
                .for_each(|(a, b)| *a += b);
            a.steps.iter_mut().zip(&b.steps).for_each(|(a, b)| *a += b);
            a.rows.iter_mut().zip(&b.rows).for_each(|(a, b)| *a += b);
            a.square.merge(&b.square);
            a.powers.merge(&b.powers);
            if let (Some(a), Some(b)) = (&mut a.parts, &b.parts) {
                a.merge(b);
            }
        }
        self.blocks.merge(&other.blocks);
        Ok(())
    }

    /// Rows added; of weighted ones those with weight.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Hash of the content: equal rows in any order and partition, equal digest.
    pub fn digest(&self) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.plan);
        hash.update(&self.rows.to_le_bytes());
        hash.update(&self.loss.to_le_bytes());
        for f in &self.features {
            f.counts.iter().for_each(|n| {
                hash.update(&n.to_le_bytes());
            });
            for v in f.steps.iter().chain(&f.rows) {
                hash.update(&v.to_le_bytes());
            }
            hash.update(&f.square.to_le_bytes());
            f.powers.bytes(&mut |bytes| {
                hash.update(bytes);
            });
            if let Some(parts) = &f.parts {
                parts.bytes(&mut |bytes| {
                    hash.update(bytes);
                });
            }
        }
        for n in &self.blocks.rows {
            hash.update(&n.to_le_bytes());
        }
        for v in &self.blocks.changes {
            hash.update(&v.to_le_bytes());
        }
        format!("b3:{}", hash.finalize().to_hex())
    }
}

/// What the rows of each block do as donors: a pass over the rows after they were scored, without a
/// prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockDonors {
    plan: [u8; 32],
    /// Sum over rows of the change of loss, by used feature and donor cell.
    columns: Vec<Vec<i128>>,
    rows: Vec<u64>,
    changes: Vec<i128>,
}

impl BlockDonors {
    /// No rows yet.
    ///
    /// # Errors
    /// When the sums are of another plan.
    pub fn new(plan: &Plan, sums: &Sums) -> Result<Self> {
        sums.check(plan)?;
        let columns = sums.features.iter().map(|f| {
            let mut step = 0i128;
            let add = |s: &i128| {
                step += s;
                step
            };
            f.steps.iter().map(add).collect()
        });
        Ok(Self {
            plan: plan.digest,
            columns: columns.collect(),
            rows: vec![0; sums.blocks.rows.len()],
            changes: vec![0; sums.blocks.changes.len()],
        })
    }

    /// Adds rows, each with its block.
    ///
    /// # Errors
    /// When a row has no block, or one that was not scored.
    pub fn update(&mut self, plan: &Plan, rows: &Rows<'_>) -> Result<()> {
        let (Some(blocks), true) = (rows.blocks, self.plan == plan.digest) else {
            return Err(Error::incompatible(
                "rows without blocks, or of another plan",
            ));
        };
        if blocks.iter().any(|b| *b as usize >= self.rows.len()) {
            return Err(Error::incompatible("a block whose rows were not scored"));
        }
        for (row, b) in blocks.iter().enumerate() {
            self.rows[*b as usize] += rows.weight(row);
        }
        let shift = plan.donors.totals.shift();
        let width = self.columns.len();
        for (f, (u, columns)) in plan.model.used.iter().zip(&self.columns).enumerate() {
            let cells = &plan.model.cells[u.feature];
            let pairs = rows.columns[u.feature].iter().zip(blocks).enumerate();
            for (row, (x, b)) in pairs {
                let change = columns[cells.cell(*x) as usize];
                self.changes[*b as usize * width + f] += match rows.weights {
                    Some(w) => i128::from(w[row]) * (change >> shift),
                    None => change,
                };
            }
        }
        Ok(())
    }
}

/// Takes the lowest bit; the mask tells the compiler that it indexes a block.
#[inline(always)]
fn next_row(bits: &mut u64) -> usize {
    let r = bits.trailing_zeros() as usize % BLOCK;
    *bits &= *bits - 1;
    r
}

/// Buffers for 64 rows.
struct Block {
    rows: usize,
    /// Rows of the block, as bits.
    all: u64,
    cells: Vec<[u32; BLOCK]>,
    /// `W`: which rows have a used feature in a cell below b.
    below: Vec<u64>,
    /// Rows that reach the leaf of a slot by moving its feature alone.
    moved: Vec<u64>,
    /// Along the path to a leaf: which rows meet all conditions before one, and which meet it.
    path: Vec<(u64, u64)>,
    /// What each tree gives each row.
    own: Vec<[i64; BLOCK]>,
    /// Margins, by output and row.
    margins: Vec<[i64; BLOCK]>,
    /// Changes of the margin at the start of a cell, by cell, output and row.
    steps: Vec<[i64; BLOCK]>,
    /// Rows with a change at the start of a cell.
    touched: Vec<u64>,
}

impl Block {
    fn new(model: &Model) -> Self {
        let widest = model.used.iter().map(|u| u.cells).max().unwrap_or(0);
        Self {
            rows: 0,
            all: 0,
            cells: vec![[0; BLOCK]; model.used.len()],
            below: vec![0; model.words],
            moved: vec![0; model.slots.len()],
            path: vec![(0, 0); model.used.len()],
            own: vec![[0; BLOCK]; model.ensemble.trees.len()],
            margins: vec![[0; BLOCK]; model.outputs()],
            steps: vec![[0; BLOCK]; (widest + 1) * model.outputs()],
            touched: vec![0; widest + 1],
        }
    }

    /// Cells and margins of the rows from `start` on; with `MOVES` the leaves that one feature alone reaches.
    fn predict<const MOVES: bool>(&mut self, model: &Model, rows: &Rows<'_>, start: usize) {
        self.rows = BLOCK.min(rows.len() - start);
        self.all = u64::MAX >> (BLOCK - self.rows);
        self.below.fill(0);
        for (u, cells) in model.used.iter().zip(&mut self.cells) {
            let column = &rows.columns[u.feature][start..start + self.rows];
            let words = &mut self.below[u.offset..=u.offset + u.cells];
            for (r, (x, cell)) in column.iter().zip(cells).enumerate() {
                *cell = model.cells[u.feature].cell(*x);
                words[*cell as usize + 1] |= 1 << r;
            }
            let mut any = 0;
            for w in words {
                any |= *w;
                *w = any;
            }
        }
        for (margins, base) in self.margins.iter_mut().zip(&model.base) {
            margins.fill(*base);
        }
        let (mut condition, mut run) = (0, 0);
        for leaf in &model.leaves {
            let conditions = &model.conditions[condition..leaf.end as usize];
            condition = leaf.end as usize;
            let path = &mut self.path[..conditions.len()];
            let mut reached = self.all;
            for (c, (prefix, holds)) in conditions.iter().zip(path.iter_mut()) {
                *prefix = reached;
                let word =
                    |(low, high): (u32, u32)| self.below[high as usize] & !self.below[low as usize];
                *holds = word(c.first);
                if run != c.end as usize {
                    for more in &model.runs[run..c.end as usize] {
                        *holds |= word(*more);
                    }
                    run = c.end as usize;
                }
                reached &= *holds;
            }
            if MOVES {
                let mut suffix = u64::MAX;
                for (c, (prefix, holds)) in conditions.iter().zip(path).rev() {
                    self.moved[c.slot as usize] = *prefix & suffix & !*holds;
                    suffix &= *holds;
                }
            }
            let own = &mut self.own[leaf.tree as usize];
            let margins = &mut self.margins[leaf.output as usize];
            let mut bits = reached;
            while bits != 0 {
                let r = next_row(&mut bits);
                own[r] = leaf.value;
                margins[r] += leaf.value;
            }
        }
    }

    /// Adds the rows from `start` on to the sums.
    fn score<F>(
        &mut self,
        plan: &Plan,
        rows: &Rows<'_>,
        start: usize,
        loss: &F,
        sums: &mut Sums,
    ) -> Result<()>
    where
        F: Fn(f64, &mut [f64]) -> f64,
    {
        let model = &plan.model;
        self.predict::<true>(model, rows, start);
        let mut labels = [0.0; BLOCK];
        labels[..self.rows].copy_from_slice(&rows.labels[start..start + self.rows]);
        let inverse = 1.0 / plan.quantum;
        let mut scratch = vec![0.0; model.outputs()];
        let mut orig = [0i64; BLOCK];
        let mut weight = [0i64; BLOCK];
        for r in 0..self.rows {
            for (m, now) in scratch.iter_mut().zip(&self.margins) {
                *m = now[r] as f64 * model.quantum;
            }
            orig[r] = plan.fix(inverse, loss(labels[r], &mut scratch))?;
            weight[r] = rows.weight(start + r) as i64;
            sums.loss += i128::from(orig[r]) * i128::from(weight[r]);
            sums.rows += u64::from(weight[r] > 0);
        }
        let blocks = rows.blocks.map(|b| &b[start..start + self.rows]);
        if let Some(blocks) = blocks {
            let count = blocks.iter().max().map_or(0, |b| *b as usize + 1);
            sums.blocks.reserve(count, model.used.len());
            for (b, w) in blocks.iter().zip(weight) {
                sums.blocks.rows[*b as usize] += w as u64;
            }
        }
        let totals = &plan.donors.totals;

        for (f, u) in model.used.iter().enumerate() {
            self.collect(model, u, plan.whole[f]);
            let total = &mut sums.features[f];
            let mut last = orig;
            let mut change = [0i128; BLOCK];
            if let [margins] = &self.margins[..] {
                let mut margins = *margins;
                for (b, steps) in self.steps[..u.cells].iter_mut().enumerate() {
                    let mut bits = std::mem::take(&mut self.touched[b]);
                    let donors = i128::from(plan.above[f][b]);
                    let mut sum = 0i128;
                    while bits != 0 {
                        let r = next_row(&mut bits);
                        let step = std::mem::take(&mut steps[r]);
                        // Leaves of several trees may cancel.
                        if step == 0 {
                            continue;
                        }
                        margins[r] += step;
                        let mut margin = [margins[r] as f64 * model.quantum];
                        let new = plan.fix(inverse, loss(labels[r], &mut margin))?;
                        let d = i128::from(new - last[r]);
                        last[r] = new;
                        sum += d * i128::from(weight[r]);
                        change[r] += donors * d;
                    }
                    total.steps[b] += sum;
                }
            } else {
                let outputs = model.outputs();
                let mut margins = self.margins.clone();
                for b in 0..u.cells {
                    let mut bits = std::mem::take(&mut self.touched[b]);
                    let donors = i128::from(plan.above[f][b]);
                    while bits != 0 {
                        let r = next_row(&mut bits);
                        let steps = &mut self.steps[b * outputs..(b + 1) * outputs];
                        for ((m, now), step) in scratch.iter_mut().zip(&mut margins).zip(steps) {
                            now[r] += std::mem::take(&mut step[r]);
                            *m = now[r] as f64 * model.quantum;
                        }
                        let new = plan.fix(inverse, loss(labels[r], &mut scratch))?;
                        let d = i128::from(new - last[r]);
                        last[r] = new;
                        total.steps[b] += d * i128::from(weight[r]);
                        change[r] += donors * d;
                    }
                }
            }
            for (r, (c, change)) in self.cells[f][..self.rows].iter().zip(&change).enumerate() {
                total.counts[*c as usize] += weight[r] as u64;
                match &mut total.parts {
                    Some(parts) => parts.add(*c, weight[r] as u64, *change, totals, LOSS_BITS),
                    None => {
                        total.rows[*c as usize] += change;
                        total.square.add(*change, totals.rows - 1);
                        total.powers.add(*c, *change, totals.rows - 1);
                    }
                }
            }
            for (r, (b, change)) in blocks.into_iter().flatten().zip(change).enumerate() {
                sums.blocks.changes[*b as usize * model.used.len() + f] += match total.parts {
                    Some(_) => i128::from(weight[r]) * (change >> totals.shift()),
                    None => change,
                };
            }
        }
        Ok(())
    }

    /// Writes the steps of the margin along one feature.
    fn collect(&mut self, model: &Model, u: &Used, whole: bool) {
        let outputs = model.outputs();
        let nan = u.cells as u32 - 1;
        let mut run = match u.slots.start {
            0 => 0,
            s => model.slots[s - 1].end as usize,
        };
        for (slot, moved) in model.slots[u.slots.clone()]
            .iter()
            .zip(&self.moved[u.slots.clone()])
        {
            let runs = &model.slot_runs[run..slot.end as usize];
            run = slot.end as usize;
            if *moved == 0 {
                continue;
            }
            let own = &self.own[slot.tree as usize];
            for (low, high) in runs {
                // No donor is there, so what happens at NaN is of no consequence.
                if whole && *low == nan {
                    continue;
                }
                self.touched[*low as usize] |= moved;
                self.touched[*high as usize] |= moved;
                let at = |cell: u32| cell as usize * outputs + slot.output as usize;
                let Ok([first, after]) = self.steps.get_disjoint_mut([at(*low), at(*high)]) else {
                    continue; // a run is not empty, so the two differ
                };
                let mut bits = *moved;
                while bits != 0 {
                    let r = next_row(&mut bits);
                    let d = slot.value - own[r];
                    first[r] += d;
                    after[r] -= d;
                }
            }
        }
        // What ends behind the last cell ends nowhere.
        if std::mem::take(&mut self.touched[u.cells]) != 0 {
            for row in &mut self.steps[u.cells * outputs..(u.cells + 1) * outputs] {
                row.fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::trees::{Missing, Rule, Tree};
    use proptest::prelude::*;

    /// A tree of random shape over `features` features: thresholds, categories and all missing rules.
    pub(super) fn tree(features: u32, outputs: u32) -> impl Strategy<Value = Tree> {
        let rule = prop_oneof![
            (-3i32..3).prop_map(|t| Rule::AtMost(f64::from(t) / 2.0)),
            (prop::collection::btree_set(0u32..4, 0..3), any::<bool>()).prop_map(|(s, left)| {
                Rule::Among {
                    listed: s.into_iter().collect(),
                    left,
                    truncates: left,
                }
            }),
        ];
        let missing = prop_oneof![
            any::<bool>().prop_map(Missing::Nan),
            Just(Missing::NanIsZero),
            any::<bool>().prop_map(Missing::NanAndZero),
        ];
        let split = (0..features, rule, missing, any::<prop::sample::Index>());
        let leaf = -2.0..2.0f64;
        (
            0..outputs,
            prop::collection::vec((split, leaf.clone(), leaf.clone()), 0..9),
            leaf,
        )
            .prop_map(|(output, splits, first)| {
                let mut nodes = vec![Node::Leaf(first)];
                let mut leaves = vec![0];
                for ((feature, rule, missing, at), a, b) in splits {
                    let grown = leaves.swap_remove(at.index(leaves.len()));
                    let left = nodes.len();
                    nodes[grown] = Node::Split {
                        feature,
                        rule,
                        missing,
                        left: left as u32,
                        right: left as u32 + 1,
                    };
                    nodes.extend([Node::Leaf(a), Node::Leaf(b)]);
                    leaves.extend([left, left + 1]);
                }
                Tree::new(output, 0, nodes).unwrap()
            })
    }

    pub(super) fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -3.0..3.0f64,
            3 => (-2i32..5).prop_map(f64::from),
            1 => Just(f64::NAN),
            1 => Just(-0.0),
        ]
    }

    fn brute_force(
        model: &Ensemble,
        objective: &Objective,
        columns: &[Vec<f64>],
        labels: &[f64],
    ) -> Vec<(f64, f64)> {
        let n = labels.len();
        let loss = |i: usize, j: usize, k: usize| {
            let mut row: Vec<f64> = columns.iter().map(|c| c[i]).collect();
            row[j] = columns[j][k];
            let mut m = model.margins(&row);
            if m.len() == 1 {
                objective.of_one(labels[i], m[0])
            } else {
                objective.of_many(labels[i], &mut m)
            }
        };
        (0..columns.len())
            .map(|j| {
                let d: Vec<Vec<f64>> = (0..n)
                    .map(|i| (0..n).map(|k| loss(i, j, k) - loss(i, j, i)).collect())
                    .collect();
                let total: f64 = d.iter().flatten().sum();
                // The jackknife as it is defined: the statistic without each row in turn.
                let left_out: Vec<f64> = (0..n)
                    .map(|i| {
                        let own: f64 =
                            d[i].iter().sum::<f64>() + d.iter().map(|r| r[i]).sum::<f64>();
                        (total - own) / ((n - 1) * (n - 2)) as f64
                    })
                    .collect();
                let mean = left_out.iter().sum::<f64>() / n as f64;
                let spread: f64 = left_out.iter().map(|u| (u - mean) * (u - mean)).sum();
                let variance = (n - 1) as f64 / n as f64 * spread;
                (total / (n * (n - 1)) as f64, variance.sqrt())
            })
            .collect()
    }

    fn exact(
        model: &Arc<Model>,
        objective: Objective,
        columns: &[Vec<f64>],
        labels: &[f64],
        parts: usize,
        threads: usize,
    ) -> (Vec<Estimate>, String) {
        let n = labels.len();
        let size = n.div_ceil(parts);
        let slices: Vec<(Vec<&[f64]>, &[f64])> = (0..n)
            .step_by(size)
            .map(|s| {
                let e = (s + size).min(n);
                (columns.iter().map(|c| &c[s..e]).collect(), &labels[s..e])
            })
            .collect();
        let rows: Vec<Rows<'_>> = slices
            .iter()
            .map(|(c, l)| Rows::new(model.ensemble(), c, l).unwrap())
            .collect();
        // Parts are merged from the last to the first.
        let mut donors = Donors::new(model.cells(), None);
        for r in rows.iter().rev() {
            let mut part = Donors::new(model.cells(), None);
            part.update(model, &objective, r).unwrap();
            donors.merge(&part).unwrap();
        }
        let plan = Plan::new(Arc::clone(model), objective, Arc::new(donors)).unwrap();
        let mut sums = Sums::new(&plan);
        for r in rows.iter().rev() {
            let mut part = Sums::new(&plan);
            plan.update(&mut part, r, threads).unwrap();
            sums.merge(&part).unwrap();
        }
        (plan.finish(&sums).unwrap(), sums.digest())
    }

    /// The weighted mean over pairs and its jackknife, as they are defined.
    fn weighted_pairs(d: &[Vec<f64>], w: &[f64]) -> (f64, f64) {
        let n = w.len();
        let without = |out: usize| {
            let (mut sum, mut all) = (0.0, 0.0);
            for i in (0..n).filter(|i| *i != out) {
                for k in (0..n).filter(|k| *k != out && *k != i) {
                    sum += w[i] * w[k] * d[i][k];
                    all += w[i] * w[k];
                }
            }
            sum / all
        };
        let value = without(n);
        let held = w.iter().filter(|w| **w > 0.0).count() as f64;
        let rows = (0..n).filter(|i| w[*i] > 0.0);
        let moved: f64 = rows.map(|i| (without(i) - value).powi(2)).sum();
        (value, ((held - 1.0) / held * moved).sqrt())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn weights_are_those_of_pairs(
            trees in prop::collection::vec(tree(2, 1), 1..6),
            rows in prop::collection::vec(
                (value(), value(), 0.1..3.0f64, prop_oneof![4 => 0.01..9.0f64, 1 => Just(0.0)], 0u32..4), 5..40,
            ),
            equal in any::<bool>(),
        ) {
            let ensemble = Ensemble {
                features: vec!["a".into(), "b".into()], base: vec![0.25], trees, link: Link::Identity, single_precision: false,
            }.validate().unwrap();
            let objective = Objective::new(Loss::Squared, Link::Identity, 1).unwrap();
            let columns: Vec<Vec<f64>> = vec![rows.iter().map(|r| r.0).collect(), rows.iter().map(|r| r.1).collect()];
            let labels: Vec<f64> = rows.iter().map(|r| r.2).collect();
            let w: Vec<f64> = rows.iter().map(|r| if equal { 3.0 } else { r.3 }).collect();
            prop_assume!(w.iter().filter(|w| **w > 0.0).count() > 2);
            let n = w.len();
            let largest = w.iter().fold(0.0f64, |a, b| a.max(*b));
            let unit = Unit::of(largest, n as u64).unwrap();
            let units: Vec<u64> = w.iter().enumerate().map(|(i, w)| unit.units(*w, i).unwrap()).collect();
            let blocks: Vec<u32> = rows.iter().map(|r| r.4).collect();
            let model = Arc::new(Model::new(ensemble).unwrap());
            let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let all = Rows::new(model.ensemble(), &slices, &labels).unwrap();
            let given = all.weighted(&units).unwrap().in_blocks(&blocks).unwrap();
            let mut donors = Donors::new(model.cells(), Some(unit));
            donors.update(&model, &objective, &given).unwrap();
            let plan = Plan::new(Arc::clone(&model), objective, Arc::new(donors)).unwrap();
            let mut sums = Sums::new(&plan);
            plan.update(&mut sums, &given, 2).unwrap();
            let found = plan.finish(&sums).unwrap();
            let mut parts = BlockDonors::new(&plan, &sums).unwrap();
            parts.update(&plan, &given).unwrap();
            let by_block = plan.finish_by_block(&sums, &parts).unwrap();
            for j in 0..2 {
                let loss = |i: usize, k: usize| {
                    let mut row: Vec<f64> = columns.iter().map(|c| c[i]).collect();
                    row[j] = columns[j][k];
                    objective.of_one(labels[i], model.ensemble().margins(&row)[0])
                };
                let d: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|k| loss(i, k) - loss(i, i)).collect()).collect();
                let (value, error) = weighted_pairs(&d, &w);
                let scale = 1.0f64.max(value.abs()).max(error);
                prop_assert!((found[j].value - value).abs() < 1e-10 * scale, "{} {value}", found[j].value);
                prop_assert!((found[j].standard_error - error).abs() < 1e-7 * scale, "{} {error}", found[j].standard_error);
                // What a block moves: its influences, with the pairs within it counted as all pairs are.
                let (total, squares): (f64, f64) = (w.iter().sum(), w.iter().map(|w| w * w).sum());
                let others = total - squares / total;
                let moved: Vec<f64> = (0..4).filter_map(|b| {
                    let inside: Vec<usize> = (0..n).filter(|i| blocks[*i] == b).collect();
                    let own: f64 = inside.iter().map(|i| w[*i]).sum();
                    let sum: f64 = inside.iter().flat_map(|i| (0..n).map(move |k| (*i, k)))
                        .map(|(i, k)| w[i] * w[k] * (d[i][k] + d[k][i])).sum();
                    (own > 0.0).then(|| total * (sum / others - 2.0 * own * value) / ((total - own) * (total - own)))
                }).collect();
                if found[j].used && moved.len() > 1 {
                    let g = moved.len() as f64;
                    let error = ((g - 1.0) / g * moved.iter().map(|m| m * m).sum::<f64>()).sqrt();
                    let scale = scale.max(error);
                    prop_assert!((by_block[j].standard_error - error).abs() < 1e-7 * scale, "{} {error}", by_block[j].standard_error);
                }
                if equal {
                    let mut donors = Donors::new(model.cells(), None);
                    donors.update(&model, &objective, &all).unwrap();
                    let plan = Plan::new(Arc::clone(&model), objective, Arc::new(donors)).unwrap();
                    let mut sums = Sums::new(&plan);
                    plan.update(&mut sums, &all, 1).unwrap();
                    let same = plan.finish(&sums).unwrap()[j];
                    prop_assert!((same.value - found[j].value).abs() < 1e-12 * scale);
                    prop_assert!((same.standard_error - found[j].standard_error).abs() < 1e-9 * scale);
                    // Without weights higher powers keep 30 bits.
                    if same.standard_error > 1e-3 * scale {
                        let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * a.abs().max(1.0);
                        prop_assert!(close(same.shape.skewness, found[j].shape.skewness));
                        prop_assert!(close(same.shape.freedom, found[j].shape.freedom));
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn equals_all_pairs(
            trees in prop::collection::vec(tree(3, 1), 1..6),
            rows in prop::collection::vec((value(), value(), value(), 0.1..3.0f64), 3..90),
            single_precision in any::<bool>(),
            which in 0usize..9,
        ) {
            let (loss, link) = [
                (Loss::LogLoss, Link::Logistic(1.5)), (Loss::Brier, Link::Logistic(1.0)), (Loss::ZeroOne, Link::Logistic(1.0)),
                (Loss::Squared, Link::Identity), (Loss::Absolute, Link::SignedSquare), (Loss::Pinball(0.9), Link::Identity),
                (Loss::PoissonDeviance, Link::Exp), (Loss::GammaDeviance, Link::Exp), (Loss::LogLoss, Link::Probability),
            ][which];
            check(trees, rows, single_precision, loss, link, 1)?;
        }

        #[test]
        fn equals_all_pairs_for_classes(
            trees in prop::collection::vec(tree(3, 3), 1..9),
            rows in prop::collection::vec((value(), value(), value(), 0.0..3.0f64), 3..70),
            which in 0usize..5,
        ) {
            let (loss, link) = [
                (Loss::LogLoss, Link::Softmax), (Loss::Brier, Link::Softmax), (Loss::ZeroOne, Link::Softmax),
                (Loss::LogLoss, Link::OneVersusAll(0.5)), (Loss::Brier, Link::Probability),
            ][which];
            check(trees, rows, false, loss, link, 3)?;
        }
    }

    fn check(
        trees: Vec<Tree>,
        rows: Vec<(f64, f64, f64, f64)>,
        single_precision: bool,
        loss: Loss,
        link: Link,
        outputs: usize,
    ) -> std::result::Result<(), TestCaseError> {
        let ensemble = Ensemble {
            features: vec!["a".into(), "b".into(), "c".into(), "unused".into()],
            base: vec![0.25; outputs],
            trees,
            link,
            single_precision,
        }
        .validate()
        .unwrap();
        let objective = Objective::new(loss, link, outputs).unwrap();
        let columns: Vec<Vec<f64>> = vec![
            rows.iter().map(|r| r.0).collect(),
            rows.iter().map(|r| r.1).collect(),
            rows.iter().map(|r| r.2).collect(),
            rows.iter().map(|r| r.0).collect(),
        ];
        let classes = outputs.max(2) as f64;
        let label = |y: f64| {
            if loss.classifies() {
                (y * classes / 3.0).floor().min(classes - 1.0)
            } else {
                y
            }
        };
        let labels: Vec<f64> = rows.iter().map(|r| label(r.3)).collect();
        let expected = brute_force(&ensemble, &objective, &columns, &labels);
        let model = Arc::new(Model::new(ensemble).unwrap());
        let (found, digest) = exact(&model, objective, &columns, &labels, 1, 1);
        for (j, ((value, error), e)) in expected.iter().zip(&found).enumerate() {
            let scale = 1.0f64.max(value.abs()).max(*error);
            prop_assert!(
                (e.value - value).abs() < 1e-10 * scale,
                "feature {j}: {} {value}",
                e.value
            );
            prop_assert!(
                (e.standard_error - error).abs() < 1e-7 * scale,
                "feature {j}: {} {error}",
                e.standard_error
            );
        }
        prop_assert_eq!(found[3].value, 0.0);
        prop_assert!(!found[3].used);
        let (again, other) = exact(&model, objective, &columns, &labels, 7, 3);
        prop_assert_eq!(again, found);
        prop_assert_eq!(other, digest);
        Ok(())
    }

    #[test]
    fn rows_that_are_not_the_donors_are_refused() {
        let split = Node::at_most(0, 0.0, Missing::Nan(true), 1, 2);
        let ensemble = Ensemble {
            features: vec!["x".into()],
            base: vec![0.0],
            trees: vec![Tree::new(0, 0, vec![split, Node::Leaf(-1.0), Node::Leaf(1.0)]).unwrap()],
            link: Link::Identity,
            single_precision: false,
        };
        let model = Arc::new(Model::new(ensemble).unwrap());
        let objective = Objective::new(Loss::Squared, Link::Identity, 1).unwrap();
        let score = |x: &[f64]| {
            let (columns, labels) = ([x], [0.0, 1.0, 2.0]);
            let rows = Rows::new(model.ensemble(), &columns, &labels).unwrap();
            let mut donors = Donors::new(model.cells(), None);
            donors.update(&model, &objective, &rows).unwrap();
            let plan = Plan::new(Arc::clone(&model), objective, Arc::new(donors)).unwrap();
            let (columns, labels) = ([&[-1.0, 1.0, 2.0][..]], [0.0, 1.0, 2.0]);
            let mut sums = Sums::new(&plan);
            plan.update(
                &mut sums,
                &Rows::new(model.ensemble(), &columns, &labels).unwrap(),
                1,
            )
            .unwrap();
            plan.finish(&sums)
        };
        assert!(score(&[-1.0, 3.0, 4.0]).is_ok());
        assert!(
            score(&[-1.0, -3.0, 4.0])
                .unwrap_err()
                .to_string()
                .contains("\"x\"")
        );
    }
}
