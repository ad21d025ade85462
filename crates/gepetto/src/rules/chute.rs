//! What a chute must be, whatever the server.

use protocol::version::LibraryVersion;

use crate::snapshot::Chute;
use crate::{Policy, Reason};

/// From this library version on a chute brings its code along; older ones want it from a ConfigMap, which we do not make.
const OLDEST_LIBRARY: &str = "0.3.61";

/// Whether the chute may be launched anywhere.
#[must_use]
pub fn chute(chute: &Chute, policy: &Policy) -> Option<Reason> {
    if chute.withdrawn {
        return Some(Reason::ChuteWithdrawn);
    }
    if chute.gone {
        return Some(Reason::ChuteGone);
    }
    if chute.disabled {
        return Some(Reason::ChuteDisabled);
    }
    if chute.jobs_only {
        return Some(Reason::JobsOnly);
    }
    if policy.banned_chutes.contains(&chute.id) {
        return Some(Reason::Banned);
    }
    if !chute.tee && !LibraryVersion::parse(&chute.library).at_least(OLDEST_LIBRARY) {
        return Some(Reason::ChuteTooOld);
    }
    if chute.rate_micro.is_none_or(|rate| rate == 0) || chute.gpu_count == 0 {
        return Some(Reason::NoValue);
    }
    None
}
