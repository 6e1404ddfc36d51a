//! The pass over labels and predictions: rows to states of performance, by group and block.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use tidegauge_core::column::name_of;
use tidegauge_core::metrics::MISSING as NO_CLASS;
use tidegauge_core::performance::{
    Class, Group, MAX_PROTECTED, Measure, Performance, Rows, too_many,
};
use tidegauge_core::profile::{GroupKey, Profile};
use tidegauge_core::states::blocks::MISSING as MISSING_BLOCK;
use tidegauge_core::value::Logical;
use tidegauge_core::weights::Scale;

use super::cuts::{Registry, counted, labels, read};
use super::weights::Numbers;
use super::{Failures, Grouping, MISSING, Scan, ScanOptions, resolve_block, resolve_cuts, run};
use crate::Result;
use crate::meter::{Meter, Metered, Progress};
use crate::source::Source;

/// Positions of the columns of a measure.
struct Places {
    label: usize,
    predicted: usize,
    weight: Option<(usize, Scale)>,
    protected: Vec<usize>,
}

/// Measures the rows of a source: groups, blocks and weights are those of `like`, the reference's profile.
///
/// Units are those that `wanted` says yes to: not those that the profile of the same rows has set aside.
///
/// # Errors
/// A column that is missing or of another type than its role needs, what cannot be read, or a stop.
pub fn performance(
    source: &dyn Source,
    options: &ScanOptions,
    measure: Measure,
    like: &Profile,
    wanted: &dyn Fn(&str) -> bool,
    progress: Progress<'_>,
) -> Result<Performance> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n.min(256),
    };
    let meter = Meter::new(progress);
    let metered = Metered::weighed(source, &meter);
    let (failures, bad) = (Failures::default(), Mutex::new(None));
    let units = (0..source.units()).filter(|u| wanted(&source.unit_id(*u)));
    let scan = Scan {
        source: &metered,
        units: units.collect(),
        before: 0,
        threads,
        meter: &meter,
        failures: &failures,
        weigher: None,
        bad: &bad,
    };
    let mut roles = like.metadata.roles.clone();
    roles.extend(options.roles.clone());
    let (block, _) = resolve_block(source, options, &roles, Some(like))?;
    let cuts = resolve_cuts(source, options, &roles, block.as_ref(), Some(like))?;
    let places = places(source, &measure, like)?;
    let columns = [places.label, places.predicted].into_iter();
    let columns = columns.chain(places.weight.map(|w| w.0));
    scan.expect(columns.chain(cuts.columns()));
    scan.expect(places.protected.iter().flat_map(|p| [*p, *p]));

    let mut protected = vec![BTreeSet::new(); places.protected.len()];
    if !places.protected.is_empty() {
        scan.parts(&mut |scan| {
            let found = run(
                scan.threads,
                scan.units.len(),
                scan.meter,
                || vec![BTreeSet::new(); places.protected.len()],
                |u, names: &mut Vec<BTreeSet<String>>| {
                    let unit = scan.units[u];
                    for (at, names) in places.protected.iter().zip(names) {
                        let held = labels(scan.source, unit, &[*at])?;
                        let mut used = vec![false; held.texts.len()];
                        held.ids.iter().for_each(|id| used[*id as usize] = true);
                        let texts = held.texts.into_iter().zip(used);
                        names.extend(texts.filter(|(t, u)| *u && t != MISSING).map(|t| t.0));
                        few(source, *at, names.len())?;
                    }
                    Ok(())
                },
            )?;
            for names in found {
                for (at, (all, names)) in protected.iter_mut().zip(names).enumerate() {
                    all.extend(names);
                    few(source, places.protected[at], all.len())?;
                }
            }
            Ok(())
        })?;
    }
    let protected: Vec<Vec<String>> = protected
        .into_iter()
        .map(|names| names.into_iter().collect())
        .collect();
    let codes: Vec<HashMap<&str, u32>> = protected
        .iter()
        .map(|names| names.iter().map(String::as_str).zip(0..).collect())
        .collect();

    let label = block.as_ref().map(|b| b.label());
    let empty = Performance::empty(measure, protected.clone(), label)?;
    let registry = Registry::default();
    let groups: Mutex<BTreeMap<u32, Performance>> = Mutex::default();
    scan.parts(&mut |scan| {
        run(
            scan.threads,
            scan.units.len(),
            scan.meter,
            || (),
            |u, ()| {
                let unit = scan.units[u];
                let (rows, strange) = rows(scan.source, unit, &empty.measure, &places, &codes)?;
                let found = match cuts.is_trivial() {
                    true => vec![Grouping::whole(rows.classes.len().max(rows.values.len()))],
                    false => cuts.groupings(scan.source, unit, &registry, true)?,
                };
                let mut own: BTreeMap<u32, Group> = BTreeMap::new();
                for grouping in &found {
                    let ranges = grouping.starts.windows(2).zip(&grouping.groups);
                    for ((range, group), key) in ranges.zip(&grouping.blocks) {
                        let order = grouping
                            .order
                            .get(range[0] as usize..range[1] as usize)
                            .unwrap_or_default();
                        let block = (block.is_some() && *key != MISSING_BLOCK).then_some(*key);
                        let slot = match own.entry(*group) {
                            std::collections::btree_map::Entry::Vacant(slot) => {
                                slot.insert(empty.group(grouping.segment)?)
                            }
                            std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
                        };
                        let usable: Vec<u32>;
                        let order = match &rows.weights {
                            // Rows without a usable weight are not counted; the profile lists them.
                            Some(w) => {
                                let held =
                                    |i: &&u32| w.get(**i as usize).is_some_and(|w| !w.is_nan());
                                usable = order.iter().filter(held).copied().collect();
                                usable.as_slice()
                            }
                            None => order,
                        };
                        empty.update(slot, grouping.segment, block, &rows.take(order))?;
                        for i in order {
                            if let Some(text) = strange.get(i) {
                                slot.strange.0 += 1;
                                let first = slot.strange.1.get_or_insert_with(|| text.clone());
                                if text < first {
                                    first.clone_from(text);
                                }
                            }
                        }
                    }
                }
                // The rows of this unit, before they join those of the others.
                let mut all = groups.lock().unwrap_or_else(|p| p.into_inner());
                for (number, group) in own {
                    let into = all.entry(number).or_insert_with(|| empty.clone());
                    into.merge(GroupKey::default(), group)?;
                }
                Ok(())
            },
        )?;
        Ok(())
    })?;
    meter.finish();
    let mut all = groups.into_inner().unwrap_or_else(|p| p.into_inner());
    let mut total = empty;
    let keys: Vec<(GroupKey, u32)> = match cuts.is_trivial() {
        true => vec![(GroupKey::default(), 0)],
        false => registry.into_keys().collect(),
    };
    for (key, number) in keys {
        for group in all
            .remove(&number)
            .into_iter()
            .flat_map(|p| p.groups.into_values())
        {
            total.merge(key.clone(), group)?;
        }
    }
    Ok(total)
}

/// Refuses a protected column with too many groups.
fn few(source: &dyn Source, at: usize, found: usize) -> Result<()> {
    if found <= MAX_PROTECTED {
        return Ok(());
    }
    Err(too_many(&source.columns()[at].name).into())
}

fn schema(message: String) -> crate::Error {
    tidegauge_core::Error::schema(message).into()
}

fn is_number(logical: Logical) -> bool {
    matches!(
        logical,
        Logical::Bool | Logical::Int | Logical::UInt | Logical::Float | Logical::Decimal { .. }
    )
}

/// Where the columns of a measure are.
fn places(source: &dyn Source, measure: &Measure, like: &Profile) -> Result<Places> {
    let find = |name: &str, role: &str| {
        let at = source.columns().iter().position(|c| c.name == name);
        at.ok_or_else(|| schema(format!("{role} column {name:?} is not in the data")))
    };
    let logical = |at: usize, role: &str| {
        let column = &source.columns()[at];
        let name = &column.name;
        let found = column.logical.as_ref();
        found
            .copied()
            .map_err(|why| schema(format!("{role} column {name:?}: {why}")))
    };
    let numbers = |at: usize, role: &str| {
        let name = &source.columns()[at].name;
        match logical(at, role)? {
            l if is_number(l) => Ok(()),
            other => Err(schema(format!(
                "{role} column {name:?} is {}; numbers would be accepted",
                name_of(other)
            ))),
        }
    };
    let text = measure.classes.iter().any(|c| matches!(c, Class::Text(_)));
    let classes = |at: usize, role: &str| {
        let name = &source.columns()[at].name;
        let found = logical(at, role)?;
        if is_number(found) != text {
            return Ok(());
        }
        Err(schema(format!(
            "{role} column {name:?} is {}, and its classes are {}; one type for both would be accepted",
            name_of(found),
            if text { "text" } else { "numbers" }
        )))
    };
    let label = find(&measure.label, "label")?;
    let predicted = find(measure.predicted()?, "prediction")?;
    if measure.task == "regression" {
        numbers(label, "label")?;
        numbers(predicted, "prediction")?;
    } else {
        classes(label, "label")?;
        match &measure.score {
            Some(_) => numbers(predicted, "score")?,
            None => classes(predicted, "prediction")?,
        }
    }
    let weight = match (&like.weight, measure.weight_exponent) {
        (Some(rule), Some(_)) => {
            let at = find(&rule.column, "weight")?;
            numbers(at, "weight")?;
            Some((at, Scale::Sampling(rule.exponent)))
        }
        _ => None,
    };
    let protected = measure.protected.iter().map(|name| {
        let at = find(name, "protected")?;
        logical(at, "protected").map(|_| at)
    });
    Ok(Places {
        label,
        predicted,
        weight,
        protected: protected.collect::<Result<_>>()?,
    })
}

/// The columns of a unit, and rows whose label is none of the classes.
fn rows(
    source: &dyn Source,
    unit: usize,
    measure: &Measure,
    places: &Places,
    codes: &[HashMap<&str, u32>],
) -> Result<(Rows, HashMap<u32, String>)> {
    let mut rows = Rows::default();
    let mut strange = HashMap::new();
    let classify = measure.task != "regression";
    match classify {
        true => {
            (rows.classes, strange) = classes(source, unit, places.label, &measure.classes)?;
        }
        false => rows.values = numbers(source, unit, places.label)?,
    }
    if measure.score.is_some() || !classify {
        rows.scores = numbers(source, unit, places.predicted)?;
    } else {
        let (found, unknown) = classes(source, unit, places.predicted, &measure.classes)?;
        rows.predicted = found;
        strange.extend(unknown);
    }
    if let Some((at, scale)) = places.weight {
        let weights = numbers(source, unit, at)?;
        let usable = |w: f64| if scale.units(w).is_ok() { w } else { f64::NAN };
        rows.weights = Some(weights.into_iter().map(usable).collect());
    }
    for (at, codes) in places.protected.iter().zip(codes) {
        let held = labels(source, unit, &[*at])?;
        let code = |text: &String| codes.get(text.as_str()).copied().unwrap_or(NO_CLASS);
        let of: Vec<u32> = held.texts.iter().map(code).collect();
        rows.protected
            .push(held.ids.iter().map(|id| of[*id as usize]).collect());
    }
    Ok((rows, strange))
}

/// A column of numbers, NaN where there is none.
fn numbers(source: &dyn Source, unit: usize, at: usize) -> Result<Vec<f64>> {
    let decimals = match source.columns()[at].logical {
        Ok(Logical::Decimal { scale }) => 10f64.powi(scale.into()),
        _ => 1.0,
    };
    let mut out = Vec::new();
    let mut each = |x: Option<f64>| out.push(x.unwrap_or(f64::NAN));
    let mut sink = Numbers::new(&mut each, decimals);
    read(source, unit, at, &mut sink)?;
    counted(source, unit, at, out.len())?;
    Ok(out)
}

/// A column of classes, and the rows with a value that is none of them.
fn classes(
    source: &dyn Source,
    unit: usize,
    at: usize,
    classes: &[Class],
) -> Result<(Vec<u32>, HashMap<u32, String>)> {
    let mut strange = HashMap::new();
    if classes.iter().any(|c| matches!(c, Class::Text(_))) {
        let held = labels(source, unit, &[at])?;
        let code = |text: &String| {
            let is = |c: &Class| matches!(c, Class::Text(t) if t == text);
            classes.iter().position(is).map(|k| k as u32)
        };
        let of: Vec<Option<u32>> = held.texts.iter().map(code).collect();
        let found = held.ids.iter().zip(0..).map(|(id, row)| {
            let text = &held.texts[*id as usize];
            of[*id as usize].unwrap_or_else(|| {
                if text != MISSING {
                    strange.insert(row, format!("{text:?}"));
                }
                NO_CLASS
            })
        });
        return Ok((found.collect(), strange));
    }
    let values = numbers(source, unit, at)?;
    let found = values.iter().zip(0..).map(|(x, row)| {
        let is = |c: &Class| matches!(c, Class::Number(n) if n == x);
        classes.iter().position(is).map_or_else(
            || {
                if !x.is_nan() {
                    strange.insert(row, format!("{x}"));
                }
                NO_CLASS
            },
            |k| k as u32,
        )
    });
    Ok((found.collect(), strange))
}
