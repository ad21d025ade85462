//! The simulator's time: the wall clock plus an offset that tests may move, and the three ways the
//! original writes a moment.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Wall clock plus offset.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Clock {
    offset: SignedDuration,
}

impl Clock {
    /// The simulator's now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.offset).unwrap_or(Timestamp::MAX)
    }

    /// Moves time forward for good.
    pub(crate) fn advance(&mut self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::ZERO);
        self.offset = self.offset.saturating_add(by);
    }
}

/// ISO-8601 with offset and microseconds, as in streams.
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// ISO-8601 without any offset, as in the reply to a proof.
pub(crate) fn naive(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

/// Seconds from `from` to `to`, never negative.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
