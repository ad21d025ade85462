//! A small fleet for tests: one server with two GPUs, one deployment on the first, one chute, one validator.

use crate::ports::fleet::{Beat, FleetError, OperatorSigns, PlannerBeat, Source, View};
use crd::GpuServer;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const KEY: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";
pub(crate) const GPU_A: &str = "0000000000000000000000000000000a";
pub(crate) const GPU_B: &str = "0000000000000000000000000000000b";
pub(crate) const DEPLOYMENT: &str = "6f0b1c1e-0000-4000-8000-000000000001";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn condition(kind: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": "Done", "message": "", "lastTransitionTime": "2023-11-14T20:00:00Z" })
}

fn conditions(kinds: &[&str]) -> Vec<Value> {
    kinds.iter().map(|kind| condition(kind)).collect()
}

fn gpu(uuid: &str, index: u32) -> Value {
    json!({ "uuid": uuid, "index": index, "name": "NVIDIA H100 80GB HBM3", "memoryBytes": 85_899_345_920_u64, "major": 9, "minor": 0,
            "processors": 132, "clockMhz": 1980, "ecc": true, "health": "Ok" })
}

fn read<T: DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

pub(crate) fn server(name: &str) -> Arc<GpuServer> {
    read(json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer",
        "metadata": { "name": name, "namespace": "chutes", "uid": format!("cr-{name}"), "creationTimestamp": "2023-11-14T20:00:00Z" },
        "spec": { "nodeName": name, "address": "203.0.113.7", "validator": KEY, "gpuRef": "h100_sxm", "gpuCount": 2, "hourlyCostPerGpu": 2.5,
                  "driver": { "agent": { "nodeKey": KEY, "api": format!("http://{name}:32000") } } },
        "status": {
            "phase": "Ready", "serverId": format!("uid-{name}"), "busy": "1/2", "health": "2/2 ok", "seenBy": "agent",
            "reported": { "nodeUid": format!("uid-{name}"), "gpus": [gpu(GPU_A, 0), gpu(GPU_B, 1)],
                          "capacity": { "cpu": 64, "memoryGib": 503, "diskGib": 2000 } },
            "proof": { "gpus": [GPU_A, GPU_B], "verifiedAt": "2023-11-14T20:05:00Z" },
            "conditions": conditions(&["Provisioned", "Enrolled", "Inventoried", "Advertised", "Verified", "Ready"]),
        },
    }))
}

pub(crate) fn fleet() -> View {
    let chute = json!({ "id": "chute-1", "version": "v1", "name": "user/model", "refStr": "chute:chute", "chutesVersion": "0.4.0" });
    View {
        servers: vec![server("gpu-1")],
        deployments: vec![read(json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "ChuteDeployment",
            "metadata": { "name": DEPLOYMENT, "namespace": "chutes-node-gpu-1", "uid": "cr-d1", "creationTimestamp": "2023-11-14T21:00:00Z" },
            "spec": { "deploymentId": DEPLOYMENT, "server": "gpu-1", "nodeName": "gpu-1", "validator": KEY, "chute": chute, "gpuCount": 1,
                      "gpus": [GPU_A], "address": "203.0.113.7", "image": "r/user/model:1", "resources": { "cpu": 4, "memoryGib": 79, "diskGib": 10 },
                      "cache": { "maxAgeDays": 7, "maxSizeGb": 500 }, "runState": "Running" },
            "status": { "phase": "Active", "instanceId": "instance-1", "configId": "config-1",
                        "workload": { "state": "Ready", "nodePorts": [{ "port": 8001, "nodePort": 30001 }, { "port": 8000, "nodePort": 30000 }] },
                        "reached": [{ "phase": "Verified", "at": "2023-11-14T21:05:00Z" }, { "phase": "Active", "at": "2023-11-14T21:06:00Z" }] },
        }))],
        chutes: vec![read(json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "Chute",
            "metadata": { "name": "chute-1", "namespace": "chutes", "uid": "cr-c1", "creationTimestamp": "2023-11-14T19:00:00Z" },
            "spec": { "validator": KEY, "chuteId": "chute-1", "version": "v1", "name": "user/model", "image": "user/model:1", "refStr": "chute:chute",
                      "chutesVersion": "0.4.0", "gpuCount": 1, "supportedGpus": ["h100_sxm"], "listing": "Listed" },
        }))],
        validators: vec![read(json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "Validator", "metadata": { "name": "main", "namespace": "chutes", "uid": "cr-v1" },
            "spec": { "hotkey": KEY, "api": "https://api.example", "socket": "wss://ws.example" },
            "status": { "conditions": conditions(&["Connected", "InventoryInSync"]) },
        }))],
        policy: Some(read(json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GepettoPolicy", "metadata": { "name": "default", "namespace": "chutes" },
            "spec": { "mode": "Active" }, "status": { "lastPlan": "1 launch", "conditions": conditions(&["Planning"]) },
        }))),
        sources: ["gpuservers", "chutedeployments"].map(|name| Source { name: name.to_owned(), age_s: Some(3), complete: true }).into(),
    }
}

/// An operator that leads and plans.
pub(crate) fn operator() -> Result<OperatorSigns, FleetError> {
    let at = |second| Some(now() - jiff::SignedDuration::from_secs(second));
    let beat = |renewed, believed_s| Beat { holder: Some("op-1".to_owned()), since: at(3600), renewed: at(renewed), believed_s };
    let planner =
        PlannerBeat { beat: Beat { since: None, ..beat(3, 60) }, planning: true, reason: "Active".to_owned(), message: String::new() };
    Ok(OperatorSigns { leader: Some(beat(1, 15)), planner: Some(planner) })
}

pub(crate) fn edit_server(view: &mut View, edit: impl FnOnce(&mut GpuServer)) {
    edit(Arc::make_mut(&mut view.servers[0]));
}
