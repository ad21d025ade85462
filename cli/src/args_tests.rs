//! Flags of the existing command line, and help that fits a screen.

use super::*;
use clap::CommandFactory as _;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(line.split_whitespace())
}

const ADD: &str = "chutes-miner add-node --name n --validator v --hourly-cost 1.5 --gpu-short-ref h100";

#[test]
fn the_definition_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn the_existing_flags_parse_and_a_repeated_one_takes_the_last() {
    let line = format!("{ADD} --agent-api http://a --hotkey one --miner-api http://m --hotkey two");
    let Some(Command::AddNode(add)) = parse(&line).unwrap().command else { panic!("another command") };
    assert_eq!((add.connection.hotkey.as_str(), add.connection.miner_api.as_str(), add.hourly_cost), ("two", "http://m", Some(1.5)));
    for line in [
        "chutes-miner add-node --name n --re-enrol",
        "chutes-miner delete-node --name n --hotkey h",
        "chutes-miner lock --name n",
        "chutes-miner unlock --name n",
        "chutes-miner local-inventory --raw-json --no-raw-json",
        "chutes-miner purge-deployments --hotkey h",
        "chutes-miner purge-deployment -d x",
        "chutes-miner purge-deployment -n x",
        "chutes-miner purge-server -n x -y",
        "chutes-miner status -o json",
        "chutes-miner wallet list --wallet.path /w",
        "chutes-miner wallet show --wallet.name w --coldkey",
        "chutes-miner wallet new-hotkey --wallet.hotkey h --words 24",
        "chutes-miner wallet regen coldkey --secret-file f",
        "chutes-miner wallet sign m --file f",
        "chutes-miner wallet verify m --signature s --address a",
        "chutes-miner wallet convert --to nacl --overwrite",
        "chutes-miner",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn usage_errors_exit_2() {
    for line in [
        ADD,
        "chutes-miner lock",
        "chutes-miner status -o yaml",
        "chutes-miner wallet",
        "chutes-miner wallet sign",
        "chutes-miner wallet sign m --message-file f",
        "chutes-miner wallet convert --to nacl",
        "chutes-miner wallet regen hotkey --address a --secret-file f",
        "chutes-miner nonsense",
        &format!("{ADD} --agent-api a --hourly-cost much"),
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

/// What `--help` prints at 80 columns.
fn help(name: Option<&str>) -> String {
    let words = ["chutes-miner"].into_iter().chain(name.into_iter().flat_map(|name| name.split(' '))).chain(["--help"]);
    Args::command().term_width(80).try_get_matches_from(words).unwrap_err().to_string()
}

#[test]
fn help_is_short_and_fits_eighty_columns() {
    let wallet = ["list", "show", "new-hotkey", "new-coldkey", "regen", "sign", "verify", "convert"].map(|name| format!("wallet {name}"));
    let wallet = wallet.iter().map(|name| Some(name.as_str()));
    for name in [None, Some("add-node"), Some("delete-node"), Some("status"), Some("wallet")].into_iter().chain(wallet) {
        let text = help(name);
        assert!(text.lines().count() <= 60, "{name:?} has {} lines:\n{text}", text.lines().count());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{name:?}:\n{text}");
    }
}

#[test]
fn help_of_the_whole() {
    insta::assert_snapshot!(help(None));
}
