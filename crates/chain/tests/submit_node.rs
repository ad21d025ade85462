//! Sending through a node that loses connections, forgets and refuses.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/front.rs"]
mod front;

use chain::read::AccountId;
use chain::submit::{Account, Call, Outcome, SubmitError};
use chain::wallet::key_from_uri;
use front::{Fate, Front, NONCE};

async fn send(front: &Front) -> Result<Outcome, SubmitError> {
    let key = key_from_uri("//Alice").unwrap().into_keypair();
    let mut account = Account::new(front.chain(), key).valid_for(8);
    let prepared = account.prepare(Call::Transfer { to: AccountId([9; 32]), rao: 1, keep_alive: true }).await.unwrap();
    assert_eq!(prepared.signing().nonce, NONCE);
    prepared.submit().await
}

#[tokio::test]
async fn an_extrinsic_is_found_in_the_block_that_took_it() {
    let front = Front::start(&[Fate::Included]).await;
    let outcome = send(&front).await.unwrap();
    assert_eq!((outcome.block.number, outcome.index, outcome.failure, outcome.events.len()), (1001, 1, None, 1));
    assert_eq!(front.sent().len(), 1);
}

#[tokio::test]
async fn one_that_was_taken_before_the_connection_broke_is_found_and_not_signed_again() {
    for fates in [[Fate::IncludedAndCut, Fate::Refused("Transaction is outdated")], [Fate::Cut, Fate::Waiting]] {
        let front = Front::start(&fates).await;
        assert_eq!(send(&front).await.unwrap().block.number, 1001, "{fates:?}");
        let sent = front.sent();
        assert_eq!((sent.len(), &sent[0]), (2, &sent[1]), "the same bytes");
    }
}

#[tokio::test]
async fn one_that_no_block_took_is_over_when_its_last_block_is_final() {
    let front = Front::start(&[Fate::Forgotten]).await;
    let error = send(&front).await.unwrap_err();
    // Born one before the newest final block, which is two before the newest of all.
    assert!(matches!(error, SubmitError::Expired { last_block: 1004 }) && error.nothing_happened(), "{error}");
}

#[tokio::test]
async fn a_refusal_is_told_and_nothing_is_sent_again() {
    let front = Front::start(&[Fate::Refused("Custom error: 2")]).await;
    let error = send(&front).await.unwrap_err();
    let SubmitError::Refused(refusal) = &error else { panic!("{error}") };
    assert_eq!(refusal.meaning, Some("the balance is too low"));
    assert_eq!((front.sent().len(), error.nothing_happened()), (1, true));
}

#[tokio::test]
async fn one_whose_nonce_was_used_meanwhile_is_signed_once_more() {
    let front = Front::start(&[Fate::Overtaken, Fate::Included]).await;
    assert_eq!(send(&front).await.unwrap().failure, None);
    let sent = front.sent();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);

    let front = Front::start(&[Fate::Overtaken]).await;
    assert!(matches!(send(&front).await, Err(SubmitError::Refused(_))));
    assert_eq!(front.sent().len(), 2, "and not for ever");
}

#[tokio::test]
async fn when_the_node_dies_nothing_is_known() {
    let front = Front::start(&[Fate::Death]).await;
    let error = send(&front).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unknown { last_block: 1004, .. }) && !error.nothing_happened(), "{error}");
    assert_eq!(front.sent().len(), 1);
}
