//! Answers that are whole JSON documents: catalogue, inventory, servers, verification.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{lenient, null_is_default};
use crate::ids::{ChuteId, GpuRef, GpuUuid, InstanceId, ServerId, Ss58};
use crate::time::WireTime;

/// A row of the validator's own GPU catalogue, by short name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SupportedGpu {
    /// What the driver's name must contain, a Python regular expression.
    #[serde(default)]
    pub model_name_check: Option<String>,
    /// Memory in GB.
    #[serde(default)]
    pub memory: Option<u32>,
    /// Processors.
    #[serde(default)]
    pub processors: Option<u32>,
    /// Rate in US dollars an hour.
    #[serde(default)]
    pub hourly_rate: Option<f64>,
    /// The other columns.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

/// How the verification of an advert stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Not decided yet: ask again.
    Pending,
    /// Accepted.
    Verified,
    /// Refused, with the validator's words.
    Failed(String),
}

/// The wire form of [`Verification`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerificationStatus {
    /// `pending`, `verified`, `error` or `failed`.
    pub status: String,
    /// Words that come with `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Words that come with `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl From<VerificationStatus> for Verification {
    /// A status that is none of the four known ones counts as a failure: calling it success would advertise GPUs as
    /// proven on the strength of a word we do not understand.
    fn from(wire: VerificationStatus) -> Self {
        match wire.status.as_str() {
            "pending" => Self::Pending,
            "verified" => Self::Verified,
            other => {
                let words = wire.error.or(wire.detail).map(|v| match v {
                    Value::String(text) => text,
                    other => other.to_string(),
                });
                Self::Failed(words.unwrap_or_else(|| format!("the validator answered {other:?}")))
            }
        }
    }
}

/// A GPU that holds an instance (`GET /miner/inventory`). Idle GPUs are not listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InventoryRow {
    /// The GPU.
    pub gpu_id: GpuUuid,
    /// The chute on it.
    #[serde(default, deserialize_with = "lenient")]
    pub chute_id: Option<ChuteId>,
    /// Its name.
    #[serde(default, deserialize_with = "lenient")]
    pub chute_name: Option<String>,
    /// Whether the instance is active.
    #[serde(default, deserialize_with = "null_is_default")]
    pub active: bool,
    /// Why the instance was not verified.
    #[serde(default, deserialize_with = "lenient")]
    pub verification_error: Option<String>,
    /// When it was last verified.
    #[serde(default, deserialize_with = "lenient")]
    pub last_verified_at: Option<WireTime>,
}

/// A server as the validator has it (`GET /miner/servers/`, 2026).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinerServer {
    /// The node's Kubernetes UID.
    pub server_id: ServerId,
    /// The node's name.
    #[serde(default)]
    pub name: Option<String>,
    /// Address.
    #[serde(default)]
    pub ip: Option<String>,
    /// Whether it is confidential.
    #[serde(default, deserialize_with = "null_is_default")]
    pub is_tee: bool,
    /// Version of its image.
    #[serde(default)]
    pub version: Option<String>,
    /// Its GPUs.
    #[serde(default, deserialize_with = "null_is_default")]
    pub gpus: Vec<MinerServerGpu>,
}

/// A GPU of a [`MinerServer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinerServerGpu {
    /// Its UUID.
    pub uuid: GpuUuid,
    /// Model.
    #[serde(default)]
    pub gpu_identifier: Option<GpuRef>,
    /// Index on the server.
    #[serde(default)]
    pub device_index: Option<u32>,
    /// When it was verified.
    #[serde(default)]
    pub verified_at: Option<WireTime>,
    /// Why it was not.
    #[serde(default)]
    pub verification_error: Option<String>,
}

/// An active instance of anybody (`GET /miner/active_instances/`, 2026).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveInstance {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its chute.
    pub chute_id: ChuteId,
    /// Owner.
    #[serde(default)]
    pub miner_hotkey: Option<Ss58>,
    /// When it became active.
    #[serde(default)]
    pub activated_at: Option<WireTime>,
    /// Its multiplier.
    #[serde(default)]
    pub compute_multiplier: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Verification {
        serde_json::from_str::<VerificationStatus>(text).unwrap().into()
    }

    #[test]
    fn verification_speaks_the_validators_words() {
        assert_eq!(read(r#"{"status":"pending"}"#), Verification::Pending);
        assert_eq!(read(r#"{"status":"verified"}"#), Verification::Verified);
        assert_eq!(read(r#"{"status":"error","error":"too slow"}"#), Verification::Failed("too slow".into()));
        assert_eq!(read(r#"{"status":"failed","detail":["a"]}"#), Verification::Failed(r#"["a"]"#.into()));
    }

    #[test]
    fn an_unknown_status_is_no_success() {
        assert!(matches!(read(r#"{"status":"maybe"}"#), Verification::Failed(words) if words.contains("maybe")));
    }
}
