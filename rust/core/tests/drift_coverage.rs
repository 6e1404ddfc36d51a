//! Intervals of drift statistics hold the value of the populations about as often as they say.

#[path = "../examples/drift_coverage/lens.rs"]
mod lens;
#[path = "../examples/drift_coverage/samples.rs"]
mod samples;
#[path = "../examples/drift_coverage/study.rs"]
mod study;

use lens::Seen;
use samples::{Random, Rows, Source};
use study::{CASES, cover, cover_unblocked};
use tidegauge_core::codec::Writer;
use tidegauge_core::column::ColumnState;
use tidegauge_core::special::binomial_sf;

const PAIRS: u64 = 150;
/// 95 % less four standard errors of so few pairs, less the point or two that small samples miss.
const LEAST: f64 = 0.95 - 4.0 * 0.0178 - 0.02;

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
                if count.made == 0 {
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
    let counts = cover_unblocked(days, 3_000, 0.1, PAIRS);
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

#[test]
fn states_by_counts_are_those_by_rows() {
    for case in CASES {
        let seen = Seen::new(case.lens);
        let source = Source::new(case.rows, 0.1);
        let blocked = matches!(case.rows, Rows::Chain(_) | Rows::Days(_));
        for seed in 0..3 {
            let mut random = Random::new(seed);
            let [reference, current] = [0, 1].map(|_| source.draw(&mut random, 400));
            let column = seen.freeze(&reference, blocked, case.rows == Rows::Weighted);
            let bytes = |state: &ColumnState| {
                let mut w = Writer::new();
                state.encode(&mut w);
                w.into_bytes()
            };
            for sample in [&reference, &current] {
                let fast = bytes(&seen.state(&column, false, sample));
                let slow = bytes(&seen.state_by_rows(&column, sample));
                assert!(fast == slow, "{} {seed}", case.name);
            }
        }
    }
}

/// Chi-square of counts against their expectations over its degrees of freedom, as a normal deviate.
fn deviate(counts: &[f64], expected: &[f64]) -> f64 {
    let held = counts.iter().zip(expected).filter(|(_, e)| **e >= 5.0);
    let (mut sum, mut cells) = (0.0, -1.0);
    for (c, e) in held {
        sum += (c - e) * (c - e) / e;
        cells += 1.0;
    }
    (sum - cells) / libm::sqrt(2.0 * cells)
}

#[test]
fn binomial_numbers_have_their_distribution() {
    let mut random = Random::new(1);
    for (n, p) in [
        (7, 0.3),
        (40, 0.1),
        (40, 0.5),
        (1_000, 0.02),
        (5_000, 0.7),
        (1_000_000, 0.4),
    ] {
        let draws = 40_000;
        let spread = libm::sqrt(n as f64 * p * (1.0 - p));
        // Cells of a tenth of a deviation about the mean, or of one number.
        let width = (spread / 10.0).max(1.0) as u64;
        let first = (n as f64 * p - 4.0 * spread).max(0.0) as u64;
        let cells = (8.0 * spread) as usize / width as usize + 2;
        let (mut counts, mut expected) = (vec![0.0; cells], vec![0.0; cells]);
        for _ in 0..draws {
            let k = random.binomial(n, p);
            assert!(k <= n);
            let cell = k.checked_sub(first).map(|k| (k / width) as usize);
            if let Some(count) = cell.and_then(|cell| counts.get_mut(cell)) {
                *count += 1.0;
            }
        }
        for (cell, e) in expected.iter_mut().enumerate() {
            let from = first + cell as u64 * width;
            *e = f64::from(draws) * (binomial_sf(from, n, p) - binomial_sf(from + width, n, p));
        }
        let z = deviate(&counts, &expected);
        assert!(z.abs() < 4.5, "{n} {p}: {z}");
    }
}

#[test]
fn counts_and_rows_are_drawn_from_the_same_shares() {
    let source = Source::new(Rows::Independent, 0.5);
    let n = 200_000;
    let expected: Vec<f64> = samples::shares(0.5).iter().map(|p| p * n as f64).collect();
    for by_counts in [false, true] {
        let counts = source.counts(&mut Random::new(3), n, by_counts);
        assert_eq!(counts.iter().sum::<u64>(), n as u64);
        let counts: Vec<f64> = counts.into_iter().map(|c| c as f64).collect();
        let z = deviate(&counts, &expected);
        assert!(z.abs() < 4.5, "{by_counts}: {z}");
    }
}
