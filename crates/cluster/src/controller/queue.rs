//! When each object is to be looked at next. Pure: it is told the time.

use crate::backoff::{PerObject, Policy};
use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    time::Duration,
};
use tokio::time::Instant;

/// Due times by object. An object is in one of three places: waiting, running, or nowhere.
#[derive(Debug)]
pub(super) struct Queue<T> {
    entries: HashMap<T, Entry>,
    /// Waiting objects by due time; the number tells equal times apart, in the order of their coming.
    order: BTreeMap<(Instant, u64), T>,
    next: u64,
    backoff: PerObject<T>,
}

#[derive(Debug, Default)]
struct Entry {
    due: Option<(Instant, u64)>,
    running: bool,
    /// Asked for while it ran.
    again: Option<Instant>,
    /// Backing off until then.
    not_before: Option<Instant>,
}

impl<T: Eq + Hash + Clone> Queue<T> {
    pub(super) fn new(backoff: Policy) -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 0, backoff: PerObject::new(backoff) }
    }

    /// Look at it now, or when its backoff is over.
    pub(super) fn add(&mut self, object: T, now: Instant) {
        self.add_at(object, now);
    }

    /// Look at it now, whatever its backoff: what is wanted of it changed.
    pub(super) fn urge(&mut self, object: T, now: Instant) {
        self.backoff.reset(&object);
        if let Some(entry) = self.entries.get_mut(&object) {
            entry.not_before = None;
        }
        self.add_at(object, now);
    }

    fn add_at(&mut self, object: T, at: Instant) {
        let entry = self.entries.entry(object.clone()).or_default();
        if entry.running {
            entry.again = Some(entry.again.map_or(at, |earlier| earlier.min(at)));
            return;
        }
        let at = entry.not_before.map_or(at, |bound| bound.max(at));
        match entry.due {
            Some((due, _)) if due <= at => return,
            Some(later) => {
                self.order.remove(&later);
            }
            None => {}
        }
        let place = (at, self.next);
        self.next += 1;
        entry.due = Some(place);
        self.order.insert(place, object);
    }

    /// The next object that is due; it counts as running until [`Queue::done`] or [`Queue::failed`].
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        let (place, _) = self.order.first_key_value()?;
        if place.0 > now {
            return None;
        }
        let (_, object) = self.order.pop_first()?;
        let entry = self.entries.entry(object.clone()).or_default();
        entry.due = None;
        entry.not_before = None;
        entry.running = true;
        Some(object)
    }

    /// It succeeded; look again at `next`, if given, or at once if it was asked for meanwhile.
    pub(super) fn done(&mut self, object: &T, now: Instant, next: Option<Instant>) {
        self.backoff.reset(object);
        let Some(entry) = self.entries.get_mut(object) else { return };
        entry.running = false;
        let again = entry.again.take().map(|at| at.max(now));
        let at = match (again, next) {
            (Some(again), Some(next)) => Some(again.min(next)),
            (again, next) => again.or(next),
        };
        match at {
            Some(at) => self.add_at(object.clone(), at),
            None => {
                self.entries.remove(object);
            }
        }
    }

    /// It failed; it is left alone for its backoff. Returns failures in a row and the delay.
    pub(super) fn failed(&mut self, object: &T, now: Instant) -> (u32, Duration) {
        let delay = self.backoff.fail(object);
        if let Some(entry) = self.entries.get_mut(object) {
            entry.running = false;
            entry.again = None;
            entry.not_before = Some(now + delay);
            self.add_at(object.clone(), now + delay);
        }
        (self.backoff.failures(object), delay)
    }

    /// When the next object is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.order.first_key_value().map(|(place, _)| place.0)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// How many failed last time.
    pub(super) fn failing(&self) -> usize {
        self.backoff.failing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queue() -> (Queue<u8>, Instant) {
        (Queue::new(Policy::default()), Instant::now())
    }

    #[test]
    fn a_trigger_while_it_runs_is_kept_and_not_run_beside_it() {
        let (mut queue, now) = queue();
        queue.add(1, now);
        assert_eq!(queue.pop(now), Some(1));
        queue.add(1, now);
        assert_eq!(queue.pop(now), None);
        queue.done(&1, now, None);
        assert_eq!(queue.pop(now), Some(1));
        queue.done(&1, now, None);
        assert_eq!(queue.pop(now), None);
    }

    #[test]
    fn a_trigger_does_not_cut_a_backoff_short_but_a_changed_wish_does() {
        let (mut queue, now) = queue();
        queue.add(1, now);
        queue.pop(now);
        let (_, delay) = queue.failed(&1, now);
        queue.add(1, now);
        assert_eq!(queue.pop(now), None);
        assert_eq!(queue.pop(now + delay), Some(1));
        let (failures, _) = queue.failed(&1, now);
        assert_eq!(failures, 2);
        queue.urge(1, now);
        assert_eq!(queue.pop(now), Some(1));
        assert_eq!(queue.failed(&1, now).0, 1);
    }

    #[test]
    fn a_requeue_comes_when_it_is_due_and_a_trigger_comes_before() {
        let (mut queue, now) = queue();
        let later = now + Duration::from_secs(60);
        queue.add(1, now);
        queue.pop(now);
        queue.done(&1, now, Some(later));
        assert_eq!(queue.pop(now), None);
        assert_eq!(queue.next_due(), Some(later));
        queue.add(1, now);
        assert_eq!(queue.pop(now), Some(1));
        assert_eq!(queue.len(), 0);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Add(u8),
        Urge(u8),
        Pop,
        Done(u8, bool),
        Fail(u8),
        Wait(u16),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..4u8).prop_map(Op::Add),
            (0..4u8).prop_map(Op::Urge),
            Just(Op::Pop),
            (0..4u8, any::<bool>()).prop_map(|(object, requeue)| Op::Done(object, requeue)),
            (0..4u8).prop_map(Op::Fail),
            (0..5000u16).prop_map(Op::Wait),
        ]
    }

    proptest! {
        #[test]
        fn never_two_at_once_and_nothing_is_forgotten(ops in prop::collection::vec(op(), 1..200)) {
            let (mut queue, mut now) = queue();
            let mut running = std::collections::HashSet::new();
            let mut asked = std::collections::HashSet::new();
            for op in ops {
                match op {
                    Op::Add(object) => { queue.add(object, now); asked.insert(object); }
                    Op::Urge(object) => { queue.urge(object, now); asked.insert(object); }
                    Op::Pop => if let Some(object) = queue.pop(now) {
                        prop_assert!(running.insert(object), "{object} ran twice at once");
                        asked.remove(&object);
                    },
                    Op::Done(object, requeue) => if running.remove(&object) {
                        queue.done(&object, now, requeue.then(|| now + Duration::from_secs(9)));
                    },
                    Op::Fail(object) => if running.remove(&object) {
                        queue.failed(&object, now);
                        asked.insert(object);
                    },
                    Op::Wait(ms) => now += Duration::from_millis(ms.into()),
                }
            }
            for object in running.drain() {
                queue.done(&object, now, None);
            }
            now += Duration::from_secs(600);
            let mut left = Vec::new();
            while let Some(object) = queue.pop(now) {
                left.push(object);
            }
            for object in asked {
                prop_assert!(left.contains(&object), "{object} was asked for and forgotten");
            }
        }
    }
}
