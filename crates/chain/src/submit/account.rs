//! A key that sends extrinsics, one after the other.

use std::time::Duration;

use protocol::key::Keypair;

use super::{Call, DryRun, Extrinsic, Mortality, Outcome, Refusal, Signing, SubmitError, Trace, trial};
use crate::read::{AccountId, At, Chain, Quoted, ReadError, Sending};

/// For how long nodes are borne with that cannot be read, while it is not known what became of an extrinsic.
const PATIENCE: Duration = Duration::from_secs(300);

/// A key on a chain. It has one extrinsic at a time; use one `Account` per key, or their nonces meet.
#[derive(Debug)]
pub struct Account {
    chain: Chain,
    key: Keypair,
    period: u64,
    patience: Duration,
}

impl Account {
    /// A key on a chain.
    pub fn new(chain: Chain, key: Keypair) -> Self {
        Self { chain, key, period: Mortality::USUAL, patience: PATIENCE }
    }

    /// Extrinsics that are valid for another number of blocks than [`Mortality::USUAL`].
    #[must_use]
    pub fn valid_for(mut self, blocks: u64) -> Self {
        self.period = blocks;
        self
    }

    /// Another time than 5 minutes for which nodes are borne with that cannot be read, before [`SubmitError::Unknown`] says so.
    #[must_use]
    pub fn patient_for(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The key's account.
    pub fn id(&self) -> AccountId {
        AccountId::from(self.key.address())
    }

    /// Signs a call for the chain as it is now. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Read`], [`SubmitError::Scale`], [`SubmitError::TooDear`].
    pub async fn prepare(&mut self, call: Call) -> Result<Prepared<'_>, SubmitError> {
        let finalized = self.chain.finalized().await?;
        // One older than the newest: in the state of a block, its own hash does not stand yet, and a dry run there would not find it.
        // By its hash, because another node may have another block of its number.
        let birth = self.chain.parent(finalized).await?;
        // Another node may lag behind the one that told of the final block; its state would know nothing of the birth.
        let best = self.chain.best().await?;
        let at = self.chain.at(if best.number < finalized.number { finalized } else { best }).await?;
        affordable(&at, &call).await?;
        let (spec_version, transaction_version) = self.chain.versions(at.block().hash).await?;
        if spec_version != at.runtime().spec_version() {
            let why = format!("version {} was expected, not {spec_version}", at.runtime().spec_version());
            return Err(ReadError::Malformed { method: "state_getRuntimeVersion", why }.into());
        }
        let mortality = Mortality::new(birth, self.period);
        let used = at.account(self.id()).await?.nonce;
        // A node that lags behind may know of fewer than are in this block.
        let waiting = self.chain.next_nonce(self.id()).await?.saturating_sub(used);
        let signing = Signing {
            genesis: self.chain.genesis().await?,
            spec_version,
            transaction_version,
            nonce: used.saturating_add(waiting),
            mortality: Some(mortality),
            tip_rao: 0,
        };
        let extrinsic = Extrinsic::sign(&call, &signing, &self.key, at.runtime())?;
        Ok(Prepared { account: self, at, call, signing, mortality, extrinsic, waiting })
    }
}

/// A signed extrinsic that was not sent. Dropping it is to think better of it.
#[derive(Debug)]
pub struct Prepared<'a> {
    account: &'a mut Account,
    at: At,
    call: Call,
    signing: Signing,
    mortality: Mortality,
    extrinsic: Extrinsic,
    waiting: u32,
}

impl Prepared<'_> {
    /// The bytes that would be sent.
    pub fn extrinsic(&self) -> &Extrinsic {
        &self.extrinsic
    }

    /// What was signed along.
    pub fn signing(&self) -> &Signing {
        &self.signing
    }

    /// The chain at the block for which it was prepared.
    pub fn at(&self) -> &At {
        &self.at
    }

    /// The fee in rao, by the runtime's own estimate: what it costs to be included, without what the call itself takes. 0 for calls that
    /// cost nothing. Newer runtimes may charge the coldkey of a hotkey that signs.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Read`].
    pub async fn fee(&self) -> Result<u64, SubmitError> {
        match self.at.dispatch_info(self.extrinsic.bytes()).await? {
            Quoted::Rao(fee) => Ok(fee),
            Quoted::Bytes(bytes) => {
                let misfit = |source| ReadError::Scale { source, spec_version: self.signing.spec_version };
                Ok(trial::fee(&bytes, self.at.runtime()).map_err(misfit)?)
            }
        }
    }

    /// What the runtime says to these very bytes at the newest block of the preparation. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Read`].
    pub async fn dry_run(&self) -> Result<DryRun, SubmitError> {
        let result = self.at.apply(self.extrinsic.bytes()).await?;
        Ok(DryRun::read(&result, self.at.runtime())?)
    }

    /// What finds it in the blocks to come, once it was sent.
    pub fn trace(&self) -> Trace {
        Trace { hash: self.extrinsic.hash(), birth: self.mortality.birth(), last_block: self.mortality.last_block() }
    }

    /// How many other extrinsics of the key wait in the node's pool. They go first, and one of them may ask for the very same: a command that
    /// was ended too early, or another program with the same key.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Sends it, and follows finalized blocks until one has it, or none can have it any more. Takes as long as the chain does.
    ///
    /// If another extrinsic of the key took the nonce since the preparation, it is signed once more with the next one; but not a transfer,
    /// because the other one may have been the same transfer.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]. An extrinsic that is included and fails is an [`Outcome`] with a `failure`.
    pub async fn submit(self) -> Result<Outcome, SubmitError> {
        self.submit_telling(|_| {}).await
    }

    /// As [`Prepared::submit`]; right before anything is sent, `tell` learns what finds it, also if nobody waits for the end. It is told of
    /// another one where it is signed once more.
    ///
    /// # Errors
    ///
    /// As [`Prepared::submit`].
    pub async fn submit_telling(self, mut tell: impl FnMut(Trace)) -> Result<Outcome, SubmitError> {
        // Once more: a person may have thought it over for minutes, and older runtimes do not hold to the limit.
        if matches!(self.call, Call::Register { .. }) {
            let at = self.account.chain.at(self.account.chain.best().await?).await?;
            affordable(&at, &self.call).await?;
        }
        match self.send_and_follow(&mut tell).await {
            Err(SubmitError::Refused(refusal)) if refusal.is_stale() && !self.call.pays_twice() => {
                tracing::info!(nonce = self.signing.nonce, "the nonce was used already; signing again");
                self.account.prepare(self.call).await?.send_and_follow(&mut tell).await
            }
            other => other,
        }
    }

    async fn send_and_follow(&self, tell: &mut impl FnMut(Trace)) -> Result<Outcome, SubmitError> {
        let chain = &self.account.chain;
        tell(self.trace());
        match chain.send(self.extrinsic.bytes()).await? {
            Sending::Taken => {}
            Sending::Refused(words) => return Err(SubmitError::Refused(Refusal::of_node(&words))),
            Sending::Perhaps(error) => tracing::warn!(%error, "sent, perhaps; looking for it in the blocks to come"),
        }
        self.trace().outcome(chain, self.account.patience).await
    }
}

/// The price of a registration against its limit.
async fn affordable(at: &At, call: &Call) -> Result<(), SubmitError> {
    let Call::Register { netuid, limit_rao, .. } = *call else { return Ok(()) };
    let price_rao = at.burn(netuid).await?;
    if price_rao > limit_rao { Err(SubmitError::TooDear { netuid, price_rao, limit_rao }) } else { Ok(()) }
}
