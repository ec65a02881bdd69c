//! What came of a body: bars by ticker, refused rows, and how it was understood.

use std::collections::BTreeMap;

use serde::Serialize;

use super::PriceBasis;
use crate::domain::{Series, Ticker};

/// What a body holds. `received = bars + duplicates + refused`, for each ticker and for all.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Rows that claim to be bars (not headers, footers, blank lines, halted or empty sessions).
    pub received: usize,
    /// The bars, one entry a ticker, in the order of first appearance.
    pub tickers: Vec<TickerReading>,
    /// Refused rows in the order of the file, up to the cap on reports.
    pub refusals: Vec<Refusal>,
    /// How many rows were refused, told or not.
    pub refusals_total: usize,
    /// How the body was understood.
    pub dialect: Dialect,
    /// What looks wrong although each bar is valid, and what was left out.
    pub warnings: Vec<Warning>,
}

/// One ticker's part of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct TickerReading {
    /// The name; `None` where the body has no ticker column.
    pub ticker: Option<Ticker>,
    /// Whose bars they are by what an answer in JSON says beside them: a name for who gives none.
    pub told: Option<Ticker>,
    /// Rows that claim to be bars of it.
    pub received: usize,
    /// Rows equal to another one, beyond the first.
    pub duplicates: usize,
    /// Refused rows.
    pub refused: usize,
    /// The bars, ascending.
    pub series: Series,
}

impl TickerReading {
    /// Whose bars they are, where the body says it in any way.
    pub fn name(&self) -> Option<&Ticker> {
        self.ticker.as_ref().or(self.told.as_ref())
    }
}

/// A row that is no bar.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    /// Line of the file from 1; the record's number for JSON and Parquet.
    pub line: u64,
    /// The column at fault (`date`, `open`, …); `None` where the whole line is.
    pub column: Option<&'static str>,
    /// What stands there, shortened to 100 characters.
    pub text: String,
    /// Stable name of the reason.
    pub code: &'static str,
    /// The reason as a sentence.
    pub message: String,
    /// Whose row it is, where the body tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticker: Option<Ticker>,
}

/// How a body was understood; [`query`](Self::query) sent back pins the reading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dialect {
    /// `yahoo`, `nasdaq`, `krx`, … where the header is known, else `generic`.
    pub name: String,
    /// `utf-8`, `cp949`, …
    pub encoding: String,
    /// What stands between fields; `None` for JSON, Parquet and workbooks.
    pub delimiter: Option<String>,
    /// The decimal sign.
    pub decimal: String,
    /// How dates are written.
    pub date_format: String,
    /// `ascending`, `descending` or `unsorted`.
    pub order: &'static str,
    /// Which header was taken for which column.
    pub columns: BTreeMap<String, String>,
    /// Which prices were kept.
    pub price_basis: PriceBasis,
    /// How much time a bar covers.
    pub interval: String,
    /// What decided the order of dates, where rows had to.
    pub why_date_format: &'static str,
    /// The same as query parameters: behind a `?` they read such a file again without looking for evidence.
    pub query: String,
}

/// Something worth a look that refuses nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Warning {
    /// Stable name.
    pub code: &'static str,
    /// The session it is about, or the first of them.
    pub session: Option<String>,
    /// What was seen, as a sentence.
    pub message: String,
    /// Whose bars, where the body tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticker: Option<Ticker>,
}
