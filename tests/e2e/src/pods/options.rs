//! What a caller may choose about the processes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// How chutes of simulated nodes are run.
#[derive(Clone, Debug)]
pub struct PodRunnerOptions {
    /// Only pods of these namespaces; of all where there are none.
    pub namespaces: Vec<String>,
    /// Where the processes listen, on ports that the kernel chooses; each prints which.
    pub bind_ip: IpAddr,
    /// The fake chute's binary.
    pub fake_chute: PathBuf,
    /// Where every process gets a file `<namespace>.<pod>.log`; made if absent.
    pub log_dir: PathBuf,
    /// Further environment of every process, over that of its pod; see [`super::PodRunner::hook`] for single chutes.
    pub env: BTreeMap<String, String>,
}

impl PodRunnerOptions {
    /// Pods of all namespaces, listening on 127.0.0.1.
    pub fn new(fake_chute: impl Into<PathBuf>, log_dir: impl Into<PathBuf>) -> Self {
        Self {
            namespaces: Vec::new(),
            bind_ip: Ipv4Addr::LOCALHOST.into(),
            fake_chute: fake_chute.into(),
            log_dir: log_dir.into(),
            env: BTreeMap::new(),
        }
    }

    /// Whether a pod of this namespace is ours to run.
    pub(super) fn covers(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|n| n == namespace)
    }
}
