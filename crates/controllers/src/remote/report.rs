//! What is reported of a remote server, from its Kubernetes node and its devices. Pure.

use std::collections::BTreeSet;

use cluster::quantity::{whole, whole_gib};
use crd::gpu_server::{Capacity, GpuHealth, Reported, ReportedGpu, Versions};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use protocol::device::DeviceInfo;
use protocol::ids::GpuUuid;

use super::absence::Verdict;

/// The answer of a server's attestation service, with the judge of what it lacks.
pub(super) struct Answer<'a> {
    pub(super) devices: &'a [DeviceInfo],
    pub(super) verdict: &'a dyn Fn(&GpuUuid) -> Verdict,
}

/// Builds the report. Devices that could not be asked for now stay as they were reported.
pub(super) fn report(node: &Node, answer: Option<&Answer<'_>>, vm: Option<String>, before: &Reported) -> Reported {
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    let label = |key: &str| node.labels().get(key).cloned();
    let gpus = answer.map_or_else(|| before.gpus.clone(), |answer| gpus(answer, before));
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

fn gpus(answer: &Answer<'_>, before: &Reported) -> Vec<ReportedGpu> {
    let mut gpus: Vec<ReportedGpu> = Vec::new();
    for known in before.gpus.iter().filter(|known| answer.devices.iter().all(|device| device.uuid != known.uuid)) {
        gpus.push(absent(known, (answer.verdict)(&known.uuid)));
    }
    // The answer has no indices, only an order, in which all that follows an absent one moves up: who has an index keeps it.
    let mut taken: BTreeSet<u32> = gpus.iter().filter(|gpu| gpu.health != GpuHealth::Lost).map(|gpu| gpu.index).collect();
    let mut newcomers = Vec::new();
    for device in answer.devices {
        if gpus.iter().any(|gpu| gpu.uuid == device.uuid) {
            continue;
        }
        match before.gpus.iter().find(|known| known.uuid == device.uuid) {
            Some(known) if taken.insert(known.index) => gpus.push(gpu(known.index, device)),
            _ => newcomers.push(device),
        }
    }
    for device in newcomers {
        if gpus.iter().any(|gpu| gpu.uuid == device.uuid) {
            continue;
        }
        let index = (0..).find(|index| !taken.contains(index)).unwrap_or(u32::MAX);
        taken.insert(index);
        gpus.push(gpu(index, device));
    }
    gpus.sort_by(|a, b| (a.index, &a.uuid).cmp(&(b.index, &b.uuid)));
    gpus
}

/// A GPU that the answer lacks. What is lost stays so until it is shown again.
fn absent(known: &ReportedGpu, verdict: Verdict) -> ReportedGpu {
    if known.health == GpuHealth::Lost {
        return known.clone();
    }
    let (health, detail) = match verdict {
        Verdict::TooEarly => return known.clone(),
        Verdict::Contested => (
            GpuHealth::Faulty,
            "the attestation service does not show it any more; the validator has an instance on it, which is left alone",
        ),
        Verdict::OneSided => (
            GpuHealth::Faulty,
            "the attestation service does not show it any more; the validator cannot be asked whether it has an instance there",
        ),
        Verdict::Lost => (GpuHealth::Lost, "the attestation service does not show it any more"),
    };
    ReportedGpu { health, detail: Some(detail.to_owned()), ..known.clone() }
}

fn gpu(index: u32, device: &DeviceInfo) -> ReportedGpu {
    let clock_mhz = (device.clock_rate / 1000.0).clamp(0.0, 100_000.0) as u32;
    ReportedGpu {
        uuid: device.uuid.clone(),
        index,
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
pub(super) mod tests {
    use super::*;

    pub(in crate::remote) fn device(n: u32) -> DeviceInfo {
        serde_json::from_value(serde_json::json!({
            "uuid": format!("{n:032x}"), "name": "NVIDIA H200", "memory": 150_754_820_096_u64, "major": 9, "minor": 0,
            "clock_rate": 1_980_000.0, "ecc": true, "model_short_ref": "h200",
        }))
        .unwrap()
    }

    /// GPUs 1 to `count` as they were reported.
    pub(in crate::remote) fn known(count: u32) -> Vec<ReportedGpu> {
        (1..=count).map(|n| gpu(n - 1, &device(n))).collect()
    }

    fn node() -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "tee-0", "uid": "node-uid"},
            "status": {"allocatable": {"cpu": "191500m", "memory": "2113331456Ki", "ephemeral-storage": "1056762036840"}},
        }))
        .unwrap()
    }

    fn after(before: &Reported, devices: &[DeviceInfo], verdict: Verdict) -> Reported {
        report(&node(), Some(&Answer { devices, verdict: &|_| verdict }), None, before)
    }

    fn two() -> Reported {
        after(&Reported::default(), &[device(1), device(2)], Verdict::TooEarly)
    }

    fn healths(report: &Reported) -> Vec<GpuHealth> {
        report.gpus.iter().map(|gpu| gpu.health).collect()
    }

    #[test]
    fn a_node_and_its_devices_make_a_report() {
        let report = two();
        assert_eq!(report.node_uid.as_deref(), Some("node-uid"));
        assert_eq!(report.capacity, Some(Capacity { cpu: 191, memory_gib: 2015, disk_gib: 984 }));
        assert_eq!(report.gpus[1].index, 1);
        assert_eq!(report.gpus[0].clock_mhz, Some(1980));
    }

    #[test]
    fn a_device_that_an_answer_lacks_stays_as_it_was_until_its_absence_is_believed() {
        let before = two();
        assert_eq!(report(&node(), None, None, &before).gpus, before.gpus);
        assert_eq!(after(&before, &[device(1)], Verdict::TooEarly), before);
        assert_eq!(after(&before, &[device(2)], Verdict::TooEarly), before);
        assert_eq!(after(&before, &[], Verdict::TooEarly), before);
        for doubt in [Verdict::Contested, Verdict::OneSided] {
            assert_eq!(healths(&after(&before, &[device(1)], doubt)), [GpuHealth::Ok, GpuHealth::Faulty], "{doubt:?}");
        }
        let lost = after(&before, &[device(1)], Verdict::Lost);
        assert_eq!(healths(&lost), [GpuHealth::Ok, GpuHealth::Lost]);
        // Whoever starts anew has counted no answers yet.
        assert_eq!(after(&lost, &[device(1)], Verdict::TooEarly), lost);
        assert_eq!(after(&lost, &[device(1), device(2)], Verdict::TooEarly), before);
    }

    #[test]
    fn an_exchanged_device_takes_the_index_of_the_lost_one_only() {
        let lost = after(&two(), &[device(2)], Verdict::Lost);
        let exchanged = after(&lost, &[device(3), device(2), device(2)], Verdict::TooEarly);
        let indices: Vec<_> = exchanged.gpus.iter().map(|gpu| (gpu.index, gpu.uuid.clone(), gpu.health)).collect();
        assert_eq!(
            indices,
            [(0, device(1).uuid, GpuHealth::Lost), (0, device(3).uuid, GpuHealth::Ok), (1, device(2).uuid, GpuHealth::Ok),]
        );
        let doubted = after(&two(), &[device(3), device(2)], Verdict::TooEarly);
        assert_eq!(doubted.gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
