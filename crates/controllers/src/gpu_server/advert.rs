//! The advert of a server's GPUs, from what its reporter says. Pure.

use crd::GpuServer;
use crd::gpu_server::ReportedGpu;
use kube::ResourceExt as _;
use protocol::catalogue;
use protocol::device::{DeviceInfo, NodeArgs, ServerAdvert, ServerArgs};
use protocol::ids::{GpuUuid, ServerId};

/// Rows for those of the server's GPUs that are named.
pub(super) fn rows(server: &GpuServer, reported: &[ReportedGpu], only: &[GpuUuid]) -> Vec<NodeArgs> {
    let mut gpus: Vec<&ReportedGpu> = reported.iter().filter(|gpu| only.contains(&gpu.uuid)).collect();
    gpus.sort_by_key(|gpu| gpu.index);
    gpus.into_iter().map(|gpu| row(server, gpu)).collect()
}

fn row(server: &GpuServer, gpu: &ReportedGpu) -> NodeArgs {
    let spec = &server.spec;
    let model = catalogue::find(&spec.gpu_ref);
    NodeArgs {
        device: DeviceInfo {
            uuid: gpu.uuid.clone(),
            name: gpu.name.clone(),
            memory: gpu.memory_bytes,
            major: gpu.major.or(model.and_then(|model| model.capability.map(|c| c.0))),
            minor: gpu.minor.or(model.and_then(|model| model.capability.map(|c| c.1))),
            processors: gpu.processors.or(model.map(|model| model.processors)),
            sxm: model.and_then(|model| model.sxm),
            clock_rate: f64::from(gpu.clock_mhz.or(model.map(|model| model.boost_mhz)).unwrap_or(0)) * 1000.0,
            max_threads_per_processor: model.map(|model| model.max_threads_per_processor),
            concurrent_kernels: Some(true),
            ecc: gpu.ecc.or(model.and_then(|model| model.ecc)),
        },
        device_index: u8::try_from(gpu.index).unwrap_or(u8::MAX),
        gpu_identifier: spec.gpu_ref.clone(),
        verification_host: spec.address.clone(),
        verification_port: spec.verification_port,
    }
}

/// The advert for proof by work.
pub(super) fn graval(server: &GpuServer, id: ServerId, nodes: Vec<NodeArgs>) -> ServerAdvert {
    ServerAdvert { server_id: id, server_name: Some(server.name_any()), nodes }
}

/// The registration of a confidential server.
pub(super) fn tee(server: &GpuServer, id: ServerId, gpus: Vec<NodeArgs>) -> ServerArgs {
    ServerArgs { host: server.spec.address.clone(), id, name: server.name_any(), gpus }
}
