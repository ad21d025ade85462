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
mod prompt;
mod secret;
mod sse;

use args::{Args, Command};
use clap::{CommandFactory as _, Parser as _};
use failure::{Failure, Kind};
use std::{io::Write as _, pin::Pin, process::ExitCode};

fn main() -> ExitCode {
    let args = Args::parse();
    let Some(command) = args.command else {
        // A bare call prints help and succeeds, as the existing command line does.
        let _ = Args::command().print_help();
        return ExitCode::SUCCESS;
    };
    // The existing command line has no `chain`; its 0 for what failed would pass for a registration.
    let existing = !matches!(command, Command::Chain(_));
    let compat = existing && (args.compat_exit || std::env::var("CHUTES_COMPAT").is_ok_and(|version| version.starts_with("0.")));
    // Nothing of it runs before it is waited for.
    let work: Pin<Box<dyn Future<Output = Result<(), Failure>>>> = match command {
        // Waits for people and passwords, and talks to nobody.
        Command::Wallet(args) => return finish(commands::wallet::run(args), compat),
        Command::AddNode(args) => Box::pin(commands::add_node::run(args)),
        Command::DeleteNode(args) => Box::pin(commands::delete_node::run(args)),
        Command::Lock(args) => Box::pin(commands::lock::run(args, true)),
        Command::Unlock(args) => Box::pin(commands::lock::run(args, false)),
        Command::Status(args) => Box::pin(commands::status::run(args)),
        Command::LocalInventory(args) => Box::pin(commands::inventory::run(args)),
        Command::PurgeDeployments(args) => Box::pin(commands::purge::all(args)),
        Command::PurgeDeployment(args) => Box::pin(commands::purge::one(args)),
        Command::PurgeServer(args) => Box::pin(commands::purge::server(args)),
        Command::Chain(args) => Box::pin(commands::chain::run(args)),
        Command::Subnets(args) => Box::pin(commands::subnets::run(args)),
    };
    // Before there are other threads.
    prompt::guard();
    service::tls::install_provider();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(Failure::general(format!("cannot start: {error}"))), compat),
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            // Commands that end well when they are interrupted say so first.
            biased;
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
        }
    });
    finish(outcome, compat)
}

fn finish(outcome: Result<(), Failure>, compat: bool) -> ExitCode {
    // Another thread may be asking something that nobody waits for any more.
    prompt::give_back();
    let outcome = outcome.and_then(|()| match output::lost() {
        None => Ok(()),
        // The code of what is not known: a 1 of `chain transfer` would be read as "nothing was sent".
        Some(why) => Err(Failure::new(Kind::TimedOut, format!("the work is done, but the answer could not be written: {why}"))),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.text());
            ExitCode::from(failure.exit_code(compat))
        }
    }
}
