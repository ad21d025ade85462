//! Where a validator is reached.

use protocol::ids::Ss58;
use url::Url;

/// A validator: its hotkey, its HTTP API, its event socket. Plain `http` and `ws` are allowed: the operator chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorConfig {
    /// Its hotkey.
    pub hotkey: Ss58,
    /// Base of its HTTP API.
    pub api: Url,
    /// Its event socket: `wss`, `ws`, or the same as `https`, `http`.
    pub socket: Url,
}

/// Why a client cannot be made. Says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not a URL of the wanted scheme.
    #[error("the validator's {what} URL must begin with {wanted} and name a host, not {found:?}")]
    Scheme {
        /// `API` or `socket`.
        what: &'static str,
        /// Schemes allowed.
        wanted: &'static str,
        /// The scheme found.
        found: String,
    },
    /// The program did not install a TLS provider.
    #[error("no TLS provider is installed; call install_default of a rustls provider when the program starts")]
    NoTlsProvider,
    /// The TLS set-up failed, for example because the machine has no root certificates.
    #[error("cannot set up TLS: {0}; are root certificates installed?")]
    Tls(String),
}

impl ValidatorConfig {
    pub(crate) fn check_api(&self) -> Result<(), ConfigError> {
        scheme_of("API", &self.api, &["http", "https"], "http:// or https://")
    }

    /// The URL of the websocket, with the path and query of Engine.IO.
    pub(crate) fn websocket(&self) -> Result<Url, ConfigError> {
        let schemes = ["ws", "wss", "http", "https"];
        scheme_of("socket", &self.socket, &schemes, "ws:// or wss://")?;
        // The url crate refuses to turn http into ws in place, so the new URL is spelled out.
        let text = self.socket.as_str();
        let text = if text.starts_with("http") { text.replacen("http", "ws", 1) } else { text.to_owned() };
        let wrong = || ConfigError::Scheme { what: "socket", wanted: "ws:// or wss://", found: text.clone() };
        let mut url = Url::parse(&text).map_err(|_| wrong())?;
        if url.path().trim_matches('/').is_empty() {
            url.set_path("/socket.io/");
        }
        url.set_query(Some("EIO=4&transport=websocket"));
        url.set_fragment(None);
        Ok(url)
    }
}

fn scheme_of(what: &'static str, url: &Url, allowed: &[&str], wanted: &'static str) -> Result<(), ConfigError> {
    if allowed.contains(&url.scheme()) && url.has_host() {
        return Ok(());
    }
    Err(ConfigError::Scheme { what, wanted, found: url.scheme().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn websocket(socket: &str) -> Result<String, ConfigError> {
        let hotkey = protocol::key::Keypair::generate().address().clone();
        let api = Url::parse("https://api.example").unwrap();
        let config = ValidatorConfig { hotkey, api, socket: Url::parse(socket).unwrap() };
        config.websocket().map(String::from)
    }

    #[test]
    fn the_socket_gets_the_path_and_query_of_its_protocol() {
        let query = "EIO=4&transport=websocket";
        for (given, wanted) in [
            ("wss://ws.example", "wss://ws.example/socket.io/"),
            ("https://ws.example/", "wss://ws.example/socket.io/"),
            ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/socket.io/"),
            ("ws://host/other/socket.io/", "ws://host/other/socket.io/"),
        ] {
            assert_eq!(websocket(given).unwrap(), format!("{wanted}?{query}"), "{given}");
        }
        assert!(websocket("ftp://ws.example").is_err());
    }
}
