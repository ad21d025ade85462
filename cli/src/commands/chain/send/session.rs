//! From a plan to an outcome.

use super::{Act, Role, Sending, hurts, outcome};
use crate::{
    args::Output,
    commands::{
        chain::{endpoints::named, exact, failed, network},
        wallet,
    },
    failure::{Failure, Kind},
    output::{self, printable},
};
use chain::{
    read::{AccountId, At, Chain, Network},
    submit::{Account, CHUTES_NETUID, Call, DryRun, Outcome, Prepared, SubmitError, warnings},
    tracker::tao,
    wallet::WalletKey,
};
use serde_json::{Map, Value, json};
use std::{convert::Infallible, time::Duration};
use tokio::{signal::ctrl_c, sync::oneshot, time::sleep};

/// Age of the newest block from which on what a node says of prices and balances may have passed.
const STALE_S: i64 = 180;
/// Between two looks at the newest block while waiting.
const LOOK: Duration = Duration::from_secs(6);
/// Looks after which it is said that nothing happened.
const QUIET: u32 = 10;
/// Width of the names in front of values.
const NAMES: usize = 16;

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
    sent: Option<Sent>,
}

struct Sent {
    hash: String,
    last_block: u64,
    nonce: u32,
    look: String,
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

    /// A field of the JSON document.
    pub(super) fn tell(&mut self, name: &str, value: Value) {
        self.report.insert(name.to_owned(), value);
    }

    /// A line for people. Where standard output is for programs they read it on standard error, if they are asked.
    pub(super) fn line(&self, name: &str, value: &str) {
        let line = output::wrapped(&format!("{name:<NAMES$}{}", printable(value)), output::width(), NAMES);
        if self.sending.output == Output::Table {
            output::text(&format!("{line}\n"));
        } else if !self.sending.yes && !self.sending.dry_run {
            output::note(&line);
        }
    }

    /// An amount for people, in dollars, too, if their price was given.
    pub(super) fn amount(&self, rao: u64) -> String {
        let usd = self.sending.tao_usd.map_or_else(String::new, |usd| format!(" (${:.2})", tao(rao) * usd));
        format!("{} TAO{usd}", exact(rao))
    }

    /// An amount in dollars, if their price was given.
    pub(super) fn usd(&self, rao: u64) -> Option<f64> {
        self.sending.tao_usd.map(|usd| tao(rao) * usd)
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
        let warnings = warnings(&self.at, &act.call, self.signer, self.chutes).await.map_err(failed)?;
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

    /// Carries out a planned act; `None` if it was to be tried only. `ready` runs when all is decided, right before it is sent.
    pub(super) async fn carry_out(&mut self, act: &Act, ready: impl FnOnce() -> Result<(), Failure>) -> Result<Option<Outcome>, Failure> {
        let mut account = self.account().await?;
        let prepared = account.prepare(act.call.clone()).await.map_err(|error| self.unsent(error))?;
        self.tell("nonce", json!(prepared.signing().nonce));
        self.try_out(act, &prepared).await?;
        self.check_waiting(prepared.signing().nonce).await?;
        if self.sending.dry_run {
            self.tell("result", json!("would_succeed"));
            return Ok(None);
        }
        self.confirm(act).await?;
        self.check_price(act).await?;
        ready()?;
        self.send(act, prepared).await.map(Some)
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
    async fn check_waiting(&mut self, nonce: u32) -> Result<(), Failure> {
        let newest = self.chain.at(self.chain.best().await.map_err(failed)?).await.map_err(failed)?;
        let waiting = nonce.saturating_sub(newest.account(self.signer).await.map_err(failed)?.nonce);
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

    /// Whoever thought about it for a while would pay a fee to hear that the price has risen; or the price, where the chain holds no limit.
    async fn check_price(&mut self, act: &Act) -> Result<(), Failure> {
        let Call::Register { netuid, limit_rao, .. } = act.call else { return Ok(()) };
        let newest = self.chain.at(self.chain.best().await.map_err(failed)?).await.map_err(failed)?;
        let price_rao = newest.burn(netuid).await.map_err(failed)?;
        if price_rao > limit_rao {
            return Err(self.unsent(SubmitError::TooDear { netuid, price_rao, limit_rao }));
        }
        Ok(())
    }

    async fn send(&mut self, act: &Act, prepared: Prepared<'_>) -> Result<Outcome, Failure> {
        let hash = format!("0x{}", hex::encode(prepared.extrinsic().hash()));
        let nonce = prepared.signing().nonce;
        let last_block = prepared.signing().mortality.map_or(u64::MAX, |mortality| mortality.last_block());
        output::note(&format!("sending {hash}; waiting for a block to take it, up to {last_block}"));
        self.tell("extrinsic", json!(hash));
        self.tell("valid_until_block", json!(last_block));
        self.sent = Some(Sent { hash, last_block, nonce, look: act.look.clone() });
        let submitted = tokio::select! {
            biased;
            submitted = prepared.submit() => submitted,
            never = progress(&self.chain, self.signer, nonce, last_block) => match never {},
        };
        let known = match submitted {
            Ok(known) => known,
            Err(error) => {
                let lost = matches!(error, SubmitError::Unknown { .. });
                let failure = self.unsent(error);
                if !lost {
                    self.sent = None;
                }
                return Err(failure);
            }
        };
        self.sent = None;
        self.tell("outcome", json!(known));
        self.line("Included", &format!("block {}, extrinsic {}, final", named(known.block), known.index));
        if let Some(fee) = known.fee_rao {
            self.line("Fee paid", &self.amount(fee));
        }
        match &known.failure {
            None => {
                self.tell("result", json!("done"));
                Ok(known)
            }
            Some(failure) => {
                self.tell("result", json!("failed"));
                Err(outcome::failed(failure, known.fee_rao))
            }
        }
    }

    /// Words for an extrinsic that has no outcome.
    fn unsent(&mut self, error: SubmitError) -> Failure {
        let (result, failure) = outcome::unsent(error, self.sent.as_ref().map(|sent| (sent.nonce, sent.look.as_str())));
        self.tell("result", json!(result));
        failure
    }

    fn interrupted(&mut self) -> Failure {
        let Some(sent) = &self.sent else {
            // What is final stays so, whoever stops reading.
            let known = self.report.contains_key("outcome");
            self.report.entry("result").or_insert(json!("interrupted"));
            let what = if known { "interrupted; it was done, and not all of it was read back" } else { "interrupted; nothing was sent" };
            return Failure::new(Kind::Interrupted, what);
        };
        let what = format!("interrupted; the extrinsic {} may be on its way, and in a block up to {}", sent.hash, sent.last_block);
        let failure = Failure::new(Kind::Interrupted, what).advise(outcome::how_to_look(sent.nonce, sent.last_block, &sent.look));
        self.tell("result", json!("unknown"));
        failure
    }

    fn end(mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        if self.sending.output == Output::Json {
            self.report.entry("result").or_insert_with(|| json!(if ended.is_ok() { "done" } else { "not_sent" }));
            self.tell("error", json!(ended.as_ref().err().map(Failure::what)));
            output::json_indented(&Value::Object(self.report));
        }
        ended
    }
}

/// The key that signs. It may wait for somebody to type, and for a password to be stretched; the connection stays alive meanwhile.
async fn opened(sending: &Sending, role: Role) -> Result<WalletKey, Failure> {
    let (which, password) = (sending.which(role), sending.signer.password_file.clone());
    let opened = beside(move || wallet::key(&which, password.as_deref())).await;
    let opened = opened.unwrap_or_else(|| Err(Failure::general("the key could not be opened")));
    opened.map_err(|failure| match failure.kind {
        Kind::Interrupted => Failure::new(Kind::Interrupted, "interrupted; nothing was sent"),
        _ => failure,
    })
}

/// Runs what blocks in a thread that nobody waits for when the program ends; `None` if it panics.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.await.ok()
}

/// Says how far it is, for as long as it is waited for. The nonce tells of a block that is not final yet; what came of it is read when it is.
async fn progress(chain: &Chain, signer: AccountId, nonce: u32, last_block: u64) -> Infallible {
    let (mut included, mut looks) = (false, 0);
    loop {
        sleep(LOOK).await;
        looks += 1;
        let Ok(best) = chain.best().await else { continue };
        let Ok(at) = chain.at(best).await else { continue };
        let passed = at.account(signer).await.is_ok_and(|account| account.nonce > nonce);
        if passed && !included {
            output::note(&format!("block {} or one before it took it; waiting for it to be final", best.number));
            (included, looks) = (true, 0);
        } else if looks % QUIET == 0 {
            let what = if included { "not final yet".to_owned() } else { format!("no block took it yet; it is valid up to {last_block}") };
            output::note(&format!("block {}: {what}", best.number));
        }
    }
}
