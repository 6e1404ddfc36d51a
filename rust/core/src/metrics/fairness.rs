//! Rates of groups of a protected column, beside a group of reference.

use super::confusion::{Confusion, Table};
use super::weight::{Amount, Mass, Weighting};
use super::{Answer, Context, Interval, MISSING, Share, not_applicable};
use crate::codec::{Reader, Writer};
use crate::statistics::NotApplicable;
use crate::{Error, Result};

/// Predicted class and label by group, mergeable: a function of the multiset of rows alone.
///
/// Selection rates take every row with a prediction, true positive rates those with a label too.
#[derive(Debug, Clone, PartialEq)]
pub struct Fairness {
    weighting: Weighting,
    groups: Vec<Group>,
    /// Rows without a group.
    ungrouped: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    rows: u64,
    unlabelled: u64,
    unpredicted: u64,
    /// Weight of rows predicted negative and positive, labelled or not.
    predicted: [Mass; 2],
    confusion: Confusion,
}

/// The numbers of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupAnswer {
    /// Code of the group.
    pub group: u32,
    /// Rows of it; among them without a label, and without a prediction.
    pub rows: (u64, u64, u64),
    /// Share predicted positive.
    pub selection_rate: Answer,
    /// Selection rate over that of the reference group.
    pub adverse_impact_ratio: Answer,
    /// Share of the positive labels that is predicted positive.
    pub true_positive_rate: Answer,
    /// True positive rate less that of the reference group.
    pub equal_opportunity_difference: Answer,
}

impl Fairness {
    /// Versioned definition.
    pub const DEFINITION: &'static str = "group_fairness/v1";

    /// No rows, for groups coded from 0.
    ///
    /// # Errors
    /// Without a group, or with more than 65,536.
    pub fn empty(groups: u32, weighting: Weighting) -> Result<Self> {
        if !(1..=1 << 16).contains(&groups) {
            return Err(Error::invalid(format!(
                "{groups} groups; 1 to 65536 are accepted"
            )));
        }
        Ok(Self {
            weighting,
            groups: vec![
                Group {
                    rows: 0,
                    unlabelled: 0,
                    unpredicted: 0,
                    predicted: [Mass::default(); 2],
                    confusion: Confusion::empty(2),
                };
                groups as usize
            ],
            ungrouped: 0,
        })
    }

    /// No rows, for the same groups.
    pub fn nothing(&self) -> Self {
        let empty = |_: &Group| Group {
            rows: 0,
            unlabelled: 0,
            unpredicted: 0,
            predicted: [Mass::default(); 2],
            confusion: Confusion::empty(2),
        };
        Self {
            weighting: self.weighting,
            groups: self.groups.iter().map(empty).collect(),
            ungrouped: 0,
        }
    }

    /// Whether `other` has as many groups and the same weighting, so that both merge.
    pub fn is_like(&self, other: &Self) -> bool {
        self.groups.len() == other.groups.len() && self.weighting == other.weighting
    }

    /// Rows of a group; none of one that there is not.
    pub fn rows(&self, group: usize) -> u64 {
        self.groups.get(group).map_or(0, |g| g.rows)
    }

    /// The same rows by other codes: of each new group its code now, if it is there.
    ///
    /// # Errors
    /// As [`Fairness::empty`].
    pub fn with_groups(&self, codes: &[Option<usize>], weighting: Weighting) -> Result<Self> {
        let mut made = Self::empty(codes.len().max(1) as u32, weighting)?;
        made.ungrouped = self.ungrouped;
        for (slot, code) in made.groups.iter_mut().zip(codes) {
            if let Some(group) = code.and_then(|c| self.groups.get(c)) {
                slot.clone_from(group);
            }
        }
        Ok(made)
    }

    /// Adds rows by code of group, of label and of predicted class; [`MISSING`] where there is none.
    ///
    /// # Errors
    /// As [`super::State::update`].
    pub fn update(
        &mut self,
        group: &[u32],
        label: &[u32],
        predicted: &[u32],
        weight: Option<&[f64]>,
    ) -> Result<()> {
        let n = group.len();
        if label.len() != n || predicted.len() != n || weight.is_some_and(|w| w.len() != n) {
            return Err(Error::invalid(
                "groups, labels, predictions and weights differ in length",
            ));
        }
        for (i, ((g, y), f)) in group.iter().zip(label).zip(predicted).enumerate() {
            let w = match weight {
                Some(w) => self.weighting.relative(w[i], i)?,
                None => 1.0,
            };
            if *g == MISSING {
                self.ungrouped += 1;
                continue;
            }
            let known = self.groups.len();
            let Some(group) = self.groups.get_mut(*g as usize) else {
                return Err(Error::invalid(format!(
                    "group {g} of {known} groups in row {i}"
                )));
            };
            group.rows += 1;
            group.unlabelled += u64::from(*y == MISSING);
            group.unpredicted += u64::from(*f == MISSING);
            if *f == MISSING {
                continue;
            }
            if *f > 1 || (*y > 1 && *y != MISSING) {
                return Err(Error::invalid(format!(
                    "classes {y} and {f} in row {i}; 0 and 1 are accepted"
                )));
            }
            group.predicted[*f as usize].add(self.weighting, w)?;
            if *y != MISSING {
                group.confusion.add(*y, *f, self.weighting, w)?;
            }
        }
        Ok(())
    }

    /// Adds the rows of another state of the same groups.
    ///
    /// # Errors
    /// When groups or weightings differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if !self.is_like(other) {
            return Err(Error::incompatible(
                "fairness states of other groups or another weighting",
            ));
        }
        self.ungrouped = self.ungrouped.saturating_add(other.ungrouped);
        for (a, b) in self.groups.iter_mut().zip(&other.groups) {
            a.rows = a.rows.saturating_add(b.rows);
            a.unlabelled = a.unlabelled.saturating_add(b.unlabelled);
            a.unpredicted = a.unpredicted.saturating_add(b.unpredicted);
            for (x, y) in a.predicted.iter_mut().zip(&b.predicted) {
                x.merge(y)?;
            }
            a.confusion.merge(&b.confusion)?;
        }
        Ok(())
    }

    /// Rows without a group.
    pub fn ungrouped(&self) -> u64 {
        self.ungrouped
    }

    /// The group with the highest selection rate: the reference of the four-fifths rule (29 CFR
    /// 1607.4 D). None where no group has rows.
    pub fn highest(&self) -> Option<u32> {
        let mut best: Option<(u32, f64)> = None;
        for (code, group) in (0_u32..).zip(&self.groups) {
            if let Some(s) = group.selected(self.weighting, 1.0)
                && best.is_none_or(|b| s.p > b.1)
            {
                best = Some((code, s.p));
            }
        }
        best.map(|b| b.0)
    }

    /// Every group beside `reference`.
    ///
    /// # Errors
    /// When the context is out of range or the reference is no group.
    pub fn evaluate(
        &self,
        reference: u32,
        context: &Context,
    ) -> Result<Vec<GroupAnswer>, NotApplicable> {
        context.check()?;
        let Some(base) = self.groups.get(reference as usize) else {
            return not_applicable(format!("group {reference} of {} groups", self.groups.len()));
        };
        let deff = context.design_effect;
        let (base_selected, base_found) = (
            base.selected(self.weighting, deff),
            base.found(self.weighting, deff),
        );
        Ok((0_u32..)
            .zip(&self.groups)
            .map(|(code, group)| {
                let selected = group.selected(self.weighting, deff);
                let found = group.found(self.weighting, deff);
                let own = code == reference;
                let predicted = group.rows - group.unpredicted.min(group.rows);
                GroupAnswer {
                    group: code,
                    rows: (group.rows, group.unlabelled, group.unpredicted),
                    selection_rate: rate(selected, predicted, "no row of the group is predicted", context),
                    adverse_impact_ratio: match (selected, base_selected) {
                        (Some(s), Some(b)) if b.p > 0.0 => {
                            let interval = Interval::Ratio { numerator: s, denominator: b };
                            Answer::exact(s.p / b.p, predicted, s.n, (!own).then_some(interval), context)
                        }
                        _ => none("no row of the group is predicted, or none of the reference is selected"),
                    },
                    true_positive_rate: rate(found, predicted, "no predicted row of the group has a positive label", context),
                    equal_opportunity_difference: match (found, base_found) {
                        (Some(s), Some(b)) => {
                            let interval = Interval::Mover(vec![(1.0, s), (-1.0, b)]);
                            Answer::exact(s.p - b.p, predicted, s.n, (!own).then_some(interval), context)
                        }
                        _ => none("the group or the reference has no predicted row with a positive label"),
                    },
                }
            })
            .collect())
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        self.weighting.encode(w);
        w.varint(self.ungrouped);
        w.varint(self.groups.len() as u64);
        for g in &self.groups {
            w.varint(g.rows);
            w.varint(g.unlabelled);
            w.varint(g.unpredicted);
            g.predicted.iter().for_each(|m| m.encode(self.weighting, w));
            g.confusion.encode(self.weighting, w);
        }
    }

    /// Reads what [`Fairness::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for anything else.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let weighting = Weighting::decode(r)?;
        let ungrouped = r.varint()?;
        let n = r.len(9)?;
        let mut groups = Vec::with_capacity(n);
        for _ in 0..n {
            let (rows, unlabelled, unpredicted) = (r.varint()?, r.varint()?, r.varint()?);
            if unlabelled > rows || unpredicted > rows {
                return Err(Error::corrupt("rows of a group"));
            }
            groups.push(Group {
                rows,
                unlabelled,
                unpredicted,
                predicted: [Mass::decode(weighting, r)?, Mass::decode(weighting, r)?],
                confusion: Confusion::decode(2, weighting, r)?,
            });
        }
        if !(1..=1 << 16).contains(&groups.len()) {
            return Err(Error::corrupt(format!("{} groups", groups.len())));
        }
        Ok(Self {
            weighting,
            groups,
            ungrouped,
        })
    }
}

impl Group {
    fn selected(&self, weighting: Weighting, design_effect: f64) -> Option<Share> {
        let [no, yes] = self.predicted.map(|m| m.amount(weighting));
        Share::of(yes, no, design_effect)
    }
    fn found(&self, weighting: Weighting, design_effect: f64) -> Option<Share> {
        let table: Table = self.confusion.table(weighting);
        let (found, missed): (Amount, Amount) = (table.at(1, 1), table.at(1, 0));
        Share::of(found, missed, design_effect)
    }
}

fn rate(share: Option<Share>, rows: u64, nothing: &str, context: &Context) -> Answer {
    match share {
        Some(s) => Answer::exact(s.p, rows, s.n, Some(Interval::Wilson(s)), context),
        None => none(nothing),
    }
}

fn none(reason: &str) -> Answer {
    Answer {
        part: None,
        outcome: Err(NotApplicable(reason.into())),
        effective: 0.0,
        interval: None,
    }
}
