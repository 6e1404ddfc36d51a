//! Whether a column became, or ceased to be, constant.

use super::{Context, Kinds, MIN_COUNT, NotApplicable, Outcome, Statistic, sum};
use crate::pair::{CategoryKey, Pair, Part, Side};

/// 1 where one sample holds a single value and the other several, else 0.
///
/// Infinities are values; null and NaN are not. A few rows of a column with a heavy value are all that
/// value by chance: of `m` rows drawn from the reference, `sum p_i^m` is the probability of it.
pub const STATISTIC: Statistic = Statistic {
    name: "constant",
    definition: "constant/changed/v1",
    summary: "1 where one sample holds a single value and the other several",
    source: "count of distinct values",
    notes: "null and NaN left out, infinities are values; no change: probability that as many rows of a \
            reference of several values hold one; no interval, no p-value",
    kinds: Kinds::Any,
    range: (0.0, 1.0),
    unit: "changed",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

/// What one sample holds.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    Nothing,
    One,
    Several,
}

fn compute(pair: &Pair, _: &Context) -> Result<Outcome, NotApplicable> {
    let (r, c) = pair.sides();
    let (before, now) = (held(pair, r, false)?, held(pair, c, true)?);
    let rows = (r.rows, c.rows);
    if before == Held::Nothing || now == Held::Nothing {
        let side = if before == Held::Nothing {
            "reference"
        } else {
            "current sample"
        };
        return Err(NotApplicable(format!("the {side} has no value")));
    }
    let mut outcome = Outcome::exact(f64::from(u8::from(before != now)), rows);
    outcome.value_if_no_change = Some(if before == Held::Several {
        by_chance(pair)
    } else {
        0.0
    });
    outcome.message = match (before, now) {
        (Held::Several, Held::One) => Some(format!(
            "every current value is {}; the reference holds {} values",
            only(pair, true),
            several(r)
        )),
        (Held::One, Held::Several) => Some(format!(
            "every reference value is {}; the current sample holds {} values",
            only(pair, false),
            several(c)
        )),
        _ => None,
    };
    Ok(outcome)
}

/// Number of distinct values in words.
fn several(side: &Side) -> String {
    let infinities = u8::from(side.neg_inf > 0) + u8::from(side.pos_inf > 0);
    let n = side.distinct + f64::from(infinities);
    if n < 2.0 {
        "several".into()
    } else if side.distinct_error > 0.0 {
        format!("about {n:.0}")
    } else {
        format!("{n:.0}")
    }
}

/// Rows of a side in each cell, infinities among them, and whether the cell holds one value.
fn cells(pair: &Pair, current: bool) -> Vec<(u64, bool)> {
    let pick = |(r, c): (u64, u64)| if current { c } else { r };
    let (r, c) = pair.sides();
    let mut all = vec![
        (pick((r.neg_inf, c.neg_inf)), true),
        (pick((r.pos_inf, c.pos_inf)), true),
        (pick((r.overflow, c.overflow)), false),
    ];
    match pair {
        Pair::Numeric(p) => {
            all.extend(
                p.cells
                    .iter()
                    .map(|x| (pick((x.reference, x.current)), x.single)),
            );
        }
        Pair::Categorical(p) => all.extend(p.cells.iter().map(|x| {
            let one = matches!(x.key, CategoryKey::Value(_));
            (pick((x.reference, x.current)), one)
        })),
    }
    all.retain(|cell| cell.0 > 0);
    all
}

fn held(pair: &Pair, side: &Side, current: bool) -> Result<Held, NotApplicable> {
    match cells(pair, current).as_slice() {
        [] => Ok(Held::Nothing),
        [(_, true)] => Ok(Held::One),
        // One cell that may hold several values: the extremes, else the distinct hashes, tell.
        [(1, _)] => Ok(Held::One),
        [_] if side.min < side.max => Ok(Held::Several),
        [_] if side.distinct >= 1.0 && side.distinct_error == 0.0 => Ok(if side.distinct > 1.0 {
            Held::Several
        } else {
            Held::One
        }),
        [_] if side.distinct > 1.0 => Ok(Held::Several),
        [_] => Err(NotApplicable(
            "the number of distinct values is not known".into(),
        )),
        _ => Ok(Held::Several),
    }
}

/// Probability that as many rows as the current sample has, drawn from the reference, are all one value.
fn by_chance(pair: &Pair) -> f64 {
    let m: u64 = cells(pair, true)
        .iter()
        .map(|c| c.0)
        .fold(0, u64::saturating_add);
    let drawn = m as f64 * super::weighing::scale(pair.sides().1, Part::Present);
    let reference = cells(pair, false);
    let n = reference.iter().map(|c| c.0).fold(0, u64::saturating_add) as f64;
    let single = reference.iter().filter(|c| c.1);
    let p = sum(single.map(|c| libm::pow(c.0 as f64 / n, drawn)));
    p.min(1.0)
}

/// The only value of a side, named where enough rows hold it.
fn only(pair: &Pair, current: bool) -> String {
    let (r, c) = pair.sides();
    let side = if current { c } else { r };
    if side.rows_of(Part::Present) < MIN_COUNT {
        return "the same".into();
    }
    match pair {
        // The numbers behind times would tell nobody anything.
        Pair::Numeric(p) if p.logical.is_temporal() => "the same".into(),
        Pair::Numeric(_) if side.finite > 0 => format!("{}", side.min + 0.0),
        Pair::Numeric(_) if side.pos_inf > 0 => "+inf".into(),
        Pair::Numeric(_) if side.neg_inf > 0 => "-inf".into(),
        Pair::Numeric(_) => "the same".into(),
        Pair::Categorical(p) => p
            .cells
            .iter()
            .find_map(|cell| match &cell.key {
                CategoryKey::Value(v)
                    if (if current {
                        cell.current
                    } else {
                        cell.reference
                    }) > 0 =>
                {
                    Some(format!("'{}'", String::from_utf8_lossy(v)))
                }
                _ => None,
            })
            .unwrap_or_else(|| "the same".into()),
    }
}
