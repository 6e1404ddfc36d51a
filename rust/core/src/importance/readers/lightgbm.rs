//! LightGBM text models, versions 3 and 4 (`Booster.save_model`).

use std::collections::HashMap;
use std::str::FromStr;

use super::super::losses::Link;
use super::super::trees::{Ensemble, Missing, Node, Rule, Tree};
use crate::{Error, Result};

/// Most leaves of a tree and features of a model.
const LIMIT: usize = 1 << 24;

fn bad(message: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("LightGBM model: {message}"))
}

/// Lines `key=value` of the header or of one tree.
struct Section<'a> {
    name: String,
    fields: HashMap<&'a str, &'a str>,
}

impl<'a> Section<'a> {
    fn text(&self, key: &str) -> Result<&'a str> {
        self.fields
            .get(key)
            .copied()
            .ok_or_else(|| bad(format!("{} has no {key}", self.name)))
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<T> {
        let text = self.text(key)?;
        text.trim()
            .parse()
            .map_err(|_| bad(format!("{}: {key}={}", self.name, shorten(text))))
    }

    /// Exactly `n` numbers.
    fn numbers<T: FromStr>(&self, key: &str, n: usize) -> Result<Vec<T>> {
        let text = self.text(key)?;
        let found: Vec<T> = text
            .split_ascii_whitespace()
            .map(|v| {
                v.parse()
                    .map_err(|_| bad(format!("{}: {key} has {}", self.name, shorten(v))))
            })
            .collect::<Result<_>>()?;
        if found.len() == n {
            Ok(found)
        } else {
            Err(bad(format!(
                "{}: {} values of {key}, {n} expected",
                self.name,
                found.len()
            )))
        }
    }
}

fn shorten(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("{short:?}")
}

/// Reads a model.
///
/// # Errors
/// When the text is not a complete model, or uses what has no exact form here: linear leaves, and
/// links that are not monotone functions of one sum of trees.
pub fn read(text: &str) -> Result<Ensemble> {
    let mut lines = text.lines();
    if lines.next().map(str::trim_end) != Some("tree") {
        return Err(bad("the first line is not \"tree\""));
    }
    let mut header = Section {
        name: "the header".into(),
        fields: HashMap::new(),
    };
    let mut trees: Vec<Section<'_>> = Vec::new();
    let mut average = false;
    let mut complete = false;
    for line in lines {
        let line = line.trim_end();
        if line == "end of trees" {
            complete = true;
            break;
        }
        if line == "average_output" {
            average = true;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        if key == "Tree" {
            trees.push(Section {
                name: format!("tree {}", shorten(value)),
                fields: HashMap::new(),
            });
            continue;
        }
        trees
            .last_mut()
            .unwrap_or(&mut header)
            .fields
            .insert(key, value);
    }
    if !complete {
        return Err(bad("\"end of trees\" is missing; is the file truncated?"));
    }

    let features = header.number::<usize>("max_feature_idx")?.saturating_add(1);
    let classes: usize = header.number("num_class")?;
    let outputs: usize = header.number("num_tree_per_iteration")?;
    if features > LIMIT || outputs == 0 || outputs > trees.len().max(1) {
        return Err(bad(format!(
            "{features} features, {outputs} trees an iteration, {} trees",
            trees.len()
        )));
    }
    let names: Vec<String> = header
        .text("feature_names")?
        .split_ascii_whitespace()
        .map(String::from)
        .collect();
    if names.len() != features {
        return Err(bad(format!(
            "{} feature_names, {features} features",
            names.len()
        )));
    }
    if !trees.len().is_multiple_of(outputs) {
        return Err(bad(format!(
            "{} trees, {outputs} an iteration",
            trees.len()
        )));
    }
    let link = link(
        header.fields.get("objective").copied().unwrap_or("custom"),
        classes,
    )?;
    let scale = if average {
        (trees.len() / outputs).max(1) as f64
    } else {
        1.0
    };
    let trees = trees
        .iter()
        .enumerate()
        .map(|(t, section)| tree(section, (t % outputs) as u32, features, scale))
        .collect::<Result<_>>()?;
    Ensemble {
        features: names,
        base: vec![0.0; outputs],
        trees,
        link,
        single_precision: false,
    }
    .validate()
}

fn link(objective: &str, classes: usize) -> Result<Link> {
    let mut words = objective.split_ascii_whitespace();
    let name = words.next().unwrap_or("custom");
    let mut slope = 1.0;
    let mut root = false;
    for word in words {
        match word.split_once(':') {
            Some(("sigmoid", v)) => {
                slope = v
                    .parse()
                    .map_err(|_| bad(format!("sigmoid {}", shorten(v))))?
            }
            None if word == "sqrt" => root = true,
            _ => {}
        }
    }
    Ok(match name {
        "binary" => Link::Logistic(slope),
        "cross_entropy" | "xentropy" => Link::Logistic(1.0),
        "multiclass" | "softmax" if classes > 1 => Link::Softmax,
        "multiclassova" | "multiclass_ova" | "ova" if classes > 1 => Link::OneVersusAll(slope),
        "poisson" | "gamma" | "tweedie" => Link::Exp,
        "regression" if root => Link::SignedSquare,
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank"
        | "rank_xendcg" | "custom" => Link::Identity,
        other => {
            return Err(Error::invalid(format!(
                "LightGBM objective {} has no exact form here; use method=\"permutation\"",
                shorten(other)
            )));
        }
    })
}

fn tree(section: &Section<'_>, output: u32, features: usize, scale: f64) -> Result<Tree> {
    let leaves: usize = section.number("num_leaves")?;
    if leaves == 0 || leaves > LIMIT {
        return Err(bad(format!("{}: {leaves} leaves", section.name)));
    }
    if section
        .fields
        .get("is_linear")
        .is_some_and(|v| v.trim() != "0")
    {
        return Err(Error::invalid(
            "LightGBM trees with linear leaves have no exact form here; use method=\"permutation\"",
        ));
    }
    let values: Vec<f64> = section.numbers("leaf_value", leaves)?;
    let mut nodes = Vec::with_capacity(2 * leaves - 1);
    if leaves > 1 {
        let n = leaves - 1;
        let feature: Vec<u32> = section.numbers("split_feature", n)?;
        let threshold: Vec<f64> = section.numbers("threshold", n)?;
        let decision: Vec<u32> = section.numbers("decision_type", n)?;
        let left: Vec<i32> = section.numbers("left_child", n)?;
        let right: Vec<i32> = section.numbers("right_child", n)?;
        let sets = categories(section)?;
        // Inner nodes come first, leaf k behind them at n + k; a negative child is the complement of k.
        let child = |c: i32| -> Result<u32> {
            let at = if c >= 0 { c as usize } else { n + !c as usize };
            let fits = if c >= 0 { at < n } else { at < n + leaves };
            fits.then_some(at as u32)
                .ok_or_else(|| bad(format!("{}: child {c}", section.name)))
        };
        for i in 0..n {
            if feature[i] as usize >= features {
                return Err(bad(format!(
                    "{}: split_feature {}",
                    section.name, feature[i]
                )));
            }
            let bits = decision[i];
            let default_left = bits & 2 != 0;
            let (rule, missing) = if bits & 1 != 0 {
                let listed = sets
                    .get(threshold[i] as usize)
                    .filter(|_| threshold[i] >= 0.0)
                    .ok_or_else(|| {
                        bad(format!("{}: category set {}", section.name, threshold[i]))
                    })?;
                let rule = Rule::Among {
                    listed: listed.clone(),
                    left: true,
                    truncates: true,
                };
                (rule, Missing::Nan(false))
            } else {
                let missing = match bits >> 2 & 3 {
                    0 => Missing::NanIsZero,
                    1 => Missing::NanAndZero(default_left),
                    2 => Missing::Nan(default_left),
                    other => return Err(bad(format!("{}: missing type {other}", section.name))),
                };
                (Rule::AtMost(threshold[i]), missing)
            };
            nodes.push(Node::Split {
                feature: feature[i],
                rule,
                missing,
                left: child(left[i])?,
                right: child(right[i])?,
            });
        }
    }
    nodes.extend(values.iter().map(|v| Node::Leaf(v / scale)));
    Tree::new(output, 0, nodes)
}

/// The sets of the categorical splits, from bitsets of 32-bit words.
fn categories(section: &Section<'_>) -> Result<Vec<Vec<u32>>> {
    let n: usize = section.number("num_cat")?;
    if n == 0 {
        return Ok(Vec::new());
    }
    if n > LIMIT {
        return Err(bad(format!("{}: {n} categorical splits", section.name)));
    }
    let bounds: Vec<usize> = section.numbers("cat_boundaries", n + 1)?;
    let words: Vec<u32> = section.numbers("cat_threshold", bounds[n])?;
    bounds
        .windows(2)
        .map(|w| {
            let set = words
                .get(w[0]..w[1])
                .ok_or_else(|| bad(format!("{}: cat_boundaries {w:?}", section.name)))?;
            Ok(bitset(set))
        })
        .collect()
}

/// Members of a bitset, ascending.
pub fn bitset(words: &[u32]) -> Vec<u32> {
    let member = |(i, w): (usize, &u32)| {
        let w = *w;
        (0..32)
            .filter(move |b| w >> b & 1 == 1)
            .map(move |b| i as u32 * 32 + b)
    };
    words.iter().enumerate().flat_map(member).collect()
}
