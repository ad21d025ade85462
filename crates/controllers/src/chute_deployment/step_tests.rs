use super::*;
use crd::chute_deployment::WorkloadState as W;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn timing() -> Timing {
    Timing::default()
}

/// A deployment of ours in a phase, entered 10 s ago, with nothing else to be seen.
fn seen(phase: Option<Phase>) -> Seen {
    let up = !matches!(phase, None | Some(Phase::Pending));
    Seen {
        now: at(0),
        phase,
        since: at(-10),
        granted_at: up.then(|| at(-20)),
        claimed_at: None,
        reason: String::new(),
        stopped: false,
        deleting: false,
        confirmed: false,
        told_unconfirmed: false,
        finalizer: true,
        secret: up.then(config),
        config: up.then(config),
        workload: None,
        instance: None,
        known_instance: None,
        lists_tell: true,
        instance_gone: false,
        pod_gone_at: None,
        clear_at: None,
        lists_clear: None,
        released: false,
        server_lost: false,
        asked: up,
    }
}

fn config() -> ConfigId {
    "cfg".parse().unwrap()
}

fn id() -> InstanceId {
    "i1".parse().unwrap()
}

fn workload(state: W, reason: Option<&str>) -> Option<Workload> {
    Some(Workload {
        state,
        reason: reason.map(str::to_owned),
        message: None,
        job_uid: None,
        pod_uid: Some("uid".into()),
        pod_name: None,
        node_ports: vec![],
        exit_code: None,
    })
}

fn instance(verified: bool, active: bool) -> Option<Instance> {
    Some(Instance { id: id(), verified, active })
}

fn step(seen: &Seen) -> Step {
    next_step(seen, &timing())
}

fn stops_for(seen: &Seen) -> Option<String> {
    match step(seen) {
        Step::Stop { reason, .. } => Some(reason),
        _ => None,
    }
}

#[test]
fn the_way_up() {
    assert_eq!(step(&seen(None)), Step::Begin);
    assert_eq!(step(&seen(Some(Phase::Pending))), Step::Grant);
    let granted = Seen { workload: workload(W::Starting, None), ..seen(Some(Phase::Granted)) };
    assert_eq!(step(&granted), Step::Move { to: Phase::Starting, reason: reasons::APPLIED, instance: None });
    let table = [
        (Phase::Starting, false, false, Phase::Claimed),
        (Phase::Granted, false, false, Phase::Claimed),
        (Phase::Claimed, true, false, Phase::Verified),
        (Phase::Starting, true, true, Phase::Active),
        (Phase::Verified, true, true, Phase::Active),
    ];
    for (from, verified, active, wanted) in table {
        let seen = Seen { instance: instance(verified, active), ..seen(Some(from)) };
        assert!(matches!(step(&seen), Step::Move { to, instance: Some(_), .. } if to == wanted), "{from} to {wanted}");
    }
}

#[test]
fn a_token_that_lies_in_the_secret_is_used_and_none_is_asked_for() {
    let resumed = Seen { secret: Some(config()), ..seen(Some(Phase::Pending)) };
    assert_eq!(step(&resumed), Step::UseToken(config()));
}

#[test]
fn an_active_instance_that_says_inactive_for_a_while_stays_active() {
    let seen = Seen { instance: instance(true, false), known_instance: Some(id()), ..seen(Some(Phase::Active)) };
    assert_eq!(step(&seen), Step::Wait(None));
}

#[test]
fn each_phase_has_a_deadline_unless_the_lists_do_not_tell() {
    let long_ago = at(-100_000);
    let table = [
        (Phase::Granted, reasons::NOT_CLAIMED_IN_TIME),
        (Phase::Starting, reasons::NOT_CLAIMED_IN_TIME),
        (Phase::Claimed, reasons::NOT_VERIFIED_IN_TIME),
        (Phase::Verified, reasons::NOT_ACTIVE_IN_TIME),
    ];
    for (phase, reason) in table {
        let late = Seen { since: long_ago, granted_at: Some(long_ago), claimed_at: Some(long_ago), ..seen(Some(phase)) };
        assert_eq!(stops_for(&late).as_deref(), Some(reason), "{phase}");
        let blind = Seen { lists_tell: false, ..late };
        assert_eq!(step(&blind), Step::Wait(None), "{phase}");
    }
    let pending = Seen { since: long_ago, ..seen(Some(Phase::Pending)) };
    assert_eq!(stops_for(&pending).as_deref(), Some(reasons::NO_TOKEN_IN_TIME));
    let active = Seen { since: long_ago, granted_at: Some(long_ago), ..seen(Some(Phase::Active)) };
    assert_eq!(step(&active), Step::Wait(None));
}

#[test]
fn what_ends_a_deployment() {
    let active = seen(Some(Phase::Active));
    let gone = Seen { instance_gone: true, known_instance: Some(id()), ..active.clone() };
    assert_eq!(stops_for(&gone).as_deref(), Some(reasons::INSTANCE_DELETED));
    let failed = Seen { workload: workload(W::Failed, Some("Crashed")), ..active.clone() };
    assert_eq!(stops_for(&failed).as_deref(), Some("Crashed"));
    assert_eq!(stops_for(&Seen { stopped: true, ..active.clone() }).as_deref(), Some(reasons::STOP_REQUESTED));
    assert_eq!(stops_for(&Seen { server_lost: true, ..active.clone() }).as_deref(), Some(reasons::SERVER_REMOVED));
    let never_listed = Seen { instance_gone: true, ..active };
    assert_eq!(step(&never_listed), Step::Wait(None), "what was never listed is not gone");
}

#[test]
fn a_deletion_by_hand_is_carried_out_only_when_confirmed() {
    let deleted = Seen { deleting: true, ..seen(Some(Phase::Active)) };
    assert_eq!(step(&deleted), Step::TellUnconfirmed);
    let told = Seen { told_unconfirmed: true, ..deleted };
    assert_eq!(step(&told), Step::Wait(None));
    assert_eq!(stops_for(&Seen { confirmed: true, ..told }).as_deref(), Some(reasons::DELETED));
}

#[test]
fn the_way_down_takes_every_step_in_order() {
    let mut down = Seen { instance: instance(true, true), known_instance: Some(id()), ..seen(Some(Phase::Stopping)) };
    down.workload = workload(W::Ready, None);
    assert_eq!(step(&down), Step::TellRealizer);
    down.stopped = true;
    assert_eq!(step(&down), Step::DeleteInstance(id()));
    down.clear_at = Some(at(0));
    assert_eq!(step(&down), Step::Wait(None), "the pod still runs");
    down.workload = workload(W::Ending, Some("PodEnding"));
    assert_eq!(step(&down), Step::Wait(None), "the pod still ends");
    down.workload = workload(W::Ending, Some(POD_GONE));
    assert_eq!(step(&down), Step::NotePodGone);
    down.pod_gone_at = Some(at(0));
    assert_eq!(step(&down), Step::Release);
    down.released = true;
    assert_eq!(step(&down), Step::Wait(None), "the Service still stands");
    down.workload = workload(W::Gone, None);
    assert_eq!(step(&down), Step::End);
}

#[test]
fn gpus_are_not_freed_before_the_validators_lists_are_clear() {
    let mut down = Seen { stopped: true, workload: workload(W::Gone, None), ..seen(Some(Phase::Stopping)) };
    assert_eq!(step(&down), Step::NotePodGone);
    down.pod_gone_at = Some(at(-5));
    assert_eq!(step(&down), Step::Wait(None), "a token was out, and no list says that nobody claimed with it");
    down.lists_clear = Some(at(-1));
    assert_eq!(step(&down), Step::NoteClear(at(-1)));
}

#[test]
fn an_instance_claimed_late_is_deleted_while_stopping() {
    let down = Seen { stopped: true, instance: instance(false, false), ..seen(Some(Phase::Stopping)) };
    assert_eq!(step(&down), Step::DeleteInstance(id()));
}

#[test]
fn a_refused_launch_ends_without_waiting_for_the_node() {
    let mut down = Seen { stopped: true, granted_at: None, secret: None, config: None, asked: false, ..seen(Some(Phase::Stopping)) };
    assert_eq!(step(&down), Step::NotePodGone);
    down.pod_gone_at = Some(at(0));
    assert_eq!(step(&down), Step::NoteClear(at(0)));
    down.clear_at = Some(at(0));
    assert_eq!(step(&down), Step::Release);
    down.released = true;
    assert_eq!(step(&down), Step::End);
}

#[test]
fn a_lost_server_is_not_waited_for_but_the_validator_is() {
    let mut down = Seen { stopped: true, server_lost: true, workload: workload(W::Running, None), ..seen(Some(Phase::Stopping)) };
    assert_eq!(step(&down), Step::NotePodGone);
    down.pod_gone_at = Some(at(-5));
    assert_eq!(step(&down), Step::Wait(None));
    down.clear_at = Some(at(0));
    down.released = true;
    assert_eq!(step(&down), Step::End);
}

#[test]
fn what_ended_is_kept_for_a_while_and_then_removed() {
    let young = Seen { since: at(-59), ..seen(Some(Phase::Failed)) };
    assert_eq!(step(&young), Step::Wait(Some(SignedDuration::from_secs(1))));
    assert_eq!(step(&Seen { since: at(-60), ..young.clone() }), Step::Remove);
    assert_eq!(step(&Seen { deleting: true, ..young }), Step::DropFinalizer);
}

#[test]
fn every_reason_of_ours_ends_as_wanted_or_as_a_failure() {
    for reason in [reasons::STOP_REQUESTED, reasons::DELETED, reasons::SERVER_REMOVED, reasons::CHUTE_WITHDRAWN, reasons::INSTANCE_DELETED]
    {
        assert_eq!(reasons::ends_as(reason), Phase::Stopped, "{reason}");
    }
    for reason in [reasons::CAPACITY_REACHED, reasons::NOT_CLAIMED_IN_TIME, "Crashed", "ImagePull"] {
        assert_eq!(reasons::ends_as(reason), Phase::Failed, "{reason}");
    }
}
