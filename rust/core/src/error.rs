//! Errors of the core: a typed kind, the offending value, and what would be accepted.

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words that name the value and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two states, grids or profiles cannot be combined.
    #[error("{0}")]
    Incompatible(String),
    /// Bytes that are not a valid encoding.
    #[error("corrupt bytes: {0}")]
    Corrupt(String),
    /// An argument outside its accepted range.
    #[error("{0}")]
    InvalidArgument(String),
    /// A value of a column cannot be represented exactly in its logical type.
    #[error("{0}")]
    Schema(String),
    /// Units of data that are already covered would be counted twice.
    #[error("{0}")]
    Overlap(String),
    /// A sum of counts left the range of u64.
    #[error("count overflow in {0}")]
    Overflow(&'static str),
    /// Stopped by the caller.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Shorthand for [`Error::Incompatible`].
    pub fn incompatible(message: impl Into<String>) -> Self {
        Error::Incompatible(message.into())
    }
    /// Shorthand for [`Error::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Error::Corrupt(message.into())
    }
    /// Shorthand for [`Error::Schema`].
    pub fn schema(message: impl Into<String>) -> Self {
        Error::Schema(message.into())
    }
    /// Shorthand for [`Error::InvalidArgument`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::InvalidArgument(message.into())
    }
}
