//! Predictions with one feature moved to given cells: what a permutation asks of a tree ensemble.
//!
//! All features share one pass over the trees: which leaves a row reaches, and would reach by moving one
//! feature alone, is found once for 64 rows ([`super`]); a moved prediction is then the row's margin and
//! the sum of the steps up to the cell.

use super::{BLOCK, Block, Model, Rows};
use crate::{Error, Result};

/// One feature, and the cell that each row's value moves to.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'a> {
    /// Index of the feature.
    pub feature: usize,
    /// A cell for each row.
    pub cells: &'a [u32],
}

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
        let outputs = self.outputs();
        let mut block = Block::new(self);
        for start in (0..rows.len()).step_by(BLOCK) {
            block.predict(self, rows, start);
            for v in &unused {
                for r in 0..block.rows {
                    let own = block.margins.iter().map(|m| m[r] as f64 * self.quantum);
                    out[*v].extend(own);
                }
            }
            for (u, wanted) in self.used.iter().zip(&by_feature) {
                if wanted.is_empty() {
                    continue;
                }
                block.collect(self, u, false);
                // Steps become sums of steps.
                for at in outputs..u.cells * outputs {
                    let (before, from) = block.steps.split_at_mut(at);
                    let before = &before[at - outputs];
                    from[0].iter_mut().zip(before).for_each(|(s, b)| *s += b);
                }
                for v in wanted {
                    let cells = &variants[*v].cells[start..start + block.rows];
                    for (r, cell) in cells.iter().enumerate() {
                        let moved = &block.steps[*cell as usize * outputs..][..outputs];
                        let margins = block.margins.iter().zip(moved);
                        out[*v].extend(margins.map(|(m, s)| (m[r] + s[r]) as f64 * self.quantum));
                    }
                }
                block.steps[..u.cells * outputs].fill([0; BLOCK]);
                block.touched[..u.cells].fill(0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{tree, value};
    use super::*;
    use crate::importance::losses::Link;
    use crate::importance::trees::Ensemble;
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
            let (unknown, beyond) = (Moved { feature: 9, cells: &cells[0] }, vec![99; rows.len()]);
            prop_assert!(model.moved(&given, &[unknown], &mut [Vec::new()]).is_err(), "a feature");
            let beyond = Moved { feature: 0, cells: &beyond };
            prop_assert!(model.moved(&given, &[beyond], &mut [Vec::new()]).is_err(), "a cell");
        }
    }
}
