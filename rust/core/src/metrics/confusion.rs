//! Counts of label by predicted class.

use super::weight::{Amount, Mass, Weighting};
use crate::codec::{Reader, Writer};
use crate::{Error, Result};

/// Weights of label x prediction, labels in rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    cells: Vec<Mass>,
}

impl Confusion {
    /// No rows, for that many classes.
    pub(super) fn empty(classes: usize) -> Self {
        Self {
            classes,
            cells: vec![Mass::default(); classes * classes],
        }
    }

    /// Adds a row; codes beyond the number of classes are refused.
    pub(super) fn add(
        &mut self,
        label: u32,
        predicted: u32,
        weighting: Weighting,
        weight: f64,
    ) -> Result<()> {
        let (i, j) = (label as usize, predicted as usize);
        if i >= self.classes || j >= self.classes {
            return Err(Error::invalid(format!(
                "class {} of {} classes",
                label.max(predicted),
                self.classes
            )));
        }
        self.cells[i * self.classes + j].add(weighting, weight)
    }

    /// Adds the rows of another one over the same classes.
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        for (a, b) in self.cells.iter_mut().zip(&other.cells) {
            a.merge(b)?;
        }
        Ok(())
    }

    /// The table in floats.
    pub(super) fn table(&self, weighting: Weighting) -> Table {
        Table {
            k: self.classes,
            cells: self.cells.iter().map(|c| c.amount(weighting)).collect(),
        }
    }

    pub(super) fn encode(&self, weighting: Weighting, w: &mut Writer) {
        for c in &self.cells {
            c.encode(weighting, w);
        }
    }

    pub(super) fn decode(classes: usize, weighting: Weighting, r: &mut Reader<'_>) -> Result<Self> {
        let n = classes * classes;
        if n > r.remaining() {
            return Err(Error::corrupt(format!("a table of {classes} classes")));
        }
        let cells = (0..n)
            .map(|_| Mass::decode(weighting, r))
            .collect::<Result<_>>()?;
        Ok(Self { classes, cells })
    }
}

/// A confusion table in floats: what the metrics read.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub k: usize,
    cells: Vec<Amount>,
}

impl Table {
    pub fn at(&self, label: usize, predicted: usize) -> Amount {
        self.cells[label * self.k + predicted]
    }
    pub fn total(&self) -> Amount {
        self.cells.iter().copied().sum()
    }
    pub fn right(&self) -> Amount {
        (0..self.k).map(|c| self.at(c, c)).sum()
    }
    pub fn label(&self, class: usize) -> Amount {
        (0..self.k).map(|j| self.at(class, j)).sum()
    }
    pub fn predicted(&self, class: usize) -> Amount {
        (0..self.k).map(|i| self.at(i, class)).sum()
    }
    /// True positives, false positives, false negatives and true negatives of one class.
    pub fn one_against_rest(&self, class: usize) -> [Amount; 4] {
        let of = |label: bool, predicted: bool| {
            (0..self.k)
                .filter(|i| (*i == class) == label)
                .flat_map(|i| {
                    (0..self.k)
                        .filter(|j| (*j == class) == predicted)
                        .map(move |j| self.at(i, j))
                })
                .sum()
        };
        [
            of(true, true),
            of(false, true),
            of(true, false),
            of(false, false),
        ]
    }
    /// Variance of a function of the cells that does not depend on their scale, from its gradient
    /// (delta method): rows are independent, so the sum over cells of `w^2` times its square.
    pub fn variance(&self, gradient: impl Fn(usize, usize) -> f64) -> f64 {
        let mut total = 0.0;
        for i in 0..self.k {
            for j in 0..self.k {
                let g = gradient(i, j);
                total += self.at(i, j).w2 * g * g;
            }
        }
        total
    }
    /// The table with half a row of mean weight added to every cell (Haldane, Anscombe).
    pub fn smoothed(&self) -> Table {
        let total = self.total();
        let row = total.w2 / total.w;
        let half = Amount {
            w: 0.5 * row,
            w2: 0.5 * row * row,
        };
        Table {
            k: self.k,
            cells: self.cells.iter().map(|c| *c + half).collect(),
        }
    }
}
