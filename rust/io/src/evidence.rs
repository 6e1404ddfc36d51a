//! Digests that a scan has taken so far, for one that goes on from there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::parquet::ParquetSource;
use crate::rows::Rows;
use crate::source::Source;

/// Digests of chunks and rows by unit, as they lie in a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// BLAKE3 of the column chunks that were read, by unit and leaf.
    chunks: BTreeMap<String, Vec<Option<String>>>,
    /// Columns whose values are in the sums of rows.
    columns: Vec<String>,
    /// Sum of the hashes of a unit's rows, in hexadecimal digits.
    rows: BTreeMap<String, String>,
    /// Why there is no digest of rows.
    failed: Option<String>,
}

impl Evidence {
    /// What was taken of these units.
    pub fn of(source: &ParquetSource, rows: &Rows<'_>, units: &BTreeSet<String>) -> Self {
        let mut found = Self {
            columns: rows.names().into_iter().map(str::to_owned).collect(),
            failed: rows.failed(),
            ..Self::default()
        };
        for unit in 0..source.units() {
            let id = source.unit_id(unit);
            if !units.contains(&id) {
                continue;
            }
            if let Ok(sum) = rows.unit(unit) {
                found.rows.insert(id.clone(), format!("{sum:032x}"));
            }
            let text = |h: blake3::Hash| h.to_hex().as_str().to_owned();
            let chunks = source.taken(unit).into_iter().map(|h| h.map(text));
            found.chunks.insert(id, chunks.collect());
        }
        found
    }

    /// Hands everything to a source and its rows, as if they had taken it.
    ///
    /// # Errors
    /// What does not belong to the source or is no digest; nothing may be gone on from then.
    pub fn hand_over(&self, source: &ParquetSource, rows: &Rows<'_>) -> Result<(), String> {
        let units: BTreeMap<String, usize> = (0..source.units())
            .map(|unit| (source.unit_id(unit), unit))
            .collect();
        let at = |id: &String| {
            let found = units.get(id).copied();
            found.ok_or_else(|| format!("unit {id:?} is not in the table"))
        };
        for (id, chunks) in &self.chunks {
            let hash = |text: &String| {
                blake3::Hash::from_hex(text).map_err(|e| format!("digest {text:?} of {id:?}: {e}"))
            };
            let chunks: Vec<Option<blake3::Hash>> = chunks
                .iter()
                .map(|text| text.as_ref().map(hash).transpose())
                .collect::<Result<_, _>>()?;
            source.take_over(at(id)?, &chunks)?;
        }
        let sums = self.rows.iter().map(|(id, text)| {
            let sum = u128::from_str_radix(text, 16);
            Ok((
                at(id)?,
                sum.map_err(|e| format!("sum {text:?} of {id:?}: {e}"))?,
            ))
        });
        let sums: Vec<(usize, u128)> = sums.collect::<Result<_, String>>()?;
        rows.take_over(&self.columns, &sums, self.failed.clone())
    }
}
