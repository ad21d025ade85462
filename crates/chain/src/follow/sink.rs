//! Where tenures are kept.

use std::collections::BTreeMap;
use std::future::Future;

use super::{Changes, Places};
use crate::read::Block;

/// What a sink holds: the state of the chain in its last block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The last block that was taken in.
    pub block: Block,
    /// Tenures that run, by subnet.
    pub subnets: BTreeMap<u16, Places>,
    /// The last price kept, by subnet, in rao.
    pub prices: BTreeMap<u16, u64>,
}

/// Keeps tenures, and the last block whose changes are among them.
pub trait TenureSink: Send + Sync {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// What is held; `None` before the first block.
    fn load(&self) -> impl Future<Output = Result<Option<Held>, Self::Error>> + Send;

    /// Takes a block's changes in, all or nothing, together with the block as the new position. `after` is the position that the
    /// changes start from (`None` for the first block), and it is an error for the sink to be anywhere else. `block` is the next one, or
    /// [`Changes::left_out`] says which are missing. After any other error the block may or may not have been taken in.
    fn take(&self, after: Option<Block>, block: Block, changes: &Changes) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
