//! "I am alive", as a Lease that its only writer renews: no heartbeat ever stands in a status.

use crate::{
    Result, backoff,
    call::{bounded, get_opt},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Which Lease, and how often.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// The field manager.
    pub manager: String,
    /// Who beats.
    pub holder: String,
    /// How often.
    pub period: Duration,
    /// How long others should believe it.
    pub duration: Duration,
}

/// Between a beat that failed and the next, at first: rights that were granted a moment ago are not known everywhere yet.
const SOON: Duration = Duration::from_millis(250);

/// Beats until `shutdown`. A beat that fails is tried again soon, and at the latest after the period; `beat` is told each outcome.
pub async fn run(client: Client, heartbeat: Heartbeat, shutdown: CancellationToken, mut beat: impl FnMut(&Result<()>)) {
    let api: Api<Lease> = Api::namespaced(client, &heartbeat.namespace);
    let retry = backoff::Policy { first: SOON, most: heartbeat.period };
    let mut failures = 0u32;
    loop {
        let result = once(&api, &heartbeat, Timestamp::now()).await;
        beat(&result);
        let pause = match &result {
            Ok(()) => {
                failures = 0;
                heartbeat.period
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(lease = heartbeat.name, %error, "the heartbeat was not written");
                retry.after(failures)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn once(api: &Api<Lease>, heartbeat: &Heartbeat, now: Timestamp) -> Result<()> {
    let lease = Lease {
        metadata: ObjectMeta { name: Some(heartbeat.name.clone()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(heartbeat.holder.clone()),
            lease_duration_seconds: Some(i32::try_from(heartbeat.duration.as_secs().max(1)).unwrap_or(i32::MAX)),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    };
    let params = PatchParams::apply(&heartbeat.manager).force();
    bounded("renewing the heartbeat", api.patch(&heartbeat.name, &params, &Patch::Apply(&lease))).await.map(|_| ())
}

/// When the Lease was last renewed, by its writer's clock; nothing if it never was.
///
/// # Errors
/// As [`bounded`].
pub async fn last(client: Client, namespace: &str, name: &str) -> Result<Option<Timestamp>> {
    let api: Api<Lease> = Api::namespaced(client, namespace);
    Ok(get_opt(&api, name).await?.as_ref().and_then(renewed))
}

/// When this Lease was last renewed.
#[must_use]
pub fn renewed(lease: &Lease) -> Option<Timestamp> {
    lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0)
}

/// The holder of a Lease that also says with which key it proved itself.
#[must_use]
pub fn holder(who: &str, key: &str) -> String {
    format!("{who}/{key}")
}

/// The key that the holder of this Lease proved itself with, if it says so; see [`holder`].
#[must_use]
pub fn holder_key(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()?.split_once('/').map(|(_, key)| key)
}

/// Whether a beat is too old to be believed.
#[must_use]
pub fn silent(renewed: Option<Timestamp>, now: Timestamp, believed: Duration) -> bool {
    let believed = SignedDuration::try_from(believed).unwrap_or(SignedDuration::MAX);
    renewed.is_none_or(|renewed| now.duration_since(renewed) > believed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_after_the_believed_time_and_a_clock_ahead_is_no_silence() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let believed = Duration::from_secs(40);
        assert!(silent(None, at(100), believed));
        assert!(!silent(Some(at(60)), at(100), believed));
        assert!(silent(Some(at(59)), at(100), believed));
        assert!(!silent(Some(at(130)), at(100), believed));
    }
}
