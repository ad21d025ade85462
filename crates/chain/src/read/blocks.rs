//! Blocks, and the stream of those that are finalized.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::rpc::Subscription;
use super::{Chain, ReadError};

/// Blocks come every 12 s, and are finalized a few blocks later. After this much silence the endpoint is asked, and left if it has nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// Waits between attempts while nothing can be reached.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// Attempts at one block before the error is given out; the reader may go on asking.
const ATTEMPTS: u32 = 6;

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Block {
    /// How many came before it.
    pub number: u64,
    /// What tells it from another block of the same number.
    #[serde(with = "hash_text")]
    pub hash: [u8; 32],
}

/// What of a block's header is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) number: u64,
    pub(super) parent: [u8; 32],
}

/// A hash as `0x…`.
pub(super) mod hash_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::read) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(hash)))
    }

    pub(in crate::read) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom("a hash as 0x and 64 hexadecimal digits is wanted"))
    }
}

/// Every finalized block from some number on: in order, none twice, none left out, whatever happens to the connection.
///
/// Notifications are hints that there may be more: nodes leave out numbers when several blocks become final at once, and a connection
/// may break between two. So the blocks are fetched by number, and each must name its predecessor as its parent.
#[derive(Debug)]
pub struct FinalizedBlocks {
    chain: Chain,
    subscription: Option<Subscription>,
    /// The block that was handed out last.
    last: Option<Block>,
    /// The number to hand out next; `None` until the newest finalized block is known.
    next: Option<u64>,
    /// The newest finalized number that was heard of.
    finalized: Option<u64>,
}

impl FinalizedBlocks {
    pub(super) fn new(chain: Chain, from: Option<u64>) -> Self {
        Self { chain, subscription: None, last: None, next: from, finalized: None }
    }

    /// Goes on after a block that was handled before, perhaps by a program of before; a block of another fork is noticed.
    #[must_use]
    pub fn after(mut self, block: Block) -> Self {
        self.last = Some(block);
        self.next = Some(block.number + 1);
        self
    }

    /// The next finalized block, waiting for it as long as it takes.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// What kept several attempts from succeeding. Calling again goes on at the same block.
    pub async fn next(&mut self) -> Result<Block, ReadError> {
        let mut attempt = 0;
        loop {
            match self.step().await {
                Ok(Some(block)) => return Ok(block),
                Ok(None) => attempt = 0,
                Err(error) => {
                    attempt += 1;
                    self.subscription = None;
                    if attempt >= ATTEMPTS {
                        return Err(error);
                    }
                    tracing::debug!(%error, attempt, "reading finalized blocks");
                    sleep(WAITS.0.saturating_mul(1 << attempt).min(WAITS.1)).await;
                }
            }
        }
    }

    /// A block, or news that there may be one.
    async fn step(&mut self) -> Result<Option<Block>, ReadError> {
        match (self.next, self.finalized) {
            (Some(next), Some(finalized)) if next <= finalized => self.fetch(next).await.map(Some),
            (next, _) => {
                let finalized = self.wait().await?;
                self.finalized = self.finalized.max(Some(finalized));
                self.next = Some(next.unwrap_or(finalized));
                Ok(None)
            }
        }
    }

    async fn fetch(&mut self, number: u64) -> Result<Block, ReadError> {
        let block = self.chain.block(number).await;
        if let Err(ReadError::NoSuchBlock(_)) = &block {
            // Final, and yet unknown here: this endpoint is behind the one that told us.
            self.chain.distrust("it is behind other endpoints").await;
        }
        let block = block?;
        if let Some(last) = self.last.filter(|last| last.number + 1 == number) {
            let parent = self.chain.header(block.hash).await?.parent;
            if parent != last.hash {
                self.chain.distrust("it is on another fork").await;
                return Err(ReadError::Malformed {
                    method: "chain_getHeader",
                    why: format!("block {number} does not follow the one before it"),
                });
            }
        }
        self.last = Some(block);
        self.next = Some(number + 1);
        Ok(block)
    }

    /// Number of a finalized block, when there is a newer one.
    async fn wait(&mut self) -> Result<u64, ReadError> {
        if self.subscription.is_none() {
            self.subscription = Some(self.chain.subscribe_finalized().await?);
            // The first notification may be long in coming.
            return Ok(self.chain.finalized().await?.number);
        }
        let Some(subscription) = &mut self.subscription else { return Ok(self.finalized.unwrap_or_default()) };
        match timeout(SILENCE, subscription.next()).await {
            Ok(Some(header)) => super::chain::header("chain_finalizedHead", &header).map(|header| header.number),
            Ok(None) => {
                self.subscription = None;
                Ok(self.finalized.unwrap_or_default())
            }
            Err(_) => {
                let number = self.chain.finalized().await?.number;
                if Some(number) <= self.finalized {
                    self.chain.distrust("it finalizes nothing").await;
                    self.subscription = None;
                }
                Ok(number)
            }
        }
    }
}
