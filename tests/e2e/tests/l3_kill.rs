//! Our programs are killed at every distinct external write of the lives of chutes and at moments drawn by chance, one by one and all
//! at once: every life ends as it should, nobody's objects are left, no config is claimed twice, a kill costs one launch config at
//! most, and chutes that ran before do not notice.
//!
//! A write is told by its program, its verb and its resource; a commit to Postgres by its tables. Each is struck before and after it
//! happened, at the program that writes and at all of them: four kills. A life takes several, one after the other; with
//! `E2E_THOROUGH=1` one in its launch and one in its end.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test; nothing here runs on an async runtime")]

use e2e::hunt::{Hunt, Kind};
use e2e::kill::{Lines, PROGRAMS};
use e2e::stage::Stage;
use e2e::story::Deployed;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use testkit::faults::{Action, Matcher, Method, Rule, Seen, Then, moments, seed};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Kills during a launch, and as many during the stop after it. Each may cost a launch token, and a deployment is given four.
const KILLS: usize = 3;
/// Lives after which a hunt is over, whatever is left.
const MOST_LIVES: usize = 60;
/// Lives in a row in which nothing was struck, after which what is left is too rare to wait for.
const IN_VAIN: usize = 4;
/// What each new leader writes first.
const EPOCH: &str = "update leader_epoch";
/// Chutes that run all the while.
const BYSTANDERS: [&str; 2] = ["bystander-1", "bystander-2"];

/// Whether to take the time to mend after each single kill.
fn thorough() -> bool {
    std::env::var("E2E_THOROUGH").is_ok_and(|value| value == "1")
}

/// Reports on what the whole fleet does: how many there are depends on what else goes on.
fn is_report(kind: &Kind) -> bool {
    let shared = ["chutes/status", "gpuservers/status", "gepettopolicies/status", "validators/status"];
    shared.iter().any(|report| kind.what.contains(report))
}

/// Wake-ups are hints, and their rows no part of anything.
fn is_worth_it(kind: &Kind) -> bool {
    !["insert outbox", "update outbox", "delete outbox", "delete nonces"].iter().any(|hint| kind.what == format!("COMMIT {hint}"))
}

/// A stage and the lives on it.
struct Walk<'a> {
    stage: &'a Stage,
    lines: &'a Lines,
    hunt: Hunt,
    lives: usize,
    bystanders: Vec<Deployed>,
    pods: BTreeSet<String>,
    /// Deaths of the operator, each of which may have cost a launch config.
    deaths: u64,
}

/// A fleet with a proven server, proxies everywhere, and chutes that run.
fn stage(lines: &Lines) -> Stage {
    let stage = Stage::new(|options| {
        options.between = lines.between();
        options.env.insert("operator".to_owned(), vec![("LEASE_RENEW".to_owned(), "1s".to_owned())]);
    });
    stage.fleet.add_server().unwrap();
    stage.fleet.one_copy_each().unwrap();
    for name in BYSTANDERS {
        stage.fleet.validator().unwrap().offer(&stage.chute(name, 1, 1)).unwrap();
    }
    stage
}

impl<'a> Walk<'a> {
    fn new(stage: &'a Stage, lines: &'a Lines, writers: &'static [&'static str]) -> Self {
        let bystanders = stage.fleet.await_active(&BYSTANDERS).unwrap();
        let pods = stage.fleet.pods().unwrap();
        Self { stage, lines, hunt: Hunt::new(writers, is_worth_it), lives: 0, bystanders, pods, deaths: 0 }
    }

    /// Starts what was killed.
    fn tend(&mut self) -> anyhow::Result<()> {
        let started = self.stage.fleet.revive()?;
        self.deaths += started.iter().filter(|program| **program == "operator").count() as u64;
        if PROGRAMS.iter().all(|program| self.stage.fleet.runs(program)) {
            self.hunt.revived();
        }
        Ok(())
    }

    fn until<T>(&mut self, what: &str, mut probe: impl FnMut(&Stage) -> anyhow::Result<Option<T>>) -> T {
        let stage = self.stage;
        let found = wait::until(what, PATIENCE, || {
            self.tend()?;
            probe(stage)
        });
        found.unwrap_or_else(|error| panic!("{error:#}\nstruck lately: {}\n{}", self.told(), self.lines.transcript()))
    }

    fn told(&self) -> String {
        self.hunt.fresh().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    fn offer(&mut self) -> String {
        self.lives += 1;
        let name = format!("life-{}", self.lives);
        self.stage.fleet.validator().unwrap().offer(&self.stage.chute(&name, 1, 1)).unwrap();
        name
    }

    /// Exactly one copy is Active, and no other is under way.
    fn await_one(&mut self, chute: &str) -> Deployed {
        self.until(&format!("one Active copy of {chute}"), |stage| {
            let all: Vec<Deployed> = stage.fleet.deployed()?.into_iter().filter(|d| d.chute == chute).collect();
            let living: Vec<_> = all.iter().filter(|d| !["Stopped", "Failed"].contains(&d.phase.as_str())).collect();
            match living[..] {
                [one] if one.phase == "Active" => Ok(Some(one.clone())),
                _ => anyhow::bail!("there is {}", all.iter().map(|d| format!("{}={}", d.id, d.phase)).collect::<Vec<_>>().join(", ")),
            }
        })
    }

    fn await_nothing_but_bystanders(&mut self) {
        let bystanders = self.bystanders.clone();
        self.until("nothing to be left behind", |stage| {
            let left = stage.fleet.residue_beside(&bystanders)?;
            if left.is_empty() { Ok(Some(())) } else { anyhow::bail!("{}", left.join("; ")) }
        });
    }

    /// What must hold at any time after any number of kills.
    fn audit(&self) {
        let fleet = &self.stage.fleet;
        fleet.audit(self.deaths).unwrap_or_else(|error| panic!("{error:#}\n{}", self.lines.transcript()));
        let active: Vec<Deployed> = fleet.deployed().unwrap().into_iter().filter(|d| d.phase == "Active").collect();
        assert!(self.bystanders.iter().all(|one| active.contains(one)), "{:?} are no more as they were: {active:?}", self.bystanders);
        assert!(self.pods.is_subset(&fleet.pods().unwrap()), "a pod that ran before was touched");
    }

    /// A chute is offered, launched, stopped by a person or by its withdrawal, and gone, whatever is killed meanwhile.
    fn life(&mut self, kills: usize) {
        let begun = Instant::now();
        self.lines.reset();
        let (hunt, fleet) = (self.hunt.clone(), &self.stage.fleet);
        hunt.begin(fleet, self.lines);
        hunt.allow(kills);
        let name = self.offer();
        let one = self.await_one(&name);
        let launched = begun.elapsed();
        hunt.allow(kills);
        if self.lives.is_multiple_of(2) {
            fleet.stop(&one).unwrap();
            self.until("the stopped copy to be gone from the validator", |stage| {
                let left = stage.fleet.validator()?.snapshot()?.instances;
                Ok(left.iter().all(|instance| Some(&instance.instance_id) != one.instance.as_ref()).then_some(()))
            });
        }
        fleet.validator().unwrap().withdraw(&name).unwrap();
        self.await_nothing_but_bystanders();
        hunt.allow(0);
        self.tend().unwrap();
        self.audit();
        println!("{:5.1} + {:4.1} s  {name}: {}", launched.as_secs_f64(), (begun.elapsed() - launched).as_secs_f64(), self.told());
    }

    /// A life that a kill strikes at this moment after its beginning.
    fn life_struck_at(&mut self, moment: Duration, victims: &'static [&'static str]) {
        let begun = Instant::now();
        self.lines.reset();
        let blow = self.stage.fleet.blow();
        let name = self.offer();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(moment);
            blow.strike(victims);
        });
        self.await_one(&name);
        killer.join().unwrap();
        self.tend().unwrap();
        self.await_one(&name);
        self.audit();
        self.stage.fleet.validator().unwrap().withdraw(&name).unwrap();
        println!("{:5.1} s  {name}: {} killed after {:.2} s", begun.elapsed().as_secs_f64(), victims.join(", "), moment.as_secs_f64());
    }

    /// Lives until every write that came by was struck in every way.
    fn hunt(&mut self, needed: &[&str]) {
        let begun = Instant::now();
        // What there is to strike at is known before the first blow.
        self.life(0);
        self.life(0);
        let seen = self.hunt.kinds();
        // But for what only a start writes.
        for needed in needed.iter().filter(|needed| **needed != EPOCH) {
            assert!(seen.iter().any(|(kind, _)| kind.to_string().contains(needed)), "no {needed} among {seen:#?}");
        }
        let (kills, most) = if thorough() { (1, 4 * MOST_LIVES) } else { (KILLS, MOST_LIVES) };
        let mut in_vain = 0;
        while !self.hunt.left().is_empty() && self.lives < most && in_vain < IN_VAIN {
            let before = self.hunt.struck();
            self.life(kills);
            in_vain = if self.hunt.struck() > before { 0 } else { in_vain + 1 };
        }
        for (kind, count) in self.hunt.kinds() {
            println!("  {count:4} x {kind}");
        }
        let left = self.hunt.left();
        left.iter().for_each(|target| println!("not dealt: {target}"));
        let abandoned = self.stage.fleet.validator().unwrap().counters().unwrap().launches.abandoned;
        println!(
            "{} kills at {} kinds of writes in {} lives; the operator died {} times, {abandoned} configs lost; {:.0} s",
            self.hunt.struck(),
            self.hunt.kinds().len(),
            self.lives,
            self.deaths,
            begun.elapsed().as_secs_f64()
        );
        let missing: Vec<_> = left.iter().filter(|target| needed.iter().any(|needed| target.kind.to_string().contains(needed))).collect();
        assert!(missing.is_empty(), "never dealt: {missing:#?}");
        // What only some recoveries write may come too seldom for all four.
        let rare: usize = left.iter().filter(|target| !is_report(&target.kind)).count();
        assert!(rare * 10 <= self.hunt.struck(), "{rare} kills were not dealt");
        assert_eq!(self.stage.fleet.validator().unwrap().unexpected().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn every_life_goes_on_wherever_the_operator_is_killed() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let lines = Lines::default();
    let stage = stage(&lines);
    let needed = [
        "operator: POST chutedeployments",
        "operator: POST secrets",
        "operator: PATCH chutedeployments/status",
        "operator: DELETE chutedeployments",
        "operator: GET /instances/launch_config",
        "operator: DELETE /instances/",
        "insert decisions",
        "insert gpu_claims",
        "insert launch_attempts",
        "update launch_attempts",
        "update gpu_claims",
        EPOCH,
    ];
    Walk::new(&stage, &lines, &["operator"]).hunt(&needed);
}

#[test]
fn every_life_goes_on_wherever_the_agent_or_the_api_is_killed_and_at_any_moment() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let lines = Lines::default();
    let stage = stage(&lines);
    let mut walk = Walk::new(&stage, &lines, &["agent", "miner-api"]);
    let needed = [
        "agent: POST services",
        "agent: POST jobs",
        "agent: DELETE jobs",
        "agent: PATCH chutedeployments/status",
        "miner-api: PATCH chutes",
    ];
    walk.hunt(&needed);

    let times = moments(seed(), 10, Duration::from_secs(3));
    println!("moments of seed {}", times.seed());
    for (n, moment) in times.iter().enumerate() {
        let victims = match n % 4 {
            0 => &PROGRAMS[..],
            n => &PROGRAMS[n - 1..n],
        };
        walk.life_struck_at(moment, victims);
    }
    walk.await_nothing_but_bystanders();
}

/// Two replicas of the operator, told apart by the proxies they talk through.
#[test]
fn a_leader_frozen_past_its_lease_starts_nothing_when_it_thaws() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let lines = Lines::default();
    let mut stage = Stage::new(|options| {
        options.between = lines.between();
        let lease = [("LEASE", "6s"), ("LEASE_RENEW", "1s"), ("IDENTITY", "a")];
        options.env.insert("operator".to_owned(), lease.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    });
    stage.fleet.add_server().unwrap();
    stage.fleet.one_copy_each().unwrap();
    let validator = stage.fleet.validator().unwrap();
    validator.offer(&stage.chute("first", 1, 1)).unwrap();
    stage.fleet.await_active(&["first"]).unwrap();

    second_replica(&mut stage, &lines);
    let fleet = &stage.fleet;
    let leader = || fleet.sql("select epoch || ' ' || holder from leader_epoch").unwrap().remove(0);
    let (epoch, holder) = leader().split_once(' ').map(|(e, h)| (e.parse::<i64>().unwrap(), h.to_owned())).unwrap();
    assert!(holder.starts_with("a_"), "{holder} leads");

    // Frozen between the decision and its effect: the row is written, the resource is not.
    let (first, blow) = (lines.of("operator"), fleet.blow());
    let freeze = first.plan(Rule::once(
        Matcher::writes().method(Method::POST).resource("chutedeployments").itself(),
        Action::before(move |_| {
            blow.signal("operator", Signal::STOP);
            Then::Drop
        }),
    ));
    validator.offer(&stage.chute("second", 1, 1)).unwrap();
    assert!(freeze.wait(1, Duration::from_secs(60)), "nothing was created: {}", first.transcript(&Matcher::writes()));
    wait::until("the second replica to lead", Duration::from_secs(60), || Ok(leader().contains(" b_").then_some(()))).unwrap();
    fleet.await_active(&["first", "second"]).unwrap();
    validator.offer(&stage.chute("third", 1, 1)).unwrap();
    fleet.await_active(&["first", "second", "third"]).unwrap();

    first.reset();
    let thawed = fleet.sql("select clock_timestamp()").unwrap().remove(0);
    fleet.expect_end("operator");
    fleet.signal("operator", Signal::CONT).unwrap();
    validator.offer(&stage.chute("fourth", 1, 1)).unwrap();
    // The live twin: the second launches it while the first is awake, until it has noticed and ended.
    fleet.await_active(&["first", "second", "third", "fourth"]).unwrap();
    wait::until("the first to end by itself", Duration::from_secs(60), || Ok((!fleet.runs("operator")).then_some(()))).unwrap();

    let begun = |seen: &Seen| seen.is_write && seen.method != Method::PATCH && !seen.is_housekeeping();
    assert_eq!(first.seen_of(&Matcher::any().and("begins something", begun)).len(), 0, "{}", first.transcript(&Matcher::writes()));
    for table in ["decisions", "launch_attempts"] {
        let at = if table == "decisions" { "created_at" } else { "intent_at" };
        let late = fleet.sql(&format!("select count(*) from {table} where epoch <= {epoch} and {at} >= '{thawed}'")).unwrap();
        assert_eq!(late, ["0"], "{table} of the first after it thawed");
        let new = fleet.sql(&format!("select count(*) from {table} where epoch > {epoch}")).unwrap().remove(0);
        assert!(new.parse::<u32>().unwrap() >= 2, "{table}: the second wrote {new}");
    }
    let counters = validator.counters().unwrap();
    assert_eq!((counters.launches.granted, counters.launches.claimed), (4, 4), "one config for each chute: {:?}", counters.launches);
    assert_eq!(fleet.orphans().unwrap(), Vec::<String>::new());
}

/// Starts a second operator with a way of its own to the API server, and waits until it stands by.
fn second_replica(stage: &mut Stage, lines: &Lines) {
    let fleet = &mut stage.fleet;
    let url = lines.open("operator-b", &fleet.control.api_url, Some(&fleet.control.ca_pem));
    let kubeconfig = std::fs::read_to_string(fleet.dir.join("operator.kubeconfig")).unwrap();
    let path = fleet.dir.join("operator-b.kubeconfig");
    std::fs::write(&path, kubeconfig.replace(&lines.of("operator").url(), &url)).unwrap();
    let mut replica = fleet.facts.programs["operator"].clone();
    replica.env.extend([("IDENTITY".to_owned(), "b".to_owned()), ("KUBECONFIG".to_owned(), path.display().to_string())]);
    let listen = replica.args.iter().position(|arg| arg == "--admin-listen").unwrap();
    replica.args[listen + 1] = "127.0.0.1:0".to_owned();
    fleet.facts.programs.insert("operator-b".to_owned(), replica);
    fleet.start("operator-b").unwrap();
    let looks = Matcher::any().and("a look at the lease", |seen| seen.path.ends_with("/leases/gepetto-operator"));
    assert!(lines.of("operator-b").wait_seen(&looks, 3, Duration::from_secs(60)), "the second does not stand by");
}
