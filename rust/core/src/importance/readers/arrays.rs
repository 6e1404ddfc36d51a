//! Trees as parallel arrays, one entry a node: what scikit-learn's estimators hold in memory.

use super::super::trees::{Missing, Node, Rule, Tree};
use super::lightgbm::bitset;
use crate::{Error, Result};

/// Nodes of one tree; node 0 is the root.
#[derive(Debug, Clone, Copy)]
pub struct Arrays<'a> {
    /// Feature of the split; not read in leaves.
    pub feature: &'a [i64],
    /// Values up to it go left; in categorical splits not read.
    pub threshold: &'a [f64],
    /// Children; a negative left child marks a leaf.
    pub left: &'a [i64],
    /// See `left`.
    pub right: &'a [i64],
    /// Value of a leaf.
    pub value: &'a [f64],
    /// Whether NaN goes left.
    pub nan_left: &'a [u8],
    /// Row of `left_sets` of a categorical split, negative in others; empty where there is none.
    pub category: &'a [i64],
    /// Categories that go left, 8 words of 32 bits a row.
    pub left_sets: &'a [i64],
    /// Categories seen in training, 8 words of 32 bits a feature; others count as missing.
    pub known_sets: &'a [i64],
}

/// Words of a set of 256 categories.
const WORDS: usize = 8;

impl Arrays<'_> {
    /// The tree, its leaves times `scale`.
    ///
    /// # Errors
    /// When lengths differ or an index is out of range.
    pub fn tree(&self, output: u32, scale: f64) -> Result<Tree> {
        let n = self.left.len();
        let lengths = [
            self.feature.len(),
            self.threshold.len(),
            self.right.len(),
            self.value.len(),
            self.nan_left.len(),
        ];
        if lengths.iter().any(|l| *l != n)
            || !(self.category.is_empty() || self.category.len() == n)
        {
            return Err(Error::corrupt(format!(
                "tree arrays of {n} and {lengths:?} nodes"
            )));
        }
        let index = |v: i64, what: &str| {
            u32::try_from(v).map_err(|_| Error::corrupt(format!("tree: {what} {v}")))
        };
        let mut nodes = Vec::with_capacity(n);
        for i in 0..n {
            if self.left[i] < 0 {
                nodes.push(Node::Leaf(self.value[i] * scale));
                continue;
            }
            let feature = index(self.feature[i], "feature")?;
            let nan_left = self.nan_left[i] != 0;
            let rule = match self.category.get(i) {
                Some(row) if *row >= 0 => {
                    self.categories(*row as usize, feature as usize, nan_left)?
                }
                _ => Rule::AtMost(self.threshold[i]),
            };
            nodes.push(Node::Split {
                feature,
                rule,
                missing: Missing::Nan(nan_left),
                left: index(self.left[i], "child")?,
                right: index(self.right[i], "child")?,
            });
        }
        Tree::new(output, 0, nodes)
    }

    /// Unknown categories and negative numbers go where NaN goes.
    fn categories(&self, row: usize, feature: usize, nan_left: bool) -> Result<Rule> {
        let set = |words: &[i64], at: usize, what: &str| -> Result<Vec<u32>> {
            let found = at.checked_mul(WORDS).and_then(|s| words.get(s..s + WORDS));
            let words = found.ok_or_else(|| Error::corrupt(format!("tree: {what} {at}")))?;
            Ok(bitset(&words.iter().map(|w| *w as u32).collect::<Vec<_>>()))
        };
        let mut listed = set(self.left_sets, row, "category set")?;
        if nan_left {
            let known = set(self.known_sets, feature, "known categories of feature")?;
            listed = known
                .into_iter()
                .filter(|c| listed.binary_search(c).is_err())
                .collect();
        }
        Ok(Rule::Among {
            listed,
            left: !nan_left,
            truncates: false,
        })
    }
}
