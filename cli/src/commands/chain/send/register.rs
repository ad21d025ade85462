//! `chain register`: a UID for a hotkey, at no more than a limit.

use super::{
    Act, Balance, Call, Role, Sending,
    session::{Session, session},
};
use crate::{
    commands::{
        chain::{endpoints::short, exact, failed},
        wallet,
    },
    failure::{Failure, Kind},
};
use chain::{
    read::AccountId,
    submit::{Place, RegistrationQuote, quote, registered},
    tracker::{days, recommend::parse_tao},
};
use clap::Args as ClapArgs;
use serde_json::json;

/// Register a hotkey on a subnet, paid by its coldkey.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain register 64 --dry-run\n  \
        chutes-miner chain register 64 --wallet-name miner --wallet-hotkey h1\n  \
        chutes-miner chain register 64 --limit 0.5TAO --yes\n\n\
        Without --limit the price that is shown before you say yes is the limit: the\n\
        price falls with every block and rises only when others register. With --yes\n\
        nobody sees it, so a limit has to be said."
)]
pub(in crate::commands::chain) struct Register {
    /// The subnet
    netuid: u16,
    /// The most it may cost [default: the price of the moment, which is shown]
    #[arg(long, value_name = "TAO", allow_hyphen_values = true)]
    limit: Option<String>,
    /// The hotkey by its address, rather than that of the wallet
    #[arg(long, value_name = "SS58")]
    hotkey_ss58: Option<AccountId>,
    #[command(flatten)]
    sending: Sending,
}

pub(in crate::commands::chain) async fn run(args: Register) -> Result<(), Failure> {
    let limit = args.limit.as_deref().map(parse_tao).transpose().map_err(|what| Failure::new(Kind::Usage, what))?;
    if limit.is_none() && args.sending.yes && !args.sending.dry_run {
        let what = "with --yes nobody sees the price, so a limit is wanted; nothing was sent";
        return Err(Failure::new(Kind::Usage, what).advise("--limit TAO; --dry-run shows the price"));
    }
    let hotkey = match args.hotkey_ss58 {
        Some(hotkey) => hotkey,
        None => AccountId::from(&wallet::address(&args.sending.hotkey()).map_err(|failure| {
            Failure::new(failure.kind, failure.what()).advise("--wallet-name and --wallet-hotkey, or --hotkey-ss58 SS58")
        })?),
    };
    session(&args.sending, Role::Coldkey, async |session: &mut Session| register(session, args.netuid, hotkey, limit).await).await
}

async fn register(session: &mut Session, netuid: u16, hotkey: AccountId, limit: Option<u64>) -> Result<(), Failure> {
    let quoted = quote(&session.at, netuid, hotkey, session.signer).await.map_err(failed)?;
    let limit_rao = limit.unwrap_or(quoted.price_rao);
    session.tell("quote", json!(quoted));
    session.tell("limit_rao", json!(limit_rao));
    session.tell("price_usd", json!(session.usd(quoted.price_rao)));
    session.line("Price now", &session.amount(quoted.price_rao));
    let held = if quoted.limit_is_held { "the chain itself holds it" } else { "this runtime does not hold it" };
    let which = if limit.is_none() { "the price now; " } else { "" };
    session.line("Limit", &format!("{} ({which}{held})", session.amount(limit_rao)));
    session.line("Balance", &session.amount(quoted.balance_rao));
    session.line("Places", &format!("{} of {} are taken; {}", quoted.uids, quoted.max_uids, place(&quoted.place, session.signer)));
    let (blocks, time) = (quoted.immunity_blocks, days(quoted.immunity_blocks.into()));
    session.line("Immunity", &format!("{blocks} blocks, {time:.1} days"));
    session.line("Registered", &quoted.registered_as.map_or_else(|| "no".to_owned(), |uid| format!("as UID {uid} already")));
    let act = Act {
        call: Call::Register { netuid, hotkey, limit_rao },
        arguments: vec![
            ("netuid", netuid.to_string(), json!(netuid)),
            ("hotkey", hotkey.to_string(), json!(hotkey)),
            (
                "limit_price",
                if quoted.limit_is_held { exact(limit_rao) } else { "not an argument of this runtime".to_owned() },
                json!(limit_rao),
            ),
        ],
        balance: Some(Balance {
            free_rao: quoted.balance_rao,
            takes_rao: quoted.price_rao,
            existential_rao: super::transfer::existential(&session.at),
        }),
        hidden: None,
    };
    session.plan(&act).await?;
    if let Some((result, failure)) = hopeless(session, &quoted, limit_rao) {
        session.tell("result", json!(result));
        return Err(failure);
    }
    let Some(outcome) = session.carry_out(&act, async || Ok(())).await? else { return Ok(()) };
    // What the chain's state says, not what was asked for.
    let read = match session.chain().at(outcome.block).await {
        Ok(at) => registered(&at, netuid, hotkey).await,
        Err(error) => Err(error),
    };
    match read {
        Ok(place) => {
            session.tell("registered", json!(place));
            let words = place.map(|place| format!("UID {} on subnet {netuid}, since block {}", place.uid, place.block));
            session.line("Registered", &words.unwrap_or_else(|| "it succeeded, but the hotkey has no UID at that block".to_owned()));
        }
        Err(error) => {
            let see = format!("chutes-miner chain neuron {netuid} {hotkey}");
            session.line("Registered", &format!("yes; its UID could not be read: {error}; see: {see}"));
        }
    }
    Ok(())
}

/// What the chain would say no to whatever is signed: nobody is asked for a password first.
fn hopeless(session: &Session, quoted: &RegistrationQuote, limit_rao: u64) -> Option<(&'static str, Failure)> {
    let netuid = quoted.netuid;
    let no = |result, what: String| Some((result, Failure::general(format!("{what}; nothing was sent"))));
    if let Some(uid) = quoted.registered_as {
        return no("registered_already", format!("the hotkey is registered on subnet {netuid} already, as UID {uid}"));
    }
    if let Some(owner) = quoted.owner.filter(|owner| *owner != session.signer) {
        return no("not_its_owner", format!("the hotkey belongs to the coldkey {owner}, not to {}", session.signer));
    }
    if quoted.price_rao > limit_rao {
        let (price, limit) = (exact(quoted.price_rao), exact(limit_rao));
        let what = format!("a registration on subnet {netuid} costs {price} TAO, more than the limit of {limit}; nothing was sent");
        return Some(("too_dear", Failure::general(what).advise("--limit TAO; or wait: the price falls while nobody registers")));
    }
    if quoted.price_rao > quoted.balance_rao {
        let (price, balance) = (exact(quoted.price_rao), exact(quoted.balance_rao));
        return no("too_poor", format!("it costs {price} TAO, and the coldkey has {balance}"));
    }
    None
}

/// Whose place a newcomer would take, in words.
fn place(place: &Place, signer: AccountId) -> String {
    match place {
        Place::Free => "it takes a free one".to_owned(),
        Place::Taken(victim) => {
            let own = if victim.coldkey == Some(signer) { ", which is your own" } else { "" };
            format!("it takes that of UID {} ({}){own}, if emissions stay", victim.uid, short(&victim.hotkey.to_string()))
        }
        Place::Unknown { why } => format!("whose it takes is not known ({why})"),
    }
}
