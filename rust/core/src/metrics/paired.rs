//! What two models differ by on the same rows.
//!
//! A metric of a sample moves by a little when a row weighs a little more: that is the row's
//! influence (the delta method). The difference of two metrics has the difference of their influences,
//! so what both models find hard cancels, and its variance is that of rows, or of the sums of blocks
//! of rows that belong together. For the area under the curve this is DeLong's paired test.

use super::{find, not_applicable};
use crate::special::student_two_sided_isf;
use crate::states::exact_sum::{Sum, SumOfSquares, decompose};
use crate::statistics::NotApplicable;

/// Least probability of a label in the log loss.
const FLOOR: f64 = f64::EPSILON;

/// Metrics that have influences here.
pub const NAMES: [&str; 15] = [
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "f1",
    "log_loss",
    "mae",
    "mcc",
    "mse",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "specificity",
];

/// Rows that both models predict: labels, and what each model says.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// 0 or 1 for classes, numbers for a regression.
    pub label: &'a [f64],
    /// Score or prediction of the first model.
    pub a: &'a [f64],
    /// Of the second.
    pub b: &'a [f64],
    /// Sampling weights; none: every row counts once.
    pub weight: Option<&'a [f64]>,
    /// Blocks of rows that belong together, numbered from 0; none: rows are independent.
    pub block: Option<&'a [u32]>,
}

/// Two values of a metric, and their difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Paired {
    /// Of the first model.
    pub a: f64,
    /// Of the second.
    pub b: f64,
    /// Second less first.
    pub difference: f64,
    /// Of the difference.
    pub standard_error: f64,
    /// Of the difference.
    pub interval: (f64, f64),
    /// Blocks that hold rows.
    pub blocks: Option<usize>,
    /// How the interval was made.
    pub method: &'static str,
}

/// The difference of a metric, second model less first, with its interval.
///
/// `threshold` is the least score of a predicted 1. The value does not depend on the order of rows.
///
/// # Errors
/// When the metric is none of [`NAMES`], has no value of one of the models, or there are too few
/// rows or blocks for a variance.
pub fn paired(
    metric: &str,
    rows: &Rows<'_>,
    threshold: f64,
    alpha: f64,
) -> Result<Paired, NotApplicable> {
    let n = rows.label.len();
    if rows.a.len() != n
        || rows.b.len() != n
        || rows.weight.is_some_and(|w| w.len() != n)
        || rows.block.is_some_and(|b| b.len() != n)
    {
        return not_applicable("columns differ in length");
    }
    if !NAMES.contains(&metric) || find(metric).is_none() {
        return not_applicable(format!(
            "metric {metric:?} has no paired difference; accepted are {}",
            NAMES.join(", ")
        ));
    }
    if n < 2 {
        return not_applicable(format!("{n} rows; a variance needs 2"));
    }
    let ones;
    let weight = match rows.weight {
        Some(w) => w,
        None => {
            ones = vec![1.0; n];
            &ones
        }
    };
    if let Some(i) = (0..n).find(|i| !(rows.label[*i] + rows.a[*i] + rows.b[*i]).is_finite()) {
        return not_applicable(format!("row {i} holds a value that is no finite number"));
    }
    if let Some(i) = weight.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        return not_applicable(format!(
            "weight {} in row {i}; weights are finite and not negative",
            weight[i]
        ));
    }
    let total = sum(weight.iter().copied());
    if total <= 0.0 {
        return not_applicable("no row has weight");
    }
    let of = |score| influences(metric, rows.label, score, weight, total, threshold);
    let (a, of_a) = of(rows.a)?;
    let (b, of_b) = of(rows.b)?;
    let difference = b - a;
    // What each row adds to the error of the difference.
    let parts = (0..n).map(|i| weight[i] / total * (of_b[i] - of_a[i]));
    let (variance, units, blocks) = match rows.block {
        None => {
            let held = weight.iter().filter(|w| **w > 0.0).count();
            (squares(parts), held, None)
        }
        Some(block) => {
            let most = block.iter().max().map_or(0, |b| *b as usize + 1);
            let mut sums: Vec<Option<Sum>> = vec![None; most];
            for ((part, block), w) in parts.zip(block).zip(weight) {
                if *w > 0.0 {
                    sums[*block as usize]
                        .get_or_insert_default()
                        .add_f64(part, 1);
                }
            }
            let held: Vec<f64> = sums.iter().flatten().map(Sum::to_f64).collect();
            (squares(held.iter().copied()), held.len(), Some(held.len()))
        }
    };
    if units < 2 {
        let of = if blocks.is_some() { "blocks" } else { "rows" };
        return not_applicable(format!("{units} {of} hold weight; a variance needs 2"));
    }
    let standard_error = libm::sqrt(variance * units as f64 / (units - 1) as f64);
    let shares = if rows.weight.is_none() && rows.block.is_none() {
        discordant(metric, rows, threshold)
    } else {
        None
    };
    // Agresti and Min (2005): half a pair more in each cell keeps the level with few discordant pairs.
    let (centre, error, method) = match shares {
        Some((pairs, gains, losses)) => {
            let (n, c, b) = (pairs + 2.0, gains + 1.0, losses + 1.0);
            let d = (c - b) / n;
            let variance = ((c + b) / n - d * d) / n;
            (
                d,
                libm::sqrt(variance),
                "Agresti and Min's limits of paired shares",
            )
        }
        None => (
            difference,
            standard_error,
            "delta method, Student's t over the units",
        ),
    };
    let reach = student_two_sided_isf(alpha, (units - 1) as f64) * error;
    Ok(Paired {
        a,
        b,
        difference,
        standard_error,
        interval: (
            (centre - reach).min(difference),
            (centre + reach).max(difference),
        ),
        blocks,
        method,
    })
}

/// Rows that count for a share of right answers, and how many the second model wins and loses.
fn discordant(metric: &str, rows: &Rows<'_>, threshold: f64) -> Option<(f64, f64, f64)> {
    let counts = |label: f64| match metric {
        "accuracy" => true,
        "recall" => label > 0.5,
        "specificity" => label <= 0.5,
        _ => false,
    };
    let (mut pairs, mut gains, mut losses) = (0.0, 0.0, 0.0);
    for (i, label) in rows.label.iter().enumerate() {
        if counts(*label) {
            let right = |score: f64| (score >= threshold) == (*label > 0.5);
            pairs += 1.0;
            gains += f64::from(u8::from(right(rows.b[i]) && !right(rows.a[i])));
            losses += f64::from(u8::from(right(rows.a[i]) && !right(rows.b[i])));
        }
    }
    (pairs > 0.0).then_some((pairs, gains, losses))
}

/// The metric, and by how much each row moves it per unit of its share of the weight.
fn influences(
    metric: &str,
    label: &[f64],
    score: &[f64],
    weight: &[f64],
    total: f64,
    threshold: f64,
) -> Result<(f64, Vec<f64>), NotApplicable> {
    let mean = |of: &dyn Fn(usize) -> f64| {
        let mut all = Sum::new();
        for (i, w) in weight.iter().enumerate() {
            // A product of two floats is rounded once, in whatever order rows come.
            let part = w * of(i);
            if !part.is_finite() {
                return not_applicable(format!("{metric} of row {i} is no finite number"));
            }
            all.add_f64(part, 1);
        }
        Ok(all.to_f64() / total)
    };
    let rows = 0..label.len();
    let of_mean = |of: &dyn Fn(usize) -> f64| {
        let value = mean(of)?;
        Ok((value, rows.clone().map(|i| of(i) - value).collect()))
    };
    let error = |i: usize| score[i] - label[i];
    let (value, of) = match metric {
        "mae" => of_mean(&|i| error(i).abs())?,
        "mse" | "brier" => of_mean(&|i| error(i) * error(i))?,
        "rmse" => {
            let mse = mean(&|i| error(i) * error(i))?;
            let root = libm::sqrt(mse);
            let slope = if root > 0.0 { 0.5 / root } else { 0.0 };
            let of = rows.map(|i| slope * (error(i) * error(i) - mse)).collect();
            (root, of)
        }
        "r2" => {
            let mse = mean(&|i| error(i) * error(i))?;
            let centre = mean(&|i| label[i])?;
            let spread = mean(&|i| (label[i] - centre) * (label[i] - centre))?;
            if spread <= 0.0 {
                return not_applicable("r2 of labels that are all equal");
            }
            let of = |i: usize| {
                let away = (label[i] - centre) * (label[i] - centre);
                (mse * (away - spread) / spread - (error(i) * error(i) - mse)) / spread
            };
            (1.0 - mse / spread, rows.map(of).collect())
        }
        "log_loss" => of_mean(&|i| {
            let p = if label[i] > 0.5 {
                score[i]
            } else {
                1.0 - score[i]
            };
            -libm::log(p.clamp(FLOOR, 1.0 - FLOOR))
        })?,
        "roc_auc" => area(label, score, weight)?,
        "average_precision" => average_precision(label, score, weight)?,
        _ => table(metric, label, score, weight, total, threshold)?,
    };
    match of.iter().position(|x: &f64| !x.is_finite()) {
        Some(i) => not_applicable(format!("{metric} of row {i} is no finite number")),
        None => Ok((value, of)),
    }
}

/// Area under the curve; the influence of a row is its placement among the other class, centred.
fn area(label: &[f64], score: &[f64], weight: &[f64]) -> Result<(f64, Vec<f64>), NotApplicable> {
    let class = |one: bool| {
        sum(label
            .iter()
            .zip(weight)
            .filter(|(l, _)| (**l > 0.5) == one)
            .map(|(_, w)| *w))
    };
    let (positive, negative) = (class(true), class(false));
    if positive <= 0.0 || negative <= 0.0 {
        return not_applicable("roc_auc needs rows of both classes");
    }
    let key = |i: &usize| score[*i] + 0.0;
    let mut order: Vec<usize> = (0..label.len()).collect();
    order.sort_unstable_by(|i, j| key(i).total_cmp(&key(j)));
    let (mut below, mut under) = (Sum::new(), Sum::new());
    let mut placement = vec![0.0; label.len()];
    let mut all = Sum::new();
    for tie in order.chunk_by(|i, j| key(i) == key(j)) {
        let (mut p, mut n) = (Sum::new(), Sum::new());
        for i in tie {
            if label[*i] > 0.5 { &mut p } else { &mut n }.add_f64(weight[*i], 1);
        }
        let (p, n) = (p.to_f64(), n.to_f64());
        let (lower, less) = (below.to_f64(), under.to_f64());
        all.add_f64(p * (lower + 0.5 * n), 1);
        for i in tie {
            placement[*i] = if label[*i] > 0.5 {
                (lower + 0.5 * n) / negative
            } else {
                1.0 - (less + 0.5 * p) / positive
            };
        }
        below.add_f64(n, 1);
        under.add_f64(p, 1);
    }
    let value = all.to_f64() / positive / negative;
    let total = positive + negative;
    let of = |i: usize| {
        let side = if label[i] > 0.5 { positive } else { negative };
        total / side * (placement[i] - value)
    };
    Ok((value, (0..label.len()).map(of).collect()))
}

/// Mean over the positives of the precision among the rows that score no less.
///
/// A row counts as a positive of its own, and moves the precision at every score that is no higher than its own.
fn average_precision(
    label: &[f64],
    score: &[f64],
    weight: &[f64],
) -> Result<(f64, Vec<f64>), NotApplicable> {
    let key = |i: &usize| score[*i] + 0.0;
    let mut order: Vec<usize> = (0..label.len()).collect();
    order.sort_unstable_by(|i, j| key(j).total_cmp(&key(i)));
    let (mut hits, mut rows, mut all) = (Sum::new(), Sum::new(), Sum::new());
    // From the highest score down: positives at it, positives and rows that score no less.
    let mut steps = Vec::new();
    for tie in order.chunk_by(|i, j| key(i) == key(j)) {
        let mut own = Sum::new();
        for i in tie {
            rows.add_f64(weight[*i], 1);
            if label[*i] > 0.5 {
                own.add_f64(weight[*i], 1);
                hits.add_f64(weight[*i], 1);
            }
        }
        let (own, held) = (own.to_f64(), rows.to_f64());
        let precision = if held > 0.0 {
            hits.to_f64() / held
        } else {
            0.0
        };
        all.add_f64(own * precision, 1);
        steps.push((tie, own, held, precision));
    }
    let (positive, total) = (hits.to_f64(), rows.to_f64());
    if positive <= 0.0 {
        return not_applicable("average_precision needs rows of the positive class");
    }
    let value = all.to_f64() / positive;
    let mut of = vec![0.0; label.len()];
    let (mut gained, mut lost) = (Sum::new(), Sum::new());
    for (tie, own, held, precision) in steps.into_iter().rev() {
        if held > 0.0 {
            gained.add_f64(own / held, 1);
            lost.add_f64(own * precision / held, 1);
        }
        let (up, down) = (gained.to_f64(), lost.to_f64());
        for i in tie {
            let moved = if label[*i] > 0.5 {
                precision - value + up - down
            } else {
                -down
            };
            of[*i] = total / positive * moved;
        }
    }
    Ok((value, of))
}

/// A function of the table of label and prediction: the influence is the gradient at the row's cell.
fn table(
    metric: &str,
    label: &[f64],
    score: &[f64],
    weight: &[f64],
    total: f64,
    threshold: f64,
) -> Result<(f64, Vec<f64>), NotApplicable> {
    // Cells: true positive, false positive, false negative, true negative.
    let cell = |i: usize| match (label[i] > 0.5, score[i] >= threshold) {
        (true, true) => 0,
        (false, true) => 1,
        (true, false) => 2,
        (false, false) => 3,
    };
    let mut cells: [Sum; 4] = Default::default();
    for (i, w) in weight.iter().enumerate() {
        cells[cell(i)].add_f64(*w, 1);
    }
    let shares = cells.map(|c| c.to_f64() / total);
    let [tp, fp, fneg, tn] = shares;
    let needs = |whole: f64, what: &str| {
        if whole > 0.0 {
            Ok(whole)
        } else {
            not_applicable(format!("{metric} needs rows {what}"))
        }
    };
    let hit = |of: f64, rest: f64, what| -> Result<(f64, f64, f64), NotApplicable> {
        let whole = needs(of + rest, what)?;
        // Value, and its slopes along the two cells.
        Ok((of / whole, rest / whole / whole, -of / whole / whole))
    };
    let (value, slopes) = match metric {
        "accuracy" => (tp + tn, [1.0, 0.0, 0.0, 1.0]),
        "precision" => {
            let (v, of, rest) = hit(tp, fp, "predicted as the class")?;
            (v, [of, rest, 0.0, 0.0])
        }
        "recall" => {
            let (v, of, rest) = hit(tp, fneg, "of the class")?;
            (v, [of, 0.0, rest, 0.0])
        }
        "specificity" => {
            let (v, of, rest) = hit(tn, fp, "of the other class")?;
            (v, [0.0, rest, 0.0, of])
        }
        "balanced_accuracy" => {
            let (r, hits, misses) = hit(tp, fneg, "of the class")?;
            let (s, passes, alarms) = hit(tn, fp, "of the other class")?;
            let slopes = [hits, alarms, misses, passes].map(|x| 0.5 * x);
            (0.5 * (r + s), slopes)
        }
        "f1" => {
            let whole = needs(2.0 * tp + fp + fneg, "of the class, or predicted as it")?;
            let rest = -2.0 * tp / whole / whole;
            let of = 2.0 * (fp + fneg) / whole / whole;
            (2.0 * tp / whole, [of, rest, rest, 0.0])
        }
        _ => {
            let margins = [tp + fp, tp + fneg, tn + fp, tn + fneg];
            for m in margins {
                needs(m, "of both classes and of both predictions")?;
            }
            let [p1, l1, l0, p0] = margins;
            let root = libm::sqrt(p1 * l1 * l0 * p0);
            let value = (tp * tn - fp * fneg) / root;
            let pull = |x: f64, y: f64| 0.5 * value * (1.0 / x + 1.0 / y);
            let slopes = [
                tn / root - pull(p1, l1),
                -fneg / root - pull(p1, l0),
                -fp / root - pull(l1, p0),
                tp / root - pull(l0, p0),
            ];
            (value, slopes)
        }
    };
    let middle: f64 = slopes.iter().zip(shares).map(|(g, p)| g * p).sum();
    let of = (0..label.len()).map(|i| slopes[cell(i)] - middle).collect();
    Ok((value, of))
}

fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut all = Sum::new();
    for x in values {
        all.add_f64(x, 1);
    }
    all.to_f64()
}

/// Sum of squares, rounded once.
fn squares(values: impl Iterator<Item = f64>) -> f64 {
    let mut all = SumOfSquares::new();
    for x in values {
        let (_, magnitude, exponent) = decompose(x);
        all.add_scaled(
            false,
            u128::from(magnitude) * u128::from(magnitude),
            2 * exponent,
        );
    }
    all.to_f64()
}
