//! Keyed permutations: a function of seed, name and repeat, whatever threads or batches use it.

/// Up to this many rows a permutation is shuffled as a whole; above, each place is computed alone.
pub const SHUFFLED: u64 = 1 << 20;
/// Rounds of the network; statistics of permutations have the right mean and variance from 3 on.
const ROUNDS: usize = 8;

/// Places `start..end` of the permutation of `0..n` that belongs to a seed, the name of a feature and
/// a repeat.
///
/// Up to [`SHUFFLED`] rows by Fisher-Yates, so that every order is as likely as any other. Above, a
/// Feistel network walks on until it is below n (Black & Rogaway 2002): any range of rows is computed
/// without the others, in no memory.
pub fn keyed(n: u64, seed: u64, name: &str, repeat: u64, start: u64, end: u64) -> Vec<u64> {
    let end = end.min(n);
    let mut stream = stream(seed, name, repeat);
    if n > SHUFFLED {
        let network = Network::new(n, &mut stream);
        return (start..end).map(|i| network.at(i)).collect();
    }
    let mut whole = shuffled(n, &mut stream);
    whole.truncate(end as usize);
    whole.drain(..(start as usize).min(whole.len()));
    whole
}

fn stream(seed: u64, name: &str, repeat: u64) -> blake3::OutputReader {
    let mut hasher = blake3::Hasher::new_derive_key("tidegauge permutation v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&repeat.to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.finalize_xof()
}

/// Fisher-Yates with 64-bit numbers from BLAKE3 as a stream; Lemire's method makes them uniform
/// without bias (ACM TOMACS 29:1, 2019).
fn shuffled(n: u64, stream: &mut blake3::OutputReader) -> Vec<u64> {
    let mut buffer = [0u8; 4096];
    let mut at = buffer.len();
    let mut draw = || {
        if at == buffer.len() {
            stream.fill(&mut buffer);
            at = 0;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&buffer[at..at + 8]);
        at += 8;
        u64::from_le_bytes(bytes)
    };
    let mut out: Vec<u64> = (0..n).collect();
    for i in (1..out.len()).rev() {
        let bound = i as u64 + 1;
        let j = loop {
            let product = u128::from(draw()) * u128::from(bound);
            // The remainder is below the bound, and a division takes longer than all the rest.
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                break (product >> 64) as usize;
            }
        };
        out.swap(i, j);
    }
    out
}

/// A bijection of `0..n`: an unbalanced Feistel network on the least power of two that holds n.
struct Network {
    n: u64,
    /// Bits of the left and of the right half; halves change places every round.
    bits: [u32; 2],
    keys: [u64; ROUNDS],
}

impl Network {
    fn new(n: u64, stream: &mut blake3::OutputReader) -> Self {
        let bits = 64 - n.saturating_sub(1).leading_zeros();
        let keys = std::array::from_fn(|_| {
            let mut key = [0; 8];
            stream.fill(&mut key);
            u64::from_le_bytes(key)
        });
        Self {
            n,
            bits: [bits / 2, bits - bits / 2],
            keys,
        }
    }

    /// The place of `i < n`; fewer than two walks on average.
    fn at(&self, i: u64) -> u64 {
        let mut x = i;
        loop {
            let (mut left, mut right) = (x >> self.bits[1], x & low(self.bits[1]));
            for (round, key) in self.keys.iter().enumerate() {
                // An even number of rounds brings the halves back to their widths.
                let mask = low(self.bits[round % 2]);
                (left, right) = (right, (left ^ mix(right ^ key)) & mask);
            }
            x = left << self.bits[1] | right;
            if x < self.n {
                return x;
            }
        }
    }
}

fn low(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_once_and_each_order_as_often() {
        let mut counts = std::collections::BTreeMap::new();
        for repeat in 0..6000 {
            let p = keyed(3, 7, "x", repeat, 0, 3);
            let mut sorted = p.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
            *counts.entry(p).or_insert(0) += 1;
        }
        // Six orders, 1000 each; 5 standard deviations are 144.
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|c| (856..1144).contains(c)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_key_decides() {
        assert_eq!(keyed(100, 1, "a", 0, 0, 100), keyed(100, 1, "a", 0, 0, 100));
        assert_ne!(keyed(100, 1, "a", 0, 0, 100), keyed(100, 1, "b", 0, 0, 100));
        assert_ne!(keyed(100, 1, "a", 0, 0, 100), keyed(100, 1, "a", 1, 0, 100));
        assert_ne!(keyed(100, 1, "a", 0, 0, 100), keyed(100, 2, "a", 0, 0, 100));
        assert!(keyed(0, 1, "a", 0, 0, 9).is_empty());
    }

    #[test]
    fn a_range_is_a_part_of_the_whole() {
        for n in [10, 1000, SHUFFLED, SHUFFLED + 1, (1 << 21) + 12_345] {
            let whole = keyed(n, 3, "x", 2, 0, n);
            let mut seen = vec![false; n as usize];
            for v in &whole {
                assert!(
                    !std::mem::replace(&mut seen[*v as usize], true),
                    "{v} twice of {n}"
                );
            }
            assert_eq!(whole.len() as u64, n);
            let (a, b) = (n / 3, n - 2);
            assert_eq!(keyed(n, 3, "x", 2, a, b), whole[a as usize..b as usize]);
            assert_eq!(keyed(n, 3, "x", 2, a, u64::MAX), whole[a as usize..]);
            assert!(keyed(n, 3, "x", 2, n, n + 5).is_empty());
        }
    }

    /// The mean over rows of (x_i - x_k)^2 under the network has the mean and the variance that it has
    /// under random permutations (Hoeffding 1951).
    #[test]
    fn the_network_permutes_like_chance() {
        let n = 500usize;
        let x: Vec<f64> = (0..n)
            .map(|i| ((i as f64 + 0.5) / n as f64 * 7.3).sin())
            .collect();
        let a = |i: usize, k: usize| (x[i] - x[k]).powi(2);
        let rows: Vec<f64> = (0..n)
            .map(|i| (0..n).map(|k| a(i, k)).sum::<f64>() / n as f64)
            .collect();
        let mean = rows.iter().sum::<f64>() / n as f64;
        let centred = |i: usize, k: usize| a(i, k) - rows[i] - rows[k] + mean;
        let squares: f64 = (0..n * n).map(|q| centred(q / n, q % n).powi(2)).sum();
        let variance = squares / (n - 1) as f64 / (n * n) as f64;
        let (runs, mut sum, mut sum2) = (4000, 0.0, 0.0);
        for repeat in 0..runs {
            let network = Network::new(n as u64, &mut stream(1, "x", repeat));
            let s = (0..n)
                .map(|i| a(i, network.at(i as u64) as usize))
                .sum::<f64>()
                / n as f64
                - mean;
            sum += s;
            sum2 += s * s;
        }
        let z = sum / runs as f64 / (variance / runs as f64).sqrt();
        let ratio = sum2 / runs as f64 / variance;
        // Four standard errors: of a mean of 4,000, and sqrt(2 / 4000) of its variance.
        assert!(z.abs() < 4.0 && (ratio - 1.0).abs() < 0.09, "{z} {ratio}");
    }
}
