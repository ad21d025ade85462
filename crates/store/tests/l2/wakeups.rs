use std::time::Duration;

use store::{Error, Publisher, Topic, Wakeups, Woken};

use crate::fixture::{PATIENCE, eventually, led, redis, store, wanted};

/// Waits for a message; a tick means it never came.
async fn woken(wakeups: &mut Wakeups) {
    assert_eq!(wakeups.recv_or_tick(PATIENCE).await, Woken::Message);
}

/// A subscription that stands, with the wake-up of its own beginning taken.
async fn subscribed(url: &str, topic: Topic) -> Wakeups {
    let mut wakeups = Wakeups::subscribe(url, &[topic]).unwrap();
    woken(&mut wakeups).await;
    wakeups
}

#[tokio::test]
async fn a_commit_wakes_those_who_wait_on_its_topic() {
    let Some((store, epoch)) = led().await else { return };
    let Some(redis) = redis() else { return };
    let mut deployments = subscribed(&redis.url(), Topic::Deployments).await;
    let mut servers = subscribed(&redis.url(), Topic::Servers).await;
    let publisher = tokio::spawn(Publisher::new(store.clone(), &redis.url()).unwrap().run());
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    woken(&mut deployments).await;
    // The other one was awake too, and had heard nothing by then.
    assert_eq!(servers.recv_or_tick(Duration::ZERO).await, Woken::Tick);
    store.announce(Topic::Servers).await.unwrap();
    woken(&mut servers).await;
    eventually("everything is marked", async || store.outbox_waiting().await.unwrap() == 0).await;
    publisher.abort();
}

#[tokio::test]
async fn what_is_rolled_back_wakes_nobody() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    assert_eq!(store.outbox_waiting().await.unwrap(), 1);
    assert!(matches!(store.grant_launch(epoch, &wanted(2, &[1])).await, Err(Error::ClaimConflict { .. })));
    assert_eq!(store.outbox_waiting().await.unwrap(), 1);
}

#[tokio::test]
async fn redis_killed_flushed_and_restarted_loses_nothing_but_wake_ups() {
    let Some((store, epoch)) = led().await else { return };
    let Some(mut redis) = redis() else { return };
    let mut wakeups = subscribed(&redis.url(), Topic::Deployments).await;
    let mut publisher = Publisher::new(store.clone(), &redis.url()).unwrap();
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    assert_eq!(publisher.publish_waiting().await.unwrap(), 1);
    woken(&mut wakeups).await;

    redis.flush().unwrap();
    store.grant_launch(epoch, &wanted(2, &[2])).await.unwrap();
    assert_eq!(publisher.publish_waiting().await.unwrap(), 1);
    woken(&mut wakeups).await;

    redis.halt();
    // Decisions go on; the wake-up waits, the waiting polls.
    store.grant_launch(epoch, &wanted(3, &[3])).await.unwrap();
    assert!(publisher.publish_waiting().await.unwrap_err().is_unavailable());
    assert_eq!(store.outbox_waiting().await.unwrap(), 1);
    eventually("the loss is noticed", async || !wakeups.connected()).await;
    assert_eq!(wakeups.recv_or_tick(Duration::from_millis(10)).await, Woken::Tick);

    redis.resume().unwrap();
    // The first wake-up is the reconnection's own, for what may have been missed.
    woken(&mut wakeups).await;
    eventually("the subscriber is back", async || redis.subscribers(Topic::Deployments.channel()).unwrap() == 1).await;
    eventually("the publisher is back", async || publisher.publish_waiting().await.is_ok()).await;
    woken(&mut wakeups).await;
    assert_eq!(store.outbox_waiting().await.unwrap(), 0);
    assert_eq!(store.open_claims().await.unwrap().len(), 3);
}

#[tokio::test]
async fn without_redis_the_outbox_stays_bounded() {
    let Some(store) = store().await else { return };
    let publisher = Publisher::new(store.clone(), "redis://127.0.0.1:1/").unwrap();
    store.announce(Topic::Plan).await.unwrap();
    assert_eq!(publisher.drop_old().await.unwrap(), 0, "young rows wait");
    assert_eq!(publisher.keeping(Duration::ZERO).drop_old().await.unwrap(), 1);
    assert_eq!(store.outbox_waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn two_publishers_share_the_rows() {
    let Some(store) = store().await else { return };
    let Some(redis) = redis() else { return };
    for _ in 0..20 {
        store.announce(Topic::Plan).await.unwrap();
    }
    let mut one = Publisher::new(store.clone(), &redis.url()).unwrap();
    let mut two = Publisher::new(store.clone(), &redis.url()).unwrap();
    let (a, b) = tokio::join!(one.publish_waiting(), two.publish_waiting());
    assert_eq!(a.unwrap() + b.unwrap(), 20);
}
