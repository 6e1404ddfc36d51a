//! Errors of sources: each names the file, the row group and the column it came from.

use tidegauge_core::value::{Logical, TimeUnit};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong while reading.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A path that does not exist, a glob without a match, a file that cannot be opened.
    #[error("{path}: {message}")]
    Unreadable {
        /// The path as given.
        path: String,
        /// What is wrong and what would be accepted.
        message: String,
    },
    /// A unit whose bytes cannot be decoded.
    #[error("{unit}: column {column:?}: {message}")]
    Corrupt {
        /// Path and row group.
        unit: String,
        /// Column being read.
        column: String,
        /// What is wrong.
        message: String,
    },
    /// A file whose columns are not those of the first file of the set.
    #[error("{path}: other columns than {first}: {}; every file of a set has the same columns", differences.join(", "))]
    SchemaMismatch {
        /// The file that differs.
        path: String,
        /// The file that gave the schema.
        first: String,
        /// What differs, column by column.
        differences: Vec<String>,
    },
    /// An error of the core.
    #[error(transparent)]
    Core(#[from] tidegauge_core::Error),
}

/// Name of a logical type for messages: `timestamp[us, zoned]`.
pub(crate) fn logical_name(logical: Logical) -> String {
    let unit = |unit: TimeUnit| match unit {
        TimeUnit::S => "s",
        TimeUnit::Ms => "ms",
        TimeUnit::Us => "us",
        TimeUnit::Ns => "ns",
    };
    match logical {
        Logical::Bool => "bool".into(),
        Logical::Int => "int".into(),
        Logical::UInt => "uint".into(),
        Logical::Float => "float".into(),
        Logical::Decimal { scale } => format!("decimal[scale {scale}]"),
        Logical::Date => "date".into(),
        Logical::Time { unit: u } => format!("time[{}]", unit(u)),
        Logical::Timestamp {
            unit: u,
            zoned: true,
        } => format!("timestamp[{}, zoned]", unit(u)),
        Logical::Timestamp {
            unit: u,
            zoned: false,
        } => format!("timestamp[{}]", unit(u)),
        Logical::Duration { unit: u } => format!("duration[{}]", unit(u)),
        Logical::String => "string".into(),
        Logical::Binary => "binary".into(),
    }
}
