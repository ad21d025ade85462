//! What a chute and a server must be to each other.

use jiff::{SignedDuration, Timestamp};

use crate::Reason;
use crate::policy::Limits;
use crate::score::gain_percent;
use crate::snapshot::{Chute, Server, Setback, Snapshot};

/// Confidential chutes run on confidential servers, and nothing else does.
#[must_use]
pub fn tee(chute: &Chute, server: &Server) -> Option<Reason> {
    (chute.tee != server.tee).then_some(Reason::TeeMismatch)
}

/// The server's GPUs must be of a model the chute runs on.
#[must_use]
pub fn model(chute: &Chute, server: &Server) -> Option<Reason> {
    (!chute.supported.contains(&server.gpu_ref)).then_some(Reason::ModelNotSupported)
}

/// The chute must be worth its GPUs, by the policy.
#[must_use]
pub fn below_min_gain(chute: &Chute, server: &Server, limits: &Limits) -> Option<Reason> {
    let wanted = u64::from(limits.min_gain_percent.unwrap_or(0));
    (gain_percent(chute, server) < wanted).then_some(Reason::BelowMinGain)
}

/// Whoever failed lately waits: twice as long after each failure.
#[must_use]
pub fn backoff(chute: &Chute, server: &Server, snapshot: &Snapshot, limits: &Limits) -> Option<Reason> {
    let concerned = |setback: &&Setback| {
        setback.chute.as_ref().is_none_or(|failed| *failed == chute.id)
            && setback.server.as_ref().is_none_or(|failed_on| *failed_on == server.name)
    };
    let waits = snapshot.setbacks.iter().filter(concerned).any(|setback| until(setback, limits) > snapshot.now);
    waits.then_some(Reason::ChuteBackoff)
}

/// When the waiting ends.
#[must_use]
pub fn until(setback: &Setback, limits: &Limits) -> Timestamp {
    let doublings = setback.failures.saturating_sub(1).min(20);
    let seconds = (limits.retry_after_seconds() << doublings).min(limits.retry_at_most_seconds());
    let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    setback.last.checked_add(wait).unwrap_or(Timestamp::MAX)
}
