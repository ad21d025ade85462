//! The way down: the decision, the GPUs, the books.

use crd::ChuteDeployment;
use crd::chute_deployment::Phase;
use crd::conditions;
use jiff::Timestamp;
use protocol::ids::ConfigId;
use store::{FreedBy, PodGone, ValidatorClear};

use super::reasons::{self, ends_as};
use super::status::{CLEAR, Draft, POD_GONE, catch_up};
use super::step::Seen;
use super::wait_for;
use crate::{Context, Result};

/// Reasons of the condition `PodGone`.
pub(super) const GONE: &str = "SeenGone";
pub(super) const NEVER_CREATED: &str = "NeverCreated";
pub(super) const SERVER_LOST: &str = "ServerLost";
/// Reasons of the condition `ValidatorClear`.
pub(super) const ANSWERED: &str = "DeletionAnswered";
pub(super) const LISTS_CLEAR: &str = "ListsClear";
pub(super) const NOTHING_ASKED: &str = "NothingAsked";

/// Decides, then begins to stop. What the validator or the node ended goes on without Postgres; what we end does not.
pub(super) async fn begin(ctx: &Context, object: &ChuteDeployment, mut draft: Draft<'_>, reason: &str, message: &str) -> Result<()> {
    let id = &object.spec.deployment_id;
    let decided = ctx.store.decide_stop(ctx.epoch, id, reason, message).await;
    let ours = matches!(reason, reasons::STOP_REQUESTED | reasons::DELETED | reasons::SERVER_REMOVED);
    let (reason, message) = match decided {
        // It was decided before, for a reason of its own: that is the one to tell.
        Ok(decided) => (decided.decision.reason_code, decided.decision.reason),
        Err(store::Error::NotFound(_) | store::Error::AlreadyEnded(_)) => (reason.to_owned(), message.to_owned()),
        Err(error) if error.is_unavailable() && !ours => (reason.to_owned(), message.to_owned()),
        Err(error) => return Err(error.into()),
    };
    if draft.status.config_id.is_none() {
        draft.status.config_id = config_of_record(ctx, object).await;
    }
    draft.enter(Phase::Stopping, &reason, &message);
    draft.write(ctx).await
}

/// An object that was made anew for a launched deployment knows nothing of its launch; the ledger does.
async fn config_of_record(ctx: &Context, object: &ChuteDeployment) -> Option<ConfigId> {
    let attempts = ctx.store.attempts(&object.spec.deployment_id).await.ok()?;
    attempts.into_iter().rev().find_map(|attempt| attempt.config_id)
}

/// Whether the proof that lets its GPUs go is complete.
pub(crate) fn is_proven_gone(object: &ChuteDeployment) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| [POD_GONE, CLEAR].iter().all(|kind| conditions::is_true(&status.conditions, kind)))
}

/// Frees the GPUs that it still holds, by the proof in the conditions.
pub(super) async fn free_claims(ctx: &Context, object: &ChuteDeployment, seen: &Seen) -> Result<()> {
    let proof = proof(object, seen)?;
    match ctx.store.free_claims(ctx.epoch, &object.spec.deployment_id, &proof).await {
        Ok(_) | Err(store::Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Frees the GPUs and ends the instance's pay.
pub(super) async fn free(ctx: &Context, object: &ChuteDeployment, seen: &Seen) -> Result<()> {
    free_claims(ctx, object, seen).await?;
    if let Some(instance) = &seen.known_instance {
        let at = seen.clear_at.unwrap_or_else(Timestamp::now);
        ctx.ledger.instance_ended(instance, &seen.reason, at).await?;
    }
    Ok(())
}

/// Closes the books and enters the last phase.
pub(super) async fn end(ctx: &Context, object: &ChuteDeployment, mut draft: Draft<'_>, seen: &Seen) -> Result<()> {
    let phase = ends_as(&seen.reason);
    let proof = proof(object, seen)?;
    catch_up(ctx, object).await?;
    match ctx.store.end_deployment(ctx.epoch, &object.spec.deployment_id, phase.as_str(), &seen.reason, &proof).await {
        Ok(_) | Err(store::Error::NotFound(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let message = draft.status.message.clone().unwrap_or_default();
    draft.enter(phase, &seen.reason, &message);
    draft.write(ctx).await
}

fn proof(object: &ChuteDeployment, seen: &Seen) -> Result<FreedBy> {
    let list = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let gone = conditions::get(list, POD_GONE).ok_or_else(|| wait_for("the pod's end"))?;
    let clear = conditions::get(list, CLEAR).ok_or_else(|| wait_for("the validator's word"))?;
    let (gone_at, clear_at) = (gone.last_transition_time.0, clear.last_transition_time.0);
    let pod_gone = match gone.reason.as_str() {
        GONE => PodGone::Gone { uids: vec![gone.message.clone()], at: gone_at },
        SERVER_LOST => PodGone::ServerLost { by: "the confirmed annotation on the GpuServer".to_owned(), at: gone_at },
        _ => PodGone::NeverCreated,
    };
    let validator_clear = match (clear.reason.as_str(), &seen.known_instance) {
        (ANSWERED, Some(instance)) => ValidatorClear::Deleted { instance: instance.clone(), at: clear_at },
        (NOTHING_ASKED, _) => ValidatorClear::NothingAsked,
        _ => ValidatorClear::CompleteList { as_of: clear_at },
    };
    Ok(FreedBy { pod_gone, validator_clear })
}
