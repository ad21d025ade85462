//! A start that fails midway is no dead end.

#![allow(clippy::unwrap_used, reason = "a test")]

use e2e::fleet::{Fleet, FleetOptions, Form};
use kubelab::{Level, level_or_skip};

#[test]
fn a_start_that_failed_can_be_tried_again_and_ended() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let scratch = tempfile::tempdir_in("/tmp").unwrap();
    let dir = scratch.path().join("f");
    let mut options = FleetOptions { real: false, chutes: false, form: Form::Shared, ..FleetOptions::new(&dir) };
    options.env.insert("miner-api".to_owned(), vec![("HOTKEY_FILE".to_owned(), "/nonexistent".to_owned())]);
    let start = || {
        let mut said = Vec::new();
        let outcome = Fleet::up(&options, &mut |line| said.push(line.to_owned()));
        (format!("{:#}", outcome.unwrap_err()), said)
    };
    let (first, said) = start();
    assert!(first.contains("make demo-down") && first.contains("miner-api ended"), "{first}");
    assert!(said.iter().all(|line| !line.contains("earlier start")), "{said:?}");
    assert!(dir.join("logs/miner-api.log").exists(), "the logs are kept for a look");

    let (second, said) = start();
    assert!(second.contains("miner-api ended"), "it came as far as the first: {second}");
    assert!(said[0].contains("an earlier start"), "{said:?}");

    let marked = std::fs::File::open(dir.join(".fleet")).unwrap();
    marked.try_lock().unwrap();
    let (meanwhile, _) = start();
    assert!(meanwhile.contains("another process is just starting"), "{meanwhile}");
    drop(marked);

    Fleet::down(&dir).unwrap();
    assert!(!dir.exists());
}
