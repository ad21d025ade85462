//! Memory stays bounded: over many blocks, with a reader that is slow, and against nodes that send too much.
//!
//! The node runs on threads of its own; what is counted is what the reader's thread holds, on which all of the reader runs.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chain::follow::{Changes, Follower, Held, TenureSink};
use chain::read::{Block, Chain};
use chain_sim::{Faults, Sim, World};
use serde_json::json;
use tokio::runtime::Runtime;

#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/story.rs"]
mod story;

use nodes::{BLOCK, config, world};
use story::Story;

/// A node on threads of its own.
struct Node {
    sim: Sim,
    _runtime: Runtime,
}

fn node(world: World) -> Node {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    Node { sim: runtime.block_on(Sim::start(world)).unwrap(), _runtime: runtime }
}

/// Runs all of a reader on this thread.
fn reader() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const KIB: u64 = 1 << 10;

/// What was left of the memory taken while this ran, and the most that was held at one time.
fn held(run: impl FnOnce()) -> (i64, u64) {
    let info = allocation_counter::measure(run);
    (info.bytes_current, info.bytes_max)
}

#[test]
fn ten_thousand_blocks_leave_nothing_behind() {
    let mut world = world(&[]);
    world.keeps = None;
    let from = BLOCK - 2;
    let node = node(world);
    node.sim.advance(11_000);
    let reader = reader();
    let mut blocks = Chain::new(config(&[&node.sim])).finalized_blocks(Some(from));
    let mut next = from;
    let mut read = |count: u64| {
        for _ in 0..count {
            assert_eq!(reader.block_on(blocks.next()).unwrap().number, next);
            next += 1;
        }
    };
    read(1_000);
    let (left, most) = held(|| read(10_000));
    println!("10,000 blocks: {left} bytes left, {most} held at most");
    assert!(left < 16 * KIB as i64 && most < 256 * KIB, "{left} bytes left, {most} held");
}

/// Holds what the follower needs, and keeps no history.
#[derive(Default)]
struct Last(std::sync::Mutex<Option<Held>>);

impl TenureSink for Last {
    type Error = std::convert::Infallible;

    async fn load(&self) -> Result<Option<Held>, Self::Error> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn take(&self, _: Option<Block>, block: Block, changes: &Changes) -> Result<(), Self::Error> {
        let mut last = self.0.lock().unwrap();
        let held = last.get_or_insert_with(|| Held { block, subnets: BTreeMap::new(), prices: BTreeMap::new() });
        held.block = block;
        for closed in &changes.closed {
            held.subnets.entry(closed.netuid).or_default().remove(&closed.uid);
        }
        for opened in changes.opened.iter().filter(|opened| !opened.passed) {
            held.subnets.entry(opened.netuid).or_default().insert(opened.uid, opened.place);
        }
        Ok(())
    }
}

#[test]
fn following_holds_the_places_and_not_what_became_of_them() {
    let mut story = Story::new();
    let mut uids: Vec<(u8, u8, u64)> = (0..20).map(|uid| (uid + 1, 200, story::BLOCK - 500)).collect();
    story.state(0, 64, 1, &uids);
    // In every block another one is replaced.
    for n in 1..=400u64 {
        let (uid, hotkey) = (usize::try_from(n % 20).unwrap(), u8::try_from(21 + n % 200).unwrap());
        uids[uid] = (hotkey, 201, story::BLOCK + n);
        story.state(story::BLOCK + n, 64, 1, &uids);
        story.events(story::BLOCK + n, &[("NeuronRegistered", &[&[64, 0], &[u8::try_from(uid).unwrap(), 0], &[hotkey; 32]])]);
    }
    story.world.keeps = None;
    let node = node(story.world);
    node.sim.advance(400);
    let reader = reader();
    let mut follower = Follower::new(Chain::new(config(&[&node.sim])), Last::default(), Some(64), Some(story::BLOCK - 1));
    let mut replaced = 0;
    let mut read = |count: u64| {
        for _ in 0..count {
            replaced += reader.block_on(follower.next()).unwrap().changes.closed.len();
        }
    };
    read(100);
    let (left, most) = held(|| read(200));
    println!("200 blocks followed: {left} bytes left, {most} held at most");
    assert!(left < 16 * KIB as i64 && most < 512 * KIB, "{left} bytes left, {most} held");
    assert!(replaced > 200, "{replaced}");
}

#[test]
fn a_slow_reader_costs_no_memory_and_misses_no_block() {
    const BLOCKS: u64 = 1_000;
    let node = node(world(&[]));
    let reader = reader();
    let mut blocks = Chain::new(config(&[&node.sim])).finalized_blocks(None);
    let first = reader.block_on(blocks.next()).unwrap().number;
    let (_, most) = held(|| {
        reader.block_on(async {
            // One at a time, or the node would tell of the last only.
            for _ in 0..BLOCKS {
                allocation_counter::opt_out(|| node.sim.advance(1));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    });
    println!("{BLOCKS} blocks that nobody read: {most} bytes held at most");
    assert!(most < 256 * KIB, "{most} bytes");
    let unsubscribed = node.sim.requests().iter().filter(|method| *method == "chain_unsubscribeFinalizedHeads").count();
    assert_eq!(unsubscribed, 1, "the node is told that nobody reads");
    for number in first + 1..=first + BLOCKS {
        assert_eq!(reader.block_on(blocks.next()).unwrap().number, number);
    }
}

#[test]
fn a_node_that_tells_without_end_is_left() {
    let (flood, good) = (node(world(&[])), node(world(&[])));
    let reader = reader();
    let mut blocks = Chain::new(config(&[&flood.sim, &good.sim])).finalized_blocks(None);
    assert_eq!(reader.block_on(blocks.next()).unwrap().number, BLOCK - 2);
    flood.sim.fail(Faults { flood: true, ..Faults::default() });
    flood.sim.advance(1);
    good.sim.advance(3);
    let (_, most) = held(|| {
        reader.block_on(async {
            // The reader has other things to do meanwhile.
            tokio::time::sleep(Duration::from_secs(2)).await;
            for number in BLOCK - 1..=BLOCK + 1 {
                let block = tokio::time::timeout(Duration::from_secs(60), blocks.next()).await.unwrap().unwrap();
                assert_eq!(block.number, number);
            }
        });
    });
    println!("a flood: {most} bytes held at most");
    assert!(most < 2 * KIB * KIB, "{most} bytes");
    assert!(good.sim.connections() > 0);
}

#[test]
fn a_node_that_sends_what_nobody_asked_for_is_left() {
    let node = node(world(&[]));
    let reader = reader();
    let chain = Chain::new(config(&[&node.sim]));
    let mut blocks = chain.finalized_blocks(None);
    reader.block_on(blocks.next()).unwrap();
    // Nobody reads the news, so they are told to end, and do not.
    node.sim.fail(Faults { flood: true, ..Faults::default() });
    node.sim.advance(1);
    reader.block_on(async { tokio::time::sleep(Duration::from_secs(2)).await });
    node.sim.fail(Faults::default());
    reader.block_on(chain.finalized()).unwrap();
    assert_eq!(node.sim.connections(), 2);
}

#[test]
fn a_message_of_a_hundred_megabytes_is_not_taken_in() {
    let node = node(world(&[]));
    let reader = reader();
    let chain = Chain::new(config(&[&node.sim]));
    reader.block_on(chain.finalized()).unwrap();
    // Larger than any answer, but not too large.
    node.sim.fail(Faults { blanks: 1 << 20, ..Faults::default() });
    reader.block_on(chain.finalized()).unwrap();
    node.sim.fail(Faults { blanks: 100 << 20, ..Faults::default() });
    let start = Instant::now();
    let (_, most) = held(|| {
        let error = reader.block_on(chain.finalized()).unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("too long"), "{error}");
    });
    assert!(most < 4 * KIB * KIB, "{most} bytes for what is refused");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_message_of_very_many_values_is_not_taken_in() {
    let node = node(world(&[]));
    let reader = reader();
    let chain = Chain::new(config(&[&node.sim]));
    reader.block_on(chain.finalized()).unwrap();
    // A megabyte and a half on the wire, and some seventy as values.
    let values = json!(vec![json!([0]); 400_000]);
    node.sim.fail(Faults { instead: [("chain_getFinalizedHead", Ok(values))].into(), ..Faults::default() });
    let (_, most) = held(|| {
        let error = reader.block_on(chain.finalized()).unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("values"), "{error}");
    });
    assert!(most < 8 * KIB * KIB, "{most} bytes");
}
