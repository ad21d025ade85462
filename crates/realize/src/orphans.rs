//! What stands on the node for deployments that the control cluster does not have. Only reported: whether an orphan is adopted or
//! ended is the operator's to decide, who knows what the validator knows.

use crate::observe::{Devices, job_devices, pod_devices};
use crd::{ChuteDeployment, labels};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Pod, Service},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use protocol::ids::{ConfigId, DeploymentId, GpuUuid};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};
use workload::names::deployment_of;

/// Objects on the node that no ChuteDeployment stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The deployment their labels name.
    pub deployment_id: DeploymentId,
    /// Whether we made them; otherwise the existing miner did.
    pub ours: bool,
    /// The chute, by their labels.
    pub chute_id: Option<String>,
    /// Its version, by their labels.
    pub version: Option<String>,
    /// The launch config, by their labels; by it the validator's instance is found.
    pub config_id: Option<ConfigId>,
    /// Name and UID of the Job.
    pub job: Option<(String, String)>,
    /// Name and UID of the Service.
    pub service: Option<(String, String)>,
    /// Names and UIDs of the pods.
    pub pods: Vec<(String, String)>,
    /// GPUs they hold.
    pub gpus: Vec<GpuUuid>,
}

pub(crate) fn find(deployments: &[Arc<ChuteDeployment>], jobs: &[Arc<Job>], services: &[Arc<Service>], pods: &[Arc<Pod>]) -> Vec<Orphan> {
    let known: HashSet<&DeploymentId> = deployments.iter().map(|deployment| &deployment.spec.deployment_id).collect();
    let mut found: BTreeMap<DeploymentId, Orphan> = BTreeMap::new();
    let mut note = |meta: &ObjectMeta, devices: Devices, place: fn(&mut Orphan, (String, String))| {
        let Some(id) = deployment_of(meta.labels.as_ref()).filter(|id| !known.contains(id)) else { return };
        let label = |key: &str| meta.labels.as_ref().and_then(|all| all.get(key)).cloned();
        let orphan = found.entry(id.clone()).or_insert_with(|| Orphan {
            deployment_id: id,
            ours: false,
            chute_id: None,
            version: None,
            config_id: None,
            job: None,
            service: None,
            pods: Vec::new(),
            gpus: Vec::new(),
        });
        orphan.ours |= label(labels::MANAGED_BY).as_deref() == Some(labels::MANAGER);
        orphan.chute_id = orphan.chute_id.take().or_else(|| label(labels::CHUTE_ID));
        orphan.version = orphan.version.take().or_else(|| label(labels::VERSION));
        orphan.config_id = orphan.config_id.take().or_else(|| label(labels::CONFIG_ID)?.parse().ok());
        orphan.gpus.extend(devices.named);
        orphan.gpus.sort();
        orphan.gpus.dedup();
        place(orphan, (meta.name.clone().unwrap_or_default(), meta.uid.clone().unwrap_or_default()));
    };
    for job in jobs {
        note(&job.metadata, job_devices(job), |orphan, name| orphan.job = Some(name));
    }
    for service in services {
        note(&service.metadata, Devices::default(), |orphan, name| orphan.service = Some(name));
    }
    for pod in pods {
        note(&pod.metadata, pod_devices(pod), |orphan, name| orphan.pods.push(name));
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_belongs_together_is_one_orphan_and_what_is_known_is_none() {
        let id = "3f0f9f9e-0b1a-4c5d-8e7f-112233445566";
        let labels = json!({"chutes/deployment-id": id, "chutes/chute-id": "c", "chutes/config-id": "cfg", "app.kubernetes.io/managed-by": "gepetto-fleet"});
        let job: Job = serde_json::from_value(json!({"metadata": {"name": "j", "uid": "1", "labels": labels}})).unwrap();
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "uid": "2", "labels": labels}, "spec": {"containers": [
            {"name": "chute", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "GPU-0123abcd-0123-0123-0123-0123456789ab"}]}]}}))
        .unwrap();
        let stranger: Pod =
            serde_json::from_value(json!({"metadata": {"name": "s", "uid": "3", "labels": {"chutes/chute": "true"}}})).unwrap();
        let found = find(&[], &[Arc::new(job)], &[], &[Arc::new(pod), Arc::new(stranger)]);
        assert_eq!(found.len(), 1);
        let orphan = &found[0];
        assert!(orphan.ours);
        assert_eq!((orphan.job.clone().unwrap().0, orphan.pods.len(), orphan.gpus.len()), ("j".to_owned(), 1, 1));
        assert_eq!(orphan.config_id.as_ref().unwrap(), &"cfg");
    }
}
