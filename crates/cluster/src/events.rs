//! Events that `kubectl describe` shows. A help for people: never a record, never a reason for work to fail.

use crate::call::LIMIT;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{self, EventType, Reporter},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The same event is not written again for so long: a fleet at rest writes nothing.
const REPEAT: Duration = Duration::from_secs(600);
/// At most so many events are remembered for that.
const REMEMBERED: usize = 4096;

/// Writes Events. Clones share the memory of what was said.
#[derive(Clone)]
pub struct Recorder {
    client: Client,
    reporter: Reporter,
    said: Arc<Mutex<HashMap<u64, Instant>>>,
}

impl Recorder {
    /// A recorder for the controller of that name; `instance` tells replicas apart.
    #[must_use]
    pub fn new(client: Client, controller: &str, instance: &str) -> Self {
        let reporter = Reporter { controller: controller.to_owned(), instance: Some(instance.to_owned()) };
        Self { client, reporter, said: Arc::default() }
    }

    /// Something went as it should. `note` must not hold a secret.
    pub async fn normal<K>(&self, object: &K, reason: &str, action: &str, note: impl Into<String>)
    where
        K: Resource,
        K::DynamicType: Default,
    {
        self.say(EventType::Normal, object.object_ref(&K::DynamicType::default()), reason, action, note.into()).await;
    }

    /// Something needs eyes. `note` must not hold a secret.
    pub async fn warning<K>(&self, object: &K, reason: &str, action: &str, note: impl Into<String>)
    where
        K: Resource,
        K::DynamicType: Default,
    {
        self.say(EventType::Warning, object.object_ref(&K::DynamicType::default()), reason, action, note.into()).await;
    }

    async fn say(&self, type_: EventType, about: ObjectReference, reason: &str, action: &str, note: String) {
        if !self.is_new(&about, reason, &note, Instant::now()) {
            return;
        }
        let note: String = note.chars().take(1000).collect();
        let event = events::Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None };
        // The library's own recorder keeps every Event for minutes, megabytes in a large fleet, to count repetitions; those are
        // not written here.
        let once = events::Recorder::new(self.client.clone(), self.reporter.clone());
        match tokio::time::timeout(LIMIT, once.publish(&event, &about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(reason, %error, "an event was not written"),
            Err(_) => tracing::debug!(reason, "an event was not written in time"),
        }
    }

    fn is_new(&self, about: &ObjectReference, reason: &str, note: &str, now: Instant) -> bool {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (&about.kind, &about.namespace, &about.name, &about.uid, reason, note).hash(&mut hasher);
        let key = hasher.finish();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= REMEMBERED {
            said.retain(|_, when| now.duration_since(*when) < REPEAT);
            if said.len() >= REMEMBERED {
                said.clear();
            }
        }
        match said.get(&key) {
            Some(when) if now.duration_since(*when) < REPEAT => false,
            _ => {
                said.insert(key, now);
                true
            }
        }
    }
}
