//! The store against a real Postgres and a real Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod claims;
mod decisions;
mod deployments;
mod fixture;
mod fleet;
mod launches;
mod ledger;
mod migrations;
mod nonces;
mod outage;
mod sagas;
mod spawned;
mod tenures;
mod wakeups;
