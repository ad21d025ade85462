//! What a block says: which subnets to look at, and who sits there.

use std::collections::{BTreeMap, BTreeSet};

use super::standing::Facts;
use super::{Held, Place, Places, Rules, Standing};
use crate::read::scale::Value;
use crate::read::{AccountId, At, Event, ReadError};

const PALLET: &str = "SubtensorModule";

/// Blocks in which each subnet is looked at once though nothing tells of a change: an epoch, with which permits and emissions change.
const LOOK_EVERY: u64 = 360;

/// What is read of every block.
pub(super) struct Seen {
    /// UIDs in use, by subnet.
    pub(super) sizes: BTreeMap<u16, u16>,
    /// Prices of a registration, by subnet, in rao.
    pub(super) prices: BTreeMap<u16, u64>,
    events: Vec<Event>,
}

/// A subnet in a block.
pub(super) struct Look {
    /// Who sits there. Empty for a subnet that is not there.
    pub(super) places: Places,
    /// Registrations of the block, in order.
    pub(super) registered: Vec<(u16, Place)>,
    /// Whether it is another subnet than in the older block, or none.
    pub(super) new_generation: bool,
    /// What it prunes by; `None` for a subnet that is not there.
    pub(super) rules: Option<Rules>,
}

impl Seen {
    /// Reads what is read of every block; `first` leaves out what happened in it.
    pub(super) async fn read(at: &At, only: Option<u16>, first: bool) -> Result<Self, ReadError> {
        let events = async { if first { Ok(Vec::new()) } else { at.events().await } };
        let sizes = by_subnet::<u16>(at, only, "SubnetworkN");
        let prices = by_subnet::<u64>(at, only, "Burn");
        let (events, mut sizes, mut prices) = futures::try_join!(events, sizes, prices)?;
        let there = by_subnet::<bool>(at, only, "NetworksAdded").await?;
        let there = |netuid: &u16| there.get(netuid) == Some(&true);
        // What a removed subnet leaves behind is no subnet.
        sizes.retain(|netuid, _| there(netuid));
        prices.retain(|netuid, _| there(netuid));
        Ok(Self { sizes, prices, events })
    }

    /// All subnets that are there, or were.
    pub(super) fn all(&self, held: &Held) -> BTreeSet<u16> {
        self.sizes.keys().chain(held.subnets.keys()).copied().collect()
    }

    /// Subnets in which something may have changed since `held`, and those whose turn it is.
    pub(super) fn touched(&self, held: &Held, block: u64, only: Option<u16>) -> BTreeSet<u16> {
        let size = |places: &Places| u16::try_from(places.len()).ok();
        let mut touched: BTreeSet<u16> = self
            .sizes
            .iter()
            .filter(|(netuid, n)| held.subnets.get(netuid).map_or(Some(0), size) != Some(**n))
            .map(|(netuid, _)| *netuid)
            .collect();
        touched.extend(held.subnets.keys().filter(|netuid| !self.sizes.contains_key(netuid)));
        let turn = block.checked_rem(LOOK_EVERY);
        touched.extend(self.sizes.keys().filter(|netuid| u64::from(**netuid).checked_rem(LOOK_EVERY) == turn));
        for event in self.events.iter().filter(|event| event.pallet == PALLET) {
            match event.name.as_str() {
                "NeuronRegistered" | "BulkNeuronsRegistered" | "NetworkAdded" | "NetworkRemoved" | "MaxAllowedUidsSet" => {
                    touched.extend(event.fields.item(0).and_then(Value::as_u16));
                }
                "HotkeySwapped" | "HotkeySwappedOnSubnet" | "ColdkeySwapped" => {
                    touched.extend(event.fields.field("netuid").and_then(Value::as_u16));
                    let mut named = BTreeSet::new();
                    accounts(&event.fields, &mut named);
                    let concerns = |place: &Place| named.contains(&place.hotkey) || place.coldkey.is_some_and(|key| named.contains(&key));
                    let subnets = held.subnets.iter().filter(|(_, places)| places.values().any(concerns));
                    touched.extend(subnets.map(|(netuid, _)| *netuid));
                }
                _ => {}
            }
        }
        touched.retain(|netuid| only.is_none_or(|only| only == *netuid));
        touched
    }

    /// Reads a subnet, of which the state in block `since` is known.
    pub(super) async fn look(&self, at: &At, netuid: u16, since: u64) -> Result<Look, ReadError> {
        let of_it = |name: &str| {
            let name = name.to_owned();
            let it = move |event: &&Event| {
                event.pallet == PALLET && event.name == name && event.fields.item(0).and_then(Value::as_u16) == Some(netuid)
            };
            self.events.iter().filter(it)
        };
        let removed = of_it("NetworkRemoved").next().is_some();
        let Some(n) = self.sizes.get(&netuid).copied() else {
            return Ok(Look { places: Places::new(), registered: Vec::new(), new_generation: true, rules: None });
        };
        let (hotkeys, registered_at, facts) = futures::try_join!(at.hotkeys(netuid), at.registered_at(netuid), Facts::read(at, netuid))?;
        let registered: Vec<(u16, AccountId)> =
            of_it("NeuronRegistered").filter_map(|event| event.fields.item(1)?.as_u16().zip(event.fields.item(2)?.as_account())).collect();
        let asked: BTreeSet<AccountId> = hotkeys.values().copied().chain(registered.iter().map(|(_, hotkey)| *hotkey)).collect();
        let owners = at.owners(&asked.into_iter().collect::<Vec<_>>()).await?;
        let mut places = Places::new();
        for uid in 0..n {
            // A UID that a node leaves out would look like one that was trimmed.
            let missing = || ReadError::Malformed {
                method: "state_queryStorageAt",
                why: format!("UID {uid} of subnet {netuid} has no hotkey or no block of registration, and {n} UIDs are in use"),
            };
            let (hotkey, registered_at) = hotkeys.get(&uid).zip(registered_at.get(&uid)).ok_or_else(missing)?;
            let coldkey = owners.get(hotkey).copied();
            places.insert(uid, Place { hotkey: *hotkey, coldkey, registered_at: *registered_at, standing: Standing::default() });
        }
        for (uid, standing) in facts.standings(&places) {
            if let Some(place) = places.get_mut(&uid) {
                place.standing = standing;
            }
        }
        let block = at.block().number;
        let place = |hotkey: AccountId| {
            let coldkey = owners.get(&hotkey).copied();
            Place { hotkey, coldkey, registered_at: block, standing: Standing::default() }
        };
        let registered = registered.into_iter().map(|(uid, hotkey)| (uid, place(hotkey))).collect();
        let new_generation = removed || facts.made_at.is_some_and(|at| at > since);
        Ok(Look { places, registered, new_generation, rules: Some(facts.rules) })
    }
}

/// A value that every subnet has, of one or of all.
async fn by_subnet<T>(at: &At, only: Option<u16>, item: &str) -> Result<BTreeMap<u16, T>, ReadError>
where
    T: crate::read::scale::FromScale,
{
    match only {
        None => at.storage_map(PALLET, item, ()).await,
        Some(netuid) => Ok(at.storage(PALLET, item, (netuid,)).await?.map(|value| (netuid, value)).into_iter().collect()),
    }
}

/// Every key that is named in a value.
fn accounts(value: &Value, found: &mut BTreeSet<AccountId>) {
    match value {
        Value::Account(account) => {
            found.insert(*account);
        }
        Value::List(items) => items.iter().for_each(|item| accounts(item, found)),
        Value::Record(fields) => fields.iter().for_each(|(_, field)| accounts(field, found)),
        Value::Variant(_, fields) => accounts(fields, found),
        _ => {}
    }
}
