//! How one hotkey stands on a subnet.
//!
//! That a hotkey is not registered is a grave thing to say. It is said only where two reads of one block agree: the list of the subnet's
//! hotkeys, which must be whole, and the entry of the hotkey itself.

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
    /// Stake as the chain weighs it, in 10^-9; `None`, here and below, where the runtime does not tell.
    pub stake: Option<u64>,
    /// Share of the miners' reward, from 0 to 1.
    pub incentive: Option<f64>,
    /// Alpha of the last epoch, in 10^-9.
    pub emission: Option<u64>,
    /// Its place among the miners by incentive, 1 for the highest; equals share a place. `None` also for one that validates only.
    pub rank: Option<u32>,
    /// How many miners there are: UIDs that earn incentive or may not validate. The owner's are among them, also one whose incentive is
    /// burnt.
    pub miners: Option<u32>,
    /// How close it is to being pruned; `None` where the runtime does not tell enough.
    pub distance: Option<Distance>,
}

impl Standing {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchSubnet`], and as [`At::storage`]; [`ReadError::Malformed`] also for answers that are not whole, or contradict
    /// each other: nothing is concluded from these.
    pub async fn read(at: &At, netuid: u16, hotkey: AccountId) -> Result<Self, ReadError> {
        let whole = at.selective_metagraph(netuid).await?;
        let uid = at.uid(netuid, hotkey).await?;
        let terms = Terms::read(at).await?;
        Self::of(&SelectiveMetagraph { netuid, ..whole }, &terms, at.block().number, hotkey, uid)
    }

    /// `uid` is what the entry of the hotkey says.
    fn of(whole: &SelectiveMetagraph, terms: &Terms, block: u64, hotkey: AccountId, uid: Option<u16>) -> Result<Self, ReadError> {
        let listed = uids(whole)?.iter().position(|one| *one == hotkey);
        if listed != uid.map(usize::from) {
            let said = |uid: Option<usize>| uid.map_or_else(|| "no UID".to_owned(), |uid| format!("UID {uid}"));
            return Err(strange(format!(
                "the subnet's list has {} for {hotkey}, its own entry {}",
                said(listed),
                said(uid.map(usize::from))
            )));
        }
        Ok(Self { netuid: whole.netuid, block, place: uid.map(|uid| place(whole, terms, block, uid)), burn_rao: whole.burn })
    }
}

fn strange(why: String) -> ReadError {
    ReadError::Malformed { method: "state_call", why }
}

/// The hotkeys by UID, if all lists that there are have an item for each.
fn uids(whole: &SelectiveMetagraph) -> Result<&[AccountId], ReadError> {
    let Some(hotkeys) = whole.hotkeys.as_deref() else { return Err(strange("it names no hotkeys".to_owned())) };
    let length = |list: &Option<Vec<u64>>| list.as_ref().map(Vec::len);
    let lists = [
        ("UIDs", whole.num_uids.map(usize::from)),
        ("registration blocks", length(&whole.block_at_registration)),
        ("stakes", length(&whole.total_stake)),
        ("emissions", length(&whole.emission)),
        ("incentives", whole.incentives.as_ref().map(Vec::len)),
        ("permits", whole.validator_permit.as_ref().map(Vec::len)),
    ];
    match lists.into_iter().find(|(_, count)| count.is_some_and(|count| count != hotkeys.len())) {
        Some((what, count)) => Err(strange(format!("it has {} hotkeys and {} {what}", hotkeys.len(), count.unwrap_or(0)))),
        None => Ok(hotkeys),
    }
}

fn place(whole: &SelectiveMetagraph, terms: &Terms, block: u64, uid: u16) -> Place {
    let index = usize::from(uid);
    let of = |list: &Option<Vec<u64>>| list.as_ref().and_then(|list| list.get(index).copied());
    let permits = whole.validator_permit.as_deref().unwrap_or_default();
    let mines = |index: usize, incentive: u16| incentive > 0 || permits.get(index) == Some(&false);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let miners = whole.incentives.as_ref().map(|all| {
        let miners = all.iter().enumerate().filter(|(index, one)| mines(*index, **one));
        miners.map(|(_, one)| *one).collect::<Vec<u16>>()
    });
    let own = whole.incentives.as_ref().and_then(|all| all.get(index).copied());
    let rank = miners.as_ref().zip(own).filter(|(_, own)| mines(index, *own));
    let fits = whole.hotkeys.iter().flatten().count() <= MAX_UIDS && whole.max_uids.is_some_and(|max| usize::from(max) <= MAX_UIDS);
    let state = fits.then(|| terms.subnet(whole, block)).filter(|state| state.fault().is_none());
    let distance = state.and_then(|state| {
        let (neurons, rules) = eviction::from_snapshot(&state).ok()?;
        eviction::distances(&neurons, &rules).into_iter().find(|one| one.uid == uid)
    });
    Place {
        uid,
        registered_at: of(&whole.block_at_registration),
        stake: of(&whole.total_stake),
        incentive: own.map(ratio),
        emission: of(&whole.emission),
        rank: rank.map(|(miners, own)| count(miners.iter().filter(|one| **one > own).count()) + 1),
        miners: miners.map(|miners| count(miners.len())),
        distance,
    }
}

#[cfg(test)]
mod tests {
    use super::super::terms::empty;
    use super::*;

    fn key(byte: u8) -> AccountId {
        AccountId([byte; 32])
    }

    /// UIDs 0 and 1 earn, 2 and 3 do not, 3 may validate; UID 0 is the hotkey of ones, and so on.
    fn whole() -> SelectiveMetagraph {
        SelectiveMetagraph {
            num_uids: Some(4),
            hotkeys: Some((1..=4).map(key).collect()),
            incentives: Some(vec![100, 200, 0, 0]),
            validator_permit: Some(vec![false, true, false, true]),
            total_stake: Some(vec![1, 2, 3, 4]),
            ..empty()
        }
    }

    fn standing(whole: &SelectiveMetagraph, hotkey: AccountId, uid: Option<u16>) -> Result<Standing, ReadError> {
        Standing::of(whole, &Terms::default(), 5, hotkey, uid)
    }

    #[test]
    fn who_earns_or_may_not_validate_is_a_miner() {
        let place = |hotkey: u8| standing(&whole(), key(hotkey), Some(u16::from(hotkey - 1))).unwrap().place.unwrap();
        assert_eq!((1..=4).map(|hotkey| place(hotkey).rank).collect::<Vec<_>>(), [Some(2), Some(1), Some(3), None]);
        assert_eq!((place(1).miners, place(3).stake, place(1).emission), (Some(3), Some(3), None));
        let silent = SelectiveMetagraph { incentives: None, ..whole() };
        let place = standing(&silent, key(1), Some(0)).unwrap().place.unwrap();
        assert_eq!((place.rank, place.miners, place.incentive), (None, None, None), "what is not told is not 0");
    }

    #[test]
    fn nobody_is_called_unregistered_because_of_half_an_answer() {
        assert_eq!(standing(&whole(), key(9), None).unwrap().place, None);
        let why = |whole: &SelectiveMetagraph, hotkey, uid| match standing(whole, key(hotkey), uid) {
            Err(ReadError::Malformed { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&SelectiveMetagraph { hotkeys: None, ..whole() }, 9, None), "it names no hotkeys");
        let half = SelectiveMetagraph { hotkeys: Some(vec![key(1), key(2)]), ..whole() };
        assert_eq!(why(&half, 3, None), "it has 2 hotkeys and 4 UIDs");
        let short = SelectiveMetagraph { incentives: Some(vec![1]), ..whole() };
        assert_eq!(why(&short, 1, Some(0)), "it has 4 hotkeys and 1 incentives");
        // The list without the hotkey, and the list with it.
        assert!(why(&whole(), 9, Some(2)).contains("has no UID for"), "{}", why(&whole(), 9, Some(2)));
        assert!(why(&whole(), 1, None).ends_with("its own entry no UID"));
        assert!(why(&whole(), 1, Some(1)).contains("UID 0 for"));
    }
}
