use protocol::ids::ConfigId;
use store::{AttemptState, Error, Settled};

use crate::fixture::{asked, id, led, never_started, wanted};

fn config(number: u32) -> ConfigId {
    format!("config-{number}").parse().unwrap()
}

#[tokio::test]
async fn one_attempt_at_a_time_and_none_after_a_claim() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    let first = asked(&store, epoch, 1).await;
    assert_eq!((first.attempt, first.state), (1, AttemptState::Asked));
    assert!(matches!(store.begin_launch(epoch, &id(1)).await, Err(Error::AlreadyExists(_))), "while asked");
    assert!(store.settle_attempt(first.id, Settled::Refused, "423: no capacity wanted").await.unwrap());

    let second = asked(&store, epoch, 1).await;
    assert_eq!(second.attempt, 2);
    store.record_config(second.id, &config(2)).await.unwrap();
    store.record_config(second.id, &config(2)).await.unwrap();
    assert!(matches!(store.record_config(second.id, &config(3)).await, Err(Error::Invalid(_))));
    assert!(matches!(store.begin_launch(epoch, &id(1)).await, Err(Error::AlreadyExists(_))), "while received");
    assert!(store.settle(&config(2), Settled::Expired).await.unwrap());

    let third = asked(&store, epoch, 1).await;
    store.record_config(third.id, &config(3)).await.unwrap();
    assert!(store.settle(&config(3), Settled::Claimed).await.unwrap());
    assert!(!store.settle(&config(3), Settled::Claimed).await.unwrap());
    assert!(matches!(store.begin_launch(epoch, &id(1)).await, Err(Error::AlreadyExists(_))), "after a claim");
    assert!(matches!(store.settle(&config(3), Settled::Expired).await, Err(Error::Invalid(_))));
    assert_eq!(store.open_attempts().await.unwrap(), []);
    assert_eq!(store.attempts(&id(1)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn every_refusal_counts_from_its_moment_and_a_grant_ends_them() {
    let Some((store, epoch)) = led().await else { return };
    for number in [1, 2, 3] {
        store.grant_launch(epoch, &wanted(number, &[number])).await.unwrap();
    }
    for number in [1, 1, 2] {
        let attempt = asked(&store, epoch, number).await;
        store.settle_attempt(attempt.id, Settled::Refused, "423: at target capacity").await.unwrap();
    }
    asked(&store, epoch, 3).await;
    let told = |refusals: Vec<store::Refusals>| refusals.into_iter().map(|one| (one.deployment, one.times)).collect::<Vec<_>>();
    // None of the deployments has ended; the third waits for its answer.
    assert_eq!(told(store.refusals_recent(10).await.unwrap()), [(id(1), 2), (id(2), 1)]);
    assert_eq!(told(store.refusals_recent(2).await.unwrap()), [(id(2), 1)], "of the latest two");
    let attempts = store.attempts(&id(1)).await.unwrap();
    assert_eq!(Some(store.refusals_recent(10).await.unwrap()[0].last), attempts[1].settled_at);
    asked(&store, epoch, 2).await;
    assert_eq!(told(store.refusals_recent(10).await.unwrap()), [(id(1), 2)]);
}

#[tokio::test]
async fn two_at_once_ask_once() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    let one = id(1);
    let (a, b) = tokio::join!(store.begin_launch(epoch, &one), store.begin_launch(epoch, &one));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
}

#[tokio::test]
async fn what_a_dead_leader_asked_for_is_given_up() {
    let Some((store, old)) = led().await else { return };
    store.grant_launch(old, &wanted(1, &[1])).await.unwrap();
    store.grant_launch(old, &wanted(2, &[2])).await.unwrap();
    store.grant_launch(old, &wanted(3, &[3])).await.unwrap();
    let lost = asked(&store, old, 1).await;
    let received = asked(&store, old, 2).await;
    store.record_config(received.id, &config(2)).await.unwrap();

    let new = store.acquire_epoch("second").await.unwrap();
    let own = asked(&store, new, 3).await;
    let given_up = store.abandon_unanswered(new).await.unwrap();
    assert_eq!(given_up.iter().map(|attempt| attempt.id).collect::<Vec<_>>(), [lost.id]);
    // A config that was received can still be claimed; the asking of now can still be answered.
    let open: Vec<_> = store.open_attempts().await.unwrap().into_iter().map(|attempt| attempt.id).collect();
    assert_eq!(open, [received.id, own.id]);
    assert_eq!(store.abandon_unanswered(new).await.unwrap(), []);
    assert_eq!(asked(&store, new, 1).await.attempt, 2);
}

#[tokio::test]
async fn a_job_is_asked_for_once() {
    let Some((store, epoch)) = led().await else { return };
    for number in [1, 2] {
        let mut wanted = wanted(number, &[number]);
        wanted.job_id = Some("job-1".parse().unwrap());
        store.grant_launch(epoch, &wanted).await.unwrap();
    }
    let first = asked(&store, epoch, 1).await;
    assert!(matches!(store.begin_launch(epoch, &id(2)).await, Err(Error::AlreadyExists(_))));
    store.settle_attempt(first.id, Settled::Abandoned, "answer lost").await.unwrap();
    assert!(matches!(store.begin_launch(epoch, &id(1)).await, Err(Error::AlreadyExists(_))), "it may have been heard");
    assert!(matches!(store.begin_launch(epoch, &id(2)).await, Err(Error::AlreadyExists(_))));
}

#[tokio::test]
async fn two_deployments_of_one_job_ask_once() {
    let Some((store, epoch)) = led().await else { return };
    for number in 1..=8 {
        let mut wanted = wanted(number, &[number]);
        wanted.job_id = Some("job-1".parse().unwrap());
        store.grant_launch(epoch, &wanted).await.unwrap();
    }
    let asking: Vec<_> = (1..=8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.begin_launch(epoch, &id(number)).await.is_ok() })
        })
        .collect();
    let mut asked = 0;
    for one in asking {
        asked += usize::from(one.await.unwrap());
    }
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn nobody_launches_on_a_gpu_given_back() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    store.free_claims(epoch, &id(1), &never_started()).await.unwrap();
    assert!(matches!(store.begin_launch(epoch, &id(1)).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_deployment_to_be_stopped_asks_for_nothing() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    store.decide_stop(epoch, &id(1), "Drain", "maintenance").await.unwrap();
    assert!(matches!(store.begin_launch(epoch, &id(1)).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn an_instance_found_late_corrects_the_ledger() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    let attempt = asked(&store, epoch, 1).await;
    assert!(matches!(store.settle_attempt(attempt.id, Settled::Claimed, "").await, Err(Error::Invalid(_))), "no config yet");
    store.record_config(attempt.id, &config(1)).await.unwrap();
    store.settle(&config(1), Settled::Expired).await.unwrap();
    assert!(store.settle(&config(1), Settled::Claimed).await.unwrap());
    assert!(matches!(store.settle(&config(7), Settled::Claimed).await, Err(Error::NotFound(_))));
}
