//! [`Fleet`] over the control cluster.

use super::{MANAGER, watches::Watches};
use crate::ports::fleet::{AgentToken, Fleet, FleetError, OperatorSigns, Source, View};
use async_trait::async_trait;
use cluster::{
    Error,
    apply::{self, Created, Deleted, Propagation},
    call::bounded,
};
use crd::{ChuteDeployment, FLEET_NAMESPACE, GpuServer, annotations, gpu_server::Hold, labels, node_namespace};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, Secret, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use protocol::ids::Ss58;
use serde_json::json;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// The service account of a server's agent.
const AGENT: &str = "agent";
/// Life of an agent's token in seconds.
const TOKEN_LIFE_S: i64 = 3600;
/// Tries of a read-change-write before it gives up.
const TRIES: u32 = 5;

/// The control cluster.
pub struct KubeFleet {
    pub(super) client: Client,
    pub(crate) watches: Watches,
    changes: watch::Sender<u64>,
}

impl KubeFleet {
    /// Starts the watches. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(client: Client) -> Self {
        let watches = Watches::start(&client);
        let (changes, _) = watch::channel(0u64);
        let sender = changes.clone();
        let mut touches = watches.servers.subscribe();
        tokio::spawn(async move {
            while touches.next().await.is_some() {
                sender.send_modify(|count| *count = count.wrapping_add(1));
            }
        });
        Self { client, watches, changes }
    }

    /// Waits until every kind was listed once.
    pub async fn ready(&self) {
        self.watches.ready().await;
    }

    /// How old what each watch says is.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        self.watches.sources()
    }

    fn servers(&self) -> Api<GpuServer> {
        Api::namespaced(self.client.clone(), FLEET_NAMESPACE)
    }
}

/// Whether the hold that is there does what the wanted one does. One that lapses is not one that lasts.
fn settled(there: Option<&Hold>, wanted: Option<&Hold>) -> bool {
    match (there, wanted) {
        (None, None) => true,
        (Some(there), Some(wanted)) => there.until == wanted.until,
        _ => false,
    }
}

fn outcome(error: Error) -> FleetError {
    if error.is_not_found() {
        FleetError::NotFound
    } else if error.is_already_exists() {
        FleetError::Exists
    } else if error.is_invalid() || error.is_forbidden() {
        FleetError::Refused(error.to_string())
    } else {
        FleetError::Away(error.to_string())
    }
}

#[async_trait]
impl Fleet for KubeFleet {
    fn view(&self) -> View {
        self.watches.view()
    }

    async fn operator(&self) -> Result<OperatorSigns, FleetError> {
        super::operator::signs(&self.client).await.map_err(outcome)
    }

    fn server_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn ensure_namespace(&self, server: &str) -> Result<(), FleetError> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(node_namespace(server)), labels: Some(our_labels(server)), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        apply::create(&api, &namespace).await.map(drop).map_err(outcome)
    }

    async fn keep_kubeconfig(&self, server: &str, kubeconfig: &str) -> Result<String, FleetError> {
        const NAME: &str = "kubeconfig";
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &node_namespace(server));
        let secret = Secret {
            metadata: ObjectMeta { name: Some(NAME.to_owned()), labels: Some(our_labels(server)), ..ObjectMeta::default() },
            string_data: Some([(NAME.to_owned(), kubeconfig.to_owned())].into()),
            ..Secret::default()
        };
        // The API server's words could quote the object: only the kind of refusal is passed on.
        apply::ssa(&api, MANAGER, &secret).await.map(|_| NAME.to_owned()).map_err(|error| match outcome(error) {
            FleetError::Refused(_) => FleetError::Refused("the kubeconfig could not be kept as a Secret".to_owned()),
            other => other,
        })
    }

    async fn create_server(&self, server: &GpuServer) -> Result<GpuServer, FleetError> {
        match apply::create(&self.servers(), server).await.map_err(outcome)? {
            Created::Created(made) => Ok(made),
            Created::Existed => Err(FleetError::Exists),
        }
    }

    async fn server(&self, name: &str) -> Result<GpuServer, FleetError> {
        bounded("reading a GpuServer", self.servers().get(name)).await.map_err(outcome)
    }

    async fn pin(&self, seen: &GpuServer, node_key: &Ss58, agent_api: &str) -> Result<GpuServer, FleetError> {
        let Some(name) = &seen.metadata.name else { return Err(FleetError::NotFound) };
        let pinned = |server: &GpuServer| server.spec.driver.agent.as_ref().map(|agent| agent.node_key.clone());
        for _ in 0..TRIES {
            let now = self.server(name).await?;
            if now.metadata.uid != seen.metadata.uid || pinned(&now) != pinned(seen) {
                return Err(FleetError::Changed);
            }
            // The resource version makes this a compare-and-swap: of two enrolments at once only one pins its key.
            let patch = json!({
                "metadata": { "uid": now.metadata.uid, "resourceVersion": now.metadata.resource_version },
                "spec": { "driver": { "agent": { "nodeKey": node_key, "api": agent_api } } },
            });
            match bounded("pinning a node key", self.servers().patch(name, &params(), &Patch::Merge(&patch))).await {
                Err(error) if error.is_conflict() => {}
                result => return result.map_err(outcome),
            }
        }
        Err(FleetError::Away("the server changes too fast to be enrolled again".to_owned()))
    }

    async fn set_hold(&self, server: &str, owner: &str, hold: Option<Hold>) -> Result<GpuServer, FleetError> {
        let api = self.servers();
        for _ in 0..TRIES {
            let now = bounded("reading a GpuServer", api.get(server)).await.map_err(outcome)?;
            if settled(now.spec.holds.iter().find(|one| one.owner == owner), hold.as_ref()) {
                return Ok(now);
            }
            let mut holds = now.spec.holds.clone();
            holds.retain(|one| one.owner != owner);
            holds.extend(hold.clone());
            // The resource version makes this a compare-and-swap: a hold that another owner sets meanwhile is not lost.
            let patch = json!({ "metadata": { "resourceVersion": now.metadata.resource_version }, "spec": { "holds": holds } });
            match bounded("changing the holds of a GpuServer", api.patch(server, &params(), &Patch::Merge(&patch))).await {
                Err(error) if error.is_conflict() => {}
                result => return result.map_err(outcome),
            }
        }
        Err(FleetError::Away("the server changes too fast to be locked or unlocked".to_owned()))
    }

    async fn delete_server(&self, server: &GpuServer, lost: bool) -> Result<(), FleetError> {
        let (Some(name), Some(uid)) = (&server.metadata.name, &server.metadata.uid) else { return Err(FleetError::NotFound) };
        let mut marks = json!({ annotations::CONFIRM_DELETE: name });
        if lost {
            marks[annotations::LOST] = json!("true");
        }
        // The UID makes sure that it is the server the person saw, not a namesake added since.
        let patch = json!({ "metadata": { "uid": uid, "annotations": marks } });
        match bounded("confirming the deletion of a GpuServer", self.servers().patch(name, &params(), &Patch::Merge(&patch))).await {
            Err(error) if error.is_conflict() => return Err(FleetError::NotFound),
            result => result.map(drop).map_err(outcome)?,
        }
        match apply::delete_uid(&self.servers(), name, uid, Propagation::Background).await.map_err(outcome)? {
            Deleted::Deleted | Deleted::Gone => Ok(()),
            Deleted::Replaced => Err(FleetError::NotFound),
        }
    }

    async fn stop_deployment(&self, deployment: &ChuteDeployment) -> Result<(), FleetError> {
        let (Some(name), Some(namespace)) = (&deployment.metadata.name, &deployment.metadata.namespace) else {
            return Err(FleetError::NotFound);
        };
        let api: Api<ChuteDeployment> = Api::namespaced(self.client.clone(), namespace);
        let patch = json!({ "metadata": { "uid": deployment.metadata.uid }, "spec": { "runState": "Stopped" } });
        match bounded("stopping a ChuteDeployment", api.patch(name, &params(), &Patch::Merge(&patch))).await {
            Err(error) if error.is_conflict() => Err(FleetError::NotFound),
            result => result.map(drop).map_err(outcome),
        }
    }

    async fn agent_token(&self, server: &str) -> Result<AgentToken, FleetError> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &node_namespace(server));
        let wish = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_LIFE_S), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let made = bounded("requesting a token", api.create_token_request(AGENT, &PostParams::default(), &wish)).await.map_err(outcome)?;
        let status = made.status.ok_or_else(|| FleetError::Away("the API server answered without a token".to_owned()))?;
        let expires_at: Timestamp = status.expiration_timestamp.0;
        Ok(AgentToken { token: service::redact::Redacted::new(status.token), expires_at })
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

fn our_labels(server: &str) -> BTreeMap<String, String> {
    [(labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned()), (labels::SERVER.to_owned(), server.to_owned())].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_that_lapses_is_not_the_one_that_lasts() {
        let until = |at: &str| serde_json::from_value(serde_json::json!(at)).unwrap();
        let hold = |at: Option<&str>| Hold { owner: "person".into(), reason: "x".into(), until: at.map(until) };
        let (lasting, lapsing) = (hold(None), hold(Some("2026-01-01T00:00:00Z")));
        assert!(settled(None, None) && settled(Some(&lasting), Some(&lasting)));
        assert!(settled(Some(&Hold { reason: "from Git".into(), ..lasting.clone() }), Some(&lasting)));
        assert!(!settled(Some(&lapsing), Some(&lasting)), "a lock must not lapse with the hold that was there before");
        assert!(!settled(Some(&lasting), None) && !settled(None, Some(&lasting)));
    }
}
