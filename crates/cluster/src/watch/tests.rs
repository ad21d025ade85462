//! Watches against a scripted API server.

use super::*;
use crate::testing::Api as Fake;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use std::time::Duration;

fn watch(fake: &Fake) -> WatchHandle<ConfigMap> {
    source(Api::namespaced(fake.client(), "ns"), WatchOptions::default())
}

fn value(object: &ConfigMap) -> &str {
    &object.data.as_ref().unwrap()["value"]
}

/// The next touch, as `+name=value` or `-name`.
async fn next(touches: &mut Touches<ConfigMap>) -> String {
    let touch = tokio::time::timeout(Duration::from_secs(20), touches.next()).await.expect("a touch").unwrap();
    let name = touch.object().metadata.name.clone().unwrap();
    if touch.is_deleted() { format!("-{name}") } else { format!("+{name}={}", value(touch.object())) }
}

#[tokio::test]
async fn the_store_follows_the_api_server_and_subscribers_are_told() {
    let fake = Fake::default();
    for name in ["a", "b", "c"] {
        fake.put(name, "1");
    }
    let watch = watch(&fake);
    watch.ready().await;
    assert_eq!(watch.all().len(), 3, "all pages were read");
    let kept = watch.get("ns", "a").unwrap().metadata.clone();
    assert!(kept.managed_fields.is_none());
    assert_eq!(kept.annotations.unwrap().into_keys().collect::<Vec<_>>(), ["kept"]);

    let mut touches = watch.subscribe();
    let mut first: Vec<String> = vec![next(&mut touches).await, next(&mut touches).await, next(&mut touches).await];
    first.sort();
    assert_eq!(first, ["+a=1", "+b=1", "+c=1"]);

    fake.put("a", "2");
    assert_eq!(next(&mut touches).await, "+a=2");
    fake.remove("b");
    assert_eq!(next(&mut touches).await, "-b");
    assert!(watch.get("ns", "b").is_none());
    assert_eq!(fake.lists(), 2, "one list of two pages");
}

#[tokio::test]
async fn what_vanished_while_nobody_watched_is_told_after_the_next_list() {
    let fake = Fake::default();
    fake.put("stays", "1");
    fake.put("goes", "1");
    let watch = watch(&fake);
    watch.ready().await;
    let mut touches = watch.subscribe();
    next(&mut touches).await;
    next(&mut touches).await;

    fake.refuse(true);
    fake.remove("goes");
    fake.put("comes", "1");
    fake.forget();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(watch.all().len(), 2, "an unreachable API server takes nothing from the store");
    fake.refuse(false);

    let mut told = vec![next(&mut touches).await, next(&mut touches).await];
    told.sort();
    assert_eq!(told, ["+comes=1", "-goes"], "and what did not change is not told again");
    assert!(watch.freshness.failures() >= 1);
    assert_eq!(watch.freshness.failing(), 0);
}

#[tokio::test]
async fn an_object_that_cannot_be_decoded_is_never_taken_for_a_deleted_one() {
    let fake = Fake::default();
    fake.put("a", "1");
    fake.put("b", "1");
    fake.put_raw("never-good", serde_json::json!({"data": "not a map"}));
    let watch = watch(&fake);
    watch.ready().await;
    assert_eq!(watch.all().len(), 2);
    assert!(watch.undecodable().contains_key("ns/never-good"));

    let mut touches = watch.subscribe();
    next(&mut touches).await;
    next(&mut touches).await;
    fake.put_raw("a", serde_json::json!({"data": 7}));
    fake.put("b", "2");
    let told = next(&mut touches).await;
    assert!(told == "+b=2" || told == "+a=1", "{told}");
    for _ in 0..500 {
        if watch.undecodable().contains_key("ns/a") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(watch.undecodable().len(), 2);
    assert_eq!(value(&watch.get("ns", "a").expect("the last good version stays")), "1");

    // A list, too, keeps the last good version.
    fake.forget();
    for _ in 0..500 {
        if watch.freshness.lists() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(value(&watch.get("ns", "a").expect("it stays after a list")), "1");

    fake.put("a", "3");
    for _ in 0..500 {
        if !watch.undecodable().contains_key("ns/a") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(value(&watch.get("ns", "a").unwrap()), "3");
    assert_eq!(watch.undecodable().keys().collect::<Vec<_>>(), ["ns/never-good"]);
}

#[tokio::test]
async fn a_subscriber_that_is_slow_gets_the_newest_and_holds_up_nobody() {
    let fake = Fake::default();
    fake.put("a", "0");
    let watch = watch(&fake);
    watch.ready().await;
    let mut slow = watch.subscribe();
    let mut quick = watch.subscribe();
    assert_eq!(next(&mut quick).await, "+a=0");
    for number in 1..=50 {
        fake.put("a", &number.to_string());
    }
    while next(&mut quick).await != "+a=50" {}
    assert_eq!(next(&mut slow).await, "+a=50");
    assert!(futures::poll!(slow.next()).is_pending());
}
