//! Why a body gave no bars at all.

use super::Refusal;

/// Why a whole body was refused; nothing of it is kept. Each has a stable [`code`](ReadError::code) and a
/// sentence that says what to change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// A cap of [`IngestLimits`](super::IngestLimits) was passed.
    #[error("the body has more {what} than are read: the cap is {max}")]
    OverLimit {
        /// `body_too_large`, `too_many_rows`, …
        code: &'static str,
        /// What was counted.
        what: &'static str,
        /// The cap.
        max: usize,
    },
    /// It is not what it is said to be, or not text.
    #[error("{message}")]
    Unreadable {
        /// `looks_like_gzip`, `invalid_utf8`, …
        code: &'static str,
        /// What it is, and what to send instead.
        message: String,
    },
    /// It is text, but holds nothing that is a bar, or more than one reading is right.
    #[error("{message}")]
    Unusable {
        /// `missing_column`, `ambiguous_date`, …
        code: &'static str,
        /// What was found, and what to pass.
        message: String,
        /// The line it was found on, from 1.
        line: Option<u64>,
        /// The column it is about: a header of the file, or `date`, `open`, … for one that is not there.
        column: Option<String>,
    },
    /// It has rows, and each was refused.
    #[error("none of {received} rows is a bar; line {}: {}", .first.line, .first.message)]
    NoUsableRows {
        /// How many rows there were.
        received: usize,
        /// The refused rows, up to the cap on reports.
        refusals: Vec<Refusal>,
        /// The first of them.
        first: Box<Refusal>,
    },
    /// An option that cannot be, such as a delimiter of three letters.
    #[error("{option}: {message}")]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

/// What an HTTP answer to an error is about; the status itself is the border's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// The body or an option cannot be read (400).
    Malformed,
    /// Over a cap (413).
    TooLarge,
    /// Packed or encoded in a way that is not read (415).
    Unsupported,
    /// Readable but without use (422).
    Unprocessable,
}

impl ReadError {
    pub(super) fn unreadable(code: &'static str, message: impl Into<String>) -> Self {
        Self::Unreadable { code, message: message.into() }
    }

    pub(super) fn unusable(code: &'static str, message: impl Into<String>) -> Self {
        Self::Unusable { code, message: message.into(), line: None, column: None }
    }

    pub(super) fn missing(column: &str, message: impl Into<String>) -> Self {
        Self::Unusable { code: "missing_column", message: message.into(), line: None, column: Some(column.to_owned()) }
    }

    pub(super) fn on_line(self, at: u64) -> Self {
        match self {
            Self::Unusable { code, message, column, .. } => Self::Unusable { code, message, column, line: Some(at) },
            other => other,
        }
    }

    /// Stable name for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OverLimit { code, .. } | Self::Unreadable { code, .. } | Self::Unusable { code, .. } => code,
            Self::NoUsableRows { .. } => "no_usable_rows",
            Self::BadOption { .. } => "bad_option",
        }
    }

    /// What kind of refusal it is.
    pub fn kind(&self) -> ReadErrorKind {
        match self {
            Self::OverLimit { .. } => ReadErrorKind::TooLarge,
            Self::BadOption { .. } => ReadErrorKind::Malformed,
            Self::Unreadable { code: "looks_like_gzip" | "looks_like_zstd" | "unsupported_encoding", .. } => {
                ReadErrorKind::Unsupported
            }
            Self::Unreadable { .. } => ReadErrorKind::Malformed,
            Self::Unusable { .. } | Self::NoUsableRows { .. } => ReadErrorKind::Unprocessable,
        }
    }
}
