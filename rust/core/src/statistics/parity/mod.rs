//! Numbers of other tools under their own names: for moving over, and for side-by-side checks.
//!
//! Each definition reproduces the documented formula of the version it names, with that tool's choice
//! of bins and of zeros; it never decides, is not part of [`registry`](super::registry), and has neither
//! interval nor p-value. Finite values and values that are not null alone take part, as there. These
//! formulas bin the raw values anew, so they need cells of one value each: arrays, or profiles of at
//! most 4,096 distinct values; elsewhere they say that they do not apply.

mod alibi_detect;
mod databricks;
mod deepchecks;
mod evidently;
mod frouros;
mod nannyml;
mod popmon;
mod scouter;
mod tfdv;
mod whylogs;

use super::{Context, NotApplicable, Outcome, Statistic, sum, total};
use crate::pair::{CategoryKey, Pair};
use crate::special::jensen_term;
use crate::value::Logical;

/// Shares of either sample, cell by cell.
type Shares = Vec<(f64, f64)>;

/// Rows of either sample, cell by cell.
type Counts = Vec<(u64, u64)>;

/// Every parity definition, by name.
const PARITY: &[&Statistic] = &[
    &alibi_detect::CHI_SQUARE,
    &alibi_detect::KS,
    &databricks::L_INFINITY_DISTANCE,
    &databricks::TV_DISTANCE,
    &deepchecks::CRAMERS_V,
    &deepchecks::EARTH_MOVERS_DISTANCE,
    &deepchecks::KS,
    &deepchecks::PSI,
    &evidently::HELLINGER,
    &evidently::JENSENSHANNON,
    &evidently::KL_DIV,
    &evidently::PSI,
    &evidently::WASSERSTEIN,
    &frouros::PSI,
    &nannyml::HELLINGER,
    &nannyml::JENSEN_SHANNON,
    &nannyml::L_INFINITY,
    &popmon::JENSEN_SHANNON,
    &popmon::PSI,
    &scouter::PSI,
    &tfdv::JENSEN_SHANNON,
    &tfdv::JENSEN_SHANNON_NUMERIC,
    &tfdv::L_INFINITY,
    &whylogs::HELLINGER,
];

/// Every parity definition, in ascending order of name.
pub fn parity() -> &'static [&'static Statistic] {
    PARITY
}

/// Distinct finite values of both samples with their rows, ascending.
struct Values {
    each: Vec<(f64, u64, u64)>,
    n: u64,
    m: u64,
    integers: bool,
}

impl Values {
    fn new(pair: &Pair) -> Result<Self, NotApplicable> {
        let Pair::Numeric(pair) = pair else {
            return Err(NotApplicable("the column is not ordered".into()));
        };
        if pair.cells.iter().any(|c| !c.single) {
            return Err(NotApplicable(
                "this definition bins the raw values, which the profiles do not hold; arrays would be accepted"
                    .into(),
            ));
        }
        let each: Vec<_> = pair
            .cells
            .iter()
            .filter(|c| c.reference > 0 || c.current > 0)
            .map(|c| (c.low, c.reference, c.current))
            .collect();
        Ok(Values {
            n: total(each.iter().map(|v| v.1), "reference", "finite value")?,
            m: total(each.iter().map(|v| v.2), "current sample", "finite value")?,
            integers: matches!(pair.logical, Logical::Int | Logical::UInt),
            each,
        })
    }

    /// The values one sample holds, with its rows.
    fn reference(&self) -> impl Iterator<Item = (f64, u64)> + Clone {
        self.each.iter().map(|v| (v.0, v.1)).filter(|v| v.1 > 0)
    }

    /// Counts between edges, each closed on the left and the last on both sides: `numpy.histogram`.
    fn histogram(&self, edges: &[f64]) -> Counts {
        let mut counts = vec![(0, 0); edges.len().saturating_sub(1)];
        for &(value, a, b) in &self.each {
            let mut at = edges.partition_point(|e| *e <= value);
            if Some(&value) == edges.last() {
                at = counts.len();
            }
            if let Some(cell) = at.checked_sub(1).and_then(|i| counts.get_mut(i)) {
                *cell = (cell.0 + a, cell.1 + b);
            }
        }
        counts
    }

    /// Counts as shares of either sample.
    fn shares(&self, counts: &[(u64, u64)]) -> Shares {
        shares(counts, self.n, self.m)
    }
}

/// `numpy.linspace` over `bins` cells from the least to the largest value, half a unit around one value.
fn equal_width(low: f64, high: f64, bins: f64) -> Vec<f64> {
    let (low, high) = if low == high {
        (low - 0.5, high + 0.5)
    } else {
        (low, high)
    };
    let bins = if bins.is_finite() {
        bins.clamp(1.0, 65_536.0)
    } else {
        1.0
    };
    let step = (high - low) / bins;
    let mut edges: Vec<f64> = (0..bins as u32)
        .map(|i| f64::from(i) * step + low)
        .collect();
    edges.push(high);
    edges
}

/// Quantile between ranks, as numpy's, of ascending values with their rows; the share as a fraction.
fn quantile(
    values: impl Iterator<Item = (f64, u64)> + Clone,
    rows: u64,
    (part, of): (u64, u64),
) -> f64 {
    let at = |rank: u64| {
        let mut before = 0;
        let mut held = values.clone().filter(|v| v.1 > 0);
        held.find(|v| {
            before += v.1;
            before > rank
        })
        .map_or(f64::NAN, |v| v.0)
    };
    let position = u128::from(part) * u128::from(rows.saturating_sub(1));
    let rank = u64::try_from(position / u128::from(of)).unwrap_or(u64::MAX);
    let rest = (position % u128::from(of)) as f64 / of as f64;
    let low = at(rank);
    if rest == 0.0 {
        return low;
    }
    low + rest * (at(rank + 1) - low)
}

fn shares(counts: &[(u64, u64)], n: u64, m: u64) -> Shares {
    counts
        .iter()
        .map(|c| (c.0 as f64 / n as f64, c.1 as f64 / m as f64))
        .collect()
}

/// Counts of every value of a categorical column, new ones one by one.
fn categories(pair: &Pair) -> Result<(Counts, u64, u64), NotApplicable> {
    let Pair::Categorical(pair) = pair else {
        return Err(NotApplicable("the column holds no categories".into()));
    };
    let mut counts = Vec::new();
    for cell in &pair.cells {
        match cell.key {
            CategoryKey::Value(_) => counts.push((cell.reference, cell.current)),
            CategoryKey::New => {
                let listed: u64 = pair.new_examples.iter().map(|e| e.1).sum();
                if listed != cell.current {
                    return Err(NotApplicable(format!(
                        "the rows of new values are held together but for the first {}; fewer new values would be accepted",
                        pair.new_examples.len()
                    )));
                }
                counts.extend(pair.new_examples.iter().map(|e| (0, e.1)));
            }
            CategoryKey::HashCell(_) => {
                return Err(NotApplicable(
                    "rare values are held together by hash; arrays of fewer values would be accepted"
                        .into(),
                ));
            }
        }
    }
    counts.retain(|c| c.0 > 0 || c.1 > 0);
    let n = total(counts.iter().map(|c| c.0), "reference", "value")?;
    let m = total(counts.iter().map(|c| c.1), "current sample", "value")?;
    Ok((counts, n, m))
}

/// `sum (p - q) ln(p / q)`.
fn jeffreys(shares: &[(f64, f64)]) -> f64 {
    sum(shares.iter().map(|(p, q)| (p - q) * libm::log(p / q)))
}

/// Jensen-Shannon divergence in nats of shares that sum to 1.
fn jensen(shares: &[(f64, f64)]) -> f64 {
    sum(shares
        .iter()
        .filter(|(p, q)| p + q > 0.0)
        .map(|(p, q)| 0.5 * (p + q) * jensen_term((p - q).abs() / (p + q))))
}

/// Half the squared distance of the roots of shares.
fn hellinger_squared(shares: &[(f64, f64)]) -> f64 {
    let root = |(p, q): &(f64, f64)| libm::sqrt(*p) - libm::sqrt(*q);
    0.5 * sum(shares.iter().map(|s| root(s) * root(s)))
}

/// Largest difference of the shares of one category.
fn largest_difference(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (counts, n, m) = categories(pair)?;
    let most = counts
        .iter()
        .map(|c| super::cross(c.0, n, c.1, m))
        .max()
        .unwrap_or(0);
    Ok(Outcome::exact(super::share(most, n, m), (n, m)))
}
