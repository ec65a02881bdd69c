//! A body of prices on its way in: what it is, how it is packed, and room in memory for it.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use axum::http::request::Parts;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::error::Problem;
use super::extract::{media_type, read_body};
use crate::ingest::{BodyFormat, ContentEncoding};

/// A body, received whole.
pub(super) struct Upload {
    pub(super) bytes: Vec<u8>,
    pub(super) format: BodyFormat,
    pub(super) encoding: ContentEncoding,
    /// What the content type says of the characters.
    pub(super) charset: Option<String>,
    /// Its room in memory, given back when the work on it is done.
    pub(super) room: OwnedSemaphorePermit,
}

/// A packed body takes more room than it has on the wire; price files pack to about a quarter.
const PACKED_GROWS: usize = 4;

impl FromRequest<Api> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let format = format(&parts)?;
        let encoding = encoding(&parts, format)?;
        let max_bytes = api.settings().limits.ingest.max_body_bytes;
        let announced = body.size_hint().upper().map_or(max_bytes, |upper| (upper as usize).min(max_bytes));
        let is_said = matches!(encoding, ContentEncoding::Gzip | ContentEncoding::Zstd);
        let mut room = room(api, if is_said { announced * PACKED_GROWS } else { announced }).await?;
        let bytes = read_body(body, max_bytes, api.settings().http.body_timeout()).await?;
        let encoding = encoding.of(&bytes);
        if !is_said && encoding != ContentEncoding::Identity {
            more_room(api, &mut room, announced * PACKED_GROWS)?;
        }
        Ok(Self { bytes: bytes.into(), format, encoding, charset: charset(&parts), room })
    }
}

/// Room for what a body unpacks to that did not say that it is packed. It does not wait: two that hold room and wait for
/// more would wait for each other.
fn more_room(api: &Api, room: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), Problem> {
    let lacking = permits(api, bytes).saturating_sub(room.num_permits() as u32);
    let more = Arc::clone(&api.0.bodies).try_acquire_many_owned(lacking);
    let more = more.map_err(|_| {
        let detail = "Too many bodies are in memory; one that says Content-Encoding: gzip or zstd waits for its turn.";
        Problem::new("overloaded", detail).retry_after(1)
    })?;
    room.merge(more);
    Ok(())
}

/// Waits until bodies in memory leave room for another; the request's time-out ends the wait.
async fn room(api: &Api, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let taken = Arc::clone(&api.0.bodies).acquire_many_owned(permits(api, bytes)).await;
    taken.map_err(|_| Problem::new("stopping", "The server is stopping.").retry_after(5))
}

/// Room is counted in KiB; no body takes more than there is.
fn permits(api: &Api, bytes: usize) -> u32 {
    let all = api.settings().http.max_bodies_bytes >> 10;
    u32::try_from((bytes >> 10).max(1).min(all)).unwrap_or(u32::MAX)
}

fn format(parts: &Parts) -> Result<BodyFormat, Problem> {
    let media_type = media_type(parts).unwrap_or_default();
    BodyFormat::of_media_type(&media_type).ok_or_else(|| {
        let detail = match media_type.as_str() {
            "multipart/form-data" => {
                "Send the file itself as the body, not a form (curl -F): curl --data-binary @FILE URL.".to_owned()
            }
            _ => format!("Prices are read as {}, not as {media_type}.", SUPPORTED.join(", ")),
        };
        Problem::new("unsupported_media_type", detail).with("supported", SUPPORTED.to_vec())
    })
}

const SUPPORTED: [&str; 3] = ["text/csv", "application/json", "application/vnd.apache.parquet"];

/// Whether a body is text on one line, as curl's `-d` makes of any file.
pub(super) fn is_one_line(bytes: &[u8]) -> bool {
    let is_text = bytes.first().is_some_and(|first| !matches!(first, b'{' | b'[' | b'<' | 0..=b' '));
    is_text && !bytes.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r'))
}

/// How the body is packed. A content type that says what the body is says that it is not packed, unless
/// `Content-Encoding` does.
fn encoding(parts: &Parts, format: BodyFormat) -> Result<ContentEncoding, Problem> {
    let named = parts.headers.get(header::CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let encoding = named.as_deref().unwrap_or_default().parse().map_err(|error: String| {
        Problem::new("unsupported_encoding", format!("{error}.")).with("supported", vec!["gzip", "zstd"])
    })?;
    match (encoding, format) {
        (ContentEncoding::Unsaid, format) if format != BodyFormat::Any => Ok(ContentEncoding::Identity),
        (said, _) => Ok(said),
    }
}

fn charset(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    charsets.next().map(|(_, charset)| charset.trim_matches('"').to_owned())
}
