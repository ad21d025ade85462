//! `subnets follow` as a process: killed, cut off and raced, against a stand-in node and a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../crates/chain/tests/support/story.rs"]
mod story;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use chain::read::AccountId;
use chain::tracker::snapshot::{Key, Parameters, Snapshot, Subnet};
use chain_sim::{Faults, Sim};
use store::{Follow, Options, Store};
use story::{BLOCK, FIRST, LAST, Story};
use testkit::level;
use testkit::postgres::{NEEDS, Postgres};

/// The URL of an empty database; none where there is no Postgres here.
fn database() -> Option<String> {
    level::require(2, Postgres::available(), NEEDS).then(|| Postgres::shared().fresh_database().unwrap())
}

fn subnets(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chutes-miner"));
    command.arg("subnets").args(args).env("COLUMNS", "80").env_remove("DATABASE_URL").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn follow(sim: &Sim, url: &str, more: &[&str]) -> Child {
    subnets(&["follow", "--endpoint", &sim.url()]).args(more).env("DATABASE_URL", url).spawn().unwrap()
}

/// What it printed, after it ended by itself.
async fn ended(child: Child) -> Output {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    tokio::time::timeout(Duration::from_secs(60), output).await.unwrap().unwrap()
}

fn text(output: &Output) -> (String, String) {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (of(&output.stdout), of(&output.stderr))
}

fn read(url: &str) -> Store {
    Store::connect(url, &Options::default()).unwrap()
}

async fn position(store: &Store) -> Option<Follow> {
    // The tables are not there before the program made them.
    store.follows().await.unwrap_or_default().first().copied()
}

async fn reached(store: &Store, block: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while position(store).await.is_none_or(|follow| follow.block.number < block) {
        assert!(Instant::now() < deadline, "block {block} was never taken in: {:?}", position(store).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything that is kept, without the numbers of rows.
async fn kept(url: &str) -> String {
    let store = read(url);
    let follow = position(&store).await.unwrap();
    let mut text = format!("{} to {:?}\n", follow.first_block, follow.block);
    for netuid in store.followed_subnets(&follow).await.unwrap() {
        let (lives, prices) = (store.lives(&follow, netuid).await.unwrap(), store.registration_prices(&follow, netuid).await.unwrap());
        text += &format!("{netuid}: {lives:#?} {prices:?}\n");
    }
    let mut running = store.followed(follow.key).await.unwrap().unwrap().1;
    running.sort_by_key(|one| (one.netuid, one.uid));
    text + &format!("{running:#?}")
}

#[tokio::test]
async fn killed_and_cut_off_it_keeps_the_same_as_undisturbed() {
    let (Some(url), Some(other)) = (database(), database()) else { return };
    let sim = Sim::start(Story::told().world).await.unwrap();
    let store = read(&url);
    for block in FIRST..=LAST {
        let mut child = follow(&sim, &url, &[]);
        reached(&store, block).await;
        match block % 3 {
            // Dead between two blocks, or at work at one.
            0 => child.kill().unwrap(),
            1 => {
                sim.advance(1);
                child.kill().unwrap();
            }
            // The connection breaks again and again while the next blocks come.
            _ => {
                sim.fail(Faults { cut_after: Some(7), ..Faults::default() });
                sim.advance(1);
                reached(&store, (block + 1).min(sim.change(|world| world.finalized()))).await;
                sim.fail(Faults::default());
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        if sim.change(|world| world.finalized()) == block {
            sim.advance(1);
        }
    }
    // Whichever block it got to, one more comes.
    sim.advance(1);
    let until = sim.change(|world| world.finalized()).to_string();
    let output = ended(follow(&sim, &url, &["--until-block", &until])).await;
    assert!(output.status.success(), "{}", text(&output).1);
    store.close().await;

    let output = ended(follow(&sim, &other, &["--from-block", &FIRST.to_string(), "--until-block", &until])).await;
    let (changes, notes) = text(&output);
    assert!(output.status.success(), "{notes}");
    assert_eq!(kept(&url).await, kept(&other).await);
    assert!(notes.contains(&format!("begun with block {FIRST}: 7 UIDs")) && notes.contains("the next start goes on from there"), "{notes}");
    for (block, words) in [(BLOCK - 1, "64/1     replaced"), (BLOCK + 1, "64/2     swapped"), (BLOCK + 4, "7/0     network_removed")] {
        let line = changes.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words} in\n{changes}"));
        assert!(line.contains(&block.to_string()), "{line}");
    }
}

#[tokio::test]
async fn what_was_followed_answers_about_survival_and_prices() {
    let Some(url) = database() else { return };
    let none = subnets(&["survival", "--database-url", &url]).output().unwrap();
    assert_eq!((none.status.code(), text(&none).1.contains("subnets follow")), (Some(3), true));
    let mut story = Story::new();
    let mut uids: Vec<(u8, u8, u64)> = (0..12).map(|uid| (uid + 1, 200, BLOCK - 500)).collect();
    story.state(0, 64, 1, &uids);
    story.price(0, 64, 1_000_000_000);
    // UID 0 may set weights, and stays. The others are replaced, one a block.
    for uid in 1..12u8 {
        let block = BLOCK + u64::from(uid);
        uids[usize::from(uid)] = (uid + 100, 201, block);
        story.state(block, 64, 1, &uids);
        story.events(block, &[("NeuronRegistered", &[&[64, 0], &[uid, 0], &[uid + 100; 32]])]);
        story.price(block, 64, 1_000_000_000 + u64::from(uid) * 100_000_000);
    }
    let sim = Sim::start(story.world).await.unwrap();
    sim.advance(20);
    let until = (BLOCK + 15).to_string();
    let output =
        ended(follow(&sim, &url, &["--netuid", "64", "--from-block", &BLOCK.to_string(), "--until-block", &until, "-o", "json"])).await;
    let (changes, notes) = text(&output);
    assert!(output.status.success(), "{notes}");
    let events: Vec<serde_json::Value> = changes.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().filter(|event| event["event"] == "replaced").count(), 11);

    let json = |args: &[&str]| -> serde_json::Value {
        let output = subnets(args).args(["--database-url", &url, "-o", "json"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output).1);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let survival = json(&["survival"]);
    let row = &survival["subnets"][0];
    // The validator is no miner; eleven ended at an age of 501 to 511 blocks, and eleven newcomers were watched, the last for 4.
    assert_eq!((&row["netuid"], &row["tenures"], &row["ended"], &row["undated_ends"]), (&64.into(), &22.into(), &11.into(), &0.into()));
    let cost = json(&["cost", "--history", "--netuid", "64"]);
    let prices = cost["prices"].as_array().unwrap();
    assert_eq!((prices.len(), &prices[11]["block"], &prices[11]["burn_rao"]), (12, &(BLOCK + 11).into(), &2_100_000_000u64.into()));
    let table = subnets(&["survival", "--netuid", "64", "--database-url", &url]).output().unwrap();
    assert!(table.status.success() && text(&table).0.lines().all(|line| line.chars().count() <= 80), "{}", text(&table).0);
}

#[tokio::test]
async fn of_two_that_follow_the_same_one_says_so_and_ends() {
    let Some(url) = database() else { return };
    let sim = Sim::start(Story::told().world).await.unwrap();
    let store = read(&url);
    let mut first = follow(&sim, &url, &[]);
    reached(&store, FIRST).await;
    let mut second = follow(&sim, &url, &[]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let (loser, winner) = loop {
        assert!(Instant::now() < deadline, "both go on");
        sim.advance(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
        if first.try_wait().unwrap().is_some() {
            break (first, second);
        }
        if second.try_wait().unwrap().is_some() {
            break (second, first);
        }
    };
    let output = ended(loser).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.contains("another program follows the same subnets"), "{}", text(&output).1);
    sim.advance(1);
    reached(&store, sim.change(|world| world.finalized())).await;
    // An interrupt is how it is meant to end.
    assert!(Command::new("kill").args(["-INT", &winner.id().to_string()]).status().unwrap().success());
    let output = ended(winner).await;
    assert!(output.status.success() && text(&output).1.contains("stopped after block"), "{}", text(&output).1);
}

#[tokio::test]
async fn blocks_that_nobody_keeps_are_left_out_and_said_so() {
    let Some(url) = database() else { return };
    let sim = Sim::start(Story::told().world).await.unwrap();
    let first = ended(follow(&sim, &url, &["--until-block", &FIRST.to_string()])).await;
    assert!(first.status.success(), "{}", text(&first).1);
    // Asked for what it has already, it does nothing.
    let again = ended(follow(&sim, &url, &["--until-block", &FIRST.to_string()])).await;
    assert!(again.status.success() && text(&again).1.contains(&format!("stopped after block {FIRST}")), "{}", text(&again).1);
    sim.advance(400);
    let newest = sim.change(|world| world.finalized());
    let refused = ended(follow(&sim, &url, &["--no-gaps"])).await;
    assert!(!refused.status.success() && text(&refused).1.contains("--archive"), "{}", text(&refused).1);

    let until = newest.to_string();
    let output = ended(follow(&sim, &url, &["--until-block", &until, "-o", "json"])).await;
    let (changes, notes) = text(&output);
    assert!(output.status.success(), "{notes}");
    let (from, to) = (FIRST + 1, newest - 1);
    let words = format!("blocks {from} to {to} are left out");
    assert!(notes.contains(&words) && notes.contains("--archive"), "{notes}");
    let first: serde_json::Value = serde_json::from_str(changes.lines().next().unwrap()).unwrap();
    assert_eq!(first, serde_json::json!({ "event": "left_out", "from": from, "to": to }));
    let store = read(&url);
    let follow = position(&store).await.unwrap();
    let gaps = store.follow_gaps(&follow).await.unwrap();
    assert_eq!((gaps.len(), gaps[0].from, gaps[0].to), (1, from, to));

    let run = |args: &[&str]| subnets(args).args(["--database-url", &url, "-o", "json"]).output().unwrap();
    let compared = run(&["compare", "--netuid", "64"]);
    let (compared, notes) = (serde_json::from_slice::<serde_json::Value>(&compared.stdout).unwrap(), text(&compared).1);
    let change = &compared["subnets"][0];
    assert_eq!((&change["old_block"], &change["new_block"]), (&FIRST.into(), &newest.into()));
    assert!(notes.contains(&format!("blocks {from} to {to} were left out")), "{notes}");
    let within = run(&["compare", "--netuid", "64", "--from", &(FIRST + 5).to_string()]);
    assert_eq!(within.status.code(), Some(3));
    assert!(text(&within).1.contains(&format!("{FIRST} and {newest}")), "{}", text(&within).1);
    // One was replaced, and three are known to have lived until the blocks that were left out.
    let survival: serde_json::Value = serde_json::from_slice(&run(&["survival", "--netuid", "64", "--from", "first-seen"]).stdout).unwrap();
    assert_eq!(survival["curve"]["ended"], 0, "the validator is no miner: {survival}");
    let tenures = store.lives(&follow, 64).await.unwrap();
    let seen: Vec<_> = tenures.iter().map(|life| (life.replaced, life.ended_at, life.last_seen)).collect();
    let unseen = (false, Some(newest), Some(FIRST));
    assert_eq!(seen[..5], [(true, Some(BLOCK + 2), Some(FIRST)), unseen, unseen, unseen, (false, None, None)]);
}

/// A state as a snapshot of ours has it, written down without the tables. UIDs 0 validates, UID 1 is the owner's.
fn snapshot(story: &Story, block: u64) -> Snapshot {
    let uids = story.history[&64].range(..=block).next_back().unwrap().1;
    let key = |byte: u8| AccountId([byte; 32]).to_string().parse::<Key>().unwrap();
    let by_uid = || uids.iter().zip(0u16..).map(|(one, uid)| (uid, *one));
    let state = Subnet {
        uid_hotkey_map: by_uid().map(|(uid, (hotkey, ..))| (uid, key(hotkey))).collect(),
        n_neurons: u32::try_from(uids.len()).unwrap(),
        block,
        registration_blocks: by_uid().map(|(uid, (_, _, registered))| (uid, registered)).collect(),
        coldkeys: by_uid().map(|(uid, (_, coldkey, _))| (uid, key(coldkey))).collect(),
        emission_rao: by_uid().map(|(uid, _)| (uid, u64::from(uid) * 1000)).collect(),
        validators: [0].into(),
        owner_uids: [1].into(),
        network_registered_at: Some(1),
        parameters: Parameters { max_uids: Some(12), immunity_period: Some(9), ..Parameters::default() },
    };
    let timestamp = jiff::Timestamp::from_second(1_767_225_600 + i64::try_from((block - BLOCK) * 12).unwrap()).unwrap();
    let timestamp = timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Snapshot { timestamp, network: "finney".to_owned(), subnets: [(64, state)].into() }
}

#[tokio::test]
async fn files_of_each_block_and_the_database_say_the_same() {
    let Some(url) = database() else { return };
    let mut story = Story::new();
    let mut uids: Vec<(u8, u8, u64)> = (0..12).map(|uid| (uid + 1, 200 + uid / 2, BLOCK - 500 - u64::from(uid))).collect();
    // Coldkey 200 has the validator and UID 1, which is the one named as the owner's.
    story.state(0, 64, 1, &uids);
    story.subnet_owner(64, 200);
    story.owner_hotkey(64, 2);
    for (item, value) in [("ImmunityPeriod", 9), ("MaxAllowedUids", 12), ("ImmuneOwnerUidsLimit", 1)] {
        story.number(64, item, value);
    }
    story.time(0, 1_767_225_600_000);
    let last = BLOCK + 60;
    for n in 1..=55u64 {
        let (uid, block) = (2 + usize::try_from(n * 7 % 10).unwrap(), BLOCK + n);
        let hotkey = u8::try_from(20 + n).unwrap();
        // Every fifth is a swap, and changes no registration.
        uids[uid] = if n % 5 == 0 { (hotkey, uids[uid].1, uids[uid].2) } else { (hotkey, 220, block) };
        story.state(block, 64, 1, &uids);
        let (netuid, byte) = ([64, 0], [u8::try_from(uid).unwrap(), 0]);
        if n % 5 == 0 {
            story.events(block, &[("HotkeySwappedOnSubnet", &[&[220; 32], &[1; 32], &[hotkey; 32], &netuid])]);
        } else {
            story.events(block, &[("NeuronRegistered", &[&netuid, &byte, &[hotkey; 32]])]);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for block in BLOCK..=last - 5 {
        snapshot(&story, block).write(folder.path()).unwrap();
    }
    let until = (last - 5).to_string();
    let (begin, file) = (BLOCK.to_string(), |block: u64| folder.path().join(snapshot(&story, block).file_name()).display().to_string());
    let (old, new) = (file(BLOCK + 10), file(last - 5));
    let sim = Sim::start(story.world).await.unwrap();
    sim.advance(60);
    let output = ended(follow(&sim, &url, &["--netuid", "64", "--from-block", &begin, "--until-block", &until])).await;
    assert!(output.status.success(), "{}", text(&output).1);

    let json = |args: &[&str]| -> serde_json::Value {
        let output = subnets(args).args(["--netuid", "64", "-o", "json"]).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output).1);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let dir = folder.path().display().to_string();
    for args in [vec!["survival"], vec!["survival", "--from", "first-seen"], vec!["eviction"]] {
        let files = json(&[&args[..], &["--dir", &dir]].concat());
        let kept = json(&[&args[..], &["--database-url", &url]].concat());
        assert_eq!(files, kept, "{args:?}");
        println!("{args:?}: {files}");
    }
    let ranked = |args: &[&str]| -> serde_json::Value {
        let output = subnets(&["analyze", "-o", "json"]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output).1);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (files, kept) = (ranked(&["--dir", &dir]), ranked(&["--database-url", &url]));
    for what in ["/total", "/hotkeys", "/classes", "/first", "/last", "/subnets/0/days", "/subnets/0/replacements_per_day"] {
        assert_eq!((what, files.pointer(what).unwrap()), (what, kept.pointer(what).unwrap()));
    }
    let files = json(&["compare", "--snapshot1", &old, "--snapshot2", &new]);
    let kept = json(&["compare", "--database-url", &url, "--from", &(BLOCK + 10).to_string()]);
    assert_eq!(files, kept);
    assert!(files["counts"]["replacements"].as_u64().unwrap() > 5, "{files}");
    let by_time = json(&["compare", "--database-url", &url, "--from", "2026-01-01T00:02:00Z", "--to", "2026-01-01T00:11:00Z"]);
    assert_eq!(files, by_time);
}

/// Subnet 64 is removed and its number given to another; both are as busy, and cost the same when one ends and the other begins.
#[tokio::test]
async fn of_a_number_that_was_given_to_another_subnet_both_tell_of_that_one() {
    let Some(url) = database() else { return };
    let mut story = Story::of_decaying_prices();
    let (gone, made, last) = (BLOCK + 26, BLOCK + 29, BLOCK + 60);
    for (item, value) in [("ImmunityPeriod", 9), ("MaxAllowedUids", 12), ("ImmuneOwnerUidsLimit", 1)] {
        story.number(64, item, value);
    }
    story.subnet_owner(64, 200);
    story.owner_hotkey(64, 2);
    story.time(0, 1_767_225_600_000);
    let mut prices = std::collections::BTreeMap::new();
    let mut generation = |story: &mut Story, from: u64, until: u64, first_key: u8| {
        let made_at = if from == made { made } else { 1 };
        let mut uids: Vec<(u8, u8, u64)> =
            (0..12).map(|uid| (first_key + uid, 200, made_at.max(BLOCK - 500) - u64::from(uid % 2))).collect();
        story.state(from, 64, made_at, &uids);
        story.events(from, &[("NetworkAdded", &[&[64, 0], &[0, 0]])]);
        story.price(from, 64, 1_000_000_000);
        prices.insert(from, 1_000_000_000);
        for block in from + 1..until {
            let n = u8::try_from(block - from).unwrap();
            let (uid, hotkey) = (2 + n * 7 % 10, first_key + 20 + n);
            uids[usize::from(uid)] = (hotkey, 220, block);
            story.state(block, 64, made_at, &uids);
            story.events(block, &[("NeuronRegistered", &[&[64, 0], &[uid, 0], &[hotkey; 32]])]);
            // At last the price is that of the beginning.
            let price = 1_000_000_000 + 100_000_000 * ((until - 1 - block) % 7);
            story.price(block, 64, price);
            prices.insert(block, price);
        }
    };
    // Three blocks before it was removed the last thing happened.
    generation(&mut story, BLOCK, gone - 3, 1);
    story.remove(gone, 64);
    story.events(gone, &[("NetworkRemoved", &[&[64, 0]])]);
    generation(&mut story, made, last + 1, 101);

    let folder = tempfile::tempdir().unwrap();
    for block in (BLOCK..gone).chain(made..=last) {
        let mut one = snapshot(&story, block);
        let state = one.subnets.get_mut(&64).unwrap();
        state.network_registered_at = Some(if block < gone { 1 } else { made });
        state.parameters.burn_rao = prices.range(..=block).next_back().map(|(_, price)| *price);
        // The runtime's own, and 1.26 as it holds it.
        (state.parameters.min_burn_rao, state.parameters.max_burn_rao) = (Some(500_000), Some(100_000_000_000));
        state.parameters.burn_half_life = Some(360);
        state.parameters.burn_increase_mult = Some(((126u64 << 32) / 100) as f64 / 2f64.powi(32));
        one.write(folder.path()).unwrap();
    }
    let sim = Sim::start(story.world).await.unwrap();
    sim.advance(70);
    let (begin, until) = (BLOCK.to_string(), last.to_string());
    let dir = folder.path().display().to_string();
    let answer = |args: &[&str]| -> serde_json::Value {
        let output = subnets(args).args(["-o", "json"]).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output).1);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let output = ended(follow(&sim, &url, &["--netuid", "64", "--from-block", &begin, "--until-block", &until])).await;
    assert!(output.status.success(), "{}", text(&output).1);
    let one = ["--netuid", "64"];
    for args in [
        [&["survival"], &one[..]].concat(),
        [&["survival", "--from", "first-seen"], &one[..]].concat(),
        [&["eviction"], &one[..]].concat(),
        [&["forecast", "--days", "2", "--below", "0.5TAO"], &one[..]].concat(),
        [&["cost", "--history"], &one[..]].concat(),
    ] {
        let files = answer(&[&args[..], &["--dir", &dir]].concat());
        assert_eq!(files, answer(&[&args[..], &["--database-url", &url]].concat()), "{args:?}");
        println!("{args:?}: {files}");
    }
    let (files, kept) = (answer(&["analyze", "--dir", &dir]), answer(&["analyze", "--database-url", &url]));
    for what in ["/total", "/hotkeys", "/classes", "/first", "/last", "/subnets/0/days", "/subnets/0/replaced_percent_per_day"] {
        assert_eq!((what, files.pointer(what).unwrap()), (what, kept.pointer(what).unwrap()));
    }
    assert_eq!((&files["subnets"][0]["new_generations"], &kept["subnets"][0]["new_generations"]), (&1.into(), &1.into()));
    let history = answer(&["cost", "--history", "--netuid", "64", "--database-url", &url]);
    assert_eq!(history["prices"][0], serde_json::json!({ "block": made, "burn_rao": 1_000_000_000 }));
    // The states of the one before can still be asked for.
    let compared = answer(&[
        "compare",
        "--database-url",
        &url,
        "--netuid",
        "64",
        "--from",
        &(BLOCK + 1).to_string(),
        "--to",
        &(BLOCK + 9).to_string(),
    ]);
    assert_eq!(compared["counts"]["replacements"], 8);
}

#[tokio::test]
async fn what_runs_it_may_stop_it() {
    let Some(url) = database() else { return };
    let sim = Sim::start(Story::told().world).await.unwrap();
    let child = follow(&sim, &url, &[]);
    reached(&read(&url), FIRST).await;
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = ended(child).await;
    assert!(output.status.success() && text(&output).1.contains("stopped after block"), "{}", text(&output).1);
}

/// Resident memory of a process, in KiB.
fn resident(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn memory_does_not_grow_with_the_blocks() {
    let Some(url) = database() else { return };
    let mut story = Story::new();
    let mut uids: Vec<(u8, u8, u64)> = (0..60).map(|uid| (uid + 1, 200, BLOCK - 500)).collect();
    story.state(0, 64, 1, &uids);
    for n in 1..=300u64 {
        let uid = usize::try_from(n % 60).unwrap();
        let hotkey = u8::try_from(61 + n % 120).unwrap();
        uids[uid] = (hotkey, 201, BLOCK + n);
        story.state(BLOCK + n, 64, 1, &uids);
        story.events(BLOCK + n, &[("NeuronRegistered", &[&[64, 0], &[u8::try_from(uid).unwrap(), 0], &[hotkey; 32]])]);
    }
    story.world.keeps = None;
    let sim = Sim::start(story.world).await.unwrap();
    let mut child = follow(&sim, &url, &["-o", "json"]);
    // Nobody reads what it says; a full pipe would stop it.
    let mut said = child.stdout.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let store = read(&url);
    sim.advance(60);
    reached(&store, BLOCK + 50).await;
    let early = resident(&child);
    sim.advance(240);
    reached(&store, BLOCK + 290).await;
    let late = resident(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    println!("resident after 50 blocks: {early} KiB, after 290: {late} KiB");
    assert!(late < early + 4096, "{early} KiB, then {late} KiB");
}
