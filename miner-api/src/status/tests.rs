//! The report over fixture fleets.

use super::*;
use crate::fixtures;

fn find<'a>(report: &'a Report, subject: &str) -> Vec<&'a Problem> {
    report.problems.iter().filter(|problem| problem.subject == subject).collect()
}

#[test]
fn a_healthy_fleet_has_no_problems_and_says_why_each_idle_gpu_is_idle() {
    let mut sums = Sums { hours: 24, ..Sums::default() };
    sums.idle_now.insert(fixtures::GPU_B.to_owned(), "NoChuteFits".to_owned());
    let report = report(&fixtures::fleet(), Ok(sums), fixtures::now());
    assert_eq!(report.problems, [], "{:#?}", report.problems);
    let server = &report.servers[0];
    assert_eq!((server.gpus, server.busy), (2, 1));
    assert_eq!(server.idle, [IdleGpu { gpu: fixtures::GPU_B.to_owned(), reason: "NoChuteFits".to_owned() }]);
    assert_eq!(report.deployments.by_phase.get("Active"), Some(&1));
}

#[test]
fn the_worst_stands_first_and_each_problem_names_a_command() {
    let mut view = fixtures::fleet();
    fixtures::edit_server(&mut view, |server| {
        server.spec.holds.push(crd::gpu_server::Hold { owner: "person".into(), reason: String::new(), until: None });
    });
    view.validators.clear();
    let report = report(&view, Err(LedgerDown("connection refused".into())), fixtures::now());
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
    let report = report(&view, Ok(Sums::default()), fixtures::now());
    assert_eq!(report.problems[0].severity, Severity::Critical);
    assert!(report.problems[0].subject.starts_with("watch "));
}

#[test]
fn what_is_nearest_to_the_gpu_explains_it() {
    let mut view = fixtures::fleet();
    fixtures::edit_server(&mut view, |server| server.status.as_mut().unwrap().proof = None);
    let unproven = report(&view, Ok(Sums::default()), fixtures::now());
    assert_eq!(unproven.servers[0].idle[0].reason, "NotProven");
    fixtures::edit_server(&mut view, |server| {
        server.status.as_mut().unwrap().reported.as_mut().unwrap().gpus[1].health = crd::gpu_server::GpuHealth::Lost;
    });
    let lost = report(&view, Ok(Sums::default()), fixtures::now());
    assert_eq!(lost.servers[0].idle[0].reason, "GpuLost");
    assert!(lost.problems.iter().any(|problem| problem.what.contains("is Lost")));
}

#[test]
fn a_deletion_without_confirmation_says_how_to_confirm() {
    let mut view = fixtures::fleet();
    fixtures::edit_server(&mut view, |server| {
        server.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(fixtures::now()));
    });
    let report = report(&view, Ok(Sums::default()), fixtures::now());
    assert_eq!(find(&report, "server gpu-1")[0].command, "chutes-miner delete-node --name gpu-1");
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
    let made = serde_json::to_string_pretty(&report(&view, Ok(sums), fixtures::now())).unwrap() + "\n";
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
