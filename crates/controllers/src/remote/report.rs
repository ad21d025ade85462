//! What is reported of a remote server, from its Kubernetes node and its devices. Pure.

use cluster::quantity::{whole, whole_gib};
use crd::gpu_server::{Capacity, GpuHealth, Reported, ReportedGpu, Versions};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use protocol::device::DeviceInfo;

/// Builds the report. Devices that could not be asked for now stay as they were reported; one that is missing from a list is lost.
pub(super) fn report(node: &Node, devices: Option<&[DeviceInfo]>, vm: Option<String>, before: &Reported) -> Reported {
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    let label = |key: &str| node.labels().get(key).cloned();
    let gpus = devices.map_or_else(|| before.gpus.clone(), |devices| gpus(devices, before));
    Reported {
        node_uid: node.uid(),
        gpus,
        capacity: node.status.as_ref().and_then(|status| status.allocatable.as_ref()).map(|all| Capacity {
            cpu: whole(all.get("cpu")),
            memory_gib: whole_gib(all.get("memory")),
            disk_gib: whole_gib(all.get("ephemeral-storage")),
        }),
        versions: Some(Versions {
            agent: None,
            driver: label("nvidia.com/cuda.driver-version.full"),
            kubelet: info.map(|info| info.kubelet_version.clone()),
            vm: vm.or_else(|| before.versions.as_ref().and_then(|versions| versions.vm.clone())),
        }),
    }
}

fn gpus(devices: &[DeviceInfo], before: &Reported) -> Vec<ReportedGpu> {
    let mut gpus: Vec<ReportedGpu> = devices.iter().enumerate().map(|(index, device)| gpu(index, device)).collect();
    for known in &before.gpus {
        if gpus.iter().all(|gpu| gpu.uuid != known.uuid) {
            let detail = Some("the attestation service does not show it any more".to_owned());
            gpus.push(ReportedGpu { health: GpuHealth::Lost, detail, ..known.clone() });
        }
    }
    gpus
}

fn gpu(index: usize, device: &DeviceInfo) -> ReportedGpu {
    let clock_mhz = (device.clock_rate / 1000.0).clamp(0.0, 100_000.0) as u32;
    ReportedGpu {
        uuid: device.uuid.clone(),
        index: u32::try_from(index).unwrap_or(u32::MAX),
        name: device.name.clone(),
        memory_bytes: device.memory,
        major: device.major,
        minor: device.minor,
        processors: device.processors,
        clock_mhz: Some(clock_mhz),
        ecc: device.ecc,
        health: GpuHealth::Ok,
        detail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u32) -> DeviceInfo {
        serde_json::from_value(serde_json::json!({
            "uuid": format!("{n:032x}"), "name": "NVIDIA H200", "memory": 150_754_820_096_u64, "major": 9, "minor": 0,
            "clock_rate": 1_980_000.0, "ecc": true, "model_short_ref": "h200",
        }))
        .unwrap()
    }

    fn node() -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "tee-0", "uid": "node-uid"},
            "status": {"allocatable": {"cpu": "191500m", "memory": "2113331456Ki", "ephemeral-storage": "1056762036840"}},
        }))
        .unwrap()
    }

    #[test]
    fn a_node_and_its_devices_make_a_report() {
        let report = report(&node(), Some(&[device(1), device(2)]), None, &Reported::default());
        assert_eq!(report.node_uid.as_deref(), Some("node-uid"));
        assert_eq!(report.capacity, Some(Capacity { cpu: 191, memory_gib: 2015, disk_gib: 984 }));
        assert_eq!(report.gpus[1].index, 1);
        assert_eq!(report.gpus[0].clock_mhz, Some(1980));
    }

    #[test]
    fn a_device_that_vanishes_is_lost_and_an_unasked_one_stays() {
        let before = report(&node(), Some(&[device(1), device(2)]), None, &Reported::default());
        assert_eq!(report(&node(), None, None, &before).gpus, before.gpus);
        let after = report(&node(), Some(&[device(1)]), None, &before);
        assert_eq!(after.gpus.iter().map(|gpu| gpu.health).collect::<Vec<_>>(), [GpuHealth::Ok, GpuHealth::Lost]);
    }
}
