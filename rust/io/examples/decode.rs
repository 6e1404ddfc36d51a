//! CPU seconds of decoding every column of Parquet files into a sink that only looks at the values.
//!
//! `cargo run --release -p tidegauge-io --example decode -- FILE...`

use std::time::Instant;

use tidegauge_core::value::Slice;
use tidegauge_io::Result;
use tidegauge_io::parquet::{ParquetOptions, ParquetSource};
use tidegauge_io::source::{PageData, PageSink, Source};

/// Counts rows and values, and touches every value so that nothing is left out.
#[derive(Default)]
struct Touch {
    rows: usize,
    values: usize,
    check: u64,
}

impl PageSink for Touch {
    fn needs_validity(&self) -> bool {
        false
    }

    fn dictionary(&mut self, values: Slice<'_>) -> Result<()> {
        self.check = self.check.wrapping_add(values.len() as u64);
        Ok(())
    }

    fn page(&mut self, rows: usize, _: Option<&[bool]>, data: PageData<'_>) -> Result<()> {
        let (n, check) = match data {
            PageData::Indices(v) => (v.len(), v.iter().fold(0, |a, b| a ^ u64::from(*b))),
            PageData::Values(Slice::F64(v)) => (v.len(), v.iter().fold(0, |a, b| a ^ b.to_bits())),
            PageData::Values(Slice::I64(v)) => (v.len(), v.iter().fold(0, |a, b| a ^ *b as u64)),
            PageData::Values(v) => (v.len(), 0),
        };
        self.rows += rows;
        self.values += n;
        self.check ^= check;
        Ok(())
    }
}

fn main() -> Result<()> {
    let files = tidegauge_io::paths::resolve(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let source = ParquetSource::open(&files, ParquetOptions::default())?;
    for (i, column) in source.columns().iter().enumerate() {
        let (mut sink, start) = (Touch::default(), Instant::now());
        if column.logical.is_ok() {
            (0..source.units()).try_for_each(|unit| source.read(unit, i, &mut sink))?;
        }
        let Touch {
            rows,
            values,
            check,
        } = sink;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "{:16} {rows:>10} rows {values:>10} values {ms:8.1} ms  {check:016x}",
            column.name
        );
    }
    Ok(())
}
