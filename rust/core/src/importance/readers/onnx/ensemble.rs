//! `TreeEnsemble` of version 5: nodes and leaves in lists of their own, and splits by membership in a set.

use super::{Attributes, LIMIT, ONNX, base, comparison, names};
use crate::Result;
use crate::importance::losses::Link;
use crate::importance::trees::{Ensemble, Missing, Node, Rule, Tree};

/// Comparisons by number; membership is the one behind.
const MODES: [&str; 6] = [
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
];
/// Most nodes of all trees, leaves once for each branch that leads to them.
const MOST: usize = 1 << 26;

/// Lists of the operator, checked to be as long as they must.
struct Lists<'a> {
    features: &'a [i64],
    splits: &'a [f64],
    modes: &'a [f64],
    yes: (&'a [i64], &'a [i64]),
    no: (&'a [i64], &'a [i64]),
    tracks: &'a [i64],
    targets: &'a [i64],
    weights: &'a [f64],
    /// Values of each node that asks for membership, by node.
    members: Vec<Vec<f64>>,
    width: usize,
    single: bool,
}

pub(super) fn read(given: &Attributes<'_>, width: Option<usize>, single: bool) -> Result<Ensemble> {
    let integer = |name: &str| given.0.get(name).and_then(|a| a.integer);
    match integer("n_targets").unwrap_or(1) {
        1 => {}
        n if n > 1 => return Err(ONNX.unsupported("models of several targets")),
        n => return Err(ONNX.bad(format_args!("{n} targets"))),
    }
    // The specification numbers softmax and logistic one way, ONNX Runtime the other.
    let transform = integer("post_transform").unwrap_or(0);
    if transform != 0 {
        return Err(ONNX.unsupported(format_args!("scores behind transform {transform}")));
    }
    let features = given.integers("nodes_featureids");
    let n = features.len();
    let floats = |name: &str, n: usize| match given.floats(name) {
        all if all.len() == n => Ok(all),
        all => Err(ONNX.bad(format_args!("{} values of {name}, {n} expected", all.len()))),
    };
    let tracks = match given.integers("nodes_missing_value_tracks_true") {
        [] => &[],
        _ => given.sized("nodes_missing_value_tracks_true", n)?,
    };
    let targets = given.integers("leaf_targetids");
    let modes = floats("nodes_modes", n)?;
    let mut lists = Lists {
        features,
        splits: floats("nodes_splits", n)?,
        modes,
        yes: (
            given.sized("nodes_truenodeids", n)?,
            given.sized("nodes_trueleafs", n)?,
        ),
        no: (
            given.sized("nodes_falsenodeids", n)?,
            given.sized("nodes_falseleafs", n)?,
        ),
        tracks,
        targets,
        weights: floats("leaf_weights", targets.len())?,
        members: members(modes, given.floats("membership_values"))?,
        width: width.unwrap_or(LIMIT),
        single,
    };
    if width.is_none() {
        let widest = features.iter().max().map_or(0, |f| f.saturating_add(1));
        lists.width = usize::try_from(widest).unwrap_or(LIMIT).clamp(1, LIMIT);
    }
    let roots = given.integers("tree_roots");
    if roots.is_empty() {
        return Err(ONNX.bad("no tree"));
    }
    let scale = match integer("aggregate_function").unwrap_or(1) {
        0 => 1.0 / roots.len() as f64,
        1 => 1.0,
        other => return Err(ONNX.unsupported(format_args!("trees joined by function {other}"))),
    };
    let mut trees = Vec::new();
    let mut total = 0;
    // A tree has no node of another: each is taken once.
    let mut taken = vec![false; n];
    for root in roots {
        trees.push(lists.tree(*root, scale, &mut taken, &mut total)?);
    }
    if let Some(left_out) = taken.iter().position(|t| !t) {
        return Err(ONNX.bad(format_args!("node {left_out}, which no tree leads to")));
    }
    Ok(Ensemble {
        features: names(lists.width),
        base: base(given, 1)?,
        trees,
        link: Link::Identity,
        single_precision: single,
    })
}

/// Sets of the nodes that ask for membership, in their order, each ended by NaN.
fn members(modes: &[f64], values: &[f64]) -> Result<Vec<Vec<f64>>> {
    let mut sets = values.split(|v| v.is_nan());
    let mut found = Vec::with_capacity(modes.len());
    for (node, mode) in modes.iter().enumerate() {
        if *mode != MODES.len() as f64 {
            found.push(Vec::new());
            continue;
        }
        let mut set = sets
            .next()
            .filter(|set| !set.is_empty())
            .ok_or_else(|| ONNX.bad(format_args!("node {node} has no set of values")))?
            .to_vec();
        set.sort_by(f64::total_cmp);
        // -0 equals +0.
        set.dedup();
        found.push(set);
    }
    match sets.flatten().next() {
        None => Ok(found),
        Some(value) => Err(ONNX.bad(format_args!("value {value} of no node's set"))),
    }
}

impl Lists<'_> {
    /// The tree from a root.
    fn tree(&self, root: i64, scale: f64, taken: &mut [bool], total: &mut usize) -> Result<Tree> {
        let mut nodes: Vec<Node> = Vec::new();
        // What is waiting for a place: a child, whether a leaf, and its parent's place and side.
        let mut waiting = vec![(root, false, None::<(usize, bool)>)];
        while let Some((id, leaf, parent)) = waiting.pop() {
            let place = nodes.len();
            *total += 1;
            if *total > MOST {
                return Err(ONNX.unsupported(format_args!("more than {MOST} nodes")));
            }
            let at = usize::try_from(id).ok();
            if leaf {
                let found = at.and_then(|i| Some((self.targets.get(i)?, self.weights.get(i)?)));
                let Some((0, weight)) = found else {
                    return Err(ONNX.bad(format_args!(
                        "leaf {id} of {} with target 0",
                        self.targets.len()
                    )));
                };
                nodes.push(Node::Leaf(weight * scale));
            } else {
                let Some((i, first)) = at.and_then(|i| Some((i, taken.get_mut(i)?))) else {
                    return Err(ONNX.bad(format_args!("node {id} of {}", self.features.len())));
                };
                if std::mem::replace(first, true) {
                    return Err(ONNX.bad(format_args!("node {i} is reached twice")));
                }
                let (node, swapped) = self.split(i)?;
                nodes.push(node);
                for (children, leaf_flags, is_left) in [
                    (self.yes.0, self.yes.1, !swapped),
                    (self.no.0, self.no.1, swapped),
                ] {
                    waiting.push((children[i], leaf_flags[i] != 0, Some((place, is_left))));
                }
            }
            if let Some((parent, is_left)) = parent
                && let Node::Split { left, right, .. } = &mut nodes[parent]
            {
                let place =
                    u32::try_from(place).map_err(|_| ONNX.unsupported("a tree of 2^32 nodes"))?;
                *(if is_left { left } else { right }) = place;
            }
        }
        Tree::new(0, 0, nodes)
    }

    /// A node without its children, and whether the true branch is the right one.
    fn split(&self, i: usize) -> Result<(Node, bool)> {
        let feature = usize::try_from(self.features[i])
            .ok()
            .filter(|f| *f < self.width)
            .ok_or_else(|| ONNX.bad(format_args!("node {i}: feature {}", self.features[i])))?;
        let true_if_nan = self.tracks.get(i).is_some_and(|t| *t != 0);
        let known = MODES
            .iter()
            .zip(0..)
            .find(|(_, m)| f64::from(*m) == self.modes[i]);
        let (rule, missing, swapped) = match known {
            Some((mode, _)) => comparison(mode, self.splits[i], true_if_nan, self.single),
            None if self.modes[i] == MODES.len() as f64 => {
                let set = Rule::OneOf(self.members[i].clone());
                Some((set, Missing::Nan(true_if_nan), false))
            }
            None => None,
        }
        .ok_or_else(|| ONNX.bad(format_args!("node {i} of mode {}", self.modes[i])))?;
        let node = Node::Split {
            feature: feature as u32,
            rule,
            missing,
            left: 0,
            right: 0,
        };
        Ok((node, swapped))
    }
}
