//! One ordered column held in memory, value by value.

use tidegauge_core::column::{ColumnPlan, Kind, Sample, default_kind};
use tidegauge_core::profile::Profile;
use tidegauge_core::value::{Logical, Slice};

use super::{Target, Whole};
use crate::Result;
use crate::source::Source;

struct ToSample<'a> {
    plan: &'a ColumnPlan,
    sample: &'a mut Sample,
}

impl Target for ToSample<'_> {
    fn nulls(&mut self, n: u64) -> tidegauge_core::Result<()> {
        self.sample.update_nulls(n);
        Ok(())
    }

    fn values(&mut self, values: Slice<'_>, counts: Option<&[u64]>) -> tidegauge_core::Result<()> {
        match counts {
            None => self.sample.update(self.plan, values),
            Some(n) => self.sample.update_counted(self.plan, values, n),
        }
    }
}

/// The values of two tables of one column each, both ordered and of one type; none for other tables.
///
/// `go_on` is asked before every unit.
///
/// # Errors
/// A table that cannot be read; `go_on` said no.
pub fn samples(
    reference: &dyn Source,
    current: &dyn Source,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<(Logical, Sample, Sample)>> {
    let logical = |source: &dyn Source| match source.columns() {
        [column] => column.logical.clone().ok(),
        _ => None,
    };
    let (Some(own), other) = (logical(reference), logical(current)) else {
        return Ok(None);
    };
    if other != Some(own) || default_kind(own) != Kind::Numeric {
        return Ok(None);
    }
    let plan = Profile::frozen_column("x", own, Kind::Numeric, None, None).plan(own, false);
    let of = |source: &dyn Source| -> Result<Sample> {
        let mut sample = Sample::default();
        for unit in 0..source.units() {
            if !go_on() {
                return Err(tidegauge_core::Error::Interrupted.into());
            }
            let mut sink = Whole::new(ToSample {
                plan: &plan,
                sample: &mut sample,
            });
            source.read(unit, 0, &mut sink)?;
            sink.flush()?;
        }
        Ok(sample)
    };
    Ok(Some((own, of(reference)?, of(current)?)))
}
