//! A GPU's row.

use crd::{ChuteDeployment, GpuServer, gpu_server::ReportedGpu};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn gpu(gpu: &ReportedGpu, server: &GpuServer, server_id: &str, deployments: &[&Arc<ChuteDeployment>]) -> Value {
    let holder = deployments.iter().find(|deployment| deployment.spec.gpus.contains(&gpu.uuid));
    let proof = server.status.as_ref().and_then(|status| status.proof.as_ref());
    json!({
        "gpu_id": gpu.uuid,
        "validator": server.spec.validator,
        "server_id": server_id,
        "deployment_id": holder.map(|deployment| &deployment.spec.deployment_id),
        "device_info": {
            "uuid": gpu.uuid,
            "name": gpu.name,
            "memory": gpu.memory_bytes,
            "major": gpu.major,
            "minor": gpu.minor,
            "processors": gpu.processors,
            // kHz, as the driver's own number the existing miner passes on.
            "clock_rate": gpu.clock_mhz.map_or(0.0, |mhz| f64::from(mhz) * 1000.0),
            "ecc": gpu.ecc,
            "device_index": gpu.index,
        },
        "model_short_ref": server.spec.gpu_ref,
        "verified": proof.is_some_and(|proof| proof.gpus.contains(&gpu.uuid)),
        "health": gpu.health,
    })
}
