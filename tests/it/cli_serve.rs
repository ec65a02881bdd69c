//! The server as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

use super::cli::Desk;

#[cfg(unix)]
#[test]
fn a_server_says_where_it_is_is_healthy_and_stops_when_told() {
    let desk = Desk::new();
    assert_eq!(desk.refused("healthcheck --listen 127.0.0.1:9").0, Some(1));
    let (mut server, address) = Running::serve(&desk);
    desk.ok(&format!("healthcheck --listen {address}"));
    let pid = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told to stop");
    assert!(server.0.wait().expect("ended").success());
}

/// Threads of Candle's, one for each further processor, would look for work while answers wait.
#[cfg(target_os = "linux")]
#[test]
fn a_training_takes_one_thread() {
    let desk = Desk::new();
    desk.ok("generate --tickers 1 --bars 400 --last 2026-03-06 --folder prices");
    desk.ok("ingest prices --no-train");
    let (server, address) = Running::serve(&desk);
    let large = r#"{"hidden":128,"lookback":5,"epochs":1,"ensemble":1}"#;
    let posted = request(
        &address,
        &format!(
            "POST /v1/tickers/SYN0001/models HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}",
            large.len()
        ),
        large,
    );
    assert!(posted.starts_with("HTTP/1.1 202"), "{posted}");
    let begun = std::time::Instant::now();
    while !get(&address, "/v1/tickers/SYN0001/models").contains("\"version\":1") {
        assert!(begun.elapsed().as_secs() < 60, "the training ends");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.0.id())).expect("its threads");
    let name = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.expect("a thread").path().join("comm")).unwrap_or_default()
    };
    let names: Vec<String> = threads.map(name).collect();
    assert!(names.iter().any(|name| name.starts_with("tokio")), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("candle-bp")), "{names:?}");
}

/// A process of its own: its gauges are nobody else's.
#[test]
fn metrics_tell_how_old_models_are_how_long_jobs_wait_and_what_memory_is_used() {
    let desk = Desk::new();
    desk.ok("generate --tickers 2 --bars 400 --last 2026-03-06 --folder prices");
    desk.ok("ingest prices --no-train");
    desk.ok("train SYN0001 --preset fast");
    let (_server, address) = Running::serve(&desk);
    let text = get(&address, "/metrics");
    let value = |series: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not told: {text}")).parse::<f64>().expect("a number")
    };
    assert_eq!(value("candlecast_tickers{champion=\"yes\"}"), 1.0);
    assert_eq!(value("candlecast_tickers{champion=\"no\"}"), 1.0);
    for quantile in ["0.5", "0.9", "1"] {
        assert_eq!(value(&format!("candlecast_model_age_bars{{quantile=\"{quantile}\"}}")), 0.0);
    }
    assert_eq!(value("candlecast_jobs{state=\"succeeded\"}"), 1.0);
    assert_eq!((value("candlecast_jobs{state=\"enqueued\"}"), value("candlecast_queue_age_seconds")), (0.0, 0.0));
    #[cfg(target_os = "linux")]
    assert!((1e6..1e10).contains(&value("process_resident_memory_bytes")));
    // What the manual asks for is told under the name that it asks for.
    let manual = include_str!("../../docs/running.md");
    let words = manual.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named = words.filter(|word| word.starts_with("candlecast_") || word.starts_with("process_"));
    let names: std::collections::BTreeSet<_> = named.collect();
    assert!(names.len() >= 8, "{names:?}");
    let text = get(&address, "/metrics");
    for name in names.iter().filter(|name| !OF_A_WORKER.contains(name)) {
        assert!(text.contains(*name), "{name} is not told: {text}");
    }
}

/// Told once a job was tried, a forecast asked for.
const OF_A_WORKER: [&str; 3] =
    ["candlecast_job_attempts_total", "candlecast_job_duration_seconds_bucket", "candlecast_forecast_cache_total"];

fn get(address: &str, path: &str) -> String {
    request(address, &format!("GET {path} HTTP/1.1"), "")
}

fn request(address: &str, head: &str, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("connects");
    let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// Ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// A server on a free port, and where it says it is.
    fn serve(desk: &Desk) -> (Self, String) {
        let mut command = desk.command("serve --listen 127.0.0.1:0 --log warn");
        let mut server = Self(command.stdout(Stdio::piped()).spawn().expect("started"));
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("candlecast listens on http://").expect("the line that says where");
        let address = address.to_owned();
        (server, address)
    }
}
