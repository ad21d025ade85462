//! The programs' own wire code against the simulator's independent one. Where they differ, one of them is wrong.

use protocol::{
    catalogue::Era,
    dto::{ActiveInstance, ChuteRow, ImageRow, InstanceRow, InventoryRow, JobRow, MinerServer, NodeRow},
    event::MinerEvent,
    key::{Keypair, Seed},
    sign::{Purpose, Signed, hotkey_headers},
};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use validator_sim::{ChutePatch, Config, Profile};

use crate::common::{World, chute, claim, now, said, uuid, world, world_with};

async fn up() -> World {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 1);
    w.miner.add_gpus(&[&uuid('a')]).await;
    w.sim.offer_bounty("demo").expect("offered");
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
    w
}

#[tokio::test]
async fn signatures_of_the_programs_are_accepted() {
    let w = world().await;
    let key = Keypair::from_seed(&Seed::from_bytes([1; 32]));
    assert_eq!(key.address().to_string(), w.miner.address());
    let headers = hotkey_headers(&key, Signed::Purpose(Purpose::Miner), now());
    assert_eq!(w.miner.raw(Method::GET, "/miner/nodes/", &headers, None).await.status().as_u16(), 200);
    let body = br#"{"server_id":"s","nodes":[]}"#.to_vec();
    let headers = hotkey_headers(&key, Signed::Body(&body), now());
    assert_eq!(w.miner.raw(Method::POST, "/nodes/", &headers, Some(body)).await.status().as_u16(), 202);
    assert_eq!(w.sim.counters().unexpected, 0);
}

fn rows<T: DeserializeOwned>(text: &str) -> Vec<T> {
    let lines = text.split_terminator("\n\n").map(|line| line.strip_prefix("data: ").expect("the prefix"));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

#[tokio::test]
async fn every_row_is_understood() {
    let w = up().await;
    let text = async |path: &str| w.miner.get(path, "miner").await.text().await.expect("whole");
    assert_eq!(rows::<ChuteRow>(&text("/miner/chutes/").await).len(), 1);
    assert_eq!(rows::<NodeRow>(&text("/miner/nodes/").await).len(), 1);
    assert_eq!(rows::<InstanceRow>(&text("/miner/instances/").await).len(), 1);
    assert_eq!(rows::<ImageRow>(&text("/miner/images/").await).len(), 1);
    let whole = async |path: &str| said(w.miner.get(path, "miner").await).await.1;
    let inventory: Vec<InventoryRow> = serde_json::from_value(whole("/miner/inventory").await).expect("inventory");
    let active: Vec<ActiveInstance> = serde_json::from_value(whole("/miner/active_instances/").await).expect("active");
    let servers: Vec<MinerServer> = serde_json::from_value(whole("/miner/servers/").await["servers"].take()).expect("servers");
    assert_eq!((inventory.len(), active.len(), servers.len()), (1, 1, 1));
    w.sim.create_job("demo", "run", 10).expect("a job");
    let _: JobRow = serde_json::from_value(w.sim.snapshot().jobs[0].clone()).expect("a job's row");
}

#[tokio::test]
async fn every_event_is_understood() {
    let w = up().await;
    w.sim.create_job("demo", "run", 10).expect("a job");
    w.sim.update_chute("demo", ChutePatch { new_version: true, rolling_update: true, ..ChutePatch::default() }).expect("updated");
    w.sim.delete_chute("demo").expect("deleted");
    let events = w.sim.events();
    assert_eq!(events.len(), 11, "{events:?}");
    for event in events {
        let understood = MinerEvent::parse(event.clone());
        assert!(!matches!(understood, MinerEvent::Unknown { .. }), "{event}");
        assert_eq!(understood.reason(), event["reason"].as_str().expect("text"));
    }
}

#[tokio::test]
async fn both_catalogues_say_the_same() {
    for (profile, era) in [(Profile::Oct25, Era::Graval), (Profile::Mar26, Era::Tee)] {
        let w = world_with(Config { profile, ..Config::relaxed() }).await;
        let (_, ours) = said(w.miner.raw(Method::GET, "/nodes/supported", &[], None).await).await;
        let theirs: serde_json::Map<String, Value> =
            protocol::catalogue::catalogue(era).iter().map(|gpu| (gpu.name.to_owned(), gpu.to_json())).collect();
        assert_eq!(ours, Value::Object(theirs));
    }
}
