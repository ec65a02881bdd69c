//! The peer of `scripts/bench-serving`: an axum handler that answers a JSON text and does nothing else.
//!
//! `bare_json PORT BODY`

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(body)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: bare_json PORT BODY");
    };
    let body = bytes::Bytes::from(body);
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    Ok(axum::serve(listener, Router::new().route("/", get(answer))).await?)
}
