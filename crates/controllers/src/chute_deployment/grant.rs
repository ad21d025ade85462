//! Getting the launch token: the intent as a row, the asking, the Secret, the config as a row. A token is never asked for twice
//! while one may be out, and the token itself goes nowhere but into the Secret.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::apply::{Created, create};
use crd::ChuteDeployment;
use crd::chute_deployment::launch_secret_name;
use crd::labels;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Resource as _, ResourceExt as _};
use protocol::dto::LaunchConfig;
use protocol::ids::{ConfigId, ServerId};
use store::{AttemptState, LaunchAttempt, Settled};
use validator::LaunchError;

use super::observe::CONFIG_KEY;
use super::{reasons, wait_for};
use crate::{Context, Result};

/// After so many askings without an answer the deployment is given up.
const MOST_ATTEMPTS: usize = 4;

/// What came of asking.
pub(super) enum Granting {
    /// The token lies in the Secret.
    Token(ConfigId),
    /// The validator said no, or nothing for too long.
    Refused { reason: &'static str, message: String },
}

/// Asks for the launch token of a deployment that has none.
pub(super) async fn grant(ctx: &Context, object: &ChuteDeployment) -> Result<Granting> {
    let spec = &object.spec;
    let client = ctx.validators.client(&spec.validator).ok_or_else(|| wait_for("there is no Validator resource for its validator"))?;
    let server = ctx.server(spec.server.as_str()).ok_or_else(|| wait_for("its server is not known"))?;
    let server_id: Option<ServerId> = server.status.as_ref().and_then(|status| status.server_id.as_deref()?.parse().ok());
    if spec.chute.tee && server_id.is_none() {
        return Err(wait_for("its confidential server has no id yet"));
    }
    let attempts = ctx.store.attempts(&spec.deployment_id).await?;
    close_open(ctx, &attempts).await?;
    if attempts.len() >= MOST_ATTEMPTS {
        let message = format!("{} launch tokens were asked for, and no answer was kept", attempts.len());
        return Ok(Granting::Refused { reason: reasons::NO_TOKEN_IN_TIME, message });
    }
    let attempt = match ctx.store.begin_launch(ctx.epoch, &spec.deployment_id).await {
        Ok(attempt) => attempt,
        Err(store::Error::AlreadyExists(why)) => {
            return Ok(Granting::Refused { reason: reasons::LAUNCH_CONFLICT, message: why });
        }
        // Its stop or end was decided, and whoever decided did not come to telling the object, or the object was not there yet.
        Err(error @ (store::Error::Invalid(_) | store::Error::AlreadyEnded(_))) => {
            return Ok(Granting::Refused { reason: reasons::LAUNCH_CONFLICT, message: error.to_string() });
        }
        Err(error) => return Err(error.into()),
    };
    let job = spec.job.as_ref().map(|job| &job.id);
    match client.launch_config(&spec.chute.id, job, server_id.as_ref().filter(|_| spec.chute.tee)).await {
        Ok(config) => {
            keep(ctx, object, &config).await?;
            record(ctx, &attempt, &config.config_id).await;
            Ok(Granting::Token(config.config_id))
        }
        Err(error) => refused(ctx, object, &attempt, error).await,
    }
}

/// Goes on with a token found in the Secret: the ledger may not know of it yet.
pub(super) async fn use_token(ctx: &Context, object: &ChuteDeployment, config: &ConfigId) -> Result<()> {
    let attempts = ctx.store.attempts(&object.spec.deployment_id).await?;
    if let Some(open) = attempts.iter().find(|attempt| attempt.state == AttemptState::Asked) {
        ctx.store.record_config(open.id, config).await?;
    }
    Ok(())
}

/// What is open belongs to an asking whose answer this process no longer waits for; its token is lost.
async fn close_open(ctx: &Context, attempts: &[LaunchAttempt]) -> Result<()> {
    for attempt in attempts {
        match (attempt.state, &attempt.config_id) {
            (AttemptState::Asked, _) => {
                ctx.store.settle_attempt(attempt.id, Settled::Abandoned, "the answer was lost").await?;
            }
            (AttemptState::Received, Some(config)) => {
                ctx.store.settle(config, Settled::Abandoned).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Puts the token into the deployment's Secret, which ends with the deployment.
async fn keep(ctx: &Context, object: &ChuteDeployment, config: &LaunchConfig) -> Result<()> {
    let secret = secret(object, config);
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    let mut last = None;
    // A token cannot be asked for again: worth more than one try.
    for pause_ms in [0, 500, 2000] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        match create(&api, &secret).await {
            // Ours, from a try whose answer was lost; a stranger's would have been found before asking.
            Ok(Created::Created(_) | Created::Existed) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("the loop has run").into())
}

fn secret(object: &ChuteDeployment, config: &LaunchConfig) -> Secret {
    let spec = &object.spec;
    let data = BTreeMap::from([
        ("token".to_owned(), ByteString(config.token.expose().as_bytes().to_vec())),
        (CONFIG_KEY.to_owned(), ByteString(config.config_id.as_str().as_bytes().to_vec())),
    ]);
    let labels = BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned()),
        (labels::DEPLOYMENT_ID.to_owned(), spec.deployment_id.to_string()),
        (labels::CONFIG_ID.to_owned(), config.config_id.to_string()),
    ]);
    Secret {
        metadata: ObjectMeta {
            name: Some(launch_secret_name(&spec.deployment_id)),
            namespace: object.namespace(),
            labels: Some(labels.into_iter().filter(|(_, value)| value.len() <= 63).collect()),
            owner_references: object.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// The Secret is kept already, and a resumed saga writes the row from it: failing here loses nothing.
async fn record(ctx: &Context, attempt: &LaunchAttempt, config: &ConfigId) {
    if let Err(error) = ctx.store.record_config(attempt.id, config).await {
        tracing::warn!(deployment = %attempt.deployment, %config, %error, "the launch config was not written into the ledger yet");
    }
}

async fn refused(ctx: &Context, object: &ChuteDeployment, attempt: &LaunchAttempt, error: LaunchError) -> Result<Granting> {
    let message = error.to_string();
    ctx.metrics.launch_refused(error.kind());
    let (settled, reason) = match &error {
        LaunchError::Backoff423 { .. } => (Settled::Refused, Some(reasons::CAPACITY_REACHED)),
        LaunchError::Forbidden403 { .. } => (Settled::Refused, Some(reasons::LAUNCH_FORBIDDEN)),
        LaunchError::Gone404 { .. } => (Settled::Refused, Some(reasons::CHUTE_GONE)),
        LaunchError::Conflict409 { .. } => (Settled::Refused, Some(reasons::LAUNCH_CONFLICT)),
        LaunchError::Unauthorized401 { .. } => (Settled::Refused, Some(reasons::UNAUTHORIZED)),
        LaunchError::Unqualified400 { .. } => (Settled::Refused, Some(reasons::UNQUALIFIED)),
        // A config that nobody holds may exist now; it grows old unclaimed, and another is asked for.
        error if error.maybe_done() => (Settled::Abandoned, None),
        LaunchError::Other { .. } => (Settled::Refused, Some(reasons::LAUNCH_REFUSED)),
        LaunchError::Transport { .. } => (Settled::Refused, None),
    };
    ctx.store.settle_attempt(attempt.id, settled, &message).await?;
    match reason {
        Some(reason) => Ok(Granting::Refused { reason, message }),
        // A job's one asking may be spent; for a chute the backoff tries again.
        None if object.spec.job.is_some() && settled == Settled::Abandoned => {
            Ok(Granting::Refused { reason: reasons::NO_TOKEN_IN_TIME, message })
        }
        None => Err(wait_for(format!("the launch token: {message}"))),
    }
}
