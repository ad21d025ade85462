//! The life of a chute on simulated nodes, over both drivers and in both forms: launch, stop, launch again on the same GPUs, and
//! nothing left behind.

use e2e::fleet::{Driver, Fleet, FleetOptions, Form, binary};
use e2e::pods::{PodRunner, PodRunnerOptions};
use e2e::wait;
use kubelab::{Level, level_or_skip};
use std::path::Path;
use std::time::Duration;
use validator_sim::{ChuteSpec, Selector};

/// A fleet that ends with its test.
struct Stage {
    fleet: Fleet,
    _pods: PodRunner,
    _scratch: tempfile::TempDir,
}

impl Stage {
    fn new(form: Form, driver: Driver) -> Self {
        let scratch = tempfile::tempdir_in("/tmp").unwrap();
        let dir = scratch.path().join("f");
        let options = FleetOptions { form, driver, real: false, chutes: false, verify_seconds: 0.5, ..FleetOptions::new(&dir) };
        let fleet = Fleet::up(&options, &mut |line| println!("{line}")).unwrap_or_else(|error| {
            let _ = Fleet::down(&dir);
            panic!("{error:#}");
        });
        let pods = PodRunner::start(&fleet.node, PodRunnerOptions::new(binary("fake-chute"), dir.join("pods"))).unwrap();
        Self { fleet, _pods: pods, _scratch: scratch }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            logs(&self.fleet.dir);
        }
        let _ = Fleet::down(&self.fleet.dir);
    }
}

fn logs(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("--- {}\n{}", entry.path().display(), lines[lines.len().saturating_sub(25)..].join("\n"));
    }
}

/// A chute for every GPU of the server; sealed workers run sealed chutes.
fn chute(name: &str, gpus: u32, driver: Driver) -> ChuteSpec {
    let tee = driver == Driver::Remote;
    ChuteSpec {
        name: name.to_owned(),
        chutes_version: if tee { "0.6.0" } else { "0.4.2" }.to_owned(),
        tee,
        target: 1,
        selector: Selector { gpu_count: gpus, min_vram_gb_per_gpu: 80, include: Some(vec!["h100_sxm".to_owned()]), ..Selector::default() },
        ..ChuteSpec::default()
    }
}

fn a_whole_life(form: Form, driver: Driver) {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = Stage::new(form, driver);
    let fleet = &stage.fleet;
    let validator = fleet.validator().unwrap();
    fleet.add_server().unwrap();
    // All eight GPUs, so that the second launch can only be on the same ones.
    validator.offer(&chute("whole-server", 8, driver)).unwrap();
    let first = fleet.await_active(&["whole-server"]).unwrap().remove(0);

    fleet.stop(&first).unwrap();
    wait::until("the validator to hold nothing of the first copy", Duration::from_secs(60), || {
        Ok(validator.snapshot()?.instances.iter().all(|i| Some(&i.instance_id) != first.instance.as_ref()).then_some(()))
    })
    .unwrap();
    let second = wait::until("another copy on the same GPUs", Duration::from_secs(90), || {
        Ok(fleet.deployed()?.into_iter().find(|d| d.id != first.id && d.phase == "Active"))
    })
    .unwrap();
    let sorted = |mut gpus: Vec<String>| {
        gpus.sort();
        gpus
    };
    assert_eq!(sorted(second.gpus.clone()), sorted(first.gpus.clone()));
    let counters = validator.counters().unwrap();
    assert!(counters.claims_by_deployment.values().all(|&claims| claims == 1), "a deployment claimed twice: {counters:?}");

    fleet.delete_server().unwrap();
    assert_eq!(validator.unexpected().unwrap(), Vec::<String>::new());
}

#[test]
fn a_whole_life_with_our_agent_on_its_own_cluster() {
    a_whole_life(Form::Own, Driver::Agent);
}

#[test]
fn a_whole_life_with_our_agent_on_the_control_cluster() {
    a_whole_life(Form::Shared, Driver::Agent);
}

#[test]
fn a_whole_life_driven_remotely() {
    a_whole_life(Form::Own, Driver::Remote);
}
