//! Reads from a Bittensor node: subnets, neurons, metagraph, prices, blocks, events.
//!
//! Owns the wire: JSON-RPC over a WebSocket ([`rpc`]), the decoding of what comes back ([`Runtime`]), and the types that the rest
//! of the product works with. Signs nothing and keeps no keys.
//!
//! # Why not all of subxt
//!
//! The runtime of this chain changes every few weeks and adds fields to what it answers. So everything is decoded by field name from
//! the metadata of the very runtime that answered, never by a fixed layout. `subxt` does that, on top of three crates which do the
//! work: `subxt-metadata` (one view of metadata versions 14, 15 and 16), `frame-decode` (storage keys, arguments of runtime calls,
//! extrinsics both ways) and `scale-decode` (bytes to values, by a type's description). We use those three directly. Measured:
//! 36 crates that the workspace did not have and about 40 s of processor time for a first debug build, against 70 and 160 s for `subxt`
//! 0.51 with its client. And `subxt`'s client brings `ring` as a second crypto provider (through `jsonrpsee`), which this workspace
//! refuses, has no failover between endpoints, and asks for one metadata per connection rather than per block. What it would have
//! given us beyond that, a JSON-RPC client, is [`rpc`]. Extrinsics stand on the same base:
//! `frame_decode::extrinsics` encodes calls, signer payloads and signed extrinsics from [`Runtime::metadata`].
//!
//! # What may be trusted
//!
//! A node is outside. No bytes from it may panic, recurse without bound or claim memory that they do not fill: [`scale::Shapes`]
//! refuses types that could, before anything of them is decoded.

mod account;
mod blocks;
mod chain;
mod error;
mod events;
mod fixed;
mod legacy;
mod metadata;
pub mod metagraph;
mod model;
pub mod rpc;
mod runtime;
pub mod scale;

pub use account::AccountId;
pub use blocks::{Block, FinalizedBlocks};
pub use chain::{At, Chain, ChainConfig, Network, NetworkError};
pub(crate) use chain::{Quoted, Sending};
pub use error::ReadError;
pub use events::{Event, Phase};
pub use fixed::{Fixed, FixedError};
pub use model::{
    AccountData, AccountInfo, AxonInfo, DelegateInfo, DynamicInfo, Hyperparameters, Neuron, PrometheusInfo, RAO_PER_TAO,
    SelectiveMetagraph, SubnetIdentity, SubnetInfo, SubnetState, ratio,
};
pub use runtime::Runtime;
