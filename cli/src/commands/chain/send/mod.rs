//! Commands that sign and send: what it would do, whether it shall, what came of it.
//!
//! Each command describes an [`Act`]; a [`Session`](session::Session) does the rest, the same for all:
//!
//! ```text
//! Sending::check      somebody can be asked, or said --yes or --dry-run
//! the command's plan  reads the chain, needs no key                      shown
//! guard rails         what hurts a chutes miner ends here                shown
//! key, fee, dry run   the runtime's word on the very bytes               shown; --dry-run ends here
//! confirmation        from a terminal
//! sending             until the block that has it is final               progress
//! ```

mod axon;
mod commit;
mod flags;
mod look;
mod outcome;
mod register;
mod session;
mod timelocked;
mod transfer;
mod weights;

pub(super) use axon::{ServeAxon, run as serve_axon};
pub(super) use commit::{CommitWeights, RevealWeights, commit, reveal};
pub(super) use look::{Look, run as look};
pub(super) use register::{Register, run as register};
pub(super) use transfer::{Transfer, run as transfer};
pub(super) use weights::{SetWeights, run as set_weights};

use chain::submit::{Call, Warning, Weights};
use flags::{Role, Sending};
use serde_json::Value;

/// What a command would do.
struct Act {
    call: Call,
    /// The call's arguments, for people and for programs.
    arguments: Vec<(&'static str, String, Value)>,
    /// What the signer has, where the call takes some of it.
    balance: Option<Balance>,
    /// Weights that the call hides, and their subnet: they are looked at here, because nobody else can before they are revealed.
    hidden: Option<(u16, Weights)>,
}

/// What an act does to the signer's balance, in rao.
#[derive(Clone, Copy, Debug)]
struct Balance {
    free_rao: u64,
    /// The most the call itself takes; the fee comes on top.
    takes_rao: u64,
    /// Below this the chain removes an account and what is left on it.
    existential_rao: u64,
}

/// Whether a warning is one that needs more than a yes.
fn hurts(warning: &Warning) -> bool {
    matches!(warning, Warning::SecondUid { .. } | Warning::Axon { .. })
}
