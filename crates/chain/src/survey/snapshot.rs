//! A snapshot of all subnets from an endpoint.

use std::collections::BTreeMap;

use futures::StreamExt as _;

use super::Terms;
use crate::read::{At, ReadError};
use crate::tracker::snapshot::{Snapshot, Subnet};

/// Subnets asked for at once: enough that round trips overlap, few enough for a public node.
const AT_ONCE: usize = 4;

/// A snapshot, and what is not in it.
#[derive(Debug)]
pub struct Taken {
    /// What could be read.
    pub snapshot: Snapshot,
    /// Subnets that could not, with why.
    pub failed: BTreeMap<u16, String>,
}

/// Reads all subnets at one block: unlike those of the existing tracker, whose subnets stand some blocks apart, all of it belongs together.
///
/// `timestamp` and `network` are written into the snapshot as they are. A subnet that the node cannot answer for, or whose answer
/// contradicts itself, is left out and named.
///
/// # Errors
///
/// As [`At::storage`] where trying later may help: half a snapshot would look like subnets that are gone.
pub async fn snapshot(at: &At, network: &str, timestamp: &str) -> Result<Taken, ReadError> {
    let netuids = at.subnets().await?;
    let terms = Terms::read(at).await?;
    let mut taken = Taken {
        snapshot: Snapshot { timestamp: timestamp.to_owned(), network: network.to_owned(), subnets: BTreeMap::new() },
        failed: BTreeMap::new(),
    };
    let mut read = futures::stream::iter(netuids)
        .map(|netuid| async move { (netuid, at.selective_metagraph(netuid).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((netuid, whole)) = read.next().await {
        let state = match whole {
            // Whatever it calls itself: it was asked for under this number.
            Ok(whole) => checked(terms.subnet(&crate::read::SelectiveMetagraph { netuid, ..whole }, at.block().number)),
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        match state {
            Ok(state) => {
                taken.snapshot.subnets.insert(netuid, state);
            }
            Err(why) => {
                taken.failed.insert(netuid, why);
            }
        }
    }
    Ok(taken)
}

fn checked(state: Subnet) -> Result<Subnet, String> {
    state.fault().map_or(Ok(state), |fault| Err(fault.to_string()))
}
