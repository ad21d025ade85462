//! What changed in a subnet between two of its states, counted as the existing tracker counts, and told apart.
//!
//! That another hotkey sits on a UID does not mean that a miner was pushed out: hotkeys are swapped, owners trim their subnets and the
//! survivors move to lower UIDs. The registration block tells: it is new after a registration, unchanged after a swap, and moves along
//! with the hotkey when a subnet is trimmed. Without it, only the bounds are known, and the classes say so.

use super::snapshot::{Fault, Key, Snapshot, Subnet};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What happened to a UID, as far as the states tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A newcomer took the place of a hotkey that was pruned.
    Replaced,
    /// A hotkey that had been there registered again, on this or another UID.
    ReRegistered,
    /// The owner put another hotkey in the place; no registration, no pruning.
    Swapped,
    /// A survivor of a trim sits on a lower UID; its tenure goes on.
    Moved,
    /// The UID is no more: the subnet has fewer.
    Trimmed,
    /// A newcomer on a UID that had not been given out.
    Joined,
    /// A new hotkey on a known UID: replaced or swapped, for want of registration blocks.
    ReplacedOrSwapped,
    /// A known hotkey on another UID: moved or registered again, for want of registration blocks.
    MovedOrReRegistered,
    /// The states contradict each other.
    Unexplained,
}

impl Class {
    /// The name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::ReRegistered => "re_registered",
            Self::Swapped => "swapped",
            Self::Moved => "moved",
            Self::Trimmed => "trimmed",
            Self::Joined => "joined",
            Self::ReplacedOrSwapped => "replaced_or_swapped",
            Self::MovedOrReRegistered => "moved_or_re_registered",
            Self::Unexplained => "unexplained",
        }
    }
}

/// The three kinds of the existing tracker, which looks at UIDs alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// UIDs in both states with another hotkey.
    pub replacements: u64,
    /// UIDs only in the older state.
    pub deregistrations: u64,
    /// UIDs only in the newer state.
    pub new_registrations: u64,
}

impl Counts {
    /// All changes.
    pub fn total(&self) -> u64 {
        self.replacements + self.deregistrations + self.new_registrations
    }

    /// Adds another period's.
    pub fn add(&mut self, other: &Self) {
        self.replacements += other.replacements;
        self.deregistrations += other.deregistrations;
        self.new_registrations += other.new_registrations;
    }
}

/// What became of hotkeys, whichever UID they sit on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hotkeys {
    /// In the older state only.
    pub lost: u64,
    /// In the newer state only.
    pub gained: u64,
    /// In both, on another UID.
    pub moved: u64,
}

impl Hotkeys {
    /// Adds another period's.
    pub fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.gained += other.gained;
        self.moved += other.moved;
    }
}

/// A change on one UID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Where.
    pub uid: u16,
    /// What happened.
    pub class: Class,
    /// Who sat there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_hotkey: Option<Key>,
    /// Who sits there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_hotkey: Option<Key>,
    /// The UID on which the new hotkey sat before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_uid: Option<u16>,
    /// When the new hotkey was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<u64>,
    /// Whether both hotkeys belong to one coldkey: somebody who replaces themselves is no competition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_coldkey: Option<bool>,
}

/// What changed in a subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubnetChange {
    /// Which subnet.
    pub netuid: u16,
    /// The block of the older state.
    pub old_block: u64,
    /// The block of the newer state.
    pub new_block: u64,
    /// UIDs in the older state.
    pub old_uids: u64,
    /// UIDs in the newer state.
    pub new_uids: u64,
    /// The subnet was removed and its netuid given to another: nothing below compares like with like, and nothing is counted.
    pub new_generation: bool,
    /// As the existing tracker counts.
    pub counts: Counts,
    /// By hotkey.
    pub hotkeys: Hotkeys,
    /// Told apart.
    pub classes: BTreeMap<Class, u64>,
    /// Each change, by UID.
    pub events: Vec<Event>,
}

impl SubnetChange {
    /// Places that were taken from somebody, or may have been: on which another hotkey sits that is not known to have been swapped or moved
    /// there, or the same one after it was pruned. Without registration blocks these are [`Counts::replacements`].
    pub fn displaced(&self) -> u64 {
        let both = |event: &&Event| event.old_hotkey.is_some() && event.new_hotkey.is_some();
        self.events.iter().filter(both).filter(|event| !matches!(event.class, Class::Swapped | Class::Moved)).count() as u64
    }
}

/// Compares two states of a subnet. Both are taken at their word: see [`Subnet::fault`].
pub fn subnet(netuid: u16, old: &Subnet, new: &Subnet) -> SubnetChange {
    let new_generation = new.network_registered_at.is_some_and(|at| at > old.block);
    let mut change = SubnetChange {
        netuid,
        old_block: old.block,
        new_block: new.block,
        old_uids: old.uid_hotkey_map.len() as u64,
        new_uids: new.uid_hotkey_map.len() as u64,
        new_generation,
        counts: Counts::default(),
        hotkeys: Hotkeys::default(),
        classes: BTreeMap::new(),
        events: Vec::new(),
    };
    if new_generation {
        return change;
    }
    let before: BTreeMap<&Key, u16> = old.uid_hotkey_map.iter().map(|(uid, key)| (key, *uid)).collect();
    let after: BTreeMap<&Key, u16> = new.uid_hotkey_map.iter().map(|(uid, key)| (key, *uid)).collect();
    change.hotkeys = Hotkeys {
        lost: before.keys().filter(|key| !after.contains_key(*key)).count() as u64,
        gained: after.keys().filter(|key| !before.contains_key(*key)).count() as u64,
        moved: after.iter().filter(|(key, uid)| before.get(*key).is_some_and(|was| was != *uid)).count() as u64,
    };
    let uids: BTreeSet<u16> = old.uid_hotkey_map.keys().chain(new.uid_hotkey_map.keys()).copied().collect();
    for uid in uids {
        let (was, is) = (old.uid_hotkey_map.get(&uid), new.uid_hotkey_map.get(&uid));
        match (was, is) {
            (Some(was), Some(is)) if was != is => change.counts.replacements += 1,
            (Some(_), None) => change.counts.deregistrations += 1,
            (None, Some(_)) => change.counts.new_registrations += 1,
            _ => {}
        }
        if let Some(class) = classify(uid, old, new, &before) {
            *change.classes.entry(class).or_default() += 1;
            let previous_uid = is.and_then(|key| before.get(key)).copied().filter(|was| *was != uid);
            let registered_at = new.registration_blocks.get(&uid).copied();
            let same_coldkey = old.coldkeys.get(&uid).zip(new.coldkeys.get(&uid)).map(|(old, new)| old == new);
            let (old_hotkey, new_hotkey) = (was.cloned(), is.cloned());
            change.events.push(Event { uid, class, old_hotkey, new_hotkey, previous_uid, registered_at, same_coldkey });
        }
    }
    change
}

/// What happened to a UID; `None` if nothing did. `before` holds where each hotkey of the older state sat.
fn classify(uid: u16, old: &Subnet, new: &Subnet, before: &BTreeMap<&Key, u16>) -> Option<Class> {
    let was = old.uid_hotkey_map.get(&uid);
    let Some(is) = new.uid_hotkey_map.get(&uid) else {
        // UIDs are only ever given up from the top, when an owner trims the subnet.
        return was.map(|_| Class::Trimmed);
    };
    let born = new.registration_blocks.get(&uid).copied();
    let registered = born.map(|at| at > old.block);
    let previous = before.get(is).copied();
    if was == Some(is) {
        // The same hotkey, but a later registration: it was pruned and came back to the same place.
        return (registered == Some(true)).then_some(Class::ReRegistered);
    }
    Some(match (registered, previous, was) {
        (Some(true), Some(_), _) => Class::ReRegistered,
        (Some(true), None, Some(_)) => Class::Replaced,
        (Some(true), None, None) => Class::Joined,
        // It brought its registration block along. Where the older state does not know it, the newer one has to do.
        (Some(false), Some(from), _) if agrees(old.registration_blocks.get(&from), born) => Class::Moved,
        (Some(false), None, Some(_)) if agrees(old.registration_blocks.get(&uid), born) => Class::Swapped,
        (Some(false), ..) => Class::Unexplained,
        (None, Some(_), _) => Class::MovedOrReRegistered,
        (None, None, Some(_)) => Class::ReplacedOrSwapped,
        // A swap needs a UID to be there before.
        (None, None, None) => Class::Joined,
    })
}

fn agrees(old: Option<&u64>, new: Option<u64>) -> bool {
    old.is_none() || old.copied() == new
}

/// A subnet of which nothing is concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Which subnet.
    pub netuid: u16,
    /// Why.
    pub reason: String,
}

/// What changed between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// When the older one was taken.
    pub old_timestamp: String,
    /// When the newer one was taken.
    pub new_timestamp: String,
    /// Sums over all subnets.
    pub counts: Counts,
    /// Sums over all subnets.
    pub hotkeys: Hotkeys,
    /// Sums over all subnets.
    pub classes: BTreeMap<Class, u64>,
    /// Subnets that were compared, those without a change included.
    pub subnets: Vec<SubnetChange>,
    /// Subnets that could not be.
    pub gaps: Vec<Gap>,
}

/// Compares two snapshots, subnet by subnet. One that is missing, empty or partial on either side is a gap, never a change.
pub fn snapshots(old: &Snapshot, new: &Snapshot) -> Comparison {
    let mut comparison = Comparison {
        old_timestamp: old.timestamp.clone(),
        new_timestamp: new.timestamp.clone(),
        counts: Counts::default(),
        hotkeys: Hotkeys::default(),
        classes: BTreeMap::new(),
        subnets: Vec::new(),
        gaps: Vec::new(),
    };
    let netuids: BTreeSet<u16> = old.subnets.keys().chain(new.subnets.keys()).copied().collect();
    for netuid in netuids {
        match comparable(old.subnets.get(&netuid), new.subnets.get(&netuid)) {
            Ok((before, after)) => comparison.subnets.push(subnet(netuid, before, after)),
            Err(reason) => comparison.gaps.push(Gap { netuid, reason }),
        }
    }
    for change in &comparison.subnets {
        comparison.counts.add(&change.counts);
        comparison.hotkeys.add(&change.hotkeys);
        change.classes.iter().for_each(|(class, count)| *comparison.classes.entry(*class).or_default() += count);
    }
    comparison
}

fn comparable<'a>(old: Option<&'a Subnet>, new: Option<&'a Subnet>) -> Result<(&'a Subnet, &'a Subnet), String> {
    let old = old.ok_or("not in the older snapshot: new, or its read failed")?;
    let new = new.ok_or("not in the newer snapshot: removed, or its read failed")?;
    let bad = |which: &str, fault: Option<Fault>| fault.map_or(Ok(()), |fault| Err(format!("{which} state: {fault}")));
    bad("older", old.fault())?;
    bad("newer", new.fault())?;
    if new.block <= old.block {
        return Err(format!("block {} is not after block {}", new.block, old.block));
    }
    Ok((old, new))
}
