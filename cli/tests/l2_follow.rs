//! `subnets follow` as a process: killed, cut off and raced, against a stand-in node and a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../crates/chain/tests/support/story.rs"]
mod story;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

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
