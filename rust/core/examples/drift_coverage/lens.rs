//! What is seen of the rows, and the states and pairs that come of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegauge_core::column::{ColumnPlan, ColumnState, Frozen, Kind, refine};
use tidegauge_core::compare::blocked_pair_of;
use tidegauge_core::kernels::key;
use tidegauge_core::pair::{Cell, NumericPair, Pair, Side};
use tidegauge_core::profile::{Column, Profile};
use tidegauge_core::special::{normal_isf, normal_sf};
use tidegauge_core::states::exact_sum::{Sum, decompose};
use tidegauge_core::states::grid::Domain;
use tidegauge_core::states::refine::{Step, grid_of, start};
use tidegauge_core::value::{Bytes, Logical, Slice};
use tidegauge_core::weights::Mass;

use crate::samples::{STRETCHES, Sample};

/// What the normal number becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lens {
    /// Itself.
    Normal,
    /// Its exponential.
    Lognormal,
    /// The nearest half.
    Halves,
    /// One of twelve categories.
    Categories,
    /// Null above 1.6, else itself.
    Missing,
}

/// The stretches as a lens shows them.
pub struct Seen {
    /// The lens.
    pub lens: Lens,
    floats: Vec<f64>,
    categories: Vec<u8>,
    /// Stretches from here on are null.
    nulls: usize,
}

/// Rows of the population below each stretch.
pub struct Below(Vec<u64>);

impl Below {
    /// Of a population.
    pub fn new(population: &Sample) -> Self {
        let mut below = vec![0; STRETCHES + 1];
        for (j, mass) in &population.whole {
            below[j + 1] = mass.units;
        }
        for j in 0..STRETCHES {
            below[j + 1] += below[j];
        }
        Below(below)
    }

    fn rows(&self, from: usize, to: usize) -> u64 {
        self.0[to] - self.0[from]
    }
}

impl Seen {
    /// Looks at every stretch.
    pub fn new(lens: Lens) -> Self {
        let middle = |j: usize| -normal_isf((j as f64 + 0.5) / STRETCHES as f64);
        // Single precision, so that the grid's edges are of that kind at once.
        let single = |x: f64| f64::from(x as f32);
        let floats = (0..STRETCHES)
            .map(|j| match lens {
                Lens::Lognormal => single(libm::exp(middle(j))),
                Lens::Halves => libm::rint(2.0 * middle(j)) / 2.0,
                _ => single(middle(j)),
            })
            .collect();
        // Shares of the categories go from 1/3 down to a twentieth.
        let category = |j: usize| {
            let u = (j as f64 + 0.5) / STRETCHES as f64;
            b'a' + (12.0 * u * u) as u8
        };
        let nulls = if lens == Lens::Missing {
            ((1.0 - normal_sf(1.6)) * STRETCHES as f64) as usize
        } else {
            STRETCHES
        };
        Seen {
            lens,
            floats,
            categories: (0..STRETCHES).map(category).collect(),
            nulls,
        }
    }

    fn plan(&self, frozen: Frozen) -> ColumnPlan {
        let (logical, kind) = match self.lens {
            Lens::Categories => (Logical::String, Kind::Categorical),
            _ => (Logical::Float, Kind::Numeric),
        };
        ColumnPlan {
            name: "x".into(),
            logical,
            source: logical,
            kind,
            frozen,
            compact: false,
            exact: false,
            blocked: false,
            weighed: false,
        }
    }

    /// Gives the values of rows by stretch and how often each occurs to `count`, after the nulls.
    fn show(&self, part: &[(usize, Mass)], mut count: impl FnMut(Slice<'_>, &[Mass], Mass)) {
        let end = part.partition_point(|(j, _)| *j < self.nulls);
        let (held, gone) = part.split_at(end);
        let mut nulls = Mass::default();
        gone.iter().for_each(|(_, m)| nulls.merge(m));
        // Stretches that look alike are one value.
        let alike = |a: usize, b: usize| match self.lens {
            Lens::Categories => self.categories[a] == self.categories[b],
            _ => self.floats[a] == self.floats[b],
        };
        let (mut at, mut masses) = (Vec::new(), Vec::<Mass>::new());
        for (j, mass) in held {
            match (at.last(), masses.last_mut()) {
                (Some(last), Some(sum)) if alike(*last, *j) => sum.merge(mass),
                _ => {
                    at.push(*j);
                    masses.push(*mass);
                }
            }
        }
        if self.lens == Lens::Categories {
            let data: Vec<u8> = at.iter().map(|j| self.categories[*j]).collect();
            let offsets: Vec<u32> = (0..=data.len() as u32).collect();
            let (offsets, data) = (&offsets, &data);
            count(Slice::Bytes(Bytes { offsets, data }), &masses, nulls);
        } else {
            let floats: Vec<f64> = at.iter().map(|j| self.floats[*j]).collect();
            count(Slice::F64(&floats), &masses, nulls);
        }
    }

    fn count(&self, state: &mut ColumnState, plan: &ColumnPlan, part: &[(usize, Mass)]) {
        self.show(part, |values, masses, nulls| {
            let of_plan = if plan.weighed {
                state
                    .update_null_mass(plan, &nulls)
                    .and_then(|()| state.update_masses(plan, values, masses))
            } else {
                state
                    .update_nulls(nulls.units)
                    .and_then(|()| state.update_counted(plan, values, &units(masses)))
            };
            of_plan.expect("values of the plan's type");
        });
    }

    /// The column of a reference.
    pub fn freeze(&self, sample: &Sample, blocked: bool, weighed: bool) -> Column {
        let plan = self.plan(Frozen::Nothing);
        let mut state = plan.empty();
        self.count(&mut state, &plan, &sample.whole);
        let (mut grid, mut dictionary) = (None, None);
        if let Some(categories) = state.categories() {
            dictionary = categories.complete();
        } else {
            let mut step = start(&state.keys().unwrap_or_default());
            let segments = loop {
                match step {
                    Step::Done(segments) => break segments,
                    Step::Refine(mut r) => {
                        self.show(&sample.whole, |values, masses, _| {
                            let counts = units(masses);
                            refine(&mut r, &plan, values, Some(&counts)).expect("floats");
                        });
                        step = r.next();
                    }
                }
            };
            let mean = state.mean_variance(Logical::Float).0;
            let mean = if mean.is_finite() { mean } else { 0.0 };
            let mut all = Mass::default();
            sample.whole.iter().for_each(|(_, m)| all.merge(m));
            let worth = (all.units as f64 * (all.units as f64 / all.squares as f64)) as u64;
            grid = Some(grid_of(&segments, Domain::F64, mean, 0, worth));
        }
        let mut column = Profile::frozen_column("x", plan.logical, plan.kind, grid, dictionary);
        (column.blocked, column.weighed) = (blocked, weighed);
        column
    }

    /// Both populations on the coarse cells of a reference; none of categories, whose cells are fixed.
    pub fn cells(&self, column: &Column, p: &Below, q: &Below) -> Option<Pair> {
        let Frozen::Grid(frame) = &column.frozen else {
            return None;
        };
        let grid = &frame.grid;
        let coarse = |x: f64| grid.coarse_of(grid.cell_of(grid.domain.of_base(key::of_f64(x))));
        let (mut cells, mut from) = (Vec::new(), 0);
        let held = &self.floats[..self.nulls];
        while from < held.len() {
            let own = coarse(held[from]);
            let to = from + held[from..].partition_point(|x| coarse(*x) == own);
            cells.push(Cell {
                low: held[from],
                high: held[to - 1],
                single: false,
                reference: p.rows(from, to),
                current: q.rows(from, to),
                offset_reference: 0.0,
                offset_current: 0.0,
                offset_error: 0.0,
                coarse: own,
            });
            from = to;
        }
        let side = |below: &Below| {
            let finite = below.rows(0, self.nulls);
            let nulls = below.rows(self.nulls, STRETCHES);
            Side {
                rows: finite + nulls,
                nulls,
                finite,
                ..Side::default()
            }
        };
        Some(Pair::Numeric(NumericPair {
            logical: Logical::Float,
            reference: side(p),
            current: side(q),
            cells: cells.into(),
            reference_iqr: 0.0,
            iqr_bounds: (0.0, 0.0),
            near_means: (0.0, 0.0),
            reference_range: (0.0, 0.0),
            out_of_range: (0, 0),
            note: None,
            blocked: None,
        }))
    }

    /// Share of a population's values beyond a sample's range, or in none of its categories.
    pub fn outside(&self, sample: &Sample, population: &Below) -> f64 {
        let held = sample.whole.iter().map(|(j, _)| *j);
        let held: Vec<usize> = held.take_while(|j| *j < self.nulls).collect();
        let all = population.rows(0, self.nulls);
        let (Some(least), Some(largest)) = (held.first(), held.last()) else {
            return 1.0;
        };
        let inside = if self.lens == Lens::Categories {
            let seen: BTreeSet<u8> = held.iter().map(|j| self.categories[*j]).collect();
            let rows = |c: &u8| {
                let from = self.categories.partition_point(|x| x < c);
                population.rows(from, self.categories.partition_point(|x| x <= c))
            };
            seen.iter().map(rows).sum()
        } else {
            let values = &self.floats[..self.nulls];
            let (low, high) = (values[*least], values[*largest]);
            population.rows(
                values.partition_point(|x| *x < low),
                values.partition_point(|x| *x <= high),
            )
        };
        (all - inside) as f64 / all as f64
    }

    /// The state of a sample, by counts.
    pub fn state(&self, column: &Column, exact: bool, sample: &Sample) -> ColumnState {
        let plan = ColumnPlan {
            exact,
            ..column.plan(column.logical, false)
        };
        let mut state = plan.empty();
        self.count(&mut state, &plan, &sample.whole);
        if plan.block_cells().is_some() {
            self.add_blocks(&mut state, &plan, sample);
        }
        state
    }

    /// Blocks of a state that holds all rows: each is what the state holds now and would not hold
    /// without the block.
    fn add_blocks(&self, state: &mut ColumnState, plan: &ColumnPlan, sample: &Sample) {
        /// Sums of a block in units of 2 to this power.
        const UNIT: i32 = -100;
        let all = state.coarse();
        let missing = match plan.kind {
            Kind::Numeric => all.counts.len() - 3,
            Kind::Categorical => all.counts.len() - 1,
        };
        let cell = |j: usize| match (&plan.frozen, j < self.nulls) {
            (_, false) => missing,
            (Frozen::Grid(frame), true) => {
                let k = frame.grid.domain.of_base(key::of_f64(self.floats[j]));
                // Cell `c` lies behind edge `c - 1`.
                let own = frame.grid.cell_of(k);
                frame.grid.nested.partition_point(|e| (*e as usize) < own)
            }
            (Frozen::Dictionary(_) | Frozen::Nothing, true) => {
                let one = [(j, crate::samples::rows(1))];
                let mut state = plan.empty();
                self.count(&mut state, plan, &one);
                let counts = state.coarse().counts;
                counts.iter().position(|n| *n > 0).unwrap_or(missing)
            }
        };
        let mut cells = vec![usize::MAX; STRETCHES];
        let mut deviations = vec![0_i128; STRETCHES];
        let mut tiny = std::collections::BTreeMap::new();
        for (j, _) in &sample.whole {
            // Categories are found once each.
            let same = *j > 0 && self.lens == Lens::Categories;
            let before = same && self.categories[j - 1] == self.categories[*j];
            cells[*j] = match cells[j.saturating_sub(1)] {
                known if before && known != usize::MAX => known,
                _ => cell(*j),
            };
            if let (Frozen::Grid(frame), true) = (&plan.frozen, *j < self.nulls) {
                let (negative, digits, exponent) = decompose(self.floats[*j] - frame.grid.center);
                let Ok(shift) = u32::try_from(exponent - UNIT) else {
                    // Beside a centre of 0.
                    tiny.insert(*j, (negative, digits, exponent));
                    continue;
                };
                let size = i128::from(digits) << shift;
                deviations[*j] = if negative { -size } else { size };
            }
        }
        for (key, block) in sample.blocks.iter().enumerate() {
            let mut own = vec![0_u64; all.counts.len()];
            let mut sum = 0_i128;
            let mut taken = Sum::new();
            for (j, n) in block {
                own[cells[*j as usize]] += u64::from(*n);
                sum += deviations[*j as usize] * i128::from(*n);
                if let Some((negative, digits, exponent)) = tiny.get(&(*j as usize)) {
                    taken.add_scaled(*negative, u128::from(*digits) * u128::from(*n), *exponent);
                }
            }
            let mut before = all.clone();
            before
                .counts
                .iter_mut()
                .zip(&own)
                .for_each(|(a, b)| *a -= b);
            taken.add_scaled(sum < 0, sum.unsigned_abs(), UNIT);
            before.sum.subtract_sum(&taken);
            state.close_block(key as i64, &before);
        }
    }

    /// The same, row by row: the slow twin of [`Seen::state`].
    #[allow(dead_code, reason = "for the tests")]
    pub fn state_by_rows(&self, column: &Column, sample: &Sample) -> ColumnState {
        let plan = column.plan(column.logical, false);
        let mut state = plan.empty();
        let row = |state: &mut ColumnState, j: usize, mass: Mass| {
            self.count(state, &plan, &[(j, mass)]);
        };
        for (key, block) in sample.blocks.iter().enumerate() {
            for (j, n) in block {
                for _ in 0..*n {
                    let before = state.open_block().unwrap_or_default();
                    row(&mut state, *j as usize, crate::samples::rows(1));
                    state.close_block(key as i64, &before);
                }
            }
        }
        if sample.blocks.is_empty() {
            for (j, mass) in &sample.whole {
                if plan.weighed {
                    row(&mut state, *j, *mass);
                } else {
                    (0..mass.units).for_each(|_| row(&mut state, *j, crate::samples::rows(1)));
                }
            }
        }
        state
    }
}

fn units(masses: &[Mass]) -> Vec<u64> {
    masses.iter().map(|m| m.units).collect()
}

/// The two samples on their common partition.
pub fn pair(column: &Column, reference: &ColumnState, current: &ColumnState) -> Pair {
    let label: Option<Arc<str>> = column.blocked.then(|| "block:1d".into());
    blocked_pair_of(column, label.as_ref(), reference, current).expect("one column")
}
