//! Launches that fail in a row, from the ledger's deployments. Pure.

use crate::ports::ledger::{Failing, FailingPair};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use store::Deployment;

/// What lived so long had started well; the same measure as the planner's, which waits longer after each failure in a row.
const LIVED_WELL: SignedDuration = SignedDuration::from_hours(1);
/// A row whose last failure is older is over: a launch fails within four hours at the latest and is tried again within one.
const STALE: SignedDuration = SignedDuration::from_hours(6);

/// The failures in a row of each chute on each server, by reason. `recent` is newest first.
pub(super) fn rows(recent: &[Deployment], now: Timestamp) -> Vec<Failing> {
    let mut over: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut found: BTreeMap<&str, BTreeMap<(&str, &str), FailingPair>> = BTreeMap::new();
    for one in recent {
        let pair = (one.chute_id.as_str(), one.server.as_str());
        let failed = one.phase == "Failed";
        match one.ended_at {
            // Not decided yet: it may still fail as the ones before.
            None if !matches!(one.phase.as_str(), "Claimed" | "Verified" | "Active") => continue,
            Some(ended) if failed && !over.contains(&pair) && now.duration_since(ended) < STALE => {
                let reason = one.end_reason.as_deref().unwrap_or(&one.phase_reason);
                let new = || FailingPair { chute_id: pair.0.to_owned(), server: pair.1.to_owned(), failures: 0, last: ended };
                let row = found.entry(reason).or_default().entry(pair).or_insert_with(new);
                row.failures += 1;
                row.last = row.last.max(ended);
                if ended.duration_since(one.created_at) >= LIVED_WELL {
                    over.insert(pair);
                }
            }
            _ => {
                over.insert(pair);
            }
        }
    }
    found.into_iter().map(|(reason, pairs)| Failing { reason: reason.to_owned(), pairs: pairs.into_values().collect() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn row(chute: &str, server: &str, phase: &str, reason: &str, created: i64, ended: Option<i64>) -> Deployment {
        Deployment {
            id: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
            chute_id: chute.parse().unwrap(),
            version: "v".parse().unwrap(),
            server: server.parse().unwrap(),
            validator: crate::fixtures::KEY.parse().unwrap(),
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

    fn counts(recent: &[Deployment], now: i64) -> Vec<(String, String, String, u32)> {
        let rows = rows(recent, at(now));
        let pairs = rows.iter().flat_map(|row| row.pairs.iter().map(|pair| (row.reason.clone(), pair)));
        pairs.map(|(reason, pair)| (reason, pair.chute_id.clone(), pair.server.clone(), pair.failures)).collect()
    }

    #[test]
    fn failures_count_until_something_went_well_there() {
        let recent = [
            row("a", "s", "Starting", "Applied", 9, None),
            row("a", "s", "Failed", "ImagePull", 7, Some(8)),
            row("b", "s", "Active", "InstanceActive", 6, None),
            row("a", "s", "Failed", "ImagePull", 5, Some(6)),
            row("b", "s", "Failed", "ImagePull", 4, Some(5)),
            row("a", "t", "Failed", "Crashed", 4, Some(5)),
            row("a", "s", "Stopped", "StopRequested", 2, Some(3)),
            row("a", "s", "Failed", "ImagePull", 1, Some(2)),
        ];
        let pair = |reason: &str, chute: &str, server: &str, failures| (reason.to_owned(), chute.to_owned(), server.to_owned(), failures);
        assert_eq!(counts(&recent, 10), [pair("Crashed", "a", "t", 1), pair("ImagePull", "a", "s", 2)]);
    }

    #[test]
    fn old_failures_and_those_of_a_good_life_begin_no_row() {
        let recent = [row("a", "s", "Failed", "Crashed", 100, Some(300)), row("a", "s", "Failed", "Crashed", 10, Some(11))];
        assert_eq!(counts(&recent, 301).first().map(|row| row.3), Some(1), "it had run for hours");
        assert!(counts(&recent, 300 + 7 * 60).is_empty(), "nobody tries any more");
    }
}
