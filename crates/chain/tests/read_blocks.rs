//! Finalized blocks: in order, without gaps, and none that is not final.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use chain_sim::{Faults, Sim};

#[path = "support/nodes.rs"]
mod nodes;

use nodes::{BLOCK, chain, world};

#[tokio::test]
async fn finalized_blocks_come_in_order_without_gaps_over_cuts_and_reorgs() {
    let sim = Sim::start(world(&[])).await.unwrap();
    let chain = chain(&[&sim]);
    let from = BLOCK - 10;
    let mut blocks = chain.finalized_blocks(Some(from));
    let mut seen = Vec::new();
    for round in 0..6u64 {
        while seen.len() as u64 + from <= sim.change(|world| world.finalized()) {
            seen.push(tokio::time::timeout(Duration::from_secs(20), blocks.next()).await.unwrap().unwrap());
        }
        match round % 3 {
            0 => sim.cut(),
            1 => sim.change(|world| world.reorg(2)),
            _ => {}
        }
        sim.advance(round + 1);
    }
    let numbers: Vec<u64> = seen.iter().map(|block| block.number).collect();
    let all: Vec<u64> = (from..from + seen.len() as u64).collect();
    assert_eq!(numbers, all);
    for block in &seen {
        assert_eq!(Some(block.hash), sim.change(|world| world.hash(block.number)), "block {} is that of the chain", block.number);
    }
    assert!(sim.connections() > 1, "it was cut");
}

#[tokio::test]
async fn a_stream_goes_on_where_a_program_of_before_stopped() {
    let sim = Sim::start(world(&[])).await.unwrap();
    let chain = chain(&[&sim]);
    let mut first = chain.finalized_blocks(Some(BLOCK - 20));
    let last = first.next().await.unwrap();
    drop(first);
    let mut second = chain.finalized_blocks(None).after(last);
    assert_eq!(second.next().await.unwrap().number, last.number + 1);
    // Without anything to go on from, it begins with the newest.
    assert_eq!(chain.finalized_blocks(None).next().await.unwrap().number, BLOCK - 2);
}

#[tokio::test]
async fn a_block_that_does_not_follow_the_last_one_is_not_handed_out() {
    let (forked, good) = (Sim::start(world(&[])).await.unwrap(), Sim::start(world(&[])).await.unwrap());
    let chain = chain(&[&forked, &good]);
    let mut blocks = chain.finalized_blocks(Some(BLOCK - 2));
    let last = blocks.next().await.unwrap();
    forked.change(|world| world.reorg_finalized(3));
    forked.advance(2);
    good.advance(2);
    let next = tokio::time::timeout(Duration::from_secs(20), blocks.next()).await.unwrap().unwrap();
    assert_eq!(next.number, last.number + 1);
    assert_eq!(Some(next.hash), good.change(|world| world.hash(next.number)));
    assert_ne!(Some(next.hash), forked.change(|world| world.hash(next.number)));
}

#[tokio::test]
async fn only_what_the_node_that_hands_out_a_block_calls_final_is_handed_out() {
    let (ahead, behind) = (Sim::start(world(&[])).await.unwrap(), Sim::start(world(&[])).await.unwrap());
    ahead.advance(5);
    // Behind, and its newest blocks are of a fork that will be given up.
    behind.advance(1);
    behind.change(|world| world.reorg(2));
    let chain = chain(&[&ahead, &behind]);
    let mut blocks = chain.finalized_blocks(Some(BLOCK - 1));
    assert_eq!(blocks.next().await.unwrap().number, BLOCK - 1);
    ahead.fail(Faults { refuse: true, ..Faults::default() });
    ahead.cut();
    let pending = tokio::time::timeout(Duration::from_secs(3), blocks.next()).await;
    assert!(pending.is_err(), "{pending:?}");
    assert!(behind.connections() > 0);
    ahead.fail(Faults::default());
    behind.fail(Faults { refuse: true, ..Faults::default() });
    behind.cut();
    let next = tokio::time::timeout(Duration::from_secs(20), blocks.next()).await.unwrap().unwrap();
    assert_eq!((next.number, Some(next.hash)), (BLOCK, ahead.change(|world| world.hash(BLOCK))));
}

#[tokio::test]
async fn blocks_that_are_made_but_not_final_are_waited_for() {
    let sim = Sim::start(world(&[])).await.unwrap();
    let mut blocks = chain(&[&sim]).finalized_blocks(None);
    assert_eq!(blocks.next().await.unwrap().number, BLOCK - 2);
    sim.change(|world| world.finality_lag = 4);
    sim.advance(2);
    assert!(tokio::time::timeout(Duration::from_millis(500), blocks.next()).await.is_err());
    sim.advance(1);
    assert_eq!(blocks.next().await.unwrap().number, BLOCK - 1);
}

#[tokio::test]
async fn a_node_that_claims_what_cannot_be_final_is_left() {
    let (liar, good) = (Sim::start(world(&[])).await.unwrap(), Sim::start(world(&[])).await.unwrap());
    liar.fail(Faults { claims_final: Some(u64::MAX), ..Faults::default() });
    let mut blocks = chain(&[&liar, &good]).finalized_blocks(None);
    assert_eq!(blocks.next().await.unwrap().number, BLOCK - 2);
    good.advance(3);
    for number in BLOCK - 1..=BLOCK + 1 {
        let next = tokio::time::timeout(Duration::from_secs(20), blocks.next()).await.unwrap().unwrap();
        assert_eq!((next.number, Some(next.hash)), (number, good.change(|world| world.hash(number))));
    }
}
