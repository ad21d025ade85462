//! Takes snapshots one after another, and keeps sums and the last good state of each subnet.

use super::{Analysis, Counting, Ignored, PriceSample, SubnetCompetition, recent::Recent};
use crate::tracker::{
    BLOCKS_PER_DAY,
    compare::{self, Class, Counts, Hotkeys, SubnetChange},
    cost, days,
    snapshot::{Snapshot, SnapshotError, Subnet},
    tenure::Tenures,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
struct Sums {
    periods: u64,
    blocks: u64,
    longest: u64,
    counts: Counts,
    displaced: u64,
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
    prices: BTreeMap<u16, Vec<PriceSample>>,
    recent: BTreeMap<u16, Recent>,
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
            prices: BTreeMap::new(),
            recent: BTreeMap::new(),
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
            told |= self.take_one(name, netuid, state);
        }
        told
    }

    /// Takes the next state of one subnet; `name` tells people where it is from.
    pub fn add_state(&mut self, name: &str, netuid: u16, state: Subnet) {
        if self.take_one(name, netuid, state) {
            let first = self.times.take().map_or_else(|| name.to_owned(), |(first, _)| first);
            self.times = Some((first, name.to_owned()));
        }
    }

    fn take_one(&mut self, name: &str, netuid: u16, state: Subnet) -> bool {
        if let Some(fault) = state.fault() {
            self.ignore(name, Some(netuid), fault.to_string());
            return false;
        }
        let Some(before) = self.last.get(&netuid) else {
            note_price(&mut self.prices, netuid, &state);
            self.tenures.begin(netuid, &state);
            self.last.insert(netuid, state);
            return true;
        };
        if state.block <= before.block {
            let reason = format!("block {} is not after block {}: a copy, or out of order", state.block, before.block);
            self.ignore(name, Some(netuid), reason);
            return false;
        }
        let change = compare::subnet(netuid, before, &state);
        if change.new_generation {
            // What the subnet before it cost says nothing of this one.
            self.prices.remove(&netuid);
        }
        note_price(&mut self.prices, netuid, &state);
        self.tenures.go_on(before, &state, &change);
        let sums = self.sums.entry(netuid).or_default();
        if change.new_generation {
            sums.new_generations += 1;
            self.recent.remove(&netuid);
        } else {
            sums.add(&change);
            if state.dated() {
                self.recent.entry(netuid).or_default().add(&change);
            }
        }
        self.last.insert(netuid, state);
        true
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

    /// What a registration on a subnet cost, where it changed; empty if the snapshots have no prices.
    pub fn prices(&self, netuid: u16) -> &[PriceSample] {
        self.prices.get(&netuid).map(Vec::as_slice).unwrap_or_default()
    }

    /// Registrations a day on a subnet in the week before its last state, as far as they were seen; `None` without registration blocks.
    ///
    /// The last state alone hides who was pruned since ([`cost::registrations_per_day`]); what was counted between states hides less, the
    /// closer they lie. The one that covers the longer time counts, unless the other is higher by more than chance makes it.
    pub fn registrations_per_day(&self, netuid: u16) -> Option<f64> {
        let by_state = self.last.get(&netuid).and_then(cost::seen);
        let counted = self.recent.get(&netuid).and_then(Recent::rate);
        let rate = match (by_state, counted) {
            (Some(state), Some(counted)) if counted.days >= state.days => Some(counted.or_shorter(state)),
            (Some(state), Some(counted)) => Some(state.or_shorter(counted)),
            (one, other) => one.or(other),
        };
        rate.map(|rate| rate.per_day())
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
        self.displaced += change.displaced();
        self.hotkeys.add(&change.hotkeys);
        change.classes.iter().for_each(|(class, count)| *self.classes.entry(*class).or_default() += count);
        self.uids += change.new_uids;
        self.last_uids = change.new_uids;
        self.replaceable += replaceable;
        self.replaceable_blocks = self.replaceable_blocks.saturating_add(u128::from(replaceable) * u128::from(blocks));
    }

    fn competition(&self, netuid: u16) -> SubnetCompetition {
        let observed = days(self.blocks);
        let uid_days = self.replaceable_blocks as f64 / BLOCKS_PER_DAY as f64;
        let (displaced, deregistrations) = (self.displaced as f64, self.counts.deregistrations as f64);
        SubnetCompetition {
            netuid,
            periods: self.periods,
            days: observed,
            longest_period_days: days(self.longest),
            counts: self.counts,
            changes: self.counts.total(),
            displaced: self.displaced,
            hotkeys: self.hotkeys,
            classes: self.classes.clone(),
            avg_uids: ratio(self.uids as f64, self.periods as f64),
            uids: self.last_uids,
            new_generations: self.new_generations,
            replaced_percent: 100.0 * ratio(displaced, self.replaceable as f64),
            hotkeys_lost_percent: 100.0 * ratio(self.hotkeys.lost as f64, self.replaceable as f64),
            replacements_per_day: ratio(displaced, observed),
            deregistrations_per_day: ratio(deregistrations, observed),
            changes_per_day: ratio(displaced + deregistrations + self.counts.new_registrations as f64, observed),
            replaced_percent_per_day: 100.0 * ratio(displaced, uid_days),
        }
    }
}

fn note_price(prices: &mut BTreeMap<u16, Vec<PriceSample>>, netuid: u16, state: &Subnet) {
    let Some(burn_rao) = state.parameters.burn_rao else { return };
    let samples = prices.entry(netuid).or_default();
    if samples.last().is_none_or(|last| last.burn_rao != burn_rao) {
        samples.push(PriceSample { block: state.block, burn_rao });
    }
}

/// Zero where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
