//! Blocks, and the stream of those that are finalized.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::rpc::{Connection, RpcError, Subscription};
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
/// may break between two. So the blocks are fetched by number, and each must name its predecessor as its parent. What is final is
/// believed of one connection at a time, and only of blocks that come over that same connection: what one node calls final, another may
/// not have heard of, and have another block in its place.
#[derive(Debug)]
pub struct FinalizedBlocks {
    chain: Chain,
    feed: Option<Feed>,
    /// The block that was handed out last.
    last: Option<Block>,
    /// The number to hand out next; `None` until the newest finalized block is known.
    next: Option<u64>,
    /// Failures since the last block.
    failures: u32,
    /// No attempt before.
    pause_until: Option<Instant>,
}

/// One connection, and what its node calls final.
#[derive(Debug)]
struct Feed {
    connection: Connection,
    subscription: Subscription,
    /// The newest finalized number that was heard of.
    finalized: u64,
    /// When a newer one was heard of.
    heard: Instant,
}

impl FinalizedBlocks {
    pub(super) fn new(chain: Chain, from: Option<u64>) -> Self {
        Self { chain, feed: None, last: None, next: from, failures: 0, pause_until: None }
    }

    /// Goes on after a block that was handled before, perhaps by a program of before; a block of another fork is noticed.
    #[must_use]
    pub fn after(mut self, block: Block) -> Self {
        self.last = Some(block);
        self.next = Some(block.number.saturating_add(1));
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
        loop {
            if let Some(until) = self.pause_until {
                sleep_until(until).await;
                self.pause_until = None;
            }
            match self.step().await {
                Ok(Some(block)) => {
                    self.failures = 0;
                    return Ok(block);
                }
                Ok(None) => {}
                Err(error) => {
                    self.failures += 1;
                    self.pause_until = Some(Instant::now() + WAITS.0.saturating_mul(1 << self.failures.min(16)).min(WAITS.1));
                    if let Some(feed) = self.feed.take() {
                        self.chain.blame(&feed.connection, &error).await;
                    }
                    if self.failures >= ATTEMPTS {
                        self.failures = 0;
                        return Err(error);
                    }
                    tracing::debug!(%error, failures = self.failures, "reading finalized blocks");
                }
            }
        }
    }

    /// A block, or news that there may be one.
    async fn step(&mut self) -> Result<Option<Block>, ReadError> {
        let Some(feed) = &mut self.feed else {
            let (connection, subscription) = self.chain.subscribe_finalized().await?;
            // The first notification may be long in coming.
            let finalized = match Chain::finalized_of(&connection).await {
                Ok(block) => block.number,
                Err(error) => {
                    self.chain.blame(&connection, &error).await;
                    return Err(error);
                }
            };
            self.next.get_or_insert(finalized);
            self.feed = Some(Feed { connection, subscription, finalized, heard: Instant::now() });
            return Ok(None);
        };
        let next = *self.next.get_or_insert(feed.finalized);
        if next > feed.finalized {
            if !feed.wait().await? {
                let feed = self.feed.take();
                if let Some(feed) = feed {
                    self.chain.distrust_of(&feed.connection, "it finalizes nothing").await;
                }
            }
            return Ok(None);
        }
        let (block, parent) = self.chain.finalized_block(&feed.connection, next).await?;
        if let Some(last) = self.last.filter(|last| last.number.checked_add(1) == Some(next))
            && parent != last.hash
        {
            let why = format!("block {next} does not follow the one before it");
            return Err(ReadError::Malformed { method: "chain_getHeader", why });
        }
        let after = next
            .checked_add(1)
            .ok_or_else(|| ReadError::Malformed { method: "chain_getHeader", why: "no block has this number".to_owned() })?;
        self.last = Some(block);
        self.next = Some(after);
        Ok(Some(block))
    }
}

impl Feed {
    /// Waits for a newer finalized block; whether there was one, or at least not too long a silence.
    async fn wait(&mut self) -> Result<bool, ReadError> {
        let number = match timeout_at(self.heard + SILENCE, self.subscription.next()).await {
            Ok(Some(header)) => super::chain::header("chain_finalizedHead", &header)?.number,
            Ok(None) => {
                let endpoint = self.connection.endpoint().to_owned();
                return Err(RpcError::Broken { endpoint, why: "the subscription ended".to_owned() }.into());
            }
            Err(_) => {
                let number = Chain::finalized_of(&self.connection).await?.number;
                if number <= self.finalized {
                    return Ok(false);
                }
                number
            }
        };
        if number > self.finalized {
            self.finalized = number;
            self.heard = Instant::now();
        }
        Ok(true)
    }
}
