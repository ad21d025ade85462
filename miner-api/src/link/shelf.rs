//! Which chutes to write, to ask about and to remove after a list was read. Pure but for its memory of past lists.
//!
//! A chute is withdrawn only when two consecutive complete lists, some time apart, lacked it and the validator then answered a
//! direct question with 404. A withdrawn chute is deleted when nothing of it runs any more and it has been withdrawn for a
//! minute (or as long as was chosen). Incomplete lists add and change, but never count as absence.
//!
//! A list without any row is no ordinary one: validators have no word for it, and one that lost its tables writes the same, and
//! answers 404 to every question. It counts as a list that lacks a chute; but where only such lists lack more than one chute, it
//! takes ten minutes of them until the question is asked. So the last chute goes as any other does, and a fleet does not go with
//! its validator's tables.

use crd::{
    Chute, ChuteSpec,
    chute::{Listing, resource_name},
};
use jiff::{SignedDuration, Timestamp};
use protocol::ids::{ChuteId, ChuteVersion};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Complete lists that must lack a chute.
const LISTS: u8 = 2;
/// Two lists closer together than this are one look at the same cache of the validator.
const APART: SignedDuration = SignedDuration::from_secs(15);
/// So long only empty lists must come before more than one chute is asked about that no other list lacked.
const LANDSLIDE: SignedDuration = SignedDuration::from_mins(10);

/// A list as it was read.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// What could be understood and rendered.
    pub specs: &'a [ChuteSpec],
    /// Ids that are listed although nothing could be made of their row.
    pub listed_anyway: &'a BTreeSet<String>,
    /// Whether the whole list was read.
    pub complete: bool,
    /// Whether it came to its end without any row, with a word for that or without.
    pub empty: bool,
}

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Write these.
    pub write: Vec<ChuteSpec>,
    /// Ask the validator about these, one by one, and hand its answer to [`Shelf::answered`].
    pub ask: Vec<(ChuteId, ChuteVersion)>,
    /// Delete these.
    pub delete: Vec<Arc<Chute>>,
    /// Whether a chute was lacked for the first time: worth another list soon, as soon as it counts.
    pub look_again: bool,
}

/// The validator's answer to a direct question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// 404 in its own words.
    Gone,
    /// It is still offered, so.
    Offered(Box<ChuteSpec>),
    /// Anything else proves nothing.
    Silent,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    lists: u8,
    first: Timestamp,
    last: Timestamp,
    /// Whether a list lacked it that had others.
    among_others: bool,
}

/// What past lists lacked. Empty after a restart, which only makes everything wait for two more lists.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// How long a chute stays withdrawn at least before its resource goes.
    withdrawn_for: SignedDuration,
    missing: BTreeMap<ChuteId, Missing>,
    withdrawn_since: BTreeMap<ChuteId, Timestamp>,
}

impl Shelf {
    /// Nothing is known yet; withdrawn chutes are kept for so long.
    pub fn new(withdrawn_for: SignedDuration) -> Self {
        Self { withdrawn_for, missing: BTreeMap::new(), withdrawn_since: BTreeMap::new() }
    }

    /// Plans after a list. `known` are this validator's Chutes; `in_use` the chutes that have any ChuteDeployment, `None` while
    /// nobody can say.
    pub fn plan(&mut self, seen: &Seen<'_>, known: &[Arc<Chute>], in_use: Option<&BTreeSet<ChuteId>>, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let listed: BTreeMap<&ChuteId, &ChuteSpec> = seen.specs.iter().map(|spec| (&spec.chute_id, spec)).collect();
        for (id, spec) in &listed {
            self.missing.remove(*id);
            let held = known.iter().find(|chute| chute.spec.chute_id == **id);
            if held.is_none_or(|chute| chute.spec != **spec) {
                plan.write.push((*spec).clone());
            }
        }
        for chute in known {
            let id = &chute.spec.chute_id;
            if listed.contains_key(id) || seen.listed_anyway.contains(id.as_str()) {
                self.missing.remove(id);
                self.withdrawn_since.remove(id);
                continue;
            }
            if chute.spec.listing == Listing::Withdrawn {
                self.missing.remove(id);
                let since = *self.withdrawn_since.entry(id.clone()).or_insert(now);
                let unused = in_use.is_some_and(|in_use| !in_use.contains(id));
                // A hand-made namesake under another name is not ours to delete.
                let ours = chute.metadata.name.as_deref() == Some(resource_name(id).as_str());
                if seen.complete && unused && ours && now.duration_since(since) > self.withdrawn_for {
                    plan.delete.push(Arc::clone(chute));
                }
                continue;
            }
            if seen.complete || seen.empty {
                self.lacked(id, now, !seen.empty);
            }
        }
        let exists = |id: &ChuteId| known.iter().any(|chute| chute.spec.chute_id == *id);
        self.missing.retain(|id, _| exists(id));
        self.withdrawn_since.retain(|id, _| exists(id));
        if seen.complete || seen.empty {
            let unknown = |chute: &&Arc<Chute>| self.questionable(&chute.spec.chute_id, now);
            plan.ask = known.iter().filter(unknown).map(|chute| (chute.spec.chute_id.clone(), chute.spec.version.clone())).collect();
            plan.look_again = self.missing.values().any(|missing| missing.lists < LISTS);
        }
        plan
    }

    /// One more list lacked it, which had others or not.
    fn lacked(&mut self, id: &ChuteId, now: Timestamp, among_others: bool) {
        let new = Missing { lists: 0, first: now, last: now, among_others };
        let missing = self.missing.entry(id.clone()).or_insert(new);
        missing.among_others |= among_others;
        if missing.lists == 0 || now.duration_since(missing.last) >= APART {
            missing.lists = missing.lists.saturating_add(1);
            missing.last = now;
        }
    }

    /// Whether enough lists lacked it to ask.
    fn questionable(&self, id: &ChuteId, now: Timestamp) -> bool {
        let Some(missing) = self.missing.get(id).filter(|missing| missing.lists >= LISTS) else { return false };
        let at_once = self.missing.values().filter(|missing| !missing.among_others).count();
        missing.among_others || at_once == 1 || now.duration_since(missing.first) >= LANDSLIDE
    }

    /// What the answer to a question makes of the chute: the spec to write, if any.
    pub fn answered(&mut self, chute: &Chute, answer: Answer) -> Option<ChuteSpec> {
        let id = &chute.spec.chute_id;
        match answer {
            // Two lists must have lacked it also when the answer is looked at: a list in between may have had it again.
            Answer::Gone if self.missing.get(id).is_some_and(|missing| missing.lists >= LISTS) => {
                self.missing.remove(id);
                Some(ChuteSpec { listing: Listing::Withdrawn, ..chute.spec.clone() })
            }
            Answer::Offered(spec) => {
                self.missing.remove(id);
                (chute.spec != *spec).then_some(*spec)
            }
            Answer::Gone | Answer::Silent => None,
        }
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
