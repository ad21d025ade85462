//! The loop: a block, its changes, the sink.

use super::look::Seen;
use super::{Changes, Held, TenureSink};
use crate::read::{Block, Chain, FinalizedBlocks, ReadError};

/// A price is kept when it differs from the last one kept by a fiftieth: on runtimes where it decays with every block, keeping each would
/// be a million rows a day, of which nothing could be told that a row every ten blocks does not tell.
const PRICE_STEP: u64 = 50;

/// Why a block was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum FollowError<E: std::error::Error + 'static> {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It could not be kept.
    #[error(transparent)]
    Sink(E),
    /// The chain is not the one of which the sink holds the position.
    #[error("block {} of the chain is not the one that was taken in: another chain, or a finalized block was undone", .0.number)]
    AnotherChain(Block),
}

/// A block that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The block.
    pub block: Block,
    /// Whether it was the first one, whose changes are everything that is there.
    pub first: bool,
    /// What changed.
    pub changes: Changes,
    /// Tenures that run now.
    pub running: usize,
}

/// Takes finalized blocks into a sink, one by one.
#[derive(Debug)]
pub struct Follower<S> {
    chain: Chain,
    sink: S,
    only: Option<u16>,
    begin_at: Option<u64>,
    going: Option<(FinalizedBlocks, Held)>,
}

impl<S: TenureSink> Follower<S> {
    /// Follows all subnets, or `only` one. A sink that holds nothing begins with block `begin_at`, or the newest finalized one.
    pub fn new(chain: Chain, sink: S, only: Option<u16>, begin_at: Option<u64>) -> Self {
        Self { chain, sink, only, begin_at, going: None }
    }

    /// Takes in the next finalized block, waiting for it as long as it takes.
    ///
    /// Dropping the future loses nothing, and neither does an error: calling again goes on where the sink is.
    ///
    /// # Errors
    ///
    /// [`FollowError`].
    pub async fn next(&mut self) -> Result<Taken, FollowError<S::Error>> {
        // Taken out while at work: whatever ends this early leaves nothing behind that might differ from the sink.
        let (mut blocks, mut held) = match self.going.take() {
            Some(going) => going,
            None => match self.sink.load().await.map_err(FollowError::Sink)? {
                None => return self.begin().await,
                Some(held) => {
                    if self.chain.block(held.block.number).await?.hash != held.block.hash {
                        return Err(FollowError::AnotherChain(held.block));
                    }
                    (self.chain.finalized_blocks(None).after(held.block), held)
                }
            },
        };
        let block = match blocks.next().await {
            Ok(block) => block,
            Err(error) => {
                self.going = Some((blocks, held));
                return Err(error.into());
            }
        };
        let taken = self.take(block, &mut held, false).await?;
        self.going = Some((blocks, held));
        Ok(taken)
    }

    /// The first block.
    async fn begin(&mut self) -> Result<Taken, FollowError<S::Error>> {
        let mut blocks = self.chain.finalized_blocks(self.begin_at);
        let block = blocks.next().await?;
        let mut held = Held { block, subnets: std::collections::BTreeMap::new(), prices: std::collections::BTreeMap::new() };
        let taken = self.take(block, &mut held, true).await?;
        self.going = Some((blocks, held));
        Ok(taken)
    }

    /// Reads a block, gives its changes to the sink, and brings `held` to it.
    async fn take(&self, block: Block, held: &mut Held, first: bool) -> Result<Taken, FollowError<S::Error>> {
        let at = self.chain.at(block).await?;
        let seen = Seen::read(&at, self.only, first).await?;
        let mut changes = Changes::default();
        let mut next = Vec::new();
        let none = super::Places::new();
        for netuid in seen.touched(held, self.only) {
            let look = seen.look(&at, netuid).await?;
            let before = held.subnets.get(&netuid).unwrap_or(&none);
            changes.compare(netuid, block.number, before, &look.places, &look.registered, look.new_generation && !first);
            next.push((netuid, look.places));
        }
        let differs = |netuid: &u16, price: u64| {
            held.prices.get(netuid).is_none_or(|last| price.abs_diff(*last) > 0 && price.abs_diff(*last) >= last / PRICE_STEP)
        };
        changes
            .prices
            .extend(seen.prices.iter().filter(|(netuid, price)| differs(netuid, **price)).map(|(netuid, price)| (*netuid, *price)));
        self.sink.take((!first).then_some(held.block), block, &changes).await.map_err(FollowError::Sink)?;
        held.block = block;
        for (netuid, places) in next {
            if places.is_empty() {
                held.subnets.remove(&netuid);
            } else {
                held.subnets.insert(netuid, places);
            }
        }
        held.prices.extend(changes.prices.iter().copied());
        let running = held.subnets.values().map(std::collections::BTreeMap::len).sum();
        Ok(Taken { block, first, changes, running })
    }
}
