//! Launches that fail again and again, and deployments that do not come to their end.

use super::{
    Deployments,
    problems::{Problem, Severity, problem},
};
use crate::ports::{fleet::View, ledger::Failing};
use crd::{ChuteDeployment, chute::Listing, chute_deployment::Phase, node_namespace};
use jiff::Timestamp;

/// One failure may be chance.
const REPEATED: u32 = 2;
/// A pod gets three minutes to end, the validator's answer may take some more.
const LONG_STOP_S: i64 = 900;

/// One problem for each reason for which launches fail in a row, of chutes and servers that still are.
pub(super) fn failing(view: &View, failing: &[Failing], now: Timestamp) -> Vec<Problem> {
    let earning = view.deployments.iter().any(|one| phase(one) == Some(Phase::Active));
    failing.iter().filter_map(|row| repeated(view, row, earning, now)).collect()
}

fn repeated(view: &View, row: &Failing, earning: bool, now: Timestamp) -> Option<Problem> {
    let chute = |id: &str| view.chutes.iter().find(|chute| chute.spec.chute_id.as_str() == id && chute.spec.listing == Listing::Listed);
    let server = |name: &str| view.servers.iter().any(|server| server.metadata.name.as_deref() == Some(name));
    let pairs: Vec<_> =
        row.pairs.iter().filter(|pair| server(&pair.server)).filter_map(|pair| Some((pair, chute(&pair.chute_id)?))).collect();
    let failures: u32 = pairs.iter().map(|(pair, _)| pair.failures).sum();
    if failures < REPEATED || routine(&row.reason) {
        return None;
    }
    let (latest, named) = pairs.iter().max_by_key(|(pair, _)| pair.last)?;
    let ago = (now.as_second() - latest.last.as_second()).max(0) / 60;
    let others = match pairs.len() - 1 {
        0 => String::new(),
        others => format!(", and {others} more"),
    };
    let what =
        format!("{failures} in a row failed with {}, last {ago} min ago: {} on {}{others}", row.reason, named.spec.name, latest.server);
    let severity = if fleet_wide(&row.reason) || !earning { Severity::Critical } else { Severity::Warning };
    // The deployment itself is removed soon after its end; what was said of it stays for an hour.
    let command = format!("kubectl -n {} get events --field-selector reason={}", node_namespace(&latest.server), row.reason);
    Some(problem(severity, "launches", what, command))
}

/// Refusals that belong to the business: the validator has enough copies, or another miner was faster.
fn routine(reason: &str) -> bool {
    matches!(reason, "CapacityReached" | "ChuteGone" | "LaunchConflict")
}

/// The validator would refuse this miner any chute.
fn fleet_wide(reason: &str) -> bool {
    matches!(reason, "Unauthorized" | "Unqualified" | "NoTokenInTime")
}

/// Deployments whose GPUs are held although they should have ended.
pub(super) fn stuck(deployments: &Deployments) -> Vec<Problem> {
    let stopping = deployments.items.iter().filter(|one| one.phase == Phase::Stopping.as_str());
    stopping
        .filter_map(|one| {
            let minutes = one.seconds.filter(|seconds| *seconds > LONG_STOP_S)? / 60;
            let reason = one.reason.as_deref().unwrap_or("no reason is known");
            let what = format!("{} has not come to its end for {minutes} min ({reason}): its {} GPUs stay held", one.chute, one.gpus);
            let command = format!("kubectl -n {} describe chutedeployment {}", node_namespace(&one.server), one.id);
            Some(problem(Severity::Warning, format!("server {}", one.server), what, command))
        })
        .collect()
}

fn phase(deployment: &ChuteDeployment) -> Option<Phase> {
    deployment.status.as_ref().and_then(|status| status.phase)
}
