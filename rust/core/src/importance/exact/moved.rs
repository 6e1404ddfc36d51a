//! Predictions with one feature moved to given cells: what a permutation asks of a tree ensemble.
//!
//! All features share one pass over the trees: which leaves a row reaches, and would reach by moving one
//! feature alone, is found once for 64 rows ([`super`]); a moved prediction is then the row's margin and
//! the sum of the steps up to the cell. Where a score is a mean of losses, these are taken on the spot.

use super::{BLOCK, Block, Model, Rows, Used};
use crate::importance::losses::{Link, Loss, Objective, softplus_table, softplus_with};
use crate::{Error, Result};

/// One feature, and the cell that each row's value moves to.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'a> {
    /// Index of the feature.
    pub feature: usize,
    /// A cell for each row.
    pub cells: &'a [u32],
}

/// Labels that losses are taken against.
#[derive(Debug, Clone, Copy)]
pub enum Labels<'a> {
    /// One a row.
    Given(&'a [f64]),
    /// The predictions of the rows as they are.
    Predictions,
}

/// A loss of moved predictions.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The loss.
    pub objective: Objective,
    /// What it is taken against.
    pub labels: Labels<'a>,
}

/// Losses of the rows as they are, and how a move of one feature changes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// By row.
    pub own: Vec<f64>,
    /// By variant and row.
    pub changes: Vec<Vec<f64>>,
}

/// Rows of a block: the first, and their margins by output.
type Margins<'a> = (usize, &'a [[i64; BLOCK]]);

impl Model {
    /// The cells of the rows' values of a feature.
    pub fn cells_of(&self, rows: &Rows<'_>, feature: usize) -> Vec<u32> {
        let cells = &self.cells[feature];
        rows.columns[feature]
            .iter()
            .map(|x| cells.cell(*x))
            .collect()
    }

    /// Margins of every variant, row by row, appended to `out`.
    ///
    /// # Errors
    /// When a feature, the number of cells, or a cell is out of range.
    pub fn moved(
        &self,
        rows: &Rows<'_>,
        variants: &[Moved<'_>],
        out: &mut [Vec<f64>],
    ) -> Result<()> {
        self.visit(rows, variants, |variant, count, (_, margins)| {
            let Some(v) = variant else { return Ok(()) };
            for r in 0..count {
                out[v].extend(margins.iter().map(|m| m[r] as f64 * self.quantum));
            }
            Ok(())
        })
    }

    /// Losses of the rows and their changes under every variant, appended to those of each judge.
    ///
    /// Logarithms are those of probabilities kept 2^-52 away from 0 and 1, as scikit-learn's are.
    ///
    /// # Errors
    /// When a feature, the number of cells, a cell or a label is out of range, or a loss is not defined.
    pub fn judged(
        &self,
        rows: &Rows<'_>,
        variants: &[Moved<'_>],
        judges: &[Judge<'_>],
        out: &mut [Judged],
    ) -> Result<()> {
        for (judge, out) in judges.iter().zip(&mut *out) {
            if let Labels::Given(labels) = judge.labels {
                if labels.len() != rows.len() {
                    return Err(Error::invalid(format!(
                        "{} labels for {} rows",
                        labels.len(),
                        rows.len()
                    )));
                }
                judge.objective.check_labels(labels, self.outputs())?;
            } else if self.outputs() > 1 {
                return Err(Error::invalid("the change of several outputs"));
            }
            out.changes.resize_with(variants.len(), Vec::new);
        }
        let mut losses = [0.0; BLOCK];
        let mut labels = vec![[0.0; BLOCK]; judges.len()];
        let mut own = vec![[0.0; BLOCK]; judges.len()];
        self.visit(rows, variants, |variant, count, (start, margins)| {
            for (j, (judge, out)) in judges.iter().zip(&mut *out).enumerate() {
                if variant.is_none() {
                    match judge.labels {
                        Labels::Given(all) => {
                            labels[j][..count].copy_from_slice(&all[start..start + count]);
                        }
                        Labels::Predictions => {
                            for (y, m) in labels[j].iter_mut().zip(&margins[0]) {
                                *y = judge.objective.link.of(*m as f64 * self.quantum);
                            }
                        }
                    }
                }
                self.losses(&judge.objective, &labels[j], count, margins, &mut losses);
                if let Some(at) = losses[..count].iter().position(|l| l.is_nan()) {
                    return Err(Error::invalid(format!(
                        "{:?} is not defined for the prediction of row {}{}",
                        judge.objective.loss,
                        start + at,
                        variant.map_or("", |_| " with a permuted value"),
                    )));
                }
                match variant {
                    None => {
                        own[j] = losses;
                        out.own.extend_from_slice(&losses[..count]);
                    }
                    Some(v) => {
                        let changes = losses[..count].iter().zip(&own[j]).map(|(a, b)| a - b);
                        out.changes[v].extend(changes);
                    }
                }
            }
            Ok(())
        })
    }

    /// Losses of the first rows of a block.
    fn losses(
        &self,
        objective: &Objective,
        labels: &[f64; BLOCK],
        count: usize,
        margins: &[[i64; BLOCK]],
        out: &mut [f64; BLOCK],
    ) {
        const LEAST: f64 = f64::EPSILON;
        // Minus the logarithm of 2^-52.
        const MOST: f64 = 52.0 * std::f64::consts::LN_2;
        match (objective.loss, objective.link, margins) {
            (Loss::LogLoss, Link::Logistic(s), [margins]) => {
                let table = softplus_table();
                for ((out, y), m) in out.iter_mut().zip(labels).zip(margins).take(count) {
                    let m = *m as f64 * self.quantum;
                    *out = softplus_with(table, if *y > 0.5 { -s * m } else { s * m })
                        .clamp(LEAST, MOST);
                }
            }
            (Loss::Squared, Link::Identity, [margins]) => {
                for ((out, y), m) in out.iter_mut().zip(labels).zip(margins).take(count) {
                    let e = y - *m as f64 * self.quantum;
                    *out = e * e;
                }
            }
            (.., [margins]) => {
                for ((out, y), m) in out.iter_mut().zip(labels).zip(margins).take(count) {
                    *out = objective.of_one(*y, *m as f64 * self.quantum);
                }
            }
            _ => {
                let mut scratch = vec![0.0; margins.len()];
                for (r, (out, y)) in out.iter_mut().zip(labels).take(count).enumerate() {
                    for (m, now) in scratch.iter_mut().zip(margins) {
                        *m = now[r] as f64 * self.quantum;
                    }
                    let loss = objective.of_many(*y, &mut scratch);
                    *out = match objective.loss {
                        Loss::LogLoss => loss.clamp(LEAST, MOST),
                        _ => loss,
                    };
                }
            }
        }
    }

    /// Calls `found` for every 64 rows: with their margins as they are (`None`), then with those of each
    /// variant.
    fn visit(
        &self,
        rows: &Rows<'_>,
        variants: &[Moved<'_>],
        mut found: impl FnMut(Option<usize>, usize, Margins<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut by_feature = vec![Vec::new(); self.used.len()];
        let mut unused = Vec::new();
        for (v, variant) in variants.iter().enumerate() {
            let cells = self.cells.get(variant.feature).map(|c| c.count() as u32);
            let (Some(count), true) = (cells, variant.cells.len() == rows.len()) else {
                return Err(Error::invalid(format!(
                    "{} cells for {} rows of feature {} of {}",
                    variant.cells.len(),
                    rows.len(),
                    variant.feature,
                    self.cells.len()
                )));
            };
            if let Some(cell) = variant.cells.iter().find(|c| **c >= count) {
                return Err(Error::invalid(format!("cell {cell} of {count}")));
            }
            match self.used.iter().position(|u| u.feature == variant.feature) {
                Some(f) => by_feature[f].push(v),
                None => unused.push(v),
            }
        }
        let mut block = Block::new(self);
        let most = by_feature.iter().map(Vec::len).max().unwrap_or(0);
        let mut moved = vec![[0; BLOCK]; most * self.outputs()];
        let mut queue = Queue::default();
        for start in (0..rows.len()).step_by(BLOCK) {
            block.predict::<true>(self, rows, start);
            found(None, block.rows, (start, &block.margins))?;
            for v in &unused {
                found(Some(*v), block.rows, (start, &block.margins))?;
            }
            for (u, wanted) in self.used.iter().zip(&by_feature) {
                if wanted.is_empty() {
                    continue;
                }
                let rows = start..start + block.rows;
                let given = wanted.iter().map(|v| &variants[*v].cells[rows.clone()]);
                queue.fill(u.cells, given);
                // What happens at NaN is of no consequence where nothing moves there.
                block.collect(self, u, queue.is_empty(u.cells - 1));
                block.move_to(self, u, &queue, &mut moved);
                for (v, moved) in wanted.iter().zip(moved.chunks_exact(block.margins.len())) {
                    found(Some(*v), block.rows, (start, moved))?;
                }
            }
        }
        Ok(())
    }
}

/// Moves of a block's rows along a feature, in the order of the cells that they go to.
#[derive(Default)]
struct Queue {
    /// The last move to each cell, one more than its number; 0 for none.
    last: Vec<u32>,
    /// The move before each to the same cell.
    before: Vec<u32>,
}

impl Queue {
    /// Moves of several variants, each with a cell for every row.
    fn fill<'a>(&mut self, cells: usize, variants: impl Iterator<Item = &'a [u32]>) {
        self.last.clear();
        self.last.resize(cells, 0);
        self.before.clear();
        for variant in variants {
            // Every variant has 64 places, whether rows are there or not.
            let begin = self.before.len();
            for cell in variant {
                let last = &mut self.last[*cell as usize];
                self.before.push(*last);
                *last = self.before.len() as u32;
            }
            self.before.resize(begin + BLOCK, 0);
        }
    }

    fn is_empty(&self, cell: usize) -> bool {
        self.last[cell] == 0
    }
}

impl Block {
    /// Margins of all moves, by variant and output; steps are zero afterwards.
    fn move_to(&mut self, model: &Model, u: &Used, queue: &Queue, moved: &mut [[i64; BLOCK]]) {
        let outputs = model.outputs();
        for k in 0..outputs {
            let mut margins = self.margins[k];
            for cell in 0..u.cells {
                let steps = &mut self.steps[cell * outputs + k];
                for (m, step) in margins.iter_mut().zip(steps) {
                    *m += std::mem::take(step);
                }
                let mut next = queue.last[cell];
                while next != 0 {
                    let at = next as usize - 1;
                    let r = at % BLOCK;
                    moved[at / BLOCK * outputs + k][r] = margins[r];
                    next = queue.before[at];
                }
            }
        }
        self.touched[..u.cells].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{tree, value};
    use super::*;
    use crate::importance::losses::Link;
    use crate::importance::trees::{Ensemble, Missing, Node, Tree};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn equals_a_walk_with_the_value_exchanged(
            trees in prop::collection::vec(tree(3, 2), 1..8),
            rows in prop::collection::vec((value(), value(), value(), any::<prop::sample::Index>()), 1..150),
        ) {
            let ensemble = Ensemble {
                features: ["a", "b", "c", "unused"].map(String::from).to_vec(),
                base: vec![0.5, -1.0], trees, link: Link::Softmax, single_precision: false,
            }.validate().unwrap();
            let columns: Vec<Vec<f64>> = vec![
                rows.iter().map(|r| r.0).collect(), rows.iter().map(|r| r.1).collect(),
                rows.iter().map(|r| r.2).collect(), rows.iter().map(|r| r.0).collect(),
            ];
            let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let labels = vec![0.0; rows.len()];
            let model = Model::new(ensemble.clone()).unwrap();
            let given = Rows::new(&ensemble, &slices, &labels).unwrap();
            let donors: Vec<usize> = rows.iter().map(|r| r.3.index(rows.len())).collect();
            let cells: Vec<Vec<u32>> = (0..4).map(|j| {
                let own = model.cells_of(&given, j);
                donors.iter().map(|d| own[*d]).collect()
            }).collect();
            let wanted = [2, 0, 3, 2, 1];
            let variants: Vec<Moved<'_>> = wanted.iter().map(|j| Moved { feature: *j, cells: &cells[*j] }).collect();
            let mut found = vec![Vec::new(); wanted.len()];
            model.moved(&given, &variants, &mut found).unwrap();
            for (j, found) in wanted.iter().zip(&found) {
                for (i, margins) in found.chunks_exact(2).enumerate() {
                    let mut row: Vec<f64> = columns.iter().map(|c| c[i]).collect();
                    row[*j] = columns[*j][donors[i]];
                    for (a, b) in margins.iter().zip(ensemble.margins(&row)) {
                        prop_assert!((a - b).abs() < 1e-12, "{j} {i} {a} {b}");
                    }
                }
            }
            let single: Vec<f64> = donors.iter().map(|d| (*d % 2) as f64).collect();
            for (loss, link) in [
                (Loss::LogLoss, Link::Softmax), (Loss::Brier, Link::Softmax), (Loss::ZeroOne, Link::Softmax),
            ] {
                let objective = Objective::new(loss, link, 2).unwrap();
                let judge = Judge { objective, labels: Labels::Given(&single) };
                let mut judged = [Judged::default()];
                model.judged(&given, &variants, &[judge], &mut judged).unwrap();
                let of = |margins: &[f64], i: usize| {
                    let found = objective.of_many(single[i], &mut margins.to_vec());
                    if loss == Loss::LogLoss { found.clamp(f64::EPSILON, -libm::log(f64::EPSILON)) } else { found }
                };
                let own = model.margins(&given);
                for (i, loss) in judged[0].own.iter().enumerate() {
                    prop_assert_eq!(*loss, of(&own[2 * i..2 * i + 2], i));
                    for (v, moved) in found.iter().enumerate() {
                        prop_assert_eq!(judged[0].changes[v][i], of(&moved[2 * i..2 * i + 2], i) - loss, "{} {}", v, i);
                    }
                }
            }
            let (unknown, beyond) = (Moved { feature: 9, cells: &cells[0] }, vec![99; rows.len()]);
            prop_assert!(model.moved(&given, &[unknown], &mut [Vec::new()]).is_err(), "a feature");
            let beyond = Moved { feature: 0, cells: &beyond };
            prop_assert!(model.moved(&given, &[beyond], &mut [Vec::new()]).is_err(), "a cell");
        }
    }

    /// One output: each loss with a loop of its own, and predictions as labels.
    #[test]
    fn losses_of_one_output() {
        let leaf = |v: f64| Node::Leaf(v);
        let split = Node::at_most(0, 0.5, Missing::Nan(true), 1, 2);
        // The second leaf is so sure that scikit-learn keeps its probability away from 1.
        let tree = Tree::new(0, 0, vec![split, leaf(-0.25), leaf(50.0)]).unwrap();
        let rows: Vec<f64> = (0..70).map(|i| f64::from(i % 2)).collect();
        let labels: Vec<f64> = (0..70).map(|i| f64::from(i % 3 % 2)).collect();
        let empty = vec![0.0; 70];
        let others: Vec<usize> = (0..70).map(|i| (i * 11 + 3) % 70).collect();
        for (loss, link) in [
            (Loss::LogLoss, Link::Logistic(1.0)),
            (Loss::Squared, Link::Identity),
            (Loss::Absolute, Link::Identity),
            (Loss::Squared, Link::Logistic(1.0)),
            (Loss::ZeroOne, Link::Logistic(1.0)),
        ] {
            let ensemble = Ensemble {
                features: vec!["a".into()],
                base: vec![0.0],
                trees: vec![tree.clone()],
                link,
                single_precision: false,
            };
            let columns: [&[f64]; 1] = [&rows];
            let model = Model::new(ensemble).unwrap();
            let given = Rows::new(model.ensemble(), &columns, &empty).unwrap();
            let own = model.cells_of(&given, 0);
            let cells: Vec<u32> = others.iter().map(|k| own[*k]).collect();
            let objective = Objective::new(loss, link, 1).unwrap();
            let margin = |i: usize| if rows[i] > 0.5 { 50.0 } else { -0.25 };
            for of_predictions in [false, true] {
                if of_predictions && loss != Loss::Squared {
                    continue;
                }
                let judge = Judge {
                    objective,
                    labels: if of_predictions {
                        Labels::Predictions
                    } else {
                        Labels::Given(&labels)
                    },
                };
                let mut out = [Judged::default()];
                let moved = Moved {
                    feature: 0,
                    cells: &cells,
                };
                model.judged(&given, &[moved], &[judge], &mut out).unwrap();
                for i in 0..70 {
                    let y = if of_predictions {
                        link.of(margin(i))
                    } else {
                        labels[i]
                    };
                    // What scikit-learn takes the logarithm of.
                    let of = |m: f64| match loss {
                        Loss::LogLoss => {
                            let p = link.of(if y > 0.5 { m } else { -m });
                            -libm::log(p.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
                        }
                        _ => objective.of_one(y, m),
                    };
                    let (before, after) = (of(margin(i)), of(margin(others[i])));
                    assert!((out[0].own[i] - before).abs() < 1e-14, "{loss:?} {i}");
                    let change = out[0].changes[0][i];
                    assert!((change - (after - before)).abs() < 1e-13, "{loss:?} {i}");
                    assert!(rows[i] != rows[others[i]] || change == 0.0);
                }
            }
        }
        let wrong = Ensemble {
            features: vec!["a".into()],
            base: vec![0.0],
            trees: vec![tree],
            link: Link::Identity,
            single_precision: false,
        };
        let model = Model::new(wrong).unwrap();
        let columns: [&[f64]; 1] = [&rows];
        let given = Rows::new(model.ensemble(), &columns, &empty).unwrap();
        let deviance = Objective::new(Loss::GammaDeviance, Link::Identity, 1).unwrap();
        let positive = vec![1.0; 70];
        let mut judge = Judge {
            objective: deviance,
            labels: Labels::Given(&positive),
        };
        let ask = |judge| {
            let found = model.judged(&given, &[], &[judge], &mut [Judged::default()]);
            found.unwrap_err().to_string()
        };
        assert_eq!(
            ask(judge),
            "GammaDeviance is not defined for the prediction of row 0"
        );
        judge.labels = Labels::Given(&positive[1..]);
        assert_eq!(ask(judge), "69 labels for 70 rows");
        judge.labels = Labels::Given(&empty);
        assert!(ask(judge).contains("label 0 in row 0"));
    }
}
