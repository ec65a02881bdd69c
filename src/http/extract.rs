//! What handlers take from a request, with every refusal a [`Problem`].

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Uri, header};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::Api;
use super::error::Problem;

/// A query string; an unknown name is refused where the type says `deny_unknown_fields`, so that a typing error
/// does not quietly mean the default.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> Query<T> {
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let axum::extract::Query(query) = axum::extract::Query::try_from_uri(uri)?;
        Ok(Self(query))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

/// Parts of the path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(path) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        Self::new("bad_query", in_plain_words(text))
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        let unreadable = match &rejection {
            PathRejection::FailedToDeserializePathParams(error) => match error.kind() {
                ErrorKind::ParseErrorAtIndex { value, .. } | ErrorKind::ParseErrorAtKey { value, .. } => Some(value),
                _ => None,
            },
            _ => None,
        };
        match unreadable {
            // All that is parsed of a path are versions.
            Some(value) => Self::new("bad_path", format!("{value:?} in the path is not a whole number.")),
            None => Self::new("bad_path", rejection.body_text()),
        }
    }
}

/// A JSON body; no body at all is `{}`.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let limits = &api.settings().limits.query;
        let bytes = read_body(body, limits.max_json_bytes, api.settings().http.body_timeout()).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return parse(b"{}").map(Self);
        }
        check_json(&parts)?;
        parse(&bytes).map(Self)
    }
}

/// Reads a body of at most `max_bytes`, which may pause for at most `pause` between two chunks.
///
/// The announced length is believed only so far as to refuse early.
pub(super) async fn read_body(body: Body, max_bytes: usize, pause: Duration) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new("body_too_large", format!("The body is above {max_bytes} bytes."))
            .with("max", max_bytes)
            .with("limit", "max_body_bytes")
    };
    let announced = axum::body::HttpBody::size_hint(&body);
    if announced.lower() > max_bytes as u64 {
        return Err(too_large());
    }
    let mut received = Vec::with_capacity(announced.upper().map_or(0, |upper| upper as usize).min(max_bytes));
    let mut chunks = body.into_data_stream();
    loop {
        let chunk = tokio::time::timeout(pause, chunks.next()).await;
        match chunk {
            Err(_) => {
                return Err(Problem::new("body_timeout", format!("The body paused for {} ms.", pause.as_millis())));
            }
            Ok(None) => return Ok(received.into()),
            Ok(Some(Err(error))) => {
                return Err(Problem::new("bad_body", format!("The body could not be received: {error}.")));
            }
            Ok(Some(Ok(chunk))) if received.len() + chunk.len() > max_bytes => return Err(too_large()),
            Ok(Some(Ok(chunk))) => received.extend_from_slice(&chunk),
        }
    }
}

fn check_json(parts: &Parts) -> Result<(), Problem> {
    let essence = media_type(parts);
    match essence.as_deref() {
        None | Some("application/json") => Ok(()),
        Some(other) => Err(Problem::new("unsupported_media_type", format!("Send application/json here, not {other}."))
            .with("supported", vec!["application/json"])),
    }
}

/// The content type without its parameters, in lower case.
pub(super) fn media_type(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(header::CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { "bad_field" } else { "bad_json" };
        let text = error.to_string();
        let detail = match error.is_eof() {
            true => "the JSON ends before it is complete".to_owned(),
            false => text.rsplit_once(" at line ").map_or(text.as_str(), |(detail, _)| detail).to_owned(),
        };
        let problem =
            |detail: String| Problem::new(code, detail).with("line", error.line()).with("column", error.column());
        match field_at_fault::<T>(bytes).filter(|_| error.is_data()) {
            Some(field) if names(&detail, &field) => problem(detail).with("field", field),
            Some(field) => problem(format!("{field}: {detail}")).with("field", field),
            None => problem(detail),
        }
    })
}

fn names(detail: &str, field: &str) -> bool {
    detail.starts_with(field) || detail.contains(&format!("`{field}`"))
}

/// Where in a body the value stands that cannot be; found by reading it again, so that good bodies pay nothing for it.
fn field_at_fault<T: DeserializeOwned>(bytes: &[u8]) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes)).err()?;
    Some(error.path().to_string()).filter(|path| path != ".")
}

/// What parsers of numbers and truth values say, as people say it.
fn in_plain_words(text: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("invalid digit found in string", "must be a whole number"),
        ("cannot parse integer from empty string", "must be a whole number"),
        ("number too large to fit in target type", "is too large"),
        ("number too small to fit in target type", "is too small"),
        ("number would be zero for non-zero type", "must not be 0"),
        ("invalid float literal", "must be a number"),
        ("cannot parse float from empty string", "must be a number"),
        ("provided string was not `true` or `false`", "must be true or false"),
    ];
    WORDS.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}
