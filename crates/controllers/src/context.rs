//! What every controller is handed: clients, watches, what the validators say, the leader's epoch.

use std::sync::Arc;

use cluster::events::Recorder;
use cluster::watch::{WatchHandle, WatchOptions, source, source_pruned};
use crd::{Chute, ChuteDeployment, GepettoPolicy, GpuServer, Validator};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use protocol::ids::{GpuUuid, ServerName, Ss58};
use store::{Claim, Epoch, Store};
use tokio::sync::{Notify, watch};

use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::validator_view::Validators;
use crate::{Timing, remote::Remotes};

/// The field manager of everything the operator applies.
pub const MANAGER: &str = "gepetto-operator";

/// What every controller is handed.
pub struct Context {
    /// Client of the control cluster.
    pub client: Client,
    /// The ledger.
    pub store: Store,
    /// The term under which this leader decides.
    pub epoch: Epoch,
    /// Who this leader is on its Lease.
    pub identity: String,
    /// The miner's hotkey address.
    pub miner: Ss58,
    /// Intervals and deadlines.
    pub timing: Timing,
    /// A registry to pull from in place of the validators' own.
    pub registry_override: Option<String>,
    /// What the control cluster holds.
    pub watches: Watches,
    /// What the validators say.
    pub validators: Validators,
    /// Events for people.
    pub events: Recorder,
    /// Money and history.
    pub ledger: Ledger,
    /// Servers that the operator drives itself.
    pub remotes: Remotes,
    /// Counters.
    pub metrics: Metrics,
    /// The last plan and what it was made of.
    pub outlook: watch::Sender<Arc<Outlook>>,
    /// Makes the planner look at once.
    pub wake: Notify,
}

/// The last plan, for statuses.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// The plan, all validators together.
    pub plan: gepetto::Plan,
    /// Who holds which GPU.
    pub claims: Vec<Claim>,
    /// Whether a plan was made at all.
    pub planned: bool,
}

impl Outlook {
    /// How many of a server's GPUs are held.
    #[must_use]
    pub fn busy(&self, server: &ServerName) -> usize {
        self.claims.iter().filter(|claim| claim.server == *server).count()
    }

    /// Whether a GPU is held.
    #[must_use]
    pub fn holds(&self, gpu: &GpuUuid) -> bool {
        self.claims.iter().any(|claim| claim.gpu == *gpu)
    }
}

/// What the control cluster holds.
#[derive(Clone)]
pub struct Watches {
    /// Validators.
    pub validators: WatchHandle<Validator>,
    /// Servers.
    pub servers: WatchHandle<GpuServer>,
    /// Chutes.
    pub chutes: WatchHandle<Chute>,
    /// Deployments, in all namespaces.
    pub deployments: WatchHandle<ChuteDeployment>,
    /// The policy.
    pub policies: WatchHandle<GepettoPolicy>,
    /// The agents' heartbeats, in all namespaces.
    pub leases: WatchHandle<Lease>,
}

/// The name of an agent's Lease in its server's namespace.
pub(crate) const AGENT_LEASE: &str = "agent";

impl Watches {
    /// Starts all watches.
    #[must_use]
    pub fn start(client: &Client) -> Self {
        let fleet = crd::FLEET_NAMESPACE;
        Self {
            validators: source(Api::namespaced(client.clone(), fleet), WatchOptions::default()),
            servers: source(Api::namespaced(client.clone(), fleet), WatchOptions::default()),
            // By the hundreds, and nobody here selects by their labels.
            chutes: source_pruned(Api::namespaced(client.clone(), fleet), WatchOptions::default(), |chute: &mut Chute| {
                chute.metadata.labels = None;
            }),
            deployments: source(Api::all(client.clone()), WatchOptions::default()),
            policies: source(Api::namespaced(client.clone(), fleet), WatchOptions::default()),
            leases: source(Api::all(client.clone()), WatchOptions::default().fields(format!("metadata.name={AGENT_LEASE}"))),
        }
    }

    /// Waits until every store was filled once.
    pub async fn ready(&self) {
        self.validators.ready().await;
        self.servers.ready().await;
        self.chutes.ready().await;
        self.deployments.ready().await;
        self.policies.ready().await;
        self.leases.ready().await;
    }

    /// Name and age in seconds of every watch, for metrics and readiness.
    #[must_use]
    pub fn freshness(&self) -> [&cluster::watch::Freshness; 6] {
        [
            &self.validators.freshness,
            &self.servers.freshness,
            &self.chutes.freshness,
            &self.deployments.freshness,
            &self.policies.freshness,
            &self.leases.freshness,
        ]
    }

    /// Whether all of them were heard of lately.
    #[must_use]
    pub fn fresh(&self, oldest: std::time::Duration) -> bool {
        self.freshness().iter().all(|freshness| freshness.within(oldest))
    }
}

impl Context {
    /// The resource of a server.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<Arc<GpuServer>> {
        self.watches.servers.get(crd::FLEET_NAMESPACE, name)
    }

    /// Whether the reporter of a server has been silent for too long.
    #[must_use]
    pub fn silent(&self, server: &GpuServer, now: jiff::Timestamp) -> bool {
        let Some(name) = server.metadata.name.as_deref() else { return true };
        if server.spec.driver.remote.is_some() {
            return self.remotes.silent(name, self.timing.heartbeat);
        }
        let lease = self.watches.leases.get(&crd::node_namespace(name), AGENT_LEASE);
        let renewed = lease.as_deref().and_then(cluster::heartbeat::renewed);
        cluster::heartbeat::silent(renewed, now, self.timing.heartbeat)
    }

    /// The API of a server's deployments.
    #[must_use]
    pub fn deployments_of(&self, namespace: &str) -> Api<ChuteDeployment> {
        Api::namespaced(self.client.clone(), namespace)
    }
}
