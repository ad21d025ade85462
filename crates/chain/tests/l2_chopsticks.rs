//! Extrinsics on a real runtime: subtensor of spec version 218, run by `@acala-network/chopsticks` from npm, with real signatures.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/chopsticks.rs"]
mod chopsticks;

use std::time::Duration;

use chain::read::{AccountId, Chain, ReadError, SubnetInfo};
use chain::submit::{Account, Axon, Call, DryRun, Place, Registered, SubmitError, Warning, Weights, quote, registered, warnings};
use chain::wallet::key_from_uri;
use chopsticks::Node;
use protocol::key::Keypair;
use serde_json::json;

const SUBNET: u16 = 1;
const PRICE: u64 = 500_000_000;
const TAO: u64 = 1_000_000_000;

fn key(uri: &str) -> Keypair {
    key_from_uri(uri).unwrap().into_keypair()
}

fn id(uri: &str) -> AccountId {
    AccountId::from(key(uri).address())
}

/// A subnet that takes registrations at [`PRICE`], and //Alice with 100 TAO.
async fn furnish(node: &Node) {
    let funds = json!({"providers": 1, "data": {"free": 100 * TAO}});
    let storage = json!({
        "System": {"Account": [[[id("//Alice")], funds]]},
        "SubtensorModule": {
            "NetworksAdded": [[[SUBNET], true]],
            "NetworkRegistrationAllowed": [[[SUBNET], true]],
            "MaxAllowedUids": [[[SUBNET], 4]],
            "SubnetIdentities": [[[SUBNET], {"subnetName": "0x4170", "githubRepo": "0x", "subnetContact": "0x61"}]],
            "Burn": [[[SUBNET], PRICE]],
            "MinBurn": [[[SUBNET], PRICE]],
            "TargetRegistrationsPerInterval": [[[SUBNET], 100]],
            "MaxRegistrationsPerBlock": [[[SUBNET], 100]],
            // Not 0, which this node takes for nothing.
            "WeightsSetRateLimit": [[[SUBNET], 1]],
        },
    });
    node.ask("dev_setStorage", json!([storage])).await;
    node.ask("dev_newBlock", json!([{"count": 3}])).await;
}

fn register(hotkey: &str, limit_rao: u64) -> Call {
    Call::Register { netuid: SUBNET, hotkey: id(hotkey), limit_rao }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_registers_serves_weighs_and_transfers() {
    let Some(node) = Node::start().await else { return };
    let chain = node.chain();
    furnish(&node).await;
    subnets(&chain).await;
    registration(&chain).await;
    what_is_refused(&chain).await;
    serving(&chain).await;
    weights(&node, &chain).await;
    transfers(&node, &chain).await;
    eras(&node, &chain).await;
}

/// This runtime answers with bytes in bytes.
async fn subnets(chain: &Chain) {
    let at = chain.at_finalized().await.unwrap();
    assert_eq!(at.runtime().spec_version(), 218);
    let info = at.subnet_info(SUBNET).await.unwrap();
    assert_eq!((info.netuid, info.max_allowed_uids, info.burn), (SUBNET, 4, PRICE));
    assert!(matches!(at.subnet_info(77).await, Err(ReadError::NoSuchSubnet(77))));
    let all = at.subnet_infos().await.unwrap();
    let named = info.identity.as_ref().map(|identity| (identity.subnet_name.0.as_str(), identity.subnet_contact.0.as_str()));
    assert_eq!(named, Some(("Ap", "a")));
    // The list is without names, whatever its call is called.
    let info = SubnetInfo { identity: None, ..info };
    assert_eq!(all.iter().find(|one| one.netuid == SUBNET), Some(&info), "{all:?}");
    let parameters = at.hyperparameters(SUBNET).await.unwrap();
    assert_eq!(parameters.get("min_burn").and_then(chain::read::scale::Value::as_u64), Some(PRICE));
}

async fn registration(chain: &Chain) {
    let mut alice = Account::new(chain.clone(), key("//Alice"));
    let at = chain.at_finalized().await.unwrap();
    let quoted = quote(&at, SUBNET, id("//Bob"), id("//Alice")).await.unwrap();
    assert_eq!((quoted.price_rao, quoted.balance_rao, quoted.max_uids, quoted.registered_as), (PRICE, 100 * TAO, 4, None));
    assert!(!quoted.limit_is_held);
    assert_eq!((quoted.open, quoted.left_in_interval, quoted.place), (true, Some(300), Place::Free));
    let told = warnings(&at, &register("//Bob", PRICE), id("//Alice"), Some(64)).await.unwrap();
    assert_eq!(told, [Warning::LimitNotHeld]);

    let error = alice.prepare(register("//Bob", PRICE - 1)).await.unwrap_err();
    assert!(matches!(error, SubmitError::TooDear { price_rao: PRICE, .. }), "{error}");

    let prepared = alice.prepare(register("//Bob", PRICE)).await.unwrap();
    assert_eq!(prepared.dry_run().await.unwrap(), DryRun::Succeeds);
    // Runtimes of this age take no fee for it, later ones do.
    let fee = prepared.fee().await.unwrap();
    assert_eq!(registered(&chain.at_finalized().await.unwrap(), SUBNET, id("//Bob")).await.unwrap(), None, "nothing was sent so far");
    let outcome = prepared.submit().await.unwrap();
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.fee_rao.unwrap_or_default(), fee);
    let event = outcome.event("SubtensorModule", "NeuronRegistered").unwrap();
    let uid = event.fields.item(1).and_then(chain::read::scale::Value::as_u16).unwrap();
    assert_eq!(event.fields.item(2).unwrap().as_account(), Some(id("//Bob")));
    let at = chain.at(outcome.block).await.unwrap();
    assert_eq!(registered(&at, SUBNET, id("//Bob")).await.unwrap(), Some(Registered { uid, block: outcome.block.number }));
    assert_eq!(at.account(id("//Alice")).await.unwrap().data.free, 100 * TAO - PRICE - fee);
    assert_eq!(quote(&at, SUBNET, id("//Bob"), id("//Alice")).await.unwrap().registered_as, Some(uid));
}

/// A dry run says what then happens.
async fn what_is_refused(chain: &Chain) {
    let mut alice = Account::new(chain.clone(), key("//Alice"));
    let again = alice.prepare(register("//Bob", TAO)).await.unwrap();
    let DryRun::Fails(foreseen) = again.dry_run().await.unwrap() else { panic!("it is registered already") };
    assert_eq!(foreseen.name, "SubtensorModule.HotKeyAlreadyRegisteredInSubNet");
    assert!(!foreseen.docs.is_empty());
    let outcome = again.submit().await.unwrap();
    assert_eq!(outcome.failure, Some(foreseen));
    let at = chain.at_finalized().await.unwrap();
    let uid = at.uid(SUBNET, id("//Bob")).await.unwrap().unwrap();
    let told = warnings(&at, &register("//Bob", TAO), id("//Poor"), None).await.unwrap();
    assert_eq!(told, [Warning::LimitNotHeld, Warning::Registered { uid }, Warning::OthersHotkey { owner: id("//Alice") }]);

    let mut poor = Account::new(chain.clone(), key("//Poor"));
    let cannot = poor.prepare(register("//Dave", TAO)).await.unwrap().dry_run().await.unwrap();
    assert!(matches!(&cannot, DryRun::Fails(failure) if failure.name == "SubtensorModule.NotEnoughBalanceToStake"), "{cannot:?}");
    let prepared = poor.prepare(Call::Transfer { to: id("//Alice"), rao: 1, keep_alive: false }).await.unwrap();
    let DryRun::Refused(refusal) = prepared.dry_run().await.unwrap() else { panic!("it has nothing") };
    assert_eq!(refusal.meaning, Some("the account cannot pay the fee"), "{refusal}");
    let error = prepared.submit().await.unwrap_err();
    assert!(matches!(&error, SubmitError::Refused(refusal) if refusal.meaning == Some("the account cannot pay the fee")), "{error}");
}

async fn serving(chain: &Chain) {
    let mut bob = Account::new(chain.clone(), key("//Bob"));
    let call = Call::ServeAxon { netuid: SUBNET, axon: Axon::new("203.0.113.7".parse().unwrap(), 8091, 42).unwrap() };
    let at = chain.at_finalized().await.unwrap();
    let told = warnings(&at, &call, id("//Bob"), Some(SUBNET)).await.unwrap();
    assert_eq!(told, [Warning::Axon { hotkey: id("//Bob") }]);
    assert_eq!(warnings(&at, &call, id("//Bob"), Some(64)).await.unwrap(), []);
    assert_eq!(warnings(&at, &call, id("//Eve"), None).await.unwrap(), [Warning::NotRegistered { hotkey: id("//Eve") }]);

    let prepared = bob.prepare(call).await.unwrap();
    assert_eq!(prepared.dry_run().await.unwrap(), DryRun::Succeeds);
    let outcome = prepared.submit().await.unwrap();
    assert_eq!(outcome.failure, None);
    assert!(outcome.event("SubtensorModule", "AxonServed").is_some());
    let at = chain.at(outcome.block).await.unwrap();
    let neuron = at.neurons_lite(SUBNET).await.unwrap().into_iter().find(|neuron| neuron.hotkey == id("//Bob")).unwrap();
    assert_eq!((neuron.axon_info.ip, neuron.axon_info.port, neuron.axon_info.version), (0xcb00_7107, 8091, 42));

    // An old axon is told of before the same hotkey registers, and a second UID while only one is paid.
    let bob_again = warnings(&at, &register("//Bob", TAO), id("//Alice"), Some(SUBNET)).await.unwrap();
    assert!(bob_again.contains(&Warning::Axon { hotkey: id("//Bob") }));
    let second = Warning::SecondUid { uid: neuron.uid, hotkey: id("//Bob") };
    let before = at.time().await.unwrap().as_second() < 1_776_988_800;
    let told = warnings(&at, &register("//Eve", TAO), id("//Alice"), Some(SUBNET)).await.unwrap();
    assert_eq!(told.contains(&second), before, "{told:?}");
}

async fn weights(node: &Node, chain: &Chain) {
    let mut bob = Account::new(chain.clone(), key("//Bob"));
    let uid = chain.at_finalized().await.unwrap().uid(SUBNET, id("//Bob")).await.unwrap().unwrap();
    // Anybody may weigh himself.
    let weights = Weights::new([(uid, 65_535)], 0).unwrap();
    let prepared = bob.prepare(Call::SetWeights { netuid: SUBNET, weights: weights.clone() }).await.unwrap();
    assert_eq!(prepared.dry_run().await.unwrap(), DryRun::Succeeds);
    let outcome = prepared.submit().await.unwrap();
    assert_eq!(outcome.failure, None);
    assert!(outcome.event("SubtensorModule", "WeightsSet").is_some());
    // What is told before is what the runtime then says.
    let others = Call::SetWeights { netuid: SUBNET, weights: Weights::new([(uid, 1), (900, 1)], 0).unwrap() };
    let at = chain.at_finalized().await.unwrap();
    let told = warnings(&at, &others, id("//Bob"), None).await.unwrap();
    // On so small a subnet everybody may validate.
    assert_eq!(told, [Warning::NoSuchUid { uid: 900 }]);
    let stranger = warnings(&at, &others, id("//Eve"), None).await.unwrap();
    assert_eq!(stranger, [Warning::NotRegistered { hotkey: id("//Eve") }]);
    let DryRun::Fails(failure) = bob.prepare(others).await.unwrap().dry_run().await.unwrap() else { panic!("no such UID") };
    assert_eq!(failure.name, "SubtensorModule.UidVecContainInvalidOne");

    let storage = json!({"SubtensorModule": {"CommitRevealWeightsEnabled": [[[SUBNET], true]]}});
    node.ask("dev_setStorage", json!([storage])).await;
    let commitment = weights.commitment(id("//Bob"), SUBNET, &[1, 2, 3]);
    let outcome = bob.prepare(Call::CommitWeights { netuid: SUBNET, commitment }).await.unwrap().submit().await.unwrap();
    assert_eq!(outcome.failure, None);
    // The chain finds the commitment by the hash that it makes of what is revealed, so it is the same; it is only too early.
    let reveal = |salt: &[u16]| Call::RevealWeights { netuid: SUBNET, weights: weights.clone(), salt: salt.to_vec() };
    for (salt, error) in [([1, 2, 3], "SubtensorModule.RevealTooEarly"), ([1, 2, 4], "SubtensorModule.InvalidRevealCommitHashNotMatch")] {
        let DryRun::Fails(failure) = bob.prepare(reveal(&salt)).await.unwrap().dry_run().await.unwrap() else { panic!("{error}") };
        assert_eq!(failure.name, error);
    }
}

async fn transfers(node: &Node, chain: &Chain) {
    let mut alice = Account::new(chain.clone(), key("//Alice"));
    let to_charlie = |rao| Call::Transfer { to: id("//Charlie"), rao, keep_alive: true };
    let prepared = alice.prepare(to_charlie(3 * TAO)).await.unwrap();
    let nonce = prepared.signing().nonce;
    // Another program uses the same key meanwhile.
    let mut elsewhere = Account::new(chain.clone(), key("//Alice"));
    let other = elsewhere.prepare(to_charlie(TAO)).await.unwrap();
    assert_eq!(other.signing().nonce, nonce);
    assert_eq!(other.submit().await.unwrap().failure, None);
    // This node's dry run makes a block; those of real nodes call the runtime, as everybody may.
    let hash = format!("0x{}", hex::encode(prepared.at().block().hash));
    let call = json!(["BlockBuilder_apply_extrinsic", prepared.extrinsic().to_hex(), hash]);
    assert_eq!(node.ask("state_call", call).await, "0x0000");
    let fee = prepared.fee().await.unwrap();
    assert!((10_000..10_000_000).contains(&fee), "{fee} rao");
    // It may have been the same transfer, so it is not made again unasked.
    let error = prepared.submit().await.unwrap_err();
    let SubmitError::Refused(refusal) = &error else { panic!("{error}") };
    assert_eq!(refusal.meaning, Some("the nonce was used already"), "{refusal}");
    let prepared = alice.prepare(to_charlie(3 * TAO)).await.unwrap();
    assert_eq!((prepared.signing().nonce, prepared.waiting()), (nonce + 1, 0));
    let trace = prepared.trace();
    let outcome = prepared.submit().await.unwrap();
    assert_eq!((outcome.failure.as_ref(), outcome.fee_rao), (None, Some(fee)));
    assert_eq!(trace.outcome(chain, Duration::ZERO).await.unwrap(), outcome, "found again");
    let at = chain.at(outcome.block).await.unwrap();
    assert_eq!(at.account(id("//Charlie")).await.unwrap().data.free, 4 * TAO);
    assert_eq!(at.account(id("//Alice")).await.unwrap().nonce, nonce + 2);

    // A failure costs its fee.
    let too_much = alice.prepare(to_charlie(1_000 * TAO)).await.unwrap();
    assert!(matches!(too_much.dry_run().await.unwrap(), DryRun::Fails(failure) if failure.name == "Token.FundsUnavailable"));
    let before = at.account(id("//Alice")).await.unwrap().data.free;
    let outcome = too_much.submit().await.unwrap();
    assert_eq!(outcome.failure.unwrap().name, "Token.FundsUnavailable");
    let after = chain.at(outcome.block).await.unwrap().account(id("//Alice")).await.unwrap().data.free;
    assert_eq!(before - after, outcome.fee_rao.unwrap());
}

/// What was prepared too long ago is refused, and changes nothing.
async fn eras(node: &Node, chain: &Chain) {
    let mut alice = Account::new(chain.clone(), key("//Alice")).valid_for(4);
    let prepared = alice.prepare(Call::Transfer { to: id("//Charlie"), rao: TAO, keep_alive: true }).await.unwrap();
    let last = prepared.signing().mortality.unwrap().last_block();
    while chain.best().await.unwrap().number < last {
        node.ask("dev_newBlock", json!([{"count": 1}])).await;
    }
    let error = prepared.submit().await.unwrap_err();
    assert!(matches!(error, SubmitError::Refused(_)) && error.nothing_happened(), "{error}");
    let at = chain.at_finalized().await.unwrap();
    assert_eq!(at.account(id("//Charlie")).await.unwrap().data.free, 4 * TAO);
}
