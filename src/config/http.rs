//! The listener, its time-outs and its limits.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of the HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct HttpSettings {
    /// Address and port; port 0 takes a free one, which the line printed at the start names. Beyond loopback the
    /// server starts only when an API key exists.
    #[garde(skip)]
    pub listen: SocketAddr,
    /// How long a client may take to send a request's head. Too low cuts off slow links, too high lets idle
    /// clients hold connections.
    #[garde(range(min = 100, max = 600_000))]
    pub header_timeout_ms: u64,
    /// How long a body may pause between two chunks before the request is given up (408).
    #[garde(range(min = 100, max = 600_000))]
    pub body_timeout_ms: u64,
    /// How long an answer may be worked on (503 after it). Event streams are not bound by it.
    #[garde(range(min = 100, max = 3_600_000))]
    pub request_timeout_ms: u64,
    /// How long requests that were accepted may take to finish once the server is asked to stop.
    #[garde(range(max = 14_000))]
    pub shutdown_timeout_ms: u64,
    /// Open connections; further ones wait to be accepted.
    #[garde(range(min = 1, max = 100_000))]
    pub max_connections: usize,
    /// Requests worked on at one time; further ones get 503 with `Retry-After`.
    #[garde(range(min = 1, max = 100_000))]
    pub max_concurrent_requests: usize,
    /// Bytes of request bodies held in memory at one time, over all requests; further bodies wait, and get 503
    /// after the request time-out. At least `limits.ingest.max_body_bytes`.
    #[garde(range(min = 1_048_576))]
    pub max_bodies_bytes: usize,
    /// Clients that follow a job's events at one time; further ones get 503.
    #[garde(range(min = 1, max = 100_000))]
    pub max_event_streams: usize,
    /// Requests a second that one API key (without one: one peer address, never what `X-Forwarded-For` claims)
    /// may send on average; 429 with `Retry-After` above it. 0 turns the limit off.
    #[garde(range(max = 1_000_000))]
    pub rate_limit_per_second: u32,
    /// Requests that may come at once before the average counts.
    #[garde(range(min = 1, max = 1_000_000))]
    pub rate_limit_burst: u32,
    /// Whether clients on this machine's loopback are limited too. Off, because there every client shares one
    /// address and is the machine's owner (a load test for example).
    #[garde(skip)]
    pub rate_limit_loopback: bool,
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
