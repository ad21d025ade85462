use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Miner, chute, claim, said, uuid, world};

async fn ask(miner: &Miner, chute: &str, job: &str) -> (u16, Value) {
    said(miner.get(&format!("/instances/launch_config?chute_id={chute}&job_id={job}"), "launch").await).await
}

#[tokio::test]
async fn a_job_is_raced_for_won_once_and_given_back() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 0);
    w.miner.add_gpus(&[&uuid('a')]).await;
    let other = w.miner.other(2);
    w.sim.register_miner(other.address());
    other.add_gpus(&[&uuid('b')]).await;
    let job = w.sim.create_job("demo", "run", 50).expect("a job");
    assert_eq!(w.sim.events().last().expect("an event")["data"]["disk_gb"], 50);

    assert_eq!(ask(&w.miner, &id, "nothing").await.0, 404);
    let (status, mine) = ask(&w.miner, &id, &job).await;
    assert_eq!(status, 200, "a job needs no capacity: {mine}");
    assert_eq!(ask(&w.miner, &id, &job).await.0, 403, "one try for each hotkey");
    let (_, theirs) = ask(&other, &id, &job).await;
    let text = |reply: &Value, key: &str| reply[key].as_str().expect("text").to_owned();
    let (status, claimed) = other.bring_up(&text(&theirs, "config_id"), &text(&theirs, "token"), claim(&[&uuid('b')], 32000)).await;
    assert_eq!((status, claimed["job_id"].as_str()), (200, Some(job.as_str())));
    assert_eq!(w.miner.bring_up(&text(&mine, "config_id"), &text(&mine, "token"), claim(&[&uuid('a')], 31000)).await.0, 409, "lost");

    assert_eq!(w.miner.delete(&format!("/miner/jobs/{job}"), "miner").await.status().as_u16(), 404, "not ours");
    let (status, body) = said(other.delete(&format!("/miner/jobs/{job}"), "miner").await).await;
    assert_eq!((status, body), (200, Value::Null));
    let event = w.sim.events().pop().expect("an event");
    assert_eq!(event["reason"], "job_created");
    assert!(event["data"].get("disk_gb").is_none(), "announced again without its disk");
    assert_eq!(event["data"]["exclude"], json!([w.miner.address(), other.address()]));
}

#[tokio::test]
async fn an_instance_that_dies_fails_its_job_and_a_finished_job_ends_its_instance() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 0);
    w.miner.add_gpus(&[&uuid('a')]).await;
    for finished in [false, true] {
        let job = w.sim.create_job("demo", "run", 10).expect("a job");
        let (_, reply) = ask(&w.miner, &id, &job).await;
        let text = |key: &str| reply[key].as_str().expect("text").to_owned();
        assert_eq!(w.miner.bring_up(&text("config_id"), &text("token"), claim(&[&uuid('a')], 31000)).await.0, 200);
        let instance = w.sim.snapshot().instances[0].instance_id.clone();
        if finished {
            w.sim.finish_job(&job).expect("finished");
        } else {
            assert!(w.sim.delete_instance(&instance, "watchtower"));
        }
        let state = w.sim.snapshot();
        assert!(state.instances.is_empty());
        let row = state.jobs.iter().find(|row| row["job_id"] == job.as_str()).expect("the job");
        assert_eq!(row["status"], if finished { "complete" } else { "error" });
    }
    assert_eq!(w.sim.counters().events["job_deleted"], 1);
}

#[tokio::test]
async fn a_bounty_grows_is_listed_and_goes_to_the_first_activation() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 1);
    w.miner.add_gpus(&[&uuid('a')]).await;
    w.sim.offer_bounty("demo").expect("offered");
    w.sim.advance(std::time::Duration::from_secs(100));
    let (_, rows) = said(w.miner.raw(Method::GET, "/bounties/", &[], None).await).await;
    assert_eq!(rows[0]["chute_id"], id);
    assert!(rows[0]["bounty_amount"].as_u64().expect("a number") >= 400, "{rows}");
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
    assert_eq!(said(w.miner.raw(Method::GET, "/bounties/", &[], None).await).await.1, json!([]));
    let instance = w.sim.snapshot().instances[0].instance_id.clone();
    let headers = w.miner.headers("instances", &crate::common::now().to_string());
    let (status, body) = said(w.miner.raw(Method::POST, &format!("/instances/{id}/{instance}/disable"), &headers, None).await).await;
    assert_eq!((status, body), (200, json!({"instance_id": instance, "disabled": true})));
}
