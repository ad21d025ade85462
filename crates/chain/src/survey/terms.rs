//! What the tracker needs and no call of the runtime tells with the rest: parameters that stand in storage only.

use std::collections::BTreeMap;

use crate::read::scale::FromScale;
use crate::read::{AccountId, At, Fixed, ReadError, SelectiveMetagraph};
use crate::tracker::eviction::{self, Owned};
use crate::tracker::snapshot::{Key, Parameters, Subnet};

const PALLET: &str = "SubtensorModule";

/// A parameter of all subnets. Those that nobody set have the runtime's default; `None` on a runtime without the parameter.
type OfAll<T> = Option<(BTreeMap<u16, T>, Option<T>)>;

/// Parameters of all subnets at one block that stand in storage only.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    min_non_immune_uids: OfAll<u16>,
    owner_uids: OfAll<u16>,
    half_life: OfAll<u16>,
    increase: OfAll<Fixed>,
}

impl Terms {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// As [`At::storage`].
    pub async fn read(at: &At) -> Result<Self, ReadError> {
        Ok(Self {
            min_non_immune_uids: of_all(at, "MinNonImmuneUids").await?,
            owner_uids: of_all(at, "ImmuneOwnerUidsLimit").await?,
            half_life: of_all(at, "BurnHalfLife").await?,
            increase: of_all(at, "BurnIncreaseMult").await?,
        })
    }

    /// Reads those of one subnet: far less than those of all.
    ///
    /// # Errors
    ///
    /// As [`At::storage`].
    pub async fn of_one(at: &At, netuid: u16) -> Result<Self, ReadError> {
        Ok(Self {
            min_non_immune_uids: of_one(at, "MinNonImmuneUids", netuid).await?,
            owner_uids: of_one(at, "ImmuneOwnerUidsLimit", netuid).await?,
            half_life: of_one(at, "BurnHalfLife", netuid).await?,
            increase: of_one(at, "BurnIncreaseMult", netuid).await?,
        })
    }

    /// A subnet at a block as a snapshot has it. What the runtime did not tell is missing.
    pub fn subnet(&self, whole: &SelectiveMetagraph, block: u64) -> Subnet {
        let netuid = whole.netuid;
        let hotkeys = by_uid(whole.hotkeys.as_deref().unwrap_or_default());
        let flags = whole.validator_permit.as_deref().unwrap_or_default();
        Subnet {
            n_neurons: whole.num_uids.map_or_else(|| u32::try_from(hotkeys.len()).unwrap_or(u32::MAX), u32::from),
            block,
            uid_hotkey_map: keys(&hotkeys),
            registration_blocks: by_uid(whole.block_at_registration.as_deref().unwrap_or_default()),
            coldkeys: keys(&by_uid(whole.coldkeys.as_deref().unwrap_or_default())),
            emission_rao: by_uid(whole.emission.as_deref().unwrap_or_default()),
            validators: by_uid(flags).into_iter().filter(|(_, permit)| *permit).map(|(uid, _)| uid).collect(),
            owner_uids: owner_uids(whole, value(&self.owner_uids, netuid)).into_iter().collect(),
            network_registered_at: whole.network_registered_at,
            parameters: Parameters {
                max_uids: whole.max_uids,
                immunity_period: whole.immunity_period.map(u64::from),
                min_non_immune_uids: value(&self.min_non_immune_uids, netuid),
                tempo: whole.tempo.map(u64::from),
                registration_allowed: whole.registration_allowed,
                difficulty: whole.difficulty,
                burn_rao: whole.burn,
                min_burn_rao: whole.min_burn,
                max_burn_rao: whole.max_burn,
                burn_half_life: value(&self.half_life, netuid),
                burn_increase_mult: value(&self.increase, netuid).map(|factor| factor.to_f64()),
                tao_in_rao: whole.tao_in,
                alpha_in_rao: whole.alpha_in,
            },
        }
    }
}

async fn of_all<T: FromScale>(at: &At, item: &str) -> Result<OfAll<T>, ReadError> {
    let runtime = at.runtime();
    if !runtime.has_storage(PALLET, item) {
        return Ok(None);
    }
    let default = runtime.storage_value(PALLET, item, None);
    let default = default.map_err(|source| ReadError::Scale { source, spec_version: runtime.spec_version() })?;
    Ok(Some((at.storage_map(PALLET, item, ()).await?, default)))
}

/// Of one subnet, as if it were the default of all.
async fn of_one<T: FromScale>(at: &At, item: &str, netuid: u16) -> Result<OfAll<T>, ReadError> {
    if !at.runtime().has_storage(PALLET, item) {
        return Ok(None);
    }
    Ok(Some((BTreeMap::new(), at.storage(PALLET, item, (netuid,)).await?)))
}

fn value<T: Copy>(all: &OfAll<T>, netuid: u16) -> Option<T> {
    all.as_ref().and_then(|(set, default)| set.get(&netuid).copied().or(*default))
}

/// A list with an item for each UID.
fn by_uid<T: Copy>(list: &[T]) -> BTreeMap<u16, T> {
    (0..=u16::MAX).zip(list.iter().copied()).collect()
}

fn keys(accounts: &BTreeMap<u16, AccountId>) -> BTreeMap<u16, Key> {
    accounts.iter().filter_map(|(uid, account)| Some((*uid, account.to_string().parse().ok()?))).collect()
}

/// UIDs that are never pruned because they are the owner's.
fn owner_uids(whole: &SelectiveMetagraph, limit: Option<u16>) -> Vec<u16> {
    let of = |list: &Option<Vec<AccountId>>, index: usize| list.as_ref().and_then(|list| list.get(index).copied());
    let registered = whole.block_at_registration.as_deref().unwrap_or_default();
    let count = [&whole.hotkeys, &whole.coldkeys].into_iter().flatten().map(Vec::len).max().unwrap_or(0);
    let owned = |(uid, index): (u16, usize)| Owned {
        uid,
        hotkey: of(&whole.hotkeys, index),
        coldkey: of(&whole.coldkeys, index),
        registered_at: registered.get(index).copied().unwrap_or(0),
    };
    let owned: Vec<_> = (0..=u16::MAX).zip(0..count).map(owned).collect();
    eviction::owner_uids(&owned, whole.owner_coldkey, whole.owner_hotkey, limit)
}

/// An answer that tells nothing.
#[cfg(test)]
pub(super) fn empty() -> SelectiveMetagraph {
    SelectiveMetagraph::of_nothing(64).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UIDs of coldkey 9 but for UID 1, registered at these blocks; the owner's hotkey is that of UID 1.
    fn whole(registered: &[u64]) -> SelectiveMetagraph {
        let mut whole = empty();
        whole.block_at_registration = Some(registered.to_vec());
        whole.hotkeys = Some((0..registered.len()).map(|uid| AccountId([u8::try_from(uid).unwrap(); 32])).collect());
        whole.coldkeys = Some((0..registered.len()).map(|uid| AccountId([if uid == 1 { 8 } else { 9 }; 32])).collect());
        whole.owner_coldkey = Some(AccountId([9; 32]));
        whole
    }

    #[test]
    fn the_owner_keeps_those_registered_first_and_the_hotkey_the_subnet_names() {
        let mut whole = whole(&[50, 40, 10, 10, 30]);
        assert_eq!(owner_uids(&whole, Some(2)), [2, 3]);
        assert_eq!(owner_uids(&whole, Some(9)), [2, 3, 4, 0]);
        assert_eq!(owner_uids(&whole, None), Vec::<u16>::new(), "a runtime without a limit, and no hotkey of the owner's");
        whole.owner_hotkey = Some(AccountId([1; 32]));
        assert_eq!(owner_uids(&whole, Some(2)), [1, 2], "the named one first");
        assert_eq!(owner_uids(&whole, Some(1)), [1]);
        assert_eq!(owner_uids(&whole, None), [1], "a runtime without a limit");
        assert_eq!(owner_uids(&whole, Some(0)), Vec::<u16>::new());
        whole.owner_hotkey = Some(AccountId([3; 32]));
        assert_eq!(owner_uids(&whole, Some(2)), [2, 3], "it is among them already");
    }

    #[test]
    fn a_runtime_that_tells_little_gives_a_state_from_which_nothing_is_concluded() {
        let state = Terms::default().subnet(&empty(), 5);
        assert!(state.fault().is_some() && state.parameters == Parameters::default(), "{state:?}");
    }

    #[test]
    fn defaults_hold_where_nobody_set_anything() {
        let terms = Terms { min_non_immune_uids: Some(([(64, 7)].into(), Some(10))), ..Terms::default() };
        assert_eq!(terms.subnet(&empty(), 5).parameters.min_non_immune_uids, Some(7));
        let other = SelectiveMetagraph { netuid: 1, ..empty() };
        assert_eq!(terms.subnet(&other, 5).parameters.min_non_immune_uids, Some(10));
        assert_eq!(terms.subnet(&other, 5).parameters.burn_half_life, None, "not a parameter of this runtime");
    }
}
