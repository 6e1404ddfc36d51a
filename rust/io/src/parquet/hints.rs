//! What Parquet cannot say of a column and the Arrow schema in the footer can: that its integers are durations, or
//! unsigned ones of 32 bits, which version 1.0 of the format writes as signed ones of 64.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_ipc::convert::try_schema_from_ipc_buffer;
use arrow_schema::{DataType, Schema, TimeUnit as ArrowUnit};
use parquet::file::metadata::FileMetaData;
use tidegauge_core::value::{Logical, TimeUnit};

use super::schema::{FileColumn, Read};

/// Key of the metadata under which Arrow's writers keep their schema.
const KEY: &str = "ARROW:schema";
/// Longest text of a schema; a longer one is not looked at.
const MAX_TEXT: usize = 16 << 20;

/// Gives durations and unsigned integers their type. A schema that cannot be read or says otherwise than Parquet is ignored.
pub fn apply(columns: &mut [FileColumn], metadata: &FileMetaData) {
    // Nothing else is taken from the schema, so it need not be read for other columns.
    let open = |c: &FileColumn| c.column.logical == Ok(Logical::Int) && c.read == Read::Int64;
    if !columns.iter().any(open) {
        return;
    }
    let text = metadata
        .key_value_metadata()
        .into_iter()
        .flatten()
        .find(|pair| pair.key == KEY)
        .and_then(|pair| pair.value.as_deref());
    let Some(schema) = text.and_then(schema) else {
        return;
    };
    let types: HashMap<&str, &DataType> = schema
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type()))
        .collect();
    for column in columns.iter_mut().filter(|c| open(c)) {
        let hint = types.get(column.column.name.as_str());
        if let Some(DataType::UInt32) = hint {
            column.column.logical = Ok(Logical::UInt);
            column.read = Read::UInt64;
        }
        if let Some(DataType::Duration(unit)) = hint {
            // Seconds are milliseconds everywhere: Parquet has no seconds in times and timestamps either.
            let (unit, factor) = match unit {
                ArrowUnit::Second => (TimeUnit::Ms, 1000),
                ArrowUnit::Millisecond => (TimeUnit::Ms, 1),
                ArrowUnit::Microsecond => (TimeUnit::Us, 1),
                ArrowUnit::Nanosecond => (TimeUnit::Ns, 1),
            };
            column.column.logical = Ok(Logical::Duration { unit });
            column.factor = factor;
        }
    }
}

fn schema(text: &str) -> Option<Schema> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let bytes = base64(text.as_bytes())?;
    // The conversion may panic on types that it does not know.
    catch_unwind(AssertUnwindSafe(|| try_schema_from_ipc_buffer(&bytes)))
        .ok()?
        .ok()
}

/// Decodes the standard alphabet, padded or not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.chunks(4) {
        let mut bits = 0u32;
        for byte in group {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        bits <<= 6 * (4 - group.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(..group.len().checked_sub(1)?)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length_and_of_foreign_text() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
        ] {
            assert_eq!(base64(text.as_bytes()).unwrap(), bytes.as_bytes());
        }
        assert_eq!(base64(b"Zm9v*A=="), None);
        assert!(schema("Zm9vYmFyZm9vYmFy").is_none());
        assert!(schema("/////////////w==").is_none());
    }
}
