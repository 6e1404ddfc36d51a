//! Keys of rows: the columns given as `id`, taken together, counted by group.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegauge_core::column::{ColumnPlan, key_hashes};
use tidegauge_core::profile::GroupKey;
use tidegauge_core::states::keys::{K, K_SEGMENT, Keys, NO_KEY};
use tidegauge_core::value::Slice;

use super::cuts::{Cuts, Registry};
use super::{Scan, run};
use crate::source::{PageData, PageSink};
use crate::{Error, Result};

/// Counts the keys of every group, part by part of the source.
pub(super) struct KeyScan<'a> {
    /// Position and plan of each column of the key.
    columns: Vec<(usize, ColumnPlan)>,
    cuts: &'a Cuts,
    registry: Registry,
    found: Vec<Option<Keys>>,
    failed: AtomicBool,
}

impl<'a> KeyScan<'a> {
    pub(super) fn new(columns: Vec<(usize, ColumnPlan)>, cuts: &'a Cuts) -> Self {
        Self {
            columns,
            cuts,
            registry: Registry::default(),
            found: Vec::new(),
            failed: AtomicBool::new(false),
        }
    }

    /// Columns that one pass reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> {
        let own = self.columns.iter().map(|c| c.0);
        own.chain(self.cuts.columns())
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Counts the rows of one part.
    pub(super) fn part(&mut self, scan: &Scan<'_>) -> Result<()> {
        let (columns, cuts, registry, failed) =
            (&self.columns, self.cuts, &self.registry, &self.failed);
        let found = run(
            scan.threads,
            scan.units.len(),
            scan.meter,
            Vec::<Option<Keys>>::new,
            |i, groups| {
                if failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let unit = scan.units[i];
                let hashes = match scan.spot(unit, key_of_rows(scan, unit, columns)) {
                    // The column is a problem of its own.
                    Err(Error::Core(tidegauge_core::Error::Schema(_))) => {
                        failed.store(true, Ordering::Relaxed);
                        return Ok(());
                    }
                    other => other?,
                };
                if cuts.is_trivial() {
                    return Ok(slot(groups, 0, K).update(hashes)?);
                }
                let groupings =
                    scan.spot(unit, cuts.groupings(scan.source, unit, registry, false))?;
                for g in &groupings {
                    let k = if g.segment { K_SEGMENT } else { K };
                    if g.order.is_empty() {
                        let mut from = 0;
                        for (local, rows) in &g.runs {
                            let to = (from + *rows as usize).min(hashes.len());
                            let keys = slot(groups, g.groups[*local as usize], k);
                            keys.update(hashes[from..to].iter().copied())?;
                            from = to;
                        }
                    } else {
                        for (local, ends) in g.starts.windows(2).enumerate() {
                            let rows = &g.order[ends[0] as usize..ends[1] as usize];
                            let of = rows.iter().filter_map(|r| hashes.get(*r as usize));
                            slot(groups, g.groups[local], k).update(of.copied())?;
                        }
                    }
                }
                Ok(())
            },
        )?;
        for groups in found {
            for (at, keys) in groups.into_iter().enumerate() {
                let Some(keys) = keys else { continue };
                if self.found.len() <= at {
                    self.found.resize_with(at + 1, || None);
                }
                match &mut self.found[at] {
                    Some(all) => all.merge(&keys)?,
                    empty => *empty = Some(keys),
                }
            }
        }
        Ok(())
    }

    /// Keys by group; none where a column of the key could not be read.
    pub(super) fn finish(mut self) -> Option<BTreeMap<GroupKey, Keys>> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        if self.cuts.is_trivial() {
            let keys = self.found.pop().flatten().unwrap_or_else(|| Keys::new(K));
            return Some(BTreeMap::from([(GroupKey::default(), keys)]));
        }
        let found = &mut self.found;
        let groups = self.registry.into_keys().map(|(key, at)| {
            let k = if key.segment.is_some() { K_SEGMENT } else { K };
            let keys = found.get_mut(at as usize).and_then(Option::take);
            (key, keys.unwrap_or_else(|| Keys::new(k)))
        });
        Some(groups.collect())
    }
}

fn slot(groups: &mut Vec<Option<Keys>>, at: u32, k: usize) -> &mut Keys {
    let at = at as usize;
    if groups.len() <= at {
        groups.resize_with(at + 1, || None);
    }
    groups[at].get_or_insert_with(|| Keys::new(k))
}

/// The hash of the key of each row of a unit: that of a single column, or of all in turn.
fn key_of_rows(scan: &Scan<'_>, unit: usize, columns: &[(usize, ColumnPlan)]) -> Result<Vec<u64>> {
    let mut all: Option<Vec<u64>> = None;
    for (at, plan) in columns {
        let mut sink = Hashes {
            plan,
            rows: Vec::new(),
            dictionary: Vec::new(),
        };
        scan.source.read(unit, *at, &mut sink)?;
        all = Some(match all {
            None => sink.rows,
            Some(mut all) => {
                if all.len() != sink.rows.len() {
                    return Err(Error::Corrupt {
                        unit: scan.source.unit_id(unit),
                        column: plan.name.clone(),
                        message: format!(
                            "{} rows, {} in another column",
                            sink.rows.len(),
                            all.len()
                        ),
                    });
                }
                for (a, b) in all.iter_mut().zip(sink.rows) {
                    *a = match (*a, b) {
                        (NO_KEY, _) | (_, NO_KEY) => NO_KEY,
                        (a, b) => tidegauge_core::kernels::key::mix(a.rotate_left(32) ^ b).max(1),
                    };
                }
                all
            }
        });
    }
    Ok(all.unwrap_or_default())
}

/// Collects the hash of each row of one column.
struct Hashes<'a> {
    plan: &'a ColumnPlan,
    rows: Vec<u64>,
    dictionary: Vec<u64>,
}

impl PageSink for Hashes<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.dictionary = key_hashes(self.plan, values)?;
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let hashes = match data {
            PageData::Values(v) => key_hashes(self.plan, v)?,
            PageData::Indices(at) => at
                .iter()
                .map(|i| self.dictionary.get(*i as usize).copied().unwrap_or(NO_KEY))
                .collect(),
        };
        match valid {
            None if hashes.len() == rows => self.rows.extend(hashes),
            _ => {
                let mut next = hashes.into_iter();
                self.rows.extend((0..rows).map(|i| {
                    let holds = valid.is_none_or(|v| v[i]);
                    holds.then(|| next.next()).flatten().unwrap_or(NO_KEY)
                }));
            }
        }
        Ok(())
    }
}
