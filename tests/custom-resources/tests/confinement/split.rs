//! The split inside a status: an agent owns one field of it, the operator the rest.

use custom_resources::Actor;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One status with two writers.
pub(crate) struct Split {
    /// Where it is written.
    pub(crate) path: String,
    /// The kind it belongs to.
    pub(crate) kind: &'static str,
    /// The agent's part.
    pub(crate) part: &'static str,
    /// A status that holds every field.
    pub(crate) full: Value,
}

fn conditions(reason: &str) -> Value {
    json!([{ "type": "Ready", "status": "True", "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }])
}

/// Every field of a ChuteDeployment's status.
pub(crate) fn deployment_status() -> Value {
    json!({
        "workload": { "state": "Starting" }, "phase": "Starting", "reason": "Applied", "message": "applied", "configId": "config-1",
        "instanceId": "instance-1", "reached": [{ "phase": "Pending", "at": "2026-01-01T00:00:00Z" }], "conditions": conditions("Applied"),
        "observedGeneration": 1,
    })
}

/// Every field of a GpuServer's status.
pub(crate) fn server_status() -> Value {
    json!({
        "reported": { "nodeUid": "uid", "gpus": [] }, "phase": "Ready", "serverId": "uid", "busy": "0/8", "health": "8/8 ok", "whyIdle": "NoChuteFits",
        "seenBy": "agent", "nodeKey": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "proof": { "gpus": ["5f7b1c2d3e4f40518263748596a7b8c9"], "verifiedAt": "2026-01-01T00:00:00Z" },
        "conditions": conditions("Verified"), "observedGeneration": 1,
    })
}

/// A value like this one that differs.
fn other(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("phase", _) => json!("Degraded"),
        ("conditions", _) => conditions("Forged"),
        ("reached", _) => json!([{ "phase": "Active", "at": "2026-01-01T00:00:00Z" }]),
        ("proof", _) => json!({ "gpus": [], "verifiedAt": "2026-01-01T00:00:00Z" }),
        ("nodeKey", _) => json!("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"),
        (_, Value::Number(_)) => json!(99),
        _ => json!("forged"),
    }
}

impl Split {
    fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.full.as_object().into_iter().flatten().filter(|(field, _)| *field != self.part)
    }

    fn changed(&self, field: &str, value: &Value) -> Value {
        // ChuteDeployments know other phases than servers.
        if field == "phase" && self.kind == "ChuteDeployment" { json!("Active") } else { other(field, value) }
    }

    /// A field that is added later must be added here, and so be tried.
    pub(crate) fn names_every_field(&self) {
        let definition = crd::all().into_iter().find(|definition| definition.spec.names.kind == self.kind).unwrap();
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        let status = schema.pointer("/openAPIV3Schema/properties/status/properties").and_then(Value::as_object).unwrap();
        let known: BTreeSet<&String> = status.keys().collect();
        let tried: BTreeSet<&String> = self.full.as_object().into_iter().flat_map(Map::keys).collect();
        assert_eq!(tried, known, "the test's status of {} lacks a field", self.kind);
    }

    async fn refused(&self, agent: &Actor, status: Value) {
        let answer = agent.merge(&self.path, &json!({ "status": status })).await;
        assert_eq!(answer.code, 422, "{} {status}: {}", self.kind, answer.body);
        let wanted = format!("an agent may write status.{}", self.part);
        assert!(answer.message().contains(&wanted), "{}", answer.message());
    }

    async fn admin_may(&self, admin: &Actor, status: Value) {
        let answer = admin.merge(&format!("{}?dryRun=All", self.path), &json!({ "status": status })).await;
        assert!(answer.accepted(), "the administrator may set {status}: {}", answer.message());
    }

    /// Into an empty status an agent can set none of the operator's fields, alone or beside its own.
    pub(crate) async fn setting_is_refused(&self, admin: &Actor, agent: &Actor) {
        for (field, value) in self.fields() {
            let alone = json!({ field: value });
            self.admin_may(admin, alone.clone()).await;
            self.refused(agent, alone).await;
            self.refused(agent, json!({ field: value, self.part: self.full[self.part] })).await;
        }
    }

    /// Of a full status an agent can neither change nor remove the operator's fields, by any kind of write.
    pub(crate) async fn changing_and_removing_is_refused(&self, admin: &Actor, agent: &Actor) {
        for (field, value) in self.fields() {
            for changed in [self.changed(field, value), Value::Null] {
                self.admin_may(admin, json!({ field: changed })).await;
                self.refused(agent, json!({ field: changed })).await;
            }
        }
        self.admin_may(admin, Value::Null).await;
        self.refused(agent, Value::Null).await;
        // An agent patches; RBAC closes the other way to write.
        let mut bare = agent.get(&self.path).await.expect("its status");
        bare["status"] = json!({ self.part: self.full[self.part] });
        assert_eq!(agent.replace(&self.path, &bare).await.code, 403, "an update that drops the operator's fields");

        // Whoever applies under the operator's name and leaves the operator's fields out would remove them.
        let name = bare["metadata"]["name"].clone();
        let of = |status: &Value| json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": self.kind, "metadata": { "name": name }, "status": status });
        let _ = admin.apply(&self.path, "gepetto-operator", &of(&self.full)).await.expect("the operator's apply");
        let _ = admin.merge(&self.path, &json!({ "status": null })).await.expect("clearing");
        let _ = admin.apply(&self.path, "gepetto-operator", &of(&self.full)).await.expect("the operator's apply");
        let forged = agent.apply(&self.path, "gepetto-operator", &of(&json!({ self.part: self.full[self.part] }))).await;
        assert_eq!(forged.code, 422, "an apply under the operator's name: {}", forged.body);
    }

    /// The twin: beside all those fields, its own part is open.
    pub(crate) async fn its_own_part_is_writable(&self, agent: &Actor) {
        let own = if self.part == "workload" {
            json!({ "state": "Ready" })
        } else {
            json!({ "nodeUid": "uid", "gpus": [], "versions": { "agent": "0.1.0" } })
        };
        let stored = agent.merge(&self.path, &json!({ "status": { self.part: own } })).await.expect("its own part");
        for (field, value) in self.fields() {
            assert_eq!(&stored["status"][field], value, "{field} is untouched");
        }
        let _ = agent.merge(&self.path, &json!({ "status": { self.part: null } })).await.expect("removing its own part");
    }
}
