//! Waiting for a wake-up or the next tick, whichever comes first. With Redis gone it is always the tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::{Error, Topic};

const REDIS_LIMIT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it is still one.
const PING: Duration = Duration::from_secs(15);

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Somebody announced a change, or may have while the connection was down.
    Message,
    /// The period is over.
    Tick,
}

/// A subscription that never fails: it reconnects by itself, and until then its owner polls.
#[derive(Debug)]
pub struct Wakeups {
    woken: Arc<Notify>,
    connected: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Wakeups {
    /// Subscribes to topics at the Redis at `url`, which need not be up.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the URL cannot be read.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn subscribe(url: &str, topics: &[Topic]) -> Result<Self, Error> {
        let client = redis::Client::open(url).map_err(|error| Error::Invalid(format!("the Redis URL cannot be read: {error}")))?;
        let channels: Vec<&'static str> = topics.iter().map(|topic| topic.channel()).collect();
        let woken = Arc::new(Notify::new());
        let connected = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(listen(client, channels, Arc::clone(&woken), Arc::clone(&connected))).abort_handle();
        Ok(Self { woken, connected, task })
    }

    /// Waits for a message, at most for `period`. Messages that came since the last wait count once.
    pub async fn recv_or_tick(&mut self, period: Duration) -> Woken {
        match tokio::time::timeout(period, self.woken.notified()).await {
            Ok(()) => Woken::Message,
            Err(_) => Woken::Tick,
        }
    }

    /// Whether the subscription stands; for status only, nothing depends on it.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

impl Drop for Wakeups {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(client: redis::Client, channels: Vec<&'static str>, woken: Arc<Notify>, connected: Arc<AtomicBool>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match tokio::time::timeout(REDIS_LIMIT, subscribed(&client, &channels)).await {
            Ok(Ok(subscription)) => {
                tracing::debug!("subscribed to wake-ups");
                pause = FIRST_PAUSE;
                connected.store(true, Ordering::Relaxed);
                // What was announced while nobody listened is lost; look once.
                woken.notify_one();
                forward(subscription, &woken).await;
                connected.store(false, Ordering::Relaxed);
                tracing::warn!("the wake-ups' connection is lost; polling until it is back");
            }
            Ok(Err(problem)) => tracing::debug!(%problem, "no wake-ups"),
            Err(_) => tracing::debug!("no wake-ups: Redis does not answer"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn subscribed(client: &redis::Client, channels: &[&'static str]) -> redis::RedisResult<redis::aio::PubSub> {
    let mut subscription = client.get_async_pubsub().await?;
    for channel in channels {
        subscription.subscribe(*channel).await?;
    }
    Ok(subscription)
}

/// Returns when the connection is lost.
async fn forward(subscription: redis::aio::PubSub, woken: &Notify) {
    let (mut sink, mut messages) = subscription.split();
    loop {
        match tokio::time::timeout(PING, messages.next()).await {
            Ok(Some(_)) => woken.notify_one(),
            Ok(None) => return,
            Err(_) => {
                let pong = tokio::time::timeout(REDIS_LIMIT, sink.ping::<redis::Value>()).await;
                if !matches!(pong, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
