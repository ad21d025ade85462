//! Taking one step.

use cluster::controller::Action;
use crd::ChuteDeployment;
use crd::annotations::{CONFIRM_DELETE, RELEASE};
use crd::chute_deployment::Phase;
use crd::conditions::State;
use kube::ResourceExt as _;
use protocol::ids::InstanceId;
use serde_json::json;
use store::Settled;
use validator::Deletion;

use super::grant::{Granting, grant, use_token};
use super::status::{CLEAR, DELETABLE, Draft, POD_GONE};
use super::step::{Seen, Step};
use super::{reasons, remove, stop, wait_for};
use crate::{Context, Result, patch};

pub(super) async fn take(ctx: &Context, object: &ChuteDeployment, seen: &Seen, step: Step) -> Result<Action> {
    let mut draft = Draft::of(object, seen.now);
    match step {
        Step::Wait(_) => return Ok(Action::Await),
        Step::AddFinalizer => patch::add_finalizer(&api(ctx, object), object).await?,
        Step::TellUnconfirmed => {
            let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
            let message = format!(
                "it would end {} on {} GPUs; to carry the deletion out: \
                 kubectl -n {namespace} annotate chutedeployment {name} {CONFIRM_DELETE}={name}",
                object.spec.chute.name, object.spec.gpu_count
            );
            ctx.events.warning(object, "NotConfirmed", "Delete", message.clone()).await;
            draft.note(DELETABLE, State::False, "NotConfirmed", &message, seen.now);
            draft.write(ctx).await?;
        }
        Step::Begin => begin(ctx, object, draft).await?,
        Step::Grant => match grant(ctx, object).await? {
            Granting::Token(config) => {
                draft.status.config_id = Some(config);
                draft.enter(Phase::Granted, reasons::TOKEN_RECEIVED, "");
                draft.write(ctx).await?;
            }
            Granting::Refused { reason, message } => stop::begin(ctx, object, draft, reason, &message).await?,
        },
        Step::UseToken(config) => {
            use_token(ctx, object, &config).await?;
            draft.status.config_id = Some(config);
            draft.enter(Phase::Granted, reasons::TOKEN_RECEIVED, "");
            draft.write(ctx).await?;
        }
        Step::Move { to, reason, instance } => {
            if let Some(instance) = instance {
                claimed(ctx, object).await?;
                draft.status.instance_id = Some(instance);
            }
            if to >= Phase::Claimed && draft.status.reached.iter().all(|reached| reached.phase != Phase::Claimed) {
                draft.enter(Phase::Claimed, reasons::INSTANCE_CLAIMED, "");
            }
            draft.enter(to, reason, "");
            draft.write(ctx).await?;
        }
        Step::Stop { reason, message } => stop::begin(ctx, object, draft, &reason, &message).await?,
        Step::TellRealizer => patch::merge(&api(ctx, object), object, json!({ "spec": { "runState": "Stopped" } })).await?,
        Step::DeleteInstance(instance) => delete_instance(ctx, object, draft, seen, &instance).await?,
        Step::NotePodGone => {
            let uid = seen.workload.as_ref().and_then(|workload| workload.pod_uid.clone());
            let (reason, message) = match (uid, seen.server_lost) {
                (Some(uid), false) => (stop::GONE, uid),
                (_, true) => (stop::SERVER_LOST, "a person declared the server lost".to_owned()),
                (None, false) => (stop::NEVER_CREATED, "nothing was ever made from it".to_owned()),
            };
            draft.note(POD_GONE, State::True, reason, &message, seen.now);
            draft.write(ctx).await?;
        }
        Step::NoteClear(as_of) => {
            let (reason, message) = match seen.lists_clear {
                Some(_) => (stop::LISTS_CLEAR, "two complete lists and the inventory lack it"),
                None => (stop::NOTHING_ASKED, "no launch token was ever handed out"),
            };
            draft.note(CLEAR, State::True, reason, message, as_of);
            draft.write(ctx).await?;
        }
        Step::Release => {
            stop::free(ctx, object, seen).await?;
            patch::merge(&api(ctx, object), object, json!({ "metadata": { "annotations": { RELEASE: "true" } } })).await?;
            ctx.wake.notify_one();
        }
        Step::End => stop::end(ctx, object, draft, seen).await?,
        Step::Remove => remove::remove(ctx, object, seen).await?,
        Step::DropFinalizer => patch::drop_finalizer(&api(ctx, object), object).await?,
    }
    Ok(Action::Await)
}

pub(super) fn api(ctx: &Context, object: &ChuteDeployment) -> kube::Api<ChuteDeployment> {
    ctx.deployments_of(&object.namespace().unwrap_or_default())
}

/// Only what was decided is launched: an object without a row behind it was made by hand.
async fn begin(ctx: &Context, object: &ChuteDeployment, mut draft: Draft<'_>) -> Result<()> {
    let known = ctx.store.deployment(&object.spec.deployment_id).await?;
    let ours = known.as_ref().is_some_and(|row| row.ended_at.is_none() && row.gpus.len() == object.spec.gpus.len());
    if ours {
        draft.enter(Phase::Pending, reasons::PLANNED, "");
    } else {
        draft.enter(
            Phase::Failed,
            "NoDecision",
            "no open decision of gepetto stands behind it; delete it: deployments are made by gepetto only",
        );
    }
    draft.write(ctx).await
}

/// The launch config was used.
async fn claimed(ctx: &Context, object: &ChuteDeployment) -> Result<()> {
    let Some(config) = object.status.as_ref().and_then(|status| status.config_id.as_ref()) else { return Ok(()) };
    match ctx.store.settle(config, Settled::Claimed).await {
        // Unknown, or settled otherwise for good: the instance is there all the same.
        Ok(_) | Err(store::Error::NotFound(_) | store::Error::Invalid(_)) => Ok(()),
        Err(error) if error.is_unavailable() => {
            tracing::warn!(%config, %error, "that the launch config was claimed is not written yet");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

async fn delete_instance(ctx: &Context, object: &ChuteDeployment, mut draft: Draft<'_>, seen: &Seen, instance: &InstanceId) -> Result<()> {
    let client =
        ctx.validators.client(&object.spec.validator).ok_or_else(|| wait_for("there is no Validator resource for its validator"))?;
    let words = match client.delete_instance(&object.spec.chute.id, instance).await? {
        Deletion::Deleted => "the validator deleted it",
        Deletion::NotFound => "the validator does not know it any more",
    };
    draft.status.instance_id = Some(instance.clone());
    draft.note(CLEAR, State::True, stop::ANSWERED, words, jiff::Timestamp::now().max(seen.now));
    draft.write(ctx).await
}
