//! The chutes-miner command line: the existing miner's commands under their old names and flags, and `status`.
//!
//! Thin: it signs requests with the hotkey, shows what the miner API answers, and says in its exit code how it went.

#[cfg(test)]
mod advice;
mod args;
mod client;
mod commands;
mod failure;
mod hotkey;
mod output;
mod sse;

use args::{Args, Command};
use clap::{CommandFactory as _, Parser as _};
use failure::Failure;
use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let args = Args::parse();
    let Some(command) = args.command else {
        // A bare call prints help and succeeds, as the existing command line does.
        let _ = Args::command().print_help();
        return ExitCode::SUCCESS;
    };
    let compat = args.compat_exit || std::env::var("CHUTES_COMPAT").is_ok_and(|version| version.starts_with("0."));
    // Waits for people and passwords, and talks to nobody.
    let command = match command {
        Command::Wallet(args) => return finish(commands::wallet::run(args), compat),
        command => command,
    };
    service::tls::install_provider();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(Failure::general(format!("cannot start: {error}"))), compat),
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            // Commands that end well when they are interrupted say so first.
            biased;
            outcome = run(command) => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
        }
    });
    finish(outcome, compat)
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::AddNode(args) => commands::add_node::run(args).await,
        Command::DeleteNode(args) => commands::delete_node::run(args).await,
        Command::Lock(args) => commands::lock::run(args, true).await,
        Command::Unlock(args) => commands::lock::run(args, false).await,
        Command::Status(args) => commands::status::run(args).await,
        Command::LocalInventory(args) => commands::inventory::run(args).await,
        Command::PurgeDeployments(args) => commands::purge::all(args).await,
        Command::PurgeDeployment(args) => commands::purge::one(args).await,
        Command::PurgeServer(args) => commands::purge::server(args).await,
        Command::Wallet(args) => commands::wallet::run(args),
        Command::Chain(args) => commands::chain::run(args).await,
        Command::Subnets(args) => commands::subnets::run(args).await,
    }
}

fn finish(outcome: Result<(), Failure>, compat: bool) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.text());
            ExitCode::from(failure.exit_code(compat))
        }
    }
}
