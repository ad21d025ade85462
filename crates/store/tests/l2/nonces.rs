use jiff::{SignedDuration, Timestamp};
use store::{Error, Freshness};

use crate::fixture::store;

#[tokio::test]
async fn of_many_replicas_served_the_same_request_one_takes_it() {
    let Some(store) = store().await else { return };
    let expires = Timestamp::now() + SignedDuration::from_secs(600);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.remember_nonce(&[7; 32], expires).await })
        })
        .collect();
    let mut fresh = 0;
    for task in tasks {
        fresh += usize::from(task.await.unwrap().unwrap() == Freshness::Fresh);
    }
    assert_eq!(fresh, 1);
    assert_eq!(store.remember_nonce(&[8; 32], expires).await.unwrap(), Freshness::Fresh);
}

#[tokio::test]
async fn what_has_expired_is_forgotten_and_nothing_else() {
    let Some(store) = store().await else { return };
    let past = Timestamp::now() - SignedDuration::from_secs(600);
    let future = Timestamp::now() + SignedDuration::from_secs(600);
    store.remember_nonce(&[1; 32], past).await.unwrap();
    store.remember_nonce(&[2; 32], future).await.unwrap();
    assert_eq!(store.remember_nonce(&[1; 32], past).await.unwrap(), Freshness::Fresh, "expired even before the purge");
    assert_eq!(store.purge_nonces().await.unwrap(), 1);
    assert_eq!(store.remember_nonce(&[2; 32], future).await.unwrap(), Freshness::Replay);
}

#[tokio::test]
async fn a_hash_of_another_length_is_refused() {
    let Some(store) = store().await else { return };
    assert!(matches!(store.remember_nonce(&[], Timestamp::now()).await, Err(Error::Invalid(_))));
}
