//! The report of `GET /status`, read tolerantly: a newer miner API may say more, an older one less.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    pub(crate) servers: Vec<Server>,
    pub(crate) deployments: Deployments,
    pub(crate) validators: Vec<Validator>,
    pub(crate) gepetto: Gepetto,
    pub(crate) ledger: Ledger,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) severity: String,
    pub(crate) subject: String,
    pub(crate) what: String,
    pub(crate) command: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) model: String,
    pub(crate) gpus: usize,
    pub(crate) busy: usize,
    pub(crate) idle: Vec<Idle>,
    pub(crate) holds: Vec<String>,
    pub(crate) hourly_cost_per_gpu: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Idle {
    pub(crate) reason: String,
}

impl Server {
    /// The reasons of its idle GPUs with how many each has.
    pub(crate) fn why_idle(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for idle in &self.idle {
            *counts.entry(&idle.reason).or_default() += 1;
        }
        if counts.is_empty() {
            "-".to_owned()
        } else {
            counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Deployments {
    pub(crate) by_phase: BTreeMap<String, usize>,
    pub(crate) items: Vec<Deployment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Deployment {
    pub(crate) chute: String,
    pub(crate) server: String,
    pub(crate) gpus: usize,
    pub(crate) phase: String,
    pub(crate) reason: Option<String>,
    pub(crate) seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Validator {
    pub(crate) name: String,
    pub(crate) connected: Finding,
    pub(crate) in_sync: Finding,
    pub(crate) chutes: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Finding {
    pub(crate) state: String,
    pub(crate) reason: String,
}

impl Finding {
    pub(crate) fn short(&self) -> String {
        match self.state.as_str() {
            "True" => "ok".to_owned(),
            "False" => format!("NOT ok ({})", self.reason),
            _ => "unknown".to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Gepetto {
    pub(crate) mode: String,
    pub(crate) last_plan: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    pub(crate) available: bool,
    pub(crate) hours: u32,
    pub(crate) gpu_seconds_by_server: BTreeMap<String, f64>,
    pub(crate) idle_seconds_by_reason: BTreeMap<String, f64>,
    pub(crate) cost_usd: f64,
}
