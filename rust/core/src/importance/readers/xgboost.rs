//! XGBoost models in JSON or UBJSON (`Booster.save_raw`, versions 1.6 to 3).

use serde_json::Value;

use super::super::losses::Link;
use super::super::trees::{Ensemble, Missing, Node, Rule, Tree};
use super::ubjson;
use crate::{Error, Result};

/// Most nodes of a tree.
const NODES: usize = 1 << 26;
/// Most features and classes of a model: each takes memory before a tree is seen.
const LIMIT: usize = 1 << 20;
/// Categories from here on are not valid to XGBoost.
const CATEGORIES: u32 = 1 << 24;

fn bad(message: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("XGBoost model: {message}"))
}

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::invalid(format!(
        "XGBoost {what} has no exact form here; use method=\"permutation\""
    ))
}

/// Reads a model; JSON and UBJSON are told apart by their first bytes.
///
/// # Errors
/// When the bytes are not a complete model, or one without an exact form here.
pub fn read(bytes: &[u8]) -> Result<Ensemble> {
    // A JSON object goes on with a quote or space, a UBJSON one with a marker.
    let json = bytes.first() == Some(&b'{')
        && matches!(bytes.get(1), Some(b'"' | b' ' | b'\n' | b'\r' | b'\t'));
    let root = if json {
        serde_json::from_slice(bytes).map_err(bad)?
    } else {
        ubjson::read(bytes)?
    };
    let learner = get(&root, "learner")?;
    let param = get(learner, "learner_model_param")?;
    let features = count(get(param, "num_feature")?, "num_feature")?;
    let classes = count(get(param, "num_class")?, "num_class")?;
    if let Some(targets) = param.get("num_target")
        && count(targets, "num_target")? > 1
    {
        return Err(unsupported("models of several targets"));
    }
    if features == 0 || features > LIMIT || classes > LIMIT {
        return Err(bad(format!("{features} features, {classes} classes")));
    }
    let outputs = classes.max(1);
    let booster = get(learner, "gradient_booster")?;
    let (booster, weights) = match text(get(booster, "name")?, "name")? {
        "gbtree" => (booster, None),
        "dart" => (
            get(booster, "gbtree")?,
            Some(list(get(booster, "weight_drop")?, "weight_drop")?),
        ),
        other => return Err(unsupported(format_args!("booster {other:?}"))),
    };
    let model = get(booster, "model")?;
    let trees = list(get(model, "trees")?, "trees")?;
    let info = list(get(model, "tree_info")?, "tree_info")?;
    if info.len() != trees.len() || weights.is_some_and(|w| w.len() != trees.len()) {
        return Err(bad(format!(
            "{} trees, {} in tree_info",
            trees.len(),
            info.len()
        )));
    }
    let trees = trees
        .iter()
        .enumerate()
        .map(|(t, tree)| {
            let output = count(&info[t], "tree_info")?;
            if output >= outputs {
                return Err(bad(format!(
                    "tree {t} adds to output {output} of {outputs}"
                )));
            }
            let weight = weights.map_or(Ok(1.0), |w| float(&w[t], "weight_drop"))?;
            read_tree(tree, t, output as u32, features, weight)
        })
        .collect::<Result<_>>()?;

    let objective = text(get(get(learner, "objective")?, "name")?, "objective")?;
    let (link, base) = link(objective, outputs)?;
    let scores = base_scores(text(get(param, "base_score")?, "base_score")?)?;
    let base = match scores.len() {
        1 => vec![base(scores[0]); outputs],
        n if n == outputs => scores.into_iter().map(base).collect(),
        n => return Err(bad(format!("{n} base scores for {outputs} outputs"))),
    };
    let names = match learner.get("feature_names") {
        Some(Value::Array(names)) if names.len() == features => names
            .iter()
            .map(|n| text(n, "feature_names").map(String::from))
            .collect::<Result<_>>()?,
        _ => (0..features).map(|j| format!("f{j}")).collect(),
    };
    Ensemble {
        features: names,
        base,
        trees,
        link,
        single_precision: true,
    }
    .validate()
}

fn get<'a>(value: &'a Value, key: &str) -> Result<&'a Value> {
    value
        .get(key)
        .ok_or_else(|| bad(format!("{key} is missing")))
}

fn list<'a>(value: &'a Value, what: &str) -> Result<&'a [Value]> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| bad(format!("{what} is no list")))
}

fn text<'a>(value: &'a Value, what: &str) -> Result<&'a str> {
    value
        .as_str()
        .ok_or_else(|| bad(format!("{what} is no text")))
}

/// A whole number that is not negative; parameters are stored as text.
fn count(value: &Value, what: &str) -> Result<usize> {
    let found = match value {
        Value::String(s) => s.parse().ok(),
        v => v.as_u64().and_then(|n| usize::try_from(n).ok()),
    };
    found.ok_or_else(|| bad(format!("{what} is no count")))
}

/// A number that XGBoost holds in single precision.
fn float(value: &Value, what: &str) -> Result<f64> {
    value
        .as_f64()
        .map(|x| f64::from(x as f32))
        .ok_or_else(|| bad(format!("{what} has a value that is no number")))
}

fn floats(tree: &Value, key: &str, n: usize) -> Result<Vec<f64>> {
    sized(tree, key, n)?.iter().map(|v| float(v, key)).collect()
}

fn integers(values: &[Value], key: &str) -> Result<Vec<i64>> {
    values
        .iter()
        .map(|v| match v {
            Value::Bool(b) => Ok(i64::from(*b)),
            v => v
                .as_i64()
                .ok_or_else(|| bad(format!("{key} has a value that is no integer"))),
        })
        .collect()
}

fn sized<'a>(tree: &'a Value, key: &str, n: usize) -> Result<&'a [Value]> {
    let found = list(get(tree, key)?, key)?;
    if found.len() == n {
        Ok(found)
    } else {
        Err(bad(format!(
            "{} values of {key}, {n} expected",
            found.len()
        )))
    }
}

/// `5E-1`, or since version 3.1 `[5E-1]`, one for each output.
fn base_scores(text: &str) -> Result<Vec<f64>> {
    text.trim_matches(['[', ']'])
        .split(',')
        .map(|v| {
            v.trim()
                .parse::<f32>()
                .map(f64::from)
                .map_err(|_| bad(format!("base_score {text:?}")))
        })
        .collect()
}

/// How a base score becomes a margin.
type ToMargin = fn(f64) -> f64;

/// The link of an objective, and the margin of its base score.
fn link(objective: &str, outputs: usize) -> Result<(Link, ToMargin)> {
    let logit: ToMargin = |p| -libm::log(1.0 / p - 1.0);
    Ok(match objective {
        "binary:logistic" | "reg:logistic" => (Link::Logistic(1.0), logit),
        "binary:logitraw" => (Link::Identity, logit),
        "count:poisson" | "reg:gamma" | "reg:tweedie" => (Link::Exp, libm::log),
        "multi:softprob" | "multi:softmax" if outputs > 1 => (Link::Softmax, |p| p),
        "reg:squarederror"
        | "reg:linear"
        | "reg:absoluteerror"
        | "reg:squaredlogerror"
        | "reg:pseudohubererror"
        | "reg:quantileerror"
        | "rank:pairwise"
        | "rank:ndcg"
        | "rank:map" => (Link::Identity, |p| p),
        other => return Err(unsupported(format_args!("objective {other:?}"))),
    })
}

fn read_tree(tree: &Value, t: usize, output: u32, features: usize, weight: f64) -> Result<Tree> {
    let param = get(tree, "tree_param")?;
    let n = count(get(param, "num_nodes")?, "num_nodes")?;
    if n == 0 || n > NODES {
        return Err(bad(format!("tree {t} has {n} nodes")));
    }
    if let Some(size) = param.get("size_leaf_vector")
        && count(size, "size_leaf_vector")? > 1
    {
        return Err(unsupported("trees with vectors as leaves"));
    }
    let left = integers(sized(tree, "left_children", n)?, "left_children")?;
    let right = integers(sized(tree, "right_children", n)?, "right_children")?;
    let feature = integers(sized(tree, "split_indices", n)?, "split_indices")?;
    let default_left = integers(sized(tree, "default_left", n)?, "default_left")?;
    let condition = floats(tree, "split_conditions", n)?;
    let kinds = match tree.get("split_type") {
        Some(_) => integers(sized(tree, "split_type", n)?, "split_type")?,
        None => vec![0; n],
    };
    let sets = categories(tree, n)?;
    let mut nodes = Vec::with_capacity(n);
    for i in 0..n {
        if left[i] == -1 {
            nodes.push(Node::Leaf(weight * condition[i]));
            continue;
        }
        let index = |v: i64, what: &str, end: usize| {
            usize::try_from(v)
                .ok()
                .filter(|v| *v < end)
                .map(|v| v as u32)
                .ok_or_else(|| bad(format!("tree {t}: {what} {v} of {end}")))
        };
        let rule = if kinds[i] == 1 {
            // The listed categories go right, all else left.
            Rule::Among {
                listed: sets[i].clone(),
                left: false,
                truncates: false,
            }
        } else {
            // Strictly below, in single precision.
            Rule::AtMost(f64::from((condition[i] as f32).next_down()))
        };
        nodes.push(Node::Split {
            feature: index(feature[i], "feature", features)?,
            rule,
            missing: Missing::Nan(default_left[i] != 0),
            left: index(left[i], "child", n)?,
            right: index(right[i], "child", n)?,
        });
    }
    Tree::new(output, 0, nodes)
}

/// The categories of each node that has some.
fn categories(tree: &Value, n: usize) -> Result<Vec<Vec<u32>>> {
    let mut sets = vec![Vec::new(); n];
    let Some(nodes) = tree.get("categories_nodes") else {
        return Ok(sets);
    };
    let nodes = integers(list(nodes, "categories_nodes")?, "categories_nodes")?;
    let all = integers(list(get(tree, "categories")?, "categories")?, "categories")?;
    let starts = integers(
        sized(tree, "categories_segments", nodes.len())?,
        "categories_segments",
    )?;
    let sizes = integers(
        sized(tree, "categories_sizes", nodes.len())?,
        "categories_sizes",
    )?;
    for ((node, start), size) in nodes.into_iter().zip(starts).zip(sizes) {
        let end = start.checked_add(size);
        let range = usize::try_from(start)
            .ok()
            .zip(end.and_then(|e| usize::try_from(e).ok()));
        let found = range.and_then(|(a, b)| all.get(a..b));
        let (Some(found), Some(slot)) = (
            found,
            usize::try_from(node).ok().and_then(|i| sets.get_mut(i)),
        ) else {
            return Err(bad(format!("categories {start}+{size} of node {node}")));
        };
        *slot = found
            .iter()
            .map(|c| {
                u32::try_from(*c)
                    .ok()
                    .filter(|c| *c < CATEGORIES)
                    .ok_or_else(|| bad(format!("category {c}")))
            })
            .collect::<Result<_>>()?;
        slot.sort_unstable();
        slot.dedup();
    }
    Ok(sets)
}
