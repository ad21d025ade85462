//! What holds of every plan, whatever the fleet.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gepetto::policy::{Limits, Mode};
use gepetto::snapshot::{Allowance, Chute, Deployment, Gpu, GpuState, Server, ServerState, Setback, Source, Sources, Stage};
use gepetto::{Plan, Policy, Reason, Snapshot, plan};
use jiff::Timestamp;
use proptest::prelude::*;

const NOW: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn fresh() -> Sources {
    let source = Source::complete(at(NOW - 5));
    Sources {
        resources: source,
        claims: source,
        chutes: source,
        instances: source,
        nodes: source,
        utilization: source,
        oldest: Duration::from_secs(60),
    }
}

fn gpu_state() -> impl Strategy<Value = GpuState> {
    prop_oneof![
        6 => Just(GpuState::Free),
        2 => Just(GpuState::Claimed),
        1 => Just(GpuState::Freeing),
        1 => Just(GpuState::Unproven),
        1 => Just(GpuState::Unhealthy),
        1 => Just(GpuState::Occupied),
    ]
}

fn server_state() -> impl Strategy<Value = ServerState> {
    prop_oneof![4 => Just(ServerState::Ready), 1 => Just(ServerState::Silent), 1 => Just(ServerState::NotReady)]
}

fn model() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("h100_sxm"), Just("4090")]
}

fn server(index: usize) -> impl Strategy<Value = Server> {
    let gpus = prop::collection::vec(gpu_state(), 0..9);
    (model(), prop::bool::weighted(0.2), 0u64..5_000_000, server_state(), prop::bool::weighted(0.2), gpus).prop_map(
        move |(model, tee, cost, state, held, gpus)| Server {
            name: format!("server-{index}").parse().unwrap(),
            gpu_ref: model.parse().unwrap(),
            tee,
            gpu_hour_micro_usd: cost,
            state,
            held,
            gpus: gpus
                .into_iter()
                .enumerate()
                .map(|(n, state)| Gpu { uuid: format!("{index:016x}{n:016x}").parse().unwrap(), state })
                .collect(),
        },
    )
}

fn chute(index: usize) -> impl Strategy<Value = Chute> {
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let allowance = prop::option::of((0u32..4, any::<bool>()).prop_map(|(more, counts_pending)| Allowance { more, counts_pending }));
    (1u8..9, prop::collection::vec(model(), 1..3), flags, prop::option::of(0u64..20_000_000), allowance).prop_map(
        move |(gpu_count, models, (tee, withdrawn, old, gone), rate_micro, allowance)| Chute {
            id: format!("chute-{index}").parse().unwrap(),
            version: "v1".parse().unwrap(),
            gpu_count,
            supported: models.into_iter().map(|model| model.parse().unwrap()).collect(),
            tee,
            library: if old { "0.3.0" } else { "0.6.0" }.to_owned(),
            withdrawn,
            gone,
            disabled: false,
            jobs_only: false,
            rate_micro,
            allowance,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let mode = prop_oneof![5 => Just(Mode::Active), 1 => Just(Mode::Shadow), 1 => Just(Mode::Paused)];
    (mode, prop::option::of(0u32..6), prop::option::of(0u32..40), prop::option::of(0u32..4)).prop_map(|(mode, plan, flight, chute)| {
        Policy {
            mode,
            limits: Limits { launches_per_plan: plan, launches_in_flight: flight, deployments_per_chute: chute, ..Limits::default() },
            ..Policy::default()
        }
    })
}

prop_compose! {
    fn snapshot()(
        servers in (0usize..6).prop_flat_map(|n| (0..n).map(server).collect::<Vec<_>>()),
        chutes in (0usize..7).prop_flat_map(|n| (0..n).map(chute).collect::<Vec<_>>()),
        running in prop::collection::vec((0usize..7, 0usize..6, 0usize..4, 0i64..300), 0..8),
        setbacks in prop::collection::vec((prop::option::weighted(0.9, 0usize..7), prop::option::of(0usize..6), 1u32..40, 0i64..400), 0..4),
    ) -> Snapshot {
        // Each running deployment sits on one claimed GPU of its server.
        let mut spare: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (index, server) in servers.iter().enumerate() {
            let held = server.gpus.iter().filter(|gpu| gpu.state == GpuState::Claimed).map(|gpu| gpu.uuid.clone());
            spare.insert(index, held.collect());
        }
        let deployments = running
            .into_iter()
            .enumerate()
            .filter_map(|(n, (chute, server, stage, age))| {
                let gpu = spare.get_mut(&server)?.pop()?;
                let stage = [Stage::Asking, Stage::Launching, Stage::Active, Stage::Ending][stage];
                // Seen by the validator before or after its list of 5 s ago, some time after it was decided.
                let seen = (stage != Stage::Asking).then(|| at(NOW - age / 2));
                Some(Deployment {
                    id: format!("00000000-0000-4000-8000-{n:012x}").parse().unwrap(),
                    chute: format!("chute-{chute}").parse().unwrap(),
                    version: "v1".parse().unwrap(),
                    server: format!("server-{server}").parse().unwrap(),
                    gpus: vec![gpu],
                    stage,
                    created_at: at(NOW - age),
                    claimed_at: seen,
                    active_at: seen.filter(|_| stage == Stage::Active),
                })
            })
            .collect();
        let setbacks = setbacks
            .into_iter()
            .map(|(chute, server, failures, ago)| Setback {
                chute: chute.map(|n| format!("chute-{n}").parse().unwrap()),
                server: server.map(|n| format!("server-{n}").parse().unwrap()),
                failures,
                last: at(NOW - ago),
            })
            .collect();
        Snapshot { now: at(NOW), sources: fresh(), servers, chutes, deployments, setbacks }
    }
}

fn chute_of<'a>(snapshot: &'a Snapshot, plan_chute: &protocol::ids::ChuteId) -> &'a Chute {
    snapshot.chutes.iter().find(|chute| chute.id == *plan_chute).expect("only chutes on offer are launched")
}

proptest! {
    #[test]
    fn a_gpu_is_never_in_two_launches_and_was_free(snapshot in snapshot(), policy in policy()) {
        let mut given = BTreeSet::new();
        let states: BTreeMap<_, _> =
            snapshot.servers.iter().flat_map(|s| s.gpus.iter().map(move |g| (&g.uuid, (&s.name, g.state)))).collect();
        let plan = plan(&snapshot, &policy);
        for launch in plan.launches() {
            for gpu in &launch.gpus {
                prop_assert!(given.insert(gpu.clone()), "{gpu} is given twice");
                prop_assert_eq!(states[gpu], (&launch.server, GpuState::Free));
            }
        }
    }

    #[test]
    fn launches_go_only_where_they_may(snapshot in snapshot(), policy in policy()) {
        let plan = plan(&snapshot, &policy);
        for launch in plan.launches() {
            let server = snapshot.servers.iter().find(|server| server.name == launch.server).unwrap();
            prop_assert_eq!(server.state, ServerState::Ready);
            prop_assert!(!server.held);
            let chute = chute_of(&snapshot, &launch.chute);
            prop_assert_eq!(chute.tee, server.tee);
            prop_assert!(chute.supported.contains(&server.gpu_ref));
            prop_assert_eq!(launch.gpus.len(), usize::from(chute.gpu_count));
            prop_assert!(!chute.withdrawn && !chute.gone && chute.rate_micro.is_some_and(|rate| rate > 0));
            for setback in snapshot.setbacks.iter().filter(|s| s.chute.as_ref().is_none_or(|chute| *chute == launch.chute)) {
                if setback.server.as_ref().is_none_or(|server| *server == launch.server) {
                    prop_assert!(gepetto::rules::until(setback, &policy.limits) <= snapshot.now);
                }
            }
        }
    }

    #[test]
    fn limits_are_kept(snapshot in snapshot(), policy in policy()) {
        let plan = plan(&snapshot, &policy);
        let launched = plan.launches().count();
        let under_way = snapshot.deployments.iter().filter(|d| matches!(d.stage, Stage::Asking | Stage::Launching)).count();
        prop_assert!(launched <= policy.limits.launches_per_plan());
        prop_assert!(launched == 0 || launched + under_way <= policy.limits.launches_in_flight());
        if let Some(most) = policy.limits.deployments_per_chute {
            for chute in &snapshot.chutes {
                let before = snapshot.deployments.iter().filter(|d| d.chute == chute.id && d.stage != Stage::Ending).count();
                let new = plan.launches().filter(|launch| launch.chute == chute.id).count();
                prop_assert!(new == 0 || before + new <= most as usize);
            }
        }
        prop_assert!(policy.mode != Mode::Paused || launched == 0);
    }

    #[test]
    fn the_same_snapshot_in_any_order_gives_the_same_plan(snapshot in snapshot(), policy in policy()) {
        let first = plan(&snapshot, &policy);
        prop_assert_eq!(&plan(&snapshot, &policy), &first);
        let mut turned = snapshot.clone();
        turned.servers.reverse();
        turned.chutes.reverse();
        turned.deployments.reverse();
        turned.setbacks.reverse();
        prop_assert_eq!(plan(&turned, &policy), first);
    }

    #[test]
    fn a_stale_or_partial_source_launches_nothing_and_those_that_count_stop_nothing(
        snapshot in snapshot(), policy in policy(), which in 0usize..5, how in 0usize..3,
    ) {
        let mut blind = snapshot;
        let bad = match how {
            0 => Source { as_of: None, complete: true },
            1 => Source { as_of: Some(at(NOW)), complete: false },
            _ => Source::complete(at(NOW - 61)),
        };
        let sources = &mut blind.sources;
        *[&mut sources.chutes, &mut sources.instances, &mut sources.resources, &mut sources.claims, &mut sources.nodes][which] = bad;
        let plan = plan(&blind, &policy);
        prop_assert_eq!(plan.launches().count(), 0);
        if which < 3 {
            prop_assert_eq!(plan.stops().count(), 0);
        }
    }

    #[test]
    fn no_chute_is_asked_for_twice_at_once_unless_the_validator_said_that_it_wants_more(
        mut snapshot in snapshot(), policy in policy(), blind in 0usize..3,
    ) {
        let utilization = &mut snapshot.sources.utilization;
        *utilization = [*utilization, Source::default(), Source::complete(at(NOW - 61))][blind];
        let known = blind == 0;
        let plan = plan(&snapshot, &policy);
        let mut asking: BTreeSet<_> = snapshot.deployments.iter().filter(|d| d.stage == Stage::Asking).map(|d| &d.chute).collect();
        for launch in plan.launches().filter(|launch| !known || chute_of(&snapshot, &launch.chute).allowance.is_none()) {
            prop_assert!(asking.insert(&launch.chute), "{} is asked for twice", launch.chute);
        }
    }

    #[test]
    fn the_allowance_is_kept(snapshot in snapshot(), policy in policy()) {
        let plan = plan(&snapshot, &policy);
        let listed = snapshot.sources.utilization.as_of.unwrap();
        for (chute, allowance) in snapshot.chutes.iter().filter_map(|chute| Some((chute, chute.allowance?))) {
            let new = plan.launches().filter(|launch| launch.chute == chute.id).count();
            let uncounted = snapshot.deployments.iter().filter(|d| d.chute == chute.id && d.stage != Stage::Ending).filter(|d| {
                let seen = if allowance.counts_pending { d.claimed_at } else { d.active_at };
                seen.is_none_or(|seen| seen > listed)
            });
            prop_assert!(new == 0 || new + uncounted.count() <= allowance.more as usize);
        }
    }

    #[test]
    fn only_withdrawn_chutes_are_stopped(snapshot in snapshot(), policy in policy()) {
        let plan = plan(&snapshot, &policy);
        for stop in plan.stops() {
            let deployment = snapshot.deployments.iter().find(|d| d.id == stop.deployment).unwrap();
            prop_assert!(deployment.stage != Stage::Ending);
            prop_assert!(chute_of(&snapshot, &deployment.chute).withdrawn);
        }
    }

    #[test]
    fn every_gpu_is_busy_or_launched_on_or_idle_for_a_reason(snapshot in snapshot(), policy in policy()) {
        let plan = plan(&snapshot, &policy);
        let idle: BTreeMap<_, _> = plan.idle.iter().map(|idle| (&idle.gpu, idle.reason)).collect();
        prop_assert_eq!(idle.len(), plan.idle.len());
        let launched: BTreeSet<_> = plan.launches().flat_map(|launch| &launch.gpus).collect();
        for gpu in snapshot.servers.iter().flat_map(|server| &server.gpus) {
            let ways = [gpu.state == GpuState::Claimed, launched.contains(&gpu.uuid), idle.contains_key(&gpu.uuid)];
            prop_assert_eq!(ways.iter().filter(|way| **way).count(), 1, "{:?}", gpu);
        }
    }

    #[test]
    fn every_pair_that_was_not_chosen_has_a_reason(snapshot in snapshot(), policy in policy()) {
        let plan = plan(&snapshot, &policy);
        for chute in &snapshot.chutes {
            for server in &snapshot.servers {
                let chosen = plan.launches().any(|launch| launch.chute == chute.id && launch.server == server.name);
                prop_assert!(chosen || plan.why_not(&chute.id, &server.name).is_some());
            }
        }
    }

    #[test]
    fn a_free_gpu_that_something_fits_is_used_unless_a_limit_stands_in_the_way(snapshot in snapshot()) {
        let open = Policy {
            limits: Limits { launches_per_plan: Some(1000), launches_in_flight: Some(1000), ..Limits::default() },
            ..Policy::default()
        };
        let plan: Plan = plan(&snapshot, &open);
        prop_assert!(plan.rejected.values().flat_map(BTreeMap::values).all(|reason| *reason != Reason::Outbid && *reason != Reason::LimitReached));
    }
}
