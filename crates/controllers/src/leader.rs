//! What a leader does, from the first moment to the last.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Context, chute, chute_deployment, gepetto_policy, gpu_server, validator};

/// Runs all controllers and the planning loop until `shutdown`, or until one of them ends, which none should.
pub async fn run(ctx: Arc<Context>, redis_url: String, shutdown: CancellationToken) {
    ctx.metrics.watch(&ctx.watches);
    tokio::select! {
        () = ctx.watches.ready() => {}
        () = shutdown.cancelled() => return,
    }
    let mut parts = JoinSet::new();
    parts.spawn(validator::run(Arc::clone(&ctx), shutdown.clone()));
    parts.spawn(gpu_server::run(Arc::clone(&ctx), shutdown.clone()));
    parts.spawn(chute::run(Arc::clone(&ctx), shutdown.clone()));
    parts.spawn(chute_deployment::run(Arc::clone(&ctx), shutdown.clone()));
    parts.spawn(gepetto_policy::run(Arc::clone(&ctx), redis_url, shutdown.clone()));
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the operator panicked");
        }
        // One part alone is no operator: the process ends and another takes over.
        shutdown.cancel();
    }
    ctx.remotes.end();
}
