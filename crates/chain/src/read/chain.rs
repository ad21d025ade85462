//! The chain as it can be read: which blocks there are, and what stood in one of them.

mod at;
mod config;
#[cfg(test)]
mod fuzz_tests;
mod send;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

pub use at::At;
pub use config::{ChainConfig, Network, NetworkError};
pub(crate) use send::{Quoted, Sending};
pub(super) use wire::header;

use super::blocks::{Block, FinalizedBlocks, Header};
use super::rpc::{Connection, Pool, RpcError, Subscription};
use super::scale::ScaleError;
use super::{ReadError, Runtime};

/// Runtime versions whose metadata is kept. A reader of history meets one after the other.
const RUNTIMES: usize = 4;

/// Metadata versions that say what runtime calls answer: first the one that nearly all runtimes have. 14 does not say it, and is what is
/// left for the oldest runtimes.
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
        let nodes = Pool::new(config.endpoints, config.genesis, config.options);
        let archive = (!config.archive.is_empty()).then(|| nodes.beside(config.archive));
        Self(Arc::new(Inner { nodes, archive, runtimes: Mutex::default() }))
    }

    /// The newest block that cannot be undone.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rpc`], [`ReadError::Malformed`].
    pub async fn finalized(&self) -> Result<Block, ReadError> {
        let hash = self.read("chain_getFinalizedHead", json!([]), wire::hash).await?;
        Ok(Block { number: self.header(hash).await?.number, hash })
    }

    /// The newest block, which may still be undone.
    ///
    /// # Errors
    ///
    /// As [`Chain::finalized`].
    pub async fn best(&self) -> Result<Block, ReadError> {
        let hash = self.read("chain_getHead", json!([]), wire::hash).await?;
        Ok(Block { number: self.header(hash).await?.number, hash })
    }

    /// The block with a number, by the first of the nodes and the archive that knows one; not necessarily finalized.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchBlock`], [`ReadError::Rpc`], [`ReadError::Malformed`].
    pub async fn block(&self, number: u64) -> Result<Block, ReadError> {
        const METHOD: &str = "chain_getBlockHash";
        let optional = |method, value: &Value| if value.is_null() { Ok(None) } else { wire::hash(method, value).map(Some) };
        let hash = self.read_something(METHOD, json!([number]), optional).await?;
        hash.map(|hash| Block { number, hash }).ok_or_else(|| ReadError::NoSuchBlock(number.to_string()))
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
        let optional = |method, value: &Value| if value.is_null() { Ok(None) } else { wire::header(method, value).map(Some) };
        let header = self.read_something("chain_getHeader", json!([wire::hex(hash)]), optional).await?;
        header.ok_or_else(|| ReadError::NoSuchBlock(wire::hex(hash)))
    }

    /// The connection in use, and its subscription to finalized blocks.
    pub(super) async fn subscribe_finalized(&self) -> Result<(Connection, Subscription), ReadError> {
        let (connection, _) = self.0.nodes.connection().await?;
        let subscription = connection.subscribe("chain_subscribeFinalizedHeads", json!([])).await;
        if let Err(error) = &subscription {
            self.0.nodes.leave(&connection, error).await;
        }
        Ok((connection, subscription?))
    }

    /// The newest block that the node of a connection calls final.
    pub(super) async fn finalized_of(connection: &Connection) -> Result<Block, ReadError> {
        const METHOD: &str = "chain_getFinalizedHead";
        let hash = wire::hash(METHOD, &connection.call(METHOD, json!([])).await?)?;
        Ok(Block { number: Self::header_of(connection, hash).await?.number, hash })
    }

    async fn header_of(connection: &Connection, hash: [u8; 32]) -> Result<Header, ReadError> {
        match connection.call("chain_getHeader", json!([wire::hex(hash)])).await? {
            Value::Null => Err(ReadError::NoSuchBlock(wire::hex(hash))),
            header => wire::header("chain_getHeader", &header),
        }
    }

    async fn block_of(connection: &Connection, number: u64) -> Result<(Block, [u8; 32]), ReadError> {
        const METHOD: &str = "chain_getBlockHash";
        let hash = match connection.call(METHOD, json!([number])).await? {
            Value::Null => return Err(ReadError::NoSuchBlock(number.to_string())),
            hash => wire::hash(METHOD, &hash)?,
        };
        let header = Self::header_of(connection, hash).await?;
        if header.number != number {
            return Err(wire::malformed("chain_getHeader", "the number that was asked for"));
        }
        Ok((Block { number, hash }, header.parent))
    }

    /// A block that the node of a connection calls final, and its parent's hash. A node may know no more of its oldest blocks; then the
    /// archive tells, if it calls a block of this number final, too.
    pub(super) async fn finalized_block(&self, connection: &Connection, number: u64) -> Result<(Block, [u8; 32]), ReadError> {
        match (Self::block_of(connection, number).await, &self.0.archive) {
            (Err(unknown @ ReadError::NoSuchBlock(_)), Some(archive)) => {
                let (archive, _) = archive.connection().await?;
                if Self::finalized_of(&archive).await?.number < number { Err(unknown) } else { Self::block_of(&archive, number).await }
            }
            (result, _) => result,
        }
    }

    /// Leaves the endpoint of a connection, if that still is the one in use, after what went wrong over it.
    pub(super) async fn blame(&self, connection: &Connection, error: &ReadError) {
        match error {
            ReadError::Rpc(error) => self.0.nodes.leave(connection, error).await,
            other => self.0.nodes.distrust_of(connection, &other.to_string()).await,
        }
    }

    pub(super) async fn distrust_of(&self, connection: &Connection, why: &str) {
        self.0.nodes.distrust_of(connection, why).await;
    }

    /// Moves on to the next endpoint: the one in use answers, but wrongly.
    pub(crate) async fn distrust(&self, why: &str) {
        self.0.nodes.distrust(why).await;
    }

    pub(super) async fn call(&self, method: &'static str, params: Value) -> Result<Value, ReadError> {
        Ok(self.0.nodes.call(method, params).await?)
    }

    /// A call whose parameters name a block: from the archive where the nodes no longer keep it, or never heard of it.
    pub(super) async fn call_at(&self, method: &'static str, params: Value) -> Result<Value, ReadError> {
        self.read(method, params, |_, value| Ok(value.clone())).await
    }

    /// Asks, and reads what came back. From the archive where the nodes no longer keep the block. What makes no sense is asked once more
    /// of another endpoint, if there is one, and the endpoint that gave it is left.
    pub(super) async fn read<T>(
        &self,
        method: &'static str,
        params: Value,
        read: impl Fn(&'static str, &Value) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let (pool, answer, connection) = self.ask(method, &params, false).await?;
        let result = read(method, &answer);
        let Err(error) = &result else { return result };
        if !error.is_senseless() {
            return result;
        }
        pool.distrust_of(&connection, &error.to_string()).await;
        if pool.count().await < 2 {
            return result;
        }
        let Ok((_, answer, _)) = self.ask(method, &params, false).await else { return result };
        read(method, &answer)
    }

    /// As [`Chain::read`], where `null` means that the node does not know what others may.
    async fn read_something<T>(
        &self,
        method: &'static str,
        params: Value,
        read: impl Fn(&'static str, &Value) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let (_, answer, connection) = self.ask(method, &params, true).await?;
        let result = read(method, &answer);
        if let Err(error) = &result {
            self.blame(&connection, error).await;
        }
        result
    }

    /// Who answered, what, and over which connection.
    async fn ask(&self, method: &'static str, params: &Value, something: bool) -> Result<(&Pool, Value, Connection), ReadError> {
        let nodes = &self.0.nodes;
        let result = nodes.ask(method, params.clone(), something).await;
        let Some(archive) = &self.0.archive else {
            return Ok(result.map(|(value, connection)| (nodes, value, connection))?);
        };
        match result {
            Err(RpcError::Discarded { message, .. } | RpcError::UnknownBlock { message, .. }) => {
                tracing::debug!(method, message, "asking the archive");
            }
            Ok((Value::Null, _)) if something => tracing::debug!(method, "asking the archive"),
            other => return Ok(other.map(|(value, connection)| (nodes, value, connection))?),
        }
        match archive.ask(method, params.clone(), something).await {
            Ok((value, connection)) => Ok((archive, value, connection)),
            // "Set an archive endpoint" is no advice here.
            Err(RpcError::Discarded { endpoint, message }) => Err(RpcError::Refused {
                endpoint,
                method,
                code: 0,
                message: format!("the archive keeps nothing of that block either: {message}"),
            }
            .into()),
            Err(other) => Err(other.into()),
        }
    }

    /// The runtime whose code stands in a block's state: the one that answers calls at that block. Where what an endpoint says of it does
    /// not fit, another one is asked once, as in [`Chain::read`].
    pub(super) async fn runtime(&self, hash: [u8; 32]) -> Result<Arc<Runtime>, ReadError> {
        let result = self.described(hash).await;
        if !matches!(result, Err(ReadError::Scale { .. })) || self.0.nodes.count().await < 2 {
            return result;
        }
        self.described(hash).await.or(result)
    }

    async fn described(&self, hash: [u8; 32]) -> Result<Arc<Runtime>, ReadError> {
        let spec_version = |method, answer: &Value| {
            let version = answer.get("specVersion").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
            version.ok_or_else(|| wire::malformed(method, "a `specVersion`"))
        };
        let spec_version = self.read("state_getRuntimeVersion", json!([wire::hex(hash)]), spec_version).await?;
        if let Some(known) = self.known_runtimes().get(&spec_version) {
            return Ok(Arc::clone(known));
        }
        let (metadata, from) = self.metadata(hash).await?;
        // Some ten milliseconds for the real chain's, and up to seconds for what a node could make up.
        let read = tokio::task::spawn_blocking(move || {
            let runtime = Runtime::new(spec_version, &metadata)?;
            runtime.check_version()?;
            Ok(runtime)
        });
        let read = read.await.unwrap_or_else(|error| Err(ScaleError::Metadata(error.to_string())));
        let runtime = match read.map_err(|source| ReadError::Scale { source, spec_version }) {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => {
                self.blame(&from, &error).await;
                return Err(error);
            }
        };
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

    /// Metadata and the connection that it came over.
    async fn metadata(&self, hash: [u8; 32]) -> Result<(Vec<u8>, Connection), ReadError> {
        for version in METADATA_VERSIONS {
            let params = json!(["Metadata_metadata_at_version", wire::hex(version.to_le_bytes()), wire::hex(hash)]);
            match self.ask("state_call", &params, false).await {
                Ok((_, answer, from)) => match wire::optional_bytes("state_call", &answer) {
                    Ok(Some(metadata)) => return Ok((metadata, from)),
                    Ok(None) => {}
                    Err(error) => {
                        self.blame(&from, &error).await;
                        return Err(error);
                    }
                },
                // Runtimes of before the call was made: "Exported method Metadata_metadata_at_version is not found". Any other refusal
                // says nothing about the runtime.
                Err(ReadError::Rpc(RpcError::Refused { message, .. })) if message.contains("is not found") => break,
                Err(other) => return Err(other),
            }
        }
        let (_, answer, from) = self.ask("state_getMetadata", &json!([wire::hex(hash)]), false).await?;
        Ok((wire::bytes("state_getMetadata", &answer)?, from))
    }
}
