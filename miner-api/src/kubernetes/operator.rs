//! The operator's signs of life, from its Leases.

use crate::ports::fleet::{Beat, OperatorSigns, PlannerBeat};
use cluster::{Result, call};
use crd::{FLEET_NAMESPACE, leases};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use std::time::Duration;

/// What a Lease without a duration is taken to mean, as the leader election does.
const USUAL_S: u64 = 15;

/// A person waits; an API server that says nothing for so long is a finding, too.
const LIMIT: Duration = Duration::from_secs(4);

/// Reads both Leases. Two small reads for a report that a person asked for; a watch would hear of a renewal every few seconds.
pub(super) async fn signs(client: &Client) -> Result<OperatorSigns> {
    let api: Api<Lease> = Api::namespaced(client.clone(), FLEET_NAMESPACE);
    let (leader, planner) = tokio::join!(read(&api, leases::LEADER), read(&api, leases::PLANNER));
    Ok(OperatorSigns { leader: leader?.as_ref().map(beat), planner: planner?.as_ref().map(planner_beat) })
}

async fn read(api: &Api<Lease>, name: &str) -> Result<Option<Lease>> {
    call::bounded_by(LIMIT, &format!("reading Lease {name}"), api.get_opt(name)).await
}

fn beat(lease: &Lease) -> Beat {
    let spec = lease.spec.clone().unwrap_or_default();
    Beat {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        since: spec.acquire_time.map(|time| time.0),
        renewed: spec.renew_time.map(|time| time.0),
        believed_s: spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(USUAL_S),
    }
}

fn planner_beat(lease: &Lease) -> PlannerBeat {
    let said = |key: &str| lease.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned().unwrap_or_default();
    PlannerBeat {
        beat: beat(lease),
        planning: said(leases::PLANNING) == "True",
        reason: said(leases::PLANNING_REASON),
        message: said(leases::PLANNING_MESSAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lease_is_read_and_an_empty_one_says_nothing() {
        let lease: Lease = serde_json::from_value(json!({
            "metadata": { "name": "gepetto-planner", "annotations": {
                "gepetto.fleet/planning": "False", "gepetto.fleet/planning-reason": "Blind", "gepetto.fleet/planning-message": "lists are old" } },
            "spec": { "holderIdentity": "op-1", "leaseDurationSeconds": 60, "renewTime": "2026-01-01T00:00:00.000000Z" },
        }))
        .unwrap();
        let read = planner_beat(&lease);
        assert_eq!((read.planning, read.reason.as_str(), read.message.as_str()), (false, "Blind", "lists are old"));
        assert_eq!((read.beat.holder.as_deref(), read.beat.believed_s), (Some("op-1"), 60));
        assert!(read.beat.renewed.is_some() && read.beat.since.is_none());
        let given_back: Lease = serde_json::from_value(json!({ "metadata": {}, "spec": { "holderIdentity": "" } })).unwrap();
        assert_eq!(beat(&given_back), Beat { holder: None, since: None, renewed: None, believed_s: 15 });
    }
}
