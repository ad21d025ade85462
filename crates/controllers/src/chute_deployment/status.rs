//! The status of a deployment: what the operator owns of it, and what the ledger hears of it.

use crd::chute_deployment::{Phase, Reached};
use crd::conditions::{self, State};
use crd::{ChuteDeployment, ChuteDeploymentStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde_json::Value;

use crate::context::MANAGER;
use crate::{Context, Error, Result, ledger};

/// Condition: the realizer saw that the pod is gone.
pub(super) const POD_GONE: &str = "PodGone";
/// Condition: the validator holds nothing of it any more.
pub(super) const CLEAR: &str = "ValidatorClear";
/// Condition: what stands in the way of a deletion that was asked for.
pub(super) const DELETABLE: &str = "Deletable";

/// A status under way: changed in memory, then written once.
pub(super) struct Draft<'a> {
    object: &'a ChuteDeployment,
    pub(super) status: ChuteDeploymentStatus,
    now: Timestamp,
}

impl<'a> Draft<'a> {
    pub(super) fn of(object: &'a ChuteDeployment, now: Timestamp) -> Self {
        Self { object, status: object.status.clone().unwrap_or_default(), now }
    }

    pub(super) fn enter(&mut self, phase: Phase, reason: &str, message: &str) {
        self.status.phase = Some(phase);
        self.status.reason = Some(reason.to_owned());
        self.status.message = (!message.is_empty()).then(|| message.chars().take(1000).collect());
        if self.status.reached.iter().all(|reached| reached.phase != phase) {
            self.status.reached.push(Reached { phase, at: Time(self.now) });
        }
    }

    pub(super) fn note(&mut self, condition: &str, state: State, reason: &str, message: &str, at: Timestamp) {
        let generation = self.object.metadata.generation;
        conditions::set(&mut self.status.conditions, condition, state, reason, message, generation, at);
    }

    /// Writes what changed, tells the ledger of a move and people by an Event.
    pub(super) async fn write(mut self, ctx: &Context) -> Result<()> {
        let before = self.object.status.clone().unwrap_or_default();
        self.status.observed_generation = self.object.metadata.generation;
        if before == self.status {
            return Ok(());
        }
        let moved = before.phase != self.status.phase;
        if moved {
            record_move(ctx, self.object, &self.status, self.now).await?;
        }
        let api = ctx.deployments_of(&self.object.namespace().unwrap_or_default());
        cluster::apply::ssa_status(&api, MANAGER, &self.object.name_any(), owned(&self.status)).await?;
        if moved {
            say(ctx, self.object, &self.status).await;
            ctx.wake.notify_one();
        }
        Ok(())
    }
}

/// The part of the status that the operator owns.
fn owned(status: &ChuteDeploymentStatus) -> Value {
    let own = ChuteDeploymentStatus { workload: None, ..status.clone() };
    serde_json::to_value(own).expect("a status is plain data")
}

/// The ledger hears of every move; without Postgres the move happens all the same, and is written at the end.
async fn record_move(ctx: &Context, object: &ChuteDeployment, status: &ChuteDeploymentStatus, at: Timestamp) -> Result<()> {
    let Some(phase) = status.phase.filter(|phase| !phase.is_terminal()) else { return Ok(()) };
    let reason = status.reason.as_deref().unwrap_or_default();
    match ctx.store.record_phase(&object.spec.deployment_id, phase.as_str(), reason, at).await {
        Err(error @ store::Error::Superseded { .. }) => Err(error.into()),
        Err(error) => {
            tracing::warn!(deployment = object.name_any(), %phase, %error, "a move was not written into the ledger yet");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Writes the moves that the ledger has not heard of.
pub(super) async fn catch_up(ctx: &Context, object: &ChuteDeployment) -> Result<()> {
    let id = &object.spec.deployment_id;
    let known = ctx.store.phases(id).await?;
    let Some(status) = &object.status else { return Ok(()) };
    let mut missing: Vec<&Reached> = status.reached.iter().filter(|r| !r.phase.is_terminal()).collect();
    missing.retain(|reached| known.iter().all(|change| change.phase != reached.phase.as_str()));
    missing.sort_by_key(|reached| reached.at.0);
    for reached in missing {
        match ctx.store.record_phase(id, reached.phase.as_str(), "RecordedLate", reached.at.0).await {
            Ok(_) | Err(store::Error::AlreadyEnded(_) | store::Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn say(ctx: &Context, object: &ChuteDeployment, status: &ChuteDeploymentStatus) {
    let Some(phase) = status.phase else { return };
    let reason = status.reason.as_deref().unwrap_or("Moved");
    let note = match &status.message {
        Some(message) => format!("now {phase}: {message}"),
        None => format!("now {phase}"),
    };
    tracing::info!(deployment = object.name_any(), chute = %object.spec.chute.id, server = %object.spec.server, %phase, reason, "moved");
    ctx.metrics.moved(phase.as_str(), reason);
    if phase == Phase::Failed {
        ctx.events.warning(object, reason, "Move", note).await;
    } else {
        ctx.events.normal(object, reason, "Move", note).await;
    }
}

/// Money: what the validator says of the instance goes into the ledger. A ledger that is down does not stop the saga.
pub(super) async fn account(ctx: &Context, object: &ChuteDeployment) {
    let Some(status) = &object.status else { return };
    let Some(view) = ctx.validators.view(&object.spec.validator) else { return };
    let by_config = status.config_id.as_ref().and_then(|config| view.by_config(config));
    let Some(row) = by_config else { return };
    if let Err(error) = ctx.ledger.instance(object, row, ledger::private(&view, row)).await {
        log(object, &error);
    }
}

fn log(object: &ChuteDeployment, error: &Error) {
    tracing::warn!(deployment = object.name_any(), %error, "an instance was not written into the ledger yet");
}
