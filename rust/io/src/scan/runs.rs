//! Sends pages to the states of their groups as they come: for units whose rows change group seldom.

use tidegauge_core::column::{ColumnPlan, ColumnState};
use tidegauge_core::states::blocks::Block;

use super::cuts::Grouping;
use super::grouped::States;
use super::owned::Owned;
use crate::Result;
use crate::source::{PageData, PageSink};
use tidegauge_core::value::Slice;

/// The run of a grouping that rows are being taken from.
#[derive(Default)]
struct Open {
    /// Position of the run, and its rows already taken.
    at: usize,
    used: usize,
    /// The block as it was when the run began.
    before: Option<Block>,
    /// Rows of each value of the dictionary.
    counts: Vec<u64>,
    counted: bool,
}

/// One column of one unit.
pub(super) struct Runs<'a> {
    groupings: &'a [Grouping],
    /// For all rows, and for segments.
    plans: [&'a ColumnPlan; 2],
    states: &'a mut States,
    open: Vec<Open>,
    dictionary: Option<Owned>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(
        groupings: &'a [Grouping],
        plans: [&'a ColumnPlan; 2],
        states: &'a mut States,
    ) -> Self {
        Self {
            groupings,
            plans,
            states,
            open: groupings.iter().map(|_| Open::default()).collect(),
            dictionary: None,
        }
    }

    /// Hands over values that were counted by their position in the dictionary.
    pub(super) fn flush(&mut self) -> Result<()> {
        for g in 0..self.groupings.len() {
            self.hand_over(g)?;
            self.close(g);
        }
        Ok(())
    }

    fn hand_over(&mut self, g: usize) -> Result<()> {
        let (grouping, open) = (&self.groupings[g], &mut self.open[g]);
        if let (Some(d), true, Some(run)) =
            (&self.dictionary, open.counted, grouping.runs.get(open.at))
        {
            let plan = self.plans[usize::from(grouping.segment)];
            let state = state_of(self.states, grouping, run.0, plan);
            state.update_counted(plan, d.slice(), &open.counts)?;
            open.counts.fill(0);
            open.counted = false;
        }
        Ok(())
    }

    /// Ends the block of a run.
    fn close(&mut self, g: usize) {
        let (grouping, open) = (&self.groupings[g], &mut self.open[g]);
        if let (Some(before), Some(run)) = (open.before.take(), grouping.runs.get(open.at)) {
            let plan = self.plans[usize::from(grouping.segment)];
            let state = state_of(self.states, grouping, run.0, plan);
            state.close_block(grouping.blocks[run.0 as usize], &before);
        }
    }
}

fn state_of<'s>(
    states: &'s mut States,
    grouping: &Grouping,
    local: u32,
    plan: &ColumnPlan,
) -> &'s mut ColumnState {
    let group = grouping.groups[local as usize] as usize;
    if states.len() <= group {
        states.resize_with(group + 1, || None);
    }
    states[group].get_or_insert_with(|| Box::new(plan.empty()))
}

impl PageSink for Runs<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        for g in 0..self.groupings.len() {
            self.hand_over(g)?;
            self.open[g].counts.clear();
            self.open[g].counts.resize(values.len(), 0);
        }
        self.dictionary = Some(Owned::all(values));
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        for (g, grouping) in self.groupings.iter().enumerate() {
            let plan = self.plans[usize::from(grouping.segment)];
            let (mut row, mut dense) = (0, 0);
            while row < rows {
                let Some((local, length)) = grouping.runs.get(self.open[g].at).copied() else {
                    break;
                };
                let open = &mut self.open[g];
                let n = (rows - row).min(length as usize - open.used);
                let values = valid.map_or(n, |v| v[row..row + n].iter().filter(|ok| **ok).count());
                let part = dense..dense + values;
                let state = state_of(self.states, grouping, local, plan);
                if open.before.is_none() {
                    open.before = state.open_block();
                }
                state.update_nulls((n - values) as u64)?;
                let short = || tidegauge_core::Error::corrupt("a page with fewer values than rows");
                match data {
                    _ if values == 0 => {}
                    PageData::Values(v) => state.update(plan, v.range(part).ok_or_else(short)?)?,
                    PageData::Indices(at) => {
                        for i in at.get(part).ok_or_else(short)? {
                            if let Some(c) = open.counts.get_mut(*i as usize) {
                                *c += 1;
                            }
                        }
                        open.counted = true;
                    }
                }
                row += n;
                dense += values;
                self.open[g].used += n;
                if self.open[g].used == length as usize {
                    self.hand_over(g)?;
                    self.close(g);
                    let open = &mut self.open[g];
                    (open.at, open.used) = (open.at + 1, 0);
                }
            }
        }
        Ok(())
    }
}
