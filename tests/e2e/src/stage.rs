//! A fleet on simulated nodes that ends with its test.

use crate::fleet::{Driver, Fleet, FleetOptions, binary};
use crate::pods::{PodRunner, PodRunnerOptions};
use std::path::Path;
use validator_sim::{ChuteSpec, Selector};

/// A running fleet whose pods are processes of the test. Its validator offers nothing yet, and it has no server yet.
///
/// A program of ours that ended although the test did not end it fails the test when this is dropped.
pub struct Stage {
    /// The fleet.
    pub fleet: Fleet,
    /// What plays the kubelet.
    pub pods: PodRunner,
    _scratch: tempfile::TempDir,
}

impl Stage {
    /// Starts a fleet with short intervals; `change` may choose otherwise.
    ///
    /// # Panics
    /// When it does not start.
    pub fn new(change: impl FnOnce(&mut FleetOptions)) -> Self {
        let scratch = tempfile::tempdir_in("/tmp").expect("the temporary folder takes another folder");
        let dir = scratch.path().join("f");
        let mut options = FleetOptions { real: false, chutes: false, verify_seconds: 0.5, hasty: true, ..FleetOptions::new(&dir) };
        change(&mut options);
        let started = Fleet::up(&options, &mut |line| println!("{line}")).and_then(|fleet| {
            let pods = PodRunner::start(&fleet.node, PodRunnerOptions::new(binary("fake-chute"), dir.join("pods")))?;
            Ok((fleet, pods))
        });
        match started {
            Ok((fleet, pods)) => Self { fleet, pods, _scratch: scratch },
            Err(error) => {
                print_logs(&dir);
                let _ = Fleet::down(&dir);
                panic!("{error:#}");
            }
        }
    }

    /// A chute that this fleet's server can run; sealed workers run sealed chutes.
    pub fn chute(&self, name: &str, gpus: u32, target: u32) -> ChuteSpec {
        let tee = self.fleet.facts.driver == Driver::Remote;
        ChuteSpec {
            name: name.to_owned(),
            chutes_version: if tee { "0.6.0" } else { "0.4.2" }.to_owned(),
            tee,
            target,
            selector: Selector {
                gpu_count: gpus,
                min_vram_gb_per_gpu: 80,
                include: Some(vec!["h100_sxm".to_owned()]),
                ..Selector::default()
            },
            ..ChuteSpec::default()
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_logs(&self.fleet.dir);
        }
        let deaths = self.fleet.deaths();
        if let Err(error) = Fleet::down(&self.fleet.dir) {
            eprintln!("{error:#}");
        }
        if !deaths.is_empty() {
            eprintln!("{}", deaths.join("\n"));
            assert!(std::thread::panicking(), "a program of ours ended by itself");
        }
    }
}

/// The last lines of each program's log, for a failed test.
pub fn print_logs(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("--- {}\n{}", entry.path().display(), lines[lines.len().saturating_sub(25)..].join("\n"));
    }
}
