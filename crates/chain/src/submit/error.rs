//! What can go wrong while sending.

use super::{Refusal, Trace};
use crate::read::scale::ScaleError;
use crate::read::{Block, ReadError};

/// Why an extrinsic has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// What had to be read before could not be. Nothing was sent.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The runtime has no such call, or one that wants other things than we know of. Nothing was sent.
    #[error("{source} (runtime version {spec_version})")]
    Scale {
        /// What does not fit.
        #[source]
        source: ScaleError,
        /// The runtime.
        spec_version: u32,
    },
    /// Registration costs more than the limit. Nothing was sent.
    #[error("registration on subnet {netuid} costs {price_rao} rao now, and the limit is {limit_rao}")]
    TooDear {
        /// The subnet.
        netuid: u16,
        /// The price of the moment, in rao.
        price_rao: u64,
        /// The most it may cost.
        limit_rao: u64,
    },
    /// The node did not take it, and no other was handed it. It is in no block.
    #[error("the node refuses the extrinsic: {0}")]
    Refused(Refusal),
    /// It was in no block until its last, which is final. It never will be in one, so it may be tried again.
    #[error("no block up to {last_block} took the extrinsic, and later ones cannot; it may be tried again")]
    Expired {
        /// The last block that could have taken it.
        last_block: u64,
    },
    /// It was sent, or may have been, and then the chain could not be read. [`SubmitError::trace`] looks again.
    #[error("the extrinsic 0x{} may be in a block up to {last_block}; look before trying again: {source}", hex::encode(.hash))]
    Unknown {
        /// Its hash.
        hash: [u8; 32],
        /// The block after which it may be in one.
        birth: Block,
        /// The last block that can take it.
        last_block: u64,
        /// Why the chain could not be read.
        #[source]
        source: Box<ReadError>,
    },
}

impl SubmitError {
    /// Whether the extrinsic is in no block and never will be.
    pub fn nothing_happened(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }

    /// What looks once more for an extrinsic of which nothing is known.
    pub fn trace(&self) -> Option<Trace> {
        match *self {
            Self::Unknown { hash, birth, last_block, .. } => Some(Trace { hash, birth, last_block }),
            _ => None,
        }
    }

    /// A word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Read(error) => error.label(),
            Self::Scale { .. } => "undecodable",
            Self::TooDear { .. } => "too_dear",
            Self::Refused(_) => "refused",
            Self::Expired { .. } => "expired",
            Self::Unknown { .. } => "unknown",
        }
    }
}
