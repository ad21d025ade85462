//! Others that hold GPUs of the server: pods of any namespace, where the cluster is the server's own and they may be seen, and
//! processes, where the driver names them.
//!
//! Two witnesses, since each has a blind side. On a shared cluster a server's account reaches its own namespace only; and the driver
//! knows no pod that has its GPUs and has not begun to use them, nor, without the host's PID namespace, processes of others.

use crate::{
    config::RealizeConfig,
    observe::{Holder, prune_stranger, stranger_devices},
};
use cluster::{
    call::bounded,
    watch::{WatchHandle, WatchOptions, source_pruned},
};
use crd::labels;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use protocol::ids::GpuUuid;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// How many processes compute on a GPU, by the driver's account; GPUs without any may be missing.
pub type GpuProcessMap = BTreeMap<GpuUuid, u32>;

/// The driver's account of who uses the GPUs.
#[derive(Clone, Debug)]
pub struct GpuProcesses {
    /// As it changes.
    pub counts: watch::Receiver<GpuProcessMap>,
    /// Asks for a new look now: what stands in the way of a launch may be gone since the last one.
    pub look: Arc<Notify>,
}

impl GpuProcesses {
    /// Where there is no driver to ask.
    #[must_use]
    pub fn unknown() -> Self {
        Self { counts: watch::channel(GpuProcessMap::new()).1, look: Arc::default() }
    }

    /// Who a GPU is held by. A deployment asks before it has a pod of its own, so every process is another's.
    pub(crate) fn holders(&self, wanted: &[GpuUuid]) -> Vec<Holder> {
        let counts = self.counts.borrow();
        let busy = wanted.iter().filter_map(|gpu| Some((gpu, *counts.get(gpu)?))).filter(|(_, count)| *count > 0);
        busy.map(|(gpu, count)| {
            let many = if count == 1 { "a process".to_owned() } else { format!("{count} processes") };
            Holder { gpu: gpu.clone(), by: format!("{many} of no pod of ours (nvidia-smi on the server names them)") }
        })
        .collect()
    }
}

/// Pods of the server's node, whoever made them.
pub(crate) struct Neighbours {
    pods: OnceLock<WatchHandle<Pod>>,
    /// The namespace whose chutes the realizer watches itself.
    own: String,
}

impl Neighbours {
    pub(crate) fn new(config: &RealizeConfig) -> Self {
        Self { pods: OnceLock::new(), own: config.profile.namespace.clone() }
    }

    /// Begins to watch, if the node is ours to see; returns when every pod is known.
    pub(crate) async fn begin(&self, config: &RealizeConfig) {
        if !config.profile.admits_strangers() {
            return;
        }
        let api: Api<Pod> = Api::all(config.node.clone());
        let fields = format!("spec.nodeName={}", config.profile.node_name);
        let one = ListParams::default().fields(&fields).limit(1);
        loop {
            match bounded("listing the pods of the node", api.list(&one)).await {
                Ok(_) => break,
                Err(error) if error.is_forbidden() => {
                    tracing::warn!(
                        "this account may not list pods of all namespaces (see charts/manifests/node): GPUs that pods outside of \
                         namespace {} hold look free",
                        self.own
                    );
                    return;
                }
                Err(error) => tracing::warn!(%error, "the pods of the node cannot be listed yet"),
            }
            tokio::time::sleep(cluster::backoff::jittered(Duration::from_secs(5))).await;
        }
        let pods = source_pruned(api, WatchOptions::default().fields(fields).named("pods of the node"), prune_stranger);
        pods.ready().await;
        // Begun once, by the realizer's only run.
        let _ = self.pods.set(pods);
    }

    /// The watch, where there is one.
    pub(crate) fn watch(&self) -> Option<&WatchHandle<Pod>> {
        self.pods.get()
    }

    /// How old the knowledge is; no age where there is none to have.
    pub(crate) fn age(&self) -> Duration {
        self.watch().map_or(Duration::ZERO, |pods| pods.freshness.age())
    }

    /// Who else holds these GPUs.
    pub(crate) fn holders(&self, wanted: &[GpuUuid]) -> Vec<Holder> {
        let Some(pods) = self.watch() else { return Vec::new() };
        let strangers = pods.all().into_iter().filter(|pod| !self.is_watched_elsewhere(pod));
        strangers
            .flat_map(|pod| {
                let devices = stranger_devices(&pod);
                let by = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
                let held = wanted.iter().filter(move |gpu| devices.holds(gpu));
                held.map(move |gpu| Holder { gpu: gpu.clone(), by: by.clone() })
            })
            .collect()
    }

    /// Chutes of our namespace: the realizer's own watch has them, and knows whose they are.
    fn is_watched_elsewhere(&self, pod: &Pod) -> bool {
        pod.metadata.namespace.as_ref() == Some(&self.own)
            && pod.metadata.labels.as_ref().and_then(|all| all.get(labels::CHUTE)).is_some_and(|value| value == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_on_a_wanted_gpu_is_somebody_elses() {
        let [mine, other]: [GpuUuid; 2] = [1, 2].map(|number| format!("{number:032x}").parse().unwrap());
        let counts = GpuProcessMap::from([(mine.clone(), 2), (other.clone(), 0)]);
        let seen = GpuProcesses { counts: watch::channel(counts).1, look: Arc::default() };
        let found = seen.holders(std::slice::from_ref(&mine));
        assert_eq!(found.len(), 1);
        assert!(found[0].gpu == mine && found[0].by.starts_with("2 processes"), "{found:?}");
        assert!(seen.holders(&[other]).is_empty());
        assert!(GpuProcesses::unknown().holders(&[mine]).is_empty());
    }
}
