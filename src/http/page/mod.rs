//! The page: plain HTML, CSS and JavaScript out of the binary, drawn from the JSON API. No build step, no CDN.
//!
//! Scripts and styles lie at paths that hold their hash, so a browser keeps them for good and a new release is
//! seen at once. The content security policy allows nothing from elsewhere and no script in place.

use std::io::{Read, Write};
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::Api;
use super::error::Problem;
use super::wire::ticker;

/// `/`, `/tickers/{ticker}`, a backtest's page and what they load.
pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/", get(|| async { html(include_str!("home.html")) }))
        .route("/tickers/{ticker}", get(get_ticker_page))
        .route("/tickers/{ticker}/backtests/{id}", get(get_backtest_page))
        .route("/assets/{name}", get(get_asset))
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file that never changes under its name.
struct Asset {
    name: String,
    content_type: &'static str,
    plain: Bytes,
    packed: Bytes,
}

/// `plotly.min.js` as the crate plotly carries it. The crate itself, with all it stands on, takes half a minute of a
/// build and would give nothing but this file; a test holds the two equal.
static PLOTLY: &[u8] = include_bytes!("plotly.min.js.gz");

/// Made on first use: unpacking Plotly takes a moment.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    const JS: &str = "text/javascript; charset=utf-8";
    let script = |own: &str| format!("{}\n{own}", include_str!("common.js"));
    vec![
        Asset::packed("plotly", ".js", JS, PLOTLY),
        Asset::new("page", ".css", "text/css; charset=utf-8", include_str!("page.css").to_owned()),
        Asset::new("home", ".js", JS, script(include_str!("home.js"))),
        Asset::new("ticker", ".js", JS, script(include_str!("ticker.js"))),
        Asset::new("backtest", ".js", JS, script(include_str!("backtest.js"))),
        Asset::new("icon", ".svg", "image/svg+xml", include_str!("icon.svg").to_owned()),
    ]
});

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, text: String) -> Self {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        // Packing into memory does not fail; should it, the plain text is served.
        let packed = packer.write_all(text.as_bytes()).and_then(|()| packer.finish()).unwrap_or_default();
        let name = format!("{stem}-{}{extension}", &hash[..16]);
        Self { name, content_type, plain: text.into(), packed: packed.into() }
    }

    fn packed(stem: &str, extension: &str, content_type: &'static str, packed: &'static [u8]) -> Self {
        let hash = blake3::hash(packed).to_hex();
        let name = format!("{stem}-{}{extension}", &hash[..16]);
        // What is built in unpacks: a test holds it.
        Self {
            name,
            content_type,
            plain: unpack(packed).unwrap_or_default().into(),
            packed: Bytes::from_static(packed),
        }
    }
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain)?;
    Ok(plain)
}

/// A page with the options of uploads and the names of its assets filled in: `{{page.css}}` becomes
/// `/assets/page-HASH.css`.
fn html(page: &str) -> Response {
    let mut filled = page.replace("{{upload-options}}", include_str!("options.html"));
    for asset in ASSETS.iter() {
        let stem = asset.name.split('-').next().unwrap_or_default();
        let extension = asset.name.rsplit('.').next().unwrap_or_default();
        filled = filled.replace(&format!("{{{{{stem}.{extension}}}}}"), &format!("/assets/{}", asset.name));
    }
    let headers = [
        (HeaderName::from_static("content-security-policy"), HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Html(filled)).into_response()
}

async fn get_ticker_page(Path(name): Path<String>) -> Result<Response, Problem> {
    ticker(&name)?;
    Ok(html(include_str!("ticker.html")))
}

async fn get_backtest_page(Path((name, _)): Path<(String, String)>) -> Result<Response, Problem> {
    ticker(&name)?;
    Ok(html(include_str!("backtest.html")))
}

async fn get_asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| Problem::new("not_found", "There is no such asset."))?;
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_packed = accepts.contains("gzip") && !asset.packed.is_empty();
    let body = if is_packed { asset.packed.clone() } else { asset.plain.clone() };
    let mut response = ([(header::CONTENT_TYPE, asset.content_type)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With CANDLECAST_TEST_UPDATE set, the file is made anew: after an update of the crate.
    #[test]
    fn plotly_is_the_one_of_its_crate() {
        const OPEN: &str = "<script type=\"text/javascript\">";
        let sources = plotly::Plot::offline_js_sources();
        let scripts = sources.split_once(OPEN).expect("a script").1;
        let first = scripts.rsplit_once(OPEN).map_or(scripts, |(first, _)| first);
        let script = first.trim_end().trim_end_matches("</script>");
        assert!(script.len() > 1_000_000 && script.contains("plotly.js v"), "{} bytes", script.len());
        if std::env::var_os("CANDLECAST_TEST_UPDATE").is_some() {
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            packer.write_all(script.as_bytes()).expect("packed");
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/page/plotly.min.js.gz");
            std::fs::write(path, packer.finish().expect("packed")).expect("written");
            return;
        }
        let ours = unpack(PLOTLY).expect("gzip");
        assert!(ours == script.as_bytes(), "the crate has another Plotly: run again with CANDLECAST_TEST_UPDATE=1");
    }
}
