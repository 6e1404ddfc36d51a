//! A keyed generator: numbers are a function of seed, purpose and index, never of a global state.

use crate::special::normal_isf;

/// A stream of random numbers that belongs to a key.
pub struct Stream {
    source: blake3::OutputReader,
    buffer: [u8; 1024],
    at: usize,
}

impl Stream {
    /// The stream of a seed, a purpose and an index.
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tidegauge joint v1");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&index.to_le_bytes());
        hasher.update(purpose.as_bytes());
        Stream {
            source: hasher.finalize_xof(),
            buffer: [0; 1024],
            at: 1024,
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        if self.at == self.buffer.len() {
            self.source.fill(&mut self.buffer);
            self.at = 0;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.buffer[self.at..self.at + 8]);
        self.at += 8;
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, each as often (Lemire 2019); 0 where the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if bound == 0 || product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// A standard normal number, by inversion of 53 bits.
    pub fn normal(&mut self) -> f64 {
        // Centres of 2^53 cells: never 0 or 1.
        normal_isf(((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64)
    }
}
