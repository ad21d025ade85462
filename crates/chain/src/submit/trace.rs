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

impl Trace {
    /// Follows final blocks until one has the extrinsic, or none can have it any more. Takes as long as the chain does, and bears with nodes
    /// that cannot be read for as long as `patience`. The first block must follow on `birth`: an extrinsic is valid on its fork only.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Expired`]; [`SubmitError::Unknown`] where the chain could not be read for too long: it may be asked again.
    pub async fn outcome(&self, chain: &Chain, patience: Duration) -> Result<Outcome, SubmitError> {
        match self.follow(chain, patience).await {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(SubmitError::Expired { last_block: self.last_block }),
            Err(source) => {
                Err(SubmitError::Unknown { hash: self.hash, birth: self.birth, last_block: self.last_block, source: source.into() })
            }
        }
    }

    /// `None` where no block has it and none will.
    async fn follow(&self, chain: &Chain, patience: Duration) -> Result<Option<Outcome>, ReadError> {
        let mut blocks = chain.finalized_blocks(None).after(self.birth);
        let mut heard = Instant::now();
        loop {
            let block = match blocks.next().await {
                Ok(block) => block,
                Err(error) if may_pass(&error) && heard.elapsed() < patience => {
                    tracing::debug!(%error, "waiting for final blocks");
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(index) = patiently(patience, || self.place_in(chain, block)).await? {
                let outcome = patiently(patience, || async { Outcome::read(&chain.at(block).await?, index).await }).await?;
                return Ok(Some(outcome));
            }
            if block.number >= self.last_block {
                return Ok(None);
            }
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
