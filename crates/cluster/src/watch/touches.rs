//! Telling who wants to know that an object was touched, without ever waiting for them.

use super::{ObjectRef, Watched};
use futures::{Stream, task::AtomicWaker};
use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

/// An object that was touched.
#[derive(Clone, Debug)]
pub enum Touch<K> {
    /// It is there, new or changed.
    Applied(Arc<K>),
    /// It is gone; its last known version.
    Deleted(Arc<K>),
}

impl<K> Touch<K> {
    /// The object, or its last known version.
    #[must_use]
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied(object) | Self::Deleted(object) => object,
        }
    }

    /// Whether it is gone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted(_))
    }
}

/// What one subscriber has not taken yet: the newest touch of each object, in the order of the first.
pub(super) struct Backlog<K: Watched> {
    state: Mutex<State<K>>,
    waker: AtomicWaker,
}

struct State<K: Watched> {
    order: VecDeque<ObjectRef<K>>,
    newest: HashMap<ObjectRef<K>, Touch<K>>,
}

impl<K: Watched> Backlog<K> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { order: VecDeque::new(), newest: HashMap::new() }), waker: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        // A panic while it was held cannot leave it half changed: each change is one insert and one push.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, key: ObjectRef<K>, touch: Touch<K>) {
        let mut state = self.state();
        if state.newest.insert(key.clone(), touch).is_none() {
            state.order.push_back(key);
        }
        drop(state);
        self.waker.wake();
    }

    fn pop(&self) -> Option<Touch<K>> {
        let mut state = self.state();
        let key = state.order.pop_front()?;
        state.newest.remove(&key)
    }
}

/// A subscription: a stream of touches that ends never.
pub struct Touches<K: Watched> {
    backlog: Arc<Backlog<K>>,
    // Keeps the watch alive while somebody listens.
    _watch: Arc<dyn Any + Send + Sync>,
}

impl<K: Watched> Touches<K> {
    pub(super) fn new(backlog: Arc<Backlog<K>>, watch: Arc<dyn Any + Send + Sync>) -> Self {
        Self { backlog, _watch: watch }
    }
}

impl<K: Watched> Stream for Touches<K> {
    type Item = Touch<K>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(touch) = self.backlog.pop() {
            return Poll::Ready(Some(touch));
        }
        // Registered before the second look, so that a push in between wakes us.
        self.backlog.waker.register(cx.waker());
        match self.backlog.pop() {
            Some(touch) => Poll::Ready(Some(touch)),
            None => Poll::Pending,
        }
    }
}
