//! How old a watch's knowledge is.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// The age of what a watch knows: time since the API server was last heard on it (an event, a bookmark, a complete list, the
/// beginning of a watch). A healthy API server sends a bookmark about every minute. Clones show the same watch.
#[derive(Clone)]
pub struct Freshness {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    born: Instant,
    /// Milliseconds after `born`.
    heard: AtomicU64,
    lists: watch::Sender<u64>,
    failures: AtomicU64,
    failing: AtomicU64,
}

impl Freshness {
    pub(crate) fn new(name: String) -> Self {
        let inner = Inner {
            name,
            born: Instant::now(),
            heard: AtomicU64::new(0),
            lists: watch::Sender::new(0),
            failures: AtomicU64::new(0),
            failing: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of the watch.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Time since the API server was last heard on this watch; since the watch began, if it never was.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.inner.born.elapsed().saturating_sub(Duration::from_millis(self.inner.heard.load(Ordering::Relaxed)))
    }

    /// Whether a complete list was ever read.
    #[must_use]
    pub fn listed(&self) -> bool {
        *self.inner.lists.borrow() > 0
    }

    /// Whether a complete list was read, and the API server was heard within `most`.
    #[must_use]
    pub fn within(&self, most: Duration) -> bool {
        self.listed() && self.age() <= most
    }

    /// Complete lists read so far.
    #[must_use]
    pub fn lists(&self) -> u64 {
        *self.inner.lists.borrow()
    }

    /// Failed attempts so far.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.inner.failures.load(Ordering::Relaxed)
    }

    /// Failed attempts since the last good one.
    #[must_use]
    pub fn failing(&self) -> u64 {
        self.inner.failing.load(Ordering::Relaxed)
    }

    pub(super) async fn first_list(&self) {
        let mut lists = self.inner.lists.subscribe();
        // The sender lives in `self`, so the wait cannot end in an error.
        let _ = lists.wait_for(|count| *count > 0).await;
    }

    pub(super) fn heard(&self) {
        let now = u64::try_from(self.inner.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.inner.heard.fetch_max(now, Ordering::Relaxed);
        self.inner.failing.store(0, Ordering::Relaxed);
    }

    pub(super) fn complete_list(&self) {
        self.heard();
        self.inner.lists.send_modify(|count| *count += 1);
    }

    pub(super) fn failed(&self) -> u64 {
        self.inner.failures.fetch_add(1, Ordering::Relaxed);
        self.inner.failing.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl fmt::Debug for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Freshness").field("name", &self.name()).field("age", &self.age()).field("listed", &self.listed()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ages_and_hearing_renews() {
        let freshness = Freshness::new("pods".into());
        assert!(!freshness.within(Duration::from_secs(9)), "never listed is never fresh");
        freshness.complete_list();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(freshness.age(), Duration::from_secs(10));
        assert!(!freshness.within(Duration::from_secs(9)));
        freshness.heard();
        assert!(freshness.within(Duration::from_secs(9)));
    }
}
