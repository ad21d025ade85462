//! Leaders against a scripted API server.

use super::*;
use crate::testing::Api as Fake;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

fn options(identity: &str) -> LeaderOptions {
    LeaderOptions { lease: Duration::from_secs(3), renew: Duration::from_millis(100), ..LeaderOptions::new("ns", "leader", identity) }
}

/// Leads until told to stop, and says when it began.
fn lead(fake: &Fake, who: &str, shutdown: &CancellationToken) -> (tokio::task::JoinHandle<Ended>, oneshot::Receiver<Leadership>) {
    let (began, begins) = oneshot::channel();
    let (client, options, shutdown) = (fake.client(), options(who), shutdown.clone());
    let task = tokio::spawn(run(client, options, shutdown, move |leadership: Leadership| async move {
        began.send(leadership.clone()).unwrap();
        leadership.lost.cancelled().await;
    }));
    (task, begins)
}

#[tokio::test]
async fn the_second_leads_only_after_the_first_gave_back() {
    let fake = Fake::default();
    let (stop_a, stop_b) = (CancellationToken::new(), CancellationToken::new());
    let (a, a_begins) = lead(&fake, "a", &stop_a);
    assert_eq!(a_begins.await.unwrap().term, 1);
    let (b, mut b_begins) = lead(&fake, "b", &stop_b);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(b_begins.try_recv().is_err(), "two leaders");
    stop_a.cancel();
    assert_eq!(a.await.unwrap(), Ended::Shutdown);
    let leadership = tokio::time::timeout(Duration::from_secs(20), b_begins).await.unwrap().unwrap();
    assert_eq!(leadership.term, 2);
    assert!(leadership.identity.starts_with("b_"));
    stop_b.cancel();
    assert_eq!(b.await.unwrap(), Ended::Shutdown);
    assert_eq!(fake.get("leader").unwrap()["spec"]["holderIdentity"], "");
}

#[tokio::test]
async fn who_cannot_renew_stops_before_another_may_begin() {
    let fake = Fake::default();
    let stop = CancellationToken::new();
    let log: Arc<Mutex<Vec<&str>>> = Arc::default();
    let (began, begins) = oneshot::channel();
    let noted = Arc::clone(&log);
    let a = tokio::spawn(run(fake.client(), options("a"), stop.clone(), move |leadership: Leadership| async move {
        began.send(()).unwrap();
        leadership.lost.cancelled().await;
        noted.lock().unwrap().push("a stopped");
    }));
    begins.await.unwrap();
    // Only a is cut off: b speaks to the same objects through the same server, so the refusal is lifted once a has stopped.
    fake.refuse(true);
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), a).await.unwrap().unwrap(), Ended::Lost);
    assert_eq!(*log.lock().unwrap(), ["a stopped"]);
    fake.refuse(false);
    let (b, b_begins) = lead(&fake, "b", &stop);
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), b_begins).await.unwrap().unwrap().term, 2);
    stop.cancel();
    assert_eq!(b.await.unwrap(), Ended::Shutdown);
}

#[tokio::test]
async fn who_finds_another_on_the_lease_stops_at_once() {
    let fake = Fake::default();
    let stop = CancellationToken::new();
    let (a, begins) = lead(&fake, "a", &stop);
    begins.await.unwrap();
    let mut lease = fake.get("leader").unwrap();
    lease["spec"]["holderIdentity"] = "usurper".into();
    fake.overwrite("leader", lease);
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), a).await.unwrap().unwrap(), Ended::Lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_computes_for_long_keeps_its_lease() {
    let fake = Fake::default();
    let stop = CancellationToken::new();
    let (computed, compute) = oneshot::channel();
    let a = tokio::spawn(run(fake.client(), options("a"), stop.clone(), move |leadership: Leadership| async move {
        let began = std::time::Instant::now();
        // Longer than the lease, without ever giving the thread back.
        while began.elapsed() < Duration::from_secs(4) {
            std::hint::spin_loop();
        }
        computed.send(leadership.lost.is_cancelled()).unwrap();
        leadership.lost.cancelled().await;
    }));
    assert!(!compute.await.unwrap(), "the lease was lost meanwhile");
    stop.cancel();
    assert_eq!(a.await.unwrap(), Ended::Shutdown);
}
