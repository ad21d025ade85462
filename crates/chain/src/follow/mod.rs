//! Following the chain: who sits on which UID, block by finalized block, as tenures that a sink keeps.
//!
//! Snapshots see what differs between two looks; this sees every change. A block's events say in which subnets something may have
//! changed, and so do the numbers of UIDs, which are compared with what is held: not every change of a runtime tells of itself. What
//! then changed is never taken from an event: the subnet's state in that very block is read and compared with what was held
//! ([`diff`]), by registration blocks, as [`crate::tracker::compare`] does.
//!
//! # No gap, nothing twice
//!
//! A [`TenureSink`] takes a block's changes and the block as its new position in one transaction, and only if its position is the block
//! before. A [`Follower`] begins at that position, and after any error it forgets what it holds and loads it again: a write that may or
//! may not have happened is then seen to have. Blocks come from [`FinalizedBlocks`](crate::read::FinalizedBlocks), in order and each the
//! child of the one before.
//!
//! A block that cannot be read, because nodes keep the state of the last 256 only and no archive was named, is an error, unless
//! [`Follower::leaving_out`] allows for it. Then the newest final block is taken in next, with the blocks in between as [`LeftOut`]: all
//! subnets are compared with what was held, and what ended carries the last block that showed it.
//!
//! A block is read as the runtime describes it that ran it ([`At::as_made`](crate::read::At::as_made)): in the one that brings new code the
//! state is still as the old code left it. One that cannot be decoded all the same is left out likewise, as soon as the next one can be, or
//! the newest; as long as none can, the runtime is one that this program does not know, and that is an error.
//!
//! # What no event tells of
//!
//! Who may validate, who is protected as the owner's, and what was paid in the last epoch ([`Standing`]) is read with each look at a
//! subnet, and each subnet is looked at once in 360 blocks. Of a tenure that ended it is that of the block before.
//!
//! # Memory
//!
//! One place for each UID of the chain (some 30,000), and one block's changes.

pub mod diff;
mod follower;
mod look;
mod sink;
mod standing;

pub use diff::{Changes, Closed, End, LeftOut, Opened, Place, Places, PriceRule, Rules, Standing, Step};
pub use follower::{FollowError, Follower, Taken};
pub use sink::{Held, TenureSink};
