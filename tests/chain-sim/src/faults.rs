//! How a node can fail.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

/// What goes wrong from now on. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// New connections are closed before a handshake.
    pub refuse: bool,
    /// Each connection is cut after this many requests, before the answer.
    pub cut_after: Option<u32>,
    /// Each answer waits.
    pub delay: Duration,
    /// Requests are read and never answered.
    pub silent: bool,
    /// `state_getRuntimeVersion` names this version.
    pub spec_version: Option<u32>,
    /// Answers are no JSON.
    pub garbage: bool,
    /// Answers of `state_call` and `state_getStorageAt` lose their last bytes.
    pub truncate: usize,
    /// Requests are refused as too many.
    pub overloaded: bool,
    /// Methods that are answered with this instead: a result, or an error's code and words.
    pub instead: HashMap<&'static str, Result<Value, (i64, String)>>,
    /// Fewer keys at once than were asked for.
    pub page: Option<usize>,
    /// Answers have so many blanks in them more than they need.
    pub blanks: usize,
    /// Who subscribes is told of the newest final block without end, as fast as it takes it, and cannot unsubscribe.
    pub flood: bool,
    /// Notifications name this number as the newest final one.
    pub claims_final: Option<u64>,
}
