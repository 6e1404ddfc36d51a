//! Share of current rows with a value the reference never held.

use super::{Context, Interval, Kinds, MIN_COUNT, NotApplicable, Outcome, Statistic, join, total};
use crate::pair::{CategoryKey, Pair};
use crate::special::binomial_sf;

/// Rows whose value the reference never held, over the non-null current rows.
///
/// A finite reference misses rare values even when nothing changed: the expected share is that of
/// the cells it holds once (Good and Turing), and it belongs beside the value and its tolerance. The
/// interval carries the sampling error of both shares. With `s` such single cells, new rows and
/// `s` have expectations in the ratio of the rows, so p is `P(X >= new)` for a binomial of
/// `new + s` trials; at `s = 0` this is Fisher's one-sided test of the pooled new cell.
pub const STATISTIC: Statistic = Statistic {
    name: "new_category_mass",
    definition: "new_category_mass/v1",
    summary: "share of current rows with a value the reference never held",
    source: "Good (1953), equation 9; Newcombe (1998), method 10",
    notes: "missing left out; certified where the dictionary is complete, bounded elsewhere; p: one-sided, \
            against the share expected of unseen values",
    kinds: Kinds::Categorical,
    range: (0.0, 1.0),
    unit: "share",
    null: Some("good-turing-binomial"),
    compute,
    default_tolerance: Some((0.001, 0.01)),
    centre: None,
};

fn compute(pair: &Pair, context: &Context) -> Result<Outcome, NotApplicable> {
    let Pair::Categorical(p) = pair else {
        return Err(NotApplicable("the column is not categorical".into()));
    };
    let n = total(p.cells.iter().map(|c| c.reference), "reference", "value")?;
    let m = total(p.cells.iter().map(|c| c.current), "current sample", "value")?;
    let (low, high) = (p.new_rows.0.min(m), p.new_rows.1.min(m));
    let high = high.max(low);
    let of_current = |x: u64| x as f64 / m as f64;
    let value = of_current(low);
    let mut outcome = Outcome::bounded(value, value, of_current(high), STATISTIC.range, (n, m));
    let single: u64 = p
        .cells
        .iter()
        .filter(|c| c.rows.0 == 1 && c.key != CategoryKey::New)
        .map(|c| c.reference)
        .sum();
    outcome.value_if_no_change = Some(single as f64 / n as f64);
    let (s, t) = super::weighing::scale_of(pair, (n, m));
    // As rows of equal weight, rounded so that p does not shrink; rows as they are without weights.
    let (new, seen) = (
        libm::floor(low as f64 * t) as u64,
        libm::ceil(single as f64 * s) as u64,
    );
    let (r, c) = (n as f64 * s, m as f64 * t);
    outcome.pvalue = Some(binomial_sf(new, new.saturating_add(seen), c / (r + c)));
    let named: Vec<String> = p
        .new_examples
        .iter()
        .filter(|(_, count)| *count >= MIN_COUNT)
        .take(3)
        .map(|(value, count)| format!("'{}' ({count} rows)", String::from_utf8_lossy(value)))
        .collect();
    let names = (!named.is_empty()).then(|| format!("new values: {}", named.join(", ")));
    let bounds = (high > low).then(|| match pair.is_weighed() {
        true => "the dictionary is not complete".into(),
        false => format!("between {low} and {high} rows: the dictionary is not complete"),
    });
    outcome.message = join([names, bounds]);
    let design = p.blocked.as_deref().and_then(|b| Some((b, b.outside()?)));
    let effect = design.map_or((1.0 / s, 1.0 / t), |d| d.1.effect);
    if let Some((blocked, d)) = design {
        outcome.depends(blocked, d.effective((n, m)), None);
    }
    let interval = Interval::Share {
        successes: (low as f64 / effect.1, high as f64 / effect.1),
        rows: m as f64 / effect.1,
        expected: Some((single as f64 / effect.0, n as f64 / effect.0)),
    };
    Ok(outcome.with_interval(
        super::clustered(interval, design.as_ref().map(|d| &d.1)),
        context,
    ))
}
