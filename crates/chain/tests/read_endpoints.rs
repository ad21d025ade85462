//! Nodes that fail, lie, lag or are busy, and whom the reader asks instead.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use chain::read::rpc::RpcError;
use chain::read::{Chain, ChainConfig, ReadError};
use chain_sim::{Faults, Sim};

#[path = "support/nodes.rs"]
mod nodes;

use nodes::{BLOCK, chain, config, options, world};

#[tokio::test]
async fn another_endpoint_takes_over() {
    let (dead, silent, good) =
        (Sim::start(world(&[])).await.unwrap(), Sim::start(world(&[])).await.unwrap(), Sim::start(world(&["metagraph"])).await.unwrap());
    dead.fail(Faults { refuse: true, ..Faults::default() });
    silent.fail(Faults { silent: true, ..Faults::default() });
    let mut config = config(&[&dead, &silent, &good]);
    config.options.request_timeout = Duration::from_millis(300);
    let chain = Chain::new(config);
    assert_eq!(chain.finalized().await.unwrap().number, BLOCK - 2);
    assert_eq!(chain.endpoint().await, Some(good.url()));
    assert!(dead.connections() >= 1 && silent.connections() >= 1);
    // It stays there while it works.
    let before = dead.connections();
    chain.finalized().await.unwrap();
    assert_eq!(dead.connections(), before);
}

/// Takes connections and says nothing on them.
async fn mute() -> (tokio::net::TcpListener, url::Url) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, url)
}

#[tokio::test]
async fn an_endpoint_that_is_slow_to_connect_does_not_hold_up_the_next() {
    let ((_mute, slow), good) = (mute().await, Sim::start(world(&[])).await.unwrap());
    let mut config = config(&[&good]);
    config.endpoints.insert(0, slow);
    config.options.connect_timeout = Duration::from_secs(4);
    let (chain, start) = (Chain::new(config), Instant::now());
    assert_eq!(chain.finalized().await.unwrap().number, BLOCK - 2);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(chain.endpoint().await, Some(good.url()));
}

#[tokio::test]
async fn who_only_asks_which_endpoint_is_in_use_does_not_wait_for_a_connect() {
    let (_mute, slow) = mute().await;
    let chain = Chain::new(ChainConfig { endpoints: vec![slow], options: options(), ..ChainConfig::parse("local").unwrap() });
    let asking = tokio::spawn({
        let chain = chain.clone();
        async move { chain.finalized().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let endpoint = tokio::time::timeout(Duration::from_secs(1), chain.endpoint()).await;
    assert_eq!(endpoint.expect("an answer at once"), None);
    asking.abort();
}

#[tokio::test]
async fn a_cut_connection_is_made_anew() {
    let sim = Sim::start(world(&["metagraph"])).await.unwrap();
    let chain = chain(&[&sim]);
    sim.fail(Faults { cut_after: Some(3), ..Faults::default() });
    for _ in 0..4 {
        chain.finalized().await.unwrap();
    }
    assert!(sim.connections() >= 3, "{}", sim.connections());
}

#[tokio::test]
async fn garbage_overload_and_slowness_end_in_an_error_in_time() {
    let sim = Sim::start(world(&["metagraph"])).await.unwrap();
    let mut config = config(&[&sim]);
    config.options.request_timeout = Duration::from_millis(200);
    let chain = Chain::new(config);
    for (faults, label) in [
        (Faults { garbage: true, ..Faults::default() }, "timeout"),
        (Faults { delay: Duration::from_secs(2), ..Faults::default() }, "timeout"),
        (Faults { overloaded: true, ..Faults::default() }, "refused"),
    ] {
        sim.fail(faults);
        let start = Instant::now();
        let error = chain.finalized().await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(2) && error.is_passing(), "{error}");
        // Over again, until the endpoint is let alone for a while.
        assert!([label, "unreachable"].contains(&error.label()), "{error}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    sim.fail(Faults::default());
    tokio::time::sleep(Duration::from_millis(150)).await;
    chain.finalized().await.unwrap();
}

#[tokio::test]
async fn nothing_listening_is_said_with_every_endpoint() {
    let chain = Chain::new(ChainConfig { options: options(), ..ChainConfig::parse("ws://127.0.0.1:1,ws://127.0.0.1:2").unwrap() });
    let error = chain.finalized().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ReadError::Rpc(RpcError::Unreachable(_))), "{text}");
    assert!(text.contains("ws://127.0.0.1:1") && text.contains("ws://127.0.0.1:2"), "{text}");
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_not_used() {
    let (other, good) = (Sim::start(world(&[])).await.unwrap(), Sim::start(world(&[])).await.unwrap());
    other.change(|world| world.set_genesis([9; 32]));
    let genesis = good.change(|world| world.genesis());
    let mut config = config(&[&other, &good]);
    config.genesis = Some(genesis);
    let chain = Chain::new(config.clone());
    assert_eq!(chain.genesis().await.unwrap(), genesis);
    assert_eq!(chain.endpoint().await, Some(good.url()));
    config.endpoints.pop();
    let error = Chain::new(config).genesis().await.unwrap_err().to_string();
    assert!(error.contains("another chain"), "{error}");
}

#[tokio::test]
async fn old_blocks_come_from_the_archive() {
    let (node, archive) = (Sim::start(world(&["metagraph"])).await.unwrap(), Sim::start(world(&["metagraph"])).await.unwrap());
    archive.change(|world| world.keeps = None);
    let old = BLOCK - 1000;
    let mut config = config(&[&node]);
    let error = Chain::new(config.clone()).at_number(old).await.unwrap_err();
    assert!(
        matches!(error, ReadError::Rpc(RpcError::Discarded { .. })) && error.to_string().contains("set an archive endpoint"),
        "{error}"
    );
    config.archive = vec![archive.url().parse().unwrap()];
    let chain = Chain::new(config);
    let at = chain.at_number(old).await.unwrap();
    assert_eq!(at.neurons_lite(1).await.unwrap().len(), 1024);
    // New blocks do not bother it.
    let before = archive.requests().len();
    chain.at_number(BLOCK).await.unwrap().neurons_lite(1).await.unwrap();
    assert_eq!(archive.requests().len(), before);
}

#[tokio::test]
async fn connections_that_end_at_once_are_not_made_anew_without_a_pause() {
    let sim = Sim::start(world(&[])).await.unwrap();
    let mut blocks = chain(&[&sim]).finalized_blocks(None);
    blocks.next().await.unwrap();
    let cuts = async {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            sim.cut();
        }
    };
    tokio::select! {
        () = cuts => {}
        end = blocks.next() => panic!("{end:?}"),
    }
    assert!((2..8).contains(&sim.connections()), "{}", sim.connections());
}

#[tokio::test]
async fn a_busy_node_is_not_connected_anew_for_every_request() {
    let sim = Sim::start(world(&[])).await.unwrap();
    let chain = chain(&[&sim]);
    chain.finalized().await.unwrap();
    sim.fail(Faults { overloaded: true, ..Faults::default() });
    for _ in 0..20 {
        assert!(chain.finalized().await.unwrap_err().is_passing());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(sim.connections(), 1);
    assert!(sim.requests().len() < 15, "it is let alone for longer and longer: {}", sim.requests().len());
    sim.fail(Faults::default());
    tokio::time::sleep(Duration::from_millis(150)).await;
    chain.finalized().await.unwrap();
    assert_eq!(sim.connections(), 1);
}

#[tokio::test]
async fn a_node_that_only_connects_is_let_alone_for_longer_and_longer() {
    let sim = Sim::start(world(&[])).await.unwrap();
    let chain = chain(&[&sim]);
    // The hash of the first block is told, and nothing else.
    sim.fail(Faults { cut_after: Some(1), ..Faults::default() });
    for _ in 0..30 {
        assert!(chain.finalized().await.unwrap_err().is_passing());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!((2..15).contains(&sim.connections()), "{}", sim.connections());
}

#[tokio::test]
async fn a_busy_node_is_not_taken_for_an_old_runtime() {
    let sim = Sim::start(world(&["metagraph"])).await.unwrap();
    let chain = chain(&[&sim]);
    let busy = Err((-32009, "Server is busy".to_owned()));
    sim.fail(Faults { instead: [("state_call", busy)].into(), ..Faults::default() });
    assert!(chain.at_finalized().await.unwrap_err().is_passing());
    assert!(!sim.requests().contains(&"state_getMetadata".to_owned()));
    sim.fail(Faults::default());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(chain.at_finalized().await.unwrap().neurons_lite(1).await.unwrap().len(), 1024);
}

#[tokio::test]
async fn what_one_node_does_not_know_another_or_the_archive_may() {
    let (behind, ahead, archive) = (
        Sim::start(world(&["metagraph"])).await.unwrap(),
        Sim::start(world(&["metagraph"])).await.unwrap(),
        Sim::start(world(&["metagraph"])).await.unwrap(),
    );
    ahead.advance(10);
    let chain = chain(&[&behind, &ahead]);
    let at = chain.at_number(BLOCK + 5).await.unwrap();
    assert_eq!(at.neurons_lite(1).await.unwrap().len(), 1024);
    assert!(matches!(chain.at_number(BLOCK + 11).await, Err(ReadError::NoSuchBlock(_))));
    // Both still are used: neither did anything wrong.
    assert_eq!(chain.at_number(BLOCK + 5).await.unwrap().block(), at.block());
    let unknown = Err((4003, "Client error: UnknownBlock: Header was not found in the database".to_owned()));
    let nothing = Ok(serde_json::Value::Null);
    behind
        .fail(Faults { instead: [("state_getRuntimeVersion", unknown.clone()), ("chain_getHeader", nothing)].into(), ..Faults::default() });
    let mut config = config(&[&behind]);
    let error = Chain::new(config.clone()).at_number(BLOCK).await.unwrap_err();
    assert!(matches!(&error, ReadError::Rpc(RpcError::UnknownBlock { .. })) && error.is_passing(), "{error}");
    config.archive = vec![archive.url().parse().unwrap()];
    let chain = Chain::new(config);
    assert_eq!(chain.at_number(BLOCK).await.unwrap().runtime().spec_version(), 343);
    assert_eq!(chain.finalized().await.unwrap().number, BLOCK - 2);
    // The archive's own failure does not advise to set an archive.
    archive.change(|world| world.keeps = Some(1));
    let error = chain.at_number(BLOCK - 100).await.unwrap_err().to_string();
    assert!(error.contains("the archive keeps nothing of that block either"), "{error}");
}

#[tokio::test]
async fn what_makes_no_sense_is_asked_of_another_node() {
    let (bad, good) = (Sim::start(world(&["metagraph"])).await.unwrap(), Sim::start(world(&["metagraph"])).await.unwrap());
    bad.fail(Faults { truncate: 1, ..Faults::default() });
    let chain = chain(&[&bad, &good]);
    assert_eq!(chain.at_finalized().await.unwrap().neurons_lite(1).await.unwrap().len(), 1024);
    assert_eq!(chain.endpoint().await, Some(good.url()));
}

#[tokio::test]
async fn endpoints_of_two_chains_are_not_mixed_where_no_chain_was_named() {
    let (first, other) = (Sim::start(world(&[])).await.unwrap(), Sim::start(world(&[])).await.unwrap());
    other.change(|world| world.set_genesis([9; 32]));
    let chain = chain(&[&first, &other]);
    chain.finalized().await.unwrap();
    first.fail(Faults { refuse: true, ..Faults::default() });
    first.cut();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let error = chain.finalized().await.unwrap_err().to_string();
    assert!(error.contains("another chain"), "{error}");
}
