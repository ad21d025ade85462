//! What a watch knows, and the telling of it.

use super::{
    ObjectRef, Store, Watched,
    touches::{Backlog, Touch, Touches},
};
use kube::runtime::{reflector::store::Writer, watcher::Event};
use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Why an object could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its UID.
    pub uid: Option<String>,
    /// The decoder's complaint; names fields and types.
    pub error: String,
}

/// The part of a watch that its users share with its task.
pub(super) struct Cache<K: Watched> {
    store: Store<K>,
    subscribers: Mutex<Vec<Weak<Backlog<K>>>>,
    pub(super) undecodable: Mutex<BTreeMap<String, Undecodable>>,
}

impl<K: Watched> Cache<K> {
    pub(super) fn new() -> (Self, Writer<K>) {
        let writer = Writer::new(K::DynamicType::default());
        let cache = Self { store: writer.as_reader(), subscribers: Mutex::default(), undecodable: Mutex::default() };
        (cache, writer)
    }

    pub(super) fn subscribe(&self, watch: Arc<dyn Any + Send + Sync>) -> Touches<K> {
        let backlog = Arc::new(Backlog::new());
        // Listed among the subscribers first: an object that comes in between is then told twice rather than never.
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&backlog));
        for object in self.store.state() {
            backlog.push(ObjectRef::from_obj(&*object), Touch::Applied(object));
        }
        Touches::new(backlog, watch)
    }

    pub(super) fn tell(&self, touch: &Touch<K>) {
        let key = ObjectRef::from_obj(&**touch.object());
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| match subscriber.upgrade() {
            Some(backlog) => {
                backlog.push(key.clone(), touch.clone());
                true
            }
            None => false,
        });
    }

    /// An object came or changed.
    pub(super) fn applied(&self, writer: &mut Writer<K>, object: K) {
        let key = ObjectRef::from_obj(&object);
        self.decoded(&key);
        writer.apply_watcher_event(&Event::Apply(object));
        if let Some(stored) = self.store.get(&key) {
            self.tell(&Touch::Applied(stored));
        }
    }

    /// An object went.
    pub(super) fn deleted(&self, writer: &mut Writer<K>, object: K) {
        self.decoded(&ObjectRef::from_obj(&object));
        let gone = Arc::new(object);
        writer.apply_watcher_event(&Event::Delete((*gone).clone()));
        self.tell(&Touch::Deleted(gone));
    }

    /// A complete list replaces everything; what it lacks is gone, and what did not change is not told again.
    pub(super) fn replace(&self, writer: &mut Writer<K>, objects: Vec<K>) {
        let before = self.store.state();
        writer.apply_watcher_event(&Event::Init);
        for object in objects {
            writer.apply_watcher_event(&Event::InitApply(object));
        }
        writer.apply_watcher_event(&Event::InitDone);

        let version = |object: &K| object.meta().resource_version.clone();
        let old: BTreeMap<String, _> = before.iter().map(|object| (path(&ObjectRef::from_obj(&**object)), version(object))).collect();
        for object in self.store.state() {
            let known = old.get(&path(&ObjectRef::from_obj(&*object)));
            if known.is_none_or(|known| known.is_none() || *known != version(&object)) {
                self.tell(&Touch::Applied(object));
            }
        }
        for object in before {
            if self.store.get(&ObjectRef::from_obj(&*object)).is_none() {
                self.tell(&Touch::Deleted(object));
            }
        }
    }

    /// An object came that cannot be decoded. Returns its last good version.
    pub(super) fn undecodable(&self, key: &ObjectRef<K>, uid: Option<String>, error: String) -> Option<Arc<K>> {
        self.undecodable.lock().unwrap_or_else(PoisonError::into_inner).insert(path(key), Undecodable { uid, error });
        self.store.get(key)
    }

    fn decoded(&self, key: &ObjectRef<K>) {
        self.undecodable.lock().unwrap_or_else(PoisonError::into_inner).remove(&path(key));
    }

    pub(super) fn forget_undecodable(&self, key: &ObjectRef<K>) -> Option<Arc<K>> {
        self.decoded(key);
        self.store.get(key)
    }

    pub(super) fn clear_undecodable(&self) {
        self.undecodable.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn path<K: Watched>(key: &ObjectRef<K>) -> String {
    match &key.namespace {
        Some(namespace) => format!("{namespace}/{}", key.name),
        None => key.name.clone(),
    }
}
