//! `chain transfer`: TAO from one coldkey to another.

use super::{
    Act, Balance, Call, Role, Sending,
    session::{Session, session},
};
use crate::{
    commands::chain::{exact, failed},
    failure::{Failure, Kind},
};
use chain::{
    read::{AccountId, At},
    tracker::recommend::parse_tao,
};
use clap::{ArgGroup, Args as ClapArgs};
use serde_json::json;

/// `Balances.ExistentialDeposit` where the runtime does not tell: 500 rao since the chain began.
const EXISTENTIAL_RAO: u64 = 500;

/// Send TAO, signed by the coldkey that has it.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    group = ArgGroup::new("how_much").required(true).args(["amount", "all"]),
    after_help = "Examples:\n  chutes-miner chain transfer --to SS58 --amount 1.5TAO --dry-run\n  \
        chutes-miner chain transfer --to SS58 --all --wallet-name miner\n\n\
        What would leave the sender with less than an account lives on is refused,\n\
        unless --allow-death is given. --all leaves that much, or with --allow-death\n\
        nothing."
)]
pub(in crate::commands::chain) struct Transfer {
    /// Who gets it
    #[arg(long, value_name = "SS58")]
    to: AccountId,
    /// How much
    #[arg(long, value_name = "TAO", allow_hyphen_values = true)]
    amount: Option<String>,
    /// All there is, less the fee
    #[arg(long)]
    all: bool,
    /// The sender's account may end with it; what is left on it then is lost
    #[arg(long)]
    allow_death: bool,
    #[command(flatten)]
    sending: Sending,
}

pub(in crate::commands::chain) async fn run(args: Transfer) -> Result<(), Failure> {
    let amount = args.amount.as_deref().map(parse_tao).transpose().map_err(|what| Failure::new(Kind::Usage, what))?;
    if amount == Some(0) {
        return Err(Failure::new(Kind::Usage, "nothing is no amount to send"));
    }
    session(&args.sending, Role::Coldkey, async |session: &mut Session| transfer(session, &args, amount).await).await
}

async fn transfer(session: &mut Session, args: &Transfer, amount: Option<u64>) -> Result<(), Failure> {
    let (from, to, keep_alive) = (session.signer, args.to, !args.allow_death);
    if from == to {
        return Err(Failure::new(Kind::Usage, format!("{to} is the sender's own address; nothing was sent")));
    }
    let has = session.at.account(from).await.map_err(failed)?.data;
    let theirs = session.at.account(to).await.map_err(failed)?.data.free;
    let existential_rao = existential(&session.at);
    // What is frozen stays; what is reserved counts towards it. As pallet_balances' `reducible_balance`.
    let frozen = has.frozen.saturating_sub(has.reserved);
    let usable = has.free.saturating_sub(if keep_alive { frozen.max(existential_rao) } else { frozen });
    session.line("From", &format!("{from}, which has {}", session.amount(has.free)));
    session.line("To", &format!("{to}, which has {}", session.amount(theirs)));
    if session.at.owner(to).await.map_err(failed)?.is_some() {
        session.line("Warning", "that is a hotkey; what it has only its holder can send on");
    }
    if theirs == 0 {
        session.line("Note", "the chain has never seen this receiver, or it has nothing; look at the address twice");
    }
    let rao = match amount {
        Some(rao) => rao,
        None => all(session, to, usable, keep_alive).await?,
    };
    session.tell("balance_rao", json!(has.free));
    session.tell("receiver_balance_rao", json!(theirs));
    session.tell("amount_usd", json!(session.usd(rao)));
    let act = Act {
        call: Call::Transfer { to, rao, keep_alive },
        arguments: vec![("dest", to.to_string(), json!(to)), ("value", session.amount(rao), json!(rao))],
        balance: Some(Balance { free_rao: has.free, takes_rao: rao, existential_rao }),
        hidden: None,
    };
    session.plan(&act).await?;
    if rao > usable {
        session.tell("result", json!("too_poor"));
        let what = format!("{} TAO can be sent at most, before the fee, not {}; nothing was sent", exact(usable), exact(rao));
        return Err(Failure::general(what).advise(if keep_alive { "--amount TAO, or --all" } else { "--amount TAO" }));
    }
    session.carry_out(&act, async || Ok(())).await?;
    Ok(())
}

/// All that can be sent, less the fee for sending it. The fee grows with the length of the amount: that of the largest is enough.
async fn all(session: &mut Session, to: AccountId, usable: u64, keep_alive: bool) -> Result<u64, Failure> {
    let fee = session.fee(Call::Transfer { to, rao: usable, keep_alive }).await?;
    usable.checked_sub(fee).filter(|rao| *rao > 0).ok_or_else(|| {
        Failure::general(format!("nothing can be sent: {} TAO are free, and the fee is {}; nothing was sent", exact(usable), exact(fee)))
    })
}

/// The least that an account lives on, in rao.
pub(super) fn existential(at: &At) -> u64 {
    at.runtime().constant("Balances", "ExistentialDeposit").unwrap_or(EXISTENTIAL_RAO)
}
