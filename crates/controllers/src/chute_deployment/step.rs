//! The saga of one deployment as a table: what is seen goes in, the one next step comes out. Pure.

use crd::chute_deployment::{Phase, Workload, WorkloadState};
use jiff::{SignedDuration, Timestamp};
use protocol::ids::{ConfigId, InstanceId};

use super::reasons;
use crate::Timing;

/// What is seen of a deployment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Now.
    pub now: Timestamp,
    /// The phase in its status; none for a new one.
    pub phase: Option<Phase>,
    /// Since when it is in that phase.
    pub since: Timestamp,
    /// When the launch token came.
    pub granted_at: Option<Timestamp>,
    /// When the validator first knew the instance.
    pub claimed_at: Option<Timestamp>,
    /// The reason of the last move; while it is Stopping, why it ends.
    pub reason: String,
    /// Whether `runState` is `Stopped`.
    pub stopped: bool,
    /// Whether somebody deleted the object.
    pub deleting: bool,
    /// Whether that deletion is confirmed.
    pub confirmed: bool,
    /// Whether its status says already that the deletion waits for confirmation.
    pub told_unconfirmed: bool,
    /// Whether our finalizer is on it.
    pub finalizer: bool,
    /// The launch config in its Secret.
    pub secret: Option<ConfigId>,
    /// The launch config in its status.
    pub config: Option<ConfigId>,
    /// What the realizer reports.
    pub workload: Option<Workload>,
    /// The instance, if the validator lists it.
    pub instance: Option<Instance>,
    /// The instance in its status.
    pub known_instance: Option<InstanceId>,
    /// Whether the validator's lists of late tell how its instance stands: they named it, or prove that there is none.
    pub lists_tell: bool,
    /// Whether two complete lists and the inventory lack what the validator once listed.
    pub instance_gone: bool,
    /// When the pod was noted to be gone.
    pub pod_gone_at: Option<Timestamp>,
    /// When the validator was noted to hold nothing.
    pub clear_at: Option<Timestamp>,
    /// By two complete lists and the inventory from after the pod's end: the moment of the oldest.
    pub lists_clear: Option<Timestamp>,
    /// Whether the GPUs were freed and the Service released.
    pub released: bool,
    /// Whether a person declared the server lost.
    pub server_lost: bool,
    /// Whether a launch config may exist for it.
    pub asked: bool,
}

/// The instance as the validator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Whether its proof was accepted.
    pub verified: bool,
    /// Whether it is paid.
    pub active: bool,
}

/// The one next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put our finalizer on it.
    AddFinalizer,
    /// Say what its deletion waits for, and what would be lost.
    TellUnconfirmed,
    /// Say that it exists, and take it for planned.
    Begin,
    /// Ask for a launch token and put it into the Secret.
    Grant,
    /// Go on with the token in the Secret.
    UseToken(ConfigId),
    /// Into another phase.
    Move {
        /// Which.
        to: Phase,
        /// Why.
        reason: &'static str,
        /// The instance, if it has just become known.
        instance: Option<InstanceId>,
    },
    /// Begin to end it.
    Stop {
        /// Why.
        reason: String,
        /// The same for people.
        message: String,
    },
    /// Set `runState: Stopped`.
    TellRealizer,
    /// Delete the instance at the validator.
    DeleteInstance(InstanceId),
    /// Note that the pod is gone.
    NotePodGone,
    /// Note that the validator's lists of that moment show nothing.
    NoteClear(Timestamp),
    /// Free the GPUs and let the Service go.
    Release,
    /// Close the books and enter the last phase.
    End,
    /// Remove it.
    Remove,
    /// Remove our finalizer: somebody deleted it and nothing is left.
    DropFinalizer,
    /// Nothing to do until something changes, or until so much time has passed.
    Wait(Option<SignedDuration>),
}

/// The one next step of a deployment.
#[must_use]
pub fn next_step(seen: &Seen, timing: &Timing) -> Step {
    match seen.phase {
        Some(phase) if phase.is_terminal() => ended(seen, timing),
        Some(Phase::Stopping) => stopping(seen),
        _ if !seen.finalizer && !seen.deleting => Step::AddFinalizer,
        _ => ending(seen).unwrap_or_else(|| going(seen, timing)),
    }
}

/// What ends a deployment that is not ending yet.
fn ending(seen: &Seen) -> Option<Step> {
    let stop = |reason: &str, message: &str| Some(Step::Stop { reason: reason.to_owned(), message: message.to_owned() });
    if seen.stopped {
        return stop(reasons::STOP_REQUESTED, "runState was set to Stopped");
    }
    if seen.deleting && seen.confirmed {
        return stop(reasons::DELETED, "its deletion was confirmed");
    }
    if seen.deleting && !seen.told_unconfirmed {
        return Some(Step::TellUnconfirmed);
    }
    if seen.server_lost {
        return stop(reasons::SERVER_REMOVED, "its server was declared lost");
    }
    if seen.instance_gone && seen.known_instance.is_some() {
        return stop(reasons::INSTANCE_DELETED, "the validator ended the instance: two complete lists and the inventory lack it");
    }
    let workload = seen.workload.as_ref()?;
    let words = workload.message.as_deref().unwrap_or("the realizer gives no further words");
    match workload.state {
        WorkloadState::Failed => stop(workload.reason.as_deref().unwrap_or(reasons::WORKLOAD_FAILED), words),
        WorkloadState::Gone | WorkloadState::Ending => {
            stop(workload.reason.as_deref().unwrap_or(reasons::WORKLOAD_GONE), "the workload ended on the node by itself")
        }
        _ => None,
    }
}

/// The way up.
fn going(seen: &Seen, timing: &Timing) -> Step {
    let phase = match seen.phase {
        None | Some(Phase::Unknown) => return Step::Begin,
        Some(phase) => phase,
    };
    if phase == Phase::Pending {
        if let Some(config) = &seen.secret {
            return Step::UseToken(config.clone());
        }
        return within(seen, seen.since, timing.grant, reasons::NO_TOKEN_IN_TIME).unwrap_or(Step::Grant);
    }
    if let Some(instance) = &seen.instance {
        let (to, reason) = match (instance.active, instance.verified) {
            (true, _) => (Phase::Active, reasons::INSTANCE_ACTIVE),
            (false, true) => (Phase::Verified, reasons::INSTANCE_VERIFIED),
            (false, false) => (Phase::Claimed, reasons::INSTANCE_CLAIMED),
        };
        if to > phase || seen.known_instance.as_ref() != Some(&instance.id) {
            return Step::Move { to: to.max(phase), reason, instance: Some(instance.id.clone()) };
        }
    }
    if phase == Phase::Granted && seen.workload.as_ref().is_some_and(|workload| workload.state != WorkloadState::Waiting) {
        return Step::Move { to: Phase::Starting, reason: reasons::APPLIED, instance: None };
    }
    overdue(seen, phase, timing)
}

/// Each phase has a deadline; but nothing is overdue for whoever cannot see.
fn overdue(seen: &Seen, phase: Phase, timing: &Timing) -> Step {
    let (from, limit, reason) = match phase {
        Phase::Granted | Phase::Starting => (seen.granted_at, timing.start, reasons::NOT_CLAIMED_IN_TIME),
        Phase::Claimed => (seen.claimed_at, timing.verify, reasons::NOT_VERIFIED_IN_TIME),
        Phase::Verified => (seen.claimed_at, timing.activate, reasons::NOT_ACTIVE_IN_TIME),
        _ => return Step::Wait(None),
    };
    let from = from.unwrap_or(seen.since);
    match within(seen, from, limit, reason) {
        Some(stop) if seen.lists_tell => stop,
        Some(_) => Step::Wait(None),
        None => {
            let left = seen.now.duration_since(from);
            let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
            Step::Wait(Some(limit.saturating_sub(left).max(SignedDuration::from_millis(200))))
        }
    }
}

fn within(seen: &Seen, from: Timestamp, limit: std::time::Duration, reason: &str) -> Option<Step> {
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    (seen.now.duration_since(from) > limit)
        .then(|| Step::Stop { reason: reason.to_owned(), message: format!("not within {} s", limit.as_secs()) })
}

/// The way down: the instance at the validator, the pod, the validator's word, the GPUs, the Service; in this order.
fn stopping(seen: &Seen) -> Step {
    if !seen.stopped {
        return Step::TellRealizer;
    }
    if seen.clear_at.is_none() {
        let listed = seen.instance.as_ref().map(|instance| &instance.id);
        if let Some(instance) = listed.or(seen.known_instance.as_ref()) {
            return Step::DeleteInstance(instance.clone());
        }
    }
    if seen.pod_gone_at.is_none() {
        // Without a token nobody made a pod: realizers begin with the Secret.
        let never = !seen.asked && seen.secret.is_none() && seen.config.is_none() && seen.workload.is_none();
        return if never || seen.server_lost || pod_gone(seen.workload.as_ref()) { Step::NotePodGone } else { Step::Wait(None) };
    }
    if seen.clear_at.is_none() {
        return match seen.lists_clear {
            Some(as_of) => Step::NoteClear(as_of),
            None if !seen.asked => Step::NoteClear(seen.now),
            None => Step::Wait(None),
        };
    }
    if !seen.released {
        return Step::Release;
    }
    let nothing_left = match &seen.workload {
        None => true,
        Some(workload) => workload.state == WorkloadState::Gone,
    };
    if nothing_left || seen.server_lost { Step::End } else { Step::Wait(None) }
}

/// Whether the realizer saw that the pod is gone; the Service may still stand.
#[must_use]
pub fn pod_gone(workload: Option<&Workload>) -> bool {
    workload.is_some_and(|workload| {
        workload.state == WorkloadState::Gone || (workload.state == WorkloadState::Ending && workload.reason.as_deref() == Some(POD_GONE))
    })
}

/// The realizer's reason for: the pod is gone, the Service waits to be released.
pub const POD_GONE: &str = "PodGone";

/// After the end: kept to be looked at for a while, then removed.
fn ended(seen: &Seen, timing: &Timing) -> Step {
    if seen.deleting {
        return if seen.finalizer { Step::DropFinalizer } else { Step::Wait(None) };
    }
    let kept = seen.now.duration_since(seen.since);
    let retention = SignedDuration::try_from(timing.retention).unwrap_or(SignedDuration::MAX);
    if kept >= retention { Step::Remove } else { Step::Wait(Some(retention.saturating_sub(kept))) }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
