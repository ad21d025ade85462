//! Counters of this program.

use service::metrics::{Counter, Counters, Gauges, Registry};

/// The program's counters; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    answers: Counters<1>,
    refused: Counter,
    tokens: Counter,
    events: Counters<1>,
    listings: Counters<1>,
    blind: Counters<1>,
    listed: Gauges<1>,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("miner_api");
        registry.register("answers", "HTTP answers by status", self.answers.clone());
        registry.register("signatures_refused", "Requests whose signature was refused", self.refused.clone());
        registry.register("agent_tokens", "Tokens given to agents", self.tokens.clone());
        registry.register("validator_events", "Events received from a validator", self.events.clone());
        registry.register("validator_listings", "Complete chute lists read", self.listings.clone());
        registry.register("validator_blind", "Chute lists that were incomplete or failed", self.blind.clone());
        registry.register("validator_chutes", "Chutes in the last complete list", self.listed.clone());
    }

    /// An answer went out.
    pub fn answered(&self, status: u16) {
        self.answers.get_or_create(&[("status", status.to_string())]).inc();
    }

    /// A signature was refused.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// An agent got a token.
    pub fn token(&self) {
        self.tokens.inc();
    }

    /// A validator sent an event.
    pub fn event(&self, validator: &str) {
        self.events.get_or_create(&[("validator", validator.to_owned())]).inc();
    }

    /// A chute list was read completely.
    pub fn listing(&self, validator: &str, chutes: usize) {
        let link = [("validator", validator.to_owned())];
        self.listings.get_or_create(&link).inc();
        self.listed.get_or_create(&link).set(i64::try_from(chutes).unwrap_or(i64::MAX));
    }

    /// A chute list was not.
    pub fn blind(&self, validator: &str) {
        self.blind.get_or_create(&[("validator", validator.to_owned())]).inc();
    }
}
