//! ONNX files whose graph is one tree ensemble of `ai.onnx.ml`: `TreeEnsembleClassifier` and
//! `TreeEnsembleRegressor`, or `TreeEnsemble` of version 5.

mod ensemble;

use std::collections::HashMap;

use super::super::losses::Link;
use super::super::trees::{Ensemble, Missing, Node, Rule, Tree};
use super::json::Library;
use super::protobuf::{Field, Message, doubles, singles};
use crate::Result;

const ONNX: Library = Library("ONNX");
/// Most features and classes of a model: each takes memory before a tree is seen.
const LIMIT: usize = 1 << 20;
/// Operators that pass on what they are given.
const PASSING: [&str; 3] = ["ZipMap", "Identity", "Cast"];
/// `TensorProto.DataType`.
const FLOAT: i64 = 1;
const UINT8: i64 = 2;
const DOUBLE: i64 = 11;

/// Labels of the classes, in the order of the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    /// Whole numbers.
    Numbers(Vec<i64>),
    /// Text.
    Texts(Vec<String>),
}

impl Classes {
    fn len(&self) -> usize {
        match self {
            Classes::Numbers(n) => n.len(),
            Classes::Texts(t) => t.len(),
        }
    }
}

/// Reads a model; classes are those of a classifier.
///
/// # Errors
/// When the bytes are not a complete model, or one whose graph is more than a tree ensemble.
pub fn read(bytes: &[u8]) -> Result<(Ensemble, Option<Classes>)> {
    let mut graph = None;
    for field in Message(bytes) {
        if let (7, value) = field? {
            graph = Some(value.bytes()?);
        }
    }
    let graph = graph.ok_or_else(|| ONNX.bad("no graph"))?;
    let (mut inputs, mut operators) = (Vec::new(), Vec::new());
    for field in Message(graph) {
        match field? {
            (1, value) => operators.push(Operator::read(value.bytes()?)?),
            (11, value) => inputs.push(Input::read(value.bytes()?)?),
            _ => {}
        }
    }
    let trees = operators
        .iter()
        .filter(|o| o.kind.starts_with("TreeEnsemble"));
    let [operator] = trees.collect::<Vec<_>>()[..] else {
        let kinds: Vec<&str> = operators.iter().map(|o| o.kind).collect();
        return Err(ONNX.unsupported(format_args!(
            "graph of {}",
            if kinds.is_empty() {
                "nothing".into()
            } else {
                kinds.join(", ")
            }
        )));
    };
    if let Some(other) = operators
        .iter()
        .find(|o| o.kind != operator.kind && !PASSING.contains(&o.kind))
    {
        return Err(ONNX.unsupported(format_args!("graph with {}", other.kind)));
    }
    let input = match (&inputs[..], &operator.inputs[..]) {
        ([input], [taken]) if *taken == input.name => input,
        _ => {
            return Err(ONNX.unsupported(format_args!(
                "graph whose trees take {:?}, not its only input,",
                operator.inputs
            )));
        }
    };
    let single_precision = match input.element {
        FLOAT => true,
        DOUBLE => false,
        other => return Err(ONNX.unsupported(format_args!("input of element type {other}"))),
    };
    let given = Attributes::read(operator)?;
    let (ensemble, classes) = match operator.kind {
        "TreeEnsembleClassifier" => classifier(&given, input.width, single_precision)?,
        "TreeEnsembleRegressor" => (regressor(&given, input.width, single_precision)?, None),
        "TreeEnsemble" => (ensemble::read(&given, input.width, single_precision)?, None),
        other => return Err(ONNX.unsupported(other)),
    };
    Ok((ensemble.validate()?, classes))
}

/// The graph's input.
struct Input<'a> {
    name: &'a str,
    element: i64,
    /// Columns, where the shape says so.
    width: Option<usize>,
}

impl<'a> Input<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let (mut name, mut element, mut width) = ("", 0, None);
        for field in Message(bytes) {
            match field? {
                (1, value) => name = value.text()?,
                (2, kind) => {
                    for field in Message(kind.bytes()?) {
                        // Tensors alone; sequences and maps keep element type 0.
                        if let (1, tensor) = field? {
                            (element, width) = tensor_type(tensor.bytes()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(Self {
            name,
            element,
            width,
        })
    }
}

fn tensor_type(bytes: &[u8]) -> Result<(i64, Option<usize>)> {
    let (mut element, mut dimensions) = (0, Vec::new());
    for field in Message(bytes) {
        match field? {
            (1, value) => element = value.integer()?,
            (2, shape) => {
                for field in Message(shape.bytes()?) {
                    if let (1, dimension) = field? {
                        let mut size = None;
                        for field in Message(dimension.bytes()?) {
                            if let (1, value) = field? {
                                size = usize::try_from(value.integer()?).ok();
                            }
                        }
                        dimensions.push(size);
                    }
                }
            }
            _ => {}
        }
    }
    let width = match dimensions[..] {
        [_, columns] => columns.filter(|n| *n > 0),
        _ => None,
    };
    Ok((element, width))
}

/// One node of the graph.
struct Operator<'a> {
    kind: &'a str,
    inputs: Vec<&'a str>,
    attributes: Vec<&'a [u8]>,
}

impl<'a> Operator<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let (mut kind, mut inputs, mut attributes) = ("", Vec::new(), Vec::new());
        for field in Message(bytes) {
            match field? {
                (1, value) => inputs.push(value.text()?),
                (4, value) => kind = value.text()?,
                (5, value) => attributes.push(value.bytes()?),
                _ => {}
            }
        }
        Ok(Self {
            kind,
            inputs,
            attributes,
        })
    }
}

/// Attributes of the operator by name.
#[derive(Default)]
struct Attributes<'a>(HashMap<&'a str, Attribute<'a>>);

/// Whatever an attribute holds; a list has one kind alone.
#[derive(Default)]
struct Attribute<'a> {
    integer: Option<i64>,
    text: Option<&'a str>,
    integers: Vec<i64>,
    floats: Vec<f64>,
    texts: Vec<&'a str>,
}

impl<'a> Attributes<'a> {
    fn read(operator: &Operator<'a>) -> Result<Self> {
        let mut found = Self::default();
        for bytes in &operator.attributes {
            let (mut name, mut held) = ("", Attribute::default());
            for field in Message(bytes) {
                match field? {
                    (1, value) => name = value.text()?,
                    (3, value) => held.integer = Some(value.integer()?),
                    (4, value) => held.text = Some(value.text()?),
                    (5, value) => held.floats = tensor(value.bytes()?)?,
                    (7, value) => value.floats(&mut held.floats)?,
                    (8, value) => value.integers(&mut held.integers)?,
                    (9, value) => held.texts.push(value.text()?),
                    _ => {}
                }
            }
            found.0.insert(name, held);
        }
        Ok(found)
    }

    fn integers(&self, name: &str) -> &[i64] {
        self.0.get(name).map_or(&[], |a| &a.integers)
    }

    /// Numbers of single precision, or of double precision in a tensor.
    fn floats(&self, name: &str) -> &[f64] {
        let tensor = self.0.get(format!("{name}_as_tensor").as_str());
        let held = tensor.or_else(|| self.0.get(name));
        held.map_or(&[], |a| &a.floats)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(|a| a.text)
    }

    /// Integers of which there are `n`.
    fn sized(&self, name: &str, n: usize) -> Result<&[i64]> {
        let found = self.integers(name);
        if found.len() == n {
            Ok(found)
        } else {
            Err(ONNX.bad(format_args!(
                "{} values of {name}, {n} expected",
                found.len()
            )))
        }
    }
}

/// Numbers of a tensor.
fn tensor(bytes: &[u8]) -> Result<Vec<f64>> {
    let (mut kind, mut found, mut raw) = (0, Vec::new(), None);
    let mut integers = Vec::new();
    for field in Message(bytes) {
        match field? {
            (2, value) => kind = value.integer()?,
            (4, value) => value.floats(&mut found)?,
            (5, value) => value.integers(&mut integers)?,
            (9, value) => raw = Some(value.bytes()?),
            (10, value) => value.doubles(&mut found)?,
            (14, Field::Varint(1)) => return Err(ONNX.unsupported("tensors in other files")),
            _ => {}
        }
    }
    if kind == UINT8 {
        found.extend(integers.iter().map(|v| *v as f64));
    }
    if let Some(raw) = raw {
        match kind {
            FLOAT => found.extend(singles(raw)?),
            DOUBLE => found.extend(doubles(raw)?),
            UINT8 => found.extend(raw.iter().map(|b| f64::from(*b))),
            other => return Err(ONNX.bad(format_args!("a tensor of element type {other}"))),
        }
    }
    Ok(found)
}

/// Trees of a model: nodes of each, and for each leaf its place there.
struct Grown {
    trees: Vec<(u32, Vec<Node>)>,
    /// From tree and node as the file numbers them to the tree's place and the node's.
    place: HashMap<(i64, i64), (usize, u32)>,
    width: usize,
}

fn grow(given: &Attributes<'_>, width: Option<usize>, single: bool) -> Result<Grown> {
    let trees = given.integers("nodes_treeids");
    let n = trees.len();
    let ids = given.sized("nodes_nodeids", n)?;
    let features = given.sized("nodes_featureids", n)?;
    let yes = given.sized("nodes_truenodeids", n)?;
    let no = given.sized("nodes_falsenodeids", n)?;
    let values = given.floats("nodes_values");
    let none: &[&str] = &[];
    let modes = given.0.get("nodes_modes").map_or(none, |a| &a.texts);
    if values.len() != n || modes.len() != n {
        return Err(ONNX.bad(format_args!(
            "{n} nodes, {} values and {} modes",
            values.len(),
            modes.len()
        )));
    }
    let tracks = match given.integers("nodes_missing_value_tracks_true") {
        [] => vec![0; n],
        all if all.len() == n => all.to_vec(),
        all => return Err(ONNX.bad(format_args!("{n} nodes, {} sides of NaN", all.len()))),
    };

    let mut number = HashMap::new();
    let mut sizes: Vec<u32> = Vec::new();
    let mut place = HashMap::with_capacity(n);
    for (tree, id) in trees.iter().zip(ids) {
        let t = *number.entry(*tree).or_insert(sizes.len());
        if t == sizes.len() {
            sizes.push(0);
        }
        if place.insert((*tree, *id), (t, sizes[t])).is_some() {
            return Err(ONNX.bad(format_args!("node {id} of tree {tree} occurs twice")));
        }
        sizes[t] += 1;
    }
    let mut grown: Vec<Vec<Node>> = vec![Vec::new(); sizes.len()];
    let mut is_child: Vec<Vec<bool>> = sizes.iter().map(|n| vec![false; *n as usize]).collect();
    let mut widest = 0;
    for i in 0..n {
        let t = place[&(trees[i], ids[i])].0;
        if modes[i] == "LEAF" {
            grown[t].push(Node::Leaf(0.0));
            continue;
        }
        let feature = usize::try_from(features[i])
            .ok()
            .filter(|f| *f < width.unwrap_or(LIMIT))
            .ok_or_else(|| ONNX.bad(format_args!("tree {}: feature {}", trees[i], features[i])))?;
        widest = widest.max(feature + 1);
        let mut child = |id: i64| {
            let found = place.get(&(trees[i], id)).map(|p| p.1);
            let at = found
                .ok_or_else(|| ONNX.bad(format_args!("tree {}: node {id} is missing", trees[i])))?;
            is_child[t][at as usize] = true;
            Ok::<u32, crate::Error>(at)
        };
        let (yes, no) = (child(yes[i])?, child(no[i])?);
        let (rule, missing, swapped) = comparison(modes[i], values[i], tracks[i] != 0, single)
            .ok_or_else(|| ONNX.bad(format_args!("a node of mode {:?}", modes[i])))?;
        let (left, right) = if swapped { (no, yes) } else { (yes, no) };
        grown[t].push(Node::Split {
            feature: feature as u32,
            rule,
            missing,
            left,
            right,
        });
    }
    let mut out = Vec::with_capacity(grown.len());
    for (nodes, is_child) in grown.into_iter().zip(is_child) {
        let mut roots = (0u32..).zip(is_child).filter(|(_, child)| !child);
        let (Some((root, _)), None) = (roots.next(), roots.next()) else {
            return Err(ONNX.bad("a tree without one root"));
        };
        out.push((root, nodes));
    }
    Ok(Grown {
        trees: out,
        place,
        width: width.unwrap_or(widest).max(1),
    })
}

/// A comparison as a split: its rule, the side of NaN, and whether the true branch is the right one.
///
/// Comparisons with NaN are false but for "not equal"; NaN may be sent to the true branch.
fn comparison(
    mode: &str,
    value: f64,
    true_if_nan: bool,
    single: bool,
) -> Option<(Rule, Missing, bool)> {
    let below = if single {
        f64::from((value as f32).next_down())
    } else {
        value.next_down()
    };
    let (rule, swapped, true_if_nan) = match mode {
        "BRANCH_LEQ" => (Rule::AtMost(value), false, true_if_nan),
        "BRANCH_LT" => (Rule::AtMost(below), false, true_if_nan),
        "BRANCH_GTE" => (Rule::AtMost(below), true, true_if_nan),
        "BRANCH_GT" => (Rule::AtMost(value), true, true_if_nan),
        "BRANCH_EQ" => (Rule::OneOf(vec![value]), false, true_if_nan),
        "BRANCH_NEQ" => (Rule::OneOf(vec![value]), true, true),
        _ => return None,
    };
    Some((rule, Missing::Nan(true_if_nan != swapped), swapped))
}

/// Values of leaves: `kind_treeids`, `kind_nodeids`, `kind_ids` and `kind_weights`, as `(tree, node, output,
/// weight)`.
fn weights(
    given: &Attributes<'_>,
    kind: &str,
    grown: &Grown,
    outputs: usize,
) -> Result<Vec<(usize, u32, usize, f64)>> {
    let ids = given.integers(&format!("{kind}_ids"));
    let n = ids.len();
    let trees = given.sized(&format!("{kind}_treeids"), n)?;
    let nodes = given.sized(&format!("{kind}_nodeids"), n)?;
    let weights = given.floats(&format!("{kind}_weights"));
    if weights.len() != n {
        return Err(ONNX.bad(format_args!("{n} leaves, {} weights", weights.len())));
    }
    (0..n)
        .map(|i| {
            let place = grown.place.get(&(trees[i], nodes[i]));
            let (Some((tree, node)), Some(output)) =
                (place, usize::try_from(ids[i]).ok().filter(|k| *k < outputs))
            else {
                return Err(ONNX.bad(format_args!(
                    "output {} of node {} of tree {}",
                    ids[i], nodes[i], trees[i]
                )));
            };
            Ok((*tree, *node, output, weights[i]))
        })
        .collect()
}

/// One tree for each output that it adds to.
fn trees_of(grown: &Grown, weights: &[(usize, u32, usize, f64)]) -> Result<Vec<Tree>> {
    let mut sorted: Vec<_> = weights.iter().collect();
    sorted.sort_by_key(|(tree, _, output, _)| (*tree, *output));
    let mut out = Vec::new();
    for part in sorted.chunk_by(|a, b| (a.0, a.2) == (b.0, b.2)) {
        let (tree, _, output, _) = *part[0];
        let (root, nodes) = &grown.trees[tree];
        let mut nodes = nodes.clone();
        for (_, node, _, weight) in part {
            match &mut nodes[*node as usize] {
                Node::Leaf(value) => *value += weight,
                Node::Split { .. } => return Err(ONNX.bad("a weight of a node that is no leaf")),
            }
        }
        let all = nodes.len();
        let made = Tree::new(output as u32, *root, nodes)?;
        if made.nodes.len() != all {
            return Err(ONNX.bad("a node that no other leads to"));
        }
        out.push(made);
    }
    Ok(out)
}

/// Constants of the outputs.
fn base(given: &Attributes<'_>, outputs: usize) -> Result<Vec<f64>> {
    match given.floats("base_values") {
        [] => Ok(vec![0.0; outputs]),
        all if all.len() == outputs => Ok(all.to_vec()),
        all => Err(ONNX.bad(format_args!(
            "{} base values of {outputs} outputs",
            all.len()
        ))),
    }
}

fn names(width: usize) -> Vec<String> {
    (0..width).map(|j| j.to_string()).collect()
}

fn regressor(given: &Attributes<'_>, width: Option<usize>, single: bool) -> Result<Ensemble> {
    let targets = given.0.get("n_targets").and_then(|a| a.integer);
    if targets.is_some_and(|n| n != 1) {
        return Err(ONNX.unsupported("models of several targets"));
    }
    let grown = grow(given, width, single)?;
    let mut weights = weights(given, "target", &grown, 1)?;
    match given.text("aggregate_function") {
        None | Some("SUM") => {}
        Some("AVERAGE") => {
            let n = grown.trees.len() as f64;
            weights.iter_mut().for_each(|w| w.3 /= n);
        }
        Some(other) => return Err(ONNX.unsupported(format_args!("trees joined by {other}"))),
    }
    let link = match given.text("post_transform") {
        None | Some("NONE") => Link::Identity,
        Some("LOGISTIC") => Link::Logistic(1.0),
        Some(other) => return Err(ONNX.unsupported(format_args!("regressors with {other}"))),
    };
    Ok(Ensemble {
        features: names(grown.width),
        base: base(given, 1)?,
        trees: trees_of(&grown, &weights)?,
        link,
        single_precision: single,
    })
}

fn classifier(
    given: &Attributes<'_>,
    width: Option<usize>,
    single: bool,
) -> Result<(Ensemble, Option<Classes>)> {
    let texts = given
        .0
        .get("classlabels_strings")
        .map_or(0, |a| a.texts.len());
    let classes = if texts > 0 {
        let texts = &given.0["classlabels_strings"].texts;
        Classes::Texts(texts.iter().map(|t| String::from(*t)).collect())
    } else {
        Classes::Numbers(given.integers("classlabels_int64s").to_vec())
    };
    let n = classes.len();
    if !(2..=LIMIT).contains(&n) {
        return Err(ONNX.bad(format_args!("{n} classes")));
    }
    let transform = given.text("post_transform").unwrap_or("NONE");
    let grown = grow(given, width, single)?;
    let mut weights = weights(given, "class", &grown, n)?;
    let mut outputs = n;
    let mut constants;
    let link;
    if n == 2 && weights.iter().all(|w| w.2 == 0) {
        // One score, under the first class's number, is that of the second class.
        constants = base(given, 1)?;
        outputs = 1;
        link = match transform {
            "LOGISTIC" => Link::Logistic(1.0),
            "NONE" if weights.iter().all(|w| w.3 >= 0.0) => Link::Probability,
            other => {
                return Err(ONNX.unsupported(format_args!("one score of two classes with {other}")));
            }
        };
    } else {
        constants = base(given, n)?;
        link = match transform {
            "NONE" => Link::Probability,
            "SOFTMAX" => Link::Softmax,
            "LOGISTIC" => Link::OneVersusAll(1.0),
            other => return Err(ONNX.unsupported(format_args!("classifiers with {other}"))),
        };
    }
    let mut link = link;
    if n == 2 && outputs == 2 {
        // The loss of two classes is that of the second's probability alone.
        match link {
            Link::Softmax => {
                weights
                    .iter_mut()
                    .filter(|w| w.2 == 0)
                    .for_each(|w| w.3 = -w.3);
                constants = vec![constants[1] - constants[0]];
                link = Link::Logistic(1.0);
                weights.iter_mut().for_each(|w| w.2 = 0);
            }
            Link::Probability => {
                complementary(&weights, &constants)?;
                weights.retain(|w| w.2 == 1);
                weights.iter_mut().for_each(|w| w.2 = 0);
                constants.remove(0);
            }
            _ => return Err(ONNX.unsupported("two classes with a score each and LOGISTIC")),
        }
    }
    let ensemble = Ensemble {
        features: names(grown.width),
        base: constants,
        trees: trees_of(&grown, &weights)?,
        link,
        single_precision: single,
    };
    Ok((ensemble, Some(classes)))
}

/// Fails unless the scores of two classes add up to 1, whatever the row: each tree's leaves add up to one
/// number, and these numbers to 1.
fn complementary(weights: &[(usize, u32, usize, f64)], constants: &[f64]) -> Result<()> {
    let mut leaves: HashMap<(usize, u32), f64> = HashMap::new();
    for (tree, node, _, weight) in weights {
        *leaves.entry((*tree, *node)).or_default() += weight;
    }
    let mut of_tree: HashMap<usize, (f64, f64)> = HashMap::new();
    for ((tree, _), sum) in &leaves {
        let range = of_tree.entry(*tree).or_insert((*sum, *sum));
        *range = (range.0.min(*sum), range.1.max(*sum));
    }
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-5;
    let total: f64 = of_tree.values().map(|r| r.0).sum::<f64>() + constants.iter().sum::<f64>();
    if close(total, 1.0) && of_tree.values().all(|(low, high)| close(*low, *high)) {
        Ok(())
    } else {
        Err(ONNX.unsupported("scores of two classes that are no probabilities"))
    }
}
