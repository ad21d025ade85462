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
    /// What else is known of it.
    pub standing: Standing,
}

/// How a UID stands in a block. It changes with nothing that tells of it, so it is as of the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it may set weights: validators are seldom pruned, and no measure for miners.
    pub validator: bool,
    /// Whether it is one of the subnet owner's UIDs that are never pruned; `None` where that is not known.
    pub owner: Option<bool>,
    /// Alpha of the last epoch, in rao; `None` where it is not known.
    pub emission_rao: Option<u64>,
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
    /// It lost the UID in blocks that were left out: by a trim, or to a newcomer who lost it, too.
    Unseen,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Replaced, Self::Swapped, Self::Sold, Self::Moved, Self::Trimmed, Self::NetworkRemoved, Self::Unseen];

    /// Its name in tables and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Swapped => "swapped",
            Self::Sold => "sold",
            Self::Moved => "moved",
            Self::Trimmed => "trimmed",
            Self::NetworkRemoved => "network_removed",
            Self::Unseen => "unseen",
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
    /// Who sat there, as it was held.
    pub place: Place,
    /// The block; the last possible one where blocks were left out.
    pub at: u64,
    /// The last block that shows it, where the blocks after were left out.
    pub last_seen: Option<u64>,
    /// How.
    pub end: End,
    /// How it stood in the block before, or when it was last looked at.
    pub standing: Standing,
    /// Blocks of immunity on the subnet in the block before; `None` where that was not read.
    pub immunity_period: Option<u16>,
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
    /// What a registration cost in the block before it was registered, in rao; `None` where that block was not read, and for what goes
    /// on.
    pub burn_rao: Option<u64>,
}

/// From which state of a subnet to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which subnet.
    pub netuid: u16,
    /// The block of the older state.
    pub since: u64,
    /// The block of the newer one: the next, unless blocks were left out.
    pub block: u64,
    /// Whether the subnet was removed since, and another may have its number.
    pub new_generation: bool,
}

impl Step {
    /// The last block before those that were left out, if any were.
    fn last_seen(&self) -> Option<u64> {
        (self.since.saturating_add(1) < self.block).then_some(self.since)
    }
}

/// What a subnet prunes by, and when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Blocks for which a new UID is immune.
    pub immunity_period: Option<u16>,
    /// Non-immune UIDs that stay; `None` on a runtime without such a rule.
    pub min_non_immune_uids: Option<u16>,
    /// UIDs there may be.
    pub max_uids: Option<u16>,
    /// How the price of a registration moves.
    pub price: PriceRule,
}

/// How the price of a registration moves. Without a half-life the runtime is one of those that adjust it by interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PriceRule {
    /// The least, in rao.
    pub min_rao: Option<u64>,
    /// The most, in rao.
    pub max_rao: Option<u64>,
    /// Blocks in which it halves.
    pub half_life: Option<u16>,
    /// What a registration multiplies it by, in billionths.
    pub increase_ppb: Option<u64>,
}

/// Blocks that were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// What changed in a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tenures that ended.
    pub closed: Vec<Closed>,
    /// Tenures that began.
    pub opened: Vec<Opened>,
    /// UIDs that stand otherwise than at the last look: subnet, UID, how.
    pub standings: Vec<(u16, u16, Standing)>,
    /// Subnets that were looked at, and what they prune by; `None` for one that is no more.
    pub looks: Vec<(u16, Option<Rules>)>,
    /// Prices of a registration, by subnet, in rao, that differ enough from the last one kept.
    pub prices: Vec<(u16, u64)>,
    /// The blocks since the last one that was taken in, if they were left out.
    pub left_out: Option<LeftOut>,
    /// When the block was made, in milliseconds since 1970 by its author's clock: of the first block, one in 300, and one after others were
    /// left out.
    pub time_ms: Option<i64>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what a subnet's newer state differs by from the one that was held. `registered` are the registrations that the block's events
    /// tell of, in order.
    ///
    /// Where a subnet is trimmed and a newcomer prunes somebody in the same block, who was pruned is not seen, but that somebody was: of those
    /// who are gone, the one whose UID the newcomer has counts as replaced and the others as trimmed.
    ///
    /// Over blocks that were left out, an end is dated to the latest block that it can have had: the registration of the successor, who
    /// may be the last of several, or the block of the newer state. Who came and went in between is not seen.
    pub fn compare(&mut self, step: &Step, before: &Places, after: &Places, registered: &[(u16, Place)]) {
        let Step { netuid, block, new_generation, .. } = *step;
        let last_seen = step.last_seen();
        let close = |uid: u16, place: &Place, at: u64, end: End| Closed {
            netuid,
            uid,
            place: *place,
            at,
            last_seen,
            end,
            standing: place.standing,
            immunity_period: None,
        };
        if new_generation {
            self.closed.extend(before.iter().map(|(uid, place)| close(*uid, place, block, End::NetworkRemoved)));
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
                    if was.standing != now.standing {
                        self.standings.push((netuid, *uid, now.standing));
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
            // Over blocks that were left out, somebody may have been swapped and then moved here, and is no newcomer.
            let lately = last_seen.is_none_or(|last_seen| now.registered_at > last_seen);
            let newcomer = !origins.contains_key(uid) && now.registered_at > was.registered_at && lately;
            // A registration that was not noticed at once is dated by the chain.
            newcomer.then_some(now.registered_at.min(block))
        };
        for (uid, was) in before.iter().filter(|(uid, _)| !kept.contains(uid)) {
            let (end, at) = match (goes_on.get(uid), replaced_at(uid)) {
                (Some(end), _) => (*end, block),
                (None, Some(at)) => (End::Replaced, at),
                (None, None) if last_seen.is_some() => (End::Unseen, block),
                (None, None) => (End::Trimmed, block),
            };
            self.closed.push(close(*uid, was, at, end));
        }
        // Registered and pruned within the block: all but the last registration on a UID.
        for (index, (uid, place)) in registered.iter().enumerate() {
            if registered.iter().skip(index + 1).any(|(later, _)| later == uid) {
                let (uid, place) = (*uid, *place);
                self.opened.push(Opened { netuid, uid, place, from: block, continues: None, passed: true, burn_rao: None });
            }
        }
        for (uid, place) in after.iter().filter(|(uid, _)| !kept.contains(uid)) {
            // Over blocks that were left out, only those are seen who did not go before the newer state: they are watched from there on.
            let from = replaced_at(uid).filter(|_| last_seen.is_none()).unwrap_or(block);
            let (uid, place, continues) = (*uid, *place, origins.get(uid).copied());
            self.opened.push(Opened { netuid, uid, place, from, continues, passed: false, burn_rao: None });
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
