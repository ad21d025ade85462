//! What was asked: counted for good, and remembered for a while.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::model::{LoggedRequest, Unexpected};

/// Entries kept of each log; the counters are exact beyond that.
const KEPT: usize = 20_000;

/// Counters and logs.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) refusals: BTreeMap<String, u64>,
    pub(crate) log: VecDeque<LoggedRequest>,
    seq: u64,
    pub(crate) unexpected: VecDeque<Unexpected>,
    pub(crate) unexpected_total: u64,
    pub(crate) events: BTreeMap<String, u64>,
    pub(crate) event_log: VecDeque<Value>,
}

fn keep<T>(log: &mut VecDeque<T>, entry: T) {
    if log.len() == KEPT {
        log.pop_front();
    }
    log.push_back(entry);
}

impl Journal {
    /// Counts a request under its route and remembers it.
    pub(crate) fn request(&mut self, route: String, mut entry: LoggedRequest) {
        if entry.status >= 400 {
            *self.refusals.entry(format!("{route} {}", entry.status)).or_default() += 1;
        }
        *self.requests.entry(route).or_default() += 1;
        self.seq += 1;
        entry.seq = self.seq;
        keep(&mut self.log, entry);
    }

    /// Remembers a request that nobody should have made.
    pub(crate) fn unexpected(&mut self, entry: Unexpected) {
        self.unexpected_total += 1;
        keep(&mut self.unexpected, entry);
    }

    /// Counts and remembers an event that was due, sent or not.
    pub(crate) fn event(&mut self, reason: &str, payload: Value) {
        *self.events.entry(reason.to_owned()).or_default() += 1;
        keep(&mut self.event_log, payload);
    }
}
