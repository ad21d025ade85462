//! Readiness as a set of named gates. A program is ready when all are open; a closed one says why.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// All gates of a program. Cheap to clone; clones share the gates.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    gates: Arc<RwLock<BTreeMap<String, Option<String>>>>,
}

/// One thing that must hold before the program is of use.
#[derive(Clone, Debug)]
pub struct Gate {
    name: String,
    of: Readiness,
}

/// A gate that is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// Its name, such as `postgres`.
    pub gate: String,
    /// Why it is closed, for people.
    pub reason: String,
}

impl Readiness {
    /// No gate yet, hence ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A gate, closed until it is opened. The same name twice is the same gate.
    #[must_use]
    pub fn gate(&self, name: &str) -> Gate {
        self.write().entry(name.to_owned()).or_insert_with(|| Some("starting".to_owned()));
        Gate { name: name.to_owned(), of: self.clone() }
    }

    /// Every closed gate, by name.
    #[must_use]
    pub fn closed(&self) -> Vec<Closed> {
        let gates = self.gates.read().unwrap_or_else(PoisonError::into_inner);
        gates
            .iter()
            .filter_map(|(gate, reason)| reason.as_ref().map(|reason| Closed { gate: gate.clone(), reason: reason.clone() }))
            .collect()
    }

    /// Whether there is a gate of that name, and it is open.
    #[must_use]
    pub fn is_open(&self, gate: &str) -> bool {
        self.gates.read().unwrap_or_else(PoisonError::into_inner).get(gate).is_some_and(Option::is_none)
    }

    /// Whether all gates are open.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.closed().is_empty()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Option<String>>> {
        // A panic of another writer leaves the map whole: each write is one insert.
        self.gates.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// It holds.
    pub fn open(&self) {
        self.set(None);
    }

    /// It does not hold, and why.
    pub fn close(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// Opens on `Ok`, closes with the error's text otherwise.
    pub fn follow<T, E: std::fmt::Display>(&self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.open(),
            Err(error) => self.close(error.to_string()),
        }
    }

    /// Forgets the gate: what it stood for is no longer needed.
    pub fn remove(self) {
        self.of.write().remove(&self.name);
    }

    fn set(&self, reason: Option<String>) {
        let before = self.of.write().insert(self.name.clone(), reason.clone());
        match (before.flatten(), reason) {
            (None, Some(why)) => tracing::warn!(gate = self.name, "not ready: {why}"),
            (Some(_), None) => tracing::info!(gate = self.name, "gate open"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_gate_is_closed_until_it_is_opened() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        assert!(!readiness.is_open("postgres"), "there is none yet");
        let gate = readiness.gate("postgres");
        assert!(!readiness.is_open("postgres"));
        assert_eq!(readiness.closed(), [Closed { gate: "postgres".into(), reason: "starting".into() }]);
        gate.open();
        assert!(readiness.is_ready() && readiness.is_open("postgres"));
        gate.close("connection refused");
        assert_eq!(readiness.closed()[0].reason, "connection refused");
    }

    #[test]
    fn asking_for_a_gate_again_does_not_close_it() {
        let readiness = Readiness::new();
        readiness.gate("kubernetes").open();
        let again = readiness.gate("kubernetes");
        assert!(readiness.is_ready());
        again.follow(&Err::<(), _>("gone"));
        assert!(!readiness.is_ready());
        again.remove();
        assert!(readiness.is_ready());
    }
}
