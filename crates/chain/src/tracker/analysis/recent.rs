//! Registrations of the last week, counted period by period.

use crate::tracker::{
    BLOCKS_PER_DAY,
    compare::{Class, SubnetChange},
    cost::{MIN_IN_WINDOW, Rate},
    days,
};
use std::collections::VecDeque;

/// How far back registrations count.
const WEEK: u64 = 7 * BLOCKS_PER_DAY;

/// Shorter periods are put together, so that snapshots of every block take no more than a week's hours.
const HOUR: u64 = BLOCKS_PER_DAY / 24;

/// Periods that reach into the week before the last state, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Period>);

#[derive(Debug)]
struct Period {
    from: u64,
    to: u64,
    registrations: usize,
}

impl Recent {
    /// Takes a period between two states, the newer of which has registration blocks.
    pub(super) fn add(&mut self, change: &SubnetChange) {
        let (from, to) = (change.old_block, change.new_block);
        let new = |class| matches!(class, Class::Replaced | Class::ReRegistered | Class::Joined);
        let registrations = change.events.iter().filter(|event| new(event.class)).count();
        match self.0.back_mut() {
            Some(last) if last.to == from && to.saturating_sub(last.from) <= HOUR => {
                last.to = to;
                last.registrations += registrations;
            }
            _ => self.0.push_back(Period { from, to, registrations }),
        }
        while self.0.front().is_some_and(|first| first.to.saturating_add(WEEK) <= to) {
            self.0.pop_front();
        }
    }

    /// What was counted, in which time; `None` if less than a day was watched and few came.
    pub(super) fn rate(&self) -> Option<Rate> {
        let registrations: usize = self.0.iter().map(|one| one.registrations).sum();
        let blocks = self.0.iter().map(|one| one.to.saturating_sub(one.from)).fold(0, u64::saturating_add);
        let enough = blocks >= BLOCKS_PER_DAY || blocks > 0 && registrations >= MIN_IN_WINDOW;
        enough.then(|| Rate { registrations, days: days(blocks) })
    }
}
