//! The simulator as a program.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use validator_sim::{Config, Profile, Scenario, Simulator};

/// A validator in memory, as strict as the original but for the relaxations it names at start.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where miners and chutes connect
    #[arg(long, default_value = "127.0.0.1:8100")]
    listen: SocketAddr,
    /// Where the admin API /_sim/* is served
    #[arg(long, default_value = "127.0.0.1:8101")]
    admin_listen: SocketAddr,
    /// Url that launch tokens carry, when it is not the listening address
    #[arg(long)]
    public_url: Option<String>,
    /// Era to play: oct25 or mar26
    #[arg(long, default_value_t)]
    profile: Profile,
    /// Hotkey registered on the subnet, ss58; may be repeated
    #[arg(long = "miner")]
    miners: Vec<String>,
    /// YAML file with miners and chutes
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Seconds that an advertised GPU stays pending
    #[arg(long, default_value_t = 3.0)]
    node_verify_seconds: f64,
    /// Seed of the ids, for the same ids in every run
    #[arg(long)]
    id_seed: Option<u64>,
    /// Development seed of the validator's hotkey, 64 hex digits
    #[arg(long)]
    validator_seed: Option<String>,
    /// Let launch tokens point to plain http
    #[arg(long)]
    allow_plain_http: bool,
    /// Let servers advertise private and loopback hosts
    #[arg(long)]
    allow_private_hosts: bool,
    /// Capacity is instances < target, without cold-start and fair-share rules
    #[arg(long)]
    simple_capacity: bool,
    /// Call TEE servers back at https://host:30443 before registering them
    #[arg(long)]
    tee_callback: bool,
}

impl Args {
    fn config(self) -> Result<Config> {
        let mut scenario = match &self.scenario {
            None => Scenario::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                Scenario::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?
            }
        };
        scenario.miners.extend(self.miners);
        let defaults = Config::default();
        let validator_seed = match self.validator_seed {
            None => defaults.validator_seed,
            Some(text) => seed(&text).context("--validator-seed")?,
        };
        let node_verify = Duration::try_from_secs_f64(self.node_verify_seconds).context("--node-verify-seconds")?;
        Ok(Config {
            listen: self.listen,
            admin_listen: self.admin_listen,
            public_url: self.public_url,
            profile: self.profile,
            allow_plain_http: self.allow_plain_http,
            allow_private_hosts: self.allow_private_hosts,
            simple_capacity: self.simple_capacity,
            tee_callback: self.tee_callback,
            node_verify,
            id_seed: self.id_seed,
            validator_seed,
            scenario,
            ..defaults
        })
    }
}

fn seed(text: &str) -> Result<[u8; 32]> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
    match bytes.and_then(|bytes| bytes.try_into().ok()) {
        Some(seed) => Ok(seed),
        None => bail!("a seed is 64 hex digits"),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("validator-sim: {why:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let config = args.config()?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    for relaxation in config.relaxations() {
        println!("relaxation {}: {}", relaxation.name(), relaxation.meaning());
    }
    let simulator = Simulator::start(config).await?;
    println!("validator hotkey {}", simulator.validator_hotkey());
    println!("listening on {}", simulator.url());
    println!("admin listening on {}", simulator.admin_url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.shutdown().await;
    Ok(())
}
