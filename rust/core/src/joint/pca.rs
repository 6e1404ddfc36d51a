//! Reconstruction error of principal components.

use super::linear::{Symmetric, eigen};
use super::random::Stream;
use super::table::{Column, MISSING, Samples, Units};
use super::{Answer, Definition};
use crate::special::{student_two_sided, student_two_sided_isf};
use crate::statistics::sum;
use crate::{Error, Result};

/// Mean distance of the current rows from the plane of the reference's leading components.
pub const DEFINITION: Definition = Definition {
    name: "pca_reconstruction",
    definition: "pca_reconstruction/euclidean-mean/v1",
    summary: "mean distance of the current rows from the leading principal components of the reference",
    source: "NannyML's data reconstruction with PCA; Jolliffe (2002), chapter 10",
    notes: "numbers over mean and standard deviation (denominator n) of the reference, categories by their share of \
            the reference's rows (0 for new ones, missing is a category); missing and infinite numbers at the mean; \
            columns of one reference value left out by name; components until their share of variance exceeds the \
            one asked for; value_if_no_change: rows of the reference by components fitted without their fifth of \
            rows (or blocks); interval of the current mean: Student on rows, or blocks; p: Welch's t of both means, \
            two-sided",
    range: (0.0, f64::INFINITY),
    unit: "reference sd",
    null: "welch-t",
};

/// Parts of the reference that are left out in turn.
const FOLDS: usize = 5;
/// Share of the square of a row, in standard deviations, below which its distance is rounding.
const ROUNDING: f64 = 1e-20;
/// Most columns: the method takes their cube.
const MAX_COLUMNS: usize = 1000;

/// Sums of the encoded columns: what merges, and what a fit needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    rows: f64,
    sums: Vec<f64>,
    products: Vec<f64>,
}

impl Moments {
    /// Of no row.
    pub fn new(columns: usize) -> Self {
        Moments {
            rows: 0.0,
            sums: vec![0.0; columns],
            products: vec![0.0; columns * (columns + 1) / 2],
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: &[f64]) {
        self.rows += 1.0;
        let mut products = self.products.iter_mut();
        for (i, x) in row.iter().enumerate() {
            self.sums[i] += x;
            for (p, y) in products.by_ref().take(i + 1).zip(row) {
                *p += x * y;
            }
        }
    }

    /// Adds (`sign` 1) or takes away (-1) the rows of another.
    pub fn merge(&mut self, other: &Moments, sign: f64) {
        self.rows += sign * other.rows;
        self.sums
            .iter_mut()
            .zip(&other.sums)
            .for_each(|(a, b)| *a += sign * b);
        let products = self.products.iter_mut().zip(&other.products);
        products.for_each(|(a, b)| *a += sign * b);
    }

    fn mean(&self, i: usize) -> f64 {
        self.sums[i] / self.rows
    }

    fn covariance(&self, i: usize, j: usize) -> f64 {
        let (i, j) = (i.max(j), i.min(j));
        self.products[i * (i + 1) / 2 + j] / self.rows - self.mean(i) * self.mean(j)
    }
}

/// Means, scales and leading components of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    mean: Vec<f64>,
    scale: Vec<f64>,
    components: Vec<Vec<f64>>,
    explained: f64,
}

impl Plane {
    /// Leading components of the correlations until they explain more than `share` of the variance, or as
    /// many as `components` says.
    pub fn fit(moments: &Moments, share: f64, components: Option<usize>) -> Self {
        let k = moments.sums.len();
        let mean: Vec<f64> = (0..k).map(|i| moments.mean(i)).collect();
        // Encoded columns have variance 1 in the reference: less than this is rounding, as of a part of its
        // rows that holds one value.
        let scale: Vec<f64> = (0..k)
            .map(|i| moments.covariance(i, i))
            .map(|v| if v > 1e-12 { libm::sqrt(v) } else { 0.0 })
            .collect();
        let inverse = |i: usize| if scale[i] > 0.0 { 1.0 / scale[i] } else { 0.0 };
        let correlation = Symmetric::from_fn(k, |i, j| {
            if i == j {
                f64::from(u8::from(scale[i] > 0.0))
            } else {
                moments.covariance(i, j) * inverse(i) * inverse(j)
            }
        });
        let (values, vectors) = eigen(correlation);
        let all = sum(values.iter().map(|v| v.max(0.0)));
        let mut sum_of = 0.0;
        let mut taken = 0;
        while taken < k {
            sum_of += values[taken].max(0.0);
            taken += 1;
            match components {
                Some(wanted) if taken >= wanted => break,
                None if sum_of > share * all => break,
                _ => {}
            }
        }
        Plane {
            mean,
            scale,
            components: vectors.into_iter().take(taken).collect(),
            explained: if all > 0.0 { sum_of / all } else { 1.0 },
        }
    }

    /// Distance of a row from the plane.
    pub fn error(&self, row: &[f64]) -> f64 {
        let z: Vec<f64> = row
            .iter()
            .zip(self.mean.iter().zip(&self.scale))
            .map(|(x, (m, s))| if *s > 0.0 { (x - m) / s } else { 0.0 })
            .collect();
        let mut rest = z.clone();
        for v in &self.components {
            let along: f64 = z.iter().zip(v).map(|(a, b)| a * b).sum();
            rest.iter_mut().zip(v).for_each(|(r, c)| *r -= along * c);
        }
        let squared = |v: &[f64]| v.iter().map(|r| r * r).sum::<f64>();
        let (left, whole) = (squared(&rest), squared(&z));
        // What is left of a row that lies in the plane is rounding.
        if left > ROUNDING * whole {
            libm::sqrt(left)
        } else {
            0.0
        }
    }
}

/// Encoded rows, row by row, and names of the columns left out.
fn encode(samples: &Samples) -> Result<(Vec<f64>, usize, Vec<String>)> {
    let (rows, n) = (samples.rows(), samples.n);
    let (mut columns, mut constant): (Vec<Vec<f64>>, _) = (Vec::new(), Vec::new());
    for (name, column) in &samples.columns {
        let raw: Vec<f64> = match column {
            Column::Numbers(v) => {
                let (of_reference, _) = v.split_at(n);
                let finite = of_reference.iter().filter(|x| x.is_finite());
                let held = finite.clone().count() as f64;
                let mean = sum(finite.map(|x| x / held));
                v.iter()
                    .map(|x| if x.is_finite() { *x } else { mean })
                    .collect()
            }
            Column::Codes(v) => {
                let mut counts = std::collections::BTreeMap::new();
                for c in &v[..n] {
                    *counts.entry(*c).or_insert(0_u64) += 1;
                }
                let share = |c: &u32| counts.get(c).map_or(0.0, |k| *k as f64 / n as f64);
                v.iter().map(share).collect()
            }
        };
        let one = raw[0];
        if raw[..n].iter().all(|x| *x == one) {
            constant.push(format!("{name:?}"));
            continue;
        }
        // Near 1, by a power of two: squares of the largest and smallest floats are none.
        let largest = raw[..n].iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        let exponent = libm::ilogb(largest);
        let raw: Vec<f64> = raw.iter().map(|x| libm::scalbn(*x, -exponent)).collect();
        // Centred once: products of values far from 0 keep their digits.
        let mean = sum(raw[..n].iter().map(|x| x / n as f64));
        let squares = sum(raw[..n].iter().map(|x| (x - mean) * (x - mean) / n as f64));
        let scale = libm::sqrt(squares);
        let column: Vec<f64> = raw.iter().map(|x| (x - mean) / scale).collect();
        // Squares of more are not finite.
        if let Some(row) = column.iter().position(|x| x.abs() > 1e100 || x.is_nan()) {
            return Err(Error::invalid(format!(
                "column {name:?}: row {} of the current sample is more than 1e100 standard deviations of the reference \
                 away; values within that would be accepted",
                row.saturating_sub(n)
            )));
        }
        columns.push(column);
    }
    let k = columns.len();
    let mut out = Vec::with_capacity(k * rows);
    for row in 0..rows {
        out.extend(columns.iter().map(|c| c[row]));
    }
    Ok((out, k, constant))
}

/// Rows of missing values by sample.
fn missing(samples: &Samples) -> (usize, usize) {
    let of = |at: std::ops::Range<usize>| {
        let gone = |c: &Column, row: usize| match c {
            Column::Numbers(v) => !v[row].is_finite(),
            Column::Codes(v) => v[row] == MISSING,
        };
        at.filter(|row| samples.columns.iter().any(|c| gone(&c.1, *row)))
            .count()
    };
    (of(0..samples.n), of(samples.n..samples.rows()))
}

/// A mean, its variance and degrees of freedom, of units that are drawn whole.
fn clustered(errors: &[f64], units: &[usize], first: usize, count: usize) -> (f64, f64, f64) {
    let n = errors.len() as f64;
    let mean = sum(errors.iter().map(|e| e / n));
    let mut deviations = vec![0.0; count];
    for (e, u) in errors.iter().zip(units) {
        deviations[u - first] += e - mean;
    }
    let squares = sum(deviations.iter().map(|d| d * d));
    let b = count as f64;
    (mean, b / (b - 1.0) * squares / (n * n), b - 1.0)
}

/// Reconstruction error of the current rows.
///
/// # Errors
/// Options outside their range, no column that varies, too many columns, fewer than two blocks a side, or a
/// stop.
pub fn pca_reconstruction(
    samples: &Samples,
    (share, components, alpha, seed): (f64, Option<usize>, f64, u64),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Answer> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::invalid(format!(
            "share {share} of the variance; a number between 0 and 1 would be accepted"
        )));
    }
    let units = Units::new(samples)?;
    let (data, k, constant) = encode(samples)?;
    if k == 0 {
        return Err(Error::invalid(
            "every column has one value in the reference; a column that varies would be accepted",
        ));
    }
    if k > MAX_COLUMNS {
        return Err(Error::invalid(format!(
            "{k} columns; at most {MAX_COLUMNS} would be accepted"
        )));
    }
    if components.is_some_and(|c| c == 0 || c > k) {
        return Err(Error::invalid(format!(
            "{} components of {k} columns that vary; 1 to {k} would be accepted",
            components.unwrap_or(0)
        )));
    }
    let n = samples.n;
    let row = |i: usize| &data[i * k..(i + 1) * k];
    // Folds of units, by a keyed shuffle.
    let folds = FOLDS.min(units.count.0);
    let mut order: Vec<usize> = (0..units.count.0).collect();
    let mut stream = Stream::new(seed, "pca_reconstruction", 0);
    for i in (1..order.len()).rev() {
        order.swap(i, stream.below(i as u64 + 1) as usize);
    }
    let mut fold_of = vec![0; order.len()];
    for (at, unit) in order.iter().enumerate() {
        fold_of[*unit] = at % folds;
    }
    let mut parts = vec![Moments::new(k); folds];
    for i in 0..n {
        if i % 4096 == 0 && stop() {
            return Err(Error::Interrupted);
        }
        parts[fold_of[units.of_row[i]]].add(row(i));
    }
    let mut whole = Moments::new(k);
    parts.iter().for_each(|p| whole.merge(p, 1.0));
    let plane = Plane::fit(&whole, share, components);
    let taken = plane.components.len();
    let without: Vec<Plane> = parts
        .iter()
        .map(|p| {
            let mut rest = whole.clone();
            rest.merge(p, -1.0);
            Plane::fit(&rest, share, Some(taken))
        })
        .collect();
    if stop() {
        return Err(Error::Interrupted);
    }
    let reference: Vec<f64> = (0..n)
        .map(|i| without[fold_of[units.of_row[i]]].error(row(i)))
        .collect();
    let in_sample = sum((0..n).map(|i| plane.error(row(i)) / n as f64));
    let current: Vec<f64> = (n..samples.rows()).map(|i| plane.error(row(i))).collect();
    let (a, b) = units.count;
    let (expected, var_x, df_x) = clustered(&reference, &units.of_row[..n], 0, a);
    let (value, var_y, df_y) = clustered(&current, &units.of_row[n..], a, b);
    let variance = var_x + var_y;
    let df = variance * variance / (var_x * var_x / df_x + var_y * var_y / df_y);
    let pvalue = if variance > 0.0 {
        student_two_sided((value - expected) / libm::sqrt(variance), df)
    } else {
        f64::from(u8::from(value == expected))
    };
    let margin = student_two_sided_isf(alpha, df_y) * libm::sqrt(var_y);
    let gone = missing(samples);
    let told = [
        (!constant.is_empty())
            .then(|| format!("one value in the reference, left out: {}", constant.join(", "))),
        (taken == k).then(|| {
            format!("{taken} components of {k} columns keep all of the variance: nothing is left to reconstruct")
        }),
        (gone != (0, 0)).then(|| {
            format!(
                "rows with a missing or infinite value, taken at the mean: {} in the reference, {} in the current sample",
                gone.0, gone.1
            )
        }),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    Ok(Answer {
        value,
        pvalue: Some(pvalue),
        ci: Some(((value - margin).max(0.0), value + margin)),
        value_if_no_change: Some(expected),
        variance: units.variance(),
        rows: (n, samples.m),
        units: units.count,
        message: (!told.is_empty()).then(|| told.join("; ")),
        details: vec![
            ("components", taken as f64),
            ("explained", plane.explained),
            ("in_sample", in_sample),
        ],
    })
}
