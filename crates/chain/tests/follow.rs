//! Following a stand-in node into a sink in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/story.rs"]
mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chain::follow::{Changes, FollowError, Follower, Held, Opened, Place, TenureSink};
use chain::read::rpc::{RpcError, RpcOptions};
use chain::read::{AccountId, Block, Chain, ChainConfig, ReadError};
use chain_sim::{Faults, Sim};
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
        Place { hotkey: AccountId([4; 32]), coldkey: Some(AccountId([144; 32])), registered_at: b - 996, validator: false }
    );
    let validators: BTreeSet<u16> = kept.rows.iter().filter(|(opened, _)| opened.place.validator).map(|(opened, _)| opened.uid).collect();
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
