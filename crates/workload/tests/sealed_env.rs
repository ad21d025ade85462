//! Sealed workers refuse variables that they do not know: what is rendered for them is the existing miner's, and none of our own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

const GOLDEN: &str = include_str!("golden/remote-sealed.yaml");

/// The allow list of an image of early 2026 (validator-protocol 8.4), as far as a chute's pod has use for it.
const LISTED: [&str; 18] = [
    "NVIDIA_VISIBLE_DEVICES",
    "CHUTES_NVIDIA_DEVICES",
    "CHUTES_EXECUTION_CONTEXT",
    "CHUTES_EXTERNAL_HOST",
    "CHUTES_LAUNCH_JWT",
    "CHUTES_PORT_LOGGING",
    "CHUTES_PORT_PRIMARY",
    "CHUTES_PORT_ATTESTATION",
    "HF_HOME",
    "CIVITAI_HOME",
    "NCCL_DEBUG",
    "NCCL_IB_DISABLE",
    "NCCL_NET_GDR_LEVEL",
    "NCCL_P2P_DISABLE",
    "NCCL_SHM_DISABLE",
    "NCCL_SOCKET_FAMILY",
    "NCCL_SOCKET_IFNAME",
    "VLLM_DISABLE_TELEMETRY",
];

/// What the existing miner gives the cleaner (miner-api 6.5) and, on newer images, downloads; not in the list that was read.
const UNLISTED: [&str; 5] =
    ["CLEANUP_EXCLUDE", "CACHE_MAX_AGE_DAYS", "CACHE_MAX_SIZE_GB", "HF_XET_FIXED_DOWNLOAD_CONCURRENCY", "TOKIO_WORKER_THREADS"];

#[test]
fn a_sealed_worker_gets_no_variable_of_our_own() {
    let job = GOLDEN.split("\n---\n").find(|object| object.contains("kind: Job")).unwrap();
    let job: serde_json::Value = serde_saphyr::from_str(job).unwrap();
    let pod = &job["spec"]["template"]["spec"];
    let containers = ["containers", "initContainers"].into_iter().flat_map(|kind| pod[kind].as_array().unwrap());
    let variables = containers.flat_map(|container| container["env"].as_array().unwrap());
    let rendered: BTreeSet<&str> = variables.map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(rendered, LISTED.into_iter().chain(UNLISTED).collect());
}
