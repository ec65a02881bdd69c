//! Every refusal and failure as RFC 9457 problem details: the only place that knows status codes.
//!
//! [`CODES`](super::codes::CODES) gives each stable code its status; what goes wrong below becomes a [`Problem`] here,
//! by one full match an error. A 5xx tells the client its request id and nothing of the inside; the log has the rest.

use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::codes::CODES;
use crate::app::ComputeError;
use crate::domain::Ticker;
use crate::forecast::ForecastError;
use crate::ingest::{ReadError, ReadErrorKind, Refusal};
use crate::jobs::BacktestRefusal;
use crate::jobs::ingest::IngestError;
use crate::registry::RegistryError;
use crate::store::{PutBarsError, StoreError};
use crate::train::ConfigError;

/// What went wrong, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    facts: Map<String, Value>,
    retry_after_s: Option<u64>,
}

/// The body of every refusal and failure (RFC 9457), with facts such as `line`, `column` or `max` beside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "/docs/problems#bad_ticker", "title": "Bad ticker", "status": 400,
    "detail": "\"A B\" is not a ticker: use 1 to 32 letters, digits or . - = ^ _, and begin with a letter, a digit or ^",
    "code": "bad_ticker", "request_id": "0199d2f4-6d9a-7cc2-a7a4-5e2f5a3c1b11",
}))]
pub(super) struct ProblemBody<'a> {
    /// Where the code is explained, relative to the server.
    #[serde(rename = "type")]
    type_uri: String,
    /// The code as words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong with this request, and how to right it.
    detail: &'a str,
    /// Stable name of what is wrong.
    code: &'a str,
    /// The same as the header `x-request-id`; the log knows it.
    request_id: &'a str,
    #[serde(flatten)]
    facts: &'a Map<String, Value>,
}

impl Problem {
    /// A problem of the table.
    pub(super) fn new(code: &'static str, detail: impl Display) -> Self {
        let row = CODES.iter().find(|(known, ..)| *known == code);
        debug_assert!(row.is_some(), "{code} is not in the table of codes");
        let status = row.and_then(|(_, status, _)| StatusCode::from_u16(*status).ok());
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            detail: detail.to_string(),
            facts: Map::new(),
            retry_after_s: None,
        }
    }

    /// A problem whose code is not of the table: those of rows and files belong to `ingest`, which has a hundred.
    fn of_body(status: StatusCode, code: &'static str, detail: impl Display) -> Self {
        Self { status, code, detail: detail.to_string(), facts: Map::new(), retry_after_s: None }
    }

    /// A ticker that nobody sent bars of.
    pub(super) fn unknown_ticker(ticker: &Ticker) -> Self {
        let detail = format!("No bars of {ticker} were ever sent: POST them to /v1/tickers/{ticker}/bars.");
        Self::new("unknown_ticker", detail).with("ticker", ticker.as_str())
    }

    /// A fault of ours: the client learns that, the log learns what.
    pub(super) fn internal(error: impl Display) -> Self {
        tracing::error!(error = %error, "internal error");
        Self::new("internal", "The server failed; its log has the reason under this request id.")
    }

    /// The database failed: with luck for a moment only.
    pub(super) fn unavailable(error: &StoreError) -> Self {
        match error.is_transient() {
            true => {
                tracing::warn!(%error, "the database does not answer");
                Self::new("unavailable", "The database does not answer just now.").retry_after(5)
            }
            false => Self::internal(error),
        }
    }

    /// Adds a fact that a program can act on.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    fn with_refusals(self, refusals: &[Refusal]) -> Self {
        let told = serde_json::to_value(refusals).unwrap_or_default();
        self.with("refusals", told)
    }

    /// Adds a sentence to what is wrong.
    pub(super) fn and_say(mut self, more: &str) -> Self {
        let end = if self.detail.ends_with(['.', '!', '?']) { "" } else { "." };
        self.detail = format!("{}{end} {more}", self.detail);
        self
    }

    /// Says when trying again makes sense.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// The stable name.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// Whether the same request may do better in a moment.
    pub(super) fn may_pass(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// What is wrong, as a sentence.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer's body, once the request's id is known.
    pub(super) fn body(&self, request_id: &str) -> Vec<u8> {
        let body = ProblemBody {
            type_uri: format!("/docs/problems#{}", self.code),
            title: words(self.code),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            facts: &self.facts,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Files { .. } => {
                tracing::error!(%error, "artifacts do not answer");
                Self::new("unavailable", "The artifacts do not answer just now.").retry_after(5)
            }
            RegistryError::Refused { version, .. } => {
                tracing::error!(%error, "an artifact is refused");
                Self::new(
                    "refused_model",
                    format!("Model version {version} failed its checks and is not served; train anew or promote another one."),
                )
                .with("version", version)
            }
            RegistryError::Outdated { ref ticker, version } => {
                tracing::error!(%error, "an artifact cannot be read");
                let detail = format!("{error}, by POST /v1/tickers/{ticker}/models.");
                Self::new("refused_model", detail).with("version", version)
            }
            RegistryError::Unknown { ref ticker, version } => Self::new("unknown_version", format!("{error}."))
                .with("ticker", ticker.as_str())
                .with("version", version),
            RegistryError::TickerGone { ref ticker } => {
                Self::new("unknown_ticker", format!("{error}.")).with("ticker", ticker.as_str())
            }
            RegistryError::Raced { .. } => Self::new("conflict", format!("{error}.")),
            RegistryError::Store(error) => error.into(),
        }
    }
}

impl From<ForecastError> for Problem {
    fn from(error: ForecastError) -> Self {
        let text = format!("{error}.");
        let say = |code| Self::new(code, &text);
        match error {
            ForecastError::UnknownTicker { ticker } => Self::unknown_ticker(&ticker),
            ForecastError::NoModelYet { ticker } => say("no_model_yet").with("ticker", ticker.as_str()),
            ForecastError::UnknownVersion { version, .. } => say("unknown_version").with("version", version),
            ForecastError::ModelExpired { age_bars, limit, .. } => {
                say("model_expired").with("age_bars", age_bars).with("max", limit)
            }
            ForecastError::HorizonBeyondModel { asked, trained } => {
                say("horizon_beyond_model").with("asked", asked).with("max", trained)
            }
            ForecastError::TooFewBars { needed, have, .. } => {
                say("too_few_bars").with("needed", needed).with("have", have)
            }
            ForecastError::NothingBefore { .. } => say("nothing_before"),
            ForecastError::Model { .. } => Self::internal(&text),
            ForecastError::Busy => say("overloaded").retry_after(1),
            ForecastError::Registry(error) => error.into(),
            ForecastError::Store(error) => error.into(),
        }
    }
}

impl From<ComputeError> for Problem {
    fn from(error: ComputeError) -> Self {
        ForecastError::from(error).into()
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let status = match error.kind() {
            ReadErrorKind::Malformed => StatusCode::BAD_REQUEST,
            ReadErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ReadErrorKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ReadErrorKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::of_body(status, error.code(), &error);
        match error {
            ReadError::OverLimit { max, .. } => problem.with("max", max),
            ReadError::Unreadable { .. } => problem,
            ReadError::Unusable { line, column, .. } => problem.with("line", line).with("column", column),
            ReadError::NoUsableRows { received, refusals, .. } => {
                problem.with("received", received).with_refusals(&refusals)
            }
            // Named by a query parameter or by the content type's charset, it is a charset that is not read.
            ReadError::BadOption { option: "encoding", .. } => Self::new("unsupported_encoding", problem.detail),
            ReadError::BadOption { option, .. } => problem.with("field", option),
        }
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        let text = error.to_string();
        match error {
            IngestError::Read(error) => error.into(),
            IngestError::Refused { received, refused, refusals, first } => {
                Self::of_body(StatusCode::UNPROCESSABLE_ENTITY, first.code, text)
                    .with("line", first.line)
                    .with("column", first.column)
                    .with("text", first.text)
                    .with("received", received)
                    .with("refused", refused)
                    .with_refusals(&refusals)
            }
            IngestError::TickerMismatch { found, .. } => Self::new("ticker_mismatch", text).with("found", found),
            IngestError::NoTickerColumn => Self::new("no_ticker_column", text),
            IngestError::OtherInterval { ticker, stored, sent, beside } => Self::new("interval_mismatch", text)
                .with("ticker", ticker.as_str())
                .with("stored", stored.to_string())
                .with("session", sent)
                .with("beside", beside),
            IngestError::Put(error) => error.into(),
            IngestError::Store(error) => error.into(),
            IngestError::Panic => Self::internal(text),
        }
    }
}

impl From<PutBarsError> for Problem {
    fn from(error: PutBarsError) -> Self {
        let text = format!("{error}.");
        match error {
            PutBarsError::Conflict { ticker, session, .. } => {
                Self::new("bar_conflict", text).with("ticker", ticker.as_str()).with("session", session)
            }
            PutBarsError::Interval { ticker, stored, .. } => {
                Self::new("interval_mismatch", text).with("ticker", ticker.as_str()).with("stored", stored.to_string())
            }
            PutBarsError::PriceBasis { ticker, stored, .. } => {
                Self::new("price_basis_mismatch", text).with("ticker", ticker.as_str()).with("stored", stored.as_str())
            }
            PutBarsError::Store(error) => error.into(),
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let problem = Self::new("bad_config", format!("{error}.")).with("field", error.field());
        match error {
            ConfigError::Count { max, .. } => problem.with("max", max),
            ConfigError::Range { min, max, .. } => problem.with("min", min).with("max", max),
            ConfigError::Memory { mib, max_mib, .. } => problem.with("memory_mib", mib).with("max", max_mib),
            ConfigError::Features | ConfigError::Levels => problem,
        }
    }
}

impl From<BacktestRefusal> for Problem {
    fn from(refusal: BacktestRefusal) -> Self {
        let text = format!("{refusal}.");
        match refusal {
            BacktestRefusal::OutOfRange { field, min, max, .. } => {
                Self::new("out_of_range", text).with("name", field).with("min", min).with("max", max)
            }
            BacktestRefusal::TooManyPoints { asked, max } => {
                Self::new("out_of_range", text).with("name", "points").with("asked", asked).with("max", max)
            }
            BacktestRefusal::TooFewBars { needed, have, .. } => {
                Self::new("too_few_bars", text).with("needed", needed).with("have", have)
            }
            BacktestRefusal::Config(error) => error.into(),
        }
    }
}

impl IntoResponse for Problem {
    /// The body is written by [`super::observe`], which knows the request id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"candlecast\""));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A code as a title: `no_model_yet` is "No model yet".
fn words(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_rfc_9457_with_its_facts_beside() {
        let problem = Problem::new("body_too_large", "too much").with("max", 5);
        insta::assert_snapshot!(String::from_utf8(problem.body("id")).unwrap(), @r#"{"type":"/docs/problems#body_too_large","title":"Body too large","status":413,"detail":"too much","code":"body_too_large","request_id":"id","max":5}"#);
    }
}
