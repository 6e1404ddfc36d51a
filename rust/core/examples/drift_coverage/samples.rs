//! Samples of rows on a lattice, drawn by counts where that is the same and faster.

use tidegauge_core::kernels::key::mix;
use tidegauge_core::special::{normal_isf, normal_sf};
use tidegauge_core::weights::{Mass, Units};

/// Equally likely stretches of a standard normal number.
pub const STRETCHES: usize = 1 << 13;
/// Rows of the samples that stand for the populations.
const POPULATION: f64 = (1_u64 << 40) as f64;
/// From so many independent rows on, counts are drawn and not rows.
const BY_COUNTS: usize = 50_000;
/// Weights end here; a row in 10^16 would lie beyond.
const WEIGHTS: usize = 1 << 12;

/// SplitMix64.
pub struct Random {
    state: u64,
    spare: Option<f64>,
}

impl Random {
    /// A stream of its own for every seed.
    pub fn new(seed: u64) -> Self {
        Random {
            state: mix(seed),
            spare: None,
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Box and Muller (1958), both numbers.
    fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare.take() {
            return z;
        }
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        let (sin, cos) = libm::sincos(core::f64::consts::TAU * self.uniform());
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// A binomial number: inversion where few are expected, else Hormann's transformed rejection (1993,
    /// BTRS), which is exact up to the rounding of logarithms.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let (count, q) = (n as f64, 1.0 - p);
        if count * p < 10.0 {
            let ratio = p / q;
            let mut mass = libm::exp(count * libm::log1p(-p));
            let (mut u, mut k) = (self.uniform(), 0);
            while u > mass && k < n {
                u -= mass;
                k += 1;
                mass *= ratio * (count - k as f64 + 1.0) / k as f64;
            }
            return k;
        }
        let spread = libm::sqrt(count * p * q);
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let c = count * p + 0.5;
        let most = 0.92 - 4.2 / b;
        let mode = libm::floor((count + 1.0) * p);
        let top = libm::lgamma(mode + 1.0) + libm::lgamma(count - mode + 1.0);
        loop {
            let v = self.uniform();
            let u = self.uniform() - 0.5;
            let us = 0.5 - u.abs();
            let k = libm::floor((2.0 * a / us + b) * u + c);
            if !(0.0..=count).contains(&k) {
                continue;
            }
            if us >= 0.07 && v <= most {
                return k as u64;
            }
            let alpha = (2.83 + 5.1 / b) * spread;
            let v = libm::log(v * alpha / (a / (us * us) + b));
            let bound = top - libm::lgamma(k + 1.0) - libm::lgamma(count - k + 1.0)
                + (k - mode) * libm::log(p / q);
            if v <= bound {
                return k as u64;
            }
        }
    }
}

/// How the rows of a sample depend on each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rows {
    /// Not at all.
    Independent,
    /// Each on the one before, with this correlation.
    Chain(f64),
    /// Those of one block, with this correlation.
    Days(f64),
    /// Not at all, but with weights: the next whole number above a lognormal one.
    Weighted,
}

/// Rows of a block: there are a hundred blocks, or blocks of a hundred rows where that makes fewer.
pub fn block_rows(n: usize) -> usize {
    (n / 100).max(100)
}

/// Rows by stretch.
pub struct Sample {
    /// Stretches that hold rows, in ascending order.
    pub whole: Vec<(usize, Mass)>,
    /// The same for every block, where rows depend on each other.
    pub blocks: Vec<Vec<(u32, u32)>>,
}

impl Sample {
    /// The population itself, taken 2^40 times.
    pub fn population(shift: f64) -> Self {
        let share = |p: f64| rows(libm::rint(p * POPULATION) as u64);
        Sample {
            whole: held(shares(shift).into_iter().map(share)),
            blocks: Vec::new(),
        }
    }

    /// From the rows of each block by stretch.
    pub fn of_blocks(blocks: Vec<Vec<(u32, u32)>>) -> Self {
        let mut counts = vec![0_u64; STRETCHES];
        for (j, n) in blocks.iter().flatten() {
            counts[*j as usize] += u64::from(*n);
        }
        Sample {
            whole: held(counts.into_iter().map(rows)),
            blocks,
        }
    }
}

/// So many rows of weight 1.
pub fn rows(n: u64) -> Mass {
    Mass {
        units: n,
        squares: n.into(),
        rows: n,
        rounded: 0,
        common: u64::from(n > 0),
    }
}

/// The stretches that hold rows.
fn held(masses: impl Iterator<Item = Mass>) -> Vec<(usize, Mass)> {
    masses.enumerate().filter(|(_, m)| m.units > 0).collect()
}

/// Share of each stretch among standard normal numbers moved by `shift`.
pub fn shares(shift: f64) -> Vec<f64> {
    let below = |j: usize| match j {
        0 => 0.0,
        STRETCHES => 1.0,
        _ => 1.0 - normal_sf(edge(j) - shift),
    };
    (0..STRETCHES).map(|j| below(j + 1) - below(j)).collect()
}

/// Start of a stretch.
fn edge(j: usize) -> f64 {
    -normal_isf(j as f64 / STRETCHES as f64)
}

/// Draws positions by their shares: the alias method (Walker 1977). As many as a power of two.
struct Alias {
    stay: Vec<f64>,
    other: Vec<u32>,
}

impl Alias {
    fn new(shares: &[f64]) -> Self {
        let n = shares.len();
        let mut stay: Vec<f64> = shares.iter().map(|p| p * n as f64).collect();
        let mut other: Vec<u32> = (0..n as u32).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|j| stay[*j] < 1.0);
        while let (Some(s), Some(l)) = (small.pop(), large.last().copied()) {
            other[s] = l as u32;
            stay[l] -= 1.0 - stay[s];
            if stay[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        small.into_iter().chain(large).for_each(|j| stay[j] = 1.0);
        Alias { stay, other }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let bits = random.next();
        let at = (bits & (self.stay.len() as u64 - 1)) as usize;
        let u = (bits >> 13) as f64 / (1_u64 << 51) as f64;
        if u < self.stay[at] {
            at
        } else {
            self.other[at] as usize
        }
    }
}

/// Draws samples of one population.
pub struct Source {
    rows: Rows,
    shift: f64,
    /// Share of the stretches below each.
    below: Vec<f64>,
    stretches: Alias,
    weights: Alias,
    edges: Vec<f64>,
    /// The first edge beyond each step of [`STEP`] from [`LEAST`] on.
    first: Vec<u16>,
}

const LEAST: f64 = -6.0;
const STEPS_A_UNIT: f64 = 1024.0;

impl Source {
    /// Normal numbers moved by `shift`.
    pub fn new(rows: Rows, shift: f64) -> Self {
        let shares = shares(shift);
        let mut below = vec![0.0];
        below.extend(shares.iter().scan(0.0, |sum, p| {
            *sum += p;
            Some(*sum)
        }));
        let weight = |k: usize| {
            let sf = |k: usize| normal_sf(libm::log(k as f64));
            if k == 0 {
                1.0 - sf(1)
            } else {
                sf(k) - sf(k + 1)
            }
        };
        let weights: Vec<f64> = (0..WEIGHTS).map(weight).collect();
        let edges: Vec<f64> = (1..STRETCHES).map(edge).collect();
        let first = (0..(-2.0 * LEAST * STEPS_A_UNIT) as usize)
            .map(|i| {
                let x = LEAST + i as f64 / STEPS_A_UNIT;
                edges.partition_point(|e| *e <= x) as u16
            })
            .collect();
        Source {
            rows,
            shift,
            below,
            stretches: Alias::new(&shares),
            weights: Alias::new(&weights),
            edges,
            first,
        }
    }

    /// The stretch of a number that is standard normal before it is moved.
    fn place(&self, z: f64) -> usize {
        let x = z + self.shift;
        let step = ((x - LEAST) * STEPS_A_UNIT).max(0.0) as usize;
        let mut at = match self.first.get(step) {
            Some(_) if x < LEAST => 0,
            Some(at) => usize::from(*at),
            None => return STRETCHES - 1,
        };
        while self.edges.get(at).is_some_and(|e| *e <= x) {
            at += 1;
        }
        at
    }

    /// Rows of the stretches `from..to`, of which there are `n` in all: halves of halves, each a binomial
    /// number.
    fn split(&self, random: &mut Random, n: u64, (from, to): (usize, usize), out: &mut [u64]) {
        if n == 0 || to - from == 1 {
            out[from] += n;
            return;
        }
        let middle = from.midpoint(to);
        let all = self.below[to] - self.below[from];
        let left = random.binomial(n, (self.below[middle] - self.below[from]) / all);
        self.split(random, left, (from, middle), out);
        self.split(random, n - left, (middle, to), out);
    }

    /// Independent rows by stretch, drawn one by one or by counts.
    pub fn counts(&self, random: &mut Random, n: usize, by_counts: bool) -> Vec<u64> {
        let mut counts = vec![0; STRETCHES];
        if by_counts {
            self.split(random, n as u64, (0, STRETCHES), &mut counts);
        } else {
            (0..n).for_each(|_| counts[self.stretches.draw(random)] += 1);
        }
        counts
    }

    /// One sample: all rows together, or block by block.
    pub fn draw(&self, random: &mut Random, n: usize) -> Sample {
        let size = block_rows(n);
        match self.rows {
            Rows::Independent => {
                let counts = self.counts(random, n, n >= BY_COUNTS);
                Sample {
                    whole: held(counts.into_iter().map(rows)),
                    blocks: Vec::new(),
                }
            }
            Rows::Weighted => {
                let mut masses = vec![Mass::default(); STRETCHES];
                for _ in 0..n {
                    let at = self.stretches.draw(random);
                    let count = 1 + self.weights.draw(random) as u64;
                    let rounded = false;
                    masses[at].add(Units { count, rounded });
                }
                Sample {
                    whole: held(masses.into_iter()),
                    blocks: Vec::new(),
                }
            }
            Rows::Chain(r) => {
                let (mut z, fresh) = (random.normal(), libm::sqrt(1.0 - r * r));
                self.blocks(n / size, size, || {
                    z = r * z + fresh * random.normal();
                    z
                })
            }
            Rows::Days(_) => self.days(random, n / size, size),
        }
    }

    /// Days of so many rows each, in a row.
    pub fn days(&self, random: &mut Random, days: usize, rows_a_day: usize) -> Sample {
        let Rows::Days(r) = self.rows else {
            return self.draw(random, days * rows_a_day);
        };
        let (mut i, mut day, fresh) = (0, 0.0, libm::sqrt(1.0 - r));
        self.blocks(days, rows_a_day, || {
            if i % rows_a_day == 0 {
                day = libm::sqrt(r) * random.normal();
            }
            i += 1;
            day + fresh * random.normal()
        })
    }

    fn blocks(&self, blocks: usize, size: usize, mut next: impl FnMut() -> f64) -> Sample {
        let mut counts = vec![0_u32; STRETCHES];
        let block = |_| {
            let mut places: Vec<u32> = Vec::new();
            for _ in 0..size {
                let at = self.place(next());
                if counts[at] == 0 {
                    places.push(at as u32);
                }
                counts[at] += 1;
            }
            places.sort_unstable();
            let taken = |j: u32| (j, std::mem::take(&mut counts[j as usize]));
            places.into_iter().map(taken).collect()
        };
        Sample::of_blocks((0..blocks).map(block).collect())
    }
}
