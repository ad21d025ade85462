//! Timelocked weights go back and forth between us and the client of the Python SDK (`bittensor-drand` from PyPI), whose encryption is that
//! of the runtime; and both choose the same round.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use chain::read::AccountId;
use chain::submit::{EpochSchedule, Pulse, RevealPlan, Round, Weights, open, seal};
use jiff::{SignedDuration, Timestamp};
use parity_scale_codec::{Decode as _, Encode as _};
use serde_json::{Value, json};

/// For runtimes that keep their epochs in storage.
const VERSION: &str = "2.0.0";
/// The last for runtimes that count them.
const BEFORE: &str = "1.3.0";
/// Round 1000 of drand's quicknet.
const SIGNATURE: &str = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

/// A Python with the newer library in it and the older beside it, made once for all runs that share a target folder. `None` where that
/// cannot be made.
fn python() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bittensor-drand-{VERSION}-{BEFORE}"));
        if !kept.join("bin/python").exists() {
            let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let venv = made.path().join("venv");
            succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            let install = || {
                let mut pip = Command::new(venv.join("bin/python"));
                pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--retries", "1", "--timeout", "20"]);
                pip
            };
            succeeds(install().arg(format!("bittensor-drand=={VERSION}")))?;
            succeeds(install().arg("--target").arg(venv.join("before")).arg(format!("bittensor-drand=={BEFORE}")))?;
            // Whole under its name or not at all; another run may have been faster.
            let _ = std::fs::rename(&venv, &kept);
        }
        Some(kept)
    })
    .as_deref()
}

fn succeeds(command: &mut Command) -> Option<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then_some(())
}

/// Whether the test may go on.
fn ready() -> bool {
    let needs =
        format!("python3 with venv and pip, and PyPI to install bittensor-drand {VERSION} and {BEFORE} from (Debian: python3-venv)");
    testkit::level::beyond(2, python().is_some(), &needs)
}

fn ask(before: bool, question: &Value) -> Value {
    let venv = python().unwrap();
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/their_drand.py"));
    if before {
        command.arg(venv.join("before"));
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    answers.into_iter().next().unwrap()
}

fn pulse() -> Pulse {
    Pulse::new(Round(1000), &hex::decode(SIGNATURE).unwrap()).unwrap()
}

#[test]
fn they_open_what_we_seal() {
    if !ready() {
        return;
    }
    let weights = Weights::new((0..256).map(|uid| (uid, uid + 1)), 843_000).unwrap();
    let hotkey = AccountId([0xa5; 32]);
    let schedule = EpochSchedule::Counted { netuid: 64, tempo: 360 };
    let plan =
        |version| RevealPlan { netuid: 64, round: Round(1000), time: Round(1000).time(), block: 1, period_epochs: 1, schedule, version };
    let (with, without) = (plan(Some(4)).seal(&weights, hotkey).unwrap(), plan(None).seal(&weights, hotkey).unwrap());
    let fields = (weights.uids(), weights.values(), 843_000_u64).encode();
    for before in [false, true] {
        for (sealed, payload) in [(&with, [hotkey.0.to_vec().encode(), fields.clone()].concat()), (&without, fields.clone())] {
            // Their file: the sealed bytes and the round.
            let file = hex::encode((sealed.as_bytes(), sealed.round().0).encode());
            assert_eq!(ask(before, &json!({"unseal": [file, SIGNATURE]})), hex::encode(payload));
        }
    }
}

#[test]
fn we_open_what_they_seal() {
    if !ready() {
        return;
    }
    for before in [false, true] {
        for message in [Vec::new(), b"a".to_vec(), vec![0x5a; 3000]] {
            let file = ask(before, &json!({"seal": [hex::encode(&message), 1000]}));
            let file = hex::decode(file.as_str().unwrap()).unwrap();
            let (sealed, round) = <(Vec<u8>, u64)>::decode(&mut file.as_slice()).unwrap();
            assert_eq!(round, 1000);
            assert_eq!(open(&sealed, &pulse()).unwrap(), message);
            assert_eq!(seal(&message, Round(1000)).unwrap().len(), sealed.len());
        }
    }
}

/// The round that a time some blocks later has.
fn round(seconds: &Value, blocks: u64) -> Round {
    #[allow(clippy::cast_possible_truncation, reason = "a time of today in milliseconds")]
    let now = Timestamp::from_millisecond((seconds.as_f64().unwrap() * 1000.0) as i64).unwrap();
    Round::at(now + SignedDuration::from_secs(i64::try_from(blocks * 12).unwrap()))
}

fn compare(before: bool, cases: &[(EpochSchedule, u64, u64)], commits: Vec<Value>) {
    let answers = ask(before, &json!({"rounds": commits}));
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), cases.len());
    for ((schedule, head, period), answer) in cases.iter().zip(answers) {
        let blocks = schedule.reveal_block(*head, *period).unwrap() + 3 - head;
        let theirs = Round(answer["round"].as_u64().unwrap());
        let ours = round(&answer["from"], blocks)..=round(&answer["to"], blocks);
        assert!(ours.contains(&theirs), "{schedule:?} after {head}, period {period}: {theirs}, not {ours:?}");
    }
}

#[test]
fn both_choose_the_same_round_where_epochs_are_kept() {
    if !ready() {
        return;
    }
    let mut cases = Vec::new();
    for (tempo, period) in [(50_u16, 1), (50, 3), (360, 1), (7, 100), (u16::MAX, 1)] {
        for (last, pending, since, head) in
            [(10_u64, 0, 0, 10), (10, 0, 48, 58), (10, 0, 49, 59), (80, 95, 11, 91), (80, 91, 11, 91), (0, 0, 50_400, 9), (500, 0, 0, 100)]
        {
            let schedule = EpochSchedule::Kept {
                tempo,
                last_epoch_block: last,
                pending_epoch_at: pending,
                epoch_index: 7,
                blocks_since_last_step: since,
            };
            cases.push((schedule, head, period));
        }
    }
    let commits = cases.iter().map(|(schedule, head, period)| {
        let EpochSchedule::Kept { tempo, last_epoch_block, pending_epoch_at, epoch_index, blocks_since_last_step } = *schedule else {
            panic!("{schedule:?}")
        };
        json!({
            "last_epoch_block": last_epoch_block, "pending_epoch_at": pending_epoch_at, "subnet_epoch_index": epoch_index, "tempo": tempo,
            "blocks_since_last_step": blocks_since_last_step, "current_block": head, "subnet_reveal_period_epochs": period,
        })
    });
    compare(false, &cases, commits.collect());
}

#[test]
fn both_choose_the_same_round_where_epochs_are_counted() {
    if !ready() {
        return;
    }
    let mut cases = Vec::new();
    for (netuid, tempo, period) in [(1_u16, 100_u16, 2), (64, 360, 1), (128, 99, 5), (0, 50_400, 1)] {
        for head in [1000_u64, 6_000_000, 6_000_017, 7_654_321] {
            cases.push((EpochSchedule::Counted { netuid, tempo }, head, period));
        }
    }
    let commits = cases.iter().map(|(schedule, head, period)| {
        let EpochSchedule::Counted { netuid, tempo } = *schedule else { panic!("{schedule:?}") };
        // They count from the block that they name, we from the one after the newest.
        json!({"netuid": netuid, "tempo": tempo, "current_block": head, "subnet_reveal_period_epochs": period})
    });
    compare(true, &cases, commits.collect());
}
