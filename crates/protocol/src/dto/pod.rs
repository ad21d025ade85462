//! What the pod says to the validator with its launch token, and hears back. The control plane never sends these;
//! simulators and the fake chute do.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::null_is_default;
use crate::device::DeviceInfo;
use crate::ids::{ChuteId, GpuUuid, InstanceId, JobId};
use crate::time::WireTime;

/// The claim of a launch config, in both modes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimBody {
    /// The pod's GPUs.
    pub gpus: Vec<DeviceInfo>,
    /// Public address of the pod's server.
    pub host: String,
    /// Ports under which the pod is reached.
    pub port_mappings: Vec<PortMapping>,
    /// The pod's environment, encrypted or not by era.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Value>,
    /// The pod's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Hash over the pod's file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsv: Option<String>,
    /// Our deployment's id (confidential mode).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// Everything else an era asks for.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

/// One port of a pod, inside and outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// In the container.
    pub internal_port: u16,
    /// On the server's public address.
    pub external_port: u16,
    /// `tcp`, `udp` or `http`, in any case.
    pub proto: String,
    /// Whether it is the one to connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

/// The answer to a claim with GPU proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimReply {
    /// Seed of the proof.
    pub seed: u64,
    /// Rounds of the proof.
    pub iterations: u32,
    /// The job, if it is one.
    #[serde(default)]
    pub job_id: Option<JobId>,
    /// What to decrypt with the GPU.
    pub symmetric_key: SymmetricKey,
}

/// A key encrypted for one GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymmetricKey {
    /// The encrypted key.
    pub ciphertext: String,
    /// The GPU that can decrypt it.
    pub uuid: GpuUuid,
    /// What to send back, encrypted with the key.
    pub response_plaintext: String,
}

/// The answer to a confidential claim.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct TeeClaimReply {
    /// Session key, 32 hexadecimal digits. Secret.
    pub symmetric_key: String,
    /// The validator's public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator_pubkey: Option<String>,
}

impl fmt::Debug for TeeClaimReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TeeClaimReply(redacted)")
    }
}

/// The proof of a claim. Empty in confidential mode.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VerifyBody {
    /// The wanted text, encrypted, base 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// Its initialisation vector, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<String>,
    /// Work of each GPU.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proof: BTreeMap<GpuUuid, Proof>,
}

/// Work of one GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// The product.
    pub work_product: Value,
}

/// The answer to an accepted proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyReply {
    /// The chute.
    pub chute_id: ChuteId,
    /// The instance.
    pub instance_id: InstanceId,
    /// When the proof was accepted; without offset.
    #[serde(default)]
    pub verified_at: Option<WireTime>,
    /// Where to call once the chute is ready.
    #[serde(default)]
    pub activation_url: Option<String>,
}

/// The answer to an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activated {
    /// Whether the instance takes requests now.
    #[serde(default, deserialize_with = "null_is_default")]
    pub ok: bool,
}
