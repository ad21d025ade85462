//! How the UIDs of a subnet stand in a block, and what the subnet prunes by: what no event tells of.

use std::collections::BTreeMap;

use super::{Places, Rules, Standing};
use crate::read::scale::FromScale;
use crate::read::{AccountId, At, ReadError};
use crate::tracker::eviction::{Owned, owner_uids};

const PALLET: &str = "SubtensorModule";

/// What a block says of a subnet beside who sits where.
pub(super) struct Facts {
    permits: Option<Vec<bool>>,
    emission_rao: Option<Vec<u64>>,
    /// Coldkey and hotkey of the owner.
    owner: (Option<AccountId>, Option<AccountId>),
    owner_limit: Option<u16>,
    pub(super) rules: Rules,
}

impl Facts {
    /// Reads them.
    pub(super) async fn read(at: &At, netuid: u16) -> Result<Self, ReadError> {
        let (permits, emission_rao, coldkey, hotkey, owner_limit) = futures::try_join!(
            item(at, netuid, "ValidatorPermit"),
            item(at, netuid, "Emission"),
            item::<AccountId>(at, netuid, "SubnetOwner"),
            item::<AccountId>(at, netuid, "SubnetOwnerHotkey"),
            item(at, netuid, "ImmuneOwnerUidsLimit"),
        )?;
        let (immunity_period, min_non_immune_uids, max_uids) = futures::try_join!(
            item(at, netuid, "ImmunityPeriod"),
            item(at, netuid, "MinNonImmuneUids"),
            item(at, netuid, "MaxAllowedUids"),
        )?;
        // The default of these maps is the key of nobody.
        let somebody = |key: Option<AccountId>| key.filter(|key| key.0 != [0; 32]);
        let owner = (somebody(coldkey), somebody(hotkey));
        Ok(Self { permits, emission_rao, owner, owner_limit, rules: Rules { immunity_period, min_non_immune_uids, max_uids } })
    }

    /// How those stand who sit there in the block.
    pub(super) fn standings(&self, places: &Places) -> BTreeMap<u16, Standing> {
        let owned: Vec<_> = places
            .iter()
            .map(|(uid, place)| Owned {
                uid: *uid,
                hotkey: Some(place.hotkey),
                coldkey: place.coldkey,
                registered_at: place.registered_at,
            })
            .collect();
        let (coldkey, hotkey) = self.owner;
        let owners = (coldkey.is_some() || hotkey.is_some()).then(|| owner_uids(&owned, coldkey, hotkey, self.owner_limit));
        let standing = |uid: u16| Standing {
            validator: self.permits.as_ref().and_then(|permits| permits.get(usize::from(uid))).copied().unwrap_or(false),
            owner: owners.as_ref().map(|owners| owners.contains(&uid)),
            // A newcomer's place in the list may still be missing.
            emission_rao: self.emission_rao.as_ref().map(|list| list.get(usize::from(uid)).copied().unwrap_or(0)),
        };
        places.keys().map(|uid| (*uid, standing(*uid))).collect()
    }
}

/// A value of a subnet; `None` where the runtime has none, or holds it in another form: not to know it is no reason to stop.
async fn item<T: FromScale>(at: &At, netuid: u16, name: &str) -> Result<Option<T>, ReadError> {
    if !at.runtime().has_storage(PALLET, name) {
        return Ok(None);
    }
    match at.storage(PALLET, name, (netuid,)).await {
        Err(ReadError::Scale { .. }) => Ok(None),
        other => other,
    }
}
