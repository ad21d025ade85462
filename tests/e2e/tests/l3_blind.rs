//! A fleet that cannot see keeps what it has: lists that lie, stores that are away, programs that are silent or restarted. And
//! one that sees goes on: after each blindness something is launched or stopped, so that nothing here passes because all slept.

#![allow(clippy::disallowed_methods, reason = "a test without an async runtime may sleep")]

use anyhow::{Result, ensure};
use e2e::blind::differs;
use e2e::fleet::Fleet;
use e2e::stage::Stage;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use validator_sim::FaultMode;

const PATIENCE: Duration = Duration::from_secs(120);
/// A route of the validator for each of the operator's lists.
const POLLED: [&str; 4] = ["GET /miner/chutes/", "GET /miner/instances/", "GET /miner/nodes/", "GET /miner/inventory"];
const ONE_CHUTE: &str = "GET /miner/chutes/{chute_id}/{version}";

/// A stage with a proven server and these chutes running, one GPU each.
fn running(chutes: &[&str]) -> Result<Stage> {
    let stage = Stage::new(|options| {
        // The agent beats every 10 s; two missed beats are silence here.
        options.env.insert("operator".to_owned(), vec![("HEARTBEAT".to_owned(), "25s".to_owned())]);
    });
    stage.fleet.add_server()?;
    for name in chutes {
        stage.fleet.validator()?.offer(&stage.chute(name, 1, 1))?;
    }
    stage.fleet.await_active(chutes)?;
    Ok(stage)
}

/// Says how long each part took, for the budget.
fn timed<T>(what: &str, part: impl FnOnce() -> Result<T>) -> T {
    let start = Instant::now();
    let result = part();
    println!("{:5.1} s  {what}", start.elapsed().as_secs_f64());
    result.unwrap_or_else(|error| panic!("{what}: {error:#}"))
}

#[test]
fn what_the_validator_does_not_tell_is_not_gone() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = timed("a fleet with three chutes", || running(&["one", "two", "three"]));
    timed("empty lists, and a flushed Redis", || empty_lists(&stage));
    timed("lists with one row and a clean end", || lists_of_one_row(&stage));
    timed("cut lists, errors, half answers", || broken_lists(&stage));
    timed("a chute that is really gone", || a_withdrawn_chute(&stage));
    timed("no Redis, and most instances really gone", || without_redis(&stage));
    assert_eq!(stage.fleet.validator().unwrap().unexpected().unwrap(), Vec::<String>::new());
}

fn empty_lists(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let before = fleet.standing()?;
    let words = "the chute list is not complete";
    let said = fleet.said("miner-api", words)?;
    fleet.flush_redis()?;
    fleet.blind(FaultMode::EmptyStream)?;
    fleet.await_asked(&POLLED, 5)?;
    fleet.await_said("miner-api", words, said, 4)?;
    fleet.still(&before)?;
    fleet.validator()?.heal()?;
    fleet.await_asked(&POLLED, 2)?;
    fleet.still(&before)
}

fn lists_of_one_row(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let before = fleet.standing()?;
    fleet.blind(FaultMode::PartialStream(1))?;
    // The miner API takes these lists for whole ones, misses two chutes in two of them, and asks about each.
    fleet.await_asked(&[ONE_CHUTE], 2)?;
    fleet.await_asked(&POLLED, 5)?;
    fleet.still(&before)?;
    // A new leader knows the lists of no better day.
    fleet.kill("operator")?;
    fleet.start("operator")?;
    fleet.await_asked(&POLLED, 5)?;
    fleet.still(&before)?;
    fleet.validator()?.heal()?;
    fleet.await_asked(&POLLED, 2)?;
    fleet.await_ready("True", "AllGood")?;
    fleet.still(&before)
}

fn broken_lists(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let before = fleet.standing()?;
    for mode in [FaultMode::CutStream(1), FaultMode::PartialJson, FaultMode::Status(404), FaultMode::Status(500), FaultMode::DropConnection]
    {
        fleet.blind(mode)?;
        // So many of the chutes that one at least is the miner API's.
        fleet.await_asked(&POLLED, 4)?;
        fleet.still(&before).map_err(|error| error.context(format!("{mode:?}")))?;
        fleet.validator()?.heal()?;
    }
    fleet.await_asked(&POLLED, 2)?;
    fleet.await_ready("True", "AllGood")?;
    fleet.still(&before)
}

/// The live twin: two complete lists without a chute stop it within two minutes.
fn a_withdrawn_chute(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let start = Instant::now();
    fleet.validator()?.withdraw("three")?;
    wait::until("the withdrawn chute to be stopped", PATIENCE, || {
        let left = fleet.deployed()?.iter().any(|d| d.chute == "three");
        Ok((!left && fleet.pods()?.len() == 2).then_some(()))
    })?;
    println!("         stopped {:.1} s after its withdrawal", start.elapsed().as_secs_f64());
    fleet.await_active(&["one", "two"]).map(drop)
}

/// Everything goes on by polling. Nor is garbage kept for ever: what lists lack for long is gone, be it most of all.
fn without_redis(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let before = fleet.standing()?;
    fleet.stop_redis()?;
    fleet.await_asked(&POLLED, 3)?;
    fleet.still(&before)?;
    let old = fleet.await_active(&["one", "two"])?;
    for one in &old {
        fleet.validator()?.delete_instance(one.instance.as_deref().unwrap_or_default(), "the test took it")?;
    }
    fleet.validator()?.offer(&stage.chute("four", 1, 1))?;
    wait::until("a launch without Redis", PATIENCE, || {
        Ok(fleet.deployed()?.iter().any(|d| d.chute == "four" && d.phase == "Active").then_some(()))
    })?;
    wait::until("the end of what lists lack for long", PATIENCE, || {
        let now = fleet.deployed()?;
        Ok(now.iter().all(|d| old.iter().all(|o| o.id != d.id)).then_some(()))
    })?;
    fleet.start_redis()
}

#[test]
fn what_is_away_takes_no_chute_with_it() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = timed("a fleet with two chutes", || running(&["one", "two"]));
    timed("a silent agent", || a_silent_agent(&stage));
    timed("all programs replaced", || new_builds(&stage));
    timed("an agent that lost its state", || a_wiped_agent(&stage));
    timed("no Postgres", || without_postgres(&stage));
    timed("no API server", || without_the_control_cluster(&stage));
    assert_eq!(stage.fleet.validator().unwrap().unexpected().unwrap(), Vec::<String>::new());
}

fn a_silent_agent(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let pods = fleet.pods()?;
    fleet.signal("agent", Signal::STOP)?;
    fleet.await_ready("Unknown", "AgentSilent")?;
    let launches = fleet.validator()?.counters()?.launches.granted;
    fleet.validator()?.offer(&stage.chute("three", 1, 1))?;
    // The operator sees it, plans, and says why it places nothing.
    wait::until("the reason", PATIENCE, || {
        let server = fleet.get(&["gpuserver", &fleet.facts.server, "-n", "chutes"])?;
        Ok((server["status"]["whyIdle"] == "ReporterSilent").then_some(()))
    })?;
    fleet.await_asked(&POLLED, 8)?;
    ensure!(fleet.deployed()?.iter().all(|d| d.chute != "three"), "something was placed on a silent server");
    ensure!(fleet.validator()?.counters()?.launches.granted == launches, "a launch token was asked for");
    differs(&pods, &fleet.pods()?)?;
    fleet.signal("agent", Signal::CONT)?;
    fleet.await_active(&["one", "two", "three"])?;
    ensure!(pods.is_subset(&fleet.pods()?), "a pod was touched");
    Ok(())
}

/// Waits until all programs are up, look, and find everything good; what ends by itself is started anew, as its supervisor would.
fn settled(fleet: &Fleet) -> Result<()> {
    let asked = |fleet: &Fleet| -> Result<Vec<u64>> {
        let counters = fleet.validator()?.counters()?;
        Ok(POLLED.iter().map(|route| counters.asked(route)).collect())
    };
    let before = asked(fleet)?;
    wait::until("the programs to look again", PATIENCE, || {
        for program in ["operator", "miner-api", "agent"] {
            fleet.supervise(program)?;
        }
        Ok(asked(fleet)?.iter().zip(&before).all(|(now, before)| *now >= before + 4).then_some(()))
    })?;
    fleet.await_ready("True", "AllGood")
}

fn new_builds(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let before = fleet.standing()?;
    for program in ["operator", "miner-api", "agent"] {
        fleet.kill(program)?;
        fleet.start(program)?;
    }
    settled(fleet)?;
    fleet.still(&before)?;
    // And the other way to end, with nothing lost on the way down.
    for program in ["agent", "operator", "miner-api"] {
        fleet.signal(program, Signal::TERM)?;
        wait::until("it to end", PATIENCE, || Ok(fleet.signal(program, Signal::CONT).is_err().then_some(())))?;
        fleet.start(program)?;
    }
    settled(fleet)?;
    fleet.still(&before)?;
    fleet.validator()?.offer(&stage.chute("four", 1, 1))?;
    fleet.await_active(&["one", "two", "three", "four"])?;
    ensure!(before.is_subset(&fleet.standing()?), "something was touched");
    Ok(())
}

fn a_wiped_agent(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let before = fleet.standing()?;
    let (state, aside) = (fleet.dir.join("agent"), fleet.dir.join("agent.aside"));
    fleet.kill("agent")?;
    std::fs::rename(&state, &aside)?;
    fleet.start("agent")?;
    fleet.await_ready("Unknown", "AgentSilent")?;
    ensure!(state.join("node.key").exists(), "the agent did not start");
    fleet.still(&before)?;
    fleet.kill("agent")?;
    std::fs::remove_dir_all(&state)?;
    std::fs::rename(&aside, &state)?;
    fleet.start("agent")?;
    fleet.await_ready("True", "AllGood")?;
    fleet.still(&before)
}

fn without_postgres(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let up = fleet.await_active(&["one", "two", "three", "four"])?;
    let before = fleet.standing()?;
    fleet.stop_postgres()?;
    wait::until("status to name Postgres", PATIENCE, || {
        Ok(fleet.problems()?.iter().any(|p| p["subject"] == "postgres" && p["severity"] == "critical").then_some(()))
    })?;
    // No new launch.
    let launches = fleet.validator()?.counters()?.launches.granted;
    fleet.validator()?.offer(&stage.chute("five", 1, 1))?;
    fleet.await_asked(&POLLED, 8)?;
    ensure!(fleet.deployed()?.iter().all(|d| d.chute != "five"), "something was placed");
    let after: std::collections::BTreeSet<String> = fleet.standing()?;
    ensure!(before.is_subset(&after), "something was touched: {:?}", before.difference(&after));
    // What the validator ended is taken down.
    let one = up.iter().find(|d| d.chute == "one").and_then(|d| d.instance.clone()).unwrap_or_default();
    fleet.validator()?.delete_instance(&one, "the test took it")?;
    wait::until("its pod to be gone", PATIENCE, || Ok((fleet.pods()?.len() == 3).then_some(())))?;
    fleet.await_asked(&POLLED, 3)?;
    ensure!(fleet.pods()?.is_subset(&before), "a pod was touched, or launched");
    ensure!(fleet.validator()?.counters()?.launches.granted == launches, "a launch token was asked for");
    fleet.start_postgres()?;
    wait::until("a launch with Postgres back", PATIENCE, || {
        let now = fleet.deployed()?;
        let five = now.iter().any(|d| d.chute == "five" && d.phase == "Active");
        Ok((five && now.iter().all(|d| d.instance.as_ref() != Some(&one))).then_some(()))
    })
}

fn without_the_control_cluster(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let pods = fleet.pods()?;
    let instances = || -> Result<Vec<String>> { Ok(fleet.validator()?.snapshot()?.instances.into_iter().map(|i| i.instance_id).collect()) };
    let before = instances()?;
    // Longer than a lease: whoever led must lead no more.
    fleet.control.freeze("kube-apiserver")?;
    std::thread::sleep(Duration::from_secs(20));
    differs(&pods, &fleet.pods()?)?;
    fleet.control.kill("kube-apiserver")?;
    std::thread::sleep(Duration::from_secs(3));
    fleet.control.start("kube-apiserver")?;
    fleet.control.wait_ready(PATIENCE)?;
    settled(fleet)?;
    differs(&pods, &fleet.pods()?)?;
    ensure!(instances()? == before, "an instance was touched");
    fleet.validator()?.offer(&stage.chute("six", 1, 1))?;
    wait::until("another launch", PATIENCE, || {
        fleet.supervise("operator")?;
        Ok(fleet.deployed()?.iter().any(|d| d.chute == "six" && d.phase == "Active").then_some(()))
    })?;
    ensure!(pods.is_subset(&fleet.pods()?), "a pod was touched");
    Ok(())
}
