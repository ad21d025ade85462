//! What became of an extrinsic, asked for after the command that sent it has ended.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that cannot go on has failed; nothing else runs on its thread")]

use chain_sim::Fate;
use sending::{BLOCK, Lab, interrupt, json};
use serde_json::Value;
use std::{
    process::Output,
    time::{Duration, Instant},
};

#[path = "lab/sending.rs"]
mod sending;

/// `System.ExtrinsicSuccess`, or `ExtrinsicFailed` with an error of a pallet; before it, that 12,000 rao were paid.
fn events(failure: Option<(u8, u8)>) -> Vec<u8> {
    // TransactionPayment.TransactionFeePaid of the first extrinsic but one: who, fee, tip.
    let paid = [vec![0, 1, 0, 0, 0, 6, 0], vec![9; 32], 12_000_u64.to_le_bytes().to_vec(), vec![0; 8], vec![0]].concat();
    let end = match failure {
        None => Fate::success(),
        Some((pallet, error)) => Fate::failure(pallet, error),
    };
    let Fate::Included(end) = end else { unreachable!("both are included") };
    [vec![8], paid, end[1..].to_vec()].concat()
}

/// Registers, and presses Ctrl-C as soon as it is sent: what it said, and the command that it says looks for it.
async fn interrupted(lab: &Lab) -> (Output, String) {
    lab.fate(Fate::Waiting);
    let child = lab.start("register 64 --limit 1 --yes -o json");
    let begun = Instant::now();
    while lab.sent().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, command) = errors.split_once("chutes-miner chain ").unwrap_or_else(|| panic!("{errors}"));
    (output, command.split(';').next().unwrap().to_owned())
}

fn told(lab: &Lab, command: &str) -> (i32, Value) {
    let output = lab.run(&format!("{command} -o json"));
    (output.status.code().unwrap(), json(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_says_the_command_that_finds_it_later() {
    for failure in [None, Some((7, 1))] {
        let lab = Lab::new().await;
        let (output, command) = interrupted(&lab).await;
        let (said, errors) = (json(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), &said["result"]), (Some(130), &"unknown".into()), "{errors}");
        for words in ["may be on its way", "in a block up to 6852814", "do not send it again"] {
            assert!(errors.contains(words), "{words}: {errors}");
        }
        let hash = said["extrinsic"].as_str().unwrap();
        assert_eq!(command, format!("outcome {hash} --from-block 6852688 --to-block 6852814"));

        let (code, looked) = told(&lab, &command);
        assert_eq!((code, &looked["result"], &looked["newest_block"]["number"]), (7, &"not_yet".into(), &(BLOCK - 2).into()), "{looked}");
        lab.refuses(&command, 7, "do not send it again");

        let sent = lab.sent().remove(0);
        lab.sim.change(|world| world.include(sent, events(failure)));
        let (code, looked) = told(&lab, &command);
        assert_eq!((&looked["block"]["number"], &looked["index"]), (&(BLOCK + 1).into(), &1.into()), "{looked}");
        assert_eq!(looked["outcome"]["fee_rao"], 12_000);
        if failure.is_some() {
            assert_eq!((code, &looked["result"]), (5, &"failed".into()));
            lab.refuses(&command, 5, "SubtensorModule.InvalidIpType");
            lab.refuses(&command, 5, "cost the fee of 0.000012000 TAO");
            continue;
        }
        assert_eq!((code, &looked["result"], &looked["error"]), (0, &"done".into(), &Value::Null));
        let shown = lab.done(&command);
        for words in ["block 6852691 (0x", "extrinsic 1, final", "0.000012000 TAO", "it did what it was to do"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        // The state of the block is gone, the block is not.
        lab.sim.change(|world| world.advance(300));
        let (code, looked) = told(&lab, &command);
        assert_eq!((code, &looked["result"], &looked["index"]), (3, &"included".into(), &1.into()), "{looked}");
        lab.refuses(&command, 3, "--archive URL");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_block_took_is_known_for_certain_when_the_last_is_final() {
    let lab = Lab::new().await;
    let (_, command) = interrupted(&lab).await;
    lab.sim.change(|world| world.advance(6_852_813 - world.finalized()));
    let (code, looked) = told(&lab, &command);
    assert_eq!((code, &looked["result"], &looked["newest_block"]["number"]), (7, &"not_yet".into(), &6_852_813.into()), "{looked}");
    lab.sim.change(|world| world.advance(1));
    let (code, looked) = told(&lab, &command);
    assert_eq!((code, &looked["result"], &looked["to_block"]), (1, &"expired".into(), &6_852_814.into()), "{looked}");
    lab.refuses(&command, 1, "that is safe now");
    lab.refuses("outcome 0x12 --from-block 5 --to-block 9", 2, "64 hexadecimal digits");
    let hash = "ab".repeat(32);
    for window in ["--from-block 0 --to-block 9", "--from-block 9 --to-block 8", "--from-block 1 --to-block 9000"] {
        lab.refuses(&format!("outcome {hash} {window}"), 2, "4096 apart");
    }
}
