//! What the strategy knows. Plain data; whoever fills it says how old and how complete each part is.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use protocol::ids::{ChuteId, ChuteVersion, DeploymentId, GpuRef, GpuUuid, ServerName};

/// The fleet and what is offered to it, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The moment.
    pub now: Timestamp,
    /// Where the rest comes from.
    pub sources: Sources,
    /// Servers, in any order.
    pub servers: Vec<Server>,
    /// Chutes, in any order.
    pub chutes: Vec<Chute>,
    /// Deployments that have not ended, in any order.
    pub deployments: Vec<Deployment>,
    /// Launches that failed lately.
    pub setbacks: Vec<Setback>,
}

/// How far each source can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Our custom resources.
    pub resources: Source,
    /// Who holds which GPU.
    pub claims: Source,
    /// The validator's chutes.
    pub chutes: Source,
    /// The validator's instances.
    pub instances: Source,
    /// The GPUs the validator knows.
    pub nodes: Source,
    /// How many more copies the validator wants. The one source without which launches go on, more carefully.
    pub utilization: Source,
    /// No source may be older than this to decide on.
    pub oldest: Duration,
}

/// One source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// When it was asked; never, if absent.
    pub as_of: Option<Timestamp>,
    /// Whether everything came.
    pub complete: bool,
}

impl Source {
    /// A complete answer of this moment.
    #[must_use]
    pub fn complete(as_of: Timestamp) -> Self {
        Self { as_of: Some(as_of), complete: true }
    }

    /// Whether it is complete and not older than `oldest`.
    #[must_use]
    pub fn trusted(&self, now: Timestamp, oldest: Duration) -> bool {
        self.complete && self.fresh(now, oldest)
    }

    /// Whether it is not older than `oldest`, complete or not. A time ahead of ours counts as now.
    #[must_use]
    pub fn fresh(&self, now: Timestamp, oldest: Duration) -> bool {
        let oldest = SignedDuration::try_from(oldest).unwrap_or(SignedDuration::MAX);
        self.as_of.is_some_and(|as_of| now.duration_since(as_of) <= oldest)
    }
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// Model of all its GPUs.
    pub gpu_ref: GpuRef,
    /// Whether it is confidential.
    pub tee: bool,
    /// What one GPU costs per hour, in millionths of a US dollar.
    pub gpu_hour_micro_usd: u64,
    /// Where it stands.
    pub state: ServerState,
    /// Whether a hold is in force.
    pub held: bool,
    /// Its GPUs, in device order.
    pub gpus: Vec<Gpu>,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Proven, and its reporter is alive.
    Ready,
    /// Its reporter is silent.
    Silent,
    /// Anything else.
    NotReady,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Which.
    pub uuid: GpuUuid,
    /// Whether it can be used.
    pub state: GpuState,
}

/// Whether a GPU can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuState {
    /// Nobody holds it.
    Free,
    /// A deployment holds it.
    Claimed,
    /// A deployment that ends holds it.
    Freeing,
    /// The validator has not proven it.
    Unproven,
    /// It shows a fault.
    Unhealthy,
    /// No deployment of ours holds it, but the validator says that an instance runs on it.
    Occupied,
}

/// A chute on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chute {
    /// Its id.
    pub id: ChuteId,
    /// The version on offer.
    pub version: ChuteVersion,
    /// Exactly this many GPUs, all of one server.
    pub gpu_count: u8,
    /// Models it runs on.
    pub supported: BTreeSet<GpuRef>,
    /// Whether only confidential servers may run it.
    pub tee: bool,
    /// Version of its library.
    pub library: String,
    /// Whether the validator withdrew it, by two lists and its own word.
    pub withdrawn: bool,
    /// Whether the validator's own latest word is that there is no such chute, whatever its lists say of it by now: enough to
    /// launch no more of it, not enough to stop any.
    pub gone: bool,
    /// Whether the validator switched it off.
    pub disabled: bool,
    /// Whether it only runs jobs.
    pub jobs_only: bool,
    /// The rate of one instance in millionths (the network's compute multiplier, which counts the GPUs); unknown if absent.
    pub rate_micro: Option<u64>,
    /// How many more copies the validator wants, as of [`Sources::utilization`]; unknown if absent.
    pub allowance: Option<Allowance>,
}

/// How many more copies of a chute the validator wants, from everybody together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many.
    pub more: u32,
    /// Whether copies that are claimed and not yet paid are counted in, or only the paid ones.
    pub counts_pending: bool,
}

/// A deployment that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// What it runs.
    pub chute: ChuteId,
    /// In which version.
    pub version: ChuteVersion,
    /// Where.
    pub server: ServerName,
    /// On which GPUs.
    pub gpus: Vec<GpuUuid>,
    /// Where it stands.
    pub stage: Stage,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When the validator was first seen to know it.
    pub claimed_at: Option<Timestamp>,
    /// When it was first seen to be paid.
    pub active_at: Option<Timestamp>,
}

/// Where a deployment stands, as far as planning cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Decided; the validator has not said yet whether it wants it.
    Asking,
    /// Granted, and on its way to being paid.
    Launching,
    /// Paid.
    Active,
    /// On its way out.
    Ending,
}

/// Launches of one chute that failed in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// Which chute; absent if the validator's refusal was about us, and so holds for every chute.
    pub chute: Option<ChuteId>,
    /// The server it failed on, where that may be the cause; absent if the validator would say the same anywhere.
    pub server: Option<ServerName>,
    /// How many in a row.
    pub failures: u32,
    /// When the last one failed.
    pub last: Timestamp,
}
