//! Weights that are set, committed to and revealed, on a node that stands in for a real one.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that cannot go on has failed; nothing else runs on its thread")]

use chain_sim::Fate;
use sending::{Lab, id, json};
use serde_json::Value;
use std::{os::unix::fs::PermissionsExt as _, time::Duration};

#[path = "lab/sending.rs"]
mod sending;

#[tokio::test(flavor = "multi_thread")]
async fn the_salt_of_weights_is_on_disk_before_they_are_sent() {
    let lab = Lab::new().await;
    // Even if the node then refuses.
    lab.fate(Fate::Refused("Invalid Transaction: Custom error: 6".to_owned()));
    lab.done("commit-weights 64 7=1 9=0.5 --save weights.json --dry-run");
    assert!(!lab.path("weights.json").exists());
    let output = lab.run("commit-weights 64 7=1 9=0.5 --save weights.json --yes");
    assert_eq!((output.status.code(), lab.sent().len()), (Some(1), 1));
    let file = lab.path("weights.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&kept["uids"], &kept["values"]), (&serde_json::json!([7, 9]), &serde_json::json!([65_535, 32_768])));
    let commitment = hex::decode(kept["commitment"].as_str().unwrap()).unwrap();
    assert!(lab.sent()[0].windows(32).any(|window| window == commitment), "what was sent is what was kept");
    lab.refuses("commit-weights 64 7=1 --save weights.json --yes", 1, "--save FILE");
    lab.refuses("commit-weights 64 7=1 7=2 --save other.json --yes", 2, "more than one weight");

    lab.fate(Fate::success());
    let done = json(&lab.run("reveal-weights weights.json --yes -o json"));
    assert_eq!((&done["result"], &done["call"]["name"]), (&"done".into(), &"SubtensorModule.reveal_weights".into()));
    let salt: Vec<u8> = kept["salt"].as_array().unwrap().iter().flat_map(|one| (one.as_u64().unwrap() as u16).to_le_bytes()).collect();
    assert!(lab.sent()[1].windows(16).any(|window| window == salt));
    lab.refuses(
        "reveal-weights weights.json --yes --wallet-hotkey default --key-file wallets/default/coldkey",
        1,
        "committed to these weights",
    );
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("32768", "32769")).unwrap();
    lab.refuses("reveal-weights weights.json --yes", 1, "not one to these weights");
    lab.done("set-weights 64 7=1 9=3 --yes --version-key 5");
    assert_eq!(lab.sent().len(), 3);
}

/// 23 November 2025.
const NOW: u64 = 1_763_900_000;

/// Bob validates as UID 3 of 200 on subnet 64, which hides its weights; epochs have 361 blocks, and the next begins at 6,852,798.
async fn hidden() -> Lab {
    let lab = Lab::new().await;
    lab.fate(Fate::success());
    let set = |pallet: &str, item: &str, value: Vec<u8>| {
        let keys = if pallet == "Timestamp" { vec![] } else { vec![64_u16] };
        let key = match keys.first() {
            None => lab.runtime.storage_key(pallet, item, ()),
            Some(netuid) => lab.runtime.storage_key(pallet, item, (*netuid,)),
        };
        lab.set(0, key.unwrap(), value);
    };
    set("Timestamp", "Now", (NOW * 1000).to_le_bytes().to_vec());
    set("SubtensorModule", "CommitRevealWeightsEnabled", vec![1]);
    set("SubtensorModule", "MinAllowedWeights", vec![1, 0]);
    set("SubtensorModule", "Tempo", 360_u16.to_le_bytes().to_vec());
    set("SubtensorModule", "RevealPeriodEpochs", 1_u64.to_le_bytes().to_vec());
    set("SubtensorModule", "ValidatorPermit", [vec![16], vec![0, 0, 0, 1]].concat());
    let uid = lab.runtime.storage_key("SubtensorModule", "Uids", (64_u16, id("//Bob").0)).unwrap();
    lab.set(0, uid, vec![3, 0]);
    lab
}

fn warned(told: &Value) -> Vec<&str> {
    told["warnings"].as_array().unwrap().iter().map(|warning| warning["warning"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_reveals_timelocked_weights_at_a_time_that_is_told() {
    let lab = hidden().await;
    let commit = "commit-weights 64 7=1 9=0.5 --timelocked";
    let tried = json(&lab.run(&format!("{commit} --dry-run -o json")));
    assert_eq!((&tried["result"], &tried["call"]["name"]), (&"would_succeed".into(), &"SubtensorModule.commit_timelocked_weights".into()));
    let (block, round) = (&tried["reveal"]["block"], tried["reveal"]["round"].as_u64().unwrap());
    // The last pulse that is made by 3 blocks later, 111 blocks from now.
    assert_eq!((block, round), (&6_852_798.into(), (NOW + 111 * 12 - 1_692_803_367) / 3), "{tried}");
    assert_eq!((warned(&tried), lab.sent().len()), (vec![], 0));
    let shown = lab.done(&format!("{commit} --dry-run")).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["in block 6852798 or soon after, about 2025-11-23T", "2 UIDs: 7=65535 9=32768", &round.to_string()] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let done = json(&lab.run(&format!("{commit} --yes -o json")));
    assert_eq!((&done["result"], lab.sent().len()), (&"done".into(), 1));
    let commitment = hex::decode(done["call"]["arguments"]["commit"].as_str().unwrap().trim_start_matches("0x")).unwrap();
    let has = |part: &[u8]| lab.sent()[0].windows(part.len()).any(|window| window == part);
    assert!(has(&commitment) && has(&round.to_le_bytes()), "what was sent is what was told");
    assert!(!has(&[8, 7, 0, 9, 0]), "and no UIDs to read");
    let files = std::fs::read_dir(lab.path("")).unwrap().count();
    assert_eq!(files, 1, "nothing but the wallets");
    lab.refuses("commit-weights 64 7=1 --timelocked --save weights.json --yes", 2, "--save");
    lab.refuses("commit-weights 64 7=1 --yes", 2, "--timelocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_ends_meanwhile_keeps_weights_from_being_read_early() {
    let lab = hidden().await;
    let said = [("Type yes: ", "yes\n")];
    let commit = "commit-weights 64 7=1 --timelocked";
    let (shown, ()) = std::thread::scope(|scope| {
        let shown = scope.spawn(|| lab.on_a_terminal(commit, &said));
        while !lab.sim.requests().iter().any(|method| method == "system_dryRun") {
            std::thread::sleep(Duration::from_millis(10));
        }
        lab.sim.change(|world| world.advance(120));
        (shown.join().unwrap(), ())
    });
    assert!(shown.contains("code 1") && shown.contains("an epoch has ended meanwhile"), "{shown}");
    assert_eq!(lab.sent().len(), 0);
    // The twin: within the epoch it is sent.
    let shown = lab.on_a_terminal(commit, &said);
    assert!(shown.contains("code 0") && lab.sent().len() == 1, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_chain_would_hold_against_hidden_weights_is_said_before() {
    let lab = hidden().await;
    let set = |item: &str, value: Vec<u8>| lab.set(0, lab.runtime.storage_key("SubtensorModule", item, (64_u16,)).unwrap(), value);
    set("MinAllowedWeights", vec![8, 0]);
    set("WeightsVersionKey", 5_u64.to_le_bytes().to_vec());
    for how in ["--timelocked", "--save weights.json"] {
        let told = json(&lab.run(&format!("commit-weights 64 7=1 200=1 {how} --dry-run -o json")));
        assert_eq!(warned(&told), ["no_such_uid", "too_few_weights", "old_version_key"], "{how}");
    }
    set("ValidatorPermit", vec![0]);
    let told = json(&lab.run("commit-weights 64 7=1 --timelocked --version-key 5 --dry-run -o json"));
    assert_eq!(warned(&told), ["no_permit", "too_few_weights"]);
    set("CommitRevealWeightsEnabled", vec![0]);
    lab.refuses("commit-weights 64 7=1 --timelocked --yes", 1, "set them openly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mechanism_has_weights_of_its_own() {
    let lab = hidden().await;
    let two = lab.runtime.storage_key("SubtensorModule", "MechanismCountCurrent", (64_u16,)).unwrap();
    let name = |told: &Value| told["call"]["name"].as_str().unwrap().trim_start_matches("SubtensorModule.").to_owned();
    let told = json(&lab.run("set-weights 64 7=1 --mechanism 1 --dry-run -o json"));
    assert_eq!((name(&told).as_str(), warned(&told)), ("set_mechanism_weights", vec!["no_such_mechanism", "commit_reveal"]));
    assert_eq!(told["call"]["arguments"]["mecid"], 1);
    lab.set(0, two, vec![2]);
    let told = json(&lab.run("commit-weights 64 7=1 --mechanism 1 --timelocked --dry-run -o json"));
    assert_eq!((name(&told).as_str(), warned(&told)), ("commit_timelocked_mechanism_weights", vec![]));
    let told = json(&lab.run("commit-weights 64 7=1 --mechanism 1 --save weights.json --yes -o json"));
    assert_eq!((name(&told).as_str(), &told["result"]), ("commit_mechanism_weights", &"done".into()));
    let told = json(&lab.run("reveal-weights weights.json --yes -o json"));
    assert_eq!((name(&told).as_str(), &told["result"], lab.sent().len()), ("reveal_mechanism_weights", &"done".into(), 2));
    lab.refuses("set-weights 64 7=1 --mechanism 16 --yes", 2, "numbered from 0 to 15");
    // A file that says another mechanism has another commitment.
    let file = lab.path("weights.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"mechanism\": 1", "\"mechanism\": 0")).unwrap();
    lab.refuses("reveal-weights weights.json --yes", 1, "not one to these weights");
}
