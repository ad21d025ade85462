//! Advertised GPUs, rows of the stream `/miner/nodes/`.

use serde::{Deserialize, Serialize};

use crate::ids::{GpuRef, GpuUuid, ServerId, Ss58};
use crate::time::WireTime;

/// A GPU as the validator has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its UUID.
    pub uuid: GpuUuid,
    /// Marketing name.
    #[serde(default)]
    pub name: Option<String>,
    /// Memory in bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Model.
    #[serde(default)]
    pub gpu_identifier: Option<GpuRef>,
    /// Index on its server.
    #[serde(default)]
    pub device_index: Option<u32>,
    /// Owner.
    #[serde(default)]
    pub miner_hotkey: Option<Ss58>,
    /// The server it was advertised with.
    #[serde(default)]
    pub server_id: Option<ServerId>,
    /// Seed of its proof; 0 on confidential servers.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Where its proof service answers.
    #[serde(default)]
    pub verification_host: Option<String>,
    /// Port of the proof service.
    #[serde(default)]
    pub verification_port: Option<u16>,
    /// Why it was not verified.
    #[serde(default)]
    pub verification_error: Option<String>,
    /// When it was verified; an unverified GPU earns nothing.
    #[serde(default)]
    pub verified_at: Option<WireTime>,
    /// When it was advertised.
    #[serde(default)]
    pub created_at: Option<WireTime>,
}
