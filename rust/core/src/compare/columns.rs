//! The rows of one group: every column against its reference.

use std::sync::Arc;

use super::CompareOptions;
use super::pairs::blocked_pair_of;
use super::quality::{key_rows, schema_rows, time_rows};
use crate::column::{ColumnState, Kind};
use crate::decide::{Entry, is_judged};
use crate::profile::{Column, GroupKey, Profile, States};
use crate::row::Row;
use crate::statistics::{Context, Kinds, registry};
use crate::value::Logical;
use crate::{Error, Result};

/// The kind of a column in a row.
pub(super) fn kind_of(column: &Column, reference: &ColumnState) -> &'static str {
    match (column.kind, column.logical) {
        (Kind::Categorical, Logical::Bool) => "bool",
        (Kind::Categorical, _) => "categorical",
        (_, Logical::Date | Logical::Timestamp { .. }) => "datetime",
        (_, Logical::Int | Logical::UInt)
            if reference
                .keys()
                .is_some_and(|k| k.is_exact() && k.cells.len() <= 20) =>
        {
            "ordinal"
        }
        _ => "numeric",
    }
}

/// Statistics of segments besides the one chosen for the column: those that decide, and the customary one.
const OF_SEGMENTS: [&str; 5] = [
    "ks",
    "total_variation",
    "missing_rate",
    "new_category_mass",
    "psi",
];

/// One group of the current profile and what it is compared with.
#[derive(Clone, Copy)]
pub(super) struct Compared<'a> {
    /// The profile that owns grids, roles and blocks.
    pub(super) reference: &'a Profile,
    /// The profile that is judged.
    pub(super) current: &'a Profile,
    /// States of the baseline.
    pub(super) other: &'a States,
    /// The profile whose columns they follow.
    pub(super) owner: &'a Profile,
    /// States of the group.
    pub(super) states: &'a States,
    /// Which rows the group holds.
    pub(super) group: &'a GroupKey,
    /// What was asked for.
    pub(super) options: &'a CompareOptions,
}

impl Compared<'_> {
    /// Role of a column: the one asked for, else that of the reference.
    pub(super) fn role(&self, column: &str) -> &str {
        let own = self.options.roles.get(column);
        own.or_else(|| self.reference.metadata.roles.get(column))
            .map_or("feature", String::as_str)
    }

    /// State of the baseline for the reference's column `i`.
    pub(super) fn before(&self, i: usize) -> Option<&ColumnState> {
        let name = &self.reference.columns[i].name;
        self.other.get(self.owner.column(name)?)
    }
}

/// Adds the rows of one group to `entries`.
pub(super) fn group_rows(
    compared: Compared<'_>,
    base: &Row,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let Compared {
        reference,
        current,
        states,
        options,
        ..
    } = compared;
    let context = Context {
        alpha: options.alpha,
    };
    let segment = base.segment_by.is_some();
    let label: Option<Arc<str>> = reference.block.as_ref().map(|b| b.label().into());
    let mut volume = false;
    for (i, column) in reference.columns.iter().enumerate() {
        let role = compared.role(&column.name);
        if !is_judged(Some(role)) {
            continue;
        }
        // Columns that are missing or of another type are rows of the schema.
        let (Some(before), Some(at)) = (compared.before(i), current.column(&column.name)) else {
            continue;
        };
        let kind = kind_of(column, before);
        let base = Row {
            feature: column.name.clone(),
            role: Some(role.into()),
            kind: Some(kind.into()),
            ..base.clone()
        };
        let pair = blocked_pair_of(column, label.as_ref(), before, &states[at])
            .map_err(|e| Error::incompatible(format!("column {:?}: {e}", column.name)))?;
        for s in registry() {
            let chosen = options.statistics.get(&column.name);
            let wanted = |name| OF_SEGMENTS.contains(&name) || chosen.is_some_and(|c| c == name);
            if !s.kinds.accepts(&pair) || (segment && !wanted(s.name)) || s.name == "duplicate_keys"
            {
                continue;
            }
            if s.name == "volume" {
                if !volume {
                    volume = true;
                    let whole = Row {
                        feature: "*".into(),
                        role: Some("ignore".into()),
                        kind: None,
                        ..base.clone()
                    };
                    entries.push(Entry::compute(s, &pair, &whole, &context));
                }
                continue;
            }
            let entry = Entry::compute(s, &pair, &base, &context);
            // Without values to compare a statistic is left out, unless it decides; with them it says
            // why it has no value, so that the rows of a column do not depend on how many it has.
            let (r, c) = pair.sides();
            let floats = s.name != "infinite_rate" || column.logical == Logical::Float;
            let compared = r.finite > 0 && c.finite > 0 && floats;
            if entry.row.value.is_some()
                || compared
                || s.kinds == Kinds::Any
                || s.default_tolerance.is_some()
            {
                entries.push(entry);
            }
        }
    }
    if !segment {
        schema_rows(compared, base, entries);
        time_rows(compared, base, entries);
    }
    key_rows(compared, base, entries)
}
