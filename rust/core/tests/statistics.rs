//! Statistics, decisions and special functions against independent answers and laws.
//!
//! Golden numbers are made by `golden/generate_statistics.py` (scipy, mpmath, statsmodels).

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use tidegauge_core::decide::{Entry, Policy, Tolerance, adjusted, decide};
use tidegauge_core::pair::{
    CategoricalPair, CategoryCell, CategoryKey, Cell, Cells, NewValues, NumericPair, Pair, Side,
};
use tidegauge_core::row::{Exactness, Row, Verdict};
use tidegauge_core::special;
use tidegauge_core::statistics::{Context, Outcome, find, lookup, parity, registry};
use tidegauge_core::value::Logical;

// --- building pairs -----------------------------------------------------------------------------

fn exact_sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

fn side(values: &[f64], nulls: u64) -> Side {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let count = |f: fn(&f64) -> bool| values.iter().filter(|v| f(v)).count() as u64;
    let n = finite.len() as f64;
    let mean = exact_sum(&finite) / n;
    let squares: f64 = finite.iter().map(|v| (v - mean) * (v - mean)).sum();
    Side {
        rows: values.len() as u64 + nulls,
        nulls,
        nan: count(|v| v.is_nan()),
        neg_inf: count(|v| *v == f64::NEG_INFINITY),
        pos_inf: count(|v| *v == f64::INFINITY),
        finite: finite.len() as u64,
        mean,
        variance: if finite.len() > 1 {
            squares / (n - 1.0)
        } else {
            f64::NAN
        },
        min: finite.iter().copied().fold(f64::NAN, f64::min),
        max: finite.iter().copied().fold(f64::NAN, f64::max),
        distinct: 0.0,
        distinct_error: 0.0,
        overflow: 0,
        weights: None,
    }
}

/// Means less the first finite value of `x`.
fn near_means(x: &[f64], y: &[f64]) -> (f64, f64) {
    let finite = |values: &[f64]| -> Vec<f64> {
        let finite = values.iter().copied().filter(|v| v.is_finite());
        finite.collect()
    };
    let (x, y) = (finite(x), finite(y));
    let origin = x.first().copied().unwrap_or(0.0);
    let mean = |values: &[f64]| {
        let offsets: Vec<f64> = values.iter().map(|v| v - origin).collect();
        exact_sum(&offsets) / offsets.len() as f64
    };
    (mean(&x), mean(&y))
}

/// A pair on cells cut after those distinct values whose `cuts` entry is true; all true is exact.
fn numeric_on(x: &[f64], y: &[f64], cuts: impl Fn(usize) -> bool) -> NumericPair {
    let mut all: Vec<(f64, bool)> = x
        .iter()
        .map(|&v| (v, true))
        .chain(y.iter().map(|&v| (v, false)))
        .collect();
    all.retain(|v| v.0.is_finite());
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut cells: Vec<Cell> = Vec::new();
    let mut open: Vec<(f64, bool)> = Vec::new();
    let mut distinct = 0;
    for (i, &value) in all.iter().enumerate() {
        open.push(value);
        if all.get(i + 1).is_some_and(|next| next.0 == value.0) {
            continue;
        }
        distinct += 1;
        if !cuts(distinct) && i + 1 < all.len() {
            continue;
        }
        let low = open[0].0;
        let count = |reference: bool| open.iter().filter(|v| v.1 == reference).count() as u64;
        let offset = |reference: bool| {
            open.iter()
                .filter(|v| v.1 == reference)
                .map(|v| v.0 - low)
                .sum::<f64>()
        };
        let width = value.0 - low;
        cells.push(Cell {
            low,
            high: value.0,
            single: low == value.0,
            reference: count(true),
            current: count(false),
            offset_reference: offset(true),
            offset_current: offset(false),
            // Rounding of the naive sums above.
            offset_error: width * (open.len() * open.len()) as f64 * f64::EPSILON,
            coarse: cells.len() as u32 / 3,
        });
        open.clear();
    }
    let (reference, current) = (side(x, 0), side(y, 0));
    NumericPair {
        logical: Logical::Float,
        reference_range: (reference.min, reference.max),
        near_means: near_means(x, y),
        reference,
        current,
        cells: cells.into(),
        reference_iqr: 1.0,
        iqr_bounds: (1.0, 1.0),
        out_of_range: (0, 0),
        note: None,
        blocked: None,
    }
}

/// The cells of a pair with other numbers of rows.
fn held(pair: &NumericPair, rows: &[(u64, u64)]) -> Cells {
    let with = |(cell, rows): (&Cell, &(u64, u64))| Cell {
        reference: rows.0,
        current: rows.1,
        ..*cell
    };
    let cells: Vec<Cell> = pair.cells.iter().zip(rows).map(with).collect();
    cells.into()
}

fn numeric(x: &[f64], y: &[f64]) -> Pair {
    Pair::Numeric(numeric_on(x, y, |_| true))
}

fn categorical(counts: &[(CategoryKey, u64, u64)], missing: (u64, u64)) -> Pair {
    let of = |f: fn(&(CategoryKey, u64, u64)) -> u64, nulls: u64| {
        let values: u64 = counts.iter().map(f).sum();
        Side {
            rows: values + nulls,
            nulls,
            finite: values,
            ..side(&[], 0)
        }
    };
    let new = counts
        .iter()
        .filter(|c| c.0 == CategoryKey::New)
        .map(|c| c.2)
        .sum();
    Pair::Categorical(CategoricalPair {
        logical: Logical::String,
        reference: of(|c| c.1, missing.0),
        current: of(|c| c.2, missing.1),
        cells: counts
            .iter()
            .map(|(key, reference, current)| CategoryCell {
                key: key.clone(),
                reference: *reference,
                current: *current,
                rows: (*reference, *current),
            })
            .collect(),
        new_rows: (new, new),
        new_values: NewValues {
            by_rows: vec![(new, 1.0)],
            error: 0.0,
        },
        new_examples: vec![],
        note: None,
        blocked: None,
    })
}

fn values(a: &[u64], b: &[u64]) -> Pair {
    let cells: Vec<_> = a
        .iter()
        .zip(b)
        .enumerate()
        .map(|(i, (&x, &y))| {
            let key = if x == 0 && y > 0 {
                CategoryKey::New
            } else {
                CategoryKey::Value(format!("v{i}").into())
            };
            (key, x, y)
        })
        .collect();
    categorical(&cells, (0, 0))
}

fn run(name: &str, pair: &Pair) -> Outcome {
    find(name)
        .unwrap()
        .evaluate(pair, &Context::default())
        .unwrap()
}

// --- golden tables ------------------------------------------------------------------------------

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value) -> f64 {
    value
        .as_str()
        .map_or_else(|| value.as_f64().unwrap(), |text| text.parse().unwrap())
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn counts(value: &Value) -> Vec<u64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap())
        .collect()
}

#[track_caller]
fn close(got: f64, want: f64, relative: f64, what: &str) {
    let error = (got - want).abs();
    // A few of the smallest subnormals: nothing relative holds among them.
    assert!(
        error <= relative * want.abs() + 1e-322 || got == want,
        "{what}: got {got:e}, want {want:e}"
    );
}

const SPECIAL: &str = include_str!("golden/special.json");
const STATISTICS: &str = include_str!("golden/statistics.json");

#[test]
fn special_functions_match_mpmath_down_to_1e_290() {
    let table = golden(SPECIAL);
    let each = |name: &str, f: &dyn Fn(&[f64]) -> f64| {
        for row in table[name].as_array().unwrap() {
            let row = floats(row);
            let (want, arguments) = row.split_last().unwrap();
            close(f(arguments), *want, 1e-10, &format!("{name}{arguments:?}"));
        }
    };
    each("normal_sf", &|x| special::normal_sf(x[0]));
    each("normal_isf", &|x| special::normal_isf(x[0]));
    each("kolmogorov_sf", &|x| special::kolmogorov_sf(x[0]));
    each("kuiper_sf", &|x| special::kuiper_sf(x[0]));
    each("cramer_von_mises_sf", &|x| {
        special::cramer_von_mises_sf(x[0])
    });
    each("anderson_darling_sf", &|x| {
        special::anderson_darling_sf(x[0])
    });
    each("fisher_two_sided", &|x| {
        special::fisher_two_sided([0, 1, 2, 3].map(|i| x[i] as u64)).unwrap()
    });
    each("chi_square_sf", &|x| special::chi_square_sf(x[0], x[1]));
    each("student_two_sided", &|x| {
        special::student_two_sided(x[0], x[1])
    });
    each("binomial_sf", &|x| {
        special::binomial_sf(x[0] as u64, x[1] as u64, x[2])
    });
}

#[test]
fn student_quantile_inverts_the_tail() {
    for df in [1.0, 2.5, 30.0, 4e4, 1e8] {
        for p in [0.999, 0.5, 0.05, 1e-6, 1e-40] {
            close(
                special::student_two_sided(special::student_two_sided_isf(p, df), df),
                p,
                1e-9,
                "t quantile",
            );
        }
    }
}

#[test]
fn numeric_statistics_match_scipy_and_rational_arithmetic() {
    for case in golden(STATISTICS)["numeric"].as_array().unwrap() {
        let (name, x, y) = (
            case["name"].as_str().unwrap(),
            floats(&case["x"]),
            floats(&case["y"]),
        );
        let mut pair = numeric_on(&x, &y, |_| true);
        for (side, label) in [(&mut pair.reference, "x"), (&mut pair.current, "y")] {
            side.mean = number(&case[format!("mean_{label}")]);
            side.variance = number(&case[format!("variance_{label}")]);
        }
        let pair = Pair::Numeric(pair);
        let ks = run("ks", &pair);
        close(ks.value, number(&case["ks"]), 4.0 * f64::EPSILON, name);
        assert_eq!(
            (ks.bound_low, ks.bound_high, ks.exactness),
            (ks.value, ks.value, Exactness::Exact),
            "{name}"
        );
        close(ks.pvalue.unwrap(), number(&case["ks_pvalue"]), 1e-11, name);
        close(
            run("wasserstein", &pair).value,
            number(&case["wasserstein"]),
            4.0 * f64::EPSILON,
            name,
        );
        close(
            run("quantile_shift", &pair).value,
            number(&case["quantile_shift"]),
            0.0,
            name,
        );
        for (statistic, tolerance) in [
            ("energy", 1e-14),
            ("cramer_von_mises", 1e-13),
            ("anderson_darling", 1e-11),
            ("mann_whitney", 0.0),
            ("probability_of_superiority", 1e-15),
            ("kuiper", 4.0 * f64::EPSILON),
            ("brown_forsythe", 1e-9),
            ("welch_t", 1e-9),
        ] {
            let Some(want) = case.get(statistic) else {
                continue;
            };
            let outcome = run(statistic, &pair);
            let what = format!("{statistic} {name}");
            // scipy subtracts rounded means, which leaves offsets of 1e6 ten digits.
            let tolerance = match (statistic, name) {
                ("welch_t", "offset") => 1e-5,
                _ => tolerance,
            };
            close(outcome.value, number(want), tolerance, &what);
            if let Some(p) = case.get(format!("{statistic}_pvalue")) {
                // Relative error of a far tail is its exponent times that of the statistic.
                close(outcome.pvalue.unwrap(), number(p), 1e-9, &what);
            }
            assert!(statistic == "welch_t" || outcome.exactness == Exactness::Exact);
        }
        if let Some(p) = case.get("mean_shift_pvalue") {
            let shift = run("mean_shift", &pair);
            // Means of 1e6 and more do not cancel its digits.
            let want = number(&case["mean_shift"]);
            close(shift.value, want, 1e-9, name);
            assert!(
                shift.bound_low <= number(&case["mean_shift"])
                    && number(&case["mean_shift"]) <= shift.bound_high
            );
            // Means near 1e6 are rounded to 1e-10, a millionth of the standard error of "offset".
            close(shift.pvalue.unwrap(), number(p), 1e-5, name);
            let (low, high) = shift.ci.unwrap();
            let ci = floats(&case["mean_shift_ci"]);
            assert!(
                (low - ci[0]).abs() + (high - ci[1]).abs() <= 1e-5 * (high - low),
                "{name}: {low} {high} {ci:?}"
            );
        }
    }
}

#[test]
fn table_statistics_match_mpmath() {
    for case in golden(STATISTICS)["tables"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let pair = values(&counts(&case["a"]), &counts(&case["b"]));
        for statistic in [
            "total_variation",
            "l_infinity",
            "jensen_shannon",
            "hellinger",
            "psi",
            "chi_square",
            "cramers_v",
            "g_test",
            "kullback_leibler",
            "fisher_exact",
        ] {
            if case.get(statistic).is_none() {
                continue;
            }
            let outcome = run(statistic, &pair);
            // Bergsma's correction and JS of nearly equal shares subtract: 1e-12.
            close(
                outcome.value,
                number(&case[statistic]),
                1e-12,
                &format!("{statistic} {name}"),
            );
            assert_eq!(outcome.exactness, Exactness::Exact);
        }
        // Where a cell is expected to hold fewer than 8 rows of a side, p and the value expected are those of all
        // splits: see the unit tests of statistics/sparse.rs and tests/oracle/test_few_rows_of_categories.py.
        let (a, b) = (counts(&case["a"]), counts(&case["b"]));
        let (n, m): (u64, u64) = (a.iter().sum(), b.iter().sum());
        let expected = a.iter().zip(&b).filter(|c| c.0 + c.1 > 0).map(|c| {
            let share = (c.0 + c.1) as f64 / (n as f64 + m as f64);
            n.min(m) as f64 * share
        });
        let few = expected.fold(f64::INFINITY, f64::min) < 8.0;
        for statistic in [
            "psi",
            "chi_square",
            "g_test",
            "kullback_leibler",
            "fisher_exact",
        ] {
            if few && statistic != "fisher_exact" {
                continue;
            }
            let want = &case[format!("{statistic}_pvalue")];
            if !want.is_null() {
                close(
                    run(statistic, &pair).pvalue.unwrap(),
                    number(want),
                    1e-9,
                    &format!("{statistic} p {name}"),
                );
            }
        }
        if !few {
            close(
                run("psi", &pair).value_if_no_change.unwrap(),
                number(&case["psi_if_no_change"]),
                1e-12,
                name,
            );
        }
    }
}

#[test]
fn rates_match_statsmodels() {
    for case in golden(STATISTICS)["rates"].as_array().unwrap() {
        let [a, n, b, m] = ["a", "n", "b", "m"].map(|k| case[k].as_u64().unwrap());
        let pair = categorical(&[(CategoryKey::Value(b"v".to_vec()), n - a, m - b)], (a, b));
        let outcome = run("missing_rate", &pair);
        close(
            outcome.value,
            number(&case["value"]),
            4.0 * f64::EPSILON,
            "rate",
        );
        close(
            outcome.pvalue.unwrap(),
            number(&case["pvalue"]),
            1e-9,
            "rate p",
        );
        let (ci, want) = (outcome.ci.unwrap(), floats(&case["ci"]));
        assert!(
            (ci.0 - want[0]).abs() < 1e-12 && (ci.1 - want[1]).abs() < 1e-12,
            "{ci:?} {want:?}"
        );
    }
}

#[test]
fn adjusted_pvalues_match_statsmodels() {
    let table = golden(STATISTICS);
    let p = floats(&table["adjust"]["pvalues"]);
    let harmonic: f64 = (1..=p.len()).map(|i| 1.0 / i as f64).sum();
    for (got, want) in adjusted(&p, 1.0).iter().zip(floats(&table["adjust"]["bh"])) {
        close(*got, want, 1e-14, "bh");
    }
    for (got, want) in adjusted(&p, harmonic)
        .iter()
        .zip(floats(&table["adjust"]["by"]))
    {
        close(*got, want, 1e-13, "by");
    }
}

// --- laws over the registry ------------------------------------------------------------------------

#[test]
fn the_registry_is_ordered_and_complete() {
    let names: Vec<_> = registry().iter().map(|s| s.name).collect();
    assert!(names.windows(2).all(|w| w[0] < w[1]));
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/statistics")).unwrap();
    for file in files {
        let stem = file
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let helper = [
            "contributions",
            "curve",
            "folded",
            "interval",
            "mod",
            "parity",
            "sparse",
            "superiority",
            "table",
            "weighing",
        ]
        .contains(&stem.as_str());
        assert!(
            helper || names.contains(&stem.as_str()),
            "{stem}.rs is not in the registry"
        );
    }
    assert_eq!(lookup("csi").map(|s| s.name), Some("psi"));
    // Neither an alias nor the number of another tool can be named to decide.
    assert!(find("csi").is_none() && find("evidently.psi").is_none());
    assert!(parity().windows(2).all(|w| w[0].name < w[1].name));
    for statistic in registry().iter().chain(parity()) {
        assert!(
            statistic
                .definition
                .starts_with(&format!("{}/", statistic.name)),
            "{}",
            statistic.definition
        );
        assert_eq!(
            lookup(statistic.name).map(|s| s.definition),
            Some(statistic.definition)
        );
    }
}

/// What holds for any outcome whatever the data.
fn check_outcome(name: &str, outcome: &Outcome, range: (f64, f64)) {
    let context = format!("{name}: {outcome:?}");
    assert!(
        !outcome.value.is_nan() && !outcome.bound_low.is_nan() && !outcome.bound_high.is_nan(),
        "{context}"
    );
    assert!(
        outcome.bound_low <= outcome.value && outcome.value <= outcome.bound_high,
        "{context}"
    );
    assert!(
        range.0 <= outcome.value && outcome.value <= range.1,
        "{context}"
    );
    if let Some((low, high)) = outcome.ci {
        assert!(low <= outcome.value && outcome.value <= high, "{context}");
        assert!(
            outcome.exactness == Exactness::Estimated || high >= outcome.bound_high.min(range.1),
            "{context}"
        );
    }
    for p in outcome.pvalue.iter() {
        assert!((0.0..=1.0).contains(p), "{context}");
    }
    for x in [outcome.value_if_no_change, outcome.minimum_detectable]
        .into_iter()
        .flatten()
    {
        assert!(x >= 0.0, "{context}");
    }
}

#[test]
fn empty_sides_are_reasons_not_numbers() {
    let empty = [
        numeric(&[], &[]),
        numeric(&[1.0], &[]),
        numeric(&[], &[1.0]),
        categorical(&[], (0, 0)),
        categorical(&[], (3, 0)),
    ];
    for pair in &empty {
        for statistic in registry() {
            match statistic.evaluate(pair, &Context::default()) {
                Err(reason) => assert!(!reason.0.is_empty()),
                Ok(outcome) => check_outcome(statistic.name, &outcome, statistic.range),
            }
        }
    }
    let ks = find("ks").unwrap();
    assert_eq!(
        ks.evaluate(&empty[1], &Context::default()).unwrap_err().0,
        "the current sample has no ordered value"
    );
    assert!(ks.evaluate(&empty[3], &Context::default()).is_err());
    assert!(
        ks.evaluate(&numeric(&[1.0], &[1.0]), &Context { alpha: 0.0 })
            .is_err()
    );
}

#[test]
fn a_column_against_itself_is_exactly_unchanged() {
    let moderate = [0.1, 0.1, 5.0, f64::NEG_INFINITY, f64::NAN, -3.0];
    for name in ["welch_t", "brown_forsythe"] {
        let outcome = run(name, &numeric(&moderate, &moderate));
        assert_eq!((outcome.value, outcome.pvalue), (0.0, Some(1.0)), "{name}");
    }
    let superiority = run("probability_of_superiority", &numeric(&moderate, &moderate));
    assert_eq!((superiority.value, superiority.pvalue), (0.5, Some(1.0)));
    let x = [0.1, 0.1, 5.0, f64::NEG_INFINITY, 1e300, f64::NAN, -3.0];
    let pairs = [numeric(&x, &x), values(&[5, 10, 1], &[5, 10, 1])];
    for pair in &pairs {
        for name in [
            "ks",
            "wasserstein",
            "total_variation",
            "psi",
            "jensen_shannon",
            "hellinger",
            "l_infinity",
            "chi_square",
            "cramers_v",
            "mean_shift",
            "quantile_shift",
            "missing_rate",
            "null_rate",
            "nan_rate",
            "new_category_mass",
            "energy",
            "energy_scaled",
            "cramer_von_mises",
            "kuiper",
            "kullback_leibler",
            "g_test",
        ] {
            let statistic = find(name).unwrap();
            if statistic.kinds.accepts(pair) {
                let outcome = run(name, pair);
                assert_eq!(outcome.value, 0.0, "{name}");
                if let Some(p) = outcome.pvalue {
                    assert!(p > 0.4, "{name} {p}");
                }
            }
        }
    }
}

#[test]
fn counts_up_to_1e12_rows_and_absurd_ones() {
    let n = 2_200_000_000_u64 * 1000;
    let mut pair = numeric_on(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], |_| true);
    pair.cells = held(&pair, &[(n, n), (n, n + 1), (5, n)]);
    let ks = run("ks", &Pair::Numeric(pair.clone()));
    let (r, c) = (2.0 * n as f64, 3.0 * n as f64);
    let want = r / (r + 5.0) - (r + 1.0) / (c + 1.0);
    close(ks.value, want, 1e-14, "ks of 6.6e12 rows");
    assert_eq!(ks.pvalue, Some(0.0));
    for count in [u64::MAX, 1 << 61] {
        pair.cells = held(&pair, &[(count / 3, count / 3 - 1); 3]);
        pair.reference.rows = count;
        pair.current.rows = count;
        let pair = Pair::Numeric(pair.clone());
        for statistic in registry() {
            if let Ok(outcome) = statistic.evaluate(&pair, &Context::default()) {
                check_outcome(statistic.name, &outcome, statistic.range);
            }
        }
    }
}

#[test]
fn emptied_cell_says_support_mismatch_and_both_empty_cells_count_for_nothing() {
    let psi = run(
        "psi",
        &values(
            &[1000; 10],
            &[0, 1111, 1111, 1111, 1111, 1111, 1111, 1111, 1111, 1112],
        ),
    );
    assert!(psi.support_mismatch);
    assert!(
        psi.message
            .unwrap()
            .contains("support_mismatch: 'v0' holds 1.000e-1 of the reference")
    );
    let with_empty = values(&[10, 0, 20, 0], &[12, 0, 9, 0]);
    assert_eq!(
        run("psi", &with_empty).value,
        run("psi", &values(&[10, 20], &[12, 9])).value
    );
}

#[test]
fn wasserstein_scaled_declares_a_reference_without_spread() {
    let mut pair = numeric_on(&[1.0; 10], &[1.01; 10], |_| true);
    pair.reference_iqr = 0.0;
    let outcome = run("wasserstein_scaled", &Pair::Numeric(pair));
    assert_eq!(outcome.value, f64::INFINITY);
    assert!(outcome.message.unwrap().contains("no spread"));
    let mut pair = numeric_on(&[1.0; 10], &[1.0; 4], |_| true);
    pair.reference_iqr = 0.0;
    assert_eq!(run("wasserstein_scaled", &Pair::Numeric(pair)).value, 0.0);
    let zero_inflated: Vec<f64> = (0..100).map(|i| f64::from((i - 80).max(0))).collect();
    let mut pair = numeric_on(&zero_inflated, &zero_inflated[..90], |_| true);
    pair.reference_iqr = 0.0;
    assert!(
        run("wasserstein_scaled", &Pair::Numeric(pair))
            .message
            .unwrap()
            .contains("standard deviation")
    );
}

#[test]
fn one_new_row_in_ten_thousand_has_a_p_of_the_right_size() {
    let pair = values(&[5000, 5000, 0], &[4999, 5000, 1]);
    let outcome = run("new_category_mass", &pair);
    assert_eq!(outcome.value, 1e-4);
    close(outcome.pvalue.unwrap(), 0.5, 1e-12, "Fisher's one-sided p");
}

// --- certificates -------------------------------------------------------------------------------------

/// Values with ties, point masses, wide and narrow spread.
fn sample(size: usize) -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        3 => (-20_i32..20).prop_map(f64::from),
        3 => -1.0..1.0_f64,
        1 => Just(0.0),
        1 => (-4.0..4.0_f64).prop_map(|x| x * x * x * 1e4),
        1 => (-1.0..1.0_f64).prop_map(|x| 1e6 + 1e-3 * x),
    ];
    proptest::collection::vec(value, 1..size)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn coarse_cells_contain_the_exact_ks_wasserstein_and_quantiles(
        x in sample(60), y in sample(60), keep in proptest::collection::vec(proptest::bool::weighted(0.3), 130),
    ) {
        let exact = numeric(&x, &y);
        let coarse = Pair::Numeric(numeric_on(&x, &y, |i| keep[i % keep.len()]));
        for name in ["ks", "wasserstein", "quantile_shift", "wasserstein_scaled"] {
            let (want, got) = (run(name, &exact), run(name, &coarse));
            prop_assert!(got.bound_low <= want.value && want.value <= got.bound_high, "{name}: {} not in [{}, {}]", want.value, got.bound_low, got.bound_high);
            prop_assert_eq!(want.bound_low, want.bound_high);
            check_outcome(name, &got, find(name).unwrap().range);
        }
        for name in ["energy", "energy_scaled", "cramer_von_mises", "anderson_darling", "mann_whitney", "probability_of_superiority", "kuiper", "brown_forsythe"] {
            let statistic = find(name).unwrap();
            let (Ok(want), Ok(got)) = (statistic.evaluate(&exact, &Context::default()), statistic.evaluate(&coarse, &Context::default())) else { continue };
            // The moments of this file are naive sums, which brown_forsythe reads: 1e-6 about offsets of 1e6.
            let relative = if name == "brown_forsythe" { 1e-6 } else { 1e-12 };
            let slack = relative * want.value.abs().min(1e300);
            prop_assert!(got.bound_low - slack <= want.value && want.value <= got.bound_high + slack, "{name}: {} not in [{}, {}]", want.value, got.bound_low, got.bound_high);
            prop_assert_eq!(want.exactness, Exactness::Exact);
            check_outcome(name, &got, statistic.range);
            if ["kuiper", "mann_whitney", "brown_forsythe"].contains(&name) {
                prop_assert!(got.pvalue.unwrap() >= want.pvalue.unwrap() * (1.0 - 1e-4), "{name}");
            }
        }
        let (want, got) = (run("ks", &exact), run("ks", &coarse));
        prop_assert!(got.pvalue >= want.pvalue);
        // Never wider than the smaller of the two masses of a cell.
        let Pair::Numeric(p) = &coarse else { unreachable!() };
        let widest = p.cells.iter().filter(|c| !c.single)
            .map(|c| (c.reference as f64 / x.len() as f64).min(c.current as f64 / y.len() as f64)).fold(0.0, f64::max);
        prop_assert!(got.bound_high - got.value <= widest + 1e-12);
    }

    #[test]
    fn hash_cells_contain_the_exact_categorical_distances(
        cells in proptest::collection::vec((0_u64..40, 0_u64..40, 0_u32..6), 1..25),
    ) {
        prop_assume!(cells.iter().map(|c| c.0).sum::<u64>() > 0 && cells.iter().map(|c| c.1).sum::<u64>() > 0);
        let exact: Vec<_> = cells.iter().enumerate()
            .map(|(i, c)| (CategoryKey::Value(vec![i as u8]), c.0, c.1)).collect();
        // Cells 0..3 are hashed together, the others keep their value.
        let mut coarse: Vec<(CategoryKey, u64, u64)> = Vec::new();
        let mut hashed: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for (i, &(a, b, h)) in cells.iter().enumerate() {
            if h < 3 {
                let cell = hashed.entry(h).or_default();
                *cell = (cell.0 + a, cell.1 + b);
            } else {
                coarse.push((CategoryKey::Value(vec![i as u8]), a, b));
            }
        }
        coarse.extend(hashed.into_iter().map(|(h, (a, b))| (CategoryKey::HashCell(h), a, b)));
        let (exact, coarse) = (categorical(&exact, (2, 3)), categorical(&coarse, (2, 3)));
        for name in ["total_variation", "jensen_shannon", "hellinger", "l_infinity"] {
            let (want, got) = (run(name, &exact).value, run(name, &coarse));
            prop_assert!(got.bound_low <= want * (1.0 + 1e-15) && want <= got.bound_high * (1.0 + 1e-15), "{name}: {want} not in [{}, {}]", got.bound_low, got.bound_high);
        }
        for statistic in registry() {
            if let Ok(outcome) = statistic.evaluate(&coarse, &Context::default()) {
                check_outcome(statistic.name, &outcome, statistic.range);
            }
        }
    }

    #[test]
    fn every_statistic_holds_its_laws_on_hostile_numbers(
        x in proptest::collection::vec(any::<f64>(), 0..12), y in proptest::collection::vec(any::<f64>(), 0..12),
        keep in any::<u64>(), alpha in 1e-12..0.999_f64,
    ) {
        let pair = Pair::Numeric(numeric_on(&x, &y, |i| keep >> (i % 64) & 1 == 1));
        for statistic in parity() {
            // Formulas of others may overflow on extreme numbers; they never panic.
            let _ = statistic.evaluate(&numeric(&x, &y), &Context { alpha });
        }
        for statistic in registry() {
            if let Ok(outcome) = statistic.evaluate(&pair, &Context { alpha }) {
                check_outcome(statistic.name, &outcome, statistic.range);
            }
        }
    }
}

// --- decisions ------------------------------------------------------------------------------------------

/// Split-mix generator: the tests need repeatable noise, not quality.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn base(feature: &str, kind: &str) -> Row {
    Row {
        feature: feature.into(),
        kind: Some(kind.into()),
        role: Some("feature".into()),
        baseline: "reference".into(),
        ..Row::default()
    }
}

/// Rows of every applicable statistic for one column.
fn entries(base: &Row, pair: &Pair) -> Vec<Entry> {
    registry()
        .iter()
        .filter(|s| s.kinds.accepts(pair))
        .map(|s| Entry::compute(s, pair, base, &Context::default()))
        .collect()
}

/// A column of `n` against `m` rows: 9 numeric, 9 categorical with 2 to 42 skewed values
/// (the many-valued one has most rows in a few, as countries do).
fn column(i: usize, n: usize, m: usize, shift: f64, noise: &mut Noise) -> (Row, Pair) {
    if i < 9 {
        let x: Vec<f64> = (0..n).map(|_| (noise.uniform() * 50.0).floor()).collect();
        let y: Vec<f64> = (0..m)
            .map(|_| (noise.uniform() * 50.0 + shift * 50.0).floor())
            .collect();
        return (base(&format!("n{i}"), "numeric"), numeric(&x, &y));
    }
    let k = [2, 2, 5, 6, 7, 8, 15, 16, 42][i - 9];
    let mut draw = |rows: usize, shift: f64| {
        let mut counts = vec![0_u64; k];
        for _ in 0..rows {
            let u = noise.uniform();
            let at = if noise.uniform() < shift {
                0
            } else {
                (u.powi(if k > 20 { 8 } else { 2 }) * k as f64) as usize
            };
            counts[at.min(k - 1)] += 1;
        }
        counts
    };
    let (a, b) = (draw(n, 0.0), draw(m, shift));
    (base(&format!("c{i}"), "categorical"), values(&a, &b))
}

fn verdicts(rows: &[Row]) -> BTreeMap<String, Verdict> {
    rows.iter()
        .filter(|r| r.statistic == "verdict")
        .map(|r| (r.feature.clone(), r.verdict.unwrap()))
        .collect()
}

#[test]
fn a_control_of_3500_rows_is_ok_and_30_rows_are_inconclusive() {
    for seed in 0..20 {
        let mut noise = Noise(seed);
        for (m, want) in [(3552, Verdict::Ok), (30, Verdict::Inconclusive)] {
            let mut all = Vec::new();
            for i in 0..18 {
                let (base, pair) = column(i, 3515, m, 0.0, &mut noise);
                all.extend(entries(&base, &pair));
            }
            let rows = decide(all, &Policy::default());
            for (feature, verdict) in verdicts(&rows) {
                assert_eq!(
                    verdict,
                    want,
                    "{feature}, seed {seed}, {m} rows: {:?}",
                    rows.iter()
                        .filter(|r| r.feature == feature && r.decides)
                        .collect::<Vec<_>>()
                );
            }
        }
    }
}

#[test]
fn shifted_features_fail_and_come_first() {
    let mut noise = Noise(7);
    let mut all = Vec::new();
    for i in 0..18 {
        let shift = match i {
            3 => 0.5,
            12 => 0.6,
            _ => 0.0,
        };
        let (base, pair) = column(i, 3515, 3552, shift, &mut noise);
        all.extend(entries(&base, &pair));
    }
    let rows = decide(all, &Policy::default());
    let by_rank: BTreeMap<u64, &Row> = rows.iter().filter_map(|r| r.rank.map(|k| (k, r))).collect();
    assert_eq!(by_rank.len(), 18);
    assert_eq!(
        (by_rank[&1].feature.as_str(), by_rank[&2].feature.as_str()),
        ("n3", "c12")
    );
    assert_eq!(by_rank[&1].verdict, Some(Verdict::Fail));
    assert_eq!(by_rank[&2].verdict, Some(Verdict::Fail));
    assert_eq!(by_rank[&3].verdict, Some(Verdict::Ok));
    assert!(
        by_rank[&1].message.as_ref().unwrap().starts_with("ks is 5"),
        "{:?}",
        by_rank[&1].message
    );
    let total = rows.iter().find(|r| r.feature == "*").unwrap();
    assert_eq!(
        (total.statistic.as_str(), total.value),
        ("share_drifted", Some(2.0 / 18.0))
    );
    assert_eq!(
        total.message.as_deref(),
        Some("2 of 18 features drifted (2 fail, 0 warn)")
    );
    for row in rows.iter().filter(|r| r.decides) {
        assert!(row.qvalue >= row.pvalue && row.warn_at < row.fail_at);
        assert_eq!(row.threshold_source.as_deref(), Some("convention"));
        // The verdict can be read off the recorded numbers.
        let (low, high) = (row.ci_low.unwrap(), row.ci_high.unwrap());
        let (warn, fail) = (row.warn_at.unwrap(), row.fail_at.unwrap());
        let again = if low > fail {
            Verdict::Fail
        } else if low > warn {
            Verdict::Warn
        } else if high < fail {
            Verdict::Ok
        } else {
            Verdict::Inconclusive
        };
        assert_eq!(row.verdict, Some(again));
    }
}

#[test]
fn only_judged_roles_decide_and_given_verdicts_are_kept() {
    let mut noise = Noise(3);
    let (mut id, pair) = column(0, 500, 500, 0.5, &mut noise);
    id.role = Some("id".into());
    let mut all = entries(&id, &pair);
    let schema = Row {
        statistic: "schema".into(),
        decides: true,
        verdict: Some(Verdict::Fail),
        message: Some("column 'gone' is missing".into()),
        ..base("gone", "numeric")
    };
    all.push(Entry::given(schema));
    let (score, pair) = column(1, 4000, 4000, 0.0, &mut noise);
    all.extend(entries(&score, &pair));
    let rows = decide(all, &Policy::default());
    assert!(
        rows.iter()
            .filter(|r| r.feature == "n0")
            .all(|r| !r.decides && r.verdict.is_none())
    );
    let verdicts = verdicts(&rows);
    assert_eq!(verdicts.get("gone"), Some(&Verdict::Fail));
    assert_eq!(verdicts.get("n0"), None);
    let gone = rows
        .iter()
        .find(|r| r.feature == "gone" && r.statistic == "verdict")
        .unwrap();
    assert_eq!(
        (gone.rank, gone.message.as_deref()),
        (Some(1), Some("column 'gone' is missing"))
    );
}

#[test]
fn columns_may_choose_statistic_and_tolerance() {
    let x: Vec<f64> = (0..2000).map(|i| f64::from(i % 100)).collect();
    let y: Vec<f64> = x.iter().map(|v| v + 20.0).collect();
    let (pair, base) = (numeric(&x, &y), base("wind", "numeric"));
    let mut policy = Policy::default();
    policy
        .statistics
        .insert("wind".into(), "wasserstein".into());
    let deciding = |rows: &[Row]| {
        rows.iter()
            .filter(|r| r.decides)
            .map(|r| (r.statistic.clone(), r.verdict.unwrap()))
            .collect::<BTreeMap<_, _>>()
    };
    let rows = decide(entries(&base, &pair), &policy);
    assert_eq!(deciding(&rows)["wasserstein"], Verdict::NotEvaluated);
    policy.tolerances.insert(
        "wind".into(),
        Tolerance {
            warn: 5.0,
            fail: 10.0,
        },
    );
    let rows = decide(entries(&base, &pair), &policy);
    assert_eq!(
        deciding(&rows),
        BTreeMap::from([
            ("wasserstein".into(), Verdict::Fail),
            ("missing_rate".into(), Verdict::Ok)
        ])
    );
    // A signed statistic is judged by its distance from 0.
    policy.statistics.insert("wind".into(), "mean_shift".into());
    let rows = decide(entries(&base, &numeric(&y, &x)), &policy);
    assert_eq!(deciding(&rows)["mean_shift"], Verdict::Fail);
    let row = rows.iter().find(|r| r.statistic == "mean_shift").unwrap();
    assert_eq!(
        (row.value, row.threshold_source.as_deref()),
        (Some(-20.0), Some("configuration"))
    );
}

#[test]
fn psi_with_an_emptied_cell_never_decides_alone() {
    let mut policy = Policy::default();
    policy.statistics.insert("c".into(), "psi".into());
    // One row in 200,000 vanishes against a tiny tolerance: PSI alone would fail.
    policy.tolerances.insert(
        "c".into(),
        Tolerance {
            warn: 1e-9,
            fail: 2e-9,
        },
    );
    let rows = decide(
        entries(
            &base("c", "categorical"),
            &values(&[100_000, 100_000, 3000], &[100_000, 100_000, 0]),
        ),
        &policy,
    );
    let psi = rows.iter().find(|r| r.statistic == "psi").unwrap();
    assert_eq!(psi.verdict, Some(Verdict::Inconclusive));
    let helper = rows
        .iter()
        .find(|r| r.statistic == "total_variation")
        .unwrap();
    assert!(helper.decides && helper.verdict == Some(Verdict::Ok));
}

#[test]
fn totals_and_segments_in_one_family_use_the_stronger_adjustment() {
    let mut noise = Noise(11);
    let (total, pair) = column(0, 800, 800, 0.1, &mut noise);
    let mut segment = total.clone();
    (segment.segment_by, segment.segment_value) = (Some("country".into()), Some("NL".into()));
    let alone = decide(entries(&total, &pair), &Policy::default());
    let both = decide(
        [entries(&total, &pair), entries(&segment, &pair)].concat(),
        &Policy::default(),
    );
    let ks = |rows: &[Row]| {
        rows.iter()
            .find(|r| r.statistic == "ks" && r.segment_by.is_none())
            .cloned()
            .unwrap()
    };
    assert!(ks(&both).ci_low < ks(&alone).ci_low && ks(&both).qvalue > ks(&alone).qvalue);
    assert_eq!(
        both.iter()
            .filter(|r| r.statistic == "share_drifted")
            .count(),
        2
    );
}

#[test]
fn an_all_missing_column_fails_by_its_missing_rate() {
    let x: Vec<f64> = (0..500).map(f64::from).collect();
    let rows = decide(
        entries(&base("x", "numeric"), &numeric(&x, &[f64::NAN; 400])),
        &Policy::default(),
    );
    let ks = rows.iter().find(|r| r.statistic == "ks").unwrap();
    assert_eq!(ks.verdict, Some(Verdict::NotEvaluated));
    assert_eq!(verdicts(&rows)["x"], Verdict::Fail);
}

#[test]
fn the_ks_interval_covers_the_true_distance() {
    // Uniform against uniform with a tenth moved: true D = .1; nominal 95 %, DKW is conservative.
    let mut noise = Noise(5);
    let (mut covered, trials) = (0, 400);
    for _ in 0..trials {
        let x: Vec<f64> = (0..200).map(|_| noise.uniform()).collect();
        let y: Vec<f64> = (0..150)
            .map(|_| {
                if noise.uniform() < 0.1 {
                    2.0
                } else {
                    noise.uniform()
                }
            })
            .collect();
        let (low, high) = run("ks", &numeric(&x, &y)).ci.unwrap();
        covered += u32::from(low <= 0.1 && 0.1 <= high);
    }
    assert!(covered >= trials * 95 / 100, "{covered} of {trials}");
}

#[test]
fn the_total_variation_interval_covers_the_true_distance_at_small_rows() {
    // Two categories around one half, where the variance is largest: true distance .1.
    let mut noise = Noise(9);
    let (mut covered, trials) = (0, 4000);
    for _ in 0..trials {
        let mut draw = |rows: u64, p: f64| (0..rows).filter(|_| noise.uniform() < p).count() as u64;
        let (a, b) = (draw(40, 0.45), draw(25, 0.55));
        let (low, high) = run("total_variation", &values(&[a, 40 - a], &[b, 25 - b]))
            .ci
            .unwrap();
        covered += u32::from(low <= 0.1 && 0.1 <= high);
    }
    assert!(covered >= trials * 95 / 100, "{covered} of {trials}");
}

/// Angles beyond double precision have no cosine.
#[test]
fn a_tiny_middle_half_and_a_far_value_have_no_epps_singleton() {
    let x = [0.0, 0.0, -1.8e-103, 0.0, 0.0, 0.0];
    let y = [0.0, 7.6e183, -2.3e79, -2.2e-124, 0.0, 0.0];
    let of = |pair: Pair| {
        let statistic = find("epps_singleton").unwrap();
        statistic.evaluate(&pair, &Context::default())
    };
    assert!(
        of(numeric(&x, &y))
            .unwrap_err()
            .0
            .contains("double precision")
    );
}

/// Scoreboard 35: at a billion rows every p-value is 0; the interval says that nothing moved that matters.
#[test]
fn a_harmless_shift_of_a_billion_rows_is_ok() {
    let n = 1_000_000_000_u64;
    let mut pair = numeric_on(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], |_| true);
    let rows = [
        (n / 2, n / 2 - 1_000_000),
        (n / 4, n / 4),
        (n / 4, n / 4 + 1_000_000),
    ];
    pair.cells = held(&pair, &rows);
    for side in [&mut pair.reference, &mut pair.current] {
        (side.rows, side.finite) = (n, n);
    }
    let rows = decide(
        entries(&base("x", "numeric"), &Pair::Numeric(pair)),
        &Policy::default(),
    );
    let of = |name: &str| rows.iter().find(|r| r.statistic == name).unwrap();
    for name in ["ks", "kuiper", "cramer_von_mises", "mann_whitney"] {
        assert_eq!(of(name).pvalue, Some(0.0), "{name}");
    }
    close(of("ks").value.unwrap(), 1e-3, 1e-12, "ks");
    assert!(of("ks").ci_high.unwrap() < 0.0011);
    assert_eq!(of("verdict").verdict, Some(Verdict::Ok));
}
