//! The one way to watch anything.
//!
//! [`source`] keeps a [`Store`] equal to what the API server holds and tells subscribers which objects were touched. Each watch
//! has its own task, time limit and backoff: a broken one slows no other. What it knows carries its age ([`Freshness`]), since
//! whoever acts on a store must know whether it is a blind spot. Objects that cannot be decoded are set aside and named; the
//! last good version of such an object stays, so that an unreadable object is never taken for a deleted one.

mod cache;
mod freshness;
mod run;
mod touches;

pub use cache::Undecodable;
pub use freshness::Freshness;
pub use kube::runtime::reflector::{ObjectRef, Store};
pub use touches::{Touch, Touches};

use cache::Cache;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    hash::Hash,
    sync::{Arc, PoisonError},
};
use tokio::task::JoinHandle;

/// After so many seconds the API server ends a watch and we begin a new one: a load balancer's idle limit is not our end, and a
/// connection that silently died is noticed.
pub const TIMEOUT_S: u32 = 200;

/// What a watch needs of a kind: all typed kinds have it.
pub trait Watched:
    Resource<DynamicType: Default + Eq + Hash + Clone + Debug + Send + Sync> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType: Default + Eq + Hash + Clone + Debug + Send + Sync> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

/// What to watch of a kind.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// Label selector, such as `chutes/chute=true`.
    pub labels: Option<String>,
    /// Field selector, such as `spec.nodeName=gpu-0`.
    pub fields: Option<String>,
    /// A name for logs and metrics; the kind if absent.
    pub name: Option<&'static str>,
}

impl WatchOptions {
    /// Only objects with these labels.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    /// Only objects with these fields.
    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = Some(selector.into());
        self
    }

    /// Under this name in logs and metrics.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }
}

/// A running watch. Clones share it; it ends when the last clone and the last subscription are dropped.
pub struct WatchHandle<K: Watched> {
    /// What the API server holds, as far as we know. Empty until [`WatchHandle::ready`].
    pub store: Store<K>,
    /// How old that knowledge is.
    pub freshness: Freshness,
    shared: Arc<Cache<K>>,
    task: Arc<EndOnDrop>,
}

impl<K: Watched> Clone for WatchHandle<K> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            freshness: self.freshness.clone(),
            shared: Arc::clone(&self.shared),
            task: Arc::clone(&self.task),
        }
    }
}

impl<K: Watched> WatchHandle<K> {
    /// Waits until the store was filled by a first complete list.
    pub async fn ready(&self) {
        self.freshness.first_list().await;
    }

    /// Whether the store was filled by a complete list.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.freshness.listed()
    }

    /// The object of that namespace and name, if the store has it.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::new(name).within(namespace))
    }

    /// Every object in the store, at this moment.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// Objects touched from now on, after every object that the store holds now. Several touches of one object that nobody has
    /// taken yet are one touch. A subscription must be drained or dropped.
    #[must_use]
    pub fn subscribe(&self) -> Touches<K> {
        self.shared.subscribe(Arc::clone(&self.task) as Arc<dyn std::any::Any + Send + Sync>)
    }

    /// Objects that could not be decoded, by `namespace/name`, with the reason. They are in the store only in their last good version.
    #[must_use]
    pub fn undecodable(&self) -> BTreeMap<String, Undecodable> {
        self.shared.undecodable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Ends the watch's task with its last user.
struct EndOnDrop(JoinHandle<()>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a watch. Must be called inside a tokio runtime. Managed fields and what kubectl keeps of its last
/// input are dropped from every object.
#[must_use]
pub fn source<K: Watched>(api: Api<K>, options: WatchOptions) -> WatchHandle<K> {
    source_pruned(api, options, |_| {})
}

/// As [`source`]; `prune` takes away what nobody here reads before an object is stored.
#[must_use]
pub fn source_pruned<K: Watched>(api: Api<K>, options: WatchOptions, prune: fn(&mut K)) -> WatchHandle<K> {
    let name = options.name.map_or_else(|| K::kind(&K::DynamicType::default()).into_owned(), str::to_owned);
    let freshness = Freshness::new(name);
    let (shared, writer) = Cache::new();
    let store = writer.as_reader();
    let shared = Arc::new(shared);
    let watch = run::Watch::new(api, options, prune, writer, Arc::clone(&shared), freshness.clone());
    let task = Arc::new(EndOnDrop(tokio::spawn(watch.run())));
    WatchHandle { store, freshness, shared, task }
}

#[cfg(test)]
mod tests;
