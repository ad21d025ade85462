//! Launches that failed lately, from the ledger's deployments.

use std::collections::BTreeMap;

use crd::chute_deployment::Phase;
use gepetto::snapshot::Setback;
use jiff::{SignedDuration, Timestamp};
use protocol::ids::{ChuteId, DeploymentId, ServerName, Ss58};
use store::{Deployment, Refusals};

use crate::chute_deployment::reasons::{self, Blame, blame, ends_as};

/// What lived so long had started well: its failure is the first of a row.
const LIVED_WELL: SignedDuration = SignedDuration::from_hours(1);

/// Failures in a row by whom they are blamed on. `recent` is newest first. A failure counts from its moment, though it takes a
/// while until what failed has ended: until then the planner would ask again, and again be refused.
#[must_use]
pub fn setbacks(recent: &[Deployment], refusals: &[Refusals], validator: &Ss58) -> Vec<Setback> {
    let refused: BTreeMap<&DeploymentId, &Refusals> = refusals.iter().map(|one| (&one.deployment, one)).collect();
    let mut rows: BTreeMap<(Option<ChuteId>, Option<ServerName>), Row> = BTreeMap::new();
    for deployment in recent.iter().filter(|deployment| deployment.validator == *validator) {
        let (reason, times, at) = match (refused.get(&deployment.id), fate(deployment)) {
            (Some(refusals), Fate::Failed(reason, _)) if is_refusal(reason) => (reason, refusals.times, refusals.last),
            (_, Fate::Failed(reason, at)) => (reason, 1, at),
            (None, Fate::WentWell) => {
                end_rows(&mut rows, deployment);
                continue;
            }
            // Stopped for another reason before anything came of it: nothing went well.
            (Some(_), Fate::WentWell) | (_, Fate::Open) => continue,
        };
        let key = match blame(reason) {
            Blame::Chute => (Some(deployment.chute_id.clone()), None),
            Blame::Ourselves => (None, None),
            Blame::Pair => (Some(deployment.chute_id.clone()), Some(deployment.server.clone())),
        };
        let row = rows.entry(key).or_insert(Row { failures: 0, last: at, over: false });
        if !row.over {
            row.failures = row.failures.saturating_add(times);
            row.last = row.last.max(at);
            row.over = at.duration_since(deployment.created_at) >= LIVED_WELL;
        }
    }
    rows.into_iter()
        .filter(|(_, row)| row.failures > 0)
        .map(|((chute, server), row)| Setback { chute, server, failures: row.failures, last: row.last })
        .collect()
}

/// When the validator last answered, asked for a copy of each chute, that there is no such chute.
#[must_use]
pub(super) fn denied<'a>(recent: &'a [Deployment], refusals: &[Refusals]) -> BTreeMap<&'a ChuteId, Timestamp> {
    let refused: BTreeMap<&DeploymentId, Timestamp> = refusals.iter().map(|one| (&one.deployment, one.last)).collect();
    let mut denied: BTreeMap<&ChuteId, Timestamp> = BTreeMap::new();
    // Of a job, the answer may be about the job.
    for deployment in recent.iter().filter(|deployment| deployment.job_id.is_none() && last_reason(deployment) == reasons::CHUTE_GONE) {
        if let Some(at) = refused.get(&deployment.id) {
            let last = denied.entry(&deployment.chute_id).or_insert(*at);
            *last = (*last).max(*at);
        }
    }
    denied
}

/// What came of a deployment so far.
enum Fate<'a> {
    /// Nothing yet, or nobody's failure.
    Open,
    /// It got a token, or was ended while nothing was wrong: that ends the rows of its chute.
    WentWell,
    /// It failed for this reason at that moment, though it may not have ended yet.
    Failed(&'a str, Timestamp),
}

fn fate(deployment: &Deployment) -> Fate<'_> {
    let reason = last_reason(deployment);
    match (deployment.ended_at, deployment.phase.as_str()) {
        (Some(ended), "Failed") => Fate::Failed(reason, ended),
        (Some(_), _) => Fate::WentWell,
        (None, "Stopping") if ends_as(reason) == Phase::Failed => Fate::Failed(reason, deployment.phase_at),
        (None, "Pending" | "Stopping") => Fate::Open,
        (None, _) => Fate::WentWell,
    }
}

/// Why it ended or, before that, moved last.
fn last_reason(deployment: &Deployment) -> &str {
    deployment.end_reason.as_deref().unwrap_or(&deployment.phase_reason)
}

/// Whether it is an answer of the validator's; that none came is told by the attempts, too, and is one failure however often.
fn is_refusal(reason: &str) -> bool {
    blame(reason) != Blame::Pair && reason != reasons::NO_TOKEN_IN_TIME
}

struct Row {
    failures: u32,
    last: Timestamp,
    over: bool,
}

fn end_rows(rows: &mut BTreeMap<(Option<ChuteId>, Option<ServerName>), Row>, deployment: &Deployment) {
    let chute = Some(deployment.chute_id.clone());
    for key in [(None, None), (chute.clone(), None), (chute, Some(deployment.server.clone()))] {
        rows.entry(key).or_insert(Row { failures: 0, last: deployment.created_at, over: true }).over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn validator() -> Ss58 {
        "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj".parse().unwrap()
    }

    fn row(phase: &str, reason: &str, created: i64, ended: Option<i64>) -> Deployment {
        Deployment {
            id: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
            chute_id: "c".parse().unwrap(),
            version: "v".parse().unwrap(),
            server: "s".parse().unwrap(),
            validator: validator(),
            gpus: vec![],
            node_namespace: String::new(),
            job_id: None,
            decision: uuid::Uuid::nil(),
            created_at: at(created),
            ended_at: ended.map(at),
            end_reason: ended.map(|_| reason.to_owned()),
            phase: phase.to_owned(),
            phase_reason: reason.to_owned(),
            phase_at: at(created),
        }
    }

    #[test]
    fn refusals_in_a_row_are_counted_until_something_went_well() {
        let recent = [
            row("Failed", "CapacityReached", 30, Some(31)),
            row("Failed", "CapacityReached", 20, Some(21)),
            row("Stopped", "InstanceDeleted", 10, Some(15)),
            row("Failed", "CapacityReached", 0, Some(1)),
        ];
        let found = setbacks(&recent, &[], &validator());
        assert_eq!(found, [Setback { chute: Some("c".parse().unwrap()), server: None, failures: 2, last: at(31) }]);
    }

    #[test]
    fn blame_falls_on_the_chute_the_pair_or_ourselves() {
        let recent = [
            row("Failed", "Crashed", 30, Some(31)),
            row("Failed", "Unauthorized", 20, Some(21)),
            row("Failed", "CapacityReached", 10, Some(11)),
        ];
        let found = setbacks(&recent, &[], &validator());
        let who: Vec<_> = found.iter().map(|s| (s.chute.is_some(), s.server.is_some())).collect();
        assert_eq!(who, [(false, false), (true, false), (true, true)]);
    }

    #[test]
    fn a_crash_after_a_good_life_is_a_first_failure() {
        let recent = [row("Failed", "Crashed", 4000, Some(9000)), row("Failed", "Crashed", 0, Some(10))];
        assert_eq!(setbacks(&recent, &[], &validator())[0].failures, 1);
    }

    fn numbered(number: u32, deployment: Deployment) -> Deployment {
        Deployment { id: format!("00000000-0000-4000-8000-{number:012x}").parse().unwrap(), ..deployment }
    }

    fn refused(number: u32, times: u32, last: i64) -> Refusals {
        Refusals { deployment: numbered(number, row("Pending", "Planned", 0, None)).id, times, last: at(last) }
    }

    #[test]
    fn each_refusal_counts_though_nothing_has_ended_yet() {
        let recent = [numbered(2, row("Stopping", "CapacityReached", 2, None)), numbered(1, row("Failed", "CapacityReached", 0, Some(3)))];
        let found = setbacks(&recent, &[refused(1, 1, 1), refused(2, 2, 4)], &validator());
        assert_eq!(found, [Setback { chute: Some("c".parse().unwrap()), server: None, failures: 3, last: at(4) }]);
    }

    #[test]
    fn a_refused_launch_that_a_person_stopped_went_well_in_nothing() {
        let recent = [numbered(2, row("Stopped", "StopRequested", 2, Some(3))), numbered(1, row("Failed", "CapacityReached", 0, Some(1)))];
        let found = setbacks(&recent, &[refused(1, 1, 1), refused(2, 1, 2)], &validator());
        assert_eq!((found.len(), found[0].failures, found[0].server.as_ref()), (1, 1, None));
        assert_eq!(setbacks(&recent, &[refused(1, 1, 1)], &validator()), [], "its twin got a token, and all was well");
    }

    #[test]
    fn a_validator_that_was_not_reached_is_one_failure_however_often_it_was_asked() {
        let found = setbacks(&[numbered(1, row("Failed", "NoTokenInTime", 0, Some(9)))], &[refused(1, 4, 8)], &validator());
        assert_eq!(found, [Setback { chute: None, server: None, failures: 1, last: at(9) }]);
        let asking = [numbered(1, row("Pending", "Planned", 0, None))];
        assert_eq!(setbacks(&asking, &[refused(1, 3, 8)], &validator()), [], "and none while it is still being asked");
    }

    #[test]
    fn a_failure_counts_while_its_pod_still_ends() {
        let found = setbacks(&[row("Stopping", "Crashed", 0, None)], &[], &validator());
        assert_eq!((found[0].failures, found[0].last), (1, at(0)));
        assert_eq!(setbacks(&[row("Stopping", "StopRequested", 0, None)], &[], &validator()), []);
    }

    #[test]
    fn only_the_validators_own_answer_denies_a_chute() {
        let recent = [
            numbered(4, row("Failed", "CapacityReached", 9, Some(9))),
            numbered(3, row("Stopping", "ChuteGone", 3, None)),
            numbered(2, row("Failed", "ChuteGone", 1, Some(2))),
            numbered(
                1,
                Deployment {
                    chute_id: "j".parse().unwrap(),
                    job_id: Some("job".parse().unwrap()),
                    ..row("Failed", "ChuteGone", 0, Some(1))
                },
            ),
        ];
        let refusals = [refused(1, 1, 1), refused(2, 1, 2), refused(3, 1, 3), refused(4, 1, 9)];
        let found = denied(&recent, &refusals);
        assert_eq!(found.into_iter().map(|(chute, at)| (chute.as_str(), at)).collect::<Vec<_>>(), [("c", at(3))]);
        assert!(denied(&recent, &[]).is_empty());
    }
}
