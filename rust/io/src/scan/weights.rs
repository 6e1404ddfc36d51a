//! The weights of a unit, row by row, and the rows that cannot be counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tidegauge_core::column::name_of;
use tidegauge_core::column::{ColumnPlan, refine};
use tidegauge_core::profile::{Problem, Profile, WeightRule};
use tidegauge_core::states::refine::Refinement;
use tidegauge_core::value::{Logical, Slice};
use tidegauge_core::weights::{Exponents, Refused, Scale, Units};

use super::cuts::{counted, read};
use super::invalid;
use crate::source::{PageData, PageSink, Source};
use crate::{Error, Result};

/// Units of each row of a unit of the source; the highest bit says that the weight was rounded.
pub(super) struct RowUnits(Vec<u64>);

const ROUNDED: u64 = 1 << 63;

impl RowUnits {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Of one row; none of rows that are not there.
    pub(super) fn of(&self, row: usize) -> Units {
        let packed = self.0.get(row).copied().unwrap_or(0);
        Units {
            count: packed & !ROUNDED,
            rounded: packed & ROUNDED != 0,
        }
    }
}

/// Rows that were not counted: how many for each reason, and the first of them.
#[derive(Default)]
struct Faults {
    rows: BTreeMap<Refused, u64>,
    first: Option<(usize, String)>,
}

/// Column of weights of a source and how they are read.
pub(super) struct Weigher {
    at: usize,
    name: String,
    decimals: f64,
    pub(super) scale: Scale,
    /// By unit: passes read the same rows again.
    faults: Mutex<BTreeMap<usize, Faults>>,
}

/// Roles of columns that weigh rows.
const ROLES: [&str; 2] = ["weight", "frequency"];

/// The column that weighs rows and whether its weights are frequencies; the message says why those of
/// the reference cannot be had.
pub(super) fn resolve(
    source: &dyn Source,
    given: &BTreeMap<String, String>,
    like: Option<&Profile>,
) -> Result<(Option<Weigher>, Option<String>)> {
    let of = |roles: &BTreeMap<String, String>| -> Vec<(String, bool)> {
        let weighs = roles.iter().filter(|(_, r)| ROLES.contains(&r.as_str()));
        weighs
            .map(|(name, r)| (name.clone(), r == ROLES[1]))
            .collect()
    };
    let mut found = of(given);
    let explicit = !found.is_empty();
    if let (Some(like), false) = (like, explicit) {
        match &like.weight {
            Some(rule) => found.push((rule.column.clone(), false)),
            None => found.extend(of(&like.metadata.roles).into_iter().filter(|f| f.1)),
        }
    }
    let (name, frequency) = match found.as_slice() {
        [] => return Ok((None, None)),
        [one] => one.clone(),
        [a, b, ..] => {
            return Err(invalid(format!(
                "columns {:?} and {:?} both weigh rows; one weight or frequency column would be accepted",
                a.0, b.0
            )));
        }
    };
    if let (Some(like), false) = (like, frequency)
        && like.weight.is_none()
    {
        return Err(invalid(format!(
            "weight {name:?}, but the reference has no weights; a reference profiled with weight= would be accepted, \
             of equal ones where its rows count alike"
        )));
    }
    if let (Some(like), true) = (like, frequency)
        && like.weight.is_some()
    {
        return Err(invalid(format!(
            "frequency {name:?}, but the reference has sampling weights; weight= would be accepted"
        )));
    }
    let Some(at) = source.columns().iter().position(|c| c.name == name) else {
        return Ok((
            None,
            Some(format!(
                "column {name:?} weighs the rows of the reference and is not here: every row counts once"
            )),
        ));
    };
    let decimals = match &source.columns()[at].logical {
        Ok(Logical::Int | Logical::UInt | Logical::Float) => 1.0,
        Ok(Logical::Decimal { scale }) => 10f64.powi((*scale).into()),
        other => {
            return Err(invalid(format!(
                "column {name:?} weighs rows and is {}; numbers would be accepted",
                match other {
                    Ok(l) => name_of(*l),
                    Err(why) => why.clone(),
                }
            )));
        }
    };
    let scale = match (frequency, like.and_then(|p| p.weight.as_ref())) {
        (true, _) => Scale::Frequency,
        // Until the reference was read.
        (false, rule) => Scale::Sampling(rule.map_or(0, |r| r.exponent)),
    };
    let weigher = Weigher {
        at,
        name,
        decimals,
        scale,
        faults: Mutex::default(),
    };
    Ok((Some(weigher), None))
}

impl Weigher {
    /// Position of the column.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The rule of the profile; frequencies have none, as they are rows.
    pub(super) fn rule(&self, like: Option<&Profile>) -> Option<WeightRule> {
        match (like, self.scale) {
            (Some(like), _) => like.weight.clone(),
            (None, Scale::Frequency) => None,
            (None, Scale::Sampling(exponent)) => Some(WeightRule {
                column: self.name.clone(),
                exponent,
            }),
        }
    }

    fn read(
        &self,
        source: &dyn Source,
        unit: usize,
        each: &mut dyn FnMut(Option<f64>),
    ) -> Result<()> {
        let mut numbers = Numbers::new(each, self.decimals);
        read(source, unit, self.at, &mut numbers)?;
        let rows = numbers.rows;
        counted(source, unit, self.at, rows)
    }

    /// Counts the powers of two of the weights of a unit.
    pub(super) fn exponents(
        &self,
        source: &dyn Source,
        unit: usize,
        all: &mut Exponents,
    ) -> Result<()> {
        self.read(source, unit, &mut |w| all.add(w.unwrap_or(0.0)))
    }

    /// The units of the rows of a unit, which is the `number`th of the scan.
    pub(super) fn units(
        &self,
        source: &dyn Source,
        unit: usize,
        number: usize,
    ) -> Result<RowUnits> {
        let (mut rows, mut faults) = (Vec::new(), Faults::default());
        self.read(source, unit, &mut |weight| {
            let found = weight.ok_or(Refused::Null);
            let units = found.and_then(|w| self.scale.units(w));
            rows.push(match units {
                Ok(u) => u.count | if u.rounded { ROUNDED } else { 0 },
                Err(why) => {
                    *faults.rows.entry(why).or_default() += 1;
                    let text = || weight.map_or_else(|| "null".into(), |w| format!("{w:?}"));
                    faults.first.get_or_insert_with(|| (rows.len(), text()));
                    0
                }
            });
        })?;
        if faults.first.is_some() {
            let mut all = self.faults.lock().unwrap_or_else(|p| p.into_inner());
            all.insert(number, faults);
        }
        Ok(RowUnits(rows))
    }

    /// The rows that were not counted, as a problem.
    pub(super) fn problem(&self) -> Option<Problem> {
        let all = self.faults.lock().unwrap_or_else(|p| p.into_inner());
        let (unit, faults) = all.first_key_value()?;
        let (row, value) = faults.first.as_ref()?;
        let reasons: BTreeSet<Refused> =
            all.values().flat_map(|f| f.rows.keys().copied()).collect();
        let count = |why: &Refused| -> u64 { all.values().filter_map(|f| f.rows.get(why)).sum() };
        let rows: u64 = reasons.iter().map(count).sum();
        let listed: Vec<String> = reasons
            .iter()
            .map(|why| format!("{} {}", count(why), why.as_str()))
            .collect();
        let accepted = match self.scale {
            Scale::Frequency => "integers from 0 to 2^48".to_owned(),
            Scale::Sampling(e) => format!("finite numbers from 2^{} to 2^{}, and 0", e - 1, e + 48),
        };
        Some(Problem {
            kind: "weight".into(),
            name: self.name.clone(),
            message: format!(
                "column {:?}: {rows} rows without a usable weight are not counted ({}); the first is {value} in row \
                 {row} of unit {unit}; {accepted} would be accepted",
                self.name,
                listed.join(", ")
            ),
            rows: Some(rows),
        })
    }
}

/// Hands over a column of numbers row by row.
pub(super) struct Numbers<'a> {
    each: &'a mut dyn FnMut(Option<f64>),
    decimals: f64,
    dictionary: Vec<f64>,
    rows: usize,
}

impl<'a> Numbers<'a> {
    /// Of a column whose integers count so many parts of one.
    pub(super) fn new(each: &'a mut dyn FnMut(Option<f64>), decimals: f64) -> Self {
        Numbers {
            each,
            decimals,
            dictionary: Vec::new(),
            rows: 0,
        }
    }
}

impl Numbers<'_> {
    fn number(&self, values: Slice<'_>, i: usize) -> f64 {
        match values {
            Slice::Bool(v) => f64::from(u8::from(v[i])),
            Slice::I64(v) => v[i] as f64 / self.decimals,
            Slice::U64(v) => v[i] as f64,
            Slice::F32(v) => v[i].into(),
            Slice::F64(v) => v[i],
            Slice::I128(v) => v[i] as f64 / self.decimals,
            Slice::Bytes(_) => f64::NAN,
        }
    }
}

impl PageSink for Numbers<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.dictionary = (0..values.len()).map(|i| self.number(values, i)).collect();
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let mut next = 0;
        for i in 0..rows {
            let weight = valid.is_none_or(|v| v[i]).then(|| {
                next += 1;
                match data {
                    PageData::Values(v) => self.number(v, next - 1),
                    PageData::Indices(at) => self
                        .dictionary
                        .get(at[next - 1] as usize)
                        .copied()
                        .unwrap_or(f64::NAN),
                }
            });
            (self.each)(weight);
        }
        self.rows += rows;
        Ok(())
    }
}

/// Feeds the keys of a column to a refinement pass, each as often as its row has units.
pub(super) struct WeighedKeys<'a> {
    plan: &'a ColumnPlan,
    refinement: &'a mut Refinement,
    units: &'a RowUnits,
    dictionary: Option<super::owned::Owned>,
    counts: Vec<u64>,
    row: usize,
}

impl<'a> WeighedKeys<'a> {
    pub(super) fn new(
        plan: &'a ColumnPlan,
        refinement: &'a mut Refinement,
        units: &'a RowUnits,
    ) -> Self {
        Self {
            plan,
            refinement,
            units,
            dictionary: None,
            counts: Vec::new(),
            row: 0,
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        if let Some(d) = self.dictionary.take() {
            refine(self.refinement, self.plan, d.slice(), Some(&self.counts))?;
        }
        Ok(())
    }
}

impl PageSink for WeighedKeys<'_> {
    fn needs_validity(&self) -> bool {
        true
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.flush()?;
        self.counts.clear();
        self.counts.resize(values.len(), 0);
        self.dictionary = Some(super::owned::Owned::all(values));
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let present = (0..rows).filter(|i| valid.is_none_or(|v| v[*i]));
        let units = present.map(|i| self.units.of(self.row + i).count);
        match data {
            PageData::Values(v) => {
                let counts: Vec<u64> = units.collect();
                if counts.len() != v.len() {
                    let short = "a page with other values than rows";
                    return Err(Error::Core(tidegauge_core::Error::corrupt(short)));
                }
                refine(self.refinement, self.plan, v, Some(&counts))?;
            }
            PageData::Indices(at) => {
                for (i, n) in at.iter().zip(units) {
                    if let Some(c) = self.counts.get_mut(*i as usize) {
                        *c = c.saturating_add(n);
                    }
                }
            }
        }
        self.row += rows;
        Ok(())
    }
}
