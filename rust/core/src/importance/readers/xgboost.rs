//! XGBoost models in JSON or UBJSON (`Booster.save_raw`, versions 1.6 to 3).

use serde_json::Value;

use super::super::losses::Link;
use super::super::trees::{Ensemble, Missing, Node, Rule, Tree};
use super::json::Library;
use super::ubjson;
use crate::Result;

/// Most nodes of a tree.
const NODES: usize = 1 << 26;
/// Most features and classes of a model: each takes memory before a tree is seen.
const LIMIT: usize = 1 << 20;
/// Categories from here on are not valid to XGBoost.
const CATEGORIES: u32 = 1 << 24;

const XGBOOST: Library = Library("XGBoost");

/// Reads a model; JSON and UBJSON are told apart by their first bytes.
///
/// # Errors
/// When the bytes are not a complete model, or one without an exact form here.
pub fn read(bytes: &[u8]) -> Result<Ensemble> {
    let json = bytes.first() == Some(&b'{') && super::is_json(bytes);
    let root = if json {
        serde_json::from_slice(bytes).map_err(|e| XGBOOST.bad(e))?
    } else {
        ubjson::read(bytes)?
    };
    let learner = XGBOOST.get(&root, "learner")?;
    let param = XGBOOST.get(learner, "learner_model_param")?;
    let features = XGBOOST.count(XGBOOST.get(param, "num_feature")?, "num_feature", LIMIT)?;
    let classes = XGBOOST.count(XGBOOST.get(param, "num_class")?, "num_class", LIMIT)?;
    if let Some(targets) = param.get("num_target")
        && XGBOOST.count(targets, "num_target", LIMIT)? > 1
    {
        return Err(XGBOOST.unsupported("models of several targets"));
    }
    if features == 0 {
        return Err(XGBOOST.bad("no features"));
    }
    let outputs = classes.max(1);
    let booster = XGBOOST.get(learner, "gradient_booster")?;
    let (booster, weights) = match XGBOOST.text(XGBOOST.get(booster, "name")?, "name")? {
        "gbtree" => (booster, None),
        "dart" => (
            XGBOOST.get(booster, "gbtree")?,
            Some(XGBOOST.list(XGBOOST.get(booster, "weight_drop")?, "weight_drop")?),
        ),
        other => return Err(XGBOOST.unsupported(format_args!("booster {other:?}"))),
    };
    let model = XGBOOST.get(booster, "model")?;
    let trees = XGBOOST.list(XGBOOST.get(model, "trees")?, "trees")?;
    let info = XGBOOST.list(XGBOOST.get(model, "tree_info")?, "tree_info")?;
    if info.len() != trees.len() || weights.is_some_and(|w| w.len() != trees.len()) {
        return Err(XGBOOST.bad(format!(
            "{} trees, {} in tree_info",
            trees.len(),
            info.len()
        )));
    }
    let trees = trees
        .iter()
        .enumerate()
        .map(|(t, tree)| {
            let output = XGBOOST.count(&info[t], "tree_info", LIMIT)?;
            if output >= outputs {
                return Err(XGBOOST.bad(format!("tree {t} adds to output {output} of {outputs}")));
            }
            let weight = weights.map_or(Ok(1.0), |w| float(&w[t], "weight_drop"))?;
            read_tree(tree, t, output as u32, features, weight)
        })
        .collect::<Result<_>>()?;

    let objective = XGBOOST.text(
        XGBOOST.get(XGBOOST.get(learner, "objective")?, "name")?,
        "objective",
    )?;
    let (link, base) = link(objective, outputs)?;
    let scores = base_scores(XGBOOST.text(XGBOOST.get(param, "base_score")?, "base_score")?)?;
    let base = match scores.len() {
        1 => vec![base(scores[0]); outputs],
        n if n == outputs => scores.into_iter().map(base).collect(),
        n => return Err(XGBOOST.bad(format!("{n} base scores for {outputs} outputs"))),
    };
    let names = match learner.get("feature_names") {
        Some(Value::Array(names)) if names.len() == features => names
            .iter()
            .map(|n| XGBOOST.text(n, "feature_names").map(String::from))
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

/// A number that XGBoost holds in single precision.
fn float(value: &Value, what: &str) -> Result<f64> {
    XGBOOST.float(value, what).map(|x| f64::from(x as f32))
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
                .ok_or_else(|| XGBOOST.bad(format!("{key} has a value that is no integer"))),
        })
        .collect()
}

fn sized<'a>(tree: &'a Value, key: &str, n: usize) -> Result<&'a [Value]> {
    let found = XGBOOST.list(XGBOOST.get(tree, key)?, key)?;
    if found.len() == n {
        Ok(found)
    } else {
        Err(XGBOOST.bad(format!("{} values of {key}, {n} expected", found.len())))
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
                .map_err(|_| XGBOOST.bad(format!("base_score {text:?}")))
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
        other => return Err(XGBOOST.unsupported(format_args!("objective {other:?}"))),
    })
}

fn read_tree(tree: &Value, t: usize, output: u32, features: usize, weight: f64) -> Result<Tree> {
    let param = XGBOOST.get(tree, "tree_param")?;
    let n = XGBOOST.count(XGBOOST.get(param, "num_nodes")?, "num_nodes", NODES)?;
    if n == 0 {
        return Err(XGBOOST.bad(format_args!("tree {t} has no node")));
    }
    if let Some(size) = param.get("size_leaf_vector")
        && XGBOOST.count(size, "size_leaf_vector", LIMIT)? > 1
    {
        return Err(XGBOOST.unsupported("trees with vectors as leaves"));
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
                .ok_or_else(|| XGBOOST.bad(format!("tree {t}: {what} {v} of {end}")))
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
    let nodes = integers(XGBOOST.list(nodes, "categories_nodes")?, "categories_nodes")?;
    let all = integers(
        XGBOOST.list(XGBOOST.get(tree, "categories")?, "categories")?,
        "categories",
    )?;
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
            return Err(XGBOOST.bad(format!("categories {start}+{size} of node {node}")));
        };
        *slot = found
            .iter()
            .map(|c| {
                u32::try_from(*c)
                    .ok()
                    .filter(|c| *c < CATEGORIES)
                    .ok_or_else(|| XGBOOST.bad(format!("category {c}")))
            })
            .collect::<Result<_>>()?;
        slot.sort_unstable();
        slot.dedup();
    }
    Ok(sets)
}
