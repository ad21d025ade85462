//! Counters of this program.

use chain::survey::Watched;
use service::metrics::{Counter, Counters, Fractions, Gauges, Registry, result};

/// The hotkey on the chain, by subnet. What is not known has no value.
#[derive(Clone, Debug, Default)]
struct OnChain {
    looks: Counters<1>,
    read: Gauges<1>,
    block: Gauges<1>,
    registered: Gauges<1>,
    uid: Gauges<1>,
    rank: Gauges<1>,
    miners: Gauges<1>,
    evicted_by: Gauges<1>,
    evicted_by_then: Gauges<1>,
    immune: Gauges<1>,
    stake: Fractions<1>,
    incentive: Fractions<1>,
}

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
    chain: OnChain,
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
        let chain = &self.chain;
        registry.register("chain_looks", "Looks at the hotkey on the chain", chain.looks.clone());
        registry.register("chain_read_timestamp_seconds", "When the chain was read last", chain.read.clone());
        registry.register("chain_block", "The block that was read last", chain.block.clone());
        registry.register("chain_registered", "Whether the hotkey is registered", chain.registered.clone());
        registry.register("chain_uid", "UID of the hotkey", chain.uid.clone());
        registry.register("chain_rank", "Place of the hotkey among the miners by incentive", chain.rank.clone());
        registry.register("chain_miners", "Miners on the subnet", chain.miners.clone());
        registry.register("chain_registrations_to_eviction", "The registration from now that takes the UID", chain.evicted_by.clone());
        let then = "The registration that would take the UID if its immunity had ended";
        registry.register("chain_registrations_to_eviction_after_immunity", then, chain.evicted_by_then.clone());
        registry.register("chain_immune_blocks", "Blocks for which the UID is still immune", chain.immune.clone());
        registry.register("chain_stake", "Stake of the hotkey as the chain weighs it", chain.stake.clone());
        registry.register("chain_incentive", "Share of the miners' reward", chain.incentive.clone());
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

    /// The chain was looked at.
    pub fn chain(&self, netuid: u16, known: &Watched) {
        let subnet = [("netuid", netuid.to_string())];
        let chain = &self.chain;
        let whole = |gauges: &Gauges<1>, value: Option<u64>| match value.and_then(|value| i64::try_from(value).ok()) {
            Some(value) => {
                gauges.get_or_create(&subnet).set(value);
            }
            None => {
                gauges.remove(&subnet);
            }
        };
        let part = |fractions: &Fractions<1>, value: Option<f64>| match value {
            Some(value) => {
                fractions.get_or_create(&subnet).set(value);
            }
            None => {
                fractions.remove(&subnet);
            }
        };
        for (ok, looks) in [(true, known.looks.0), (false, known.looks.1)] {
            // The count is the watch's own; several looks may have passed since the last call.
            let counter = chain.looks.get_or_create(&[result(ok)]);
            counter.inc_by(looks.saturating_sub(counter.get()));
        }
        let read = known.age().and_then(|age| jiff::Timestamp::now().checked_sub(age).ok());
        whole(&chain.read, read.and_then(|at| u64::try_from(at.as_second()).ok()));
        let Some(standing) = &known.standing else { return };
        let place = standing.place.as_ref();
        let distance = place.and_then(|place| place.distance);
        whole(&chain.block, Some(standing.block));
        whole(&chain.registered, Some(place.is_some().into()));
        whole(&chain.uid, place.map(|place| place.uid.into()));
        whole(&chain.rank, place.and_then(|place| place.rank).map(u64::from));
        whole(&chain.miners, place.and_then(|place| place.miners).map(u64::from));
        whole(&chain.evicted_by, distance.and_then(|distance| distance.registrations).map(u64::from));
        let immune = distance.filter(|distance| distance.immune_for_blocks > 0);
        whole(&chain.evicted_by_then, immune.and_then(|distance| distance.registrations_unprotected).map(u64::from));
        whole(&chain.immune, distance.map(|distance| distance.immune_for_blocks));
        part(&chain.stake, place.and_then(|place| place.stake).map(::chain::tracker::tao));
        part(&chain.incentive, place.and_then(|place| place.incentive));
    }

    /// A chute list was not.
    pub fn blind(&self, validator: &str) {
        self.blind.get_or_create(&[("validator", validator.to_owned())]).inc();
    }
}
