//! What was read now, seen in the light of what was seen before. Pure.

use crate::facts::{GpuFacts, Seen};
use crate::health::{GpuReading, Health, Live, Signs, judge};
use protocol::ids::GpuUuid;
use std::collections::BTreeMap;

/// What the driver answered at one device index.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// A GPU that answers.
    Device { facts: GpuFacts, signs: Signs, live: Live },
    /// The driver says that the GPU is lost.
    Lost,
    /// The driver says that the GPU needs a reset before it answers.
    NeedsReset,
    /// Another error.
    Failed(String),
    /// No answer in time.
    Hung,
}

/// How often each GPU failed to show up or to answer without the driver saying why, in a row.
#[derive(Debug, Default)]
pub(crate) struct Doubts(BTreeMap<GpuUuid, u32>);

/// Reads in a row after which a doubt is a fact. Explicit answers (lost, needs a reset) count at once.
const ABSENT_READS: u32 = 2;
const FAILED_READS: u32 = 3;

impl Doubts {
    fn grow(&mut self, uuid: &GpuUuid) -> u32 {
        let count = self.0.entry(uuid.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn clear(&mut self, uuid: &GpuUuid) {
        self.0.remove(uuid);
    }
}

/// Every GPU seen now or before, with its health.
pub(crate) fn merge(seen: &mut Seen, doubts: &mut Doubts, slots: Vec<Slot>) -> Vec<GpuReading> {
    let mut readings: Vec<GpuReading> = Vec::new();
    let mut silent: BTreeMap<u32, Slot> = BTreeMap::new();
    for (index, slot) in (0u32..).zip(slots) {
        match slot {
            Slot::Device { facts, signs, live } => {
                doubts.clear(&facts.uuid);
                seen.remember(&facts);
                let (health, detail) = judge(&signs);
                readings.push(GpuReading { facts, health, detail, live: Some(live) });
            }
            other => {
                silent.insert(index, other);
            }
        }
    }
    let missing: Vec<GpuFacts> = seen.gpus.iter().filter(|known| readings.iter().all(|r| r.facts.uuid != known.uuid)).cloned().collect();
    let (placed, unplaced): (Vec<_>, Vec<_>) = missing.into_iter().partition(|known| silent.contains_key(&known.index));
    for facts in placed {
        if let Some(slot) = silent.remove(&facts.index) {
            let (health, detail) = judge_silent(doubts, &facts.uuid, slot);
            readings.push(remembered(facts, health, detail));
        } else {
            // Two remembered GPUs claim this index (one was replaced); the slot went to the first.
            let (health, detail) = judge_absent(doubts, &facts.uuid);
            readings.push(remembered(facts, health, detail));
        }
    }
    // A slot whose silence nobody explains may hide any GPU that is not listed elsewhere.
    let hidden = silent.values().any(|slot| matches!(slot, Slot::Hung | Slot::Failed(_)));
    for facts in unplaced {
        let (health, detail) = if hidden {
            (Health::Unknown, "a GPU does not answer, perhaps this one".to_owned())
        } else {
            judge_absent(doubts, &facts.uuid)
        };
        readings.push(remembered(facts, health, detail));
    }
    readings.sort_by(|a, b| (a.facts.index, &a.facts.uuid).cmp(&(b.facts.index, &b.facts.uuid)));
    readings
}

/// Every GPU seen before, when nothing could be read at all.
pub(crate) fn unread(seen: &Seen, why: &str) -> Vec<GpuReading> {
    seen.gpus.iter().map(|facts| remembered(facts.clone(), Health::Unknown, why.to_owned())).collect()
}

fn remembered(facts: GpuFacts, health: Health, detail: String) -> GpuReading {
    GpuReading { facts, health, detail: Some(detail), live: None }
}

fn judge_silent(doubts: &mut Doubts, uuid: &GpuUuid, slot: Slot) -> (Health, String) {
    match slot {
        Slot::Lost => (Health::Lost, "the driver lost it: reboot the server, check power and slot".to_owned()),
        Slot::NeedsReset => (Health::Faulty, "it needs a reset before it can be used".to_owned()),
        Slot::Failed(error) if doubts.grow(uuid) >= FAILED_READS => (Health::Faulty, error),
        Slot::Failed(error) => (Health::Unknown, error),
        Slot::Hung | Slot::Device { .. } => (Health::Unknown, "the driver does not answer for it".to_owned()),
    }
}

fn judge_absent(doubts: &mut Doubts, uuid: &GpuUuid) -> (Health, String) {
    let health = if doubts.grow(uuid) >= ABSENT_READS { Health::Lost } else { Health::Unknown };
    (health, "the driver no longer lists it: reboot the server, check power and slot".to_owned())
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
