//! Counters of one controller.

use super::work::Outcome;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counters of one controller, read by whoever serves metrics.
#[derive(Debug, Default)]
pub struct Stats {
    reconciles: AtomicU64,
    failures: AtomicU64,
    panics: AtomicU64,
    waiting: AtomicUsize,
    running: AtomicUsize,
    failing: AtomicUsize,
}

impl Stats {
    /// Reconciles begun.
    #[must_use]
    pub fn reconciles(&self) -> u64 {
        self.reconciles.load(Relaxed)
    }

    /// Reconciles that failed, panics included.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Reconciles that panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Objects that wait to be looked at, at once or later.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Objects that are being looked at.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Relaxed)
    }

    /// Objects whose last reconcile failed.
    #[must_use]
    pub fn failing(&self) -> usize {
        self.failing.load(Relaxed)
    }

    pub(crate) fn begun(&self) {
        self.reconciles.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => {}
            Outcome::Failed(_) => {
                self.failures.fetch_add(1, Relaxed);
            }
            Outcome::Panicked(_) => {
                self.failures.fetch_add(1, Relaxed);
                self.panics.fetch_add(1, Relaxed);
            }
        }
    }

    pub(crate) fn depth(&self, waiting: usize, running: usize, failing: usize) {
        self.waiting.store(waiting, Relaxed);
        self.running.store(running, Relaxed);
        self.failing.store(failing, Relaxed);
    }
}
