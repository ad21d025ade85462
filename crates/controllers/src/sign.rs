//! The planner's sign of life: a Lease that says when a round of planning ended last, and what came of it.
//!
//! The leader's own Lease tells only that its process lives. This one tells that it plans, or why it does not, and reaches people through
//! the API server also while Postgres is away. A Lease is where heartbeats belong: the policy's status changes on news only.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::Instant;

use crate::context::MANAGER;

/// Between two signs that say the same.
const EVERY: Duration = Duration::from_secs(10);
/// How long others should believe one: rounds may wait for a store or an API server that is slow.
const BELIEVED: Duration = Duration::from_secs(60);
/// So much of a message is passed on.
const LONGEST: usize = 300;

/// What came of a round of planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Whether plans are made.
    pub made: bool,
    /// Reason code.
    pub reason: String,
    /// For people; without a secret.
    pub message: String,
}

/// The planner's sign of life.
#[derive(Debug)]
pub struct PlannerSign {
    identity: String,
    every: Duration,
    said: Option<(Planned, Instant)>,
}

impl PlannerSign {
    /// In the name of this leader. `plan` is the time between two plans.
    #[must_use]
    pub fn new(identity: &str, plan: Duration) -> Self {
        Self { identity: identity.to_owned(), every: EVERY.max(plan), said: None }
    }

    /// Says what came of a round, unless that was said just now. A sign that is not written is written with the next round.
    pub async fn say(&mut self, client: &Client, planned: Planned) {
        let now = Instant::now();
        if self.said.as_ref().is_some_and(|(said, at)| *said == planned && now.duration_since(*at) < self.every) {
            return;
        }
        let api: Api<Lease> = Api::namespaced(client.clone(), crd::FLEET_NAMESPACE);
        let lease = self.lease(&planned, Timestamp::now());
        let (params, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&lease));
        let write = api.patch(crd::leases::PLANNER, &params, &patch);
        match cluster::call::bounded("writing the planner's sign of life", write).await {
            Ok(_) => self.said = Some((planned, now)),
            Err(error) => tracing::warn!(%error, "the planner's sign of life was not written"),
        }
    }

    fn lease(&self, planned: &Planned, now: Timestamp) -> serde_json::Value {
        let believed = BELIEVED.max(self.every * 6).as_secs();
        let message: String = planned.message.chars().take(LONGEST).collect();
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": crd::leases::PLANNER, "annotations": {
                crd::leases::PLANNING: if planned.made { "True" } else { "False" },
                crd::leases::PLANNING_REASON: planned.reason,
                crd::leases::PLANNING_MESSAGE: message,
            } },
            "spec": { "holderIdentity": self.identity, "leaseDurationSeconds": believed, "renewTime": format!("{now:.6}") },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A client whose writes are noted, and refused while `up` is false.
    fn client(seen: &Arc<Mutex<Vec<serde_json::Value>>>, up: &Arc<Mutex<bool>>) -> Client {
        let (seen, up) = (Arc::clone(seen), Arc::clone(up));
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (seen, up) = (Arc::clone(&seen), Arc::clone(&up));
            async move {
                assert!(request.uri().path().ends_with("/namespaces/chutes/leases/gepetto-planner"), "{}", request.uri());
                let bytes = request.into_body().collect_bytes().await.unwrap();
                let (status, text) = if *up.lock().unwrap() {
                    seen.lock().unwrap().push(serde_json::from_slice(&bytes).unwrap());
                    (200, bytes.to_vec())
                } else {
                    (500, br#"{"kind":"Status","status":"Failure","code":500}"#.to_vec())
                };
                Ok::<_, std::convert::Infallible>(http::Response::builder().status(status).body(kube::client::Body::from(text)).unwrap())
            }
        });
        Client::new(service, "default")
    }

    fn planned(made: bool, reason: &str) -> Planned {
        Planned { made, reason: reason.to_owned(), message: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn news_is_said_at_once_and_the_same_now_and_then() {
        let (seen, up) = (Arc::default(), Arc::new(Mutex::new(true)));
        let client = client(&seen, &up);
        let mut sign = PlannerSign::new("op-1", Duration::from_secs(1));
        for _ in 0..5 {
            sign.say(&client, planned(true, "Active")).await;
            tokio::time::advance(Duration::from_secs(3)).await;
        }
        assert_eq!(seen.lock().unwrap().len(), 2, "at the start and after ten seconds");
        sign.say(&client, planned(false, "LedgerUnavailable")).await;
        *up.lock().unwrap() = false;
        sign.say(&client, planned(true, "Active")).await;
        *up.lock().unwrap() = true;
        sign.say(&client, planned(true, "Active")).await;
        let seen = seen.lock().unwrap();
        let told: Vec<_> = seen.iter().map(|lease| lease["metadata"]["annotations"][crd::leases::PLANNING].clone()).collect();
        assert_eq!(told, ["True", "True", "False", "True"], "one that failed is written with the next");
        assert_eq!(seen[0]["spec"]["leaseDurationSeconds"], 60);
        let lease: Lease = serde_json::from_value(seen[0].clone()).unwrap();
        assert!(cluster::heartbeat::renewed(&lease).is_some(), "{lease:?}");
    }
}
