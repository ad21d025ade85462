//! `chain`: what stands on the chain now, or stood there at a block; and acting on it.

mod endpoints;
mod events;
mod metagraph;
mod neuron;
mod send;
mod status;
mod subnet;
mod subnets;

use crate::failure::Failure;
use clap::{Args as ClapArgs, Subcommand};

pub(crate) use endpoints::{Endpoints, Nodes, failed, made, network};

/// Read the chain: blocks, subnets, metagraphs, neurons; and act on it.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Amounts are TAO, or alpha of the subnet. Nothing here needs a cluster. What\nsends needs a key, says first what it would do, and asks; --dry-run only says it."
)]
pub(crate) struct Chain {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Whether the chain moves, and through which node it is read
    Status(status::Status),
    /// All subnets: places, price of a registration, price of alpha
    Subnets(subnets::Subnets),
    /// One subnet: owner, pool, hyperparameters
    Subnet(subnet::Subnet),
    /// The UIDs of a subnet; save them, load them, bring them up to date
    Metagraph(metagraph::Metagraph),
    /// One UID of a subnet
    Neuron(neuron::Neuron),
    /// What happened in a block
    Events(events::Events),
    /// Register a hotkey on a subnet
    Register(send::Register),
    /// Send TAO
    Transfer(send::Transfer),
    /// Announce where a neuron can be reached
    ServeAxon(send::ServeAxon),
    /// Set a validator's weights
    SetWeights(send::SetWeights),
    /// Commit to weights that are revealed later
    CommitWeights(send::CommitWeights),
    /// Reveal weights that were committed to
    RevealWeights(send::RevealWeights),
    /// What became of an extrinsic that was sent before
    Outcome(send::Look),
}

pub(crate) async fn run(args: Chain) -> Result<(), Failure> {
    match args.command {
        Command::Status(args) => status::run(args).await,
        Command::Subnets(args) => subnets::run(args).await,
        Command::Subnet(args) => subnet::run(args).await,
        Command::Metagraph(args) => metagraph::run(args).await,
        Command::Neuron(args) => neuron::run(args).await,
        Command::Events(args) => events::run(args).await,
        Command::Register(args) => send::register(args).await,
        Command::Transfer(args) => send::transfer(args).await,
        Command::ServeAxon(args) => send::serve_axon(args).await,
        Command::SetWeights(args) => send::set_weights(args).await,
        Command::CommitWeights(args) => send::commit(args).await,
        Command::RevealWeights(args) => send::reveal(args).await,
        Command::Outcome(args) => send::look(args).await,
    }
}

/// Rao as TAO, or the same fraction of alpha, with every digit.
fn exact(rao: u64) -> String {
    let per = chain::read::RAO_PER_TAO;
    format!("{}.{:09}", rao / per, rao % per)
}

#[cfg(test)]
mod tests {
    use crate::args::Args;
    use clap::CommandFactory as _;

    #[test]
    fn help_is_short_and_fits_eighty_columns() {
        let sending = ["register", "transfer", "serve-axon", "set-weights", "commit-weights", "reveal-weights", "outcome"];
        for name in ["", "status", "subnets", "subnet", "metagraph", "neuron", "events"].into_iter().chain(sending) {
            let words: Vec<&str> = ["chutes-miner", "chain", name, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
            let text = Args::command().term_width(80).try_get_matches_from(&words).unwrap_err().to_string();
            assert!(text.lines().count() <= 60, "{words:?} has {} lines:\n{text}", text.lines().count());
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{words:?}:\n{text}");
        }
    }

    #[test]
    fn amounts_are_shown_to_the_last_rao() {
        assert_eq!([0, 1, 500_000, u64::MAX].map(super::exact), ["0.000000000", "0.000000001", "0.000500000", "18446744073.709551615"]);
    }
}
