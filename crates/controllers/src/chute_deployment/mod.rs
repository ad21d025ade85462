//! The saga of one deployment: from the decision to the paid instance, and down to nothing left.
//!
//! A reconcile reads what is seen (`observe`, clients), finds the one next step (`step`, pure) and takes it (`take`,
//! clients). Every step leaves a trace in the object or its Secret, is safe to repeat, and is looked at afresh before the next.

mod grant;
mod observe;
pub mod reasons;
mod remove;
mod status;
pub mod step;
mod stop;
mod take;

use std::sync::Arc;

use cluster::controller::{self, Action, Kick, Options, Request};
use cluster::watch::ObjectRef;
use crd::{ChuteDeployment, GpuServer};
use futures::StreamExt as _;
use kube::ResourceExt as _;
use tokio_util::sync::CancellationToken;

use crate::{Context, Error, Result};
use step::{Step, next_step};
pub(crate) use stop::is_proven_gone;

/// Looks at deployments until `shutdown`.
pub async fn run(ctx: Arc<Context>, shutdown: CancellationToken) {
    let looks = ctx.validators.looks().map(|()| Kick::All).boxed();
    let of_server = {
        let deployments = ctx.watches.deployments.store.clone();
        move |server: &GpuServer| {
            let name = server.name_any();
            deployments.state().iter().filter(|d| d.spec.server == name.as_str()).map(|d| ObjectRef::from_obj(&**d)).collect()
        }
    };
    let servers = controller::on_touch(&ctx.watches.servers, of_server);
    let options = Options { stats: ctx.metrics.stats("chute_deployment"), ..Options::new("chute_deployment", 16) };
    let root = ctx.watches.deployments.clone();
    controller::run(options, root, vec![looks, servers], move |request| reconcile(Arc::clone(&ctx), request), shutdown).await;
}

async fn reconcile(ctx: Arc<Context>, request: Request<ChuteDeployment>) -> Result<Action> {
    let Some(cached) = request.object else { return Ok(Action::Await) };
    let seen = observe::observe(&ctx, &cached).await?;
    // Its books are closed, or about to be; what an older list says of it comes too late.
    if seen.clear_at.is_none() && !seen.released {
        status::account(&ctx, &cached).await;
    }
    if let Step::Wait(after) = next_step(&seen, &ctx.timing) {
        return Ok(waiting(after));
    }
    // Something is to be done: what the cache says may be from before our own last write.
    let Some(fresh) = observe::reread(&ctx, &cached).await? else { return Ok(Action::Await) };
    let seen = observe::observe(&ctx, &fresh).await?;
    let step = next_step(&seen, &ctx.timing);
    if let Step::Wait(after) = step {
        return Ok(waiting(after));
    }
    tracing::debug!(deployment = fresh.name_any(), ?step, "a step");
    take::take(&ctx, &fresh, &seen, step).await
}

fn waiting(after: Option<jiff::SignedDuration>) -> Action {
    match after.and_then(|after| std::time::Duration::try_from(after).ok()) {
        Some(after) => Action::Requeue(after),
        None => Action::Await,
    }
}

/// Says what is being waited for; the object's backoff decides when to look again.
fn wait_for(what: impl Into<String>) -> Error {
    Error::Waiting(what.into())
}
