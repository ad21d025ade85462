//! A queue of objects to look at, and workers that look.
//!
//! What a caller can rely on: one object is never reconciled twice at once; a trigger that comes meanwhile is kept; at most
//! `concurrency` run together; each object has its own backoff, which a trigger cuts short only if somebody changed what is
//! wanted (generation, deletion, annotations); a panic or a reconcile that never ends is a failure of that object alone;
//! shutdown starts nothing new and gives what runs a while to end.

mod queue;
mod stats;
mod work;

pub use stats::Stats;

use crate::{
    backoff::{Policy, jittered},
    watch::{ObjectRef, Touch, WatchHandle, Watched},
};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use queue::Queue;
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use work::{Outcome, attempt};

/// What to look at.
#[derive(Clone, Debug)]
pub struct Request<K: Watched> {
    /// Which object.
    pub key: ObjectRef<K>,
    /// The object as the store has it; absent if it is gone.
    pub object: Option<Arc<K>>,
}

/// What a reconcile that succeeded wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look again when something changes.
    Await,
    /// Look again after about this long (jittered by a fifth), or when something changes.
    Requeue(Duration),
}

/// A reason to look that does not come from the object itself.
#[derive(Clone, Debug)]
pub enum Kick<K: Watched> {
    /// Look at this one.
    One(ObjectRef<K>),
    /// Look at all.
    All,
}

/// A source of [`Kick`]s.
pub type Trigger<K> = BoxStream<'static, Kick<K>>;

/// A trigger: whenever an object of another kind is touched, look at those that `which` names.
pub fn on_touch<K: Watched, O: Watched>(watch: &WatchHandle<O>, which: impl Fn(&O) -> Vec<ObjectRef<K>> + Send + 'static) -> Trigger<K> {
    watch.subscribe().flat_map(move |touch| futures::stream::iter(which(touch.object()).into_iter().map(Kick::One))).boxed()
}

/// A trigger: look at all whenever the stream yields.
pub fn on_wake<K: Watched, T: 'static>(wakes: impl Stream<Item = T> + Send + 'static) -> Trigger<K> {
    wakes.map(|_| Kick::All).boxed()
}

/// How a controller works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in logs and metrics.
    pub name: &'static str,
    /// How many objects are looked at together.
    pub concurrency: usize,
    /// Waiting after failures.
    pub backoff: Policy,
    /// How long one reconcile may take.
    pub limit: Duration,
    /// How long what runs may go on after shutdown.
    pub grace: Duration,
    /// Whether a change of the root object's status alone is no reason to look at it.
    pub ignore_status: bool,
    /// Counters for metrics.
    pub stats: Arc<Stats>,
}

impl Options {
    /// The usual: 2 minutes for a reconcile, 20 seconds of grace.
    #[must_use]
    pub fn new(name: &'static str, concurrency: usize) -> Self {
        Self {
            name,
            concurrency: concurrency.max(1),
            backoff: Policy::default(),
            limit: Duration::from_secs(120),
            grace: Duration::from_secs(20),
            ignore_status: false,
            stats: Arc::default(),
        }
    }

    /// A change of the root object's status alone is no reason to look.
    #[must_use]
    pub fn ignore_status(mut self) -> Self {
        self.ignore_status = true;
        self
    }
}

/// Runs a controller until `shutdown`. Begins once the root's store was filled; stores of triggers are the caller's to wait for.
pub async fn run<K, R, F, E>(options: Options, root: WatchHandle<K>, triggers: Vec<Trigger<K>>, reconcile: R, shutdown: CancellationToken)
where
    K: Watched,
    R: Fn(Request<K>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Action, E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let mut touches = root.subscribe();
    tokio::select! {
        () = root.ready() => {}
        () = shutdown.cancelled() => return,
    }
    let mut kicks = futures::stream::select_all(triggers);
    let mut open = true;
    let mut queue: Queue<ObjectRef<K>> = Queue::new(options.backoff);
    let mut wanted: HashMap<ObjectRef<K>, Wanted> = HashMap::new();
    let mut running: JoinSet<(ObjectRef<K>, Outcome)> = JoinSet::new();
    let reconcile = Arc::new(reconcile);

    loop {
        let now = Instant::now();
        while running.len() < options.concurrency
            && let Some(key) = queue.pop(now)
        {
            let object = root.store.get(&key);
            let request = Request { key: key.clone(), object };
            options.stats.begun();
            running.spawn(attempt(Arc::clone(&reconcile), request, options.limit));
        }
        options.stats.depth(queue.len(), running.len(), queue.failing());

        let wake = queue.next_due().filter(|_| running.len() < options.concurrency);
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = sleep_until(wake) => {}
            Some(done) = running.join_next() => match done {
                Ok((key, outcome)) => finish(&options, &root, &mut queue, &mut wanted, key, outcome),
                // `attempt` catches panics and nobody aborts it.
                Err(error) => tracing::error!(controller = options.name, %error, "a reconcile was lost"),
            },
            Some(touch) = touches.next() => touched(&options, &mut queue, &mut wanted, &touch),
            kick = kicks.next(), if open => match kick {
                Some(Kick::One(key)) => queue.add(key, Instant::now()),
                Some(Kick::All) => {
                    let now = Instant::now();
                    for object in root.store.state() {
                        queue.add(ObjectRef::from_obj(&*object), now);
                    }
                }
                None => open = false,
            },
        }
    }

    let drain = async {
        while let Some(done) = running.join_next().await {
            if let Ok((_, outcome)) = done {
                options.stats.ended(&outcome);
            }
        }
    };
    if tokio::time::timeout(options.grace, drain).await.is_err() {
        tracing::warn!(controller = options.name, unfinished = running.len(), "shutdown does not wait any longer");
    }
    options.stats.depth(queue.len(), 0, queue.failing());
}

/// What is wanted of an object, in short: a change of it ends the object's backoff.
#[derive(PartialEq, Eq)]
struct Wanted(u64);

impl Wanted {
    fn of<K: Watched>(object: &K) -> Self {
        let meta = object.meta();
        let mut hasher = DefaultHasher::new();
        meta.uid.hash(&mut hasher);
        meta.generation.hash(&mut hasher);
        meta.deletion_timestamp.is_some().hash(&mut hasher);
        meta.annotations.hash(&mut hasher);
        meta.labels.hash(&mut hasher);
        meta.finalizers.hash(&mut hasher);
        // Kinds without a generation (Pod, Secret) count every version.
        if meta.generation.is_none() {
            meta.resource_version.hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

fn touched<K: Watched>(options: &Options, queue: &mut Queue<ObjectRef<K>>, wanted: &mut HashMap<ObjectRef<K>, Wanted>, touch: &Touch<K>) {
    let object = &**touch.object();
    let key = ObjectRef::from_obj(object);
    let now = Instant::now();
    if touch.is_deleted() {
        wanted.remove(&key);
        queue.urge(key, now);
        return;
    }
    let new = Wanted::of(object);
    let changed = wanted.get(&key) != Some(&new);
    if changed {
        wanted.insert(key.clone(), new);
        queue.urge(key, now);
    } else if !options.ignore_status {
        queue.add(key, now);
    }
}

fn finish<K: Watched>(
    options: &Options,
    root: &WatchHandle<K>,
    queue: &mut Queue<ObjectRef<K>>,
    wanted: &mut HashMap<ObjectRef<K>, Wanted>,
    key: ObjectRef<K>,
    outcome: Outcome,
) {
    let now = Instant::now();
    options.stats.ended(&outcome);
    match outcome {
        Outcome::Done(Action::Await) => queue.done(&key, now, None),
        Outcome::Done(Action::Requeue(after)) => queue.done(&key, now, Some(now + jittered(after))),
        Outcome::Failed(error) | Outcome::Panicked(error) => {
            if root.store.get(&key).is_none() {
                // Nothing will touch it again, so a retry is all there is; but the backoff bounds it.
                wanted.remove(&key);
            }
            let (failures, delay) = queue.failed(&key, now);
            let (object, delay_ms) = (&key.name, delay.as_millis());
            tracing::warn!(controller = options.name, object, failures, delay_ms, error, "a reconcile failed and is tried again");
        }
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
