//! The life of a chute on simulated nodes, over both drivers and in both forms: launch, stop, launch again on the same GPUs, and
//! nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test")]

use e2e::fleet::{Driver, Fleet, Form};
use e2e::stage::Stage;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use std::time::{Duration, Instant};

/// Two lists without a chute stop it within this time.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(120);
/// What a copy may cost on its way down, on both API servers, its last asking included: 24 to 30 writes were counted.
const MOST_WRITES: usize = 40;

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
    if driver == Driver::Agent {
        what_somebody_deletes_of_the_agents_rights_comes_back(fleet);
    }

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

    // Whoever drives the server shows how its realizer fares.
    let (program, server) = (if driver == Driver::Agent { "agent" } else { "operator" }, &fleet.facts.server);
    let metrics = fleet.metrics(program).unwrap();
    let value = |series: String| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("{program} shows no {series}:\n{metrics}")).trim().parse::<f64>().unwrap()
    };
    assert!(value(format!(r#"reconciles_total{{controller="realize",server="{server}"}}"#)) > 0.0);
    for watch in ["ChuteDeployment", "Job", "Pod", "Service"] {
        let age = value(format!(r#"watch_age_seconds{{watch="{watch}",server="{server}"}}"#));
        assert!(age < 120.0, "{watch} was not heard of for {age} s");
    }

    fleet.delete_server().unwrap();
    assert_eq!(validator.unexpected().unwrap(), Vec::<String>::new());
}

/// The copy that comes next shows that the agent works with them.
fn what_somebody_deletes_of_the_agents_rights_comes_back(fleet: &Fleet) {
    let server = &fleet.facts.server;
    let (space, global) = (format!("chutes-node-{server}"), format!("agent-{server}"));
    let objects = [
        ["role", "agent", &space],
        ["rolebinding", "agent", &space],
        ["role", &global, "chutes"],
        ["rolebinding", &global, "chutes"],
        ["serviceaccount", "agent", &space],
    ];
    let uid = |[kind, name, space]: [&str; 3]| {
        fleet.control.kubectl_run(["get", kind, name, "-n", space, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}"])
    };
    let before = objects.map(|object| uid(object).unwrap());
    assert!(before.iter().all(|uid| !uid.is_empty()), "{before:?}");
    for [kind, name, space] in objects {
        fleet.control.kubectl_run(["delete", kind, name, "-n", space]).unwrap();
    }
    for (object, before) in objects.into_iter().zip(before) {
        wait::until(&format!("{} {} to be made anew", object[0], object[1]), Duration::from_secs(30), || {
            let now = uid(object)?;
            Ok((!now.is_empty() && now != before).then_some(()))
        })
        .unwrap();
    }
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

/// A list without any row says little, and yet the last chute is stopped as any other is, and nobody asks for it over and over.
#[test]
fn the_last_chute_goes_at_once_and_comes_not_back() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = Stage::new(|_| ());
    let fleet = &stage.fleet;
    let validator = fleet.validator().unwrap();
    fleet.add_server().unwrap();
    validator.offer(&stage.chute("last", 2, 3)).unwrap();
    let copies = fleet.await_active(&["last", "last", "last"]).unwrap();

    let (start, mark) = (Instant::now(), fleet.mark().unwrap());
    let asked = validator.counters().unwrap().asked("GET /miner/chutes/");
    validator.withdraw("last").unwrap();
    wait::until("all copies to be gone", WITHDRAWN_WITHIN, || {
        let left = fleet.deployed()?;
        let ours = copies.iter().filter(|copy| left.iter().any(|d| d.id == copy.id && d.phase != "Stopped")).count();
        if ours == 0 { Ok(Some(())) } else { anyhow::bail!("{ours} are left") }
    })
    .unwrap();
    let took = start.elapsed();
    // They ended for the chute's sake: three instances that end at once would be doubted for longer than that.
    let reasons = fleet.sql("select distinct end_reason from deployments_now where phase = 'Stopped'").unwrap();
    assert_eq!(reasons, ["ChuteWithdrawn"]);

    // Some lists later still nobody has asked more than once for what is not there.
    wait::until("more lists to be read", WITHDRAWN_WITHIN, || {
        Ok((validator.counters()?.asked("GET /miner/chutes/") >= asked + 20).then_some(()))
    })
    .unwrap();
    let refused = validator.counters().unwrap().refused("GET /instances/launch_config", 404);
    let writes: Vec<_> = fleet.writes_since(mark).unwrap().into_iter().filter(|write| !write.at_rest()).collect();
    println!("gone after {:.1} s, {} askings refused, {} writes for {} copies", took.as_secs_f64(), refused, writes.len(), copies.len());
    assert!(refused <= 1, "{refused} askings for a chute that is not there");
    let list: Vec<String> = writes.iter().map(ToString::to_string).collect();
    assert!(writes.len() <= MOST_WRITES * copies.len(), "{} writes:\n{}", writes.len(), list.join("\n"));

    // The fleet was awake.
    validator.offer(&stage.chute("next", 8, 1)).unwrap();
    fleet.await_active(&["next"]).unwrap();
    assert_eq!(validator.unexpected().unwrap(), Vec::<String>::new());
}
