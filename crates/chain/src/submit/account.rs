//! A key that sends extrinsics, one after the other.

use std::time::Duration;

use parity_scale_codec::Encode as _;
use protocol::key::Keypair;
use tokio::time::sleep;

use super::{Call, DryRun, Extrinsic, Mortality, Outcome, Refusal, Signing, SubmitError};
use crate::read::rpc::RpcError;
use crate::read::scale::{ScaleError, Value};
use crate::read::{AccountId, At, Block, Chain, ReadError};

/// Attempts at reading a block in which the extrinsic may be, and the wait between two.
const ATTEMPTS: u32 = 6;
const WAIT: Duration = Duration::from_secs(2);

/// Error codes of a node that has, or had, the very same extrinsic.
const TEMPORARILY_BANNED: i64 = 1012;
const ALREADY_IMPORTED: i64 = 1013;

/// A key on a chain. It has one extrinsic at a time; use one `Account` per key, or their nonces meet.
#[derive(Debug)]
pub struct Account {
    chain: Chain,
    key: Keypair,
    period: u64,
}

impl Account {
    /// A key on a chain.
    pub fn new(chain: Chain, key: Keypair) -> Self {
        Self { chain, key, period: Mortality::USUAL }
    }

    /// Extrinsics that are valid for another number of blocks than [`Mortality::USUAL`].
    #[must_use]
    pub fn valid_for(mut self, blocks: u64) -> Self {
        self.period = blocks;
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
        let birth = match finalized.number.checked_sub(1) {
            Some(number) if number > 0 => self.chain.block(number).await?,
            _ => finalized,
        };
        let at = self.chain.at(self.chain.best().await?).await?;
        if let Call::Register { netuid, limit_rao, .. } = call {
            let price_rao = at.burn(netuid).await?;
            if price_rao > limit_rao {
                return Err(SubmitError::TooDear { netuid, price_rao, limit_rao });
            }
        }
        let (spec_version, transaction_version) = self.chain.versions(at.block().hash).await?;
        if spec_version != at.runtime().spec_version() {
            let why = format!("version {} was expected, not {spec_version}", at.runtime().spec_version());
            return Err(ReadError::Malformed { method: "state_getRuntimeVersion", why }.into());
        }
        let mortality = Mortality::new(birth, self.period);
        let signing = Signing {
            genesis: self.chain.genesis().await?,
            spec_version,
            transaction_version,
            nonce: self.chain.next_nonce(self.id()).await?,
            mortality: Some(mortality),
            tip_rao: 0,
        };
        let extrinsic = Extrinsic::sign(&call, &signing, &self.key, at.runtime())?;
        Ok(Prepared { account: self, at, call, signing, mortality, extrinsic })
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
    /// cost nothing.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Read`].
    pub async fn fee(&self) -> Result<u64, SubmitError> {
        let bytes = self.extrinsic.bytes();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).encode();
        let arguments = [bytes, &length].concat();
        let info: Value = self.at.call_encoded("TransactionPaymentApi", "query_info", &arguments).await?;
        let source = || ScaleError::Unknown("partial_fee in RuntimeDispatchInfo".to_owned());
        let fee = info.field("partial_fee").and_then(Value::as_u64);
        fee.ok_or_else(|| SubmitError::Scale { source: source(), spec_version: self.signing.spec_version })
    }

    /// What the runtime says to these very bytes at the newest block of the preparation. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Read`].
    pub async fn dry_run(&self) -> Result<DryRun, SubmitError> {
        let result = self.at.apply(self.extrinsic.bytes()).await?;
        Ok(DryRun::of(&result, self.at.runtime())?)
    }

    /// Sends it, and follows finalized blocks until one has it, or none can have it any more. Takes as long as the chain does.
    ///
    /// If another extrinsic of the key took the nonce since the preparation, it is signed once more with the next one.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]. An extrinsic that is included and fails is an [`Outcome`] with a `failure`.
    pub async fn submit(self) -> Result<Outcome, SubmitError> {
        match self.send_and_follow().await {
            Err(SubmitError::Refused(refusal)) if refusal.is_stale() => {
                tracing::info!(nonce = self.signing.nonce, "the nonce was used already; signing again");
                self.account.prepare(self.call).await?.send_and_follow().await
            }
            other => other,
        }
    }

    async fn send_and_follow(&self) -> Result<Outcome, SubmitError> {
        let chain = &self.account.chain;
        match chain.send(self.extrinsic.bytes()).await {
            Ok(()) => {}
            Err(ReadError::Rpc(RpcError::Refused { code, message, .. })) => {
                // An endpoint may have taken it and failed before it could say so. Then it waits in a pool, or is in a block already.
                if !matches!(code, TEMPORARILY_BANNED | ALREADY_IMPORTED) && !self.is_in_a_block().await? {
                    return Err(SubmitError::Refused(Refusal::of_node(&message)));
                }
            }
            Err(error) if error.is_passing() => tracing::warn!(%error, "sent, perhaps; looking for it in the blocks to come"),
            Err(error) => return Err(error.into()),
        }
        self.follow().await.unwrap_or_else(|source| {
            Err(SubmitError::Unknown { hash: self.extrinsic.hash(), last_block: self.mortality.last_block(), source })
        })
    }

    /// Whether a block since the preparation has it, final or not.
    async fn is_in_a_block(&self) -> Result<bool, SubmitError> {
        let unknown = |source| SubmitError::Unknown { hash: self.extrinsic.hash(), last_block: self.mortality.last_block(), source };
        let best = self.account.chain.best().await.map_err(unknown)?.number;
        for number in self.mortality.birth().number + 1..=best.min(self.mortality.last_block()) {
            let block = self.account.chain.block(number).await.map_err(unknown)?;
            if self.place_in(block).await.map_err(unknown)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The outer error: the chain cannot be read, and nothing is known.
    async fn follow(&self) -> Result<Result<Outcome, SubmitError>, ReadError> {
        let last_block = self.mortality.last_block();
        let mut blocks = self.account.chain.finalized_blocks(Some(self.mortality.birth().number + 1));
        loop {
            let block = blocks.next().await?;
            if let Some(index) = patiently(|| self.place_in(block)).await? {
                let outcome = patiently(|| async { Outcome::read(&self.account.chain.at(block).await?, index).await }).await?;
                return Ok(Ok(outcome));
            }
            if block.number >= last_block {
                return Ok(Err(SubmitError::Expired { last_block }));
            }
        }
    }

    async fn place_in(&self, block: Block) -> Result<Option<u32>, ReadError> {
        let extrinsics = self.account.chain.extrinsics(block.hash).await?;
        let place = extrinsics.iter().position(|bytes| bytes == self.extrinsic.bytes());
        Ok(place.and_then(|place| u32::try_from(place).ok()))
    }
}

/// A read that is tried again while what keeps it from succeeding may pass.
async fn patiently<T, F>(mut read: impl FnMut() -> F) -> Result<T, ReadError>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let mut attempt = 1;
    loop {
        match read().await {
            Err(error) if error.is_passing() && attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "looking for an extrinsic");
                attempt += 1;
                sleep(WAIT).await;
            }
            other => return other,
        }
    }
}
