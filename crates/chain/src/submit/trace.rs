//! Looking for an extrinsic in the blocks that may have it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::extrinsic::hash;
use super::{Outcome, SubmitError};
use crate::read::{Block, Chain, ReadError};

/// The wait between two attempts to read a block that is there.
const WAIT: Duration = Duration::from_secs(2);

/// What it takes to find an extrinsic, also for a program that starts later and asks other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// Its hash: `blake2b_256` of its bytes.
    pub hash: [u8; 32],
    /// The block after which it may be in one.
    pub birth: Block,
    /// The last block that can have it.
    pub last_block: u64,
}

/// Where an extrinsic is, by the blocks that are final now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A final block has it. [`Outcome::read`] says what came of it, as long as a node keeps the block's state.
    In {
        /// The block.
        block: Block,
        /// Its place among the block's extrinsics, from 0.
        index: u32,
    },
    /// None has it, and later ones may.
    NotYet {
        /// The newest that was looked at: the birth if there was none.
        newest: Block,
    },
    /// None has it, and none will.
    Never,
}

impl Trace {
    /// Looks through the blocks that are final, and waits for no others. Bears with nodes that cannot be read for as long as `patience`.
    ///
    /// # Errors
    ///
    /// Why the chain cannot be read; [`ReadError::Malformed`] also where the blocks do not follow on `birth`.
    pub async fn look(&self, chain: &Chain, patience: Duration) -> Result<Found, ReadError> {
        let finalized = patiently(patience, || chain.finalized()).await?;
        let until = finalized.number.min(self.last_block);
        self.search(chain, patience, Some(until)).await
    }

    /// Follows final blocks until one has the extrinsic, or none can have it any more. Takes as long as the chain does, and bears with nodes
    /// that cannot be read for as long as `patience`. The first block must follow on `birth`: an extrinsic is valid on its fork only.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Expired`]; [`SubmitError::Unknown`] where the chain could not be read for too long: it may be asked again.
    pub async fn outcome(&self, chain: &Chain, patience: Duration) -> Result<Outcome, SubmitError> {
        let outcome = async {
            match self.search(chain, patience, None).await? {
                Found::In { block, index } => {
                    patiently(patience, || async { Outcome::read(&chain.at(block).await?, index).await }).await.map(Some)
                }
                Found::NotYet { .. } | Found::Never => Ok(None),
            }
        };
        match outcome.await {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(SubmitError::Expired { last_block: self.last_block }),
            Err(source) => {
                Err(SubmitError::Unknown { hash: self.hash, birth: self.birth, last_block: self.last_block, source: source.into() })
            }
        }
    }

    /// Goes through final blocks up to one, or to the last that can have it.
    async fn search(&self, chain: &Chain, patience: Duration, until: Option<u64>) -> Result<Found, ReadError> {
        let mut newest = self.birth;
        let mut blocks = chain.finalized_blocks(None).after(self.birth);
        let mut heard = Instant::now();
        loop {
            if newest.number >= self.last_block {
                return Ok(Found::Never);
            }
            if until.is_some_and(|until| newest.number >= until) {
                return Ok(Found::NotYet { newest });
            }
            let block = match blocks.next().await {
                Ok(block) => block,
                Err(error) if may_pass(&error) && heard.elapsed() < patience => {
                    tracing::debug!(%error, "waiting for final blocks");
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(index) = patiently(patience, || self.place_in(chain, block)).await? {
                return Ok(Found::In { block, index });
            }
            newest = block;
            heard = Instant::now();
        }
    }

    async fn place_in(&self, chain: &Chain, block: Block) -> Result<Option<u32>, ReadError> {
        let extrinsics = chain.extrinsics(block.hash).await?;
        let place = extrinsics.iter().position(|bytes| hash(bytes) == self.hash);
        Ok(place.and_then(|place| u32::try_from(place).ok()))
    }
}

/// Whether another attempt may do better. A block that one node called final, another may not have heard of yet.
fn may_pass(error: &ReadError) -> bool {
    error.is_passing() || matches!(error, ReadError::NoSuchBlock(_))
}

/// A read that is tried again for as long as `patience`, while what keeps it from succeeding may pass.
async fn patiently<T, F>(patience: Duration, mut read: impl FnMut() -> F) -> Result<T, ReadError>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let begun = Instant::now();
    loop {
        match read().await {
            Err(error) if may_pass(&error) && begun.elapsed() < patience => {
                tracing::debug!(%error, "looking for an extrinsic");
                sleep(WAIT).await;
            }
            other => return other,
        }
    }
}
