//! Nodes that stand in for real ones, and a reader of them.

#![allow(dead_code, reason = "each test program uses a part")]

use std::time::Duration;

use chain::read::rpc::RpcOptions;
use chain::read::{Chain, ChainConfig, Runtime};
use chain_sim::{METADATA_V15, Recording, Sim, World, unpack};

pub(crate) const BLOCK: u64 = 6_852_690;

pub(crate) fn world(scenarios: &[&str]) -> World {
    let mut world = World::new(BLOCK, 343, unpack(METADATA_V15).unwrap());
    let recording = Recording::shipped().unwrap();
    for scenario in scenarios {
        recording.put(scenario, &mut world).unwrap();
    }
    world
}

pub(crate) fn options() -> RpcOptions {
    RpcOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        backoff: (Duration::from_millis(20), Duration::from_millis(100)),
        ..RpcOptions::default()
    }
}

pub(crate) fn config(sims: &[&Sim]) -> ChainConfig {
    let urls: Vec<String> = sims.iter().map(|sim| sim.url()).collect();
    ChainConfig { options: options(), ..ChainConfig::parse(&urls.join(",")).unwrap() }
}

pub(crate) fn chain(sims: &[&Sim]) -> Chain {
    Chain::new(config(sims))
}

pub(crate) fn runtime() -> Runtime {
    Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap()
}
