//! Chutes: how many run, how many are wanted, and why not more. Their specs are the miner API's.

use std::sync::Arc;

use cluster::controller::{self, Action, Kick, Options, Request};
use cluster::watch::ObjectRef;
use crd::chute::resource_name;
use crd::chute_deployment::Phase;
use crd::{Chute, ChuteDeployment, ChuteStatus};
use futures::StreamExt as _;
use kube::{Api, ResourceExt as _};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use crate::context::{MANAGER, Outlook};
use crate::{Context, Result};

/// Looks at chutes until `shutdown`.
pub async fn run(ctx: Arc<Context>, shutdown: CancellationToken) {
    let plans = WatchStream::from_changes(ctx.outlook.subscribe()).map(|_| Kick::All).boxed();
    let deployments = controller::on_touch(&ctx.watches.deployments, |deployment: &ChuteDeployment| {
        vec![ObjectRef::new(&resource_name(&deployment.spec.chute.id)).within(crd::FLEET_NAMESPACE)]
    });
    let options = Options { stats: ctx.metrics.stats("chute"), ..Options::new("chute", 8) };
    let root = ctx.watches.chutes.clone();
    controller::run(options, root, vec![plans, deployments], move |request| reconcile(Arc::clone(&ctx), request), shutdown).await;
}

async fn reconcile(ctx: Arc<Context>, request: Request<Chute>) -> Result<Action> {
    let Some(chute) = request.object else { return Ok(Action::Await) };
    let outlook = ctx.outlook.borrow().clone();
    let wanted = status(&chute, &ctx.watches.deployments.all(), &outlook);
    if chute.status.clone().unwrap_or_default() != wanted {
        let api: Api<Chute> = Api::namespaced(ctx.client.clone(), crd::FLEET_NAMESPACE);
        let value = serde_json::to_value(&wanted).expect("a status is plain data");
        cluster::apply::ssa_status(&api, MANAGER, &chute.name_any(), value).await?;
    }
    Ok(Action::Await)
}

fn status(chute: &Chute, deployments: &[Arc<ChuteDeployment>], outlook: &Outlook) -> ChuteStatus {
    let id = &chute.spec.chute_id;
    let phases = deployments.iter().filter(|d| d.spec.chute.id == *id).map(|d| d.status.as_ref().and_then(|s| s.phase));
    let going: Vec<Option<Phase>> =
        phases.filter(|phase| !phase.is_some_and(|phase| phase.is_terminal() || phase == Phase::Stopping)).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let before = chute.status.clone().unwrap_or_default();
    let why_not = if outlook.planned {
        let placed = outlook.plan.launches().any(|launch| launch.chute == *id);
        outlook.plan.why_nowhere(id).filter(|_| !placed).map(|reason| reason.code().to_owned())
    } else {
        before.why_not
    };
    ChuteStatus {
        running: count(going.iter().filter(|phase| **phase == Some(Phase::Active)).count()),
        wanted: count(going.len()),
        why_not,
        conditions: before.conditions,
        observed_generation: chute.metadata.generation,
    }
}
