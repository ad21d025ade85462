//! What a chute on a server is worth, in whole numbers only, so that every machine finds the same.

use protocol::catalogue::PRICE_BASIS_CENTS;

use crate::snapshot::{Chute, Server};

/// Rate per cost: millionths of the network's rate for each micro-dollar an hour, times a million, shared among the copies that
/// are already on their way. Other miners race for the places the validator has, so a second copy at once counts half, a third
/// a third.
pub(crate) fn score(chute: &Chute, server: &Server, launching: u64) -> u128 {
    let rate = u128::from(chute.rate_micro.unwrap_or(0));
    let scaled = rate.saturating_mul(1_000_000_000_000);
    scaled / cost(chute, server) / (u128::from(launching) + 1)
}

/// The expected income per hour over the cost per hour, in percent. A rate of 1 is the network's dearest GPU.
pub(crate) fn gain_percent(chute: &Chute, server: &Server) -> u64 {
    let income_micro_usd = u128::from(chute.rate_micro.unwrap_or(0)) * u128::from(PRICE_BASIS_CENTS) / 100;
    u64::try_from(income_micro_usd.saturating_mul(100) / cost(chute, server)).unwrap_or(u64::MAX)
}

/// Micro-dollars per hour; what is free of charge is taken for very cheap.
fn cost(chute: &Chute, server: &Server) -> u128 {
    (u128::from(server.gpu_hour_micro_usd) * u128::from(chute.gpu_count)).max(1)
}
