use protocol::ids::ConfigId;
use store::{AttemptState, Error, Settled};

use crate::fixture::{asked, at, gone, id, led, never_started, wanted};

#[tokio::test]
async fn phases_are_a_history_without_repetition() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    assert!(store.record_phase(&id(1), "Granted", "TokenReceived", at(1)).await.unwrap());
    assert!(!store.record_phase(&id(1), "Granted", "TokenReceived", at(2)).await.unwrap());
    assert!(store.record_phase(&id(1), "Starting", "Applied", at(3)).await.unwrap());
    assert!(store.record_phase(&id(1), "Granted", "TokenReceived", at(4)).await.unwrap(), "back again is news");
    let phases: Vec<_> = store.phases(&id(1)).await.unwrap().into_iter().map(|change| change.phase).collect();
    assert_eq!(phases, ["Pending", "Granted", "Starting", "Granted"]);
    let now = store.deployment(&id(1)).await.unwrap().unwrap();
    assert_eq!((now.phase.as_str(), now.phase_at), ("Granted", at(4)));
    assert!(matches!(store.record_phase(&id(9), "Granted", "", at(1)).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn the_end_frees_the_gpus_and_closes_everything_open() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    let config: ConfigId = "config-1".parse().unwrap();
    let attempt = asked(&store, epoch, 1).await;
    store.record_config(attempt.id, &config).await.unwrap();
    store.decide_stop(epoch, &id(1), "Drain", "maintenance").await.unwrap();

    assert!(store.end_deployment(epoch, &id(1), "Stopped", "Drain", &gone()).await.unwrap());
    assert!(!store.end_deployment(epoch, &id(1), "Stopped", "Drain", &gone()).await.unwrap());

    assert_eq!(store.open_claims().await.unwrap(), []);
    assert_eq!(store.open_decisions().await.unwrap(), []);
    assert_eq!(store.open_attempts().await.unwrap(), []);
    assert_eq!(store.attempts(&id(1)).await.unwrap()[0].state, AttemptState::Settled(Settled::Abandoned));
    assert_eq!(store.deployments_open().await.unwrap(), []);
    let ended = store.deployment(&id(1)).await.unwrap().unwrap();
    assert_eq!((ended.phase.as_str(), ended.end_reason.as_deref()), ("Stopped", Some("Drain")));
    assert_eq!(store.deployments_recent(5).await.unwrap(), [ended]);

    // The stop that was decided is still told; nothing else happens to it.
    assert!(!store.decide_stop(epoch, &id(1), "Again", "again").await.unwrap().fresh);
    assert!(matches!(store.record_phase(&id(1), "Active", "", at(1)).await, Err(Error::AlreadyEnded(_))));
    assert!(matches!(store.begin_launch(epoch, &id(1)).await, Err(Error::AlreadyEnded(_))));
}

#[tokio::test]
async fn an_end_without_proof_is_no_end() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    asked(&store, epoch, 1).await;
    assert!(store.end_deployment(epoch, &id(1), "Failed", "Timeout", &never_started()).await.is_err());
    assert_eq!(store.deployments_open().await.unwrap().len(), 1);
    assert_eq!(store.open_claims().await.unwrap().len(), 1);
    assert_eq!(store.open_attempts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_ended_by_itself_is_not_stopped_any_more() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    store.end_deployment(epoch, &id(1), "Failed", "ImagePull", &never_started()).await.unwrap();
    assert!(matches!(store.decide_stop(epoch, &id(1), "Drain", "late").await, Err(Error::AlreadyEnded(_))));
    assert_eq!(store.stop_decision(&id(1)).await.unwrap(), None);
}
