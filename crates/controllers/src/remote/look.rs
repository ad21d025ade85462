//! Looking at a remote server again and again: its node is its heartbeat, its devices its inventory.

use std::sync::Arc;
use std::time::Duration;

use cluster::call::bounded;
use cluster::watch::WatchHandle;
use crd::gpu_server::Reported;
use crd::{FLEET_NAMESPACE, GpuServer};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use protocol::device::DeviceInfo;
use protocol::key::Keypair;
use realize::{GpuHealthMap, RealizeConfig};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{State, devices, report};
use crate::validator_view::Validators;

const PERIOD: Duration = Duration::from_secs(10);
/// Devices change seldom, and the service that shows them also answers the validator.
const DEVICES_PERIOD: Duration = Duration::from_secs(60);

/// One server's task.
pub(super) struct Look {
    pub(super) control: Client,
    pub(super) node: Client,
    pub(super) servers: WatchHandle<GpuServer>,
    pub(super) validators: Validators,
    pub(super) name: String,
    pub(super) key: Arc<Keypair>,
    pub(super) state: Arc<State>,
    pub(super) health: watch::Sender<GpuHealthMap>,
}

impl Look {
    /// Looks for ever.
    pub(super) async fn run(self) {
        let http = match devices::client() {
            Ok(http) => http,
            Err(error) => return self.state.failed(format!("no TLS client: {error}")),
        };
        let mut due = Instant::now();
        loop {
            if let Some(server) = self.servers.get(FLEET_NAMESPACE, &self.name) {
                let mut found = None;
                if Instant::now() >= due {
                    found = self.devices(&http, &server).await;
                    let pause = if found.is_some() { DEVICES_PERIOD } else { PERIOD };
                    due = Instant::now() + pause;
                }
                self.look(&server, found.as_deref()).await;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn devices(&self, http: &reqwest::Client, server: &GpuServer) -> Option<Vec<DeviceInfo>> {
        match devices::devices(http, &self.key, &server.spec.address, server.spec.verification_port).await {
            Ok(devices) => Some(devices),
            Err(error) => {
                tracing::warn!(server = self.name, error, "the server's GPUs cannot be read");
                None
            }
        }
    }

    async fn look(&self, server: &GpuServer, devices: Option<&[DeviceInfo]>) {
        let api: Api<Node> = Api::all(self.node.clone());
        let name = &server.spec.node_name;
        let node = match bounded(&format!("reading Node {name}"), api.get(name)).await {
            Ok(node) => node,
            Err(error) => return self.state.failed(error.to_string()),
        };
        self.state.heard();
        let before = server.status.as_ref().and_then(|status| status.reported.clone()).unwrap_or_default();
        let after = report::report(&node, devices, self.vm_version(server), &before);
        self.health.send_replace(after.gpus.iter().map(|gpu| (gpu.uuid.clone(), gpu.health)).collect());
        if after != before {
            self.write(&after).await;
        }
    }

    /// The version of the worker's image, which only the validator tells.
    fn vm_version(&self, server: &GpuServer) -> Option<String> {
        let view = self.validators.view(&server.spec.validator)?;
        let id = server.status.as_ref()?.server_id.as_deref()?;
        view.vm_versions.get(id).cloned()
    }

    async fn write(&self, reported: &Reported) {
        let api: Api<GpuServer> = Api::namespaced(self.control.clone(), FLEET_NAMESPACE);
        let written = cluster::apply::ssa_status(&api, RealizeConfig::MANAGER, &self.name, json!({ "reported": reported })).await;
        if let Err(error) = written {
            tracing::warn!(server = self.name, %error, "the report was not written");
        }
    }
}
