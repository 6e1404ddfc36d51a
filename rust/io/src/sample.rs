//! Row samples of sources that lie in units.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegauge_core::joint::sample::{Hash, NULL, RowSample, combine, hash, priority};
use tidegauge_core::value::{Logical, Slice};

use crate::source::{PageData, PageSink, Source};
use crate::{Error, Result};

/// What to sample.
#[derive(Debug, Clone, Default)]
pub struct SampleOptions {
    /// Distinct rows at most.
    pub k: usize,
    /// Columns that identify a row; none: its content does.
    pub row_key: Vec<String>,
    /// Columns left out.
    pub exclude: Vec<String>,
    /// Key of the hash.
    pub seed: u64,
    /// Threads; the sample does not depend on them.
    pub threads: usize,
}

/// Folds one column into the hashes of the rows of a unit.
struct Fold<'a> {
    logical: Logical,
    dictionary: Vec<Hash>,
    rows: &'a mut [Hash],
    at: usize,
}

impl PageSink for Fold<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.dictionary = (0..values.len())
            .map(|i| hash(self.logical, values, i))
            .collect();
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let mut next = 0;
        let page = self.rows.get_mut(self.at..self.at + rows);
        for (i, row) in page.unwrap_or_default().iter_mut().enumerate() {
            let value = if valid.is_some_and(|v| !v[i]) {
                NULL
            } else {
                next += 1;
                match data {
                    PageData::Values(values) => hash(self.logical, values, next - 1),
                    PageData::Indices(indices) => self.dictionary[indices[next - 1] as usize],
                }
            };
            *row = combine(*row, value);
        }
        self.at += rows;
        Ok(())
    }
}

/// Draws the sample of a source; numbers of rows count from the first row of its first unit.
///
/// # Errors
/// Unknown columns, columns of a type that has no values here, what cannot be read, or a stop.
pub fn sample(
    source: &dyn Source,
    options: &SampleOptions,
    stop: &(dyn Fn(u64, u64) -> bool + Sync),
) -> Result<RowSample> {
    let columns = source.columns();
    let known: BTreeSet<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    for name in options.row_key.iter().chain(&options.exclude) {
        if !known.contains(name.as_str()) {
            let held: Vec<&str> = known.into_iter().collect();
            return Err(tidegauge_core::Error::schema(format!(
                "column {name:?} is not in the data; it has {}",
                held.join(", ")
            ))
            .into());
        }
    }
    // By name, so that the order of columns does not matter.
    let mut taken: Vec<(&str, usize, Logical)> = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        if options.exclude.contains(&column.name) && !options.row_key.contains(&column.name) {
            continue;
        }
        match &column.logical {
            Ok(logical) => taken.push((&column.name, i, *logical)),
            Err(reason) => {
                return Err(tidegauge_core::Error::schema(format!(
                    "column {:?}: {reason}; leave it out with exclude",
                    column.name
                ))
                .into());
            }
        }
    }
    taken.sort_unstable_by_key(|c| c.0);
    let mut offsets = vec![0; source.units()];
    let mut all = 0;
    for (unit, offset) in offsets.iter_mut().enumerate() {
        *offset = all;
        all += source.unit_rows(unit);
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(0_u64));
    let work = || -> Result<RowSample> {
        let mut own = RowSample::new(options.k);
        loop {
            let unit = next.fetch_add(1, Ordering::Relaxed);
            if unit >= offsets.len() {
                return Ok(own);
            }
            let rows = source.unit_rows(unit) as usize;
            let (mut keys, mut contents) = (vec![0; rows], vec![0; rows]);
            for (name, column, logical) in &taken {
                let read = |rows: &mut [Hash]| {
                    let mut fold = Fold {
                        logical: *logical,
                        dictionary: Vec::new(),
                        rows,
                        at: 0,
                    };
                    source.read(unit, *column, &mut fold)
                };
                if !options.exclude.iter().any(|e| e == name) {
                    read(&mut contents)?;
                }
                if options.row_key.iter().any(|k| k == name) {
                    read(&mut keys)?;
                }
                let so_far = *done.lock().unwrap_or_else(|p| p.into_inner());
                if stop(so_far, all) {
                    next.store(offsets.len(), Ordering::Relaxed);
                    return Err(tidegauge_core::Error::Interrupted.into());
                }
            }
            let by = if options.row_key.is_empty() {
                &contents
            } else {
                &keys
            };
            for (i, (of, content)) in by.iter().zip(&contents).enumerate() {
                own.offer(
                    priority(*of, options.seed),
                    *content,
                    offsets[unit] + i as u64,
                );
            }
            *done.lock().unwrap_or_else(|p| p.into_inner()) += rows as u64;
        }
    };
    let parts: Vec<Result<RowSample>> = std::thread::scope(|scope| {
        let helpers = 1..options.threads.clamp(1, offsets.len().max(1));
        let running: Vec<_> = helpers.map(|_| scope.spawn(work)).collect();
        // Signals reach the thread that was called.
        let first = work();
        let stopped = || Err(Error::Core(tidegauge_core::Error::Interrupted));
        let others = running
            .into_iter()
            .map(|r| r.join().unwrap_or_else(|_| stopped()));
        core::iter::once(first).chain(others).collect()
    });
    let mut whole = RowSample::new(options.k);
    for part in parts {
        whole.merge(&part?);
    }
    Ok(whole)
}
