//! A scan in parts: what is finished is handed over now and then, and a later scan goes on from there.
//!
//! A part is a few units, profiled against a reference and joined to what came before. States are
//! canonical, so the result is that of one scan, however it was cut.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tidegauge_core::profile::Profile;

use crate::meter::Progress;
use crate::scan::{ScanOptions, profile};
use crate::source::{PageSink, Source, SourceColumn};
use crate::{Error, Result};

/// Some units of a source.
struct Subset<'a> {
    source: &'a dyn Source,
    units: &'a [usize],
}

impl Source for Subset<'_> {
    fn columns(&self) -> &[SourceColumn] {
        self.source.columns()
    }

    fn units(&self) -> usize {
        self.units.len()
    }

    fn unit_rows(&self, unit: usize) -> u64 {
        self.source.unit_rows(self.units[unit])
    }

    fn unit_id(&self, unit: usize) -> String {
        self.source.unit_id(self.units[unit])
    }

    fn read(&self, unit: usize, column: usize, sink: &mut dyn PageSink) -> Result<()> {
        self.source.read(self.units[unit], column, sink)
    }

    fn notes(&self) -> Vec<(String, String)> {
        self.source.notes()
    }

    fn weight(&self, unit: usize, column: usize) -> u64 {
        self.source.weight(self.units[unit], column)
    }

    fn profiled(&self, columns: &[usize]) {
        self.source.profiled(columns);
    }
}

/// Units that a profile is done with: those it covers and those that could not be read.
pub fn finished(profile: &Profile) -> BTreeSet<String> {
    let problems = profile.metadata.problems.iter();
    let unread = problems.filter(|p| p.kind == "unit").map(|p| &p.name);
    let covered = profile.metadata.coverage.iter();
    covered.chain(unread).cloned().collect()
}

/// How a scan is cut into parts, and what came before.
pub struct Parts<'a> {
    /// Units to scan; all when absent.
    pub only: Option<BTreeSet<String>>,
    /// What an earlier scan of the same table finished.
    pub begun: Option<Profile>,
    /// Least time between two calls of `keep`; a part takes a quarter of it, or is one unit, or takes longer for the
    /// sake of `share`.
    pub every: Duration,
    /// The most of the time since the last call that another one may take, and of the time of a part that joining it
    /// may take; 1 calls and joins whatever it takes.
    pub share: f64,
    /// Takes what is finished so far: now and then, and before an error is returned.
    pub keep: Keep<'a>,
}

/// Decides when what is finished is handed over.
///
/// What that takes grows with the states, which grow with the rows and windows seen. It is measured on some of
/// them beforehand, so that even the first call is within its share; a table whose states take nearly the time
/// of their rows is not worth one, since reading it again takes little longer than reading its states.
struct Pace {
    every: Duration,
    share: f64,
    kept: Instant,
    /// Time since the last call before which another one is not thought of.
    next: Duration,
    /// What a call took, against what its states foretold.
    beside: f64,
    /// Seconds that joining the last part took: states of the same groups are merged one by one.
    joining: f64,
}

/// States of so many groups and columns are measured.
const MEASURED: usize = 8;

impl Pace {
    fn new(every: Duration, share: f64) -> Self {
        Self {
            every,
            share,
            kept: Instant::now(),
            next: every,
            beside: 1.0,
            joining: 0.0,
        }
    }

    /// Seconds that the next part is to take.
    fn part(&self) -> f64 {
        let quarter = self.every.as_secs_f64() / 4.0;
        if self.share >= 1.0 {
            quarter
        } else {
            // Within a part the states of its threads are joined once more.
            quarter.max(2.0 * self.joining / self.share)
        }
    }

    /// Hands over what is finished where it is time, and tells whether.
    fn keep(&mut self, made: &mut Profile, keep: Keep<'_>) -> Result<bool> {
        if self.kept.elapsed() < self.next {
            return Ok(false);
        }
        let foretold = if self.share < 1.0 { writing(made) } else { 0.0 };
        if self.wait(foretold * self.beside) > self.kept.elapsed() {
            self.next = self.wait(foretold * self.beside);
            return Ok(false);
        }
        let began = Instant::now();
        keep(made)?;
        let took = began.elapsed().as_secs_f64();
        if foretold > 0.0 {
            self.beside = (took / foretold).max(1.0);
        }
        self.kept = Instant::now();
        self.next = self.wait(took);
        Ok(true)
    }

    /// Least time between two calls that take these seconds.
    fn wait(&self, seconds: f64) -> Duration {
        if self.share >= 1.0 {
            return self.every;
        }
        let wait = Duration::try_from_secs_f64(seconds / self.share).unwrap_or(Duration::MAX);
        wait.max(self.every)
    }
}

type Keep<'a> = &'a (dyn Fn(&mut Profile) -> Result<()> + Sync);

/// Seconds that the bytes of a profile would take, by those of some of its states.
fn writing(made: &Profile) -> f64 {
    let (some, share) = made.some(MEASURED);
    let began = Instant::now();
    std::hint::black_box(some.to_bytes());
    began.elapsed().as_secs_f64() / share
}

/// Stored bytes of a first part.
const FIRST: u64 = 16 << 20;

/// Profiles units of a source against `like` in parts.
///
/// # Errors
/// As [`profile`]; those of `keep`. What was finished before has been handed over then.
pub fn profile_parts(
    source: &dyn Source,
    options: &ScanOptions,
    like: &Profile,
    progress: Progress<'_>,
    parts: Parts<'_>,
) -> Result<Profile> {
    let Parts {
        only,
        begun,
        every,
        share,
        keep,
    } = parts;
    let unread = |p: &Profile| {
        p.metadata
            .problems
            .iter()
            .filter(|p| p.kind == "unit")
            .count()
    };
    let seen = begun.as_ref().map_or_else(BTreeSet::new, finished);
    let wanted = |id: &String| only.as_ref().is_none_or(|o| o.contains(id)) && !seen.contains(id);
    let left: Vec<usize> = (0..source.units())
        .filter(|u| wanted(&source.unit_id(*u)))
        .collect();
    let columns = source.columns().len();
    let bytes: Vec<u64> = left
        .iter()
        .map(|u| {
            (0..columns)
                .map(|c| source.weight(*u, c))
                .sum::<u64>()
                .max(1)
        })
        .collect();
    let total: u64 = bytes.iter().sum();
    let mut made = begun;
    let mut unkept = false;
    let (mut at, mut done) = (0, 0);
    let mut rate: Option<f64> = None;
    let began = Instant::now();
    let mut pace = Pace::new(every, share);
    while at < left.len() || made.is_none() {
        let most = match rate {
            _ if every.is_zero() => 0,
            None => FIRST,
            Some(rate) => (rate * pace.part()) as u64,
        };
        let mut size = 0;
        let from = at;
        while at < left.len() && (at == from || size + bytes[at] <= most) {
            size += bytes[at];
            at += 1;
        }
        let part = Subset {
            source,
            units: &left[from..at],
        };
        // A part counts what it reads, key columns twice; here each unit weighs its stored bytes.
        let tell = |read: u64, of: u64| {
            let share = if of == 0 {
                0.0
            } else {
                read as f64 / of as f64
            };
            progress(
                (done + (size as f64 * share) as u64).min(total.saturating_sub(1)),
                total,
            )
        };
        let bad = made.as_ref().map_or(0, unread);
        let options = ScanOptions {
            max_bad_units: options.max_bad_units.saturating_sub(bad),
            ..options.clone()
        };
        let part_began = Instant::now();
        let scanned = profile(&part, &options, Some(like), &tell);
        let seconds = part_began.elapsed().as_secs_f64();
        match (scanned, &mut made) {
            (Ok(new), Some(all)) => {
                all.join(new)?;
                pace.joining = part_began.elapsed().as_secs_f64() - seconds;
            }
            (Ok(new), none) => *none = Some(new),
            (Err(error), all) => {
                if let Some(all) = all.as_mut().filter(|_| unkept) {
                    keep(all)?;
                }
                return Err(error);
            }
        }
        done += size;
        unkept = true;
        rate = Some(size as f64 / seconds.max(1e-4));
        if at == left.len() && share >= 1.0 {
            // The last part is kept where the whole took long: deciding and writing follow.
            pace.kept = began;
        }
        if let Some(all) = &mut made {
            unkept &= !pace.keep(all, keep)?;
        }
    }
    progress(total, total);
    let mut made = made.ok_or_else(|| {
        Error::Core(tidegauge_core::Error::InvalidArgument(
            "no unit to scan; a table with rows would be accepted".into(),
        ))
    })?;
    let veiled = made.metadata.options.get("sensitive").cloned();
    made.metadata.options = serde_json::to_value(options).unwrap_or_default();
    if let Some(names) = veiled {
        made.metadata.options["sensitive"] = names;
    }
    Ok(made)
}
