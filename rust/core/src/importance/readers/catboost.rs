//! CatBoost models in JSON (`save_model(format="json")`) whose splits are on numbers.

use serde_json::Value;

use super::super::losses::Link;
use super::super::trees::{Ensemble, Missing, Node, Rule, Tree};
use super::json::Library;
use crate::Result;

/// Most splits of a tree, which has a leaf for each of their outcomes; the library's own limit.
const DEPTH: usize = 16;
/// Most features and outputs of a model.
const LIMIT: usize = 1 << 20;

const CATBOOST: Library = Library("CatBoost");

/// Reads a model.
///
/// # Errors
/// When the bytes are not a complete model, or one with categories, text or trees of other shapes.
pub fn read(bytes: &[u8]) -> Result<Ensemble> {
    let root: Value = serde_json::from_slice(bytes).map_err(|e| CATBOOST.bad(e))?;
    let info = CATBOOST.get(&root, "features_info")?;
    for kind in [
        "categorical_features",
        "text_features",
        "embedding_features",
        "ctrs",
    ] {
        let some = |v: &Value| v.as_array().is_some_and(|a| !a.is_empty());
        if info.get(kind).is_some_and(some) {
            return Err(CATBOOST.unsupported(format_args!("models with {kind}")));
        }
    }
    let features: Vec<Feature> = CATBOOST
        .list(CATBOOST.get(info, "float_features")?, "float_features")?
        .iter()
        .map(Feature::read)
        .collect::<Result<_>>()?;
    let width = features.iter().map(|f| f.column + 1).max().unwrap_or(0);
    if width > LIMIT || features.len() > LIMIT {
        return Err(CATBOOST.bad(format!("{width} columns")));
    }
    let mut names: Vec<String> = (0..width).map(|j| j.to_string()).collect();
    for f in &features {
        if !f.name.is_empty() {
            names[f.column].clone_from(&f.name);
        }
    }

    let scale_and_bias = CATBOOST.list(CATBOOST.get(&root, "scale_and_bias")?, "scale_and_bias")?;
    let [scale, bias] = scale_and_bias else {
        return Err(CATBOOST.bad(format!("{} values of scale_and_bias", scale_and_bias.len())));
    };
    let scale = CATBOOST.float(scale, "scale")?;
    let bias: Vec<f64> = match bias {
        Value::Array(all) => all
            .iter()
            .map(|b| CATBOOST.float(b, "bias"))
            .collect::<Result<_>>()?,
        one => vec![CATBOOST.float(one, "bias")?],
    };
    let link = link(&root, bias.len())?;
    if root.get("trees").is_some() {
        return Err(CATBOOST.unsupported("trees that are not symmetric"));
    }
    let mut trees = Vec::new();
    for (t, tree) in CATBOOST
        .list(CATBOOST.get(&root, "oblivious_trees")?, "oblivious_trees")?
        .iter()
        .enumerate()
    {
        read_tree(tree, t, &features, bias.len(), scale, &mut trees)?;
    }
    Ensemble {
        features: names,
        base: bias,
        trees,
        link,
        single_precision: true,
    }
    .validate()
}

struct Feature {
    name: String,
    /// Which column of the table it is.
    column: usize,
    /// NaN is larger than every border, else it is not larger than any.
    nan_is_large: bool,
}

impl Feature {
    fn read(value: &Value) -> Result<Self> {
        let column = CATBOOST.count(
            CATBOOST.get(value, "flat_feature_index")?,
            "flat_feature_index",
            LIMIT - 1,
        )?;
        let nan = value
            .get("nan_value_treatment")
            .and_then(Value::as_str)
            .unwrap_or("AsIs");
        Ok(Self {
            name: value
                .get("feature_id")
                .and_then(Value::as_str)
                .unwrap_or("")
                .into(),
            column,
            nan_is_large: match nan {
                "AsIs" | "AsFalse" => false,
                "AsTrue" => true,
                other => return Err(CATBOOST.bad(format!("nan_value_treatment {other:?}"))),
            },
        })
    }
}

/// One tree for each output, all of one shape: every level asks one question.
fn read_tree(
    tree: &Value,
    t: usize,
    features: &[Feature],
    outputs: usize,
    scale: f64,
    into: &mut Vec<Tree>,
) -> Result<()> {
    let none = Vec::new();
    let splits = match tree.get("splits") {
        None | Some(Value::Null) => &none[..],
        Some(found) => CATBOOST.list(found, "splits")?,
    };
    if splits.len() > DEPTH {
        return Err(CATBOOST.bad(format!("tree {t}: {} splits", splits.len())));
    }
    let values = CATBOOST.list(CATBOOST.get(tree, "leaf_values")?, "leaf_values")?;
    let leaves = 1usize << splits.len();
    if leaves.checked_mul(outputs) != Some(values.len()) {
        return Err(CATBOOST.bad(format!(
            "tree {t}: {} leaf_values for {leaves} leaves and {outputs} outputs",
            values.len()
        )));
    }
    let mut questions = Vec::with_capacity(splits.len());
    for split in splits {
        let kind = split.get("split_type").and_then(Value::as_str);
        if kind.is_some_and(|k| k != "FloatFeature") {
            return Err(CATBOOST.unsupported(format_args!("splits of type {kind:?}")));
        }
        let index = CATBOOST.count(
            CATBOOST.get(split, "float_feature_index")?,
            "float_feature_index",
            LIMIT,
        )?;
        let feature = features
            .get(index)
            .ok_or_else(|| CATBOOST.bad(format!("tree {t}: float_feature_index {index}")))?;
        // Borders are single precision, written with all their digits.
        let border = CATBOOST.float(CATBOOST.get(split, "border")?, "border")? as f32;
        if border.is_nan() {
            return Err(CATBOOST.bad(format!("tree {t}: a border that is NaN")));
        }
        questions.push((feature, f64::from(border)));
    }
    for output in 0..outputs {
        let mut nodes = Vec::with_capacity(2 * leaves - 1);
        for (level, (feature, border)) in questions.iter().enumerate() {
            for i in 0..1usize << level {
                // Level by level, so that children follow their level.
                let left = (1usize << (level + 1)) - 1 + 2 * i;
                nodes.push(Node::Split {
                    feature: feature.column as u32,
                    rule: Rule::AtMost(*border),
                    missing: Missing::Nan(!feature.nan_is_large),
                    left: left as u32,
                    right: left as u32 + 1,
                });
            }
        }
        for i in 0..leaves {
            // The first question is the lowest bit of the index of a leaf, the highest of its path.
            let leaf =
                (0..questions.len()).fold(0, |a, q| a | (i >> (questions.len() - 1 - q) & 1) << q);
            let value = CATBOOST.float(&values[leaf * outputs + output], "leaf_values")?;
            nodes.push(Node::Leaf(value * scale));
        }
        into.push(Tree::new(output as u32, 0, nodes)?);
    }
    Ok(())
}

fn link(root: &Value, outputs: usize) -> Result<Link> {
    let name = root
        .pointer("/model_info/params/loss_function/type")
        .and_then(Value::as_str)
        .unwrap_or("RMSE");
    Ok(match name {
        "Logloss" | "CrossEntropy" => Link::Logistic(1.0),
        "MultiClass" if outputs > 1 => Link::Softmax,
        "MultiClassOneVsAll" if outputs > 1 => Link::OneVersusAll(1.0),
        "Poisson" | "Tweedie" => Link::Exp,
        "RMSE" | "MAE" | "Quantile" | "Expectile" | "Huber" | "LogCosh" | "MAPE" | "Lq" => {
            Link::Identity
        }
        other => return Err(CATBOOST.unsupported(format_args!("loss {other:?}"))),
    })
}
