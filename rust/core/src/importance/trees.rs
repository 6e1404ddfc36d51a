//! Tree ensembles in one form of our own, whatever library grew them.
//!
//! Every split is a set of values of one feature that go left. Numeric thresholds, categories,
//! missing values and zeros that count as missing all become the same thing: a numeric cut `x <= c`,
//! or whole numbers cut out by two such cuts, and a side for NaN ([`super::cells`]).

use super::losses::Link;
use crate::{Error, Result};

/// Largest number of features a model may announce.
const LIMIT: usize = 1 << 24;

/// What a value must satisfy to go left.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// `x <= cut`.
    AtMost(f64),
    /// `x` is one of these, ascending.
    OneOf(Vec<f64>),
    /// The whole part of `x` is one of these, ascending; or, unless `left`, is none of them.
    Among {
        /// Categories, ascending.
        listed: Vec<u32>,
        /// Whether the listed ones go left; everything else, negative numbers too, goes the other way.
        left: bool,
        /// Values between -1 and 0 are category 0, as a cast in C makes them; else they are negative.
        truncates: bool,
    },
}

/// Where values go that the rule does not judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// NaN goes left (`true`) or right.
    Nan(bool),
    /// NaN is zero.
    NanIsZero,
    /// NaN and zeros (at most [`ZERO`] from it) go left (`true`) or right.
    NanAndZero(bool),
}

/// What LightGBM takes for zero.
pub const ZERO: f64 = 1e-35f32 as f64;

/// A node of a tree; children are indices into its tree and larger than the node's own.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Sends a row left or right.
    Split {
        /// Index of the feature.
        feature: u32,
        /// Who goes left.
        rule: Rule,
        /// Who is not judged by the rule.
        missing: Missing,
        /// Child on the left.
        left: u32,
        /// Child on the right.
        right: u32,
    },
    /// Adds to the margin.
    Leaf(f64),
}

impl Node {
    /// A numeric split.
    pub fn at_most(feature: u32, cut: f64, missing: Missing, left: u32, right: u32) -> Self {
        Node::Split {
            feature,
            rule: Rule::AtMost(cut),
            missing,
            left,
            right,
        }
    }
}

/// One tree, root first, adding to one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Which output it adds to.
    pub output: u32,
    /// Nodes, the root first, children behind their parents.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// A tree from nodes in any order, reached from `root`; nodes that are not reached are left out.
    ///
    /// # Errors
    /// When a child is out of range, is reached twice, or a number is not finite.
    pub fn new(output: u32, root: u32, nodes: Vec<Node>) -> Result<Self> {
        let mut place = vec![u32::MAX; nodes.len()];
        let mut order = vec![root];
        let mut next = 0;
        while next < order.len() {
            let from = order[next] as usize;
            let node = nodes
                .get(from)
                .ok_or_else(|| bad(format!("child {from} of {} nodes", nodes.len())))?;
            if std::mem::replace(&mut place[from], next as u32) != u32::MAX {
                return Err(bad(format!("node {from} is reached twice")));
            }
            if let Node::Split { left, right, .. } = node {
                order.extend([*left, *right]);
            }
            next += 1;
        }
        let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        let mut kept = Vec::with_capacity(order.len());
        for from in order {
            let mut node = nodes[from as usize].take().ok_or_else(|| bad("a cycle"))?;
            match &mut node {
                Node::Split {
                    rule, left, right, ..
                } => {
                    match rule {
                        Rule::AtMost(cut) if cut.is_nan() => {
                            return Err(bad("a threshold that is NaN"));
                        }
                        Rule::OneOf(values) if values.iter().any(|v| !v.is_finite()) => {
                            return Err(bad(
                                "a value that is not finite and others are compared with",
                            ));
                        }
                        Rule::OneOf(values) if !values.is_sorted_by(|a, b| a < b) => {
                            return Err(bad("values that do not ascend"));
                        }
                        Rule::Among { listed, .. } if !listed.is_sorted_by(|a, b| a < b) => {
                            return Err(bad("categories that do not ascend"));
                        }
                        _ => {}
                    }
                    *left = place[*left as usize];
                    *right = place[*right as usize];
                }
                Node::Leaf(value) if !value.is_finite() => {
                    return Err(bad(format!("a leaf of value {value}")));
                }
                Node::Leaf(_) => {}
            }
            kept.push(node);
        }
        Ok(Self {
            output,
            nodes: kept,
        })
    }
}

fn bad(message: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("tree: {message}"))
}

/// A sum of trees and constants, and the link from that margin to a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// Names of the features where the model knows them, else their indices as text.
    pub features: Vec<String>,
    /// Constant of each output.
    pub base: Vec<f64>,
    /// The trees.
    pub trees: Vec<Tree>,
    /// From margins to predictions.
    pub link: Link,
    /// Values are rounded to single precision before they are compared.
    pub single_precision: bool,
}

impl Ensemble {
    /// Checks what the engine relies on.
    ///
    /// # Errors
    /// When an index is out of range, a constant is not finite, or the model has no feature.
    pub fn validate(self) -> Result<Self> {
        if self.features.is_empty() || self.features.len() > LIMIT {
            return Err(bad(format!("{} features", self.features.len())));
        }
        if self.base.is_empty() || self.base.iter().any(|b| !b.is_finite()) {
            return Err(bad(format!("base scores {:?}", self.base)));
        }
        for (t, tree) in self.trees.iter().enumerate() {
            if tree.output as usize >= self.base.len() {
                return Err(bad(format!(
                    "tree {t} adds to output {} of {}",
                    tree.output,
                    self.base.len()
                )));
            }
            for node in &tree.nodes {
                if let Node::Split { feature, .. } = node
                    && *feature as usize >= self.features.len()
                {
                    return Err(bad(format!(
                        "tree {t} splits feature {feature} of {}",
                        self.features.len()
                    )));
                }
            }
        }
        self.link.check(self.base.len())?;
        Ok(self)
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// Margins of one row, by walking each tree: the slow twin of the engine.
    pub fn margins(&self, row: &[f64]) -> Vec<f64> {
        let mut margins = self.base.clone();
        for tree in &self.trees {
            margins[tree.output as usize] += self.leaf(tree, row);
        }
        margins
    }

    fn leaf(&self, tree: &Tree, row: &[f64]) -> f64 {
        let mut at = 0;
        loop {
            match &tree.nodes[at] {
                Node::Leaf(value) => return *value,
                node @ Node::Split {
                    feature,
                    left,
                    right,
                    ..
                } => {
                    let x = row[*feature as usize];
                    let x = if self.single_precision {
                        f64::from(x as f32)
                    } else {
                        x
                    };
                    at = if goes_left(node, x) { *left } else { *right } as usize;
                }
            }
        }
    }
}

/// Whether a split sends `x` left; leaves send nothing.
pub fn goes_left(node: &Node, x: f64) -> bool {
    let Node::Split { rule, missing, .. } = node else {
        return false;
    };
    let x = match missing {
        Missing::Nan(left) if x.is_nan() => return *left,
        Missing::NanAndZero(left) if x.is_nan() || x.abs() <= ZERO => return *left,
        Missing::NanIsZero if x.is_nan() => 0.0,
        _ => x,
    };
    match rule {
        Rule::AtMost(cut) => x <= *cut,
        Rule::OneOf(values) => values.contains(&x),
        Rule::Among {
            listed,
            left,
            truncates,
        } => {
            let x = if *truncates { x.trunc() } else { x.floor() };
            let category = (0.0..f64::from(u32::MAX)).contains(&x).then_some(x as u32);
            category.is_some_and(|c| listed.binary_search(&c).is_ok()) == *left
        }
    }
}
