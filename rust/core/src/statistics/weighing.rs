//! What sampling weights do to an outcome beside the counts it was computed from.
//!
//! Statistics see units of weight as counts, so shares, quantiles and distances are those of the
//! weighted distributions. Where a definition speaks of numbers of rows (priors, test statistics,
//! intervals), it takes Kish's: the rows of equal weight that a sample is worth.

use super::{Context, Dependence, Outcome, Statistic, outward};
use crate::dependence::WEIGHTS;
use crate::pair::{Pair, Part, Side};
use crate::row::Exactness;

/// Rows of equal weight that a unit of a part is worth; 1 without weights.
pub(super) fn scale(side: &Side, part: Part) -> f64 {
    match side.unequal() {
        Some(_) if side.count(part) > 0 => side.worth(part) / side.count(part) as f64,
        _ => 1.0,
    }
}

/// The same for the parts that hold these counts.
pub(super) fn scale_of(pair: &Pair, rows: (u64, u64)) -> (f64, f64) {
    let (r, c) = pair.sides();
    (scale(r, part_of(r, rows.0)), scale(c, part_of(c, rows.1)))
}

/// The part of a side that holds so many.
fn part_of(side: &Side, count: u64) -> Part {
    let fits = |part: &Part| side.count(*part) == count;
    let parts = [Part::All, Part::Present, Part::Finite];
    parts.into_iter().find(fits).unwrap_or(Part::Present)
}

/// What rounding the weights does to a statistic: share of rows that moved, on either side.
enum Rounding {
    /// The value moves by their sum at most.
    Share,
    /// By as much of the range of the values.
    Width,
    /// By the root of twice that range, times the sum.
    RootWidth,
    /// A metric whose square is at most so many times the share: by the roots of the products.
    Metric(f64),
    /// Not at all, or it is in the bounds already.
    None,
    /// By an amount without a bound here.
    Unknown,
}

fn rounding(name: &str) -> Rounding {
    match name {
        "ks"
        | "kuiper"
        | "total_variation"
        | "l_infinity"
        | "missing_rate"
        | "null_rate"
        | "nan_rate"
        | "new_category_mass"
        | "range_violation"
        | "probability_of_superiority" => Rounding::Share,
        "mean_shift" | "wasserstein" => Rounding::Width,
        "energy" => Rounding::RootWidth,
        "hellinger" => Rounding::Metric(1.0),
        "jensen_shannon" => Rounding::Metric(core::f64::consts::LN_2),
        "psi" | "kullback_leibler" | "quantile_shift" | "distinct_count" | "volume"
        | "constant" | "duplicate_keys" => Rounding::None,
        _ => Rounding::Unknown,
    }
}

/// Rows as rows, effective rows as Kish's, and the rounding of weights in the bounds.
pub(super) fn settle(statistic: &Statistic, pair: &Pair, outcome: &mut Outcome, context: &Context) {
    let (r, c) = pair.sides();
    if r.weights.is_none() && c.weights.is_none() {
        return;
    }
    let parts = (part_of(r, outcome.rows.0), part_of(c, outcome.rows.1));
    if pair.is_weighed() {
        let worth = (r.worth(parts.0), c.worth(parts.1));
        let judged = outcome.ci.is_some() || outcome.pvalue.is_some();
        match &mut outcome.dependence {
            None if judged => {
                outcome.dependence = Some(Dependence {
                    variance: WEIGHTS.into(),
                    rows: worth,
                    null: None,
                });
            }
            Some(d) if d.variance == WEIGHTS => d.rows = worth,
            _ => {}
        }
    }
    outcome.rows = (r.rows_of(parts.0), c.rows_of(parts.1));
    let (d, e) = (r.rounding(), c.rounding());
    if d + e == 0.0 {
        return;
    }
    let width = |s: &Side| {
        let width = s.max - s.min;
        if width.is_finite() { width } else { 0.0 }
    };
    let range = |pair: &Pair| match pair {
        Pair::Numeric(p) => p.cells.ends().map_or(0.0, |(low, high)| high - low),
        Pair::Categorical(_) => 0.0,
    };
    let error = match rounding(statistic.name) {
        Rounding::Share => d + e,
        Rounding::Width => d * width(r).max(range(pair)) + e * width(c).max(range(pair)),
        Rounding::RootWidth => libm::sqrt(2.0 * range(pair)) * (d + e),
        Rounding::Metric(factor) => libm::sqrt(factor * d) + libm::sqrt(factor * e),
        Rounding::None => return,
        Rounding::Unknown => {
            outcome.exactness = Exactness::Estimated;
            return;
        }
    };
    outcome.loosen(error, statistic.range);
    if let Some(interval) = outcome.interval.take() {
        let interval = interval.loosened(error);
        outcome.ci = Some(interval.at(context.alpha));
        outcome.minimum_detectable = Some(interval.margin(context.alpha));
        outcome.interval = Some(interval);
    }
}

impl Outcome {
    /// Widens the bounds.
    pub(super) fn loosen(&mut self, error: f64, range: (f64, f64)) {
        if error > 0.0 {
            if self.exactness == Exactness::Exact {
                self.exactness = Exactness::Certified;
            }
            self.bound_low = outward(self.bound_low - error, -1.0)
                .max(range.0)
                .min(self.value);
            self.bound_high = outward(self.bound_high + error, 1.0)
                .min(range.1)
                .max(self.value);
        }
    }
}

/// How sampling weights enter a definition, for documents.
pub fn weights(name: &str) -> &'static str {
    match name {
        "volume" | "distinct_count" => "none: a row is one whatever its weight",
        "psi" | "kullback_leibler" => {
            "shares of weight, as of Kish's effective rows: the prior is half of one of them"
        }
        "mean_shift" | "welch_t" => {
            "weighted means; errors linearised, every row a cluster; degrees of freedom of Kish's effective rows"
        }
        "new_category_mass" => {
            "shares of weight; expected: the weight of values that one reference row holds; p: as of Kish's \
             effective rows"
        }
        "chi_square" | "g_test" | "cramers_v" => {
            "shares of weight times Kish's effective rows in place of counts; p: Rao and Scott"
        }
        "cramer_von_mises" | "anderson_darling" | "mann_whitney" | "brown_forsythe"
        | "epps_singleton" => {
            "shares of weight times Kish's effective rows in place of counts; p: Rao and Scott's test of \
             homogeneity; estimated where weights were rounded"
        }
        "fisher_exact" => "odds of weight; p: Rao and Scott; estimated where weights were rounded",
        "wasserstein_scaled" | "energy_scaled" => {
            "weighted distribution functions; estimated where weights were rounded"
        }
        "quantile_shift" => "weighted quantiles",
        _ => "shares of weight",
    }
}
