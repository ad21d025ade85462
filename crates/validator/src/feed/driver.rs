//! The task behind a feed: connect, wait, connect again; and what it tells the reader.

use std::sync::Arc;
use std::time::Instant;

use protocol::event::MinerEvent;
use protocol::key::Keypair;
use tokio::sync::{mpsc, watch};
use url::Url;

use super::backoff::Backoff;
use super::session::Session;
use super::{FeedOptions, FeedStatus, Link};

/// Where events and states go.
#[derive(Debug)]
pub(super) struct Sink {
    events: mpsc::Sender<MinerEvent>,
    status: watch::Sender<FeedStatus>,
}

impl Sink {
    pub(super) fn new(events: mpsc::Sender<MinerEvent>, status: watch::Sender<FeedStatus>) -> Self {
        Self { events, status }
    }

    /// Hands an event on. A slow reader must not stop the pings: what does not fit is dropped, and counted.
    pub(super) fn event(&self, event: MinerEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::warn!(reason = event.reason(), "an event was dropped: the queue is full");
            self.status.send_modify(|status| status.dropped += 1);
        }
    }

    pub(super) fn connected(&self) {
        self.status.send_modify(|status| status.link = Link::Connected);
    }

    /// After each accepted login, of which only the first on a connection is news.
    pub(super) fn authenticated(&self) {
        self.status.send_if_modified(|status| {
            let news = status.link != Link::Authenticated;
            if news {
                status.link = Link::Authenticated;
                status.connections += 1;
                status.last_error = None;
            }
            news
        });
    }

    fn down(&self, why: String) {
        self.status.send_if_modified(|status| {
            let next = FeedStatus { link: Link::Down, last_error: Some(why), ..status.clone() };
            let news = *status != next;
            *status = next;
            news
        });
    }

    fn is_authenticated(&self) -> bool {
        self.status.borrow().link == Link::Authenticated
    }

    fn nobody_listens(&self) -> bool {
        self.events.is_closed()
    }
}

/// Keeps a session up for ever.
pub(super) async fn run(url: Url, key: Arc<Keypair>, options: FeedOptions, sink: Sink) {
    let mut backoff = Backoff::new(options.backoff_min, options.backoff_max);
    while !sink.nobody_listens() {
        let started = Instant::now();
        let session = Session { url: &url, key: &key, options: &options, sink: &sink };
        let end = session.run().await;
        // A validator that accepts a login and closes at once must not be called in a tight loop.
        if sink.is_authenticated() && started.elapsed() >= options.backoff_max {
            backoff.reset();
        }
        let wait = backoff.next(rand::random());
        tracing::info!(host = url.host_str(), why = %end, wait_ms = wait.as_millis(), "the event socket is down");
        sink.down(end.to_string());
        tokio::time::sleep(wait).await;
    }
}
