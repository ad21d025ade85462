//! The competition on subnets: who registers, is replaced, and survives; what a place costs and brings.
//!
//! All of it is computed from snapshot files ([`snapshot`]) and from numbers that a caller hands in: no endpoint, database or hotkey is
//! needed, and nothing here reads a clock. The files are those of the tracker that people have used so far, read and written compatibly;
//! ours carry more (registration blocks, coldkeys, emissions, parameters), in fields that the other tracker skips.
//!
//! Many snapshots are read one at a time ([`folder`]); what is kept is the last good state of each UID and one small record for each
//! tenure that ended.
//!
//! | question | module |
//! | --- | --- |
//! | what changed between two snapshots, and why? | [`compare`] |
//! | which subnets are contested most? | [`analysis`] |
//! | how long does a UID live? | [`tenure`], [`survival`] |
//! | how close is mine to being pruned? | [`eviction`] |
//! | what does a registration cost, now and later? | [`price`], [`forecast`], [`cost`] |
//! | is it worth it? | [`recommend`] |

pub mod analysis;
pub mod compare;
pub mod cost;
pub mod eviction;
pub mod folder;
pub mod forecast;
pub mod price;
pub mod recommend;
pub mod replay;
pub mod snapshot;
pub mod survival;
pub mod tenure;

/// Seconds between two blocks, by the chain's design; real blocks come a little later.
pub const BLOCK_SECONDS: u64 = 12;

/// Blocks of a day.
pub const BLOCKS_PER_DAY: u64 = 86_400 / BLOCK_SECONDS;

/// Rao (1e-9 TAO, or 1e-9 of a subnet's alpha) in one TAO or alpha.
pub const RAO: u64 = 1_000_000_000;

/// Days that a number of blocks takes.
pub fn days(blocks: u64) -> f64 {
    blocks as f64 / BLOCKS_PER_DAY as f64
}

/// Rao as TAO, or alpha: for showing and estimating, never for paying.
pub fn tao(rao: u64) -> f64 {
    rao as f64 / RAO as f64
}
