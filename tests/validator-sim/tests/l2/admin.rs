use std::time::Duration;

use serde_json::json;
use validator_sim::{AdminClient, ChutePatch, ChuteSpec, Config, EventFault, EventFaultMode, Fault, FaultMode, Scenario};

use crate::common::{chute, claim, uuid, world, world_with};

#[tokio::test]
async fn the_side_channel_does_what_the_library_does() {
    let w = world().await;
    let admin = AdminClient::new(&w.sim.admin_url()).expect("a client");
    admin.health().await.expect("it answers");
    let row = admin.create_chute(&ChuteSpec::named("demo")).await.expect("created");
    let same = admin.create_chute(&ChuteSpec::named("demo")).await.expect_err("twice");
    assert!(same.to_string().contains("409"), "{same}");
    let new = admin.update_chute("demo", &ChutePatch { new_version: true, ..ChutePatch::default() }).await.expect("updated");
    assert_ne!(row["version"], new["version"]);
    assert_eq!(row["chute_id"], new["chute_id"]);
    admin.fault(&Fault::times("/miner/", FaultMode::Status(500), 1)).await.expect("ordered");
    assert_eq!(w.miner.get("/miner/nodes/", "miner").await.status().as_u16(), 500);
    admin.fault(&Fault::forever("/", FaultMode::CutStream(3))).await.expect("ordered");
    admin.event_fault(&EventFault { reason: None, mode: EventFaultMode::Drop, times: None }).await.expect("ordered");
    admin.clear_faults().await.expect("cleared");
    assert_eq!(w.miner.get("/miner/nodes/", "miner").await.status().as_u16(), 200);
    assert_eq!(admin.requests().await.expect("a log").len(), 2);
    assert_eq!(admin.events().await.expect("events").len(), 2);
    admin.emit(json!({"reason": "x"}), None).await.expect("sent");
    admin.register_miner("nonsense").await.expect_err("no address");
    admin.advance(Duration::from_secs(60)).await.expect("advanced");
    admin.delete_chute("demo").await.expect("deleted");
    assert!(admin.snapshot().await.expect("state").chutes.is_empty());
    assert!(admin.unexpected().await.expect("a list").is_empty());
    admin.reset().await.expect("reset");
    assert!(admin.counters().await.expect("counters").requests.is_empty());
}

#[tokio::test]
async fn compute_is_seconds_times_multiplier_of_each_stretch() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 1);
    w.miner.add_gpus(&[&uuid('a')]).await;
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
    let instance = w.sim.snapshot().instances[0].instance_id.clone();
    w.sim.set_multiplier(&instance, 2.0).expect("it lives");
    w.sim.advance(Duration::from_secs(100));
    w.sim.set_multiplier(&instance, 3.0).expect("it lives");
    w.sim.advance(Duration::from_secs(1000));
    assert!(w.sim.delete_instance(&instance, "watchtower"));
    w.sim.advance(Duration::from_secs(1000));
    let ended = &w.sim.snapshot().ended[0];
    assert_eq!(ended.segments.len(), 3);
    let close = |value: f64, wanted: f64| (value - wanted).abs() < 20.0;
    assert!(close(ended.compute_units, 3200.0), "{}", ended.compute_units);
    assert!(close(ended.seconds_active, 1100.0) && ended.seconds_created >= ended.seconds_active);
}

#[tokio::test]
async fn a_rolling_update_names_each_old_instance_to_its_miner() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 1);
    w.miner.add_gpus(&[&uuid('a')]).await;
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
    let patch = ChutePatch { new_version: true, rolling_update: true, ..ChutePatch::default() };
    w.sim.update_chute("demo", patch).expect("updated");
    let event = w.sim.events().pop().expect("an event");
    assert_eq!(event["reason"], "rolling_update");
    assert_ne!(event["data"]["old_version"], event["data"]["new_version"]);
    assert_eq!(event["data"]["instance_id"], json!(w.sim.snapshot().instances[0].instance_id));
}

#[tokio::test]
async fn a_scenario_is_there_at_start_and_after_a_reset() {
    let scenario = Scenario::parse("chutes:\n  - {name: small, selector: {include: [h100_sxm]}, target: 5}\n").expect("good");
    let w = world_with(Config { scenario, id_seed: Some(4), ..Config::relaxed() }).await;
    chute(&w.sim, "more", 1, 1);
    assert_eq!(w.sim.snapshot().chutes.len(), 2);
    w.sim.reset().expect("reset");
    let state = w.sim.snapshot();
    assert_eq!(state.chutes.len(), 1);
    assert_eq!(state.chutes[0]["target"], 5);
    assert_eq!(state.miners, [w.miner.address()]);
}

#[tokio::test]
async fn relaxations_are_named() {
    let names = |config: &Config| config.relaxations().into_iter().map(|r| r.name()).collect::<Vec<_>>();
    assert_eq!(names(&Config::default()), ["plain-proof", "no-proof-of-work", "no-tee-callback", "no-tee-attestation", "symmetric-tokens"]);
    assert!(names(&Config::relaxed()).contains(&"private-hosts"));
}
