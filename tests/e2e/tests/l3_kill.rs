//! Our programs are killed at every external write of a chute's life and at moments drawn by chance, one by one and all at once:
//! every life ends as it should, nobody's objects are left, no config is claimed twice, and a kill costs one launch config at most.
//!
//! By default every write of a launch is walked through with its writer killed, and what a launch makes also with all programs
//! killed at once; repeated reports on one and the same resource of the fleet only at their first. With `E2E_THOROUGH=1` also the
//! repetitions, everything with all programs, and the writes of a chute's end.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test; nothing here runs on an async runtime")]

use e2e::fleet::Fleet;
use e2e::kill::{Blow, Lines, PROGRAMS};
use e2e::stage::Stage;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use testkit::faults::{Action, Matcher, Method, Rule, Seen, Then, When, moments, seed};

/// Whose writes pass through which proxy. The miner API only reads at the validator.
const WRITERS: [(&str, &str); 5] =
    [("operator", "operator"), ("validator", "operator"), ("miner-api", "miner-api"), ("agent", "agent"), ("node", "agent")];
/// Resources of the whole fleet, whose statuses are reported again and again.
const SHARED: [&str; 4] = ["chutes", "gpuservers", "gepettopolicies", "validators"];
/// The server's GPUs, and so the number of lives before the server is emptied.
const ROOM: usize = 8;

/// One write of a chute's life, told by what it is rather than by its number among all.
#[derive(Clone, Debug)]
struct Step {
    proxy: &'static str,
    writer: &'static str,
    method: Method,
    resource: Option<String>,
    subresource: Option<String>,
    /// Its number among the same.
    nth: u64,
}

impl Step {
    /// The steps of what passed through the proxies since their last reset.
    fn all(lines: &Lines, thorough: bool) -> Vec<Self> {
        let mut steps = Vec::new();
        for (proxy, writer) in WRITERS {
            let mut same: BTreeMap<String, u64> = BTreeMap::new();
            for Seen { method, resource, .. } in lines.of(proxy).seen_of(&Matcher::writes()) {
                let subresource = resource.as_ref().and_then(|r| r.subresource.clone());
                let resource = resource.map(|r| r.resource);
                let mut step = Self { proxy, writer, method, resource, subresource, nth: 0 };
                let count = same.entry(step.name()).or_default();
                *count += 1;
                step.nth = *count;
                if thorough || *count == 1 || !step.is_report_on_the_fleet() {
                    steps.push(step);
                }
            }
        }
        steps
    }

    fn is_report_on_the_fleet(&self) -> bool {
        self.subresource.is_some() && self.resource.as_deref().is_some_and(|resource| SHARED.contains(&resource))
    }

    /// What no launch does without: the first of each thing made. Reports may melt into one, and further copies be tried or not.
    fn is_certain(&self) -> bool {
        self.subresource.is_none() && [Method::POST, Method::GET].contains(&self.method) && self.nth == 1
    }

    fn matcher(&self) -> Matcher {
        let mut matcher = Matcher::writes().method(self.method.clone());
        if let Some(resource) = &self.resource {
            matcher = matcher.resource(resource.clone());
            matcher = match &self.subresource {
                Some(subresource) => matcher.subresource(subresource.clone()),
                None => matcher.itself(),
            };
        }
        matcher.nth(self.nth)
    }

    fn name(&self) -> String {
        let what = self.resource.as_deref().unwrap_or("launch config or instance");
        let part = self.subresource.as_deref().map(|part| format!("/{part}")).unwrap_or_default();
        format!("{} {what}{part} at {}", self.method, self.proxy)
    }
}

/// A stage and the lives on it.
struct Walk<'a> {
    stage: &'a Stage,
    lines: &'a Lines,
    blow: Blow,
    lives: usize,
    offered: Vec<String>,
    kills: u64,
    points: usize,
    /// Points that were not reached.
    missed: Vec<String>,
}

impl Walk<'_> {
    fn fleet(&self) -> &Fleet {
        &self.stage.fleet
    }

    /// Offers another chute, on an emptied server where there is no more room.
    fn offer(&mut self) -> String {
        self.lives += 1;
        let name = format!("life-{}", self.lives);
        self.fleet().validator().unwrap().offer(&self.stage.chute(&name, 1, 1)).unwrap();
        self.offered.push(name.clone());
        name
    }

    fn make_room(&mut self) {
        if self.offered.len() >= ROOM {
            let mut started = Vec::new();
            self.withdraw_all();
            self.fleet().await_nothing(&mut started).unwrap();
            self.kills += started.iter().filter(|program| **program == "operator").count() as u64;
        }
    }

    /// Offers a chute no more; its instance ends with it.
    fn withdraw(&mut self, name: &str) {
        self.fleet().validator().unwrap().withdraw(name).unwrap();
        self.offered.retain(|offered| offered != name);
    }

    fn withdraw_all(&mut self) {
        let validator = self.fleet().validator().unwrap();
        for name in std::mem::take(&mut self.offered) {
            validator.withdraw(&name).unwrap();
        }
        // That so many instances end at once is not believed for a long while. A person's word is.
        let living = self.fleet().deployed().unwrap().into_iter().filter(|d| !["Stopped", "Failed"].contains(&d.phase.as_str()));
        for deployment in living {
            // It may be gone by now.
            let _ = self.fleet().stop(&deployment);
        }
    }

    fn abandoned(&self) -> u64 {
        self.fleet().validator().unwrap().counters().unwrap().launches.abandoned
    }

    /// One life with one kill, planned by `plan`, which returns whether it came to that.
    fn life(&mut self, what: &str, path: Path, plan: impl FnOnce(&Self) -> Box<dyn FnOnce() -> bool>) -> bool {
        self.make_room();
        self.points += 1;
        let begun = Instant::now();
        let before = self.abandoned();
        let mut started = Vec::new();
        self.lines.reset();
        let struck = match path {
            Path::Launch => {
                let struck = plan(self);
                let name = self.offer();
                self.fleet().await_one(&name, &mut started).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                struck()
            }
            Path::Stop => {
                let name = self.offer();
                self.fleet().await_one(&name, &mut started).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                self.lines.reset();
                let struck = plan(self);
                self.withdraw(&name);
                self.fleet().await_nothing(&mut started).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                struck()
            }
        };
        self.lines.reset();
        // A leader that could not renew its lease on a busy machine has ended by itself, which is a death too.
        let deaths = (started.iter().filter(|program| **program == "operator").count() as u64).max(u64::from(struck));
        self.kills += deaths;
        self.fleet().audit(self.kills).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let cost = self.abandoned().saturating_sub(before);
        assert!(cost <= deaths, "{what}: {deaths} deaths cost {cost} launch configs");
        let came = if struck { "killed" } else { "not reached" };
        println!("{:5.1} s  {what}: {came}, {cost} configs lost, started again: {}", begun.elapsed().as_secs_f64(), started.join(", "));
        struck
    }

    /// Kills at a step.
    fn strike(&mut self, step: &Step, when: When, victims: &'static [&'static str], path: Path) {
        let what = format!("{} killed {when:?} {} (no. {})", victims.join(", "), step.name(), step.nth);
        let struck = self.life(&what, path, |walk| {
            let blow = walk.blow.clone();
            let rule = Rule::once(
                step.matcher(),
                Action::call(when, move |_| {
                    blow.strike(victims);
                    Then::Drop
                }),
            );
            let planned = walk.lines.of(step.proxy).plan(rule);
            Box::new(move || planned.fired() > 0)
        });
        if !struck {
            assert!(path == Path::Stop || !step.is_certain(), "{what}: not reached");
            self.missed.push(what);
        }
    }

    /// Kills at a moment after the chute was offered.
    fn strike_at(&mut self, moment: Duration, victims: &'static [&'static str]) {
        let what = format!("{} killed after {:.2} s", victims.join(", "), moment.as_secs_f64());
        self.life(&what, Path::Launch, |walk| {
            let blow = walk.blow.clone();
            let killer = std::thread::spawn(move || {
                std::thread::sleep(moment);
                blow.strike(victims);
            });
            Box::new(move || killer.join().is_ok())
        });
    }
}

/// Which part of a life is walked through.
#[derive(Clone, Copy, PartialEq)]
enum Path {
    Launch,
    Stop,
}

/// The one program, as a slice that hooks may keep.
fn alone(program: &str) -> &'static [&'static str] {
    let at = PROGRAMS.iter().position(|known| *known == program).expect("one of ours");
    &PROGRAMS[at..=at]
}

fn short_lease() -> Vec<(String, String)> {
    [("LEASE", "2s"), ("LEASE_RENEW", "500ms")].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Whether to walk through everything, however long it takes.
fn thorough() -> bool {
    std::env::var("E2E_THOROUGH").is_ok_and(|value| value == "1")
}

/// A fleet with a proven server, proxies everywhere, and no copies beside the one that a life needs.
fn stage(lines: &Lines) -> Stage {
    let stage = Stage::new(|options| {
        options.between = lines.between();
        options.env.insert("operator".to_owned(), short_lease());
    });
    stage.fleet.add_server().unwrap();
    // Further copies, which the validator would refuse, would only add writes of their own.
    let one_copy = r#"{"spec":{"limits":{"deploymentsPerChute":1}}}"#;
    stage.fleet.control.kubectl_run(["patch", "gepettopolicy", "default", "-n", "chutes", "--type=merge", "-p", one_copy]).unwrap();
    // One that this server cannot run: without any, the validator's list is empty, which proves the end of nothing.
    let mut bystander = stage.chute("bystander", 1, 1);
    bystander.selector.include = Some(vec!["b200".to_owned()]);
    stage.fleet.validator().unwrap().offer(&bystander).unwrap();
    stage
}

impl<'a> Walk<'a> {
    fn new(stage: &'a Stage, lines: &'a Lines) -> Self {
        Self { stage, lines, blow: stage.fleet.blow(), lives: 0, offered: Vec::new(), kills: 0, points: 0, missed: Vec::new() }
    }

    /// A life that nothing happens to, which tells what there is to walk through.
    fn rehearse(&mut self, path: Path) -> Vec<Step> {
        self.lines.reset();
        let name = self.offer();
        self.fleet().await_one(&name, &mut Vec::new()).unwrap();
        if path == Path::Stop {
            self.lines.reset();
            self.withdraw(&name);
            self.fleet().await_nothing(&mut Vec::new()).unwrap();
        }
        let steps = Step::all(self.lines, thorough() && path == Path::Launch);
        self.fleet().audit(0).unwrap();
        println!(
            "{} writes: {}",
            steps.len(),
            steps.iter().map(|step| format!("{} (no. {})", step.name(), step.nth)).collect::<Vec<_>>().join("; ")
        );
        steps
    }

    fn walk(&mut self, steps: &[Step], path: Path) {
        for step in steps {
            for when in [When::Before, When::After] {
                self.strike(step, when, alone(step.writer), path);
                if thorough() || step.is_certain() {
                    self.strike(step, when, &PROGRAMS, path);
                }
            }
        }
    }

    fn end(mut self) {
        self.withdraw_all();
        self.fleet().await_nothing(&mut Vec::new()).unwrap();
        println!("{} points, {} kills, {} configs lost; not reached: {:?}", self.points, self.kills, self.abandoned(), self.missed);
        assert!(self.missed.len() * 4 <= self.points, "too many points were not reached to speak of a walk");
    }
}

#[test]
fn every_launch_ends_well_wherever_our_programs_are_killed() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let lines = Lines::default();
    let stage = stage(&lines);
    let mut walk = Walk::new(&stage, &lines);
    // The first life only warms up: the server has just been proven.
    walk.rehearse(Path::Launch);
    let launch = walk.rehearse(Path::Launch);
    for needed in ["POST chutedeployments", "POST secrets", "GET launch config", "POST jobs", "POST services", "PATCH chutes at miner-api"]
    {
        assert!(launch.iter().any(|step| step.name().starts_with(needed)), "no {needed} in {launch:?}");
    }
    walk.walk(&launch, Path::Launch);

    let times = moments(seed(), 10, Duration::from_secs(3));
    println!("moments of seed {}", times.seed());
    for (n, moment) in times.iter().enumerate() {
        let victims = match n % 4 {
            0 => &PROGRAMS[..],
            n => &PROGRAMS[n - 1..n],
        };
        walk.strike_at(moment, victims);
    }
    walk.end();
}

#[test]
fn every_chute_ends_wherever_our_programs_are_killed() {
    if !level_or_skip(Level::L3) {
        return;
    }
    if !thorough() {
        println!("0 points: the end of a chute is walked through with E2E_THOROUGH=1 only");
        return;
    }
    let lines = Lines::default();
    let stage = stage(&lines);
    let mut walk = Walk::new(&stage, &lines);
    walk.rehearse(Path::Stop);
    let stop = walk.rehearse(Path::Stop);
    for needed in ["DELETE jobs", "DELETE chutedeployments"] {
        assert!(stop.iter().any(|step| step.name().starts_with(needed)), "no {needed} in {stop:?}");
    }
    walk.walk(&stop, Path::Stop);
    walk.end();
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
        let lease = [("LEASE", "3s"), ("LEASE_RENEW", "1s"), ("IDENTITY", "a")];
        options.env.insert("operator".to_owned(), lease.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    });
    stage.fleet.add_server().unwrap();
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
