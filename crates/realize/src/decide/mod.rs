//! What to do next about a deployment, and what to say of it. Pure: everything it may know is in [`Input`].

mod run;
mod stop;

use crate::{config::Deadlines, observe::Seen};
use crd::chute_deployment::{NodePort, Workload, WorkloadState};
use jiff::{SignedDuration, Timestamp};
use workload::Refusal;

/// What is wanted of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It should run.
    Run {
        /// The operator fetched the launch token, so it may be launched.
        granted: bool,
        /// The validator knows the instance, so it was launched, whatever else is remembered.
        claimed: bool,
    },
    /// It should end; `release` once nobody can call it any more, so that its node ports may go, too.
    Stop {
        /// The Service may go.
        release: bool,
    },
}

/// Everything a decision is made of.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// What is wanted.
    pub wanted: Wanted,
    /// Why it cannot be made real at all, if so.
    pub refusal: Option<&'a Refusal>,
    /// What was reported last.
    pub prior: Option<&'a Workload>,
    /// What is seen.
    pub seen: &'a Seen,
    /// How long trouble is borne.
    pub deadlines: Deadlines,
    /// The time.
    pub now: Timestamp,
}

/// The one thing to do next. Each is safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create the Service; meanwhile fetch the launch token and make its Secret, where the node has Secrets.
    PrepareLaunch,
    /// Create the Service anew, with the node ports it had.
    EnsureService {
        /// Node ports it had.
        node_ports: Vec<NodePort>,
    },
    /// Create the Job; what [`Step::PrepareLaunch`] fetched and made is fetched and made first, unless it was just now.
    CreateJob {
        /// Node ports of the Service.
        node_ports: Vec<NodePort>,
    },
    /// Ask the API server itself whether Job, pods and Service are really gone.
    ConfirmGone,
    /// Delete the Job of this UID, and its pods with it.
    DeleteJob {
        /// The Job's UID.
        uid: String,
    },
    /// Delete the pod of this UID, which no Job stands for any more.
    DeletePod {
        /// The pod's name.
        name: String,
        /// The pod's UID.
        uid: String,
    },
    /// Delete the launch Secret on the node, if there is one.
    DeleteSecret,
    /// Delete the Service of this UID.
    DeleteService {
        /// The Service's UID.
        uid: String,
    },
}

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do next; after it, decide again.
    pub step: Option<Step>,
    /// What to say, once there is nothing to do; nothing if there is nothing to say yet.
    pub report: Option<Workload>,
    /// When to look again if nothing changes.
    pub again: Option<SignedDuration>,
}

/// Decides.
#[must_use]
pub fn decide(input: &Input<'_>) -> Decision {
    let mut decision = match input.wanted {
        Wanted::Run { granted, claimed } => run::run(input, granted, claimed),
        Wanted::Stop { release } => stop::stop(input, release),
    };
    if let (Some(report), Some(prior)) = (&mut decision.report, input.prior)
        && (report.state, &report.reason, &report.pod_uid) == (prior.state, &prior.reason, &prior.pod_uid)
    {
        // The kubelet says one thing in changing words; the words that were first reported stay.
        report.message.clone_from(&prior.message);
    }
    decision
}

impl Input<'_> {
    fn act(&self, step: Step) -> Decision {
        Decision { step: Some(step), report: self.prior.cloned(), again: None }
    }

    fn say(&self, state: WorkloadState, reason: Option<&str>, message: Option<String>) -> Decision {
        Decision { step: None, report: Some(self.workload(state, reason, message)), again: None }
    }

    /// A report about what is seen; what is no longer seen keeps the name it was reported with.
    fn workload(&self, state: WorkloadState, reason: Option<&str>, message: Option<String>) -> Workload {
        let pod = self.seen.pods.last();
        let prior = self.prior;
        let ports = self.seen.service.as_ref().and_then(|service| service.node_ports.clone());
        Workload {
            state,
            reason: reason.map(str::to_owned),
            message: message.map(|text| crate::report::short(&text)),
            job_uid: self.seen.job.as_ref().map(|job| job.uid.clone()).or_else(|| prior.and_then(|prior| prior.job_uid.clone())),
            pod_uid: pod.map(|pod| pod.uid.clone()).or_else(|| prior.and_then(|prior| prior.pod_uid.clone())),
            pod_name: pod.map(|pod| pod.name.clone()).or_else(|| prior.and_then(|prior| prior.pod_name.clone())),
            node_ports: ports.or_else(|| prior.map(|prior| prior.node_ports.clone())).unwrap_or_default(),
            exit_code: pod
                .and_then(|pod| pod.ended.as_ref())
                .and_then(|ended| ended.exit_code)
                .or_else(|| prior.and_then(|prior| prior.exit_code)),
        }
    }
}

#[cfg(test)]
mod tests;
