//! The methods of a node.

use serde_json::{Value, json};

use crate::{Faults, Hash, World};

/// Code and words of an error.
pub(crate) type Refusal = (i64, String);

/// Bytes as `0x…`, or without it as the older tool sends arguments.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()
}

pub(crate) fn hash(value: &Value) -> Option<Hash> {
    bytes(value)?.try_into().ok()
}

pub(crate) fn shown(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(format!("0x{}", hex::encode(bytes)))
}

pub(crate) fn header(number: u64, parent: Hash) -> Value {
    let zero = shown([0; 32]);
    json!({"number": format!("{number:#x}"), "parentHash": shown(parent), "stateRoot": zero, "extrinsicsRoot": zero, "digest": {"logs": []}})
}

/// SCALE of `Option<Vec<u8>>`.
fn optional(bytes: Option<&[u8]>) -> Vec<u8> {
    let Some(bytes) = bytes else { return vec![0] };
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX) << 2 | 2;
    [&[1], length.to_le_bytes().as_slice(), bytes].concat()
}

/// Answers a request.
pub(crate) fn answer(world: &mut World, faults: &Faults, method: &str, params: &Value) -> Result<Value, Refusal> {
    if faults.overloaded {
        return Err((-32005, "Too many requests".to_owned()));
    }
    if let Some(answer) = faults.instead.get(method) {
        return answer.clone();
    }
    let state_at = |world: &mut World, index: usize| {
        let number = match &params[index] {
            Value::Null => world.best,
            given => {
                let unknown = || (4003, format!("Client error: UnknownBlock: Header was not found in the database: {given}"));
                hash(given).and_then(|hash| world.find(&hash)).ok_or_else(unknown)?.0
            }
        };
        let gone = || (4003, format!("Client error: Api called for an unknown Block: State already discarded for {}", params[index]));
        if world.keeps_state_of(number) { Ok(number) } else { Err(gone()) }
    };
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len().saturating_sub(faults.truncate));
        shown(bytes)
    };
    let wrong = |what: &str| (-32602, format!("Invalid params: {what}"));
    match method {
        "system_chain" => Ok(json!("Bittensor")),
        "system_health" => Ok(json!({"peers": 8, "isSyncing": false, "shouldHavePeers": true})),
        "rpc_methods" => Ok(json!({"methods": ["state_call", "state_getStorageAt"]})),
        "chain_getHead" => Ok(world.hash(world.best).map_or(Value::Null, shown)),
        "chain_getFinalizedHead" => Ok(world.hash(world.finalized()).map_or(Value::Null, shown)),
        "chain_getBlockHash" => {
            let number = if params[0].is_null() { world.best } else { params[0].as_u64().ok_or_else(|| wrong("a number"))? };
            Ok(world.hash(number).map_or(Value::Null, shown))
        }
        "chain_getHeader" => {
            let own = if params[0].is_null() { world.hash(world.best) } else { hash(&params[0]) };
            Ok(own.and_then(|hash| world.find(&hash)).map_or(Value::Null, |(number, parent)| header(number, parent)))
        }
        "state_getRuntimeVersion" => {
            let number = state_at(world, 0)?;
            let version = faults.spec_version.unwrap_or_else(|| world.runtime(number).0);
            Ok(json!({"specName": "node-subtensor", "specVersion": version, "transactionVersion": 1, "apis": []}))
        }
        "state_getMetadata" => {
            let number = state_at(world, 0)?;
            Ok(shown(world.runtime(number).1))
        }
        "state_call" => {
            let number = state_at(world, 2)?;
            let name = params[0].as_str().ok_or_else(|| wrong("a name"))?;
            let arguments = bytes(&params[1]).ok_or_else(|| wrong("arguments"))?;
            if name == "Metadata_metadata_at_version" {
                let metadata = world.runtime(number).1;
                return Ok(shown(optional((metadata.get(4) == arguments.first()).then_some(metadata))));
            }
            if name == "TransactionPaymentApi_query_info" {
                return Ok(shown(world.extrinsics.info()));
            }
            let missing = || (4003, format!("Client error: Execution failed: Exported method {name} is not found"));
            world.call(number, name, &arguments).map(|answer| cut(answer.to_vec())).ok_or_else(missing)
        }
        "state_getStorage" | "state_getStorageAt" => {
            let number = state_at(world, 1)?;
            let key = bytes(&params[0]).ok_or_else(|| wrong("a key"))?;
            Ok(world.storage(number, &key).map_or(Value::Null, |value| cut(value.to_vec())))
        }
        "state_getKeysPaged" => {
            let number = state_at(world, 3)?;
            let prefix = bytes(&params[0]).ok_or_else(|| wrong("a prefix"))?;
            let start = bytes(&params[2]).unwrap_or_default();
            let count = params[1].as_u64().filter(|count| *count <= 1000).ok_or((-32602, "Count exceeds maximum value".to_owned()))?;
            let count = usize::try_from(count).unwrap_or(1000).min(faults.page.unwrap_or(1000));
            let keys = world.keys(number, &prefix, &start, count);
            Ok(keys.into_iter().map(shown).collect())
        }
        "state_queryStorageAt" => {
            let number = state_at(world, 1)?;
            let keys = params[0].as_array().ok_or_else(|| wrong("keys"))?;
            let change = |key: &Value| {
                let value = bytes(key).and_then(|key| world.storage(number, &key).map(shown));
                json!([key, value])
            };
            let changes: Vec<Value> = keys.iter().map(change).collect();
            Ok(json!([{"block": params[1], "changes": changes}]))
        }
        "chain_getBlock" => {
            let own = if params[0].is_null() { world.hash(world.best) } else { hash(&params[0]) };
            let Some((own, (number, parent))) = own.and_then(|hash| Some((hash, world.find(&hash)?))) else { return Ok(Value::Null) };
            let extrinsics: Vec<Value> = world.extrinsics.of(&own).iter().map(shown).collect();
            Ok(json!({"block": {"header": header(number, parent), "extrinsics": extrinsics}, "justifications": null}))
        }
        "system_accountNextIndex" => Ok(json!(world.extrinsics.nonce)),
        "system_dryRun" => Ok(shown(&world.extrinsics.dry_run)),
        "author_submitExtrinsic" => {
            let extrinsic = bytes(&params[0]).ok_or_else(|| wrong("an extrinsic"))?;
            world.submit(extrinsic).map(|()| shown([0; 32])).map_err(|words| (1010, words))
        }
        other => Err((-32601, format!("Method not found: {other}"))),
    }
}
