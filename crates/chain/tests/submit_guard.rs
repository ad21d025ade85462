//! What a signer is told before a call, and what a registration would cost and whom, through nodes that stand in for real ones.

#![allow(clippy::unwrap_used, reason = "tests")]

use chain::read::{AccountId, At, Chain, ChainConfig, Runtime};
use chain::submit::{Account, Axon, Call, Place, SubmitError, Victim, Warning, Weights, quote, warnings};
use chain::tracker::eviction;
use chain::wallet::key_from_uri;
use chain_sim::{METADATA_V15, Recording, Sim, World, unpack};
use frame_decode::storage::IntoEncodableValues;
use parity_scale_codec::Encode as _;
use serde_json::Value;

const BLOCK: u64 = 6_852_690;
const SUBNET: u16 = 64;
const HOTKEY: AccountId = AccountId([7; 32]);
const COLDKEY: AccountId = AccountId([8; 32]);

struct Told(World);

fn runtime() -> Runtime {
    Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap()
}

impl Told {
    /// Subnet 64, open, for 2 TAO; 23 November 2025.
    fn new() -> Self {
        let told = Self(World::new(BLOCK, 343, unpack(METADATA_V15).unwrap()));
        told.with("NetworksAdded", (SUBNET,), true.encode())
            .with("NetworkRegistrationAllowed", (SUBNET,), true.encode())
            .with("Burn", (SUBNET,), 2_000_000_000u64.encode())
            .of("Timestamp", "Now", (), 1_763_900_000_000u64.encode())
    }

    fn with(self, item: &str, keys: impl IntoEncodableValues, value: Vec<u8>) -> Self {
        self.of("SubtensorModule", item, keys, value)
    }

    fn of(mut self, pallet: &str, item: &str, keys: impl IntoEncodableValues, value: Vec<u8>) -> Self {
        let key = runtime().storage_key(pallet, item, keys).unwrap();
        self.0.set_storage(0, key, Some(value));
        self
    }

    async fn start(self) -> (Sim, Chain) {
        let sim = Sim::start(self.0).await.unwrap();
        let chain = Chain::new(ChainConfig::parse(&sim.url()).unwrap());
        (sim, chain)
    }

    async fn at(self) -> (Sim, At) {
        let (sim, chain) = self.start().await;
        (sim, chain.at_finalized().await.unwrap())
    }
}

fn register() -> Call {
    Call::Register { netuid: SUBNET, hotkey: HOTKEY, limit_rao: 2_000_000_000 }
}

/// Block, version, address, port, IPv4, protocol, nothing twice.
fn axon(ip: u128) -> Vec<u8> {
    (9u64, 1u32, ip, 8091u16, [4u8, 4, 0, 0]).encode()
}

#[tokio::test]
async fn what_a_hotkey_announced_before_it_lost_its_uid_is_told() {
    let of = |told: Told, chutes| async move { warnings(&told.at().await.1, &register(), COLDKEY, chutes).await.unwrap() };
    let announced = || Told::new().with("Axons", (SUBNET, HOTKEY.0), axon(0xcb00_7107)).of_second_uids_rule();
    assert_eq!(of(announced(), Some(SUBNET)).await, [Warning::LimitNotHeld, Warning::Axon { hotkey: HOTKEY }]);
    assert_eq!(of(announced(), Some(SUBNET + 1)).await, [Warning::LimitNotHeld], "elsewhere it may");
    let withdrawn = Told::new().with("Axons", (SUBNET, HOTKEY.0), axon(0)).of_second_uids_rule();
    assert_eq!(of(withdrawn, Some(SUBNET)).await, [Warning::LimitNotHeld]);
}

impl Told {
    /// July 2026: several hotkeys are paid.
    fn of_second_uids_rule(self) -> Self {
        self.of("Timestamp", "Now", (), 1_783_900_000_000u64.encode())
    }
}

#[tokio::test]
async fn a_registration_that_cannot_be_is_told() {
    let told = Told::new()
        .with("NetworkRegistrationAllowed", (SUBNET,), false.encode())
        .with("Uids", (SUBNET, HOTKEY.0), 3u16.encode())
        .with("Owner", (HOTKEY.0,), [9u8; 32].encode());
    let (_sim, at) = told.at().await;
    let found = warnings(&at, &register(), COLDKEY, None).await.unwrap();
    let others = Warning::OthersHotkey { owner: AccountId([9; 32]) };
    let expected = [Warning::LimitNotHeld, Warning::Closed { netuid: SUBNET }, Warning::Registered { uid: 3 }, others];
    assert_eq!(found, expected);
    let own = warnings(&at, &register(), AccountId([9; 32]), None).await.unwrap();
    assert_eq!(own, expected[..3]);
    assert_eq!(serde_json::to_value(&found[1]).unwrap(), serde_json::json!({"warning": "closed", "netuid": 64}));
}

#[tokio::test]
async fn weights_and_commitments_that_the_subnet_would_not_take_are_told() {
    let weights = Weights::new([(1, 1), (2, 1)], 4).unwrap();
    let set = Call::SetWeights { netuid: SUBNET, weights };
    let commit = Call::CommitWeights { netuid: SUBNET, commitment: [0; 32] };
    let told = |permit: bool| {
        Told::new()
            .with("Uids", (SUBNET, HOTKEY.0), 1u16.encode())
            .with("SubnetworkN", (SUBNET,), 3u16.encode())
            .with("ValidatorPermit", (SUBNET,), vec![false, permit, false].encode())
            .with("LastUpdate", (SUBNET,), vec![0, BLOCK - 12, 0].encode())
            .with("WeightsSetRateLimit", (SUBNET,), 100u64.encode())
            .with("MinAllowedWeights", (SUBNET,), 3u16.encode())
            .with("WeightsVersionKey", (SUBNET,), 5u64.encode())
            .with("CommitRevealWeightsEnabled", (SUBNET,), false.encode())
    };
    let (_sim, at) = told(false).at().await;
    // The newest final block is two before the newest, and the next is looked at.
    let soon = Warning::TooSoon { blocks: 100 - 11 };
    let found = warnings(&at, &set, HOTKEY, None).await.unwrap();
    let others = [Warning::TooFewWeights { least: 3 }, Warning::OldVersionKey { least: 5 }, soon.clone()];
    assert_eq!(found[0], Warning::NoPermit);
    assert_eq!(found[1..], others);
    assert_eq!(warnings(&at, &commit, HOTKEY, None).await.unwrap(), [Warning::NoCommitReveal, soon]);
    let (_sim, at) = told(true).at().await;
    assert_eq!(warnings(&at, &set, HOTKEY, None).await.unwrap(), others);
    let serve = Call::ServeAxon { netuid: SUBNET, axon: Axon::new("203.0.113.7".parse().unwrap(), 1, 0).unwrap() };
    assert_eq!(warnings(&at, &serve, HOTKEY, None).await.unwrap(), []);
    assert_eq!(warnings(&at, &serve, COLDKEY, None).await.unwrap(), [Warning::NotRegistered { hotkey: COLDKEY }]);
}

#[tokio::test]
async fn a_price_that_rose_since_the_preparation_is_not_paid() {
    let (sim, chain) = Told::new().start().await;
    sim.fail(chain_sim::Faults { instead: [("system_accountNextIndex", Ok(Value::from(0)))].into(), ..Default::default() });
    let mut account = Account::new(chain, key_from_uri("//Alice").unwrap().into_keypair());
    let prepared = account.prepare(register()).await.unwrap();
    let key = runtime().storage_key("SubtensorModule", "Burn", (SUBNET,)).unwrap();
    sim.change(|world| {
        world.advance(1);
        world.set_storage(world.best, key, Some(2_000_000_001u64.encode()));
    });
    let error = prepared.submit().await.unwrap_err();
    assert!(matches!(error, SubmitError::TooDear { price_rao: 2_000_000_001, .. }), "{error}");
    assert!(!sim.requests().iter().any(|method| method == "author_submitExtrinsic"));
}

/// Subnet 1 as it was recorded, under the number of chutes.
fn full() -> Told {
    let mut told = Told::new()
        .with("SubnetworkN", (SUBNET,), 1024u16.encode())
        .with("MaxAllowedUids", (SUBNET,), 1024u16.encode())
        .with("ImmunityPeriod", (SUBNET,), 7200u16.encode())
        .with("TargetRegistrationsPerInterval", (SUBNET,), 2u16.encode())
        .with("RegistrationsThisInterval", (SUBNET,), 5u16.encode());
    let exchanges = Recording::shipped().unwrap().exchanges("metagraph").unwrap();
    let found = exchanges.iter().find(|(_, params, _)| params[0] == "SubnetInfoRuntimeApi_get_selective_mechagraph").unwrap();
    let answer = hex::decode(found.2["result"].as_str().unwrap().trim_start_matches("0x")).unwrap();
    let wanted: Vec<u16> = (0..74).collect();
    let arguments = runtime().call_arguments("SubnetInfoRuntimeApi", "get_selective_mechagraph", (SUBNET, 0u8, wanted)).unwrap();
    told.0.set_call(0, "SubnetInfoRuntimeApi_get_selective_mechagraph", arguments, answer);
    told
}

#[tokio::test]
async fn a_registration_on_a_full_subnet_says_whose_place_it_takes() {
    let (_sim, at) = full().at().await;
    let quoted = quote(&at, SUBNET, HOTKEY, COLDKEY).await.unwrap();
    assert_eq!((quoted.price_rao, quoted.open, quoted.left_in_interval), (2_000_000_000, true, Some(1)));
    // The same by way of a snapshot of all subnets.
    let taken = chain::survey::snapshot(&at, "finney", "t").await.unwrap();
    let state = &taken.snapshot.subnets[&SUBNET];
    let (neurons, rules) = eviction::from_snapshot(state).unwrap();
    let uid = eviction::next_pruned(&neurons, &rules).unwrap();
    let expected = Victim {
        uid,
        hotkey: state.uid_hotkey_map[&uid].as_str().parse().unwrap(),
        coldkey: Some(state.coldkeys[&uid].as_str().parse().unwrap()),
        registered_at: state.registration_blocks[&uid],
        emission: state.emission_rao[&uid],
        immune_blocks: 0,
    };
    assert_eq!(quoted.place, Place::Taken(expected));

    let (_sim, at) = full().with("MaxAllowedUids", (SUBNET,), 1025u16.encode()).at().await;
    assert_eq!(quote(&at, SUBNET, HOTKEY, COLDKEY).await.unwrap().place, Place::Free);

    // What cannot be told keeps nobody from registering.
    let unknown = async |told: Told| match quote(&told.at().await.1, SUBNET, HOTKEY, COLDKEY).await.unwrap().place {
        Place::Unknown { why } => why,
        other => panic!("{other:?}"),
    };
    let places = |told: Told| told.with("SubnetworkN", (SUBNET,), 4u16.encode()).with("MaxAllowedUids", (SUBNET,), 4u16.encode());
    assert!(!unknown(places(Told::new())).await.is_empty());
    let mut told = full();
    let wanted: Vec<u16> = (0..74).collect();
    let arguments = runtime().call_arguments("SubnetInfoRuntimeApi", "get_selective_mechagraph", (SUBNET, 0u8, wanted)).unwrap();
    told.0.set_call(0, "SubnetInfoRuntimeApi_get_selective_mechagraph", arguments, vec![1, 2, 3]);
    assert!(!unknown(told).await.is_empty());
}
