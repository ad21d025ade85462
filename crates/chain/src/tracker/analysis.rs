//! Competition by subnet over many snapshots.
//!
//! A *period* lies between two good states of one subnet, whichever snapshots they come from. A failed, empty, partial or repeated state
//! makes none: the next good one is compared with the last good one, over a longer period. As periods differ in length, rates are per
//! day of blocks; a long period hides changes that were changed again, so all rates are lower bounds.
//!
//! The existing tracker counts an empty snapshot as a period, and periods without a change not at all, whence its "48 %" for a subnet
//! that lost 96 %. [`Counting::AsBefore`] counts that way, for comparing with numbers that were published.

use super::{
    BLOCKS_PER_DAY,
    compare::{self, Class, Counts, Hotkeys, SubnetChange},
    snapshot::{Snapshot, SnapshotError, Subnet},
    tenure::Tenures,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What makes a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Two good states of the subnet.
    #[default]
    Observed,
    /// Two snapshots between which the subnet changed, whatever is in them: the existing tracker's way.
    AsBefore,
}

/// What to rank by; always the highest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Replacements a day.
    #[default]
    Replacements,
    /// Part of the UIDs that is replaced in a day.
    Percentage,
    /// Deregistrations a day.
    Deregistrations,
    /// All changes a day.
    Changes,
}

/// A snapshot, or a subnet in one, of which nothing was concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The file.
    pub snapshot: String,
    /// The subnet; absent if it is the whole snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netuid: Option<u16>,
    /// Why.
    pub reason: String,
}

/// Competition on one subnet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubnetCompetition {
    /// Which subnet.
    pub netuid: u16,
    /// Periods that were observed.
    pub periods: u64,
    /// Their length together, in days of 7,200 blocks.
    pub days: f64,
    /// The longest of them.
    pub longest_period_days: f64,
    /// As the existing tracker counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// All changes.
    pub changes: u64,
    /// By hotkey.
    pub hotkeys: Hotkeys,
    /// Told apart.
    pub classes: BTreeMap<Class, u64>,
    /// UIDs at the ends of the periods, on average.
    pub avg_uids: f64,
    /// UIDs in the last state.
    pub uids: u64,
    /// Times its netuid was given to another subnet.
    pub new_generations: u64,
    /// Replacements for each UID that was there at the beginning of a period, in percent.
    pub replaced_percent: f64,
    /// Hotkeys that left for each UID that was there at the beginning of a period, in percent.
    pub hotkeys_lost_percent: f64,
    /// Replacements a day.
    pub replacements_per_day: f64,
    /// Deregistrations a day.
    pub deregistrations_per_day: f64,
    /// Changes a day.
    pub changes_per_day: f64,
    /// Part of the UIDs that is replaced in a day, in percent.
    pub replaced_percent_per_day: f64,
}

/// Competition on all subnets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The network of the snapshots.
    pub network: String,
    /// Snapshots that told something.
    pub snapshots: u64,
    /// The time of the first of them.
    pub first: Option<String>,
    /// The time of the last.
    pub last: Option<String>,
    /// Sums over all subnets.
    pub total: Counts,
    /// Sums over all subnets.
    pub hotkeys: Hotkeys,
    /// Sums over all subnets.
    pub classes: BTreeMap<Class, u64>,
    /// Subnets with a period at least, by netuid until [`Analysis::sort`].
    pub subnets: Vec<SubnetCompetition>,
    /// What was left out, and why.
    pub ignored: Vec<Ignored>,
}

impl Analysis {
    /// Ranks the subnets; those that are equal by netuid.
    pub fn sort(&mut self, by: SortBy) {
        let key = |one: &SubnetCompetition| match by {
            SortBy::Replacements => one.replacements_per_day,
            SortBy::Percentage => one.replaced_percent_per_day,
            SortBy::Deregistrations => one.deregistrations_per_day,
            SortBy::Changes => one.changes_per_day,
        };
        self.subnets.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.netuid.cmp(&b.netuid)));
    }
}

#[derive(Debug, Default)]
struct Sums {
    periods: u64,
    blocks: u64,
    longest: u64,
    counts: Counts,
    hotkeys: Hotkeys,
    classes: BTreeMap<Class, u64>,
    uids: u64,
    last_uids: u64,
    replaceable: u64,
    replaceable_blocks: u128,
    new_generations: u64,
}

/// Takes snapshots one after another; keeps the last good state of each subnet and sums.
#[derive(Debug)]
pub struct Analyzer {
    network: String,
    counting: Counting,
    last: BTreeMap<u16, Subnet>,
    sums: BTreeMap<u16, Sums>,
    tenures: Tenures,
    snapshots: u64,
    times: Option<(String, String)>,
    ignored: Vec<Ignored>,
}

impl Analyzer {
    /// Nothing seen yet. Snapshots of other networks will be ignored.
    pub fn new(network: impl Into<String>, counting: Counting) -> Self {
        Self {
            network: network.into(),
            counting,
            last: BTreeMap::new(),
            sums: BTreeMap::new(),
            tenures: Tenures::default(),
            snapshots: 0,
            times: None,
            ignored: Vec::new(),
        }
    }

    /// Takes the next snapshot, or notes why there is none. `name` tells people which one it is.
    pub fn add(&mut self, name: &str, snapshot: Result<Snapshot, SnapshotError>) {
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => return self.ignore(name, None, error.to_string()),
        };
        if snapshot.network != self.network {
            return self.ignore(name, None, format!("of the network {:?}, not {:?}", snapshot.network, self.network));
        }
        let told = match self.counting {
            Counting::AsBefore => self.take_as_before(snapshot.subnets),
            Counting::Observed if snapshot.subnets.is_empty() => {
                return self.ignore(name, None, "empty: taking it failed".to_owned());
            }
            Counting::Observed => self.take(name, snapshot.subnets),
        };
        if told {
            self.snapshots += 1;
            let first = self.times.take().map_or_else(|| snapshot.timestamp.clone(), |(first, _)| first);
            self.times = Some((first, snapshot.timestamp));
        }
    }

    fn take(&mut self, name: &str, subnets: BTreeMap<u16, Subnet>) -> bool {
        let missing: Vec<u16> = self.last.keys().filter(|netuid| !subnets.contains_key(netuid)).copied().collect();
        for netuid in missing {
            self.ignore(name, Some(netuid), "missing: removed, or its read failed".to_owned());
        }
        let mut told = false;
        for (netuid, state) in subnets {
            if let Some(fault) = state.fault() {
                self.ignore(name, Some(netuid), fault.to_string());
                continue;
            }
            let Some(before) = self.last.get(&netuid) else {
                self.tenures.begin(netuid, &state);
                self.last.insert(netuid, state);
                told = true;
                continue;
            };
            if state.block <= before.block {
                let reason = format!("block {} is not after block {}: a copy, or out of order", state.block, before.block);
                self.ignore(name, Some(netuid), reason);
                continue;
            }
            let change = compare::subnet(netuid, before, &state);
            self.tenures.go_on(before, &state, &change);
            let sums = self.sums.entry(netuid).or_default();
            if change.new_generation {
                sums.new_generations += 1;
            } else {
                sums.add(&change);
            }
            self.last.insert(netuid, state);
            told = true;
        }
        told
    }

    /// Missing subnets are empty, and only a change makes a period.
    fn take_as_before(&mut self, subnets: BTreeMap<u16, Subnet>) -> bool {
        let first = self.snapshots == 0;
        let empty = Subnet::default();
        if !first {
            let netuids: BTreeSet<u16> = self.last.keys().chain(subnets.keys()).copied().collect();
            for netuid in netuids {
                let (before, after) = (self.last.get(&netuid).unwrap_or(&empty), subnets.get(&netuid).unwrap_or(&empty));
                // The registration blocks are new to it.
                let plain = |state: &Subnet| Subnet {
                    uid_hotkey_map: state.uid_hotkey_map.clone(),
                    n_neurons: state.n_neurons,
                    block: state.block,
                    ..Subnet::default()
                };
                let change = compare::subnet(netuid, &plain(before), &plain(after));
                if change.counts.total() > 0 {
                    // It divides by the UIDs at the end of the period.
                    self.sums.entry(netuid).or_default().add_of(&change, change.new_uids);
                }
            }
        }
        self.last = subnets;
        true
    }

    fn ignore(&mut self, name: &str, netuid: Option<u16>, reason: String) {
        self.ignored.push(Ignored { snapshot: name.to_owned(), netuid, reason });
    }

    /// The last good state of each subnet.
    pub fn states(&self) -> &BTreeMap<u16, Subnet> {
        &self.last
    }

    /// How long UIDs lived, as far as was seen.
    pub fn tenures(&self) -> &Tenures {
        &self.tenures
    }

    /// What the snapshots so far say.
    pub fn analysis(&self) -> Analysis {
        let mut analysis = Analysis {
            network: self.network.clone(),
            snapshots: self.snapshots,
            first: self.times.as_ref().map(|(first, _)| first.clone()),
            last: self.times.as_ref().map(|(_, last)| last.clone()),
            total: Counts::default(),
            hotkeys: Hotkeys::default(),
            classes: BTreeMap::new(),
            subnets: Vec::new(),
            ignored: self.ignored.clone(),
        };
        for (netuid, sums) in &self.sums {
            analysis.total.add(&sums.counts);
            analysis.hotkeys.add(&sums.hotkeys);
            sums.classes.iter().for_each(|(class, count)| *analysis.classes.entry(*class).or_default() += count);
            analysis.subnets.push(sums.competition(*netuid));
        }
        analysis
    }
}

impl Sums {
    /// Only UIDs that were there at the beginning of a period could be replaced in it.
    fn add(&mut self, change: &SubnetChange) {
        self.add_of(change, change.old_uids);
    }

    fn add_of(&mut self, change: &SubnetChange, replaceable: u64) {
        let blocks = change.new_block.saturating_sub(change.old_block);
        self.periods += 1;
        self.blocks = self.blocks.saturating_add(blocks);
        self.longest = self.longest.max(blocks);
        self.counts.add(&change.counts);
        self.hotkeys.add(&change.hotkeys);
        change.classes.iter().for_each(|(class, count)| *self.classes.entry(*class).or_default() += count);
        self.uids += change.new_uids;
        self.last_uids = change.new_uids;
        self.replaceable += replaceable;
        self.replaceable_blocks = self.replaceable_blocks.saturating_add(u128::from(replaceable) * u128::from(blocks));
    }

    fn competition(&self, netuid: u16) -> SubnetCompetition {
        let days = super::days(self.blocks);
        let uid_days = self.replaceable_blocks as f64 / BLOCKS_PER_DAY as f64;
        SubnetCompetition {
            netuid,
            periods: self.periods,
            days,
            longest_period_days: super::days(self.longest),
            counts: self.counts,
            changes: self.counts.total(),
            hotkeys: self.hotkeys,
            classes: self.classes.clone(),
            avg_uids: ratio(self.uids as f64, self.periods as f64),
            uids: self.last_uids,
            new_generations: self.new_generations,
            replaced_percent: 100.0 * ratio(self.counts.replacements as f64, self.replaceable as f64),
            hotkeys_lost_percent: 100.0 * ratio(self.hotkeys.lost as f64, self.replaceable as f64),
            replacements_per_day: ratio(self.counts.replacements as f64, days),
            deregistrations_per_day: ratio(self.counts.deregistrations as f64, days),
            changes_per_day: ratio(self.counts.total() as f64, days),
            replaced_percent_per_day: 100.0 * ratio(self.counts.replacements as f64, uid_days),
        }
    }
}

/// Zero where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
