//! `Chute`: what a validator offers.

use crate::open_enum;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use protocol::ids::{ChuteId, ChuteVersion, GpuRef, Ss58};
use serde::{Deserialize, Serialize};

/// A containerised AI app that a validator offers. Written by the miner API from the validator's lists; deleting one by hand
/// changes nothing, it comes back with the next list.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gepetto.fleet",
    version = "v1alpha1",
    kind = "Chute",
    doc = "An app that a validator offers to run, and what becomes of it on this fleet. Namespace `chutes`; written by the miner API.",
    namespaced,
    status = "ChuteStatus",
    shortname = "ch",
    category = "fleet",
    printcolumn(name = "CHUTE", type_ = "string", json_path = ".spec.name"),
    printcolumn(name = "GPUS", type_ = "integer", json_path = ".spec.gpuCount"),
    printcolumn(name = "TEE", type_ = "boolean", json_path = ".spec.tee"),
    printcolumn(name = "RUNNING", type_ = "integer", json_path = ".status.running"),
    printcolumn(name = "WHY-NOT", type_ = "string", json_path = ".status.whyNot"),
    printcolumn(name = "LISTED", type_ = "string", json_path = ".spec.listing"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ChuteSpec {
    /// The hotkey address of the validator that offers it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("validator cannot change: a chute of another validator has a resource of its own"))]
    pub validator: Ss58,
    /// The validator's id of the chute.
    #[x_kube(validation = Rule::new("self == oldSelf").message("chuteId cannot change: each chute has a resource of its own"))]
    pub chute_id: ChuteId,
    /// The version offered now; changes with the image or the code.
    pub version: ChuteVersion,
    /// The chute's name, for people.
    #[schemars(length(max = 256))]
    pub name: String,
    /// What to pull, as `user/name:tag`, without a registry.
    #[schemars(length(max = 512))]
    pub image: String,
    /// `module:variable` that the chute runs.
    #[schemars(length(max = 256))]
    pub ref_str: String,
    /// Version of the library inside; decides ports and probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub chutes_version: Option<String>,
    /// Exactly this many GPUs per instance.
    #[schemars(range(min = 1, max = 10))]
    pub gpu_count: u8,
    /// GPU types it may run on, by their short names in the validator's catalogue.
    #[schemars(length(max = 64))]
    pub supported_gpus: Vec<GpuRef>,
    /// Whether only sealed (confidential computing) servers may run it.
    #[serde(default)]
    pub tee: bool,
    /// Whether anybody may call it. Private chutes have stricter rules at the validator.
    #[serde(default)]
    pub public: bool,
    /// Disk per instance in GiB (default 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub disk_gib: Option<u32>,
    /// `Listed`: the validator offers it. `Withdrawn`: two complete lists lacked it and the validator confirmed that it is gone.
    pub listing: Listing,
}

open_enum! {
    /// Whether the validator still offers a chute.
    Listing {
        /// The validator offers it.
        Listed,
        /// Missing from two complete lists, and the validator's own answer says it is gone.
        Withdrawn,
    }
}

/// What becomes of the chute here. Written by the operator.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChuteStatus {
    /// Deployments of it that are Active.
    #[serde(default)]
    pub running: u32,
    /// Deployments of it that exist and are not ending.
    #[serde(default)]
    pub wanted: u32,
    /// Why no (further) deployment was placed: a reason code of the strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Conditions, by type.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation of the spec this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The name of the resource of a chute: the id if it is a DNS label already, else a hash of it.
#[must_use]
pub fn resource_name(id: &ChuteId) -> String {
    let text = id.to_string().to_lowercase();
    let fits = text.len() <= 50
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && text == id.to_string();
    if fits { text } else { format!("chute-{}", hash_of(id.as_str())) }
}

fn hash_of(text: &str) -> String {
    // FNV-1a in 128 bits: stable across releases, and a clash only makes one chute wait for a person.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash ^= u128::from(byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:032x}")
}
