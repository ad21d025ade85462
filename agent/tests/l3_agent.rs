//! The agent's life on a real API server, with a simulated node and simulated GPUs.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::control_plane::{DEPLOYMENT, MinerApi, NAMESPACE, add_server, deploy, provision, release, stop};
use common::process::{Agent, Driver};
use common::{eventually, get};
use kubelab::{Lab, Level, Nodes, Options, level_or_skip};
use serde_json::{Value, json};

const H100: &str = include_str!("../../crates/fake-nvml/profiles/8xh100.json");
const ONE_LOST: &str = include_str!("../../crates/fake-nvml/profiles/8xh100-one-lost.json");

/// Eight GPUs of which one failed to remap a row of its memory.
fn faulty(slot: u32) -> String {
    let mut profile: Value = serde_json::from_str(H100).unwrap();
    profile["slots"] = json!({ slot.to_string(): { "remap_failed": true } });
    profile.to_string()
}

fn server(lab: &Lab) -> Value {
    get(lab, &["gpuserver", "gpu-0", "-n", "chutes"]).unwrap()
}

fn healths(server: &Value) -> Vec<String> {
    let gpus = server["status"]["reported"]["gpus"].as_array().cloned().unwrap_or_default();
    gpus.iter().map(|gpu| gpu["health"].as_str().unwrap().to_owned()).collect()
}

fn renewed(lab: &Lab) -> Option<String> {
    Some(get(lab, &["lease", "agent", "-n", NAMESPACE])?["spec"]["renewTime"].as_str()?.to_owned())
}

/// What is reported of the deployment once it is in that state.
async fn workload_in(lab: &Lab, wanted: &str) -> Value {
    eventually(wanted, async || {
        let workload = get(lab, &["chutedeployment", DEPLOYMENT, "-n", NAMESPACE])?["status"]["workload"].clone();
        (workload["state"] == wanted).then_some(workload)
    })
    .await
}

/// Pods of chutes.
fn pods(lab: &Lab) -> usize {
    get(lab, &["pods", "-n", "chutes"]).unwrap()["items"].as_array().unwrap().len()
}

async fn closed_gates(agent: &Agent) -> Option<Vec<String>> {
    let answer: Value = reqwest::get(format!("{}/readyz", agent.admin)).await.ok()?.json().await.ok()?;
    Some(answer["closed"].as_array()?.iter().map(|closed| closed["gate"].as_str().unwrap().to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_enrols_reports_loses_a_gpu_and_survives_everything() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::up(Options::new(folder.path().join("lab")).nodes(Nodes::simulated(1)), |_| {}).unwrap().guard();
    provision(&lab);
    let api = MinerApi::start(&lab);
    let (state, log) = (folder.path().join("state"), folder.path().join("agent.log"));
    let driver = Driver::new(&folder.path().join("driver"), H100);

    // Enrolment: before it there is no access, after it the server is reported.
    let agent = Agent::start(&lab, &state, &driver, api.miner(), &log);
    let gates = eventually("the agent waits for enrolment alone", async || {
        closed_gates(&agent).await.filter(|gates| !gates.contains(&"nvml".to_owned()) && !gates.contains(&"node-cluster".to_owned()))
    })
    .await;
    assert_eq!(gates, ["control", "enrolled"]);
    let answer = api.enrol(&agent.url).await.unwrap();
    let node = get(&lab, &["node", "sim-0"]).unwrap();
    assert_eq!((&answer["node_uid"], &answer["gpus"]), (&node["metadata"]["uid"], &json!(8)));
    add_server(&lab, answer["node_key"].as_str().unwrap());
    let reported = eventually("eight GPUs are reported", async || {
        let server = server(&lab);
        (healths(&server) == ["Ok"; 8]).then(|| server["status"]["reported"].clone())
    })
    .await;
    assert_eq!(reported["nodeUid"], node["metadata"]["uid"]);
    assert_eq!(reported["capacity"], json!({ "cpu": 256, "memoryGib": 2048, "diskGib": 20480 }));
    assert_eq!(reported["versions"]["driver"], "570.124.06");
    eventually("the agent is ready", async || closed_gates(&agent).await.filter(Vec::is_empty)).await;
    assert!(renewed(&lab).is_some());

    // A chute starts on two GPUs.
    let gpus: Vec<Value> = [2, 3].map(|index: usize| reported["gpus"][index]["uuid"].clone()).to_vec();
    deploy(&lab, &gpus);
    let workload = workload_in(&lab, "Ready").await;
    assert!(workload["podUid"].is_string() && !workload["nodePorts"].as_array().unwrap().is_empty(), "{workload}");

    // Another GPU turns faulty and is repaired.
    driver.set(&faulty(5));
    eventually("the fault is reported", async || (healths(&server(&lab))[5] == "Faulty").then_some(())).await;
    driver.set(H100);
    eventually("its repair is reported", async || (healths(&server(&lab)) == ["Ok"; 8]).then_some(())).await;

    // Killed, and started again while nobody sells tokens: it goes on, and writes nothing that is known already.
    drop(agent);
    api.stop();
    let (version, beat) = (server(&lab)["metadata"]["resourceVersion"].clone(), renewed(&lab));
    let agent = Agent::start(&lab, &state, &driver, api.miner(), &log);
    eventually("the new process beats", async || renewed(&lab).filter(|now| Some(now) != beat.as_ref())).await;
    eventually("it is ready", async || closed_gates(&agent).await.filter(Vec::is_empty)).await;
    assert_eq!(server(&lab)["metadata"]["resourceVersion"], version);
    driver.set(&faulty(6));
    eventually("it was awake", async || (healths(&server(&lab))[6] == "Faulty").then_some(())).await;

    // Its state is wiped: another key, no access; what was reported stays, and the chute runs on.
    drop(agent);
    std::fs::remove_dir_all(&state).unwrap();
    let before = server(&lab);
    let agent = Agent::start(&lab, &state, &driver, api.miner(), &log);
    eventually("it asks to be enrolled again", async || {
        closed_gates(&agent).await.filter(|gates| gates.contains(&"enrolled".to_owned()) && !gates.contains(&"nvml".to_owned()))
    })
    .await;
    assert_eq!(server(&lab), before);
    let api = api.restart();
    let again = api.enrol(&agent.url).await.unwrap();
    assert_ne!(again["node_key"], answer["node_key"]);
    eventually("it is ready again", async || closed_gates(&agent).await.filter(Vec::is_empty)).await;
    driver.set(H100);
    eventually("it reports again", async || (healths(&server(&lab)) == ["Ok"; 8]).then_some(())).await;
    assert_eq!(workload_in(&lab, "Ready").await, workload);

    // A GPU of the chute falls off the bus: that is told, and nothing is stopped before the operator says so.
    driver.set(ONE_LOST);
    eventually("the lost GPU is reported", async || (healths(&server(&lab))[3] == "Lost").then_some(())).await;
    assert_eq!(workload_in(&lab, "Failed").await["reason"], "GpuLost");
    assert_eq!(pods(&lab), 1);
    stop(&lab);
    eventually("the pod is gone", async || (workload_in(&lab, "Ending").await["reason"] == "PodGone").then_some(())).await;
    assert_eq!(pods(&lab), 0);
    release(&lab);
    workload_in(&lab, "Gone").await;

    let text = std::fs::read_to_string(&log).unwrap();
    for secret in ["node.key", "control.token"] {
        let secret = std::fs::read_to_string(state.join(secret)).unwrap();
        assert!(!text.contains(secret.trim()), "the log holds a secret");
    }
}
