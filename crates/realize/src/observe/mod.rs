//! What stands on the node, in the few words that decisions are made of.

mod gpus;
mod pod;
mod prune;
mod stranger;

pub use gpus::{Devices, Holder, devices_of};
pub(crate) use gpus::{job_devices, pod_devices};
pub use pod::{Ended, SeenPod, Trouble};
pub(crate) use prune::{job as prune_job, pod as prune_pod};
pub(crate) use stranger::{prune_stranger, stranger_devices};

use crd::chute_deployment::NodePort;
use k8s_openapi::api::{batch::v1::Job, core::v1::Service};
use protocol::ids::GpuUuid;

/// What stands on the node for one deployment, and what stands in its way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Its Service.
    pub service: Option<SeenService>,
    /// Its Job.
    pub job: Option<SeenJob>,
    /// Its pods, oldest first; more than one only if somebody else meddles.
    pub pods: Vec<SeenPod>,
    /// Living pods or Jobs of others, or processes, that hold one of its GPUs.
    pub held: Vec<Holder>,
    /// Its GPUs that are known to be lost.
    pub lost: Vec<GpuUuid>,
    /// The API server itself, not a cache, just said that the Job is gone; pods and Service here are then its word, too.
    pub confirmed_gone: bool,
    /// The launch Secret on the node was just deleted, or is known not to be.
    pub secret_gone: bool,
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenService {
    /// Its UID.
    pub uid: String,
    /// Its node ports, once every port has one.
    pub node_ports: Option<Vec<NodePort>>,
    /// It is being deleted.
    pub deleting: bool,
}

impl SeenService {
    /// What matters of a Service.
    #[must_use]
    pub fn of(service: &Service) -> Option<Self> {
        Some(Self {
            uid: service.metadata.uid.clone()?,
            node_ports: workload::node_ports(service),
            deleting: service.metadata.deletion_timestamp.is_some(),
        })
    }
}

/// A Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenJob {
    /// Its UID.
    pub uid: String,
    /// It is being deleted.
    pub deleting: bool,
    /// Why the Job controller gave it up, if it did.
    pub failed: Option<String>,
}

impl SeenJob {
    /// What matters of a Job.
    #[must_use]
    pub fn of(job: &Job) -> Option<Self> {
        let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
        let failed = conditions.and_then(|all| all.iter().find(|c| c.type_ == "Failed" && c.status == "True"));
        Some(Self {
            uid: job.metadata.uid.clone()?,
            deleting: job.metadata.deletion_timestamp.is_some(),
            failed: failed.map(|condition| condition.reason.clone().unwrap_or_else(|| "Failed".to_owned())),
        })
    }
}
