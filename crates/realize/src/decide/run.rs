//! A deployment that should run.

use super::{Decision, Input, Step};
use crate::{
    observe::{SeenJob, SeenPod},
    report::reason,
};
use crd::chute_deployment::WorkloadState::{Failed, Ready, Running, Starting, Waiting};
use jiff::SignedDuration;

pub(super) fn run(input: &Input<'_>, granted: bool, claimed: bool) -> Decision {
    // What failed stays failed: the operator is about to stop it, and its token may be spent.
    if input.prior.is_some_and(|prior| prior.state == Failed) {
        return Decision { step: None, report: input.prior.cloned(), again: None };
    }
    match &input.seen.job {
        Some(job) => with_job(input, job),
        None if claimed || was_launched(input) => job_vanished(input),
        None => launch(input, granted),
    }
}

fn was_launched(input: &Input<'_>) -> bool {
    input.prior.is_some_and(|prior| prior.job_uid.is_some()) || !input.seen.pods.is_empty()
}

/// There was a Job. A second one could not claim the launch again, so it is not made anew.
fn job_vanished(input: &Input<'_>) -> Decision {
    if !input.seen.confirmed_gone {
        return input.act(Step::ConfirmGone);
    }
    input.say(Failed, Some(reason::JOB_DELETED), Some("the Job was deleted by somebody else".to_owned()))
}

fn launch(input: &Input<'_>, granted: bool) -> Decision {
    if let Some(refusal) = input.refusal {
        return input.say(Failed, Some(refusal.reason()), Some(refusal.to_string()));
    }
    if let Some(decision) = gpu_lost(input) {
        return decision;
    }
    if !granted {
        return Decision { step: None, report: input.prior.cloned(), again: None };
    }
    if let Some(holder) = input.seen.held.first() {
        let message = format!("GPU {} is held by {}", holder.gpu.device_name(), holder.by);
        // What holds it tells when it ends, except a launch that comes to nothing.
        return Decision { again: Some(SignedDuration::from_secs(30)), ..input.say(Waiting, Some(reason::GPU_BUSY), Some(message)) };
    }
    match &input.seen.service {
        None => input.act(Step::PrepareLaunch),
        Some(service) if service.deleting => input.say(Waiting, Some(reason::SERVICE_ENDING), None),
        Some(service) => match &service.node_ports {
            // The API server gives them with the creation; nothing else has to happen but our hearing of it.
            None => Decision { again: Some(SignedDuration::from_secs(2)), ..input.say(Waiting, None, None) },
            Some(node_ports) => input.act(Step::CreateJob { node_ports: node_ports.clone() }),
        },
    }
}

fn gpu_lost(input: &Input<'_>) -> Option<Decision> {
    let gpu = input.seen.lost.first()?;
    Some(input.say(Failed, Some(reason::GPU_LOST), Some(format!("GPU {} no longer answers", gpu.device_name()))))
}

fn with_job(input: &Input<'_>, job: &SeenJob) -> Decision {
    if job.deleting {
        return input.say(Failed, Some(reason::JOB_DELETED), Some("the Job was deleted by somebody else".to_owned()));
    }
    let pod = input.seen.pods.last();
    // How the pod ended says more than that a GPU is gone; before it ended, a lost GPU is the end of it.
    if let Some(ended) = pod.and_then(|pod| pod.ended.as_ref()) {
        return input.say(Failed, Some(ended.reason), Some(ended.message.clone()));
    }
    if let Some(decision) = gpu_lost(input) {
        return decision;
    }
    if let Some(decision) = service_vanished(input) {
        return decision;
    }
    match (pod, &job.failed) {
        (Some(pod), _) => with_pod(input, pod),
        (None, Some(word)) => input.say(Failed, Some(reason::CRASHED), Some(format!("the Job failed without a pod: {word}"))),
        (None, None) => input.say(Starting, None, None),
    }
}

/// The instance is known by its node ports; a Service without them, or with others, is of no use.
fn service_vanished(input: &Input<'_>) -> Option<Decision> {
    match &input.seen.service {
        Some(service) if !service.deleting => None,
        Some(_) => Some(input.say(Failed, Some(reason::SERVICE_DELETED), Some("the Service was deleted by somebody else".to_owned()))),
        None => match input.prior.map(|prior| prior.node_ports.clone()).filter(|ports| !ports.is_empty()) {
            Some(node_ports) => Some(input.act(Step::EnsureService { node_ports })),
            None => {
                let message = "the Service was deleted by somebody else, and its node ports were not yet reported";
                Some(input.say(Failed, Some(reason::SERVICE_DELETED), Some(message.to_owned())))
            }
        },
    }
}

fn with_pod(input: &Input<'_>, pod: &SeenPod) -> Decision {
    if pod.deleting {
        return input.say(Failed, Some(reason::POD_DELETED), Some("the pod was deleted by somebody else, or its node is gone".to_owned()));
    }
    if let Some(trouble) = &pod.trouble {
        let left = pod.trouble_since.map_or(input.deadlines.trouble, |since| left(input, since, input.deadlines.trouble));
        let state = if trouble.hopeless || left.is_zero() { Failed } else { Starting };
        let again = (state == Starting).then_some(left);
        return Decision { again, ..input.say(state, Some(trouble.reason), Some(trouble.message.clone())) };
    }
    if pod.ready {
        return input.say(Ready, None, None);
    }
    if !pod.running {
        return input.say(Starting, None, None);
    }
    let left = pod.not_ready_since.map_or(input.deadlines.ready, |since| left(input, since, input.deadlines.ready));
    if left.is_zero() {
        let message = format!("the chute was not ready within {} s", input.deadlines.ready.as_secs());
        return input.say(Failed, Some(reason::NOT_READY_IN_TIME), Some(message));
    }
    Decision { again: Some(left), ..input.say(Running, None, None) }
}

/// What is left of a deadline; zero when it is over. A time ahead of ours counts as now.
fn left(input: &Input<'_>, since: jiff::Timestamp, deadline: SignedDuration) -> SignedDuration {
    let spent = input.now.duration_since(since).max(SignedDuration::ZERO);
    (deadline - spent).max(SignedDuration::ZERO)
}
