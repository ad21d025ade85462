//! Which chain, through which endpoints.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::read::rpc::RpcOptions;

/// A network by the names that the ecosystem uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The main network.
    Finney,
    /// The test network.
    Test,
    /// A node on this machine.
    Local,
}

/// Genesis of the main network.
const FINNEY: [u8; 32] = [
    0x2f, 0x05, 0x55, 0xcc, 0x76, 0xfc, 0x28, 0x40, 0xa2, 0x5a, 0x6e, 0xa3, 0xb9, 0x63, 0x71, 0x46, 0x80, 0x6f, 0x1f, 0x44, 0xb0, 0x90,
    0xc1, 0x75, 0xff, 0xde, 0x2a, 0x7e, 0x5a, 0xb3, 0x6c, 0x03,
];

impl Network {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finney => "finney",
            Self::Test => "test",
            Self::Local => "local",
        }
    }

    /// The network whose first block has this hash, if it is a known one.
    pub fn with_genesis(genesis: &[u8; 32]) -> Option<Self> {
        (*genesis == FINNEY).then_some(Self::Finney)
    }

    fn endpoints(self) -> &'static [&'static str] {
        match self {
            Self::Finney => {
                &["wss://entrypoint-finney.opentensor.ai:443", "wss://lite.chain.opentensor.ai:443", "wss://lite.sub.latent.to:443"]
            }
            Self::Test => &["wss://test.finney.opentensor.ai:443"],
            Self::Local => &["ws://127.0.0.1:9944"],
        }
    }

    fn archive(self) -> &'static [&'static str] {
        match self {
            Self::Finney => &["wss://archive.chain.opentensor.ai:443"],
            Self::Test | Self::Local => &[],
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name or an address that means no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: finney, test, local, or an address such as ws://127.0.0.1:9944 is wanted")]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        match text {
            "finney" | "main" | "mainnet" => Ok(Self::Finney),
            "test" | "testnet" => Ok(Self::Test),
            "local" => Ok(Self::Local),
            other => Err(NetworkError(other.chars().take(80).collect())),
        }
    }
}

/// Where a chain can be read.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Name of the network, for files and messages.
    pub network: String,
    /// Endpoints in order of preference.
    pub endpoints: Vec<Url>,
    /// Endpoints that keep every block's state.
    pub archive: Vec<Url>,
    /// Hash of the first block. Endpoints with another are not used.
    pub genesis: Option<[u8; 32]>,
    /// Limits.
    pub options: RpcOptions,
}

impl ChainConfig {
    /// A known network with its public endpoints.
    pub fn of(network: Network) -> Self {
        let urls = |texts: &[&str]| texts.iter().filter_map(|text| Url::parse(text).ok()).collect();
        Self {
            network: network.name().to_owned(),
            endpoints: urls(network.endpoints()),
            archive: urls(network.archive()),
            genesis: (network == Network::Finney).then_some(FINNEY),
            options: RpcOptions::default(),
        }
    }

    /// A name of a network, or one or more addresses with commas between them.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        if let Ok(network) = text.parse() {
            return Ok(Self::of(network));
        }
        let endpoints = text.split(',').map(|part| endpoint(part.trim())).collect::<Result<_, _>>()?;
        Ok(Self { network: "custom".to_owned(), endpoints, archive: Vec::new(), genesis: None, options: RpcOptions::default() })
    }

    /// What the environment says, by the names that the ecosystem's programs read: an endpoint before a network, the main network
    /// when nothing is said.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for a value that means nothing.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, NetworkError> {
        let names = ["BT_SUBTENSOR_CHAIN_ENDPOINT", "BT_CHAIN_ENDPOINT", "BT_SUBTENSOR_NETWORK"];
        let set = names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        set.map_or_else(|| Ok(Self::of(Network::Finney)), |value| Self::parse(&value))
    }
}

fn endpoint(text: &str) -> Result<Url, NetworkError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host());
    url.ok_or_else(|| NetworkError(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_the_environment_goes_before_a_network() {
        let environment = |name: &str| match name {
            "BT_SUBTENSOR_CHAIN_ENDPOINT" => Some("ws://a:1, wss://b".to_owned()),
            "BT_SUBTENSOR_NETWORK" => Some("test".to_owned()),
            _ => None,
        };
        let config = ChainConfig::from_environment(environment).unwrap();
        assert_eq!(config.endpoints.len(), 2);
        let nothing = ChainConfig::from_environment(|_| None).unwrap();
        assert_eq!((nothing.network.as_str(), nothing.endpoints.len(), nothing.archive.len()), ("finney", 3, 1));
        let empty = ChainConfig::from_environment(|_| Some(String::new())).unwrap();
        assert_eq!(empty.network, "finney");
    }

    #[test]
    fn what_is_neither_name_nor_address_is_refused() {
        for bad in ["", "mainnnet", "http://node:9944", "ws://", "ws://a:1,"] {
            assert!(ChainConfig::parse(bad).is_err(), "{bad}");
        }
    }
}
