//! Commands that our programs and papers advise are commands that this command line understands.

use crate::args::Args;
use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use std::path::{Path, PathBuf};

const NAME: &str = "chutes-miner ";
const ADDRESS: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

/// Where people are told what to run.
const PLACES: [&str; 10] =
    ["README.md", "docs", "charts", "crds", "agent/src", "cli/src", "crates", "miner-api/src", "operator/src", "tests"];

/// Commands that have commands of their own.
const NESTED: [&str; 3] = ["chain", "subnets", "wallet"];

/// Whether something was left out here.
fn cut(word: &str) -> bool {
    word.ends_with('…') || word.ends_with("...")
}

/// Whether it is a placeholder in capitals.
fn named(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_uppercase()) && !word.contains(|c: char| c.is_ascii_lowercase())
}

/// Whether it stands for what is filled in when the advice is given or followed.
fn filled_in(word: &str) -> bool {
    named(word) || word.contains(['{', '<', '$'])
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = path.read_dir().unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| !path.ends_with("target")).for_each(|path| files(&path, found));
    } else if path.extension().is_some_and(|kind| ["rs", "md", "yaml"].iter().any(|ours| kind == *ours)) {
        found.push(path.to_owned());
    }
}

/// The words after each mention of the command line: a command, and what follows as long as it looks like arguments.
fn advised(text: &str) -> Vec<Vec<String>> {
    // Lines that go on in the next one, in a string of ours and in a shell.
    let joined = text.replace("\\\\\\n", " ").split("\\\n").map(str::trim_start).collect::<Vec<_>>().join("");
    let mut found = Vec::new();
    for (at, _) in joined.match_indices(NAME) {
        let rest = joined[at + NAME.len()..].split(['"', '`', '\'', '\n', '\\', ';', ')', '|']).next().unwrap_or_default();
        let mut words: Vec<String> = Vec::new();
        for word in rest.split(' ').filter(|word| !word.is_empty()) {
            // A command that has commands of its own.
            if words.len() == 1 && NESTED.contains(&words[0].as_str()) && word.starts_with(|c: char| c.is_ascii_lowercase()) {
                words.push(word.trim_end_matches([',', '.', ':']).to_owned());
                continue;
            }
            let value = words.last().is_some_and(|last| last.starts_with('-'));
            let argument = word.starts_with(['-', '{', '<', '…']);
            if !words.is_empty() && !value && !argument {
                break;
            }
            let whole = if cut(word) { word } else { word.trim_end_matches([',', '.', ':']) };
            words.push(whole.to_owned());
            if whole != word {
                break;
            }
        }
        found.push(words);
    }
    found
}

#[test]
fn every_command_that_is_advised_can_be_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut paths = Vec::new();
    PLACES.iter().for_each(|place| files(&root.join(place), &mut paths));
    let known: Vec<String> = Args::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let (mut mentions, mut complete) = (0, 0);
    for path in paths.iter().filter(|path| !path.ends_with("cli/src/advice.rs") && !path.ends_with("cli/src/args_tests.rs")) {
        for words in advised(&std::fs::read_to_string(path).unwrap()) {
            let Some(command) = words.first().filter(|word| known.contains(word)) else { continue };
            mentions += 1;
            // The bare name of a command is a mention; with arguments it is meant to be run.
            if words.len() == 1 || (words.len() == 2 && NESTED.contains(&command.as_str())) {
                continue;
            }
            complete += 1;
            // A number serves every flag but those of addresses.
            let value = |word| if ["SS58", "{hotkey}"].contains(&word) { ADDRESS } else { "1" };
            let line = words.iter().filter(|word| *word != "…").map(|word| if filled_in(word) { value(word) } else { word });
            let Err(error) = Args::try_parse_from(std::iter::once("chutes-miner").chain(line)) else { continue };
            let fine = match error.kind() {
                ErrorKind::DisplayHelp => true,
                // A usage line, or something that is left out on purpose.
                ErrorKind::MissingRequiredArgument => words.iter().any(|word| cut(word) || named(word)),
                _ => false,
            };
            assert!(fine, "{} advises `{NAME}{}` ({command}): {error}", path.display(), words.join(" "));
        }
    }
    assert!(mentions > 10 && complete > 5, "only {mentions} mentions were found, {complete} with arguments");
}

#[test]
fn what_does_not_parse_is_found() {
    let said = |text: &str| advised(text).remove(0).join(" ");
    assert_eq!(said("carry it out: \\\n         chutes-miner delete-node {name}, or kubectl"), "delete-node {name}");
    assert_eq!(said("see: chutes-miner status says what"), "status");
    assert_eq!(said("`chutes-miner status -o json | jq`"), "status -o json");
    assert_eq!(said("chutes-miner add-node --name a \\\\\\n    --lost\\n"), "add-node --name a --lost");
    assert_eq!(said("chutes-miner delete-node, then add-node"), "delete-node");
    assert_eq!(said("chutes-miner wallet convert --to plain, then"), "wallet convert --to plain");
    assert_eq!(said("chutes-miner wallet list shows"), "wallet list");
    assert_eq!(said("$ chutes-miner add-node --name a …\""), "add-node --name a …");
}
