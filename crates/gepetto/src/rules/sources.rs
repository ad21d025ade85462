//! Never decide on a blind spot.

use crate::{Reason, Snapshot};

/// A launch needs all sources fresh and complete: a stale claim list books a GPU twice, a stale instance list races our own past.
/// All but one: without the utilization the validator still says no to what it does not want (see [`super::room`]).
#[must_use]
pub fn may_launch(snapshot: &Snapshot) -> Option<Reason> {
    let sources = &snapshot.sources;
    let all = [sources.resources, sources.claims, sources.chutes, sources.instances, sources.nodes];
    let trusted = all.iter().all(|source| source.trusted(snapshot.now, sources.oldest));
    (!trusted).then_some(Reason::Blind)
}

/// A stop needs what names it (our resources, the chutes) and the second side, the instances.
#[must_use]
pub fn may_stop(snapshot: &Snapshot) -> Option<Reason> {
    let sources = &snapshot.sources;
    let needed = [sources.resources, sources.chutes, sources.instances];
    let trusted = needed.iter().all(|source| source.trusted(snapshot.now, sources.oldest));
    (!trusted).then_some(Reason::Blind)
}
