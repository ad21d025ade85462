//! One link a Validator resource: started when it appears, restarted when its spec changes, ended when it goes.

use super::driver::{Driver, LinkOptions, config};
use crate::{kubernetes::KubeFleet, metrics::Metrics};
use cluster::{backoff::Policy, supervise::keep_running};
use crd::{Validator, ValidatorSpec};
use futures::StreamExt as _;
use protocol::key::Keypair;
use service::readiness::Gate;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use validator::ValidatorClient;

/// Keeps the links.
pub struct Supervisor {
    /// The control cluster.
    pub fleet: Arc<KubeFleet>,
    /// The ledger and the wake-ups.
    pub store: Store,
    /// The hotkey, which signs what is said to validators.
    pub key: Arc<Keypair>,
    /// Counters.
    pub metrics: Metrics,
    /// How each link behaves.
    pub options: LinkOptions,
    /// Open while at least one validator is configured usably.
    pub gate: Gate,
}

/// How long a link that failed rests before it begins anew.
const RESTART: Policy = Policy { first: Duration::from_secs(1), most: Duration::from_secs(60) };

struct Running {
    uid: Option<String>,
    spec: ValidatorSpec,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Runs until `shutdown`, then ends every link.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut links: BTreeMap<String, Running> = BTreeMap::new();
        let mut touches = self.fleet.watches.validators.subscribe();
        self.gate.close("no Validator resource exists yet: kubectl apply one in namespace chutes");
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                touch = touches.next() => if touch.is_none() { break },
            }
            self.match_up(&mut links, &shutdown).await;
        }
        for link in links.into_values() {
            link.end().await;
        }
    }

    async fn match_up(&self, links: &mut BTreeMap<String, Running>, shutdown: &CancellationToken) {
        let wanted: BTreeMap<String, Arc<Validator>> =
            self.fleet.watches.validators.all().into_iter().filter_map(|one| one.metadata.name.clone().map(|name| (name, one))).collect();
        let outdated: Vec<String> = links
            .iter()
            .filter(|(name, link)| {
                wanted.get(*name).is_none_or(|one| one.spec != link.spec || one.metadata.uid != link.uid) || link.task.is_finished()
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in outdated {
            if let Some(link) = links.remove(&name) {
                tracing::info!(validator = name, "link ended");
                link.end().await;
            }
        }
        let mut trouble = None;
        for (name, resource) in &wanted {
            if links.contains_key(name) {
                continue;
            }
            match self.start(name, resource, shutdown) {
                Ok(link) => drop(links.insert(name.clone(), link)),
                Err(why) => {
                    tracing::error!(validator = name, why, "this Validator cannot be used");
                    trouble = Some(format!("Validator {name}: {why}"));
                }
            }
        }
        match (links.is_empty(), trouble) {
            (false, _) => self.gate.open(),
            (true, Some(why)) => self.gate.close(why),
            (true, None) => self.gate.close("no Validator resource exists: kubectl apply one in namespace chutes"),
        }
    }

    fn start(&self, name: &str, resource: &Validator, shutdown: &CancellationToken) -> Result<Running, String> {
        let config = config(resource)?;
        let client = ValidatorClient::new(config.clone(), Arc::clone(&self.key)).map_err(|error| error.to_string())?;
        let stop = shutdown.child_token();
        let (fleet, store, metrics) = (Arc::clone(&self.fleet), self.store.clone(), self.metrics.clone());
        let (hotkey, options, key) = (resource.spec.hotkey.clone(), self.options.clone(), Arc::clone(&self.key));
        let (label, link, token) = (format!("link of {name}"), name.to_owned(), stop.clone());
        let make = move |last: Option<String>| {
            let (fleet, store, metrics, client) = (Arc::clone(&fleet), store.clone(), metrics.clone(), client.clone());
            let driver = Driver::new(link.clone(), hotkey.clone(), fleet, store, metrics, client, options.clone());
            let (config, key, stop) = (config.clone(), Arc::clone(&key), token.clone());
            async move {
                match last {
                    Some(how) => driver.run_after_failure(&how, config, key, stop).await,
                    None => driver.run(config, key, stop).await,
                }
            }
        };
        tracing::info!(validator = name, api = service::redact::url(&resource.spec.api), "link started");
        let told = stop.clone();
        let task = tokio::spawn(async move { keep_running(&label, RESTART, told, make).await });
        Ok(Running { uid: resource.metadata.uid.clone(), spec: resource.spec.clone(), stop, task })
    }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        let mut task = self.task;
        // The link itself is given five seconds.
        if tokio::time::timeout(Duration::from_secs(6), &mut task).await.is_err() {
            task.abort();
        }
    }
}
