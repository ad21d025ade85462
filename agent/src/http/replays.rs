//! Signatures that were used, remembered until their window is over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Only requests that the hotkey signed get here.
const MOST: usize = 10_000;

/// The signatures of the last minute.
#[derive(Debug, Default)]
pub struct Replays(Mutex<HashMap<String, i64>>);

impl Replays {
    /// Whether this is the signature's first use. It is forgotten at `until`; times are Unix seconds.
    pub(super) fn first_use(&self, key: String, until: i64, now: i64) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, until| *until >= now);
        if seen.contains_key(&key) || seen.len() >= MOST {
            return false;
        }
        seen.insert(key, until);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_once_and_the_memory_stays_small() {
        let replays = Replays::default();
        assert!(replays.first_use("a".into(), 130, 100));
        assert!(!replays.first_use("a".into(), 130, 130));
        assert!(replays.first_use("b".into(), 170, 140));
        assert_eq!(replays.0.lock().unwrap().len(), 1);
    }
}
