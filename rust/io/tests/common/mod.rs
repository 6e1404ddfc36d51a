//! A sink that keeps what it is given, row by row.
#![allow(dead_code)]

use std::fmt;

use tidegauge_core::value::Slice;
use tidegauge_io::Result;
use tidegauge_io::source::{PageData, PageSink, Source};

/// A value as any source must deliver it; floats by their bits.
#[derive(Clone, PartialEq, Eq)]
pub enum Cell {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F32(u32),
    F64(u64),
    I128(i128),
    Bytes(Vec<u8>),
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => write!(f, "null"),
            Cell::Bool(v) => write!(f, "{v}"),
            Cell::I64(v) => write!(f, "{v}i"),
            Cell::U64(v) => write!(f, "{v}u"),
            Cell::F32(v) => write!(f, "{}f32", f32::from_bits(*v)),
            Cell::F64(v) => write!(f, "{}f64", f64::from_bits(*v)),
            Cell::I128(v) => write!(f, "{v}d"),
            Cell::Bytes(v) => write!(f, "{:?}", String::from_utf8_lossy(v)),
        }
    }
}

pub fn cells(slice: Slice<'_>) -> Vec<Cell> {
    match slice {
        Slice::Bool(v) => v.iter().map(|v| Cell::Bool(*v)).collect(),
        Slice::I64(v) => v.iter().map(|v| Cell::I64(*v)).collect(),
        Slice::U64(v) => v.iter().map(|v| Cell::U64(*v)).collect(),
        Slice::F32(v) => v.iter().map(|v| Cell::F32(v.to_bits())).collect(),
        Slice::F64(v) => v.iter().map(|v| Cell::F64(v.to_bits())).collect(),
        Slice::I128(v) => v.iter().map(|v| Cell::I128(*v)).collect(),
        Slice::Bytes(v) => (0..v.len())
            .map(|i| Cell::Bytes(v.get(i).to_vec()))
            .collect(),
    }
}

/// Rows in order when `validity`, else the non-null values and the number of rows.
#[derive(Default)]
pub struct Collect {
    pub validity: bool,
    pub rows: usize,
    pub cells: Vec<Cell>,
    pub largest: usize,
    pub index_pages: usize,
    pub dictionaries: usize,
    pub dictionary: Vec<Cell>,
}

impl PageSink for Collect {
    fn needs_validity(&self) -> bool {
        self.validity
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.dictionaries += 1;
        self.dictionary = cells(values);
        Ok(())
    }

    fn page(&mut self, rows: usize, valid: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let values = match data {
            PageData::Values(values) => cells(values),
            PageData::Indices(indices) => {
                self.index_pages += 1;
                indices
                    .iter()
                    .map(|&i| self.dictionary[i as usize].clone())
                    .collect()
            }
        };
        assert!(values.len() <= rows);
        self.rows += rows;
        self.largest = self.largest.max(rows);
        match valid {
            Some(valid) => {
                assert!(self.validity);
                assert_eq!(
                    (valid.len(), valid.iter().filter(|v| **v).count()),
                    (rows, values.len())
                );
                let mut values = values.into_iter();
                self.cells.extend(valid.iter().map(|v| {
                    if *v {
                        values.next().unwrap()
                    } else {
                        Cell::Null
                    }
                }));
            }
            None => {
                assert!(
                    !self.validity || values.len() == rows,
                    "nulls without flags"
                );
                self.cells.extend(values);
            }
        }
        Ok(())
    }
}

/// Every row of a column, unit after unit; asserts that the count without flags agrees.
pub fn column(source: &dyn Source, column: usize) -> Result<Vec<Cell>> {
    let mut all = Vec::new();
    for unit in 0..source.units() {
        let mut flagged = Collect {
            validity: true,
            ..Collect::default()
        };
        source.read(unit, column, &mut flagged)?;
        let mut counted = Collect::default();
        source.read(unit, column, &mut counted)?;
        assert_eq!(flagged.rows as u64, source.unit_rows(unit));
        assert_eq!(counted.rows, flagged.rows);
        let present: Vec<Cell> = flagged
            .cells
            .iter()
            .filter(|c| **c != Cell::Null)
            .cloned()
            .collect();
        assert_eq!(counted.cells, present);
        all.extend(flagged.cells);
    }
    Ok(all)
}
