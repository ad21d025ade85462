//! A blow at every write of every saga: launching and stopping a chute, adding and deleting a server. Each saga completes or fails
//! with a reason, and nothing is left of it: no Job, Service, Secret, claim or advertised GPU, and no launch config unaccounted for.
//!
//! A dry run finds the writes. Lives of chutes are struck eight at a time, one on each GPU, each at a point of its own. `E2E_THOROUGH`
//! deals every blow at every write; otherwise each write gets a lost answer and one other blow.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test; nothing here runs on an async runtime")]

use anyhow::Context as _;
use e2e::fleet::Side;
use e2e::sagas::{Blow, Point, VALIDATOR, Ways};
use e2e::stage::Stage;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use testkit::faults::RuleHandle;
use validator_sim::{Fault, FaultMode};

/// GPUs of the server, hence lives at once.
const LANES: usize = 8;
/// Blows in one life of a server.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);
const SERVERS: &str = "/apis/gepetto.fleet/v1alpha1/gpuservers";
const POLICY: &str = "/apis/gepetto.fleet/v1alpha1/namespaces/chutes/gepettopolicies/default";

type Strike = (Point, Blow);

fn stage(ways: &Ways) -> Stage {
    let between = ways.between();
    Stage::new(move |options| {
        options.between = between;
        // What the validator refused once is tried again within the test.
        options.env.insert("operator".to_owned(), vec![("READVERTISE".to_owned(), "1s".to_owned())]);
    })
}

/// The blows at each of these writes.
fn strikes(points: &[Point]) -> Vec<Strike> {
    let others = [Blow::Refuse(500), Blow::DropBefore, Blow::Refuse(409), Blow::Refuse(429)];
    let thorough = std::env::var("E2E_THOROUGH").is_ok_and(|value| value == "1");
    let mut all = Vec::new();
    for (n, point) in points.iter().enumerate() {
        all.push((point.clone(), Blow::DropAfter));
        // A validator's 409 is an answer of its own, told below.
        let fits = |blow: &Blow| point.way != VALIDATOR || *blow != Blow::Refuse(409);
        let chosen = others.iter().filter(|blow| fits(blow)).skip(if thorough { 0 } else { n % 3 });
        all.extend(chosen.take(if thorough { others.len() } else { 1 }).map(|blow| (point.clone(), *blow)));
    }
    all
}

/// Plans are made, or not.
fn planning(stage: &Stage, mode: &str) {
    // After a failure gepetto waits for longer than the test takes: what failed stays failed.
    let limits = json!({ "retryAfterSeconds": 3600, "launchesInFlight": 16 });
    stage.fleet.patch(Side::Control, POLICY, &json!({ "spec": { "mode": mode, "limits": limits } })).unwrap();
    wait::until(&format!("plans to be {mode}"), PATIENCE, || {
        let policy = stage.fleet.object(Side::Control, POLICY)?;
        let conditions = policy["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.iter().any(|c| c["type"] == "Planning" && c["reason"] == mode).then_some(()))
    })
    .unwrap();
}

/// The life of a chute in a wave.
#[derive(Default)]
struct Lane {
    chute: String,
    name: String,
    launch: Option<Strike>,
    stop: Option<Strike>,
}

/// What a wave of lives showed.
#[derive(Default)]
struct Shown {
    launch_writes: Vec<Point>,
    stop_writes: Vec<Point>,
    /// Blows that were dealt.
    dealt: Vec<Strike>,
    /// Blows that found no write to hit.
    missed: Vec<(bool, Strike)>,
    /// How the lives ended that were never Active.
    failed: Vec<(Strike, String)>,
}

struct Waves<'a> {
    stage: &'a Stage,
    ways: &'a Ways,
    count: usize,
}

impl Waves<'_> {
    /// A life for each pair of blows: launched, stopped, nothing left.
    fn run(&mut self, pairs: &[(Option<Strike>, Option<Strike>)]) -> Shown {
        let started = Instant::now();
        let (fleet, ways) = (&self.stage.fleet, self.ways);
        let validator = fleet.validator().unwrap();
        let mut shown = Shown::default();
        planning(self.stage, "Paused");
        let mut lanes = Vec::new();
        for (launch, stop) in pairs {
            self.count += 1;
            let name = format!("life-{}", self.count);
            validator.offer(&self.stage.chute(&name, 1, 1)).unwrap();
            let listed = validator.snapshot().unwrap().chutes;
            let row = listed.iter().find(|row| row["name"] == name.as_str()).unwrap();
            let chute = row["chute_id"].as_str().unwrap().to_owned();
            lanes.push(Lane { chute, name, launch: launch.clone(), stop: stop.clone() });
        }
        ways.know(fleet, lanes.iter().map(|lane| lane.chute.clone()).collect());
        wait::until("the chutes to be known", PATIENCE, || {
            let known = fleet.list(Side::Control, "/apis/gepetto.fleet/v1alpha1/chutes", "")?;
            let known: BTreeSet<&str> = known.iter().filter_map(|c| c["spec"]["chuteId"].as_str()).collect();
            Ok(lanes.iter().all(|lane| known.contains(lane.chute.as_str())).then_some(()))
        })
        .unwrap();

        let known = started.elapsed();
        ways.reset();
        let plan = |lane: &Lane, strike: &Option<Strike>| -> Option<(Strike, RuleHandle)> {
            let (point, blow) = strike.as_ref()?;
            Some(((point.clone(), *blow), ways.plan(point, *blow, Some(&lane.chute)).unwrap()))
        };
        let planned: Vec<_> = lanes.iter().map(|lane| plan(lane, &lane.launch)).collect();
        planning(self.stage, "Active");
        let outcomes: Vec<Option<String>> = lanes.iter().map(|lane| self.launched(lane)).collect();
        planning(self.stage, "Paused");
        shown.launch_writes = ways.writes();
        self.tally(&mut shown, planned.into_iter().flatten(), true);
        for (lane, outcome) in lanes.iter().zip(&outcomes) {
            if let (Some(reason), Some(strike)) = (outcome, &lane.launch) {
                shown.failed.push((strike.clone(), reason.clone()));
            }
            assert!(outcome.is_none() || lane.launch.is_some(), "{} failed by itself: {outcome:?}", lane.name);
        }
        let launch_transcript = ways.transcript();
        let launched = started.elapsed();

        ways.reset();
        let planned: Vec<_> = lanes.iter().map(|lane| plan(lane, &lane.stop)).collect();
        for deployed in fleet.deployed().unwrap().into_iter().filter(|deployed| deployed.phase == "Active") {
            fleet.stop(&deployed).unwrap();
        }
        let no_residue = wait::until("nothing to be left behind", PATIENCE, || {
            let left = fleet.residue()?;
            if left.is_empty() { Ok(Some(())) } else { anyhow::bail!("{}", left.join("; ")) }
        });
        if let Err(error) = no_residue {
            panic!("{error:#}\nstruck: {}\nlaunch\n{launch_transcript}\nstop\n{}", struck(&lanes), ways.transcript());
        }
        shown.stop_writes = ways.writes();
        self.tally(&mut shown, planned.into_iter().flatten(), false);
        ways.reset();
        let unaccounted = fleet.unaccounted().unwrap();
        assert!(unaccounted.is_empty(), "{unaccounted:#?}\nstruck: {}\n{launch_transcript}", struck(&lanes));
        for lane in &lanes {
            validator.withdraw(&lane.name).unwrap();
        }
        let [known, launched, end] = [known, launched, started.elapsed()].map(|at| at.as_secs_f64());
        println!(
            "{end:5.1} s  a wave of {} lives: known {known:.1}, launched {:.1}, stopped {:.1}",
            lanes.len(),
            launched - known,
            end - launched
        );
        shown
    }

    /// Waits until a life came to be paid, or failed; then why.
    fn launched(&self, lane: &Lane) -> Option<String> {
        let fleet = &self.stage.fleet;
        // A further copy may have been planned before the validator's demand showed this one.
        let query = format!(
            "select phase || ' ' || coalesce(end_reason, '') from deployments_now where chute_id = '{}'
             order by phase = 'Active' desc, ended_at is null desc, created_at desc limit 1",
            lane.chute
        );
        let outcome = wait::until(&format!("{} to be Active or Failed", lane.name), PATIENCE, || {
            let row = fleet.sql(&query)?.pop().unwrap_or_default();
            Ok(match row.split_once(' ') {
                Some(("Active", _)) => Some(None),
                Some(("Failed" | "Stopped", reason)) => Some(Some(reason.to_owned())),
                _ => anyhow::bail!("it is {row:?}"),
            })
        });
        match outcome {
            Ok(outcome) => {
                assert!(outcome.as_ref().is_none_or(|reason| !reason.is_empty()), "{} failed without a reason", lane.name);
                outcome
            }
            Err(error) => panic!("{error:#}; struck at {:?}\n{}", lane.launch, self.ways.transcript()),
        }
    }

    fn tally(&self, shown: &mut Shown, planned: impl Iterator<Item = (Strike, RuleHandle)>, launch: bool) {
        for (strike, rule) in planned {
            if rule.fired() > 0 { shown.dealt.push(strike) } else { shown.missed.push((launch, strike)) }
        }
    }
}

fn struck(lanes: &[Lane]) -> String {
    let tell =
        |strike: &Option<Strike>| strike.as_ref().map_or_else(|| "nothing".to_owned(), |(point, blow)| format!("{blow:?} at {point}"));
    lanes.iter().map(|lane| format!("\n  {} {}: launch {}, stop {}", lane.name, lane.chute, tell(&lane.launch), tell(&lane.stop))).collect()
}

/// Statuses that tell of the whole fleet; how often depends on what else goes on.
fn tells_of_the_fleet(point: &Point) -> bool {
    ["chutes/status", "gpuservers/status", "gepettopolicies/status"].iter().any(|kind| point.what.ends_with(kind))
}

/// One blow at what tells of the fleet says as much as twenty; the link to the validator is no part of a saga.
fn worth_a_blow(point: &Point) -> bool {
    (point.nth == 1 || !tells_of_the_fleet(point)) && !point.what.ends_with("validators/status")
}

/// Reports that come close together are one write; the first of each kind of the saga's own is always there.
fn assert_dealt(missed: &[Strike]) {
    for (point, blow) in missed {
        println!("  {blow:?} at {point}: no such write this time");
        assert!(point.nth > 1 || tells_of_the_fleet(point), "{blow:?} at {point} was never dealt");
    }
}

#[test]
fn a_chute_survives_a_blow_at_any_write_of_its_launch_and_its_stop() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let ways = Ways::default();
    let stage = stage(&ways);
    stage.fleet.add_server().unwrap();
    let mut waves = Waves { stage: &stage, ways: &ways, count: 0 };
    // As many as there are GPUs: no room for copies that would blur the count.
    let dry = waves.run(&vec![(None, None); LANES]);
    let launch_points: Vec<Point> = dry.launch_writes.into_iter().filter(worth_a_blow).collect();
    let stop_points: Vec<Point> = dry.stop_writes.into_iter().filter(worth_a_blow).collect();
    for (saga, points) in [("launch", &launch_points), ("stop", &stop_points)] {
        println!("{saga}: {} writes", points.len());
        points.iter().for_each(|point| println!("  {point}"));
    }
    // The token, its Secret, the resource, Service, Secret and Job on the node; and each of them taken back.
    assert!(launch_points.len() >= 10 && stop_points.len() >= 8);

    let mut launches = strikes(&launch_points);
    // What the validator may say for good.
    let asking = launch_points.iter().find(|point| point.what.ends_with("launch_config")).unwrap();
    launches.extend([423, 403, 404, 409].map(|status| (asking.clone(), Blow::Refuse(status))));
    let mut stops = strikes(&stop_points);
    let (mut dealt, mut failed) = (Vec::new(), Vec::new());
    let mut missed = Vec::new();
    for _again in 0..2 {
        let count = launches.len().max(stops.len());
        let pairs: Vec<_> = (0..count).map(|n| (launches.get(n).cloned(), stops.get(n).cloned())).collect();
        missed.clear();
        for lanes in pairs.chunks(LANES) {
            let shown = waves.run(lanes);
            dealt.extend(shown.dealt);
            missed.extend(shown.missed);
            failed.extend(shown.failed);
        }
        let of = |launch: bool| missed.iter().filter(|(of, _)| *of == launch).map(|(_, strike)| strike.clone()).collect();
        (launches, stops) = (of(true), of(false));
    }
    println!(
        "{} blows dealt at {} + {} writes, {} found nothing to hit",
        dealt.len(),
        launch_points.len(),
        stop_points.len(),
        missed.len()
    );
    for ((point, blow), reason) in &failed {
        println!("  {blow:?} at {point}: failed, {reason}");
    }
    assert_dealt(&missed.into_iter().map(|(_, strike)| strike).collect::<Vec<_>>());
    let reasons = stage.fleet.sql("select distinct end_reason from deployments where end_reason is not null").unwrap();
    for reason in ["CapacityReached", "LaunchForbidden", "ChuteGone", "LaunchConflict"] {
        assert!(reasons.iter().any(|found| found == reason), "{reason} is not among {reasons:?}");
    }
    stage.fleet.delete_server().unwrap();
}

/// What is left of a server anywhere. Empty when nobody knows it.
fn server_left(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let fleet = &stage.fleet;
    let mut left = Vec::new();
    let mut look = |collection: &str, labels| -> anyhow::Result<()> {
        let objects = fleet.list(Side::Control, collection, labels)?;
        left.extend(objects.iter().map(|object| format!("{collection}/{}", object["metadata"]["name"])));
        Ok(())
    };
    look(SERVERS, "")?;
    let roles = "/apis/rbac.authorization.k8s.io/v1";
    for collection in ["/api/v1/namespaces", "/api/v1/serviceaccounts", &format!("{roles}/roles"), &format!("{roles}/rolebindings")] {
        look(collection, "gepetto.fleet/server")?;
    }
    if left.is_empty() {
        left.extend(fleet.validator()?.snapshot()?.nodes.iter().map(|n| format!("advertised GPU {}", n["uuid"])));
        left.extend(fleet.residue()?);
    }
    Ok(left)
}

/// Whether the server is Ready; nothing if there is none.
fn server_ready(stage: &Stage) -> anyhow::Result<Option<bool>> {
    let servers = stage.fleet.list(Side::Control, SERVERS, "")?;
    let Some(server) = servers.first() else { return Ok(None) };
    let conditions = server["status"]["conditions"].as_array().cloned().unwrap_or_default();
    Ok(Some(conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")))
}

/// The words of a command that failed, which must say why and what to do.
fn words(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    assert!(text.contains("error: "), "no reason: {text}");
    text.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or_default().to_owned()
}

/// Adds the server as a person would: who is told that it failed looks whether it is there, and else tries again. Returns what the
/// person was told.
fn added(stage: &Stage) -> Option<String> {
    let told = stage.fleet.add_server().err().map(|error| words(&error));
    wait::until("the server to be Ready", PATIENCE, || match server_ready(stage)? {
        Some(ready) => Ok(ready.then_some(())),
        None => stage.fleet.add_server().map(|_| None),
    })
    .unwrap();
    assert_eq!(stage.fleet.validator().unwrap().snapshot().unwrap().nodes.len(), 8, "each GPU is advertised once");
    told
}

/// Deletes it in the same way.
fn deleted(stage: &Stage) -> Option<String> {
    let fleet = &stage.fleet;
    let delete = || fleet.run(&["delete-node", "--name", &fleet.facts.server, "--yes", "--no-wait"]);
    let told = delete().err().map(|error| words(&error));
    if told.is_some() && server_ready(stage).unwrap().is_some() {
        // It may have been half done: then it goes by itself.
        let _ = delete();
    }
    wait::until("the server to be gone everywhere", PATIENCE, || {
        let left = server_left(stage)?;
        if left.is_empty() { Ok(Some(())) } else { anyhow::bail!("{}", left.join("; ")) }
    })
    .unwrap();
    told
}

/// Every `n`-th of the blows from the `start`-th on: at points far from each other.
fn every(strikes: &[Strike], start: usize, n: usize) -> Vec<Strike> {
    strikes.iter().skip(start).step_by(n).cloned().collect()
}

#[test]
fn a_server_survives_a_blow_at_any_write_of_its_adding_and_its_deletion() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let ways = Ways::default();
    let stage = stage(&ways);
    ways.know(&stage.fleet, Vec::new());
    let struck = |what: &str, strikes: Vec<Strike>, go: &dyn Fn(&Stage) -> Option<String>| -> (usize, Vec<Strike>) {
        ways.reset();
        let planned: Vec<_> = strikes.into_iter().map(|(point, blow)| (ways.plan(&point, blow, None).unwrap(), (point, blow))).collect();
        let names: Vec<String> = planned.iter().map(|(_, (point, blow))| format!("{blow:?} at {point}")).collect();
        let guard = Told { what, names, ways: &ways };
        let told = go(&stage);
        drop(guard);
        if let Some(words) = told {
            println!("{what}: a person was told: {words}");
        }
        let (hit, missed): (Vec<_>, Vec<_>) = planned.into_iter().partition(|(rule, _)| rule.fired() > 0);
        (hit.len(), missed.into_iter().map(|(_, strike)| strike).collect())
    };
    ways.reset();
    added(&stage);
    // Of eight GPUs the first and the last to be taken back.
    let worth = |point: &Point| worth_a_blow(point) && (!point.what.starts_with("DELETE /nodes") || matches!(point.nth, 1 | 8));
    let of_server = |point: &Point| point.what.ends_with("gpuservers/status");
    let add_points: Vec<Point> = ways.writes().into_iter().filter(|point| of_server(point) || worth(point)).collect();
    ways.reset();
    deleted(&stage);
    let delete_points: Vec<Point> = ways.writes().into_iter().filter(|point| of_server(point) || worth(point)).collect();
    for (saga, points) in [("add", &add_points), ("delete", &delete_points)] {
        println!("{saga}: {} writes", points.len());
        points.iter().for_each(|point| println!("  {point}"));
    }
    assert!(add_points.len() >= 10 && delete_points.len() >= 6);

    let (mut adds, mut deletes) = (strikes(&add_points), strikes(&delete_points));
    // What the validator may say for good, and no more the next time it is asked.
    let advert = add_points.iter().find(|point| point.way == VALIDATOR && point.what.starts_with("POST")).unwrap();
    adds.extend([400, 409].map(|status| (advert.clone(), Blow::Refuse(status))));
    let mut dealt = 0;
    for _again in 0..2 {
        let rounds = adds.len().div_ceil(AT_ONCE).max(deletes.len().div_ceil(AT_ONCE));
        let (mut missed_adds, mut missed_deletes) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let started = Instant::now();
            let (hit, missed) = struck("add", every(&adds, round, rounds), &added);
            dealt += hit;
            missed_adds.extend(missed);
            let (hit, missed) = struck("delete", every(&deletes, round, rounds), &deleted);
            dealt += hit;
            missed_deletes.extend(missed);
            println!("{:5.1} s  a server added and deleted", started.elapsed().as_secs_f64());
        }
        (adds, deletes) = (missed_adds, missed_deletes);
    }
    println!("{dealt} blows dealt at {} + {} writes", add_points.len(), delete_points.len());
    assert_dealt(&adds.into_iter().chain(deletes).collect::<Vec<_>>());
    added_anew_while_the_list_is_old(&stage);
    assert_eq!(stage.fleet.validator().unwrap().unexpected().unwrap(), Vec::<String>::new());
}

/// A list of GPUs from before the deletion still names them all, proven: it is no ground for the server's second life.
fn added_anew_while_the_list_is_old(stage: &Stage) {
    let (fleet, validator) = (&stage.fleet, stage.fleet.validator().unwrap());
    assert_eq!(added(stage), None);
    validator.fault(&Fault::forever("/miner/nodes/", FaultMode::Status(500))).unwrap();
    fleet.await_asked(&["GET /miner/nodes/"], 2).unwrap();
    assert_eq!(deleted(stage), None);
    std::thread::scope(|scope| {
        // It watches until the server is Ready.
        let adding = scope.spawn(|| fleet.add_server());
        let held = wait::until("the old list to be held against the server", PATIENCE, || {
            let servers = fleet.list(Side::Control, SERVERS, "")?;
            let conditions = servers.first().context("it is not made yet")?["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let reason = conditions.iter().find(|c| c["type"] == "Advertised").map(|c| c["reason"].clone());
            // Too old to be believed at all, on a machine that took its time.
            Ok(reason.filter(|reason| reason == "WaitingForList" || reason == "WaitingForValidator"))
        });
        let asked = fleet.await_asked(&["GET /miner/nodes/"], 2);
        let ready = server_ready(stage);
        validator.heal().unwrap();
        adding.join().unwrap().unwrap();
        held.unwrap();
        asked.unwrap();
        assert_eq!(ready.unwrap(), Some(false), "the validator told nobody that it has the GPUs");
    });
    assert_eq!(validator.snapshot().unwrap().nodes.len(), 8, "and then each GPU is advertised once");
    assert_eq!(deleted(stage), None);
}

/// Says what was struck when a test fails.
struct Told<'a> {
    what: &'a str,
    names: Vec<String>,
    ways: &'a Ways,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}\n{}", self.what, self.names.join("; "), self.ways.transcript());
        }
    }
}

#[test]
fn a_server_with_the_wrong_gpus_is_refused_with_advice_and_leaves_nothing() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/fake-nvml/profiles/1xt4.json");
    let stage = Stage::new(|options| {
        options.env.insert("agent".to_owned(), vec![("FAKE_NVML_PROFILE".to_owned(), profile.to_owned())]);
    });
    let (fleet, facts) = (&stage.fleet, &stage.fleet.facts);
    let add = |gpu: &str| {
        let args = ["add-node", "--name", &facts.server, "--validator", &facts.validator_hotkey, "--agent-api", &facts.agent_api];
        let mut command = fleet.cli();
        command.args(args).args(["--gpu-short-ref", gpu, "--hourly-cost", "1.80"]);
        command
    };
    // By its true name: the validator pays for no such GPU, and nothing is made at all.
    let output = add("t4").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("as t4: {said}");
    assert!(!output.status.success() && said.contains("h100_sxm"), "it names the GPUs that are paid for: {said}");
    assert_eq!(server_ready(&stage).unwrap(), None);

    // By another name: the inventory shows it. The command would go on watching; the server's conditions say the same.
    let mut watching = add("h100_sxm").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let message = wait::until("the inventory to be judged", PATIENCE, || {
        let servers = fleet.list(Side::Control, SERVERS, "")?;
        let conditions = servers.first().context("it is not made yet")?["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let judged = conditions.iter().find(|c| c["type"] == "Inventoried" && c["reason"] == "ModelMismatch");
        Ok(judged.and_then(|c| c["message"].as_str().map(str::to_owned)))
    });
    let _ = watching.kill();
    let _ = watching.wait();
    let message = message.unwrap();
    println!("as h100_sxm: {message}");
    assert!(message.contains("Tesla T4") && message.contains("correct gpuRef"), "{message}");
    let validator = fleet.validator().unwrap();
    assert!(validator.snapshot().unwrap().nodes.is_empty());
    assert_eq!(validator.counters().unwrap().asked("POST /nodes/"), 0, "nothing was ever advertised");
    deleted(&stage);
}
