//! Sinks between a column chunk and the sink of the scan.

use tidegauge_core::value::{Logical, Slice};

use super::schema::FileColumn;
use crate::source::{PageData, PageSink};
use crate::{Error, Result};

/// Multiplies integers: seconds to milliseconds.
pub struct Scaled<'a> {
    inner: &'a mut dyn PageSink,
    name: &'a str,
    factor: i64,
    values: Vec<i64>,
}

impl<'a> Scaled<'a> {
    /// Passes the pages of a column on with its factor applied.
    pub fn new(inner: &'a mut dyn PageSink, column: &'a FileColumn) -> Self {
        Self {
            inner,
            name: &column.column.name,
            factor: column.factor,
            values: Vec::new(),
        }
    }

    fn scale(&mut self, values: Slice<'_>) -> Result<()> {
        self.values.clear();
        if let Slice::I64(values) = values {
            for value in values {
                let scaled = value.checked_mul(self.factor).ok_or_else(|| {
                    let name = self.name;
                    Error::Core(tidegauge_core::Error::schema(format!(
                        "column {name:?}: {value} seconds do not fit 64 bits of milliseconds"
                    )))
                })?;
                self.values.push(scaled);
            }
        }
        Ok(())
    }
}

impl PageSink for Scaled<'_> {
    fn needs_validity(&self) -> bool {
        self.inner.needs_validity()
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.scale(values)?;
        self.inner.dictionary(Slice::I64(&self.values))
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let PageData::Values(values) = data else {
            return self.inner.page(rows, valid, data);
        };
        self.scale(values)?;
        let values = PageData::Values(Slice::I64(&self.values));
        self.inner.page(rows, valid, values)
    }
}

/// Compares a column with the value that the folder's name gives it.
pub struct Shadowed<'a> {
    inner: &'a mut dyn PageSink,
    /// The folder's value as text, if it is not null.
    expected: Option<&'a str>,
    logical: Logical,
    /// By dictionary entry: whether it differs.
    differs: Vec<bool>,
    /// Whether any row differs.
    pub found: bool,
}

impl<'a> Shadowed<'a> {
    /// Passes the pages of a column of type `logical` on.
    pub fn new(inner: &'a mut dyn PageSink, expected: Option<&'a str>, logical: Logical) -> Self {
        Self {
            inner,
            expected,
            logical,
            differs: Vec::new(),
            found: false,
        }
    }

    fn differs(&self, values: Slice<'_>, i: usize) -> bool {
        let Some(text) = self.expected else {
            return true;
        };
        let date = |days: i64| {
            let date = chrono::DateTime::from_timestamp(days.checked_mul(86_400)?, 0)?;
            Some(date.date_naive().to_string() == text)
        };
        let same = match (values, self.logical) {
            (Slice::Bytes(v), _) => Some(v.get(i) == text.as_bytes()),
            (Slice::Bool(v), _) => text
                .to_ascii_lowercase()
                .parse()
                .ok()
                .map(|b: bool| b == v[i]),
            (Slice::I64(v), Logical::Date) => date(v[i]),
            (Slice::I64(v), _) => text.parse().ok().map(|n: i64| n == v[i]),
            (Slice::U64(v), _) => text.parse().ok().map(|n: u64| n == v[i]),
            (Slice::F32(v), _) => text.parse().ok().map(|x: f32| x == v[i]),
            (Slice::F64(v), _) => text.parse().ok().map(|x: f64| x == v[i]),
            (Slice::I128(_), _) => None,
        };
        same != Some(true)
    }
}

impl PageSink for Shadowed<'_> {
    fn needs_validity(&self) -> bool {
        self.inner.needs_validity()
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.differs = (0..values.len()).map(|i| self.differs(values, i)).collect();
        self.inner.dictionary(values)
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let present = match data {
            PageData::Values(v) => {
                self.found = self.found || (0..v.len()).any(|i| self.differs(v, i));
                v.len()
            }
            PageData::Indices(at) => {
                let differs = |i: &u32| self.differs.get(*i as usize) != Some(&false);
                self.found = self.found || at.iter().any(differs);
                at.len()
            }
        };
        self.found = self.found || (self.expected.is_some() && present < rows);
        self.inner.page(rows, valid, data)
    }
}
