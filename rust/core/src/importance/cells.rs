//! Cells of a feature: the finest pieces of its range that some split of the model tells apart.
//!
//! Cell `b` holds the values with exactly `b` cuts below them, that is `cuts[b-1] < x <= cuts[b]`;
//! NaN has the last cell. A split is then a set of cells, and two rows in the same cell are the same
//! to the model. Categories are whole numbers between two cuts.

use super::trees::{Ensemble, Missing, Node, Rule, ZERO};
use crate::{Error, Result};

/// Half-open ranges of cells, ascending, not empty, not touching.
pub type Runs = Vec<(u32, u32)>;

/// Cells of one feature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cells {
    cuts: Vec<f64>,
    used: bool,
    /// Every split takes NaN for zero, so it needs no cell of its own.
    nan_is_zero: bool,
    single_precision: bool,
}

impl Cells {
    /// Cells of every feature of a model.
    pub fn of(model: &Ensemble) -> Result<Vec<Self>> {
        let mut cuts: Vec<Vec<f64>> = vec![Vec::new(); model.features.len()];
        // A split may have no cut and still set NaN apart.
        let mut used = vec![false; model.features.len()];
        let mut nan_is_zero = vec![true; model.features.len()];
        for node in model.trees.iter().flat_map(|t| &t.nodes) {
            let Node::Split {
                feature,
                rule,
                missing,
                ..
            } = node
            else {
                continue;
            };
            used[*feature as usize] = true;
            nan_is_zero[*feature as usize] &= *missing == Missing::NanIsZero;
            let cuts = &mut cuts[*feature as usize];
            match rule {
                Rule::AtMost(cut) => cuts.push(*cut),
                Rule::OneOf(values) => {
                    cuts.extend(values.iter().flat_map(|v| [v.next_down(), *v]));
                }
                Rule::Among {
                    listed, truncates, ..
                } => {
                    for c in listed {
                        cuts.extend(ends(*c, *truncates));
                    }
                }
            }
            if let Missing::NanAndZero(_) = missing {
                cuts.extend([(-ZERO).next_down(), ZERO]);
            }
        }
        for (feature, cuts) in cuts.iter_mut().enumerate() {
            cuts.sort_by(f64::total_cmp);
            // -0 equals +0, and the order above puts it first.
            cuts.dedup();
            if cuts.len() >= u32::MAX as usize - 2 {
                return Err(Error::invalid(format!(
                    "feature {:?} has {} thresholds",
                    model.features[feature],
                    cuts.len()
                )));
            }
        }
        Ok(cuts
            .into_iter()
            .zip(used.into_iter().zip(nan_is_zero))
            .map(|(cuts, (used, nan_is_zero))| Self {
                cuts,
                used,
                nan_is_zero,
                single_precision: model.single_precision,
            })
            .collect())
    }

    /// Number of cells, NaN's included where it has one.
    pub fn count(&self) -> usize {
        self.cuts.len() + 2 - usize::from(self.nan_is_zero)
    }

    /// Whether some split uses the feature.
    pub fn is_used(&self) -> bool {
        self.used
    }

    /// The cuts, ascending.
    pub fn cuts(&self) -> &[f64] {
        &self.cuts
    }

    /// The cell of a value.
    #[inline]
    pub fn cell(&self, x: f64) -> u32 {
        let x = if x.is_nan() {
            if !self.nan_is_zero {
                return self.cuts.len() as u32 + 1;
            }
            0.0
        } else {
            x
        };
        let x = if self.single_precision {
            f64::from(x as f32)
        } else {
            x
        };
        self.cuts.partition_point(|c| *c < x) as u32
    }

    /// Cells up to and with the one that ends at `cut`, which is one of the cuts.
    fn up_to(&self, cut: f64) -> u32 {
        self.cuts.partition_point(|c| *c < cut) as u32 + 1
    }

    /// Cells that a split sends left.
    pub fn left(&self, node: &Node) -> Runs {
        let Node::Split { rule, missing, .. } = node else {
            return Runs::new();
        };
        let nan = self.cuts.len() as u32 + 1;
        let mut runs = match rule {
            Rule::AtMost(cut) => vec![(0, self.up_to(*cut))],
            Rule::OneOf(values) => {
                let mut runs = Runs::new();
                for v in values {
                    push(&mut runs, (self.up_to(v.next_down()), self.up_to(*v)));
                }
                runs
            }
            Rule::Among {
                listed,
                left,
                truncates,
            } => {
                let mut runs = Runs::new();
                for c in listed {
                    let [below, last] = ends(*c, *truncates);
                    push(&mut runs, (self.up_to(below), self.up_to(last)));
                }
                if *left { runs } else { complement(&runs, nan) }
            }
        };
        let side = match missing {
            Missing::Nan(left) => *left,
            Missing::NanIsZero => contains(&runs, self.cell(0.0)),
            Missing::NanAndZero(left) => {
                let zero = vec![(self.up_to((-ZERO).next_down()), self.up_to(ZERO))];
                runs = if *left {
                    union(&runs, &zero)
                } else {
                    intersect(&runs, &complement(&zero, nan))
                };
                *left
            }
        };
        if side && !self.nan_is_zero {
            push(&mut runs, (nan, nan + 1));
        }
        runs
    }

    /// Every cell but those in `runs`.
    pub fn others(&self, runs: &Runs) -> Runs {
        complement(runs, self.count() as u32)
    }
}

/// The cut below category `c` and the cut at its end.
fn ends(c: u32, truncates: bool) -> [f64; 2] {
    let first = if c == 0 && truncates {
        -1.0
    } else {
        f64::from(c).next_down()
    };
    [first, (f64::from(c) + 1.0).next_down()]
}

fn push(runs: &mut Runs, (low, high): (u32, u32)) {
    if low >= high {
        return;
    }
    match runs.last_mut() {
        Some(last) if last.1 >= low => last.1 = last.1.max(high),
        _ => runs.push((low, high)),
    }
}

fn complement(runs: &Runs, end: u32) -> Runs {
    let mut out = Runs::new();
    let mut from = 0;
    for (low, high) in runs {
        push(&mut out, (from, *low));
        from = *high;
    }
    push(&mut out, (from, end));
    out
}

fn union(a: &Runs, b: &Runs) -> Runs {
    let mut all: Runs = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    let mut out = Runs::new();
    all.into_iter().for_each(|r| push(&mut out, r));
    out
}

/// Cells in both.
pub fn intersect(a: &Runs, b: &Runs) -> Runs {
    let (mut i, mut j, mut out) = (0, 0, Runs::new());
    while i < a.len() && j < b.len() {
        push(&mut out, (a[i].0.max(b[j].0), a[i].1.min(b[j].1)));
        if a[i].1 <= b[j].1 {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

/// Whether a cell is in one of the runs.
pub fn contains(runs: &Runs, cell: u32) -> bool {
    let i = runs.partition_point(|r| r.1 <= cell);
    runs.get(i).is_some_and(|r| r.0 <= cell)
}

#[cfg(test)]
mod tests {
    use super::super::losses::Link;
    use super::super::trees::{Tree, goes_left};
    use super::*;
    use proptest::prelude::*;

    fn split() -> impl Strategy<Value = Node> {
        let rule = prop_oneof![
            prop_oneof![
                -4.0..4.0f64,
                Just(0.0),
                Just(-0.0),
                Just(ZERO),
                Just(-ZERO),
                Just(2.0)
            ]
            .prop_flat_map(|x| prop_oneof![
                Just(Rule::AtMost(x)),
                Just(Rule::OneOf(vec![x])),
                Just(Rule::OneOf(vec![x, x + 1.5, 7.0]))
            ]),
            (
                prop::collection::btree_set(0u32..6, 0..4),
                any::<bool>(),
                any::<bool>()
            )
                .prop_map(|(s, left, truncates)| Rule::Among {
                    listed: s.into_iter().collect(),
                    left,
                    truncates
                }),
        ];
        let missing = prop_oneof![
            any::<bool>().prop_map(Missing::Nan),
            Just(Missing::NanIsZero),
            any::<bool>().prop_map(Missing::NanAndZero),
        ];
        (rule, missing).prop_map(|(rule, missing)| Node::Split {
            feature: 0,
            rule,
            missing,
            left: 1,
            right: 2,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        /// Cells decide as the splits themselves do, for values on and beside every cut.
        #[test]
        fn cells_decide_as_splits_do(splits in prop::collection::vec(split(), 1..5)) {
            let trees = splits.iter().map(|s| {
                Tree::new(0, 0, vec![s.clone(), Node::Leaf(0.0), Node::Leaf(1.0)]).unwrap()
            }).collect();
            let model = Ensemble {
                features: vec!["x".into()], base: vec![0.0], trees, link: Link::Identity, single_precision: false,
            };
            let cells = Cells::of(&model).unwrap().remove(0);
            let mut values = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 0.5, -0.5, -1.0, 1e300];
            for c in cells.cuts() {
                values.extend([*c, c.next_up(), c.next_down()]);
            }
            for node in &splits {
                let left = cells.left(node);
                for x in &values {
                    prop_assert_eq!(contains(&left, cells.cell(*x)), goes_left(node, *x), "{} {:?}", x, node);
                    prop_assert_ne!(contains(&cells.others(&left), cells.cell(*x)), goes_left(node, *x));
                }
            }
        }
    }
}
