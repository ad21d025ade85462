//! The controller against a scripted API server.

use super::*;
use crate::testing::Api as Fake;
use k8s_openapi::api::core::v1::ConfigMap;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

fn watch(fake: &Fake) -> WatchHandle<ConfigMap> {
    crate::watch::source(kube::Api::namespaced(fake.client(), "ns"), crate::watch::WatchOptions::default())
}

fn options() -> Options {
    Options { backoff: Policy { first: Duration::from_millis(10), most: Duration::from_millis(50) }, ..Options::new("test", 3) }
}

async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_panic_is_one_objects_failure_and_the_others_go_on() {
    let fake = Fake::default();
    for name in ["bad", "good-1", "good-2"] {
        fake.put(name, "x");
    }
    let options = options();
    let stats = Arc::clone(&options.stats);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let shutdown = CancellationToken::new();
    let reconcile = {
        let seen = Arc::clone(&seen);
        move |request: Request<ConfigMap>| {
            let seen = Arc::clone(&seen);
            async move {
                assert_ne!(request.key.name, "bad", "this one breaks");
                seen.lock().unwrap().push(request.key.name);
                Ok::<_, String>(Action::Await)
            }
        }
    };
    let task = tokio::spawn(run(options, watch(&fake), vec![], reconcile, shutdown.clone()));
    eventually("the bad one is tried again, the good ones are done", || stats.panics() >= 2 && seen.lock().unwrap().len() >= 2).await;
    fake.put("good-3", "x");
    eventually("a new one is looked at", || seen.lock().unwrap().contains(&"good-3".to_owned())).await;
    shutdown.cancel();
    task.await.unwrap();
    assert_eq!(stats.running(), 0);
}

#[tokio::test]
async fn no_more_than_the_bound_run_together_and_none_twice() {
    let fake = Fake::default();
    for number in 0..20 {
        fake.put(&format!("o-{number}"), "x");
    }
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicUsize::new(0));
    let busy: Arc<Mutex<std::collections::HashSet<String>>> = Arc::default();
    let shutdown = CancellationToken::new();
    let reconcile = {
        let (now, most, done, busy) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&done), Arc::clone(&busy));
        move |request: Request<ConfigMap>| {
            let (now, most, done, busy) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&done), Arc::clone(&busy));
            async move {
                assert!(busy.lock().unwrap().insert(request.key.name.clone()), "twice at once");
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, SeqCst);
                busy.lock().unwrap().remove(&request.key.name);
                done.fetch_add(1, SeqCst);
                Ok::<_, String>(Action::Await)
            }
        }
    };
    let (kick, kicks) = futures::channel::mpsc::channel::<()>(8);
    let wake = on_wake(kicks);
    let options = options();
    let stats = Arc::clone(&options.stats);
    let task = tokio::spawn(run(options, watch(&fake), vec![wake], reconcile, shutdown.clone()));
    let mut kick = kick;
    for _ in 0..5 {
        kick.try_send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    eventually("all are done", || done.load(SeqCst) >= 20 && stats.waiting() == 0 && stats.running() == 0).await;
    shutdown.cancel();
    task.await.unwrap();
    assert_eq!(stats.panics(), 0);
    assert_eq!(most.load(SeqCst), 3);
}

#[tokio::test]
async fn shutdown_lets_what_runs_end_and_starts_nothing_new() {
    let fake = Fake::default();
    fake.put("slow", "x");
    let began = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let shutdown = CancellationToken::new();
    let reconcile = {
        let (began, ended) = (Arc::clone(&began), Arc::clone(&ended));
        move |_: Request<ConfigMap>| {
            let (began, ended) = (Arc::clone(&began), Arc::clone(&ended));
            async move {
                began.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                ended.fetch_add(1, SeqCst);
                Ok::<_, String>(Action::Requeue(Duration::ZERO))
            }
        }
    };
    let task = tokio::spawn(run(options(), watch(&fake), vec![], reconcile, shutdown.clone()));
    eventually("it began", || began.load(SeqCst) == 1).await;
    shutdown.cancel();
    task.await.unwrap();
    assert_eq!((began.load(SeqCst), ended.load(SeqCst)), (1, 1));
}
