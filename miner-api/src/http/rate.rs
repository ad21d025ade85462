//! A limit on how often one server may ask for a token.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Tokens a server may buy at once; an agent needs one an hour, and a few when it restarts.
const BURST: u32 = 6;
/// Seconds after which it may buy one more.
const EVERY_S: i64 = 20;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    since: i64,
}

/// One bucket a server. Only existing servers get here, so the map stays small.
#[derive(Debug, Default)]
pub struct Rates {
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Rates {
    /// Takes one; or says in how many seconds there is one again.
    ///
    /// # Errors
    /// The seconds to wait.
    pub fn take(&self, key: &str, now: i64) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { left: BURST, since: now });
        let grown = now.saturating_sub(bucket.since).max(0) / EVERY_S;
        if grown > 0 {
            bucket.left = bucket.left.saturating_add(u32::try_from(grown).unwrap_or(BURST)).min(BURST);
            bucket.since += grown * EVERY_S;
        }
        match bucket.left.checked_sub(1) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => Err(u64::try_from(bucket.since + EVERY_S - now).unwrap_or(1).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_then_one_every_twenty_seconds() {
        let rates = Rates::default();
        for _ in 0..BURST {
            rates.take("a", 100).unwrap();
        }
        assert_eq!(rates.take("a", 105), Err(15));
        rates.take("b", 105).unwrap();
        rates.take("a", 120).unwrap();
        assert!(rates.take("a", 121).is_err());
    }
}
