//! What registering costs, and what it gave.

use super::Call;
use crate::read::{AccountId, At, ReadError, SelectiveMetagraph};
use crate::survey::Terms;
use crate::tracker::eviction;

const PALLET: &str = "SubtensorModule";

/// Subnets have 256 UIDs, one has 1,024; nobody may claim many more.
const MAX_UIDS: usize = 4096;

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
    /// Whose the hotkey is, if it is known to the chain. Only this coldkey can register it.
    pub owner: Option<AccountId>,
    /// Whether the subnet takes registrations.
    pub open: bool,
    /// Registrations that it takes until its interval ends; `None` on runtimes that raise the price with each instead (since about version
    /// 400).
    pub left_in_interval: Option<u16>,
    /// Whose place a registration in the next block takes, if no other comes first.
    pub place: Place,
    /// Whether the chain itself refuses to take more than the limit.
    pub limit_is_held: bool,
}

/// Whose place a newcomer takes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Place {
    /// Nobody's: a UID is free.
    Free,
    /// That of the weakest, which loses its UID. Up to about version 365 a pruning score decided, which orders mostly alike.
    Taken(Victim),
    /// All are taken, and whose it is cannot be told. That is no reason not to register.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// Who loses its UID to a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Victim {
    /// Its UID.
    pub uid: u16,
    /// Its hotkey.
    pub hotkey: AccountId,
    /// Whose the hotkey is; `None` where the runtime does not tell.
    pub coldkey: Option<AccountId>,
    /// The block in which it was registered.
    pub registered_at: u64,
    /// Alpha that it was paid for the last epoch, in 10^-9.
    pub emission: u64,
    /// Blocks for which it is still immune: others are too few.
    pub immune_blocks: u64,
}

/// What a registration would cost a coldkey at a block.
///
/// # Errors
///
/// [`ReadError::NoSuchSubnet`], or why the chain cannot be read.
pub async fn quote(at: &At, netuid: u16, hotkey: AccountId, coldkey: AccountId) -> Result<RegistrationQuote, ReadError> {
    // First, because it tells whether there is such a subnet.
    let price_rao = at.burn(netuid).await?;
    let uids = at.storage(PALLET, "SubnetworkN", (netuid,)).await?.unwrap_or_default();
    let max_uids = at.storage(PALLET, "MaxAllowedUids", (netuid,)).await?.unwrap_or_default();
    Ok(RegistrationQuote {
        netuid,
        price_rao,
        balance_rao: at.account(coldkey).await?.data.free,
        uids,
        max_uids,
        immunity_blocks: at.immunity_period(netuid).await?,
        registered_as: at.uid(netuid, hotkey).await?,
        owner: at.owner(hotkey).await?,
        open: open(at, netuid).await?,
        left_in_interval: left_in_interval(at, netuid).await?,
        place: if uids < max_uids { Place::Free } else { place(at, netuid).await },
        limit_is_held: Call::chain_holds_limit(at.runtime()),
    })
}

/// Whether a subnet takes registrations.
pub(super) async fn open(at: &At, netuid: u16) -> Result<bool, ReadError> {
    Ok(at.storage(PALLET, "NetworkRegistrationAllowed", (netuid,)).await?.unwrap_or_default())
}

/// `do_burned_registration` of the runtimes up to about version 365: three times as many as are aimed at. How many a block takes is no
/// matter, because none of the next block's have come yet.
async fn left_in_interval(at: &At, netuid: u16) -> Result<Option<u16>, ReadError> {
    let runtime = at.runtime();
    let (so_far, aim) = ("RegistrationsThisInterval", "TargetRegistrationsPerInterval");
    if runtime.has_storage(PALLET, "BurnHalfLife") || !runtime.has_storage(PALLET, so_far) || !runtime.has_storage(PALLET, aim) {
        return Ok(None);
    }
    let so_far: u16 = at.storage(PALLET, so_far, (netuid,)).await?.unwrap_or_default();
    let aim: u16 = at.storage(PALLET, aim, (netuid,)).await?.unwrap_or_default();
    Ok(Some(aim.saturating_mul(3).saturating_sub(so_far)))
}

/// Whose place a registration on a full subnet takes. One answer with everything about the subnet: some 50 KB for 256 UIDs.
async fn place(at: &At, netuid: u16) -> Place {
    let read = async {
        let whole = SelectiveMetagraph { netuid, ..at.selective_metagraph(netuid).await? };
        Ok::<_, ReadError>((whole, Terms::of_one(at, netuid).await?))
    };
    // A registration is in the next block at the soonest.
    let found = match read.await {
        Ok((whole, terms)) => weakest(&whole, &terms, at.block().number.saturating_add(1)),
        Err(error) => Err(error.to_string()),
    };
    found.map_or_else(|why| Place::Unknown { why }, Place::Taken)
}

fn weakest(whole: &SelectiveMetagraph, terms: &Terms, block: u64) -> Result<Victim, String> {
    let hotkeys = whole.hotkeys.as_deref().ok_or("the runtime does not tell the hotkeys")?;
    if hotkeys.len() > MAX_UIDS {
        return Err(format!("{} UIDs are more than a subnet has", hotkeys.len()));
    }
    let state = terms.subnet(whole, block);
    if let Some(fault) = state.fault() {
        return Err(fault.to_string());
    }
    let (neurons, rules) = eviction::from_snapshot(&state).map_err(|missing| format!("{missing} are missing"))?;
    let uid = eviction::next_pruned(&neurons, &rules).ok_or("all UIDs are the owner's")?;
    let neuron = neurons.iter().find(|neuron| neuron.uid == uid).ok_or("the weakest is not listed")?;
    Ok(Victim {
        uid,
        hotkey: *hotkeys.get(usize::from(uid)).ok_or("the weakest is not listed")?,
        coldkey: whole.coldkeys.as_ref().and_then(|coldkeys| coldkeys.get(usize::from(uid)).copied()),
        registered_at: neuron.registered_at,
        emission: neuron.emission,
        immune_blocks: rules.immune_for(neuron),
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
