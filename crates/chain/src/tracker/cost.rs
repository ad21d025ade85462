//! What a place on each subnet costs now, in the columns of the existing tracker.

use super::{
    BLOCK_SECONDS, BLOCKS_PER_DAY,
    snapshot::{Parameters, Subnet},
};
use serde::Serialize;

/// The price of a registration on a subnet, and what it buys. A number that the snapshot does not carry is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Which subnet.
    pub netuid: u16,
    /// The block at which it cost that.
    pub block: u64,
    /// The price, in TAO.
    pub burn_cost_tao: Option<f64>,
    /// UIDs that are given out.
    pub current_neurons: u64,
    /// UIDs there may be.
    pub max_neurons: Option<u16>,
    /// How much of them is given out, in percent.
    pub occupancy_pct: Option<f64>,
    /// Whether a registration prunes somebody.
    pub is_full: Option<bool>,
    /// Difficulty of registering by proof of work.
    pub difficulty: Option<u64>,
    /// Hours for which a new UID is immune.
    pub immunity_hours: Option<f64>,
    /// Registrations a day in the week before, as far as they are seen: those that were pruned since are not.
    pub registrations_per_day: Option<f64>,
}

/// The cost of a place, from a snapshot.
pub fn of(netuid: u16, state: &Subnet) -> Cost {
    let Parameters { burn_rao, max_uids, immunity_period, difficulty, .. } = state.parameters;
    let neurons = state.uid_hotkey_map.len() as u64;
    Cost {
        netuid,
        block: state.block,
        burn_cost_tao: burn_rao.map(super::tao),
        current_neurons: neurons,
        max_neurons: max_uids,
        occupancy_pct: max_uids.filter(|max| *max > 0).map(|max| 100.0 * neurons as f64 / f64::from(max)),
        is_full: max_uids.map(|max| neurons >= u64::from(max)),
        difficulty,
        immunity_hours: immunity_period.map(|blocks| (blocks.saturating_mul(BLOCK_SECONDS)) as f64 / 3600.0),
        registrations_per_day: registrations_per_day(state),
    }
}

/// Days of the longest window in which registrations are counted.
const WEEK: u64 = 7;

/// Registrations a window shorter than a week must hold to be believed: fewer make a rate by chance.
pub(super) const MIN_IN_WINDOW: usize = 10;

/// Registrations a day in the week before, counted by registration blocks; `None` without these.
///
/// Of several registrations on one UID the last one is seen, so that a week never shows more than a seventh of the UIDs a day. The last 4,
/// 2 and 1 days hide less: the rate of a shorter window counts where it is higher by more than chance often makes it (a standard deviation of
/// its count), and it has ten registrations.
/// [`Analyzer::registrations_per_day`](super::analysis::Analyzer::registrations_per_day) knows better where there are many snapshots.
pub fn registrations_per_day(state: &Subnet) -> Option<f64> {
    seen(state).map(|rate| rate.per_day())
}

/// Registrations within a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) registrations: usize,
    pub(super) days: f64,
}

impl Rate {
    pub(super) fn per_day(&self) -> f64 {
        self.registrations as f64 / self.days
    }

    /// Of a longer window, which hides some, and a shorter one, which varies: the shorter if the difference is more than its standard
    /// deviation. The greatest of several that vary would be too high.
    pub(super) fn or_shorter(self, shorter: Self) -> Self {
        let chance = (shorter.registrations as f64).sqrt();
        let expected = self.per_day() * shorter.days;
        if shorter.registrations >= MIN_IN_WINDOW && shorter.registrations as f64 - expected > chance { shorter } else { self }
    }
}

/// The same, with how many were seen in which time.
pub(super) fn seen(state: &Subnet) -> Option<Rate> {
    let within = |window_days: u64| {
        let window = (window_days * BLOCKS_PER_DAY).min(state.block);
        let since = state.block - window;
        let recent = state.uid_hotkey_map.keys().filter(|uid| state.registration_blocks.get(uid).is_some_and(|at| *at > since)).count();
        (window > 0).then(|| Rate { registrations: recent, days: super::days(window) })
    };
    let week = within(WEEK).filter(|_| state.dated())?;
    Some([4, 2, 1].into_iter().filter_map(within).fold(week, Rate::or_shorter))
}
