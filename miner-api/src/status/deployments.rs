//! Deployments by phase.

use crate::{ports::fleet::View, rows::wire};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// The deployments that exist.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deployments {
    /// How many stand in each phase.
    pub by_phase: BTreeMap<String, usize>,
    /// The living ones.
    pub items: Vec<Line>,
}

/// A deployment in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Our id of it.
    pub id: String,
    /// The chute's name.
    pub chute: String,
    /// The server.
    pub server: String,
    /// GPUs.
    pub gpus: usize,
    /// Where it stands.
    pub phase: String,
    /// Why, as a code.
    pub reason: Option<String>,
    /// Since when it is in that phase.
    pub since: Option<String>,
    /// How many seconds that is.
    pub seconds: Option<i64>,
    /// The job it runs.
    pub job: Option<String>,
}

pub(super) fn of(view: &View, now: Timestamp) -> Deployments {
    let mut by_phase = BTreeMap::new();
    let mut items = Vec::new();
    for one in &view.deployments {
        let status = one.status.clone().unwrap_or_default();
        let phase = status.phase.map_or_else(|| "New".to_owned(), |phase| phase.to_string());
        *by_phase.entry(phase.clone()).or_insert(0) += 1;
        if one.is_over() {
            continue;
        }
        let since = status.reached.iter().find(|reached| Some(reached.phase) == status.phase).map(|reached| reached.at.0);
        items.push(Line {
            id: one.spec.deployment_id.to_string(),
            chute: one.spec.chute.name.clone(),
            server: one.spec.server.to_string(),
            gpus: one.spec.gpus.len(),
            phase,
            reason: status.reason,
            since: since.map(wire),
            seconds: since.map(|since| now.as_second() - since.as_second()),
            job: one.spec.job.as_ref().map(|job| job.id.to_string()),
        });
    }
    Deployments { by_phase, items }
}
