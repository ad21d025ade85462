//! Decisions, as a table and as laws.

use super::*;
use crate::{
    observe::{Ended, Holder, SeenJob, SeenPod, SeenService, Trouble},
    report::reason,
};
use proptest::prelude::*;
use protocol::ids::GpuUuid;

fn gpu() -> GpuUuid {
    "0123abcd0123012301230123456789ab".parse().unwrap()
}

fn ports() -> Vec<NodePort> {
    vec![NodePort { port: 8000, node_port: 30000 }, NodePort { port: 8001, node_port: 30001 }]
}

fn service() -> SeenService {
    SeenService { uid: "s".into(), node_ports: Some(ports()), deleting: false }
}

fn job() -> SeenJob {
    SeenJob { uid: "j".into(), deleting: false, failed: None }
}

fn pod() -> SeenPod {
    SeenPod {
        uid: "p".into(),
        name: "chute-p".into(),
        created: Some(at(0)),
        deleting: false,
        running: false,
        ready: false,
        not_ready_since: None,
        trouble: None,
        trouble_since: None,
        ended: None,
    }
}

fn trouble(hopeless: bool) -> Trouble {
    Trouble { reason: reason::IMAGE_PULL, message: "chute: ErrImagePull: no".into(), hopeless }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn prior(state: WorkloadState, reason: Option<&str>) -> Workload {
    Workload {
        state,
        reason: reason.map(str::to_owned),
        message: Some("before".into()),
        job_uid: Some("j".into()),
        pod_uid: Some("p".into()),
        pod_name: Some("chute-p".into()),
        node_ports: ports(),
        exit_code: None,
    }
}

const GRANTED: Wanted = Wanted::Run { granted: true, claimed: false };
const PENDING: Wanted = Wanted::Run { granted: false, claimed: false };
const STOP: Wanted = Wanted::Stop { release: false };
const RELEASE: Wanted = Wanted::Stop { release: true };

fn decided(wanted: Wanted, prior: Option<&Workload>, seen: &Seen, now: i64) -> Decision {
    decide(&Input { wanted, refusal: None, prior, seen, deadlines: Deadlines::default(), now: at(now) })
}

/// The decision in one line: a step, or state and reason, or nothing to say.
fn line(decision: &Decision) -> String {
    match (&decision.step, &decision.report) {
        (Some(Step::PrepareLaunch), _) => "PrepareLaunch".into(),
        (Some(Step::EnsureService { node_ports }), _) => format!("EnsureService({})", node_ports.len()),
        (Some(Step::CreateJob { .. }), _) => "CreateJob".into(),
        (Some(Step::ConfirmGone), _) => "ConfirmGone".into(),
        (Some(Step::DeleteJob { uid }), _) => format!("DeleteJob({uid})"),
        (Some(Step::DeletePod { uid, .. }), _) => format!("DeletePod({uid})"),
        (Some(Step::DeleteSecret), _) => "DeleteSecret".into(),
        (Some(Step::DeleteService { uid }), _) => format!("DeleteService({uid})"),
        (None, Some(report)) => format!("{}/{}", report.state, report.reason.as_deref().unwrap_or("-")),
        (None, None) => "silence".into(),
    }
}

#[test]
fn the_way_up() {
    let none = Seen::default();
    let with_service = Seen { service: Some(service()), ..none.clone() };
    let portless = Seen { service: Some(SeenService { node_ports: None, ..service() }), ..none.clone() };
    let held = Seen { held: vec![Holder { gpu: gpu(), by: "chute-other".into() }], ..none.clone() };
    let lost = Seen { lost: vec![gpu()], ..none.clone() };
    let with_job = Seen { job: Some(job()), ..with_service.clone() };
    let with_pod = |pod: SeenPod| Seen { pods: vec![pod], ..with_job.clone() };
    let running = SeenPod { running: true, not_ready_since: Some(at(0)), ..pod() };

    let table: Vec<(&str, Wanted, Seen, i64, &str)> = vec![
        ("planned only", PENDING, none.clone(), 0, "silence"),
        ("granted", GRANTED, none, 0, "PrepareLaunch"),
        ("its Service has no ports yet", GRANTED, portless, 0, "Waiting/-"),
        ("its Service has ports", GRANTED, with_service, 0, "CreateJob"),
        ("its GPU is held", GRANTED, held, 0, "Waiting/GpuBusy"),
        ("its GPU is lost", GRANTED, lost, 0, "Failed/GpuLost"),
        ("the Job has no pod yet", GRANTED, with_job.clone(), 0, "Starting/-"),
        (
            "the Job failed without a pod",
            GRANTED,
            Seen { job: Some(SeenJob { failed: Some("Quota".into()), ..job() }), ..with_job.clone() },
            0,
            "Failed/Crashed",
        ),
        ("the pod starts", GRANTED, with_pod(pod()), 0, "Starting/-"),
        (
            "the image cannot be pulled",
            GRANTED,
            with_pod(SeenPod { trouble: Some(trouble(false)), trouble_since: Some(at(0)), ..pod() }),
            10,
            "Starting/ImagePull",
        ),
        (
            "the image cannot be pulled for long",
            GRANTED,
            with_pod(SeenPod { trouble: Some(trouble(false)), trouble_since: Some(at(0)), ..pod() }),
            301,
            "Failed/ImagePull",
        ),
        (
            "the image has no valid name",
            GRANTED,
            with_pod(SeenPod { trouble: Some(trouble(true)), trouble_since: Some(at(0)), ..pod() }),
            0,
            "Failed/ImagePull",
        ),
        ("the pod runs", GRANTED, with_pod(running.clone()), 10, "Running/-"),
        ("the pod is not ready in time", GRANTED, with_pod(running.clone()), 3601, "Failed/NotReadyInTime"),
        ("the pod is ready", GRANTED, with_pod(SeenPod { running: true, ready: true, ..pod() }), 10, "Ready/-"),
        (
            "the pod is ready and its GPU lost",
            GRANTED,
            Seen { lost: vec![gpu()], ..with_pod(SeenPod { running: true, ready: true, ..pod() }) },
            10,
            "Failed/GpuLost",
        ),
        ("the pod is being deleted", GRANTED, with_pod(SeenPod { deleting: true, ..running.clone() }), 10, "Failed/PodDeleted"),
        (
            "the Job is being deleted",
            GRANTED,
            Seen { job: Some(SeenJob { deleting: true, ..job() }), ..with_pod(running) },
            10,
            "Failed/JobDeleted",
        ),
        (
            "the pod crashed",
            GRANTED,
            with_pod(SeenPod { ended: Some(Ended { reason: reason::CRASHED, message: "m".into(), exit_code: Some(1) }), ..pod() }),
            0,
            "Failed/Crashed",
        ),
    ];
    for (case, wanted, seen, now, expected) in table {
        assert_eq!(line(&decided(wanted, None, &seen, now)), expected, "{case}");
    }
}

#[test]
fn a_job_that_was_seen_is_never_made_again() {
    let gone = Seen { service: Some(service()), ..Seen::default() };
    let confirmed = Seen { confirmed_gone: true, ..gone.clone() };
    let running = prior(WorkloadState::Running, None);
    assert_eq!(line(&decided(GRANTED, Some(&running), &gone, 0)), "ConfirmGone", "a cache may be behind");
    assert_eq!(line(&decided(GRANTED, Some(&running), &confirmed, 0)), "Failed/JobDeleted");
    // Whoever lost the report but is told that the validator knows the instance comes to the same end.
    let claimed = Wanted::Run { granted: false, claimed: true };
    assert_eq!(line(&decided(claimed, None, &confirmed, 0)), "Failed/JobDeleted");
    // And so does who sees a pod without a Job.
    let pods = Seen { pods: vec![pod()], ..gone };
    assert_eq!(line(&decided(GRANTED, None, &pods, 0)), "ConfirmGone");
}

#[test]
fn what_failed_stays_failed_though_its_objects_vanish() {
    let failed = Workload { exit_code: Some(1), ..prior(WorkloadState::Failed, Some(reason::CRASHED)) };
    let decision = decided(GRANTED, Some(&failed), &Seen { service: Some(service()), ..Seen::default() }, 0);
    assert_eq!(decision, Decision { step: None, report: Some(failed), again: None });
}

#[test]
fn a_service_that_somebody_deleted_comes_back_with_its_ports() {
    let seen = Seen { job: Some(job()), pods: vec![SeenPod { running: true, ready: true, ..pod() }], ..Seen::default() };
    let ready = prior(WorkloadState::Ready, None);
    assert_eq!(line(&decided(GRANTED, Some(&ready), &seen, 0)), "EnsureService(2)");
    assert_eq!(line(&decided(GRANTED, None, &seen, 0)), "Failed/ServiceDeleted", "without its ports it would be another");
}

#[test]
fn the_way_down() {
    let none = Seen::default();
    let kept = Seen { service: Some(service()), ..none.clone() };
    let with_job = Seen { job: Some(job()), pods: vec![pod()], ..kept.clone() };
    let ending = Seen { job: Some(SeenJob { deleting: true, ..job() }), pods: vec![SeenPod { deleting: true, ..pod() }], ..kept.clone() };
    let jobless = Seen { pods: vec![pod()], ..kept.clone() };
    let jobless_ending = Seen { pods: vec![SeenPod { deleting: true, ..pod() }], ..kept.clone() };
    let confirmed = Seen { confirmed_gone: true, ..kept.clone() };
    let clean = Seen { secret_gone: true, ..confirmed.clone() };
    let nothing = Seen { confirmed_gone: true, secret_gone: true, ..none.clone() };
    let running = prior(WorkloadState::Running, None);
    let pod_gone = prior(WorkloadState::Ending, Some(reason::POD_GONE));
    let gone = prior(WorkloadState::Gone, None);

    let table: Vec<(&str, Wanted, &Workload, Seen, &str)> = vec![
        ("it runs", STOP, &running, with_job.clone(), "DeleteJob(j)"),
        ("released too early", RELEASE, &running, with_job, "DeleteJob(j)"),
        ("it is ending", STOP, &running, ending.clone(), "Ending/PodEnding"),
        ("released while it is ending", RELEASE, &running, ending, "Ending/PodEnding"),
        ("a pod without a Job", STOP, &running, jobless, "DeletePod(p)"),
        ("a pod without a Job, ending", RELEASE, &running, jobless_ending, "Ending/PodEnding"),
        ("the cache says gone", STOP, &running, kept.clone(), "ConfirmGone"),
        ("the cache says gone, released", RELEASE, &running, kept.clone(), "ConfirmGone"),
        ("the API server says gone", STOP, &running, confirmed, "DeleteSecret"),
        ("the Secret is gone, too", STOP, &running, clean.clone(), "Ending/PodGone"),
        ("released", RELEASE, &running, clean, "DeleteService(s)"),
        ("at rest", STOP, &pod_gone, kept.clone(), "Ending/PodGone"),
        ("released at last", RELEASE, &pod_gone, kept, "DeleteService(s)"),
        ("nothing is left", RELEASE, &pod_gone, none.clone(), "Gone/-"),
        ("nothing ever was", STOP, &running, nothing, "Gone/-"),
        ("at rest for good", RELEASE, &gone, none.clone(), "Gone/-"),
        ("a Job comes late, from a lost answer", RELEASE, &gone, Seen { job: Some(job()), ..none }, "DeleteJob(j)"),
    ];
    for (case, wanted, prior, seen, expected) in table {
        assert_eq!(line(&decided(wanted, Some(prior), &seen, 0)), expected, "{case}");
    }
}

#[test]
fn the_kubelets_changing_words_change_no_report() {
    let seen = |message: &str| Seen {
        service: Some(service()),
        job: Some(job()),
        pods: vec![SeenPod { trouble: Some(Trouble { message: message.into(), ..trouble(false) }), trouble_since: Some(at(0)), ..pod() }],
        ..Seen::default()
    };
    let first = decided(GRANTED, None, &seen("ErrImagePull: refused"), 1).report.unwrap();
    let second = decided(GRANTED, Some(&first), &seen("ImagePullBackOff: Back-off"), 60).report.unwrap();
    assert_eq!(first, second);
}

prop_compose! {
    fn any_pod()(deleting: bool, running: bool, ready: bool, since in prop::option::of(-9000i64..9000), hopeless in prop::option::of(any::<bool>()), ended: bool, uid in 0..3u8) -> SeenPod {
        SeenPod {
            uid: format!("p{uid}"), deleting, running, ready: running && ready,
            not_ready_since: since.map(at),
            trouble: hopeless.map(trouble),
            trouble_since: hopeless.and(since.map(at)),
            ended: ended.then(|| Ended { reason: reason::CRASHED, message: "m".into(), exit_code: Some(1) }),
            ..pod()
        }
    }
}

prop_compose! {
    fn any_seen()(service_at in prop::option::of((any::<bool>(), any::<bool>())), job_at in prop::option::of((any::<bool>(), any::<bool>())),
            pods in prop::collection::vec(any_pod(), 0..3), held: bool, lost: bool, confirmed: bool, secret_gone: bool) -> Seen {
        Seen {
            service: service_at.map(|(deleting, given)| SeenService { deleting, node_ports: given.then(ports), ..service() }),
            confirmed_gone: confirmed && job_at.is_none(),
            job: job_at.map(|(deleting, failed)| SeenJob { deleting, failed: failed.then(|| "Quota".into()), ..job() }),
            pods,
            held: if held { vec![Holder { gpu: gpu(), by: "other".into() }] } else { vec![] },
            lost: if lost { vec![gpu()] } else { vec![] },
            secret_gone,
        }
    }
}

fn any_prior() -> impl Strategy<Value = Option<Workload>> {
    use WorkloadState::*;
    let state = prop::sample::select(vec![Waiting, Starting, Running, Ready, Failed, Ending, Gone, Unknown]);
    let reason = prop::sample::select(vec![None, Some(reason::POD_GONE), Some(reason::GPU_BUSY), Some(reason::CRASHED)]);
    prop::option::of((state, reason, any::<bool>(), any::<bool>()).prop_map(|(state, reason, job, given)| Workload {
        job_uid: job.then(|| "j".into()),
        node_ports: if given { ports() } else { vec![] },
        ..prior(state, reason)
    }))
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(granted, claimed)| Wanted::Run { granted, claimed }),
        any::<bool>().prop_map(|release| Wanted::Stop { release }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_laws_hold_whatever_is_seen(wanted in any_wanted(), prior in any_prior(), seen in any_seen(), now in -9000i64..9000) {
        let decision = decided(wanted, prior.as_ref(), &seen, now);
        let launched = prior.as_ref().is_some_and(|prior| prior.job_uid.is_some());
        match decision.step.clone() {
            Some(Step::DeleteJob { .. } | Step::DeletePod { .. } | Step::DeleteSecret) => {
                prop_assert!(matches!(wanted, Wanted::Stop { .. }), "deletes what should run");
            }
            Some(Step::DeleteService { .. }) => {
                prop_assert!(matches!(wanted, Wanted::Stop { release: true }), "frees node ports that may still be called");
                prop_assert!(seen.job.is_none() && seen.pods.is_empty(), "frees node ports under a pod");
            }
            Some(Step::CreateJob { .. }) => {
                let (granted, claimed) = match wanted { Wanted::Run { granted, claimed } => (granted, claimed), Wanted::Stop { .. } => (false, true) };
                prop_assert!(granted && !claimed);
                prop_assert!(!launched && seen.job.is_none() && seen.pods.is_empty(), "a second Job");
                prop_assert!(seen.held.is_empty() && seen.lost.is_empty(), "on a GPU that is not free");
                prop_assert!(seen.service.is_some(), "before its Service");
            }
            Some(Step::PrepareLaunch) => {
                prop_assert_eq!(wanted, Wanted::Run { granted: true, claimed: false });
                prop_assert!(seen.service.is_none() && seen.held.is_empty() && seen.lost.is_empty(), "for a GPU that is not free");
            }
            Some(Step::EnsureService { .. }) => {
                prop_assert!(matches!(wanted, Wanted::Run { .. }), "makes a Service for what should end");
            }
            Some(Step::ConfirmGone) => prop_assert!(!seen.confirmed_gone, "asks twice"),
            None => {}
        }
        if let (None, Some(report)) = (&decision.step, &decision.report) {
            if report.state == WorkloadState::Gone && matches!(wanted, Wanted::Stop { .. }) {
                prop_assert!(seen.job.is_none() && seen.pods.is_empty() && seen.service.is_none(), "calls gone what stands");
            }
            // Quiet at rest: saying it once more changes nothing.
            let again = decided(wanted, Some(report), &seen, now);
            if again.step.is_none() {
                prop_assert_eq!(again.report.as_ref(), Some(report));
            }
        }
    }
}
