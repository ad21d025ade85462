use jiff::Timestamp;
use protocol::ids::InstanceId;
use store::{Error, IdleGpu, InstanceRecord};

use crate::fixture::{VALIDATOR, at, gpu, id, led, server, store, wanted};

fn instance(name: &str) -> InstanceId {
    name.parse().unwrap()
}

fn seen(name: &str) -> InstanceRecord {
    InstanceRecord {
        instance: instance(name),
        deployment: None,
        config: None,
        validator: VALIDATOR.parse().unwrap(),
        chute_id: "chute-a".parse().unwrap(),
        version: "version-1".parse().unwrap(),
        server: server("alpha"),
        gpu_count: 2,
        private: false,
        created_at: at(0),
        verified_at: None,
        activated_at: None,
        deleted_at: None,
        deletion_reason: None,
    }
}

fn idle(number: u32, reason: &str) -> IdleGpu {
    IdleGpu { gpu: gpu(number), reason_code: reason.to_owned() }
}

#[tokio::test]
async fn an_instance_fills_up_and_nothing_told_changes() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1, 2])).await.unwrap();
    let mut told = seen("i1");
    assert!(store.record_instance(&told).await.unwrap());
    assert!(!store.record_instance(&told).await.unwrap());
    told.deployment = Some(id(1));
    told.config = Some("config-1".parse().unwrap());
    told.verified_at = Some(at(5));
    told.activated_at = Some(at(10));
    assert!(store.record_instance(&told).await.unwrap());
    // A later story differs; another forgets. Neither changes anything.
    let mut other = told.clone();
    other.activated_at = Some(at(99));
    assert!(!store.record_instance(&other).await.unwrap());
    assert!(!store.record_instance(&seen("i1")).await.unwrap());
    assert_eq!(store.instance(&told.instance).await.unwrap(), Some(told.clone()));
    assert_eq!(store.instances_open().await.unwrap(), [told.clone()]);

    told.deleted_at = Some(at(70));
    told.deletion_reason = Some("job has been terminated".to_owned());
    assert!(store.record_instance(&told).await.unwrap());
    assert_eq!(store.instances_open().await.unwrap(), []);
    assert_eq!(store.instance(&told.instance).await.unwrap(), Some(told));
}

#[tokio::test]
async fn multipliers_follow_each_other_without_gaps() {
    let Some(store) = store().await else { return };
    let i = instance("i1");
    assert!(store.record_multiplier(&i, 1_000_000, "instances", at(0)).await.unwrap());
    assert!(!store.record_multiplier(&i, 1_000_000, "instances", at(10)).await.unwrap());
    assert!(store.record_multiplier(&i, 2_000_000, "instances", at(20)).await.unwrap());
    assert!(!store.record_multiplier(&i, 3_000_000, "instances", at(15)).await.unwrap(), "too late to tell");
    let segments = store.multipliers(&i).await.unwrap();
    let spans: Vec<_> = segments.iter().map(|s| (s.multiplier_micro, s.from, s.to)).collect();
    assert_eq!(spans, [(1_000_000, at(0), Some(at(20))), (2_000_000, at(20), None)]);

    let mut end = seen("i1");
    end.deleted_at = Some(at(30));
    store.record_instance(&end).await.unwrap();
    assert_eq!(store.multipliers(&i).await.unwrap()[1].to, Some(at(30)));
    // Somebody read an old list: the instance has ended, and a segment that began now would never be closed.
    assert!(!store.record_multiplier(&i, 4_000_000, "instances", at(40)).await.unwrap());
    assert_eq!(store.multipliers(&i).await.unwrap().len(), 2);
    // One that is not in the books yet may come with its rate first.
    assert!(store.record_multiplier(&instance("i2"), 4_000_000, "instances", at(40)).await.unwrap());
}

#[tokio::test]
async fn the_summary_is_what_the_intervals_add_up_to() {
    let Some(store) = store().await else { return };
    // Two GPUs, created at 0, active from 10 to 70.
    let mut first = seen("i1");
    first.activated_at = Some(at(10));
    first.deleted_at = Some(at(70));
    store.record_multiplier(&first.instance, 1_500_000, "warm", at(0)).await.unwrap();
    store.record_multiplier(&first.instance, 500_000, "instances", at(10)).await.unwrap();
    store.record_instance(&first).await.unwrap();
    // Active from 50 on; never active, so never paid.
    let mut second = seen("i2");
    second.created_at = at(40);
    second.activated_at = Some(at(50));
    store.record_instance(&second).await.unwrap();
    store.record_instance(&seen("i3")).await.unwrap();

    store.record_idle(&server("alpha"), &[idle(1, "NoWork"), idle(2, "Held")], at(0)).await.unwrap();
    store.record_idle(&server("alpha"), &[idle(2, "Held")], at(30)).await.unwrap();
    store.record_cost(&server("alpha"), 3_600_000, 2, at(0)).await.unwrap();
    store.record_cost(&server("alpha"), 7_200_000, 2, at(50)).await.unwrap();

    let all = store.ledger_summary(Timestamp::UNIX_EPOCH, at(100)).await.unwrap();
    assert_eq!(all.compute.len(), 1);
    let line = &all.compute[0];
    assert_eq!(line.instances, 2);
    assert_eq!(line.paid_gpu_seconds, 2.0 * (60.0 + 50.0));
    assert_eq!(line.warm_up_gpu_seconds, 2.0 * (10.0 + 10.0));
    assert_eq!(line.compute_units, 1.5 * 10.0 + 0.5 * 60.0);
    assert_eq!(all.paid_gpu_seconds(), 220.0);
    let idle: Vec<_> = all.idle.iter().map(|line| (line.reason_code.as_str(), line.gpu_seconds)).collect();
    assert_eq!(idle, [("Held", 100.0), ("NoWork", 30.0)]);
    assert_eq!(all.cost[0].micro_usd, 2 * (50 * 1_000 + 50 * 2_000));

    let window = store.ledger_summary(at(60), at(80)).await.unwrap();
    assert_eq!(window.paid_gpu_seconds(), 2.0 * (10.0 + 20.0));
    assert_eq!(window.compute[0].compute_units, 0.5 * 10.0);
    assert_eq!(window.compute[0].warm_up_gpu_seconds, 0.0);
    assert!(store.ledger_summary(at(80), at(60)).await.is_err());
}

#[tokio::test]
async fn idle_intervals_begin_and_end_with_their_reason() {
    let Some(store) = store().await else { return };
    let (alpha, beta) = (server("alpha"), server("beta"));
    assert_eq!(store.record_idle(&alpha, &[idle(1, "NoWork"), idle(2, "NoWork")], at(0)).await.unwrap(), 2);
    assert_eq!(store.record_idle(&alpha, &[idle(1, "NoWork"), idle(2, "NoWork")], at(5)).await.unwrap(), 0);
    assert_eq!(store.record_idle(&beta, &[], at(6)).await.unwrap(), 0, "another server's are none of ours");
    assert_eq!(store.record_idle(&alpha, &[idle(1, "Held")], at(10)).await.unwrap(), 3, "one changed, one got busy");
    // GPU 1 was moved into another server.
    assert_eq!(store.record_idle(&beta, &[idle(1, "Held")], at(20)).await.unwrap(), 2);
    let summary = store.ledger_summary(at(0), at(30)).await.unwrap();
    let lines: Vec<_> = summary.idle.iter().map(|l| (l.server.as_str(), l.reason_code.as_str(), l.gpu_seconds)).collect();
    assert_eq!(lines, [("alpha", "Held", 10.0), ("alpha", "NoWork", 20.0), ("beta", "Held", 10.0)]);
}

#[tokio::test]
async fn costs_are_dated_and_end() {
    let Some(store) = store().await else { return };
    let alpha = server("alpha");
    assert!(store.record_cost(&alpha, 3_600_000, 8, at(0)).await.unwrap());
    assert!(!store.record_cost(&alpha, 3_600_000, 8, at(10)).await.unwrap());
    assert!(store.record_cost(&alpha, 3_600_000, 7, at(20)).await.unwrap(), "a GPU less costs less");
    assert!(store.end_cost(&alpha, at(3600)).await.unwrap());
    assert!(!store.end_cost(&alpha, at(3601)).await.unwrap());
    assert!(matches!(store.record_cost(&alpha, -1, 8, at(4000)).await, Err(Error::Invalid(_))));
    let summary = store.ledger_summary(at(0), at(7200)).await.unwrap();
    assert_eq!(summary.cost[0].micro_usd, (8 * 20 + 7 * 3580) * 1_000);
}
