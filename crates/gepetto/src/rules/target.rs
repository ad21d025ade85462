//! No more copies than the validator wants.

use jiff::Timestamp;

use crate::Snapshot;
use crate::snapshot::{Allowance, Chute, Deployment, Stage};

/// How many more copies of the chute may be asked for; nothing if the validator's word on it is absent or too old. Then copies are
/// asked for one at a time, and its answers tell: a snapshot that is blind here launches carefully, and is never stuck.
///
/// The allowance lacks what the validator had not counted yet when it said it: our copies that are on their way.
#[must_use]
pub fn room(chute: &Chute, snapshot: &Snapshot) -> Option<u64> {
    let sources = &snapshot.sources;
    let as_of = sources.utilization.as_of.filter(|_| sources.utilization.fresh(snapshot.now, sources.oldest))?;
    let allowance = chute.allowance?;
    let ours = snapshot.deployments.iter().filter(|deployment| deployment.chute == chute.id && deployment.stage != Stage::Ending);
    let uncounted = ours.filter(|deployment| !counted(deployment, allowance, as_of)).count();
    Some(u64::from(allowance.more).saturating_sub(u64::try_from(uncounted).unwrap_or(u64::MAX)))
}

/// Whether the validator knew of this copy, in the way it counts them, when it was asked.
fn counted(deployment: &Deployment, allowance: Allowance, as_of: Timestamp) -> bool {
    let since = if allowance.counts_pending { deployment.claimed_at.or(deployment.active_at) } else { deployment.active_at };
    since.is_some_and(|since| since <= as_of)
}
