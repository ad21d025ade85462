//! What the admin API shows and takes: plain data, the same in process and over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The whole state at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The simulator's clock, ISO-8601.
    pub now: String,
    /// The validator's own hotkey.
    pub validator_hotkey: String,
    /// Registered hotkeys.
    pub miners: Vec<String>,
    /// Chute rows as miners see them, plus `target`.
    pub chutes: Vec<Value>,
    /// GPU rows as in the stream, plus `instance_id`.
    pub nodes: Vec<Value>,
    /// TEE servers.
    pub servers: Vec<Value>,
    /// Every launch config ever granted.
    pub launches: Vec<LaunchView>,
    /// Living instances.
    pub instances: Vec<InstanceView>,
    /// Instances that are gone.
    pub ended: Vec<InstanceView>,
    /// Jobs.
    pub jobs: Vec<Value>,
    /// Connected sockets.
    pub sockets: Vec<SocketView>,
}

impl Snapshot {
    /// Active instances of a chute, by its name.
    #[must_use]
    pub fn active(&self, chute_name: &str) -> usize {
        self.instances.iter().filter(|i| i.chute_name == chute_name && i.activated_at.is_some()).count()
    }
}

/// How far a launch config came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaunchState {
    /// Granted, and nobody claimed it yet.
    Created,
    /// Claimed; the instance exists.
    Claimed,
    /// Proven.
    Verified,
    /// Serving.
    Active,
    /// Refused at some step; never reusable.
    Failed,
    /// Never claimed, and its token has run out.
    Expired,
}

/// A launch config.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaunchView {
    /// Its id.
    pub config_id: String,
    /// The chute.
    pub chute_id: String,
    /// Who asked.
    pub miner_hotkey: String,
    /// Server named in the request.
    pub server_id: Option<String>,
    /// Job named in the request.
    pub job_id: Option<String>,
    /// The deployment that claimed it, when the claim told.
    pub deployment: Option<String>,
    /// How far it came.
    pub state: LaunchState,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was granted.
    pub created_at: String,
    /// When it was claimed.
    pub claimed_at: Option<String>,
}

/// An instance with what it was worth.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its id.
    pub instance_id: String,
    /// The launch config it came from.
    pub config_id: String,
    /// The chute.
    pub chute_id: String,
    /// The chute's name.
    pub chute_name: String,
    /// The chute's version at claim.
    pub version: String,
    /// Owner.
    pub miner_hotkey: String,
    /// The deployment that claimed it, when the claim told.
    pub deployment: Option<String>,
    /// Public host.
    pub host: String,
    /// Public port of the chute's 8000.
    pub port: u16,
    /// GPUs held.
    pub gpus: Vec<String>,
    /// Claim time.
    pub created_at: String,
    /// Proof time.
    pub verified_at: Option<String>,
    /// Activation time.
    pub activated_at: Option<String>,
    /// End.
    pub deleted_at: Option<String>,
    /// Why it ended.
    pub deletion_reason: Option<String>,
    /// Stretches of constant multiplier from activation on.
    pub segments: Vec<Segment>,
    /// Seconds from claim to end or now.
    pub seconds_created: f64,
    /// Seconds from activation to end or now.
    pub seconds_active: f64,
    /// Sum of seconds times multiplier over the segments.
    pub compute_units: f64,
}

/// A stretch of time with one multiplier.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Segment {
    /// Start.
    pub from: String,
    /// End; open when absent.
    pub to: Option<String>,
    /// Length in seconds, to now when open.
    pub seconds: f64,
    /// Compute multiplier.
    pub multiplier: f64,
}

/// A connected socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SocketView {
    /// Session id.
    pub sid: String,
    /// Hotkey it authenticated as.
    pub hotkey: Option<String>,
    /// Whether events of that hotkey reach this session.
    pub receives: bool,
}

/// What was asked and what came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Requests by `METHOD /route`.
    pub requests: BTreeMap<String, u64>,
    /// Those of them that were refused, by `METHOD /route STATUS`.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
    /// Launch configs.
    pub launches: LaunchCounts,
    /// Launch configs claimed by each deployment that told its name.
    pub claims_by_deployment: BTreeMap<String, u64>,
    /// Events sent by reason.
    pub events: BTreeMap<String, u64>,
    /// Requests that nobody should have made.
    pub unexpected: u64,
}

impl Counters {
    /// Requests of one `METHOD /route`.
    #[must_use]
    pub fn asked(&self, route: &str) -> u64 {
        self.requests.get(route).copied().unwrap_or(0)
    }

    /// Requests of one `METHOD /route` that were refused with this status.
    #[must_use]
    pub fn refused(&self, route: &str, status: u16) -> u64 {
        self.refusals.get(&format!("{route} {status}")).copied().unwrap_or(0)
    }
}

/// Launch configs by fate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchCounts {
    /// Ever granted.
    pub granted: u64,
    /// Still waiting for their claim.
    pub created: u64,
    /// Ever claimed.
    pub claimed: u64,
    /// Refused at some step.
    pub failed: u64,
    /// Run out without a claim.
    pub expired: u64,
    /// Granted and never claimed nor refused: created plus expired.
    pub abandoned: u64,
}

/// A request that was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Count from the start.
    pub seq: u64,
    /// The simulator's clock.
    pub at: String,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Status answered; 0 when the connection was dropped.
    pub status: u16,
    /// Hotkey of the headers, or `launch:<config id>`; not proven by itself.
    pub signer: Option<String>,
    /// The fault that was applied.
    pub fault: Option<String>,
}

/// A request that nobody should have made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unexpected {
    /// `unknown_route`, `bad_signature`, `malformed`.
    pub kind: String,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Status answered.
    pub status: u16,
    /// What was wrong.
    pub detail: String,
}

/// How an endpoint misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultMode {
    /// 200 and nothing: what an error after the headers looks like.
    EmptyStream,
    /// So many rows, then the connection breaks.
    CutStream(usize),
    /// So many rows, then a clean end.
    PartialStream(usize),
    /// This status instead of an answer; nothing is done.
    Status(u16),
    /// The answer comes late, by milliseconds.
    DelayMs(u64),
    /// The connection closes before anything is done.
    DropConnection,
    /// Everything is done, and the connection closes instead of the answer.
    DropAnswer,
    /// Half of the answer's bytes, as if that were all.
    PartialJson,
}

/// A fault to apply.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Requests whose path begins so; the longest-standing fault that fits is taken.
    pub path_prefix: String,
    /// Only this method.
    #[serde(default)]
    pub method: Option<String>,
    /// What happens.
    pub mode: FaultMode,
    /// How often; absent means until cleared.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Fault {
    /// A fault that stays until cleared.
    #[must_use]
    pub fn forever(path_prefix: &str, mode: FaultMode) -> Self {
        Self { path_prefix: path_prefix.to_owned(), method: None, mode, times: None }
    }

    /// A fault that happens `times` times.
    #[must_use]
    pub fn times(path_prefix: &str, mode: FaultMode, times: u32) -> Self {
        Self { times: Some(times), ..Self::forever(path_prefix, mode) }
    }

    /// Only for this method.
    #[must_use]
    pub fn on(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }
}

/// How an event goes astray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventFaultMode {
    /// Never sent.
    Drop,
    /// Sent twice.
    Duplicate,
}

/// An event fault to apply.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFault {
    /// Only events of this reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// What happens.
    pub mode: EventFaultMode,
    /// How often; absent means until cleared.
    #[serde(default)]
    pub times: Option<u32>,
}
