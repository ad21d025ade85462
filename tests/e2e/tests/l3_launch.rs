//! The life of a chute on simulated nodes, over both drivers and in both forms: launch, stop, launch again on the same GPUs, and
//! nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test")]

use e2e::fleet::{Driver, Form};
use e2e::stage::Stage;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use std::time::Duration;

fn a_whole_life(form: Form, driver: Driver) {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = Stage::new(|options| {
        options.form = form;
        options.driver = driver;
    });
    let fleet = &stage.fleet;
    let validator = fleet.validator().unwrap();
    fleet.add_server().unwrap();
    // All eight GPUs, so that the second launch can only be on the same ones.
    validator.offer(&stage.chute("whole-server", 8, 1)).unwrap();
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
