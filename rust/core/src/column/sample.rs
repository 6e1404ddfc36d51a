//! An ordered sample held in memory: for exact statistics of arrays.

use super::{ColumnPlan, Lane, base_domain, lane, near_means, scaled, special};
use crate::Result;
use crate::kernels::{BLOCK, key, summary};
use crate::states::counts::Counts;
use crate::states::exact_sum::{Sum, add_block};
use crate::states::grid::Domain;
use crate::states::moments::{Center, Moments};
use crate::value::{Logical, Slice};

/// The base keys of the finite values of a sample, 8 bytes a value, and its rows by kind.
///
/// Sorting all keys once costs a fraction of what a [`ColumnState`](super::ColumnState) does that counts
/// distinct values, and every statistic of values is a walk over them. Keys, counts and moments are
/// those of the state.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Rows by kind.
    pub counts: Counts,
    /// Keys of the finite values; ascending once the sample is sorted.
    pub keys: Vec<u64>,
    moments: Moments,
}

impl Sample {
    /// Adds null rows.
    pub fn update_nulls(&mut self, n: u64) {
        self.counts.nulls += n;
    }

    /// Adds each value once.
    ///
    /// # Errors
    /// A value that does not convert exactly to the type of the plan.
    pub fn update(&mut self, plan: &ColumnPlan, values: Slice<'_>) -> Result<()> {
        match lane(plan, values, &mut self.counts, None)? {
            Lane::Floats(v) => v.chunks(BLOCK).for_each(|block| self.floats(block)),
            Lane::Signed(v) => self.keys.extend(v.iter().map(|x| key::of_i64(*x))),
            Lane::Unsigned(v) => self.keys.extend_from_slice(&v),
            Lane::Gaps(v, _) => self.keys.extend(v.into_iter().map(|(k, _)| k)),
        }
        Ok(())
    }

    /// Adds value `i` `counts[i]` times.
    ///
    /// # Errors
    /// As [`Sample::update`].
    pub fn update_counted(
        &mut self,
        plan: &ColumnPlan,
        values: Slice<'_>,
        counts: &[u64],
    ) -> Result<()> {
        let lane = lane(plan, values, &mut self.counts, Some(counts))?;
        let times = counts.iter().copied();
        match lane {
            Lane::Floats(v) => v.iter().zip(times).for_each(|(x, n)| self.float(*x, n)),
            Lane::Signed(v) => {
                for (x, n) in v.iter().zip(times) {
                    self.key(key::of_i64(*x), n);
                }
            }
            Lane::Unsigned(v) => v.iter().zip(times).for_each(|(k, n)| self.key(*k, n)),
            Lane::Gaps(v, _) => v.into_iter().for_each(|(k, i)| self.key(k, counts[i])),
        }
        Ok(())
    }

    fn floats(&mut self, values: &[f64]) {
        let found = summary::of(values);
        if found.finite {
            self.counts.not_f32 += found.not_f32;
            return self.keys.extend(values.iter().map(|x| key::of_f64(*x)));
        }
        values.iter().for_each(|x| self.float(*x, 1));
    }

    fn float(&mut self, x: f64, times: u64) {
        if !x.is_finite() {
            return special(&mut self.counts, x, times);
        }
        self.counts.not_f32 += u64::from(f64::from(x as f32) != x) * times;
        self.key(key::of_f64(x), times);
    }

    fn key(&mut self, key: u64, times: u64) {
        self.keys.extend((0..times).map(|_| key));
    }

    /// Sets how many values there are and between which they lie, once all are added.
    pub fn close(&mut self) {
        let extend = |range: Option<(u64, u64)>, k: &u64| {
            Some(range.map_or((*k, *k), |(low, high)| (low.min(*k), high.max(*k))))
        };
        self.counts.finite = self.keys.len() as u64;
        self.counts.range = self.keys.iter().fold(None, extend);
    }

    /// Sorts the keys and sums the values about `center`, or about their own mean, which is returned:
    /// the centre that a grid of this reference has.
    pub fn sort(&mut self, logical: Logical, center: Option<f64>) -> f64 {
        self.keys.sort_unstable();
        let domain = base_domain(logical);
        let center = match (domain, center) {
            (Domain::F64, Some(center)) => center,
            (Domain::F64, None) => self.own_center(),
            _ => 0.0,
        };
        for block in self.keys.chunks(BLOCK) {
            // Blocks are never empty.
            let (low, high) = (block[0], block[block.len() - 1]);
            match domain {
                Domain::F64 | Domain::F32 => {
                    let mut buffer = [0.0; BLOCK];
                    let values = values_of(block, &mut buffer);
                    let range = (key::to_f64(low), key::to_f64(high));
                    self.moments.update_f64(values, range, Center::At(center));
                }
                Domain::Signed => {
                    let mut buffer = [0; BLOCK];
                    let values = &mut buffer[..block.len()];
                    for (x, k) in values.iter_mut().zip(block) {
                        *x = key::to_i64(*k);
                    }
                    let range = (key::to_i64(low), key::to_i64(high));
                    self.moments.update_i64(values, range);
                }
                Domain::Unsigned => self.moments.update_u64(block, (low, high)),
            }
        }
        center
    }

    /// The mean of floats, or 0 where it is out of reach.
    fn own_center(&self) -> f64 {
        let mut sum = Sum::default();
        for block in self.keys.chunks(BLOCK) {
            let mut buffer = [0.0; BLOCK];
            add_block(&mut sum, values_of(block, &mut buffer));
        }
        let mean = 0.0 + sum.divided_by(self.keys.len() as u64);
        if mean.abs() < 1e290 { mean } else { 0.0 }
    }

    /// Mean and variance of the finite values in the unit of the column; NaN where undefined.
    pub fn mean_variance(&self, logical: Logical, center: f64) -> (f64, f64) {
        let n = self.counts.finite;
        let unit = scaled(logical, 1.0);
        (
            scaled(logical, self.moments.mean(n, center)),
            self.moments.variance(n) * unit * unit,
        )
    }

    /// [`near_means`] of two sorted samples about one centre.
    pub(crate) fn near_means(&self, other: &Self, logical: Logical) -> (f64, f64) {
        let of = |sample: &'_ Self| sample.counts.finite;
        near_means(
            logical,
            (&self.moments, of(self)),
            (&other.moments, of(other)),
        )
    }

    /// Distinct finite values of a sorted sample.
    pub fn distinct(&self) -> u64 {
        let steps = self.keys.windows(2).filter(|w| w[0] != w[1]).count();
        steps as u64 + u64::from(!self.keys.is_empty())
    }
}

fn values_of<'a>(keys: &[u64], buffer: &'a mut [f64; BLOCK]) -> &'a [f64] {
    for (x, k) in buffer.iter_mut().zip(keys) {
        *x = key::to_f64(*k);
    }
    &buffer[..keys.len()]
}
