//! A fleet that cannot see keeps what it has: lists that lie, stores that are away, programs that are silent or restarted. And
//! one that sees goes on: after each blindness something is launched or stopped, so that nothing here passes because all slept.

#![allow(clippy::disallowed_methods, reason = "a test without an async runtime may sleep")]

use anyhow::{Context as _, Result, anyhow, ensure};
use e2e::blind::differs;
use e2e::fleet::{Fleet, Side};
use e2e::stage::Stage;
use e2e::story::Deployed;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io::Write as _;
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
    stage.fleet.one_copy_each()?;
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
    let mut stage = timed("a fleet with three chutes", || running(&["one", "two", "three"]));
    timed("empty lists, and a flushed Redis", || empty_lists(&stage));
    timed("lists with one row and a clean end", || lists_of_one_row(&stage));
    timed("cut lists, errors, half answers", || broken_lists(&stage));
    timed("no Redis, and most instances really gone", || without_redis(&mut stage));
    timed("a chute that is really gone", || a_withdrawn_chute(&mut stage));
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
    fleet.end("operator")?;
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

/// The live twin: lists alone, read at the pace that is shipped, stop a chute that they lack within two minutes.
fn a_withdrawn_chute(stage: &mut Stage) -> Result<()> {
    const PACES: [&str; 4] = ["--list-seconds", "--plan-interval", "--poll-interval", "--chutes-poll-interval"];
    for program in ["operator", "miner-api"] {
        let how = stage.fleet.facts.programs.get_mut(program).context("it was started once")?;
        let hasty = how.args.len();
        how.args.retain(|arg| PACES.iter().all(|pace| !arg.starts_with(pace)));
        ensure!(how.args.len() < hasty, "{program} was in no haste");
        stage.fleet.end(program)?;
        stage.fleet.start(program)?;
    }
    let fleet = &stage.fleet;
    let validator = fleet.validator()?;
    fleet.await_asked(&POLLED, 1)?;
    fleet.await_ready("True", "AllGood")?;
    let of = |chute: &str| -> Result<Vec<Deployed>> { Ok(fleet.deployed()?.into_iter().filter(|d| d.chute == chute).collect()) };
    let [one] = of("three")?.try_into().map_err(|many| anyhow!("one copy, and not {many:?}"))?;
    let others: Vec<String> = fleet.pods()?.into_iter().filter(|pod| !pod.contains(&one.id)).collect();
    // Nobody tells but the lists.
    validator.fall_silent()?;
    let events = fleet.said("miner-api", "event")?;
    let start = Instant::now();
    validator.withdraw("three")?;
    wait::until("the withdrawn chute to be stopped", PATIENCE, || {
        let pods = fleet.pods()?;
        let gone = of("three")?.iter().all(|d| d.id != one.id) && pods.iter().all(|pod| !pod.contains(&one.id));
        Ok(gone.then_some(()))
    })?;
    let took = start.elapsed();
    println!("         stopped {:.1} s after its withdrawal, by lists alone, at the shipped pace", took.as_secs_f64());
    ensure!(took <= Duration::from_secs(120), "that is more than two minutes");
    ensure!(fleet.said("miner-api", "event")? == events, "an event told");
    let pods = fleet.pods()?;
    ensure!(others.iter().all(|pod| pods.contains(pod)), "another pod was touched");
    validator.heal()
}

/// Everything goes on by polling. Nor is garbage kept for ever: what lists lack for long is gone, be it most of all.
fn without_redis(stage: &mut Stage) -> Result<()> {
    let operator = stage.fleet.facts.programs.get_mut("operator").context("it was started once")?;
    let landslide = operator.args.iter_mut().find(|arg| arg.starts_with("--landslide=")).context("it was in haste")?;
    // Long enough for the blindness above, and too long to wait for.
    "--landslide=15s".clone_into(landslide);
    stage.fleet.end("operator")?;
    stage.fleet.start("operator")?;
    let fleet = &stage.fleet;
    fleet.await_asked(&POLLED, 2)?;
    let before = fleet.standing()?;
    fleet.stop_redis()?;
    fleet.await_asked(&POLLED, 3)?;
    fleet.still(&before)?;
    let all = fleet.await_active(&["one", "two", "three"])?;
    let (old, kept): (Vec<Deployed>, Vec<Deployed>) = all.into_iter().partition(|d| d.chute != "three");
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
    fleet.start_redis()?;
    let now = fleet.await_active(&["one", "two", "three", "four"])?;
    ensure!(kept.iter().all(|d| now.contains(d)), "what was not deleted was touched: {kept:?}, {now:?}");
    Ok(())
}

#[test]
fn what_is_away_takes_no_chute_with_it() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let mut stage = timed("a fleet with two chutes", || running(&["one", "two"]));
    timed("a silent agent", || a_silent_agent(&stage));
    timed("all programs replaced by a new build", || new_builds(&mut stage));
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
        let server = fleet.server()?;
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

/// Waits until all programs look again and find everything good; none may end of itself meanwhile.
fn settled(fleet: &Fleet) -> Result<()> {
    fleet.await_asked(&POLLED, 4)?;
    fleet.all_lived()?;
    fleet.await_ready("True", "AllGood")
}

/// A file of its own for a program, with other bytes at its end: a new build that does the same.
fn rebuilt(stage: &mut Stage, program: &str) -> Result<()> {
    let folder = stage.fleet.dir.join("new");
    std::fs::create_dir_all(&folder)?;
    let how = stage.fleet.facts.programs.get_mut(program).context("it was started once")?;
    let new = folder.join(program);
    std::fs::copy(&how.binary, &new)?;
    std::fs::OpenOptions::new().append(true).open(&new)?.write_all(b"a new build")?;
    how.binary = new;
    Ok(())
}

fn new_builds(stage: &mut Stage) -> Result<()> {
    let before = stage.fleet.standing()?;
    // As Kubernetes replaces a program: asked to end, and the new one started.
    for program in ["operator", "miner-api", "agent"] {
        rebuilt(stage, program)?;
        let fleet = &stage.fleet;
        fleet.end(program)?;
        fleet.start(program)?;
        let running = std::fs::read_link(format!("/proc/{}/exe", fleet.pid(program).context("it runs")?))?;
        ensure!(running == fleet.dir.join("new").join(program), "{} runs", running.display());
    }
    let fleet = &stage.fleet;
    settled(fleet)?;
    fleet.still(&before)?;
    // And the other way to end, all of them at once, with nothing said on the way down.
    for program in ["agent", "operator", "miner-api"] {
        fleet.kill(program)?;
    }
    fleet.revive()?;
    settled(fleet)?;
    fleet.still(&before)?;
    fleet.validator()?.offer(&stage.chute("four", 1, 1))?;
    let now = fleet.await_active(&["one", "two", "three", "four"])?;
    ensure!(now.iter().filter(|d| before.contains(&format!("deployment {} {} Active", d.chute, d.id))).count() == 3, "a copy was replaced");
    let pods = fleet.pods()?;
    ensure!(before.iter().filter(|line| line.starts_with("pod ")).all(|pod| pods.contains(pod)), "a pod was touched");
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
    wait::until("the new chute to be known", PATIENCE, || {
        let chutes = fleet.list(Side::Control, "/apis/gepetto.fleet/v1alpha1/chutes", "")?;
        Ok(chutes.iter().any(|chute| chute["spec"]["name"] == "five").then_some(()))
    })?;
    // Nor does a stop that a person confirmed: what we end must be written down first.
    let two = up.iter().find(|d| d.chute == "two").context("it ran")?;
    let (name, namespace) = (two.id.as_str(), two.namespace.as_str());
    let confirmed = format!("gepetto.fleet/confirm-delete={name}");
    fleet.control.kubectl_run(["annotate", "chutedeployment", name, "-n", namespace, &confirmed])?;
    fleet.control.kubectl_run(["delete", "chutedeployment", name, "-n", namespace, "--wait=false"])?;
    fleet.await_asked(&POLLED, 8)?;
    let but_chutes =
        |all: &BTreeSet<String>| -> BTreeSet<String> { all.iter().filter(|line| !line.starts_with("chutes ")).cloned().collect() };
    differs(&but_chutes(&before), &but_chutes(&fleet.standing()?))?;
    ensure!(fleet.problems()?.iter().any(|p| p["subject"] == "postgres" && p["severity"] == "critical"), "status forgot Postgres");
    // What the validator ended is taken down.
    let one = up.iter().find(|d| d.chute == "one").and_then(|d| d.instance.clone()).unwrap_or_default();
    fleet.validator()?.delete_instance(&one, "the test took it")?;
    wait::until("its pod to be gone", PATIENCE, || Ok((fleet.pods()?.len() == 3).then_some(())))?;
    fleet.await_asked(&POLLED, 3)?;
    ensure!(fleet.pods()?.is_subset(&before), "a pod was touched, or launched");
    ensure!(fleet.validator()?.counters()?.launches.granted == launches, "a launch token was asked for");
    fleet.start_postgres()?;
    // All that waited is done.
    wait::until("what was ended and confirmed to be gone", PATIENCE, || {
        let now = fleet.deployed()?;
        Ok(now.iter().all(|d| d.id != two.id && d.instance.as_ref() != Some(&one)).then_some(()))
    })?;
    fleet.await_active(&["one", "two", "three", "four", "five"]).map(drop)
}

fn without_the_control_cluster(stage: &Stage) -> Result<()> {
    let fleet = &stage.fleet;
    let pods = fleet.pods()?;
    let instances = || -> Result<Vec<String>> { Ok(fleet.validator()?.snapshot()?.instances.into_iter().map(|i| i.instance_id).collect()) };
    let before = instances()?;
    // Longer than a lease: whoever led must lead no more, and ends. Its successor waits for the API server, as all others do.
    fleet.expect_end("operator");
    fleet.control.freeze("kube-apiserver")?;
    wait::until("the leader to end by itself", PATIENCE, || Ok((!fleet.runs("operator")).then_some(())))?;
    fleet.start("operator")?;
    differs(&pods, &fleet.pods()?)?;
    fleet.control.kill("kube-apiserver")?;
    fleet.await_asked(&["GET /miner/chutes/"], 1)?;
    fleet.control.start("kube-apiserver")?;
    fleet.control.wait_ready(PATIENCE)?;
    settled(fleet)?;
    differs(&pods, &fleet.pods()?)?;
    ensure!(instances()? == before, "an instance was touched");
    fleet.validator()?.offer(&stage.chute("six", 1, 1))?;
    wait::until("another launch", PATIENCE, || {
        Ok(fleet.deployed()?.iter().any(|d| d.chute == "six" && d.phase == "Active").then_some(()))
    })?;
    ensure!(pods.is_subset(&fleet.pods()?), "a pod was touched");
    Ok(())
}
