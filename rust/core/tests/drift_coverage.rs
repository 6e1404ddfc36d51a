//! Intervals of drift statistics hold the value of the populations about as often as they say.

#[path = "../examples/drift_coverage.rs"]
mod simulation;

use simulation::{CASES, Rows, cover};

const PAIRS: u64 = 150;
/// 95 % less four standard errors of so few pairs, less the point or two that small samples miss.
const LEAST: f64 = 0.95 - 4.0 * 0.0178 - 0.02;
/// Too few rows a category for the chi-square of divergences without a prior.
const SPARSE: [&str; 2] = ["jensen_shannon", "hellinger"];

#[test]
fn intervals_hold_the_populations() {
    for case in CASES {
        let n = if case.rows == Rows::Independent {
            400
        } else {
            3_000
        };
        for shift in [0.0, 0.1, 0.5] {
            let counts = cover(case, n, shift, PAIRS);
            assert!(counts.len() >= 8, "{}", case.name);
            for (name, count) in counts {
                if count.made == 0 || (SPARSE.contains(&name) && shift == 0.0) {
                    continue;
                }
                let coverage = count.coverage();
                assert!(coverage >= LEAST, "{} {shift}: {name} {count:?}", case.name);
            }
        }
    }
}

#[test]
fn tests_keep_their_level() {
    // Five standard errors above 5 %, and what small samples add.
    let most = 0.05 + 5.0 * 0.0178 + 0.01;
    for case in CASES {
        let n = if case.rows == Rows::Independent {
            400
        } else {
            4_000
        };
        for (name, count) in cover(case, n, 0.0, PAIRS) {
            if count.tested > 0 {
                let share = count.rejection();
                assert!(share <= most, "{}: {name} {count:?}", case.name);
            }
        }
    }
}

#[test]
fn rows_of_a_day_taken_as_independent_are_seen() {
    // The tests above can fail: a normal number, by days, without blocks.
    let days = CASES.iter().find(|c| c.name == "days").unwrap();
    let counts = simulation::cover_unblocked(days, 3_000, 0.1, PAIRS);
    for name in [
        "mean_shift",
        "psi",
        "total_variation",
        "energy",
        "wasserstein",
    ] {
        assert!(counts[name].coverage() < 0.85, "{name} {:?}", counts[name]);
    }
}
