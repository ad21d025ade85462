//! Which nodes to ask.

use crate::{
    failure::{Failure, Kind},
    output,
};
use chain::read::{At, Block, Chain, ChainConfig, Network, ReadError, rpc::RpcError};
use clap::Args as ClapArgs;
use jiff::Timestamp;

/// Which nodes to ask.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Nodes")]
pub(crate) struct Nodes {
    /// finney, test, local or a node's address (ws://, wss://); repeated: the next takes over where one fails
    /// [env: BT_SUBTENSOR_CHAIN_ENDPOINT, BT_CHAIN_ENDPOINT, BT_SUBTENSOR_NETWORK] [default: finney]
    #[arg(long, value_name = "URL")]
    endpoint: Vec<String>,
}

/// Which nodes to ask, and at which block.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Nodes")]
pub(crate) struct Endpoints {
    #[command(flatten)]
    nodes: Nodes,
    /// A node that keeps old blocks; may be repeated
    #[arg(long, value_name = "URL")]
    archive: Vec<String>,
    /// This block rather than the newest final one
    #[arg(long, value_name = "NUMBER")]
    block: Option<u64>,
}

fn wrong(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}

impl Nodes {
    /// These endpoints.
    pub(crate) fn of(endpoint: Vec<String>) -> Self {
        Self { endpoint }
    }

    /// The chain, which connects when it is first asked, and the name of its network as far as that is known.
    pub(crate) fn chain(&self) -> Result<(Chain, String), Failure> {
        let config = self.config()?;
        let network = config.network.clone();
        Ok((Chain::new(config), network))
    }

    /// As [`Nodes::chain`], with nodes that keep old blocks.
    pub(crate) fn with_archive(&self, archive: &[String]) -> Result<(Chain, String), Failure> {
        let mut config = self.config()?;
        if !archive.is_empty() {
            config.archive = ChainConfig::parse(&archive.join(",")).map_err(|error| wrong(&error))?.endpoints;
        }
        let network = config.network.clone();
        Ok((Chain::new(config), network))
    }

    /// What asks the same nodes once more. Addresses are not repeated: they may have a key in them.
    pub(crate) fn again(&self) -> String {
        match &self.endpoint[..] {
            [] => String::new(),
            [one] if one.parse::<Network>().is_ok() => format!(" --endpoint {one}"),
            _ => " and the same --endpoint".to_owned(),
        }
    }

    fn config(&self) -> Result<ChainConfig, Failure> {
        Ok(match &self.endpoint[..] {
            [] => ChainConfig::from_environment(|name| std::env::var(name).ok()).map_err(|error| wrong(&error))?,
            [one] => ChainConfig::parse(one).map_err(|error| wrong(&error))?,
            several => {
                // A name among addresses is no address.
                if let Some(name) = several.iter().find(|one| one.parse::<Network>().is_ok()) {
                    return Err(wrong(&format!(
                        "--endpoint {name} is a network; repeated, it takes addresses such as ws://127.0.0.1:9944"
                    )));
                }
                ChainConfig::parse(&several.join(",")).map_err(|error| wrong(&error))?
            }
        })
    }
}

impl Endpoints {
    /// The chain, which connects when it is first asked, and the name of its network as far as that is known.
    pub(crate) fn chain(&self) -> Result<(Chain, String), Failure> {
        self.nodes.with_archive(&self.archive)
    }

    /// Whether a block was asked for.
    pub(crate) fn block(&self) -> Option<u64> {
        self.block
    }

    /// The block to read at.
    pub(crate) async fn at(&self, chain: &Chain) -> Result<At, Failure> {
        let Some(number) = self.block else {
            let at = chain.at_finalized().await.map_err(failed)?;
            if let Some(age) = age(&at).await.filter(|age| *age > STILL) {
                let old = output::span(age);
                output::note(&format!(
                    "the newest final block was made {old} ago: the chain stands still, the node is behind, or the clock here is wrong"
                ));
            }
            return Ok(at);
        };
        chain.at_number(number).await.map_err(failed)
    }
}

/// Silence of the chain after which it is said: blocks come every 12 s and are final some blocks later.
const STILL: i64 = 180;

/// When a block was made, if the chain has a clock and the node tells.
pub(crate) async fn made(at: &At) -> Option<Timestamp> {
    // A chain without a clock says 1970.
    at.time().await.ok().filter(|time| time.as_second() > 0)
}

/// How many seconds ago that was.
async fn age(at: &At) -> Option<i64> {
    Some(Timestamp::now().as_second() - made(at).await?.as_second())
}

/// The name of the network behind the endpoints: a known one by its first block, else as it was given.
pub(crate) async fn network(chain: &Chain, given: String) -> Result<String, Failure> {
    let known = Network::with_genesis(&chain.genesis().await.map_err(failed)?);
    Ok(known.map_or(given, |network| network.name().to_owned()))
}

/// A read that gave nothing, in words that say what to do.
pub(crate) fn failed(error: ReadError) -> Failure {
    let what = error.to_string();
    match error {
        ReadError::Rpc(RpcError::Discarded { .. }) => {
            Failure::new(Kind::NotFound, what).advise("--archive URL, such as --archive wss://archive.chain.opentensor.ai:443")
        }
        ReadError::NoSuchBlock(_) | ReadError::NoSuchSubnet(_) => Failure::new(Kind::NotFound, what),
        ReadError::NoSuchCall { .. } => Failure::general(what).advise("--endpoint URL, another node"),
        error if error.is_passing() => {
            Failure::new(Kind::Unreachable, what).advise("--endpoint URL names another node; repeated, one takes over from another")
        }
        ReadError::Scale { .. } => Failure::general(what).advise("another node; is this command line older than the chain's runtime?"),
        _ => Failure::general(what),
    }
}

/// A block as people name it.
pub(crate) fn named(block: Block) -> String {
    let hash: String = block.hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{} (0x{hash}..)", block.number)
}

/// The beginning and end of an address.
pub(crate) fn short(address: &str) -> String {
    match (address.get(..4), address.get(address.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if address.len() > 16 => format!("{head}..{tail}"),
        _ => address.to_owned(),
    }
}
