//! Signatures this process has served, kept until they are too old to be accepted anyway.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Only signed requests get here. People's and nodes' are kept apart, and a node is slowed down before it gets here: a flood is the
/// miner's own.
const MOST: usize = 100_000;

/// Remembers signatures of the last half minute.
#[derive(Debug, Default)]
pub struct Replays {
    seen: Mutex<HashMap<String, i64>>,
}

impl Replays {
    /// Whether the signature was not seen before. Times are Unix seconds.
    pub fn first_use(&self, key: &str, expires: i64, now: i64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.retain(|_, until| *until > now);
            if seen.len() >= MOST {
                return false;
            }
        }
        seen.insert(key.to_owned(), expires).is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_one_use_until_it_expires() {
        let replays = Replays::default();
        assert!(replays.first_use("a", 130, 100));
        assert!(!replays.first_use("a", 130, 101));
        assert!(replays.first_use("b", 130, 101));
        assert!(replays.first_use("a", 230, 200));
    }
}
