//! Why a node gave no answer.

use std::time::Duration;

use url::Url;

/// Why a request got no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    /// No endpoint could be used.
    #[error("no endpoint of the chain can be used: {}", .0.join("; "))]
    Unreachable(Vec<String>),
    /// One endpoint cannot be connected.
    #[error("{endpoint}: cannot connect: {why}")]
    Connect {
        /// Host and port.
        endpoint: String,
        /// Why not.
        why: String,
    },
    /// The connection ended before the answer.
    #[error("{endpoint}: the connection broke: {why}")]
    Broken {
        /// Host and port.
        endpoint: String,
        /// Why.
        why: String,
    },
    /// No answer in time.
    #[error("{endpoint}: no answer to {method} within {after:?}")]
    Timeout {
        /// Host and port.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The node answered with an error.
    #[error("{endpoint} refuses {method}: {message} (code {code})")]
    Refused {
        /// Host and port.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The node keeps no state of a block this old.
    #[error("{endpoint} keeps nothing of that block ({message}); set an archive endpoint for blocks older than about an hour")]
    Discarded {
        /// Host and port.
        endpoint: String,
        /// The node's words.
        message: String,
    },
    /// The node does not know the block: it is behind others, or the block was on a fork that was given up, or is too old for it.
    #[error("{endpoint} does not know that block ({message}); it may be behind other nodes, or the block was given up")]
    UnknownBlock {
        /// Host and port.
        endpoint: String,
        /// The node's words.
        message: String,
    },
    /// The endpoint serves another chain.
    #[error("{endpoint} serves another chain: its genesis is {found}, wanted {wanted}")]
    WrongChain {
        /// Host and port.
        endpoint: String,
        /// Its genesis hash.
        found: String,
        /// The hash that was configured.
        wanted: String,
    },
    /// TLS without a provider.
    #[error("no TLS provider is installed; call install_default of a rustls provider when the program starts")]
    NoTlsProvider,
    /// Nobody is trusted to say who a node is: the authorities that the environment names cannot be read.
    #[error("no authority to check the certificates of nodes by: {why}")]
    Trust {
        /// Why not.
        why: String,
    },
}

impl RpcError {
    /// Whether another endpoint, or the same one later, may do better.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Connect { .. } | Self::Broken { .. } | Self::Timeout { .. } | Self::UnknownBlock { .. } => true,
            Self::Refused { .. } => self.is_overload(),
            Self::Discarded { .. } | Self::WrongChain { .. } | Self::NoTlsProvider | Self::Trust { .. } => false,
        }
    }

    /// Whether the node has too much to do.
    pub(in crate::read) fn is_overload(&self) -> bool {
        matches!(self, Self::Refused { code, message, .. } if is_overload(*code, message))
    }

    /// A word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Connect { .. } => "connect",
            Self::Broken { .. } => "broken",
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::Discarded { .. } => "discarded",
            Self::UnknownBlock { .. } => "unknown_block",
            Self::WrongChain { .. } => "wrong_chain",
            Self::NoTlsProvider => "no_tls_provider",
            Self::Trust { .. } => "trust",
        }
    }

    /// What a node's error object means.
    pub(super) fn of_node(endpoint: &str, method: &'static str, code: i64, message: String) -> Self {
        let endpoint = endpoint.to_owned();
        // As worded by Substrate: code 4003 is any error of the state backend.
        let lower = message.to_lowercase();
        // "Api called for an unknown Block: State already discarded" is about a block that is known.
        if lower.contains("state already discarded") {
            Self::Discarded { endpoint, message }
        } else if ["unknown block", "unknownblock", "header was not found"].iter().any(|sign| lower.contains(sign)) {
            Self::UnknownBlock { endpoint, message }
        } else {
            Self::Refused { endpoint, method, code, message }
        }
    }
}

/// Too many requests, too many subscriptions, server busy: codes of jsonrpsee and of proxies in front of public nodes.
fn is_overload(code: i64, message: &str) -> bool {
    matches!(code, -32005..=-32001 | -32009 | 429) || message.to_lowercase().contains("too many")
}

/// Host and port of an endpoint. Paths and queries may hold access keys, so they are shown nowhere.
pub(crate) fn shown(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        _ => format!("{}://?", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_keys_are_not_shown() {
        let url = Url::parse("wss://name:word@node.example/v1/s3cret?key=s3cret").unwrap();
        assert_eq!(shown(&url), "wss://node.example:443");
    }

    #[test]
    fn a_discarded_state_is_told_from_a_refusal() {
        let of = |message: &str| RpcError::of_node("ws://n:1", "state_call", 4003, message.to_owned());
        assert!(matches!(
            of("Client error: Api called for an unknown Block: State already discarded for 0x6c"),
            RpcError::Discarded { .. }
        ));
        let behind = of("Client error: UnknownBlock: Header was not found in the database: 0x6c");
        assert!(matches!(behind, RpcError::UnknownBlock { .. }) && behind.is_passing());
        assert!(matches!(of("Client error: Exported method X is not found"), RpcError::Refused { .. }));
    }
}
