//! Extremes and counts of a block of floats.

/// What a pass over a block of floats finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Whether every value is finite; the rest is defined only then.
    pub finite: bool,
    /// Smallest value; infinity of an empty block.
    pub low: f64,
    /// Largest value; minus infinity of an empty block.
    pub high: f64,
    /// Zeros of either sign.
    pub zeros: u64,
    /// Values below zero.
    pub negatives: u64,
    /// Values that single precision cannot hold exactly.
    pub not_f32: u64,
}

/// Values side by side: enough for two vectors of the baseline, which the compiler then uses.
const LANES: usize = 4;

#[derive(Clone, Copy)]
struct Lanes {
    /// Stays 0 while all values are finite, NaN from the first other one on.
    probe: [f64; LANES],
    low: [f64; LANES],
    high: [f64; LANES],
    zeros: [u64; LANES],
    negatives: [u64; LANES],
    not_f32: [u64; LANES],
}

impl Lanes {
    // Counters as wide as the values they count, comparisons in the order of minpd and maxpd.
    #[inline(always)]
    fn add(&mut self, values: [f64; LANES]) {
        for (i, x) in values.into_iter().enumerate() {
            self.probe[i] += x * 0.0;
            self.low[i] = if x < self.low[i] { x } else { self.low[i] };
            self.high[i] = if x > self.high[i] { x } else { self.high[i] };
            self.zeros[i] += u64::from(x == 0.0);
            self.negatives[i] += u64::from(x < 0.0);
            self.not_f32[i] += u64::from(f64::from(x as f32) != x);
        }
    }
}

/// Summarises a block.
#[inline(never)]
pub fn of(values: &[f64]) -> Summary {
    let mut lanes = Lanes {
        probe: [0.0; LANES],
        low: [f64::INFINITY; LANES],
        high: [f64::NEG_INFINITY; LANES],
        zeros: [0; LANES],
        negatives: [0; LANES],
        not_f32: [0; LANES],
    };
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        lanes.add(*chunk);
    }
    let mut all = Summary {
        finite: lanes.probe.iter().all(|p| *p == 0.0) && rest.iter().all(|x| x.is_finite()),
        low: lanes.low.into_iter().fold(f64::INFINITY, f64::min),
        high: lanes.high.into_iter().fold(f64::NEG_INFINITY, f64::max),
        zeros: lanes.zeros.iter().sum(),
        negatives: lanes.negatives.iter().sum(),
        not_f32: lanes.not_f32.iter().sum(),
    };
    for &x in rest {
        all.low = all.low.min(x);
        all.high = all.high.max(x);
        all.zeros += u64::from(x == 0.0);
        all.negatives += u64::from(x < 0.0);
        all.not_f32 += u64::from(f64::from(x as f32) != x);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_its_naive_twin(values in prop::collection::vec(prop_oneof![any::<f64>(), -2.0..2.0f64, Just(-0.0), Just(0.5)], 0..40)) {
            let found = of(&values);
            prop_assert_eq!(found.finite, values.iter().all(|x| x.is_finite()));
            if found.finite {
                let count = |f: fn(&f64) -> bool| values.iter().filter(|x| f(x)).count() as u64;
                prop_assert_eq!(found.low, values.iter().copied().fold(f64::INFINITY, f64::min));
                prop_assert_eq!(found.high, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                prop_assert_eq!(found.zeros, count(|x| *x == 0.0));
                prop_assert_eq!(found.negatives, count(|x| *x < 0.0));
                prop_assert_eq!(found.not_f32, count(|x| f64::from(*x as f32) != *x));
            }
        }
    }
}
