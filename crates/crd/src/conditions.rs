//! Conditions: what is true of an object now, why, and since when.

use crate::Condition;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can say at present.
    Unknown,
}

impl State {
    /// The value as Kubernetes writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for State {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Sets one condition in a list keyed by type. `lastTransitionTime` moves only when the state does, so that writing the same
/// finding again changes nothing. Returns whether anything changed.
pub fn set(
    list: &mut Vec<Condition>,
    kind: &str,
    state: State,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let wanted = |since: Time| Condition {
        type_: kind.to_owned(),
        status: state.as_str().to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since,
    };
    match list.iter_mut().find(|c| c.type_ == kind) {
        None => {
            list.push(wanted(Time(now)));
            list.sort_by(|a, b| a.type_.cmp(&b.type_));
            true
        }
        Some(old) => {
            let since = if old.status == state.as_str() { old.last_transition_time.clone() } else { Time(now) };
            let new = wanted(since);
            let changed = *old != new;
            *old = new;
            changed
        }
    }
}

/// The condition of that type, if it is there.
#[must_use]
pub fn get<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    list.iter().find(|c| c.type_ == kind)
}

/// Whether the condition is there and `True`.
#[must_use]
pub fn is_true(list: &[Condition], kind: &str) -> bool {
    get(list, kind).is_some_and(|c| c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_same_finding_written_again_changes_nothing() {
        let mut list = Vec::new();
        assert!(set(&mut list, "Ready", State::True, "AllGood", "", Some(1), at(10)));
        let before = list.clone();
        assert!(!set(&mut list, "Ready", State::True, "AllGood", "", Some(1), at(99)));
        assert_eq!(list, before);
    }

    #[test]
    fn the_time_moves_only_with_the_state() {
        let mut list = Vec::new();
        set(&mut list, "Ready", State::True, "AllGood", "", None, at(10));
        assert!(set(&mut list, "Ready", State::True, "StillGood", "", None, at(20)));
        assert_eq!(list[0].last_transition_time.0, at(10));
        assert!(set(&mut list, "Ready", State::Unknown, "Silent", "", None, at(30)));
        assert_eq!(list[0].last_transition_time.0, at(30));
    }
}
