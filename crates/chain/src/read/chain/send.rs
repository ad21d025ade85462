//! What sending an extrinsic asks of a node.

use serde_json::{Value as Json, json};

use super::{At, Chain, wire};
use crate::read::rpc::RpcError;
use crate::read::{AccountId, Block, ReadError};

/// What is known of an extrinsic that was handed to nodes.
#[derive(Debug)]
pub(crate) enum Sending {
    /// A node holds it.
    Taken,
    /// A node refuses it in these words, and no other was handed it before.
    Refused(String),
    /// A node may hold it: one was cut off before it answered, or answered what no pool does. What others say of it then proves nothing.
    Perhaps(RpcError),
}

/// What an account's fee is read from.
#[derive(Debug)]
pub(crate) enum Quoted {
    /// `RuntimeDispatchInfo`, as the runtime encodes it.
    Bytes(Vec<u8>),
    /// The node has decoded it: rao.
    Rao(u64),
}

impl Chain {
    /// Versions of the runtime and of its extrinsics in a block's state.
    pub(crate) async fn versions(&self, hash: [u8; 32]) -> Result<(u32, u32), ReadError> {
        const METHOD: &str = "state_getRuntimeVersion";
        let version = self.call_at(METHOD, json!([wire::hex(hash)])).await?;
        let number = |name: &str| {
            let number = version.get(name).and_then(Json::as_u64).and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| wire::malformed(METHOD, "versions of runtime and extrinsics"))
        };
        Ok((number("specVersion")?, number("transactionVersion")?))
    }

    /// The block that another one names as its parent; of the first two blocks, the block itself.
    pub(crate) async fn parent(&self, block: Block) -> Result<Block, ReadError> {
        match block.number.checked_sub(1) {
            Some(number) if number > 0 => Ok(Block { number, hash: self.header(block.hash).await?.parent }),
            _ => Ok(block),
        }
    }

    /// The number of an account's next extrinsic, counting those that wait in the node's pool.
    pub(crate) async fn next_nonce(&self, account: AccountId) -> Result<u32, ReadError> {
        const METHOD: &str = "system_accountNextIndex";
        let nonce = self.call(METHOD, json!([account])).await?;
        nonce.as_u64().and_then(|nonce| u32::try_from(nonce).ok()).ok_or_else(|| wire::malformed(METHOD, "a number"))
    }

    /// The extrinsics of a block, with their lengths in front.
    pub(crate) async fn extrinsics(&self, hash: [u8; 32]) -> Result<Vec<Vec<u8>>, ReadError> {
        const METHOD: &str = "chain_getBlock";
        let extrinsics = |method, block: &Json| {
            if block.is_null() {
                return Ok(None);
            }
            let extrinsics = block.get("block").and_then(|block| block.get("extrinsics")).and_then(Json::as_array);
            let extrinsics = extrinsics.ok_or_else(|| wire::malformed(method, "a block's extrinsics"))?;
            extrinsics.iter().map(|extrinsic| wire::bytes(method, extrinsic)).collect::<Result<Vec<_>, _>>().map(Some)
        };
        // A node that lags behind does not know what another one called final.
        let found = self.read_something(METHOD, json!([wire::hex(hash)]), extrinsics).await?;
        found.ok_or_else(|| ReadError::NoSuchBlock(wire::hex(hash)))
    }

    /// Puts an extrinsic into the pool of a node. When it is not known whether one took it, the next one is handed the same bytes.
    ///
    /// The error: none was handed it.
    pub(crate) async fn send(&self, extrinsic: &[u8]) -> Result<Sending, ReadError> {
        const METHOD: &str = "author_submitExtrinsic";
        let (params, nodes) = (json!([wire::hex(extrinsic)]), &self.0.nodes);
        let (mut doubt, mut attempt) = (None, 0);
        loop {
            attempt += 1;
            let (connection, count) = match (nodes.connection().await, doubt.take()) {
                (Ok(found), before) => {
                    doubt = before;
                    found
                }
                (Err(_), Some(doubt)) => return Ok(Sending::Perhaps(doubt)),
                (Err(error), None) => return Err(error.into()),
            };
            let error = match connection.call(METHOD, params.clone()).await {
                Ok(_) => return Ok(Sending::Taken),
                Err(error) => error,
            };
            match (meaning(&error), doubt.take()) {
                (Answer::Known, _) => return Ok(Sending::Taken),
                (Answer::No(_), Some(before)) => return Ok(Sending::Perhaps(before)),
                (Answer::No(words), None) => return Ok(Sending::Refused(words)),
                (Answer::Later, before) => {
                    nodes.spare(&connection, &error).await;
                    doubt = before;
                    if attempt > count {
                        return doubt.map_or(Err(error.into()), |doubt| Ok(Sending::Perhaps(doubt)));
                    }
                }
                (Answer::Nothing, _) => {
                    nodes.leave(&connection, &error).await;
                    if attempt > count {
                        return Ok(Sending::Perhaps(error));
                    }
                    doubt = Some(error);
                }
            }
        }
    }
}

/// What an error tells of the pool behind it.
enum Answer {
    /// It has, or had, the very same extrinsic.
    Known,
    /// It does not take it, in these words.
    No(String),
    /// It was not asked.
    Later,
    /// Nothing.
    Nothing,
}

/// Substrate's pool answers with codes from 1,000 to 1,099 (`sc_rpc_api::author::error`), and what is no request at all never comes to
/// it. Any other answer is of something before the pool or after it, such as a proxy's.
fn meaning(error: &RpcError) -> Answer {
    match error {
        _ if error.is_overload() => Answer::Later,
        // Temporarily banned: it was in the pool and left it. Already imported.
        RpcError::Refused { code: 1012 | 1013, .. } => Answer::Known,
        RpcError::Refused { code: 1000..=1099 | -32700 | -32602..=-32600, message, .. } => Answer::No(message.clone()),
        _ => Answer::Nothing,
    }
}

impl At {
    /// What the runtime would say to an extrinsic in the next block: the bytes of `ApplyExtrinsicResult`. Changes nothing.
    ///
    /// Public nodes keep `system_dryRun` to themselves. All it does is to call the runtime, and that everybody may.
    pub(crate) async fn apply(&self, extrinsic: &[u8]) -> Result<Vec<u8>, ReadError> {
        const METHOD: &str = "system_dryRun";
        match self.chain().call_at(METHOD, json!([wire::hex(extrinsic), wire::hex(self.block().hash)])).await {
            Ok(answer) => wire::bytes(METHOD, &answer),
            Err(ReadError::Rpc(RpcError::Refused { .. })) => self.state_call("BlockBuilder_apply_extrinsic", extrinsic).await,
            Err(other) => Err(other),
        }
    }

    /// What the runtime says that an extrinsic costs; what the node says where the runtime cannot be asked.
    pub(crate) async fn dispatch_info(&self, extrinsic: &[u8]) -> Result<Quoted, ReadError> {
        const METHOD: &str = "payment_queryInfo";
        let length = u32::try_from(extrinsic.len()).unwrap_or(u32::MAX).to_le_bytes();
        match self.state_call("TransactionPaymentApi_query_info", &[extrinsic, &length].concat()).await {
            Err(ReadError::Rpc(RpcError::Refused { .. })) => {}
            result => return result.map(Quoted::Bytes),
        }
        let info = self.chain().call_at(METHOD, json!([wire::hex(extrinsic), wire::hex(self.block().hash)])).await?;
        // A number, its digits as text, or as `0x…`: `sp_rpc::number::NumberOrHex` and the serialisation of `RuntimeDispatchInfo`.
        let fee = info.get("partialFee").and_then(|fee| match fee {
            Json::String(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            },
            number => number.as_u64(),
        });
        fee.map(Quoted::Rao).ok_or_else(|| wire::malformed(METHOD, "a `partialFee`"))
    }

    async fn state_call(&self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, ReadError> {
        let params = json!([name, wire::hex(arguments), wire::hex(self.block().hash)]);
        wire::bytes("state_call", &self.chain().call_at("state_call", params).await?)
    }
}
