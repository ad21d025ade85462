//! Times as the existing miner writes them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// ISO 8601 with microseconds and `+00:00`, which Python's `fromisoformat` reads.
#[must_use]
pub fn wire(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

pub(super) fn created(metadata: &kube::api::ObjectMeta) -> String {
    wire(metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |Time(at)| *at))
}
