//! Single choices, spelled out.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use gepetto::policy::Mode;
use gepetto::snapshot::{Allowance, Chute, Deployment, Gpu, GpuState, Server, ServerState, Setback, Source, Sources, Stage};
use gepetto::{Policy, Reason, Snapshot, plan};
use jiff::Timestamp;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn server(name: &str, gpus: u8, dollars: u64) -> Server {
    Server {
        name: name.parse().unwrap(),
        gpu_ref: "h100_sxm".parse().unwrap(),
        tee: false,
        gpu_hour_micro_usd: dollars * 1_000_000,
        state: ServerState::Ready,
        held: false,
        gpus: (0..gpus)
            .map(|n| {
                let letter = name.as_bytes().last().copied().unwrap_or(b'0');
                Gpu { uuid: format!("{letter:030x}{n:02x}").parse().unwrap(), state: GpuState::Free }
            })
            .collect(),
    }
}

fn chute(id: &str, gpu_count: u8, rate: u64) -> Chute {
    Chute {
        id: id.parse().unwrap(),
        version: "v1".parse().unwrap(),
        gpu_count,
        supported: ["h100_sxm".parse().unwrap()].into(),
        tee: false,
        library: "0.6.0".into(),
        withdrawn: false,
        gone: false,
        disabled: false,
        jobs_only: false,
        rate_micro: Some(rate * 1_000_000),
        allowance: None,
    }
}

fn snapshot(servers: Vec<Server>, chutes: Vec<Chute>) -> Snapshot {
    let source = Source::complete(at(0));
    let oldest = Duration::from_secs(60);
    Snapshot {
        now: at(0),
        sources: Sources {
            resources: source,
            claims: source,
            chutes: source,
            instances: source,
            nodes: source,
            utilization: source,
            oldest,
        },
        servers,
        chutes,
        deployments: vec![],
        setbacks: vec![],
    }
}

fn places(snapshot: &Snapshot) -> Vec<(String, String)> {
    plan(snapshot, &Policy::default()).launches().map(|l| (l.chute.to_string(), l.server.to_string())).collect()
}

fn running(chute: &str, server: &Server, age_s: i64) -> Deployment {
    Deployment {
        id: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        chute: chute.parse().unwrap(),
        version: "v1".parse().unwrap(),
        server: server.name.clone(),
        gpus: vec![server.gpus[0].uuid.clone()],
        stage: Stage::Active,
        created_at: at(-age_s),
        claimed_at: Some(at(-age_s)),
        active_at: Some(at(-age_s)),
    }
}

#[test]
fn the_better_paid_chute_goes_first() {
    let fleet = snapshot(vec![server("a", 8, 2)], vec![chute("poor", 8, 1), chute("rich", 8, 2)]);
    assert_eq!(places(&fleet), [("rich".to_owned(), "a".to_owned())]);
}

#[test]
fn copies_spread_over_servers() {
    let mut fleet = snapshot(vec![server("a", 2, 2), server("b", 2, 2)], vec![chute("c", 1, 1)]);
    let mut servers = Vec::new();
    for _ in 0..4 {
        let launch = plan(&fleet, &Policy::default()).launches().next().cloned().unwrap();
        servers.push(launch.server.to_string());
        let place = fleet.servers.iter_mut().find(|server| server.name == launch.server).unwrap();
        place.gpus.iter_mut().find(|gpu| gpu.uuid == launch.gpus[0]).unwrap().state = GpuState::Claimed;
        let mut granted = running("c", place, 0);
        granted.gpus = launch.gpus;
        granted.stage = Stage::Launching;
        fleet.deployments.push(granted);
    }
    assert_eq!(servers, ["a", "b", "a", "b"]);
}

#[test]
fn a_single_gpu_does_not_break_into_a_whole_server_when_another_fits_as_well() {
    let fleet = snapshot(vec![server("a", 8, 2), server("b", 1, 2)], vec![chute("small", 1, 1), chute("whole", 8, 8)]);
    let mut got = places(&fleet);
    got.sort();
    assert_eq!(got, [("small".to_owned(), "b".to_owned()), ("whole".to_owned(), "a".to_owned())]);
}

#[test]
fn a_chute_that_failed_waits_twice_as_long_each_time() {
    let mut fleet = snapshot(vec![server("a", 1, 2)], vec![chute("c", 1, 1)]);
    let setback = |failures, ago: i64| Setback { chute: Some("c".parse().unwrap()), server: None, failures, last: at(-ago) };
    fleet.setbacks = vec![setback(1, 59)];
    assert!(places(&fleet).is_empty());
    assert_eq!(plan(&fleet, &Policy::default()).idle[0].reason, Reason::ChuteBackoff);
    fleet.setbacks = vec![setback(1, 60)];
    assert_eq!(places(&fleet).len(), 1);
    fleet.setbacks = vec![setback(3, 239)];
    assert!(places(&fleet).is_empty());
    fleet.setbacks = vec![setback(3, 240)];
    assert_eq!(places(&fleet).len(), 1);
}

#[test]
fn a_failure_on_one_server_does_not_keep_a_chute_from_another() {
    let mut fleet = snapshot(vec![server("a", 1, 2), server("b", 1, 2)], vec![chute("c", 1, 1)]);
    fleet.setbacks = vec![Setback { chute: Some("c".parse().unwrap()), server: Some("a".parse().unwrap()), failures: 5, last: at(-1) }];
    assert_eq!(places(&fleet), [("c".to_owned(), "b".to_owned())]);
}

#[test]
fn a_withdrawn_chute_is_stopped_but_not_in_its_first_seconds() {
    let mut gone = chute("c", 1, 1);
    gone.withdrawn = true;
    let mut fleet = snapshot(vec![server("a", 1, 2)], vec![gone]);
    fleet.deployments = vec![running("c", &fleet.servers[0], 29)];
    assert_eq!(plan(&fleet, &Policy::default()).stops().count(), 0);
    fleet.deployments = vec![running("c", &fleet.servers[0], 30)];
    assert_eq!(plan(&fleet, &Policy::default()).stops().count(), 1);
    // What the validator ended is cleaned up even while the policy pauses planning.
    let paused = Policy { mode: Mode::Paused, ..Policy::default() };
    assert_eq!(plan(&fleet, &paused).stops().count(), 1);
}

#[test]
fn a_chute_that_is_simply_not_listed_stops_nothing() {
    let mut fleet = snapshot(vec![server("a", 1, 2)], vec![]);
    fleet.deployments = vec![running("c", &fleet.servers[0], 9999)];
    assert_eq!(plan(&fleet, &Policy::default()).actions, []);
}

#[test]
fn the_same_gpus_are_another_action_at_another_time() {
    let mut fleet = snapshot(vec![server("a", 1, 2)], vec![chute("c", 1, 1)]);
    let key = |fleet: &Snapshot| plan(fleet, &Policy::default()).launches().next().unwrap().action_key.clone();
    let first = key(&fleet);
    assert_eq!(key(&fleet), first);
    fleet.now = at(1);
    assert_ne!(key(&fleet), first);
}

#[test]
fn while_a_copy_is_asked_for_no_other_is() {
    let mut fleet = snapshot(vec![server("a", 2, 2)], vec![chute("c", 1, 1)]);
    fleet.servers[0].gpus[0].state = GpuState::Claimed;
    fleet.deployments = vec![running("c", &fleet.servers[0], 0)];
    fleet.deployments[0].stage = Stage::Asking;
    let waiting = plan(&fleet, &Policy::default());
    assert_eq!((waiting.launches().count(), waiting.idle[0].reason), (0, Reason::Asking));
    fleet.deployments[0].stage = Stage::Launching;
    assert_eq!(plan(&fleet, &Policy::default()).launches().count(), 1);
}

fn allows(more: u32) -> Option<Allowance> {
    Some(Allowance { more, counts_pending: false })
}

/// One server with five GPUs, and chute `c` of which the validator wants so many more.
fn wanting(allowance: Option<Allowance>) -> Snapshot {
    let mut wanted = chute("c", 1, 1);
    wanted.allowance = allowance;
    snapshot(vec![server("a", 5, 2)], vec![wanted])
}

/// What the plan makes of it: how many launches, and why the other GPUs are idle.
fn launches(fleet: &Snapshot) -> (usize, Option<Reason>) {
    let plan = plan(fleet, &Policy::default());
    (plan.launches().count(), plan.idle.first().map(|idle| idle.reason))
}

#[test]
fn no_copy_is_asked_for_beyond_what_the_validator_wants() {
    assert_eq!(launches(&wanting(allows(0))), (0, Some(Reason::AtTarget)));
    assert_eq!(launches(&wanting(allows(1))), (1, Some(Reason::AtTarget)));
    assert_eq!(launches(&wanting(allows(2))), (2, Some(Reason::AtTarget)), "and as many at once");
    assert_eq!(launches(&wanting(allows(99))), (5, None));
    assert_eq!(plan(&wanting(allows(0)), &Policy::default()).why_nowhere(&"c".parse().unwrap()), Some(Reason::AtTarget));
}

#[test]
fn copies_of_ours_that_the_validator_had_not_counted_yet_are_in_the_allowance() {
    // Both eras; what is noted of our copy and when the list was asked for, in seconds; how many more it lets us launch.
    for (counts_pending, claimed, active, listed, more) in [
        (false, None, None, 0, 1),
        (false, Some(-9), None, 0, 1),
        (false, Some(-9), Some(-5), 0, 2),
        (false, Some(-9), Some(-5), -6, 1),
        (true, None, None, 0, 1),
        (true, Some(-9), None, 0, 2),
        (true, Some(-9), None, -10, 1),
        (true, None, Some(-5), 0, 2),
    ] {
        let mut fleet = wanting(Some(Allowance { more: 2, counts_pending }));
        fleet.servers[0].gpus[0].state = GpuState::Claimed;
        fleet.sources.utilization = Source::complete(at(listed));
        let stage = if active.is_some() { Stage::Active } else { Stage::Launching };
        let noted = |second: Option<i64>| second.map(at);
        let ours = running("c", &fleet.servers[0], 20);
        fleet.deployments = vec![Deployment { stage, claimed_at: noted(claimed), active_at: noted(active), ..ours }];
        assert_eq!(launches(&fleet).0, more, "{counts_pending} {claimed:?} {active:?} {listed}");
    }
    let mut fleet = wanting(allows(1));
    fleet.servers[0].gpus[0].state = GpuState::Freeing;
    fleet.deployments = vec![Deployment { stage: Stage::Ending, active_at: None, ..running("c", &fleet.servers[0], 20) }];
    assert_eq!(launches(&fleet).0, 1, "what ends takes no place");
}

#[test]
fn without_the_validators_word_copies_are_asked_for_one_at_a_time() {
    assert_eq!(launches(&wanting(None)), (1, Some(Reason::Asking)), "a chute without a row");
    let mut stale = wanting(allows(0));
    stale.sources.utilization = Source::complete(at(-61));
    assert_eq!(launches(&stale), (1, Some(Reason::Asking)), "no allowance of an hour ago forbids for ever");
    let mut never = wanting(allows(0));
    never.sources.utilization = Source::default();
    assert_eq!(launches(&never).0, 1);
    // What the list does say counts, though it lack other rows.
    let mut partial = wanting(allows(0));
    partial.sources.utilization = Source { as_of: Some(at(-1)), complete: false };
    assert_eq!(launches(&partial), (0, Some(Reason::AtTarget)));
    // And who was refused backs off as ever.
    never.setbacks = vec![Setback { chute: Some("c".parse().unwrap()), server: None, failures: 2, last: at(-100) }];
    assert_eq!(launches(&never), (0, Some(Reason::ChuteBackoff)));
}

#[test]
fn an_allowance_that_comes_and_goes_changes_no_reason_where_nothing_could_be_launched() {
    let mut changed = Vec::new();
    for more in [0, 1, 7] {
        let mut full = wanting(allows(more));
        full.servers[0].gpus.iter_mut().for_each(|gpu| gpu.state = GpuState::Claimed);
        let mut waiting = wanting(allows(more));
        waiting.setbacks = vec![Setback { chute: Some("c".parse().unwrap()), server: None, failures: 1, last: at(-1) }];
        let mut other = wanting(allows(more));
        other.servers[0].gpu_ref = "4090".parse().unwrap();
        let mut held = wanting(allows(more));
        held.servers[0].held = true;
        changed.push([full, waiting, other, held].map(|fleet| plan(&fleet, &Policy::default())));
    }
    assert!(changed.windows(2).all(|two| two[0] == two[1]), "{changed:#?}");
}

#[test]
fn a_chute_that_the_validator_does_not_know_is_launched_no_more_and_runs_on() {
    let mut gone = chute("c", 1, 1);
    gone.gone = true;
    let mut fleet = snapshot(vec![server("a", 2, 2)], vec![gone]);
    fleet.servers[0].gpus[0].state = GpuState::Claimed;
    fleet.deployments = vec![running("c", &fleet.servers[0], 9999)];
    let plan = plan(&fleet, &Policy::default());
    assert_eq!(plan.actions, []);
    assert_eq!(plan.why_nowhere(&"c".parse().unwrap()), Some(Reason::ChuteGone));
}
