//! What to report. Pure.
//!
//! The last report is part of the input: what cannot be read now keeps its last known value, so that a blind spot never
//! looks like a fault, nor like health.

use crate::node::NodeFacts;
use crd::gpu_server::{GpuHealth, Reported, ReportedGpu, Versions};
use gpu::{Driver, GpuFacts, GpuReading, Health, Reading, Seen};
use protocol::ids::GpuUuid;
use std::collections::BTreeMap;

/// Reads in a row after which it is told that a GPU cannot be read. A driver that is merely slow is not worth a write.
const UNREADABLE_READS: u32 = 6;

/// Composes reports from readings.
#[derive(Debug, Default)]
pub struct Composer {
    unread: BTreeMap<GpuUuid, u32>,
}

impl Composer {
    /// Takes a new reading in: must be called once for each.
    pub fn observe(&mut self, reading: &Reading) {
        let before = std::mem::take(&mut self.unread);
        for gpu in reading.gpus.iter().filter(|gpu| gpu.health == Health::Unknown) {
            let count = before.get(&gpu.facts.uuid).copied().unwrap_or(0).saturating_add(1);
            self.unread.insert(gpu.facts.uuid.clone(), count);
        }
    }

    /// The report, given the last one.
    #[must_use]
    pub fn compose(&self, last: Option<&Reported>, reading: &Reading, node: Option<&NodeFacts>) -> Reported {
        let last = last.cloned().unwrap_or_default();
        let mut gpus: Vec<ReportedGpu> = reading.gpus.iter().filter_map(|gpu| self.gpu(&last, gpu)).collect();
        // A GPU of the last report that the reading lacks was seen before our memory was wiped; the next readings know of it.
        gpus.extend(last.gpus.into_iter().filter(|old| reading.gpus.iter().all(|gpu| gpu.facts.uuid != old.uuid)));
        gpus.sort_by(|a, b| (a.index, &a.uuid).cmp(&(b.index, &b.uuid)));
        let old = last.versions.unwrap_or_default();
        Reported {
            node_uid: node.map(|node| node.uid.clone()).or(last.node_uid),
            gpus,
            capacity: node.map(|node| node.capacity.clone()).or(last.capacity),
            versions: Some(Versions {
                agent: Some(env!("CARGO_PKG_VERSION").to_owned()),
                driver: match &reading.driver {
                    Driver::Answers(version) => Some(version.clone()),
                    Driver::Silent | Driver::Absent(_) => old.driver,
                },
                kubelet: node.and_then(|node| node.kubelet.clone()).or(old.kubelet),
                vm: None,
            }),
        }
    }

    /// One GPU. One that was never readable is not reported: nobody knows whether it is of use.
    fn gpu(&self, last: &Reported, gpu: &GpuReading) -> Option<ReportedGpu> {
        let before = last.gpus.iter().find(|old| old.uuid == gpu.facts.uuid);
        let (health, detail) = match gpu.health {
            Health::Ok => (GpuHealth::Ok, gpu.detail.clone()),
            Health::Lost => (GpuHealth::Lost, gpu.detail.clone()),
            Health::Faulty => (GpuHealth::Faulty, gpu.detail.clone()),
            Health::Unknown => {
                let before = before?;
                let long = self.unread.get(&gpu.facts.uuid).is_some_and(|count| *count >= UNREADABLE_READS);
                let detail = if long && before.health == GpuHealth::Ok { gpu.detail.clone() } else { before.detail.clone() };
                (before.health, detail)
            }
        };
        let facts = gpu.facts.clone();
        Some(ReportedGpu {
            uuid: facts.uuid,
            index: facts.index,
            name: facts.name,
            memory_bytes: facts.memory_bytes,
            major: facts.major,
            minor: facts.minor,
            processors: facts.processors,
            clock_mhz: facts.clock_mhz,
            ecc: facts.ecc,
            health,
            detail,
        })
    }
}

/// The GPUs of a report that a reading lacks: they were here before our own memory of them was lost.
#[must_use]
pub fn seen(last: &Reported, reading: &Reading) -> Seen {
    let missing = last.gpus.iter().filter(|old| reading.gpus.iter().all(|gpu| gpu.facts.uuid != old.uuid));
    missing
        .map(|old| GpuFacts {
            uuid: old.uuid.clone(),
            index: old.index,
            name: old.name.clone(),
            memory_bytes: old.memory_bytes,
            major: old.major,
            minor: old.minor,
            processors: old.processors,
            clock_mhz: old.clock_mhz,
            ecc: old.ecc,
        })
        .collect()
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
