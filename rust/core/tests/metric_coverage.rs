//! Intervals of metrics hold the value of the population about as often as they say.

#[path = "../examples/metric_coverage.rs"]
mod simulation;

use simulation::{CASES, cover, truth};

/// Samples, rows of each, and the least share that may hold: 95 % less four standard errors of the
/// simulation, less 2.5 points for what normal limits of skewed losses miss at 400 rows.
const SAMPLES: u64 = 200;
const ROWS: usize = 400;
const LEAST: f64 = 0.95 - 4.0 * 0.0154 - 0.025;
/// Squared errors of lognormal amounts have tails that 400 rows do not show.
const HEAVY: [(&str, f64); 3] = [("mse", 0.80), ("rmse", 0.80), ("r2", 0.80)];

#[test]
fn intervals_hold_the_population() {
    for case in CASES {
        let truth = truth(case, 200_000);
        let counts = cover(case, &truth, ROWS, SAMPLES);
        assert!(counts.len() >= 7, "{}", case.name);
        for (name, count) in counts {
            let heavy = HEAVY
                .iter()
                .find(|h| h.0 == name && case.name.contains("amounts"));
            let least = heavy.map_or(LEAST, |h| h.1);
            assert!(
                count.made as u64 >= SAMPLES * 9 / 10,
                "{}: {name} {count:?}",
                case.name
            );
            assert!(count.coverage() >= least, "{}: {name} {count:?}", case.name);
        }
    }
}

#[test]
fn too_small_a_design_effect_is_seen() {
    // The test above can fail: rows that come four times, taken as independent.
    let repeated = CASES
        .iter()
        .find(|c| c.name.contains("four times"))
        .unwrap();
    let naive = repeated.with_design_effect(1.0);
    let truth = truth(&naive, 200_000);
    let counts = cover(&naive, &truth, ROWS, SAMPLES);
    for name in [
        "roc_auc",
        "accuracy",
        "log_loss",
        "average_precision",
        "mcc",
    ] {
        assert!(counts[name].coverage() < 0.85, "{name} {:?}", counts[name]);
    }
}
