//! Whether the operator lives and plans, by its Leases.

use super::problems::{Problem, Severity, problem};
use crate::{
    ports::fleet::{Beat, FleetError, OperatorSigns, PlannerBeat},
    rows::wire,
};
use jiff::Timestamp;
use serde::Serialize;

/// Beyond its duration a Lease is given so many seconds: the two programs' clocks may differ by what signed requests allow.
const SLACK_S: i64 = 30;
/// So long a new leader may take to its first plan.
const FIRST_PLAN_S: i64 = 90;

/// The operator in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Operator {
    /// Whether one leads, by its Lease.
    pub alive: bool,
    /// Who.
    pub leader: Option<String>,
    /// When it last showed that it lives.
    pub seen: Option<String>,
    /// Whether plans are made: `True`, `False`, `Unknown`.
    pub planning: String,
    /// Reason code of that.
    pub reason: Option<String>,
    /// When a round of planning ended last.
    pub planned: Option<String>,
    /// Why its Leases could not be read.
    pub error: Option<String>,
}

/// What a report says of it, and what is wrong.
pub(super) fn of(signs: &Result<OperatorSigns, FleetError>, now: Timestamp) -> (Operator, Option<Problem>) {
    let signs = match signs {
        Ok(signs) => signs,
        Err(error) => {
            let unknown = Operator { planning: "Unknown".to_owned(), error: Some(error.to_string()), ..Operator::default() };
            return (unknown, Some(critical(format!("nobody can tell whether it lives: {error}"), "kubectl -n chutes get leases")));
        }
    };
    let dead = signs.leader.as_ref().map_or_else(|| Some("never ran here".to_owned()), |beat| dead(beat, now));
    // What a leader before said does not count for the one of now.
    let holder = signs.leader.as_ref().and_then(|beat| beat.holder.as_ref());
    let planner = signs.planner.as_ref().filter(|said| holder.is_some() && said.beat.holder.as_ref() == holder);
    let operator = Operator {
        alive: dead.is_none(),
        leader: holder.cloned(),
        seen: signs.leader.as_ref().and_then(|beat| beat.renewed).map(wire),
        planning: match planner {
            Some(said) if dead.is_none() && silent(&said.beat, now).is_none() => if said.planning { "True" } else { "False" }.to_owned(),
            _ => "Unknown".to_owned(),
        },
        reason: planner.map(|said| said.reason.clone()).filter(|reason| !reason.is_empty()),
        planned: planner.and_then(|said| said.beat.renewed).map(wire),
        error: None,
    };
    if let Some(why) = dead {
        let what = format!(
            "{why}: nothing is placed, stopped, proven or accounted for; chutes that run go on, and all that stands below is as it left it"
        );
        return (operator, Some(critical(what, "kubectl -n chutes get pods")));
    }
    let stuck = signs
        .leader
        .as_ref()
        .and_then(|leader| stuck(leader, planner, now))
        .map(|what| critical(what, "kubectl -n chutes describe lease gepetto-planner"));
    (operator, stuck)
}

fn critical(what: String, command: &str) -> Problem {
    problem(Severity::Critical, "operator", what, command)
}

/// Why nobody leads, if so.
fn dead(beat: &Beat, now: Timestamp) -> Option<String> {
    let silent = silent(beat, now)?;
    Some(match &beat.holder {
        Some(holder) => format!("{holder} has shown no sign of life {silent}"),
        // Given back in order: another replica takes over within seconds, if there is one.
        None => format!("the last one ended, and none has led {silent}"),
    })
}

/// How long a Lease was not renewed, in words, if that is longer than it is to be believed.
fn silent(beat: &Beat, now: Timestamp) -> Option<String> {
    let Some(renewed) = beat.renewed else { return Some("at all".to_owned()) };
    let age = now.as_second() - renewed.as_second();
    let believed = i64::try_from(beat.believed_s).unwrap_or(i64::MAX).saturating_add(SLACK_S);
    (age > believed).then(|| format!("for {age} s"))
}

/// Why a living leader does not plan, if so. A policy that is paused is somebody's will and told elsewhere.
fn stuck(leader: &Beat, planner: Option<&PlannerBeat>, now: Timestamp) -> Option<String> {
    let led_s = leader.since.map_or(i64::MAX, |since| now.as_second() - since.as_second());
    let Some(said) = planner else {
        return (led_s > FIRST_PLAN_S).then(|| "lives, and has not planned yet: nothing is placed".to_owned());
    };
    if let Some(silent) = silent(&said.beat, now) {
        return Some(format!("lives, and has ended no round of planning {silent}: nothing is placed"));
    }
    if said.planning || said.reason == "Paused" {
        return None;
    }
    Some(format!("lives, and cannot plan ({}) {}", said.reason, said.message).trim_end().to_owned())
}
