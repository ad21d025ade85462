//! The event socket: Socket.IO 5 over Engine.IO 4, websocket only, with one task that keeps it alive.
//!
//! Events are hints. Some are lost at every reconnect, when the queue is full, and after a second login of the same
//! hotkey elsewhere; so the feed logs in again every quarter of an hour, and counts logins and drops in its status for
//! the reader to list again.

mod backoff;
mod driver;
mod packet;
mod session;

use std::sync::Arc;
use std::time::Duration;

use protocol::event::MinerEvent;
use protocol::key::Keypair;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::{ConfigError, ValidatorConfig};

/// How the feed behaves. The defaults are right outside tests.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// Events that wait to be read; more are dropped and counted.
    pub queue: usize,
    /// Time for each step of connecting and logging in.
    pub step_timeout: Duration,
    /// Time between logins on one connection.
    pub login_every: Duration,
    /// Shortest wait before a reconnect.
    pub backoff_min: Duration,
    /// Longest wait before a reconnect.
    pub backoff_max: Duration,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            queue: 1024,
            step_timeout: Duration::from_secs(10),
            login_every: Duration::from_secs(15 * 60),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }
}

/// How far the connection got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Link {
    /// No connection.
    #[default]
    Down,
    /// Connected, but not logged in: only events for everybody come.
    Connected,
    /// Logged in.
    Authenticated,
}

/// The state of the feed. Changes only when something happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedStatus {
    /// How far the connection got.
    pub link: Link,
    /// First logins on a new connection so far. After each, events may have been missed: list again.
    pub connections: u64,
    /// Events dropped because nobody read them in time. After each, list again.
    pub dropped: u64,
    /// Why the last connection ended or failed; `None` while logged in.
    pub last_error: Option<String>,
}

/// A running feed. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventFeed {
    events: mpsc::Receiver<MinerEvent>,
    status: watch::Receiver<FeedStatus>,
    task: JoinHandle<()>,
}

impl EventFeed {
    /// Starts a feed, on the running tokio runtime. Fails only on a wrong configuration: a validator that cannot be
    /// reached is tried again for ever.
    pub fn start(config: &ValidatorConfig, key: Arc<Keypair>, options: FeedOptions) -> Result<Self, ConfigError> {
        let url = config.websocket()?;
        if url.scheme() == "wss" && rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ConfigError::NoTlsProvider);
        }
        let (event_sender, events) = mpsc::channel(options.queue.max(1));
        let (status_sender, status) = watch::channel(FeedStatus::default());
        let sink = driver::Sink::new(event_sender, status_sender);
        let task = tokio::spawn(driver::run(url, key, options, sink));
        Ok(Self { events, status, task })
    }

    /// The next event; `None` once the feed has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<MinerEvent> {
        self.events.recv().await
    }

    /// The state of the feed, to look at or to wait on.
    pub fn status(&self) -> watch::Receiver<FeedStatus> {
        self.status.clone()
    }
}

impl Drop for EventFeed {
    fn drop(&mut self) {
        self.task.abort();
    }
}
