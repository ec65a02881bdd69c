//! What a caller may say about a body, and how much of one is read.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::Interval;

/// How much is read at most. A cap that is too low refuses honest files; one that is too high lets a
/// single body take the memory of the process (a row costs about 100 bytes while it is read).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestLimits {
    /// Bytes of a body as sent. Too low refuses honest files; too high lets one body take the memory.
    pub max_body_bytes: usize,
    /// Bytes of a body after gzip, zstd or zip, and of all tables in a JSON body as text. Too low refuses packed files that
    /// would fit; too high lets a small body take the memory.
    pub max_inflated_bytes: usize,
    /// Bytes out for each byte in: real price files reach about 20, bombs 1000. Counted past the first MiB. Too
    /// low refuses files that repeat themselves; too high lets bombs unpack up to the cap above.
    pub max_inflate_ratio: usize,
    /// Rows of a body. Too low splits long histories; too high costs about 100 bytes of memory a row.
    pub max_rows: usize,
    /// Columns of a body. Too low refuses wide tables; too high lets one row cost as much as a file.
    pub max_columns: usize,
    /// Tickers in a body. Too low splits files of a whole market; too high makes one transaction long for all
    /// other writers.
    pub max_tickers: usize,
    /// Memory of a JSON body at one time, in values of 32 bytes: that of one record of a list, or of all where the body is an
    /// object. A number, a text and a list are one each, an object is one, its names are one each, and an object with fields
    /// takes six more. Too low refuses long histories; too high lets one body take the memory.
    pub max_json_values: usize,
    /// Refused rows told one by one; the others are counted. Too low hides what is wrong; too high makes the
    /// answer as long as the file.
    pub max_refusals_reported: usize,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            max_inflated_bytes: 256 << 20,
            max_inflate_ratio: 200,
            max_rows: 2_000_000,
            max_columns: 64,
            max_tickers: 20_000,
            max_json_values: 8_000_000,
            max_refusals_reported: 100,
        }
    }
}

/// What a caller says about a body; everything that is left out is detected. Each field is a query
/// parameter of the same name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// How dates are written: `%d/%m/%Y` and the like, or `epoch`, `excel`, `roc`, `buddhist`.
    pub date_format: Option<String>,
    /// What stands between fields: one of `,` `;` `|`, a tab (`tab` or `\t`).
    pub delimiter: Option<String>,
    /// The decimal sign: `.` or `,`.
    pub decimal: Option<String>,
    /// The characters' encoding, as the web names it: `utf-8`, `cp949`, `shift_jis`, `gbk`, `big5`, `windows-1252`.
    pub encoding: Option<String>,
    /// Which prices are kept where a file has both.
    pub price_basis: Option<PriceBasis>,
    /// Which column is which: `date,open,high,low,close,volume` by position (`-` skips one; such a file
    /// needs no header), or `close:Last,volume:Volume BTC` by name.
    pub columns: Option<String>,
    /// The zone of times without one, and of the sessions of times in UTC: a place (`Asia/Seoul`) or an offset
    /// (`+09:00`).
    pub timezone: Option<String>,
    /// `split`: earlier prices and volumes are put on the scale of the newest where a split is suspected.
    pub adjust: Option<Adjust>,
    /// `1d`: bars within a day are put together to sessions.
    pub resample: Option<Resample>,
    /// What the bars of the series that this body continues cover: a few bars cannot tell it by themselves. Known from
    /// the store, never said by a caller.
    #[serde(skip)]
    pub continues: Option<Interval>,
}

/// Prices as traded, or scaled for dividends and splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceBasis {
    /// The columns open, high, low, close as they stand.
    Raw,
    /// The whole bar on the scale of the adjusted close.
    Adjusted,
}

/// What is done about suspected splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjust {
    /// Earlier bars are divided by the ratio.
    Split,
}

/// What bars within a day become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Resample {
    /// Sessions: first open, highest high, lowest low, last close, summed volume of a date.
    #[serde(rename = "1d")]
    Day,
}

/// What a body is said to be, by its media type or its file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// Nothing that tells: Parquet and JSON are known by their first bytes, all else is read as [`Csv`](Self::Csv).
    Any,
    /// Delimited text; a zip or a workbook sent as such is known by its first bytes.
    Csv,
    /// JSON of bars.
    Json,
    /// Apache Parquet.
    Parquet,
}

impl BodyFormat {
    /// The format of a media type (`text/csv; charset=…`); `None` for one that is not read.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            ""
            | "text/plain"
            | "application/octet-stream"
            | "application/gzip"
            | "application/x-gzip"
            | "application/zstd"
            // What curl calls any file that it is told to send.
            | "application/x-www-form-urlencoded" => Some(Self::Any),
            "text/csv"
            | "text/tab-separated-values"
            | "application/csv"
            | "application/x-csv"
            | "text/x-csv"
            | "text/comma-separated-values"
            | "application/zip"
            | "application/x-zip-compressed"
            | "application/vnd.ms-excel"
            | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Some(Self::Csv),
            "application/json" | "text/json" => Some(Self::Json),
            "application/vnd.apache.parquet" | "application/parquet" | "application/x-parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// The format and encoding that a file's name tells (`AAPL.csv.gz`).
    pub fn of_file_name(name: &str) -> (Self, ContentEncoding) {
        let lower = name.to_ascii_lowercase();
        let (stem, encoding) = match (lower.strip_suffix(".gz"), lower.strip_suffix(".zst")) {
            (Some(stem), _) => (stem, ContentEncoding::Gzip),
            (_, Some(stem)) => (stem, ContentEncoding::Zstd),
            _ => (lower.as_str(), ContentEncoding::Unsaid),
        };
        let format = match stem.rsplit('.').next() {
            Some("json") => Self::Json,
            Some("parquet" | "pq") => Self::Parquet,
            Some("csv" | "tsv" | "txt") => Self::Csv,
            _ => Self::Any,
        };
        (format, encoding)
    }

    /// What a body is of which nothing is said: one that could be two things is text.
    pub(super) fn of_first_bytes(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"PAR1") {
            return Self::Parquet;
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let Some((first, rest)) = text.split_first() else { return Self::Csv };
        let is_json = match (first, rest.trim_ascii_start().first()) {
            (b'{', Some(next)) => matches!(next, b'"' | b'\'' | b'}'),
            // Not `[Header]`, as the settings above a table are called.
            (b'[', Some(next)) => matches!(next, b'{' | b'[' | b'"' | b'\'' | b']' | b'-' | b'0'..=b'9'),
            _ => false,
        };
        if is_json { Self::Json } else { Self::Csv }
    }
}

/// How a body was packed for the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentEncoding {
    /// Nothing is said: gzip and zstd are known by their first bytes.
    #[default]
    Unsaid,
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl ContentEncoding {
    /// How a body is packed: as it is said, else as its first bytes tell.
    pub fn of(self, bytes: &[u8]) -> Self {
        match self {
            Self::Unsaid if bytes.starts_with(b"\x1f\x8b") => Self::Gzip,
            Self::Unsaid if bytes.starts_with(b"\x28\xb5\x2f\xfd") => Self::Zstd,
            Self::Unsaid => Self::Identity,
            said => said,
        }
    }
}

impl FromStr for ContentEncoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" => Ok(Self::Unsaid),
            "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(format!("content encoding {text:?} is none of identity, gzip, zstd")),
        }
    }
}
