//! A deployment that should end: Job, pod, Secret, and, once released, the Service.

use super::{Decision, Input, Step};
use crate::report::reason;
use crd::chute_deployment::WorkloadState::{Ending, Gone};

pub(super) fn stop(input: &Input<'_>, release: bool) -> Decision {
    let seen = input.seen;
    if let Some(job) = &seen.job
        && !job.deleting
    {
        return input.act(Step::DeleteJob { uid: job.uid.clone() });
    }
    // A pod goes with its Job; one that outlived it, because somebody told the API server so, is ours to end.
    if seen.job.is_none()
        && let Some(pod) = seen.pods.iter().find(|pod| !pod.deleting)
    {
        return input.act(Step::DeletePod { name: pod.name.clone(), uid: pod.uid.clone() });
    }
    if seen.job.is_some() || !seen.pods.is_empty() {
        return input.say(Ending, Some(reason::POD_ENDING), None);
    }

    if !known_gone(input) {
        if !seen.confirmed_gone {
            return input.act(Step::ConfirmGone);
        }
        if !seen.secret_gone {
            return input.act(Step::DeleteSecret);
        }
    }
    match &seen.service {
        Some(service) if release && !service.deleting => input.act(Step::DeleteService { uid: service.uid.clone() }),
        Some(_) => input.say(Ending, Some(reason::POD_GONE), None),
        // Nothing stands, so nothing need be released.
        None => input.say(Gone, None, None),
    }
}

/// It was reported gone before, after the API server itself had said so.
fn known_gone(input: &Input<'_>) -> bool {
    input.prior.is_some_and(|prior| prior.state == Gone || (prior.state == Ending && prior.reason.as_deref() == Some(reason::POD_GONE)))
}
