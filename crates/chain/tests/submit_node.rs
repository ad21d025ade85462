//! Sending through a node that loses connections, forgets and refuses.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/front.rs"]
mod front;

use std::time::Duration;

use chain::read::{AccountId, Runtime};
use chain::submit::{Account, Axon, Call, DryRun, Found, Outcome, SubmitError};
use chain::wallet::key_from_uri;
use chain_sim::{METADATA_V14, METADATA_V15, METADATA_V16, World, unpack};
use front::{Fate, Front, NONCE};
use serde_json::json;

fn transfer() -> Call {
    Call::Transfer { to: AccountId([9; 32]), rao: 1, keep_alive: true }
}

fn serve() -> Call {
    Call::ServeAxon { netuid: 2, axon: Axon::new("203.0.113.7".parse().unwrap(), 8091, 0).unwrap() }
}

fn account(front: &Front) -> Account {
    Account::new(front.chain(), key_from_uri("//Alice").unwrap().into_keypair()).valid_for(8).patient_for(Duration::ZERO)
}

async fn send_call(front: &Front, call: Call) -> Result<Outcome, SubmitError> {
    let mut account = account(front);
    let prepared = account.prepare(call).await.unwrap();
    assert_eq!(prepared.signing().nonce, NONCE);
    prepared.submit().await
}

async fn send(front: &Front) -> Result<Outcome, SubmitError> {
    send_call(front, transfer()).await
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

/// What one node refuses, another may hold that was cut off before it answered.
#[tokio::test]
async fn a_refusal_after_a_broken_connection_proves_nothing() {
    for refusal in
        [Fate::Refused("Transaction is outdated"), Fate::Refused("Custom error: 6"), Fate::RefusedAs(1014), Fate::RefusedAs(1016)]
    {
        let front = Front::start(&[Fate::HeldAndCut, refusal]).await;
        assert_eq!(send(&front).await.unwrap().block.number, 1001, "{refusal:?}");
        let sent = front.sent();
        assert_eq!((sent.len(), &sent[0]), (2, &sent[1]), "the same bytes");
    }
    let front = Front::start(&[Fate::HeldAnd(-32603), Fate::RefusedAs(1014)]).await;
    assert_eq!(send(&front).await.unwrap().block.number, 1001, "something on the way failed, not the pool");
}

/// The twin: what was lost, and then refused, is in no block, and that is known when none can have it any more.
#[tokio::test]
async fn a_refusal_after_a_broken_connection_is_waited_out() {
    let front = Front::start(&[Fate::Cut, Fate::RefusedAs(1016)]).await;
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        front.change(|world| world.advance(20));
    };
    let (result, ()) = tokio::join!(send(&front), later);
    let error = result.unwrap_err();
    assert!(matches!(error, SubmitError::Expired { last_block: 1004 }), "{error}");
}

#[tokio::test]
async fn what_no_node_was_handed_was_not_sent() {
    let front = Front::start(&[Fate::Included]).await;
    let mut account = account(&front);
    let prepared = account.prepare(transfer()).await.unwrap();
    front.die();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = prepared.submit().await.unwrap_err();
    assert!(matches!(error, SubmitError::Read(_)) && error.nothing_happened(), "{error}");
    assert_eq!(front.sent().len(), 0);
}

#[tokio::test]
async fn a_block_that_a_node_has_not_heard_of_is_asked_for_again() {
    let front = Front::start(&[Fate::Included]).await;
    front.forget_blocks(2);
    let mut account = account(&front).patient_for(Duration::from_secs(60));
    assert_eq!(account.prepare(transfer()).await.unwrap().submit().await.unwrap().block.number, 1001);
}

#[tokio::test]
async fn what_is_unknown_is_found_later() {
    let front = Front::start(&[Fate::HeldAndCut, Fate::Waiting]).await;
    front.forget_blocks(u32::MAX);
    let error = send(&front).await.unwrap_err();
    let trace = error.trace().unwrap();
    assert!(!error.nothing_happened(), "{error}");
    front.forget_blocks(0);
    assert_eq!(trace.outcome(&front.chain(), Duration::ZERO).await.unwrap().block.number, 1001);
    let Found::In { block, index } = trace.look(&front.chain(), Duration::ZERO).await.unwrap() else { panic!("it is in one") };
    assert_eq!((block.number, index), (1001, 1));
}

/// An error of a block that brings the next runtime is still numbered by the one before.
#[tokio::test]
async fn an_error_has_the_name_that_it_had_in_its_block() {
    let mut next = unpack(METADATA_V16).unwrap();
    let (name, other) = (b"InvalidIpType", b"InvalidIpNext");
    let places: Vec<_> = next.windows(name.len()).enumerate().filter(|(_, window)| window == name).map(|(at, _)| at).collect();
    for at in places {
        next[at..at + name.len()].copy_from_slice(other);
    }

    let front = Front::start(&[Fate::Included]).await;
    front.change(|world| world.set_runtime(1001, 365, next));
    // While extrinsic 1 was applied, System.ExtrinsicFailed, of a module, of no weight, normal, paid.
    front.set_events(vec![4, 0, 1, 0, 0, 0, 0, 1, 3, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let failure = send(&front).await.unwrap().failure.unwrap();
    assert_eq!(failure.name, "SubtensorModule.InvalidIpType");
}

#[tokio::test]
async fn fee_and_dry_run_need_no_description_of_the_runtimes_calls() {
    let info = [&[0xe2, 0xfa, 0x6b, 0x35, 0x25, 0x38, 0][..], &136_000u64.to_le_bytes()].concat();
    for metadata in [METADATA_V14, METADATA_V15] {
        let front = Front::of(World::new(1000, 343, unpack(metadata).unwrap()), &[Fate::Included]).await;
        front.answer("BlockBuilder_apply_extrinsic", json!("0x010001"));
        front.answer("payment_queryInfo", json!({"class": "normal", "partialFee": "124000"}));
        let mut account = account(&front);
        let prepared = account.prepare(transfer()).await.unwrap();
        let tried = prepared.dry_run().await.unwrap();
        let DryRun::Refused(refusal) = &tried else { panic!("{tried:?}") };
        assert_eq!(refusal.meaning, Some("the account cannot pay the fee"));
        // As long as the runtime cannot be asked.
        assert_eq!(prepared.fee().await.unwrap(), 124_000);
        front.answer("TransactionPaymentApi_query_info", json!(format!("0x{}", hex::encode(&info))));
        assert_eq!(prepared.fee().await.unwrap(), 136_000);
        assert_eq!(front.sent().len(), 0);
        assert_eq!(prepared.submit().await.unwrap().block.number, 1001);
    }
}

#[tokio::test]
async fn extrinsics_that_wait_already_are_told_of() {
    let front = Front::start(&[Fate::Included]).await;
    let runtime = Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
    let key = runtime.storage_key("System", "Account", (account(&front).id().0,)).unwrap();
    let mut account = account(&front);
    assert_eq!(account.prepare(transfer()).await.unwrap().waiting(), NONCE, "of a new account");
    // Nonce, three counters, free, reserved, frozen, flags.
    let state = |nonce: u32| Some([&nonce.to_le_bytes()[..], &[0; 12], &[0; 24], &[0; 16]].concat());
    for used in [NONCE - 1, NONCE] {
        front.change(|world| world.set_storage(0, key.clone(), state(used)));
        let prepared = account.prepare(transfer()).await.unwrap();
        assert_eq!((prepared.waiting(), prepared.signing().nonce), (NONCE - used, NONCE));
    }
    // The node that counts those in its pool lags behind.
    front.change(|world| world.set_storage(0, key.clone(), state(NONCE + 2)));
    let prepared = account.prepare(transfer()).await.unwrap();
    assert_eq!((prepared.waiting(), prepared.signing().nonce), (0, NONCE + 2));
}

#[tokio::test]
async fn a_newest_block_older_than_the_final_one_is_not_stood_on() {
    let front = Front::start(&[Fate::Included]).await;
    let mut before = [0; 32];
    front.change(|world| before = world.hash(990).unwrap());
    front.answer("chain_getHead", json!(format!("0x{}", hex::encode(before))));
    let mut account = account(&front);
    assert_eq!(account.prepare(transfer()).await.unwrap().at().block().number, 998);
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
    let (mut account, mut told) = (account(&front), Vec::new());
    let outcome = account.prepare(serve()).await.unwrap().submit_telling(|trace| told.push(trace)).await.unwrap();
    assert_eq!(outcome.failure, None);
    let sent = front.sent();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);
    // Who does not wait for the end must look for the second.
    assert_eq!(told.len(), 2);
    assert!(matches!(told[0].look(&front.chain(), Duration::ZERO).await.unwrap(), Found::NotYet { .. }));
    assert_eq!(told[1].look(&front.chain(), Duration::ZERO).await.unwrap(), Found::In { block: outcome.block, index: 1 });

    let front = Front::start(&[Fate::Overtaken]).await;
    assert!(matches!(send_call(&front, serve()).await, Err(SubmitError::Refused(_))));
    assert_eq!(front.sent().len(), 2, "and not for ever");
}

/// Whoever used the nonce may have made the same payment.
#[tokio::test]
async fn a_transfer_whose_nonce_was_used_meanwhile_is_not_made_again() {
    let front = Front::start(&[Fate::Overtaken, Fate::Included]).await;
    let error = send(&front).await.unwrap_err();
    assert!(matches!(error, SubmitError::Refused(_)) && error.nothing_happened(), "{error}");
    assert_eq!(front.sent().len(), 1);
}

#[tokio::test]
async fn when_the_node_dies_nothing_is_known() {
    let front = Front::start(&[Fate::Death]).await;
    let error = send(&front).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unknown { last_block: 1004, .. }) && !error.nothing_happened(), "{error}");
    assert_eq!(front.sent().len(), 1);
}
