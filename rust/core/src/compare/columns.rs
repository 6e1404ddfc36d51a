//! The rows of one group: every column against its reference.

use std::sync::Arc;

use super::CompareOptions;
use super::pairs::blocked_pair_of;
use crate::column::{ColumnState, Kind, name_of};
use crate::decide::{Entry, is_judged};
use crate::profile::{Column, Profile, States};
use crate::row::{Row, Verdict};
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

/// Statistics of segments besides a chosen main statistic: those that decide, and the customary one.
const OF_SEGMENTS: [&str; 5] = [
    "ks",
    "total_variation",
    "missing_rate",
    "new_category_mass",
    "psi",
];

/// Adds the rows of one group of `current` to `entries`.
pub(super) fn group_rows(
    reference: &Profile,
    current: &Profile,
    other: &States,
    states: &States,
    base: &Row,
    options: &CompareOptions,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let context = Context {
        alpha: options.alpha,
    };
    let segment = base.segment_by.is_some();
    let label: Option<Arc<str>> = reference.block.as_ref().map(|b| b.label().into());
    let mut volume = false;
    for (i, column) in reference.columns.iter().enumerate() {
        let role = options
            .roles
            .get(&column.name)
            .or_else(|| reference.metadata.roles.get(&column.name))
            .map_or("feature", String::as_str);
        if !is_judged(Some(role)) {
            continue;
        }
        let kind = kind_of(column, &other[i]);
        let base = Row {
            feature: column.name.clone(),
            role: Some(role.into()),
            kind: Some(kind.into()),
            ..base.clone()
        };
        let Some(at) = current.column(&column.name) else {
            if !segment {
                let problem = current
                    .metadata
                    .problems
                    .iter()
                    .find(|p| p.kind == "column" && p.name == column.name);
                let given = Row {
                    statistic: "schema".into(),
                    definition: "schema/v1".into(),
                    decides: true,
                    ..base
                };
                entries.push(Entry::given(match problem {
                    Some(p) => Row {
                        verdict: Some(Verdict::Error),
                        message: Some(p.message.clone()),
                        ..given
                    },
                    None => Row {
                        verdict: Some(Verdict::Fail),
                        message: Some(format!(
                            "column {:?} ({}) is missing from the current data",
                            column.name,
                            name_of(column.logical)
                        )),
                        ..given
                    },
                }));
            }
            continue;
        };
        let pair = blocked_pair_of(column, label.as_ref(), &other[i], &states[at])
            .map_err(|e| Error::incompatible(format!("column {:?}: {e}", column.name)))?;
        for s in registry() {
            if !s.kinds.accepts(&pair) || (segment && !OF_SEGMENTS.contains(&s.name)) {
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
            // A statistic that has nothing to say here is left out, unless it decides.
            if entry.row.value.is_some() || s.kinds == Kinds::Any || s.default_tolerance.is_some() {
                entries.push(entry);
            }
        }
    }
    if !segment {
        for p in reference
            .metadata
            .problems
            .iter()
            .filter(|p| p.kind == "column")
        {
            entries.push(Entry::given(Row {
                feature: p.name.clone(),
                statistic: "schema".into(),
                definition: "schema/v1".into(),
                message: Some(format!("in the reference: {}", p.message)),
                verdict: Some(Verdict::NotEvaluated),
                role: Some("ignore".into()),
                ..base.clone()
            }));
        }
        for p in current
            .metadata
            .problems
            .iter()
            .filter(|p| p.kind == "schema")
        {
            entries.push(Entry::given(Row {
                feature: p.name.clone(),
                statistic: "schema".into(),
                definition: "schema/v1".into(),
                message: Some(p.message.clone()),
                role: Some("ignore".into()),
                ..base.clone()
            }));
        }
    }
    Ok(())
}
