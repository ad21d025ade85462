//! Jobs: the methods a chute declares, and rows of the stream `/miner/jobs/`.

use serde::{Deserialize, Serialize};

use super::null_is_default;
use crate::catalogue::NodeSelector;
use crate::ids::{ChuteId, ChuteVersion, InstanceId, JobId};
use crate::time::WireTime;

/// A job method of a chute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Method name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// Whether it uploads results.
    #[serde(default, deserialize_with = "null_is_default")]
    pub upload: bool,
    /// Longest duration in seconds.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// Ports it offers beside the usual ones.
    #[serde(default, deserialize_with = "null_is_default")]
    pub ports: Vec<JobPort>,
    /// Disk it needs, in GB.
    #[serde(default)]
    pub disk_gb: Option<u32>,
}

/// A port of a job method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPort {
    /// Name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// Port inside the container: 2202 or 8002 to 65535.
    pub port: u16,
    /// `tcp`, `udp` or `http`, in any case.
    #[serde(default, deserialize_with = "null_is_default")]
    pub proto: String,
    /// Whether it is the one to connect to.
    #[serde(default, deserialize_with = "null_is_default")]
    pub default: bool,
}

/// A job of this miner that has no instance yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its id.
    pub job_id: JobId,
    /// Its chute.
    pub chute_id: ChuteId,
    /// Its chute's version.
    #[serde(default)]
    pub version: Option<ChuteVersion>,
    /// Job method.
    #[serde(default)]
    pub method: Option<String>,
    /// Its instance.
    #[serde(default)]
    pub instance_id: Option<InstanceId>,
    /// Which GPUs it wants.
    #[serde(default)]
    pub node_selector: Option<NodeSelector>,
    /// State.
    #[serde(default)]
    pub status: Option<String>,
    /// Its multiplier.
    #[serde(default)]
    pub compute_multiplier: Option<f64>,
    /// Hotkeys that tried it already.
    #[serde(default, deserialize_with = "null_is_default")]
    pub miner_history: Vec<String>,
    /// When it was created.
    #[serde(default)]
    pub created_at: Option<WireTime>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<WireTime>,
}
