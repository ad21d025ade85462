//! The demo: a whole fleet on this machine, from nothing to paid GPU-seconds.

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use e2e::fleet::{Fleet, FleetOptions};
use e2e::wait;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Run a whole GPU fleet on this machine: real Kubernetes, real containers, simulated GPUs and validator")]
struct Args {
    /// Where everything of the demo goes.
    #[arg(long, default_value = ".demo", global = true)]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Subcommand)]
enum Command {
    /// Start it, and do what a fleet operator does.
    Up,
    /// End it and remove what it made.
    Down,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.command {
        Command::Up => up(&args.dir),
        Command::Down => down(&args.dir),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            // Whole, but not as it should be; a start that failed midway has said so itself.
            if matches!(args.command, Command::Up) && args.dir.join("fleet.json").exists() {
                eprintln!("Its parts run. To end them: {}", down_command(&args.dir));
            }
            ExitCode::FAILURE
        }
    }
}

/// What a person types to end the demo.
fn down_command(dir: &Path) -> String {
    if dir == Path::new(".demo") { "make demo-down".to_owned() } else { format!("make demo-down DEMO_DIR={}", dir.display()) }
}

fn down(dir: &Path) -> Result<()> {
    Fleet::down(dir)?;
    println!("The demo is down; nothing of it runs any more, and {} is gone. What stays:", dir.display());
    Ok(())
}

fn up(dir: &Path) -> Result<()> {
    let start = Instant::now();
    println!("\nStarting the parts:");
    let fleet = Fleet::up(&FleetOptions::new(dir), &mut |line| println!("  {line}"))?;
    write_env(&fleet)?;

    println!("\n$ chutes-miner add-node --name gpu-0 --gpu-short-ref h100_sxm --hourly-cost 1.80 …");
    let status = fleet
        .cli()
        .args(["add-node", "--name", &fleet.facts.server, "--validator", &fleet.facts.validator_hotkey])
        .args(["--gpu-short-ref", "h100_sxm", "--hourly-cost", "1.80", "--agent-api", &fleet.facts.agent_api])
        .status()
        .context("running chutes-miner")?;
    if !status.success() {
        bail!("add-node failed; logs are in {}", fleet.dir.join("logs").display());
    }

    println!("\nGepetto places chutes; their containers claim, verify and activate at the validator:");
    let mut seen = BTreeMap::new();
    wait::until("three chutes to be Active", Duration::from_secs(120), || {
        let deployments = fleet.deployments()?;
        for deployment in &deployments {
            let text = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (id, phase, reason) = (text("/metadata/name"), text("/status/phase"), text("/status/reason"));
            if !phase.is_empty() && seen.insert(id, phase.clone()).as_deref() != Some(&phase) {
                println!("  {:5.1} s  {:12} {phase:9} {reason}", start.elapsed().as_secs_f64(), text("/spec/chute/name"));
            }
        }
        let active = deployments.iter().filter(|d| d["status"]["phase"] == "Active");
        let chutes: BTreeSet<_> = active.filter_map(|d| d["spec"]["chute"]["name"].as_str()).collect();
        Ok((chutes.len() >= 3).then_some(()))
    })
    .with_context(|| format!("logs are in {}", fleet.dir.join("logs").display()))?;
    let took = start.elapsed().as_secs_f64();

    wait::until("the ledger to count GPU-seconds", Duration::from_secs(60), || Ok((paid_seconds(&fleet)? > 0.0).then_some(())))?;
    show(&fleet)?;
    println!("\nActive {took:.0} s after the start; the ledger counts {:.0} paid GPU-seconds so far.", paid_seconds(&fleet)?);
    println!(
        "\nEverything keeps running. To look around:\n  source {env}\n  kubectl get gpuservers,chutes,chutedeployments -A\n  \
         KUBECONFIG=$NODE_KUBECONFIG kubectl get pods,jobs,services -n chutes\n  chutes-miner status\n  \
         psql \"$DATABASE_URL\" -c 'select * from compute_intervals'\n  ls {logs}\nTo stop it and remove what it made:\n  {end}",
        end = down_command(dir),
        env = fleet.dir.join("env").display(),
        logs = fleet.dir.join("logs").display(),
    );
    Ok(())
}

/// GPU-seconds that the ledger counts as paid so far.
fn paid_seconds(fleet: &Fleet) -> Result<f64> {
    let status: Value = serde_json::from_str(&fleet.run(&["status", "-o", "json"])?).context("chutes-miner status -o json")?;
    let by_server = status["ledger"]["gpu_seconds_by_server"].as_object();
    Ok(by_server.into_iter().flatten().filter_map(|(_, seconds)| seconds.as_f64()).sum())
}

fn show(fleet: &Fleet) -> Result<()> {
    println!("\n$ kubectl get gpuservers,chutes,chutedeployments -A");
    fleet.control.kubectl().args(["get", "gpuservers,chutes,chutedeployments", "-A"]).status()?;
    println!("\n$ chutes-miner status");
    fleet.cli().arg("status").status()?;
    Ok(())
}

/// Variables for a person's shell.
fn write_env(fleet: &Fleet) -> Result<()> {
    let bin = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
    let kubectl = fleet.control.binaries.folder().to_owned();
    let facts = &fleet.facts;
    let text = format!(
        "export KUBECONFIG='{}'\nexport NODE_KUBECONFIG='{}'\nexport DATABASE_URL='{}'\nexport REDIS_URL='{}'\n\
         export MINER_API='{api}'\nexport MINER_API_URL='{api}'\nexport VALIDATOR_URL='{}'\nexport VALIDATOR_ADMIN_URL='{}'\n\
         export HOTKEY='{}'\nexport PATH=\"{}:{}:$PATH\"\n",
        fleet.control.kubeconfig.display(),
        fleet.node.kubeconfig.display(),
        facts.database_url,
        facts.redis_url,
        facts.validator_url,
        facts.validator_admin,
        facts.hotkey_file.display(),
        bin.display(),
        kubectl.display(),
        api = facts.miner_api,
    );
    let path = fleet.dir.join("env");
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}
