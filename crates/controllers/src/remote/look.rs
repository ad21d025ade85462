//! Looking at a remote server again and again: its node is its heartbeat, its devices its inventory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cluster::call::bounded;
use cluster::watch::WatchHandle;
use crd::gpu_server::Reported;
use crd::{ChuteDeployment, FLEET_NAMESPACE, GpuServer};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use protocol::device::DeviceInfo;
use protocol::key::Keypair;
use realize::{GpuHealthMap, RealizeConfig};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::absence::{Absences, SecondSide};
use super::report::{Answer, report};
use super::{State, devices};
use crate::validator_view::Validators;

const PERIOD: Duration = Duration::from_secs(10);
/// Devices change seldom, and the service that shows them also answers the validator.
const DEVICES_PERIOD: Duration = Duration::from_secs(60);

/// One server's task.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) control: Client,
    pub(super) node: Client,
    pub(super) servers: WatchHandle<GpuServer>,
    pub(super) deployments: WatchHandle<ChuteDeployment>,
    pub(super) validators: Validators,
    /// No list of the validator may be older to be a second side.
    pub(super) oldest_list: Duration,
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
        let mut absences = Absences::default();
        loop {
            if let Some(server) = self.servers.get(FLEET_NAMESPACE, &self.name) {
                let mut found = None;
                if Instant::now() >= due {
                    found = self.devices(&http, &server).await;
                    let pause = if found.is_some() { DEVICES_PERIOD } else { PERIOD };
                    due = Instant::now() + pause;
                }
                self.look(&server, found.as_deref(), &mut absences).await;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn devices(&self, http: &reqwest::Client, server: &GpuServer) -> Option<Vec<DeviceInfo>> {
        match devices::devices(http, &self.key, &server.spec.address, server.spec.verification_port).await {
            Ok(devices) => {
                if devices.is_empty() {
                    tracing::warn!(server = self.name, "the attestation service shows no GPU at all: its driver does not answer just now");
                }
                Some(devices)
            }
            Err(error) => {
                tracing::warn!(server = self.name, error, "the server's GPUs cannot be read");
                None
            }
        }
    }

    async fn look(&self, server: &GpuServer, devices: Option<&[DeviceInfo]>, absences: &mut Absences) {
        let api: Api<Node> = Api::all(self.node.clone());
        let name = &server.spec.node_name;
        let node = match bounded(&format!("reading Node {name}"), api.get(name)).await {
            Ok(node) => node,
            Err(error) => return self.state.failed(error.to_string()),
        };
        self.state.heard();
        let before = server.status.as_ref().and_then(|status| status.reported.clone()).unwrap_or_default();
        let after = self.compose(server, &node, devices, absences, &before);
        self.health.send_replace(after.gpus.iter().map(|gpu| (gpu.uuid.clone(), gpu.health)).collect());
        if after != before {
            self.write(&after).await;
        }
    }

    fn compose(
        &self,
        server: &GpuServer,
        node: &Node,
        devices: Option<&[DeviceInfo]>,
        absences: &mut Absences,
        before: &Reported,
    ) -> Reported {
        if let Some(devices) = devices {
            absences.observe(devices, &before.gpus, Instant::now());
        }
        let second = self.second_side(server);
        let verdict = |gpu: &_| absences.verdict(gpu, &second);
        let answer = devices.map(|devices| Answer { devices, verdict: &verdict });
        report(node, answer.as_ref(), self.vm_version(server), before)
    }

    /// The version of the worker's image, which only the validator tells.
    fn vm_version(&self, server: &GpuServer) -> Option<String> {
        let view = self.validators.view(&server.spec.validator)?;
        let id = server.status.as_ref()?.server_id.as_deref()?;
        view.vm_versions.get(id).cloned()
    }

    /// The GPUs with an instance that the validator lists, be it by their UUID or by the deployment that it belongs to.
    fn second_side(&self, server: &GpuServer) -> SecondSide {
        let view = self.validators.view(&server.spec.validator)?;
        if !view.instances_source().trusted(jiff::Timestamp::now(), self.oldest_list) {
            return None;
        }
        let mut held: BTreeSet<_> = view.inventory.keys().cloned().collect();
        for deployment in self.deployments.all().iter().filter(|deployment| deployment.spec.server == *self.name) {
            let instance = deployment.status.as_ref().and_then(|status| status.instance_id.as_ref());
            if instance.is_some_and(|id| view.instances.contains_key(id)) {
                held.extend(deployment.spec.gpus.iter().cloned());
            }
        }
        Some(held)
    }

    async fn write(&self, reported: &Reported) {
        let api: Api<GpuServer> = Api::namespaced(self.control.clone(), FLEET_NAMESPACE);
        let written = cluster::apply::ssa_status(&api, RealizeConfig::MANAGER, &self.name, json!({ "reported": reported })).await;
        if let Err(error) = written {
            tracing::warn!(server = self.name, %error, "the report was not written");
        }
    }
}
