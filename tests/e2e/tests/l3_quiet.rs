//! What a fleet does when there is nothing to do, how little it writes when there is, and where its secrets are not.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "nothing here runs on an async runtime")]

use e2e::fleet::{Driver, Fleet};
use e2e::kill::Lines;
use e2e::leaks::{Except, Needles, canary_token};
use e2e::quiet::{Mark, Write, secret_to_job};
use e2e::stage::Stage;
use e2e::story::Deployed;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use std::time::Duration;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a chute waits after its launch failed, by the default policy.
const BACKOFF: Duration = Duration::from_secs(60);
/// So long without a write, the fleet counts as converged: longer than every one of its short intervals.
const STILL: Duration = Duration::from_secs(6);
/// From the launch Secret to the Job, both included.
const MOST_WRITES: usize = 6;

fn list(writes: &[Write]) -> String {
    writes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn loud(fleet: &Fleet, mark: Mark) -> Vec<Write> {
    fleet.writes_since(mark).unwrap().into_iter().filter(|write| !write.at_rest()).collect()
}

/// Waits until nothing was written for a while.
fn converge(fleet: &Fleet) {
    wait::until("the fleet to come to rest", PATIENCE, || {
        let mark = fleet.mark()?;
        std::thread::sleep(STILL);
        let writes = loud(fleet, mark);
        if writes.is_empty() { Ok(Some(())) } else { anyhow::bail!("still written:\n{}", list(&writes)) }
    })
    .unwrap();
}

/// Three times: every watch is listed anew, and the validator's lists are read by everybody who reads them.
fn rest_through_three_resyncs_and_three_lists(fleet: &Fleet, lines: &Lines, watched: &[&str]) {
    const LISTS: [&str; 4] = ["GET /miner/chutes/", "GET /miner/instances/", "GET /miner/nodes/", "GET /chutes/utilization"];
    let validator = fleet.validator().unwrap();
    let mark = fleet.mark().unwrap();
    for _ in 0..3 {
        let before = validator.counters().unwrap();
        for proxy in watched {
            let proxy = lines.of(proxy);
            let lists = || proxy.seen().iter().filter(|seen| seen.is_list()).count();
            let listed = lists();
            proxy.expire_watches();
            wait::until("watches to be listed anew", PATIENCE, || Ok((lists() > listed).then_some(()))).unwrap();
        }
        wait::until("the validator's lists to be read", PATIENCE, || {
            let now = validator.counters()?;
            // The operator and the miner API both read the chutes: two more are one of each at least in most rounds.
            Ok(LISTS.iter().all(|route| now.asked(route) >= before.asked(route) + 2).then_some(()))
        })
        .unwrap();
    }
    let writes = loud(fleet, mark);
    assert!(writes.is_empty(), "a fleet at rest wrote:\n{}", list(&writes));
    let beats = fleet.writes_since(mark).unwrap();
    assert!(beats.iter().any(|write| write.account == "chutes:operator"), "the log shows not even the operator's Lease");
}

/// A launch waits for the writes about itself. Beside them nothing is written but the statuses that tell of the whole fleet; their
/// number depends on how long the launch takes, since they are written at most once in an interval.
fn few_writes_to_the_job(fleet: &Fleet, mark: Mark, deployed: &Deployed) {
    const OF_THE_FLEET: [&str; 3] = ["chutes/status", "gpuservers/status", "gepettopolicies/status"];
    let writes = secret_to_job(&fleet.writes_since(mark).unwrap(), &deployed.id).expect("a launch Secret and a Job");
    println!("from the launch Secret to the Job, both included: {} writes\n{}", writes.len(), list(&writes));
    let (own, beside): (Vec<Write>, Vec<Write>) = writes.into_iter().partition(|write| write.about(&deployed.id));
    assert!(own.len() <= MOST_WRITES, "{} writes one after the other from the launch Secret to the Job:\n{}", own.len(), list(&own));
    let strange: Vec<Write> = beside.into_iter().filter(|write| !OF_THE_FLEET.contains(&write.resource.as_str())).collect();
    assert!(strange.is_empty(), "a launch comes with writes that are no part of it:\n{}", list(&strange));
}

/// The policy that a person who wishes for nothing writes: one more resource whose status must come to rest.
fn apply_an_empty_policy(fleet: &Fleet) {
    let policy = serde_json::json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GepettoPolicy", "metadata": { "name": "default", "namespace": "chutes" },
        "spec": {},
    });
    fleet.control.apply(&policy).unwrap();
}

/// Waits until so many GPUs stand idle because the validator wants no more copies, by everything that tells a person so.
fn await_idle_at_target(fleet: &Fleet, chute: &str, gpus: usize) {
    wait::until("idle GPUs with their reason", PATIENCE, || {
        let told = [
            fleet.get(&["gepettopolicy", "default", "-n", "chutes"])?["status"]["idle"].clone(),
            fleet.get(&["gpuserver", &fleet.facts.server, "-n", "chutes"])?["status"]["whyIdle"].clone(),
            why_not(fleet, chute)?,
        ];
        let wanted = [format!("{gpus} AtTarget"), "AtTarget".to_owned(), "AtTarget".to_owned()];
        if told.iter().zip(&wanted).all(|(told, wanted)| told == wanted) { Ok(Some(())) } else { anyhow::bail!("{told:?}") }
    })
    .unwrap();
    let status = fleet.run(&["status"]).unwrap();
    assert!(status.contains("AtTarget"), "status does not say it:\n{status}");
}

fn why_not(fleet: &Fleet, chute: &str) -> anyhow::Result<serde_json::Value> {
    let chutes = fleet.get(&["chutes.gepetto.fleet", "-n", "chutes"])?;
    let found = chutes["items"].as_array().into_iter().flatten().find(|one| one["spec"]["name"] == chute);
    Ok(found.map(|one| one["status"]["whyNot"].clone()).unwrap_or_default())
}

fn askings(fleet: &Fleet) -> u64 {
    fleet.validator().unwrap().counters().unwrap().asked("GET /instances/launch_config")
}

/// Makes every copy of the chute `broken` fail; before there is a server, so that none can start earlier.
fn prepare_failure(stage: &Stage) {
    let validator = stage.fleet.validator().unwrap();
    validator.offer(&stage.chute("broken", 1, 1)).unwrap();
    let chutes = validator.snapshot().unwrap().chutes;
    let broken = chutes.iter().find(|chute| chute["name"] == "broken").expect("it was just offered");
    stage.pods.hook(broken["chute_id"].as_str().unwrap(), "FAKE_CHUTE_FAIL_AT", "claim");
    validator.withdraw("broken").unwrap();
}

/// A launch that fails after its token was handed out, until nothing is left of it.
fn fail_a_launch(stage: &Stage, needles: &mut Needles) {
    let fleet = &stage.fleet;
    let validator = fleet.validator().unwrap();
    validator.offer(&stage.chute("broken", 1, 1)).unwrap();
    wait::until("a launch to fail", PATIENCE, || {
        for token in fleet.launch_tokens()? {
            needles.token("a launch token", &token);
        }
        let failed = fleet.sql("select end_reason from deployments_now where phase = 'Failed'")?;
        Ok((!failed.is_empty()).then_some(()))
    })
    .unwrap();
    validator.withdraw("broken").unwrap();
}

/// Puts the canary wherever a secret could be.
fn plant(fleet: &Fleet, stage: &Stage, canary: &str) {
    for lab in [&fleet.control, &fleet.node] {
        // The name for the audit log, which holds no bodies.
        let token = format!("--from-literal=token={}", canary_token());
        lab.kubectl_run(["create", "configmap", canary, "-n", "default", &token]).unwrap();
    }
    fleet.sql(&format!("create table canary as select '{canary}' as canary")).unwrap();
    let status = std::process::Command::new("redis-cli").args(["-u", &fleet.facts.redis_url, "set", "canary", canary]).status();
    assert!(status.unwrap().success());
    for folder in ["logs", "agent", "miner-api", "pods"] {
        std::fs::create_dir_all(fleet.dir.join(folder)).unwrap();
        std::fs::write(fleet.dir.join(folder).join("canary"), canary).unwrap();
    }
    assert!(!stage.pods.running().is_empty(), "the pods' logs are of living pods, too");
}

fn no_secret_anywhere(stage: &Stage, needles: &Needles, except: Except) {
    let fleet = &stage.fleet;
    let places = fleet.places(&fleet.dir.join("pods"), except).unwrap();
    let size: usize = places.iter().map(|place| place.content.len()).sum();
    println!("{} places, {} kB", places.len(), size / 1024);
    assert_eq!(needles.find(&places), Vec::<String>::new(), "secrets lie about");

    let canary: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7 + 11).unwrap());
    let hex: String = hex::encode(canary);
    plant(fleet, stage, &hex);
    let mut needles = Needles::default();
    needles.seed("the canary", &canary);
    let found = needles.find(&fleet.places(&fleet.dir.join("pods"), except).unwrap());
    for clue in ["objects of the control", "audit log of the control", "objects of the node", "audit log of the node", "Postgres", "Redis"]
    {
        assert!(found.iter().any(|f| f.starts_with(clue) && f.contains("the canary")), "no canary in {clue}: {found:#?}");
    }
    for file in ["logs/canary", "agent/canary", "miner-api/canary", "pods/canary"] {
        assert!(found.iter().any(|f| f.contains(file)), "no canary in {file}: {found:#?}");
    }
    assert!(found.iter().any(|f| f.starts_with("objects") && f.contains("a launch token")), "a token's shape was not seen: {found:#?}");
}

/// All programs say everything they could ever say.
fn talkative(options: &mut e2e::fleet::FleetOptions) {
    for program in ["operator", "miner-api", "agent"] {
        options.env.entry(program.to_owned()).or_default().push(("RUST_LOG".to_owned(), "debug".to_owned()));
    }
}

#[test]
fn a_fleet_with_our_agent_is_quiet_frugal_and_discreet() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let lines = Lines::default();
    let stage = Stage::new(|options| {
        options.between = lines.between();
        talkative(options);
    });
    let (fleet, validator) = (&stage.fleet, stage.fleet.validator().unwrap());
    let mut needles = Needles::default();
    needles.seed("the hotkey's seed", &fleet.seed().unwrap());
    prepare_failure(&stage);
    apply_an_empty_policy(fleet);
    fleet.add_server().unwrap();

    let mark = fleet.mark().unwrap();
    validator.offer(&stage.chute("two-gpus", 2, 1)).unwrap();
    let first = fleet.await_active(&["two-gpus"]).unwrap().remove(0);
    few_writes_to_the_job(fleet, mark, &first);

    // Six GPUs are idle and the chute would run on them.
    await_idle_at_target(fleet, "two-gpus", 6);
    converge(fleet);
    let asked = askings(fleet);
    rest_through_three_resyncs_and_three_lists(fleet, &lines, &["operator", "miner-api", "agent", "node"]);
    assert_eq!(askings(fleet), asked, "copies were asked for that nobody wants");
    assert_eq!(validator.counters().unwrap().refused("GET /instances/launch_config", 423), 0, "the validator had to say no");

    // The fleet was awake: a Job deleted by hand is repaired.
    let tokens = fleet.launch_tokens().unwrap();
    assert_eq!(tokens.len(), 1);
    needles.token("the first launch token", &tokens[0]);
    fleet.node.kubectl_run(["delete", "job", "-n", "chutes", "-l", &format!("chutes/deployment-id={}", first.id)]).unwrap();
    let second = wait::until("another copy in place of the one whose Job was deleted", BACKOFF + PATIENCE, || {
        Ok(fleet.deployed()?.into_iter().find(|d| d.id != first.id && d.phase == "Active"))
    })
    .unwrap();

    // And saw those GPUs: where the validator wants another copy, it gets it, and no third.
    validator.want("two-gpus", 2).unwrap();
    fleet.await_active(&["two-gpus", "two-gpus"]).unwrap();
    await_idle_at_target(fleet, "two-gpus", 4);

    fleet.stop(&second).unwrap();
    fail_a_launch(&stage, &mut needles);
    fleet.await_active(&["two-gpus", "two-gpus"]).unwrap();
    assert_eq!(validator.unexpected().unwrap(), Vec::<String>::new());
    no_secret_anywhere(&stage, &needles, Except::Secrets);
}

#[test]
fn a_sealed_worker_is_driven_with_few_writes_and_its_token_stands_in_its_job_only() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = Stage::new(|options| {
        options.driver = Driver::Remote;
        talkative(options);
    });
    let (fleet, validator) = (&stage.fleet, stage.fleet.validator().unwrap());
    let mut needles = Needles::default();
    needles.seed("the hotkey's seed", &fleet.seed().unwrap());
    prepare_failure(&stage);
    apply_an_empty_policy(fleet);
    fleet.add_server().unwrap();

    let mark = fleet.mark().unwrap();
    validator.offer(&stage.chute("two-gpus", 2, 1)).unwrap();
    let first = fleet.await_active(&["two-gpus"]).unwrap().remove(0);
    few_writes_to_the_job(fleet, mark, &first);
    await_idle_at_target(fleet, "two-gpus", 6);
    for token in fleet.launch_tokens().unwrap() {
        needles.token("a launch token", &token);
    }
    // Where it may stand it does stand, or this would prove nothing.
    let job = fleet.node.kubectl_run(["get", "jobs", "-A", "-l", &format!("chutes/deployment-id={}", first.id), "-o", "json"]).unwrap();
    let found = needles.find(&[e2e::leaks::Place { name: "the Job".to_owned(), content: job.into_bytes() }]);
    assert_eq!(found.len(), 2, "the Job holds its token: {found:?}");

    fail_a_launch(&stage, &mut needles);
    assert_eq!(validator.unexpected().unwrap(), Vec::<String>::new());
    no_secret_anywhere(&stage, &needles, Except::SecretsAndJobs);
}
