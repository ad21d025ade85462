//! What to do about a lease. Pure.

use super::Record;
use tokio::time::Instant;

/// A lease, and since when *we* have seen it just like that.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What it says.
    pub record: Record,
    /// When we first saw it say that, by our own monotonic clock.
    pub since: Instant,
}

impl Observed {
    /// The observation after another look: its age begins anew if anything changed.
    #[must_use]
    pub fn update(before: Option<Self>, record: Record, now: Instant) -> Self {
        match before {
            Some(before) if before.record == record => before,
            _ => Self { record, since: now },
        }
    }
}

/// What to do about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nobody holds it, or its holder has not renewed it for its whole duration: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Another holds it.
    Yield,
}

/// Decides from what was seen. Never compares another machine's clock with ours.
#[must_use]
pub fn decide(seen: Option<&Observed>, now: Instant, me: &str) -> Decision {
    let Some(seen) = seen else { return Decision::Acquire };
    match seen.record.holder.as_deref() {
        None | Some("") => Decision::Acquire,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) if now.saturating_duration_since(seen.since) > seen.record.duration => Decision::Acquire,
        Some(_) => Decision::Yield,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn record(holder: Option<&str>) -> Record {
        Record {
            holder: holder.map(str::to_owned),
            transitions: 3,
            duration: Duration::from_secs(15),
            version: Some("7".into()),
            renewed: None,
            acquired: None,
        }
    }

    #[test]
    fn the_decision_by_holder_and_age() {
        let now = Instant::now();
        let table = [
            (None, 0, Decision::Acquire, "there is no lease"),
            (Some(record(None)), 0, Decision::Acquire, "it was given back"),
            (Some(record(Some(""))), 0, Decision::Acquire, "it was given back, the other spelling"),
            (Some(record(Some("me"))), 0, Decision::Renew, "it is ours"),
            (Some(record(Some("me"))), 60, Decision::Renew, "it is ours and nobody took it"),
            (Some(record(Some("other"))), 0, Decision::Yield, "another's"),
            (Some(record(Some("other"))), 15, Decision::Yield, "another's, to its last moment"),
            (Some(record(Some("other"))), 16, Decision::Acquire, "another's, abandoned"),
        ];
        for (lease, age_s, wanted, case) in table {
            let seen = lease.map(|record| Observed { record, since: now });
            assert_eq!(decide(seen.as_ref(), now + Duration::from_secs(age_s), "me"), wanted, "{case}");
        }
    }

    #[test]
    fn a_renewal_by_its_holder_makes_the_observation_young_again() {
        let start = Instant::now();
        let first = Observed::update(None, record(Some("other")), start);
        let later = start + Duration::from_secs(14);
        let same = Observed::update(Some(first.clone()), record(Some("other")), later);
        assert_eq!(same.since, start);
        let renewed = Record { version: Some("8".into()), ..record(Some("other")) };
        let seen = Observed::update(Some(first), renewed, later);
        assert_eq!(decide(Some(&seen), later + Duration::from_secs(10), "me"), Decision::Yield);
    }
}
