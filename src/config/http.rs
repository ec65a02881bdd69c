//! The listener, its time-outs and its limits.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use garde::Validate;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// Settings of the HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct HttpSettings {
    /// Address and port; port 0 takes a free one, which the line printed at the start names. Beyond loopback the
    /// server starts only when an API key exists.
    #[garde(skip)]
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// How long a client may take to send a request's head. Too low cuts off slow links, too high lets idle
    /// clients hold connections.
    #[garde(range(min = 100, max = 600_000))]
    pub header_timeout_ms: u64,
    /// How long a body may pause between two chunks before the request is given up (408). Too low refuses slow
    /// links; too high lets a stalled upload keep its room in memory.
    #[garde(range(min = 100, max = 600_000))]
    pub body_timeout_ms: u64,
    /// How long an answer may be worked on (503 after it). Event streams are not bound by it. Too low gives up
    /// large uploads; too high lets clients wait for what will not come.
    #[garde(range(min = 100, max = 3_600_000))]
    pub request_timeout_ms: u64,
    /// How long requests that were accepted may take to finish once the server is asked to stop. Too low cuts
    /// answers off; too high and the system kills the process first.
    #[garde(range(max = 14_000))]
    pub shutdown_timeout_ms: u64,
    /// Open connections; further ones wait to be accepted. Too low makes clients queue; too high runs out of
    /// file descriptors (`ulimit -n`).
    #[garde(range(min = 1, max = 100_000))]
    pub max_connections: usize,
    /// Requests worked on at one time; further ones get 503 with `Retry-After`. Too low refuses bursts that
    /// could be served; too high makes all of them late.
    #[garde(range(min = 1, max = 100_000))]
    pub max_concurrent_requests: usize,
    /// Answers computed at one time, outside of what is answered from memory (classical forecasts, past cutoffs,
    /// windows that clients bring); 0: one for each two processors. Too low makes them wait for each other; too high
    /// makes all other answers late.
    #[garde(range(max = 1_024))]
    pub computing_threads: usize,
    /// Requests that compute or wait for their turn to; further ones get 503 with `Retry-After`. Too low refuses
    /// bursts that could be served; too high lets one client make the others wait for long.
    #[garde(range(min = 1, max = 100_000))]
    pub max_computing_requests: usize,
    /// Bytes of request bodies held in memory at one time, over all requests; further bodies wait, and get 503
    /// after the request time-out. At least `limits.ingest.max_body_bytes`. Too low makes uploads wait for each
    /// other; too high and they take the memory of the machine.
    #[garde(range(min = 1_048_576))]
    pub max_bodies_bytes: usize,
    /// Clients that follow a job's events at one time; further ones get 503. Too low and the page cannot follow
    /// its training; too high and each follower asks the database four times a second.
    #[garde(range(min = 1, max = 100_000))]
    pub max_event_streams: usize,
    /// Requests a second that one API key (without one: one peer address, never what `X-Forwarded-For` claims)
    /// may send on average; 429 with `Retry-After` above it. A key's first request counts for its address, where the
    /// key is not known yet. 0 turns the limit off. Too low refuses honest programs; too high protects nobody.
    #[garde(range(max = 1_000_000))]
    pub rate_limit_per_second: u32,
    /// Requests that may come at once before the average counts. Too low refuses a page that loads several
    /// things at once; too high makes the limit late.
    #[garde(range(min = 1, max = 1_000_000))]
    pub rate_limit_burst: u32,
    /// Whether clients on this machine's loopback are limited too. Off, because there every client shares one
    /// address and is the machine's owner (a load test for example).
    #[garde(skip)]
    pub rate_limit_loopback: bool,
}

fn address<'de, D: Deserializer<'de>>(value: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(value)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no IP address with a port (127.0.0.1:8080 is one)")))
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            header_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            request_timeout_ms: 120_000,
            shutdown_timeout_ms: 12_000,
            max_connections: 4_096,
            max_concurrent_requests: 512,
            computing_threads: 0,
            max_computing_requests: 32,
            max_bodies_bytes: 512 << 20,
            max_event_streams: 256,
            rate_limit_per_second: 200,
            rate_limit_burst: 1_000,
            rate_limit_loopback: false,
        }
    }
}

impl HttpSettings {
    /// How long a client may take to send a request's head.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// How long a body may pause between two chunks.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// How long an answer may be worked on.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long accepted requests may take to finish after the request to stop.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}
