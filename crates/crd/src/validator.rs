//! `Validator`: whom we earn from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use protocol::ids::Ss58;
use serde::{Deserialize, Serialize};

/// A validator that offers chutes and pays for running them. Written by a person.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gepetto.fleet",
    version = "v1alpha1",
    kind = "Validator",
    doc = "A validator that the fleet earns from, and how to reach it. Namespace `chutes`.",
    namespaced,
    status = "ValidatorStatus",
    shortname = "val",
    category = "fleet",
    printcolumn(name = "API", type_ = "string", json_path = ".spec.api"),
    printcolumn(name = "CONNECTED", type_ = "string", json_path = ".status.conditions[?(@.type==\"Connected\")].status"),
    printcolumn(name = "IN-SYNC", type_ = "string", json_path = ".status.conditions[?(@.type==\"InventoryInSync\")].status"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorSpec {
    /// The validator's hotkey address.
    #[x_kube(validation = Rule::new("self == oldSelf").message("hotkey cannot change: create another Validator instead"))]
    #[x_kube(validation = Rule::new("self.matches('^5[1-9A-HJ-NP-Za-km-z]{47}$')").message("hotkey must be an SS58 address: 48 characters that begin with 5, such as 5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ"))]
    #[schemars(length(max = 128))]
    pub hotkey: Ss58,
    /// Base URL of its HTTP API, such as `https://api.chutes.ai`; paths such as `/miner/chutes/` are appended to it.
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^ ]+$')").message("api must be a URL that starts with https:// (or http:// inside a private network) and holds no blank, such as https://api.chutes.ai"))]
    pub api: String,
    /// URL of its Socket.IO feed, such as `wss://ws.chutes.ai`.
    #[schemars(length(min = 5, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(wss|ws|https|http)://[^ ]+$')").message("socket must be a URL that starts with wss:// (or ws:// inside a private network), such as wss://ws.chutes.ai"))]
    pub socket: String,
    /// Where nodes pull its images from: `host[:port]` without a scheme. Absent means the existing miner's convention,
    /// `<hotkey in lower case>.localregistry.chutes.ai:30500`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9.-]+(:[0-9]{1,5})?$')").message("registry is host[:port] without scheme or path, such as registry.chutes.ai:30500"))]
    pub registry: Option<String>,
}

/// How the link to the validator stands. Written by the miner API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorStatus {
    /// `Connected` (the socket is authenticated), `InventoryInSync` (the chute list is fresh and complete).
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The generation of the spec this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The default image registry of a validator, by the existing miner's convention.
#[must_use]
pub fn default_registry(hotkey: &Ss58) -> String {
    format!("{}.localregistry.chutes.ai:30500", hotkey.to_string().to_lowercase())
}

/// Condition types of a Validator.
pub mod condition {
    /// The Socket.IO feed is connected and authenticated.
    pub const CONNECTED: &str = "Connected";
    /// The chute list was read completely, lately.
    pub const INVENTORY_IN_SYNC: &str = "InventoryInSync";
}
