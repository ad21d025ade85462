//! What a realizer remembers between passes. All of it can be lost: it only saves writes and bridges the moment until a cache
//! shows what we did ourselves.

use crate::observe::{Holder, Seen, SeenJob};
use crd::chute_deployment::Workload;
use jiff::Timestamp;
use protocol::ids::{DeploymentId, GpuUuid};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// As long as the cache may lag behind a status we wrote; after that a difference is somebody else's doing, and is mended.
const LAG: Duration = Duration::from_secs(30);

/// What is remembered, by deployment.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    entries: Mutex<HashMap<DeploymentId, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The Job we made, and the GPUs it will hold; until a cache shows it.
    made: Option<(SeenJob, Vec<GpuUuid>)>,
    /// What we last wanted to say.
    said: Option<Workload>,
    /// What we last wrote, and when.
    written: Option<(Workload, Instant)>,
    /// Since when a pod is in trouble.
    trouble: Option<(String, Timestamp)>,
    /// It waits for a GPU that another holds.
    waits: bool,
}

impl Memory {
    fn entries(&self) -> MutexGuard<'_, HashMap<DeploymentId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget(&self, id: &DeploymentId) {
        self.entries().remove(id);
    }

    /// What was last said, by ourselves if we remember, else by the resource.
    pub(crate) fn prior(&self, id: &DeploymentId, reported: Option<&Workload>) -> Option<Workload> {
        self.entries().get(id).and_then(|entry| entry.said.clone()).or_else(|| reported.cloned())
    }

    /// Completes what the caches show with what we know better.
    pub(crate) fn complete(&self, id: &DeploymentId, seen: &mut Seen, now: Timestamp) {
        let mut entries = self.entries();
        let entry = entries.entry(id.clone()).or_default();
        if seen.job.is_some() {
            entry.made = None;
        } else if let Some((job, _)) = &entry.made {
            seen.job = Some(job.clone());
        }
        match seen.pods.last_mut() {
            Some(pod) if pod.trouble.is_some() => {
                let since = match &entry.trouble {
                    Some((uid, since)) if *uid == pod.uid => *since,
                    _ => now,
                };
                entry.trouble = Some((pod.uid.clone(), since));
                pod.trouble_since = Some(since);
            }
            _ => entry.trouble = None,
        }
    }

    /// GPUs of Jobs that we made and no cache shows yet.
    pub(crate) fn held(&self, me: &DeploymentId, wanted: &[GpuUuid]) -> Vec<Holder> {
        let entries = self.entries();
        let others = entries.iter().filter(|(id, _)| *id != me);
        let made = others.filter_map(|(id, entry)| Some((id, &entry.made.as_ref()?.1)));
        made.flat_map(|(id, gpus)| {
            gpus.iter().filter(|gpu| wanted.contains(gpu)).map(|gpu| Holder { gpu: gpu.clone(), by: workload::names::job(id) })
        })
        .collect()
    }

    pub(crate) fn made(&self, id: &DeploymentId, job: SeenJob, gpus: Vec<GpuUuid>) {
        self.entries().entry(id.clone()).or_default().made = Some((job, gpus));
    }

    /// Somebody's deletion, ours or not, was confirmed by the API server.
    pub(crate) fn unmade(&self, id: &DeploymentId) {
        if let Some(entry) = self.entries().get_mut(id) {
            entry.made = None;
        }
    }

    /// Notes what is to be said; returns whether it must be written.
    pub(crate) fn say(&self, id: &DeploymentId, report: &Workload, reported: Option<&Workload>, now: Instant) -> bool {
        let mut entries = self.entries();
        let entry = entries.entry(id.clone()).or_default();
        entry.said = Some(report.clone());
        if reported == Some(report) {
            return false;
        }
        !matches!(&entry.written, Some((written, at)) if written == report && now.duration_since(*at) < LAG)
    }

    pub(crate) fn written(&self, id: &DeploymentId, report: Workload, now: Instant) {
        self.entries().entry(id.clone()).or_default().written = Some((report, now));
    }

    pub(crate) fn waits(&self, id: &DeploymentId, waits: bool) {
        self.entries().entry(id.clone()).or_default().waits = waits;
    }

    /// Deployments that wait for a GPU.
    pub(crate) fn waiting(&self) -> HashSet<DeploymentId> {
        self.entries().iter().filter(|(_, entry)| entry.waits).map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crd::chute_deployment::WorkloadState;

    fn id() -> DeploymentId {
        "3f0f9f9e-0b1a-4c5d-8e7f-112233445566".parse().unwrap()
    }

    fn report(state: WorkloadState) -> Workload {
        Workload { state, reason: None, message: None, job_uid: None, pod_uid: None, pod_name: None, node_ports: vec![], exit_code: None }
    }

    #[test]
    fn a_report_is_written_once_though_the_cache_lags_and_again_if_somebody_changed_it() {
        let memory = Memory::default();
        let (old, new) = (report(WorkloadState::Starting), report(WorkloadState::Running));
        let now = Instant::now();
        assert!(memory.say(&id(), &new, Some(&old), now));
        memory.written(&id(), new.clone(), now);
        assert!(!memory.say(&id(), &new, Some(&old), now), "the cache lags");
        assert!(!memory.say(&id(), &new, Some(&new), now), "the cache shows it");
        let later = now + Duration::from_secs(60);
        assert!(!memory.say(&id(), &new, Some(&new), later));
        assert!(memory.say(&id(), &new, Some(&old), later), "somebody changed it");
    }

    #[test]
    fn a_job_just_made_holds_its_gpus_before_any_cache_shows_it() {
        let memory = Memory::default();
        let gpu: GpuUuid = "0123abcd0123012301230123456789ab".parse().unwrap();
        let other: DeploymentId = "4f0f9f9e-0b1a-4c5d-8e7f-112233445566".parse().unwrap();
        let job = SeenJob { uid: "j".into(), deleting: false, failed: None };
        memory.made(&id(), job.clone(), vec![gpu.clone()]);
        assert_eq!(memory.held(&other, std::slice::from_ref(&gpu)).len(), 1);
        assert!(memory.held(&id(), std::slice::from_ref(&gpu)).is_empty(), "not against itself");

        let mut seen = Seen::default();
        memory.complete(&id(), &mut seen, Timestamp::UNIX_EPOCH);
        assert_eq!(seen.job, Some(job.clone()));
        let mut seen = Seen { job: Some(SeenJob { deleting: true, ..job }), ..Seen::default() };
        memory.complete(&id(), &mut seen, Timestamp::UNIX_EPOCH);
        assert!(memory.held(&other, &[gpu]).is_empty(), "the cache has it now");
    }
}
