//! The planning loop: a snapshot, a plan, its execution, and the policy's status. One validator after the other, every few
//! seconds and whenever something wakes it.

mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use gepetto::policy::Mode;
use gepetto::{Plan, Policy};
use jiff::Timestamp;
use protocol::ids::{GpuUuid, ServerName};
use store::{Topic, Wakeups};
use tokio_util::sync::CancellationToken;

use crate::context::Outlook;
use crate::sign::{Planned, PlannerSign};
use crate::snapshot::{Ledgered, snapshot};
use crate::{Context, Error, Result, executor};

/// The name of the policy in force.
const DEFAULT: &str = "default";
/// Wake-ups come in bursts; one plan serves a burst.
const BURST: std::time::Duration = std::time::Duration::from_millis(200);

/// Plans until `shutdown`. Ends earlier only if another leader has taken over.
pub async fn run(ctx: Arc<Context>, redis_url: String, shutdown: CancellationToken) {
    let mut wakeups = Wakeups::subscribe(&redis_url, &[Topic::Chutes, Topic::Servers, Topic::Deployments, Topic::Plan]).ok();
    let mut recovered = false;
    let mut sign = PlannerSign::new(&ctx.identity, ctx.timing.plan);
    loop {
        match round(&ctx, &mut recovered).await {
            Ok(finding) => {
                ctx.metrics.planned(true);
                sign.say(&ctx.client, finding).await;
            }
            Err(Error::Store(error @ store::Error::Superseded { .. })) => {
                tracing::error!(%error, "another leader has taken over");
                shutdown.cancel();
                return;
            }
            Err(error) => {
                ctx.metrics.planned(false);
                tracing::warn!(%error, "no plan this time");
                let finding = Planned { made: false, reason: "LedgerUnavailable".to_owned(), message: error.to_string() };
                sign.say(&ctx.client, finding.clone()).await;
                status::not_planning(&ctx, &finding).await;
            }
        }
        let tick = async {
            match &mut wakeups {
                Some(wakeups) => drop(wakeups.recv_or_tick(ctx.timing.plan).await),
                None => tokio::time::sleep(ctx.timing.plan).await,
            }
        };
        tokio::select! {
            () = tick => {}
            () = ctx.wake.notified() => {}
            () = shutdown.cancelled() => return,
        }
        tokio::time::sleep(BURST.min(ctx.timing.plan)).await;
    }
}

async fn round(ctx: &Context, recovered: &mut bool) -> Result<Planned> {
    if *recovered {
        executor::materialize(ctx).await?;
    } else {
        executor::recover(ctx).await?;
        *recovered = true;
    }
    let policy = policy(ctx);
    let ledgered = Ledgered::read(ctx).await?;
    let now = Timestamp::now();
    let mut all = Plan::default();
    for (hotkey, view) in ctx.validators.all() {
        let snapshot = snapshot(ctx, &hotkey, &view, &ledgered, now);
        let plan = gepetto::plan(&snapshot, &policy);
        executor::execute(ctx, &hotkey, &plan, policy.mode == Mode::Active).await?;
        record_idle(ctx, &snapshot, &plan, now).await?;
        merge(&mut all, plan);
    }
    let finding = status::finding(&policy, &all);
    status::planned(ctx, &finding, &all).await;
    ctx.metrics.idle(&all);
    publish(ctx, Outlook { plan: all, claims: ledgered.claims, planned: true });
    Ok(finding)
}

/// The policy in force; without a resource a sensible one.
fn policy(ctx: &Context) -> Policy {
    ctx.watches.policies.get(crd::FLEET_NAMESPACE, DEFAULT).map(|object| object.spec.policy.clone()).unwrap_or_default()
}

fn merge(all: &mut Plan, plan: Plan) {
    all.actions.extend(plan.actions);
    all.idle.extend(plan.idle);
    all.blocked_servers.extend(plan.blocked_servers);
    all.blocked_chutes.extend(plan.blocked_chutes);
    for (chute, mut reasons) in plan.rejected {
        // There are as many as chutes times servers: they are moved, not copied into sparser maps.
        all.rejected.entry(chute).or_default().append(&mut reasons);
    }
}

/// Tells the other controllers, if there is anything new for a status.
fn publish(ctx: &Context, outlook: Outlook) {
    ctx.outlook.send_if_modified(|known| {
        let new = known.plan != outlook.plan || known.claims != outlook.claims || !known.planned;
        if new {
            *known = Arc::new(outlook);
        }
        new
    });
}

/// What is idle costs; why it is idle is worth knowing.
async fn record_idle(ctx: &Context, snapshot: &gepetto::Snapshot, plan: &Plan, now: Timestamp) -> Result<()> {
    let mut by_server: BTreeMap<&ServerName, Vec<(GpuUuid, &'static str)>> = BTreeMap::new();
    for server in &snapshot.servers {
        by_server.insert(&server.name, Vec::new());
    }
    for idle in &plan.idle {
        by_server.entry(&idle.server).or_default().push((idle.gpu.clone(), idle.reason.code()));
    }
    for (server, idle) in by_server {
        ctx.ledger.idle(server, &idle, now).await?;
    }
    Ok(())
}
