//! Servers the operator drives itself, over their kubeconfig: sealed workers admit no agent of ours.
//!
//! Each has a task that reports on its node, and a realizer. Nothing here decides; what an agent would do is done from afar.

mod absence;
mod devices;
mod look;
mod report;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster::backoff::Policy;
use cluster::call::get_opt;
use cluster::client::{ClientSource, connect};
use cluster::supervise::keep_running;
use crd::GpuServer;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt as _};
use protocol::ids::Ss58;
use protocol::key::Keypair;
use realize::{Deadlines, GpuProcesses, RealizeConfig, Realizer};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use workload::NodeProfile;

use crate::{Context, Error, Result};

/// The key of the kubeconfig in its Secret.
const KUBECONFIG_KEY: &str = "kubeconfig";

/// The servers that are driven from here.
pub struct Remotes {
    links: Mutex<BTreeMap<String, Link>>,
    miner: Ss58,
    key: Arc<Keypair>,
}

struct Link {
    fingerprint: u64,
    stop: CancellationToken,
    state: Arc<State>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the task of a server found last.
#[derive(Default)]
pub(crate) struct State {
    inner: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    heard: Option<Instant>,
    problem: Option<String>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Found> {
        // Every change is one assignment: a panic in between leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn heard(&self) {
        let mut found = self.lock();
        found.heard = Some(Instant::now());
        found.problem = None;
    }

    pub(crate) fn failed(&self, problem: String) {
        self.lock().problem = Some(problem);
    }
}

impl Remotes {
    /// Nobody yet. Requests to attestation services are signed with `key`.
    #[must_use]
    pub fn new(miner: Ss58, key: Arc<Keypair>) -> Self {
        Self { links: Mutex::default(), miner, key }
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<String, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, server: &str) -> Option<Arc<State>> {
        self.links().get(server).map(|link| Arc::clone(&link.state))
    }

    /// Whether the server's node has not answered for so long.
    #[must_use]
    pub fn silent(&self, server: &str, believed: Duration) -> bool {
        let heard = self.state(server).and_then(|state| state.lock().heard);
        heard.is_none_or(|heard| heard.elapsed() > believed)
    }

    /// What stands in the way of driving the server; nothing if its node answered last.
    #[must_use]
    pub fn problem(&self, server: &str) -> Option<String> {
        match self.state(server) {
            None => Some("its kubeconfig has not been read yet".to_owned()),
            Some(state) => {
                let found = state.lock();
                found.problem.clone().or_else(|| found.heard.is_none().then(|| "its node has not answered yet".to_owned()))
            }
        }
    }

    /// Drives the server from now on; a changed kubeconfig or profile begins anew. Problems are told by [`Remotes::problem`].
    pub async fn drive(&self, ctx: &Context, server: &GpuServer) {
        let name = server.name_any();
        match begin(ctx, server).await {
            Ok((fingerprint, client)) => {
                if self.links().get(&name).is_some_and(|link| link.fingerprint == fingerprint) {
                    return;
                }
                let state = Arc::new(State::default());
                let stop = CancellationToken::new();
                if let Err(error) = self.start(ctx, server, client, &state, &stop) {
                    state.failed(error.to_string());
                }
                self.links().insert(name, Link { fingerprint, stop, state });
            }
            Err(error) => match self.state(&name) {
                Some(state) => {
                    tracing::warn!(server = name, %error, because = ?state.lock().problem, "the kubeconfig could not be read again")
                }
                None => {
                    let state = Arc::new(State::default());
                    state.failed(error.to_string());
                    self.links().insert(name, Link { fingerprint: 0, stop: CancellationToken::new(), state });
                }
            },
        }
    }

    fn start(&self, ctx: &Context, server: &GpuServer, node: Client, state: &Arc<State>, stop: &CancellationToken) -> Result<()> {
        let name = server.name_any().parse().map_err(|error| Error::Waiting(format!("{error}")))?;
        let (health, gpu_health) = watch::channel(realize::GpuHealthMap::default());
        let config = RealizeConfig {
            server: name,
            control: ctx.client.clone(),
            node: node.clone(),
            profile: NodeProfile::of(server),
            miner: self.miner.clone(),
            deadlines: Deadlines::default(),
            gpu_health,
            gpu_processes: GpuProcesses::unknown(),
            manager: RealizeConfig::MANAGER.to_owned(),
            looks: ctx.metrics.looks(),
        };
        let look = look::Look {
            control: ctx.client.clone(),
            node,
            servers: ctx.watches.servers.clone(),
            deployments: ctx.watches.deployments.clone(),
            validators: ctx.validators.clone(),
            oldest_list: ctx.timing.oldest_list,
            name: server.name_any(),
            key: Arc::clone(&self.key),
            state: Arc::clone(state),
            health,
        };
        let (task, label, token) = (stop.clone(), format!("realizer of {}", look.name), stop.clone());
        tokio::spawn(async move {
            keep_running(&label, Policy::default(), task, |_| Realizer::new(config.clone()).run(token.clone())).await;
        });
        let (task, label) = (stop.clone(), format!("reporter of {}", look.name));
        tokio::spawn(async move {
            keep_running(&label, Policy::default(), task.clone(), |last| {
                if let Some(how) = last {
                    look.state.failed(format!("its reporter in the operator failed: {how}"));
                }
                let (look, stop) = (look.clone(), task.clone());
                async move {
                    tokio::select! {
                        () = look.run() => {}
                        () = stop.cancelled() => {}
                    }
                }
            })
            .await;
        });
        Ok(())
    }

    /// Drives a server no longer. What runs there runs on.
    pub fn forget(&self, server: &str) {
        self.links().remove(server);
    }

    /// Drives nobody any longer.
    pub fn end(&self) {
        self.links().clear();
    }
}

/// Reads the kubeconfig and makes a client of it.
async fn begin(ctx: &Context, server: &GpuServer) -> Result<(u64, Client)> {
    let remote = server.spec.driver.remote.as_ref().ok_or_else(|| Error::Waiting("it has no remote driver".to_owned()))?;
    let (namespace, name) = (crd::node_namespace(&server.name_any()), &remote.kubeconfig_secret_ref.name);
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
    let secret = get_opt(&api, name).await?;
    let bytes = secret.and_then(|secret| secret.data?.remove(KUBECONFIG_KEY)).map(|bytes| bytes.0);
    let missing = || {
        Error::Waiting(format!(
            "there is no Secret {name} with key {KUBECONFIG_KEY} in namespace {namespace}; create it with: \
             kubectl -n {namespace} create secret generic {name} --from-file={KUBECONFIG_KEY}=FILE"
        ))
    };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(missing)?;
    let mut hasher = DefaultHasher::new();
    let vm = server.status.as_ref().and_then(|status| status.reported.as_ref()?.versions.as_ref()?.vm.clone());
    // What the profile is made of: a new version of the worker's image wants other variables.
    (&text, remote.profile.as_str(), &server.spec.node_name, &server.spec.address, vm).hash(&mut hasher);
    let client = connect(ClientSource::ForeignKubeconfig(text)).await?;
    Ok((hasher.finish(), client))
}
