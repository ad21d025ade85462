//! What registering costs, and what it gave.

use super::Call;
use crate::read::{AccountId, At, ReadError};

const PALLET: &str = "SubtensorModule";

/// What there is to know before a registration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RegistrationQuote {
    /// The subnet.
    pub netuid: u16,
    /// The price at this block, in rao.
    pub price_rao: u64,
    /// What the coldkey has, in rao.
    pub balance_rao: u64,
    /// UIDs in use.
    pub uids: u16,
    /// UIDs there can be. When all are in use, the newcomer takes the place of the weakest.
    pub max_uids: u16,
    /// Blocks for which the new UID is pruned only when nothing else can be.
    pub immunity_blocks: u16,
    /// The UID that the hotkey has already.
    pub registered_as: Option<u16>,
    /// Whose the hotkey is, if it is known to the chain.
    pub owner: Option<AccountId>,
    /// Whether the chain itself refuses to take more than the limit.
    pub limit_is_held: bool,
}

/// What a registration would cost a coldkey at a block.
///
/// # Errors
///
/// [`ReadError::NoSuchSubnet`], or why the chain cannot be read.
pub async fn quote(at: &At, netuid: u16, hotkey: AccountId, coldkey: AccountId) -> Result<RegistrationQuote, ReadError> {
    // First, because it tells whether there is such a subnet.
    let price_rao = at.burn(netuid).await?;
    Ok(RegistrationQuote {
        netuid,
        price_rao,
        balance_rao: at.account(coldkey).await?.data.free,
        uids: at.storage(PALLET, "SubnetworkN", (netuid,)).await?.unwrap_or_default(),
        max_uids: at.storage(PALLET, "MaxAllowedUids", (netuid,)).await?.unwrap_or_default(),
        immunity_blocks: at.immunity_period(netuid).await?,
        registered_as: at.uid(netuid, hotkey).await?,
        owner: at.owner(hotkey).await?,
        limit_is_held: Call::chain_holds_limit(at.runtime()),
    })
}

/// A hotkey's place on a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Registered {
    /// Its UID.
    pub uid: u16,
    /// The block in which it was registered.
    pub block: u64,
}

/// The place of a hotkey on a subnet at a block, read back from the chain's state.
///
/// # Errors
///
/// Why the chain cannot be read.
pub async fn registered(at: &At, netuid: u16, hotkey: AccountId) -> Result<Option<Registered>, ReadError> {
    let Some(uid) = at.uid(netuid, hotkey).await? else { return Ok(None) };
    let block = at.storage(PALLET, "BlockAtRegistration", (netuid, uid)).await?;
    Ok(block.map(|block| Registered { uid, block }))
}
