//! The status of a server: what the operator owns of it.

use cluster::heartbeat;
use crd::conditions::{self, State, is_true};
use crd::gpu_server::{GpuHealth, ServerPhase, condition};
use crd::{GpuServer, GpuServerStatus};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use protocol::ids::{ServerName, Ss58};
use protocol::sign::fingerprint;

use super::inventory;
use crate::context::{AGENT_LEASE, MANAGER};
use crate::{Context, Result};

/// A status under way: changed in memory, then written once, and only if it changed.
pub(super) struct Draft<'a> {
    pub(super) server: &'a GpuServer,
    pub(super) status: GpuServerStatus,
    pub(super) now: Timestamp,
}

impl<'a> Draft<'a> {
    pub(super) fn of(server: &'a GpuServer, now: Timestamp) -> Self {
        Self { server, status: server.status.clone().unwrap_or_default(), now }
    }

    pub(super) fn note(&mut self, kind: &str, state: State, reason: &str, message: &str) {
        let message: String = message.chars().take(1000).collect();
        conditions::set(&mut self.status.conditions, kind, state, reason, &message, self.server.metadata.generation, self.now);
    }

    pub(super) fn holds(&self, kind: &str) -> bool {
        is_true(&self.status.conditions, kind)
    }

    /// Since when a condition has been as it is.
    pub(super) fn since(&self, kind: &str) -> Option<Timestamp> {
        conditions::get(&self.status.conditions, kind).map(|condition| condition.last_transition_time.0)
    }

    /// The account exists, and is of this node key. Another key than before is another agent: it has not reported yet.
    pub(super) fn admitted(&mut self, node_key: Option<&Ss58>) {
        let replaced = self.status.node_key.as_ref().is_some_and(|before| Some(before) != node_key);
        self.status.node_key = node_key.cloned();
        if replaced {
            self.note(condition::ENROLLED, State::False, "WaitingForAgent", WAITING);
        }
    }

    /// Whether anybody reports at all; that the reporter fell silent later is another matter.
    pub(super) fn enrolled(&mut self, ctx: &Context) {
        let name = self.server.metadata.name.as_deref().unwrap_or_default();
        if self.server.spec.driver.remote.is_some() {
            match ctx.remotes.problem(name) {
                None => self.note(condition::ENROLLED, State::True, "KubeconfigWorks", ""),
                Some(problem) if self.holds(condition::ENROLLED) => {
                    tracing::debug!(server = name, problem, "the remote cluster does not answer just now");
                }
                Some(problem) => self.note(condition::ENROLLED, State::False, "NoAccess", &problem),
            }
            return;
        }
        let lease = ctx.watches.leases.get(&crd::node_namespace(name), AGENT_LEASE);
        if lease.as_deref().is_some_and(|lease| is_beat_of(lease, self.status.node_key.as_ref())) {
            self.note(condition::ENROLLED, State::True, "AgentReports", "");
        } else if !self.holds(condition::ENROLLED) {
            self.note(condition::ENROLLED, State::False, "WaitingForAgent", WAITING);
        }
    }

    /// What follows from the conditions: readiness, the phase, the columns.
    pub(super) fn conclude(&mut self, ctx: &Context, name: &ServerName) {
        self.ready(ctx.silent(self.server, self.now));
        self.status.phase = Some(self.phase());
        self.columns(ctx, name);
    }

    fn ready(&mut self, silent: bool) {
        let steps = [condition::PROVISIONED, condition::ENROLLED, condition::INVENTORIED, condition::ADVERTISED, condition::VERIFIED];
        let missing = steps.into_iter().find(|step| !self.holds(step));
        match missing {
            Some(step) => {
                let why = conditions::get(&self.status.conditions, step).map(|c| (c.reason.clone(), c.message.clone()));
                let (reason, message) = why.unwrap_or_else(|| (format!("Not{step}"), String::new()));
                self.note(condition::READY, State::False, &reason, &message);
            }
            None if silent => {
                let mut message =
                    "its reporter has not been heard of lately: nothing new is placed here, and nothing is stopped".to_owned();
                if self.server.spec.driver.agent.is_some() {
                    let name = self.server.metadata.name.as_deref().unwrap_or_default();
                    message += &format!(
                        "; is the agent running there? If it lost its state, which its log says: chutes-miner add-node --name {name} --re-enrol"
                    );
                }
                self.note(condition::READY, State::Unknown, "AgentSilent", &message);
            }
            None => self.note(condition::READY, State::True, "AllGood", ""),
        }
    }

    fn phase(&self) -> ServerPhase {
        let failed = |kind: &str| {
            conditions::get(&self.status.conditions, kind).is_some_and(|c| c.status == "False" && !c.reason.starts_with("Waiting"))
        };
        if self.holds(condition::READY) {
            return ServerPhase::Ready;
        }
        if !self.holds(condition::PROVISIONED) || !self.holds(condition::ENROLLED) {
            return ServerPhase::Provisioning;
        }
        if !self.holds(condition::INVENTORIED) {
            return if failed(condition::INVENTORIED) { ServerPhase::Degraded } else { ServerPhase::Inventory };
        }
        let silent = conditions::get(&self.status.conditions, condition::READY).is_some_and(|c| c.status == "Unknown");
        if silent || failed(condition::ADVERTISED) || failed(condition::VERIFIED) {
            return ServerPhase::Degraded;
        }
        ServerPhase::Verifying
    }

    fn columns(&mut self, ctx: &Context, name: &ServerName) {
        let reported = self.status.reported.clone().unwrap_or_default();
        let outlook = ctx.outlook.borrow().clone();
        let status = &mut self.status;
        status.server_id.clone_from(&reported.node_uid);
        status.seen_by = Some(if self.server.spec.driver.remote.is_some() { "operator" } else { "agent" }.to_owned());
        status.observed_generation = self.server.metadata.generation;
        let of = status.proof.as_ref().map_or(0, |proof| proof.gpus.len());
        if outlook.planned {
            status.busy = Some(format!("{}/{of}", outlook.busy(name)));
            let reasons = outlook.plan.idle.iter().filter(|idle| idle.server == *name).map(|idle| idle.reason);
            status.why_idle = reasons.max().map(|reason| reason.code().to_owned());
        }
        let present = inventory::present(self.server, status);
        let ok = present.iter().filter(|gpu| gpu.health == GpuHealth::Ok).count();
        let fault = present.iter().find(|gpu| gpu.health != GpuHealth::Ok);
        let health = match fault {
            _ if present.is_empty() => None,
            None => Some(format!("{ok}/{} ok", present.len())),
            Some(gpu) => Some(format!("{ok}/{} ok, GPU {} {}", present.len(), gpu.index, gpu.health)),
        };
        status.health = health;
    }

    /// Writes what changed, and tells people of a new phase.
    pub(super) async fn write(self, ctx: &Context) -> Result<()> {
        let before = self.server.status.clone().unwrap_or_default();
        if before == self.status {
            return Ok(());
        }
        let name = self.server.metadata.name.clone().unwrap_or_default();
        let own = GpuServerStatus { reported: None, ..self.status.clone() };
        let value = serde_json::to_value(own).expect("a status is plain data");
        cluster::apply::ssa_status(&super::api(ctx), MANAGER, &name, value).await?;
        self.tell(ctx, &before).await;
        Ok(())
    }

    /// Events for people: enrolled, enrolled again, a new phase.
    async fn tell(&self, ctx: &Context, before: &GpuServerStatus) {
        let server = self.server;
        if let (Some(old), Some(new)) = (&before.node_key, &self.status.node_key)
            && old != new
        {
            let note = format!(
                "node key {} is pinned in place of {}, whose requests and tokens are refused from now on",
                fingerprint(new),
                fingerprint(old)
            );
            ctx.events.normal(server, "ReEnrolled", "Enrol", note).await;
        }
        if !is_true(&before.conditions, condition::ENROLLED) && self.holds(condition::ENROLLED) {
            let who = match &self.status.node_key {
                Some(key) => format!("the agent with node key {} reports", fingerprint(key)),
                None => "its cluster answers".to_owned(),
            };
            ctx.events.normal(server, "Enrolled", "Enrol", who).await;
        }
        if before.phase == self.status.phase {
            return;
        }
        let Some(phase) = self.status.phase else { return };
        let ready = conditions::get(&self.status.conditions, condition::READY);
        let (reason, message) = ready.map(|c| (c.reason.clone(), c.message.clone())).unwrap_or_default();
        let note = format!("now {phase}: {reason} {message}");
        tracing::info!(server = server.metadata.name, %phase, reason, "moved");
        if phase == ServerPhase::Degraded {
            ctx.events.warning(server, phase.as_str(), "Move", note).await;
        } else {
            ctx.events.normal(server, phase.as_str(), "Move", note).await;
        }
        ctx.wake.notify_one();
    }
}

const WAITING: &str = "waiting for the agent's first heartbeat: is it running on the node, and does it reach the miner API?";

/// Whether a Lease is a sign of life of the agent with this key. Agents of earlier releases do not say whose it is.
fn is_beat_of(lease: &Lease, key: Option<&Ss58>) -> bool {
    let another = heartbeat::holder_key(lease).zip(key).is_some_and(|(said, key)| said != fingerprint(key));
    heartbeat::renewed(lease).is_some() && !another
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::Keypair;

    fn lease(holder: &str) -> Lease {
        let spec = serde_json::json!({ "holderIdentity": holder, "renewTime": "2026-01-01T00:00:00.000000Z" });
        serde_json::from_value(serde_json::json!({ "metadata": { "name": "agent" }, "spec": spec })).unwrap()
    }

    #[test]
    fn a_beat_counts_for_the_key_that_is_pinned_and_one_that_names_no_key_for_any() {
        let (ours, other) = (Keypair::generate().address().clone(), Keypair::generate().address().clone());
        assert!(is_beat_of(&lease(&heartbeat::holder("gepetto-agent", &fingerprint(&ours))), Some(&ours)));
        assert!(!is_beat_of(&lease(&heartbeat::holder("gepetto-agent", &fingerprint(&other))), Some(&ours)));
        assert!(is_beat_of(&lease("gepetto-agent"), Some(&ours)), "an agent of the release before");
        assert!(!is_beat_of(&Lease::default(), Some(&ours)), "never renewed");
    }
}
