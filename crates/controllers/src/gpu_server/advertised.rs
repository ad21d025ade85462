//! What follows from the step `post` of the advert and the validator's list. Pure.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use store::{SagaStep, StepState};

/// Marks, in the step's record, an advert that the validator refused because it knows one of the GPUs already.
const CONFLICT: &str = "conflict";

/// The record of a step whose GPUs the validator knew already: from an advert of ours whose answer was lost, or not from us.
pub(super) fn conflicting(step: &SagaStep) -> Value {
    let mut detail = step.detail.clone();
    detail[CONFLICT] = json!(true);
    detail
}

/// Whether it is not known who advertised the GPUs.
pub(super) fn is_conflict(step: &SagaStep) -> bool {
    step.detail.get(CONFLICT) == Some(&Value::Bool(true))
}

/// Whether the GPUs are at the validator by this step, so that it may be taken back.
fn is_ours(step: &SagaStep) -> bool {
    matches!(step.state, StepState::Started | StepState::Done) && !is_conflict(step)
}

/// What to do about GPUs that the validator lists and has not proven.
#[derive(Debug, PartialEq)]
pub(super) enum Unproven<'a> {
    /// Ask after this task.
    Ask(&'a SagaStep, &'a str),
    /// They took too long: take the advert back.
    TakeBack(&'a SagaStep),
    /// Wait: the list will tell.
    Wait,
}

/// Decides on GPUs that are listed and not proven. What this saga did not advertise, or took back already, it leaves alone.
pub(super) fn unproven(step: Option<&SagaStep>, now: Timestamp, limit: Duration) -> Unproven<'_> {
    let Some(step) = step.filter(|step| is_ours(step)) else { return Unproven::Wait };
    match step.detail.get("task").and_then(Value::as_str) {
        Some(task) => Unproven::Ask(step, task),
        None if over(step.at, now, limit) => Unproven::TakeBack(step),
        None => Unproven::Wait,
    }
}

/// What to do about GPUs that the validator does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// Advertise them.
    Post,
    /// The advert was taken: its list will show it.
    WaitForList,
    /// Wait.
    Wait,
    /// The advert came to nothing: begin anew.
    Close,
}

/// Decides on GPUs that are not listed. `absent` says whether two complete lists from after the step lack them all.
pub(super) fn unlisted(step: &SagaStep, absent: bool, heard: Option<Timestamp>, now: Timestamp, pause: Duration) -> Unlisted {
    match step.state {
        StepState::Done if is_conflict(step) => {
            if absent && over(step.at, now, pause) {
                Unlisted::Close
            } else {
                Unlisted::Wait
            }
        }
        StepState::Done => {
            if absent {
                Unlisted::Close
            } else {
                Unlisted::WaitForList
            }
        }
        // It may have been sent; a list from after it tells.
        StepState::Started if heard.is_none_or(|heard| heard <= step.at) => Unlisted::Wait,
        StepState::Started => Unlisted::Post,
        StepState::Undone => {
            if over(step.at, now, pause) {
                Unlisted::Post
            } else {
                Unlisted::Wait
            }
        }
    }
}

/// Whether more time than that has passed.
pub(super) fn over(since: Timestamp, now: Timestamp, limit: Duration) -> bool {
    now.duration_since(since) > SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(900);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn step(state: StepState, detail: Value) -> SagaStep {
        SagaStep { saga: "advertise".into(), subject: "gpu-0".into(), step: "post".into(), state, at: at(0), detail }
    }

    #[test]
    fn only_what_this_saga_advertised_is_asked_about_or_taken_back() {
        use StepState::{Done, Started, Undone};
        let (plain, tasked) = (json!({"gpus": []}), json!({"gpus": [], "task": "t"}));
        let told = |step: Option<&SagaStep>, second| match unproven(step, at(second), LIMIT) {
            Unproven::Ask(..) => "ask",
            Unproven::TakeBack(_) => "take back",
            Unproven::Wait => "wait",
        };
        for (state, detail, early, late) in [
            (Started, &plain, "wait", "take back"),
            (Done, &plain, "wait", "take back"),
            (Done, &tasked, "ask", "ask"),
            (Undone, &plain, "wait", "wait"),
            (Undone, &tasked, "wait", "wait"),
        ] {
            let step = step(state, detail.clone());
            assert_eq!((told(Some(&step), 10), told(Some(&step), 100_000)), (early, late), "{state:?} {detail}");
        }
        assert_eq!(told(None, 100_000), "wait");
    }

    #[test]
    fn an_advert_whose_answer_was_lost_and_whose_repetition_is_refused_is_never_taken_back() {
        let posted = step(StepState::Started, json!({"gpus": ["a"]}));
        let refused = step(StepState::Done, conflicting(&posted));
        assert_eq!(unproven(Some(&refused), at(100_000), LIMIT), Unproven::Wait);
        assert_eq!(refused.detail["gpus"], json!(["a"]));
        // Nor is it repeated before the lists say that the GPUs are somebody else's, and then at leisure.
        let after = |absent, second| unlisted(&refused, absent, Some(at(second)), at(second), LIMIT);
        assert_eq!((after(false, 100_000), after(true, 10), after(true, 100_000)), (Unlisted::Wait, Unlisted::Wait, Unlisted::Close));
    }

    #[test]
    fn what_is_not_listed_is_advertised_once_the_list_has_spoken() {
        let after = |state, absent, heard, now| unlisted(&step(state, json!({})), absent, Some(at(heard)), at(now), LIMIT);
        assert_eq!(after(StepState::Started, false, 0, 10), Unlisted::Wait);
        assert_eq!(after(StepState::Started, false, 1, 10), Unlisted::Post);
        assert_eq!(after(StepState::Done, false, 10, 10), Unlisted::WaitForList);
        assert_eq!(after(StepState::Done, true, 10, 10), Unlisted::Close);
        assert_eq!(after(StepState::Undone, false, 10, 10), Unlisted::Wait);
        assert_eq!(after(StepState::Undone, false, 1000, 1000), Unlisted::Post);
    }
}
