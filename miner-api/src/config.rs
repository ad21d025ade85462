//! The command line.

use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};
use url::Url;

/// The miner API: people, nodes and validators talk to this.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    override_usage = "miner-api --database-url <URL> --redis-url <URL> --hotkey-file <FILE>\n                 --public-url <URL> --state-dir <FOLDER> [OPTIONS]"
)]
pub struct Args {
    /// Kubeconfig of the control cluster; the pod's own account if absent.
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Postgres, such as postgres://miner:password@127.0.0.1/chutes.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Redis for wake-ups, such as redis://127.0.0.1:6379/0.
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: String,
    /// The wallet's hotkey file (JSON, mode 0600).
    #[arg(long, value_name = "FILE", env = "HOTKEY_FILE")]
    pub hotkey_file: PathBuf,
    /// Plain HTTP, for the official command line on this machine. Never answers with a secret.
    #[arg(long, value_name = "ADDRESS", env = "LISTEN", default_value = "127.0.0.1:32000")]
    pub listen: SocketAddr,
    /// TLS, for agents and command lines elsewhere.
    #[arg(long, value_name = "ADDRESS", env = "LISTEN_TLS", default_value = "0.0.0.0:32443")]
    pub listen_tls: SocketAddr,
    /// Health, readiness and metrics, for the cluster's own network.
    #[arg(long, value_name = "ADDRESS", env = "ADMIN_LISTEN", default_value = "127.0.0.1:32080")]
    pub admin_listen: SocketAddr,
    /// This API over TLS as agents reach it, such as https://203.0.113.1:32443.
    #[arg(long, value_name = "URL", env = "PUBLIC_URL")]
    pub public_url: Url,
    /// Further DNS names or addresses for the TLS certificate.
    #[arg(long, value_name = "NAMES", env = "TLS_NAMES", value_delimiter = ',')]
    pub tls_names: Vec<String>,
    /// The control cluster's API server as agents reach it; as in the kubeconfig if absent.
    #[arg(long, value_name = "URL", env = "API_SERVER_URL")]
    pub api_server_url: Option<Url>,
    /// PEM file of that API server's certificate authority; as in the kubeconfig if absent.
    #[arg(long, value_name = "FILE", env = "API_SERVER_CA")]
    pub api_server_ca: Option<PathBuf>,
    /// Where the certificate authority is kept. Losing it means enrolling every agent again (add-node --re-enrol).
    #[arg(long, value_name = "FOLDER", env = "STATE_DIR")]
    pub state_dir: PathBuf,
    /// Seconds between two chute lists of a validator.
    #[arg(long, value_name = "SECONDS", env = "LIST_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub list_seconds: u64,
    /// Seconds that a chute which the validator offers no more and which runs nowhere stays as a resource.
    #[arg(long, env = "WITHDRAWN_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub withdrawn_seconds: u64,
    /// A node of the chain (ws://, wss://) through which the hotkey is watched, or finney; repeated: the next takes over. Off without.
    #[arg(long, value_name = "URL", env = "CHAIN_ENDPOINT", value_delimiter = ',', hide_env_values = true)]
    pub chain_endpoint: Vec<String>,
    /// Hash of the chain's first block (0x…); nodes of other chains are not used. For subnet 64 the main network's, unless all nodes are
    /// on this machine.
    #[arg(long, value_name = "HASH", env = "CHAIN_GENESIS", value_parser = hash)]
    pub chain_genesis: Option<[u8; 32]>,
    /// Seconds between two looks at the chain.
    #[arg(long, value_name = "SECONDS", env = "CHAIN_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(12..=3600))]
    pub chain_seconds: u64,
    /// The subnet; only 64 is known.
    #[arg(long, env = "NETUID", default_value_t = 64)]
    pub netuid: u16,
}

/// `0x` and 64 hexadecimal digits.
fn hash(text: &str) -> Result<[u8; 32], String> {
    let bytes = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "not 0x and 64 hexadecimal digits".to_owned())
}

impl Args {
    /// The names the TLS certificate must hold.
    #[must_use]
    pub fn certificate_names(&self) -> Vec<String> {
        let public = self.public_url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned());
        let mut names: Vec<String> = public.into_iter().chain(self.tls_names.iter().filter(|name| !name.is_empty()).cloned()).collect();
        names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_whole_or_refused() {
        assert_eq!(hash(&format!("0x{}", "07".repeat(32))), Ok([7; 32]));
        for bad in ["", "0x", "07", &"07".repeat(32), &format!("0x{}", "07".repeat(31)), &format!("0x{}", "zz".repeat(32))] {
            assert!(hash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_certificate_holds_the_public_host_and_the_names_asked_for() {
        let args = Args::try_parse_from([
            "miner-api",
            "--database-url",
            "postgres://x",
            "--redis-url",
            "redis://x",
            "--hotkey-file",
            "k",
            "--state-dir",
            "s",
            "--public-url",
            "https://203.0.113.1:32443",
            "--tls-names",
            "miner.example,10.0.0.1",
        ])
        .unwrap();
        assert_eq!(args.certificate_names(), ["10.0.0.1", "127.0.0.1", "203.0.113.1", "localhost", "miner.example"]);
    }
}
