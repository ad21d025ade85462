//! `chutes-miner status` says what is wrong first: an operator that is dead, blind or without its ledger, and launches that fail.

#![allow(clippy::unwrap_used, reason = "a test")]

use anyhow::Result;
use e2e::fleet::Fleet;
use e2e::stage::Stage;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use rustix::process::Signal;
use std::time::Duration;
use validator_sim::FaultMode;

const PATIENCE: Duration = Duration::from_secs(150);

/// What is said of a subject, one line for each problem.
fn said_of(fleet: &Fleet, subject: &str) -> Result<Vec<String>> {
    let problems = fleet.problems()?;
    Ok(problems.iter().filter(|p| p["subject"] == subject).map(|p| format!("{} {}", p["severity"], p["what"])).collect())
}

fn await_said(fleet: &Fleet, subject: &str, words: &[&str]) {
    wait::until(&format!("status to say of {subject}: {words:?}"), PATIENCE, || {
        let said = said_of(fleet, subject)?;
        if said.iter().any(|line| words.iter().all(|word| line.contains(word))) { Ok(Some(())) } else { anyhow::bail!("it says {said:?}") }
    })
    .unwrap();
}

fn await_silence(fleet: &Fleet, subject: &str) {
    wait::until(&format!("status to say nothing of {subject}"), PATIENCE, || {
        let said = said_of(fleet, subject)?;
        if said.is_empty() { Ok(Some(())) } else { anyhow::bail!("it says {said:?}") }
    })
    .unwrap();
}

#[test]
fn what_is_wrong_is_said_and_no_more_once_it_is_right() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = Stage::new(|options| {
        options.env.insert("operator".to_owned(), vec![("OLDEST_LIST".to_owned(), "8s".to_owned())]);
    });
    let (fleet, validator) = (&stage.fleet, stage.fleet.validator().unwrap());
    let policy = serde_json::json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GepettoPolicy", "metadata": { "name": "default", "namespace": "chutes" },
        "spec": { "limits": { "retryAfterSeconds": 1, "retryAtMostSeconds": 2, "deploymentsPerChute": 1 } },
    });
    fleet.control.apply(&policy).unwrap();
    validator.offer(&stage.chute("broken", 1, 1)).unwrap();
    let chutes = validator.snapshot().unwrap().chutes;
    let broken = chutes.iter().find(|chute| chute["name"] == "broken").expect("it was just offered");
    stage.pods.hook(broken["chute_id"].as_str().unwrap(), "FAKE_CHUTE_FAIL_AT", "claim");
    fleet.add_server().unwrap();

    // Nothing is earned, so it is as bad as can be.
    await_said(fleet, "launches", &["critical", "in a row failed with", "broken on gpu-0"]);
    await_silence(fleet, "operator");
    validator.withdraw("broken").unwrap();
    await_silence(fleet, "launches");

    fleet.blind(FaultMode::Status(500)).unwrap();
    await_said(fleet, "operator", &["critical", "cannot plan (Blind)"]);
    validator.heal().unwrap();
    await_silence(fleet, "operator");

    fleet.stop_postgres().unwrap();
    await_said(fleet, "operator", &["cannot plan (LedgerUnavailable)"]);
    fleet.kill("operator").unwrap();
    fleet.start("operator").unwrap();
    await_said(fleet, "operator", &["cannot plan (LedgerUnavailable) the term cannot begin"]);
    fleet.start_postgres().unwrap();
    await_silence(fleet, "operator");

    // As one that hangs as a whole, and as one that is gone.
    fleet.signal("operator", Signal::STOP).unwrap();
    await_said(fleet, "operator", &["critical", "no sign of life"]);
    fleet.kill("operator").unwrap();
    await_said(fleet, "operator", &["critical", "no sign of life"]);
    fleet.start("operator").unwrap();
    await_silence(fleet, "operator");
}
