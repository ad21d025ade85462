//! Waiting longer after each failure, per object, with jitter: one broken object must not slow the others, and a hundred that
//! failed together must not come back together.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// How waiting grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), most: Duration::from_secs(120) }
    }
}

impl Policy {
    /// How long to wait after so many failures in a row (from 1), before jitter.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.first.saturating_mul(1u32 << doublings).min(self.most)
    }
}

/// The duration, up to a fifth shorter or longer.
#[must_use]
pub fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(0.8..1.2))
}

/// Failures in a row, by object.
#[derive(Debug)]
pub struct PerObject<T> {
    policy: Policy,
    failures: HashMap<T, u32>,
}

impl<T: Eq + Hash + Clone> PerObject<T> {
    /// Nobody has failed yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, failures: HashMap::new() }
    }

    /// Notes a failure; returns how long to leave the object alone, jittered.
    pub fn fail(&mut self, object: &T) -> Duration {
        let count = self.failures.entry(object.clone()).or_insert(0);
        *count = count.saturating_add(1);
        jittered(self.policy.after(*count))
    }

    /// Forgets the failures of an object: it succeeded, is gone, or somebody changed what is wanted of it.
    pub fn reset(&mut self, object: &T) {
        self.failures.remove(object);
    }

    /// Failures in a row of this object.
    #[must_use]
    pub fn failures(&self, object: &T) -> u32 {
        self.failures.get(object).copied().unwrap_or(0)
    }

    /// How many objects failed last time.
    #[must_use]
    pub fn failing(&self) -> usize {
        self.failures.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_objects_failures_do_not_slow_another() {
        let mut backoff = PerObject::new(Policy::default());
        for _ in 0..8 {
            backoff.fail(&"broken");
        }
        assert!(backoff.fail(&"new") < Duration::from_secs(1));
        assert!(backoff.fail(&"broken") > Duration::from_secs(60));
        backoff.reset(&"broken");
        assert!(backoff.fail(&"broken") < Duration::from_secs(1));
    }

    proptest::proptest! {
        #[test]
        fn waiting_never_shrinks_nor_passes_its_limit(failures in 1u32..10_000) {
            let policy = Policy::default();
            proptest::prop_assert!(policy.after(failures) <= policy.after(failures + 1));
            proptest::prop_assert!(policy.after(failures + 1) <= policy.most);
        }
    }
}
