//! Bounties: offered by the admin side, claimed by the first activation. validator-protocol 7.3.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;
use crate::{
    clock::{iso, seconds},
    http::refusal::Refusal,
};

/// Seconds that a bounty lives.
const LIFE: f64 = 86_400.0;

/// An open bounty.
#[derive(Debug)]
pub(super) struct Bounty {
    created_at: Timestamp,
}

impl Bounty {
    fn age(&self, now: Timestamp) -> f64 {
        seconds(self.created_at, now)
    }

    /// Grows by three a second.
    fn amount(&self, now: Timestamp) -> u64 {
        (3.0 * self.age(now) + 100.0).min(LIFE) as u64
    }
}

impl World {
    /// Opens a bounty, or raises its voice again.
    pub(crate) fn offer_bounty(&mut self, name: &str) -> Result<(), Refusal> {
        let chute_id = self.find_chute(name)?.chute_id.clone();
        let now = self.now();
        let amount = self.bounties.entry(chute_id.clone()).or_insert(Bounty { created_at: now }).amount(now);
        self.broadcast("bounty_change", json!({"chute_id": chute_id, "bounty": amount}), None);
        Ok(())
    }

    /// The first to activate takes it, in silence.
    pub(super) fn claim_bounty(&mut self, chute_id: &str) {
        self.bounties.remove(chute_id);
    }

    /// `GET /bounties/`, oldest first.
    pub(crate) fn bounty_rows(&self) -> Vec<Value> {
        let now = self.now();
        let mut open: Vec<(&String, &Bounty)> = self.bounties.iter().filter(|(_, bounty)| bounty.age(now) < LIFE).collect();
        open.sort_by_key(|(_, bounty)| bounty.created_at);
        open.into_iter()
            .map(|(chute_id, bounty)| {
                json!({
                    "chute_id": chute_id, "bounty_amount": bounty.amount(now), "seconds_elapsed": bounty.age(now) as u64,
                    "time_remaining": (LIFE - bounty.age(now)) as u64, "created_at": iso(bounty.created_at),
                })
            })
            .collect()
    }
}
