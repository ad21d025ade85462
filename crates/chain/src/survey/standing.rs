//! How one hotkey stands on a subnet.

use serde::Serialize;

use super::Terms;
use crate::read::{AccountId, At, ReadError, SelectiveMetagraph, ratio};
use crate::tracker::eviction::{self, Distance};

/// Subnets have 256 UIDs, one has 1,024. The order of eviction takes the square of it, so nobody may make it long by claiming more.
const MAX_UIDS: usize = 4096;

/// How a hotkey stands on a subnet at a block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The subnet.
    pub netuid: u16,
    /// The block.
    pub block: u64,
    /// Its place; `None` if it is not registered.
    pub place: Option<Place>,
    /// What a registration costs now, in rao; `None` where the runtime does not tell.
    pub burn_rao: Option<u64>,
}

/// The place of a registered hotkey.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// The UID.
    pub uid: u16,
    /// The block at which it was registered.
    pub registered_at: Option<u64>,
    /// Stake as the chain weighs it, in 10^-9.
    pub stake: u64,
    /// Share of the miners' reward, from 0 to 1.
    pub incentive: f64,
    /// Alpha of the last epoch, in 10^-9.
    pub emission: u64,
    /// Its place among the miners by incentive, 1 for the highest; equals share a place. `None` for one that validates only.
    pub rank: Option<u32>,
    /// How many miners there are: UIDs that earn incentive or may not validate.
    pub miners: u32,
    /// How close it is to being pruned; `None` where the runtime does not tell enough.
    pub distance: Option<Distance>,
}

impl Standing {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchSubnet`], and as [`At::storage`].
    pub async fn read(at: &At, netuid: u16, hotkey: AccountId) -> Result<Self, ReadError> {
        let whole = at.selective_metagraph(netuid).await?;
        let terms = Terms::read(at).await?;
        Ok(Self::of(&SelectiveMetagraph { netuid, ..whole }, &terms, at.block().number, hotkey))
    }

    fn of(whole: &SelectiveMetagraph, terms: &Terms, block: u64, hotkey: AccountId) -> Self {
        let uid = whole.hotkeys.iter().flatten().position(|one| *one == hotkey);
        let place = uid.and_then(|index| place(whole, terms, block, index));
        Self { netuid: whole.netuid, block, place, burn_rao: whole.burn }
    }
}

fn place(whole: &SelectiveMetagraph, terms: &Terms, block: u64, index: usize) -> Option<Place> {
    let uid = u16::try_from(index).ok()?;
    let of = |list: &Option<Vec<u64>>| list.as_ref().and_then(|list| list.get(index).copied());
    let incentives = whole.incentives.as_deref().unwrap_or_default();
    let permits = whole.validator_permit.as_deref().unwrap_or_default();
    let mines = |index: usize, incentive: u16| incentive > 0 || permits.get(index) == Some(&false);
    let miners: Vec<u16> = incentives.iter().enumerate().filter(|(index, one)| mines(*index, **one)).map(|(_, one)| *one).collect();
    let own = incentives.get(index).copied().unwrap_or(0);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let better = count(miners.iter().filter(|one| **one > own).count());
    let fits = whole.hotkeys.iter().flatten().count() <= MAX_UIDS && whole.max_uids.is_some_and(|max| usize::from(max) <= MAX_UIDS);
    let state = fits.then(|| terms.subnet(whole, block)).filter(|state| state.fault().is_none());
    let distance = state.and_then(|state| {
        let (neurons, rules) = eviction::from_snapshot(&state).ok()?;
        eviction::distances(&neurons, &rules).into_iter().find(|one| one.uid == uid)
    });
    Some(Place {
        uid,
        registered_at: of(&whole.block_at_registration),
        stake: of(&whole.total_stake).unwrap_or(0),
        incentive: ratio(own),
        emission: of(&whole.emission).unwrap_or(0),
        rank: (index < incentives.len() && mines(index, own)).then_some(better + 1),
        miners: count(miners.len()),
        distance,
    })
}
