//! What was recorded from the real chain.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::World;
use crate::rpc::{bytes, hash};

/// Metadata of version 14 of runtime 343, packed.
pub const METADATA_V14: &[u8] = include_bytes!("../../../crates/chain/testdata/metadata-v14-spec343.scale.gz");
/// Metadata of version 15 of runtime 343, packed.
pub const METADATA_V15: &[u8] = include_bytes!("../../../crates/chain/testdata/metadata-v15-spec343.scale.gz");
/// Metadata of version 16 of runtime 365, packed.
pub const METADATA_V16: &[u8] = include_bytes!("../../../crates/chain/testdata/metadata-v16-spec365.scale.gz");

const RECORDED: &[u8] = include_bytes!("../../../crates/chain/testdata/recorded-rpc.json.gz");

/// Unpacks gzip.
///
/// # Errors
///
/// When it is no gzip.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Requests to the real chain with its answers: scenario, method, parameters, response.
#[derive(Debug, Clone)]
pub struct Recording(serde_json::Map<String, Value>);

impl Recording {
    /// The recording that comes with the crate: 36 scenarios of runtimes 208 to 343.
    ///
    /// # Errors
    ///
    /// Never for the file as it is.
    pub fn shipped() -> Result<Self> {
        Ok(Self(serde_json::from_slice(&unpack(RECORDED)?)?))
    }

    /// Names of the scenarios.
    pub fn scenarios(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All exchanges of a scenario: method, parameters, response. Of a row of responses to one request each is one exchange.
    ///
    /// # Errors
    ///
    /// For a scenario that is not there, and for parameters that are no JSON.
    pub fn exchanges(&self, scenario: &str) -> Result<Vec<(String, Value, Value)>> {
        let methods = self.0.get(scenario).and_then(Value::as_object).with_context(|| format!("no scenario {scenario}"))?;
        let mut exchanges = Vec::new();
        for (method, answers) in methods {
            for (params, response) in answers.as_object().context("no answers")? {
                let params: Value = serde_json::from_str(params).with_context(|| format!("parameters of {method}: {params}"))?;
                match response.get("cycle").and_then(Value::as_array) {
                    Some(row) => exchanges.extend(row.iter().map(|response| (method.clone(), params.clone(), response.clone()))),
                    None => exchanges.push((method.clone(), params, response.clone())),
                }
            }
        }
        Ok(exchanges)
    }

    /// Puts the state of a scenario into a world, at every block, and the real hashes of the blocks it names.
    ///
    /// # Errors
    ///
    /// For a scenario that is not there, and for bytes that are no hexadecimal.
    pub fn put(&self, scenario: &str, world: &mut World) -> Result<()> {
        for (method, params, response) in self.exchanges(scenario)? {
            let Some(result) = response.get("result") else { continue };
            match method.as_str() {
                "state_call" => {
                    let name = params[0].as_str().context("a call without a name")?;
                    world.set_call(0, name, bytes(&params[1]).context("arguments")?, bytes(result).context("an answer")?);
                }
                "state_getStorageAt" => world.set_storage(0, bytes(&params[0]).context("a key")?, bytes(result)),
                "state_queryStorageAt" => {
                    for change in result.as_array().into_iter().flatten().flat_map(|set| set["changes"].as_array()).flatten() {
                        world.set_storage(0, bytes(&change[0]).context("a key")?, bytes(&change[1]));
                    }
                }
                "chain_getHeader" => {
                    let number = result["number"].as_str().and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
                    let number = number.context("a header without a number")?;
                    if let Some(parent) = hash(&result["parentHash"]) {
                        world.pin(number - 1, parent);
                    }
                    if let Some(own) = hash(&params[0]) {
                        world.pin(number, own);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
