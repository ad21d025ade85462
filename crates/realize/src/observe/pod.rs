//! What a pod's status says about the chute in it. Never its logs, nor anything else that the chute itself wrote: that may hold
//! secrets.

use crate::report::{reason, short};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};

/// The container of the chute.
const CHUTE: &str = "chute";

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenPod {
    /// Its UID.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// It is being deleted.
    pub deleting: bool,
    /// The chute's container runs.
    pub running: bool,
    /// The chute's readiness probe passes.
    pub ready: bool,
    /// The chute runs without being ready since then.
    pub not_ready_since: Option<Timestamp>,
    /// Why it does not get on, if it does not.
    pub trouble: Option<Trouble>,
    /// When that trouble was first seen; filled in by who remembers.
    pub trouble_since: Option<Timestamp>,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
}

/// Why a pod does not get on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Machine-readable.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// It will not pass by itself.
    pub hopeless: bool,
}

/// How a pod ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Machine-readable.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Exit code of the chute's container.
    pub exit_code: Option<i32>,
}

impl SeenPod {
    /// What matters of a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let status = pod.status.clone().unwrap_or_default();
        let chute = status.container_statuses.iter().flatten().find(|container| container.name == CHUTE);
        let state = chute.and_then(|container| container.state.as_ref());
        let running = state.and_then(|state| state.running.as_ref());
        let ready = running.is_some() && chute.is_some_and(|container| container.ready);
        Some(Self {
            uid: pod.metadata.uid.clone()?,
            name: pod.metadata.name.clone()?,
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            running: running.is_some(),
            ready,
            not_ready_since: running.filter(|_| !ready).and_then(|running| since(&status, running.started_at.as_ref().map(|time| time.0))),
            trouble: trouble(&status),
            trouble_since: None,
            ended: ended(&status),
        })
    }
}

/// The later of the chute's start and the loss of readiness.
fn since(status: &PodStatus, started: Option<Timestamp>) -> Option<Timestamp> {
    let lost = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready" && condition.status != "True");
    let lost = lost.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0);
    started.max(lost)
}

fn trouble(status: &PodStatus) -> Option<Trouble> {
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let waiting = containers.filter_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let (reason, hopeless) = match waiting.reason.as_deref()? {
            "InvalidImageName" | "ErrImageNeverPull" => (reason::IMAGE_PULL, true),
            "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "RegistryUnavailable" => (reason::IMAGE_PULL, false),
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" | "PostStartHookError" => {
                (reason::CANNOT_START, false)
            }
            _ => return None,
        };
        let word = waiting.reason.as_deref().unwrap_or_default();
        let message = short(&format!("{}: {word}: {}", container.name, waiting.message.as_deref().unwrap_or("no further word")));
        Some(Trouble { reason, message, hopeless })
    });
    waiting.into_iter().next().or_else(|| unschedulable(status))
}

fn unschedulable(status: &PodStatus) -> Option<Trouble> {
    let condition = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let message = short(condition.message.as_deref().unwrap_or("the pod was not placed on its node"));
    Some(Trouble { reason: reason::UNSCHEDULABLE, message, hopeless: false })
}

fn ended(status: &PodStatus) -> Option<Ended> {
    let phase = status.phase.as_deref();
    let chute = exit_of(status.container_statuses.as_deref().unwrap_or_default(), Some(CHUTE));
    let exit_code = chute.as_ref().map(|(_, code, _)| *code);
    match phase {
        Some("Succeeded") => Some(Ended { reason: reason::COMPLETED, message: "the chute ended without an error".to_owned(), exit_code }),
        Some("Failed") => Some(by_whom(status, chute, exit_code)),
        _ => None,
    }
}

/// The node's own word comes first: a chute that was evicted exits with an error, too.
fn by_whom(status: &PodStatus, chute: Option<(String, i32, String)>, exit_code: Option<i32>) -> Ended {
    let word = status.reason.as_deref().unwrap_or_default();
    let said = short(status.message.as_deref().unwrap_or(word));
    let node = match word {
        "Evicted" => Some(reason::EVICTED),
        "NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated" => Some(reason::NODE_LOST),
        "NodeAffinity" | "UnexpectedAdmissionError" | "PodAffinity" => Some(reason::UNSCHEDULABLE),
        word if word.starts_with("OutOf") => Some(reason::UNSCHEDULABLE),
        _ => None,
    };
    if let Some(reason) = node {
        return Ended { reason, message: format!("{word}: {said}"), exit_code };
    }
    let init = exit_of(status.init_container_statuses.as_deref().unwrap_or_default(), None);
    let message = match init.or(chute) {
        Some((name, code, word)) => format!("container {name} ended with exit code {code} ({word})"),
        None if word.is_empty() => "the pod failed without a reason".to_owned(),
        None => format!("{word}: {said}"),
    };
    Ended { reason: reason::CRASHED, message: short(&message), exit_code }
}

/// Name, exit code and the kubelet's word of a container that ended; with an error, unless it is asked for by name.
fn exit_of(containers: &[ContainerStatus], name: Option<&str>) -> Option<(String, i32, String)> {
    let ended = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
    containers.iter().find_map(|container| {
        let terminated = ended(&container.state).or_else(|| ended(&container.last_state))?;
        let wanted = name.map_or(terminated.exit_code != 0, |name| container.name == name);
        wanted.then(|| (container.name.clone(), terminated.exit_code, terminated.reason.unwrap_or_else(|| "no reason given".to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> SeenPod {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": status,
        }))
        .unwrap();
        SeenPod::of(&pod).unwrap()
    }

    fn waiting(word: &str) -> serde_json::Value {
        json!({"phase": "Pending", "containerStatuses": [
            {"name": "chute", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": {"waiting": {"reason": word, "message": "no"}}}]})
    }

    #[test]
    fn troubles_by_the_kubelets_word() {
        let table = [
            ("ContainerCreating", None),
            ("PodInitializing", None),
            ("ErrImagePull", Some((reason::IMAGE_PULL, false))),
            ("ImagePullBackOff", Some((reason::IMAGE_PULL, false))),
            ("InvalidImageName", Some((reason::IMAGE_PULL, true))),
            ("CreateContainerConfigError", Some((reason::CANNOT_START, false))),
        ];
        for (word, wanted) in table {
            let trouble = pod(waiting(word)).trouble;
            assert_eq!(trouble.map(|trouble| (trouble.reason, trouble.hopeless)), wanted, "{word}");
        }
    }

    #[test]
    fn a_crash_is_told_by_its_exit_code_and_the_kubelets_word_never_by_the_chutes() {
        let seen = pod(json!({"phase": "Failed", "containerStatuses": [
            {"name": "chute", "ready": false, "restartCount": 0, "image": "", "imageID": "",
             "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "token=s3cret"}}}]}));
        let ended = seen.ended.unwrap();
        assert_eq!((ended.reason, ended.exit_code), (reason::CRASHED, Some(137)));
        assert_eq!(ended.message, "container chute ended with exit code 137 (OOMKilled)");
    }

    #[test]
    fn a_failed_init_container_is_named() {
        let seen = pod(json!({"phase": "Failed", "initContainerStatuses": [
            {"name": "cache-init", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}],
            "containerStatuses": [
            {"name": "chute", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": {"waiting": {"reason": "PodInitializing"}}}]}));
        let ended = seen.ended.unwrap();
        assert_eq!((ended.reason, ended.exit_code), (reason::CRASHED, None));
        assert!(ended.message.contains("cache-init"), "{}", ended.message);
    }

    #[test]
    fn what_the_node_did_is_not_the_chutes_crash() {
        for (word, wanted) in [
            ("Evicted", reason::EVICTED),
            ("NodeLost", reason::NODE_LOST),
            ("OutOfcpu", reason::UNSCHEDULABLE),
            ("UnexpectedAdmissionError", reason::UNSCHEDULABLE),
            ("Strange", reason::CRASHED),
        ] {
            assert_eq!(pod(json!({"phase": "Failed", "reason": word, "message": "m"})).ended.unwrap().reason, wanted, "{word}");
        }
    }

    #[test]
    fn readiness_and_since_when_it_is_missing() {
        let status = |ready: bool, lost: &str| {
            json!({"phase": "Running",
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": lost}],
                "containerStatuses": [{"name": "chute", "ready": ready, "restartCount": 0, "image": "", "imageID": "",
                    "state": {"running": {"startedAt": "2026-01-01T00:10:00Z"}}}]})
        };
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert!(pod(status(true, "2026-01-01T00:12:00Z")).ready);
        assert_eq!(pod(status(true, "2026-01-01T00:12:00Z")).not_ready_since, None);
        assert_eq!(pod(status(false, "2026-01-01T00:00:00Z")).not_ready_since, at("2026-01-01T00:10:00Z"));
        assert_eq!(pod(status(false, "2026-01-01T05:00:00Z")).not_ready_since, at("2026-01-01T05:00:00Z"));
        let seen = pod(status(false, "2026-01-01T00:00:00Z"));
        assert!(seen.running && !seen.ready && seen.ended.is_none() && seen.trouble.is_none());
    }
}
