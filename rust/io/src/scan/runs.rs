//! Sends pages to the states of their groups as they come: for units whose rows change group seldom.

use tidegauge_core::column::{ColumnPlan, ColumnState, Placed};
use tidegauge_core::states::blocks::Block;

use super::cuts::Grouping;
use super::grouped::States;
use super::owned::Owned;
use super::tally;
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
    /// Rows of this run by value of the dictionary, and how many.
    counts: Vec<u64>,
    counted: usize,
    /// Rows of earlier runs of the same group by value of the dictionary: on their blocks already,
    /// not yet in the state.
    held: Vec<u64>,
    holds: bool,
}

/// A dictionary, and where its values fall in a block, once that is asked for: by plan.
struct Shared {
    values: Owned,
    placed: [Option<Option<Placed>>; 2],
}

/// One column of one unit.
pub(super) struct Runs<'a> {
    groupings: &'a [Grouping],
    /// For all rows, and for segments.
    plans: [&'a ColumnPlan; 2],
    states: &'a mut States,
    open: Vec<Open>,
    dictionary: Option<Shared>,
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
            self.settle(g)?;
            self.hand_over(g)?;
        }
        Ok(())
    }

    /// Ends a block: rows counted by their position reach the state or, where the dictionary repeats
    /// and serves further runs, the block alone.
    fn settle(&mut self, g: usize) -> Result<()> {
        let (grouping, open) = (&self.groupings[g], &mut self.open[g]);
        let Some((local, _)) = grouping.runs.get(open.at).copied() else {
            return Ok(());
        };
        let plan = self.plans[usize::from(grouping.segment)];
        let block = grouping.blocks[local as usize];
        if open.counted > 0
            && let Some(d) = &mut self.dictionary
        {
            let state = state_of(self.states, grouping, local, plan);
            let slot = &mut d.placed[usize::from(grouping.segment)];
            let further = slot.is_some() || open.at + 1 < grouping.runs.len();
            let repeats = further && open.counted / 2 >= open.counts.len();
            if repeats && slot.is_none() {
                *slot = Some(Placed::new(plan, d.values.slice())?);
            }
            if let (true, Some(Some(placed))) = (repeats, &*slot) {
                state.add_to_block(block, placed, &open.counts);
                open.held.resize(open.counts.len(), 0);
                for (held, n) in open.held.iter_mut().zip(&mut open.counts) {
                    *held += std::mem::take(n);
                }
                open.holds = true;
            } else {
                state.update_counted(plan, d.values.slice(), &open.counts)?;
                open.counts.fill(0);
            }
            open.counted = 0;
        }
        if let Some(before) = open.before.take() {
            state_of(self.states, grouping, local, plan).close_block(block, &before);
        }
        Ok(())
    }

    /// Hands rows whose blocks have them to the state of their group, outside any block.
    fn hand_over(&mut self, g: usize) -> Result<()> {
        let (grouping, open) = (&self.groupings[g], &mut self.open[g]);
        if let (true, Some(d), Some((local, _))) =
            (open.holds, &self.dictionary, grouping.runs.get(open.at))
        {
            let plan = self.plans[usize::from(grouping.segment)];
            let state = state_of(self.states, grouping, *local, plan);
            state.update_counted(plan, d.values.slice(), &open.held)?;
            open.held.fill(0);
            open.holds = false;
        }
        Ok(())
    }

    /// Goes on to the next run.
    fn advance(&mut self, g: usize) -> Result<()> {
        self.settle(g)?;
        let (grouping, at) = (&self.groupings[g], self.open[g].at);
        let group = |at: usize| grouping.runs.get(at).map(|r| grouping.groups[r.0 as usize]);
        if group(at) != group(at + 1) {
            self.hand_over(g)?;
        }
        let open = &mut self.open[g];
        (open.at, open.used) = (at + 1, 0);
        Ok(())
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
        self.flush()?;
        for open in &mut self.open {
            open.counts.clear();
            open.counts.resize(values.len(), 0);
            open.held.clear();
        }
        self.dictionary = Some(Shared {
            values: Owned::all(values),
            placed: [None, None],
        });
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let all = match data {
            PageData::Values(v) => v.len(),
            PageData::Indices(at) => at.len(),
        };
        for (g, grouping) in self.groupings.iter().enumerate() {
            let plan = self.plans[usize::from(grouping.segment)];
            let (mut row, mut dense) = (0, 0);
            while row < rows {
                let Some((local, length)) = grouping.runs.get(self.open[g].at).copied() else {
                    break;
                };
                let open = &mut self.open[g];
                let n = (rows - row).min(length as usize - open.used);
                let values = match valid {
                    _ if n == rows => all,
                    None => n,
                    Some(v) => v[row..row + n].iter().filter(|ok| **ok).count(),
                };
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
                        tally(&mut open.counts, at.get(part).ok_or_else(short)?);
                        open.counted += values;
                    }
                }
                row += n;
                dense += values;
                self.open[g].used += n;
                if self.open[g].used == length as usize {
                    self.advance(g)?;
                }
            }
        }
        Ok(())
    }
}
