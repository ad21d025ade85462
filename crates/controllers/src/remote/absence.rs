//! When a GPU that a sealed worker's attestation service no longer shows counts as lost. Pure.
//!
//! With a lost GPU its instance ends, paid or not, and the service shows a part of the GPUs, or none, while its driver starts
//! again. So one answer proves nothing, a list without any GPU is no answer at all, and the validator is the second side.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crd::gpu_server::ReportedGpu;
use protocol::device::DeviceInfo;
use protocol::ids::GpuUuid;
use tokio::time::Instant;

/// Answers in a row, and the time from the first to the last of them, after which an absence is believed.
const ANSWERS: u32 = 3;
const AGE: Duration = Duration::from_secs(300);

/// The GPUs that answers lacked, one after the other. An answer that did not come, or named no GPU, neither adds nor takes away.
#[derive(Debug, Default)]
pub(super) struct Absences(BTreeMap<GpuUuid, Absence>);

#[derive(Debug)]
struct Absence {
    first: Instant,
    last: Instant,
    answers: u32,
}

/// GPUs on which the validator or we know an instance; nothing if the validator was not heard lately.
pub(super) type SecondSide = Option<BTreeSet<GpuUuid>>;

/// What an absence is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// For nothing yet.
    TooEarly,
    /// There is an instance on it, as the validator says: one of the two is wrong.
    Contested,
    /// The validator cannot be asked.
    OneSided,
    /// It is gone.
    Lost,
}

impl Absences {
    /// Takes an answer in.
    pub(super) fn observe(&mut self, devices: &[DeviceInfo], known: &[ReportedGpu], now: Instant) {
        if devices.is_empty() {
            return;
        }
        let missing = |uuid: &GpuUuid| devices.iter().all(|device| device.uuid != *uuid);
        self.0.retain(|uuid, _| missing(uuid) && known.iter().any(|gpu| gpu.uuid == *uuid));
        for gpu in known.iter().filter(|gpu| missing(&gpu.uuid)) {
            let absence = self.0.entry(gpu.uuid.clone()).or_insert(Absence { first: now, last: now, answers: 0 });
            absence.last = now;
            absence.answers = absence.answers.saturating_add(1);
        }
    }

    /// What the absence of a GPU is taken for.
    pub(super) fn verdict(&self, gpu: &GpuUuid, second: &SecondSide) -> Verdict {
        let long = self.0.get(gpu).is_some_and(|absence| absence.answers >= ANSWERS && absence.last - absence.first >= AGE);
        match second {
            _ if !long => Verdict::TooEarly,
            None => Verdict::OneSided,
            Some(held) if held.contains(gpu) => Verdict::Contested,
            Some(_) => Verdict::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::report::tests::{device, known};

    const MINUTE: Duration = Duration::from_secs(60);

    struct Watch {
        absences: Absences,
        now: Instant,
    }

    impl Watch {
        fn new() -> Self {
            Self { absences: Absences::default(), now: Instant::now() }
        }

        /// So many answers, a minute apart, of a server that had GPUs 1 and 2.
        fn answers(&mut self, times: u32, devices: &[DeviceInfo]) {
            for _ in 0..times {
                self.absences.observe(devices, &known(2), self.now);
                self.now += MINUTE;
            }
        }

        fn verdict(&self, second: &SecondSide) -> Verdict {
            self.absences.verdict(&device(2).uuid, second)
        }
    }

    fn free() -> SecondSide {
        Some(BTreeSet::new())
    }

    #[test]
    fn a_few_answers_prove_nothing_and_many_do() {
        let mut watch = Watch::new();
        watch.answers(5, &[device(1)]);
        assert_eq!(watch.verdict(&free()), Verdict::TooEarly);
        watch.answers(1, &[device(1)]);
        assert_eq!(watch.verdict(&free()), Verdict::Lost);
        assert_eq!(watch.absences.verdict(&device(1).uuid, &free()), Verdict::TooEarly);
    }

    #[test]
    fn many_answers_in_a_moment_prove_nothing() {
        let mut watch = Watch::new();
        for _ in 0..100 {
            watch.absences.observe(&[device(1)], &known(2), watch.now);
        }
        assert_eq!(watch.verdict(&free()), Verdict::TooEarly);
    }

    #[test]
    fn two_answers_a_day_apart_prove_nothing() {
        let mut watch = Watch::new();
        watch.answers(1, &[device(1)]);
        watch.now += 1440 * MINUTE;
        watch.answers(1, &[device(1)]);
        assert_eq!(watch.verdict(&free()), Verdict::TooEarly);
    }

    #[test]
    fn an_answer_that_shows_it_ends_the_doubt() {
        let mut watch = Watch::new();
        watch.answers(5, &[device(1)]);
        watch.answers(1, &[device(2), device(1)]);
        watch.answers(5, &[device(1)]);
        assert_eq!(watch.verdict(&free()), Verdict::TooEarly);
    }

    #[test]
    fn lists_without_any_gpu_are_no_answers() {
        let mut watch = Watch::new();
        watch.answers(100, &[]);
        assert_eq!(watch.verdict(&free()), Verdict::TooEarly);
        watch.answers(2, &[device(1)]);
        watch.answers(100, &[]);
        assert_eq!(watch.verdict(&free()), Verdict::TooEarly);
    }

    #[test]
    fn what_the_validator_has_an_instance_on_or_cannot_be_asked_about_is_not_lost() {
        let mut watch = Watch::new();
        watch.answers(100, &[device(1)]);
        assert_eq!(watch.verdict(&Some([device(2).uuid].into())), Verdict::Contested);
        assert_eq!(watch.verdict(&None), Verdict::OneSided);
        assert_eq!(watch.verdict(&free()), Verdict::Lost);
    }
}
