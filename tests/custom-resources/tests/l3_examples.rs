//! The examples of `crds/examples`, good and bad, on a real API server.

#![allow(clippy::unwrap_used, reason = "a test")]

use custom_resources::{Actor, collection, folder, lab, read_examples, read_refused};
use kubelab::{Level, level_or_skip};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Whether everything in `wanted` stands in `stored`.
fn kept(wanted: &Value, stored: &Value) -> bool {
    match (wanted, stored) {
        (Value::Object(wanted), Value::Object(stored)) => wanted.iter().all(|(key, value)| stored.get(key).is_some_and(|s| kept(value, s))),
        (Value::Array(wanted), Value::Array(stored)) => wanted.len() == stored.len() && wanted.iter().zip(stored).all(|(w, s)| kept(w, s)),
        (Value::Number(wanted), Value::Number(stored)) => wanted.as_f64() == stored.as_f64(),
        _ => wanted == stored,
    }
}

async fn make_namespaces(admin: &Actor, objects: impl Iterator<Item = &Value>) {
    let names: BTreeSet<&str> = objects.filter_map(|object| object["metadata"]["namespace"].as_str()).collect();
    for name in names.into_iter().filter(|name| *name != crd::FLEET_NAMESPACE) {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let _ = admin.create("/api/v1/namespaces", &namespace).await.expect("a namespace");
    }
}

#[tokio::test]
async fn good_examples_are_accepted_whole_and_bad_ones_refused_with_their_message() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let admin = Actor::admin(&lab).await;
    let good = read_examples();
    let bad = read_refused();
    make_namespaces(&admin, good.iter().map(|(_, object)| object).chain(bad.iter().map(|(_, _, object)| object))).await;

    // The bad ones first, into an empty cluster, so that none is refused for being there already.
    let mut wrong = Vec::new();
    for (name, message, object) in &bad {
        let answer = admin.create(&collection(object), object).await;
        if answer.code != 422 || !answer.message().contains(message.as_str()) {
            wrong.push(format!("{name}: wanted a refusal with {message:?}, got {} {}", answer.code, answer.message()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let mut kinds = BTreeSet::new();
    for (name, object) in &good {
        // Strict: a field that the schema does not know is an error here, not silently dropped.
        let path = format!("{}?fieldValidation=Strict", collection(object));
        let stored = admin.create(&path, object).await.expect(name);
        assert!(kept(object, &stored), "{name}: the API server keeps something else: {stored:#}");
        kinds.insert(object["kind"].as_str().unwrap_or_default().to_owned());
    }
    let all: BTreeSet<String> = crd::all().into_iter().map(|definition| definition.spec.names.kind).collect();
    assert_eq!(kinds, all, "each kind has an example");
}
