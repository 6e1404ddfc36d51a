//! From Parquet's types to logical types and ways of reading.

use std::collections::HashMap;

use parquet::basic::{
    ConvertedType, LogicalType, Repetition, TimeUnit as ParquetUnit, Type as Physical,
};
use parquet::schema::types::Type;
use tidegauge_core::value::{Logical, TimeUnit};

use crate::source::SourceColumn;

/// Reason given for columns whose values are lists, structs or maps.
pub const NESTED: &str = "nested columns are not profiled";

/// How stored values become the values of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Bits to flags.
    Bool,
    /// 32-bit integers to i64.
    Int32,
    /// 32-bit integers to u64.
    UInt32,
    /// 64-bit integers to i64.
    Int64,
    /// 64-bit integers to u64.
    UInt64,
    /// 32-bit unscaled decimals to i128.
    Decimal32,
    /// 64-bit unscaled decimals to i128.
    Decimal64,
    /// Julian day and nanosecond of the day to nanoseconds since 1970.
    Int96,
    /// Two bytes to f32.
    Float16,
    /// f32.
    Float32,
    /// f64.
    Float64,
    /// Byte strings.
    Bytes,
    /// Byte strings of one length.
    Fixed(usize),
    /// Big-endian unscaled decimals to i128.
    DecimalBytes,
    /// The same, all of one length.
    DecimalFixed(usize),
    /// A column without a type, in which every row is null.
    Null,
}

impl Read {
    /// Stored bytes of a value; `None` for flags and byte strings of any length.
    pub fn width(self) -> Option<usize> {
        match self {
            Read::Bool | Read::Bytes | Read::DecimalBytes => None,
            Read::Float16 => Some(2),
            Read::Int32 | Read::UInt32 | Read::Decimal32 | Read::Float32 | Read::Null => Some(4),
            Read::Int64 | Read::UInt64 | Read::Decimal64 | Read::Float64 => Some(8),
            Read::Int96 => Some(12),
            Read::Fixed(n) | Read::DecimalFixed(n) => Some(n),
        }
    }
}

/// A top-level column of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileColumn {
    /// Its name and logical type.
    pub column: SourceColumn,
    /// Position among the leaves of the file, the first one for nested columns.
    pub leaf: usize,
    /// How to read it; meaningless where the logical type is an error.
    pub read: Read,
    /// Whether rows may be null.
    pub optional: bool,
    /// What stored integers are multiplied with: 1000 for seconds.
    pub factor: i64,
}

/// Columns below the root of a schema.
pub fn columns(root: &Type) -> Vec<FileColumn> {
    let mut leaf = 0;
    let mut columns: Vec<FileColumn> = root
        .get_fields()
        .iter()
        .map(|field| {
            let first = leaf;
            leaf += leaves(field);
            column(field, first)
        })
        .collect();
    refuse_same_names(columns.iter_mut().map(|c| &mut c.column));
    columns
}

/// Columns that share a name cannot be told apart in a profile, so none of them is read.
pub(crate) fn refuse_same_names<'a>(columns: impl Iterator<Item = &'a mut SourceColumn>) {
    let mut columns: Vec<_> = columns.collect();
    let mut count: HashMap<String, usize> = HashMap::new();
    for column in &columns {
        *count.entry(column.name.clone()).or_default() += 1;
    }
    for column in columns.iter_mut().filter(|column| count[&column.name] > 1) {
        column.logical = Err("another column has the same name".into());
    }
}

fn leaves(field: &Type) -> usize {
    if field.is_primitive() {
        1
    } else {
        field.get_fields().iter().map(|f| leaves(f)).sum()
    }
}

fn column(field: &Type, leaf: usize) -> FileColumn {
    let info = field.get_basic_info();
    let repetition = if info.has_repetition() {
        info.repetition()
    } else {
        Repetition::REQUIRED
    };
    let (physical, logical) = match field {
        Type::PrimitiveType { physical_type, .. } if repetition != Repetition::REPEATED => (
            physical_type.to_string().to_lowercase(),
            primitive(field, *physical_type),
        ),
        Type::PrimitiveType { physical_type, .. } => (
            format!("list<{}>", physical_type.to_string().to_lowercase()),
            Err(NESTED.to_owned()),
        ),
        Type::GroupType { .. } => {
            let kind = match info.logical_type_ref() {
                Some(LogicalType::List) => "list",
                Some(LogicalType::Map) => "map",
                _ => "struct",
            };
            (kind.to_owned(), Err(NESTED.to_owned()))
        }
    };
    let (logical, read) = match logical {
        Ok((logical, read)) => (Ok(logical), read),
        Err(reason) => (Err(reason), Read::Null),
    };
    FileColumn {
        column: SourceColumn {
            name: field.name().to_owned(),
            logical,
            physical,
        },
        leaf,
        read,
        optional: repetition == Repetition::OPTIONAL,
        factor: 1,
    }
}

fn unit(unit: &ParquetUnit) -> TimeUnit {
    match unit {
        ParquetUnit::MILLIS => TimeUnit::Ms,
        ParquetUnit::MICROS => TimeUnit::Us,
        ParquetUnit::NANOS => TimeUnit::Ns,
    }
}

fn primitive(field: &Type, physical: Physical) -> Result<(Logical, Read), String> {
    let info = field.get_basic_info();
    let Type::PrimitiveType {
        type_length,
        scale,
        precision,
        ..
    } = field
    else {
        return Err(NESTED.into());
    };
    // The converted type speaks for files older than logical types, or when the crate knows no logical type.
    let meaning = match info.logical_type_ref() {
        Some(LogicalType::_Unknown { .. }) | None => {
            from_converted(info.converted_type(), *scale, *precision)
        }
        known => known.cloned(),
    };
    if let Some(LogicalType::Decimal(decimal)) = &meaning {
        let scale = i8::try_from(decimal.scale)
            .ok()
            .filter(|_| (1..=38).contains(&decimal.precision))
            .ok_or_else(|| {
                format!(
                    "decimals of {} digits are not supported, at most 38 are",
                    decimal.precision
                )
            })?;
        let read = match physical {
            Physical::INT32 => Read::Decimal32,
            Physical::INT64 => Read::Decimal64,
            Physical::BYTE_ARRAY => Read::DecimalBytes,
            Physical::FIXED_LEN_BYTE_ARRAY => Read::DecimalFixed(length(*type_length)?),
            other => return Err(format!("decimals stored as {other} are not supported")),
        };
        return Ok((Logical::Decimal { scale }, read));
    }
    if matches!(meaning, Some(LogicalType::Unknown)) {
        // Nothing is known of a column of nulls; it is profiled as strings, all missing.
        return Ok((Logical::String, Read::Null));
    }
    Ok(match physical {
        Physical::BOOLEAN => (Logical::Bool, Read::Bool),
        Physical::INT32 => match meaning {
            Some(LogicalType::Date) => (Logical::Date, Read::Int32),
            Some(LogicalType::Time(t)) => (
                Logical::Time {
                    unit: unit(&t.unit),
                },
                Read::Int32,
            ),
            Some(LogicalType::Integer(int)) if !int.is_signed => (Logical::UInt, Read::UInt32),
            _ => (Logical::Int, Read::Int32),
        },
        Physical::INT64 => match meaning {
            Some(LogicalType::Time(t)) => (
                Logical::Time {
                    unit: unit(&t.unit),
                },
                Read::Int64,
            ),
            Some(LogicalType::Timestamp(t)) => (
                Logical::Timestamp {
                    unit: unit(&t.unit),
                    zoned: t.is_adjusted_to_u_t_c,
                },
                Read::Int64,
            ),
            Some(LogicalType::Integer(int)) if !int.is_signed => (Logical::UInt, Read::UInt64),
            _ => (Logical::Int, Read::Int64),
        },
        Physical::INT96 => (
            Logical::Timestamp {
                unit: TimeUnit::Ns,
                zoned: false,
            },
            Read::Int96,
        ),
        Physical::FLOAT => (Logical::Float, Read::Float32),
        Physical::DOUBLE => (Logical::Float, Read::Float64),
        Physical::BYTE_ARRAY => match meaning {
            Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => {
                (Logical::String, Read::Bytes)
            }
            _ => (Logical::Binary, Read::Bytes),
        },
        Physical::FIXED_LEN_BYTE_ARRAY => match (meaning, length(*type_length)?) {
            (Some(LogicalType::Float16), 2) => (Logical::Float, Read::Float16),
            (_, n) => (Logical::Binary, Read::Fixed(n)),
        },
    })
}

fn length(n: i32) -> Result<usize, String> {
    usize::try_from(n)
        .ok()
        .filter(|n| (1..=1 << 20).contains(n))
        .ok_or_else(|| {
            format!(
                "values of {n} bytes are not supported, 1 to {} are",
                1 << 20
            )
        })
}

fn from_converted(converted: ConvertedType, scale: i32, precision: i32) -> Option<LogicalType> {
    use ParquetUnit::{MICROS, MILLIS};
    Some(match converted {
        ConvertedType::UTF8 => LogicalType::String,
        ConvertedType::ENUM => LogicalType::Enum,
        ConvertedType::JSON => LogicalType::Json,
        ConvertedType::DECIMAL => LogicalType::decimal(scale, precision),
        ConvertedType::DATE => LogicalType::Date,
        ConvertedType::TIME_MILLIS => LogicalType::time(true, MILLIS),
        ConvertedType::TIME_MICROS => LogicalType::time(true, MICROS),
        ConvertedType::TIMESTAMP_MILLIS => LogicalType::timestamp(true, MILLIS),
        ConvertedType::TIMESTAMP_MICROS => LogicalType::timestamp(true, MICROS),
        ConvertedType::UINT_8 => LogicalType::integer(8, false),
        ConvertedType::UINT_16 => LogicalType::integer(16, false),
        ConvertedType::UINT_32 => LogicalType::integer(32, false),
        ConvertedType::UINT_64 => LogicalType::integer(64, false),
        _ => return None,
    })
}
