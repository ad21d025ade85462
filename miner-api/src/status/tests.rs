//! The report over fixture fleets.

use super::*;
use crate::{
    fixtures,
    ports::{
        fleet::PlannerBeat,
        ledger::{Failing, FailingPair},
    },
};
use jiff::SignedDuration;

fn find<'a>(report: &'a Report, subject: &str) -> Vec<&'a Problem> {
    report.problems.iter().filter(|problem| problem.subject == subject).collect()
}

#[test]
fn a_healthy_fleet_has_no_problems_and_says_why_each_idle_gpu_is_idle() {
    let mut sums = Sums { hours: 24, ..Sums::default() };
    sums.idle_now.insert(fixtures::GPU_B.to_owned(), "NoChuteFits".to_owned());
    let report = report(&fixtures::fleet(), &fixtures::operator(), Ok(sums), fixtures::now());
    assert_eq!(report.problems, [], "{:#?}", report.problems);
    let server = &report.servers[0];
    assert_eq!((server.gpus, server.busy), (2, 1));
    assert_eq!(server.idle, [IdleGpu { gpu: Some(fixtures::GPU_B.to_owned()), reason: "NoChuteFits".to_owned() }]);
    assert_eq!(report.deployments.by_phase.get("Active"), Some(&1));
}

#[test]
fn the_worst_stands_first_and_each_problem_names_a_command() {
    let mut view = fixtures::fleet();
    fixtures::edit_server(&mut view, |server| {
        server.spec.holds.push(crd::gpu_server::Hold { owner: "person".into(), reason: String::new(), until: None });
    });
    view.validators.clear();
    let report = report(&view, &fixtures::operator(), Err(LedgerDown("connection refused".into())), fixtures::now());
    let severities: Vec<_> = report.problems.iter().map(|problem| problem.severity).collect();
    assert!(severities.is_sorted(), "{severities:?}");
    assert_eq!(find(&report, "postgres")[0].severity, Severity::Critical);
    assert_eq!(find(&report, "validators").len(), 1);
    assert_eq!(find(&report, "server gpu-1")[0].command, "chutes-miner unlock --name gpu-1");
    assert!(report.problems.iter().all(|problem| !problem.command.is_empty()));
    assert!(!report.ledger.available);
}

#[test]
fn a_cache_that_was_never_filled_is_a_problem_not_an_empty_fleet() {
    let mut view = fixtures::fleet();
    view.sources[0].age_s = None;
    view.sources[0].complete = false;
    let report = report(&view, &fixtures::operator(), Ok(Sums::default()), fixtures::now());
    assert_eq!(report.problems[0].severity, Severity::Critical);
    assert!(report.problems[0].subject.starts_with("watch "));
}

#[test]
fn what_is_nearest_to_the_gpu_explains_it() {
    let mut view = fixtures::fleet();
    fixtures::edit_server(&mut view, |server| server.status.as_mut().unwrap().proof = None);
    let unproven = report(&view, &fixtures::operator(), Ok(Sums::default()), fixtures::now());
    assert_eq!(unproven.servers[0].idle[0].reason, "NotProven");
    fixtures::edit_server(&mut view, |server| {
        server.status.as_mut().unwrap().reported.as_mut().unwrap().gpus[1].health = crd::gpu_server::GpuHealth::Lost;
    });
    let lost = report(&view, &fixtures::operator(), Ok(Sums::default()), fixtures::now());
    assert_eq!(lost.servers[0].idle[0].reason, "GpuLost");
    assert!(lost.problems.iter().any(|problem| problem.what.contains("is Lost")));
}

#[test]
fn a_deletion_without_confirmation_says_how_to_confirm() {
    let mut view = fixtures::fleet();
    fixtures::edit_server(&mut view, |server| {
        server.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(fixtures::now()));
    });
    let report = report(&view, &fixtures::operator(), Ok(Sums::default()), fixtures::now());
    assert_eq!(find(&report, "server gpu-1")[0].command, "chutes-miner delete-node --name gpu-1");
}

/// The operator's problem, seen so many seconds after its healthy signs of life and with a change to them.
fn unwell(later_s: i64, change: impl FnOnce(&mut OperatorSigns)) -> Option<String> {
    let mut signs = fixtures::operator().unwrap();
    change(&mut signs);
    let report = report(&fixtures::fleet(), &Ok(signs), Ok(Sums::default()), fixtures::now() + SignedDuration::from_secs(later_s));
    let found = find(&report, "operator");
    assert!(found.len() <= 1 && found.iter().all(|problem| problem.severity == Severity::Critical), "{found:#?}");
    assert_eq!(report.operator.alive && report.operator.planning == "True", found.is_empty(), "{:?}", report.operator);
    found.first().map(|problem| problem.what.clone())
}

fn said(signs: &mut OperatorSigns) -> &mut PlannerBeat {
    signs.planner.as_mut().unwrap()
}

#[test]
fn a_dead_operator_is_the_first_thing_said() {
    assert_eq!(unwell(40, |_| ()), None, "between two signs of life");
    let dead = unwell(120, |_| ()).unwrap();
    assert!(dead.contains("op-1 has shown no sign of life for 121 s"), "{dead}");
    assert!(unwell(0, |signs| signs.leader = None).unwrap().contains("never ran here"));
    assert!(unwell(120, |signs| signs.leader.as_mut().unwrap().holder = None).unwrap().contains("none has led for 121 s"));
    let unread = report(&fixtures::fleet(), &Err(FleetError::Away("timed out".into())), Ok(Sums::default()), fixtures::now());
    assert!(find(&unread, "operator")[0].what.contains("timed out"));
}

#[test]
fn an_operator_that_lives_and_does_not_plan_is_said_with_its_reason() {
    for reason in ["LedgerUnavailable", "Blind"] {
        let what = unwell(0, |signs| {
            let planner = said(signs);
            (planner.planning, planner.reason, planner.message) = (false, reason.to_owned(), "because".to_owned());
        });
        assert_eq!(what.unwrap(), format!("lives, and cannot plan ({reason}) because"));
    }
    let hangs = unwell(200, |signs| signs.leader.as_mut().unwrap().renewed = Some(fixtures::now() + SignedDuration::from_secs(199)));
    assert!(hangs.unwrap().contains("no round of planning for 203 s"));
    assert!(unwell(0, |signs| signs.planner = None).unwrap().contains("has not planned yet"));
    let of_another = unwell(0, |signs| said(signs).beat.holder = Some("op-0".to_owned()));
    assert!(of_another.unwrap().contains("has not planned yet"), "what the last leader said is no sign of this one");
}

#[test]
fn a_new_leader_is_given_time_and_a_paused_policy_is_no_illness() {
    let mut signs = fixtures::operator().unwrap();
    signs.leader.as_mut().unwrap().since = Some(fixtures::now() - SignedDuration::from_secs(20));
    signs.planner = None;
    let young = report(&fixtures::fleet(), &Ok(signs.clone()), Ok(Sums::default()), fixtures::now());
    assert_eq!((young.problems.len(), young.operator.planning.as_str()), (0, "Unknown"));
    signs.planner = fixtures::operator().unwrap().planner;
    let planner = said(&mut signs);
    (planner.planning, planner.reason) = (false, "Paused".to_owned());
    let paused = report(&fixtures::fleet(), &Ok(signs), Ok(Sums::default()), fixtures::now());
    assert!(find(&paused, "operator").is_empty(), "{:#?}", paused.problems);
}

#[test]
fn a_policy_that_a_dead_operator_wrote_last_is_not_told_as_news() {
    let mut view = fixtures::fleet();
    let policy = std::sync::Arc::make_mut(view.policy.as_mut().unwrap());
    let list = &mut policy.status.as_mut().unwrap().conditions;
    crd::conditions::set(list, "Planning", crd::conditions::State::False, "Blind", "old lists", None, fixtures::now());
    let alive = report(&view, &fixtures::operator(), Ok(Sums::default()), fixtures::now());
    assert_eq!(find(&alive, "gepetto").len(), 1);
    let dead = report(&view, &Ok(OperatorSigns::default()), Ok(Sums::default()), fixtures::now());
    assert!(find(&dead, "gepetto").is_empty() && find(&dead, "operator").len() == 1, "{:#?}", dead.problems);
}

fn failing(reason: &str, pairs: &[(&str, &str, u32)]) -> Failing {
    let last = fixtures::now() - SignedDuration::from_mins(3);
    let pair = |(chute, server, failures): &(&str, &str, u32)| FailingPair {
        chute_id: (*chute).to_owned(),
        server: (*server).to_owned(),
        failures: *failures,
        last,
    };
    Failing { reason: reason.to_owned(), pairs: pairs.iter().map(pair).collect() }
}

fn launches(view: &View, failing: Vec<Failing>) -> Vec<Problem> {
    let report = report(view, &fixtures::operator(), Ok(Sums { failing, ..Sums::default() }), fixtures::now());
    find(&report, "launches").into_iter().cloned().collect()
}

#[test]
fn launches_that_fail_again_and_again_are_one_problem_for_each_reason() {
    let mut view = fixtures::fleet();
    let found = launches(&view, vec![failing("ImagePull", &[("chute-1", "gpu-1", 5)]), failing("Crashed", &[("chute-1", "gpu-1", 2)])]);
    let said: Vec<_> = found.iter().map(|one| (one.severity, one.what.as_str(), one.command.as_str())).collect();
    assert_eq!(
        said[0],
        (
            Severity::Warning,
            "5 in a row failed with ImagePull, last 3 min ago: user/model on gpu-1",
            "kubectl -n chutes-node-gpu-1 get events --field-selector reason=ImagePull"
        )
    );
    assert_eq!(said.len(), 2);
    view.deployments.clear();
    assert_eq!(launches(&view, vec![failing("ImagePull", &[("chute-1", "gpu-1", 2)])])[0].severity, Severity::Critical, "nothing is paid");
}

#[test]
fn chance_the_business_and_the_past_are_no_problem() {
    let view = fixtures::fleet();
    for harmless in [
        failing("ImagePull", &[("chute-1", "gpu-1", 1)]),
        failing("CapacityReached", &[("chute-1", "gpu-1", 9)]),
        failing("ImagePull", &[("withdrawn", "gpu-1", 9)]),
        failing("ImagePull", &[("chute-1", "removed", 9)]),
    ] {
        assert_eq!(launches(&view, vec![harmless.clone()]), [], "{harmless:?}");
    }
    assert_eq!(launches(&view, vec![failing("Unauthorized", &[("chute-1", "gpu-1", 2)])])[0].severity, Severity::Critical);
}

#[test]
fn a_deployment_that_does_not_end_is_a_problem() {
    let mut view = fixtures::fleet();
    let status = std::sync::Arc::make_mut(&mut view.deployments[0]).status.as_mut().unwrap();
    status.phase = Some(crd::chute_deployment::Phase::Stopping);
    status.reason = Some("InstanceDeleted".to_owned());
    let at = fixtures::now() - SignedDuration::from_mins(10);
    status.reached.push(serde_json::from_value(serde_json::json!({ "phase": "Stopping", "at": at })).unwrap());
    let told = |later| report(&view, &fixtures::operator(), Ok(Sums::default()), fixtures::now() + SignedDuration::from_mins(later));
    assert!(find(&told(0), "server gpu-1").is_empty());
    // The operator's signs are of long ago by then; only this problem is looked at.
    let late = told(10);
    let late = find(&late, "server gpu-1");
    assert!(late.len() == 1 && late[0].what.contains("for 20 min (InstanceDeleted): its 1 GPUs"), "{late:#?}");
    assert!(late[0].command.starts_with("kubectl -n chutes-node-gpu-1 describe chutedeployment "));
}

#[test]
fn gpus_that_nobody_has_seen_are_idle_for_that_reason() {
    let mut view = fixtures::fleet();
    view.deployments.clear();
    fixtures::edit_server(&mut view, |server| server.status = None);
    let report = report(&view, &fixtures::operator(), Ok(Sums::default()), fixtures::now());
    assert_eq!(report.servers[0].idle, vec![IdleGpu { gpu: None, reason: "NotReported".to_owned() }; 2]);
}

/// The command line's own tests read the same file.
#[test]
fn the_report_has_the_shape_that_the_command_line_reads() {
    let mut view = fixtures::fleet();
    view.servers.push(fixtures::server("gpu-2"));
    fixtures::edit_server(&mut view, |server| {
        server.spec.holds.push(crd::gpu_server::Hold { owner: "person".into(), reason: String::new(), until: None });
    });
    let broken = std::sync::Arc::make_mut(&mut view.servers[1]);
    let conditions = &mut broken.status.as_mut().unwrap().conditions;
    crd::conditions::set(
        conditions,
        "Ready",
        crd::conditions::State::Unknown,
        "AgentSilent",
        "no sign of life for 95 s",
        None,
        fixtures::now(),
    );
    let mut sums = Sums { hours: 24, cost_usd: 120.0, ..Sums::default() };
    sums.gpu_seconds_by_server.insert("gpu-1".to_owned(), 84_600.0);
    sums.gpu_seconds_by_chute.insert("chute-1".to_owned(), 84_600.0);
    sums.idle_seconds_by_reason.insert("ServerHeld".to_owned(), 1800.0);
    let hotkey = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj".parse().unwrap();
    let place = ::chain::survey::Place {
        uid: 17,
        registered_at: Some(5_000_000),
        stake: Some(1_500_000_000),
        incentive: Some(0.0125),
        emission: Some(700_000_000),
        rank: Some(31),
        miners: Some(240),
        distance: Some(::chain::tracker::eviction::Distance {
            uid: 17,
            protected: false,
            immune_for_blocks: 0,
            free_uids: 0,
            weaker_non_immune: 11,
            registrations: Some(12),
            registrations_unprotected: Some(12),
        }),
    };
    let standing = ::chain::survey::Standing { netuid: 64, block: 7_300_000, place: Some(place), burn_rao: Some(500_000_000) };
    let seen = Seen { standing: Some(standing), age_s: Some(40), error: None };
    let made =
        serde_json::to_string_pretty(&report(&view, &fixtures::operator(), Ok(sums), fixtures::now()).with_chain(&hotkey, Some(&seen)))
            .unwrap()
            + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/status.json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        made, kept,
        "the shape changed: if that is meant, run this test with UPDATE_FIXTURES=1 and look at the command line's tests"
    );
}
