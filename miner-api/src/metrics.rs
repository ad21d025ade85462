//! Counters of this program.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Labels of answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    status: u16,
}

/// Labels of a validator's link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Link {
    validator: String,
}

/// The program's counters; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    answers: Family<Answer, Counter>,
    refused: Counter,
    tokens: Counter,
    events: Family<Link, Counter>,
    listings: Family<Link, Counter>,
    blind: Family<Link, Counter>,
    listed: Family<Link, Gauge>,
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
        self.answers.get_or_create(&Answer { status }).inc();
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
        self.events.get_or_create(&Link { validator: validator.to_owned() }).inc();
    }

    /// A chute list was read completely.
    pub fn listing(&self, validator: &str, chutes: usize) {
        let link = Link { validator: validator.to_owned() };
        self.listings.get_or_create(&link).inc();
        self.listed.get_or_create(&link).set(i64::try_from(chutes).unwrap_or(i64::MAX));
    }

    /// A chute list was not.
    pub fn blind(&self, validator: &str) {
        self.blind.get_or_create(&Link { validator: validator.to_owned() }).inc();
    }
}
