//! Watches chute pods and gives each a life.

use super::Shared;
use super::life::Life;
use super::report::{FINALIZER, Reporter};
use cluster::call::get_opt;
use cluster::watch::{Touch, WatchOptions, source};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, Client, ResourceExt as _};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Every pod of a chute, in every namespace.
const SELECTOR: &str = "chutes/chute=true";
/// Marks the nodes that have no kubelet.
const SIMULATED: (&str, &str) = ("kwok.x-k8s.io/node", "fake");
/// A pod's grace period where it names none (the API server fills it in).
const GRACE: Duration = Duration::from_secs(30);

/// Keeps watching until told to stop, then waits for the last process; `ready` is called when all pods of the moment are known.
pub(super) async fn keep(shared: Arc<Shared>, client: Client, ready: impl FnOnce()) {
    let pods = source::<Pod>(Api::all(client.clone()), WatchOptions::default().labels(SELECTOR).named("chute pods"));
    let mut touches = pods.subscribe();
    let reporter = Reporter::new(client.clone(), shared.stop.clone());
    let mut keeper = Keeper { shared: Arc::clone(&shared), client, reporter, known: HashMap::new(), nodes: HashMap::new() };
    let mut lives = JoinSet::new();
    tokio::select! {
        () = pods.ready() => ready(),
        () = shared.stop.cancelled() => return,
    }
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            Some(touch) = touches.next() => {
                if let Some(life) = keeper.touched(&touch).await {
                    lives.spawn(life.live());
                }
            }
            Some(_) = lives.join_next(), if !lives.is_empty() => {}
        }
    }
    while lives.join_next().await.is_some() {}
}

/// A pod that has or had a process of ours.
struct Known {
    uid: String,
    deleted: watch::Sender<Option<Duration>>,
}

struct Keeper {
    shared: Arc<Shared>,
    client: Client,
    reporter: Reporter,
    /// By namespace and name.
    known: HashMap<(String, String), Known>,
    /// Whether a node is simulated.
    nodes: HashMap<String, bool>,
}

impl Keeper {
    /// The life that begins with this touch, if one does.
    async fn touched(&mut self, touch: &Touch<Pod>) -> Option<Life> {
        let pod = touch.object();
        let key = (pod.namespace().unwrap_or_default(), pod.name_any());
        let uid = pod.uid().unwrap_or_default();
        if touch.is_deleted() || self.known.get(&key).is_some_and(|known| known.uid != uid) {
            // Gone without our leave: somebody took the finalizer away. Dropping the sender ends the process at once.
            self.known.remove(&key);
        }
        if touch.is_deleted() || !self.shared.options.covers(&key.0) {
            return None;
        }
        let deleting = pod.metadata.deletion_timestamp.is_some();
        if let Some(known) = self.known.get(&key) {
            if deleting {
                known.deleted.send_if_modified(|grace| grace.is_none().then(|| *grace = Some(grace_of(pod))).is_some());
            }
            return None;
        }
        // The simulation writes a pod's status once, when it is pending: only after that is the status ours.
        let running = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        let held = pod.finalizers().iter().any(|f| f == FINALIZER);
        if !(held || running && !deleting) || !self.simulated(pod).await {
            return None;
        }
        let (sender, deleted) = watch::channel(None);
        self.known.insert(key, Known { uid, deleted: sender });
        let (shared, client, reporter) = (Arc::clone(&self.shared), self.client.clone(), self.reporter.clone());
        Some(Life { shared, client, reporter, pod: Arc::clone(pod), deleted })
    }

    async fn simulated(&mut self, pod: &Pod) -> bool {
        let Some(name) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) else { return false };
        if let Some(known) = self.nodes.get(name) {
            return *known;
        }
        let nodes: Api<Node> = Api::all(self.client.clone());
        loop {
            match get_opt(&nodes, name).await {
                Ok(node) => {
                    let simulated = node.is_some_and(|n| n.annotations().get(SIMULATED.0).is_some_and(|value| value == SIMULATED.1));
                    self.nodes.insert(name.to_owned(), simulated);
                    return simulated;
                }
                Err(error) if error.is_passing() && !self.shared.stop.is_cancelled() => {
                    tokio::time::sleep(Duration::from_millis(500)).await
                }
                Err(_) => return false,
            }
        }
    }
}

/// What a pod that is being deleted was granted. The simulation deletes once more, with no grace, hence the second look.
fn grace_of(pod: &Pod) -> Duration {
    let granted = pod.metadata.deletion_grace_period_seconds.filter(|s| *s > 0);
    let granted = granted.or_else(|| pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds));
    granted.and_then(|s| u64::try_from(s).ok()).map_or(GRACE, Duration::from_secs)
}
