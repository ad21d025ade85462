//! The command `kubelab`: a real Kubernetes on this machine, up and down.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use kubelab::{DownOptions, Lab, Mirror, Nodes, Options};

/// A real Kubernetes on this machine, without Docker.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a lab and return when it is ready.
    Up(Up),
    /// End what `up` started and remove its files.
    Down {
        #[command(flatten)]
        folder: Folder,
        /// Leave the logs.
        #[arg(long)]
        keep_logs: bool,
    },
    /// Print the folders of all labs that are up.
    List,
    /// Run kubectl against a lab, as administrator.
    Kubectl {
        #[command(flatten)]
        folder: Folder,
        /// What to hand to kubectl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build the programs now rather than at the first `up`.
    Build,
    /// Say which kinds of lab this machine can run.
    Levels,
}

#[derive(Args)]
struct Folder {
    /// The lab's folder.
    #[arg(long, env = "KUBELAB", default_value = "/tmp/kubelab")]
    dir: PathBuf,
}

#[derive(Args)]
struct Up {
    #[command(flatten)]
    folder: Folder,
    /// Which nodes the cluster has.
    #[arg(long, value_enum, default_value = "none")]
    nodes: Kind,
    /// The cluster's name in the kubeconfig.
    #[arg(long, default_value = "kubelab")]
    name: String,
    /// The name of a real node.
    #[arg(long, default_value = "node-0")]
    node_name: String,
    /// How many simulated nodes.
    #[arg(long, default_value_t = 2)]
    count: u32,
    /// How many GPUs each node claims to have [default: 8 simulated, 0 real].
    #[arg(long)]
    gpus: Option<u32>,
    /// Ports for Services of type NodePort.
    #[arg(long, default_value = "30000-32767", value_name = "FIRST-LAST")]
    service_node_port_range: String,
    /// Listen on all addresses, so that pods of another lab reach the API server.
    #[arg(long)]
    expose: bool,
    /// Where a registry host's images come from, if not from the lab's registry.
    #[arg(long, value_name = "HOST=URL")]
    mirror: Vec<String>,
    /// Record reads in the audit log too.
    #[arg(long)]
    audit_reads: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A control plane alone.
    None,
    /// Nodes whose pods only seem to run.
    Simulated,
    /// A kubelet and containerd that run pods.
    Real,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Up(up) => start(up),
        Command::Down { folder, keep_logs } => Lab::down_with(&folder.dir, DownOptions { keep_logs }).map_err(Into::into),
        Command::List => {
            Lab::list().iter().for_each(|dir| println!("{}", dir.display()));
            Ok(())
        }
        Command::Kubectl { folder, args } => {
            let error = Lab::attach(&folder.dir)?.kubectl().args(args).exec();
            Err(error).context("kubectl")
        }
        Command::Build => {
            let binaries = kubelab::build(true, &mut |line| eprintln!("{line}"))?;
            println!("{}", binaries.folder().display());
            Ok(())
        }
        Command::Levels => {
            let say = |level: &str, reason: Option<String>| {
                println!("{level}: {}", reason.map_or("possible".to_owned(), |reason| format!("not possible: {reason}")));
            };
            say("L3, control plane and simulated nodes", kubelab::l3_unavailable());
            say("L4, a real node", kubelab::l4_unavailable());
            Ok(())
        }
    }
}

fn start(up: Up) -> Result<()> {
    let mut options = Options::new(up.folder.dir).name(up.name).nodes(match up.nodes {
        Kind::None => Nodes::None,
        Kind::Simulated => Nodes::Simulated { count: up.count, gpus: up.gpus.unwrap_or(8) },
        Kind::Real => Nodes::Real { name: up.node_name, gpus: up.gpus.unwrap_or(0) },
    });
    options.expose = up.expose;
    options.audit_reads = up.audit_reads;
    for mirror in up.mirror {
        let (host, url) = mirror.split_once('=').context("a mirror is written as HOST=URL")?;
        options.mirrors.push(Mirror { host: host.to_owned(), endpoint: Some(url.to_owned()) });
    }
    let (first, last) = up.service_node_port_range.split_once('-').context("a port range is written as FIRST-LAST")?;
    options.node_ports = first.parse()?..=last.parse()?;
    ensure!(!options.node_ports.is_empty(), "the port range is empty");

    let lab = Lab::up(options, |line| eprintln!("{line}"))?;
    println!("kubeconfig: {}", lab.kubeconfig.display());
    if let Some(node) = &lab.real_node {
        println!("node: {} at {}, this machine is {} there", node.name, node.ip, node.host_ip);
    }
    if let Some(registry) = &lab.registry {
        println!("registry: {registry}");
    }
    Ok(())
}
