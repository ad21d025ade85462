use protocol::ids::{ServerId, Ss58};
use store::{GpuFacts, ListedChute, ServerFacts};

use crate::fixture::{VALIDATOR, gpu, server, store};

fn facts() -> ServerFacts {
    ServerFacts {
        name: server("alpha"),
        server_id: None,
        validator: VALIDATOR.parse::<Ss58>().unwrap(),
        gpu_ref: "h100_sxm".parse().unwrap(),
        gpu_count: 8,
        address: Some("192.0.2.1".to_owned()),
    }
}

#[tokio::test]
async fn a_server_is_written_when_it_changes_and_its_past_is_kept() {
    let Some(store) = store().await else { return };
    assert!(store.see_server(&facts()).await.unwrap());
    assert!(!store.see_server(&facts()).await.unwrap());
    let node = ServerId::try_from("node-uid").unwrap();
    assert!(store.see_server(&ServerFacts { server_id: Some(node.clone()), ..facts() }).await.unwrap());
    assert!(!store.see_server(&facts()).await.unwrap(), "what is not told is not forgotten");
    let known = store.servers().await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].facts.server_id, Some(node));

    assert!(store.remove_server(&server("alpha")).await.unwrap());
    assert!(!store.remove_server(&server("alpha")).await.unwrap());
    assert_eq!(store.servers().await.unwrap(), []);
    assert!(store.see_server(&facts()).await.unwrap(), "it is back");
    assert_eq!(store.servers().await.unwrap()[0].first_seen, known[0].first_seen);
    let history = store.server_history(&server("alpha")).await.unwrap();
    assert_eq!(history.len(), 4);
    assert!(history[0].1["server_id"].is_null());
    assert!(history[2].1["removed_at"].is_string());
}

#[tokio::test]
async fn a_short_list_of_gpus_removes_none() {
    let Some(store) = store().await else { return };
    let seen = |number| GpuFacts { uuid: gpu(number), model: "NVIDIA H100 80GB HBM3".to_owned() };
    let (alpha, beta) = (server("alpha"), server("beta"));
    assert_eq!(store.see_gpus(&alpha, &[seen(1), seen(2), seen(2)]).await.unwrap(), 2);
    assert_eq!(store.see_gpus(&alpha, &[seen(1)]).await.unwrap(), 0);
    assert_eq!(store.see_gpus(&alpha, &[]).await.unwrap(), 0);
    assert_eq!(store.gpus().await.unwrap().len(), 2);
    assert_eq!(store.see_gpus(&beta, &[seen(2)]).await.unwrap(), 1, "moved");
    let known = store.gpus().await.unwrap();
    assert_eq!(known[1].server, beta);
    assert!(known[1].placed_at > known[1].first_seen);
    assert!(store.see_server(&facts()).await.unwrap());
    store.see_gpus(&alpha, &[seen(1)]).await.unwrap();
    store.remove_server(&alpha).await.unwrap();
    let left: Vec<_> = store.gpus().await.unwrap().into_iter().map(|known| known.facts.uuid).collect();
    assert_eq!(left, [gpu(2)]);
}

#[tokio::test]
async fn chutes_come_change_and_go() {
    let Some(store) = store().await else { return };
    let mut chute = ListedChute {
        chute_id: "chute-a".parse().unwrap(),
        version: "version-1".parse().unwrap(),
        validator: VALIDATOR.parse().unwrap(),
        name: "a-model".to_owned(),
        listed: serde_json::json!({ "gpu_count": 1 }),
    };
    assert!(store.see_chute(&chute).await.unwrap());
    assert!(!store.see_chute(&chute).await.unwrap());
    chute.listed = serde_json::json!({ "gpu_count": 2 });
    assert!(store.see_chute(&chute).await.unwrap());
    assert_eq!(store.chutes().await.unwrap(), [chute.clone()]);
    assert!(store.retire_chute(&chute.chute_id, &chute.version).await.unwrap());
    assert!(!store.retire_chute(&chute.chute_id, &chute.version).await.unwrap());
    assert_eq!(store.chutes().await.unwrap(), []);
    assert!(store.see_chute(&chute).await.unwrap());
}

#[tokio::test]
async fn events_are_read_newest_first() {
    let Some(store) = store().await else { return };
    let first = store.record_event("ServerSeen", "alpha", "alpha answers").await.unwrap();
    let second = store.record_event("ServerSeen", "beta", "beta answers").await.unwrap();
    let all: Vec<_> = store.events(None, 10).await.unwrap().into_iter().map(|event| event.id).collect();
    assert_eq!(all, [second, first]);
    let alpha = store.events(Some("alpha"), 10).await.unwrap();
    assert_eq!(alpha.len(), 1);
    assert_eq!(alpha[0].message, "alpha answers");
    assert_eq!(store.events(None, 1).await.unwrap().len(), 1);
}
