//! The loop: a block, its changes, the sink.

use std::collections::{BTreeMap, BTreeSet};

use super::look::Seen;
use super::standing::Facts;
use super::{Changes, Closed, Held, LeftOut, Opened, Places, Step, TenureSink};
use crate::read::rpc::RpcError;
use crate::read::{At, Block, Chain, FinalizedBlocks, ReadError};

/// Blocks whose state nodes keep unless they are told otherwise. What is closer than that is not given up.
const KEPT: u64 = 256;

/// A price is kept when it differs from the last one kept by a fiftieth: on runtimes where it decays with every block, keeping each would
/// be a million rows a day, of which nothing could be told that a row every ten blocks does not tell.
const PRICE_STEP: u64 = 50;

/// Blocks between two whose times are kept: an hour, between whose ends the chain is steady enough.
const TIME_EVERY: u64 = 300;

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
    /// Why blocks were left out, if they were though they are kept: what could not be decoded.
    pub undecodable: Option<String>,
}

/// What a block comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    TheOneBefore,
    Gap(LeftOut),
}

/// Takes finalized blocks into a sink, one by one.
#[derive(Debug)]
pub struct Follower<S> {
    chain: Chain,
    sink: S,
    only: Option<u16>,
    begin_at: Option<u64>,
    leaves_out: bool,
    going: Option<(FinalizedBlocks, Held)>,
}

impl<S: TenureSink> Follower<S> {
    /// Follows all subnets, or `only` one. A sink that holds nothing begins with block `begin_at`, or the newest finalized one.
    pub fn new(chain: Chain, sink: S, only: Option<u16>, begin_at: Option<u64>) -> Self {
        Self { chain, sink, only, begin_at, leaves_out: false, going: None }
    }

    /// Goes on with the newest finalized block where those after the last one that was taken in are kept nowhere any more, and with one that
    /// can be decoded where the next one cannot.
    #[must_use]
    pub fn leaving_out(mut self) -> Self {
        self.leaves_out = true;
        self
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
                None => return Box::pin(self.begin()).await,
                Some(held) => match self.is_of_the_chain(held.block).await {
                    Ok(true) => (self.chain.finalized_blocks(None).after(held.block), held),
                    Ok(false) => return Err(FollowError::AnotherChain(held.block)),
                    Err(error) => return Box::pin(self.leave_out(held, error)).await,
                },
            },
        };
        let taken = match blocks.next().await {
            Ok(block) => match Box::pin(self.take(block, &mut held, After::TheOneBefore)).await {
                Err(FollowError::Read(error @ ReadError::Scale { .. })) if self.leaves_out => {
                    return Box::pin(self.step_over(block, blocks, held, error)).await;
                }
                taken => taken,
            },
            Err(error) => Err(error.into()),
        };
        match taken {
            Ok(taken) => {
                self.going = Some((blocks, held));
                Ok(taken)
            }
            Err(FollowError::Read(error)) => Box::pin(self.leave_out(held, error)).await,
            Err(other) => Err(other),
        }
    }

    /// The first block.
    async fn begin(&mut self) -> Result<Taken, FollowError<S::Error>> {
        let mut blocks = self.chain.finalized_blocks(self.begin_at);
        let block = blocks.next().await?;
        let mut held = Held { block, subnets: BTreeMap::new(), prices: BTreeMap::new() };
        let taken = Box::pin(self.take(block, &mut held, After::Nothing)).await?;
        self.going = Some((blocks, held));
        Ok(taken)
    }

    /// Whether a block that was taken in is still the chain's.
    async fn is_of_the_chain(&self, block: Block) -> Result<bool, ReadError> {
        if self.chain.block(block.number).await?.hash == block.hash {
            return Ok(true);
        }
        // A node that is behind may have another block there, which it gives up yet.
        if self.chain.finalized().await?.number < block.number {
            return Err(ReadError::NoSuchBlock(block.number.to_string()));
        }
        Ok(self.chain.block(block.number).await?.hash == block.hash)
    }

    /// Takes in the newest finalized block, if the one after the position cannot be read because it is kept nowhere any more; gives the
    /// error back if it is not so.
    async fn leave_out(&mut self, mut held: Held, error: ReadError) -> Result<Taken, FollowError<S::Error>> {
        let gone = matches!(&error, ReadError::NoSuchBlock(_) | ReadError::Rpc(RpcError::Discarded { .. } | RpcError::UnknownBlock { .. }));
        if !self.leaves_out || !gone {
            return Err(error.into());
        }
        let newest = self.chain.finalized().await?;
        if newest.number.saturating_sub(held.block.number) <= KEPT {
            // This node keeps fewer blocks than others do, or is behind them.
            if matches!(error, ReadError::Rpc(RpcError::Discarded { .. })) {
                self.chain.distrust(&error.to_string()).await;
            }
            return Err(error.into());
        }
        let left_out = LeftOut { from: held.block.number.saturating_add(1), to: newest.number.saturating_sub(1) };
        let taken = Box::pin(self.take(newest, &mut held, After::Gap(left_out))).await?;
        self.going = Some((self.chain.finalized_blocks(None).after(newest), held));
        Ok(taken)
    }

    /// Takes in a block after one that cannot be decoded: the next, or where that cannot be, either, the newest finalized one. Where none can
    /// be, the error is given back: this program does not know the runtime, and a newer one may, to which these blocks are not lost.
    async fn step_over(
        &mut self,
        block: Block,
        mut blocks: FinalizedBlocks,
        mut held: Held,
        error: ReadError,
    ) -> Result<Taken, FollowError<S::Error>> {
        let next = blocks.next().await?;
        let newest = Some(self.chain.finalized().await?).filter(|newest| newest.number > next.number);
        // The block itself once more: another node may answer by now.
        for one in [Some(block), Some(next), newest].into_iter().flatten() {
            let after = match one.number.checked_sub(1) {
                Some(to) if to >= block.number => After::Gap(LeftOut { from: block.number, to }),
                _ => After::TheOneBefore,
            };
            match Box::pin(self.take(one, &mut held, after)).await {
                Err(FollowError::Read(ReadError::Scale { .. })) => {}
                taken => {
                    let mut taken = taken?;
                    taken.undecodable = taken.changes.left_out.map(|_| error.to_string());
                    self.going = Some((self.chain.finalized_blocks(None).after(one), held));
                    return Ok(taken);
                }
            }
        }
        Err(error.into())
    }

    /// Reads a block, gives its changes to the sink, and brings `held` to it.
    async fn take(&self, block: Block, held: &mut Held, after: After) -> Result<Taken, FollowError<S::Error>> {
        let first = after == After::Nothing;
        let at = self.at(block, first).await?;
        let since = if first { block.number } else { held.block.number };
        let seen = Seen::read(&at, self.only, first).await?;
        let mut changes = Changes::default();
        if after != After::TheOneBefore || block.number.checked_rem(TIME_EVERY) == Some(0) {
            changes.time_ms = match at.time().await {
                Ok(time) => Some(time.as_millisecond()),
                Err(error) if error.is_passing() => return Err(error.into()),
                Err(_) => None,
            };
        }
        let touched = match after {
            After::Gap(left_out) => {
                changes.left_out = Some(left_out);
                seen.all(held)
            }
            _ => seen.touched(held, block.number, self.only),
        };
        let mut next = Vec::new();
        let mut anew = BTreeSet::new();
        let none = Places::new();
        for netuid in touched {
            let look = Box::pin(seen.look(&at, netuid, since)).await?;
            let before = held.subnets.get(&netuid).unwrap_or(&none);
            let (closed, opened) = (changes.closed.len(), changes.opened.len());
            let new_generation = look.new_generation && !first;
            let step = Step { netuid, since, block: block.number, new_generation };
            if new_generation {
                anew.insert(netuid);
            }
            changes.compare(&step, before, &look.places, &look.registered);
            if after == After::TheOneBefore && (changes.closed.len() > closed || changes.opened.len() > opened) && !before.is_empty() {
                let closed = changes.closed.get_mut(closed..).unwrap_or_default();
                let opened = changes.opened.get_mut(opened..).unwrap_or_default();
                let opened = if new_generation { &mut [] } else { opened };
                Box::pin(self.look_back(held.block, netuid, before, closed, opened)).await?;
            }
            changes.looks.push((netuid, look.rules));
            next.push((netuid, look.places));
        }
        let differs = |netuid: &u16, price: u64| {
            held.prices.get(netuid).is_none_or(|last| price.abs_diff(*last) > 0 && price.abs_diff(*last) >= last / PRICE_STEP)
        };
        // After blocks that were left out the last one kept may be of long ago, and that of the subnet before says nothing of this one.
        let kept = |netuid: &u16, price: u64| changes.left_out.is_some() || anew.contains(netuid) || differs(netuid, price);
        changes.prices =
            seen.prices.iter().filter(|(netuid, price)| kept(netuid, **price)).map(|(netuid, price)| (*netuid, *price)).collect();
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
        let running = held.subnets.values().map(BTreeMap::len).sum();
        Ok(Taken { block, first, changes, running, undecodable: None })
    }

    /// The state of a block as the runtime left it that ran the block. Of the first block, before which nothing may be kept, its own.
    async fn at(&self, block: Block, first: bool) -> Result<At, ReadError> {
        let at = self.chain.at(block).await?;
        match at.as_made().await {
            Err(error) if first && !error.is_passing() => Ok(at),
            at => at,
        }
    }

    /// How those stood in the block before who lost their UIDs, and what a registration cost then. Nothing, where that block is not kept.
    async fn look_back(
        &self,
        block: Block,
        netuid: u16,
        places: &Places,
        closed: &mut [Closed],
        opened: &mut [Opened],
    ) -> Result<(), ReadError> {
        let read = async { Facts::read(&self.at(block, true).await?, netuid).await };
        let facts = match read.await {
            Ok(facts) => facts,
            Err(error) if error.is_passing() => return Err(error),
            Err(_) => return Ok(()),
        };
        let standings = facts.standings(places);
        for one in closed {
            one.standing = standings.get(&one.uid).copied().unwrap_or(one.standing);
            one.immunity_period = facts.rules.immunity_period;
        }
        let came = |one: &&mut Opened| one.continues.is_none() && block.number.checked_add(1) == Some(one.place.registered_at);
        opened.iter_mut().filter(came).for_each(|one| one.burn_rao = facts.burn_rao);
        Ok(())
    }
}
