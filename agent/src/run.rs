//! The wiring.

use crate::http::{CONTROL_GATE, Public, Replays};
use crate::inventory::Looking;
use crate::metrics::Metrics;
use crate::node;
use crate::options::Options;
use crate::session::{self, Parts};
use crate::state::StateDir;
use crate::token::Keeper;
use anyhow::Context as _;
use cluster::client::{ClientSource, connect};
use gpu::Inventory;
use realize::{GpuHealthMap, GpuProcessMap, GpuProcesses};
use service::Registry;
use service::readiness::Readiness;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs the agent until it is told to stop. Stopping it stops no chute.
///
/// # Errors
/// The state folder, the node's kubeconfig or a listener cannot be used.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let shutdown = service::shutdown().context("installing signal handlers")?;
    let mut tasks = start(options, shutdown.clone()).await?;
    // A task that ends before the shutdown takes the agent down with it, and what supervises us starts it anew.
    tokio::select! {
        () = shutdown.cancelled() => {}
        ended = tasks.join_next() => {
            if let Some(Err(error)) = ended {
                anyhow::bail!("a part of the agent failed: {error}");
            }
            anyhow::ensure!(shutdown.is_cancelled(), "a part of the agent ended by itself");
        }
    }
    let _ = tokio::time::timeout(LAST_WORDS, async { while tasks.join_next().await.is_some() {} }).await;
    tasks.abort_all();
    Ok(())
}

/// Starts every part.
///
/// # Errors
/// As [`run`].
pub async fn start(options: Options, shutdown: CancellationToken) -> anyhow::Result<JoinSet<()>> {
    let state = StateDir::open(&options.state_dir)?;
    let identity = state.identity()?;
    tracing::info!(node_key = %identity.address(), fingerprint = identity.fingerprint(), "node key");
    let node_client = connect(match &options.node_kubeconfig {
        Some(path) => ClientSource::Kubeconfig(path.clone()),
        None => ClientSource::InCluster,
    })
    .await
    .context("the access to the node's cluster (--node-kubeconfig)")?;

    let readiness = Readiness::new();
    let mut registry = Registry::default();
    let metrics = Metrics::registered(&mut registry);
    let (gpus_tx, gpus) = watch::channel(None);
    let (health_tx, health) = watch::channel(GpuHealthMap::new());
    let (processes_tx, counts) = watch::channel(GpuProcessMap::new());
    let processes = GpuProcesses { counts, look: Arc::default() };
    let (node_tx, node_facts) = watch::channel(None);
    let (enrolment_tx, enrolment) = watch::channel(state.enrolment());
    let (access_tx, access) = watch::channel(None);
    let (inventory, commands) = mpsc::channel(4);
    let refused = Arc::new(Notify::new());

    let mut tasks = JoinSet::new();
    tasks.spawn(
        Looking {
            inventory: Inventory::open(options.nvml_library.as_deref()).remembering(state.seen()),
            period: Duration::from_secs(options.inventory_interval_s),
            state: state.clone(),
            health: health_tx,
            processes: processes_tx,
            look: Arc::clone(&processes.look),
            readings: gpus_tx,
            commands,
            gate: readiness.gate("nvml"),
            metrics: metrics.clone(),
        }
        .run(shutdown.clone()),
    );
    tasks.spawn(node::run(node_client.clone(), options.node_name.clone(), node_tx, readiness.gate("node-cluster"), shutdown.clone()));
    let control_gate = readiness.gate(CONTROL_GATE);
    tasks.spawn(
        Keeper {
            identity: identity.clone(),
            state: state.clone(),
            enrolment,
            access: access_tx,
            enrolled: readiness.gate("enrolled"),
            control: control_gate.clone(),
            refused: refused.clone(),
            metrics: metrics.clone(),
        }
        .run(shutdown.clone()),
    );
    let parts = Parts {
        node_client,
        gpus: gpus.clone(),
        node: node_facts.clone(),
        health,
        processes,
        inventory: inventory.clone(),
        miner: options.miner.clone(),
        fingerprint: identity.fingerprint(),
        pods: options.pods.clone(),
        gate: control_gate,
        refused,
        metrics,
    };
    tasks.spawn(session::run(parts, access, shutdown.clone()));

    let public = Public {
        miner: options.miner,
        node_name: options.node_name,
        address: options.address,
        identity,
        state,
        enrolment: enrolment_tx,
        node: node_facts,
        gpus,
        inventory,
        readiness: readiness.clone(),
        clock: || jiff::Timestamp::now().as_second(),
        replays: Replays::default(),
    };
    let listener = std::net::TcpListener::bind(options.listen).with_context(|| format!("listening on {} (--listen)", options.listen))?;
    listener.set_nonblocking(true).context("preparing the listener")?;
    tracing::info!(address = %listener.local_addr()?, "listening for the miner API");
    tasks.spawn(crate::http::serve(listener, public, shutdown.clone()));
    service::admin::serve(options.admin_listen, registry, readiness, shutdown)
        .await
        .with_context(|| format!("listening on {} (--admin-listen)", options.admin_listen))?;
    Ok(tasks)
}
