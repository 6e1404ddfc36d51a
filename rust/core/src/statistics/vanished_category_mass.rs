//! Share of reference rows with a value the current sample does not hold.

use super::{Context, Interval, Kinds, MIN_COUNT, NotApplicable, Outcome, Statistic, join, total};
use crate::pair::{CategoryKey, Pair};

/// Reference rows whose value no current row holds, over the non-null reference rows.
///
/// A small sample misses rare values even when nothing changed: of `m` rows drawn from the reference,
/// `sum p_i (1 - p_i)^m` is the share expected to be missed, and it belongs beside the value. Values of
/// one hash cell count as one there.
pub const STATISTIC: Statistic = Statistic {
    name: "vanished_category_mass",
    definition: "vanished_category_mass/v1",
    summary: "share of reference rows with a value the current sample does not hold",
    source: "Good (1953); Wilson (1927)",
    notes: "missing left out; certified where the dictionary is complete, bounded elsewhere; no change: \
            sum of p (1 - p)^m over the reference's values; interval: Wilson, on the reference rows; no p-value",
    kinds: Kinds::Categorical,
    range: (0.0, 1.0),
    unit: "share",
    null: None,
    compute,
    default_tolerance: None,
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let Pair::Categorical(p) = pair else {
        return Err(NotApplicable("the column is not categorical".into()));
    };
    let n = total(p.cells.iter().map(|c| c.reference), "reference", "value")?;
    let m = total(p.cells.iter().map(|c| c.current), "current sample", "value")?;
    let (mut gone, mut possible) = (0_u64, 0_u64);
    let mut named: Vec<(&[u8], u64)> = Vec::new();
    let mut unnamed = 0_u64;
    for cell in p.cells.iter().filter(|c| c.reference > 0) {
        match (&cell.key, cell.current) {
            (CategoryKey::New, _) => {}
            (key, 0) => {
                gone += cell.reference;
                possible += cell.reference;
                match key {
                    CategoryKey::Value(value) if cell.rows.0 >= MIN_COUNT => {
                        named.push((value, cell.rows.0));
                    }
                    _ => unnamed += 1,
                }
            }
            // A current row of the cell may hold any of its values, or one the reference never held.
            (CategoryKey::HashCell(_), _) => possible += cell.reference,
            (CategoryKey::Value(_), _) => {}
        }
    }
    let of_reference = |x: u64| x as f64 / n as f64;
    let value = of_reference(gone);
    let mut outcome = Outcome::bounded(
        value,
        value,
        of_reference(possible),
        STATISTIC.range,
        (n, m),
    );
    let drawn = m as f64 * super::weighing::scale_of(pair, (n, m)).1;
    outcome.value_if_no_change = Some(super::sum(p.cells.iter().map(|c| {
        let share = of_reference(c.reference);
        share * libm::exp(drawn * libm::log1p(-share))
    })));
    named.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let list: Vec<String> = named
        .iter()
        .take(3)
        .map(|(value, rows)| {
            format!(
                "'{}' ({rows} reference rows)",
                String::from_utf8_lossy(value)
            )
        })
        .collect();
    let more = named.len().saturating_sub(list.len());
    let names = (!list.is_empty()).then(|| {
        let others = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("values no longer seen: {}{others}", list.join(", "))
    });
    let rare =
        (unnamed > 0).then(|| format!("{unnamed} rare values or cells of them are not named"));
    let bounds = (possible > gone).then(|| match pair.is_weighed() {
        true => "the dictionary is not complete".into(),
        false => {
            format!("between {gone} and {possible} reference rows: the dictionary is not complete")
        }
    });
    outcome.message = join([names, rare, bounds]);
    let interval = Interval::Share {
        successes: (gone as f64, possible as f64),
        rows: n as f64,
        expected: None,
    };
    Ok(outcome.with_interval(interval, context))
}
