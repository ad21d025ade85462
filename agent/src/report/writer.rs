//! Writes the report when it differs from what the control cluster holds.

use super::{Composer, seen};
use crate::MANAGER;
use crate::control::Control;
use crate::inventory::{Command, Reading};
use crate::metrics::Metrics;
use crate::node::NodeFacts;
use cluster::{apply::ssa_status, backoff::Policy, call::get_opt};
use crd::GpuServer;
use crd::gpu_server::Reported;
use kube::Api;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the report is compared with what the control cluster really holds, should somebody else have changed it.
const COMPARE: Duration = Duration::from_secs(60);
/// After a failure. The first tries come fast: right after an enrolment the rights are not known everywhere yet.
const RETRY: Policy = Policy { first: Duration::from_millis(200), most: Duration::from_secs(5) };

/// Writes reports to one control cluster.
pub struct Reporter {
    /// Where to.
    pub control: Arc<Control>,
    /// The GPUs.
    pub gpus: watch::Receiver<Option<Reading>>,
    /// The node.
    pub node: watch::Receiver<Option<NodeFacts>>,
    /// Tells the inventory what it may have forgotten.
    pub inventory: mpsc::Sender<Command>,
    /// Counts writes.
    pub metrics: Metrics,
}

impl Reporter {
    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let servers: Api<GpuServer> = Api::namespaced(self.control.client.clone(), crd::FLEET_NAMESPACE);
        let mut composer = Composer::default();
        // What the control cluster holds as far as we know; unknown until read, and again after each failure.
        let mut held: Option<Option<Reported>> = None;
        let mut compare_at = Instant::now();
        let mut failures = 0u32;
        loop {
            let (mut fresh, mut compare) = (false, false);
            tokio::select! {
                () = tokio::time::sleep_until(compare_at) => compare = true,
                changed = self.gpus.changed() => if changed.is_err() { return } else { fresh = true },
                changed = self.node.changed() => if changed.is_err() { return },
                () = shutdown.cancelled() => return,
            }
            fresh |= self.gpus.has_changed().unwrap_or(false);
            if compare {
                compare_at = Instant::now() + COMPARE;
                held = self.read(&servers).await;
                failures = if held.is_some() { 0 } else { failures.saturating_add(1) };
            }
            let Some(reading) = self.gpus.borrow_and_update().clone() else { continue };
            if fresh {
                composer.observe(&reading);
            }
            let Some(last) = &held else {
                compare_at = compare_at.min(Instant::now() + RETRY.after(failures));
                continue;
            };
            if let Some(last) = last {
                self.recall(last, &reading);
            }
            let node = self.node.borrow_and_update().clone();
            let report = composer.compose(last.as_ref(), &reading, node.as_ref());
            if last.as_ref() == Some(&report) {
                continue;
            }
            held = if self.write(&servers, &report).await { Some(Some(report)) } else { None };
            if held.is_none() {
                failures = failures.saturating_add(1);
                compare_at = compare_at.min(Instant::now() + RETRY.after(failures));
            }
        }
    }

    /// What the server's status holds; nothing if that cannot be read, or there is no such server yet.
    async fn read(&self, servers: &Api<GpuServer>) -> Option<Option<Reported>> {
        match get_opt(servers, &self.control.server).await {
            Ok(Some(server)) => Some(server.status.and_then(|status| status.reported)),
            Ok(None) => {
                tracing::debug!(server = self.control.server, "there is no such GpuServer yet");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the last report cannot be read");
                None
            }
        }
    }

    async fn write(&self, servers: &Api<GpuServer>, report: &Reported) -> bool {
        let written = ssa_status(servers, MANAGER, &self.control.server, json!({ "reported": report })).await;
        self.metrics.report_written(written.is_ok());
        match written {
            Ok(_) => tracing::info!(gpus = report.gpus.len(), "reported"),
            Err(ref error) => tracing::warn!(%error, "the report was not written"),
        }
        written.is_ok()
    }

    fn recall(&self, last: &Reported, reading: &Reading) {
        let missing = seen(last, reading);
        if !missing.gpus().is_empty() {
            // Full queue: the next reading asks again.
            let _ = self.inventory.try_send(Command::Recall(missing));
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
