//! Flags of every command that sends.

use super::super::endpoints::Nodes;
use crate::{
    args::{
        Output,
        wallet::{Place, Which},
    },
    failure::{Failure, Kind},
    output,
};
use clap::Args as ClapArgs;

/// Whether to send, and in whose name.
#[derive(Clone, Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(super) struct Sending {
    /// Show what it would do, and what the chain says to it; send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Send it without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Send it although it would hurt a chutes miner, or another one waits
    #[arg(long)]
    pub(super) accept_warnings: bool,
    /// US dollars a TAO, to show amounts in dollars, too
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    pub(super) tao_usd: Option<f64>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) signer: Signer,
    #[command(flatten)]
    pub(super) nodes: Nodes,
}

/// The key that signs.
#[derive(Clone, Debug, ClapArgs)]
#[command(args_override_self = true, next_help_heading = "Wallet")]
pub(super) struct Signer {
    #[command(flatten)]
    pub(super) place: Place,
    /// File of the key that signs, wherever it lies
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<String>,
    /// File with its password (- for standard input); else BT_PW_…, else asked for
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<String>,
}

/// Which key of a wallet signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Coldkey,
    Hotkey,
}

impl Role {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Coldkey => "coldkey",
            Self::Hotkey => "hotkey",
        }
    }
}

impl Sending {
    /// Refuses what could not end well, before anything is read or opened.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.tao_usd.is_some_and(|usd| !usd.is_finite() || usd <= 0.0) {
            return Err(Failure::new(Kind::Usage, "--tao-usd is a price above 0"));
        }
        if self.dry_run || self.yes || output::can_ask() {
            return Ok(());
        }
        Err(Failure::new(Kind::Usage, "there is no terminal on which to ask whether to send it; nothing was sent")
            .advise("--dry-run shows what it would do, --yes sends it without asking"))
    }

    /// The file of the key that signs.
    pub(super) fn which(&self, role: Role) -> Which {
        let file = self.signer.key_file.clone();
        Which { place: self.signer.place.clone(), coldkey: role == Role::Coldkey && file.is_none(), file }
    }

    /// The wallet's hotkey, of which only the address is wanted.
    pub(super) fn hotkey(&self) -> Which {
        Which { place: self.signer.place.clone(), coldkey: false, file: None }
    }
}
