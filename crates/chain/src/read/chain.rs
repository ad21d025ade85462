//! The chain as it can be read: which blocks there are, and what stood in one of them.

mod at;
mod config;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

pub use at::At;
pub use config::{ChainConfig, Network, NetworkError};
pub(super) use wire::header;

use super::blocks::{Block, FinalizedBlocks, Header};
use super::rpc::{Pool, RpcError, Subscription};
use super::{ReadError, Runtime};

/// Runtime versions whose metadata is kept. A reader of history meets one after the other.
const RUNTIMES: usize = 4;

/// Newest metadata versions first that say what runtime calls answer. 14 does not, and is what is left for the oldest runtimes.
const METADATA_VERSIONS: [u32; 2] = [15, 16];

#[derive(Debug)]
struct Inner {
    nodes: Pool,
    archive: Option<Pool>,
    runtimes: Mutex<BTreeMap<u32, Arc<Runtime>>>,
}

/// A chain behind one or more endpoints. Clones share connections and metadata.
#[derive(Debug, Clone)]
pub struct Chain(Arc<Inner>);

impl Chain {
    /// Connects when it is first asked. `wss` needs a process-wide rustls provider, which the program installs.
    pub fn new(config: ChainConfig) -> Self {
        let archive = (!config.archive.is_empty()).then(|| Pool::new(config.archive, config.genesis, config.options.clone()));
        Self(Arc::new(Inner { nodes: Pool::new(config.endpoints, config.genesis, config.options), archive, runtimes: Mutex::default() }))
    }

    /// The newest block that cannot be undone.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rpc`], [`ReadError::Malformed`].
    pub async fn finalized(&self) -> Result<Block, ReadError> {
        let hash = wire::hash("chain_getFinalizedHead", &self.call("chain_getFinalizedHead", json!([])).await?)?;
        Ok(Block { number: self.header(hash).await?.number, hash })
    }

    /// The newest block, which may still be undone.
    ///
    /// # Errors
    ///
    /// As [`Chain::finalized`].
    pub async fn best(&self) -> Result<Block, ReadError> {
        let hash = wire::hash("chain_getHead", &self.call("chain_getHead", json!([])).await?)?;
        Ok(Block { number: self.header(hash).await?.number, hash })
    }

    /// The block with a number, as far as the node in use knows; not necessarily finalized.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchBlock`], [`ReadError::Rpc`], [`ReadError::Malformed`].
    pub async fn block(&self, number: u64) -> Result<Block, ReadError> {
        match self.call("chain_getBlockHash", json!([number])).await? {
            Value::Null => Err(ReadError::NoSuchBlock(number.to_string())),
            hash => Ok(Block { number, hash: wire::hash("chain_getBlockHash", &hash)? }),
        }
    }

    /// The hash of the first block, which tells chains apart.
    ///
    /// # Errors
    ///
    /// As [`Chain::block`].
    pub async fn genesis(&self) -> Result<[u8; 32], ReadError> {
        Ok(self.block(0).await?.hash)
    }

    /// The chain's own name, such as `Bittensor`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rpc`], [`ReadError::Malformed`].
    pub async fn name(&self) -> Result<String, ReadError> {
        let name = self.call("system_chain", json!([])).await?;
        name.as_str().map(str::to_owned).ok_or_else(|| wire::malformed("system_chain", "a text"))
    }

    /// Host and port of the endpoint in use.
    pub async fn endpoint(&self) -> Option<String> {
        self.0.nodes.endpoint().await
    }

    /// Reads at a block. Blocks that the nodes no longer keep are read from the archive.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rpc`], [`ReadError::Malformed`], [`ReadError::Scale`].
    pub async fn at(&self, block: Block) -> Result<At, ReadError> {
        let runtime = self.runtime(block.hash).await?;
        Ok(At::new(self.clone(), block, runtime))
    }

    /// Reads at the newest finalized block.
    ///
    /// # Errors
    ///
    /// As [`Chain::at`].
    pub async fn at_finalized(&self) -> Result<At, ReadError> {
        self.at(self.finalized().await?).await
    }

    /// Reads at the block with a number.
    ///
    /// # Errors
    ///
    /// As [`Chain::at`] and [`Chain::block`].
    pub async fn at_number(&self, number: u64) -> Result<At, ReadError> {
        self.at(self.block(number).await?).await
    }

    /// Every finalized block from a number on, or from the newest one, without gaps and in order, over reconnects.
    pub fn finalized_blocks(&self, from: Option<u64>) -> FinalizedBlocks {
        FinalizedBlocks::new(self.clone(), from)
    }

    pub(super) async fn header(&self, hash: [u8; 32]) -> Result<Header, ReadError> {
        match self.call_at("chain_getHeader", json!([wire::hex(hash)])).await? {
            Value::Null => Err(ReadError::NoSuchBlock(wire::hex(hash))),
            header => wire::header("chain_getHeader", &header),
        }
    }

    pub(super) async fn subscribe_finalized(&self) -> Result<Subscription, ReadError> {
        Ok(self.0.nodes.subscribe("chain_subscribeFinalizedHeads", json!([])).await?)
    }

    pub(super) async fn distrust(&self, why: &str) {
        self.0.nodes.distrust(why).await;
    }

    pub(super) async fn call(&self, method: &'static str, params: Value) -> Result<Value, ReadError> {
        Ok(self.0.nodes.call(method, params).await?)
    }

    /// A call whose parameters name a block: from the archive where the nodes no longer keep it.
    pub(super) async fn call_at(&self, method: &'static str, params: Value) -> Result<Value, ReadError> {
        match (self.0.nodes.call(method, params.clone()).await, &self.0.archive) {
            (Err(RpcError::Discarded { message, .. }), Some(archive)) => {
                tracing::debug!(method, message, "asking the archive");
                Ok(archive.call(method, params).await?)
            }
            (result, _) => Ok(result?),
        }
    }

    /// The runtime whose code stands in a block's state: the one that answers calls at that block.
    pub(super) async fn runtime(&self, hash: [u8; 32]) -> Result<Arc<Runtime>, ReadError> {
        let version = self.call_at("state_getRuntimeVersion", json!([wire::hex(hash)])).await?;
        let spec_version = version.get("specVersion").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
        let spec_version = spec_version.ok_or_else(|| wire::malformed("state_getRuntimeVersion", "a `specVersion`"))?;
        if let Some(known) = self.known_runtimes().get(&spec_version) {
            return Ok(Arc::clone(known));
        }
        let metadata = self.metadata(hash).await?;
        let runtime = Runtime::new(spec_version, &metadata).map_err(|source| ReadError::Scale { source, spec_version })?;
        let runtime = Arc::new(runtime);
        let mut known = self.known_runtimes();
        while known.len() >= RUNTIMES {
            known.pop_first();
        }
        known.insert(spec_version, Arc::clone(&runtime));
        Ok(runtime)
    }

    /// Forgets a runtime whose description did not fit an answer: the endpoint may have named a wrong version.
    pub(super) fn forget(&self, spec_version: u32) {
        self.known_runtimes().remove(&spec_version);
    }

    fn known_runtimes(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Arc<Runtime>>> {
        self.0.runtimes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn metadata(&self, hash: [u8; 32]) -> Result<Vec<u8>, ReadError> {
        for version in METADATA_VERSIONS {
            let params = json!(["Metadata_metadata_at_version", wire::hex(version.to_le_bytes()), wire::hex(hash)]);
            match self.call_at("state_call", params).await {
                Ok(answer) => {
                    if let Some(metadata) = wire::optional_bytes("state_call", &answer)? {
                        return Ok(metadata);
                    }
                }
                // Runtimes of before the call was made.
                Err(ReadError::Rpc(RpcError::Refused { .. })) => break,
                Err(other) => return Err(other),
            }
        }
        wire::bytes("state_getMetadata", &self.call_at("state_getMetadata", json!([wire::hex(hash)])).await?)
    }
}
