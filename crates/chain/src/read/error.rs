//! What can go wrong while reading.

use super::rpc::RpcError;
use super::scale::ScaleError;

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The nodes: none could be reached, or the one that was refused.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// What came back does not fit what the runtime says of itself.
    #[error("{source} (runtime version {spec_version})")]
    Scale {
        /// What does not fit.
        #[source]
        source: ScaleError,
        /// The runtime whose description was used.
        spec_version: u32,
    },
    /// An answer of the node is not of the form that every node gives.
    #[error("the node's answer to {method} makes no sense: {why}")]
    Malformed {
        /// The JSON-RPC method.
        method: &'static str,
        /// What was expected.
        why: String,
    },
    /// A block that no endpoint knows.
    #[error("no endpoint knows block {0}; it is not made yet, or it was on a fork that was given up")]
    NoSuchBlock(String),
    /// A subnet that is not there at this block.
    #[error("there is no subnet {0} at this block; `chutes-miner chain subnets` lists them")]
    NoSuchSubnet(u16),
    /// A call that the metadata may describe, and the runtime behind the node does not have.
    #[error("{endpoint}: the runtime of this node has no call {call}")]
    NoSuchCall {
        /// Host and port.
        endpoint: String,
        /// Its name, the API's before it.
        call: String,
    },
    /// A file of ours that cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
}

impl ReadError {
    /// Whether trying again later can help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Rpc(error) => error.is_passing(),
            Self::Malformed { .. } => true,
            Self::Scale { .. } | Self::NoSuchBlock(_) | Self::NoSuchSubnet(_) | Self::NoSuchCall { .. } | Self::File { .. } => false,
        }
    }

    /// Whether an endpoint answered what cannot be right, or what its own metadata does not describe. Another one may do better.
    pub(super) fn is_senseless(&self) -> bool {
        match self {
            Self::Malformed { .. } => true,
            Self::Scale { source, .. } => {
                matches!(source, ScaleError::Mismatch { .. } | ScaleError::LeftOver { .. } | ScaleError::Metadata(_))
            }
            Self::Rpc(_) | Self::NoSuchBlock(_) | Self::NoSuchSubnet(_) | Self::NoSuchCall { .. } | Self::File { .. } => false,
        }
    }

    /// A word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Rpc(error) => error.label(),
            Self::Scale { .. } => "undecodable",
            Self::Malformed { .. } => "malformed",
            Self::NoSuchBlock(_) => "no_such_block",
            Self::NoSuchSubnet(_) => "no_such_subnet",
            Self::NoSuchCall { .. } => "no_such_call",
            Self::File { .. } => "file",
        }
    }
}
