//! The demo as a test: real kubelet, real containers, from `add-node` to paid GPU-seconds and back to nothing.

#![allow(clippy::unwrap_used, reason = "a test")]

use e2e::fleet::{Fleet, FleetOptions};
use e2e::wait;
use kubelab::{Level, level_or_skip};
use serde_json::Value;
use std::time::Duration;
use workload::shape::shape;

/// What the renderer is compared with, byte for byte.
const GOLDEN: &str = include_str!("../../../crates/workload/tests/golden/agent-own.yaml");

/// Takes the fleet down also when the test fails; the logs stay then.
struct Down(std::path::PathBuf);

impl Drop for Down {
    fn drop(&mut self) {
        if std::thread::panicking() {
            e2e::stage::print_logs(&self.0);
        }
        if let Err(error) = Fleet::down(&self.0) {
            eprintln!("{error:#}");
        }
    }
}

/// The Jobs that run differ in values only from the one that stands beside the renderer: same keys, same variables, volumes and
/// ports by their names. The API server adds its defaults to that one, too, without keeping it.
fn jobs_are_of_the_golden_shape(fleet: &Fleet) {
    let file = fleet.dir.join("golden-job.yaml");
    std::fs::write(&file, GOLDEN.split("\n---\n").find(|object| object.contains("kind: Job")).expect("a Job among the golden objects"))
        .unwrap();
    let kept = fleet.node.kubectl_run(["create", "--dry-run=server", "-o", "json", "-f", file.to_str().unwrap()]).unwrap();
    let kept = of_its_maker(serde_json::from_str(&kept).unwrap());
    let live = fleet.node.kubectl_run(["get", "jobs", "-n", "chutes", "-l", "chutes/chute=true", "-o", "json"]).unwrap();
    let live: Value = serde_json::from_str(&live).unwrap();
    let jobs = live["items"].as_array().unwrap();
    assert!(jobs.len() >= 3, "{} Jobs", jobs.len());
    for job in jobs {
        assert_eq!(shape(&of_its_maker(job.clone())), shape(&kept), "{}", job["metadata"]["name"]);
    }
}

/// An object without what the API server and its controllers write into it later on.
fn of_its_maker(mut object: Value) -> Value {
    let fields = object.as_object_mut().unwrap();
    fields.remove("status");
    let metadata = fields["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    object
}

#[test]
fn real_containers_earn_and_everything_can_be_undone() {
    if !level_or_skip(Level::L4) {
        return;
    }
    let scratch = tempfile::tempdir_in("/tmp").unwrap();
    let dir = scratch.path().join("f");
    let down = Down(dir.clone());
    let fleet = Fleet::up(&FleetOptions::new(&dir), &mut |line| println!("{line}")).unwrap();

    let told = fleet.add_server().unwrap();
    assert!(told.contains("completed server bootstrapping"), "add-node told: {told}");
    // Small chutes may come twice: the validator wants two.
    wait::until("each chute to be Active", Duration::from_secs(120), || {
        let all = fleet.deployed()?;
        let active = |name: &str| all.iter().any(|d| d.chute == name && d.phase == "Active");
        Ok((active("small-llm") && active("image-maker") && active("big-llm")).then_some(()))
    })
    .unwrap();
    wait::until("paid GPU-seconds", Duration::from_secs(60), || {
        let status: serde_json::Value = serde_json::from_str(&fleet.run(&["status", "-o", "json"])?)?;
        Ok((status["ledger"]["gpu_seconds_by_server"]["gpu-0"].as_f64() > Some(0.0)).then_some(()))
    })
    .unwrap();
    let pods = fleet.node.kubectl_run(["get", "pods", "-A", "-l", "chutes/chute=true", "-o", "jsonpath={.items[*].status.phase}"]).unwrap();
    // A copy beyond what the validator wants is refused at its claim and ends; the three that earn run.
    assert!(pods.split(' ').filter(|&phase| phase == "Running").count() >= 3, "pods are {pods}");

    jobs_are_of_the_golden_shape(&fleet);

    fleet.delete_server().unwrap();
    assert_eq!(fleet.validator().unwrap().unexpected().unwrap(), Vec::<String>::new());
    drop(down);
    assert!(!dir.exists(), "the fleet left {} behind", dir.display());
}
