//! The API's own description: `/openapi.json`, `/docs` (Swagger UI, all of it in the binary) and the codes of
//! problems.

use std::collections::HashSet;
use std::fmt::Write as _;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, RefOr, ResponseBuilder};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::Api;
use super::codes::{CODES, SECTIONS, Section};
use super::error::ProblemBody;

/// What is said once for all routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "candlecast",
        description = "Price files in, honest forecasts out. Sessions are ISO dates, `level` and `quantile` are \
            fractions, returns are natural logs, prices are in the series' own currency. Errors are RFC 9457 \
            problem details with a stable `code`; the codes are listed at [/docs/problems](/docs/problems).",
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "bars", description = "Price histories"),
        (name = "training", description = "Jobs and model versions"),
        (name = "forecasts", description = "What comes next"),
        (name = "backtests", description = "What forecasts would have been worth"),
        (name = "service", description = "The service itself"),
    ),
)]
pub(super) struct Head;

/// What any route under `/v1` can answer beside its own: what stands around all handlers says it.
const EVERYWHERE: &[(&str, &str)] = &[
    ("400", "A parameter cannot be read"),
    ("401", "An API key is needed"),
    ("403", "The API key lacks the scope"),
    ("429", "Too many requests"),
    ("500", "A fault of ours"),
    ("503", "Overloaded or stopping"),
];

/// Adds to each operation what the layers around it can answer, and the key it may need.
pub(super) fn complete(mut document: Document) -> Document {
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("key", scheme);
    for (path, item) in &mut document.paths.paths {
        let operations =
            [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().filter_map(Option::as_mut);
        for operation in operations {
            // Swagger UI shows summaries as they are, and only descriptions as Markdown.
            operation.summary = operation.summary.take().map(|summary| summary.replace('`', ""));
            let guarded = path.starts_with("/v1/") || path == "/metrics";
            for (status, description) in
                EVERYWHERE.iter().filter(|(status, _)| guarded || *status == "500" || *status == "503")
            {
                let response = || RefOr::T(problem_response(description));
                operation.responses.responses.entry((*status).to_owned()).or_insert_with(response);
            }
            if guarded {
                let needed = utoipa::openapi::SecurityRequirement::new::<_, [&str; 0], &str>("key", []);
                operation.security = Some(vec![needed, utoipa::openapi::SecurityRequirement::default()]);
            }
        }
    }
    document
}

fn problem_response(description: &str) -> utoipa::openapi::Response {
    let schema = utoipa::openapi::Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// `/openapi.json`, `/docs` and `/docs/problems`.
pub(super) fn router(document: &Document) -> Router<Api> {
    let json = document.to_json().unwrap_or_default();
    let swagger: Router<Api> =
        SwaggerUi::new("/docs").config(Config::new(["/openapi.json"]).validator_url("none")).into();
    swagger
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], json) }))
        .route("/docs/problems", get(get_problems))
        .layer(axum::middleware::map_response(only_from_here))
}

/// Swagger UI styles its elements in place and draws its icons from `data:`; nothing comes from elsewhere.
async fn only_from_here(mut response: Response) -> Response {
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    let name = HeaderName::from_static("content-security-policy");
    response.headers_mut().insert(name, HeaderValue::from_static(policy));
    response
}

async fn get_problems() -> Response {
    let mut named = HashSet::new();
    let mut rows = String::new();
    // Writing into a String cannot fail.
    for (code, status, meaning) in CODES {
        let _ =
            writeln!(rows, "<tr{}><td><code>{code}</code><td>{status}<td>{}", anchor(&mut named, code), html(meaning));
    }
    let mut sections = String::new();
    for Section { id, title, about, codes } in SECTIONS {
        let _ =
            writeln!(sections, "<h2 id=\"{id}\">{title}</h2><p>{}</p><table><tr><th>code<th>what to do", html(about));
        for (code, meaning) in *codes {
            let _ = writeln!(sections, "<tr{}><td><code>{code}</code><td>{}", anchor(&mut named, code), html(meaning));
        }
        sections.push_str("</table>\n");
    }
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Problems · candlecast</title><style>{STYLE}</style><h1>Problems</h1>\
         <p>Every refusal and failure is <code>application/problem+json</code> (RFC 9457). Act on <code>code</code>: \
         it does not change.</p><table><tr><th>code<th>status<th>meaning\n{rows}</table>\n{sections}</html>"
    ))
    .into_response()
}

/// What a problem's `type` points at: the first place that explains a code.
fn anchor(named: &mut HashSet<&'static str>, code: &'static str) -> String {
    if named.insert(code) { format!(" id=\"{code}\"") } else { String::new() }
}

/// Text of ours as HTML, with `code` between backquotes.
fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let parts = escaped.split('`').enumerate();
    parts.map(|(idx, part)| if idx % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
    padding:0 1rem}table{border-collapse:collapse}td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #8884;\
    vertical-align:top}tr:target{background:#fc03}";
