//! Lists, holds, deletions.

use super::world::World;
use crate::fixtures::{self, DEPLOYMENT, GPU_A, KEY};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_row_has_every_field_the_official_command_line_reads_and_no_secret() {
    let world = World::start().await;
    let reply = world.signed("GET", "/servers/").await;
    assert!(!reply.text.contains(": "), "compact JSON");
    let list = reply.json();
    let server = &list[0];
    for (field, wanted) in [
        ("name", json!("gpu-1")),
        ("server_id", json!("uid-gpu-1")),
        ("status", json!("Ready")),
        ("gpu_count", json!(2)),
        ("memory_per_gpu", json!(80)),
        ("cpu_per_gpu", json!(4)),
        ("hourly_cost", json!(2.5)),
        ("ip_address", json!("203.0.113.7")),
        ("created_at", json!("2023-11-14T20:00:00.000000+00:00")),
        ("agent_api", json!("http://gpu-1:32000")),
        ("validator", json!(KEY)),
        ("locked", json!(false)),
        ("is_tee", json!(false)),
        ("kubeconfig", json!(null)),
        ("seed", json!(null)),
        ("labels", json!({})),
        ("verification_port", json!(30443)),
    ] {
        assert_eq!(server.get(field), Some(&wanted), "{field}");
    }
    assert_eq!(server["gpus"].as_array().unwrap().len(), 2);
    let gpu = &server["gpus"][0];
    assert_eq!(gpu["device_info"]["name"], "NVIDIA H100 80GB HBM3");
    assert_eq!(gpu["device_info"]["memory"], 85_899_345_920_u64);
    assert_eq!(gpu["device_info"]["clock_rate"], 1_980_000.0);
    assert_eq!(gpu["device_info"]["processors"], 132);
    assert_eq!((&gpu["verified"], &gpu["gpu_id"], &gpu["deployment_id"]), (&json!(true), &json!(GPU_A), &json!(DEPLOYMENT)));
    assert_eq!(server["gpus"][1]["deployment_id"], json!(null));

    let deployment = &server["deployments"][0];
    for (field, wanted) in [
        ("deployment_id", json!(DEPLOYMENT)),
        ("active", json!(true)),
        ("stub", json!(false)),
        ("port", json!(30000)),
        ("created_at", json!("2023-11-14T21:00:00.000000+00:00")),
        ("activated_at", json!("2023-11-14T21:06:00.000000+00:00")),
        ("instance_id", json!("instance-1")),
        ("config_id", json!("config-1")),
        ("job_id", json!(null)),
    ] {
        assert_eq!(deployment.get(field), Some(&wanted), "{field}");
    }
    assert_eq!(deployment["gpus"].as_array().unwrap().len(), 1);
    assert_eq!((&deployment["chute"]["name"], &deployment["chute"]["code"]), (&json!("user/model"), &json!("")));
}

#[tokio::test]
async fn a_list_is_not_answered_from_a_cache_that_was_never_filled() {
    let world = World::start().await;
    world.script.edit(|view| {
        view.servers.clear();
        view.sources[0].complete = false;
    });
    assert_eq!(world.signed("GET", "/servers/").await.status, 503);
    assert_eq!(world.signed("DELETE", "/deployments/purge").await.status, 503);
    assert_eq!(world.signed("GET", "/status").await.status, 200, "the report says what is missing");
}

#[tokio::test]
async fn lock_by_name_and_unlock_by_id_touch_only_the_persons_hold() {
    let world = World::start().await;
    world.script.edit(|view| {
        fixtures::edit_server(view, |server| {
            server.spec.holds.push(crd::gpu_server::Hold { owner: "health".into(), reason: "hot".into(), until: None })
        });
    });
    let locked = world.signed("GET", "/servers/gpu-1/lock").await.json();
    assert_eq!((&locked["name"], &locked["locked"]), (&json!("gpu-1"), &json!(true)));
    assert_eq!(world.signed("GET", "/servers/").await.json()[0]["locked"], true);
    let unlocked = world.signed("GET", "/servers/uid-gpu-1/unlock").await.json();
    assert_eq!(unlocked["locked"], false);
    assert_eq!(unlocked["holds"][0]["owner"], "health");
    let writes: Vec<_> = world.script.calls().into_iter().filter(|call| call.starts_with("hold")).collect();
    assert_eq!(writes, ["hold gpu-1 person true", "hold gpu-1 person false"]);
}

#[tokio::test]
async fn an_unknown_server_is_404_with_the_known_words() {
    let world = World::start().await;
    for (method, path) in
        [("GET", "/servers/x/lock"), ("GET", "/servers/x/unlock"), ("GET", "/servers/x/delete_preflight"), ("DELETE", "/servers/x")]
    {
        let reply = world.signed(method, path).await;
        assert_eq!((reply.status, reply.detail().as_str()), (404, "No kubernetes node with id or name x found!"), "{method} {path}");
    }
    assert_eq!(world.signed("DELETE", "/deployments/x").await.detail(), "No deploymentwith id x found!");
    let purge = world.signed("DELETE", "/servers/x/deployments").await;
    assert_eq!((purge.status, purge.json()), (200, json!({ "status": "initiated", "deployments_purged": [] })));
}

fn make_job(world: &World) {
    world.script.edit(|view| {
        let mut one = (*view.deployments[0]).clone();
        one.spec.job = Some(crd::chute_deployment::JobRef { id: "job-1".parse().unwrap() });
        view.deployments = vec![Arc::new(one)];
    });
}

#[tokio::test]
async fn the_preflight_lists_jobs_under_their_key_and_instances_beside_them() {
    let world = World::start().await;
    let before = world.signed("GET", "/servers/gpu-1/delete_preflight").await.json();
    assert_eq!(before["jobs"], json!([]));
    assert_eq!(before["instances"][0]["deployment_id"], DEPLOYMENT);
    make_job(&world);
    let after = world.signed("GET", "/servers/gpu-1/delete_preflight").await.json();
    assert_eq!(after["jobs"].as_array().unwrap().len(), 1);
    assert_eq!((&after["jobs"][0]["server"]["name"], &after["instances"]), (&json!("gpu-1"), &json!([])));
}

#[tokio::test]
async fn a_signed_delete_is_a_confirmed_delete_unless_it_names_another_server() {
    let world = World::start().await;
    assert_eq!(world.signed("DELETE", "/servers/gpu-1?confirm=gpu-2").await.status, 400);
    assert!(world.script.calls().is_empty());
    let reply = world.signed("DELETE", "/servers/gpu-1").await.json();
    assert_eq!(reply["status"], "started");
    assert!(reply["detail"].as_str().unwrap().starts_with("Deletion of server.name='gpu-1' server.server_id='uid-gpu-1' started, "));
    assert_eq!(world.signed("DELETE", "/servers/uid-gpu-1?confirm=gpu-1&lost=true").await.status, 200);
    let calls: Vec<_> = world.script.calls().into_iter().filter(|call| call.starts_with("delete")).collect();
    assert_eq!(calls, ["delete gpu-1 lost=false", "delete gpu-1 lost=true"]);
}

#[tokio::test]
async fn purges_spare_jobs_unless_one_is_named() {
    let world = World::start().await;
    make_job(&world);
    for path in ["/deployments/purge", "/servers/gpu-1/deployments"] {
        assert_eq!(world.signed("DELETE", path).await.json()["deployments_purged"], json!([]), "{path}");
    }
    assert!(world.script.calls().is_empty());
    let named = world.signed("DELETE", &format!("/deployments/{DEPLOYMENT}")).await.json();
    assert_eq!(
        (&named["status"], &named["deployment_purged"]["gpu_count"], &named["deployment_purged"]["chute_name"]),
        (&json!("initiated"), &json!(1), &json!("user/model"))
    );
    assert_eq!(world.script.calls()[0], format!("stop {DEPLOYMENT}"));
}
