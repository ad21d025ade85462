//! Tenures: how long a hotkey had a UID, from registration until it was pruned, as far as the snapshots saw.
//!
//! A tenure that was under way when the first snapshot was taken enters late: it can only be compared with others from the age it had
//! then. One that still runs, or ended by a trim, is *censored*: it lived at least that long. Tenures that began and ended between two
//! snapshots are never seen. Where a netuid was given to another subnet, those of the subnet before are forgotten.
//!
//! Without registration blocks an end is dated to the snapshot that first misses it; a beginning only if the snapshots around it lie close
//! together. With them an end is dated to the successor's registration; over more than a day that may be the last of several, so such an
//! end counts as undated, too. Either date is the latest possible one, which keeps a curve right at the snapshots and too high between.

use super::{
    compare::{Class, SubnetChange},
    snapshot::Subnet,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks between two states beyond which a beginning between them has no date, and an end only a latest one: a day.
pub const MAX_UNDATED: u64 = super::BLOCKS_PER_DAY;

/// What a life is counted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The registration: age. Needs registration blocks, or a beginning between two snapshots.
    #[default]
    Registration,
    /// The first snapshot that shows it: how long those who are there still stay.
    FirstSeen,
}

/// A life, in blocks since its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// When watching began.
    pub entry: u64,
    /// When watching ended; later than `entry`.
    pub exit: u64,
    /// Whether it ended by being pruned, rather than being watched no longer.
    pub ended: bool,
}

/// One tenure, in blocks of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tenure {
    /// Which subnet.
    pub netuid: u16,
    /// Which UID, at last.
    pub uid: u16,
    /// When it was registered.
    pub born: Option<u64>,
    /// The first state that shows it.
    pub first_seen: u64,
    /// When it ended, or was seen for the last time.
    pub until: u64,
    /// Whether it was pruned then.
    pub ended: bool,
    /// Whether `until` is only the latest block at which it may have ended: the snapshot that first misses it, or, where more than a day lies
    /// between two snapshots, the registration of the last of perhaps several successors.
    pub undated_end: bool,
    /// Whether it could set weights when it was last seen: validators are seldom pruned, and no measure for miners.
    pub validator: bool,
    /// Whether it was one of the owner's protected UIDs then, which are never pruned.
    pub owner: bool,
}

impl Tenure {
    /// Its life from an origin; `None` if it cannot be counted from there, or was watched for no time.
    pub fn life(&self, origin: Origin) -> Option<Life> {
        let from = match origin {
            Origin::Registration => self.born?,
            Origin::FirstSeen => self.first_seen,
        };
        let life = Life { entry: self.first_seen.checked_sub(from)?, exit: self.until.checked_sub(from)?, ended: self.ended };
        (life.exit > life.entry).then_some(life)
    }
}

#[derive(Clone, Copy, Debug)]
struct Open {
    born: Option<u64>,
    first_seen: u64,
}

/// Tenures of all subnets: those that run by UID, and those that ended.
#[derive(Clone, Debug, Default)]
pub struct Tenures {
    open: BTreeMap<u16, Watched>,
    closed: Vec<Tenure>,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    last_block: u64,
    special: Special,
    uids: BTreeMap<u16, Open>,
}

/// UIDs whose lives are no measure for miners.
#[derive(Clone, Debug, Default)]
struct Special {
    validators: BTreeSet<u16>,
    owner_uids: BTreeSet<u16>,
}

impl Special {
    fn of(state: &Subnet) -> Self {
        Self { validators: state.validators.clone(), owner_uids: state.owner_uids.clone() }
    }
}

impl Watched {
    /// Takes the registration blocks of a state where the states before did not have them, or nobody could say more than about when.
    fn date(&mut self, state: &Subnet) {
        for (uid, open) in &mut self.uids {
            let Some(at) = state.registration_blocks.get(uid).copied().filter(|at| open.born != Some(*at)) else { continue };
            open.born = Some(at);
            if at > open.first_seen {
                // It was another tenure of the same hotkey that was seen before.
                open.first_seen = state.block;
            }
        }
    }
}

impl Tenures {
    /// Begins to watch a subnet.
    pub fn begin(&mut self, netuid: u16, state: &Subnet) {
        let open = |uid: &u16| Open { born: state.registration_blocks.get(uid).copied(), first_seen: state.block };
        let uids = state.uid_hotkey_map.keys().map(|uid| (*uid, open(uid))).collect();
        self.open.insert(netuid, Watched { last_block: state.block, special: Special::of(state), uids });
    }

    /// Takes the next state of a subnet, with what changed since the last one.
    pub fn go_on(&mut self, before: &Subnet, after: &Subnet, change: &SubnetChange) {
        let netuid = change.netuid;
        let Some(mut watched) = self.open.remove(&netuid) else { return self.begin(netuid, after) };
        let special = Special::of(before);
        if change.new_generation {
            // Those who lived on the subnet before it tell nothing of this one.
            self.closed.retain(|tenure| tenure.netuid != netuid);
            return self.begin(netuid, after);
        }
        let near = after.block.saturating_sub(before.block) <= MAX_UNDATED;
        let middle = near.then(|| before.block.midpoint(after.block));
        let old = watched.uids.clone();
        // Where moved survivors came from: their tenures go on elsewhere, and do not end here.
        let moved_from: Vec<u16> = change.events.iter().filter(|e| e.class == Class::Moved).filter_map(|e| e.previous_uid).collect();
        let shrunk = change.new_uids < change.old_uids;
        for event in &change.events {
            let uid = event.uid;
            if event.class == Class::Swapped {
                continue;
            }
            if let Some(open) = old.get(&uid).filter(|_| !moved_from.contains(&uid)) {
                // Without registration blocks, what a trim did cannot be told from pruning.
                let pruned = match event.class {
                    Class::Replaced | Class::ReRegistered => true,
                    Class::ReplacedOrSwapped | Class::MovedOrReRegistered => !shrunk,
                    _ => false,
                };
                let end = match (pruned, event.registered_at) {
                    // The successor was registered in the block in which it was pruned; the last successor, if there were several, which
                    // over a short period there seldom are.
                    (true, Some(at)) => End { until: at, ended: true, undated: !near },
                    (true, None) => End { until: after.block, ended: true, undated: true },
                    (false, _) => End { until: before.block, ended: false, undated: false },
                };
                self.closed.push(open.tenure(netuid, uid, end, &special));
            }
            watched.uids.remove(&uid);
            if event.new_hotkey.is_none() {
                continue;
            }
            let next = match (event.class, event.previous_uid.and_then(|from| old.get(&from))) {
                (Class::Moved, Some(open)) => *open,
                _ => match event.registered_at {
                    Some(at) => Open { born: Some(at), first_seen: after.block },
                    // In a subnet that shrank, a known hotkey elsewhere may be an old one that moved.
                    None if shrunk => Open { born: None, first_seen: after.block },
                    None => Open { born: middle, first_seen: after.block },
                },
            };
            watched.uids.insert(uid, next);
        }
        watched.date(after);
        watched.last_block = after.block;
        watched.special = Special::of(after);
        self.open.insert(netuid, watched);
    }

    /// All tenures of a subnet, those that run censored at the last state that was seen.
    pub fn of(&self, netuid: u16) -> Vec<Tenure> {
        let running = self.open.get(&netuid).into_iter().flat_map(|watched| {
            watched.uids.iter().map(move |(uid, open)| {
                open.tenure(netuid, *uid, End { until: watched.last_block, ended: false, undated: false }, &watched.special)
            })
        });
        self.closed.iter().filter(|tenure| tenure.netuid == netuid).copied().chain(running).collect()
    }

    /// Ends among the [`lives`](Self::lives) of which only the latest possible block is known.
    pub fn undated_ends(&self, netuid: u16, origin: Origin) -> usize {
        self.miners(netuid).filter(|tenure| tenure.undated_end && tenure.life(origin).is_some()).count()
    }

    /// The lives of miners on a subnet; validators and the owner's protected UIDs are left out where it is known who is one.
    pub fn lives(&self, netuid: u16, origin: Origin) -> Vec<Life> {
        self.miners(netuid).filter_map(|tenure| tenure.life(origin)).collect()
    }

    fn miners(&self, netuid: u16) -> impl Iterator<Item = Tenure> {
        self.of(netuid).into_iter().filter(|tenure| !tenure.validator && !tenure.owner)
    }
}

#[derive(Clone, Copy, Debug)]
struct End {
    until: u64,
    ended: bool,
    undated: bool,
}

impl Open {
    fn tenure(&self, netuid: u16, uid: u16, end: End, special: &Special) -> Tenure {
        let Self { born, first_seen } = *self;
        let End { until, ended, undated } = end;
        let (validator, owner) = (special.validators.contains(&uid), special.owner_uids.contains(&uid));
        Tenure { netuid, uid, born, first_seen, until, ended, undated_end: undated, validator, owner }
    }
}
