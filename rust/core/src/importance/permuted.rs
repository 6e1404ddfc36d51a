//! Importance from permutations of the donors, one repeat after another.
//!
//! Products of different repeats estimate what rows and donors contribute to the variance without the
//! noise of the permutations. That noise is what neither a row nor a donor has in common with itself in
//! another repeat: of the mean, the variance of that over rows times repeats. Both have about as many
//! degrees of freedom as there are rows, so that two repeats are enough. With one repeat the squares of
//! row part plus donor part hold both, the noise twice.

use super::u_statistic::{Estimate, Shape};
use crate::{Error, Result};

/// Sums over repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Permuted {
    repeats: u64,
    /// Changes of loss by row, and by donor, summed over repeats.
    rows: Vec<f64>,
    donors: Vec<f64>,
    /// Squares of single changes, and of row part plus donor part of single repeats.
    squares: f64,
    influences: f64,
    any: bool,
    blocks: Option<Blocks>,
}

#[derive(Debug, Clone, PartialEq)]
struct Blocks {
    of_row: Vec<u32>,
    counts: Vec<u64>,
    /// Squares of a block's influences of single repeats, and these times its rows.
    squares: Vec<f64>,
}

impl Permuted {
    /// No repeat yet; `blocks` says which block each row belongs to.
    ///
    /// # Errors
    /// When there are fewer than 2 rows, or not one block for each.
    pub fn new(rows: usize, blocks: Option<&[u32]>) -> Result<Self> {
        if rows < 2 {
            return Err(Error::invalid(format!(
                "{rows} rows; at least 2 are needed"
            )));
        }
        if let Some(blocks) = blocks.filter(|b| b.len() != rows) {
            return Err(Error::invalid(format!(
                "{} blocks for {rows} rows",
                blocks.len()
            )));
        }
        let blocks = blocks.map(|of_row| {
            let count = of_row.iter().max().map_or(0, |b| *b as usize + 1);
            let mut counts = vec![0; count];
            of_row.iter().for_each(|b| counts[*b as usize] += 1);
            Blocks {
                of_row: of_row.to_vec(),
                counts,
                squares: vec![0.0; count],
            }
        });
        Ok(Self {
            repeats: 0,
            rows: vec![0.0; rows],
            donors: vec![0.0; rows],
            squares: 0.0,
            influences: 0.0,
            any: false,
            blocks,
        })
    }

    /// Adds a repeat: the change of each row's loss, and its donor.
    ///
    /// # Errors
    /// When a length differs, or a donor is no row.
    pub fn add(&mut self, changes: &[f64], donors: &[u64]) -> Result<()> {
        let n = self.rows.len();
        if changes.len() != n || donors.len() != n {
            return Err(Error::invalid(format!(
                "{} changes of loss and {} donors of {n} rows",
                changes.len(),
                donors.len()
            )));
        }
        if let Some(k) = donors.iter().find(|k| **k >= n as u64) {
            return Err(Error::invalid(format!("donor {k} of {n} rows")));
        }
        let mut influence = changes.to_vec();
        for ((i, change), k) in changes.iter().enumerate().zip(donors) {
            self.rows[i] += change;
            self.donors[*k as usize] += change;
            influence[*k as usize] += change;
            self.squares += change * change;
            self.any |= *change != 0.0;
        }
        // About this repeat's own mean: what is left out is added where the mean of all is known.
        let mean = 2.0 * changes.iter().sum::<f64>() / n as f64;
        self.influences += influence
            .iter()
            .map(|p| (p - mean) * (p - mean))
            .sum::<f64>();
        if let Some(blocks) = &mut self.blocks {
            let mut sums = vec![0.0; blocks.counts.len()];
            for (p, b) in influence.iter().zip(&blocks.of_row) {
                sums[*b as usize] += p - mean;
            }
            for (held, sum) in blocks.squares.iter_mut().zip(&sums) {
                *held += sum * sum;
            }
        }
        self.repeats += 1;
        Ok(())
    }

    /// The importance, with a standard error by rows, and by blocks where rows have one.
    ///
    /// # Errors
    /// When there was no repeat.
    pub fn finish(&self) -> Result<(Estimate, Option<Estimate>)> {
        if self.repeats == 0 {
            return Err(Error::invalid("no permutation; at least 1 is needed"));
        }
        let (n, r) = (self.rows.len() as f64, self.repeats as f64);
        let value = self.rows.iter().sum::<f64>() / n / r;
        let squares = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
        let about = |v: &[f64]| v.iter().map(|x| (x - r * value).powi(2)).sum::<f64>();
        // Between repeats: the square of a sum less the sum of squares.
        let between = |whole: f64, own: f64| (whole - own) / (r * (r - 1.0));
        let all = self.squares - n * r * value * value;
        let noise = if self.repeats == 1 {
            0.0
        } else {
            let common = between(about(&self.rows), all) + between(about(&self.donors), all);
            (all / r - common).max(0.0) / n / (n * r)
        };
        let mean: Vec<f64> = self
            .rows
            .iter()
            .zip(&self.donors)
            .map(|(a, b)| (a + b) / r - 2.0 * value)
            .collect();
        let projection = if self.repeats == 1 {
            self.influences
        } else {
            between(r * r * squares(&mean), self.influences).max(0.0)
        };
        let moments =
            [2, 3, 4].map(|k| mean.iter().map(|x| x.powi(k)).sum::<f64>() / mean.len() as f64);
        let by_row = Estimate {
            value,
            standard_error: (projection / n / n + noise).sqrt(),
            shape: Shape::new(n, moments, n - 1.0),
            used: self.any,
        };
        let by_block = self.blocks.as_ref().map(|blocks| {
            let mut sums = vec![0.0; blocks.counts.len()];
            for (p, b) in mean.iter().zip(&blocks.of_row) {
                sums[*b as usize] += p;
            }
            let held: Vec<(f64, u64)> = sums
                .iter()
                .zip(&blocks.counts)
                .map(|(s, k)| (s + 2.0 * value * *k as f64, *k))
                .collect();
            let of_sums = by_row.by_block(&held);
            if self.repeats == 1 {
                return of_sums;
            }
            // What is common to repeats, of all that the sums vary; then the noise of the mean.
            let whole = squares(&sums);
            let common = between(r * r * whole, blocks.squares.iter().sum()).max(0.0);
            let share = if whole > 0.0 { common / whole } else { 0.0 };
            Estimate {
                standard_error: (of_sums.standard_error.powi(2) * share + noise).sqrt(),
                ..of_sums
            }
        });
        Ok((by_row, by_block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Both = (Estimate, Option<Estimate>);

    fn of(changes: &[f64], donors: &[u64], blocks: Option<&[u32]>) -> Result<Both> {
        let n = 40;
        let mut made = Permuted::new(n, blocks)?;
        for (c, k) in changes.chunks(n).zip(donors.chunks(n)) {
            made.add(c, k)?;
        }
        made.finish()
    }

    #[test]
    fn permutations_approach_all_pairs() {
        let n = 40;
        let change =
            |i: usize, k: usize| (i * 7 % 11) as f64 * 0.3 + ((k * 5 + i * k) % 13) as f64 - 6.0;
        let d = |i: usize, k: usize| if i == k { 0.0 } else { change(i, k) };
        let rows: Vec<f64> = (0..n).map(|i| (0..n).map(|k| d(i, k)).sum()).collect();
        let donors: Vec<f64> = (0..n).map(|k| (0..n).map(|i| d(i, k)).sum()).collect();
        let exact = Estimate::from_parts(&rows, &donors);
        let blocks: Vec<u32> = (0..n as u32).map(|i| i / 4).collect();
        let mut sums = vec![(0.0, 0); 10];
        for i in 0..n {
            sums[i / 4].0 += (rows[i] + donors[i]) / (n - 1) as f64;
            sums[i / 4].1 += 1;
        }
        let exact_blocks = exact.by_block(&sums);
        // All cyclic shifts but one: every pair once, so there is hardly any noise.
        let shifts = n - 1;
        let orders: Vec<u64> = (1..=shifts)
            .flat_map(|s| (0..n).map(move |i| ((i + s) % n) as u64))
            .collect();
        let changes: Vec<f64> = orders
            .iter()
            .enumerate()
            .map(|(at, k)| d(at % n, *k as usize))
            .collect();
        let (iid, by_block) = of(&changes, &orders, Some(&blocks)).unwrap();
        assert!((iid.value - exact.value).abs() < 1e-12);
        // Without the corrections of a jackknife of 40 rows.
        assert!((iid.standard_error / exact.standard_error - 1.0).abs() < 0.1);
        let by_block = by_block.unwrap();
        assert!((by_block.standard_error / exact_blocks.standard_error - 1.0).abs() < 0.1);
        // Two repeats: the mean of many such variances is the variance that is true of two repeats.
        let mut mean = 0.0;
        for seed in 0..400 {
            let orders: Vec<u64> = (0..2)
                .flat_map(|r| {
                    crate::importance::permutation::keyed(n as u64, seed, "x", r, 0, u64::MAX)
                })
                .collect();
            let changes: Vec<f64> = orders
                .iter()
                .enumerate()
                .map(|(at, k)| d(at % n, *k as usize))
                .collect();
            let (e, _) = of(&changes, &orders, None).unwrap();
            mean += e.standard_error * e.standard_error / 400.0;
        }
        let interaction: f64 = (0..n)
            .flat_map(|i| (0..n).map(move |k| (i, k)))
            .map(|(i, k)| {
                let all: f64 = rows.iter().sum::<f64>() / (n * n) as f64;
                (d(i, k) - (rows[i] + donors[k]) / n as f64 + all).powi(2)
            })
            .sum::<f64>()
            / (n * n) as f64;
        let expected = exact.standard_error.powi(2) + interaction / n as f64 / 2.0;
        assert!((mean / expected - 1.0).abs() < 0.08, "{mean} {expected}");
        let mut bad = Permuted::new(2, None).unwrap();
        assert!(bad.add(&[1.0, 2.0], &[0, 2]).is_err());
        assert!(bad.add(&[1.0], &[0]).is_err());
        assert!(bad.finish().is_err());
        assert!(Permuted::new(2, Some(&[1])).is_err());
    }
}
