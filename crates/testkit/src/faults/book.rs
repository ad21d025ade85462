//! The journal of requests and the rules that wait for some of them.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::action::{Action, Rule};
use super::matcher::Matcher;
use super::seen::Seen;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream's answer of this status was passed on, perhaps cut.
    Answered(u16),
    /// A rule answered with this status; the upstream heard nothing.
    Refused(u16),
    /// An earlier answer was passed off as a new one; the upstream heard nothing.
    Stale,
    /// The connection was closed, or the client kept waiting; the upstream heard nothing.
    DroppedBefore,
    /// The upstream answered with this status and the client did not hear it.
    DroppedAfter(u16),
    /// The upstream could not be reached or gave no answer.
    Unreachable(String),
}

/// The number of a planned rule.
pub(super) type RuleId = u64;

#[derive(Debug)]
struct Entry {
    seen: Seen,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Planned {
    id: RuleId,
    rule: Rule,
    /// Requests that fulfilled the conditions.
    matched: u64,
    /// Requests that it was given to.
    claimed: u64,
    /// Requests to which its action was done.
    fired: u64,
}

#[derive(Debug, Default)]
struct Pages {
    entries: Vec<Entry>,
    rules: Vec<Planned>,
    last_request: u64,
    last_rule: RuleId,
}

/// The journal and the rules of one proxy.
#[derive(Debug, Default)]
pub(super) struct Book {
    pages: Mutex<Pages>,
    changed: Condvar,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A predicate of a test may panic under the lock; what is written is whole after each statement.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers a request, writes it down and says which rules it falls under; `eligible` are the actions that can be done to it at all.
    pub(super) fn admit(&self, mut seen: Seen, eligible: impl Fn(&Action) -> bool) -> (Seen, Vec<(RuleId, Action)>) {
        let mut pages = self.pages();
        pages.last_request += 1;
        seen.n = pages.last_request;
        let mut actions = Vec::new();
        for planned in &mut pages.rules {
            let spent = planned.rule.times.is_some_and(|times| planned.claimed >= times);
            if spent || !planned.rule.matching.holds(&seen) || !eligible(&planned.rule.action) {
                continue;
            }
            planned.matched += 1;
            if planned.rule.matching.reached(planned.matched) {
                planned.claimed += 1;
                actions.push((planned.id, planned.rule.action.clone()));
            }
        }
        pages.entries.push(Entry { seen: seen.clone(), outcome: None });
        drop(pages);
        self.changed.notify_all();
        (seen, actions)
    }

    pub(super) fn fired(&self, rule: RuleId) {
        if let Some(planned) = self.pages().rules.iter_mut().find(|planned| planned.id == rule) {
            planned.fired += 1;
        }
        self.changed.notify_all();
    }

    pub(super) fn close(&self, n: u64, outcome: Outcome) {
        if let Some(entry) = self.pages().entries.iter_mut().rev().find(|entry| entry.seen.n == n) {
            entry.outcome = Some(outcome);
        }
        self.changed.notify_all();
    }

    pub(super) fn plan(self: &Arc<Self>, rule: Rule) -> RuleHandle {
        let mut pages = self.pages();
        pages.last_rule += 1;
        let id = pages.last_rule;
        pages.rules.push(Planned { id, rule, matched: 0, claimed: 0, fired: 0 });
        RuleHandle { id, book: Arc::clone(self) }
    }

    pub(super) fn reset(&self) {
        let mut pages = self.pages();
        pages.entries.clear();
        pages.rules.clear();
    }

    pub(super) fn clear_rules(&self) {
        self.pages().rules.clear();
    }

    pub(super) fn journal(&self, filter: &Matcher) -> Vec<(Seen, Option<Outcome>)> {
        let pages = self.pages();
        let kept = pages.entries.iter().filter(|entry| filter.holds(&entry.seen));
        kept.map(|entry| (entry.seen.clone(), entry.outcome.clone())).collect()
    }

    /// Blocks until `found` finds something or the limit is over.
    fn wait<T>(&self, limit: Duration, mut found: impl FnMut(&Pages) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut pages = self.pages();
        loop {
            if let Some(found) = found(&pages) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            pages = self.changed.wait_timeout(pages, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn wait_seen(&self, limit: Duration, filter: &Matcher, count: usize) -> bool {
        let enough = |pages: &Pages| pages.entries.iter().filter(|entry| filter.holds(&entry.seen)).count() >= count;
        self.wait(limit, |pages| enough(pages).then_some(())).is_some()
    }
}

/// A planned rule: how often it fired, and its end.
#[derive(Debug, Clone)]
pub struct RuleHandle {
    id: RuleId,
    book: Arc<Book>,
}

impl RuleHandle {
    /// The number of requests to which the action was done, hook and all; none once the proxy forgot the rule.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.book.pages().rules.iter().find(|planned| planned.id == self.id).map_or(0, |planned| planned.fired)
    }

    /// Waits until the action was done `times` times; whether it was.
    #[must_use]
    pub fn wait(&self, times: u64, limit: Duration) -> bool {
        let done = |pages: &Pages| pages.rules.iter().any(|planned| planned.id == self.id && planned.fired >= times);
        self.book.wait(limit, |pages| done(pages).then_some(())).is_some()
    }

    /// Gives the rule to no further request; it keeps its count.
    pub fn cancel(&self) {
        if let Some(planned) = self.book.pages().rules.iter_mut().find(|planned| planned.id == self.id) {
            planned.rule.times = Some(0);
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "{status}"),
            Self::Refused(status) => write!(f, "{status} by a rule"),
            Self::Stale => f.write_str("a stale answer"),
            Self::DroppedBefore => f.write_str("dropped before its effect"),
            Self::DroppedAfter(status) => write!(f, "dropped after its effect ({status})"),
            Self::Unreachable(problem) => write!(f, "no answer: {problem}"),
        }
    }
}
