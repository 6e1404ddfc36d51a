//! The digest of rows, taken from the pages that a scan reads anyway.
//!
//! [`Rows`] stands before a source and hashes the values of the columns that are profiled as they pass, each
//! once. What a unit's columns add to its rows is kept until its last column is read, 16 bytes a row of the
//! units in flight; then one number a unit remains.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tidegauge_core::row_digest::{ColumnHash, row};
use tidegauge_core::value::Slice;

use crate::Result;
use crate::meter::Meter;
use crate::source::{PageData, PageSink, Source, SourceColumn, Stream};

/// A source whose rows are hashed while they are read.
pub struct Rows<'a> {
    source: &'a dyn Source,
    columns: Mutex<Arc<BTreeMap<usize, ColumnHash>>>,
    units: Mutex<HashMap<usize, Unit>>,
    /// Why there is no digest.
    failed: Mutex<Option<String>>,
    /// The sum of a pass over a stream that read every column.
    streamed: Mutex<Option<u128>>,
    nanoseconds: AtomicU64,
}

#[derive(Default)]
struct Unit {
    values: Vec<u128>,
    begun: HashSet<usize>,
    done: usize,
    sum: Option<u128>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|p| p.into_inner())
}

impl<'a> Rows<'a> {
    /// Hashes the rows of `source`; which columns, the scan says.
    pub fn new(source: &'a dyn Source) -> Self {
        Self::of(source, Arc::default())
    }

    fn of(source: &'a dyn Source, columns: Arc<BTreeMap<usize, ColumnHash>>) -> Self {
        Self {
            source,
            columns: Mutex::new(columns),
            units: Mutex::default(),
            failed: Mutex::default(),
            streamed: Mutex::default(),
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// Names of the columns that are hashed, ascending.
    pub fn names(&self) -> Vec<&str> {
        let all = self.source.columns();
        let columns = Arc::clone(&lock(&self.columns));
        let mut names: Vec<&str> = columns.keys().map(|c| all[*c].name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Sum of the hashes of a unit's rows.
    ///
    /// # Errors
    /// Why there is none: a column that could not be read to its end.
    pub fn unit(&self, unit: usize) -> Result<u128, String> {
        if let Some(why) = &*lock(&self.failed) {
            return Err(why.clone());
        }
        let found = lock(&self.units).get(&unit).and_then(|u| u.sum);
        found.ok_or_else(|| format!("not every column of {} was read", self.source.unit_id(unit)))
    }

    /// Why there is no digest, once there is none.
    pub(crate) fn failed(&self) -> Option<String> {
        lock(&self.failed).clone()
    }

    /// Takes over the sums of units that an earlier scan read, over these columns.
    ///
    /// # Errors
    /// A column that is not in the source, or has no type.
    pub(crate) fn take_over(
        &self,
        columns: &[String],
        sums: &[(usize, u128)],
        failed: Option<String>,
    ) -> Result<(), String> {
        let all = self.source.columns();
        let find = |name: &String| {
            let at = all
                .iter()
                .position(|c| c.name == *name && c.logical.is_ok());
            at.ok_or_else(|| format!("column {name:?} cannot be read"))
        };
        let columns: Vec<usize> = columns.iter().map(find).collect::<Result<_, _>>()?;
        self.profiled(&columns);
        *lock(&self.failed) = failed;
        let known = sums.iter().map(|(unit, sum)| {
            let sum = Some(*sum);
            (
                *unit,
                Unit {
                    sum,
                    ..Unit::default()
                },
            )
        });
        lock(&self.units).extend(known);
        Ok(())
    }

    /// Sum of the hashes of all rows of a stream.
    ///
    /// # Errors
    /// As [`Rows::unit`].
    pub fn streamed(&self) -> Result<u128, String> {
        if let Some(why) = &*lock(&self.failed) {
            return Err(why.clone());
        }
        let found = *lock(&self.streamed);
        found.ok_or_else(|| "no pass read every column".into())
    }

    /// Time spent on hashing, over all threads.
    pub fn seconds(&self) -> f64 {
        self.nanoseconds.load(Ordering::Relaxed) as f64 * 1e-9
    }

    /// Whether this column of this unit is still to be hashed; it then is begun.
    fn begin(&self, unit: usize, column: usize) -> Option<ColumnHash> {
        let hash = *lock(&self.columns).get(&column)?;
        if lock(&self.failed).is_some() {
            return None;
        }
        let mut units = lock(&self.units);
        let of = units.entry(unit).or_default();
        (of.sum.is_none() && of.begun.insert(column)).then_some(hash)
    }

    fn add(&self, unit: usize, columns: usize, hashes: &[u128]) {
        let finished = {
            let mut units = lock(&self.units);
            let of = units.entry(unit).or_default();
            if of.values.is_empty() {
                of.values = hashes.to_vec();
            } else {
                for (sum, hash) in of.values.iter_mut().zip(hashes) {
                    *sum = sum.wrapping_add(*hash);
                }
            }
            of.done += 1;
            (of.done == columns).then(|| std::mem::take(&mut of.values))
        };
        if let Some(values) = finished {
            let rows = values.iter().map(|v| row(*v));
            let sum = rows.fold(0u128, u128::wrapping_add);
            if let Some(of) = lock(&self.units).get_mut(&unit) {
                of.sum = Some(sum);
                of.begun = HashSet::new();
            }
        }
    }

    fn abandon(&self, why: String) {
        lock(&self.failed).get_or_insert(why);
        lock(&self.units).clear();
    }
}

impl Source for Rows<'_> {
    fn columns(&self) -> &[SourceColumn] {
        self.source.columns()
    }

    fn units(&self) -> usize {
        self.source.units()
    }

    fn unit_rows(&self, unit: usize) -> u64 {
        self.source.unit_rows(unit)
    }

    fn unit_id(&self, unit: usize) -> String {
        self.source.unit_id(unit)
    }

    fn notes(&self) -> Vec<(String, String)> {
        self.source.notes()
    }

    fn weight(&self, unit: usize, column: usize) -> u64 {
        self.source.weight(unit, column)
    }

    fn stream(&self) -> Option<&dyn Stream> {
        self.source.stream().map(|_| self as &dyn Stream)
    }

    fn profiled(&self, columns: &[usize]) {
        let all = self.source.columns();
        let hash = |at: &usize| {
            let column = all.get(*at)?;
            let logical = *column.logical.as_ref().ok()?;
            Some((*at, ColumnHash::new(&column.name, logical)))
        };
        let columns = columns.iter().filter_map(hash).collect();
        *lock(&self.columns) = Arc::new(columns);
    }

    fn read(&self, unit: usize, column: usize, sink: &mut dyn PageSink) -> Result<()> {
        let Some(hash) = self.begin(unit, column) else {
            return self.source.read(unit, column, sink);
        };
        let mut pages = Pages {
            sink,
            hash,
            hashes: Vec::with_capacity(self.source.unit_rows(unit).min(1 << 20) as usize),
            dictionary: Vec::new(),
            scratch: Vec::new(),
            nanoseconds: 0,
        };
        let read = self.source.read(unit, column, &mut pages);
        let start = Instant::now();
        let Pages {
            hashes,
            nanoseconds,
            ..
        } = pages;
        match &read {
            Ok(()) => {
                let columns = lock(&self.columns).len();
                self.add(unit, columns, &hashes);
            }
            Err(crate::Error::Core(tidegauge_core::Error::Schema(why))) => {
                self.abandon(why.clone());
            }
            // The unit is set aside, or everything stops.
            Err(_) => {
                if let Some(of) = lock(&self.units).get_mut(&unit) {
                    of.begun.remove(&column);
                }
            }
        }
        let spent = nanoseconds + start.elapsed().as_nanos() as u64;
        self.nanoseconds.fetch_add(spent, Ordering::Relaxed);
        read
    }
}

impl Stream for Rows<'_> {
    fn pass(
        &self,
        meter: &Meter<'_>,
        each: &mut dyn FnMut(&dyn Source) -> Result<()>,
    ) -> Result<()> {
        let Some(stream) = self.source.stream() else {
            return Ok(());
        };
        let columns = Arc::clone(&lock(&self.columns));
        if columns.is_empty() || lock(&self.streamed).is_some() {
            return stream.pass(meter, each);
        }
        let mut sum = Some(0u128);
        stream.pass(meter, &mut |part| {
            let part = Rows::of(part, Arc::clone(&columns));
            each(&part)?;
            let spent = part.nanoseconds.load(Ordering::Relaxed);
            self.nanoseconds.fetch_add(spent, Ordering::Relaxed);
            if let Some(why) = lock(&part.failed).take() {
                self.abandon(why);
            }
            for unit in 0..part.units() {
                sum = sum
                    .zip(part.unit(unit).ok())
                    .map(|(a, b)| a.wrapping_add(b));
            }
            Ok(())
        })?;
        *lock(&self.streamed) = sum;
        Ok(())
    }
}

/// Passes pages on and keeps one hash a row.
struct Pages<'a> {
    sink: &'a mut dyn PageSink,
    hash: ColumnHash,
    hashes: Vec<u128>,
    dictionary: Vec<u128>,
    scratch: Vec<u128>,
    nanoseconds: u64,
}

impl PageSink for Pages<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        let start = Instant::now();
        self.dictionary.clear();
        self.hash.extend(values, &mut self.dictionary);
        self.nanoseconds += start.elapsed().as_nanos() as u64;
        self.sink.dictionary(values)
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let start = Instant::now();
        let Self {
            hash,
            hashes,
            dictionary,
            scratch,
            ..
        } = self;
        let null = hash.null();
        let at = |i: &u32| dictionary.get(*i as usize).copied().unwrap_or(null);
        match (valid, data) {
            (None, PageData::Values(values)) => {
                let before = hashes.len();
                hash.extend(values, hashes);
                // Without flags all rows have a value, or none has.
                hashes.resize(before + rows, null);
            }
            (None, PageData::Indices(indices)) => {
                let before = hashes.len();
                hashes.extend(indices.iter().map(at));
                hashes.resize(before + rows, null);
            }
            (Some(flags), data) => {
                scratch.clear();
                match data {
                    PageData::Values(values) => hash.extend(values, scratch),
                    PageData::Indices(indices) => scratch.extend(indices.iter().map(at)),
                }
                let mut next = scratch.iter();
                let of = |valid: &bool| match valid {
                    true => next.next().copied().unwrap_or(null),
                    false => null,
                };
                hashes.extend(flags.iter().map(of));
            }
        }
        self.nanoseconds += start.elapsed().as_nanos() as u64;
        self.sink.page(rows, valid, data)
    }
}

/// Reads over values.
struct Nowhere;

impl PageSink for Nowhere {
    fn needs_validity(&self) -> bool {
        true
    }
    fn dictionary(&mut self, _: Slice<'_>) -> Result<()> {
        Ok(())
    }
    fn page(&mut self, _: usize, _: Option<&[bool]>, _: PageData<'_>) -> Result<()> {
        Ok(())
    }
}

/// Sum of the hashes of the rows of one unit, over these columns, which are read for it.
///
/// # Errors
/// A column that does not exist or cannot be read; an interrupt.
pub fn unit_sum(
    source: &dyn Source,
    unit: usize,
    columns: &[String],
    meter: &Meter<'_>,
) -> Result<u128> {
    let all = source.columns();
    let find = |name: &String| {
        let at = all.iter().position(|c| c.name == *name);
        at.ok_or_else(|| {
            tidegauge_core::Error::invalid(format!("column {name:?} does not exist")).into()
        })
    };
    let columns: Vec<usize> = columns.iter().map(find).collect::<Result<_>>()?;
    let rows = Rows::new(source);
    rows.profiled(&columns);
    for column in columns {
        meter.check()?;
        rows.read(unit, column, &mut Nowhere)?;
    }
    rows.unit(unit)
        .map_err(|why| tidegauge_core::Error::invalid(why).into())
}
