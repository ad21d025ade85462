//! All subnets into a snapshot, and one hotkey watched, through nodes that stand in for real ones.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use chain::read::rpc::RpcOptions;
use chain::read::{AccountId, Chain, ChainConfig, ReadError, Runtime};
use chain::survey::{self, Standing, Watched};
use chain::tracker::snapshot::Snapshot;
use chain::tracker::{eviction, price};
use chain_sim::{Faults, METADATA_V15, Recording, Sim, World, unpack};
use tokio::sync::watch::Receiver;

const BLOCK: u64 = 6_852_690;
/// Who earns most on the recorded subnet.
const BEST: &str = "5HCFWvRqzSHWRPecN7q8J6c7aKQnrCZTMHstPv39xL1wgDHh";

fn runtime() -> Runtime {
    Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap()
}

fn bytes(text: &serde_json::Value) -> Vec<u8> {
    hex::decode(text.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

/// The recorded answer for subnet 1, everything about it.
fn answer() -> Vec<u8> {
    let exchanges = Recording::shipped().unwrap().exchanges("metagraph").unwrap();
    let found = exchanges.iter().find(|(_, params, _)| params[0] == "SubnetInfoRuntimeApi_get_selective_mechagraph").unwrap();
    bytes(&found.2["result"])
}

fn put(world: &mut World, from: u64, netuid: u16, answer: Vec<u8>) {
    let wanted: Vec<u16> = (0..74).collect();
    let arguments = runtime().call_arguments("SubnetInfoRuntimeApi", "get_selective_mechagraph", (netuid, 0u8, wanted)).unwrap();
    world.set_call(from, "SubnetInfoRuntimeApi_get_selective_mechagraph", arguments, answer);
}

/// Subnets 1 and 64 as subnet 1 was recorded, and 2, of which the node knows nothing more than that it is there.
fn world() -> World {
    let mut world = World::new(BLOCK, 343, unpack(METADATA_V15).unwrap());
    for netuid in [1u16, 2, 64] {
        let key = runtime().storage_key("SubtensorModule", "NetworksAdded", (netuid,)).unwrap();
        world.set_storage(0, key, Some(vec![1]));
    }
    put(&mut world, 0, 1, answer());
    put(&mut world, 0, 64, answer());
    enter(&mut world, 0, BEST.parse().unwrap(), Some(395));
    world
}

/// The entry of a hotkey on subnet 64.
fn enter(world: &mut World, from: u64, hotkey: AccountId, uid: Option<u16>) {
    let key = runtime().storage_key("SubtensorModule", "Uids", (64u16, hotkey.0)).unwrap();
    world.set_storage(from, key, uid.map(|uid| uid.to_le_bytes().to_vec()));
}

fn chain(sim: &Sim) -> Chain {
    let options = RpcOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(2),
        backoff: (Duration::from_millis(10), Duration::from_millis(20)),
        ..RpcOptions::default()
    };
    Chain::new(ChainConfig { options, ..ChainConfig::parse(&sim.url()).unwrap() })
}

#[tokio::test]
async fn a_snapshot_has_all_that_the_tracker_asks_for_and_names_what_it_lacks() {
    let sim = Sim::start(world()).await.unwrap();
    let at = chain(&sim).at_finalized().await.unwrap();
    let taken = survey::snapshot(&at, "finney", "2025-11-08T12:00:00.000000").await.unwrap();
    assert_eq!(taken.failed.keys().copied().collect::<Vec<_>>(), [2]);
    assert!(taken.failed[&2].contains("has no call"), "{}", taken.failed[&2]);
    assert_eq!(taken.snapshot.subnets.keys().copied().collect::<Vec<_>>(), [1, 64]);
    let state = &taken.snapshot.subnets[&64];
    assert_eq!((state.n_neurons, state.block, state.fault()), (1024, BLOCK - 2, None));
    assert_eq!(state.uid_hotkey_map[&395].as_str(), BEST);
    assert!(state.dated() && state.coldkeys.len() == 1024 && state.emission_rao.len() == 1024);
    assert!(!state.validators.is_empty() && state.validators.len() < 128, "{}", state.validators.len());
    assert_eq!(state.owner_uids.len(), 1, "{:?}", state.owner_uids);
    let parameters = &state.parameters;
    assert_eq!((parameters.max_uids, parameters.tempo, parameters.registration_allowed), (Some(1024), Some(99), Some(true)));
    assert!(parameters.burn_rao.unwrap() >= parameters.min_burn_rao.unwrap() && parameters.max_burn_rao.is_some());
    assert!(parameters.difficulty.is_some() && parameters.tao_in_rao.is_some() && parameters.alpha_in_rao.is_some());
    assert!(state.network_registered_at.is_some());
    // Runtime 343 adjusts its prices by interval, so nothing may be said of how they decay.
    assert_eq!((parameters.burn_half_life, parameters.burn_increase_mult), (None, None));
    assert!(price::Rule::of(parameters).is_err());
    let (neurons, rules) = eviction::from_snapshot(state).unwrap();
    assert_eq!(neurons.len(), 1024);
    assert!(eviction::next_pruned(&neurons, &rules).is_some());

    // The file is one that the tracker reads.
    let folder = tempfile::tempdir().unwrap();
    let path = taken.snapshot.write(folder.path()).unwrap();
    assert_eq!(Snapshot::read(&path).unwrap(), taken.snapshot);
}

#[tokio::test]
async fn half_a_snapshot_is_none() {
    let sim = Sim::start(world()).await.unwrap();
    let at = chain(&sim).at_finalized().await.unwrap();
    sim.fail(Faults { truncate: 3, ..Faults::default() });
    let taken = survey::snapshot(&at, "finney", "t").await.unwrap();
    assert_eq!((taken.snapshot.subnets.len(), taken.failed.len()), (0, 3), "answers that cannot be read are named");
    sim.fail(Faults { refuse: true, ..Faults::default() });
    sim.cut();
    let error = survey::snapshot(&at, "finney", "t").await.unwrap_err();
    assert!(error.is_passing(), "{error}");
}

#[tokio::test]
async fn a_hotkey_has_a_place_or_none() {
    let sim = Sim::start(world()).await.unwrap();
    let at = chain(&sim).at_finalized().await.unwrap();
    let best = Standing::read(&at, 64, BEST.parse().unwrap()).await.unwrap();
    let place = best.place.unwrap();
    assert_eq!((best.netuid, best.block, place.uid, place.rank), (64, BLOCK - 2, 395, Some(1)));
    assert!((place.incentive.unwrap() - 1.0).abs() < f64::EPSILON && place.miners > Some(900) && best.burn_rao.is_some(), "{place:?}");
    let distance = place.distance.unwrap();
    assert_eq!(
        (distance.protected, distance.free_uids, distance.registrations),
        (true, 0, None),
        "the owner's own hotkey, to burn what it gets"
    );
    // The one that the runtime's rule names is at the next registration's mercy.
    let taken = survey::snapshot(&at, "finney", "t").await.unwrap();
    let state = &taken.snapshot.subnets[&64];
    let (neurons, rules) = eviction::from_snapshot(state).unwrap();
    let next = eviction::next_pruned(&neurons, &rules).unwrap();
    let weakest: AccountId = state.uid_hotkey_map[&next].as_str().parse().unwrap();
    sim.change(|world| enter(world, 0, weakest, Some(next)));
    let weakest = Standing::read(&at, 64, weakest).await.unwrap().place.unwrap();
    assert_eq!((weakest.uid, weakest.distance.unwrap().registrations), (next, Some(1)));
    assert!(weakest.rank.unwrap() > 1);
    let nobody = Standing::read(&at, 64, AccountId([7; 32])).await.unwrap();
    assert_eq!(nobody.place, None);
    assert!(matches!(Standing::read(&at, 65, AccountId([7; 32])).await, Err(ReadError::NoSuchCall { .. })));
}

/// Waits until it looks like this.
async fn until(known: &mut Receiver<Watched>, wanted: impl Fn(&Watched) -> bool) -> Watched {
    let waited = tokio::time::timeout(Duration::from_secs(20), known.wait_for(|known| wanted(known))).await;
    waited.expect("it comes to look like this").unwrap().clone()
}

#[tokio::test]
async fn a_watch_sees_the_place_go_and_keeps_the_last_known_while_nobody_answers() {
    let sim = Sim::start(world()).await.unwrap();
    let hotkey: AccountId = BEST.parse().unwrap();
    // Ten blocks later somebody else sits there.
    let mut answer = answer();
    let places: Vec<usize> = (0..answer.len() - 31).filter(|at| answer[*at..at + 32] == hotkey.0).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| answer[*at..at + 32].fill(7));
    sim.change(|world| put(world, BLOCK + 10, 64, answer));
    let (mut known, work) = survey::watch(chain(&sim), 64, hotkey, Duration::from_millis(20));
    assert_eq!(*known.borrow(), Watched::default(), "it waits for nobody");
    let task = tokio::spawn(work);
    let registered = |known: &Watched| known.standing.as_ref().map(|standing| standing.place.is_some());
    until(&mut known, |known| registered(known) == Some(true)).await;

    sim.fail(Faults { refuse: true, ..Faults::default() });
    sim.cut();
    let blind = until(&mut known, |known| known.error.is_some()).await;
    assert_eq!(registered(&blind), Some(true), "the last known stays");
    let age = blind.age().unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(known.borrow().age().unwrap() > age && known.borrow().looks.0 > 0 && blind.looks.1 > 0);

    // The list no longer has it, its own entry does.
    sim.advance(20);
    sim.fail(Faults::default());
    let torn = until(&mut known, |known| known.error.as_ref().is_some_and(|error| error.contains("its own entry UID 395"))).await;
    assert_eq!(registered(&torn), Some(true), "who is gone is not concluded from one read");
    sim.change(|world| enter(world, BLOCK + 10, hotkey, None));
    let gone = until(&mut known, |known| registered(known) == Some(false)).await;
    assert_eq!((gone.error, gone.standing.unwrap().block), (None, BLOCK + 18));
    drop(known);
    tokio::time::timeout(Duration::from_secs(20), task).await.expect("it ends when nobody listens").unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_behind_is_not_believed() {
    let (behind, good) = (Sim::start(world()).await.unwrap(), Sim::start(world()).await.unwrap());
    let clock = |age: u64| {
        let ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        (u64::try_from(ms).unwrap() - age * 1000).to_le_bytes().to_vec()
    };
    let now = runtime().storage_key("Timestamp", "Now", ()).unwrap();
    behind.change(|world| world.set_storage(0, now.clone(), Some(clock(3600))));
    good.change(|world| world.set_storage(0, now.clone(), Some(clock(12))));
    let (mut known, work) = survey::watch(chain(&behind), 64, AccountId([7; 32]), Duration::from_millis(20));
    let task = tokio::spawn(work);
    let blind = until(&mut known, |known| known.error.is_some()).await;
    assert!(blind.standing.is_none() && blind.error.unwrap().contains("60 min ago"), "it does not say that nobody is registered");
    task.abort();

    // As fresh by its clock as the other one, but further back: it still has a place that was lost since.
    let hotkey: AccountId = BEST.parse().unwrap();
    let (late, ahead) = (Sim::start(world()).await.unwrap(), Sim::start(world()).await.unwrap());
    let mut without = answer();
    let places: Vec<usize> = (0..without.len() - 31).filter(|at| without[*at..at + 32] == hotkey.0).collect();
    places.iter().for_each(|at| without[*at..at + 32].fill(7));
    ahead.change(|world| {
        put(world, BLOCK + 5, 64, without);
        enter(world, BLOCK + 5, hotkey, None);
    });
    ahead.advance(20);
    let pair = ChainConfig::parse(&format!("{},{}", ahead.url(), late.url())).unwrap();
    let (mut known, work) = survey::watch(Chain::new(pair), 64, hotkey, Duration::from_millis(20));
    let task = tokio::spawn(work);
    until(&mut known, |known| known.standing.as_ref().is_some_and(|standing| standing.place.is_none())).await;
    ahead.fail(Faults { refuse: true, ..Faults::default() });
    ahead.cut();
    let blind = until(&mut known, |known| known.error.as_ref().is_some_and(|error| error.contains("was read before"))).await;
    assert!(blind.standing.unwrap().place.is_none(), "what was lost does not come back");
    task.abort();

    let both = ChainConfig::parse(&format!("{},{}", behind.url(), good.url())).unwrap();
    let (mut known, work) = survey::watch(Chain::new(both), 64, BEST.parse().unwrap(), Duration::from_millis(20));
    let task = tokio::spawn(work);
    let seen = until(&mut known, |known| known.standing.is_some()).await;
    assert!(seen.standing.unwrap().place.is_some() && seen.looks.1 > 0, "the other one was asked at the next look");
    task.abort();
}
