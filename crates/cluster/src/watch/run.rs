//! The life of one watch: list, watch from there, list again when the API server has forgotten where we were.

use super::{Freshness, ObjectRef, TIMEOUT_S, WatchOptions, Watched, cache::Cache};
use crate::{
    Error, Result,
    backoff::{Policy, jittered},
    call::{LIMIT, LIST_LIMIT, bounded_by},
};
use futures::TryStreamExt as _;
use kube::{
    Api, Client, Resource,
    api::{ListParams, WatchEvent, WatchParams},
    core::{DeserializeGuard, ObjectList, Request},
    runtime::reflector::store::Writer,
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Few enough that a page before it is trimmed, with managed fields several times as large as the objects, takes little memory.
const PAGE: u32 = 100;
/// What `kubectl apply` keeps of its last input: the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The API server ends a watch after [`TIMEOUT_S`]; a connection silent for so much longer is dead.
const IDLE_LIMIT: Duration = Duration::from_secs(TIMEOUT_S as u64 + 5);
/// A watch that ends sooner did not end by its time limit; beginning anew at once could go in circles.
const SOON: Duration = Duration::from_secs(2);
/// After so many failures in a row the list is read again: perhaps it is our position that cannot be served.
const RELIST_AFTER: u32 = 3;
const BACKOFF: Policy = Policy { first: Duration::from_millis(800), most: Duration::from_secs(30) };

pub(super) struct Watch<K: Watched> {
    client: Client,
    request: Request,
    options: WatchOptions,
    prune: fn(&mut K),
    writer: Writer<K>,
    cache: Arc<Cache<K>>,
    freshness: Freshness,
}

/// Why watching stopped without an error.
enum Ended {
    /// Its time was over: watch on from this resource version.
    Resume(String),
    /// The API server no longer knows the resource version: list.
    Expired,
}

impl<K: Watched> Watch<K> {
    pub(super) fn new(
        api: Api<K>,
        options: WatchOptions,
        prune: fn(&mut K),
        writer: Writer<K>,
        cache: Arc<Cache<K>>,
        freshness: Freshness,
    ) -> Self {
        let request = Request::new(api.resource_url());
        Self { client: api.into_client(), request, options, prune, writer, cache, freshness }
    }

    pub(super) async fn run(mut self) {
        let mut position: Option<String> = None;
        let mut failures = 0;
        loop {
            let began = Instant::now();
            match self.step(&mut position).await {
                Ok(()) if began.elapsed() >= SOON => failures = 0,
                Ok(()) if failures == 0 => failures = 1,
                Ok(()) => {
                    failures += 1;
                    tokio::time::sleep(jittered(BACKOFF.after(failures))).await;
                }
                Err(error) => {
                    // A watch that ran for long before it broke is a first failure, not one more.
                    failures = if began.elapsed() >= SOON && !error.is_timeout() { 1 } else { failures + 1 };
                    if failures >= RELIST_AFTER {
                        position = None;
                    }
                    let running = self.freshness.failed();
                    let age_s = self.freshness.age().as_secs();
                    if running == 1 {
                        tracing::info!(watch = self.freshness.name(), %error, "a watch broke and begins anew");
                    } else {
                        tracing::warn!(watch = self.freshness.name(), %error, running, age_s, "a watch keeps failing");
                    }
                    tokio::time::sleep(jittered(BACKOFF.after(failures))).await;
                }
            }
        }
    }

    async fn step(&mut self, position: &mut Option<String>) -> Result<()> {
        let from = match position.take() {
            Some(version) => version,
            None => self.list().await?,
        };
        *position = Some(from.clone());
        match self.watch(from, position).await? {
            Ended::Resume(version) => *position = Some(version),
            Ended::Expired => *position = None,
        }
        Ok(())
    }

    /// Reads all pages, then swaps the store. A list that breaks in the middle changes nothing.
    async fn list(&mut self) -> Result<String> {
        let what = format!("listing {}", self.freshness.name());
        let mut params = ListParams {
            label_selector: self.options.labels.clone(),
            field_selector: self.options.fields.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        let mut found: Vec<DeserializeGuard<K>> = Vec::new();
        let version = loop {
            let request = self.request.list(&params).map_err(|e| Error::Config(format!("{what}: {e}")))?;
            let page: ObjectList<DeserializeGuard<K>> = bounded_by(LIST_LIMIT, &what, self.client.request(request)).await?;
            found.extend(page.items.into_iter().map(|mut object| {
                if let Ok(object) = &mut object.0 {
                    self.trim(object);
                }
                object
            }));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => break page.metadata.resource_version.filter(|version| !version.is_empty()),
            }
        };
        let version = version.ok_or_else(|| Error::Config(format!("{what}: the API server named no resource version")))?;

        self.cache.clear_undecodable();
        let objects = found.into_iter().filter_map(|object| match self.decode(object) {
            Ok(object) => Some(object),
            Err(last) => last.map(|last| (*last).clone()),
        });
        let objects = objects.collect();
        self.cache.replace(&mut self.writer, objects);
        self.freshness.complete_list();
        Ok(version)
    }

    async fn watch(&mut self, from: String, position: &mut Option<String>) -> Result<Ended> {
        let what = format!("watching {}", self.freshness.name());
        let params = WatchParams {
            label_selector: self.options.labels.clone(),
            field_selector: self.options.fields.clone(),
            timeout: Some(TIMEOUT_S),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = self.request.watch(&params, &from).map_err(|e| Error::Config(format!("{what}: {e}")))?;
        let events = bounded_by(LIMIT, &what, self.client.request_events::<DeserializeGuard<K>>(request)).await;
        let events = match events {
            Ok(events) => events,
            Err(error) if error.is_gone() => return Ok(Ended::Expired),
            Err(error) => return Err(error),
        };
        self.freshness.heard();

        let mut events = pin!(events);
        let mut version = from;
        loop {
            let event = match tokio::time::timeout(IDLE_LIMIT, events.try_next()).await {
                Err(_) => return Err(Error::Timeout { what, after: IDLE_LIMIT }),
                Ok(Err(error)) => return Err(Error::from_kube(&what, error)),
                Ok(Ok(None)) => return Ok(Ended::Resume(version)),
                Ok(Ok(Some(event))) => event,
            };
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version = self.version_of(&object, &what, position)?;
                    if let Ok(object) = self.decode(object) {
                        self.cache.applied(&mut self.writer, object);
                    }
                }
                WatchEvent::Deleted(object) => {
                    version = self.version_of(&object, &what, position)?;
                    self.gone(object);
                }
                WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                WatchEvent::Error(status) => {
                    let error = Error::from_status(&what, &status);
                    return if error.is_gone() { Ok(Ended::Expired) } else { Err(error) };
                }
            }
            // Kept up to date for the case that the next read fails.
            *position = Some(version.clone());
            self.freshness.heard();
        }
    }

    fn version_of(&self, object: &DeserializeGuard<K>, what: &str, position: &mut Option<String>) -> Result<String> {
        object.meta().resource_version.clone().filter(|version| !version.is_empty()).ok_or_else(|| {
            *position = None;
            Error::Config(format!("{what}: the API server sent an object without a resource version"))
        })
    }

    /// The object, pruned; or, if it cannot be decoded, its last good version, if there ever was one.
    fn decode(&self, object: DeserializeGuard<K>) -> Result<K, Option<Arc<K>>> {
        match object.0 {
            Ok(mut object) => {
                self.trim(&mut object);
                Ok(object)
            }
            Err(invalid) => {
                let Some(key) = key_of::<K>(&invalid.metadata) else { return Err(None) };
                tracing::warn!(
                    watch = self.freshness.name(),
                    object = key.name,
                    error = invalid.error,
                    "an object cannot be decoded and is left alone"
                );
                Err(self.cache.undecodable(&key, invalid.metadata.uid, invalid.error))
            }
        }
    }

    /// Takes away what nobody reads.
    fn trim(&self, object: &mut K) {
        let meta = object.meta_mut();
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.remove(LAST_APPLIED);
        }
        (self.prune)(object);
    }

    fn gone(&mut self, object: DeserializeGuard<K>) {
        match object.0 {
            Ok(mut object) => {
                self.trim(&mut object);
                self.cache.deleted(&mut self.writer, object);
            }
            Err(invalid) => {
                let last = key_of::<K>(&invalid.metadata).and_then(|key| self.cache.forget_undecodable(&key));
                if let Some(last) = last {
                    self.cache.deleted(&mut self.writer, (*last).clone());
                }
            }
        }
    }
}

fn key_of<K: Watched>(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Option<ObjectRef<K>> {
    let key = ObjectRef::new(meta.name.as_deref()?);
    Some(match &meta.namespace {
        Some(namespace) => key.within(namespace),
        None => key,
    })
}
