//! Launches that failed lately, from the ledger's deployments.

use std::collections::BTreeMap;

use gepetto::snapshot::Setback;
use jiff::{SignedDuration, Timestamp};
use protocol::ids::{ChuteId, ServerName, Ss58};
use store::Deployment;

use crate::chute_deployment::reasons::{Blame, blame};

/// What lived so long had started well: its failure is the first of a row.
const LIVED_WELL: SignedDuration = SignedDuration::from_hours(1);

/// Failures in a row by whom they are blamed on. `recent` is newest first.
#[must_use]
pub fn setbacks(recent: &[Deployment], validator: &Ss58) -> Vec<Setback> {
    let mut rows: BTreeMap<(Option<ChuteId>, Option<ServerName>), Row> = BTreeMap::new();
    for deployment in recent.iter().filter(|deployment| deployment.validator == *validator) {
        let Some(ended) = deployment.ended_at else {
            // One that got a token, or is paid, ends the row of refusals of its chute.
            if deployment.phase != "Pending" && deployment.phase != "Stopping" {
                end_rows(&mut rows, deployment);
            }
            continue;
        };
        if deployment.phase != "Failed" {
            end_rows(&mut rows, deployment);
            continue;
        }
        let reason = deployment.end_reason.as_deref().unwrap_or_default();
        let key = match blame(reason) {
            Blame::Chute => (Some(deployment.chute_id.clone()), None),
            Blame::Ourselves => (None, None),
            Blame::Pair => (Some(deployment.chute_id.clone()), Some(deployment.server.clone())),
        };
        let row = rows.entry(key).or_insert(Row { failures: 0, last: ended, over: false });
        if !row.over {
            row.failures += 1;
            row.last = row.last.max(ended);
            row.over = ended.duration_since(deployment.created_at) >= LIVED_WELL;
        }
    }
    rows.into_iter()
        .filter(|(_, row)| row.failures > 0)
        .map(|((chute, server), row)| Setback { chute, server, failures: row.failures, last: row.last })
        .collect()
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
        let found = setbacks(&recent, &validator());
        assert_eq!(found, [Setback { chute: Some("c".parse().unwrap()), server: None, failures: 2, last: at(31) }]);
    }

    #[test]
    fn blame_falls_on_the_chute_the_pair_or_ourselves() {
        let recent = [
            row("Failed", "Crashed", 30, Some(31)),
            row("Failed", "Unauthorized", 20, Some(21)),
            row("Failed", "CapacityReached", 10, Some(11)),
        ];
        let found = setbacks(&recent, &validator());
        let who: Vec<_> = found.iter().map(|s| (s.chute.is_some(), s.server.is_some())).collect();
        assert_eq!(who, [(false, false), (true, false), (true, true)]);
    }

    #[test]
    fn a_crash_after_a_good_life_is_a_first_failure() {
        let recent = [row("Failed", "Crashed", 4000, Some(9000)), row("Failed", "Crashed", 0, Some(10))];
        assert_eq!(setbacks(&recent, &validator())[0].failures, 1);
    }
}
