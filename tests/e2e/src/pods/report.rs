//! What is written to pods: the finalizer that keeps them while their process lives, and the status of those that ended.
//!
//! Strategic merge patches that carry the UID: no read before, and never a namesake's status.

use cluster::{Result, call::bounded};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Keeps a pod object until its process is gone, as a kubelet does.
pub(super) const FINALIZER: &str = "gepetto.fleet/pod-runner";

/// Between attempts while the API server is away.
const PAUSE: Duration = Duration::from_millis(500);

/// How a container ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// As a container runtime tells it.
    pub(super) code: i32,
    /// In a person's words, if there is more to say.
    pub(super) message: String,
}

/// Writes to pods, again and again while the API server is away; on a stop it tries once more at most.
#[derive(Clone)]
pub(super) struct Reporter {
    client: Client,
    stop: CancellationToken,
}

impl Reporter {
    pub(super) fn new(client: Client, stop: CancellationToken) -> Self {
        Self { client, stop }
    }

    /// Holds a pod. `false` when it is being deleted or gone.
    pub(super) async fn hold(&self, pod: &Pod) -> Result<bool> {
        self.write(pod, false, json!({ "metadata": { "uid": pod.uid(), "finalizers": [FINALIZER] } })).await
    }

    /// Lets a pod go.
    pub(super) async fn release(&self, pod: &Pod) -> Result<()> {
        let patch = json!({ "metadata": { "uid": pod.uid(), "$deleteFromPrimitiveList/finalizers": [FINALIZER] } });
        self.write(pod, false, patch).await.map(drop)
    }

    /// Writes that the container ended, which ends the pod.
    pub(super) async fn ended(&self, pod: &Pod, end: &End) -> Result<()> {
        self.write(pod, true, status(pod, end, jiff::Timestamp::now())).await.map(drop)
    }

    /// `false` when there is no such pod, or none that takes this.
    async fn write(&self, pod: &Pod, status: bool, patch: Value) -> Result<bool> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let (name, params, patch) = (pod.name_any(), PatchParams::default(), Patch::Strategic(patch));
        let what = format!("writing to pod {name}");
        loop {
            let last = self.stop.is_cancelled();
            let result = match status {
                true => bounded(&what, pods.patch_status(&name, &params, &patch)).await,
                false => bounded(&what, pods.patch(&name, &params, &patch)).await,
            };
            match result {
                Ok(_) => return Ok(true),
                Err(error) if error.is_not_found() || error.is_conflict() || error.is_invalid() => return Ok(false),
                Err(error) if !last && error.is_passing() => {}
                Err(error) => return Err(error),
            }
            let _ = tokio::time::timeout(PAUSE, self.stop.cancelled()).await;
        }
    }
}

/// The patch of a pod whose container ended: what a kubelet writes.
fn status(pod: &Pod, end: &End, now: jiff::Timestamp) -> Value {
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (phase, reason, why) = match end.code {
        0 => ("Succeeded", "Completed", "PodCompleted"),
        _ => ("Failed", "Error", "PodFailed"),
    };
    let started = pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map_or_else(|| json!(now), |time| json!(time));
    let containers: Vec<Value> = pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| {
        json!({
            "name": container.name, "image": container.image.as_deref().unwrap_or_default(), "imageID": container.image.as_deref().unwrap_or_default(),
            "ready": false, "started": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": end.code, "reason": reason, "message": end.message, "startedAt": started, "finishedAt": now } },
        })
    }).collect();
    let conditions =
        ["Ready", "ContainersReady"].map(|kind| json!({ "type": kind, "status": "False", "reason": why, "lastTransitionTime": now }));
    json!({
        "metadata": { "uid": pod.uid() },
        "status": { "phase": phase, "conditions": conditions, "containerStatuses": containers },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(code: i32) -> Value {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "a", "uid": "u" }, "spec": { "containers": [{ "name": "chute", "image": "i:1" }] },
        }))
        .unwrap();
        status(&pod, &End { code, message: String::new() }, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_ended_container_ends_its_pod() {
        let failed = written(137);
        assert_eq!(failed["metadata"]["uid"], "u");
        assert_eq!(failed["status"]["phase"], "Failed");
        assert_eq!(failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
        assert_eq!(failed["status"]["conditions"][0]["status"], "False");
        assert_eq!(written(0)["status"]["phase"], "Succeeded");
    }
}
