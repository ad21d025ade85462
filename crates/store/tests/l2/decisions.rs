use store::{DecisionKind, Error, NewDecision};

use crate::fixture::{eventually, gpu, id, led, never_started, raw, store, wanted};

fn advertise(key: &str) -> NewDecision<'_> {
    NewDecision {
        kind: DecisionKind::Advertise,
        action_key: key,
        subject: serde_json::json!({ "server": "alpha" }),
        reason_code: "Proved",
        reason: "its GPUs are what they say",
    }
}

#[tokio::test]
async fn a_leader_of_the_past_decides_nothing() {
    let Some(store) = store().await else { return };
    let old = store.acquire_epoch("old").await.unwrap();
    store.grant_launch(old, &wanted(1, &[1])).await.unwrap();
    let new = store.acquire_epoch("new").await.unwrap();
    assert!(new > old);
    assert_eq!(store.leader().await.unwrap().holder, "new");

    let superseded = |result: Result<(), Error>| match result {
        Err(Error::Superseded { mine, current }) => assert_eq!((mine, current), (old, new)),
        other => panic!("{other:?}"),
    };
    superseded(store.check_epoch(old).await);
    superseded(store.decide(old, &advertise("a")).await.map(drop));
    superseded(store.grant_launch(old, &wanted(2, &[2])).await.map(drop));
    // Not even what it has decided before.
    superseded(store.grant_launch(old, &wanted(1, &[1])).await.map(drop));
    superseded(store.decide_stop(old, &id(1), "Drain", "maintenance").await.map(drop));
    superseded(store.free_claims(old, &id(1), &never_started()).await.map(drop));
    superseded(store.end_deployment(old, &id(1), "Stopped", "Drain", &never_started()).await.map(drop));
    superseded(store.begin_launch(old, &id(1)).await.map(drop));
    superseded(store.rebuild_claims(old, &[wanted(3, &[3])]).await.map(drop));
    superseded(store.begin_step(old, "advertise", "alpha", "prove", &serde_json::json!({})).await.map(drop));

    assert_eq!(store.open_claims().await.unwrap().len(), 1);
    assert_eq!(store.open_decisions().await.unwrap().len(), 1);
    store.grant_launch(new, &wanted(2, &[2])).await.unwrap();
}

#[tokio::test]
async fn a_new_epoch_waits_for_a_transaction_under_the_old_one() {
    let Some(store) = store().await else { return };
    let old = store.acquire_epoch("old").await.unwrap();
    let pool = raw(&store).await;
    let mut deciding = pool.begin().await.unwrap();
    sqlx::query("SELECT epoch FROM leader_epoch FOR SHARE").execute(&mut *deciding).await.unwrap();
    let next = tokio::spawn({
        let store = store.clone();
        async move { store.acquire_epoch("new").await }
    });
    // It is seen waiting before it is let go on.
    eventually("the new leader waits for the lock", async || {
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
                .fetch_one(&pool)
                .await
                .unwrap();
        waiting > 0
    })
    .await;
    assert_eq!(store.leader().await.unwrap().epoch, old);
    deciding.commit().await.unwrap();
    assert!(next.await.unwrap().unwrap() > old);
}

#[tokio::test]
async fn one_action_is_decided_once() {
    let Some((store, epoch)) = led().await else { return };
    let first = store.decide(epoch, &advertise("advertise/alpha/1")).await.unwrap();
    assert!(first.fresh);
    assert_eq!(first.decision.epoch, epoch);
    let second = store.decide(epoch, &advertise("advertise/alpha/1")).await.unwrap();
    assert!(!second.fresh);
    assert_eq!(second.decision, first.decision);
    assert_eq!(store.decision("advertise/alpha/1").await.unwrap(), Some(first.decision));
    let other = NewDecision { kind: DecisionKind::Withdraw, ..advertise("advertise/alpha/1") };
    assert!(matches!(store.decide(epoch, &other).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_finished_decision_is_not_open_and_keeps_its_outcome() {
    let Some((store, epoch)) = led().await else { return };
    let decision = store.decide(epoch, &advertise("a")).await.unwrap().decision;
    assert!(store.finish_decision(epoch, decision.id, "done").await.unwrap());
    assert!(!store.finish_decision(epoch, decision.id, "failed").await.unwrap());
    assert_eq!(store.open_decisions().await.unwrap(), []);
    let kept = store.decision(advertise("a").action_key).await.unwrap().unwrap();
    assert_eq!(kept.outcome.as_deref(), Some("done"));
    assert!(kept.finished_at.unwrap() >= kept.created_at);
}

#[tokio::test]
async fn a_launch_asked_for_twice_is_granted_once() {
    let Some((store, epoch)) = led().await else { return };
    let first = store.grant_launch(epoch, &wanted(1, &[2, 1])).await.unwrap();
    assert!(first.fresh);
    assert_eq!(first.deployment.phase, "Pending");
    // The order of GPUs is the caller's: the first is the container's device 0.
    assert_eq!(first.deployment.gpus, [gpu(2), gpu(1)]);
    let second = store.grant_launch(epoch, &wanted(1, &[2, 1])).await.unwrap();
    assert!(!second.fresh);
    assert_eq!(second.deployment, first.deployment);
    assert_eq!(second.decision, first.decision);
    assert_eq!(store.open_claims().await.unwrap().len(), 2);

    let mut other = wanted(1, &[3]);
    assert!(matches!(store.grant_launch(epoch, &other).await, Err(Error::Invalid(_))), "same key, other GPUs");
    other.action_key = "launch/another".to_owned();
    assert!(matches!(store.grant_launch(epoch, &other).await, Err(Error::AlreadyExists(_))), "same id, other key");
    assert!(matches!(store.grant_launch(epoch, &wanted(5, &[])).await, Err(Error::Invalid(_))));
    assert!(matches!(store.grant_launch(epoch, &wanted(5, &[6, 6])).await, Err(Error::Invalid(_))));
    assert_eq!(store.open_claims().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_stop_is_decided_once_whatever_the_reason() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    assert_eq!(store.stop_decision(&id(1)).await.unwrap(), None);
    let first = store.decide_stop(epoch, &id(1), "Drain", "maintenance").await.unwrap();
    assert!(first.fresh);
    let second = store.decide_stop(epoch, &id(1), "Preempted", "better offer").await.unwrap();
    assert!(!second.fresh);
    assert_eq!(second.decision, first.decision);
    assert_eq!(store.stop_decision(&id(1)).await.unwrap(), Some(first.decision));
    assert!(matches!(store.decide_stop(epoch, &id(9), "Drain", "maintenance").await, Err(Error::NotFound(_))));
}
