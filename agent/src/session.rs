//! What runs while there is access to a control cluster: reports, the heartbeat, the realizer.

use crate::MANAGER;
use crate::control::Control;
use crate::inventory::{Command, Reading};
use crate::metrics::Metrics;
use crate::node::NodeFacts;
use crate::options::PodOptions;
use crate::report::Reporter;
use cluster::backoff::Policy;
use cluster::call::get_opt;
use cluster::heartbeat::{self, Heartbeat};
use crd::GpuServer;
use crd::gpu_server::Cluster;
use kube::Api;
use protocol::ids::Ss58;
use realize::{Deadlines, GpuHealthMap, GpuProcesses, RealizeConfig, Realizer};
use service::readiness::Gate;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use workload::NodeProfile;

/// The agent's Lease in the server's own namespace.
const LEASE: &str = "agent";
const RETRY: Duration = Duration::from_secs(5);
/// Rights that were granted a moment ago are not known everywhere yet: the first tries come fast.
const READING: Policy = Policy { first: Duration::from_millis(200), most: RETRY };
const BEAT: Duration = Duration::from_secs(10);
/// Beyond this age of the Lease the operator calls the server silent.
const BELIEVED: Duration = Duration::from_secs(40);

/// What every session needs.
#[derive(Clone)]
pub struct Parts {
    /// The cluster that runs the pods.
    pub node_client: kube::Client,
    /// The GPUs.
    pub gpus: watch::Receiver<Option<Reading>>,
    /// The node.
    pub node: watch::Receiver<Option<NodeFacts>>,
    /// The health of each GPU as last known.
    pub health: watch::Receiver<GpuHealthMap>,
    /// The processes on each GPU.
    pub processes: GpuProcesses,
    /// Orders to the inventory.
    pub inventory: mpsc::Sender<Command>,
    /// The miner's hotkey address.
    pub miner: Ss58,
    /// The fingerprint of the node key, which the Lease names: the operator tells this agent from one before it.
    pub fingerprint: String,
    /// How pods differ here from what is usual.
    pub pods: PodOptions,
    /// Open while the Lease is renewed.
    pub gate: Gate,
    /// Told when the control cluster no longer takes the token.
    pub refused: Arc<Notify>,
    /// Counters.
    pub metrics: Metrics,
}

/// Runs one session after the other, as access comes and goes. Ends with `shutdown`.
pub async fn run(parts: Parts, mut access: watch::Receiver<Option<Arc<Control>>>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let control = access.borrow_and_update().clone();
        let stop = shutdown.child_token();
        let mut tasks = control.map(|control| start(&parts, control, &stop)).unwrap_or_default();
        let mut broken = false;
        tokio::select! {
            changed = access.changed() => if changed.is_err() { return },
            // Each part runs until it is stopped. One that ended by itself must not leave the others to look like a whole.
            Some(ended) = tasks.join_next() => {
                broken = true;
                let why = ended.err().map(|error| error.to_string()).unwrap_or_else(|| "it ended by itself".to_owned());
                tracing::error!(why, "a part of the session failed; starting all of it again");
            }
            () = shutdown.cancelled() => {}
        }
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        if broken {
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}

fn start(parts: &Parts, control: Arc<Control>, stop: &CancellationToken) -> JoinSet<()> {
    tracing::info!(server = control.server, namespace = control.namespace, "connected to the control cluster");
    let mut tasks = JoinSet::new();
    let reporter = Reporter {
        control: control.clone(),
        gpus: parts.gpus.clone(),
        node: parts.node.clone(),
        inventory: parts.inventory.clone(),
        metrics: parts.metrics.clone(),
    };
    tasks.spawn(reporter.run(stop.clone()));
    tasks.spawn(realize(parts.clone(), control.clone(), stop.clone()));
    tasks.spawn(beat(parts.clone(), control.clone(), stop.clone()));
    tasks
}

async fn realize(parts: Parts, control: Arc<Control>, stop: CancellationToken) {
    let Some(server) = own_server(&control, &stop).await else { return };
    let profile = parts.pods.over(NodeProfile::of(&server));
    // On a shared cluster the chutes run where the control plane lives, and the server's own token reaches them.
    let node = if server.spec.cluster == Cluster::Shared { control.client.clone() } else { parts.node_client };
    let Ok(name) = control.server.parse() else {
        tracing::error!(server = control.server, "that is no name of a server");
        return;
    };
    let config = RealizeConfig {
        server: name,
        control: control.client.clone(),
        node,
        profile,
        miner: parts.miner,
        deadlines: Deadlines::default(),
        gpu_health: parts.health,
        gpu_processes: parts.processes,
        manager: MANAGER.to_owned(),
        looks: parts.metrics.looks(),
    };
    Realizer::new(config).run(stop).await;
}

/// The server's own resource, as soon as it can be read.
async fn own_server(control: &Control, stop: &CancellationToken) -> Option<GpuServer> {
    let servers: Api<GpuServer> = Api::namespaced(control.client.clone(), crd::FLEET_NAMESPACE);
    let mut failures = 0u32;
    loop {
        failures = failures.saturating_add(1);
        match get_opt(&servers, &control.server).await {
            Ok(Some(server)) => return Some(server),
            Ok(None) => tracing::debug!(server = control.server, "there is no such GpuServer yet"),
            Err(error) => tracing::warn!(%error, "the GpuServer cannot be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(READING.after(failures)) => {}
            () = stop.cancelled() => return None,
        }
    }
}

async fn beat(parts: Parts, control: Arc<Control>, stop: CancellationToken) {
    let heartbeat = Heartbeat {
        namespace: control.namespace.clone(),
        name: LEASE.to_owned(),
        manager: MANAGER.to_owned(),
        holder: heartbeat::holder(MANAGER, &parts.fingerprint),
        period: BEAT,
        duration: BELIEVED,
    };
    heartbeat::run(control.client.clone(), heartbeat, stop, |result| {
        parts.metrics.heartbeat(result.is_ok());
        parts.gate.follow(result);
        if result.as_ref().is_err_and(cluster::Error::is_unauthorized) {
            parts.refused.notify_one();
        }
    })
    .await;
}
