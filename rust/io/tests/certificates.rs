//! Certificates hold in each of 10,000 random pairs, checked in rational arithmetic.
//!
//! Pairs of samples go through the real scan and comparison, 20 columns to a table: tiny ones (every
//! value counted exactly), segments (keys coarsened to 512 cells, compared on 64 nested cells) and
//! large ones (keys coarsened to 4,096 cells, compared on the grid, whose cells hold several values).
//! The true number follows from the raw values by its definition, as a fraction of integers without
//! rounding; it must lie between `bound_low` and `bound_high`, or, where the row says exact, within
//! 4 ulp of the value.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use num_bigint::BigInt;
use tidegauge_core::compare::{CompareOptions, compare};
use tidegauge_core::profile::Profile;
use tidegauge_core::row::{Exactness, Row};
use tidegauge_io::arrow::ArrowSource;
use tidegauge_io::scan::{Cut, ScanOptions, profile};
use tidegauge_io::source::Source;

/// `top / bottom * 2^power`, `bottom` positive.
#[derive(Debug, Clone)]
struct Fraction {
    top: BigInt,
    bottom: BigInt,
    power: i32,
}

impl Fraction {
    fn new(top: impl Into<BigInt>, bottom: impl Into<BigInt>, power: i32) -> Self {
        Self {
            top: top.into(),
            bottom: bottom.into(),
            power,
        }
    }

    /// About this number, for messages.
    fn nearly(&self) -> f64 {
        let float = |x: &BigInt| {
            let shift = x.bits().saturating_sub(60);
            i64::try_from(x >> shift).unwrap_or(0) as f64 * 2f64.powi(shift as i32)
        };
        float(&self.top) / float(&self.bottom) * 2f64.powi(self.power)
    }

    /// This number against a float: no rounding on either side.
    fn cmp(&self, x: f64) -> Ordering {
        assert!(!x.is_nan());
        if x.is_infinite() {
            return 0.0_f64.total_cmp(&x);
        }
        let (mantissa, power) = parts(x);
        let (mut a, mut b) = (self.top.clone(), &self.bottom * mantissa);
        if self.power > power {
            a <<= (self.power - power) as u32;
        } else {
            b <<= (power - self.power) as u32;
        }
        a.cmp(&b)
    }
}

/// `x = mantissa * 2^power`.
fn parts(x: f64) -> (i64, i32) {
    let (bits, exponent) = (x.to_bits() & ((1 << 52) - 1), x.to_bits() >> 52 & 0x7ff);
    let (size, power) = if exponent == 0 {
        (bits, -1074)
    } else {
        (bits | 1 << 52, exponent as i32 - 1075)
    };
    let mantissa = if x < 0.0 { -(size as i64) } else { size as i64 };
    (mantissa, power)
}

/// `x` moved by `n` representable numbers.
fn moved(x: f64, n: i64) -> f64 {
    let key = |x: f64| {
        let bits = (x + 0.0).to_bits() as i64;
        if bits < 0 { i64::MIN - bits } else { bits }
    };
    let k = key(x) + n;
    f64::from_bits(if k < 0 { i64::MIN - k } else { k } as u64)
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }
    fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// Values of one side of one column; null is none.
#[derive(Debug, Clone)]
enum Values {
    Double(Vec<Option<f64>>),
    Single(Vec<Option<f64>>),
    Whole(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
}

impl Values {
    fn array(&self) -> ArrayRef {
        match self {
            Values::Double(v) => Arc::new(Float64Array::from(v.clone())),
            Values::Single(v) => Arc::new(
                v.iter()
                    .map(|x| x.map(|x| x as f32))
                    .collect::<Float32Array>(),
            ),
            Values::Whole(v) => Arc::new(Int64Array::from(v.clone())),
            Values::Text(v) => Arc::new(StringArray::from(v.clone())),
        }
    }
    /// The first `n` rows, over and over where there are fewer.
    fn cycle(&self, n: usize) -> Values {
        fn of<T: Clone>(v: &[T], n: usize) -> Vec<T> {
            v.iter().cycle().take(n).cloned().collect()
        }
        match self {
            Values::Double(v) => Values::Double(of(v, n)),
            Values::Single(v) => Values::Single(of(v, n)),
            Values::Whole(v) => Values::Whole(of(v, n)),
            Values::Text(v) => Values::Text(of(v, n)),
        }
    }
    fn keep(&self, rows: &[bool]) -> Values {
        fn of<T: Clone>(v: &[T], rows: &[bool]) -> Vec<T> {
            let kept = v.iter().zip(rows).filter(|x| *x.1);
            kept.map(|x| x.0.clone()).collect()
        }
        match self {
            Values::Double(v) => Values::Double(of(v, rows)),
            Values::Single(v) => Values::Single(of(v, rows)),
            Values::Whole(v) => Values::Whole(of(v, rows)),
            Values::Text(v) => Values::Text(of(v, rows)),
        }
    }
}

const SHAPES: usize = 20;

/// `n` values of a shape, before (`side` 0) or after a change.
fn draw(shape: usize, side: usize, n: usize, r: &mut Random) -> Values {
    // No change, a small one, a large one.
    let change = side as f64 * [0.0, 0.1, 3.0][r.below(3)];
    let pace = 1.0 + side as f64 * [0.0, 0.5][r.below(2)];
    let float = |r: &mut Random| {
        let (z, u) = (r.normal(), r.uniform());
        match shape {
            0 | 12 => z * pace + change,
            1 => u * pace + change,
            2 => (z + change).tan().powi(3), // heavy tails
            3 => ((z * pace + change) * 4.0).round() / 2.0, // ties
            4 if u < 0.6 => 0.0,             // point masses
            4 => {
                if u < 0.8 {
                    1.0
                } else {
                    z + change
                }
            }
            5 => 1e6 + 1e-3 * (z + change),          // offset
            6 => 1.0 - u.powf(10.0 * pace) * 0.5,    // scores crowded near 1
            7 => ((z * pace + change) * 90.0).exp(), // 10^-100 to 10^100
            8 => {
                if u < 0.5 {
                    -8.0 + z
                } else {
                    8.0 + z + change
                }
            } // mixture
            9 => ((z * 100.0 + change) as i64) as f64 * 5e-324, // subnormal
            10 if u < 0.02 => f64::INFINITY,
            10 if u < 0.05 => f64::NEG_INFINITY,
            10 if u < 0.15 => f64::NAN,
            10 => z + change,
            11 => 3.25 + if u < 0.01 { change } else { 0.0 }, // constant
            13 => (z * 1e3 + change * 10.0).round() / 100.0,  // money
            _ => z * pace + change * u,
        }
    };
    let hole = |r: &mut Random| shape % 5 == 2 && r.below(9) == 0;
    match shape {
        0..=11 => Values::Double((0..n).map(|_| (!hole(r)).then(|| float(r))).collect()),
        12..=14 => {
            let single = |r: &mut Random| f64::from(float(r) as f32);
            Values::Single((0..n).map(|_| (!hole(r)).then(|| single(r))).collect())
        }
        15..=17 => {
            let whole = |r: &mut Random| match shape {
                15 => (r.uniform().ln() * -4.0 * pace + change) as i64,
                16 => (1 << 53) + (r.normal() * 1e4 + change * 1e3) as i64,
                _ => (r.next() as i64) >> r.below(64),
            };
            Values::Whole((0..n).map(|_| (!hole(r)).then(|| whole(r))).collect())
        }
        _ => {
            let scale = if shape == 18 { 3.0 } else { 900.0 };
            let text = |r: &mut Random| {
                let at = (-r.uniform().ln() * scale * pace + change) as u64;
                format!("name {at}")
            };
            Values::Text((0..n).map(|_| (!hole(r)).then(|| text(r))).collect())
        }
    }
}

/// The reference seen again with every value moved to the next one: all drift is inside of cells.
fn nudged(values: &Values) -> Values {
    match values {
        Values::Double(v) => Values::Double(
            v.iter()
                .map(|x| x.map(|x| if x.is_finite() { moved(x, 1) } else { x }))
                .collect(),
        ),
        Values::Whole(v) => {
            Values::Whole(v.iter().map(|x| x.map(|x| x.saturating_add(1))).collect())
        }
        other => other.clone(),
    }
}

fn table(columns: &[Values], segments: Option<&[&str]>) -> ArrowSource {
    let mut arrays: Vec<(String, ArrayRef)> = columns
        .iter()
        .enumerate()
        .map(|(i, v)| (format!("x{i:02}"), v.array()))
        .collect();
    if let Some(s) = segments {
        arrays.push(("cut".into(), Arc::new(StringArray::from(s.to_vec()))));
    }
    let fields: Vec<Field> = arrays
        .iter()
        .map(|(name, a)| Field::new(name, a.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = arrays.into_iter().map(|a| a.1).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    ArrowSource::new(&schema, vec![batch]).unwrap()
}

fn scan(source: &ArrowSource, like: Option<&Profile>, cut: bool) -> Profile {
    let mut options = ScanOptions {
        threads: 1,
        ..ScanOptions::default()
    };
    for i in 0..source.columns().len() - usize::from(cut) {
        options.roles.insert(format!("x{i:02}"), "feature".into());
    }
    if cut {
        options.by.push(Cut::One("cut".into()));
        options.roles.insert("cut".into(), "segment".into());
    }
    profile(source, &options, like, &|_, _| true).unwrap()
}

/// Ordered values of one side: integers times `2^power`, and what is not finite.
struct Side {
    /// Ascending.
    finite: Vec<BigInt>,
    neg_inf: u64,
    pos_inf: u64,
}

impl Side {
    fn ordered(&self) -> u64 {
        self.finite.len() as u64 + self.neg_inf + self.pos_inf
    }
    fn sum(&self) -> BigInt {
        self.finite.iter().sum()
    }
    /// The smallest value that at least `twentieths / 20` of the values do not exceed.
    fn quantile(&self, twentieths: usize) -> &BigInt {
        let rank = (self.finite.len() * twentieths).div_ceil(20).max(1);
        &self.finite[rank - 1]
    }
}

/// Both sides on one scale of integers; `rounded` as the rows say it.
fn sides(a: &Values, b: &Values, rounded: bool) -> Option<([Side; 2], i32)> {
    let side = |finite: Vec<BigInt>, all: &[f64]| Side {
        finite,
        neg_inf: all.iter().filter(|x| **x == f64::NEG_INFINITY).count() as u64,
        pos_inf: all.iter().filter(|x| **x == f64::INFINITY).count() as u64,
    };
    let whole = |v: &[Option<i64>]| {
        let mut v: Vec<i64> = v.iter().flatten().copied().collect();
        v.sort_unstable();
        side(v.into_iter().map(BigInt::from).collect(), &[])
    };
    match (a, b) {
        (Values::Whole(a), Values::Whole(b)) => Some(([whole(a), whole(b)], 0)),
        (Values::Double(a) | Values::Single(a), Values::Double(b) | Values::Single(b)) => {
            let kept = |v: &[Option<f64>]| -> Vec<f64> {
                v.iter()
                    .flatten()
                    .copied()
                    .filter(|x| !x.is_nan())
                    .collect()
            };
            let (mut a, b) = (kept(a), kept(b));
            let single = |v: &[f64]| {
                let finite = |x: &&f64| x.is_finite();
                v.iter().filter(finite).all(|x| f64::from(*x as f32) == *x)
            };
            // Defined so: single-precision rows are compared at that precision where the grid can.
            if rounded && b.iter().any(|x| x.is_finite()) && single(&b) && !single(&a) {
                let near = |x: f64| f64::from((x as f32).clamp(f32::MIN, f32::MAX));
                a.iter_mut()
                    .filter(|x| x.is_finite())
                    .for_each(|x| *x = near(*x));
            }
            let power = |v: &[f64]| {
                v.iter()
                    .filter(|x| x.is_finite())
                    .map(|x| parts(*x).1)
                    .min()
            };
            let power = power(&a).into_iter().chain(power(&b)).min().unwrap_or(0);
            let scaled = |mut v: Vec<f64>| {
                v.sort_by(f64::total_cmp);
                let finite = v.iter().filter(|x| x.is_finite()).map(|x| {
                    let (mantissa, own) = parts(*x);
                    BigInt::from(mantissa) << (own - power) as u32
                });
                side(finite.collect(), &v)
            };
            Some(([scaled(a), scaled(b)], power))
        }
        _ => None,
    }
}

/// Every statistic of ordered values that has a rational definition.
fn numeric_truth(sides: &[Side; 2], power: i32) -> BTreeMap<&'static str, Fraction> {
    let [a, b] = sides;
    let mut all = BTreeMap::new();
    let (n, m) = (a.ordered(), b.ordered());
    let gap = |i: u64, n: u64, j: u64, m: u64| {
        (i128::from(i) * i128::from(m) - i128::from(j) * i128::from(n)).unsigned_abs()
    };
    // One walk over the values of both: F - G with infinities (KS), and without (Wasserstein).
    let mut ks = gap(a.neg_inf, n, b.neg_inf, m);
    let (p, q) = (a.finite.len() as u64, b.finite.len() as u64);
    let mut area = BigInt::ZERO;
    let (mut i, mut j) = (0, 0);
    let mut last: Option<&BigInt> = None;
    while i < a.finite.len() || j < b.finite.len() {
        let x = match (a.finite.get(i), b.finite.get(j)) {
            (Some(x), Some(y)) => x.min(y),
            (Some(x), None) | (None, Some(x)) => x,
            (None, None) => break,
        };
        if let Some(last) = last {
            area += (x - last) * gap(i as u64, p, j as u64, q);
        }
        while a.finite.get(i) == Some(x) {
            i += 1;
        }
        while b.finite.get(j) == Some(x) {
            j += 1;
        }
        ks = ks.max(gap(a.neg_inf + i as u64, n, b.neg_inf + j as u64, m));
        last = Some(x);
    }
    if n > 0 && m > 0 {
        let bottom = u128::from(n) * u128::from(m);
        all.insert("ks", Fraction::new(ks, bottom, 0));
        if let (Some(low), Some(high)) = (a.finite.first(), a.finite.last()) {
            let outside = b.finite.iter().filter(|x| *x < low || *x > high).count();
            let tails = [(a.neg_inf, b.neg_inf), (a.pos_inf, b.pos_inf)];
            if tails.iter().all(|t| *t == (0, 0)) {
                all.insert("range_violation", Fraction::new(outside, m, 0));
            }
        }
    }
    if p > 0 && q > 0 {
        let bottom = BigInt::from(p) * q;
        all.insert("wasserstein", Fraction::new(area, bottom.clone(), power));
        let shifts = [1, 5, 10, 15, 19].map(|t| {
            let shift = b.quantile(t) - a.quantile(t);
            shift.clone().max(-shift)
        });
        let most = shifts.into_iter().max().unwrap();
        all.insert("quantile_shift", Fraction::new(most, 1, power));
    }
    all
}

/// Every statistic of categories that has a rational definition. New is what the whole reference,
/// not just this segment of it, never held.
fn text_truth(
    a: &[Option<String>],
    b: &[Option<String>],
    reference: &[Option<String>],
) -> BTreeMap<&'static str, Fraction> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    a.iter()
        .flatten()
        .for_each(|v| counts.entry(v).or_default().0 += 1);
    b.iter()
        .flatten()
        .for_each(|v| counts.entry(v).or_default().1 += 1);
    let sum = |counts: &BTreeMap<&str, (u64, u64)>| {
        counts.values().fold((0, 0), |t, c| (t.0 + c.0, t.1 + c.1))
    };
    let (n, m) = sum(&counts);
    let mut all = BTreeMap::new();
    if n == 0 || m == 0 {
        return all;
    }
    let known: BTreeSet<&str> = reference.iter().flatten().map(String::as_str).collect();
    let new = counts
        .iter()
        .filter(|(v, _)| !known.contains(**v))
        .map(|(_, c)| c.1)
        .sum::<u64>();
    all.insert("new_category_mass", Fraction::new(new, m, 0));
    let gap = |c: &(u64, u64), n: u64, m: u64| {
        (u128::from(c.0) * u128::from(m)).abs_diff(u128::from(c.1) * u128::from(n))
    };
    let bottom = u128::from(n) * u128::from(m);
    let half: u128 = counts.values().map(|c| gap(c, n, m)).sum();
    all.insert("total_variation", Fraction::new(half, bottom, -1));
    // New values are one cell, missing ones another.
    let mut cells: Vec<(u64, u64)> = counts
        .into_iter()
        .filter(|(v, _)| known.contains(v))
        .map(|(_, c)| c)
        .collect();
    let missing = |v: &[Option<String>]| v.iter().filter(|x| x.is_none()).count() as u64;
    cells.extend([(0, new), (missing(a), missing(b))]);
    let (n, m) = (a.len() as u64, b.len() as u64);
    let most = cells.iter().map(|c| gap(c, n, m)).max().unwrap_or(0);
    all.insert(
        "l_infinity",
        Fraction::new(most, u128::from(n) * u128::from(m), 0),
    );
    all
}

#[derive(Default, Debug)]
struct Tally {
    pairs: u64,
    certified: BTreeMap<String, u64>,
    exact: BTreeMap<String, u64>,
    broken: Vec<String>,
}

impl Tally {
    /// Every certificate held, in this many pairs.
    fn finish(&self, pairs: u64) {
        assert_eq!(self.pairs, pairs);
        let first = &self.broken[..self.broken.len().min(12)];
        assert!(
            first.is_empty(),
            "{} broken:\n{}",
            self.broken.len(),
            first.join("\n")
        );
    }
}

/// Compares the rows of one pair (reference, current; the whole reference) with the truth.
fn check(rows: &[&Row], sample: [&Values; 3], case: &str, tally: &mut Tally) {
    let [a, b, reference] = sample;
    let truth = match (a, b, reference) {
        (Values::Text(a), Values::Text(b), Values::Text(all)) => text_truth(a, b, all),
        _ => {
            let said = |r: &&Row| r.message.as_ref().is_some_and(|m| m.contains("too coarse"));
            let (rounded, power) = sides(a, b, !rows.iter().any(said)).unwrap();
            let mut truth = numeric_truth(&rounded, power);
            // Means are those of the values as they are.
            let ([a, b], power) = sides(a, b, false).unwrap();
            let (p, q) = (a.finite.len(), b.finite.len());
            if p > 0 && q > 0 {
                let shift = b.sum() * p - a.sum() * q;
                truth.insert(
                    "mean_shift",
                    Fraction::new(shift, BigInt::from(p) * q, power),
                );
            }
            truth
        }
    };
    tally.pairs += 1;
    for row in rows {
        let (Some(value), Some(low), Some(high)) = (row.value, row.bound_low, row.bound_high)
        else {
            continue;
        };
        let Some(exact) = truth.get(row.statistic.as_str()) else {
            continue;
        };
        let name = row.statistic.clone();
        let (low, high) = match row.exactness {
            Some(Exactness::Certified) => {
                *tally.certified.entry(name).or_default() += 1;
                (low, high)
            }
            Some(Exactness::Exact) => {
                if (low, high) != (value, value) {
                    tally
                        .broken
                        .push(format!("{case}: exact with bounds: {row:?}"));
                }
                *tally.exact.entry(name).or_default() += 1;
                // Terms of a sum lose their last bits where numbers are subnormal.
                let room = if value.abs() < f64::MIN_POSITIVE {
                    10_000
                } else {
                    4
                };
                (moved(value, -room), moved(value, room))
            }
            other => panic!("{case}: {} is {other:?}", row.statistic),
        };
        let holds = low <= value
            && value <= high
            && exact.cmp(low) != Ordering::Less
            && exact.cmp(high) != Ordering::Greater;
        if !holds {
            tally.broken.push(format!(
                "{case}: {} = {value:e} in [{low:e}, {high:e}], {:?}, is {:e}: {:?}",
                row.statistic,
                row.exactness,
                exact.nearly(),
                row.message
            ));
        }
    }
}

/// A table of random columns, and what the current log makes of them.
fn tables(n: usize, m: usize, random: &mut Random) -> [Vec<Values>; 2] {
    let first: Vec<Values> = (0..SHAPES).map(|s| draw(s, 0, n, random)).collect();
    let second = (0..SHAPES)
        .map(|shape| match random.below(6) {
            0 => nudged(&first[shape]).cycle(m),
            // Another shape of the same type.
            1 if shape < 12 => draw(random.below(12), 1, m, random),
            _ => draw(shape, 1, m, random),
        })
        .collect();
    [first, second]
}

/// Rows of each column of `total` (no segment) or of one segment.
fn rows_of<'a>(rows: &'a [Row], column: usize, segment: Option<&str>) -> Vec<&'a Row> {
    let feature = format!("x{column:02}");
    rows.iter()
        .filter(|r| r.feature == feature && r.segment_value.as_deref() == segment)
        .collect()
}

fn sweep(tables_of: u64, seed: u64, sizes: fn(&mut Random) -> (usize, usize)) -> Tally {
    let mut tally = Tally::default();
    for at in 0..tables_of {
        let mut random = Random(seed + at);
        let (n, m) = sizes(&mut random);
        let [a, b] = tables(n, m, &mut random);
        let first = scan(&table(&a, None), None, false);
        let second = scan(&table(&b, None), Some(&first), false);
        let rows = compare(&first, &second, &CompareOptions::default()).unwrap();
        for column in 0..SHAPES {
            let case = format!("seed {}, column {column}, {n} and {m} rows", seed + at);
            let found = rows_of(&rows, column, None);
            check(
                &found,
                [&a[column], &b[column], &a[column]],
                &case,
                &mut tally,
            );
        }
    }
    tally
}

#[test]
fn tiny_pairs() {
    let tally = sweep(230, 1 << 20, |r| (1 + r.below(60), 1 + r.below(60)));
    tally.finish(4600);
    for name in ["ks", "wasserstein", "quantile_shift", "total_variation"] {
        assert!(tally.exact[name] > 300, "{tally:?}");
    }
}

#[test]
fn large_pairs() {
    let tally = sweep(70, 2 << 20, |r| {
        (4_300 + r.below(4_000), 100 + r.below(6_000))
    });
    tally.finish(1400);
    for name in ["ks", "wasserstein", "quantile_shift", "mean_shift"] {
        assert!(tally.certified[name] > 400, "{tally:?}");
    }
}

#[test]
fn segments() {
    let mut tally = Tally::default();
    for seed in 0..100 {
        let mut random = Random((3 << 20) + seed);
        let (n, m) = (1_300 + random.below(600), 900 + random.below(900));
        let [a, b] = tables(n, m, &mut random);
        let mut cut = |rows: usize| -> Vec<&str> {
            (0..rows)
                .map(|_| ["north", "south"][random.below(2)])
                .collect()
        };
        let (s, t) = (cut(n), cut(m));
        let first = scan(&table(&a, Some(&s)), None, true);
        let second = scan(&table(&b, Some(&t)), Some(&first), true);
        let rows = compare(&first, &second, &CompareOptions::default()).unwrap();
        for segment in ["north", "south"] {
            let keep = |s: &[&str]| s.iter().map(|v| *v == segment).collect::<Vec<_>>();
            for column in 0..SHAPES {
                let case = format!("seed {seed}, column {column}, {segment}, {n} and {m} rows");
                let found = rows_of(&rows, column, Some(segment));
                assert!(!found.is_empty(), "{case}");
                let (x, y) = (a[column].keep(&keep(&s)), b[column].keep(&keep(&t)));
                check(&found, [&x, &y, &a[column]], &case, &mut tally);
            }
        }
    }
    tally.finish(4000);
    assert!(tally.certified["ks"] > 500, "{tally:?}");
}

/// More categories than a dictionary holds: the rest is counted by hash.
#[test]
fn incomplete_dictionaries() {
    let mut tally = Tally::default();
    for seed in 0..5 {
        let mut random = Random((4 << 20) + seed);
        let mut text = |n: usize, from: u64| {
            let name =
                |r: &mut Random| format!("{}", from + r.next() % 60_000 / (1 + r.next() % 9));
            Values::Text((0..n).map(|_| Some(name(&mut random))).collect())
        };
        let (a, b) = (vec![text(60_000, 0)], vec![text(30_000, 400 * seed)]);
        let first = scan(&table(&a, None), None, false);
        let second = scan(&table(&b, None), Some(&first), false);
        let rows = compare(&first, &second, &CompareOptions::default()).unwrap();
        check(
            &rows_of(&rows, 0, None),
            [&a[0], &b[0], &a[0]],
            &format!("seed {seed}"),
            &mut tally,
        );
    }
    tally.finish(5);
    for name in ["total_variation", "l_infinity", "new_category_mass"] {
        assert_eq!(tally.certified.get(name), Some(&5), "{tally:?}");
    }
}
