//! How often the intervals of drift statistics hold the value of the population, and how often their
//! p-values reject when nothing changed.
//!
//! ```text
//! drift_coverage run PARTS PAIRS [STATISTIC,...]
//! drift_coverage page PARTS DATE > docs/calibration/drift.md
//! ```
//! (`cargo run --profile ci -p tidegauge-core --example drift_coverage -- run ...`). `run` adds parts of
//! the simulation to the file PARTS until every size has PAIRS pairs of samples; parts that are there
//! are not made again unless the definition of a statistic has changed. `page` prints what came of it.
//! The tests run a few hundred pairs of the same code.
//!
//! Every population is a normal number seen through one of several lenses (as it is, its exponential,
//! rounded to halves, cut into categories, missing above a threshold); the current one is moved by a
//! share of a standard deviation. Both are laid on the same few thousand values, so the value of a
//! statistic in the population is that statistic of the populations' shares, taken 2^40 times; and a
//! state, which is a function of the multiset of rows, is made from rows counted by value.

mod lens;
mod page;
mod parts;
mod samples;
mod study;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match given[..] {
        ["run", file, pairs] => parts::run(file, pairs.parse().expect("a number of pairs"), None),
        ["run", file, pairs, names] => {
            let names: Vec<&str> = names.split(',').collect();
            parts::run(
                file,
                pairs.parse().expect("a number of pairs"),
                Some(&names),
            );
        }
        ["page", file, date] => print!("{}", page::of(&parts::read(file), date)),
        _ => eprintln!("drift_coverage run PARTS PAIRS [STATISTIC,...] | page PARTS DATE"),
    }
}
