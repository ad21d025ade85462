//! How the UIDs of a subnet stand in a block, and what the subnet prunes by: what no event tells of.

use std::collections::BTreeMap;

use super::{Places, PriceRule, Rules, Standing};
use crate::read::scale::FromScale;
use crate::read::{AccountId, At, Fixed, ReadError, Runtime};
use crate::tracker::eviction::{Owned, owner_uids};

const PALLET: &str = "SubtensorModule";

/// What is read, in one go.
const ITEMS: [&str; 14] = [
    "ValidatorPermit",
    "Emission",
    "SubnetOwner",
    "SubnetOwnerHotkey",
    "ImmuneOwnerUidsLimit",
    "ImmunityPeriod",
    "MinNonImmuneUids",
    "MaxAllowedUids",
    "NetworkRegisteredAt",
    "Burn",
    "MinBurn",
    "MaxBurn",
    "BurnHalfLife",
    "BurnIncreaseMult",
];

/// What a block says of a subnet beside who sits where.
pub(super) struct Facts {
    permits: Option<Vec<bool>>,
    emission_rao: Option<Vec<u64>>,
    /// Coldkey and hotkey of the owner.
    owner: (Option<AccountId>, Option<AccountId>),
    owner_limit: Option<u16>,
    /// The block in which the subnet was made.
    pub(super) made_at: Option<u64>,
    /// What a registration costs, in rao.
    pub(super) burn_rao: Option<u64>,
    pub(super) rules: Rules,
}

impl Facts {
    /// Reads them.
    pub(super) async fn read(at: &At, netuid: u16) -> Result<Self, ReadError> {
        let runtime = at.runtime();
        let misfit = |source| ReadError::Scale { source, spec_version: runtime.spec_version() };
        let there = ITEMS.iter().copied().filter(|item| runtime.has_storage(PALLET, item));
        let keyed = there.map(|item| Ok((runtime.storage_key(PALLET, item, (netuid,)).map_err(misfit)?, item)));
        let asked = keyed.collect::<Result<BTreeMap<_, _>, ReadError>>()?;
        let keys: Vec<Vec<u8>> = asked.keys().cloned().collect();
        let values = at.values(&keys).await?.into_iter().filter_map(|(key, value)| Some((*asked.get(&key)?, value)));
        let values = Values { runtime, of: values.collect() };
        let increase = values.get::<Fixed>("BurnIncreaseMult").map(|factor| factor.to_f64() * 1e9).filter(|ppb| (0.0..1e18).contains(ppb));
        // The default of these maps is the key of nobody.
        let somebody = |key: Option<AccountId>| key.filter(|key| key.0 != [0; 32]);
        Ok(Self {
            permits: values.get("ValidatorPermit"),
            emission_rao: values.get("Emission"),
            owner: (somebody(values.get("SubnetOwner")), somebody(values.get("SubnetOwnerHotkey"))),
            owner_limit: values.get("ImmuneOwnerUidsLimit"),
            made_at: values.get("NetworkRegisteredAt"),
            burn_rao: values.get("Burn"),
            rules: Rules {
                immunity_period: values.get("ImmunityPeriod"),
                min_non_immune_uids: values.get("MinNonImmuneUids"),
                max_uids: values.get("MaxAllowedUids"),
                price: PriceRule {
                    min_rao: values.get("MinBurn"),
                    max_rao: values.get("MaxBurn"),
                    half_life: values.get("BurnHalfLife"),
                    increase_ppb: increase.map(|ppb| ppb.round() as u64),
                },
            },
        })
    }

    /// How those stand who sit there in the block.
    pub(super) fn standings(&self, places: &Places) -> BTreeMap<u16, Standing> {
        let owned: Vec<_> = places
            .iter()
            .map(|(uid, place)| Owned { uid: *uid, hotkey: Some(place.hotkey), coldkey: place.coldkey, registered_at: place.registered_at })
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

/// Bytes of storage items, and what they mean.
struct Values<'a> {
    runtime: &'a Runtime,
    of: BTreeMap<&'static str, Option<Vec<u8>>>,
}

impl Values<'_> {
    /// A value, or the runtime's default; `None` where the runtime has none, or holds it in another form: not to know it is no reason to
    /// stop.
    fn get<T: FromScale>(&self, item: &str) -> Option<T> {
        let bytes = self.of.get(item)?;
        self.runtime.storage_value(PALLET, item, bytes.as_deref()).ok().flatten()
    }
}
