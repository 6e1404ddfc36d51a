//! Features that move together as one: a group becomes a single feature whose values are codes.
//!
//! To the model a row is the cells of its features ([`super::cells`]). Rows that agree in all cells of a
//! group are one code; every split on a member of the group is then a set of codes, and the engine for
//! single features counts the pairs of the group. The columns that a one-hot encoder made of one column
//! are such a group, of one code a category; so are any columns that are exchanged together.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::cells::{Cells, contains};
use super::exact::Rows;
use super::trees::{Ensemble, Missing, Node, Rule};
use crate::{Error, Result};

/// Most codes of a group.
const MAX_CODES: usize = 1 << 16;
/// Most runs of codes, over all splits: each is repeated in the leaves below its split.
const MAX_RUNS: usize = 1 << 20;

/// Groups of features of a model, and the codes that their rows take.
#[derive(Debug, Clone)]
pub struct Joint {
    model: Ensemble,
    cells: Vec<Cells>,
    names: Vec<String>,
    groups: Vec<Vec<usize>>,
    /// Cells of the members, by group; empty for groups of one.
    seen: Vec<BTreeSet<Vec<u32>>>,
    /// The same as numbers, where groups have one for each combination.
    known: Vec<HashSet<u64>>,
}

/// A model of groups, and the codes of each that has more than one member, ascending.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The model on one feature a group.
    pub model: Ensemble,
    cells: Vec<Cells>,
    groups: Vec<Vec<usize>>,
    codes: Vec<Vec<Vec<u32>>>,
}

impl Joint {
    /// Groups of features by index, each feature in exactly one group.
    ///
    /// # Errors
    /// When a feature is in no group or in two, or a name is missing.
    pub fn new(model: Ensemble, names: Vec<String>, groups: Vec<Vec<usize>>) -> Result<Self> {
        if names.len() != groups.len() {
            return Err(Error::invalid(format!(
                "{} names of {} groups",
                names.len(),
                groups.len()
            )));
        }
        let mut taken = vec![false; model.features.len()];
        for j in groups.iter().flatten() {
            let Some(slot) = taken.get_mut(*j) else {
                return Err(Error::invalid(format!(
                    "feature {j} of {}",
                    model.features.len()
                )));
            };
            if std::mem::replace(slot, true) {
                return Err(Error::invalid(format!(
                    "feature {:?} is in two groups",
                    model.features[*j]
                )));
            }
        }
        if let Some(j) = taken.iter().position(|t| !t) {
            return Err(Error::invalid(format!(
                "feature {:?} is in no group",
                model.features[j]
            )));
        }
        let cells = Cells::of(&model)?;
        Ok(Self {
            seen: vec![BTreeSet::new(); groups.len()],
            known: vec![HashSet::new(); groups.len()],
            model,
            cells,
            names,
            groups,
        })
    }

    /// Collects the codes of rows.
    ///
    /// # Errors
    /// When a group takes more than 65,536 codes.
    pub fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
        for (g, group) in self.groups.iter().enumerate() {
            if group.len() < 2 {
                continue;
            }
            let mut code = vec![0; group.len()];
            let numbers = numbers(&self.cells, group, rows);
            for r in 0..rows.len() {
                if numbers
                    .as_ref()
                    .is_some_and(|n| !self.known[g].insert(n[r]))
                {
                    continue;
                }
                encode(&self.cells, group, rows, r, &mut code);
                if !self.seen[g].contains(&code) {
                    self.seen[g].insert(code.clone());
                }
                if self.seen[g].len() > MAX_CODES {
                    return Err(too_many(
                        &self.names[g],
                        format_args!("more than {MAX_CODES} combinations of values"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Adds the codes of another part.
    ///
    /// # Errors
    /// When the groups differ, or a group takes too many codes.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if self.groups != other.groups || self.names != other.names || self.model != other.model {
            return Err(Error::incompatible(
                "codes of other groups or another model",
            ));
        }
        for ((a, b), name) in self.seen.iter_mut().zip(other.seen).zip(&self.names) {
            a.extend(b);
            if a.len() > MAX_CODES {
                return Err(too_many(
                    name,
                    format_args!("more than {MAX_CODES} combinations of values"),
                ));
            }
        }
        Ok(())
    }

    /// The model of the groups: a function of the distinct rows, not of their order.
    ///
    /// # Errors
    /// When the sets of codes take more room than a model may have.
    pub fn finish(self) -> Result<Joined> {
        let codes: Vec<Vec<Vec<u32>>> = self
            .seen
            .into_iter()
            .map(|s| s.into_iter().collect())
            .collect();
        let mut place = vec![(0usize, 0usize); self.model.features.len()];
        for (g, group) in self.groups.iter().enumerate() {
            for (k, j) in group.iter().enumerate() {
                place[*j] = (g, k);
            }
        }
        let mut total = 0;
        let mut model = self.model;
        for node in model.trees.iter_mut().flat_map(|t| &mut t.nodes) {
            let Node::Split { feature, .. } = node else {
                continue;
            };
            let j = *feature as usize;
            let (g, k) = place[j];
            let left = (self.groups[g].len() > 1).then(|| self.cells[j].left(node));
            let Node::Split {
                feature,
                rule,
                missing,
                ..
            } = node
            else {
                continue;
            };
            *feature = g as u32;
            let Some(left) = left else { continue };
            let side: Vec<bool> = codes[g].iter().map(|c| contains(&left, c[k])).collect();
            total += 1 + side.windows(2).filter(|w| w[0] != w[1]).count();
            if total > MAX_RUNS {
                return Err(too_many(
                    &self.names[g],
                    format_args!("splits that cut its {} combinations", codes[g].len()),
                ));
            }
            // The shorter of the two lists.
            let goes_left = side.iter().filter(|s| **s).count() * 2 <= side.len();
            let listed = (0u32..)
                .zip(&side)
                .filter(|(_, s)| **s == goes_left)
                .map(|(c, _)| c)
                .collect();
            *rule = Rule::Among {
                listed,
                left: goes_left,
                truncates: false,
            };
            *missing = Missing::Nan(false);
        }
        model.features = self.names;
        Ok(Joined {
            model: model.validate()?,
            cells: self.cells,
            groups: self.groups,
            codes,
        })
    }
}

impl Joined {
    /// The codes of rows of the original features, by group; none for groups of one, whose column stays.
    ///
    /// # Errors
    /// When a row has a combination that was not seen.
    pub fn encode(&self, rows: &Rows<'_>) -> Result<Vec<Option<Vec<f64>>>> {
        let of = |(group, codes): (&Vec<usize>, &Vec<Vec<u32>>)| {
            if group.len() < 2 {
                return Ok(None);
            }
            let unseen = |r: usize| {
                Error::incompatible(format!(
                    "row {r} has a combination of values that was not seen before"
                ))
            };
            if let (Some(wanted), Some(known)) = (
                numbers(&self.cells, group, rows),
                codes
                    .iter()
                    .zip(0u32..)
                    .map(|(code, c)| Some((number(&self.cells, group, code)?, f64::from(c))))
                    .collect::<Option<HashMap<u64, f64>>>(),
            ) {
                let found = wanted.iter().enumerate();
                return found
                    .map(|(r, n)| known.get(n).copied().ok_or_else(|| unseen(r)))
                    .collect::<Result<_>>()
                    .map(Some);
            }
            let mut code = vec![0; group.len()];
            let find = |r| {
                encode(&self.cells, group, rows, r, &mut code);
                codes
                    .binary_search(&code)
                    .map(|c| c as f64)
                    .map_err(|_| unseen(r))
            };
            (0..rows.len()).map(find).collect::<Result<_>>().map(Some)
        };
        self.groups.iter().zip(&self.codes).map(of).collect()
    }
}

fn encode(cells: &[Cells], group: &[usize], rows: &Rows<'_>, r: usize, code: &mut [u32]) {
    for (c, j) in code.iter_mut().zip(group) {
        *c = cells[*j].cell(rows.column(*j)[r]);
    }
}

/// A number for each combination of cells; none where 64 bits do not hold them.
fn number(cells: &[Cells], group: &[usize], code: &[u32]) -> Option<u64> {
    let mut members = group.iter().zip(code);
    members.try_fold(0u64, |all, (j, c)| {
        all.checked_mul(cells[*j].count() as u64)?
            .checked_add(u64::from(*c))
    })
}

/// The numbers of rows, a column at a time.
fn numbers(cells: &[Cells], group: &[usize], rows: &Rows<'_>) -> Option<Vec<u64>> {
    let mut counts = group.iter().map(|j| cells[*j].count() as u64);
    counts.try_fold(1u64, |all, n| all.checked_mul(n))?;
    let mut out = vec![0u64; rows.len()];
    for j in group {
        let count = cells[*j].count() as u64;
        for (n, x) in out.iter_mut().zip(rows.column(*j)) {
            *n = *n * count + u64::from(cells[*j].cell(*x));
        }
    }
    Some(out)
}

fn too_many(name: &str, what: std::fmt::Arguments<'_>) -> Error {
    Error::invalid(format!(
        "group {name:?} has {what}, too many for the exact form; use method=\"permutation\""
    ))
}

#[cfg(test)]
mod tests {
    use super::super::losses::Link;
    use super::super::trees::Tree;
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![-3.0..3.0f64, (-2i32..3).prop_map(f64::from), Just(f64::NAN)]
    }

    /// Two splits over three features.
    fn tree() -> impl Strategy<Value = Tree> {
        let rule = || {
            prop_oneof![
                value()
                    .prop_filter("finite", |v| v.is_finite())
                    .prop_map(Rule::AtMost),
                (prop::collection::btree_set(0u32..3, 1..3), any::<bool>()).prop_map(
                    |(s, left)| {
                        Rule::Among {
                            listed: s.into_iter().collect(),
                            left,
                            truncates: true,
                        }
                    }
                ),
            ]
        };
        let missing = || {
            prop_oneof![
                any::<bool>().prop_map(Missing::Nan),
                Just(Missing::NanIsZero),
                any::<bool>().prop_map(Missing::NanAndZero)
            ]
        };
        let split = move |left, right| {
            (0u32..3, rule(), missing()).prop_map(move |(feature, rule, missing)| Node::Split {
                feature,
                rule,
                missing,
                left,
                right,
            })
        };
        (split(1, 2), split(3, 4)).prop_map(|(a, b)| {
            let leaves = [1.0, -0.5, 2.0].map(Node::Leaf);
            Tree::new(0, 0, [vec![a, b], leaves.to_vec()].concat()).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// The model of groups predicts what the model does, for every pair of row and donor.
        #[test]
        fn groups_predict_as_their_members(
            trees in prop::collection::vec(tree(), 1..4),
            rows in prop::collection::vec((value(), value(), value()), 2..12),
            single_precision in any::<bool>(),
        ) {
            let model = Ensemble {
                features: vec!["a".into(), "b".into(), "c".into()],
                base: vec![0.1],
                trees,
                link: Link::Identity,
                single_precision,
            };
            let columns = [
                rows.iter().map(|r| r.0).collect::<Vec<_>>(),
                rows.iter().map(|r| r.1).collect(),
                rows.iter().map(|r| r.2).collect(),
            ];
            let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let labels = vec![0.0; rows.len()];
            let given = Rows::new(&model, &slices, &labels).unwrap();
            let groups = vec![vec![2, 0], vec![1]];
            let joint = Joint::new(model.clone(), vec!["ca".into(), "b".into()], groups).unwrap();
            let mut halves = [joint.clone(), joint];
            let half = rows.len() / 2;
            for (joint, range) in halves.iter_mut().zip([0..half, half..rows.len()]) {
                let part: Vec<&[f64]> = slices.iter().map(|c| &c[range.clone()]).collect();
                joint.update(&Rows::new(&model, &part, &labels[range]).unwrap()).unwrap();
            }
            let [mut joint, second] = halves;
            joint.merge(second).unwrap();
            let joined = joint.finish().unwrap();
            let codes = joined.encode(&given).unwrap();
            prop_assert!(codes[1].is_none());
            let code = codes[0].as_ref().unwrap();
            for i in 0..rows.len() {
                for k in 0..rows.len() {
                    let was = model.margins(&[columns[0][k], columns[1][i], columns[2][k]]);
                    let now = joined.model.margins(&[code[k], columns[1][i]]);
                    prop_assert_eq!(was, now);
                }
            }
        }
    }

    /// More combinations than 64 bits have numbers for, and as many as they have.
    #[test]
    fn wide_groups_have_the_same_codes() {
        for width in [40, 66] {
            let splits = (0..width).map(|j| {
                let split = Node::at_most(j, 0.5, Missing::Nan(true), 1, 2);
                Tree::new(0, 0, vec![split, Node::Leaf(f64::from(j)), Node::Leaf(0.5)]).unwrap()
            });
            let model = Ensemble {
                features: (0..width).map(|j| j.to_string()).collect(),
                base: vec![0.0],
                trees: splits.collect(),
                link: Link::Identity,
                single_precision: false,
            };
            let columns: Vec<Vec<f64>> = (0..width as usize)
                .map(|j| (0..9).map(|i| f64::from(i % 3 == j % 3)).collect())
                .collect();
            let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let rows = Rows::new(&model, &slices, &[0.0; 9]).unwrap();
            let all = vec![(0..width as usize).collect()];
            let mut joint = Joint::new(model.clone(), vec!["all".into()], all).unwrap();
            joint.update(&rows).unwrap();
            let joined = joint.finish().unwrap();
            let codes = joined.encode(&rows).unwrap().remove(0).unwrap();
            // Rows agree in all columns where they agree modulo 3; cells of the first decide the order.
            assert_eq!(codes, [2.0, 1.0, 0.0, 2.0, 1.0, 0.0, 2.0, 1.0, 0.0]);
            for (i, code) in codes.iter().enumerate() {
                let row: Vec<f64> = columns.iter().map(|c| c[i]).collect();
                assert_eq!(joined.model.margins(&[*code]), model.margins(&row));
            }
            let other: Vec<&[f64]> = vec![&[1.0]; width as usize];
            let other = Rows::new(&model, &other, &[0.0]).unwrap();
            assert!(joined.encode(&other).is_err());
        }
    }

    #[test]
    fn groups_are_checked() {
        let model = Ensemble {
            features: vec!["a".into(), "b".into()],
            base: vec![0.0],
            trees: vec![],
            link: Link::Identity,
            single_precision: false,
        };
        let told = |groups: &[&[usize]]| {
            let names = groups.iter().map(|g| format!("{g:?}")).collect();
            let groups = groups.iter().map(|g| g.to_vec()).collect();
            Joint::new(model.clone(), names, groups).map_err(|e| e.to_string())
        };
        assert!(told(&[&[0], &[1]]).is_ok());
        assert!(told(&[&[0]]).unwrap_err().contains("\"b\" is in no group"));
        assert!(
            told(&[&[0, 1], &[1]])
                .unwrap_err()
                .contains("\"b\" is in two")
        );
        assert!(told(&[&[0, 1, 2]]).unwrap_err().contains("feature 2 of 2"));
    }
}
