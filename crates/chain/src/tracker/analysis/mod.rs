//! Competition by subnet over many snapshots.
//!
//! A *period* lies between two good states of one subnet, whichever snapshots they come from. A failed, empty, partial or repeated state
//! makes none: the next good one is compared with the last good one, over a longer period. As periods differ in length, rates are per
//! day of blocks; a long period hides changes that were changed again, so all rates are lower bounds.
//!
//! The existing tracker counts an empty snapshot as a period, and periods without a change not at all, whence its "48 %" for a subnet
//! that lost 96 %. [`Counting::AsBefore`] counts that way, for comparing with numbers that were published. The length of such periods
//! means nothing, so of its rates only those of [`Analysis::as_before`] do.

mod analyzer;
mod recent;

pub use analyzer::Analyzer;

use super::compare::{Class, Counts, Hotkeys};
use serde::Serialize;
use std::collections::BTreeMap;

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

/// What a registration cost from a block on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PriceSample {
    /// The block of the state that shows it first.
    pub block: u64,
    /// The price, in rao.
    pub burn_rao: u64,
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
    /// Places that were taken from somebody ([`SubnetChange::displaced`](super::compare::SubnetChange::displaced)), which all rates of
    /// replacements and changes count: a hotkey that was swapped or moved is no competition.
    pub displaced: u64,
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
    /// Places taken for each UID that was there at the beginning of a period, in percent.
    pub replaced_percent: f64,
    /// Hotkeys that left for each UID that was there at the beginning of a period, in percent.
    pub hotkeys_lost_percent: f64,
    /// Places taken a day.
    pub replacements_per_day: f64,
    /// Deregistrations a day.
    pub deregistrations_per_day: f64,
    /// Places taken, deregistrations and new registrations a day.
    pub changes_per_day: f64,
    /// Part of the UIDs that is replaced in a day, in percent.
    pub replaced_percent_per_day: f64,
}

/// Competition on one subnet in the columns of the existing tracker, which knows periods and not their length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Published {
    /// Which subnet.
    pub netuid: u16,
    /// Replacements a period.
    pub replacements_per_period: f64,
    /// Deregistrations a period.
    pub deregistrations_per_period: f64,
    /// Changes a period.
    pub changes_per_period: f64,
    /// Replacements for each UID at the end of a period, in percent.
    pub replaced_percent: f64,
    /// Over all periods.
    #[serde(flatten)]
    pub counts: Counts,
    /// UIDs at the ends of the periods, on average.
    pub avg_uids: f64,
    /// Periods in which something changed.
    pub periods: u64,
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

impl Published {
    /// What it is ranked by.
    pub fn key(&self, by: SortBy) -> f64 {
        match by {
            SortBy::Replacements => self.replacements_per_period,
            SortBy::Percentage => self.replaced_percent,
            SortBy::Deregistrations => self.deregistrations_per_period,
            SortBy::Changes => self.changes_per_period,
        }
    }
}

impl Analysis {
    /// The columns and the ranking of the existing tracker, of an analysis that was counted [`Counting::AsBefore`].
    pub fn as_before(&self, by: SortBy) -> Vec<Published> {
        let row = |one: &SubnetCompetition| {
            // A subnet is here for a change, so in a period.
            let per_period = |count: u64| count as f64 / one.periods.max(1) as f64;
            Published {
                netuid: one.netuid,
                replacements_per_period: per_period(one.counts.replacements),
                deregistrations_per_period: per_period(one.counts.deregistrations),
                changes_per_period: per_period(one.changes),
                replaced_percent: one.replaced_percent,
                counts: one.counts,
                avg_uids: one.avg_uids,
                periods: one.periods,
            }
        };
        let mut rows: Vec<_> = self.subnets.iter().map(row).collect();
        rows.sort_by(|a, b| b.key(by).total_cmp(&a.key(by)).then(a.netuid.cmp(&b.netuid)));
        rows
    }

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
