//! Permutation tests: units change sides, and p counts the allocation that was seen.

use super::random::Stream;
use super::table::Units;

/// Which rows lie in the sample of fewer units: as seen first, then `permutations` times drawn anew.
pub struct Allocations {
    /// By allocation, a bit for each row.
    masks: Vec<Vec<u64>>,
    /// Rows of the masked side by allocation.
    pub rows: Vec<usize>,
    total: usize,
}

impl Allocations {
    /// Draws allocations of units, as many units on each side as there were.
    pub fn new(units: &Units, permutations: usize, seed: u64, purpose: &str) -> Self {
        let (a, b) = units.count;
        let all = a + b;
        let mut order: Vec<usize> = (0..all).collect();
        let rows = units.of_row.len();
        let mut made = Allocations {
            masks: Vec::with_capacity(permutations + 1),
            rows: Vec::with_capacity(permutations + 1),
            total: rows,
        };
        let seen: Vec<bool> = (0..all).map(|u| (u < a) == (a <= b)).collect();
        made.push(units, &seen);
        for k in 0..permutations {
            let mut stream = Stream::new(seed, purpose, k as u64);
            let mut chosen = vec![false; all];
            // The first places of a Fisher-Yates shuffle; where it starts does not matter.
            for i in 0..a.min(b) {
                let j = i + stream.below((all - i) as u64) as usize;
                order.swap(i, j);
                chosen[order[i]] = true;
            }
            made.push(units, &chosen);
        }
        made
    }

    fn push(&mut self, units: &Units, chosen: &[bool]) {
        let mut mask = vec![0_u64; self.total.div_ceil(64)];
        let mut rows = 0;
        for (row, unit) in units.of_row.iter().enumerate() {
            if chosen[*unit] {
                mask[row / 64] |= 1 << (row % 64);
                rows += 1;
            }
        }
        self.masks.push(mask);
        self.rows.push(rows);
    }

    /// Number of allocations, the one that was seen included.
    pub fn count(&self) -> usize {
        self.masks.len()
    }

    /// The rows of the masked side in allocation `k`, 64 to a word.
    pub fn mask(&self, k: usize) -> &[u64] {
        &self.masks[k]
    }
}

/// What a permutation test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The statistic as seen.
    pub value: f64,
    /// `(b + 1) / (m + 1)`, `b` of `m` allocations at least as large (Phipson and Smyth 2010); none without
    /// permutations.
    pub pvalue: Option<f64>,
    /// Mean over the allocations that were drawn.
    pub expected: Option<f64>,
}

impl Found {
    /// Ranks the first of `values` among them; `scale` is the size at which rounding is told from a difference.
    pub fn new(values: &[f64], scale: f64) -> Option<Self> {
        let (value, drawn) = values.split_first()?;
        let m = drawn.len() as f64;
        let slack = 1e-12 * scale.abs();
        let reached = drawn.iter().filter(|v| **v >= *value - slack).count();
        let any = !drawn.is_empty();
        Some(Found {
            value: *value,
            pvalue: any.then(|| (reached as f64 + 1.0) / (m + 1.0)),
            expected: any.then(|| crate::statistics::sum(drawn.iter().copied()) / m),
        })
    }
}
