//! The snapshot for the planner: custom resources, claims and the validator's lists, put together without judging them.

mod chutes;
mod servers;
mod setbacks;

use std::collections::{BTreeMap, BTreeSet};

use crd::ChuteDeployment;
use crd::chute_deployment::Phase;
use gepetto::Snapshot;
use gepetto::snapshot::{Deployment, Source, Sources, Stage};
use jiff::Timestamp;
use kube::ResourceExt as _;
use protocol::ids::{DeploymentId, GpuUuid, Ss58};
use store::{Claim, Refusals};

use crate::validator_view::View;
use crate::{Context, Result};

pub use setbacks::setbacks;

/// What of the snapshot comes from the ledger; the same for all validators.
pub struct Ledgered {
    /// Who holds which GPU.
    pub claims: Vec<Claim>,
    /// The latest deployments, newest first.
    pub recent: Vec<store::Deployment>,
    /// Those of them that the validator refused.
    pub refusals: Vec<Refusals>,
    /// When it was read.
    pub as_of: Timestamp,
}

/// So many deployments are looked at for launches that failed lately.
const RECENT: u32 = 500;

impl Ledgered {
    /// Reads it.
    ///
    /// # Errors
    /// The store's.
    pub async fn read(ctx: &Context) -> Result<Self> {
        let as_of = Timestamp::now();
        Ok(Self {
            claims: ctx.store.open_claims().await?,
            recent: ctx.store.deployments_recent(RECENT).await?,
            refusals: ctx.store.refusals_recent(RECENT).await?,
            as_of,
        })
    }
}

/// The snapshot of one validator's part of the fleet.
#[must_use]
pub fn snapshot(ctx: &Context, validator: &Ss58, view: &View, ledgered: &Ledgered, now: Timestamp) -> Snapshot {
    let claims: BTreeMap<&GpuUuid, &DeploymentId> = ledgered.claims.iter().map(|c| (&c.gpu, &c.deployment)).collect();
    let deployments = deployments(ctx, validator, &claims, &ledgered.recent);
    let fresh = ctx.watches.fresh(ctx.timing.oldest_watch);
    let all_decoded = ctx.watches.deployments.undecodable().is_empty();
    let sources = Sources {
        resources: Source { as_of: fresh.then_some(now), complete: all_decoded },
        claims: Source::complete(ledgered.as_of),
        chutes: view.offers.source(),
        instances: view.instances_source(),
        nodes: view.nodes_source(),
        utilization: view.offers.wanted_source(),
        oldest: ctx.timing.oldest_list,
    };
    Snapshot {
        now,
        sources,
        servers: servers::servers(ctx, validator, view, &claims, &deployments, now),
        chutes: chutes::chutes(ctx, validator, view, &setbacks::denied(&ledgered.recent, &ledgered.refusals)),
        deployments,
        setbacks: setbacks(&ledgered.recent, &ledgered.refusals, validator),
    }
}

fn deployments(
    ctx: &Context,
    validator: &Ss58,
    claims: &BTreeMap<&GpuUuid, &DeploymentId>,
    recent: &[store::Deployment],
) -> Vec<Deployment> {
    let objects = ctx.watches.deployments.all();
    let ours = objects.iter().filter(|object| object.spec.validator == *validator);
    let mut found: Vec<Deployment> = ours.filter_map(|object| deployment(object, claims)).collect();
    // Decided a moment ago: the watch does not show them yet.
    let known: BTreeSet<&DeploymentId> = objects.iter().map(|object| &object.spec.deployment_id).collect();
    let unseen = recent.iter().filter(|row| row.ended_at.is_none() && row.validator == *validator && !known.contains(&row.id));
    found.extend(unseen.map(|row| Deployment {
        id: row.id.clone(),
        chute: row.chute_id.clone(),
        version: row.version.clone(),
        server: row.server.clone(),
        gpus: row.gpus.clone(),
        stage: Stage::Asking,
        created_at: row.created_at,
        claimed_at: None,
        active_at: None,
    }));
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// Ended ones are left out, and so are those that gave their GPUs back and only wait for their Service to go.
fn deployment(object: &ChuteDeployment, claims: &BTreeMap<&GpuUuid, &DeploymentId>) -> Option<Deployment> {
    let spec = &object.spec;
    let phase = object.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending);
    let ending = phase == Phase::Stopping || spec.run_state == crd::chute_deployment::RunState::Stopped;
    let holds = spec.gpus.iter().any(|gpu| claims.get(gpu).is_some_and(|holder| **holder == spec.deployment_id));
    if phase.is_terminal() || (ending && !holds) {
        return None;
    }
    let stage = match phase {
        _ if ending => Stage::Ending,
        Phase::Active => Stage::Active,
        Phase::Pending => Stage::Asking,
        _ => Stage::Launching,
    };
    let reached = |wanted: &[Phase]| {
        let reached = object.status.iter().flat_map(|status| &status.reached);
        reached.filter(|reached| wanted.contains(&reached.phase)).map(|reached| reached.at.0).min()
    };
    Some(Deployment {
        id: spec.deployment_id.clone(),
        chute: spec.chute.id.clone(),
        version: spec.chute.version.clone(),
        server: spec.server.clone(),
        gpus: spec.gpus.clone(),
        stage,
        created_at: object.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |at| at.0),
        claimed_at: reached(&[Phase::Claimed, Phase::Verified, Phase::Active]),
        active_at: reached(&[Phase::Active]),
    })
}
