//! JSON-RPC 2.0 over a WebSocket, with failover between endpoints.
//!
//! [`Pool`] is what the rest uses: it keeps one connection, to the first endpoint that works and belongs to the right chain, and moves
//! on when that one fails. Everything is bounded: each request and each connect by time, queues and messages by size.

mod connection;
pub(in crate::read) mod envelope;
mod error;
mod pool;
mod tls;

pub(in crate::read) use connection::Connection;
pub use connection::Subscription;
pub use error::RpcError;
pub use pool::Pool;

use std::time::Duration;

/// Limits of a connection.
#[derive(Debug, Clone)]
pub struct RpcOptions {
    /// For a connect, TLS and WebSocket handshake included.
    pub connect_timeout: Duration,
    /// For one answer. The largest, all metagraphs at once, take a node some seconds.
    pub request_timeout: Duration,
    /// Silence after which a connection is asked for a sign of life, and after twice of which it counts as dead.
    pub ping_after: Duration,
    /// Shortest and longest wait before an endpoint that failed is tried again.
    pub backoff: (Duration, Duration),
    /// Largest message. Metadata has under 1 MiB, all metagraphs about 15.
    pub max_message_bytes: usize,
}

impl Default for RpcOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            ping_after: Duration::from_secs(20),
            backoff: (Duration::from_millis(500), Duration::from_secs(60)),
            max_message_bytes: 64 << 20,
        }
    }
}
