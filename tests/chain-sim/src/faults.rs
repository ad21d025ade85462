//! How a node can fail.

use std::time::Duration;

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
}
