//! Sends the rows of a column to the states of their groups, run by run.

use std::sync::Mutex;

use tidegauge_core::column::{ColumnPlan, ColumnState};
use tidegauge_core::value::Slice;
use tidegauge_core::weights::Mass;

use super::cuts::Grouping;
use super::owned::Owned;
use super::weights::RowUnits;
use crate::Result;
use crate::source::{PageData, PageSink};

/// Values held before they are handed to the states of their groups.
const BUFFER_BYTES: usize = 4 << 20;

/// States of one column by number of the group.
pub(super) type States = Vec<Option<Box<ColumnState>>>;

/// States of one column. A thread takes them for a unit; where another has them it begins anew, and
/// both are merged when they come back, so that memory does not depend on chance or on units.
#[derive(Default)]
pub(super) struct Pool(Mutex<Option<States>>);

impl Pool {
    pub(super) fn take(&self) -> States {
        let mut pool = self.0.lock().unwrap_or_else(|p| p.into_inner());
        pool.take().unwrap_or_default()
    }

    pub(super) fn give(&self, states: States) -> Result<()> {
        let mut pool = self.0.lock().unwrap_or_else(|p| p.into_inner());
        match &mut *pool {
            None => *pool = Some(states),
            Some(all) => {
                if all.len() < states.len() {
                    all.resize_with(states.len(), || None);
                }
                for (a, b) in all.iter_mut().zip(states) {
                    match (a, b) {
                        (Some(a), Some(b)) => a.merge(&b)?,
                        (a @ None, b) => *a = b,
                        (Some(_), None) => {}
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn into_states(self) -> States {
        let all = self.0.into_inner().unwrap_or_else(|p| p.into_inner());
        all.unwrap_or_default()
    }
}

/// Holds rows of one column of one unit until there are enough of them.
pub(super) struct Grouped<'a> {
    groupings: &'a [Grouping],
    /// For all rows, and for segments.
    plans: [&'a ColumnPlan; 2],
    states: &'a mut States,
    /// Units of the rows, where they have weights.
    units: Option<&'a RowUnits>,
    /// By grouping and group, the first row not yet counted.
    cursors: Vec<Vec<u32>>,
    dictionary: Option<Owned>,
    /// Rows held: the first one, how many, and whether their values are positions in the dictionary.
    from: usize,
    rows: usize,
    indexed: bool,
    values: Option<Owned>,
    indices: Vec<u32>,
    /// One flag a row; empty when no row is null.
    valid: Vec<bool>,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    present: Vec<u32>,
    counts: Vec<u64>,
    used: Vec<u32>,
    used_counts: Vec<u64>,
    masses: Vec<Mass>,
}

/// Rows whose masses are laid out at a time.
const MASSES: usize = 1 << 13;

impl<'a> Grouped<'a> {
    pub(super) fn new(
        groupings: &'a [Grouping],
        plans: [&'a ColumnPlan; 2],
        states: &'a mut States,
        units: Option<&'a RowUnits>,
    ) -> Self {
        let begin = |g: &Grouping| g.starts[..g.groups.len()].to_vec();
        Self {
            groupings,
            plans,
            states,
            units,
            cursors: groupings.iter().map(begin).collect(),
            dictionary: None,
            from: 0,
            rows: 0,
            indexed: false,
            values: None,
            indices: Vec::new(),
            valid: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Hands over the rows held.
    pub(super) fn flush(&mut self) -> Result<()> {
        let to = self.from + self.rows;
        let of_dictionary = self.dictionary.as_ref().filter(|_| self.indexed);
        if let Some(d) = of_dictionary {
            self.scratch.counts.clear();
            self.scratch.counts.resize(d.slice().len(), 0);
        }
        for (grouping, cursors) in self.groupings.iter().zip(&mut self.cursors) {
            let plan = self.plans[usize::from(grouping.segment)];
            for (g, cursor) in cursors.iter_mut().enumerate() {
                let rest = &grouping.order[*cursor as usize..grouping.starts[g + 1] as usize];
                let n = rest.partition_point(|row| (*row as usize) < to);
                if n == 0 {
                    continue;
                }
                *cursor += n as u32;
                let group = grouping.groups[g] as usize;
                if self.states.len() <= group {
                    self.states.resize_with(group + 1, || None);
                }
                let state = self.states[group].get_or_insert_with(|| Box::new(plan.empty()));
                let scratch = &mut self.scratch;
                scratch.present.clear();
                if let Some(units) = self.units {
                    let mut nulls = Mass::default();
                    for row in &rest[..n] {
                        let local = *row - self.from as u32;
                        let own = units.of(*row as usize);
                        match self.valid.is_empty() || self.valid[local as usize] {
                            true if own.count > 0 => scratch.present.push(local),
                            true => {}
                            false => nulls.add(own),
                        }
                    }
                    let held = Held {
                        units,
                        from: self.from,
                        dictionary: of_dictionary,
                        indices: &self.indices,
                        values: self.values.as_ref(),
                    };
                    state.in_block(grouping.blocks[g], |s| {
                        s.update_null_mass(plan, &nulls)?;
                        held.weigh(plan, s, scratch)
                    })?;
                    continue;
                }
                let local = rest[..n].iter().map(|row| *row - self.from as u32);
                if self.valid.is_empty() {
                    scratch.present.extend(local);
                } else {
                    scratch
                        .present
                        .extend(local.filter(|row| self.valid[*row as usize]));
                }
                let Scratch {
                    present: at,
                    counts,
                    used,
                    used_counts,
                    ..
                } = scratch;
                state.in_block(grouping.blocks[g], |s| {
                    s.update_nulls((n - at.len()) as u64)?;
                    let (Some(first), Some(last)) = (at.first(), at.last()) else {
                        return Ok(());
                    };
                    if let Some(dictionary) = of_dictionary {
                        let dictionary = dictionary.slice();
                        let ordered = !matches!(dictionary, Slice::Bytes(_) | Slice::Bool(_));
                        if ordered && dictionary.len() > at.len() / 2 {
                            // Hardly any value comes twice: kernels are quicker than counts.
                            let of = at.iter().map(|row| self.indices[*row as usize] as usize);
                            s.update(plan, Owned::gather(dictionary, of).slice())?;
                            return Ok(());
                        }
                        used.clear();
                        for row in at {
                            let index = self.indices[*row as usize];
                            let count = &mut counts[index as usize];
                            if *count == 0 {
                                used.push(index);
                            }
                            *count += 1;
                        }
                        used_counts.clear();
                        for index in used.iter() {
                            let count = &mut counts[*index as usize];
                            used_counts.push(std::mem::take(count));
                        }
                        let of = used.iter().map(|index| *index as usize);
                        let values = Owned::gather(dictionary, of);
                        s.update_counted(plan, values.slice(), used_counts)?;
                    } else if let Some(values) = &self.values {
                        let run = *first as usize..*last as usize + 1;
                        if run.len() == at.len() {
                            s.update(plan, values.part(run.start, run.end))?;
                        } else {
                            let of = at.iter().map(|row| *row as usize);
                            s.update(plan, Owned::gather(values.slice(), of).slice())?;
                        }
                    }
                    Ok(())
                })?;
            }
        }
        self.from = to;
        self.rows = 0;
        self.indices.clear();
        self.valid.clear();
        if let Some(values) = &mut self.values {
            values.clear();
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        let values = self.values.as_ref().map_or(0, Owned::bytes);
        4 * self.indices.len() + values
    }
}

/// Rows held, with their weights.
struct Held<'a> {
    units: &'a RowUnits,
    from: usize,
    dictionary: Option<&'a Owned>,
    indices: &'a [u32],
    values: Option<&'a Owned>,
}

impl Held<'_> {
    /// Counts the rows in `scratch.present`, each as often as it has units.
    fn weigh(
        &self,
        plan: &ColumnPlan,
        state: &mut ColumnState,
        scratch: &mut Scratch,
    ) -> tidegauge_core::Result<()> {
        let units = |row: u32| self.units.of(self.from + row as usize);
        let Scratch {
            present,
            used,
            masses,
            ..
        } = scratch;
        if let Some(dictionary) = self.dictionary.map(Owned::slice) {
            masses.resize(dictionary.len().max(masses.len()), Mass::default());
            used.clear();
            for row in present.iter() {
                let index = self.indices[*row as usize];
                let mass = &mut masses[index as usize];
                if mass.rows == 0 {
                    used.push(index);
                }
                mass.add(units(*row));
            }
            for part in used.chunks(MASSES) {
                let of = part.iter().map(|index| *index as usize);
                let values = Owned::gather(dictionary, of);
                let own: Vec<Mass> = part
                    .iter()
                    .map(|index| std::mem::take(&mut masses[*index as usize]))
                    .collect();
                state.update_masses(plan, values.slice(), &own)?;
            }
        } else if let Some(values) = self.values {
            for part in present.chunks(MASSES) {
                let of = part.iter().map(|row| *row as usize);
                let gathered = Owned::gather(values.slice(), of);
                let own: Vec<Mass> = part
                    .iter()
                    .map(|row| {
                        let mut mass = Mass::default();
                        mass.add(units(*row));
                        mass
                    })
                    .collect();
                state.update_masses(plan, gathered.slice(), &own)?;
            }
        }
        Ok(())
    }
}

impl PageSink for Grouped<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.flush()?;
        self.dictionary = Some(Owned::all(values));
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let indexed = matches!(data, PageData::Indices(_));
        let same = match (&self.values, data) {
            (Some(held), PageData::Values(v)) => held.is_like(v),
            (None, PageData::Values(_)) => self.rows == 0,
            _ => true,
        };
        if self.rows > 0 && (indexed != self.indexed || !same) {
            self.flush()?;
        }
        self.indexed = indexed;
        match data {
            PageData::Indices(at) => spread(&mut self.indices, rows, valid, at),
            PageData::Values(v) => {
                if !same {
                    self.values = None;
                }
                let held = self.values.get_or_insert_with(|| Owned::empty(v));
                held.extend(rows, valid, v);
            }
        }
        match valid {
            Some(valid) => {
                self.valid.resize(self.rows, true);
                self.valid.extend_from_slice(valid);
            }
            None if !self.valid.is_empty() => self.valid.resize(self.rows + rows, true),
            None => {}
        }
        self.rows += rows;
        if self.held_bytes() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }
}

/// Appends values at the rows they belong to; null rows get a value that nobody reads.
pub(super) fn spread<T: Copy + Default>(
    out: &mut Vec<T>,
    rows: usize,
    valid: Option<&[bool]>,
    values: &[T],
) {
    match valid {
        None => out.extend_from_slice(values),
        Some(valid) => {
            let mut values = values.iter();
            out.extend(valid.iter().take(rows).map(|ok| {
                if *ok {
                    values.next().copied().unwrap_or_default()
                } else {
                    T::default()
                }
            }));
        }
    }
}
