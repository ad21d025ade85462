//! Instances, rows of the stream `/miner/instances/`.

use serde::{Deserialize, Serialize};

use super::null_is_default;
use crate::ids::{ChuteId, ChuteVersion, ConfigId, InstanceId, Ss58};
use crate::time::WireTime;

/// A running copy of a chute as the validator has it. The validator's symmetric key of older eras is never read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its chute.
    pub chute_id: ChuteId,
    /// Its chute's version.
    #[serde(default)]
    pub version: Option<ChuteVersion>,
    /// The launch config it was claimed with: the link to our deployment.
    #[serde(default)]
    pub config_id: Option<ConfigId>,
    /// Owner.
    #[serde(default)]
    pub miner_hotkey: Option<Ss58>,
    /// Whether its proof was accepted.
    #[serde(default, deserialize_with = "null_is_default")]
    pub verified: bool,
    /// Whether it takes requests, and is paid.
    #[serde(default, deserialize_with = "null_is_default")]
    pub active: bool,
    /// Why its proof was refused.
    #[serde(default)]
    pub verification_error: Option<String>,
    /// Failed requests in a row.
    #[serde(default)]
    pub consecutive_failures: Option<u32>,
    /// Address, in older eras.
    #[serde(default)]
    pub host: Option<String>,
    /// Port, in older eras.
    #[serde(default)]
    pub port: Option<u16>,
    /// Its multiplier.
    #[serde(default)]
    pub compute_multiplier: Option<f64>,
    /// Its rate in US dollars an hour.
    #[serde(default)]
    pub hourly_rate: Option<f64>,
    /// Version of its library.
    #[serde(default)]
    pub chutes_version: Option<String>,
    /// When it was claimed.
    #[serde(default)]
    pub created_at: Option<WireTime>,
    /// When its proof was last accepted.
    #[serde(default)]
    pub last_verified_at: Option<WireTime>,
    /// When it became active: paid from here on.
    #[serde(default)]
    pub activated_at: Option<WireTime>,
    /// When it was last called.
    #[serde(default)]
    pub last_queried_at: Option<WireTime>,
    /// When its owner stops paying.
    #[serde(default)]
    pub stop_billing_at: Option<WireTime>,
}
