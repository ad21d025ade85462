//! The profile file: which GPUs there are, and what is wrong with them.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A server's driver and GPUs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Driver version, such as `570.124.06`.
    #[serde(default = "default_driver")]
    pub driver: String,
    /// CUDA version as NVML writes it: 1000 × major + 10 × minor.
    #[serde(default = "default_cuda")]
    pub cuda: i32,
    /// What the UUIDs grow from; `FAKE_NVML_SEED` overrides it.
    #[serde(default = "default_seed")]
    pub seed: String,
    /// Number of GPU slots.
    pub count: u32,
    /// What every GPU is, unless its slot says otherwise.
    pub gpu: Gpu,
    /// Fields that differ, by slot (`"0"`, `"1"`, …).
    #[serde(default)]
    pub slots: BTreeMap<u32, serde_json::Map<String, serde_json::Value>>,
    /// Whether the kernel driver is loaded; `false` makes initialisation fail.
    #[serde(default = "yes")]
    pub driver_loaded: bool,
    /// Every call but initialisation sleeps that long, in milliseconds.
    #[serde(default)]
    pub hang_ms: u64,
}

/// One GPU. Units are NVML's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// The driver's name of it.
    pub name: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// CUDA compute capability, major and minor.
    pub compute_capability: (i32, i32),
    /// CUDA cores; absent means that the driver does not tell.
    #[serde(default)]
    pub cores: Option<u32>,
    /// Highest graphics clock in MHz.
    pub max_clock_mhz: u32,
    /// Error-correcting memory: on, off, or absent when the model has none.
    #[serde(default)]
    pub ecc: Option<bool>,
    /// PCI device and vendor id.
    #[serde(default)]
    pub pci_device_id: u32,
    /// MIG mode: on, off, or absent when the model has none.
    #[serde(default)]
    pub mig: Option<bool>,
    /// A fixed UUID (`GPU-…`) instead of one grown from the seed.
    #[serde(default)]
    pub uuid: Option<String>,
    /// Uncorrected memory errors since the driver was loaded.
    #[serde(default)]
    pub ecc_uncorrected: u64,
    /// Corrected memory errors since the driver was loaded.
    #[serde(default)]
    pub ecc_corrected: u64,
    /// Rows remapped after uncorrectable errors.
    #[serde(default)]
    pub remapped_uncorrectable: u32,
    /// Whether a row remapping waits for a reset.
    #[serde(default)]
    pub remap_pending: bool,
    /// Whether a row remapping failed.
    #[serde(default)]
    pub remap_failed: bool,
    /// NVML's recovery action: 0 none, 1 reset, 2 reboot, …
    #[serde(default)]
    pub recovery_action: u32,
    /// Core temperature in °C.
    #[serde(default = "default_temperature")]
    pub temperature_c: u32,
    /// Power draw in mW.
    #[serde(default = "default_power")]
    pub power_mw: u32,
    /// Utilisation in percent.
    #[serde(default)]
    pub utilization: u32,
    /// Processes that compute on it.
    #[serde(default)]
    pub pids: Vec<u32>,
    /// Answers `GPU_IS_LOST` to everything, as a GPU does that fell off the bus.
    #[serde(default)]
    pub lost: bool,
    /// Is not enumerated at all, as after a reboot without it; later GPUs move up by one index.
    #[serde(default)]
    pub absent: bool,
    /// Answers this NVML error code to everything.
    #[serde(default)]
    pub error: Option<u32>,
    /// Every call on it sleeps that long, in milliseconds.
    #[serde(default)]
    pub hang_ms: u64,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// What is wrong with the text, or with a slot's fields.
    pub fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some(slot) = profile.slots.keys().find(|slot| **slot >= profile.count) {
            return Err(format!("slot {slot} is described, but count is {}", profile.count));
        }
        for slot in 0..profile.count {
            profile.slot(slot)?;
        }
        Ok(profile)
    }

    /// The GPU of a slot, with the slot's own fields laid over the common ones.
    ///
    /// # Errors
    /// A field of the slot has the wrong type or an unknown name.
    pub fn slot(&self, slot: u32) -> Result<Gpu, String> {
        let Some(own) = self.slots.get(&slot) else { return Ok(self.gpu.clone()) };
        let mut merged = serde_json::to_value(&self.gpu).map_err(|error| error.to_string())?;
        if let Some(fields) = merged.as_object_mut() {
            fields.extend(own.clone());
        }
        serde_json::from_value(merged).map_err(|error| format!("slot {slot}: {error}"))
    }

    /// The slots that are enumerated, in index order.
    #[must_use]
    pub fn enumerated(&self) -> Vec<u32> {
        (0..self.count).filter(|slot| self.slot(*slot).is_ok_and(|gpu| !gpu.absent)).collect()
    }

    /// The UUID of a slot's GPU, in NVML's spelling. The same seed and slot always give the same one.
    #[must_use]
    pub fn uuid(&self, slot: u32) -> String {
        if let Ok(Gpu { uuid: Some(uuid), .. }) = self.slot(slot) {
            return uuid;
        }
        let seed = std::env::var("FAKE_NVML_SEED").unwrap_or_else(|_| self.seed.clone());
        uuid(&seed, slot)
    }
}

/// The UUID that grows from a seed for a slot.
#[must_use]
pub fn uuid(seed: &str, slot: u32) -> String {
    let digest = Sha256::digest(format!("fake-nvml:{seed}:{slot}"));
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("GPU-{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

fn default_driver() -> String {
    "570.124.06".to_owned()
}

fn default_cuda() -> i32 {
    12080
}

fn default_seed() -> String {
    "fake".to_owned()
}

fn default_temperature() -> u32 {
    41
}

fn default_power() -> u32 {
    70_000
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_can_be_read() {
        for (text, count, enumerated) in [
            (include_str!("../profiles/8xh100.json"), 8, 8),
            (include_str!("../profiles/1xt4.json"), 1, 1),
            (include_str!("../profiles/8xh100-one-lost.json"), 8, 8),
        ] {
            let profile = Profile::parse(text).unwrap();
            assert_eq!(profile.count, count);
            assert_eq!(profile.enumerated().len(), enumerated);
        }
    }

    #[test]
    fn a_slot_differs_only_in_what_it_says() {
        let profile = Profile::parse(include_str!("../profiles/8xh100-one-lost.json")).unwrap();
        assert!(profile.slot(3).unwrap().lost);
        assert!(!profile.slot(2).unwrap().lost);
        assert_eq!(profile.slot(3).unwrap().name, profile.slot(2).unwrap().name);
    }

    #[test]
    fn uuids_are_stable_and_differ_by_seed_and_slot() {
        assert_eq!(uuid("a", 0), uuid("a", 0));
        assert_ne!(uuid("a", 0), uuid("a", 1));
        assert_ne!(uuid("a", 0), uuid("b", 0));
        assert_eq!(uuid("a", 0).len(), 40);
    }

    #[test]
    fn a_misspelt_field_is_an_error() {
        let text = include_str!("../profiles/1xt4.json").replace("memory_bytes", "memory");
        assert!(Profile::parse(&text).unwrap_err().contains("memory"));
    }
}
