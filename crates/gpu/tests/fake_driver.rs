//! The inventory against a driver's library that serves simulated GPUs.

#![allow(clippy::unwrap_used, reason = "a test")]

use fake_nvml::built_library;
use gpu::{Driver, Health, Inventory, Reading};
use std::path::{Path, PathBuf};
use std::time::Duration;

const H100: &str = include_str!("../../fake-nvml/profiles/8xh100.json");
const T4: &str = include_str!("../../fake-nvml/profiles/1xt4.json");
const ONE_LOST: &str = include_str!("../../fake-nvml/profiles/8xh100-one-lost.json");

/// A driver of its own: a copy of the library with a profile beside it.
struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    fn new(profile: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Self { folder };
        std::fs::copy(built_library(), server.library()).unwrap();
        server.set(profile);
        server
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("libnvidia-ml.so.1")
    }

    /// Changes the GPUs while programs use them.
    fn set(&self, profile: &str) {
        let (draft, path) = (self.folder.path().join("draft"), self.folder.path().join("profile.json"));
        std::fs::write(&draft, profile).unwrap();
        std::fs::rename(draft, path).unwrap();
    }

    /// The profile with fields of one slot changed.
    fn set_slot(&self, profile: &str, slot: u32, fields: serde_json::Value) {
        let mut value: serde_json::Value = serde_json::from_str(profile).unwrap();
        value["slots"] = serde_json::json!({ slot.to_string(): fields });
        self.set(&value.to_string());
    }

    fn inventory(&self) -> Inventory {
        Inventory::open(Some(&self.library()))
    }
}

fn healths(reading: &Reading) -> Vec<Health> {
    reading.gpus.iter().map(|gpu| gpu.health).collect()
}

#[test]
fn eight_h100_are_read_as_a_validator_wants_to_hear_of_them() {
    let server = Server::new(H100);
    let reading = server.inventory().read();
    assert_eq!(reading.driver, Driver::Answers("570.124.06".to_owned()));
    assert_eq!(healths(&reading), [Health::Ok; 8]);
    for (index, gpu) in (0u32..).zip(&reading.gpus) {
        let facts = &gpu.facts;
        assert_eq!(facts.index, index);
        assert_eq!(facts.uuid.device_name(), fake_nvml::profile::uuid("h100", index));
        assert_eq!(facts.name, "NVIDIA H100 80GB HBM3");
        assert_eq!(facts.memory_bytes, 85_520_809_984);
        assert_eq!((facts.major, facts.minor), (Some(9), Some(0)));
        assert_eq!((facts.processors, facts.clock_mhz, facts.ecc), (Some(132), Some(1980), Some(true)));
        assert_eq!(gpu.live.as_ref().unwrap().temperature_c, Some(41));
    }
}

#[test]
fn a_t4_without_row_remapping_and_mig_is_ok() {
    let reading = Server::new(T4).inventory().read();
    assert_eq!(healths(&reading), [Health::Ok]);
    let facts = &reading.gpus[0].facts;
    assert_eq!((facts.processors, facts.clock_mhz, facts.major, facts.minor), (Some(40), Some(1590), Some(7), Some(5)));
}

#[test]
fn a_gpu_lost_while_running_is_lost_and_recovers() {
    let server = Server::new(H100);
    let mut inventory = server.inventory();
    assert_eq!(healths(&inventory.read()), [Health::Ok; 8]);
    server.set(ONE_LOST);
    let reading = inventory.read();
    let mut expected = [Health::Ok; 8];
    expected[3] = Health::Lost;
    assert_eq!(healths(&reading), expected);
    assert_eq!(reading.gpus[3].facts.name, "NVIDIA H100 80GB HBM3");
    server.set(H100);
    assert_eq!(healths(&inventory.read()), [Health::Ok; 8]);
}

#[test]
fn a_gpu_missing_after_a_reboot_is_lost_to_whoever_kept_the_memory() {
    let server = Server::new(H100);
    let mut before = server.inventory();
    before.read();
    let seen = before.seen().clone();
    drop(before);
    server.set_slot(H100, 5, serde_json::json!({ "absent": true }));
    let mut after = server.inventory().remembering(seen.clone());
    after.read();
    let reading = after.read();
    let lost: Vec<_> = reading.gpus.iter().filter(|gpu| gpu.health == Health::Lost).collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].facts, seen.gpus()[5]);
    after.forget();
    assert_eq!(healths(&after.read()), [Health::Ok; 7]);
}

#[test]
fn each_fault_is_found() {
    let server = Server::new(H100);
    let mut inventory = server.inventory();
    inventory.read();
    for (fields, word) in [
        (serde_json::json!({ "ecc_uncorrected": 2 }), "uncorrectable"),
        (serde_json::json!({ "remap_failed": true }), "remapped"),
        (serde_json::json!({ "recovery_action": 2 }), "reboot"),
        (serde_json::json!({ "mig": true }), "MIG"),
        (serde_json::json!({ "error": 16 }), "reset"),
    ] {
        server.set_slot(H100, 2, fields);
        let reading = inventory.read();
        assert_eq!(reading.gpus[2].health, Health::Faulty, "{word}");
        assert!(reading.gpus[2].detail.as_ref().unwrap().contains(word), "{:?}", reading.gpus[2].detail);
        assert!(reading.gpus.iter().filter(|gpu| gpu.health == Health::Ok).count() == 7);
    }
}

#[test]
fn a_hung_gpu_leaves_the_others_readable() {
    let server = Server::new(H100);
    let mut inventory = server.inventory().with_patience(Duration::from_secs(2));
    inventory.read();
    server.set_slot(H100, 6, serde_json::json!({ "hang_ms": 3_600_000 }));
    let reading = inventory.read();
    let mut expected = [Health::Ok; 8];
    expected[6] = Health::Unknown;
    assert_eq!(healths(&reading), expected);
}

#[test]
fn a_hung_driver_is_silent_and_nothing_is_lost() {
    let server = Server::new(H100);
    let mut inventory = server.inventory().with_patience(Duration::from_secs(2));
    inventory.read();
    let mut hanging: serde_json::Value = serde_json::from_str(H100).unwrap();
    hanging["hang_ms"] = 3_600_000.into();
    server.set(&hanging.to_string());
    for _ in 0..2 {
        let reading = inventory.read();
        assert_eq!(reading.driver, Driver::Silent);
        assert_eq!(healths(&reading), [Health::Unknown; 8]);
    }
}

#[test]
fn a_driver_that_appears_later_is_found() {
    let server = Server::new(T4);
    let mut unloaded: serde_json::Value = serde_json::from_str(T4).unwrap();
    unloaded["driver_loaded"] = false.into();
    server.set(&unloaded.to_string());
    let mut inventory = server.inventory();
    assert!(matches!(inventory.read().driver, Driver::Absent(why) if why.contains("not loaded")));
    server.set(T4);
    assert_eq!(healths(&inventory.read()), [Health::Ok]);
}

#[test]
fn a_missing_library_says_what_to_do() {
    let reading = Inventory::open(Some(Path::new("/nonexistent/libnvidia-ml.so.1"))).read();
    assert!(matches!(reading.driver, Driver::Absent(why) if why.contains("--nvml-library")));
    assert!(reading.gpus.is_empty());
}
