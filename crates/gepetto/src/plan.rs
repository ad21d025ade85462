//! What comes out: actions, and for everything that was not done the reason.

use std::collections::BTreeMap;

use protocol::ids::{ChuteId, ChuteVersion, DeploymentId, GpuUuid, ServerName};

use crate::Reason;

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, in this order.
    pub actions: Vec<Action>,
    /// GPUs that stay idle, by server and device order.
    pub idle: Vec<IdleGpu>,
    /// Servers that can take nothing at all, and why.
    pub blocked_servers: BTreeMap<ServerName, Reason>,
    /// Chutes that can go nowhere at all, and why.
    pub blocked_chutes: BTreeMap<ChuteId, Reason>,
    /// Why a chute that is not blocked does not go (once more) to a server that is not blocked.
    pub rejected: BTreeMap<ChuteId, BTreeMap<ServerName, Reason>>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a chute.
    Launch(Launch),
    /// End a deployment.
    Stop(Stop),
}

/// Run a chute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Which chute.
    pub chute: ChuteId,
    /// In which version.
    pub version: ChuteVersion,
    /// Where.
    pub server: ServerName,
    /// On exactly these GPUs, in device order.
    pub gpus: Vec<GpuUuid>,
    /// Names the action: the same plan carried out twice does it once.
    pub action_key: String,
    /// What was expected of it, for people.
    pub why: String,
}

/// End a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Which.
    pub deployment: DeploymentId,
    /// Why.
    pub reason: Reason,
}

/// A GPU that stays idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleGpu {
    /// Which.
    pub gpu: GpuUuid,
    /// Where.
    pub server: ServerName,
    /// Why.
    pub reason: Reason,
}

impl Plan {
    /// The launches.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.actions.iter().filter_map(|action| match action {
            Action::Launch(launch) => Some(launch),
            Action::Stop(_) => None,
        })
    }

    /// The stops.
    pub fn stops(&self) -> impl Iterator<Item = &Stop> {
        self.actions.iter().filter_map(|action| match action {
            Action::Stop(stop) => Some(stop),
            Action::Launch(_) => None,
        })
    }

    /// Why the chute does not go (once more) to the server; nothing if the plan sends it there, or knows neither.
    #[must_use]
    pub fn why_not(&self, chute: &ChuteId, server: &ServerName) -> Option<Reason> {
        self.blocked_servers
            .get(server)
            .or_else(|| self.blocked_chutes.get(chute))
            .or_else(|| self.rejected.get(chute)?.get(server))
            .copied()
    }

    /// Why the chute goes nowhere (more): the reason nearest to a launch.
    #[must_use]
    pub fn why_nowhere(&self, chute: &ChuteId) -> Option<Reason> {
        let own = self.blocked_chutes.get(chute).copied();
        let pairs = || self.rejected.get(chute)?.values().copied().max();
        own.or_else(pairs).or_else(|| self.blocked_servers.values().copied().max())
    }

    /// Idle GPUs counted by reason, the most frequent first.
    #[must_use]
    pub fn idle_by_reason(&self) -> Vec<(Reason, usize)> {
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        for idle in &self.idle {
            *counts.entry(idle.reason).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(b.0.cmp(&a.0)));
        counts
    }
}
