//! Leading: an epoch in the ledger, then the controllers, until the lease is lost.

use std::sync::Arc;
use std::time::Duration;

use cluster::events::Recorder;
use cluster::leader::Leadership;
use controllers::ledger::Ledger;
use controllers::remote::Remotes;
use controllers::sign::{Planned, PlannerSign};
use controllers::validator_view::Validators;
use controllers::{Context, Metrics, Outlook, Timing, Watches, leader};
use protocol::key::Keypair;
use service::readiness::Readiness;
use store::{Epoch, Store};
use tokio::sync::{Notify, watch};

use crate::config::Config;

/// What a leader is made of.
pub(crate) struct Parts {
    pub(crate) client: kube::Client,
    pub(crate) store: Store,
    pub(crate) key: Arc<Keypair>,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
}

/// Between two tries to begin a term while Postgres is away.
const PAUSE: Duration = Duration::from_secs(2);

/// Leads until the lease is lost.
pub(crate) async fn lead(parts: Parts, leadership: Leadership) {
    let gate = parts.readiness.gate("term");
    let epoch = tokio::select! {
        epoch = begin_term(&parts, &leadership, &gate) => epoch,
        () = leadership.lost.cancelled() => return,
    };
    gate.open();
    parts.metrics.leading(true);
    tracing::info!(term = leadership.term, %epoch, "the term begins");
    let timing = Timing::from(&parts.config.timing);
    let miner = parts.key.address().clone();
    let redis_url = parts.config.redis_url.clone();
    let ctx = Context {
        events: Recorder::new(parts.client.clone(), "gepetto-operator", &leadership.identity),
        ledger: Ledger::new(parts.store.clone()),
        remotes: Remotes::new(miner.clone(), Arc::clone(&parts.key)),
        validators: Validators::new(parts.key, redis_url.clone(), timing.clone()),
        watches: Watches::start(&parts.client),
        client: parts.client,
        store: parts.store,
        epoch,
        identity: leadership.identity,
        miner,
        timing,
        registry_override: parts.config.registry_override,
        metrics: parts.metrics.clone(),
        outlook: watch::Sender::new(Arc::new(Outlook::default())),
        wake: Notify::new(),
    };
    leader::run(Arc::new(ctx), redis_url, leadership.lost).await;
    parts.metrics.leading(false);
}

/// Migrates the ledger and takes the epoch; as long as Postgres is away nothing is decided, and the planner's sign of life says so.
async fn begin_term(parts: &Parts, leadership: &Leadership, gate: &service::readiness::Gate) -> Epoch {
    let mut sign = PlannerSign::new(&leadership.identity, Duration::ZERO);
    loop {
        let begun = async {
            parts.store.migrate().await?;
            parts.store.acquire_epoch(&leadership.identity).await
        };
        match begun.await {
            Ok(epoch) => return epoch,
            Err(error) => {
                tracing::warn!(%error, "the term cannot begin yet");
                gate.close(error.to_string());
                let message = format!("the term cannot begin: {error}");
                sign.say(&parts.client, Planned { made: false, reason: "LedgerUnavailable".to_owned(), message }).await;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
