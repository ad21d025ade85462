//! One GPU as it is described to a validator.

use serde::{Deserialize, Serialize};

use crate::ids::{GpuRef, GpuUuid};

/// What the driver says about a GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceInfo {
    /// The GPU's UUID.
    pub uuid: GpuUuid,
    /// Marketing name, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Memory in bytes.
    pub memory: u64,
    /// CUDA capability, the part before the dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// CUDA capability, the part after the dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// Streaming multiprocessors (compute units on AMD).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<u32>,
    /// Whether the GPU sits on an SXM board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sxm: Option<bool>,
    /// Highest clock of the processors, in kHz.
    pub clock_rate: f64,
    /// Threads that fit on one processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_threads_per_processor: Option<u32>,
    /// Whether several kernels can run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_kernels: Option<bool>,
    /// Whether the memory corrects errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
}

/// One GPU in an advert: the device, which model it is sold as, and where its proof service answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeArgs {
    /// What the driver says.
    #[serde(flatten)]
    pub device: DeviceInfo,
    /// Index on its server, 0 to 9.
    pub device_index: u8,
    /// The catalogue's short name of the model.
    pub gpu_identifier: GpuRef,
    /// Public address at which the validator reaches the proof service, and later the instances.
    pub verification_host: String,
    /// Port of the proof service, 80 to 65535.
    pub verification_port: u16,
}

/// A server's GPUs, as advertised together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerAdvert {
    /// The node's Kubernetes UID.
    pub server_id: crate::ids::ServerId,
    /// The node's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Its GPUs.
    pub nodes: Vec<NodeArgs>,
}

/// A confidential server, as registered (`POST /servers/`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerArgs {
    /// Public address of the server.
    pub host: String,
    /// The node's Kubernetes UID.
    pub id: crate::ids::ServerId,
    /// The node's name.
    pub name: String,
    /// Its GPUs.
    pub gpus: Vec<NodeArgs>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_written_as_the_existing_miner_writes_it() {
        // Captured body of a registration.
        let golden = r#"{"host":"127.0.0.1","id":"uid-node-a","name":"node-a","gpus":[{"uuid":"00000000000000000000000000000000","name":"NVIDIA H100","memory":85899345920,"major":9,"minor":0,"clock_rate":1980000.0,"ecc":true,"device_index":0,"gpu_identifier":"h100","verification_host":"127.0.0.1","verification_port":30443}]}"#;
        let server: ServerArgs = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_string(&server).unwrap(), golden);
    }
}
