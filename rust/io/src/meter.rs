//! How far a scan has come, and whether it is to stop: asked between pages.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ThreadId;

use tidegauge_core::value::Slice;

use crate::source::{PageData, PageSink, Source, SourceColumn, Stream};
use crate::{Error, Result};

/// Called on the thread that called the scan, often, with what is done and what there is in all;
/// `false` stops the scan.
///
/// Both are bytes, stored or held, over all passes; the second grows when a column needs another
/// look. A stream counts rows, and the second is 0 while nobody knows how many there are.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) -> bool + Sync);

/// Counts what is done and asks whether to go on.
pub struct Meter<'a> {
    progress: Progress<'a>,
    caller: ThreadId,
    done: AtomicU64,
    total: AtomicU64,
    stopped: AtomicBool,
}

impl<'a> Meter<'a> {
    /// A meter that reports to `progress` from the thread it is made on, and from no other.
    pub fn new(progress: Progress<'a>) -> Self {
        Self {
            progress,
            caller: std::thread::current().id(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Adds to what there is to do.
    pub fn expect(&self, amount: u64) {
        self.total.fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds to what is done.
    pub fn add(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
    }

    /// Reports, on the calling thread, and says whether to go on.
    ///
    /// # Errors
    /// `Interrupted`, from the first refusal on.
    pub fn check(&self) -> Result<()> {
        if !self.stopped.load(Ordering::Relaxed) && std::thread::current().id() == self.caller {
            self.report(self.total.load(Ordering::Relaxed));
        }
        match self.stopped.load(Ordering::Relaxed) {
            true => Err(Error::Core(tidegauge_core::Error::Interrupted)),
            false => Ok(()),
        }
    }

    /// Reports that all is done: columns set aside on the way were not read to their end.
    pub fn finish(&self) {
        let done = self.done.load(Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed).max(done);
        self.done.store(total, Ordering::Relaxed);
        self.report(total);
    }

    fn report(&self, total: u64) {
        let done = self.done.load(Ordering::Relaxed);
        if !(self.progress)(done, total) {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }
}

/// A source whose reading is counted and can be stopped at every page.
pub struct Metered<'a> {
    source: &'a dyn Source,
    meter: &'a Meter<'a>,
    weighed: bool,
}

impl<'a> Metered<'a> {
    /// Counts the bytes of what is read.
    pub fn weighed(source: &'a dyn Source, meter: &'a Meter<'a>) -> Self {
        Self {
            source,
            meter,
            weighed: true,
        }
    }

    /// Looks for a stop only: the rows of a stream's part are counted as they arrive.
    pub fn checked(source: &'a dyn Source, meter: &'a Meter<'a>) -> Self {
        Self {
            weighed: false,
            ..Self::weighed(source, meter)
        }
    }
}

impl Source for Metered<'_> {
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

    fn weight(&self, unit: usize, column: usize) -> u64 {
        self.source.weight(unit, column)
    }

    fn stream(&self) -> Option<&dyn Stream> {
        self.source.stream()
    }

    fn read(&self, unit: usize, column: usize, sink: &mut dyn PageSink) -> Result<()> {
        let weight = match self.weighed {
            true => self.source.weight(unit, column),
            false => 0,
        };
        let mut pages = Pages {
            sink,
            meter: self.meter,
            weight,
            rows: self.source.unit_rows(unit),
            read: 0,
            told: 0,
        };
        self.source.read(unit, column, &mut pages)?;
        let rest = weight - pages.told;
        self.meter.add(rest);
        Ok(())
    }
}

/// Passes pages on, adding to the meter as the rows go by.
struct Pages<'a> {
    sink: &'a mut dyn PageSink,
    meter: &'a Meter<'a>,
    weight: u64,
    rows: u64,
    read: u64,
    told: u64,
}

impl PageSink for Pages<'_> {
    fn needs_validity(&self) -> bool {
        self.sink.needs_validity()
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.sink.dictionary(values)
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        self.sink.page(rows, valid, data)?;
        self.read += rows as u64;
        let share = self.read as f64 / self.rows.max(1) as f64;
        let so_far = ((self.weight as f64 * share) as u64).min(self.weight);
        self.meter.add(so_far - self.told);
        self.told = so_far;
        self.meter.check()
    }
}
