//! The server on a real socket: who may listen, slow clients, the ordered stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candlecast::app::App;
use candlecast::config::Settings;
use candlecast::http::{ServeError, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::app::settings;

struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn serve(change: impl FnOnce(&mut Settings)) -> Result<Serving, ServeError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = settings(&folder);
    change(&mut settings);
    let app = Arc::new(App::open(settings).await.expect("opens"));
    let stop = CancellationToken::new();
    let server = Server::bind(app, stop.clone()).await?;
    Ok(Serving { address: server.address(), stop, running: tokio::spawn(server.run()), _folder: folder })
}

/// Sends text and reads until the server closes.
async fn talk(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A connection that is cut off says what it said until then.
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn beyond_loopback_a_key_is_needed_to_start_and_one_can_be_bootstrapped() {
    let everywhere = |settings: &mut Settings| settings.http.listen = "0.0.0.0:0".parse().expect("an address");
    let refused = serve(everywhere).await.err().expect("refused");
    assert!(refused.to_string().contains("candlecast keys create"), "{refused}");

    let key = "0123456789abcdef0123456789abcdef";
    let serving = serve(|settings| {
        everywhere(settings);
        settings.auth.bootstrap_key = key.to_owned();
    });
    let serving = serving.await.expect("starts");
    let address = SocketAddr::from(([127, 0, 0, 1], serving.address.port()));
    let ask = |authorization: &str| {
        format!("GET /v1/tickers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\r\n")
    };
    assert!(talk(address, &ask("")).await.starts_with("HTTP/1.1 401"));
    assert!(talk(address, &ask(&format!("Authorization: Bearer {key}\r\n"))).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let serving = serve(|settings| {
        settings.http.header_timeout_ms = 200;
        settings.http.body_timeout_ms = 200;
    });
    let address = serving.await.expect("starts").address;
    let began = Instant::now();
    talk(address, "").await;
    talk(address, "GET / HT").await;
    talk(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let slow = "POST /v1/tickers/A/bars HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ndate,";
    assert!(talk(address, slow).await.contains("body_timeout"));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stop_finishes_what_was_accepted_and_then_lets_go() {
    let serving = serve(|settings| settings.http.shutdown_timeout_ms = 2_000).await.expect("starts");
    let mut stream = TcpStream::connect(serving.address).await.expect("connects");
    let head = "POST /v1/tickers/A/bars?train=never HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let body = "Date,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500      \n";
    stream.write_all(&body.as_bytes()[..65]).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answered");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("\"inserted\":1"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), serving.running).await.expect("stops in time").expect("no panic");
    assert!(TcpStream::connect(serving.address).await.is_err(), "nobody listens any more");
}
