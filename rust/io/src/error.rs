//! Errors of sources: each names the file, the row group and the column it came from.

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
    /// An error of the core.
    #[error(transparent)]
    Core(#[from] tidegauge_core::Error),
}
