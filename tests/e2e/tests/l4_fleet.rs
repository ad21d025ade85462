//! The demo as a test: real kubelet, real containers, from `add-node` to paid GPU-seconds and back to nothing.

#![allow(clippy::unwrap_used, reason = "a test")]

use e2e::fleet::{Fleet, FleetOptions};
use e2e::wait;
use kubelab::{Level, level_or_skip};
use std::time::Duration;

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

    fleet.delete_server().unwrap();
    assert_eq!(fleet.validator().unwrap().unexpected().unwrap(), Vec::<String>::new());
    drop(down);
    assert!(!dir.exists(), "the fleet left {} behind", dir.display());
}
