//! What keeps an open server its own machine's: nobody has a key, so whoever reaches it may do anything.
//!
//! It listens on loopback, but two can bring others in. A proxy on this machine makes everybody look like a local
//! program; where one shows itself, a key is wanted. A browser on this machine runs the pages of strangers; the server
//! answers to local names only (a stranger's name may be pointed at 127.0.0.1), and to its own page only: from another
//! one may lead a link, but no picture, frame or script, which would compute here.
//!
//! No header ever grants anything here: each can only refuse.

use axum::extract::Request;
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{Method, Version};

use super::auth::MAKE_A_KEY;
use super::error::Problem;

/// What proxies add to the requests that they pass on, beside `x-forwarded-` and whatever follows.
const PROXIES_SEND: [&str; 6] = ["forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip"];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Lets a request of this machine through that nobody else may have caused.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    check_direct(request)?;
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST);
    if let Some(host) = host.filter(|host| !is_local(host)) {
        let port = host.rsplit_once(':').map_or("", |(_, port)| port);
        let port = if port.parse::<u16>().is_ok() { format!(":{port}") } else { String::new() };
        let detail = format!(
            "This open server does not answer to {host:?}: open it at http://localhost{port}, or {MAKE_A_KEY}."
        );
        return Err(Problem::new("foreign_host", detail));
    }
    let from = header(ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    let cross_origin = |who: &str| {
        let at = host.unwrap_or("localhost");
        let detail = format!(
            "{who} is not this server's, which is open to its own page (http://{at}) only: use that, or {MAKE_A_KEY}."
        );
        Err(Problem::new("cross_origin", detail))
    };
    if let Some(from) = from.filter(|from| Some(*from) != host) {
        return cross_origin(&format!("The page {from:?}"));
    }
    let is_own = header(FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    // Who follows a link opens a page; pictures and frames are fetched without anybody asking.
    let is_link = *request.method() == Method::GET
        && header(FETCH_MODE) == Some("navigate")
        && header(FETCH_DEST).is_none_or(|what| what == "document");
    match is_own || is_link {
        true => Ok(()),
        false => cross_origin("The page that asked"),
    }
}

/// Refuses what came through a proxy. One that neither says so nor speaks HTTP/1.0, as nginx does by default, cannot be
/// told from a local program.
fn check_direct(request: &Request) -> Result<(), Problem> {
    let is_a_proxys = |name: &&str| name.starts_with("x-forwarded-") || PROXIES_SEND.contains(name);
    let by_header = request.headers().keys().map(HeaderName::as_str).find(is_a_proxys);
    let sign = match (by_header, request.version()) {
        (Some(name), _) => format!("its header {name} says so"),
        (None, Version::HTTP_09 | Version::HTTP_10) => "it speaks HTTP/1.0".to_owned(),
        (None, _) => return Ok(()),
    };
    Err(Problem::new(
        "unauthorized",
        format!(
            "This request came through a proxy ({sign}), and this server has no API key yet, so whoever reaches the \
             proxy could do anything: {MAKE_A_KEY}."
        ),
    ))
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn local_names_are_those_of_this_machine() {
        for host in ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1:8080", "[2001:db8::1]", "", "127.0.0.1.nip.io"] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn only_this_machine_s_own_requests_pass() {
        let told = |method: Method, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri("/v1/bars");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            check(&request.body(Body::empty()).expect("a request")).map_err(|problem| problem.code())
        };
        let local = ("host", "127.0.0.1:8080");
        assert_eq!(told(Method::POST, &[local]), Ok(()));
        assert_eq!(
            told(Method::POST, &[local, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")]),
            Ok(())
        );
        for site in ["cross-site", "same-site"] {
            let asked = |method, more: &[(&'static str, &'static str)]| {
                told(method, &[&[local, ("sec-fetch-site", site)], more].concat())
            };
            let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
            assert_eq!(asked(Method::GET, &link), Ok(()), "a link from a page that is {site}");
            assert_eq!(asked(Method::POST, &link), Err("cross_origin"), "a form of it");
            for (mode, what) in [("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")] {
                let fetched = [("sec-fetch-mode", mode), ("sec-fetch-dest", what)];
                assert_eq!(asked(Method::GET, &fetched), Err("cross_origin"), "{site} {what}");
            }
        }
        for foreign in ["evil.example", "evil.example:8080", "10.0.0.1:8080"] {
            assert_eq!(told(Method::GET, &[("host", foreign)]), Err("foreign_host"), "{foreign}");
        }
        for origin in ["http://evil.example", "http://127.0.0.1:3000", "null"] {
            assert_eq!(told(Method::POST, &[local, ("origin", origin)]), Err("cross_origin"), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(told(Method::DELETE, &[local, ("sec-fetch-site", site)]), Err("cross_origin"), "{site}");
        }
        for name in PROXIES_SEND.into_iter().chain(["x-forwarded-for", "x-forwarded-prefix"]) {
            assert_eq!(told(Method::GET, &[local, (name, "127.0.0.1")]), Err("unauthorized"), "{name}");
        }
    }

    #[test]
    fn who_speaks_as_proxies_do_is_taken_for_one() {
        let mut request = Request::new(Body::empty());
        *request.version_mut() = Version::HTTP_10;
        assert_eq!(check(&request).map_err(|problem| problem.code()), Err("unauthorized"));
    }
}
