//! What a GPU is: the part that does not change while it works.

use protocol::ids::GpuUuid;
use serde::{Deserialize, Serialize};

/// One GPU as the driver describes it. Names and units are those a validator is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuFacts {
    /// Its UUID.
    pub uuid: GpuUuid,
    /// Its device index when it last answered, from 0.
    pub index: u32,
    /// The driver's name of it.
    pub name: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// CUDA compute capability, major.
    pub major: Option<u32>,
    /// CUDA compute capability, minor.
    pub minor: Option<u32>,
    /// Streaming multiprocessors.
    pub processors: Option<u32>,
    /// Highest graphics clock in MHz.
    pub clock_mhz: Option<u32>,
    /// Whether error-correcting memory is on; absent when the model has none.
    pub ecc: Option<bool>,
}

/// The GPUs that were ever seen on this server. The caller keeps it between runs, so that a GPU that is missing after
/// a reboot is known to be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen {
    pub(crate) gpus: Vec<GpuFacts>,
}

impl Seen {
    /// The GPUs, in device order.
    #[must_use]
    pub fn gpus(&self) -> &[GpuFacts] {
        &self.gpus
    }

    /// Adds GPUs that are not known yet.
    pub(crate) fn add(&mut self, other: Self) {
        for facts in other.gpus {
            if self.gpus.iter().all(|known| known.uuid != facts.uuid) {
                self.remember(&facts);
            }
        }
    }

    pub(crate) fn remember(&mut self, facts: &GpuFacts) {
        match self.gpus.iter_mut().find(|known| known.uuid == facts.uuid) {
            Some(known) => *known = facts.clone(),
            None => self.gpus.push(facts.clone()),
        }
        self.gpus.sort_by(|a, b| (a.index, &a.uuid).cmp(&(b.index, &b.uuid)));
    }
}

impl FromIterator<GpuFacts> for Seen {
    fn from_iter<T: IntoIterator<Item = GpuFacts>>(gpus: T) -> Self {
        let mut seen = Self::default();
        gpus.into_iter().for_each(|facts| seen.remember(&facts));
        seen
    }
}

/// CUDA cores of one streaming multiprocessor, by compute capability. Source: the CUDA programming guide's table of
/// arithmetic throughput (32-bit lanes per multiprocessor).
fn cores_per_processor(major: u32, minor: u32) -> Option<u32> {
    match (major, minor) {
        (6 | 8, 0) | (7, _) => Some(64),
        (5, _) | (6, 1 | 2) | (8..=12, _) => Some(128),
        _ => None,
    }
}

/// Streaming multiprocessors of a GPU with so many CUDA cores; `None` when the numbers do not fit together.
pub(crate) fn processors(cores: u32, major: u32, minor: u32) -> Option<u32> {
    let each = cores_per_processor(major, minor)?;
    cores.is_multiple_of(each).then_some(cores / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_become_the_multiprocessors_of_the_datasheet() {
        for (name, cores, major, minor, expected) in [
            ("H100 SXM", 16_896, 9, 0, 132),
            ("A100", 6_912, 8, 0, 108),
            ("T4", 2_560, 7, 5, 40),
            ("RTX 4090", 16_384, 8, 9, 128),
            ("RTX 5090", 21_760, 12, 0, 170),
            ("B200", 18_944, 10, 0, 148),
        ] {
            assert_eq!(processors(cores, major, minor), Some(expected), "{name}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_no_answer() {
        assert_eq!(processors(100, 9, 0), None);
        assert_eq!(processors(16_896, 99, 0), None);
    }
}
