//! `chain-sim`: a stand-in node that serves recorded state and makes a block every so often.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use chain_sim::{Fate, Faults, METADATA_V15, Recording, Sim, World, balance, unpack};
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
    /// An account and the TAO it has; may be repeated.
    #[arg(long, value_name = "SS58=TAO", value_parser = balance)]
    balance: Vec<([u8; 32], u64)>,
    /// Take every extrinsic that is sent: the next block has it, as one that succeeded. It changes no state.
    #[arg(long)]
    takes_extrinsics: bool,
    /// Fault: milliseconds that each answer waits.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Fault: requests after which each connection is cut.
    #[arg(long)]
    cut_after: Option<u32>,
    /// Fault: the runtime's version as the node names it; it is 343.
    #[arg(long)]
    spec_version: Option<u32>,
    /// Fault: blocks after which the newest ones, which are not final, are given up for others.
    #[arg(long)]
    reorg_every: Option<u64>,
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
    for (account, rao) in &arguments.balance {
        world.set_balance(*account, *rao);
    }
    if arguments.takes_extrinsics {
        world.extrinsics.fate = Fate::success();
    }
    let sim = Sim::start_at(world, arguments.listen).await?;
    sim.fail(Faults {
        delay: Duration::from_millis(arguments.delay_ms),
        cut_after: arguments.cut_after,
        spec_version: arguments.spec_version,
        ..Faults::default()
    });
    println!("{}", sim.url());
    let mut blocks = 0u64;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(arguments.block_time.clamp(0.01, 3600.0)));
    tick.tick().await;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = tick.tick() => {
                blocks += 1;
                if arguments.reorg_every.is_some_and(|every| blocks.is_multiple_of(every)) {
                    sim.change(|world| world.reorg(world.finality_lag));
                }
                sim.advance(1);
            }
        }
    }
}
