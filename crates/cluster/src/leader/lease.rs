//! The Lease object, to and fro.

use crate::{Error, Result, call::bounded_by};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use std::time::Duration;

/// A lease call must be over well before the lease is.
const LIMIT: Duration = Duration::from_secs(4);

/// What a Lease says.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Who holds it.
    pub holder: Option<String>,
    /// How many times it was acquired.
    pub transitions: i32,
    /// How long it is respected without renewal.
    pub duration: Duration,
    /// Resource version; a write asks that it be still this one.
    pub version: Option<String>,
    /// When its holder renewed it last, by the holder's clock; for people.
    pub renewed: Option<Timestamp>,
    /// When its holder acquired it, by the holder's clock; for people.
    pub acquired: Option<Timestamp>,
}

impl Record {
    pub(super) fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(15);
        Self {
            holder: spec.holder_identity,
            transitions: spec.lease_transitions.unwrap_or(0),
            duration: Duration::from_secs(seconds),
            version: lease.metadata.resource_version.clone(),
            renewed: spec.renew_time.map(|time| time.0),
            acquired: spec.acquire_time.map(|time| time.0),
        }
    }

    fn to_lease(&self, name: &str, now: Timestamp) -> Lease {
        Lease {
            metadata: ObjectMeta { name: Some(name.to_owned()), resource_version: self.version.clone(), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                // An absent holder is written as an empty one, which is what other clients expect of a lease given back.
                holder_identity: Some(self.holder.clone().unwrap_or_default()),
                lease_transitions: Some(self.transitions),
                lease_duration_seconds: Some(i32::try_from(self.duration.as_secs().max(1)).unwrap_or(i32::MAX)),
                renew_time: Some(MicroTime(now)),
                acquire_time: Some(MicroTime(self.acquired.unwrap_or(now))),
                ..LeaseSpec::default()
            }),
        }
    }
}

pub(super) async fn read(api: &Api<Lease>, name: &str) -> Result<Option<Record>> {
    let lease = bounded_by(LIMIT, &format!("reading Lease {name}"), api.get_opt(name)).await?;
    Ok(lease.as_ref().map(Record::of))
}

/// Creates or replaces the lease, the latter only in the version that was read.
pub(super) async fn write(api: &Api<Lease>, name: &str, record: &Record, exists: bool) -> Result<Record> {
    let lease = record.to_lease(name, Timestamp::now());
    let what = format!("writing Lease {name}");
    let params = PostParams::default();
    let written = if exists {
        if record.version.is_none() {
            return Err(Error::Config(format!("{what}: without a resource version it could be another's")));
        }
        bounded_by(LIMIT, &what, api.replace(name, &params, &lease)).await?
    } else {
        bounded_by(LIMIT, &what, api.create(&params, &lease)).await?
    };
    Ok(Record::of(&written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_survives_the_round_trip() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let record = Record {
            holder: Some("me".into()),
            transitions: 4,
            duration: Duration::from_secs(15),
            version: Some("12".into()),
            renewed: Some(now),
            acquired: Some(now),
        };
        assert_eq!(Record::of(&record.to_lease("leader", now)), record);
    }

    #[test]
    fn a_lease_without_a_spec_is_nobodys() {
        assert_eq!(Record::of(&Lease::default()).holder, None);
    }
}
