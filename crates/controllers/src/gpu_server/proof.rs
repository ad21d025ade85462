//! Advertising GPUs and having them proven: a saga over the validator and our ledger, whose only truth is the validator's list.
//!
//! The step `post` is written before the advert and finished with its answer. Whatever fails is undone exactly as far as it was
//! done by us, and begun again after a while.

use crd::GpuServer;
use crd::chute_deployment::Phase;
use crd::conditions::State;
use crd::gpu_server::{Attestation, Proof, condition};
use gepetto::snapshot::Source;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use protocol::dto::Verification;
use protocol::ids::{GpuUuid, ServerId, ServerName};
use serde_json::{Value, json};
use store::{SagaStep, StepState};
use validator::{ValidatorClient, ValidatorError};

use super::advertised::{self, Unlisted, Unproven};
use super::status::Draft;
use super::{advert, inventory};
use crate::validator_view::View;
use crate::{Context, Error, Result};

const SAGA: &str = "advertise";
const POST: &str = "post";

/// Advances the proof of a server's GPUs by what can be done now.
pub(super) async fn prove(ctx: &Context, server: &GpuServer, name: &ServerName, draft: &mut Draft<'_>) -> Result<()> {
    let (Some(client), Some(view)) = (ctx.validators.client(&server.spec.validator), ctx.validators.view(&server.spec.validator)) else {
        let message = format!("create a Validator resource with hotkey {}", server.spec.validator);
        waits(draft, "NoValidator", &message);
        return Ok(());
    };
    let heard = Source { as_of: view.nodes_heard(), complete: true };
    if !heard.trusted(draft.now, ctx.timing.oldest_list) {
        // Neither good nor bad news: what was found stays found.
        waits(draft, "WaitingForValidator", "the validator's list of GPUs could not be read lately");
        return Ok(());
    }
    let reported = draft.status.reported.clone().unwrap_or_default();
    let Some(id) = reported.node_uid.as_deref().and_then(|uid| uid.parse::<ServerId>().ok()) else { return Ok(()) };
    let gpus: Vec<GpuUuid> = inventory::present(server, &draft.status).into_iter().map(|gpu| gpu.uuid.clone()).collect();
    let saga = Saga { ctx, client: &client, server, name, id };
    let since = saga.unadvertised(draft).await?;
    let missing: Vec<GpuUuid> = gpus.iter().filter(|gpu| view.node_since(gpu, since).is_none()).cloned().collect();
    if missing.is_empty() {
        draft.note(condition::ADVERTISED, State::True, "Listed", "");
        saga.listed(&view, &gpus, draft).await
    } else if view.nodes_heard() <= Some(since) && missing.iter().any(|gpu| view.nodes.contains_key(gpu)) {
        // What the list said before is no news, and the next one comes soon.
        waits(draft, "WaitingForList", "waiting for a list of GPUs from after they were last de-registered");
        Ok(())
    } else {
        saga.unlisted(&view, &gpus, &missing, draft).await
    }
}

/// Where nothing is known yet, says why; what was found before stays.
fn waits(draft: &mut Draft<'_>, reason: &str, message: &str) {
    for kind in [condition::ADVERTISED, condition::VERIFIED] {
        if !draft.holds(kind) {
            draft.note(kind, State::Unknown, reason, message);
        }
    }
}

struct Saga<'a> {
    ctx: &'a Context,
    client: &'a ValidatorClient,
    server: &'a GpuServer,
    name: &'a ServerName,
    id: ServerId,
}

impl Saga<'_> {
    async fn step(&self) -> Result<Option<SagaStep>> {
        let steps = self.ctx.store.steps(self.name.as_str()).await?;
        Ok(steps.into_iter().find(|step| step.saga == SAGA && step.step == POST))
    }

    /// The last moment at which the GPUs may have been de-registered by us: the server was removed before it was made anew, or its
    /// advert was taken back. A list from before it says nothing about them.
    async fn unadvertised(&self, draft: &Draft<'_>) -> Result<Timestamp> {
        let made = self.server.creation_timestamp().map_or(Timestamp::MIN, |made| made.0);
        // The API server counts in whole seconds.
        let made = made.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        if draft.holds(condition::VERIFIED) {
            return Ok(made);
        }
        let taken_back = self.step().await?.filter(|step| step.state == StepState::Undone).map(|step| step.at);
        Ok(taken_back.map_or(made, |at| made.max(at)))
    }

    /// The validator lists all GPUs: are they proven?
    async fn listed(&self, view: &View, gpus: &[GpuUuid], draft: &mut Draft<'_>) -> Result<()> {
        let rows: Vec<_> = gpus.iter().filter_map(|gpu| view.nodes.get(gpu)).collect();
        let elsewhere = rows.iter().find(|row| row.server_id.as_ref().is_some_and(|id| *id != self.id));
        if let Some(row) = elsewhere {
            let message = format!("the validator has GPU {} under another server; remove it there first", row.uuid.device_name());
            draft.note(condition::VERIFIED, State::False, "ListedElsewhere", &message);
            return Ok(());
        }
        let unproven: Vec<_> = rows.iter().filter(|row| row.verified_at.is_none()).collect();
        if unproven.is_empty() {
            let newest = rows.iter().filter_map(|row| row.verified_at).max().map_or(draft.now, |at| at.timestamp());
            let mut proven = gpus.to_vec();
            proven.sort();
            // The validator proves again and again; ours is the first proof of these GPUs.
            if draft.status.proof.as_ref().is_none_or(|proof| proof.gpus != proven) {
                draft.status.proof = Some(Proof { gpus: proven, verified_at: Time(newest) });
            }
            if !draft.holds(condition::VERIFIED) {
                self.ctx.store.close_saga(self.ctx.epoch, SAGA, self.name.as_str()).await?;
                self.ctx.events.normal(self.server, "Verified", "Verify", format!("{} GPUs proven", gpus.len())).await;
            }
            draft.note(condition::VERIFIED, State::True, "Proven", "");
            return Ok(());
        }
        let words = unproven.iter().find_map(|row| row.verification_error.clone());
        let step = self.step().await?;
        let limit = self.ctx.timing.proof;
        let next = advertised::unproven(step.as_ref(), draft.now, limit);
        if let Unproven::Ask(step, task) = next {
            return self.poll(step, task, draft).await;
        }
        // Advertised by us with the answer lost, or by somebody before us: its list is all there is to go by.
        if let Some(words) = words {
            draft.note(condition::VERIFIED, State::False, "Refused", &format!("the validator says: {words}"));
        } else {
            draft.note(condition::VERIFIED, State::Unknown, "WaitingForProof", "the validator has not proven all GPUs yet");
        }
        match next {
            Unproven::TakeBack(step) => self.undo(step, "not proven in time", draft).await,
            _ => Ok(()),
        }
    }

    async fn poll(&self, step: &SagaStep, task: &str, draft: &mut Draft<'_>) -> Result<()> {
        match self.client.verification_status(task).await? {
            Verification::Verified => {
                draft.note(condition::VERIFIED, State::Unknown, "WaitingForList", "proven; the validator's list does not show it yet");
                Ok(())
            }
            Verification::Pending if advertised::over(step.at, draft.now, self.ctx.timing.proof) => {
                self.undo(step, "not proven in time", draft).await
            }
            Verification::Pending => {
                draft.note(condition::VERIFIED, State::Unknown, "WaitingForProof", "the validator is proving the GPUs");
                Ok(())
            }
            Verification::Failed(words) => self.undo(step, &words, draft).await,
        }
    }

    /// The validator does not list all GPUs.
    async fn unlisted(&self, view: &View, gpus: &[GpuUuid], missing: &[GpuUuid], draft: &mut Draft<'_>) -> Result<()> {
        if draft.holds(condition::VERIFIED) {
            // They were there: gone only by two complete lists from after that was found.
            let since = draft.since(condition::VERIFIED).unwrap_or(draft.now);
            if !missing.iter().all(|gpu| view.node_absent_since(gpu, since)) {
                return Ok(());
            }
            // With a GPU the validator ends its instance: as long as one is there, the list of GPUs is what is wrong.
            if self.instance_on(missing) {
                return Ok(());
            }
            let message =
                format!("the validator does not list {} of {} GPUs any more; they are advertised again", missing.len(), gpus.len());
            self.ctx.events.warning(self.server, "DeRegistered", "Advertise", message.clone()).await;
            draft.note(condition::ADVERTISED, State::False, "WaitingForAdvert", &message);
            draft.note(condition::VERIFIED, State::False, "WaitingForAdvert", &message);
            draft.status.proof = None;
            self.ctx.store.close_saga(self.ctx.epoch, SAGA, self.name.as_str()).await?;
            return Ok(());
        }
        if let Some(step) = self.step().await? {
            let absent = missing.iter().all(|gpu| view.node_absent_since(gpu, step.at));
            match advertised::unlisted(&step, absent, view.nodes_heard(), draft.now, self.ctx.timing.readvertise) {
                Unlisted::Post => {}
                Unlisted::Close => self.ctx.store.close_saga(self.ctx.epoch, SAGA, self.name.as_str()).await?,
                Unlisted::WaitForList => {
                    draft.note(condition::ADVERTISED, State::Unknown, "WaitingForList", "advertised; waiting for the validator's list");
                    return Ok(());
                }
                Unlisted::Wait => return Ok(()),
            }
        }
        self.post(missing, draft).await
    }

    /// Whether the validator knows a running instance of ours on one of these GPUs.
    fn instance_on(&self, gpus: &[GpuUuid]) -> bool {
        self.ctx.watches.deployments.all().iter().any(|object| {
            let phase = object.status.as_ref().and_then(|status| status.phase);
            object.spec.server == *self.name
                && matches!(phase, Some(Phase::Claimed | Phase::Verified | Phase::Active))
                && object.spec.gpus.iter().any(|gpu| gpus.contains(gpu))
        })
    }

    async fn post(&self, gpus: &[GpuUuid], draft: &mut Draft<'_>) -> Result<()> {
        let subject = self.name.as_str();
        let detail = json!({ "gpus": gpus, "server_id": self.id, "tee": self.tee() });
        let step = self.ctx.store.begin_step(self.ctx.epoch, SAGA, subject, POST, &detail).await?;
        let reported = draft.status.reported.clone().unwrap_or_default();
        let rows = advert::rows(self.server, &reported.gpus, gpus);
        let sent = if self.tee() {
            self.client.register_server(&advert::tee(self.server, self.id.clone(), rows)).await.map(|()| Value::Null)
        } else {
            let advert = advert::graval(self.server, self.id.clone(), rows);
            self.client.advertise(&advert).await.map(|advertised| Value::String(advertised.task_id))
        };
        match sent {
            Ok(task) => {
                let mut detail = step.detail.clone();
                detail["task"] = task;
                self.ctx.store.finish_step(SAGA, subject, POST, &detail).await?;
                self.ctx.events.normal(self.server, "Advertised", "Advertise", format!("{} GPUs advertised", gpus.len())).await;
                draft.note(condition::ADVERTISED, State::True, "Posted", "");
                draft.note(condition::VERIFIED, State::Unknown, "WaitingForProof", "the validator is proving the GPUs");
                Ok(())
            }
            // It has one of them already. An advert of ours whose answer was lost may be why; the list tells whose they are.
            Err(ValidatorError::Status { status: 409, detail, .. }) => {
                self.ctx.store.finish_step(SAGA, subject, POST, &advertised::conflicting(&step)).await?;
                let message = format!(
                    "the validator knows one of the GPUs already (409): {detail}; if it is ours its list shows it soon, \
                     if not, it must be removed where it was advertised"
                );
                self.ctx.events.warning(self.server, "AdvertRefused", "Advertise", message.clone()).await;
                draft.note(condition::ADVERTISED, State::False, "AdvertRefused", &message);
                Ok(())
            }
            // It said no: nothing was made.
            Err(ValidatorError::Status { status, detail, .. }) if (400..500).contains(&status) => {
                self.ctx.store.undo_step(SAGA, subject, POST).await?;
                let message = format!("the validator refused the advert ({status}): {detail}");
                self.ctx.events.warning(self.server, "AdvertRefused", "Advertise", message.clone()).await;
                draft.note(condition::ADVERTISED, State::False, "AdvertRefused", &message);
                Ok(())
            }
            // Whether it heard is not known; the next list tells.
            Err(error) => {
                draft.note(condition::ADVERTISED, State::Unknown, "WaitingForValidator", &error.to_string());
                Err(error.into())
            }
        }
    }

    fn tee(&self) -> bool {
        self.server.spec.attestation == Attestation::Tee
    }

    /// Takes back exactly what this saga made.
    async fn undo(&self, step: &SagaStep, why: &str, draft: &mut Draft<'_>) -> Result<()> {
        if step.detail.get("tee") == Some(&Value::Bool(true)) {
            self.client.delete_server(&self.id).await?;
        } else {
            let made: Vec<GpuUuid> = serde_json::from_value(step.detail.get("gpus").cloned().unwrap_or_default())
                .map_err(|error| Error::Waiting(format!("the saga's record cannot be read: {error}")))?;
            for gpu in &made {
                self.client.delete_node(gpu).await?;
            }
        }
        self.ctx.store.undo_step(SAGA, self.name.as_str(), POST).await?;
        let message = format!("the validator did not prove the GPUs: {why}; they were de-registered and will be advertised again");
        self.ctx.events.warning(self.server, "NotProven", "Verify", message.clone()).await;
        tracing::warn!(server = self.server.name_any(), why, "the GPUs were not proven");
        draft.note(condition::ADVERTISED, State::False, "NotProven", &message);
        draft.note(condition::VERIFIED, State::False, "NotProven", &message);
        draft.status.proof = None;
        Ok(())
    }
}
