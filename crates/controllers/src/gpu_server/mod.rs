//! The saga of one server: provisioned, enrolled, inventoried, advertised, verified, ready; and, once confirmed, all the way back.

mod advert;
mod advertised;
mod inventory;
mod made;
mod proof;
mod provision;
pub mod rbac;
mod remove;
mod status;

use std::sync::Arc;
use std::time::Duration;

use cluster::call::get_opt;
use cluster::controller::{self, Action, Kick, Options, Request};
use cluster::watch::ObjectRef;
use crd::annotations::FINALIZER;
use crd::conditions::is_true;
use crd::gpu_server::condition;
use crd::{ChuteDeployment, GpuServer};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt as _};
use protocol::ids::ServerName;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use crate::{Context, Error, Result, patch};
use made::Made;
use status::Draft;

/// A confidential server is attested while its registration is answered.
const LIMIT: Duration = Duration::from_secs(360);

/// Looks at servers until `shutdown`.
pub async fn run(ctx: Arc<Context>, shutdown: CancellationToken) {
    let here = |name: &str| ObjectRef::<GpuServer>::new(name).within(crd::FLEET_NAMESPACE);
    let looks = ctx.validators.looks().map(|()| Kick::All).boxed();
    let plans = WatchStream::from_changes(ctx.outlook.subscribe()).map(|_| Kick::All).boxed();
    let deployments = controller::on_touch(&ctx.watches.deployments, move |d: &ChuteDeployment| vec![here(d.spec.server.as_str())]);
    let servers = ctx.watches.servers.clone();
    // A heartbeat is news only where one was missed.
    let heartbeats = controller::on_touch(&ctx.watches.leases, move |lease: &Lease| {
        let namespace = lease.namespace().unwrap_or_default();
        let Some(name) = namespace.strip_prefix(&crd::node_namespace("")) else { return vec![] };
        let ready = servers
            .get(crd::FLEET_NAMESPACE, name)
            .and_then(|server| server.status.as_ref().map(|status| is_true(&status.conditions, condition::READY)));
        if ready == Some(true) { vec![] } else { vec![here(name)] }
    });
    let options = Options { stats: ctx.metrics.stats("gpu_server"), limit: LIMIT, ..Options::new("gpu_server", 16) };
    let root = ctx.watches.servers.clone();
    let made = Arc::new(Made::watch(&ctx.client));
    let mut triggers = vec![looks, plans, deployments, heartbeats];
    triggers.extend(made.triggers());
    controller::run(options, root, triggers, move |request| reconcile(Arc::clone(&ctx), Arc::clone(&made), request), shutdown).await;
}

async fn reconcile(ctx: Arc<Context>, made: Arc<Made>, request: Request<GpuServer>) -> Result<Action> {
    let Some(cached) = request.object else {
        ctx.remotes.forget(&request.key.name);
        return Ok(Action::Await);
    };
    let Some(server) = reread(&ctx, &cached).await? else { return Ok(Action::Await) };
    let name: ServerName = server.name_any().parse().map_err(|error| Error::Waiting(format!("{error}")))?;
    if server.metadata.deletion_timestamp.is_some() {
        return remove::reconcile(&ctx, &server, &name).await;
    }
    if !server.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        patch::add_finalizer(&api(&ctx), &server).await?;
        return Ok(Action::Await);
    }
    let mut draft = Draft::of(&server, Timestamp::now());
    let advanced = advance(&ctx, &made, &server, &name, &mut draft).await;
    draft.conclude(&ctx, &name);
    draft.write(&ctx).await?;
    advanced?;
    Ok(Action::Requeue(ctx.timing.recheck))
}

/// Each step builds on the one before; the first that is not done is where the server stands.
async fn advance(ctx: &Context, made: &Made, server: &GpuServer, name: &ServerName, draft: &mut Draft<'_>) -> Result<()> {
    provision::provision(ctx, made, server, name, draft).await?;
    if server.spec.driver.remote.is_some() {
        ctx.remotes.drive(ctx, server).await;
    }
    draft.enrolled(ctx);
    let outlook = ctx.outlook.borrow().clone();
    if !inventory::inventory(server, draft, &|gpu| outlook.holds(gpu)) {
        return Ok(());
    }
    record(ctx, server, name).await;
    proof::prove(ctx, server, name, draft).await
}

/// What is at rest is taken from the cache; where something is under way the cache may be from before our own last write.
async fn reread(ctx: &Context, cached: &Arc<GpuServer>) -> Result<Option<GpuServer>> {
    let ready = cached.status.as_ref().is_some_and(|status| is_true(&status.conditions, condition::READY));
    if ready && cached.metadata.deletion_timestamp.is_none() {
        return Ok(Some((**cached).clone()));
    }
    let fresh = get_opt(&api(ctx), &cached.name_any()).await?;
    Ok(fresh.filter(|fresh| fresh.metadata.uid == cached.metadata.uid))
}

fn api(ctx: &Context) -> Api<GpuServer> {
    Api::namespaced(ctx.client.clone(), crd::FLEET_NAMESPACE)
}

/// Facts and costs go into the ledger; without Postgres the server goes on.
async fn record(ctx: &Context, server: &GpuServer, name: &ServerName) {
    if let Err(error) = ctx.ledger.server(name, server).await {
        tracing::warn!(server = %name, %error, "the server was not written into the ledger yet");
    }
}
