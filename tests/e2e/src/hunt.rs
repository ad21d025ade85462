//! A hunt for every distinct external write: our programs are killed at the first one of each kind, before and after it happens,
//! alone and all at once, while lives of chutes go on.
//!
//! Owns which kinds of writes there are, which were struck, and that kills come one after the other. Knows nothing of what ought to
//! follow.

use crate::fleet::Fleet;
use crate::kill::{Blow, Lines, PROGRAMS};
use crate::sagas::what;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use testkit::faults::{Action, Matcher, Rule, Seen, Then, When};

/// Whose writes pass through which proxy. The miner API only reads at the validator.
const WRITERS: [(&str, &str); 7] = [
    ("operator", "operator"),
    ("validator", "operator"),
    ("operator's Postgres", "operator"),
    ("miner-api", "miner-api"),
    ("miner-api's Postgres", "miner-api"),
    ("agent", "agent"),
    ("node", "agent"),
];

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victims {
    /// Whose write it is.
    Writer,
    /// All programs, that one included.
    All,
}

/// One distinct kind of external write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The program.
    pub writer: &'static str,
    /// Method, resource and, where it is one, subresource; the tables of a commit.
    pub what: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.writer, self.what)
    }
}

/// A kill that is to be dealt once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// At which write.
    pub kind: Kind,
    /// Whether the write has happened.
    pub happened: bool,
    /// Who dies.
    pub victims: Victims,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.happened { "after" } else { "before" };
        let who = if self.victims == Victims::All { "all" } else { self.kind.writer };
        write!(f, "{who} killed {when} {}", self.kind)
    }
}

#[derive(Default)]
struct Board {
    /// Writes by kind, so far.
    seen: BTreeMap<Kind, u64>,
    struck: BTreeSet<Target>,
    /// Kills that may still be dealt until more are allowed.
    allowed: usize,
    /// Whether what was killed last does not run again yet.
    down: bool,
    /// What was struck since it was asked last.
    fresh: Vec<Target>,
}

/// A hunt on one fleet. Clones are handles to the same.
#[derive(Clone)]
pub struct Hunt {
    board: Arc<Mutex<Board>>,
    /// The programs whose writes are hunted.
    writers: &'static [&'static str],
    /// What is struck at, among the writes.
    wanted: fn(&Kind) -> bool,
}

impl Hunt {
    /// Hunts writes of these programs, as far as `wanted`.
    #[must_use]
    pub fn new(writers: &'static [&'static str], wanted: fn(&Kind) -> bool) -> Self {
        Self { board: Arc::default(), writers, wanted }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches every write from now on.
    pub fn begin(&self, fleet: &Fleet, lines: &Lines) {
        for (proxy, writer) in WRITERS {
            for when in [When::Before, When::After] {
                let (hunt, blow) = (self.clone(), fleet.blow());
                let hook = move |seen: &Seen| hunt.meets(&Kind { writer, what: what(seen) }, when, &blow);
                lines.plan(proxy, Rule::always(Matcher::writes(), Action::call(when, hook)));
            }
        }
    }

    /// A write comes by.
    fn meets(&self, kind: &Kind, when: When, blow: &Blow) -> Then {
        let mut board = self.board();
        if when == When::Before {
            *board.seen.entry(kind.clone()).or_default() += 1;
        }
        // What a program had sent when it died is nobody's write any more.
        if board.allowed == 0 || board.down || !blow.runs(kind.writer) || !self.writers.contains(&kind.writer) || !(self.wanted)(kind) {
            return Then::Go;
        }
        let target = |victims| Target { kind: kind.clone(), happened: when == When::After, victims };
        let Some(target) = [Victims::Writer, Victims::All].map(target).into_iter().find(|target| !board.struck.contains(target)) else {
            return Then::Go;
        };
        match target.victims {
            Victims::Writer => blow.strike(&[kind.writer]),
            Victims::All => blow.strike(&PROGRAMS),
        }
        board.allowed -= 1;
        board.down = true;
        board.struck.insert(target.clone());
        board.fresh.push(target);
        Then::Drop
    }

    /// Allows so many kills, one after the other, in place of what was still allowed.
    pub fn allow(&self, kills: usize) {
        self.board().allowed = kills;
    }

    /// What was killed runs again.
    pub fn revived(&self) {
        self.board().down = false;
    }

    /// What was struck since the last call.
    #[must_use]
    pub fn fresh(&self) -> Vec<Target> {
        std::mem::take(&mut self.board().fresh)
    }

    /// How many were struck.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.board().struck.len()
    }

    /// Every kind of write that came by and is hunted, and how often.
    #[must_use]
    pub fn kinds(&self) -> Vec<(Kind, u64)> {
        let board = self.board();
        let hunted = board.seen.iter().filter(|(kind, _)| self.writers.contains(&kind.writer) && (self.wanted)(kind));
        hunted.map(|(kind, count)| (kind.clone(), *count)).collect()
    }

    /// Kills at the kinds that came by which were not dealt yet.
    #[must_use]
    pub fn left(&self) -> Vec<Target> {
        let mut left = Vec::new();
        for (kind, _) in self.kinds() {
            for (happened, victims) in [(false, Victims::Writer), (false, Victims::All), (true, Victims::Writer), (true, Victims::All)] {
                left.push(Target { kind: kind.clone(), happened, victims });
            }
        }
        let board = self.board();
        left.retain(|target| !board.struck.contains(target));
        left
    }
}
