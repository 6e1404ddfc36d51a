//! Number of distinct values: the `k` smallest hashes, exact below `k`.
//!
//! The k smallest hashes of a set are a function of the set (Cohen and Kaplan 2007), so the state is
//! canonical; beyond k the estimate is `(k - 1) / h_k` with relative standard error `1 / sqrt(k - 2)`
//! (Beyer et al. 2007).

use crate::codec::{Reader, Writer};
use crate::kernels::key::{self, mix};
use crate::{Error, Result};

/// Hashes kept.
pub const K: usize = 1024;

/// The state: hashes in ascending order once finished.
#[derive(Debug, Clone, Default)]
pub struct Distinct {
    hashes: Vec<u64>,
    /// Hashes at or above this cannot be among the k smallest.
    threshold: Option<u64>,
}

impl PartialEq for Distinct {
    fn eq(&self, other: &Self) -> bool {
        self.finish() == other.finish()
    }
}

impl Distinct {
    /// No value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds hashes of values.
    #[inline]
    pub fn update(&mut self, hashes: impl IntoIterator<Item = u64>) {
        for h in hashes {
            if self.threshold.is_none_or(|t| h < t) && self.hashes.last() != Some(&h) {
                self.hashes.push(h);
                if self.hashes.len() >= 4 * K {
                    self.compact();
                }
            }
        }
    }

    /// Adds the values of a block, given by their keys.
    #[inline(never)]
    pub fn update_keys(&mut self, keys: &[u64]) {
        let Some(threshold) = self.threshold else {
            return self.update(keys.iter().map(|k| mix(*k)));
        };
        // Almost no hash of a long column passes, and its top 31 bits, which the last step leaves as they
        // are, mostly say so. The threshold can only fall meanwhile.
        let bound = threshold | ((1 << 33) - 1);
        for k in keys {
            if key::mix_but_last(*k) <= bound {
                self.update([mix(*k)]);
            }
        }
    }

    fn compact(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        if self.hashes.len() > K {
            self.hashes.truncate(K);
            self.threshold = self.hashes.last().copied();
        }
    }

    /// Adds another state.
    pub fn merge(&mut self, other: &Self) {
        self.update(other.hashes.iter().copied());
    }

    /// The k smallest hashes, ascending.
    pub fn finish(&self) -> Vec<u64> {
        let mut all = self.clone();
        all.compact();
        all.hashes
    }

    /// Estimate and its standard error (0 when exact).
    pub fn estimate(&self) -> (f64, f64) {
        let hashes = self.finish();
        match hashes.last() {
            Some(last) if hashes.len() == K => {
                let share = (*last as f64 + 1.0) / 18_446_744_073_709_551_616.0;
                let n = (K as f64 - 1.0) / share;
                (n, n / ((K - 2) as f64).sqrt())
            }
            _ => (hashes.len() as f64, 0.0),
        }
    }

    /// Writes the state.
    pub fn encode(&self, w: &mut Writer) {
        w.ascending(self.finish().into_iter());
    }

    /// Reads what [`Distinct::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let hashes = r.ascending()?;
        if hashes.len() > K {
            return Err(Error::corrupt("more hashes than a distinct state holds"));
        }
        let threshold = if hashes.len() == K {
            hashes.last().copied()
        } else {
            None
        };
        Ok(Self { hashes, threshold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_below_k_and_close_above() {
        let mut d = Distinct::new();
        d.update((0..1000).map(|i| mix(i % 500)));
        assert_eq!(d.estimate(), (500.0, 0.0));
        d.update((0..200_000).map(mix));
        let (n, se) = d.estimate();
        assert!((n - 200_000.0).abs() < 4.0 * se, "{n} +- {se}");
    }

    #[test]
    fn blocks_equal_single_values() {
        let keys: Vec<u64> = (0..20_000).map(|i| i % 9000).collect();
        let (mut blocks, mut single) = (Distinct::new(), Distinct::new());
        keys.chunks(512).for_each(|c| blocks.update_keys(c));
        keys.iter().for_each(|k| single.update([mix(*k)]));
        assert_eq!(blocks.finish(), single.finish());
    }

    #[test]
    fn order_and_split_do_not_matter() {
        let values: Vec<u64> = (0..5000).map(mix).collect();
        let mut whole = Distinct::new();
        whole.update(values.iter().copied());
        let (mut a, mut b) = (Distinct::new(), Distinct::new());
        a.update(values[3000..].iter().rev().copied());
        b.update(values[..3100].iter().copied());
        a.merge(&b);
        assert_eq!(a.finish(), whole.finish());
    }
}
