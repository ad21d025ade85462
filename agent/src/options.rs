//! The command line.

use clap::{Args, Parser};
use protocol::ids::Ss58;
use std::net::SocketAddr;
use std::path::PathBuf;
use workload::NodeProfile;

/// The agent of one GPU server.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Options {
    /// The name of the Kubernetes node this runs on, as `kubectl get nodes` shows it.
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: String,

    /// Kubeconfig of the cluster that runs the server's pods. Without it the service account of the agent's own pod is used.
    #[arg(long, value_name = "FILE", env = "NODE_KUBECONFIG")]
    pub node_kubeconfig: Option<PathBuf>,

    /// The miner's hotkey address. Only orders signed by this hotkey are followed.
    #[arg(long, value_name = "SS58", env = "MINER_HOTKEY_SS58")]
    pub miner: Ss58,

    /// Public address of the server, which the validator reaches instances at.
    #[arg(long, env = "PUBLIC_ADDRESS")]
    pub address: Option<String>,

    /// Folder for the node key and what must survive a restart. Without what is in it the server must be enrolled again.
    #[arg(long, value_name = "FOLDER", env = "STATE_DIR", default_value = "/var/lib/gepetto-agent")]
    pub state_dir: PathBuf,

    /// The GPU driver's `libnvidia-ml.so.1`, if the system's loader does not find it.
    #[arg(long, value_name = "FILE", env = "NVML_LIBRARY")]
    pub nvml_library: Option<PathBuf>,

    /// Where the miner API reaches the agent: plain HTTP, signed requests, no secrets.
    #[arg(long, value_name = "ADDRESS", env = "LISTEN", default_value = "0.0.0.0:32000")]
    pub listen: SocketAddr,

    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    #[arg(long, value_name = "ADDRESS", env = "ADMIN_LISTEN", default_value = "127.0.0.1:32001")]
    pub admin_listen: SocketAddr,

    /// Seconds between two looks at the GPUs.
    #[arg(long, value_name = "SECONDS", env = "INVENTORY_INTERVAL_S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub inventory_interval_s: u64,

    /// How pods of chutes differ here from what is usual.
    #[command(flatten)]
    pub pods: PodOptions,
}

/// How pods of chutes differ here from what is usual.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Pods of chutes")]
pub struct PodOptions {
    /// Runtime class that gives containers their GPUs (usually nvidia).
    #[arg(long, value_name = "NAME", env = "RUNTIME_CLASS")]
    pub runtime_class: Option<String>,

    /// Directory of the node that holds the model cache (usually /var/snap/cache).
    #[arg(long, value_name = "FOLDER", env = "CACHE_ROOT")]
    pub cache_root: Option<String>,

    /// Image that evicts old models before a chute starts.
    #[arg(long, value_name = "IMAGE", env = "CACHE_CLEANER_IMAGE")]
    pub cleaner_image: Option<String>,

    /// When images of chutes are pulled: Always, IfNotPresent or Never (usually Always).
    #[arg(long, value_name = "POLICY", env = "IMAGE_PULL_POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub image_pull_policy: Option<String>,
}

impl PodOptions {
    /// The profile of the server, with what was asked for here.
    #[must_use]
    pub fn over(&self, mut profile: NodeProfile) -> NodeProfile {
        let set = |field: &mut String, asked: &Option<String>| {
            if let Some(asked) = asked {
                field.clone_from(asked);
            }
        };
        set(&mut profile.runtime_class, &self.runtime_class);
        set(&mut profile.cache_root, &self.cache_root);
        set(&mut profile.cleaner_image, &self.cleaner_image);
        set(&mut profile.pull_policy, &self.image_pull_policy);
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_wrong_miner_address_is_refused_at_the_start() {
        let error = Options::try_parse_from(["agent", "--node-name", "a", "--miner", "5Wrong"]).unwrap_err();
        assert!(error.to_string().contains("--miner"), "{error}");
    }
}
