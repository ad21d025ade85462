//! Following a stand-in node into a sink in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/story.rs"]
mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chain::follow::{Changes, Closed, FollowError, Follower, Held, LeftOut, Opened, Place, Standing, TenureSink};
use chain::read::rpc::{RpcError, RpcOptions};
use chain::read::{AccountId, Block, Chain, ChainConfig, ReadError};
use chain_sim::{Faults, METADATA_V15, Sim, unpack};
use story::{BLOCK, FIRST, LAST, Story};

/// Where a tenure ended, and how.
type Ended = Option<(u64, &'static str)>;

/// A tenure as a sink keeps it: how it began, where it ended and how.
type Row = (Opened, Ended);

#[derive(Default)]
struct Kept {
    held: Option<Held>,
    rows: Vec<Row>,
    prices: Vec<(u16, u64, u64)>,
    blocks: Vec<u64>,
    closed: Vec<Closed>,
    left_out: Vec<LeftOut>,
    /// Errors to give: whether the block is taken in all the same.
    failures: Vec<bool>,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Kept>>);

#[derive(Debug, thiserror::Error)]
#[error("the sink fails")]
struct Fails;

impl TenureSink for Memory {
    type Error = Fails;

    async fn load(&self) -> Result<Option<Held>, Fails> {
        Ok(self.0.lock().unwrap().held.clone())
    }

    async fn take(&self, after: Option<Block>, block: Block, changes: &Changes) -> Result<(), Fails> {
        let mut kept = self.0.lock().unwrap();
        let failure = kept.failures.pop();
        if failure == Some(false) {
            return Err(Fails);
        }
        assert_eq!(after, kept.held.as_ref().map(|held| held.block), "a gap, or a block twice");
        let mut held = kept.held.take().unwrap_or(Held { block, subnets: BTreeMap::new(), prices: BTreeMap::new() });
        held.block = block;
        for closed in &changes.closed {
            let place = held.subnets.get_mut(&closed.netuid).unwrap().remove(&closed.uid);
            assert_eq!(place, Some(closed.place));
            let it = |row: &&mut Row| row.1.is_none() && (row.0.netuid, row.0.uid) == (closed.netuid, closed.uid);
            kept.rows.iter_mut().find(it).unwrap().1 = Some((closed.at, closed.end.name()));
        }
        for opened in &changes.opened {
            if !opened.passed {
                let before = held.subnets.entry(opened.netuid).or_default().insert(opened.uid, opened.place);
                assert_eq!(before, None, "two on one UID");
            }
            kept.rows.push((*opened, opened.passed.then_some((block.number, "replaced"))));
        }
        for (netuid, uid, standing) in &changes.standings {
            held.subnets.get_mut(netuid).unwrap().get_mut(uid).unwrap().standing = *standing;
        }
        kept.closed.extend(&changes.closed);
        kept.left_out.extend(changes.left_out);
        held.subnets.retain(|_, places| !places.is_empty());
        held.prices.extend(changes.prices.iter().copied());
        kept.prices.extend(changes.prices.iter().map(|(netuid, price)| (*netuid, block.number, *price)));
        kept.held = Some(held);
        kept.blocks.push(block.number);
        if failure.is_some() { Err(Fails) } else { Ok(()) }
    }
}

fn chain(sim: &Sim) -> Chain {
    let options = RpcOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        backoff: (Duration::from_millis(10), Duration::from_millis(50)),
        ..RpcOptions::default()
    };
    Chain::new(ChainConfig { options, ..ChainConfig::parse(&sim.url()).unwrap() })
}

/// UID, hotkey, from, until and how, of a subnet's tenures in the order in which they began.
fn tenures(memory: &Memory, netuid: u16) -> Vec<(u16, u8, u64, Ended)> {
    let kept = memory.0.lock().unwrap();
    let rows = kept.rows.iter().filter(|(opened, _)| opened.netuid == netuid);
    rows.map(|(opened, end)| (opened.uid, opened.place.hotkey.0[0], opened.from, *end)).collect()
}

fn assert_told(memory: &Memory) {
    let b = BLOCK;
    let old = FIRST;
    assert_eq!(
        tenures(memory, 64),
        [
            (0, 1, old, Some((b + 2, "replaced"))),
            (1, 2, old, Some((b - 1, "replaced"))),
            (2, 3, old, Some((b + 1, "swapped"))),
            (3, 4, old, Some((b + 1, "sold"))),
            (4, 5, old, Some((b + 3, "moved"))),
            (1, 20, b - 1, Some((b + 3, "trimmed"))),
            (2, 33, b + 1, Some((b + 3, "moved"))),
            (3, 4, b + 1, Some((b + 3, "trimmed"))),
            (0, 21, b + 2, Some((b + 2, "replaced"))),
            (0, 22, b + 2, None),
            (1, 33, b + 3, None),
            (2, 5, b + 3, None),
        ]
    );
    let removed = |at| Some((at, "network_removed"));
    assert_eq!(tenures(memory, 7), [(0, 1, old, removed(b + 4)), (1, 40, old, removed(b + 4)), (0, 50, b + 4, removed(b + 6))]);
    assert_eq!(tenures(memory, 9), [(0, 60, b + 5, None)]);
    let kept = memory.0.lock().unwrap();
    let sn64: Vec<(u64, u64)> = kept.prices.iter().filter(|(netuid, ..)| *netuid == 64).map(|(_, block, price)| (*block, *price)).collect();
    assert_eq!(sn64, [(FIRST, 500_000), (b - 1, 630_000), (b + 2, 1_000_000)]);
    assert_eq!(kept.blocks, (FIRST..=LAST).collect::<Vec<_>>());
    let sold = kept.rows.iter().find(|(opened, _)| opened.continues == Some(3) && opened.uid == 3).unwrap();
    assert_eq!(
        sold.0.place,
        Place {
            hotkey: AccountId([4; 32]),
            coldkey: Some(AccountId([144; 32])),
            registered_at: b - 996,
            standing: Standing { validator: false, owner: Some(false), emission_rao: Some(3_000) },
        }
    );
    // What the block before the end says: an epoch had come since the last look.
    let end = |uid: u16, at: u64| kept.closed.iter().find(|one| (one.netuid, one.uid, one.at) == (64, uid, at)).unwrap();
    let paid = |rao| Standing { validator: false, owner: Some(false), emission_rao: Some(rao) };
    assert_eq!((end(3, b + 1).standing, end(3, b + 1).place.standing), (paid(3_007), paid(3_000)));
    assert_eq!(end(3, b + 1).immunity_period, Some(5_000));
    assert_eq!(end(0, b + 2).standing, Standing { validator: true, ..paid(0) });
    assert_eq!(end(4, b + 3).standing, Standing { owner: Some(true), ..paid(4_000) });
    let paid_for: Vec<_> = kept.rows.iter().filter_map(|(opened, _)| Some((opened.place.hotkey.0[0], opened.burn_rao?))).collect();
    assert_eq!(paid_for, [(20, 500_000), (21, 629_000), (22, 629_000)]);
    assert_eq!(kept.left_out, []);
    let validators: BTreeSet<u16> =
        kept.rows.iter().filter(|(opened, _)| opened.place.standing.validator).map(|(opened, _)| opened.uid).collect();
    assert_eq!(validators, BTreeSet::from([0]));
}

/// In each block, the tenures are the state of the chain.
fn assert_complete(memory: &Memory, history: &Story) {
    let kept = memory.0.lock().unwrap();
    for block in FIRST..=LAST {
        for netuid in [7, 9, 64] {
            let runs = |(opened, end): &&Row| opened.netuid == netuid && opened.from <= block && end.is_none_or(|(at, _)| at > block);
            let mut there: Vec<(u16, u8, u64)> = kept
                .rows
                .iter()
                .filter(runs)
                .map(|(opened, _)| (opened.uid, opened.place.hotkey.0[0], opened.place.registered_at))
                .collect();
            there.sort_unstable();
            let uids = history.history[&netuid].range(..=block).next_back().map(|(_, uids)| uids.clone()).unwrap_or_default();
            let is: Vec<_> = uids.iter().zip(0u16..).map(|((hotkey, _, registered), uid)| (uid, *hotkey, *registered)).collect();
            assert_eq!(there, is, "subnet {netuid} in block {block}");
        }
    }
}

async fn next(follower: &mut Follower<Memory>) -> Result<u64, FollowError<Fails>> {
    tokio::time::timeout(Duration::from_secs(30), follower.next()).await.unwrap().map(|taken| taken.block.number)
}

#[tokio::test]
async fn every_kind_of_change_is_told_apart() {
    let (story, history) = (Story::told(), Story::told());
    let sim = Sim::start(story.world).await.unwrap();
    let memory = Memory::default();
    let mut follower = Follower::new(chain(&sim), memory.clone(), None, None);
    let first = follower.next().await.unwrap();
    assert_eq!((first.block.number, first.first, first.running), (FIRST, true, 7));
    sim.advance(LAST - FIRST);
    while next(&mut follower).await.unwrap() < LAST {}
    assert_told(&memory);
    assert_complete(&memory, &history);
}

#[tokio::test]
async fn cuts_restarts_and_a_failing_sink_change_nothing() {
    let (story, history) = (Story::told(), Story::told());
    let sim = Sim::start(story.world).await.unwrap();
    let memory = Memory::default();
    let mut follower = Follower::new(chain(&sim), memory.clone(), None, None);
    next(&mut follower).await.unwrap();
    let mut errors = 0;
    for round in 0..200u64 {
        let at = memory.0.lock().unwrap().held.as_ref().unwrap().block.number;
        if at == LAST {
            break;
        }
        if sim.change(|world| world.finalized()) == at {
            sim.advance(1);
        }
        match round % 5 {
            0 => sim.fail(Faults { cut_after: Some(4), ..Faults::default() }),
            1 => {
                sim.fail(Faults::default());
                memory.0.lock().unwrap().failures = vec![round % 2 == 0];
            }
            // The same follower goes on after the sink's error.
            2 => {}
            3 => sim.cut(),
            _ => {
                // Given up in the midst of it, then another program.
                let _ = tokio::time::timeout(Duration::from_millis(round % 7), follower.next()).await;
                follower = Follower::new(chain(&sim), memory.clone(), None, None);
            }
        }
        errors += u64::from(tokio::time::timeout(Duration::from_secs(1), follower.next()).await.is_ok_and(|taken| taken.is_err()));
    }
    assert!(errors > 0, "nothing went wrong");
    assert_told(&memory);
    assert_complete(&memory, &history);
}

#[tokio::test]
async fn one_subnet_is_followed_alone() {
    let sim = Sim::start(Story::told().world).await.unwrap();
    sim.advance(LAST - FIRST);
    let memory = Memory::default();
    let mut follower = Follower::new(chain(&sim), memory.clone(), Some(64), Some(FIRST));
    while next(&mut follower).await.unwrap() < LAST {}
    assert_eq!((tenures(&memory, 64).len(), tenures(&memory, 7).len()), (12, 0));
    assert_eq!(memory.0.lock().unwrap().prices.len(), 3);
}

#[tokio::test]
async fn blocks_that_nobody_keeps_are_an_error_and_not_a_gap() {
    let sim = Sim::start(Story::told().world).await.unwrap();
    let memory = Memory::default();
    next(&mut Follower::new(chain(&sim), memory.clone(), None, None)).await.unwrap();
    sim.advance(400);
    let mut follower = Follower::new(chain(&sim), memory.clone(), None, None);
    for _ in 0..2 {
        let error = next(&mut follower).await.unwrap_err();
        assert!(matches!(error, FollowError::Read(ReadError::Rpc(RpcError::Discarded { .. }))), "{error}");
    }
    assert_eq!(memory.0.lock().unwrap().blocks, [FIRST]);
    sim.change(|world| world.keeps = None);
    while next(&mut follower).await.unwrap() < LAST {}
    assert_told(&memory);
}

#[tokio::test]
async fn another_chain_is_not_followed_into_the_same_sink() {
    let sim = Sim::start(Story::told().world).await.unwrap();
    let memory = Memory::default();
    next(&mut Follower::new(chain(&sim), memory.clone(), None, None)).await.unwrap();
    sim.change(|world| world.set_genesis([9; 32]));
    let error = next(&mut Follower::new(chain(&sim), memory.clone(), None, None)).await.unwrap_err();
    assert!(matches!(error, FollowError::AnotherChain(_)), "{error}");
}

#[tokio::test]
async fn blocks_that_nobody_keeps_are_left_out_where_that_is_wanted_and_named() {
    let sim = Sim::start(Story::told().world).await.unwrap();
    let memory = Memory::default();
    let follower = || Follower::new(chain(&sim), memory.clone(), None, None).leaving_out();
    next(&mut follower()).await.unwrap();
    sim.advance(400);
    let newest = sim.change(|world| world.finalized());
    let mut going = follower();
    let taken = going.next().await.unwrap();
    let left_out = LeftOut { from: FIRST + 1, to: newest - 1 };
    assert_eq!((taken.block.number, taken.first, taken.running, taken.changes.left_out), (newest, false, 4, Some(left_out)));
    {
        let seen = memory.0.lock().unwrap();
        let of_64 = seen.closed.iter().filter(|one| one.netuid == 64);
        let ends: Vec<_> = of_64.map(|one| (one.uid, one.at, one.last_seen, one.end.name())).collect();
        let since = Some(FIRST);
        assert_eq!(
            ends,
            [
                (0, BLOCK + 2, since, "replaced"),
                // Who sits on UID 1 was registered long before: swapped and then moved there. UID 1 was no newcomer's prey, as far as is known.
                (1, newest, since, "unseen"),
                (2, newest, since, "unseen"),
                (3, newest, since, "unseen"),
                (4, newest, since, "moved"),
            ]
        );
        let others: Vec<_> = seen.closed.iter().filter(|one| one.netuid != 64).map(|one| (one.netuid, one.uid, one.end.name())).collect();
        assert_eq!(others, [(7, 0, "network_removed"), (7, 1, "network_removed")]);
        assert!(seen.rows.iter().all(|(opened, _)| opened.from == FIRST || (opened.from == newest && opened.burn_rao.is_none())));
        let now: Vec<_> = seen.held.as_ref().unwrap().subnets[&64].values().map(|place| place.hotkey.0[0]).collect();
        assert_eq!(now, [22, 33, 5]);
        assert_eq!(seen.prices.iter().filter(|(_, block, _)| *block == newest).count(), 1);
    }
    // From there on it is block by block again, also for another program.
    sim.advance(2);
    assert_eq!(next(&mut going).await.unwrap(), newest + 1);
    assert_eq!(next(&mut follower()).await.unwrap(), newest + 2);
    assert_eq!(memory.0.lock().unwrap().left_out, [left_out]);
}

#[tokio::test]
async fn what_is_kept_fewer_blocks_by_one_node_is_not_given_up() {
    let mut world = Story::told().world;
    world.keeps = Some(4);
    let sim = Sim::start(world).await.unwrap();
    let memory = Memory::default();
    let follower = || Follower::new(chain(&sim), memory.clone(), None, None).leaving_out();
    next(&mut follower()).await.unwrap();
    sim.advance(100);
    let error = next(&mut follower()).await.unwrap_err();
    assert!(matches!(error, FollowError::Read(ReadError::Rpc(RpcError::Discarded { .. }))), "{error}");
    assert_eq!(memory.0.lock().unwrap().blocks, [FIRST]);
}

#[tokio::test]
async fn a_node_that_is_behind_is_no_other_chain() {
    let sim = Sim::start(Story::told().world).await.unwrap();
    sim.advance(6);
    let memory = Memory::default();
    next(&mut Follower::new(chain(&sim), memory.clone(), None, None)).await.unwrap();
    // It has heard of a block of that number, on a fork that it gives up when it has caught up.
    let mut world = Story::told().world;
    world.advance(4);
    world.pin(BLOCK + 4, [9; 32]);
    let behind = Sim::start(world).await.unwrap();
    let error = next(&mut Follower::new(chain(&behind), memory.clone(), None, None)).await.unwrap_err();
    assert!(matches!(error, FollowError::Read(ReadError::NoSuchBlock(_))), "{error}");
    // Once it calls that block final, it is another chain's.
    behind.advance(2);
    let error = next(&mut Follower::new(chain(&behind), memory.clone(), None, None)).await.unwrap_err();
    assert!(matches!(error, FollowError::AnotherChain(_)), "{error}");
}

/// Metadata of the story's runtime as one of another version has it.
fn of_version(version: u32) -> Vec<u8> {
    let mut bytes = unpack(METADATA_V15).unwrap();
    // `RuntimeVersion`: the names of the specification and the implementation, the version of authoring, that of the specification.
    let names = b"\x38node-subtensor\x38node-subtensor";
    let at = bytes.windows(names.len()).position(|window| window == names).unwrap() + names.len() + 4;
    assert_eq!(bytes[at..at + 4], 343u32.to_le_bytes());
    bytes[at..at + 4].copy_from_slice(&version.to_le_bytes());
    bytes
}

/// The same with another form of `SubnetworkN`, which is a number of 64 bits.
fn wide(version: u32) -> Vec<u8> {
    let mut bytes = of_version(version);
    // After the name of an item: a default, a map, one hasher and which, the types of key and value, both below 64, and the default.
    let entry = |name: &[u8]| {
        let wanted = [name, &[1, 1, 4, 6]].concat();
        bytes.windows(wanted.len()).position(|window| window == wanted).unwrap() + wanted.len()
    };
    let (burn, size) = (entry(b"\x10Burn"), entry(b"\x2cSubnetworkN"));
    assert_eq!(bytes[size + 2..size + 5], [8, 0, 0]);
    bytes[size + 1] = bytes[burn + 1];
    bytes.splice(size + 2..size + 5, [32, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

#[tokio::test]
async fn the_state_of_a_block_that_changes_the_runtime_is_of_the_old_one() {
    let (mut story, history) = (Story::told(), Story::told());
    story.world.set_runtime(BLOCK, 344, wide(344));
    // The new runtime's migration.
    for (netuid, uids) in &history.history {
        for block in BLOCK + 1..=LAST {
            if let Some((_, uids)) = uids.range(..=block).next_back().filter(|(_, uids)| !uids.is_empty()) {
                story.wide_size(block, *netuid, uids.len() as u64);
            }
        }
    }
    let sim = Sim::start(story.world).await.unwrap();
    let memory = Memory::default();
    let mut follower = Follower::new(chain(&sim), memory.clone(), None, Some(FIRST));
    sim.advance(LAST - FIRST);
    while next(&mut follower).await.unwrap() < LAST {}
    assert_told(&memory);
    assert_complete(&memory, &history);
}

#[tokio::test]
async fn a_block_that_cannot_be_decoded_is_left_out_alone_if_the_next_one_can() {
    let mut world = Story::told().world;
    // Nobody wrote the numbers of UIDs as this runtime has them, which runs one block.
    world.set_runtime(BLOCK, 344, wide(344));
    world.set_runtime(BLOCK + 1, 345, of_version(345));
    let sim = Sim::start(world).await.unwrap();
    let memory = Memory::default();
    let start = || Follower::new(chain(&sim), memory.clone(), None, Some(FIRST));
    sim.advance(LAST - FIRST);
    let mut strict = start();
    while next(&mut strict).await.unwrap() < BLOCK {}
    for _ in 0..2 {
        let error = next(&mut strict).await.unwrap_err();
        assert!(matches!(error, FollowError::Read(ReadError::Scale { .. })), "{error}");
    }
    let mut follower = start().leaving_out();
    let taken = follower.next().await.unwrap();
    let left_out = LeftOut { from: BLOCK + 1, to: BLOCK + 1 };
    assert_eq!((taken.block.number, taken.changes.left_out), (BLOCK + 2, Some(left_out)));
    assert!(taken.undecodable.unwrap().contains("344"));
    while next(&mut follower).await.unwrap() < LAST {}
    let kept = memory.0.lock().unwrap();
    assert_eq!((kept.left_out.clone(), kept.blocks.len()), (vec![left_out], 8));
    let now: Vec<_> = kept.held.as_ref().unwrap().subnets[&64].values().map(|place| place.hotkey.0[0]).collect();
    assert_eq!(now, [22, 33, 5]);
}

#[tokio::test]
async fn a_runtime_that_is_not_understood_stops_it_until_one_is() {
    let mut world = Story::told().world;
    world.set_runtime(BLOCK, 344, wide(344));
    let sim = Sim::start(world).await.unwrap();
    let memory = Memory::default();
    let start = || Follower::new(chain(&sim), memory.clone(), None, Some(FIRST)).leaving_out();
    let mut follower = start();
    sim.advance(6);
    while next(&mut follower).await.unwrap() < BLOCK {}
    let error = next(&mut follower).await.unwrap_err();
    assert!(matches!(error, FollowError::Read(ReadError::Scale { .. })), "{error}");
    assert_eq!(memory.0.lock().unwrap().held.as_ref().unwrap().block.number, BLOCK);
    sim.change(|world| world.set_runtime(BLOCK + 5, 345, of_version(345)));
    sim.advance(4);
    let newest = sim.change(|world| world.finalized());
    assert_eq!(next(&mut start()).await.unwrap(), newest);
    assert_eq!(memory.0.lock().unwrap().left_out, [LeftOut { from: BLOCK + 1, to: newest - 1 }]);
}
