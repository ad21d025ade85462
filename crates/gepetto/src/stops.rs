//! What must end. Only what the validator itself withdrew: nothing is ever stopped because something was not seen.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use protocol::ids::ChuteId;

use crate::snapshot::{Snapshot, Stage};
use crate::{Reason, Stop, rules};

/// A deployment younger than this is not stopped: the lists may be from before it.
const YOUNGEST: SignedDuration = SignedDuration::from_secs(30);

pub(crate) fn stops(snapshot: &Snapshot) -> Vec<Stop> {
    if rules::may_stop(snapshot).is_some() {
        return Vec::new();
    }
    // A chute that is both listed and withdrawn (two resources of one id) is listed.
    let mut withdrawn: BTreeMap<&ChuteId, bool> = BTreeMap::new();
    for chute in &snapshot.chutes {
        *withdrawn.entry(&chute.id).or_insert(true) &= chute.withdrawn;
    }
    let mut stops: Vec<Stop> = snapshot
        .deployments
        .iter()
        .filter(|deployment| deployment.stage != Stage::Ending)
        .filter(|deployment| withdrawn.get(&deployment.chute).copied().unwrap_or(false))
        .filter(|deployment| snapshot.now.duration_since(deployment.created_at) >= YOUNGEST)
        .map(|deployment| Stop { deployment: deployment.id.clone(), reason: Reason::ChuteWithdrawn })
        .collect();
    stops.sort_by(|a, b| a.deployment.cmp(&b.deployment));
    stops
}
