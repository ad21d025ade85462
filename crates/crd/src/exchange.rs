//! Which of the GPUs that a server ever reported are its GPUs now. Pure.
//!
//! Reporters forget no GPU: one that fell off the bus must stay in sight. One that was exchanged for another never comes back, and
//! would count for ever.

use crate::gpu_server::{GpuHealth, GpuServerStatus, ReportedGpu};

impl GpuServerStatus {
    /// The GPUs that count, of `should` that there should be: all that answer, and of the lost ones as many as are missing. The
    /// others were exchanged; if there is a choice, those in whose place another stands, and that are not part of the proof.
    #[must_use]
    pub fn present(&self, should: usize) -> Vec<&ReportedGpu> {
        let all = self.reported.as_ref().map(|reported| reported.gpus.as_slice()).unwrap_or_default();
        let proven = |gpu: &ReportedGpu| self.proof.as_ref().is_some_and(|proof| proof.gpus.contains(&gpu.uuid));
        let (mut lost, mut present): (Vec<_>, Vec<_>) = all.iter().partition(|gpu| gpu.health == GpuHealth::Lost);
        lost.sort_by_key(|gpu| {
            let replaced = present.iter().any(|other| other.index == gpu.index && !proven(other));
            (replaced, !proven(gpu), gpu.index, &gpu.uuid)
        });
        lost.truncate(should.saturating_sub(present.len()));
        present.extend(lost);
        present.sort_by(|a, b| (a.index, &a.uuid).cmp(&(b.index, &b.uuid)));
        present
    }

    /// The GPUs that were exchanged: reported once, but no longer part of the server.
    #[must_use]
    pub fn exchanged(&self, should: usize) -> Vec<&ReportedGpu> {
        let present = self.present(should);
        let all = self.reported.as_ref().map(|reported| reported.gpus.as_slice()).unwrap_or_default();
        all.iter().filter(|gpu| present.iter().all(|other| other.uuid != gpu.uuid)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu_server::Reported;
    use serde_json::json;

    /// GPUs by number, index and health; the numbers of the proven ones.
    fn status(gpus: &[(u32, u32, &str)], proven: &[u32]) -> GpuServerStatus {
        let uuid = |n: &u32| format!("{n:032x}");
        let gpus = gpus.iter().map(|(n, index, health)| {
            json!({"uuid": uuid(n), "index": index, "name": "NVIDIA H100 80GB HBM3", "memoryBytes": 1, "health": health})
        });
        let reported: Reported = serde_json::from_value(json!({"gpus": gpus.collect::<Vec<_>>()})).unwrap();
        let proof = json!({"gpus": proven.iter().map(uuid).collect::<Vec<_>>(), "verifiedAt": "2026-01-01T00:00:00Z"});
        GpuServerStatus { reported: Some(reported), proof: Some(serde_json::from_value(proof).unwrap()), ..GpuServerStatus::default() }
    }

    fn numbers(gpus: &[&ReportedGpu]) -> Vec<u32> {
        gpus.iter().map(|gpu| u32::from_str_radix(gpu.uuid.as_str(), 16).unwrap()).collect()
    }

    #[test]
    fn a_lost_gpu_counts_until_another_stands_in_its_place() {
        let lost = status(&[(1, 0, "Ok"), (2, 1, "Lost"), (3, 2, "Faulty")], &[1, 2, 3]);
        assert_eq!(numbers(&lost.present(3)), [1, 2, 3]);
        assert!(lost.exchanged(3).is_empty());
        let exchanged = status(&[(1, 0, "Ok"), (2, 1, "Lost"), (4, 1, "Ok"), (3, 2, "Ok")], &[1, 2, 3]);
        assert_eq!(numbers(&exchanged.present(3)), [1, 4, 3]);
        assert_eq!(numbers(&exchanged.exchanged(3)), [2]);
    }

    #[test]
    fn indices_that_moved_up_after_a_loss_replace_nobody() {
        let lost = status(&[(1, 0, "Ok"), (2, 1, "Lost"), (3, 1, "Ok")], &[1, 2, 3]);
        assert_eq!(numbers(&lost.present(3)), [1, 2, 3]);
    }

    #[test]
    fn of_two_lost_ones_the_replaced_one_goes_and_stays_gone() {
        let gpus = [(1, 0, "Ok"), (2, 1, "Lost"), (3, 2, "Lost"), (4, 1, "Ok")];
        assert_eq!(numbers(&status(&gpus, &[1, 2, 3]).present(3)), [1, 4, 3]);
        assert_eq!(numbers(&status(&gpus, &[1, 3, 4]).present(3)), [1, 4, 3]);
    }

    #[test]
    fn a_server_that_was_made_smaller_forgets_what_it_lost_and_one_with_too_many_shows_them_all() {
        assert_eq!(numbers(&status(&[(1, 0, "Ok"), (2, 1, "Lost")], &[1, 2]).present(1)), [1]);
        assert_eq!(numbers(&status(&[(1, 0, "Ok"), (2, 1, "Ok"), (3, 2, "Ok")], &[]).present(2)), [1, 2, 3]);
    }
}
