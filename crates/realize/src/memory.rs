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
    /// The GPUs of a Job that we make or made; until a cache shows it.
    taken: Option<Taken>,
    /// What we last wanted to say.
    said: Option<Workload>,
    /// What we last wrote, and when.
    written: Option<(Workload, Instant)>,
    /// Since when a pod is in trouble.
    trouble: Option<(String, Timestamp)>,
    /// It waits for a GPU that another holds.
    waits: bool,
}

#[derive(Debug)]
struct Taken {
    gpus: Vec<GpuUuid>,
    /// The Job, once the API server made it.
    job: Option<SeenJob>,
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
            entry.taken = None;
        } else if let Some(job) = entry.taken.as_ref().and_then(|taken| taken.job.as_ref()) {
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

    /// GPUs that others took: their Jobs are being made, or were made and no cache shows them yet.
    pub(crate) fn held(&self, me: &DeploymentId, wanted: &[GpuUuid]) -> Vec<Holder> {
        held(&self.entries(), me, wanted)
    }

    /// Takes GPUs for a Job about to be made, unless another took one of them: then it returns who. Of two that take at once
    /// only one gets them, so that no lock need be held while API servers are asked.
    pub(crate) fn take(&self, me: &DeploymentId, wanted: &[GpuUuid]) -> Vec<Holder> {
        let mut entries = self.entries();
        let holders = held(&entries, me, wanted);
        if holders.is_empty() {
            let entry = entries.entry(me.clone()).or_default();
            entry.taken.get_or_insert_with(|| Taken { gpus: wanted.to_vec(), job: None });
        }
        holders
    }

    /// The Job was made; its GPUs stay taken until a cache shows it.
    pub(crate) fn made(&self, id: &DeploymentId, job: SeenJob, gpus: &[GpuUuid]) {
        self.entries().entry(id.clone()).or_default().taken = Some(Taken { gpus: gpus.to_vec(), job: Some(job) });
    }

    /// There is no Job and none is being made: it was refused, or its absence was confirmed by the API server.
    pub(crate) fn give_back(&self, id: &DeploymentId) {
        if let Some(entry) = self.entries().get_mut(id) {
            entry.taken = None;
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

fn held(entries: &HashMap<DeploymentId, Entry>, me: &DeploymentId, wanted: &[GpuUuid]) -> Vec<Holder> {
    let others = entries.iter().filter(|(id, _)| *id != me);
    let taken = others.filter_map(|(id, entry)| Some((id, &entry.taken.as_ref()?.gpus)));
    taken
        .flat_map(|(id, gpus)| {
            gpus.iter().filter(|gpu| wanted.contains(gpu)).map(|gpu| Holder { gpu: gpu.clone(), by: workload::names::job(id) })
        })
        .collect()
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
        memory.made(&id(), job.clone(), std::slice::from_ref(&gpu));
        assert_eq!(memory.held(&other, std::slice::from_ref(&gpu)).len(), 1);
        assert!(memory.held(&id(), std::slice::from_ref(&gpu)).is_empty(), "not against itself");

        let mut seen = Seen::default();
        memory.complete(&id(), &mut seen, Timestamp::UNIX_EPOCH);
        assert_eq!(seen.job, Some(job.clone()));
        let mut seen = Seen { job: Some(SeenJob { deleting: true, ..job }), ..Seen::default() };
        memory.complete(&id(), &mut seen, Timestamp::UNIX_EPOCH);
        assert!(memory.held(&other, &[gpu]).is_empty(), "the cache has it now");
    }
    #[test]
    fn of_two_launches_at_once_one_gets_the_gpu_and_the_other_after_it_was_given_back() {
        let memory = Memory::default();
        let gpu: GpuUuid = "0123abcd0123012301230123456789ab".parse().unwrap();
        let wanted = std::slice::from_ref(&gpu);
        let other: DeploymentId = "4f0f9f9e-0b1a-4c5d-8e7f-112233445566".parse().unwrap();
        assert!(memory.take(&id(), wanted).is_empty());
        assert!(memory.take(&id(), wanted).is_empty(), "again after a lost answer");
        assert_eq!(memory.take(&other, wanted).len(), 1);
        assert_eq!(memory.held(&other, wanted).len(), 1);
        let mut seen = Seen::default();
        memory.complete(&id(), &mut seen, Timestamp::UNIX_EPOCH);
        assert_eq!(seen.job, None, "taken is not made");
        memory.give_back(&id());
        assert!(memory.take(&other, wanted).is_empty());
        assert_eq!(memory.take(&id(), wanted).len(), 1);
    }
}
