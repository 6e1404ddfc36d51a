//! Metric states: any order, split and batch size gives the same bytes; bounds hold the exact value;
//! brute force over pairs and rows agrees; no bytes panic.

use proptest::prelude::*;
use tidegauge_core::codec::{Reader, Writer};
use tidegauge_core::metrics::{
    Answer, Average, Batch, Context, Fairness, Label, Loss, MISSING, Part, Plan, Prediction, State,
    Task, Weighting, change, find, one_vs_rest, registry, rows,
};

/// Label (2: missing), score (NaN: missing), weight.
type Row = (u32, f64, f64);

fn binary_rows() -> impl Strategy<Value = Vec<Row>> {
    let score = prop_oneof![
        4 => 0.0..1.0f64,
        3 => (0..8u32).prop_map(|k| f64::from(k) / 8.0),
        1 => Just(f64::NAN),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(5e-324)],
    ];
    let weight = prop_oneof![Just(0.0), Just(1.0), 1e-12..4.0f64];
    prop::collection::vec((0..3u32, score, weight), 0..150)
}

fn weighting(weighted: bool) -> Weighting {
    if weighted {
        Weighting::Sampling { exponent: 2 }
    } else {
        Weighting::None
    }
}

fn binary(weighted: bool, cells: u32) -> Plan {
    Plan::full(Task::Binary { threshold: 0.5 }, weighting(weighted), cells)
}

fn add(state: &mut State, rows: &[Row], batch: usize) {
    let weighted = state.plan().weighting.is_weighted();
    let regression = matches!(state.plan().task, Task::Regression { .. });
    for part in rows.chunks(batch.max(1)) {
        let codes: Vec<u32> = part
            .iter()
            .map(|r| if r.0 == 2 { MISSING } else { r.0 })
            .collect();
        let values: Vec<f64> = part
            .iter()
            .map(|r| {
                if r.0 == 2 {
                    f64::NAN
                } else {
                    f64::from(r.0) + r.2
                }
            })
            .collect();
        let scores: Vec<f64> = part.iter().map(|r| r.1).collect();
        let weights: Vec<f64> = part.iter().map(|r| r.2).collect();
        let batch = Batch {
            label: if regression {
                Label::Value(&values)
            } else {
                Label::Class(&codes)
            },
            prediction: Prediction::Score(&scores),
            weight: weighted.then_some(weights.as_slice()),
        };
        state.update(&batch).unwrap();
    }
}

fn state(plan: &Plan, rows: &[Row], batch: usize) -> State {
    let mut state = State::empty(plan.clone()).unwrap();
    add(&mut state, rows, batch);
    state.finish().unwrap();
    state
}

fn bytes(state: &State) -> Vec<u8> {
    let mut w = Writer::new();
    state.encode(&mut w).unwrap();
    w.into_bytes()
}

fn one(name: &str, state: &State) -> Option<Answer> {
    let mut answers = find(name)
        .unwrap()
        .evaluate(state, &Context::default())
        .ok()?;
    assert_eq!(answers.len(), 1);
    answers.pop()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_order_split_and_batch_gives_the_same_bytes(
        rows in binary_rows(),
        cut in 0..150usize,
        batch in 1..60usize,
        cells in 2..40u32,
        weighted in any::<bool>(),
        regression in any::<bool>(),
    ) {
        let plan = if regression {
            let task = Task::Regression { level: 0.9, center: 0.7 };
            let mut plan = Plan::full(task, weighting(weighted), cells);
            plan.bands = Some(vec![0.3, 0.6]);
            plan
        } else {
            binary(weighted, cells)
        };
        let whole = state(&plan, &rows, 1000);
        let cut = cut.min(rows.len());
        let mut right: Vec<Row> = rows[cut..].to_vec();
        right.reverse();
        // The right part is merged before it is finished, into and from.
        let mut a = State::empty(plan.clone()).unwrap();
        add(&mut a, &right, batch);
        let b = state(&plan, &rows[..cut], batch);
        let mut ab = b.clone();
        ab.merge(&a).unwrap();
        a.merge(&b).unwrap();
        a.merge(&State::empty(plan).unwrap()).unwrap();
        prop_assert_eq!(bytes(&whole), bytes(&a));
        prop_assert_eq!(bytes(&whole), bytes(&ab));
        let again = State::decode(&mut Reader::new(&bytes(&whole))).unwrap();
        prop_assert_eq!(bytes(&again), bytes(&whole));
        prop_assert_eq!(&again, &whole);
        prop_assert_eq!(
            format!("{:?}", tidegauge_core::metrics::rows(&again, &Context::default())),
            format!("{:?}", tidegauge_core::metrics::rows(&whole, &Context::default()))
        );
    }

    #[test]
    fn bounds_hold_the_exact_value(
        rows in binary_rows(),
        cells in 2..30u32,
        weighted in any::<bool>(),
    ) {
        let exact = state(&binary(weighted, u32::MAX), &rows, 64);
        let coarse = state(&binary(weighted, cells), &rows, 64);
        for name in ["roc_auc", "gini", "average_precision", "score_ks", "gains", "lift"] {
            let (Some(exact), Some(coarse)) = (one(name, &exact), one(name, &coarse)) else {
                continue;
            };
            let (exact, coarse) = (exact.outcome.unwrap(), coarse.outcome.unwrap());
            prop_assert_eq!(exact.bound_low, exact.value);
            let room = 1e-14 * exact.value.abs().max(1.0);
            prop_assert!(
                coarse.bound_low <= exact.value + room && exact.value <= coarse.bound_high + room,
                "{} {:?} outside {:?}", name, exact, coarse
            );
            prop_assert!(coarse.bound_low <= coarse.value && coarse.value <= coarse.bound_high);
            if let Some((low, high)) = coarse.ci {
                prop_assert!(low <= coarse.bound_low + room && coarse.bound_high <= high + room, "{} {:?}", name, coarse);
            }
        }
    }

    #[test]
    fn rankings_equal_brute_force(rows in binary_rows(), weighted in any::<bool>()) {
        let exact = state(&binary(weighted, u32::MAX), &rows, 64);
        let used: Vec<Row> = rows
            .into_iter()
            .filter(|r| r.0 < 2 && !r.1.is_nan())
            .map(|r| if weighted { r } else { (r.0, r.1, 1.0) })
            .collect();
        let (positive, negative): (Vec<Row>, Vec<Row>) = used.iter().partition(|r| r.0 == 1);
        let weight = |rows: &[Row]| rows.iter().map(|r| r.2).sum::<f64>();
        let (p, n) = (weight(&positive), weight(&negative));
        let Some(area) = one("roc_auc", &exact) else {
            prop_assert!(p == 0.0 || n == 0.0);
            return Ok(());
        };
        let mut pairs = 0.0;
        for a in &positive {
            for b in &negative {
                pairs += a.2 * b.2 * if a.1 > b.1 { 1.0 } else if a.1 == b.1 { 0.5 } else { 0.0 };
            }
        }
        prop_assert!((area.outcome.unwrap().value - pairs / p / n).abs() < 1e-12);
        let mut precision = 0.0;
        for a in positive.iter().filter(|a| a.2 > 0.0) {
            let above = |rows: &[Row]| rows.iter().filter(|r| r.1 >= a.1).map(|r| r.2).sum::<f64>();
            precision += a.2 / p * above(&positive) / (above(&positive) + above(&negative));
        }
        let ap = one("average_precision", &exact).unwrap().outcome.unwrap();
        prop_assert!((ap.value - precision).abs() < 1e-12);
        let mut distance = 0.0f64;
        for t in &used {
            let below = |rows: &[Row]| rows.iter().filter(|r| r.1 <= t.1).map(|r| r.2).sum::<f64>();
            distance = distance.max((below(&positive) / p - below(&negative) / n).abs());
        }
        let ks = one("score_ks", &exact).unwrap().outcome.unwrap();
        prop_assert!((ks.value - distance).abs() < 1e-12);
    }

    #[test]
    fn decoding_never_panics(rows in binary_rows(), at in any::<usize>(), to in any::<u8>(), cut in any::<usize>()) {
        let mut encoded = bytes(&state(&binary(true, 16), &rows, 9));
        let at = at % encoded.len();
        encoded[at] = to;
        encoded.truncate(cut % (2 * encoded.len()));
        if let Ok(read) = State::decode(&mut Reader::new(&encoded)) {
            let _ = tidegauge_core::metrics::rows(&read, &Context::default());
        }
    }

    #[test]
    fn noise_is_no_state(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(read) = State::decode(&mut Reader::new(&noise)) {
            let _ = tidegauge_core::metrics::rows(&read, &Context::default());
        }
        if let Ok(read) = Fairness::decode(&mut Reader::new(&noise)) {
            let _ = read.evaluate(0, &Context::default());
        }
    }

    #[test]
    fn groups_merge(rows in prop::collection::vec((0..4u32, 0..3u32, 0..3u32, 0.0..4.0f64), 0..80), cut in 0..80usize) {
        let feed = |rows: &[(u32, u32, u32, f64)]| {
            let code = |x: u32, none: u32| if x == none { MISSING } else { x };
            let mut state = Fairness::empty(3, weighting(true)).unwrap();
            state.update(
                &rows.iter().map(|r| code(r.0, 3)).collect::<Vec<_>>(),
                &rows.iter().map(|r| code(r.1, 2)).collect::<Vec<_>>(),
                &rows.iter().map(|r| code(r.2, 2)).collect::<Vec<_>>(),
                Some(&rows.iter().map(|r| r.3).collect::<Vec<_>>()),
            ).unwrap();
            state
        };
        let cut = cut.min(rows.len());
        let whole = feed(&rows);
        let mut merged = feed(&rows[cut..]);
        merged.merge(&feed(&rows[..cut])).unwrap();
        prop_assert_eq!(&merged, &whole);
        let mut w = Writer::new();
        whole.encode(&mut w);
        let encoded = w.into_bytes();
        prop_assert_eq!(Fairness::decode(&mut Reader::new(&encoded)).unwrap(), whole);
    }
}

#[test]
fn registry_is_in_order_and_described() {
    let names: Vec<_> = registry().iter().map(|m| m.name).collect();
    assert!(names.is_sorted());
    for m in registry() {
        assert!(m.definition.starts_with(&format!("{}/", m.name)));
        assert!(m.definition.ends_with("/v1"));
        assert!(m.range.0 < m.range.1);
        assert!(!m.summary.ends_with('.') && !m.interval.is_empty() && !m.source.is_empty());
    }
}

#[test]
fn many_rows_through_few_cells() {
    // More rows than are held back before they are sorted, in two orders.
    let rows: Vec<Row> = (0..200_000u32)
        .map(|i| (i % 2, f64::from(i.wrapping_mul(2_654_435_761)) / 4.3e9, 1.0))
        .collect();
    let mut reversed = rows.clone();
    reversed.reverse();
    let plan = binary(false, 512);
    assert_eq!(
        bytes(&state(&plan, &rows, 1000)),
        bytes(&state(&plan, &reversed, 77_777))
    );
}

#[test]
fn nothing_to_measure_is_said() {
    let reason = |rows: &[Row], name: &str| {
        let state = state(&binary(false, 64), rows, 9);
        find(name)
            .unwrap()
            .evaluate(&state, &Context::default())
            .unwrap_err()
            .0
    };
    assert_eq!(
        reason(&[], "roc_auc"),
        "no row has both a label and a prediction: of 0 rows, 0 have no label and 0 no prediction"
    );
    assert_eq!(
        reason(&[(2, 0.5, 1.0), (1, f64::NAN, 1.0)], "brier"),
        "no row has both a label and a prediction: of 2 rows, 1 have no label and 1 no prediction"
    );
    assert!(reason(&[(1, 0.5, 1.0)], "average_precision").contains("negative class"));
    assert!(reason(&[(0, 0.2, 1.0)], "precision").contains("no row is predicted positive"));
    assert!(reason(&[(0, 0.2, 1.0)], "recall").contains("no row has a positive label"));
    assert!(reason(&[(0, 0.2, 1.0)], "mcc").contains("0 over 0"));
    let outside = reason(&[(0, 1.5, 1.0), (1, 0.5, 1.0)], "log_loss");
    assert!(
        outside.contains("1 of 2 rows") && outside.contains("from 0.5 to 1.5"),
        "{outside}"
    );
    assert!(reason(&[(0, f64::INFINITY, 1.0)], "calibration_error").contains("to inf"));
    let weightless = state(&binary(true, 64), &[(1, 0.5, 0.0)], 9);
    let e = find("accuracy")
        .unwrap()
        .evaluate(&weightless, &Context::default());
    assert_eq!(e.unwrap_err().0, "all 1 rows have weight 0");
}

#[test]
fn infinite_scores_are_ranked() {
    let rows = [
        (1, f64::INFINITY, 1.0),
        (0, f64::NEG_INFINITY, 1.0),
        (0, 3.0, 1.0),
    ];
    let area = one("roc_auc", &state(&binary(false, 64), &rows, 9)).unwrap();
    assert_eq!(area.outcome.unwrap().value, 1.0);
}

#[test]
fn wrong_plans_and_batches_are_refused() {
    let plan = Plan::new(
        Task::Regression {
            level: 0.5,
            center: 0.0,
        },
        Weighting::None,
    );
    let mut wrong = plan.clone();
    Part::Scores.add_to(&mut wrong, 9, &[]);
    assert!(State::empty(wrong).is_err());
    let mut wrong = plan.clone();
    Part::Loss(Loss::Log).add_to(&mut wrong, 9, &[]);
    assert!(State::empty(wrong).is_err());
    for (level, center) in [(1.5, 0.0), (0.5, f64::NAN)] {
        let task = Task::Regression { level, center };
        assert!(State::empty(Plan::new(task, Weighting::None)).is_err());
    }
    assert!(State::empty(Plan::new(Task::Multiclass { classes: 1 }, Weighting::None)).is_err());
    let mut state = State::empty(plan).unwrap();
    let short = Batch {
        label: Label::Value(&[1.0, 2.0]),
        prediction: Prediction::Score(&[1.0]),
        weight: None,
    };
    assert!(state.update(&short).is_err());
    let other = State::empty(binary(false, 8)).unwrap();
    assert!(state.merge(&other).is_err());
    let mut weighted = State::empty(binary(true, 8)).unwrap();
    for w in [-1.0, f64::NAN, 9.0] {
        let batch = Batch {
            label: Label::Class(&[1]),
            prediction: Prediction::Score(&[0.5]),
            weight: Some(&[w]),
        };
        assert!(weighted.update(&batch).is_err(), "{w}");
    }
}

#[test]
fn rows_answer_all_that_a_profile_holds() {
    let data: Vec<Row> = (0..500)
        .map(|i| (u32::from(i % 3 == 0), f64::from(i % 50) / 50.0, 1.0))
        .collect();
    let state = state(&binary(false, 64), &data, 100);
    let context = Context {
        costs: vec![0.0, 1.0, 5.0, 0.0],
        ..Context::default()
    };
    let all = rows(&state, &context);
    for metric in registry() {
        let wanted = metric.tasks.accept(state.plan().task);
        let found = all
            .iter()
            .any(|r| r.metric == metric.name && r.answer.outcome.is_ok());
        assert_eq!(wanted, found, "{}", metric.name);
    }
    assert!(all.iter().all(|r| !r.definition.contains('{')));
}

#[test]
fn multiclass_areas_refuse_what_they_cannot_average() {
    let context = Context {
        average: Average::Macro,
        ..Context::default()
    };
    let p: [&[f64]; 2] = [&[0.1, 0.9], &[0.9, 0.1]];
    let answer = one_vs_rest(&[1, 0], &p, None, Weighting::None, &context).unwrap();
    assert_eq!(answer.outcome.unwrap().value, 1.0);
    assert!(one_vs_rest(&[1, 1], &p, None, Weighting::None, &context).is_err());
    assert!(one_vs_rest(&[1, 0], &p, None, Weighting::None, &Context::default()).is_err());
}

#[test]
fn change_of_a_share_is_newcombe() {
    // Newcombe (1998), table II, (a) 56/70 - 48/80, method 10: 0.0524 to 0.3339.
    let share = |right: u32, n: u32| {
        let rows: Vec<Row> = (0..n)
            .map(|i| (1, if i < right { 0.9 } else { 0.1 }, 1.0))
            .collect();
        one("accuracy", &state(&binary(false, 8), &rows, 100)).unwrap()
    };
    let found = change(&share(48, 80), &share(56, 70), &Context::default()).unwrap();
    let outcome = found.outcome.unwrap();
    let (low, high) = outcome.ci.unwrap();
    assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5);
    assert_eq!(outcome.rows, (80, 70));
    assert_eq!(outcome.interval.unwrap().at(0.05), (low, high));
}
