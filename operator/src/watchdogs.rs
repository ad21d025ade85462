//! What every replica does whether it leads or not: readiness gates, and carrying wake-ups from the ledger to Redis.

use std::time::Duration;

use anyhow::{Context as _, Result};
use service::readiness::Readiness;
use store::{Publisher, Store};
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(5);

/// Starts them; they end with `shutdown`.
pub(crate) fn start(
    store: &Store,
    redis_url: &str,
    client: &kube::Client,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) -> Result<()> {
    let publisher = Publisher::new(store.clone(), redis_url).context("reading --redis-url")?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = publisher.run() => {}
            () = stop.cancelled() => {}
        }
    });
    let (store, client, stop) = (store.clone(), client.clone(), shutdown.clone());
    let (postgres, kubernetes) = (readiness.gate("postgres"), readiness.gate("kubernetes"));
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            postgres.follow(&store.ping().await);
            kubernetes.follow(&cluster::call::bounded("asking for the version", client.apiserver_version()).await);
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => {}
            }
        }
    });
    Ok(())
}
