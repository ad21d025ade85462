//! Commands and flags. Those of the existing command line keep their names, defaults and variables.

pub(crate) mod wallet;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unauthorised,\n\
    5 remote work failed, 6 declined, 7 timed out (work goes on), 8 unreachable,\n\
    130 interrupted. CHUTES_COMPAT=0.7 does what --compat-exit does.";

/// Manage the GPU servers of a miner.
#[derive(Debug, Parser)]
#[command(name = "chutes-miner", version, about = "Manage the GPU servers of a miner", args_override_self = true, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Exit with the codes of the existing command line
    #[arg(long, global = true, display_order = 900)]
    pub(crate) compat_exit: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a server and follow it until its GPUs are proven
    AddNode(AddNode),
    /// Remove a server: stop its chutes, de-register it, forget it
    DeleteNode(DeleteNode),
    /// Place nothing more on a server; what runs goes on
    Lock(OneServer),
    /// Lift the lock of a server
    Unlock(OneServer),
    /// What is wrong, what runs, what it earns
    Status(Status),
    /// List servers, GPUs and deployments
    LocalInventory(Inventory),
    /// Stop all deployments but jobs
    PurgeDeployments(Connection),
    /// Stop one deployment, or all of a server but jobs
    PurgeDeployment(PurgeDeployment),
    /// Stop all deployments of a server but jobs
    PurgeServer(PurgeServer),
    /// Keys: make, show, sign, convert
    Wallet(wallet::Wallet),
    /// The chain: what stands on it, and acting on it
    Chain(crate::commands::chain::Chain),
    /// Competition, prices and prospects on subnets
    Subnets(crate::commands::subnets::Subnets),
}

/// How to reach the miner API, and as whom.
#[derive(Clone, Debug, ClapArgs)]
#[command(args_override_self = true, next_help_heading = "Miner API")]
pub(crate) struct Connection {
    /// The hotkey file (JSON, as wallets write it)
    #[arg(long, env = "HOTKEY", value_name = "FILE", default_value = "", hide_default_value = true)]
    pub(crate) hotkey: String,
    /// File with the password of an encrypted hotkey (- for standard input)
    #[arg(long, env = "HOTKEY_PASSWORD_FILE", value_name = "FILE", default_value = "", hide_default_value = true)]
    pub(crate) hotkey_password_file: String,
    /// Base URL of the miner API
    #[arg(long, env = "MINER_API", value_name = "URL", default_value = "http://127.0.0.1:32000")]
    pub(crate) miner_api: String,
    /// PEM file of the authority to trust for an https miner API
    #[arg(long, env = "MINER_API_CA", value_name = "FILE", default_value = "", hide_default_value = true)]
    pub(crate) ca_file: String,
}

/// Add a server and follow it until its GPUs are proven.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    override_usage = "chutes-miner add-node --name NAME --validator SS58 --hourly-cost USD\n           --gpu-short-ref REF --agent-api URL [OPTIONS]",
    after_help = "Examples:\n  chutes-miner add-node --name gpu-1 --gpu-short-ref h100_sxm --hourly-cost 2.10 \\\n    \
        --validator 5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ \\\n    --agent-api http://203.0.113.7:32000\n\n\
        A sealed worker, driven over its kubeconfig:\n  chutes-miner add-node --name tee-1 --gpu-short-ref h200 --hourly-cost 3.50 \\\n    \
        --validator 5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ --gpu-count 8 \\\n    \
        --driver remote --kubeconfig-file tee-1.yaml --address 203.0.113.8\n\n\
        Interrupting it harms nothing: the control plane goes on, and\nchutes-miner status shows how far it is."
)]
pub(crate) struct AddNode {
    /// The server's name
    #[arg(long)]
    pub(crate) name: String,
    /// Hotkey of the validator it shall earn from
    #[arg(long, value_name = "SS58", required_unless_present = "re_enrol")]
    pub(crate) validator: Option<String>,
    /// US dollars per GPU and hour
    #[arg(long, value_name = "USD", required_unless_present = "re_enrol")]
    pub(crate) hourly_cost: Option<f64>,
    /// GPU type by its short name, such as h100_sxm
    #[arg(long, value_name = "REF", required_unless_present = "re_enrol")]
    pub(crate) gpu_short_ref: Option<String>,
    /// URL of the agent on the server
    #[arg(long, value_name = "URL", required_unless_present_any = ["kubeconfig_file", "re_enrol"])]
    pub(crate) agent_api: Option<String>,
    /// Who drives it: our agent, or us over a kubeconfig
    #[arg(long, value_enum, value_name = "WHO", default_value_t = Driver::Agent)]
    pub(crate) driver: Driver,
    /// The node's kubeconfig (driver remote)
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig_file: Option<String>,
    /// Public address, if the agent does not know it
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// GPUs, if nobody on the server counts them
    #[arg(long, value_name = "N")]
    pub(crate) gpu_count: Option<u8>,
    /// Name of the Kubernetes node, if it differs
    #[arg(long)]
    pub(crate) node_name: Option<String>,
    /// How the GPUs are proven
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) attestation: Option<Attestation>,
    /// Which cluster runs its pods
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) cluster: Option<Cluster>,
    /// Its agent lost its state: pin the new key
    #[arg(long, conflicts_with_all = ["kubeconfig_file", "driver"])]
    pub(crate) re_enrol: bool,
    /// How to print it; json: one document a line, the outcome last
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Driver {
    Agent,
    Remote,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attestation {
    Graval,
    Tee,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cluster {
    Own,
    Shared,
}

/// Remove a server: stop its chutes, de-register it, forget it.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner delete-node --name gpu-1\n  chutes-miner delete-node --name gpu-1 --yes --no-wait\n\n\
        A machine that will never come back:\n  chutes-miner delete-node --name gpu-1 --lost"
)]
pub(crate) struct DeleteNode {
    /// The server's name or id
    #[arg(long)]
    pub(crate) name: String,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// The machine is dead: do not wait for it to stop its chutes
    #[arg(long)]
    pub(crate) lost: bool,
    /// Return as soon as the deletion has begun
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Seconds to wait until it is gone
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(crate) struct OneServer {
    /// The server's name or id
    #[arg(long)]
    pub(crate) name: String,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What is wrong, what runs, what it earns.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner status\n  chutes-miner status -o json | jq '.problems[].what'"
)]
pub(crate) struct Status {
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(crate) struct Inventory {
    /// The same as -o json
    #[arg(long, overrides_with = "no_raw_json")]
    pub(crate) raw_json: bool,
    #[arg(long, hide = true, overrides_with = "raw_json")]
    pub(crate) no_raw_json: bool,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(crate) struct PurgeDeployment {
    /// The deployment's id
    #[arg(long, short)]
    pub(crate) deployment_id: Option<String>,
    /// A server's name or id: all its deployments but jobs
    #[arg(long, short)]
    pub(crate) node_id: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(crate) struct PurgeServer {
    /// The server's name or id
    #[arg(long, short)]
    pub(crate) name: String,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
