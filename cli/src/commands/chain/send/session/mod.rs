//! From a plan to an outcome.

mod key;
mod report;
mod sending;

use super::{Act, Role, Sending, hurts};
use crate::{
    commands::{
        chain::{endpoints::named, exact, failed, network},
        wallet,
    },
    failure::{Failure, Kind},
    output,
};
use chain::{
    read::{AccountId, At, Chain, Network},
    submit::{Account, CHUTES_NETUID, Call, DryRun, Outcome, Prepared, Trace, warnings, warnings_of_hidden},
};
use key::{beside, opened};
use serde_json::{Map, Value, json};
use tokio::signal::ctrl_c;

/// Age of the newest block from which on what a node says of prices and balances may have passed.
const STALE_S: i64 = 180;

/// A command under way.
pub(super) struct Session {
    sending: Sending,
    role: Role,
    chain: Chain,
    /// The newest block, at which everything is read that is shown.
    pub(super) at: At,
    /// Who signs.
    pub(super) signer: AccountId,
    /// The key, once it is open.
    account: Option<Account>,
    chutes: Option<u16>,
    report: Map<String, Value>,
    /// What may be on its way to a block.
    sent: Option<Trace>,
}

/// Runs a command's work, with an end that tells what is known.
pub(super) async fn session(
    sending: &Sending,
    role: Role,
    work: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<(), Failure> {
    sending.check()?;
    let begun = tokio::select! {
        biased;
        begun = Session::begin(sending, role) => begun,
        _ = ctrl_c() => Err(Failure::new(Kind::Interrupted, "interrupted; nothing was sent")),
    };
    let mut session = begun?;
    let ended = tokio::select! {
        biased;
        ended = work(&mut session) => Some(ended),
        _ = ctrl_c() => None,
    };
    let ended = ended.unwrap_or_else(|| Err(session.interrupted()));
    session.end(ended)
}

impl Session {
    async fn begin(sending: &Sending, role: Role) -> Result<Self, Failure> {
        let (chain, given) = sending.nodes.chain()?;
        // Without a password: the public half, or a plain file, says whose it is.
        let (signer, account) = match wallet::address(&sending.which(role)) {
            Ok(address) => (AccountId::from(&address), None),
            Err(_) => {
                let account = Account::new(chain.clone(), opened(sending, role).await?.into_keypair());
                (account.id(), Some(account))
            }
        };
        let at = chain.at(chain.best().await.map_err(failed)?).await.map_err(failed)?;
        let genesis = chain.genesis().await.map_err(failed)?;
        let network = network(&chain, given).await?;
        let endpoint = chain.endpoint().await;
        let chutes = (Network::with_genesis(&genesis) == Some(Network::Finney)).then_some(CHUTES_NETUID);
        let mut session = Self { sending: sending.clone(), role, chain, at, signer, account, chutes, report: Map::new(), sent: None };
        session.tell("network", json!(network));
        session.tell("endpoint", json!(endpoint));
        session.tell("genesis", json!(format!("0x{}", hex::encode(genesis))));
        session.tell("block", json!(session.at.block()));
        session.tell("signer", json!(signer));
        session.line("Network", &format!("{network}, block {}", named(session.at.block())));
        session.line("Endpoint", &endpoint.unwrap_or_else(|| "-".to_owned()));
        session.line("Signer", &format!("{signer} ({})", role.word()));
        session.check_age().await;
        Ok(session)
    }

    /// Says when the node may be behind. A chain without a clock says 1970.
    async fn check_age(&self) {
        let Ok(made) = self.at.time().await else { return };
        let age = jiff::Timestamp::now().as_second() - made.as_second();
        if made.as_second() > 0 && age > STALE_S {
            output::note(&format!("warning: the node's newest block is {} old; what it says may have passed", output::span(age)));
        }
    }

    /// The chain that is sent to.
    pub(super) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The key, opened when it is first needed.
    async fn account(&mut self) -> Result<Account, Failure> {
        if let Some(account) = self.account.take() {
            return Ok(account);
        }
        let account = Account::new(self.chain.clone(), opened(&self.sending, self.role).await?.into_keypair());
        if account.id() != self.signer {
            let what = format!("the {} is the key of {}, but its public half says {}", self.role.word(), account.id(), self.signer);
            return Err(Failure::general(format!("{what}; nothing was sent")).advise("chutes-miner wallet list shows which keys there are"));
        }
        Ok(account)
    }

    /// What it costs to have a call included, in rao. Needs the key.
    pub(super) async fn fee(&mut self, call: Call) -> Result<u64, Failure> {
        let mut account = self.account().await?;
        let fee = match account.prepare(call).await {
            Ok(prepared) => prepared.fee().await,
            Err(error) => Err(error),
        };
        self.account = Some(account);
        fee.map_err(|error| self.unsent(error))
    }

    /// Shows the act, asks the guard rails. What comes after needs the key.
    pub(super) async fn plan(&mut self, act: &Act) -> Result<(), Failure> {
        let name = act.call.name(self.at.runtime());
        let arguments: Map<String, Value> = act.arguments.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())).collect();
        self.tell("call", json!({ "name": name, "arguments": arguments }));
        self.line("Call", &name);
        for (name, value, _) in &act.arguments {
            self.line(&format!("  {name}"), value);
        }
        let mut warnings = warnings(&self.at, &act.call, self.signer, self.chutes).await.map_err(failed)?;
        if let Some((netuid, weights)) = &act.hidden {
            warnings.extend(warnings_of_hidden(&self.at, *netuid, weights, self.signer).await.map_err(failed)?);
        }
        self.tell("warnings", json!(warnings));
        for warning in &warnings {
            self.line("Warning", &warning.to_string());
        }
        match warnings.iter().find(|warning| hurts(warning)) {
            Some(warning) if !self.sending.accept_warnings && !self.sending.dry_run => {
                self.tell("result", json!("declined"));
                let advice = if self.sending.yes { "--accept-warnings beside --yes" } else { "--accept-warnings" };
                Err(Failure::new(Kind::Declined, format!("{warning}; nothing was sent"))
                    .advise(format!("{advice}, if it shall be sent all the same")))
            }
            _ => Ok(()),
        }
    }

    /// Carries out a planned act; `None` if it was to be tried only. `ready` runs when all is decided, right before it is sent. What the
    /// price of a registration is then, [`Prepared::submit`] looks at itself.
    pub(super) async fn carry_out(
        &mut self,
        act: &Act,
        ready: impl AsyncFnOnce() -> Result<(), Failure>,
    ) -> Result<Option<Outcome>, Failure> {
        let mut account = self.account().await?;
        let prepared = account.prepare(act.call.clone()).await.map_err(|error| self.unsent(error))?;
        self.tell("nonce", json!(prepared.signing().nonce));
        self.try_out(act, &prepared).await?;
        self.check_waiting(prepared.waiting())?;
        if self.sending.dry_run {
            self.tell("result", json!("would_succeed"));
            return Ok(None);
        }
        self.confirm(act).await?;
        ready().await?;
        self.send(prepared).await.map(Some)
    }

    /// Fee and dry run.
    async fn try_out(&mut self, act: &Act, prepared: &Prepared<'_>) -> Result<(), Failure> {
        let fee = prepared.fee().await.map_err(|error| self.unsent(error))?;
        self.tell("fee_rao", json!(fee));
        self.line("Fee", &if fee == 0 { "none".to_owned() } else { self.amount(fee) });
        if let Some(balance) = act.balance {
            let left = balance.free_rao.checked_sub(balance.takes_rao).and_then(|left| left.checked_sub(fee));
            self.tell("balance_after_rao", json!(left));
            match left {
                Some(left) => self.line("Balance after", &self.amount(left)),
                None => self.line("Balance after", "it is too small for this and the fee"),
            }
            if left.is_some_and(|left| left < balance.existential_rao) {
                let least = exact(balance.existential_rao);
                self.line("Warning", &format!("that is less than the {least} TAO an account lives on; the chain would remove it"));
            }
        }
        self.line("Nonce", &prepared.signing().nonce.to_string());
        let dry_run = prepared.dry_run().await.map_err(|error| self.unsent(error))?;
        self.tell("dry_run", json!(dry_run));
        let why = match dry_run {
            DryRun::Succeeds => {
                self.line("Dry run", "it would succeed");
                return Ok(());
            }
            DryRun::Fails(failure) => format!("it would fail: {failure}"),
            DryRun::Refused(refusal) => format!("no block would take it: {refusal}"),
        };
        self.line("Dry run", &why);
        self.tell("result", json!("would_fail"));
        Err(Failure::general(format!("the chain was asked, and {why}; nothing was sent")))
    }

    /// What was sent before and is in no block yet may be the very same: by a command that was interrupted, or another program.
    fn check_waiting(&mut self, waiting: u32) -> Result<(), Failure> {
        self.tell("waiting", json!(waiting));
        if waiting == 0 {
            return Ok(());
        }
        let what = format!("{waiting} extrinsic(s) of this key were sent and are in no block yet; the same may be among them");
        self.line("Warning", &what);
        if self.sending.accept_warnings || self.sending.dry_run {
            return Ok(());
        }
        self.tell("result", json!("declined"));
        let advice = "some minutes of patience; or --accept-warnings, if this one shall be sent, too";
        Err(Failure::new(Kind::Declined, format!("{what}; nothing was sent")).advise(advice))
    }

    /// Asks whether it shall be sent, unless that is known.
    async fn confirm(&mut self, act: &Act) -> Result<(), Failure> {
        if self.sending.yes {
            return Ok(());
        }
        let question = format!("Send {} to the chain? It cannot be undone. Type yes: ", act.call.name(self.at.runtime()));
        let answer = beside(move || output::ask(&question)).await.flatten();
        if answer.is_some_and(|answer| answer.trim() == "yes") {
            return Ok(());
        }
        self.tell("result", json!("declined"));
        Err(Failure::new(Kind::Declined, "nothing was sent"))
    }
}
