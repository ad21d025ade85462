//! Measurements that take minutes and judge nothing: how soon a granted launch is a Job, and how much memory a large fleet takes.

#![allow(clippy::disallowed_methods, reason = "nothing here runs on an async runtime")]

mod launches;
mod memory;

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Measure launch latency and memory; prints figures and fails on none of them")]
struct Args {
    /// Where the fleets of the measurements go.
    #[arg(long, default_value = ".bench")]
    dir: PathBuf,
    /// Launches to measure; 0 leaves that out.
    #[arg(long, default_value_t = 200)]
    launches: usize,
    /// Milliseconds between two stops, each of which makes room for a launch; 0 stops every copy as soon as it is paid, which keeps two
    /// cores busy with the API servers' own work.
    #[arg(long, default_value_t = 700)]
    pace_ms: u64,
    /// Servers beside the one with an agent; 0 leaves the measurement of memory out.
    #[arg(long, default_value_t = 100)]
    servers: usize,
    /// Chutes on offer while memory is measured.
    #[arg(long, default_value_t = 500)]
    chutes: usize,
    /// Deployments under way while memory is measured; nobody plays the pods of servers without an agent.
    #[arg(long, default_value_t = 200)]
    deployments: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The measurement failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.launches > 0 {
        launches::measure(&args.dir, args.launches, Duration::from_millis(args.pace_ms))?;
    }
    if args.servers > 0 {
        memory::measure(&args.dir, args.servers, args.chutes, args.deployments)?;
    }
    Ok(())
}
