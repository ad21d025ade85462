//! What became of a subnet's UIDs between two of its states: which tenures ended and how, and which began.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::read::AccountId;

/// Who sits on a UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The hotkey.
    pub hotkey: AccountId,
    /// Its owner; `None` where the chain names none.
    pub coldkey: Option<AccountId>,
    /// Block in which the UID was given to it, or to the hotkey that it was swapped for.
    pub registered_at: u64,
    /// Whether it may set weights: validators are seldom pruned, and no measure for miners.
    pub validator: bool,
}

/// Who sits on the UIDs of a subnet.
pub type Places = BTreeMap<u16, Place>;

/// How a tenure ended, or went on under another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A newcomer was given the UID: it was pruned.
    Replaced,
    /// Its owner put another hotkey in the place. The life goes on.
    Swapped,
    /// The hotkey went to another coldkey. The life goes on.
    Sold,
    /// The owner of the subnet trimmed it, and the survivor got a lower UID. The life goes on.
    Moved,
    /// The owner of the subnet trimmed it, and the UID is no more.
    Trimmed,
    /// The subnet is no more.
    NetworkRemoved,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Replaced, Self::Swapped, Self::Sold, Self::Moved, Self::Trimmed, Self::NetworkRemoved];

    /// Its name in tables and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Swapped => "swapped",
            Self::Sold => "sold",
            Self::Moved => "moved",
            Self::Trimmed => "trimmed",
            Self::NetworkRemoved => "network_removed",
        }
    }

    /// Whether the life goes on in another tenure.
    pub fn goes_on(self) -> bool {
        matches!(self, Self::Swapped | Self::Sold | Self::Moved)
    }
}

/// A tenure that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Where.
    pub netuid: u16,
    /// Where.
    pub uid: u16,
    /// Who sat there.
    pub place: Place,
    /// The block.
    pub at: u64,
    /// How.
    pub end: End,
}

/// A tenure that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Where.
    pub netuid: u16,
    /// Where.
    pub uid: u16,
    /// Who sits there.
    pub place: Place,
    /// The first block in which it was seen to.
    pub from: u64,
    /// The UID whose tenure, which ended just now, it goes on with; `None` for a new life.
    pub continues: Option<u16>,
    /// Whether it was pruned in the very block in which it was registered.
    pub passed: bool,
}

/// What changed in a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tenures that ended.
    pub closed: Vec<Closed>,
    /// Tenures that began.
    pub opened: Vec<Opened>,
    /// UIDs that gained or lost a validator permit: subnet, UID, whether it has one. Seen only when something else changed there.
    pub permits: Vec<(u16, u16, bool)>,
    /// Prices of a registration, by subnet, in rao, that differ enough from the last one kept.
    pub prices: Vec<(u16, u64)>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what a subnet's state in block `block` differs by from the one that was held.
    ///
    /// `registered` are the registrations that the block's events tell of, in order. `new_generation` says that the subnet was removed
    /// since, and that another may have its number.
    pub fn compare(&mut self, netuid: u16, block: u64, before: &Places, after: &Places, registered: &[(u16, Place)], new_generation: bool) {
        if new_generation {
            let end = |(uid, place): (&u16, &Place)| Closed { netuid, uid: *uid, place: *place, at: block, end: End::NetworkRemoved };
            self.closed.extend(before.iter().map(end));
        }
        let none = Places::new();
        let before = if new_generation { &none } else { before };
        let was_on: BTreeMap<AccountId, u16> = before.iter().map(|(uid, place)| (place.hotkey, *uid)).collect();
        // Which tenure of before goes on, and how; where those that begin come from; which UIDs are as they were.
        let mut goes_on: BTreeMap<u16, End> = BTreeMap::new();
        let mut origins: BTreeMap<u16, u16> = BTreeMap::new();
        let mut kept: BTreeSet<u16> = BTreeSet::new();
        for (uid, now) in after {
            let same_life = |from: &u16| before.get(from).is_some_and(|was| was.registered_at == now.registered_at);
            let (from, end) = match (was_on.get(&now.hotkey).filter(|from| same_life(from)), before.get(uid)) {
                (Some(from), _) if from != uid => (*from, End::Moved),
                (Some(_), Some(was)) if was.coldkey == now.coldkey => {
                    if was.validator != now.validator {
                        self.permits.push((netuid, *uid, now.validator));
                    }
                    kept.insert(*uid);
                    continue;
                }
                (Some(_), _) => (*uid, End::Sold),
                // Another hotkey with the registration of the one before. If that one sits elsewhere now, it took its life along.
                (None, Some(was)) if same_life(uid) && !sits_in(after, was) => (*uid, End::Swapped),
                (None, _) => continue,
            };
            goes_on.insert(from, end);
            origins.insert(*uid, from);
        }
        let replaced_at = |uid: &u16| {
            let (was, now) = (before.get(uid)?, after.get(uid)?);
            let newcomer = !origins.contains_key(uid) && now.registered_at > was.registered_at;
            // A registration that was not noticed at once is dated by the chain.
            newcomer.then_some(now.registered_at.min(block))
        };
        for (uid, was) in before.iter().filter(|(uid, _)| !kept.contains(uid)) {
            let (end, at) = match (goes_on.get(uid), replaced_at(uid)) {
                (Some(end), _) => (*end, block),
                (None, Some(at)) => (End::Replaced, at),
                (None, None) => (End::Trimmed, block),
            };
            self.closed.push(Closed { netuid, uid: *uid, place: *was, at, end });
        }
        // Registered and pruned within the block: all but the last registration on a UID.
        for (index, (uid, place)) in registered.iter().enumerate() {
            if registered.iter().skip(index + 1).any(|(later, _)| later == uid) {
                self.opened.push(Opened { netuid, uid: *uid, place: *place, from: block, continues: None, passed: true });
            }
        }
        for (uid, place) in after.iter().filter(|(uid, _)| !kept.contains(uid)) {
            let from = replaced_at(uid).unwrap_or(block);
            self.opened.push(Opened { netuid, uid: *uid, place: *place, from, continues: origins.get(uid).copied(), passed: false });
        }
    }
}

/// Whether the life of a place goes on somewhere.
fn sits_in(places: &Places, was: &Place) -> bool {
    places.values().any(|place| place.hotkey == was.hotkey && place.registered_at == was.registered_at)
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
