//! What a Validator's status says of the link. Pure: findings in, conditions out, unchanged while the finding is the same.

use crd::{
    Condition, conditions,
    conditions::State,
    validator::condition::{CONNECTED, INVENTORY_IN_SYNC},
};
use jiff::{SignedDuration, Timestamp};
use validator::{FeedStatus, Link};

/// A list older than this is no longer in sync: two in a row have failed then.
pub(super) const STALE: SignedDuration = SignedDuration::from_secs(150);

/// How the list stands.
#[derive(Clone, Debug, Default)]
pub(super) struct ListState {
    /// When the last complete list was asked for.
    pub complete_at: Option<Timestamp>,
    /// Why the last try was not complete: a reason word and the words for people.
    pub failure: Option<(&'static str, String)>,
}

/// The conditions as they should be now.
pub(super) fn wanted(before: &[Condition], feed: &FeedStatus, list: &ListState, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let mut after = before.to_vec();
    let (state, reason, message) = match feed.link {
        Link::Authenticated => (State::True, "Authenticated", String::new()),
        Link::Connected => (State::False, "NotAuthenticated", said(feed, "connected, but not logged in yet")),
        Link::Down => (State::False, "Down", said(feed, "not connected")),
    };
    set(&mut after, CONNECTED, state, reason, message, generation, now);
    let fresh = list.complete_at.is_some_and(|at| now.duration_since(at) <= STALE);
    let (state, reason, message) = match (&list.failure, fresh, list.complete_at) {
        (_, true, _) => (State::True, "Complete", String::new()),
        (Some((reason, message)), false, _) => (State::False, *reason, message.clone()),
        (None, false, Some(_)) => (State::False, "Stale", "no complete chute list was read lately".to_owned()),
        (None, false, None) => (State::Unknown, "Starting", "no chute list was read yet".to_owned()),
    };
    set(&mut after, INVENTORY_IN_SYNC, state, reason, message, generation, now);
    after
}

fn said(feed: &FeedStatus, otherwise: &str) -> String {
    feed.last_error.clone().unwrap_or_else(|| otherwise.to_owned())
}

/// Keeps the words of a finding that stays the same: they may hold a port number or a count that changes with every try.
fn set(list: &mut Vec<Condition>, kind: &str, state: State, reason: &str, message: String, generation: Option<i64>, now: Timestamp) {
    let kept =
        conditions::get(list, kind).filter(|old| old.status == state.as_str() && old.reason == reason).map(|old| old.message.clone());
    let message: String = kept.unwrap_or(message).chars().take(1000).collect();
    conditions::set(list, kind, state, reason, &message, generation, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn failed(words: &str) -> ListState {
        ListState { complete_at: Some(at(0)), failure: Some(("transport", words.to_owned())) }
    }

    #[test]
    fn one_failed_list_changes_nothing_and_a_lasting_failure_is_written_once() {
        let feed = FeedStatus { link: Link::Authenticated, ..FeedStatus::default() };
        let good = wanted(&[], &feed, &ListState { complete_at: Some(at(0)), failure: None }, Some(1), at(1));
        assert!(conditions::is_true(&good, CONNECTED) && conditions::is_true(&good, INVENTORY_IN_SYNC));
        assert_eq!(wanted(&good, &feed, &failed("port 1"), Some(1), at(60)), good);
        let bad = wanted(&good, &feed, &failed("port 2"), Some(1), at(200));
        assert_eq!(conditions::get(&bad, INVENTORY_IN_SYNC).unwrap().reason, "transport");
        assert_eq!(wanted(&bad, &feed, &failed("port 3"), Some(1), at(300)), bad);
    }

    #[test]
    fn before_the_first_list_nobody_knows() {
        let list = wanted(&[], &FeedStatus::default(), &ListState::default(), None, at(1));
        assert_eq!(conditions::get(&list, INVENTORY_IN_SYNC).unwrap().status, "Unknown");
        assert_eq!(conditions::get(&list, CONNECTED).unwrap().status, "False");
    }
}
