//! Looking into the clusters without a process for each look: tests look several times a second.

use super::Fleet;
use anyhow::{Context as _, Result};
use cluster::client::{ClientSource, connect};
use kube::Client;
use kubelab::Lab;
use serde_json::Value;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Which of a fleet's clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where the resources live.
    Control,
    /// Where the chutes run.
    Node,
}

/// An administrator's clients of both clusters, made when first needed.
#[derive(Default)]
pub(super) struct Eyes(OnceLock<(tokio::runtime::Runtime, Client, Client)>);

impl fmt::Debug for Eyes {
    // Clients hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eyes").finish_non_exhaustive()
    }
}

impl Eyes {
    fn of(&self, fleet: &Fleet) -> Result<&(tokio::runtime::Runtime, Client, Client)> {
        if self.0.get().is_none() {
            // A worker of its own keeps the connections between two looks.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            let client = |lab: &Lab| runtime.block_on(connect(ClientSource::Kubeconfig(lab.kubeconfig.clone())));
            let (control, node) = (client(&fleet.control)?, client(&fleet.node)?);
            // Of two threads that come here at once, one's clients stay.
            let _ = self.0.set((runtime, control, node));
        }
        self.0.get().context("set above")
    }
}

impl Fleet {
    /// The objects of a collection, such as `/api/v1/secrets`, that have these labels; all where `labels` is empty.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub fn list(&self, side: Side, collection: &str, labels: &str) -> Result<Vec<Value>> {
        let query = if labels.is_empty() { String::new() } else { format!("?labelSelector={}", labels.replace('/', "%2F")) };
        let list = self.ask(side, "GET", &format!("{collection}{query}"), &Value::Null)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// One object by its path.
    ///
    /// # Errors
    /// When there is none, or the API server does not answer.
    pub fn object(&self, side: Side, path: &str) -> Result<Value> {
        self.ask(side, "GET", path, &Value::Null)
    }

    /// Changes an object by a merge patch.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub fn patch(&self, side: Side, path: &str, patch: &Value) -> Result<Value> {
        self.ask(side, "PATCH", path, patch)
    }

    fn ask(&self, side: Side, method: &str, path: &str, body: &Value) -> Result<Value> {
        let (runtime, control, node) = self.eyes.of(self)?;
        let client = if side == Side::Control { control } else { node };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request =
            http::Request::builder().method(method).uri(path).header("content-type", "application/merge-patch+json").body(body)?;
        let answer = runtime.block_on(async { tokio::time::timeout(LIMIT, client.request::<Value>(request)).await });
        let answer = answer.with_context(|| format!("{method} {path}"))?.with_context(|| format!("{method} {path}"))?;
        Ok(answer)
    }
}
