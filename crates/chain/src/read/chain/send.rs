//! What sending an extrinsic asks of a node.

use serde_json::{Value as Json, json};

use super::{At, Chain, wire};
use crate::read::rpc::RpcError;
use crate::read::scale::{FromScale, Value};
use crate::read::{AccountId, ReadError};

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

    /// The number of an account's next extrinsic, counting those that wait in the node's pool.
    pub(crate) async fn next_nonce(&self, account: AccountId) -> Result<u32, ReadError> {
        const METHOD: &str = "system_accountNextIndex";
        let nonce = self.call(METHOD, json!([account])).await?;
        nonce.as_u64().and_then(|nonce| u32::try_from(nonce).ok()).ok_or_else(|| wire::malformed(METHOD, "a number"))
    }

    /// The extrinsics of a block, with their lengths in front.
    pub(crate) async fn extrinsics(&self, hash: [u8; 32]) -> Result<Vec<Vec<u8>>, ReadError> {
        const METHOD: &str = "chain_getBlock";
        let block = self.call_at(METHOD, json!([wire::hex(hash)])).await?;
        if block.is_null() {
            return Err(ReadError::NoSuchBlock(wire::hex(hash)));
        }
        let extrinsics = block.get("block").and_then(|block| block.get("extrinsics")).and_then(Json::as_array);
        let extrinsics = extrinsics.ok_or_else(|| wire::malformed(METHOD, "a block's extrinsics"))?;
        extrinsics.iter().map(|extrinsic| wire::bytes(METHOD, extrinsic)).collect()
    }

    /// Puts an extrinsic into the node's pool.
    pub(crate) async fn send(&self, extrinsic: &[u8]) -> Result<(), ReadError> {
        self.call("author_submitExtrinsic", json!([wire::hex(extrinsic)])).await.map(drop)
    }
}

impl At {
    /// A call of the runtime whose arguments are bytes already.
    pub(crate) async fn call_encoded<T: FromScale>(&self, api: &str, method: &str, arguments: &[u8]) -> Result<T, ReadError> {
        let params = json!([format!("{api}_{method}"), wire::hex(arguments), wire::hex(self.block().hash)]);
        let answer = wire::bytes("state_call", &self.chain().call_at("state_call", params).await?)?;
        self.decoded(api, method, &answer)
    }

    /// What the runtime would say to an extrinsic in the next block: `ApplyExtrinsicResult`. Changes nothing.
    ///
    /// Public nodes keep `system_dryRun` to themselves. All it does is to call the runtime, and that everybody may.
    pub(crate) async fn apply(&self, extrinsic: &[u8]) -> Result<Value, ReadError> {
        const METHOD: &str = "system_dryRun";
        let (api, method) = ("BlockBuilder", "apply_extrinsic");
        match self.chain().call_at(METHOD, json!([wire::hex(extrinsic), wire::hex(self.block().hash)])).await {
            Ok(answer) => self.decoded(api, method, &wire::bytes(METHOD, &answer)?),
            Err(ReadError::Rpc(RpcError::Refused { .. })) => self.call_encoded(api, method, extrinsic).await,
            Err(other) => Err(other),
        }
    }

    fn decoded<T: FromScale>(&self, api: &str, method: &str, bytes: &[u8]) -> Result<T, ReadError> {
        let runtime = self.runtime();
        let spec_version = runtime.spec_version();
        runtime.call_answer(api, method, bytes).map_err(|source| ReadError::Scale { source, spec_version })
    }
}
