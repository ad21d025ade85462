//! `chain-sim`: a stand-in node that serves recorded state and makes a block every so often.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use chain_sim::{METADATA_V15, Recording, Sim, World, unpack};
use clap::Parser;

/// Serves the recorded state of the real chain at every block.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9944")]
    listen: SocketAddr,
    /// Number of the newest block.
    #[arg(long, default_value_t = 6_852_690)]
    block: u64,
    /// Seconds between blocks.
    #[arg(long, default_value_t = 12.0)]
    block_time: f64,
    /// Keep the state of every block.
    #[arg(long)]
    archive: bool,
    /// Scenarios to serve; later ones go before earlier ones.
    #[arg(long, default_values_t = ["get_all_subnets_netuid", "get_all_subnets_info", "metagraph"].map(str::to_owned))]
    scenario: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let recording = Recording::shipped()?;
    let mut world = World::new(arguments.block, 343, unpack(METADATA_V15)?);
    for scenario in &arguments.scenario {
        recording.put(scenario, &mut world)?;
    }
    if arguments.archive {
        world.keeps = None;
    }
    let sim = Sim::start_at(world, arguments.listen).await?;
    println!("{}", sim.url());
    let mut tick = tokio::time::interval(Duration::from_secs_f64(arguments.block_time.clamp(0.01, 3600.0)));
    tick.tick().await;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = tick.tick() => sim.advance(1),
        }
    }
}
