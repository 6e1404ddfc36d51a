//! States of performance in parts: cut by window, and joined again.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Group, MAX_PROTECTED, Performance};
use crate::metrics::Fairness;
use crate::parts::Window;
use crate::{Error, Result};

impl Performance {
    /// One a window, without a window first; each has the protected groups of its own rows alone, so that
    /// it does not depend on what lay beside it.
    ///
    /// # Errors
    /// Of [`Performance::join`].
    pub fn split(&self) -> Result<Vec<(Option<Window>, Self)>> {
        let windows: BTreeSet<Option<Window>> = self.groups.keys().map(|k| k.window).collect();
        let of = |window: Option<Window>| {
            let groups = self.groups.iter().filter(|(k, _)| k.window == window);
            let mut part = Self {
                groups: groups.map(|(k, g)| (k.clone(), g.clone())).collect(),
                ..self.nothing()
            };
            let held: Vec<Vec<String>> = part.held();
            part.rename(&held)?;
            Ok((window, part))
        };
        windows.into_iter().map(of).collect()
    }

    /// Adds the rows of `other`, whose protected columns may have other groups.
    ///
    /// # Errors
    /// [`Error::Incompatible`] where something else is measured; [`Error::Schema`] where a protected column
    /// has too many groups.
    pub fn join(&mut self, mut other: Self) -> Result<()> {
        if self.measure != other.measure || self.block != other.block {
            return Err(Error::incompatible(
                "states of performance that measure something else; those of one configuration can be joined",
            ));
        }
        let pairs = self.protected.iter().zip(&other.protected);
        let mut all = Vec::with_capacity(self.protected.len());
        for ((a, b), column) in pairs.zip(&self.measure.protected) {
            let names: BTreeSet<&String> = a.iter().chain(b).collect();
            if names.len() > MAX_PROTECTED {
                return Err(too_many(column));
            }
            all.push(names.into_iter().cloned().collect());
        }
        self.rename(&all)?;
        other.rename(&all)?;
        for (key, group) in other.groups {
            self.merge(key, group)?;
        }
        Ok(())
    }

    /// The same with the groups of `reference` beside its own, so that a group that went missing has a row in every
    /// window, whatever lies beside it.
    ///
    /// # Errors
    /// Of [`Fairness::empty`].
    pub(super) fn beside(&self, reference: Option<&Self>) -> Result<Cow<'_, Self>> {
        let union = |(a, b): (&Vec<String>, &Vec<String>)| {
            let names: BTreeSet<&String> = a.iter().chain(b).collect();
            match names.len() > MAX_PROTECTED {
                true => a.clone(),
                false => names.into_iter().cloned().collect(),
            }
        };
        let Some(reference) = reference.filter(|r| r.protected.len() == self.protected.len())
        else {
            return Ok(Cow::Borrowed(self));
        };
        let pairs = self.protected.iter().zip(&reference.protected);
        let all: Vec<Vec<String>> = pairs.map(union).collect();
        if all == self.protected {
            return Ok(Cow::Borrowed(self));
        }
        let mut made = self.clone();
        made.rename(&all)?;
        Ok(Cow::Owned(made))
    }

    /// The same measure of no rows.
    fn nothing(&self) -> Self {
        Self {
            measure: self.measure.clone(),
            protected: self.protected.clone(),
            groups: BTreeMap::new(),
            block: self.block.clone(),
        }
    }

    /// Groups of the protected columns that have rows.
    fn held(&self) -> Vec<Vec<String>> {
        let names = self.protected.iter().enumerate();
        let of = |(at, names): (usize, &Vec<String>)| {
            let held = |code: usize| {
                let fair = self.groups.values().filter_map(|g| g.fairness.get(at));
                fair.into_iter().any(|f| f.0.rows(code) > 0)
            };
            let kept = names.iter().enumerate().filter(|(code, _)| held(*code));
            kept.map(|(_, name)| name.clone()).collect()
        };
        names.map(of).collect()
    }

    /// Codes the groups of protected columns by other lists of names; groups that are not there are left out.
    fn rename(&mut self, all: &[Vec<String>]) -> Result<()> {
        if self.protected == all {
            return Ok(());
        }
        let weighting = self.measure.weighting();
        let columns = self.protected.iter().zip(all).enumerate();
        for (at, (before, after)) in columns.filter(|(_, (a, b))| a != b) {
            let of: Vec<Option<usize>> = after
                .iter()
                .map(|name| before.iter().position(|n| n == name))
                .collect();
            let again = |state: &Fairness| state.with_groups(&of, weighting);
            for group in self.groups.values_mut() {
                let Group { fairness, .. } = group;
                if let Some((whole, blocks)) = fairness.get_mut(at) {
                    *whole = again(whole)?;
                    for state in blocks.values_mut() {
                        *state = again(state)?;
                    }
                }
            }
        }
        self.protected = all.to_vec();
        Ok(())
    }
}

/// The error of a protected column with too many groups.
pub fn too_many(column: &str) -> Error {
    Error::schema(format!(
        "protected column {column:?} has more than {MAX_PROTECTED} values; a column with fewer would be accepted"
    ))
}
