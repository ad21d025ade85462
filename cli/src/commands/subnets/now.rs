//! What the chain says now, as one more snapshot that no file holds.

use crate::{
    commands::chain::{Nodes, failed, made, network},
    failure::{Failure, Kind},
    output::{note, span},
};
use chain::{
    read::{At, Network},
    survey::{self, Terms},
    tracker::snapshot::Snapshot,
};
use jiff::Timestamp;

/// What a network is called of which only an address is known.
const UNKNOWN: &str = "custom";

/// Age in seconds of the newest final block from which on the node is catching up.
const BEHIND: i64 = 600;

/// The time of a block, in the form of the existing tracker, so that its files and ours stand in order. A block that is old though nobody
/// asked for it is refused: what it tells is of then.
pub(super) async fn moment(at: &At, asked_for: bool) -> Result<String, Failure> {
    let (now, made) = (Timestamp::now(), made(at).await);
    let age = made.map_or(0, |made| now.as_second() - made.as_second());
    if age > BEHIND && !asked_for {
        let what = format!("the newest final block was made {} ago: a snapshot of it would tell of then, not of now", span(age));
        return Err(
            Failure::new(Kind::RemoteFailed, what).advise("--endpoint URL, another node; to keep that block, subnets snapshot --block N")
        );
    }
    Ok(made.unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string())
}

/// Reads these subnets, or all if none is named, at the newest final block.
pub(super) async fn read(endpoint: &[String], wanted: &str, netuids: &[u16]) -> Result<Snapshot, Failure> {
    let (chain, given) = Nodes::of(endpoint.to_vec()).chain()?;
    let found = network(&chain, given).await?;
    // A chain that nobody knows may be called anything but the one that is known by its first block.
    if found != wanted && (found != UNKNOWN || wanted == Network::Finney.name()) {
        let what = format!("the endpoint is of the network {found:?}, not {wanted:?}");
        return Err(Failure::new(Kind::Usage, what).advise(format!("--network {found}")));
    }
    let at = chain.at_finalized().await.map_err(failed)?;
    let timestamp = moment(&at, false).await?;
    if netuids.is_empty() {
        let taken = survey::snapshot(&at, wanted, &timestamp).await.map_err(failed)?;
        if let Some((netuid, why)) = taken.failed.iter().next() {
            note(&format!("left out {} subnet(s) of the chain; the first, {netuid}: {why}", taken.failed.len()));
        }
        return Ok(taken.snapshot);
    }
    let mut snapshot = Snapshot { timestamp, network: wanted.to_owned(), ..Snapshot::default() };
    let terms = Terms::read(&at).await.map_err(failed)?;
    for netuid in netuids {
        let whole = at.selective_metagraph(*netuid).await.map_err(failed)?;
        snapshot.subnets.insert(*netuid, terms.subnet(&whole, at.block().number));
    }
    Ok(snapshot)
}
