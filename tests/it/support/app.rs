//! A whole service for a test: the real router over a temporary SQLite store and a temporary folder of models.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use candlecast::app::App;
use candlecast::config::Settings;
use candlecast::http::{Api, router};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A service without a socket; its files go when it is dropped.
pub struct TestApp {
    pub app: Arc<App>,
    pub router: Router,
    pub stop: CancellationToken,
    _folder: TempDir,
}

/// What a request got.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl TestApp {
    /// With the default settings.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With some settings changed.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = settings(&folder);
        change(&mut settings);
        let app = Arc::new(App::open(settings).await.expect("opens"));
        let stop = CancellationToken::new();
        let router = router(Api::new(Arc::clone(&app), stop.clone()));
        Self { app, router, stop, _folder: folder }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Request::delete(path).body(Body::empty()).expect("a request")).await
    }

    /// A body of the given content type.
    pub async fn send_body(&self, method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        self.send(request.body(body.into()).expect("a request")).await
    }

    pub async fn post_csv(&self, path: &str, csv: impl Into<Body>) -> Answer {
        self.send_body(Method::POST, path, "text/csv", csv).await
    }

    pub async fn post_json(&self, path: &str, json: &str) -> Answer {
        self.send_body(Method::POST, path, "application/json", json.to_owned()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Status and body in one text for snapshots, with what changes from run to run taken out.
    pub fn shown(&self) -> String {
        let mut shown = format!("{}\n", self.status);
        let json = serde_json::from_slice::<Value>(&self.body).map(|mut json| {
            redact(&mut json);
            serde_json::to_string_pretty(&json).expect("JSON")
        });
        write!(shown, "{}", json.unwrap_or_else(|_| self.text())).expect("into a string");
        shown
    }
}

/// The settings of a service whose files lie in `folder`, on a port that is free.
pub fn settings(folder: &TempDir) -> Settings {
    let mut settings = Settings::default();
    settings.http.listen = "127.0.0.1:0".parse().expect("an address");
    settings.database.url = format!("sqlite://{}/test.db", folder.path().display());
    settings.models_dir = folder.path().join("models").display().to_string();
    settings
}

/// Daily bars as CSV: a price that drifts and swings without a random number, weekdays from 2020-01-01.
pub fn csv(n_bars: usize) -> String {
    let start = chrono::NaiveDate::from_ymd_opt(2020, 1, 1).expect("a date");
    let weekdays =
        start.iter_days().filter(|date| !matches!(chrono::Datelike::weekday(date).number_from_monday(), 6 | 7));
    let mut csv = "Date,Open,High,Low,Close,Volume\n".to_owned();
    for (idx, date) in weekdays.take(n_bars).enumerate() {
        let x = idx as f64;
        let close = 100.0 + 0.02 * x + 3.0 * (x / 7.0).sin() + 1.5 * (x * 1.7).sin();
        let open = close - (x * 2.3).cos();
        let (high, low) = (open.max(close) + 0.5, open.min(close) - 0.4);
        writeln!(csv, "{date},{open:.2},{high:.2},{low:.2},{close:.2},{}", 1000 + idx % 97).expect("into a string");
    }
    csv
}

fn redact(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "request_id" | "id" | "created_at" | "started_at" | "finished_at" | "sha256"
                        if !value.is_null() =>
                    {
                        *value = format!("[{name}]").into();
                    }
                    "url" => *value = "[url]".into(),
                    _ => redact(value),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(redact),
        _ => {}
    }
}
